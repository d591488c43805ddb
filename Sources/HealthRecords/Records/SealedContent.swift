internal import Merkle
public import Primitives
internal import Signing
internal import Synchronization
public import Wire

/// What there is of a sealed record besides its ciphertext: how many chunks that has, and the key's boxes.
public struct SealedHead: Sendable, Hashable {
  /// The record.
  public let record: Digest
  /// How many chunks its ciphertext has.
  public let count: Int
  /// The key's boxes.
  public let boxes: RecordPart.Boxes

  /// A head of given parts.
  public init(record: Digest, count: Int, boxes: RecordPart.Boxes) {
    (self.record, self.count, self.boxes) = (record, count, boxes)
  }
}

extension SealedHead: WireCodable {
  /// Record, number of chunks, boxes.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.record)
    encoder.u32(UInt32(self.count))
    encoder.item(self.boxes)
  }
  /// Reads a head of a record of at most `RecordPart.chunksMax` chunks.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.record = try decoder.digest()
    let start = decoder.offset
    let (count, max) = (try decoder.u32(), UInt32(RecordPart.chunksMax))
    guard count <= max else { throw .overMax(at: start, field: "chunks", value: UInt64(count), max: UInt64(max)) }
    self.count = Int(count)
    self.boxes = try RecordPart.Boxes(from: &decoder)
  }
}

/// A sealed record, wherever it lies: in memory, in a file, in a vault. It is read part by part, so that the largest
/// takes no more memory than a part.
public protocol SealedContent: Sendable {
  /// Everything but the ciphertext.
  var head: SealedHead { get }
  /// The part that begins at a chunk: as many chunks as a message takes, at least one.
  func part(from start: Int) async throws(VaultFailure) -> RecordPart
}

extension SealedContent {
  /// Gives each part to `body`, in order.
  public func forEachPart<Failure: Error>(
    _ body: (RecordPart) async throws(Failure) -> Void, failed: (VaultFailure) -> Failure
  ) async throws(Failure) {
    var start = 0
    while start < self.head.count {
      let part: RecordPart
      do throws(VaultFailure) { part = try await self.part(from: start) } catch { throw failed(error) }
      try await body(part)
      start += max(1, part.chunks.count)
    }
  }

  /// Whether it is what was anchored: ciphertext, capsule and the patient's copy. Reads all of it.
  public func isAnchored(by anchor: RecordAnchor) async throws(VaultFailure) -> Bool {
    var check = AddressCheck()
    try await self.forEachPart({ part throws(VaultFailure) in check.take(part.chunks) }, failed: { $0 })
    return anchor.names(self.head, check)
  }

  /// All of it in memory; nil where it is larger than what is handled as a whole.
  public func whole() async throws(VaultFailure) -> SealedRecord? {
    guard self.head.count <= SealedRecord.chunksMax else { return nil }
    var chunks: [[UInt8]] = []
    try await self.forEachPart({ part throws(VaultFailure) in chunks += part.chunks }, failed: { $0 })
    return SealedRecord(record: self.head.record, chunks: chunks, boxes: self.head.boxes)
  }
}

extension SealedRecord: SealedContent {
  /// Everything but the ciphertext.
  public var head: SealedHead { SealedHead(record: self.record, count: self.chunks.count, boxes: self.boxes) }
}

/// A sealed record whose chunks lie in a spool.
public struct SpooledRecord: SealedContent {
  /// Everything but the ciphertext.
  public let head: SealedHead
  private let spool: any ChunkSpool

  /// A record whose chunks are all in a spool.
  public init(_ record: Digest, _ spool: any ChunkSpool, boxes: RecordPart.Boxes) {
    self.head = SealedHead(record: record, count: spool.count, boxes: boxes)
    self.spool = spool
  }

  /// Some of the spool's chunks.
  public func part(from start: Int) async throws(VaultFailure) -> RecordPart {
    let chunks = try self.spool.chunks(from: start, bytesMax: RecordPart.messageBytesMax)
    return RecordPart(self.head, start: start, chunks: chunks)
  }
}

/// A place for ciphertext on its way: chunks are appended, and read again. For one task at a time.
public protocol ChunkSpool: Sendable {
  /// How many chunks are in it.
  var count: Int { get }
  /// Appends chunks.
  func append(_ chunks: [[UInt8]]) throws(VaultFailure)
  /// Chunks from one on, of about so many bytes, at least one.
  func chunks(from start: Int, bytesMax: Int) throws(VaultFailure) -> [[UInt8]]
}

/// The address and the size of a ciphertext, computed while its chunks go by.
public struct AddressCheck: Sendable {
  private var log = MerkleFrontier()
  /// Bytes so far.
  public private(set) var sizeBytes: UInt64 = 0

  /// No chunk yet.
  public init() {}

  /// The next chunks.
  public mutating func take(_ chunks: [[UInt8]]) {
    for chunk in chunks {
      self.log.append(MerkleHash.leaf(chunk)) { _, _, _ in }
      self.sizeBytes += UInt64(chunk.count)
    }
  }

  /// The root of the chunks so far.
  public var address: Digest { self.log.root }
}

extension RecordPart.Boxes {
  /// What an anchor names of the copies that the patient and the hospital have of the key.
  var digestOfCopies: Digest {
    Hash.blake2b(
      "consilium/sealed-copies/v1", SealedRecord.digest(ofBox: self.patientCopy).bytes,
      SealedRecord.digest(ofBox: self.hospitalCopy).bytes)
  }
}

extension RecordAnchor {
  /// Whether a ciphertext that went by, and what came with it, are what this anchors.
  public func names(_ head: SealedHead, _ ciphertext: AddressCheck) -> Bool {
    self.record == head.record && self.address == ciphertext.address && self.sizeBytes == ciphertext.sizeBytes
      && self.capsule == SealedRecord.digest(ofBox: head.boxes.capsule)
      && self.namesCopies(head.boxes)
  }

  /// Whether the copies of the key are those that this anchors. ⚑ A record that was sealed under the second rules names
  /// the hospital's copy too: no vault gives another in its place. An older one names the patient's alone.
  public func namesCopies(_ boxes: RecordPart.Boxes) -> Bool {
    self.patientCopy == boxes.digestOfCopies || self.patientCopy == SealedRecord.digest(ofBox: boxes.patientCopy)
  }

  /// Whether a sealed record is the one that this anchors.
  public func names(_ sealed: SealedRecord) -> Bool {
    var check = AddressCheck()
    check.take(sealed.chunks)
    return self.names(sealed.head, check)
  }
}

/// A spool in memory, for what is no larger than what is handled as a whole.
public final class MemorySpool: ChunkSpool {
  private let chunks = Mutex<[[UInt8]]>([])

  /// An empty one.
  public init() {}

  /// How many chunks are in it.
  public var count: Int { self.chunks.withLock { $0.count } }
  /// Appends chunks.
  public func append(_ chunks: [[UInt8]]) { self.chunks.withLock { $0 += chunks } }
  /// Chunks from one on, of about so many bytes, at least one where there is one.
  public func chunks(from start: Int, bytesMax: Int) -> [[UInt8]] {
    self.chunks.withLock { RecordPart.cut($0.dropFirst(start), bytesMax: bytesMax) }
  }
}
