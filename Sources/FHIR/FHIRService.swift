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
  /// `If-None-Exist`: a query.
  public var ifNoneExist: String?
  /// `Prefer`.
  public var prefer: String?
  /// The body.
  public var body: [UInt8]

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

  /// An answer with a status and a body.
  public init(status: Int = 200, body: CanonicalJSON? = nil) { (self.status, self.body) = (status, body) }
}

/// Puts resources on the chain.
public protocol RecordAnchoring: Sendable {
  /// Seals and anchors resources of a patient's account, all in one go; a record a resource, nil where the ledger
  /// refused.
  func anchor(_ resources: [[UInt8]], of account: Digest, supersedes: [Digest?]) async throws -> [Digest?]
}

/// What the ledger itself says of a patient.
public protocol LedgerViews: Sendable {
  /// An account's consents, as `Consent`.
  func consents(of account: Digest, patient: String) async -> [CanonicalJSON]
  /// The access history, as `AuditEvent`.
  func accesses(of account: Digest, patient: String) async -> [CanonicalJSON]
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

  private let store: any ResourceStore
  private let anchoring: any RecordAnchoring
  let ledger: (any LedgerViews)?
  private let now: @Sendable () -> Timestamp
  private let entropy: @Sendable (Int) -> [UInt8]
  /// Where clients reach it, for links.
  let base: String
  var index = ResourceIndex()

  /// A service over a store; reads everything that it holds.
  public init(
    store: any ResourceStore, anchoring: any RecordAnchoring, ledger: (any LedgerViews)? = nil, base: String,
    now: @escaping @Sendable () -> Timestamp,
    entropy: @escaping @Sendable (Int) -> [UInt8]
  ) throws {
    (self.store, self.anchoring, self.base, self.now, self.entropy) = (store, anchoring, base, now, entropy)
    self.ledger = ledger
    var held: [StoredResource] = []
    try store.latest { held.append($0) }
    for resource in held.sorted(by: { $0.ordinal < $1.ordinal }) { self.index.put(resource) }
  }

  /// Answers a request; refusals are answers too.
  public func handle(_ request: FHIRRequest) async -> FHIRResponse {
    do { return try await self.answer(request) } catch let failure as FHIRFailure {
      return FHIRResponse(status: failure.status, body: failure.outcome)
    } catch {
      return FHIRResponse(status: 500, body: FHIRFailure(500, "exception", "\(error)").outcome)
    }
  }

  private func answer(_ request: FHIRRequest) async throws -> FHIRResponse {
    let path = request.path
    let methods = Self.methods(of: path)
    guard methods.contains(request.method) else {
      throw FHIRFailure(
        methods.isEmpty ? 404 : 405, "not-supported",
        "\(request.method) \(path.joined(separator: "/")) is not supported; see \(self.base)/metadata")
    }
    switch (request.method, path.count) {
    case ("GET", 1) where path[0] == "metadata": return FHIRResponse(body: CapabilityStatement.of(base: self.base))
    case ("GET", 1) where path[0] == "openapi.json": return FHIRResponse(body: OpenAPI.of(base: self.base))
    case ("POST", 0): return try await self.bundle(try Self.read(request.body), prefer: request.prefer)
    case ("GET", 1) where CapabilityStatement.views.contains(path[0]):
      return try await self.ledgerView(path[0], request.query)
    case ("GET", 1): return try self.search(path[0], request.query, prefer: request.prefer)
    case ("POST", 2) where path[1] == "_search":
      return try self.search(path[0], request.query, prefer: request.prefer)
    case ("POST", 2) where path[1] == "$validate":
      let faults = Validation.faults(of: try Self.read(request.body), type: try Self.known(path[0]))
      return FHIRResponse(body: Self.outcome(ofValidation: faults))
    case ("GET", 3) where path[2] == "_history": return try self.history(try Self.known(path[0]), path[1])
    case ("GET", 3) where path[0] == "Patient" && path[2] == "$everything":
      return try self.everything(of: path[1], request.query)
    case ("GET", 4) where path[2] == "_history": return try self.read(try Self.known(path[0]), path[1], path[3])
    case ("GET", 2): return try self.read(try Self.known(path[0]), path[1], nil)
    case ("POST", 1), ("PUT", 1), ("PUT", 2), ("DELETE", 1), ("DELETE", 2):
      var writes = Writes()
      let planned = try self.plan(request, into: &writes)
      return self.finish(planned, anchors: try await self.commit(writes), prefer: request.prefer)
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

  static func read(_ body: [UInt8]) throws(FHIRFailure) -> CanonicalJSON {
    do { return try CanonicalJSON(body) } catch { throw FHIRFailure(400, "structure", "\(error)") }
  }

  private static func outcome(ofValidation faults: [String]) -> CanonicalJSON {
    guard !faults.isEmpty else {
      return FHIRFailure.outcome([("information", "informational", "the form is right", nil)])
    }
    return FHIRFailure.outcome(
      faults.map { ("error", "structure", $0, String($0.prefix { $0 != ":" })) })
  }

  // MARK: Reading

  private func read(_ type: String, _ id: String, _ version: String?) throws -> FHIRResponse {
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
    guard let json = found.json else { throw FHIRFailure(410, "deleted", "\(type)/\(id) was deleted") }
    var response = FHIRResponse(body: json)
    (response.version, response.updated) = (found.version, found.updated)
    response.anchor = self.anchorText(found.record, patient: row.patient)
    return response
  }

  /// A version of a resource.
  func stored(_ type: String, _ id: String, _ version: UInt64) throws -> StoredResource? {
    try self.store.version(version, type: type, id: id)
  }

  private func history(_ type: String, _ id: String) throws -> FHIRResponse {
    let versions = try self.store.versions(type: type, id: id)
    guard !versions.isEmpty else { throw FHIRFailure(404, "not-found", "there never was a \(type)/\(id)") }
    let entries = versions.reversed().map { version -> CanonicalJSON in
      let isFirst = version.version == 1
      return .members([
        ("fullUrl", .string("\(self.base)/\(version.name)")), ("resource", version.json),
        (
          "request",
          .members([
            ("method", .string(version.isDeleted ? "DELETE" : isFirst ? "POST" : "PUT")),
            ("url", .string(isFirst ? type : version.name)),
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
    return FHIRResponse(body: self.bundle("history", entries, total: versions.count, links: []))
  }

  // MARK: Writing

  /// Versions that are to be written together.
  struct Writes {
    var resources: [StoredResource] = []
    var places: [String: Int] = [:]
    /// How many resources are new.
    var madeCount = 0

    mutating func add(_ resource: StoredResource) {
      if resource.version == 1 { self.madeCount += 1 }
      self.places[resource.name] = self.resources.count
      self.resources.append(resource)
    }
    func latest(_ name: String) -> StoredResource? { self.places[name].map { self.resources[$0] } }
  }

  /// What a write comes to, before it is durable.
  struct Planned {
    var status: Int
    var resource: StoredResource?
    var name: String
  }

  /// Works out a create, update or delete; nothing is written yet.
  func plan(_ request: FHIRRequest, into writes: inout Writes, assigned: String? = nil) throws -> Planned {
    let type = try Self.known(request.path.first ?? "")
    switch (request.method, request.path.count) {
    case ("POST", 1):
      if let query = request.ifNoneExist {
        let found = try self.find(type, FHIRURL.parameters(query))
        if found.count > 1 { throw FHIRFailure(412, "multiple-matches", "\(found.count) \(type) match \(query)") }
        if let one = found.first { return Planned(status: 200, resource: nil, name: "\(type)/\(one)") }
      }
      return try self.planVersion(
        type, assigned ?? self.freshIdentifier(), try Self.read(request.body), request, isNew: true, into: &writes)
    case ("PUT", 2):
      let json = try Self.read(request.body)
      guard let id = json["id"]?.text, id == request.path[1] else {
        throw FHIRFailure(400, "invalid", "the resource's id must be \(request.path[1])", at: "\(type).id")
      }
      return try self.planVersion(type, id, json, request, isNew: false, into: &writes)
    case ("PUT", 1):
      let found = try self.find(type, request.query)
      if found.count > 1 { throw FHIRFailure(412, "multiple-matches", "\(found.count) \(type) match") }
      let json = try Self.read(request.body)
      let id = found.first ?? json["id"]?.text ?? assigned ?? self.freshIdentifier()
      return try self.planVersion(type, id, json.setting("id", .string(id)), request, isNew: false, into: &writes)
    case ("DELETE", 2): return try self.planDeletion(type, request.path[1], request, into: &writes)
    case ("DELETE", 1):
      guard !request.query.isEmpty else { throw FHIRFailure(412, "required", "say which: Type?parameter=value") }
      let found = try self.find(type, request.query)
      if found.count > 1 { throw FHIRFailure(412, "multiple-matches", "\(found.count) \(type) match") }
      guard let id = found.first else { return Planned(status: 204, resource: nil, name: type) }
      return try self.planDeletion(type, id, request, into: &writes)
    default: throw FHIRFailure(400, "invalid", "\(request.method) \(request.path.joined(separator: "/")) is no write")
    }
  }

  private func planVersion(
    _ type: String, _ id: String, _ json: CanonicalJSON, _ request: FHIRRequest, isNew: Bool,
    into writes: inout Writes
  ) throws -> Planned {
    guard json["resourceType"]?.text == type else {
      throw FHIRFailure(
        400, "invalid", "\(json["resourceType"]?.text ?? "no resourceType") was sent to \(type)", at: "resourceType")
    }
    guard id.utf8.count <= 64, !id.isEmpty,
      id.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-.".contains($0)) })
    else { throw FHIRFailure(400, "value", "\"\(id)\" is no id: 1 to 64 letters, digits, - and .", at: "\(type).id") }
    let faults = Validation.faults(of: json, type: type)
    guard faults.isEmpty else {
      let more = faults.count > 1 ? " (and \(faults.count - 1) more; see $validate)" : ""
      throw FHIRFailure(422, "structure", faults[0] + more, at: String(faults[0].prefix { $0 != ":" }))
    }
    let name = "\(type)/\(id)"
    try Self.requireFirst(name, in: writes)
    let before = self.index.row(name)
    try Self.check(request.ifMatch, against: before.flatMap { $0.isDeleted ? nil : $0.version }, name)
    let version = (before?.version ?? 0) + 1
    let updated = self.now()
    let meta = (json["meta"] ?? .members([])).setting("versionId", .string("\(version)"))
      .setting("lastUpdated", .string(updated.description))
    let resource = StoredResource(
      type: type, id: id, version: version,
      ordinal: before?.ordinal ?? UInt64(self.index.count + writes.madeCount), updated: updated,
      body: json.setting("id", .string(id)).setting("meta", meta).canonicalBytes, record: nil)
    writes.add(resource)
    let exists = before.map { !$0.isDeleted } ?? false
    return Planned(status: isNew || !exists ? 201 : 200, resource: resource, name: name)
  }

  private func planDeletion(
    _ type: String, _ id: String, _ request: FHIRRequest, into writes: inout Writes
  ) throws -> Planned {
    let name = "\(type)/\(id)"
    try Self.requireFirst(name, in: writes)
    guard let row = self.index.row(name), !row.isDeleted else {
      return Planned(status: 204, resource: nil, name: name)
    }
    try Self.check(request.ifMatch, against: row.version, name)
    let deletion = StoredResource(
      type: type, id: id, version: row.version + 1, ordinal: row.ordinal, updated: self.now(), body: [],
      record: row.record)
    writes.add(deletion)
    return Planned(status: 204, resource: deletion, name: name)
  }

  private static func requireFirst(_ name: String, in writes: Writes) throws(FHIRFailure) {
    guard writes.latest(name) != nil else { return }
    throw FHIRFailure(400, "duplicate", "\(name) is written twice in one transaction")
  }

  private static func check(_ ifMatch: String?, against version: UInt64?, _ name: String) throws(FHIRFailure) {
    guard let ifMatch else { return }
    let digits = ifMatch.filter(\.isNumber)
    guard let version, digits == "\(version)" else {
      throw FHIRFailure(
        412, "conflict",
        "\(name) is at version \(version.map { "\($0)" } ?? "none"), not \(ifMatch); read it and change it again")
    }
  }

  /// A random UUID (RFC 9562, version 4).
  func freshIdentifier() -> String {
    var bytes = self.entropy(16)
    (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x40, bytes[8] & 0x3f | 0x80)
    let hex = Array(Hex.encode(bytes))
    return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(hex[$0]) }.joined(separator: "-")
  }

  /// Makes writes durable, then anchors what belongs to linked patients.
  func commit(_ writes: Writes) async throws -> [String: String] {
    guard !writes.resources.isEmpty else { return [:] }
    let before = writes.resources.map { self.index.row($0.name)?.record }
    try self.store.write(writes.resources)
    for resource in writes.resources { self.index.put(resource) }
    var pending: [(resource: StoredResource, account: Digest, supersedes: Digest?)] = []
    for (resource, record) in zip(writes.resources, before) where !resource.isDeleted {
      guard let patient = self.index.row(resource.name)?.patient, let account = self.account(ofPatient: patient) else {
        continue
      }
      pending.append((resource, account, record))
      if resource.type == "Patient" { pending += try self.unanchored(ofPatient: patient, account, besides: writes) }
    }
    return await self.anchor(pending)
  }

  /// Anchors what could not be anchored when it was written; how many resources could be now.
  public func anchorPending() async -> Int {
    var pending: [(resource: StoredResource, account: Digest, supersedes: Digest?)] = []
    for row in self.index.rows["Patient"] ?? [] where !row.isDeleted {
      guard let account = self.account(ofPatient: row.id) else { continue }
      pending += (try? self.unanchored(ofPatient: row.id, account, besides: Writes())) ?? []
    }
    guard !pending.isEmpty else { return 0 }
    return await self.anchor(pending).values.count { Hex.decode($0) != nil }
  }

  /// The account that a patient stored here is linked to; nil where there is none.
  public func account(ofPatient id: String) -> Digest? {
    for value in self.index.row("Patient/\(id)")?.values["identifier"] ?? [] {
      if case .token(Self.accountSystem, let code) = value, let bytes = Hex.decode(code) { return Digest(bytes) }
    }
    return nil
  }

  /// What was written of a patient before it was linked.
  private func unanchored(
    ofPatient id: String, _ account: Digest, besides writes: Writes
  ) throws -> [(resource: StoredResource, account: Digest, supersedes: Digest?)] {
    var out: [(StoredResource, Digest, Digest?)] = []
    for (type, rows) in self.index.rows.sorted(by: { $0.key < $1.key }) {
      for row in rows where row.patient == id && row.record == nil && !row.isDeleted {
        guard writes.latest("\(type)/\(row.id)") == nil, let found = try self.stored(type, row.id, row.version) else {
          continue
        }
        out.append((found, account, nil))
      }
    }
    return out
  }

  /// The most resources that are anchored in one go.
  private static let anchorsMax = 200

  private func anchor(
    _ pending: [(resource: StoredResource, account: Digest, supersedes: Digest?)]
  ) async -> [String: String] {
    var anchors: [String: String] = [:]
    for account in Set(pending.map(\.account)).sorted(by: { $0.description < $1.description }) {
      let own = pending.filter { $0.account == account }
      for start in stride(from: 0, to: own.count, by: Self.anchorsMax) {
        let part = own[start..<min(start + Self.anchorsMax, own.count)]
        let records: [Digest?]
        do {
          records = try await self.anchoring.anchor(
            part.map(\.resource.body), of: account, supersedes: part.map(\.supersedes))
        } catch {
          // It is stored; the ledger takes it when it can.
          for one in part { anchors[one.resource.name] = "pending: \(error)" }
          continue
        }
        var changed: [StoredResource] = []
        for (one, record) in zip(part, records) {
          anchors[one.resource.name] = record?.description ?? "refused"
          guard let record else { continue }
          var resource = one.resource
          resource.record = record
          changed.append(resource)
          self.index.setRecord(record, of: resource.name)
        }
        try? self.store.write(changed)
      }
    }
    return anchors
  }

  private func anchorText(_ record: Digest?, patient: String?) -> String? {
    record?.description ?? (patient.flatMap { self.account(ofPatient: $0) } == nil ? nil : "pending")
  }

  /// The answer to a write, once it is durable.
  func finish(_ planned: Planned, anchors: [String: String], prefer: String?) -> FHIRResponse {
    var response = FHIRResponse(status: planned.status)
    let row = self.index.row(planned.name)
    (response.version, response.updated) = (row?.version, row?.updated)
    response.anchor = anchors[planned.name]
    if planned.status != 204, let row {
      response.location = "\(planned.name)/_history/\(row.version)"
      let id = String(planned.name.drop { $0 != "/" }.dropFirst())
      let type = String(planned.name.prefix { $0 != "/" })
      switch prefer.flatMap({ $0.split(separator: "=").last }) {
      case "minimal": break
      case "OperationOutcome":
        response.body = FHIRFailure.outcome([("information", "informational", "written as version \(row.version)", nil)]
        )
      default: response.body = try? self.stored(type, id, row.version)?.json
      }
    }
    return response
  }
}
