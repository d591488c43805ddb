// Goal: nothing that is asked from outside ends a node, and nobody who sends nothing, slowly, or too much keeps others
// out. Method: a whole hospital in this process, whose routes are all asked with extremes of every number they take.
import Driver
import FHIR
import Foundation
import Gateway
import HealthRecords
import Messages
import Primitives
import Testing

@Suite("Doors", .serialized)
struct DoorTests {
  private static let extremes = [
    "-1", "0", "1", "2147483648", "9223372036854775807", "9223372036854775808", "18446744073709551615",
    "18446744073709551616", "1000000000000000000", "-9223372036854775808", "", "x", "1e9", "%00", "+1", "0x10",
  ]
  private static let ledgerNames = [
    "from", "to", "count", "below", "without", "record", "request", "patient", "search",
  ]
  private static let fhirNames = ["_count", "_offset", "_lastUpdated", "birthdate", "value-quantity", "account"]

  /// Paths for a route: with what there really is first, then with each extreme in each of its open parts.
  private static func paths(_ route: String, known: [String: [String]]) -> [String] {
    let parts = route.split(separator: "/").map(String.init)
    guard parts.last != "**" else {
      return (known["**"] ?? []).map { "/" + parts.dropLast().joined(separator: "/") + "/" + $0 }
    }
    func isOpen(_ part: String) -> Bool { part.hasPrefix("{") || part.hasPrefix(":") }
    let real = parts.map { part in
      isOpen(part) ? known[part.trimmingCharacters(in: CharacterSet(charactersIn: "{}:"))]?.first ?? "x" : part
    }
    var out = [real]
    for place in parts.indices where isOpen(parts[place]) {
      for extreme in Self.extremes where !extreme.isEmpty {
        var path = real
        path[place] = extreme
        out.append(path)
      }
    }
    return out.map { "/" + $0.joined(separator: "/") }
  }

  private static let tiles: [String] =
    ["0", "7", "8", "-1", "9223372036854775807", "entries"].flatMap { level in
      [
        "000", "000.p/1", "000.p/255", "000.p/-1", "x999/999", "x001/x234/067.p/17",
        "x999/x999/x999/x999/x999/999", "x072/x057/x594/x037/x927/936", "x018/x446/x744/x073/x709/551", "999",
        "18446744073709551615",
      ].map { "tile/\(level)/\($0)" }
    }

  private static let fhirPaths: [String] =
    ["Patient", "Observation/a/_history", "Patient/x", "$records", "AuditEvent", "Provenance"].flatMap { path in
      [path] + Self.extremes.filter { !$0.isEmpty }.flatMap { ["\(path)/\($0)", "\(path)/_history/\($0)"] }
    }

  @Test("Every route of every door answers every extreme of every number, and the node goes on")
  func extremes() async throws {
    let hospital = try await LoneHospital(port: 5801)
    let seed = [UInt8](repeating: 40, count: 32)
    let patient = try await hospital.register(.patient, seed: seed)
    let doctorSeed = [UInt8](repeating: 41, count: 32)
    let doctor = try await hospital.register(.practitioner, seed: doctorSeed)
    let resource = Array(#"{"resourceType":"Observation","status":"final","code":{"text":"a"}}"#.utf8)
    let sealed = await Connection.ask(
      .socket(hospital.socket), "POST", "/v1/patients/\(patient)/records", body: resource)
    #expect(sealed?.status == 200, "\(sealed?.text ?? "")")
    let record = try #require(await hospital.host.records(of: patient).first).anchor.record
    var known = [
      "id": ["\(patient)"], "patient": ["\(patient)"], "record": ["\(record)"], "account": ["\(patient)"],
      "member": ["1"], "chunk": ["0"], "leaf": ["0"],
    ]
    var asked = 0
    for (name, place) in hospital.doors {
      let routes =
        switch name {
        case "api": hospital.api.routes
        case "portal": hospital.portal.routes
        default: await hospital.fhir.routes
        }
      #expect(routes.count > 5, "\(name)")
      for route in routes {
        let words = route.split(separator: " ", maxSplits: 1).map(String.init)
        known["account"] = [words[1].contains("clinicians") ? "\(doctor)" : "\(patient)"]
        known["**"] = words[1].contains("fhir") ? Self.fhirPaths : Self.tiles
        for (number, path) in Self.paths(words[1], known: known).enumerated() {
          let isAsked = number == 0 && words[0] == "GET"
          for query in isAsked ? Self.queries(name == "fhir" ? Self.fhirNames : Self.ledgerNames, record) : [""] {
            let full = path + query
            var headers: [String: String] = [:]
            if full.hasPrefix("/api/") {
              let isDoctor = full.contains("\(doctor)")
              headers["Authorization"] = hospital.proof(
                isDoctor ? doctor : patient, seed: isDoctor ? doctorSeed : seed, path: full)
            }
            let answer = await Connection.ask(
              place, words[0], full, headers, body: ["GET", "HEAD"].contains(words[0]) ? nil : [0x7b])
            let status = try #require(answer?.status, "\(name): \(words[0]) \(full) was not answered")
            #expect(status < 500 || status == 503 || status == 504, "\(name): \(words[0]) \(full): \(status)")
            asked += 1
          }
        }
      }
    }
    #expect(asked > 2000, "\(asked)")
    #expect(await hospital.host.status().running)
  }

  private static func queries(_ names: [String], _ record: Digest) -> [String] {
    var out = [""]
    for name in names { out += self.extremes.map { "?\(name)=\($0)" } }
    out += self.extremes.map { "?record=\(record)&from=\($0)" }
    out += self.extremes.map { "?from=\($0)&to=\($0)&count=\($0)" }
    out += self.extremes.map { "?from=1&to=\($0)" }
    out += self.extremes.map { "?from=18446744073709551615&count=\($0)" }
    return out
  }
}
