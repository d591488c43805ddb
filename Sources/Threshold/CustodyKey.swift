public import Messages
public import Primitives
public import Signing
public import Wire

/// The public half of a custody key: x·G, and commitments to the polynomial whose values are the custodians' shares.
public struct CustodyKey: Sendable, Hashable {
  /// Which generation it is of; the first is 1.
  public let generation: UInt64
  /// How often it went over to other custodians; shares of another epoch do not fit.
  public let epoch: UInt64
  /// The sums of the agreed dealings' commitments: t of them. The first is the public key.
  public let commitments: [GroupElement]
  /// The members that stated a good share: only they are custodians.
  public let custodians: ReplicaSet
  /// The try whose dealings the shares are read out of.
  public let attempt: UInt64
  /// The dealers whose dealings count.
  public let dealers: ReplicaSet
  /// The members to which they dealt.
  public let participants: ReplicaSet

  /// A key of given parts, with at least one commitment.
  public init(
    generation: UInt64, epoch: UInt64 = 0, commitments: [GroupElement], custodians: ReplicaSet, attempt: UInt64,
    dealers: ReplicaSet, participants: ReplicaSet
  ) {
    precondition(!commitments.isEmpty, "a custody key without a commitment")
    (self.generation, self.epoch, self.commitments) = (generation, epoch, commitments)
    (self.custodians, self.attempt) = (custodians, attempt)
    (self.dealers, self.participants) = (dealers, participants)
  }

  /// The key that the agreed dealings of a try make: their sum for a new one, and for one that goes over to other
  /// custodians the sum by which their secrets combine to the old secret (Desmedt & Jajodia 1997). Nil of none.
  public init?(_ generation: KeyGeneration, dealings: [(dealer: ReplicaIndex, dealing: Dealing)]) {
    var dealers = ReplicaSet()
    for dealt in dealings { dealers.insert(dealt.dealer) }
    var sums: [GroupElement] = []
    for (dealer, dealing) in dealings {
      let weight = generation.epoch == 0 ? Scalar(1) : Polynomial.weight(of: dealer, among: dealers.members)
      let parts = dealing.commitments.map { generation.epoch == 0 ? $0 : weight * $0 }
      sums = sums.isEmpty ? parts : zip(sums, parts).map { $0 + $1 }
    }
    guard !sums.isEmpty else { return nil }
    self.init(
      generation: generation.generation, epoch: generation.epoch, commitments: sums,
      custodians: generation.custodians, attempt: generation.attempt, dealers: dealers,
      participants: generation.participants)
  }

  /// The same with other custodians: those who stated later that their shares are good.
  public func with(custodians: ReplicaSet) -> CustodyKey {
    CustodyKey(
      generation: self.generation, epoch: self.epoch, commitments: self.commitments, custodians: custodians,
      attempt: self.attempt, dealers: self.dealers, participants: self.participants)
  }

  /// What one dealer's part counts in a member's share.
  func weight(of dealer: ReplicaIndex) -> Scalar {
    self.epoch == 0 ? Scalar(1) : Polynomial.weight(of: dealer, among: self.dealers.members)
  }

  /// X = x·G.
  public var publicKey: GroupElement { self.commitments[0] }
  /// t: so many shares open a capsule, and fewer say nothing.
  public var threshold: Int { self.commitments.count }
  /// The digest that capsules and labels name it by: of generation and public key, for custodians change.
  public var identifier: Digest {
    var encoder = Encoder()
    encoder.u64(self.generation)
    encoder.item(self.publicKey)
    return Hash.blake2b("consilium/custody-key/v1", encoder.bytes)
  }

  /// x_i·G of a member: what its shares are checked against.
  public func verificationKey(of member: ReplicaIndex) -> GroupElement {
    Polynomial.evaluate(self.commitments, at: member)
  }
}

extension CustodyKey: WireCodable {
  /// Generation, epoch, commitments, custodians, attempt, dealers, participants.
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.generation)
    encoder.u64(self.epoch)
    encoder.list(self.commitments)
    encoder.item(self.custodians)
    encoder.u64(self.attempt)
    encoder.item(self.dealers)
    encoder.item(self.participants)
  }
  /// Reads a key.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.generation = try decoder.bounded("generation")
    self.epoch = try decoder.bounded("epoch")
    let start = decoder.offset
    self.commitments = try decoder.list(max: ReplicaSet.countMax, "commitments")
    self.custodians = try ReplicaSet(from: &decoder)
    self.attempt = try decoder.bounded("attempt")
    self.dealers = try ReplicaSet(from: &decoder)
    self.participants = try ReplicaSet(from: &decoder)
    guard !self.commitments.isEmpty else { throw .invalid(at: start, field: "commitments") }
  }
}

/// Polynomials over the scalars, in the clear and in the exponent. Member i's point is i + 1.
enum Polynomial {
  static func point(of member: ReplicaIndex) -> Scalar { Scalar(member + 1) }

  static func evaluate(_ coefficients: [Scalar], at member: ReplicaIndex) -> Scalar {
    let point = self.point(of: member)
    return coefficients.reversed().reduce(Scalar(0)) { $0 * point + $1 }
  }

  static func evaluate(_ commitments: [GroupElement], at member: ReplicaIndex) -> GroupElement {
    let point = self.point(of: member)
    return commitments.reversed().reduce(.identity) { point * $0 + $1 }
  }

  /// The weight of one member's share when those of `members` are combined at 0 (Lagrange).
  static func weight(of member: ReplicaIndex, among members: [ReplicaIndex]) -> Scalar {
    var (above, below) = (Scalar(1), Scalar(1))
    for other in members where other != member {
      above = above * self.point(of: other)
      below = below * (self.point(of: other) - self.point(of: member))
    }
    // Different members have different points, so there is an inverse.
    return above * (below.inverse ?? Scalar(0))
  }
}
