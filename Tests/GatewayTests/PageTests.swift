// Goal: a part of a page is sent once, compressed, and named early. Method: a whole hospital, asked at its portal.
import Foundation
import Gateway
import Testing

@Suite("The pages' parts", .serialized)
struct PageTests {
  private static func field(_ name: String, in answer: Connection.Answer) -> String? {
    answer.head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("\(name): ") }
      .map { String($0.dropFirst(name.count + 2)) }
  }

  @Test("A part that a browser has is not sent again, and one that it has not goes compressed where it takes that")
  func parts() async throws {
    let hospital = try await LoneHospital(port: 6031)
    func get(_ path: String, _ headers: [String: String] = [:]) async throws -> Connection.Answer {
      try #require(await Connection.ask(.port(hospital.port), "GET", path, headers))
    }
    for path in ["/", "/clinic", "/officer", "/verify", "/app.js", "/portal.css"] {
      let plain = try await get(path)
      let tag = try #require(Self.field("etag", in: plain))
      #expect(plain.status == 200 && Self.field("content-encoding", in: plain) == nil, "\(path)")
      let packed = try await get(path, ["Accept-Encoding": "gzip"])
      #expect(Self.field("content-encoding", in: packed) == "gzip" && packed.body.count < plain.body.count, "\(path)")
      let kept = try await get(path, ["If-None-Match": "\"other\", \(tag)"])
      #expect(kept.status == 304 && kept.body.isEmpty && Self.field("etag", in: kept) == tag, "\(path)")
      #expect(try await get(path, ["If-None-Match": "\"other\""]).status == 200, "\(path)")
    }
    #expect(try await get("/nobody.js").status == 404)
  }

  @Test("The first page is small: all that it names, packed, with the words of either language")
  func small() async throws {
    let hospital = try await LoneHospital(port: 6061)
    func size(_ path: String) async throws -> (bytes: Int, text: String) {
      let packed = try #require(
        await Connection.ask(.port(hospital.port), "GET", path, ["Accept-Encoding": "gzip"]))
      let plain = try #require(await Connection.ask(.port(hospital.port), "GET", path))
      #expect(plain.status == 200, "\(path)")
      return (packed.body.count, String(decoding: plain.body, as: UTF8.self))
    }
    for path in ["/", "/clinic", "/officer"] {
      let page = try await size(path)
      let named = page.text.matches(of: /(?:href|src)="([a-z-]+\.(?:js|css))"/).map { String($0.output.1) }
      #expect(named.count > 10, "\(path)")
      var sum = page.bytes
      for name in Set(named) { sum += try await size("/\(name)").bytes }
      for language in ["english", "german"] {
        var all = sum
        for part in ["", "-staff", "-terms"] { all += try await size("/\(language)\(part).js").bytes }
        #expect(all <= 100_000, "\(path) in \(language): \(all) bytes")
      }
    }
  }

  @Test("A page names every script that it needs first")
  func modules() async throws {
    let hospital = try await LoneHospital(port: 6041)
    let page = try #require(await Connection.ask(.port(hospital.port), "GET", "/clinic"))
    let text = String(decoding: page.body, as: UTF8.self)
    for name in ["clinic.js", "entrance.js", "node.js", "texts.js", "wire.js"] {
      #expect(text.contains("\"\(name)\""), "\(name)")
    }
    for name in ["app.js", "chart.js", "german.js"] { #expect(!text.contains("\"\(name)\""), "\(name)") }
  }
}
