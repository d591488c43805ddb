internal import Signing
public import Messages
public import Ordering
public import Primitives

/// The engine of a node that does not vote: a hospital that is about to join, one that left, an auditor. It takes what
/// the members decided, and asks them for what it lacks (LEDGER §1, §7).
///
/// With PBFT each decision proves itself; with Raft it is a member's word, as for every member that lags.
public struct Follower: OrderingMachine, Hashable {
  /// How often members are asked for more.
  static let statusInterval = Span.milliseconds(500)
  /// How long an answer may take before another member is asked.
  static let answerPatience = Span.milliseconds(50)

  private let configuration: Configuration
  private let limits: LedgerLimits
  private let startCut: Cut
  private var last: SequenceNumber?
  private var lastDecision: Decision?
  private var executed: SequenceNumber
  /// Decisions above the last, which wait for those between.
  private var waiting: [SequenceNumber: Decision] = [:]
  private var heard: [ReplicaIndex: SequenceNumber] = [:]
  private var nextStatus = Tick.zero
  private var askedAt: Tick?
  private var turn = 0

  /// A follower that goes on from what was stored.
  public init(configuration: Configuration, limits: LedgerLimits, restoring state: OrderingState) {
    (self.configuration, self.limits, self.last) = (configuration, limits, state.last)
    self.startCut = state.startCut ?? .genesis(lanes: configuration.laneCount)
    self.lastDecision = state.lastDecision
    self.executed = state.lastDecision?.sequence ?? .zero
    for decision in state.laterDecisions { self.waiting[decision.sequence] = decision }
  }

  /// Takes one input; appends effects in the order in which they must happen.
  public mutating func step(
    _ input: OrderingInput, at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) -> Disposition<OrderingReason> {
    var outcome = Disposition<OrderingReason>.accepted
    switch input {
    case .message(let message):
      guard case .decision(let decision) = message.value else { return .ignored(.idle) }
      outcome = self.take(decision, into: &effects)
    case .leaderDecisions(let decisions, _):
      for decision in decisions { outcome = self.take(decision, into: &effects) }
    case .status(let status, let peer):
      guard status.configuration >= self.configuration.number else { return .ignored(.otherConfiguration) }
      self.heard[peer] = status.decided
    case .connected(let peer): effects.append(.sendStatus(to: peer, self.status))
    case .executed(let sequence, _): self.executed = max(self.executed, sequence)
    case .closes(let last): self.last = last
    case .timerFired:
      guard now.tick >= self.nextStatus else { return .ignored(.idle) }
      self.nextStatus = now.tick + Self.statusInterval
      effects.append(.sendStatus(to: nil, self.status))
    case .raft, .durable, .lanesAdvanced, .laneForked, .stepDownRequested: return .ignored(.idle)
    }
    while let decision = self.waiting.removeValue(forKey: self.decided.next) { self.deliver(decision, into: &effects) }
    self.ask(at: now, into: &effects)
    return outcome
  }

  private mutating func take(
    _ decision: Decision, into effects: inout [OrderingEffect]
  ) -> Disposition<OrderingReason> {
    guard decision.configuration == self.configuration.number else { return .ignored(.otherConfiguration) }
    guard decision.sequence > self.decided else { return .ignored(.settled) }
    guard decision.cut.heads.count == self.configuration.laneCount else { return .rejected(.malformed) }
    // I9: what cannot be executed soon is asked for again.
    let isNear = decision.sequence.number <= self.executed.number + 2 * self.limits.pipelineMax
    guard isNear, self.last.map({ decision.sequence <= $0 }) ?? true else { return .ignored(.beyondWindow) }
    guard self.waiting[decision.sequence] == nil else { return .ignored(.duplicate) }
    self.waiting[decision.sequence] = decision
    effects.append(.persist(.decision(decision)))
    return .accepted
  }

  private mutating func deliver(_ decision: Decision, into effects: inout [OrderingEffect]) {
    self.lastDecision = decision
    self.askedAt = nil
    effects.append(.deliver(decision))
  }

  /// Asks a member that has more, each in turn, as soon as all that came is executed.
  private mutating func ask(at now: Moment, into effects: inout [OrderingEffect]) {
    guard self.executed == self.decided else { return }
    if let askedAt, now.tick < askedAt + Self.answerPatience { return }
    let ahead = self.heard.keys.sorted().filter { (self.heard[$0] ?? .zero) > self.decided }
    guard !ahead.isEmpty else { return }
    self.askedAt = now.tick
    self.turn += 1
    effects.append(.sendStatus(to: ahead[self.turn % ahead.count], self.status))
  }

  /// When members are asked next.
  public var deadline: Tick? { self.nextStatus }
  /// The view of the last decision.
  public var view: View { self.lastDecision?.view ?? View(0) }
  /// Nobody: a follower need not know.
  public var leader: ReplicaIndex? { nil }
  /// The last sequence number decided without a gap.
  public var decided: SequenceNumber { self.lastDecision?.sequence ?? .zero }
  /// The last decided cut.
  public var decidedCut: Cut {
    guard self.decided >= self.configuration.start, let decision = self.lastDecision else { return self.startCut }
    return decision.cut
  }
  /// How far the members are, by what one honest member at least says of itself; nil while too few were heard.
  public var known: SequenceNumber? {
    let heard = self.heard.values.sorted(by: >)
    let place = self.configuration.faultyMax
    return heard.indices.contains(place) ? heard[place] : nil
  }
  /// How many decisions wait for others.
  public var openCount: Int { self.waiting.count }
  /// Where it stands.
  public var status: Status {
    Status(
      configuration: self.configuration.number, view: self.view, isChanging: false, viewChanges: ReplicaSet(),
      decided: self.decided, slots: [])
  }
  /// What must hold between steps and does not, in words.
  public var invariantBreach: String? {
    self.executed > self.decided ? "executed \(self.executed), decided \(self.decided)" : nil
  }
}
