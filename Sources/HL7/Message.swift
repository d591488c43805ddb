/// One segment, divided into fields; field 0 is its name.
public struct Segment: Sendable, Hashable {
  /// Three letters or digits.
  public let name: String
  /// Which of the segments of that name it is, from 1.
  public let occurrence: Int
  let bytes: [UInt8]
  let fields: [ArraySlice<UInt8>]
  let delimiters: Delimiters
  let charset: Charset

  /// As it came, in Unicode, escapes and all.
  public var text: String { String(decoding: self.bytes, as: UTF8.self) }

  /// What stands in a field as it came; empty where there is none.
  func raw(_ field: Int) -> ArraySlice<UInt8> { field < self.fields.count ? self.fields[field] : [] }

  /// The repetitions of a field that are not empty.
  public func repetitions(_ field: Int) -> [Repetition] {
    let raw = self.raw(field)
    guard !raw.isEmpty, !self.isNull(field) else { return [] }
    guard let sign = self.delimiters.repetition, !self.isHeader(field) else { return [Repetition(raw, self)] }
    return raw.split(separator: sign).map { Repetition($0, self) }
  }

  /// The first repetition of a field; nil where it is empty.
  public func first(_ field: Int) -> Repetition? { self.repetitions(field).first }

  /// The first component of the first repetition as text; nil where it is empty.
  public func value(_ field: Int) -> String? { self.first(field)?.value(1) }

  /// Whether a field says that what is there is to be deleted: `""`.
  public func isNull(_ field: Int) -> Bool { Array(self.raw(field)) == [0x22, 0x22] }

  /// Whether a field has more in it than its elements take: subcomponents, but for the authority of a number.
  func isDeep(_ field: Int) -> Bool { self.repetitions(field).contains { $0.isDeep } }

  /// The fields that have something in them, by number.
  var filled: [Int] { self.fields.indices.dropFirst().filter { !self.fields[$0].isEmpty } }

  private func isHeader(_ field: Int) -> Bool { self.name == "MSH" && field <= 2 }

  /// A refusal that names this segment.
  func fault(_ code: HL7Fault.Code, _ field: Int?, _ message: String) -> HL7Fault {
    HL7Fault(code, self.name, occurrence: self.occurrence, field: field, message)
  }
}

/// One repetition of a field.
public struct Repetition: Sendable, Hashable {
  private let components: [ArraySlice<UInt8>]
  private let whole: ArraySlice<UInt8>
  private let delimiters: Delimiters
  private let charset: Charset

  init(_ bytes: ArraySlice<UInt8>, _ segment: Segment) {
    (self.whole, self.delimiters, self.charset) = (bytes, segment.delimiters, segment.charset)
    self.components = bytes.split(separator: segment.delimiters.component, omittingEmptySubsequences: false)
  }

  /// A component's first subcomponent as text; nil where it is empty or null.
  public func value(_ component: Int) -> String? { self.value(component, 1) }

  /// A subcomponent as text, without spaces around it; nil where it is empty or null.
  public func value(_ component: Int, _ part: Int) -> String? {
    guard component <= self.components.count else { return nil }
    let parts = Self.parts(self.components[component - 1], self.delimiters)
    guard part <= parts.count else { return nil }
    return self.text(parts[part - 1])
  }

  /// A component with all its subcomponents as one text, where none of them divides it further.
  public func all(_ component: Int) -> String? {
    component <= self.components.count ? self.text(self.components[component - 1]) : nil
  }

  /// The whole as one text.
  public var text: String? { self.text(self.whole) }

  /// Whether a component has several subcomponents of which only the first is read: not an authority's (CX, XCN).
  var isDeep: Bool {
    guard let sign = self.delimiters.subcomponent else { return false }
    return self.components.enumerated().contains { place, part in ![3, 8].contains(place) && part.contains(sign) }
  }

  /// How many components there are.
  public var count: Int { self.components.count }

  private static func parts(_ bytes: ArraySlice<UInt8>, _ delimiters: Delimiters) -> [ArraySlice<UInt8>] {
    guard let sign = delimiters.subcomponent else { return [bytes] }
    return bytes.split(separator: sign, omittingEmptySubsequences: false)
  }

  private func text(_ bytes: ArraySlice<UInt8>) -> String? {
    let text = Escapes.text(of: bytes, self.delimiters, self.charset)
    let trimmed = text.drop { $0.isWhitespace }
    guard let last = trimmed.lastIndex(where: { !$0.isWhitespace }), text != "\"\"" else { return nil }
    return String(trimmed[...last])
  }
}

/// An HL7 v2 message in its vertical-bar encoding, divided and within `HL7Limits`.
///
/// Source: HL7 v2.5.1, chapter 2.
public struct Message: Sendable, Hashable {
  /// The segments in their order; the first is MSH.
  public let segments: [Segment]
  /// What divides it.
  public let delimiters: Delimiters
  /// How its characters are written.
  public let charset: Charset

  /// Reads a message. Segments end with CR; where there is no CR, with LF.
  ///
  /// - Throws: `HL7Fault`, with the segment and the field.
  public init(_ bytes: [UInt8]) throws(HL7Fault) {
    guard bytes.count <= HL7Limits.bytesMax else {
      throw HL7Fault(.segmentSequence, "\(bytes.count) bytes, at most \(HL7Limits.bytesMax) are taken")
    }
    // A byte order mark is no part of a message, and says what it is written in.
    let isMarked = bytes.starts(with: [0xEF, 0xBB, 0xBF])
    let plain = isMarked ? Array(bytes.dropFirst(3)) : bytes
    let delimiters = try Delimiters(startOf: plain)
    let charset = try Self.charset(of: plain, delimiters, isMarked: isMarked)
    guard let text = charset.utf8(of: plain) else {
      throw HL7Fault(
        .dataType, "MSH", field: 18, "the message has bytes that are not \(charset.rawValue): name its encoding there")
    }
    if let at = text.firstIndex(where: { $0 < 0x20 && $0 != 0x0D && $0 != 0x0A && $0 != 0x09 }) {
      throw HL7Fault(.dataType, "a control character (\(text[at])) at byte \(at): send it as an escape")
    }
    (self.delimiters, self.charset) = (delimiters, charset)
    self.segments = try Self.divided(text, delimiters, charset)
  }

  /// Some segments of a message.
  init(_ segments: [Segment], of whole: Message) {
    (self.segments, self.delimiters, self.charset) = (segments, whole.delimiters, whole.charset)
  }

  private static func charset(
    of bytes: [UInt8], _ delimiters: Delimiters, isMarked: Bool
  ) throws(HL7Fault) -> Charset {
    let line = bytes.prefix { $0 != 0x0D && $0 != 0x0A }.prefix(16 << 10)
    let fields = line.split(separator: delimiters.field, omittingEmptySubsequences: false)
    // MSH-1 is the sign itself: MSH-18 is the eighteenth part.
    let field = fields.count > 17 ? fields[17] : []
    let first = delimiters.repetition.map { sign in field.prefix { $0 != sign } } ?? field
    let name = String(decoding: first, as: UTF8.self)
    guard let charset = Charset(name: name) else {
      let known = Charset.allCases.map(\.rawValue).joined(separator: ", ")
      throw HL7Fault(.tableValue, "MSH", field: 18, "\"\(name.prefix(40))\" is not read; these are: \(known)")
    }
    guard isMarked else { return charset }
    guard first.isEmpty || charset == .utf8 else {
      throw HL7Fault(.dataType, "MSH", field: 18, "it begins as UTF-8, and says that it is \(name.prefix(40))")
    }
    return .utf8
  }

  private static func divided(
    _ text: [UInt8], _ delimiters: Delimiters, _ charset: Charset
  ) throws(HL7Fault) -> [Segment] {
    let end: UInt8 = text.contains(0x0D) ? 0x0D : 0x0A
    var segments: [Segment] = []
    var occurrences: [String: Int] = [:]
    for part in text.split(separator: end) {
      let line = Array(part.drop { $0 == 0x0A })
      // ⚑ A segment that ends with another sign than the others is none of the one before.
      if let inner = line.indices.first(where: { Self.isStart(line, $0, delimiters) }) {
        let name = String(decoding: line[(inner + 1)...].prefix(3), as: UTF8.self)
        throw HL7Fault(
          .segmentSequence, name, "a line feed stands before \(name), and CR ends the others: end all of them with CR")
      }
      guard line.contains(where: { $0 > 0x20 }) else { continue }
      guard segments.count < HL7Limits.segmentsMax else {
        throw HL7Fault(.segmentSequence, "more than \(HL7Limits.segmentsMax) segments are not taken")
      }
      let name = String(decoding: line.prefix(3), as: UTF8.self)
      guard Self.isName(line), line.count == 3 || line[3] == delimiters.field else {
        throw HL7Fault(.segmentSequence, "segment \(segments.count + 1) has no name of three letters or digits")
      }
      guard name != "MSH" || segments.isEmpty else {
        throw HL7Fault(.segmentSequence, "MSH", occurrence: 2, "a second message begins: send each by itself")
      }
      occurrences[name, default: 0] += 1
      segments.append(try self.segment(name, occurrences[name] ?? 1, line, delimiters, charset))
    }
    return segments
  }

  private static func segment(
    _ name: String, _ occurrence: Int, _ line: [UInt8], _ delimiters: Delimiters, _ charset: Charset
  ) throws(HL7Fault) -> Segment {
    var fields = line.split(separator: delimiters.field, omittingEmptySubsequences: false)
    if name == "MSH" { fields.insert(line[3..<4], at: 1) }
    func bounded(_ count: Int, _ max: Int, _ field: Int?, _ what: String) throws(HL7Fault) {
      guard count > max else { return }
      throw HL7Fault(
        .segmentSequence, name, occurrence: occurrence, field: field, "\(count) \(what), at most \(max) are taken")
    }
    try bounded(fields.count, HL7Limits.fieldsMax, nil, "fields")
    for (number, field) in fields.enumerated() where name != "MSH" || number > 2 {
      let repetitions = delimiters.repetition.map { sign in field.split(separator: sign) } ?? [field]
      try bounded(repetitions.count, HL7Limits.repetitionsMax, number, "repetitions")
      for repetition in repetitions {
        let components = repetition.split(separator: delimiters.component, omittingEmptySubsequences: false)
        try bounded(components.count, HL7Limits.componentsMax, number, "components")
        guard let sign = delimiters.subcomponent else { continue }
        for component in components {
          try bounded(component.count { $0 == sign } + 1, HL7Limits.componentsMax, number, "subcomponents")
        }
      }
    }
    return Segment(
      name: name, occurrence: occurrence, bytes: line, fields: fields, delimiters: delimiters, charset: charset)
  }

  /// Whether a line feed at a place is followed by what begins a segment.
  private static func isStart(_ line: [UInt8], _ place: Int, _ delimiters: Delimiters) -> Bool {
    guard line[place] == 0x0A, place + 4 < line.count, line[place + 4] == delimiters.field else { return false }
    return Self.isName(Array(line[(place + 1)...(place + 3)]))
  }

  private static func isName(_ line: [UInt8]) -> Bool {
    line.count >= 3 && (0x41...0x5A).contains(line[0])
      && line[1...2].allSatisfy { (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) }
  }

  /// The first segment of a name.
  public func first(_ name: String) -> Segment? { self.segments.first { $0.name == name } }
}

/// Escapes in fields (HL7 v2.5.1, §2.7).
enum Escapes {
  /// The text that a field's bytes mean; read once, so that what comes out of an escape is none. An escape that is not
  /// known stays as it is.
  static func text(of bytes: ArraySlice<UInt8>, _ delimiters: Delimiters, _ charset: Charset) -> String {
    guard let sign = delimiters.escape, bytes.contains(sign) else { return String(decoding: bytes, as: UTF8.self) }
    var out: [UInt8] = []
    var rest = bytes
    while let start = rest.firstIndex(of: sign) {
      out += rest[..<start]
      let body = rest[(start + 1)...]
      guard let end = body.firstIndex(of: sign) else {
        rest = rest[start...]
        break
      }
      if let meant = self.meaning(of: Array(body[..<end]), delimiters, charset) {
        out += meant
        rest = rest[(end + 1)...]
      } else {
        // Its end may begin another.
        out += rest[start..<end]
        rest = rest[end...]
      }
    }
    return String(decoding: out + rest, as: UTF8.self)
  }

  private static func meaning(of body: [UInt8], _ delimiters: Delimiters, _ charset: Charset) -> [UInt8]? {
    switch String(decoding: body, as: UTF8.self) {
    case "F": return [delimiters.field]
    case "S": return [delimiters.component]
    case "R": return delimiters.repetition.map { [$0] }
    case "E": return delimiters.escape.map { [$0] }
    case "T": return delimiters.subcomponent.map { [$0] }
    // Highlighting has no place in a text.
    case "H", "N": return []
    case ".br", ".sp", ".ce": return [0x0A]
    default: return body.first == UInt8(ascii: "X") ? self.hex(body.dropFirst(), charset) : nil
    }
  }

  private static func hex(_ digits: ArraySlice<UInt8>, _ charset: Charset) -> [UInt8]? {
    guard !digits.isEmpty, digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in digits {
      guard let value = self.value(of: digit) else { return nil }
      if let first = high { bytes.append(first << 4 | value) }
      high = high == nil ? value : nil
    }
    let isText = bytes.allSatisfy { $0 >= 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
    return isText ? charset.utf8(of: bytes) : nil
  }

  private static func value(of digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case 0x41...0x46: digit - 0x37
    case 0x61...0x66: digit - 0x57
    default: nil
    }
  }
}
