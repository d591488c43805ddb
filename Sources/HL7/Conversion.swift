internal import HealthRecords

extension CanonicalJSON {
  /// An object of the members that are there, in canonical order; nil where none is.
  static func fields(_ members: [(String, CanonicalJSON?)]) -> CanonicalJSON? {
    let present = members.compactMap { name, value in value.map { (name: name, value: $0) } }
    guard !present.isEmpty else { return nil }
    return .object(present.sorted { $0.name.utf16.lexicographicallyPrecedes($1.name.utf16) })
  }

  /// A string; nil where there is none.
  static func text(_ text: String?) -> CanonicalJSON? { text.map { .string($0) } }

  /// An array; nil where it would be empty.
  static func list(_ items: [CanonicalJSON?]) -> CanonicalJSON? {
    let present = items.compactMap { $0 }
    return present.isEmpty ? nil : .array(present)
  }

  /// A concept of one code of HL7's or FHIR's own.
  static func coded(_ system: String, _ code: String, _ display: String? = nil) -> CanonicalJSON {
    .object([
      (
        name: "coding",
        value: .array([
          CanonicalJSON.fields([("system", .string(system)), ("code", .string(code)), ("display", .text(display))])
            ?? .null
        ])
      )
    ])
  }

  /// The same object with members set, each as it is said last; nil takes one away.
  func with(_ changes: [(name: String, value: CanonicalJSON?)]) -> CanonicalJSON {
    guard case .object(let members) = self else { return self }
    var last: [String: CanonicalJSON?] = [:]
    for change in changes { last.updateValue(change.value, forKey: change.name) }
    var whole: [(String, CanonicalJSON?)] = []
    for member in members where last[member.name] == nil { whole.append((member.name, member.value)) }
    for (name, value) in last { whole.append((name, value)) }
    return CanonicalJSON.fields(whole) ?? .object([])
  }
}

/// How one field becomes an element: a row's third column.
enum Conversion: Sendable {
  /// CX: `Identifier`, each repetition one.
  case identifiers
  /// XPN: `HumanName`.
  case names
  /// XAD: `Address`.
  case addresses
  /// XTN: `ContactPoint`, with a use where it names none.
  case telecom(use: String?)
  /// CWE: `CodeableConcept`.
  case concept
  /// CWE: `CodeableConcept`, each repetition one.
  case concepts
  /// DTM: `date`.
  case date
  /// DTM: `dateTime`.
  case dateTime
  /// DTM: `instant`; nothing where there is no time of day.
  case instant
  /// A code by a table; others are refused.
  case code([String: String])
  /// Y or N.
  case truth
  /// A positive number.
  case number
  /// CWE: `Patient.communication`.
  case language
  /// XCN: `Reference` by an identifier and a name, each repetition one.
  case people
  /// Text as it is.
  case text

  /// Whether its element is a list.
  var isList: Bool {
    switch self {
    case .identifiers, .names, .addresses, .telecom, .concepts, .language, .people: true
    case .concept, .date, .dateTime, .instant, .code, .truth, .number, .text: false
    }
  }

  /// What a field holds; empty where it holds nothing.
  func values(_ segment: Segment, _ field: Int, _ source: MessageSource) throws(HL7Fault) -> [CanonicalJSON] {
    let repetitions = segment.repetitions(field)
    switch self {
    case .identifiers: return repetitions.compactMap { $0.identifier(source) }
    case .names: return repetitions.compactMap { $0.humanName }
    case .addresses: return repetitions.compactMap { $0.address }
    case .telecom(let use): return repetitions.compactMap { $0.contactPoint(use) }
    case .concepts: return repetitions.compactMap { $0.concept(source) }
    case .language:
      return repetitions.compactMap { one in one.concept(source).flatMap { CanonicalJSON.fields([("language", $0)]) } }
    case .people: return repetitions.compactMap { $0.person(source) }
    case .concept, .date, .dateTime, .instant, .code, .truth, .number, .text:
      guard let first = repetitions.first else { return [] }
      guard repetitions.count == 1 else {
        throw segment.fault(.dataType, field, "it is there \(repetitions.count) times, and can be there once")
      }
      return [try self.value(first, segment, field, source)].compactMap { $0 }
    }
  }

  private func value(
    _ one: Repetition, _ segment: Segment, _ field: Int, _ source: MessageSource
  ) throws(HL7Fault) -> CanonicalJSON? {
    guard let text = one.value(1) else {
      if case .concept = self { return one.concept(source) }
      return nil
    }
    func time() throws(HL7Fault) -> HL7Time {
      guard let time = HL7Time(text) else {
        throw segment.fault(.dataType, field, "\"\(text.prefix(40))\" is no time like 20240229130000+0100")
      }
      return time
    }
    switch self {
    case .concept: return one.concept(source)
    case .date: return .string(try time().date)
    case .dateTime: return .string(try time().dateTime(source.zone))
    case .instant: return .text(try time().instant(source.zone))
    case .code(let table):
      guard let code = table[text] else {
        let known = table.keys.sorted().joined(separator: ", ")
        throw segment.fault(.tableValue, field, "\"\(text.prefix(40))\" is none of \(known)")
      }
      return .string(code)
    case .truth:
      guard text == "Y" || text == "N" else {
        throw segment.fault(.tableValue, field, "\"\(text.prefix(40))\" is neither Y nor N")
      }
      return .bool(text == "Y")
    case .number:
      guard let number = Int32(text), number > 0 else {
        throw segment.fault(.dataType, field, "\"\(text.prefix(40))\" is no positive number")
      }
      return .number("\(number)")
    case .text: return .text(one.all(1))
    case .identifiers, .names, .addresses, .telecom, .concepts, .language, .people: return nil
    }
  }
}

/// HL7's data types as FHIR's.
extension Repetition {
  /// CX or EI: the number, and by which authority.
  func key(_ source: MessageSource) -> (system: String, value: String)? {
    guard let value = self.value(1) else { return nil }
    return (source.system(namespace: self.value(4, 1), universal: self.value(4, 2), type: self.value(4, 3)), value)
  }

  /// EI: number, namespace, universal id, type of universal id.
  func entityKey(_ source: MessageSource) -> (system: String, value: String)? {
    guard let value = self.value(1) else { return nil }
    return (source.system(namespace: self.value(2), universal: self.value(3), type: self.value(4)), value)
  }

  func identifier(_ source: MessageSource) -> CanonicalJSON? {
    guard let key = self.key(source) else { return nil }
    return CanonicalJSON.fields([
      ("system", .string(key.system)), ("value", .string(key.value)),
      ("type", self.value(5).map { .coded(CodeTables.v2("0203"), $0) }),
      ("period", Self.period(self.value(7), self.value(8))),
    ])
  }

  /// A period of days; nil where neither is a date.
  private static func period(_ start: String?, _ end: String?) -> CanonicalJSON? {
    CanonicalJSON.fields([
      ("start", .text(start.flatMap { HL7Time($0)?.date })), ("end", .text(end.flatMap { HL7Time($0)?.date })),
    ])
  }

  var humanName: CanonicalJSON? {
    let more = (self.all(3) ?? "").split(separator: " ").map { String($0) }
    let given = [self.all(2)].compactMap { $0 } + more
    guard self.value(1) != nil || !given.isEmpty else { return nil }
    return CanonicalJSON.fields([
      ("use", .text(self.value(7).flatMap { CodeTables.nameUse[$0] })), ("family", .text(self.value(1))),
      ("given", .list(given.map { .text($0) })), ("suffix", .list([.text(self.all(4)), .text(self.all(6))])),
      ("prefix", .list([.text(self.all(5))])), ("period", Self.period(self.value(12), self.value(13))),
    ])
  }

  var address: CanonicalJSON? {
    CanonicalJSON.fields([
      ("line", .list([.text(self.value(1)), .text(self.all(2))])), ("city", .text(self.all(3))),
      ("state", .text(self.all(4))), ("postalCode", .text(self.all(5))), ("country", .text(self.value(6))),
      ("use", .text(self.value(7).flatMap { CodeTables.addressUse[$0] })), ("district", .text(self.value(9))),
    ])
  }

  func contactPoint(_ use: String?) -> CanonicalJSON? {
    let system = self.value(3).flatMap { CodeTables.telecomSystem[$0.uppercased()] }
    let parts = [self.value(5).map { "+\($0)" }, self.value(6), self.value(7)].compactMap { $0 }
    let number = self.value(12) ?? (parts.isEmpty ? self.value(1) : parts.joined(separator: " "))
    let mail = system == "email" ? self.value(4) : nil
    guard let value = mail ?? number ?? self.value(4) else { return nil }
    let extended = mail == nil ? self.value(8).map { " ext. \($0)" } ?? "" : ""
    let isMobile = self.value(3) == "CP"
    return CanonicalJSON.fields([
      ("system", .string(system ?? (number == nil ? "email" : "phone"))), ("value", .string(value + extended)),
      ("use", .text(isMobile ? "mobile" : self.value(2).flatMap { CodeTables.telecomUse[$0] } ?? use)),
    ])
  }

  /// CWE or CE: the code, the alternate code, and the text.
  func concept(_ source: MessageSource) -> CanonicalJSON? {
    CanonicalJSON.fields([
      ("coding", .list([self.coding(1, source), self.coding(4, source)])),
      ("text", .text(self.all(9) ?? (self.value(1) == nil ? self.all(2) : nil))),
    ])
  }

  private func coding(_ start: Int, _ source: MessageSource) -> CanonicalJSON? {
    // A code has no spaces but between words.
    guard let code = self.all(start) else { return nil }
    let word = code.split(whereSeparator: { $0.isWhitespace }).joined(separator: " ")
    return CanonicalJSON.fields([
      ("code", .string(word)), ("display", .text(self.all(start + 1))),
      ("system", .string(source.codeSystem(self.value(start + 2) ?? "L"))),
    ])
  }

  /// XCN: who, by a number and a name.
  func person(_ source: MessageSource) -> CanonicalJSON? {
    let name = [self.value(6), self.value(3), self.value(4), self.value(2), self.value(5)].compactMap { $0 }
    let number = self.value(1).flatMap { value in
      CanonicalJSON.fields([
        (
          "system",
          .string(source.system(namespace: self.value(9, 1), universal: self.value(9, 2), type: self.value(9, 3)))
        ), ("value", .string(value)),
      ])
    }
    guard number != nil || !name.isEmpty else { return nil }
    return CanonicalJSON.fields([
      ("type", .string("Practitioner")), ("identifier", number),
      ("display", .text(name.isEmpty ? nil : name.joined(separator: " "))),
    ])
  }

  /// PL: a place, as it is said.
  var place: CanonicalJSON? {
    let parts = [1, 2, 3, 4].compactMap { self.value($0) }
    return parts.isEmpty
      ? nil
      : CanonicalJSON.fields([("type", .string("Location")), ("display", .string(parts.joined(separator: ", ")))])
  }
}
