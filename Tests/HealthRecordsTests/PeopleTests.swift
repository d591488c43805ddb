// Goal: who acts for whom: care teams, proxies and guardians, recovery of lost keys, erasure by right (RECORDS §2, §4),
// every rule and its opposite. Method: transactions against one state, by their outcomes.
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Wire

private func code(_ refusal: Refusal) -> OutcomeCode { refusal.code }

extension World {
  /// Asks for a record of the patient's.
  mutating func ask(
    _ record: Digest, _ purpose: Purposes = .treatment, by reader: String, at hospital: UInt32 = 1
  ) -> OutcomeCode {
    self.run(.requestAccess, self.request([record], purpose: purpose), at: hospital, by: reader)
  }

  /// The patient, or somebody, lets an account act for the patient; gives the consent.
  @discardableResult
  mutating func empower(
    _ proxy: Digest, scope: ConsentScope = .all, until: UInt64 = 2_000_000, by signer: String = "patient"
  ) -> Digest {
    let outcome = self.run(.grantConsent, self.power(proxy, scope: scope, until: until), by: signer)
    #expect(outcome == .applied)
    return self.last
  }

  func power(_ proxy: Digest, scope: ConsentScope = .all, until: UInt64 = 2_000_000) -> ConsentGrant {
    ConsentGrant(
      patient: self.account("patient"), isDenial: false, actions: [.read, .share], grantee: .account(proxy),
      scope: scope, purposes: [.treatment, .patient], from: .zero, until: Timestamp(milliseconds: until), usesMax: nil)
  }

  /// What a cut does at a time.
  mutating func pass(milliseconds: UInt64) {
    self.time = self.time.adding(milliseconds: milliseconds)
    let context = ExecutionContext(
      network: self.network, configuration: self.configuration, limits: self.limits,
      sequence: SequenceNumber(self.leaf + 1), time: self.time, leaf: self.leaf)
    var editor = StateEditor(reader: self.state)
    self.rules.expire(in: context, state: &editor)
    editor.commit()
    self.state.apply(editor.writes)
  }

  /// With a parent's account besides.
  static func family() -> (world: World, record: Digest, parent: Digest) {
    var (world, record) = World.furnished()
    world.register("parent", .patient)
    return (world, record, world.account("parent"))
  }
}

@Suite("Rules: care teams")
struct CareTeamTests {
  @Test("A consent to a team speaks to whoever is in it at the time of the request, and to nobody else")
  func membership() {
    var (world, record) = World.furnished()
    let team = CareTeam.identifier(network: world.network, hospital: MemberID(2), number: 3)
    world.run(.grantConsent, world.grant(to: .careTeam(team)), by: "patient")
    #expect(world.ask(record, by: "doctor", at: 2) == code(.noConsent))
    let change = CareTeamChange(number: 3, members: [world.account("doctor", at: 2), world.account("own doctor")])
    #expect(world.run(.setCareTeam, change, at: 2, by: "registrar 2") == .applied)
    #expect(world.ask(record, by: "doctor", at: 2) == .applied)
    // A team may reach over hospitals; whoever leaves it reads no more.
    #expect(world.ask(record, by: "own doctor") == .applied)
    #expect(world.run(.setCareTeam, CareTeamChange(number: 3, members: []), at: 2, by: "registrar 2") == .applied)
    #expect(world.ask(record, by: "doctor", at: 2) == code(.noConsent))
  }

  @Test("A denial to a team wins over a grant to one of its members")
  func denial() {
    var (world, record) = World.furnished()
    let team = CareTeam.identifier(network: world.network, hospital: MemberID(2), number: 3)
    let change = CareTeamChange(number: 3, members: [world.account("doctor", at: 2)])
    world.run(.setCareTeam, change, at: 2, by: "registrar 2")
    world.run(.grantConsent, world.grant(to: .account(world.account("doctor", at: 2))), by: "patient")
    world.run(.grantConsent, world.grant(to: .careTeam(team), denial: true), by: "patient")
    #expect(world.ask(record, by: "doctor", at: 2) == code(.denied))
  }

  @Test("Only its own hospital's registrar says who is in a team, of practitioners that there are")
  func keeper() {
    var (world, record) = World.furnished()
    let team = CareTeam.identifier(network: world.network, hospital: MemberID(2), number: 3)
    world.run(.grantConsent, world.grant(to: .careTeam(team)), by: "patient")
    let change = CareTeamChange(number: 3, members: [world.account("doctor", at: 2)])
    // The same number at another hospital is another team.
    #expect(world.run(.setCareTeam, change, at: 1, by: "registrar 1") == .applied)
    #expect(world.ask(record, by: "doctor", at: 2) == code(.noConsent))
    #expect(world.run(.setCareTeam, change, at: 2, by: "registrar 1") == code(.unknownSigner))
    #expect(world.run(.setCareTeam, change, at: 2) == code(.wrongAuthorization))
    let patient = CareTeamChange(number: 3, members: [world.account("patient")])
    #expect(world.run(.setCareTeam, patient, at: 2, by: "registrar 2") == code(.wrongRole))
    let nobody = CareTeamChange(number: 3, members: [.zero])
    #expect(world.run(.setCareTeam, nobody, at: 2, by: "registrar 2") == code(.unknownAccount))
  }
}

@Suite("Rules: proxies and guardians")
struct ProxyTests {
  @Test("A patient reads the own records by a logged request; another patient needs to be a proxy")
  func reading() {
    var (world, record, parent) = World.family()
    #expect(world.ask(record, .patient, by: "patient") == .applied)
    #expect(world.ask(record, by: "patient") == code(.noConsent))
    #expect(world.ask(record, .patient, by: "parent") == code(.noConsent))
    world.empower(parent)
    #expect(world.ask(record, .patient, by: "parent") == .applied)
    #expect(world.ask(record, .research, by: "parent") == code(.noConsent))
    let lines = world.state.scan(prefix: StateKey.accesses(world.account("patient")), limit: 10)
    #expect(lines.count == 5)
  }

  @Test("A proxy consents in the patient's name; nobody else does")
  func consenting() {
    var (world, record, parent) = World.family()
    let grant = world.grant(to: .account(world.account("doctor", at: 2)))
    #expect(world.run(.grantConsent, grant, by: "parent") == code(.unknownSigner))
    world.empower(parent)
    #expect(world.run(.grantConsent, grant, at: 2, by: "parent") == code(.otherHospital))
    #expect(world.run(.grantConsent, grant, by: "parent") == .applied)
    #expect(world.ask(record, by: "doctor", at: 2) == .applied)
    // What was granted to read gives no such power.
    let further = world.grant(to: .account(world.account("own doctor")))
    #expect(world.run(.grantConsent, further, by: "doctor") == code(.unknownSigner))
  }

  /// What a proxy for observations, for treatment, until 1,500,000 grants, and what becomes of it.
  static let bounds: [(String, @Sendable (World, Digest) -> ConsentGrant, OutcomeCode)] = [
    (
      "the same", { world, _ in world.grant(to: .hospital(MemberID(2)), scope: .categories(1 << 6), until: 1_500_000) },
      .applied
    ),
    ("a record of them", { $0.grant(to: .hospital(MemberID(2)), scope: .records([$1]), until: 1_500_000) }, .applied),
    ("all records", { world, _ in world.grant(to: .hospital(MemberID(2)), until: 1_500_000) }, code(.beyondPower)),
    (
      "another category",
      { world, _ in world.grant(to: .hospital(MemberID(2)), scope: .categories(1 << 5), until: 1_500_000) },
      code(.beyondPower)
    ),
    (
      "a record that there is not",
      { world, _ in world.grant(to: .hospital(MemberID(2)), scope: .records([.zero]), until: 1_500_000) },
      code(.beyondPower)
    ),
    (
      "for longer",
      { world, _ in world.grant(to: .hospital(MemberID(2)), scope: .categories(1 << 6), until: 1_500_001) },
      code(.beyondPower)
    ),
    (
      "for research",
      { world, _ in
        world.grant(to: .hospital(MemberID(2)), scope: .categories(1 << 6), purposes: .research, until: 1_500_000)
      }, code(.beyondPower)
    ),
    (
      "a proxy", { world, _ in world.power(world.account("doctor", at: 2), scope: .categories(1 << 6)) },
      code(.beyondPower)
    ),
  ]

  @Test("A proxy gives no more than the proxy has, and makes no proxy", arguments: 0..<8)
  func bounded(row: Int) {
    var (world, record, parent) = World.family()
    world.empower(parent, scope: .categories(1 << 6), until: 1_500_000)
    let (name, make, expected) = Self.bounds[row]
    #expect(world.run(.grantConsent, make(world, record), by: "parent") == expected, "\(name)")
  }

  @Test("⚑ What a proxy gave ends with the proxy's power")
  func ends() {
    var (world, record, parent) = World.family()
    let power = world.empower(parent)
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "parent")
    #expect(world.ask(record, by: "doctor", at: 2) == .applied)
    let end = ConsentRevocation(patient: world.account("patient"), consent: power)
    #expect(world.run(.revokeConsent, end, by: "parent") == code(.unknownSigner))
    #expect(world.run(.revokeConsent, end, by: "patient") == .applied)
    #expect(world.ask(record, by: "doctor", at: 2) == code(.noConsent))
    #expect(world.ask(record, .patient, by: "parent") == code(.noConsent))
  }

  @Test("A proxy takes back what the proxy gave, not what the patient gave; the patient takes back anything")
  func revoking() {
    var (world, _, parent) = World.family()
    world.empower(parent)
    let patient = world.account("patient")
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "patient")
    let own = ConsentRevocation(patient: patient, consent: world.last)
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(3))), by: "parent")
    let first = ConsentRevocation(patient: patient, consent: world.last)
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(3))), by: "parent")
    let second = ConsentRevocation(patient: patient, consent: world.last)
    #expect(world.run(.revokeConsent, own, by: "parent") == code(.unknownSigner))
    #expect(world.run(.revokeConsent, first, by: "parent") == .applied)
    #expect(world.run(.revokeConsent, second, by: "patient") == .applied)
    #expect(world.run(.revokeConsent, own, by: "registrar 1") == code(.unknownSigner))
  }

  @Test("⚑ What a proxy is denied the proxy does not share, and what was shared of it before is closed")
  func denied() {
    var (world, record, parent) = World.family()
    world.empower(parent)
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "parent")
    #expect(world.ask(record, by: "doctor", at: 2) == .applied)
    // A young patient keeps observations from the parent.
    let denial = world.grant(to: .account(parent), denial: true, scope: .categories(1 << 6), purposes: .all)
    #expect(world.run(.grantConsent, denial, by: "patient") == .applied)
    #expect(world.ask(record, .patient, by: "parent") == code(.denied))
    #expect(world.ask(record, by: "doctor", at: 2) == code(.noConsent))
    #expect(world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "parent") == code(.denied))
    let medicines = world.grant(to: .hospital(MemberID(2)), scope: .categories(1 << 5))
    #expect(world.run(.grantConsent, medicines, by: "parent") == .applied)
  }

  @Test("The registrar of the patient's hospital makes a guardian and gives nothing else; takes back only that")
  func guardian() {
    var (world, record, parent) = World.family()
    let guardianship = world.power(parent)
    #expect(world.run(.grantConsent, guardianship, at: 2, by: "registrar 2") == code(.otherHospital))
    #expect(world.run(.grantConsent, guardianship, by: "registrar 2") == code(.unknownSigner))
    #expect(
      world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "registrar 1") == code(.unsoundProxy))
    #expect(world.run(.grantConsent, guardianship, by: "registrar 1") == .applied)
    let end = ConsentRevocation(patient: world.account("patient"), consent: world.last)
    #expect(world.ask(record, .patient, by: "parent") == .applied)
    #expect(world.run(.revokeConsent, end, by: "registrar 1") == .applied)
    #expect(world.ask(record, .patient, by: "parent") == code(.noConsent))
  }

  @Test("Who acts for a patient is one named other person: no hospital, no team, no device, not the patient")
  func named() {
    var (world, _, _) = World.family()
    world.register("monitor", .device)
    func grant(_ grantee: Grantee) -> ConsentGrant {
      ConsentGrant(
        patient: world.account("patient"), isDenial: false, actions: .share, grantee: grantee, scope: .all,
        purposes: .treatment, from: .zero, until: .never, usesMax: nil)
    }
    #expect(world.run(.grantConsent, grant(.hospital(MemberID(2))), by: "patient") == code(.unsoundProxy))
    #expect(world.run(.grantConsent, grant(.account(world.account("patient"))), by: "patient") == code(.unsoundProxy))
    #expect(world.run(.grantConsent, grant(.account(world.account("monitor"))), by: "patient") == code(.wrongRole))
    #expect(world.run(.grantConsent, grant(.account(.zero)), by: "patient") == code(.unknownAccount))
  }

  @Test("Who may share and not read reads nothing")
  func sharing() {
    var (world, record, parent) = World.family()
    let grant = ConsentGrant(
      patient: world.account("patient"), isDenial: false, actions: .share, grantee: .account(parent), scope: .all,
      purposes: [.treatment, .patient], from: .zero, until: Timestamp(milliseconds: 2_000_000), usesMax: nil)
    #expect(world.run(.grantConsent, grant, by: "patient") == .applied)
    #expect(world.ask(record, .patient, by: "parent") == code(.noConsent))
    #expect(world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "parent") == .applied)
  }
}

@Suite("Rules: opening in a partition (RECORDS §4)")
struct PartitionTests {
  /// What the doctor signed to break the glass for records, and what the hospital states of it.
  private static func opening(
    _ world: World, _ records: [Digest], by name: String = "own doctor", at hospital: UInt32 = 1,
    kind: TransactionKind = .breakGlass
  ) -> PartitionOpening {
    let request = world.request(records, purpose: .emergency, reason: 1)
    let transaction = Transaction(
      kind: kind.rawValue, hospital: MemberID(hospital), validUntil: world.time.adding(milliseconds: 1000),
      nonce: [UInt8](repeating: 3, count: 12), payload: request.encoded, network: world.network,
      signedBy: World.key(name))
    return PartitionOpening(request: transaction.encoded, time: world.time)
  }

  private static func entry(_ world: World, _ opening: PartitionOpening) throws -> AccessEntry? {
    let identifier = try Transaction.decode(opening.request).identifier(network: world.network)
    return AccessEntry.find(request: identifier, in: world.state)?.entry
  }

  @Test("It stands in the patient's history, once, with its review due")
  func history() throws {
    var (world, record) = World.furnished()
    let opening = Self.opening(world, [record])
    #expect(world.run(.openInPartition, opening) == .applied)
    let entry = try #require(try Self.entry(world, opening))
    #expect(entry.openedInPartition == opening.time && entry.emergency == .reviewDue && entry.outcome == .applied)
    #expect(entry.reader == world.account("own doctor"))
    #expect(world.run(.openInPartition, opening) == code(.alreadyOpened))
    world.pass(milliseconds: HealthRules.Limits().reviewWindowMilliseconds)
    #expect(try Self.entry(world, opening)?.emergency == .overdue)
  }

  @Test("⚑ A hospital opens only what it wrote itself, to a practitioner of its own who signed the request")
  func own() {
    var (world, record) = World.furnished()
    #expect(world.run(.openInPartition, Self.opening(world, [record]), by: "registrar 1") == code(.wrongAuthorization))
    let foreign = Self.opening(world, [record], by: "doctor", at: 2)
    #expect(world.run(.openInPartition, foreign, at: 2) == code(.notAuthor))
    #expect(world.run(.openInPartition, foreign, at: 1) == code(.badEvidence))
    let stranger = Self.opening(world, [record], by: "nobody")
    #expect(world.run(.openInPartition, stranger) == code(.unknownSigner))
    #expect(world.run(.openInPartition, Self.opening(world, [record], by: "doctor")) == code(.unknownSigner))
    #expect(world.run(.openInPartition, Self.opening(world, [record], kind: .requestAccess)) == code(.badEvidence))
    #expect(world.run(.openInPartition, Self.opening(world, [.zero])) == code(.unknownRecord))
    var forged = Self.opening(world, [record]).request
    forged[forged.count - 1] ^= 1
    #expect(world.run(.openInPartition, PartitionOpening(request: forged, time: world.time)) == code(.badEvidence))
  }

  @Test("That it was opened is true, whatever became of the reader or of the limit since; it counts against the limit")
  func truth() throws {
    var (world, record) = World.furnished()
    let opening = Self.opening(world, [record])
    let account = world.account("own doctor")
    world.run(.setStatus, StatusChange(account: account, status: .suspended), by: "registrar 1")
    #expect(world.run(.openInPartition, opening) == .applied)
    #expect(try Self.entry(world, opening)?.openedInPartition != nil)
    world.run(.setStatus, StatusChange(account: account, status: .active), by: "registrar 1")
    let most = HealthRules.Limits().breakGlassPerAccountMax
    let outcomes = (0..<most).map { _ in
      world.run(.breakGlass, world.request([record], purpose: .emergency, reason: 1), by: "own doctor")
    }
    #expect(outcomes.dropLast().allSatisfy { $0 == .applied } && outcomes.last == code(.breakGlassLimit))
  }
}

@Suite("What waits while nothing is ordered")
struct WaitingTests {
  private static func glass(_ world: World, _ record: Digest, _ number: UInt8, by name: String = "own doctor")
    -> (request: Transaction, opening: Transaction)
  {
    let request = Transaction(
      kind: TransactionKind.breakGlass.rawValue, hospital: MemberID(1),
      validUntil: world.time.adding(milliseconds: 1000), nonce: [UInt8](repeating: number, count: 12),
      payload: world.request([record], purpose: .emergency, reason: 1).encoded, network: world.network,
      signedBy: World.key(name))
    let opening = Transaction(
      kind: TransactionKind.openInPartition.rawValue, hospital: MemberID(1), validUntil: .never,
      nonce: [UInt8](repeating: number, count: 12),
      payload: PartitionOpening(request: request.encoded, time: world.time).encoded)
    return (request, opening)
  }

  @Test("⚑ The limit of broken glasses holds while nothing is ordered: those that wait count, those behind do not")
  func limit() {
    var (world, record) = World.furnished()
    world.register("other doctor", .practitioner)
    let context = ExecutionContext(
      network: world.network, configuration: world.configuration, limits: LedgerLimits(),
      sequence: SequenceNumber(world.leaf + 1), time: world.time, leaf: world.leaf)
    let most = Int(HealthRules.Limits().breakGlassPerAccountMax)
    // All requests wait before the first is judged, as many at once do.
    let all = (0..<most + 3).map { Self.glass(world, record, UInt8($0)) }
    var waiting = all.map { $0.request.encoded }
    for (number, one) in all.enumerated() {
      let outcome = world.rules.rehearse([one.request, one.opening], after: waiting, in: context, state: world.state)
      #expect(outcome == (number < most ? .applied : Refusal.breakGlassLimit.code), "\(number)")
      if outcome == .applied { waiting.append(one.opening.encoded) }
    }
    let late = Self.glass(world, record, 200)
    #expect(
      world.rules.rehearse([late.request], after: waiting, in: context, state: world.state)
        == Refusal.breakGlassLimit.code)
    let other = Self.glass(world, record, 201, by: "other doctor")
    #expect(
      world.rules.rehearse([other.request, other.opening], after: waiting, in: context, state: world.state) == .applied)
    // Nothing that was rehearsed is done.
    #expect(
      world.run(.breakGlass, world.request([record], purpose: .emergency, reason: 1), by: "own doctor") == .applied)
  }

  @Test("⚑ Who may not act has no standing, and who is another hospital's asks there; a clinician in good standing may")
  func standing() {
    var (world, _) = World.furnished()
    func standing(_ name: String, _ kind: TransactionKind, at hospital: UInt32 = 1) -> Refusal? {
      Signers.standing(
        World.key(name).publicKey, kind: kind.rawValue, at: MemberID(hospital), in: world.configuration,
        time: world.time, state: world.state)
    }
    for kind in [TransactionKind.breakGlass, .openSession, .requestAccess] {
      #expect(standing("own doctor", kind) == nil && standing("doctor", kind, at: 2) == nil)
      #expect(standing("doctor", kind) == .otherHospital)
    }
    #expect(standing("doctor", .grantConsent) == nil, "a guardian may be of another hospital")
    #expect(standing("registrar 1", .registerAccount) == nil && standing("nobody", .grantConsent) == nil)
    world.run(
      .setStatus, StatusChange(account: world.account("own doctor"), status: .suspended), by: "registrar 1")
    #expect(standing("own doctor", .breakGlass) == .accountInactive)
    #expect(standing("own doctor", .grantConsent) == .accountInactive)
    world.run(.setStatus, StatusChange(account: world.account("own doctor"), status: .active), by: "registrar 1")
    #expect(standing("own doctor", .breakGlass) == nil)
    world.time = Timestamp(milliseconds: 1 << 41)
    #expect(standing("own doctor", .breakGlass) == .accountInactive, "its time is over")
  }
}

@Suite("Rules: recovery of lost keys (RECORDS §2)")
struct RecoveryTests {
  private static let delay = HealthRules.Limits().recoveryDelayMilliseconds

  private static func request(_ world: World, _ name: String = "patient", key: String = "new") -> RecoveryRequest {
    RecoveryRequest(account: world.account(name), key: World.key(key).publicKey, sealingKey: Hash.sha256([5]))
  }

  @Test("A new key counts after the delay and not before; then the old one does nothing, and records are read again")
  func recovery() {
    var (world, record) = World.furnished()
    #expect(world.run(.beginRecovery, Self.request(world), by: "registrar 1") == .applied)
    let due = world.time.adding(milliseconds: Self.delay)
    #expect(world.rules.deadline(in: StateEditor(reader: world.state)) == due)
    world.pass(milliseconds: Self.delay - 1)
    #expect(world.ask(record, .patient, by: "new") == code(.unknownSigner))
    #expect(world.ask(record, .patient, by: "patient") == .applied)
    world.pass(milliseconds: 1)
    #expect(world.ask(record, .patient, by: "new") == .applied)
    #expect(world.ask(record, .patient, by: "patient") == code(.unknownSigner))
    let account = world.state.item(StateKey.account(world.account("patient")), as: Account.self)
    #expect(account?.sealingKey == Hash.sha256([5]))
    #expect(world.rules.deadline(in: StateEditor(reader: world.state)) == .never)
  }

  @Test("⚑ Whoever holds the key so far objects; a suspended account's key does not")
  func objection() {
    var (world, record) = World.furnished()
    let account = world.account("patient")
    world.run(.beginRecovery, Self.request(world), by: "registrar 1")
    #expect(world.run(.endRecovery, account, by: "own doctor") == code(.unknownSigner))
    #expect(world.run(.endRecovery, account, by: "new") == code(.unknownSigner))
    #expect(world.run(.endRecovery, account, by: "patient") == .applied)
    #expect(world.run(.endRecovery, account, by: "patient") == code(.noRecovery))
    world.pass(milliseconds: Self.delay)
    #expect(world.ask(record, .patient, by: "new") == code(.unknownSigner))
    // The key that was promised is free again; a thief's key is suspended first.
    world.run(.setStatus, StatusChange(account: account, status: .suspended), by: "registrar 1")
    #expect(world.run(.beginRecovery, Self.request(world), by: "registrar 1") == .applied)
    #expect(world.run(.endRecovery, account, by: "patient") == code(.accountInactive))
    #expect(world.run(.endRecovery, account, by: "registrar 1") == .applied)
  }

  @Test(
    "Only the account's own registrar begins, once, with a key that is nobody's, for an account that is not revoked")
  func refusals() {
    var (world, _) = World.furnished()
    #expect(world.run(.beginRecovery, Self.request(world), by: "registrar 2") == code(.unknownSigner))
    #expect(world.run(.beginRecovery, Self.request(world), at: 2, by: "registrar 2") == code(.otherHospital))
    // No hospital knows a third party by itself: it is not told that another one should.
    for hospital: UInt32 in [1, 2, 3] {
      _ = world.run(.approveThirdParty, world.registration("insurer", .thirdParty), at: hospital)
    }
    let insurer = RecoveryRequest(
      account: world.account("insurer", at: 3), key: World.key("new").publicKey, sealingKey: Hash.sha256([5]))
    #expect(world.run(.beginRecovery, insurer, at: 3, by: "registrar 3") == code(.wrongRole))
    #expect(world.run(.beginRecovery, Self.request(world), by: "patient") == code(.unknownSigner))
    #expect(world.run(.beginRecovery, Self.request(world, key: "doctor"), by: "registrar 1") == code(.keyInUse))
    #expect(world.run(.beginRecovery, Self.request(world), by: "registrar 1") == .applied)
    #expect(world.run(.beginRecovery, Self.request(world, key: "other"), by: "registrar 1") == code(.recoveryUnderWay))
    // Nobody registers the key that is promised.
    let taken = world.registration("new", .patient)
    #expect(world.run(.registerAccount, taken, by: "registrar 1") == code(.keyInUse))
    let account = world.account("own doctor")
    world.run(.setStatus, StatusChange(account: account, status: .revoked), by: "registrar 1")
    let late = Self.request(world, "own doctor", key: "third")
    #expect(world.run(.beginRecovery, late, by: "registrar 1") == code(.accountInactive))
  }
}

@Suite("Rules: erasure by right (RECORDS §4)")
struct ErasureTests {
  private static let rule = RetentionRule(category: .observation, milliseconds: 1000)

  @Test("A hospital erases what it wrote once a quorum's rule says that it has been kept long enough")
  func retention() {
    var (world, record) = World.furnished()
    world.time = world.time.adding(milliseconds: 5000)
    #expect(world.run(.eraseRecord, record) == code(.toBeKept))
    for hospital in UInt32(1)...3 {
      #expect(world.run(.eraseRecord, record) == code(.toBeKept))
      #expect(world.run(.setRetention, Self.rule, at: hospital, by: "registrar \(hospital)") == .applied)
    }
    #expect(world.run(.eraseRecord, record, at: 2) == code(.notAuthor))
    let medicine = world.anchor(2, of: "patient", category: .medication)
    world.run(.anchorRecord, medicine)
    let young = world.anchor(3, of: "patient")
    world.run(.anchorRecord, young)
    world.time = world.time.adding(milliseconds: 999)
    #expect(world.run(.eraseRecord, medicine.record) == code(.toBeKept))
    #expect(world.run(.eraseRecord, young.record) == code(.toBeKept))
    world.time = world.time.adding(milliseconds: 1)
    #expect(world.run(.eraseRecord, young.record) == .applied)
    let entry = world.state.item(StateKey.record(young.record), as: RecordEntry.self)
    #expect(entry?.erasure == .retention)
  }

  @Test("A court's order erases when a quorum's registrars approve it, and not one sooner")
  func order() {
    var (world, record) = World.furnished()
    for hospital in UInt32(2)...3 {
      #expect(world.run(.orderErasure, record, at: hospital, by: "registrar \(hospital)") == .applied)
    }
    #expect(world.run(.orderErasure, record, at: 3, by: "registrar 3") == code(.alreadyApproved))
    #expect(world.run(.orderErasure, record, at: 4) == code(.wrongAuthorization))
    #expect(world.ask(record, by: "own doctor") == .applied)
    #expect(world.run(.orderErasure, record, at: 4, by: "registrar 4") == .applied)
    #expect(world.ask(record, by: "own doctor") == code(.erased))
    #expect(world.run(.orderErasure, record, at: 1, by: "registrar 1") == code(.erased))
  }

  @Test("⚑ Approvals that were left over from before a rule changed count for no later change")
  func leftOver() {
    var (world, _) = World.furnished()
    func approve(_ milliseconds: UInt64, _ hospitals: [UInt32]) {
      for hospital in hospitals {
        let rule = RetentionRule(category: .observation, milliseconds: milliseconds)
        #expect(world.run(.setRetention, rule, at: hospital, by: "registrar \(hospital)") == .applied)
      }
    }
    approve(10, [1, 2])
    approve(9000, [1, 2, 3])
    approve(10, [3])
    #expect(world.state.value(StateKey.retention(of: .observation)) != nil)
    let anchor = world.anchor(7, of: "patient")
    world.run(.anchorRecord, anchor)
    world.time = world.time.adding(milliseconds: 20)
    #expect(world.run(.eraseRecord, anchor.record) == code(.toBeKept))
    // The same again is a new proposal.
    approve(10, [1, 2])
    #expect(world.run(.eraseRecord, anchor.record) == .applied)
  }
}

@Suite("Rules: what is said of vaults (RECORDS §4, §6)")
struct VaultRuleTests {
  @Test("A hospital states once that it deleted what was erased, and of nothing else")
  func deletion() {
    var (world, record) = World.furnished()
    #expect(world.run(.stateDeletion, record, at: 2) == code(.notErased))
    world.run(.eraseRecord, record, by: "patient")
    #expect(world.run(.stateDeletion, record, at: 2) == .applied)
    #expect(world.run(.stateDeletion, record, at: 2) == code(.alreadyApproved))
    #expect(world.run(.stateDeletion, record, at: 3) == .applied)
    #expect(world.run(.stateDeletion, record, at: 3, by: "registrar 3") == code(.wrongAuthorization))
    #expect(world.run(.stateDeletion, Digest.zero, at: 4) == code(.unknownRecord))
    #expect(world.state.scan(prefix: StateKey.deletions(of: record), limit: 9).count == 2)
  }

  @Test("A vault that proves nothing is reported, by others, at most once in an hour of each")
  func report() {
    var (world, record) = World.furnished()
    let report = VaultReport(member: MemberID(2), record: record)
    #expect(world.run(.reportVault, report, at: 1) == .applied)
    #expect(world.run(.reportVault, report, at: 1) == code(.alreadyApproved))
    #expect(world.run(.reportVault, report, at: 3) == .applied)
    #expect(world.run(.reportVault, report, at: 2) == code(.unknownSigner))
    #expect(world.run(.reportVault, report, at: 4, by: "registrar 4") == code(.wrongAuthorization))
    #expect(world.run(.reportVault, VaultReport(member: MemberID(9), record: record), at: 1) == code(.unknownSigner))
    #expect(world.run(.reportVault, VaultReport(member: MemberID(3), record: .zero), at: 1) == code(.unknownRecord))
    world.time = world.time.adding(milliseconds: HealthRules.Limits().vaultReportMilliseconds)
    #expect(world.run(.reportVault, report, at: 1) == .applied)
    let key = StateKey.vaultReport(of: MemberID(2), by: MemberID(1))
    #expect(world.state.item(key, as: VaultReportEntry.self)?.count == 2)
    world.run(.eraseRecord, record, by: "patient")
    #expect(world.run(.reportVault, report, at: 4) == code(.erased))
  }

  @Test("Without a custody key nothing is sealed anew, and none goes out of use")
  func noKey() {
    var (world, record) = World.furnished()
    #expect(world.run(.resealRecord, RecordResealing(record: record, capsule: .zero)) == code(.notAwaited))
    #expect(world.run(.rotateCustody, CustodyRotation(generation: 0), by: "registrar 1") == code(.notAwaited))
    #expect(world.run(.rotateCustody, CustodyRotation(generation: 1)) == code(.wrongAuthorization))
    #expect(world.run(.stateDestruction, CustodyRotation(generation: 1)) == code(.notAwaited))
    #expect(world.state.value(StateKey.liveRecords(generation: 0, of: MemberID(1))) != nil)
    world.run(.eraseRecord, record, by: "patient")
    #expect(world.state.value(StateKey.liveRecords(generation: 0, of: MemberID(1))) == nil)
  }
}

@Suite("Rules: an EHR's sessions (RECORDS §2)")
struct SessionRuleTests {
  private static func opening(_ world: World, _ name: String = "session", after milliseconds: UInt64) -> SessionOpening
  {
    SessionOpening(key: World.key(name).publicKey, until: world.time.adding(milliseconds: milliseconds))
  }

  /// A session of the doctor at hospital 2, whom the patient lets read.
  private static func opened(after milliseconds: UInt64 = 60_000) -> (world: World, record: Digest) {
    var (world, record) = World.furnished()
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(2)), until: 1 << 40), by: "patient")
    let outcome = world.run(.openSession, self.opening(world, after: milliseconds), at: 2, by: "doctor")
    #expect(outcome == .applied)
    return (world, record)
  }

  @Test("By a session's key a practitioner asks, under the own name, until it is over")
  func asks() throws {
    var (world, record) = Self.opened()
    #expect(world.ask(record, by: "session", at: 2) == .applied)
    let line = try #require(AccessEntry.find(request: world.last, in: world.state)?.entry)
    #expect(line.reader == world.account("doctor", at: 2))
    #expect(world.ask(record, .research, by: "session", at: 2) == code(.noConsent))
    #expect(world.ask(record, by: "session", at: 1) == code(.otherHospital))
    world.time = world.time.adding(milliseconds: 60_000)
    #expect(world.ask(record, by: "session", at: 2) == .applied)
    world.time = world.time.adding(milliseconds: 1)
    #expect(world.ask(record, by: "session", at: 2) == code(.unknownSigner))
    // What is over is forgotten; the key is free again.
    world.pass(milliseconds: 1)
    #expect(world.run(.openSession, Self.opening(world, after: 10), at: 2, by: "doctor") == .applied)
  }

  @Test("⚑ A session's key breaks no glass, reads nothing sensitive, consents and opens nothing")
  func bounded() {
    var (world, record) = Self.opened()
    let emergency = world.request([record], purpose: .emergency, reason: 1)
    #expect(world.run(.breakGlass, emergency, at: 2, by: "session") == code(.unknownSigner))
    let anchor = world.anchor(9, of: "patient", category: .sensitive)
    world.run(.anchorRecord, anchor)
    #expect(world.ask(anchor.record, by: "session", at: 2) == code(.ownKeyNeeded))
    #expect(world.ask(anchor.record, by: "doctor", at: 2) == .applied)
    let further = Self.opening(world, "further", after: 10)
    #expect(world.run(.openSession, further, at: 2, by: "session") == code(.unknownSigner))
    let rotation = KeyRotation(account: world.account("doctor", at: 2), key: World.key("stolen").publicKey)
    #expect(world.run(.rotateKey, rotation, at: 2, by: "session") == code(.unknownSigner))
    // A practitioner who is suspended does not go on by a session.
    let change = StatusChange(account: world.account("doctor", at: 2), status: .suspended)
    world.run(.setStatus, change, at: 2, by: "registrar 2")
    #expect(world.ask(record, by: "session", at: 2) == code(.accountInactive))
  }

  @Test("Only a practitioner opens one, at the own hospital, for a shift at most, with a key that is nobody's")
  func opening() {
    var (world, _) = World.furnished()
    let longest = HealthRules.Limits().sessionMilliseconds
    #expect(world.run(.openSession, Self.opening(world, after: 10), by: "patient") == code(.wrongRole))
    #expect(world.run(.openSession, Self.opening(world, after: 10), at: 1, by: "doctor") == code(.otherHospital))
    #expect(world.run(.openSession, Self.opening(world, after: 0), at: 2, by: "doctor") == code(.badWindow))
    #expect(world.run(.openSession, Self.opening(world, after: longest + 1), at: 2, by: "doctor") == code(.badWindow))
    #expect(
      world.run(.openSession, Self.opening(world, "patient", after: 10), at: 2, by: "doctor") == code(.keyInUse))
    #expect(world.run(.openSession, Self.opening(world, after: longest), at: 2, by: "doctor") == .applied)
    #expect(world.run(.openSession, Self.opening(world, after: 10), at: 1, by: "own doctor") == code(.keyInUse))
    #expect(world.run(.registerAccount, world.registration("session", .patient), by: "registrar 1") == code(.keyInUse))
  }

  @Test("The practitioner closes a session, and so do its own key and the registrar; nobody else")
  func closing() {
    for (signer, expected) in [
      ("doctor", .applied), ("session", .applied), ("registrar 2", OutcomeCode.applied),
      ("patient", code(.unknownSigner)),
    ] {
      var (world, record) = Self.opened()
      let key = World.key("session").publicKey
      #expect(world.run(.closeSession, key, at: 2, by: signer) == expected, "\(signer)")
      #expect(world.ask(record, by: "session", at: 2) == (expected == .applied ? code(.unknownSigner) : .applied))
    }
    var (world, _) = World.furnished()
    #expect(world.run(.closeSession, World.key("x").publicKey, by: "own doctor") == code(.unknownSession))
  }
}
