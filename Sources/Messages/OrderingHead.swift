public import Primitives
public import Signing
internal import Wire

/// What a vote or view message says of itself, read from its first bytes: nothing in it is verified, or even decoded
/// (LEDGER §11.10).
public struct OrderingHead: Sendable, Hashable {
  /// Kinds of ordering messages that one member signs.
  public enum Kind: UInt8, Sendable, Hashable {
    /// A proposal.
    case prePrepare = 1
    /// A vote.
    case prepare
    /// A vote.
    case commit
    /// A wish for another view.
    case viewChange
    /// The start of a view.
    case newView
  }

  /// What it is.
  public let kind: Kind
  /// Who is said to have signed it.
  public let signer: ReplicaIndex
  /// The signature, which stands for all of its content.
  public let signature: Signature
  /// The configuration in which it counts.
  public let configuration: ConfigurationNumber
  /// The view.
  public let view: View
  /// The sequence number of a proposal or a vote; zero of others.
  public let sequence: SequenceNumber
  /// What a vote is for; zero of others.
  public let digest: Digest

  /// A head of given parts.
  public init(
    _ kind: Kind, signer: ReplicaIndex, signature: Signature, configuration: ConfigurationNumber, view: View,
    sequence: SequenceNumber = .zero, digest: Digest = .zero
  ) {
    (self.kind, self.signer, self.signature) = (kind, signer, signature)
    (self.configuration, self.view, self.sequence, self.digest) = (configuration, view, sequence, digest)
  }

  /// The head of an encoded ordering message that begins at an index of some bytes; nil where there is none, and of a
  /// decision.
  ///
  /// - Complexity: O(1).
  public init?(in bytes: [UInt8], at start: Int) {
    var decoder = Decoder(Array(bytes.dropFirst(start).prefix(Self.lengthBytesMax)))
    do {
      let type = try decoder.u8()
      guard let kind = Kind(rawValue: type == OrderingMessage.packedType ? Kind.newView.rawValue : type) else {
        return nil
      }
      self.kind = kind
      self.signer = Int(try decoder.u16())
      self.signature = try Signature(from: &decoder)
      self.configuration = try ConfigurationNumber(from: &decoder)
      self.view = try View(from: &decoder)
      switch kind {
      case .prePrepare:
        self.sequence = try SequenceNumber(from: &decoder)
        self.digest = .zero
      case .prepare, .commit:
        self.sequence = try SequenceNumber(from: &decoder)
        self.digest = try decoder.digest()
      case .viewChange, .newView: (self.sequence, self.digest) = (.zero, .zero)
      }
    } catch { return nil }
  }

  /// Type, signer, signature, configuration, view, sequence number, digest.
  private static let lengthBytesMax = 1 + 2 + Signature.lengthBytes + 4 + 8 + 8 + 32
}
