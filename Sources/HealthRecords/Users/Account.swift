public import Primitives
public import Signing
public import Wire

/// Who acts on the ledger besides its members (RECORDS §2).
public enum AccountKind: UInt8, Sendable, Hashable, CaseIterable {
  /// A doctor, nurse, pharmacist.
  case practitioner = 1
  /// A patient's pseudonym at one hospital.
  case patient = 2
  /// An agency, insurer, research site, auditor.
  case thirdParty = 3
  /// A device bound to a patient.
  case device = 4
}

/// Whether an account may act.
public enum AccountStatus: UInt8, Sendable, Hashable {
  /// It may.
  case active = 1
  /// Not now.
  case suspended = 2
  /// Never again.
  case revoked = 3
}

/// An account as the state keeps it.
///
/// Its identifier is the digest of its hospital and first key, and stays when the key is rotated.
public struct Account: Sendable, Hashable {
  /// What it is.
  public let kind: AccountKind
  /// The hospital that registered it.
  public let hospital: MemberID
  /// Its signing key now.
  public var key: PublicKey
  /// The X25519 key to which record keys are sealed.
  public var sealingKey: Digest
  /// A practitioner's role as a number of the NUCC taxonomy's table, or `privacyOfficer`; a third party's sort; 0 for
  /// patients.
  public let role: UInt32
  /// From when it may act.
  public let validFrom: Timestamp
  /// Until when.
  public let validUntil: Timestamp
  /// Whether it may act.
  public var status: AccountStatus
  /// When it was registered, in cut time.
  public let since: Timestamp

  /// An account of given parts.
  public init(
    kind: AccountKind, hospital: MemberID, key: PublicKey, sealingKey: Digest, role: UInt32, validFrom: Timestamp,
    validUntil: Timestamp, status: AccountStatus, since: Timestamp
  ) {
    (self.kind, self.hospital, self.key, self.sealingKey) = (kind, hospital, key, sealingKey)
    (self.role, self.validFrom, self.validUntil) = (role, validFrom, validUntil)
    (self.status, self.since) = (status, since)
  }

  /// The role of who reviews broken glass for a hospital: above all of NUCC's.
  public static let privacyOfficer: UInt32 = 1_000_000
  /// Whether it reviews broken glass.
  public var isPrivacyOfficer: Bool { self.kind == .practitioner && self.role == Self.privacyOfficer }

  /// The identifier of an account that starts with `key` at `hospital`.
  public static func identifier(network: Digest, hospital: MemberID, key: PublicKey) -> Digest {
    Hash.blake2b("consilium/account/v1", network.bytes, hospital.encoded, key.bytes)
  }

  /// Whether it may act at a time.
  public func isActive(at time: Timestamp) -> Bool {
    self.status == .active && self.validFrom <= time && time <= self.validUntil
  }
}

extension Account: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.u8(self.kind.rawValue)
    encoder.item(self.hospital)
    encoder.item(self.key)
    encoder.digest(self.sealingKey)
    encoder.u32(self.role)
    encoder.item(self.validFrom)
    encoder.item(self.validUntil)
    encoder.u8(self.status.rawValue)
    encoder.item(self.since)
  }
  /// Reads an account.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    guard let kind = AccountKind(rawValue: try decoder.u8()) else {
      throw .invalid(at: start, field: "account kind")
    }
    self.kind = kind
    self.hospital = try MemberID(from: &decoder)
    self.key = try PublicKey(from: &decoder)
    self.sealingKey = try decoder.digest()
    self.role = try decoder.u32()
    self.validFrom = try Timestamp(from: &decoder)
    self.validUntil = try Timestamp(from: &decoder)
    let statusAt = decoder.offset
    guard let status = AccountStatus(rawValue: try decoder.u8()) else {
      throw .invalid(at: statusAt, field: "account status")
    }
    self.status = status
    self.since = try Timestamp(from: &decoder)
  }
}

/// `registerAccount`: signed by the hospital's registrar (RECORDS §2).
public struct AccountRegistration: Sendable, Hashable {
  /// What is registered: a practitioner, a patient or a device.
  public let kind: AccountKind
  /// Its signing key.
  public let key: PublicKey
  /// Its X25519 key.
  public let sealingKey: Digest
  /// Role and specialty, or 0.
  public let role: UInt32
  /// From when it may act.
  public let validFrom: Timestamp
  /// Until when.
  public let validUntil: Timestamp

  /// A registration of given parts.
  public init(
    kind: AccountKind, key: PublicKey, sealingKey: Digest, role: UInt32, validFrom: Timestamp,
    validUntil: Timestamp
  ) {
    (self.kind, self.key, self.sealingKey, self.role) = (kind, key, sealingKey, role)
    (self.validFrom, self.validUntil) = (validFrom, validUntil)
  }
}

extension AccountRegistration: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.u8(self.kind.rawValue)
    encoder.item(self.key)
    encoder.digest(self.sealingKey)
    encoder.u32(self.role)
    encoder.item(self.validFrom)
    encoder.item(self.validUntil)
  }
  /// Reads a registration.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    guard let kind = AccountKind(rawValue: try decoder.u8()) else {
      throw .invalid(at: start, field: "account kind")
    }
    self.kind = kind
    self.key = try PublicKey(from: &decoder)
    self.sealingKey = try decoder.digest()
    self.role = try decoder.u32()
    self.validFrom = try Timestamp(from: &decoder)
    self.validUntil = try Timestamp(from: &decoder)
  }
}

/// `rotateKey`: signed by the account's key so far.
public struct KeyRotation: Sendable, Hashable {
  /// The account.
  public let account: Digest
  /// Its key from now on.
  public let key: PublicKey
  /// A rotation of given parts.
  public init(account: Digest, key: PublicKey) { (self.account, self.key) = (account, key) }
}

extension KeyRotation: WireCodable {
  /// Account, key.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.account)
    encoder.item(self.key)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.account = try decoder.digest()
    self.key = try PublicKey(from: &decoder)
  }
}

/// `setStatus`: signed by the registrar of the account's hospital.
public struct StatusChange: Sendable, Hashable {
  /// The account.
  public let account: Digest
  /// What it is from now on. A revoked account stays revoked.
  public let status: AccountStatus
  /// A change of given parts.
  public init(account: Digest, status: AccountStatus) { (self.account, self.status) = (account, status) }
}

extension StatusChange: WireCodable {
  /// Account, status.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.account)
    encoder.u8(self.status.rawValue)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.account = try decoder.digest()
    let start = decoder.offset
    guard let status = AccountStatus(rawValue: try decoder.u8()) else {
      throw .invalid(at: start, field: "account status")
    }
    self.status = status
  }
}
