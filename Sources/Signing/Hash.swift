internal import CSodium
internal import Crypto
public import Primitives

/// The hash functions of the ledger. Everything hashed starts with a domain string.
public enum Hash {
  /// SHA-256 (FIPS 180-4) of the parts, one after another: what the Merkle log and hash-locks use.
  public static func sha256(_ parts: [UInt8]...) -> Primitives.Digest {
    var hasher = SHA256()
    for part in parts { unsafe part.withUnsafeBytes { unsafe hasher.update(bufferPointer: $0) } }
    return self.digest(hasher.finalize())
  }

  /// SHA-256 of a short beginning and a range of a long array, which is not copied.
  public static func sha256(_ head: [UInt8], _ bytes: [UInt8], _ range: Range<Int>) -> Primitives.Digest {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "\(range) of \(bytes.count) bytes")
    var hasher = SHA256()
    unsafe head.withUnsafeBytes { unsafe hasher.update(bufferPointer: $0) }
    unsafe bytes.withUnsafeBytes { unsafe hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[range])) }
    return self.digest(hasher.finalize())
  }

  /// SHA-256 of what comes piece by piece.
  public struct Running: Sendable {
    private var hasher = SHA256()
    /// Of nothing yet.
    public init() {}
    /// The next piece.
    public mutating func update(_ bytes: [UInt8]) {
      unsafe bytes.withUnsafeBytes { unsafe self.hasher.update(bufferPointer: $0) }
    }
    /// Of all pieces so far.
    public var digest: Primitives.Digest { Hash.digest(self.hasher.finalize()) }
  }

  /// SHA-512 (FIPS 180-4) of domain, a zero byte and the parts: 64 bytes, to be reduced or mapped into a group.
  public static func sha512(_ domain: StaticString, _ parts: [[UInt8]]) -> [UInt8] {
    var hasher = SHA512()
    domain.withUTF8Buffer { unsafe hasher.update(bufferPointer: UnsafeRawBufferPointer($0)) }
    hasher.update(data: [0])
    for part in parts { unsafe part.withUnsafeBytes { unsafe hasher.update(bufferPointer: $0) } }
    return Array(hasher.finalize())
  }

  /// The words of swift-crypto's digest, which uses the processor's own instructions.
  private static func digest(_ digest: SHA256.Digest) -> Primitives.Digest {
    unsafe digest.withUnsafeBytes { source in
      func word(_ index: Int) -> UInt64 {
        UInt64(littleEndian: unsafe source.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
      }
      return Primitives.Digest(words: (word(0), word(1), word(2), word(3)))
    }
  }

  /// BLAKE2b with 32 bytes of output (RFC 7693) of domain ‖ parts: identifiers and chained digests.
  ///
  /// The domain is followed by a zero byte, so that no domain is the beginning of another.
  public static func blake2b(_ domain: StaticString, _ parts: [UInt8]...) -> Primitives.Digest {
    Sodium.ready()
    var message: [UInt8] = []
    message.reserveCapacity(domain.utf8CodeUnitCount + 1 + parts.reduce(0) { $0 + $1.count })
    domain.withUTF8Buffer { unsafe message.append(contentsOf: $0) }
    message.append(0)
    for part in parts { message += part }
    return unsafe Self.digest { unsafe crypto_generichash($0, 32, message, UInt64(message.count), nil, 0) }
  }

  /// The digest that a C function writes.
  private static func digest(_ write: (UnsafeMutablePointer<UInt8>) -> Int32) -> Primitives.Digest {
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    unsafe withUnsafeMutableBytes(of: &words) { raw in
      guard let base = raw.baseAddress else { return }
      _ = unsafe write(base.assumingMemoryBound(to: UInt8.self))
    }
    return Digest(
      words: (words.0.littleEndian, words.1.littleEndian, words.2.littleEndian, words.3.littleEndian))
  }
}

/// The library's one-time start.
enum Sodium {
  private static let started: Bool = sodium_init() >= 0

  /// Returns once libsodium can be used.
  static func ready() { precondition(self.started, "libsodium could not start: no source of randomness") }
}

/// Secure random bytes from the operating system, for keys, salts and nonces. Never inside a machine.
public enum SecureRandom {
  /// `count` fresh bytes.
  public static func bytes(_ count: Int) -> [UInt8] {
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: count)
    unsafe randombytes_buf(&out, count)
    return out
  }

  /// A fresh seed for a `SeededGenerator`.
  public static func seed() -> UInt64 { Hash.blake2b("consilium/seed/v1", self.bytes(32)).prefix64 }
}
