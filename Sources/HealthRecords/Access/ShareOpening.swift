public import Primitives
public import Signing
public import Threshold
internal import Wire

/// What a custodian opens for a granted request: made by the machine that judged it, done by the holder of the share.
public struct ShareOpening: Sendable {
  /// The capsule, which is valid for its record.
  public let capsule: Capsule
  /// The custody key to which it is sealed.
  public let custody: CustodyKey
  /// To which key the share is sealed.
  public let ephemeralKey: Digest
  /// What the share is proved and signed for.
  public let context: OpeningContext

  package init(capsule: Capsule, custody: CustodyKey, ephemeralKey: Digest, context: OpeningContext) {
    (self.capsule, self.custody) = (capsule, custody)
    (self.ephemeralKey, self.context) = (ephemeralKey, context)
  }

  /// The share of a member for it, signed and sealed; nil where the reader's key is none.
  public func sealed(
    with share: KeyShare, nonce: Scalar, signedBy key: borrowing SigningKey
  ) -> SealedShare? {
    let released = ReleasedShare(self.capsule, with: share, nonce: nonce, context: self.context, signedBy: key)
    return SealedBox.seal(released.encoded, to: self.ephemeralKey.bytes).map {
      SealedShare(member: share.member, box: $0)
    }
  }
}
