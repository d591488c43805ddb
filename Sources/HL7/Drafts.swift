public import HealthRecords

/// By what a resource is found: a type and an identifier.
public struct ResourceKey: Sendable, Hashable {
  /// Its type.
  public let type: String
  /// The identifier's system.
  public let system: String
  /// The identifier's value.
  public let value: String

  init(_ type: String, _ key: (system: String, value: String)) {
    (self.type, self.system, self.value) = (type, key.system, key.value)
  }

  var identifier: CanonicalJSON {
    .object([(name: "system", value: .string(self.system)), (name: "value", value: .string(self.value))])
  }
}

/// A resource that is there already.
public struct HeldResource: Sendable {
  /// Its id.
  public let id: String
  /// What it holds.
  public let json: CanonicalJSON

  /// A resource of given parts.
  public init(id: String, json: CanonicalJSON) { (self.id, self.json) = (id, json) }
}

/// What of the store a message is understood by.
public struct HeldResources: Sendable {
  /// What is there under the keys of a mapping.
  public var resources: [ResourceKey: HeldResource]
  /// The patients whom those are linked with, by `Patient/ID`, and whom these, and so on.
  public var people: [String: HeldResource]
  /// The ids of the patients who have a number, for a mapping's `numbers`.
  public var holders: [ResourceKey: [String]]

  /// What is there, of which some may be linked.
  public init(
    _ resources: [ResourceKey: HeldResource] = [:], people: [String: HeldResource] = [:],
    holders: [ResourceKey: [String]] = [:]
  ) {
    (self.resources, self.people, self.holders) = (resources, people, holders)
  }

  /// A patient whom a link names and who is not among them yet, `but` those; nil where there is none, or there are too
  /// many.
  public func missing(but lost: Set<String> = []) -> String? {
    let patients = self.resources.filter { $0.key.type == "Patient" }.map(\.value) + Array(self.people.values)
    guard patients.count < 2 * Persons.mergedMax else { return nil }
    let there = Set(patients.map { Persons.name($0) })
    let named = patients.flatMap { Persons.links("replaced-by", of: $0) + Persons.links("replaces", of: $0) }
    return named.filter { $0.hasPrefix("Patient/") && !there.contains($0) && !lost.contains($0) }.min()
  }
}

/// A resource as a message makes it.
public struct MappedResource: Sendable, Hashable {
  /// By what it is found.
  public let key: ResourceKey
  /// By what the others of its message name it, where it is new.
  public let fullUrl: String
  /// The whole of it, with its id where it is there already.
  public let json: CanonicalJSON
  /// Whether it is new.
  public let isNew: Bool
}

/// What a message says of one resource. A field that is empty leaves what is there; `""` takes it away.
struct Draft: Sendable {
  let key: ResourceKey
  /// What is set; nil where it is taken away.
  var elements: [(name: String, value: CanonicalJSON?)] = []
  /// What is set where the resource is new.
  var defaults: [(name: String, value: CanonicalJSON?)] = []
  /// Elements that name others of the message.
  var references: [(name: String, to: ResourceKey)] = []
  /// The observations of a report.
  var results: [ResourceKey] = []
  /// Who takes part in an appointment: resources of the message, and others by name.
  var participants: [ResourceKey] = []
  var others: [CanonicalJSON] = []
  /// The other numbers of a patient.
  var numbers: [ResourceKey] = []
  /// Whether it is the patient whose number another's takes the place of.
  var isMergedAway = false
  /// Other resources of its type that it is linked with.
  var links: [(type: String, to: ResourceKey)] = []
  /// Labels that say how confidential it is; no message takes one away.
  var security: [CanonicalJSON] = []
  /// When its sender said so, as FHIR's `dateTime`, and where that is kept; nil where it does not say.
  var said: String?
  var saidURL = ""
  /// Results of one name in a report: all of them, and what the next would be called.
  var series: [(keys: [ResourceKey], next: ResourceKey)] = []
  /// Whether the period of what is there has no end any more.
  var isReopened = false
  /// Members of elements that are taken away.
  var gone: [(element: String, member: String)] = []
  /// Who takes part in a visit, and the roles of whom the message tells.
  var people: [CanonicalJSON] = []
  var roles: Set<String> = []
  /// Whether one that is there already is left as it is.
  var isOnlyMade = false
  /// Fields of the segment at hand that hold something which has no place here after all.
  var unsaid: Set<Int> = []
  /// Segments that are kept as they came.
  var kept: [Segment] = []
  /// Names of segments that the message has about it: what was kept of them before gives way.
  var spoken: Set<String> = []

  init(_ key: ResourceKey) { self.key = key }

  /// Of whom it is; nil for a patient.
  var patient: ResourceKey? { self.references.first?.to ?? self.participants.first }

  mutating func set(_ name: String, _ value: CanonicalJSON?) {
    if let value { self.elements.append((name, value)) }
  }

  mutating func put(_ changes: [(name: String, value: CanonicalJSON?)]) { self.elements += changes }

  /// Applies a table's rows to a segment.
  mutating func apply(_ rows: [Row], to segment: Segment, _ source: MessageSource) throws(HL7Fault) {
    for row in rows {
      guard !segment.isNull(row.field) else {
        if !self.elements.contains(where: { $0.name == row.element }) { self.elements.append((row.element, nil)) }
        continue
      }
      let values = try row.conversion.values(segment, row.field, source)
      guard let first = values.first else {
        self.unsaid.insert(row.field)
        continue
      }
      if row.conversion.isList {
        let before = self.elements.first { $0.name == row.element }?.value?.items ?? []
        self.elements.removeAll { $0.name == row.element }
        self.elements.append((row.element, .array(before + values)))
      } else {
        self.elements.removeAll { $0.name == row.element }
        self.elements.append((row.element, first))
      }
    }
  }

  /// The whole resource over what is there.
  func resource(over held: HeldResource?, _ reference: (ResourceKey) -> String) -> CanonicalJSON {
    let base =
      held?.json
      ?? CanonicalJSON.object([(name: "resourceType", value: .string(self.key.type))]).with(self.defaults)
    var changes = self.elements.filter { $0.name != "identifier" && $0.name != "extension" }
    for (place, change) in changes.enumerated() where Self.laidOver.contains(change.name) {
      changes[place].value = Self.laid(change.value, over: base[change.name])
    }
    for (element, member) in self.gone + (self.isReopened ? [("period", "end")] : []) {
      let whole = changes.last { $0.name == element }?.value ?? base[element]
      changes.removeAll { $0.name == element }
      changes.append((element, Self.laid(whole?.with([(member, nil)]), over: nil)))
    }
    if !self.roles.isEmpty {
      let left = (base["participant"]?.items ?? []).filter { one in
        !(one["type"]?.items ?? []).contains { type in
          (type["coding"]?.items ?? []).contains { self.roles.contains($0["code"]?.text ?? "") }
        }
      }
      changes.append(("participant", .list(left + self.people)))
    }
    if !self.results.isEmpty {
      // ⚑ A message has the results that are new or other than before: the others are the report's still.
      let before = base["result"]?.items ?? []
      let named = self.results.map { Self.named(reference($0)) }
      changes.append(("result", .array(before + named.filter { !before.contains($0) })))
    }
    if !self.security.isEmpty {
      let meta = base["meta"] ?? .object([])
      var labels = meta["security"]?.items ?? []
      for label in self.security where !labels.contains(label) { labels.append(label) }
      changes.append(("meta", meta.with([("security", .array(labels))])))
    }
    if !self.participants.isEmpty {
      let actors = self.participants.map { Self.named(reference($0)) } + self.othersLaid(over: base)
      changes.append(
        (
          "participant",
          .array(
            actors.map { .object([(name: "actor", value: $0), (name: "status", value: .string("accepted"))]) })
        ))
    }
    if !self.links.isEmpty {
      let links = self.linked(over: base, reference)
      changes.append(("link", .array(links)))
      // A merge that is turned round opens what it had closed.
      let isClosed = (base["link"]?.items ?? []).contains { $0["type"]?.text == "replaced-by" }
      if isClosed, !links.contains(where: { $0["type"]?.text == "replaced-by" }) {
        changes.append(("active", .bool(true)))
      }
    }
    changes.append(("identifier", .list(self.identifiers(over: base))))
    for one in self.references { changes.append((one.name, Self.named(reference(one.to)))) }
    changes.append(("extension", .list(self.extensions(over: base))))
    return base.with(changes)
  }

  private static func named(_ reference: String) -> CanonicalJSON {
    .object([(name: "reference", value: .string(reference))])
  }

  /// The people and places of an appointment; where a message names none, those that are there.
  private func othersLaid(over base: CanonicalJSON) -> [CanonicalJSON] {
    guard self.others.isEmpty else { return self.others }
    return (base["participant"]?.items ?? []).compactMap { $0["actor"] }.filter { actor in
      !(actor["reference"]?.text ?? "").contains("Patient/") && actor["type"]?.text != "Patient"
    }
  }

  /// Elements of which a message says a part.
  private static let laidOver: Set<String> = ["hospitalization", "period"]

  private static func laid(_ part: CanonicalJSON?, over base: CanonicalJSON?) -> CanonicalJSON? {
    guard case .object(let members)? = part else { return part }
    let whole = (base ?? .object([])).with(members.map { ($0.name, $0.value) })
    if case .object(let left) = whole, left.isEmpty { return nil }
    return whole
  }

  private func linked(over base: CanonicalJSON, _ reference: (ResourceKey) -> String) -> [CanonicalJSON] {
    var links = base["link"]?.items ?? []
    for (type, key) in self.links {
      let link = CanonicalJSON.object([
        (name: "other", value: Self.named(reference(key))), (name: "type", value: .string(type)),
      ])
      links.removeAll { $0["other"] == link["other"] && ["replaces", "replaced-by"].contains($0["type"]?.text) }
      links.append(link)
    }
    return links
  }

  /// The numbers of the message, and those that are there: of other systems, the account, and all by which a patient is
  /// known. ⚑ A patient's number goes by a merge or by FHIR alone.
  private func identifiers(over base: CanonicalJSON) -> [CanonicalJSON] {
    let said = self.elements.last { $0.name == "identifier" }?.value?.items ?? []
    let isSaid = said.contains { $0["system"]?.text == self.key.system && $0["value"]?.text == self.key.value }
    let new = (isSaid ? [] : [self.key.identifier]) + said
    let systems = Set(new.compactMap { $0["system"]?.text })
    let left = (base["identifier"]?.items ?? []).filter { one in
      guard let system = one["system"]?.text, systems.contains(system) else { return true }
      guard !new.contains(where: { $0["system"] == one["system"] && $0["value"] == one["value"] }) else { return false }
      // A number that was merged away still leads here.
      return ["old", "secondary"].contains(one["use"]?.text)
        || (self.key.type == "Patient" && (system == self.key.system || Self.isPersons(one)))
    }
    return new + left
  }

  /// Whether a number is of a type by which patients are known.
  private static func isPersons(_ identifier: CanonicalJSON) -> Bool {
    (identifier["type"]?["coding"]?.items ?? []).contains { ["MR", "PI"].contains($0["code"]?.text) }
  }

  /// The extension under which segments are kept as they came.
  static let segmentURL = "urn:consilium:hl7v2:segment"

  private func extensions(over base: CanonicalJSON) -> [CanonicalJSON] {
    let others = (base["extension"]?.items ?? []).filter { one in
      guard one["url"]?.text == Self.segmentURL, let text = one["valueString"]?.text else { return true }
      return !self.spoken.contains(String(text.prefix(3)))
    }
    let said = (self.elements.last { $0.name == "extension" }?.value?.items ?? [])
    return others + said
      + self.kept.map { segment in
        .object([
          (name: "url", value: .string(Self.segmentURL)), (name: "valueString", value: .string(segment.text)),
        ])
      }
  }
}

/// A row of a declared table: a field, the element that it becomes, and how.
struct Row: Sendable {
  let field: Int
  let element: String
  let conversion: Conversion

  init(_ field: Int, _ element: String, _ conversion: Conversion) {
    (self.field, self.element, self.conversion) = (field, element, conversion)
  }
}
