internal import Lanes
internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import PBFT
internal import Primitives
internal import Raft

/// What chance brings about so seldom that each seed brings one of them about: a small consortium, a script, and the
/// rule that it tries. Drawn apart, so that the seeds' own histories stay what they are.
enum Situation: CaseIterable {
  /// A new view proposes again what lies beyond the window of a member that decided nothing yet (I9).
  case farNewView
  /// A primary states times that run ahead, cut after cut (LEDGER §11.4).
  case hurried
  /// One member waits alone in the next view (LEDGER §3).
  case alone
  /// A primary lets its forked lane grow for ever (LEDGER §2).
  case unfrozen
  /// A primary leaves out positions of its lane (LEDGER §11.1).
  case leaping
  /// A primary proposes what nobody has, and forks its lane (LEDGER §11.3).
  case lured
  /// A member signs tree heads in others' names (LEDGER §6).
  case forged
  /// A member's key on an empty store, and it stops and starts again on its way (LEDGER §11.14).
  case halfway
  /// Raft: the only disk is lost that had an entry's blocks (LEDGER §4).
  case lostBlocks
  /// Raft: an old leader comes back, with entries where others committed other ones (Raft §5.3).
  case oldTail
  /// A primary serves every lane, and each by as little as it may (LEDGER §11.5).
  case throttled
  /// A member writes thousands of tiny blocks (LEDGER §11.5).
  case flooded
  /// A member says everything again and again, and votes for what is far away (LEDGER §11.10).
  case repeated
  /// A member comes back far behind, and all others are there to help (LEDGER §11.11).
  case drowned
  /// A member's junk has the headers of others' blocks (LEDGER §11.10).
  case smothered
  /// A member's status says that it waits alone, and it signed no such wish (LEDGER §3).
  case restless
  /// A member answers what nobody asked, and sends what is here already many times over (LEDGER §11.10).
  case pestered
  /// A member makes up messages of every kind, with fields at all edges (I9).
  case invented

  /// Those that came later take turns by themselves: the seeds of the others stay what they are.
  static let later: [[Situation]] = [
    [.throttled, .flooded, .repeated, .drowned, .smothered], [.restless, .pestered], [.invented],
  ]

  var engine: OrderingEngine {
    switch self {
    case .farNewView, .hurried, .alone, .unfrozen, .leaping, .lured, .forged, .halfway, .throttled, .flooded, .repeated,
      .drowned, .smothered, .restless, .pestered, .invented:
      .pbft
    case .lostBlocks, .oldTail: .raft
    }
  }
}

extension SwarmRun {
  /// Seeds take turns among the situations of their engine; what is drawn in one differs from seed to seed.
  func situationBreach(events: inout Int) -> String? {
    let all = Situation.allCases.filter { $0.engine == self.plan.engine }
    let first = all.filter { one in !Situation.later.contains { $0.contains(one) } }
    let groups = [first] + Situation.later.map { later in all.filter { later.contains($0) } }
    for group in groups where !group.isEmpty {
      var run = SituationRun(group[Int(self.seed % UInt64(group.count))], seed: self.seed)
      let breach = run.breach()
      events += run.cluster.eventCount
      if let breach { return breach }
    }
    return nil
  }
}

/// One situation.
struct SituationRun {
  let situation: Situation
  let cluster: Cluster
  var random: SeededGenerator
  private var number: UInt64 = 0

  init(_ situation: Situation, seed: UInt64) {
    self.situation = situation
    self.random = SeededGenerator(seed: seed ^ 0x517a)
    var (world, limits, parameters) = (World(), LedgerLimits(), Node.Parameters())
    world.engine = situation.engine
    parameters.replica.growthPerOpenCutMin = 0
    parameters.raft.growthPerOpenCutMin = 0
    switch situation {
    case .farNewView: limits.pipelineMax = 1 + self.random.below(2)
    case .unfrozen: limits.pipelineMax = 2
    case .hurried:
      // One after another: the liar's own node hears only of what others decided of its proposals.
      limits.pipelineMax = 1
      parameters.replica.statusInterval = .milliseconds(100)
    case .halfway: parameters.replica.viewTimeoutMin = .milliseconds(8000)
    case .forged: limits.checkpointInterval = 1
    case .throttled:
      limits.pipelineMax = 1
      parameters.replica.statusInterval = .milliseconds(100)
    case .flooded:
      world.processor.transaction = .milliseconds(4)
      parameters.replica.laneOpenBlocksMax = 16
    case .alone, .leaping, .lured, .lostBlocks, .oldTail, .repeated, .drowned, .smothered, .restless, .pestered,
      .invented:
      break
    }
    self.cluster = Cluster(
      count: situation == .drowned ? 10 : situation.engine == .raft ? 3 : 4, seed: self.random.next(), limits: limits,
      parameters: parameters,
      world: world)
  }

  /// What does not hold; nil where all does.
  mutating func breach() -> String? {
    self.cluster.run(for: .milliseconds(self.situation.engine == .raft ? 4000 : 200))
    switch self.situation {
    case .farNewView: return self.enterFarView()
    case .hurried: return self.lieAndGoOn(Misbehaviour.hurrying.make(), rounds: 12)
    case .alone: return self.waitAlone()
    case .unfrozen: return self.lieAndGoOn(SelfServing(.unfrozen), rounds: 20)
    case .leaping: return self.lieAndGoOn(SelfServing(.leaping), rounds: 6)
    case .lured: return self.lure()
    case .forged: return self.lieAndGoOn(Forging(), rounds: 4)
    case .halfway: return self.stopHalfway()
    case .lostBlocks: return self.loseBlocks()
    case .oldTail: return self.comeBackWithTail()
    case .throttled: return self.throttle()
    case .flooded: return self.flood()
    case .repeated: return self.repeatEverything()
    case .drowned: return self.comeBackFarBehind()
    case .smothered: return self.smother()
    case .restless: return self.pretend()
    case .pestered: return self.pester()
    case .invented: return self.invent()
    }
  }

  // MARK: What they share

  mutating func load(_ slots: [Int], rounds: Int = 1, every milliseconds: UInt64 = 60) {
    for _ in 0..<rounds {
      for slot in slots { self.submit(to: slot) }
      self.cluster.run(for: .milliseconds(milliseconds))
    }
  }

  private mutating func submit(to slot: Int) {
    self.number += 1
    self.cluster.submit([self.cluster.digestTransaction(self.number, for: slot)], to: slot)
  }

  /// A transaction of each of these comes to be executed by it within a span.
  mutating func isExecuted(by slots: [Int], within span: Span) -> Bool {
    var identifiers: [Int: Digest] = [:]
    for slot in slots {
      self.number += 1
      let transaction = self.cluster.digestTransaction(self.number, for: slot)
      identifiers[slot] = transaction.identifier(network: self.cluster.genesis.network)
      self.cluster.submit([transaction], to: slot)
    }
    let cluster = self.cluster
    return cluster.run(within: span, asking: 16) {
      identifiers.allSatisfy { cluster.receipt($0.value, at: $0.key) != nil }
    }
  }

  /// What of the promises is broken now.
  var broken: String? {
    if let breach = self.cluster.breach ?? self.cluster.watch.breach { return breach }
    for slot in self.cluster.correctSlots {
      let disk = self.cluster.disk(slot)
      if let breach = self.cluster.node(slot)?.boundBreach { return "I9: member \(slot): \(breach)" }
      if let breach = disk.cosignatureBreach { return "LEDGER §6: member \(slot): \(breach)" }
    }
    return self.cluster.checkAgreement()
  }

  /// What each of these submits comes to be executed by it, and nothing is broken, by the naive ledger's word too.
  mutating func goesOn(_ slots: [Int]) -> String? {
    let isDone = self.isExecuted(by: slots, within: .milliseconds(90_000))
    if let broken { return broken }
    guard isDone else { return "I7: nothing is ordered any more (\(self.situation))" }
    for slot in slots where self.cluster.isCorrect(slot) {
      if let failure = self.cluster.disk(slot).compareWithNaive(self.cluster.genesis) { return failure }
    }
    return nil
  }

  // MARK: The situations

  /// Member 0 lies, from when it leads; the others submit, and go on.
  private mutating func lieAndGoOn(_ adversary: some Adversary, rounds: Int) -> String? {
    self.cluster.corrupt(0, with: adversary)
    self.load([0, 1, 2, 3], every: 200)
    for _ in 0..<rounds {
      self.load([1, 2, 3], every: 60 + self.random.below(120))
      if let broken { return broken }
    }
    return self.goesOn([1, 2, 3])
  }

  private mutating func enterFarView() -> String? {
    let (all, laggard) = (Set(0..<4), 2 + Int(self.random.below(2)))
    for kind in [MessageKind.prePrepare, .prepare, .commit, .decision] {
      self.cluster.drop(kind, from: all, to: [laggard])
    }
    let others = [0, 1, 2, 3].filter { $0 != laggard }
    let far = 2 * self.cluster.genesis.limits.pipelineMax + 1
    for _ in 0..<20 where self.cluster.disk(0).position.sequence.number <= far { self.load(others) }
    // Now something is prepared and not committed.
    self.cluster.drop(.commit, from: all, to: all)
    self.load(others, every: 100)
    self.cluster.input(.stepDownRequested, to: 0)
    self.cluster.run(for: .milliseconds(1000))
    if let broken { return broken }
    self.cluster.clearFilters()
    return self.goesOn([0, 1, 2, 3])
  }

  private mutating func waitAlone() -> String? {
    let (all, alone) = (Set(0..<4), 2 + Int(self.random.below(2)))
    self.load([0, 1, 2, 3], rounds: 2)
    for kind in [MessageKind.prePrepare, .prepare, .commit, .decision] {
      self.cluster.drop(kind, from: all, to: [alone])
    }
    self.load([0, 1, 2, 3].filter { $0 != alone }, rounds: 6, every: 600)
    self.cluster.clearFilters()
    let cluster = self.cluster
    let isTogether = cluster.run(within: .milliseconds(60_000), asking: 16) {
      let replicas = (0..<4).compactMap { cluster.node($0)?.replica }
      return replicas.allSatisfy { $0.pbft?.isVoting == true && $0.view == replicas[0].view }
    }
    guard isTogether else { return self.broken ?? "LEDGER §3: member \(alone) waits alone in the next view" }
    return self.goesOn([0, 1, 2, 3])
  }

  private mutating func lure() -> String? {
    self.cluster.corrupt(0, with: Luring(ahead: self.random.oneIn(2) ? 1 << 40 : 100))
    self.submit(to: 0)
    self.cluster.run(for: .milliseconds(1500))
    for _ in 0..<2 {
      if let failure = self.goesOn([1, 2, 3]) { return failure }
    }
    return nil
  }

  /// Nobody tells it of its own lane for a while, so that it comes to hold much of the others' first.
  private mutating func stopHalfway() -> String? {
    let (victim, others) = (0, [1, 2, 3])
    self.load([0, 1, 2, 3], rounds: 3 + Int(self.random.below(4)))
    self.cluster.run(for: .milliseconds(300))
    self.cluster.tamper = { _, to, message in
      guard to == victim else { return message }
      switch message {
      case .announcements(let configuration, let heads):
        return .announcements(configuration, heads.filter { $0.lane != victim })
      case .status, .decisions, .ordering: return nil
      default: return message
      }
    }
    self.cluster.restore(victim, from: self.cluster.emptyDisk())
    self.load(others, every: 600 + self.random.below(600))
    for _ in 0..<3 {
      self.cluster.crash(victim, afterEffects: 1 + Int(self.random.below(40)))
      self.load(others, every: 60)
      self.cluster.crash(victim, losingWrite: self.random.oneIn(2))
      self.cluster.restart(victim)
    }
    self.cluster.run(for: .milliseconds(700))
    self.load(others, rounds: 4, every: 60)
    self.cluster.tamper = nil
    self.cluster.run(for: .milliseconds(8000))
    if let broken { return broken }
    if self.cluster.node(victim) != nil { return "LEDGER §11.14: member \(victim)'s key goes on without its past" }
    return self.goesOn(others)
  }

  private mutating func loseBlocks() -> String? {
    let leader = self.cluster.leader.member
    let others = [0, 1, 2].filter { $0 != leader }
    self.load([0, 1, 2], rounds: 2)
    self.cluster.run(for: .milliseconds(500))
    for kind in [MessageKind.block, .blocks] { self.cluster.drop(kind, from: [leader], to: Set(others)) }
    self.load([leader], every: 40 + self.random.below(100))
    self.cluster.crash(leader, losingWrite: true)
    self.cluster.clearFilters()
    return self.goesOn(others)
  }

  private mutating func comeBackWithTail() -> String? {
    let leader = self.cluster.leader.member
    let others = [0, 1, 2].filter { $0 != leader }
    self.load([0, 1, 2], rounds: 2)
    self.cluster.run(for: .milliseconds(500))
    self.cluster.partition([leader], from: others)
    self.load([leader], rounds: 4, every: 30)
    let cluster = self.cluster
    let isLed = cluster.run(within: .milliseconds(30_000), asking: 16) {
      others.contains { cluster.node($0)?.replica.leader == $0 }
    }
    guard isLed, let next = others.first(where: { cluster.node($0)?.replica.leader == $0 }) else {
      return self.broken ?? "I7: nobody leads"
    }
    self.cluster.run(for: .milliseconds(300))
    self.load(others, rounds: Int(self.random.below(2)), every: 300)
    self.cluster.crash(next, losingWrite: false)
    self.cluster.heal()
    self.cluster.run(for: .milliseconds(6000))
    self.cluster.restart(next)
    return self.broken ?? self.goesOn([0, 1, 2])
  }
}
