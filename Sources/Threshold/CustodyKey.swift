public import Messages
public import Primitives
public import Signing
public import Wire

/// The public half of a custody key: x·G, and commitments to the polynomial whose values are the custodians' shares.
public struct CustodyKey: Sendable, Hashable {
  /// Which generation it is of; the first is 1.
  public let generation: UInt64
  /// The sums of the agreed dealings' commitments: t of them. The first is the public key.
  public let commitments: [GroupElement]
  /// The members that stated a good share: only they are custodians.
  public let custodians: ReplicaSet

  /// A key of given parts, with at least one commitment.
  public init(generation: UInt64, commitments: [GroupElement], custodians: ReplicaSet) {
    precondition(!commitments.isEmpty, "a custody key without a commitment")
    (self.generation, self.commitments, self.custodians) = (generation, commitments, custodians)
  }

  /// X = x·G.
  public var publicKey: GroupElement { self.commitments[0] }
  /// t: so many shares open a capsule, and fewer say nothing.
  public var threshold: Int { self.commitments.count }
  /// The digest that capsules and labels name it by: of generation and commitments, for custodians can be added.
  public var identifier: Digest {
    var encoder = Encoder()
    encoder.u64(self.generation)
    encoder.list(self.commitments)
    return Hash.blake2b("consilium/custody-key/v1", encoder.bytes)
  }

  /// x_i·G of a member: what its shares are checked against.
  public func verificationKey(of member: ReplicaIndex) -> GroupElement {
    Polynomial.evaluate(self.commitments, at: member)
  }
}

extension CustodyKey: WireCodable {
  /// Generation, commitments, custodians.
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.generation)
    encoder.list(self.commitments)
    encoder.item(self.custodians)
  }
  /// Reads a key.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.generation = try decoder.bounded("generation")
    let start = decoder.offset
    self.commitments = try decoder.list(max: ReplicaSet.countMax, "commitments")
    self.custodians = try ReplicaSet(from: &decoder)
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
