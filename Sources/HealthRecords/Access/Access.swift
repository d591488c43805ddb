public import Primitives
public import Rules
import Signing
public import Wire

/// `requestAccess` and `breakGlass`: signed by the reader, in the lane of the reader's hospital (RECORDS §4).
public struct AccessRequest: Sendable, Hashable {
  /// The most records that one names.
  public static let recordsMax = 64
  /// The patient's account.
  public let patient: Digest
  /// What is to be read; empty only for a refused request.
  public let records: [Digest]
  /// What for.
  public let purpose: Purposes
  /// A break-glass reason's code (HL7 ActReason); 0 for a plain request.
  public let reason: UInt16
  /// A fresh X25519 key to which released keys are sealed.
  public let ephemeralKey: Digest

  /// A request of given parts.
  public init(patient: Digest, records: [Digest], purpose: Purposes, reason: UInt16, ephemeralKey: Digest) {
    (self.patient, self.records, self.purpose) = (patient, records, purpose)
    (self.reason, self.ephemeralKey) = (reason, ephemeralKey)
  }
}

extension AccessRequest: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.patient)
    encoder.list(self.records)
    encoder.u16(self.purpose.rawValue)
    encoder.u16(self.reason)
    encoder.digest(self.ephemeralKey)
  }
  /// Reads a request; it names one purpose and at least one record, each once.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    self.patient = try decoder.digest()
    self.records = try decoder.list(max: Self.recordsMax, "records")
    self.purpose = Purposes(rawValue: try decoder.u16())
    self.reason = try decoder.u16()
    self.ephemeralKey = try decoder.digest()
    guard self.purpose.rawValue.nonzeroBitCount == 1, Purposes.all.contains(self.purpose),
      !self.records.isEmpty, Set(self.records).count == self.records.count
    else { throw .invalid(at: start, field: "access request") }
  }
}

/// One line of the access history: who asked, for whom, when, why, and what the ledger said.
public struct AccessEntry: Sendable, Hashable {
  /// How the glass was broken and reviewed.
  public enum Emergency: UInt8, Sendable, Hashable {
    /// A plain request.
    case none = 0
    /// Broken; the review is due.
    case reviewDue = 1
    /// Reviewed and found right.
    case justified = 2
    /// Reviewed and found wrong.
    case unjustified = 3
    /// Not reviewed in time: itself an event.
    case overdue = 4
  }

  /// The reader's account.
  public let reader: Digest
  /// The reader's hospital.
  public let hospital: MemberID
  /// What was asked.
  public let request: AccessRequest
  /// 0, or why it was denied.
  public let outcome: OutcomeCode
  /// The consent that granted it; the first, where several did.
  public let consent: Digest?
  /// When, in cut time.
  public let time: Timestamp
  /// Until when its keys are released.
  public let releaseUntil: Timestamp
  /// Emergency access and its review.
  public var emergency: Emergency
  /// The hospitals that stated a release.
  public var releases: [MemberID]
  /// When its hospital opened it because nothing was ordered, by the hospital's clock; nil where it did not.
  public var openedInPartition: Timestamp?
}

extension AccessEntry: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.reader)
    encoder.item(self.hospital)
    encoder.item(self.request)
    encoder.u16(self.outcome.number)
    encoder.optional(self.consent)
    encoder.item(self.time)
    encoder.item(self.releaseUntil)
    encoder.u8(self.emergency.rawValue)
    encoder.list(self.releases)
    encoder.optional(self.openedInPartition)
  }
  /// Reads an entry.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.reader = try decoder.digest()
    self.hospital = try MemberID(from: &decoder)
    self.request = try AccessRequest(from: &decoder)
    self.outcome = OutcomeCode(try decoder.u16())
    self.consent = try decoder.optional("consent")
    self.time = try Timestamp(from: &decoder)
    self.releaseUntil = try Timestamp(from: &decoder)
    let start = decoder.offset
    guard let emergency = Emergency(rawValue: try decoder.u8()) else {
      throw .invalid(at: start, field: "emergency")
    }
    self.emergency = emergency
    self.releases = try decoder.list(max: 256, "releases")
    self.openedInPartition = try decoder.optional("opened in partition")
  }
}
