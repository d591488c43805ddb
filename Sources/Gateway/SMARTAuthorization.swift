public import FHIR
internal import Foundation
public import Primitives
internal import Signing

/// An app that the hospital lets in (SMART App Launch 2.1, public clients).
public struct SMARTClient: Sendable, Hashable {
  /// Its `client_id`.
  public let id: String
  /// Where its users come back to, to the letter.
  public let redirect: String
  /// The origin of its pages, as browsers state it.
  let origin: String

  /// Reads `ID=URL`; nil where it is neither https nor this machine's.
  public init?(_ text: String) {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2, Self.isName(parts[0]),
      let url = URL(string: parts[1]), let host = url.host, url.fragment == nil, let scheme = url.scheme,
      scheme == "https" || scheme == "http" && ["127.0.0.1", "localhost"].contains(host)
    else { return nil }
    (self.id, self.redirect) = (parts[0], parts[1])
    self.origin = "\(scheme)://\(host.lowercased())" + (url.port.map { ":\($0)" } ?? "")
  }

  /// Whether a text can be a `client_id`.
  static func isName(_ text: String) -> Bool {
    !text.isEmpty && text.count <= 64
      && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
  }
}

/// What an app asks of a practitioner, as its browser brings it (SMART App Launch 2.1, "obtain authorization code").
public struct SMARTRequest: Sendable, Hashable {
  /// The app.
  public let client: SMARTClient
  /// What it may do.
  public let scopes: SMARTScopes
  let state: String
  let challenge: String
  /// The word by which the EHR launched the app; nil where the app began by itself.
  let launch: String?
  /// What an ID token gives back, so that the app knows that it is its own.
  let nonce: String?

  /// Where the browser goes, with parameters besides.
  func returning(_ parameters: [(String, String)]) -> String {
    let all = parameters + (self.state.isEmpty ? [] : [("state", self.state)])
    let query = all.map { "\($0.0)=\(Self.encoded($0.1))" }.joined(separator: "&")
    return self.client.redirect + (self.client.redirect.contains("?") ? "&" : "?") + query
  }

  private static func encoded(_ text: String) -> String {
    var allowed = CharacterSet.alphanumerics
    allowed.insert(charactersIn: "-._~")
    return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
  }
}

/// Lets apps in, in practitioners' names: authorization codes with PKCE for sessions that the ledger knows.
public actor SMARTAuthorization {
  /// Why an app gets no token (RFC 6749 §5.2).
  public enum Fault: String, Error, Sendable {
    /// A parameter is missing or wrong.
    case invalidRequest = "invalid_request"
    /// No such app.
    case invalidClient = "invalid_client"
    /// No such code, or not this app's, or used, or too old, or the verifier is another's.
    case invalidGrant = "invalid_grant"
    /// Another sort of grant.
    case unsupportedGrantType = "unsupported_grant_type"
    /// More than the practitioner let the app have, or nothing of it.
    case invalidScope = "invalid_scope"
  }

  /// What a practitioner let an app have.
  public struct Grant: Sendable {
    /// What it had asked.
    public let request: SMARTRequest
    /// The token by which it reads now.
    public fileprivate(set) var token: String
    /// Until when its session is open.
    public let until: Timestamp
    /// Where it was launched; nil where it was not.
    let launch: SMARTLaunch?
    /// The code that it came by.
    fileprivate let code: Digest
  }

  private struct Code {
    let grant: Grant
    let expires: UInt64
  }

  /// What a code gave. Its refresh tokens are numbered, and authenticated by a secret: one that is used up is known as
  /// such without being kept.
  private struct Family {
    var grant: Grant
    let secret = SecureRandom.bytes(32)
    /// The number of the refresh token that is good.
    var number: UInt64 = 0

    func refreshToken(_ number: UInt64) -> String {
      var bytes: [UInt8] = []
      for shift in stride(from: UInt64(56), through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: number >> shift))
      }
      let proof = KeyDerivation.hmac(key: self.secret, Array("consilium/refresh/v1".utf8) + bytes)
      return "\(self.grant.code).\(number).\(Hex.encode(proof))"
    }
  }

  /// How long a code is good for, in milliseconds (RFC 6749 §4.1.2 advises ten minutes at most).
  private static let codeMilliseconds: UInt64 = 60_000
  /// The most sessions of one app: more of them are refused to it, and nothing is taken from the others.
  public static let sessionsPerClientMax = 4000
  /// How long a token is good for where the app can have another, in milliseconds.
  public static let tokenMilliseconds: UInt64 = 3_600_000

  /// Where browsers and apps go.
  public struct Places: Sendable, Hashable {
    /// The FHIR interface's base, which apps name as `aud`.
    public let fhir: String
    /// Where practitioners let apps in; nil where none are.
    public let authorize: String?
    /// Where apps change codes for tokens, and systems get theirs.
    public let token: String
    /// Where tokens are given back (RFC 7009), and asked about (RFC 7662).
    var revoke: String { self.token.replacing("/auth/token", with: "/auth/revoke") }
    var introspect: String { self.token.replacing("/auth/token", with: "/auth/introspect") }
    /// Where the EHR announces that it launches an app.
    var launch: String { self.token.replacing("/auth/token", with: "/auth/launch") }
    /// The places of a node.
    public init(fhir: String, authorize: String?, token: String) {
      (self.fhir, self.authorize, self.token) = (fhir, authorize, token)
    }
  }

  /// Where browsers and apps go.
  public nonisolated let places: Places
  private nonisolated let clients: [SMARTClient]
  /// The hospital's own systems, which need no practitioner.
  nonisolated let systems: SystemAuthorization
  private let now: @Sendable () -> UInt64
  private let sessionsMax: Int
  private var codes: [Digest: Code] = [:]
  private var launches = SMARTLaunches()
  /// By the digest of the code that each began with.
  private var families: [Digest: Family] = [:]

  /// Lets apps of `clients` in, each for at most `sessionsMax` sessions at once, and `systems` by their keys; `now`
  /// gives milliseconds since 1970.
  public init(
    clients: [SMARTClient], systems: [SMARTSystem] = [], places: Places,
    sessionsMax: Int = SMARTAuthorization.sessionsPerClientMax, now: @escaping @Sendable () -> UInt64
  ) {
    self.systems = SystemAuthorization(systems: systems, place: places.token, now: now)
    (self.clients, self.places, self.sessionsMax, self.now) = (clients, places, sessionsMax, now)
  }

  /// Whether any apps are let in, by practitioners.
  public nonisolated var hasApps: Bool { !self.clients.isEmpty }
  /// The origins of their pages.
  nonisolated var origins: Set<String> { Set(self.clients.map(\.origin)) }

  /// What an app's query asks.
  ///
  /// - Throws: `ServiceRefusal.badRequest` where nobody is to be sent to the app: it is not the hospital's, names
  ///   another place, or asks without PKCE or for nothing that is here.
  public nonisolated func read(_ query: [String: String]) throws(ServiceRefusal) -> SMARTRequest {
    guard let client = self.clients.first(where: { $0.id == query["client_id"] }) else {
      throw .badRequest("no app \"\(query["client_id"] ?? "")\" is let in here: see smart_clients in node.toml")
    }
    guard query["redirect_uri"] == client.redirect else {
      throw .badRequest("the app asks to come back to another place than \(client.redirect)")
    }
    guard query["response_type"] == "code" else { throw .badRequest("response_type=code is expected") }
    guard let challenge = query["code_challenge"], query["code_challenge_method"] == "S256", challenge.count == 43
    else { throw .badRequest("PKCE is needed: code_challenge with code_challenge_method=S256") }
    guard query["aud"]?.trimmingSuffix("/") == self.places.fhir else {
      throw .badRequest("aud is to be \(self.places.fhir)")
    }
    let (scope, launch) = (query["scope"] ?? "", query["launch"])
    guard let scopes = SMARTScopes(scope, inChart: launch != nil) else {
      guard launch != nil || !scope.contains("patient/") else {
        throw .badRequest(
          "scopes of a patient are for an app that the EHR launches in a chart (launch=…): start it there")
      }
      throw .badRequest("no scope names anything here: user/*.rs or user/Observation.read, for example")
    }
    guard launch == nil || scope.split(separator: " ").contains("launch") else {
      throw .badRequest("an app that the EHR launches asks for the scope launch")
    }
    guard (launch ?? "").utf8.count <= 256 else { throw .badRequest("launch is too long") }
    let state = query["state"] ?? ""
    guard state.utf8.count <= 2048 else { throw .badRequest("the state is too long") }
    guard (query["nonce"] ?? "").utf8.count <= 256 else { throw .badRequest("the nonce is too long") }
    return SMARTRequest(
      client: client, scopes: scopes, state: state, challenge: challenge, launch: launch, nonce: query["nonce"])
  }

  /// Announces that the EHR launches an app in a chart that a practitioner has open: the word for it, which is good for
  /// five minutes.
  ///
  /// - Throws: `ServiceRefusal` where the app is not the hospital's, or too many launches wait.
  func announce(_ launch: SMARTLaunch) throws(ServiceRefusal) -> String {
    guard self.clients.contains(where: { $0.id == launch.client }) else {
      throw .badRequest("no app \"\(launch.client)\" is let in here: see smart_clients in node.toml")
    }
    guard let word = self.launches.add(launch, at: self.now()) else { throw .full }
    return word
  }

  /// Where an app that asks was launched; nil where it began by itself.
  ///
  /// - Throws: `ServiceRefusal.badRequest` where its launch is over, used, or another app's.
  func launch(of request: SMARTRequest) throws(ServiceRefusal) -> SMARTLaunch? {
    guard let word = request.launch else { return nil }
    guard let found = self.launches.launch(word, of: request.client.id, at: self.now()) else { throw Self.noLaunch }
    return found
  }

  /// The same, once, where its practitioner lets it in.
  func takeLaunch(of request: SMARTRequest, by practitioner: Digest) throws(ServiceRefusal) -> SMARTLaunch? {
    guard let word = request.launch else { return nil }
    let found = self.launches.take(word, of: request.client.id, by: practitioner, at: self.now())
    guard let found else { throw Self.noLaunch }
    return found
  }

  private static let noLaunch = ServiceRefusal.badRequest(
    "this launch is over, was used, or is for another app or practitioner: start the app in the chart again")

  /// Whether an app can be let in once more: what is over goes first.
  public func hasRoom(for client: SMARTClient) -> Bool {
    let time = self.now()
    self.codes = self.codes.filter { $0.value.expires >= time }
    self.families = self.families.filter { $0.value.grant.until.milliseconds >= time }
    let count =
      self.codes.values.count { $0.grant.request.client == client }
      + self.families.values.count { $0.grant.request.client == client }
    return count < self.sessionsMax
  }

  /// A code for a session that a practitioner opened for the app: where the browser goes with it.
  ///
  /// - Throws: `ServiceRefusal.full` where the app has as many sessions as it may.
  public func issue(_ request: SMARTRequest, token: String, until: Timestamp) throws(ServiceRefusal) -> String {
    try self.issue(request, token: token, until: until, in: nil)
  }

  /// The same for an app that was launched in a chart.
  func issue(
    _ request: SMARTRequest, token: String, until: Timestamp, in launch: SMARTLaunch?
  ) throws(ServiceRefusal) -> String {
    guard self.hasRoom(for: request.client) else { throw .full }
    let code = Hex.encode(SecureRandom.bytes(32))
    let place = Self.place(of: code)
    let grant = Grant(request: request, token: token, until: until, launch: launch, code: place)
    self.codes[place] = Code(grant: grant, expires: self.now() + Self.codeMilliseconds)
    return request.returning([("code", code)])
  }

  private static func place(of code: String) -> Digest { Hash.sha256(Array(code.utf8)) }

  /// Changes a code for its token, once (RFC 6749 §4.1.3, RFC 7636 §4.6).
  /// ⚑ Where one comes a second time, somebody else may have had it first: the tokens that it gave are good no more
  /// (RFC 6749 §4.1.2).
  ///
  /// - Throws: `Fault`.
  public func redeem(
    _ form: [String: String], close: @Sendable (String) async -> Void
  ) async throws(Fault) -> Grant {
    guard form["grant_type"] == "authorization_code" else { throw .unsupportedGrantType }
    let client = try self.client(of: form)
    guard let code = form["code"], let verifier = form["code_verifier"], (43...128).contains(verifier.utf8.count) else {
      throw .invalidRequest
    }
    let place = Self.place(of: code)
    guard self.families[place] == nil else {
      await self.end(place, close: close)
      throw .invalidGrant
    }
    // Whoever tries a code once has used it.
    guard let held = self.codes.removeValue(forKey: place) else { throw .invalidGrant }
    guard held.expires >= self.now(), held.grant.request.client == client,
      form["redirect_uri"] == client.redirect, Self.challenge(of: verifier) == held.grant.request.challenge
    else {
      await close(held.grant.token)
      throw .invalidGrant
    }
    self.families[place] = Family(grant: held.grant)
    return held.grant
  }

  private func end(_ family: Digest, close: @Sendable (String) async -> Void) async {
    guard let ended = self.families.removeValue(forKey: family) else { return }
    await close(ended.grant.token)
  }

  /// The refresh token that is good for what an app was let have; nil where that is over.
  public func refreshToken(for grant: Grant) -> String? {
    self.families[grant.code].map { $0.refreshToken($0.number) }
  }

  /// What a refresh token stands for, once; `renew` gives another token for the old one, with the scopes that are asked
  /// for or all that were granted, nil where the session is over.
  /// ⚑ Where one comes a second time, it or the next was stolen: the session's tokens are good no more (RFC 9700
  /// §4.14.2).
  ///
  /// - Throws: `Fault`.
  public func refresh(
    _ form: [String: String], renew: @Sendable (String, SMARTScopes) async -> String?,
    close: @Sendable (String) async -> Void
  ) async throws(Fault) -> Grant {
    let client = try self.client(of: form)
    guard let refresh = form["refresh_token"] else { throw .invalidRequest }
    guard let (place, number) = self.family(ofRefresh: refresh), let family = self.families[place],
      family.grant.request.client == client, family.grant.until.milliseconds >= self.now()
    else { throw .invalidGrant }
    guard number == family.number else {
      await self.end(place, close: close)
      throw .invalidGrant
    }
    // RFC 6749 §6: not more than was granted; the refresh token stays good where it was asked.
    var scopes = family.grant.request.scopes
    if let asked = form["scope"] {
      guard let fewer = SMARTScopes(asked, inChart: family.grant.launch != nil), scopes.cover(fewer),
        fewer.text.split(separator: " ").count
          == asked.split(separator: " ").count
      else { throw .invalidScope }
      scopes = fewer
    }
    self.families[place]?.number += 1
    let token = await renew(family.grant.token, scopes)
    // It may have been used a second time meanwhile.
    guard let token, self.families[place] != nil else {
      self.families[place] = nil
      if let token { await close(token) }
      throw .invalidGrant
    }
    self.families[place]?.grant.token = token
    var grant = family.grant
    grant.token = token
    return grant
  }

  /// Where a refresh token that was given here belongs, and its number, which may be used up; nil for every other text.
  private func family(ofRefresh text: String) -> (place: Digest, number: UInt64)? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let place = Hex.decode(String(parts[0])).flatMap({ Digest($0) }),
      let number = UInt64(parts[1]), let family = self.families[place], family.grant.request.scopes.wantsRefresh,
      Self.place(of: family.refreshToken(number)) == Self.place(of: text)
    else { return nil }
    return (place, number)
  }

  /// The app that a form names.
  ///
  /// - Throws: `Fault.invalidClient`.
  func client(of form: [String: String]) throws(Fault) -> SMARTClient {
    guard let client = self.clients.first(where: { $0.id == form["client_id"] }) else { throw .invalidClient }
    return client
  }

  /// Ends what a token of an app's own belongs to: refresh token, access token and the session's key with them, also
  /// where the one that comes is used up (RFC 7009 §2.1). A text that is no token is no error (§2.2).
  ///
  /// - Throws: `Fault.invalidGrant` where it is another app's.
  func revoke(_ token: String, of client: SMARTClient, in sessions: ReadingSessions) async throws(Fault) {
    if let (place, _) = self.family(ofRefresh: token), let family = self.families[place] {
      guard family.grant.request.client == client else { throw .invalidGrant }
      return await self.end(place) { await sessions.close($0) }
    }
    guard let held = await sessions.held(token) else { return }
    guard held.session.client == client.id else { throw .invalidGrant }
    await sessions.close(token)
    if let place = self.families.first(where: { $0.value.grant.token == token })?.key { self.families[place] = nil }
  }

  /// The access token to which a refresh token that is good belongs, and what it was granted; nil for every other text.
  func grant(ofRefresh text: String) -> Grant? {
    guard let (place, number) = self.family(ofRefresh: text), let family = self.families[place],
      number == family.number, family.grant.until.milliseconds >= self.now()
    else { return nil }
    return family.grant
  }

  /// Milliseconds since 1970.
  nonisolated var time: UInt64 { self.now() }

  /// For how many seconds a grant's token is good.
  public nonisolated func seconds(of grant: Grant) -> UInt64 {
    let left = grant.until.milliseconds - min(grant.until.milliseconds, self.now())
    return (grant.request.scopes.wantsRefresh ? min(left, Self.tokenMilliseconds) : left) / 1000
  }

  /// BASE64URL(SHA256(verifier)), without padding (RFC 7636 §4.2).
  static func challenge(of verifier: String) -> String {
    Base64.urlSafe(Base64.encode(Hash.sha256(Array(verifier.utf8)).bytes))
  }
}

extension String {
  /// The text without a character that it ends with, however often.
  func trimmingSuffix(_ character: Character) -> String {
    var text = self[...]
    while text.last == character { text = text.dropLast() }
    return String(text)
  }
}
