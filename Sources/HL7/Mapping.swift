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
    self.drafts = try reading.finished()
  }

  /// The resources that are to be written, over what is there; what would stay as it is is left out.
  ///
  /// - Throws: `HL7Fault` where one of them is another patient's there. ⚑ What is written of one person becomes
  ///   another's only where that one's number was merged into this one's.
  public func resources(over held: [ResourceKey: HeldResource]) throws(HL7Fault) -> [MappedResource] {
    var urls: [ResourceKey: String] = [:]
    for (number, draft) in self.drafts.enumerated() { urls[draft.key] = Self.fullUrl(number) }
    func reference(_ key: ResourceKey) -> String {
      held[key].map { "\(key.type)/\($0.id)" } ?? urls[key] ?? ""
    }
    var found: [MappedResource] = []
    for (number, draft) in self.drafts.enumerated() {
      let there = held[draft.key]
      guard there == nil || !draft.isOnlyMade else { continue }
      for one in draft.references {
        guard let before = there?.json[one.name]?["reference"]?.text, before != reference(one.to),
          !Self.merged(into: held[one.to]).contains(before)
        else { continue }
        throw HL7Fault(
          .conflict,
          "\(draft.key.type) \(draft.key.value.prefix(80)) is of \(before) here, and the message is of "
            + "\(one.to.value.prefix(80)): correct the one that is wrong")
      }
      let json = draft.resource(over: there, reference)
      guard json != there?.json else { continue }
      found.append(MappedResource(key: draft.key, fullUrl: Self.fullUrl(number), json: json, isNew: there == nil))
    }
    return found
  }

  /// The patients whose numbers were merged into one's.
  private static func merged(into patient: HeldResource?) -> [String] {
    (patient?.json["link"]?.items ?? []).filter { $0["type"]?.text == "replaces" }
      .compactMap { $0["other"]?["reference"]?.text }
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
    let placed = fields.union([1]).subtracting(draft.unsaid)
    if !Set(segment.filled).isSubset(of: placed) { draft.kept.append(segment) }
    draft.unsaid = []
  }

  /// What a message's own envelope says is not a patient's.
  private static let envelope: Set<String> = ["MSH", "SFT", "UAC", "DSC"]

  /// The drafts, with what has no other place beside the main one.
  ///
  /// - Throws: `HL7Fault` where two of them would be one resource.
  func finished() throws(HL7Fault) -> [Draft] {
    var drafts = self.drafts
    let left = self.message.segments.filter { !Self.envelope.contains($0.name) && !self.settled.contains($0) }
    drafts[self.main].kept += left
    drafts[self.main].spoken.formUnion(left.map(\.name))
    var seen: Set<ResourceKey> = []
    for draft in drafts where !seen.insert(draft.key).inserted {
      throw HL7Fault(.unknownKey, "two \(draft.key.type) of the message have the number \(draft.key.value.prefix(80))")
    }
    return drafts
  }
}
