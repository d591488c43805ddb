/// What an event's messages consist of, as far as it decides of whom something is and to what it belongs.
///
/// ⚑ What stands where the event's structure does not know it is refused: whose it is would be a guess. Segments that
/// no table here knows (Z segments, DG1 and the like) may stand anywhere, since they are kept as they came.
///
/// Source: HL7 v2.5.1, chapters 3, 4, 7, 9 and 10, message structures.
struct Structure: Sendable {
  /// Segments that are there once at most.
  let once: Set<String>
  /// Segments that begin something here.
  let known: Set<String>
  /// What must stand before a segment.
  let after: [String: String]
  /// Segments that nothing of the patient's part may follow.
  let body: Set<String>
  /// Which of the `heads` a segment belongs to: the last of them must be that one.
  let under: [String: String]
  /// What begins a part.
  let heads: Set<String>

  private init(
    once: Set<String>, known: Set<String> = [], after: [String: String] = [:], body: Set<String> = [],
    under: [String: String] = [:], heads: Set<String> = []
  ) {
    (self.once, self.known, self.body) = (once.union(["EVN", "PID", "PD1", "PV1", "PV2"]), known, body)
    self.after = ["PD1": "PID", "NK1": "PID", "PV1": "PID", "PV2": "PV1"].merging(after) { _, new in new }
    (self.under, self.heads) = (under, heads)
  }

  /// Segments that say of what a message is: of another event's nothing is taken.
  private static let decisive: Set<String> = ["MRG", "OBR", "ORC", "RXA", "RXR", "SCH", "TXA"]
  /// What tells of the patient and the visit.
  private static let personal: Set<String> = ["PID", "PD1", "NK1", "PV1", "PV2"]

  private static let visit = Structure(once: [])
  private static let merge = Structure(once: ["MRG"], known: ["MRG"], after: ["MRG": "PID"])
  private static let results = Structure(
    once: [], known: ["ORC", "OBR"], after: ["ORC": "PID", "OBR": "PID", "OBX": "OBR"], body: ["ORC", "OBR"],
    under: ["OBX": "OBR"], heads: ["ORC", "OBR"])
  private static let vaccinations = Structure(
    once: [], known: ["ORC", "RXA", "RXR"], after: ["ORC": "PID", "RXA": "ORC", "RXR": "RXA"], body: ["ORC", "RXA"],
    under: ["RXA": "ORC", "RXR": "RXA"], heads: ["ORC", "RXA"])
  private static let document = Structure(
    once: ["TXA"], known: ["TXA", "ORC", "OBR"], after: ["TXA": "PID", "OBX": "TXA"], body: ["TXA"])
  private static let appointment = Structure(
    once: ["SCH"], known: ["SCH"], after: ["AIP": "SCH", "AIL": "SCH"], body: ["AIP", "AIL"])

  /// That of an event's messages.
  static func of(_ event: Mapping.Event) -> Structure {
    switch event {
    case .person, .visit, .reopened: Self.visit
    case .merge: Self.merge
    case .results: Self.results
    case .vaccinations: Self.vaccinations
    case .document: Self.document
    case .appointment: Self.appointment
    }
  }

  /// Refuses what it does not know.
  func check(_ segments: [Segment]) throws(HL7Fault) {
    guard segments.contains(where: { $0.name == "PID" }) else {
      throw HL7Fault(.segmentSequence, "PID", "there is no PID")
    }
    var seen: Set<String> = []
    var head: String?
    for segment in segments {
      let name = segment.name
      func refusal(_ why: String) -> HL7Fault { segment.fault(.segmentSequence, nil, why) }
      guard !Self.decisive.contains(name) || self.known.contains(name) else {
        throw refusal("messages of this event have no \(name): what it belongs to would be a guess")
      }
      guard !self.once.contains(name) || !seen.contains(name) else {
        throw refusal(
          name == "PID"
            ? "one patient in a message: send each patient's by itself"
            : "there is one \(name) in a message of this event: send each by itself")
      }
      if let first = self.after[name], !seen.contains(first) {
        throw refusal("it stands before the \(first) to which it would belong")
      }
      if Self.personal.contains(name), let earlier = self.body.intersection(seen).min() {
        throw refusal("it stands after \(earlier): of whom that is would be a guess")
      }
      if let belongs = self.under[name], head != belongs {
        throw refusal("it stands after \(head ?? "nothing"), and belongs under \(belongs)")
      }
      if self.heads.contains(name) { head = name }
      seen.insert(name)
    }
  }
}

extension Message {
  /// The parts of a message that has several patients, each with what stands before the first.
  var patients: [Message] {
    let starts = self.segments.indices.filter { self.segments[$0].name == "PID" }
    guard let first = starts.first, starts.count > 1 else { return [self] }
    let ends = starts.dropFirst() + [self.segments.count]
    return zip(starts, ends).map { start, end in
      // What stands before the first patient is the first part's, but MSH is each one's.
      let before = start == first ? self.segments[..<first] : self.segments[..<1]
      return Message(Array(before + self.segments[start..<end]), of: self)
    }
  }
}
