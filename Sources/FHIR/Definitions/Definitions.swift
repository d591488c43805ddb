/// What FHIR R4 says of the types that are stored here, and of every type within them.
///
/// Source: HL7 FHIR R4 (4.0.1), fhir.schema.json (CC0); `Scripts/definitions` writes the tables.
enum Definitions {
  /// One element: how often it may be there, and of what type it is.
  struct Element: Sendable {
    let repeats: Bool
    let kind: Kind
    /// The name before `[x]`; nil where it is no choice.
    let choice: String?
  }

  /// What an element's value is.
  enum Kind: Sendable {
    case primitive(Primitive)
    /// A code of these, where the value set is required.
    case code([Substring])
    /// An object of the definition of this name.
    case object(String)
    /// Another resource.
    case resource
  }

  /// The elements of one type; what all types have is not among them.
  struct Definition: Sendable {
    var elements: [String: Element] = [:]
    /// Elements, and choices as `value[x]`, that must be there.
    var required: [String] = []
    var takesModifiers = false
  }

  /// The definitions by name; that of a part of a type is named with a `_`.
  static let table: [String: Definition] = {
    var table: [String: Definition] = [:]
    var type = ""
    var open = ""
    for part in Self.parts.joined(separator: "\n").split(whereSeparator: \.isWhitespace) {
      // A list that ends with a comma goes on in the next line.
      open += part
      if open.last == "," { continue }
      let word = open
      open = ""
      guard let colon = word.firstIndex(of: ":") else {
        type = word
        table[type] = Definition(takesModifiers: type.contains("_") || type == "Dosage" || type == "Timing")
        continue
      }
      let name = String(word[..<colon].prefix { !"*!?".contains($0) })
      let marks = word[..<colon].dropFirst(name.count)
      let kinds = word[word.index(after: colon)...]
      let isChoice = marks.contains("?")
      if marks.contains("!") { table[type]?.required.append(isChoice ? name + "[x]" : name) }
      guard isChoice else {
        table[type]?.elements[name] = Element(repeats: marks.contains("*"), kind: Self.kind(kinds), choice: nil)
        continue
      }
      for kind in kinds.split(separator: ",") {
        let full = name + kind.prefix(1).uppercased() + kind.dropFirst()
        table[type]?.elements[full] = Element(repeats: false, kind: Self.kind(kind), choice: name)
      }
    }
    return table
  }()

  /// What every type has.
  static let ofAll: [String: Element] = [
    "id": Element(repeats: false, kind: .primitive(.string), choice: nil),
    "extension": Element(repeats: true, kind: .object("Extension"), choice: nil),
  ]

  /// What may stand where a reader has to understand it.
  static let modifiers = Element(repeats: true, kind: .object("Extension"), choice: nil)

  /// What every resource has.
  static let ofResources: [String: Element] = [
    "resourceType": Element(repeats: false, kind: .primitive(.code), choice: nil),
    "id": Element(repeats: false, kind: .primitive(.id), choice: nil),
    "meta": Element(repeats: false, kind: .object("Meta"), choice: nil),
    "implicitRules": Element(repeats: false, kind: .primitive(.uri), choice: nil),
    "language": Element(repeats: false, kind: .primitive(.code), choice: nil),
    "text": Element(repeats: false, kind: .object("Narrative"), choice: nil),
    "contained": Element(repeats: true, kind: .resource, choice: nil),
    "extension": Element(repeats: true, kind: .object("Extension"), choice: nil),
    "modifierExtension": Self.modifiers,
  ]

  private static func kind(_ word: Substring) -> Kind {
    if word.hasPrefix("code=") { return .code(word.dropFirst("code=".count).split(separator: ",")) }
    if let primitive = Primitive(rawValue: String(word)) { return .primitive(primitive) }
    return word == "ResourceList" ? .resource : .object(String(word))
  }
}
