internal import HealthRecords
internal import Hummingbird
internal import Messages
internal import Primitives
internal import Signing

/// A key for a session, or the session.
public struct SessionView: Codable, Sendable {
  /// The key that a practitioner lets ask.
  public var key: String?
  /// The node's word that it holds the key, which opening the session carries under the second rules (RECORDS §2).
  public var possession: String?
  /// What an EHR sends as `Authorization: Bearer`.
  public var token: String?
  /// Until when.
  public var until: String?

  init(_ made: ReadingSessions.SessionKey) {
    (self.key, self.possession) = (made.key.description, Hex.encode(made.possession.bytes))
  }
  init(token: String, until: String) { (self.token, self.until) = (token, until) }
}

extension Gateway {
  func addSessionRoutes(to router: Router<BasicRequestContext>) {
    let (service, sessions) = (self.service, self.sessions)
    router.post("/v1/sessions/keys") { _, _ in
      guard let key = await sessions.prepare() else { throw ServiceRefusal.full }
      return try json(SessionView(key))
    }
    router.post("/v1/sessions") { request, _ in
      let bytes = try await body(request, max: Int(service.genesis.limits.transactionBytesMax))
      let opened = try await sessions.activate(bytes)
      return try json(SessionView(token: opened.token, until: opened.until.description))
    }
  }
}
