internal import ArgumentParser
internal import AsyncHTTPClient
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import NIOCore
internal import NIOHTTP1
internal import Primitives
internal import Threshold
internal import Signing
internal import Synchronization
internal import Wire

/// Which node a command speaks to.
struct NodeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The node's API socket; else CONSILIUM_API.", valueName: "socket"))
  var api: String?
  @Option(help: ArgumentHelp("The consortium's genesis file; else CONSILIUM_GENESIS.", valueName: "file"))
  var genesis: String?
  @Option(
    help: ArgumentHelp(
      "The most seconds by which the ledger's time may be ahead of this machine's clock when signing.",
      valueName: "seconds", visibility: .hidden))
  var ledgerAhead: UInt64?

  func client() throws -> NodeClient {
    if let ledgerAhead { Drafts.allow(aheadSeconds: ledgerAhead) }
    guard let socket = self.api ?? ProcessInfo.processInfo.environment["CONSILIUM_API"] else {
      throw Failure(
        "no node named", why: "neither --api nor CONSILIUM_API is given",
        remedy: "give --api PATH/api.sock, as the node's configuration has it", status: ExitStatus.configuration)
    }
    return NodeClient(socket: socket)
  }

  func readGenesis() throws -> Genesis {
    guard let path = self.genesis ?? ProcessInfo.processInfo.environment["CONSILIUM_GENESIS"] else {
      throw Failure(
        "no genesis named", why: "neither --genesis nor CONSILIUM_GENESIS is given", remedy: "give --genesis FILE",
        status: ExitStatus.configuration)
    }
    return try GenesisFile.read(path)
  }
}

/// Speaks to a node's API on its Unix socket.
struct NodeClient: Sendable {
  let socket: String

  /// One client for the process; a node that is not there is an answer at once, not after retries.
  static let http: HTTPClient = {
    var configuration = HTTPClient.Configuration()
    configuration.connectionPool.retryConnectionEstablishment = false
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }()

  /// The answer's bytes; a refusal of the node becomes a `Failure` with the node's own words.
  func send(
    _ method: HTTPMethod, _ path: String, _ body: [UInt8]? = nil, accept: String = "application/json",
    timeout: TimeAmount = .seconds(40), bytesMax: Int = 256 << 20
  ) async throws -> [UInt8] {
    try await self.execute(
      method, path, body.map { .bytes(ByteBuffer(bytes: $0)) }, accept: accept, timeout: timeout, bytesMax: bytesMax)
  }

  /// Posts a body that is read while it is sent, and of which the node may take long to be rid.
  func post<T: Decodable>(
    _ path: String, streaming body: HTTPClientRequest.Body, as type: T.Type = T.self
  ) async throws -> T {
    try Self.decode(try await self.execute(.POST, path, body, accept: "application/json", timeout: .hours(4)))
  }

  private func execute(
    _ method: HTTPMethod, _ path: String, _ body: HTTPClientRequest.Body?, accept: String, timeout: TimeAmount,
    bytesMax: Int = 1 << 20
  ) async throws -> [UInt8] {
    try Unreachable.check(self.socket)
    guard let url = URL(httpURLWithSocketPath: self.socket, uri: path) else {
      throw Failure("cannot reach the node", why: "\(self.socket) is no path", remedy: "check --api")
    }
    var request = HTTPClientRequest(url: url.absoluteString)
    request.method = method
    request.headers.add(name: "accept", value: accept)
    request.body = body
    let response: HTTPClientResponse
    let bytes: [UInt8]
    do {
      response = try await Self.http.execute(request, timeout: timeout)
      bytes = Array(try await response.body.collect(upTo: bytesMax).readableBytesView)
    } catch {
      throw Unreachable.failure(self.socket, error)
    }
    guard response.status == .ok else { throw Self.refusal(response.status, bytes) }
    return bytes
  }

  private static func refusal(_ status: HTTPResponseStatus, _ bytes: [UInt8]) -> Failure {
    guard let view = try? JSONDecoder().decode(RefusalView.self, from: Data(bytes)) else {
      return Failure(
        "the node refused", why: "status \(status.code)", remedy: "see the node's log", status: ExitStatus.refused)
    }
    let code = status.code >= 500 ? ExitStatus.unavailable : ExitStatus.refused
    return Failure(view.error, why: view.message, remedy: view.remedy, status: code)
  }

  /// Where the node stands; what is drafted afterwards goes by its ledger's time.
  func status() async throws -> NodeStatus {
    let status: NodeStatus = try await self.get("/v1/status")
    Drafts.follow(status)
    return status
  }

  func get<T: Decodable>(_ path: String, as type: T.Type = T.self) async throws -> T {
    try Self.decode(try await self.send(.GET, path))
  }

  /// All rows that come in pages, the oldest first.
  func all<Item: Codable & Sendable>(_ path: String) async throws -> [Item] {
    var out: [Item] = []
    var below = ""
    while true {
      let page: Page<Item> = try await self.get("\(path)?count=\(Page<Item>.rowsMax)\(below)")
      out += page.items
      guard let next = page.next else { return out.reversed() }
      below = "&below=\(next)"
    }
  }

  func post<T: Decodable>(_ path: String, _ body: [UInt8], as type: T.Type = T.self) async throws -> T {
    try Self.decode(try await self.send(.POST, path, body))
  }

  private static func decode<T: Decodable>(_ bytes: [UInt8]) throws -> T {
    do { return try JSONDecoder().decode(T.self, from: Data(bytes)) } catch {
      throw Failure("the node's answer is not understood", why: "\(error)", remedy: "use the same version as the node")
    }
  }

  func submit(_ transaction: Transaction) async throws -> ReceiptView {
    try await self.post("/v1/transactions", transaction.encoded)
  }

  /// The members as the node has them.
  func configuration() async throws -> Configuration {
    let view: MembershipView = try await self.get("/v1/members")
    return try view.configuration { Failure("the node's answer is not understood", why: $0, remedy: "report this") }
  }

  /// The consortium's custody key; nil before there is one.
  func custody() async throws -> CustodyKey? {
    do { return try CustodyKey.decode(try await self.send(.GET, "/v1/custody")) } catch let failure as Failure {
      guard failure.what == "not-found" else { throw failure }
      return nil
    }
  }

  /// A part of a record's ciphertext.
  func part(_ record: Digest, from start: Int) async throws -> RecordPart {
    // The first one waits until the node has held the whole record against its anchor.
    let bytes = try await self.send(.GET, "/v1/records/\(record)/part?from=\(start)", timeout: .hours(1))
    return try RecordPart.decode(bytes)
  }

  func release(request: String, record: String, without settled: ReplicaSet) async throws -> ReleaseAnswer {
    let body = Array(
      try JSONEncoder().encode(ReleaseBody(request: request, record: record, without: settled.members)))
    return try ReleaseAnswer.decode(try await self.send(.POST, "/v1/releases", body))
  }
}

extension NodeClient {
  /// Whether the ledger's rules ask that a key that is named proves itself (RECORDS §2).
  func asksForPossession() async throws -> Bool {
    let rules: RulesView = try await self.get("/v1/rules")
    return rules.version >= 2
  }
}

/// Makes transactions in the name of persons and registrars.
enum Drafts {
  static func transaction(
    _ kind: TransactionKind, _ payload: some WireEncodable, genesis: Genesis, hospital: MemberID,
    signedBy seed: [UInt8]
  ) throws -> Transaction {
    guard let key = SigningKey(seed: seed) else {
      throw Failure("cannot sign", why: "the key has \(seed.count) bytes", remedy: "give another key file")
    }
    try self.requireTime(genesis)
    return Transaction(
      kind: kind.rawValue, hospital: hospital, validUntil: self.validUntil(genesis),
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes), payload: payload.encoded, network: genesis.network,
      signedBy: key)
  }

  static func hospital(
    _ kind: TransactionKind, _ payload: some WireEncodable, genesis: Genesis, hospital: MemberID
  ) -> Transaction {
    Transaction(
      kind: kind.rawValue, hospital: hospital, validUntil: self.validUntil(genesis),
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes), payload: payload.encoded)
  }

  /// Half a transaction's life from now, by the ledger's time where that is ahead of this machine's: it is what the
  /// rules go by, and after clocks were wrong it stays ahead until they have come as far.
  static func validUntil(_ genesis: Genesis) -> Timestamp {
    self.ledgerNow.adding(milliseconds: genesis.limits.transactionLifeMilliseconds / 2)
  }

  /// The ledger's time, by this machine's clock and what a node said.
  static var ledgerNow: Timestamp { self.now.adding(milliseconds: self.ahead.withLock { $0 }) }

  /// Refuses to sign for a time that is far ahead by the word of one node.
  ///
  /// ⚑ Who has that node keeps what is signed for then, and has it executed at will: after it was taken back, too.
  private static func requireTime(_ genesis: Genesis) throws {
    let ahead = self.ahead.withLock { $0 }
    let allowed = max(genesis.limits.transactionLifeMilliseconds / 2, self.allowed.withLock { $0 })
    guard ahead > allowed else { return }
    let seconds = ahead / 1000 + 1
    throw Failure(
      "nothing is signed",
      why: "the node says that the ledger's time is \(seconds) s ahead of this machine's clock, and "
        + "what is signed for then could be executed until then, whatever is decided before",
      remedy: "set this machine's clock right; where it is, and consilium status of another hospital's node says the "
        + "same, give --ledger-ahead \(seconds + 60)", status: ExitStatus.refused)
  }

  /// By how much the ledger's time is ahead of this machine's, as a node said.
  private static let ahead = Mutex(UInt64(0))
  /// By how much it may be, as who signs said.
  private static let allowed = Mutex(UInt64(0))

  /// Signs for a time that is so far ahead.
  static func allow(aheadSeconds seconds: UInt64) { self.allowed.withLock { $0 = min(seconds, .max / 1000) * 1000 } }

  /// Goes by what a node says of the ledger's time from now on.
  static func follow(_ status: NodeStatus) { self.ahead.withLock { $0 = status.ledgerAheadMilliseconds } }

  static var now: Timestamp { Timestamp(milliseconds: UInt64(max(0, Date().timeIntervalSince1970 * 1000))) }
}

/// Reads identifiers that people give.
func parseDigest(_ text: String, _ what: String) throws -> Digest {
  guard let digest = Hex.decode(text).flatMap({ Digest($0) }) else {
    throw Failure(
      "\(what) \"\(text)\" is no identifier", why: "64 hexadecimal digits are expected", remedy: "copy it whole")
  }
  return digest
}

extension MembershipView {
  /// The configuration that it describes.
  func configuration(orElse fail: (String) -> Failure) throws -> Configuration {
    var retired = ReplicaSet()
    var members: [Member] = []
    for (index, view) in self.members.enumerated() {
      guard let member = MemberFile(view).member else { throw fail("member \(view.number) is malformed") }
      members.append(member)
      if !view.votes { retired.insert(index) }
    }
    guard self.voters > 0, self.voters == members.count - retired.count, members.count <= ReplicaSet.countMax,
      let engine = OrderingEngine(name: self.engine)
    else { throw fail("its members do not fit together") }
    return Configuration(
      number: ConfigurationNumber(self.configuration), engine: engine, start: SequenceNumber(max(1, self.start)),
      members: members, retired: retired)
  }
}
