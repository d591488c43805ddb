internal import Messages
internal import NodeCore
internal import Ordering
internal import PBFT
internal import Primitives
internal import Raft
internal import Signing

/// Every schedule of a small world, by breadth-first search over states that are remembered.
///
/// The world is the production engine (`Engine`), one instance a member and one more a twin, and a *soup*: all that was
/// ever said, which may be heard at any time, again, or never (Lamport's TLA+ models of Paxos). A move is a *wave*: the
/// instances fall into two groups, and each hears all that was said in its own (the Twins method: Bano et al. 2021); or
/// one instance's timers fire; or one loses what it does not have durably. States are compared as values, not by
/// digests: an instance's states and messages are numbered, and a step that was taken before is looked up.
public struct Interleavings {
  /// What is gone through.
  public enum World: String, Sendable, CaseIterable {
    /// PBFT, four members and a twin of the primary, which proposes another cut; each may leave its view.
    case views
    /// PBFT, four members; one commit in which one of them crashes at any durable point, and each may leave its view.
    case durable
    /// PBFT, four members, two lanes; each block may be anywhere or lost, and a member may leave its view.
    case blocks
    /// Raft, three members, elections and commits, one of them crashes at any durable point.
    case raft
  }

  /// How many moves are gone through where nothing else is said: all there are, or what fits some seconds.
  public var depthDefault: Int {
    switch self.world {
    case .views: 5
    case .raft: 12
    case .durable, .blocks: .max
    }
  }

  /// What was found.
  public struct Report: Sendable {
    /// Different states of the world.
    public var states = 0
    /// Moves from one to another.
    public var moves = 0
    /// The longest shortest way from the beginning.
    public var depth = 0
    /// Different states of an instance.
    public var locals = 0
    /// Different messages.
    public var messages = 0
    /// States in which something is decided.
    public var decided = 0
    /// Whether there is no state left to go on from.
    public var isExhausted = false
    /// Whether all states within `depth` moves were seen.
    public var isWholeToDepth = false
    /// The invariant that did not hold, with the moves that lead there; nil where all did.
    public var failure: String?
  }

  /// What somebody said.
  private enum Word: Hashable {
    case ordering(OrderingMessage, by: Int)
    case raft(RaftMessage, by: Int, to: ReplicaIndex)
    case block(Int, by: Int)

    var speaker: Int {
      switch self {
      case .ordering(_, let speaker), .raft(_, let speaker, _), .block(_, let speaker): speaker
      }
    }
  }

  /// An instance of the engine, with what it has durably.
  private struct Local: Hashable {
    var engine: Engine
    var stored = OrderingState()
    /// Which lanes' blocks it holds, a bit a lane.
    var blocks: UInt8
    var tick = Tick.zero
  }

  private enum Move: Hashable {
    case wave(Int)
    case timeout(Int)
    case crash(Int)
  }

  /// A state of the world: a number for each instance's state and for the soup, and what is left to spend.
  private struct State: Hashable {
    var locals: [Int]
    var soup: Int
    var timeouts: [UInt8]
    var crashes: UInt8
  }

  private let world: World
  private let genesis: Genesis
  private let configuration: Configuration
  private let signer = Signer()
  /// Each instance's member.
  private let members: [ReplicaIndex]
  private let timeoutsEach: UInt8
  private let timeoutsMax: Int
  private var locals = Numbering<Local>()
  private var words = Numbering<Word>()
  private var soups = Numbering<[Int]>()
  private var steps: [Step: (local: Int, said: [Int])] = [:]
  private var states = Numbering<State>()
  private var origins: [(from: Int, move: Move)] = []
  private var judgedSoups: Set<Int> = []
  private var failure: String?

  private struct Step: Hashable {
    enum Cause: Hashable {
      case word(Int)
      case timeout
      case crash
    }
    let instance: Int
    let local: Int
    let cause: Cause
  }

  private struct Vote: Hashable {
    let member: ReplicaIndex
    let kind: MessageKind
    let view: View
    let sequence: SequenceNumber
  }

  /// An exploration of a world.
  public init(_ world: World) {
    self.world = world
    let count = world == .raft ? 3 : 4
    let described = (0..<count).map { Cluster.describe($0) }
    var limits = LedgerLimits()
    limits.pipelineMax = 1
    let engine: OrderingEngine = world == .raft ? .raft : .pbft
    guard let genesis = Genesis(name: "explored", engine: engine, limits: limits, members: described) else {
      preconditionFailure("\(count) members make a genesis")
    }
    self.genesis = genesis
    self.configuration = genesis.configuration
    self.members = Array(0..<count) + (world == .views ? [0] : [])
    (self.timeoutsEach, self.timeoutsMax) =
      switch world {
      case .views: (1, 2)
      case .durable: (0, 0)
      case .blocks: (1, 1)
      case .raft: (1, 2)
      }
  }

  /// Goes through all states within so many moves, at most so many; `told` hears of the progress.
  public mutating func run(depthMax: Int, statesMax: Int, told: (Report) -> Void = { _ in }) -> Report {
    var report = Report()
    var frontier = [self.begin()]
    while !frontier.isEmpty, self.failure == nil {
      guard report.depth < depthMax else {
        report.isWholeToDepth = true
        return self.finish(report)
      }
      var next: [Int] = []
      for state in frontier where self.failure == nil {
        for move in self.moves(from: self.states[state]) {
          report.moves += 1
          let (number, isNew) = self.states.number(of: self.make(move, in: self.states[state]))
          guard isNew else { continue }
          self.origins.append((state, move))
          next.append(number)
          if self.check(number, &report) { break }
        }
        guard self.states.count < statesMax else {
          return self.finish(report)
        }
      }
      if !next.isEmpty { report.depth += 1 }
      frontier = next
      report.states = self.states.count
      told(report)
    }
    report.isExhausted = self.failure == nil
    report.isWholeToDepth = report.isExhausted
    return self.finish(report)
  }

  private func finish(_ report: Report) -> Report {
    var report = report
    (report.states, report.locals, report.messages) = (self.states.count, self.locals.count, self.words.count)
    report.failure = self.failure
    return report
  }

  private mutating func begin() -> Int {
    var said: [Int] = []
    var numbers: [Int] = []
    for instance in self.members.indices {
      let blocks: UInt8 =
        switch self.world {
        case .views: instance == 0 ? 0b01 : instance == 4 ? 0b10 : 0b11
        case .durable, .raft: 0b01
        case .blocks: 0
        }
      var local = Local(engine: self.start(instance, OrderingState()), blocks: blocks)
      said += self.give([.timerFired, .lanesAdvanced], to: &local, instance)
      numbers.append(self.locals.number(of: local).number)
    }
    if self.world == .blocks {
      for lane in 0..<2 { said.append(self.words.number(of: .block(lane, by: lane)).number) }
    }
    let state = State(
      locals: numbers, soup: self.soups.number(of: Set(said).sorted()).number,
      timeouts: Array(repeating: 0, count: self.members.count), crashes: 0)
    self.origins.append((0, .wave(0)))
    return self.states.number(of: state).number
  }

  private func start(_ instance: Int, _ stored: OrderingState) -> Engine {
    switch self.genesis.engine {
    case .pbft:
      .pbft(
        Replica(
          configuration: self.configuration, limits: self.genesis.limits, index: self.members[instance],
          parameters: Replica.Parameters(), restoring: stored))
    case .raft:
      .raft(
        RaftReplica(
          configuration: self.configuration, limits: self.genesis.limits, index: self.members[instance],
          parameters: RaftReplica.Parameters(), seed: UInt64(instance), restoring: stored))
    }
  }

  // MARK: Moves

  private func moves(from state: State) -> [Move] {
    // Two groups; the first instance is in the first, so that none is counted twice. 0: all are together.
    var moves = (0..<(1 << (self.members.count - 1))).map { Move.wave($0 << 1) }
    for instance in self.members.indices {
      if state.timeouts[instance] < self.timeoutsEach, state.timeouts.reduce(0, { $0 + Int($1) }) < self.timeoutsMax {
        moves.append(.timeout(instance))
      }
      let mayCrash = self.world == .durable || (self.world == .raft && instance == 0)
      if state.crashes == 0, mayCrash { moves.append(.crash(instance)) }
    }
    return moves
  }

  private mutating func make(_ move: Move, in state: State) -> State {
    var state = state
    var soup = self.soups[state.soup]
    var heard: Set<Int> = []
    switch move {
    case .wave(let groups):
      for instance in self.members.indices {
        for word in self.soups[state.soup] {
          let speaker = self.words[word].speaker
          guard speaker != instance, (groups >> speaker) & 1 == (groups >> instance) & 1 else { continue }
          if case .raft(_, _, let to) = self.words[word], to != self.members[instance] { continue }
          let step = self.step(state.locals[instance], .word(word), instance)
          state.locals[instance] = step.local
          heard.formUnion(step.said)
        }
      }
    case .timeout(let instance):
      state.timeouts[instance] += 1
      let step = self.step(state.locals[instance], .timeout, instance)
      state.locals[instance] = step.local
      heard.formUnion(step.said)
    case .crash(let instance):
      state.crashes += 1
      let step = self.step(state.locals[instance], .crash, instance)
      state.locals[instance] = step.local
      heard.formUnion(step.said)
    }
    heard.subtract(soup)
    guard !heard.isEmpty else { return state }
    soup = (soup + heard).sorted()
    state.soup = self.soups.number(of: soup).number
    return state
  }

  private mutating func step(_ local: Int, _ cause: Step.Cause, _ instance: Int) -> (local: Int, said: [Int]) {
    let key = Step(instance: instance, local: local, cause: cause)
    if let known = self.steps[key] { return known }
    var changed = self.locals[local]
    var said: [Int]
    switch cause {
    case .timeout:
      // Long enough for every timer.
      changed.tick = changed.tick + .milliseconds(600_000)
      said = self.give([.timerFired], to: &changed, instance)
    case .crash:
      changed.engine = self.start(instance, changed.stored)
      said = self.give([.timerFired, .lanesAdvanced], to: &changed, instance)
    case .word(let word):
      switch self.words[word] {
      case .ordering(let message, _):
        said = self.give([.message(Verified(checked: message))], to: &changed, instance)
      case .raft(let message, let by, _):
        said = self.give([.raft(message, from: self.members[by])], to: &changed, instance)
      case .block(let lane, _):
        changed.blocks |= 1 << UInt8(lane)
        said = self.give([.lanesAdvanced], to: &changed, instance)
      }
    }
    let result = (self.locals.number(of: changed).number, said)
    self.steps[key] = result
    return result
  }

  /// Gives inputs to an instance and performs what it wants: writes are durable at once, own votes come back.
  private mutating func give(_ inputs: [OrderingInput], to local: inout Local, _ instance: Int) -> [Int] {
    var inputs = inputs
    var said: [Int] = []
    while !inputs.isEmpty {
      var effects: [OrderingEffect] = []
      let now = Moment(tick: local.tick, wall: Timestamp(milliseconds: 1_750_000_000_000))
      _ = local.engine.step(
        inputs.removeFirst(), at: now, lanes: OneBlockLanes(blocks: local.blocks), into: &effects)
      for effect in effects {
        switch effect {
        case .persist(let write): local.stored.apply(write)
        case .cast(let ballot):
          let message = self.signer.sign(ballot, self.genesis.network, self.members[instance])
          switch message {
          case .prePrepare(let signed): local.stored.apply(.prePrepare(signed))
          case .newView(let signed): local.stored.apply(.newView(signed))
          case .prepare, .commit, .viewChange, .decision: break
          }
          said.append(self.words.number(of: .ordering(message, by: instance)).number)
          inputs.append(.message(Verified(checked: message)))
        case .sendRaft(let to, let message):
          said.append(self.words.number(of: .raft(message, by: instance, to: to)).number)
        case .mark(let mark): inputs.append(.durable(mark))
        case .deliver(let decision): inputs.append(.executed(decision.sequence, deadline: .never))
        case .send, .sendStatus, .sendDecisions, .fetch, .report: break
        }
      }
      if let breach = local.engine.invariantBreach { self.failure = self.failure ?? breach }
    }
    return said
  }

  // MARK: What must hold

  /// I3: a member that runs once never signs two of one kind, view and number, also across crashes.
  private mutating func checkSoup(_ soup: Int) {
    guard self.judgedSoups.insert(soup).inserted else { return }
    var votes: [Vote: Digest] = [:]
    var elected: [Vote: ReplicaIndex] = [:]
    for word in self.soups[soup] {
      if case .raft(let message, let instance, let to) = self.words[word] {
        self.checkElection(message, by: instance, to: to, &elected)
      }
      guard case .ordering(let message, let instance) = self.words[word], self.isCorrect(instance) else { continue }
      let (kind, view, sequence, digest): (MessageKind, View, SequenceNumber, Digest)
      switch message {
      case .prePrepare(let signed):
        let content = signed.content
        (kind, view, sequence, digest) = (.prePrepare, content.view, content.sequence, content.cut.digest)
      case .prepare(let signed):
        let ballot = signed.content.ballot
        (kind, view, sequence, digest) = (.prepare, ballot.view, ballot.sequence, ballot.digest)
      case .commit(let signed):
        let ballot = signed.content.ballot
        (kind, view, sequence, digest) = (.commit, ballot.view, ballot.sequence, ballot.digest)
      case .viewChange, .newView, .decision: continue
      }
      let vote = Vote(member: self.members[instance], kind: kind, view: view, sequence: sequence)
      if let other = votes.updateValue(digest, forKey: vote), other != digest {
        self.failure = self.failure ?? "I3: member \(vote.member) signs two of one \(kind.rawValue) in view \(view)"
      }
    }
  }

  /// Raft §5.2: a member gives one vote a term, and one leads it.
  private mutating func checkElection(
    _ message: RaftMessage, by instance: Int, to: ReplicaIndex, _ elected: inout [Vote: ReplicaIndex]
  ) {
    let (vote, chosen): (Vote, ReplicaIndex)
    switch message {
    case .vote(let term, isGranted: true):
      (vote, chosen) = (Vote(member: instance, kind: .vote, view: term, sequence: .zero), to)
    case .voteRequest(let term, _, _):
      (vote, chosen) = (Vote(member: instance, kind: .vote, view: term, sequence: .zero), instance)
    case .append(let term, _, _, _):
      (vote, chosen) = (Vote(member: 0, kind: .append, view: term, sequence: .zero), instance)
    case .preVoteRequest, .preVote, .vote, .appended, .refused, .timeoutNow, .untimely: return
    }
    if let other = elected.updateValue(chosen, forKey: vote), other != chosen {
      self.failure =
        self.failure ?? "Raft §5.2: \(other) and \(chosen) both \(vote.kind == .vote ? "have a vote of" : "lead in") "
        + "term \(vote.view)"
    }
  }

  private func isCorrect(_ instance: Int) -> Bool { self.members.count { $0 == self.members[instance] } == 1 }

  /// I1: correct instances that decided a number decided the same. True where something does not hold.
  private mutating func check(_ state: Int, _ report: inout Report) -> Bool {
    self.checkSoup(self.states[state].soup)
    var cuts: [SequenceNumber: Cut] = [:]
    for instance in self.members.indices where self.isCorrect(instance) {
      let stored = self.locals[self.states[state].locals[instance]].stored
      for decision in stored.recentDecisions + [stored.lastDecision].compactMap(\.self) + stored.laterDecisions {
        if let other = cuts.updateValue(decision.cut, forKey: decision.sequence), other != decision.cut {
          self.failure = self.failure ?? "I1: two cuts are decided at \(decision.sequence)"
        }
      }
    }
    if !cuts.isEmpty { report.decided += 1 }
    guard let failure, !failure.contains("; moves:") else { return self.failure != nil }
    self.failure = "\(failure); moves: \(self.way(to: state).joined(separator: ", "))"
    return true
  }

  private func way(to state: Int) -> [String] {
    var moves: [String] = []
    var at = state
    while at != 0 {
      moves.append(self.describe(self.origins[at].move))
      at = self.origins[at].from
    }
    return moves.reversed()
  }

  private func describe(_ move: Move) -> String {
    switch move {
    case .wave(let groups):
      let second = self.members.indices.filter { (groups >> $0) & 1 == 1 }
      let first = self.members.indices.filter { (groups >> $0) & 1 == 0 }
      return second.isEmpty ? "all hear all" : "\(first) and \(second) hear their own"
    case .timeout(let instance): return "\(instance) times out"
    case .crash(let instance): return "\(instance) crashes"
    }
  }
}
