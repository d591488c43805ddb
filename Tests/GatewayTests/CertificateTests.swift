// Goal: a certificate or key that cannot be used closes the doors and says why, and nothing goes out without TLS; once
// it is right the doors open by themselves. Method: files that are wrong in one respect each, against a clock of the
// test's own, and waiting for what is to happen.
import Foundation
import Synchronization
import Testing

@testable import Gateway

@Suite("Certificates")
struct CertificateTests {
  /// The certificate is good from the first of these times to the second, for fhir.hospital.example and localhost.
  private static let times: (from: UInt64, until: UInt64) = (1_735_689_600, 4_891_363_200)

  /// A folder with both files, and what was told of them.
  private final class Bench: Sendable {
    let folder = FileManager.default.temporaryDirectory.appending(path: "tls-\(UUID().uuidString)").path()
    let told = Mutex<[String]>([])
    let seconds: Atomic<UInt64>

    var chain: String { self.folder + "/chain.pem" }
    var key: String { self.folder + "/key.pem" }

    init(seconds: UInt64 = CertificateTests.times.from + 1) throws {
      self.seconds = Atomic(seconds)
      try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
      try self.put("certificate", at: self.chain)
      try self.put("key", at: self.key)
    }

    deinit { try? FileManager.default.removeItem(atPath: self.folder) }

    func put(_ name: String, at path: String, mode: Int = 0o600) throws {
      let vector = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Vectors/tls/\(name).pem")
      try Data(contentsOf: vector.standardized).write(to: URL(filePath: path), options: .atomic)
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    func certificate(hosts: [String] = [], proxied: Set<String> = []) -> ServerCertificate {
      ServerCertificate(
        chain: self.chain, key: self.key, hosts: hosts, proxied: proxied,
        now: { self.seconds.load(ordering: .relaxed) * 1000 },
        report: { news in
          let word =
            switch news {
            case .taken: "taken"
            case .closed: "closed"
            case .refused: "refused"
            case .ending: "ending"
            }
          self.told.withLock { $0.append(word) }
        })
    }
  }

  /// What is wrong, and what is said of it.
  enum Wrong: String, CaseIterable, Sendable {
    case noCertificate, noKey, openKey, encryptedKey, otherKey, keyAsCertificate, certificateAsKey, early, over,
      otherName

    var words: String {
      switch self {
      case .noCertificate: "chain.pem cannot be read"
      case .noKey: "key.pem cannot be read"
      case .openKey: "others on this machine can read"
      case .encryptedKey: "is encrypted"
      case .otherKey: "not that of the first certificate"
      case .keyAsCertificate: "chain.pem is no chain of certificates"
      case .certificateAsKey: "key.pem holds no private key"
      case .early: "is not good yet"
      case .over: "is over"
      case .otherName: "is not records.hospital.example's"
      }
    }
  }

  private static func spoil(_ bench: Bench, _ wrong: Wrong) throws {
    switch wrong {
    case .noCertificate: try FileManager.default.removeItem(atPath: bench.chain)
    case .noKey: try FileManager.default.removeItem(atPath: bench.key)
    case .openKey: try bench.put("key", at: bench.key, mode: 0o640)
    case .encryptedKey: try bench.put("encrypted", at: bench.key)
    case .otherKey: try bench.put("other", at: bench.key)
    case .keyAsCertificate: try bench.put("key", at: bench.chain)
    case .certificateAsKey: try bench.put("certificate", at: bench.key)
    case .early: bench.seconds.store(Self.times.from - 1, ordering: .relaxed)
    case .over: bench.seconds.store(Self.times.until, ordering: .relaxed)
    case .otherName: break
    }
  }

  @Test("What cannot be used closes the doors and says why; once it is right they open", arguments: Wrong.allCases)
  func closed(_ wrong: Wrong) async throws {
    let bench = try Bench()
    try Self.spoil(bench, wrong)
    let hosts = wrong == .otherName ? ["records.hospital.example"] : ["fhir.hospital.example"]
    let certificate = bench.certificate(hosts: hosts)
    #expect(certificate.trouble?.contains(wrong.words) == true, "\(certificate.trouble ?? "it is taken")")
    #expect(bench.told.withLock { $0 } == ["closed"] && certificate.notice == nil)
    guard wrong != .otherName else { return }
    let opened = Task { _ = try await certificate.opened() }
    try bench.put("certificate", at: bench.chain)
    try bench.put("key", at: bench.key)
    bench.seconds.store(Self.times.from + 1, ordering: .relaxed)
    try await opened.value
    #expect(certificate.trouble == nil && bench.told.withLock { $0 }.last == "taken")
  }

  @Test("New files that cannot be used are told for as long as they are there, and taken once they can be")
  func renewed() async throws {
    let bench = try Bench()
    let certificate = bench.certificate()
    #expect(certificate.notice == nil)
    try bench.put("other", at: bench.key)
    while certificate.notice == nil { _ = try await certificate.opened() }
    #expect(certificate.notice?.contains("not that of the first certificate") == true, "\(certificate.notice ?? "")")
    #expect(certificate.trouble == nil && bench.told.withLock { $0 } == ["taken", "refused"])
    try bench.put("key", at: bench.key)
    while certificate.notice != nil { _ = try await certificate.opened() }
    #expect(bench.told.withLock { $0 } == ["taken", "refused", "taken"])
  }

  @Test("A proxy may take a certificate of another name; a key by a link is as open as the file that it leads to")
  func proxied() throws {
    let bench = try Bench()
    let certificate = bench.certificate(hosts: ["records.hospital.example"], proxied: ["records.hospital.example"])
    #expect(certificate.trouble == nil && bench.told.withLock { $0 } == ["taken"])
    try FileManager.default.moveItem(atPath: bench.key, toPath: bench.folder + "/private.pem")
    try FileManager.default.createSymbolicLink(atPath: bench.key, withDestinationPath: bench.folder + "/private.pem")
    #expect(bench.certificate().trouble == nil)
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: bench.folder + "/private.pem")
    #expect(bench.certificate().trouble?.contains("can read") == true)
  }

  @Test("A door whose certificate cannot be used listens to nobody, and ends when it is told to")
  func door() async throws {
    let bench = try Bench()
    try FileManager.default.removeItem(atPath: bench.key)
    let entrance = Entrance(port: 6166, certificate: bench.certificate())
    #expect(entrance.origin == "https://127.0.0.1:6166")
    let server = RefusedFHIRServer(reason: "a test", at: entrance)
    // It is left to the process's end, as every server here.
    Task { try? await server.run() }
    #expect(Connection(.port(6166)) == nil)
    try bench.put("key", at: bench.key)
    while Connection(.port(6166)) == nil { await Task.yield() }
    // ⚑ Never in the open.
    let plain = await Connection.ask(.port(6166), "GET", "/fhir/Patient")
    #expect(plain == nil)
    let waiting = try Bench()
    try FileManager.default.removeItem(atPath: waiting.chain)
    let closed = RefusedFHIRServer(reason: "a test", at: Entrance(port: 6167, certificate: waiting.certificate()))
    let other = Task { try await closed.run() }
    other.cancel()
    await #expect(throws: CancellationError.self) { try await other.value }
  }
}
