internal import Simulator

/// One key that a scenario file may hold: what it means, what it takes, and what it is where the file is silent.
public struct ScenarioKey: Sendable {
  /// What a key takes.
  public enum Kind: Sendable {
    /// A whole number in a range.
    case integer(ClosedRange<Int64>)
    /// Any text.
    case text
    /// One of these words.
    case word([String])
    /// "10 ms".
    case span
    /// "64 KiB".
    case bytes
    /// "100/s".
    case rate
    /// "100 Mbit/s".
    case bandwidth
    /// "1 %".
    case percent
    /// A list of member numbers, from 1.
    case members
    /// Two lists of member numbers.
    case groups
  }

  /// Its place: `section.key`, or `key` at the top.
  public let path: String
  /// What it takes.
  public let kind: Kind
  /// What it is where the file is silent; nil where it must be given, "" where it is then absent.
  public let standard: String?
  /// What it means.
  public let meaning: String

  init(_ path: String, _ kind: Kind, _ standard: String?, _ meaning: String) {
    (self.path, self.kind, self.standard, self.meaning) = (path, kind, standard, meaning)
  }

  /// What is expected, in words.
  public var expectation: String { self.form + (self.bounds.map { ", \($0.description)" } ?? "") }

  private var form: String {
    switch self.kind {
    case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
    case .text: "a text"
    case .word(let words): "one of \(words.map { "\"\($0)\"" }.joined(separator: ", "))"
    case .span: "a span such as \"10 ms\" (ns, us, ms, s, min, h, d)"
    case .bytes: "a size such as \"64 KiB\" (B, kB, MB, GB, KiB, MiB, GiB)"
    case .rate: "a rate such as \"100/s\" (/s, /min, /h, /d)"
    case .bandwidth: "a bandwidth such as \"100 Mbit/s\" (bit/s, kbit/s, Mbit/s, Gbit/s)"
    case .percent: "a part such as \"1 %\""
    case .members: "a list of member numbers from 1, such as [1, 2]"
    case .groups: "two lists of member numbers, such as [[1, 2], [3, 4]]"
    }
  }

  /// Whether a name is a section's.
  static func isSection(_ name: String) -> Bool { self.all.contains { $0.path.hasPrefix(name + ".") } }

  /// The sections that may occur several times.
  public static let repeated: Set<String> = ["region", "link", "fault", "attacker"]

  /// Every key, in the order of the documentation.
  public static let all: [ScenarioKey] = Self.world + Self.machines + Self.load + Self.events

  private static let world: [ScenarioKey] = [
    .init("title", .text, nil, "What the scenario is called."),
    .init("seed", .integer(0...Int64.max), "1", "Everything that is drawn follows from it."),
    .init("duration", .span, nil, "How long the network is simulated."),
    .init("engine", .word(["pbft", "raft"]), "pbft", "What orders: PBFT (Byzantine faults) or Raft (crashes)."),
    .init("members.count", .integer(1...256), "4", "How many hospitals; with regions, their members count instead."),
    .init("region.name", .text, nil, "A region's name; with network.table, one of the table's."),
    .init("region.members", .integer(1...256), nil, "How many hospitals it has; they are numbered on from the last."),
    .init("link.from", .text, nil, "A region."),
    .init("link.to", .text, nil, "Another region; the latency holds in both directions."),
    .init("link.latency", .span, nil, "One-way latency between the two regions."),
    .init("network.latency", .span, "500 us", "One-way latency inside a region, and where nothing else says more."),
    .init("network.jitter", .percent, "10 %", "By how much of its latency a message may take longer, evenly drawn."),
    .init("network.table", .word(["none", "aws", "simblock-2019"]), "none", "Published latencies between regions."),
    .init("network.bandwidth", .bandwidth, "0 bit/s", "A member's uplink; 0 for no limit. What exceeds it queues."),
    .init("network.loss", .percent, "0 %", "Messages that vanish though their connection lives."),
    .init("network.duplication", .percent, "0 %", "Messages that arrive twice."),
    .init("network.reordering", .percent, "0 %", "Messages that overtake those before them."),
  ]

  private static let machines: [ScenarioKey] = [
    .init("disk.sync", .span, "400 us", "How long a sync takes at least."),
    .init("disk.spread", .span, "400 us", "By how much more it may take, evenly drawn."),
    .init("disk.throughput", .bytes, "0 B", "Bytes that can be written in a second; 0 for no limit."),
    .init("clock.skew", .span, "0 ms", "How far each wall clock may be off, either way, evenly drawn."),
    .init("clock.drift", .integer(0...10_000), "0", "How far each may run ahead or behind, in parts per million."),
    .init(
      "processor.model", .word(["none", "measured"]), "measured",
      "Whether signatures, hashes and transactions cost virtual time, by a table that was measured."),
    .init("processor.cores", .integer(1...256), "2", "How many cores of each member verify side by side."),
    .init("ledger.pipelineMax", .integer(1...64), "8", "The most sequence numbers that are open at once."),
    .init("ledger.checkpointInterval", .integer(1...1_000_000), "64", "Sequence numbers between signed tree heads."),
    .init("ledger.cutTransactionsMax", .integer(1...1_000_000), "40000", "The most transactions of a fresh cut."),
    .init("ledger.blockBytesMax", .bytes, "1 MiB", "The most bytes of transactions in a block."),
    .init("ledger.transactionBytesMax", .bytes, "64 KiB", "The most bytes of one transaction."),
    .init("ledger.clockDriftMax", .span, "5 s", "How far a cut's time may be from a backup's clock."),
    .init("node.electionTimeoutMin", .span, "1 s", "Raft: how long without a leader's word before a member stands."),
    .init("node.heartbeatInterval", .span, "150 ms", "Raft: how often a leader speaks."),
    .init("node.viewTimeoutMin", .span, "2 s", "How long something orderable may wait before the view is left."),
    .init("node.viewTimeoutMax", .span, "60 s", "The longest such wait, however often it was doubled."),
    .init("node.laneOmissionMax", .span, "8 s", "How long a primary may leave out a lane."),
    .init("node.snapshotInterval", .integer(0...1_000_000_000), "65536", "Heights between snapshots; 0 for none."),
    .init("node.statusInterval", .span, "500 ms", "How often members tell one another where they stand."),
  ]

  private static let load: [ScenarioKey] = [
    .init("workload.kind", .word(["open", "closed", "none"]), "open", "Arrivals at a rate, or clients that wait."),
    .init("workload.rate", .rate, "100/s", "Transactions over all members, as a Poisson process (open)."),
    .init("workload.clients", .integer(1...100_000), "10", "Clients at each member, one transaction each (closed)."),
    .init("workload.size", .bytes, "256 B", "A transaction's payload, rounded up to whole digests of 32 bytes."),
    .init("workload.from", .span, "0 s", "When it starts."),
    .init("workload.until", .span, "", "When it ends; the end of the run where not given."),
    .init("workload.shape", .word(["constant", "diurnal", "bursts"]), "constant", "How the rate changes."),
    .init("workload.period", .span, "1 d", "A day of the diurnal shape, or the distance of bursts."),
    .init("workload.members", .members, "", "Who submits; all where not given."),
    .init("measure.from", .span, "0 s", "From when on transactions count for latencies and throughput."),
    .init("measure.until", .span, "", "Until when; the end of the run where not given."),
    .init("measure.every", .span, "", "The distance of samples; a 200th of the run where not given."),
  ]

  private static let events: [ScenarioKey] = [
    .init(
      "fault.kind",
      .word([
        "crash", "pause", "partition", "cut", "slow-link", "slow-disk", "full-disk", "power", "loss", "step-down",
        "clock", "join", "leave", "lose-disk",
      ]), nil, "What happens."),
    .init("fault.at", .span, nil, "When."),
    .init("fault.for", .span, "", "For how long; until the end where not given, 5 s where a disk is lost."),
    .init("fault.every", .span, "", "Again and again at this distance, until fault.until or the end."),
    .init("fault.until", .span, "", "When the repetition ends."),
    .init(
      "fault.members", .members, "",
      "To whom; where not given the primary of the moment, all (power), or a new hospital (join)."),
    .init(
      "fault.groups", .groups, "",
      "The two sides of a partition, cut or slow link; where not given, the members and all others."),
    .init("fault.factor", .integer(1...100_000), "10", "How many times slower (slow-link, slow-disk)."),
    .init("fault.loss", .percent, "10 %", "Messages that vanish (loss)."),
    .init("fault.shift", .span, "1 s", "By how much the clocks jump ahead (clock)."),
    .init("attacker.member", .integer(1...256), nil, "Which member is Byzantine."),
    .init(
      "attacker.kind", .word(Misbehaviour.allCases.map(\.rawValue) + ["twin"]), nil,
      "How it misbehaves; a twin is a second node with the same keys."),
    .init("attacker.from", .span, "0 s", "From when on (not for twins)."),
    .init("expect.committedMin", .percent, "", "At least so much of what was submitted is committed in the end."),
    .init("expect.pauseMax", .span, "", "No correct member's submissions wait longer without a commit anywhere."),
    .init("expect.pauseMin", .span, "", "There is a pause without commits of at least this length: it does halt."),
    .init("expect.viewsMax", .integer(0...1_000_000), "", "The highest view at the end."),
    .init("expect.viewsMin", .integer(0...1_000_000), "", "The highest view is at least this one."),
    .init("expect.latencyMax", .span, "", "The 99th percentile of commit latency in the window."),
    .init("expect.forks", .integer(0...256), "", "How many members' lanes are proved to be forked."),
  ]

  /// The key at a path.
  public static func at(_ path: String) -> ScenarioKey? { Self.all.first { $0.path == path } }

  /// The words nearest to a wrong one, by edits.
  public static func nearest(to word: String, among words: [String]) -> String? {
    let best = words.min { Self.distance(word, $0) < Self.distance(word, $1) }
    return best.flatMap { Self.distance(word, $0) <= max(2, word.count / 2) ? $0 : nil }
  }

  /// Levenshtein's distance.
  static func distance(_ one: String, _ other: String) -> Int {
    let (a, b) = (Array(one.lowercased()), Array(other.lowercased()))
    var row = Array(0...b.count)
    for (i, left) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, right) in b.enumerated() {
        let above = row[j + 1]
        row[j + 1] = left == right ? diagonal : 1 + min(diagonal, above, row[j])
        diagonal = above
      }
    }
    return row[b.count]
  }
}
