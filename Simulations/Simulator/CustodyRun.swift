internal import Custody
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Rules
internal import Signing
internal import Threshold
internal import Wire

/// One seed's run of custody alone: members make a key by the rules while up to f of them lie, crash or stay away; then
/// records are sealed to it and opened, with wrong shares among the right ones (RECORDS §5; R2, R3, R9).
struct CustodyRun {
  /// What a lying member does.
  enum Lie: CaseIterable {
    /// Deals bad shares to some, or to all others.
    case badShares
    /// Complains of everybody.
    case falseComplaints
    /// Says nothing.
    case silence
    /// Says that all shares are good, and complains of none.
    case blindness
    /// Says one thing several times, and what was not asked.
    case noise
  }

  private static let window: UInt64 = 60_000
  private static let epoch: UInt64 = 100_000_000
  private let count: Int
  let lies: [ReplicaIndex: Lie]
  var random: SeededGenerator
  var bench: RuleBench
  private var members: [Custodian]
  var secrets: [CustodianSecrets]
  /// The numbers of the members' keys.
  private var signers: [Int]
  private var now = Tick.zero

  init(seed: UInt64) {
    var random = SeededGenerator(seed: seed ^ 0xc057_0d1)
    let counts = [1, 2, 3, 4, 4, 4, 4, 5, 6, 7]
    let count = counts[Int(random.below(UInt64(counts.count)))]
    var limits = HealthRules.Limits()
    limits.custodyWindowMilliseconds = Self.window
    limits.custodyEpochMilliseconds = Self.epoch
    let bench = RuleBench(members: count, engine: random.oneIn(4) ? .raft : .pbft, limits: limits)
    var lies: [ReplicaIndex: Lie] = [:]
    for _ in 0..<bench.configuration.faultyMax where !random.oneIn(4) {
      let kinds = Lie.allCases + [.badShares, .badShares]
      lies[Int(random.below(UInt64(count)))] = kinds[Int(random.below(UInt64(kinds.count)))]
    }
    let secrets = Array(repeating: CustodianSecrets(), count: count)
    (self.count, self.lies, self.random, self.bench, self.secrets) = (count, lies, random, bench, secrets)
    self.members = (0..<count).map { Custodian(member: $0, at: .zero) }
    self.signers = (0..<count).map { 101 + $0 }
  }

  var voters: [ReplicaIndex] { self.bench.configuration.voters }
  var generation: KeyGeneration? { CustodyKeys(in: self.bench.state).generation }
  /// The key in use.
  var custody: CustodyKey? { CustodyKeys(in: self.bench.state).current }

  /// The first thing that should not be; nil where all is well.
  mutating func run(events: inout Int) -> String? {
    self.make(epoch: 0, &events)
    return self.checkKey() ?? self.checkOpening(&events) ?? self.checkCapsules() ?? self.goOver(&events)
      ?? self.refresh(&events) ?? self.rotate(&events)
  }

  /// Lets time go by until the key is there, or has gone over to other custodians.
  mutating func make(epoch: UInt64, _ events: inout Int) {
    // Every window may have to pass, and every liar can spoil a try.
    for _ in 0..<(8 * (self.lies.count + 2)) where self.custody?.epoch != epoch {
      events += 1
      for _ in 0..<8 { self.turn() }
      self.now = self.now + Custodian.retryInterval + .milliseconds(1)
      self.bench.time = self.bench.time.adding(milliseconds: self.random.below(2 * Self.window))
      if self.bench.deadline <= self.bench.time { self.bench.expire() }
    }
    for _ in 0..<16 { self.turn() }
    // Whoever was late, or lost what it was going to say, is done at some time too.
    for _ in 0..<40 where self.voters.contains(where: { self.isLate($0) }) {
      for _ in 0..<4 { self.turn() }
      self.now = self.now + Custodian.retryInterval + .milliseconds(1)
    }
    for member in self.voters where self.lies[member] == nil { self.forget(member) }
  }

  /// Some members look, in any order; what they say is executed in any order, or lost in a crash.
  private mutating func turn() {
    var said: [(member: ReplicaIndex, statement: CustodyStatement)] = []
    var order = self.voters
    self.random.shuffle(&order)
    for member in order where self.random.oneIn(2) {
      guard let task = self.look(member) else { continue }
      if self.random.oneIn(8) {
        // It crashed before it said what it was going to say, and knows nothing of it.
        self.members[member] = Custodian(member: member, at: self.now)
        continue
      }
      said += self.perform(task, member).map { (member, $0) }
    }
    self.random.shuffle(&said)
    for (member, statement) in said {
      let hospital = self.bench.configuration.members[member].id
      let transaction = statement.transaction(
        hospital: hospital, validUntil: .never, nonce: self.bytes(Transaction.nonceLengthBytes))
      _ = self.bench.execute(transaction)
    }
  }

  private mutating func look(_ member: ReplicaIndex) -> CustodyTask? {
    let own = self.bench.configuration.members[member].id
    return self.members[member].look(
      isRegistered: self.bench.state.value(StateKey.transportKey(own)) != nil, generation: self.generation, at: self.now
    )
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    var out: [UInt8] = []
    for _ in 0..<count { out.append(UInt8(self.random.below(256))) }
    return out
  }

  private mutating func perform(_ task: CustodyTask, _ member: ReplicaIndex) -> [CustodyStatement] {
    guard
      let job = CustodyReading.job(
        for: task, of: member, self.bench.configuration, self.bench.network, in: self.bench.state)
    else { return [] }
    var source = SeededGenerator(seed: self.random.next())
    func draw(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(source.below(256)) } }
    let before = self.secrets[member]
    _ = self.secrets[member].prepare(for: job, random: draw)
    let honest = self.secrets[member].perform(job, as: member, network: self.bench.network, random: draw)
    guard let lie = self.lies[member] else { return honest }
    switch (lie, job) {
    case (.silence, _): return self.random.oneIn(3) ? honest : []
    case (.badShares, .deal(let context, let threshold, let recipients)),
      // Of a share of a key another one is dealt, which no rule may take.
      (.badShares, .share(let context, let threshold, let recipients, _, _, _)):
      let isConsistent = self.random.oneIn(2)
      return [self.badDealing(context, threshold, recipients, isConsistent: isConsistent)] + honest
    case (.falseComplaints, .examine(let attempt, _, _, let dealings)):
      let secrets = self.secrets[member]
      let complaints = dealings.compactMap { dealt in
        secrets.complaint(of: dealt, nonce: Scalar(reducing: self.bytes(64))).map { CustodyStatement.complaint($0) }
      }
      return complaints + [.confirmation(ShareConfirmation(attempt: attempt, good: ReplicaSet()))]
    case (.blindness, .examine(let attempt, _, _, let dealings)):
      var all = ReplicaSet()
      for dealt in dealings { all.insert(dealt.context.dealer) }
      return [.confirmation(ShareConfirmation(attempt: attempt, good: all))]
    case (.noise, .register):
      // Its old key again, where a new one is due.
      return before.perform(job, as: member, network: self.bench.network, random: draw) + honest
    case (.noise, _): return honest + honest + self.nonsense(job)
    default: return honest
    }
  }

  private mutating func badDealing(
    _ context: DealingContext, _ threshold: Int, _ recipients: [CustodyJob.Recipient], isConsistent: Bool = false
  ) -> CustodyStatement {
    let isForAll = self.random.oneIn(4)
    let victim = recipients[Int(self.random.below(UInt64(recipients.count)))].member
    let coefficients = (0..<threshold).map { _ in Scalar(reducing: self.bytes(64)) }
    let dealing = Dealing(
      coefficients: coefficients, secret: Scalar(reducing: self.bytes(64)),
      to: recipients.map { ($0.member, $0.key) }, context: context,
      bending: { member, share in
        !isConsistent && (isForAll || member == victim) ? share + Scalar(1) : share
      })
    return .dealing(DealingStatement(attempt: context.attempt, dealing: dealing))
  }

  /// Statements that nobody asked for: of another try, and with too few commitments.
  private mutating func nonsense(_ job: CustodyJob) -> [CustodyStatement] {
    guard case .deal(let context, _, let recipients) = job else { return [] }
    let few = Dealing(
      coefficients: [Scalar(reducing: self.bytes(64))], secret: Scalar(reducing: self.bytes(64)),
      to: recipients.dropLast().map { ($0.member, $0.key) }, context: context)
    return [
      .dealing(DealingStatement(attempt: context.attempt, dealing: few)),
      .dealing(DealingStatement(attempt: context.attempt + 1, dealing: few)),
      .confirmation(ShareConfirmation(attempt: context.attempt, good: ReplicaSet())),
    ]
  }
}

extension CustodyRun {
  func keyShare(_ member: ReplicaIndex, of custody: CustodyKey) -> KeyShare? {
    guard
      let agreed = CustodyReading.dealings(
        of: custody, for: member, network: self.bench.network, in: self.bench.state)
    else { return nil }
    return self.secrets[member].keyShare(of: custody, as: member, from: agreed.dealings, at: agreed.place)
  }

  /// The key is there, enough honest members hold shares of it, and only liars were found guilty.
  func checkKey() -> String? {
    guard let generation = self.generation, let custody = self.custody else {
      return "RECORDS §5: no custody key after all this time; \(self.lies.count) of \(self.count) lie"
    }
    let quorums = CustodyQuorums(self.bench.configuration)
    for member in self.voters where generation.culprits.contains(member) && self.lies[member] == nil {
      return "R9: member \(member) did nothing wrong and was found guilty"
    }
    guard custody.threshold > quorums.faultyMax, custody.threshold <= quorums.quorum else {
      return "R3: \(custody.threshold) shares open a key where \(quorums.faultyMax) can lie"
    }
    let able = self.voters.filter { member in
      custody.custodians.contains(member) && self.lies[member] == nil && self.keyShare(member, of: custody) != nil
    }
    guard able.count >= custody.threshold else {
      return "R2: only \(able.count) honest custodians have shares, \(custody.threshold) are needed"
    }
    for member in self.voters where custody.custodians.contains(member) && self.lies[member] == nil {
      guard able.contains(member) else { return "RECORDS §5: member \(member) is a custodian without a share" }
    }
    for dealer in generation.agreedDealers where generation.culprits.contains(dealer) {
      return "RECORDS §5: member \(dealer) was found guilty, and its dealing counts"
    }
    return nil
  }

  mutating func capsule(_ secret: [UInt8], _ custody: CustodyKey, label: Digest) -> Capsule {
    Capsule(secret, for: custody, label: label, random: self.bytes(Capsule.randomLengthBytes))
  }

  /// Records sealed to the key open for a granted request with honest custodians' shares, in any order and whatever the
  /// others send; capsules that are moved or changed are refused.
  mutating func checkOpening(_ events: inout Int) -> String? {
    guard let custody = self.custody else { return nil }
    var shares = self.voters.filter { custody.custodians.contains($0) }
      .compactMap { self.keyShare($0, of: custody) }
    let keys = self.bench.configuration.members.map(\.key)
    for _ in 0..<2 {
      events += 1
      let (secret, label) = (self.bytes(32), Hash.sha256(self.bytes(8)))
      let capsule = self.capsule(secret, custody, label: label)
      let other = self.capsule(secret, custody, label: label)
      guard capsule.isValid(for: custody, label: label) else { return "R6: an honest capsule is refused" }
      guard !capsule.isValid(for: custody, label: Hash.sha256(label.bytes)) else {
        return "R9: a capsule is taken under another label"
      }
      let context = OpeningContext(
        network: self.bench.network, request: Hash.sha256(self.bytes(8)), capsule: Hash.sha256(capsule.encoded),
        custody: custody)
      var combination = Combination(capsule, of: custody, label: label, context: context, members: keys)
      self.random.shuffle(&shares)
      for share in shares {
        // Liars open another capsule than the one that they were asked about.
        let isWrong = self.lies[share.member] != nil && self.random.oneIn(2)
        let nonce = Scalar(reducing: self.bytes(64))
        let released = ReleasedShare(
          isWrong ? other : capsule, with: share, nonce: nonce, context: context,
          signedBy: RuleBench.key(self.signers[share.member]))
        guard combination.take(released) == (isWrong ? .wrong : .right) else {
          return "R9: a share of member \(share.member) is judged wrongly"
        }
        if !combination.isComplete, combination.key != nil { return "R3: fewer than t shares open a capsule" }
      }
      guard combination.key == secret else { return "R2: the honest custodians' shares do not open a record's key" }
    }
    return nil
  }

  /// A custodian opens the capsule that was anchored with the record of the request, and no other: neither one that a
  /// reader brings instead, nor one that a hospital anchored as its own (R9).
  private mutating func checkCapsules() -> String? {
    guard let custody = self.custody else { return nil }
    let registered = [(AccountKind.patient, 0), (.practitioner, 1)].allSatisfy { kind, key in
      let registration = AccountRegistration(
        kind: kind, key: RuleBench.key(key).publicKey, sealingKey: .zero, role: 1, validFrom: .zero, validUntil: .never)
      return self.bench.execute(.registerAccount, registration, at: 1, by: 201).outcome == .applied
    }
    guard registered else { return "RECORDS §2: people cannot be registered" }
    let patient = Account.identifier(
      network: self.bench.network, hospital: MemberID(1), key: RuleBench.key(0).publicKey)
    let honest = self.anchor(patient, capsule: nil, custody)
    guard let honest else { return "RECORDS §3: a record cannot be anchored" }
    guard let stolen = self.anchor(patient, capsule: honest.capsule, custody),
      let other = self.anchor(patient, capsule: nil, custody)
    else { return "RECORDS §3: a record cannot be anchored" }
    let request = AccessRequest(
      patient: patient, records: [honest.record, stolen.record], purpose: .treatment, reason: 0, ephemeralKey: .zero)
    let asked = self.bench.execute(.requestAccess, request, at: 1, by: 1)
    guard asked.outcome == .applied else { return "RECORDS §4: the hospital's own record is refused" }
    var releases = Releases()
    let ledger = Releases.Ledger(
      own: self.voters.first { custody.custodians.contains($0) }, hospital: MemberID(1),
      configuration: self.bench.configuration, network: self.bench.network, time: self.bench.time,
      state: self.bench.state)
    for (record, capsule, isRight) in [
      (honest.record, honest.capsule, true), (honest.record, other.capsule, false),
      (stolen.record, stolen.capsule, false),
    ] {
      let question = ReleaseQuestion(request: asked.identifier, record: record)
      var effects: [Releases.Effect] = []
      let asker = Releases.Asker.member(ReplicaSet.countMax - 1, question: 1)
      _ = releases.step(.shareAsked(question, capsule: capsule, by: asker), in: ledger, into: &effects)
      let isOpened = effects.contains { if case .open = $0 { true } else { false } }
      guard isOpened == isRight else {
        return "R9: a capsule is \(isOpened ? "opened for another record" : "not opened for its own record")"
      }
    }
    let question = ReleaseQuestion(request: asked.identifier, record: honest.record)
    return self.checkAccusation(question, honest.capsule, custody)
  }

  /// A wrong share convicts its author, a right one nobody.
  private mutating func checkAccusation(
    _ question: ReleaseQuestion, _ bytes: [UInt8], _ custody: CustodyKey
  ) -> String? {
    guard let capsule = try? Capsule.decode(bytes),
      let share = self.voters.compactMap({ self.keyShare($0, of: custody) }).first
    else { return "RECORDS §5: nobody has a share" }
    let other = self.capsule(self.bytes(32), custody, label: .zero)
    let context = OpeningContext(
      network: self.bench.network, request: question.request, capsule: SealedRecord.digest(ofBox: bytes),
      custody: custody)
    let cases = [
      (capsule, Refusal.badEvidence.code), (other, .applied), (other, Refusal.alreadyApproved.code),
    ]
    for (opened, outcome) in cases {
      let released = ReleasedShare(
        opened, with: share, nonce: Scalar(reducing: self.bytes(64)), context: context,
        signedBy: RuleBench.key(self.signers[share.member]))
      let accusation = ShareAccusation(question: question, capsule: bytes, share: released)
      let judged = self.bench.execute(.accuseCustodian, accusation, at: 1, by: 1).outcome
      guard judged == outcome else { return "R9: an accusation is answered \(judged.number), not \(outcome.number)" }
    }
    return nil
  }

  /// Anchors a record of a patient at hospital 1, with a capsule of its own or with another's.
  mutating func anchor(
    _ patient: Digest, capsule: [UInt8]?, _ custody: CustodyKey
  ) -> (record: Digest, capsule: [UInt8])? {
    let hashLock = Hash.sha256(self.bytes(16))
    let record = RecordAnchor.identifier(
      network: self.bench.network, hospital: MemberID(1), patient: patient, hashLock: hashLock)
    func anchor(_ digest: Digest) -> RecordAnchor {
      RecordAnchor(
        record: record, patient: patient, author: nil, category: .observation, hashLock: hashLock, address: .zero,
        sizeBytes: 1, capsule: digest, patientCopy: .zero, supersedes: nil, authorSignature: nil)
    }
    let label = anchor(.zero).label(network: self.bench.network, custody: custody)
    let enclosed = capsule ?? self.capsule(self.bytes(32), custody, label: label).encoded
    let outcome = self.bench.execute(.anchorRecord, anchor(SealedRecord.digest(ofBox: enclosed)), at: 1, by: nil)
      .outcome
    return outcome == .applied ? (record, enclosed) : nil
  }
}

extension CustodyRun {
  /// The members change, and the key goes over to those that there are then (RECORDS §5, "resharing").
  private mutating func goOver(_ events: inout Int) -> String? {
    guard let before = self.custody else { return nil }
    let old = self.voters.filter { before.custodians.contains($0) }.compactMap { self.keyShare($0, of: before) }
    let signers = self.signers
    guard self.changeMembers() else { return nil }
    self.bench.expire()
    self.make(epoch: before.epoch + 1, &events)
    return self.checkGoneOver(from: before, old.filter { signers[$0.member] == self.signers[$0.member] }, &events)
  }

  /// Shares are dealt anew, because it is time or because a registrar wants it, to transport keys that are new: no
  /// secret is left with which anybody could read what was dealt before (RECORDS §5, "refresh").
  private mutating func refresh(_ events: inout Int) -> String? {
    guard let before = self.custody else { return nil }
    let old = self.voters.filter { before.custodians.contains($0) }.compactMap { self.keyShare($0, of: before) }
    let (keys, dealt) = (self.transportKeys, self.dealt(before))
    if self.random.oneIn(2) {
      self.bench.time = self.bench.time.adding(milliseconds: Self.epoch)
      self.bench.expire()
    } else {
      let hospital = self.bench.configuration.members[self.voters[0]].id.number
      for epoch in [before.epoch + 1, before.epoch] {
        let outcome = self.bench.execute(
          .refreshCustody, CustodyRefresh(epoch: epoch), at: hospital, by: 200 + Int(hospital)
        ).outcome
        guard (outcome == .applied) == (epoch == before.epoch) else {
          return "RECORDS §5: ending epoch \(epoch) of \(before.epoch) early gave \(outcome.number)"
        }
      }
    }
    self.make(epoch: before.epoch + 1, &events)
    if let failure = self.checkGoneOver(from: before, old, &events) { return failure }
    if let member = self.finder(of: before, in: dealt) {
      return "R3: member \(member) still finds its share of an epoch that is over"
    }
    for member in self.voters where self.custody?.participants.contains(member) == true {
      guard self.transportKeys[member] != keys[member] else {
        return "RECORDS §5: member \(member) gets its new share under its old key"
      }
      guard self.lies[member] != nil || self.secrets[member].bytes.count == 32 else {
        return "RECORDS §5: member \(member) keeps \(self.secrets[member].bytes.count / 32) secrets"
      }
    }
    return nil
  }

  /// The transport keys of the members, by their places.
  private var transportKeys: [GroupElement?] {
    self.bench.configuration.members.map { self.bench.state.item(StateKey.transportKey($0.id), as: GroupElement.self) }
  }

  /// What was sealed before opens with the shares that there are now, and the old ones' fit no more.
  private mutating func checkGoneOver(
    from before: CustodyKey, _ old: [KeyShare], _ events: inout Int
  ) -> String? {
    guard let custody = self.custody, custody.epoch == before.epoch + 1 else {
      return "RECORDS §5: the key did not go over to the members that there are now; \(self.lies.count) lie"
    }
    guard custody.publicKey == before.publicKey, custody.identifier == before.identifier else {
      return "RECORDS §5: going over to other custodians made another key"
    }
    if let failure = self.checkKey() ?? self.checkOpening(&events) { return failure }
    let (secret, label) = (self.bytes(32), Hash.sha256(self.bytes(8)))
    let capsule = self.capsule(secret, before, label: label)
    let keys = self.bench.configuration.members.map(\.key)
    let context = OpeningContext(
      network: self.bench.network, request: Hash.sha256(self.bytes(8)), capsule: Hash.sha256(capsule.encoded),
      custody: custody)
    var combination = Combination(capsule, of: custody, label: label, context: context, members: keys)
    // Where one share is the secret, it stays so.
    let isShared = custody.threshold > 1 || before.threshold > 1
    for share in old where isShared {
      let stale = ReleasedShare(
        capsule, with: share, nonce: Scalar(reducing: self.bytes(64)), context: context,
        signedBy: RuleBench.key(self.signers[share.member]))
      guard combination.take(stale) != .right else { return "R3: an old share fits the key after it went over" }
    }
    combination = Combination(capsule, of: custody, label: label, context: context, members: keys)
    for member in self.voters where self.lies[member] == nil {
      guard custody.custodians.contains(member), let share = self.keyShare(member, of: custody) else { continue }
      combination.take(
        ReleasedShare(
          capsule, with: share, nonce: Scalar(reducing: self.bytes(64)), context: context,
          signedBy: RuleBench.key(self.signers[member])))
    }
    return combination.key == secret ? nil : "R2: what was sealed before does not open any more"
  }

  /// One joins, one leaves or one loses its secrets; false where the liars would be too many.
  private mutating func changeMembers() -> Bool {
    let (configuration, next) = (self.bench.configuration, self.count + 1)
    func member(_ number: Int, _ key: Int) -> Member {
      Member(
        id: MemberID(UInt32(number)), name: "x", key: RuleBench.key(key).publicKey,
        checkpointKey: RuleBench.key(key + 20).publicKey, registrarKey: RuleBench.key(200 + number).publicKey,
        sealingKey: .zero, addresses: [])
    }
    let action: MembershipAction
    var renewed: ReplicaIndex?
    switch self.random.below(3) {
    case 0: action = .add(member(next, 100 + next))
    case 1 where configuration.voterCount > 1:
      action = .remove(configuration.members[Int(self.random.below(UInt64(self.count)))].id)
    default:
      // Whoever lost its share is one of those that may fail.
      guard self.lies.isEmpty, configuration.voterCount > configuration.quorum else { return false }
      renewed = Int(self.random.below(UInt64(self.count)))
      action = .replace(member((renewed ?? 0) + 1, 30 + (renewed ?? 0)))
    }
    guard let changed = try? configuration.changed(by: action, start: SequenceNumber(1)) else { return false }
    let liars = self.lies.keys.filter { changed.isVoter($0) }.count
    guard liars <= changed.faultyMax, let custody = self.custody else { return false }
    // The rules let nobody go without whom the key could not go over.
    let left = changed.voters.filter { custody.custodians.contains($0) && $0 != renewed }
    guard left.count >= custody.threshold else { return false }
    self.bench.configuration = changed
    if changed.laneCount > configuration.laneCount {
      self.members.append(Custodian(member: self.count, at: self.now))
      self.secrets.append(CustodianSecrets())
      self.signers.append(100 + next)
    }
    if let renewed {
      self.members[renewed] = Custodian(member: renewed, at: self.now)
      self.secrets[renewed] = CustodianSecrets()
      self.signers[renewed] = 30 + renewed
      var custodians = custody.custodians
      custodians.remove(renewed)
      self.bench.state.apply([
        StateWrite(key: StateKey.transportKey(MemberID(UInt32(renewed + 1))), value: nil),
        StateWrite(
          key: StateKey.custodyKey(custody.generation), value: custody.with(custodians: custodians).encoded),
      ])
    }
    return true
  }
}
