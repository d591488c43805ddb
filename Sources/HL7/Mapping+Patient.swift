internal import HealthRecords

/// Patients and visits (HL7 v2.5.1, chapter 3).
extension Reading {
  static let patientRows = [
    Row(3, "identifier", .identifiers), Row(5, "name", .names), Row(7, "birthDate", .date),
    Row(8, "gender", .code(CodeTables.gender)), Row(11, "address", .addresses),
    Row(13, "telecom", .telecom(use: "home")), Row(14, "telecom", .telecom(use: "work")),
    Row(15, "communication", .language), Row(16, "maritalStatus", .concept),
  ]
  static let visitRows = [Row(10, "serviceType", .concept), Row(18, "type", .concepts)]
  /// Who takes part in a visit, by field (HL7 v3, ParticipationType).
  static let participants = [
    (field: 7, code: "ATND"), (field: 8, code: "REF"), (field: 9, code: "CON"), (field: 17, code: "ADM"),
  ]

  /// The number by which a patient is known: that of type MR or PI, of an authority that the hospital named where there
  /// are several; or the only one. ⚑ Where several are left, which is meant is not guessed.
  func patientKey(_ segment: Segment, field: Int) throws(HL7Fault) -> ResourceKey {
    let numbers = segment.repetitions(field).filter { $0.value(1) != nil }
    guard !numbers.isEmpty else { throw segment.fault(.requiredField, field, "it names nobody") }
    let typed = numbers.filter { ["MR", "PI"].contains($0.value(5)) }
    let known = typed.filter { self.source.knows($0.value(4, 1), $0.value(4, 2)) }
    let candidates = numbers.count == 1 ? numbers : known.isEmpty ? typed : known
    let keys = Set(candidates.compactMap { $0.key(self.source).map { ResourceKey("Patient", $0) } })
    guard keys.count == 1, let key = keys.first else {
      throw segment.fault(
        .unknownKey, field,
        keys.isEmpty
          ? "of \(numbers.count) numbers none is of type MR or PI: say which is the hospital's"
          : "\(keys.count) numbers could be the hospital's: send one of type MR or PI, or name its authority in "
            + "hl7_systems")
    }
    return key
  }

  /// The patient whom PID names; one who is there `isOnlyNamed` stays as is.
  @discardableResult
  mutating func takePatient(isOnlyNamed: Bool = false) throws(HL7Fault) -> ResourceKey {
    let segment = try self.required("PID")
    var draft = Draft(try self.patientKey(segment, field: 3))
    draft.isOnlyMade = isOnlyNamed
    let numbers = segment.repetitions(3).compactMap { $0.key(self.source).map { ResourceKey("Patient", $0) } }
    draft.numbers = Array(Set(numbers).subtracting([draft.key]))
    try draft.apply(Self.patientRows, to: segment, self.source)
    var mapped = Set(Self.patientRows.map(\.field)).union([24, 25, 29, 30])
    // Each is one element in one of two forms.
    if let order = try Conversion.number.values(segment, 25, self.source).first {
      draft.put([("multipleBirthInteger", order), ("multipleBirthBoolean", nil)])
    } else if let isOne = try Conversion.truth.values(segment, 24, self.source).first {
      draft.put([("multipleBirthBoolean", isOne), ("multipleBirthInteger", nil)])
    }
    if let time = try Conversion.dateTime.values(segment, 29, self.source).first {
      draft.put([("deceasedDateTime", time), ("deceasedBoolean", nil)])
    } else if let isDead = try Conversion.truth.values(segment, 30, self.source).first {
      draft.put([("deceasedBoolean", isDead), ("deceasedDateTime", nil)])
    }
    // `""` takes away; a death that is taken back has no time either.
    if segment.isNull(24) || segment.isNull(25), segment.value(24) == nil, segment.value(25) == nil {
      draft.put([("multipleBirthBoolean", nil), ("multipleBirthInteger", nil)])
    }
    if segment.isNull(30), segment.value(29) != nil {
      throw segment.fault(.conflict, 30, "it takes a death away, of which PID-29 says the time")
    }
    if segment.isNull(29), segment.value(30) == nil { draft.put([("deceasedDateTime", nil)]) }
    if segment.isNull(30) { draft.put([("deceasedBoolean", nil), ("deceasedDateTime", nil)]) }
    // Which of the old forms of the number it was is not said twice.
    if segment.value(2) == draft.key.value { mapped.insert(2) }
    self.settle(segment, mapped, in: &draft)
    try self.takeContacts(into: &draft)
    self.drafts.append(draft)
    return draft.key
  }

  private mutating func takeContacts(into draft: inout Draft) throws(HL7Fault) {
    var contacts: [CanonicalJSON?] = []
    for segment in self.segments("NK1") {
      let telecom = [5, 6].flatMap { field in
        segment.repetitions(field).map { $0.contactPoint(field == 5 ? "home" : "work") }
      }
      contacts.append(
        CanonicalJSON.fields([
          ("name", segment.first(2)?.humanName), ("address", segment.first(4)?.address),
          ("relationship", .list(segment.repetitions(3).map { $0.concept(self.source) })),
          ("telecom", .list(telecom)),
          ("gender", try Conversion.code(CodeTables.gender).values(segment, 15, self.source).first),
        ]))
      let isOne = [2, 4].allSatisfy { segment.repetitions($0).count < 2 }
      self.settle(segment, isOne ? [2, 3, 4, 5, 6, 15] : [], in: &draft)
    }
    if !contacts.isEmpty { draft.put([("contact", .list(contacts))]) }
  }

  /// The patient and the visit; one of no `status` keeps what it has.
  mutating func takeVisit(_ status: String?, isRequired: Bool) throws(HL7Fault) {
    let patient = try self.takePatient()
    guard let segment = self.message.first("PV1") else {
      guard isRequired else { return }
      throw HL7Fault(.segmentSequence, "PV1", "there is no PV1")
    }
    guard let key = try self.visitKey(segment, isRequired: isRequired) else { return }
    var draft = Draft(key)
    try draft.apply(Self.visitRows, to: segment, self.source)
    draft.references = [("subject", patient)]
    let isOver = segment.value(45) != nil
    if let status { draft.set("status", .string(status)) }
    draft.defaults.append(("status", .string(isOver ? "finished" : "in-progress")))
    draft.set("class", segment.value(2).map { Self.visitClass($0) })
    draft.defaults.append(("class", Self.visitClass("U")))
    try self.takeVisitParts(segment, into: &draft)
    let mapped: Set = [2, 3, 5, 7, 8, 9, 10, 14, 17, 18, 19, 36, 44, 45]
    self.settle(segment, mapped, in: &draft)
    if let more = self.message.first("PV2") {
      draft.set("reasonCode", .list([more.first(3)?.concept(self.source)]))
      if more.isNull(3) { draft.put([("reasonCode", nil)]) }
      self.settle(more, [3], in: &draft)
    }
    self.main = self.drafts.count
    self.drafts.append(draft)
  }

  private func visitKey(_ segment: Segment, isRequired: Bool) throws(HL7Fault) -> ResourceKey? {
    if let key = segment.first(19)?.key(self.source) { return ResourceKey("Encounter", key) }
    // Without a number of the visit, the account's is one for each visit (PID-18).
    if let key = self.message.first("PID")?.first(18)?.key(self.source) { return ResourceKey("Encounter", key) }
    guard isRequired else { return nil }
    throw segment.fault(.requiredField, 19, "neither it nor PID-18 says which visit it is")
  }

  static func visitClass(_ code: String) -> CanonicalJSON {
    if let (code, display) = CodeTables.encounterClass[code] {
      return .object([
        (name: "code", value: .string(code)), (name: "display", value: .string(display)),
        (name: "system", value: .string("http://terminology.hl7.org/CodeSystem/v3-ActCode")),
      ])
    }
    return .object([(name: "code", value: .string(code)), (name: "system", value: .string(CodeTables.v2("0004")))])
  }

  private func takeVisitParts(_ segment: Segment, into draft: inout Draft) throws(HL7Fault) {
    draft.set(
      "location",
      .list(segment.repetitions(3).map { one in one.place.flatMap { CanonicalJSON.fields([("location", $0)]) } }))
    if segment.isNull(3) { draft.put([("location", nil)]) }
    var people: [CanonicalJSON?] = []
    for (field, code) in Self.participants {
      people += segment.repetitions(field).map { one in
        one.person(self.source).flatMap { person in
          CanonicalJSON.fields([
            ("individual", person),
            ("type", .array([.coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", code)])),
          ])
        }
      }
    }
    draft.people = people.compactMap { $0 }
    // Who takes part as something that the message does not know stays.
    draft.roles = Set(Self.participants.filter { !segment.raw($0.field).isEmpty }.map(\.code))
    draft.set(
      "hospitalization",
      CanonicalJSON.fields([
        ("preAdmissionIdentifier", segment.first(5)?.identifier(self.source)),
        ("admitSource", segment.first(14)?.concept(self.source)),
        ("dischargeDisposition", segment.first(36)?.concept(self.source)),
      ]))
    let start = try Conversion.dateTime.values(segment, 44, self.source).first
    let end = try Conversion.dateTime.values(segment, 45, self.source).first
    // A discharge that is taken back has no end.
    if segment.isNull(45) { draft.gone.append(("period", "end")) }
    if segment.isNull(44) { draft.gone.append(("period", "start")) }
    for (field, name) in [(5, "preAdmissionIdentifier"), (14, "admitSource"), (36, "dischargeDisposition")]
    where segment.isNull(field) { draft.gone.append(("hospitalization", name)) }
    draft.set("period", CanonicalJSON.fields([("start", start), ("end", end)]))
  }

  /// Two numbers of one patient: PID's stays, and MRG's leads there.
  mutating func takeMerge() throws(HL7Fault) {
    let segment = try self.required("MRG")
    let other = try self.patientKey(segment, field: 1)
    let stays = try self.takePatient()
    guard other != stays else {
      throw segment.fault(.unknownKey, 1, "it is the number that stays, too (PID-3)")
    }
    guard segment.repetitions(1).count == 1 else {
      throw segment.fault(.unknownKey, 1, "one number in a merge: send each by itself")
    }
    var old = Draft(other)
    old.elements = [
      ("active", .bool(false)),
      ("identifier", .array([other.identifier.with([(name: "use", value: .string("old"))])])),
    ]
    old.isMergedAway = true
    old.links = [(type: "replaced-by", to: stays)]
    self.drafts[self.main].links = [(type: "replaces", to: other)]
    self.settle(segment, [1], in: &old)
    self.drafts.append(old)
  }
}
