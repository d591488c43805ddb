// Goal: what a hospital keeps is copied while its node is written to, and comes up on another machine; no copy lets a
// key vote twice. Method: four nodes of the built `consilium`, a client that writes all the while, a machine that goes.
import Foundation
import Testing

@Suite("Backup", .serialized, .oneAtATime)
struct BackupTests {
  /// A hospital's EHR, which writes patients one after another until it is told to stop.
  private final class Writer {
    private let process = Process()
    private let path: String

    init(_ path: String, port: Int) throws {
      self.path = path
      self.process.executableURL = URL(filePath: "/bin/bash")
      self.process.arguments = [
        "-c",
        """
        cd \(path); n=0; : > written
        while [ ! -e stop ]; do
          printf '{"resourceType":"Patient","id":"w%s","name":[{"family":"Doe"}]}' $n > w.json
          code=$(curl -s -m 60 --retry 30 --retry-connrefused -o w.out -w '%{http_code}' -X PUT --data-binary @w.json \
            -H 'Content-Type: application/fhir+json' http://127.0.0.1:\(port)/fhir/Patient/w$n)
          [ "$code" = 201 ] && echo w$n >> written
          n=$((n + 1))
        done
        """,
      ]
      self.process.standardOutput = FileHandle.nullDevice
      self.process.standardError = FileHandle.nullDevice
      try self.process.run()
    }

    /// What was acknowledged so far.
    var written: [String] {
      ((try? String(contentsOfFile: self.path + "/written", encoding: .utf8)) ?? "").split(separator: "\n").map(
        String.init)
    }

    func end() throws {
      try "".write(toFile: self.path + "/stop", atomically: true, encoding: .utf8)
      self.process.waitUntilExit()
    }

    deinit { if self.process.isRunning { self.process.terminate() } }
  }

  @Test("A node that is written to is copied; its hospital comes back on another machine under new keys, and only so")
  func comesBack() throws {
    let hospitals = try Hospitals(port: 5491) { ["--listen /ip4/127.0.0.1/tcp/\(5490 + $0)"] }
    let (path, files) = (hospitals.place.path, FileManager.default)
    try hospitals.start(1, ["fhir_port=5498"])
    for number in 2...4 { try hospitals.start(number) }
    #expect(try hospitals.peers(of: 1, until: 3) == 3, "\(hospitals.errors(1))")
    let writer = try Writer(path, port: 5498)
    // Looking takes a moment; so does a write.
    for _ in 0..<600 where writer.written.count < 5 { _ = try hospitals.peers(of: 1, until: 3) }
    let before = writer.written
    #expect(before.count >= 5, "\(hospitals.errors(1)) \(hospitals.log(1).suffix(2000))")
    let made = try hospitals.run("backup new --config h1/node.toml --to b1 --output json")
    #expect(made.status == 0, "\(made.output) \(made.errors)")
    let count = writer.written.count
    for _ in 0..<600 where writer.written.count == count { _ = try hospitals.peers(of: 1, until: 3) }
    #expect(writer.written.count > count, "the node goes on")
    try writer.end()
    let names = try #require(files.enumerator(atPath: path + "/b1")).compactMap { $0 as? String }
    let stores = ["fhir", "readings", "vault", "ledger"].flatMap { [$0, "\($0)/data.mdb"] }
    let wanted = stores + ["fhir/keys", "vault/keys", "backup.json", "genesis.json", "member.json", "node.toml"]
    #expect(Set(names) == Set(wanted), "\(names)")
    let again = try hospitals.run("backup new --config h1/node.toml --to b1")
    #expect(again.status == 65 && again.errors.contains("is not empty"), "\(again.errors)")
    #expect(Set(try #require(files.enumerator(atPath: path + "/b1")).compactMap { $0 as? String }) == Set(wanted))
    let whole = try hospitals.run("backup verify b1")
    #expect(whole.status == 0 && whole.output.contains("node.key.seal"), "\(whole.output) \(whole.errors)")
    #expect(Set(try #require(files.enumerator(atPath: path + "/b1")).compactMap { $0 as? String }) == Set(wanted))
    try self.damage(hospitals)
    try self.link(hospitals)

    // The machine is gone, but for the key that was kept apart.
    hospitals.stop()
    for file in ["node.key", "member.json", "genesis.json", "node.toml"] {
      try files.createDirectory(atPath: path + "/kept", withIntermediateDirectories: true)
      try files.copyItem(atPath: "\(path)/h1/\(file)", toPath: "\(path)/kept/\(file)")
    }
    try files.removeItem(atPath: path + "/h1/data")
    let forked = try hospitals.run("restore b1 --config kept/node.toml")
    #expect(forked.status == 78 && forked.errors.contains("make new keys"), "\(forked.errors)")
    #expect(!files.fileExists(atPath: path + "/kept/data/fhir"))
    for number in 2...4 { try hospitals.start(number) }
    #expect(try hospitals.peers(of: 2, until: 2) == 2, "\(hospitals.errors(2))")
    try self.comeBack(hospitals, before)
  }

  /// What is not as it was written is named, and not put back; a backup that did not come to its end is none.
  private func damage(_ hospitals: Hospitals) throws {
    let (path, files) = (hospitals.place.path, FileManager.default)
    try files.copyItem(atPath: path + "/b1", toPath: path + "/b2")
    let file = path + "/b2/fhir/data.mdb"
    var bytes = try Data(contentsOf: URL(filePath: file))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(filePath: file))
    let rotten = try hospitals.run("backup verify b2")
    #expect(rotten.status == 1 && rotten.errors.contains("fhir/data.mdb is not what was written"), "\(rotten.errors)")
    try files.removeItem(atPath: path + "/b2/backup.json")
    let part = try hospitals.run("backup verify b2")
    #expect(part.status == 66 && part.errors.contains("did not come to its end"), "\(part.errors)")
    let hostile = #"{"path":"../../node.key","size":1,"sha256":""}"#
    let manifest = try String(contentsOfFile: path + "/b1/backup.json", encoding: .utf8)
      .replacing("\"files\" : [", with: "\"files\" : [\(hostile),")
    try manifest.write(toFile: path + "/b2/backup.json", atomically: true, encoding: .utf8)
    let outside = try hospitals.run("backup verify b2")
    #expect(outside.status == 65 && outside.errors.contains("names files that no backup has"), "\(outside.errors)")
  }

  /// Anchors a patient after the backup: what the ledger has of it, no copy of the store has.
  private func link(_ hospitals: Hospitals) throws {
    let path = hospitals.place.path
    #expect(try hospitals.run("keys new patient --out late.key --passphrase-file word").status == 0)
    let registered = try hospitals.run(
      "account register late.key --registrar h1/registrar.key --api h1/api.sock --genesis genesis.json "
        + "--passphrase-file word --output json")
    let told = try JSONSerialization.jsonObject(with: Data(registered.output.utf8)) as? [String: Any]
    let account = try #require(told?["account"] as? String, "\(registered.output) \(registered.errors)")
    let patient = """
      {"resourceType":"Patient","id":"late","identifier":[{"system":"urn:consilium:account","value":"\(account)"}]}
      """
    try patient.write(toFile: path + "/late.json", atomically: true, encoding: .utf8)
    let written = try hospitals.place.run(
      [],
      through: "cd \(path) && curl -s -m 60 -D - -o /dev/null -X PUT --data-binary @late.json "
        + "-H 'Content-Type: application/fhir+json' http://127.0.0.1:5498/fhir/Patient/late"
    ).output.lowercased()
    #expect(written.contains(" 201"), "\(written)")
    #expect(written.contains(/x-consilium-record: [0-9a-f]{64}/), "\(written)")
  }

  private func comeBack(_ hospitals: Hospitals, _ before: [String]) throws {
    let path = hospitals.place.path
    func done(_ line: String) throws {
      let result = try hospitals.run(line)
      #expect(result.status == 0, "\(line): \(result.output) \(result.errors)")
    }
    try done("init h5 --member 1 --name H1 --listen /ip4/127.0.0.1/tcp/5495 --passphrase-file word")
    try FileManager.default.copyItem(atPath: path + "/b1/genesis.json", toPath: path + "/h5/genesis.json")
    let restored = try hospitals.run("restore b1 --config h5/node.toml")
    #expect(restored.status == 0 && restored.output.contains("fhir rekey"), "\(restored.output) \(restored.errors)")
    #expect(!FileManager.default.fileExists(atPath: path + "/h5/data/ledger/data.mdb"))
    let twice = try hospitals.run("restore b1 --config h5/node.toml")
    #expect(twice.status == 65 && twice.errors.contains("already"), "\(twice.errors)")
    try done("fhir rekey --config h5/node.toml --old-key kept/node.key --accept-loss")
    try done("member propose replace h5/member.json --out change.json --api h2/api.sock --genesis genesis.json")
    for number in 2...4 {
      try done(
        "member approve change.json --registrar h\(number)/registrar.key --out h\(number).approval.json "
          + "--passphrase-file word")
    }
    let approvals = (2...4).map { "h\($0).approval.json" }.joined(separator: " ")
    try done("member submit change.json \(approvals) --api h2/api.sock --genesis genesis.json")
    try hospitals.start(5, ["fhir_port=5499"])
    #expect(try hospitals.peers(of: 5, until: 3) == 3, "\(hospitals.errors(5))")
    // It follows at first, and votes once its configuration begins and a quorum has said what it holds of its lane.
    var status = ""
    for _ in 0..<600 where !(status.contains("\"votes\" : true") && status.contains("\"lane\" : \"open\"")) {
      status = try hospitals.run("status --api h5/api.sock --output json").output
    }
    #expect(status.contains("\"votes\" : true"), "\(status)")
    // ⚑ Until the ledger was asked what it has of the loss, nothing older passes for the last: the command once more.
    #expect(try self.patient(before[0], hospitals) == "503")
    // Given too early it changes nothing; the node says when it has what it takes.
    var notices = ""
    for _ in 0..<600 where !notices.contains("has its ledger and vault now") {
      notices = try hospitals.run("status --api h5/api.sock").output
    }
    #expect(notices.contains("has its ledger and vault now"), "\(notices)")
    #expect(notices.contains("--old-key kept/node.key --accept-loss"), "\(notices)")
    hospitals.stop()
    // ⚑ The keys of today alone do not tell what was written before them: nothing is opened for that.
    let half = try hospitals.run("fhir accept-loss --config h5/node.toml --store fhir")
    #expect(half.status == 0 && half.output.contains("sealed for a node.key"), "\(half.output) \(half.errors)")
    #expect(half.output.contains("fhir rekey --config h5/node.toml --old-key OLD/node.key --accept-loss"))
    #expect(FileManager.default.fileExists(atPath: path + "/h5/node.key.fhir.uncompared"))
    let compared = try hospitals.run("fhir rekey --config h5/node.toml --old-key kept/node.key --accept-loss")
    #expect(compared.status == 0, "\(compared.output) \(compared.errors)")
    #expect(compared.output.contains("it goes up to number"), "\(compared.output)")
    #expect(compared.output.contains("Patient/late"), "\(compared.output)")
    for number in 2...4 { try hospitals.start(number) }
    try hospitals.start(5, ["fhir_port=5499"])
    #expect(try hospitals.peers(of: 5, until: 3) == 3, "\(hospitals.errors(5))")
    for id in before { #expect(try self.patient(id, hospitals) == "200", "\(id)") }
    // It writes on the ledger again.
    try done("keys new patient --out p.key --passphrase-file word")
    let access = "--api h5/api.sock --genesis genesis.json --passphrase-file word"
    try done("account register p.key --registrar h5/registrar.key \(access)")
  }

  /// The status of an answer for a patient; until it listens, it is asked again.
  private func patient(_ id: String, _ hospitals: Hospitals) throws -> String {
    try hospitals.place.run(
      [],
      through: "for try in $(seq 3000); do curl -s -m 60 -o /dev/null http://127.0.0.1:5499/ && break; done; "
        + "curl -s -m 60 -o /dev/null -w '%{http_code}' http://127.0.0.1:5499/fhir/Patient/\(id)"
    ).output
  }
}
