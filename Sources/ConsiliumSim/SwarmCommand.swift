internal import ArgumentParser
internal import Dispatch
internal import Foundation
internal import Messages
internal import Primitives
internal import Simulator
internal import Synchronization

/// Runs seeds side by side.
enum SeedPool {
  /// Calls `body` with each seed from `first` on, on so many threads, until `count` have run or one says stop.
  static func run(from first: UInt64, count: UInt64, jobs: Int, _ body: @Sendable (UInt64) -> Bool) {
    let next = Atomic<UInt64>(first)
    let isStopped = Atomic<Bool>(false)
    DispatchQueue.concurrentPerform(iterations: jobs) { _ in
      while !isStopped.load(ordering: .relaxed) {
        let seed = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard seed < first + count else { return }
        if !body(seed) { isStopped.store(true, ordering: .relaxed) }
      }
    }
  }
}

/// An engine that somebody typed.
enum EngineOption {
  static func read(_ name: String?) throws -> OrderingEngine? {
    guard let name else { return nil }
    guard let engine = OrderingEngine(name: name) else { throw ValidationError("--engine is pbft or raft") }
    return engine
  }
}

/// `consilium-sim swarm`
struct SwarmCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "swarm",
    abstract: "Run many seeds: each draws members, faults and load; a failure prints one line and how to replay it.",
    discussion: """
      Examples:
        consilium-sim swarm --seeds 1000 --jobs 2
        consilium-sim swarm --minutes 10
      Each seed runs the access rules against a naive model, the overlay against hostile peers, and a consortium in a
      safety phase with faults and a liveness phase in which everything must be executed. Checked are agreement (I1,
      I4), that nobody votes or writes twice (I3), validity (I5), that what clients saw stays (I6), liveness (I7),
      bounds (I9), re-execution against a naive ledger (I10), and RECORDS R1, R2.
      --twice runs each seed twice and compares trace digests; --traces FILE writes seed and digest of each, to compare
      with another process, build or machine.
      """)
  @Option(help: "How many seeds.") var seeds: UInt64 = 100
  @Option(help: "Run for so many minutes instead, however many seeds that is.") var minutes: Double?
  @Option(help: "The first seed.") var from: UInt64 = 1
  @Option(help: "Seeds at once.") var jobs = 2
  @Flag(help: "Run each seed twice and compare.") var twice = false
  @Option(help: "pbft or raft for all, instead of the one that each seed draws.") var engine: String?
  @Option(help: "Write each seed's trace digest to this file.") var traces: String?

  func validate() throws {
    guard self.seeds > 0, self.jobs > 0 else { throw ValidationError("--seeds and --jobs are at least 1") }
    if let minutes, minutes <= 0 { throw ValidationError("--minutes is more than 0") }
  }

  private struct Totals {
    var seeds = 0
    var events = 0
    var executed: UInt64 = 0
    var configurations = 0
    var transfers = 0
    var virtual: UInt64 = 0
    var nodes: UInt64 = 0
    var failures = 0
    var traces: [UInt64: String] = [:]
  }

  func run() throws {
    let totals = Mutex(Totals())
    let begun = ContinuousClock.now
    let end = self.minutes.map { begun + .seconds($0 * 60) }
    let engine = try EngineOption.read(self.engine)
    let (twice, keeps) = (self.twice, self.traces != nil)
    SeedPool.run(from: self.from, count: end == nil ? self.seeds : .max / 2, jobs: self.jobs) { seed in
      if let end, ContinuousClock.now >= end { return false }
      let plan = SwarmRun.plan(seed: seed, engine: engine)
      let report = SwarmRun(seed: seed, plan: plan).run()
      let isSame = !twice || SwarmRun(seed: seed, plan: plan).run().trace == report.trace
      totals.withLock { totals in
        totals.seeds += 1
        totals.events += report.events
        totals.executed += report.executed
        totals.configurations += report.configurations
        totals.transfers += report.transfers
        totals.virtual += report.virtual.milliseconds
        totals.nodes += report.virtual.milliseconds * UInt64(report.members)
        if keeps { totals.traces[seed] = report.trace.description }
        guard report.failure != nil || !isSame else { return }
        totals.failures += 1
        say(Self.line(report, isSame: isSame))
      }
      return true
    }
    let seconds = (ContinuousClock.now - begun) / .seconds(1)
    let held = totals.withLock { $0 }
    say(
      "\(held.seeds) seeds, \(held.failures) failed; \(held.events) events, \(held.executed) transactions, "
        + "\(held.configurations) changes of members, \(held.transfers) snapshots gone on from, "
        + "\(held.virtual / 1000) s of virtual time (\(Self.nodeTime(held.nodes))) in \(Int(seconds)) s")
    if let traces {
      let lines = held.traces.keys.sorted().map { "\($0) \(held.traces[$0] ?? "")" }
      try (lines.joined(separator: "\n") + "\n").write(toFile: traces, atomically: true, encoding: .utf8)
    }
    guard held.failures == 0 else { throw ExitCode(1) }
  }

  /// Milliseconds that nodes lived together, in the unit that suits it.
  private static func nodeTime(_ milliseconds: UInt64) -> String {
    milliseconds < 2 * 3_600_000
      ? "\(milliseconds / 60_000) node-minutes" : "\(milliseconds / 3_600_000) node-hours"
  }

  private static func line(_ report: SwarmRun.Report, isSame: Bool) -> String {
    let what = report.failure ?? "I10: two runs of one seed differ"
    return "seed=\(report.seed) tick=\(report.virtual.milliseconds)ms engine=\(report.engine) "
      + "members=\(report.members) "
      + "faults=\(report.faults.joined(separator: ",")) \(isSame ? what : "I10: two runs of one seed differ")\n"
      + "  consilium-sim replay \(report.seed) --engine \(report.engine)"
  }
}
