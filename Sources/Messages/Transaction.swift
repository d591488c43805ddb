public import Primitives
public import Signing
public import Wire

/// Who answers for a transaction.
public enum Authorization: Sendable, Hashable {
  /// The hospital, by the signature of the block that carries it.
  case hospital
  /// A person or registrar, by a signature of their own. Whether the key is an account's is judged at execution.
  case person(PublicKey, Signature)
}

/// A signed wish to change the ledger: an envelope that all machines read, around a payload that the rules read.
///
/// Layout: version 1 (u8), authorization (u8: 0 hospital, 1 person), kind (u16), hospital (u32), valid until (u64, ms),
/// nonce (12 bytes), payload length (u32), payload; for a person the public key (32) and signature (64) follow.
/// Source: LEDGER §2, §5.
public struct Transaction: Sendable, Hashable {
  /// The bytes before the payload.
  public static let headerLengthBytes = 32
  /// The bytes that a person's key and signature add.
  public static let personLengthBytes = 96
  /// A nonce's length in bytes.
  public static let nonceLengthBytes = 12

  /// What is wished: a number that the rules know.
  public let kind: UInt16
  /// The hospital in whose lane it travels: in any other it is invalid.
  public let hospital: MemberID
  /// The cut time after which it is refused.
  public let validUntil: Timestamp
  /// Random bytes that make two equal wishes two transactions.
  public let nonce: [UInt8]
  /// The wish itself.
  public let payload: [UInt8]
  /// Who answers for it.
  public let authorization: Authorization

  /// A transaction covered by its hospital's block.
  public init(
    kind: UInt16, hospital: MemberID, validUntil: Timestamp, nonce: [UInt8], payload: [UInt8]
  ) {
    precondition(nonce.count == Self.nonceLengthBytes, "a nonce of \(nonce.count) bytes")
    (self.kind, self.hospital, self.validUntil) = (kind, hospital, validUntil)
    (self.nonce, self.payload, self.authorization) = (nonce, payload, .hospital)
  }

  /// A transaction that `key` signs.
  public init(
    kind: UInt16, hospital: MemberID, validUntil: Timestamp, nonce: [UInt8], payload: [UInt8],
    network: Digest, signedBy key: borrowing SigningKey
  ) {
    precondition(nonce.count == Self.nonceLengthBytes, "a nonce of \(nonce.count) bytes")
    (self.kind, self.hospital, self.validUntil) = (kind, hospital, validUntil)
    (self.nonce, self.payload) = (nonce, payload)
    let content = Self.content(
      kind: kind, hospital: hospital, validUntil: validUntil, nonce: nonce, payload: payload,
      key: key.publicKey)
    self.authorization = .person(key.publicKey, key.sign(Self.signed(content, network)))
  }

  private static let domain = Array("consilium/transaction/v1\0".utf8)

  private static func signed(_ content: [UInt8], _ network: Digest) -> [UInt8] {
    self.domain + network.bytes + content
  }

  private static func content(
    kind: UInt16, hospital: MemberID, validUntil: Timestamp, nonce: [UInt8], payload: [UInt8], key: PublicKey?
  ) -> [UInt8] {
    var encoder = Encoder(capacity: self.headerLengthBytes + payload.count + 32)
    encoder.u8(1)
    encoder.u8(key == nil ? 0 : 1)
    encoder.u16(kind)
    encoder.item(hospital)
    encoder.item(validUntil)
    encoder.raw(nonce)
    encoder.blob(payload)
    if let key { encoder.item(key) }
    return encoder.bytes
  }

  private var content: [UInt8] {
    var key: PublicKey?
    if case .person(let signer, _) = self.authorization { key = signer }
    return Self.content(
      kind: self.kind, hospital: self.hospital, validUntil: self.validUntil, nonce: self.nonce,
      payload: self.payload, key: key)
  }

  /// The digest of the signed content without the signature: the same wish has one identifier (LEDGER §5).
  public func identifier(network: Digest) -> Digest { Hash.sha256(Self.domain, network.bytes, self.content) }

  /// The same, of a transaction that is the bytes `range` of a block's body.
  public func identifier(network: Digest, in body: [UInt8], _ range: Range<Int>) -> Digest {
    let end = self.authorization == .hospital ? range.upperBound : range.upperBound - Signature.lengthBytes
    return Hash.sha256(Self.domain + network.bytes, body, range.lowerBound..<end)
  }

  /// Whether a person's signature is right; a hospital's is its block's.
  public func isAuthentic(network: Digest) -> Bool {
    switch self.authorization {
    case .hospital: true
    case .person(let key, let signature): key.verifies(signature, of: Self.signed(self.content, network))
    }
  }

  /// Its length on the wire.
  public var lengthBytes: Int {
    let base = Self.headerLengthBytes + self.payload.count
    return self.authorization == .hospital ? base : base + Self.personLengthBytes
  }
}

extension Transaction: WireCodable {
  /// The layout above.
  public func encode(into encoder: inout Encoder) {
    encoder.raw(self.content)
    if case .person(_, let signature) = self.authorization { encoder.item(signature) }
  }

  /// Reads one transaction of any length that the decoder holds; the block's limit bounds it.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    guard try decoder.u8() == 1 else { throw .invalid(at: start, field: "transaction version") }
    let form = try decoder.u8()
    self.kind = try decoder.u16()
    self.hospital = try MemberID(from: &decoder)
    self.validUntil = try Timestamp(from: &decoder)
    self.nonce = try decoder.raw(Self.nonceLengthBytes)
    self.payload = try decoder.blob(max: decoder.remaining, "payload")
    switch form {
    case 0: self.authorization = .hospital
    case 1:
      let key = try PublicKey(from: &decoder)
      self.authorization = .person(key, try Signature(from: &decoder))
    default: throw .invalid(at: start + 1, field: "authorization")
    }
  }
}
