public import Custody
public import Ledger
public import Messages
public import Ordering
public import Primitives
public import Sessions
public import Signing

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
  /// What was executed below the snapshot that the ledger began with, and the gaps that are left, the highest last.
  case history([HistoryItem], [HistoryGap])
  /// ⚑ A quorum said that it holds nothing of this key's lane that is not here: from now on the key takes part, after a
  /// restart too (LEDGER §11.14).
  case heard(PublicKey)
  /// Take a snapshot of the ledger as it is after everything before this; the manifest comes back as `.snapshotMade`.
  case snapshot(SnapshotPoint)
}

/// What a node asks its driver to sign.
public enum Signable: Sendable {
  /// A block of its own lane, with the member key.
  case block(BlockHeader, body: [UInt8])
  /// A vote or view message, with the member key.
  case ballot(Ballotable)
  /// A tree head, with the checkpoint key.
  case checkpoint(CheckpointBody)
  /// This member's word for a snapshot, with the checkpoint key: sequence number, manifest.
  case snapshot(SequenceNumber, Digest, ConfigurationNumber)
}

/// What this node made itself, and counts as it counts others' only when it is durable (⚑).
public enum OwnItem: Sendable {
  /// A block.
  case block(Block)
  /// A vote or view message.
  case ordering(OrderingMessage)
  /// A tree head's signatures.
  case cosignature(Cosignature)
  /// Its word for a snapshot.
  case offer(SnapshotOffer)
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
  /// Read a snapshot's manifest, with what proves it, and send it to a peer.
  case serveManifest(to: ReplicaIndex, Digest)
  /// Read a chunk of a snapshot and send it to a peer.
  case serveChunk(to: ReplicaIndex, Digest, Int)
  /// Find out which chunks of a snapshot are here from an earlier try, and answer `.transferOpened`.
  case openTransfer(SnapshotManifest)
  /// Keep a chunk of the snapshot that is being fetched.
  case keepChunk(Digest, Int, [UInt8])
  /// All chunks are here: make them the ledger, keep what this member voted, and start the node anew on that.
  case adopt(SnapshotBundle)
  /// Read what was executed at a sequence number and below, and send it to a peer.
  case serveHistory(to: ReplicaIndex, SequenceNumber)
  /// Check what fills the highest gap in the history, keep what holds, and say with `.historyMissing` what is missing.
  case keepHistory([HistoryItem])
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
  /// The ledger holds, since a sequence number, proof that this member's own lane was forked.
  case ownLaneForked(SequenceNumber)
  /// A member signed another history: one of the two is wrong.
  case diverged(MemberID, SequenceNumber)
  /// So many members signed another history that this one's is wrong: the node must stop.
  case outvoted(SequenceNumber)
  /// A tree head became stable.
  case checkpointStable(SequenceNumber, size: UInt64)
  /// The node went over to a configuration, as a member or not.
  case configured(ConfigurationNumber, voters: Int, isMember: Bool)
  /// A snapshot is being fetched.
  case transferBegan(SequenceNumber, chunks: Int)
  /// A peer sent a manifest or a chunk that is not what it should be.
  case transferRefused(ReplicaIndex)
  /// An own message reached no other member.
  case unheard
  /// Another member has an own block of this position, which the store lacks: this is a copy, and must stop.
  case copied(LanePosition)
  /// A decided block's content cannot be executed: this store or a checked block is damaged.
  case executionFailed(SequenceNumber)
  /// Members adopted a version of the rules that this program does not know: nothing above a sequence number is
  /// executed.
  case rulesUnknown(UInt16, after: SequenceNumber)
}
