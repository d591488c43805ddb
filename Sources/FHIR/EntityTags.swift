/// What `If-Match` or `If-None-Match` names (RFC 9110, §8.8.3 and §13.1). A resource's tag is its version, weak (FHIR
/// R4, http.html#concurrency), so tags are compared weakly.
enum EntityTags: Hashable {
  /// `*`: whatever is there.
  case any
  /// Those of a list.
  case listed(Set<String>)

  /// Reads a field's value; nil where it is none.
  init?(_ text: String) {
    var rest = text[...]
    func isGap(_ character: Character) -> Bool { character == " " || character == "\t" || character == "," }
    rest = rest.drop(while: isGap)
    if rest.first == "*" {
      guard rest.dropFirst().allSatisfy(isGap) else { return nil }
      self = .any
      return
    }
    var tags: Set<String> = []
    while !rest.isEmpty {
      if rest.hasPrefix("W/") { rest = rest.dropFirst(2) }
      guard rest.first == "\"" else { return nil }
      rest = rest.dropFirst()
      guard let end = rest.firstIndex(of: "\"") else { return nil }
      tags.insert(String(rest[..<end]))
      rest = rest[end...].dropFirst()
      guard rest.first.map(isGap) ?? true else { return nil }
      rest = rest.drop(while: isGap)
    }
    guard !tags.isEmpty else { return nil }
    self = .listed(tags)
  }

  /// Whether a resource's version, nil where it is not there, is among them.
  func names(_ version: UInt64?) -> Bool {
    switch self {
    case .any: version != nil
    case .listed(let tags): version.map { tags.contains("\($0)") } ?? false
    }
  }
}
