public import Primitives
public import Signing
public import Wire

/// A replica's number in its configuration.
public typealias ReplicaIndex = Int

/// What is signed with a member key in the ordering protocol; each kind has its own domain.
public protocol OrderingContent: WireCodable, Sendable, Hashable {
  /// The domain string, which ends in a zero byte.
  static var domain: String { get }
  /// The configuration in which it counts.
  var configuration: ConfigurationNumber { get }
}

/// Content with the signature of replica `signer`.
public struct Signed<Content: OrderingContent>: Sendable, Hashable {
  /// What is signed.
  public let content: Content
  /// Who signed it.
  public let signer: ReplicaIndex
  /// Over domain ‖ network ‖ content.
  public let signature: Signature

  /// Content with a signature that the caller has.
  public init(content: Content, signer: ReplicaIndex, signature: Signature) {
    (self.content, self.signer, self.signature) = (content, signer, signature)
  }

  /// The bytes that are signed.
  public static func signedBytes(_ content: Content, network: Digest) -> [UInt8] {
    Array(Content.domain.utf8) + network.bytes + content.encoded
  }

  /// Whether the signature is the signer's in `configuration`.
  public func isAuthentic(network: Digest, in configuration: Configuration) -> Bool {
    guard self.content.configuration == configuration.number, configuration.isVoter(self.signer) else {
      return false
    }
    return configuration.members[self.signer].key.verifies(
      self.signature, of: Self.signedBytes(self.content, network: network))
  }
}

extension Signed: WireCodable {
  /// Signer (u16), signature, content.
  public func encode(into encoder: inout Encoder) {
    encoder.u16(UInt16(self.signer))
    encoder.item(self.signature)
    encoder.item(self.content)
  }
  /// Reads what `encode` wrote.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.signer = Int(try decoder.u16())
    self.signature = try Signature(from: &decoder)
    self.content = try Content(from: &decoder)
  }
}

/// Where a vote counts and for what.
public struct Ballot: Sendable, Hashable {
  /// The configuration.
  public let configuration: ConfigurationNumber
  /// The view.
  public let view: View
  /// The sequence number.
  public let sequence: SequenceNumber
  /// The cut's digest.
  public let digest: Digest

  /// A ballot of given fields.
  public init(configuration: ConfigurationNumber, view: View, sequence: SequenceNumber, digest: Digest) {
    (self.configuration, self.view, self.sequence, self.digest) = (configuration, view, sequence, digest)
  }
}

extension Ballot: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.item(self.view)
    encoder.item(self.sequence)
    encoder.digest(self.digest)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.view = try View(from: &decoder)
    self.sequence = try SequenceNumber(from: &decoder)
    self.digest = try decoder.digest()
  }
}

/// The primary's proposal of a cut; counts as its prepare. Castro & Liskov 1999, §4.2.
public struct PrePrepare: OrderingContent {
  /// The domain.
  public static let domain = "consilium/pre-prepare/v1\0"
  /// The configuration.
  public let configuration: ConfigurationNumber
  /// The view.
  public let view: View
  /// The sequence number.
  public let sequence: SequenceNumber
  /// The proposed cut.
  public let cut: Cut

  /// A proposal of given fields.
  public init(configuration: ConfigurationNumber, view: View, sequence: SequenceNumber, cut: Cut) {
    (self.configuration, self.view, self.sequence, self.cut) = (configuration, view, sequence, cut)
  }
  /// The ballot that votes for it name.
  public var ballot: Ballot {
    Ballot(
      configuration: self.configuration, view: self.view, sequence: self.sequence, digest: self.cut.digest)
  }
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.item(self.view)
    encoder.item(self.sequence)
    encoder.item(self.cut)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.view = try View(from: &decoder)
    self.sequence = try SequenceNumber(from: &decoder)
    self.cut = try Cut(from: &decoder)
  }
}

/// A backup holds a proposal and all its blocks durably. Castro & Liskov 1999, §4.2.
public struct Prepare: OrderingContent {
  /// The domain.
  public static let domain = "consilium/prepare/v1\0"
  /// For what.
  public let ballot: Ballot
  /// A prepare for `ballot`.
  public init(_ ballot: Ballot) { self.ballot = ballot }
  /// The ballot's.
  public var configuration: ConfigurationNumber { self.ballot.configuration }
  /// The ballot.
  public func encode(into encoder: inout Encoder) { encoder.item(self.ballot) }
  /// Reads the ballot.
  public init(from decoder: inout Decoder) throws(WireError) { self.ballot = try Ballot(from: &decoder) }
}

/// A replica holds a prepared certificate durably. Castro & Liskov 1999, §4.2.
public struct Commit: OrderingContent {
  /// The domain.
  public static let domain = "consilium/commit/v1\0"
  /// For what.
  public let ballot: Ballot
  /// A commit for `ballot`.
  public init(_ ballot: Ballot) { self.ballot = ballot }
  /// The ballot's.
  public var configuration: ConfigurationNumber { self.ballot.configuration }
  /// The ballot.
  public func encode(into encoder: inout Encoder) { encoder.item(self.ballot) }
  /// Reads the ballot.
  public init(from decoder: inout Decoder) throws(WireError) { self.ballot = try Ballot(from: &decoder) }
}

/// One replica's signature inside a certificate.
public struct VoteSignature: Sendable, Hashable {
  /// Whose.
  public let signer: ReplicaIndex
  /// The signature.
  public let signature: Signature
  /// A signature of `signer`.
  public init(signer: ReplicaIndex, signature: Signature) { (self.signer, self.signature) = (signer, signature) }
}

extension VoteSignature: WireCodable {
  /// Signer (u16), signature.
  public func encode(into encoder: inout Encoder) {
    encoder.u16(UInt16(self.signer))
    encoder.item(self.signature)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.signer = Int(try decoder.u16())
    self.signature = try Signature(from: &decoder)
  }
}
