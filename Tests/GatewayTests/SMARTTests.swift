// Goal: an app gets what a practitioner allows, once, and nobody else gets it (SMART App Launch 2.1, RFC 6749, RFC
// 7636). Method: scopes by a table; codes against a clock of the test's own; the pair of RFC 7636's appendix B.
import FHIR
import Foundation
import HealthRecords
import Messages
import Primitives
import Signing
import Synchronization
import Testing
import Wire

@testable import Gateway

@Suite("SMART App Launch")
struct SMARTTests {
  @Test(
    "A scope allows what it says, of the type that it names",
    arguments: [
      ("user/Observation.rs", [SMARTScopes.Action.read, .search], ["Observation"]),
      ("user/Observation.read", [.read, .search], ["Observation"]),
      ("user/Patient.write", [.create, .update, .delete], ["Patient"]),
      ("user/*.cruds", [.create, .read, .update, .delete, .search], ["Patient", "Observation", "*"]),
      ("user/*.*", [.create, .read, .update, .delete, .search], ["Patient", "Observation", "*"]),
      ("openid user/Patient.r user/Observation.r", [.read], ["Patient", "Observation"]),
    ])
  func scopes(_ text: String, _ actions: [SMARTScopes.Action], _ types: [String]) throws {
    let scopes = try #require(SMARTScopes(text))
    for action in SMARTScopes.Action.allCases {
      for type in ["Patient", "Observation", "*"] {
        #expect(scopes.allow(action, type) == (actions.contains(action) && types.contains(type)), "\(action) \(type)")
      }
    }
  }

  @Test(
    "What is no scope of this interface allows nothing",
    arguments: [
      "", "openid fhirUser", "user/Observation", "user/Observation.", "user/Observation.sr", "user/Observation.rr",
      "user/observation.read", "user/Obs*.read", "patient/*.read", "system/*.read", "user/*.x", "user//.read",
      "user/Ob/servation.read",
    ])
  func noScopes(_ text: String) {
    #expect(SMARTScopes(text) == nil)
  }

  @Test("Apps come back to where the hospital said, over https or on this machine")
  func clients() {
    #expect(SMARTClient("app=https://app.example/back?x=1") != nil)
    #expect(SMARTClient("app=http://127.0.0.1:9000/callback")?.id == "app")
    for wrong in [
      "app", "=https://a.example/", "app=http://app.example/", "app=ftp://127.0.0.1/", "a b=https://a.example/",
      "app=https://a.example/#part", "app=",
    ] {
      #expect(SMARTClient(wrong) == nil, "\(wrong)")
    }
  }

  // RFC 7636, appendix B.
  private static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
  private static let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
  private static let redirect = "http://127.0.0.1:9000/callback"

  private static func authorization(_ clock: Clock, sessionsMax: Int = 100) throws -> SMARTAuthorization {
    SMARTAuthorization(
      clients: [
        try #require(SMARTClient("app=\(self.redirect)")), try #require(SMARTClient("other=https://other.example/")),
      ],
      places: SMARTAuthorization.Places(
        fhir: "http://127.0.0.1:8101/fhir", authorize: "http://127.0.0.1:8201/authorize",
        token: "http://127.0.0.1:8101/auth/token"), sessionsMax: sessionsMax, now: { clock.time.withLock { $0 } })
  }

  private final class Clock: Sendable {
    let time = Mutex<UInt64>(1_000_000)
  }

  private static let query = [
    "response_type": "code", "client_id": "app", "redirect_uri": redirect, "scope": "user/*.rs", "state": "s&t",
    "aud": "http://127.0.0.1:8101/fhir/", "code_challenge": challenge, "code_challenge_method": "S256",
  ]

  private static func code(_ authorization: SMARTAuthorization) async throws -> [String: String] {
    let asked = try authorization.read(self.query)
    let place = try await authorization.issue(asked, token: "the token", until: Timestamp(milliseconds: 5_000_000))
    #expect(place.hasPrefix(self.redirect + "?code=") && place.hasSuffix("&state=s%26t"))
    let code = try #require(place.split(separator: "=").dropFirst().first?.split(separator: "&").first)
    return [
      "grant_type": "authorization_code", "code": String(code), "redirect_uri": self.redirect, "client_id": "app",
      "code_verifier": self.verifier,
    ]
  }

  @Test("A code is changed for its token once, by whoever knows the verifier")
  func redeemed() async throws {
    let authorization = try Self.authorization(Clock())
    let form = try await Self.code(authorization)
    let grant = try await authorization.redeem(form, close: { _ in })
    #expect(grant.token == "the token" && authorization.seconds(of: grant) == 4000)
    #expect(grant.request.scopes.text == "user/*.rs")
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) {
      try await authorization.redeem(form, close: { _ in })
    }
  }

  @Test(
    "Another app, place, verifier or grant, or nothing, gets no token, and the code is used up where it was tried",
    arguments: [
      ("client_id", "other", SMARTAuthorization.Fault.invalidGrant), ("client_id", "stranger", .invalidClient),
      ("redirect_uri", "http://127.0.0.1:9000/other", .invalidGrant), ("grant_type", "password", .unsupportedGrantType),
      ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXx", .invalidGrant),
      ("code_verifier", "short", .invalidRequest), ("code", "00", .invalidGrant),
    ])
  func refused(_ name: String, _ value: String, _ fault: SMARTAuthorization.Fault) async throws {
    let authorization = try Self.authorization(Clock())
    let form = try await Self.code(authorization)
    await #expect(throws: fault) { try await authorization.redeem(form.merging([name: value]) { $1 }, close: { _ in }) }
    let isTried = fault == .invalidGrant && name != "code"
    if isTried {
      await #expect(throws: SMARTAuthorization.Fault.invalidGrant) {
        try await authorization.redeem(form, close: { _ in })
      }
    } else {
      #expect(try await authorization.redeem(form, close: { _ in }).token == "the token")
    }
  }

  @Test("A refresh token is good once, and gives another token until the session is over")
  func refreshed() async throws {
    let clock = Clock()
    let authorization = try Self.authorization(clock)
    let scope = "openid fhirUser offline_access launch user/*.rs"
    let asked = try authorization.read(Self.query.merging(["scope": scope, "nonce": "n"]) { $1 })
    #expect(asked.scopes.text == "openid fhirUser offline_access user/*.rs")
    #expect(asked.scopes.wantsIdentity && asked.scopes.wantsUser && asked.scopes.wantsRefresh)
    let grant = try await Self.granted(authorization, asked, until: 20_000_000)
    #expect(authorization.seconds(of: grant) == 3600)
    let refresh = try #require(await authorization.refreshToken(for: grant))
    let form = ["grant_type": "refresh_token", "refresh_token": refresh, "client_id": "app"]
    let closed = Mutex<[String]>([])
    func ask(_ form: [String: String]) async throws -> SMARTAuthorization.Grant {
      try await authorization.refresh(
        form, renew: { token, _ in token == "the token" ? "another" : nil },
        close: { token in closed.withLock { $0.append(token) } })
    }
    await #expect(throws: SMARTAuthorization.Fault.invalidClient) {
      try await ask(form.merging(["client_id": "x"]) { $1 })
    }
    let next = try await ask(form)
    #expect(next.token == "another" && next.until == grant.until)
    let later = try #require(await authorization.refreshToken(for: next))
    #expect(closed.withLock { $0.isEmpty })
    // The first one again: somebody has stolen one of them, and nobody goes on with either.
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) { try await ask(form) }
    #expect(closed.withLock { $0 } == ["another"])
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) {
      try await ask(form.merging(["refresh_token": later]) { $1 })
    }
  }

  private static func granted(
    _ authorization: SMARTAuthorization, _ asked: SMARTRequest, until: UInt64
  ) async throws -> SMARTAuthorization.Grant {
    let place = try await authorization.issue(asked, token: "the token", until: Timestamp(milliseconds: until))
    let code = try #require(place.split(separator: "=").dropFirst().first?.split(separator: "&").first)
    return try await authorization.redeem(
      [
        "grant_type": "authorization_code", "code": String(code), "redirect_uri": asked.client.redirect,
        "client_id": asked.client.id, "code_verifier": self.verifier,
      ], close: { _ in })
  }

  @Test("A code is good for a minute")
  func expires() async throws {
    let clock = Clock()
    let authorization = try Self.authorization(clock)
    let form = try await Self.code(authorization)
    clock.time.withLock { $0 += 60_001 }
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) {
      try await authorization.redeem(form, close: { _ in })
    }
  }

  @Test(
    "Nobody is sent to an app that the hospital does not know, or without PKCE",
    arguments: [
      ("client_id", "stranger"), ("redirect_uri", "https://elsewhere.example/"), ("response_type", "token"),
      ("code_challenge", "short"), ("code_challenge_method", "plain"), ("aud", "http://elsewhere.example/fhir"),
      ("scope", "openid"), ("state", String(repeating: "x", count: 2049)),
    ])
  func asked(_ name: String, _ value: String) throws {
    let authorization = try Self.authorization(Clock())
    #expect(throws: ServiceRefusal.self) { try authorization.read(Self.query.merging([name: value]) { $1 }) }
  }

  @Test("A code that comes a second time ends what it gave, also after refreshes")
  func replayed() async throws {
    let authorization = try Self.authorization(Clock())
    let query = Self.query.merging(["scope": "offline_access user/*.rs"]) { $1 }
    let asked = try authorization.read(query)
    let place = try await authorization.issue(asked, token: "one", until: Timestamp(milliseconds: 9_000_000))
    let code = try #require(place.split(separator: "=").dropFirst().first?.split(separator: "&").first)
    let form = [
      "grant_type": "authorization_code", "code": String(code), "redirect_uri": Self.redirect, "client_id": "app",
      "code_verifier": Self.verifier,
    ]
    let grant = try await authorization.redeem(form, close: { _ in })
    let refresh = try #require(await authorization.refreshToken(for: grant))
    let next = try await Self.refresh(authorization, refresh, app: "app")
    let closed = Mutex<[String]>([])
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) {
      try await authorization.redeem(form, close: { token in closed.withLock { $0.append(token) } })
    }
    #expect(closed.withLock { $0 } == [next.token])
    #expect(await authorization.refreshToken(for: next) == nil)
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) {
      try await Self.refresh(authorization, refresh, app: "app")
    }
  }

  private static func refresh(
    _ authorization: SMARTAuthorization, _ refresh: String, app: String, scope: String? = nil
  ) async throws -> SMARTAuthorization.Grant {
    var form = ["grant_type": "refresh_token", "refresh_token": refresh, "client_id": app]
    form["scope"] = scope
    return try await authorization.refresh(form, renew: { "\($0)+\($1.text)" }, close: { _ in })
  }

  @Test("One app's two thousand refreshes take nothing from another, and their first token is still known as used")
  func manyRefreshes() async throws {
    let authorization = try Self.authorization(Clock())
    let query = Self.query.merging(["scope": "offline_access user/*.rs"]) { $1 }
    let other = try authorization.read(
      query.merging(["client_id": "other", "redirect_uri": "https://other.example/"]) { $1 })
    let quiet = try await Self.granted(authorization, other, until: 9_000_000)
    let quietRefresh = try #require(await authorization.refreshToken(for: quiet))
    var grant = try await Self.granted(authorization, try authorization.read(query), until: 9_000_000)
    let first = try #require(await authorization.refreshToken(for: grant))
    for _ in 0..<2000 {
      let refresh = try #require(await authorization.refreshToken(for: grant))
      let form = ["grant_type": "refresh_token", "refresh_token": refresh, "client_id": "app"]
      grant = try await authorization.refresh(form, renew: { token, _ in token }, close: { _ in })
    }
    #expect(try await Self.refresh(authorization, quietRefresh, app: "other").until == quiet.until)
    let last = try #require(await authorization.refreshToken(for: grant))
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) {
      try await Self.refresh(authorization, first, app: "app")
    }
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) {
      try await Self.refresh(authorization, last, app: "app")
    }
  }

  @Test("An app with as many sessions as it may is refused another; the next app is not, and what is over makes room")
  func bounded() async throws {
    let clock = Clock()
    let authorization = try Self.authorization(clock, sessionsMax: 3)
    let asked = try authorization.read(Self.query)
    for _ in 0..<2 { _ = try await Self.granted(authorization, asked, until: 5_000_000) }
    _ = try await authorization.issue(asked, token: "t", until: Timestamp(milliseconds: 5_000_000))
    await #expect(throws: ServiceRefusal.full) {
      try await authorization.issue(asked, token: "t", until: Timestamp(milliseconds: 5_000_000))
    }
    let other = try authorization.read(
      Self.query.merging(["client_id": "other", "redirect_uri": "https://other.example/"]) { $1 })
    _ = try await Self.granted(authorization, other, until: 5_000_000)
    clock.time.withLock { $0 = 5_000_001 }
    for _ in 0..<3 { _ = try await Self.granted(authorization, asked, until: 9_000_000) }
  }

  @Test(
    "A refresh asks for what was granted or less",
    arguments: [
      (nil, "offline_access user/*.rs"), ("user/Observation.r", "user/Observation.r"), ("user/*.cruds", nil),
      ("openid user/*.rs", nil), ("user/*.rs launch", nil), ("nothing", nil),
    ] as [(String?, String?)])
  func narrowed(_ scope: String?, _ given: String?) async throws {
    let authorization = try Self.authorization(Clock())
    let asked = try authorization.read(Self.query.merging(["scope": "offline_access user/*.rs"]) { $1 })
    let grant = try await Self.granted(authorization, asked, until: 9_000_000)
    let refresh = try #require(await authorization.refreshToken(for: grant))
    guard let given else {
      await #expect(throws: SMARTAuthorization.Fault.invalidScope) {
        try await Self.refresh(authorization, refresh, app: "app", scope: scope)
      }
      // It asked wrongly and lost nothing.
      _ = try await Self.refresh(authorization, refresh, app: "app")
      return
    }
    #expect(try await Self.refresh(authorization, refresh, app: "app", scope: scope).token == "the token+\(given)")
  }

  @Test("A refresh token that was made up, or is another app's, is refused and ends nothing")
  func forged() async throws {
    let authorization = try Self.authorization(Clock())
    let asked = try authorization.read(Self.query.merging(["scope": "offline_access user/*.rs"]) { $1 })
    let grant = try await Self.granted(authorization, asked, until: 9_000_000)
    let refresh = try #require(await authorization.refreshToken(for: grant))
    let parts = refresh.split(separator: ".")
    let forged = [
      "", "x", "..", "\(parts[0]).1.\(parts[2])", "\(parts[0]).0.\(String(parts[2].reversed()))",
      "\(parts[0]).0", "\(parts[2]).0.\(parts[0])", "\(parts[0]).-1.\(parts[2])", "\(parts[0]).00.\(parts[2])",
    ]
    for one in forged {
      await #expect(throws: SMARTAuthorization.Fault.invalidGrant, "\(one)") {
        try await Self.refresh(authorization, one, app: "app")
      }
    }
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) {
      try await Self.refresh(authorization, refresh, app: "other")
    }
    _ = try await Self.refresh(authorization, refresh, app: "app")
  }

  @Test("An ID token's times are whole seconds")
  func identity() async throws {
    let tokens = await IdentityTokens(issuer: "http://127.0.0.1:8101/fhir")
    let token = try await tokens.token(
      for: Digest(words: (1, 2, 3, 4)), app: "app", nonce: nil, fhirUser: nil, at: 1_795_985_681_004)
    var body = String(token.split(separator: ".")[1]).replacing("-", with: "+").replacing("_", with: "/")
    while body.count % 4 != 0 { body += "=" }
    let text = String(decoding: try #require(Data(base64Encoded: body)), as: UTF8.self)
    #expect(text.contains("\"iat\":1795985681,") || text.contains("\"iat\":1795985681}"), "\(text)")
    #expect(text.contains("\"exp\":1795985981,") || text.contains("\"exp\":1795985981}"), "\(text)")
  }

  @Test(
    "A session stands while the ledger has it and its practitioner may act",
    arguments: [
      (AccountStatus.active, 0, true, 2000, true), (.suspended, 0, true, 2000, false),
      (.revoked, 0, true, 2000, false), (.active, 0, false, 2000, false), (.active, 0, true, 5001, false),
      (.active, 1, true, 2000, false), (.active, 0, true, 9001, false),
    ] as [(AccountStatus, UInt64, Bool, UInt64, Bool)])
  func stands(_ status: AccountStatus, _ other: UInt64, _ isOpen: Bool, _ time: UInt64, _ stands: Bool) throws {
    let identifier = Digest(words: (1, 2, 3, 4))
    var encoder = Encoder()
    encoder.digest(Digest(words: (1 + other, 2, 3, 4)))
    encoder.item(Timestamp(milliseconds: 5000))
    encoder.u64(7)
    guard let signing = SigningKey(seed: [UInt8](repeating: 1, count: 32)) else {
      Issue.record("no key")
      return
    }
    let key = signing.publicKey
    let account = HealthRecords.Account(
      kind: .practitioner, hospital: MemberID(1), key: key, sealingKey: .zero, role: 1, validFrom: .zero,
      validUntil: Timestamp(milliseconds: 9000), status: status, since: .zero)
    let entry = isOpen ? try SessionEntry.decode(encoder.bytes) : nil
    let at = Timestamp(milliseconds: time)
    #expect(ReadingSessions.stands(identifier, entry, account, at: at) == stands)
    #expect(!ReadingSessions.stands(identifier, entry, nil, at: at))
  }
}
