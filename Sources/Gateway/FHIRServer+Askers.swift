internal import FHIR
internal import HTTPTypes
internal import HealthRecords
internal import Hummingbird

/// In whose name a request comes.
extension FHIRServer {
  /// Whose token a request bears; nil where it bears none, or one of nobody.
  func holder(of request: Request) async -> FHIRAsker? {
    guard let token = Self.token(request) else { return nil }
    if let session = await self.sessions.session(token) { return session.asker }
    return await self.smart?.systems.asker(token)
  }

  /// In whose name a request is made. Without a token it is the hospital's own EHR's, unless tokens are required.
  func asker(of asked: FHIRRequest, _ request: Request) async throws(FHIRFailure) -> FHIRAsker {
    if asked.path == ["metadata"] || asked.path == ["openapi.json"] { return .system }
    guard Self.token(request) != nil else {
      // ⚑ A client that means to send one, and sends none, is not the hospital's own system.
      guard request.headers[.authorization] == nil else {
        throw FHIRFailure(401, "login", "the header Authorization is not understood: Bearer TOKEN is expected")
      }
      // ⚑ A page of an app is in a browser of a person who may have no right at all.
      guard self.isTokenRequired || self.visitors.isApp(request) else { return .system }
      throw FHIRFailure(
        401, "login",
        "a practitioner's session or a system's token is needed: \(self.base)/.well-known/smart-configuration")
    }
    guard let asker = await self.holder(of: request) else {
      throw FHIRFailure(
        401, "expired",
        "the token's time or session is over, or its practitioner may not act any more, or this node does not know "
          + "it: get another")
    }
    return asker
  }

  /// In whose name a file is sent that began to be sent. A system's token is good for minutes, and may end meanwhile.
  func fetcher(of asked: FHIRRequest, _ request: Request) async throws(FHIRFailure) -> FHIRAsker {
    if let token = Self.token(request), let asker = await self.smart?.systems.fetching(token) { return asker }
    return try await self.asker(of: asked, request)
  }

  static func token(_ request: Request) -> String? {
    request.headers[.authorization].flatMap { header in
      let parts = header.split(separator: " ")
      return parts.count == 2 && parts[0].lowercased() == "bearer" ? String(parts[1]) : nil
    }
  }
}
