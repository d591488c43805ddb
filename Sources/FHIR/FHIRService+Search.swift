import HealthRecords
import Primitives

/// Searches: which resources are found, and what an answer shows of them.
extension FHIRService {
  /// A search by itself: others are answered between its steps.
  func searched(_ type: String, _ request: FHIRRequest) async throws -> FHIRResponse {
    let query = try self.query(type, request)
    if let state = query.state {
      return try self.answer(query, try self.kept(query, in: state, request), request)
    }
    let found = try await self.scanned(query, by: try self.judging(request))
    try self.lookAgain(query, found.count, request)
    let hits = try await self.ordered(found, query)
    return try self.answer(query, SearchStates.Found(hits: hits, time: self.now()), request)
  }

  /// A search within a transaction: nothing is waited for.
  func search(_ type: String, _ request: FHIRRequest) throws -> FHIRResponse {
    let query = try self.query(type, request)
    if let state = query.state {
      return try self.answer(query, try self.kept(query, in: state, request), request)
    }
    let found = try self.matches(query, by: self.judging(request))
    try self.lookAgain(query, found.count, request)
    let hits = self.hits(query.type, self.sorted(found, query))
    return try self.answer(query, SearchStates.Found(hits: hits, time: self.now()), request)
  }

  private func judging(_ request: FHIRRequest) throws -> Judging {
    let judging = Judging(at: self.site, request.looks)
    try judging.begin()
    return judging
  }

  /// What is found is looked at again where it is sorted.
  private func lookAgain(_ query: SearchQuery, _ count: Int, _ request: FHIRRequest) throws {
    if !query.isCountOnly { try request.looks.look(count * query.sort.count) }
  }

  /// What an earlier page found.
  private func kept(_ query: SearchQuery, in state: String, _ request: FHIRRequest) throws -> SearchStates.Found {
    let found = try self.states.found(of: query.question, for: request.asker, in: state, at: self.now())
    try request.looks.look(found.hits.count)
    return found
  }

  private func query(_ type: String, _ request: FHIRRequest) throws -> SearchQuery {
    var query = try SearchQuery(type: try Self.known(type), request.query, at: self.site, self.now())
    if request.path.count == 3 {
      guard try self.current("Patient/\(request.path[1])") != nil else {
        throw FHIRFailure(404, "not-found", "there is no Patient/\(request.path[1])")
      }
      query.restrict(toPatient: request.path[1])
    }
    try query.authorize(for: request.asker)
    if let unknown = query.unknown.first, Preferences(request.prefer).handling != .lenient {
      throw query.refusal(of: unknown)
    }
    if let empty = query.empty.first, Preferences(request.prefer).handling != .lenient {
      throw SearchQuery.refusal(ofEmpty: empty)
    }
    return query
  }

  func hits(_ type: String, _ places: [Int]) -> [SearchStates.Hit] {
    let rows = self.index.rows[type] ?? []
    return places.map { Self.hit(type, $0, rows[$0]) }
  }

  static func hit(_ type: String, _ place: Int, _ row: ResourceIndex.Row) -> SearchStates.Hit {
    SearchStates.Hit(
      type: UInt16(SearchParameter.types.firstIndex(of: type) ?? 0), place: UInt32(place),
      version: UInt32(clamping: row.version))
  }

  /// The row of something that was found.
  func row(of hit: SearchStates.Hit) -> (type: String, row: ResourceIndex.Row)? {
    let type = SearchParameter.types[Int(hit.type)]
    return self.index.rows[type].map { (type, $0[Int(hit.place)]) }
  }

  /// A page of what was found.
  private func answer(
    _ query: SearchQuery, _ found: SearchStates.Found, _ request: FHIRRequest
  ) throws -> FHIRResponse {
    let hits = found.hits
    let page = query.isCountOnly ? [] : Array(hits.dropFirst(query.offset).prefix(query.count))
    var (entries, taken) = try self.entries(page, request.meter)
    let shown = try self.shown(page.prefix(taken), query, request)
    var issues: [(severity: String, code: String, message: String, expression: String?)] = query.unknown.map {
      ("warning", "not-supported", "\(query.type) has no search parameter \($0); it was ignored", nil)
    }
    for name in query.empty {
      issues.append(("warning", "required", "\(name.prefix(100)) has no value; it was ignored", nil))
    }
    let isFull = try self.include(query, shown, request, into: &entries)
    // Said whether or not there was any: what is left out shows nothing of itself.
    if !query.includes.isEmpty, !request.asker.seesEverything {
      let message = "resources other than those of \(request.asker.scopes.text) are left out of _include"
      issues.append(("information", "suppressed", message, nil))
    }
    // ⚑ The store has but a part of it.
    if self.ledger != nil, query.revincludes.contains(where: { $0.source == "Provenance" }),
      shown.contains(where: { $0.patient.flatMap { self.account(ofPatient: $0) } != nil })
    {
      let message = "what the ledger proves is no part of _revinclude: ask for Provenance?patient=ID"
      issues.append(("information", "incomplete", message, nil))
    }
    if isFull {
      let message =
        "the answer is full: some of what _include and _revinclude name is left out; ask for fewer by _count"
      issues.append(("warning", "too-costly", message, nil))
    }
    if !issues.isEmpty {
      entries.append(
        .members([
          ("resource", FHIRFailure.outcome(issues)), ("search", .members([("mode", .string("outcome"))])),
        ]))
    }
    let total = query.saysTotal || query.isCountOnly ? hits.count : nil
    var response = FHIRResponse(
      body: self.bundle(
        "searchset", entries, total: total, links: self.links(query, found, taken: taken, for: request.asker),
        of: found.time))
    if !query.filters.isEmpty {
      response.counted = self.accounts(of: hits.compactMap { self.row(of: $0)?.row })
        .union(self.accounts(namedBy: query))
    }
    return response
  }

  /// The entries for which an answer has room, and how much of a page they are: the rest is the next page's.
  func entries(_ page: [SearchStates.Hit], _ meter: AnswerMeter) throws -> ([CanonicalJSON], taken: Int) {
    var (entries, taken): ([CanonicalJSON], Int) = ([], 0)
    for hit in page {
      try Task.checkCancellation()
      if let (type, row) = self.row(of: hit), let found = try self.stored(type, row.id, UInt64(hit.version)) {
        guard try meter.admits(found) else { break }
        // What was erased meanwhile is shown to nobody.
        if let json = found.json { entries.append(self.entry("\(type)/\(row.id)", json, mode: "match")) }
      }
      taken += 1
    }
    guard taken > 0 || page.isEmpty else { throw meter.failure }
    return (entries, taken)
  }

  /// The rows of what a page shows. ⚑ As it shows them: what a resource names by now is none of what it named then.
  private func shown(
    _ page: ArraySlice<SearchStates.Hit>, _ query: SearchQuery, _ request: FHIRRequest
  ) throws -> [ResourceIndex.Row] {
    guard !query.includes.isEmpty || !query.revincludes.isEmpty else { return [] }
    return try page.compactMap { hit in
      guard let (type, row) = self.row(of: hit) else { return nil }
      guard row.version != UInt64(hit.version) else { return row.isDeleted ? nil : row }
      try request.looks.look(Self.includeLooks)
      guard let json = try self.stored(type, row.id, UInt64(hit.version))?.json else { return nil }
      var then = row
      then.values = SearchValue.all(of: type, in: json, at: self.site).values
      return then
    }
  }

  private func links(
    _ query: SearchQuery, _ found: SearchStates.Found, taken: Int, for asker: FHIRAsker
  ) -> [(String, String)] {
    let hits = found.hits
    var state = query.state
    let hasNext = !query.isCountOnly && query.offset + taken < hits.count && taken > 0
    if state == nil, hasNext {
      let name = self.freshIdentifier()
      if self.states.keep(found, of: query.question, for: asker, as: name) { state = name }
    }
    let kept = query.understood.filter { !["_offset", "_count", "_state"].contains($0.0) }
    func link(_ offset: Int, in state: String?) -> String {
      let paging =
        [("_count", "\(query.count)")] + (offset > 0 ? [("_offset", "\(offset)")] : [])
        + (state.map { [("_state", $0)] } ?? [])
      return "\(self.base)/\(query.path)?" + FHIRURL.text(kept + paging)
    }
    // ⚑ Asked again, the first page is of what is there then: only the pages after it are one state with it.
    var links = [("self", link(query.offset, in: query.state))]
    guard !query.isCountOnly, query.count > 0 else { return links }
    if query.offset > 0 {
      links.append(("first", link(0, in: state)))
      links.append(("previous", link(max(0, query.offset - query.count), in: state)))
    }
    if hasNext { links.append(("next", link(query.offset + taken, in: state))) }
    return links
  }

  func entry(_ name: String, _ json: CanonicalJSON, mode: String) -> CanonicalJSON {
    .members([
      ("fullUrl", .string("\(self.base)/\(name)")), ("resource", json),
      ("search", .members([("mode", .string(mode))])),
    ])
  }

  /// A bundle; `time` is when what it shows was so, where that may be long ago.
  func bundle(
    _ type: String, _ entries: [CanonicalJSON], total: Int?, links: [(String, String)], of time: Timestamp? = nil
  ) -> CanonicalJSON {
    .members([
      ("resourceType", .string("Bundle")),
      ("meta", time.map { .members([("lastUpdated", .string($0.description))]) }), ("type", .string(type)),
      ("total", total.map { .number("\($0)") }),
      (
        "link",
        links.isEmpty
          ? nil : .array(links.map { .members([("relation", .string($0.0)), ("url", .string($0.1))]) })
      ),
      ("entry", entries.isEmpty ? nil : .array(entries)),
    ])
  }

  func current(_ name: String) throws -> StoredResource? {
    guard let row = self.index.row(name), !row.isDeleted else { return nil }
    return try self.stored(String(name.prefix { $0 != "/" }), row.id, row.version)
  }

  // MARK: Included

  /// The most resources that are looked at for what a page brings besides its matches.
  private static let includedMax = 20_000
  /// What it costs to see what a reference of one row brings, or who refers to it.
  static let includeLooks = 10

  /// Adds what a page brings besides its matches, each resource once; whether anything had no room.
  private func include(
    _ query: SearchQuery, _ page: [ResourceIndex.Row], _ request: FHIRRequest, into entries: inout [CanonicalJSON]
  ) throws -> Bool {
    guard !query.includes.isEmpty || !query.revincludes.isEmpty else { return false }
    var seen = Set(page.map { "\(query.type)/\($0.id)" })
    var wave = page.map { (type: query.type, row: $0) }
    var isFirst = true
    while !wave.isEmpty {
      var next: [(type: String, row: ResourceIndex.Row)] = []
      let includes = query.includes.count + query.revincludes.count
      try request.looks.look(wave.count * includes * Self.includeLooks)
      let names = self.named(by: wave, query, isFirst: isFirst)
      try request.looks.look(names.count)
      for name in names where seen.insert(name).inserted {
        try Task.checkCancellation()
        let type = String(name.prefix { $0 != "/" })
        guard let row = self.index.row(name), self.shows(type, row, to: request.asker),
          let found = try self.current(name)
        else { continue }
        guard seen.count <= Self.includedMax, try request.meter.admits(found) else { return true }
        if let json = found.json { entries.append(self.entry(name, json, mode: "include")) }
        next.append((type, row))
      }
      (wave, isFirst) = (next, false)
    }
    return false
  }

  /// What resources bring: all includes of a page's matches, and those that iterate of what these brought.
  private func named(
    by rows: [(type: String, row: ResourceIndex.Row)], _ query: SearchQuery, isFirst: Bool
  ) -> [String] {
    var names: [String] = []
    for include in query.includes where isFirst || include.iterates {
      for (type, row) in rows where type == include.source {
        let codes = include.code == "*" ? row.values.keys.sorted() : [include.code]
        for case .reference(let reference) in codes.flatMap({ row.values[$0] ?? [] })
        where include.target.map({ reference.hasPrefix("\($0)/") }) ?? true {
          names.append(reference)
        }
      }
    }
    for include in query.revincludes where isFirst || include.iterates {
      guard let sources = self.index.rows[include.source] else { continue }
      let parameters = (SearchParameter.of(include.source) ?? [:]).values.filter { $0.kind == .reference }
      let codes = include.code == "*" ? parameters.map(\.code).sorted() : [include.code]
      for (type, row) in rows where include.target.map({ $0 == type }) ?? true {
        for code in codes {
          let found = self.index.candidates(include.source, code, "\(type)/\(row.id)")
          names += Set(found).sorted().filter { place in
            (sources[place].values[code] ?? []).contains { $0 == .reference("\(type)/\(row.id)") }
          }.map { "\(include.source)/\(sources[$0].id)" }
        }
      }
    }
    return names
  }
}
