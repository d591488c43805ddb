internal import ArgumentParser
internal import Dispatch
internal import Foundation
internal import Laboratory
internal import Synchronization

/// `consilium-sim sweep`
struct SweepCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sweep", abstract: "Run a scenario over a grid of values: a table with a row a point.",
    discussion: """
      Examples:
        consilium-sim sweep Simulations/scenarios/campus.toml --over members.count=4,7,10 \\
          --over "workload.rate=100/s,1000/s" --seeds 3 --out results/size
        consilium-sim sweep FILE --over ... --out DIR --to slurm > sweep.sbatch
      A sweep that was interrupted goes on where it stopped; results of several machines in one folder merge, for each
      is named after what it ran: scenario, settings, seed and program. Another program runs its points again.
      --to slurm prints a job array, --to parallel lines for GNU parallel.
      """)
  @Argument(help: "The scenario file.") var file: String
  @Option(help: "path=value,value,…; may be repeated.") var over: [String] = []
  @Option(help: "Seeds at each point.") var seeds: UInt64 = 1
  @Option(help: "The folder for the results.") var out: String
  @Option(help: "Points at once.") var jobs = 2
  @Option(help: "here, slurm or parallel.") var to = "here"
  @Option(help: "Only the point of this number, from 0: what job arrays call.") var point: Int?

  func run() throws {
    let text = try ScenarioFolder.text(self.file)
    let sweep: Sweep
    do { sweep = try Sweep(scenario: text, grid: self.over, seeds: self.seeds) } catch {
      tell("\(error)")
      throw ExitCode(65)
    }
    let folder = URL(filePath: self.out)
    switch self.to {
    case "here": try self.runHere(sweep, folder)
    case "slurm", "parallel": self.printJobs(sweep)
    default: throw ValidationError("--to is here, slurm or parallel")
    }
  }

  private func command(_ number: String) -> String {
    let axes = self.over.map { "--over '\($0)'" }.joined(separator: " ")
    return "consilium-sim sweep '\(self.file)' \(axes) --seeds \(self.seeds) --out '\(self.out)' --point \(number)"
  }

  private func printJobs(_ sweep: Sweep) {
    if self.to == "parallel" {
      for number in sweep.points.indices { say(self.command("\(number)")) }
      return
    }
    say(
      """
      #!/bin/sh
      #SBATCH --array=0-\(sweep.points.count - 1)
      #SBATCH --cpus-per-task=1
      \(self.command("\"$SLURM_ARRAY_TASK_ID\""))
      """)
  }

  private func runHere(_ sweep: Sweep, _ folder: URL) throws {
    if let point {
      guard sweep.points.indices.contains(point) else {
        throw ValidationError("--point is from 0 to \(sweep.points.count - 1)")
      }
      try sweep.run(sweep.points[point], in: folder)
    } else {
      let missing = sweep.missing(in: folder)
      if missing.count < sweep.points.count { tell("\(sweep.points.count - missing.count) points are there already.") }
      let done = Mutex((count: 0, failure: String?.none))
      let begun = ContinuousClock.now
      let interrupt = Interrupt()
      let state = interrupt.state
      DispatchQueue.concurrentPerform(iterations: self.jobs) { job in
        for place in stride(from: job, to: missing.count, by: self.jobs) where !state.isAsked {
          do { try sweep.run(missing[place], in: folder) } catch { done.withLock { $0.failure = "\(error)" } }
          let count = done.withLock { done in
            done.count += 1
            return done.count
          }
          let left = (ContinuousClock.now - begun) / .seconds(1) / Double(count) * Double(missing.count - count)
          tell("\(count) of \(missing.count) points, \(Int(left)) s left")
        }
      }
      withExtendedLifetime(interrupt) {}
      if let failure = done.withLock({ $0.failure }) {
        tell("A point failed: \(failure)")
        throw ExitCode(70)
      }
    }
    let (count, holding) = try sweep.collect(in: folder)
    say("\(count) of \(sweep.points.count) points are in \(self.out)/sweep.csv")
    if holding < count {
      tell("At \(count - holding) of them something that the scenario expects did not hold: column holds.")
    }
  }
}

/// `consilium-sim compare`
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare", abstract: "Put two runs beside each other: every metric, with the ratio.",
    discussion: "Example:\n  consilium-sim compare results/before results/after")
  @Argument(help: "The folder of one run.") var one: String
  @Argument(help: "The folder of the other.") var other: String

  func run() throws {
    let (one, other) = (try Self.read(self.one), try Self.read(self.other))
    if one.build != other.build {
      let (before, after) = (one.build?.description ?? "not recorded", other.build?.description ?? "not recorded")
      say("program: \(before) → \(after)")
    }
    let changed = one.parameters.filter { parameter in
      other.parameters.first { $0.path == parameter.path }?.value != parameter.value
    }
    for parameter in changed {
      let value = other.parameters.first { $0.path == parameter.path }?.value ?? "–"
      say("\(parameter.path): \(parameter.value) → \(value)")
    }
    let width = (one.metrics.map(\.name.count).max() ?? 0) + 2
    func pad(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(1, width - text.count))
    }
    for metric in one.metrics {
      let value = other.metric(metric.name)
      let ratio = value.map { metric.value == 0 ? "" : "× \(Quantity.digits($0 / metric.value))" } ?? ""
      say(
        pad(metric.name, width) + pad("\(Quantity.digits(metric.value)) \(metric.unit)", 24)
          + pad(value.map { "\(Quantity.digits($0)) \(metric.unit)" } ?? "–", 24) + ratio)
    }
    if one.trace == other.trace { say("The traces are equal: the two runs are one and the same.") }
  }

  /// The result in a folder; clear words where there is none.
  static func read(_ folder: String) throws -> ScenarioResult {
    do { return try Tables.read(URL(filePath: folder)) } catch {
      tell("\(folder) holds no result: run consilium-sim run FILE --out \(folder) first.")
      throw ExitCode(66)
    }
  }
}

/// `consilium-sim report`
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "Make report.html of a run's folder anew.")
  @Argument(help: "The folder of a run.") var folder: String

  func run() throws {
    let result = try CompareCommand.read(self.folder)
    try Tables.write(result, to: URL(filePath: self.folder))
    say("\(self.folder)/report.html")
  }
}
