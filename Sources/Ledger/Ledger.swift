public import Merkle
public import Messages
public import Primitives
public import Rules
public import Wire

import Signing

/// What became of one transaction, and where its proof is found.
public struct Receipt: Sendable, Hashable {
  /// The transaction.
  public let identifier: Digest
  /// Its place in the log. A duplicate is told the place of the first.
  public let leaf: UInt64
  /// The cut in which it was executed.
  public let sequence: SequenceNumber
  /// The cut's time.
  public let time: Timestamp
  /// What became of it.
  public let outcome: OutcomeCode

  /// A receipt of given parts.
  public init(identifier: Digest, leaf: UInt64, sequence: SequenceNumber, time: Timestamp, outcome: OutcomeCode) {
    (self.identifier, self.leaf, self.sequence) = (identifier, leaf, sequence)
    (self.time, self.outcome) = (time, outcome)
  }
}

/// The log's entry for one executed transaction: what a leaf hashes.
///
/// Layout: version 1 (u8), sequence number (u64), cut time (u64), outcome (u16), the transaction's bytes.
public struct LogEntry: Sendable, Hashable {
  /// The cut.
  public let sequence: SequenceNumber
  /// The cut's time.
  public let time: Timestamp
  /// What became of it.
  public let outcome: OutcomeCode
  /// The transaction.
  public let transaction: Transaction

  /// An entry of given parts.
  public init(sequence: SequenceNumber, time: Timestamp, outcome: OutcomeCode, transaction: Transaction) {
    (self.sequence, self.time, self.outcome) = (sequence, time, outcome)
    self.transaction = transaction
  }

  /// The leaf's hash.
  public var leaf: Digest { MerkleHash.leaf(self.encoded) }

  /// The leaf's hash of a transaction that is the bytes `range` of a block's body.
  static func leaf(
    sequence: SequenceNumber, time: Timestamp, outcome: OutcomeCode, in body: [UInt8], _ range: Range<Int>
  ) -> Digest {
    var head = Encoder(capacity: 20)
    head.u8(0)  // RFC 6962: a leaf, not a node.
    Self.encodeHead(sequence, time, outcome, into: &head)
    return Hash.sha256(head.bytes, body, range)
  }

  private static func encodeHead(
    _ sequence: SequenceNumber, _ time: Timestamp, _ outcome: OutcomeCode, into encoder: inout Encoder
  ) {
    encoder.u8(1)
    encoder.item(sequence)
    encoder.item(time)
    encoder.u16(outcome.number)
  }
}

extension LogEntry: WireCodable {
  /// The layout above.
  public func encode(into encoder: inout Encoder) {
    Self.encodeHead(self.sequence, self.time, self.outcome, into: &encoder)
    encoder.item(self.transaction)
  }
  /// Reads an entry.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    guard try decoder.u8() == 1 else { throw .invalid(at: start, field: "log entry version") }
    self.sequence = try SequenceNumber(from: &decoder)
    self.time = try Timestamp(from: &decoder)
    self.outcome = OutcomeCode(try decoder.u16())
    self.transaction = try Transaction(from: &decoder)
  }
}

/// What one executed cut leaves behind: enough to find and rebuild its log entries.
public struct ExecutionRecord: Sendable, Hashable {
  /// The cut.
  public let sequence: SequenceNumber
  /// Its time.
  public let time: Timestamp
  /// The log's size before it.
  public let firstLeaf: UInt64
  /// The executed blocks, in order: lane and head.
  public let blocks: [LaneAnnouncement]
  /// A code for each transaction.
  public let outcomes: [UInt16]

  /// A record of given parts.
  public init(
    sequence: SequenceNumber, time: Timestamp, firstLeaf: UInt64, blocks: [LaneAnnouncement], outcomes: [UInt16]
  ) {
    (self.sequence, self.time, self.firstLeaf) = (sequence, time, firstLeaf)
    (self.blocks, self.outcomes) = (blocks, outcomes)
  }
}

extension ExecutionRecord: WireCodable {
  /// The fields; blocks and outcomes each with a count of four bytes: a cut that a view justifies has any number.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.sequence)
    encoder.item(self.time)
    encoder.u64(self.firstLeaf)
    encoder.longList(self.blocks)
    encoder.u32(UInt32(self.outcomes.count))
    for outcome in self.outcomes { encoder.u16(outcome) }
  }
  /// Reads a record.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.sequence = try SequenceNumber(from: &decoder)
    self.time = try Timestamp(from: &decoder)
    self.firstLeaf = try decoder.u64()
    self.blocks = try decoder.longList(itemBytesMin: LaneAnnouncement.lengthBytes, "blocks")
    let start = decoder.offset
    let count = Int(try decoder.u32())
    guard count * 2 <= decoder.remaining else {
      throw .truncated(at: start, needBytes: count * 2, haveBytes: decoder.remaining)
    }
    var outcomes: [UInt16] = []
    outcomes.reserveCapacity(count)
    for _ in 0..<count { outcomes.append(try decoder.u16()) }
    self.outcomes = outcomes
  }
}

/// An identifier that may not be executed again before a time, and where it stands in the log.
public struct ExecutedIdentifier: Sendable, Hashable {
  /// The transaction.
  public let identifier: Digest
  /// Until when it would be accepted.
  public let validUntil: Timestamp
  /// Its place in the log.
  public let leaf: UInt64

  /// An identifier of given parts.
  public init(identifier: Digest, validUntil: Timestamp, leaf: UInt64) {
    (self.identifier, self.validUntil, self.leaf) = (identifier, validUntil, leaf)
  }
}

/// Everything that executing one cut changed, to be written as a whole.
public struct ExecutionWrite: Sendable, Hashable {
  /// The record.
  public let record: ExecutionRecord
  /// The cut up to which all is executed.
  public let cut: Cut
  /// The state's changes, in order.
  public let writes: [StateWrite]
  /// The identifiers that entered the window.
  public let identifiers: [ExecutedIdentifier]
  /// Tiles of the log that changed: level, index, hashes.
  public let tiles: [LogTile]
  /// The log's edge and the digests after it.
  public let position: LedgerPosition
}

/// A tile of the log, at most 256 hashes (C2SP tlog-tiles).
public struct LogTile: Sendable, Hashable {
  /// The most hashes of a tile.
  public static let width = 256
  /// The tile's level: hashes at tree level 8 · level.
  public let level: Int
  /// Its index from the left.
  public let index: UInt64
  /// The hashes, from the left.
  public let hashes: [Digest]
  /// A tile of given parts.
  public init(level: Int, index: UInt64, hashes: [Digest]) {
    (self.level, self.index, self.hashes) = (level, index, hashes)
  }

  /// A tile of its hashes' bytes; nil where they are none.
  public init?(level: Int, index: UInt64, encoded: [UInt8]) {
    var decoder = Decoder(encoded)
    var hashes: [Digest] = []
    while decoder.remaining > 0 {
      guard let hash = try? decoder.digest() else { return nil }
      hashes.append(hash)
    }
    guard hashes.count <= Self.width else { return nil }
    self.init(level: level, index: index, hashes: hashes)
  }

  /// What tiles are kept under, in the order of level and index.
  public static func key(level: Int, index: UInt64) -> [UInt8] {
    [UInt8(truncatingIfNeeded: level)] + index.bigEndianBytes
  }
}

/// Whoever keeps a log's tiles has its complete subtrees, and can prove.
public protocol LogTiles: MerkleNodes {
  /// A tile of the log, whole or open; nil where there is none.
  func tile(level: Int, index: UInt64) -> [Digest]?
}

extension LogTiles {
  /// The node; computed from the tile below it where its level is not a multiple of eight.
  public func node(level: Int, index: UInt64) -> Digest? {
    let (tileLevel, inTile) = (level / 8, level % 8)
    let first = index << UInt64(inTile)
    guard let hashes = self.tile(level: tileLevel, index: first / UInt64(LogTile.width)) else { return nil }
    let start = Int(first % UInt64(LogTile.width))
    guard start + 1 << inTile <= hashes.count else { return nil }
    var row = Array(hashes[start..<(start + 1 << inTile)])
    while row.count > 1 {
      row = stride(from: 0, to: row.count, by: 2).map { MerkleHash.node(row[$0], row[$0 + 1]) }
    }
    return row[0]
  }
}

/// Where execution stands: equal on all correct members at one sequence number.
public struct LedgerPosition: Sendable, Hashable {
  /// The last executed sequence number.
  public var sequence = SequenceNumber.zero
  /// Its time.
  public var time = Timestamp.zero
  /// The log's growing edge.
  public var log = MerkleFrontier()
  /// The digest chained over each sequence number's ordered writes.
  public var stateDigest = Digest.zero
  /// Before the first cut.
  public init() {}
}

extension LedgerPosition: WireCodable {
  /// Sequence, time, log size, peaks, digest.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.sequence)
    encoder.item(self.time)
    encoder.u64(self.log.size)
    encoder.list(self.log.peaks)
    encoder.digest(self.stateDigest)
  }
  /// Reads a position.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.sequence = try SequenceNumber(from: &decoder)
    self.time = try Timestamp(from: &decoder)
    let start = decoder.offset
    let size = try decoder.u64()
    guard let log = MerkleFrontier(size: size, peaks: try decoder.list(max: 64, "peaks")) else {
      throw .invalid(at: start, field: "log peaks")
    }
    self.log = log
    self.stateDigest = try decoder.digest()
  }
}
