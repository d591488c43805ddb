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
      let routes = await hospital.routes(of: name)
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

  /// A request that brings a body: what is said of it, how long it is said to be, and what comes.
  private struct Body {
    let name: String
    var headers: [String: String] = [:]
    var length: Int?
    var bytes: [UInt8] = []
  }

  private static let bodies: [Body] = {
    let invalid: [UInt8] = [0xff, 0xfe, 0x00, 0xc3, 0x28, 0x80]
    var out = [Body(name: "none"), Body(name: "empty", length: 0)]
    out.append(Body(name: "broken off", length: 1000, bytes: [0x7b]))
    for type in ["text/html", "application/x-www-form-urlencoded", "application/json", "image/png; charset=x", "/"] {
      let headers = ["Content-Type": type]
      out.append(Body(name: "empty \(type)", headers: headers, length: 0))
      out.append(Body(name: "not UTF-8 \(type)", headers: headers, length: invalid.count, bytes: invalid))
      out.append(Body(name: "half \(type)", headers: headers, length: 2, bytes: [0x7b, 0x22]))
    }
    for packing in ["gzip", "br"] {
      let headers = ["Content-Encoding": packing]
      out.append(Body(name: packing, headers: headers, length: invalid.count, bytes: invalid))
    }
    for length in [1 << 33, Int.max] { out.append(Body(name: "\(length) bytes", length: length, bytes: [0x7b])) }
    out.append(Body(name: "chunks", headers: ["Transfer-Encoding": "chunked"], bytes: Self.chunks(100_000)))
    return out
  }()

  /// A body in chunks, of so many bytes.
  private static func chunks(_ count: Int) -> [UInt8] {
    let (head, end) = ("\(String(count, radix: 16))\r\n", "\r\n0\r\n\r\n")
    return Array(head.utf8) + [UInt8](repeating: 0x61, count: count) + Array(end.utf8)
  }

  @Test("Every route that takes a body answers one that is too long, empty, of another kind or broken, never by 5xx")
  func bodies() async throws {
    var limits = DoorLimits()
    // Clients here send no more once they have asked, and listen.
    limits.leftMilliseconds = 600_000
    let hospital = try await LoneHospital(port: 5761, limits: limits)
    let (seed, doctorSeed) = ([UInt8](repeating: 42, count: 32), [UInt8](repeating: 43, count: 32))
    let patient = try await hospital.register(.patient, seed: seed)
    let doctor = try await hospital.register(.practitioner, seed: doctorSeed)
    var (asked, longAnswers) = (0, Set<String>())
    for (name, place) in hospital.doors {
      let routes = await hospital.routes(of: name)
      for route in routes {
        let words = route.split(separator: " ", maxSplits: 1).map(String.init)
        guard ["POST", "PUT", "PATCH"].contains(words[0]) else { continue }
        var paths = ["", "/Patient", "/Patient/a", "/Patient/_search", "/Observation/$validate", "/Binary"]
        paths = paths.map { "/fhir\($0)" }
        if !words[1].contains("**") {
          let known = ["patient": ["\(patient)"], "account": ["\(doctor)"]]
          paths = Array(Self.paths(words[1], known: known)[..<1])
        }
        for path in paths {
          for body in Self.bodies {
            var headers = body.headers
            if path.hasPrefix("/api/clinicians/") {
              headers["Authorization"] = hospital.proof(doctor, seed: doctorSeed, path: path)
            }
            let connection = try #require(Connection(place))
            let head = Connection.head(words[0], path, headers, length: body.length)
            await connection.send(Array(head.utf8) + body.bytes)
            connection.finish()
            let answer = Connection.Answer(await connection.receive() ?? [])
            let status = try #require(answer?.status, "\(name): \(words[0]) \(path), \(body.name): not answered")
            let text = answer?.text.prefix(300) ?? ""
            #expect(status < 500, "\(name): \(words[0]) \(path), \(body.name): \(status) \(text)")
            if body.length ?? 0 > 1 << 32, status == 413 { longAnswers.insert("\(name) \(path)") }
            asked += 1
          }
        }
      }
    }
    #expect(asked > 400 && longAnswers.contains("fhir /auth/token") && longAnswers.contains("api /v1/transactions"))
    #expect(longAnswers.contains("portal /api/transactions") && longAnswers.contains("fhir /fhir/Patient"))
    #expect(await hospital.host.status().running)
    let token = await Connection.ask(
      .port(hospital.port + 1), "POST", "/auth/token", body: [UInt8](repeating: 0x61, count: 20_000))
    #expect(token?.status == 413 && token?.text.contains(#""error":"invalid_request""#) == true, "\(token?.text ?? "")")
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
