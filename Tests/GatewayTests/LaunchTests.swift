// Goal: an app that the EHR launches in a chart is let into that one, by the practitioner who has it open, once and
// soon (SMART App Launch 2.1, "EHR launch"). Method: real doors, the EHR by the port and by a token; the words for
// launches by themselves against times of the test's own.
import FHIR
import Foundation
import HealthRecords
import Primitives
import Testing

@testable import Gateway

@Suite("Launches from the EHR")
struct LaunchTests {
  private static let scope = "launch launch/patient offline_access patient/*.rs"

  private static func hospital(_ port: Int, isTokenRequired: Bool = false) async throws -> LoneHospital {
    try await LoneHospital(port: port, isTokenRequired: isTokenRequired)
  }

  private static func put(_ hospital: LoneHospital, _ name: String, _ json: String, _ token: String? = nil) async {
    var headers = ["Content-Type": "application/fhir+json"]
    if let token { headers["Authorization"] = "Bearer \(token)" }
    let answer = await Connection.ask(
      .port(hospital.port + 1), "PUT", "/fhir/\(name)", headers, body: Array(json.utf8))
    #expect(answer?.status == 201, "\(answer?.text ?? "")")
  }

  /// Two charts, and a visit in each.
  private static func charts(_ hospital: LoneHospital, _ token: String? = nil) async {
    for id in ["p", "q"] {
      await self.put(hospital, "Patient/\(id)", #"{"resourceType":"Patient","id":"\#(id)"}"#, token)
      await self.put(
        hospital, "Encounter/e\(id)",
        #"{"resourceType":"Encounter","id":"e\#(id)","status":"planned","class":{"code":"AMB"},"#
          + #""subject":{"reference":"Patient/\#(id)"}}"#, token)
    }
  }

  private static func announce(
    _ hospital: LoneHospital, _ fields: [String: String], token: String? = nil, origin: String? = nil
  ) async -> Connection.Answer? {
    var headers = ["Content-Type": "application/x-www-form-urlencoded"]
    if let token { headers["Authorization"] = "Bearer \(token)" }
    headers["Origin"] = origin
    return await Connection.ask(
      .port(hospital.port + 1), "POST", "/auth/launch", headers, body: Array(App.form(fields).utf8))
  }

  private static func word(_ answer: Connection.Answer?) throws -> String {
    let answer = try #require(answer)
    #expect(answer.status == 201, "\(answer.text)")
    let said = try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
    #expect(said["expires_in"] as? Int == 300)
    return try #require(said["launch"] as? String)
  }

  private static func status(_ hospital: LoneHospital, _ path: String, _ token: String) async -> Int? {
    await Connection.ask(
      .port(hospital.port + 1), "GET", "/fhir/\(path)", ["Authorization": "Bearer \(token)"])?.status
  }

  @Test("An app that is launched in a chart is let into that one, once, also after a refresh")
  func launched() async throws {
    let hospital = try await Self.hospital(6892)
    let practitioner = try await Practitioner(13, at: hospital)
    await Self.charts(hospital)
    let fields = [
      "client_id": "viewer", "patient": "Patient/p", "practitioner": "\(practitioner.account)", "encounter": "ep",
    ]
    let word = try Self.word(await Self.announce(hospital, fields))
    let tokens = try await App.tokens(of: practitioner, scope: Self.scope, ["launch": word])
    #expect(tokens["patient"] == "p" && tokens["encounter"] == "ep" && tokens["scope"] == Self.scope)
    func sees(_ token: String) async {
      #expect(await Self.status(hospital, "Patient/p", token) == 200)
      #expect(await Self.status(hospital, "Encounter/ep", token) == 200)
      for other in ["Patient/q", "Encounter/eq", "Patient/q/$everything"] {
        #expect(await Self.status(hospital, other, token) == 404, "\(other)")
      }
    }
    let token = try #require(tokens["access_token"])
    await sees(token)
    #expect(try await App.introspected(hospital, token)["patient"] as? String == "p")
    let refresh = [
      "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"] ?? "", "client_id": "viewer",
      "scope": "patient/Patient.r patient/Encounter.r",
    ]
    let wider = refresh.merging(["scope": "user/Patient.r"]) { $1 }
    #expect(await App.post(hospital, "token", wider)?.text.contains("invalid_scope") == true)
    let answer = try #require(await App.post(hospital, "token", refresh))
    let again = try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
    #expect(again["patient"] as? String == "p" && again["scope"] as? String == "patient/Patient.r patient/Encounter.r")
    #expect(await Self.status(hospital, "Encounter?_count=1", try #require(again["access_token"] as? String)) == 403)
    await sees(try #require(again["access_token"] as? String))
    // Its word is used up.
    #expect(try await App.entered(practitioner, scope: Self.scope, ["launch": word]).status == 400)
  }

  @Test(
    "A launch is for the app and the practitioner whom the EHR named, and asks for a chart")
  func bound() async throws {
    let hospital = try await Self.hospital(6896)
    let (lee, kim) = (try await Practitioner(14, at: hospital), try await Practitioner(15, at: hospital))
    await Self.charts(hospital)
    let fields = ["client_id": "viewer", "patient": "p", "practitioner": "\(lee.account)"]
    // Another practitioner tries: nobody has it then.
    let tried = try Self.word(await Self.announce(hospital, fields))
    #expect(try await App.entered(kim, scope: Self.scope, ["launch": tried]).status == 400)
    #expect(try await App.entered(lee, scope: Self.scope, ["launch": tried]).status == 400)
    let other = try Self.word(await Self.announce(hospital, fields.merging(["client_id": "other"]) { $1 }))
    #expect(try await App.entered(lee, scope: Self.scope, ["launch": other]).status == 400)
    let word = try Self.word(await Self.announce(hospital, fields))
    #expect(
      try await App.entered(lee, scope: "patient/*.rs", ["launch": word]).status == 400, "without the scope launch")
    for scope in [Self.scope, "patient/*.rs"] {
      let answer = try await App.entered(lee, scope: scope)
      #expect(answer.status == 400 && answer.text.contains("launch"), "\(answer.text)")
    }
    // By itself it gets what is no patient's alone, and no chart.
    let tokens = try await App.tokens(of: lee, scope: "launch user/Patient.r patient/*.cruds")
    #expect(tokens["scope"] == "user/Patient.r" && tokens["patient"] == nil)
  }

  @Test("Who lets an app in is shown whose chart it is, by name and birth date; the app and others are not")
  func named() async throws {
    let hospital = try await Self.hospital(6904)
    let (lee, kim) = (try await Practitioner(18, at: hospital), try await Practitioner(19, at: hospital))
    await Self.put(
      hospital, "Patient/r",
      #"{"resourceType":"Patient","id":"r","name":[{"family":"Reed","given":["Ada"]}],"birthDate":"1988-09-05"}"#)
    let fields = ["client_id": "viewer", "patient": "r", "practitioner": "\(lee.account)"]
    let word = try Self.word(await Self.announce(hospital, fields))
    let query = App.query(hospital, scope: Self.scope, ["launch": word])
    func chart(_ practitioner: Practitioner, _ query: String) async -> Connection.Answer? {
      await practitioner.get("/api/clinicians/\(practitioner.account)/apps/chart?\(query)")
    }
    let shown = try #require(await chart(lee, query))
    #expect(shown.status == 200, "\(shown.text)")
    let patient = try JSONDecoder().decode(PatientFound.self, from: Data(shown.body))
    #expect(patient.name == "Ada Reed" && patient.birthDate == "1988-09-05")
    let other = try #require(await chart(kim, query))
    #expect(other.status == 403 && !other.text.contains("Reed"), "\(other.text)")
    #expect(await chart(lee, App.query(hospital, scope: "user/Patient.r"))?.status == 400, "it was launched in none")
    let open = try #require(await Connection.ask(.port(hospital.port), "GET", "/api/apps?\(query)"))
    #expect(open.status == 200 && !open.text.contains("Reed") && !open.text.contains("1988"), "\(open.text)")
  }

  @Test("Only the EHR announces launches, of what is here")
  func announced() async throws {
    let hospital = try await Self.hospital(6900, isTokenRequired: true)
    let (lee, kim) = (try await Practitioner(16, at: hospital), try await Practitioner(17, at: hospital))
    let token = try await lee.token()
    await Self.charts(hospital, token)
    let fields = ["client_id": "viewer", "patient": "p"]
    func status(_ change: [String: String?], token: String?, origin: String? = nil) async -> Int? {
      var sent = fields
      for (name, value) in change { sent[name] = value }
      return await Self.announce(hospital, sent, token: token, origin: origin)?.status
    }
    #expect(await status([:], token: token) == 201, "by the session of the practitioner who has the chart open")
    #expect(await status([:], token: nil) == 401)
    #expect(await status([:], token: String(repeating: "0", count: 64)) == 401)
    #expect(await status([:], token: token, origin: "https://evil.example") == 403)
    #expect(await status(["practitioner": "\(kim.account)"], token: token) == 400)
    #expect(await status(["client_id": "stranger"], token: token) == 400)
    #expect(await status(["client_id": nil], token: token) == 400)
    #expect(await status(["patient": "none"], token: token) == 422)
    #expect(await status(["patient": "https://elsewhere.example/fhir/Patient/p"], token: token) == 422)
    #expect(await status(["encounter": "eq"], token: token) == 422)
    #expect(await status(["patient": String(repeating: "x", count: 20_000)], token: token) == 413)
    #expect(await status(["redirect": "x"], token: token) == 400)
    let app = try await App.tokens(of: lee, scope: "user/*.cruds")
    let own: String = try #require(app["access_token"])
    #expect(await status([:], token: own) == 403, "an app launches none")
  }

  @Test("A word is good for five minutes, once, and one practitioner's many take nothing from another's")
  func words() throws {
    var launches = SMARTLaunches()
    let (lee, kim) = (Digest(words: (1, 0, 0, 0)), Digest(words: (2, 0, 0, 0)))
    func launch(_ account: Digest) -> SMARTLaunch {
      SMARTLaunch(client: "app", practitioner: account, patient: "p", encounter: nil)
    }
    func add(_ account: Digest, at time: UInt64) -> String? { launches.add(launch(account), at: time) }
    func take(_ word: String, by account: Digest) -> SMARTLaunch? {
      launches.take(word, of: "app", by: account, at: 2000)
    }
    func known(_ word: String, of client: String = "app", at time: UInt64) -> SMARTLaunch? {
      launches.launch(word, of: client, at: time)
    }
    let word = try #require(add(lee, at: 1000))
    #expect(known(word, at: 301_000) == launch(lee) && known(word, at: 301_001) == nil)
    #expect(known(word, of: "other", at: 1000) == nil && known("x", at: 1000) == nil)
    for _ in 0..<100 { #expect(add(kim, at: 2000) != nil) }
    #expect(take(word, by: lee) == launch(lee))
    #expect(take(word, by: lee) == nil)
    let mine = try #require(add(lee, at: 2000))
    #expect(take(mine, by: kim) == nil)
    #expect(take(mine, by: lee) == nil)
    var isFull = false
    for number in 0..<5000 where !isFull { isFull = add(Digest(words: (UInt64(number), 9, 9, 9)), at: 2000) == nil }
    #expect(isFull)
    #expect(add(lee, at: 400_000) != nil, "what is over makes room")
  }
}
