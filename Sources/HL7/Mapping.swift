internal import HealthRecords

/// What a message means in FHIR R4, by declared tables.
///
/// A mapping is made of a message alone; what it says is laid over what is there: a field that is empty leaves that as
/// it is, and `""` takes it away. A segment of which anything has no place in FHIR here is kept as it came, beside the
/// resource that the message is about.
///
/// Source: HL7 v2-to-FHIR implementation guide; HL7 v2.5.1, chapters 3, 4, 7, 9 and 10.
public struct Mapping: Sendable {
  /// The resources by which the message is understood: what is there of them is needed.
  public var keys: [ResourceKey] { self.drafts.map(\.key) }
  /// The other numbers of the patients: who has them is needed, too.
  public var numbers: [ResourceKey] { self.drafts.flatMap(\.numbers) }
  let drafts: [Draft]

  /// How the messages of an event are understood.
  enum Event: Sendable {
    /// The patient alone.
    case person
    /// The patient and a visit, which has a state then; one of no state keeps what it has.
    case visit(status: String?, isRequired: Bool)
    /// The same of one that was over, and is not.
    case reopened
    /// Two numbers of one patient.
    case merge
    /// Results.
    case results
    /// Vaccinations.
    case vaccinations
    /// A document in a state.
    case document(status: String)
    /// An appointment; one of no state has what SCH-25 says.
    case appointment(status: String?)
  }

  /// The events that are taken.
  static let events: [String: Event] = [
    "ADT^A01": .visit(status: "in-progress", isRequired: true),
    "ADT^A02": .visit(status: "in-progress", isRequired: true),
    "ADT^A03": .visit(status: "finished", isRequired: true),
    "ADT^A04": .visit(status: "in-progress", isRequired: true),
    "ADT^A05": .visit(status: "planned", isRequired: true),
    "ADT^A08": .visit(status: nil, isRequired: false),
    "ADT^A11": .visit(status: "cancelled", isRequired: true),
    "ADT^A12": .visit(status: "in-progress", isRequired: true),
    "ADT^A13": .reopened,
    "ADT^A28": .person, "ADT^A31": .person, "ADT^A40": .merge,
    "ORU^R01": .results, "VXU^V04": .vaccinations,
    "MDM^T01": .document(status: "current"), "MDM^T02": .document(status: "current"),
    "MDM^T03": .document(status: "current"), "MDM^T04": .document(status: "current"),
    "MDM^T05": .document(status: "current"), "MDM^T06": .document(status: "current"),
    "MDM^T07": .document(status: "current"), "MDM^T08": .document(status: "current"),
    "MDM^T09": .document(status: "current"), "MDM^T10": .document(status: "current"),
    "MDM^T11": .document(status: "entered-in-error"),
    "SIU^S12": .appointment(status: nil), "SIU^S13": .appointment(status: nil), "SIU^S14": .appointment(status: nil),
    "SIU^S15": .appointment(status: "cancelled"), "SIU^S17": .appointment(status: "entered-in-error"),
    "SIU^S26": .appointment(status: "noshow"),
  ]

  /// The events that are taken, as `ADT^A01`.
  public static let taken: [String] = Self.events.keys.sorted()

  /// Judges a message of a source.
  ///
  /// - Throws: `HL7Fault` where it is of no event that is taken, or lacks what its resources need.
  public init(_ message: Message, _ header: Header, _ source: MessageSource) throws(HL7Fault) {
    guard let event = Self.events["\(header.type)^\(header.event)"] else {
      let types = Set(Self.taken.map { $0.prefix(3) })
      let isKnown = types.contains(Substring(header.type))
      throw HL7Fault(
        isKnown ? .eventCode : .messageType, "MSH", field: 9,
        "\(header.type.prefix(20))^\(header.event.prefix(20)) is not taken: \(Self.taken.joined(separator: ", ")) are")
    }
    let structure = Structure.of(event)
    var drafts: [Draft] = []
    // Results of several patients are each one's: the standard has them in one message.
    for part in header.type == "ORU" ? message.patients : [message] {
      try structure.check(part.segments)
      drafts += try Self.drafts(of: part, event, source)
    }
    var seen: Set<ResourceKey> = []
    for draft in drafts where !seen.insert(draft.key).inserted {
      throw HL7Fault(.unknownKey, "two \(draft.key.type) of the message have the number \(draft.key.value.prefix(80))")
    }
    self.drafts = drafts
  }

  private static func drafts(
    of message: Message, _ event: Event, _ source: MessageSource
  ) throws(HL7Fault) -> [Draft] {
    var reading = Reading(message, source)
    switch event {
    case .person: try reading.takePatient()
    case .visit(let status, let isRequired): try reading.takeVisit(status, isRequired: isRequired)
    case .reopened:
      try reading.takeVisit("in-progress", isRequired: true)
      reading.drafts[reading.main].isReopened = true
    case .merge: try reading.takeMerge()
    case .results: try reading.takeResults()
    case .vaccinations: try reading.takeVaccinations()
    case .document(let status): try reading.takeDocument(status)
    case .appointment(let status): try reading.takeAppointment(status)
    }
    return try reading.labelled(reading.finished())
  }

  /// The resources that are to be written, over what is there; what would stay as it is is left out.
  ///
  /// - Throws: `HL7Fault` where one of them is another patient's there, or who is meant would be a guess.
  public func resources(over held: HeldResources) throws(HL7Fault) -> [MappedResource] {
    let persons = Persons(held)
    let held = try self.persons(held, persons)
    var urls: [ResourceKey: String] = [:]
    for (number, draft) in self.drafts.enumerated() { urls[draft.key] = Self.fullUrl(number) }
    func reference(_ key: ResourceKey) -> String {
      held[key].map { "\(key.type)/\($0.id)" } ?? urls[key] ?? ""
    }
    var found: [MappedResource] = []
    for (number, draft) in self.drafts.enumerated() {
      let there = held[draft.key]
      guard there == nil || !draft.isOnlyMade else { continue }
      if let there { try self.requireSamePatient(draft, there, held, persons) }
      try Self.requireWhole(draft, held)
      let json = draft.resource(over: there, reference)
      guard json != there?.json else { continue }
      if let there { try Self.requireLate(draft, there) }
      found.append(
        MappedResource(
          key: draft.key, fullUrl: Self.fullUrl(number), json: Self.timed(json, draft), isNew: there == nil))
    }
    return found
  }

  /// What is asked for besides, where some of a mapping's `keys` are there: the next result of each name.
  public func more(after held: HeldResources) -> [ResourceKey] {
    self.drafts.flatMap(\.series).filter { one in one.keys.first.map { held.resources[$0] != nil } ?? false }.map(
      \.next)
  }

  /// ⚑ Of results of one name which is which is told by their number alone: where that is another than before, a
  /// correction could overwrite the wrong one.
  private static func requireWhole(_ draft: Draft, _ held: [ResourceKey: HeldResource]) throws(HL7Fault) {
    for one in draft.series {
      guard let first = one.keys.first, held[first] != nil else { continue }
      guard one.keys.allSatisfy({ held[$0] != nil }), held[one.next] == nil else {
        throw HL7Fault(
          .conflict, "OBX", field: 4,
          "the report has another number of results with this code (OBX-3) here: send all of them, or tell them apart "
            + "by OBX-4")
      }
    }
  }

  private static func fullUrl(_ number: Int) -> String {
    let digits = String(number, radix: 16)
    return "urn:uuid:00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
  }
}

/// A message that is being understood.
struct Reading {
  let message: Message
  let source: MessageSource
  var drafts: [Draft] = []
  /// The place of the draft that the message is about: it keeps what has no other place.
  var main = 0
  /// Segments of which everything is in a draft, or that are kept beside one already.
  private var settled: Set<Segment> = []

  init(_ message: Message, _ source: MessageSource) { (self.message, self.source) = (message, source) }

  func segments(_ name: String) -> [Segment] { self.message.segments.filter { $0.name == name } }

  func required(_ name: String) throws(HL7Fault) -> Segment {
    guard let segment = self.message.first(name) else {
      throw HL7Fault(.segmentSequence, name, "there is no \(name)")
    }
    return segment
  }

  /// Says which fields of a segment have a place; where there are others, it is kept beside a draft.
  mutating func settle(_ segment: Segment, _ fields: Set<Int>, in draft: inout Draft) {
    self.settled.insert(segment)
    draft.spoken.insert(segment.name)
    // The first field counts the segments, and says nothing else.
    let placed = fields.union([1]).subtracting(draft.unsaid).filter { field in
      // Texts and files are taken whole.
      let isWhole = segment.name == "OBX" && field == 5 && ["ED", "FT", "ST", "TX"].contains(segment.value(2))
      return isWhole || !segment.isDeep(field)
    }
    if !Set(segment.filled).isSubset(of: placed) { draft.kept.append(segment) }
    draft.unsaid = []
  }

  /// Keeps a segment beside a draft, where it has no place yet.
  mutating func keep(_ segment: Segment, in draft: inout Draft) {
    guard !Self.envelope.contains(segment.name), self.settled.insert(segment).inserted else { return }
    draft.spoken.insert(segment.name)
    draft.kept.append(segment)
  }

  /// What a message's own envelope says is not a patient's.
  private static let envelope: Set<String> = ["MSH", "SFT", "UAC", "DSC"]

  /// The drafts, with what has no other place beside the main one.
  func finished() -> [Draft] {
    var drafts = self.drafts
    let left = self.message.segments.filter { !Self.envelope.contains($0.name) && !self.settled.contains($0) }
    drafts[self.main].kept += left
    drafts[self.main].spoken.formUnion(left.map(\.name))
    // When the event was entered; else when the message was made.
    let time = (self.message.first("EVN")?.value(2) ?? self.message.first("MSH")?.value(7)).flatMap { HL7Time($0) }
    for place in drafts.indices {
      drafts[place].said = time?.dateTime(self.source.zone)
      drafts[place].saidURL = self.source.own("said")
    }
    return drafts
  }
}
