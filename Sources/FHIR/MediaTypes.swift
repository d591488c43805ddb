/// Which forms of resources are taken and given, as `Accept`, `Content-Type` and `_format` name them (FHIR R4,
/// http.html#mime-type, #parameters and versioning.html#mt-version).
public enum MediaTypes {
  /// What resources are given as, where nothing else is asked for.
  public static let fhir = "application/fhir+json"
  /// What a resource may be called, the best first.
  static let json = ["application/fhir+json", "application/json", "text/json", "application/json+fhir"]
  private static let versions: Set<String> = ["4.0", "4.0.1"]

  /// One media type with its parameters.
  struct Item {
    /// In small letters, without parameters.
    let name: String
    /// By their names in small letters.
    let parameters: [String: String]

    init(_ text: some StringProtocol) {
      let parts = String(text).split(separator: ";").map { $0.trimmed }
      self.name = (parts.first ?? "").lowercased()
      var parameters: [String: String] = [:]
      for part in parts.dropFirst() {
        let halves = part.split(separator: "=", maxSplits: 1).map { $0.trimmed }
        guard halves.count == 2 else { continue }
        parameters[halves[0].lowercased()] = halves[1].filter { $0 != "\"" }
      }
      self.parameters = parameters
    }

    /// How much it is wanted, 0 to 1.
    var quality: Double { self.parameters["q"].map { Double($0) ?? 0 } ?? 1 }

    /// How closely it names a type; nil where it does not.
    func closeness(to type: String) -> Int? {
      if self.name == type { return 2 }
      if self.name == "*/*" || self.name == "*" { return 0 }
      return self.name.hasSuffix("/*") && type.hasPrefix(self.name.dropLast()) ? 1 : nil
    }

    /// Whether it names this version of FHIR, or none; in UTF-8.
    var isOfThisVersion: Bool {
      self.parameters["fhirversion"].map { MediaTypes.versions.contains($0) } ?? true
        && ["utf-8", "utf8"].contains(self.parameters["charset"]?.lowercased() ?? "utf-8")
    }
  }

  /// The media type of a value of `_format`, which has short names, and whose plus often comes as a space.
  static func format(_ value: String) -> Item {
    switch value.lowercased() {
    case "json": return Item(self.fhir)
    case "xml": return Item("application/fhir+xml")
    case "ttl": return Item("application/fhir+turtle")
    case "html": return Item("text/html")
    default: return Item(value.replacing("fhir json", with: "fhir+json").replacing("fhir xml", with: "fhir+xml"))
    }
  }

  static func isJSON(_ item: Item) -> Bool { self.json.contains(item.name) && item.isOfThisVersion }

  static func refusal(of asked: String) -> FHIRFailure {
    FHIRFailure(
      406, "not-supported",
      "resources come as application/fhir+json (or application/json) of fhirVersion 4.0, in UTF-8, not as \(asked)")
  }

  /// Whether resources may come as this media type.
  public static func isJSON(_ type: String) -> Bool { self.json.contains(Item(type).name) }

  /// Whether a body of a media type can be read here: of this version, in UTF-8.
  public static func isOfThisVersion(_ type: String) -> Bool { Item(type).isOfThisVersion }

  /// The best of some types for a client, by its `Accept`; nil where it takes none of them.
  public static func best(of types: [String], for accept: String) -> String? {
    let items = accept.split(separator: ",").map { Item($0) }.filter(\.isOfThisVersion)
    guard !items.isEmpty else { return accept.trimmed.isEmpty ? types.first : nil }
    var best: (type: String, quality: Double)?
    for type in types {
      let named = items.compactMap { item in item.closeness(to: type).map { (closeness: $0, quality: item.quality) } }
      guard let quality = named.max(by: { $0.closeness < $1.closeness })?.quality, quality > 0 else { continue }
      if quality > best?.quality ?? 0 { best = (type, quality) }
    }
    return best?.type
  }

  /// What a resource is given as, by `_format` where it is there, by `Accept` otherwise (FHIR R4,
  /// http.html#parameters).
  ///
  /// - Throws: `FHIRFailure` 406 with what is supported.
  public static func answered(
    _ query: [(name: String, value: String)], accept: String?
  ) throws(FHIRFailure) -> String {
    if let format = query.last(where: { $0.name == "_format" && !$0.value.isEmpty })?.value {
      guard self.isJSON(self.format(format)) else { throw self.refusal(of: format) }
      return self.fhir
    }
    guard let accept else { return self.fhir }
    guard let best = self.best(of: Array(self.json.prefix(3)), for: accept) else { throw self.refusal(of: accept) }
    return best
  }
}

extension String {
  /// Without white space around it.
  var trimmed: String { self[...].trimmed }
}
