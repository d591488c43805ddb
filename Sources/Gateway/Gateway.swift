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
internal import ServiceLifecycle
internal import Signing
internal import Synchronization
internal import Wire

/// The node's API: HTTP and JSON on a Unix socket, with binary bodies where speed matters.
public struct Gateway: Sendable {
  /// The most bytes of a batch of transactions.
  public static let batchBytesMax = 4 << 20

  let service: any NodeService
  let sessions: ReadingSessions
  let readings: (any ReadingLog)?
  let messages: MessageDesk?
  private let fhirTrouble: @Sendable () -> String?
  private let doorNotices: @Sendable () -> [String]
  private let socket: String
  private let doors: Doors

  /// A gateway to `service`, to what EHRs may ask in practitioners' names, to who read in the hospital's own store, and
  /// to the HL7 `messages` that wait, on a socket, which only this user may use; `fhirTrouble` says why the FHIR
  /// interface is refused, or it and the pages are closed, where they are, and `notices` what else somebody should see
  /// to.
  public init(
    service: any NodeService, sessions: ReadingSessions, readings: (any ReadingLog)? = nil,
    messages: MessageDesk? = nil, socket: String, fhirTrouble: @escaping @Sendable () -> String? = { nil },
    notices: @escaping @Sendable () -> [String] = { [] }, limits: DoorLimits = DoorLimits()
  ) {
    (self.service, self.sessions, self.readings, self.socket) = (service, sessions, readings, socket)
    (self.messages, self.fhirTrouble, self.doorNotices) = (messages, fhirTrouble, notices)
    self.doors = Doors(limits)
  }

  /// Serves until the task is cancelled; `onServing` hears when it begins to.
  public func run(onServing: @escaping @Sendable () -> Void = {}) async throws {
    unsafe unlink(self.socket)
    var logger = Logger(label: "gateway")
    logger.logLevel = .critical
    let socket = self.socket
    let application = Application(
      router: self.router, server: try await self.doors.server(),
      configuration: .init(address: .unixDomainSocket(path: socket), serverName: "consilium"),
      onServerRunning: { _ in
        unsafe chmod(socket, 0o600)
        onServing()
      }, logger: logger)
    try await application.serve(at: socket)
  }

  /// What it answers, as `GET /v1/status`.
  package var routes: [String] { self.router.routes.map { "\($0.method) \($0.path)" } }

  var monitoring: Monitoring {
    Monitoring(service: self.service, fhirTrouble: self.fhirTrouble, notices: self.doorNotices)
  }

  private var router: Router<BasicRequestContext> {
    let router = Router(options: .autoGenerateHeadEndpoints)
    router.add(middleware: RefusalMiddleware<BasicRequestContext>(doors: self.doors))
    self.addNodeRoutes(to: router)
    self.addRecordRoutes(to: router)
    self.addContentRoutes(to: router)
    self.addLogRoutes(to: router)
    self.addVaultRoutes(to: router)
    self.addSessionRoutes(to: router)
    self.addReadingRoutes(to: router)
    self.addMessageRoutes(to: router)
    return router
  }

  private func addNodeRoutes(to router: Router<BasicRequestContext>) {
    let (service, fhirTrouble, doorNotices) = (self.service, self.fhirTrouble, self.doorNotices)
    router.get("/v1/status") { _, _ in
      var status = await service.status()
      status.fhirTrouble = fhirTrouble()
      status.notices = (status.notices ?? []) + doorNotices()
      return try json(status)
    }
    router.get("/v1/members") { _, _ in try json(await service.membership()) }
    router.get("/v1/configurations") { _, _ in try json(try await service.configurations()) }
    router.get("/v1/peers") { _, _ in try json(await service.peers()) }
    self.monitoring.addRoutes(to: router)
    router.get("/v1/accounts/{id}") { _, context in
      let identifier = try digest(context, "id")
      return try json(try await service.accountView(identifier))
    }
    router.get("/v1/keys/{key}") { _, context in
      guard let identifier = await service.account(ofKey: try digest(context, "key")) else {
        throw ServiceRefusal.notFound("account of that key")
      }
      return try json(try await service.accountView(identifier))
    }
    router.get("/v1/care-teams/{id}") { _, context in
      let identifier = try digest(context, "id")
      guard let team = await service.careTeam(identifier) else { throw ServiceRefusal.notFound("care team") }
      return try json(CareTeamView(identifier, team))
    }
    router.get("/v1/rules") { _, _ in try json(await service.rulesView()) }
    router.get("/v1/retention") { _, _ in try json(await service.retention().map { RetentionView($0) }) }
    router.post("/v1/transactions") { request, _ in
      let bytes = try await body(request, max: Int(service.genesis.limits.transactionBytesMax))
      let transaction = try CheckedTransaction(
        bytes, index: 0, genesis: service.genesis, hospital: service.member.id)
      guard let receipt = try await service.submit([transaction]).first else {
        throw ServiceRefusal.notOrderedYet(why: NodeStatus.busy)
      }
      return try json(await service.receiptView(receipt, of: transaction))
    }
    router.post("/v1/transactions/batch") { request, _ in
      let bytes = try await body(request, max: Self.batchBytesMax)
      let transactions = try Self.split(bytes, genesis: service.genesis, hospital: service.member.id)
      let receipts = try await service.submit(transactions)
      guard request.headers[.accept] == "application/octet-stream" else {
        return try json(receipts.map { ReceiptView($0) })
      }
      var encoder = Encoder(capacity: receipts.count * 18)
      for receipt in receipts {
        encoder.u16(receipt.outcome.number)
        encoder.u64(receipt.leaf)
        encoder.item(receipt.sequence)
      }
      return try binary(encoder.bytes)
    }
  }

  /// A batch: for each transaction its length (u32) and its bytes.
  static func split(
    _ bytes: [UInt8], genesis: Genesis, hospital: MemberID
  ) throws(ServiceRefusal) -> [CheckedTransaction] {
    var decoder = Decoder(bytes)
    var out: [CheckedTransaction] = []
    while decoder.remaining > 0 {
      let transaction: [UInt8]
      do {
        transaction = try decoder.blob(max: Int(genesis.limits.transactionBytesMax), "transaction")
      } catch { throw .badTransaction(index: out.count, reason: "\(error)") }
      out.append(try CheckedTransaction(transaction, index: out.count, genesis: genesis, hospital: hospital))
    }
    return out
  }
}

/// Turns refusals into answers that say what to do, and refuses more requests than can be handled.
struct RefusalMiddleware<Context: RequestContext>: RouterMiddleware {
  let doors: Doors

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    do {
      return try await Place.with(self.doors, Errand(request)) { try await next(request, context) }
    } catch let error as ServiceRefusal {
      return try Self.answer(error)
    } catch let error as HTTPError {
      let isUnknown = error.status == .notFound
      return try refusal(
        error.status, isUnknown ? "unknown-path" : "bad-request",
        isUnknown ? "there is nothing at \(request.uri.path)" : error.body ?? "the request is malformed",
        "see the node's API in Sources/Gateway")
    }
  }

  /// The answer to somebody who may not ask that here.
  private static func answer(ofAsker reason: ServiceRefusal) throws -> Response {
    switch reason {
    case .stranger(let name):
      try refusal(
        .forbidden, "stranger", "pages of \(name) may not use this server",
        "open the page from this server; if it stands behind a proxy, its name belongs into portal_names")
    case .inactive:
      try refusal(
        .forbidden, "account-inactive",
        "the account is suspended, revoked or over: nothing is shown to its key, and nothing that it signs is written",
        "ask at the desk of the hospital that registered it")
    case .noProxy:
      try refusal(
        .forbidden, "no-proxy", "nobody has said that you may act for that account, or it is over",
        "the person can say so on the page Sharing, or the hospital's desk, which knows guardians")
    case .notNoted(let reason):
      try refusal(
        .serviceUnavailable, "not-noted", "nothing is shown, for it cannot be noted who was shown it (\(reason))",
        "see the node's log")
    case .otherHospital(let reason, let remedy): try refusal(.forbidden, "other-hospital", reason, remedy)
    case .noToken(let reason):
      try refusal(
        .unauthorized, "no-token", reason,
        "send Authorization: Bearer TOKEN, with a system's or a session's: /fhir/.well-known/smart-configuration")
    default: try refusal(.internalServerError, "failed", "\(reason)", "see the node's log")
    }
  }

  private static func answer(_ reason: ServiceRefusal) throws -> Response {
    switch reason {
    case .badTransaction(let index, let reason):
      try refusal(.badRequest, "bad-transaction", "transaction \(index): \(reason)", "correct it and send it again")
    case .busy:
      try refusal(.serviceUnavailable, "busy", "too many requests are under way", "try again in a moment")
    case .full: try refusal(.serviceUnavailable, "full", "too many transactions wait", "send it again in a moment")
    case .notOrderedYet(let why):
      try refusal(
        .gatewayTimeout, "not-ordered-yet", "it is not ordered yet: \(why)",
        "it may still be: look before you repeat the command, which makes another; the same bytes are executed once")
    case .notFound(let what):
      try refusal(.notFound, "not-found", "there is no such \(what) here", "check the identifier")
    case .notStableYet:
      try refusal(.conflict, "not-stable-yet", "no signed tree head covers it yet", "ask again in a second")
    case .notKept(let leaf):
      try refusal(
        .gone, "not-kept",
        "log entry \(leaf) is older than the snapshot from which this node's ledger began, and has not come yet",
        "wait until consilium status says that the history is whole, or ask another member")
    case .badRequest(let reason): try refusal(.badRequest, "bad-request", reason, "correct it and send it again")
    case .tooLarge(let max):
      try refusal(.contentTooLarge, "too-large", "the body is over \(max) bytes", "send it in parts")
    case .noRoom(let reason):
      try refusal(.init(code: 507), "no-room", reason, "tell the hospital's operator if it stays so")
    case .unauthorized(let reason): try refusal(.forbidden, "unauthorized", reason, "sign it with the account's key")
    case .unknownSigner(let index):
      try refusal(
        .forbidden, "unknown-signer",
        "transaction \(index): the key that signed it is neither an account's current key here nor that of this "
          + "hospital's registrar, so nothing was written",
        "a person signs with the current key of an account that this hospital's desk registered; a registrar with this "
          + "hospital's key of today, not an old one; after a registration or a change of keys, try again in a moment")
    case .tooManyRefused:
      try refusal(
        .tooManyRequests, "too-many-refused", "the ledger refused too much that this key signed in the last minutes",
        "see why it was refused, and try again in ten minutes")
    case .stranger, .inactive, .noProxy, .noToken, .notNoted, .otherHospital: try Self.answer(ofAsker: reason)
    case .noMember:
      try refusal(
        .serviceUnavailable, "no-member", "this node does not vote, and so writes nothing on the ledger",
        "submit through a member's node; see consilium member list")
    case .laneFrozen:
      try refusal(
        .serviceUnavailable, "lane-frozen",
        "this hospital's lane is frozen: two nodes signed with its key, and the ledger holds the proof",
        "nothing that is sent here is ordered until the hospital is readmitted under new keys: "
          + "consilium member propose replace")
    case .rulesUnknown:
      try refusal(
        .serviceUnavailable, "rules-unknown", reason.description,
        "install the newest program at this node and start it, and send it again")
    case .tooFewVaults:
      try refusal(
        .serviceUnavailable, "too-few-vaults", "too few hospitals took an encrypted copy of the record",
        "send it again when more hospitals are connected: a record is anchored only once enough vaults keep it")
    case .release(let reason): try refusal(.forbidden, "not-released", reason.explanation, reason.remedy)
    case .notOpened(let outcome):
      try refusal(
        .serviceUnavailable, "not-opened",
        "nothing is ordered now, and this hospital opens by itself only what it wrote itself: \(outcome.explanation)",
        "ask the hospital that wrote it by other means, or again when more members are connected")
    case .failed(let reason):
      try refusal(.internalServerError, "failed", reason, "see the node's log")
    }
  }
}

func refusal(
  _ status: HTTPResponse.Status, _ error: String, _ message: String, _ remedy: String
) throws -> Response {
  var answer = try json(RefusalView(error: error, message: message, remedy: remedy), status: status)
  // RFC 9110 §15.5.2.
  if status == .unauthorized { answer.headers[.wwwAuthenticate] = "Bearer realm=\"consilium\"" }
  return answer
}

func json(
  _ value: some Encodable, status: HTTPResponse.Status = .ok, inSnakeCase: Bool = false
) throws -> Response {
  let encoder = JSONEncoder()
  if inSnakeCase { encoder.keyEncodingStrategy = .convertToSnakeCase }
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  let bytes = Array(try encoder.encode(value)) + [0x0a]
  try Place.reserve(answer: bytes.count)
  return Response(status: status, headers: [.contentType: "application/json"], body: Place.sent(bytes))
}

/// - Throws: `ServiceRefusal.busy` where the answers of others have the memory.
func binary(_ bytes: [UInt8]) throws(ServiceRefusal) -> Response {
  try Place.reserve(answer: bytes.count)
  return Response(status: .ok, headers: [.contentType: "application/octet-stream"], body: Place.sent(bytes))
}

func text(_ text: String) -> Response {
  Response(
    status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
    body: .init(byteBuffer: ByteBuffer(string: text)))
}

/// A number of the query; `fallback` where none is given.
///
/// - Throws: `ServiceRefusal.badRequest` where it is no number, or out of bounds.
func number<Number: FixedWidthInteger>(
  _ name: String, of request: Request, in bounds: ClosedRange<Number>, else fallback: Number? = nil
) throws(ServiceRefusal) -> Number {
  guard let text = request.uri.queryParameters[Substring(name)] else {
    guard let fallback else { throw .badRequest("\(name) is expected, a number") }
    return fallback
  }
  guard let number = Number(text), bounds.contains(number) else {
    throw .badRequest("\(name) is a number from \(bounds.lowerBound) to \(bounds.upperBound)")
  }
  return number
}

func digest(_ context: BasicRequestContext, _ name: String) throws -> Digest {
  guard let text = context.parameters.get(name), let bytes = Hex.decode(text), let digest = Digest(bytes) else {
    throw ServiceRefusal.badRequest("\(name) is no identifier: 64 hexadecimal digits are expected")
  }
  return digest
}
