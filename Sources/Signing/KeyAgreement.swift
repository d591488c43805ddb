internal import CSodium

/// X25519 (RFC 7748): sessions, and record keys sealed to a reader.
public enum KeyAgreement {
  /// The public key of a 32-byte secret.
  public static func publicKey(of secret: [UInt8]) -> [UInt8] {
    precondition(secret.count == 32, "an X25519 secret has 32 bytes, not \(secret.count)")
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_scalarmult_curve25519_base(&out, secret)
    return out
  }

  /// The shared secret; nil where the peer's point gives all zeros, as points of small order do.
  public static func shared(secret: [UInt8], with publicKey: [UInt8]) -> [UInt8]? {
    guard secret.count == 32, publicKey.count == 32 else { return nil }
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: 32)
    let result = unsafe crypto_scalarmult_curve25519(&out, secret, publicKey)
    return result == 0 ? out : nil
  }
}

/// ChaCha20-Poly1305 (RFC 8439) for sessions, XChaCha20-Poly1305 for what is stored.
public enum AEAD {
  /// Bytes that sealing adds.
  public static let tagLengthBytes = 16
  /// The length of a stored box's nonce, in bytes.
  public static let extendedNonceLengthBytes = 24

  /// Seals `plaintext` under a 32-byte key and 12-byte nonce that is never used twice.
  public static func seal(_ plaintext: [UInt8], key: [UInt8], nonce: [UInt8], associated: [UInt8]) -> [UInt8] {
    precondition(key.count == 32 && nonce.count == 12, "key \(key.count) bytes, nonce \(nonce.count)")
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: plaintext.count + self.tagLengthBytes)
    unsafe crypto_aead_chacha20poly1305_ietf_encrypt(
      &out, nil, plaintext, UInt64(plaintext.count), associated, UInt64(associated.count), nil, nonce, key)
    return out
  }

  /// Opens what `seal` made; nil where a byte differs.
  public static func open(_ box: [UInt8], key: [UInt8], nonce: [UInt8], associated: [UInt8]) -> [UInt8]? {
    guard box.count >= self.tagLengthBytes, key.count == 32, nonce.count == 12 else { return nil }
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: box.count - self.tagLengthBytes)
    let result = unsafe crypto_aead_chacha20poly1305_ietf_decrypt(
      &out, nil, nil, box, UInt64(box.count), associated, UInt64(associated.count), nonce, key)
    return result == 0 ? out : nil
  }

  /// Seals `plaintext` under a 32-byte key and a 24-byte nonce.
  public static func sealExtended(
    _ plaintext: [UInt8], key: [UInt8], nonce: [UInt8], associated: [UInt8]
  ) -> [UInt8] {
    precondition(key.count == 32 && nonce.count == 24, "key \(key.count) bytes, nonce \(nonce.count)")
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: plaintext.count + self.tagLengthBytes)
    unsafe crypto_aead_xchacha20poly1305_ietf_encrypt(
      &out, nil, plaintext, UInt64(plaintext.count), associated, UInt64(associated.count), nil, nonce, key)
    return out
  }

  /// Opens what `sealExtended` made; nil where a byte differs.
  public static func openExtended(
    _ box: [UInt8], key: [UInt8], nonce: [UInt8], associated: [UInt8]
  ) -> [UInt8]? {
    guard box.count >= self.tagLengthBytes, key.count == 32, nonce.count == 24 else { return nil }
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: box.count - self.tagLengthBytes)
    let result = unsafe crypto_aead_xchacha20poly1305_ietf_decrypt(
      &out, nil, nil, box, UInt64(box.count), associated, UInt64(associated.count), nonce, key)
    return result == 0 ? out : nil
  }
}

/// HMAC and HKDF over SHA-256 (RFC 2104, RFC 5869).
public enum KeyDerivation {
  /// HMAC-SHA-256.
  public static func hmac(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    Sodium.ready()
    var state = crypto_auth_hmacsha256_state()
    unsafe crypto_auth_hmacsha256_init(&state, key, key.count)
    unsafe crypto_auth_hmacsha256_update(&state, message, UInt64(message.count))
    var out = [UInt8](repeating: 0, count: 32)
    unsafe crypto_auth_hmacsha256_final(&state, &out)
    return out
  }

  /// HKDF: extract with `salt`, expand with `info` to `count` bytes (at most 8,160).
  public static func hkdf(secret: [UInt8], salt: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
    precondition(count <= 255 * 32, "HKDF-SHA-256 gives at most 8,160 bytes, \(count) asked")
    let key = self.hmac(key: salt, secret)
    var out: [UInt8] = []
    var block: [UInt8] = []
    var index: UInt8 = 1
    while out.count < count {
      block = self.hmac(key: key, block + info + [index])
      out += block
      index &+= 1
    }
    return Array(out.prefix(count))
  }
}

/// A box that only the holder of an X25519 secret opens; its sender stays unnamed (libsodium `crypto_box_seal`).
public enum SealedBox {
  /// Bytes that sealing adds.
  public static let overheadBytes = 48

  /// Seals to a public key; nil where the key is none.
  public static func seal(_ message: [UInt8], to publicKey: [UInt8]) -> [UInt8]? {
    guard publicKey.count == 32 else { return nil }
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: message.count + self.overheadBytes)
    let result = unsafe crypto_box_seal(&out, message, UInt64(message.count), publicKey)
    return result == 0 ? out : nil
  }

  /// Opens with the secret; nil where the box is another's or was changed.
  public static func open(_ box: [UInt8], secret: [UInt8]) -> [UInt8]? {
    guard secret.count == 32, box.count >= self.overheadBytes else { return nil }
    let publicKey = KeyAgreement.publicKey(of: secret)
    var out = [UInt8](repeating: 0, count: box.count - self.overheadBytes)
    let result = unsafe crypto_box_seal_open(&out, box, UInt64(box.count), publicKey, secret)
    return result == 0 ? out : nil
  }
}

/// Keys from passphrases (Argon2id, RFC 9106, libsodium's interactive limits).
public enum PassphraseKey {
  /// A 32-byte key; nil where memory for the derivation (64 MiB) is missing.
  public static func derive(passphrase: String, salt: [UInt8]) -> [UInt8]? {
    guard salt.count == 16 else { return nil }
    Sodium.ready()
    var out = [UInt8](repeating: 0, count: 32)
    let text = passphrase.utf8.map { CChar(bitPattern: $0) }
    let result = unsafe crypto_pwhash(
      &out, 32, text, UInt64(text.count), salt, 2, 64 << 20, crypto_pwhash_ALG_ARGON2ID13)
    return result == 0 ? out : nil
  }
}
