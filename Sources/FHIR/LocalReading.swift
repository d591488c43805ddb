import HealthRecords
public import Primitives

/// That somebody was shown what this hospital's own store has of a linked patient.
public struct LocalReading: Sendable, Hashable {
  /// By which sort of request.
  public enum Interaction: UInt8, Sendable, Hashable {
    /// One resource, or one version of it.
    case read = 1
    /// All versions of a resource.
    case history = 2
    /// What a search found, or brought besides.
    case search = 3
    /// The whole chart.
    case everything = 4

    /// Its name as FHIR's interactions and operations have it.
    public var name: String {
      switch self {
      case .read: "read"
      case .history: "history-instance"
      case .search: "search-type"
      case .everything: "everything"
      }
    }

    /// What a request reads, where it reads.
    init?(_ request: FHIRRequest, status: Int) {
      let last = request.path.last ?? ""
      switch (request.method, request.path.count) {
      case (_, 0): return nil
      // What a condition found is shown in the place of what was sent.
      case ("POST", 1) where request.ifNoneExist != nil && status == 200: self = .search
      case ("POST", 2) where last == "_search", ("GET", 1): self = .search
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
  /// What the first such request of the interval asked, below the base, as far as it is kept.
  public let request: String
  /// When that was. Others of the same sort may have come until the interval was over.
  public let time: Timestamp

  /// A reading of given parts.
  public init(
    patient: Digest, reader: Digest?, client: String?, interaction: Interaction, types: [String], request: String,
    time: Timestamp
  ) {
    (self.patient, self.reader, self.client, self.interaction) = (patient, reader, client, interaction)
    (self.types, self.request, self.time) = (types, request, time)
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
  /// At most so many lines.
  public var countMax: Int

  /// The latest lines, at most so many.
  public init(countMax: Int) { self.countMax = countMax }

  /// Whether a line is by whom it is asked for.
  public func names(_ reading: LocalReading) -> Bool {
    switch self.reader {
    case .anybody: true
    case .system: reading.reader == nil
    case .account(let account): reading.reader == account
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

extension FHIRService {
  /// The most characters of a request that are kept.
  private static let requestCharactersMax = 512

  /// ⚑ Notes of which linked patients an answer shows anything, before it is given: one that cannot be noted is not
  /// given. Judged by what is in it, so no route is forgotten.
  public func note(_ request: FHIRRequest, _ response: FHIRResponse) async throws {
    guard let log = self.readings, let body = response.body,
      let interaction = LocalReading.Interaction(request, status: response.status)
    else { return }
    var shown: [Digest: Set<String>] = [:]
    for resource in Self.resources(in: body) {
      guard let type = resource["resourceType"]?.text else { continue }
      for account in self.accounts(in: resource, type: type) { shown[account, default: []].insert(type) }
    }
    // ⚑ How many meet a condition tells whether a patient has what it asks for, whatever the page shows.
    let type = request.path.first == "$records" ? "DocumentReference" : request.path.first ?? ""
    for account in response.counted { shown[account, default: []].insert(type) }
    guard !shown.isEmpty else { return }
    let query = request.query.isEmpty ? "" : "?" + FHIRURL.text(request.query.map { ($0.name, $0.value) })
    let asked = String((request.path.joined(separator: "/") + query).prefix(Self.requestCharactersMax))
    let time = self.now()
    let readings = shown.sorted { $0.key < $1.key }.map { account, types in
      LocalReading(
        patient: account, reader: request.asker.account, client: request.asker.client, interaction: interaction,
        types: types.sorted(), request: asked, time: time)
    }
    do { try await log.note(readings) } catch {
      throw FHIRFailure(
        503, "transient", "nothing is shown, for it cannot be noted who was shown it (\(error)); see the node's log")
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
