internal import Lanes
public import EventLoop
internal import Foundation
public import Gateway
public import HealthRecords
public import Ledger
internal import Merkle
public import Messages
public import NodeCore
internal import Ordering
public import Primitives
internal import Rules
public import Signing
public import Storage
public import Telemetry
internal import Threshold
internal import Wire

/// A running node as the rest of the process sees it: an actor whose executor is the loop's thread.
public actor NodeHost: NodeService {
  let loop: EventLoop
  let log: Log
  let vault: any Vault
  private let snapshots: SnapshotFolder
  /// Where ciphertext on its way lies.
  nonisolated let spoolFolder: String
  nonisolated let spoolRoom: SpoolRoom
  /// Long records that readers are fetching.
  var opened = OpenedContents()
  /// The latest records that were opened while nothing was ordered, and for whom.
  var openedAlone: [(record: Digest, reader: Digest)] = []
  /// Records that are being brought from other vaults, for all who read them.
  var fetching: [Digest: Task<(any SealedContent)?, Never>] = [:]
  private let started: ContinuousClock.Instant
  private var driver: NodeDriver?
  private var startMilliseconds: UInt64 = 0
  let store: Store
  /// What else there is to measure on the disk, by its store's name.
  let otherSizes: [String: @Sendable () -> (used: Int, file: Int)]
  /// When the node started, in seconds since 1970.
  let startedAt = Date().timeIntervalSince1970
  /// The consortium.
  public nonisolated let genesis: Genesis
  /// The hospital that runs the node.
  public nonisolated let member: Member
  /// How long a submission waits for its execution.
  private static let submitTimeout = Span.milliseconds(30_000)

  /// Jobs of this actor run on the loop's thread.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe self.loop.asUnownedSerialExecutor() }

  /// A host on a loop that runs; `start` starts the node.
  public init(
    loop: EventLoop, genesis: Genesis, member: Member, store: Store, vault: any Vault, snapshots: SnapshotFolder,
    spoolFolder: String, spoolRoom: SpoolRoom = SpoolRoom(), log: Log,
    otherSizes: [String: @Sendable () -> (used: Int, file: Int)] = [:]
  ) {
    self.otherSizes = otherSizes
    (self.spoolFolder, self.spoolRoom) = (spoolFolder, spoolRoom)
    (self.loop, self.genesis, self.member, self.log) = (loop, genesis, member, log)
    (self.store, self.vault, self.snapshots, self.started) = (store, vault, snapshots, ContinuousClock.now)
  }

  /// Restores the node, listens and dials.
  ///
  /// - Throws: `StorageFailure` where the store is damaged, `NetworkFailure` where the port cannot be listened on.
  public func start(
    settings: NodeSettings, keys: consuming NodeKeys, fail: @escaping @Sendable (StorageFailure) -> Void
  ) throws {
    let driver = try NodeDriver(
      loop: self.loop, settings: settings, keys: keys, store: self.store, vault: self.vault,
      snapshots: self.snapshots, log: self.log, fail: fail)
    self.driver = driver
    try driver.start()
    let spent = ContinuousClock.now - self.started
    self.startMilliseconds =
      UInt64(spent.components.seconds) * 1000
      + UInt64(spent.components.attoseconds / 1_000_000_000_000_000)
    let position = driver.node.execution.position
    if driver.node.index == nil { self.log.emit(.observing, ["key": .text(self.member.key.short)]) }
    if self.genesis.engine == .raft { self.log.emit(.crashFaultOnly) }
    self.log.emit(
      .nodeStarted,
      [
        "member": .text("\(self.member.id)"), "network": .text(self.genesis.network.short),
        "version": .text(ProgramVersion.current),
        "view": .number(driver.node.replica.view.number), "height": .number(position.sequence.number),
        "log_size": .number(position.log.size), "start_ms": .number(self.startMilliseconds),
      ])
  }

  /// Ends in order.
  public func stop() async {
    guard let driver = self.driver else { return }
    await withCheckedContinuation { continuation in driver.stop { continuation.resume() } }
  }

  /// The driver, once it is started.
  var running: NodeDriver? { self.driver }

  /// The time of the last executed cut.
  public func ledgerTime() -> Timestamp { self.running?.node.execution.position.time ?? .zero }

  static let roles = [
    "backup", "catching up", "changing", "electing", "follower", "leader", "observer", "primary",
  ]

  private static func role(of node: Node) -> String {
    switch (node.replica, node.replica.leader) {
    case (.follower, _): node.index == nil ? "observer" : "catching up"
    case (.pbft, nil): "changing"
    case (.pbft, let leader?): leader == node.index ? "primary" : "backup"
    case (.raft, nil): "electing"
    case (.raft, let leader?): leader == node.index ? "leader" : "follower"
    }
  }

  /// Where it stands.
  public func status() -> NodeStatus {
    var status = NodeStatus(name: self.member.name, member: self.member.id.number)
    guard let driver = self.driver else { return status }
    let node = driver.node
    let position = node.execution.position
    status.network = self.genesis.network.description
    status.running = true
    status.version = ProgramVersion.current
    status.engine = "\(self.genesis.engine)"
    status.role = Self.role(of: node)
    status.lane = node.index == nil ? "" : node.lanes.isFrozen ? "frozen" : node.lanes.isWaiting ? "waiting" : "open"
    status.hasLeft =
      node.index == nil
      && node.configuration.members.contains { $0.id == self.member.id && $0.key == self.member.key }
    status.knownHeight = node.replica.known?.number
    if node.index == nil, let next = node.next, next.index(of: self.member.key) != nil {
      status.votesFrom = next.start.number
    }
    status.view = node.replica.view.number
    status.configuration = node.configuration.number.number
    status.members = node.configuration.voterCount
    status.height = position.sequence.number
    status.stateDigest = position.stateDigest.description
    status.logSize = position.log.size
    status.logRoot = position.log.root.description
    status.ledgerTime = position.time.description
    status.ledgerAheadMilliseconds = UInt64(max(0, position.time.offset(from: driver.moment.wall)))
    status.votes = node.replica.isVoting && node.unknownRules == nil
    status.peers = node.connected.count
    status.quorum = node.configuration.quorum
    status.reachable = node.configuration.voters.count { $0 == node.index || node.connected.contains($0) }
    status.clocksApart = driver.clocksApart
    status.pausedMilliseconds = driver.progress.pausedMilliseconds(at: self.loop.now)
    status.stableSize = node.checkpoints.stable?.body.size ?? 0
    status.pendingBytes = node.lanes.pendingBytes
    status.diskBytes = self.store.sizes.used + self.vault.sizes.used
    status.sentBytes = driver.bytesSent
    status.executed = driver.progress.total
    status.cpuMicroseconds = ProcessUsage.cpuMicroseconds
    status.residentBytes = ProcessUsage.residentBytes
    status.startMilliseconds = self.startMilliseconds
    status.custody = self.custodyView
    status.baseHeight = driver.state.store.base.number
    status.historyLeft = driver.gaps.reduce(0) { $0 + $1.count }
    status.snapshotHeight = node.snapshot?.sequence.number ?? 0
    status.transfer = node.transfer.progress.map {
      TransferView(height: $0.sequence.number, chunks: $0.chunks, left: $0.left)
    }
    status.vault = driver.vaultStanding
    status.rules = self.rulesView()
    status.notices = self.notices
    status.dispositions = driver.dispositions
    return status
  }

  /// The members, and what is about to change.
  public func membership() -> MembershipView {
    guard let node = self.driver?.node else {
      return MembershipView(self.genesis.configuration, pending: nil, next: nil)
    }
    return MembershipView(node.configuration, pending: node.pendingChange?.change, next: node.next)
  }

  /// Its members' connections.
  public func peers() -> [PeerStatus] {
    guard let driver = self.driver else { return [] }
    let configuration = driver.node.configuration
    return configuration.voters.map { ($0, configuration.members[$0]) }.filter { $0.1.id != self.member.id }.map {
      driver.peerStatus($0, $1)
    }
  }

  /// Gives transactions to the lane and waits for their execution.
  public func submit(_ transactions: [CheckedTransaction]) async throws(ServiceRefusal) -> [Receipt] {
    guard let driver = self.driver else { throw .failed("the node is not started") }
    guard !transactions.isEmpty else { return [] }
    guard driver.node.index != nil else { throw .noMember }
    guard !driver.node.lanes.isFrozen else { throw .laneFrozen }
    if let version = driver.node.unknownRules { throw .rulesUnknown(version) }
    try self.requireSigners(of: transactions, driver)
    let bytes = transactions.reduce(0) { $0 + $1.bytes.count }
    guard driver.node.lanes.hasRoom(forBytes: bytes) else { throw .full }
    let identifiers = transactions.map(\.identifier)
    let receipts = await withCheckedContinuation { continuation in
      let batch = ReceiptWaiters.Batch(
        count: identifiers.count, since: self.loop.now, timeout: Self.submitTimeout, continuation)
      driver.receipts.add(identifiers, batch)
      driver.progress.waits(at: self.loop.now)
      driver.give(.submitted(transactions.map(\.bytes)))
    }
    let known = receipts.compactMap { $0 }
    guard known.count == receipts.count else {
      if let version = driver.node.unknownRules { throw .rulesUnknown(version) }
      throw .notOrderedYet(why: self.status().delay)
    }
    return known
  }

  /// ⚑ A signer who has no account here, or one that may not act, writes nothing into the ledger, no refusal either.
  func requireSigners(of transactions: [CheckedTransaction], _ driver: NodeDriver) throws(ServiceRefusal) {
    struct Asked: Hashable {
      let signer: PublicKey
      let kind: UInt16
    }
    var known: Set<Asked> = []
    let (configuration, time) = (driver.node.configuration, driver.node.execution.position.time)
    for (index, transaction) in transactions.enumerated() {
      guard let signer = transaction.signer, known.insert(Asked(signer: signer, kind: transaction.kind)).inserted else {
        continue
      }
      guard
        Signers.isKnown(signer, kind: transaction.kind, at: self.member.id, in: configuration, state: driver.state)
      else { throw .unknownSigner(signer, index: index, at: self.member, in: configuration) }
      switch Signers.standing(
        signer, kind: transaction.kind, at: self.member.id, in: configuration, time: time, state: driver.state)
      {
      case nil: break
      case .otherHospital?:
        throw .otherHospital(
          "transaction \(index): its signer belongs to another hospital than this node's, \(self.member.name), so "
            + "nothing was written", remedy: "send it to a node of the hospital that registered the account")
      default: throw .inactive
      }
    }
  }

  /// An account.
  public func account(_ identifier: Digest) -> Account? {
    self.driver?.state.item(StateKey.account(identifier), as: Account.self)
  }

  /// The account whose signing key this is now; nil where it is nobody's.
  public func account(ofKey key: Digest) -> Digest? {
    guard let state = self.driver?.state, let identifier = state.item(StateKey.key(key.bytes), as: Digest.self),
      state.item(StateKey.account(identifier), as: Account.self)?.key.bytes == key.bytes
    else { return nil }
    return identifier
  }

  /// The session that a practitioner opened for a key; nil where there is none, or it is over.
  public func session(_ key: PublicKey) -> SessionEntry? {
    self.driver?.state.item(StateKey.session(key.bytes), as: SessionEntry.self)
  }

  /// A recovery of an account's key that is under way.
  public func recovery(of account: Digest) -> PendingRecovery? {
    self.driver?.state.item(StateKey.recovery(of: account), as: PendingRecovery.self)
  }

  /// A care team.
  public func careTeam(_ identifier: Digest) -> CareTeam? {
    self.driver?.state.item(StateKey.careTeam(identifier), as: CareTeam.self)
  }

  /// How long records are kept, where a quorum said so.
  public func retention() -> [RetentionRule] {
    guard let state = self.driver?.state else { return [] }
    return RecordCategory.allCases.compactMap { category in
      guard let value = state.value(StateKey.retention(of: category)) else { return nil }
      var decoder = Decoder(value)
      return (try? decoder.u64()).map { RetentionRule(category: category, milliseconds: $0) }
    }
  }

  /// The rules that hold for what is executed next.
  public func rules() -> AgreedRules {
    guard let state = self.driver?.state else { return self.genesis.limits.rules }
    return AgreedRules.inForce(in: state, genesis: self.genesis.limits)
  }
  /// What is told of them.
  public func rulesView() -> RulesView {
    var view = RulesView(self.rules(), adoptions: self.driver.map { AgreedRules.adoptions(in: $0.state) } ?? 0)
    view.unknown = self.driver?.node.unknownRules
    view.members = self.peers().map { RulesMember($0) }
    return view
  }

  /// When a record is erased, as its patient wanted and can still take back; nil where nothing is to happen.
  public func erasureDue(of entry: RecordEntry) -> Timestamp? {
    self.driver.flatMap { PendingErasure.find(entry.anchor.record, of: entry.anchor.patient, in: $0.state)?.due }
  }

  /// How patients rated what a practitioner wrote.
  public func ratings(of practitioner: Digest) -> RatingCounts {
    self.driver?.state.item(StateKey.ratings(of: practitioner), as: RatingCounts.self) ?? RatingCounts()
  }

  /// How its patient rated a record; nil where that was not done.
  public func rating(of record: Digest) -> UInt8? {
    self.driver?.state.item(StateKey.rating(of: record), as: RecordRating.self)?.rating
  }

  /// The hospitals that stated that their vaults deleted an erased record.
  public func deletions(of record: Digest) -> [UInt32] {
    let rows = self.driver?.state.scan(prefix: StateKey.deletions(of: record), limit: ReplicaSet.countMax) ?? []
    return rows.map { pair in pair.key.suffix(8).reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
  }

  /// What members reported of others' vaults.
  public func vaultReports() -> [VaultReportView] {
    let rows = self.driver?.state.scan(prefix: StateKey.vaultReports, limit: .max) ?? []
    return rows.compactMap { pair in
      let numbers = pair.key.suffix(16).map(UInt32.init)
      guard let entry = try? VaultReportEntry.decode(pair.value) else { return nil }
      return VaultReportView(
        member: numbers.prefix(8).reduce(0) { $0 << 8 | $1 }, by: numbers.suffix(8).reduce(0) { $0 << 8 | $1 }, entry)
    }
  }

  /// A record's entry.
  public func record(_ identifier: Digest) -> RecordEntry? {
    self.driver?.state.item(StateKey.record(identifier), as: RecordEntry.self)
  }

  /// A page of a patient's records, the last anchored first.
  public func records(of patient: Digest, below leaf: UInt64?, countMax: Int) -> Page<RecordEntry> {
    self.page(StateKey.patientRecords(patient), StateKey.recordCount(of: patient), leaf, countMax) { state, _, value in
      Digest(value).flatMap { state.item(StateKey.record($0), as: RecordEntry.self) }
    }
  }

  /// A page of a patient's access history, the newest line first.
  public func history(of patient: Digest, below leaf: UInt64?, countMax: Int) -> Page<AccessLine> {
    self.page(StateKey.accesses(patient), StateKey.accessCount(of: patient), leaf, countMax) { _, leaf, value in
      (try? AccessEntry.decode(value)).map { AccessLine(leaf: leaf, entry: $0) }
    }
  }

  private func page<Item>(
    _ prefix: [UInt8], _ counter: [UInt8]?, _ below: UInt64?, _ countMax: Int,
    _ make: (StateView, UInt64, [UInt8]) -> Item?
  ) -> Page<Item> {
    guard let state = self.driver?.state else { return Page(items: [], total: 0, next: nil) }
    // One more than is given tells whether there are older ones.
    let count = max(1, min(countMax, Page<Item>.rowsMax))
    let rows = state.rows(prefix: prefix, below: below, limit: count + 1)
    var decoder = Decoder(counter.flatMap { state.value($0) } ?? [])
    return Page(
      items: rows.prefix(count).compactMap { make(state, $0.leaf, $0.value) },
      total: max((try? decoder.u64()) ?? 0, UInt64(rows.count)),
      next: rows.count > count ? rows[count - 1].leaf : nil)
  }

  /// A patient's consents, those that were too.
  public func consents(of patient: Digest) -> [(identifier: Digest, entry: ConsentEntry)] {
    guard let state = self.driver?.state else { return [] }
    let rows = [StateKey.consents(patient), StateKey.pastConsents(patient)].flatMap {
      state.scan(prefix: $0, limit: .max)
    }
    return rows.compactMap { pair -> (identifier: Digest, entry: ConsentEntry)? in
      guard let identifier = Digest(pair.key.suffix(32)), let entry = try? ConsentEntry.decode(pair.value) else {
        return nil
      }
      return (identifier, entry)
    }.sorted { $0.entry.leaf < $1.entry.leaf }
  }

  /// The account that made a request which is in a patient's history.
  public func reader(ofRequest identifier: Digest) -> Digest? {
    self.driver.flatMap { AccessEntry.find(request: identifier, in: $0.state)?.entry.reader }
  }

  /// A page of what broke the glass at this hospital, or elsewhere for this hospital's records, the newest first.
  public func emergencies(below leaf: UInt64?, countMax: Int) -> Page<EmergencyView> {
    let window = HealthRules.Limits().reviewWindowMilliseconds
    let prefix = StateKey.emergencies(at: self.member.id)
    var page: Page<EmergencyView> = self.page(prefix, nil, leaf, countMax) { state, leaf, value in
      // The request stands in the log, by itself or in what the hospital stated of it.
      guard let patient = Digest(value), let logged = self.driver?.logged(leaf)?.transaction,
        let transaction = Self.request(in: logged),
        let entry = state.item(StateKey.access(patient, leaf: leaf), as: AccessEntry.self)
      else { return nil }
      return EmergencyView(
        request: transaction.identifier(network: self.genesis.network), leaf: leaf, entry,
        due: entry.time.adding(milliseconds: window))
    }
    page.total = UInt64(self.driver?.state.rows(prefix: prefix, below: nil, limit: .max).count ?? 0)
    return page
  }

  /// The request that a transaction is, or states that it was answered without the others.
  private static func request(in transaction: Transaction) -> Transaction? {
    guard transaction.kind == TransactionKind.openInPartition.rawValue else { return transaction }
    return (try? PartitionOpening.decode(transaction.payload)).flatMap { try? Transaction.decode($0.request) }
  }

  /// Stores sealed records in the vault, and then anchors them.
  public func anchor(_ records: [AnchoredRecord]) async throws(ServiceRefusal) -> [Receipt] {
    for (index, record) in records.enumerated() where !record.anchor.names(record.sealed) {
      throw .badRequest("record \(index): the anchor does not name what was sealed")
    }
    let sealed = records.map(\.sealed)
    // Other vaults take their copies while this one takes its own.
    async let isReplicated = self.replicate(sealed, anchors: records.map(\.anchor))
    do throws(VaultFailure) { try await self.vault.store(sealed) } catch { throw .failed("\(error)") }
    // ⚑ Anchored only once enough vaults have it: what is on the ledger survives the loss of any one of them.
    guard await isReplicated else { throw .tooFewVaults }
    let generation = try self.requireCurrent(sealed.map(\.boxes.capsule))
    let receipts = try await self.submit(anchors: records.map(\.anchor))
    await self.resealRaced(records.map(\.anchor), sealedTo: generation)
    self.log.emit(
      .recordSealed,
      ["count": .number(UInt64(records.count)), "bytes": .number(sealed.reduce(0) { $0 + $1.sizeBytes })])
    return receipts
  }

  /// Stores one sealed record, which its anchor names, part by part, and then anchors it.
  public func anchor(_ content: any SealedContent, as anchor: RecordAnchor) async throws(ServiceRefusal) -> Receipt {
    do throws(VaultFailure) { try await self.vault.store(content) } catch { throw .failed("\(error)") }
    guard await self.replicate(content, anchor: anchor) else { throw .tooFewVaults }
    let generation = try self.requireCurrent([content.head.boxes.capsule])
    guard let receipt = try await self.submit(anchors: [anchor]).first else {
      throw .notOrderedYet(why: self.status().delay)
    }
    await self.resealRaced([anchor], sealedTo: generation)
    self.log.emit(.recordSealed, ["count": .number(1), "bytes": .number(anchor.sizeBytes)])
    return receipt
  }

  /// ⚑ What is anchored is sealed to the custody key in use: an older one goes out of use without waiting for it. Its
  /// generation; nil before there is any.
  private func requireCurrent(_ capsules: [[UInt8]]) throws(ServiceRefusal) -> UInt64? {
    let current = self.custody()?.generation
    guard capsules.allSatisfy({ (try? Capsule.decode($0))?.generation == current }) else {
      throw .failed("the consortium went over to another custody key meanwhile: send it again")
    }
    return current
  }

  private func submit(anchors: [RecordAnchor]) async throws(ServiceRefusal) -> [Receipt] {
    guard let driver = self.running else { throw .inactive }
    let validUntil = driver.validUntil
    var transactions: [CheckedTransaction] = []
    for (index, anchor) in anchors.enumerated() {
      let transaction = Transaction(
        kind: TransactionKind.anchorRecord.rawValue, hospital: self.member.id, validUntil: validUntil,
        nonce: SecureRandom.bytes(Transaction.nonceLengthBytes), payload: anchor.encoded)
      transactions.append(
        try CheckedTransaction(transaction.encoded, index: index, genesis: self.genesis, hospital: self.member.id))
    }
    return try await self.submit(transactions)
  }
}
