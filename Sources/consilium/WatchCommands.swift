internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import Telemetry

/// `consilium status`
struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what a node is doing.", discussion: "Example:\n  consilium status --api /etc/consilium/api.sock")
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await reporting {
      let status: NodeStatus = try await self.node.client().get("/v1/status")
      if self.output.output == .json { return try Console.json(status) }
      let first =
        [status.fhirTrouble].compactMap { $0.map { ["fhir", $0] } }
        + (status.notices ?? []).map { ["notice", $0] }
      Console.table(
        ["what", "value"],
        first + [
          ["hospital", "\(status.name) (member \(status.member))"], ["version", status.version ?? "unknown"],
          ["network", status.network],
          ["engine", status.engine], ["role", status.role], ["votes", status.votes ? "yes" : "no"],
          ["view", "\(status.view)"],
          ["ordering", status.orderingTrouble ?? "goes on"],
          ["lane", status.laneTrouble ?? status.lane],
          ["rules", status.rules?.summary ?? "this node's program does not tell"],
          ["custody", status.custody.summary],
          ["height", "\(status.height)"],
          ["ledger time", Self.describe(status.ledgerTime, ahead: status.ledgerAheadMilliseconds)],
          ["log size", "\(status.logSize)"],
          ["log root", status.logRoot], ["state digest", status.stateDigest],
          ["history", Self.describe(historyLeft: status.historyLeft, base: status.baseHeight)],
          ["snapshot", Self.describe(status.transfer, made: status.snapshotHeight)],
          ["vault", status.vault?.summary ?? "this node's program does not tell"],
          ["under a signed tree head", "\(status.stableSize)"], ["connected members", "\(status.peers)"],
          ["waiting bytes", "\(status.pendingBytes)"], ["disk", "\(status.diskBytes / 1024) KiB"],
          ["memory", "\(status.residentBytes >> 20) MiB"], ["started in", "\(status.startMilliseconds) ms"],
        ])
    }
  }

  /// The ledger's time in a line: ahead of the clock by more than a second, everybody should know.
  private static func describe(_ time: String, ahead milliseconds: UInt64) -> String {
    guard milliseconds > 1000 else { return time }
    let seconds = milliseconds / 1000
    return "\(time), \(seconds) s ahead of this clock: what is valid for less has expired; see consilium peers"
  }

  /// What the ledger holds in a line.
  private static func describe(historyLeft left: UInt64, base: UInt64) -> String {
    left == 0
      ? "whole, from the genesis on"
      : "began with a snapshot at height \(base); \(left) heights below are still to come"
  }

  /// Snapshots of the ledger in a line.
  private static func describe(_ transfer: TransferView?, made height: UInt64) -> String {
    if let transfer {
      return "fetching height \(transfer.height), \(transfer.left) of \(transfer.chunks) chunks to come"
    }
    return height > 0 ? "at height \(height)" : "none yet"
  }
}

/// `consilium peers`
struct Peers: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show a node's connections to the other members.",
    discussion: "Example:\n  consilium peers --api /etc/consilium/api.sock --output json")
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await reporting {
      let peers: [PeerStatus] = try await self.node.client().get("/v1/peers")
      if self.output.output == .json { return try Console.json(peers) }
      Console.table(
        ["member", "name", "connected", "round trip", "clock", "rules", "copies proven", "kept here", "mesh", "peer"],
        peers.map { peer in
          [
            "\(peer.member)", peer.name, peer.connected ? peer.direction ?? "yes" : "no",
            peer.roundTripMilliseconds.map { "\(Int($0 * 1000)) µs" } ?? "",
            peer.clockOffsetMilliseconds.map { "\($0 > 0 ? "+" : "")\($0) ms" } ?? "",
            peer.rulesNewest.map { "knows \($0)" } ?? (peer.connected ? "not known" : ""),
            "\(peer.copiesProven) of \(peer.copiesProven + peer.copiesFailed)",
            "\(peer.keptBytes >> 10) KiB", peer.mesh.joined(separator: " "),
            peer.peer,
          ]
        })
    }
  }
}

/// `consilium explain`
struct Explain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell what a logged event or a metric means, and what to do.",
    discussion: """
      Examples:
        consilium explain consensus.view-change.started
        consilium explain the ledger went on
        consilium explain consilium_commit_seconds
        consilium explain
      """)
  @Argument(help: "The event's name, words of its line, or a metric's name; without it, all events are listed.")
  var event: [String] = []
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await reporting {
      let wanted = self.event.joined(separator: " ")
      if let metric = MetricKind.named(wanted) { return try self.show(metric) }
      let found = EventKind.matching(wanted)
      guard let kind = found.first else {
        throw Failure(
          "there is no event or metric \"\(wanted)\"",
          why: "no event and no metric has that name, and no event's line has those words",
          remedy: "consilium explain lists all events; /metrics has all metrics, by their names")
      }
      guard found.count == 1 else {
        let rows = found.map { [$0.name, $0.level.name, $0.message] }
        if self.output.output == .json {
          return try Console.json(rows.map { ["event": $0[0], "level": $0[1], "message": $0[2]] })
        }
        return Console.table(["event", "level", "message"], rows)
      }
      if self.output.output == .json {
        return try Console.json([
          "event": kind.name, "level": kind.level.name, "message": kind.message, "meaning": kind.meaning,
          "remedy": kind.remedy, "fields": kind.fields.joined(separator: " "),
        ])
      }
      Console.table(
        ["what", kind.name],
        [
          ["level", kind.level.name], ["says", kind.message], ["meaning", kind.meaning], ["what to do", kind.remedy],
          ["fields", kind.fields.joined(separator: " ")],
        ])
    }
  }
}

extension Explain {
  private func show(_ metric: MetricKind) throws {
    if self.output.output == .json {
      return try Console.json([
        "metric": metric.queryName, "type": metric.type.rawValue, "unit": metric.unit ?? "", "meaning": metric.help,
        "labels": metric.labels.joined(separator: " "),
      ])
    }
    Console.table(
      ["what", metric.queryName],
      [
        ["type", metric.type.rawValue], ["unit", metric.unit ?? ""], ["meaning", metric.help],
        ["labels", metric.labels.joined(separator: " ")],
      ])
  }
}

/// `consilium log`
struct LogCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Show, filter and follow nodes' logs, merged in time.",
    discussion: """
      A line has time, node, level, the event's name, its sentence and its fields. consilium explain NAME tells more.

      Examples:
        consilium log node.log --level warn
        consilium log .devnet/h*/node.log --follow     also when another file takes a log's place
        consilium log node.log --event consensus. --output json
      """)
  @Argument(help: "Log files in JSON lines.") var files: [String]
  @Option(help: "Only events of this level or above.") var level = "info"
  @Option(help: "Only events whose name begins so.") var event: String?
  @Flag(help: "Go on as lines are added; Ctrl-C ends it.") var follow = false
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await reporting {
      guard let level = EventLevel(name: self.level) else {
        throw Failure(
          "there is no level \(self.level)", why: "the levels are others",
          remedy: "use one of \(EventLevel.allCases.map(\.name).joined(separator: ", "))")
      }
      var readers = try self.files.map { try LogReader(path: $0) }
      func show() throws {
        var lines: [LogLine] = []
        for index in readers.indices { lines += try readers[index].next(isLast: !self.follow) }
        for line in lines.sorted(by: { $0.time < $1.time }) where self.shows(line, level) { self.show(line) }
      }
      try show()
      for reader in readers { reader.others.map { Console.error("consilium: \($0)") } }
      while self.follow {
        try await Task.sleep(for: .milliseconds(250))
        try show()
      }
    }
  }

  private func shows(_ line: LogLine, _ level: EventLevel) -> Bool {
    line.level >= level && (self.event.map { line.event.hasPrefix($0) } ?? true)
  }

  private func show(_ line: LogLine) {
    guard self.output.output == .table else { return Console.line(line.raw) }
    let colors: [EventLevel: String] = [.warn: "33", .error: "31", .audit: "35"]
    let text =
      [
        String(line.time.dropFirst(11).prefix(12)), line.node,
        line.level.name.padding(toLength: 5, withPad: " ", startingAt: 0), line.event, line.message, line.fields,
      ].joined(separator: "  ")
    let color = Console.isTerminal ? colors[line.level] : nil
    Console.line(color.map { "\u{1b}[\($0)m\(text)\u{1b}[0m" } ?? text)
  }
}
