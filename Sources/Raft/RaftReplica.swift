public import Messages
public import Ordering
public import Primitives

/// One member of Raft over cuts: a value that takes inputs and returns effects. It tolerates crashes, not lies.
///
/// Source: Ongaro & Ousterhout 2014; Ongaro's thesis for pre-vote (§9.6), check-quorum (§6.2), leader leases (§4.2.3)
/// and transfer (§3.10). LEDGER §4: an entry is acknowledged only when its blocks are held durably too.
public struct RaftReplica: OrderingMachine, Hashable {
  /// The member's own limits and spans; they change no validity.
  public struct Parameters: Sendable, Hashable {
    /// How long without a word of a leader before a member stands for election: from this to twice as long, by lot.
    public var electionTimeoutMin = Span.milliseconds(1000)
    /// How often a leader speaks.
    public var heartbeatInterval = Span.milliseconds(150)
    /// The most decisions that a laggard is sent at once.
    public var decisionsPerAnswerMax: UInt64 = 16
    /// While others are open, a cut grows by at least this many transactions for each of them, or waits.
    public var growthPerOpenCutMin: UInt64 = 200
    /// The most blocks of a lane in cuts that are not executed yet.
    public var laneOpenBlocksMax: UInt64 = 512

    /// The defaults.
    public init() {}
  }

  /// The most entries beyond the window that add nothing: each is of a leader that could commit none.
  static let emptyEntriesMax: UInt64 = 4096
  /// So many election timeouts a leader whose time too few take stands for no election.
  static let disownedTimeouts: UInt64 = 8

  /// What a member is in its term.
  public enum Role: Sendable, Hashable {
    /// It follows whoever leads; nil while nobody is known.
    case follower(ReplicaIndex?)
    /// It asks who would vote for it in the next term.
    case preCandidate(ReplicaSet)
    /// It asks for votes in its term.
    case candidate(ReplicaSet)
    /// It leads.
    case leader(Leadership)
  }

  /// What a leader knows of its followers.
  public struct Leadership: Sendable, Hashable {
    var followers: [ReplicaIndex: Follower] = [:]
    /// How far the own log is durable.
    var durable: SequenceNumber
    var nextHeartbeat: Tick
    var nextQuorumCheck: Tick
    var transfer: Transfer?
  }

  /// To whom the leadership goes, until when that may take, and whether the word was said.
  struct Transfer: Sendable, Hashable {
    let to: ReplicaIndex
    let until: Tick
    var isSaid = false
  }

  /// Where a follower stands.
  struct Follower: Sendable, Hashable {
    /// The next entry to send.
    var next: SequenceNumber
    /// Its log is the leader's through here, durably.
    var match: SequenceNumber = .zero
    /// When it last answered.
    var heardAt: Tick?
    /// Which entry it does not take because of its time, and how far that is ahead of its clock.
    var refusal: Refusal?
    /// When it last said that the leader's time is behind its clock, and by how much.
    var lag: Lag?
  }

  /// A follower's clock is ahead of the leader's.
  struct Lag: Sendable, Hashable {
    let at: Tick
    let milliseconds: Int64
  }

  /// An entry that a follower does not take because of its time.
  struct Refusal: Sendable, Hashable {
    let sequence: SequenceNumber
    let aheadMilliseconds: Int64
  }

  /// What a step came to.
  public typealias Outcome = Disposition<OrderingReason>

  let configuration: Configuration
  let limits: LedgerLimits
  let index: ReplicaIndex
  let parameters: Parameters
  var random: SeededGenerator

  /// The term.
  public internal(set) var view: View
  /// Whom it gave its vote in the term.
  public internal(set) var vote: ReplicaIndex?
  /// What it is in the term.
  public internal(set) var role: Role = .follower(nil)
  /// The last decision handed to execution.
  public internal(set) var lastDecision: Decision?
  /// The last sequence number that was executed.
  public internal(set) var executed: SequenceNumber
  var log: RaftLog
  /// The log is the leader's of this term through here.
  var verified: SequenceNumber
  /// The blocks of all entries through here are held durably.
  var held: SequenceNumber
  /// Through where the leader was told that this member is with it.
  var acknowledged: SequenceNumber = .zero
  /// From where the leader was asked to go on, until something was taken.
  var refusedEnd: SequenceNumber?
  /// The leader's last message is not answered yet.
  var owesAnswer = false
  /// Entries were refused for want of room.
  var wantsMore = false
  /// The term in which the operator was told that the leader's clock is not this one's.
  var clockReportedIn: View?
  var heardLeaderAt: Tick?
  /// When it stands for election, if it hears nothing.
  var electionAt: Tick?
  var stateDeadline: Timestamp = .never
  /// The cut from which the configuration goes on.
  let startCut: Cut
  /// The configuration's last sequence number, once that is known: entries above are void.
  public internal(set) var closing: SequenceNumber?
  var frozen: Set<Int> = []

  /// A member that goes on from what it had stored. Feed it `.timerFired` once to start.
  public init(
    configuration: Configuration, limits: LedgerLimits, index: ReplicaIndex, parameters: Parameters, seed: UInt64,
    restoring state: OrderingState
  ) {
    precondition(configuration.isVoter(index), "replica \(index) does not vote")
    (self.configuration, self.limits) = (configuration, limits)
    (self.index, self.parameters) = (index, parameters)
    self.random = SeededGenerator(seed: seed)
    (self.view, self.vote) = (state.view, state.vote)
    self.lastDecision = state.lastDecision
    self.executed = state.lastDecision?.sequence ?? .zero
    self.verified = self.executed
    self.held = self.executed
    self.startCut = state.startCut ?? .genesis(lanes: configuration.laneCount)
    self.closing = state.last
    let decisions = (state.recentDecisions + [state.lastDecision].compactMap(\.self) + state.laterDecisions)
      .filter { $0.configuration == configuration.number }
    // Terms start anew with each configuration: what went before has none.
    let start = LogPosition(term: View(0), sequence: configuration.start.previous)
    let first = decisions.first.map { LogPosition(term: $0.view, sequence: $0.sequence) } ?? start
    self.log = RaftLog(base: first.sequence == configuration.start ? start : first)
    self.restoreLog(decisions, state)
  }

  private mutating func restoreLog(_ decisions: [Decision], _ state: OrderingState) {
    for decision in decisions where decision.sequence == self.log.end.next {
      self.log.append(RaftEntry(configuration: decision.configuration, term: decision.view, cut: decision.cut))
    }
    // Entries that were replaced may still stand above those that replaced them: their terms are lower.
    for stored in state.entries where stored.sequence > self.executed {
      let (sequence, entry) = (stored.sequence, stored.entry)
      if let decided = self.log[sequence], decided.term >= entry.term { continue }
      guard sequence <= self.log.end.next, entry.term >= self.log.term(at: sequence.previous) ?? View(0),
        self.isInShape(entry)
      else { break }
      self.log.truncate(from: sequence)
      self.log.append(entry)
    }
  }

  /// Takes one input; appends effects in the order in which they must happen.
  public mutating func step(
    _ input: OrderingInput, at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) -> Outcome {
    let outcome: Outcome
    switch input {
    case .raft(let message, let peer):
      guard peer != self.index, self.configuration.isVoter(peer) else { return .rejected(.malformed) }
      outcome = self.take(message, from: peer, at: now, lanes: lanes, into: &effects)
    case .leaderDecisions(let decisions, let peer):
      outcome = self.take(decisions, from: peer, at: now, into: &effects)
    case .durable(let mark): outcome = self.take(mark, at: now, into: &effects)
    case .connected(let peer):
      outcome = .accepted
      guard case .leader(var leadership) = self.role else { break }
      // What was on its way is lost with the connection.
      if let match = leadership.followers[peer]?.match { leadership.followers[peer]?.next = match.next }
      self.role = .leader(leadership)
      self.replicate(to: peer, isHeartbeat: true, into: &effects)
    case .lanesAdvanced: outcome = .accepted
    case .executed(let sequence, let deadline):
      self.executed = max(self.executed, sequence)
      self.stateDeadline = deadline
      outcome = .accepted
      self.askForMore(into: &effects)
    case .laneForked(let lane, _):
      outcome = self.frozen.insert(lane).inserted ? .accepted : .ignored(.duplicate)
    case .closes(let last):
      self.closing = last
      outcome = .accepted
    case .timerFired: outcome = self.fireTimers(at: now, into: &effects)
    case .stepDownRequested: outcome = self.handOver(at: now, into: &effects)
    case .status: return .ignored(.idle)
    case .message: return .rejected(.otherEngine)
    }
    self.advance(at: now, lanes: lanes, into: &effects)
    return outcome
  }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick? {
    guard case .leader(let leadership) = self.role else { return self.electionAt ?? .zero }
    let next = min(leadership.nextHeartbeat, leadership.nextQuorumCheck)
    return leadership.transfer.map { min(next, $0.until) } ?? next
  }

  /// Who leads its term, as far as it knows.
  public var leader: ReplicaIndex? {
    switch self.role {
    case .follower(let leader): leader
    case .leader: self.index
    case .preCandidate, .candidate: nil
    }
  }
  /// The last sequence number decided without a gap.
  public var decided: SequenceNumber { self.lastDecision?.sequence ?? .zero }
  /// The last decided cut.
  public var decidedCut: Cut {
    guard self.decided >= self.configuration.start, let decision = self.lastDecision else { return self.startCut }
    return decision.cut
  }
  /// Where it stands: for members of earlier configurations, and for those that only follow.
  public var status: Status {
    Status(
      configuration: self.configuration.number, view: self.view, isChanging: false, viewChanges: ReplicaSet(),
      decided: self.decided, slots: [])
  }
  /// Whether an entry belongs to this configuration and has a head for each of its lanes.
  func isInShape(_ entry: RaftEntry) -> Bool {
    entry.configuration == self.configuration.number && entry.cut.heads.count == self.configuration.laneCount
  }
  /// How many entries are not decided.
  public var openCount: Int { Int(self.log.end.number - min(self.decided.number, self.log.end.number)) }
  /// Where its log ends.
  public var last: LogPosition { self.log.last }

  /// A follower takes entries through here: what it can execute soon.
  var windowEnd: SequenceNumber { SequenceNumber(self.executed.number + 2 * self.limits.pipelineMax) }

  /// What must hold between steps and does not, in words; for the simulator and tests.
  public var invariantBreach: String? {
    if self.log.end < self.decided { return "Raft: the log ends at \(self.log.end), \(self.decided) is decided" }
    if self.log.base.sequence > self.decided { return "Raft: the log begins above \(self.decided)" }
    if self.verified > self.log.end { return "Raft: verified \(self.verified) beyond the log's end \(self.log.end)" }
    return self.executed > self.decided ? "executed \(self.executed), decided \(self.decided)" : nil
  }
}
