import HealthRecords
import Primitives

/// Everything that is kept of a patient (FHIR R4, Patient-operation-everything).
extension FHIRService {
  /// What the operation takes.
  static let everythingParameters = ["_count", "_since", "_type", "end", "start"]

  func everything(of id: String, _ request: FHIRRequest) throws -> FHIRResponse {
    guard try self.current("Patient/\(id)") != nil else {
      throw FHIRFailure(404, "not-found", "there is no Patient/\(id)")
    }
    let parameters = request.query + (try Self.operationParameters(of: request))
    let known = Set(Self.everythingParameters + ["_offset", "_state"] + Presentation.names)
    if let unknown = parameters.first(where: { !known.contains($0.name) })?.name {
      throw FHIRFailure(
        400, "not-supported",
        "$everything has no parameter \(unknown); it has \(Self.everythingParameters.joined(separator: ", "))",
        at: unknown)
    }
    let asked = try EverythingQuestion(parameters)
    let paging = parameters.filter { ["_count", "_offset", "_state"].contains($0.name) }
    let query = try SearchQuery(type: "Patient", paging, at: self.site, self.now())
    let rest = parameters.filter { !["_count", "_offset", "_state"].contains($0.name) }.map { ($0.name, $0.value) }
    let question = "Patient/\(id)/$everything?" + FHIRURL.text(rest)
    let found: SearchStates.Found
    if let state = query.state {
      found = try self.states.found(of: question, for: request.asker, in: state, at: self.now())
    } else {
      try request.looks.look(self.index.count)
      found = SearchStates.Found(hits: self.everything(of: id, asked, for: request.asker), time: self.now())
    }
    let hits = found.hits
    let isPaged = parameters.contains { $0.name == "_count" }
    let count = isPaged ? query.count : Int.max
    let page = Array(hits.dropFirst(query.offset).prefix(count))
    let (entries, taken) = try self.entries(page, request.meter)
    var links: [(String, String)] = []
    if count > 0, query.offset + taken < hits.count {
      let name = query.state ?? self.freshIdentifier()
      let isKept = query.state != nil || self.states.keep(found, of: question, for: request.asker, as: name)
      let next =
        [("_count", "\(isPaged ? query.count : SearchQuery.countMax)"), ("_offset", "\(query.offset + taken)")]
        + (isKept ? [("_state", name)] : [])
      links = [("next", "\(self.base)/Patient/\(id)/$everything?" + FHIRURL.text(rest + next))]
    }
    return FHIRResponse(body: self.bundle("searchset", entries, total: hits.count, links: links, of: found.time))
  }

  /// The patient, what is about it, and what that refers to, as far as the asker may see it.
  private func everything(
    of id: String, _ asked: EverythingQuestion, for asker: FHIRAsker
  ) -> [SearchStates.Hit] {
    var hits: [SearchStates.Hit] = []
    var (referred, shown): (Set<String>, Set<String>) = ([], [])
    func take(_ type: String, _ place: Int, _ row: ResourceIndex.Row) {
      guard asked.types?.contains(type) ?? true, self.shows(type, row, to: asker),
        asked.since.map({ row.updated >= $0 }) ?? true
      else { return }
      hits.append(Self.hit(type, place, row))
    }
    for type in ["Patient"] + self.index.rows.keys.sorted().filter({ $0 != "Patient" }) {
      let named = Self.typesOfMany.contains(type) ? self.names(ofPatient: id, in: type) : []
      for (place, row) in (self.index.rows[type] ?? []).enumerated() where !row.isDeleted {
        let isNamed = !named.isEmpty && named.contains("\(type)/\(row.id)")
        guard row.patient == id || (isNamed && Self.names(only: id, row)) else { continue }
        guard type == "Patient" || asked.isInTime(row) else { continue }
        if isNamed { shown.insert("\(type)/\(row.id)") }
        for case .reference(let name) in row.values.values.joined() { referred.insert(name) }
        take(type, place, row)
      }
    }
    // ⚑ Another patient is never anything of this one.
    for name in referred.sorted() where !name.hasPrefix("Patient/") && !shown.contains(name) {
      guard let row = self.index.row(name), let place = self.index.place(name), row.patient == nil, !row.isDeleted
      else {
        continue
      }
      take(String(name.prefix { $0 != "/" }), place, row)
    }
    return hits
  }

  /// Types of a patient's compartment that have no one element for whose it is, as an appointment. Of Provenance the
  /// ledger has more.
  static let typesOfMany = Compartment.types.filter { type in
    let elements = Definitions.table[type]?.elements ?? [:]
    let isWhose = ["beneficiary", "patient", "subject"].contains { elements[$0] != nil }
    return !isWhose && !["Patient", "Provenance"].contains(type)
  }

  /// Whether a row names no other patient.
  private static func names(only id: String, _ row: ResourceIndex.Row) -> Bool {
    row.values.values.joined().allSatisfy { value in
      guard case .reference(let name) = value, name.hasPrefix("Patient/") else { return true }
      return name == "Patient/\(id)"
    }
  }

  /// What a `Parameters` resource in the body gives; nothing where there is no body.
  static func operationParameters(of request: FHIRRequest) throws(FHIRFailure) -> [(name: String, value: String)] {
    guard request.method == "POST", !request.body.isEmpty else { return [] }
    let json = try Self.read(request.body)
    guard json["resourceType"]?.text == "Parameters" else {
      throw FHIRFailure(400, "invalid", "Parameters are expected as the body", at: "resourceType")
    }
    var parameters: [(name: String, value: String)] = []
    for parameter in json["parameter"]?.items ?? [] {
      guard let name = parameter["name"]?.text, case .object(let members) = parameter,
        let value = members.first(where: { $0.name.hasPrefix("value") })?.value
      else { throw FHIRFailure(400, "required", "each parameter has a name and a value", at: "Parameters.parameter") }
      switch value {
      case .string(let text), .number(let text): parameters.append((name, text))
      case .bool(let isTrue): parameters.append((name, isTrue ? "true" : "false"))
      case .object where value["reference"]?.text != nil: parameters.append((name, value["reference"]?.text ?? ""))
      case .null, .array, .object:
        throw FHIRFailure(400, "value", "\(name) has a value of one word", at: "Parameters.parameter")
      }
    }
    return parameters
  }
}

/// Which of a patient's resources are asked for.
private struct EverythingQuestion {
  private(set) var types: Set<String>?
  private(set) var since: Timestamp?
  private var start: DateRange?
  private var end: DateRange?

  init(_ parameters: [(name: String, value: String)]) throws(FHIRFailure) {
    func date(_ name: String, _ value: String) throws(FHIRFailure) -> DateRange {
      guard let range = DateRange(value) else { throw SearchQuery.bad(name, "\"\(value)\" is no date") }
      return range
    }
    for (name, value) in parameters where !value.isEmpty {
      switch name {
      case "_type":
        var types: Set<String> = []
        for type in value.split(separator: ",") { types.insert(try FHIRService.known(String(type))) }
        self.types = types.union(self.types ?? [])
      case "_since": self.since = Timestamp(milliseconds: try date(name, value).lowMilliseconds)
      case "start": self.start = try date(name, value)
      case "end": self.end = try date(name, value)
      default: break
      }
    }
  }

  /// Whether a resource's dates, where it has any, are within the care that is asked for.
  func isInTime(_ row: ResourceIndex.Row) -> Bool {
    guard self.start != nil || self.end != nil else { return true }
    var hasDate = false
    for case .date(let date) in row.values.values.joined() {
      hasDate = true
      if date.high > self.start?.low ?? .min, date.low < self.end?.high ?? .max { return true }
    }
    return !hasDate
  }
}
