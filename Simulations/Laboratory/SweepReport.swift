/// One self-contained page about a sweep: what throughput costs in latency, a curve for each setting of the other keys.
enum SweepReport {
  /// Seeds of one point together.
  private struct Mean {
    let settings: [String]
    let throughput: Double
    let median: Double
    let tail: Double
  }

  /// The page of a sweep's rows; nil where nothing was committed at two points.
  static func html(_ rows: [Sweep.Row], scenario: String) -> String? {
    let means = Self.means(rows)
    guard means.count >= 2 else { return nil }
    let axis = Self.loadAxis(means)
    var curves: [(name: String, points: [Mean])] = []
    for mean in means {
      let name = mean.settings.enumerated().filter { $0.offset != axis }.map(\.element).joined(separator: ", ")
      if let place = curves.firstIndex(where: { $0.name == name }) {
        curves[place].points.append(mean)
      } else {
        curves.append((name, [mean]))
      }
    }
    func lines(_ value: (Mean) -> Double, dashed: Bool) -> [Charts.Line] {
      curves.enumerated().map { place, curve in
        .init(
          name: [curve.name, dashed ? "p99" : "p50"].filter { !$0.isEmpty }.joined(separator: ", "),
          points: curve.points.map { ($0.throughput, value($0)) }, colour: place, isDashed: dashed)
      }
    }
    let columns = means.map { mean in
      [
        mean.settings.joined(separator: ", "), Quantity.digits(mean.throughput), Quantity.digits(mean.median),
        Quantity.digits(mean.tail),
      ]
    }
    let axisName = means.first.map { $0.settings[axis].prefix { $0 != "=" } }.map(String.init) ?? ""
    let figure = Report.figure(
      "Throughput and latency",
      "Committed transactions a second against how long one takes, along \(Charts.escape(axisName)): the median as a "
        + "line, the 99th percentile dashed; each the mean of a point's seeds.",
      Charts.lines(
        lines(\.median, dashed: false) + lines(\.tail, dashed: true), x: "transactions/s",
        y: "milliseconds"),
      data: Report.table(["point", "transactions/s", "p50 ms", "p99 ms"], columns))
    return Report.page(
      "Throughput and latency",
      "<header><h1>A sweep of \(rows.count) runs</h1></header>" + figure
        + "<details><summary>The scenario file</summary><pre>\(Charts.escape(scenario))</pre></details>")
  }

  private static func means(_ rows: [Sweep.Row]) -> [Mean] {
    var order: [[String]] = []
    for row in rows where !order.contains(row.point.settings) { order.append(row.point.settings) }
    return order.compactMap { settings in
      let own = rows.filter { $0.point.settings == settings }
      func mean(_ name: String) -> Double? {
        let values = own.compactMap { row in row.metrics.first { $0.name == name }?.value }
        return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
      }
      guard let throughput = mean("throughput"), let median = mean("commit latency p50"),
        let tail = mean("commit latency p99"), !settings.isEmpty
      else { return nil }
      return Mean(settings: settings, throughput: throughput, median: median, tail: tail)
    }
  }

  /// The key along which the load grows: the workload's rate, or the last one.
  private static func loadAxis(_ means: [Mean]) -> Int {
    let keys = means.first?.settings ?? []
    return keys.firstIndex { $0.hasPrefix("workload.rate") } ?? max(0, keys.count - 1)
  }
}
