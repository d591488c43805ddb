// Goal: members that run an older program stop where rules are adopted that it does not know, say so, and go on once a
// newer one starts; nobody's history is parted (RECORDS §10). Method: the deterministic cluster, four production nodes,
// some of which know the first rules only.
import HealthRecords
import Ledger
import Messages
import NodeCore
import Ordering
import Primitives
import Rules
import Signing
import Simulator
import Testing
import Wire

@Suite("RECORDS §10")
struct RulesVersionTests {
  /// Four members; those of `slots` run a program that knows the first rules only.
  private func cluster(_ engine: OrderingEngine, seed: UInt64, older slots: [Int]) -> Cluster {
    var world = World()
    world.engine = engine
    let cluster = Cluster(count: 4, seed: seed, world: world)
    for slot in slots { self.install(HealthRules(newest: 1), at: slot, cluster) }
    return cluster
  }

  /// Stops a member and starts it with another program.
  private func install(_ program: HealthRules?, at slot: Int, _ cluster: Cluster) {
    cluster.rulesBySlot[slot] = program
    cluster.crash(slot, losingWrite: false)
    cluster.restart(slot)
  }

  private func adopt(_ cluster: Cluster, approvedBy registrars: [Int]) throws -> Transaction {
    let rules = try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0))
    let change = RulesChange(rules: rules, adoptions: 0, validUntil: .never)
    let approvals = registrars.map { signer in
      let signed = change.signedBytes(network: cluster.genesis.network)
      return VoteSignature(signer: signer, signature: Cluster.registrar(signer).sign(signed))
    }
    let model = cluster.digestTransaction(1000 + UInt64(registrars.count), for: 0)
    return Transaction(
      kind: TransactionKind.adoptRules.rawValue, hospital: MemberID(1), validUntil: model.validUntil,
      nonce: model.nonce, payload: ApprovedRules(change, approvals: approvals).encoded)
  }

  /// Submits to each slot, and says whether each sees its own executed within a span.
  private func goesOn(_ cluster: Cluster, _ slots: [Int], from number: UInt64, within span: Span) -> Bool {
    var identifiers: [Int: Digest] = [:]
    for slot in slots {
      let transaction = cluster.digestTransaction(number + UInt64(slot), for: slot)
      identifiers[slot] = transaction.identifier(network: cluster.genesis.network)
      cluster.submit([transaction], to: slot)
    }
    return cluster.run(within: span) {
      identifiers.allSatisfy { cluster.receipt($0.value, at: $0.key) != nil }
    }
  }

  private func isStopped(_ cluster: Cluster, _ slot: Int) -> Bool { cluster.node(slot)?.unknownRules == 2 }

  private func holdsSecond(_ cluster: Cluster, _ slot: Int) -> Bool {
    AgreedRules.inForce(in: cluster.state(slot), genesis: cluster.genesis.limits).version == 2
  }

  /// Whether a member stands where its disk does, and says nothing else.
  private func isWhole(_ cluster: Cluster, _ slot: Int) -> Bool {
    cluster.node(slot)?.execution.position == cluster.disk(slot).position
  }

  private func saysStopped(_ cluster: Cluster, _ slot: Int) -> Bool {
    cluster.reports.contains { if case .rulesUnknown(2, _) = $0.event { $0.slot == slot } else { false } }
  }

  @Test(
    "A member with an older program stops before the cut, whole; the others go on; a newer program goes on from there",
    arguments: [OrderingEngine.pbft, .raft], 1...3 as ClosedRange<UInt64>)
  func oneBehind(engine: OrderingEngine, seed: UInt64) throws {
    let cluster = self.cluster(engine, seed: seed, older: [3])
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 0, within: .milliseconds(20_000)))
    // In one block with others, so that a cut is left half executed.
    cluster.submit(
      [cluster.digestTransaction(50, for: 0), try self.adopt(cluster, approvedBy: [0, 1, 2])], to: 0)
    #expect(
      cluster.run(within: .milliseconds(20_000)) {
        (0..<3).allSatisfy { holdsSecond(cluster, $0) } && isStopped(cluster, 3)
      })
    for round in 1...20 as ClosedRange<UInt64> {
      #expect(goesOn(cluster, [0, 1, 2], from: round * 100, within: .milliseconds(20_000)))
    }
    #expect(isStopped(cluster, 3) && isWhole(cluster, 3) && saysStopped(cluster, 3))
    // The older program again is where it was; a newer one catches up and takes part.
    self.install(HealthRules(newest: 1), at: 3, cluster)
    cluster.run(for: .milliseconds(2000))
    #expect(isStopped(cluster, 3) && isWhole(cluster, 3))
    self.install(nil, at: 3, cluster)
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 5000, within: .milliseconds(30_000)))
    #expect(holdsSecond(cluster, 3))
    cluster.crash(0, losingWrite: false)
    #expect(goesOn(cluster, [1, 2, 3], from: 6000, within: .milliseconds(30_000)), "its vote counts again")
    #expect(cluster.checkAgreement() == nil && cluster.breach == nil && cluster.watch.breach == nil)
  }

  @Test("Two of four with an older program: the ledger waits for one newer program, and nobody's history is parted")
  func twoBehind() throws {
    let cluster = self.cluster(.pbft, seed: 31, older: [2, 3])
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 0, within: .milliseconds(20_000)))
    cluster.submit([try self.adopt(cluster, approvedBy: [0, 1, 3])], to: 0)
    #expect(
      cluster.run(within: .milliseconds(20_000)) {
        [2, 3].allSatisfy { isStopped(cluster, $0) } && [0, 1].allSatisfy { holdsSecond(cluster, $0) }
      })
    #expect(!goesOn(cluster, [0, 1], from: 100, within: .milliseconds(20_000)))
    self.install(nil, at: 2, cluster)
    #expect(goesOn(cluster, [0, 1, 2], from: 200, within: .milliseconds(60_000)))
    self.install(nil, at: 3, cluster)
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 300, within: .milliseconds(60_000)))
    #expect(cluster.checkAgreement() == nil && cluster.breach == nil && cluster.watch.breach == nil)
  }

  @Test("Rules that too few registrars approved stop nobody; an older program that is put back stops at its start")
  func notApproved() throws {
    let cluster = self.cluster(.pbft, seed: 32, older: [3])
    cluster.submit([try self.adopt(cluster, approvedBy: [0, 1])], to: 0)
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 0, within: .milliseconds(20_000)))
    cluster.run(for: .milliseconds(2000))
    #expect(cluster.node(3)?.unknownRules == nil && !holdsSecond(cluster, 0))
    self.install(nil, at: 3, cluster)
    cluster.submit([try self.adopt(cluster, approvedBy: [0, 1, 2])], to: 0)
    #expect(cluster.run(within: .milliseconds(20_000)) { (0..<4).allSatisfy { holdsSecond(cluster, $0) } })
    self.install(HealthRules(newest: 1), at: 1, cluster)
    #expect(goesOn(cluster, [0, 2, 3], from: 100, within: .milliseconds(60_000)))
    #expect(isStopped(cluster, 1) && isWhole(cluster, 1) && saysStopped(cluster, 1))
    #expect(cluster.checkAgreement() == nil && cluster.breach == nil && cluster.watch.breach == nil)
  }
}
