// Goal: a hospital's other systems send HL7 v2 to a real node: what was accepted is there after a kill, once, and what
// was not understood is corrected by hand; wrong settings are refused. Method: the built `consilium` and a real socket.
import Foundation
import Testing

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

@Suite("HL7 v2 at a real node", .serialized, .oneAtATime)
struct MessageProcessTests {
  private static let settings = [
    "hl7_port=5555", "hl7_sources=lab=LAB/NORTH", "hl7_systems=MRN=https://north.example/mrn", "hl7_timezone=UTC",
    "fhir_port=5556",
  ]

  private static func result(_ id: String, _ value: String) -> String {
    "MSH|^~\\&|LAB|NORTH|EHR|NORTH|20240101||ORU^R01|\(id)|P|2.5\rPID|1||4711^^^MRN^MR||Doe^Jo\r"
      + "OBR|1||F-1|4548-4^HbA1c^LN|||20240101\rOBX|1|NM|4548-4^HbA1c^LN||\(value)|%^^UCUM|||||F\r"
  }

  /// Sends a message in its frame, as soon as the port is there, and says what the answer's MSA says.
  private static func send(_ message: String, _ hospitals: Hospitals) throws -> String {
    let file = "\(hospitals.place.path)/frame"
    try Data([0x0B] + Array(message.utf8) + [0x1C, 0x0D]).write(to: URL(filePath: file))
    let script = """
      for try in {1..600}; do exec 3<>/dev/tcp/127.0.0.1/5555 && break; sleep 0.1; done 2>/dev/null
      cat \(file) >&3 && IFS= read -r -t 60 -d $'\\x1c' answer <&3 && printf '%s' "$answer" | tr '\\r' '\\n' | grep ^MSA
      """
    return try hospitals.place.run([], through: script).output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  @Test("What a node accepted before it was killed is there once; what waits is corrected and taken by hand")
  func killed() async throws {
    let hospitals = try Hospitals(port: 5551) { ["--listen /ip4/127.0.0.1/tcp/555\($0)"] }
    try hospitals.start(1, Self.settings)
    #expect(try Self.send(Self.result("1", "6.1"), hospitals) == "MSA|AA|1")
    hospitals.kill()
    try hospitals.start(1, Self.settings)
    #expect(try Self.send(Self.result("1", "6.1"), hospitals) == "MSA|AA|1")
    func version(_ type: String) async throws -> [String?] {
      let url = try #require(URL(string: "http://127.0.0.1:5556/fhir/\(type)"))
      let found = try JSONSerialization.jsonObject(with: try await URLSession.shared.data(from: url).0)
      let entries = (found as? [String: Any])?["entry"] as? [[String: Any]] ?? []
      return entries.map { (($0["resource"] as? [String: Any])?["meta"] as? [String: Any])?["versionId"] as? String }
    }
    for type in ["Patient", "DiagnosticReport", "Observation"] { #expect(try await version(type) == ["1"], "\(type)") }

    let wrong = try Self.send(Self.result("2", "high"), hospitals)
    #expect(wrong == "MSA|AE|2|OBX-5: \"high\" is no number (OBX-2 says NM)")
    hospitals.kill()
    try hospitals.start(1, Self.settings)
    #expect(try Self.send(Self.result("2", "high"), hospitals) == wrong)
    let queue = try hospitals.run("hl7 queue --api h1/api.sock --output json").output
    let list = try JSONSerialization.jsonObject(with: Data(queue.utf8)) as? [[String: Any]]
    #expect(list?.count == 1 && list?.first?["place"] as? String == "OBX-5", "\(queue)")
    let id = try #require(list?.first?["id"] as? String)
    let shown = try hospitals.run("hl7 show \(id) --api h1/api.sock --out message.hl7")
    #expect(shown.status == 0, "\(shown.errors)")
    let file = "\(hospitals.place.path)/message.hl7"
    #expect(try String(contentsOfFile: file, encoding: .utf8) == Self.result("2", "high"))
    let early = try hospitals.run("hl7 replay \(id) --api h1/api.sock")
    #expect(early.status == 1 && early.errors.contains("OBX-5"), "\(early.errors)")
    try Self.result("2", "7.2").write(toFile: file, atomically: true, encoding: .utf8)
    let taken = try hospitals.run("hl7 replay \(id) --api h1/api.sock --file message.hl7")
    #expect(taken.status == 0, "\(taken.errors)")
    #expect(try await version("Observation") == ["2"])
    #expect(try hospitals.run("hl7 queue --api h1/api.sock").output.contains("Nothing."))
    #expect(try Self.send(Self.result("2", "high"), hospitals) == "MSA|AA|2")
    #expect(try hospitals.run("hl7 drop \(id) --api h1/api.sock").errors.contains("not-found"))
  }

  @Test("Settings of messages that are wrong are refused, with the setting and what is meant")
  func settings() throws {
    let hospitals = try Hospitals(port: 5561) { ["--listen /ip4/127.0.0.1/tcp/556\($0)"] }
    let cases = [
      ("hl7_host=0.0.0.0", "hl7_clients"), ("hl7_timezone=Mars/One", "time zone"), ("hl7_sources=x", "ID=APPLICATION"),
      ("hl7_sources=a=A/B a=C/D", "twice"), ("hl7_sources=a=A/B@x", "no IP address"), ("hl7_systems=MRN", "NAME=URI"),
      ("hl7_systems=A=urn:consilium:account", "whose account"), ("hl7_processing=Q", "P, T and D"),
      ("hl7_clients=none.pem", "there is no file"), ("hl7_port=70000", "65535"),
    ]
    for (setting, said) in cases {
      let all = (Self.settings + [setting]).map { "--set '\($0)'" }.joined(separator: " ")
      let result = try hospitals.run("node --config h1/node.toml \(all)")
      #expect(result.status == 78 && result.errors.contains(said), "\(setting): \(result.errors)")
    }
    let alone = try hospitals.run("node --config h1/node.toml --set hl7_sources=a=A/B")
    #expect(alone.status == 78 && alone.errors.contains("hl7_port is missing"), "\(alone.errors)")
  }
}
