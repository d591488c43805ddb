internal import HealthRecords
internal import Messages
internal import Primitives
internal import Rules
internal import Signing
internal import Wire

/// One seed's run of the access rules alone: a few hospitals, patients and readers do random things, and a naive model,
/// which only keeps the list of what was done, says what must be answered (RECORDS R1–R4).
struct AccessRun {
  /// Who gave a consent, as the naive model keeps it.
  private enum Giver {
    case patient, registrar
    /// By the consent at a place of the patient's list.
    case proxy(Int)
  }

  /// A consent as the naive model keeps it.
  private struct Given {
    let identifier: Digest
    let grant: ConsentGrant
    let giver: Giver
    var isRevoked = false
    var uses = 0
  }

  private struct Kept {
    let identifier: Digest
    let patient: Int
    let category: RecordCategory
    let hospital: UInt32
    let anchored: Timestamp
    var isErased = false
  }

  static let patients = 3
  static let practitioners = 4
  static let recoveryMilliseconds: UInt64 = 60_000
  static let retentionMilliseconds: UInt64 = 400_000
  /// Of each of the patient, the registrar and proxies, grants and denials apart.
  static let consentsMax = 4
  static let deniedMax = 6
  var bench: RuleBench
  var random: SeededGenerator
  private var consents: [Int: [Given]] = [:]
  var team: Set<Int> = []
  private var records: [Kept] = []
  private var broken: [Int: Int] = [:]
  /// How often a reader was refused for a patient's records on a day.
  private var denied: [[Int]: Int] = [:]
  private var granted: [(request: Digest, record: Digest, at: Timestamp, isGranted: Bool)] = []
  /// The number of each person's key now.
  var keys: [Int]
  /// Keys that were somebody's.
  var used: Set<Int> = []
  var recovery: (who: Int, key: Int, due: Timestamp)?
  var approvals: Set<UInt32> = []
  /// Practitioners' sessions: the number of the key, and until when.
  var sessions: [(who: Int, key: Int, until: Timestamp)] = []
  var isRetentionSet = false
  /// What the hospitals that wrote the records release, and keep of it.
  private var releases = Releases()

  init(seed: UInt64) {
    self.random = SeededGenerator(seed: seed ^ 0xacce55)
    var limits = HealthRules.Limits()
    limits.recoveryDelayMilliseconds = Self.recoveryMilliseconds
    limits.consentsPerGiverMax = Self.consentsMax
    limits.deniedPerReaderMax = UInt64(Self.deniedMax)
    self.bench = RuleBench(members: 3, limits: limits)
    self.keys = (0..<Self.practitioners).map { 10 + $0 } + (0..<Self.patients).map { $0 }
  }

  /// People are practitioners 0…3, at hospitals 1 and 2, and then the patients, at hospital 1.
  static let people = Self.practitioners + Self.patients
  func hospital(of person: Int) -> UInt32 { person < Self.practitioners ? UInt32(1 + person % 2) : 1 }
  private func patientAccount(_ patient: Int) -> Digest { self.account(Self.practitioners + patient) }
  func account(_ person: Int) -> Digest {
    let first = person < Self.practitioners ? 10 + person : person - Self.practitioners
    return Account.identifier(
      network: self.bench.network, hospital: MemberID(self.hospital(of: person)), key: RuleBench.key(first).publicKey)
  }
  private var careTeam: Digest {
    CareTeam.identifier(network: self.bench.network, hospital: MemberID(2), number: 5)
  }
  mutating func one(of count: Int) -> Int { Int(self.random.below(UInt64(count))) }

  /// The first answer that differs from the naive model's; nil where none does.
  mutating func run(events: inout Int) -> String? {
    if let failure = self.furnish() { return failure }
    for _ in 0..<200 {
      events += 1
      self.bench.time = self.bench.time.adding(milliseconds: self.random.below(20_000))
      self.bench.expire()
      if let recovery, recovery.due <= self.bench.time {
        self.keys[recovery.who] = recovery.key
        self.recovery = nil
      }
      let failure: String? =
        switch self.random.below(18) {
        case 0, 1, 2, 3: self.giveConsent()
        case 4: self.revoke()
        case 5: self.erase()
        case 6: self.breakGlass()
        case 7, 8: self.release()
        case 9: self.recover()
        case 10: self.retain()
        case 11: self.changeTeam()
        case 12: self.openInPartition()
        case 13: self.openSession()
        default: self.request()
        }
      if let failure { return failure }
    }
    return nil
  }

  private mutating func furnish() -> String? {
    func registration(_ kind: AccountKind, _ key: Int, role: UInt32) -> AccountRegistration {
      AccountRegistration(
        kind: kind, key: RuleBench.key(key).publicKey, sealingKey: Hash.blake2b("sealing", []), role: role,
        validFrom: .zero, validUntil: Timestamp(milliseconds: 1 << 40))
    }
    for patient in 0..<Self.patients {
      let made = self.bench.execute(.registerAccount, registration(.patient, patient, role: 0), at: 1, by: 201)
      guard made.outcome == .applied else { return "RECORDS §2: a patient cannot be registered" }
    }
    for reader in 0..<Self.practitioners {
      let hospital = self.hospital(of: reader)
      let made = self.bench.execute(
        .registerAccount, registration(.practitioner, 10 + reader, role: UInt32(1 + reader / 2)), at: hospital,
        by: 200 + Int(hospital))
      guard made.outcome == .applied else { return "RECORDS §2: a practitioner cannot be registered" }
    }
    // Old enough to break the glass.
    self.bench.time = self.bench.time.adding(milliseconds: 90 * 86_400_000)
    for number in 0..<9 {
      let hashLock = Hash.blake2b("lock", [UInt8(number)])
      let patient = number % Self.patients
      let account = self.patientAccount(patient)
      let record = RecordAnchor.identifier(
        network: self.bench.network, hospital: MemberID(1), patient: account, hashLock: hashLock)
      let category: RecordCategory = number % 2 == 0 ? .observation : .medication
      let anchor = RecordAnchor(
        record: record, patient: account, author: nil, category: category, hashLock: hashLock, address: .zero,
        sizeBytes: 1, capsule: .zero, patientCopy: .zero, supersedes: nil, authorSignature: nil)
      guard self.bench.execute(.anchorRecord, anchor, at: 1, by: nil).outcome == .applied else {
        return "RECORDS §3: a record cannot be anchored"
      }
      self.records.append(
        Kept(
          identifier: record, patient: patient, category: category, hospital: 1,
          anchored: self.bench.time))
    }
    return nil
  }

  private mutating func giveConsent() -> String? {
    let patient = self.one(of: Self.patients)
    let account = self.patientAccount(patient)
    let isShared = self.random.oneIn(3)
    let grantee: Grantee =
      switch isShared ? 0 : self.random.below(4) {
      case 0: .account(self.account(self.one(of: Self.people)))
      case 1: .hospital(MemberID(UInt32(1 + self.one(of: 2))))
      case 2: .role(UInt32(1 + self.one(of: 2)), at: MemberID(UInt32(1 + self.one(of: 2))))
      default: .careTeam(self.careTeam)
      }
    let own = self.records.filter { $0.patient == patient }
    let scope: ConsentScope =
      switch self.random.below(3) {
      case 0: .all
      case 1: .categories(1 << UInt32(RecordCategory.observation.rawValue))
      default: .records([own[self.one(of: own.count)].identifier])
      }
    let purposes: [Purposes] = [.treatment, [.treatment, .research], [.treatment, .research, .patient]]
    // Often a proxy, within the proxy's time.
    let power = isShared || self.random.oneIn(2) ? nil : self.powers(of: patient).first
    let longest = power.map { power in
      power.grant.until.milliseconds - min(power.grant.until.milliseconds, self.bench.time.milliseconds)
    }
    let grant = ConsentGrant(
      patient: account, isDenial: !isShared && self.random.oneIn(5), actions: isShared ? [.read, .share] : .read,
      grantee: grantee, scope: scope, purposes: power == nil ? purposes[self.one(of: 3)] : .treatment,
      from: self.bench.time, until: self.bench.time.adding(milliseconds: self.random.below((longest ?? 600_000) + 1)),
      usesMax: self.random.oneIn(2) ? UInt32(1 + self.random.below(2)) : nil)
    // The patient, a registrar, or anybody else, who may be a proxy.
    let anybody = self.random.oneIn(2) ? Self.practitioners + patient : self.one(of: Self.people + 1)
    let signer =
      power.flatMap { power in
        (0..<Self.people).first { .account(self.account($0)) == power.grant.grantee }
      } ?? anybody
    let expected = self.expectGiver(signer, of: grant, patient).flatMap { giver in
      self.hasRoom(giver, isDenial: grant.isDenial, patient) ? giver : nil
    }
    let key = signer == Self.people ? 201 : self.keys[signer]
    let made = self.bench.execute(.grantConsent, grant, at: 1, by: key)
    guard (made.outcome == .applied) == (expected != nil) else {
      return "RECORDS §4: a consent was answered \(made.outcome.number) where the naive model says "
        + (expected == nil ? "no" : "yes")
    }
    guard let expected else { return nil }
    if case .proxy(let power) = expected { self.consents[patient]?[power].uses += 1 }
    self.consents[patient, default: []].append(Given(identifier: made.identifier, grant: grant, giver: expected))
    return nil
  }

  /// What makes proxies of a patient now, the newest first.
  private func powers(of patient: Int) -> [Given] {
    (self.consents[patient] ?? []).reversed().filter { $0.grant.actions.contains(.share) && !$0.isRevoked }
  }

  /// What a scope is about, told one by one: the patient's records, and one to come of each category.
  private func reach(_ scope: ConsentScope, _ patient: Int) -> Set<Digest> {
    let own = self.records.filter { $0.patient == patient }.map { ($0.identifier, $0.category) }
    let future = RecordCategory.allCases.map { (Hash.blake2b("future", [$0.rawValue]), $0) }
    return Set((own + future).filter { scope.covers($0.0, of: $0.1) }.map(\.0))
  }

  /// By what right the signer gives a consent, as the naive model has it.
  private func expectGiver(_ signer: Int, of grant: ConsentGrant, _ patient: Int) -> Giver? {
    let isShared = grant.actions.contains(.share)
    if isShared, grant.grantee == .account(grant.patient) { return nil }
    if signer == Self.people { return isShared ? .registrar : nil }
    if signer == Self.practitioners + patient { return .patient }
    let held = self.consents[patient] ?? []
    let own = held.indices.filter {
      self.isStanding(held[$0], patient) && held[$0].grant.grantee == .account(self.account(signer))
        && self.bench.time <= held[$0].grant.until
    }
    let wanted = self.reach(grant.scope, patient)
    for place in own where held[place].grant.isDenial {
      let denied = held[place].grant
      if !denied.purposes.isDisjoint(with: grant.purposes), !self.reach(denied.scope, patient).isDisjoint(with: wanted)
      {
        return nil
      }
    }
    guard !isShared else { return nil }
    let power = own.first { place in
      let power = held[place].grant
      return power.actions.contains(.share) && power.purposes.isSuperset(of: grant.purposes)
        && grant.until <= power.until && held[place].uses < power.usesMax.map { Int($0) } ?? .max
        && wanted.isSubset(of: self.reach(power.scope, patient))
    }
    return power.map { .proxy($0) }
  }

  /// Whether fewer consents of such a giver stand than may: those that are over take no room.
  private func hasRoom(_ giver: Giver, isDenial: Bool, _ patient: Int) -> Bool {
    let standing = (self.consents[patient] ?? []).filter { given in
      let isAlike: Bool =
        switch (giver, given.giver) {
        case (.patient, .patient), (.registrar, .registrar), (.proxy, .proxy): true
        case (.patient, _), (.registrar, _), (.proxy, _): false
        }
      let isSpent = !given.grant.actions.contains(.share) && given.uses >= given.grant.usesMax.map { Int($0) } ?? .max
      return isAlike && given.grant.isDenial == isDenial && self.isStanding(given, patient)
        && self.bench.time <= given.grant.until && !isSpent
    }
    return standing.count < Self.consentsMax
  }

  private func isStanding(_ given: Given, _ patient: Int) -> Bool {
    guard case .proxy(let power) = given.giver else { return !given.isRevoked }
    return !given.isRevoked && !(self.consents[patient]?[power].isRevoked ?? true)
  }

  private mutating func revoke() -> String? {
    let patient = self.one(of: Self.patients)
    guard let count = self.consents[patient]?.count, count > 0 else { return nil }
    let power = self.consents[patient]?.lastIndex { $0.grant.actions.contains(.share) && !$0.isRevoked }
    let place = power.flatMap { self.random.oneIn(3) ? $0 : nil } ?? self.one(of: count)
    guard let given = self.consents[patient]?[place] else { return nil }
    let signer = self.random.oneIn(2) ? Self.practitioners + patient : self.one(of: Self.people + 1)
    let isHis: Bool =
      switch given.giver {
      case _ where signer == Self.practitioners + patient: true
      case .patient: false
      case .registrar: signer == Self.people
      case .proxy(let power):
        signer < Self.people && self.consents[patient]?[power].grant.grantee == .account(self.account(signer))
      }
    let revocation = ConsentRevocation(patient: self.patientAccount(patient), consent: given.identifier)
    let key = signer == Self.people ? 201 : self.keys[signer]
    let outcome = self.bench.execute(.revokeConsent, revocation, at: 1, by: key).outcome
    let expected = isHis && !given.isRevoked
    guard (outcome == .applied) == expected else { return "RECORDS §4: revoking gave \(outcome.number)" }
    guard expected else { return nil }
    self.consents[patient]?[place].isRevoked = true
    guard given.grant.actions.contains(.share) else { return nil }
    // What the proxy gave is over too: everybody asks for everything.
    for record in self.records where record.patient == patient {
      for reader in 0..<Self.people {
        if let failure = self.ask(reader, record, .treatment) { return failure }
      }
    }
    return nil
  }

  private mutating func erase() -> String? {
    let place = self.one(of: self.records.count)
    let record = self.records[place]
    let isHospital = self.random.oneIn(2)
    guard isHospital || self.random.oneIn(4) else { return nil }
    let kept = self.isRetentionSet && record.category == .observation
    let isOver = kept && record.anchored.adding(milliseconds: Self.retentionMilliseconds) <= self.bench.time
    let key = isHospital ? nil : self.keys[Self.practitioners + record.patient]
    let outcome = self.bench.execute(.eraseRecord, record.identifier, at: 1, by: key).outcome
    let expected = !record.isErased && (isOver || !isHospital)
    if expected { self.records[place].isErased = true }
    return (outcome == .applied) == expected ? nil : "RECORDS §4: erasing gave \(outcome.number)"
  }

  private func asked(_ record: Kept, _ purpose: Purposes, reason: UInt16 = 0) -> AccessRequest {
    AccessRequest(
      patient: self.patientAccount(record.patient), records: [record.identifier], purpose: purpose, reason: reason,
      ephemeralKey: Hash.blake2b("ephemeral", []))
  }

  private mutating func request() -> String? {
    let reader = self.one(of: Self.people)
    let record = self.records[self.one(of: self.records.count)]
    let purposes: [Purposes] = [.treatment, .research, .patient]
    return self.ask(reader, record, purposes[self.one(of: 3)])
  }

  private mutating func ask(_ reader: Int, _ record: Kept, _ purpose: Purposes) -> String? {
    let session = self.random.oneIn(2) ? self.sessions.last { $0.who == reader } : nil
    let isOpen = session.map { self.bench.time <= $0.until } ?? true
    let expected = isOpen && self.expect(reader, record, purpose)
    let made = self.bench.execute(
      .requestAccess, self.asked(record, purpose), at: self.hospital(of: reader), by: session?.key ?? self.keys[reader])
    if isOpen || made.outcome == .applied {
      self.granted.append((made.identifier, record.identifier, self.bench.time, made.outcome == .applied))
    }
    if let failure = self.checkDenied(reader, record, made.identifier, isJudged: isOpen && !expected) { return failure }
    guard (made.outcome == .applied) == expected else {
      return "R1: a request was answered \(made.outcome.number) where the naive model says \(expected ? "yes" : "no")"
    }
    return nil
  }

  /// A reader's refusals are in the patient's history up to a number a day: they bury nothing.
  private mutating func checkDenied(_ reader: Int, _ record: Kept, _ request: Digest, isJudged: Bool) -> String? {
    guard isJudged else { return nil }
    let key = [reader, record.patient, Int(self.bench.time.milliseconds / 86_400_000)]
    self.denied[key, default: 0] += 1
    let isThere = AccessEntry.find(request: request, in: self.bench.state) != nil
    return isThere == (self.denied[key] ?? 0 <= Self.deniedMax)
      ? nil : "R5: refusal \(self.denied[key] ?? 0) of a day is \(isThere ? "" : "not ")in the patient's history"
  }

  private func isAbout(_ given: Given, _ record: Kept, _ purpose: Purposes) -> Bool {
    self.isStanding(given, record.patient) && given.grant.purposes.contains(purpose)
      && self.reach(given.grant.scope, record.patient).contains(record.identifier)
  }

  /// What RECORDS §4 says in one breath: not erased, no open denial, and an open consent with uses left, or the own
  /// hospital's treatment. Patients read their own records.
  private mutating func expect(_ reader: Int, _ record: Kept, _ purpose: Purposes) -> Bool {
    guard !record.isErased else { return false }
    if reader == Self.practitioners + record.patient, purpose == .patient { return true }
    let (hospital, isPractitioner) = (self.hospital(of: reader), reader < Self.practitioners)
    let held = self.consents[record.patient] ?? []
    var best: Int?
    for (place, given) in held.enumerated() {
      let isAddressed: Bool =
        switch given.grant.grantee {
        case .account(let account): account == self.account(reader)
        case .hospital(let member): isPractitioner && member == MemberID(hospital)
        case .role(let role, let member):
          isPractitioner && member == MemberID(hospital) && role == UInt32(1 + reader / 2)
        case .careTeam: self.team.contains(reader)
        }
      guard isAddressed, self.isAbout(given, record, purpose) else { continue }
      let isOpen = given.grant.from <= self.bench.time && self.bench.time <= given.grant.until
      if given.grant.isDenial {
        if isOpen { return false }
        continue
      }
      if case .proxy(let power) = given.giver, self.isDenied(held[power].grant.grantee, record, purpose) { continue }
      guard isOpen, given.uses < given.grant.usesMax.map({ Int($0) }) ?? .max else { continue }
      if best == nil { best = place }
    }
    if let best {
      self.consents[record.patient]?[best].uses += 1
      return true
    }
    return isPractitioner && hospital == record.hospital && purpose == .treatment
  }

  private func isDenied(_ proxy: Grantee, _ record: Kept, _ purpose: Purposes) -> Bool {
    (self.consents[record.patient] ?? []).contains {
      $0.grant.isDenial && $0.grant.grantee == proxy && self.isAbout($0, record, purpose)
        && self.bench.time <= $0.grant.until
    }
  }

  private mutating func breakGlass() -> String? {
    // One reader, again and again, on one day: the limit must hold.
    let reader = 0
    let record = self.records[Int(self.random.below(UInt64(self.records.count)))]
    for _ in 0..<6 {
      let day = Int(self.bench.time.milliseconds / 86_400_000)
      let made = self.bench.execute(
        .breakGlass, self.asked(record, .emergency, reason: 1), at: self.hospital(of: reader),
        by: self.keys[reader])
      self.granted.append((made.identifier, record.identifier, self.bench.time, made.outcome == .applied))
      let expected = !record.isErased && self.broken[day] ?? 0 < 20
      if made.outcome == .applied { self.broken[day, default: 0] += 1 }
      guard (made.outcome == .applied) == expected else {
        return "RECORDS §4: breaking the glass for the \(self.broken[day] ?? 0)th time gave \(made.outcome.number)"
      }
    }
    return nil
  }

  /// A hospital opens what it wrote itself while nothing is ordered; the patient's history has it, once.
  private mutating func openInPartition() -> String? {
    let reader = self.one(of: Self.practitioners)
    let record = self.records[self.one(of: self.records.count)]
    let hospital = self.hospital(of: reader)
    let payload = self.asked(record, .emergency, reason: 1).encoded
    // By the own key, by a session's, or by one that takes the account over later; at a time when it was valid, or not.
    let session = self.random.oneIn(3) ? self.sessions.last { $0.who == reader } : nil
    let pending = self.random.oneIn(3) && self.recovery?.who == reader ? self.recovery?.key : nil
    let time = self.random.oneIn(4) ? Timestamp(milliseconds: 12_000) : self.bench.time
    let key = session?.key ?? pending ?? self.keys[reader]
    let request = Transaction(
      kind: TransactionKind.breakGlass.rawValue, hospital: MemberID(hospital),
      validUntil: self.bench.time.adding(milliseconds: 60_000),
      nonce: (0..<Transaction.nonceLengthBytes).map { _ in UInt8(self.random.below(256)) }, payload: payload,
      network: self.bench.network, signedBy: RuleBench.key(key))
    let opening = PartitionOpening(request: request.encoded, time: time)
    let day = Int(self.bench.time.milliseconds / 86_400_000)
    let outcome = self.bench.execute(.openInPartition, opening, at: hospital, by: nil).outcome
    let expected = hospital == record.hospital && key == self.keys[reader] && time == self.bench.time
    if expected, reader == 0 { self.broken[day, default: 0] += 1 }
    if expected {
      let identifier = request.identifier(network: self.bench.network)
      self.granted.append((identifier, record.identifier, self.bench.time, true))
      let history = AccessEntry.find(request: identifier, in: self.bench.state)?.entry
      guard history?.openedInPartition == self.bench.time, history?.emergency == .reviewDue else {
        return "R5: what was opened in a partition is not in the patient's history"
      }
      guard self.bench.execute(.openInPartition, opening, at: hospital, by: nil).outcome != .applied else {
        return "R5: one opening in a partition is in the history twice"
      }
    }
    return (outcome == .applied) == expected ? nil : "RECORDS §4: opening in a partition gave \(outcome.number)"
  }

  private mutating func release() -> String? {
    guard !self.granted.isEmpty else { return nil }
    let asked = self.granted[Int(self.random.below(UInt64(self.granted.count)))]
    let isErased = self.records.contains { $0.identifier == asked.record && $0.isErased }
    let isInTime = self.bench.time <= asked.at.adding(milliseconds: 600_000)
    let question = ReleaseQuestion(request: asked.request, record: asked.record)
    let isReleased = Self.isReleased(question, self.bench, &self.releases)
    if isReleased, let failure = self.releaseToSuspended(question) { return failure }
    let expected = asked.isGranted && !isErased && isInTime
    return isReleased == expected
      ? nil : "R2: a key was \(isReleased ? "" : "not ")released where the naive model says \(expected ? "yes" : "no")"
  }

  /// The same question where the account that made the request was suspended since: it opens nothing any more.
  private func releaseToSuspended(_ question: ReleaseQuestion) -> String? {
    var bench = self.bench
    guard let reader = AccessEntry.find(request: question.request, in: bench.state)?.entry.reader,
      let hospital = bench.state.item(StateKey.account(reader), as: Account.self)?.hospital.number
    else { return "R5: a request that was granted is not in the patient's history" }
    let change = StatusChange(account: reader, status: .suspended)
    let made = bench.execute(.setStatus, change, at: hospital, by: 200 + Int(hospital))
    guard made.outcome == .applied else { return "RECORDS §2: a registrar cannot suspend an account" }
    var releases = self.releases
    return Self.isReleased(question, bench, &releases) ? "R2: a key was released to a suspended account" : nil
  }

  /// Whether another hospital gets the key of a record from the one that wrote it.
  private static func isReleased(_ question: ReleaseQuestion, _ bench: RuleBench, _ releases: inout Releases) -> Bool {
    guard let record = bench.state.item(StateKey.record(question.record), as: RecordEntry.self) else { return false }
    let ledger = Releases.Ledger(
      own: bench.configuration.index(of: record.hospital), hospital: record.hospital,
      configuration: bench.configuration, network: bench.network, time: bench.time, state: bench.state)
    var effects: [Releases.Effect] = []
    _ = releases.step(.keyAsked(question, by: .member(2, question: 1)), in: ledger, into: &effects)
    for case .reseal(let job, _, _) in effects {
      let release = HospitalRelease(key: [], signature: RuleBench.key(100).sign([]))
      _ = releases.step(.resealed(job, release), in: ledger, into: &effects)
    }
    return effects.contains { if case .reply(2, question: 1, .success) = $0 { true } else { false } }
  }
}
