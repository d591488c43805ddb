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
  /// Other resources of its type that it is linked with.
  var links: [(type: String, to: ResourceKey)] = []
  /// Whether the period of what is there has no end any more.
  var isReopened = false
  /// Whether one that is there already is left as it is.
  var isOnlyMade = false
  /// Fields of the segment at hand that hold something which has no place here after all.
  var unsaid: Set<Int> = []
  /// Segments that are kept as they came.
  var kept: [Segment] = []
  /// Names of segments that the message has about it: what was kept of them before gives way.
  var spoken: Set<String> = []

  init(_ key: ResourceKey) { self.key = key }

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
    if self.isReopened {
      let period = changes.last { $0.name == "period" }?.value ?? base["period"]
      changes.removeAll { $0.name == "period" }
      changes.append(("period", Self.laid(period?.with([("end", nil)]), over: nil)))
    }
    if !self.results.isEmpty { changes.append(("result", .array(self.results.map { Self.named(reference($0)) }))) }
    if !self.participants.isEmpty {
      let actors = self.participants.map { Self.named(reference($0)) } + self.others
      changes.append(
        (
          "participant",
          .array(
            actors.map { .object([(name: "actor", value: $0), (name: "status", value: .string("accepted"))]) })
        ))
    }
    if !self.links.isEmpty { changes.append(("link", .array(self.linked(over: base, reference)))) }
    changes.append(("identifier", .list(self.identifiers(over: base))))
    for one in self.references { changes.append((one.name, Self.named(reference(one.to)))) }
    changes.append(("extension", .list(self.extensions(over: base))))
    return base.with(changes)
  }

  private static func named(_ reference: String) -> CanonicalJSON {
    .object([(name: "reference", value: .string(reference))])
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
      if !links.contains(link) { links.append(link) }
    }
    return links
  }

  /// The numbers of the message, and those of other systems that are there: the hospital's own, and the account.
  private func identifiers(over base: CanonicalJSON) -> [CanonicalJSON] {
    let said = self.elements.last { $0.name == "identifier" }?.value?.items ?? []
    let isSaid = said.contains { $0["system"]?.text == self.key.system && $0["value"]?.text == self.key.value }
    let new = (isSaid ? [] : [self.key.identifier]) + said
    let systems = Set(new.compactMap { $0["system"]?.text })
    let left = (base["identifier"]?.items ?? []).filter { one in
      guard let system = one["system"]?.text, systems.contains(system) else { return true }
      // A number that was merged away still leads here.
      return one["use"]?.text == "old" && !new.contains { $0["value"] == one["value"] }
    }
    return new + left
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
