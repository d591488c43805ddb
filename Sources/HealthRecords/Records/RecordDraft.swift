internal import Messages
public import Primitives
public import Signing
public import Threshold
internal import Wire

/// A resource with everything that its anchor needs but the ciphertext: an author signs it before it is sealed.
public struct RecordDraft: Sendable {
  /// The content; empty where it was sealed while it came.
  private let canonical: [UInt8]
  private let secrets: SealedRecord.Secrets
  private let network: Digest
  /// The patient's account.
  public let patient: Digest
  /// What it is about.
  public let category: RecordCategory
  /// The hash-lock.
  public let hashLock: Digest
  /// The record's identifier.
  public let record: Digest
  /// The record that it amends.
  public let supersedes: Digest?

  /// A draft of a resource for a patient's pseudonym at a hospital; the secrets are fresh.
  public init(
    _ resource: FHIRResource, patient: Digest, hospital: MemberID, network: Digest, secrets: SealedRecord.Secrets,
    supersedes: Digest?
  ) {
    (self.canonical, self.secrets, self.network) = (resource.canonical, secrets, network)
    (self.patient, self.category, self.supersedes) = (patient, resource.category, supersedes)
    self.hashLock = HashLock.of(resource.canonical, salt: secrets.salt)
    self.record = RecordAnchor.identifier(
      network: network, hospital: hospital, patient: patient, hashLock: self.hashLock)
  }

  /// A draft of content that was sealed while it came: an attachment, whose own bytes are what is locked.
  public init(
    _ sealing: ContentSealing, patient: Digest, hospital: MemberID, network: Digest, category: RecordCategory,
    supersedes: Digest?
  ) {
    (self.canonical, self.secrets, self.network) = ([], sealing.secrets, network)
    (self.patient, self.category, self.supersedes) = (patient, category, supersedes)
    self.hashLock = sealing.hashLock
    self.record = RecordAnchor.identifier(
      network: network, hospital: hospital, patient: patient, hashLock: self.hashLock)
  }

  /// What a practitioner signs as its author.
  public var authored: [UInt8] {
    RecordAnchor.authored(
      network: self.network, record: self.record, patient: self.patient, category: self.category,
      hashLock: self.hashLock, supersedes: self.supersedes)
  }

  /// Seals it; nil where it is too large or a reader's key is none. Without an author the hospital answers for it.
  public func seal(
    to readers: SealedRecord.Readers, author: Digest? = nil, signature: Signature? = nil
  ) -> (anchor: RecordAnchor, sealed: SealedRecord)? {
    guard self.canonical.count + self.secrets.salt.count <= SealedRecord.plaintextBytesMax else { return nil }
    let chunks = SecretStream.seal(self.secrets.salt + self.canonical, key: self.secrets.key)
    var ciphertext = AddressCheck()
    ciphertext.take(chunks)
    return self.enclose(ciphertext, to: readers, author: author, signature: signature).map { anchor, boxes in
      (anchor, SealedRecord(record: self.record, chunks: chunks, boxes: boxes))
    }
  }

  /// The anchor of a ciphertext, and its key in boxes; nil where a reader's key is none.
  public func enclose(
    _ ciphertext: AddressCheck, to readers: SealedRecord.Readers, author: Digest? = nil, signature: Signature? = nil
  ) -> (anchor: RecordAnchor, boxes: RecordPart.Boxes)? {
    guard let copies = SealedRecord.copies(of: self.secrets.key, record: self.record, to: readers) else { return nil }
    let address = ciphertext.address
    let capsule = readers.custody.map { custody in
      let label = Capsule.label(
        network: self.network, custody: custody, record: self.record, author: author,
        category: self.category.rawValue, address: address)
      return Capsule(self.secrets.key, for: custody, label: label, random: self.secrets.capsule).encoded
    }
    let boxes = RecordPart.Boxes(
      capsule: capsule ?? [], hospitalCopy: copies.hospital, patientCopy: copies.patient)
    let anchor = RecordAnchor(
      record: self.record, patient: self.patient, author: author, category: self.category, hashLock: self.hashLock,
      address: address, sizeBytes: ciphertext.sizeBytes, capsule: SealedRecord.digest(ofBox: boxes.capsule),
      patientCopy: readers.bindsBoth ? boxes.digestOfCopies : SealedRecord.digest(ofBox: boxes.patientCopy),
      supersedes: self.supersedes,
      authorSignature: signature)
    return (anchor, boxes)
  }
}

extension RecordAnchor {
  /// What its capsule is bound to under a custody key.
  public func label(network: Digest, custody: CustodyKey) -> Digest {
    Capsule.label(
      network: network, custody: custody, record: self.record, author: self.author, category: self.category.rawValue,
      address: self.address)
  }
}
