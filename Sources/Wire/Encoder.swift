public import Primitives

/// Writes the canonical binary form: little-endian fixed-width integers, length-prefixed bytes.
public struct Encoder: Sendable {
  /// What has been written.
  public private(set) var bytes: [UInt8] = []

  /// An empty encoder with room for `capacity` bytes.
  public init(capacity: Int = 0) { self.bytes.reserveCapacity(capacity) }

  /// Appends one byte.
  public mutating func u8(_ value: UInt8) { self.bytes.append(value) }
  /// Appends two bytes, low first.
  public mutating func u16(_ value: UInt16) { self.integer(value) }
  /// Appends four bytes, low first.
  public mutating func u32(_ value: UInt32) { self.integer(value) }
  /// Appends eight bytes, low first.
  public mutating func u64(_ value: UInt64) { self.integer(value) }
  /// Appends bytes whose count the reader knows.
  public mutating func raw(_ value: [UInt8]) { self.bytes.append(contentsOf: value) }
  /// Appends a count (4 bytes) and the bytes.
  public mutating func blob(_ value: [UInt8]) {
    self.u32(UInt32(value.count))
    self.raw(value)
  }
  /// Appends a count (4 bytes) and the UTF-8 bytes.
  public mutating func text(_ value: String) { self.blob(Array(value.utf8)) }
  /// Appends the 32 bytes.
  public mutating func digest(_ value: Digest) { value.append(to: &self.bytes) }
  /// Appends 1 for true, 0 for false.
  public mutating func flag(_ value: Bool) { self.u8(value ? 1 : 0) }

  private mutating func integer<T: FixedWidthInteger>(_ value: T) {
    unsafe withUnsafeBytes(of: value.littleEndian) { unsafe self.bytes.append(contentsOf: $0) }
  }

  /// Appends an item.
  public mutating func item(_ value: some WireEncodable) { value.encode(into: &self) }

  /// Appends a count (2 bytes) and the items. For lists whose length their type, or the rules, bound far below: every
  /// `Decoder.list` names that bound.
  public mutating func list(_ values: some Collection<some WireEncodable>) {
    precondition(values.count <= Int(UInt16.max), "a list of \(values.count) has no encoding")
    self.u16(UInt16(values.count))
    for value in values { value.encode(into: &self) }
  }

  /// Appends a count (4 bytes) and the items: for what grows with a cut, which no rule bounds once a view justifies it.
  public mutating func longList(_ values: some Collection<some WireEncodable>) {
    self.u32(UInt32(values.count))
    for value in values { value.encode(into: &self) }
  }

  /// Appends 0, or 1 and the item.
  public mutating func optional(_ value: (some WireEncodable)?) {
    self.flag(value != nil)
    if let value { value.encode(into: &self) }
  }
}

/// A value with exactly one binary form.
public protocol WireEncodable {
  /// Appends the form.
  func encode(into encoder: inout Encoder)
}

/// A value that is read back from its one binary form.
public protocol WireDecodable {
  /// Reads one value. Refuses every form that `encode` would not have written.
  init(from decoder: inout Decoder) throws(WireError)
}

/// Both ways.
public typealias WireCodable = WireEncodable & WireDecodable

extension WireEncodable {
  /// The canonical bytes.
  public var encoded: [UInt8] {
    var encoder = Encoder()
    self.encode(into: &encoder)
    return encoder.bytes
  }
}

extension WireDecodable {
  /// Reads the one value that `bytes` are, to the last byte.
  public static func decode(_ bytes: [UInt8]) throws(WireError) -> Self {
    var decoder = Decoder(bytes)
    let value = try Self(from: &decoder)
    try decoder.finish()
    return value
  }
}

extension Digest: WireCodable {
  /// 32 bytes.
  public func encode(into encoder: inout Encoder) { encoder.digest(self) }
  /// Reads 32 bytes.
  public init(from decoder: inout Decoder) throws(WireError) { self = try decoder.digest() }
}
