/// A 32-byte digest: SHA-256 or BLAKE2b-256, as the place that makes it says.
///
/// Held as four machine words, so that comparing and hashing it allocates nothing.
public struct Digest: Sendable, Hashable {
  /// Its length on the wire, in bytes.
  public static let lengthBytes = 32
  /// All zeros: the parent of a lane's first block, the predecessor of the first decision.
  public static let zero = Digest(words: (0, 0, 0, 0))

  let word0, word1, word2, word3: UInt64

  /// A digest of its four words, each as eight bytes, low first.
  public init(words: (UInt64, UInt64, UInt64, UInt64)) {
    (self.word0, self.word1, self.word2, self.word3) = words
  }

  /// The four words, each of eight bytes, low first.
  public var words: (UInt64, UInt64, UInt64, UInt64) { (self.word0, self.word1, self.word2, self.word3) }

  /// Reads 32 bytes; nil for any other count.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.lengthBytes else { return nil }
    self.init(words: Words.load4(bytes, at: 0))
  }

  /// Reads 32 bytes; nil for any other count.
  public init?(_ bytes: ArraySlice<UInt8>) { self.init(Array(bytes)) }

  /// Reads the 32 bytes from an offset on, which must be there.
  public init(_ bytes: [UInt8], at offset: Int) { self.init(words: Words.load4(bytes, at: offset)) }

  /// The 32 bytes.
  public var bytes: [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(32)
    self.append(to: &out)
    return out
  }

  /// Appends the 32 bytes to `out`.
  public func append(to out: inout [UInt8]) {
    Words.store(self.word0, into: &out)
    Words.store(self.word1, into: &out)
    Words.store(self.word2, into: &out)
    Words.store(self.word3, into: &out)
  }

  /// A number for tables, of all 32 bytes and a secret: whoever does not know the secret cannot choose digests whose
  /// numbers are alike.
  @inline(__always)
  public func mixed(with secret: (UInt64, UInt64)) -> UInt64 {
    let first = (self.word0 ^ secret.0).multipliedFullWidth(by: self.word1 ^ secret.1)
    let second = (self.word2 ^ secret.1).multipliedFullWidth(by: self.word3 ^ secret.0)
    let both = (first.high ^ second.low).multipliedFullWidth(by: first.low ^ second.high ^ 0x9E37_79B9_7F4A_7C15)
    return both.high ^ both.low
  }

  /// The first eight bytes as a little-endian number: an index for tables, never an identity.
  public var prefix64: UInt64 { self.word0 }
}

extension Digest: Comparable {
  /// Orders by bytes, first byte first.
  public static func < (left: Digest, right: Digest) -> Bool {
    if left.word0 != right.word0 { return left.word0.byteSwapped < right.word0.byteSwapped }
    if left.word1 != right.word1 { return left.word1.byteSwapped < right.word1.byteSwapped }
    if left.word2 != right.word2 { return left.word2.byteSwapped < right.word2.byteSwapped }
    return left.word3.byteSwapped < right.word3.byteSwapped
  }
}

extension Digest: CustomStringConvertible {
  /// 64 hexadecimal digits.
  public var description: String { Hex.encode(self.bytes) }
  /// The first eight hexadecimal digits, for people and logs.
  public var short: String { String(self.description.prefix(8)) }
}

/// Loads and stores little-endian words of byte arrays.
enum Words {
  static func load4(_ bytes: [UInt8], at offset: Int) -> (UInt64, UInt64, UInt64, UInt64) {
    precondition(offset >= 0 && offset + 32 <= bytes.count, "32 bytes at \(offset) of \(bytes.count)")
    return unsafe bytes.withUnsafeBytes { source in
      func word(_ index: Int) -> UInt64 {
        UInt64(littleEndian: unsafe source.loadUnaligned(fromByteOffset: offset + 8 * index, as: UInt64.self))
      }
      return (word(0), word(1), word(2), word(3))
    }
  }

  static func store(_ word: UInt64, into out: inout [UInt8]) {
    unsafe withUnsafeBytes(of: word.littleEndian) { unsafe out.append(contentsOf: $0) }
  }
}
