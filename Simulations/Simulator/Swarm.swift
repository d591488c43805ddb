internal import PBFT
internal import Merkle
internal import Lanes
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
public import Primitives
internal import Rules
internal import Signing
internal import Wire

/// One seed's run: options drawn from it, a safety phase with faults, then a liveness phase in which all must commit.
public final class SwarmRun {
  /// What is done to the network in this run; each is switched off by lot, so that runs differ in kind.
  public struct Faults: Sendable {
    /// Members stop at any moment, their write under way lost or not.
    public var crashes = false
    /// The power fails everywhere at once.
    public var power = false
    /// The network splits.
    public var partitions = false
    /// Messages vanish.
    public var loss = false
    /// Members stand still for a while.
    public var pauses = false
    /// Primaries are asked to step down.
    public var stepDowns = false
    /// Syncs take long now and then.
    public var slowDisks = false

    /// The names of those that are on.
    public var names: [String] {
      [
        (self.crashes, "crashes"), (self.power, "power"), (self.partitions, "partitions"), (self.loss, "loss"),
        (self.pauses, "pauses"),
        (self.stepDowns, "step-downs"), (self.slowDisks, "slow-disks"),
      ].filter(\.0).map(\.1)
    }
  }

  /// How a run ended.
  public struct Report: Sendable {
    /// The seed.
    public let seed: UInt64
    /// How many members.
    public let members: Int
    /// Which faults were on.
    public let faults: [String]
    /// How many events happened.
    public let events: Int
    /// Virtual time.
    public let virtual: Span
    /// Executed transactions.
    public let executed: UInt64
    /// The digest of everything that happened.
    public let trace: Digest
    /// The invariant that did not hold, with what was seen; nil where all did.
    public let failure: String?
  }

  /// How long after healing everything must be executed.
  public static let healBound = Span.milliseconds(180_000)

  private let seed: UInt64
  private var random: SeededGenerator
  private let faults: Faults
  private let count: Int
  /// The world.
  public let cluster: Cluster
  private var number: UInt64 = 0
  private var acknowledged: [Digest: UInt64] = [:]

  /// The run that `seed` determines.
  public init(seed: UInt64) {
    self.seed = seed
    var random = SeededGenerator(seed: seed ^ 0x5eed)
    let counts = [1, 3, 4, 4, 4, 5, 7]
    let count = counts[Int(random.below(UInt64(counts.count)))]
    var faults = Faults()
    faults.crashes = random.oneIn(2)
    faults.power = random.oneIn(3)
    faults.partitions = count > 1 && random.oneIn(2)
    faults.loss = random.oneIn(3)
    faults.pauses = random.oneIn(3)
    faults.stepDowns = random.oneIn(4)
    faults.slowDisks = random.oneIn(4)
    var world = World()
    world.network.spread = Span(nanoseconds: 100_000 + random.below(random.oneIn(3) ? 40_000_000 : 2_000_000))
    world.disk.syncSpread = Span(nanoseconds: 100_000 + random.below(faults.slowDisks ? 100_000_000 : 3_000_000))
    if faults.loss { world.network.lossOneIn = 3 + random.below(60) }
    (self.random, self.faults, self.count) = (random, faults, count)
    self.cluster = Cluster(count: count, seed: seed, world: world)
  }

  /// Both phases; the first invariant that does not hold ends it.
  public func run() -> Report {
    let failure = self.safetyPhase() ?? self.livenessPhase() ?? self.checkHistories()
    return Report(
      seed: self.seed, members: self.count, faults: self.faults.names, events: self.cluster.eventCount,
      virtual: self.cluster.now - .zero, executed: self.cluster.disk(0).position.log.size, trace: self.cluster.trace,
      failure: failure)
  }

  private func safetyPhase() -> String? {
    for _ in 0..<(10 + self.random.below(40)) {
      self.submit()
      // Mostly in the middle of things, for a commit takes some milliseconds; now and then long enough to change views.
      let spanMax: UInt64 =
        switch self.random.below(6) {
        case 0: 8_000_000_000
        case 1, 2: 300_000_000
        default: 12_000_000
        }
      self.cluster.run(for: Span(nanoseconds: self.random.below(spanMax)))
      self.injectFault()
      self.noteAcknowledged()
      if let failure = self.cluster.checkAgreement() { return failure }
    }
    return nil
  }

  private func submit() {
    for index in 0..<self.count where self.cluster.node(index) != nil && self.random.oneIn(2) {
      let transactions = (0..<(1 + self.random.below(8))).map { _ in self.makeTransaction(index) }
      self.cluster.submit(transactions, to: index)
    }
  }

  private func makeTransaction(_ index: Int) -> Transaction {
    self.number += 1
    var nonce = Encoder()
    nonce.u64(self.number)
    nonce.u32(UInt32(index))
    let wall = self.cluster.world.wallStart.adding(milliseconds: self.cluster.now.nanoseconds / 1_000_000)
    return Transaction(
      kind: TransactionKind.commitDigests.rawValue, hospital: MemberID(UInt32(index + 1)),
      validUntil: wall.adding(milliseconds: 300_000), nonce: nonce.bytes, payload: Hash.sha256(nonce.bytes).bytes)
  }

  private func injectFault() {
    let victim = Int(self.random.below(UInt64(self.count)))
    switch self.random.below(7) {
    case 0 where self.faults.crashes: self.cluster.crash(victim, losingWrite: self.random.oneIn(2))
    case 6 where self.faults.power:
      // The power fails everywhere; whoever comes back first may lead before the others are there.
      for index in 0..<self.count { self.cluster.crash(index, losingWrite: self.random.oneIn(2)) }
      for index in 0..<self.count where self.random.oneIn(2) { self.cluster.restart(index) }
    case 1 where self.faults.crashes || self.faults.power: for index in 0..<self.count { self.cluster.restart(index) }
    case 2 where self.faults.partitions:
      let one = (0..<self.count).filter { _ in self.random.oneIn(2) }
      self.cluster.partition(one, from: (0..<self.count).filter { !one.contains($0) })
    case 3 where self.faults.partitions: self.cluster.heal()
    case 4 where self.faults.pauses:
      if self.random.oneIn(2) { self.cluster.pause(victim) } else { self.cluster.resume(victim) }
    case 5 where self.faults.stepDowns: self.cluster.input(.stepDownRequested, to: victim)
    default: break
    }
  }

  /// What some member's client was told: it must stay where it was, for ever (I6).
  private func noteAcknowledged() {
    for index in 0..<self.count {
      for (identifier, receipt) in self.cluster.receipts(at: index) where receipt.outcome == .applied {
        self.acknowledged[identifier] = receipt.leaf
      }
    }
  }

  private func livenessPhase() -> String? {
    self.cluster.world.network.lossOneIn = 0
    self.cluster.world.disk.syncSpread = Span.milliseconds(2)
    self.cluster.heal()
    for index in 0..<self.count {
      self.cluster.resume(index)
      self.cluster.restart(index)
    }
    self.submit()
    let done = self.cluster.run(within: Self.healBound) {
      let cuts = (0..<self.count).compactMap { self.cluster.node($0)?.execution.cut.heads }
      let tips = (0..<self.count).compactMap { self.cluster.node($0)?.lanes.announcements[$0].head }
      let waiting = (0..<self.count).contains { (self.cluster.node($0)?.lanes.pendingBytes ?? 0) > 0 }
      return !waiting && cuts.count == self.count && cuts.allSatisfy { $0 == tips }
    }
    guard done else {
      let heights = (0..<self.count).map { self.cluster.node($0)?.execution.position.sequence.number ?? 0 }
      let views = (0..<self.count).map { self.cluster.node($0)?.replica.view.number ?? 0 }
      let seconds = Self.healBound.milliseconds / 1000
      return "I7: not all is executed \(seconds) s after healing; heights \(heights), views \(views)"
    }
    self.cluster.run(for: .milliseconds(2000))
    return self.cluster.checkAgreement()
  }

  /// I4, I5, I6: every member's disk re-executes from the genesis to what it says, and holds what clients were told.
  private func checkHistories() -> String? {
    for index in 0..<self.count {
      let disk = self.cluster.disk(index)
      do throws(ReplayFault) {
        let replayed = try disk.replay(self.cluster.genesis)
        guard replayed == disk.position else { return "I10: member \(index) re-executes to another state" }
      } catch { return "I5: member \(index): \(error)" }
      for (identifier, leaf) in self.acknowledged where disk.leaf(of: identifier) != leaf {
        return "I6: what a client saw at leaf \(leaf) is elsewhere at member \(index)"
      }
    }
    return nil
  }
}

extension SimulatedDisk {
  /// Re-executes this disk's history from the genesis.
  func replay(_ genesis: Genesis) throws(ReplayFault) -> LedgerPosition {
    var replay = Replay(genesis: genesis, rules: HealthRules())
    while replay.position.sequence < self.position.sequence {
      let next = replay.position.sequence.next
      guard let decision = self.decisions[next] else { throw .decision(next) }
      let cut = replay.cut
      let blocks = decision.cut.heads.indices.map { lane in
        self.chain(lane: lane, above: cut.heads[lane], through: decision.cut.heads[lane])
      }
      try replay.apply(decision, blocks: blocks)
    }
    return replay.position
  }

  private func chain(lane: Int, above base: LaneHead, through head: LaneHead) -> [Block] {
    var out: [Block] = []
    var next = head
    while next.position > base.position,
      let block = self.blocks[lane][next.position]?.first(where: { $0.digest == next.digest })
    {
      out.append(block)
      next = LaneHead(position: LanePosition(next.position.number - 1), digest: block.header.parent)
    }
    return out.reversed()
  }

  /// The place of an executed transaction.
  func leaf(of identifier: Digest) -> UInt64? {
    for execution in self.executions.reversed() {
      if let found = execution.identifiers.first(where: { $0.identifier == identifier }) { return found.leaf }
    }
    return nil
  }
}
