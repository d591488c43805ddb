public import Primitives

/// Why bytes are no canonical form. `at` is the offset in bytes where reading stopped.
public enum WireError: Error, Sendable, Hashable {
  /// The bytes end too early: the sender cut them off, or a length lies.
  case truncated(at: Int, needBytes: Int, haveBytes: Int)
  /// Bytes are left after the value: the sender speaks another version, or garbles.
  case trailing(at: Int, extraBytes: Int)
  /// A length or count is over the stated maximum.
  case overMax(at: Int, field: String, value: UInt64, max: UInt64)
  /// A field's value has no meaning, or is not the one form that it must have.
  case invalid(at: Int, field: String)
}

extension WireError: CustomStringConvertible {
  /// What, where and by how much, on one line.
  public var description: String {
    switch self {
    case .truncated(let at, let need, let have):
      "truncated at byte \(at): \(need) bytes needed, \(have) there"
    case .trailing(let at, let extra): "\(extra) bytes too many from byte \(at) on"
    case .overMax(let at, let field, let value, let max):
      "\(field) at byte \(at) is \(value), the maximum is \(max)"
    case .invalid(let at, let field): "\(field) at byte \(at) has no valid meaning"
    }
  }
}

/// Reads the canonical binary form, checking every bound; never traps, whatever the bytes.
public struct Decoder: Sendable {
  private let bytes: [UInt8]
  /// The offset of the next byte.
  public private(set) var offset: Int
  private let end: Int

  /// Reads `bytes` from their start.
  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
    self.offset = 0
    self.end = bytes.count
  }

  /// How many bytes are left.
  public var remaining: Int { self.end - self.offset }

  /// Throws where bytes are left.
  public func finish() throws(WireError) {
    guard self.remaining == 0 else { throw .trailing(at: self.offset, extraBytes: self.remaining) }
  }

  private mutating func take(_ count: Int) throws(WireError) -> Int {
    guard count <= self.remaining else {
      throw .truncated(at: self.offset, needBytes: count, haveBytes: self.remaining)
    }
    defer { self.offset += count }
    return self.offset
  }

  private mutating func integer<T: FixedWidthInteger>(_: T.Type) throws(WireError) -> T {
    let start = try self.take(T.bitWidth / 8)
    return unsafe self.bytes.withUnsafeBytes { source in
      T(littleEndian: unsafe source.loadUnaligned(fromByteOffset: start, as: T.self))
    }
  }

  /// What was read since an offset.
  public func read(since start: Int) -> ArraySlice<UInt8> { self.bytes[start..<self.offset] }

  /// Reads one byte.
  public mutating func u8() throws(WireError) -> UInt8 { self.bytes[try self.take(1)] }
  /// Reads two bytes.
  public mutating func u16() throws(WireError) -> UInt16 { try self.integer(UInt16.self) }
  /// Reads four bytes.
  public mutating func u32() throws(WireError) -> UInt32 { try self.integer(UInt32.self) }
  /// Reads eight bytes.
  public mutating func u64() throws(WireError) -> UInt64 { try self.integer(UInt64.self) }

  /// Reads `count` bytes.
  public mutating func raw(_ count: Int) throws(WireError) -> [UInt8] {
    let start = try self.take(count)
    return Array(self.bytes[start..<(start + count)])
  }

  /// Reads a count and that many bytes, at most `max`.
  public mutating func blob(max: Int, _ field: String) throws(WireError) -> [UInt8] {
    let start = self.offset
    let count = try self.u32()
    guard count <= UInt32(max) else {
      throw .overMax(at: start, field: field, value: UInt64(count), max: UInt64(max))
    }
    return try self.raw(Int(count))
  }

  /// Reads UTF-8 text of at most `max` bytes.
  public mutating func text(max: Int, _ field: String) throws(WireError) -> String {
    let start = self.offset
    let bytes = try self.blob(max: max, field)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .invalid(at: start, field: field)
    }
    return text
  }

  /// Reads 32 bytes.
  public mutating func digest() throws(WireError) -> Digest {
    let start = try self.take(Digest.lengthBytes)
    return Digest(self.bytes, at: start)
  }

  /// Reads 0 or 1, and refuses every other byte.
  public mutating func flag(_ field: String) throws(WireError) -> Bool {
    let start = self.offset
    switch try self.u8() {
    case 0: return false
    case 1: return true
    default: throw .invalid(at: start, field: field)
    }
  }

  /// Reads a count, at most `max`, and that many items.
  public mutating func list<T: WireDecodable>(max: Int, _ field: String) throws(WireError) -> [T] {
    let start = self.offset
    let count = Int(try self.u16())
    guard count <= max else {
      throw .overMax(at: start, field: field, value: UInt64(count), max: UInt64(max))
    }
    var items: [T] = []
    for _ in 0..<count { items.append(try T(from: &self)) }
    return items
  }

  /// Reads a count (4 bytes) and that many items, each of at least `itemBytesMin` bytes: no more than can be there.
  public mutating func longList<T: WireDecodable>(itemBytesMin: Int, _ field: String) throws(WireError) -> [T] {
    let start = self.offset
    let (count, max) = (Int(try self.u32()), self.remaining / itemBytesMin)
    guard count <= max else { throw .overMax(at: start, field: field, value: UInt64(count), max: UInt64(max)) }
    var items: [T] = []
    items.reserveCapacity(count)
    for _ in 0..<count { items.append(try T(from: &self)) }
    return items
  }

  /// Reads 0, or 1 and an item.
  public mutating func optional<T: WireDecodable>(_ field: String) throws(WireError) -> T? {
    guard try self.flag(field) else { return nil }
    return try T(from: &self)
  }
}
