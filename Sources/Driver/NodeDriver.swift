internal import Custody
internal import Discovery
public import EventLoop
internal import Foundation
public import HealthRecords
internal import Ledger
public import Messages
public import NodeCore
internal import Ordering
internal import Primitives
public import Rules
internal import Sessions
public import Signing
public import Storage
internal import Threshold
internal import Vaults
public import Telemetry

/// What a node is started with.
public struct NodeSettings: Sendable {
  /// The consortium.
  public let genesis: Genesis
  /// The hospital that runs the node: a member, or one that is about to be.
  public let member: Member
  /// Keys that may follow the ledger without being members' (LEDGER §1, observers).
  public var observers: Set<PublicKey> = []
  /// The IP address and port on which members are accepted.
  public let listen: (host: String, port: UInt16)
  /// The most bytes of each other member's records in this vault; nil for no bound.
  public var vaultShareBytesMax: UInt64?
  /// What keeps the secrets of a custodian.
  public var custodySecrets = SecretsKeeper(kept: []) { _ in }
  /// The rules that it executes by.
  public var rules: any ExecutionRules = HealthRules()
  /// Limits and spans of the node's own.
  public var parameters = Node.Parameters()

  /// Settings of given parts.
  public init(genesis: Genesis, member: Member, listen: (host: String, port: UInt16)) {
    (self.genesis, self.member, self.listen) = (genesis, member, listen)
    self.parameters.isCustodian = true
  }
}

/// Keeps secrets that change, outside of everything that is backed up or copied to other members.
public struct SecretsKeeper: Sendable {
  /// What was kept last; empty for nothing.
  public let kept: [UInt8]
  /// Keeps others in their place; when it returns, they survive whatever happens to the machine's power.
  public let keep: @Sendable ([UInt8]) throws -> Void
  /// A keeper of given parts.
  public init(kept: [UInt8], keep: @escaping @Sendable ([UInt8]) throws -> Void) {
    (self.kept, self.keep) = (kept, keep)
  }
}

/// Joins the node to the world: effects become calls, completions become inputs. For the loop's thread only.
public final class NodeDriver {
  let loop: EventLoop
  let settings: NodeSettings
  let keys: NodeKeys
  let log: Log
  let store: Store
  /// The state as execution sees it.
  public let state: StateView
  /// The store of sealed objects.
  public let vault: any Vault
  /// Snapshots of the ledger.
  let snapshots: SnapshotFolder
  /// What the history below a snapshot lacks, the highest last.
  var gaps: [HistoryGap] = []
  /// Checks messages of the configuration that the node is in.
  var checker: MessageChecker
  /// The node.
  public private(set) var node: Node
  private let writer: StorageWriter
  private var timer: LoopTimer?
  private var inputs: [Node.Input] = []
  private var isStepping = false
  /// Nothing is taken in while the ledger is replaced.
  private var isAway = false
  private var executionDue = false
  private var gate = DurabilityGate<Waiting>()
  private let fail: (StorageFailure) -> Void
  // Network.
  var listener: TCPListener?
  var dialler: Dialler
  var peers: [PeerConnection] = []
  var byMember: [ReplicaIndex: PeerConnection] = [:]
  let staticKey: NoiseHandshake.KeyPair
  /// The connections that came in and proved no key yet.
  var places = HandshakePlaces(seed: SecureRandom.seed())
  var nextConnection: HandshakePlaces.Number = 0
  /// From where members proved their keys last.
  var provenSources: [ReplicaIndex: SourceAddress] = [:]
  /// What each peer is given of what it asks for.
  var rations = AnswerRations()
  /// Who sent what is wrong.
  var faults = PeerFaults()
  /// What members say again, unasked, or of no use.
  var words = PeerWords()
  /// Members whose key another process dials with besides.
  var sharedKeys = SharedKeys()
  /// Members that end this node's sessions as they do where another process dials with its key.
  var ownKeyShared = SharedKeys()
  /// How many lone messages were stepped in this turn.
  var steppedThisTurn = 0
  // Services.
  var receipts = ReceiptWaiters()
  /// Receipts of what is executed and not durable yet, by the batch that makes it so: the log does not have them.
  private(set) var unwritten: [(batch: UInt64, receipts: [Receipt])] = []
  /// Those who wait until an own transaction is durable in this hospital's lane.
  var durable: [Digest: CheckedContinuation<Bool, Never>] = [:]
  /// What this hospital asks of others, and answers.
  var services: Services
  var serviceInputs: [Services.Input] = []
  var isServing = false
  /// Those who wait for something that the services were asked.
  var waiters = ServiceWaiters()
  /// The number that the next peer gets that does not vote.
  var nextGuest = ReplicaSet.countMax
  /// Who of those has a place.
  var guests = GuestPlaces()
  /// Who was refused, and how often.
  var refusedSources = RefusedSources()
  /// This member's shares of the custody keys.
  var custodyShares = CustodyShares()
  /// Whether the ledger names this hospital as a custodian, and its secrets do not open its share.
  var isShareLost = false
  /// With which it reads its shares.
  var custodySecrets: CustodianSecrets
  /// Replications that wait for members.
  var replications: [ReplicationRun] = []
  /// What other members' records take in this vault.
  var intake: Intake
  /// When the operator was last told that a member's records find no room.
  var toldFull: [ReplicaIndex: Tick] = [:]
  /// When it was told last that a member offered what is not its own.
  var toldForeign: [ReplicaIndex: Tick] = [:]
  /// What keeps this vault in line with the ledger.
  var tending: Tending
  /// Since when members should keep what is placed with them, as of a configuration.
  var knownEntrusted: (number: ConfigurationNumber, since: [ReplicaIndex: Timestamp])?
  private var outcomes: [Node.Outcome: UInt64] = [:]
  var serviceOutcomes: [Services.Outcome: UInt64] = [:]
  /// Messages of other configurations, which members send that are a moment ahead or behind.
  var otherConfiguration: UInt64 = 0
  /// Messages that were of no use here, and were not checked.
  var useless: UInt64 = 0
  /// What the worker pool is checking.
  var checking: Set<CheckedLine> = []
  /// Bytes sent to members since the start.
  public internal(set) var bytesSent: UInt64 = 0
  var progress = Progress()
  /// How long the ledger's durable writes took.
  private(set) var storeWrites = Histogram()

  private enum Waiting {
    case send(ReplicaIndex, Channel, [UInt8])
    case handBack(OwnItem)
  }

  /// A driver over an opened store; `fail` hears of a durable write that failed, after which nothing may go on.
  ///
  /// - Throws: `StorageFailure` where the store is damaged.
  public init(
    loop: EventLoop, settings: NodeSettings, keys: consuming NodeKeys, store: Store, vault: any Vault,
    snapshots: SnapshotFolder, log: Log, fail: @escaping (StorageFailure) -> Void
  ) throws(StorageFailure) {
    (self.loop, self.settings, self.log) = (loop, settings, log)
    (self.store, self.vault, self.snapshots, self.fail) = (store, vault, snapshots, fail)
    self.intake = Intake(shareBytesMax: settings.vaultShareBytesMax)
    self.tending = Tending(
      Tending.Parameters(
        transactionLifeMilliseconds: settings.genesis.limits.transactionLifeMilliseconds,
        shareBytesMax: settings.vaultShareBytesMax),
      seed: SecureRandom.seed())
    self.keys = keys
    self.custodySecrets = CustodianSecrets(settings.custodySecrets.kept) ?? CustodianSecrets()
    let genesis = settings.genesis
    let reader = try StoreReader(store)
    self.state = StateView(reader)
    try Self.checkFirst(store, reader)
    self.node = try Self.restore(reader, settings, at: loop.now)
    self.services = Services(seed: SecureRandom.seed())
    self.writer = StorageWriter()
    self.checker = MessageChecker(genesis, in: self.node.configuration)
    self.staticKey = NoiseHandshake.KeyPair(secret: SecureRandom.bytes(32))
    let (members, own) = (self.node.configuration.members, settings.member.key)
    let others = self.node.configuration.voters.filter { members[$0].key != own }
    // Who follows is dialled by nobody.
    let isMember = self.node.index != nil
    let later = others.filter { members[$0].key < own && isMember }
    self.dialler = Dialler(
      peers: others, later: Set(later), seed: SecureRandom.seed(),
      at: loop.now)
  }

  private static func restore(
    _ reader: StoreReader, _ settings: NodeSettings, at now: Tick
  ) throws(StorageFailure) -> Node {
    Node(
      genesis: settings.genesis, key: settings.member.key, parameters: settings.parameters, rules: settings.rules,
      restoring: try reader.restore(limits: settings.genesis.limits), seed: SecureRandom.seed(), at: now)
  }

  /// Starts listening, dialling and stepping.
  ///
  /// - Throws: `NetworkFailure` where the port cannot be listened on.
  public func start() throws(NetworkFailure) {
    // First: where it fails, nothing of this driver is called any more.
    try self.listen()
    self.timer = self.loop.makeTimer { [unowned self] in self.fireTimers() }
    self.loop.onTurnEnd = { [unowned self] in self.endTurn() }
    self.give(.timerFired)
    // A stop can have come between the ledger's word and the file.
    self.forgetCustodySecrets()
    self.lookForShare()
    self.prepareSnapshots()
    self.startChecking()
    self.fireTimers()
  }

  /// Inputs that were of no use or wrong, by machine and reason.
  public var dispositions: [String: UInt64] {
    var out: [String: UInt64] = [:]
    func note<Reason>(_ outcomes: [Disposition<Reason>: UInt64]) {
      for (outcome, count) in outcomes {
        switch outcome {
        case .accepted: break
        case .ignored(let reason): out["ignored, \(reason)"] = count
        case .rejected(let reason): out["rejected, \(reason)"] = count
        }
      }
    }
    note(self.outcomes)
    note(self.serviceOutcomes)
    if self.otherConfiguration > 0 { out["ignored, message of another configuration"] = self.otherConfiguration }
    if self.useless > 0 { out["ignored, of no use here"] = self.useless }
    return out
  }

  /// Both clocks.
  var moment: Moment {
    Moment(
      tick: self.loop.now,
      wall: Timestamp(milliseconds: UInt64(max(0, Date().timeIntervalSince1970 * 1000))))
  }

  /// Gives the node an input, and does what follows from it.
  func give(_ input: Node.Input) {
    guard !self.isAway else { return }
    self.inputs.append(input)
    guard !self.isStepping else { return }
    self.isStepping = true
    var next = 0
    while next < self.inputs.count {
      self.step(self.inputs[next])
      next += 1
    }
    self.inputs.removeAll(keepingCapacity: true)
    self.isStepping = false
  }

  private func step(_ input: Node.Input) {
    var effects: [NodeEffect] = []
    let outcome = self.node.step(input, at: self.moment, reader: self.state, into: &effects)
    switch outcome {
    case .accepted: break
    case .ignored, .rejected: self.outcomes[outcome, default: 0] += 1
    }
    for effect in effects { self.perform(effect) }
    // ⚑ Only the machine can check a tree head's signature, for it holds the tree head; nobody passes on wrong ones.
    if case .rejected(.checkpoints(.signature)) = outcome, case .received(_, let member) = input {
      self.charge(member, with: "signature of a tree head")
    }
  }

  private func perform(_ effect: NodeEffect) {
    switch effect {
    case .persist(let write): self.persist(write)
    case .send(let peer, let channel, let bytes): self.pass(to: peer, channel, bytes)
    case .handBack(let item): self.pass(.handBack(item))
    case .sign(let request):
      guard let index = self.node.index else { break }
      let now = self.moment
      let item = self.keys.sign(
        request, network: self.settings.genesis.network, as: index,
        seconds: now.wall.milliseconds / 1000)
      // After the rest of this step's effects: the order in which they are stored is the order of what happened.
      self.inputs.append(.signed(item))
    case .serveBlocks(let peer, let request): self.serve(.blocks(request), to: peer)
    case .serveDecisions(let peer, let from, let through):
      self.serve(.decisions(from: from, through: through), to: peer)
    case .serveManifest(let peer, let digest): self.serve(.manifest(digest), to: peer)
    case .serveChunk(let peer, let digest, let number): self.serve(.chunk(digest, number), to: peer)
    case .openTransfer(let manifest): self.openTransfer(manifest)
    case .keepChunk(let digest, let number, let bytes): self.keepChunk(bytes, number, of: digest)
    case .adopt(let bundle): self.replaceLedger(by: bundle)
    case .serveHistory(let peer, let sequence): self.serve(.history(sequence), to: peer)
    case .keepHistory(let items): self.keepHistory(items)
    case .executed(let write, let receipts):
      self.state.apply(write.writes, batch: self.gate.openBatch)
      self.unwritten.append((self.gate.openBatch, receipts))
      self.executed(write, receipts)
    case .continueExecution: self.executionDue = true
    case .question(let peer, let number, let bytes): self.give(services: .question(from: peer, number, bytes))
    case .answer(let peer, let number, let bytes): self.give(services: .answer(from: peer, number, bytes))
    case .custody(let job): self.perform(job)
    case .configured(let configuration): self.configured(configuration)
    case .report(let event): self.report(event)
    }
  }

  func persist(_ write: StoreWrite) { self.gate.persist(write) }

  private func pass(_ item: Waiting) {
    guard let item = self.gate.pass(item) else { return }
    self.release(item)
  }

  /// Sends when all writes so far are durable.
  func pass(to peer: ReplicaIndex, _ channel: Channel, _ bytes: [UInt8]) {
    // What goes to all is held once; only answers are each peer's own.
    let held = channel == .sync ? bytes.count : 0
    guard let item = self.gate.pass(.send(peer, channel, bytes), bytes: held) else { return }
    self.release(item)
  }

  /// ⚑ Whether so much waits for the disk that nothing is taken in from peers until some of it is done.
  var isHeldUp: Bool { self.gate.isFull }

  private func release(_ item: Waiting) {
    switch item {
    case .send(let peer, let channel, let bytes): self.send(bytes, on: channel, to: peer)
    case .handBack(let item):
      if !self.durable.isEmpty, case .block(let block) = item { self.resolveDurable(block) }
      self.give(.durable(item))
    }
  }

  /// The turn's end: what became due goes on, and what it made durable goes to the storage thread as one batch.
  private func endTurn() {
    self.steppedThisTurn = 0
    if self.executionDue {
      self.executionDue = false
      self.give(.sliceDue)
      // The loop polls once between slices, so that votes never wait for a large cut.
      if self.executionDue { self.loop.submit {} }
    }
    self.flush()
    self.flushPeers()
    self.setTimer()
  }

  private func flush() {
    guard let (number, batch) = self.gate.takeBatch() else { return }
    let (store, began) = (self.store, self.loop.now)
    self.write({ () throws(StorageFailure) in try store.write(batch) }) { [unowned self] result in
      self.storeWrites.observe(seconds: (self.loop.now - began).seconds)
      self.wrote(number, result)
    }
  }

  /// Does work on the storage thread, and goes on here; the work before must be done.
  func write(
    _ work: @escaping @Sendable () throws(StorageFailure) -> Void,
    then done: @escaping (Result<Void, StorageFailure>) -> Void
  ) {
    let loop = self.loop
    nonisolated(unsafe) let done = done
    self.writer.run(work) { result in loop.submit { unsafe done(result) } }
  }

  /// Fail-stop: what waits for this write must never be seen.
  func fail(storing failure: StorageFailure) {
    self.log.emit(.nodeFailed, ["reason": .text("\(failure)")])
    self.fail(failure)
  }

  private func wrote(_ number: UInt64, _ result: Result<Void, StorageFailure>) {
    do throws(StorageFailure) {
      try result.get()
      try self.state.settle(through: number)
    } catch { return self.fail(storing: error) }
    self.unwritten.removeAll { $0.batch <= number }
    let wasHeldUp = self.isHeldUp
    for item in self.gate.settle(number) { self.release(item) }
    if wasHeldUp, !self.isHeldUp { self.checkAll() }
  }

  private func setTimer() {
    var next = min(self.node.deadline, self.connectionDeadline)
    for tick in [self.dialler.deadline, self.replicationDeadline, self.rations.deadline, self.services.deadline] {
      if let tick { next = min(next, tick) }
    }
    if self.receipts.count > 0 { next = min(next, self.receipts.nextSweep) }
    self.timer?.set(to: next)
  }

  private func fireTimers() {
    let now = self.loop.now
    if self.node.deadline <= now { self.give(.timerFired) }
    self.fireConnectionTimers(at: now)
    self.stepDialler(.timerFired)
    self.serveWaiting()
    self.receipts.sweep(at: now)
    if self.services.deadline.map({ $0 <= now }) ?? false { self.give(services: .timerFired) }
    self.fireReplicationTimers(at: now)
  }

  /// Ends in order: hands over the view and writes what is under way.
  public func stop(then done: @escaping () -> Void) {
    self.log.emit(.nodeStopping)
    self.give(.stepDownRequested)
    self.endTurn()
    self.whenIdle(done)
  }

  private func whenIdle(_ done: @escaping () -> Void) {
    let loop = self.loop
    nonisolated(unsafe) let (me, finish) = (self, done)
    @Sendable func wait() {
      loop.submit {
        guard unsafe me.gate.isIdle else { return wait() }
        unsafe finish()
      }
    }
    wait()
  }

  /// Takes nothing in any more, lets go of all peers, and calls back when all is written.
  func leave(then done: @escaping () -> Void) {
    self.isAway = true
    for peer in self.peers { self.close(peer, reason: "a snapshot becomes the ledger") }
    nonisolated(unsafe) let (me, finish) = (self, done)
    // Not within the step that asked for it: what it wants done comes first.
    self.loop.submit {
      unsafe me.endTurn()
      unsafe me.whenIdle(finish)
    }
  }

  /// Starts the node anew on what the store holds.
  func restart() throws(StorageFailure) {
    self.unwritten = []
    try self.state.restart()
    self.node = try Self.restore(self.state.store, self.settings, at: self.loop.now)
    self.isAway = false
    self.configured(self.node.configuration)
    self.give(.timerFired)
    // Whoever came back meanwhile was not heard.
    for peer in self.byMember.keys.sorted() where !self.node.connected.contains(peer) {
      if peer < ReplicaSet.countMax || self.node.index == nil { self.give(.connected(peer)) }
    }
  }
}
