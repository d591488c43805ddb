public import Messages
public import Ordering
public import Primitives
internal import Signing

/// One replica of PBFT over cuts: a value that takes inputs and returns effects.
///
/// Source: Castro & Liskov 1999, with signatures, with lanes in place of requests; LEDGER §3 names the deviations.
public struct Replica: OrderingMachine, Hashable {
  /// The replica's own limits and spans; they change no validity.
  public struct Parameters: Sendable, Hashable {
    /// How long something orderable may wait before the view is left, at first.
    public var viewTimeoutMin = Span.milliseconds(2000)
    /// The longest such wait, however often it was doubled.
    public var viewTimeoutMax = Span.milliseconds(60_000)
    /// How long an orderable block may be left out, as far as cuts have room for its lane.
    public var laneOmissionMax = Span.milliseconds(8000)
    /// How long a view is open at least before it is left only because a member asks for the next one alone.
    public var orderlyChangeIntervalMin = Span.milliseconds(20_000)
    /// How often the replica tells all others where it stands.
    public var statusInterval = Span.milliseconds(500)
    /// The most decisions that one status is answered with.
    public var decisionsPerAnswerMax: UInt64 = 16
    /// The most members that answer one status.
    public var answerersMax = 3
    /// While others are open, a cut grows by at least this many transactions for each of them, or waits.
    public var growthPerOpenCutMin: UInt64 = 200
    /// The most blocks of a lane in cuts that are not executed yet.
    public var laneOpenBlocksMax: UInt64 = 512

    /// The defaults.
    public init() {}
  }

  /// Whether the replica takes part in its view or waits for it to open.
  public enum Phase: Sendable, Hashable {
    /// The view is open.
    case active
    /// `ViewChange(view)` is under way or sent; the timer starts once Q of them are held.
    case changing(timer: Tick?)
  }

  /// What happens to a replica.
  public typealias Input = OrderingInput
  /// Why an input was of no use, or wrong.
  public typealias Reason = OrderingReason
  /// What a step came to.
  public typealias Outcome = Disposition<Reason>

  let configuration: Configuration
  let limits: LedgerLimits
  let index: ReplicaIndex
  let parameters: Parameters

  /// The view that it is in or asks for.
  public internal(set) var view: View
  /// Whether that view is open.
  public internal(set) var phase: Phase
  /// The last decision handed to execution.
  public internal(set) var lastDecision: Decision?
  /// The last sequence number that was executed.
  public internal(set) var executed: SequenceNumber
  var stateDeadline: Timestamp = .never
  /// The cut from which the configuration goes on.
  let startCut: Cut
  /// The configuration's last sequence number, once that is known.
  var last: SequenceNumber?
  /// From which sequence number on a lane may not grow: its author forked it.
  var frozenFrom: [Int: SequenceNumber] = [:]
  var slots: [SequenceNumber: Slot] = [:]
  var viewChanges: [ReplicaIndex: Signed<ViewChange>] = [:]
  /// The latest new view that it accepted.
  public internal(set) var newView: Signed<NewView>?
  var pendingNewView: Signed<NewView>?
  var hasCastNewView = false
  var fruitlessViews: UInt64 = 0
  var progressSince: Tick?
  /// What of each lane must be ordered by when.
  var laneDues: [LaneDues]
  var nextStatus: Tick = .zero
  var proposed: SequenceNumber = .zero
  var askedDecisionsAt: Tick?
  /// How far each member said that it is, and whose turn it is to be asked for decisions.
  var heardDecided: [ReplicaIndex: SequenceNumber] = [:]
  var askTurn = 0
  /// What each member said of itself last, and how often.
  var said: [ReplicaIndex: Said] = [:]
  /// Cuts that this replica proposed as primary and that are not delivered yet.
  var ownProposals: [SequenceNumber: Cut] = [:]
  /// The last decided cuts: what a NewView may name again, after their blocks have left memory.
  var recentCuts: [SequenceNumber: Cut] = [:]
  /// Since when members were seen that ask alone for the view after this one, and when each was heard last.
  var aloneSince: [ReplicaIndex: Alone] = [:]
  var heardAt: [ReplicaIndex: Tick] = [:]
  /// For whose sake the view was left lately.
  var returned: [ReplicaIndex: Return] = [:]
  /// When the view was entered; nil where that was before this replica started.
  var enteredAt: Tick?
  /// When this replica asked for the view that it waits for, and who went on meanwhile in one below.
  var askedAt: Tick?
  var wentOn = ReplicaSet()
  /// Of whom proof is kept, since the start.
  var accused: Set<Accusation> = []
  /// The view in which the operator was told that the primary's clock is not this one's.
  var clockReportedIn: View?

  /// A replica that goes on from what it had stored. Feed it `.timerFired` once to start.
  public init(
    configuration: Configuration, limits: LedgerLimits, index: ReplicaIndex, parameters: Parameters,
    restoring state: OrderingState
  ) {
    precondition(configuration.isVoter(index), "replica \(index) does not vote")
    (self.configuration, self.limits) = (configuration, limits)
    (self.index, self.parameters) = (index, parameters)
    self.view = state.view
    self.phase = state.isChanging ? .changing(timer: nil) : .active
    self.lastDecision = state.lastDecision
    self.executed = state.lastDecision?.sequence ?? .zero
    self.newView = state.newView
    self.laneDues = Array(repeating: LaneDues(), count: configuration.laneCount)
    self.startCut = state.startCut ?? .genesis(lanes: configuration.laneCount)
    self.last = state.last
    self.proposed = self.executed
    self.restoreSlots(state)
  }

  /// Takes one input; appends effects in the order in which they must happen.
  public mutating func step(
    _ input: Input, at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) -> Outcome {
    let outcome: Outcome
    switch input {
    case .message(let message):
      outcome = self.take(message.value, at: now, lanes: lanes, into: &effects)
      if self.isMereCount(message.value, at: now) { return outcome }
    case .status(let status, let from):
      outcome = self.answer(status, from: from, at: now, into: &effects)
    case .connected(let peer):
      effects.append(.sendStatus(to: peer, self.status))
      outcome = .accepted
    case .lanesAdvanced: outcome = .accepted
    case .executed(let sequence, let deadline):
      self.executed = max(self.executed, sequence)
      self.stateDeadline = deadline
      // A laggard asks on as soon as there is room again, whatever the clock says.
      if self.executed == self.decided { self.askForDecisions(at: now, into: &effects) }
      outcome = .accepted
    case .laneForked(let lane, let sequence):
      guard lane < self.configuration.laneCount, self.frozenFrom[lane] == nil else { return .ignored(.duplicate) }
      self.frozenFrom[lane] = SequenceNumber(sequence.number + self.limits.pipelineMax)
      outcome = .accepted
    case .closes(let last):
      self.last = last
      outcome = .accepted
    case .timerFired: outcome = self.fireTimers(at: now, into: &effects)
    case .raft, .leaderDecisions, .durable: return .rejected(.otherEngine)
    case .stepDownRequested:
      guard self.isPrimary, self.phase == .active else { return .ignored(.notPrimary) }
      self.leave(to: self.view.next, reason: .requested, at: now, into: &effects)
      outcome = .accepted
    }
    self.advance(at: now, lanes: lanes, into: &effects)
    return outcome
  }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick? {
    var next = self.nextStatus
    if case .changing(let timer?) = self.phase { next = min(next, timer) }
    if case .active = self.phase, let since = self.progressSince {
      next = min(next, since + self.viewTimeout)
    }
    for dues in self.laneDues { next = min(next, dues.deadline(self.parameters.laneOmissionMax) ?? next) }
    return next
  }

  /// Whether it is the primary of its view, be it open or not.
  var isPrimary: Bool { self.configuration.primary(of: self.view) == self.index }
  /// The replica that leads its view; nil while that is not open.
  public var leader: ReplicaIndex? {
    self.phase == .active ? self.configuration.primary(of: self.view) : nil
  }
  /// The last sequence number decided without a gap.
  public var decided: SequenceNumber { self.lastDecision?.sequence ?? .zero }
  /// How many members are known to ask for a view or a higher one.
  public func viewChangeCount(from view: View) -> Int { self.viewChanges.values.count { $0.content.view >= view } }
  /// Whether a sequence number is decided, be it with gaps before it.
  public func isDecided(_ sequence: SequenceNumber) -> Bool {
    sequence <= self.decided || self.slots[sequence]?.decision != nil
  }
  /// Whether the proposal for a sequence number is accepted in this view, and whether it is prepared.
  public func progress(of sequence: SequenceNumber) -> (isAccepted: Bool, isPrepared: Bool) {
    guard let slot = self.slots[sequence] else { return (false, false) }
    if case .accepted = slot.stage { return (true, slot.prepared?.view == self.view) }
    return (false, false)
  }
  /// How many sequence numbers are open.
  public var openCount: Int { self.slots.count }
  /// The last decided cut.
  public var decidedCut: Cut { self.ownDecision?.cut ?? self.startCut }
  /// The last decision, where it is of this configuration.
  var ownDecision: Decision? { self.decided >= self.configuration.start ? self.lastDecision : nil }
  /// Whether the configuration may still order this.
  func isOpen(_ sequence: SequenceNumber) -> Bool {
    self.last.map { sequence <= $0 } ?? true
  }

  /// Whether it votes: its view is open. The others may go on in another one meanwhile.
  public var isVoting: Bool { self.phase == .active }

  /// How long the view may go without progress.
  var viewTimeout: Span {
    let doublings = min(self.fruitlessViews, 16)
    return min(self.parameters.viewTimeoutMin * (1 << doublings), self.parameters.viewTimeoutMax)
  }

  /// The last sequence number that a slot is kept for.
  public var windowEnd: SequenceNumber {
    SequenceNumber(self.executed.number + 2 * self.limits.pipelineMax + (planted(.windowUnbounded) ? 64 : 0))
  }
}

/// What a replica holds of one open sequence number.
struct Slot: Sendable, Hashable {
  enum Stage: Sendable, Hashable {
    /// No proposal of this view.
    case empty
    /// A proposal that cannot be judged yet, and what is known of its time.
    case waiting(Signed<PrePrepare>, Basis)
    /// An accepted proposal.
    case accepted(Signed<PrePrepare>)
  }

  /// By what right a proposal's time stands.
  enum Basis: Sendable, Hashable {
    /// A NewView, or what this replica stored before it stopped, obliges to it.
    case justified
    /// It was near this clock when it arrived.
    case timely
    /// It was ahead of this clock, as the ledger may be.
    case ahead
  }

  struct Vote: Sendable, Hashable {
    let digest: Digest
    let signature: Signature
  }

  var stage: Stage = .empty
  var prepares: [ReplicaIndex: Vote] = [:]
  var commits: [ReplicaIndex: Vote] = [:]
  /// Of the highest view, kept across views.
  var prepared: PreparedCertificate?
  var hasCastPrepare = false
  var hasCastCommit = false
  var decision: Decision?

  var prePrepare: Signed<PrePrepare>? {
    switch self.stage {
    case .empty: nil
    case .waiting(let signed, _), .accepted(let signed): signed
    }
  }

  /// Forgets what counts in one view only.
  mutating func leaveView() {
    self.stage = .empty
    self.prepares = [:]
    self.commits = [:]
    self.hasCastPrepare = false
    self.hasCastCommit = false
  }
}
