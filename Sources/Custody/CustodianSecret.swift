public import Messages
public import Primitives
public import Signing
public import Threshold
internal import Wire

/// A task with everything that it needs to know of the state.
public enum CustodyJob: Sendable {
  /// Registers the transport key of a member.
  case register(MemberID)
  /// Deals to recipients.
  case deal(DealingContext, threshold: Int, recipients: [Recipient])
  /// Deals the own share of a key, which stands in earlier dealings, to those to whom the key goes over.
  case share(DealingContext, threshold: Int, recipients: [Recipient], key: CustodyKey, place: Int, dealings: [Dealt])
  /// Judges dealings, whose boxes for this member stand at `place`.
  case examine(attempt: UInt64, place: Int, dealings: [Dealt])

  /// A member that gets a share.
  public struct Recipient: Sendable {
    /// Its place among the members.
    public let member: ReplicaIndex
    /// Its transport key.
    public let key: GroupElement
    /// A recipient of given parts.
    public init(member: ReplicaIndex, key: GroupElement) { (self.member, self.key) = (member, key) }
  }

  /// A dealing and whose it is.
  public struct Dealt: Sendable {
    /// The dealer and the try.
    public let context: DealingContext
    /// What was dealt.
    public let dealing: Dealing
    /// A dealing of given parts.
    public init(context: DealingContext, dealing: Dealing) { (self.context, self.dealing) = (context, dealing) }
  }
}

/// What a member says on the ledger about custody.
public enum CustodyStatement: Sendable {
  /// Its transport key.
  case transportKey(TransportKey)
  /// Its dealing.
  case dealing(DealingStatement)
  /// That a dealer gave it a bad share.
  case complaint(DealingComplaint)
  /// Whose shares are good.
  case confirmation(ShareConfirmation)
}

/// A member's transport secret, from which it can read its shares out of the dealings at any time: no share is stored.
public struct CustodianSecret: Sendable {
  private let secret: Scalar
  private let network: Digest
  /// Whose it is.
  public let member: ReplicaIndex

  /// The secret that follows from a hospital's sealing secret.
  public init(sealingSecret: [UInt8], network: Digest, member: ReplicaIndex) {
    let bytes = KeyDerivation.hkdf(
      secret: sealingSecret, salt: network.bytes, info: Array("consilium/transport-secret/v1".utf8), count: 64)
    (self.secret, self.network, self.member) = (Scalar(reducing: bytes), network, member)
  }

  /// Does a job with fresh random bytes; says what is to be stated on the ledger, in this order.
  public func perform(_ job: CustodyJob, random: (Int) -> [UInt8]) -> [CustodyStatement] {
    switch job {
    case .register(let identifier):
      let nonce = Scalar(reducing: random(64))
      return [
        .transportKey(TransportKey(secret: self.secret, nonce: nonce, network: self.network, member: identifier))
      ]
    case .deal(let context, let threshold, let recipients):
      let dealing = Dealing(
        threshold: threshold, to: recipients.map { ($0.member, $0.key) }, context: context, random: random)
      return [.dealing(DealingStatement(attempt: context.attempt, dealing: dealing))]
    case .share(let context, let threshold, let recipients, let key, let place, let dealings):
      guard let share = self.keyShare(of: key, from: dealings, at: place) else { return [] }
      let dealing = share.deal(
        threshold: threshold, to: recipients.map { ($0.member, $0.key) }, context: context, random: random)
      return [.dealing(DealingStatement(attempt: context.attempt, dealing: dealing))]
    case .examine(let attempt, let place, let dealings):
      var statements: [CustodyStatement] = []
      var good = ReplicaSet()
      for dealt in dealings {
        guard self.share(of: dealt, at: place) == nil else {
          good.insert(dealt.context.dealer)
          continue
        }
        statements.append(.complaint(self.complaint(of: dealt, nonce: Scalar(reducing: random(64)))))
      }
      return statements + [.confirmation(ShareConfirmation(attempt: attempt, good: good))]
    }
  }

  /// An accusation, whether there is a reason for it or not.
  package func complaint(of dealt: CustodyJob.Dealt, nonce: Scalar) -> DealingComplaint {
    DealingComplaint(about: dealt.dealing, context: dealt.context, secret: self.secret, nonce: nonce)
  }

  private func share(of dealt: CustodyJob.Dealt, at place: Int) -> Scalar? {
    let shared = self.secret * dealt.dealing.ephemeral
    return dealt.dealing.share(for: self.member, at: place, shared: shared, context: dealt.context)
  }

  /// This member's share of a key, from the dealings that were agreed on; nil where it has none.
  public func keyShare(of key: CustodyKey, from dealings: [CustodyJob.Dealt], at place: Int) -> KeyShare? {
    var parts: [(dealer: ReplicaIndex, share: Scalar)] = []
    for dealt in dealings {
      guard let share = self.share(of: dealt, at: place) else { return nil }
      parts.append((dealt.context.dealer, share))
    }
    return KeyShare(member: self.member, of: key, parts: parts)
  }
}
