internal import Ledger
public import FHIR
internal import Foundation
internal import HTTPTypes
internal import HealthRecords
internal import Hummingbird
internal import Logging
internal import Messages
internal import NIOCore
internal import Primitives
internal import Signing

/// The hospital's FHIR R4 interface over HTTP: its EHR is pointed at it.
public struct FHIRServer: Sendable {
  let service: FHIRService
  let node: any NodeService
  private let log: TransparencyLog
  private let foreign: ForeignRecords
  let sessions: ReadingSessions
  let smart: SMARTAuthorization?
  let isTokenRequired: Bool
  private let entrance: Entrance
  let visitors: Visitors
  let doors: Doors

  /// A server for a service, for what EHRs and apps ask of other hospitals in practitioners' names, and for the node's
  /// log. Where a token `isRequired`, or others than programs of this machine come, nobody is served without one.
  public init(
    service: FHIRService, node: any NodeService, sessions: ReadingSessions, smart: SMARTAuthorization?,
    isTokenRequired: Bool, at entrance: Entrance, limits: DoorLimits = DoorLimits()
  ) {
    self.doors = Doors(limits)
    (self.service, self.node, self.log, self.entrance) = (service, node, TransparencyLog(service: node), entrance)
    (self.sessions, self.smart, self.isTokenRequired) = (sessions, smart, isTokenRequired || !entrance.isLocal)
    self.visitors = Visitors(entrance: entrance, apps: smart?.origins ?? [])
    self.foreign = ForeignRecords(
      service: node, sessions: sessions, systems: smart?.systems, base: Self.base(at: entrance))
  }

  /// Serves until the task is cancelled.
  public func run() async throws {
    var logger = Logger(label: "fhir")
    logger.logLevel = .critical
    let quiet = logger
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        let application = Application(
          router: await self.router, server: try await self.doors.server(self.entrance.certificate),
          configuration: .init(
            address: .hostname(self.entrance.host, port: self.entrance.port), serverName: "consilium"), logger: quiet)
        try await application.serve(at: self.entrance.place)
      }
      group.addTask {
        // At once: what became of drafts before the last stop is not known before.
        repeat {
          _ = await self.service.anchorPending()
        } while (try? await Task.sleep(for: Self.pendingInterval)) != nil
        await self.service.keepWaiting()
      }
      try await group.next()
      group.cancelAll()
    }
  }

  /// What it answers, as `GET /fhir/**`.
  package var routes: [String] { get async { await self.router.routes.map { "\($0.method) \($0.path)" } } }

  private var router: Router<DoorContext> {
    get async {
      let router = Router(context: DoorContext.self, options: .autoGenerateHeadEndpoints)
      router.add(middleware: CrossOrigin(visitors: self.visitors))
      // Those that nothing takes are answered too: with what is taken instead.
      let others = ["PROPFIND", "QUERY"].compactMap { HTTPRequest.Method($0) }
      for method in [.get, .head, .post, .put, .delete, .patch, .options, .trace] + others {
        for path in ["/fhir", "/fhir/**"] as [RouterPath] {
          router.on(path, method: method) { request, context in
            try await self.answerInPlace(request, context.channel)
          }
        }
      }
      await self.smart?.addRoutes(to: router, sessions: self.sessions, doors: self.doors)
      if let smart, smart.hasApps { self.addLaunchRoute(to: router, smart) }
      let log = router.group("log").add(middleware: RefusalMiddleware<DoorContext>(doors: self.doors))
      log.get("**") { [log = self.log] request, _ in
        if let stranger = self.visitors.stranger(request) { throw ServiceRefusal.stranger(stranger) }
        // On this machine alone it is for everybody who has an account here.
        if !self.entrance.isLocal, await self.holder(of: request) == nil {
          throw ServiceRefusal.noToken(
            request.headers[.authorization] == nil
              ? "a token is needed, as for the FHIR interface"
              : "the token is none, its time or session is over, or this node does not know it")
        }
        return try await log.answer(request.uri.path.split(separator: "/").dropFirst().map(String.init))
      }
      return router
    }
  }

  /// How often what could not be anchored is tried again.
  private static let pendingInterval = Duration.seconds(15)

  private func answerInPlace(_ request: Request, _ channel: any Channel) async throws -> Response {
    // What one request asks for can be long; a write by itself is done once it is sent.
    let isLong =
      [.get, .head].contains(request.method) || request.uri.path.hasSuffix("/_search")
      || request.uri.path.split(separator: "/").count == 1
    do {
      return try await Place.with(self.doors, Errand(request)) {
        guard isLong else { return try await self.answer(request) }
        return try await self.doors.whileConnected(channel) { try await self.answer(request) }
      }
    } catch let error as ServiceRefusal {
      guard case .busy = error else { throw error }
      return Self.response(Self.busy)
    }
  }

  static let busy = FHIRFailure(503, "throttled", "too many requests are under way: try again in a moment")

  /// The parameters of a search that comes as a form.
  private static func form(
    _ body: [UInt8], _ type: String?
  ) throws(FHIRFailure) -> [(name: String, value: String)] {
    if let type, self.media(type) != "application/x-www-form-urlencoded" {
      throw FHIRFailure(
        415, "not-supported", "a search is taken as application/x-www-form-urlencoded, not as \(type)")
    }
    return try FHIRURL.parameters(String(decoding: body, as: UTF8.self))
  }

  /// ⚑ The header is not passed over: who sends it believes that what comes with it is sensitive.
  private static func requireNoCategory(_ request: Request) throws(FHIRFailure) {
    guard let name = HTTPField.Name("X-Consilium-Category"), request.headers.contains(name) else { return }
    throw FHIRFailure(
      400, "not-supported",
      "X-Consilium-Category is for a file that is sent as it is, by POST /Binary with its own content type: label a "
        + "resource by meta.security")
  }

  private func answer(_ request: Request) async throws -> Response {
    // Who may not ask at all is not listened to: the body is read last.
    if let stranger = self.visitors.stranger(request) {
      return Self.response(Self.forbidden(to: stranger))
    }
    if let answer = await self.answerAttachment(request) { return answer }
    if let answer = await self.answerLines(request) { return answer }
    let path = request.uri.path.split(separator: "/").dropFirst()
    var asked = FHIRRequest(
      method: request.method == .head ? "GET" : request.method.rawValue,
      path: path.map { String($0).removingPercentEncoding ?? String($0) }, query: [])
    asked.meter = AnswerMeter { [place = Place.current] in place?.takeAnswer($0) ?? true }
    asked.ifMatch = request.headers[.ifMatch]
    asked.ifNoneMatch = request.headers[.ifNoneMatch]
    asked.ifNoneExist = HTTPField.Name("If-None-Exist").flatMap { request.headers[$0] }
    asked.prefer = HTTPField.Name("Prefer").flatMap { request.headers[$0] }
    asked.securityContext = HTTPField.Name("X-Security-Context").flatMap { request.headers[$0] }
    asked.ifModifiedSince = request.headers[.ifModifiedSince].flatMap { Self.time(ofHTTP: $0) }
    asked.contentType = request.headers[.contentType]
    let accept = request.headers[.accept]
    // What a Binary holds may be given as what it is.
    let isBinary = asked.method == "GET" && asked.path.first == "Binary" && [2, 4].contains(asked.path.count)
    let form: String
    do throws(FHIRFailure) {
      try Self.requireNoCategory(request)
      asked.query = try FHIRURL.parameters(request.uri.query ?? "")
      form =
        isBinary && !asked.query.contains { $0.name == "_format" }
        ? MediaTypes.fhir : try MediaTypes.answered(asked.query, accept: accept)
      asked.asker = try await self.asker(of: asked, request)
      asked.body = try await self.content(of: request)
      if asked.method == "POST", asked.path.last == "_search" {
        asked.query += try Self.form(asked.body, request.headers[.contentType])
        asked.body = []
      }
    } catch { return Self.response(error) }
    if !asked.body.isEmpty, let type = request.headers[.contentType], asked.method != "PATCH",
      !Self.mayBeJSON(type) || !MediaTypes.isOfThisVersion(type)
    {
      return Self.response(
        FHIRFailure(
          415, "not-supported",
          "resources are taken as application/fhir+json of fhirVersion 4.0, in UTF-8, not as \(type)"))
    }
    var response = await self.service.handle(asked)
    if asked.path == ["metadata"], let smart { response.body = response.body.map(smart.announced) }
    // ⚑ What is a record is what the ledger has, whatever is stored here under its id.
    let isRecord = [200, 304, 410].contains(response.status) ? await self.foreign.isRecord(asked) : false
    if response.status == 404 || isRecord, let found = await self.answerForeign(asked, request) { response = found }
    if isBinary, response.status == 200, let answer = Self.content(of: response, accept, asked.query) {
      return request.method == .head ? answer.createHeadResponse() : answer
    }
    let isPretty = asked.query.contains { $0.name == "_pretty" && $0.value == "true" }
    var bytes = (isPretty ? response.body?.prettyBytes : response.body?.canonicalBytes) ?? []
    var answer = Self.response(response, base: self.base, bytes)
    if response.body != nil { answer.headers[.contentType] = "\(form); charset=utf-8" }
    if response.status == 405, let name = HTTPField.Name("Allow") {
      answer.headers[name] = FHIRService.methods(of: asked.path).joined(separator: ", ")
    }
    if bytes.count >= Self.compressedBytesMin, Self.takesGzip(request), let packed = Gzip.compress(bytes) {
      answer.headers[.contentEncoding] = "gzip"
      answer.headers[.vary] = "Accept-Encoding"
      answer.headers[.contentLength] = "\(packed.count)"
      bytes = packed
    }
    answer.body = Place.sent(bytes)
    return request.method == .head ? answer.createHeadResponse() : answer
  }

  /// What answers a request for an attachment's own bytes, or one that brings them; nil for every other. They may be
  /// longer than what fits into memory: they are sealed while they come, and given while they are opened.
  private func answerAttachment(_ request: Request) async -> Response? {
    let answer = await self.attachmentAnswer(request)
    return request.method == .head ? answer?.createHeadResponse() : answer
  }

  private func attachmentAnswer(_ request: Request) async -> Response? {
    let path = request.uri.path.split(separator: "/").dropFirst().map { String($0) }
    guard path.first == "Binary" else { return nil }
    let isVersion = path.count == 4 && path[2] == "_history"
    let isRead = [.get, .head].contains(request.method) && (path.count == 2 || isVersion)
    // Without a word of what it wants, a client gets the resource, as of every other type.
    let accept =
      request.uri.query.flatMap { try? FHIRURL.parameters($0) }?.last { $0.name == "_format" }
      .map { _ in MediaTypes.fhir }
      ?? request.headers[.accept] ?? MediaTypes.fhir
    let type = request.headers[.contentType] ?? "application/fhir+json"
    let isOwnBytes =
      isRead ? !accept.split(separator: ",").contains { Self.isJSON("\($0)") } : path.count == 1 && !Self.isJSON(type)
    guard isRead || request.method == .post, isOwnBytes else { return nil }
    do throws(FHIRFailure) {
      if let stranger = self.visitors.stranger(request) {
        throw Self.forbidden(to: stranger)
      }
      var asked = FHIRRequest(method: isRead ? "GET" : request.method.rawValue, path: path)
      asked.asker = try await self.asker(of: asked, request)
      try asked.authorize()
      guard isRead else { return try await self.attach(request, by: asked.asker) }
      guard let identifier = Hex.decode(path[1]).flatMap({ Digest($0) }) else { return nil }
      try await self.requireOwn(path[1], by: asked.asker)
      if isVersion { try ForeignRecords.requireVersion(path[3], of: "Binary/\(path[1])") }
      let purpose = HTTPField.Name("X-Consilium-Purpose").flatMap { request.headers[$0] }
      let found = try await self.foreign.content(identifier, token: Self.token(request), purpose: purpose)
      switch found {
      case nil: return nil
      case .resource(let resource):
        try asked.asker.require(.read, resource["resourceType"]?.text ?? "Binary")
        var response = FHIRResponse(body: resource)
        response.anchor = path[1]
        return Self.response(response)
      case .bytes(let type, let content):
        return Self.attachment(of: type, .init(byteBuffer: ByteBuffer(bytes: content)))
      case .long(let type, let key):
        let node = self.node
        let body = ResponseBody { writer in
          _ = try await key.open(part: { try await node.part(identifier, from: $0) }) {
            try await writer.write(ByteBuffer(bytes: $0))
          }
          try await writer.finish(nil)
        }
        return Self.attachment(of: type, body)
      }
    } catch { return Self.response(error) }
  }

  /// A Binary's own bytes, or a refusal, where the client takes no resource; nil where it takes one (FHIR R4,
  /// binary.html).
  private static func content(
    of response: FHIRResponse, _ accept: String?, _ query: [(name: String, value: String)]
  ) -> Response? {
    guard let accept, !query.contains(where: { $0.name == "_format" }) else { return nil }
    let resource = response.body?["resourceType"]?.text == "Binary" ? response.body : nil
    let type = resource?["contentType"]?.text.flatMap { $0.allSatisfy(\.isASCII) ? $0 : nil } ?? ""
    let media = Self.media(type)
    let json = ["application/fhir+json", "application/json"]
    let types = json + (media.isEmpty ? [] : [media]) + ["text/json"]
    guard let best = MediaTypes.best(of: types, for: accept) else {
      let own = media.isEmpty ? "" : ", or as \(type)"
      return Self.response(
        FHIRFailure(406, "not-supported", "it comes as application/fhir+json\(own), not as \(accept)"))
    }
    guard !json.contains(best), best != "text/json" else { return nil }
    guard let data = Data(base64Encoded: resource?["data"]?.text ?? "", options: .ignoreUnknownCharacters) else {
      return Self.response(FHIRFailure(500, "exception", "what it holds is no base64"))
    }
    var answer = Self.attachment(of: type, .init(byteBuffer: ByteBuffer(bytes: data)))
    if let version = response.version { answer.headers[.eTag] = "W/\"\(version)\"" }
    if let updated = response.updated { answer.headers[.lastModified] = Self.httpDate(updated) }
    return answer
  }

  private static func attachment(of type: String, _ body: ResponseBody) -> Response {
    let headers: HTTPFields = [
      .contentType: type, .cacheControl: "no-store", .contentDisposition: "attachment", .xContentTypeOptions: "nosniff",
    ]
    return Response(status: .ok, headers: headers, body: body)
  }

  private func answerForeign(_ asked: FHIRRequest, _ request: Request) async -> FHIRResponse? {
    let token = Self.token(request)
    let purpose = HTTPField.Name("X-Consilium-Purpose").flatMap { request.headers[$0] }
    if asked.path.count > 1 {
      do throws(FHIRFailure) { try await self.requireOwn(asked.path[1], by: asked.asker) } catch {
        return FHIRResponse(status: error.status, body: error.outcome)
      }
    }
    let answer = await self.foreign.answer(asked, token: token, purpose: purpose)
    // Other records are asked for on the ledger, each by itself; the list of them is not.
    if let answer, asked.path == ["$records"], answer.status == 200 {
      do { try await self.service.note(asked, answer) } catch {
        let failure = error as? FHIRFailure ?? FHIRFailure(503, "transient", "\(error)")
        return FHIRResponse(status: failure.status, body: failure.outcome)
      }
    }
    // What is asked for as Binary may turn out to be a resource of any type.
    if let type = answer?.body?["resourceType"]?.text, asked.path.first == "Binary", type != "OperationOutcome" {
      do throws(FHIRFailure) { try asked.asker.require(.read, type) } catch {
        return FHIRResponse(status: error.status, body: error.outcome)
      }
    }
    return answer
  }

  /// ⚑ An app that was launched in one chart gets no record of another patient's, whatever its practitioner may read.
  private func requireOwn(_ id: String, by asker: FHIRAsker) async throws(FHIRFailure) {
    guard asker.scopes.isOfPatient, let patient = asker.patient(to: .read, "*"),
      let identifier = Hex.decode(id).flatMap({ Digest($0) }), let record = await self.node.record(identifier)
    else { return }
    guard record.anchor.patient == (await self.service.account(ofPatient: patient)) else {
      throw FHIRFailure(
        404, "not-found", "there is no record \(id) of Patient/\(patient), in whose chart the app was launched")
    }
  }

  /// Smaller answers go as they are.
  private static let compressedBytesMin = 1024

  /// The body, unpacked where it came packed.
  private func content(of request: Request) async throws(FHIRFailure) -> [UInt8] {
    let packing: Packing
    switch request.headers[.contentEncoding]?.lowercased() {
    case nil, "", "identity": packing = .none
    case "gzip": packing = .gzip
    case let other?: throw FHIRFailure(415, "not-supported", "bodies are taken plain or as gzip, not as \(other)")
    }
    // What is made of a body takes more than it does itself; what never fits need not come again.
    var never: Int?
    do throws(ServiceRefusal) {
      let bytes = try await body(request, max: FHIRService.bodyBytesMax, packing: packing)
      let tree = JSONLimits.outside.treeBytes(of: bytes)
      if tree > self.doors.limits.memoryBytesMax - bytes.count { never = tree }
      try Place.current?.take(bytes: tree)
      return bytes
    } catch {
      if let never {
        throw FHIRFailure(
          413, "too-costly",
          "it has so many values that it takes \(never) bytes of memory, and there are "
            + "\(self.doors.limits.memoryBytesMax) for all: send it in parts")
      }
      switch error {
      case .tooLarge(let max): throw FHIRFailure(413, "too-costly", "the body is over \(max) bytes; send it in parts")
      case .busy: throw Self.busy
      case .badRequest(let reason): throw FHIRFailure(400, "structure", reason)
      default: throw FHIRFailure(400, "structure", "\(error)")
      }
    }
  }

  /// Whether whoever asks takes an answer packed by gzip.
  static func takesGzip(_ request: Request) -> Bool {
    (request.headers[.acceptEncoding] ?? "").lowercased().split(separator: ",").contains { item in
      let parts = item.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }
      return ["gzip", "*"].contains(parts.first ?? "") && !parts.dropFirst().contains { $0 == "q=0" || $0 == "q=0.0" }
    }
  }

  /// A media type without its parameters, in small letters.
  private static func media(_ text: some StringProtocol) -> String {
    text.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
  }

  private static func isJSON(_ type: String) -> Bool { MediaTypes.isJSON(type) }

  /// Clients that say nothing of the content are given one of these by their libraries: what it is shows itself.
  private static let unsaid = ["application/x-www-form-urlencoded", "application/octet-stream", "text/plain"]

  private static func mayBeJSON(_ type: String) -> Bool { self.isJSON(type) || self.unsaid.contains(self.media(type)) }

  static func forbidden(to stranger: String) -> FHIRFailure {
    FHIRFailure(403, "forbidden", "pages of \(stranger) may not use this interface")
  }

  /// Where clients reach it.
  var base: String { Self.base(at: self.entrance) }
  /// Where clients reach the server of an entrance.
  public static func base(at entrance: Entrance) -> String { entrance.origin + "/fhir" }

  static func response(_ failure: FHIRFailure) -> Response {
    self.response(FHIRResponse(status: failure.status, body: failure.outcome))
  }

  static func response(_ answer: FHIRResponse, base: String = "", _ made: [UInt8]? = nil) -> Response {
    var headers: HTTPFields = [.cacheControl: "no-store"]
    if answer.status == 401 { headers[.wwwAuthenticate] = "Bearer realm=\"consilium\"" }
    if answer.body != nil { headers[.contentType] = "application/fhir+json; charset=utf-8" }
    if let seconds = answer.retrySeconds { headers[.retryAfter] = "\(seconds)" }
    if let version = answer.version { headers[.eTag] = "W/\"\(version)\"" }
    if let updated = answer.updated { headers[.lastModified] = Self.httpDate(updated) }
    if let location = answer.location { headers[.location] = "\(base)/\(location)" }
    if let place = answer.contentLocation { headers[.contentLocation] = "\(base)/\(place)" }
    if let anchor = answer.anchor, let name = HTTPField.Name("X-Consilium-Record") { headers[name] = anchor }
    let bytes = made ?? answer.body?.canonicalBytes ?? []
    return Response(
      status: .init(code: answer.status), headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
  }

  private static var httpDates: DateFormatter {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "GMT")
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    return formatter
  }

  private static func httpDate(_ time: Timestamp) -> String {
    self.httpDates.string(from: Date(timeIntervalSince1970: Double(time.milliseconds) / 1000))
  }

  /// What cannot be read is as if it were not there (RFC 9110, §13.1.3).
  private static func time(ofHTTP text: String) -> Timestamp? {
    guard let date = self.httpDates.date(from: text), date.timeIntervalSince1970 >= 0 else { return nil }
    return Timestamp(milliseconds: UInt64(date.timeIntervalSince1970 * 1000))
  }
}
