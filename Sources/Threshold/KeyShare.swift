public import Messages
public import Primitives
public import Signing
public import Wire

/// A custodian's secret share of a custody key, x_i: the sum of what the agreed dealers gave it.
public struct KeyShare: Sendable {
  /// Whose it is.
  public let member: ReplicaIndex
  private let value: Scalar

  /// The sum of what dealers gave, each by its weight; nil where it is not what the key's commitments say.
  public init?(member: ReplicaIndex, of key: CustodyKey, parts: [(dealer: ReplicaIndex, share: Scalar)]) {
    self.member = member
    self.value = parts.reduce(Scalar(0)) { $0 + key.weight(of: $1.dealer) * $1.share }
    guard self.value.times == key.verificationKey(of: member) else { return nil }
  }

  /// Deals this share itself to others, so that the key goes over to them: its first commitment is what everybody knows
  /// of the share (Desmedt & Jajodia 1997; Wong, Wang & Wing 2002).
  public func deal(
    threshold: Int, to recipients: [(member: ReplicaIndex, key: GroupElement)], context: DealingContext,
    random: (Int) -> [UInt8]
  ) -> Dealing {
    precondition(threshold >= 1, "a threshold of \(threshold)")
    let coefficients = [self.value] + (1..<threshold).map { _ in Scalar(reducing: random(64)) }
    return Dealing(
      coefficients: coefficients, secret: Scalar(reducing: random(64)), to: recipients, context: context)
  }

  /// What it contributes to opening a capsule, with a proof that it is right. The caller has checked that the capsule
  /// is valid for its label and that it may be opened.
  public func open(_ capsule: Capsule, nonce: Scalar, context: [UInt8]) -> CapsuleShare {
    let element = self.value * capsule.point
    let pair = CapsuleShare.pair(capsule, element, self.value.times)
    return CapsuleShare(
      element: element, proof: EqualityProof(of: pair, logarithm: self.value, nonce: nonce, context: context))
  }
}

/// One custodian's contribution to opening one capsule: x_i·point and the proof. Alone it says nothing about the key.
public struct CapsuleShare: Sendable, Hashable {
  let element: GroupElement
  let proof: EqualityProof

  /// Whether it is what that member's share makes of the capsule.
  public func isRight(for capsule: Capsule, by member: ReplicaIndex, of key: CustodyKey, context: [UInt8]) -> Bool {
    self.proof.holds(for: Self.pair(capsule, self.element, key.verificationKey(of: member)), context: context)
  }

  static func pair(_ capsule: Capsule, _ element: GroupElement, _ key: GroupElement) -> LogarithmPair {
    LogarithmPair(base: .generator, power: key, otherBase: capsule.point, otherPower: element)
  }
}

extension CapsuleShare: WireCodable {
  /// Element, proof: 96 bytes.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.element)
    encoder.item(self.proof)
  }
  /// Reads a share.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.element = try GroupElement(from: &decoder)
    self.proof = try EqualityProof(from: &decoder)
  }
}

extension Capsule {
  /// The key inside, from t shares that were found right, of different members; nil where there are fewer, or where
  /// they do not open it: then whoever made the capsule lied.
  public func open(
    with shares: [ReplicaIndex: CapsuleShare], of key: CustodyKey, label: Digest
  ) -> [UInt8]? {
    let members = shares.keys.sorted().prefix(key.threshold)
    guard members.count == key.threshold else { return nil }
    let shared = members.reduce(GroupElement.identity) { sum, member in
      guard let share = shares[member] else { return sum }
      return sum + Polynomial.weight(of: member, among: Array(members)) * share.element
    }
    return self.open(with: shared, key, label: label)
  }
}
