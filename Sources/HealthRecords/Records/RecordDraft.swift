internal import Messages
public import Primitives
public import Signing

/// A resource with everything that its anchor needs but the ciphertext: an author signs it before it is sealed.
public struct RecordDraft: Sendable {
  private let canonical: [UInt8]
  private let salt: [UInt8]
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

  /// A draft of a resource for a patient's pseudonym at a hospital; the salt is fresh.
  public init(
    _ resource: FHIRResource, patient: Digest, hospital: MemberID, network: Digest, salt: [UInt8],
    supersedes: Digest?
  ) {
    (self.canonical, self.salt, self.patient) = (resource.canonical, salt, patient)
    (self.category, self.supersedes) = (resource.category, supersedes)
    self.hashLock = HashLock.of(resource.canonical, salt: salt)
    self.record = RecordAnchor.identifier(
      network: network, hospital: hospital, patient: patient, hashLock: self.hashLock)
  }

  /// What a practitioner signs as its author.
  public func authored(network: Digest) -> [UInt8] {
    RecordAnchor.authored(
      network: network, record: self.record, patient: self.patient, category: self.category,
      hashLock: self.hashLock, supersedes: self.supersedes)
  }

  /// Seals it under a fresh key; nil where it is too large or a reader's key is none. Without an author the hospital
  /// answers for it.
  public func seal(
    key: [UInt8], to readers: SealedRecord.Readers, author: Digest? = nil, signature: Signature? = nil
  ) -> (anchor: RecordAnchor, sealed: SealedRecord)? {
    guard self.canonical.count + self.salt.count <= SealedRecord.plaintextBytesMax,
      let sealed = SealedRecord.seal(self.canonical, record: self.record, salt: self.salt, key: key, to: readers)
    else { return nil }
    let anchor = RecordAnchor(
      record: self.record, patient: self.patient, author: author, category: self.category, hashLock: self.hashLock,
      address: sealed.address, sizeBytes: sealed.sizeBytes, capsule: SealedRecord.digest(ofBox: sealed.capsule),
      patientCopy: SealedRecord.digest(ofBox: sealed.patientCopy), supersedes: self.supersedes,
      authorSignature: signature)
    return (anchor, sealed)
  }
}
