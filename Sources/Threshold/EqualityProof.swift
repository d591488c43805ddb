internal import Primitives
public import Signing
public import Wire

/// Two pairs of elements that are said to have one logarithm: y = x·G and z = x·H.
public struct LogarithmPair: Sendable, Hashable {
  /// G.
  public let base: GroupElement
  /// y.
  public let power: GroupElement
  /// H.
  public let otherBase: GroupElement
  /// z.
  public let otherPower: GroupElement

  /// Both pairs.
  public init(base: GroupElement, power: GroupElement, otherBase: GroupElement, otherPower: GroupElement) {
    (self.base, self.power) = (base, power)
    (self.otherBase, self.otherPower) = (otherBase, otherPower)
  }

  var bytes: [UInt8] { self.base.bytes + self.power.bytes + self.otherBase.bytes + self.otherPower.bytes }
}

/// A proof that two pairs have one logarithm, without showing it (Chaum & Pedersen, CRYPTO 1992; Fiat–Shamir).
///
/// It is bound to a context, so that a proof made for one purpose says nothing for another.
public struct EqualityProof: Sendable, Hashable {
  let challenge: Scalar
  let response: Scalar

  /// Proves it with the logarithm and a fresh nonce, which must be used once and forgotten.
  public init(of pair: LogarithmPair, logarithm: Scalar, nonce: Scalar, context: [UInt8]) {
    self.challenge = Self.challenge(pair, nonce * pair.base, nonce * pair.otherBase, context)
    self.response = nonce + self.challenge * logarithm
  }

  /// Whether it holds for a pair and a context.
  public func holds(for pair: LogarithmPair, context: [UInt8]) -> Bool {
    let first = self.response * pair.base - self.challenge * pair.power
    let second = self.response * pair.otherBase - self.challenge * pair.otherPower
    return Self.challenge(pair, first, second, context) == self.challenge
  }

  private static func challenge(
    _ pair: LogarithmPair, _ first: GroupElement, _ second: GroupElement, _ context: [UInt8]
  ) -> Scalar {
    .challenge("consilium/equality/v1", Hash.sha256(context).bytes, pair.bytes, first.bytes, second.bytes)
  }
}

extension EqualityProof: WireCodable {
  /// Challenge, response.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.challenge)
    encoder.item(self.response)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.challenge = try Scalar(from: &decoder)
    self.response = try Scalar(from: &decoder)
  }
}
