// Goal: `consilium doctor` finds what is wrong with a node and its machine, with what to do, while the node runs and
// while it is stopped, and changes nothing. Method: the built `consilium`, on folders with planted faults.
import Foundation
import Testing

@Suite("Doctor", .serialized, .oneAtATime)
struct DoctorTests {
  private struct Report: Decodable {
    struct Finding: Decodable {
      let check: String
      let level: String
      let text: String
      let remedy: String?
      let exitCode: Int32
    }
    let worst: String
    let exitCode: Int32
    let findings: [Finding]

    /// The findings of a check and level that have these words.
    func has(_ check: String, _ level: String, _ words: String = "") -> Bool {
      self.findings.contains { $0.check == check && $0.level == level && (words.isEmpty || $0.text.contains(words)) }
    }
  }

  private func look(_ hospitals: Hospitals, _ line: String = "--config h1/node.toml") throws -> Report {
    let said = try hospitals.run("doctor \(line) --output json")
    let report = try JSONDecoder().decode(Report.self, from: Data(said.output.utf8))
    #expect(report.exitCode == said.status, "\(said)")
    for finding in report.findings {
      let isAmiss = ["warning", "fault"].contains(finding.level)
      #expect(isAmiss == (finding.remedy != nil) && isAmiss == (finding.exitCode != 0), "\(finding)")
    }
    return report
  }

  /// All files of a folder, with what tells that one was changed.
  private func files(_ hospitals: Hospitals) throws -> String {
    try hospitals.place.run(
      [], through: "cd \(hospitals.place.path)/h1 && find . -printf '%p %s %m %T@\\n' | sort"
    ).output
  }

  @Test("Before its first start a node's folder is in order, members that are down are told, and nothing is made")
  func stopped() throws {
    let hospitals = try Hospitals(port: 6321) { ["--listen /ip4/127.0.0.1/tcp/\(6320 + $0)"] }
    let before = try self.files(hospitals)
    let report = try self.look(hospitals)
    #expect(report.has("node", "note", "no node runs") && report.has("ports", "ok", "6321 is free"), "\(report)")
    for check in ["configuration", "permissions", "keys", "stores", "clock", "versions"] {
      #expect(report.has(check, "ok"), "\(check): \(report)")
    }
    #expect(report.has("disk", "ok", "MiB are free") && report.has("certificate", "note"), "\(report)")
    #expect(report.findings.contains { $0.check == "disk" && $0.text.contains("syncs took") }, "\(report)")
    for number in 2...4 { #expect(report.has("members", "warning", "H\(number) (member \(number))"), "\(report)") }
    #expect(report.has("members", "warning", "nothing listens there"), "\(report)")
    // Alone it could order nothing: that is the fault with which it ends.
    #expect(report.worst == "fault" && report.exitCode == 69 && report.has("members", "fault", "1 of 4"), "\(report)")
    // The folder in which the data folder will be was written to, and is as it was but for its own time.
    func without(_ text: String) -> [Substring] { text.split(separator: "\n").filter { !$0.hasPrefix(". ") } }
    #expect(try without(self.files(hospitals)) == without(before))

    let text = try hospitals.run("doctor --config h1/node.toml")
    #expect(text.status == 69 && text.output.contains("What to do: ask that hospital to start its node"), "\(text)")
    #expect(text.output.contains("1 to repair, 3 to look at."), "\(text)")
  }

  @Test("While the node runs its port is its own, what it says is told, and nothing changes")
  func running() throws {
    let hospitals = try Hospitals(port: 6331) { ["--listen /ip4/127.0.0.1/tcp/\(6330 + $0)"] }
    for number in 1...3 { try hospitals.start(number) }
    for number in 1...3 {
      #expect(try hospitals.peers(of: number, until: 2) == 2, "\(hospitals.errors(number))")
    }
    let report = try self.look(hospitals)
    #expect(report.has("ports", "ok", "6331 is this node's"), "\(report)")
    #expect(report.has("node", "ok", "member 1 runs"), "\(report)")
    for number in 2...3 {
      #expect(report.has("members", "ok", "H\(number) (member \(number)) is connected"), "\(report)")
    }
    #expect(report.has("members", "warning", "H4 (member 4) cannot be reached"), "\(report)")
    #expect(report.has("custody", "ok") || report.has("custody", "note"), "\(report)")
    #expect(report.has("versions", "ok") && report.has("stores", "ok"), "\(report)")
    #expect(try !self.files(hospitals).contains(".doctor-"))
    #expect(try hospitals.peers(of: 1, until: 2) == 2)
    hospitals.stop()
    #expect(!hospitals.log(1).contains("node.failed"), "\(hospitals.log(1))")
  }

  @Test("Rights, keys, the seal, a port, a name and a setting that are wrong are each told with what to do")
  func planted() throws {
    let hospitals = try Hospitals(port: 6341) { number in
      let name = number == 4 ? "nobody.invalid" : "localhost"
      return ["--address /dns4/\(name)/tcp/\(6340 + number) --listen /ip4/127.0.0.1/tcp/\(6340 + number)"]
    }
    let path = hospitals.place.path
    func shell(_ line: String) throws { _ = try hospitals.place.run([], through: "cd \(path) && \(line)") }
    try hospitals.start(1)
    #expect(try hospitals.peers(of: 1, until: 0) == 0, "\(hospitals.errors(1))")
    hospitals.stop()
    #expect(try self.look(hospitals).has("stores", "ok", "are there"))
    // Another program has the port.
    try hospitals.start(2, ["listen=/ip4/127.0.0.1/tcp/6341"])
    #expect(try hospitals.peers(of: 2, until: 0) == 0, "\(hospitals.errors(2))")
    try shell("mv h1/node.key.seal kept; chmod 644 h1/node.key; chmod 755 h1/data; chmod 666 h1/node.toml")
    let found = try self.look(hospitals)
    #expect(found.has("stores", "fault", "node.key.seal is gone"), "\(found)")
    #expect(found.has("permissions", "fault", "h1/node.key (mode 644)"), "\(found)")
    #expect(found.has("permissions", "warning", "h1/data") && found.has("permissions", "warning", "node.toml"))
    #expect(found.has("ports", "fault", "in use by another program"), "\(found)")
    #expect(found.has("names", "warning", "nobody.invalid"), "\(found)")
    #expect(found.has("members", "warning", "H4 (member 4) cannot be reached"), "\(found)")
    #expect(found.exitCode == 77, "\(found)")
    // Its store is gone and its seal is not; the keys are another member's.
    try shell("mv kept h1/node.key.seal; chmod 600 h1/node.key h1/node.toml; mv h1/data away")
    #expect(try self.look(hospitals).has("stores", "fault", "has voted"))
    let other = try self.look(hospitals, "--config h1/node.toml --set keys=../h3/node.key")
    #expect(other.has("keys", "fault", "is not member 1's"), "\(other)")
    let wrong = try self.look(hospitals, "--config h1/node.toml --set lissten=x")
    #expect(wrong.exitCode == 78 && wrong.has("configuration", "fault", "lissten"), "\(wrong)")
    let none = try self.look(hospitals, "--config h1/none.toml")
    #expect(none.exitCode == 66 && none.has("configuration", "fault", "no such file"), "\(none)")
  }

  @Test("A certificate is looked at as the node looks at it")
  func certificate() throws {
    let hospitals = try Hospitals(port: 6351) { ["--listen /ip4/127.0.0.1/tcp/\(6350 + $0)"] }
    let folder = hospitals.place.path
    for (name, file) in [("certificate", "chain.pem"), ("key", "key.pem"), ("encrypted", "locked.pem")] {
      let vector = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Vectors/tls/\(name).pem")
      try Data(contentsOf: vector.standardized).write(to: URL(filePath: "\(folder)/\(file)"))
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: "\(folder)/\(file)")
    }
    let line = "--config h1/node.toml --set portal_port=6358 --set tls_certificate=\(folder)/chain.pem --set tls_key="
    let right = try self.look(hospitals, line + "\(folder)/key.pem")
    #expect(right.has("certificate", "ok", "days more") && right.has("ports", "ok", "6358 is free"), "\(right)")
    let wrong = try self.look(hospitals, line + "\(folder)/locked.pem")
    #expect(wrong.has("certificate", "fault", "is encrypted"), "\(wrong)")
  }
}
