public import Messages
public import Primitives
public import Signing
public import Wire

/// Which opening of which capsule: what a custodian's share is proved and signed for.
public struct OpeningContext: Sendable, Hashable {
  /// The network.
  public let network: Digest
  /// The granted request.
  public let request: Digest
  /// The digest of the capsule, as it was anchored.
  public let capsule: Digest
  /// The generation of the custody key.
  public let generation: UInt64
  /// The epoch whose shares count.
  public let epoch: UInt64

  /// The opening of a capsule under a custody key.
  public init(network: Digest, request: Digest, capsule: Digest, custody: CustodyKey) {
    (self.network, self.request, self.capsule) = (network, request, capsule)
    (self.generation, self.epoch) = (custody.generation, custody.epoch)
  }

  var bytes: [UInt8] {
    var encoder = Encoder()
    encoder.raw(Array("consilium/release-share/v1\0".utf8))
    for digest in [self.network, self.request, self.capsule] { encoder.digest(digest) }
    encoder.u64(self.generation)
    encoder.u64(self.epoch)
    return encoder.bytes
  }
}

/// A custodian's share for one request, under its member signature: wrong ones convict their author.
public struct ReleasedShare: Sendable, Hashable {
  /// The custodian.
  public let member: ReplicaIndex
  private let share: CapsuleShare
  private let signature: Signature

  /// Opens a capsule with a key share for a request, and signs it. The caller has checked both.
  public init(
    _ capsule: Capsule, with keyShare: KeyShare, nonce: Scalar, context: OpeningContext,
    signedBy key: borrowing SigningKey
  ) {
    self.init(
      keyShare.open(capsule, nonce: nonce, context: context.bytes), member: keyShare.member, context: context,
      signedBy: key)
  }

  package init(_ share: CapsuleShare, member: ReplicaIndex, context: OpeningContext, signedBy key: borrowing SigningKey)
  {
    (self.member, self.share) = (member, share)
    self.signature = key.sign(Self.signedBytes(share, member, context))
  }

  private static func signedBytes(_ share: CapsuleShare, _ member: ReplicaIndex, _ context: OpeningContext) -> [UInt8] {
    context.bytes + Scalar(member).bytes + share.encoded
  }

  /// What a share comes to.
  public enum Verdict: Sendable, Hashable {
    /// It is right.
    case right
    /// It is wrong, and its author signed it.
    case wrong
    /// Its author did not sign it: it says nothing about anybody.
    case unsigned
  }

  /// Whether it is right, by a key's commitments and its author's member key.
  public func judge(
    for capsule: Capsule, of key: CustodyKey, context: OpeningContext, author: PublicKey
  ) -> Verdict {
    guard author.verifies(self.signature, of: Self.signedBytes(self.share, self.member, context)) else {
      return .unsigned
    }
    return self.share.isRight(for: capsule, by: self.member, of: key, context: context.bytes) ? .right : .wrong
  }

  /// The share inside.
  var content: CapsuleShare { self.share }
}

extension ReleasedShare: WireCodable {
  /// Member, share, signature.
  public func encode(into encoder: inout Encoder) {
    encoder.u16(UInt16(self.member))
    encoder.item(self.share)
    encoder.item(self.signature)
  }
  /// Reads a share.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    self.member = Int(try decoder.u16())
    guard self.member < ReplicaSet.countMax else { throw .invalid(at: start, field: "custodian") }
    self.share = try CapsuleShare(from: &decoder)
    self.signature = try Signature(from: &decoder)
  }
}

/// The reader's side of an opening: shares come in any order, wrong ones are set aside with their authors' names, and
/// t right ones give the key.
public struct Combination: Sendable {
  private let capsule: Capsule
  private let custody: CustodyKey
  private let label: Digest
  private let context: OpeningContext
  private let members: [PublicKey]
  private var right: [ReplicaIndex: CapsuleShare] = [:]
  /// Wrong shares that their authors signed: evidence.
  public private(set) var wrong: [ReleasedShare] = []

  /// An opening of a capsule; `members` are the members' keys in order.
  public init(_ capsule: Capsule, of custody: CustodyKey, label: Digest, context: OpeningContext, members: [PublicKey])
  {
    (self.capsule, self.custody, self.label) = (capsule, custody, label)
    (self.context, self.members) = (context, members)
  }

  /// Takes a share.
  @discardableResult
  public mutating func take(_ share: ReleasedShare) -> ReleasedShare.Verdict {
    guard self.members.indices.contains(share.member) else { return .unsigned }
    let verdict = share.judge(
      for: self.capsule, of: self.custody, context: self.context, author: self.members[share.member])
    switch verdict {
    case .right: self.right[share.member] = share.content
    case .wrong where planted(.wrongShareTaken): self.right[share.member] = share.content
    case .wrong: self.wrong.append(share)
    case .unsigned: break
    }
    return verdict
  }

  /// Whether t right shares are there.
  public var isComplete: Bool { self.right.count >= self.custody.threshold }
  /// Those whose shares need not be asked for again: right, or proven wrong.
  public var settled: ReplicaSet {
    var out = ReplicaSet()
    for member in self.right.keys { out.insert(member) }
    for share in self.wrong { out.insert(share.member) }
    return out
  }
  /// The record's key; nil before t right shares are there, and where the capsule's maker lied.
  public var key: [UInt8]? { self.capsule.open(with: self.right, of: self.custody, label: self.label) }
}
