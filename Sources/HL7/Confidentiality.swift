internal import HealthRecords

/// What a sender says of how confidential something is, as security labels.
///
/// ⚑ A word that is not known is refused: it may mean that hardly anybody is to read it.
///
/// Source: HL7 v2.5.1, tables 0136, 0177, 0272 and 0717; HL7 v2-to-FHIR implementation guide.
enum Confidentiality {
  private static let system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
  /// Words for what is as usual.
  private static let usual: Set<String> = ["L", "M", "N", "NO", "U"]
  /// Words for what few are to read; `V` fewer still.
  private static let restricted: Set<String> = [
    "AID", "ALL", "DEM", "DRG", "EMP", "ETH", "HIV", "LOC", "OI", "OO", "PID-17", "PID-7", "PSY", "R", "SMD", "STD",
    "UWM", "V", "VIP", "Y",
  ]

  /// The labels of a field; none where it is empty, or says that nothing is special.
  static func labels(_ segment: Segment, _ field: Int) throws(HL7Fault) -> [CanonicalJSON] {
    var labels: [CanonicalJSON] = []
    for one in segment.repetitions(field) {
      let said = one.value(1) ?? one.value(4) ?? ""
      let word = said.uppercased()
      guard !self.usual.contains(word) else { continue }
      guard self.restricted.contains(word) else {
        throw segment.fault(
          .tableValue, field,
          "\"\(said.prefix(40))\" does not say how confidential it is: R or V is restricted, U or N as usual")
      }
      let label =
        word == "V"
        ? CanonicalJSON.object([(name: "code", value: .string("V")), (name: "system", value: .string(self.system))])
        : Sensitivity.label
      if !labels.contains(label) { labels.append(label) }
    }
    return labels
  }

  /// The label of something that has a code of those that are sensitive.
  static func label(of concepts: [CanonicalJSON]) -> [CanonicalJSON] {
    // One at a time: many are no reason.
    let isSensitive = concepts.contains { Sensitivity.isSensitive(.object([(name: "code", value: $0)])) }
    return isSensitive ? [Sensitivity.label] : []
  }
}

extension Reading {
  /// What is said of the patient, or of the visit: it holds for all that the message says.
  func labels(ofVisit isOfVisit: Bool) throws(HL7Fault) -> [CanonicalJSON] {
    var labels: [CanonicalJSON] = []
    for segment in self.message.segments {
      switch segment.name {
      case "PD1": labels += try Confidentiality.labels(segment, 12)
      case "PV1" where isOfVisit: labels += try Confidentiality.labels(segment, 16)
      case "ARV":
        // ⚑ A restriction that ends is lifted by a person: what was written under it stays labelled.
        guard !["D", "X"].contains(segment.value(2)) else {
          throw segment.fault(.tableValue, 2, "no message lifts a restriction: take the labels away by FHIR")
        }
        labels += try Confidentiality.labels(segment, 3)
      default: continue
      }
    }
    return labels
  }

  /// Labels the drafts by what the message says of them all, and by the codes that each has.
  func labelled(_ drafts: [Draft]) throws(HL7Fault) -> [Draft] {
    let (persons, all) = (try self.labels(ofVisit: false), try self.labels(ofVisit: true))
    return drafts.map { draft in
      var labelled = draft
      labelled.security += draft.key.type == "Patient" ? persons : all
      let said = draft.elements.filter { Self.codedElements.contains($0.name) }.compactMap(\.value)
      let kept = draft.kept.flatMap { segment in
        segment.filled.flatMap { field in segment.repetitions(field).compactMap { $0.concept(self.source) } }
      }
      labelled.security += Confidentiality.label(of: said.flatMap { $0.items ?? [$0] } + kept)
      return labelled
    }
  }

  /// Elements with codes that say what somebody has.
  private static let codedElements: Set<String> = ["reasonCode", "serviceType", "type", "valueCodeableConcept"]
}
