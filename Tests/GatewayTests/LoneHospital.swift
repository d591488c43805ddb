// A consortium of one hospital inside the tests' process: the real node on a real disk, behind its real doors.
import Driver
import EventLoop
import FHIR
import Foundation
import Gateway
import HealthRecords
import Ledger
import Messages
import NodeCore
import Primitives
import Rules
import Signing
import Storage
import Telemetry
import Testing
import Wire

/// One hospital with its API socket, its portal and its FHIR interface; everything goes with the object.
final class LoneHospital: Sendable {
  let genesis: Genesis
  let host: NodeHost
  let fhir: FHIRServer
  let portal: PortalServer
  let api: Gateway
  let port: Int
  private let path: String

  static let registrarSeed = [UInt8](repeating: 7, count: 32)
  static let id = MemberID(1)

  static func key(_ seed: [UInt8]) -> SigningKey {
    guard let key = SigningKey(seed: seed) else { preconditionFailure("a seed has 32 bytes") }
    return key
  }

  var socket: String { self.path + "/api.sock" }
  var log: String { self.path + "/node.log" }
  /// The doors, by name.
  var doors: [(name: String, place: Connection.Place)] {
    [("api", .socket(self.socket)), ("portal", .port(self.port)), ("fhir", .port(self.port + 1))]
  }

  /// The routes of a door, as its router knows them.
  func routes(of door: String) async -> [String] {
    switch door {
    case "api": self.api.routes
    case "portal": self.portal.routes
    default: await self.fhir.routes
    }
  }

  /// Starts a hospital whose portal is at a port and whose FHIR interface is at the next.
  init(
    port: Int, limits: DoorLimits = DoorLimits(), isTokenRequired: Bool = false, rules: AgreedRules = .first,
    program: any ExecutionRules = HealthRules()
  ) async throws {
    self.port = port
    self.path = FileManager.default.temporaryDirectory.appending(path: "lone-\(UUID().uuidString.prefix(8))").path()
    try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    let seeds = (memberSeed: [UInt8](repeating: 1, count: 32), checkpoint: [UInt8](repeating: 2, count: 32))
    let secret = [UInt8](repeating: 3, count: 32)
    guard
      let keys = NodeKeys(memberSeed: seeds.memberSeed, checkpointSeed: seeds.checkpoint, sealingSecret: secret)
    else { preconditionFailure("each has 32 bytes") }
    let registrar = Self.key(Self.registrarSeed).publicKey
    let member = Member(
      id: Self.id, name: "Lone", key: keys.publicKey, checkpointKey: keys.checkpoint.publicKey,
      registrarKey: registrar, sealingKey: try #require(Digest(KeyAgreement.publicKey(of: secret))),
      addresses: ["/ip4/127.0.0.1/tcp/\(port + 2)"])
    var ledger = LedgerLimits()
    ledger.rules = rules
    let genesis = try #require(Genesis(name: "Lone", engine: .pbft, limits: ledger, members: [member]))
    self.genesis = genesis
    let size = 1 << 30
    let store = try Store(
      path: self.path + "/ledger", genesis: genesis, member: Self.id, mapSizeMax: size, fresh: .zero)
    let log = Log(node: "m1", level: .warn, format: .text, path: self.path + "/node.log")
    let loop = EventLoop(workers: 1)
    loop.start()
    self.host = NodeHost(
      loop: loop, genesis: genesis, member: member, store: store,
      vault: try EmbeddedVault(path: self.path + "/vault", mapSizeMax: size),
      snapshots: try SnapshotFolder(path: self.path + "/snapshots"), spoolFolder: self.path + "/spool", log: log)
    var settings = NodeSettings(genesis: genesis, member: member, listen: ("127.0.0.1", UInt16(port + 2)))
    settings.rules = program
    try await self.host.start(settings: settings, keys: keys) { Issue.record("the store failed: \($0)") }
    let now: @Sendable () -> UInt64 = { Self.now.milliseconds }
    let readings = try ReadingStore(path: self.path + "/readings", mapSizeMax: size, key: .zero)
    let service = try FHIRService(
      store: EncryptedResources(path: self.path + "/fhir", mapSizeMax: size, key: .zero),
      anchoring: RecordAnchorer(service: self.host), ledger: LedgerResources(service: self.host, readings: readings),
      readings: readings,
      base: FHIRServer.base(at: Entrance(port: port + 1)), now: { Self.now }, entropy: { SecureRandom.bytes($0) })
    let refused = RefusedCounts(now: now)
    let sessions = ReadingSessions(service: self.host, refused: refused, now: now)
    let base = FHIRServer.base(at: Entrance(port: port + 1))
    let smart = SMARTAuthorization(
      clients: [
        try #require(SMARTClient("viewer=http://127.0.0.1:1/back")),
        try #require(SMARTClient("other=https://other.example/")),
      ],
      places: SMARTAuthorization.Places(
        fhir: base, authorize: "http://127.0.0.1:\(port)/authorize", token: "http://127.0.0.1:\(port + 1)/auth/token"),
      now: now)
    self.api = Gateway(
      service: self.host, sessions: sessions, readings: readings, socket: self.path + "/api.sock", limits: limits)
    self.fhir = FHIRServer(
      service: service, node: self.host, sessions: sessions, smart: smart, isTokenRequired: isTokenRequired,
      at: Entrance(port: port + 1), limits: limits)
    self.portal = PortalServer(
      service: self.host, at: Entrance(port: port), patients: PatientIndex(service: service), readings: readings,
      smart: (smart, sessions), refused: refused, limits: limits, now: now)
    let (api, fhir, portal) = (self.api, self.fhir, self.portal)
    Task { try? await api.run() }
    Task { try? await fhir.run() }
    Task { try? await portal.run() }
    for door in self.doors {
      // Until it listens; a connection that is refused is an answer at once.
      while await Connection.ask(door.place, "GET", "/livez") == nil { await Task.yield() }
    }
  }

  deinit {
    // The servers are left to the process's end: one that is cancelled while it takes a connection in traps.
    let (path, host) = (self.path, self.host)
    Task {
      await host.stop()
      try? FileManager.default.removeItem(atPath: path)
    }
  }

  static var now: Timestamp { Timestamp(milliseconds: UInt64(Date().timeIntervalSince1970 * 1000)) }

  func transaction(_ kind: TransactionKind, _ payload: some WireEncodable, by seed: [UInt8]) -> Transaction {
    Transaction(
      kind: kind.rawValue, hospital: Self.id, validUntil: Self.now.adding(milliseconds: 200_000),
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes), payload: payload.encoded,
      network: self.genesis.network, signedBy: Self.key(seed))
  }

  /// Submits through the node itself.
  func submit(_ transactions: [Transaction]) async throws -> [Receipt] {
    try await self.host.submit(
      transactions.map {
        try CheckedTransaction($0.encoded, index: 0, genesis: self.genesis, hospital: Self.id)
      })
  }

  /// Whether the second rules hold.
  var isSecond: Bool { self.genesis.limits.rules.version >= 2 }

  /// Registers an account whose signing key has a seed of these bytes; gives its identifier.
  func register(_ kind: AccountKind, seed: [UInt8], role: UInt32 = 0) async throws -> Digest {
    let key = Self.key(seed).publicKey
    let sealing = try #require(Digest(KeyAgreement.publicKey(of: seed)))
    let registration = AccountRegistration(
      kind: kind, key: key, sealingKey: sealing, role: role, validFrom: .zero,
      validUntil: Self.now.adding(milliseconds: 1 << 40))
    let said = KeyPossession(
      network: self.genesis.network, hospital: Self.id, kind: kind, sealingKey: sealing)
    let proven = Proven(registration, proof: self.isSecond ? Self.key(seed).sign(said.signedBytes) : nil)
    let receipt = try await self.submit([
      self.transaction(.registerAccount, proven, by: Self.registrarSeed)
    ])
    #expect(receipt.first?.outcome == .applied)
    return Account.identifier(network: self.genesis.network, hospital: Self.id, key: key)
  }

  /// The header by which an account's key signs a question to the portal.
  func proof(_ account: Digest, seed: [UInt8], path: String) -> String {
    let time = Self.now.milliseconds
    var encoder = Encoder()
    encoder.raw(Array("consilium/portal/v1\0".utf8))
    encoder.digest(self.genesis.network)
    encoder.digest(account)
    encoder.u64(time)
    encoder.raw(Array(path.utf8))
    let signature = Self.key(seed).sign(encoder.bytes)
    return "Consilium time=\(time), signature=\(Hex.encode(signature.bytes))"
  }

  /// The most transactions that the node itself makes for its custody key, at any time after its start.
  static let ownTransactionsMax: UInt64 = 3

  var logSize: UInt64 { get async { await self.host.status().logSize } }
}
