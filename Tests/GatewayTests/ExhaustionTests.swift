// Goal: who sends nothing, half, slowly, or much of little keeps nobody out and takes no memory. Method: sockets by
// hand against a hospital with small limits; what holds a place is told by who is refused.
import FHIR
import Foundation
import Gateway
import HealthRecords
import Testing

@Suite("Exhaustion", .serialized)
struct ExhaustionTests {
  private static func half(_ place: Connection.Place, _ path: String, length: Int, sent: Int) async -> Connection? {
    guard let connection = Connection(place) else { return nil }
    let head = Connection.head("POST", path, [:], length: length)
    await connection.send(Array(head.utf8) + [UInt8](repeating: 0x20, count: sent))
    return connection
  }

  @Test("Half-sent requests hold no place, and are closed; so are silent connections and half heads")
  func half() async throws {
    var limits = DoorLimits()
    (limits.requestsMax, limits.connectionsMax) = (4, 64)
    (limits.headMillisecondsMax, limits.patienceMilliseconds) = (2000, 2000)
    limits.bytesPerSecondMin = 1 << 20
    let hospital = try await LoneHospital(port: 5861, limits: limits)
    for (name, place) in hospital.doors {
      let path = ["api": "/v1/transactions", "portal": "/api/transactions", "fhir": "/fhir/Patient"][name] ?? "/"
      var held: [Connection] = []
      for number in 0..<12 {
        let connection = number % 3 == 0 ? await Self.half(place, path, length: 1000, sent: 10) : Connection(place)
        guard let connection else { continue }
        if number % 3 == 2 { await connection.send("GET /v1/status HTT") }
        held.append(connection)
      }
      #expect(held.count == 12)
      let read = ["api": "/v1/status", "portal": "/api/words", "fhir": "/fhir/metadata"][name] ?? "/"
      for _ in 0..<8 { #expect(await Connection.ask(place, "GET", read)?.status == 200, "\(name)") }
      // The server closes each of them by itself: otherwise nothing comes, and there is no end.
      for connection in held { #expect(await connection.receive() != nil, "\(name): held open") }
    }
  }

  @Test("However many connections are opened, somebody who asks is answered: who waits longest in silence goes")
  func crowd() async throws {
    var limits = DoorLimits()
    limits.connectionsMax = 8
    let hospital = try await LoneHospital(port: 5871, limits: limits)
    var held: [Connection] = []
    for _ in 0..<40 { if let connection = Connection(.port(hospital.port)) { held.append(connection) } }
    // Those that are still being taken in can be younger than the one that asks: it may have to ask again.
    var status: Int?
    for _ in 0..<20 where status != 200 {
      status = await Connection.ask(.port(hospital.port), "GET", "/api/words")?.status
    }
    #expect(status == 200)
    #expect(held.count == 40)
  }

  /// Connections that keep a server waiting, each at another place of the protocol.
  private static let waits: [(name: String, text: @Sendable (_ get: String, _ post: String) -> String)] = [
    ("half head", { get, _ in "GET \(get) HTT" }),
    (
      "half body",
      { _, post in
        "POST \(post) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/fhir+json\r\n"
          + "Content-Length: 100\r\n\r\n{"
      }
    ),
    ("answered, body owed", { get, _ in "GET \(get) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n" }),
    (
      "chunk owed",
      { _, post in
        "POST \(post) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/fhir+json\r\n"
          + "Transfer-Encoding: chunked\r\n\r\n5\r\nab"
      }
    ),
  ]

  @Test("⚑ Wherever a client stops in the middle of a request, it gives way to somebody who asks")
  func stopped() async throws {
    var limits = DoorLimits()
    limits.connectionsMax = 8
    let hospital = try await LoneHospital(port: 6081, limits: limits)
    for (name, place) in hospital.doors {
      let get = ["api": "/v1/status", "portal": "/api/words", "fhir": "/fhir/metadata"][name] ?? "/"
      let post = ["api": "/v1/transactions", "portal": "/api/transactions", "fhir": "/fhir/Patient"][name] ?? "/"
      for wait in Self.waits {
        var held: [Connection] = []
        for _ in 0..<20 {
          guard let connection = Connection(place) else { continue }
          await connection.send(wait.text(get, post))
          held.append(connection)
        }
        var status: Int?
        for _ in 0..<20 where status != 200 { status = await Connection.ask(place, "GET", get)?.status }
        #expect(status == 200, "\(name): \(wait.name)")
        #expect(held.count == 20)
      }
    }
  }

  @Test("One address of another machine has a bounded number of connections, and keeps no other out")
  func source() async throws {
    var limits = DoorLimits()
    limits.connectionsPerSourceMax = 3
    let hospital = try await LoneHospital(port: 5921, limits: limits)
    let portal = Connection.Place.port(hospital.port)
    var held: [Connection] = []
    for _ in 0..<3 { held.append(try #require(Connection(portal, from: "127.0.0.2"))) }
    // Once all three are in, another is closed without a word.
    var isClosed = false
    for _ in 0..<200 where !isClosed {
      let more = try #require(Connection(portal, from: "127.0.0.2"))
      await more.send(Connection.head("GET", "/api/words", [:], length: nil))
      isClosed = Connection.Answer(await more.receive() ?? []) == nil
    }
    #expect(isClosed)
    #expect(await Connection.ask(portal, "GET", "/api/words")?.status == 200)
    #expect(held.count == 3)
  }

  @Test("Bodies share a bounded memory: one too many is told to wait, and has room once another is gone")
  func memory() async throws {
    var limits = DoorLimits()
    limits.memoryBytesMax = 1 << 20
    let hospital = try await LoneHospital(port: 5881, limits: limits)
    let fhir = Connection.Place.port(hospital.port + 1)
    let patient = Array(#"{"resourceType":"Patient"}"#.utf8)
    let large = patient + [UInt8](repeating: 0x20, count: 1 << 20)
    #expect(await Connection.ask(fhir, "POST", "/fhir/Patient", body: large)?.status == 503)
    #expect(await Connection.ask(fhir, "POST", "/fhir/Patient", body: patient)?.status == 201)
    // What can never fit is not told to come again.
    let dense = Array((#"{"resourceType":"Patient","x":[0"# + String(repeating: ",0", count: 50_000) + "]}").utf8)
    #expect(await Connection.ask(fhir, "POST", "/fhir/Patient", body: dense)?.status == 413)
    #expect(await Connection.ask(fhir, "POST", "/fhir/Patient", body: patient)?.status == 201)
  }

  @Test("Who may not ask is refused before the body comes")
  func unheard() async throws {
    let hospital = try await LoneHospital(port: 5891, isTokenRequired: true)
    let fhir = Connection.Place.port(hospital.port + 1)
    let unsigned = try #require(await Self.half(fhir, "/fhir/Patient", length: 60 << 20, sent: 0))
    unsigned.finish()
    #expect(Connection.Answer(await unsigned.receive() ?? [])?.status == 401)
  }

  @Test("A body that breaks off is told as that, not as too long")
  func brokenOff() async throws {
    let hospital = try await LoneHospital(port: 5901)
    let connection = try #require(await Self.half(.port(hospital.port + 1), "/fhir/Patient", length: 1000, sent: 10))
    connection.finish()
    let bytes = await connection.receive() ?? []
    #expect(Connection.Answer(bytes)?.status == 400)
  }

  @Test("⚑ Sixty kilobytes that hold sixty megabytes are refused while they are unpacked; a real bundle is not")
  func bomb() async throws {
    let hospital = try await LoneHospital(port: 5911)
    let fhir = Connection.Place.port(hospital.port + 1)
    let bomb = try #require(Gzip.compress([UInt8](repeating: 0x20, count: 60 << 20)))
    #expect(bomb.count < 100_000)
    let answer = await Connection.ask(fhir, "POST", "/fhir/Patient", ["Content-Encoding": "gzip"], body: bomb)
    #expect(answer?.status == 400 && answer?.text.contains("send it plain") == true, "\(answer?.text ?? "")")
    let entry = #"{"resource":{"resourceType":"Observation","status":"final","code":{"text":"a"}}},"#
    let bundle =
      #"{"resourceType":"Bundle","type":"collection","entry":[\#(String(repeating: entry, count: 5000).dropLast())]}"#
    let packed = try #require(Gzip.compress(Array(bundle.utf8)))
    let taken = await Connection.ask(fhir, "POST", "/fhir/$validate", ["Content-Encoding": "gzip"], body: packed)
    #expect(taken?.status == 200 || taken?.status == 404 || taken?.status == 422, "\(taken?.text.prefix(200) ?? "")")
  }
}

@Suite("What JSON may be")
struct JSONLimitTests {
  @Test("Values are counted and strings measured before there is a tree")
  func limits() throws {
    var limits = JSONLimits()
    (limits.valuesMax, limits.charactersMax) = (10, 8)
    func check(_ text: String) throws { try limits.check(Array(text.utf8)) }
    try check("[0,0,0,0,0,0,0]")
    #expect(throws: JSONFault.self) { try check("[0,0,0,0,0,0,0,0,0,0,0]") }
    #expect(throws: JSONFault.self) { try check(#"{"a":{"b":{"c":{"d":{"e":{"f":0}}}}}}"#) }
    try check(#"["äöü,:[{!ß"]"#.replacingOccurrences(of: "!", with: ""))
    #expect(throws: JSONFault.stringTooLong(at: 2, max: 8)) { try check(#"["nine char"]"#) }
    // Base64 and XHTML have no such bound.
    try check(#"["abcdefghijklmnop+/=="]"#)
    try check(#"["<div>whatever stands here</div>"]"#)
    #expect(throws: JSONFault.self) { try check(#"["a b \" c d , e"]"#) }
    try check(#"["\u00e4\u00e4\u00e4"]"#)
  }

  @Test("A tree's memory is estimated by its values; nothing traps on bytes that are no JSON")
  func estimates() {
    #expect(JSONLimits.outside.treeBytes(of: Array("[0,0,0]".utf8)) == 4 * JSONLimits.valueBytes)
    for text in ["", "\"", "\"\\", "\"\\u", "\"\\u0", "[\"", "{\"a\":\"\\u00"] {
      _ = JSONLimits.outside.treeBytes(of: Array(text.utf8))
      #expect(throws: Never.self) { try JSONLimits.outside.check(Array(text.utf8)) }
    }
  }
}
