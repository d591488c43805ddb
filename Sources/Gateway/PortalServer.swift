public import FHIR
internal import Foundation
internal import HTTPTypes
internal import HealthRecords
internal import Hummingbird
internal import Ledger
internal import Logging
internal import Messages
internal import NIOCore
internal import Primitives
internal import Rules
internal import Signing
internal import Wire

/// The patients', the clinicians' and the privacy officer's pages and what they ask of the node. Keys are made and stay
/// in the browser: the node sees signed questions, signed transactions and ciphertext, and answers each patient about
/// that patient only.
public struct PortalServer: Sendable {
  /// About how many bytes of sealed records one answer carries.
  private static let sealedBytesMax = 4 << 20
  /// How far a question's time may be from this node's clock, in milliseconds.
  private static let freshMilliseconds: UInt64 = 60_000
  /// The kinds of transaction that people make here.
  private static let kinds: Set<UInt16> = Set(
    [
      TransactionKind.grantConsent, .revokeConsent, .eraseRecord, .rateRecord, .requestAccess, .breakGlass,
      .accuseCustodian, .reviewBreakGlass, .endRecovery, .keepRecords,
    ].map(\.rawValue))

  let service: any NodeService
  private let entrance: Entrance
  /// How apps are let in, and the sessions by which they read; nil where none are.
  let smart: (authorization: SMARTAuthorization, sessions: ReadingSessions)?
  /// Where clinicians look for patients; nil where the hospital's EHR is not connected.
  let patients: PatientIndex?
  /// Why the hospital's own patients cannot be searched, where there is a store that is refused.
  let patientsTrouble: String?
  /// Who read in the hospital's own store; nil where its EHR is not connected.
  let readings: (any ReadingLog)?
  let now: @Sendable () -> UInt64
  private let doors: Doors
  private let names: Set<String>
  let refused: RefusedCounts

  /// A server for a node, which is reached by other `names` too through a proxy; `now` gives milliseconds since 1970.
  public init(
    service: any NodeService, at entrance: Entrance, names: [String] = [], patients: PatientIndex?,
    patientsTrouble: String? = nil,
    readings: (any ReadingLog)? = nil, smart: (authorization: SMARTAuthorization, sessions: ReadingSessions)? = nil,
    refused: RefusedCounts? = nil, limits: DoorLimits = DoorLimits(), now: @escaping @Sendable () -> UInt64
  ) {
    (self.smart, self.readings, self.doors) = (smart, readings, Doors(limits))
    (self.refused, self.names) = (
      refused ?? RefusedCounts(now: now),
      Set(names.map { $0.lowercased() } + [entrance.name].filter { !Entrance.ownNames.contains($0) })
    )
    (self.service, self.entrance, self.now) = (service, entrance, now)
    (self.patients, self.patientsTrouble) = (patients, patientsTrouble)
  }

  /// Serves until the task is cancelled.
  public func run() async throws {
    var logger = Logger(label: "portal")
    logger.logLevel = .critical
    let application = Application(
      router: self.router, server: try await self.doors.server(self.entrance.certificate),
      configuration: .init(
        address: .hostname(self.entrance.host, port: self.entrance.port), serverName: "consilium"), logger: logger)
    try await application.serve(at: self.entrance.place)
  }

  /// What it answers, as `GET /api/words`.
  package var routes: [String] { self.router.routes.map { "\($0.method) \($0.path)" } }

  private var router: Router<BasicRequestContext> {
    let router = Router(options: .autoGenerateHeadEndpoints)
    router.add(middleware: PortalHeaders())
    router.add(middleware: RefusalMiddleware<BasicRequestContext>(doors: self.doors))
    router.add(middleware: SameSite(names: self.names, entrance: self.entrance))
    router.get("/") { request, _ in Self.page("My records", script: "app.js", to: request) }
    router.get("/clinic") { request, _ in Self.page("Clinicians", script: "clinic.js", to: request) }
    router.get("/officer") { request, _ in Self.page("Privacy office", script: "officer.js", to: request) }
    router.get("/verify") { request, _ in Self.page("Check a record", script: "verify.js", to: request) }
    router.get("/{piece}") { request, context in
      try Self.piece(context.parameters.get("piece") ?? "", to: request)
    }
    let service = self.service
    router.get("/api/consortium") { _, _ in
      try json(
        ConsortiumView(
          service.genesis, await service.membership().members, own: service.member.id, now: self.now(),
          ledgerTime: await service.ledgerTime(), rules: await service.rules()))
    }
    router.get("/api/genesis") { _, _ in try json(GenesisFile(service.genesis)) }
    router.get("/api/words") { _, _ in text(RecoveryPhrase.wordList) }
    router.get("/api/accounts/{account}") { request, context in
      try json(try await service.accountView(try await self.asker(request, context).identifier))
    }
    router.get("/api/accounts/{account}/practitioner") { request, context in
      // A practitioner's background, for whoever has an account here: it is all on the ledger.
      _ = try await self.asker(request, context)
      let asked = try self.queryDigest("of", of: request)
      guard let account = await service.account(asked), account.kind == .practitioner else {
        throw ServiceRefusal.notFound("practitioner")
      }
      return try json(AccountView(asked, account, ratings: await service.ratings(of: asked)))
    }
    router.get("/api/accounts/{account}/who") { request, context in
      _ = try await self.asker(request, context)
      let asked = try self.queryDigest("of", of: request)
      guard let account = await service.account(asked) else { throw ServiceRefusal.notFound("account") }
      let name = account.kind == .practitioner ? await self.patients?.practitioner(asked) : nil
      return try json(PersonView(asked, account, name: name))
    }
    router.get("/api/patients/{account}/records") { request, context in
      let patient = try await self.asker(request, context).identifier
      let page = try askedPage(of: request)
      return try json(await service.recordViews(of: patient, below: page.below, countMax: page.countMax, isOwn: true))
    }
    router.get("/api/patients/{account}/consents") { request, context in
      let patient = try await self.asker(request, context).identifier
      return try json(await service.consents(of: patient).map { ConsentView($0.identifier, $0.entry) })
    }
    router.get("/api/patients/{account}/history") { request, context in
      let patient = try await self.asker(request, context).identifier
      let page = try askedPage(of: request)
      return try json(await service.accessViews(of: patient, below: page.below, countMax: page.countMax))
    }
    router.get("/api/patients/{account}/sealed") { request, context in
      let patient = try await self.asker(request, context).identifier
      let start: UInt64 = try number("from", of: request, in: 0 ... .max, else: 0)
      return try binary(try await self.sealed(of: patient, from: start))
    }
    router.get("/api/patients/{account}/head") { request, context in
      try binary(try await service.content(try await self.ownRecord(request, context)).head.encoded)
    }
    router.get("/api/patients/{account}/proof") { request, context in
      let record = try await self.ownRecord(request, context)
      guard let entry = await service.record(record) else { throw ServiceRefusal.notFound("record") }
      return try json(try await service.proof(entry.leaf))
    }
    router.get("/api/patients/{account}/part") { request, context in
      let record = try await self.ownRecord(request, context)
      return try binary(try await service.part(record, from: try Self.start(of: request)).encoded)
    }
    router.post("/api/transactions") { request, _ in
      let bytes = try await body(request, max: Int(service.genesis.limits.transactionBytesMax))
      let transaction = try self.signed(bytes)
      return try json(await service.receiptView(try await self.submit(transaction), of: transaction))
    }
    self.addReaderRoutes(to: router)
    self.addClinicianRoutes(to: router)
    self.addOfficerRoutes(to: router)
    self.addSMARTRoutes(to: router)
    return router
  }

  /// A transaction that a person signed.
  ///
  /// ⚑ What a hospital answers for by its own blocks comes from its own systems, never through the people's doors.
  private func signed(_ bytes: [UInt8]) throws(ServiceRefusal) -> CheckedTransaction {
    let checked = try CheckedTransaction(
      bytes, index: 0, genesis: self.service.genesis, hospital: self.service.member.id)
    guard checked.signer != nil else { throw .unauthorized("nobody signed the transaction") }
    guard Self.kinds.contains(checked.kind) else {
      throw .badRequest(
        "these pages make consents, revocations, erasures and what takes them back, ratings, requests, reviews and "
          + "objections only")
    }
    return checked
  }

  private func submit(_ transaction: CheckedTransaction) async throws -> Receipt {
    guard let signer = transaction.signer else { throw ServiceRefusal.unauthorized("nobody signed the transaction") }
    return try await self.refused.submitting(transaction, of: signer, to: self.service) {
      guard let receipt = try await self.service.submit([transaction]).first else {
        throw ServiceRefusal.notOrderedYet(why: NodeStatus.busy)
      }
      return receipt
    }
  }

  /// A page, as `PortalPieces` makes it.
  static func page(_ title: String, script: String, to request: Request) -> Response {
    PortalPieces.shared.page(title, script: script).response(to: request)
  }

  private static func piece(_ name: String, to request: Request) throws -> Response {
    guard let piece = PortalPieces.shared.piece(name) else { throw ServiceRefusal.notFound("page") }
    return piece.response(to: request)
  }

  /// Whether a question's time is near enough. ⚑ The clock is read once: it goes on between two looks.
  static func isFresh(_ time: UInt64, at now: UInt64) -> Bool {
    (now > time ? now - time : time - now) <= Self.freshMilliseconds
  }

  /// The patient who asks, by a fresh signature of the account's own key over the question.
  ///
  /// - Throws: `ServiceRefusal.notFound` where there is no such account, `.unauthorized` where it did not sign,
  ///   `.inactive` where it is suspended, revoked or over.
  func asker(
    _ request: Request, _ context: BasicRequestContext
  ) async throws -> (identifier: Digest, account: HealthRecords.Account) {
    let identifier = try digest(context, "account")
    guard let account = await self.service.account(identifier) else { throw ServiceRefusal.notFound("account") }
    guard let header = request.headers[.authorization], let proof = PortalProof(header) else {
      throw ServiceRefusal.unauthorized("the question is not signed")
    }
    guard Self.isFresh(proof.time, at: self.now()) else {
      throw ServiceRefusal.unauthorized("the question's time is not this hospital's: set the device's clock")
    }
    let signed = PortalProof.signedBytes(
      network: self.service.genesis.network, account: identifier, time: proof.time, path: request.uri.string)
    guard account.key.verifies(proof.signature, of: signed) else {
      throw ServiceRefusal.unauthorized("the question is not signed by the account's key")
    }
    // ⚑ Whoever found or stole the key of a suspended account learns nothing more by it. What the registrar said of the
    // future is the ledger's to judge.
    guard account.isActive(at: max(Timestamp(milliseconds: self.now()), account.validFrom)) else {
      throw ServiceRefusal.inactive
    }
    return (identifier, account)
  }

  /// A record of the patient who asks.
  private func ownRecord(_ request: Request, _ context: BasicRequestContext) async throws -> Digest {
    let patient = try await self.asker(request, context).identifier
    let record = try self.queryDigest("record", of: request)
    guard await self.service.record(record)?.anchor.patient == patient else { throw ServiceRefusal.notFound("record") }
    return record
  }

  /// The chunk from which a part is asked for.
  static func start(of request: Request) throws(ServiceRefusal) -> Int {
    try number("from", of: request, in: 0...RecordPart.chunksMax, else: 0)
  }

  /// A patient's sealed records in the order of their anchors, from one on, as many as one answer carries: the place
  /// after the last (u64), then each as a counted blob. Those that are longer than an answer are asked for by parts.
  private func sealed(of patient: Digest, from start: UInt64) async throws -> [UInt8] {
    try Place.reserve(answer: Self.sealedBytesMax)
    var blobs = Encoder()
    var place = start
    let records = await self.service.records(of: patient)
    for entry in records.dropFirst(Int(clamping: start)) {
      let isLong = entry.anchor.sizeBytes > Self.sealedBytesMax
      guard isLong || blobs.bytes.count + Int(entry.anchor.sizeBytes) <= Self.sealedBytesMax else { break }
      place += 1
      guard !isLong, !entry.isErased,
        let sealed = try? await self.service.content(entry.anchor.record).whole()
      else { continue }
      blobs.blob(sealed.encoded)
    }
    var encoder = Encoder()
    encoder.u64(place)
    encoder.raw(blobs.bytes)
    return encoder.bytes
  }
}

/// What proves who asks: `Consilium time=MILLISECONDS, signature=HEX`.
struct PortalProof {
  let time: UInt64
  let signature: Signature

  init?(_ header: String) {
    guard header.hasPrefix("Consilium ") else { return nil }
    var fields: [String: String] = [:]
    for part in header.dropFirst(10).split(separator: ",") {
      let pair = part.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      guard pair.count == 2 else { return nil }
      fields[pair[0]] = pair[1]
    }
    guard let time = fields["time"].flatMap({ UInt64($0) }),
      let signature = fields["signature"].flatMap({ Hex.decode($0) }).flatMap({ Signature($0) })
    else { return nil }
    (self.time, self.signature) = (time, signature)
  }

  static func signedBytes(network: Digest, account: Digest, time: UInt64, path: String) -> [UInt8] {
    var encoder = Encoder()
    encoder.raw(Array("consilium/portal/v1\0".utf8))
    encoder.digest(network)
    encoder.digest(account)
    encoder.u64(time)
    encoder.raw(Array(path.utf8))
    return encoder.bytes
  }
}

/// What a page needs to know before anybody has signed anything.
struct ConsortiumView: Codable, Sendable {
  struct Hospital: Codable, Sendable {
    var number: UInt32
    var name: String
    /// The member key, by which shares of the custody key are signed.
    var key: String
  }

  var network: String
  var name: String
  var own: UInt32
  var hospitals: [Hospital]
  var transactionLifeMilliseconds: UInt64
  var now: UInt64
  /// By how much the ledger's time, which the rules go by, is ahead of that.
  var ledgerAheadMilliseconds: UInt64
  /// The version of the rules that holds.
  var rulesVersion: UInt16

  init(
    _ genesis: Genesis, _ members: [MemberView], own: MemberID, now: UInt64, ledgerTime: Timestamp, rules: AgreedRules
  ) {
    self.ledgerAheadMilliseconds = UInt64(max(0, ledgerTime.offset(from: Timestamp(milliseconds: now))))
    self.rulesVersion = rules.version
    (self.network, self.name, self.own) = (genesis.network.description, genesis.name, own.number)
    self.hospitals = members.map { Hospital(number: $0.number, name: $0.name, key: $0.key) }
    (self.transactionLifeMilliseconds, self.now) = (genesis.limits.transactionLifeMilliseconds, now)
  }
}

/// What every answer tells the browser: nothing from elsewhere runs here, and this page runs nowhere else.
struct PortalHeaders: RouterMiddleware {
  typealias Context = BasicRequestContext
  private static let fields: [(String, String)] = [
    (
      "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        + "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
  ]

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    var response = try await next(request, context)
    for (name, value) in Self.fields {
      if let name = HTTPField.Name(name) { response.headers[name] = value }
    }
    return response
  }
}
