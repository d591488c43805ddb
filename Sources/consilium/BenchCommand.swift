internal import Wire
internal import NIOHTTP1
internal import NIOCore
internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Signing
internal import Synchronization

extension LoadSigner: ExpressibleByArgument {}

/// `consilium bench`
struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure real nodes on loopback with durable storage.",
    subcommands: [LedgerBench.self, RecordsBench.self])

  struct LedgerBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "ledger", abstract: "Measure the ledger through its public API.",
      discussion: """
        Example:
          consilium bench ledger --nodes 4 --size 256 --seconds 20 --signed-by hospital --output json
        Lone transactions one by one; then as many as possible (closed loop); then half of that rate (open loop).
        Nodes and clients share this machine's processors. Build with -c release.
        """)
    @Option(help: "How many hospitals.") var nodes = 4
    @Option(help: "Bytes of a transaction on the wire.") var size = 256
    @Option(help: "Seconds at full load; half of it at half load.") var seconds = 20
    @Option(help: "hospital: covered by its block's signature; patient: each signed and verified.") var signedBy =
      LoadSigner.hospital
    @Option(help: "Transactions in a request.") var batch = 200
    @Option(help: "Requests under way at each node at full load.") var connections = 8
    @Option(help: "The folder to use; it is made and deleted.") var folder = ".devnet-bench"
    @Option(help: "The first node's port.") var port: UInt16 = 4701
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        guard self.nodes > 0, self.seconds > 0, self.size >= 64, self.batch > 0, self.connections > 0 else {
          throw Failure(
            "cannot measure that", why: "a number is too small", remedy: "--size is at least 64, all others at least 1")
        }
        let options = try DevnetOptions.parse([
          "--folder", self.folder, "--port", "\(self.port)", "--hospitals", "\(self.nodes)",
        ])
        let devnet = try options.devnet()
        try await devnet.down()
        try devnet.delete()
        try await devnet.up()
        do {
          var result = try await self.measure(devnet)
          try await devnet.down()
          try await devnet.up()
          let restarted = await devnet.statuses()
          result.restartMilliseconds = restarted.map(\.startMilliseconds).max() ?? 0
          result.logSize = restarted.map(\.logSize).max() ?? 0
          try await devnet.down()
          try devnet.delete()
          try self.show(result)
        } catch {
          try? await devnet.down()
          throw error
        }
      }
    }

    private func measure(_ devnet: DevnetFolder) async throws -> BenchResult {
      let genesis = try GenesisFile.read(devnet.genesis)
      let bench = LedgerLoad(
        devnet: devnet, genesis: genesis, signer: self.signedBy, size: self.size, batch: self.batch)
      self.say("lone transactions …")
      let lone = try await bench.lone(count: 200)
      self.say("full load …")
      let before = await devnet.statuses()
      let full = try await bench.closedLoop(seconds: self.seconds, connections: self.connections)
      let after = await devnet.statuses()
      self.say("half load …")
      let half = try await bench.openLoop(seconds: max(1, self.seconds / 2), perSecond: full.perSecond / 2)
      return BenchResult(
        nodes: self.nodes, sizeBytes: self.size, seconds: self.seconds, signedBy: self.signedBy.rawValue,
        committed: full.count, committedPerSecond: full.perSecond,
        latencyMilliseconds: ["full": full.latency, "half": half.latency, "lone": lone.latency],
        halfLoadPerSecond: half.perSecond,
        cpuMicrosecondsPerTransaction: Self.growth(before, after) { Double($0.cpuMicroseconds) }
          / Double(max(1, full.count)),
        bytesPerTransaction: [
          "disk": Self.growth(before, after) { Double($0.diskBytes) } / Double(max(1, full.count)),
          "wire": Self.growth(before, after) { Double($0.sentBytes) } / Double(max(1, full.count)),
        ],
        residentBytesMax: after.map(\.residentBytes).max() ?? 0, height: after.map(\.height).max() ?? 0)
    }

    private static func growth(_ before: [NodeStatus], _ after: [NodeStatus], _ of: (NodeStatus) -> Double) -> Double {
      zip(before, after).reduce(0) { $0 + of($1.1) - of($1.0) }
    }

    private func say(_ text: String) { if self.output.output == .table { Console.error(text) } }

    private func show(_ result: BenchResult) throws {
      if self.output.output == .json { return try Console.json(result) }
      func row(_ name: String, _ latency: LatencySummary?) -> [String] {
        [name, latency.map { "p50 \($0.p50) ms, p95 \($0.p95) ms, p99 \($0.p99) ms (\($0.count) samples)" } ?? ""]
      }
      Console.table(
        ["what", "value"],
        [
          [
            "committed per second",
            "\(Int(result.committedPerSecond)) (\(result.signedBy)-signed, \(result.sizeBytes) B)",
          ],
          row("latency, lone", result.latencyMilliseconds["lone"]),
          row("latency, half load (\(Int(result.halfLoadPerSecond))/s)", result.latencyMilliseconds["half"]),
          row("latency, full load", result.latencyMilliseconds["full"]),
          ["processor time a transaction, all nodes", "\(Int(result.cpuMicrosecondsPerTransaction)) µs"],
          ["bytes a transaction, all nodes: disk", "\(Int(result.bytesPerTransaction["disk"] ?? 0))"],
          ["bytes a transaction, all nodes: wire", "\(Int(result.bytesPerTransaction["wire"] ?? 0))"],
          ["start with \(result.logSize) executed transactions", "\(result.restartMilliseconds) ms"],
          ["largest node's memory", "\(result.residentBytesMax >> 20) MiB"],
        ])
    }
  }
}

/// Latencies in milliseconds.
struct LatencySummary: Codable, Sendable {
  var p50: Double
  var p95: Double
  var p99: Double
  var max: Double
  var count: Int

  init(_ samples: [Duration]) {
    let sorted = samples.map { Double($0.components.seconds) * 1000 + Double($0.components.attoseconds) / 1e15 }
      .sorted()
    func percentile(_ part: Double) -> Double {
      guard !sorted.isEmpty else { return 0 }
      let value = sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]
      return (value * 100).rounded() / 100
    }
    (self.p50, self.p95, self.p99, self.max) = (percentile(0.5), percentile(0.95), percentile(0.99), percentile(1))
    self.count = sorted.count
  }
}

/// What was measured.
struct BenchResult: Codable, Sendable {
  var nodes: Int
  var sizeBytes: Int
  var seconds: Int
  var signedBy: String
  var committed: Int
  var committedPerSecond: Double
  var latencyMilliseconds: [String: LatencySummary]
  var halfLoadPerSecond: Double
  var cpuMicrosecondsPerTransaction: Double
  var bytesPerTransaction: [String: Double]
  var residentBytesMax: UInt64
  var height: UInt64
  /// How long the slowest node took to start again, with so many executed transactions.
  var restartMilliseconds: UInt64 = 0
  var logSize: UInt64 = 0
}

/// Drives a devnet's nodes and takes the time.
struct LedgerLoad: Sendable {
  struct Phase {
    let count: Int
    let perSecond: Double
    let latency: LatencySummary
  }

  private final class Samples: Sendable {
    private struct State {
      var durations: [Duration] = []
      var count = 0
    }
    private let state = Mutex(State())
    func add(_ duration: Duration, count: Int) {
      self.state.withLock { state in
        state.durations.append(duration)
        state.count += count
      }
    }
    var all: (durations: [Duration], count: Int) { self.state.withLock { ($0.durations, $0.count) } }
  }

  let devnet: DevnetFolder
  let genesis: Genesis
  let signer: LoadSigner
  let size: Int
  let batch: Int

  private func factory(_ index: Int) -> LoadFactory {
    LoadFactory(
      genesis: self.genesis, hospital: MemberID(UInt32(index + 1)), sizeBytes: self.size, signer: self.signer,
      run: .random(in: 0 ... .max))
  }

  private static let personSeed = [UInt8](repeating: 7, count: 32)

  /// Batches made before the clock starts: signing is the client's work, not the ledger's.
  private func batches(_ count: Int, at index: Int) async -> [[UInt8]] {
    let (factory, size) = (self.factory(index), self.batch)
    return await Task.detached {
      (0..<count).map { number in
        LoadFactory.batch(
          (0..<size).map { factory.transaction(UInt64(number * size + $0), seed: Self.personSeed) })
      }
    }.value
  }

  private static func send(_ body: [UInt8], _ client: NodeClient) async throws -> Int {
    let bytes = try await client.send(
      .POST, "/v1/transactions/batch", body, accept: "application/octet-stream", timeout: .seconds(60))
    return try BatchAnswer(bytes).receipts.count { $0.outcome == 0 }
  }

  func lone(count: Int) async throws -> Phase {
    let factory = self.factory(0)
    let client = self.devnet.client(0)
    var durations: [Duration] = []
    for number in 0..<(count + 20) {
      let bytes = factory.transaction(UInt64(number), seed: Self.personSeed).encoded
      let begun = ContinuousClock.now
      let receipt: ReceiptView = try await client.post("/v1/transactions", bytes)
      guard receipt.applied else {
        throw Failure(
          "a transaction was refused", why: receipt.outcome, remedy: "report this", status: ExitStatus.refused)
      }
      if number >= 20 { durations.append(ContinuousClock.now - begun) }
    }
    return Phase(count: count, perSecond: 0, latency: LatencySummary(durations))
  }

  /// Each connection sends its next batch when the last one is committed.
  func closedLoop(seconds: Int, connections: Int) async throws -> Phase {
    let samples = Samples()
    let perConnection = max(
      4, (self.signer == .hospital ? 80_000 : 15_000) * seconds / self.batch / self.devnet.count / connections)
    var prepared: [[[UInt8]]] = []
    for index in 0..<self.devnet.count {
      let all = await self.batches(perConnection * connections, at: index)
      for start in stride(from: 0, to: all.count, by: perConnection) {
        prepared.append(Array(all[start..<min(start + perConnection, all.count)]))
      }
    }
    let begun = ContinuousClock.now
    let end = begun + .seconds(seconds)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, batches) in prepared.enumerated() {
        let client = self.devnet.client(number / connections)
        group.addTask {
          for body in batches {
            let start = ContinuousClock.now
            guard start < end else { return }
            let count = try await Self.send(body, client)
            samples.add(ContinuousClock.now - start, count: count)
          }
        }
      }
      try await group.waitForAll()
    }
    let spent = ContinuousClock.now - begun
    let all = samples.all
    let elapsed = Double(spent.components.seconds) + Double(spent.components.attoseconds) / 1e18
    return Phase(count: all.count, perSecond: Double(all.count) / elapsed, latency: LatencySummary(all.durations))
  }

  /// Batches leave on a schedule, whatever became of those before; latency counts from the scheduled time.
  func openLoop(seconds: Int, perSecond: Double) async throws -> Phase {
    let samples = Samples()
    let size = max(1, min(self.batch, Int(perSecond / 200)))
    let batchesPerSecond = max(1, perSecond / Double(size))
    let count = Int(batchesPerSecond * Double(seconds))
    let load = LedgerLoad(devnet: self.devnet, genesis: self.genesis, signer: self.signer, size: self.size, batch: size)
    var prepared: [[[UInt8]]] = []
    for index in 0..<self.devnet.count { prepared.append(await load.batches(count / self.devnet.count + 1, at: index)) }
    let all = prepared
    let begun = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<count {
        let due = begun + .nanoseconds(Int64(Double(number) / batchesPerSecond * 1e9))
        try await Task.sleep(until: due, clock: .continuous)
        let (index, place) = (number % self.devnet.count, number / self.devnet.count)
        let client = self.devnet.client(index)
        group.addTask {
          let done = try await Self.send(all[index][place], client)
          samples.add(ContinuousClock.now - due, count: done)
        }
      }
      try await group.waitForAll()
    }
    let spent = ContinuousClock.now - begun
    let (durations, committed) = samples.all
    let elapsed = Double(spent.components.seconds) + Double(spent.components.attoseconds) / 1e18
    return Phase(count: committed, perSecond: Double(committed) / elapsed, latency: LatencySummary(durations))
  }
}
