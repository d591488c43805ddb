public import Messages
public import Primitives

/// When a step happens: on the node's monotonic clock, and on its wall clock, which cuts state.
public struct Moment: Sendable, Hashable {
  /// The monotonic clock.
  public var tick: Tick
  /// The wall clock, in ledger time.
  public var wall: Timestamp
  /// Both clocks.
  public init(tick: Tick, wall: Timestamp) { (self.tick, self.wall) = (tick, wall) }
}

/// How one lane head relates to another.
public enum LaneExtension: Sendable, Hashable {
  /// It is reached along parent digests, by so much.
  case extends(transactions: UInt64, bytes: UInt64)
  /// Blocks between them are not held durably yet.
  case missing
  /// It is not on the chain of the other, or behind it.
  case contradicts
}

/// What the ordering engine reads of the lanes. Synchronous and deterministic.
public protocol LaneReader {
  /// The head that this node holds durably and without a gap, and may propose.
  func proposable(lane: Int) -> LaneHead
  /// The position that a quorum, this node included, announced.
  func orderable(lane: Int) -> LanePosition
  /// How `head` extends `base` in a lane.
  func extent(lane: Int, from base: LaneHead, to head: LaneHead) -> LaneExtension
  /// The farthest proposable head beyond `base` that adds at most so much; `base` where nothing fits.
  func growth(
    lane: Int, from base: LaneHead, within room: LaneRoom
  ) -> (head: LaneHead, transactions: UInt64, bytes: UInt64)
}

/// How much a lane may grow by.
public struct LaneRoom: Sendable, Hashable {
  /// The most transactions.
  public var transactions: UInt64
  /// The most bytes of transactions.
  public var bytes: UInt64
  /// The most blocks.
  public var blocks: UInt64

  /// So much room.
  public init(transactions: UInt64, bytes: UInt64, blocks: UInt64) {
    (self.transactions, self.bytes, self.blocks) = (transactions, bytes, blocks)
  }
}

/// What a replica asks the driver to sign.
public enum Ballotable: Sendable, Hashable {
  /// A proposal: stored before it leaves.
  case prePrepare(PrePrepare)
  /// A vote.
  case prepare(Prepare)
  /// A vote.
  case commit(Commit)
  /// A view change.
  case viewChange(ViewChange)
  /// A new view, whose pre-prepares are signed one by one: stored before it leaves.
  case newView(view: View, viewChanges: [Signed<ViewChange>], prePrepares: [PrePrepare])
}

/// What an ordering engine stores, each under a key of its own kind.
public enum OrderingWrite: Sendable, Hashable {
  /// A configuration's view, and whether its NewView is still awaited.
  case view(ConfigurationNumber, View, isChanging: Bool)
  /// An accepted proposal, under its sequence number.
  case prePrepare(Signed<PrePrepare>)
  /// A prepared certificate, under its sequence number.
  case prepared(PreparedCertificate)
  /// The latest new view.
  case newView(Signed<NewView>)
  /// A decision; what was stored for its sequence number otherwise may go once it is old.
  case decision(Decision)
  /// Proof that a member contradicted itself; of each member, configuration and kind one is kept.
  case evidence(VoteEvidence)
  /// Raft: a configuration's term, and whom this member gave its vote in it.
  case term(ConfigurationNumber, View, vote: ReplicaIndex?)
  /// Raft: an entry of the log, under its sequence number, in place of what was there and of all above.
  case entry(SequenceNumber, RaftEntry)
}

/// How far a Raft member's own writes have come; it counts itself only when they are durable.
public struct RaftMark: Sendable, Hashable {
  /// The configuration in which they were made.
  public let configuration: ConfigurationNumber
  /// The term in which they were made.
  public let term: View
  /// The end of the log; nil where the write was the vote for itself.
  public let end: SequenceNumber?
  /// A mark of given parts.
  public init(configuration: ConfigurationNumber, term: View, end: SequenceNumber?) {
    (self.configuration, self.term, self.end) = (configuration, term, end)
  }
}

/// What an ordering engine wants done, in this order.
public enum OrderingEffect: Sendable, Hashable {
  /// Make durable.
  case persist(OrderingWrite)
  /// Sign; when all persists before it are durable, send to all members and hand back as a verified input.
  case cast(Ballotable)
  /// Send to one member.
  case send(to: ReplicaIndex, OrderingMessage)
  /// Send to one member.
  case sendRaft(to: ReplicaIndex, RaftMessage)
  /// Hand back when all persists before it are durable.
  case mark(RaftMark)
  /// Send this replica's status to one member, or to all.
  case sendStatus(to: ReplicaIndex?, Status)
  /// Read decisions from storage and send them to a member.
  case sendDecisions(to: ReplicaIndex, from: SequenceNumber, through: SequenceNumber)
  /// Get the blocks up to this head: something waits for them.
  case fetch(lane: Int, LaneHead)
  /// Execute: decisions come in sequence order, each once.
  case deliver(Decision)
  /// Tell the operator.
  case report(OrderingEvent)
}

/// What an operator wants to know of an engine.
public enum OrderingEvent: Sendable, Hashable {
  /// It asks for another view.
  case viewChangeStarted(View, reason: ViewChangeReason)
  /// It entered a view.
  case viewEntered(View)
  /// Somebody signed two things that contradict.
  case equivocation(ReplicaIndex, what: String)
  /// It refuses a leader's cut: by so much is the cut's time ahead of this clock.
  case clockRefused(ReplicaIndex, aheadMilliseconds: Int64)
  /// Raft: a leader steps down because too few members take its time; by so much it is ahead of theirs.
  case clockDisowned(aheadMilliseconds: Int64)
  /// It asks for a view alone, and f + 1 members go on in another: it votes for nothing meanwhile.
  case notVoting(View, others: View)
}

/// Why a replica leaves a view.
public enum ViewChangeReason: String, Sendable, Hashable {
  /// Something orderable was not executed in time.
  case noProgress = "no progress"
  /// The primary left out a lane, or serves it too slowly.
  case laneOmitted = "lane omitted"
  /// f + 1 others left.
  case othersLeft = "others left"
  /// The new primary did not open its view in time.
  case newViewLate = "new view late"
  /// The operator asked for it.
  case requested = "requested"
  /// A member that was away asks for the next view alone, and votes again only there.
  case memberReturns = "a member returns"
  /// Raft: no leader was heard for an election timeout.
  case leaderSilent = "leader silent"
}

/// An entry of a Raft log where it is stored.
public struct StoredEntry: Sendable, Hashable {
  /// Its place.
  public let sequence: SequenceNumber
  /// The entry.
  public let entry: RaftEntry
  /// An entry at a place.
  public init(_ sequence: SequenceNumber, _ entry: RaftEntry) { (self.sequence, self.entry) = (sequence, entry) }
}

/// What an engine had stored in a configuration before the node stopped.
public struct OrderingState: Sendable, Hashable {
  /// The view.
  public var view = View(0)
  /// Whether its NewView was still awaited.
  public var isChanging = false
  /// The last decision without a gap, be it of the configuration before; nil before the first.
  public var lastDecision: Decision?
  /// Up to `pipelineMax` decisions before it.
  public var recentDecisions: [Decision] = []
  /// Decisions above it.
  public var laterDecisions: [Decision] = []
  /// Accepted proposals above it.
  public var prePrepares: [Signed<PrePrepare>] = []
  /// Prepared certificates above it.
  public var prepared: [PreparedCertificate] = []
  /// The latest new view.
  public var newView: Signed<NewView>?
  /// Raft: whom this member gave its vote in the term, which is `view`.
  public var vote: ReplicaIndex?
  /// Raft: the log above the last decision, by sequence number. A stale tail shows itself: its terms are lower.
  public var entries: [StoredEntry] = []
  /// The cut from which the configuration goes on, with a head for each of its lanes; nil for the genesis.
  public var startCut: Cut?
  /// The configuration's last sequence number, where that is known.
  public var last: SequenceNumber?
  /// Nothing stored.
  public init() {}
}

extension OrderingState {
  /// Leaves what counts in a configuration: of another one's votes, views and entries nothing does (LEDGER §8).
  /// `viewOf` is the configuration of the stored view or term; `start` the decision before the configuration began.
  public mutating func keep(only configuration: Configuration, viewOf stored: ConfigurationNumber, start: Decision?) {
    let number = configuration.number
    if stored != number { (self.view, self.isChanging, self.vote) = (View(0), false, nil) }
    if self.newView?.content.configuration != number { self.newView = nil }
    self.recentDecisions.removeAll { $0.configuration != number }
    self.laterDecisions.removeAll { $0.configuration != number }
    self.prePrepares.removeAll { $0.content.configuration != number }
    self.prepared.removeAll { $0.prePrepare.content.configuration != number }
    self.entries.removeAll { $0.entry.configuration != number }
    // Below a snapshot that the ledger went on from there may be a gap: what lies under it is of no use.
    var next = self.lastDecision?.sequence
    self.recentDecisions = self.recentDecisions.reversed().prefix { decision in
      defer { next = decision.sequence }
      return decision.sequence.next == next
    }.reversed()
    self.startCut = start?.cut.among(lanes: configuration.laneCount)
  }
}
