public import Ledger
public import Messages
public import Ordering
public import Primitives

/// What a node had stored before it stopped: enough to go on and contradict nothing.
public struct StoredNode: Sendable {
  /// The ordering engine's, with the decision at `position` as its last.
  public var ordering = OrderingState()
  /// Where execution stands.
  public var position = LedgerPosition()
  /// The cut that is executed.
  public var cut: Cut
  /// The executed transactions inside their life.
  public var identifiers: [ExecutedIdentifier] = []
  /// The log's open tiles, by level.
  public var openTiles: [[Digest]] = []
  /// The blocks beyond the executed cut.
  public var blocks: [Block] = []
  /// The last stable checkpoint.
  public var stable: StableCheckpoint?

  /// What a new node has of a consortium with so many lanes: nothing.
  public init(lanes: Int) { self.cut = .genesis(lanes: lanes) }
}
