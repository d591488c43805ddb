// Goal: no member's clock, and no primary, runs the ledger's time ahead; whoever was cut off votes again (LEDGER §3,
// §11.4). Method: the deterministic cluster, with what a liar or the network does stated in each test.
import HealthRecords
import Lanes
import Ledger
import Merkle
import Messages
import NodeCore
import Ordering
import PBFT
import Primitives
import Rules
import Signing
import Simulator
import Testing
import Wire

@Suite("LEDGER §11.4")
struct TimeTests {
  private func aheadMilliseconds(_ cluster: Cluster, _ slot: Int) -> Int64 {
    let wall = cluster.world.wallStart.adding(milliseconds: (cluster.now - .zero).milliseconds)
    return cluster.node(slot)?.execution.position.time.offset(from: wall) ?? 0
  }

  /// Submits a transaction everywhere every 20 ms for a span.
  private func load(_ cluster: Cluster, milliseconds: UInt64, from first: UInt64 = 0) {
    for step in 0..<(milliseconds / 20) {
      for slot in 0..<cluster.slotCount where cluster.node(slot) != nil {
        cluster.submit([cluster.digestTransaction(first + step, for: slot)], to: slot)
      }
      cluster.run(for: .milliseconds(20))
    }
  }

  @Test("C4: a primary that states later and later times gains no more than the drift, and is voted out")
  func hurrying() {
    let cluster = Cluster(count: 4, seed: 11)
    cluster.run(for: .milliseconds(50))
    cluster.corrupt(0, with: Misbehaviour.hurrying.make())
    self.load(cluster, milliseconds: 20_000)
    #expect(cluster.breach == nil && cluster.watch.breach == nil)
    #expect(self.aheadMilliseconds(cluster, 1) <= Int64(LedgerLimits().clockDriftMilliseconds) + 100)
    #expect((cluster.node(1)?.replica.view ?? View(0)) > View(0))
    #expect(
      cluster.reports.contains {
        if case .ordering(.clockRefused(0, let offset)) = $0.event { offset > 5000 } else { false }
      })
  }

  @Test("C4: a primary that proposes cuts in which nothing grows orders none of them, and is voted out")
  func idling() {
    let cluster = Cluster(count: 4, seed: 12)
    cluster.run(for: .milliseconds(50))
    cluster.corrupt(0, with: Misbehaviour.idling.make())
    self.load(cluster, milliseconds: 6_000)
    cluster.run(for: .milliseconds(2_000))
    #expect(cluster.breach == nil && cluster.watch.breach == nil)
    #expect((cluster.node(1)?.replica.view ?? View(0)) > View(0))
    #expect((cluster.node(1)?.execution.position.log.size ?? 0) > 500)
  }

  @Test("Raft: a leader whose clock is a day ahead orders nothing with that time, and the writes go on")
  func raftLeader() {
    var world = World()
    world.engine = .raft
    let cluster = Cluster(count: 3, seed: 13, world: world)
    cluster.run(for: .milliseconds(5_000))
    let leader = cluster.leader.member
    cluster.setClock(leader, aheadMilliseconds: 86_400_000)
    let other = (leader + 1) % 3
    cluster.submit([cluster.digestTransaction(1, for: other)], to: other)
    #expect(cluster.run(within: .milliseconds(10_000)) { cluster.haveExecuted(1) })
    #expect(cluster.leader.member != leader)
    #expect(cluster.breach == nil && cluster.watch.breach == nil)
    #expect(self.aheadMilliseconds(cluster, other) < 5_000)
    #expect(
      cluster.reports.contains {
        if case .ordering(.clockDisowned) = $0.event { $0.slot == leader } else { false }
      })
  }

  @Test("A member that was cut off for seconds votes again within a view's time-out of being reconnected")
  func returns() {
    let cluster = Cluster(count: 4, seed: 14)
    // A view that was entered just now is not left for one member.
    cluster.run(for: .milliseconds(20_000))
    self.load(cluster, milliseconds: 500)
    // It is cut off when it knows of something to order that is not proposed yet.
    cluster.drop(.prePrepare, from: [0], to: [1, 2, 3])
    cluster.submit([cluster.digestTransaction(9_999, for: 1)], to: 1)
    let waits = cluster.run(within: .milliseconds(100)) {
      guard let node = cluster.node(3) else { return false }
      return node.lanes.orderable(lane: 1) > node.execution.cut.heads[1].position
    }
    #expect(waits)
    for other in 0..<3 { cluster.cut(3, other) }
    cluster.clearFilters()
    self.load(cluster, milliseconds: 5_000, from: 1_000)
    for other in 0..<3 { cluster.mend(3, other) }
    func votes() -> Bool {
      cluster.node(3)?.replica.pbft?.isVoting == true && cluster.node(3)?.replica.view == cluster.node(0)?.replica.view
    }
    #expect(!votes())
    self.load(cluster, milliseconds: 2_000, from: 2_000)
    #expect(votes())
    #expect(cluster.node(0)?.replica.view == View(1))
    // And that is all: the view stays open.
    self.load(cluster, milliseconds: 3_000, from: 3_000)
    #expect(cluster.node(0)?.replica.view == View(1))
    #expect(cluster.breach == nil && cluster.watch.breach == nil)
  }

  @Test("⚑ K2: after all clocks were hours ahead for a moment, what nodes state themselves counts, and no cut waits")
  func ahead() {
    let cluster = Cluster(count: 4, seed: 15)
    cluster.run(for: .milliseconds(50))
    let hours: UInt64 = 3 * 3600 * 1000
    for slot in 0..<4 { cluster.setClock(slot, aheadMilliseconds: Int64(hours)) }
    cluster.submit([cluster.digestTransaction(1, for: 0, lifeMilliseconds: hours + 300_000)], to: 0)
    #expect(cluster.run(within: .milliseconds(10_000)) { cluster.haveExecuted(1) })
    for slot in 0..<4 { cluster.setClock(slot, aheadMilliseconds: 0) }
    #expect(self.aheadMilliseconds(cluster, 0) > Int64(hours) - 60_000)
    // What nobody but nodes states: proof of a fork, which a member shows to one other.
    let keys = Cluster.keys(3)
    cluster.tamper = { from, to, message in
      guard from == 3, to == 1, case .block(let block) = message, block.header.author == MemberID(4) else {
        return message
      }
      let other = cluster.digestTransaction(999, for: 3).encoded
      let header = BlockHeader(
        network: block.header.network, configuration: block.header.configuration, author: block.header.author,
        position: block.header.position, parent: block.header.parent, transactionCount: 1,
        transactionBytes: UInt32(other.count), body: BlockHeader.bodyDigest(other))
      return .block(Block(header: header, signature: keys.member.sign(header.signedBytes), body: other))
    }
    cluster.submit([cluster.digestTransaction(2, for: 3, lifeMilliseconds: hours + 300_000)], to: 3)
    let isKnown = cluster.run(within: .milliseconds(30_000)) {
      (0..<3).allSatisfy { cluster.state($0).value(StateKey.fork(MemberID(4))) != nil }
    }
    #expect(isKnown)
    #expect(self.aheadMilliseconds(cluster, 0) > Int64(hours) - 60_000)
    #expect(cluster.breach == nil && cluster.checkAgreement() == nil)
  }
}
