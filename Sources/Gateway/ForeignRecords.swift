internal import FHIR
internal import Foundation
internal import HealthRecords
internal import Hummingbird
internal import Messages
internal import Primitives
internal import Rules

/// Records of the whole consortium by FHIR: whatever is held elsewhere is asked for in the name of the practitioner
/// whose session the EHR gives, judged by the ledger, and opened here.
struct ForeignRecords: Sendable {
  private static let purposeHeader = "X-Consilium-Purpose"

  let service: any NodeService
  let sessions: ReadingSessions
  /// The hospital's own systems; nil where none are named.
  let systems: SystemAuthorization?
  let base: String

  /// What answers a request that is about the ledger's records rather than this hospital's store; nil for every other.
  func answer(_ asked: FHIRRequest, token: String?, purpose: String?) async -> FHIRResponse? {
    guard asked.method == "GET" else { return nil }
    let response: FHIRResponse?
    do throws(FHIRFailure) {
      switch asked.path.count {
      case 1 where asked.path[0] == "$records": response = try await self.list(asked.query, token)
      case 2:
        let account =
          asked.path[0] == "Practitioner" ? try await self.practitioner(asked.path[1], token) : nil
        response =
          if let account { account } else { try await self.read(asked.path[0], asked.path[1], token, purpose) }
      case 4 where asked.path[2] == "_history":
        response = try await self.read(
          asked.path[0], asked.path[1], version: asked.path[3], token, purpose)
      default: response = nil
      }
    } catch { return FHIRResponse(status: error.status, body: error.outcome) }
    return response
  }

  /// Whether a request reads a record by its id.
  func isRecord(_ asked: FHIRRequest) async -> Bool {
    guard asked.method == "GET", asked.path.count == 2 || (asked.path.count == 4 && asked.path[2] == "_history"),
      let identifier = Hex.decode(asked.path[1]).flatMap({ Digest($0) })
    else { return false }
    return await self.service.record(identifier) != nil
  }

  private func session(_ token: String?) async throws(FHIRFailure) -> ReadingSessions.Session {
    guard let token else {
      throw FHIRFailure(
        401, "login",
        "a practitioner's session is needed: consilium session open, then Authorization: Bearer with its token")
    }
    if let session = await self.sessions.session(token) { return session }
    // ⚑ The patient is told which practitioner read: a system is nobody.
    guard await self.systems?.asker(token) == nil else {
      throw FHIRFailure(
        403, "forbidden",
        "a system's token is for what is stored here: what the ledger has is read in a practitioner's name, by the "
          + "token of a session (consilium session open) or of an app that a practitioner let in")
    }
    throw FHIRFailure(401, "expired", "the session is over, or this node does not know it: open another")
  }

  /// A practitioner as the ledger knows an account: by whom it was registered, as what, and until when.
  private func practitioner(_ id: String, _ token: String?) async throws(FHIRFailure) -> FHIRResponse? {
    guard let identifier = Hex.decode(id).flatMap({ Digest($0) }), let account = await self.service.account(identifier),
      account.kind == .practitioner
    else { return nil }
    _ = try await self.session(token)
    let role = CanonicalJSON.members([
      (
        "code",
        .members([
          (
            "coding",
            .array([
              .members([("system", .string("urn:consilium:role")), ("code", .string("\(account.role)"))])
            ])
          )
        ])
      ),
      (
        "issuer",
        .members([
          (
            "identifier",
            .members([
              ("system", .string("urn:consilium:member")), ("value", .string("\(account.hospital.number)")),
            ])
          )
        ])
      ),
    ])
    return FHIRResponse(
      body: .members([
        ("resourceType", .string("Practitioner")), ("id", .string(id)),
        (
          "identifier",
          .array([.members([("system", .string(FHIRService.accountSystem)), ("value", .string(id))])])
        ),
        ("active", .bool(account.isActive(at: Timestamp(milliseconds: UInt64(Date().timeIntervalSince1970 * 1000))))),
        ("qualification", .array([role])),
      ]))
  }

  /// The only version that a record has: what changes it is a record of its own.
  static let version = "1"

  static func requireVersion(_ version: String, of name: String) throws(FHIRFailure) {
    guard version == Self.version else {
      throw FHIRFailure(404, "not-found", "there is no version \(version) of \(name): a record has one, version 1")
    }
  }

  private func read(
    _ type: String, _ id: String, version: String = Self.version, _ token: String?, _ purpose: String?
  ) async throws(FHIRFailure) -> FHIRResponse? {
    guard let identifier = Hex.decode(id).flatMap({ Digest($0) }), let record = await self.service.record(identifier)
    else { return nil }
    try Self.requireVersion(version, of: "\(type)/\(id)")
    _ = try await self.session(token)
    guard record.anchor.chunkCount <= SealedRecord.chunksMax else {
      throw FHIRFailure(406, "too-costly", "it is \(record.anchor.contentBytes) bytes long: take it with Accept: */*")
    }
    let key = try await self.key(of: record, token, purpose)
    let opened = try await self.opening { try await key.open { try await self.service.part(identifier, from: $0) } }
    let resource = Self.resource(opened.canonical, id) ?? self.binary(opened.canonical, id)
    let actual = resource["resourceType"]?.text ?? ""
    guard type == actual || type == "Binary" else {
      throw FHIRFailure(404, "not-found", "the record is \(actual)/\(id)")
    }
    var response = FHIRResponse(body: resource)
    response.anchor = id
    return response
  }

  /// A record's content as the resource that it is; nil where it is none.
  private static func resource(_ content: [UInt8], _ id: String) -> CanonicalJSON? {
    guard let json = try? CanonicalJSON(content), json["resourceType"]?.text != nil else { return nil }
    return json.setting("id", .string(id))
  }

  /// Content that is no resource, as one.
  private func binary(_ content: [UInt8], _ id: String) -> CanonicalJSON {
    .members([
      ("resourceType", .string("Binary")), ("id", .string(id)),
      ("contentType", .string(Attachments.mediaType(of: content))),
      ("data", .string(Data(content).base64EncodedString())),
    ])
  }

  /// A record's key, asked for in the name of the practitioner whose session it is.
  private func key(
    of record: RecordEntry, _ token: String?, _ purpose: String?
  ) async throws(FHIRFailure) -> ReleasedKey {
    let session = try await self.session(token)
    guard !record.isErased else { throw FHIRFailure(410, "deleted", "the record is erased") }
    guard let purpose = Purposes(code: purpose ?? "TREAT") else {
      throw FHIRFailure(
        400, "value", "\(Self.purposeHeader) is one of \(Purposes.codes.map(\.code).joined(separator: ", "))")
    }
    do throws(ReadingRefusal) {
      return try await self.sessions.key(of: record, purpose: purpose, by: session)
    } catch {
      switch error {
      case .denied(let outcome): throw self.denial(outcome, record, session)
      case .tooManyRefused:
        throw FHIRFailure(
          429, "throttled",
          "the ledger refused too much that this practitioner asked in the last minutes: see why, and try again in ten "
            + "minutes")
      case .failed(let reason): throw FHIRFailure(503, "transient", "granted, but it does not open now: \(reason)")
      }
    }
  }

  private func opening<Value>(_ body: () async throws -> Value) async throws(FHIRFailure) -> Value {
    do { return try await body() } catch {
      throw FHIRFailure(503, "transient", "granted, but it does not open now: \(error)")
    }
  }

  /// What a record holds.
  enum Content {
    /// A resource.
    case resource(CanonicalJSON)
    /// Bytes of their own, of a media type.
    case bytes(type: String, [UInt8])
    /// So many of them that they are opened with a key while they are given.
    case long(type: String, ReleasedKey)
  }

  /// What a record holds; nil where there is no such record. ⚑ All of it was opened once before anything is given: a
  /// client never gets what was not anchored.
  func content(_ identifier: Digest, token: String?, purpose: String?) async throws(FHIRFailure) -> Content? {
    guard let record = await self.service.record(identifier) else { return nil }
    let key = try await self.key(of: record, token, purpose)
    var content: [UInt8] = []
    let service = self.service
    _ = try await self.opening {
      try await key.open(part: { try await service.part(identifier, from: $0) }) { piece in
        if !key.isLong || content.isEmpty { content += piece }
      }
    }
    let type = Attachments.mediaType(of: content)
    guard !key.isLong else { return .long(type: type, key) }
    return Self.resource(content, "\(identifier)").map { .resource($0) } ?? .bytes(type: type, content)
  }

  /// Which consent is missing, and how to ask for it.
  private func denial(
    _ outcome: OutcomeCode, _ record: RecordEntry, _ session: ReadingSessions.Session
  ) -> FHIRFailure {
    let category = record.anchor.category.name
    return FHIRFailure(
      outcome == Refusal.erased.code ? 410 : 403, outcome == Refusal.erased.code ? "deleted" : "forbidden",
      "\(outcome.explanation). The patient, account \(record.anchor.patient) at hospital \(record.hospital.number), "
        + "can permit it on the portal's page Sharing or with: consilium consent grant KEY --to-account "
        + "\(session.account) --category \(category)")
  }

  /// What there is of an account, as the ledger knows it: commitments, never content.
  private func list(
    _ query: [(name: String, value: String)], _ token: String?
  ) async throws(FHIRFailure) -> FHIRResponse {
    _ = try await self.session(token)
    guard let account = query.first(where: { $0.name == "account" })?.value.split(separator: "|").last,
      let patient = Hex.decode(String(account)).flatMap({ Digest($0) })
    else { throw FHIRFailure(400, "required", "say of whom: $records?account=ACCOUNT, 64 hexadecimal digits") }
    let records = await self.service.records(of: patient).reversed().map { self.document($0) }
    var response = FHIRResponse(
      body: .members([
        ("resourceType", .string("Bundle")), ("type", .string("searchset")),
        ("total", .number("\(records.count)")),
        (
          "link",
          .array([
            .members([("relation", .string("self")), ("url", .string("\(self.base)/$records?account=\(patient)"))])
          ])
        ),
        ("entry", records.isEmpty ? nil : .array(records)),
      ]))
    // ⚑ That there is none is shown too.
    if await self.service.account(patient)?.kind == .patient { response.counted = [patient] }
    return response
  }

  private func document(_ entry: RecordEntry) -> CanonicalJSON {
    let id = "\(entry.anchor.record)"
    func identifier(_ system: String, _ value: String) -> CanonicalJSON {
      .members([("system", .string(system)), ("value", .string(value))])
    }
    let status = entry.isErased ? "entered-in-error" : entry.supersededBy == nil ? "current" : "superseded"
    let document = CanonicalJSON.members([
      ("resourceType", .string("DocumentReference")), ("id", .string(id)),
      ("masterIdentifier", identifier("urn:consilium:record", id)), ("status", .string(status)),
      ("category", .array([.members([("text", .string(entry.anchor.category.name))])])),
      ("subject", .members([("identifier", identifier("urn:consilium:account", "\(entry.anchor.patient)"))])),
      ("date", .string("\(entry.time)")),
      (
        "author",
        entry.anchor.author.map { .array([.members([("identifier", identifier("urn:consilium:account", "\($0)"))])]) }
      ),
      ("custodian", .members([("identifier", identifier("urn:consilium:member", "\(entry.hospital.number)"))])),
      (
        "content",
        .array([
          .members([
            (
              "attachment",
              .members([
                // Of what media type it is only those know who may open it.
                ("url", .string("\(self.base)/Binary/\(id)")), ("size", .number("\(entry.anchor.contentBytes)")),
              ])
            )
          ])
        ])
      ),
    ])
    return .members([
      ("fullUrl", .string("\(self.base)/DocumentReference/\(id)")), ("resource", document),
      ("search", .members([("mode", .string("match"))])),
    ])
  }
}
