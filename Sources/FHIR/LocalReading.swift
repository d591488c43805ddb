import HealthRecords
public import Primitives
import Synchronization

/// That somebody was shown what this hospital's own store has of a linked patient.
public struct LocalReading: Sendable, Hashable {
  /// By which sort of request.
  public enum Interaction: UInt8, Sendable, Hashable {
    /// A line that cannot be read any more: who was shown what is not known, only when.
    case unreadable = 0
    /// One resource, or one version of it.
    case read = 1
    /// All versions of a resource.
    case history = 2
    /// What a search found, or brought besides.
    case search = 3
    /// The whole chart.
    case everything = 4
    /// No reading: lines of before that time may be lost, and the hospital went on without them.
    case lost = 5

    /// Its name as FHIR's interactions and operations have it.
    public var name: String {
      switch self {
      case .unreadable: "unreadable"
      case .read: "read"
      case .history: "history-instance"
      case .search: "search-type"
      case .everything: "everything"
      case .lost: "lost"
      }
    }

    /// What a request reads, where it reads.
    init?(_ request: FHIRRequest, status: Int) {
      let last = request.path.last ?? ""
      switch (request.method, request.path.count) {
      case (_, 0): return nil
      // What a condition found is shown in the place of what was sent.
      case ("POST", 1) where request.ifNoneExist != nil && status == 200: self = .search
      case ("GET", _) where last == "_history": self = .history
      case ("PATCH", _): self = .read
      case ("GET", 3) where request.path[0] == FHIRService.exportsPath: self = .everything
      case ("POST", 2) where last == "_search", ("GET", 1),
        ("GET", 3) where last.first?.isUppercase == true:
        self = .search
      case ("GET", _), ("POST", 3): self = last == "$everything" ? .everything : last == "_history" ? .history : .read
      default: return nil
      }
    }
  }

  /// The patient's account.
  public let patient: Digest
  /// The practitioner's account; nil where the hospital's own system asked.
  public let reader: Digest?
  /// The app's `client_id`.
  public let client: String?
  /// How.
  public let interaction: Interaction
  /// The types of what was shown, sorted.
  public var types: [String]
  /// What the first such request of the interval asked, below the base: the path, and the names of parameters. ⚑ Their
  /// values can be a diagnosis, and would outlive a record that is erased.
  public let request: String
  /// When that was. Others of the same sort may have come until the interval was over.
  public let time: Timestamp

  /// The most bytes of a request that are kept.
  public static let requestBytesMax = 512

  /// The same of a line that was written when values were still kept.
  public var question: String {
    let halves = self.request.split(separator: "?", maxSplits: 1)
    guard halves.count == 2 else { return self.request }
    let names = halves[1].split(separator: "&").map { pair in String(pair.prefix { $0 != "=" }) }
    return "\(halves[0])?\(names.joined(separator: "&"))"
  }

  /// A reading of given parts.
  public init(
    patient: Digest, reader: Digest?, client: String?, interaction: Interaction, types: [String], request: String,
    time: Timestamp
  ) {
    (self.patient, self.reader, self.client, self.interaction) = (patient, reader, client, interaction)
    (self.types, self.request, self.time) = (types, Self.cut(request), time)
  }

  /// A text of at most `requestBytesMax`. ⚑ A character can be any number of bytes long.
  private static func cut(_ text: String) -> String {
    guard text.utf8.count > self.requestBytesMax else { return text }
    var (out, count) = (String.UnicodeScalarView(), 0)
    for scalar in text.unicodeScalars {
      count += UTF8.width(scalar)
      guard count <= self.requestBytesMax else { break }
      out.append(scalar)
    }
    return String(out)
  }
}

/// Keeps who was shown what: for each patient, reader, app and sort of request once an interval.
public protocol ReadingLog: Sendable {
  /// How long an interval is, in milliseconds.
  var intervalMilliseconds: UInt64 { get }
  /// Notes readings; when it returns, they are on the disk.
  func note(_ readings: [LocalReading]) async throws
  /// A page of a patient's readings, the latest intervals first.
  func readings(of patient: Digest, _ question: ReadingQuestion) async throws -> ReadingPage
  /// How many lines a patient has in each interval that has any, by the interval's number, the latest first.
  func counts(of patient: Digest) async throws -> [(interval: UInt64, count: Int)]
}

/// Which lines of the log are asked for.
public struct ReadingQuestion: Sendable {
  /// Whose readings.
  public enum Reader: Sendable, Hashable {
    /// Everybody's.
    case anybody
    /// The hospital's own system's.
    case system
    /// A practitioner's.
    case account(Digest)
  }

  /// Whose.
  public var reader = Reader.anybody
  /// Of all intervals that are not over before this time.
  public var from = Timestamp.zero
  /// Of all intervals that begin up to this time.
  public var until = Timestamp.never
  /// The end of the page before, as that page says it.
  public var after: [UInt8]?
  /// The most lines that are wanted.
  public var countMax: Int

  /// The latest lines, at most `countMax`.
  public init(countMax: Int) { self.countMax = countMax }

  /// Whether a line is by whom it is asked for.
  public func names(_ reading: LocalReading) -> Bool {
    // Of a line that cannot be read, or that is lost, nobody knows by whom it is.
    if reading.interaction == .unreadable || reading.interaction == .lost { return true }
    switch self.reader {
    case .anybody: return true
    case .system: return reading.reader == nil
    case .account(let account): return reading.reader == account
    }
  }
}

/// Some lines of the log, and where those after them begin.
public struct ReadingPage: Sendable {
  /// The lines, the latest first.
  public var lines: [LocalReading]
  /// What the next page is after; nil where there is none. A page can have no line and a next one.
  public var next: [UInt8]?
  /// A page of given parts.
  public init(lines: [LocalReading], next: [UInt8]?) { (self.lines, self.next) = (lines, next) }
}

/// What a request's answer tells of patients besides what it shows: that something meets a condition or nothing does,
/// or that something is there.
final class Told: Sendable {
  /// One line that is to be in the log.
  struct Line: Hashable, Sendable {
    let account: Digest
    let interaction: LocalReading.Interaction
    let type: String
  }

  private let lines = Mutex<(open: Set<Line>, noted: Set<Line>)>(([], []))

  func add(_ accounts: Set<Digest>, _ interaction: LocalReading.Interaction, _ type: String) {
    guard !accounts.isEmpty else { return }
    self.lines.withLock { lines in
      for account in accounts {
        lines.open.insert(Line(account: account, interaction: interaction, type: type))
      }
    }
  }

  /// What is to be noted, and is not.
  func take() -> Set<Line> {
    self.lines.withLock { lines in
      defer { lines.open = [] }
      return lines.open.subtracting(lines.noted)
    }
  }

  /// These are on the disk: each is noted once. ⚑ What could not be noted is tried again where it is told again.
  func done(_ noted: Set<Line>) { self.lines.withLock { $0.noted.formUnion(noted) } }
}

extension FHIRService {
  /// ⚑ Notes of which linked patients an answer shows or tells anything, before it is given: one that cannot be noted
  /// is not given. Judged by what is in it and by what was looked for, so no route is forgotten.
  public func note(_ request: FHIRRequest, _ response: FHIRResponse) async throws {
    if self.readings != nil, let body = response.body,
      let interaction = LocalReading.Interaction(request, status: response.status)
    {
      for resource in Self.resources(in: body) {
        guard let type = resource["resourceType"]?.text else { continue }
        request.told.add(self.accounts(in: resource, type: type), interaction, type)
      }
      // ⚑ How many meet a condition tells whether a patient has what it asks for, whatever the page shows.
      let type = request.path.first == "$records" ? "DocumentReference" : request.path.first ?? ""
      request.told.add(response.counted, interaction, type)
    }
    _ = try await self.noteTold(request)
  }

  /// Notes what was told so far; whether that was anything.
  func noteTold(_ request: FHIRRequest) async throws -> Bool {
    let lines = request.told.take()
    guard let log = self.readings, !lines.isEmpty else { return false }
    let (asked, time) = (Self.question(request), self.now())
    let kinds = Dictionary(grouping: lines) { Told.Line(account: $0.account, interaction: $0.interaction, type: "") }
    let sorted = kinds.sorted {
      ($0.key.account, $0.key.interaction.rawValue) < ($1.key.account, $1.key.interaction.rawValue)
    }
    let readings = sorted.map { kind, lines in
      LocalReading(
        patient: kind.account, reader: request.asker.account, client: request.asker.client,
        interaction: kind.interaction, types: lines.map(\.type).sorted(), request: asked, time: time)
    }
    do { try await log.note(readings) } catch {
      throw FHIRFailure(
        503, "transient", "nothing is shown, for it cannot be noted who was shown it (\(error)); see the node's log")
    }
    request.told.done(lines)
    return true
  }

  /// What a request asks, by its path and the names of its parameters.
  private static func question(_ request: FHIRRequest) -> String {
    guard let type = request.path.first else { return "transaction" }
    let condition = request.ifNoneExist.flatMap { try? FHIRURL.parameters($0) } ?? []
    let names = (request.query + condition).map { pair in String(pair.name.prefix { $0 != ":" && $0 != "." }) }
    let known = names.filter { SearchQuery.isKnown($0, of: type) }
    let query = known.isEmpty ? "" : "?" + known.joined(separator: "&")
    var path = request.path
    // Where a version's number is expected, anything can be said.
    if path.count == 4 { path[3] = UInt64(path[3]).map { "\($0)" } ?? "" }
    return path.joined(separator: "/") + query
  }

  /// What the answer to a condition tells: of whom it found, and of whom it names.
  func tell(_ query: SearchQuery, found: [String], to request: FHIRRequest) {
    guard self.readings != nil else { return }
    let rows = found.compactMap { self.index.row("\(query.type)/\($0)") }
    request.told.add(self.accounts(of: rows).union(self.accounts(namedBy: query)), .search, query.type)
  }

  /// What a refusal tells of the resource that a request names: that it is there, which version it has, that it is
  /// deleted.
  func tell(refused request: FHIRRequest, _ status: Int) {
    let path = request.path
    let tells = [404, 409, 410, 412].contains(status) || (status == 422 && request.method == "PATCH")
    guard self.readings != nil, tells, path.count >= 2,
      Self.methods(of: path).contains(request.method), let row = self.index.row("\(path[0])/\(path[1])")
    else { return }
    self.tell(row, "\(path[0])/\(path[1])", path.last == "_history" ? .history : .read, to: request)
  }

  func tell(
    _ row: ResourceIndex.Row, _ name: String, _ interaction: LocalReading.Interaction, to request: FHIRRequest
  ) {
    let type = String(name.prefix { $0 != "/" })
    request.told.add(self.accounts(of: [row]).union(self.anchoredAccounts(name)), interaction, type)
  }

  /// The linked patients whom conditions name, or whose resources they do. ⚑ That nothing meets all conditions tells of
  /// them as well.
  func accounts(namedBy query: SearchQuery) -> Set<Digest> {
    guard self.readings != nil else { return [] }
    var rows: [ResourceIndex.Row] = []
    var patients: Set<String> = []
    for filter in query.filters where filter.modifier != .not && filter.modifier != .missing {
      if let ids = filter.identifiers {
        rows += ids.compactMap { self.index.row("\(query.type)/\($0)") }
      } else if filter.code == "identifier", filter.kind == .token {
        let all = self.index.rows[query.type] ?? []
        rows += (filter.keys ?? []).flatMap { self.index.candidates(query.type, filter.place, $0) }.map { all[$0] }
          .filter { filter.holds(for: $0) }
      } else if filter.modifier == .identifier {
        // Who is meant is known here by that identifier.
        let all = self.index.rows["Patient"] ?? []
        rows += (filter.keys ?? []).flatMap { self.index.candidates("Patient", "identifier", $0) }.map { all[$0] }
      } else if filter.kind == .reference {
        for name in self.names(in: filter) {
          if let row = self.index.row(name) { rows.append(row) }
          if name.hasPrefix("Patient/") { patients.insert(String(name.dropFirst("Patient/".count))) }
        }
      }
    }
    return patients.reduce(into: self.accounts(of: rows)) { $0.formUnion(self.accounts(ofPatient: $1)) }
  }

  /// The resources that a condition on a reference names: by the reference, or along it by an identifier.
  private func names(in filter: SearchFilter) -> [String] {
    switch filter.link {
    case nil: return filter.keys ?? []
    case .backward, .list: return []
    case .compartment(let id), .own(let id): return ["Patient/\(id)"]
    case .forward(let queries):
      let last = queries.first?.lastCode ?? ""
      guard ["_id", "identifier"].contains(last), let type = queries.first?.type else { return [] }
      return (try? self.names(linkedBy: filter, to: type, by: Judging(at: self.site)).sorted()) ?? []
    }
  }

  /// The linked patients whom a resource names anywhere.
  private func accounts(in resource: CanonicalJSON, type: String) -> Set<Digest> {
    var patients: Set<String> = []
    if type == "Patient", let id = resource["id"]?.text { patients.insert(id) }
    resource.forEachReference { text in
      let name = self.site.local(text).split(separator: "/")
      if name.count == 2, name[0] == "Patient" { patients.insert(String(name[1])) }
    }
    // What bears it says whose it is.
    if type == "Binary", let id = resource["id"]?.text, let patient = self.index.row("Binary/\(id)")?.patient {
      patients.insert(patient)
    }
    var accounts = Set(patients.flatMap { self.accounts(ofPatient: $0) })
    if let id = resource["id"]?.text { accounts.formUnion(self.anchoredAccounts("\(type)/\(id)")) }
    // What the ledger has of a patient names the account.
    if let identifier = resource["subject"]?["identifier"], identifier["system"]?.text == Self.accountSystem,
      let account = identifier["value"]?.text.flatMap({ Hex.decode($0) }).flatMap({ Digest($0) })
    {
      accounts.insert(account)
    }
    return accounts
  }

  /// The linked patients whom rows are about or name.
  func accounts(of rows: [ResourceIndex.Row]) -> Set<Digest> {
    guard self.readings != nil else { return [] }
    var patients: Set<String> = []
    for row in rows {
      if let patient = row.patient { patients.insert(patient) }
      for values in row.values.values {
        for case .reference(let reference) in values where reference.hasPrefix("Patient/") {
          patients.insert(String(reference.dropFirst("Patient/".count)))
        }
      }
    }
    return Set(patients.flatMap { self.accounts(ofPatient: $0) })
  }

  /// The accounts of a patient here: of its link, and of what the ledger has of it. ⚑ A link that is taken away and put
  /// back, or a patient who is deleted, hides nobody's reading.
  private func accounts(ofPatient id: String) -> Set<Digest> {
    self.anchoredAccounts("Patient/\(id)").union(self.account(ofPatient: id).map { [$0] } ?? [])
  }

  /// The accounts under which a resource is on the ledger, or on its way there.
  private func anchoredAccounts(_ name: String) -> Set<Digest> {
    let note = self.book.notes[name]
    return Set([note?.anchored?.account, note?.draft?.goal.account].compactMap { $0 })
  }

  private static func resources(in body: CanonicalJSON) -> [CanonicalJSON] {
    guard body["resourceType"]?.text == "Bundle" else { return [body] }
    return (body["entry"]?.items ?? []).compactMap { $0["resource"] }
  }
}
