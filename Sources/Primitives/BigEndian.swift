/// Numbers as keys, so that they sort as bytes as they do as numbers.
extension UInt64 {
  /// Its eight bytes, the highest first.
  public var bigEndianBytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> UInt64(56 - 8 * $0)) } }

  /// The number of bytes, the highest first; of more than eight the last eight count.
  public init(bigEndianBytes bytes: some Sequence<UInt8>) { self = bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}
