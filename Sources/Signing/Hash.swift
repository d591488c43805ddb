internal import CSodium
public import Primitives

/// The hash functions of the ledger. Everything hashed starts with a domain string.
public enum Hash {
  /// SHA-256 (FIPS 180-4) of the parts, one after another: what the Merkle log and hash-locks use.
  public static func sha256(_ parts: [UInt8]...) -> Digest {
    Sodium.ready()
    if parts.count == 1 {
      var out = [UInt8](repeating: 0, count: 32)
      unsafe crypto_hash_sha256(&out, parts[0], UInt64(parts[0].count))
      return digest(out)
    }
    var state = crypto_hash_sha256_state()
    unsafe crypto_hash_sha256_init(&state)
    for part in parts { unsafe crypto_hash_sha256_update(&state, part, UInt64(part.count)) }
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_hash_sha256_final(&state, &out)
    return digest(out)
  }

  /// BLAKE2b with 32 bytes of output (RFC 7693) of domain ‖ parts: identifiers and chained digests.
  ///
  /// The domain is followed by a zero byte, so that no domain is the beginning of another.
  public static func blake2b(_ domain: StaticString, _ parts: [UInt8]...) -> Digest {
    Sodium.ready()
    var message: [UInt8] = []
    message.reserveCapacity(domain.utf8CodeUnitCount + 1 + parts.reduce(0) { $0 + $1.count })
    domain.withUTF8Buffer { unsafe message.append(contentsOf: $0) }
    message.append(0)
    for part in parts { message += part }
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_generichash(&out, 32, message, UInt64(message.count), nil, 0)
    return digest(out)
  }

  static func digest(_ bytes: [UInt8]) -> Digest {
    guard let digest = Digest(bytes) else { preconditionFailure("a hash has 32 bytes, not \(bytes.count)") }
    return digest
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
