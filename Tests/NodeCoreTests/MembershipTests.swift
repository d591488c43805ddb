// Goal: members come, go and lose their disks while the ledger goes on, and nobody outside has to trust any of them.
// Method: the deterministic cluster with the production node, both engines, fixed seeds.
internal import Gossip
internal import Lanes
internal import Ordering
internal import PBFT
internal import Rules
import HealthRecords
import Ledger
import Merkle
import Messages
import NodeCore
import Primitives
import Signing
import Simulator
import Testing
import Wire

@Suite("Membership (LEDGER §8)")
struct MembershipRunTests {
  private static func cluster(
    _ count: Int, joiners: Int = 0, seed: UInt64 = 1, _ engine: OrderingEngine = .pbft
  ) -> Cluster {
    var world = World()
    world.engine = engine
    let cluster = Cluster(count: count, joiners: joiners, seed: seed, world: world)
    cluster.run(for: .milliseconds(engine == .raft ? 4000 : 100))
    return cluster
  }

  /// Runs until the members are `voters` everywhere among `slots`.
  private static func isThrough(_ cluster: Cluster, _ number: UInt32, at slots: [Int]) -> Bool {
    cluster.run(within: .milliseconds(20_000), asking: 16) {
      slots.allSatisfy { slot in
        cluster.node(slot).map { $0.configuration.number.number == number && $0.index == cluster.member(slot) } ?? false
      }
    }
  }

  @Test(
    "A hospital that followed joins under load: nothing submitted is lost or executed twice, whichever lane it was in",
    arguments: [OrderingEngine.pbft, .raft], 1...4)
  func joinUnderLoad(engine: OrderingEngine, seed: UInt64) throws {
    let cluster = Self.cluster(4, joiners: 1, seed: seed, engine)
    var submitted: [Transaction] = []
    func load(_ slots: [Int]) {
      for slot in slots {
        let batch = (0..<7).map { cluster.digestTransaction(UInt64(submitted.count + $0), for: slot) }
        submitted += batch
        cluster.submit(batch, to: slot)
      }
      cluster.run(for: .milliseconds(3))
    }
    for _ in 0..<20 { load([0, 1, 2, 3]) }
    cluster.change(.add(cluster.describe(slot: 4)), through: 1, nonce: 1)
    for _ in 0..<200 { load([0, 1, 2, 3]) }
    #expect(Self.isThrough(cluster, 1, at: [0, 1, 2, 3, 4]))
    for _ in 0..<20 { load([0, 1, 2, 3, 4]) }
    let done = cluster.run(within: .milliseconds(30_000), asking: 64) {
      (0..<5).allSatisfy { slot in
        submitted.allSatisfy { Self.isExecuted($0, cluster, slot) }
      }
    }
    #expect(done)
    #expect(cluster.checkAgreement() == nil)
    #expect(cluster.watch.breach == nil)
    // Every transaction once: the log holds them, the change, the first tree head that opened it, and refused repeats
    // of the latter.
    let size = try #require(cluster.node(0)?.execution.position.log.size)
    #expect(size >= UInt64(submitted.count) + 2 && size <= UInt64(submitted.count) + 2 + 4 * 8)
    #expect(cluster.node(4)?.index == 4)
  }

  @Test(
    "Whoever only follows comes to the signed tree heads too, and takes no part in gossip",
    arguments: [OrderingEngine.pbft, .raft])
  func followsTreeHeads(engine: OrderingEngine) throws {
    let cluster = Self.cluster(4, joiners: 1, engine)
    for round in 0..<3 {
      let transactions = (0..<5).map { cluster.digestTransaction(UInt64(10 * round + $0), for: 0) }
      cluster.submit(transactions, to: 0)
      let hasHead = cluster.run(within: .milliseconds(20_000), asking: 16) {
        guard let member = cluster.node(0), let follower = cluster.node(4), let stable = member.checkpoints.stable
        else {
          return false
        }
        return transactions.allSatisfy { Self.isExecuted($0, cluster, 4) }
          && stable.body == follower.checkpoints.stable?.body
          && stable.body.size == member.execution.position.log.size
      }
      #expect(hasHead, "round \(round)")
    }
    #expect(cluster.node(4)?.index == nil)
    #expect(cluster.node(4)?.gossip.meshPeers(.blocks).isEmpty == true)
  }

  private static func isExecuted(_ transaction: Transaction, _ cluster: Cluster, _ slot: Int) -> Bool {
    let identifier = transaction.identifier(network: cluster.genesis.network)
    return cluster.receipt(identifier, at: slot)?.outcome == .applied
  }

  @Test(
    "9, idle revocation: a member leaves although nobody submits anything", arguments: [OrderingEngine.pbft, .raft])
  func idle(engine: OrderingEngine) {
    let cluster = Self.cluster(5, engine)
    cluster.change(.remove(MemberID(5)), through: 0, nonce: 1)
    #expect(Self.isThrough(cluster, 1, at: [0, 1, 2, 3]))
    cluster.run(for: .milliseconds(2000))
    #expect(cluster.node(4)?.index == nil, "it does not vote")
    let (own, another) = (cluster.digestTransaction(1, for: 4), cluster.digestTransaction(2, for: 0))
    cluster.submit([own], to: 4)
    cluster.submit([another], to: 0)
    cluster.run(for: .milliseconds(3000))
    #expect(!Self.isExecuted(own, cluster, 0))
    #expect((0..<4).allSatisfy { Self.isExecuted(another, cluster, $0) })
    #expect(cluster.checkAgreement() == nil)
  }

  @Test(
    "10, two primaries: no configuration orders what another does; each height has one, and it begins at the stated one"
  )
  func onePrimary() throws {
    let cluster = Self.cluster(4, joiners: 1)
    for number in 0..<40 {
      cluster.submit([cluster.digestTransaction(UInt64(number), for: number % 4)], to: number % 4)
      cluster.run(for: .milliseconds(4))
      if number == 10 { cluster.change(.add(cluster.describe(slot: 4)), through: 2, nonce: 1) }
    }
    #expect(Self.isThrough(cluster, 1, at: [0, 1, 2, 3, 4]))
    cluster.submit([cluster.digestTransaction(99, for: 4)], to: 4)
    cluster.run(for: .milliseconds(2000))
    let start = try #require(cluster.node(0)?.configuration.start)
    for slot in 0..<5 {
      for (sequence, decision) in cluster.disk(slot).decisions {
        #expect(decision.configuration.number == (sequence < start ? 0 : 1), "slot \(slot) at \(sequence)")
      }
      #expect(cluster.disk(slot).decisions[start] != nil)
    }
  }

  @Test("11, rotated key: blocks of the old key that were not ordered are void, and what they held is sealed again")
  func rotatedKey() throws {
    let cluster = Self.cluster(4)
    cluster.submit([cluster.digestTransaction(0, for: 1)], to: 1)
    cluster.run(for: .milliseconds(200))
    // Its blocks reach nobody while the change goes through; then it goes on under the new configuration.
    cluster.drop(.block, from: [1], to: [0, 2, 3])
    cluster.drop(.blocks, from: [1], to: [0, 2, 3])
    cluster.change(.replace(Self.renamed(cluster, 2)), through: 0, nonce: 1)
    let held = cluster.digestTransaction(1, for: 1)
    cluster.submit([held], to: 1)
    #expect(Self.isThrough(cluster, 1, at: [0, 1, 3]))
    let lane = cluster.disk(1).blocks[1]
    #expect(
      lane.values.flatMap { $0 }.contains { $0.header.configuration.number == 0 && $0.header.position.number == 2 })
    cluster.clearFilters()
    let identifier = held.identifier(network: cluster.genesis.network)
    #expect(
      cluster.run(within: .milliseconds(10_000), asking: 16) { cluster.receipt(identifier, at: 0)?.outcome == .applied }
    )
    // The block that was ordered is the new configuration's; the void one stands beside it, and is no fork.
    #expect(cluster.disk(0).state.value(StateKey.fork(MemberID(2))) == nil)
    #expect(cluster.checkAgreement() == nil)
    #expect(cluster.breach == nil && cluster.watch.breach == nil)
  }

  @Test(
    "Seeds that failed once: a laggard that asked only a liar, a greeting that was said too early, keys all renewed",
    arguments: [25, 310, 1130])
  func regressions(seed: UInt64) {
    var plan = SwarmRun.plan(seed: seed, engine: .pbft)
    plan.snapshotInterval = nil  // They failed before there were any.
    let report = SwarmRun(seed: seed, plan: plan).run()
    #expect(report.failure == nil, "seed \(seed) with PBFT and without snapshots")
  }

  /// A member that goes on under other addresses.
  private static func renamed(_ cluster: Cluster, _ slot: Int) -> Member {
    let member = cluster.describe(slot: slot)
    return Member(
      id: member.id, name: member.name, key: member.key, checkpointKey: member.checkpointKey,
      registrarKey: member.registrarKey, sealingKey: member.sealingKey, addresses: ["/ip4/10.0.0.9/tcp/4001"])
  }

  @Test(
    "A member whose disk is lost comes back under a new key and takes up its lane where it was",
    arguments: [OrderingEngine.pbft, .raft], 1...3)
  func lostDisk(engine: OrderingEngine, seed: UInt64) {
    let cluster = Self.cluster(4, seed: seed, engine)
    for number in 0..<12 { cluster.submit([cluster.digestTransaction(UInt64(number), for: 2)], to: 2) }
    cluster.run(for: .milliseconds(1000))
    cluster.loseDisk(2)
    cluster.restart(2)
    cluster.run(for: .milliseconds(2000))
    #expect(cluster.node(2)?.index == nil, "the new key is no member's yet")
    cluster.change(.replace(cluster.describe(slot: 2)), through: 0, nonce: 1)
    #expect(Self.isThrough(cluster, 1, at: [0, 1, 2, 3]))
    let after = cluster.digestTransaction(100, for: 2)
    cluster.submit([after], to: 2)
    let identifier = after.identifier(network: cluster.genesis.network)
    #expect(
      cluster.run(within: .milliseconds(10_000), asking: 16) { cluster.receipt(identifier, at: 0)?.outcome == .applied }
    )
    #expect(cluster.checkAgreement() == nil)
    #expect(cluster.watch.breach == nil)
  }

  @Test("Crashes around the boundary: whoever restarts is in the configuration that its height says", arguments: 1...12)
  func crashAtBoundary(seed: UInt64) {
    let cluster = Self.cluster(4, joiners: 1, seed: seed)
    cluster.change(.add(cluster.describe(slot: 4)), through: 0, nonce: 1)
    for step in 0..<60 {
      cluster.submit([cluster.digestTransaction(UInt64(step), for: step % 4)], to: step % 4)
      cluster.run(for: .milliseconds(3))
      let victim = Int(seed + UInt64(step)) % 5
      if step % 3 == 0 { cluster.crash(victim, losingWrite: step % 2 == 0) }
      cluster.run(for: .milliseconds(5))
      cluster.restart(victim)
    }
    #expect(Self.isThrough(cluster, 1, at: [0, 1, 2, 3, 4]))
    cluster.run(for: .milliseconds(3000))
    #expect(cluster.checkAgreement() == nil)
    #expect(cluster.breach == nil && cluster.watch.breach == nil)
  }

  @Test("Somebody with the genesis alone follows the members; a forged, missing or reordered change leads nowhere")
  func outsiders() throws {
    let cluster = Self.cluster(4, joiners: 2)
    for (index, slot) in [4, 5].enumerated() {
      cluster.change(.add(cluster.describe(slot: slot)), through: 0, nonce: UInt64(index))
      #expect(Self.isThrough(cluster, UInt32(index + 1), at: [0, 1, 2, 3]))
    }
    let links = try (1...2).map { try Self.proof(of: UInt32($0), cluster) }
    var chain = ConfigurationChain(cluster.genesis)
    try chain.extend(by: links)
    #expect(chain.last.voters == [0, 1, 2, 3, 4, 5])
    #expect(chain[ConfigurationNumber(3)] == nil)
    var reordered = ConfigurationChain(cluster.genesis)
    #expect(throws: ProofFault.self) { try reordered.extend(by: links.reversed()) }
    // A later link's tree head is the later members': from the genesis alone it proves nothing.
    var gap = ConfigurationChain(cluster.genesis)
    #expect(throws: ProofFault.configuration(ConfigurationNumber(1))) { try gap.extend(by: [links[1]]) }
    var entry = links[0].entry
    entry[entry.count - 9] ^= 1
    let altered = LogProof(leaf: links[0].leaf, entry: entry, path: links[0].path, checkpoint: links[0].checkpoint)
    var forged = ConfigurationChain(cluster.genesis)
    #expect(throws: ProofFault.inclusion) { try forged.extend(by: [altered]) }
    #expect(forged.configurations.count == 1)
  }

  private static func proof(of number: UInt32, _ cluster: Cluster) throws -> LogProof {
    let key = StateKey.configuration(ConfigurationNumber(number))
    let record = try #require(cluster.state(0).item(key, as: ConfigurationRecord.self))
    let before = cluster.genesis.configuration
    let signers =
      number == 1
      ? before
      : try #require(
        cluster.state(0).item(
          StateKey.configuration(ConfigurationNumber(number - 1)), as: ConfigurationRecord.self)
      ).configuration
    let entries = cluster.logEntries(at: 0)
    let leaves = entries.map { MerkleHash.leaf($0) }
    let path = Self.path(Int(record.leaf), leaves[..<Int(record.checkpoint.body.size)])
    return LogProof(
      leaf: record.leaf, entry: entries[Int(record.leaf)], path: path, checkpoint: record.checkpoint.note(in: signers))
  }

  /// The audit path by RFC 6962's own recursion.
  private static func path(_ index: Int, _ leaves: ArraySlice<Digest>) -> [Digest] {
    guard leaves.count > 1 else { return [] }
    var split = 1
    while split * 2 < leaves.count { split *= 2 }
    let middle = leaves.startIndex + split
    return index < split
      ? self.path(index, leaves[..<middle]) + [self.root(leaves[middle...])]
      : self.path(index - split, leaves[middle...]) + [self.root(leaves[..<middle])]
  }

  private static func root(_ leaves: ArraySlice<Digest>) -> Digest {
    guard leaves.count > 1 else { return leaves[leaves.startIndex] }
    var split = 1
    while split * 2 < leaves.count { split *= 2 }
    let middle = leaves.startIndex + split
    return MerkleHash.node(self.root(leaves[..<middle]), self.root(leaves[middle...]))
  }

  @Test(
    "A copy of a whole machine, keys and seal included, stops before it writes; others go on, and no lane is forked",
    arguments: [OrderingEngine.pbft, .raft], 1...6)
  func copiedMachine(engine: OrderingEngine, seed: UInt64) throws {
    let cluster = Self.cluster(4, seed: seed, engine)
    var number: UInt64 = 0
    func load(_ slots: [Int]) {
      for slot in slots {
        number += 1
        cluster.submit([cluster.digestTransaction(number, for: slot)], to: slot)
      }
      cluster.run(for: .milliseconds(40))
    }
    for _ in 0..<5 { load([0, 1, 2, 3]) }
    let copy = cluster.disk(2)
    for _ in 0..<10 { load([0, 1, 2, 3]) }
    let signed = cluster.ownTransactions(at: 2)
    cluster.restore(2, from: copy)
    // A client writes to it at once.
    for _ in 0..<10 { load([2]) }
    cluster.run(for: .milliseconds(5000))
    #expect(cluster.node(2) == nil)
    #expect(cluster.ownTransactions(at: 2).count < signed.count)
    for _ in 0..<10 { load([0, 1, 3]) }
    let done = cluster.run(within: .milliseconds(60_000), asking: 64) {
      [0, 1, 3].allSatisfy { cluster.node($0)?.lanes.pendingBytes == 0 }
    }
    #expect(done)
    cluster.run(for: .milliseconds(2000))
    for slot in [0, 1, 3] {
      let reports = cluster.reports.filter { $0.slot == slot }.map(\.event)
      let isAccused = reports.contains { event in if case .laneForked = event { true } else { false } }
      #expect(!isAccused)
    }
    #expect(cluster.checkAgreement() == nil)
  }
}
