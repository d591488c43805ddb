public import Messages
public import Ordering
public import PBFT
public import Primitives
public import Raft

/// The ordering engine that the genesis names: one of two machines behind one interface (LEDGER §3, §4).
public enum Engine: OrderingMachine, Hashable {
  /// Byzantine faults.
  case pbft(Replica)
  /// Crashes only.
  case raft(RaftReplica)
  /// Of a node that does not vote.
  case follower(Follower)

  private var machine: any OrderingMachine {
    switch self {
    case .pbft(let replica): replica
    case .raft(let replica): replica
    case .follower(let follower): follower
    }
  }

  /// The replica of PBFT; nil with the other engine.
  public var pbft: Replica? { if case .pbft(let replica) = self { replica } else { nil } }
  /// The member of Raft; nil with the other engine.
  public var raft: RaftReplica? { if case .raft(let replica) = self { replica } else { nil } }

  /// Takes one input; appends effects in the order in which they must happen.
  public mutating func step(
    _ input: OrderingInput, at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) -> Disposition<OrderingReason> {
    // Each is taken out while it steps, so that it is not copied.
    switch consume self {
    case .pbft(var replica):
      let outcome = replica.step(input, at: now, lanes: lanes, into: &effects)
      self = .pbft(replica)
      return outcome
    case .raft(var replica):
      let outcome = replica.step(input, at: now, lanes: lanes, into: &effects)
      self = .raft(replica)
      return outcome
    case .follower(var follower):
      let outcome = follower.step(input, at: now, lanes: lanes, into: &effects)
      self = .follower(follower)
      return outcome
    }
  }

  /// What a vote or view message would be here, told by its head; nil where that is not known.
  func use(of head: OrderingHead) -> OrderingUse? {
    switch self {
    case .pbft(let replica): replica.use(of: head)
    case .raft, .follower: nil
    }
  }
  /// The last sequence number of which a decision is taken now; nil for any.
  var windowEnd: SequenceNumber? {
    switch self {
    case .pbft(let replica): replica.windowEnd
    case .raft, .follower: nil
    }
  }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick? {
    switch self {
    case .pbft(let replica): replica.deadline
    case .raft(let replica): replica.deadline
    case .follower(let follower): follower.deadline
    }
  }
  /// The view, or the term.
  public var view: View { self.machine.view }
  /// Who leads it, as far as this member knows; nil while nobody does.
  public var leader: ReplicaIndex? { self.machine.leader }
  /// Whether it votes now: it follows or leads an open view, or a term whose leader it knows.
  public var isVoting: Bool {
    switch self {
    case .pbft(let replica): replica.isVoting
    case .raft(let replica): replica.leader != nil
    case .follower: false
    }
  }
  /// How far the members are, where it only follows them and has heard enough of them.
  public var known: SequenceNumber? { if case .follower(let follower) = self { follower.known } else { nil } }
  /// The last sequence number decided without a gap.
  public var decided: SequenceNumber { self.machine.decided }
  /// The last decided cut.
  public var decidedCut: Cut { self.machine.decidedCut }
  /// How many sequence numbers are open.
  public var openCount: Int { self.machine.openCount }
  /// Where it stands, for a member that asks.
  public var status: Status { self.machine.status }
  /// What must hold between steps and does not, in words.
  public var invariantBreach: String? { self.machine.invariantBreach }
}
