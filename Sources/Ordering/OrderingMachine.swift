public import Messages
public import Primitives
public import Signing

/// What happens to an ordering engine.
public enum OrderingInput: Sendable {
  /// A message whose signatures are checked; own ones come back once they are durable.
  case message(Verified<OrderingMessage>)
  /// Raft: what a member says in its session.
  case raft(RaftMessage, from: ReplicaIndex)
  /// Raft: decisions that a member sent, each in shape; only the leader's are believed.
  case leaderDecisions([Decision], from: ReplicaIndex)
  /// Raft: own writes are durable.
  case durable(RaftMark)
  /// A member told where it stands.
  case status(Status, from: ReplicaIndex)
  /// A member's session opened.
  case connected(ReplicaIndex)
  /// More blocks are held, or announced.
  case lanesAdvanced
  /// The ledger executed all up to here; a deadline of its state is due from this time on.
  case executed(SequenceNumber, deadline: Timestamp)
  /// The ledger holds, since sequence number `at`, proof that a lane was forked.
  case laneForked(lane: Int, at: SequenceNumber)
  /// ⚑ A configuration was opened: this one orders through here, and nothing above (LEDGER §8).
  case closes(after: SequenceNumber)
  /// A point in time that `deadline` named has come.
  case timerFired
  /// The operator wants another leader.
  case stepDownRequested
}

/// Why an input was of no use to an ordering engine, or wrong.
public enum OrderingReason: String, Sendable, Hashable {
  /// Of a view or term that was left, or that ended.
  case staleView = "stale view"
  /// Of a view that the replica is not in yet; status brings it again.
  case futureView = "future view"
  /// The sequence number is decided already.
  case settled
  /// Beyond the window; it is asked for again when there is room.
  case beyondWindow = "beyond window"
  /// It was here before.
  case duplicate
  /// The signer voted otherwise in this view: evidence.
  case equivocation
  /// The sender is not that view's primary, or not the leader.
  case notPrimary = "not the primary"
  /// Of another configuration.
  case otherConfiguration = "other configuration"
  /// The shape is wrong for this configuration.
  case malformed
  /// The cut's time is not later than the last, or too far from this clock.
  case badTime = "bad time"
  /// The cut goes back, forks or grows by too much.
  case badCut = "bad cut"
  /// The NewView does not follow from its view changes.
  case badNewView = "bad new view"
  /// It contradicts what is decided.
  case contradictsDecision = "contradicts a decision"
  /// It is a message of the other engine.
  case otherEngine = "another engine's"
  /// The entries do not follow on this log's.
  case logGap = "log gap"
  /// A leader was heard too lately to vote for another.
  case leaderAlive = "leader alive"
  /// It was asked too often lately.
  case tooOften = "too often"
  /// Nothing to do.
  case idle
}

/// An engine that orders cuts: PBFT or Raft. A value that takes inputs and returns effects (LEDGER §3, §4).
public protocol OrderingMachine: Sendable {
  /// Takes one input; appends effects in the order in which they must happen.
  mutating func step(
    _ input: OrderingInput, at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) -> Disposition<OrderingReason>
  /// The next point in time at which it wants `.timerFired`.
  var deadline: Tick? { get }
  /// The view, or the term.
  var view: View { get }
  /// Who leads it, as far as this member knows; nil while nobody does.
  var leader: ReplicaIndex? { get }
  /// The last sequence number decided without a gap.
  var decided: SequenceNumber { get }
  /// The last decided cut.
  var decidedCut: Cut { get }
  /// How many sequence numbers are open.
  var openCount: Int { get }
  /// Where it stands, for a member that asks.
  var status: Status { get }
  /// What must hold between steps and does not, in words.
  var invariantBreach: String? { get }
}
