import HealthRecords

/// A primitive type of FHIR R4, with the form of its values (§2.24.0.1).
enum Primitive: String, Sendable {
  case boolean, integer, positiveInt, unsignedInt, decimal
  case string, markdown, code, id, uri, url, canonical, oid, uuid, base64Binary, xhtml
  case date, dateTime, instant, time

  /// What is wrong with a value; nil where it has the form.
  func fault(of value: CanonicalJSON) -> String? {
    switch self {
    case .boolean:
      if case .bool = value { return nil }
      return "true or false is expected"
    case .decimal:
      if case .number = value { return nil }
      return "a number is expected"
    case .integer, .positiveInt, .unsignedInt:
      guard case .number(let token) = value else { return "a number is expected" }
      let least: Int32 = self == .integer ? .min : self == .positiveInt ? 1 : 0
      guard let number = Int32(token), number >= least else {
        return "\(token) is no whole number from \(least) to \(Int32.max)"
      }
      return nil
    default:
      guard let text = value.text else { return "a string is expected" }
      if self == .xhtml { return Narrative.fault(of: Array(text.utf8)).map { "no XHTML of a narrative: \($0)" } }
      return self.admits(Array(text.utf8)) ? nil : "\"\(Self.shortened(text))\" is no \(self.words)"
    }
  }

  private static func shortened(_ text: String) -> String { text.count > 40 ? text.prefix(40) + "…" : text }

  private var words: String {
    switch self {
    case .string, .markdown: "text: control characters are not taken, nor more than 1,048,576 characters"
    case .code: "code: spaces stand between words only, one at a time"
    case .id: "id: 1 to 64 letters, digits, - and ."
    case .uri, .url, .canonical: "\(self.rawValue): spaces are not taken"
    case .oid: "oid, like urn:oid:1.2.3"
    case .uuid: "uuid, like urn:uuid:c757873d-ec9a-4326-a141-556f43239520"
    case .base64Binary: "base64"
    case .xhtml: "XHTML: it begins with <div"
    case .date: "date, like 2024, 2024-02 or 2024-02-29"
    case .dateTime: "date or time, like 2024-02-29 or 2024-02-29T13:00:00+01:00"
    case .instant: "instant, like 2024-02-29T13:00:00.000+01:00"
    case .time: "time, like 13:00:00"
    case .boolean, .integer, .positiveInt, .unsignedInt, .decimal: self.rawValue
    }
  }

  private func admits(_ text: [UInt8]) -> Bool {
    var scanner = Scanner(text: text)
    switch self {
    case .string, .markdown:
      // Whatever it looks like: only base64 and XHTML are longer (R4, datatypes, `string`).
      let max = JSONLimits.outside.charactersMax
      return (text.count <= max || text.count(where: { $0 & 0xC0 != 0x80 }) <= max)
        && text.allSatisfy { $0 >= 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
    case .code: return Self.isCode(text)
    case .id:
      return (1...64).contains(text.count) && text.allSatisfy { Self.isWord($0) || $0 == 0x2D || $0 == 0x2E }
    case .uri, .url, .canonical: return !text.contains { $0 <= 0x20 }
    case .oid:
      return scanner.skip("urn:oid:") && scanner.rest.allSatisfy { $0 == 0x2E || Self.isDigit($0) }
        && scanner.rest.split(separator: 0x2E, omittingEmptySubsequences: false).allSatisfy {
          !$0.isEmpty && ($0.count == 1 || $0.first != 0x30)
        }
    case .uuid:
      return scanner.skip("urn:uuid:") && scanner.rest.count == 36
        && scanner.rest.enumerated().allSatisfy { place, byte in
          [8, 13, 18, 23].contains(place) ? byte == 0x2D : Self.isDigit(byte) || (0x61...0x66).contains(byte)
        }
    case .base64Binary: return Self.isBase64(text)
    case .xhtml: return Narrative.fault(of: text) == nil
    case .date: return scanner.date(partial: true) != nil && scanner.isAtEnd
    case .time: return scanner.time() && scanner.isAtEnd
    case .dateTime:
      guard let isWhole = scanner.date(partial: true) else { return false }
      return scanner.isAtEnd || (isWhole && scanner.skip("T") && scanner.time() && scanner.zone() && scanner.isAtEnd)
    case .instant:
      return scanner.date(partial: false) != nil && scanner.skip("T") && scanner.time() && scanner.zone()
        && scanner.isAtEnd
    case .boolean, .integer, .positiveInt, .unsignedInt, .decimal: return false
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  private static func isWord(_ byte: UInt8) -> Bool {
    Self.isDigit(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }

  private static func isCode(_ text: [UInt8]) -> Bool {
    var before: UInt8 = 0x20
    for byte in text {
      if byte < 0x20 || (byte == 0x20 && before == 0x20) { return false }
      before = byte
    }
    return before != 0x20
  }

  private static func isBase64(_ text: [UInt8]) -> Bool {
    var count = 0
    var padding = 0
    for byte in text where byte > 0x20 {
      count += 1
      if byte == 0x3D {
        padding += 1
      } else if padding > 0 || !(Self.isWord(byte) || byte == 0x2B || byte == 0x2F) {
        return false
      }
    }
    return count % 4 == 0 && padding <= 2
  }

  /// Reads dates and times from left to right.
  private struct Scanner {
    let text: [UInt8]
    var place = 0

    var isAtEnd: Bool { self.place == self.text.count }
    var rest: ArraySlice<UInt8> { self.text[self.place...] }

    mutating func skip(_ word: String) -> Bool {
      guard self.rest.starts(with: word.utf8) else { return false }
      self.place += word.utf8.count
      return true
    }

    mutating func number(digits: Int, in range: ClosedRange<Int>) -> Int? {
      guard self.rest.count >= digits else { return nil }
      var number = 0
      for byte in self.rest.prefix(digits) {
        guard Primitive.isDigit(byte) else { return nil }
        number = number * 10 + Int(byte - 0x30)
      }
      guard range.contains(number) else { return nil }
      self.place += digits
      return number
    }

    /// Whether the day is there too; nil where it is no date.
    mutating func date(partial: Bool) -> Bool? {
      guard let year = self.number(digits: 4, in: 1...9999) else { return nil }
      guard self.skip("-") else { return partial ? false : nil }
      guard let month = self.number(digits: 2, in: 1...12) else { return nil }
      guard self.skip("-") else { return partial ? false : nil }
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      let days = month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
      return self.number(digits: 2, in: 1...days) == nil ? nil : true
    }

    mutating func time() -> Bool {
      guard self.number(digits: 2, in: 0...23) != nil, self.skip(":"), self.number(digits: 2, in: 0...59) != nil,
        self.skip(":"), self.number(digits: 2, in: 0...60) != nil
      else { return false }
      guard self.skip(".") else { return true }
      let digits = self.rest.prefix { Primitive.isDigit($0) }.count
      self.place += digits
      return digits > 0
    }

    mutating func zone() -> Bool {
      if self.skip("Z") { return true }
      guard self.skip("+") || self.skip("-") else { return false }
      guard let hours = self.number(digits: 2, in: 0...14), self.skip(":") else { return false }
      return self.number(digits: 2, in: 0...(hours == 14 ? 0 : 59)) != nil
    }
  }
}
