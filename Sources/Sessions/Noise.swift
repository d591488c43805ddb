import Primitives
import Signing

/// `Noise_XX_25519_ChaChaPoly_SHA256` (Noise specification, revision 34): the handshake as a value.
public struct NoiseHandshake: Sendable {
  /// Which side this is.
  public enum Role: UInt8, Sendable, Hashable {
    /// It dialled.
    case initiator = 0
    /// It was dialled.
    case responder = 1
  }

  /// A static or ephemeral X25519 key pair.
  public struct KeyPair: Sendable {
    let secret: [UInt8]
    /// The public half, 32 bytes.
    public let publicKey: [UInt8]
    /// The pair of a 32-byte secret.
    public init(secret: [UInt8]) {
      self.secret = secret
      self.publicKey = KeyAgreement.publicKey(of: secret)
    }
  }

  private static let name = Array("Noise_XX_25519_ChaChaPoly_SHA256".utf8)
  private static let messages: [[Token]] = [[.e], [.e, .ee, .s, .es], [.s, .se]]

  private enum Token { case e, s, ee, es, se }

  private let role: Role
  private let staticKey: KeyPair
  private let ephemeral: KeyPair
  private var chainingKey: [UInt8]
  private var cipher = CipherState(key: nil)
  /// The hash of everything so far.
  public private(set) var hash: [UInt8]
  private var peerEphemeral: [UInt8]?
  /// The other side's static key, once it is known.
  public private(set) var peerStatic: [UInt8]?
  private var index = 0

  /// A handshake before its first message.
  public init(role: Role, prologue: [UInt8], staticKey: KeyPair, ephemeral: KeyPair) {
    (self.role, self.staticKey, self.ephemeral) = (role, staticKey, ephemeral)
    self.hash = Self.name
    self.chainingKey = Self.name
    self.mixHash(prologue)
  }

  /// Whether all three messages went.
  public var isComplete: Bool { self.index == Self.messages.count }
  /// Whether this side writes the next message.
  public var isWriter: Bool { !self.isComplete && (self.index % 2 == 0) == (self.role == .initiator) }

  /// Writes the next message's keys; `writePayload` must follow. Nil where a key agreement fails.
  public mutating func writeKeys() -> [UInt8]? {
    var out: [UInt8] = []
    for token in Self.messages[self.index] {
      switch token {
      case .e:
        out += self.ephemeral.publicKey
        self.mixHash(self.ephemeral.publicKey)
      case .s: out += self.encryptAndHash(self.staticKey.publicKey)
      case .ee, .es, .se:
        guard self.mix(token) else { return nil }
      }
    }
    return out
  }

  /// Writes the payload and ends the message.
  public mutating func writePayload(_ payload: [UInt8]) -> [UInt8] {
    self.index += 1
    return self.encryptAndHash(payload)
  }

  /// Reads the other side's next message; its payload, and the hash as it was before the payload. Nil where it is
  /// wrong.
  public mutating func read(_ message: [UInt8]) -> (payload: [UInt8], hashBefore: [UInt8])? {
    guard !self.isComplete, !self.isWriter else { return nil }
    var rest = message[...]
    for token in Self.messages[self.index] {
      switch token {
      case .e:
        guard rest.count >= 32 else { return nil }
        let key = Array(rest.prefix(32))
        rest = rest.dropFirst(32)
        self.peerEphemeral = key
        self.mixHash(key)
      case .s:
        let count = self.cipher.hasKey ? 48 : 32
        guard rest.count >= count, let key = self.decryptAndHash(Array(rest.prefix(count))) else { return nil }
        rest = rest.dropFirst(count)
        self.peerStatic = key
      case .ee, .es, .se:
        guard self.mix(token) else { return nil }
      }
    }
    let before = self.hash
    guard let payload = self.decryptAndHash(Array(rest)) else { return nil }
    self.index += 1
    return (payload, before)
  }

  /// The ciphers of the session: what this side sends with, and what it receives with.
  public func split() -> (send: CipherState, receive: CipherState) {
    precondition(self.isComplete, "split before the handshake's end")
    let keys = KeyDerivation.hkdf(secret: [], salt: self.chainingKey, info: [], count: 64)
    let first = CipherState(key: Array(keys[..<32]))
    let second = CipherState(key: Array(keys[32...]))
    return self.role == .initiator ? (first, second) : (second, first)
  }

  private mutating func mix(_ token: Token) -> Bool {
    let isInitiator = self.role == .initiator
    let pair: (KeyPair, [UInt8]?) =
      switch token {
      case .ee: (self.ephemeral, self.peerEphemeral)
      case .es: isInitiator ? (self.ephemeral, self.peerStatic) : (self.staticKey, self.peerEphemeral)
      case .se: isInitiator ? (self.staticKey, self.peerEphemeral) : (self.ephemeral, self.peerStatic)
      case .e, .s: (self.ephemeral, nil)
      }
    guard let peer = pair.1, let shared = KeyAgreement.shared(secret: pair.0.secret, with: peer) else {
      return false
    }
    let keys = KeyDerivation.hkdf(secret: shared, salt: self.chainingKey, info: [], count: 64)
    self.chainingKey = Array(keys[..<32])
    self.cipher = CipherState(key: Array(keys[32...]))
    return true
  }

  private mutating func mixHash(_ data: [UInt8]) { self.hash = Hash.sha256(self.hash, data).bytes }

  private mutating func encryptAndHash(_ plaintext: [UInt8]) -> [UInt8] {
    let out = self.cipher.seal(plaintext, associated: self.hash)
    self.mixHash(out)
    return out
  }

  private mutating func decryptAndHash(_ box: [UInt8]) -> [UInt8]? {
    guard let out = self.cipher.open(box, associated: self.hash) else { return nil }
    self.mixHash(box)
    return out
  }
}

/// A key and a counter that is never used twice (Noise §5.1).
public struct CipherState: Sendable {
  private let key: [UInt8]?
  private var counter: UInt64 = 0

  init(key: [UInt8]?) { self.key = key }

  var hasKey: Bool { self.key != nil }

  private mutating func nonce() -> [UInt8] {
    let value = self.counter
    self.counter += 1
    return [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
  }

  /// Encrypts; without a key yet, returns the plaintext.
  public mutating func seal(_ plaintext: [UInt8], associated: [UInt8] = []) -> [UInt8] {
    guard let key else { return plaintext }
    return AEAD.seal(plaintext, key: key, nonce: self.nonce(), associated: associated)
  }

  /// Decrypts; nil where a byte differs. A failure ends the session, so the counter may have moved on.
  public mutating func open(_ box: [UInt8], associated: [UInt8] = []) -> [UInt8]? {
    guard let key else { return box }
    if planted(.frameReplayed), self.counter > 0 {
      let counter = self.counter
      self.counter = counter - 1
      if let again = AEAD.open(box, key: key, nonce: self.nonce(), associated: associated) { return again }
      self.counter = counter
    }
    return AEAD.open(box, key: key, nonce: self.nonce(), associated: associated)
  }
}
