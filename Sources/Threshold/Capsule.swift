public import Primitives
public import Signing
public import Wire

/// A record's key under the consortium's custody key: TDH2 (Shoup & Gennaro, EUROCRYPT 1998), bound to its label.
///
/// Whoever changes a byte, or shows it under another label, is found out before anything is opened (CCA security).
public struct Capsule: Sendable, Hashable {
  /// The bytes of the key inside.
  public static let keyLengthBytes = 32
  /// The random bytes that making one takes.
  public static let randomLengthBytes = 128
  /// The generation of the custody key that it is made for.
  public let generation: UInt64
  private let box: [UInt8]
  /// r·G: what custodians raise to their shares.
  public let point: GroupElement
  private let otherPoint: GroupElement
  private let challenge: Scalar
  private let response: Scalar

  /// A second generator, whose logarithm nobody knows.
  static let otherGenerator = GroupElement(mapping: Hash.sha512("consilium/tdh2/generator/v1", []))
  private static let boxLengthBytes = keyLengthBytes + AEAD.tagLengthBytes

  /// Encloses a key of 32 bytes for a custody key and a label, with 128 fresh random bytes.
  public init(_ key: [UInt8], for custody: CustodyKey, label: Digest, random: [UInt8]) {
    precondition(key.count == Self.keyLengthBytes, "a key of \(key.count) bytes")
    precondition(random.count == Self.randomLengthBytes, "\(random.count) random bytes")
    let (secret, nonce) = (Scalar(reducing: Array(random[..<64])), Scalar(reducing: Array(random[64...])))
    self.generation = custody.generation
    self.box = AEAD.seal(
      key, key: Self.mask(secret * custody.publicKey, custody), nonce: Self.nonce, associated: label.bytes)
    self.point = secret.times
    self.otherPoint = secret * Self.otherGenerator
    self.challenge = Self.challenge(
      custody, self.box, label, [self.point, nonce.times, self.otherPoint, nonce * Self.otherGenerator])
    self.response = nonce + secret * self.challenge
  }

  /// Whether its maker knew what is inside, for this custody key and label: custodians look before they touch it.
  public func isValid(for custody: CustodyKey, label: Digest) -> Bool {
    guard self.generation == custody.generation else { return false }
    let first = self.response.times - self.challenge * self.point
    let second = self.response * Self.otherGenerator - self.challenge * self.otherPoint
    return Self.challenge(custody, self.box, label, [self.point, first, self.otherPoint, second]) == self.challenge
  }

  /// The key inside, from x·point; nil where it is another's.
  func open(with shared: GroupElement, _ custody: CustodyKey, label: Digest) -> [UInt8]? {
    AEAD.open(self.box, key: Self.mask(shared, custody), nonce: Self.nonce, associated: label.bytes)
  }

  /// Each mask is used for one message only.
  private static let nonce = [UInt8](repeating: 0, count: 12)

  private static func mask(_ shared: GroupElement, _ custody: CustodyKey) -> [UInt8] {
    KeyDerivation.hkdf(
      secret: shared.bytes, salt: custody.identifier.bytes, info: Array("consilium/capsule/v1".utf8), count: 32)
  }

  private static func challenge(
    _ custody: CustodyKey, _ box: [UInt8], _ label: Digest, _ points: [GroupElement]
  ) -> Scalar {
    .challenge(
      "consilium/tdh2/v1", custody.identifier.bytes, box, label.bytes, points.flatMap(\.bytes))
  }

  /// What a record's capsule is bound to: it opens under no other record, author, category or ciphertext.
  public static func label(
    network: Digest, custody: CustodyKey, record: Digest, author: Digest?, category: UInt8, address: Digest
  ) -> Digest {
    var encoder = Encoder()
    encoder.digest(network)
    encoder.digest(custody.identifier)
    encoder.digest(record)
    encoder.optional(author)
    encoder.u8(category)
    encoder.digest(address)
    return Hash.blake2b("consilium/capsule-label/v1", encoder.bytes)
  }
}

extension Capsule: WireCodable {
  /// Generation, box, both points, challenge, response: 184 bytes.
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.generation)
    encoder.raw(self.box)
    encoder.item(self.point)
    encoder.item(self.otherPoint)
    encoder.item(self.challenge)
    encoder.item(self.response)
  }
  /// Reads a capsule; whether it is valid is asked with its label.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.generation = try decoder.bounded("generation")
    self.box = try decoder.raw(Self.boxLengthBytes)
    self.point = try GroupElement(from: &decoder)
    self.otherPoint = try GroupElement(from: &decoder)
    self.challenge = try Scalar(from: &decoder)
    self.response = try Scalar(from: &decoder)
  }
}
