// Goal: an app gets what a practitioner allows, once, and nobody else gets it (SMART App Launch 2.1, RFC 6749, RFC
// 7636). Method: scopes by a table; codes against a clock of the test's own; the pair of RFC 7636's appendix B.
import Gateway
import HealthRecords
import Primitives
import Synchronization
import Testing

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

  private static func authorization(_ clock: Clock) throws -> SMARTAuthorization {
    SMARTAuthorization(
      clients: [
        try #require(SMARTClient("app=\(self.redirect)")), try #require(SMARTClient("other=https://other.example/")),
      ],
      places: SMARTAuthorization.Places(
        fhir: "http://127.0.0.1:8101/fhir", authorize: "http://127.0.0.1:8201/authorize",
        token: "http://127.0.0.1:8101/auth/token"), now: { clock.time.withLock { $0 } })
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
    let place = await authorization.issue(asked, token: "the token", until: Timestamp(milliseconds: 5_000_000))
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
    let grant = try await authorization.redeem(form)
    #expect(grant.token == "the token" && authorization.seconds(of: grant) == 4000)
    #expect(grant.request.scopes.text == "user/*.rs")
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) { try await authorization.redeem(form) }
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
    await #expect(throws: fault) { try await authorization.redeem(form.merging([name: value]) { $1 }) }
    let isTried = fault == .invalidGrant && name != "code"
    if isTried {
      await #expect(throws: SMARTAuthorization.Fault.invalidGrant) { try await authorization.redeem(form) }
    } else {
      #expect(try await authorization.redeem(form).token == "the token")
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
    let refresh = await authorization.refreshToken(for: grant)
    let form = ["grant_type": "refresh_token", "refresh_token": refresh, "client_id": "app"]
    let closed = Mutex<[String]>([])
    func ask(_ form: [String: String]) async throws -> SMARTAuthorization.Grant {
      try await authorization.refresh(
        form, renew: { $0 == "the token" ? "another" : nil }, close: { token in closed.withLock { $0.append(token) } })
    }
    await #expect(throws: SMARTAuthorization.Fault.invalidClient) {
      try await ask(form.merging(["client_id": "x"]) { $1 })
    }
    let next = try await ask(form)
    #expect(next.token == "another" && next.until == grant.until)
    let later = await authorization.refreshToken(for: next)
    #expect(closed.withLock { $0.isEmpty })
    // The first one again: somebody has stolen one of them, and nobody goes on with either.
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) { try await ask(form) }
    #expect(closed.withLock { $0.sorted() } == ["another", "the token"])
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) {
      try await ask(form.merging(["refresh_token": later]) { $1 })
    }
  }

  private static func granted(
    _ authorization: SMARTAuthorization, _ asked: SMARTRequest, until: UInt64
  ) async throws -> SMARTAuthorization.Grant {
    let place = await authorization.issue(asked, token: "the token", until: Timestamp(milliseconds: until))
    let code = try #require(place.split(separator: "=").dropFirst().first?.split(separator: "&").first)
    return try await authorization.redeem([
      "grant_type": "authorization_code", "code": String(code), "redirect_uri": self.redirect, "client_id": "app",
      "code_verifier": self.verifier,
    ])
  }

  @Test("A code is good for a minute")
  func expires() async throws {
    let clock = Clock()
    let authorization = try Self.authorization(clock)
    let form = try await Self.code(authorization)
    clock.time.withLock { $0 += 60_001 }
    await #expect(throws: SMARTAuthorization.Fault.invalidGrant) { try await authorization.redeem(form) }
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
}
