internal import Foundation
internal import HealthRecords

/// Vaccinations, documents and appointments (HL7 v2.5.1, chapters 4, 9 and 10).
extension Reading {
  static let vaccinationRows = [
    Row(3, "occurrenceDateTime", .dateTime), Row(5, "vaccineCode", .concept), Row(15, "lotNumber", .text),
    Row(16, "expirationDate", .date), Row(18, "statusReason", .concept),
    Row(20, "status", .code(CodeTables.vaccination)),
  ]
  static let documentRows = [
    Row(2, "type", .concept), Row(4, "date", .instant), Row(9, "author", .people),
    Row(17, "docStatus", .code(CodeTables.documentStatus)),
  ]
  static let appointmentRows = [Row(7, "reasonCode", .concepts), Row(8, "appointmentType", .concept)]

  /// A vaccination for each RXA, by the order's number before it.
  mutating func takeVaccinations() throws(HL7Fault) {
    let patient = try self.takePatient(isOnlyNamed: true)
    self.main = self.drafts.count
    var order: Segment?
    for (place, segment) in self.message.segments.enumerated() {
      if segment.name == "ORC" { order = segment }
      guard segment.name == "RXA" else { continue }
      guard let order, let number = (order.first(3) ?? order.first(2))?.entityKey(self.source) else {
        throw segment.fault(.requiredField, nil, "no ORC-3 or ORC-2 before it says which vaccination it is")
      }
      let isOwn = number.system == self.source.own("numbers")
      let key = ResourceKey("Immunization", (isOwn ? self.source.own("filler") : number.system, number.value))
      var draft = Draft(key)
      try draft.apply(Self.vaccinationRows, to: segment, self.source)
      guard ["occurrenceDateTime", "vaccineCode"].allSatisfy({ name in draft.elements.contains { $0.name == name } })
      else { throw segment.fault(.requiredField, 5, "it does not say what was given, and when (RXA-3)") }
      draft.references = [("patient", patient)]
      draft.defaults.append(("status", .string("completed")))
      draft.security = try Confidentiality.labels(order, 28)
      // CVX 998: nothing was given.
      if segment.first(5)?.value(1) == "998" { draft.elements = Self.marked(draft.elements, "not-done") }
      if segment.value(20) == "PA" { draft.set("isSubpotent", .bool(true)) }
      guard [nil, "A", "U", "D"].contains(segment.value(21)) else {
        throw segment.fault(.tableValue, 21, "it is none of A, U and D")
      }
      if segment.value(21) == "D" { draft.elements = Self.marked(draft.elements, "entered-in-error") }
      if let text = segment.value(6), text != "999" {
        guard let amount = ResultValue.decimal(text) else {
          throw segment.fault(.dataType, 6, "\"\(text.prefix(40))\" is no number")
        }
        draft.set(
          "doseQuantity",
          CanonicalJSON.fields([
            ("value", .number(amount)), ("unit", .text(segment.first(7)?.value(2) ?? segment.value(7))),
          ]))
      }
      draft.set(
        "manufacturer",
        segment.first(17)?.concept(self.source).flatMap { CanonicalJSON.fields([("display", Self.word($0))]) })
      if place + 1 < self.message.segments.count, self.message.segments[place + 1].name == "RXR" {
        let route = self.message.segments[place + 1]
        draft.set("route", route.first(1)?.concept(self.source))
        draft.set("site", route.first(2)?.concept(self.source))
        self.settle(route, [1, 2], in: &draft)
      }
      for (name, field) in [("doseQuantity", 6), ("manufacturer", 17)] where segment.isNull(field) {
        draft.put([(name, nil)])
      }
      self.settle(segment, [2, 3, 5, 6, 7, 15, 16, 17, 18, 20, 21], in: &draft)
      self.keep(order, in: &draft)
      let next = self.message.segments[(place + 1)...].prefix { $0.name != "ORC" }
      for one in next { self.keep(one, in: &draft) }
      self.drafts.append(draft)
    }
    guard self.main < self.drafts.count else { throw HL7Fault(.segmentSequence, "RXA", "there is no RXA") }
  }

  private static func marked(
    _ elements: [(name: String, value: CanonicalJSON?)], _ status: String
  ) -> [(name: String, value: CanonicalJSON?)] {
    elements.filter { $0.name != "status" } + [("status", .string(status))]
  }

  private static func word(_ concept: CanonicalJSON) -> CanonicalJSON? {
    let coding = concept["coding"]?.items?.first
    return coding?["display"] ?? concept["text"] ?? coding?["code"]
  }

  /// The document of TXA, with what the OBX after it hold.
  mutating func takeDocument(_ status: String) throws(HL7Fault) {
    let patient = try self.takePatient(isOnlyNamed: true)
    let segment = try self.required("TXA")
    guard let number = segment.first(12)?.entityKey(self.source) else {
      throw segment.fault(.requiredField, 12, "it does not say which document it is")
    }
    let isOwn = number.system == self.source.own("numbers")
    let key = ResourceKey("DocumentReference", (isOwn ? self.source.own("document") : number.system, number.value))
    var draft = Draft(key)
    try draft.apply(Self.documentRows, to: segment, self.source)
    draft.set("status", .string(status))
    draft.references = [("subject", patient)]
    draft.security = try Confidentiality.labels(segment, 18)
    for order in self.segments("ORC") { draft.security += try Confidentiality.labels(order, 28) }
    if !draft.security.isEmpty {
      draft.set("securityLabel", .array(draft.security.map { .object([(name: "coding", value: .array([$0]))]) }))
    }
    var contents: [CanonicalJSON?] = []
    var lines: [String] = []
    for one in self.segments("OBX") {
      switch one.value(2) {
      case "FT", "ST", "TX":
        lines += one.repetitions(5).compactMap { $0.text }
        self.settle(one, [2, 3, 5, 11], in: &draft)
      case "ED":
        contents += try one.repetitions(5).map { part throws(HL7Fault) in try Self.attachment(part, one) }
        self.settle(one, [2, 3, 5, 11], in: &draft)
      default: continue
      }
    }
    if !lines.isEmpty {
      let text = Data(lines.joined(separator: "\n").utf8).base64EncodedString()
      contents.insert(
        CanonicalJSON.fields([("contentType", .string("text/plain; charset=utf-8")), ("data", .string(text))]), at: 0)
    }
    let held = contents.compactMap { $0 }
    // A notice without the document says that there is one.
    let none = CanonicalJSON.object([(name: "title", value: .string(segment.first(16)?.text ?? number.value))])
    draft.defaults.append(("content", .array([.object([(name: "attachment", value: none)])])))
    draft.set("content", .list(held.map { .object([(name: "attachment", value: $0)]) }))
    self.settle(segment, [2, 4, 9, 12, 17, 18], in: &draft)
    self.main = self.drafts.count
    self.drafts.append(draft)
  }

  /// ED: a file, in base64 or as text.
  static func attachment(_ part: Repetition, _ segment: Segment) throws(HL7Fault) -> CanonicalJSON? {
    guard let data = part.all(5) else { return nil }
    let coded: String
    switch part.value(4)?.lowercased() {
    case "a": coded = Data(data.utf8).base64EncodedString()
    case "base64":
      coded = data.filter { !$0.isWhitespace }
      guard Data(base64Encoded: coded) != nil else { throw segment.fault(.dataType, 5, "its data are no base64") }
    default: throw segment.fault(.dataType, 5, "encapsulated data are taken as Base64 or A (as they are)")
    }
    let title = segment.first(3).flatMap { $0.value(2) ?? $0.value(1) }
    return CanonicalJSON.fields([
      ("contentType", .string(Self.mediaType(part))), ("data", .string(coded)), ("title", .text(title)),
    ])
  }

  private static func mediaType(_ part: Repetition) -> String {
    let (type, subtype) = (part.value(2)?.lowercased(), part.value(3)?.lowercased())
    // Table 0291 and 0834; some write the whole of it as one.
    let known = ["pdf": "application/pdf", "rtf": "application/rtf", "jpeg": "image/jpeg", "png": "image/png"]
    guard let subtype else { return type.flatMap { $0.contains("/") ? $0 : known[$0] } ?? "application/octet-stream" }
    if subtype.contains("/") { return subtype }
    return known[subtype] ?? "\(type ?? "application")/\(subtype)"
  }

  /// The appointment of SCH; one of no `status` has what SCH-25 says.
  mutating func takeAppointment(_ status: String?) throws(HL7Fault) {
    let patient = try self.takePatient(isOnlyNamed: true)
    let segment = try self.required("SCH")
    guard let number = (segment.first(2) ?? segment.first(1))?.entityKey(self.source) else {
      throw segment.fault(.requiredField, 1, "neither it nor SCH-2 says which appointment it is")
    }
    let isOwn = number.system == self.source.own("numbers")
    let kind = segment.first(2) == nil ? "placer" : "filler"
    let key = ResourceKey("Appointment", (isOwn ? self.source.own(kind) : number.system, number.value))
    var draft = Draft(key)
    try draft.apply(Self.appointmentRows, to: segment, self.source)
    let said = segment.value(25).flatMap { CodeTables.appointment[$0.uppercased()] }
    if let word = segment.value(25), said == nil {
      let known = CodeTables.appointment.keys.sorted().joined(separator: ", ")
      throw segment.fault(.tableValue, 25, "\"\(word.prefix(40))\" is none of \(known)")
    }
    if let status = status ?? said { draft.set("status", .string(status)) }
    draft.defaults.append(("status", .string("booked")))
    // TQ of SCH-11: start and end are its fourth and fifth component.
    let timing = segment.first(11)
    for (name, component) in [("start", 4), ("end", 5)] {
      guard let text = timing?.value(component) else { continue }
      guard let time = HL7Time(text)?.instant(self.source.zone) else {
        throw segment.fault(.dataType, 11, "\"\(text.prefix(40))\" is no time of day like 20240229130000+0100")
      }
      draft.set(name, .string(time))
    }
    if segment.isNull(11) { draft.put([("start", nil), ("end", nil)]) }
    draft.participants = [patient]
    for one in self.segments("AIP") {
      draft.others += one.repetitions(3).compactMap { $0.person(self.source) }
      self.settle(one, [3], in: &draft)
    }
    for one in self.segments("AIL") {
      draft.others += one.repetitions(3).compactMap { $0.place }
      self.settle(one, [3], in: &draft)
    }
    self.settle(segment, said == nil ? [1, 2, 7, 8] : [1, 2, 7, 8, 25], in: &draft)
    self.main = self.drafts.count
    self.drafts.append(draft)
  }
}
