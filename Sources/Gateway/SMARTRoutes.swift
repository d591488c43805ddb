internal import FHIR
internal import Foundation
internal import HTTPTypes
internal import HealthRecords
internal import Hummingbird
internal import Messages
internal import NIOCore
internal import Primitives
internal import Signing

/// The document by which apps find their way (SMART App Launch 2.1, "conformance").
private struct SMARTConfiguration: Encodable {
  let issuer: String
  let jwksUri: String
  let authorizationEndpoint: String?
  let tokenEndpoint: String
  let revocationEndpoint: String
  let introspectionEndpoint: String
  let grantTypesSupported: [String]
  let responseTypesSupported = ["code"]
  let subjectTypesSupported = ["public"]
  let idTokenSigningAlgValuesSupported = ["ES256"]
  let codeChallengeMethodsSupported = ["S256"]
  let tokenEndpointAuthMethodsSupported: [String]
  let tokenEndpointAuthSigningAlgValuesSupported: [String]?
  let revocationEndpointAuthMethodsSupported: [String]
  let introspectionEndpointAuthMethodsSupported: [String]
  let scopesSupported: [String]
  let capabilities: [String]

  /// What is there for apps, and what for the hospital's own systems.
  init(_ places: SMARTAuthorization.Places, issuer: String, hasApps: Bool, hasSystems: Bool) {
    self.issuer = issuer
    self.jwksUri = places.token.replacing("/auth/token", with: "/auth/keys")
    (self.authorizationEndpoint, self.tokenEndpoint) = (places.authorize, places.token)
    (self.revocationEndpoint, self.introspectionEndpoint) = (places.revoke, places.introspect)
    func both(_ apps: [String], _ systems: [String]) -> [String] { (hasApps ? apps : []) + (hasSystems ? systems : []) }
    self.grantTypesSupported = both(["authorization_code", "refresh_token"], ["client_credentials"])
    let methods = both(["none"], ["private_key_jwt"])
    self.tokenEndpointAuthMethodsSupported = methods
    (self.revocationEndpointAuthMethodsSupported, self.introspectionEndpointAuthMethodsSupported) = (methods, methods)
    self.tokenEndpointAuthSigningAlgValuesSupported = hasSystems ? SystemAuthorization.algorithms : nil
    self.scopesSupported = both(
      [
        "openid", "fhirUser", "profile", "online_access", "offline_access", "launch", "launch/patient",
        "user/*.cruds", "user/*.rs", "user/*.read", "user/*.write", "patient/*.cruds", "patient/*.rs",
        "patient/*.read", "patient/*.write",
      ], ["system/*.cruds", "system/*.rs", "system/*.read", "system/*.write"])
    self.capabilities =
      both(
        [
          "launch-standalone", "launch-ehr", "context-ehr-patient", "context-ehr-encounter", "client-public",
          "sso-openid-connect", "permission-user", "permission-patient", "permission-online", "permission-offline",
        ], ["client-confidential-asymmetric"]) + ["permission-v1", "permission-v2"]
  }
}

private struct TokenAnswer: Encodable {
  let accessToken: String
  let tokenType = "Bearer"
  let expiresIn: UInt64
  let scope: String
  let refreshToken: String?
  let idToken: String?
  var patient: String?
  var encounter: String?
}

extension TokenAnswer {
  init(_ grant: SystemAuthorization.Grant) {
    self.init(
      accessToken: grant.token, expiresIn: grant.seconds, scope: grant.scopes.text, refreshToken: nil, idToken: nil)
  }
}

/// What a practitioner lets an app do, signed in the browser.
private struct ConsentBody: Decodable {
  let query: String
  let transaction: String
}

/// What the page shows before a practitioner lets an app in.
private struct AppView: Encodable {
  let client: String
  let scopes: [String]
  let hours: UInt64
  let refused: String
  /// The patient in whose chart it was launched, by the id here.
  let patient: String?
}

private struct RedirectView: Encodable { let redirect: String }

extension SMARTAuthorization {
  /// For how long an app is let in.
  static let hours: UInt64 = 8

  /// The routes that apps use, on the FHIR interface's port.
  nonisolated func addRoutes<Context: RequestContext>(
    to router: Router<Context>, sessions: ReadingSessions, doors: Doors
  ) async {
    let (places, identity) = (self.places, await IdentityTokens(issuer: self.places.fhir))
    // By OpenID Connect Discovery the same, beside the issuer.
    for name in ["smart-configuration", "openid-configuration"] {
      router.get("/fhir/.well-known/\(name)") { _, _ in
        try json(
          SMARTConfiguration(
            places, issuer: identity.issuer, hasApps: self.hasApps, hasSystems: !self.systems.isEmpty),
          inSnakeCase: true)
      }
    }
    router.get("/auth/keys") { _, _ in try json(identity.published) }
    router.post("/auth/token") { request, _ in
      try await Self.answer(request, doors) { form in
        if form["grant_type"] == "client_credentials", !self.systems.isEmpty {
          return try json(TokenAnswer(try await self.systems.answer(form)), inSnakeCase: true)
        }
        return try json(try await self.answer(form, sessions, identity), inSnakeCase: true)
      }
    }
    self.addTokenRoutes(to: router, sessions: sessions, doors: doors)
  }

  /// Answers a form, or says what is wrong with it (RFC 6749 §5.2): with a status of its own
  /// to those who are not known.
  nonisolated static func answer(
    _ request: Request, _ doors: Doors, strangers: HTTPResponse.Status = .badRequest,
    _ made: @escaping @Sendable ([String: String]) async throws -> Response
  ) async throws -> Response {
    var answer: Response
    do {
      answer = try await Place.with(doors, .prompt) {
        let bytes = try await body(request, max: Self.formBytesMax)
        return try await made(try Self.dictionary(String(decoding: bytes, as: UTF8.self)))
      }
    } catch let refusal as SystemAuthorization.Refusal {
      answer = try json(
        ["error": refusal.fault.rawValue, "error_description": refusal.reason],
        status: refusal.fault == .invalidClient ? strangers : .badRequest)
    } catch let fault as Fault {
      answer = try json(["error": fault.rawValue], status: fault == .invalidClient ? strangers : .badRequest)
    } catch let refusal as ServiceRefusal { answer = try Self.answer(refusal) }
    answer.headers[.cacheControl] = "no-store"
    if answer.status == .unauthorized { answer.headers[.wwwAuthenticate] = "Bearer realm=\"consilium\"" }
    return answer
  }

  /// The most bytes of what an app sends for a token.
  static let formBytesMax = 16_384

  /// A refusal as apps read it (RFC 6749 §5.2).
  private static func answer(_ refusal: ServiceRefusal) throws -> Response {
    func answer(_ status: HTTPResponse.Status, _ error: String, _ words: String) throws -> Response {
      try json(["error": error, "error_description": words], status: status)
    }
    return switch refusal {
    case .tooLarge(let max):
      try answer(.contentTooLarge, Fault.invalidRequest.rawValue, "the body is over \(max) bytes")
    case .badRequest(let reason): try answer(.badRequest, Fault.invalidRequest.rawValue, reason)
    default:
      try answer(.serviceUnavailable, "temporarily_unavailable", "too much is under way; try again in a moment")
    }
  }

  /// What an app gets for a code, or for a refresh token.
  private func answer(
    _ form: [String: String], _ sessions: ReadingSessions, _ identity: IdentityTokens
  ) async throws -> TokenAnswer {
    let isRefresh = form["grant_type"] == "refresh_token"
    let grant =
      isRefresh
      ? try await self.refresh(
        form, renew: { await sessions.renew($0, scopes: $1) }, close: { await sessions.close($0) })
      : try await self.redeem(form, close: { await sessions.close($0) })
    guard let session = await sessions.session(grant.token) else { throw Fault.invalidGrant }
    let scopes = grant.request.scopes
    var idToken: String?
    if scopes.wantsIdentity, !isRefresh {
      idToken = try await identity.token(
        for: session.account, app: grant.request.client.id, nonce: grant.request.nonce,
        fhirUser: scopes.wantsUser ? "\(self.places.fhir)/Practitioner/\(session.account)" : nil, at: self.time)
    }
    return TokenAnswer(
      accessToken: grant.token, expiresIn: self.seconds(of: grant), scope: session.scopes.text,
      refreshToken: scopes.wantsRefresh ? self.refreshToken(for: grant) : nil, idToken: idToken,
      patient: grant.launch?.patient, encounter: grant.launch?.encounter)
  }

  /// A capability statement that says where practitioners let apps in, as SMART App Launch 1 and 2 write it.
  nonisolated func announced(_ statement: CanonicalJSON) -> CanonicalJSON {
    guard case .array(let rest)? = statement["rest"], let server = rest.first else { return statement }
    func place(_ name: String, _ url: String) -> CanonicalJSON {
      .members([("url", .string(name)), ("valueUri", .string(url))])
    }
    let uris = CanonicalJSON.members([
      ("url", .string("http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris")),
      (
        "extension",
        .array(
          (self.places.authorize.map { [place("authorize", $0)] } ?? []) + [
            place("token", self.places.token), place("revoke", self.places.revoke),
            place("introspect", self.places.introspect),
          ])
      ),
    ])
    let coding = CanonicalJSON.members([
      ("system", .string("http://terminology.hl7.org/CodeSystem/restful-security-service")),
      ("code", .string("SMART-on-FHIR")),
    ])
    let security = CanonicalJSON.members([
      ("extension", .array([uris])), ("service", .array([.members([("coding", .array([coding]))])])),
    ])
    return statement.setting("rest", .array([server.setting("security", security)] + rest.dropFirst()))
  }

  /// The parameters of a query or a form by their names; the first of each counts.
  static func dictionary(_ query: String) throws(Fault) -> [String: String] {
    // ⚑ What is said twice says nothing: of two patients neither is the one whose chart is opened (RFC 6749, §3.2).
    guard let parameters = try? FHIRURL.parameters(query), Set(parameters.map(\.name)).count == parameters.count else {
      throw .invalidRequest
    }
    return Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.value) })
  }
}

extension PortalServer {
  /// The routes of the page on which practitioners let apps in.
  func addSMARTRoutes(to router: Router<BasicRequestContext>) {
    guard let smart = self.smart else { return }
    router.get("/authorize") { request, _ in Self.page("An app", script: "authorize.js", to: request) }
    router.get("/api/apps") { request, _ in
      let asked = try smart.authorization.read(SMARTAuthorization.dictionary(request.uri.query ?? ""))
      let launch = try await smart.authorization.launch(of: asked)
      return try json(
        AppView(
          client: asked.client.id, scopes: asked.scopes.text.split(separator: " ").map(String.init),
          hours: SMARTAuthorization.hours, refused: asked.returning([("error", "access_denied")]),
          patient: launch?.patient))
    }
    // ⚑ Whose chart it is, by name, is for the practitioner alone: the app knows its own launch.
    router.get("/api/clinicians/{account}/apps/chart") { request, context in
      let clinician = try await self.clinician(request, context).identifier
      let asked = try smart.authorization.read(SMARTAuthorization.dictionary(request.uri.query ?? ""))
      guard let launch = try await smart.authorization.launch(of: asked) else {
        throw ServiceRefusal.badRequest("the app was launched in no chart")
      }
      guard launch.practitioner == clinician else {
        throw ServiceRefusal.unauthorized("the app was launched for another practitioner")
      }
      guard let patient = try await self.patients?.patient(launch.patient, by: clinician) else {
        throw ServiceRefusal.failed("Patient/\(launch.patient) is not here any more: start the app in the chart again")
      }
      return try json(patient)
    }
    router.post("/api/clinicians/{account}/sessions/keys") { request, context in
      let clinician = try await self.clinician(request, context).identifier
      guard let key = await smart.sessions.prepare(for: clinician) else { throw ServiceRefusal.full }
      return try json(SessionView(key))
    }
    router.post("/api/clinicians/{account}/apps") { request, context in
      let clinician = try await self.clinician(request, context).identifier
      let bytes = try await body(request, max: Int(self.service.genesis.limits.transactionBytesMax) * 2 + 8192)
      guard let given = try? JSONDecoder().decode(ConsentBody.self, from: Data(bytes)),
        let transaction = Hex.decode(given.transaction)
      else { throw ServiceRefusal.badRequest("query and transaction are expected") }
      let asked = try smart.authorization.read(SMARTAuthorization.dictionary(given.query))
      guard await smart.authorization.hasRoom(for: asked.client) else { throw ServiceRefusal.full }
      let launch = try await smart.authorization.takeLaunch(of: asked, by: clinician)
      let (token, until) = try await smart.sessions.activate(
        transaction, client: asked.client.id, scopes: asked.scopes, patient: launch?.patient)
      do {
        // ⚑ Who signs the session is whom the EHR launched the app for.
        if let launch, await smart.sessions.session(token)?.account != launch.practitioner {
          throw ServiceRefusal.unauthorized("the app was launched for another practitioner")
        }
        return try json(
          RedirectView(redirect: try await smart.authorization.issue(asked, token: token, until: until, in: launch)))
      } catch {
        await smart.sessions.close(token)
        throw error
      }
    }
  }
}
