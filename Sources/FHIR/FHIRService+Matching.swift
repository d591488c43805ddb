import HealthRecords
import Primitives

/// Which resources meet a search's conditions.
extension FHIRService {
  /// The identifiers of the resources that a query matches: for conditional writes and references. What is pending is
  /// found as if it were written.
  func find(
    _ type: String, _ parameters: [(name: String, value: String)], by judging: Judging, for request: FHIRRequest
  ) throws -> [String] {
    try judging.begin()
    var query = try SearchQuery(type: type, parameters, at: self.site, self.now())
    let saysWhom = !query.filters.isEmpty
    try query.authorize(for: request.asker)
    if let unknown = query.unknown.first { throw query.refusal(of: unknown) }
    // ⚑ What was built of a value that is missing means nobody: the rest would meet a stranger.
    if let empty = query.empty.first {
      let name = String(empty.prefix(100))
      throw FHIRFailure(412, "required", "\(name) has no value: a condition says whom it means", at: name)
    }
    if let open = query.filters.first(where: \.isOfAnyCode) {
      throw FHIRFailure(
        412, "required", "\(open.code) has a system and no code: a condition says whom it means", at: open.code)
    }
    guard saysWhom else { throw FHIRFailure(412, "required", "a condition is expected") }
    let found = try self.identifiers(query, by: judging)
    self.tell(query, found: found, to: request)
    return found
  }

  private func identifiers(_ query: SearchQuery, by judging: Judging) throws -> [String] {
    try self.found(query, by: judging).map(\.id)
  }

  private func found(_ query: SearchQuery, by judging: Judging) throws -> [ResourceIndex.Row] {
    let rows = self.index.rows[query.type] ?? []
    let stored = try self.matches(query, in: self.index, by: judging).map { rows[$0] }
    guard judging.pending.count > 0 else { return stored }
    let fresh = judging.pending.rows[query.type] ?? []
    return stored.filter { judging.pending.place("\(query.type)/\($0.id)") == nil }
      + (try self.matches(query, in: judging.pending, by: judging).map { fresh[$0] })
  }

  /// The places of the rows that meet all conditions, in the order in which they were first written.
  func matches(_ query: SearchQuery, by judging: Judging) throws -> [Int] {
    try self.matches(query, in: self.index, by: judging)
  }

  private func matches(_ query: SearchQuery, in index: ResourceIndex, by judging: Judging) throws -> [Int] {
    guard let rows = index.rows[query.type] else { return [] }
    var linked: [Int: Set<String>] = [:]
    for (number, filter) in query.filters.enumerated() where filter.link != nil {
      linked[number] = try self.names(linkedBy: filter, to: query.type, by: judging)
    }
    let scan = SearchScan(query, in: index, linked: linked)
    try judging.look(scan.cost(rows.count))
    var found: [Int] = []
    for (number, place) in (scan.places ?? Array(rows.indices)).enumerated() {
      if number % Self.looksBetweenChecks == 0 { try Task.checkCancellation() }
      if scan.holds(for: rows[place]) { found.append(place) }
    }
    return found
  }

  /// After how many rows it is seen whether the client is still there.
  private static let looksBetweenChecks = 256

  /// The names that a condition on other resources allows: of what a reference leads to, or of the resource itself.
  func names(linkedBy filter: SearchFilter, to type: String, by judging: Judging) throws -> Set<String> {
    switch filter.link {
    case nil: []
    case .forward(let queries):
      Set(
        try queries.flatMap { query in try self.identifiers(query, by: judging).map { "\(query.type)/\($0)" } })
    case .backward(let query, let code): Self.names(in: try self.found(query, by: judging), by: code, of: type)
    case .list(let id, let patient): self.names(inList: id, ofPatient: patient, type)
    case .compartment(let id): self.names(ofPatient: id, in: type)
    case .own(let id):
      self.names(ownBy: id, in: type, of: self.index).union(self.names(ownBy: id, in: type, of: judging.pending))
    }
  }

  private static func names(in rows: [ResourceIndex.Row], by code: String, of type: String) -> Set<String> {
    var names: Set<String> = []
    for row in rows {
      for case .reference(let reference) in row.values[code] ?? [] where reference.hasPrefix("\(type)/") {
        names.insert(reference)
      }
    }
    return names
  }

  /// What a List has; nothing where it must be a patient's and is not.
  private func names(inList id: String, ofPatient patient: String?, _ type: String) -> Set<String> {
    guard let row = self.index.row("List/\(id)"), !row.isDeleted,
      patient.map({ self.names(ownBy: $0, in: "List", of: self.index).contains("List/\(id)") }) ?? true
    else { return [] }
    return Self.names(in: [row], by: "item", of: type)
  }

  func names(ofPatient id: String, in type: String) -> Set<String> {
    let rows = self.index.rows[type] ?? []
    var names: Set<String> = []
    for code in Compartment.parameters(of: type) ?? [] {
      for place in self.index.candidates(type, code, "Patient/\(id)")
      where rows[place].values[code]?.contains(.reference("Patient/\(id)")) ?? false {
        names.insert("\(type)/\(rows[place].id)")
      }
    }
    return names
  }

  // MARK: Step by step

  /// As `matches`, but others are answered meanwhile. What is written then is found as it is in the end.
  func scanned(_ query: SearchQuery, by judging: Judging) async throws -> [Int] {
    var linked: [Int: Set<String>] = [:]
    for (number, filter) in query.filters.enumerated() where filter.link != nil {
      linked[number] = try await self.scanned(linkedBy: filter, to: query.type, by: judging)
    }
    let scan = SearchScan(query, in: self.index, linked: linked)
    let watch = self.watch(query.type)
    defer { self.watches[watch] = nil }
    let places = scan.places ?? Array((self.index.rows[query.type] ?? []).indices)
    try judging.look(scan.cost(places.count))
    var found: [Int] = []
    for start in stride(from: 0, to: places.count, by: self.looksBetweenTurns) {
      try Task.checkCancellation()
      if start > 0 { await Task.yield() }
      guard let rows = self.index.rows[query.type] else { break }
      for place in places[start..<min(start + self.looksBetweenTurns, places.count)] where scan.holds(for: rows[place])
      {
        found.append(place)
      }
    }
    guard let touched = self.watches[watch]?.places, !touched.isEmpty else { return found }
    let rows = self.index.rows[query.type] ?? []
    return (found.filter { !touched.contains($0) } + touched.filter { scan.holds(for: rows[$0]) }).sorted()
  }

  private func scanned(
    linkedBy filter: SearchFilter, to type: String, by judging: Judging
  ) async throws -> Set<String> {
    var names: Set<String> = []
    switch filter.link {
    case nil, .list, .compartment, .own: return try self.names(linkedBy: filter, to: type, by: judging)
    case .forward(let queries):
      for query in queries {
        let places = try await self.scanned(query, by: judging)
        let rows = self.index.rows[query.type] ?? []
        for place in places { names.insert("\(query.type)/\(rows[place].id)") }
      }
    case .backward(let query, let code):
      let places = try await self.scanned(query, by: judging)
      let rows = self.index.rows[query.type] ?? []
      names = Self.names(in: places.map { rows[$0] }, by: code, of: type)
    }
    return names
  }

  /// Notes from here on which rows of a type are written.
  private func watch(_ type: String) -> UInt64 {
    self.watchesCount += 1
    self.watches[self.watchesCount] = (type, [])
    return self.watchesCount
  }

  /// Tells the searches that are under way what was written.
  func tellWatches(_ resources: [StoredResource]) {
    guard !self.watches.isEmpty else { return }
    for resource in resources {
      guard let place = self.index.place(resource.name) else { continue }
      for key in self.watches.keys where self.watches[key]?.type == resource.type {
        self.watches[key]?.places.insert(place)
      }
    }
  }

  // MARK: Order

  /// What was found, in the order that a search asks for, as it is now; others are answered meanwhile.
  func ordered(_ places: [Int], _ query: SearchQuery) async throws -> [SearchStates.Hit] {
    guard !query.sort.isEmpty, places.count > self.looksBetweenTurns else {
      return self.hits(query.type, self.sorted(places, query))
    }
    let hits = Dictionary(uniqueKeysWithValues: zip(places, self.hits(query.type, places)))
    var keys: [(place: Int, keys: [String?])] = []
    for start in stride(from: 0, to: places.count, by: self.looksBetweenTurns) {
      try Task.checkCancellation()
      await Task.yield()
      let rows = self.index.rows[query.type] ?? []
      for place in places[start..<min(start + self.looksBetweenTurns, places.count)] {
        keys.append((place, query.sort.map { Self.key(rows[place], $0.code) }))
      }
    }
    return await Self.sortedAside(keys, query.sort.map(\.isDescending)).compactMap { hits[$0] }
  }

  func sorted(_ places: [Int], _ query: SearchQuery) -> [Int] {
    guard !query.sort.isEmpty else { return places }
    let rows = self.index.rows[query.type] ?? []
    return Self.sorted(
      places.map { place in (place, query.sort.map { Self.key(rows[place], $0.code) }) },
      query.sort.map(\.isDescending))
  }

  @concurrent private static func sortedAside(
    _ keys: [(place: Int, keys: [String?])], _ descending: [Bool]
  ) async -> [Int] { self.sorted(keys, descending) }

  /// What has no value comes last.
  private static func sorted(_ keys: [(place: Int, keys: [String?])], _ descending: [Bool]) -> [Int] {
    keys.sorted { left, right in
      for (at, isDescending) in descending.enumerated() {
        guard let one = left.keys[at] else {
          if right.keys[at] != nil { return false }
          continue
        }
        guard let other = right.keys[at] else { return true }
        if one != other { return (one < other) != isDescending }
      }
      return left.place < right.place
    }.map(\.place)
  }

  /// Text that sorts as the value does.
  private static func key(_ row: ResourceIndex.Row, _ code: String) -> String? {
    func number(_ value: Int64) -> String {
      let digits = String(UInt64(bitPattern: value) ^ (1 << 63))
      return String(repeating: "0", count: 20 - digits.count) + digits
    }
    if code == "_id" { return row.id }
    if code == "_lastUpdated" { return number(Int64(clamping: row.updated.milliseconds)) }
    switch row.values[code]?.first {
    case .date(let range)?: return number(range.low)
    case .string(let folded, _)?: return folded
    case .token(_, let code)?: return code
    case .reference(let reference)?: return reference
    case .uri(let uri)?: return uri
    case .quantity(let range, _, _, _)?: return (range.low ?? range.high)?.sortKey
    case .composite?, nil: return nil
    }
  }
}

/// A search's conditions, made ready to be held against rows.
struct SearchScan {
  /// The only rows that can meet them; nil where each must be looked at.
  let places: [Int]?
  private let filters: [(filter: SearchFilter, names: Set<String>?)]
  private let type: String
  private let compared: Int

  /// `linked` has the names that conditions on other resources allow, by the condition's number.
  init(_ query: SearchQuery, in index: ResourceIndex, linked: [Int: Set<String>]) {
    var named: Set<Int>?
    var fewest: (count: Int, place: String, keys: [String])?
    func meet(_ places: Set<Int>) { named = named?.intersection(places) ?? places }
    for (number, filter) in query.filters.enumerated() {
      var keys = filter.keys
      switch filter.link {
      case .forward: keys = linked[number].map { Array($0) }
      case .backward, .list, .compartment, .own: meet(Set((linked[number] ?? []).compactMap { index.place($0) }))
      case nil: if let ids = filter.identifiers { meet(Set(ids.compactMap { index.place("\(query.type)/\($0)") })) }
      }
      guard let keys else { continue }
      let count = keys.reduce(0) { $0 + index.candidatesCount(query.type, filter.place, $1) }
      if fewest.map({ count < $0.count }) ?? true { fewest = (count, filter.place, keys) }
    }
    // What is looked up is looked at again, and only where it is rarest: codes have systems, and rows change.
    self.places =
      named?.sorted()
      ?? fewest.map { few in Set(few.keys.flatMap { index.candidates(query.type, few.place, $0) }).sorted() }
    self.filters = query.filters.enumerated().map { ($1, linked[$0]) }
    self.type = query.type
    self.compared = max(1, query.filters.reduce(0) { $0 + $1.comparedCount })
  }

  /// How many comparisons it takes for a number of rows.
  func cost(_ count: Int) -> Int { (self.places?.count ?? count) * self.compared }

  /// Whether a row meets all conditions.
  func holds(for row: ResourceIndex.Row) -> Bool {
    guard !row.isDeleted else { return false }
    return self.filters.allSatisfy { filter, names in
      guard let names else { return filter.holds(for: row) }
      guard case .forward? = filter.link else { return names.contains("\(self.type)/\(row.id)") }
      return (row.values[filter.code] ?? []).contains { value in
        if case .reference(let reference) = value { names.contains(reference) } else { false }
      }
    }
  }
}
