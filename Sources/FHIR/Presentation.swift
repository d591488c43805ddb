import HealthRecords

/// How much of each resource an answer shows (FHIR R4, http.html#parameters, search.html#summary and #elements).
struct Presentation {
  /// Which elements are shown.
  enum Summary: String {
    case all = "false"
    case summary = "true"
    case text
    case data
    case count
  }

  /// The parameters that every reading takes.
  static let names = ["_elements", "_format", "_pretty", "_summary"]

  /// The most elements that are asked for.
  static let elementsMax = 100

  private(set) var summary = Summary.all
  private var elements: Set<String> = []

  /// Reads what is asked of a type's resources; nil stands for any.
  ///
  /// - Throws: `FHIRFailure` 400 where a value is none, 406 where another format is asked for.
  init(_ parameters: [(name: String, value: String)], of type: String?) throws(FHIRFailure) {
    for (name, value) in parameters where !value.isEmpty {
      switch name {
      case "_summary":
        guard let summary = Summary(rawValue: value) else {
          throw SearchQuery.bad(name, "true, false, text, data or count is expected, not \"\(value)\"")
        }
        self.summary = summary
      case "_elements":
        let parts = value.split(separator: ",", maxSplits: Self.elementsMax)
        guard parts.count <= Self.elementsMax else {
          throw FHIRFailure(
            413, "too-costly", "more than \(Self.elementsMax) elements: ask for the whole resource", at: name)
        }
        for part in parts {
          let words = part.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
          guard words.count == 2, words[0].first?.isUppercase == true else {
            try self.add(String(part), of: type)
            continue
          }
          if type == nil || words[0] == type { try self.add(words[1], of: type) }
        }
      case "_format":
        guard MediaTypes.isJSON(MediaTypes.format(value)) else { throw MediaTypes.refusal(of: value) }
      case "_pretty":
        guard value == "true" || value == "false" else { throw SearchQuery.bad(name, "true or false is expected") }
      default: break
      }
    }
  }

  /// What a request asks, where it reads: of one type, unless it is for whatever there is.
  static func of(_ request: FHIRRequest) throws(FHIRFailure) -> Presentation {
    let isSearch = request.method == "POST" && request.path.last == "_search"
    guard request.method == "GET" || isSearch else { return try Presentation([], of: nil) }
    let isCompartment = request.path.count == 3 && request.path[2].first?.isUppercase == true
    let type = (isCompartment ? request.path.last : request.path.first).flatMap {
      Definitions.table[$0] == nil || $0 == "_history" ? nil : $0
    }
    return try Presentation(request.query, of: request.path.last == "$everything" ? nil : type)
  }

  private mutating func add(_ name: String, of type: String?) throws(FHIRFailure) {
    let elements = type.flatMap { Definitions.table[$0] }?.elements ?? [:]
    let isKnown =
      type == nil || elements[name] != nil || Definitions.ofResources[name] != nil
      || elements.values.contains { $0.choice == name }
    guard isKnown else { throw SearchQuery.bad("_elements", "\(type ?? "") has no element \(name) of its own") }
    self.elements.insert(name)
  }

  /// Whether anything of a resource is left out.
  var isPart: Bool { ![.all, .count].contains(self.summary) || !self.elements.isEmpty }

  /// The same answer with the resources that were asked for as they are shown; what is included stays whole.
  func shown(_ body: CanonicalJSON) -> CanonicalJSON {
    guard self.isPart else { return body }
    guard body["resourceType"]?.text == "Bundle" else { return self.part(of: body) }
    guard let entries = body["entry"]?.items else { return body }
    return body.setting(
      "entry",
      .array(
        entries.map { entry in
          guard let resource = entry["resource"], entry["search"]?["mode"]?.text ?? "match" == "match" else {
            return entry
          }
          return entry.setting("resource", self.part(of: resource))
        }))
  }

  /// Says that a resource is not whole.
  static let tag = CanonicalJSON.members([
    ("system", .string("http://terminology.hl7.org/CodeSystem/v3-ObservationValue")), ("code", .string("SUBSETTED")),
    ("display", .string("Resource encoded in summary mode")),
  ])

  /// Whether a resource says that it is not whole. ⚑ Written back it would lose what was left out.
  static func isPart(_ resource: CanonicalJSON) -> Bool {
    (resource["meta"]?.children("tag") ?? []).contains {
      $0["code"]?.text == "SUBSETTED" && $0["system"] == Self.tag["system"]
    }
  }

  private func part(of resource: CanonicalJSON) -> CanonicalJSON {
    guard case .object(let members) = resource, let type = resource["resourceType"]?.text,
      let definition = Definitions.table[type]
    else { return resource }
    let kept = members.filter {
      self.keeps($0.name.first == "_" ? String($0.name.dropFirst()) : $0.name, type, definition)
    }
    let meta = resource["meta"] ?? .members([])
    let tags = (meta["tag"]?.items ?? []) + (Self.isPart(resource) ? [] : [Self.tag])
    return CanonicalJSON.object(kept).setting("meta", meta.setting("tag", .array(tags)))
  }

  private func keeps(_ name: String, _ type: String, _ definition: Definitions.Definition) -> Bool {
    let choice = definition.elements[name]?.choice
    let isNeeded =
      ["resourceType", "id", "meta"].contains(name) || definition.required.contains(name)
      || choice.map { definition.required.contains("\($0)[x]") } ?? false
    if isNeeded { return true }
    if !self.elements.isEmpty, !self.elements.contains(name), !(choice.map { self.elements.contains($0) } ?? false) {
      return false
    }
    switch self.summary {
    case .all, .count: return true
    case .summary: return name == "implicitRules" || Self.summaries[type]?.contains(name) ?? false
    case .text: return name == "text"
    case .data: return name != "text"
    }
  }

  private static let summaries: [String: Set<String>] = {
    var summaries: [String: Set<String>] = [:]
    for entry in Definitions.summaryElements.split(separator: "¶") {
      let halves = entry.split(separator: ":", maxSplits: 1)
      guard halves.count == 2 else { continue }
      summaries[halves[0].trimmed] = Set(halves[1].split(whereSeparator: \.isWhitespace).map(String.init))
    }
    return summaries
  }()
}
