import HealthRecords
import Primitives

/// What the ledger itself says of a patient, page by page.
extension FHIRService {
  /// The fewest bytes of what is said of one consent, access or record.
  private static let viewBytesMin = 512

  /// Consents and accesses, as the ledger has them, newest first.
  func ledgerView(
    _ type: String, _ query: [(name: String, value: String)], _ meter: AnswerMeter
  ) async throws -> FHIRResponse {
    let known = ["patient", "subject", "_count", "_offset"] + Presentation.names
    if let unknown = query.first(where: { !known.contains($0.name) })?.name {
      throw FHIRFailure(
        400, "not-supported",
        "what the ledger says is asked for as \(type)?patient=ID, with _count, and not by "
          + "\(unknown.prefix(100))", at: unknown)
    }
    guard let asked = query.first(where: { $0.name == "patient" || $0.name == "subject" })?.value else {
      throw FHIRFailure(400, "required", "say of whom: \(type)?patient=ID", at: "patient")
    }
    let id = self.patient(named: asked) ?? asked
    guard let account = self.account(ofPatient: id), let ledger else {
      throw FHIRFailure(
        404, "not-found", "Patient/\(id) is not linked to an account: give it an identifier of \(Self.accountSystem)")
    }
    let page = try SearchQuery(
      type: "Patient", query.filter { $0.name == "_count" || $0.name == "_offset" }, at: self.site, self.now())
    // No more is made than there is room for.
    let countMax = min(page.count, max(1, meter.room / Self.viewBytesMin))
    let (total, views): (Int, [CanonicalJSON])
    var rest: ArraySlice<ResourceIndex.Row> = []
    switch type {
    case "Provenance":
      let (proved, lines) = await ledger.provenance(
        of: account, names: self.names(ofPatient: id), skipping: page.offset, countMax: countMax)
      // What others say of its origin is stored here, and comes after what is proved.
      let stored = try self.stored("Provenance", [("patient", id)])
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
    var links = [("self", "\(self.base)/\(type)?patient=\(id)")]
    let next = page.offset + shown.count
    if next < total, page.count > 0 {
      links.append(("next", "\(self.base)/\(type)?patient=\(id)&_count=\(page.count)&_offset=\(next)"))
    }
    return FHIRResponse(body: self.bundle("searchset", entries, total: total, links: links))
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
