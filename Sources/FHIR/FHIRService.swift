public import HealthRecords
public import Primitives

/// What a client of the FHIR interface asks.
public struct FHIRRequest: Sendable {
  /// GET, POST, PUT or DELETE.
  public var method: String
  /// The path below the base, divided at slashes.
  public var path: [String]
  /// The query, decoded, in its order.
  public var query: [(name: String, value: String)]
  /// `If-Match`.
  public var ifMatch: String?
  /// `If-None-Match`.
  public var ifNoneMatch: String?
  /// `If-None-Exist`: a query.
  public var ifNoneExist: String?
  /// `Prefer`.
  public var prefer: String?
  /// The body.
  public var body: [UInt8]
  /// In whose name it is made.
  public var asker = FHIRAsker.system
  /// What its answer may take.
  public var meter = AnswerMeter()
  /// What its answer tells of patients besides what it shows.
  var told = Told()

  /// A request of given parts.
  public init(method: String, path: [String], query: [(name: String, value: String)] = [], body: [UInt8] = []) {
    (self.method, self.path, self.query, self.body) = (method, path, query, body)
  }
}

/// What it is answered.
public struct FHIRResponse: Sendable {
  /// The HTTP status.
  public var status = 200
  /// The body; nil for none.
  public var body: CanonicalJSON?
  /// The version, for `ETag: W/"n"`.
  public var version: UInt64?
  /// When it was written.
  public var updated: Timestamp?
  /// Where a version stands, below the base.
  public var location: String?
  /// The record that anchors it, or `pending`.
  public var anchor: String?
  /// The accounts of the patients whom a search with a condition counts: its total tells of them without a resource.
  public var counted: Set<Digest> = []

  /// An answer with a status and a body.
  public init(status: Int = 200, body: CanonicalJSON? = nil) { (self.status, self.body) = (status, body) }

  /// The same without the body, where that is a version which the client named as known (`If-None-Match`).
  func unlessNamed(by request: FHIRRequest) -> FHIRResponse {
    guard request.method == "GET", let version = self.version, let tags = request.ifNoneMatch.flatMap(EntityTags.init),
      tags.names(version)
    else { return self }
    var same = self
    (same.status, same.body) = (304, nil)
    return same
  }
}

/// What the ledger itself says of a patient.
public protocol LedgerViews: Sendable {
  /// By what right a record was erased; nil where it is not.
  func erasure(of record: Digest) async -> Erasure?
  /// An account's consents, as `Consent`.
  func consents(of account: Digest, patient: String) async -> [CanonicalJSON]
  /// The access history, as `AuditEvent`, newest first, and how many lines it has.
  func accesses(
    of account: Digest, patient: String, skipping offset: Int, countMax: Int
  ) async throws -> (total: Int, page: [CanonicalJSON])
  /// Who anchored what, as `Provenance`, newest first, and how many there are; `names` are the resources of records
  /// that are stored here.
  func provenance(
    of account: Digest, names: [String: String], skipping offset: Int, countMax: Int
  ) async -> (total: Int, page: [CanonicalJSON])
}

/// A hospital's FHIR R4 interface: its EHR writes and reads resources; each of a linked patient is sealed and anchored.
///
/// A patient is linked to an account by an identifier of `accountSystem`. What is written before is stored here,
/// encrypted, and anchored when the patient is linked.
public actor FHIRService {
  /// The identifier system by which a Patient names its account in the ledger.
  public static let accountSystem = "urn:consilium:account"
  /// The most bytes of a request.
  public static let bodyBytesMax = 64 << 20

  let store: any ResourceStore
  let anchoring: any RecordAnchoring
  let ledger: (any LedgerViews)?
  let readings: (any ReadingLog)?
  let now: @Sendable () -> Timestamp
  let entropy: @Sendable (Int) -> [UInt8]
  /// Where clients reach it, for links.
  let base: String
  /// What references mean.
  let site: Site
  var index: ResourceIndex
  /// Records that were erased before it was known here what they anchor, the latest.
  var erasedEarly: [(record: Digest, right: Erasure)] = []
  /// What the ledger has of what is stored.
  var book: AnchorBook
  /// Those who wait until a resource is free.
  var waiters: [CheckedContinuation<Void, Never>] = []
  /// When this service began.
  let started: Timestamp

  /// A service over a store; reads everything that it holds.
  public init(
    store: any ResourceStore, anchoring: any RecordAnchoring, ledger: (any LedgerViews)? = nil,
    readings: (any ReadingLog)? = nil, base: String,
    now: @escaping @Sendable () -> Timestamp,
    entropy: @escaping @Sendable (Int) -> [UInt8]
  ) throws {
    (self.store, self.anchoring, self.base, self.now, self.entropy) = (store, anchoring, base, now, entropy)
    (self.ledger, self.readings) = (ledger, readings)
    self.site = Site(base: base)
    self.started = now()
    var index = ResourceIndex(site: self.site)
    var held: [StoredResource] = []
    try store.latest { held.append($0) }
    for resource in held.sorted(by: { $0.ordinal < $1.ordinal }) { index.put(resource) }
    var notes: [AnchorNote] = []
    try store.notes { notes.append($0) }
    self.book = try AnchorBook(notes, in: index, store)
    self.index = index
  }

  /// Answers a request; refusals are answers too.
  public func handle(_ request: FHIRRequest) async -> FHIRResponse {
    do {
      try Task.checkCancellation()
      let response: FHIRResponse
      do { response = try await self.answer(request) } catch let error where !(error is CancellationError) {
        response = Self.refusal(error)
        self.tell(refused: request, response.status)
      }
      try await self.note(request, response)
      return response.unlessNamed(by: request)
    } catch { return Self.refusal(error) }
  }

  static func refusal(_ error: any Error) -> FHIRResponse {
    let left = error is CancellationError ? FHIRFailure(503, "transient", "the client left: send it again") : nil
    let failure = error as? FHIRFailure ?? left ?? FHIRFailure(500, "exception", "\(error)")
    return FHIRResponse(status: failure.status, body: failure.outcome)
  }

  private func answer(_ request: FHIRRequest) async throws -> FHIRResponse {
    let path = request.path
    try self.judge(request)
    switch (request.method, path.count) {
    case ("POST", 0): return try await self.bundle(try await Self.parsed(request.body), request)
    case ("GET", 1) where CapabilityStatement.views.contains(path[0]):
      return try await self.ledgerView(path[0], request.query)
    case ("POST", 1), ("PUT", 1), ("PUT", 2), ("DELETE", 1), ("DELETE", 2): return try await self.write(request)
    default: return try self.reading(request)
    }
  }

  /// Whether there is such a thing to be asked, and its asker may.
  func judge(_ request: FHIRRequest) throws(FHIRFailure) {
    let methods = Self.methods(of: request.path)
    guard methods.contains(request.method) else {
      throw FHIRFailure(
        methods.isEmpty ? 404 : 405, "not-supported",
        "\(request.method) \(request.path.joined(separator: "/")) is not supported; see \(self.base)/metadata")
    }
    try request.authorize()
  }

  /// Answers what changes nothing and waits for nobody.
  func reading(_ request: FHIRRequest) throws -> FHIRResponse {
    let path = request.path
    switch (request.method, path.count) {
    case ("GET", 1) where path[0] == "metadata": return FHIRResponse(body: CapabilityStatement.of(base: self.base))
    case ("GET", 1) where path[0] == "openapi.json": return FHIRResponse(body: OpenAPI.of(base: self.base))
    case ("GET", 1): return try self.search(path[0], request)
    case ("POST", 2) where path[1] == "_search":
      return try self.search(path[0], request)
    case ("POST", 2) where path[1] == "$validate":
      let faults = Validation.faults(of: try Self.read(request.body), type: try Self.known(path[0]))
      return FHIRResponse(body: Self.outcome(ofValidation: faults))
    case ("GET", 3) where path[2] == "_history": return try self.history(try Self.known(path[0]), path[1], request)
    case ("GET", 3) where path[0] == "Patient" && path[2] == "$everything":
      return try self.everything(of: path[1], request.query, for: request.asker, request.meter)
    case ("GET", 4) where path[2] == "_history":
      return try self.read(try Self.known(path[0]), path[1], path[3], request.meter)
    case ("GET", 2): return try self.read(try Self.known(path[0]), path[1], nil, request.meter)
    default: throw FHIRFailure(404, "not-supported", "there is nothing at \(path.joined(separator: "/"))")
    }
  }

  /// The methods that a path takes; none where there is nothing.
  public static func methods(of path: [String]) -> [String] {
    switch path.count {
    case 0: ["POST"]
    case 1 where (CapabilityStatement.views + ["metadata", "openapi.json", "$records"]).contains(path[0]): ["GET"]
    case 1: ["DELETE", "GET", "POST", "PUT"]
    case 2 where ["_search", "$validate"].contains(path[1]): ["POST"]
    case 2: ["DELETE", "GET", "PUT"]
    case 3 where path[2] == "_history" || (path[0] == "Patient" && path[2] == "$everything"): ["GET"]
    case 4 where path[2] == "_history": ["GET"]
    default: []
    }
  }

  static func known(_ type: String) throws(FHIRFailure) -> String {
    guard SearchParameter.of(type) != nil else {
      throw FHIRFailure(404, "not-supported", "resources of type \(type) are not stored here; see /metadata")
    }
    return type
  }

  /// The most values of a resource; a bundle of many may have more.
  static let resourceValuesMax = 200_000
  /// Longer bodies are parsed beside the service, which goes on for others meanwhile.
  private static let parsedHereBytesMax = 64 << 10

  /// A resource of a request.
  static func read(_ body: [UInt8]) throws(FHIRFailure) -> CanonicalJSON {
    var limits = JSONLimits.outside
    limits.valuesMax = Self.resourceValuesMax
    return try Self.read(body, limits)
  }

  private static func read(_ body: [UInt8], _ limits: JSONLimits) throws(FHIRFailure) -> CanonicalJSON {
    do { return try CanonicalJSON(body, limits: limits) } catch { throw FHIRFailure(400, "structure", "\(error)") }
  }

  /// A bundle of a request.
  private static func parsed(_ body: [UInt8]) async throws(FHIRFailure) -> CanonicalJSON {
    guard body.count > Self.parsedHereBytesMax else { return try Self.read(body, .outside) }
    return try await Self.parsedAside(body)
  }

  @concurrent private static func parsedAside(_ body: [UInt8]) async throws(FHIRFailure) -> CanonicalJSON {
    try Self.read(body, .outside)
  }

  private static func outcome(ofValidation faults: [String]) -> CanonicalJSON {
    guard !faults.isEmpty else {
      return FHIRFailure.outcome([("information", "informational", "the form is right", nil)])
    }
    return FHIRFailure.outcome(
      faults.map { ("error", "structure", $0, String($0.prefix { $0 != ":" })) })
  }

  // MARK: Reading

  private func read(
    _ type: String, _ id: String, _ version: String?, _ meter: AnswerMeter
  ) throws -> FHIRResponse {
    guard let row = self.index.row("\(type)/\(id)") else {
      throw FHIRFailure(404, "not-found", "there is no \(type)/\(id)")
    }
    let number = try version.map { text throws(FHIRFailure) in
      guard let number = UInt64(text) else { throw FHIRFailure(404, "not-found", "there is no version \(text)") }
      return number
    }
    guard let found = try self.stored(type, id, number ?? row.version) else {
      throw FHIRFailure(404, "not-found", "there is no version \(number ?? 0) of \(type)/\(id)")
    }
    if let erased = found.erased { throw erased.failure(of: found) }
    try meter.require(found)
    guard let json = found.json else { throw FHIRFailure(410, "deleted", "\(type)/\(id) was deleted") }
    var response = FHIRResponse(body: json)
    (response.version, response.updated) = (found.version, found.updated)
    response.anchor = self.anchorText(found)
    return response
  }

  /// A version of a resource.
  func stored(_ type: String, _ id: String, _ version: UInt64) throws -> StoredResource? {
    try self.store.version(version, type: type, id: id)
  }

  /// Versions, the latest first, one after another: all of them together may be longer than the memory.
  private func history(_ type: String, _ id: String, _ request: FHIRRequest) throws -> FHIRResponse {
    guard let row = self.index.row("\(type)/\(id)") else {
      throw FHIRFailure(404, "not-found", "there never was a \(type)/\(id)")
    }
    let paging = try SearchQuery(
      type: type, request.query.filter { $0.name == "_count" || $0.name == "_offset" }, at: self.site)
    let countMax = request.query.contains { $0.name == "_count" } ? paging.count : Int.max
    var (total, entries, isFull, latest) = (0, [CanonicalJSON](), false, StoredResource?.none)
    for number in (1...max(1, row.version)).reversed() {
      try Task.checkCancellation()
      guard let version = try self.stored(type, id, number) else { continue }
      if latest == nil { latest = version }
      guard version.erased == nil else { continue }
      total += 1
      guard total > paging.offset, entries.count < countMax, !isFull else { continue }
      if try request.meter.admits(version) { entries.append(self.entry(version)) } else { isFull = true }
    }
    if total == 0, let latest, let erased = latest.erased { throw erased.failure(of: latest) }
    guard total > 0 else { throw FHIRFailure(404, "not-found", "there never was a \(type)/\(id)") }
    guard !entries.isEmpty || !isFull else { throw request.meter.failure }
    var links: [(String, String)] = []
    let next = paging.offset + entries.count
    if !entries.isEmpty, next < total {
      let rest = [("_count", "\(paging.count)"), ("_offset", "\(next)")]
      links = [("next", "\(self.base)/\(type)/\(id)/_history?" + FHIRURL.text(rest))]
    }
    return FHIRResponse(body: self.bundle("history", entries, total: total, links: links))
  }

  /// A version in a history.
  private func entry(_ version: StoredResource) -> CanonicalJSON {
    let isFirst = version.version == 1
    return .members([
      ("fullUrl", .string("\(self.base)/\(version.name)")), ("resource", version.json),
      (
        "request",
        .members([
          ("method", .string(version.isDeleted ? "DELETE" : isFirst ? "POST" : "PUT")),
          ("url", .string(isFirst ? version.type : version.name)),
        ])
      ),
      (
        "response",
        .members([
          ("status", .string(version.isDeleted ? "204" : isFirst ? "201" : "200")),
          ("etag", .string("W/\"\(version.version)\"")),
          ("lastModified", .string(version.updated.description)),
        ])
      ),
    ])
  }
}
