internal import ArgumentParser
internal import Dispatch
internal import Discovery
internal import Driver
internal import EventLoop
internal import FHIR
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import ObjectStore
internal import Ordering
internal import Primitives
internal import Signing
internal import Storage
internal import Telemetry
internal import TOMLKit

/// `consilium node`
struct NodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "node", abstract: "Run this hospital's permanent node.",
    discussion: """
      Examples:
        consilium node --config /etc/consilium/node.toml
        consilium node --config node.toml --set log_level=debug --set log_format=text

      SIGTERM stops it in order; SIGHUP opens the log file again. It may be killed at any instant. Where systemd
      started it, it is told when the node serves, how it stands, and, by a watchdog, whether its loop still turns.
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
    let listen = try self.listening(config)
    umask(0o077)
    signal(SIGXFSZ, SIG_IGN)  // A file-size limit then reads as a full disk, which has its own way to end.
    // ⚑ Before anything is written: another node may run on it. A folder that is not there is nobody's yet.
    let held = FileManager.default.fileExists(atPath: config.data) ? try FolderLock(config.data) : nil
    let passphrase = try config.passphraseFile.map { try PassphraseOptions.read($0) } ?? self.passphrase.read()
    let keys = try KeyFile.member(config.keys, passphrase: passphrase)
    let (log, key) = (Self.openLog(config), keys.publicKey)
    let member = try Self.telling(log) { try self.member(config, genesis, key: key) }
    let (store, snapshots, lock, seal) = try Self.telling(log) { try self.open(config, genesis, held) }
    let vault = LinkedVault(try await self.openVault(config, log))
    let manager = ServiceManager(environment: ProcessInfo.processInfo.environment)
    manager?.state("it reads its stores")
    let (stores, named) = try Self.openStores(config, key: HospitalStore.key(keys), seal, store, log)
    let certificate = config.serverCertificate(log, now: Self.now)
    let (limits, loop) = (Self.limits(config, log), EventLoop(workers: config.workers))
    loop.start()
    let host = NodeHost(
      loop: loop, genesis: genesis, member: member, store: store, vault: vault, snapshots: snapshots,
      spoolFolder: config.data + "/spool", log: log, otherSizes: stores.sizes)
    let signals = Self.handleSignals(host, manager, log)
    let settings = try Self.settings(config, genesis, member, listen, keys)
    try await Self.start(host, settings, keys, log)
    let (fhirEntrance, portalEntrance) = (config.fhirEntrance(certificate), config.portalEntrance(certificate))
    let (service, trouble) = await self.openFHIR(fhirEntrance, host, vault, stores, log)
    let (refused, smart) = (RefusedCounts(now: Self.now), config.smart(fhirEntrance, portalEntrance, now: Self.now))
    let sessions = ReadingSessions(service: host, refused: refused, now: Self.now)
    let fhir = trouble == nil ? self.server(for: service, config, fhirEntrance, host, sessions, smart, limits) : nil
    let desk = config.messageDesk(trouble == nil ? service : nil, trouble: trouble)
    try await withThrowingTaskGroup(of: Void.self) { group in
      let gateway = Gateway(
        service: host, sessions: sessions, readings: stores.readings, messages: desk, socket: config.api,
        fhirTrouble: { config.trouble(ofDoors: certificate, besides: trouble) },
        notices: { [stores.notice, certificate?.notice, Comparison.notice(config)].compactMap { $0 } },
        limits: limits.portal)
      let serving: @Sendable () -> Void = { host.tell(manager) }
      group.addTask {
        try await Self.serve({ try await gateway.run(onServing: serving) }, as: "the API", of: "api", log)
      }
      group.addTask { await host.tendVault() }
      group.addTask { await host.keepSealed() }
      group.addTask { await Self.follow(stores, named, certificate, Comparison(config, host, vault, store), log) }
      let (name, setting) = ("the FHIR interface", "fhir_port")
      if let fhir { group.addTask { try await Self.serve(fhir.run, as: name, of: setting, log) } }
      if let server = config.messageServer(desk, certificate) {
        group.addTask { try await Self.serve(server.run, as: "the port for HL7 v2", of: "hl7_port", log) }
      }
      if let trouble, let fhirEntrance {
        let refusing = RefusedFHIRServer(reason: trouble, at: fhirEntrance, limits: limits.fhir)
        group.addTask { try await Self.serve(refusing.run, as: name, of: setting, log) }
      }
      if let figures = config.metricsPort.map({ MonitoringServer(gateway, port: $0) }) {
        group.addTask { try await Self.serve(figures.run, as: "the metrics' port", of: "metrics_port", log) }
      }
      if let portalEntrance {
        let patients = fhir == nil ? nil : service.map { PatientIndex(service: $0) }
        let portal = PortalServer(
          service: host, at: portalEntrance, names: config.portalNames, patients: patients, patientsTrouble: trouble,
          readings: stores.readings, smart: smart.flatMap { $0.hasApps ? ($0, sessions) : nil }, refused: refused,
          limits: limits.portal, now: Self.now)
        group.addTask { try await Self.serve(portal.run, as: "the portal", of: "portal_port", log) }
      }
      try await group.next()
      group.cancelAll()
    }
    withExtendedLifetime((signals, lock)) {}
  }

  /// Starts the node; what ends it later ends the process.
  private static func start(
    _ host: NodeHost, _ settings: NodeSettings, _ keys: consuming NodeKeys, _ log: Log
  ) async throws {
    do {
      try await host.start(settings: settings, keys: keys) { failure in
        Console.error("consilium: \(failure)")
        Foundation.exit(ExitStatus.failedIO)
      }
    } catch {
      log.emit(.nodeFailed, ["reason": .text("\(error)")])
      throw Failure(
        "the node cannot start", error, setting: "listen",
        status: error is NetworkFailure ? ExitStatus.unavailable : ExitStatus.failedIO)
    }
  }

  private static func settings(
    _ config: NodeConfig, _ genesis: Genesis, _ member: Member, _ listen: PeerAddress, _ keys: borrowing NodeKeys
  ) throws -> NodeSettings {
    var settings = NodeSettings(genesis: genesis, member: member, listen: (listen.host, listen.port))
    settings.observers = config.observers
    settings.vaultShareBytesMax = config.vaultShareBytesMax
    settings.custodySecrets = try CustodySecretsFile.keeper(config.keys + ".custody", keys: keys)
    settings.parameters.follow(snapshotInterval: UInt64(config.snapshotInterval))
    return settings
  }

  private static func openLog(_ config: NodeConfig) -> Log {
    let log = Log(
      node: "m\(config.member)", level: config.logLevel, format: config.logFormat, path: config.logFile)
    log.emit(.keyUsed, ["purpose": "member"])
    StoreDamage.onDamage { log.emit(.nodeFailed, ["reason": .text("\($0)")]) }
    StoreRoom.onChange { store, reason in
      guard let reason else { return log.emit(.storeRoom, ["store": .text(store)]) }
      log.emit(.storeFull, ["store": .text(store), "reason": .text(reason)])
    }
    return log
  }

  /// Opens the stores that only this hospital has, and has the seal name those that have a mark from now on, and how
  /// far they are written.
  private static func openStores(
    _ config: NodeConfig, key: Digest, _ found: Seal, _ store: Store, _ log: Log
  ) throws -> (HospitalStores, Seal) {
    let stores = try HospitalStores(config, key: key, seal: found, log) {
      !OwnRecords(in: try StoreReader(store), of: MemberID(config.member)).isEmpty
    }
    var seal = found
    try seal.name(
      HospitalStore.allCases.filter { FileManager.default.fileExists(atPath: $0.mark(in: config)) }, stores.ages)
    return (stores, seal)
  }

  /// Has the seal follow how far the stores are written, some seconds behind, says each day that a certificate ends
  /// soon, and keeps whether a loss can be compared. ⚑ A store and its mark may be copied together while the node runs
  /// for weeks, and come back together: only the seal and the mark in the data folder tell that they are old.
  private static func follow(
    _ stores: HospitalStores, _ seal: Seal, _ certificate: ServerCertificate?, _ comparison: Comparison, _ log: Log
  ) async {
    var (seal, named, isRefused) = (seal, stores.ages, false)
    while true {
      let isOver = (try? await Task.sleep(for: .seconds(2))) == nil
      certificate?.remind()
      await comparison.look()
      let ages = stores.currentAges
      if ages != named {
        do {
          try seal.name([], ages)
          (named, isRefused) = (ages, false)
        } catch {
          if !isRefused { log.emit(.sealBehind, ["reason": .text("\(error)")]) }
          isRefused = true
        }
      }
      if isOver { return }
    }
  }

  /// What serves the EHR; nil where no interface is asked for.
  private func server(
    for service: FHIRService?, _ config: NodeConfig, _ entrance: Entrance?, _ host: NodeHost,
    _ sessions: ReadingSessions,
    _ smart: SMARTAuthorization?, _ limits: (portal: DoorLimits, fhir: DoorLimits)
  ) -> FHIRServer? {
    guard let service, let entrance else { return nil }
    return FHIRServer(
      service: service, node: host, sessions: sessions, smart: smart, isTokenRequired: config.isTokenRequired,
      at: entrance, limits: limits.fhir)
  }

  /// What the listeners take, by how many descriptors there may be.
  private static func limits(_ config: NodeConfig, _ log: Log) -> (portal: DoorLimits, fhir: DoorLimits) {
    let descriptors = Descriptors.raise()
    let senders = config.messages.port == nil ? 0 : MLLPLimits().connectionsMax
    var limits = DoorLimits(descriptors: descriptors - senders)
    limits.proxies = config.proxies
    log.emit(
      .doorsOpened,
      ["descriptors": .number(UInt64(descriptors)), "connections": .number(UInt64(limits.connectionsMax))])
    var fhir = limits
    fhir.takesOnlyProxies = config.certificate == nil
    return (limits, fhir)
  }

  private func listening(_ config: NodeConfig) throws -> PeerAddress {
    let fault: AddressFault
    do throws(AddressFault) {
      let listen = try PeerAddress.read(config.listen)
      guard let found = listen.listeningFault else { return listen }
      fault = found
    } catch { fault = error }
    throw Failure(
      "cannot listen on \"\(config.listen)\"", why: fault.why, remedy: "\(fault.remedy), as listen in \(self.config)",
      status: ExitStatus.configuration)
  }

  /// Milliseconds since 1970.
  private static let now: @Sendable () -> UInt64 = { UInt64(max(0, Date().timeIntervalSince1970 * 1000)) }

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

  /// Serves what a setting says where.
  private static func serve(
    _ run: @Sendable () async throws -> Void, as name: String, of setting: String, _ log: Log
  ) async throws {
    do { try await run() } catch let error where !(error is CancellationError) {
      log.emit(.nodeFailed, ["reason": .text("\(name): \(error)")])
      throw Failure("\(name) cannot start", error, setting: setting, status: ExitStatus.unavailable)
    }
  }

  /// The interface for the hospital's EHR, or why it is refused. ⚑ Nothing that was erased is there when it serves, and
  /// what is erased from then on goes there first: while it cannot, this hospital states no deletion.
  private func openFHIR(
    _ entrance: Entrance?, _ host: NodeHost, _ vault: LinkedVault, _ stores: HospitalStores, _ log: Log
  ) async -> (service: FHIRService?, trouble: String?) {
    func refused(_ reason: String) -> (service: FHIRService?, trouble: String?) {
      vault.link { _ in throw Failure("the FHIR store is refused", why: reason, remedy: "see consilium status") }
      return (nil, reason)
    }
    guard let store = stores.resources else {
      if let trouble = stores.trouble, stores.isFHIRLost { return refused(trouble) }
      vault.link { _ in }
      return (nil, stores.trouble)
    }
    do {
      let readings = stores.readings
      let service = try FHIRService(
        store: store, anchoring: RecordAnchorer(service: host),
        ledger: LedgerResources(service: host, readings: readings),
        readings: readings,
        base: entrance.map { FHIRServer.base(at: $0) } ?? "",
        otherBases: entrance?.ownBases(MachineAddresses.all) ?? [],
        now: { Timestamp(milliseconds: UInt64(max(0, Date().timeIntervalSince1970 * 1000))) },
        entropy: { SecureRandom.bytes($0) })
      try await service.forgetErased()
      vault.link { try await service.forget($0) }
      return (service, stores.trouble)
    } catch {
      log.emit(.fhirRefused, ["reason": .text("\(error)")])
      return refused([stores.trouble, "\(error)"].compactMap { $0 }.joined(separator: "; "))
    }
  }

  /// Opens the vault. An object store that is out of reach is no reason not to vote; one that keeps what is erased is.
  private func openVault(_ config: NodeConfig, _ log: Log) async throws -> any Vault {
    guard let settings = config.objectStore else {
      do throws(StorageFailure) {
        let vault = try EmbeddedVault(path: config.data + "/vault", mapSizeMax: config.mapSizeMax)
        if vault.lostKeyCount > 0 { log.emit(.vaultKeysLost, ["count": .number(vault.lostKeyCount)]) }
        return vault
      } catch { throw Self.failure(opening: error, log) }
    }
    let vault = S3Vault(settings)
    do throws(S3Vault.Unfit) { try await vault.check() } catch {
      guard case .failure(let failure) = error else { throw Failure(error, vault) }
      log.emit(.vaultFailed, ["reason": .text("\(failure)")])
    }
    return vault
  }

  static func failure(opening failure: StorageFailure, _ log: Log) -> Failure {
    log.emit(.nodeFailed, ["reason": .text("\(failure)")])
    return Failure(opening: failure, "the store cannot be opened")
  }

  /// Opens the stores; refuses an empty or copied one under a key that has voted elsewhere (LEDGER §8).
  private func open(
    _ config: NodeConfig, _ genesis: Genesis, _ held: FolderLock?
  ) throws -> (Store, SnapshotFolder, FolderLock, Seal) {
    do {
      let known = try Seal.read(beside: config.keys)
      let isNew = !FileManager.default.fileExists(atPath: config.data + "/ledger/data.mdb")
      if known != nil, isNew {
        throw Failure(
          "the store in \(config.data) is gone",
          why: "this member's key has voted, and an empty store has forgotten how",
          remedy: "bring the store back; if it is lost, come back under a new key: consilium init, then consilium "
            + "member propose replace at another hospital", status: ExitStatus.configuration)
      }
      let lock = try held ?? FolderLock(config.data)
      let store = try Store(
        path: config.data + "/ledger", genesis: genesis, member: MemberID(config.member),
        mapSizeMax: config.mapSizeMax, fresh: Hash.sha256(SecureRandom.bytes(32)))
      if known == nil, !isNew, try !Self.isUnused(store, genesis) {
        throw Failure(
          "the seal of the store in \(config.data) is gone",
          why: "without \(Seal.path(beside: config.keys)) nobody can tell whether the store is older than the votes "
            + "that this key has cast",
          remedy: "bring the seal back; if it is lost, come back under a new key: consilium member propose replace",
          status: ExitStatus.configuration)
      }
      if let known, !known.incarnations.contains(store.incarnation.description) {
        throw Failure(
          "the store in \(config.data) is a copy", why: "it is older than the votes that this key has cast",
          remedy: "bring the original back; if it is lost, come back under a new key: consilium init, then consilium "
            + "member propose replace at another hospital", status: ExitStatus.configuration)
      }
      // ⚑ Each start gives the store another number: a copy from before it has an older one, and is told by it. Both
      // stand in the seal until the store has the new one, whenever this is interrupted.
      let next = Hash.sha256(SecureRandom.bytes(32))
      var seal = known ?? Seal.none(beside: config.keys)
      try seal.name([store.incarnation, next])
      try store.renew(next)
      try seal.name([next])
      return (store, try SnapshotFolder(path: config.data + "/snapshots"), lock, seal)
    } catch let failure as StorageFailure {
      throw Failure(opening: failure, "the store cannot be opened")
    }
  }

  /// Does what a start needs; what refuses it is in the log, too.
  private static func telling<Value>(_ log: Log, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let failure as Failure {
      log.emit(.nodeFailed, ["reason": .text("\(failure.what): \(failure.why)")])
      throw failure
    }
  }

  /// Whether nothing was done with a store yet: its first start can have ended before the seal was written.
  private static func isUnused(_ store: Store, _ genesis: Genesis) throws(StorageFailure) -> Bool {
    let stored = try StoreReader(store).restore(limits: genesis.limits)
    return stored.position.sequence == .zero && stored.blocks.isEmpty && stored.ordering == OrderingState()
  }

  private static func handleSignals(
    _ host: NodeHost, _ manager: ServiceManager?, _ log: Log
  ) -> [any DispatchSourceSignal] {
    signal(SIGPIPE, SIG_IGN)
    return [SIGTERM, SIGINT, SIGHUP].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        guard number != SIGHUP else { return log.reopen() }
        manager?.stopping()
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
