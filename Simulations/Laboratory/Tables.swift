public import Foundation
internal import NodeCore
internal import Primitives
internal import Simulator

/// Tidy tables, each row an observation, that pandas, R and DuckDB read as they are: CSV and NDJSON of the same rows.
public enum Tables {
  /// A value of a cell.
  public enum Cell: Sendable {
    /// A text.
    case text(String)
    /// A number.
    case number(Double)
    /// A whole number.
    case integer(Int)
    /// Nothing.
    case none

    var csv: String {
      switch self {
      case .text(let text):
        text.contains { $0 == "," || $0 == "\"" || $0 == "\n" } ? "\"\(text.replacing("\"", with: "\"\""))\"" : text
      case .number(let number): "\(number)"
      case .integer(let number): "\(number)"
      case .none: ""
      }
    }

    var json: String {
      switch self {
      case .text(let text):
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n") + "\""
      case .number(let number): number.isFinite ? "\(number)" : "null"
      case .integer(let number): "\(number)"
      case .none: "null"
      }
    }
  }

  /// Writes `NAME.csv` and `NAME.ndjson` into a folder.
  public static func write(_ name: String, _ columns: [String], _ rows: some Sequence<[Cell]>, to folder: URL) throws {
    var csv = columns.joined(separator: ",") + "\n"
    var ndjson = ""
    for row in rows {
      csv += row.map(\.csv).joined(separator: ",") + "\n"
      ndjson += "{" + zip(columns, row).map { "\"\($0)\":\($1.json)" }.joined(separator: ",") + "}\n"
    }
    try Data(csv.utf8).write(to: folder.appending(path: "\(name).csv"))
    try Data(ndjson.utf8).write(to: folder.appending(path: "\(name).ndjson"))
  }

  /// Writes everything about a run into a folder: tables, `result.json`, `scenario.toml`, `report.html`.
  public static func write(_ run: ScenarioRun, _ result: ScenarioResult, to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let recorder = run.recorder
    func milliseconds(_ tick: Tick) -> Cell { .number(Double(tick.nanoseconds) / 1e6) }
    try self.write(
      "transactions", ["member", "submitted_ms", "committed_ms", "everywhere_ms", "members"],
      recorder.transactions.lazy.map { row in
        [
          .integer(row.slot + 1), milliseconds(row.submitted), row.committed.map(milliseconds) ?? .none,
          row.everywhere.map(milliseconds) ?? .none, .integer(row.slots),
        ]
      }, to: folder)
    try self.write(
      "blocks", ["author", "member", "after_ms"],
      recorder.arrivals.lazy.map {
        [.integer($0.author + 1), .integer($0.slot + 1), .number(Double($0.after.nanoseconds) / 1e6)]
      }, to: folder)
    try self.write(
      "samples", ["at_ms", "member", "running", "height", "executed", "view"],
      recorder.samples.lazy.map {
        [
          milliseconds($0.at), .integer($0.slot + 1), .integer($0.isRunning ? 1 : 0), .integer(Int($0.height)),
          .integer(Int($0.executed)), .integer(Int($0.view)),
        ]
      }, to: folder)
    try self.write(
      "events", ["at_ms", "member", "fault", "what"],
      recorder.occurrences.lazy.map {
        [milliseconds($0.at), $0.slot.map { .integer($0 + 1) } ?? .none, .integer($0.isFault ? 1 : 0), .text($0.what)]
      }, to: folder)
    try self.write(
      "traffic", ["kind", "messages", "bytes"],
      result.traffic.map { [.text($0.kind), .integer(Int($0.messages)), .integer(Int($0.bytes))] }, to: folder)
    try self.write(
      "summary", ["name", "value", "unit"],
      result.metrics.map { [.text($0.name), .number($0.value), .text($0.unit)] }, to: folder)
    try self.write(result, to: folder)
  }

  /// Writes `result.json`, `scenario.toml` and `report.html` of a result.
  public static func write(_ result: ScenarioResult, to folder: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(result).write(to: folder.appending(path: "result.json"))
    try Data(result.text.utf8).write(to: folder.appending(path: "scenario.toml"))
    try Data(Report.html(result).utf8).write(to: folder.appending(path: "report.html"))
  }

  /// Writes `run.json`: what another run of the same scenario and seed has otherwise.
  public static func write(_ record: RunRecord, to folder: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(record).write(to: folder.appending(path: "run.json"))
  }

  /// Why nothing may be written into a folder, in words; nil where it can be. Makes the folder.
  public static func obstacle(at folder: URL, isReplacing: Bool) -> String? {
    let path = folder.path(percentEncoded: false)
    let files = FileManager.default
    if !isReplacing, files.fileExists(atPath: folder.appending(path: "result.json").path(percentEncoded: false)) {
      return "\(path) holds a result already; name another folder, or add --replace to write over it."
    }
    do { try files.createDirectory(at: folder, withIntermediateDirectories: true) } catch {
      return "\(path) cannot be made: \(error.localizedDescription)"
    }
    return files.isWritableFile(atPath: path) ? nil : "\(path) cannot be written to; name another folder."
  }

  /// Reads the `result.json` of a folder.
  public static func read(_ folder: URL) throws -> ScenarioResult {
    try JSONDecoder().decode(ScenarioResult.self, from: Data(contentsOf: folder.appending(path: "result.json")))
  }
}
