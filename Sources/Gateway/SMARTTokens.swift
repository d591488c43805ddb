internal import FHIR
internal import HTTPTypes
internal import HealthRecords
internal import Hummingbird
internal import Primitives

/// What a token that is good allows (RFC 7662 §2.2; SMART App Launch 2.1, "token introspection").
struct TokenView: Encodable, Sendable {
  let active = true
  let scope: String
  /// Nil where the hospital's own EHR had the session opened.
  let client: String?
  let type = "Bearer"
  /// In seconds since 1970, as all times of these documents.
  let exp: UInt64
  let iss: String
  /// The practitioner's account; nil for a system.
  let sub: String?
  let fhirUser: String?
  /// The patient in whose chart the app was launched.
  let patient: String?

  private enum CodingKeys: String, CodingKey {
    case active, scope, exp, iss, sub, fhirUser, patient
    case client = "client_id"
    case type = "token_type"
  }
}

/// What is said of every token that is not good, or is not for who asks: nothing.
private struct NoToken: Encodable {
  let active = false
}

extension SMARTAuthorization {
  /// Who gives a token back or asks about one.
  enum Holder: Sendable {
    /// An app, which is known by its name alone: it learns of its own tokens.
    case app(SMARTClient)
    /// A system that proved that it has its key.
    case system(SMARTSystem)
  }

  /// The routes by which tokens are given back (RFC 7009), and asked about (RFC 7662).
  nonisolated func addTokenRoutes<Context: RequestContext>(
    to router: Router<Context>, sessions: ReadingSessions, doors: Doors
  ) {
    router.post("/auth/revoke") { request, _ in
      try await Self.answer(request, doors) { form in
        let holder = try await self.holder(form, at: self.places.revoke)
        guard let token = form["token"] else { throw Fault.invalidRequest }
        switch holder {
        case .app(let client): try await self.revoke(token, of: client, in: sessions)
        case .system(let system):
          guard await self.systems.revoke(token, of: system) else { throw Fault.invalidGrant }
        }
        // ⚑ The same for what was no token any more, or never was one (§2.2).
        return Response(status: .ok)
      }
    }
    router.post("/auth/introspect") { request, _ in
      // §2.3: who is not known is told so by the status.
      try await Self.answer(request, doors, strangers: .unauthorized) { form in
        let holder = try await self.holder(form, at: self.places.introspect)
        guard let token = form["token"] else { throw Fault.invalidRequest }
        guard let view = await self.view(of: token, for: holder, in: sessions) else { return try json(NoToken()) }
        return try json(view)
      }
    }
  }

  private nonisolated func holder(_ form: [String: String], at endpoint: String) async throws -> Holder {
    guard form["client_assertion"] != nil || form["client_assertion_type"] != nil, !self.systems.isEmpty else {
      return .app(try await self.client(of: form))
    }
    return .system(try await self.systems.system(provenBy: form, at: endpoint))
  }

  /// What a token allows that is good now; nil where it is none, or an app asks about another's.
  func view(of token: String, for holder: Holder, in sessions: ReadingSessions) async -> TokenView? {
    let grant = self.grant(ofRefresh: token)
    if let held = await sessions.held(grant?.token ?? token) {
      if case .app(let own) = holder, own.id != held.session.client { return nil }
      let end = grant?.until.milliseconds ?? held.until
      guard end >= self.time, await sessions.stands(held.session) else { return nil }
      let scopes = grant?.request.scopes ?? held.session.scopes
      return TokenView(
        scope: scopes.text, client: held.session.client, exp: end / 1000, iss: self.places.fhir,
        sub: "\(held.session.account)",
        fhirUser: scopes.wantsUser ? "\(self.places.fhir)/Practitioner/\(held.session.account)" : nil,
        patient: held.session.patient)
    }
    guard case .system = holder, let held = await self.systems.held(token) else { return nil }
    return TokenView(
      scope: held.scopes.text, client: held.system, exp: held.until / 1000, iss: self.places.fhir, sub: held.system,
      fhirUser: nil, patient: nil)
  }
}
