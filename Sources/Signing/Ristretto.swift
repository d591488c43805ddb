internal import CSodium
internal import Primitives
public import Wire

/// A number modulo L, the order of ristretto255 (RFC 9496 §4.4); always the smallest one.
///
/// libsodium 1.0.18 multiplies k, k + L and k + 2²⁵⁵ alike: one value has one encoding here, others are refused.
public struct Scalar: Sendable, Hashable {
  private let storage: Primitives.Digest

  private init(storage: [UInt8]) { self.storage = Digest(storage, at: 0) }

  /// The scalar whose 32 bytes, little-endian, these are; nil where they are not below L.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == 32, Self(reducing: bytes + [UInt8](repeating: 0, count: 32)).bytes == bytes else { return nil }
    self.init(storage: bytes)
  }

  /// 64 bytes, taken modulo L: uniform where they are.
  public init(reducing bytes: [UInt8]) {
    precondition(bytes.count == 64, "a scalar is reduced from 64 bytes, not \(bytes.count)")
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_core_ristretto255_scalar_reduce(&out, bytes)
    self.init(storage: out)
  }

  /// A small number.
  public init(_ number: Int) {
    precondition(number >= 0, "the scalar of \(number)")
    var bytes = [UInt8](repeating: 0, count: 32)
    for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: UInt64(number) >> UInt64(8 * index)) }
    self.init(storage: bytes)
  }

  /// The challenge of a Fiat–Shamir proof: SHA-512 of a domain and parts of fixed lengths, modulo L.
  public static func challenge(_ domain: StaticString, _ parts: [UInt8]...) -> Scalar {
    Scalar(reducing: Hash.sha512(domain, parts))
  }

  /// The 32 bytes.
  public var bytes: [UInt8] { self.storage.bytes }
  /// Whether it is 0.
  public var isZero: Bool { self.storage == .zero }

  /// The sum.
  public static func + (left: Scalar, right: Scalar) -> Scalar {
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_core_ristretto255_scalar_add(&out, left.bytes, right.bytes)
    return Scalar(storage: out)
  }
  /// The difference.
  public static func - (left: Scalar, right: Scalar) -> Scalar {
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_core_ristretto255_scalar_sub(&out, left.bytes, right.bytes)
    return Scalar(storage: out)
  }
  /// The product.
  public static func * (left: Scalar, right: Scalar) -> Scalar {
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_core_ristretto255_scalar_mul(&out, left.bytes, right.bytes)
    return Scalar(storage: out)
  }
  /// The inverse; nil of 0.
  public var inverse: Scalar? {
    guard !self.isZero else { return nil }
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_core_ristretto255_scalar_invert(&out, self.bytes)
    return Scalar(storage: out)
  }
}

extension Scalar: WireCodable {
  /// 32 bytes.
  public func encode(into encoder: inout Encoder) { encoder.digest(self.storage) }
  /// Reads 32 bytes; refuses what is not below L.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    guard let scalar = Scalar(try decoder.raw(32)) else { throw .invalid(at: start, field: "scalar") }
    self = scalar
  }
}

/// An element of ristretto255 (RFC 9496), a group of prime order. The identity exists in calculations only: the wire
/// refuses it, for as a key or a commitment it would be nobody's.
public struct GroupElement: Sendable, Hashable {
  private let storage: Primitives.Digest

  private init(storage: [UInt8]) { self.storage = Digest(storage, at: 0) }

  /// The identity.
  public static let identity = GroupElement(storage: [UInt8](repeating: 0, count: 32))
  /// G.
  public static let generator = Scalar(1).times
  /// The element to which 64 uniform bytes map (RFC 9496 §4.3.4): nobody knows its logarithm.
  public init(mapping bytes: [UInt8]) {
    precondition(bytes.count == 64, "an element is mapped from 64 bytes, not \(bytes.count)")
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_core_ristretto255_from_hash(&out, bytes)
    self.init(storage: out)
  }

  /// The element of its 32 bytes; nil where they encode none, or the identity.
  public init?(_ bytes: [UInt8]) {
    Sodium.ready()
    guard bytes.count == 32, unsafe crypto_core_ristretto255_is_valid_point(bytes) == 1 else { return nil }
    self.init(storage: bytes)
    guard self != .identity else { return nil }
  }

  /// The 32 bytes.
  public var bytes: [UInt8] { self.storage.bytes }

  /// The sum.
  public static func + (left: GroupElement, right: GroupElement) -> GroupElement {
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_core_ristretto255_add(&out, left.bytes, right.bytes)
    return GroupElement(storage: out)
  }
  /// The difference.
  public static func - (left: GroupElement, right: GroupElement) -> GroupElement {
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_core_ristretto255_sub(&out, left.bytes, right.bytes)
    return GroupElement(storage: out)
  }
  /// The multiple. libsodium says −1 where it is the identity; that is a result like others here.
  public static func * (scalar: Scalar, element: GroupElement) -> GroupElement {
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: 32)
    let result = unsafe crypto_scalarmult_ristretto255(&out, scalar.bytes, element.bytes)
    return result == 0 ? GroupElement(storage: out) : .identity
  }
}

extension Scalar {
  /// This multiple of G.
  public var times: GroupElement {
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: 32)
    let result = unsafe crypto_scalarmult_ristretto255_base(&out, self.bytes)
    return result == 0 ? (GroupElement(out) ?? .identity) : .identity
  }
}

extension GroupElement: WireCodable {
  /// 32 bytes.
  public func encode(into encoder: inout Encoder) { encoder.digest(self.storage) }
  /// Reads 32 bytes; refuses what is no element, and the identity.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    guard let element = GroupElement(try decoder.raw(32)) else { throw .invalid(at: start, field: "group element") }
    self = element
  }
}
