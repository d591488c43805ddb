/// Why bytes are no record that can be sealed. `at` is the offset in bytes.
public enum JSONFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// Something else was expected there.
  case syntax(at: Int, expected: String)
  /// An object has a member twice: which one counts would depend on the reader.
  case duplicateMember(at: Int, name: String)
  /// Bytes or escapes are no Unicode.
  case invalidUnicode(at: Int)
  /// Objects and arrays are nested deeper than `CanonicalJSON.depthMax`.
  case tooDeep(at: Int)
  /// There are more bytes than are taken.
  case tooLarge(bytes: Int, max: Int)
  /// There are more values than are taken.
  case tooManyValues(max: Int)
  /// A string has more characters than are taken.
  case stringTooLong(at: Int, max: Int)

  /// What and where.
  public var description: String {
    switch self {
    case .syntax(let at, let expected): "no JSON: \(expected) expected at byte \(at)"
    case .duplicateMember(let at, let name): "the member \"\(name)\" occurs twice in one object, at byte \(at)"
    case .invalidUnicode(let at): "invalid Unicode at byte \(at)"
    case .tooDeep(let at): "nested deeper than \(CanonicalJSON.depthMax) levels at byte \(at)"
    case .tooLarge(let bytes, let max): "\(bytes) bytes, at most \(max) are taken; send it in parts"
    case .tooManyValues(let max): "more than \(max) values are not taken; send it in parts"
    case .stringTooLong(let at, let max): "the string at byte \(at) has more than \(max) characters"
    }
  }
}

/// A JSON value that keeps each number as it was written: 1.00 is not 1 in medicine.
public indirect enum CanonicalJSON: Sendable, Hashable {
  /// The deepest nesting that is read.
  public static let depthMax = 100
  /// A null.
  case null
  /// A truth value.
  case bool(Bool)
  /// A number's token.
  case number(String)
  /// A string.
  case string(String)
  /// An array.
  case array([CanonicalJSON])
  /// An object, its members in canonical order.
  case object([(name: String, value: CanonicalJSON)])

  /// Reads one value that is the whole of `bytes`; what comes from outside within limits.
  ///
  /// - Throws: `JSONFault`, with the place.
  public init(_ bytes: [UInt8], limits: JSONLimits? = nil) throws(JSONFault) {
    try limits?.check(bytes)
    var parser = JSONParser(bytes)
    self = try parser.document()
  }

  /// The member of an object.
  public subscript(name: String) -> CanonicalJSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  /// The string that it is.
  public var text: String? { if case .string(let text) = self { text } else { nil } }
  /// The items of the array that it is.
  public var items: [CanonicalJSON]? { if case .array(let items) = self { items } else { nil } }

  /// How many values it consists of, itself and members' values counted; counts no further than `max`.
  public func valueCount(upTo max: Int) -> Int {
    var (count, waiting) = (0, [self])
    while count < max, let value = waiting.popLast() {
      count += 1
      switch value {
      case .array(let items): waiting += items
      case .object(let members): waiting += members.map(\.value)
      case .null, .bool, .number, .string: break
      }
    }
    return count
  }

  /// Whether it nests no deeper than what is read: it can be written and read again.
  public var isReadable: Bool {
    var waiting = [(value: self, depth: 1)]
    while let (value, depth) = waiting.popLast() {
      switch value {
      case .array(let items):
        guard depth <= Self.depthMax else { return false }
        for item in items { waiting.append((item, depth + 1)) }
      case .object(let members):
        guard depth <= Self.depthMax else { return false }
        for member in members { waiting.append((member.value, depth + 1)) }
      case .null, .bool, .number, .string: break
      }
    }
    return true
  }

  /// The canonical bytes: RFC 8785 for order, strings and white space; numbers keep their token.
  public var canonicalBytes: [UInt8] {
    var out: [UInt8] = []
    self.write(into: &out)
    return out
  }

  private func write(into out: inout [UInt8]) {
    switch self {
    case .null: out += Array("null".utf8)
    case .bool(let value): out += Array((value ? "true" : "false").utf8)
    case .number(let token): out += Array(token.utf8)
    case .string(let text): Self.write(text, into: &out)
    case .array(let items):
      out.append(UInt8(ascii: "["))
      for (index, item) in items.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        item.write(into: &out)
      }
      out.append(UInt8(ascii: "]"))
    case .object(let members):
      out.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        Self.write(member.name, into: &out)
        out.append(UInt8(ascii: ":"))
        member.value.write(into: &out)
      }
      out.append(UInt8(ascii: "}"))
    }
  }

  /// RFC 8785 §3.2.2.2: the short escapes where JSON has them, \u00xx for other controls, all else as it is.
  private static func write(_ text: String, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case 0x22: out += [0x5c, 0x22]
      case 0x5c: out += [0x5c, 0x5c]
      case 0x08: out += Array("\\b".utf8)
      case 0x09: out += Array("\\t".utf8)
      case 0x0a: out += Array("\\n".utf8)
      case 0x0c: out += Array("\\f".utf8)
      case 0x0d: out += Array("\\r".utf8)
      case 0..<0x20:
        let digits = Array("0123456789abcdef".utf8)
        out += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\""))
  }

  /// Equal when their canonical bytes are.
  public static func == (left: CanonicalJSON, right: CanonicalJSON) -> Bool {
    left.canonicalBytes == right.canonicalBytes
  }
  /// Hashes the canonical bytes.
  public func hash(into hasher: inout Hasher) { hasher.combine(self.canonicalBytes) }
}

/// RFC 8259, strict: UTF-8, no duplicate members, no lone surrogates, bounded depth.
private struct JSONParser {
  private let bytes: [UInt8]
  private var at = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(JSONFault) -> CanonicalJSON {
    let value = try self.value(depth: 0)
    self.skipSpace()
    guard self.at == self.bytes.count else { throw .syntax(at: self.at, expected: "the end") }
    return value
  }

  private var current: UInt8? { self.at < self.bytes.count ? self.bytes[self.at] : nil }

  private mutating func skipSpace() {
    while let byte = self.current, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d { self.at += 1 }
  }

  private mutating func value(depth: Int) throws(JSONFault) -> CanonicalJSON {
    guard depth <= CanonicalJSON.depthMax else { throw .tooDeep(at: self.at) }
    self.skipSpace()
    switch self.current {
    case UInt8(ascii: "{"): return try self.object(depth: depth)
    case UInt8(ascii: "["): return try self.array(depth: depth)
    case UInt8(ascii: "\""): return .string(try self.string())
    case UInt8(ascii: "t"): return try self.word("true", .bool(true))
    case UInt8(ascii: "f"): return try self.word("false", .bool(false))
    case UInt8(ascii: "n"): return try self.word("null", .null)
    default: return .number(try self.number())
    }
  }

  private mutating func word(_ word: String, _ value: CanonicalJSON) throws(JSONFault) -> CanonicalJSON {
    let expected = Array(word.utf8)
    guard self.bytes[self.at...].starts(with: expected) else { throw .syntax(at: self.at, expected: "a value") }
    self.at += expected.count
    return value
  }

  private mutating func digits() -> Int {
    let start = self.at
    while let byte = self.current, byte >= 0x30, byte <= 0x39 { self.at += 1 }
    return self.at - start
  }

  private mutating func number() throws(JSONFault) -> String {
    let start = self.at
    if self.current == UInt8(ascii: "-") { self.at += 1 }
    let first = self.current
    let whole = self.digits()
    guard whole > 0, whole == 1 || first != UInt8(ascii: "0") else { throw .syntax(at: start, expected: "a value") }
    if self.current == UInt8(ascii: ".") {
      self.at += 1
      guard self.digits() > 0 else { throw .syntax(at: self.at, expected: "a digit") }
    }
    if self.current == UInt8(ascii: "e") || self.current == UInt8(ascii: "E") {
      self.at += 1
      if self.current == UInt8(ascii: "+") || self.current == UInt8(ascii: "-") { self.at += 1 }
      guard self.digits() > 0 else { throw .syntax(at: self.at, expected: "a digit") }
    }
    return String(decoding: self.bytes[start..<self.at], as: UTF8.self)
  }

  private mutating func array(depth: Int) throws(JSONFault) -> CanonicalJSON {
    self.at += 1
    var items: [CanonicalJSON] = []
    self.skipSpace()
    if self.current == UInt8(ascii: "]") {
      self.at += 1
      return .array([])
    }
    while true {
      items.append(try self.value(depth: depth + 1))
      self.skipSpace()
      guard let byte = self.current, byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]") else {
        throw .syntax(at: self.at, expected: "\",\" or \"]\"")
      }
      self.at += 1
      if byte == UInt8(ascii: "]") { return .array(items) }
    }
  }

  private mutating func object(depth: Int) throws(JSONFault) -> CanonicalJSON {
    let start = self.at
    self.at += 1
    var members: [(name: String, value: CanonicalJSON)] = []
    self.skipSpace()
    if self.current == UInt8(ascii: "}") {
      self.at += 1
      return .object([])
    }
    while true {
      self.skipSpace()
      guard self.current == UInt8(ascii: "\"") else { throw .syntax(at: self.at, expected: "a member's name") }
      let name = try self.string()
      self.skipSpace()
      guard self.current == UInt8(ascii: ":") else { throw .syntax(at: self.at, expected: "\":\"") }
      self.at += 1
      members.append((name, try self.value(depth: depth + 1)))
      self.skipSpace()
      guard let byte = self.current, byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") else {
        throw .syntax(at: self.at, expected: "\",\" or \"}\"")
      }
      self.at += 1
      if byte == UInt8(ascii: "}") { break }
    }
    members.sort { $0.name.utf16.lexicographicallyPrecedes($1.name.utf16) }
    for (left, right) in zip(members, members.dropFirst()) where left.name.utf16.elementsEqual(right.name.utf16) {
      throw .duplicateMember(at: start, name: left.name)
    }
    return .object(members)
  }

  private mutating func string() throws(JSONFault) -> String {
    let start = self.at
    self.at += 1
    var out: [UInt8] = []
    while let byte = self.current {
      self.at += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: out, as: UTF8.self) else { throw .invalidUnicode(at: start) }
        return text
      case UInt8(ascii: "\\"): try self.escape(into: &out)
      case 0..<0x20: throw .syntax(at: self.at - 1, expected: "no control character in a string")
      default: out.append(byte)
      }
    }
    throw .syntax(at: self.at, expected: "the string's end")
  }

  private mutating func escape(into out: inout [UInt8]) throws(JSONFault) {
    guard let byte = self.current else { throw .syntax(at: self.at, expected: "an escape") }
    self.at += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
    case UInt8(ascii: "b"): out.append(0x08)
    case UInt8(ascii: "f"): out.append(0x0c)
    case UInt8(ascii: "n"): out.append(0x0a)
    case UInt8(ascii: "r"): out.append(0x0d)
    case UInt8(ascii: "t"): out.append(0x09)
    case UInt8(ascii: "u"):
      let start = self.at - 2
      var value = try self.hexUnit()
      if value & 0xfc00 == 0xd800 {
        guard self.bytes[self.at...].starts(with: Array("\\u".utf8)) else { throw .invalidUnicode(at: start) }
        self.at += 2
        let low = try self.hexUnit()
        guard low & 0xfc00 == 0xdc00 else { throw .invalidUnicode(at: start) }
        value = 0x10000 + (value & 0x3ff) << 10 + low & 0x3ff
      }
      guard let scalar = Unicode.Scalar(value) else { throw .invalidUnicode(at: start) }
      out += Array(String(Character(scalar)).utf8)
    default: throw .syntax(at: self.at - 1, expected: "an escape")
    }
  }

  private mutating func hexUnit() throws(JSONFault) -> UInt32 {
    // A sign is no digit, though Swift's own reading takes it.
    guard self.at + 4 <= self.bytes.count,
      let value = UInt32(String(decoding: self.bytes[self.at..<(self.at + 4)], as: UTF8.self), radix: 16),
      self.bytes[self.at] != UInt8(ascii: "+"), self.bytes[self.at] != UInt8(ascii: "-")
    else { throw .invalidUnicode(at: self.at) }
    self.at += 4
    return value
  }
}
