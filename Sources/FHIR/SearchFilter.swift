import HealthRecords
import Primitives

/// A condition of a search: one of its alternatives holds.
struct SearchFilter {
  /// What one alternative asks for.
  enum Wanted {
    case token(system: String?, code: String?)
    case text(String)
    case string(folded: String, exact: String)
    case date(SearchPrefix, DateRange)
    case number(SearchPrefix, value: ExactNumber, low: ExactNumber, high: ExactNumber, unit: Unit?)
    case uri(String)
    /// Names of resources, any of which it may be.
    case reference([String])
    case composite([Wanted])
    case isMissing(Bool)
  }

  /// The unit of a quantity that is asked for.
  struct Unit {
    let system: String
    let code: String
  }

  /// What must be asked of other resources before.
  enum Link {
    /// What the reference names meets one of these, each of one type (`subject:Patient.name=…`).
    case forward([SearchQuery])
    /// Something that meets it names the resource by that parameter (`_has:Observation:subject:code=…`).
    case backward(SearchQuery, by: String)
    /// A List of that id has the resource as an item, and is a patient's where one is named.
    case list(String, ofPatient: String?)
    /// The resource belongs to the patient of that id.
    case compartment(String)
    /// The resource is that patient's and no other's: an app that was launched in one chart searches.
    case own(String)
  }

  let parameter: SearchParameter
  let modifier: SearchModifier?
  private(set) var alternatives: [Wanted] = []
  var link: Link?

  var code: String { self.parameter.code }
  var kind: SearchParameter.Kind { self.parameter.kind }

  /// What it looks at in a resource's values.
  let place: String
  /// Whether its elements are codes, whose system their definition implies.
  private let isOfPrimitives: Bool

  init(_ parameter: SearchParameter, link: Link) {
    (self.parameter, self.modifier, self.link, self.isOfPrimitives) = (parameter, nil, link, false)
    self.place = parameter.code
  }

  /// Reads a condition on a resource's own values.
  ///
  /// - Throws: `FHIRFailure` 400 where a value is none of the parameter's kind.
  init(
    _ parameter: SearchParameter, _ modifier: SearchModifier?, _ value: String, in query: SearchQuery
  ) throws(FHIRFailure) {
    (self.parameter, self.modifier) = (parameter, modifier)
    self.isOfPrimitives = parameter.kind == .token && parameter.elements(in: query.type).contains("")
    switch modifier {
    case .text: self.place = "\(parameter.code):text"
    case .ofType: self.place = "\(parameter.code):of-type"
    case .identifier: self.place = "\(parameter.code):identifier"
    default: self.place = parameter.code
    }
    let reader = WantedReader(type: query.type, site: query.site, now: query.now)
    for text in SearchText.split(value, at: ",") {
      // A lone backslash, which escapes nothing, is no value.
      guard !SearchText.isBlank(SearchText.plain(text)) else {
        throw SearchQuery.bad(parameter.code, "one of its values is no value")
      }
      self.alternatives.append(try reader.wanted(text, parameter, modifier))
    }
  }
}

/// Text of a search in which separators can be escaped (FHIR R4, search.html#escaping).
enum SearchText {
  /// Whether there is nothing in a text but space, accents without a letter, and what is not shown.
  static func isBlank(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { scalar in
      let properties = scalar.properties
      return properties.isWhitespace || properties.isDefaultIgnorableCodePoint
        || [.nonspacingMark, .enclosingMark, .control].contains(properties.generalCategory)
    }
  }

  /// Its parts between separators that are not escaped; escapes stay.
  static func split(_ text: String, at separator: Character, max: Int = .max) -> [String] {
    var (parts, isEscaped) = ([""], false)
    for character in text {
      if character == separator, !isEscaped, parts.count < max {
        parts.append("")
      } else {
        parts[parts.count - 1].append(character)
      }
      isEscaped = character == "\\" && !isEscaped
    }
    return parts
  }

  /// It with its separators escaped, as they are read as they stand.
  static func escaped(_ text: String) -> String {
    text.reduce(into: "") { out, character in
      if "\\,|$".contains(character) { out.append("\\") }
      out.append(character)
    }
  }

  /// It without its escapes.
  static func plain(_ text: String) -> String {
    guard text.contains("\\") else { return text }
    var (out, isEscaped) = ("", false)
    for character in text {
      if character == "\\", !isEscaped {
        isEscaped = true
      } else {
        out.append(character)
        isEscaped = false
      }
    }
    return out
  }
}

/// Reads what alternatives ask for.
private struct WantedReader {
  let type: String
  let site: Site
  let now: Timestamp

  func wanted(
    _ text: String, _ parameter: SearchParameter, _ modifier: SearchModifier?
  ) throws(FHIRFailure) -> SearchFilter.Wanted {
    switch modifier {
    case .missing:
      guard text == "true" || text == "false" else {
        throw SearchQuery.bad("\(parameter.code):missing", "true or false is expected, not \"\(text)\"")
      }
      return .isMissing(text == "true")
    case .text: return .text(try self.folded(text, parameter))
    case .ofType:
      let parts = SearchText.split(text, at: "|").map { SearchText.plain($0) }
      guard parts.count == 3, !SearchText.isBlank(parts[1]), !SearchText.isBlank(parts[2]) else {
        throw SearchQuery.bad("\(parameter.code):of-type", "SYSTEM|CODE|VALUE is expected, not \"\(text)\"")
      }
      return .token(system: SearchValue.type(parts[0], parts[1]), code: parts[2])
    case .identifier: return try self.token(text, parameter)
    case .exact, .contains, .not, .above, .below, .type, nil: break
    }
    return try self.wanted(text, parameter, of: parameter.kind, modifier)
  }

  private func wanted(
    _ text: String, _ parameter: SearchParameter, of kind: SearchParameter.Kind, _ modifier: SearchModifier?
  ) throws(FHIRFailure) -> SearchFilter.Wanted {
    switch kind {
    case .token: return try self.token(text, parameter)
    case .string: return .string(folded: try self.folded(text, parameter), exact: SearchText.plain(text))
    case .uri: return .uri(SearchText.plain(text))
    case .date:
      let (prefix, rest) = SearchPrefix.split(text)
      guard let range = DateRange(rest) else { throw SearchQuery.bad(parameter.code, "\"\(text)\" is no date") }
      return .date(prefix, prefix == .approximate ? range.approximate(at: self.now) : range)
    case .quantity, .number: return try self.number(text, parameter, kind)
    case .reference:
      let name = SearchText.plain(text)
      if name.contains("/") || name.contains(":"), let why = self.site.fault(of: name) {
        throw SearchQuery.bad(parameter.code, why)
      }
      return .reference(self.names(name, parameter, modifier))
    case .composite:
      let parts = SearchText.split(text, at: "$")
      guard parts.count == parameter.parts.count else {
        throw SearchQuery.bad(
          parameter.code, "\(parameter.parts.count) values with $ between them are expected, not \"\(text)\"")
      }
      var wanted: [SearchFilter.Wanted] = []
      for (part, of) in zip(parts, parameter.parts) { wanted.append(try self.wanted(part, of, of: of.kind, nil)) }
      return .composite(wanted)
    }
  }

  private func token(_ text: String, _ parameter: SearchParameter) throws(FHIRFailure) -> SearchFilter.Wanted {
    let parts = SearchText.split(text, at: "|", max: 2).map { SearchText.plain($0) }
    guard !parts.allSatisfy({ SearchText.isBlank($0) }) else {
      throw SearchQuery.bad(parameter.code, "\"\(text)\" is no value: CODE, SYSTEM|CODE, |CODE or SYSTEM| is expected")
    }
    guard parts.count == 2 else { return .token(system: nil, code: parts[0]) }
    return .token(system: parts[0], code: SearchText.isBlank(parts[1]) ? nil : parts[1])
  }

  /// Text as it is compared. ⚑ Every text begins with none, and none is what is left of accents alone.
  private func folded(_ text: String, _ parameter: SearchParameter) throws(FHIRFailure) -> String {
    let folded = SearchValue.fold(SearchText.plain(text))
    guard !SearchText.isBlank(folded) else { throw SearchQuery.bad(parameter.code, "\"\(text)\" is no value") }
    return folded
  }

  /// The most characters of a number.
  private static let numberCharactersMax = 100

  private func number(
    _ text: String, _ parameter: SearchParameter, _ kind: SearchParameter.Kind
  ) throws(FHIRFailure) -> SearchFilter.Wanted {
    let parts = SearchText.split(text, at: "|").map { SearchText.plain($0) }
    let (prefix, rest) = SearchPrefix.split(parts[0])
    guard rest.count <= Self.numberCharactersMax, let written = WrittenNumber(rest),
      parts.count == 1 || (parts.count == 3 && kind == .quantity)
    else {
      let form = kind == .quantity ? "NUMBER or NUMBER|SYSTEM|CODE" : "a number"
      throw SearchQuery.bad(parameter.code, "\"\(text.prefix(Self.numberCharactersMax))\" is not \(form)")
    }
    let (low, high) = prefix == .approximate ? written.approximate : written.rounded
    let unit = parts.count == 3 ? SearchFilter.Unit(system: parts[1], code: parts[2]) : nil
    return .number(prefix, value: written.value, low: low, high: high, unit: unit)
  }

  /// An identifier alone may be of any type that the parameter leads to. ⚑ It is one of this server's:
  /// another's patient of the same number is somebody else.
  private func names(_ text: String, _ parameter: SearchParameter, _ modifier: SearchModifier?) -> [String] {
    if case .type(let type)? = modifier {
      let name = self.site.local(text)
      if !text.contains("/") { return ["\(type)/\(text)"] }
      return name.hasPrefix("\(type)/") ? [name] : []
    }
    guard !text.contains("/"), !text.contains(":") else { return [self.site.local(text)] }
    return [text] + parameter.targets(in: self.type).map { "\($0)/\(text)" }
  }
}

extension SearchFilter {
  /// Codes or references by which rows can be looked up, under `place`; nil where each row must be looked at.
  var keys: [String]? {
    switch self.modifier {
    case .missing, .not, .text, .exact, .contains, .above, .below: return nil
    case .ofType, .identifier, .type, nil: break
    }
    guard self.link == nil, self.code != "_id", self.code != "_lastUpdated" else { return nil }
    var keys: [String] = []
    for wanted in self.alternatives {
      switch wanted {
      case .token(_, let code):
        guard let code else { return nil }
        keys.append(code)
      case .reference(let names): keys += names
      default: return nil
      }
    }
    return keys
  }

  /// The identifiers that it allows, where it asks for `_id`; nil of every other.
  var identifiers: [String]? {
    guard self.code == "_id", self.modifier == nil else { return nil }
    return self.alternatives.compactMap { if case .token(_, let code) = $0 { code } else { nil } }
  }

  /// Whether any code of a system would do, here or at the end of a chain.
  var isOfAnyCode: Bool {
    switch self.link {
    case .forward(let queries): queries.contains { $0.filters.contains(where: \.isOfAnyCode) }
    case .backward(let query, _): query.filters.contains(where: \.isOfAnyCode)
    case .list, .compartment, .own: false
    case nil: self.alternatives.contains { Self.isOfAnyCode($0) }
    }
  }

  private static func isOfAnyCode(_ wanted: Wanted) -> Bool {
    switch wanted {
    case .token(_, let code): code == nil
    case .composite(let parts): parts.contains { Self.isOfAnyCode($0) }
    case .text, .string, .date, .number, .uri, .reference, .isMissing: false
    }
  }

  /// How many values each row must be held against.
  var comparedCount: Int {
    if self.link != nil || self.keys != nil || self.identifiers != nil { return 0 }
    return self.alternatives.count
  }

  /// Whether a row meets the condition; what is linked is for the caller.
  func holds(for row: ResourceIndex.Row) -> Bool {
    let values: [SearchValue]
    switch self.code {
    case "_id": values = [.token(system: nil, code: row.id)]
    case "_lastUpdated": values = [.date(DateRange(row.updated))]
    default: values = row.values[self.place] ?? []
    }
    switch self.modifier {
    case .missing:
      let isMissing = values.isEmpty && !row.bare.contains(self.code)
      return self.alternatives.contains { if case .isMissing(isMissing) = $0 { true } else { false } }
    case .not: return !self.alternatives.contains { wanted in values.contains { self.matches($0, wanted) } }
    default: return self.alternatives.contains { wanted in values.contains { self.matches($0, wanted) } }
    }
  }

  private func matches(_ value: SearchValue, _ wanted: Wanted) -> Bool {
    switch (value, wanted) {
    case (.token(let system, let code), .token(let asked, let wanted)):
      guard wanted == nil || wanted == code, let asked else { return wanted == code }
      return asked.isEmpty ? system == nil : asked == system || (system == nil && self.implies(asked))
    case (.string(let folded, _), .text(let wanted)): return Self.begins(folded, with: wanted)
    case (.string(let folded, let exact), .string(let wanted, let wantedExactly)):
      switch self.modifier {
      case .exact: return exact == wantedExactly
      case .contains: return folded.contains(wanted)
      default: return folded.hasPrefix(wanted)
      }
    case (.reference(let reference), .reference(let names)): return names.contains(reference)
    case (.date(let range), .date(let prefix, let wanted)): return range.meets(prefix, wanted)
    case (
      .quantity(let range, let system, let code, let unit), .number(let prefix, let value, let low, let high, let of)
    ):
      guard Self.meets(range, prefix, value, low, high) else { return false }
      guard let of else { return true }
      return (of.system.isEmpty || of.system == system) && (of.code.isEmpty || of.code == code || of.code == unit)
    case (.uri(let uri), .uri(let wanted)):
      switch self.modifier {
      case .below: return uri.hasPrefix(wanted)
      case .above: return wanted.hasPrefix(uri)
      default: return uri == wanted
      }
    case (.composite(let parts), .composite(let wanted)):
      return zip(parts, wanted).allSatisfy { values, wanted in values.contains { self.matches($0, wanted) } }
    default: return false
    }
  }

  /// Whether a code that stands alone is one of a system: the definition of its element implies it (FHIR R4,
  /// search.html#token).
  private func implies(_ system: String) -> Bool {
    guard self.isOfPrimitives else { return false }
    return ["http://hl7.org/fhir/", "http://terminology.hl7.org/CodeSystem/special-values", "urn:ietf:bcp:"].contains {
      system.hasPrefix($0)
    }
  }

  /// Whether a text, or a word in it, begins with another.
  private static func begins(_ text: String, with wanted: String) -> Bool {
    text.hasPrefix(wanted) || text.contains(" " + wanted)
  }

  /// FHIR R4, search.html#prefix: a prefix takes the number as it is, without one it stands for all that round to it.
  private static func meets(
    _ range: NumberRange, _ prefix: SearchPrefix, _ value: ExactNumber, _ low: ExactNumber, _ high: ExactNumber
  ) -> Bool {
    switch prefix {
    case .equal: range.isWithin(low, high)
    case .notEqual: range.isUnsure ? !range.mayBeWithin(low, high) : !range.isWithin(low, high)
    case .greater: range.exceeds(value, orEqual: false)
    case .less: range.undercuts(value, orEqual: false)
    case .greaterOrEqual: range.exceeds(value, orEqual: true)
    case .lessOrEqual: range.undercuts(value, orEqual: true)
    case .startsAfter: range.low.map { $0 > value || ($0 == value && range.isUnsure && !range.isClosed) } ?? false
    case .endsBefore: range.high.map { $0 < value || ($0 == value && range.isUnsure && !range.isClosed) } ?? false
    case .approximate: !range.isUnsure && range.mayBeWithin(low, high)
    }
  }
}
