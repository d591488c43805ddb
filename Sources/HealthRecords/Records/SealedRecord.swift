internal import Merkle
internal import Messages
public import Primitives
internal import Signing
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

/// A record as a vault keeps it: ciphertext in chunks and the key, sealed twice. Without a key nothing can be read.
public struct SealedRecord: Sendable, Hashable {
  /// The most bytes of a record's plaintext.
  public static let plaintextBytesMax = 16 << 20
  /// The record's identifier.
  public let record: Digest
  /// The header, then the sealed chunks.
  public let chunks: [[UInt8]]
  /// The record's key for whoever releases it, bound to the record.
  public let capsule: [UInt8]
  /// The record's key for the patient.
  public let patientCopy: [UInt8]

  /// A sealed record of given parts.
  public init(record: Digest, chunks: [[UInt8]], capsule: [UInt8], patientCopy: [UInt8]) {
    (self.record, self.chunks, self.capsule, self.patientCopy) = (record, chunks, capsule, patientCopy)
  }

  /// The root of the ciphertext's chunks.
  public var address: Digest {
    var log = MerkleFrontier()
    for chunk in self.chunks { log.append(MerkleHash.leaf(chunk)) { _, _, _ in } }
    return log.root
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
    /// Both.
    public init(patient: Digest, hospital: Digest) { (self.patient, self.hospital) = (patient, hospital) }
  }

  /// Seals canonical bytes under a fresh key, with a fresh salt; nil where a reader's key is none.
  public static func seal(
    _ canonical: [UInt8], record: Digest, salt: [UInt8], key: [UInt8], to readers: Readers
  ) -> SealedRecord? {
    precondition(salt.count == HashLock.saltLengthBytes, "a salt of \(salt.count) bytes")
    guard let capsule = SealedBox.seal(record.bytes + key, to: readers.hospital.bytes),
      let patientCopy = SealedBox.seal(record.bytes + key, to: readers.patient.bytes)
    else { return nil }
    return SealedRecord(
      record: record, chunks: SecretStream.seal(salt + canonical, key: key), capsule: capsule,
      patientCopy: patientCopy)
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
    guard let plaintext = SecretStream.open(self.chunks, key: key), plaintext.count >= HashLock.saltLengthBytes
    else { throw .encryption }
    let opened = OpenedRecord(
      salt: Array(plaintext[..<HashLock.saltLengthBytes]), canonical: Array(plaintext[HashLock.saltLengthBytes...]))
    guard HashLock.of(opened.canonical, salt: opened.salt) == anchor.hashLock else { throw .hashLock }
    return opened
  }
}

/// A record in the clear, and the salt of its hash-lock.
public struct OpenedRecord: Sendable, Hashable {
  /// The salt.
  public let salt: [UInt8]
  /// The canonical bytes.
  public let canonical: [UInt8]
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
  /// Record, chunks as counted blobs, capsule, patient's copy.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.record)
    encoder.u32(UInt32(self.chunks.count))
    for chunk in self.chunks { encoder.blob(chunk) }
    encoder.blob(self.capsule)
    encoder.blob(self.patientCopy)
  }

  /// Reads a sealed record of at most `plaintextBytesMax`.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.record = try decoder.digest()
    let start = decoder.offset
    let count = try decoder.u32()
    let max = UInt32(Self.plaintextBytesMax / SecretStream.chunkBytesMax + 2)
    guard count <= max else { throw .overMax(at: start, field: "chunks", value: UInt64(count), max: UInt64(max)) }
    var chunks: [[UInt8]] = []
    for _ in 0..<count {
      chunks.append(try decoder.blob(max: SecretStream.chunkBytesMax + SecretStream.overheadBytes, "chunk"))
    }
    self.chunks = chunks
    self.capsule = try decoder.blob(max: 1024, "capsule")
    self.patientCopy = try decoder.blob(max: 1024, "patient's copy")
  }
}
