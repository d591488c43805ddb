import HealthRecords

/// Binaries that others bear as their content: a DocumentReference, a photograph, a report. ⚑ Such a Binary is of the
/// patient whom that is about, though it does not say so itself.
struct Attached {
  /// Who bears a Binary, and of which patient that is.
  private var bearers: [String: [String: String?]] = [:]
  private var borne: [String: [String]] = [:]

  /// The elements of each type that are attachments.
  private static let paths: [String: [[String]]] = [
    "Communication": [["payload", "contentAttachment"]], "Consent": [["sourceAttachment"]],
    "DiagnosticReport": [["presentedForm"]], "DocumentReference": [["content", "attachment"]],
    "Media": [["content"]], "Patient": [["photo"]], "Person": [["photo"]], "RelatedPerson": [["photo"]],
  ]

  /// The names of the Binaries of this server that a resource bears, each once.
  static func names(in resource: CanonicalJSON, type: String, at site: Site) -> [String] {
    var names: Set<String> = []
    for path in self.paths[type] ?? [] {
      let nodes = path.reduce([resource]) { nodes, name in nodes.flatMap { $0.children(name) } }
      for url in nodes.compactMap({ $0["url"]?.text }) {
        let name = site.local(url)
        if name.hasPrefix("Binary/") { names.insert(name) }
      }
    }
    return names.sorted()
  }

  /// Notes what a resource, which is of a patient or of none, bears by now; the Binaries that may be somebody else's.
  mutating func put(_ name: String, of patient: String?, bearing binaries: [String]) -> Set<String> {
    let before = self.borne[name] ?? []
    if before.isEmpty, binaries.isEmpty { return [] }
    for binary in before { self.bearers[binary]?[name] = nil }
    for binary in binaries { self.bearers[binary, default: [:]].updateValue(patient, forKey: name) }
    self.borne[name] = binaries.isEmpty ? nil : binaries
    return Set(before + binaries)
  }

  /// The patient of what bears a Binary; of several the first by name.
  func patient(of binary: String) -> String? {
    (self.bearers[binary] ?? [:]).sorted { $0.key < $1.key }.lazy.compactMap(\.value).first
  }

  /// What bears a Binary.
  func names(bearing binary: String) -> Set<String> { Set((self.bearers[binary] ?? [:]).keys) }
}
