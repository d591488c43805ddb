public import Messages
public import Primitives
public import Signing
public import Wire

/// Which dealing, whose: what boxes and proofs of it are bound to.
public struct DealingContext: Sendable, Hashable {
  /// The network.
  public let network: Digest
  /// The attempt at a key that it belongs to.
  public let attempt: UInt64
  /// The dealer.
  public let dealer: ReplicaIndex

  /// A context of given parts.
  public init(network: Digest, attempt: UInt64, dealer: ReplicaIndex) {
    (self.network, self.attempt, self.dealer) = (network, attempt, dealer)
  }

  var bytes: [UInt8] {
    var encoder = Encoder()
    encoder.digest(self.network)
    encoder.u64(self.attempt)
    encoder.u16(UInt16(self.dealer))
    return encoder.bytes
  }
}

/// A member's key for receiving shares, with a proof that it knows the secret.
public struct TransportKey: Sendable, Hashable {
  /// Y = y·G.
  public let element: GroupElement
  private let proof: EqualityProof

  /// The key of a secret, proved with a fresh nonce for a member of a network.
  public init(secret: Scalar, nonce: Scalar, network: Digest, member: MemberID) {
    self.element = secret.times
    self.proof = EqualityProof(
      of: Self.pair(self.element), logarithm: secret, nonce: nonce, context: Self.context(network, member))
  }

  /// Whether its maker knew the secret, and made it for this member.
  public func isProved(network: Digest, member: MemberID) -> Bool {
    self.proof.holds(for: Self.pair(self.element), context: Self.context(network, member))
  }

  private static func pair(_ element: GroupElement) -> LogarithmPair {
    LogarithmPair(base: .generator, power: element, otherBase: .generator, otherPower: element)
  }

  private static func context(_ network: Digest, _ member: MemberID) -> [UInt8] {
    Array("consilium/transport-key/v1\0".utf8) + network.bytes + member.encoded
  }
}

extension TransportKey: WireCodable {
  /// Key, proof.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.element)
    encoder.item(self.proof)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.element = try GroupElement(from: &decoder)
    self.proof = try EqualityProof(from: &decoder)
  }
}

/// One member's part of a key: a polynomial's commitments (Feldman, FOCS 1987) and its value for each recipient, each
/// in a box of its own. Everybody sees the boxes; whoever got a bad one can open it for all to see.
public struct Dealing: Sendable, Hashable {
  /// t commitments; the first is the dealer's part of the public key.
  public let commitments: [GroupElement]
  /// R = r·G, fresh in each dealing.
  public let ephemeral: GroupElement
  /// The boxes, in the order of the recipients.
  public let boxes: [[UInt8]]

  static let boxLengthBytes = 32 + AEAD.tagLengthBytes

  /// Deals to recipients with a polynomial of `threshold` coefficients; the random source gives fresh bytes.
  public init(
    threshold: Int, to recipients: [(member: ReplicaIndex, key: GroupElement)], context: DealingContext,
    random: (Int) -> [UInt8]
  ) {
    precondition(threshold >= 1, "a threshold of \(threshold)")
    let coefficients = (0..<threshold).map { _ in Scalar(reducing: random(64)) }
    let secret = Scalar(reducing: random(64))
    self.init(coefficients: coefficients, secret: secret, to: recipients, context: context)
  }

  package init(
    coefficients: [Scalar], secret: Scalar, to recipients: [(member: ReplicaIndex, key: GroupElement)],
    context: DealingContext, bending bend: (ReplicaIndex, Scalar) -> Scalar = { $1 }
  ) {
    let ephemeral = secret.times
    self.commitments = coefficients.map(\.times)
    self.ephemeral = ephemeral
    self.boxes = recipients.map { recipient in
      let share = bend(recipient.member, Polynomial.evaluate(coefficients, at: recipient.member))
      return AEAD.seal(
        share.bytes, key: Self.boxKey(secret * recipient.key, ephemeral, recipient.member, context),
        nonce: [UInt8](repeating: 0, count: 12), associated: [])
    }
  }

  private init(commitments: [GroupElement], ephemeral: GroupElement, boxes: [[UInt8]]) {
    (self.commitments, self.ephemeral, self.boxes) = (commitments, ephemeral, boxes)
  }

  private static func boxKey(
    _ shared: GroupElement, _ ephemeral: GroupElement, _ recipient: ReplicaIndex, _ context: DealingContext
  ) -> [UInt8] {
    KeyDerivation.hkdf(
      secret: shared.bytes, salt: Array("consilium/dealing/v1".utf8),
      info: context.bytes + ephemeral.bytes + Scalar(recipient).bytes, count: 32)
  }

  /// The share for a recipient, from y·R; nil where the box does not open or the share does not fit the commitments.
  public func share(
    for recipient: ReplicaIndex, at place: Int, shared: GroupElement, context: DealingContext
  ) -> Scalar? {
    guard self.boxes.indices.contains(place) else { return nil }
    let key = Self.boxKey(shared, self.ephemeral, recipient, context)
    guard
      let opened = AEAD.open(
        self.boxes[place], key: key, nonce: [UInt8](repeating: 0, count: 12), associated: []),
      let share = Scalar(opened),
      share.times == Polynomial.evaluate(self.commitments, at: recipient)
    else { return nil }
    return share
  }
}

extension Dealing: WireCodable {
  /// Commitments, R, boxes of 48 bytes.
  public func encode(into encoder: inout Encoder) {
    encoder.list(self.commitments)
    encoder.item(self.ephemeral)
    encoder.u16(UInt16(self.boxes.count))
    for box in self.boxes { encoder.raw(box) }
  }
  /// Reads a dealing; how many of each there must be is for the rules to say.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.commitments = try decoder.list(max: ReplicaSet.countMax, "commitments")
    self.ephemeral = try GroupElement(from: &decoder)
    let start = decoder.offset
    let count = Int(try decoder.u16())
    guard count <= ReplicaSet.countMax else {
      throw .overMax(at: start, field: "boxes", value: UInt64(count), max: UInt64(ReplicaSet.countMax))
    }
    var boxes: [[UInt8]] = []
    for _ in 0..<count { boxes.append(try decoder.raw(Self.boxLengthBytes)) }
    self.boxes = boxes
  }
}

/// A recipient's proof that a dealer gave it a bad share: y·R, with which everyone opens that one box.
public struct DealingComplaint: Sendable, Hashable {
  /// The attempt.
  public let attempt: UInt64
  /// Who is accused.
  public let dealer: ReplicaIndex
  /// S = y·R.
  public let shared: GroupElement
  private let proof: EqualityProof

  /// Shows what the transport secret makes of a dealing, with a fresh nonce.
  public init(about dealing: Dealing, context: DealingContext, secret: Scalar, nonce: Scalar) {
    (self.attempt, self.dealer) = (context.attempt, context.dealer)
    self.shared = secret * dealing.ephemeral
    self.proof = EqualityProof(
      of: Self.pair(secret.times, dealing, self.shared), logarithm: secret, nonce: nonce, context: context.bytes)
  }

  /// Whether it is true: the box at `place` was for the recipient, and holds no share that fits.
  public func isJustified(
    about dealing: Dealing, by recipient: ReplicaIndex, at place: Int, key: GroupElement, context: DealingContext
  ) -> Bool {
    self.proof.holds(for: Self.pair(key, dealing, self.shared), context: context.bytes)
      && dealing.share(for: recipient, at: place, shared: self.shared, context: context) == nil
  }

  private static func pair(_ key: GroupElement, _ dealing: Dealing, _ shared: GroupElement) -> LogarithmPair {
    LogarithmPair(base: .generator, power: key, otherBase: dealing.ephemeral, otherPower: shared)
  }
}

extension DealingComplaint: WireCodable {
  /// Attempt, dealer, S, proof.
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.attempt)
    encoder.u16(UInt16(self.dealer))
    encoder.item(self.shared)
    encoder.item(self.proof)
  }
  /// Reads a complaint.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.attempt = try decoder.bounded("attempt")
    let start = decoder.offset
    self.dealer = Int(try decoder.u16())
    guard self.dealer < ReplicaSet.countMax else { throw .invalid(at: start, field: "dealer") }
    self.shared = try GroupElement(from: &decoder)
    self.proof = try EqualityProof(from: &decoder)
  }
}
