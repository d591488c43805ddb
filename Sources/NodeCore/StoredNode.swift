public import Ledger
public import Messages
public import Ordering
public import Primitives
public import Signing

/// What a node had stored before it stopped: enough to go on and contradict nothing.
public struct StoredNode: Sendable {
  /// The configuration that orders what comes next.
  public var configuration: Configuration
  /// The ordering engine's, with the decision at `position` as its last.
  public var ordering = OrderingState()
  /// Where execution stands.
  public var position = LedgerPosition()
  /// The cut that is executed, with a head for each lane of the configuration.
  public var cut: Cut
  /// The executed transactions inside their life.
  public var identifiers: [ExecutedIdentifier] = []
  /// The log's open tiles, by level.
  public var openTiles: [[Digest]] = []
  /// The blocks beyond the executed cut.
  public var blocks: [Block] = []
  /// The last stable checkpoint.
  public var stable: StableCheckpoint?
  /// The key of which a quorum said that nothing it signed is missing here; nil where none did yet.
  public var heard: PublicKey?

  /// The most bytes of a lane's blocks beyond the executed cut that are read back: more than the lanes hold (LEDGER
  /// §11.2). What is decided and lies beyond is pulled again.
  public static let laneBytesMax = 128 << 20

  /// What a node has of a configuration's ledger before it has stored anything: nothing.
  public init(_ configuration: Configuration) {
    (self.configuration, self.cut) = (configuration, .genesis(lanes: configuration.laneCount))
  }
}
