import HealthRecords
import Primitives

/// Versions of resources, the latest first (FHIR R4, http.html#history). ⚑ What was erased is there as deleted, at the
/// time when it was: who follows a history forgets it too. An erased version before the latest is left out.
extension FHIRService {
  /// What a history takes; `_before` is where the page before ended.
  static let historyParameters = ["_at", "_before", "_count", "_since"]
  /// The most versions that a page of a type's or the whole history looks at.
  private static let historyLooksMax = 20_000

  /// Of one resource.
  func history(_ type: String, _ id: String, _ request: FHIRRequest) throws -> FHIRResponse {
    guard let row = self.index.row("\(type)/\(id)") else {
      throw FHIRFailure(404, "not-found", "there never was a \(type)/\(id)")
    }
    let asked = try HistoryQuestion(request.query)
    let countMax = asked.count ?? Int.max
    try request.looks.look(Int(clamping: row.version))
    var (total, keptCount, entries, isFull, latest) = (0, 0, [CanonicalJSON](), false, StoredResource?.none)
    var (hasMore, last, next) = (false, row.version, StoredResource?.none)
    // One after another: all of them together may be longer than the memory.
    for number in (1...max(1, row.version)).reversed() {
      try Task.checkCancellation()
      guard let version = try self.stored(type, id, number) else { continue }
      let isLatest = latest == nil
      if isLatest { latest = version }
      defer { next = version }
      guard version.erased == nil || isLatest, self.isOwn(version, for: request.asker) else { continue }
      total += 1
      if version.erased == nil { keptCount += 1 }
      guard number < asked.versionBefore ?? .max, asked.has(version, until: next?.updated) else { continue }
      guard entries.count < countMax, !isFull, try request.meter.admits(version) else {
        (isFull, hasMore) = (true, true)
        continue
      }
      entries.append(self.historyEntry(version))
      last = number
    }
    if keptCount == 0, let latest, let erased = latest.erased { throw erased.failure(of: latest) }
    guard total > 0 else { throw FHIRFailure(404, "not-found", "there never was a \(type)/\(id)") }
    guard !entries.isEmpty || !hasMore || countMax == 0 else { throw request.meter.failure }
    let links = hasMore && countMax > 0 ? [self.next("\(type)/\(id)/_history", asked, before: "\(last)")] : []
    return FHIRResponse(body: self.bundle("history", entries, total: asked.isWhole ? total : nil, links: links))
  }

  /// Of all resources of a type, or of all.
  func history(of type: String?, _ request: FHIRRequest) throws -> FHIRResponse {
    let asked = try HistoryQuestion(request.query)
    let count = asked.count ?? SearchQuery.countDefault
    try request.looks.look(type.map { self.index.rows[$0]?.count ?? 0 } ?? self.index.count)
    var looks = 0
    defer { request.looks.add(looks) }
    var lines = try self.newest(of: type, asked, count: count + 1, &looks)
    var (entries, last): ([CanonicalJSON], HistoryLine?) = ([], nil)
    var hasMore = false
    while let line = lines.popLast() {
      try Task.checkCancellation()
      guard entries.count < count, try request.meter.admits(line.version) else {
        hasMore = true
        break
      }
      entries.append(self.historyEntry(line.version))
      last = line
      if let older = try self.older(than: line, asked, &looks) {
        lines.insert(older, at: lines.firstIndex { older.place < $0.place } ?? lines.endIndex)
      }
    }
    guard !entries.isEmpty || !hasMore || count == 0 else { throw request.meter.failure }
    let path = type.map { "\($0)/_history" } ?? "_history"
    let links = (hasMore ? last : nil).map { [self.next(path, asked, before: $0.place.text)] } ?? []
    return FHIRResponse(body: self.bundle("history", entries, total: nil, links: links))
  }

  private func next(_ path: String, _ asked: HistoryQuestion, before: String) -> (String, String) {
    let query = FHIRURL.text(asked.kept + [("_before", before)])
    return ("next", "\(self.base)/\(path)?\(query)")
  }

  /// A version, and where it stands in a history.
  private struct HistoryLine {
    let version: StoredResource
    let place: HistoryPlace
  }

  /// The newest version that is asked for of each of the `count` resources that changed last, the newest at the end.
  private func newest(
    of type: String?, _ asked: HistoryQuestion, count: Int, _ looks: inout Int
  ) throws -> [HistoryLine] {
    var lines: [HistoryLine] = []
    var least: HistoryPlace?
    let types = type.map { [$0] } ?? SearchParameter.types
    for type in types {
      for (number, row) in (self.index.rows[type] ?? []).enumerated() {
        if number % 256 == 0 { try Task.checkCancellation() }
        let first = HistoryPlace(milliseconds: row.changed.milliseconds, type: type, ordinal: row.ordinal, row.version)
        // Its older versions are older still.
        if let least, first < least { continue }
        if let since = asked.since, row.changed < since { continue }
        guard let line = try self.line(type, row.id, row.version, first, nil, asked, &looks) else { continue }
        lines.append(line)
        guard lines.count >= 2 * count else { continue }
        lines.sort { $0.place < $1.place }
        lines.removeFirst(lines.count - count)
        least = lines.first?.place
      }
    }
    lines.sort { $0.place < $1.place }
    return Array(lines.suffix(count))
  }

  private func older(than line: HistoryLine, _ asked: HistoryQuestion, _ looks: inout Int) throws -> HistoryLine? {
    let version = line.version
    return try self.line(
      version.type, version.id, version.version - 1, line.place, version.updated, asked, &looks)
  }

  /// The newest version from one on that is asked for, `until` the time of the one after it.
  private func line(
    _ type: String, _ id: String, _ from: UInt64, _ above: HistoryPlace, _ until: Timestamp?,
    _ asked: HistoryQuestion, _ looks: inout Int
  ) throws -> HistoryLine? {
    var (number, place, until) = (from, above, until)
    while number > 0 {
      looks += 1
      guard looks <= Self.historyLooksMax else {
        throw FHIRFailure(
          413, "too-costly",
          "over \(Self.historyLooksMax) versions are looked at: ask for less by _since, _at or a type")
      }
      guard let version = try self.stored(type, id, number) else { return nil }
      // A clock that went back does not change the order of versions.
      let isLatest = until == nil
      place = place.atMost((isLatest ? version.changed : version.updated).milliseconds, number)
      if let since = asked.since, version.changed < since { return nil }
      let isBefore = asked.placeBefore.map { place < $0 } ?? true
      if isBefore, version.erased == nil || isLatest, asked.has(version, until: until) {
        return HistoryLine(version: version, place: place)
      }
      until = version.updated
      number -= 1
    }
    return nil
  }
}

/// Where a version stands in the history of a type or of all: by time, and where that is the same, by resource.
private struct HistoryPlace: Comparable {
  private let milliseconds: UInt64
  private let type: String
  private let ordinal: UInt64
  private let version: UInt64

  init(milliseconds: UInt64, type: String, ordinal: UInt64, _ version: UInt64) {
    (self.milliseconds, self.type, self.ordinal, self.version) = (milliseconds, type, ordinal, version)
  }

  init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 4, let milliseconds = UInt64(parts[0]), let ordinal = UInt64(parts[2]),
      let version = UInt64(parts[3])
    else { return nil }
    self.init(milliseconds: milliseconds, type: parts[1], ordinal: ordinal, version)
  }

  var text: String { "\(self.milliseconds)-\(self.type)-\(self.ordinal)-\(self.version)" }

  func atMost(_ milliseconds: UInt64, _ version: UInt64) -> HistoryPlace {
    HistoryPlace(
      milliseconds: min(self.milliseconds, milliseconds), type: self.type, ordinal: self.ordinal, version)
  }

  static func < (left: HistoryPlace, right: HistoryPlace) -> Bool {
    (left.milliseconds, left.type, left.ordinal, left.version)
      < (right.milliseconds, right.type, right.ordinal, right.version)
  }
}

/// Which versions are asked for.
private struct HistoryQuestion {
  private(set) var count: Int?
  private(set) var since: Timestamp?
  private(set) var versionBefore: UInt64?
  private(set) var placeBefore: HistoryPlace?
  private var time: DateRange?
  /// What each page asks in the same way.
  private(set) var kept: [(String, String)] = []

  init(_ parameters: [(name: String, value: String)]) throws(FHIRFailure) {
    for (name, value) in parameters where !value.isEmpty {
      switch name {
      case "_count":
        guard let count = Int(value), count >= 0 else { throw SearchQuery.bad(name, "a number is expected") }
        self.count = min(count, SearchQuery.countMax)
      case "_since":
        guard let range = DateRange(value) else { throw SearchQuery.bad(name, "\"\(value)\" is no instant") }
        self.since = Timestamp(milliseconds: range.lowMilliseconds)
      case "_at":
        guard let range = DateRange(value) else { throw SearchQuery.bad(name, "\"\(value)\" is no date") }
        self.time = range
      case "_before":
        (self.versionBefore, self.placeBefore) = (UInt64(value), HistoryPlace(value))
        guard self.versionBefore != nil || self.placeBefore != nil else {
          throw SearchQuery.bad(name, "it is taken from the link next, as it is")
        }
        continue
      case _ where Presentation.names.contains(name): break
      default:
        throw FHIRFailure(
          400, "not-supported",
          "a history has no parameter \(name.prefix(100)); it has _count, _since and _at", at: name)
      }
      self.kept.append((name, value))
    }
  }

  /// Whether all versions are asked for.
  var isWhole: Bool { self.since == nil && self.time == nil }

  /// Whether a version, which another followed at a time, is asked for.
  func has(_ version: StoredResource, until next: Timestamp?) -> Bool {
    if let since, version.changed < since { return false }
    guard let time else { return true }
    return DateRange(version.changed).low < time.high && next.map { DateRange($0).low > time.low } ?? true
  }
}
