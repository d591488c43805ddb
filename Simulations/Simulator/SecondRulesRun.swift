internal import HealthRecords
internal import Messages
internal import Primitives
internal import Rules
internal import Signing
internal import Wire

/// One seed's run of what the second version of the rules changed: guardians beside one another, emergencies, and
/// erasures that can be taken back, against a naive model that keeps lists (RECORDS §4, §10).
struct SecondRulesRun {
  private struct Guardianship {
    let identifier: Digest
    let who: Int
    let isByRegistrar: Bool
    let from: Timestamp
    let until: Timestamp
    var isRevoked = false
  }

  private struct Denial {
    let whom: Int
    /// The guardianship by which it was given; nil where the patient gave it.
    let power: Int?
    let until: Timestamp
  }

  private struct Kept {
    let identifier: Digest
    var isErased = false
    /// When it is erased, and by which key that was asked.
    var pending: (due: Timestamp, key: Int)?
  }

  private static let delay: UInt64 = 60_000
  private static let age: UInt64 = 200_000
  private static let emergency: UInt64 = 30_000
  private static let requestsMax = 3
  private static let glassesMax = 4
  private static let erasuresMax = 2
  /// Two who may act for the patient, then two doctors, of whom the second comes later, and is another hospital's.
  private static let patient = 4
  private static let registrar = 201
  private static let keys = [10, 11, 12, 13]
  private static let sealingKey = Hash.blake2b("sealing", [])

  private var bench: RuleBench
  private var random: SeededGenerator
  /// When the hospital's system sends what again: by itself, so that everything else happens as without it.
  private var sending: SeededGenerator
  private var guardianships: [Guardianship] = []
  private var denials: [Denial] = []
  private var records: [Kept] = []
  /// What the hospital's system wrote again of each record, each in the place of the one before.
  private var sent: [[Kept]] = []
  private var since: [Int: Timestamp] = [:]
  private var emergencies: [Int: (start: Timestamp, requests: Int)] = [:]
  private var glasses: [[UInt64]: Int] = [:]
  private var erasures: [UInt64: Int] = [:]
  private var patientKey = 0
  private var nextKey = 20
  private var isSuspended = false
  private var isAdopted = false
  private var glassCount = 0
  /// What the ledger goes over to: what the second rules changed holds under the third as well.
  private let version: UInt16

  init(seed: UInt64) {
    self.version = UInt16(2 + seed % 2)
    self.random = SeededGenerator(seed: seed ^ 0x5ec0)
    self.sending = SeededGenerator(seed: seed ^ 0x5e4d)
    var limits = HealthRules.Limits()
    limits.recoveryDelayMilliseconds = Self.delay
    limits.emergencyMilliseconds = Self.emergency
    limits.emergencyRequestsMax = UInt64(Self.requestsMax)
    limits.breakGlassPerAccountMax = UInt64(Self.glassesMax)
    limits.erasuresAtOnceMax = UInt64(Self.erasuresMax)
    self.bench = RuleBench(members: 4, limits: limits)
  }

  /// The ledger begins with the first rules, which know nothing of the second, and goes over to them.
  private mutating func adopt() -> String? {
    guard let rules = AgreedRules(version: self.version, emergencyAgeMilliseconds: Self.age) else {
      preconditionFailure("it is short")
    }
    let change = RulesChange(rules: rules, adoptions: 0, validUntil: .never)
    func approved(_ signers: [Int]) -> ApprovedRules {
      ApprovedRules(
        change,
        approvals: signers.map { signer in
          let key = RuleBench.key(201 + signer)
          return VoteSignature(signer: signer, signature: key.sign(change.signedBytes(network: self.bench.network)))
        })
    }
    let keeping = ErasureWithdrawal(patient: self.account(Self.patient), records: [])
    guard self.bench.execute(.keepRecords, keeping, at: 1, by: self.patientKey).outcome == .unknownKind,
      self.bench.execute(.adoptRules, approved([self.one(of: 4)]), at: 1, by: nil).outcome == .unknownKind,
      self.bench.execute(.adoptRules, approved([0, 3]), at: 1, by: nil).outcome == .unknownKind
    else { return "RECORDS §10: what the first rules do not know has an effect under them" }
    let adopted = self.bench.execute(.adoptRules, approved([0, 2, 3]), at: 2, by: nil).outcome
    self.isAdopted = adopted == .applied
    return self.isAdopted ? nil : "RECORDS §10: rules that a quorum approved were answered \(adopted.number)"
  }

  private func hospital(of person: Int) -> UInt32 { person == 3 ? 2 : 1 }
  private func account(_ person: Int) -> Digest {
    let first = person == Self.patient ? 0 : Self.keys[person]
    return Account.identifier(
      network: self.bench.network, hospital: MemberID(self.hospital(of: person)),
      key: RuleBench.key(first).publicKey)
  }
  private mutating func one(of count: Int) -> Int { Int(self.random.below(UInt64(count))) }
  private func key(_ person: Int) -> Int { person == Self.patient ? self.patientKey : Self.keys[person] }
  private var day: UInt64 { self.bench.time.milliseconds / 86_400_000 }

  /// The first answer that differs from the naive model's; nil where none does.
  mutating func run(events: inout Int) -> String? {
    if let failure = self.furnish() ?? self.adopt() { return failure }
    for number in 0..<120 {
      events += 1
      self.bench.time = self.bench.time.adding(milliseconds: self.random.below(20_000))
      self.bench.expire()
      if let failure = self.pass() ?? self.send() { return failure }
      if number == 30, let failure = self.register(3, .practitioner) { return failure }
      let failure: String? =
        switch self.random.below(10) {
        case 0: self.makeGuardian()
        case 1: self.revoke()
        case 2: self.deny()
        case 3, 4: self.ask()
        case 5, 6: self.breakGlass()
        case 7: self.keep()
        case 8: self.random.oneIn(3) ? self.change() : nil
        default: self.erase()
        }
      if let failure { return failure }
    }
    return nil
  }

  private mutating func register(_ person: Int, _ kind: AccountKind) -> String? {
    let registration = AccountRegistration(
      kind: kind, key: RuleBench.key(self.key(person)).publicKey, sealingKey: Self.sealingKey, role: 1,
      validFrom: .zero, validUntil: Timestamp(milliseconds: 1 << 40))
    self.since[person] = self.bench.time
    let hospital = self.hospital(of: person)
    let proven = self.proven(registration, of: self.key(person), as: kind, at: hospital)
    if let failure = self.steal(registration, proof: proven.proof, from: hospital) { return failure }
    let made = self.bench.execute(.registerAccount, proven, at: hospital, by: 200 + Int(hospital))
    return made.outcome == .applied ? nil : "RECORDS §2: an account cannot be registered"
  }

  /// What names a key, with its holder's word once the rules ask for it.
  private func proven<Claim>(
    _ claim: Claim, of key: Int, as kind: AccountKind, at hospital: UInt32
  ) -> Proven<Claim> {
    let word = self.bench.possession(of: key, as: kind, sealingKey: Self.sealingKey, at: hospital)
    return Proven(claim, proof: self.isAdopted ? word : nil)
  }

  /// Another hospital reads in a block what names a key, and registers that key before it is ordered.
  private mutating func steal(
    _ registration: AccountRegistration, proof: Signature?, from hospital: UInt32
  ) -> String? {
    guard self.isAdopted else { return nil }
    let thief: UInt32 = hospital == 1 ? 2 : 1
    let stolen = Proven(registration, proof: proof)
    let outcome = self.bench.execute(.registerAccount, stolen, at: thief, by: 200 + Int(thief)).outcome
    return outcome == .applied ? "RECORDS §2: another hospital registers a key that it read in a block" : nil
  }

  private mutating func furnish() -> String? {
    for (person, kind) in [(Self.patient, AccountKind.patient), (0, .patient), (1, .patient), (2, .practitioner)] {
      if let failure = self.register(person, kind) { return failure }
    }
    for number in 0..<12 {
      let anchor = self.anchor(Hash.blake2b("lock", [UInt8(number)]))
      guard self.bench.execute(.anchorRecord, anchor, at: 1, by: nil).outcome == .applied else {
        return "RECORDS §3: a record cannot be anchored"
      }
      self.records.append(Kept(identifier: anchor.record))
      self.sent.append([])
    }
    return nil
  }

  private func anchor(_ hashLock: Digest, supersedes: Digest? = nil) -> RecordAnchor {
    let patient = self.account(Self.patient)
    let record = RecordAnchor.identifier(
      network: self.bench.network, hospital: MemberID(1), patient: patient, hashLock: hashLock)
    return RecordAnchor(
      record: record, patient: patient, author: nil, category: .observation, hashLock: hashLock, address: .zero,
      sizeBytes: 1, capsule: .zero, patientCopy: .zero, supersedes: supersedes, authorSignature: nil)
  }

  /// The hospital's system sends something again, which is erased when what it takes the place of is.
  private mutating func send() -> String? {
    guard self.sending.oneIn(4) else { return nil }
    let place = Int(self.sending.below(UInt64(self.records.count)))
    let current = self.sent[place].last ?? self.records[place]
    let anchor = self.anchor(
      Hash.blake2b("sent", [UInt8(place), UInt8(self.sent[place].count)]), supersedes: current.identifier)
    let outcome = self.bench.execute(.anchorRecord, anchor, at: 1, by: nil).outcome
    let expected = !current.isErased
    if expected { self.sent[place].append(Kept(identifier: anchor.record, pending: current.pending)) }
    return (outcome == .applied) == expected ? nil : "RECORDS §3: what is sent again was answered \(outcome.number)"
  }

  /// What fell due: erased where the patient's account is as it was when that was asked.
  private mutating func pass() -> String? {
    let (now, key, isSuspended) = (self.bench.time, self.patientKey, self.isSuspended)
    func completed(_ held: Kept) -> Kept {
      guard let pending = held.pending, pending.due <= now else { return held }
      var kept = held
      kept.pending = nil
      if !isSuspended, pending.key == key { kept.isErased = true }
      return kept
    }
    self.records = self.records.map(completed)
    self.sent = self.sent.map { $0.map(completed) }
    for kept in self.records + self.sent.joined() {
      let entry = self.bench.state.item(StateKey.record(kept.identifier), as: RecordEntry.self)
      guard entry?.isErased == kept.isErased else {
        return "RECORDS §4: a record is \(entry?.isErased == true ? "" : "not ")erased"
      }
    }
    return nil
  }

  private mutating func makeGuardian() -> String? {
    let (who, isByRegistrar) = (self.one(of: 2), self.random.oneIn(2))
    let until = self.bench.time.adding(milliseconds: self.random.below(400_000))
    let grant = ConsentGrant(
      patient: self.account(Self.patient), isDenial: false, actions: [.read, .share],
      grantee: .account(self.account(who)), scope: .all, purposes: [.treatment, .patient], from: .zero, until: until,
      usesMax: nil)
    let made = self.bench.execute(
      .grantConsent, grant, at: 1, by: isByRegistrar ? Self.registrar : self.patientKey)
    let from = isByRegistrar ? self.bench.time.adding(milliseconds: Self.delay) : .zero
    let expected = isByRegistrar ? from <= until : !self.isSuspended
    if expected {
      self.guardianships.append(
        Guardianship(
          identifier: made.identifier, who: who, isByRegistrar: isByRegistrar, from: from, until: until))
    }
    return (made.outcome == .applied) == expected ? nil : "RECORDS §4: a guardian was answered \(made.outcome.number)"
  }

  private mutating func revoke() -> String? {
    guard !self.guardianships.isEmpty else { return nil }
    let (place, isByRegistrar) = (self.one(of: self.guardianships.count), self.random.oneIn(2))
    let held = self.guardianships[place]
    let outcome = self.bench.execute(
      .revokeConsent, ConsentRevocation(patient: self.account(Self.patient), consent: held.identifier), at: 1,
      by: isByRegistrar ? Self.registrar : self.patientKey
    ).outcome
    let expected = !held.isRevoked && (isByRegistrar ? held.isByRegistrar : !self.isSuspended)
    if expected { self.guardianships[place].isRevoked = true }
    return (outcome == .applied) == expected ? nil : "RECORDS §4: ending a guardianship gave \(outcome.number)"
  }

  /// By which guardianship somebody acts now, until a time at least; the oldest.
  private func power(of person: Int, until: Timestamp) -> Int? {
    self.guardianships.indices.first {
      let one = self.guardianships[$0]
      return one.who == person && !one.isRevoked && one.from <= self.bench.time && until <= one.until
    }
  }

  /// Whether a denial by the patient speaks of somebody; one by a guardian of nobody who acts too.
  private func isDenied(_ person: Int) -> Bool {
    self.denials.contains { denial in
      guard denial.whom == person, self.bench.time <= denial.until else { return false }
      guard let power = denial.power else { return true }
      return !self.guardianships[power].isRevoked && self.power(of: person, until: self.bench.time) == nil
    }
  }

  private mutating func deny() -> String? {
    let giver = self.random.oneIn(4) ? Self.patient : self.one(of: 2)
    let whom = self.one(of: 3)
    let until = self.bench.time.adding(milliseconds: self.random.below(60_000))
    let grant = ConsentGrant(
      patient: self.account(Self.patient), isDenial: true, grantee: .account(self.account(whom)), scope: .all,
      purposes: [.treatment, .patient], from: .zero, until: until, usesMax: nil)
    let outcome = self.bench.execute(.grantConsent, grant, at: 1, by: self.key(giver)).outcome
    var expected = giver == Self.patient && !self.isSuspended
    let power = giver == Self.patient ? nil : self.power(of: giver, until: until)
    if power != nil {
      let isGuardian = self.guardianships.contains {
        $0.who == whom && !$0.isRevoked && self.bench.time <= $0.until
      }
      expected =
        !isGuardian
        && !self.denials.contains {
          $0.whom == giver && $0.power == nil && self.bench.time <= $0.until
        }
    }
    if expected { self.denials.append(Denial(whom: whom, power: power, until: until)) }
    return (outcome == .applied) == expected
      ? nil : "RECORDS §4: a denial by \(giver) of \(whom) was answered \(outcome.number)"
  }

  private func asked(_ purpose: Purposes, _ record: Digest, reason: UInt16 = 0) -> AccessRequest {
    AccessRequest(
      patient: self.account(Self.patient), records: [record], purpose: purpose, reason: reason,
      ephemeralKey: Hash.blake2b("ephemeral", []))
  }

  private mutating func ask() -> String? {
    let (reader, record) = (self.one(of: 3), self.records[self.one(of: self.records.count)])
    let purpose = reader < 2 ? Purposes.patient : .treatment
    let outcome = self.bench.execute(
      .requestAccess, self.asked(purpose, record.identifier), at: 1, by: self.key(reader)
    ).outcome
    let mayRead = reader == 2 || self.power(of: reader, until: self.bench.time) != nil
    let expected = !record.isErased && mayRead && !self.isDenied(reader)
    return (outcome == .applied) == expected
      ? nil : "R1: \(reader) was answered \(outcome.number) where the naive model says \(expected ? "yes" : "no")"
  }

  private mutating func breakGlass() -> String? {
    let (reader, record) = (2 + self.one(of: 2), self.records[self.one(of: self.records.count)])
    let outcome = self.bench.execute(
      .breakGlass, self.asked(.emergency, record.identifier, reason: 1), at: self.hospital(of: reader),
      by: self.key(reader)
    ).outcome
    let isOld = self.since[reader].map { $0.adding(milliseconds: Self.age) <= self.bench.time } ?? false
    let last = self.emergencies[reader]
    let isSame = last.map {
      self.bench.time <= $0.start.adding(milliseconds: Self.emergency) && $0.requests < Self.requestsMax
    }
    let count = [UInt64(reader), self.day]
    let hasRoom = isSame == true || self.glasses[count] ?? 0 < Self.glassesMax
    let expected = isOld && hasRoom && !record.isErased
    if expected, let last, isSame == true {
      self.emergencies[reader] = (last.start, last.requests + 1)
    } else if expected {
      self.emergencies[reader] = (self.bench.time, 1)
      self.glasses[count, default: 0] += 1
    }
    if expected { self.glassCount += 1 }
    let seen = self.bench.state.scan(prefix: StateKey.emergencies(at: MemberID(1)), limit: .max).count
    guard seen == self.glassCount || outcome != .applied || !expected else {
      return "R5: the hospital that wrote the records sees \(seen) of \(self.glassCount) broken glasses"
    }
    return (outcome == .applied) == expected
      ? nil
      : "RECORDS §4: breaking the glass was answered \(outcome.number) where the naive model says "
        + (expected ? "yes" : "no")
  }

  private mutating func erase() -> String? {
    let place = self.one(of: self.records.count)
    let held = self.records[place]
    let outcome = self.bench.execute(.eraseRecord, held.identifier, at: 1, by: self.patientKey).outcome
    let expected = !held.isErased && held.pending == nil && !self.isSuspended
    if expected {
      if self.erasures[self.day] ?? 0 < Self.erasuresMax {
        self.erasures[self.day, default: 0] += 1
        self.records[place].isErased = true
      } else {
        self.records[place].pending = (self.bench.time.adding(milliseconds: Self.delay), self.patientKey)
      }
    }
    return (outcome == .applied) == expected ? nil : "RECORDS §4: erasing gave \(outcome.number)"
  }

  private mutating func keep() -> String? {
    let (place, isByRegistrar) = (self.one(of: self.records.count), self.random.oneIn(2))
    let isAll = self.random.oneIn(4)
    let withdrawal = ErasureWithdrawal(
      patient: self.account(Self.patient), records: isAll ? [] : [self.records[place].identifier])
    let outcome = self.bench.execute(
      .keepRecords, withdrawal, at: 1, by: isByRegistrar ? Self.registrar : self.patientKey
    ).outcome
    let places = isAll ? Array(self.records.indices) : [place]
    let expected =
      (isByRegistrar || !self.isSuspended) && places.contains { self.records[$0].pending != nil }
    if expected {
      for place in places {
        self.records[place].pending = nil
        // With each those in its place: what is sent after one that was taken back waits for nothing.
        let kept = self.sent[place].prefix { isAll || $0.pending != nil }.count
        for later in 0..<kept { self.sent[place][later].pending = nil }
      }
    }
    return (outcome == .applied) == expected ? nil : "RECORDS §4: taking an erasure back gave \(outcome.number)"
  }

  /// The patient's account is suspended or goes on, or gets another key.
  private mutating func change() -> String? {
    guard self.random.oneIn(2) else {
      let status: AccountStatus = self.isSuspended ? .active : .suspended
      let outcome = self.bench.execute(
        .setStatus, StatusChange(account: self.account(Self.patient), status: status), at: 1, by: Self.registrar
      ).outcome
      self.isSuspended.toggle()
      return outcome == .applied ? nil : "RECORDS §2: a status was refused with \(outcome.number)"
    }
    let key = self.nextKey
    let rotation = KeyRotation(account: self.account(Self.patient), key: RuleBench.key(key).publicKey)
    let proven = self.proven(rotation, of: key, as: .patient, at: 1)
    let registration = AccountRegistration(
      kind: .patient, key: rotation.key, sealingKey: Self.sealingKey, role: 0, validFrom: .zero, validUntil: .never)
    if let failure = self.steal(registration, proof: proven.proof, from: 1) { return failure }
    let outcome = self.bench.execute(.rotateKey, proven, at: 1, by: self.patientKey).outcome
    self.nextKey += 1
    if !self.isSuspended { self.patientKey = key }
    return (outcome == .applied) == !self.isSuspended ? nil : "RECORDS §2: another key was answered \(outcome.number)"
  }
}
