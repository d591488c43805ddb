/// What stands after a parameter's name in a search (FHIR R4, search.html#modifiers).
enum SearchModifier: Sendable, Hashable {
  case missing
  case exact
  case contains
  case text
  case not
  case ofType
  case identifier
  case above
  case below
  /// The type of what a reference names.
  case type(String)

  private static let named: [String: SearchModifier] = [
    "missing": .missing, "exact": .exact, "contains": .contains, "text": .text, "not": .not, "of-type": .ofType,
    "identifier": .identifier, "above": .above, "below": .below,
  ]

  /// The modifiers of a parameter, by what it looks at; a reference has the types that it leads to besides.
  static func taken(by parameter: SearchParameter, in type: String) -> [String] {
    switch parameter.kind {
    case .token:
      let elements = parameter.elements(in: type)
      let isIdentifier = elements.contains("Identifier")
      let hasText = isIdentifier || !elements.isDisjoint(with: ["CodeableConcept", "Coding"])
      return ["missing", "not"] + (hasText ? ["text"] : []) + (isIdentifier ? ["of-type"] : [])
    case .string: return ["missing", "exact", "contains"]
    case .uri: return ["missing", "above", "below"]
    case .reference: return ["missing", "identifier"] + parameter.targets(in: type)
    case .date, .number, .quantity: return ["missing"]
    case .composite: return []
    }
  }

  /// Reads a modifier.
  ///
  /// - Throws: `FHIRFailure` 400 where the parameter does not take it: what is not understood is never left out (FHIR
  ///   R4, search.html#modifiers).
  init(_ text: String, of parameter: SearchParameter, in type: String) throws(FHIRFailure) {
    let taken = Self.taken(by: parameter, in: type)
    guard taken.contains(text) else {
      let all = taken.isEmpty ? "no modifier" : taken.map { ":\($0)" }.joined(separator: ", ")
      throw FHIRFailure(
        400, "not-supported",
        "\(parameter.code) of \(type), a \(parameter.kind.name) parameter, takes \(all); it does not take :\(text)",
        at: "\(parameter.code):\(text)")
    }
    self = Self.named[text] ?? .type(text)
  }
}

extension SearchParameter.Kind {
  /// The prefixes that values may have.
  var prefixes: [SearchPrefix] {
    switch self {
    case .date, .number, .quantity: SearchPrefix.allCases
    case .token, .reference, .string, .uri, .composite: []
    }
  }
}

extension SearchParameter {
  /// Those that every type has.
  static let common: [String: SearchParameter] = {
    let kinds: [(String, Kind)] = [
      ("_id", .token), ("_lastUpdated", .date), ("_tag", .token), ("_security", .token), ("_profile", .uri),
      ("_source", .uri),
    ]
    let parameters = kinds.map { code, kind in
      let path: [Substring] = ["_tag", "_security"].contains(code) ? ["meta", code.dropFirst()] : []
      return (code, SearchParameter(code: code, kind: kind, paths: [path], parts: []))
    }
    return Dictionary(uniqueKeysWithValues: parameters)
  }()

  /// A parameter by its name, of a type's own or of those that every type has.
  static func named(_ code: String, of type: String) -> SearchParameter? { Self.common[code] ?? Self.of(type)?[code] }
}
