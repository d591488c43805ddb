public import Primitives
public import Signing
public import Wire

/// A member's word that the ledger's state at a sequence number is the one that a manifest names (LEDGER §7).
///
/// f + 1 members' words for one manifest hold: one of them is honest, and it executed everything below.
public struct SnapshotOffer: Sendable, Hashable {
  /// The domain of the signature; no tree head's text has a zero byte, so that the key's two uses never meet.
  private static let domain = Array("consilium/snapshot/v1\0".utf8)

  /// The configuration in which the member speaks.
  public let configuration: ConfigurationNumber
  /// The snapshot's sequence number.
  public let sequence: SequenceNumber
  /// The manifest's digest.
  public let manifest: Digest
  /// The member.
  public let signer: ReplicaIndex
  /// By the member's checkpoint key, over domain ‖ network ‖ the fields above.
  public let signature: Signature

  /// Signs with the checkpoint key of replica `signer`.
  public init(
    _ sequence: SequenceNumber, manifest: Digest, in configuration: ConfigurationNumber, signer: ReplicaIndex,
    network: Digest, key: borrowing SigningKey
  ) {
    (self.configuration, self.sequence, self.manifest, self.signer) = (configuration, sequence, manifest, signer)
    self.signature = key.sign(Self.signedBytes(configuration, sequence, manifest, signer, network: network))
  }

  private static func signedBytes(
    _ configuration: ConfigurationNumber, _ sequence: SequenceNumber, _ manifest: Digest, _ signer: ReplicaIndex,
    network: Digest
  ) -> [UInt8] {
    var encoder = Encoder()
    encoder.raw(self.domain)
    encoder.digest(network)
    encoder.item(configuration)
    encoder.item(sequence)
    encoder.digest(manifest)
    encoder.u16(UInt16(signer))
    return encoder.bytes
  }

  /// Whether a voter of `configuration` signed it.
  public func isAuthentic(network: Digest, in configuration: Configuration) -> Bool {
    guard self.configuration == configuration.number, configuration.isVoter(self.signer) else { return false }
    return configuration.members[self.signer].checkpointKey.verifies(
      self.signature,
      of: Self.signedBytes(self.configuration, self.sequence, self.manifest, self.signer, network: network))
  }
}

extension SnapshotOffer: WireCodable {
  /// Configuration, sequence number, manifest, signer (u16), signature.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.item(self.sequence)
    encoder.digest(self.manifest)
    encoder.u16(UInt16(self.signer))
    encoder.item(self.signature)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.sequence = try SequenceNumber(from: &decoder)
    self.manifest = try decoder.digest()
    self.signer = Int(try decoder.u16())
    self.signature = try Signature(from: &decoder)
  }
}
