// Goal: the FHIR interface gives what a client asks for, or says what there is, over HTTP as it is spoken; and does
// nothing for a client who has left. Method: a hospital alone, and sockets by hand.
import FHIR
import Foundation
import Gateway
import HealthRecords
import Testing

@Suite("FHIR over HTTP", .serialized)
struct FormTests {
  private static let text = #"{"resourceType":"Binary","contentType":"text/plain","data":"SGFsbG8gV2VsdA=="}"#

  private static func location(_ answer: Connection.Answer?) -> String {
    let line = answer?.head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("location:") } ?? ""
    let path = line.split(separator: "/fhir/").last?.split(separator: "/_history").first ?? ""
    return "/fhir/\(path)"
  }

  private static func type(_ answer: Connection.Answer?) -> String {
    let line = answer?.head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-type:") } ?? ""
    return line.split(separator: " ").dropFirst().joined(separator: " ")
  }

  @Test("Binaries, formats, versions, patches and prettiness, as headers and parameters ask for them")
  func forms() async throws {
    let hospital = try await LoneHospital(port: 6101)
    let door = Connection.Place.port(hospital.port + 1)
    let fhir = ["Content-Type": "application/fhir+json"]
    let binary = Self.location(await Connection.ask(door, "POST", "/fhir/Binary", fhir, body: Array(Self.text.utf8)))
    let patient = Self.location(
      await Connection.ask(door, "POST", "/fhir/Patient", fhir, body: Array(#"{"resourceType":"Patient"}"#.utf8)))
    for (path, accept, status, type) in [
      (binary, "text/plain", 200, "text/plain"), (binary, "application/fhir+json", 200, "application/fhir+json"),
      (binary, "*/*", 200, "application/fhir+json"), (binary, "text/*", 200, "text/plain"),
      (binary, "image/png", 406, "application/fhir+json"),
      (binary + "?_format=json", "text/plain", 200, "application/fhir+json"),
      (binary + "?_format=xml", "*/*", 406, "application/fhir+json"),
      (binary + "/_history/1", "text/plain", 200, "text/plain"),
      (patient, "application/json", 200, "application/json"),
      (patient, "application/fhir+xml", 406, "application/fhir+json"),
      (patient + "?_format=xml", "*/*", 406, "application/fhir+json"),
      (patient + "?_format=json", "text/html", 200, "application/fhir+json"),
      (patient, "application/fhir+json; fhirVersion=3.0", 406, "application/fhir+json"),
      (patient, "application/fhir+json;q=0, */*;q=0", 406, "application/fhir+json"),
      (patient, "text/plain", 406, "application/fhir+json"),
    ] {
      let answer = await Connection.ask(door, "GET", path, ["Accept": accept])
      #expect(answer?.status == status && Self.type(answer).hasPrefix(type), "\(path) \(accept): \(answer?.head ?? "")")
    }
    #expect(await Connection.ask(door, "GET", binary, ["Accept": "text/plain"])?.text == "Hallo Welt")
    let head = await Connection.ask(door, "HEAD", binary, ["Accept": "text/plain"])
    #expect(head?.status == 200 && head?.body.isEmpty == true)
    #expect(await Connection.ask(door, "GET", patient + "?_pretty=true")?.text.contains("\n  \"id\": ") == true)
    let stale = "Thu, 01 Jan 1970 00:00:00 GMT"
    #expect(await Connection.ask(door, "GET", patient, ["If-Modified-Since": stale])?.status == 200)
    #expect(
      await Connection.ask(door, "GET", patient, ["If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"])?.status == 304)
    #expect(await Connection.ask(door, "GET", patient, ["If-Modified-Since": "yesterday"])?.status == 200)
    for (type, status) in [
      ("application/fhir+json; fhirVersion=3.0", 415), ("application/fhir+json; fhirVersion=4.0", 201),
      ("application/fhir+json; charset=iso-8859-1", 415), ("application/fhir+xml", 415), ("application/json", 201),
    ] {
      let body = Array(#"{"resourceType":"Patient"}"#.utf8)
      #expect(
        await Connection.ask(door, "POST", "/fhir/Patient", ["Content-Type": type], body: body)?.status == status,
        "\(type)")
    }
    for (type, body, status) in [
      ("application/json-patch+json", #"[{"op":"test","path":"/gender","value":"male"}]"#, 422),
      ("application/json-patch+json", #"[{"op":"add","path":"/gender","value":"male"}]"#, 200),
      ("application/xml-patch+xml", "<diff/>", 415), ("application/fhir+json", #"{"resourceType":"Patient"}"#, 415),
    ] {
      #expect(
        await Connection.ask(door, "PATCH", patient, ["Content-Type": type], body: Array(body.utf8))?.status == status,
        "\(body)")
    }
    let xml = await Connection.ask(
      door, "POST", "/fhir/Patient/_search", ["Content-Type": "application/json"], body: Array("{}".utf8))
    #expect(xml?.status == 415)
  }

  @Test("⚑ A bundle of a client who has left is not worked through")
  func left() async throws {
    var limits = DoorLimits()
    limits.leftMilliseconds = 0
    let hospital = try await LoneHospital(port: 6111, limits: limits)
    let door = Connection.Place.port(hospital.port + 1)
    func bundle(_ tag: String) -> [UInt8] {
      let entry =
        #"{"resource":{"resourceType":"Patient","meta":{"tag":[{"code":"\#(tag)"}]}},"#
        + #""request":{"method":"POST","url":"Patient"}}"#
      let entries = Array(repeating: entry, count: 200).joined(separator: ",")
      return Array(#"{"resourceType":"Bundle","type":"batch","entry":[\#(entries)]}"#.utf8)
    }
    let body = bundle("gone")
    do {
      let connection = try #require(Connection(door))
      let head = Connection.head("POST", "/fhir", ["Content-Type": "application/fhir+json"], length: body.count)
      await connection.send(Array(head.utf8) + body)
    }
    // Another that came later is answered: what is left of the first would be done by then.
    let answer = await Connection.ask(
      door, "POST", "/fhir", ["Content-Type": "application/fhir+json"], body: bundle("stays"))
    #expect(answer?.status == 200)
    func count(_ tag: String) async throws -> Int {
      let text = await Connection.ask(door, "GET", "/fhir/Patient?_tag=\(tag)&_summary=count")?.text ?? ""
      guard case .number(let token)? = try CanonicalJSON(Array(text.utf8))["total"] else { return -1 }
      return Int(token) ?? -1
    }
    #expect(try await count("stays") == 200)
    #expect(try await count("gone") < 200)
  }
}
