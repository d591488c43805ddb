internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization
internal import Telemetry

/// Looks a node over. ⚑ It opens no store and takes no lock: a node that runs beside it, or starts, notices nothing.
struct Doctor {
  /// How long the node has for an answer, in seconds.
  private static let answerSecondsMax: Int64 = 5

  let path: String
  let config: NodeConfig
  /// Nil where it cannot be read.
  var genesis: Genesis?
  /// The process that has the data folder; nil where none has.
  let holder: Int32?
  /// What the node says of itself; nil where it does not answer.
  var status: NodeStatus?
  var peers: [PeerStatus] = []
  var findings: [Finding] = []

  /// Milliseconds since 1970.
  static let now: @Sendable () -> UInt64 = { UInt64(max(0, Date().timeIntervalSince1970 * 1000)) }

  /// All that there is to say of the node of a configuration.
  static func look(_ path: String, overrides: [String]) async -> [Finding] {
    do {
      let config = try NodeConfig(path: path, overrides: overrides)
      var doctor = Doctor(path: path, config: config, holder: FolderLock.holder(of: config.data))
      doctor.findings.append(.ok(.configuration, "\(path) is understood"))
      await doctor.ask()
      doctor.readGenesis()
      doctor.lookAtPermissions()
      doctor.lookAtKeys()
      doctor.lookAtStores()
      doctor.lookAtClock()
      await doctor.lookAtDisk()
      await doctor.lookAtPorts()
      doctor.lookAtCertificate()
      await doctor.lookAtMembers()
      doctor.lookAtVersions()
      doctor.lookAtCustody()
      return doctor.findings
    } catch { return [.fault(.configuration, error)] }
  }

  /// Whether a node runs on the data folder.
  var isRunning: Bool { self.holder != nil }

  /// Asks the node what it says of itself.
  private mutating func ask() async {
    let client = NodeClient(socket: self.config.api)
    func answer<T: Decodable>(_ path: String, as type: T.Type) async throws -> T {
      let bytes = try await client.send(.GET, path, timeout: .seconds(Self.answerSecondsMax), bytesMax: 4 << 20)
      return try JSONDecoder().decode(T.self, from: Data(bytes))
    }
    do {
      let status = try await answer("/v1/status", as: NodeStatus.self)
      self.status = status
      self.peers = try await answer("/v1/peers", as: [PeerStatus].self)
      self.tell(status)
    } catch {
      guard let holder else {
        return self.findings.append(.note(.node, "no node runs on \(self.config.data)"))
      }
      let why = (error as? Failure).map { "\($0.what): \($0.why)" } ?? "its answer is not understood: \(error)"
      self.findings.append(
        .fault(
          .node, "process \(holder) has the data folder, and \(why)",
          "where it just started or another command works on the folder, wait; else see the log, and start the node "
            + "again", ExitStatus.unavailable))
    }
  }

  private mutating func tell(_ status: NodeStatus) {
    let troubles = status.troubles
    for trouble in troubles {
      self.findings.append(
        .fault(.node, trouble, "see the runbooks in the handbook: Operations, section 6", ExitStatus.unavailable))
    }
    if let trouble = status.fhirTrouble {
      self.findings.append(
        .fault(.node, trouble, "see the runbooks in the handbook: Operations, section 6", ExitStatus.configuration))
    }
    for notice in status.notices ?? [] {
      self.findings.append(.warning(.node, notice, "follow the notice; Operations, section 6, has the steps"))
    }
    guard troubles.isEmpty else { return }
    self.findings.append(
      .ok(.node, "member \(status.member) runs as \(status.role), at height \(status.height), in view \(status.view)"))
  }

  private mutating func readGenesis() {
    do { self.genesis = try GenesisFile.read(self.config.genesis) } catch {
      self.findings.append(.fault(.configuration, error))
    }
  }

  private mutating func lookAtCertificate() {
    guard let (chain, _) = self.config.certificate else {
      return self.findings.append(.note(.certificate, "none is configured: FHIR and pages speak no TLS"))
    }
    let taken = Taken()
    let certificate = self.config.serverCertificate(now: Self.now) { news in
      if case .taken(let end) = news { taken.set(until: end) }
    }
    guard let certificate else {
      return self.findings.append(.note(.certificate, "\(chain) serves nothing: there is no fhir_port or portal_port"))
    }
    if let trouble = certificate.trouble {
      self.findings.append(
        .fault(
          .certificate, "\(trouble): FHIR and pages open with no such certificate",
          "correct tls_certificate and tls_key; a node that runs takes them within seconds",
          ExitStatus.configuration))
    } else if let notice = certificate.notice {
      self.findings.append(.warning(.certificate, notice, "get a new certificate, and put both files in place"))
    } else if let until = taken.until {
      let days = max(0, until - Int(clamping: Self.now() / 1000)) / 86_400
      self.findings.append(.ok(.certificate, "\(chain) and its key fit, for \(days) days more"))
    }
  }

  private mutating func lookAtVersions() {
    let own = ProgramVersion.current
    guard let status else {
      return self.findings.append(
        .ok(.versions, "this program is \(own) and knows the ledger's rules up to version \(AgreedRules.newest)"))
    }
    if let running = status.version, running != own {
      self.findings.append(
        .warning(.versions, "the node is \(running), and this program is \(own)", "restart the node, to run this one"))
    }
    guard let rules = status.rules else {
      return self.findings.append(.note(.versions, "the node's program does not tell which rules it knows"))
    }
    if let trouble = rules.trouble {
      self.findings.append(
        .fault(.versions, trouble, "install the newest program and start it", ExitStatus.configuration))
    }
    let old = (rules.members ?? []).filter { ($0.newest ?? .max) < rules.version }
    for member in old {
      self.findings.append(
        .warning(
          .versions,
          "the program of \(member.name) (member \(member.member)) does not know version \(rules.version) "
            + "of the rules", "ask that hospital to install the newest program"))
    }
    self.findings.append(
      .ok(.versions, "program \(own), rules version \(rules.version); it knows up to \(rules.newest)"))
  }

  private mutating func lookAtCustody() {
    guard let custody = self.status?.custody else {
      return self.findings.append(.note(.custody, "only a node that runs tells where the custody key stands"))
    }
    if custody.isShareLost {
      self.findings.append(
        .fault(
          .custody, "this hospital should hold a share of the custody key, and \(self.config.keys).custody has none",
          "once all nodes run: consilium custody refresh --registrar registrar.key",
          ExitStatus.configuration))
    }
    self.findings.append(
      custody.phase == "active"
        ? .ok(.custody, custody.summary) : .note(.custody, custody.summary))
  }
}

/// Until when a certificate is good that was taken, in seconds since 1970.
private final class Taken: Sendable {
  private let state = Mutex<Int?>(nil)
  var until: Int? { self.state.withLock { $0 } }
  func set(until: Int) { self.state.withLock { $0 = until } }
}
