internal import Messages
public import Primitives
public import Signing
public import Threshold
internal import Wire

/// A resource with everything that its anchor needs but the ciphertext: an author signs it before it is sealed.
public struct RecordDraft: Sendable {
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
    guard self.canonical.count + self.secrets.salt.count <= SealedRecord.plaintextBytesMax,
      let copies = SealedRecord.copies(of: self.secrets.key, record: self.record, to: readers)
    else { return nil }
    let chunks = SecretStream.seal(self.secrets.salt + self.canonical, key: self.secrets.key)
    let address = SealedRecord.address(of: chunks)
    let capsule = readers.custody.map { custody in
      let label = Capsule.label(
        network: self.network, custody: custody, record: self.record, author: author,
        category: self.category.rawValue, address: address)
      return Capsule(self.secrets.key, for: custody, label: label, random: self.secrets.capsule).encoded
    }
    let sealed = SealedRecord(
      record: self.record, chunks: chunks, capsule: capsule ?? [], hospitalCopy: copies.hospital,
      patientCopy: copies.patient)
    let anchor = RecordAnchor(
      record: self.record, patient: self.patient, author: author, category: self.category, hashLock: self.hashLock,
      address: address, sizeBytes: sealed.sizeBytes, capsule: SealedRecord.digest(ofBox: sealed.capsule),
      patientCopy: SealedRecord.digest(ofBox: sealed.patientCopy), supersedes: self.supersedes,
      authorSignature: signature)
    return (anchor, sealed)
  }
}

extension RecordAnchor {
  /// Whether a sealed record is the one that this anchors: ciphertext, capsule and the patient's copy.
  public func names(_ sealed: SealedRecord) -> Bool {
    self.record == sealed.record && self.address == sealed.address && self.sizeBytes == sealed.sizeBytes
      && self.capsule == SealedRecord.digest(ofBox: sealed.capsule)
      && self.patientCopy == SealedRecord.digest(ofBox: sealed.patientCopy)
  }

  /// What its capsule is bound to under a custody key.
  public func label(network: Digest, custody: CustodyKey) -> Digest {
    Capsule.label(
      network: network, custody: custody, record: self.record, author: self.author, category: self.category.rawValue,
      address: self.address)
  }
}
