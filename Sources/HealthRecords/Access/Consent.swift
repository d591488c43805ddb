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
  /// Whoever is in a care team.
  case careTeam(Digest)
}

extension Grantee: WireCodable {
  /// A form byte, then its parts.
  public func encode(into encoder: inout Encoder) {
    switch self {
    case .account(let account): encoder.u8(1); encoder.digest(account)
    case .hospital(let member): encoder.u8(2); encoder.item(member)
    case .role(let role, let member): encoder.u8(3); encoder.u32(role); encoder.item(member)
    case .careTeam(let team): encoder.u8(4); encoder.digest(team)
    }
  }
  /// Reads a grantee.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    switch try decoder.u8() {
    case 1: self = .account(try decoder.digest())
    case 2: self = .hospital(try MemberID(from: &decoder))
    case 3: self = .role(try decoder.u32(), at: try MemberID(from: &decoder))
    case 4: self = .careTeam(try decoder.digest())
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

/// What a consent lets its grantee do, as bits.
public struct ConsentActions: OptionSet, Sendable, Hashable {
  /// The bits.
  public let rawValue: UInt8
  /// The actions of `rawValue`.
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// Ask for records, and read them.
  public static let read = ConsentActions(rawValue: 1)
  /// Act as the patient's proxy: grant and revoke, within the consent's own bounds, in the patient's name.
  public static let share = ConsentActions(rawValue: 2)
  /// The words for commands and pages.
  public static let words: [(word: String, action: ConsentActions)] = [("read", .read), ("share", .share)]
  /// These actions' words.
  public var words: [String] { Self.words.filter { self.contains($0.action) }.map(\.word) }
}

/// `grantConsent`: what a patient grants or denies; signed by the pseudonym's key, by a proxy's, or, where it makes a
/// guardian, by the registrar of the patient's hospital (RECORDS §4).
public struct ConsentGrant: Sendable, Hashable {
  /// The patient's account.
  public let patient: Digest
  /// Whether it is an explicit denial, which wins over every grant.
  public let isDenial: Bool
  /// What the grantee may do; a denial is of everything.
  public let actions: ConsentActions
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
    patient: Digest, isDenial: Bool, actions: ConsentActions = .read, grantee: Grantee, scope: ConsentScope,
    purposes: Purposes, from: Timestamp, until: Timestamp, usesMax: UInt32?
  ) {
    self.actions = actions
    (self.patient, self.isDenial, self.grantee, self.scope) = (patient, isDenial, grantee, scope)
    (self.purposes, self.from, self.until, self.usesMax) = (purposes, from, until, usesMax)
  }
}

extension ConsentGrant: WireCodable {
  /// Patient; a byte that is 0 for a grant to read, 1 for a denial, 2 times the actions for other grants; the rest.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.patient)
    encoder.u8(self.isDenial ? 1 : self.actions == .read ? 0 : self.actions.rawValue << 1)
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
    let kindAt = decoder.offset
    let kind = try decoder.u8()
    self.isDenial = kind == 1
    self.actions = kind < 2 ? .read : ConsentActions(rawValue: kind >> 1)
    let known = kind < 2 || [.share, [.read, .share]].contains(self.actions)
    guard known, kind == 1 || kind.isMultiple(of: 2) else {
      throw .invalid(at: kindAt, field: "kind of consent")
    }
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

/// Who gave a consent.
public enum ConsentOrigin: Sendable, Hashable {
  /// The patient.
  case patient
  /// The registrar of the patient's hospital, who made somebody the patient's guardian.
  case registrar
  /// Somebody who acts for the patient, by the consent that says so.
  case proxy(by: Digest)
}

extension ConsentOrigin: WireCodable {
  /// A form byte, then its part.
  public func encode(into encoder: inout Encoder) {
    switch self {
    case .patient: encoder.u8(0)
    case .registrar: encoder.u8(1)
    case .proxy(let consent): encoder.u8(2); encoder.digest(consent)
    }
  }
  /// Reads an origin.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    switch try decoder.u8() {
    case 0: self = .patient
    case 1: self = .registrar
    case 2: self = .proxy(by: try decoder.digest())
    default: throw .invalid(at: start, field: "consent's origin")
    }
  }
}

/// A consent as the state keeps it; its identifier is its transaction's.
public struct ConsentEntry: Sendable, Hashable {
  /// What was granted or denied.
  public let grant: ConsentGrant
  /// By whom.
  public let origin: ConsentOrigin
  /// The place of the grant in the log.
  public let leaf: UInt64
  /// When.
  public let time: Timestamp
  /// When it was revoked.
  public var revoked: Timestamp?
  /// How many requests it granted.
  public var uses: UInt32

  /// An entry of given parts.
  public init(
    grant: ConsentGrant, origin: ConsentOrigin = .patient, leaf: UInt64, time: Timestamp, revoked: Timestamp?,
    uses: UInt32
  ) {
    (self.grant, self.origin, self.leaf, self.time) = (grant, origin, leaf, time)
    (self.revoked, self.uses) = (revoked, uses)
  }
}

extension ConsentEntry: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.grant)
    encoder.item(self.origin)
    encoder.u64(self.leaf)
    encoder.item(self.time)
    encoder.optional(self.revoked)
    encoder.u32(self.uses)
  }
  /// Reads an entry.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.grant = try ConsentGrant(from: &decoder)
    self.origin = try ConsentOrigin(from: &decoder)
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
