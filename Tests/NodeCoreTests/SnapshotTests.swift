// Goal: whoever is far behind, or new, goes on from a snapshot that f + 1 members vouch for, remembers what was
// executed, and comes to have the whole history again (LEDGER §7, §10.12). Method: the deterministic cluster with the
// production node; a member that is sent no decisions has no other way.
internal import Rules
import HealthRecords
import Ledger
import Messages
import NodeCore
import Ordering
import Primitives
import Signing
import Simulator
import Testing
import Wire

@Suite("Snapshots (LEDGER §7)")
struct SnapshotTests {
  private static let laggard = 3

  private static func cluster(
    _ count: Int = 4, joiners: Int = 0, seed: UInt64 = 1, _ engine: OrderingEngine = .pbft
  ) -> Cluster {
    var world = World()
    world.engine = engine
    var parameters = Node.Parameters()
    parameters.follow(snapshotInterval: 16)
    let cluster = Cluster(count: count, joiners: joiners, seed: seed, parameters: parameters, world: world)
    cluster.run(for: .milliseconds(engine == .raft ? 4000 : 100))
    return cluster
  }

  /// Executes so many cuts of eight transactions each, at those who are there; gives the first of each.
  private static func execute(_ cuts: Int, _ cluster: Cluster, from number: UInt64 = 1) -> [Transaction] {
    var out: [Transaction] = []
    for cut in 0..<cuts {
      let first = 8 * (number + UInt64(cut))
      let transactions = (0..<8).map { cluster.digestTransaction(first + $0, for: 0) }
      cluster.submit(transactions, to: 0)
      let identifier = transactions[7].identifier(network: cluster.genesis.network)
      _ = cluster.run(within: .milliseconds(5000)) { cluster.receipt(identifier, at: 0) != nil }
      out.append(transactions[0])
    }
    return out
  }

  /// A cluster of which a member missed 40 cuts and is sent no decisions.
  private static func behind(
    seed: UInt64 = 1, _ engine: OrderingEngine = .pbft
  ) -> (cluster: Cluster, executed: [Transaction]) {
    let cluster = self.cluster(seed: seed, engine)
    cluster.crash(self.laggard, losingWrite: false)
    let executed = self.execute(40, cluster)
    cluster.run(for: .milliseconds(500))
    for kind in [MessageKind.decision, .append] { cluster.drop(kind, from: [0, 1, 2], to: [self.laggard]) }
    return (cluster, executed)
  }

  private static func goesOn(_ cluster: Cluster, within milliseconds: UInt64 = 20_000) -> Bool {
    cluster.run(within: .milliseconds(milliseconds), asking: 16) { cluster.disk(self.laggard).base != nil }
  }

  private static func isWhole(_ cluster: Cluster) -> Bool {
    cluster.run(within: .milliseconds(60_000), asking: 64) {
      cluster.disk(self.laggard).gaps.isEmpty
        && cluster.disk(self.laggard).position.sequence == cluster.disk(0).position.sequence
    }
  }

  @Test(
    "A member that is far behind goes on from a snapshot, holds the same state, and re-executes from the genesis",
    arguments: [OrderingEngine.pbft, .raft])
  func laggard(engine: OrderingEngine) throws {
    let (cluster, executed) = Self.behind(engine)
    cluster.restart(Self.laggard)
    let goesOn = Self.goesOn(cluster)
    #expect(goesOn)
    #expect(cluster.disk(Self.laggard).base.map { $0.manifest.sequence.number } == 32)
    cluster.clearFilters()
    _ = Self.execute(3, cluster, from: 1000)
    let isWhole = Self.isWhole(cluster)
    #expect(isWhole)
    #expect(cluster.checkAgreement() == nil && cluster.checkStates() == nil)
    #expect(cluster.breach == nil && cluster.watch.breach == nil)
    #expect(cluster.logEntries(at: Self.laggard).count >= 8 * (executed.count - 32))
    #expect(try cluster.replay(Self.laggard) == cluster.disk(0).position)
  }

  @Test("12, replayed after a snapshot: what was executed before it is executed by nobody again")
  func replayed() throws {
    let (cluster, executed) = Self.behind()
    cluster.restart(Self.laggard)
    let goesOn = Self.goesOn(cluster)
    #expect(goesOn)
    cluster.clearFilters()
    let old = try #require(executed.first)
    #expect(cluster.run(within: .milliseconds(5000)) { cluster.haveExecuted(320) })
    cluster.submit([old], to: 0)
    #expect(cluster.run(within: .milliseconds(5000)) { cluster.haveExecuted(321) })
    cluster.run(for: .milliseconds(50))
    let outcome = cluster.disk(Self.laggard).executions.last?.record.outcomes
    #expect(outcome == [OutcomeCode.duplicate.number])
    #expect(cluster.checkAgreement() == nil)
  }

  @Test("A chunk that is not what the manifest says is refused and asked for elsewhere")
  func wrongChunk() throws {
    let (cluster, _) = Self.behind()
    cluster.tamper = { from, _, message in
      guard from == 1, case .chunk(let digest, let number, let bytes) = message else { return message }
      return .chunk(digest, number, bytes.dropLast() + [bytes[bytes.count - 1] ^ 1])
    }
    cluster.restart(Self.laggard)
    let goesOn = Self.goesOn(cluster)
    #expect(goesOn)
    cluster.clearFilters()
    let isWhole = Self.isWhole(cluster)
    #expect(isWhole)
    #expect(cluster.checkStates() == nil)
    #expect(cluster.reports.contains { $0.slot == Self.laggard && $0.event == .transferRefused(1) })
  }

  @Test("One member's word is not enough; f + 1 members' are", arguments: [1, 2])
  func vouching(members: Int) {
    let (cluster, _) = Self.behind()
    cluster.tamper = { from, _, message in
      if case .snapshotOffer = message, from >= members { return nil }
      return message
    }
    cluster.restart(Self.laggard)
    #expect(Self.goesOn(cluster) == (members >= 2))
  }

  @Test("A word that another member's key did not give counts for nothing")
  func forgedWord() {
    let (cluster, _) = Self.behind()
    cluster.tamper = { from, _, message in
      guard case .snapshotOffer(let offer) = message else { return message }
      // Member 0 speaks for all.
      return .snapshotOffer(
        SnapshotOffer(
          offer.sequence, manifest: offer.manifest, in: offer.configuration, signer: from,
          network: cluster.genesis.network, key: Cluster.keys(0).checkpoint))
    }
    cluster.restart(Self.laggard)
    #expect(!Self.goesOn(cluster))
  }

  @Test("What was fetched before a crash is not fetched again")
  func resumes() throws {
    let (cluster, _) = Self.behind()
    var asked: [Int] = []
    cluster.tamper = { from, _, message in
      if from == Self.laggard, case .chunkRequest(_, let number) = message { asked.append(number) }
      // One chunk does not come until after the crash.
      if case .chunk(_, 0, _) = message, !asked.contains(-1) { return nil }
      return message
    }
    cluster.restart(Self.laggard)
    #expect(!Self.goesOn(cluster, within: 3000))
    let chunks = try #require(cluster.node(0)?.snapshot?.chunks.count)
    #expect(chunks > 1 && Set(asked).count == chunks)
    cluster.crash(Self.laggard, losingWrite: true)
    asked = [-1]
    cluster.restart(Self.laggard)
    let goesOn = Self.goesOn(cluster)
    #expect(goesOn)
    #expect(asked == [-1, 0])
  }

  @Test("Whoever joins later, with the genesis alone, believes a snapshot of members that it did not know")
  func joinerAfterChanges() throws {
    let cluster = Self.cluster(4, joiners: 2)
    cluster.crash(5, losingWrite: true)
    cluster.change(.add(cluster.describe(slot: 4)), through: 0, nonce: 1)
    #expect(
      cluster.run(within: .milliseconds(20_000), asking: 16) {
        (0..<5).allSatisfy { cluster.node($0)?.configuration.number.number == 1 }
      })
    _ = Self.execute(40, cluster)
    cluster.run(for: .milliseconds(500))
    cluster.drop(.decision, from: [0, 1, 2, 3, 4], to: [5])
    cluster.restart(5)
    #expect(cluster.run(within: .milliseconds(20_000), asking: 16) { cluster.disk(5).base != nil })
    #expect(cluster.node(5)?.configuration.number.number == 1)
    cluster.clearFilters()
    let done = cluster.run(within: .milliseconds(60_000), asking: 64) {
      cluster.disk(5).gaps.isEmpty && cluster.disk(5).position == cluster.disk(0).position
    }
    #expect(done)
    #expect(cluster.checkStates() == nil)
    #expect(try cluster.replay(5) == cluster.disk(0).position)
  }

  @Test(
    "Who joins awaits a second word for a snapshot before it replays; one word alone is not waited for long"
  )
  func joinerWaits() {
    for late in [true, false] {
      let cluster = Self.cluster(4, joiners: 1)
      cluster.crash(4, losingWrite: true)
      _ = Self.execute(40, cluster)
      cluster.run(for: .milliseconds(500))
      var isHeldBack = true
      cluster.tamper = { from, _, message in
        if case .snapshotOffer = message, from > 0, isHeldBack { return nil }
        return message
      }
      cluster.restart(4)
      cluster.run(for: .milliseconds(3000))
      #expect(cluster.disk(4).position.sequence == .zero)
      if late { isHeldBack = false }
      let caughtUp = cluster.run(within: .milliseconds(20_000), asking: 16) {
        cluster.disk(4).position.sequence == cluster.disk(0).position.sequence
      }
      #expect(caughtUp)
      #expect((cluster.disk(4).base != nil) == late)
    }
  }

  @Test("History that was altered, reordered or is another's is not kept; what is missing then comes from others")
  func alteredHistory() throws {
    let (cluster, _) = Self.behind()
    var sent = 0
    let broken = Cluster.keys(0).member.sign([0])
    cluster.tamper = { from, _, message in
      guard from != 2, case .history(let items) = message, let first = items.first else { return message }
      sent += 1
      let outcomes = first.record.outcomes.map { $0 ^ 1 }
      let record = ExecutionRecord(
        sequence: first.record.sequence, time: first.record.time, firstLeaf: first.record.firstLeaf,
        blocks: first.record.blocks, outcomes: outcomes)
      let unsigned = first.blocks.map { Block(header: $0.header, signature: broken, body: $0.body) }
      switch sent % 3 {
      case 0: return .history([HistoryItem(record, decision: first.decision, blocks: first.blocks)])
      case 1: return .history(items.reversed())
      default: return .history([HistoryItem(first.record, decision: first.decision, blocks: unsigned)])
      }
    }
    cluster.restart(Self.laggard)
    let goesOn = Self.goesOn(cluster)
    #expect(goesOn)
    cluster.clearFilters()
    let isWhole = Self.isWhole(cluster)
    #expect(isWhole)
    #expect(sent > 0)
    #expect(try cluster.replay(Self.laggard) == cluster.disk(0).position)
  }

  @Test(
    "Seeds that failed once: a Raft log that was begun under the gap below a snapshot ended before what is decided",
    arguments: [130, 857, 978])
  func regressions(seed: UInt64) {
    let report = SwarmRun(seed: seed, plan: SwarmRun.plan(seed: seed, engine: .raft)).run()
    #expect(report.failure == nil, "consilium-sim replay \(seed) --engine raft")
  }

  @Test(
    "Seeds that failed once: a key that one custodian alone could hand on never was; who was guilty came back later",
    arguments: [1081, 1577, 1962, 2213, 2566])
  func handedOnByOne(seed: UInt64) {
    let report = SwarmRun(seed: seed).run()
    #expect(report.failure == nil, "consilium-sim replay \(seed)")
  }

  @Test("What a member voted beyond the snapshot survives it: it contradicts nothing, whenever it is restarted")
  func keepsVotes() {
    for seed in UInt64(1)...12 {
      let (cluster, _) = Self.behind(seed: seed)
      cluster.restart(Self.laggard)
      let goesOn = Self.goesOn(cluster)
      #expect(goesOn)
      cluster.crash(Self.laggard, afterEffects: Int(seed) * 3)
      cluster.clearFilters()
      for index in 0..<3 { cluster.submit([cluster.digestTransaction(900 + seed, for: index)], to: index) }
      cluster.run(for: .milliseconds(200))
      cluster.restart(Self.laggard)
      let isWhole = Self.isWhole(cluster)
      #expect(isWhole)
      #expect(cluster.watch.breach == nil && cluster.breach == nil && cluster.checkAgreement() == nil)
    }
  }
}
