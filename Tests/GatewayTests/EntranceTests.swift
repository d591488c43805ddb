// Goal: who reaches the FHIR interface, by which name and from which page, is what the hospital said. Method: addresses
// and names by tables; pages of apps against real doors, spoken to byte by byte (Fetch §3.2, RFC 9110).
import Foundation
import Gateway
import Testing

@Suite("Entrance")
struct EntranceTests {
  @Test(
    "A public address is https, or this machine's own, and says nothing else",
    arguments: [
      ("https://fhir.hospital.example/fhir", "https://fhir.hospital.example"),
      ("https://fhir.hospital.example:8443/fhir", "https://fhir.hospital.example:8443"),
      ("http://127.0.0.1:8080/fhir", "http://127.0.0.1:8080"), ("http://localhost:8080/fhir", "http://localhost:8080"),
      ("https://[fd00::1]:8443/fhir", "https://[fd00::1]:8443"),
      ("http://fhir.hospital.example/fhir", nil), ("https://fhir.hospital.example", nil),
      ("https://fhir.hospital.example/fhir/", nil), ("https://fhir.hospital.example/r4/fhir", nil),
      ("https://Fhir.Hospital.example/fhir", nil), ("https://user@fhir.hospital.example/fhir", nil),
      ("https://fhir.hospital.example/fhir?x=/fhir", nil), ("https:///fhir", nil), ("ftp://127.0.0.1/fhir", nil),
      ("https://fhir.hospital.example:0/fhir", nil), ("https://fhir.hospital.example:99999/fhir", nil),
      ("https://krankenhäuser.example/fhir", nil), ("/fhir", nil), ("", nil),
    ])
  func origins(_ text: String, _ origin: String?) {
    #expect(Entrance.origin(of: text, below: "/fhir") == origin)
  }

  @Test("Only what listens for this machine, and is reached by its own names, is local")
  func local() {
    #expect(Entrance(port: 8080).isLocal)
    #expect(Entrance(port: 8080).origin == "http://127.0.0.1:8080")
    #expect(Entrance(host: "localhost", port: 8080, origin: "http://localhost:8080").isLocal)
    #expect(!Entrance(host: "0.0.0.0", port: 8080).isLocal)
    #expect(!Entrance(host: "10.0.0.5", port: 8080).isLocal)
    // A proxy on this machine brings people from everywhere.
    #expect(!Entrance(port: 8080, origin: "https://fhir.hospital.example").isLocal)
    #expect(Entrance(port: 8080, origin: "https://fhir.hospital.example").isListeningHere)
  }

  @Test("⚑ The FHIR interface is known by every address at which it answers, and by none at which it does not listen")
  func bases() {
    let addresses = ["10.0.0.7", "fd00::7"] + (0..<20).map { "10.0.1.\($0)" }
    func bases(_ host: String, _ port: Int, _ origin: String? = nil) -> [String] {
      Entrance(host: host, port: port, origin: origin).ownBases(addresses)
    }
    let own = "http://127.0.0.1:8080/fhir"
    #expect(bases("127.0.0.1", 8080) == [own])
    #expect(bases("127.0.0.1", 8080, "https://fhir.example") == [own])
    let named = bases("0.0.0.0", 8080, "https://fhir.example")
    #expect(
      named.prefix(4) == [
        own, "http://fhir.example:8080/fhir", "http://10.0.0.7:8080/fhir", "http://10.0.1.0:8080/fhir",
      ])
    #expect(named.count == 10 && !named.contains { $0.contains("fd00") })
    #expect(bases("::", 8080).contains("http://[fd00::7]:8080/fhir"))
    #expect(
      bases("10.0.0.9", 80, "https://fhir.example").suffix(2) == ["http://10.0.0.9:80/fhir", "http://10.0.0.9/fhir"])
    #expect(bases("fd00::9", 8080).contains("http://[fd00::9]:8080/fhir"))
    #expect(!MachineAddresses.all.contains { $0.hasPrefix("127.") || $0.hasPrefix("fe80:") || $0 == "::1" })
  }

  @Test("A named app's page is told what it may send, reads what it is answered, and has no right of its own")
  func apps() async throws {
    let hospital = try await LoneHospital(port: 6091)
    let fhir = Connection.Place.port(hospital.port + 1)
    let app = ["Origin": "http://127.0.0.1:1"]
    let preflight = try #require(
      await Connection.ask(
        fhir, "OPTIONS", "/fhir/Patient/p",
        app.merging(["Access-Control-Request-Method": "PUT"]) { $1 }))
    #expect(preflight.status == 204)
    #expect(preflight.head.lowercased().contains("access-control-allow-origin: http://127.0.0.1:1"))
    #expect(preflight.head.lowercased().contains("if-match"))
    let open = try #require(await Connection.ask(fhir, "GET", "/fhir/metadata", app))
    #expect(open.status == 200 && open.head.lowercased().contains("access-control-allow-origin: http://127.0.0.1:1"))
    // The hospital's own EHR needs no token here; a page in somebody's browser does.
    #expect(await Connection.ask(fhir, "GET", "/fhir/Patient")?.status == 200)
    #expect(await Connection.ask(fhir, "GET", "/fhir/Patient", app)?.status == 401)
    let crossing = app.merging(["Sec-Fetch-Site": "cross-site"]) { $1 }
    #expect(await Connection.ask(fhir, "GET", "/fhir/metadata", crossing)?.status == 200)
    let other = try #require(
      await Connection.ask(fhir, "GET", "/fhir/metadata", ["Origin": "https://evil.example"]))
    #expect(other.status == 403 && !other.head.lowercased().contains("access-control"))
  }
}
