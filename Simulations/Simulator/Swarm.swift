internal import Raft
internal import Rules
internal import Merkle
internal import Gossip
internal import HealthRecords
internal import Lanes
internal import Ledger
public import Messages
internal import NodeCore
internal import PBFT
public import Primitives
internal import Signing
internal import Wire

/// One seed's run: options drawn from it, a safety phase with faults, then a liveness phase in which all must commit.
public final class SwarmRun {
  /// What is done to the network in a run; each is switched on by lot, so that runs differ in kind.
  public enum Fault: String, Sendable, CaseIterable {
    /// Members stop at any moment, their write under way lost or not.
    case crashes
    /// Members stop between two effects of one step.
    case kills
    /// The power fails everywhere at once.
    case power
    /// The network splits.
    case partitions
    /// Single connections are cut, so that members reach each other only through others.
    case cuts
    /// Connections break and are made again: what was on its way is lost.
    case resets
    /// Messages vanish.
    case loss
    /// Messages of one kind vanish between some members.
    case filters
    /// Messages arrive twice, or overtake others.
    case disorder
    /// Members stand still for a while.
    case pauses
    /// Primaries are asked to step down.
    case stepDowns = "step-downs"
    /// Syncs take long.
    case slowDisks = "slow-disks"
    /// Disks fill.
    case fullDisks = "full-disks"
    /// Wall clocks differ and drift.
    case clocks
    /// Up to f members are Byzantine.
    case byzantine
    /// Clients say things twice, too late and too early.
    case repeats
  }

  /// How a run ended.
  public struct Report: Sendable {
    /// The seed.
    public let seed: UInt64
    /// What ordered.
    public let engine: OrderingEngine
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
    /// How often the members changed.
    public let configurations: Int
    /// How often a member went on from a snapshot of others.
    public let transfers: Int
    /// The digest of everything that happened.
    public let trace: Digest
    /// The invariant that did not hold, with what was seen; nil where all did.
    public let failure: String?
  }

  /// What a run may draw from, and what was drawn; `shrink` takes things away.
  public struct Plan: Sendable {
    /// What orders.
    public var engine = OrderingEngine.pbft
    /// How many members.
    public var count = 4
    /// The faults that are on.
    public var faults: Set<Fault> = []
    /// Byzantine members, by what they do; nil for a twin.
    public var byzantine: [Int: Misbehaviour?] = [:]
    /// Whether nothing is done that may end a view.
    public var isCalm = false
    /// What becomes of the members, one change after another.
    public var changes: [MemberChange] = []
    /// How often snapshots are taken, in sequence numbers; nil for never.
    public var snapshotInterval: UInt64?
    /// How many rounds of load and faults the safety phase has.
    public var rounds = 20
  }

  /// How long after healing everything must be executed.
  public static let healBound = Span.milliseconds(240_000)

  let seed: UInt64
  var random: SeededGenerator
  /// What was drawn.
  public let plan: Plan
  let count: Int
  /// The world.
  public let cluster: Cluster
  var number: UInt64 = 0
  /// The changes of members that are to come, and the one under way.
  var changes: [MemberChange]
  var changing: MembershipAction?
  var joined = 0
  private var acknowledged: [Digest: UInt64] = [:]
  private var said: [Int: [Transaction]] = [:]

  /// What `seed` draws; with an engine, as if that were drawn too.
  public static func plan(seed: UInt64, engine: OrderingEngine? = nil) -> Plan {
    var random = SeededGenerator(seed: seed ^ 0x5eed)
    var plan = Plan()
    let counts = [1, 3, 4, 4, 4, 4, 5, 7]
    plan.count = counts[Int(random.below(UInt64(counts.count)))]
    // One in eight is calm: nothing that may end a view.
    plan.isCalm = random.oneIn(8)
    let possible: [Fault] = plan.isCalm ? [.disorder, .repeats] : Fault.allCases
    for fault in possible where random.oneIn(3) { plan.faults.insert(fault) }
    plan.rounds = 8 + Int(random.below(30))
    if plan.count < 4 { plan.faults.remove(.byzantine) }
    if plan.faults.contains(.byzantine) {
      for _ in 0..<((plan.count - 1) / 3) {
        let kinds = Misbehaviour.allCases.filter { !Misbehaviour.later.contains($0) }
        let draw = Int(random.below(UInt64(kinds.count) + 4))
        // Often one that leads early.
        let member = Int(random.below(random.oneIn(2) ? 2 : UInt64(plan.count)))
        plan.byzantine[member] = .some(draw < kinds.count ? kinds[draw] : nil)
      }
    }
    plan.changes = Self.changes(seed: seed, isCalm: plan.isCalm)
    // Every other one takes snapshots, so often that whoever is away for long has one to go on from.
    var interval = SeededGenerator(seed: seed ^ 0x5a9a)
    if interval.oneIn(2) { plan.snapshotInterval = [2, 8, 24][Int(interval.below(3))] }
    // One in four is Raft, which nobody lies to.
    var choice = SeededGenerator(seed: seed ^ 0x4a47)
    let drawn = choice.oneIn(4) ? OrderingEngine.raft : .pbft
    if engine ?? drawn == .raft {
      plan.engine = .raft
      plan.byzantine = [:]
      plan.faults.remove(.byzantine)
    }
    var later = SeededGenerator(seed: seed ^ 0x7137)
    if let member = plan.byzantine.keys.min(), later.oneIn(3) {
      plan.byzantine[member] = Misbehaviour.later[Int(later.below(UInt64(Misbehaviour.later.count)))]
    }
    return plan
  }

  /// The run that `seed` determines; with a plan, that of the plan.
  public init(seed: UInt64, plan: Plan? = nil) {
    let plan = plan ?? Self.plan(seed: seed)
    (self.seed, self.plan, self.count) = (seed, plan, plan.count)
    self.changes = plan.changes
    var random = SeededGenerator(seed: seed)
    var world = World()
    world.engine = plan.engine
    world.network.spread = Span(nanoseconds: 100_000 + random.below(random.oneIn(3) ? 40_000_000 : 2_000_000))
    let slowest: UInt64 = plan.faults.contains(.slowDisks) ? 100_000_000 : 3_000_000
    world.disk.syncSpread = Span(nanoseconds: 100_000 + random.below(slowest))
    if plan.faults.contains(.loss) { world.network.lossPerMillion = NetworkModel.oneIn(3 + random.below(60)) }
    if plan.faults.contains(.disorder) {
      world.network.duplicationPerMillion = NetworkModel.oneIn(2 + random.below(20))
      world.network.reorderingPerMillion = NetworkModel.oneIn(2 + random.below(20))
    }
    if plan.faults.contains(.clocks) {
      world.clockSkewMilliseconds = (0..<plan.count).map { _ in Int64(random.below(2400)) - 1200 }
      world.clockDriftPartsPerMillion = (0..<plan.count).map { _ in Int64(random.below(200)) - 100 }
    }
    var limits = LedgerLimits()
    limits.pipelineMax = [1, 2, 4, 8][Int(random.below(4))]
    limits.checkpointInterval = [1, 4, 64][Int(random.below(3))]
    if random.oneIn(3) {
      // A change of members, and the tree head that opens it, must fit a block.
      limits.blockBytesMax = plan.changes.isEmpty ? 640 : 2400
      limits.cutTransactionsMax = plan.changes.isEmpty ? 20 : 80
      limits.cutBytesMax = plan.changes.isEmpty ? 1500 : 4000
    }
    var parameters = Node.Parameters()
    let isHasty = random.oneIn(2) && !plan.isCalm
    parameters.replica.viewTimeoutMin = Span.milliseconds(isHasty ? 150 + random.below(300) : 2000)
    parameters.replica.viewTimeoutMax = Span.milliseconds(random.oneIn(2) ? 8000 : 60_000)
    if isHasty {
      parameters.raft.electionTimeoutMin = Span.milliseconds(200)
      parameters.raft.heartbeatInterval = Span.milliseconds(50)
    }
    parameters.executionSliceMax = random.oneIn(3) ? 3 : 1000
    // One in four makes a custody key besides, whatever is done to the network.
    var choice = SeededGenerator(seed: seed ^ 0xc057)
    parameters.isCustodian = choice.oneIn(4)
    parameters.snapshotInterval = 0
    if let interval = plan.snapshotInterval {
      parameters.follow(snapshotInterval: interval)
      parameters.transfer.distance = 1 + choice.below(6)
      parameters.transfer.patience = .milliseconds(200 + choice.below(2000))
    }
    let twins = plan.byzantine.keys.sorted().filter { plan.byzantine[$0] == .some(nil) }
    self.cluster = Cluster(
      count: plan.count, joiners: plan.changes.count { $0 == .join }, seed: random.next(), limits: limits,
      parameters: parameters, world: world, twins: twins)
    for member in plan.byzantine.keys.sorted() {
      if let kind = plan.byzantine[member], let kind { self.cluster.corrupt(member, with: kind.make()) }
    }
    self.random = random
    self.separateTwins()
  }

  /// Each of two twins at first sees one half of the network; what partitions do later, they do to both.
  private func separateTwins() {
    let first = self.count + self.plan.changes.count { $0 == .join }
    for slot in first..<self.cluster.slotCount where self.random.oneIn(2) {
      for other in 0..<self.count where other != self.cluster.member(slot) {
        if self.random.oneIn(2) {
          self.cluster.cut(slot, other)
        } else {
          self.cluster.cut(self.cluster.member(slot), other)
        }
      }
    }
  }

  /// The access rules alone, custody alone, the overlay alone, state transfer alone, the vaults alone, releases, a
  /// copied machine, a rare situation, then the whole network in both phases; the first invariant that does not hold
  /// ends it.
  public func run() -> Report {
    var events = 0
    let failure =
      self.partsBreach(events: &events) ?? self.copyBreach(events: &events) ?? self.situationBreach(events: &events)
      ?? self.safetyPhase() ?? self.livenessPhase() ?? self.checkHistories()
    let correct = self.cluster.votingSlots.first ?? 0
    var faults = self.plan.faults.map(\.rawValue).sorted() + self.plan.changes.map(\.rawValue)
    if let interval = self.plan.snapshotInterval { faults.append("snapshots:\(interval)") }
    for member in self.plan.byzantine.keys.sorted() {
      faults.append("r\(member):\((self.plan.byzantine[member] ?? nil)?.rawValue ?? "twin")")
    }
    return Report(
      seed: self.seed, engine: self.plan.engine, members: self.count, faults: faults,
      events: events + self.cluster.eventCount,
      virtual: self.cluster.now - .zero, executed: self.cluster.disk(correct).position.log.size,
      configurations: Int(self.cluster.newest.number.number), transfers: self.cluster.transferCount,
      trace: self.cluster.trace, failure: failure)
  }

  private func partsBreach(events: inout Int) -> String? {
    var access = AccessRun(seed: self.seed)
    var second = SecondRulesRun(seed: self.seed)
    var third = ThirdRulesRun(seed: self.seed)
    var custody = CustodyRun(seed: self.seed)
    var overlay = OverlayRun(seed: self.seed)
    var transfer = TransferRun(seed: self.seed)
    var vaults = VaultRun(seed: self.seed)
    let releases = ReleaseRun(seed: self.seed, engine: self.plan.engine)
    return access.run(events: &events) ?? second.run(events: &events) ?? custody.run(events: &events)
      ?? overlay.run(events: &events)
      ?? transfer.run(events: &events) ?? vaults.run(events: &events) ?? releases.run(events: &events)
      ?? third.run(events: &events)
  }

  private func safetyPhase() -> String? {
    let clocks = self.cluster.world.clockSkewMilliseconds
    self.setClocks()
    defer { self.cluster.world.clockSkewMilliseconds = clocks }
    for _ in 0..<self.plan.rounds {
      self.submit()
      // Mostly in the middle of things, for a commit takes some milliseconds; now and then long enough to change views.
      let spanMax: UInt64 =
        switch self.random.below(6) {
        case 0: 8_000_000_000
        case 1, 2: 600_000_000
        default: 12_000_000
        }
      self.cluster.run(for: Span(nanoseconds: self.random.below(spanMax)))
      self.injectFault()
      self.changeMembers()
      self.noteAcknowledged()
      if let failure = self.checkNow() { return failure }
    }
    return nil
  }

  func checkNow() -> String? {
    if let breach = self.cluster.breach ?? self.cluster.watch.breach { return breach }
    for slot in self.cluster.correctSlots {
      if let breach = self.cluster.disk(slot).breach { return "member \(slot): \(breach)" }
      if let breach = self.cluster.node(slot)?.boundBreach { return "I9: member \(slot): \(breach)" }
    }
    return self.cluster.checkAgreement()
  }

  private func submit() {
    for slot in 0..<self.cluster.slotCount where self.cluster.node(slot) != nil && self.random.oneIn(2) {
      let count = self.random.oneIn(12) ? 200 : 1 + self.random.below(8)
      var transactions = (0..<count).map { _ in self.makeTransaction(slot) }
      if self.plan.faults.contains(.repeats), let old = self.said[slot], !old.isEmpty {
        transactions.append(old[Int(self.random.below(UInt64(old.count)))])
      }
      self.said[slot, default: []] += transactions
      self.cluster.submit(transactions, to: slot)
      guard self.plan.faults.contains(.repeats), self.random.oneIn(6) else { continue }
      // Malformed, but no rule may say that it comes too late or again.
      self.number += 1
      let opening = self.cluster.opening(of: self.number.bigEndianBytes, by: slot)
      self.said[slot, default: []].append(opening)
      self.cluster.submitUrgent([opening], to: slot)
    }
  }

  func makeTransaction(_ slot: Int) -> Transaction {
    self.number += 1
    var life: UInt64 = 300_000
    if self.plan.faults.contains(.repeats), self.random.oneIn(8) { life = self.random.oneIn(2) ? 5 : 3_600_000 }
    return self.cluster.digestTransaction(self.number, for: slot, lifeMilliseconds: life)
  }

  /// What a client was told by a correct member: it must stay where it was, for ever (I6).
  private func noteAcknowledged() {
    for slot in self.cluster.correctSlots {
      for (identifier, receipt) in self.cluster.receipts(at: slot) where receipt.outcome == .applied {
        self.acknowledged[identifier] = receipt.leaf
      }
    }
  }

  private func livenessPhase() -> String? {
    self.heal()
    if self.plan.isCalm, self.plan.engine == .pbft,
      let view = self.cluster.correctSlots.compactMap({ self.cluster.node($0)?.replica.view }).max(),
      view > View(0)
    {
      return "I7: nothing was done to the network, and it is in view \(view)"
    }
    if let failure = self.completeChanges() { return failure }
    if let failure = self.loadedPhase() ?? self.censoredPhase() { return failure }
    self.submit()
    let correct = self.cluster.votingSlots
    let done = self.cluster.run(within: Self.healBound, asking: 64) {
      let nodes = correct.compactMap { self.cluster.node($0) }
      guard nodes.count == correct.count, nodes.allSatisfy({ $0.lanes.pendingBytes == 0 }) else { return false }
      let tips = zip(correct, nodes).map { slot, node in
        let lane = self.cluster.member(slot)
        return (lane, node.lanes.announcements[lane].head)
      }
      return nodes.allSatisfy { node in
        node.execution.position.sequence == nodes[0].execution.position.sequence
          && tips.allSatisfy { node.execution.cut.heads[$0] == $1 }
      }
    }
    if let failure = self.checkNow() { return failure }
    guard done else {
      let heights = correct.map { self.cluster.node($0)?.execution.position.sequence.number ?? 0 }
      let views = correct.map { self.cluster.node($0)?.replica.view.number ?? 0 }
      let seconds = Self.healBound.milliseconds / 1000
      return "I7: not all is executed \(seconds) s after healing; heights \(heights), views \(views)"
    }
    self.cluster.run(for: .milliseconds(2000))
    return self.checkNow() ?? self.everybodyVotes() ?? self.fillHistories()
  }

  /// Where anybody has the whole history, everybody comes to have it.
  private func fillHistories() -> String? {
    let correct = self.cluster.votingSlots
    func lacking() -> [Int] { correct.filter { !self.cluster.disk($0).gaps.isEmpty } }
    guard lacking().count < correct.count else { return nil }
    guard self.cluster.run(within: Self.healBound, asking: 64, until: { lacking().isEmpty }) else {
      let left = lacking().map { slot in "\(slot): \(self.cluster.disk(slot).gaps.map(\.count))" }
      return "I7: history is missing \(Self.healBound.milliseconds / 1000) s after healing at members \(left)"
    }
    return self.checkNow()
  }

  private func heal() {
    self.cluster.world.network.lossPerMillion = 0
    self.cluster.world.disk.syncSpread = Span.milliseconds(2)
    self.cluster.clearFilters()
    self.cluster.heal()
    for slot in 0..<self.cluster.slotCount {
      self.cluster.fillDisk(slot, isFull: false)
      self.cluster.crash(slot, afterEffects: nil)
      self.cluster.resume(slot)
      self.cluster.restart(slot)
    }
  }
}

extension SwarmRun {
  private func injectFault() {
    let slots = self.cluster.slotCount
    let victim = Int(self.random.below(UInt64(slots)))
    let other = (victim + 1 + Int(self.random.below(UInt64(max(1, slots - 1))))) % slots
    let fault = Fault.allCases[Int(self.random.below(UInt64(Fault.allCases.count)))]
    guard self.plan.faults.contains(fault) else {
      self.mendSomething()
      return
    }
    switch fault {
    case .crashes: self.cluster.crash(victim, losingWrite: self.random.oneIn(2))
    case .kills: self.cluster.crash(victim, afterEffects: 1 + Int(self.random.below(40)))
    case .power:
      // The power fails everywhere; whoever comes back first may lead before the others are there.
      for slot in 0..<slots { self.cluster.crash(slot, losingWrite: self.random.oneIn(2)) }
      for slot in 0..<slots where self.random.oneIn(2) { self.cluster.restart(slot) }
    case .partitions:
      let one = (0..<slots).filter { _ in self.random.oneIn(2) }
      self.cluster.partition(one, from: (0..<slots).filter { !one.contains($0) })
    case .cuts: if victim != other { self.cluster.cut(victim, other) }
    case .resets: if victim != other { self.cluster.reset(victim, other) }
    case .filters:
      let kinds: [MessageKind] =
        self.plan.engine == .raft
        ? [.block, .append, .appended, .vote, .decision]
        : [.block, .prePrepare, .prepare, .commit, .viewChange, .newView, .decision]
      let kind = kinds[Int(self.random.below(UInt64(kinds.count)))]
      let from = Set((0..<slots).filter { _ in !self.random.oneIn(3) })
      self.cluster.drop(kind, from: from, to: Set((0..<slots).filter { _ in !self.random.oneIn(3) }))
    case .pauses: self.cluster.pause(victim)
    case .stepDowns: self.cluster.input(.stepDownRequested, to: self.cluster.leader.member)
    case .fullDisks: self.cluster.fillDisk(victim, isFull: true)
    case .slowDisks: self.cluster.slowDisk(victim, factor: 1 + self.random.below(30))
    case .loss, .disorder, .clocks, .byzantine, .repeats: break
    }
  }

  private func mendSomething() {
    switch self.random.below(4) {
    case 0: for slot in 0..<self.cluster.slotCount { self.cluster.restart(slot) }
    case 1: self.cluster.heal()
    case 2:
      for slot in 0..<self.cluster.slotCount {
        self.cluster.resume(slot)
        self.cluster.fillDisk(slot, isFull: false)
      }
    default: self.cluster.clearFilters()
    }
  }

  /// I4, I5, I6, I10: every correct member's disk re-executes from the genesis to what it says, agrees with the naive
  /// ledger, and holds what clients were told.
  private func checkHistories() -> String? {
    for slot in self.cluster.correctSlots where self.cluster.disk(slot).gaps.isEmpty {
      let disk = self.cluster.disk(slot)
      do throws(ReplayFault) {
        let replayed = try disk.replay(self.cluster.genesis)
        guard replayed == disk.position else { return "I10: member \(slot) re-executes to another state" }
      } catch { return "I5: member \(slot): \(error)" }
    }
    if let failure = self.evidenceBreach { return failure }
    let voting = self.cluster.votingSlots
    for slot in voting {
      let disk = self.cluster.disk(slot)
      let start = disk.base?.manifest.point.position.log.size ?? 0
      for (identifier, leaf) in self.acknowledged where leaf >= start && disk.leaf(of: identifier) != leaf {
        return "I6: what a client saw at leaf \(leaf) is elsewhere at member \(slot)"
      }
    }
    for slot in voting {
      if let failure = self.cluster.disk(slot).forkBreach { return "LEDGER §2: member \(slot): \(failure)" }
      if let failure = self.cluster.disk(slot).cosignatureBreach { return "LEDGER §6: member \(slot): \(failure)" }
    }
    if let failure = self.cluster.checkStates() { return failure }
    for slot in voting where self.cluster.disk(slot).base == nil {
      if let failure = self.cluster.disk(slot).historyBreach(self.cluster.genesis, &self.random) {
        return "LEDGER §7: member \(slot): \(failure)"
      }
    }
    guard let first = voting.first(where: { self.cluster.disk($0).base == nil }) else { return nil }
    return self.cluster.disk(first).compareWithNaive(self.cluster.genesis)
  }
}

extension Node {
  /// I9: what a node holds that is more than its limits allow; nil where nothing is.
  var boundBreach: String? {
    if self.lanes.pendingBytes > (16 << 20) { return "\(self.lanes.pendingBytes) bytes wait for a block" }
    if let breach = self.lanes.boundBreach { return breach }
    // A Raft log also holds one entry for each leader that could not commit its first.
    let most = Int(2 * self.genesis.limits.pipelineMax) + (self.replica.raft == nil ? 0 : 256)
    if self.replica.openCount > most {
      return "\(self.replica.openCount) open sequence numbers"
    }
    return nil
  }
}
