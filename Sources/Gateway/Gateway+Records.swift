internal import Foundation
internal import HealthRecords
internal import Hummingbird
internal import Ledger
internal import Messages
internal import NIOCore
internal import Primitives
internal import Rules
internal import Signing
internal import Wire

/// What the EHR system is told of each resource that was sealed.
public struct SealedView: Codable, Sendable {
  /// The record's identifier.
  public var record: String
  /// The resource's type.
  public var resourceType: String
  /// What it is about.
  public var category: String
  /// What became of its anchor.
  public var receipt: ReceiptView

  /// A sealed resource of given parts.
  public init(record: String, resourceType: String, category: String, receipt: ReceiptView) {
    (self.record, self.resourceType) = (record, resourceType)
    (self.category, self.receipt) = (category, receipt)
  }

  /// What became of an attachment.
  init(_ sealed: (anchor: RecordAnchor, receipt: Receipt)) {
    self.init(
      record: sealed.anchor.record.description, resourceType: "Binary", category: sealed.anchor.category.name,
      receipt: ReceiptView(sealed.receipt))
  }
}

/// A question for a record's key.
public struct ReleaseBody: Codable, Sendable {
  /// The granted request.
  public var request: String
  /// The record.
  public var record: String
  /// The places of custodians whose shares are there already, or were wrong.
  public var without: [Int]?
  /// A question of given parts.
  public init(request: String, record: String, without: [Int]) {
    (self.request, self.record, self.without) = (request, record, without)
  }
}

extension NodeService {
  /// An account as the API tells it.
  ///
  /// - Throws: `ServiceRefusal` where there is no such account.
  func accountView(_ identifier: Digest) async throws -> AccountView {
    guard let account = await self.account(identifier) else { throw ServiceRefusal.notFound("account") }
    return AccountView(
      identifier, account, ratings: await self.ratings(of: identifier), recovery: await self.recovery(of: identifier))
  }

  /// To whom a patient's records are sealed.
  ///
  /// - Throws: `ServiceRefusal` where there is no such patient's account.
  func readers(of patient: Digest) async throws -> SealedRecord.Readers {
    guard let account = await self.account(patient), account.kind == .patient else {
      throw ServiceRefusal.notFound("patient account")
    }
    return SealedRecord.Readers(
      patient: account.sealingKey, hospital: self.member.sealingKey, custody: await self.custody(),
      bindsBoth: await self.rules().version >= 2)
  }

  /// Seals resources whose author is the hospital's own system under fresh keys, for a patient's account.
  ///
  /// - Throws: `ServiceRefusal` where one is too large.
  func seal(
    _ resources: [FHIRResource], of patient: Digest, to readers: SealedRecord.Readers, supersedes: [Digest?]
  ) throws -> [AnchoredRecord] {
    var records: [AnchoredRecord] = []
    for (index, resource) in resources.enumerated() {
      let draft = RecordDraft(
        resource, patient: patient, hospital: self.member.id, network: self.genesis.network,
        secrets: SealedRecord.Secrets(random: SecureRandom.bytes), supersedes: supersedes[index])
      guard let record = draft.seal(to: readers) else {
        throw ServiceRefusal.badRequest(
          "entry \(index): over \(SealedRecord.plaintextBytesMax) bytes, or the account's key is none")
      }
      records.append(AnchoredRecord(anchor: record.anchor, sealed: record.sealed))
    }
    return records
  }
}

extension Gateway {
  func addRecordRoutes(to router: Router<BasicRequestContext>) {
    let service = self.service
    router.post("/v1/patients/{patient}/records") { request, context in
      let patient = try digest(context, "patient")
      let bytes = try await body(request, max: FHIRResource.fileBytesMax)
      let supersedes = request.uri.queryParameters["supersedes"].flatMap { Hex.decode(String($0)) }.flatMap {
        Digest($0)
      }
      return try json(try await Self.seal(bytes, of: patient, supersedes: supersedes, service))
    }
    router.post("/v1/records") { request, _ in
      let bytes = try await body(request, max: SealedRecord.plaintextBytesMax * 2)
      let receipts = try await service.anchor(try Self.readAnchored(bytes))
      return try json(receipts.map { ReceiptView($0) })
    }
    router.get("/v1/records/{record}") { _, context in
      guard let entry = await service.record(try digest(context, "record")) else {
        throw ServiceRefusal.notFound("record")
      }
      return try json(await service.view(of: entry))
    }
    router.get("/v1/patients/{patient}/records") { request, context in
      let (patient, page) = (try digest(context, "patient"), try askedPage(of: request))
      return try json(await service.recordViews(of: patient, below: page.below, countMax: page.countMax))
    }
    router.get("/v1/patients/{patient}/consents") { _, context in
      let consents = await service.consents(of: try digest(context, "patient"))
      return try json(consents.map { ConsentView($0.identifier, $0.entry) })
    }
    router.get("/v1/patients/{patient}/history") { request, context in
      let (patient, page) = (try digest(context, "patient"), try askedPage(of: request))
      return try json(await service.accessViews(of: patient, below: page.below, countMax: page.countMax))
    }
    router.get("/v1/emergencies") { request, _ in
      let page = try askedPage(of: request)
      return try json(await service.emergencies(below: page.below, countMax: page.countMax))
    }
    router.post("/v1/emergencies") { request, _ in
      let bytes = try await body(request, max: Int(service.genesis.limits.transactionBytesMax))
      let checked = try CheckedTransaction(bytes, index: 0, genesis: service.genesis, hospital: service.member.id)
      return try json(BrokenGlassView(try await service.breakGlass(checked)))
    }
    router.post("/v1/releases") { request, _ in
      let bytes = try await body(request, max: 4096)
      guard let asked = try? JSONDecoder().decode(ReleaseBody.self, from: Data(bytes)),
        let request = Hex.decode(asked.request).flatMap({ Digest($0) }),
        let record = Hex.decode(asked.record).flatMap({ Digest($0) })
      else { throw ServiceRefusal.badRequest("request and record are expected, each 64 hexadecimal digits") }
      var settled = ReplicaSet()
      for member in asked.without ?? [] { settled.insert(member) }
      let question = ReleaseQuestion(request: request, record: record)
      return try binary(try await service.release(question, without: settled).encoded)
    }
    router.get("/v1/custody") { _, _ in
      guard let custody = await service.custody() else { throw ServiceRefusal.notFound("custody key") }
      return try binary(custody.encoded)
    }
    router.get("/v1/custody/left") { _, _ in try json(await service.recordsLeftByRotation()) }
  }

  /// Content of any length, which is sealed while it comes and read part by part.
  func addContentRoutes(to router: Router<BasicRequestContext>) {
    let (service, now) = (self.service, self.sessions.now)
    router.get("/v1/records/{record}/head") { _, context in
      let record = try digest(context, "record")
      // ⚑ By it the patient's key opens the record: that of a suspended account opens nothing here either.
      if let entry = await service.record(record), let patient = await service.account(entry.anchor.patient) {
        let time = max(Timestamp(milliseconds: now()), patient.validFrom)
        guard patient.isActive(at: time) else { throw ServiceRefusal.inactive }
      }
      return try binary(try await service.content(record).head.encoded)
    }
    router.get("/v1/records/{record}/part") { request, context in
      let record = try digest(context, "record")
      return try binary(try await service.part(record, from: try PortalServer.start(of: request)).encoded)
    }
    router.post("/v1/patients/{patient}/attachments") { request, context in
      let patient = try digest(context, "patient")
      let query = request.uri.queryParameters
      guard let category = RecordCategory(name: query["category"].map(String.init) ?? "document") else {
        throw ServiceRefusal.badRequest(
          "category is one of \(RecordCategory.allCases.map(\.name).joined(separator: ", "))")
      }
      let supersedes = query["supersedes"].flatMap { Hex.decode(String($0)) }.flatMap { Digest($0) }
      return try json(
        SealedView(
          try await Self.uploading(request) {
            try await service.attach(request.body, of: patient, category: category, supersedes: supersedes)
          }))
    }
    router.post("/v1/attachments") { request, _ in
      return try json(SealedView(try await Self.uploading(request) { try await service.takeSealed(request.body) }))
    }
  }

  /// Takes content in an upload's place, that of the session whose token is sent.
  private static func uploading<Value: Sendable>(
    _ request: Request, _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    guard let place = Place.current else { return try await body() }
    return try await place.upload(by: request.headers[.authorization] ?? "", body)
  }

  /// Anchors and sealed records, one after another.
  static func readAnchored(_ bytes: [UInt8]) throws(ServiceRefusal) -> [AnchoredRecord] {
    var decoder = Decoder(bytes)
    var out: [AnchoredRecord] = []
    do {
      while decoder.remaining > 0 {
        let anchor = try RecordAnchor(from: &decoder)
        out.append(AnchoredRecord(anchor: anchor, sealed: try SealedRecord(from: &decoder)))
      }
    } catch { throw .badRequest("record \(out.count): \(error)") }
    return out
  }

  /// Seals FHIR resources whose author is the hospital's own system, stores and anchors them.
  private static func seal(
    _ bytes: [UInt8], of patient: Digest, supersedes: Digest?, _ service: any NodeService
  ) async throws -> [SealedView] {
    let readers = try await service.readers(of: patient)
    let resources: [FHIRResource]
    do { resources = try FHIRResource.read(bytes) } catch { throw ServiceRefusal.badRequest("\(error)") }
    guard supersedes == nil || resources.count == 1 else {
      throw ServiceRefusal.badRequest("one resource amends one record, \(resources.count) were sent")
    }
    let records = try service.seal(
      resources, of: patient, to: readers, supersedes: Array(repeating: supersedes, count: resources.count))
    let receipts = try await service.anchor(records)
    return zip(zip(resources, records), receipts).map { pair, receipt in
      SealedView(
        record: pair.1.anchor.record.description, resourceType: pair.0.type, category: pair.0.category.name,
        receipt: ReceiptView(receipt))
    }
  }

  /// How members' vaults are asked whether they keep what they should.
  func addVaultRoutes(to router: Router<BasicRequestContext>) {
    let service = self.service
    router.get("/v1/vaults/reports") { _, _ in try json(await service.vaultReports()) }
    router.get("/v1/vaults/{member}/{record}/{chunk}") { _, context in
      guard let member = context.parameters.get("member").flatMap({ UInt32($0) }),
        let record = context.parameters.get("record").flatMap({ Hex.decode($0) }).flatMap({ Digest($0) }),
        let chunk = context.parameters.get("chunk").flatMap({ Int($0) })
      else { throw ServiceRefusal.badRequest("a member's number, a record and a chunk's place are expected") }
      return try json(try await service.kept(record, chunk: chunk, by: MemberID(member)))
    }
  }

  func addLogRoutes(to router: Router<BasicRequestContext>) {
    let service = self.service
    router.get("/checkpoint") { _, _ in try await TransparencyLog(service: service).answer(["checkpoint"]) }
    router.get("/v1/proofs/{leaf}") { _, context in
      guard let leaf = context.parameters.get("leaf").flatMap({ UInt64($0) }) else {
        throw ServiceRefusal.badRequest("the leaf is a number")
      }
      return try json(try await service.proof(leaf))
    }
    router.get("/v1/log/consistency") { request, _ in
      let old: UInt64 = try number("from", of: request, in: 1 ... .max)
      let size: UInt64 = try number("to", of: request, in: old ... .max)
      return try json(try await service.consistency(from: old, to: size).map(\.description))
    }
    router.get("/v1/log/entries") { request, _ in
      let start: UInt64 = try number("from", of: request, in: 0 ... .max, else: 0)
      let count = min(try number("count", of: request, in: 0...Int.max, else: 256), 1024)
      var encoder = Encoder()
      for entry in try await service.entries(from: start, count: count) { encoder.blob(entry.encoded) }
      return try binary(encoder.bytes)
    }
    let log = TransparencyLog(service: service)
    router.get("/tile/**") { request, _ in try await log.answer(request.uri.path.split(separator: "/").map(String.init))
    }
  }
}
