/// What JSON from outside may be, judged by its bytes before a tree is made of them: sixty million bytes of `[0,0,…]`
/// would take two thousand million in memory.
public struct JSONLimits: Sendable, Hashable {
  /// The most values, members' names counted too.
  public var valuesMax = 4_000_000
  /// The most characters of a string (FHIR R4, datatypes, `string`). Base64 and XHTML have no such bound there.
  public var charactersMax = 1 << 20
  /// The defaults.
  public init() {}

  /// What a value takes in memory, about, beyond its own bytes.
  public static let valueBytes = 64

  /// Those for what comes from outside.
  public static let outside = JSONLimits()

  /// What a tree of these bytes takes in memory, about.
  public func treeBytes(of bytes: [UInt8]) -> Int {
    var scan = JSONScan()
    while scan.next(in: bytes.span) != nil {}
    return scan.values * Self.valueBytes
  }

  /// Requires that bytes are within the limits; whether they are JSON the parser sees.
  ///
  /// - Throws: `JSONFault.tooManyValues`, `.stringTooLong`.
  public func check(_ bytes: [UInt8]) throws(JSONFault) {
    var scan = JSONScan()
    while let string = scan.next(in: bytes.span) {
      guard scan.values <= self.valuesMax else { throw .tooManyValues(max: self.valuesMax) }
      guard string.characters <= self.charactersMax || string.isUnbounded else {
        throw .stringTooLong(at: string.start, max: self.charactersMax)
      }
    }
    guard scan.values <= self.valuesMax else { throw .tooManyValues(max: self.valuesMax) }
  }
}

/// Goes over JSON's bytes once, from string to string.
private struct JSONScan {
  struct Text {
    let start: Int
    var characters = 0
    /// Whether it can be base64, or begins as XHTML does.
    var isUnbounded = true
  }

  private var at = 0
  /// So far.
  private(set) var values = 1

  /// The next string; nil at the end. Stops between them only there.
  mutating func next(in bytes: Span<UInt8>) -> Text? {
    while self.at < bytes.count {
      let byte = bytes[self.at]
      self.at += 1
      switch byte {
      case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "{"): self.values += 1
      case UInt8(ascii: "\""): return self.string(bytes)
      default: break
      }
    }
    return nil
  }

  private mutating func string(_ bytes: Span<UInt8>) -> Text {
    var text = Text(start: self.at)
    var isBase64 = true
    while self.at < bytes.count {
      let byte = bytes[self.at]
      self.at += 1
      switch byte {
      case UInt8(ascii: "\""):
        text.isUnbounded = isBase64 || Self.isXHTML(bytes, from: text.start)
        return text
      case UInt8(ascii: "\\"):
        isBase64 = isBase64 && self.at < bytes.count && [0x2f, 0x6e, 0x72].contains(bytes[self.at])
        self.at += self.at < bytes.count && bytes[self.at] == UInt8(ascii: "u") ? 5 : 1
        text.characters += 1
      case 0x80...0xbf: isBase64 = false
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2f, 0x3d: text.characters += 1
      default:
        isBase64 = false
        text.characters += 1
      }
    }
    return text
  }

  private static func isXHTML(_ bytes: Span<UInt8>, from start: Int) -> Bool {
    for (place, byte) in "<div".utf8.enumerated() {
      guard start + place < bytes.count, bytes[start + place] == byte else { return false }
    }
    return true
  }
}
