internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import NIOHTTP1
internal import Primitives
internal import Signing
internal import Wire

/// `consilium bench records`
struct RecordsBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "records", abstract: "Measure records: custody, the FHIR interface, encryption.",
    discussion: """
      Example:
        consilium bench records --resources 20000 --output json
      Opening a record of another hospital; creating FHIR resources one by one and in transactions, each sealed, copied
      to other vaults and anchored before it is acknowledged; reading and searching them. Nodes and clients share this
      machine's processors. Build with -c release.
      """)
  @Option(help: "How many hospitals.") var nodes = 4
  @Option(help: "How often each thing is done alone.") var samples = 200
  @Option(help: "How many resources are written by transactions, and searched.") var resources = 10_000
  @Option(help: "Resources in a transaction.") var batch = 500
  @Option(help: "The folder to use; it is made and deleted.") var folder = ".devnet-bench"
  @Option(help: "The first node's port; the FHIR ports begin 100 above.") var port: UInt16 = 4701
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await reporting {
      guard self.nodes > 0, self.samples > 0, self.resources > 0, self.batch > 0, self.port < 65_000 else {
        throw Failure("cannot measure that", why: "a number is too small", remedy: "all are at least 1")
      }
      let options = try DevnetOptions.parse([
        "--folder", self.folder, "--port", "\(self.port)", "--hospitals", "\(self.nodes)", "--fhir-port",
        "\(self.port + 100)",
      ])
      let devnet = try options.devnet()
      try await devnet.down()
      try devnet.delete()
      try await devnet.up()
      do {
        let result = try await self.measure(devnet)
        try await devnet.down()
        try devnet.delete()
        try self.show(result)
      } catch {
        try? await devnet.down()
        throw error
      }
    }
  }

  private func measure(_ devnet: DevnetFolder) async throws -> RecordsResult {
    let load = try await RecordsLoad(devnet: devnet, fhirPort: Int(self.port) + 100)
    self.say("opening a record of another hospital …")
    let opened = try await load.open(count: self.samples)
    self.say("creating resources one by one …")
    let created = try await load.create(count: self.samples)
    self.say("transactions of \(self.batch) …")
    let perSecond = try await load.transactions(of: self.batch, count: self.resources)
    self.say("reading and searching …")
    return RecordsResult(
      nodes: self.nodes, resources: self.resources, resourcesPerSecond: perSecond,
      latencyMilliseconds: [
        "open": opened, "create": created, "read": try await load.read(count: self.samples),
        "search": try await load.search(count: self.samples),
      ], sealedMebibytesPerSecond: RecordsLoad.sealingRate())
  }

  private func say(_ text: String) { if self.output.output == .table { Console.error(text) } }

  private func show(_ result: RecordsResult) throws {
    if self.output.output == .json { return try Console.json(result) }
    func row(_ what: String, _ name: String) -> [String] {
      let latency = result.latencyMilliseconds[name]
      return [what, latency.map { "p50 \($0.p50) ms, p99 \($0.p99) ms (\($0.count) samples)" } ?? ""]
    }
    Console.table(
      ["what", "value"],
      [
        row("opening another hospital's record, beyond the request's commit", "open"),
        row("creating a FHIR resource, anchored before the answer", "create"),
        ["resources a second in transactions, anchored", "\(Int(result.resourcesPerSecond))"],
        row("reading a FHIR resource", "read"),
        row("searching \(result.resources) resources", "search"),
        ["encryption on one core", "\(Int(result.sealedMebibytesPerSecond)) MiB/s"],
      ])
  }
}

/// What was measured.
struct RecordsResult: Codable, Sendable {
  var nodes: Int
  var resources: Int
  var resourcesPerSecond: Double
  var latencyMilliseconds: [String: LatencySummary]
  var sealedMebibytesPerSecond: Double
}

/// A patient and a clinician at the first hospital of a devnet, and its FHIR interface.
struct RecordsLoad {
  private let devnet: DevnetFolder
  private let genesis: Genesis
  private let base: String
  private let reader: PersonKeys
  private let patient: Digest
  /// The patient's resource.
  private let subject: String
  private let record: Digest

  init(devnet: DevnetFolder, fhirPort: Int) async throws {
    (self.devnet, self.base) = (devnet, "http://127.0.0.1:\(fhirPort)/fhir")
    let genesis = try GenesisFile.read(devnet.genesis)
    self.genesis = genesis
    let word = try PassphraseOptions.read(devnet.passphrase)
    let registrar = try KeyFile.registrar(devnet.member(0).registrar, passphrase: word)
    func person(_ kind: AccountKind) async throws -> (PersonKeys, Digest) {
      let keys = PersonKeys(signingSeed: SecureRandom.bytes(32), sealingSecret: SecureRandom.bytes(32))
      let account = try await devnet.register(
        keys, kind: kind, role: 1, at: 0, genesis: genesis, registrar: registrar)
      return (keys, account)
    }
    self.patient = try await person(.patient).1
    self.reader = try await person(.practitioner).0
    let body =
      #"{"resourceType":"Patient","identifier":[{"system":"urn:consilium:account","value":"\#(self.patient)"}]}"#
    let made = try await FHIRClient.ask(self.base + "/Patient", .POST, body)
    guard let record = made.record.flatMap({ Hex.decode($0) }).flatMap({ Digest($0) }), let id = made.id else {
      throw Failure("no patient", why: "the FHIR interface did not anchor it", remedy: "see consilium devnet logs")
    }
    (self.record, self.subject) = (record, "Patient/\(id)")
  }

  private func observation(_ number: Int) -> String {
    #"{"resourceType":"Observation","status":"final","subject":{"reference":"\#(self.subject)"},"#
      + #""code":{"coding":[{"system":"http://loinc.org","code":"\#(8000 + number % 200)-1"}]},"#
      + #""effectiveDateTime":"2026-01-02T03:04:05Z","valueQuantity":{"value":\#(number).50,"unit":"mmol/L"}}"#
  }

  private func timed(_ count: Int, _ body: (Int) async throws -> Void) async throws -> LatencySummary {
    var durations: [Duration] = []
    for number in 0..<(count + 10) {
      let begun = ContinuousClock.now
      try await body(number)
      if number >= 10 { durations.append(ContinuousClock.now - begun) }
    }
    return LatencySummary(durations)
  }

  /// From the moment at which the reader knows that its request is granted until it has the record in the clear.
  func open(count: Int) async throws -> LatencySummary {
    let client = self.devnet.client(0)
    var durations: [Duration] = []
    for number in 0..<(count + 10) {
      let secret = SecureRandom.bytes(32)
      let request = AccessRequest(
        patient: self.patient, records: [self.record], purpose: .treatment, reason: 0,
        ephemeralKey: Digest(KeyAgreement.publicKey(of: secret), at: 0))
      let transaction = try Drafts.transaction(
        .requestAccess, request, genesis: self.genesis, hospital: MemberID(1), signedBy: self.reader.signingSeed)
      let receipt = try await client.submit(transaction)
      guard receipt.applied else {
        throw Failure("the request was denied", why: receipt.outcome, remedy: "report this", status: ExitStatus.refused)
      }
      let begun = ContinuousClock.now
      let fetched = try await Reading.fetch(
        request: receipt.transaction, records: [self.record], secret: secret, client: client, genesis: self.genesis)
      for record in fetched { _ = try await record.whole() }
      if number >= 10 { durations.append(ContinuousClock.now - begun) }
    }
    return LatencySummary(durations)
  }

  /// Resources one after another; each is sealed, copied and anchored before the answer.
  func create(count: Int) async throws -> LatencySummary {
    try await self.timed(count) { number in
      let made = try await FHIRClient.ask(self.base + "/Observation", .POST, self.observation(number))
      guard made.record?.count == 64 else {
        throw Failure(
          "a resource is not anchored", why: made.record ?? "no record", remedy: "see consilium devnet logs")
      }
    }
  }

  /// Transactions, two at a time; resources a second.
  func transactions(of size: Int, count: Int) async throws -> Double {
    let bodies = stride(from: 0, to: count, by: size).map { start in
      let entries = (start..<min(start + size, count)).map { number in
        #"{"resource":\#(self.observation(number)),"request":{"method":"POST","url":"Observation"}}"#
      }
      return #"{"resourceType":"Bundle","type":"transaction","entry":[\#(entries.joined(separator: ","))]}"#
    }
    let url = self.base
    let begun = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, body) in bodies.enumerated() {
        if number >= 2 { try await group.next() }
        group.addTask { _ = try await FHIRClient.ask(url, .POST, body) }
      }
      try await group.waitForAll()
    }
    let spent = ContinuousClock.now - begun
    return Double(count) / (Double(spent.components.seconds) + Double(spent.components.attoseconds) / 1e18)
  }

  /// Reads of a resource by its id.
  func read(count: Int) async throws -> LatencySummary {
    try await self.timed(count) { _ in _ = try await FHIRClient.ask(self.base + "/" + self.subject) }
  }

  /// Searches by code and patient, sorted, one page of ten.
  func search(count: Int) async throws -> LatencySummary {
    try await self.timed(count) { number in
      let query = "?subject=\(self.subject)&code=\(8000 + number % 200)-1&_sort=-date&_count=10"
      _ = try await FHIRClient.ask(self.base + "/Observation" + query)
    }
  }

  /// Mebibytes that one core seals in a second, chunk by chunk: the median of some runs.
  static func sealingRate() -> Double {
    let bytes = [UInt8](repeating: 7, count: 64 << 20)
    let rates = (0..<7).map { _ in
      var sealer = SecretStream.Sealer(key: SecureRandom.bytes(SecretStream.keyLengthBytes))
      var sealed = 0
      let begun = ContinuousClock.now
      for start in stride(from: 0, to: bytes.count, by: SecretStream.chunkBytesMax) {
        sealed += sealer.seal(bytes[start..<start + SecretStream.chunkBytesMax], isLast: false).count
      }
      let spent = ContinuousClock.now - begun
      let seconds = Double(spent.components.seconds) + Double(spent.components.attoseconds) / 1e18
      return Double(sealed >> 20) / seconds
    }
    return rates.sorted()[rates.count / 2]
  }
}
