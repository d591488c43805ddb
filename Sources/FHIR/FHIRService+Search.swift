import HealthRecords
import Primitives

/// Searches and compartments.
extension FHIRService {
  func search(_ type: String, _ request: FHIRRequest) throws -> FHIRResponse {
    let query = try SearchQuery(type: try Self.known(type), request.query, at: self.site)
    try query.authorize(for: request.asker, at: self.site)
    if request.prefer?.contains("handling=strict") == true, let unknown = query.unknown.first {
      throw FHIRFailure(400, "not-supported", "\(type) has no search parameter \(unknown)", at: unknown)
    }
    let places = try self.matches(query)
    let rows = self.index.rows[type] ?? []
    let page =
      query.isCountOnly ? [] : Array(self.sorted(places, rows, query).dropFirst(query.offset).prefix(query.count))
    var entries: [CanonicalJSON] = []
    var seen: Set<String> = []
    var matched: [(name: String, json: CanonicalJSON)] = []
    for place in page {
      let row = rows[place]
      guard let json = try self.stored(type, row.id, row.version)?.json else { continue }
      matched.append(("\(type)/\(row.id)", json))
      seen.insert("\(type)/\(row.id)")
      entries.append(self.entry("\(type)/\(row.id)", json, mode: "match"))
    }
    for name in self.included(query, page.map { rows[$0] }) where seen.insert(name).inserted {
      guard request.asker.maySee(String(name.prefix { $0 != "/" })), let json = try self.current(name) else { continue }
      entries.append(self.entry(name, json, mode: "include"))
    }
    var issues = query.unknown.map {
      (
        severity: "warning", code: "not-supported", message: "\(type) has no search parameter \($0); it was ignored",
        expression: String?.none
      )
    }
    // Said whether or not there was any: what is left out shows nothing of itself.
    if !query.includes.isEmpty, !request.asker.seesEverything {
      let message = "resources of types other than those of \(request.asker.scopes.text) are left out of _include"
      issues.append((severity: "information", code: "suppressed", message: message, expression: nil))
    }
    if !issues.isEmpty {
      entries.append(
        .members([
          ("resource", FHIRFailure.outcome(issues)), ("search", .members([("mode", .string("outcome"))])),
        ]))
    }
    var response = FHIRResponse(
      body: self.bundle("searchset", entries, total: places.count, links: self.links(query, places.count)))
    if !query.filters.isEmpty { response.counted = self.accounts(of: places.map { rows[$0] }) }
    return response
  }

  private func links(_ query: SearchQuery, _ total: Int) -> [(String, String)] {
    let kept = query.understood.filter { $0.0 != "_offset" && $0.0 != "_count" }
    func link(_ offset: Int) -> String {
      let paging = [("_count", "\(query.count)")] + (offset > 0 ? [("_offset", "\(offset)")] : [])
      return "\(self.base)/\(query.type)?" + FHIRURL.text(kept + paging)
    }
    var links = [("self", link(query.offset))]
    guard !query.isCountOnly, query.count > 0 else { return links }
    if query.offset > 0 {
      links.append(("first", link(0)))
      links.append(("previous", link(max(0, query.offset - query.count))))
    }
    if query.offset + query.count < total { links.append(("next", link(query.offset + query.count))) }
    return links
  }

  private func entry(_ name: String, _ json: CanonicalJSON, mode: String) -> CanonicalJSON {
    .members([
      ("fullUrl", .string("\(self.base)/\(name)")), ("resource", json),
      ("search", .members([("mode", .string(mode))])),
    ])
  }

  func bundle(
    _ type: String, _ entries: [CanonicalJSON], total: Int?, links: [(String, String)]
  ) -> CanonicalJSON {
    .members([
      ("resourceType", .string("Bundle")), ("type", .string(type)), ("total", total.map { .number("\($0)") }),
      (
        "link",
        links.isEmpty
          ? nil : .array(links.map { .members([("relation", .string($0.0)), ("url", .string($0.1))]) })
      ),
      ("entry", entries.isEmpty ? nil : .array(entries)),
    ])
  }

  private func current(_ name: String) throws -> CanonicalJSON? {
    guard let row = self.index.row(name), !row.isDeleted else { return nil }
    return try self.stored(String(name.prefix { $0 != "/" }), row.id, row.version)?.json
  }

  /// The identifiers of the resources that a query matches: for conditional writes and references. What is `pending` is
  /// found as if it were written.
  func find(
    _ type: String, _ parameters: [(name: String, value: String)], besides pending: ResourceIndex,
    for asker: FHIRAsker
  ) throws -> [String] {
    let query = try SearchQuery(type: type, parameters, at: self.site)
    try query.authorize(for: asker, at: self.site)
    if let unknown = query.unknown.first {
      throw FHIRFailure(412, "not-supported", "\(type) has no search parameter \(unknown)")
    }
    guard !query.filters.isEmpty else { throw FHIRFailure(412, "required", "a condition is expected") }
    return try self.identifiers(query, besides: pending)
  }

  private func identifiers(_ query: SearchQuery, besides pending: ResourceIndex) throws -> [String] {
    let rows = self.index.rows[query.type] ?? []
    let stored = try self.matches(query, in: self.index, besides: pending).map { rows[$0].id }
    guard pending.count > 0 else { return stored }
    let fresh = pending.rows[query.type] ?? []
    return stored.filter { pending.row("\(query.type)/\($0)") == nil }
      + (try self.matches(query, in: pending, besides: pending).map { fresh[$0].id })
  }

  /// The places of the rows that meet all conditions, in the order in which they were first written.
  func matches(_ query: SearchQuery) throws -> [Int] {
    try self.matches(query, in: self.index, besides: ResourceIndex(site: self.site))
  }

  private func matches(
    _ query: SearchQuery, in index: ResourceIndex, besides pending: ResourceIndex
  ) throws -> [Int] {
    guard let rows = index.rows[query.type] else { return [] }
    var checks: [(ResourceIndex.Row) -> Bool] = []
    var fewest: (count: Int, code: String, keys: [String])?
    for filter in query.filters {
      let keys: [String]?
      if filter.chain == nil {
        keys = filter.keys
        checks.append { filter.holds(for: $0) }
      } else {
        let targets = try self.targets(of: filter, besides: pending)
        let wanted = Set(targets)
        keys = targets
        checks.append { row in
          (row.values[filter.code] ?? []).contains { value in
            if case .reference(let reference) = value { wanted.contains(reference) } else { false }
          }
        }
      }
      guard let keys else { continue }
      let count = keys.reduce(0) { $0 + index.candidates(query.type, filter.code, $1).count }
      if fewest.map({ count < $0.count }) ?? true { fewest = (count, filter.code, keys) }
    }
    // What is looked up is looked at again, and only where it is rarest: codes have systems, and rows change.
    let places = fewest.map { few in
      Set(few.keys.flatMap { index.candidates(query.type, few.code, $0) }).sorted()
    }
    return (places ?? Array(rows.indices)).filter { place in
      !rows[place].isDeleted && checks.allSatisfy { $0(rows[place]) }
    }
  }

  /// The references that a chained condition allows.
  private func targets(of filter: SearchQuery.Filter, besides pending: ResourceIndex) throws -> [String] {
    guard let chain = filter.chain else { return [] }
    let inner = try SearchQuery(
      type: try Self.known(chain.type), [(chain.parameter, filter.alternatives.joined(separator: ","))], at: self.site)
    if let unknown = inner.unknown.first {
      throw FHIRFailure(400, "not-supported", "\(chain.type) has no search parameter \(unknown)")
    }
    return try self.identifiers(inner, besides: pending).map { "\(chain.type)/\($0)" }
  }

  private func sorted(_ places: [Int], _ rows: [ResourceIndex.Row], _ query: SearchQuery) -> [Int] {
    guard !query.sort.isEmpty else { return places }
    let keys = Dictionary(
      uniqueKeysWithValues: places.map { place in (place, query.sort.map { Self.key(rows[place], $0.code) }) })
    return places.sorted { left, right in
      for (at, rule) in query.sort.enumerated() {
        guard let one = keys[left]?[at] else {
          if keys[right]?[at] != nil { return false }
          continue
        }
        guard let other = keys[right]?[at] else { return true }
        if one != other { return (one < other) != rule.isDescending }
      }
      return left < right
    }
  }

  /// Text that sorts as the value does; what has no value comes last.
  private static func key(_ row: ResourceIndex.Row, _ code: String) -> String? {
    func number(_ value: Int64) -> String {
      let digits = String(UInt64(bitPattern: value) ^ (1 << 63))
      return String(repeating: "0", count: 20 - digits.count) + digits
    }
    if code == "_id" { return row.id }
    if code == "_lastUpdated" { return number(Int64(row.updated.milliseconds)) }
    switch row.values[code]?.first {
    case .date(let range)?: return number(range.low)
    case .string(let folded, _)?: return folded
    case .token(_, let code)?: return code
    case .reference(let reference)?: return reference
    case .uri(let uri)?: return uri
    case .quantity(let value, _, _, _)?: return number(Int64(max(-1e15, min(1e15, value)) * 1000))
    case nil: return nil
    }
  }

  private func included(_ query: SearchQuery, _ page: [ResourceIndex.Row]) -> [String] {
    var names: [String] = []
    for include in query.includes where include.source == query.type {
      for row in page {
        let codes = include.code == "*" ? row.values.keys.sorted() : [include.code]
        for case .reference(let reference) in codes.flatMap({ row.values[$0] ?? [] }) { names.append(reference) }
      }
    }
    for include in query.revincludes {
      guard let rows = self.index.rows[include.source] else { continue }
      let codes =
        include.code == "*" ? (SearchParameter.of(include.source) ?? [:]).keys.sorted() : [include.code]
      for row in page {
        for code in codes {
          let found = self.index.candidates(include.source, code, "\(query.type)/\(row.id)")
          names += Set(found).sorted().filter { place in
            (rows[place].values[code] ?? []).contains { $0 == .reference("\(query.type)/\(row.id)") }
          }.map { "\(include.source)/\(rows[$0].id)" }
        }
      }
    }
    return names
  }

  /// Everything that is kept of a patient, as far as the asker may see it (FHIR R4, Patient-operation-everything).
  func everything(
    of id: String, _ parameters: [(name: String, value: String)], for asker: FHIRAsker
  ) throws -> FHIRResponse {
    guard let patient = try self.current("Patient/\(id)") else {
      throw FHIRFailure(404, "not-found", "there is no Patient/\(id)")
    }
    let types = parameters.first { $0.name == "_type" }.map { Set($0.value.split(separator: ",").map(String.init)) }
    var names: [String] = []
    for type in self.index.rows.keys.sorted()
    where type != "Patient" && types?.contains(type) != false && asker.maySee(type) {
      names += (self.index.rows[type] ?? []).filter { $0.patient == id && !$0.isDeleted }.map { "\(type)/\($0.id)" }
    }
    let query = try SearchQuery(
      type: "Patient", parameters.filter { $0.name == "_count" || $0.name == "_offset" }, at: self.site)
    let isPaged = parameters.contains { $0.name == "_count" }
    let page = isPaged ? Array(names.dropFirst(query.offset).prefix(query.count)) : names
    var entries = query.offset == 0 ? [self.entry("Patient/\(id)", patient, mode: "match")] : []
    for name in page {
      if let json = try self.current(name) { entries.append(self.entry(name, json, mode: "match")) }
    }
    var links: [(String, String)] = []
    if isPaged, query.offset + query.count < names.count {
      let rest = [("_count", "\(query.count)"), ("_offset", "\(query.offset + query.count)")]
      links = [("next", "\(self.base)/Patient/\(id)/$everything?" + FHIRURL.text(rest))]
    }
    return FHIRResponse(body: self.bundle("searchset", entries, total: names.count + 1, links: links))
  }
}
