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

  /// Those of them by which a Binary is named.
  private static let places: Set<String> = ["url", "valueUri", "valueUrl"]

  /// A resource of an entry with each reference to another entry as what that one is here. A relative one is below the
  /// base of the entry's own fullUrl: where that is another server's, it stays that server's.
  func resolved(_ resource: CanonicalJSON, in fullUrl: String?) -> CanonicalJSON {
    let root = fullUrl.flatMap { Site.root(of: $0) }
    return resource.replacing { name, text in
      if name == "reference" { return self.resolved(text, below: root) }
      // What an attachment or an extension names is below the same base as what a reference does.
      if Self.places.contains(name), Site.literal(text)?.type == "Binary" { return self.resolved(text, below: root) }
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

  /// What stands before the quote that a link or a picture begins with.
  private static let linking = ["href=", "src="].map { Array($0.utf8) }

  /// A narrative whose links and pictures are those of entries.
  private func narrative(_ text: String) -> String {
    let (bytes, quote) = (Array(text.utf8), UInt8(ascii: "\""))
    var out: [UInt8] = []
    var (copied, place) = (0, 0)
    while let start = bytes[place...].firstIndex(of: quote) {
      let before = bytes[place..<start]
      place = start + 1
      guard Self.linking.contains(where: { before.suffix($0.count).elementsEqual($0) }) else { continue }
      let end = bytes[place...].firstIndex(of: quote) ?? bytes.count
      if let known = self.names[String(decoding: bytes[place..<end], as: UTF8.self)] {
        out += bytes[copied..<place] + known.utf8
        copied = end
      }
      place = min(end + 1, bytes.count)
    }
    return copied == 0 ? text : String(decoding: out + bytes[copied...], as: UTF8.self)
  }
}
