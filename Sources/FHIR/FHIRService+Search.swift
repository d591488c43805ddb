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
    // How much of the page the answer has room for: the rest is the next page's.
    var taken = 0
    for place in page {
      try Task.checkCancellation()
      let row = rows[place]
      if let found = try self.stored(type, row.id, row.version) {
        guard try request.meter.admits(found) else { break }
        if let json = found.json {
          seen.insert("\(type)/\(row.id)")
          entries.append(self.entry("\(type)/\(row.id)", json, mode: "match"))
        }
      }
      taken += 1
    }
    guard taken > 0 || page.isEmpty else { throw request.meter.failure }
    var isFull = false
    for name in self.included(query, page.prefix(taken).map { rows[$0] }) where seen.insert(name).inserted {
      try Task.checkCancellation()
      guard request.asker.maySee(String(name.prefix { $0 != "/" })), let found = try self.current(name) else {
        continue
      }
      guard try request.meter.admits(found) else {
        isFull = true
        break
      }
      if let json = found.json { entries.append(self.entry(name, json, mode: "include")) }
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
    if isFull {
      let message =
        "the answer is full: some of what _include and _revinclude name is left out; ask for fewer by _count"
      issues.append((severity: "warning", code: "too-costly", message: message, expression: nil))
    }
    if !issues.isEmpty {
      entries.append(
        .members([
          ("resource", FHIRFailure.outcome(issues)), ("search", .members([("mode", .string("outcome"))])),
        ]))
    }
    var response = FHIRResponse(
      body: self.bundle("searchset", entries, total: places.count, links: self.links(query, places.count, taken: taken))
    )
    if !query.filters.isEmpty {
      response.counted = self.accounts(of: places.map { rows[$0] }).union(self.accounts(namedBy: query))
    }
    return response
  }

  private func links(_ query: SearchQuery, _ total: Int, taken: Int) -> [(String, String)] {
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
    if query.offset + taken < total, taken > 0 { links.append(("next", link(query.offset + taken))) }
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

  private func current(_ name: String) throws -> StoredResource? {
    guard let row = self.index.row(name), !row.isDeleted else { return nil }
    return try self.stored(String(name.prefix { $0 != "/" }), row.id, row.version)
  }

  /// The identifiers of the resources that a query matches: for conditional writes and references. What is pending is
  /// found as if it were written.
  func find(
    _ type: String, _ parameters: [(name: String, value: String)], by judging: Judging, for request: FHIRRequest
  ) throws -> [String] {
    try judging.begin()
    let query = try SearchQuery(type: type, parameters, at: self.site)
    try query.authorize(for: request.asker, at: self.site)
    if let unknown = query.unknown.first {
      throw FHIRFailure(412, "not-supported", "\(type) has no search parameter \(unknown)")
    }
    guard !query.filters.isEmpty else { throw FHIRFailure(412, "required", "a condition is expected") }
    let found = try self.identifiers(query, by: judging)
    self.tell(query, found: found, to: request)
    return found
  }

  private func identifiers(_ query: SearchQuery, by judging: Judging) throws -> [String] {
    let rows = self.index.rows[query.type] ?? []
    let stored = try self.matches(query, in: self.index, by: judging).map { rows[$0].id }
    guard judging.pending.count > 0 else { return stored }
    let fresh = judging.pending.rows[query.type] ?? []
    return stored.filter { judging.pending.place("\(query.type)/\($0)") == nil }
      + (try self.matches(query, in: judging.pending, by: judging).map { fresh[$0].id })
  }

  /// The places of the rows that meet all conditions, in the order in which they were first written.
  func matches(_ query: SearchQuery) throws -> [Int] {
    try self.matches(query, in: self.index, by: Judging(at: self.site))
  }

  private func matches(_ query: SearchQuery, in index: ResourceIndex, by judging: Judging) throws -> [Int] {
    guard let rows = index.rows[query.type] else { return [] }
    var checks: [(ResourceIndex.Row) -> Bool] = []
    var fewest: (count: Int, code: String, keys: [String])?
    var named: Set<Int>?
    for filter in query.filters {
      let keys: [String]?
      if filter.code == "_id", filter.modifier == nil {
        keys = nil
        let places = Set(filter.alternatives.compactMap { index.place("\(query.type)/\($0)") })
        named = named?.intersection(places) ?? places
      } else if filter.chain == nil {
        keys = filter.keys
        checks.append { filter.holds(for: $0) }
      } else {
        let targets = try self.targets(of: filter, by: judging)
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
    let places =
      named?.sorted()
      ?? fewest.map { few in Set(few.keys.flatMap { index.candidates(query.type, few.code, $0) }).sorted() }
    let compared = max(1, query.filters.reduce(0) { $0 + $1.comparedCount })
    try judging.look((places?.count ?? rows.count) * compared)
    var found: [Int] = []
    for (number, place) in (places ?? Array(rows.indices)).enumerated() {
      if number % Self.looksBetweenChecks == 0 { try Task.checkCancellation() }
      if !rows[place].isDeleted, checks.allSatisfy({ $0(rows[place]) }) { found.append(place) }
    }
    return found
  }

  /// After how many rows it is seen whether the client is still there.
  private static let looksBetweenChecks = 256

  /// The references that a chained condition allows.
  func targets(of filter: SearchQuery.Filter, by judging: Judging) throws -> [String] {
    guard let chain = filter.chain else { return [] }
    let inner = try SearchQuery(
      type: try Self.known(chain.type), [(chain.parameter, filter.alternatives.joined(separator: ","))], at: self.site)
    if let unknown = inner.unknown.first {
      throw FHIRFailure(400, "not-supported", "\(chain.type) has no search parameter \(unknown)")
    }
    return try self.identifiers(inner, by: judging).map { "\(chain.type)/\($0)" }
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
    of id: String, _ parameters: [(name: String, value: String)], for asker: FHIRAsker, _ meter: AnswerMeter
  ) throws -> FHIRResponse {
    guard let found = try self.current("Patient/\(id)"), let patient = found.json else {
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
    let start = isPaged ? query.offset : 0
    let page = isPaged ? Array(names.dropFirst(start).prefix(query.count)) : names
    var entries: [CanonicalJSON] = []
    if query.offset == 0 {
      try meter.require(found)
      entries.append(self.entry("Patient/\(id)", patient, mode: "match"))
    }
    var taken = 0
    for name in page {
      try Task.checkCancellation()
      if let found = try self.current(name) {
        guard try meter.admits(found) else { break }
        if let json = found.json { entries.append(self.entry(name, json, mode: "match")) }
      }
      taken += 1
    }
    guard taken > 0 || page.isEmpty else { throw meter.failure }
    var links: [(String, String)] = []
    if isPaged && query.count > 0 || taken < page.count, start + taken < names.count {
      let count = isPaged ? query.count : SearchQuery.countMax
      let types = parameters.filter { $0.name == "_type" }.map { ($0.name, $0.value) }
      let rest = types + [("_count", "\(count)"), ("_offset", "\(start + taken)")]
      links = [("next", "\(self.base)/Patient/\(id)/$everything?" + FHIRURL.text(rest))]
    }
    return FHIRResponse(body: self.bundle("searchset", entries, total: names.count + 1, links: links))
  }
}
