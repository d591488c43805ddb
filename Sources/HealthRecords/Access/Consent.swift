public import Primitives
import Signing
public import Wire

/// To whom a consent speaks.
public enum Grantee: Sendable, Hashable {
  /// One account: a practitioner or third party.
  case account(Digest)
  /// Every practitioner of a hospital.
  case hospital(MemberID)
  /// Practitioners of one role at a hospital.
  case role(UInt32, at: MemberID)
}

extension Grantee: WireCodable {
  /// A form byte, then its parts.
  public func encode(into encoder: inout Encoder) {
    switch self {
    case .account(let account): encoder.u8(1); encoder.digest(account)
    case .hospital(let member): encoder.u8(2); encoder.item(member)
    case .role(let role, let member): encoder.u8(3); encoder.u32(role); encoder.item(member)
    }
  }
  /// Reads a grantee.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    switch try decoder.u8() {
    case 1: self = .account(try decoder.digest())
    case 2: self = .hospital(try MemberID(from: &decoder))
    case 3: self = .role(try decoder.u32(), at: try MemberID(from: &decoder))
    default: throw .invalid(at: start, field: "grantee")
    }
  }
}

/// Which records a consent is about.
public enum ConsentScope: Sendable, Hashable {
  /// The most records that one names.
  public static let recordsMax = 256
  /// All of the pseudonym's records, now and later.
  case all
  /// The records of some categories, as bits by raw value.
  case categories(UInt32)
  /// Named records.
  case records([Digest])

  /// Whether it covers a record.
  public func covers(_ record: Digest, of category: RecordCategory) -> Bool {
    switch self {
    case .all: true
    case .categories(let bits): bits & (1 << UInt32(category.rawValue)) != 0
    case .records(let records): records.contains(record)
    }
  }
}

extension ConsentScope: WireCodable {
  /// A form byte, then its parts.
  public func encode(into encoder: inout Encoder) {
    switch self {
    case .all: encoder.u8(1)
    case .categories(let bits): encoder.u8(2); encoder.u32(bits)
    case .records(let records): encoder.u8(3); encoder.list(records)
    }
  }
  /// Reads a scope.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    switch try decoder.u8() {
    case 1: self = .all
    case 2: self = .categories(try decoder.u32())
    case 3: self = .records(try decoder.list(max: Self.recordsMax, "records"))
    default: throw .invalid(at: start, field: "scope")
    }
  }
}

/// `grantConsent`: what a patient grants or denies; signed by the pseudonym's key (RECORDS §4).
public struct ConsentGrant: Sendable, Hashable {
  /// The patient's account.
  public let patient: Digest
  /// Whether it is an explicit denial, which wins over every grant.
  public let isDenial: Bool
  /// To whom.
  public let grantee: Grantee
  /// For which records.
  public let scope: ConsentScope
  /// For which purposes.
  public let purposes: Purposes
  /// From when.
  public let from: Timestamp
  /// Until when, inclusive.
  public let until: Timestamp
  /// How many requests it may grant; nil for any number.
  public let usesMax: UInt32?

  /// A grant of given parts.
  public init(
    patient: Digest, isDenial: Bool, grantee: Grantee, scope: ConsentScope, purposes: Purposes,
    from: Timestamp, until: Timestamp, usesMax: UInt32?
  ) {
    (self.patient, self.isDenial, self.grantee, self.scope) = (patient, isDenial, grantee, scope)
    (self.purposes, self.from, self.until, self.usesMax) = (purposes, from, until, usesMax)
  }
}

extension ConsentGrant: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.patient)
    encoder.flag(self.isDenial)
    encoder.item(self.grantee)
    encoder.item(self.scope)
    encoder.u16(self.purposes.rawValue)
    encoder.item(self.from)
    encoder.item(self.until)
    encoder.flag(self.usesMax != nil)
    if let usesMax { encoder.u32(usesMax) }
  }
  /// Reads a grant.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.patient = try decoder.digest()
    self.isDenial = try decoder.flag("is denial")
    self.grantee = try Grantee(from: &decoder)
    self.scope = try ConsentScope(from: &decoder)
    let start = decoder.offset
    self.purposes = Purposes(rawValue: try decoder.u16())
    guard Purposes.all.contains(self.purposes), !self.purposes.isEmpty else {
      throw .invalid(at: start, field: "purposes")
    }
    self.from = try Timestamp(from: &decoder)
    self.until = try Timestamp(from: &decoder)
    self.usesMax = try decoder.flag("has uses") ? try decoder.u32() : nil
  }
}

/// A consent as the state keeps it; its identifier is its transaction's.
public struct ConsentEntry: Sendable, Hashable {
  /// What was granted or denied.
  public let grant: ConsentGrant
  /// The place of the grant in the log.
  public let leaf: UInt64
  /// When.
  public let time: Timestamp
  /// When it was revoked.
  public var revoked: Timestamp?
  /// How many requests it granted.
  public var uses: UInt32

  /// An entry of given parts.
  public init(grant: ConsentGrant, leaf: UInt64, time: Timestamp, revoked: Timestamp?, uses: UInt32) {
    (self.grant, self.leaf, self.time) = (grant, leaf, time)
    (self.revoked, self.uses) = (revoked, uses)
  }
}

extension ConsentEntry: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.grant)
    encoder.u64(self.leaf)
    encoder.item(self.time)
    encoder.optional(self.revoked)
    encoder.u32(self.uses)
  }
  /// Reads an entry.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.grant = try ConsentGrant(from: &decoder)
    self.leaf = try decoder.u64()
    self.time = try Timestamp(from: &decoder)
    self.revoked = try decoder.optional("revoked")
    self.uses = try decoder.u32()
  }
}

/// `revokeConsent`: immediate at its place in the order.
public struct ConsentRevocation: Sendable, Hashable {
  /// The patient's account.
  public let patient: Digest
  /// The consent.
  public let consent: Digest
  /// A revocation of given parts.
  public init(patient: Digest, consent: Digest) { (self.patient, self.consent) = (patient, consent) }
}

extension ConsentRevocation: WireCodable {
  /// Patient, consent.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.patient)
    encoder.digest(self.consent)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.patient = try decoder.digest()
    self.consent = try decoder.digest()
  }
}
