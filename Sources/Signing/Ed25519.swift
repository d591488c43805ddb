internal import CSodium
internal import Primitives
public import Wire

/// An Ed25519 public key: a member's, a person's, a peer's identity.
public struct PublicKey: Sendable, Hashable, Comparable {
  /// Its length on the wire, in bytes.
  public static let lengthBytes = 32
  private let storage: Digest

  /// The key whose 32 bytes these are; nil for another count. Whether they are a point is asked at verification.
  public init?(_ bytes: [UInt8]) {
    guard let storage = Digest(bytes) else { return nil }
    self.storage = storage
  }

  /// The 32 bytes.
  public var bytes: [UInt8] { self.storage.bytes }
  /// Orders by bytes.
  public static func < (left: Self, right: Self) -> Bool { left.storage < right.storage }
}

extension PublicKey: CustomStringConvertible {
  /// 64 hexadecimal digits.
  public var description: String { self.storage.description }
  /// The first eight digits.
  public var short: String { self.storage.short }
}

extension PublicKey: WireCodable {
  /// 32 bytes.
  public func encode(into encoder: inout Encoder) { encoder.digest(self.storage) }
  /// Reads 32 bytes.
  public init(from decoder: inout Decoder) throws(WireError) { self.storage = try decoder.digest() }
}

/// An Ed25519 signature, 64 bytes.
public struct Signature: Sendable, Hashable {
  /// Its length on the wire, in bytes.
  public static let lengthBytes = 64
  private let low: Digest
  private let high: Digest

  /// The signature whose 64 bytes these are; nil for another count.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == 64, let low = Digest(bytes[..<32]), let high = Digest(bytes[32...]) else {
      return nil
    }
    (self.low, self.high) = (low, high)
  }

  /// The 64 bytes.
  public var bytes: [UInt8] { self.low.bytes + self.high.bytes }
}

extension Signature: WireCodable {
  /// 64 bytes.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.low)
    encoder.digest(self.high)
  }
  /// Reads 64 bytes.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.low = try decoder.digest()
    self.high = try decoder.digest()
  }
}

extension PublicKey {
  /// Whether `signature` is this key's over `message`: the one verifier of everything in the ledger.
  ///
  /// libsodium's `crypto_sign_verify_detached`, one by one, never batched: S < L is required, the equation is
  /// checked without the cofactor, R and A are refused where they are of small order, A where it is not canonical.
  public func verifies(_ signature: Signature, of message: [UInt8]) -> Bool {
    Sodium.ready()
    return unsafe crypto_sign_verify_detached(
      signature.bytes, message, UInt64(message.count), self.bytes) == 0
  }
}

/// An Ed25519 secret key. It cannot be copied and forgets its bytes when it goes.
public struct SigningKey: ~Copyable, Sendable {
  /// The length of the seed that determines it, in bytes.
  public static let seedLengthBytes = 32
  private var secret: [UInt8]
  /// Its public half.
  public let publicKey: PublicKey

  /// The key of a 32-byte seed (RFC 8032 §5.1.5); nil for another count.
  public init?(seed: [UInt8]) {
    guard seed.count == Self.seedLengthBytes else { return nil }
    Sodium.ready()
    var publicBytes = [UInt8](repeating: 0, count: 32)
    var secret = [UInt8](repeating: 0, count: 64)
    unsafe crypto_sign_seed_keypair(&publicBytes, &secret, seed)
    guard let publicKey = PublicKey(publicBytes) else { return nil }
    self.secret = secret
    self.publicKey = publicKey
  }

  /// Signs `message` (RFC 8032, deterministic).
  public borrowing func sign(_ message: [UInt8]) -> Signature {
    var out = [UInt8](repeating: 0, count: 64)
    unsafe crypto_sign_detached(&out, nil, message, UInt64(message.count), self.secret)
    guard let signature = Signature(out) else { preconditionFailure("libsodium returned no signature") }
    return signature
  }

  deinit {
    var secret = self.secret
    unsafe sodium_memzero(&secret, secret.count)
  }
}

/// What has been checked and may be believed. Only code that checked it makes one.
///
/// Machines take `Verified` values for everything that came from the network: an unchecked vote does not compile.
public struct Verified<Value: Sendable>: Sendable {
  /// What was checked.
  public let value: Value

  /// States that `value` was checked. For verifiers and for a node's own signed messages only.
  public init(checked value: Value) { self.value = value }
}

extension Verified: Equatable where Value: Equatable {}
extension Verified: Hashable where Value: Hashable {}
