internal import ArgumentParser
internal import Foundation
internal import Laboratory
internal import Ledger
internal import NodeCore
internal import Primitives
internal import Simulator

/// `consilium-sim published`
struct PublishedCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "published", abstract: "Run known results again and put them beside the published numbers.",
    discussion: """
      PBFT's messages a cut, Raft's elections and gossipsub's deliveries, each with a sentence on what differs and why.
      The first two are scenarios in Simulations/scenarios/published; gossipsub runs on the gossip routers alone.
      """)
  @Option(help: "The folder of the scenarios.") var folder = ScenarioFolder.path + "/published"
  @Option(help: "text or json.") var output = "text"

  /// One quantity of a published result.
  struct Row: Codable {
    let result: String
    let quantity: String
    let published: String
    let here: Double
  }

  func run() throws {
    let results: [(title: String, remark: String, rows: [Row])] = [
      (
        "PBFT's messages a cut (Castro & Liskov, OSDI 1999, §4.2)",
        "What is more than published are votes that reach somebody over the mesh and over an own connection at once.",
        try [4, 7, 10, 13].flatMap { try self.messages(members: $0) }
      ),
      (
        "Raft without a leader, timeouts of 12 to 24 ms (Ongaro & Ousterhout, USENIX ATC 2014, §9.3)",
        """
        Members here ask before they stand for election (Ongaro's thesis, §9.6); asking and being elected take 15 ms \
        together.
        """,
        try self.elections()
      ),
      (
        "gossipsub, 1,000 nodes with 20 random links of 10 to 150 ms each, 60 messages (vyzo/gerbil-simsub)",
        "Faster than v1.0, as a publisher tells all its peers, and as who is near answers first when a mesh is made.",
        self.gossip()
      ),
    ]
    if self.output == "json" {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      return say(String(decoding: try encoder.encode(results.flatMap(\.rows)), as: UTF8.self))
    }
    for (title, remark, rows) in results {
      say("\n\(title)")
      let width = (rows.map { "\($0.result), \($0.quantity)".count }.max() ?? 0) + 2
      for row in rows {
        let name = "\(row.result), \(row.quantity)".padding(toLength: width, withPad: " ", startingAt: 0)
        let published = row.published.padding(toLength: 18, withPad: " ", startingAt: 0)
        say("  \(name)published \(published)here \(Quantity.digits(row.here))")
      }
      say("  \(remark)")
    }
  }

  private func finished(_ name: String, _ settings: [String] = []) throws -> ScenarioRun {
    let run = ScenarioRun(try ScenarioFolder.read("\(self.folder)/\(name).toml", settings: settings))
    while run.advance() {}
    return run
  }

  private func messages(members: Int) throws -> [Row] {
    let run = try self.finished("pbft-messages", ["members.count=\(members)"])
    let cuts = Double(run.cluster.node(0)?.execution.position.sequence.number ?? 1)
    let kinds: [(MessageKind, Int)] = [
      (.prePrepare, members - 1), (.prepare, (members - 1) * (members - 1)), (.commit, members * (members - 1)),
    ]
    return kinds.map { kind, published in
      Row(
        result: "\(members) members", quantity: "\(kind.rawValue) a cut", published: "\(published)",
        here: Double(run.recorder.traffic[kind]?.messages ?? 0) / cuts)
    }
  }

  private func elections() throws -> [Row] {
    let run = try self.finished("raft-elections")
    var crashed: Tick?
    var spans: [Double] = []
    for occurrence in run.recorder.occurrences {
      if occurrence.what == "crashes" { crashed = occurrence.at }
      guard let at = crashed, occurrence.what.hasPrefix("enters view") else { continue }
      spans.append(Double((occurrence.at - at).nanoseconds) / 1e6)
      crashed = nil
    }
    let mean = spans.reduce(0, +) / Double(max(1, spans.count))
    return [
      Row(result: "\(spans.count) elections", quantity: "mean in ms", published: "35", here: mean),
      Row(result: "\(spans.count) elections", quantity: "longest in ms", published: "152", here: spans.max() ?? 0),
    ]
  }

  private func gossip() -> [Row] {
    var settings = GossipNetwork.Settings()
    (settings.areDirect, settings.joining) = (false, .milliseconds(10_000))
    var network = GossipNetwork(settings, seed: 1)
    network.run(for: .milliseconds(30_000))
    // Few sources, as in the published run.
    for number in 0..<60 {
      network.publish(from: number % 10)
      network.run(for: .milliseconds(1000))
    }
    network.run(for: .milliseconds(5000))
    let delays = network.deliveries.flatMap { delivery in
      delivery.after.enumerated().compactMap { $0.offset == delivery.publisher ? nil : $0.element?.nanoseconds }
    }.sorted().map { Double($0) / 1e6 }
    guard let last = delays.last else { return [] }
    let copies = network.deliveries.reduce(0) { $0 + $1.copies }
    func row(_ quantity: String, _ published: String, _ here: Double) -> Row {
      Row(result: "v1.1", quantity: quantity, published: published, here: here)
    }
    return [
      row("copies a delivery", "6.37 (v1.0: 6.29)", Double(copies) / Double(delays.count)),
      row("p50 in ms", "v1.0: about 220", delays[delays.count / 2]), row("longest in ms", "v1.0: under 400", last),
      row("deliveries", "all 59,940", Double(delays.count)),
    ]
  }
}
