internal import ArgumentParser
internal import Dispatch
internal import Foundation
internal import Messages
internal import Primitives
internal import Simulator
internal import Synchronization

/// `consilium-sim canaries`
struct CanariesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "canaries",
    abstract: "Plant bugs one by one and see how many seeds the swarm needs to find each.",
    discussion: """
      Only a build made by Scripts/canaries contains the bugs; this command says so in any other.
      Examples:
        Scripts/canaries                       build, then find every one
        consilium-sim canaries --only quorumOffByOne --seeds 2000
        Scripts/canaries --known Simulations/README.md --seeds 24
                                               first the seed that the table gives for each
      """)
  @Option(help: "The most seeds for each.") var seeds: UInt64 = 400
  @Option(help: "Canaries at once, each in a process of its own.") var jobs = 2
  @Option(help: "Only these, separated by commas.") var only: String?
  @Flag(help: "Print the table in Markdown.") var table = false
  @Option(help: "Fine where at least so many are found; all must be where not given.") var atLeast: Int?
  @Option(help: "A table as --table prints it: for each, the seed that it gives is tried first.") var known: String?
  @Option(help: .hidden) var plant: String?
  @Option(help: .hidden) var first: UInt64?

  func run() throws {
    guard Canary.isCompiledIn else {
      say("This build contains no canaries: run Scripts/canaries, which makes one that does.")
      throw ExitCode(64)
    }
    if let plant { return try self.hunt(plant) }
    let names =
      try self.only.map { try $0.split(separator: ",").map { try Self.canary(String($0)) } } ?? Canary.allCases
    let known = try self.known.map { try Self.seeds(inTable: $0) } ?? [:]
    let results = Mutex<[String: String]>([:])
    DispatchQueue.concurrentPerform(iterations: self.jobs) { job in
      for (place, canary) in names.enumerated() where place % self.jobs == job {
        let result = Self.hunt(canary, first: known[canary.rawValue], seeds: self.seeds)
        results.withLock { $0[canary.rawValue] = result }
        say("\(canary.rawValue): \(result)")
      }
    }
    let held = results.withLock { $0 }
    if self.table {
      say("\n| Planted bug | Seeds until found, and as what |\n|---|---|")
      for canary in names { say("| `\(canary.rawValue)` | \(held[canary.rawValue] ?? "") |") }
    }
    let missed = names.filter { held[$0.rawValue]?.hasPrefix("not found") ?? true }
    say("\(names.count - missed.count) of \(names.count) found within \(self.seeds) seeds each")
    if self.known != nil {
      let stale = names.filter { known[$0.rawValue] != Self.seed(of: held[$0.rawValue] ?? "") }.map(\.rawValue)
      if !stale.isEmpty { say("The table is no longer right for \(stale.joined(separator: ", ")).") }
    }
    guard names.count - missed.count >= self.atLeast ?? names.count else { throw ExitCode(1) }
  }

  /// How long one may take.
  private static let secondsMax = 400.0

  private static func canary(_ name: String) throws -> Canary {
    guard let canary = Canary(rawValue: name) else {
      throw ValidationError(
        "there is no canary \(name); they are \(Canary.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return canary
  }

  /// The seed that a result, or a table's row without its name, begins with.
  private static func seed(of result: some StringProtocol) -> UInt64? {
    UInt64(result.drop { $0 == " " }.prefix { $0.isNumber })
  }

  /// The seeds of a table's rows, "| `name` | seed | …" or "| `name` | seed: …".
  private static func seeds(inTable path: String) throws -> [String: UInt64] {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw ValidationError("\(path) cannot be read; give the file that holds the table")
    }
    var seeds: [String: UInt64] = [:]
    for line in text.split(separator: "\n") {
      let cells = line.split(separator: "|")
      guard cells.count >= 2, let seed = self.seed(of: cells[1]) else { continue }
      seeds[cells[0].trimmingCharacters(in: CharacterSet(charactersIn: " `"))] = seed
    }
    return seeds
  }

  /// In a process of its own, because a planted bug may well trap, which counts as found.
  private static func hunt(_ canary: Canary, first: UInt64?, seeds: UInt64) -> String {
    let process = Process()
    process.executableURL = URL(filePath: CommandLine.arguments[0])
    process.arguments =
      ["canaries", "--plant", canary.rawValue, "--seeds", "\(seeds)"] + (first.map { ["--first", "\($0)"] } ?? [])
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    // Its own backtrace would take seconds and tell nothing that the seed does not.
    process.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
    do { try process.run() } catch { return "not found: \(error)" }
    let alarm = DispatchWorkItem { process.terminate() }
    DispatchQueue.global().asyncAfter(deadline: .now() + self.secondsMax, execute: alarm)
    defer { alarm.cancel() }
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    let lines = output.split(separator: "\n")
    if process.terminationReason == .uncaughtSignal, process.terminationStatus == SIGTERM {
      return "not found in \(Int(self.secondsMax)) s"
    }
    if process.terminationReason == .uncaughtSignal {
      return "\(lines.last.map(String.init) ?? "?") a precondition stopped the node"
    }
    return lines.last.map(String.init) ?? "not found: no answer"
  }

  private func hunt(_ name: String) throws {
    #if CANARIES
      let canary = try Self.canary(name)
      Canary.current = canary
      let engine = canary.isInRaft ? OrderingEngine.raft : .pbft
      for seed in (self.first.map { [$0] } ?? []) + Array(1...self.seeds) where getppid() != 1 {
        // Told before it runs, so that a trap is not without a seed.
        say("\(seed):")
        if let failure = SwarmRun(seed: seed, plan: SwarmRun.plan(seed: seed, engine: engine)).run().failure {
          say("\(seed): \(failure)")
          return
        }
      }
      say("not found in \(self.seeds) seeds")
    #endif
  }
}
