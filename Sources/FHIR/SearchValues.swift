internal import Foundation
import HealthRecords

/// One value of a search parameter in a resource.
enum SearchValue: Sendable, Hashable {
  case token(system: String?, code: String)
  /// `Type/id` of what is stored here; of anything else the text as it is.
  case reference(String)
  /// Folded: without case and accents; and as it is.
  case string(folded: String, exact: String)
  case date(DateRange)
  case quantity(NumberRange, system: String?, code: String?, unit: String?)
  case uri(String)
  /// Values of one element that belong together, part by part.
  case composite([[SearchValue]])

  /// Text as it is compared: without case and accents.
  static func fold(_ text: String) -> String {
    text.folding(options: [.caseInsensitive, .diacriticInsensitive], locale: nil)
  }

  /// What a search can compare of a resource, by parameter; what modifiers look at under `PARAMETER:MODIFIER`. And the
  /// parameters whose elements are there without such a value.
  static func all(of type: String, in resource: CanonicalJSON, at site: Site) -> (
    values: [String: [SearchValue]], bare: Set<String>
  ) {
    var (values, bare): ([String: [SearchValue]], Set<String>) = ([:], [])
    for (code, parameter) in SearchParameter.of(type) ?? [:] {
      let nodes = parameter.nodes(in: resource)
      let found = Self.values(of: parameter, in: nodes, at: site)
      if !found.isEmpty { values[code] = found } else if nodes.contains(where: \.hasValue) { bare.insert(code) }
      for (modifier, beside) in Self.besides(parameter.kind, in: nodes) where !beside.isEmpty {
        values["\(code):\(modifier)"] = beside
      }
    }
    for (code, found) in Self.common(in: resource) where !found.isEmpty { values[code] = found }
    return (values, bare)
  }

  /// The values of a parameter in a resource.
  static func values(of parameter: SearchParameter, in resource: CanonicalJSON, at site: Site) -> [SearchValue] {
    self.values(of: parameter, in: parameter.nodes(in: resource), at: site)
  }

  private static func values(
    of parameter: SearchParameter, in nodes: [CanonicalJSON], at site: Site
  ) -> [SearchValue] {
    guard parameter.parts.isEmpty else {
      return nodes.compactMap { node in
        let parts = parameter.parts.map { part in
          part.nodes(in: node).flatMap { Self.values(of: part.kind, at: $0, site) }
        }
        return parts.contains { $0.isEmpty } ? nil : .composite(parts)
      }
    }
    let values = nodes.flatMap { Self.values(of: parameter.kind, at: $0, site) }
    // Elements that may name others too: who is no patient here is none for this parameter.
    return parameter.code == "patient" ? values.filter { !$0.isLocalButNo("Patient") } : values
  }

  /// What every resource has.
  private static func common(in resource: CanonicalJSON) -> [(code: String, values: [SearchValue])] {
    guard let meta = resource["meta"] else { return [] }
    return [
      ("_tag", meta.children("tag").flatMap { self.tokens($0) }),
      ("_security", meta.children("security").flatMap { self.tokens($0) }),
      ("_profile", meta.children("profile").compactMap { $0.text.map { .uri($0) } }),
      ("_source", meta.children("source").compactMap { $0.text.map { .uri($0) } }),
      ("_tag:text", meta.children("tag").flatMap { self.texts($0) }),
      ("_security:text", meta.children("security").flatMap { self.texts($0) }),
    ]
  }

  /// What modifiers look at in the place of the values.
  private static func besides(
    _ kind: SearchParameter.Kind, in nodes: [CanonicalJSON]
  ) -> [(modifier: String, values: [SearchValue])] {
    switch kind {
    case .token: [("text", nodes.flatMap { self.texts($0) }), ("of-type", nodes.flatMap { self.typed($0) })]
    case .reference: [("identifier", nodes.flatMap { $0["identifier"].map { self.tokens($0) } ?? [] })]
    case .string, .date, .quantity, .number, .uri, .composite: []
    }
  }

  private func isLocalButNo(_ type: String) -> Bool {
    guard case .reference(let reference) = self, let found = Site.literal(reference) else { return false }
    return found.type != type
  }

  private static func values(of kind: SearchParameter.Kind, at node: CanonicalJSON, _ site: Site) -> [SearchValue] {
    switch kind {
    case .token: return self.tokens(node)
    case .reference: return self.references(node, site)
    case .string: return self.strings(node).map { .string(folded: self.fold($0), exact: $0) }
    case .date: return self.dates(node)
    case .quantity, .number: return self.quantities(node)
    case .uri: return node.text.map { [.uri($0)] } ?? []
    case .composite: return []
    }
  }

  private static func references(_ node: CanonicalJSON, _ site: Site) -> [SearchValue] {
    guard let text = node["reference"]?.text ?? node.text else { return [] }
    // A canonical names a version after a bar; it is found with and without.
    guard node["reference"] == nil, let bar = text.firstIndex(of: "|") else { return [.reference(site.local(text))] }
    return [.reference(text), .reference(String(text[..<bar]))]
  }

  private static func quantities(_ node: CanonicalJSON) -> [SearchValue] {
    func number(_ node: CanonicalJSON?) -> ExactNumber? {
      if case .number(let token)? = node { ExactNumber(token) } else { nil }
    }
    func found(_ range: NumberRange, _ unit: CanonicalJSON?) -> [SearchValue] {
      [.quantity(range, system: unit?["system"]?.text, code: unit?["code"]?.text, unit: unit?["unit"]?.text)]
    }
    if let value = number(node["value"] ?? node) {
      // Money has its currency, by ISO 4217.
      if let currency = node["currency"]?.text {
        return [.quantity(NumberRange(value), system: "urn:iso:std:iso:4217", code: currency, unit: nil)]
      }
      return found(NumberRange(value, comparator: node["comparator"]?.text), node)
    }
    let (low, high) = (number(node["low"]?["value"]), number(node["high"]?["value"]))
    guard low != nil || high != nil else { return [] }
    return found(NumberRange(low: low, high: high), node["low"] ?? node["high"])
  }

  private static func tokens(_ node: CanonicalJSON) -> [SearchValue] {
    switch node {
    case .bool(let value): return [.token(system: nil, code: value ? "true" : "false")]
    case .string(let text): return [.token(system: nil, code: text)]
    case .object:
      if let codings = node["coding"]?.items { return codings.flatMap { self.tokens($0) } }
      guard let code = node["code"]?.text ?? node["value"]?.text else { return [] }
      return [.token(system: node["system"]?.text, code: code)]
    case .null, .number, .array: return []
    }
  }

  /// The words that go with a code or an identifier.
  private static func texts(_ node: CanonicalJSON) -> [SearchValue] {
    guard case .object = node else { return [] }
    let codings = (node["coding"]?.items ?? []) + (node["type"]?["coding"]?.items ?? [])
    let texts = [node["text"], node["display"], node["type"]?["text"]] + codings.map { $0["display"] }
    return texts.compactMap { $0?.text }.map { .string(folded: self.fold($0), exact: $0) }
  }

  /// An identifier by the codes of its type.
  private static func typed(_ node: CanonicalJSON) -> [SearchValue] {
    guard let value = node["value"]?.text else { return [] }
    return (node["type"]?["coding"]?.items ?? []).compactMap { coding in
      coding["code"]?.text.map { .token(system: Self.type(coding["system"]?.text, $0), code: value) }
    }
  }

  /// System and code of an identifier's type as one text.
  static func type(_ system: String?, _ code: String) -> String { "\(system ?? "")|\(code)" }

  private static func strings(_ node: CanonicalJSON) -> [String] {
    switch node {
    case .string(let text): return [text]
    case .array(let items): return items.flatMap { self.strings($0) }
    case .object:
      let names = [
        "text", "family", "given", "prefix", "suffix", "line", "city", "district", "state", "postalCode", "country",
      ]
      return names.flatMap { node[$0].map { self.strings($0) } ?? [] }
    case .null, .bool, .number: return []
    }
  }

  private static func dates(_ node: CanonicalJSON) -> [SearchValue] {
    if let text = node.text { return DateRange(text).map { [.date($0)] } ?? [] }
    if let events = node["event"]?.items { return events.flatMap { self.dates($0) } }
    let period = node["repeat"]?["boundsPeriod"] ?? node
    let (start, end) = (period["start"]?.text.flatMap { DateRange($0) }, period["end"]?.text.flatMap { DateRange($0) })
    guard start != nil || end != nil else { return [] }
    return [.date(DateRange(low: start?.low ?? .min, high: end?.high ?? .max))]
  }
}

extension CanonicalJSON {
  /// Whether an element says anything: an extension alone is no value.
  var hasValue: Bool {
    switch self {
    case .null: false
    case .bool, .number, .string: true
    case .array(let items): items.contains { $0.hasValue }
    case .object(let members): members.contains { !["id", "extension"].contains($0.name) && $0.name.first != "_" }
    }
  }
}
