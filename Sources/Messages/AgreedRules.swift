public import Primitives
public import Wire

/// Which version of the rules of execution holds: what was executed under one is executed under it for ever, so that
/// every copy of a ledger gives the same (RECORDS §10).
///
/// ⚑ Every version is written in the same form, and so are the change and its approvals: a program judges whether rules
/// that it does not know were adopted, and stops at them, as one that knows them goes over to them.
public struct AgreedRules: Sendable, Hashable {
  /// The newest version that this program knows.
  public static let newest: UInt16 = 3
  /// The most time that an account may have to wait: 90 days.
  public static let emergencyAgeMillisecondsMax: UInt64 = 90 * 86_400_000
  /// The version, from 1.
  public let version: UInt16
  /// How old an account must be to break the glass, in milliseconds; 0 in version 1.
  public let emergencyAgeMilliseconds: UInt64

  /// Whether this program knows what they say.
  public var isKnown: Bool { self.version <= Self.newest }

  /// The first rules.
  public static let first = AgreedRules()
  private init() { (self.version, self.emergencyAgeMilliseconds) = (1, 0) }

  /// Rules of a version from 2 on that this program knows, with the time after which an account may break the glass;
  /// nil where there is no such version, or that is too long.
  public init?(version: UInt16 = AgreedRules.newest, emergencyAgeMilliseconds: UInt64) {
    guard (2...Self.newest).contains(version), emergencyAgeMilliseconds <= Self.emergencyAgeMillisecondsMax else {
      return nil
    }
    (self.version, self.emergencyAgeMilliseconds) = (version, emergencyAgeMilliseconds)
  }
}

extension AgreedRules: CustomStringConvertible {
  /// In words.
  public var description: String {
    "version \(self.version), an account breaks the glass after \(self.emergencyAgeMilliseconds / 3_600_000) hours"
  }
}

extension AgreedRules: WireCodable {
  /// Version, time.
  public func encode(into encoder: inout Encoder) {
    encoder.u16(self.version)
    encoder.u64(self.emergencyAgeMilliseconds)
  }
  /// Reads rules of any version, known here or not.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    (self.version, self.emergencyAgeMilliseconds) = (try decoder.u16(), try decoder.u64())
    guard self.version >= 1, self.emergencyAgeMilliseconds <= Self.emergencyAgeMillisecondsMax,
      self.version > 1 || self.emergencyAgeMilliseconds == 0
    else { throw .invalid(at: start, field: "version of the rules") }
  }
}

/// Rules that members are asked to approve: which, after how many adoptions, and until when.
public struct RulesChange: Sendable, Hashable {
  private static let domain = Array("consilium/rules/v1\0".utf8)
  /// The rules that are to hold.
  public let rules: AgreedRules
  /// How often rules were adopted before on this ledger: an approval counts once.
  public let adoptions: UInt64
  /// The cut time after which it is refused.
  public let validUntil: Timestamp

  /// A change of given parts.
  public init(rules: AgreedRules, adoptions: UInt64, validUntil: Timestamp) {
    (self.rules, self.adoptions, self.validUntil) = (rules, adoptions, validUntil)
  }

  /// What a member's registrar signs to approve it.
  public func signedBytes(network: Digest) -> [UInt8] { Self.domain + network.bytes + self.encoded }
}

extension RulesChange: WireCodable {
  /// Rules, adoptions, valid until.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.rules)
    encoder.u64(self.adoptions)
    encoder.item(self.validUntil)
  }
  /// Reads a change.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.rules = try AgreedRules(from: &decoder)
    self.adoptions = try decoder.u64()
    self.validUntil = try Timestamp(from: &decoder)
  }
}

/// Rules with the approvals of members' registrars, whose keys are not on the nodes.
///
/// ⚑ All approvals come in one transaction: until it is ordered a program that knows only the older rules and one that
/// knows these execute the same, and no single registrar parts them.
public struct ApprovedRules: Sendable, Hashable {
  /// The change.
  public let change: RulesChange
  /// Who approves, by ascending signer.
  public let approvals: [VoteSignature]

  /// A change with approvals, which are sorted here.
  public init(_ change: RulesChange, approvals: [VoteSignature]) {
    (self.change, self.approvals) = (change, approvals.sorted { $0.signer < $1.signer })
  }

  /// Whether Q distinct members of `configuration` approve, each by its registrar's key (⚑).
  public func isApproved(network: Digest, in configuration: Configuration) -> Bool {
    configuration.isApproved(
      self.change.signedBytes(network: network), by: self.approvals,
      needed: planted(.rulesUnapproved) ? 1 : configuration.quorum)
  }
}

extension ApprovedRules: WireCodable {
  /// Change, approvals.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.change)
    encoder.list(self.approvals)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.change = try RulesChange(from: &decoder)
    self.approvals = try decoder.list(max: ReplicaSet.countMax, "approvals")
  }
}
