// Goal: a custodian's secrets are kept until nothing is read with them, and no longer; whoever lost one accuses nobody.
// Method: two custodians deal to one another under old and new transport keys.
import Custody
import Messages
import Primitives
import Signing
import Testing
import Threshold

@Suite("A custodian's secrets (RECORDS §5, refresh)")
struct CustodianSecretsTests {
  /// Bytes that differ from one call to the next.
  private final class Source {
    private var random = SeededGenerator(seed: 5)
    func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(self.random.below(256)) } }
  }

  /// The key that secrets state for a member when another is registered.
  private func state(_ secrets: CustodianSecrets, over registered: GroupElement?) -> GroupElement? {
    let job = CustodyJob.register(MemberID(1), registered: registered)
    guard case .transportKey(let key) = secrets.perform(job, as: 0, network: .zero, random: Source().bytes).first
    else { return nil }
    return key.isProved(network: .zero, member: MemberID(1)) ? key.element : nil
  }

  @Test("One secret is drawn for each registration, the same again until its key is on the ledger")
  func drawn() throws {
    let source = Source()
    var secrets = CustodianSecrets()
    #expect(self.state(secrets, over: nil) == nil)
    var isNew = secrets.prepare(for: .register(MemberID(1), registered: nil), random: source.bytes)
    #expect(isNew && secrets.bytes.count == 32)
    let first = try #require(self.state(secrets, over: nil))
    isNew = secrets.prepare(for: .register(MemberID(1), registered: nil), random: source.bytes)
    #expect(!isNew)
    isNew = secrets.prepare(for: .register(MemberID(1), registered: first), random: source.bytes)
    #expect(isNew && secrets.bytes.count == 64)
    let second = try #require(self.state(secrets, over: first))
    #expect(second != first)
    #expect(CustodianSecrets(secrets.bytes) == secrets)
    // Only what is registered is left, and only once.
    var hasForgotten = secrets.forget(besides: second)
    #expect(hasForgotten && secrets.bytes.count == 32 && self.state(secrets, over: first) == second)
    hasForgotten = secrets.forget(besides: second)
    #expect(!hasForgotten)
  }

  @Test("What are no secrets is refused")
  func damaged() {
    #expect(CustodianSecrets([UInt8](repeating: 1, count: 31)) == nil)
    #expect(CustodianSecrets([UInt8](repeating: 0xff, count: 32)) == nil)
    #expect(CustodianSecrets([]) == CustodianSecrets())
  }

  @Test("Shares are read with the secret that they were sent to; who has forgotten it reads none, and accuses nobody")
  func shares() throws {
    let source = Source()
    var secrets = CustodianSecrets()
    _ = secrets.prepare(for: .register(MemberID(1), registered: nil), random: source.bytes)
    let old = try #require(self.state(secrets, over: nil))
    _ = secrets.prepare(for: .register(MemberID(1), registered: old), random: source.bytes)
    let new = try #require(self.state(secrets, over: old))
    let context = DealingContext(network: .zero, attempt: 1, dealer: 0)
    func dealt(to key: GroupElement) -> CustodyJob.Dealt {
      CustodyJob.Dealt(
        context: context, dealing: Dealing(threshold: 1, to: [(0, key)], context: context, random: source.bytes))
    }
    let before = dealt(to: old)
    var members = ReplicaSet()
    members.insert(0)
    let key = CustodyKey(
      generation: 1, commitments: before.dealing.commitments, custodians: members, attempt: 1, dealers: members,
      participants: members)
    #expect(secrets.keyShare(of: key, as: 0, from: [before], at: 0) != nil)
    _ = secrets.forget(besides: new)
    #expect(secrets.keyShare(of: key, as: 0, from: [before], at: 0) == nil)
    func said(_ registered: GroupElement, _ dealing: CustodyJob.Dealt) -> [CustodyStatement] {
      secrets.perform(
        .examine(attempt: 1, registered: registered, place: 0, dealings: [dealing]), as: 0, network: .zero,
        random: source.bytes)
    }
    // Its secret is gone: it can judge nothing.
    #expect(said(old, before).isEmpty)
    guard case .confirmation(let good)? = said(new, dealt(to: new)).first else {
      Issue.record("a good dealing is not confirmed")
      return
    }
    #expect(good.good.contains(0))
    guard case .complaint(let complaint)? = said(new, before).first else {
      Issue.record("a dealing to another key is not complained of")
      return
    }
    #expect(complaint.dealer == 0)
  }
}
