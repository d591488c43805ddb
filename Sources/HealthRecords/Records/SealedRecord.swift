internal import Messages
public import Primitives
internal import Signing
public import Threshold
public import Wire

/// The hash-lock: a salted commitment to a record's canonical bytes (RECORDS §3.2).
public enum HashLock {
  /// The salt's length in bytes.
  public static let saltLengthBytes = 32

  /// SHA-256("consilium/record/v1" ‖ 0 ‖ salt ‖ canonical bytes).
  public static func of(_ canonical: [UInt8], salt: [UInt8]) -> Digest {
    Hash.sha256(Array("consilium/record/v1\0".utf8), salt, canonical)
  }
}

/// A record as a vault keeps it: ciphertext in chunks, and the key enclosed for the consortium's custody, for the
/// hospital that wrote it and for the patient. Without a key nothing can be read.
public struct SealedRecord: Sendable, Hashable {
  /// The most bytes of a record's plaintext that is handled as a whole: a resource. What is longer, an attachment, is
  /// sealed, kept and opened part by part.
  public static let plaintextBytesMax = 16 << 20
  /// The most chunks of a record that is handled as a whole.
  public static let chunksMax = plaintextBytesMax / SecretStream.chunkBytesMax + 2
  /// The record's identifier.
  public let record: Digest
  /// The header, then the sealed chunks.
  public let chunks: [[UInt8]]
  /// The record's key in the consortium's custody, bound to the record; empty where it was sealed before there was any.
  public let capsule: [UInt8]
  /// The record's key for the hospital that wrote it.
  public let hospitalCopy: [UInt8]
  /// The record's key for the patient.
  public let patientCopy: [UInt8]

  /// A sealed record of given parts.
  public init(record: Digest, chunks: [[UInt8]], capsule: [UInt8], hospitalCopy: [UInt8], patientCopy: [UInt8]) {
    (self.record, self.chunks, self.capsule) = (record, chunks, capsule)
    (self.hospitalCopy, self.patientCopy) = (hospitalCopy, patientCopy)
  }

  /// The root of the ciphertext's chunks.
  public var address: Digest { Self.address(of: self.chunks) }

  static func address(of chunks: [[UInt8]]) -> Digest {
    var check = AddressCheck()
    check.take(chunks)
    return check.address
  }

  /// The ciphertext's bytes.
  public var sizeBytes: UInt64 { self.chunks.reduce(0) { $0 + UInt64($1.count) } }

  /// The digest of a capsule or a patient's copy, as the anchor names it.
  public static func digest(ofBox box: [UInt8]) -> Digest { Hash.sha256(Array("consilium/box/v1\0".utf8), box) }

  /// What only the holders of one key and one hash-lock can have: whoever the record is sealed to.
  public struct Readers: Sendable {
    /// The patient's X25519 key.
    public let patient: Digest
    /// The hospital's.
    public let hospital: Digest
    /// The consortium's custody key; nil before there is one.
    public let custody: CustodyKey?
    /// Whether the anchor names the hospital's copy of the key too: from the second version of the rules on.
    public let bindsBoth: Bool
    /// All of them.
    public init(patient: Digest, hospital: Digest, custody: CustodyKey?, bindsBoth: Bool = false) {
      (self.patient, self.hospital, self.custody) = (patient, hospital, custody)
      self.bindsBoth = bindsBoth
    }
  }

  /// What is drawn afresh for each record and used once.
  public struct Secrets: Sendable {
    /// The salt of the hash-lock.
    public let salt: [UInt8]
    let key: [UInt8]
    let capsule: [UInt8]
    /// Secrets from a source of fresh random bytes.
    public init(random: (Int) -> [UInt8]) {
      self.init(salt: random(HashLock.saltLengthBytes), random: random)
    }
    /// The same with a salt that the author drew, who signed the hash-lock.
    public init(salt: [UInt8], random: (Int) -> [UInt8]) {
      precondition(salt.count == HashLock.saltLengthBytes, "a salt of \(salt.count) bytes")
      self.salt = salt
      self.key = random(SecretStream.keyLengthBytes)
      self.capsule = random(Capsule.randomLengthBytes)
    }
  }

  /// The key's boxes for a hospital and a patient; nil where a reader's key is none.
  static func copies(
    of key: [UInt8], record: Digest, to readers: Readers
  ) -> (hospital: [UInt8], patient: [UInt8])? {
    guard let hospital = SealedBox.seal(record.bytes + key, to: readers.hospital.bytes),
      let patient = SealedBox.seal(record.bytes + key, to: readers.patient.bytes)
    else { return nil }
    return (hospital, patient)
  }

  /// The key inside a box that was sealed to `secret`'s holder for this record; nil for any other.
  public static func key(in box: [UInt8], of record: Digest, secret: [UInt8]) -> [UInt8]? {
    guard let opened = SealedBox.open(box, secret: secret), opened.count == 64,
      Digest(opened[..<32]) == record
    else { return nil }
    return Array(opened[32...])
  }

  /// Opens the ciphertext and checks the hash-lock.
  ///
  /// - Throws: `RecordFault` where address, key, encryption or hash-lock do not fit the anchor.
  public func open(key: [UInt8], anchored anchor: RecordAnchor) throws(RecordFault) -> OpenedRecord {
    guard self.address == anchor.address else { throw .address }
    var opening = ContentOpening(key: key, anchored: anchor)
    var content: [UInt8] = []
    for chunk in self.chunks { content += try opening.open(chunk) }
    return OpenedRecord(salt: try opening.finish(), canonical: content)
  }
}

/// A record in the clear, and the salt of its hash-lock.
public struct OpenedRecord: Sendable, Hashable {
  /// The salt.
  public let salt: [UInt8]
  /// The canonical bytes; of an attachment its own.
  public let canonical: [UInt8]
  /// A record that was opened and held against its anchor.
  public init(salt: [UInt8], canonical: [UInt8]) { (self.salt, self.canonical) = (salt, canonical) }
}

/// Why a stored record is not what was anchored.
public enum RecordFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// The ciphertext is not the anchored one.
  case address
  /// The key does not open it.
  case encryption
  /// The content is not the anchored one.
  case hashLock

  /// What is wrong.
  public var description: String {
    switch self {
    case .address: "the ciphertext is not the one that was anchored"
    case .encryption: "the key does not open the ciphertext"
    case .hashLock: "the content is not what was anchored: its hash-lock differs"
    }
  }
}

extension SealedRecord: WireCodable {
  /// Record, chunks as counted blobs, capsule, the hospital's copy, the patient's.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.record)
    encoder.u32(UInt32(self.chunks.count))
    for chunk in self.chunks { encoder.blob(chunk) }
    encoder.item(self.boxes)
  }

  /// Reads a sealed record of at most `plaintextBytesMax`.
  public init(from decoder: inout Decoder) throws(WireError) {
    let record = try decoder.digest()
    let start = decoder.offset
    let (count, max) = (try decoder.u32(), UInt32(Self.chunksMax))
    guard count <= max else { throw .overMax(at: start, field: "chunks", value: UInt64(count), max: UInt64(max)) }
    var chunks: [[UInt8]] = []
    for _ in 0..<count {
      chunks.append(try decoder.blob(max: SecretStream.chunkBytesMax + SecretStream.overheadBytes, "chunk"))
    }
    self.init(record: record, chunks: chunks, boxes: try RecordPart.Boxes(from: &decoder))
  }
}
