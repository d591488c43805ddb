import HealthRecords

/// Binaries that others bear as their content: a DocumentReference, a photograph, a report. ⚑ Such a Binary is of the
/// patient whom that is about, though it does not say so itself.
struct Attached {
  /// What bears one Binary.
  private struct Bearers {
    /// The patients of what bears it, in the order in which they came to it.
    private(set) var patients: [String] = []
    /// Of which patient each is.
    private(set) var names: [String: String?] = [:]
    /// How many of each patient.
    private var counts: [String: Int] = [:]

    mutating func put(_ name: String, of patient: String?) {
      if let before = self.names[name], before == patient { return }
      self.remove(name)
      self.names.updateValue(patient, forKey: name)
      guard let patient else { return }
      if self.counts[patient] == nil { self.patients.append(patient) }
      self.counts[patient, default: 0] += 1
    }

    mutating func remove(_ name: String) {
      guard let before = self.names.removeValue(forKey: name), let patient = before else { return }
      let count = (self.counts[patient] ?? 1) - 1
      self.counts[patient] = count == 0 ? nil : count
      if count == 0 { self.patients.removeAll { $0 == patient } }
    }
  }

  private var bearers: [String: Bearers] = [:]
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
    let named = Set(binaries)
    for binary in before where !named.contains(binary) { self.bearers[binary]?.remove(name) }
    for binary in binaries { self.bearers[binary, default: Bearers()].put(name, of: patient) }
    self.borne[name] = binaries.isEmpty ? nil : binaries
    return named.union(before)
  }

  /// The patient of what bears a Binary. ⚑ Of several the one whose it was before it was the others': nobody becomes
  /// its patient by naming what another has.
  func patient(of binary: String) -> String? { self.bearers[binary]?.patients.first }

  /// What bears a Binary.
  func names(bearing binary: String) -> Set<String> {
    guard let names = self.bearers[binary]?.names.keys else { return [] }
    return Set(names)
  }

  /// Whether a resource bears a Binary as a patient's.
  func bears(_ name: String, _ binary: String, of patient: String) -> Bool {
    if let known = self.bearers[binary]?.names[name] { known == patient } else { false }
  }

  /// What bears a Binary as some patient's, but for what is left out: one name of each patient, of two at most.
  func others(bearing binary: String, without isLeftOut: (String) -> Bool) -> [String: String] {
    var found: [String: String] = [:]
    for (name, patient) in self.bearers[binary]?.names ?? [:] {
      guard let patient, found[patient] == nil, !isLeftOut(name) else { continue }
      found[patient] = name
      if found.count == 2 { break }
    }
    return found
  }
}
