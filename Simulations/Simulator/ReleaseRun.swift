internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Rules
internal import Signing
internal import Threshold
internal import Wire

/// One seed's run of releases: a consortium makes a custody key, seals records to it, and readers ask their hospitals
/// for what the ledger granted and denied them, while nodes stop, connections break, records are erased and up to f
/// custodians lie.
///
/// Nobody gets a key whom no correct custodian's ledger permitted it (R2, R3, R7, R9); who is permitted gets it after
/// healing, with the liars still lying, and the patient's history says who released it (R5).
final class ReleaseRun {
  /// One who asks for one record under one request.
  final class Reader {
    let request: Digest
    let record: Int
    let slot: Int
    var combination: ReaderCombination
    var key: [UInt8]?
    /// In which life of its hospital's node it waits for an answer; nil where it does not.
    var waiting: Int?
    init(_ request: Digest, record: Int, slot: Int, _ combination: ReaderCombination) {
      (self.request, self.record, self.slot, self.combination) = (request, record, slot, combination)
    }
  }

  /// A record, and what only its readers know.
  struct Kept {
    let anchor: RecordAnchor
    let key: [UInt8]
    let head: SealedHead
    var isErased = false
  }

  static let windowMilliseconds: UInt64 = 20_000
  /// How long after healing a reader may have to wait.
  private static let patience = Span.milliseconds(120_000)
  let cluster: Cluster
  let liars: [Int: ServiceLie]
  private let count: Int
  var random: SeededGenerator
  private var records: [Kept] = []
  private var readers: [Reader] = []
  /// The secret halves of requests' ephemeral keys.
  private var secrets: [Digest: [UInt8]] = [:]
  private var number: UInt64 = 0
  private var breach: String?
  /// Whether nobody floods any more; in some runs somebody does once.
  private var wasFlooded: Bool
  private var patient = Digest.zero
  private let patientKey = RuleBench.key(1)

  init(seed: UInt64, engine: OrderingEngine) {
    var random = SeededGenerator(seed: seed ^ 0x7e1e)
    let counts = engine == .pbft ? [4, 4, 4, 5, 7] : [1, 3, 4, 5]
    self.count = counts[Int(random.below(UInt64(counts.count)))]
    var limits = HealthRules.Limits()
    limits.releaseWindowMilliseconds = Self.windowMilliseconds
    var parameters = Node.Parameters()
    parameters.isCustodian = true
    parameters.snapshotInterval = 0
    var world = World()
    world.engine = engine
    self.cluster = Cluster(
      count: self.count, seed: random.next(), parameters: parameters, world: world, rules: HealthRules(limits: limits))
    var liars: [Int: ServiceLie] = [:]
    if engine == .pbft {
      for _ in 0..<((self.count - 1) / 3) {
        let kinds = ServiceLie.allCases
        liars[Int(random.below(UInt64(self.count)))] = kinds[Int(random.below(UInt64(kinds.count)))]
      }
    }
    self.wasFlooded = !random.oneIn(3)
    (self.liars, self.random) = (liars, random)
  }

  /// The first promise that was not kept; nil where all were.
  func run(events: inout Int) -> String? {
    defer { events += self.cluster.eventCount }
    return self.furnish() ?? self.safetyPhase() ?? self.livenessPhase()
  }

  private var slots: Range<Int> { 0..<self.count }
  private var correct: [Int] { self.slots.filter { self.liars[$0] == nil } }
  private func one<Item>(of items: [Item]) -> Item { items[Int(self.random.below(UInt64(items.count)))] }

  /// What was broken so far.
  private func broken() -> String? { self.breach ?? self.cluster.serviceWatch.breach ?? self.cluster.breach }

  private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(self.random.below(256)) } }
}

/// What readers read is made.
extension ReleaseRun {
  /// The key of a practitioner of a slot's hospital; the second of two may read nothing of others' patients.
  private func doctor(_ slot: Int, isStranger: Bool = false) -> SigningKey {
    RuleBench.key((isStranger ? 60 : 20) + slot)
  }

  private func account(_ key: borrowing SigningKey, at slot: Int) -> Digest {
    Account.identifier(
      network: self.cluster.genesis.network, hospital: Cluster.hospital(slot), key: key.publicKey)
  }

  /// Submits a transaction of a hospital's; says what its identifier is.
  @discardableResult
  private func submit(
    _ kind: TransactionKind, _ payload: some WireEncodable, at slot: Int, by key: borrowing SigningKey
  ) -> Digest {
    let (until, nonce) = self.next(slot)
    let network = self.cluster.genesis.network
    let transaction = Transaction(
      kind: kind.rawValue, hospital: Cluster.hospital(slot), validUntil: until, nonce: nonce,
      payload: payload.encoded, network: network, signedBy: key)
    self.cluster.submit([transaction], to: slot)
    return transaction.identifier(network: network)
  }

  private func state(_ kind: TransactionKind, _ payload: some WireEncodable, at slot: Int) {
    let (until, nonce) = self.next(slot)
    let transaction = Transaction(
      kind: kind.rawValue, hospital: Cluster.hospital(slot), validUntil: until, nonce: nonce, payload: payload.encoded)
    self.cluster.submit([transaction], to: slot)
  }

  private func next(_ slot: Int) -> (until: Timestamp, nonce: [UInt8]) {
    self.number += 1
    var nonce = Encoder()
    nonce.u64(self.number)
    nonce.u32(0x7e1e)
    return (self.cluster.moment(slot).wall.adding(milliseconds: 300_000), nonce.bytes)
  }

  private func everywhere(_ holds: (MemoryState) -> Bool) -> Bool {
    self.cluster.run(within: .milliseconds(60_000), asking: 32) {
      self.slots.allSatisfy { holds(self.cluster.state($0)) }
    }
  }

  private func furnish() -> String? {
    func registration(_ kind: AccountKind, _ key: borrowing SigningKey) -> AccountRegistration {
      AccountRegistration(
        kind: kind, key: key.publicKey, sealingKey: .zero, role: 1, validFrom: .zero, validUntil: .never)
    }
    self.patient = self.account(self.patientKey, at: 0)
    self.submit(.registerAccount, registration(.patient, self.patientKey), at: 0, by: Cluster.registrar(0))
    for slot in self.slots {
      for isStranger in [false, true] {
        let key = self.doctor(slot, isStranger: isStranger)
        self.submit(.registerAccount, registration(.practitioner, key), at: slot, by: Cluster.registrar(slot))
      }
    }
    guard self.everywhere({ CustodyKeys(in: $0).current?.custodians.count == self.count }),
      let custody = CustodyKeys(in: self.cluster.state(0)).current
    else { return "RECORDS §5: no custody key in a minute" }
    let people = self.slots.map { self.account(self.doctor($0), at: $0) }
    guard self.everywhere({ state in people.allSatisfy { state.value(StateKey.account($0)) != nil } }) else {
      return "I7: nobody is registered in a minute"
    }
    for person in people {
      let grant = ConsentGrant(
        patient: self.patient, isDenial: false, grantee: .account(person), scope: .all, purposes: .treatment,
        from: .zero, until: .never, usesMax: nil)
      self.submit(.grantConsent, grant, at: 0, by: self.patientKey)
    }
    // The first is as if it were older than the custody key.
    for index in 0..<4 { self.anchor(index == 0 ? nil : custody) }
    let last = self.records.map(\.anchor.record)
    guard self.everywhere({ state in last.allSatisfy { state.value(StateKey.record($0)) != nil } }) else {
      return "I7: no record is anchored in a minute"
    }
    self.cluster.run(for: .milliseconds(1000))
    for slot in self.liars.keys.sorted() { if let lie = self.liars[slot] { self.cluster.lie(lie, at: slot) } }
    return self.broken()
  }

  /// Seals a record of hospital 1 and has it anchored; every vault has it.
  private func anchor(_ custody: CustodyKey?) {
    let network = self.cluster.genesis.network
    let (key, hashLock) = (self.bytes(Capsule.keyLengthBytes), Hash.sha256(self.bytes(16)))
    let record = RecordAnchor.identifier(
      network: network, hospital: Cluster.hospital(0), patient: self.patient, hashLock: hashLock)
    func anchor(_ digest: Digest) -> RecordAnchor {
      RecordAnchor(
        record: record, patient: self.patient, author: nil, category: .observation, hashLock: hashLock,
        address: .zero, sizeBytes: 1, capsule: digest, patientCopy: .zero, supersedes: nil, authorSignature: nil)
    }
    let capsule = custody.map { custody in
      Capsule(
        key, for: custody, label: anchor(.zero).label(network: network, custody: custody),
        random: self.bytes(Capsule.randomLengthBytes)
      ).encoded
    }
    let sealing = Cluster.describe(0).sealingKey
    let boxes = RecordPart.Boxes(
      capsule: capsule ?? [], hospitalCopy: SealedBox.seal(record.bytes + key, to: sealing.bytes) ?? [],
      patientCopy: [])
    let head = SealedHead(record: record, count: 1, boxes: boxes)
    let named = anchor(SealedRecord.digest(ofBox: boxes.capsule))
    self.records.append(Kept(anchor: named, key: key, head: head))
    for slot in self.slots { self.cluster.keep(head, at: slot) }
    self.state(.anchorRecord, named, at: 0)
  }
}

/// Readers, thieves and what happens to them.
extension ReleaseRun {
  private func safetyPhase() -> String? {
    for slot in self.slots where self.random.oneIn(3) {
      self.cluster.openingTakes(.milliseconds(1 + self.random.below(2000)), at: slot)
    }
    for _ in 0..<(8 + Int(self.random.below(10))) {
      if self.random.oneIn(2) { self.request(self.one(of: Array(self.slots)), isStranger: self.random.oneIn(3)) }
      for reader in self.readers where self.random.oneIn(2) {
        if self.random.oneIn(3) { self.steal(reader) } else { self.read(reader) }
      }
      if self.random.oneIn(3), !self.readers.isEmpty { self.flood(self.one(of: self.readers)) }
      self.erase()
      self.suspend()
      self.strike()
      let spans: [UInt64] = [5, 40, 300, 300, 2000, self.random.oneIn(4) ? 25_000 : 300]
      self.cluster.run(for: Span(nanoseconds: 1 + self.random.below(1_000_000 * self.one(of: spans))))
      if let failure = self.broken() { return failure }
    }
    return nil
  }

  /// Somebody asks the ledger for a record or two.
  @discardableResult
  private func request(_ slot: Int, isStranger: Bool, only wanted: Int? = nil) -> [Reader] {
    guard self.cluster.node(slot) != nil else { return [] }
    let first = wanted ?? Int(self.random.below(UInt64(self.records.count)))
    let named = wanted == nil && self.random.oneIn(2) ? [first, (first + 1) % self.records.count] : [first]
    let secret = Hash.sha256(self.bytes(16)).bytes
    guard let ephemeral = Digest(KeyAgreement.publicKey(of: secret)) else { return [] }
    let payload = AccessRequest(
      patient: self.patient, records: named.map { self.records[$0].anchor.record }, purpose: .treatment, reason: 0,
      ephemeralKey: ephemeral)
    // A stranger at the patient's own hospital is none.
    let isOwn = slot == 0
    let identifier = self.submit(
      .requestAccess, payload, at: slot, by: self.doctor(slot, isStranger: isStranger && !isOwn))
    let readers = named.map { record in
      Reader(
        identifier, record: record, slot: slot,
        ReaderCombination(
          network: self.cluster.genesis.network, request: identifier, anchor: self.records[record].anchor,
          secret: secret, members: self.cluster.genesis.members.map(\.key)))
    }
    if let reader = readers.first { self.secrets[reader.request] = secret }
    self.readers += readers
    return readers
  }

  /// A reader asks its hospital, as the pages and the command line do.
  private func read(_ reader: Reader) {
    let life = self.cluster.incarnation(reader.slot)
    guard self.cluster.node(reader.slot) != nil, reader.waiting != life, reader.key == nil else { return }
    reader.waiting = life
    let kept = self.records[reader.record]
    let question = ReleaseQuestion(request: reader.request, record: kept.anchor.record)
    self.cluster.release(
      question, capsule: kept.head.boxes.capsule, without: reader.combination.settled, at: reader.slot
    ) { [unowned self] result in
      reader.waiting = nil
      switch result {
      case .success(.shares(let shares, let custody)): self.take(shares, of: custody, reader)
      case .success(.hospitalKey(let release)):
        self.found(
          self.secrets[reader.request].flatMap {
            SealedRecord.key(in: release.key, of: kept.anchor.record, secret: $0)
          }, reader)
      case .failure: break
      }
    }
  }

  private func take(_ shares: [SealedShare], of custody: CustodyKey, _ reader: Reader) {
    let answer = ReleaseAnswer(head: self.records[reader.record].head, chunks: [], shares: shares, custody: custody)
    do throws(ReaderCombination.BadCapsule) {
      for accusation in try reader.combination.take(answer) { self.accuse(accusation, reader) }
    } catch { return self.tell("R9: the capsule of an honest hospital is refused") }
    if reader.combination.isComplete { self.found(reader.combination.key, reader) }
  }

  private func found(_ key: [UInt8]?, _ reader: Reader) {
    guard key == self.records[reader.record].key else {
      return self.tell("R2: what was released does not open the record")
    }
    reader.key = key
  }

  private func accuse(_ accusation: ShareAccusation, _ reader: Reader) {
    let author = accusation.share.member
    guard self.liars[author] == .otherCapsule else {
      return self.tell("R9: member \(author) is said to have signed a wrong share")
    }
    self.submit(.accuseCustodian, accusation, at: reader.slot, by: self.doctor(reader.slot))
  }

  /// A hospital asks others for shares by its own account: for what was denied, erased or is over, and with another
  /// capsule.
  private func steal(_ reader: Reader) {
    let slot = self.one(of: Array(self.slots))
    guard self.cluster.node(slot) != nil else { return }
    let other = self.one(of: self.records)
    let asked = self.random.oneIn(3) ? other : self.records[reader.record]
    let capsule = (self.random.oneIn(3) ? other : self.records[reader.record]).head.boxes.capsule
    let question = ReleaseQuestion(request: reader.request, record: asked.anchor.record)
    for member in self.slots where member != slot {
      self.cluster.ask(
        member, capsule.isEmpty ? .hospitalKey(question) : .share(question, capsule: capsule), at: slot
      ) { _ in }
    }
  }

  /// A hospital asks one member for one share over and over again, and in some runs once oftener than is answered.
  private func flood(_ reader: Reader) {
    let slot = self.one(of: Array(self.slots))
    let kept = self.records[reader.record]
    guard self.cluster.node(slot) != nil, let member = self.slots.first(where: { $0 != slot }) else { return }
    let isLarge = !self.wasFlooded
    self.wasFlooded = true
    let request = isLarge && self.random.oneIn(2) ? Hash.sha256(self.bytes(16)) : reader.request
    let question = ReleaseQuestion(request: request, record: kept.anchor.record)
    let capsule = kept.head.boxes.capsule
    let count = isLarge ? 2000 : 50
    for _ in 0..<count {
      self.cluster.ask(
        member, capsule.isEmpty ? .hospitalKey(question) : .share(question, capsule: capsule), at: slot
      ) { _ in }
    }
  }

  /// A registrar suspends a practitioner, or lets one go on.
  private func suspend() {
    guard self.random.oneIn(4) else { return }
    let slot = self.one(of: Array(self.slots))
    self.set(self.random.oneIn(2) ? .suspended : .active, at: slot)
  }

  private func set(_ status: AccountStatus, at slot: Int) {
    guard self.cluster.node(slot) != nil else { return }
    let change = StatusChange(account: self.account(self.doctor(slot), at: slot), status: status)
    self.submit(.setStatus, change, at: slot, by: Cluster.registrar(slot))
  }

  /// The patient has a record erased; two are left.
  private func erase() {
    guard self.random.oneIn(5), self.cluster.node(0) != nil, self.records.count(where: { !$0.isErased }) > 2 else {
      return
    }
    let index = Int(self.random.below(UInt64(self.records.count)))
    self.records[index].isErased = true
    for reader in self.readers where reader.record == index { self.read(reader) }
    self.submit(.eraseRecord, self.records[index].anchor.record, at: 0, by: self.patientKey)
  }

  private func strike() {
    let slot = self.one(of: Array(self.slots))
    let other = self.one(of: Array(self.slots))
    switch self.random.below(10) {
    case 0: self.cluster.crash(slot, losingWrite: self.random.oneIn(2))
    case 1: self.cluster.crash(slot, afterEffects: 1 + Int(self.random.below(12)))
    case 2, 3, 4: self.slots.forEach { self.cluster.restart($0) }
    case 5: if slot != other { self.cluster.cut(slot, other) }
    case 6: self.cluster.heal()
    case 7: if slot != other { self.cluster.reset(slot, other) }
    case 8:
      self.cluster.world.network.lossPerMillion = self.random.oneIn(2) ? 0 : NetworkModel.oneIn(4)
      self.cluster.world.network.duplicationPerMillion = self.random.oneIn(2) ? 0 : NetworkModel.oneIn(3)
    default: break
    }
  }

  private func tell(_ sentence: String) { self.breach = self.breach ?? sentence }
}

/// After healing.
extension ReleaseRun {
  private func livenessPhase() -> String? {
    self.cluster.world.network.lossPerMillion = 0
    self.cluster.heal()
    for slot in self.slots {
      self.cluster.crash(slot, afterEffects: nil)
      self.cluster.restart(slot)
      self.cluster.openingTakes(.milliseconds(5), at: slot)
    }
    self.cluster.run(for: .milliseconds(5000))
    for slot in self.slots { self.set(.active, at: slot) }
    for index in self.records.indices where !self.records[index].isErased {
      // A record that is older than the custody key opens by its hospital alone.
      if self.records[index].head.boxes.capsule.isEmpty, self.liars[0] != nil { continue }
      if let failure = self.open(index, at: self.one(of: self.correct)) { return failure }
    }
    return self.checkAccusations() ?? self.broken()
  }

  /// A reader who is permitted asks until the record opens; once the time is over, with another request.
  private func open(_ record: Int, at slot: Int) -> String? {
    let end = self.cluster.now + Self.patience
    while self.cluster.now < end {
      guard let reader = self.request(slot, isStranger: false, only: record).first else { break }
      let until = self.cluster.now + .milliseconds(Self.windowMilliseconds)
      while self.cluster.now < until, reader.key == nil {
        self.read(reader)
        self.cluster.run(for: .milliseconds(25))
        if let failure = self.broken() { return failure }
      }
      if reader.key != nil { return self.checkHistory(reader) }
    }
    return "R2: a reader who is permitted does not get a key, \(self.liars.count) of \(self.count) lie"
  }

  /// R5: who released something is in the patient's history.
  private func checkHistory(_ reader: Reader) -> String? {
    var authors = reader.combination.settled.members.filter { self.liars[$0] == nil }
    if self.records[reader.record].head.boxes.capsule.isEmpty { authors = [0] }
    let isThere = self.cluster.run(within: .milliseconds(60_000), asking: 32) {
      let entry = AccessEntry.find(request: reader.request, in: self.cluster.state(reader.slot))?.entry
      return authors.allSatisfy { entry?.releases.contains(Cluster.hospital($0)) ?? false }
    }
    return isThere ? nil : "R5: the patient's history does not say who released a key"
  }

  private func checkAccusations() -> String? {
    let slot = self.one(of: self.correct)
    let accused = self.slots.first {
      self.cluster.state(slot).value(StateKey.wrongShare(Cluster.hospital($0))) != nil
        && self.liars[$0] != .otherCapsule
    }
    return accused.map { "R9: the ledger says that member \($0) signed a wrong share" }
  }
}

extension Cluster {
  /// Makes a slot's services lie.
  func lie(_ lie: ServiceLie, at slot: Int) {
    self.machines[slot].host.lie = lie
    self.faulty.insert(self.machines[slot].member)
  }
  /// How often a slot has stopped.
  func incarnation(_ slot: Int) -> Int { self.machines[slot].incarnation }
  /// Puts a record's head into a slot's vault.
  func keep(_ head: SealedHead, at slot: Int) { self.machines[slot].host.heads[head.record] = head }
  /// How long opening a capsule takes at most at a slot.
  func openingTakes(_ span: Span, at slot: Int) { self.machines[slot].host.openingMax = span }
}
