// Goal: what the second version of the rules changed, and that what was executed under the first stays as it was.
// Method: the same transactions under both, by their outcomes.
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Wire

private func code(_ refusal: Refusal) -> OutcomeCode { refusal.code }

extension World {
  /// A patient with two parents who act for the patient, and a doctor at each of two hospitals, under a version.
  fileprivate static func parents(_ version: UInt16) throws -> (world: World, record: Digest) {
    var (world, record) = World.furnished()
    if version == 2 { world.limits.rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0)) }
    for name in ["mother", "father"] {
      world.register(name, .patient)
      world.empower(world.account(name), until: 1 << 39)
    }
    return (world, record)
  }

  fileprivate mutating func deny(_ grantee: Grantee, by signer: String) -> OutcomeCode {
    self.run(
      .grantConsent, self.grant(to: grantee, denial: true, purposes: [.treatment, .patient], until: 1 << 38),
      by: signer)
  }

  /// Breaks the glass for a record.
  fileprivate mutating func breakGlass(_ record: Digest, by name: String = "own doctor") -> OutcomeCode {
    self.run(.breakGlass, self.request([record], purpose: .emergency, reason: 1), by: name)
  }

  /// Anchors more records of the patient.
  fileprivate mutating func write(_ numbers: ClosedRange<UInt8>) -> [Digest] {
    numbers.map { number in
      let anchor = self.anchor(number, of: "patient")
      let outcome = self.run(.anchorRecord, anchor)
      #expect(outcome == .applied)
      return anchor.record
    }
  }

  fileprivate func isErased(_ record: Digest) -> Bool {
    self.state.item(StateKey.record(record), as: RecordEntry.self)?.isErased ?? false
  }
}

@Suite("Rules of the second version")
struct SecondRulesTests {
  private static let delay = HealthRules.Limits().recoveryDelayMilliseconds
  private static let atOnce = Int(HealthRules.Limits().erasuresAtOnceMax)

  @Test("⚑ Of two parents neither shuts the other out by himself; the patient and the registrar decide")
  func parents() throws {
    // What the first rules took is taken still, where they hold.
    var (first, record) = try World.parents(1)
    #expect(first.deny(.account(first.account("father")), by: "mother") == .applied)
    #expect(first.ask(record, .patient, by: "father") == code(.denied))

    var (world, _) = try World.parents(2)
    let father = world.account("father")
    #expect(world.deny(.account(father), by: "mother") == code(.otherGuardian))
    #expect(world.ask(record, .patient, by: "father") == .applied)
    let doctor = Grantee.account(world.account("doctor", at: 2))
    #expect(world.run(.grantConsent, world.grant(to: doctor), by: "father") == .applied)
    #expect(world.ask(record, by: "doctor", at: 2) == .applied)
    // A clinician who is refused by one of them stays refused: a denial wins.
    #expect(world.deny(doctor, by: "mother") == .applied)
    #expect(world.ask(record, by: "doctor", at: 2) == code(.denied))
    // The patient may refuse either, and it holds.
    #expect(world.deny(.account(father), by: "patient") == .applied)
    #expect(world.ask(record, .patient, by: "father") == code(.denied))
    #expect(world.ask(record, .patient, by: "mother") == .applied)
  }

  @Test("⚑ What a guardian denied another before, or by the name of a hospital, shuts nobody out either")
  func earlierDenials() throws {
    var (world, record) = try World.parents(1)
    #expect(world.deny(.account(world.account("father")), by: "mother") == .applied)
    world.limits.rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0))
    #expect(world.ask(record, .patient, by: "father") == .applied)
    let doctor = Grantee.account(world.account("doctor", at: 2))
    #expect(world.run(.grantConsent, world.grant(to: doctor), by: "father") == .applied)
    #expect(world.ask(record, by: "doctor", at: 2) == .applied, "what the father gives holds")
    // A parent who is a clinician of the hospital that the other denies: as a parent the own child, nobody else's.
    world.register("nurse", .practitioner)
    world.empower(world.account("nurse"), scope: .records([record]), until: 1 << 39)
    let other = try #require(world.write(2...2).first)
    #expect(world.deny(.hospital(MemberID(1)), by: "mother") == .applied)
    #expect(world.ask(record, by: "nurse") == .applied)
    #expect(world.ask(other, by: "nurse") == code(.denied))
    #expect(world.ask(record, by: "own doctor") == code(.denied))
  }

  @Test("⚑ However much one who acts for a patient gives, each other who does has room to grant and to deny")
  func room() throws {
    let most = HealthRules.Limits().consentsPerGiverMax
    for version in 1...2 as ClosedRange<UInt16> {
      var (world, record) = try World.parents(version)
      let fathers = world.last
      for isDenial in [false, true] {
        let grant = world.grant(to: .hospital(MemberID(3)), denial: isDenial)
        let outcomes = (0...most).map { _ in world.run(.grantConsent, grant, by: "father") }
        #expect(outcomes.filter { $0 == .applied }.count == (version == 1 ? most : most / 2))
        #expect(outcomes.last == code(.tooManyConsents))
      }
      let doctor = world.grant(to: .account(world.account("doctor", at: 2)))
      let denial = world.grant(to: .hospital(MemberID(4)), denial: true)
      let expected = version == 1 ? code(.tooManyConsents) : .applied
      #expect(world.run(.grantConsent, doctor, by: "mother") == expected)
      #expect(world.run(.grantConsent, denial, by: "mother") == expected)
      #expect(world.ask(record, by: "doctor", at: 2) == (version == 1 ? code(.noConsent) : .applied))
      guard version == 2 else { continue }
      // The room of all is full, and one who comes later has a part of it all the same.
      let rest = (1..<most / 2).map { _ in world.run(.grantConsent, doctor, by: "mother") }
      #expect(rest.allSatisfy { $0 == .applied })
      #expect(world.run(.grantConsent, doctor, by: "mother") == code(.tooManyConsents))
      world.register("aunt", .patient)
      world.empower(world.account("aunt"), until: 1 << 39)
      let aunts = (0...most / 3).map { _ in world.run(.grantConsent, doctor, by: "aunt") }
      #expect(aunts.dropLast().allSatisfy { $0 == .applied } && aunts.last == code(.tooManyConsents))
      // What somebody gave who acts no more takes nobody's room.
      let end = ConsentRevocation(patient: world.account("patient"), consent: fathers)
      #expect(world.run(.revokeConsent, end, by: "patient") == .applied)
      #expect(world.run(.grantConsent, doctor, by: "aunt") == .applied)
      let kept = world.state.scan(prefix: StateKey.consents(world.account("patient")), limit: .max)
      let grants = kept.compactMap { try? ConsentEntry.decode($0.value) }.filter { !$0.grant.isDenial }
      // Those of three who acted once, then the mother's and the aunt's.
      #expect(grants.count == 3 + most / 2 + most / 3 + 1)
    }
  }

  @Test("⚑ A guardian whom a registrar makes acts after three days, in which the patient can object")
  func guardian() throws {
    for version in 1...2 as ClosedRange<UInt16> {
      var (world, record, parent) = World.family()
      if version == 2 { world.limits.rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0)) }
      let guardianship = world.power(parent, until: 1 << 39)
      #expect(world.run(.grantConsent, guardianship, by: "registrar 1") == .applied)
      let consent = world.last
      #expect(world.ask(record, .patient, by: "parent") == (version == 1 ? .applied : code(.outsideWindow)))
      guard version == 2 else { continue }
      #expect(
        world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "parent") == code(.outsideWindow))
      #expect(
        world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "own doctor") == code(.unknownSigner))
      world.pass(milliseconds: Self.delay)
      #expect(world.ask(record, .patient, by: "parent") == .applied)
      let end = ConsentRevocation(patient: world.account("patient"), consent: consent)
      #expect(world.run(.revokeConsent, end, by: "patient") == .applied)
      // Again, and the patient objects in time.
      #expect(world.run(.grantConsent, guardianship, by: "registrar 1") == .applied)
      let objection = ConsentRevocation(patient: world.account("patient"), consent: world.last)
      #expect(world.run(.revokeConsent, objection, by: "patient") == .applied)
      world.pass(milliseconds: Self.delay)
      #expect(world.ask(record, .patient, by: "parent") == code(.noConsent))
      // Whom the patient lets act acts at once; a guardianship that is over before it begins is none.
      world.empower(parent, until: 1 << 39)
      #expect(world.ask(record, .patient, by: "parent") == .applied)
      let short = world.power(parent, until: world.time.milliseconds + Self.delay - 1)
      #expect(world.run(.grantConsent, short, by: "registrar 1") == code(.badWindow))
    }
  }

  @Test("⚑ An account that is a day old breaks the glass, a younger one does not")
  func age() throws {
    var (world, record) = World.furnished()
    #expect(world.breakGlass(record) == .applied, "the first rules have no age")
    let day: UInt64 = 86_400_000
    world.limits.rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: day))
    #expect(world.breakGlass(record) == code(.accountTooYoung))
    world.pass(milliseconds: day - 1)
    #expect(world.breakGlass(record) == code(.accountTooYoung))
    world.pass(milliseconds: 1)
    #expect(world.breakGlass(record) == .applied)
  }

  @Test("⚑ The hospital that wrote the records sees that glass was broken for them elsewhere, and does not judge it")
  func author() throws {
    for version in 1...2 as ClosedRange<UInt16> {
      var (world, record) = World.furnished()
      if version == 2 { world.limits.rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0)) }
      let request = world.request([record], purpose: .emergency, reason: 1)
      #expect(world.run(.breakGlass, request, at: 2, by: "doctor") == .applied)
      let review = AccessReview(request: world.last, isJustified: true)
      func seen(_ hospital: UInt32) -> Int {
        world.state.scan(prefix: StateKey.emergencies(at: MemberID(hospital)), limit: 9).count
      }
      #expect(seen(2) == 1 && seen(1) == Int(version) - 1 && seen(3) == 0)
      #expect(world.run(.reviewBreakGlass, review, at: 1, by: "registrar 1") == code(.otherHospital))
      #expect(world.run(.reviewBreakGlass, review, at: 2, by: "registrar 2") == .applied)
    }
  }

  @Test("One emergency counts once, however many requests it takes; another patient, or an hour later, is another")
  func emergency() throws {
    let limits = HealthRules.Limits()
    var (world, record) = World.furnished()
    world.limits.rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0))
    let most = Int(limits.emergencyRequestsMax)
    for _ in 0..<most {
      let outcome = world.breakGlass(record)
      #expect(outcome == .applied)
    }
    func count() -> UInt64 {
      let key = StateKey.breakGlassCount(
        world.account("own doctor").bytes, day: world.time.milliseconds / 86_400_000)
      guard let bytes = world.state.value(key) else { return 0 }
      var decoder = Decoder(bytes)
      return (try? decoder.u64()) ?? 0
    }
    #expect(count() == 1)
    // ⚑ So many and no more: the next is another emergency.
    #expect(world.breakGlass(record) == .applied)
    #expect(count() == 2)
    world.pass(milliseconds: limits.emergencyMilliseconds + 1)
    #expect(world.breakGlass(record) == .applied)
    #expect(count() == 3)
    for number in 3..<limits.breakGlassPerAccountMax {
      world.pass(milliseconds: limits.emergencyMilliseconds + 1)
      let outcome = world.breakGlass(record)
      #expect(outcome == .applied, "\(number)")
    }
    world.pass(milliseconds: limits.emergencyMilliseconds + 1)
    #expect(world.breakGlass(record) == code(.breakGlassLimit))
  }

  @Test("⚑ A few records are erased at once, all others after three days in which that can be taken back")
  func erasure() throws {
    var (first, _) = World.furnished()
    for record in first.write(2...9) {
      let outcome = first.run(.eraseRecord, record, by: "patient")
      #expect(outcome == .applied && first.isErased(record), "the first rules erase at once")
    }
    var (world, _) = World.furnished()
    world.limits.rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0))
    let records = world.write(2...9)
    for record in records { #expect(world.run(.eraseRecord, record, by: "patient") == .applied) }
    #expect(records.map { world.isErased($0) } == records.indices.map { $0 < Self.atOnce })
    let waiting = Array(records.dropFirst(Self.atOnce))
    #expect(world.run(.eraseRecord, waiting[0], by: "patient") == code(.erasureUnderWay))
    #expect(world.run(.eraseRecord, records[0], by: "patient") == code(.erased))
    let due = world.time.adding(milliseconds: Self.delay)
    let pending = try #require(
      PendingErasure.find(waiting[0], of: world.account("patient"), in: world.state))
    #expect(pending.due == due && world.rules.deadline(in: StateEditor(reader: world.state)) == due)
    // One is taken back, by nobody else than the patient and the own hospital's registrar.
    let back = ErasureWithdrawal(patient: world.account("patient"), records: [waiting[0]])
    #expect(world.run(.keepRecords, back, by: "own doctor") == code(.unknownSigner))
    #expect(world.run(.keepRecords, back, at: 2, by: "registrar 2") == code(.otherHospital))
    #expect(world.run(.keepRecords, back) == code(.wrongAuthorization))
    #expect(world.run(.keepRecords, back, by: "patient") == .applied)
    #expect(world.run(.keepRecords, back, by: "patient") == code(.noErasure))
    world.pass(milliseconds: Self.delay - 1)
    #expect(!world.isErased(waiting[1]))
    world.pass(milliseconds: 1)
    #expect(!world.isErased(waiting[0]) && waiting.dropFirst().allSatisfy { world.isErased($0) })
    #expect(world.rules.deadline(in: StateEditor(reader: world.state)) == .never)
    // On another day some are erased at once again.
    #expect(world.run(.eraseRecord, waiting[0], by: "patient") == .applied)
    #expect(world.isErased(waiting[0]))
  }

  @Test("⚑ What takes the place of a record that is to be erased is erased with it, and kept with it")
  func erasureInherited() throws {
    for isKept in [false, true] {
      var (world, _) = World.furnished()
      world.limits.rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0))
      let records = world.write(2...6)
      for record in records { #expect(world.run(.eraseRecord, record, by: "patient") == .applied) }
      let (asked, other) = (records[Self.atOnce], records[Self.atOnce + 1])
      // The hospital's system sends it again each night.
      var sent = [asked]
      for night in 20...21 as ClosedRange<UInt8> {
        world.pass(milliseconds: Self.delay / 3)
        let anchor = world.anchor(night, of: "patient", supersedes: sent.last)
        #expect(world.run(.anchorRecord, anchor) == .applied)
        #expect(world.run(.eraseRecord, anchor.record, by: "patient") == code(.erasureUnderWay))
        sent.append(anchor.record)
      }
      if isKept {
        let back = ErasureWithdrawal(patient: world.account("patient"), records: [asked])
        #expect(world.run(.keepRecords, back, by: "patient") == .applied)
        #expect(world.run(.keepRecords, back, by: "patient") == code(.noErasure))
      }
      world.pass(milliseconds: Self.delay)
      for record in sent { #expect(world.isErased(record) != isKept) }
      #expect(world.isErased(other))
      #expect(world.state.scan(prefix: StateKey.erasures(of: world.account("patient")), limit: 9).isEmpty)
      #expect(world.rules.deadline(in: StateEditor(reader: world.state)) == .never)
    }
  }

  @Test("⚑ What a stolen key asked to be erased is kept: suspended, another key, a recovery under way, or at the desk")
  func stolen() throws {
    let changes: [(inout World) -> Void] = [
      { world in
        let status = StatusChange(account: world.account("patient"), status: .suspended)
        let outcome = world.run(.setStatus, status, by: "registrar 1")
        #expect(outcome == .applied)
      },
      { world in
        let rotation = KeyRotation(account: world.account("patient"), key: World.key("new").publicKey)
        let proven = world.proven(rotation, of: "new", as: .patient, sealingKey: Hash.sha256([1]))
        let outcome = world.run(.rotateKey, proven, by: "patient")
        #expect(outcome == .applied)
      },
      { world in
        world.time = world.time.adding(milliseconds: 1)
        let recovery = RecoveryRequest(
          account: world.account("patient"), key: World.key("new").publicKey, sealingKey: Hash.sha256([5]))
        let proven = world.proven(recovery, of: "new", as: .patient, sealingKey: recovery.sealingKey)
        let outcome = world.run(.beginRecovery, proven, by: "registrar 1")
        #expect(outcome == .applied)
      },
      { world in
        let all = ErasureWithdrawal(patient: world.account("patient"), records: [])
        let outcome = world.run(.keepRecords, all, by: "registrar 1")
        #expect(outcome == .applied)
      },
    ]
    for (number, change) in changes.enumerated() {
      var (world, _) = World.furnished()
      world.limits.rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0))
      let records = world.write(2...9)
      for record in records { #expect(world.run(.eraseRecord, record, by: "patient") == .applied) }
      change(&world)
      world.pass(milliseconds: Self.delay)
      #expect(records.dropFirst(Self.atOnce).allSatisfy { !world.isErased($0) }, "\(number)")
      #expect(
        world.state.scan(prefix: StateKey.erasures(of: world.account("patient")), limit: 9).isEmpty, "\(number)")
    }
  }

  @Test("⚑ A key that is read in a block is nobody else's: what names it carries its holder's word for that hospital")
  func possession() throws {
    var (world, _) = World.furnished()
    world.limits.rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0))
    let registration = world.registration("child", .patient)
    let read = world.proven(registration, of: "child", as: .patient, sealingKey: registration.sealingKey)
    // Another hospital takes neither the key as it is nor with another sealing key, nor as another kind of account.
    let other = AccountRegistration(
      kind: .patient, key: registration.key, sealingKey: Hash.sha256([9]), role: 7, validFrom: .zero,
      validUntil: registration.validUntil)
    for stolen in [
      read, Proven(registration, proof: nil), Proven(other, proof: read.proof),
      Proven(other, proof: World.key("thief").sign([1])),
      Proven(world.registration("child", .device), proof: read.proof),
    ] {
      #expect(world.run(.registerAccount, stolen, at: 2, by: "registrar 2") == code(.badEvidence))
    }
    #expect(world.run(.registerAccount, Proven(other, proof: read.proof), by: "registrar 1") == code(.badEvidence))
    #expect(world.run(.registerAccount, read, by: "registrar 1") == .applied)
    #expect(world.state.item(StateKey.key(registration.key.bytes), as: Digest.self) == world.account("child"))

    let rotation = KeyRotation(account: world.account("child"), key: World.key("new").publicKey)
    let rotated = world.proven(rotation, of: "new", as: .patient, sealingKey: registration.sealingKey)
    #expect(world.run(.rotateKey, Proven(rotation, proof: nil), by: "child") == code(.badEvidence))
    // Not by another account, whose sealing key is another, and not in another lane.
    let (doctor, session) = (world.account("doctor", at: 2), World.key("session").publicKey)
    let taking = Proven(KeyRotation(account: doctor, key: rotation.key), proof: rotated.proof)
    #expect(world.run(.rotateKey, taking, at: 2, by: "doctor") == code(.badEvidence))
    #expect(world.run(.rotateKey, rotated, at: 2, by: "child") == code(.badEvidence))
    #expect(world.run(.rotateKey, rotated, by: "child") == .applied)

    let request = RecoveryRequest(
      account: world.account("child"), key: World.key("newer").publicKey, sealingKey: Hash.sha256([5]))
    let recovery = world.proven(request, of: "newer", as: .patient, sealingKey: request.sealingKey)
    #expect(world.run(.beginRecovery, Proven(request, proof: nil), by: "registrar 1") == code(.badEvidence))
    #expect(world.run(.beginRecovery, Proven(request, proof: rotated.proof), by: "registrar 1") == code(.badEvidence))
    #expect(world.run(.beginRecovery, recovery, by: "registrar 1") == .applied)

    let opening = SessionOpening(key: session, until: world.time.adding(milliseconds: 1000))
    let opened = world.proven(opening, of: "session", as: nil, at: 2)
    #expect(world.run(.openSession, Proven(opening, proof: nil), at: 2, by: "doctor") == code(.badEvidence))
    #expect(world.run(.openSession, opened, at: 1, by: "own doctor") == code(.badEvidence))
    #expect(world.run(.openSession, opened, at: 2, by: "doctor") == .applied)
  }

  @Test("The first rules know no word of a key's holder: what carries one is malformed, as it was")
  func possessionUnknown() {
    var world = World()
    let registration = world.registration("child", .patient)
    let proof = World.key("child").sign([1])
    let outcome = world.run(.registerAccount, Proven(registration, proof: proof), by: "registrar 1")
    #expect(outcome == .malformed)
    #expect(world.run(.registerAccount, registration, by: "registrar 1") == .applied)
  }

  @Test("⚑ A quorum's registrars adopt rules together, from there on and for good; before, nothing new is known")
  func adoption() throws {
    var (world, record) = World.furnished()
    let network = world.network
    func approved(
      _ rules: AgreedRules, after adoptions: UInt64 = 0, until: Timestamp = .never, by hospitals: [Int]
    ) -> ApprovedRules {
      let change = RulesChange(rules: rules, adoptions: adoptions, validUntil: until)
      return ApprovedRules(
        change,
        approvals: hospitals.map { hospital in
          let signature = World.key("registrar \(hospital)").sign(change.signedBytes(network: network))
          return VoteSignature(signer: hospital - 1, signature: signature)
        })
    }
    let (day, rules) = (UInt64(86_400_000), try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 86_400_000)))
    let none = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0))
    let twice = ApprovedRules(
      approved(rules, by: [1]).change, approvals: approved(rules, by: [1, 1, 2]).approvals)
    let strange = ApprovedRules(
      approved(rules, by: [1]).change, approvals: approved(none, by: [1, 2, 3]).approvals)
    // What the first rules do not take they do not know: a program without the second says the same.
    for unsound in [
      approved(rules, by: [1, 2]), twice, strange, approved(.first, by: [1, 2, 3]),
      approved(rules, after: 1, by: [1, 2, 3]), approved(rules, until: .zero, by: [1, 2, 3]),
    ] {
      #expect(world.run(.adoptRules, unsound) == .unknownKind)
    }
    #expect(world.run(.adoptRules, approved(rules, by: [1, 2, 3]), by: "registrar 1") == .unknownKind)
    let keeping = ErasureWithdrawal(patient: world.account("patient"), records: [])
    #expect(world.run(.keepRecords, keeping, by: "patient") == .unknownKind)
    #expect(world.breakGlass(record) == .applied)

    #expect(world.run(.adoptRules, approved(rules, by: [1, 2, 3]), at: 2) == .applied)
    #expect(world.breakGlass(record) == code(.accountTooYoung))
    #expect(AgreedRules.inForce(in: world.state, genesis: world.limits) == rules)
    #expect(AgreedRules.adoptions(in: world.state) == 1)
    #expect(world.run(.keepRecords, keeping, by: "patient") == code(.noErasure))
    #expect(world.run(.adoptRules, approved(rules, after: 1, by: [1, 2, 3])) == code(.unsoundRules))
    #expect(world.run(.adoptRules, approved(.first, after: 1, by: [1, 2, 3])) == code(.unsoundRules))
    // Another time by the same way; what was approved before counts once.
    #expect(world.run(.adoptRules, approved(none, by: [1, 2, 3])) == code(.unsoundRules))
    #expect(world.run(.adoptRules, approved(none, after: 1, by: [1, 2])) == code(.tooFewApprovals))
    #expect(
      world.run(.adoptRules, approved(none, after: 1, until: .zero, by: [1, 2, 3])) == code(.changeExpired))
    #expect(world.run(.adoptRules, approved(none, after: 1, by: [2, 3, 4])) == .applied)
    #expect(world.breakGlass(record) == .applied)
    #expect(AgreedRules(emergencyAgeMilliseconds: 91 * day) == nil)
    var unknown = Encoder()
    unknown.u16(AgreedRules.newest + 1)
    unknown.u64(0)
    // ⚑ What a newer program may adopt is judged here as there; once adopted, nothing is executed by guess.
    let newer = try AgreedRules.decode(unknown.bytes)
    #expect(!newer.isKnown)
    // Where it is refused, the code is that of the first programs of these rules, which could not read it.
    #expect(world.run(.adoptRules, approved(newer, after: 2, by: [1, 2])) == .malformed)
    #expect(world.run(.adoptRules, approved(newer, after: 1, by: [1, 2, 3])) == .malformed)
    #expect(world.run(.adoptRules, approved(newer, after: 2, until: .zero, by: [1, 2, 3])) == .malformed)
    #expect(HealthRules().unknownVersion(in: StateEditor(reader: world.state)) == nil)
    #expect(HealthRules(newest: 1).unknownVersion(in: StateEditor(reader: world.state)) == 2)
    var later = world
    #expect(later.run(.adoptRules, approved(newer, after: 2, by: [1, 2, 3])) == .applied)
    #expect(HealthRules().unknownVersion(in: StateEditor(reader: later.state)) == AgreedRules.newest + 1)

    let member = world.configuration.members[0]
    var limits = LedgerLimits()
    let old = try #require(Genesis(name: "old", engine: .pbft, limits: limits, members: [member]))
    #expect(old.encoded.first == 1)
    #expect(try Genesis.decode(old.encoded) == old)
    limits.rules = rules
    let new = try #require(Genesis(name: "old", engine: .pbft, limits: limits, members: [member]))
    #expect(new.network != old.network)
    #expect(try Genesis.decode(new.encoded) == new)
    #expect(try Genesis.decode(new.encoded).limits.rules == rules)
  }
}
