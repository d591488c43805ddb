public import HealthRecords
import Primitives

/// Bulk export: everything, all patients' or one group's, as files of lines (HL7 Bulk Data Access 2.0.0).
extension FHIRService {
  /// Where exports and their files are, below the base.
  public static let exportsPath = "$export-status"
  /// What one line of an export's file is taken as.
  public static let linesMedia = "application/fhir+ndjson"
  /// What the operation takes.
  static let exportParameters = ["_outputFormat", "_since", "_type", "patient"]
  /// The most patients who are named in one request.
  static let exportPatientsMax = 10_000

  /// Whether a path asks for an export: of all, of all patients, of a group.
  static func isExport(_ path: [String]) -> Bool {
    path == ["$export"] || path == ["Patient", "$export"]
      || path.count == 3 && path[0] == "Group" && path[2] == "$export"
  }

  /// Takes the state of now, of which the files will be. It is ready when this answers: the status says so.
  func startExport(_ request: FHIRRequest) throws -> FHIRResponse {
    let preferences = Preferences(request.prefer)
    guard preferences.isAsync else {
      throw FHIRFailure(400, "required", "an export is asked for with Prefer: respond-async")
    }
    let asked = try ExportQuestion(
      request.query.filter { !Presentation.names.contains($0.name) || $0.name == "_elements" }
        + (try Self.operationParameters(of: request)), isLenient: preferences.handling == .lenient, request.path,
      self.site)
    for type in (asked.types ?? []).sorted() where !request.asker.maySee(type) {
      try request.asker.require(.read, type)
    }
    try request.looks.look(self.index.count)
    let (patients, missing) = try self.patients(asked, for: request)
    let files = try self.files(asked, of: patients, for: request)
    let name = self.freshIdentifier()
    let words = FHIRURL.text(request.query.map { ($0.name, $0.value) })
    let path = request.path.joined(separator: "/")
    try self.exports.keep(
      Exports.Export(
        account: request.asker.account, client: request.asker.client,
        request: "\(self.base)/\(path)" + (words.isEmpty ? "" : "?\(words)"), time: self.now(), files: files,
        missing: missing),
      as: name)
    var response = FHIRResponse(status: 202)
    response.contentLocation = "\(Self.exportsPath)/\(name)"
    return response
  }

  /// What there is of patients: a file for each type, and one for what is gone.
  private func files(
    _ asked: ExportQuestion, of patients: Patients, for request: FHIRRequest
  ) throws -> [Exports.File] {
    let mayMove = asked.types?.contains("Binary") ?? true && request.asker.maySee("Binary")
    var borne = BorneSince()
    if let since = asked.since, mayMove, !patients.isEverything {
      borne = try self.borne(since: since, request.looks)
    }
    var files: [Exports.File] = []
    var deleted: [SearchStates.Hit] = []
    for type in self.index.rows.keys.sorted() {
      guard asked.types?.contains(type) ?? true, request.asker.maySee(type) else { continue }
      var hits: [SearchStates.Hit] = []
      for (place, row) in (self.index.rows[type] ?? []).enumerated() {
        switch try self.standing(type, row, of: patients, since: asked.since, borne, request.looks) {
        case .given: hits.append(Self.hit(type, place, row))
        case .gone: deleted.append(Self.hit(type, place, row))
        case .leftOut: break
        }
      }
      if !hits.isEmpty { files.append(Exports.File(type: type, hits: hits)) }
    }
    if !deleted.isEmpty { files.append(Exports.File(type: nil, hits: deleted)) }
    return files
  }

  private enum Standing {
    case given
    /// Deleted, or another's by now.
    case gone
    case leftOut
  }

  /// What an export has of a resource.
  private func standing(
    _ type: String, _ row: ResourceIndex.Row, of patients: Patients, since: Timestamp?, _ borne: BorneSince,
    _ looks: Looks
  ) throws -> Standing {
    guard let since else {
      return !row.isDeleted && patients.holds(type == "Patient" ? row.id : row.patient) ? .given : .leftOut
    }
    // ⚑ What came after an export within the millisecond of its time is in the next one.
    let hasChanged = row.changed >= since
    if row.isDeleted {
      return try hasChanged && self.wasOf(patients, type, row, borne, looks) ? .gone : .leftOut
    }
    // A file goes with its document.
    let file = type == "Binary" && !row.isOwn ? "Binary/\(row.id)" : ""
    if patients.holds(type == "Patient" ? row.id : row.patient) {
      return hasChanged || borne.gained.contains(file) ? .given : .leftOut
    }
    if borne.patients[file]?.contains(where: { patients.holds($0) }) ?? false { return .gone }
    return try hasChanged && self.left(patients, type, row, since: since, looks) ? .gone : .leftOut
  }

  private enum Patients {
    /// Everything, of patients or not.
    case everything
    /// What belongs to some patient.
    case all
    /// What belongs to these.
    case some(Set<String>)

    var isEverything: Bool { if case .everything = self { true } else { false } }

    func holds(_ patient: String?) -> Bool {
      switch self {
      case .everything: true
      case .all: patient != nil
      case .some(let patients): patient.map(patients.contains) ?? false
      }
    }
  }

  /// Whether a resource that was deleted belonged to patients. ⚑ A deletion names nobody: the version before tells, and
  /// of a file what bore it; where nothing tells it, everybody is told who may have it.
  private func wasOf(
    _ patients: Patients, _ type: String, _ row: ResourceIndex.Row, _ borne: BorneSince, _ looks: Looks
  ) throws -> Bool {
    if patients.isEverything { return true }
    if type == "Patient" { return patients.holds(row.id) }
    try looks.look(Self.includeLooks)
    let before = row.version > 1 ? try self.stored(type, row.id, row.version - 1)?.json : nil
    if type == "Binary" {
      let known = self.patients(ofDeleted: "Binary/\(row.id)", before, borne)
      return known.isEmpty || known.contains { patients.holds($0) }
    }
    guard let before else { return true }
    return patients.holds(self.index.patient(of: before, type: type, id: row.id))
  }

  /// Whether a resource was of patients at a time and is another's now: for who follows those it is gone.
  private func left(
    _ patients: Patients, _ type: String, _ row: ResourceIndex.Row, since: Timestamp, _ looks: Looks
  ) throws -> Bool {
    guard type != "Patient", row.version > 1 else { return false }
    for number in (1..<row.version).reversed() {
      try looks.look(Self.includeLooks)
      guard let found = try self.stored(type, row.id, number) else { return false }
      if let json = found.json, patients.holds(self.index.patient(of: json, type: type, id: row.id)) { return true }
      // Older ones were told before.
      if found.updated < since { return false }
    }
    return false
  }

  /// The most members who are named as missing; how many more there are is said.
  static let missingMax = 100

  /// Whose resources are meant, and what is said of those who are not given though they are named.
  private func patients(
    _ asked: ExportQuestion, for request: FHIRRequest
  ) throws -> (patients: Patients, missing: [String]) {
    let path = request.path
    if path[0] == "$export" { return (.everything, []) }
    for id in asked.patients ?? [] where self.index.row("Patient/\(id)") == nil {
      throw FHIRFailure(404, "not-found", "there is no Patient/\(id)")
    }
    guard path[0] == "Group" else { return (asked.patients.map { .some($0) } ?? .all, []) }
    try request.asker.require(.read, "Group")
    guard let row = self.index.row("Group/\(path[1])"), !row.isDeleted,
      let group = try self.stored("Group", row.id, row.version)?.json
    else { throw FHIRFailure(404, "not-found", "there is no Group/\(path[1])") }
    let judging = Judging(at: self.site, request.looks)
    var (members, missing): (Set<String>, [String]) = ([], [])
    for member in group["member"]?.items ?? [] where member["inactive"] != .bool(true) {
      // A member may be named by an identifier alone, as a subject may.
      let named = CanonicalJSON.members([("subject", member["entity"])])
      let entity = try self.identified(named, by: judging, for: request)["subject"]
      let name = entity?["reference"]?.text.map { self.site.local($0) }
      if let name, name.hasPrefix("Patient/") { members.insert(String(name.dropFirst("Patient/".count))) }
      if name.flatMap({ $0.hasPrefix("Patient/") ? self.index.row($0) : nil })?.isDeleted ?? true {
        missing.append(Self.missing(entity, name))
      }
    }
    guard let only = asked.patients else { return (.some(members), Self.some(missing)) }
    missing = only.subtracting(members).sorted().map { "Patient/\($0) is no member of Group/\(path[1])" }
    return (.some(only.intersection(members)), Self.some(missing))
  }

  private static func missing(_ entity: CanonicalJSON?, _ name: String?) -> String {
    if let name {
      return name.hasPrefix("Patient/")
        ? "the member \(name.prefix(200)) is not here, or was deleted"
        : "the member \(name.prefix(200)) is no patient of this server"
    }
    let identifier = entity?["identifier"]
    guard let value = identifier?["value"]?.text else { return "a member is named by neither reference nor identifier" }
    let system = identifier?["system"]?.text ?? ""
    return "no Patient here has the identifier \(system.prefix(200))|\(value.prefix(200)) of a member"
  }

  private static func some(_ missing: [String]) -> [String] {
    let more = missing.count - self.missingMax
    return missing.prefix(self.missingMax) + (more > 0 ? ["and \(more) more are not here"] : [])
  }

  /// What an export's status says: the manifest, for it is ready at once.
  func exportStatus(_ name: String, _ request: FHIRRequest) throws -> FHIRResponse {
    let export = try self.exports.export(name, of: request.asker, at: self.now())
    func entry(_ number: Int, _ type: String, _ count: Int) -> CanonicalJSON {
      .members([
        ("type", .string(type)), ("url", .string("\(self.base)/\(Self.exportsPath)/\(name)/\(number)")),
        ("count", .number("\(count)")),
      ])
    }
    func output(_ isDeleted: Bool) -> CanonicalJSON {
      .array(
        export.files.enumerated().filter { ($0.element.type == nil) == isDeleted }.map { number, file in
          entry(number, file.type ?? "Bundle", file.hits.count)
        })
    }
    let errors =
      export.missing.isEmpty ? [] : [entry(export.files.count, "OperationOutcome", export.missing.count)]
    return FHIRResponse(
      body: .members([
        ("transactionTime", .string(export.time.description)), ("request", .string(export.request)),
        ("requiresAccessToken", .bool(true)), ("output", output(false)), ("deleted", output(true)),
        ("error", .array(errors)),
      ]))
  }

  /// Some lines of an export's file, from one on, and where those after them begin; nil there at the end. Who is shown
  /// them is noted before this returns. As many come as the request's meter admits, and 200 at most.
  ///
  /// - Throws: `FHIRFailure`.
  public func exported(
    _ request: FHIRRequest, from start: Int
  ) async throws(FHIRFailure) -> (lines: [CanonicalJSON], next: Int?) {
    do {
      guard request.path.count == 3, let number = Int(request.path[2]) else {
        throw FHIRFailure(404, "not-found", "there is no such file")
      }
      // ⚑ Who began it with more may have less by now.
      try request.authorize()
      let export = try self.exports.export(request.path[1], of: request.asker, at: self.now())
      if number == export.files.count, !export.missing.isEmpty {
        try request.asker.require(.read, "Group")
        return (export.missing.dropFirst(start).map { FHIRFailure(404, "not-found", $0).outcome }, nil)
      }
      guard export.files.indices.contains(number) else {
        throw FHIRFailure(404, "not-found", "this export has no file \(number)")
      }
      let file = export.files[number]
      if let type = file.type { try request.asker.require(.read, type) }
      var (lines, place) = ([CanonicalJSON](), start)
      for hit in file.hits.dropFirst(start).prefix(Self.linesAtOnce) {
        switch try self.line(hit, isDeleted: file.type == nil, request.meter) {
        case .text(let json): lines.append(json)
        case .gone: break
        case .full: return try await self.told(lines, place, request)
        }
        place += 1
      }
      return try await self.told(lines, place < file.hits.count ? place : nil, request)
    } catch { throw error as? FHIRFailure ?? FHIRFailure(503, "transient", "\(error)") }
  }

  /// Lines, once it is noted who is shown them.
  private func told(
    _ lines: [CanonicalJSON], _ next: Int?, _ request: FHIRRequest
  ) async throws -> (lines: [CanonicalJSON], next: Int?) {
    let entries = lines.map { CanonicalJSON.members([("resource", $0)]) }
    try await self.note(
      request, FHIRResponse(body: self.bundle("searchset", entries, total: entries.count, links: [])))
    return (lines, next)
  }

  private static let linesAtOnce = 200
  /// About how many bytes of lines are put together at once, unless one alone is longer.
  public static let lineBytesAtOnce = 1 << 20

  private enum Line {
    case text(CanonicalJSON)
    case gone
    /// There is no more room with those before.
    case full
  }

  private func line(_ hit: SearchStates.Hit, isDeleted: Bool, _ meter: AnswerMeter) throws -> Line {
    guard let (type, row) = self.row(of: hit) else { return .gone }
    if isDeleted {
      // A transaction that deletes the same at the reader's.
      let request = CanonicalJSON.members([("method", .string("DELETE")), ("url", .string("\(type)/\(row.id)"))])
      return .text(
        .members([
          ("resourceType", .string("Bundle")), ("type", .string("transaction")),
          ("entry", .array([.members([("request", request)])])),
        ]))
    }
    // What was erased meanwhile is shown to nobody.
    guard let found = try self.stored(type, row.id, UInt64(hit.version)), found.erased == nil else { return .gone }
    guard try meter.admits(found) else { return .full }
    return found.json.map { .text($0) } ?? .gone
  }
}

/// What an export is asked for.
private struct ExportQuestion {
  private(set) var types: Set<String>?
  private(set) var since: Timestamp?
  private(set) var patients: Set<String>?

  init(
    _ parameters: [(name: String, value: String)], isLenient: Bool, _ path: [String], _ site: Site
  ) throws(FHIRFailure) {
    for (name, value) in parameters {
      switch name {
      case "_type":
        var types: Set<String> = []
        for type in value.split(separator: ",") { types.insert(try FHIRService.known(String(type))) }
        guard !types.isEmpty else { throw SearchQuery.bad(name, "it names no type") }
        self.types = types.union(self.types ?? [])
      case "_since":
        guard let range = DateRange(value) else { throw SearchQuery.bad(name, "\"\(value)\" is no instant") }
        self.since = Timestamp(milliseconds: range.lowMilliseconds)
      case "_outputFormat":
        guard ["application/fhir+ndjson", "application/ndjson", "ndjson"].contains(value) else {
          throw SearchQuery.bad(name, "files are \(FHIRService.linesMedia), not \(value)")
        }
      case "patient" where path[0] != "$export":
        let local = site.local(value)
        guard local.hasPrefix("Patient/"), (self.patients?.count ?? 0) < FHIRService.exportPatientsMax else {
          throw SearchQuery.bad(name, "Patient/ID of this server is expected, at most \(FHIRService.exportPatientsMax)")
        }
        self.patients = (self.patients ?? []).union([String(local.dropFirst("Patient/".count))])
      default:
        guard isLenient else {
          throw FHIRFailure(
            400, "not-supported",
            "$export has no parameter \(name); it has \(FHIRService.exportParameters.joined(separator: ", "))",
            at: name)
        }
      }
    }
  }
}
