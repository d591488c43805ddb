public import Primitives
import Rules
public import Signing
public import Wire

/// What the holder of a key signs with it before it becomes an account's or a session's.
///
/// ⚑ Blocks are read by all members before they are ordered: without this another hospital would register a key that it
/// saw there, and its holder never could (RECORDS §2).
public struct KeyPossession: Sendable, Hashable {
  private static let domain = Array("consilium/key/v1\0".utf8)
  /// The network identifier.
  public let network: Digest
  /// The hospital in whose lane the key is named.
  public let hospital: MemberID
  /// What has the key; nil for a session.
  public let kind: AccountKind?
  /// The account's X25519 key; zero for a session.
  public let sealingKey: Digest

  /// What is said of an account's keys.
  public init(network: Digest, hospital: MemberID, kind: AccountKind, sealingKey: Digest) {
    (self.network, self.hospital, self.kind, self.sealingKey) = (network, hospital, kind, sealingKey)
  }

  /// What is said of a session's key.
  public init(sessionAt hospital: MemberID, network: Digest) {
    (self.network, self.hospital, self.kind, self.sealingKey) = (network, hospital, nil, .zero)
  }

  /// Domain, network, hospital, the account's kind or 0, sealing key.
  public var signedBytes: [UInt8] {
    var encoder = Encoder()
    encoder.raw(Self.domain)
    encoder.digest(self.network)
    encoder.item(self.hospital)
    encoder.u8(self.kind?.rawValue ?? 0)
    encoder.digest(self.sealingKey)
    return encoder.bytes
  }

  /// Whether the holder of a key signed this.
  public func isProved(by proof: Signature, of key: PublicKey) -> Bool { key.verifies(proof, of: self.signedBytes) }
}

/// What names a key, and what its holder signed (`KeyPossession`).
public struct Proven<Claim: WireCodable & Sendable & Hashable>: Sendable, Hashable {
  /// What names the key.
  public let claim: Claim
  /// Its holder's signature; nil under the first rules, which know none.
  public let proof: Signature?

  /// A claim with its proof.
  public init(_ claim: Claim, proof: Signature?) { (self.claim, self.proof) = (claim, proof) }
}

extension Proven: WireCodable {
  /// The claim, and the proof where there is one.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.claim)
    if let proof { encoder.item(proof) }
  }
  /// Reads both, to the end.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.claim = try Claim(from: &decoder)
    self.proof = try decoder.remaining > 0 ? Signature(from: &decoder) : nil
  }
}

extension RuleContext {
  /// The payload of what names a key. ⚑ The first rules know no proof behind it: there it is malformed, as it was.
  func proven<Claim: WireCodable & Sendable & Hashable>(in state: StateEditor) throws -> Proven<Claim> {
    guard self.isSecond(in: state) else { return Proven(try self.payload(), proof: nil) }
    return try self.payload()
  }

  /// ⚑ Requires that a key's holder said that it is to be an account's of a kind, or a session's, at this hospital.
  func requireHolder(
    of key: PublicKey, as kind: AccountKind?, sealingKey: Digest, proof: Signature?, in state: StateEditor
  ) throws(Refusal) {
    guard self.isSecond(in: state), !planted(.possessionUnproven) else { return }
    let (network, hospital) = (self.execution.network, self.hospital)
    let possession =
      kind.map { KeyPossession(network: network, hospital: hospital, kind: $0, sealingKey: sealingKey) }
      ?? KeyPossession(sessionAt: hospital, network: network)
    guard let proof, possession.isProved(by: proof, of: key) else { throw .badEvidence }
  }
}
