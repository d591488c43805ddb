/// The encodings of MSH-18 (HL7 table 0211) that are read.
public enum Charset: String, Sendable, CaseIterable {
  /// Seven bits.
  case ascii = "ASCII"
  /// ISO 8859-1.
  case latin1 = "8859/1"
  /// UTF-8.
  case utf8 = "UNICODE UTF-8"

  /// The one that a name means; ASCII where there is none.
  init?(name: String) {
    switch name {
    case "", "ASCII", "ISO IR6": self = .ascii
    case "8859/1", "ISO IR100": self = .latin1
    case "UNICODE UTF-8", "UTF-8": self = .utf8
    default: return nil
    }
  }

  /// The same text in UTF-8; nil where the bytes are none of this encoding.
  func utf8(of bytes: some Collection<UInt8>) -> [UInt8]? {
    switch self {
    case .ascii: return bytes.allSatisfy { $0 < 0x80 } ? Array(bytes) : nil
    case .utf8: return String(validating: bytes, as: UTF8.self).map { Array($0.utf8) }
    case .latin1:
      var out: [UInt8] = []
      out.reserveCapacity(bytes.count)
      for byte in bytes {
        if byte < 0x80 { out.append(byte) } else { out += [0xC0 | byte >> 6, 0x80 | byte & 0x3F] }
      }
      return out
    }
  }

  /// A text in this encoding; `?` for what it has no sign for.
  func bytes(of text: String) -> [UInt8] {
    switch self {
    case .utf8: Array(text.utf8)
    case .ascii: text.unicodeScalars.map { $0.value < 0x80 ? UInt8($0.value) : UInt8(ascii: "?") }
    case .latin1: text.unicodeScalars.map { $0.value < 0x100 ? UInt8($0.value) : UInt8(ascii: "?") }
    }
  }
}

/// The characters by which a message is divided: MSH-1 and MSH-2.
public struct Delimiters: Sendable, Hashable {
  /// Between fields.
  public let field: UInt8
  /// Between components.
  public let component: UInt8
  /// Between repetitions; nil where MSH-2 names none.
  public let repetition: UInt8?
  /// Around escapes; nil where MSH-2 names none.
  public let escape: UInt8?
  /// Between subcomponents; nil where MSH-2 names none.
  public let subcomponent: UInt8?

  /// `|^~\&`.
  public static let standard = Delimiters(
    field: UInt8(ascii: "|"), component: UInt8(ascii: "^"), repetition: UInt8(ascii: "~"), escape: UInt8(ascii: "\\"),
    subcomponent: UInt8(ascii: "&"))

  private init(field: UInt8, component: UInt8, repetition: UInt8?, escape: UInt8?, subcomponent: UInt8?) {
    (self.field, self.component, self.repetition) = (field, component, repetition)
    (self.escape, self.subcomponent) = (escape, subcomponent)
  }

  /// Those that a message begins with: four bytes at least, all different, none a letter, a digit or a space.
  init(startOf bytes: [UInt8]) throws(HL7Fault) {
    guard bytes.starts(with: "MSH".utf8), bytes.count > 5 else {
      throw HL7Fault(.segmentSequence, "MSH", "the message does not begin with MSH and its delimiters")
    }
    let field = bytes[3]
    let signs = Array(bytes[4...].prefix(6).prefix { $0 != field && $0 != 0x0D && $0 != 0x0A })
    // A fifth sign marks what was cut short (v2.7, §2.5.5.2), which is not read here.
    guard (1...5).contains(signs.count) else {
      throw HL7Fault(.dataType, "MSH", field: 2, "it names \(signs.count) characters, one to five are expected")
    }
    let all = [field] + signs
    guard all.allSatisfy({ Self.isSign($0) }), Set(all).count == all.count else {
      throw HL7Fault(.dataType, "MSH", field: 2, "delimiters are different signs, and no letters, digits or spaces")
    }
    self.init(
      field: field, component: signs[0], repetition: signs.count > 1 ? signs[1] : nil,
      escape: signs.count > 2 ? signs[2] : nil, subcomponent: signs.count > 3 ? signs[3] : nil)
  }

  private static func isSign(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
    default: false
    }
  }

  /// MSH-2.
  var encoding: [UInt8] {
    [self.component] + [self.repetition, self.escape, self.subcomponent].compactMap { $0 }
  }

  /// A text in which nothing divides.
  func escaped(_ text: String) -> String {
    var out: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case self.field: out += self.escaping("F")
      case self.component: out += self.escaping("S")
      case self.repetition: out += self.escaping("R")
      case self.escape: out += self.escaping("E")
      case self.subcomponent: out += self.escaping("T")
      case 0..<0x20: out.append(0x20)
      default: out.append(byte)
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  private func escaping(_ letter: Unicode.Scalar) -> [UInt8] {
    guard let escape else { return [0x20] }
    return [escape, UInt8(ascii: letter), escape]
  }
}
