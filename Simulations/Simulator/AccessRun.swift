internal import HealthRecords
internal import Messages
internal import Primitives
internal import Rules
internal import Signing
internal import Wire

/// One seed's run of the access rules alone: a few hospitals, patients and readers do random things, and a naive model,
/// which only keeps the list of what was done, says what must be answered (RECORDS R1–R4).
struct AccessRun {
  /// A consent as the naive model keeps it.
  private struct Given {
    let identifier: Digest
    let grant: ConsentGrant
    var isRevoked = false
    var uses = 0
  }

  private struct Kept {
    let identifier: Digest
    let patient: Int
    let category: RecordCategory
    let hospital: UInt32
    var isErased = false
  }

  private static let patients = 3
  private static let readers = 4
  private var bench = RuleBench(members: 3)
  private var random: SeededGenerator
  private var consents: [Int: [Given]] = [:]
  private var records: [Kept] = []
  private var broken: [Int: Int] = [:]
  private var granted: [(request: Digest, record: Digest, at: Timestamp, isGranted: Bool)] = []

  init(seed: UInt64) {
    self.random = SeededGenerator(seed: seed ^ 0xacce55)
  }

  /// Patients are keys 0…, at hospital 1; readers are keys 10…, at hospitals 1 and 2.
  private func hospital(ofReader reader: Int) -> UInt32 { UInt32(1 + reader % 2) }
  private func patientAccount(_ patient: Int) -> Digest {
    Account.identifier(network: self.bench.network, hospital: MemberID(1), key: RuleBench.key(patient).publicKey)
  }
  private func readerAccount(_ reader: Int) -> Digest {
    Account.identifier(
      network: self.bench.network, hospital: MemberID(self.hospital(ofReader: reader)),
      key: RuleBench.key(10 + reader).publicKey)
  }

  /// The first answer that differs from the naive model's; nil where none does.
  mutating func run(events: inout Int) -> String? {
    if let failure = self.furnish() { return failure }
    for _ in 0..<150 {
      events += 1
      self.bench.time = self.bench.time.adding(milliseconds: self.random.below(20_000))
      let failure: String? =
        switch self.random.below(12) {
        case 0, 1, 2: self.giveConsent()
        case 3: self.revoke()
        case 4: self.erase()
        case 5: self.breakGlass()
        case 6, 7: self.release()
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
    for reader in 0..<Self.readers {
      let hospital = self.hospital(ofReader: reader)
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
      self.records.append(Kept(identifier: record, patient: patient, category: category, hospital: 1))
    }
    return nil
  }

  private mutating func giveConsent() -> String? {
    let patient = Int(self.random.below(UInt64(Self.patients)))
    let reader = Int(self.random.below(UInt64(Self.readers)))
    let grantee: Grantee =
      switch self.random.below(3) {
      case 0: .account(self.readerAccount(reader))
      case 1: .hospital(MemberID(self.hospital(ofReader: reader)))
      default: .role(UInt32(1 + reader / 2), at: MemberID(self.hospital(ofReader: reader)))
      }
    let own = self.records.filter { $0.patient == patient }
    let scope: ConsentScope =
      switch self.random.below(3) {
      case 0: .all
      case 1: .categories(1 << UInt32(RecordCategory.observation.rawValue))
      default: .records([own[Int(self.random.below(UInt64(own.count)))].identifier])
      }
    let grant = ConsentGrant(
      patient: self.patientAccount(patient), isDenial: self.random.oneIn(5), grantee: grantee, scope: scope,
      purposes: self.random.oneIn(2) ? .treatment : [.treatment, .research],
      from: self.bench.time, until: self.bench.time.adding(milliseconds: self.random.below(600_000)),
      usesMax: self.random.oneIn(2) ? UInt32(1 + self.random.below(2)) : nil)
    let made = self.bench.execute(.grantConsent, grant, at: 1, by: patient)
    guard made.outcome == .applied else { return "RECORDS §4: a consent was refused with \(made.outcome.number)" }
    self.consents[patient, default: []].append(Given(identifier: made.identifier, grant: grant))
    return nil
  }

  private mutating func revoke() -> String? {
    let patient = Int(self.random.below(UInt64(Self.patients)))
    guard let count = self.consents[patient]?.count, count > 0 else { return nil }
    let place = Int(self.random.below(UInt64(count)))
    guard let given = self.consents[patient]?[place] else { return nil }
    let revocation = ConsentRevocation(patient: self.patientAccount(patient), consent: given.identifier)
    let outcome = self.bench.execute(.revokeConsent, revocation, at: 1, by: patient).outcome
    self.consents[patient]?[place].isRevoked = true
    return (outcome == .applied) == !given.isRevoked ? nil : "RECORDS §4: revoking gave \(outcome.number)"
  }

  private mutating func erase() -> String? {
    guard self.random.oneIn(4) else { return nil }
    let place = Int(self.random.below(UInt64(self.records.count)))
    let record = self.records[place]
    let outcome = self.bench.execute(.eraseRecord, record.identifier, at: 1, by: record.patient).outcome
    self.records[place].isErased = true
    return (outcome == .applied) == !record.isErased ? nil : "RECORDS §3: erasing gave \(outcome.number)"
  }

  private func asked(_ record: Kept, _ purpose: Purposes, reason: UInt16 = 0) -> AccessRequest {
    AccessRequest(
      patient: self.patientAccount(record.patient), records: [record.identifier], purpose: purpose, reason: reason,
      ephemeralKey: Hash.blake2b("ephemeral", []))
  }

  private mutating func request() -> String? {
    let reader = Int(self.random.below(UInt64(Self.readers)))
    let record = self.records[Int(self.random.below(UInt64(self.records.count)))]
    let purpose: Purposes = self.random.oneIn(3) ? .research : .treatment
    let expected = self.expect(reader, record, purpose)
    let made = self.bench.execute(
      .requestAccess, self.asked(record, purpose), at: self.hospital(ofReader: reader), by: 10 + reader)
    self.granted.append((made.identifier, record.identifier, self.bench.time, made.outcome == .applied))
    guard (made.outcome == .applied) == expected else {
      return "R1: a request was answered \(made.outcome.number) where the naive model says \(expected ? "yes" : "no")"
    }
    return nil
  }

  /// What RECORDS §4 says in one breath: not erased, no open denial, and an open consent with uses left, or the own
  /// hospital's treatment where there is no consent at all that is closed or spent.
  private mutating func expect(_ reader: Int, _ record: Kept, _ purpose: Purposes) -> Bool {
    guard !record.isErased else { return false }
    let hospital = self.hospital(ofReader: reader)
    var best: Int?
    var isClosedOrSpent = false
    for (place, given) in (self.consents[record.patient] ?? []).enumerated() where !given.isRevoked {
      let isAddressed: Bool =
        switch given.grant.grantee {
        case .account(let account): account == self.readerAccount(reader)
        case .hospital(let member): member == MemberID(hospital)
        case .role(let role, let member): member == MemberID(hospital) && role == UInt32(1 + reader / 2)
        }
      let isAbout: Bool =
        switch given.grant.scope {
        case .all: true
        case .categories: record.category == .observation
        case .records(let named): named == [record.identifier]
        }
      guard isAddressed, isAbout, given.grant.purposes.contains(purpose) else { continue }
      let isOpen = given.grant.from <= self.bench.time && self.bench.time <= given.grant.until
      if given.grant.isDenial {
        if isOpen { return false }
        continue
      }
      guard isOpen, given.uses < given.grant.usesMax.map({ Int($0) }) ?? .max else {
        isClosedOrSpent = true
        continue
      }
      if best == nil { best = place }
    }
    if let best {
      self.consents[record.patient]?[best].uses += 1
      return true
    }
    return hospital == record.hospital && purpose == .treatment && !isClosedOrSpent
  }

  private mutating func breakGlass() -> String? {
    // One reader, again and again, on one day: the limit must hold.
    let reader = 0
    let record = self.records[Int(self.random.below(UInt64(self.records.count)))]
    for _ in 0..<6 {
      let day = Int(self.bench.time.milliseconds / 86_400_000)
      let made = self.bench.execute(
        .breakGlass, self.asked(record, .emergency, reason: 1), at: self.hospital(ofReader: reader), by: 10 + reader)
      self.granted.append((made.identifier, record.identifier, self.bench.time, made.outcome == .applied))
      let expected = !record.isErased && self.broken[day] ?? 0 < 20
      if made.outcome == .applied { self.broken[day, default: 0] += 1 }
      guard (made.outcome == .applied) == expected else {
        return "RECORDS §4: breaking the glass for the \(self.broken[day] ?? 0)th time gave \(made.outcome.number)"
      }
    }
    return nil
  }

  private mutating func release() -> String? {
    guard !self.granted.isEmpty else { return nil }
    let asked = self.granted[Int(self.random.below(UInt64(self.granted.count)))]
    let isErased = self.records.contains { $0.identifier == asked.record && $0.isErased }
    let isInTime = self.bench.time <= asked.at.adding(milliseconds: 600_000)
    let question = ReleaseQuestion(request: asked.request, record: asked.record)
    let isReleased: Bool
    do throws(ReleaseRefusal) {
      _ = try ReleasePolicy.judge(question, at: self.bench.time, in: self.bench.state)
      isReleased = true
    } catch { isReleased = false }
    let expected = asked.isGranted && !isErased && isInTime
    return isReleased == expected
      ? nil : "R2: a key was \(isReleased ? "" : "not ")released where the naive model says \(expected ? "yes" : "no")"
  }
}
