internal import Messages
public import Primitives
public import Signing

/// Why words are no recovery phrase.
public enum PhraseFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// There are not 24.
  case count(Int)
  /// A word is not of the list; counted from 1.
  case word(Int)
  /// The words are of the list, but one is wrong or out of place.
  case checksum

  /// What is wrong and what to do.
  public var description: String {
    switch self {
    case .count(let count): "a recovery phrase has 24 words, this has \(count)"
    case .word(let place): "word \(place) is not of the list; check its spelling"
    case .checksum: "the words do not fit together: one is wrong or two are swapped"
    }
  }
}

/// The 24 words from which all of a patient's keys follow (BIP-39's encoding of 32 bytes and a checksum).
public struct RecoveryPhrase: Sendable {
  /// The 2,048 words in order, one a line.
  public static var wordList: String { RecoveryWords.english.joined(separator: "\n") }
  /// The 32 bytes that the words spell: as secret as the words.
  public let entropy: [UInt8]

  /// The phrase of 32 random bytes.
  public init(entropy: [UInt8]) {
    precondition(entropy.count == 32, "a phrase of 24 words holds 32 bytes, not \(entropy.count)")
    self.entropy = entropy
  }

  /// Reads words, in any case, with any white space between them.
  public init(words text: String) throws(PhraseFault) {
    let words = text.lowercased().split(whereSeparator: \.isWhitespace)
    guard words.count == 24 else { throw .count(words.count) }
    var bits: [Bool] = []
    for (index, word) in words.enumerated() {
      guard let number = RecoveryWords.english.firstIndex(of: String(word)) else { throw .word(index + 1) }
      for shift in (0..<11).reversed() { bits.append(number >> shift & 1 == 1) }
    }
    let bytes = stride(from: 0, to: 264, by: 8).map { start in
      bits[start..<(start + 8)].reduce(UInt8(0)) { $0 << 1 | ($1 ? 1 : 0) }
    }
    let entropy = Array(bytes[..<32])
    guard bytes[32] == Hash.sha256(entropy).bytes[0] else { throw .checksum }
    self.entropy = entropy
  }

  /// The words.
  public var words: String {
    let bytes = self.entropy + [Hash.sha256(self.entropy).bytes[0]]
    return (0..<24).map { index -> String in
      var number = 0
      for bit in (index * 11)..<(index * 11 + 11) {
        number = number << 1 | Int(bytes[bit / 8] >> UInt8(7 - bit % 8) & 1)
      }
      return RecoveryWords.english[number]
    }.joined(separator: " ")
  }

  /// ⚑ The keys of the pseudonym at one hospital: no two hospitals see the same, and nobody can link them (RECORDS §2).
  public func keys(network: Digest, hospital: MemberID) -> PersonKeys {
    let seeds = KeyDerivation.hkdf(
      secret: self.entropy, salt: network.bytes,
      info: Array("consilium/pseudonym/v1\0\(hospital.number)".utf8), count: 64)
    return PersonKeys(signingSeed: Array(seeds[..<32]), sealingSecret: Array(seeds[32...]))
  }
}

/// The secret keys of one account: what a practitioner or a patient's pseudonym signs and opens with.
public struct PersonKeys: Sendable {
  /// The Ed25519 seed.
  public let signingSeed: [UInt8]
  /// The X25519 secret.
  public let sealingSecret: [UInt8]

  /// Keys of given secrets of 32 bytes each.
  public init(signingSeed: [UInt8], sealingSecret: [UInt8]) {
    precondition(signingSeed.count == 32 && sealingSecret.count == 32, "secrets of 32 bytes")
    (self.signingSeed, self.sealingSecret) = (signingSeed, sealingSecret)
  }

  /// The signing key.
  public var signingKey: SigningKey {
    guard let key = SigningKey(seed: self.signingSeed) else { preconditionFailure("a seed has 32 bytes") }
    return key
  }
  /// The public signing key.
  public var publicKey: PublicKey { self.signingKey.publicKey }
  /// The public X25519 key.
  public var sealingKey: Digest {
    guard let key = Digest(KeyAgreement.publicKey(of: self.sealingSecret)) else {
      preconditionFailure("an X25519 key has 32 bytes")
    }
    return key
  }

  /// Their holder's word that they are to be an account's at a hospital.
  public func possession(as kind: AccountKind, at hospital: MemberID, network: Digest) -> Signature {
    let said = KeyPossession(network: network, hospital: hospital, kind: kind, sealingKey: self.sealingKey)
    return self.signingKey.sign(said.signedBytes)
  }
}
