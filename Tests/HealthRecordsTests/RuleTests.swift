// Goal: every rule of RECORDS §2–§4 and its opposite. Method: a table of transactions against one state, by their
// outcomes; the decision function against a naive one on random consents.
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Wire

/// A ledger of rules only: each transaction is executed at a time, in the lane of a hospital.
struct World {
  let network = Hash.blake2b("network")
  var configuration: Configuration
  var state = MemoryState()
  var time = Timestamp(milliseconds: 1_000_000)
  var leaf: UInt64 = 0
  var rules = HealthRules()
  var limits = LedgerLimits()

  static func key(_ name: String) -> SigningKey {
    guard let key = SigningKey(seed: Hash.sha256(Array(name.utf8)).bytes) else { preconditionFailure("32 bytes") }
    return key
  }

  init() {
    let members = (1...4).map { number -> Member in
      let key = World.key("member \(number)").publicKey
      return Member(
        id: MemberID(UInt32(number)), name: "", key: key, checkpointKey: key,
        registrarKey: World.key("registrar \(number)").publicKey, sealingKey: .zero, addresses: [])
    }
    self.configuration = Configuration(number: ConfigurationNumber(0), members: members)
  }

  /// Executes and returns the outcome; `signer` nil is the hospital itself.
  @discardableResult
  mutating func run(
    _ kind: TransactionKind, _ payload: some WireEncodable, at hospital: UInt32 = 1, by signer: String? = nil
  ) -> OutcomeCode {
    var nonce = Encoder()
    nonce.u64(self.leaf)
    nonce.u32(0)
    let transaction: Transaction
    if let signer {
      transaction = Transaction(
        kind: kind.rawValue, hospital: MemberID(hospital), validUntil: .never, nonce: nonce.bytes,
        payload: payload.encoded, network: self.network, signedBy: World.key(signer))
    } else {
      transaction = Transaction(
        kind: kind.rawValue, hospital: MemberID(hospital), validUntil: .never, nonce: nonce.bytes,
        payload: payload.encoded)
    }
    self.last = transaction.identifier(network: self.network)
    let context = ExecutionContext(
      network: self.network, configuration: self.configuration, limits: self.limits,
      sequence: SequenceNumber(self.leaf + 1),
      time: self.time, leaf: self.leaf)
    var editor = StateEditor(reader: self.state)
    let outcome = self.rules.execute(transaction, identifier: self.last, in: context, state: &editor)
    if outcome == .applied { editor.commit() } else { editor.rollBack() }
    self.state.apply(editor.writes)
    self.leaf += 1
    return outcome
  }

  /// The last transaction's identifier.
  var last = Digest.zero

  mutating func register(_ name: String, _ kind: AccountKind, at hospital: UInt32 = 1, role: UInt32 = 7) {
    let registration = self.registration(name, kind, role: role)
    let proven = self.proven(
      registration, of: name, as: kind, sealingKey: registration.sealingKey, at: hospital)
    let outcome = self.run(.registerAccount, proven, at: hospital, by: "registrar \(hospital)")
    #expect(outcome == .applied)
  }

  /// What names a key, with what its holder signs where the rules ask for it; `kind` nil is a session's.
  func proven<Claim>(
    _ claim: Claim, of name: String, as kind: AccountKind?, sealingKey: Digest = .zero, at hospital: UInt32 = 1
  ) -> Proven<Claim> {
    guard AgreedRules.inForce(in: self.state, genesis: self.limits).version >= 2 else {
      return Proven(claim, proof: nil)
    }
    let (network, place) = (self.network, MemberID(hospital))
    let said =
      kind.map { KeyPossession(network: network, hospital: place, kind: $0, sealingKey: sealingKey) }
      ?? KeyPossession(sessionAt: place, network: network)
    return Proven(claim, proof: World.key(name).sign(said.signedBytes))
  }

  func registration(_ name: String, _ kind: AccountKind, role: UInt32 = 7) -> AccountRegistration {
    AccountRegistration(
      kind: kind, key: World.key(name).publicKey, sealingKey: Hash.sha256([1]), role: role, validFrom: .zero,
      validUntil: Timestamp(milliseconds: 1 << 40))
  }

  func account(_ name: String, at hospital: UInt32 = 1) -> Digest {
    Account.identifier(network: self.network, hospital: MemberID(hospital), key: World.key(name).publicKey)
  }

  func anchor(
    _ number: UInt8, of patient: String, at hospital: UInt32 = 1, category: RecordCategory = .observation,
    author: String? = nil, supersedes: Digest? = nil, signedBy signer: String? = nil
  ) -> RecordAnchor {
    let hashLock = Hash.sha256([number])
    let account = self.account(patient, at: hospital)
    let record = RecordAnchor.identifier(
      network: self.network, hospital: MemberID(hospital), patient: account, hashLock: hashLock)
    let message = RecordAnchor.authored(
      network: self.network, record: record, patient: account, category: category, hashLock: hashLock,
      supersedes: supersedes)
    let signature = (signer ?? author).map { World.key($0).sign(message) }
    return RecordAnchor(
      record: record, patient: account, author: author.map { self.account($0, at: hospital) }, category: category,
      hashLock: hashLock, address: .zero, sizeBytes: 1, capsule: .zero, patientCopy: .zero, supersedes: supersedes,
      authorSignature: signature)
  }

  func grant(
    to grantee: Grantee, denial: Bool = false, scope: ConsentScope = .all, purposes: Purposes = .treatment,
    from: UInt64 = 0, until: UInt64 = 2_000_000, uses: UInt32? = nil
  ) -> ConsentGrant {
    ConsentGrant(
      patient: self.account("patient"), isDenial: denial, grantee: grantee, scope: scope, purposes: purposes,
      from: Timestamp(milliseconds: from), until: Timestamp(milliseconds: until), usesMax: uses)
  }

  func request(_ records: [Digest], purpose: Purposes = .treatment, reason: UInt16 = 0) -> AccessRequest {
    AccessRequest(
      patient: self.account("patient"), records: records, purpose: purpose, reason: reason,
      ephemeralKey: Hash.sha256([8]))
  }

  /// A patient at hospital 1, doctors at 1 and 2, one record.
  static func furnished() -> (world: World, record: Digest) {
    var world = World()
    world.register("patient", .patient)
    world.register("own doctor", .practitioner)
    world.register("doctor", .practitioner, at: 2)
    let anchor = world.anchor(1, of: "patient")
    let outcome = world.run(.anchorRecord, anchor)
    #expect(outcome == .applied)
    return (world, anchor.record)
  }
}

private func code(_ refusal: Refusal) -> OutcomeCode { refusal.code }

@Suite("Rules: users")
struct UserRuleTests {
  @Test("What a refusal is told as holds of everything that is refused by it", arguments: Refusal.allCases)
  func words(_ refusal: Refusal) {
    for word in ["pseudonym", "anew", "register it first", "starts"] {
      #expect(!refusal.explanation.contains(word), "\(refusal): \(refusal.explanation)")
    }
    #expect(!refusal.explanation.isEmpty && refusal.explanation.first?.isUppercase == false)
  }

  @Test("Only the hospital's own registrar registers, and each key once")
  func registration() {
    var world = World()
    let registration = world.registration("a", .practitioner)
    #expect(world.run(.registerAccount, registration, by: "registrar 2") == code(.unknownSigner))
    #expect(world.run(.registerAccount, registration) == code(.wrongAuthorization))
    #expect(world.run(.registerAccount, registration, by: "registrar 1") == .applied)
    #expect(world.run(.registerAccount, registration, by: "registrar 1") == code(.accountExists))
    #expect(world.run(.registerAccount, registration, at: 2, by: "registrar 2") == code(.keyInUse))
    #expect(world.run(.registerAccount, world.registration("t", .thirdParty), by: "registrar 1") == code(.wrongRole))
  }

  @Test("A third party needs the approvals of Q hospitals, each once")
  func thirdParty() {
    var world = World()
    let party = world.registration("insurer", .thirdParty)
    #expect(world.run(.approveThirdParty, party, at: 1) == .applied)
    #expect(world.run(.approveThirdParty, party, at: 1) == code(.alreadyApproved))
    #expect(world.run(.approveThirdParty, party, at: 2) == .applied)
    #expect(world.state.value(StateKey.account(world.account("insurer", at: 2))) == nil)
    #expect(world.run(.approveThirdParty, party, at: 3) == .applied)
    #expect(world.state.value(StateKey.account(world.account("insurer", at: 3))) != nil)
  }

  @Test("Suspended and revoked accounts may do nothing; a revoked one stays so; another registrar changes nothing")
  func status() {
    var (world, record) = World.furnished()
    let doctor = world.account("own doctor")
    func set(_ status: AccountStatus, by registrar: String = "registrar 1", at hospital: UInt32 = 1) -> OutcomeCode {
      world.run(.setStatus, StatusChange(account: doctor, status: status), at: hospital, by: registrar)
    }
    #expect(set(.suspended, by: "registrar 2", at: 2) == code(.otherHospital))
    #expect(set(.suspended) == .applied)
    #expect(world.run(.requestAccess, world.request([record]), by: "own doctor") == code(.accountInactive))
    #expect(set(.active) == .applied)
    #expect(world.run(.requestAccess, world.request([record]), by: "own doctor") == .applied)
    #expect(set(.revoked) == .applied)
    #expect(set(.active) == code(.accountInactive))
  }

  @Test("A rotated key takes over, the old one may do nothing any more")
  func rotation() {
    var (world, record) = World.furnished()
    let rotation = KeyRotation(account: world.account("own doctor"), key: World.key("new").publicKey)
    #expect(world.run(.rotateKey, rotation, by: "patient") == code(.unknownSigner))
    #expect(world.run(.rotateKey, rotation, by: "own doctor") == .applied)
    #expect(world.run(.requestAccess, world.request([record]), by: "own doctor") == code(.unknownSigner))
    #expect(world.run(.requestAccess, world.request([record]), by: "new") == .applied)
  }

  @Test(
    "Feedback: only the patient rates, only what a practitioner wrote, once; a second thought replaces the first"
  )
  func feedback() throws {
    var world = World()
    world.register("patient", .patient)
    world.register("other patient", .patient)
    world.register("doctor", .practitioner)
    let (written, plain) = (world.anchor(1, of: "patient", author: "doctor"), world.anchor(2, of: "patient"))
    for anchor in [written, plain] { #expect(world.run(.anchorRecord, anchor) == .applied) }
    let good = RecordRating(record: written.record, rating: 5)
    #expect(world.run(.rateRecord, good, by: "doctor") == Refusal.unknownSigner.code)
    #expect(world.run(.rateRecord, good, by: "other patient") == Refusal.unknownSigner.code)
    #expect(world.run(.rateRecord, good) == Refusal.wrongAuthorization.code)
    #expect(
      world.run(.rateRecord, RecordRating(record: plain.record, rating: 5), by: "patient") == Refusal.noAuthor.code)
    let nobody = RecordRating(record: Hash.sha256([7]), rating: 5)
    #expect(world.run(.rateRecord, nobody, by: "patient") == Refusal.unknownRecord.code)
    for rating in [UInt8(0), 6, 255] {
      let outside = RecordRating(record: written.record, rating: rating)
      #expect(world.run(.rateRecord, outside, by: "patient") == .malformed)
    }
    func counts() -> [UInt64]? {
      world.state.item(StateKey.ratings(of: world.account("doctor")), as: RatingCounts.self)?.counts
    }
    #expect(counts() == nil)
    #expect(world.run(.rateRecord, good, by: "patient") == .applied)
    #expect(counts() == [0, 0, 0, 0, 1])
    #expect(world.run(.rateRecord, RecordRating(record: written.record, rating: 2), by: "patient") == .applied)
    #expect(counts() == [0, 1, 0, 0, 0])
    #expect(world.run(.eraseRecord, written.record, by: "patient") == .applied)
    #expect(world.run(.rateRecord, good, by: "patient") == Refusal.erased.code)
  }

  @Test("Bytes that are no payload are malformed, whatever the kind", arguments: TransactionKind.allCases)
  func malformed(kind: TransactionKind) {
    var (world, _) = World.furnished()
    let before = world.state
    #expect(world.run(kind, Digest.zero, by: "registrar 1") != .applied || kind == .commitDigests)
    #expect(world.state == before)
  }
}

@Suite("Rules: records")
struct RecordRuleTests {
  @Test("A record is anchored once, only in its pseudonym's hospital's lane, under its true identifier")
  func anchoring() {
    var (world, _) = World.furnished()
    let anchor = world.anchor(2, of: "patient")
    #expect(world.run(.anchorRecord, anchor, at: 2) == code(.otherHospital))
    #expect(world.run(.anchorRecord, anchor, by: "own doctor") == code(.wrongAuthorization))
    #expect(world.run(.anchorRecord, anchor) == .applied)
    #expect(world.run(.anchorRecord, anchor) == code(.recordExists))
    #expect(world.run(.anchorRecord, world.anchor(3, of: "nobody")) == code(.unknownAccount))
    let other = world.anchor(4, of: "patient")
    let relabelled = RecordAnchor(
      record: Hash.sha256([99]), patient: other.patient, author: nil, category: .observation,
      hashLock: other.hashLock, address: .zero, sizeBytes: 1, capsule: .zero, patientCopy: .zero, supersedes: nil,
      authorSignature: nil)
    #expect(world.run(.anchorRecord, relabelled) == code(.wrongRecordIdentifier))
    for size in [RecordPart.sizeBytesMax + 1, .max] {
      let swollen = RecordAnchor(
        record: other.record, patient: other.patient, author: nil, category: .observation, hashLock: other.hashLock,
        address: .zero, sizeBytes: size, capsule: .zero, patientCopy: .zero, supersedes: nil, authorSignature: nil)
      #expect(world.run(.anchorRecord, swollen) == code(.tooLarge))
    }
  }

  @Test("An author is an active practitioner of that hospital, and signed these very commitments")
  func authorship() {
    var (world, _) = World.furnished()
    #expect(world.run(.anchorRecord, world.anchor(2, of: "patient", author: "own doctor")) == .applied)
    let forged = world.anchor(3, of: "patient", author: "own doctor", signedBy: "doctor")
    #expect(world.run(.anchorRecord, forged) == code(.wrongAuthorSignature))
    #expect(world.run(.anchorRecord, world.anchor(4, of: "patient", author: "patient")) == code(.wrongRole))
    #expect(world.run(.anchorRecord, world.anchor(5, of: "patient", author: "nobody")) == code(.unknownAccount))
  }

  @Test("An amendment supersedes a current record of the same patient, once")
  func amendment() {
    var (world, record) = World.furnished()
    #expect(world.run(.anchorRecord, world.anchor(2, of: "patient", supersedes: record)) == .applied)
    #expect(world.run(.anchorRecord, world.anchor(3, of: "patient", supersedes: record)) == code(.wrongAmendment))
    #expect(
      world.run(.anchorRecord, world.anchor(4, of: "patient", supersedes: Hash.sha256([77]))) == code(.wrongAmendment))
  }

  @Test("R7: only the patient erases; an erased record is asked for in vain, and is not amended")
  func erasure() {
    var (world, record) = World.furnished()
    #expect(world.run(.eraseRecord, record, by: "own doctor") == code(.unknownSigner))
    #expect(world.run(.eraseRecord, record, by: "patient") == .applied)
    #expect(world.run(.eraseRecord, record, by: "patient") == code(.erased))
    #expect(world.run(.requestAccess, world.request([record]), by: "own doctor") == code(.erased))
    #expect(world.run(.anchorRecord, world.anchor(2, of: "patient", supersedes: record)) == code(.wrongAmendment))
  }
}

@Suite("Rules: access")
struct AccessRuleTests {
  /// A consent, and what a doctor of hospital 2 is told after it.
  static let table: [(String, @Sendable (World) -> ConsentGrant, OutcomeCode)] = [
    ("to the account", { $0.grant(to: .account($0.account("doctor", at: 2))) }, .applied),
    ("to another account", { $0.grant(to: .account($0.account("own doctor"))) }, code(.noConsent)),
    ("to the hospital", { $0.grant(to: .hospital(MemberID(2))) }, .applied),
    ("to another hospital", { $0.grant(to: .hospital(MemberID(3))) }, code(.noConsent)),
    ("to the role", { $0.grant(to: .role(7, at: MemberID(2))) }, .applied),
    ("to another role", { $0.grant(to: .role(8, at: MemberID(2))) }, code(.noConsent)),
    ("for the category", { $0.grant(to: .hospital(MemberID(2)), scope: .categories(1 << 6)) }, .applied),
    ("for another category", { $0.grant(to: .hospital(MemberID(2)), scope: .categories(1 << 4)) }, code(.noConsent)),
    ("for another record", { $0.grant(to: .hospital(MemberID(2)), scope: .records([.zero])) }, code(.noConsent)),
    ("for another purpose", { $0.grant(to: .hospital(MemberID(2)), purposes: .research) }, code(.noConsent)),
    ("from later on", { $0.grant(to: .hospital(MemberID(2)), from: 1_500_000) }, code(.outsideWindow)),
    ("a denial", { $0.grant(to: .hospital(MemberID(2)), denial: true) }, code(.denied)),
  ]

  @Test(
    "Without consent another hospital reads nothing; each consent grants what it says and no more", arguments: 0..<12)
  func consents(row: Int) {
    let (name, make, expected) = Self.table[row]
    var (world, record) = World.furnished()
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == code(.noConsent))
    #expect(world.run(.grantConsent, make(world), by: "patient") == .applied)
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == expected, "\(name)")
  }

  @Test("A denial wins over every grant, whatever their order", arguments: [false, true])
  func denialWins(denialFirst: Bool) {
    var (world, record) = World.furnished()
    let consents = [
      world.grant(to: .account(world.account("doctor", at: 2))), world.grant(to: .hospital(MemberID(2)), denial: true),
    ]
    for grant in denialFirst ? consents.reversed() : consents { world.run(.grantConsent, grant, by: "patient") }
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == code(.denied))
  }

  @Test("R4: a revoked or expired consent grants nothing ordered after it")
  func revocation() {
    var (world, record) = World.furnished()
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "patient")
    let consent = ConsentRevocation(patient: world.account("patient"), consent: world.last)
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == .applied)
    #expect(world.run(.revokeConsent, consent, by: "own doctor") == code(.unknownSigner))
    #expect(world.run(.revokeConsent, consent, by: "patient") == .applied)
    #expect(world.run(.revokeConsent, consent, by: "patient") == code(.alreadyRevoked))
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == code(.noConsent))
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "patient")
    world.time = Timestamp(milliseconds: 2_000_001)
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == code(.outsideWindow))
  }

  @Test("A consent for three uses grants three requests")
  func uses() {
    var (world, record) = World.furnished()
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(2)), uses: 3), by: "patient")
    let outcomes = (0..<4).map { _ in world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") }
    #expect(outcomes == [.applied, .applied, .applied, code(.usesSpent)])
  }

  @Test("The treating hospital reads what it wrote itself, unless the patient denies it")
  func ownRecords() {
    var (world, record) = World.furnished()
    #expect(world.run(.requestAccess, world.request([record]), by: "own doctor") == .applied)
    #expect(
      world.run(.requestAccess, world.request([record], purpose: .research), by: "own doctor") == code(.noConsent))
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(1)), denial: true), by: "patient")
    #expect(world.run(.requestAccess, world.request([record]), by: "own doctor") == code(.denied))
  }

  @Test("Only the patient consents, in the lane of the pseudonym's own hospital")
  func consentSigner() {
    var (world, _) = World.furnished()
    let grant = world.grant(to: .hospital(MemberID(2)))
    #expect(world.run(.grantConsent, grant, by: "own doctor") == code(.unknownSigner))
    #expect(world.run(.grantConsent, grant) == code(.wrongAuthorization))
    #expect(world.run(.grantConsent, grant, at: 2, by: "patient") == code(.otherHospital))
    #expect(
      world.run(.grantConsent, world.grant(to: .hospital(MemberID(2)), from: 5, until: 4), by: "patient")
        == code(.badWindow))
  }

  @Test("R5: every request is in the patient's history, granted or denied, with the release")
  func history() throws {
    var (world, record) = World.furnished()
    world.run(.requestAccess, world.request([record]), at: 2, by: "doctor")
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "patient")
    let consent = world.last
    world.run(.requestAccess, world.request([record]), at: 2, by: "doctor")
    let request = world.last
    #expect(world.run(.recordRelease, request) == .applied)
    #expect(world.run(.recordRelease, request) == code(.alreadyApproved))
    let rows = world.state.scan(prefix: StateKey.accesses(world.account("patient")), limit: 10)
    let entries = try rows.map { try AccessEntry.decode($0.value) }
    #expect(entries.map(\.outcome) == [code(.noConsent), .applied])
    #expect(entries.last?.consent == consent)
    #expect(entries.last?.releases == [MemberID(1)])
  }

  @Test("Breaking the glass reads at once, within limits, and is reviewed by the own hospital's officer in time")
  func breakGlass() throws {
    var (world, record) = World.furnished()
    let request = world.request([record], purpose: .emergency, reason: 1)
    #expect(world.run(.breakGlass, world.request([record], purpose: .emergency), at: 2, by: "doctor") == .malformed)
    #expect(world.run(.breakGlass, request, at: 2, by: "patient") == code(.wrongRole))
    #expect(world.run(.breakGlass, request, at: 2, by: "doctor") == .applied)
    let identifier = world.last
    let review = AccessReview(request: identifier, isJustified: false)
    #expect(world.run(.reviewBreakGlass, review, at: 1, by: "registrar 1") == code(.otherHospital))
    #expect(world.run(.reviewBreakGlass, review, at: 2, by: "registrar 2") == .applied)
    #expect(AccessEntry.find(request: identifier, in: world.state)?.entry.emergency == .unjustified)
    for _ in 0..<19 { world.run(.breakGlass, request, at: 2, by: "doctor") }
    #expect(world.run(.breakGlass, request, at: 2, by: "doctor") == code(.breakGlassLimit))
    world.time = world.time.adding(milliseconds: 86_400_000)
    #expect(world.run(.breakGlass, request, at: 2, by: "doctor") == .applied)
  }

  @Test("A broken glass is reviewed by the hospital's own privacy officer, who is not the one who broke it")
  func officer() throws {
    var (world, record) = World.furnished()
    world.register("officer", .practitioner, at: 2, role: Account.privacyOfficer)
    world.register("other officer", .practitioner, at: 1, role: Account.privacyOfficer)
    let request = world.request([record], purpose: .emergency, reason: 1)
    #expect(world.run(.breakGlass, request, at: 2, by: "doctor") == .applied)
    let review = AccessReview(request: world.last, isJustified: true)
    for (reviewer, hospital, outcome) in [
      ("doctor", 2, code(.wrongRole)), ("patient", 1, code(.otherHospital)), ("other officer", 1, code(.otherHospital)),
      ("other officer", 2, code(.otherHospital)), ("officer", 1, code(.otherHospital)), ("officer", 2, .applied),
      ("officer", 2, code(.unknownAccess)),
    ] {
      #expect(world.run(.reviewBreakGlass, review, at: UInt32(hospital), by: reviewer) == outcome, "\(reviewer)")
    }
    #expect(AccessEntry.find(request: review.request, in: world.state)?.entry.emergency == .justified)
    world.time = world.time.adding(milliseconds: HealthRules.Limits().breakGlassAgeMilliseconds)
    #expect(world.run(.breakGlass, request, at: 2, by: "officer") == .applied)
    let own = AccessReview(request: world.last, isJustified: true)
    #expect(world.run(.reviewBreakGlass, own, at: 2, by: "officer") == code(.unknownSigner))
  }

  @Test("R2: a key is released for an open grant that names the record, and for nothing else")
  func release() {
    var (world, record) = World.furnished()
    func judge(_ request: Digest, _ record: Digest, at time: Timestamp? = nil) -> ReleaseRefusal? {
      do throws(ReleaseRefusal) {
        _ = try ReleasePolicy.judge(
          ReleaseQuestion(request: request, record: record), at: time ?? world.time, in: world.state)
        return nil
      } catch { return error }
    }
    #expect(judge(.zero, record) == .unknownRequest)
    world.run(.requestAccess, world.request([record]), at: 2, by: "doctor")
    #expect(judge(world.last, record) == .notGranted)
    world.run(.requestAccess, world.request([record]), by: "own doctor")
    let granted = world.last
    #expect(judge(granted, record) == nil)
    #expect(judge(granted, Hash.sha256([50])) == .otherRecord)
    #expect(judge(granted, record, at: world.time.adding(milliseconds: 600_001)) == .windowOver)
    // Also what was granted before opens nothing for an account that was suspended since.
    for (status, refusal) in [(AccountStatus.suspended, ReleaseRefusal.readerInactive), (.active, nil)] {
      let change = StatusChange(account: world.account("own doctor"), status: status)
      #expect(world.run(.setStatus, change, by: "registrar 1") == .applied)
      #expect(judge(granted, record) == refusal)
    }
    world.run(.eraseRecord, record, by: "patient")
    #expect(judge(granted, record) == .erased)
  }

  @Test("The decision function agrees with a naive one on random consents", arguments: 0..<300)
  func decisionProperty(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let world = World()
    let reader = Hash.sha256([1])
    let account = Account(
      kind: .practitioner, hospital: MemberID(2), key: World.key("x").publicKey, sealingKey: .zero, role: 7,
      validFrom: .zero, validUntil: .never, status: .active, since: .zero)
    let question = AccessPolicy.Question(
      reader: reader, account: account, teams: [Hash.sha256([4])], record: Hash.sha256([9]), category: .allergy,
      purpose: .treatment,
      time: Timestamp(milliseconds: 100))
    var consents: [(identifier: Digest, entry: ConsentEntry)] = []
    for number in 0..<random.below(8) {
      let grantees: [Grantee] = [
        .account(reader), .account(.zero), .hospital(MemberID(2)), .hospital(MemberID(3)), .role(7, at: MemberID(2)),
        .role(8, at: MemberID(2)), .careTeam(Hash.sha256([4])), .careTeam(Hash.sha256([5])),
      ]
      let scopes: [ConsentScope] = [
        .all, .categories(1 << 4), .categories(1), .records([Hash.sha256([9])]), .records([]),
      ]
      let grant = ConsentGrant(
        patient: .zero, isDenial: random.oneIn(4), grantee: grantees[Int(random.below(8))],
        scope: scopes[Int(random.below(5))], purposes: random.oneIn(3) ? .research : .all,
        from: Timestamp(milliseconds: random.below(150)), until: Timestamp(milliseconds: random.below(200)),
        usesMax: random.oneIn(2) ? nil : UInt32(random.below(3)))
      consents.append(
        (
          Hash.sha256([UInt8(number)]),
          ConsentEntry(
            grant: grant, leaf: number, time: .zero, revoked: random.oneIn(5) ? .zero : nil,
            uses: UInt32(random.below(3)))
        ))
    }
    let relevant = consents.filter { _, entry in
      let grant = entry.grant
      let speaks: Bool =
        switch grant.grantee {
        case .account(let account): account == reader
        case .hospital(let hospital): hospital == MemberID(2)
        case .role(let role, let hospital): role == 7 && hospital == MemberID(2)
        case .careTeam(let team): team == Hash.sha256([4])
        }
      return speaks && entry.revoked == nil && grant.purposes.contains(.treatment)
        && grant.scope.covers(question.record, of: .allergy) && grant.from.milliseconds <= 100
        && grant.until.milliseconds >= 100
    }
    let isDenied = relevant.contains { $0.entry.grant.isDenial }
    let isGranted = relevant.contains { !$0.entry.grant.isDenial && $0.entry.uses < $0.entry.grant.usesMax ?? .max }
    let judged = AccessPolicy.judge(question, consents: consents)
    let granted = try? judged.get()
    #expect((granted != nil) == (isGranted && !isDenied))
    if isDenied { #expect(judged == .failure(.denied)) }
    _ = world
  }
}
