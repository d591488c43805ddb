import HealthRecords

/// Binaries that others bear as their content: a DocumentReference, a photograph, a report. ⚑ Such a Binary is of the
/// patient whom that is about, though it does not say so itself.
struct Attached {
  /// Who bears a Binary, and of which patient that is.
  private var bearers: [String: [String: String?]] = [:]
  private var borne: [String: [String]] = [:]

  /// The elements of each type that are attachments without a name that says so.
  private static let elements: [String: String] = [
    "DiagnosticReport": "presentedForm", "ExplanationOfBenefit": "form", "Media": "content", "Patient": "photo",
    "Person": "photo", "Practitioner": "photo", "RelatedPerson": "photo",
  ]

  /// The attachments of a resource: the elements of its type, and whatever is one by its name at any depth, as an
  /// answer in a questionnaire, an extension or a payload; those of what it contains, too.
  private static func attachments(in resource: CanonicalJSON, type: String) -> [CanonicalJSON] {
    var found = self.elements[type].map { resource.children($0) } ?? []
    var waiting = [resource]
    while let value = waiting.popLast() {
      switch value {
      case .array(let items): waiting += items
      case .object(let members):
        for (name, member) in members {
          if name == "attachment" || name.hasSuffix("Attachment") { found += member.items ?? [member] }
          waiting.append(member)
        }
      case .null, .bool, .number, .string: break
      }
    }
    for contained in resource.children("contained") {
      guard let element = contained["resourceType"]?.text.flatMap({ self.elements[$0] }) else { continue }
      found += contained.children(element)
    }
    return found
  }

  /// The names of the Binaries of this server that a resource bears, each once.
  static func names(in resource: CanonicalJSON, type: String, at site: Site) -> [String] {
    var names: Set<String> = []
    for url in self.attachments(in: resource, type: type).compactMap({ $0["url"]?.text }) {
      let name = site.local(url)
      if name.hasPrefix("Binary/") { names.insert(name) }
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
