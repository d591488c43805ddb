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
      """)
  @Option(help: "The most seeds for each.") var seeds: UInt64 = 400
  @Option(help: "Canaries at once, each in a process of its own.") var jobs = 2
  @Option(help: "Only these, separated by commas.") var only: String?
  @Flag(help: "Print the table in Markdown.") var table = false
  @Option(help: "Fine where at least so many are found; all must be where not given.") var atLeast: Int?
  @Option(help: .hidden) var plant: String?

  func run() throws {
    guard Canary.isCompiledIn else {
      say("This build contains no canaries: run Scripts/canaries, which makes one that does.")
      throw ExitCode(64)
    }
    if let plant { return try self.hunt(plant) }
    let names =
      try self.only.map { try $0.split(separator: ",").map { try Self.canary(String($0)) } } ?? Canary.allCases
    let results = Mutex<[String: String]>([:])
    DispatchQueue.concurrentPerform(iterations: self.jobs) { job in
      for (place, canary) in names.enumerated() where place % self.jobs == job {
        let result = Self.hunt(canary, seeds: self.seeds)
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

  /// In a process of its own, because a planted bug may well trap, which counts as found.
  private static func hunt(_ canary: Canary, seeds: UInt64) -> String {
    let process = Process()
    process.executableURL = URL(filePath: CommandLine.arguments[0])
    process.arguments = ["canaries", "--plant", canary.rawValue, "--seeds", "\(seeds)"]
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
      for seed in 1...self.seeds where getppid() != 1 {
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
