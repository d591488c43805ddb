// Goal: what is given never takes away, nobody can use up another's room, nobody is buried under refusals, and the
// glass is broken by nobody else in a partition (RECORDS §4). Method: rules alone, transaction by transaction.
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Wire

private func code(_ refusal: Refusal) -> OutcomeCode { refusal.code }

@Suite("Rules: room for consents")
struct ConsentRoomTests {
  private static let most = HealthRules.Limits().consentsPerGiverMax

  @Test(
    "A grant never takes away what held without it: not before it begins, not when it is over, not when it is used up",
    arguments: [
      (from: UInt64(1_500_000), until: UInt64(2_000_000), uses: UInt32?.none), (0, 1_000_000, nil), (0, 2_000_000, 1),
    ])
  func grantTakesNothing(from: UInt64, until: UInt64, uses: UInt32?) {
    var (world, record) = World.furnished()
    let doctor = Grantee.account(world.account("own doctor"))
    world.run(.grantConsent, world.grant(to: doctor, from: from, until: until, uses: uses), by: "patient")
    world.time = Timestamp(milliseconds: 1_000_001)
    for _ in 0..<3 { #expect(world.run(.requestAccess, world.request([record]), by: "own doctor") == .applied) }
    world.run(.grantConsent, world.grant(to: doctor, denial: true), by: "patient")
    #expect(world.run(.requestAccess, world.request([record]), by: "own doctor") == code(.denied))
  }

  @Test(
    "⚑ However much a guardian gives, the patient can deny, and grant")
  func guardian() {
    var (world, record) = World.furnished()
    world.register("parent", .patient)
    let power = ConsentGrant(
      patient: world.account("patient"), isDenial: false, actions: [.read, .share],
      grantee: .account(world.account("parent")), scope: .all, purposes: .treatment, from: .zero,
      until: Timestamp(milliseconds: 2_000_000), usesMax: nil)
    #expect(world.run(.grantConsent, power, by: "registrar 1") == .applied)
    let grant = world.grant(to: .hospital(MemberID(2)))
    let outcomes = (0..<Self.most + 50).map { _ in world.run(.grantConsent, grant, by: "parent") }
    #expect(outcomes.filter { $0 == .applied }.count == Self.most)
    #expect(outcomes.last == code(.tooManyConsents))
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == .applied)
    #expect(world.run(.grantConsent, world.grant(to: .hospital(MemberID(2)), denial: true), by: "patient") == .applied)
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == code(.denied))
    #expect(world.run(.grantConsent, world.grant(to: .hospital(MemberID(3))), by: "patient") == .applied)
  }

  @Test("What is revoked, over or used up takes no room; what stands does, and denials have their own")
  func past() {
    var (world, record) = World.furnished()
    func give(_ grant: ConsentGrant) -> OutcomeCode { world.run(.grantConsent, grant, by: "patient") }
    var first: Digest?
    for number in 0..<Self.most {
      let isShort = number % 2 == 0
      #expect(give(world.grant(to: .hospital(MemberID(3)), until: isShort ? 1_000_010 : 2_000_000)) == .applied)
      guard !isShort else { continue }
      let revocation = ConsentRevocation(patient: world.account("patient"), consent: world.last)
      first = first ?? world.last
      #expect(world.run(.revokeConsent, revocation, by: "patient") == .applied)
    }
    world.time = Timestamp(milliseconds: 1_000_011)
    for _ in 0..<Self.most { #expect(give(world.grant(to: .hospital(MemberID(2)))) == .applied) }
    #expect(give(world.grant(to: .hospital(MemberID(2)))) == code(.tooManyConsents))
    #expect(give(world.grant(to: .hospital(MemberID(2)), denial: true)) == .applied)
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == code(.denied))
    // It is remembered that it was revoked.
    guard let first else { return }
    let again = ConsentRevocation(patient: world.account("patient"), consent: first)
    #expect(world.run(.revokeConsent, again, by: "patient") == code(.alreadyRevoked))
  }
}

@Suite("Rules: refusals bury nothing")
struct RefusalTests {
  @Test(
    "The history has the first refusals of a reader a day, and everything that is granted")
  func bounded() throws {
    var (world, record) = World.furnished()
    let most = Int(HealthRules.Limits().deniedPerReaderMax)
    let outcomes = (0..<most + 20).map { _ in
      world.run(.requestAccess, world.request([record]), at: 2, by: "doctor")
    }
    #expect(outcomes.prefix(most).allSatisfy { $0 == code(.noConsent) })
    #expect(outcomes.dropFirst(most).allSatisfy { $0 == code(.tooManyRequests) })
    func lines() -> Int { world.state.scan(prefix: StateKey.accesses(world.account("patient")), limit: .max).count }
    #expect(lines() == most)
    // Another reader's refusal, and what is granted, are there as before.
    world.register("other doctor", .practitioner, at: 2)
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "other doctor") == code(.noConsent))
    world.run(.grantConsent, world.grant(to: .hospital(MemberID(2))), by: "patient")
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == .applied)
    let glass = world.request([record], purpose: .emergency, reason: 1)
    #expect(world.run(.breakGlass, glass, at: 2, by: "doctor") == .applied)
    #expect(lines() == most + 3)
    let counted = try #require(world.state.value(StateKey.accessCount(of: world.account("patient"))))
    var decoder = Decoder(counted)
    #expect(try decoder.u64() == UInt64(most + 3))
    // The next day it begins anew.
    world.run(.revokeConsent, ConsentRevocation(patient: world.account("patient"), consent: .zero), by: "patient")
    world.time = world.time.adding(milliseconds: 86_400_000)
    #expect(world.run(.requestAccess, world.request([record]), at: 2, by: "doctor") == code(.outsideWindow))
    #expect(lines() == most + 4)
  }
}

@Suite("Rules: who opens in a partition, and when")
struct OpeningTests {
  private static func opening(
    _ world: World, _ record: Digest, by name: String, purpose: Purposes = .emergency, reason: UInt16 = 1,
    validUntil: UInt64 = 1_100_000, at time: UInt64 = 1_000_000
  ) -> PartitionOpening {
    let request = world.request([record], purpose: purpose, reason: reason)
    let transaction = Transaction(
      kind: TransactionKind.breakGlass.rawValue, hospital: MemberID(1),
      validUntil: Timestamp(milliseconds: validUntil), nonce: [UInt8](repeating: 5, count: 12),
      payload: request.encoded, network: world.network, signedBy: World.key(name))
    return PartitionOpening(request: transaction.encoded, time: Timestamp(milliseconds: time))
  }

  @Test("⚑ Neither an EHR's session key nor a key that takes the account over later opens anything")
  func lent() {
    var (world, record) = World.furnished()
    let session = SessionOpening(key: World.key("session").publicKey, until: world.time.adding(milliseconds: 60_000))
    #expect(world.run(.openSession, session, by: "own doctor") == .applied)
    #expect(world.run(.openInPartition, Self.opening(world, record, by: "session")) == code(.unknownSigner))
    let recovery = RecoveryRequest(
      account: world.account("own doctor"), key: World.key("later").publicKey, sealingKey: Hash.sha256([2]))
    #expect(world.run(.beginRecovery, recovery, by: "registrar 1") == .applied)
    #expect(world.run(.openInPartition, Self.opening(world, record, by: "later")) == code(.unknownSigner))
    #expect(world.run(.openInPartition, Self.opening(world, record, by: "own doctor")) == .applied)
  }

  @Test("What the ordinary way refuses is refused here: no emergency, no reason, not valid at the stated time")
  func ordinary() {
    var (world, record) = World.furnished()
    func outcome(_ opening: PartitionOpening) -> OutcomeCode { world.run(.openInPartition, opening) }
    #expect(outcome(Self.opening(world, record, by: "own doctor", purpose: .treatment)) == code(.badEvidence))
    #expect(outcome(Self.opening(world, record, by: "own doctor", reason: 0)) == code(.badEvidence))
    #expect(outcome(Self.opening(world, record, by: "own doctor", at: 12_000)) == code(.badWindow))
    #expect(outcome(Self.opening(world, record, by: "own doctor", at: 1_100_001)) == code(.badWindow))
    let life = LedgerLimits().transactionLifeMilliseconds
    let far = Self.opening(world, record, by: "own doctor", validUntil: 1_000_001 + life)
    #expect(outcome(far) == code(.badWindow))
  }

  @Test("A hospital whose clock is ahead opens all the same; the history says no later time than the ledger's")
  func ahead() throws {
    var (world, record) = World.furnished()
    let opening = Self.opening(world, record, by: "own doctor", at: 1_090_000)
    #expect(world.run(.openInPartition, opening) == .applied)
    let identifier = try Transaction.decode(opening.request).identifier(network: world.network)
    #expect(AccessEntry.find(request: identifier, in: world.state)?.entry.openedInPartition == world.time)
  }
}
