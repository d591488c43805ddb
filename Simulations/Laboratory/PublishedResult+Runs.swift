internal import Gossip
internal import Ledger
internal import NodeCore
internal import Primitives
internal import Simulator

/// The known results, each run again.
extension PublishedResult {
  /// Reads a scenario of the published ones, by name, with settings over it.
  public typealias Reader = (_ name: String, _ settings: [String]) throws -> Scenario

  private static func finished(_ name: String, _ settings: [String], _ read: Reader) throws -> ScenarioRun {
    let run = ScenarioRun(try read(name, settings))
    while run.advance() {}
    return run
  }

  /// PBFT's messages a cut.
  public static func messages(_ read: Reader) throws -> PublishedResult {
    var rows: [Row] = []
    for members in [4, 7, 10, 13] {
      let run = try self.finished("pbft-messages", ["members.count=\(members)"], read)
      let cuts = Double(run.cluster.node(0)?.execution.position.sequence.number ?? 1)
      let kinds: [(MessageKind, Int)] = [
        (.prePrepare, members - 1), (.prepare, (members - 1) * (members - 1)), (.commit, members * (members - 1)),
      ]
      rows += kinds.map { kind, published in
        Row(
          "\(members) members, \(kind.rawValue) a cut", .equal(Double(published), within: 0.1),
          here: Double(run.recorder.traffic[kind]?.messages ?? 0) / max(1, cuts))
      }
    }
    return PublishedResult(
      title: "PBFT's messages a cut (Castro & Liskov, OSDI 1999, §4.2)",
      parameters: "n = 4, 7, 10, 13; nobody fails",
      deviations: "Votes that reach somebody over the mesh and over an own connection at once come on top.", rows: rows)
  }

  /// Raft's elections.
  public static func elections(_ read: Reader) throws -> PublishedResult {
    let run = try self.finished("raft-elections", [], read)
    var crashed: Tick?
    var spans: [Double] = []
    for occurrence in run.recorder.occurrences {
      if occurrence.what == "crashes" { crashed = occurrence.at }
      guard let at = crashed, occurrence.what.hasPrefix("enters view") else { continue }
      spans.append((occurrence.at - at).inMilliseconds)
      crashed = nil
    }
    return PublishedResult(
      title: "Raft without a leader (Ongaro & Ousterhout, USENIX ATC 2014, §9.3)",
      parameters:
        "5 members, timeouts of 12 to 24 ms, heartbeats every 6 ms; \(spans.count) elections, published 1,000",
      deviations: """
        Members here ask before they stand for election (Ongaro's thesis, §9.6): asking and being elected together \
        take the 15 ms that the published broadcast took.
        """,
      rows: [
        Row(
          "mean in ms", .equal(35, within: 0.1),
          here: spans.isEmpty ? 0 : spans.reduce(0, +) / Double(spans.count)),
        Row("longest in ms", .shown(152, "the longest of a sample depends on its size"), here: spans.max() ?? 0),
      ])
  }

  /// gossipsub's deliveries at the published sizes.
  public static func gossip() -> [PublishedResult] {
    [
      self.gossip(
        Gossipsub(.v10, nodes: 100, messages: 10, sources: 5),
        Published(copies: 6.28, deliveries: 990, within: [(100, 15.8), (200, 88.7)])),
      self.gossip(
        Gossipsub(.v11, nodes: 100, messages: 10, sources: 5),
        Published(copies: 6.74, deliveries: 990, within: [(100, 53.2), (200, 100)])),
      self.gossip(
        Gossipsub(.v10, nodes: 1000, messages: 60, sources: 10),
        Published(copies: 6.29, deliveries: 59_940, median: 221, longest: 400)),
      self.gossip(
        Gossipsub(.v11, nodes: 1000, messages: 60, sources: 10), Published(copies: 6.37, deliveries: 59_940)),
    ]
  }

  private struct Published {
    let copies: Double
    let deliveries: Int
    /// Parts of the deliveries in percent, by milliseconds.
    var within: [(milliseconds: Double, part: Double)] = []
    var median: Double?
    var longest: Double?
  }

  private static func gossip(_ run: Gossipsub, _ published: Published) -> PublishedResult {
    let outcome = run.run(seed: 1)
    var rows = [
      Row("messages sent for a delivery", .equal(published.copies, within: 0.05), here: outcome.copies),
      Row("deliveries to others", .equal(Double(published.deliveries), within: 0), here: Double(outcome.deliveries)),
    ]
    for (milliseconds, part) in published.within {
      rows.append(
        Row("% within \(Int(milliseconds)) ms", .near(part, within: 10), here: outcome.within(milliseconds)))
    }
    if let median = published.median, !outcome.delays.isEmpty {
      rows.append(
        Row("p50 in ms", .equal(median, within: 0.1), here: outcome.delays[outcome.delays.count / 2]))
    }
    if let longest = published.longest {
      rows.append(Row("longest in ms", .atMost(longest), here: outcome.delays.last ?? .infinity))
    }
    let parameters = run.settings.parameters
    return PublishedResult(
      title: "gossipsub \(run.version.rawValue), \(run.nodes) nodes, \(run.messages) messages (vyzo/gerbil-simsub)",
      parameters: """
        D \(parameters.degree), Dlo \(parameters.degreeMin), Dhi \(parameters.degreeMax), heartbeat \
        \(Quantity.describe(parameters.heartbeat)), IHAVE to \
        \(run.version == .v10 ? "6" : "a quarter of the peers, 6 at least"), own messages \
        \(parameters.isFloodPublishing ? "to all peers" : "along the mesh"); 20 links each of 10 to 150 ms, jitter \
        10 %; \(run.sources) sources, a message a second
        """,
      deviations: """
        A mesh is filled as peers come, not at its first heartbeat (mean size here \(Quantity.digits(outcome.mesh))); \
        one of each node's links goes to its neighbour; nobody is told of peers on being pruned.
        """, rows: rows)
  }
}
