public import Primitives
internal import Signing
public import Wire

/// Some chunks of a sealed record, so that the largest one travels in messages of bounded size.
///
/// Everybody cuts a record at the same places (`SealedRecord.part(from:)`): what is stored in parts is read in them.
public struct RecordPart: Sendable, Hashable {
  /// About how many bytes of ciphertext a message carries at most.
  public static let messageBytesMax = 4 << 20
  /// The record.
  public let record: Digest
  /// How many chunks it has in all.
  public let count: Int
  /// The place of the first of these.
  public let start: Int
  /// These.
  public let chunks: [[UInt8]]
  /// The key's boxes, with the last part: whoever has them has the rest.
  public let boxes: Boxes?

  /// The key's boxes.
  public struct Boxes: Sendable, Hashable {
    /// For the consortium's custody.
    public let capsule: [UInt8]
    /// For the hospital.
    public let hospitalCopy: [UInt8]
    /// For the patient.
    public let patientCopy: [UInt8]
    /// All three.
    public init(capsule: [UInt8], hospitalCopy: [UInt8], patientCopy: [UInt8]) {
      (self.capsule, self.hospitalCopy, self.patientCopy) = (capsule, hospitalCopy, patientCopy)
    }
  }

  /// A part of given chunks.
  public init(record: Digest, count: Int, start: Int, chunks: [[UInt8]], boxes: Boxes?) {
    (self.record, self.count, self.start) = (record, count, start)
    (self.chunks, self.boxes) = (chunks, boxes)
  }

  /// Some of a record's chunks: with its boxes where they are the last.
  public init(_ head: SealedHead, start: Int, chunks: [[UInt8]]) {
    self.init(
      record: head.record, count: head.count, start: start, chunks: chunks,
      boxes: start + chunks.count >= head.count ? head.boxes : nil)
  }

  /// Of a record's chunks from one on, as many as a message takes, at least one.
  public init(_ head: SealedHead, start: Int, from chunks: ArraySlice<[UInt8]>) {
    self.init(head, start: start, chunks: Self.cut(chunks, bytesMax: Self.messageBytesMax))
  }

  /// The first of some chunks, of about so many bytes, at least one where there is one.
  static func cut(_ chunks: ArraySlice<[UInt8]>, bytesMax: Int) -> [[UInt8]] {
    var (end, bytes) = (chunks.startIndex, 0)
    while end < chunks.endIndex, end == chunks.startIndex || bytes + chunks[end].count <= bytesMax {
      bytes += chunks[end].count
      end += 1
    }
    return Array(chunks[..<end])
  }

  /// Whether it is cut as everybody cuts records: full chunks but for the last, from a place where a part begins. ⚑ A
  /// vault takes nothing else: of many small chunks each would take more room than it has bytes.
  public var isWellCut: Bool {
    guard self.start == Self.start(ofPartWith: self.start) else { return false }
    let full = SecretStream.chunkBytesMax + SecretStream.overheadBytes
    return self.chunks.enumerated().allSatisfy { offset, chunk in
      let place = self.start + offset
      if place == 0 { return chunk.count == SecretStream.headerLengthBytes }
      return place == self.count - 1
        ? chunk.count > SecretStream.overheadBytes && chunk.count <= full : chunk.count == full
    }
  }

  /// The ciphertext's bytes in it.
  public var sizeBytes: Int { self.chunks.reduce(0) { $0 + $1.count } }
}

extension SealedRecord {
  /// The boxes of its key.
  public var boxes: RecordPart.Boxes {
    RecordPart.Boxes(capsule: self.capsule, hospitalCopy: self.hospitalCopy, patientCopy: self.patientCopy)
  }

  /// The part that begins at a chunk: as many chunks as a message takes, at least one.
  public func part(from start: Int) -> RecordPart {
    RecordPart(self.head, start: start, from: self.chunks[min(start, self.chunks.count)...])
  }

  /// Records in parts, gathered into messages of bounded size, in order.
  public static func messages(of records: [SealedRecord]) -> [[RecordPart]] {
    var messages: [[RecordPart]] = []
    var (open, bytes): ([RecordPart], Int) = ([], 0)
    for record in records {
      var start = 0
      repeat {
        let part = record.part(from: start)
        if !open.isEmpty, bytes + part.sizeBytes > RecordPart.messageBytesMax || open.count >= RecordPart.partsMax {
          messages.append(open)
          (open, bytes) = ([], 0)
        }
        open.append(part)
        bytes += part.sizeBytes
        start += max(1, part.chunks.count)
      } while start < record.chunks.count
    }
    return open.isEmpty ? messages : messages + [open]
  }

  /// A sealed record of chunks and the boxes of its key.
  public init(record: Digest, chunks: [[UInt8]], boxes: RecordPart.Boxes) {
    self.init(
      record: record, chunks: chunks, capsule: boxes.capsule, hospitalCopy: boxes.hospitalCopy,
      patientCopy: boxes.patientCopy)
  }
}

extension RecordPart.Boxes: WireCodable {
  /// The most bytes of a box.
  static let boxBytesMax = 1024

  /// Capsule, the hospital's copy, the patient's, as counted blobs.
  public func encode(into encoder: inout Encoder) {
    for box in [self.capsule, self.hospitalCopy, self.patientCopy] { encoder.blob(box) }
  }

  /// Reads three boxes of at most `boxBytesMax`.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.capsule = try decoder.blob(max: Self.boxBytesMax, "capsule")
    self.hospitalCopy = try decoder.blob(max: Self.boxBytesMax, "hospital's copy")
    self.patientCopy = try decoder.blob(max: Self.boxBytesMax, "patient's copy")
  }
}

extension RecordPart: WireCodable {
  /// The most chunks of a record: nearly 4 GiB.
  public static let chunksMax = Int(UInt16.max)
  /// The most bytes of a record's ciphertext.
  public static let sizeBytesMax = UInt64(
    SecretStream.headerLengthBytes + (chunksMax - 1) * (SecretStream.chunkBytesMax + SecretStream.overheadBytes))
  /// The most parts of a message.
  public static let partsMax = 2048

  /// Record, number of chunks, start, chunks, boxes.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.record)
    encoder.u16(UInt16(self.count))
    encoder.u16(UInt16(self.start))
    encoder.u16(UInt16(self.chunks.count))
    for chunk in self.chunks { encoder.blob(chunk) }
    encoder.flag(self.boxes != nil)
    if let boxes = self.boxes { encoder.item(boxes) }
  }

  /// Reads a part whose chunks lie inside the record; only the last has the boxes.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.record = try decoder.digest()
    let at = decoder.offset
    self.count = Int(try decoder.u16())
    self.start = Int(try decoder.u16())
    let chunks = Int(try decoder.u16())
    guard self.count > 0, self.count <= Self.chunksMax, chunks > 0, self.start + chunks <= self.count else {
      throw .invalid(at: at, field: "chunks of a part")
    }
    var read: [[UInt8]] = []
    for _ in 0..<chunks {
      read.append(try decoder.blob(max: SecretStream.chunkBytesMax + SecretStream.overheadBytes, "chunk"))
    }
    self.chunks = read
    guard try decoder.flag("boxes") else {
      self.boxes = nil
      guard self.start + chunks < self.count else { throw .invalid(at: at, field: "the last part without boxes") }
      return
    }
    guard self.start + chunks == self.count else { throw .invalid(at: at, field: "boxes before the last part") }
    self.boxes = try Boxes(from: &decoder)
  }
}
