public import Messages
public import Primitives
public import Signing
public import Threshold
internal import Wire

/// A task with everything that it needs to know of the state.
public enum CustodyJob: Sendable {
  /// Registers a transport key of a member, another than the one that is registered.
  case register(MemberID, registered: GroupElement?)
  /// Deals to recipients.
  case deal(DealingContext, threshold: Int, recipients: [Recipient])
  /// Deals the own share of a key, which stands in earlier dealings, to those to whom the key goes over.
  case share(DealingContext, threshold: Int, recipients: [Recipient], key: CustodyKey, place: Int, dealings: [Dealt])
  /// Judges dealings, whose boxes for this member's registered key stand at `place`.
  case examine(attempt: UInt64, registered: GroupElement, place: Int, dealings: [Dealt])

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

/// A member's transport secrets, from which it can read its shares out of the dealings at any time: no share is stored.
///
/// ⚑ Each is drawn by lot and is nobody's but its epoch's: what was dealt to it cannot be read any more once it is
/// forgotten, whatever is stolen later (RECORDS §5, "refresh").
public struct CustodianSecrets: Sendable, Hashable {
  /// The newest last; mostly one, two while a key goes over.
  private var secrets: [Scalar]

  /// None yet.
  public init() { self.secrets = [] }

  /// Those that `bytes` gave, 32 for each; nil where they are no secrets.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count.isMultiple(of: 32) else { return nil }
    let secrets = stride(from: 0, to: bytes.count, by: 32).map { Scalar(Array(bytes[$0..<$0 + 32])) }
    guard !secrets.contains(nil) else { return nil }
    self.secrets = secrets.compactMap(\.self)
  }

  /// What keeps them.
  public var bytes: [UInt8] { self.secrets.flatMap(\.bytes) }

  /// Draws a secret where the newest is on the ledger already; says whether there is one to keep. ⚑ It must be kept
  /// before its key is stated.
  public mutating func prepare(for job: CustodyJob, random: (Int) -> [UInt8]) -> Bool {
    guard case .register(_, let registered) = job else { return false }
    if let last = self.secrets.last, last.times != registered { return false }
    self.secrets.append(Scalar(reducing: random(64)))
    return true
  }

  /// Forgets all but the one whose key is registered, or all where none is, once nothing is read with the others any
  /// more; says whether there were others.
  public mutating func forget(besides registered: GroupElement?) -> Bool {
    let kept = self.secrets.filter { $0.times == registered }
    guard kept.count < self.secrets.count else { return false }
    self.secrets = kept
    return true
  }

  /// Does a job with fresh random bytes; says what is to be stated on the ledger, in this order.
  public func perform(
    _ job: CustodyJob, as member: ReplicaIndex, network: Digest, random: (Int) -> [UInt8]
  ) -> [CustodyStatement] {
    switch job {
    case .register(let identifier, _):
      guard let secret = self.secrets.last else { return [] }
      let nonce = Scalar(reducing: random(64))
      return [.transportKey(TransportKey(secret: secret, nonce: nonce, network: network, member: identifier))]
    case .deal(let context, let threshold, let recipients):
      let dealing = Dealing(
        threshold: threshold, to: recipients.map { ($0.member, $0.key) }, context: context, random: random)
      return [.dealing(DealingStatement(attempt: context.attempt, dealing: dealing))]
    case .share(let context, let threshold, let recipients, let key, let place, let dealings):
      guard let share = self.keyShare(of: key, as: member, from: dealings, at: place) else { return [] }
      let dealing = share.deal(
        threshold: threshold, to: recipients.map { ($0.member, $0.key) }, context: context, random: random)
      return [.dealing(DealingStatement(attempt: context.attempt, dealing: dealing))]
    case .examine(let attempt, let registered, let place, let dealings):
      // Whoever lost its secret can accuse nobody.
      guard let secret = self.secrets.first(where: { $0.times == registered }) else { return [] }
      var statements: [CustodyStatement] = []
      var good = ReplicaSet()
      for dealt in dealings {
        guard Self.share(of: dealt, for: member, at: place, secret) == nil else {
          good.insert(dealt.context.dealer)
          continue
        }
        let nonce = Scalar(reducing: random(64))
        statements.append(
          .complaint(DealingComplaint(about: dealt.dealing, context: dealt.context, secret: secret, nonce: nonce)))
      }
      return statements + [.confirmation(ShareConfirmation(attempt: attempt, good: good))]
    }
  }

  /// An accusation without a reason, as a liar makes it.
  package func complaint(of dealt: CustodyJob.Dealt, nonce: Scalar) -> DealingComplaint? {
    self.secrets.last.map {
      DealingComplaint(about: dealt.dealing, context: dealt.context, secret: $0, nonce: nonce)
    }
  }

  private static func share(
    of dealt: CustodyJob.Dealt, for member: ReplicaIndex, at place: Int, _ secret: Scalar
  ) -> Scalar? {
    let shared = secret * dealt.dealing.ephemeral
    return dealt.dealing.share(for: member, at: place, shared: shared, context: dealt.context)
  }

  /// A member's share of a key, from the dealings that were agreed on; nil where it has none.
  public func keyShare(
    of key: CustodyKey, as member: ReplicaIndex, from dealings: [CustodyJob.Dealt], at place: Int
  ) -> KeyShare? {
    for secret in self.secrets.reversed() {
      let parts = dealings.compactMap { dealt in
        Self.share(of: dealt, for: member, at: place, secret).map { (dealer: dealt.context.dealer, share: $0) }
      }
      if parts.count == dealings.count { return KeyShare(member: member, of: key, parts: parts) }
    }
    return nil
  }
}
