public import Foundation
internal import Primitives
internal import Signing

/// A grid over keys of one scenario, and what its points gave: interrupted sweeps go on, and parts merge by content.
public struct Sweep: Sendable {
  /// One point of the grid with its seed.
  public struct Point: Sendable, Codable, Hashable {
    /// path=value, in the grid's order.
    public let settings: [String]
    /// The seed.
    public let seed: UInt64

    /// The name of the file with its result: the digest of scenario, settings, seed and program. What another program
    /// made is another result.
    public func name(of scenario: String, by build: BuildIdentity = .current) -> String {
      let key = scenario + "\n" + self.settings.joined(separator: "\n") + "\nseed=\(self.seed)\n\(build)"
      return String(Hash.blake2b("consilium/sweep/v1", Array(key.utf8)).description.prefix(24))
    }
  }

  /// A point with its metrics.
  public struct Row: Sendable, Codable {
    /// The point.
    public let point: Point
    /// What it gave.
    public let metrics: [ScenarioResult.Metric]
    /// Whether everything expected held.
    public let holds: Bool

    /// A row of given parts.
    public init(point: Point, metrics: [ScenarioResult.Metric], holds: Bool) {
      (self.point, self.metrics, self.holds) = (point, metrics, holds)
    }
  }

  /// The scenario's text.
  public let scenario: String
  /// Every point.
  public let points: [Point]

  /// The grid of `path=a,b,c` settings, each point with seeds 1 to `seeds`.
  ///
  /// - Throws: `ScenarioMistakes` where a value is none.
  public init(scenario: String, grid: [String], seeds: UInt64) throws(ScenarioMistakes) {
    var settings: [[String]] = [[]]
    var seen: Set<String> = []
    for axis in grid {
      let parts = axis.split(separator: "=", maxSplits: 1).map(String.init)
      let values = parts.count == 2 ? Self.values(parts[1]) : []
      func refuse(_ what: String, _ remedy: String) -> ScenarioMistakes {
        ScenarioMistakes(mistakes: [ScenarioMistake(line: 0, key: parts.first ?? axis, what: what, remedy: remedy)])
      }
      guard !values.isEmpty else { throw refuse("an axis is path=value,value", "write it so") }
      guard parts[0] != "seed" else { throw refuse("each point has seeds of its own", "say how many by --seeds") }
      guard seen.insert(parts[0]).inserted else { throw refuse("it is an axis twice", "write all values in one") }
      guard Set(values).count == values.count else { throw refuse("a value is there twice", "write each once") }
      settings = settings.flatMap { held in values.map { held + ["\(parts[0])=\($0)"] } }
    }
    for setting in settings { _ = try ScenarioFile(scenario, settings: setting) }
    self.scenario = scenario
    self.points = settings.flatMap { held in (1...max(1, seeds)).map { Point(settings: held, seed: $0) } }
  }

  /// The values of an axis: split at commas, but not inside of a list.
  private static func values(_ text: String) -> [String] {
    var (values, depth) = ([""], 0)
    for character in text {
      if character == "[" { depth += 1 }
      if character == "]" { depth -= 1 }
      if character == ",", depth == 0 { values.append("") } else { values[values.count - 1].append(character) }
    }
    return values.map { String($0.trimmingPrefix { $0 == " " }) }.filter { !$0.isEmpty }
  }

  /// The points of a folder that have no result there yet.
  public func missing(in folder: URL) -> [Point] {
    self.points.filter {
      !FileManager.default.fileExists(atPath: self.file(of: $0, in: folder).path(percentEncoded: false))
    }
  }

  private func file(of point: Point, in folder: URL) -> URL {
    folder.appending(path: "points/\(point.name(of: self.scenario)).json")
  }

  /// Runs a point and keeps its result.
  public func run(_ point: Point, in folder: URL) throws {
    let file = try ScenarioFile(self.scenario, settings: point.settings + ["seed=\(point.seed)"])
    let run = ScenarioRun(Scenario(file))
    while run.advance() {}
    let result = run.result()
    let row = Row(point: point, metrics: result.metrics, holds: result.holds)
    try FileManager.default.createDirectory(at: folder.appending(path: "points"), withIntermediateDirectories: true)
    try JSONEncoder().encode(row).write(to: self.file(of: point, in: folder), options: .atomic)
  }

  /// Writes `sweep.csv` and `sweep.ndjson` of all points that are there: a row a point, a column a key and a metric.
  ///
  /// Returns how many rows there are, and of how many what was expected holds.
  public func collect(in folder: URL) throws -> (rows: Int, holding: Int) {
    let rows = self.points.compactMap { point -> Row? in
      guard let data = try? Data(contentsOf: self.file(of: point, in: folder)) else { return nil }
      return try? JSONDecoder().decode(Row.self, from: data)
    }
    let axes = self.points.first?.settings.map { String($0.prefix { $0 != "=" }) } ?? []
    var names: [String] = []
    for metric in rows.flatMap(\.metrics) where !names.contains(metric.name) { names.append(metric.name) }
    try Tables.write(
      "sweep",
      axes + ["seed", "holds", "program"] + names.map { $0.replacing(" ", with: "_").replacing(",", with: "") },
      rows.map { row in
        row.point.settings.map { .text(String($0.drop { $0 != "=" }.dropFirst())) }
          + [.integer(Int(row.point.seed)), .integer(row.holds ? 1 : 0), .text(BuildIdentity.current.description)]
          + names.map { name in row.metrics.first { $0.name == name }.map { .number($0.value) } ?? .none }
      }, to: folder)
    if let page = SweepReport.html(rows, scenario: self.scenario) {
      try Data(page.utf8).write(to: folder.appending(path: "sweep.html"), options: .atomic)
    }
    return (rows.count, rows.count(where: \.holds))
  }
}
