public import Messages
public import Primitives
internal import Signing
public import Wire

/// Where a snapshot is taken: right after a cut was executed (LEDGER §7).
public struct SnapshotPoint: Sendable, Hashable {
  /// The configuration that ordered the cut.
  public let configuration: ConfigurationNumber
  /// The cut from which that configuration went on.
  public let startCut: Cut
  /// Where execution stands.
  public let position: LedgerPosition
  /// The executed cut.
  public let cut: Cut

  /// A point of given parts.
  public init(configuration: ConfigurationNumber, startCut: Cut, position: LedgerPosition, cut: Cut) {
    (self.configuration, self.startCut) = (configuration, startCut)
    (self.position, self.cut) = (position, cut)
  }
}

extension SnapshotPoint: WireCodable {
  /// Configuration, first cut, position, cut.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.item(self.startCut)
    encoder.item(self.position)
    encoder.item(self.cut)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.startCut = try Cut(from: &decoder)
    self.position = try LedgerPosition(from: &decoder)
    self.cut = try Cut(from: &decoder)
  }
}

/// What a snapshot consists of, by digests: equal on all correct members, and what they sign.
public struct SnapshotManifest: Sendable, Hashable {
  /// The most chunks of a snapshot.
  public static let chunksMax = 1 << 16
  /// Where it was taken.
  public let point: SnapshotPoint
  /// The digest of each chunk, in order.
  public let chunks: [Digest]

  /// A manifest of given parts.
  public init(_ point: SnapshotPoint, chunks: [Digest]) { (self.point, self.chunks) = (point, chunks) }

  /// What members sign and chunks are asked for by.
  public var digest: Digest { Hash.blake2b("consilium/snapshot-manifest/v1", self.encoded) }
  /// The sequence number up to which all is in it.
  public var sequence: SequenceNumber { self.point.position.sequence }
  /// The digest of a chunk's bytes.
  public static func digest(of chunk: [UInt8]) -> Digest { Hash.blake2b("consilium/snapshot-chunk/v1", chunk) }
}

extension SnapshotManifest: WireCodable {
  /// Point, chunks as count (u32) and digests.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.point)
    encoder.u32(UInt32(self.chunks.count))
    for chunk in self.chunks { encoder.digest(chunk) }
  }
  /// Reads a manifest of at most `chunksMax` chunks.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.point = try SnapshotPoint(from: &decoder)
    let start = decoder.offset
    let count = Int(try decoder.u32())
    guard count <= Self.chunksMax else {
      throw .overMax(at: start, field: "chunks", value: UInt64(count), max: UInt64(Self.chunksMax))
    }
    var chunks: [Digest] = []
    for _ in 0..<count { chunks.append(try decoder.digest()) }
    self.chunks = chunks
  }
}

/// One pair of a snapshot. Pairs come in the order of their parts and keys, so that all members cut the same chunks.
public struct SnapshotPair: Sendable, Hashable {
  /// What a pair is part of.
  public enum Part: UInt8, Sendable, Hashable, CaseIterable {
    /// The state.
    case state = 1
    /// ⚑ Identifiers of executed transactions inside their life, without which one would be executed twice (LEDGER
    /// §10.12): by identifier, the end of its life (u64) and its place in the log (u64).
    case identifiers = 2
    /// The log's tiles: by level (u8) and index (u64, big-endian), the hashes.
    case tiles = 3
    /// Log entries that prove configurations to outsiders: by place in the log (u64, big-endian), the entry.
    case entries = 4
  }

  /// The longest key.
  public static let keyBytesMax = 511
  /// What it is part of.
  public let part: Part
  /// Its key.
  public let key: [UInt8]
  /// Its value.
  public let value: [UInt8]

  /// A pair of given parts.
  public init(_ part: Part, key: [UInt8], value: [UInt8]) { (self.part, self.key, self.value) = (part, key, value) }

  /// The pair of an executed transaction's identifier.
  public init(_ identifier: ExecutedIdentifier) {
    var encoder = Encoder(capacity: 16)
    encoder.item(identifier.validUntil)
    encoder.u64(identifier.leaf)
    self.init(.identifiers, key: identifier.identifier.bytes, value: encoder.bytes)
  }

  /// The identifier that a pair holds; nil where it holds none.
  public var identifier: ExecutedIdentifier? {
    guard self.part == .identifiers, let identifier = Digest(self.key) else { return nil }
    var decoder = Decoder(self.value)
    guard let validUntil = try? Timestamp(from: &decoder), let leaf = try? decoder.u64() else { return nil }
    return ExecutedIdentifier(identifier: identifier, validUntil: validUntil, leaf: leaf)
  }

  /// The pair of a log entry that proves a configuration.
  public init(entry: [UInt8], at leaf: UInt64) { self.init(.entries, key: leaf.bigEndianBytes, value: entry) }

  /// The place of the log entry that a pair holds; nil where it holds none.
  public var leaf: UInt64? { self.part == .entries ? UInt64(bigEndianBytes: self.key) : nil }

  /// The pair of a tile.
  public init(_ tile: LogTile) {
    var encoder = Encoder(capacity: tile.hashes.count * 32)
    for hash in tile.hashes { encoder.digest(hash) }
    self.init(.tiles, key: LogTile.key(level: tile.level, index: tile.index), value: encoder.bytes)
  }

  /// The tile that a pair holds; nil where it holds none.
  public var tile: LogTile? {
    guard self.part == .tiles, self.key.count == 9 else { return nil }
    return LogTile(
      level: Int(self.key[0]), index: UInt64(bigEndianBytes: self.key[1...]), encoded: self.value)
  }
}

extension SnapshotPair: WireCodable {
  /// Part (u8), key and value (blobs).
  public func encode(into encoder: inout Encoder) {
    encoder.u8(self.part.rawValue)
    encoder.blob(self.key)
    encoder.blob(self.value)
  }
  /// Reads a pair.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    guard let part = Part(rawValue: try decoder.u8()) else { throw .invalid(at: start, field: "snapshot part") }
    self.part = part
    self.key = try decoder.blob(max: Self.keyBytesMax, "key")
    self.value = try decoder.blob(max: decoder.remaining, "value")
  }
}

/// Cuts a snapshot's pairs into chunks.
public struct SnapshotWriter {
  /// The size at which members end a chunk: a pair more would pass it.
  public static let chunkBytesMax = 256 << 10

  private let point: SnapshotPoint
  private let chunkBytesMax: Int
  private var open = Encoder()
  private var digests: [Digest] = []
  private let chunk: (Int, [UInt8]) throws -> Void

  /// A writer for a point; `chunk` takes each chunk with its number.
  public init(
    _ point: SnapshotPoint, chunkBytesMax: Int = Self.chunkBytesMax, chunk: @escaping (Int, [UInt8]) throws -> Void
  ) {
    (self.point, self.chunkBytesMax, self.chunk) = (point, chunkBytesMax, chunk)
  }

  /// Adds the next pair.
  public mutating func add(_ pair: SnapshotPair) throws {
    let bytes = pair.encoded
    if !self.open.bytes.isEmpty, self.open.bytes.count + bytes.count > self.chunkBytesMax { try self.flush() }
    self.open.raw(bytes)
  }

  private mutating func flush() throws {
    let bytes = self.open.bytes
    self.open = Encoder()
    try self.chunk(self.digests.count, bytes)
    self.digests.append(SnapshotManifest.digest(of: bytes))
  }

  /// Ends the last chunk; nil where there are too many.
  public mutating func finish() throws -> SnapshotManifest? {
    if !self.open.bytes.isEmpty { try self.flush() }
    return self.digests.count <= SnapshotManifest.chunksMax ? SnapshotManifest(self.point, chunks: self.digests) : nil
  }

  /// The pairs of a chunk.
  ///
  /// - Throws: `WireError` where the bytes are none.
  public static func pairs(of chunk: [UInt8]) throws(WireError) -> [SnapshotPair] {
    var decoder = Decoder(chunk)
    var out: [SnapshotPair] = []
    while decoder.remaining > 0 { out.append(try SnapshotPair(from: &decoder)) }
    return planted(.snapshotForgetsIdentifiers) ? out.filter { $0.part != .identifiers } : out
  }
}

/// A manifest with what makes it believable and of use: the decision at its sequence number, and the changes of members
/// from the genesis on, each proved.
public struct SnapshotBundle: Sendable, Hashable {
  /// The most changes of members.
  public static let linksMax = 4096
  /// The manifest.
  public let manifest: SnapshotManifest
  /// The decision at its sequence number: what ordering goes on from.
  public let decision: Decision
  /// The changes of members.
  public let links: [LogProof]

  /// A bundle of given parts.
  public init(_ manifest: SnapshotManifest, decision: Decision, links: [LogProof]) {
    (self.manifest, self.decision, self.links) = (manifest, decision, links)
  }

  /// The configurations that the bundle proves, where everything in it holds that can be checked without the members'
  /// words; `isDecided` judges the decision in the configuration that made it.
  ///
  /// - Throws: `ProofFault` at the first thing that does not hold.
  public func verify(
    from genesis: Genesis, isDecided: (Decision, Configuration) -> Bool
  ) throws(ProofFault) -> ConfigurationChain {
    var chain = ConfigurationChain(genesis)
    try chain.extend(by: self.links)
    let point = self.manifest.point
    guard let configuration = chain[point.configuration] else { throw .configuration(point.configuration) }
    guard self.decision.configuration == point.configuration, self.decision.sequence == point.position.sequence,
      self.decision.cut == point.cut, point.cut.heads.count == configuration.laneCount,
      point.startCut.heads.count == configuration.laneCount, isDecided(self.decision, configuration)
    else { throw .decision }
    return chain
  }
}

extension SnapshotBundle: WireCodable {
  /// Manifest, decision, links.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.manifest)
    encoder.item(self.decision)
    encoder.list(self.links)
  }
  /// Reads a bundle.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.manifest = try SnapshotManifest(from: &decoder)
    self.decision = try Decision(from: &decoder)
    self.links = try decoder.list(max: Self.linksMax, "changes of members")
  }
}
