// Goal: HEAD answers what GET does, without the body (RFC 9110 §9.3.2), at every door. Method: a whole hospital in this
// process; every route that it says it has, and every kind of path below its FHIR interface, asked both ways.
import FHIR
import Foundation
import Gateway
import HealthRecords
import Primitives
import Testing

@Suite("HEAD", .serialized)
struct HeadTests {
  private static let json = ["Content-Type": "application/fhir+json"]

  /// The headers that say what the body is, and where it is.
  private static func told(_ head: String) -> [String] {
    head.lowercased().split(separator: "\r\n").map(String.init)
      .filter { line in ["content-type:", "etag:", "location:", "x-consilium-record:"].contains { line.hasPrefix($0) } }
      .sorted()
  }

  private static func compare(
    _ place: Connection.Place, _ path: String, _ headers: [String: String] = [:]
  ) async throws -> Int {
    let get = try #require(await Connection.ask(place, "GET", path, headers), "GET \(path)")
    let head = try #require(await Connection.ask(place, "HEAD", path, headers), "HEAD \(path)")
    #expect(head.status == get.status, "\(path): HEAD \(head.status), GET \(get.status)")
    #expect(head.body.isEmpty, "\(path): \(head.text.prefix(200))")
    #expect(Self.told(head.head) == Self.told(get.head), "\(path)")
    return head.status
  }

  @Test("Every GET route of every door has its HEAD")
  func routes() async throws {
    let hospital = try await LoneHospital(port: 6301)
    let seed = [UInt8](repeating: 50, count: 32)
    let patient = try await hospital.register(.patient, seed: seed)
    var asked = 0
    for (name, place) in hospital.doors {
      let routes = await hospital.routes(of: name)
      for route in routes where route.hasPrefix("GET ") && !route.hasSuffix("/**") {
        let path = route.dropFirst("GET ".count).split(separator: "/").map { part -> String in
          guard part.hasPrefix("{") || part.hasPrefix(":") else { return String(part) }
          return part.contains("piece") ? "app.js" : "\(patient)"
        }
        let full = "/" + path.joined(separator: "/")
        let proof = full.hasPrefix("/api/") ? ["Authorization": hospital.proof(patient, seed: seed, path: full)] : [:]
        _ = try await Self.compare(place, full, proof)
        asked += 1
      }
    }
    #expect(asked > 40, "\(asked)")
  }

  @Test("Every kind of path of the FHIR interface, an export's file and a file of one's own among them")
  func fhir() async throws {
    let hospital = try await LoneHospital(port: 6311)
    let fhir = Connection.Place.port(hospital.port + 1)
    for (name, resource) in [
      ("Patient/p", #"{"resourceType":"Patient","id":"p"}"#),
      ("Binary/b", #"{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"YQ=="}"#),
    ] {
      let put = await Connection.ask(fhir, "PUT", "/fhir/\(name)", Self.json, body: Array(resource.utf8))
      #expect(put?.status == 201, "\(put?.text ?? "")")
    }
    let paths = [
      "metadata", "openapi.json", "Patient", "Patient/p", "Patient/p/_history", "Patient/p/_history/1",
      "Patient/_history",
      "_history", "Patient/p/Observation", "Patient/p/$everything", "Binary/b", "Patient/none", "Nothing/x", "$records",
      "AuditEvent?patient=p", ".well-known/smart-configuration", ".well-known/openid-configuration",
    ]
    for path in paths { _ = try await Self.compare(fhir, "/fhir/\(path)") }
    #expect(try await Self.compare(fhir, "/fhir/Binary/b", ["Accept": "text/plain"]) == 200)
    #expect(try await Self.compare(fhir, "/auth/keys") == 200)
    let begun = await Connection.ask(fhir, "GET", "/fhir/$export", ["Prefer": "respond-async"])
    let place = try #require(
      begun?.head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-location:") }?
        .split(separator: "/fhir/").last.map(String.init))
    for path in [place, "\(place)/0", "\(place)/99"] {
      #expect(try await Self.compare(fhir, "/fhir/\(path)") == (path.hasSuffix("/99") ? 404 : 200), "\(path)")
    }
  }
}
