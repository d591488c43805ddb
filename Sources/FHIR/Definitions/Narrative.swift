/// The XHTML of a narrative (FHIR R4, narrative.html, txt-1 and txt-2): one well-formed `div`, of the elements that
/// format text, that runs nothing and asks nobody.
struct Narrative {
  /// The deepest nesting.
  static let depthMax = 100

  private static let elements: Set<String> = [
    "a", "abbr", "acronym", "address", "area", "b", "bdo", "big", "blockquote", "br", "caption", "cite", "code", "col",
    "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img",
    "ins", "kbd", "li", "map", "ol", "p", "pre", "q", "samp", "small", "span", "strong", "sub", "sup", "table",
    "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
  ]

  private let bytes: [UInt8]
  private var at = 0
  private var open: [String] = []
  private var hasContent = false

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// What is wrong with a narrative; nil where nothing is.
  static func fault(of text: [UInt8]) -> String? {
    var scanner = Narrative(text)
    do throws(Fault) { try scanner.scan() } catch { return error.reason }
    return scanner.hasContent ? nil : "it says nothing: text or a picture is expected"
  }

  private struct Fault: Error { let reason: String }

  private mutating func scan() throws(Fault) {
    guard self.bytes.starts(with: "<div".utf8) else { throw Fault(reason: "it begins with <div") }
    while self.at < self.bytes.count {
      guard self.bytes[self.at] == UInt8(ascii: "<") else {
        try self.text()
        continue
      }
      if self.skip("<!--") {
        try self.passOver("-->")
      } else if self.skip("</") {
        let name = self.name()
        self.skipSpace()
        guard self.skip(">"), self.open.popLast() == name else { throw Fault(reason: "</\(name)> closes nothing") }
        if self.open.isEmpty { return try self.end() }
      } else if self.skip("<") {
        try self.element()
        if self.open.isEmpty { return try self.end() }
      }
    }
    throw Fault(reason: "<\(self.open.last ?? "div")> is not closed")
  }

  private mutating func end() throws(Fault) {
    self.skipSpace()
    guard self.at == self.bytes.count else { throw Fault(reason: "something follows its </div>") }
  }

  private mutating func text() throws(Fault) {
    let byte = self.bytes[self.at]
    if byte == UInt8(ascii: "&") { return try self.entity() }
    if byte > 0x20, !self.open.isEmpty { self.hasContent = true }
    self.at += 1
  }

  private mutating func entity() throws(Fault) {
    let rest = self.bytes[(self.at + 1)...].prefix(12)
    guard let end = rest.firstIndex(of: UInt8(ascii: ";")), end > rest.startIndex,
      rest[..<end].allSatisfy({ Self.isNameByte($0) || $0 == UInt8(ascii: "#") })
    else { throw Fault(reason: "an & stands alone: &amp; is expected") }
    self.hasContent = true
    self.at = end + 1
  }

  private mutating func element() throws(Fault) {
    let name = self.name()
    guard Self.elements.contains(name) else {
      throw Fault(reason: "<\(name.prefix(40))> is not taken: only elements that format text, links and pictures are")
    }
    guard self.open.count < Self.depthMax else { throw Fault(reason: "it is over \(Self.depthMax) elements deep") }
    if name == "img" { self.hasContent = true }
    var seen: Set<String> = []
    while true {
      let hadSpace = self.skipSpace()
      if self.skip("/>") { return }
      if self.skip(">") { break }
      let attribute = self.name()
      guard hadSpace, !attribute.isEmpty, seen.insert(attribute).inserted else {
        throw Fault(reason: "the attributes of <\(name)> are not well-formed")
      }
      self.skipSpace()
      guard self.skip("=") else { throw Fault(reason: "\(attribute) has no value") }
      self.skipSpace()
      try self.value(of: attribute)
    }
    self.open.append(name)
  }

  private mutating func value(of attribute: String) throws(Fault) {
    guard !attribute.lowercased().hasPrefix("on") else { throw Fault(reason: "\(attribute) would run something") }
    guard self.at < self.bytes.count, [0x22, 0x27].contains(self.bytes[self.at]),
      let end = self.bytes[(self.at + 1)...].firstIndex(of: self.bytes[self.at])
    else { throw Fault(reason: "the value of \(attribute) stands in no quotes") }
    let value = self.bytes[(self.at + 1)..<end]
    guard !value.contains(UInt8(ascii: "<")) else { throw Fault(reason: "the value of \(attribute) has a <") }
    if ["href", "src", "cite", "longdesc"].contains(attribute) {
      // A scheme that is hidden by an entity is none that is taken.
      let text = String(decoding: value.filter { $0 > 0x20 }.prefix(64), as: UTF8.self).lowercased()
      let mark = text.first { ":/?#&".contains($0) }
      let isScript = mark == "&" || (mark == ":" && ["javascript:", "vbscript:"].contains { text.hasPrefix($0) })
      guard !isScript else { throw Fault(reason: "\(attribute) would run something") }
    }
    self.at = end + 1
  }

  private mutating func name() -> String {
    let start = self.at
    while self.at < self.bytes.count, Self.isNameByte(self.bytes[self.at]) { self.at += 1 }
    return String(decoding: self.bytes[start..<self.at], as: UTF8.self)
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
      || [0x2D, 0x2E, 0x3A, 0x5F].contains(byte)
  }

  @discardableResult
  private mutating func skipSpace() -> Bool {
    let start = self.at
    while self.at < self.bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(self.bytes[self.at]) { self.at += 1 }
    return self.at > start
  }

  private mutating func skip(_ word: String) -> Bool {
    guard self.bytes[self.at...].starts(with: word.utf8) else { return false }
    self.at += word.utf8.count
    return true
  }

  private mutating func passOver(_ word: String) throws(Fault) {
    while self.at < self.bytes.count {
      if self.skip(word) { return }
      self.at += 1
    }
    throw Fault(reason: "a comment is not closed")
  }
}
