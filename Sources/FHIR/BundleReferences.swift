import HealthRecords

/// What entries of a bundle call one another, and what it is called here.
///
/// Source: FHIR R4, bundle.html#references and http.html#trules.
struct BundleReferences {
  private let site: Site
  private var names: [String: String] = [:]

  /// No entry yet.
  init(site: Site) { self.site = site }

  /// An entry will be `Type/id` here; whether no other has its fullUrl.
  mutating func add(_ fullUrl: String, as name: String) -> Bool {
    self.names.updateValue(name, forKey: fullUrl) == nil
  }

  /// Members whose values are URLs that an entry may have as its fullUrl, besides references.
  private static let urls: Set<String> = ["url", "uri", "valueOid", "valueUri", "valueUrl", "valueUuid"]

  /// A resource of an entry with each reference to another entry as what that one is here. A relative one is below the
  /// base of the entry's own fullUrl: where that is another server's, it stays that server's.
  func resolved(_ resource: CanonicalJSON, in fullUrl: String?) -> CanonicalJSON {
    let root = fullUrl.flatMap { Site.root(of: $0) }
    return resource.replacing { name, text in
      if name == "reference" { return self.resolved(text, below: root) }
      if Self.urls.contains(name) { return self.names[text] ?? text }
      return name == "div" && !self.names.isEmpty ? self.narrative(text) : text
    }
  }

  private func resolved(_ text: String, below root: String?) -> String {
    if let known = self.names[text] ?? self.names[Site.unversioned(text)] { return known }
    guard let root, Site.literal(text) != nil else { return text }
    let absolute = "\(root)/\(text)"
    if let known = self.names[absolute] ?? self.names[Site.unversioned(absolute)] { return known }
    return self.site.path(of: absolute) == nil ? absolute : text
  }

  /// A narrative whose links and pictures are those of entries.
  private func narrative(_ text: String) -> String {
    var out = ""
    var rest = text[...]
    while let start = ["href=\"", "src=\""].compactMap({ rest.firstRange(of: $0) }).min(by: {
      $0.lowerBound < $1.lowerBound
    }) {
      out += rest[..<start.upperBound]
      rest = rest[start.upperBound...]
      let link = rest.prefix { $0 != "\"" }
      out += self.names[String(link)] ?? String(link)
      rest = rest[link.endIndex...]
    }
    return out + rest
  }
}
