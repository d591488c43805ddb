public import Primitives
public import Signing
public import Wire

/// `anchorRecord`: what the ledger holds of a record: commitments, never content (RECORDS §1, §3).
public struct RecordAnchor: Sendable, Hashable {
  /// H(network, hospital, pseudonym, hash-lock).
  public let record: Digest
  /// The patient's account.
  public let patient: Digest
  /// The practitioner's account, or nil where the hospital's system is the author.
  public let author: Digest?
  /// What it is about.
  public let category: RecordCategory
  /// SHA-256 over domain, salt and canonical bytes.
  public let hashLock: Digest
  /// The Merkle root of the ciphertext's chunks.
  public let address: Digest
  /// The ciphertext's bytes.
  public let sizeBytes: UInt64
  /// The digest of the capsule for custody.
  public let capsule: Digest
  /// The digest of the patient's sealed copy of the key, or of both that copy and the hospital's.
  public let patientCopy: Digest
  /// The record that this one amends.
  public let supersedes: Digest?
  /// The author's signature, where the author is a practitioner.
  public let authorSignature: Signature?

  /// An anchor of given parts.
  public init(
    record: Digest, patient: Digest, author: Digest?, category: RecordCategory, hashLock: Digest,
    address: Digest, sizeBytes: UInt64, capsule: Digest, patientCopy: Digest, supersedes: Digest?,
    authorSignature: Signature?
  ) {
    (self.record, self.patient, self.author, self.category) = (record, patient, author, category)
    (self.hashLock, self.address, self.sizeBytes) = (hashLock, address, sizeBytes)
    (self.capsule, self.patientCopy) = (capsule, patientCopy)
    (self.supersedes, self.authorSignature) = (supersedes, authorSignature)
  }

  /// The same with another capsule: its key was enclosed anew.
  public func with(capsule: Digest) -> RecordAnchor {
    RecordAnchor(
      record: self.record, patient: self.patient, author: self.author, category: self.category,
      hashLock: self.hashLock, address: self.address, sizeBytes: self.sizeBytes, capsule: capsule,
      patientCopy: self.patientCopy, supersedes: self.supersedes, authorSignature: self.authorSignature)
  }

  /// The record identifier of its parts.
  public static func identifier(
    network: Digest, hospital: MemberID, patient: Digest, hashLock: Digest
  ) -> Digest {
    Hash.blake2b(
      "consilium/record-identifier/v1", network.bytes, hospital.encoded, patient.bytes, hashLock.bytes)
  }

  /// What a practitioner signs as author (RECORDS §3.6).
  public static func authored(
    network: Digest, record: Digest, patient: Digest, category: RecordCategory, hashLock: Digest,
    supersedes: Digest?
  ) -> [UInt8] {
    var encoder = Encoder()
    encoder.raw(Array("consilium/authorship/v1\0".utf8))
    encoder.digest(network)
    encoder.digest(record)
    encoder.digest(patient)
    encoder.u8(category.rawValue)
    encoder.digest(hashLock)
    encoder.optional(supersedes)
    return encoder.bytes
  }
}

extension RecordAnchor: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.record)
    encoder.digest(self.patient)
    encoder.optional(self.author)
    encoder.u8(self.category.rawValue)
    encoder.digest(self.hashLock)
    encoder.digest(self.address)
    encoder.u64(self.sizeBytes)
    encoder.digest(self.capsule)
    encoder.digest(self.patientCopy)
    encoder.optional(self.supersedes)
    encoder.optional(self.authorSignature)
  }
  /// Reads an anchor.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.record = try decoder.digest()
    self.patient = try decoder.digest()
    self.author = try decoder.optional("author")
    let start = decoder.offset
    guard let category = RecordCategory(rawValue: try decoder.u8()) else {
      throw .invalid(at: start, field: "category")
    }
    self.category = category
    self.hashLock = try decoder.digest()
    self.address = try decoder.digest()
    self.sizeBytes = try decoder.u64()
    self.capsule = try decoder.digest()
    self.patientCopy = try decoder.digest()
    self.supersedes = try decoder.optional("supersedes")
    self.authorSignature = try decoder.optional("author signature")
  }
}

/// A record as the state keeps it.
public struct RecordEntry: Sendable, Hashable {
  /// What was anchored, with the capsule that counts now.
  public private(set) var anchor: RecordAnchor
  /// The hospital that anchored it.
  public let hospital: MemberID
  /// The place of the anchor in the log.
  public let leaf: UInt64
  /// When it was anchored.
  public let time: Timestamp
  /// The record that amends it.
  public var supersededBy: Digest?
  /// By what right it was erased; nil where it is not.
  public var erasure: Erasure?
  /// The custody key to which it is sealed; 0 where it was anchored before there was any.
  public private(set) var generation: UInt64

  /// A record as it was just anchored, while a custody key was in use.
  init(
    anchor: RecordAnchor, hospital: MemberID, leaf: UInt64, time: Timestamp, generation: UInt64
  ) {
    (self.anchor, self.hospital, self.leaf, self.time) = (anchor, hospital, leaf, time)
    self.generation = generation
  }

  /// Its key is enclosed anew.
  mutating func reseal(capsule: Digest, generation: UInt64) {
    self.anchor = self.anchor.with(capsule: capsule)
    self.generation = generation
  }

  /// Whether it is erased.
  public var isErased: Bool { self.erasure != nil }
}

extension RecordEntry: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.anchor)
    encoder.item(self.hospital)
    encoder.u64(self.leaf)
    encoder.item(self.time)
    encoder.optional(self.supersededBy)
    encoder.u8(self.erasure?.rawValue ?? 0)
    encoder.u64(self.generation)
  }
  /// Reads an entry.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.anchor = try RecordAnchor(from: &decoder)
    self.hospital = try MemberID(from: &decoder)
    self.leaf = try decoder.u64()
    self.time = try Timestamp(from: &decoder)
    self.supersededBy = try decoder.optional("superseded by")
    let start = decoder.offset
    let erasure = try decoder.u8()
    self.erasure = Erasure(rawValue: erasure)
    guard (self.erasure == nil) == (erasure == 0) else { throw .invalid(at: start, field: "erasure") }
    self.generation = try decoder.bounded("generation")
  }
}
