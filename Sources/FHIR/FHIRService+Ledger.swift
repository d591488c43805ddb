import HealthRecords
import Primitives

/// What the ledger itself says of a patient, page by page.
extension FHIRService {
  /// The fewest bytes of what is said of one consent, access or record.
  private static let viewBytesMin = 512

  /// What a request asks of the ledger, by GET or by a form; nil where the store answers. ⚑ Of Provenance the store has
  /// only what others say: what is asked of a linked patient's in a way that the ledger does not answer is refused.
  func ledgerQuestion(
    _ request: FHIRRequest
  ) throws(FHIRFailure) -> (type: String, query: [(name: String, value: String)])? {
    let path = request.path
    var query = request.query
    switch (request.method, path.count) {
    case ("GET", 1): break
    case ("POST", 2) where path[1] == "_search": break
    case ("GET", 3) where path[0] == "Patient": query.insert(("patient", path[1]), at: 0)
    default: return nil
    }
    let type = path.count == 3 ? path[2] : path[0]
    let only = request.asker.patient(to: .search, type)
    if CapabilityStatement.views.contains(type) {
      try self.requireNamed(only, query)
      return (type, query)
    }
    guard type == "Provenance", self.ledger != nil else { return nil }
    try self.requireNamed(only, query)
    // ⚑ For an app of one patient whether a target is linked is no difference.
    let other = query.first { name, value in
      only != nil ? name.hasPrefix("target") && name != "target:missing" : self.isProved(name, value)
    }
    if let other { throw Self.otherView(type, other.name) }
    func isOfPatient(_ name: String) -> Bool {
      name.prefix { $0 != ":" && $0 != "." } == "patient" && name != "patient:missing"
    }
    let named = query.filter { isOfPatient($0.name) }
    if let other = named.first(where: { !Self.patientNames.contains($0.name) })?.name {
      throw Self.otherView(type, other)
    }
    let values = named.flatMap { $0.value.split(separator: ",").map(String.init) }
    let ids = values.compactMap { self.patient(named: $0) }
    guard let id = ids.first(where: { self.account(ofPatient: $0) != nil }) else { return nil }
    guard values.count == 1 else {
      throw FHIRFailure(400, "not-supported", "what the ledger says is of one patient: ask for each", at: "patient")
    }
    return (type, [(name: "patient", value: id)] + query.filter { !isOfPatient($0.name) })
  }

  /// Refuses what names another patient than the only one whom its asker may ask about.
  private func requireNamed(_ only: String?, _ query: [(name: String, value: String)]) throws(FHIRFailure) {
    guard let only else { return }
    for (name, value) in query where ["patient", "subject"].contains(name.prefix { $0 != ":" && $0 != "." }) {
      for part in value.split(separator: ",") {
        let id = self.patient(named: String(part))
        guard id == only || name.hasSuffix(":missing") else {
          throw Self.missing("Patient", String((id ?? String(part)).prefix(100)), only)
        }
      }
    }
  }

  /// Whether a condition names what Provenance is about, and the ledger proves it of a linked patient.
  private func isProved(_ name: String, _ value: String) -> Bool {
    guard name.prefix(while: { $0 != ":" && $0 != "." }) == "target", name != "target:missing" else { return false }
    let types = name.split(separator: ":").dropFirst().map { String($0.prefix { $0 != "." }) }
    return SearchText.split(value, at: ",").contains { part in
      let text = self.site.local(SearchText.plain(part))
      let names =
        text.contains("/") ? [text] : (types.isEmpty ? SearchParameter.types : types).map { "\($0)/\(text)" }
      return names.contains { self.index.row($0)?.patient.flatMap { self.account(ofPatient: $0) } != nil }
    }
  }

  /// How the patient is named of whom the ledger is asked.
  private static let patientNames = ["patient", "patient:Patient", "subject", "subject:Patient"]
  /// What is asked besides, of how it is answered.
  private static let viewParameters = ["_count", "_offset", "_total", "_totalMethod"] + Presentation.names

  private static func otherView(_ type: String, _ name: String) -> FHIRFailure {
    FHIRFailure(
      400, "not-supported",
      "what the ledger says is asked for as \(type)?patient=ID, with \(self.viewParameters.joined(separator: ", ")), "
        + "and not by \(name.prefix(100))", at: String(name.prefix(100)))
  }

  /// The one patient of whom something is asked. ⚑ Of two of them one alone would pass for both.
  private func patientAsked(_ type: String, _ query: [(name: String, value: String)]) throws(FHIRFailure) -> String {
    let named = query.filter { Self.patientNames.contains($0.name) }.map { self.patient(named: $0.value) ?? $0.value }
    guard let id = named.first else {
      throw FHIRFailure(400, "required", "say of whom: \(type)?patient=ID", at: "patient")
    }
    guard Set(named).count == 1 else {
      throw FHIRFailure(400, "not-supported", "what the ledger says is of one patient: ask for each", at: "patient")
    }
    return id
  }

  /// Consents and accesses, as the ledger has them, newest first.
  func ledgerView(
    _ type: String, _ query: [(name: String, value: String)], _ meter: AnswerMeter, for asker: FHIRAsker
  ) async throws -> FHIRResponse {
    let kept = query.filter { Self.viewParameters.contains($0.name) }
    if let unknown = query.first(where: { !(Self.viewParameters + Self.patientNames).contains($0.name) })?.name {
      throw Self.otherView(type, unknown)
    }
    let id = try self.patientAsked(type, query)
    guard let account = self.account(ofPatient: id), let ledger else {
      throw FHIRFailure(
        404, "not-found", "Patient/\(id) is not linked to an account: give it an identifier of \(Self.accountSystem)")
    }
    let page = try SearchQuery(
      type: "Patient", kept.filter { $0.name != "_elements" }, at: self.site, self.now())
    // No more is made than there is room for.
    let countMax = page.isCountOnly ? 0 : min(page.count, max(1, meter.room / Self.viewBytesMin))
    let (total, views): (Int, [CanonicalJSON])
    var rest: ArraySlice<ResourceIndex.Row> = []
    switch type {
    case "Provenance":
      let (proved, lines) = await ledger.provenance(
        of: account, names: self.names(ofPatient: id), skipping: page.offset, countMax: countMax)
      // What others say of its origin is stored here, and comes after what is proved.
      let stored = try self.stored("Provenance", [("patient", id)])
        .filter { try self.saysOnlyOwn($0, for: asker) }
      rest = stored.dropFirst(max(0, page.offset - proved)).prefix(max(0, countMax - lines.count))
      (total, views) = (proved + stored.count, lines)
    case "AuditEvent":
      (total, views) = try await ledger.accesses(
        of: account, patient: id, skipping: page.offset, countMax: countMax)
    default:
      let all = await ledger.consents(of: account, patient: id)
      (total, views) = (all.count, Array(all.reversed().dropFirst(page.offset).prefix(countMax)))
    }
    var shown = Array(try views.prefix { try meter.admits($0) })
    // One after another: all of them together may be longer than the memory.
    for row in shown.count == views.count ? rest : [] {
      guard let found = try self.current("Provenance/\(row.id)"), try meter.admits(found), let json = found.json else {
        break
      }
      shown.append(json)
    }
    guard !shown.isEmpty || (views.isEmpty && rest.isEmpty) else { throw meter.failure }
    let entries = shown.map { view in
      CanonicalJSON.members([
        ("fullUrl", .string("\(self.base)/\(type)/\(view["id"]?.text ?? "")")), ("resource", view),
        ("search", .members([("mode", .string("match"))])),
      ])
    }
    let shows = kept.filter { !["_count", "_offset"].contains($0.name) }.map { ($0.name, $0.value) }
    func link(_ paging: [(String, String)]) -> String {
      "\(self.base)/\(type)?" + FHIRURL.text([("patient", id)] + shows + paging)
    }
    var links = [("self", link([]))]
    let next = page.offset + shown.count
    if next < total, !page.isCountOnly {
      links.append(("next", link([("_count", "\(page.count)"), ("_offset", "\(next)")])))
    }
    let told = page.saysTotal || page.isCountOnly ? total : nil
    var response = FHIRResponse(body: self.bundle("searchset", entries, total: told, links: links))
    response.counted = [account]
    return response
  }

  private func stored(_ type: String, _ parameters: [(name: String, value: String)]) throws -> [ResourceIndex.Row] {
    let query = try SearchQuery(type: type, parameters, at: self.site, self.now())
    let rows = self.index.rows[type] ?? []
    return try self.matches(query, by: Judging(at: self.site, Looks(max: Looks.transactionMax))).map { rows[$0] }
  }

  /// The id of the patient here whom a reference names, or an id alone; nil where it names nobody of this server.
  public nonisolated func patient(named reference: String) -> String? {
    guard reference.contains("/") else { return reference }
    guard let path = self.site.path(of: reference), let found = Site.literal(path), found.type == "Patient" else {
      return nil
    }
    return found.id
  }

  /// The patient's resources that are anchored, by their records.
  private func names(ofPatient id: String) -> [String: String] {
    var out: [String: String] = [:]
    for (type, rows) in self.index.rows {
      for row in rows where row.patient == id { if let record = row.record { out["\(record)"] = "\(type)/\(row.id)" } }
    }
    return out
  }
}
