// Goal: a token that an app or a system gives back is good no more, nor what came with it; who may ask about a token
// learns what it allows, and nobody else anything (RFC 7009, RFC 7662, SMART App Launch 2.1). Method: an app that a
// practitioner lets in at real doors; systems against a clock of the test's own.
import FHIR
import Foundation
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Wire

@testable import Gateway

@Suite("Tokens given back")
struct TokenTests {
  @Test(
    "A refresh token that is given back ends its access token; an access token its refresh token")
  func revoked() async throws {
    let hospital = try await LoneHospital(port: 6880, isTokenRequired: true)
    let practitioner = try await Practitioner(11, at: hospital)
    for first in ["refresh_token", "access_token"] {
      let tokens = try await App.tokens(of: practitioner, scope: "openid fhirUser offline_access user/*.rs")
      let (access, refresh) = (try #require(tokens["access_token"]), try #require(tokens["refresh_token"]))
      #expect(await App.read(hospital, access) == 404)
      let view = try await App.introspected(hospital, access)
      #expect(view["active"] as? Bool == true && view["client_id"] as? String == "viewer")
      #expect(view["scope"] as? String == "openid fhirUser offline_access user/*.rs")
      #expect(view["sub"] as? String == "\(practitioner.account)" && view["token_type"] as? String == "Bearer")
      let user = "http://127.0.0.1:6881/fhir/Practitioner/\(practitioner.account)"
      #expect(view["fhirUser"] as? String == user)
      let end = try #require(view["exp"] as? UInt64)
      #expect(end > LoneHospital.now.milliseconds / 1000)
      #expect(try await App.introspected(hospital, refresh)["exp"] as? UInt64 ?? 0 > end)
      // Another app gives nothing back, and learns nothing.
      let foreign = try #require(await App.post(hospital, "revoke", ["token": access, "client_id": "other"]))
      #expect(foreign.status == 400 && foreign.text.contains("invalid_grant"))
      #expect(try await App.introspected(hospital, access, by: "other").count == 1)
      #expect(await App.read(hospital, access) == 404)
      let form = ["token": tokens[first] ?? "", "token_type_hint": "refresh_token", "client_id": "viewer"]
      #expect(await App.post(hospital, "revoke", form)?.status == 200)
      #expect(await App.read(hospital, access) == 401)
      for token in [access, refresh] {
        #expect(try await App.introspected(hospital, token)["active"] as? Bool == false)
        // Once more: what is no token is no error.
        #expect(await App.post(hospital, "revoke", ["token": token, "client_id": "viewer"])?.status == 200)
      }
      let again = ["grant_type": "refresh_token", "refresh_token": refresh, "client_id": "viewer"]
      #expect(await App.post(hospital, "token", again)?.text.contains("invalid_grant") == true)
    }
  }

  @Test("What is no token is given back without an error; who is nobody is refused")
  func unknown() async throws {
    let hospital = try await LoneHospital(port: 6884)
    for token in ["", "x", "..", String(repeating: "0", count: 64), String(repeating: ".", count: 4000)] {
      let form = ["token": token, "client_id": "viewer"]
      let answer = try #require(await App.post(hospital, "revoke", form))
      #expect(answer.status == 200 && answer.body.isEmpty && answer.head.lowercased().contains("no-store"))
      let view = try #require(await App.post(hospital, "introspect", form))
      #expect(view.status == 200 && view.text == "{\"active\":false}\n")
    }
    for (form, status) in [
      (["token": "x"], 401), (["token": "x", "client_id": "stranger"], 401), (["client_id": "viewer"], 400),
    ] {
      #expect(await App.post(hospital, "introspect", form)?.status == status, "\(form)")
      #expect(await App.post(hospital, "revoke", form)?.status == 400, "\(form)")
    }
    let said = try #require(
      await Connection.ask(.port(6885), "GET", "/fhir/.well-known/smart-configuration")
    ).text
    #expect(said.contains("\"revocation_endpoint\":\"http://127.0.0.1:6885/auth/revoke\""))
    #expect(said.contains("\"introspection_endpoint\":\"http://127.0.0.1:6885/auth/introspect\""))
  }

  @Test("A practitioner's own token that no app has is no app's to ask about")
  func own() async throws {
    let hospital = try await LoneHospital(port: 6888, isTokenRequired: true)
    let practitioner = try await Practitioner(12, at: hospital)
    let token = try await practitioner.token()
    #expect(try await App.introspected(hospital, token)["active"] as? Bool == false)
    #expect(await App.post(hospital, "revoke", ["token": token, "client_id": "viewer"])?.status == 400)
    #expect(await App.read(hospital, token) == 404)
  }
}

/// What an app of the hospital's does.
enum App {
  // RFC 7636, appendix B.
  private static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
  private static let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
  private static let redirect = "http://127.0.0.1:1/back"

  /// A form as apps send it.
  static func form(_ fields: [String: String]) -> String {
    let plain = CharacterSet.alphanumerics
    return fields.map { "\($0)=\($1.addingPercentEncoding(withAllowedCharacters: plain) ?? "")" }.joined(separator: "&")
  }

  /// Sends a form to an endpoint of the hospital's.
  static func post(_ hospital: LoneHospital, _ name: String, _ fields: [String: String]) async -> Connection.Answer? {
    await Connection.ask(
      .port(hospital.port + 1), "POST", "/auth/\(name)",
      ["Content-Type": "application/x-www-form-urlencoded"], body: Array(self.form(fields).utf8))
  }

  /// What the hospital says of a token to an app.
  static func introspected(
    _ hospital: LoneHospital, _ token: String, by client: String = "viewer"
  ) async throws -> [String: Any] {
    let answer = try #require(await self.post(hospital, "introspect", ["token": token, "client_id": client]))
    #expect(answer.status == 200, "\(answer.text)")
    return try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
  }

  /// The status of a read of what is not there.
  static func read(_ hospital: LoneHospital, _ token: String) async -> Int? {
    await Connection.ask(
      .port(hospital.port + 1), "GET", "/fhir/Patient/none", ["Authorization": "Bearer \(token)"])?.status
  }

  /// What an app that a practitioner lets in gets for its code.
  static func tokens(
    of practitioner: Practitioner, scope: String, _ more: [String: String] = [:]
  ) async throws -> [String: String] {
    let entered = try await self.entered(practitioner, scope: scope, more)
    let place = try #require(
      (try JSONSerialization.jsonObject(with: Data(entered.body)) as? [String: Any])?["redirect"] as? String,
      "\(entered.text)")
    let code = try #require(URLComponents(string: place)?.queryItems?.first { $0.name == "code" }?.value)
    let answer = try #require(
      await self.post(
        practitioner.hospital, "token",
        [
          "grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect, "client_id": "viewer",
          "code_verifier": self.verifier,
        ]))
    #expect(answer.status == 200, "\(answer.text)")
    let said = try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
    return said.compactMapValues { $0 as? String }
  }

  /// What an app asks of a practitioner's browser.
  static func query(_ hospital: LoneHospital, scope: String, _ more: [String: String] = [:]) -> String {
    self.form(
      [
        "response_type": "code", "client_id": "viewer", "redirect_uri": self.redirect, "scope": scope, "state": "s",
        "aud": "http://127.0.0.1:\(hospital.port + 1)/fhir", "code_challenge": self.challenge,
        "code_challenge_method": "S256",
      ].merging(more) { $1 })
  }

  /// What the page is answered on which a practitioner lets an app in.
  static func entered(
    _ practitioner: Practitioner, scope: String, _ more: [String: String] = [:]
  ) async throws -> Connection.Answer {
    let hospital = practitioner.hospital
    let keys = try #require(await practitioner.post("sessions/keys", []))
    let view = try JSONDecoder().decode(SessionView.self, from: Data(keys.body))
    let key = try #require(view.key.flatMap { Hex.decode($0) }.flatMap { PublicKey($0) })
    let word = try #require(view.possession.flatMap { Hex.decode($0) }.flatMap { Signature($0) })
    let opening = SessionOpening(key: key, until: LoneHospital.now.adding(milliseconds: 7_200_000))
    let proven = Proven(opening, proof: hospital.isSecond ? word : nil)
    let made = hospital.transaction(.openSession, proven, by: practitioner.seed)
    let query = self.query(hospital, scope: scope, more)
    let body = try JSONEncoder().encode(["query": query, "transaction": Hex.encode(made.encoded)])
    return try #require(await practitioner.post("apps", Array(body)))
  }
}
