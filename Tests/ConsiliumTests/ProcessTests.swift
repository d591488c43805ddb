// Goal: the programs do what their help says on real processes, sockets and files, and end with a sentence where they
// cannot. Method: the built `consilium` run in temporary folders; assertions on what it prints and its exit code.
import Foundation
import Glibc
import Testing

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// A temporary folder with its own ports.
final class Place {
  let path = FileManager.default.temporaryDirectory.appending(path: "c-\(UUID().uuidString.prefix(8))").path()
  let port: Int

  init(port: Int) throws {
    self.port = port
    try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
  }
  deinit {
    _ = try? self.run(["devnet", "down", "--folder", self.devnet])
    try? FileManager.default.removeItem(atPath: self.path)
  }

  var devnet: String { self.path + "/net" }
  var options: [String] { ["--folder", self.devnet, "--port", "\(self.port)"] }

  /// The program beside the tests.
  static var program: String {
    let tests = URL(filePath: (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "")
    var folder = tests.deletingLastPathComponent()
    for _ in 0..<4 {
      let candidate = folder.appending(path: "consilium").path()
      if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
      folder.deleteLastPathComponent()
    }
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../.build/debug/consilium")
    return root.standardized.path()
  }

  /// A patient's bundle that comes with the project.
  static func bundle() throws -> String {
    let patients = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Scripts/patients")
    let names = try FileManager.default.contentsOfDirectory(atPath: patients.path())
    return patients.appending(path: try #require(names.first { $0.hasPrefix("Edward") })).standardized.path()
  }

  struct Result {
    let status: Int32
    let output: String
    let errors: String
  }

  @discardableResult
  func run(_ arguments: [String], through shell: String? = nil) throws -> Result {
    let process = Process()
    // What hangs is ended with all that it started, and its status, 124, then tells.
    process.executableURL = URL(filePath: "/usr/bin/timeout")
    let command = if let shell { ["/bin/bash", "-c", shell, Self.program] } else { [Self.program] }
    process.arguments = ["--kill-after=10", "240"] + command + arguments
    let (out, err) = (self.path + "/out-\(UUID().uuidString)", self.path + "/err-\(UUID().uuidString)")
    for file in [out, err] { try Data().write(to: URL(filePath: file)) }
    process.standardOutput = FileHandle(forWritingAtPath: out)
    process.standardError = FileHandle(forWritingAtPath: err)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: try String(contentsOfFile: out, encoding: .utf8),
      errors: try String(contentsOfFile: err, encoding: .utf8))
  }

  func replace(_ text: String, with other: String, in file: String) throws {
    let content = try String(contentsOfFile: file, encoding: .utf8)
    #expect(content.contains(text))
    try content.replacingOccurrences(of: text, with: other).write(toFile: file, atomically: true, encoding: .utf8)
  }

  /// What `devnet status` tells of each node, as scripts read it.
  struct View: Decodable {
    let name, role, stateDigest, logRoot: String
    let running: Bool
    let view, height, logSize: UInt64
    let peers: Int
  }

  /// Whether a node's log says something within some seconds.
  func waits(for text: String, inLogOf node: String) throws -> Bool {
    for _ in 0..<400 {
      if try String(contentsOfFile: self.devnet + "/\(node)/node.log", encoding: .utf8).contains(text) { return true }
      _ = try self.views()
    }
    return false
  }

  func views() throws -> [View] {
    let arguments = ["devnet", "status", "--output", "json"] + self.options
    let result = try self.run(arguments)
    return try JSONDecoder().decode([View].self, from: Data(result.output.utf8))
  }
}

/// A socket at a path to which nobody listens any more.
private func leaveSocket(at path: String) {
  let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
    for (place, byte) in path.utf8.prefix(target.count - 1).enumerated() { unsafe target[place] = byte }
  }
  let bound = unsafe withUnsafePointer(to: &address) { pointer in
    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
  #expect(bound == 0)
  close(descriptor)
}

@Suite("Programs", .serialized, .oneAtATime)
struct ProcessTests {
  @Test("A node that cannot be reached: what stands in its way, what to do, and the exit code")
  func unreachable() throws {
    let place = try Place(port: 5251)
    let (gone, file) = (place.path + "/gone.sock", place.path + "/notes.txt")
    leaveSocket(at: gone)
    try "notes".write(toFile: file, atomically: true, encoding: .utf8)
    let long = place.path + "/" + String(repeating: "a", count: 120) + ".sock"
    let closed = place.path + "/closed"
    try FileManager.default.createDirectory(atPath: closed, withIntermediateDirectories: true)
    leaveSocket(at: closed + "/api.sock")
    try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: closed)
    defer { try? FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: closed) }
    var cases: [(path: String, why: String, status: Int32)] = [
      (place.path + "/nosuch.sock", "there is no such file", 69), ("nosuch.sock", "there is no such file", 69),
      (file + "/api.sock", "there is no such file", 69), (gone, "no node listens to it", 69),
      (file, "it is no socket", 65), (place.path, "it is a folder", 65), (long, "at most 107", 65), ("", "empty", 65),
    ]
    // Nothing is forbidden to root.
    if geteuid() != 0 { cases.append((closed + "/api.sock", "this user may not", 77)) }
    for one in cases {
      let commands: [[String]] = [["status"], ["peers"], ["member", "list"], ["access", "cases"]]
      for command in one.path == gone || one.path == file ? commands : [commands[0]] {
        let result = try place.run(command + ["--api", one.path])
        #expect(result.status == one.status, "\(command) \(one.path): \(result.status) \(result.errors)")
        #expect(result.errors.contains(one.why), "\(command) \(one.path): \(result.errors)")
        #expect(result.errors.contains("What to do:") && result.output.isEmpty)
        for raw in ["NIO", "errno", "HTTPClientError", "connect(", "Optional"] {
          #expect(!result.errors.contains(raw), "\(result.errors)")
        }
      }
    }
  }

  @Test("The whole story holds, with hospitals killed at random instants besides")
  func story() throws {
    let place = try Place(port: 5101)
    let file = try Place.bundle()
    let result = try place.run(
      ["devnet", "demo"] + place.options + ["--fhir-port", "5301", "--portal-port", "5311"]
        + ["--kills", "5", file])
    #expect(result.status == 0, "\(result.output)\n\(result.errors)")
    #expect(result.output.contains("Every claim was checked and holds"))
  }

  @Test("The whole story holds with Raft too; every node says that it tolerates crashes only")
  func storyWithRaft() throws {
    let place = try Place(port: 5201)
    let file = try Place.bundle()
    let result = try place.run(
      ["devnet", "demo"] + place.options
        + ["--engine", "raft", "--kills", "2", "--keep", file])
    #expect(result.status == 0, "\(result.output)\n\(result.errors)")
    #expect(result.output.contains("Every claim was checked and holds"))
    let log = try place.run(["devnet", "logs"] + place.options + ["--level", "warn"]).output
    #expect(log.contains("this engine tolerates crashes, not lies"))
    #expect(try place.run(["devnet", "reset"] + place.options).status == 0)
  }

  @Test("A devnet comes up with patients in it, whose doors and words it names; a clinician asks for what it lists")
  func upWithPatients() throws {
    let place = try Place(port: 5261)
    let file = try Place.bundle()
    let without = try place.run(["devnet", "up"] + place.options + [file])
    #expect(without.status != 0 && without.errors.contains("--fhir-port"))
    let ports = ["--fhir-port", "5321", "--portal-port", "5331"]
    let up = try place.run(["devnet", "up"] + place.options + ports + [file])
    #expect(up.status == 0, "\(up.errors)")
    #expect(up.output.contains("http://127.0.0.1:5331/") && up.output.contains("http://127.0.0.1:5324/fhir"))
    let row = try #require(up.output.split(separator: "\n").first { $0.contains("Edward") })
    let account = try #require(row.split(separator: " ").first { $0.count == 64 })
    let words = try #require(row.split(separator: " ").last)
    #expect(try String(contentsOfFile: String(words), encoding: .utf8).split(separator: " ").count == 24)
    let second = place.devnet + "/h2"
    let node = ["--api", second + "/api.sock", "--genesis", place.devnet + "/genesis.json"]
    let listed = try place.run(["record", "list", String(account), "--output", "json"] + node)
    let records = try JSONSerialization.jsonObject(with: Data(listed.output.utf8)) as? [[String: Any]]
    let record = try #require(records?.first?["record"] as? String)
    let asked = try place.run(
      ["access", "request", second + "/clinician.key", "--patient", String(account), "--record", record, "--purpose"]
        + ["TREAT", "--passphrase-file", place.devnet + "/passphrase"] + node)
    #expect(asked.status == 1 && (asked.output + asked.errors).contains("no consent covers this"))
    // At another hospital's node the practitioner is told whose they are, and of nothing else.
    let passphrase = ["--passphrase-file", place.devnet + "/passphrase"]
    let elsewhere = ["--api", place.devnet + "/h1/api.sock", "--genesis", place.devnet + "/genesis.json"]
    let open = ["session", "open", second + "/clinician.key"] + passphrase
    let wrong = try place.run(open + elsewhere)
    #expect(wrong.status == 1, "\(wrong.errors)")
    for words in ["belongs to hospital 2 (", "this node is hospital 1's (", "at a node of hospital 2"] {
      #expect(wrong.errors.contains(words), "\(wrong.errors)")
    }
    let long = try place.run(open + ["--hours", "17"] + node)
    #expect(long.status == 65 && long.errors.contains("1 to 16"), "\(long.errors)")
    #expect(try place.run(open + ["--hours", "16"] + node).status == 0)
    let again = try place.run(["devnet", "up"] + place.options + ports + [file])
    #expect(again.status == 0 && again.output.contains(account))
    #expect(try place.run(["devnet", "reset"] + place.options).status == 0)
  }

  @Test("A devnet goes up, tells its status in JSON, goes down, and comes up again with the same history")
  func upAndDown() throws {
    let place = try Place(port: 5111)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    let before = try place.views()
    #expect(before.count == 4)
    #expect(before.allSatisfy { $0.running && $0.peers == 3 })
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    #expect(try place.views().allSatisfy { !$0.running })
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    #expect(try place.views().map(\.stateDigest) == before.map(\.stateDigest))
    #expect(try place.run(["devnet", "reset"] + place.options).status == 0)
    #expect(!FileManager.default.fileExists(atPath: place.devnet))
  }

  @Test("An EHR writes FHIR to its hospital's node: stored encrypted, anchored once the patient is linked, kept")
  func fhir() async throws {
    let place = try Place(port: 5211)
    let port = ["--fhir-port", "5221"]
    #expect(try place.run(["devnet", "up"] + place.options + port).status == 0)
    let base = "http://127.0.0.1:5221/fhir"
    func send(_ method: String, _ path: String, _ body: Data? = nil) async throws -> (HTTPURLResponse, Data) {
      var request = URLRequest(url: try #require(URL(string: base + path)))
      (request.httpMethod, request.httpBody) = (method, body)
      let (data, response) = try await URLSession.shared.data(for: request)
      return (try #require(response as? HTTPURLResponse), data)
    }
    let file = try Place.bundle()
    let bundle = try Data(contentsOf: URL(filePath: file))
    #expect(try await send("POST", "", bundle).0.statusCode == 200)
    let found = try JSONSerialization.jsonObject(with: try await send("GET", "/Patient").1) as? [String: Any]
    let entry = try #require((found?["entry"] as? [[String: Any]])?.first)
    var patient = try #require(entry["resource"] as? [String: Any])
    let id = try #require(patient["id"] as? String)
    let h1 = place.devnet + "/h1"
    let access = ["--api", h1 + "/api.sock", "--genesis", place.devnet + "/genesis.json"]
    let passphrase = ["--passphrase-file", place.devnet + "/passphrase"]
    let key = place.devnet + "/patient.key"
    #expect(try place.run(["keys", "new", "patient", "--out", key] + passphrase).status == 0)
    let registered = try place.run(
      ["account", "register", key, "--registrar", h1 + "/registrar.key", "--output", "json"] + access + passphrase)
    let told = try JSONSerialization.jsonObject(with: Data(registered.output.utf8)) as? [String: Any]
    #expect(told?["applied"] as? Bool == true, "\(registered.output)")
    // What is told to people is told to scripts.
    let account = try #require(told?["account"] as? String)
    let twice = try place.run(
      ["account", "register", key, "--registrar", h1 + "/registrar.key", "--output", "json"] + access + passphrase)
    #expect(twice.status == 1 && !twice.output.contains("\"account\""), "\(twice.output)")
    patient["identifier"] = [["system": "urn:consilium:account", "value": String(account)]]
    let linked = try await send("PUT", "/Patient/\(id)", try JSONSerialization.data(withJSONObject: patient)).0
    #expect(linked.statusCode == 200)
    let record = try #require(linked.value(forHTTPHeaderField: "X-Consilium-Record"))
    #expect(record.count == 64)
    var stranger = URLRequest(url: try #require(URL(string: base + "/Patient")))
    stranger.setValue("https://elsewhere.example", forHTTPHeaderField: "Origin")
    let refused = try #require(try await URLSession.shared.data(for: stranger).1 as? HTTPURLResponse)
    #expect(refused.statusCode == 403, "another site's page asks in the user's browser")
    for view in ["Consent", "AuditEvent"] {
      #expect(try await send("GET", "/\(view)?patient=\(id)").0.statusCode == 200)
      #expect(try await send("GET", "/\(view)").0.statusCode == 400, "of whom?")
    }
    let observations = "/Observation?patient=\(id)&_count=1"
    let before = try Self.found(try await send("GET", observations).1)
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    let kept = try Data(contentsOf: URL(filePath: h1 + "/data/fhir/data.mdb"))
    #expect(kept.range(of: Data("Gulgowski".utf8)) == nil, "no name stands in the file")
    #expect(try place.run(["devnet", "up"] + place.options + port).status == 0)
    #expect(try Self.found(try await send("GET", observations).1) == before)
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    try self.lost(h1, place, record)
    // What the store lost, and the ledger has, is superseded by what the EHR writes again.
    #expect(try place.run(["devnet", "up"] + place.options + port).status == 0)
    let again = try await send("PUT", "/Patient/\(id)", try JSONSerialization.data(withJSONObject: patient)).0
    #expect(again.statusCode == 201 && again.value(forHTTPHeaderField: "X-Consilium-Record")?.count == 64)
    let listed = try place.run(["record", "list", account, "--output", "json"] + access)
    let records = try JSONSerialization.jsonObject(with: Data(listed.output.utf8)) as? [[String: Any]]
    let current = records?.filter { $0["category"] as? String == "demographics" && $0["supersededBy"] == nil } ?? []
    #expect(current.map { $0["record"] as? String } == [again.value(forHTTPHeaderField: "X-Consilium-Record")])
    let noted = try place.run(["access", "readings", account, "--reader", "system"] + access)
    #expect(noted.status == 0 && noted.output.contains("MedicationRequest"), "\(noted.output)")
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    try self.emptied(h1, place)
    #expect(try place.run(["devnet", "up"] + place.options + port).status == 0)
    let empty = try place.run(["status", "--api", h1 + "/api.sock"])
    #expect(empty.output.contains("is empty, and the ledger has records"), "\(empty.output)")
    let ready = try place.run(
      [], through: "curl -sf --retry 60 --retry-delay 1 --unix-socket \(h1)/api.sock http://n/readyz")
    #expect(ready.output.hasPrefix("ready\nnotice: "), "\(ready.output)")
    #expect(try String(contentsOfFile: h1 + "/node.log", encoding: .utf8).contains("fhir.empty"))
    let others = try place.run(["status", "--api", place.devnet + "/h2/api.sock"])
    #expect(!others.output.contains("notice"), "a hospital that anchored nothing: \(others.output)")
    #expect(try place.run(["devnet", "reset"] + place.options).status == 0)
  }

  /// The EHR's store is gone, and the hospital goes on without it.
  private func lost(_ h1: String, _ place: Place, _ record: String) throws {
    let accept = ["fhir", "accept-loss", "--config", h1 + "/node.toml", "--store", "fhir"]
    let whole = try place.run(accept)
    #expect(whole.status == 0 && whole.output.contains("goes with something here"), "\(whole.output) \(whole.errors)")
    try FileManager.default.removeItem(atPath: h1 + "/data/fhir")
    // What is current without it is named, and what follows from that.
    let accepted = try place.run(accept)
    #expect(accepted.status == 0 && accepted.output.contains("goes on empty"), "\(accepted.output)")
    let line = accepted.output.split(separator: "\n").first { $0.contains(record) } ?? ""
    #expect(line.contains("  Patient/") && accepted.output.contains("that supersedes the record"), "\(accepted.output)")
    #expect(!accepted.output.contains("further record"), "\(accepted.output)")
  }

  /// Nothing on the machine tells any more that there was an EHR's store: neither mark nor seal.
  private func emptied(_ h1: String, _ place: Place) throws {
    for lost in ["data/fhir", "data/fhir.mark", "node.key.fhir"] {
      try FileManager.default.removeItem(atPath: "\(h1)/\(lost)")
    }
    try place.replace("fhir\n", with: "", in: h1 + "/node.key.seal")
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: h1 + "/node.key.seal")
  }

  /// What a search found, without the links to its pages: those name a state that ends with the process.
  private static func found(_ answer: Data) throws -> Data {
    var bundle = try #require(try JSONSerialization.jsonObject(with: answer) as? [String: Any])
    #expect((bundle["entry"] as? [Any])?.isEmpty == false)
    (bundle["link"], bundle["meta"]) = (nil, nil)
    return try JSONSerialization.data(withJSONObject: bundle, options: .sortedKeys)
  }

  @Test("A vault that is lost comes back from the others, without what was erased (R7, R8)")
  func vaults() throws {
    let place = try Place(port: 5231)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    let h1 = place.devnet + "/h1"
    let access = ["--api", h1 + "/api.sock", "--genesis", place.devnet + "/genesis.json"]
    let passphrase = ["--passphrase-file", place.devnet + "/passphrase"]
    let key = place.devnet + "/patient.key"
    #expect(try place.run(["keys", "new", "patient", "--out", key] + passphrase).status == 0)
    let registered = try place.run(
      ["account", "register", key, "--registrar", h1 + "/registrar.key"] + access + passphrase)
    let account = String(
      try #require(
        registered.output.split(whereSeparator: \.isWhitespace).first { $0.count == 64 && $0.allSatisfy(\.isHexDigit) })
    )
    let entries = (0..<20).map { number in
      #"{"resource":{"resourceType":"Observation","status":"final","note":[{"text":"\#(number)"}]}}"#
    }
    let bundle = #"{"resourceType":"Bundle","type":"collection","entry":[\#(entries.joined(separator: ","))]}"#
    try bundle.write(toFile: place.path + "/bundle.json", atomically: true, encoding: .utf8)
    let added = try place.run(
      ["record", "add", place.path + "/bundle.json", "--patient", account, "--output", "json"] + access + passphrase)
    struct Sealed: Decodable { let record: String }
    let records = try JSONDecoder().decode([Sealed].self, from: Data(added.output.utf8)).map(\.record)
    #expect(records.count == 20)

    for record in records.prefix(3) {
      #expect(try place.run(["record", "erase", key, record] + access + passphrase).status == 0)
    }
    // The next ones of a day wait, and are taken back.
    let late = try place.run(["record", "erase", key, records[3]] + access + passphrase)
    #expect(late.status == 0 && late.output.contains("unless it is taken back"), "\(late.output)")
    let listed = try place.run(["record", "list", account] + access)
    #expect(listed.output.contains("to be erased at"), "\(listed.output)")
    #expect(try place.run(["record", "keep", key] + access + passphrase).status == 0)
    #expect(try place.run(["record", "keep", key, records[3]] + access + passphrase).status == 1)
    try self.adoptsRules(place, access, passphrase)
    let again = ["rules", "reexecute", "--config", h1 + "/node.toml"]
    let held = try place.run(again)
    #expect(held.status == 69 && held.errors.contains("in use"), "\(held.errors)")
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    let same = try place.run(again)
    #expect(same.status == 1 && same.errors.contains("what is stored already"), "\(same.errors)")
    try FileManager.default.removeItem(atPath: h1 + "/data/vault")
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    #expect(try place.waits(for: #""fetched":17"#, inLogOf: "h1"), "what is not erased comes back, and nothing else")
    let own = try place.run(["record", "read", key, records[19]] + access + passphrase)
    #expect(own.status == 0 && own.output.contains("19"))
    let erased = try place.run(["record", "read", key, records[0]] + access + passphrase)
    #expect(erased.status == 1 && erased.errors.contains("erased"))
  }

  /// Three registrars approve that an account must be an hour old to break the glass; two do not suffice.
  private func adoptsRules(_ place: Place, _ access: [String], _ passphrase: [String]) throws {
    let rules = place.path + "/rules.json"
    let proposed = try place.run(
      ["rules", "propose", "--emergency-age-hours", "1", "--out", rules] + access)
    #expect(proposed.status == 0, "\(proposed.errors)")
    let approvals = (1...3).map { "\(place.path)/h\($0).approval.json" }
    for (index, approval) in approvals.enumerated() {
      let key = "\(place.devnet)/h\(index + 1)/registrar.key"
      let approve = ["rules", "approve", rules, "--registrar", key, "--out", approval] + passphrase
      let unknown = try place.run(approve)
      #expect(unknown.status != 0 && unknown.errors.contains("--installed"), "\(unknown.errors)")
      // By the node, which knows them, or by the registrar's word.
      let api = ["--api", "\(place.devnet)/h\(index + 1)/api.sock"]
      let approved = try place.run(approve + (index == 0 ? ["--installed"] : api))
      #expect(approved.status == 0, "\(approved.errors)")
    }
    let few = try place.run(["rules", "adopt", rules] + approvals.prefix(2) + access)
    #expect(few.status != 0 && few.errors.contains("too few approvals"), "\(few.errors)")
    let adopted = try place.run(["rules", "adopt", rules] + approvals + access)
    #expect(adopted.status == 0, "\(adopted.errors)")
    let shown = try place.run(["rules", "show", "--output", "json"] + access)
    #expect(shown.output.contains(#""emergencyAgeHours" : 1"#), "\(shown.output)")
    let again = try place.run(["rules", "adopt", rules] + approvals + access)
    #expect(again.status == 1 && again.errors.contains("out of date"), "\(again.errors)")
  }

  @Test("The portal serves its pages under a strict policy, and tells nobody anything who does not sign the question")
  func portal() async throws {
    let place = try Place(port: 5241)
    #expect(try place.run(["devnet", "up"] + place.options + ["--portal-port", "5251"]).status == 0)
    func get(_ path: String, signed: String? = nil) async throws -> (HTTPURLResponse, Data) {
      var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:5251" + path)))
      if let signed { request.setValue(signed, forHTTPHeaderField: "Authorization") }
      let (data, response) = try await URLSession.shared.data(for: request)
      return (try #require(response as? HTTPURLResponse), data)
    }
    for page in ["/", "/app.js", "/crypto.js", "/portal.css", "/nacl-fast.js"] {
      let (response, data) = try await get(page)
      #expect(response.statusCode == 200 && !data.isEmpty, "\(page)")
      let policy = response.value(forHTTPHeaderField: "Content-Security-Policy") ?? ""
      #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "\(page)")
    }
    for page in ["/Package.swift", "/..%2FGateway.swift", "/%2e%2e/%2e%2e/node.key", "/v1/status", "/fhir/Patient"] {
      #expect(try await get(page).0.statusCode == 404, "\(page)")
    }
    let h1 = place.devnet + "/h1"
    let access = ["--api", h1 + "/api.sock", "--genesis", place.devnet + "/genesis.json"]
    let passphrase = ["--passphrase-file", place.devnet + "/passphrase"]
    let keys = String(repeating: "5f", count: 32) + ":" + String(repeating: "7c", count: 32)
    for code in [keys, keys + ":" + String(repeating: "33", count: 64)] {
      let refused = try place.run(
        ["account", "register", code, "--registrar", h1 + "/registrar.key"] + access + passphrase)
      #expect(refused.status == 65 && refused.errors.contains("does not prove"), "\(refused.errors)")
    }
    let key = place.devnet + "/patient.key"
    #expect(try place.run(["keys", "new", "patient", "--out", key] + passphrase).status == 0)
    let registered = try place.run(
      ["account", "register", key, "--registrar", h1 + "/registrar.key"] + access + passphrase)
    let account = String(
      try #require(
        registered.output.split(whereSeparator: \.isWhitespace).first { $0.count == 64 && $0.allSatisfy(\.isHexDigit) })
    )
    let now = Int(Date().timeIntervalSince1970 * 1000)
    let forged = "signature=" + String(repeating: "00", count: 64)
    for path in ["records", "consents", "history", "sealed"] {
      let question = "/api/patients/\(account)/\(path)"
      for header in [nil, "Consilium", "Consilium time=\(now), \(forged)", "Consilium time=0, \(forged)"] {
        let (response, said) = try await get(question, signed: header)
        #expect(response.statusCode == 403, "\(question) \(header ?? "-"): \(String(decoding: said, as: UTF8.self))")
      }
    }
  }

  @Test("A port in use is a clear error with its own exit code")
  func portInUse() throws {
    let place = try Place(port: 5121)
    let other = try Place(port: 5121)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    let result = try other.run(["devnet", "up"] + other.options)
    #expect(result.status == 69)
    #expect(result.errors.contains("EADDRINUSE") && result.errors.contains("set another listen"))
  }

  @Test("A store that is gone or a copy of an older one is refused: its key has voted (LEDGER §10.16)")
  func restoredBackup() throws {
    let place = try Place(port: 5131)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    let (data, config) = (place.devnet + "/h1/data", place.devnet + "/h1/node.toml")
    let kept = place.path + "/kept"
    try FileManager.default.moveItem(atPath: data, toPath: kept)
    let gone = try place.run(["node", "--config", config])
    #expect(gone.status == 78)
    #expect(gone.errors.contains("an empty store has forgotten"))
    let log = try String(contentsOfFile: place.devnet + "/h1/node.log", encoding: .utf8)
    #expect(log.contains("an empty store has forgotten"), "what refuses a start is in the log")
    let seal = place.devnet + "/h1/node.key.seal"
    let number = try String(contentsOfFile: seal, encoding: .utf8)
    // ⚑ What is there and cannot be read is no seal that is missing.
    try String(repeating: "0", count: 300).write(toFile: seal, atomically: true, encoding: .utf8)
    let unread = try place.run(["node", "--config", config])
    #expect(unread.status == 78)
    #expect(
      unread.errors.contains("it has more than 256 bytes") && !FileManager.default.fileExists(atPath: data + "/ledger"))
    // The store itself goes on, also where its last start was interrupted between the seal and the store.
    try FileManager.default.copyItem(atPath: kept, toPath: data)
    try (number + "0000\n").write(toFile: seal, atomically: true, encoding: .utf8)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    // Last night's copy of the same store: older than the votes that were cast since.
    try FileManager.default.removeItem(atPath: data)
    try FileManager.default.moveItem(atPath: kept, toPath: data)
    let copy = try place.run(["node", "--config", config])
    #expect(copy.status == 78)
    #expect(copy.errors.contains("is a copy"))
    // ⚑ And where the seal did not come back with it: nobody can tell how old it is (LEDGER §11.14).
    try FileManager.default.removeItem(atPath: seal)
    let unsealed = try place.run(["node", "--config", config])
    #expect(unsealed.status == 78)
    #expect(unsealed.errors.contains("the seal of the store") && unsealed.errors.contains("propose replace"))
  }

  @Test("Secrets of custody that cannot be read are refused and stay as they are; where they are gone, that is told")
  func custodySecrets() throws {
    let place = try Place(port: 5391)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    let (file, config) = (place.devnet + "/h1/node.key.custody", place.devnet + "/h1/node.toml")
    let good = try Data(contentsOf: URL(filePath: file))
    var changed = good
    changed[changed.count - 1] ^= 1
    for bad in [Data(), good.prefix(10), changed] {
      try bad.write(to: URL(filePath: file))
      let refused = try place.run(["node", "--config", config])
      #expect(refused.status == 78)
      #expect(refused.errors.contains("cannot read") && refused.errors.contains("consilium custody refresh"))
      #expect(try Data(contentsOf: URL(filePath: file)) == bad)
    }
    try FileManager.default.removeItem(atPath: file)
    try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: false)
    #expect(try place.run(["node", "--config", config]).errors.contains("it is no file"))
    // Gone, as after a backup: the node starts, and says what to do.
    try FileManager.default.removeItem(atPath: file)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    let shown = try place.run(["custody", "show", "--api", place.devnet + "/h1/api.sock"])
    #expect(shown.output.contains("this hospital's share cannot be read: consilium custody refresh"))
    let other = try place.run(["custody", "show", "--api", place.devnet + "/h2/api.sock"])
    #expect(!other.output.contains("cannot be read"))
    #expect(try String(contentsOfFile: place.devnet + "/h1/node.log", encoding: .utf8).contains("custody.lost"))
  }

  @Test("A copy of a whole machine, its key's seal included, stops before it writes: another has what it signed since")
  func copiedMachine() throws {
    let place = try Place(port: 5341)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    let (folder, kept) = (place.devnet + "/h1", place.path + "/kept")
    for socket in ["api.sock", "node.pid"] { try? FileManager.default.removeItem(atPath: "\(folder)/\(socket)") }
    try FileManager.default.copyItem(atPath: folder, toPath: kept)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    // It signs: its registrar wants new shares of the custody key, for which every member states a key.
    let access = ["--api", folder + "/api.sock", "--genesis", place.devnet + "/genesis.json"]
    let passphrase = ["--passphrase-file", place.devnet + "/passphrase"]
    let refreshed = try place.run(
      ["custody", "refresh", "--registrar", folder + "/registrar.key"] + access + passphrase)
    #expect(refreshed.status == 0)
    let process = try #require(
      try String(contentsOfFile: folder + "/node.pid", encoding: .utf8).split(separator: "\n").first.flatMap {
        pid_t($0)
      })
    kill(process, SIGKILL)
    try FileManager.default.removeItem(atPath: folder)
    try FileManager.default.moveItem(atPath: kept, toPath: folder)
    let copy = try place.run(["node", "--config", folder + "/node.toml"])
    #expect(copy.status == 74)
    #expect(copy.errors.contains("is a copy") && copy.errors.contains("another member holds block"))
    #expect(copy.errors.contains("consilium member propose replace"))
    // ⚑ The same where only the keys came back, without store and seal (LEDGER §11.14): no lane is forked.
    for lost in ["data", "node.key.seal"] { try FileManager.default.removeItem(atPath: "\(folder)/\(lost)") }
    let empty = try place.run(["node", "--config", folder + "/node.toml"])
    #expect(empty.status == 74)
    #expect(empty.errors.contains("empty under a key that was used: another member holds block"))
    let logs = try (2...4).map { try String(contentsOfFile: place.devnet + "/h\($0)/node.log", encoding: .utf8) }
    #expect(logs.allSatisfy { !$0.contains("lane.forked") })
    #expect(try place.views().filter(\.running).count == 3)
  }

  @Test("A configuration's mistakes are told with their line and what was meant")
  func badConfiguration() throws {
    let place = try Place(port: 5141)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    let config = place.devnet + "/h1/node.toml"
    let whole = try String(contentsOfFile: config, encoding: .utf8)
    let cases = [
      ("listen = ", "lisen = ", "did you mean \"listen\""), ("member = 1", "member = 0", "a number from 1"),
      ("member = 1", "member = 9", "not member 9's"), ("log_level = \"info\"", "log_level = \"loud\"", "is none of"),
      ("log_level = \"info\"", "log_level = ", "line"), ("/ip4/127.0.0.1/tcp/", "127.0.0.1:", "/ip4/ADDRESS/tcp/PORT"),
    ]
    for (text, other, said) in cases {
      try whole.replacingOccurrences(of: text, with: other).write(toFile: config, atomically: true, encoding: .utf8)
      let result = try place.run(["node", "--config", config])
      #expect(result.status == 78, "\(other): \(result.errors)")
      #expect(result.errors.contains(said), "\(other): \(result.errors)")
    }
  }

  @Test("Keys that others can read are not used; a changed genesis is noticed; a wrong passphrase opens nothing")
  func keys() throws {
    let place = try Place(port: 5151)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    let folder = place.devnet + "/h1"
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: folder + "/node.key")
    let open = try place.run(["node", "--config", folder + "/node.toml"])
    #expect(open.status == 77 && open.errors.contains("chmod 600"))
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: folder + "/node.key")
    try place.replace(
      "\"clockDriftMilliseconds\" : 5000", with: "\"clockDriftMilliseconds\" : 9000", in: folder + "/genesis.json")
    let changed = try place.run(["node", "--config", folder + "/node.toml"])
    #expect(changed.status == 78 && changed.errors.contains("somebody changed it"))
    try "wrong".write(toFile: place.path + "/word", atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: place.path + "/word")
    let wrong = try place.run(
      ["node", "--config", place.devnet + "/h2/node.toml", "--set", "passphrase_file=\(place.path)/word"])
    #expect(wrong.status == 77 && wrong.errors.contains("the passphrase is wrong"))
  }

  @Test("A full disk stops a node with a sentence and exit code 74; nothing is lost, and it goes on when there is room")
  func fullDisk() throws {
    let place = try Place(port: 5161)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    let folder = place.devnet + "/h1"
    // No file may grow beyond 16 KiB, which the store is already.
    let full = try place.run(
      ["node", "--config", folder + "/node.toml"], through: "ulimit -f 16; exec \"$0\" \"$@\"")
    #expect(full.status == 74, "\(full.errors)")
    #expect(full.errors.contains("no room") || full.errors.contains("File too large"), "\(full.errors)")
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
  }

  @Test("Hostile bytes at the port and at the API are refused with a reason; the node goes on")
  func hostileBytes() throws {
    let place = try Place(port: 5181)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    let socket = place.devnet + "/h1/api.sock"
    let before = try place.views()
    for count in [1, 44, 100, 70_000, 5_000_000] {
      _ = try place.run(
        [], through: "(head -c \(count) /dev/urandom > /dev/tcp/127.0.0.1/\(place.port)) 2>/dev/null; true")
    }
    // The right preamble's beginning, then a length that lies.
    _ = try place.run(
      [], through: "(printf 'CONSILIU' ; head -c 200 /dev/zero) > /dev/tcp/127.0.0.1/\(place.port); true")
    func curl(_ arguments: String) throws -> String {
      try place.run([], through: "curl -s -w ' %{http_code}' --unix-socket \(socket) \(arguments)").output
    }
    let cases = [
      ("http://n/nothing", "404", "unknown-path"), ("http://n/v1/records/xyz", "400", "64 hexadecimal digits"),
      ("-X POST --data-binary @/bin/ls http://n/v1/transactions", "413", "too-large"),
      ("-X POST --data-binary abcdef http://n/v1/transactions", "400", "bad-transaction"),
      ("-X POST --data-binary abcdef http://n/v1/transactions/batch", "400", "bad-transaction"),
      (
        "-X POST --data-binary '{}' http://n/v1/patients/\(String(repeating: "0", count: 64))/records", "404",
        "not-found"
      ),
      ("-X POST --data-binary '{}' http://n/v1/releases", "400", "bad-request"),
      ("http://n/v1/proofs/999999999", "409", "not-stable-yet"),
    ]
    for (arguments, code, said) in cases {
      let answer = try curl(arguments)
      #expect(answer.hasSuffix(code) && answer.contains(said), "\(arguments): \(answer)")
    }
    let large = try place.run(
      [],
      through:
        "head -c 50000000 /dev/zero | curl -s -w ' %{http_code}' --unix-socket \(socket) -X POST --data-binary @- "
        + "http://n/v1/patients/\(String(repeating: "0", count: 64))/records")
    #expect(large.output.contains("too-large") && large.output.hasSuffix("413"), "\(large.output)")
    let after = try place.views()
    #expect(after.allSatisfy { $0.running && $0.peers == 3 })
    #expect(after.map(\.stateDigest) == before.map(\.stateDigest))
  }

  @Test("Every command has help with an example")
  func help() throws {
    let place = try Place(port: 5171)
    let commands = [
      ["init"], ["keys", "new"], ["keys", "show"], ["genesis", "new"], ["genesis", "check"], ["node"], ["devnet"],
      ["status"], ["peers"], ["account", "register"], ["record", "add"], ["consent", "grant"], ["consent", "revoke"],
      ["access", "request"], ["access", "history"], ["audit", "replay"], ["audit", "follow"], ["verify"], ["log"],
      ["explain"], ["bench", "ledger"], ["rules", "show"], ["rules", "adopt"], ["record", "keep"],
      ["hl7", "queue"], ["hl7", "show"], ["hl7", "replay"], ["hl7", "drop"],
    ]
    for command in commands {
      let result = try place.run(command + ["--help"])
      #expect(result.status == 0)
      #expect(result.output.contains("Example"), "\(command)")
    }
  }
}
