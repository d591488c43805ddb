internal import ArgumentParser
internal import Foundation
internal import Laboratory
internal import Simulator
internal import Synchronization

/// Where the project keeps its scenarios.
enum ScenarioFolder {
  static let path = Self.find("Simulations/scenarios")

  /// A folder of the project: from here, or else as seen from where the program was built.
  private static func find(_ folder: String) -> String {
    func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
    if isThere(folder) { return folder }
    var place = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    while place.count > 1 {
      place = (place as NSString).deletingLastPathComponent
      if isThere("\(place)/\(folder)") { return "\(place)/\(folder)" }
    }
    return folder
  }

  /// A file's text; where there is none, words that say so.
  static func text(_ path: String) throws -> String {
    guard let data = FileManager.default.contents(atPath: path) else {
      tell("There is no file \(path). consilium-sim list shows the scenarios that there are.")
      throw ExitCode(66)
    }
    return String(decoding: data, as: UTF8.self)
  }

  /// A file's scenario; every mistake in it is told at once.
  static func read(_ path: String, settings: [String]) throws -> Scenario {
    let text = try self.text(path)
    do throws(ScenarioMistakes) {
      return Scenario(try ScenarioFile(text, settings: settings))
    } catch {
      for mistake in error.mistakes { tell("\(path): \(mistake)") }
      tell(
        "\(error.mistakes.count) mistake\(error.mistakes.count == 1 ? "" : "s"); consilium-sim explain lists the keys.")
      throw ExitCode(65)
    }
  }
}

/// `consilium-sim run`
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Simulate a scenario: a summary, and with --out tables and a report.",
    discussion: """
      Examples:
        consilium-sim run Simulations/scenarios/campus.toml
        consilium-sim run Simulations/scenarios/primary-crash.toml --seed 7 --out results/crash
        consilium-sim run FILE --set workload.rate=500/s --set members.count=7
      --out leaves transactions, blocks, samples, events, traffic and summary as CSV and NDJSON, result.json with the
      program that made it, run.json (when, where, how long), the scenario, and report.html, one page that opens without
      a network. A folder that holds a result is written over only with --replace. Ctrl-C ends the run early and leaves
      what there is. Exit code 1 where an invariant or an expectation of the scenario did not hold.
      """)
  @Argument(help: "The scenario file.") var file: String
  @Option(help: "Another seed than the file's.") var seed: UInt64?
  @Option(name: .customLong("set"), help: "path=value over what the file says; may be repeated.") var settings:
    [String] = []
  @Option(help: "A folder for tables and the report.") var out: String?
  @Flag(help: "Write over a result that is in the folder.") var replace = false
  @Option(help: "text or json.") var output = "text"

  func run() throws {
    let scenario = try ScenarioFolder.read(
      self.file, settings: self.settings + (self.seed.map { ["seed=\($0)"] } ?? []))
    let folder = self.out.map { URL(filePath: $0) }
    if let folder, let obstacle = Tables.obstacle(at: folder, isReplacing: self.replace) {
      tell(obstacle)
      throw ExitCode(73)
    }
    let run = ScenarioRun(scenario)
    let (begun, date) = (ContinuousClock.now, Date())
    let interrupt = Interrupt()
    while !interrupt.isAsked, run.advance() { Self.progress(run, since: begun) }
    let result = run.result()
    let record = RunRecord(
      begun: date, wallSeconds: (ContinuousClock.now - begun) / .seconds(1), events: run.cluster.eventCount)
    if let folder, let out {
      try Tables.write(run, result, to: folder)
      try Tables.write(record, to: folder)
      tell("Tables and the report are in \(out); open \(out)/report.html")
    }
    if self.output == "json" {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      say(String(decoding: try encoder.encode(result.metrics), as: UTF8.self))
    } else {
      say(Summary.text(result, record))
    }
    guard result.holds else { throw ExitCode(1) }
  }

  /// One line that changes, where a person looks on.
  private static func progress(_ run: ScenarioRun, since begun: ContinuousClock.Instant) {
    let seconds = (ContinuousClock.now - begun) / .seconds(1)
    guard seconds > 2, isatty(2) == 1 else { return }
    let left = seconds / max(0.001, run.progress) - seconds
    let rate = Double(run.cluster.eventCount) / seconds
    let line =
      "\r\(Int(run.progress * 100)) %, \(Quantity.digits(rate / 1000)) k events/s, \(Int(left)) s left        "
    FileHandle.standardError.write(Data(line.utf8))
  }
}

/// Ctrl-C asked for an end: the first is noted, the second ends the process as usual.
final class Interrupt {
  /// Whether somebody asked; threads share it.
  final class State: Sendable {
    private let asked = Atomic<Bool>(false)
    var isAsked: Bool { self.asked.load(ordering: .relaxed) }
    /// Notes it; whether it was noted before.
    func ask() -> Bool { self.asked.exchange(true, ordering: .relaxed) }
  }

  let state = State()
  private let source: any DispatchSourceSignal

  init() {
    signal(SIGINT, SIG_IGN)
    self.source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    let state = self.state
    self.source.setEventHandler {
      if state.ask() { exit(130) }
      tell("\nStopping; what there is will be kept. Once more ends at once.")
    }
    self.source.resume()
  }

  var isAsked: Bool { self.state.isAsked }
}

/// A result in a few lines.
enum Summary {
  static func text(_ result: ScenarioResult, _ record: RunRecord) -> String {
    var lines = [result.title + (result.isPartial ? " (stopped before its end)" : "")]
    let width = (result.metrics.map(\.name.count).max() ?? 0) + 2
    for metric in result.metrics {
      let name = metric.name + String(repeating: " ", count: width - metric.name.count)
      lines.append("  \(name)\(Quantity.digits(metric.value)) \(metric.unit)")
    }
    let rate = Quantity.digits(record.eventsPerWallSecond.rounded())
    lines.append("  took \(Quantity.digits(record.wallSeconds)) s, \(rate) events/s")
    for occurrence in result.occurrences.filter(\.isFault).prefix(12) {
      let who = occurrence.member.map { "member \($0) " } ?? ""
      lines.append("  at \(Quantity.digits(occurrence.at / 1000)) s: \(who)\(occurrence.what)")
    }
    for note in result.notes ?? [] { lines.append("  note: \(note)") }
    for verdict in result.verdicts {
      lines.append("  \(verdict.holds ? "holds:        " : "DOES NOT HOLD:") \(verdict.what) (\(verdict.seen))")
    }
    return lines.joined(separator: "\n")
  }
}

/// `consilium-sim check`
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Say what is wrong with scenario files: all mistakes, with line, key and remedy.",
    discussion: "Example:\n  consilium-sim check Simulations/scenarios/*.toml")
  @Argument(help: "Scenario files.") var files: [String]
  @Flag(help: "Print every key that counts with its value, defaults included.") var effective = false

  func run() throws {
    var isFine = true
    for file in self.files {
      guard let scenario = try? ScenarioFolder.read(file, settings: []) else {
        isFine = false
        continue
      }
      say("\(file): fine: \(scenario.title)")
      guard self.effective else { continue }
      for entry in scenario.file.effective {
        say("  \(entry.path) = \(entry.value)\(entry.isStandard ? "   (default)" : "")")
      }
    }
    guard isFine else { throw ExitCode(65) }
  }
}

/// `consilium-sim list`
struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the scenarios of a folder with what each shows.")
  @Argument(help: "The folder.") var folder = ScenarioFolder.path

  func run() throws {
    let names = (try? FileManager.default.subpathsOfDirectory(atPath: self.folder)) ?? []
    let files = names.filter { $0.hasSuffix(".toml") }.sorted()
    guard !files.isEmpty else {
      tell("There are no scenarios in \(self.folder); name another folder.")
      throw ExitCode(66)
    }
    for file in files {
      let text =
        FileManager.default.contents(atPath: "\(self.folder)/\(file)").map { String(decoding: $0, as: UTF8.self) } ?? ""
      let first =
        text.split(separator: "\n").first { $0.hasPrefix("#") }.map { $0.drop { $0 == "#" || $0 == " " } } ?? ""
      say("\(self.folder)/\(file)\n    \(first)")
    }
  }
}

/// `consilium-sim explain`
struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Explain the keys of scenario files; or print their JSON Schema.",
    discussion: "Examples:\n  consilium-sim explain\n  consilium-sim explain network\n  consilium-sim explain --schema")
  @Argument(help: "A key or a section; all where none is given.") var key: String?
  @Flag(help: "Print the JSON Schema.") var schema = false

  func run() throws {
    if self.schema { return say(String(Schema.json.dropLast())) }
    let keys = ScenarioKey.all.filter { key in
      self.key.map { key.path == $0 || key.path.hasPrefix($0 + ".") } ?? true
    }
    guard !keys.isEmpty else {
      let near = ScenarioKey.nearest(to: self.key ?? "", among: ScenarioKey.all.map(\.path))
      tell("There is no key \(self.key ?? "")\(near.map { "; did you mean \($0)?" } ?? "").")
      throw ExitCode(64)
    }
    for key in keys {
      let section = key.path.split(separator: ".").first.map(String.init) ?? ""
      let path =
        ScenarioKey.repeated.contains(section) ? "[[\(section)]] \(key.path.dropFirst(section.count + 1))" : key.path
      let standard = key.standard.map { $0.isEmpty ? "optional" : "default \($0)" } ?? "required"
      say("\(path)\n    \(key.meaning)\n    \(key.expectation); \(standard)")
    }
  }
}
