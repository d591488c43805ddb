// Goal: whoever is shown something of a patient leaves a line, what a `Location` names answers, and one record that is
// refused holds up no other. Method: a whole hospital, asked at its doors.
import Driver
import FHIR
import Foundation
import Gateway
import HealthRecords
import Primitives
import Testing
import Wire

@Suite("Reading at the doors", .serialized)
struct ReadingTests {
  private static let patient = [UInt8](repeating: 60, count: 32)

  private static func readings(of patient: Digest, at hospital: LoneHospital) async throws -> [ReadingView] {
    let path = "/v1/patients/\(patient)/readings"
    let answer = try #require(await Connection.ask(.socket(hospital.socket), "GET", path))
    return try JSONDecoder().decode([ReadingView].self, from: Data(answer.body))
  }

  @Test("⚑ Who reads the list of another's records leaves a line; who reads the own leaves none")
  func lists() async throws {
    let hospital = try await LoneHospital(port: 5771)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let doctor = try await Practitioner(61, at: hospital)
    let path = "/api/readers/\(patient)/records?patient=\(patient)"
    let own = await Connection.ask(
      .port(hospital.port), "GET", path,
      ["Authorization": hospital.proof(patient, seed: Self.patient, path: path)])
    #expect(own?.status == 200)
    #expect(try await Self.readings(of: patient, at: hospital).isEmpty)

    // Also that there is nothing is shown.
    #expect(await doctor.get("/api/readers/\(doctor.account)/records?patient=\(patient)&count=5")?.status == 200)
    let lines = try await Self.readings(of: patient, at: hospital)
    #expect(lines.map(\.reader) == ["\(doctor.account)"] && lines.map(\.interaction) == ["search-type"])
    #expect(lines.map(\.types) == [["DocumentReference"]], "\(lines)")

    let record = try await hospital.anchor(patient, .observation)
    #expect(await doctor.get("/api/readers/\(doctor.account)/anchor?record=\(record)")?.status == 200)
    #expect(Set(try await Self.readings(of: patient, at: hospital).map(\.interaction)) == ["search-type", "read"])

    // By FHIR as well: nobody's list is asked for without a line, be it empty.
    let other = try await hospital.register(.patient, seed: [UInt8](repeating: 62, count: 32))
    let listed = await Connection.ask(
      .port(hospital.port + 1), "GET", "/fhir/$records?account=\(other)",
      ["Authorization": "Bearer \(try await doctor.token())"])
    #expect(listed?.status == 200, "\(listed?.text ?? "")")
    #expect(try await Self.readings(of: other, at: hospital).map(\.types) == [["DocumentReference"]])

    // Nobody fills the log with accounts that there are not.
    let nobody = Digest(words: (1, 2, 3, 4))
    #expect(await doctor.get("/api/readers/\(doctor.account)/records?patient=\(nobody)")?.status == 200)
    #expect(try await Self.readings(of: nobody, at: hospital).isEmpty)
  }
}
