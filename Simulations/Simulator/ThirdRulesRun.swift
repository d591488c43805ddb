internal import HealthRecords
internal import Messages
internal import Primitives
internal import Rules
internal import Signing
internal import Threshold
internal import Wire

/// One seed's run of what the third version of the rules changed: members leave and go on under new keys, and other
/// custody keys are made, while records hang on the shares of two keys; judged by a naive list of who has which share,
/// and of the sealing keys under which each record was written (RECORDS §5, §10).
struct ThirdRulesRun {
  private struct Kept {
    let identifier: Digest
    let hospital: UInt32
    /// The sealing key that the hospital had as it wrote it.
    var sealing: Int
    var generation: UInt64
  }

  private var bench: RuleBench
  private var random: SeededGenerator
  private var isThird = false
  /// By key: who has a share, and how many it takes.
  private var holders: [UInt64: (members: Set<UInt32>, needed: Int)] = [:]
  private var current: UInt64 = 1
  private var records: [Kept] = []
  private var sealing: [UInt32: Int] = [:]
  /// The numbers of the members' keys, by their places.
  private var signers: [Int]
  private var nextKey = 110
  private var anchors: UInt64 = 0

  init(seed: UInt64) {
    self.random = SeededGenerator(seed: seed ^ 0x741d)
    let count = [1, 2, 3, 4, 4, 4, 5, 7][Int(self.random.below(8))]
    var ledger = LedgerLimits()
    ledger.pipelineMax = 1
    if let rules = AgreedRules(version: 2, emergencyAgeMilliseconds: 0) { ledger.rules = rules }
    self.bench = RuleBench(members: count, ledger: ledger)
    self.signers = (0..<count).map { 101 + $0 }
  }

  private var configuration: Configuration { self.bench.configuration }
  private var voters: [UInt32] { self.configuration.voters.map { self.configuration.members[$0].id.number } }
  private mutating func one(of count: Int) -> Int { Int(self.random.below(UInt64(count))) }
  private func patient(_ hospital: UInt32) -> Digest {
    Account.identifier(
      network: self.bench.network, hospital: MemberID(hospital), key: RuleBench.key(Int(hospital)).publicKey)
  }

  /// The first answer that differs from the naive list's, or a key that opens nothing more though nobody said that it
  /// may; nil where there is none.
  mutating func run(events: inout Int) -> String? {
    if let failure = self.furnish() { return failure }
    let adoption = self.random.oneIn(4) ? Int.max : self.one(of: 12)
    for number in 0..<60 {
      events += 1
      if number == adoption, let failure = self.adopt() { return failure }
      let failure: String? =
        switch self.random.below(8) {
        case 0, 1: self.write()
        case 2: self.reseal()
        case 3: self.rotate()
        case 4, 5: self.deal()
        default: self.changeMembers()
        }
      if let failure { return failure }
    }
    return nil
  }

  private mutating func furnish() -> String? {
    for hospital in self.voters {
      let key = Int(hospital)
      let registration = AccountRegistration(
        kind: .patient, key: RuleBench.key(key).publicKey, sealingKey: .zero, role: 1, validFrom: .zero,
        validUntil: Timestamp(milliseconds: 1 << 40))
      let word = self.bench.possession(of: key, as: .patient, sealingKey: .zero, at: hospital)
      let made = self.bench.execute(
        .registerAccount, Proven(registration, proof: word), at: hospital, by: 200 + key)
      guard made.outcome == .applied else { return "RECORDS §2: an account cannot be registered" }
    }
    let generation = KeyGeneration(configuration: self.configuration.number, deadline: .never)
    self.bench.state.apply([StateWrite(key: StateKey.generation, value: generation.encoded)])
    return self.deal() ?? self.write()
  }

  /// Until a quorum adopts the third rules what only they know has no effect.
  private mutating func adopt() -> String? {
    guard let rules = AgreedRules(version: 3, emergencyAgeMilliseconds: 0) else { return "there are no third rules" }
    let change = RulesChange(rules: rules, adoptions: 0, validUntil: .never)
    let signed = change.signedBytes(network: self.bench.network)
    let approvals = self.configuration.voters.map { signer in
      VoteSignature(signer: signer, signature: RuleBench.key(201 + signer).sign(signed))
    }
    let place = self.voters[0]
    let stated = CustodyRotation(generation: self.current, leavesRecords: true)
    guard self.bench.execute(.rotateCustody, stated, at: place, by: 200 + Int(place)).outcome == .malformed else {
      return "RECORDS §10: what the second rules do not know has an effect under them"
    }
    let approved = ApprovedRules(change, approvals: approvals)
    let outcome = self.bench.execute(.adoptRules, approved, at: place, by: nil).outcome
    self.isThird = outcome == .applied
    // Which sealing keys members had before, the ledger does not know.
    for index in self.records.indices { self.records[index].sealing = self.sealing[self.records[index].hospital] ?? 0 }
    return self.isThird ? nil : "RECORDS §10: rules that a quorum approved were answered \(outcome.number)"
  }

  private mutating func write() -> String? {
    guard self.holders[self.current] != nil else { return nil }
    let authors = self.voters.filter { self.bench.state.value(StateKey.account(self.patient($0))) != nil }
    guard !authors.isEmpty else { return nil }
    let hospital = authors[self.one(of: authors.count)]
    self.anchors += 1
    let hashLock = Hash.blake2b("lock", self.anchors.bigEndianBytes)
    let record = RecordAnchor.identifier(
      network: self.bench.network, hospital: MemberID(hospital), patient: self.patient(hospital), hashLock: hashLock)
    let anchor = RecordAnchor(
      record: record, patient: self.patient(hospital), author: nil, category: .observation, hashLock: hashLock,
      address: .zero, sizeBytes: 1, capsule: .zero, patientCopy: .zero, supersedes: nil, authorSignature: nil)
    let outcome = self.bench.execute(.anchorRecord, anchor, at: hospital, by: nil).outcome
    guard outcome == .applied else { return "RECORDS §3: a record is answered \(outcome.number)" }
    self.records.append(
      Kept(
        identifier: record, hospital: hospital, sealing: self.sealing[hospital] ?? 0, generation: self.current))
    return nil
  }

  /// A hospital that can seals a record to the newest key; or a patient erases one.
  private mutating func reseal() -> String? {
    guard !self.records.isEmpty else { return nil }
    let index = self.one(of: self.records.count)
    let record = self.records[index]
    guard self.voters.contains(record.hospital) else { return nil }
    if self.random.oneIn(3) {
      let outcome = self.bench.execute(
        .eraseRecord, record.identifier, at: record.hospital, by: Int(record.hospital)
      ).outcome
      if outcome == .applied, self.isErased(record.identifier) { self.records.remove(at: index) }
    } else if record.generation < self.current, record.sealing == self.sealing[record.hospital] ?? 0 {
      let resealing = RecordResealing(record: record.identifier, capsule: .zero)
      let outcome = self.bench.execute(.resealRecord, resealing, at: record.hospital, by: nil).outcome
      guard outcome == .applied else { return "RECORDS §5: sealing to the newest key is answered \(outcome.number)" }
      self.records[index].generation = self.current
    }
    self.retire()
    return nil
  }

  private func isErased(_ record: Digest) -> Bool {
    self.bench.state.item(StateKey.record(record), as: RecordEntry.self)?.isErased ?? false
  }

  /// A key under which nothing is left goes out of use with the next cut.
  private mutating func retire() {
    self.bench.expire()
    for key in self.holders.keys where key < self.current && !self.records.contains(where: { $0.generation == key }) {
      self.holders[key] = nil
    }
  }
}

extension ThirdRulesRun {
  /// Shares of the newest key are dealt, or dealt again, among all; some say later, or never, that theirs are good.
  private mutating func deal() -> String? {
    guard var generation = CustodyKeys(in: self.bench.state).generation else { return nil }
    let (configuration, key) = (self.configuration, CustodyKeys(in: self.bench.state).key(of: generation.generation))
    let quorums = CustodyQuorums(configuration)
    if let key, key.holders(in: configuration).count < key.threshold { return nil }
    var all = ReplicaSet()
    for member in configuration.voters { all.insert(member) }
    if key != nil || generation.phase != .registering {
      generation.begin(
        configuration.number, voters: configuration.voters, registered: all, key: key, quorums, nextDeadline: .never)
    } else {
      for member in configuration.voters { generation.register(member, quorums, nextDeadline: .never) }
    }
    for member in configuration.voters where generation.owesDealing(member) {
      generation.deal(member, nextDeadline: .never)
    }
    var order = configuration.voters
    self.random.shuffle(&order)
    for member in order where generation.phase != .active || self.random.oneIn(2) {
      generation.confirm(member, good: generation.dealers, quorums)
    }
    guard generation.phase == .active else { return "RECORDS §5: no key is made though all take part" }
    let made = CustodyKey(
      generation: generation.generation, epoch: generation.epoch,
      commitments: (0..<generation.threshold).map { Scalar($0 + 1).times }, custodians: generation.custodians,
      attempt: generation.attempt, dealers: generation.dealers, participants: generation.participants)
    self.bench.state.apply([
      StateWrite(key: StateKey.generation, value: generation.encoded),
      StateWrite(key: StateKey.custodyKey(made.generation), value: made.encoded),
    ])
    let members = Set(made.holders(in: configuration).map { configuration.members[$0].id.number })
    self.holders[made.generation] = (members, made.threshold)
    self.current = made.generation
    self.retire()
    return nil
  }

  /// A registrar wants another key; where records would be left, under the third rules, a quorum's must say so.
  private mutating func rotate() -> String? {
    guard let generation = CustodyKeys(in: self.bench.state).generation, let held = self.holders[self.current],
      generation.generation == self.current
    else { return nil }
    let isLost = held.members.count < held.needed
    let leavesSome =
      isLost
      || self.records.contains { record in
        record.generation == self.current
          && (!self.voters.contains(record.hospital) || record.sealing != self.sealing[record.hospital] ?? 0)
      }
    let isOpen =
      self.holders[self.current - 1] == nil
      && (generation.phase == .active || self.isThird && isLost && generation.epoch > 0)
    let place = self.voters[self.one(of: self.voters.count)]
    let plain = CustodyRotation(generation: self.current)
    let outcome = self.bench.execute(.rotateCustody, plain, at: place, by: 200 + Int(place)).outcome
    let expected = isOpen && !(self.isThird && leavesSome)
    guard (outcome == .applied) == expected else {
      return "RECORDS §5: a rotation that leaves \(leavesSome ? "" : "no ")records was answered \(outcome.number)"
    }
    guard isOpen, self.isThird, leavesSome, self.random.oneIn(2) else { return nil }
    let stated = CustodyRotation(generation: self.current, leavesRecords: true)
    for (count, member) in self.voters.prefix(self.configuration.quorum).enumerated() {
      guard CustodyKeys(in: self.bench.state).generation?.generation == self.current else {
        return "RECORDS §5: \(count) registrars alone leave records behind"
      }
      _ = self.bench.execute(.rotateCustody, stated, at: member, by: 200 + Int(member))
    }
    let isBegun = CustodyKeys(in: self.bench.state).generation?.generation == self.current + 1
    return isBegun ? nil : "RECORDS §5: a quorum's registrars cannot leave records behind"
  }

  /// A member leaves, or goes on under new keys, or one joins.
  private mutating func changeMembers() -> String? {
    guard self.nextKey < 190, let action = self.action() else { return nil }
    let isStated = self.random.oneIn(3)
    let change = MembershipChange(
      configuration: self.configuration.number, action: action, validUntil: .never, losesRecords: isStated)
    let signed = change.signedBytes(network: self.bench.network)
    let approvals = self.configuration.voters.prefix(self.configuration.quorum).map { signer in
      VoteSignature(signer: signer, signature: RuleBench.key(201 + signer).sign(signed))
    }
    let isKnown = self.isThird || !change.losesRecords
    let isNeeded = !self.keysNeeding(action).isEmpty
    let outcome = self.bench.execute(
      .changeMembers, ApprovedChange(change, approvals: approvals), at: self.voters[0], by: nil
    ).outcome
    guard isKnown else {
      return outcome == .malformed ? nil : "RECORDS §10: what the second rules do not know has an effect under them"
    }
    if self.isThird {
      guard (outcome == .applied) == (!isNeeded || isStated) else {
        return "RECORDS §5: a change that takes a share which is \(isNeeded ? "" : "not ")needed was answered "
          + "\(outcome.number)"
      }
    }
    guard outcome == .applied else { return nil }
    // Shares may be dealt again, to fewer, before a tree head covers the change.
    if self.random.oneIn(3), let failure = self.deal() { return failure }
    return self.begin(action, isStated: isStated)
  }

  private mutating func action() -> MembershipAction? {
    if self.random.oneIn(6), self.configuration.members.count < 9 {
      return .add(self.member(UInt32(self.configuration.members.count + 1), sealing: .zero))
    }
    let number = self.voters[self.one(of: self.voters.count)]
    if self.random.oneIn(4) { return self.voters.count > 1 ? .remove(MemberID(number)) : nil }
    guard let before = self.configuration.index(of: MemberID(number)).map({ self.configuration.members[$0] }) else {
      return nil
    }
    let isSealed = self.random.oneIn(2)
    return .replace(
      self.member(
        number, sealing: isSealed ? before.sealingKey : Hash.blake2b("sealing", [UInt8(self.nextKey)]),
        keeping: self.random.oneIn(4) ? before : nil))
  }

  private mutating func member(_ number: UInt32, sealing: Digest, keeping before: Member? = nil) -> Member {
    self.nextKey += 2
    let (key, checkpointKey) = (RuleBench.key(self.nextKey).publicKey, RuleBench.key(self.nextKey + 1).publicKey)
    return Member(
      id: MemberID(number), name: "x", key: before?.key ?? key, checkpointKey: checkpointKey,
      registrarKey: RuleBench.key(200 + Int(number)).publicKey, sealingKey: sealing, addresses: [])
  }

  /// The keys that open nothing more after a change, and did before.
  private func keysNeeding(_ action: MembershipAction) -> [UInt64] {
    if case .add = action { return [] }
    if case .replace(let member) = action,
      self.configuration.index(of: member.id).map({ self.configuration.members[$0].key }) == member.key
    {
      return []
    }
    return self.holders.filter { key in
      key.value.members.contains(action.member.number) && key.value.members.count == key.value.needed
    }.keys.sorted()
  }

  /// The change counts by a tree head, and begins.
  private mutating func begin(_ action: MembershipAction, isStated: Bool) -> String? {
    let before = self.configuration
    let body = CheckpointBody(
      network: self.bench.network, size: 1 << 40, root: Hash.blake2b("root", []), sequence: SequenceNumber(1 << 20),
      stateDigest: .zero, configuration: before.number)
    let head = StableCheckpoint(
      body: body,
      cosignatures: before.voters.prefix(before.quorum).map { index in
        Cosignature(body, signer: index, seconds: 1, key: RuleBench.key(self.signers[index]))
      })
    let needing = self.keysNeeding(action)
    let outcome = self.bench.execute(.openConfiguration, head, at: self.voters[0], by: nil).outcome
    let isRefused = self.isThird && !isStated && !needing.isEmpty
    let isPending = self.bench.state.value(StateKey.pendingChange) != nil
    guard (outcome == .applied) != isRefused, !isPending else {
      return "RECORDS §5: opening a configuration that takes \(needing.count) keys was answered \(outcome.number)"
    }
    guard outcome == .applied else { return nil }
    self.bench.expire()
    let next = ConfigurationNumber(before.number.number + 1)
    guard let record = self.bench.state.item(StateKey.configuration(next), as: ConfigurationRecord.self) else {
      return "LEDGER §8: a configuration does not begin"
    }
    self.bench.configuration = record.configuration
    self.take(action, from: before)
    self.bench.expire()
    return self.checkKeys(needing: needing, isStated: isStated)
  }

  private mutating func take(_ action: MembershipAction, from before: Configuration) {
    let number = action.member.number
    var losesShare = true
    if let index = before.index(of: action.member), case .replace(let member) = action {
      losesShare = before.members[index].key != member.key
      if before.members[index].sealingKey != member.sealingKey { self.sealing[number, default: 0] += 1 }
    }
    if case .remove = action {
    } else {
      let index = self.configuration.index(of: action.member) ?? 0
      if index == self.signers.count { self.signers.append(0) }
      self.signers[index] = self.nextKey + 1
    }
    for key in self.holders.keys where losesShare { self.holders[key]?.members.remove(number) }
  }

  /// No key falls below its threshold that nobody gave away, and what the state says of shares is so.
  private func checkKeys(needing: [UInt64], isStated: Bool) -> String? {
    guard needing.isEmpty || !self.isThird || isStated else {
      return "RECORDS §5: keys \(needing) open nothing more, and nobody said that they may"
    }
    for key in CustodyKeys(in: self.bench.state).all {
      let held = Set(key.holders(in: self.configuration).map { self.configuration.members[$0].id.number })
      guard held == self.holders[key.generation]?.members else {
        return "RECORDS §5: of key \(key.generation) the state says that \(held.sorted()) have shares"
      }
    }
    return nil
  }
}
