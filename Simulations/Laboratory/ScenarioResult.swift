internal import Foundation
internal import Rules
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Simulator

/// What a run gave: a summary, series for pictures, and what was expected. It is `result.json`, as it stands.
public struct ScenarioResult: Sendable, Codable {
  /// A number with its name and unit.
  public struct Metric: Sendable, Codable {
    /// Such as "commit latency p50".
    public let name: String
    /// The value.
    public let value: Double
    /// Such as "ms".
    public let unit: String
  }

  /// A key of the scenario with its value.
  public struct Parameter: Sendable, Codable {
    /// The path.
    public let path: String
    /// The value.
    public let value: String
    /// Whether the file did not say it.
    public let isStandard: Bool
  }

  /// An expectation of the scenario, or an invariant.
  public struct Verdict: Sendable, Codable {
    /// What was expected.
    public let what: String
    /// What was seen.
    public let seen: String
    /// Whether it held.
    public let holds: Bool
  }

  /// Something that happened.
  public struct Occurrence: Sendable, Codable {
    /// Milliseconds since the start.
    public let at: Double
    /// Which member, from 1; nil for the network.
    public let member: Int?
    /// What.
    public let what: String
    /// Whether the scenario did it.
    public let isFault: Bool
  }

  /// One member over time.
  public struct MemberSeries: Sendable, Codable {
    /// Its name in pictures.
    public let name: String
    /// Its region.
    public let region: String
    /// For each sample: executed sequence numbers.
    public var heights: [Double] = []
    /// For each sample: the view, −1 where it did not run.
    public var views: [Double] = []
  }

  /// One kind of message.
  public struct Traffic: Sendable, Codable {
    /// The kind.
    public let kind: String
    /// How many messages.
    public let messages: UInt64
    /// How many bytes.
    public let bytes: UInt64
  }

  /// How long blocks took from region to region.
  public struct Propagation: Sendable, Codable {
    /// The author's region.
    public let from: String
    /// The receiver's.
    public let to: String
    /// Milliseconds.
    public let median, p90: Double
  }

  /// The program that made it; nil of results before programs were recorded.
  public var build: BuildIdentity?
  /// What a reader must know: liars that never lied.
  public var notes: [String]?
  /// The scenario's title.
  public var title: String
  /// The scenario's text.
  public var text: String
  /// Every key with its value.
  public var parameters: [Parameter]
  /// The digest of everything that happened.
  public var trace: String
  /// Whether it was stopped before its end.
  public var isPartial: Bool
  /// The summary.
  public var metrics: [Metric]
  /// Expectations and invariants.
  public var verdicts: [Verdict]
  /// Faults and reports.
  public var occurrences: [Occurrence]
  /// When samples were taken, in milliseconds.
  public var times: [Double]
  /// Members in their order.
  public var members: [MemberSeries]
  /// Committed transactions a second, by sample.
  public var throughput: [Double]
  /// Median commit latency in milliseconds, by sample; −1 where nothing was committed.
  public var latencyOverTime: [Double]
  /// Commit latency in milliseconds.
  public var latency: Statistics?
  /// Until the last member executed a transaction, in milliseconds.
  public var everywhere: Statistics?
  /// Until a block reached a member, in milliseconds.
  public var blocks: Statistics?
  /// The network's lower bound of each committed transaction's latency, in milliseconds; nil where members change.
  public var lowerBound: Statistics?
  /// Between regions.
  public var propagation: [Propagation]
  /// By kind.
  public var traffic: [Traffic]
  /// Connections of the members, by place.
  public var links: [[Int]]

  /// The metric of that name; nil where there is none.
  public func metric(_ name: String) -> Double? { self.metrics.first { $0.name == name }?.value }
  /// Whether everything expected held.
  public var holds: Bool { self.verdicts.allSatisfy(\.holds) }
}

extension ScenarioRun {
  /// What the run gave so far: a function of scenario, seed and build.
  public func result() -> ScenarioResult {
    let latencies = self.committed.compactMap { row in row.committed.map { ($0 - row.submitted).inMilliseconds } }
    var result = ScenarioResult(
      build: .current, notes: self.notes(), title: self.scenario.title, text: self.scenario.file.text,
      parameters: self.scenario.file.effective.map { .init(path: $0.path, value: $0.value, isStandard: $0.isStandard) },
      trace: self.cluster.trace.description, isPartial: self.progress < 1, metrics: [], verdicts: [],
      occurrences: self.recorder.occurrences.map {
        .init(
          at: ($0.at - .zero).inMilliseconds, member: $0.slot.map { self.cluster.member($0) + 1 }, what: $0.what,
          isFault: $0.isFault)
      }, times: [], members: [], throughput: [], latencyOverTime: [], latency: Statistics(latencies),
      everywhere: Statistics(
        self.committed.compactMap { row in row.everywhere.map { ($0 - row.submitted).inMilliseconds } }),
      blocks: Statistics(self.recorder.arrivals.map(\.after.inMilliseconds)),
      lowerBound: Statistics(self.lowerBounds()), propagation: self.propagation(), traffic: self.traffic(), links: [])
    self.addSeries(to: &result)
    self.addMetrics(to: &result)
    result.verdicts = self.verdicts(result)
    return result
  }

  /// The transactions of the window.
  private var committed: [Recorder.TransactionRow] {
    let (from, until) = (Tick.zero + self.scenario.window.from, Tick.zero + self.scenario.window.until)
    return self.recorder.transactions.filter { $0.submitted >= from && $0.submitted <= until }
  }

  private func regionName(_ slot: Int) -> String {
    let region = self.cluster.world.network.region(of: slot)
    return region < self.scenario.regions.count ? self.scenario.regions[region] : ""
  }

  private func addSeries(to result: inout ScenarioResult) {
    for slot in 0..<self.cluster.slotCount {
      let member = self.cluster.member(slot)
      let name = "\(member + 1)\(slot == member ? "" : "′")"
      result.members.append(.init(name: name, region: self.regionName(slot)))
    }
    for sample in self.recorder.samples {
      if sample.slot == 0 { result.times.append((sample.at - .zero).inMilliseconds) }
      result.members[sample.slot].heights.append(Double(sample.height))
      result.members[sample.slot].views.append(sample.isRunning ? Double(sample.view) : -1)
    }
    let width = self.scenario.sampling.inMilliseconds
    var bins = Array(repeating: [Double](), count: result.times.count)
    for row in self.recorder.transactions {
      guard let committed = row.committed else { continue }
      let bin = Int((committed - .zero).inMilliseconds / width)
      if bin < bins.count { bins[bin].append((committed - row.submitted).inMilliseconds) }
    }
    result.throughput = bins.map { Double($0.count) / width * 1000 }
    result.latencyOverTime = bins.map { bin in bin.isEmpty ? -1 : bin.sorted()[bin.count / 2] }
    for one in 0..<self.cluster.slotCount {
      for other in 0..<one where self.cluster.node(one)?.connected.contains(self.cluster.member(other)) == true {
        result.links.append([other, one])
      }
    }
  }

  private func traffic() -> [ScenarioResult.Traffic] {
    self.recorder.traffic.keys.sorted().map { kind in
      let traffic = self.recorder.traffic[kind]
      return .init(kind: kind.rawValue, messages: traffic?.messages ?? 0, bytes: traffic?.bytes ?? 0)
    }
  }

  private func propagation() -> [ScenarioResult.Propagation] {
    var groups: [String: [Double]] = [:]
    for arrival in self.recorder.arrivals {
      groups["\(self.regionName(arrival.author))\t\(self.regionName(arrival.slot))", default: []].append(
        arrival.after.inMilliseconds)
    }
    return groups.keys.sorted().compactMap { key in
      let ends = key.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      guard ends.count == 2, let statistics = Statistics(groups[key] ?? []) else { return nil }
      return .init(from: ends[0], to: ends[1], median: statistics.median, p90: statistics.p90)
    }
  }

  /// The bound of each committed transaction of the window, by its author.
  private func lowerBounds() -> [Double] {
    guard !self.scenario.faults.contains(where: { ["join", "leave", "lose-disk"].contains($0.kind) }) else { return [] }
    let bounds = LowerBound(
      self.cluster.world.network, count: self.scenario.count, quorum: self.cluster.genesis.configuration.quorum,
      engine: self.cluster.genesis.engine)
    let byMember = (0..<self.scenario.count).map { bounds.bound(author: $0) }
    return self.committed.filter { $0.committed != nil }.map { byMember[self.cluster.member($0.slot)] }
  }

  private func notes() -> [String] {
    self.scenario.attackers.compactMap { attacker in
      guard let kind = attacker.kind, self.recorder.misbehaviours[attacker.member] == 0 else { return nil }
      return "Member \(attacker.member + 1) is \(kind.rawValue), and everything that it sent left unaltered: "
        + "there was nothing for it to act on."
    }
  }

  private func addMetrics(to result: inout ScenarioResult) {
    func add(_ name: String, _ value: Double, _ unit: String) {
      result.metrics.append(.init(name: name, value: value, unit: unit))
    }
    let rows = self.committed
    let (from, until) = self.scenario.loadWindow
    let end = min(until, self.cluster.now - .zero)
    let seconds = (Tick.zero + end - (Tick.zero + from)).inMilliseconds / 1000
    let meanwhile = self.recorder.transactions.count {
      $0.committed.map { $0 >= Tick.zero + from && $0 <= Tick.zero + end } ?? false
    }
    add("submitted", Double(rows.count), "transactions")
    add("committed", Double(rows.count { $0.committed != nil }), "transactions")
    let waiting = self.recorder.transactions.count { $0.committed == nil && !$0.isLost }
    add("waiting at the end", Double(waiting), "transactions")
    let lost = self.recorder.transactions.count { $0.committed == nil && $0.isLost }
    if lost > 0 { add("lost with a hospital that stopped", Double(lost), "transactions") }
    add("throughput", seconds > 0 ? Double(meanwhile) / seconds : 0, "transactions/s")
    for (name, statistics) in [
      ("commit latency", result.latency), ("executed everywhere", result.everywhere),
      ("block propagation", result.blocks),
    ] {
      guard let statistics else { continue }
      add("\(name) p50", statistics.median, "ms")
      add("\(name) p90", statistics.p90, "ms")
      add("\(name) p99", statistics.p99, "ms")
    }
    if let bound = result.lowerBound { add("commit latency lower bound p50", bound.median, "ms") }
    add("longest pause between commits", self.longestPause, "ms")
    add("highest view", Double(self.cluster.leader.view.number), "")
    self.addTraffic(to: &result, committed: meanwhile)
    add("syncs", Double(self.recorder.syncs.reduce(0, +)), "")
    add("virtual time", (self.cluster.now - .zero).inMilliseconds / 1000, "s")
    add("events", Double(self.cluster.eventCount), "")
  }

  /// Messages and bytes: all of them, and for each transaction what left while there was load, over what was committed.
  private func addTraffic(to result: inout ScenarioResult, committed: Int) {
    func add(_ name: String, _ value: Double, _ unit: String) {
      result.metrics.append(.init(name: name, value: value, unit: unit))
    }
    let total = self.recorder.total
    add("messages", Double(total.messages), "")
    if committed > 0 {
      let (from, until) = (self.trafficAtEdges.from ?? TrafficTotal(), self.trafficAtEdges.until ?? total)
      add("messages per transaction", Double(until.messages - from.messages) / Double(committed), "")
      add("bytes per transaction", Double(until.bytes - from.bytes) / Double(committed), "B")
    }
    let held = self.recorder.queuedBytes > total.bytes ? self.recorder.queuedBytes - total.bytes : 0
    if held > 0 { add("bytes that an uplink held back", Double(held), "B") }
    let copies = Double(self.recorder.gossiped) / Double(max(1, self.recorder.gossiped - self.recorder.duplicates))
    add("copies a gossiped message", copies, "")
    let liars = self.scenario.attackers.contains { $0.kind != nil }
    if liars { add("messages that liars altered", Double(self.recorder.misbehaviours.reduce(0, +)), "") }
  }

  /// The longest time during which transactions waited and none was committed anywhere, in milliseconds.
  private var longestPause: Double {
    // What was lost with its hospital waits for nothing.
    let rows = self.recorder.transactions.filter { $0.committed != nil || !$0.isLost }
    var moments = rows.map { (at: $0.submitted, isCommit: false) }
    moments += rows.compactMap { row in row.committed.map { (at: $0, isCommit: true) } }
    moments.sort { ($0.at, $0.isCommit ? 1 : 0) < ($1.at, $1.isCommit ? 1 : 0) }
    var (longest, since, waiting) = (Span.zero, Tick.zero, 0)
    for moment in moments {
      if moment.isCommit {
        longest = max(longest, moment.at - since)
        waiting -= 1
        since = moment.at
      } else {
        if waiting == 0 { since = moment.at }
        waiting += 1
      }
    }
    return max(longest, waiting > 0 ? self.cluster.now - since : .zero).inMilliseconds
  }

  private func verdicts(_ result: ScenarioResult) -> [ScenarioResult.Verdict] {
    let file = self.scenario.file
    var out: [ScenarioResult.Verdict] = []
    func add(_ what: String, _ seen: String, _ holds: Bool) { out.append(.init(what: what, seen: seen, holds: holds)) }
    let agreement = self.cluster.checkAgreement()
    add("I1, I4: correct members executed one history", agreement ?? "they did", agreement == nil)
    let breach = self.cluster.breach ?? self.cluster.watch.breach
    add("I3: correct members contradict nothing that they said", breach ?? "they did not", breach == nil)
    func number(_ name: String) -> Double { result.metric(name) ?? 0 }
    func limit(_ path: String) -> Double? { file.text(path).flatMap { Quantity.span($0) }?.inMilliseconds }
    if let part = file.text("expect.committedMin").flatMap({ Quantity.percent($0) }) {
      let seen = number("committed") / max(1, number("submitted"))
      add("at least \(Quantity.digits(part * 100)) % are committed", Quantity.share(seen), seen >= part)
    }
    let pause = number("longest pause between commits")
    if let most = limit("expect.pauseMax") {
      add("no pause over \(Quantity.digits(most)) ms", "\(Quantity.digits(pause)) ms", pause <= most)
    }
    if let least = limit("expect.pauseMin") {
      add("a pause of at least \(Quantity.digits(least)) ms", "\(Quantity.digits(pause)) ms", pause >= least)
    }
    if let most = limit("expect.latencyMax") {
      let seen = number("commit latency p99")
      add("commit latency p99 up to \(Quantity.digits(most)) ms", "\(Quantity.digits(seen)) ms", seen <= most)
    }
    let view = number("highest view")
    if let most = file.integer("expect.viewsMax") { add("view \(most) at most", "\(Int(view))", view <= Double(most)) }
    if let least = file.integer("expect.viewsMin") {
      add("view \(least) at least", "\(Int(view))", view >= Double(least))
    }
    if let forks = file.integer("expect.forks") {
      let seen = self.forkedLanes
      add("\(forks) lanes are proved to be forked", "\(seen)", seen == Int(forks))
    }
    return out
  }

  private var forkedLanes: Int {
    let correct = self.cluster.correctSlots.first ?? 0
    return self.cluster.state(correct).scan(prefix: StateKey.forks, limit: 256).count
  }
}
