/// One self-contained page about a run: it opens without a network and reads on paper.
public enum Report {
  /// The page of a result.
  public static func html(_ result: ScenarioResult) -> String {
    let seconds = result.times.map { $0 / 1000 }
    let marks = result.occurrences.filter(\.isFault).map { occurrence in
      Charts.Mark(
        x: occurrence.at / 1000,
        text: (occurrence.member.map { "\($0) " } ?? "") + String(occurrence.what.prefix(34)))
    }
    var sections: [String] = [self.summary(result)]
    sections.append(
      self.figure(
        "How long a transaction takes", "The part of transactions that are committed within so many milliseconds.",
        Charts.lines(
          self.distributions(result), x: "milliseconds (logarithmic)", y: "part of all", yMax: 1, isLogarithmic: true),
        data: self.distributionTable(result)))
    sections.append(
      self.figure(
        "Throughput over time", "Committed transactions a second, with what was done to the network.",
        Charts.lines(
          [.init(name: "committed", points: zip(seconds, result.throughput).map { ($0, $1) }, colour: 0)], x: "seconds",
          y: "transactions/s", marks: marks, xMax: seconds.last),
        data: self.series(["seconds", "transactions/s"], [seconds, result.throughput])))
    sections.append(
      self.figure(
        "Latency over time", "The median of the transactions committed in each interval; a gap where there were none.",
        Charts.lines(
          [.init(name: "median", points: zip(seconds, result.latencyOverTime).map { ($0, $1) }, colour: 1)],
          x: "seconds",
          y: "milliseconds", marks: marks, xMax: seconds.last),
        data: self.series(["seconds", "milliseconds"], [seconds, result.latencyOverTime])))
    sections.append(self.throughputAndLatency(result))
    sections += self.overTime(result, seconds, marks)
    sections += self.network(result)
    sections.append(self.timeline(result))
    sections.append(self.parameters(result))
    return self.page(result.title, sections.joined(separator: "\n"))
  }

  /// Each interval of the run as a point: what load costs in time.
  private static func throughputAndLatency(_ result: ScenarioResult) -> String {
    let points = zip(result.throughput, result.latencyOverTime).filter { $0.0 > 0 && $0.1 >= 0 }
      .map { (x: $0.0, y: $0.1) }
    return self.figure(
      "Throughput and latency",
      "Each interval of the run as a point; a sweep over the load gives the whole curve (sweep.html).",
      Charts.lines(
        [.init(name: "an interval", points: points, colour: 0, isDotted: true)], x: "transactions/s",
        y: "milliseconds, median"),
      data: self.series(["transactions/s", "milliseconds"], [points.map(\.x), points.map(\.y)]))
  }

  static func table(_ head: [String], _ rows: [[String]]) -> String {
    "<table><tr>\(head.map { "<th>\(Charts.escape($0))</th>" }.joined())</tr>"
      + rows.map { "<tr>\($0.map { "<td>\(Charts.escape($0))</td>" }.joined())</tr>" }.joined() + "</table>"
  }

  static func series(_ head: [String], _ columns: [[Double]]) -> String {
    let count = columns.map(\.count).min() ?? 0
    return self.table(head, (0..<count).map { row in columns.map { $0[row] < 0 ? "" : Quantity.digits($0[row]) } })
  }

  static func figure(_ title: String, _ caption: String, _ picture: String, data: String) -> String {
    "<section><h2>\(title)</h2><p>\(caption)</p><figure>\(picture)</figure>"
      + "<details><summary>The figure's data</summary>\(data)</details></section>"
  }

  private static func summary(_ result: ScenarioResult) -> String {
    let verdicts = result.verdicts.map { verdict in
      "<li class=\"\(verdict.holds ? "holds" : "fails")\"><b>\(verdict.holds ? "holds" : "does not hold")</b> "
        + "\(Charts.escape(verdict.what)) <span>(\(Charts.escape(verdict.seen)))</span></li>"
    }
    let comment = result.text.split(separator: "\n").prefix { $0.hasPrefix("#") }
      .map { $0.drop { $0 == "#" || $0 == " " } }.joined(separator: " ")
    let metrics = result.metrics.map { metric in
      "<div class=\"metric\"><b>\(Quantity.digits(metric.value))</b> \(Charts.escape(metric.unit))"
        + "<span>\(Charts.escape(metric.name))</span></div>"
    }
    let notes = (result.notes ?? []).map { "<p class=\"fails\"><b>Note:</b> \(Charts.escape($0))</p>" }
    return "<header><h1>\(Charts.escape(result.title))</h1><p>\(Charts.escape(comment))</p>"
      + (result.isPartial
        ? "<p class=\"fails\"><b>Stopped before its end:</b> what follows is what was there.</p>" : "")
      + notes.joined()
      + "<ul class=\"verdicts\">\(verdicts.joined())</ul></header><div class=\"metrics\">\(metrics.joined())</div>"
  }

  private static func distributions(_ result: ScenarioResult) -> [Charts.Line] {
    func line(_ name: String, _ statistics: Statistics?, _ colour: Int, isStepped: Bool = false) -> Charts.Line? {
      statistics.map {
        .init(
          name: name, points: [($0.curve[0][0], 0)] + $0.curve.map { ($0[0], $0[1]) }, colour: colour,
          isStepped: isStepped)
      }
    }
    return [
      line("committed at its hospital", result.latency, 0), line("executed by all", result.everywhere, 1),
      line("block arrived", result.blocks, 2),
      line("lower bound by the network", result.lowerBound, -1, isStepped: true),
    ].compactMap { $0 }
  }

  private static func distributionTable(_ result: ScenarioResult) -> String {
    let rows = [
      ("committed", result.latency), ("executed by all", result.everywhere), ("block arrived", result.blocks),
      ("lower bound", result.lowerBound),
    ].compactMap { name, statistics -> [String]? in
      statistics.map {
        [name, "\($0.count)"] + [$0.mean, $0.median, $0.p90, $0.p99, $0.max].map { Quantity.digits($0) }
      }
    }
    return self.table(["ms", "count", "mean", "p50", "p90", "p99", "max"], rows)
  }

  private static func overTime(_ result: ScenarioResult, _ seconds: [Double], _ marks: [Charts.Mark]) -> [String] {
    let shown = result.members.prefix(16)
    func lines(_ values: (ScenarioResult.MemberSeries) -> [Double]) -> [Charts.Line] {
      shown.enumerated().map { place, member in
        .init(
          name: member.name, points: zip(seconds, values(member)).map { ($0, $1) }, colour: place, isStepped: true)
      }
    }
    let note = result.members.count > 16 ? " The first 16 members are drawn." : ""
    let names = ["seconds"] + shown.map(\.name)
    return [
      self.figure(
        "How far each member is", "Executed sequence numbers of each member.\(note)",
        Charts.lines(lines(\.heights), x: "seconds", y: "sequence number", marks: marks, xMax: seconds.last),
        data: self.series(names, [seconds] + shown.map(\.heights))),
      self.figure(
        "Views", "The view that each member is in or asks for; a gap while it does not run.\(note)",
        Charts.lines(
          lines(\.views), x: "seconds", y: "view", marks: marks, xMax: seconds.last,
          yMax: max(1, result.members.flatMap(\.views).max() ?? 1) * 1.1),
        data: self.series(names, [seconds] + shown.map(\.views))),
    ]
  }

  private static func network(_ result: ScenarioResult) -> [String] {
    var out: [String] = []
    let rows = Array(Set(result.propagation.map(\.from))).sorted()
    let columns = Array(Set(result.propagation.map(\.to))).sorted()
    if rows != [""], !rows.isEmpty {
      let map = Charts.heat(rows: rows, columns: columns) { from, to in
        result.propagation.first { $0.from == from && $0.to == to }?.median
      }
      out.append(
        self.figure(
          "From region to region", "Median milliseconds until a block of one region has reached a member of another.",
          map,
          data: self.table(
            ["from", "to", "median ms", "p90 ms"],
            result.propagation.map { [$0.from, $0.to, Quantity.digits($0.median), Quantity.digits($0.p90)] })))
    }
    let traffic = result.traffic.sorted { $0.bytes > $1.bytes }
    out.append(
      self.figure(
        "What was sent", "Bytes by kind of message, all members together.",
        Charts.bars(
          traffic.map { ($0.kind, Double($0.bytes), "\(Quantity.digits(Double($0.bytes) / 1e6)) MB in \($0.messages)") }
        ),
        data: self.table(
          ["kind", "messages", "bytes"], traffic.map { [$0.kind, "\($0.messages)", "\($0.bytes)"] })))
    out.append(
      self.figure(
        "Who is connected with whom", "At the end of the run; one colour a region.",
        Charts.graph(names: result.members.map(\.name), regions: result.members.map(\.region), links: result.links),
        data: self.table(
          ["member", "region", "connections"],
          result.members.enumerated().map { place, member in
            [member.name, member.region, "\(result.links.count { $0.contains(place) })"]
          })))
    return out
  }

  private static func timeline(_ result: ScenarioResult) -> String {
    let rows = result.occurrences.prefix(500).map { occurrence in
      [
        Quantity.digits(occurrence.at / 1000), occurrence.member.map { "\($0)" } ?? "",
        (occurrence.isFault ? "⚡ " : "") + occurrence.what,
      ]
    }
    let rest =
      result.occurrences.count > 500 ? "<p>… and \(result.occurrences.count - 500) more: see events.csv.</p>" : ""
    return "<section><h2>What happened</h2><p>⚡ is what the scenario did; the rest is what members report.</p>"
      + self.table(["seconds", "member", "what"], Array(rows)) + rest + "</section>"
  }

  private static func parameters(_ result: ScenarioResult) -> String {
    let rows = result.parameters.map { [$0.path, $0.value, $0.isStandard ? "default" : ""] }
    let build = result.build.map { ", made by consilium-sim \(Charts.escape($0.description))" } ?? ""
    return "<section><h2>Parameters</h2><p>Everything that this run followed from\(build); its trace is "
      + "<code>\(result.trace)</code>.</p>" + self.table(["key", "value", ""], rows)
      + "<details><summary>The scenario file</summary><pre>\(Charts.escape(result.text))</pre></details></section>"
  }

  /// A page of the report's looks.
  static func page(_ title: String, _ body: String) -> String {
    """
    <!DOCTYPE html>
    <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(Charts.escape(title))</title><style>\(self.style)</style></head><body>
    \(body)
    </body></html>
    """
  }

  private static let style = """
    :root{color-scheme:light dark;--ink:#1d2733;--paper:#fff;--soft:#66727f;--rule:#dfe4ea;--accent:#0b63a5;
    --good:#1a7f37;--bad:#c62828}
    @media (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--paper:#12171d;--soft:#98a4b0;--rule:#2c3641;
    --accent:#6db7f2;--good:#57c777;--bad:#ff7b72}}
    body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:800px;margin:0 auto;
    padding:24px 16px}
    h1{font-size:1.7rem;line-height:1.2;margin:.2em 0}h2{font-size:1.2rem;margin:2.2em 0 .2em}
    p{margin:.2em 0 .8em;color:var(--soft)}header p{color:var(--ink)}
    figure{margin:0;overflow-x:auto}svg{width:100%;min-width:520px;height:auto;display:block}
    .verdicts{list-style:none;padding:0}.verdicts span{color:var(--soft)}
    .holds b{color:var(--good)}.fails b{color:var(--bad)}
    .metrics{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:10px 18px;margin:1em 0}
    .metric b{font-size:1.25rem}.metric span{display:block;color:var(--soft);font-size:.85rem;line-height:1.25}
    .grid{stroke:var(--rule)}.tick,.axis{font-size:12px;fill:var(--soft)}
    .mark{stroke:var(--bad);stroke-dasharray:3 3;opacity:.7}.marktext{font-size:10px;fill:var(--bad)}
    .line{fill:none;stroke-width:1.8}.line.dashed{stroke:var(--soft);stroke-dasharray:5 4}
    .edge{stroke:var(--soft);opacity:.35}.node{font-size:10px;fill:#fff;font-weight:600}
    \(Self.colours)
    .legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:.85rem;color:var(--soft)}
    .legend i{display:inline-block;width:18px;height:3px;vertical-align:middle;margin-right:6px}
    .legend .dashed{background:repeating-linear-gradient(90deg,var(--soft) 0 5px,transparent 5px 9px)}
    table{border-collapse:collapse;font-size:.85rem;margin:.4em 0;display:block;overflow-x:auto}
    th,td{text-align:left;padding:3px 10px 3px 0;border-bottom:1px solid var(--rule);vertical-align:top}
    .heat td{text-align:right;padding:4px 10px;
    background:color-mix(in srgb,var(--accent) var(--part),transparent)}
    code{overflow-wrap:anywhere}
    summary{cursor:pointer;color:var(--accent);font-size:.85rem}pre{font-size:.8rem;overflow-x:auto}
    @media print{body{max-width:none}section{break-inside:avoid}details{display:none}}
    """

  /// Eight colours that stay apart for most eyes, as stroke, fill and background.
  private static let colours = [
    "#0b63a5", "#c2570c", "#2e8540", "#7b3fa0", "#b0007a", "#00808a", "#8a6d00", "#5a6a7a",
  ].enumerated().map { ".c\($0){stroke:\($1)}.f\($0){fill:\($1)}.b\($0){background:\($1)}" }.joined()
}
