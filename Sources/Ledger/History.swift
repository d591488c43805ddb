internal import Rules
internal import Merkle
public import Messages
public import Primitives
public import Wire

/// One executed cut as it is handed to whoever began with a snapshot above it.
public struct HistoryItem: Sendable, Hashable {
  /// What executing it left behind.
  public let record: ExecutionRecord
  /// The decision.
  public let decision: Decision
  /// The executed blocks, in the record's order.
  public let blocks: [Block]

  /// An item of given parts.
  public init(_ record: ExecutionRecord, decision: Decision, blocks: [Block]) {
    (self.record, self.decision, self.blocks) = (record, decision, blocks)
  }

  /// Whether a quorum decided it and its blocks are signed as they say, by the keys of the time; `configurations` are
  /// all that there were, by number. What is kept is passed on, and must be believed there too.
  public func isAuthentic(_ genesis: Genesis, among configurations: [Configuration]) -> Bool {
    let number = Int(self.decision.configuration.number)
    guard number < configurations.count, configurations[number].start <= self.decision.sequence,
      number + 1 == configurations.count || self.decision.sequence < configurations[number + 1].start,
      self.decision.isAuthentic(network: genesis.network, in: configurations[number])
    else { return false }
    if planted(.historyUnsigned) { return true }
    return self.blocks.allSatisfy {
      (try? Block.verify($0, network: genesis.network, in: configurations[number], limits: genesis.limits)) != nil
    }
  }
}

extension HistoryItem: WireCodable {
  /// Record, decision, blocks.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.record)
    encoder.item(self.decision)
    encoder.longList(self.blocks)
  }
  /// Reads an item.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.record = try ExecutionRecord(from: &decoder)
    self.decision = try Decision(from: &decoder)
    self.blocks = try decoder.longList(itemBytesMin: BlockHeader.lengthBytes, "blocks")
  }
}

/// What a ledger that began with a snapshot lacks below it: filled from its upper end down, each block by the digest
/// that the one above names, each entry by the log's tiles (LEDGER §7). So every member comes to keep all, and none is
/// the last to have it.
public struct HistoryGap: Sendable, Hashable {
  /// What was executed through here is kept.
  public let low: SequenceNumber
  /// The highest sequence number that is missing.
  public private(set) var next: SequenceNumber
  /// The heads of the lanes after it.
  public private(set) var heads: [LaneHead]
  /// The log's size after it.
  public private(set) var size: UInt64

  /// The gap between what was executed through `low` and a snapshot.
  public init(above low: SequenceNumber, below point: SnapshotPoint) {
    self.init(
      above: low, next: point.position.sequence, heads: point.cut.heads, size: point.position.log.size)
  }

  /// A gap above `low` whose upper end is at a sequence number, after which lanes and log stand so.
  public init(above low: SequenceNumber, next: SequenceNumber, heads: [LaneHead], size: UInt64) {
    (self.low, self.next, self.heads, self.size) = (low, next, heads, size)
  }

  /// How many sequence numbers are missing.
  public var count: UInt64 { self.next.number - min(self.low.number, self.next.number) }

  /// Takes the highest missing item, if it is what stood there; `tiles` are the log's, which the snapshot brought.
  public mutating func take(_ item: HistoryItem, tiles: some LogTiles) -> Bool {
    let (record, decision) = (item.record, item.decision)
    guard self.count > 0, record.sequence == self.next, decision.sequence == self.next,
      decision.cut.heads.count <= self.heads.count, decision.cut.among(lanes: self.heads.count).heads == self.heads,
      decision.cut.time == record.time, record.blocks.count == item.blocks.count,
      let heads = self.heads(below: item), self.isInLog(item, tiles: tiles)
    else { return false }
    (self.next, self.heads, self.size) = (self.next.previous, heads, record.firstLeaf)
    return true
  }

  /// The lanes' heads below an item's blocks; nil where these do not lead to the heads after it.
  private func heads(below item: HistoryItem) -> [LaneHead]? {
    var heads = self.heads
    for (place, block) in zip(item.record.blocks, item.blocks).reversed() {
      guard heads.indices.contains(place.lane), block.head == place.head, heads[place.lane] == block.head,
        block.header.position > .zero
      else { return nil }
      heads[place.lane] = block.header.before
    }
    return heads
  }

  private func isInLog(_ item: HistoryItem, tiles: some LogTiles) -> Bool {
    if planted(.historyOutsideLog) { return true }
    let (record, width) = (item.record, UInt64(LogTile.width))
    guard record.firstLeaf <= self.size, self.size - record.firstLeaf == UInt64(record.outcomes.count) else {
      return false
    }
    var leaf = record.firstLeaf
    var tile: [Digest] = []
    for block in item.blocks {
      guard let transactions = try? block.transactions() else { return false }
      for transaction in transactions {
        guard leaf < self.size else { return false }
        if tile.isEmpty || leaf % width == 0 { tile = tiles.tile(level: 0, index: leaf / width) ?? [] }
        let entry = LogEntry(
          sequence: record.sequence, time: record.time,
          outcome: OutcomeCode(record.outcomes[Int(leaf - record.firstLeaf)]), transaction: transaction)
        guard tile.indices.contains(Int(leaf % width)), tile[Int(leaf % width)] == entry.leaf else { return false }
        leaf += 1
      }
    }
    return leaf == self.size
  }
}

extension HistoryGap: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.low)
    encoder.item(self.next)
    encoder.list(self.heads)
    encoder.u64(self.size)
  }
  /// Reads a gap.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.low = try SequenceNumber(from: &decoder)
    self.next = try SequenceNumber(from: &decoder)
    self.heads = try decoder.list(max: ReplicaSet.countMax, "heads")
    self.size = try decoder.u64()
  }
}

extension [HistoryGap] {
  /// What of some items fills the highest gap, from its upper end down, and the gaps that are left then.
  public func filled(
    by items: [HistoryItem], tiles: some LogTiles, isAuthentic: (HistoryItem) -> Bool
  ) -> (kept: [HistoryItem], gaps: [HistoryGap]) {
    guard var gap = self.last else { return ([], self) }
    var kept: [HistoryItem] = []
    for item in items where isAuthentic(item) && gap.take(item, tiles: tiles) { kept.append(item) }
    return (kept, self.dropLast() + (gap.count > 0 ? [gap] : []))
  }
}
