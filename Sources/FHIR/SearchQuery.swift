import HealthRecords
import Primitives

/// A search, read from a URL's query (FHIR R4, search).
struct SearchQuery {
  /// A condition: one of the alternatives holds.
  struct Filter {
    let code: String
    let modifier: String?
    let kind: SearchParameter.Kind
    let alternatives: [String]
    /// The type and the condition of a chained parameter, `subject:Patient.name=…`.
    let chain: (type: String, parameter: String)?
  }

  /// The most resources of a page.
  static let countMax = 1000
  /// The most resources that are passed over.
  static let offsetMax = 1 << 40
  /// The longest chain of references.
  static let chainMax = 4
  /// The most parameters.
  static let parametersMax = 100
  /// The most values of all parameters together.
  static let valuesMax = 1000
  /// The most values that each resource must be held against; those of codes, references and `_id` are looked up.
  static let comparedMax = 100
  private static let common: [String: SearchParameter.Kind] = [
    "_id": .token, "_lastUpdated": .date, "_tag": .token, "_profile": .uri,
  ]
  private static let ignored: Set<String> = ["_format", "_pretty", "_summary", "_total", "_elements", "_contained"]

  private static let others: Set<String> = ["_count", "_offset", "_sort", "_include", "_revinclude", "account"]

  /// Whether a parameter of this name is understood: of others the name itself may say anything.
  static func isKnown(_ name: String, of type: String) -> Bool {
    self.common[name] != nil || self.ignored.contains(name) || self.others.contains(name)
      || SearchParameter.of(type)?[name] != nil
  }

  let type: String
  private let site: Site
  private(set) var filters: [Filter] = []
  private(set) var count = 50
  private(set) var offset = 0
  private(set) var sort: [(code: String, isDescending: Bool)] = []
  private(set) var includes: [(source: String, code: String)] = []
  private(set) var revincludes: [(source: String, code: String)] = []
  private(set) var isCountOnly = false
  /// Parameters that this server does not know.
  private(set) var unknown: [String] = []
  /// What was understood, for the link `self`.
  private(set) var understood: [(String, String)] = []

  /// Reads a query for a type.
  ///
  /// - Throws: `FHIRFailure` 400 where a known parameter has a value that is none.
  init(type: String, _ parameters: [(name: String, value: String)], at site: Site) throws(FHIRFailure) {
    (self.type, self.site) = (type, site)
    guard parameters.count <= Self.parametersMax else {
      throw Self.costly("\(parameters.count) parameters, at most \(Self.parametersMax)")
    }
    let values = parameters.reduce(0) { $0 + 1 + $1.value.utf8.count(where: { $0 == UInt8(ascii: ",") }) }
    guard values <= Self.valuesMax else { throw Self.costly("\(values) values, at most \(Self.valuesMax)") }
    for (name, value) in parameters where !value.isEmpty {
      let isKnown = try self.take(name, value)
      if isKnown { self.understood.append((name, value)) } else { self.unknown.append(name) }
    }
    let compared = self.filters.reduce(0) { $0 + $1.comparedCount }
    guard compared <= Self.comparedMax else {
      throw Self.costly("\(compared) values that cannot be looked up, at most \(Self.comparedMax)")
    }
  }

  private static func costly(_ what: String) -> FHIRFailure {
    FHIRFailure(413, "too-costly", "\(what): ask in parts")
  }

  private mutating func take(_ name: String, _ value: String) throws(FHIRFailure) -> Bool {
    switch name {
    case "_count":
      guard let count = Int(value), count >= 0 else { throw Self.bad(name, "a number is expected") }
      self.count = min(count, Self.countMax)
      self.isCountOnly = self.isCountOnly || count == 0
    case "_offset":
      guard let offset = Int(value), offset >= 0 else { throw Self.bad(name, "a number is expected") }
      self.offset = min(offset, Self.offsetMax)
    case "_summary": self.isCountOnly = self.isCountOnly || value == "count"
    case "_sort":
      for part in value.split(separator: ",") {
        let code = String(part.drop { $0 == "-" })
        guard Self.common[code] != nil || SearchParameter.of(self.type)?[code] != nil else {
          throw Self.bad(name, "\(self.type) has no search parameter \(code)")
        }
        self.sort.append((code, part.first == "-"))
      }
    case "_include", "_include:iterate", "_revinclude", "_revinclude:iterate":
      let parts = value.split(separator: ":").map(String.init)
      guard parts.count >= 2, SearchParameter.of(parts[0])?[parts[1]]?.kind == .reference || parts[1] == "*" else {
        throw Self.bad(name, "Type:parameter of a reference is expected, not \(value)")
      }
      if name.hasPrefix("_include") {
        self.includes.append((parts[0], parts[1]))
      } else {
        self.revincludes.append((parts[0], parts[1]))
      }
    default:
      if Self.ignored.contains(name) { return true }
      guard let filter = try self.filter(name, value) else { return false }
      self.filters.append(filter)
    }
    return true
  }

  private func filter(_ name: String, _ value: String) throws(FHIRFailure) -> Filter? {
    let dot = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let parts = (dot.first ?? "").split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let (code, modifier) = (parts.first ?? "", parts.count == 2 ? parts[1] : nil)
    guard let kind = Self.common[code] ?? SearchParameter.of(self.type)?[code]?.kind else { return nil }
    var chain: (String, String)?
    if dot.count == 2 {
      guard kind == .reference else { throw Self.bad(name, "\(code) is no reference, so nothing can follow it") }
      guard name.count(where: { $0 == "." }) <= Self.chainMax else {
        throw Self.bad("\(code).…", "a chain of at most \(Self.chainMax) references is expected")
      }
      let target = modifier ?? (code == "organization" ? "Organization" : code == "encounter" ? "Encounter" : "Patient")
      chain = (target, dot[1])
    }
    let alternatives = Self.split(value)
    for text in alternatives where chain == nil && modifier != "missing" {
      let (_, rest) = Self.prefix(text)
      switch kind {
      case .date: if DateRange(rest) == nil { throw Self.bad(name, "\"\(text)\" is no date") }
      case .quantity, .number:
        if Double(rest.split(separator: "|").first ?? "") == nil { throw Self.bad(name, "\"\(text)\" is no number") }
      case .token, .reference, .string, .uri: break
      }
    }
    let isReference = kind == .reference && chain == nil && modifier != "missing"
    return Filter(
      code: code, modifier: modifier, kind: kind,
      alternatives: isReference ? alternatives.map { self.site.local($0) } : alternatives, chain: chain)
  }

  private static func bad(_ name: String, _ why: String) -> FHIRFailure {
    FHIRFailure(400, "invalid", "\(name): \(why)", at: name)
  }

  /// Alternatives are divided by commas that are not escaped.
  private static func split(_ value: String) -> [String] {
    var out = [""]
    var isEscaped = false
    for character in value {
      if isEscaped || (character != "\\" && character != ",") {
        out[out.count - 1].append(character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
      } else {
        out.append("")
      }
    }
    return out
  }

  /// eq, ne, gt, lt, ge, le, sa, eb or ap before a date or a number.
  static func prefix(_ text: String) -> (prefix: String, rest: String) {
    let first = String(text.prefix(2))
    return ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"].contains(first)
      ? (first, String(text.dropFirst(2))) : ("eq", text)
  }
}

extension SearchQuery.Filter {
  /// Codes or local references by which rows can be looked up; nil where each row must be looked at.
  var keys: [String]? {
    guard self.modifier == nil || (self.kind == .reference && self.modifier != "missing" && self.modifier != "not"),
      self.chain == nil, !self.code.hasPrefix("_")
    else { return nil }
    switch self.kind {
    case .token:
      let codes = self.alternatives.map { text in
        text.contains("|") ? String(text.split(separator: "|", omittingEmptySubsequences: false)[1]) : text
      }
      return codes.contains("") ? nil : codes
    case .reference:
      // An identifier alone may be of any type.
      return self.alternatives.flatMap { text -> [String] in
        let reference = self.reference(text)
        return reference.contains("/") ? [reference] : [reference] + SearchParameter.types.map { "\($0)/\(reference)" }
      }
    case .string, .date, .quantity, .number, .uri: return nil
    }
  }

  /// How many values each row must be held against.
  var comparedCount: Int {
    if self.chain != nil || self.keys != nil || (self.code == "_id" && self.modifier == nil) { return 0 }
    return self.alternatives.count
  }

  private func reference(_ text: String) -> String {
    if !text.contains("/"), let modifier { return "\(modifier)/\(text)" }
    return text
  }

  /// Whether a row's values meet the condition; chains are for the caller.
  func holds(for row: ResourceIndex.Row) -> Bool {
    if self.code == "_id" { return self.alternatives.contains(row.id) }
    if self.code == "_lastUpdated" {
      let time = Int64(row.updated.milliseconds)
      let range = DateRange(low: time, high: time + 1)
      return self.alternatives.contains { Self.compare(range, $0) }
    }
    let values = row.values[self.code] ?? []
    if self.modifier == "missing" { return values.isEmpty == (self.alternatives.first == "true") }
    if self.modifier == "not" {
      return !self.alternatives.contains { text in values.contains { self.matches($0, text) } }
    }
    return self.alternatives.contains { text in values.contains { self.matches($0, text) } }
  }

  private func matches(_ value: SearchValue, _ text: String) -> Bool {
    switch value {
    case .token(let system, let code):
      let parts = text.split(separator: "|", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2 else { return code == text }
      let isSystem = parts[0].isEmpty ? system == nil : system == parts[0]
      return isSystem && (parts[1].isEmpty || code == parts[1])
    case .reference(let reference):
      let wanted = self.reference(text)
      // ⚑ An identifier alone is one of this server's: another's patient of the same number is somebody else.
      return reference == wanted || (!wanted.contains("/") && Site.literal(reference)?.id == wanted)
    case .string(let folded, let exact):
      switch self.modifier {
      case "exact": return exact == text
      case "contains": return folded.contains(SearchValue.fold(text))
      default: return folded.hasPrefix(SearchValue.fold(text))
      }
    case .date(let range): return Self.compare(range, text)
    case .quantity(let number, let system, let code, let unit):
      let parts = text.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
      guard Self.compare(number, parts[0]) else { return false }
      guard parts.count == 3 else { return true }
      return (parts[1].isEmpty || parts[1] == system) && (parts[2].isEmpty || parts[2] == code || parts[2] == unit)
    case .uri(let uri):
      return self.modifier == "below" ? uri.hasPrefix(text) : uri == text
    }
  }

  /// FHIR R4, search §3.1.1.4.4.
  private static func compare(_ value: DateRange, _ text: String) -> Bool {
    let (prefix, rest) = SearchQuery.prefix(text)
    guard let wanted = DateRange(rest) else { return false }
    switch prefix {
    case "ne": return value.low < wanted.low || value.high > wanted.high
    case "gt": return value.high > wanted.high
    case "lt": return value.low < wanted.low
    case "ge": return value.high > wanted.low
    case "le": return value.low < wanted.high
    case "sa": return value.low >= wanted.high
    case "eb": return value.high <= wanted.low
    case "ap": return value.low < wanted.high && value.high > wanted.low
    default: return value.low >= wanted.low && value.high <= wanted.high
    }
  }

  /// A number without a prefix stands for all that round to it: 5.4 for 5.35 … 5.45.
  private static func compare(_ value: Double, _ text: String) -> Bool {
    let (prefix, rest) = SearchQuery.prefix(text)
    guard let wanted = Double(rest) else { return false }
    let decimals = rest.split(separator: ".").dropFirst().first?.count ?? 0
    var half = 0.5
    for _ in 0..<min(decimals, 18) { half /= 10 }
    switch prefix {
    case "ne": return abs(value - wanted) > half
    case "gt", "sa": return value > wanted
    case "lt", "eb": return value < wanted
    case "ge": return value >= wanted
    case "le": return value <= wanted
    case "ap": return abs(value - wanted) <= abs(wanted) / 10
    default: return abs(value - wanted) <= half
    }
  }
}
