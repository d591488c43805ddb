internal import Messages
public import Primitives
public import Rules
public import Signing
public import Wire

/// Why a record's key is not released. Codes travel between hospitals.
public enum ReleaseRefusal: UInt8, Error, Sendable, Hashable, CaseIterable {
  /// No such request was executed here yet.
  case unknownRequest = 1
  /// It was denied.
  case notGranted = 2
  /// It does not name this record.
  case otherRecord = 3
  /// The release window is over.
  case windowOver = 4
  /// The record is erased.
  case erased = 5
  /// This hospital does not keep the record.
  case notHere = 6
  /// The hospital could not be reached, or did not answer.
  case unreachable = 7

  /// What happened and what to do.
  public var explanation: String {
    switch self {
    case .unknownRequest: "that hospital has executed no such request yet; ask again in a moment"
    case .notGranted: "the ledger denied the request"
    case .otherRecord: "the request does not name this record"
    case .windowOver: "the request's release window is over; make a new request"
    case .erased: "the record is erased"
    case .notHere: "that hospital does not keep this record's key"
    case .unreachable: "the hospital that keeps the record did not answer; try again when it is connected"
    }
  }
}

/// A question for a record's key, from the reader's hospital to a custodian.
public struct ReleaseQuestion: Sendable, Hashable, WireCodable {
  /// The executed request.
  public let request: Digest
  /// One of the records that it names.
  public let record: Digest

  /// A question.
  public init(request: Digest, record: Digest) { (self.request, self.record) = (request, record) }
  /// Both digests.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.request)
    encoder.digest(self.record)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.request = try decoder.digest()
    self.record = try decoder.digest()
  }
}

/// A custodian's answer: the sealed record, and its key sealed to the request's ephemeral key; signed by the custodian.
public struct ReleaseAnswer: Sendable, Hashable, WireCodable {
  /// The record as the vault keeps it.
  public let sealed: SealedRecord
  /// The key, sealed to the request's ephemeral key.
  public let key: [UInt8]
  /// The custodian's member signature.
  public let signature: Signature

  /// An answer of given parts.
  public init(sealed: SealedRecord, key: [UInt8], signature: Signature) {
    (self.sealed, self.key, self.signature) = (sealed, key, signature)
  }

  /// What the custodian signs.
  public static func signedBytes(network: Digest, question: ReleaseQuestion, key: [UInt8]) -> [UInt8] {
    Array("consilium/release/v1\0".utf8) + network.bytes + question.encoded + key
  }

  /// Sealed record, key, signature.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.sealed)
    encoder.blob(self.key)
    encoder.item(self.signature)
  }
  /// Reads an answer.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.sealed = try SealedRecord(from: &decoder)
    self.key = try decoder.blob(max: 1024, "released key")
    self.signature = try Signature(from: &decoder)
  }
}

/// Whether a custodian may answer: a pure function of its own executed state (RECORDS §5, "release").
public enum ReleasePolicy {
  /// The ephemeral key to which the record's key is released, and the record.
  ///
  /// - Throws: `ReleaseRefusal` where no granted request, inside its window, names the record.
  public static func judge(
    _ question: ReleaseQuestion, at time: Timestamp, in state: some StateReader
  ) throws(ReleaseRefusal) -> (ephemeralKey: Digest, record: RecordEntry) {
    guard let (_, access) = AccessEntry.find(request: question.request, in: state) else { throw .unknownRequest }
    guard access.outcome == .applied || planted(.releaseWithoutGrant) else { throw .notGranted }
    guard access.request.records.contains(question.record) else { throw .otherRecord }
    guard time <= access.releaseUntil || planted(.releaseNeverEnds) else { throw .windowOver }
    guard let record = state.item(StateKey.record(question.record), as: RecordEntry.self) else {
      throw .otherRecord
    }
    guard !record.isErased else { throw .erased }
    return (access.request.ephemeralKey, record)
  }
}

/// Whoever holds what opens capsules. One hospital now, a quorum with threshold custody: readers see no difference.
public protocol KeyCustodian {
  /// The record's key, sealed to `ephemeralKey`; nil where the capsule is not this custodian's or is damaged.
  func reseal(_ capsule: [UInt8], of record: Digest, to ephemeralKey: Digest) -> [UInt8]?
}

/// The author's hospital as the only custodian of its records.
public struct AuthoringHospital: KeyCustodian {
  private let sealingSecret: [UInt8]

  /// The custodian with the hospital's X25519 secret.
  public init(sealingSecret: [UInt8]) { self.sealingSecret = sealingSecret }

  /// Opens the capsule and seals the key anew.
  public func reseal(_ capsule: [UInt8], of record: Digest, to ephemeralKey: Digest) -> [UInt8]? {
    guard let key = SealedRecord.key(in: capsule, of: record, secret: self.sealingSecret) else { return nil }
    return SealedBox.seal(record.bytes + key, to: ephemeralKey.bytes)
  }
}
