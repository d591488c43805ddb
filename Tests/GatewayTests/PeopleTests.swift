// Goal: people are found and named as others say them. Method: a whole hospital with its EHR, asked at its portal.
import FHIR
import Foundation
import Gateway
import HealthRecords
import Primitives
import Testing

@Suite("People at the portal", .serialized)
struct PeopleTests {
  private static func post(_ type: String, _ resource: String, to hospital: LoneHospital) async throws {
    let answer = try #require(
      await Connection.ask(
        .port(hospital.port + 1), "POST", "/fhir/\(type)", ["Content-Type": "application/fhir+json"],
        body: Array(resource.utf8)))
    #expect(answer.status == 201, "\(answer.text)")
  }

  @Test("A patient is found by every part of the name in any order, by birth date, and by number")
  func found() async throws {
    let hospital = try await LoneHospital(port: 6011)
    let doctor = try await Practitioner(71, at: hospital)
    try await Self.post(
      "Patient",
      """
      {"resourceType":"Patient","gender":"male","birthDate":"1988-09-05","name":[{"use":"old","family":"Former"},
      {"use":"official","text":"Chet","prefix":["Mr."],"given":["Chet"],"family":"Hoeger"}],
      "identifier":[{"use":"old","value":"L-16"},{"system":"urn:lone","value":"L-17","type":{"text":"Number"}}]}
      """, to: hospital)
    try await Self.post(
      "Patient", #"{"resourceType":"Patient","name":[{"given":["Chet"],"family":"Vogel"}],"birthDate":"1990-01-02"}"#,
      to: hospital)
    func people(_ text: String) async throws -> [PatientFound] {
      let asked = try #require(text.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
      let answer = await doctor.get("/api/clinicians/\(doctor.account)/patients?search=\(asked)")
      let body = try #require(answer?.body)
      return try JSONDecoder().decode([PatientFound].self, from: Data(body))
    }
    func names(_ text: String) async throws -> [String] { try await people(text).map(\.name) }
    let hoeger = ["Chet Hoeger"]
    for text in ["Chet Hoeger", "Hoeger Chet", "hoeger, chet", "oeg", "1988-09-05", "Hoeger 5.9.1988", "L-17"] {
      #expect(try await names(text) == hoeger, "\(text)")
    }
    // The official name, which the nickname is not; the sex, and the numbers that count.
    let known = try #require(await people("L-17").first)
    #expect(known.birthDate == "1988-09-05" && known.sex == "male" && known.numbers == ["Number L-17"])
    let other = try #require(await people("Vogel").first)
    #expect(other.sex == nil && other.numbers.isEmpty)
    #expect(Set(try await names("chet")) == ["Chet Hoeger", "Chet Vogel"])
    for text in ["Hoeger Vogel", "Hoeger 1990-01-02", "Nobody", "5.13.1988", ", ;"] {
      #expect(try await names(text).isEmpty, "\(text)")
    }
  }

  @Test("A practitioner has a name where the hospital's store has it; a patient is named to nobody")
  func named() async throws {
    let hospital = try await LoneHospital(port: 6021)
    let (nameless, doctor) = (try await Practitioner(72, at: hospital), try await Practitioner(73, at: hospital))
    let seed = [UInt8](repeating: 74, count: 32)
    let patient = try await hospital.register(.patient, seed: seed)
    for (type, account) in [("Practitioner", doctor.account), ("Patient", patient)] {
      try await Self.post(
        type,
        """
        {"resourceType":"\(type)","name":[{"prefix":["Dr."],"given":["Ada"],"family":"Lee"}],
        "identifier":[{"system":"urn:consilium:account","value":"\(account)"}]}
        """, to: hospital)
    }
    func who(_ account: Digest) async throws -> (status: Int, text: String) {
      let path = "/api/accounts/\(patient)/who?of=\(account)"
      let proof = hospital.proof(patient, seed: seed, path: path)
      let answer = try #require(
        await Connection.ask(.port(hospital.port), "GET", path, ["Authorization": proof]))
      return (answer.status, answer.text)
    }
    let known = try await who(doctor.account)
    #expect(known.text.contains(#""name":"Dr. Ada Lee""#) && known.text.contains(#""hospital":1"#), "\(known)")
    let unnamed = try await who(nameless.account)
    #expect(unnamed.status == 200 && !unnamed.text.contains("name"), "\(unnamed)")
    let other = try await who(patient)
    #expect(other.status == 200 && !other.text.contains("Lee"), "\(other)")
    #expect(try await who(Digest(words: (1, 2, 3, 4))).status == 404)
    let unsigned = await Connection.ask(
      .port(hospital.port), "GET", "/api/accounts/\(patient)/who?of=\(doctor.account)")
    #expect(unsigned?.status == 403, "\(unsigned?.text ?? "")")
  }
}
