public import Custody
public import Ledger
public import Messages
public import Ordering
public import Primitives
public import Sessions

/// What a node stores, each under a key of its own kind.
public enum StoreWrite: Sendable {
  /// A block of any lane.
  case block(Block)
  /// What the ordering engine stores.
  case ordering(OrderingWrite)
  /// What executing one cut changed.
  case execution(ExecutionWrite)
  /// The largest tree head that this member signed, before the signature leaves.
  case signedCheckpoint(CheckpointBody)
  /// A tree head that Q members signed.
  case stableCheckpoint(StableCheckpoint)
}

/// What a node asks its driver to sign.
public enum Signable: Sendable {
  /// A block of its own lane, with the member key.
  case block(BlockHeader, body: [UInt8])
  /// A vote or view message, with the member key.
  case ballot(Ballotable)
  /// A tree head, with the checkpoint key.
  case checkpoint(CheckpointBody)
}

/// What this node made itself, and counts as it counts others' only when it is durable (⚑).
public enum OwnItem: Sendable {
  /// A block.
  case block(Block)
  /// A vote or view message.
  case ordering(OrderingMessage)
  /// A tree head's signatures.
  case cosignature(Cosignature)
  /// A Raft member's own vote or log, which nobody signs.
  case mark(RaftMark)
}

/// What a node wants done, in this order. ⚑ A `send` or `handBack` waits until every `persist` before it, of this
/// step or an earlier one, is durable; the rest happens at once.
public enum NodeEffect: Sendable {
  /// Make durable.
  case persist(StoreWrite)
  /// Send to a member.
  case send(to: ReplicaIndex, Channel, [UInt8])
  /// Give it back as `.durable`.
  case handBack(OwnItem)
  /// Sign, and give it back as `.signed` as soon as the other effects of this step are done.
  case sign(Signable)
  /// Read blocks from storage and send them to a member.
  case serveBlocks(to: ReplicaIndex, BlockRequest)
  /// Read decisions from storage and send them to a member.
  case serveDecisions(to: ReplicaIndex, from: SequenceNumber, through: SequenceNumber)
  /// A cut was executed; its writes are the state from now on.
  case executed(ExecutionWrite, [Receipt])
  /// Execution has more to do: give `.sliceDue` when the rest of this turn's work is done.
  case continueExecution
  /// Do this with the member's transport secret, and submit what is to be stated (`NodeKeys.perform`).
  case custody(CustodyJob)
  /// A member asks this hospital's services.
  case question(from: ReplicaIndex, UInt64, [UInt8])
  /// A member's services answered.
  case answer(from: ReplicaIndex, UInt64, [UInt8])
  /// From now on this configuration's members count: their keys, addresses and lanes.
  case configured(Configuration)
  /// Tell the operator.
  case report(NodeEvent)
}

/// What an operator wants to know of a node's machines.
public enum NodeEvent: Sendable, Hashable {
  /// Of the ordering engine.
  case ordering(OrderingEvent)
  /// A member forked its lane.
  case laneForked(MemberID, LanePosition)
  /// A member signed another history: one of the two is wrong.
  case diverged(MemberID, SequenceNumber)
  /// A tree head became stable.
  case checkpointStable(SequenceNumber, size: UInt64)
  /// The node went over to a configuration, as a member or not.
  case configured(ConfigurationNumber, voters: Int, isMember: Bool)
  /// An own message reached no other member.
  case unheard
  /// A decided block's content cannot be executed: this store or a checked block is damaged.
  case executionFailed(SequenceNumber)
}
