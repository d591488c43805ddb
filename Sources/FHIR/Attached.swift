import HealthRecords

/// Binaries that others bear as their content: a DocumentReference, a photograph, a report; or that name another
/// resource as their security context. ⚑ Such a Binary is of the patient whom that is about, though it does not say so
/// itself.
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
  /// What each bears: what it names, and what names it as its security context.
  private var borne: [String: Set<String>] = [:]
  private var named: [String: Set<String>] = [:]
  /// What each names by a reference only.
  private var linked: [String: Set<String>] = [:]
  private var guarded: [String: Set<String>] = [:]
  /// What a Binary names as its security context, where that is no patient.
  private var contexts: [String: String] = [:]

  /// The elements of each type that are attachments without a name that says so.
  private static let elements: [String: String] = [
    "DiagnosticReport": "presentedForm", "ExplanationOfBenefit": "form", "Media": "content", "Patient": "photo",
    "Person": "photo", "Practitioner": "photo", "RelatedPerson": "photo",
  ]

  /// What holds a URL by itself, as an extension may.
  private static let pointers: Set<String> = ["valueUri", "valueUrl"]

  /// The attachments of a resource: the elements of its type, and whatever is one by its name at any depth, as an
  /// answer in a questionnaire, an extension or a payload; those of what it contains, too. And the URLs that stand by
  /// themselves, in extensions.
  private static func attachments(
    in resource: CanonicalJSON, type: String
  ) -> (found: [CanonicalJSON], pointers: [String]) {
    var found = self.elements[type].map { resource.children($0) } ?? []
    var (waiting, pointers) = ([resource], [String]())
    while let value = waiting.popLast() {
      switch value {
      case .array(let items): waiting += items
      case .object(let members):
        for (name, member) in members {
          if name == "attachment" || name.hasSuffix("Attachment") { found += member.items ?? [member] }
          if self.pointers.contains(name), let text = member.text { pointers.append(text) }
          waiting.append(member)
        }
      case .null, .bool, .number, .string: break
      }
    }
    for contained in resource.children("contained") {
      guard let element = contained["resourceType"]?.text.flatMap({ self.elements[$0] }) else { continue }
      found += contained.children(element)
    }
    return (found, pointers)
  }

  /// The URLs of the attachments of a resource, and those in its extensions.
  static func urls(in resource: CanonicalJSON, type: String) -> [String] {
    let (attachments, pointers) = self.attachments(in: resource, type: type)
    return attachments.compactMap { $0["url"]?.text } + pointers
  }

  /// The Binaries of this server that a resource names: as its content, or only by a reference, as a list does, or by
  /// an extension's URL.
  static func names(
    in resource: CanonicalJSON, type: String, at site: Site
  ) -> (held: Set<String>, linked: Set<String>) {
    guard type != "Binary" else { return ([], []) }
    // Most name something else: their letters tell that at once.
    func named(_ text: String) -> String? {
      let name = text.utf8.contains(UInt8(ascii: "B")) ? site.local(text) : ""
      return name.hasPrefix("Binary/") ? name : nil
    }
    let contents = resource.children("payload").compactMap { $0["contentReference"]?["reference"]?.text }
    let (attachments, pointers) = self.attachments(in: resource, type: type)
    let held = Set((attachments.compactMap { $0["url"]?.text } + contents).compactMap { named($0) })
    var linked = Set(pointers.compactMap { named($0) }).subtracting(held)
    resource.forEachReference { text in
      if let name = named(text), !held.contains(name) { linked.insert(name) }
    }
    return (held, linked)
  }

  /// What a Binary names as its security context, where that is meant here, and no patient.
  static func context(of binary: CanonicalJSON, at site: Site) -> String? {
    guard let text = binary["securityContext"]?["reference"]?.text, text.first != "#",
      let path = site.path(of: text)
    else { return nil }
    guard let found = Site.literal(path) else { return path }
    return found.type == "Patient" ? nil : "\(found.type)/\(found.id)"
  }

  /// Notes what a resource, which is of a patient or of none, names by now; the Binaries that may be somebody else's.
  mutating func put(
    _ name: String, of patient: String?, holding held: Set<String>, linking linked: Set<String>
  ) -> Set<String> {
    if held.isEmpty, linked.isEmpty, self.borne[name] == nil { return [] }
    self.named[name] = held.isEmpty && linked.isEmpty ? nil : held.union(linked)
    self.linked[name] = linked.isEmpty ? nil : linked
    let before = self.borne[name] ?? []
    let now = (self.guarded[name] ?? []).union(held).union(linked)
    for binary in before.subtracting(now) { self.bearers[binary]?.remove(name) }
    for binary in now { self.bearers[binary, default: Bearers()].put(name, of: patient) }
    self.borne[name] = now.isEmpty ? nil : now
    return now.union(before)
  }

  /// Notes what a Binary names as its security context, which is of a patient or of none.
  mutating func put(_ binary: String, under context: String?, of patient: String?) {
    if let before = self.contexts[binary], before != context {
      self.guarded[before]?.remove(binary)
      if self.named[before]?.contains(binary) != true {
        self.bearers[binary]?.remove(before)
        self.borne[before]?.remove(binary)
      }
    }
    self.contexts[binary] = context
    guard let context else { return }
    self.guarded[context, default: []].insert(binary)
    self.borne[context, default: []].insert(binary)
    self.bearers[binary, default: Bearers()].put(context, of: patient)
  }

  /// The Binaries that name a resource as their security context.
  func names(under context: String) -> Set<String> { self.guarded[context] ?? [] }

  /// Whether a resource bears a Binary for the one reason that this names it as its security context.
  func isContext(_ name: String, of binary: String) -> Bool {
    self.contexts[binary] == name && self.named[name]?.contains(binary) != true
  }

  /// The patient of what bears a Binary. ⚑ Of several the one whose it was before it was the others': nobody becomes
  /// its patient by naming what another has.
  func patient(of binary: String) -> String? { self.bearers[binary]?.patients.first }

  /// What bears a Binary.
  func names(bearing binary: String) -> Set<String> {
    guard let names = self.bearers[binary]?.names.keys else { return [] }
    return Set(names)
  }

  /// The Binaries that a resource bears.
  func names(borneBy name: String) -> Set<String> { self.borne[name] ?? [] }

  /// What a Binary stays for, besides those that go: what has it as its content; without such, what is of a patient.
  func isHeld(_ binary: String, besides going: Set<String>) -> Bool {
    let names = self.bearers[binary]?.names ?? [:]
    let held = names.filter { self.linked[$0.key]?.contains(binary) != true }
    if !held.isEmpty { return held.contains { !going.contains($0.key) } }
    return names.contains { $0.value != nil && !going.contains($0.key) }
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
