internal import ArgumentParser
internal import Dispatch
internal import Discovery
internal import Driver
internal import EventLoop
internal import FHIR
internal import Foundation
internal import Gateway
internal import Messages
internal import NodeCore
internal import Primitives
internal import Signing
internal import Storage
internal import Telemetry
internal import TOMLKit

/// A node's configuration file.
struct NodeConfig {
  var genesis = "genesis.json"
  var description = "member.json"
  var observers: Set<PublicKey> = []
  var member: UInt32 = 0
  var keys = "node.key"
  var data = "data"
  var listen = ""
  var api = "api.sock"
  var fhirPort: Int?
  var isTokenRequired = false
  var apps: [SMARTClient] = []
  var portalHost = "127.0.0.1"
  var portalPort: Int?
  var logLevel = EventLevel.info
  var logFormat = LogFormat.json
  var logFile: String?
  var passphraseFile: String?
  var mapSizeMax = 1 << 40
  var workers = 4
  var snapshotInterval = 65_536

  static let keys = [
    "api", "data", "description", "fhir_port", "fhir_token_required", "genesis", "keys", "listen", "log_file",
    "log_format", "log_level",
    "map_size_max_gib",
    "member", "observers", "passphrase_file", "portal_host", "portal_port", "smart_clients", "snapshot_interval",
    "workers",
  ]

  static func template(member: UInt32, listen: String, passphraseFile: String?) -> String {
    """
    # A Consilium node. Paths are relative to this file. Every key can be overridden: consilium node --set key=value

    # What the members agreed on.
    genesis = "genesis.json"
    # Which member this is.
    member = \(member)
    # The member's public description, as consilium init made it.
    description = "member.json"
    # Who may follow the ledger without being a member: member keys, apart by spaces. Whoever is about to join need not
    # be named.
    # observers = ""
    # The member's encrypted keys, and the file with their passphrase (0600); without it the node asks.
    keys = "node.key"
    \(passphraseFile.map { "passphrase_file = \"\($0)\"" } ?? "# passphrase_file = \"passphrase\"")
    # The ledger and the vault.
    data = "data"
    # Where members connect.
    listen = "\(listen)"
    # The API's Unix socket, for this user only.
    api = "api.sock"
    # FHIR R4 for this hospital's own EHR, at http://127.0.0.1:PORT/fhir; off where there is no port. Whoever may open
    # connections on this machine may use it.
    # fhir_port = 8080
    # Apps that practitioners may let in by SMART App Launch, as ID=RETURN-URL, apart by spaces; it needs both ports.
    # smart_clients = "growth-chart=http://127.0.0.1:9000/callback"
    # Whether FHIR is for whoever has a practitioner's token only.
    # fhir_token_required = false
    # The patients' pages, at http://HOST:PORT/; off where there is no port. Browsers make keys only for pages from this
    # machine or over HTTPS: for others put a TLS proxy before it.
    # portal_port = 8443
    # portal_host = "127.0.0.1"
    # trace, debug, info, audit, warn or error; json or text; a file, or standard error where there is none.
    log_level = "info"
    log_format = "json"
    log_file = "node.log"
    # Address space for each store, in GiB; files grow as needed.
    map_size_max_gib = 1024
    # A snapshot of the ledger is made each time the height is a multiple of this; 0 for never. It should be the same at
    # all members: whoever joins goes on from a snapshot that several of them made.
    snapshot_interval = 65536
    # Threads that check signatures.
    workers = 4

    """
  }

  /// Reads a configuration; every mistake names its line, and what was meant where it is near.
  init(path: String, overrides: [String]) throws {
    let text = String(decoding: try Files.read(path, max: 1 << 20), as: UTF8.self)
    let table: TOMLTable
    do { table = try TOMLTable(string: text) } catch let error as TOMLParseError {
      throw Self.bad(path, "line \(error.source.begin.line): \(error.description)", "mend that line")
    }
    var values: [String: String] = [:]
    for key in table.keys {
      guard Self.keys.contains(key) else {
        throw Self.bad(path, "line \(Self.line(of: key, in: text)): there is no key \"\(key)\"", Self.suggestion(key))
      }
      values[key] = table[key]?.string ?? table[key]?.int.map { "\($0)" } ?? table[key]?.bool.map { "\($0)" } ?? ""
    }
    for override in overrides {
      let parts = override.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2, Self.keys.contains(parts[0]) else {
        throw Self.bad("--set \(override)", "key=value is expected", Self.suggestion(parts.first ?? ""))
      }
      values[parts[0]] = parts[1]
    }
    let folder = URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false)
    try self.take(values, folder: folder) { key, why in
      Self.bad(path, "line \(Self.line(of: key, in: text)): \(key): \(why)", "mend that line")
    }
  }

  /// How apps are let in; nil where there are none.
  func smart(now: @escaping @Sendable () -> UInt64) -> SMARTAuthorization? {
    guard !self.apps.isEmpty, let fhir = self.fhirPort, let portal = self.portalPort else { return nil }
    let host = self.portalHost == "0.0.0.0" ? "127.0.0.1" : self.portalHost
    return SMARTAuthorization(
      clients: self.apps,
      places: SMARTAuthorization.Places(
        fhir: FHIRServer.base(port: fhir), authorize: "http://\(host):\(portal)/authorize",
        token: "http://127.0.0.1:\(fhir)/auth/token"), now: now)
  }

  private mutating func take(
    _ values: [String: String], folder: String, bad: (String, String) -> Failure
  ) throws {
    func resolve(_ path: String) -> String { path.hasPrefix("/") ? path : folder + "/" + path }
    func number(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
      guard let text = values[key] else { return nil }
      guard let value = Int(text), range.contains(value) else {
        throw bad(key, "a number from \(range.lowerBound) to \(range.upperBound) is expected")
      }
      return value
    }
    self.genesis = resolve(values["genesis"] ?? self.genesis)
    self.description = resolve(values["description"] ?? self.description)
    for text in (values["observers"] ?? "").split(separator: " ") {
      guard let key = Hex.decode(String(text)).flatMap({ PublicKey($0) }) else {
        throw bad("observers", "\"\(text)\" is no key of 64 hexadecimal digits")
      }
      self.observers.insert(key)
    }
    self.keys = resolve(values["keys"] ?? self.keys)
    self.data = resolve(values["data"] ?? self.data)
    self.api = resolve(values["api"] ?? self.api)
    self.logFile = values["log_file"].map(resolve)
    self.passphraseFile = values["passphrase_file"].map(resolve)
    self.listen = values["listen"] ?? ""
    guard let member = try number("member", 1...Int(UInt32.max)) else { throw bad("member", "it is missing") }
    self.member = UInt32(member)
    self.mapSizeMax = (try number("map_size_max_gib", 1...65_536) ?? 1024) << 30
    self.workers = try number("workers", 1...64) ?? self.workers
    self.snapshotInterval = try number("snapshot_interval", 0...(1 << 40)) ?? self.snapshotInterval
    self.fhirPort = try number("fhir_port", 1...65_535)
    self.portalPort = try number("portal_port", 1...65_535)
    for text in (values["smart_clients"] ?? "").split(separator: " ") {
      guard let app = SMARTClient(String(text)) else {
        throw bad("smart_clients", "\"\(text)\" is no ID=URL with a URL of https, or of this machine")
      }
      self.apps.append(app)
    }
    guard self.apps.isEmpty || self.fhirPort != nil && self.portalPort != nil else {
      throw bad("smart_clients", "apps need fhir_port and portal_port")
    }
    if let text = values["fhir_token_required"] {
      guard let isRequired = Bool(text) else { throw bad("fhir_token_required", "true or false is expected") }
      self.isTokenRequired = isRequired
    }
    self.portalHost = values["portal_host"] ?? self.portalHost
    if let text = values["log_level"] {
      guard let level = EventLevel(name: text) else {
        throw bad("log_level", "\"\(text)\" is none of \(EventLevel.allCases.map(\.name).joined(separator: ", "))")
      }
      self.logLevel = level
    }
    if let text = values["log_format"] {
      guard let format = LogFormat(rawValue: text) else {
        throw bad("log_format", "\"\(text)\" is neither json nor text")
      }
      self.logFormat = format
    }
    guard self.api.utf8.count < 104 else {
      throw bad("api", "a socket's path has at most 103 bytes, this has \(self.api.utf8.count)")
    }
  }

  private static func bad(_ path: String, _ why: String, _ remedy: String) -> Failure {
    Failure("cannot use \(path)", why: why, remedy: remedy, status: ExitStatus.configuration)
  }

  private static func line(of key: String, in text: String) -> Int {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    return (lines.firstIndex { $0.drop(while: { $0 == " " }).hasPrefix(key) } ?? 0) + 1
  }

  private static func suggestion(_ key: String) -> String {
    let near = self.keys.min { Self.distance($0, key) < Self.distance($1, key) } ?? "genesis"
    return "did you mean \"\(near)\"? The keys are \(self.keys.joined(separator: ", "))"
  }

  /// How many letters must be changed (Levenshtein).
  private static func distance(_ one: String, _ other: String) -> Int {
    var row = Array(0...other.count)
    for (i, a) in one.enumerated() {
      var previous = row[0]
      row[0] = i + 1
      for (j, b) in other.enumerated() {
        let cost = a == b ? previous : min(previous, min(row[j], row[j + 1])) + 1
        previous = row[j + 1]
        row[j + 1] = cost
      }
    }
    return row[other.count]
  }
}

/// `consilium node`
struct NodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "node", abstract: "Run this hospital's permanent node.",
    discussion: """
      Examples:
        consilium node --config /etc/consilium/node.toml
        consilium node --config node.toml --set log_level=debug --set log_format=text

      SIGTERM stops it in order; SIGHUP opens the log file anew. It may be killed at any instant.
      """)

  @Option(help: "The configuration file.") var config: String
  @Option(name: .customLong("set"), help: "Overrides one key: key=value.") var overrides: [String] = []
  @OptionGroup var passphrase: PassphraseOptions

  func run() async throws {
    try await reporting { try await self.serve() }
  }

  private func serve() async throws {
    let config = try NodeConfig(path: self.config, overrides: self.overrides)
    let genesis = try GenesisFile.read(config.genesis)
    guard let listen = PeerAddress(config.listen), listen.kind != .dns4 else {
      throw Failure(
        "cannot listen on \"\(config.listen)\"", why: "it is not of the form /ip4/ADDRESS/tcp/PORT",
        remedy: "mend listen in \(self.config)", status: ExitStatus.configuration)
    }
    umask(0o077)
    signal(SIGXFSZ, SIG_IGN)  // A file-size limit then reads as a full disk, which has its own way to end.
    let passphrase = try config.passphraseFile.map { try PassphraseOptions.read($0) } ?? self.passphrase.read()
    let keys = try KeyFile.member(config.keys, passphrase: passphrase)
    let member = try self.member(config, genesis, key: keys.publicKey)
    let log = Log(
      node: "m\(config.member)", level: config.logLevel, format: config.logFormat, path: config.logFile)
    log.emit(.keyUsed, ["purpose": "member"])
    let (store, vault, snapshots) = try self.open(config, genesis, log)
    // Whoever has the hospital's secret can read what its EHR wrote, and nobody else.
    let resourcesKey = Hash.blake2b("consilium/fhir-store/v1", keys.sealingSecret)
    let loop = EventLoop(workers: config.workers)
    loop.start()
    let host = NodeHost(
      loop: loop, genesis: genesis, member: member, store: store, vault: vault, snapshots: snapshots, log: log)
    let signals = Self.handleSignals(host, log)
    var settings = NodeSettings(genesis: genesis, member: member, listen: (listen.host, listen.port))
    settings.observers = config.observers
    settings.parameters.follow(snapshotInterval: UInt64(config.snapshotInterval))
    do {
      try await host.start(settings: settings, keys: keys) { failure in
        Console.error("consilium: \(failure)")
        Foundation.exit(ExitStatus.failedIO)
      }
    } catch {
      log.emit(.nodeFailed, ["reason": .text("\(error)")])
      throw Failure(
        "the node cannot start", why: "\(error)", remedy: "mend that, then start it again",
        status: error is NetworkFailure ? ExitStatus.unavailable : ExitStatus.failedIO)
    }
    let service = try self.openFHIR(config, host, key: resourcesKey, log)
    let now: @Sendable () -> UInt64 = { UInt64(max(0, Date().timeIntervalSince1970 * 1000)) }
    let sessions = ReadingSessions(service: host, now: now)
    let smart = config.smart(now: now)
    let fhir = service.flatMap { service in
      config.fhirPort.map {
        FHIRServer(
          service: service, node: host, sessions: sessions, smart: smart, isTokenRequired: config.isTokenRequired,
          port: $0)
      }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await Gateway(service: host, sessions: sessions, socket: config.api).run() }
      group.addTask { await host.tendVault() }
      if let fhir { group.addTask { try await Self.serve(fhir, log) } }
      if let port = config.portalPort {
        let patients = service.map { PatientIndex(service: $0) }
        let portal = PortalServer(
          service: host, host: config.portalHost, port: port, patients: patients,
          smart: smart.map { ($0, sessions) }, now: now)
        group.addTask { try await Self.serve(portal, log) }
      }
      try await group.next()
      group.cancelAll()
    }
    withExtendedLifetime(signals) {}
  }

  /// The hospital that runs the node: as the genesis names it, or as its own description does where it joined later or
  /// goes on under new keys.
  private func member(_ config: NodeConfig, _ genesis: Genesis, key: PublicKey) throws -> Member {
    let id = MemberID(config.member)
    if let member = genesis.members.first(where: { $0.id == id }), member.key == key { return member }
    func foreign(_ why: String) -> Failure {
      Failure(
        "\(config.keys) is not member \(config.member)'s", why: why,
        remedy: "give that member's keys; if it joins or goes on under new ones, give its member.json as description",
        status: ExitStatus.configuration)
    }
    guard FileManager.default.fileExists(atPath: config.description) else {
      throw foreign("the genesis names another key, and there is no \(config.description)")
    }
    let member = try Files.readJSON(config.description, as: MemberFile.self, "member's description")
      .member(in: config.description)
    guard member.id == id, member.key == key else { throw foreign("\(config.description) names another") }
    return member
  }

  private static func serve(_ portal: PortalServer, _ log: Log) async throws {
    do { try await portal.run() } catch {
      log.emit(.nodeFailed, ["reason": .text("the portal: \(error)")])
      throw Failure(
        "the portal cannot start", why: "\(error)", remedy: "choose another portal_port",
        status: ExitStatus.unavailable)
    }
  }

  private static func serve(_ fhir: FHIRServer, _ log: Log) async throws {
    do { try await fhir.run() } catch {
      log.emit(.nodeFailed, ["reason": .text("the FHIR interface: \(error)")])
      throw Failure(
        "the FHIR interface cannot start", why: "\(error)", remedy: "choose another fhir_port",
        status: ExitStatus.unavailable)
    }
  }

  /// The interface for the hospital's EHR; nil where none is asked for.
  private func openFHIR(_ config: NodeConfig, _ host: NodeHost, key: Digest, _ log: Log) throws -> FHIRService? {
    guard let port = config.fhirPort else { return nil }
    do {
      let store = try EncryptedResources(path: config.data + "/fhir", mapSizeMax: config.mapSizeMax, key: key)
      return try FHIRService(
        store: store, anchoring: RecordAnchorer(service: host), ledger: LedgerResources(service: host),
        base: FHIRServer.base(port: port),
        now: { Timestamp(milliseconds: UInt64(max(0, Date().timeIntervalSince1970 * 1000))) },
        entropy: { SecureRandom.bytes($0) })
    } catch {
      log.emit(.nodeFailed, ["reason": .text("\(error)")])
      throw Failure(
        "the FHIR store cannot be opened", why: "\(error)", remedy: "as it says", status: ExitStatus.failedIO)
    }
  }

  /// Opens the stores; refuses an empty or copied one under a key that has voted elsewhere (LEDGER §8).
  private func open(
    _ config: NodeConfig, _ genesis: Genesis, _ log: Log
  ) throws -> (Store, Vault, SnapshotFolder) {
    let seal = config.keys + ".seal"
    do {
      let known = (try? String(decoding: Files.read(seal, max: 256), as: UTF8.self))?.split(separator: "\n").map(
        String.init)
      let isNew = !FileManager.default.fileExists(atPath: config.data + "/ledger/data.mdb")
      if known != nil, isNew {
        throw Failure(
          "the store in \(config.data) is gone",
          why: "this member's key has voted, and an empty store has forgotten how",
          remedy: "bring the store back; if it is lost, join again under a new key", status: ExitStatus.configuration)
      }
      let store = try Store(
        path: config.data + "/ledger", genesis: genesis, member: MemberID(config.member),
        mapSizeMax: config.mapSizeMax, fresh: Hash.sha256(SecureRandom.bytes(32)))
      if let known, !known.contains(store.incarnation.description) {
        throw Failure(
          "the store in \(config.data) is a copy", why: "it is older than the votes that this key has cast",
          remedy: "bring the original back; if it is lost, join again under a new key", status: ExitStatus.configuration
        )
      }
      // ⚑ Each start gives the store another number: a copy from before it has an older one, and is told by it. Both
      // stand in the seal until the store has the new one, whenever this is interrupted.
      let next = Hash.sha256(SecureRandom.bytes(32))
      try Files.replace(seal, Array("\(store.incarnation)\n\(next)\n".utf8), mode: 0o600)
      try store.renew(next)
      try Files.replace(seal, Array("\(next)\n".utf8), mode: 0o600)
      return (
        store, try Vault(path: config.data + "/vault", mapSizeMax: config.mapSizeMax),
        try SnapshotFolder(path: config.data + "/snapshots")
      )
    } catch let failure as StorageFailure {
      log.emit(.nodeFailed, ["reason": .text("\(failure)")])
      throw Failure("the store cannot be opened", why: "\(failure)", remedy: "as it says", status: ExitStatus.failedIO)
    }
  }

  private static func handleSignals(_ host: NodeHost, _ log: Log) -> [any DispatchSourceSignal] {
    signal(SIGPIPE, SIG_IGN)
    return [SIGTERM, SIGINT, SIGHUP].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        guard number != SIGHUP else { return log.reopen() }
        Task {
          await host.stop()
          Foundation.exit(0)
        }
      }
      source.resume()
      return source
    }
  }
}
