internal import HealthRecords

/// Results (HL7 v2.5.1, chapter 7).
extension Reading {
  static let reportRows = [
    Row(4, "code", .concept), Row(7, "effectiveDateTime", .dateTime), Row(22, "issued", .instant),
    Row(25, "status", .code(CodeTables.reportStatus)),
  ]
  static let observationRows = [
    Row(3, "code", .concept), Row(8, "interpretation", .concepts),
    Row(11, "status", .code(CodeTables.observationStatus)),
    Row(14, "effectiveDateTime", .dateTime), Row(16, "performer", .people), Row(17, "method", .concept),
    Row(19, "issued", .instant), Row(20, "bodySite", .concept),
  ]
  private static let category = CodeTables.v2("0074")

  /// A report for each OBR, an observation for each OBX, with the notes after it.
  mutating func takeResults() throws(HL7Fault) {
    let patient = try self.takePatient(isOnlyNamed: true)
    let orders = self.message.segments.enumerated().filter { $0.element.name == "OBR" }
    guard !orders.isEmpty else { throw HL7Fault(.segmentSequence, "OBR", "there is no OBR") }
    self.main = self.drafts.count
    for (number, order) in orders.enumerated() {
      let end = number + 1 < orders.count ? orders[number + 1].offset : self.message.segments.count
      let inside = self.message.segments[(order.offset + 1)..<end].filter { $0.name != "ORC" }
      let control = self.message.segments[..<order.offset].last { ["OBR", "ORC"].contains($0.name) }
      try self.takeReport(order.element, inside, under: control?.name == "ORC" ? control : nil, of: patient)
    }
  }

  private mutating func takeReport(
    _ order: Segment, _ segments: [Segment], under control: Segment?, of patient: ResourceKey
  ) throws(HL7Fault) {
    // The numbers of the two sides of an order are two systems.
    func own(_ field: Int) -> (system: String, value: String)? {
      order.first(field)?.entityKey(self.source).map { key in
        let isOwn = key.system == self.source.own("numbers")
        return (isOwn ? self.source.own(field == 3 ? "filler" : "placer") : key.system, key.value)
      }
    }
    guard let number = own(3) ?? own(2) else {
      throw order.fault(.requiredField, 3, "neither it nor OBR-2 says which order it is")
    }
    // Laboratories have one number for several panels: OBR-4 tells them apart.
    let panel = order.first(4).flatMap { one in (one.value(1) ?? one.value(2)).map { "\($0)|\(one.value(3) ?? "")" } }
    let key = ResourceKey(
      "DiagnosticReport", (self.source.own("report"), "\(number.system)|\(number.value)|\(panel ?? "")"))
    var draft = Draft(key)
    try draft.apply(Self.reportRows, to: order, self.source)
    guard draft.elements.contains(where: { $0.name == "code" }) else {
      throw order.fault(.requiredField, 4, "it does not say what was examined")
    }
    draft.set(
      "identifier",
      .list(
        [own(3), own(2)].compactMap { $0 }.map { one in
          .object([(name: "system", value: .string(one.system)), (name: "value", value: .string(one.value))])
        }))
    draft.defaults.append(("status", .string("unknown")))
    draft.set("category", .list([order.value(24).map { .coded(Self.category, $0) }]))
    var placed: Set = [2, 3, 4, 7, 22, 24, 25]
    let until = try Conversion.dateTime.values(order, 8, self.source).first
    if let until, let from = draft.elements.first(where: { $0.name == "effectiveDateTime" })?.value {
      draft.elements.removeAll { $0.name == "effectiveDateTime" }
      draft.elements.append(("effectivePeriod", CanonicalJSON.fields([("start", from), ("end", until)])))
      draft.elements.append(("effectiveDateTime", nil))
      placed.insert(8)
    } else if draft.elements.contains(where: { $0.name == "effectiveDateTime" }) {
      draft.elements.append(("effectivePeriod", nil))
    }
    draft.references = [("subject", patient)]
    draft.security = try control.map { one throws(HL7Fault) in try Confidentiality.labels(one, 28) } ?? []
    try self.takeFiles(segments, into: &draft)
    let place = self.drafts.count
    self.drafts.append(draft)
    (draft.results, draft.series) = try self.takeObservations(order, segments, of: patient, in: key)
    for observation in self.drafts.indices where observation > place {
      self.drafts[observation].security += draft.security
    }
    self.settle(order, placed, in: &draft)
    // What stands within a report is that one's, also where it is kept as it came.
    for segment in [control].compactMap({ $0 }) + segments { self.keep(segment, in: &draft) }
    self.drafts[place] = draft
  }

  private static func isFile(_ segment: Segment) -> Bool { segment.name == "OBX" && segment.value(2) == "ED" }

  /// The report as a file, where the laboratory sends one.
  private mutating func takeFiles(_ segments: [Segment], into draft: inout Draft) throws(HL7Fault) {
    var files: [CanonicalJSON?] = []
    for segment in segments where Self.isFile(segment) {
      for part in segment.repetitions(5) { files.append(try Self.attachment(part, segment)) }
      self.settle(segment, [2, 3, 5, 11], in: &draft)
    }
    draft.set("presentedForm", .list(files))
  }

  /// The observations of a report, in their order.
  private mutating func takeObservations(
    _ order: Segment, _ segments: [Segment], of patient: ResourceKey, in report: ResourceKey
  ) throws(HL7Fault) -> ([ResourceKey], series: [(keys: [ResourceKey], next: ResourceKey)]) {
    var keys: [ResourceKey] = []
    var series: [String: [ResourceKey]] = [:]
    func key(_ name: String, _ count: Int) -> ResourceKey {
      let called = count > 1 ? "\(name)#\(count)" : name
      return ResourceKey("Observation", (self.source.own("observation"), "\(report.value)|\(called)"))
    }
    var place = 0
    while place < segments.count {
      let first = segments[place]
      guard first.name == "OBX", !Self.isFile(first) else {
        place += 1
        continue
      }
      // Lines of one text come as one OBX each.
      var lines = [first]
      while place + lines.count < segments.count, Self.goesOn(first, segments[place + lines.count]) {
        lines.append(segments[place + lines.count])
      }
      let notes = segments[(place + lines.count)...].prefix { $0.name == "NTE" }
      place += lines.count + notes.count
      let name = try Self.name(of: first)
      let own = key(name, (series[name]?.count ?? 0) + 1)
      series[name, default: []].append(own)
      try self.takeObservation(lines, Array(notes), own, order, of: patient)
      keys.append(own)
    }
    return (keys, series.sorted { $0.key < $1.key }.map { ($0.value, key($0.key, $0.value.count + 1)) })
  }

  private static func goesOn(_ first: Segment, _ next: Segment) -> Bool {
    next.name == "OBX" && ["FT", "TX"].contains(first.value(2)) && next.value(2) == first.value(2)
      && Array(next.raw(3)) == Array(first.raw(3)) && Array(next.raw(4)) == Array(first.raw(4))
      && next.value(11) == first.value(11)
  }

  /// What an observation is called within its report: code and sub-id, so that a correction meets it again.
  private static func name(of segment: Segment) throws(HL7Fault) -> String {
    guard let code = segment.first(3), let text = code.value(1) ?? code.value(2) else {
      throw segment.fault(.requiredField, 3, "it does not say what was observed")
    }
    return [text, code.value(3) ?? "", segment.value(4) ?? ""].joined(separator: "|")
  }

  private mutating func takeObservation(
    _ lines: [Segment], _ notes: [Segment], _ key: ResourceKey, _ order: Segment, of patient: ResourceKey
  ) throws(HL7Fault) {
    let segment = lines[0]
    var draft = Draft(key)
    // ⚑ An OBX is whole: what was said of another value is not said of this one.
    let parts = ["interpretation", "referenceRange", "note", "method", "bodySite", "performer", "issued"]
    draft.put(parts.map { (name: $0, value: nil) })
    draft.spoken.insert("NTE")
    try draft.apply(Self.observationRows, to: segment, self.source)
    draft.defaults.append(("status", .string("unknown")))
    draft.references = [("subject", patient)]
    if !draft.elements.contains(where: { $0.name == "effectiveDateTime" }) {
      draft.set("effectiveDateTime", try Conversion.dateTime.values(order, 7, self.source).first)
    }
    draft.set(
      "referenceRange", .list([segment.first(7)?.text.flatMap { CanonicalJSON.fields([("text", .string($0))]) }]))
    // What had another form before has it no longer.
    draft.put(ResultValue.forms.map { (name: $0, value: nil) })
    for (name, value) in try ResultValue(lines, self.source).elements {
      draft.elements.removeAll { $0.name == name }
      draft.elements.append((name, value))
    }
    let said = notes.flatMap { note in note.repetitions(3).compactMap { $0.text } }
    draft.set(
      "note", .list([said.isEmpty ? nil : CanonicalJSON.fields([("text", .string(said.joined(separator: "\n")))])]))
    for line in lines { self.settle(line, [2, 3, 4, 5, 6, 7, 8, 11, 14, 16, 17, 19, 20], in: &draft) }
    for note in notes { self.settle(note, [3], in: &draft) }
    self.drafts.append(draft)
  }
}

/// What OBX-5 says, by the type that OBX-2 names.
struct ResultValue {
  /// The elements that a value can be in.
  static let forms = [
    "valueQuantity", "valueString", "valueCodeableConcept", "valueDateTime", "valueTime", "valueRange", "valueRatio",
    "component", "dataAbsentReason",
  ]
  let elements: [(name: String, value: CanonicalJSON)]

  init(_ lines: [Segment], _ source: MessageSource) throws(HL7Fault) {
    let segment = lines[0]
    let repetitions = segment.repetitions(5)
    let type = segment.value(2) ?? ""
    guard !repetitions.isEmpty else {
      self.elements = []
      return
    }
    guard !type.isEmpty else { throw segment.fault(.requiredField, 2, "it does not say of what type OBX-5 is") }
    if ["FT", "ST", "TX"].contains(type) {
      let texts = lines.flatMap { line in line.repetitions(5).compactMap { $0.text } }
      self.elements = texts.isEmpty ? [] : [("valueString", .string(texts.joined(separator: "\n")))]
      return
    }
    var values: [(name: String, value: CanonicalJSON)] = []
    for one in repetitions {
      if let value = try Self.value(one, type, segment, source) { values.append(value) }
    }
    guard values.count > 1 else {
      self.elements = values
      return
    }
    let code = segment.first(3)?.concept(source)
    self.elements = [
      ("component", .array(values.compactMap { CanonicalJSON.fields([("code", code), ($0.name, $0.value)]) }))
    ]
  }

  private static func value(
    _ one: Repetition, _ type: String, _ segment: Segment, _ source: MessageSource
  ) throws(HL7Fault) -> (name: String, value: CanonicalJSON)? {
    func wrong(_ what: String) -> HL7Fault {
      segment.fault(.dataType, 5, "\"\((one.text ?? "").prefix(40))\" is no \(what) (OBX-2 says \(type))")
    }
    switch type {
    case "NM":
      guard let text = one.text else { return nil }
      guard let number = Self.decimal(text) else { throw wrong("number") }
      return ("valueQuantity", Self.quantity(number, nil, segment, source))
    case "SN": return try Self.structured(one, segment, source, wrong)
    case "CE", "CF", "CNE", "CWE", "IS", "ID": return one.concept(source).map { ("valueCodeableConcept", $0) }
    case "DT", "DTM", "TS":
      guard let text = one.value(1) else { return nil }
      guard let time = HL7Time(text) else { throw wrong("time") }
      return ("valueDateTime", .string(time.dateTime(source.zone)))
    case "TM":
      guard let text = one.value(1) else { return nil }
      guard let time = HL7Time.time(text) else { throw wrong("time of day") }
      return ("valueTime", .string(time))
    // Documents, names and addresses are kept as text; the segment tells their type.
    default: return one.text.map { ("valueString", .string($0)) }
    }
  }

  /// SN: a comparator and a number, a range, or a ratio.
  private static func structured(
    _ one: Repetition, _ segment: Segment, _ source: MessageSource, _ wrong: (String) -> HL7Fault
  ) throws(HL7Fault) -> (name: String, value: CanonicalJSON)? {
    func number(_ component: Int) throws(HL7Fault) -> String? {
      guard let text = one.value(component) else { return nil }
      guard let number = Self.decimal(text) else { throw wrong("number") }
      return number
    }
    let (comparator, first, second) = (one.value(1), try number(2), try number(4))
    guard let first else {
      guard comparator == nil, second == nil else { throw wrong("number") }
      return nil
    }
    guard let second else {
      guard one.value(3) == nil else { throw wrong("number") }
      switch comparator {
      case nil, "=": return ("valueQuantity", Self.quantity(first, nil, segment, source))
      case "<"?, ">"?, "<="?, ">="?: return ("valueQuantity", Self.quantity(first, comparator, segment, source))
      default: throw wrong("number with =, <, >, <= or >=")
      }
    }
    guard comparator == nil || comparator == "=" else { throw wrong("range or ratio") }
    switch one.value(3) {
    case "-":
      return (
        "valueRange",
        .object([
          (name: "high", value: Self.quantity(second, nil, segment, source)),
          (name: "low", value: Self.quantity(first, nil, segment, source)),
        ])
      )
    case ":", "/":
      return (
        "valueRatio",
        .object([
          (name: "denominator", value: .object([(name: "value", value: .number(second))])),
          (name: "numerator", value: .object([(name: "value", value: .number(first))])),
        ])
      )
    default: throw wrong("range or ratio")
    }
  }

  private static func quantity(
    _ number: String, _ comparator: String?, _ segment: Segment, _ source: MessageSource
  ) -> CanonicalJSON {
    let unit = segment.first(6)
    let system = unit?.value(3).map { source.codeSystem($0) }
    return CanonicalJSON.fields([
      ("value", .number(number)), ("comparator", .text(comparator)),
      ("unit", .text(unit?.value(2) ?? unit?.value(1))), ("system", system == nil ? nil : .text(system)),
      ("code", system == nil ? nil : .text(unit?.value(1)?.filter { !$0.isWhitespace })),
    ]) ?? .null
  }

  /// A number as JSON writes it; nil where it is none. Its zeros stay.
  static func decimal(_ text: String) -> String? {
    let sign = text.first == "-" ? "-" : ""
    let body = text.first == "-" || text.first == "+" ? text.dropFirst() : Substring(text)
    let halves = body.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard body.utf8.count <= 40, let whole = halves.first,
      halves.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } })
    else { return nil }
    let fraction = halves.count == 2 ? halves[1] : ""
    guard !whole.isEmpty || !fraction.isEmpty else { return nil }
    let digits = whole.drop { $0 == "0" }
    return "\(sign)\(digits.isEmpty ? "0" : String(digits))\(fraction.isEmpty ? "" : ".\(fraction)")"
  }
}
