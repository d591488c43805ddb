public import HealthRecords
public import Primitives

/// What a client of the FHIR interface asks.
public struct FHIRRequest: Sendable {
  /// GET, POST, PUT, PATCH or DELETE.
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
  /// `If-Modified-Since`.
  public var ifModifiedSince: Timestamp?
  /// `Prefer`.
  public var prefer: String?
  /// `X-Security-Context`: whose a Binary is.
  public var securityContext: String?
  /// The body's media type; nil for a resource as JSON.
  public var contentType: String?
  /// The body.
  public var body: [UInt8]
  /// Whether a transaction is answered only once the ledger was asked for its records. Where not, `anchorPending` is to
  /// be called after it.
  public var waitsForLedger = true
  /// Whether the id that it writes is that of a record on the ledger.
  var writesRecord = false
  /// Whether the bundle that it comes in is labelled as sensitive.
  var isLabelled = false
  /// In whose name it is made.
  public var asker = FHIRAsker.system
  /// What its answer may take.
  public var meter = AnswerMeter()
  /// What its answer tells of patients besides what it shows.
  var told = Told()
  /// The resource in the body, and what is wrong with it, where it was read beside the service.
  var judged: (json: CanonicalJSON, faults: [String])?
  /// How many resources it looks at, with the others of its bundle.
  var looks = Looks()

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
  /// Where what was asked for will be, below the base.
  public var contentLocation: String?
  /// The record that anchors it, or `pending`.
  public var anchor: String?
  /// After how many seconds to ask again, for `Retry-After`.
  public var retrySeconds: Int?
  /// The accounts of the patients whom a search with a condition counts: its total tells of them without a resource.
  public var counted: Set<Digest> = []

  /// An answer with a status and a body.
  public init(status: Int = 200, body: CanonicalJSON? = nil) { (self.status, self.body) = (status, body) }

  /// The same without the body, where that is a version which the client named as known (`If-None-Match`).
  func unlessNamed(by request: FHIRRequest) -> FHIRResponse {
    guard request.method == "GET", let version = self.version else { return self }
    // A tag says more than a time, which is not looked at beside one (RFC 9110, §13.1.3).
    if let text = request.ifNoneMatch {
      guard EntityTags(text)?.names(version) ?? false else { return self }
    } else {
      guard let since = request.ifModifiedSince, let updated, updated.milliseconds / 1000 <= since.milliseconds / 1000
      else { return self }
    }
    var same = self
    (same.status, same.body) = (304, nil)
    return same
  }

  /// The same with as much of its resources as is asked for.
  func presented(by presentation: Presentation) -> FHIRResponse {
    guard self.status < 300, presentation.isPart, let body = self.body else { return self }
    var part = self
    part.body = presentation.shown(body)
    return part
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

  let store: WriteBehindStore
  let anchoring: any RecordAnchoring
  let ledger: (any LedgerViews)?
  let readings: (any ReadingLog)?
  let now: @Sendable () -> Timestamp
  let entropy: @Sendable (Int) -> [UInt8]
  /// Where clients reach it, for links.
  let base: String
  /// What references mean.
  let site: Site
  /// The bases by which what is stored names what is here, as the store remembers them.
  var bases: [String]
  var index: ResourceIndex
  /// Records that were erased before it was known here what they anchor, the latest.
  var erasedEarly: [(record: Digest, right: Erasure)] = []
  /// What the ledger has of what is stored.
  var book: AnchorBook
  /// What searches found, for the pages after the first.
  var states = SearchStates()
  /// What was exported, for those who fetch its files.
  var exports = Exports()
  /// Which rows were written while a search is under way, by the search's number.
  var watches: [UInt64: (type: String, places: Set<Int>)] = [:]
  var watchesCount: UInt64 = 0
  /// Those who wait until a resource is free.
  var waiters: [CheckedContinuation<Void, Never>] = []
  /// After how many resources of a search others are answered; more results than that are sorted beside the service.
  let looksBetweenTurns: Int
  /// What it can do, which does not change.
  let capabilities: CanonicalJSON
  /// The same for tools.
  private lazy var openAPI = OpenAPI.of(base: self.base)
  /// When this service began.
  let started: Timestamp

  /// A service over a store; reads everything that it holds. It is reached under `base` and `otherBases`; those by
  /// which something was written stay its own under other names. A search lets others be answered each time when it has
  /// looked at `looksBetweenTurns` resources.
  public init(
    store: any ResourceStore, anchoring: any RecordAnchoring, ledger: (any LedgerViews)? = nil,
    readings: (any ReadingLog)? = nil, base: String, otherBases: [String] = [], looksBetweenTurns: Int = 4096,
    now: @escaping @Sendable () -> Timestamp,
    entropy: @escaping @Sendable (Int) -> [UInt8]
  ) throws {
    self.store = WriteBehindStore(store)
    (self.anchoring, self.base, self.now, self.entropy) = (anchoring, base, now, entropy)
    (self.ledger, self.readings, self.looksBetweenTurns) = (ledger, readings, max(1, looksBetweenTurns))
    self.bases = try store.bases()
    self.site = Site(base: base, others: otherBases + self.bases)
    self.started = now()
    self.capabilities = CapabilityStatement.of(base: base)
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
      let presentation = try Presentation.of(request)
      do { response = try await self.answer(request) } catch let error where !(error is CancellationError) {
        response = Self.refusal(error)
        self.tell(refused: request, response.status)
      }
      // ⚑ What is left out was looked at, too.
      try await self.note(request, response)
      return response.presented(by: presentation).unlessNamed(by: request)
    } catch { return Self.refusal(error) }
  }

  static func refusal(_ error: any Error) -> FHIRResponse {
    let left = error is CancellationError ? FHIRFailure(503, "transient", "the client left: send it again") : nil
    let isFull = (error as? any ResourceStoreFailure)?.isWantOfRoom ?? false
    let other = isFull ? FHIRFailure(507, "no-store", "it is not kept: \(error)") : nil
    let failure = error as? FHIRFailure ?? left ?? other ?? FHIRFailure(500, "exception", "\(error)")
    var response = FHIRResponse(status: failure.status, body: failure.outcome)
    response.retrySeconds = failure.retrySeconds
    return response
  }

  private func answer(_ request: FHIRRequest) async throws -> FHIRResponse {
    let path = request.path
    try self.judge(request)
    if let (type, query) = try self.ledgerQuestion(request) {
      return try await self.ledgerView(type, query, request.meter, for: request.asker)
    }
    switch (request.method, path.count) {
    case ("POST", 0): return try await self.bundle(try await Self.parsed(request.body), request)
    case (_, _) where Self.isExport(path) || path.first == Self.exportsPath: return try self.reading(request)
    case ("POST", 1), ("PUT", 1), ("PUT", 2), ("PATCH", 1), ("PATCH", 2), ("DELETE", 1), ("DELETE", 2):
      return try await self.write(request)
    case ("GET", 1) where path[0].first?.isUppercase == true: return try await self.searched(path[0], request)
    case ("POST", 2) where path[1] == "_search": return try await self.searched(path[0], request)
    case ("GET", 3) where Self.isCompartment(path): return try await self.searched(path[2], request)
    case ("POST", 2) where path[1] == "$validate": return try await Self.validate(request)
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
    try self.requireOwn(request)
  }

  /// Answers what changes nothing and waits for nobody.
  func reading(_ request: FHIRRequest) throws -> FHIRResponse {
    let path = request.path
    try request.looks.look(1)
    switch (request.method, path.count) {
    case ("GET", 1) where path[0] == "metadata": return try request.meter.required(self.capabilities)
    case ("GET", 1) where path[0] == "openapi.json": return try request.meter.required(self.openAPI)
    case ("GET", 1) where path[0] == "_history": return try self.history(of: nil, request)
    case ("GET", 1) where Self.isExport(path), ("POST", 1) where Self.isExport(path),
      ("GET", 2) where Self.isExport(path), ("POST", 2) where Self.isExport(path),
      ("GET", 3) where Self.isExport(path), ("POST", 3) where Self.isExport(path):
      return try self.startExport(request)
    case ("GET", 2) where path[0] == Self.exportsPath: return try self.exportStatus(path[1], request)
    case ("DELETE", 2) where path[0] == Self.exportsPath:
      try self.exports.end(path[1], of: request.asker, at: self.now())
      return FHIRResponse(status: 202)
    case ("GET", 1): return try self.search(path[0], request)
    case ("POST", 2) where path[1] == "_search":
      return try self.search(path[0], request)
    case ("POST", 2) where path[1] == "$validate":
      let resource = try Self.resource(toValidate: try Self.read(request.body), request)
      let faults = Validation.faults(of: resource, type: try Self.known(path[0]))
      return try Self.answer(ofValidation: faults, request.meter)
    case ("GET", 2) where path[1] == "_history": return try self.history(of: try Self.known(path[0]), request)
    case ("GET", 3) where Self.isCompartment(path): return try self.search(path[2], request)
    case ("GET", 3) where path[2] == "_history": return try self.history(try Self.known(path[0]), path[1], request)
    case ("GET", 3) where path[0] == "Patient" && path[2] == "$everything",
      ("POST", 3) where path[0] == "Patient" && path[2] == "$everything":
      return try self.everything(of: path[1], request)
    case ("GET", 4) where path[2] == "_history":
      return try self.read(try Self.known(path[0]), path[1], path[3], request)
    case ("GET", 2): return try self.read(try Self.known(path[0]), path[1], nil, request)
    default: throw FHIRFailure(404, "not-supported", "there is nothing at \(path.joined(separator: "/"))")
    }
  }

  /// The methods that a path takes; none where there is nothing.
  public static func methods(of path: [String]) -> [String] {
    switch path.count {
    case 0: ["POST"]
    case _ where self.isExport(path): ["GET", "POST"]
    case 2 where path[0] == self.exportsPath: ["DELETE", "GET"]
    case 3 where path[0] == self.exportsPath: ["GET"]
    case 1 where (CapabilityStatement.views + ["metadata", "openapi.json", "$records", "_history"]).contains(path[0]):
      ["GET"]
    case 1: ["DELETE", "GET", "PATCH", "POST", "PUT"]
    case 2 where ["_search", "$validate"].contains(path[1]): ["POST"]
    case 2 where path[1] == "_history": ["GET"]
    case 2: ["DELETE", "GET", "PATCH", "PUT"]
    case 3 where path[0] == "Patient" && path[2] == "$everything": ["GET", "POST"]
    case 3 where path[2] == "_history" || Self.isCompartment(path): ["GET"]
    case 4 where path[2] == "_history": ["GET"]
    default: []
    }
  }

  /// Whether a path leads to what belongs to a patient.
  private static func isCompartment(_ path: [String]) -> Bool {
    path[0] == "Patient" && Compartment.parameters(of: path[2]) != nil
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

  /// A long resource is read and held against the definitions beside the service, which goes on for others meanwhile.
  static func judgedAside(_ request: FHIRRequest) async throws -> FHIRRequest {
    guard request.body.count > Self.parsedHereBytesMax, ["POST", "PUT"].contains(request.method),
      let type = request.path.first
    else { return request }
    var judged = request
    judged.judged = try await Self.judgedAside(request.body, try Self.known(type))
    return judged
  }

  @concurrent private static func judgedAside(
    _ body: [UInt8], _ type: String
  ) async throws -> (json: CanonicalJSON, faults: [String]) {
    let json = try Self.read(body)
    return (json, Validation.faults(of: json, type: type))
  }

  // MARK: Reading

  private func read(
    _ type: String, _ id: String, _ version: String?, _ request: FHIRRequest
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
    // ⚑ An older version can be what was written of another patient.
    try self.requireOwn(found, for: request)
    try request.meter.require(found)
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

  /// A version in a history.
  func historyEntry(_ version: StoredResource) -> CanonicalJSON {
    let isFirst = version.version == 1
    return .members([
      ("fullUrl", .string("\(self.base)/\(version.name)")), ("resource", version.json),
      (
        "request",
        .members([
          ("method", .string(version.isDeleted ? "DELETE" : isFirst ? "POST" : "PUT")),
          ("url", .string(isFirst && !version.isDeleted ? version.type : version.name)),
        ])
      ),
      (
        "response",
        .members([
          ("status", .string(version.isDeleted ? "204" : isFirst ? "201" : "200")),
          ("etag", .string("W/\"\(version.version)\"")),
          ("lastModified", .string(version.changed.description)),
        ])
      ),
    ])
  }
}
