import HealthRecords
import Primitives

/// A search, read from a URL's query (FHIR R4, search.html).
struct SearchQuery {
  /// What is given with the matches.
  struct Include: Equatable {
    let source: String
    /// A parameter of references; `*` is each.
    let code: String
    /// The only type that is meant; nil for each.
    let target: String?
    /// Whether it holds for what is included, too.
    let iterates: Bool
  }

  /// How many resources a page has where nothing is said.
  static let countDefault = 50
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
  /// The most parameters to sort by.
  static let sortMax = 5
  /// The most parameters of references by which others are brought.
  static let includesMax = 20

  /// Parameters of the result, besides those of `Presentation`.
  static let ofResults = [
    "_count", "_include", "_offset", "_revinclude", "_sort", "_state", "_total", "_totalMethod",
    "_contained",
  ]

  /// Whether a parameter of this name is understood: of others the name itself may say anything.
  static func isKnown(_ name: String, of type: String) -> Bool {
    SearchParameter.named(name, of: type) != nil || Self.ofResults.contains(name) || Presentation.names.contains(name)
      || ["account", "_has", "_list"].contains(name)
  }

  /// Whether a parameter says nothing of what is found, only of how it is shown.
  private static func isOfResult(_ name: String) -> Bool {
    let word = String(name.prefix { $0 != ":" })
    return Self.ofResults.contains(word) || Presentation.names.contains(word)
  }

  let type: String
  /// Where it is asked, below the base.
  private(set) var path: String
  let site: Site
  let now: Timestamp
  private let depth: Int
  private(set) var filters: [SearchFilter] = []
  private(set) var count = SearchQuery.countDefault
  private(set) var offset = 0
  private(set) var sort: [(code: String, isDescending: Bool)] = []
  private(set) var includes: [Include] = []
  private(set) var revincludes: [Include] = []
  private(set) var isCountOnly = false
  private(set) var saysTotal = true
  /// The name of what an earlier page found.
  private(set) var state: String?
  /// Parameters that this server does not know.
  private(set) var unknown: [String] = []
  /// Parameters without a value, but for those of the result.
  private(set) var empty: [String] = []
  /// What was understood, for the link `self`.
  private(set) var understood: [(String, String)] = []

  /// Reads a query for a type, at a time; `depth` references away from what is searched.
  ///
  /// - Throws: `FHIRFailure` 400 where a known parameter has a value or a modifier that is none of its own.
  init(
    type: String, _ parameters: [(name: String, value: String)], at site: Site, _ now: Timestamp, depth: Int = 0
  ) throws(FHIRFailure) {
    (self.type, self.path, self.site, self.now, self.depth) = (type, type, site, now, depth)
    guard parameters.count <= Self.parametersMax else {
      throw Self.costly("\(parameters.count) parameters, at most \(Self.parametersMax)")
    }
    let values = parameters.reduce(0) { $0 + 1 + $1.value.utf8.count(where: { $0 == UInt8(ascii: ",") }) }
    guard values <= Self.valuesMax else { throw Self.costly("\(values) values, at most \(Self.valuesMax)") }
    let presentation = try Presentation(parameters, of: type)
    self.isCountOnly = presentation.summary == .count
    for (name, value) in parameters {
      guard !SearchText.isBlank(value) else {
        if !Self.isOfResult(name) { self.empty.append(name) }
        continue
      }
      let isKnown = try self.take(name, value)
      if isKnown { self.understood.append((name, value)) } else { self.unknown.append(name) }
    }
    let compared = self.filters.reduce(0) { $0 + $1.comparedCount }
    guard compared <= Self.comparedMax else {
      throw Self.costly("\(compared) values that cannot be looked up, at most \(Self.comparedMax)")
    }
  }

  /// What the end of a chain asks for.
  var lastCode: String? {
    guard let filter = self.filters.last else { return nil }
    if case .forward(let queries)? = filter.link { return queries.first?.lastCode }
    return filter.code
  }

  /// Asks for what belongs to a patient only.
  mutating func restrict(toPatient id: String) {
    let parameter = SearchParameter(code: "patient", kind: .reference, paths: [], parts: [])
    self.filters.append(SearchFilter(parameter, link: .compartment(id)))
    self.path = "Patient/\(id)/\(self.type)"
  }

  /// What it asks, without which page: pages of one search have it in common.
  var question: String {
    let kept = self.understood.filter { !["_count", "_offset", "_state"].contains($0.0) }
    return "\(self.path)?" + FHIRURL.text(kept)
  }

  private static func costly(_ what: String) -> FHIRFailure {
    FHIRFailure(413, "too-costly", "\(what): ask in parts")
  }

  static func bad(_ name: String, _ why: String) -> FHIRFailure {
    FHIRFailure(400, "invalid", "\(name): \(why)", at: name)
  }

  /// What is said of a parameter that is not known.
  func refusal(of unknown: String) -> FHIRFailure {
    let own = (SearchParameter.of(self.type) ?? [:]).keys.sorted()
    let all = own + SearchParameter.common.keys.sorted() + ["_has", "_list"] + Self.ofResults + Presentation.names
    return FHIRFailure(
      400, "not-supported",
      "\(self.type) has no search parameter \(unknown.prefix(100)); it has \(all.joined(separator: ", ")). With "
        + "Prefer: handling=lenient others are left out", at: unknown)
  }

  /// What is said of a parameter without a value. ⚑ Without it the rest would mean others.
  static func refusal(ofEmpty name: String) -> FHIRFailure {
    let name = String(name.prefix(100))
    return Self.bad(
      name,
      "it has no value: give it one, or leave the parameter out. With Prefer: handling=lenient a search leaves it out")
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
    case "_state": self.state = value
    case "_total":
      guard ["none", "estimate", "accurate"].contains(value) else {
        throw Self.bad(name, "none, estimate or accurate is expected, not \"\(value)\"")
      }
      self.saysTotal = value != "none"
    case "_totalMethod":
      // What fhirpy calls it when it counts.
      guard ["none", "estimate", "count"].contains(value) else {
        throw Self.bad(name, "none, estimate or count is expected, not \"\(value)\"")
      }
      self.saysTotal = value != "none"
    case "_contained":
      guard value == "false" else {
        throw FHIRFailure(400, "not-supported", "contained resources are not searched: _contained=false", at: name)
      }
    case "_sort": try self.sort(value)
    case "_list": self.filters.append(try self.list(value))
    default:
      if Presentation.names.contains(name) { return true }
      if name.hasPrefix("_include") || name.hasPrefix("_revinclude") { return try self.include(name, value) }
      guard let filter = try self.filter(name, value) else { return false }
      self.filters.append(filter)
    }
    return true
  }

  private mutating func sort(_ value: String) throws(FHIRFailure) {
    for part in value.split(separator: ",") {
      let code = String(part.drop { $0 == "-" })
      guard let parameter = SearchParameter.named(code, of: self.type), parameter.kind != .composite else {
        throw Self.bad("_sort", "\(self.type) has no search parameter \(code) to sort by")
      }
      // A second time it changes nothing.
      if !self.sort.contains(where: { $0.code == code }) { self.sort.append((code, part.first == "-")) }
    }
    guard self.sort.count <= Self.sortMax else {
      throw Self.costly("\(self.sort.count) parameters to sort by, at most \(Self.sortMax)")
    }
  }

  /// Reads `_include` or `_revinclude`, `Type:parameter` or `Type:parameter:Target`; false where it is neither.
  private mutating func include(_ name: String, _ value: String) throws(FHIRFailure) -> Bool {
    let words = name.split(separator: ":", omittingEmptySubsequences: false)
    let isReverse = words[0] == "_revinclude"
    guard isReverse || words[0] == "_include" else { return false }
    guard words.count == 1 || (words.count == 2 && ["iterate", "recurse"].contains(words[1])) else {
      throw FHIRFailure(400, "not-supported", "\(words[0]) takes :iterate; it does not take :\(words[1])", at: name)
    }
    let parts = value.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    let source = value == "*" && !isReverse ? self.type : parts[0]
    let code = value == "*" && !isReverse ? "*" : parts.count > 1 ? parts[1] : ""
    let parameter = SearchParameter.of(source)?[code]
    let isKnown = parameter?.kind == .reference || (code == "*" && SearchParameter.of(source) != nil)
    guard isKnown, parts.count <= 3 else {
      throw Self.bad(name, "Type:parameter of a reference is expected, not \(value)")
    }
    let target = parts.count == 3 ? parts[2] : nil
    if let target, let parameter, !parameter.targets(in: source).contains(target) {
      throw Self.bad(name, "\(source):\(code) does not lead to \(target)")
    }
    let include = Include(source: source, code: code, target: target, iterates: words.count == 2)
    if isReverse {
      if !self.revincludes.contains(include) { self.revincludes.append(include) }
    } else if !self.includes.contains(include) {
      self.includes.append(include)
    }
    let count = self.includes.count + self.revincludes.count
    guard count <= Self.includesMax else {
      throw Self.costly("\(count) of _include and _revinclude, at most \(Self.includesMax)")
    }
    return true
  }

  private func list(_ value: String) throws(FHIRFailure) -> SearchFilter {
    let id = value.hasPrefix("List/") ? String(value.dropFirst("List/".count)) : value
    guard !id.isEmpty, id.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-.".contains($0)) }) else {
      throw FHIRFailure(
        400, "not-supported", "_list: the id of a List that is stored here is expected, not \(value)", at: "_list")
    }
    return SearchFilter(
      SearchParameter(code: "_list", kind: .reference, paths: [], parts: []), link: .list(id, ofPatient: nil))
  }

  private func filter(_ name: String, _ value: String) throws(FHIRFailure) -> SearchFilter? {
    if name.hasPrefix("_has:") { return try self.reverse(name, value) }
    let dot = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let parts = (dot.first ?? "").split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let code = parts.first ?? ""
    guard let parameter = SearchParameter.named(code, of: self.type) else { return nil }
    guard dot.count == 2 else {
      let modifier = parts.count == 2 ? try SearchModifier(parts[1], of: parameter, in: self.type) : nil
      return try SearchFilter(parameter, modifier, value, in: self)
    }
    guard parameter.kind == .reference else {
      throw Self.bad(name, "\(code) is no reference, so nothing can follow it")
    }
    try self.requireDepth(name)
    return SearchFilter(
      parameter, link: .forward(try self.targets(of: parameter, parts.count == 2 ? parts[1] : nil, dot[1], value)))
  }

  private func requireDepth(_ name: String) throws(FHIRFailure) {
    guard self.depth < Self.chainMax else {
      throw Self.bad("\(name.prefix(40))…", "a chain of at most \(Self.chainMax) references is expected")
    }
  }

  /// What a chain asks of each type that its reference can lead to.
  private func targets(
    of parameter: SearchParameter, _ only: String?, _ rest: String, _ value: String
  ) throws(FHIRFailure) -> [SearchQuery] {
    if let only { _ = try FHIRService.known(only) }
    let all = parameter.targets(in: self.type)
    guard only.map({ all.contains($0) }) ?? true else {
      throw Self.bad(
        "\(parameter.code):\(only ?? "")",
        "\(parameter.code) of \(self.type) leads to \(all.joined(separator: ", ")), not to \(only ?? "")")
    }
    let first = String(rest.prefix { $0 != "." && $0 != ":" })
    let types = (only.map { [$0] } ?? all).filter {
      first == "_has" || SearchParameter.named(first, of: $0) != nil
    }
    var queries: [SearchQuery] = []
    for type in types { queries.append(try self.inner(type, rest, value)) }
    guard !queries.isEmpty else {
      let named = only ?? all.joined(separator: " nor ")
      throw Self.bad(
        "\(parameter.code).\(first)", "\(parameter.code) leads to \(named), which has no search parameter \(first)")
    }
    return queries
  }

  private func inner(_ type: String, _ name: String, _ value: String) throws(FHIRFailure) -> SearchQuery {
    let query = try SearchQuery(type: type, [(name, value)], at: self.site, self.now, depth: self.depth + 1)
    guard query.unknown.isEmpty, query.filters.count == 1 else {
      throw Self.bad(name, "\(type) has no search parameter of that name, so no chain can end with it")
    }
    return query
  }

  /// Reads `_has:Type:reference:parameter` (FHIR R4, search.html#has).
  private func reverse(_ name: String, _ value: String) throws(FHIRFailure) -> SearchFilter {
    let parts = name.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 4 else { throw Self.bad(name, "_has:Type:reference:parameter is expected") }
    try self.requireDepth(name)
    let source = try FHIRService.known(parts[1])
    guard let reference = SearchParameter.of(source)?[parts[2]], reference.kind == .reference,
      reference.targets(in: source).contains(self.type)
    else { throw Self.bad(name, "\(source) has no parameter \(parts[2]) that leads to \(self.type)") }
    let parameter = SearchParameter(code: "_has", kind: .reference, paths: [], parts: [])
    return SearchFilter(parameter, link: .backward(try self.inner(source, parts[3], value), by: parts[2]))
  }

  /// Leaves out of chains what its asker may not search; refuses where nothing else is left. ⚑ Of one patient, where
  /// the app is let in for one: at each place of a chain, or what is found would tell of others.
  mutating func authorize(for asker: FHIRAsker) throws(FHIRFailure) {
    try asker.require(.search, self.type)
    for include in self.revincludes { try asker.require(.search, include.source) }
    for place in self.filters.indices { try self.filters[place].authorize(for: asker) }
    guard let patient = asker.patient(to: .search, self.type), !FHIRService.isDirectory(self.type) else { return }
    let parameter = SearchParameter(code: "patient", kind: .reference, paths: [], parts: [])
    self.filters.insert(SearchFilter(parameter, link: .own(patient)), at: 0)
  }
}

extension SearchFilter {
  fileprivate mutating func authorize(for asker: FHIRAsker) throws(FHIRFailure) {
    switch self.link {
    case nil: return
    case .list(let id, _):
      try asker.require(.search, "List")
      self.link = .list(id, ofPatient: asker.patient(to: .search, "List"))
    case .compartment, .own: return
    case .backward(var query, let code):
      try query.authorize(for: asker)
      self.link = .backward(query, by: code)
    case .forward(let queries):
      var (allowed, refusal): ([SearchQuery], FHIRFailure?) = ([], nil)
      for var query in queries {
        do throws(FHIRFailure) {
          try query.authorize(for: asker)
          allowed.append(query)
        } catch { refusal = error }
      }
      if allowed.isEmpty, let refusal { throw refusal }
      self.link = .forward(allowed)
    }
  }
}
