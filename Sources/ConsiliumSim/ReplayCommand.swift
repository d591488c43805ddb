internal import ArgumentParser
internal import Messages
internal import NodeCore
internal import Primitives
internal import Simulator

/// `consilium-sim replay`
struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Run one seed of the swarm again and print what members report; or make its run as small as it fails.",
    discussion: """
      Examples:
        consilium-sim replay 42
        consilium-sim replay 42 --messages     a time–space diagram: a column a member, time downwards
        consilium-sim replay 42 --shrink       the fewest faults and rounds with which it still fails
      """)
  @Argument(help: "The seed.") var seed: UInt64
  @Flag(help: "Print every message too: a time–space diagram as text.") var messages = false
  @Flag(help: "Take faults, Byzantine members and rounds away while the run still fails.") var shrink = false

  @Option(help: "pbft or raft, instead of the one that the seed draws.") var engine: String?

  func run() throws {
    let drawn = SwarmRun.plan(seed: self.seed, engine: try EngineOption.read(self.engine))
    let plan = self.shrink ? Shrinker(seed: self.seed).smallest(of: drawn) : drawn
    let run = SwarmRun(seed: self.seed, plan: plan)
    let cluster = run.cluster
    if self.messages {
      let diagram = SpaceTimeDiagram(slots: cluster.slotCount)
      say(diagram.header)
      cluster.onArrival = { [unowned cluster] from, to, packet in
        say(diagram.line(at: cluster.now, from: from, to: to, packet.summary))
      }
      cluster.onReport = { [unowned cluster] slot, event in
        say(diagram.note(at: cluster.now, slot: slot, "\(event)"))
      }
    }
    let report = run.run()
    if !self.messages {
      for report in cluster.reports { say("\(report.at.nanoseconds / 1000) µs  r\(report.slot)  \(report.event)") }
    }
    say(
      "seed=\(report.seed) engine=\(report.engine) members=\(report.members) rounds=\(plan.rounds) "
        + "faults=\(report.faults.joined(separator: ",")) events=\(report.events) executed=\(report.executed) "
        + "configurations=\(report.configurations) transfers=\(report.transfers) "
        + "trace=\(report.trace.short)")
    say(report.failure ?? "all invariants held")
    guard report.failure == nil else { throw ExitCode(1) }
  }
}

/// Messages as arrows between columns, one a slot, with time downwards.
struct SpaceTimeDiagram {
  private static let columnWidth = 8
  private let slots: Int

  init(slots: Int) { self.slots = slots }

  var header: String {
    Self.time("µs") + (0..<self.slots).map { Self.pad("r\($0)") }.joined()
  }

  private static func pad(_ text: String) -> String {
    text + String(repeating: " ", count: max(0, Self.columnWidth - text.count))
  }

  private static func time(_ text: String) -> String {
    String(repeating: " ", count: max(0, 12 - text.count)) + text + "  "
  }

  /// An arrow from one column to another.
  func line(at tick: Tick, from: Int, to: Int, _ what: String) -> String {
    var cells = Array(repeating: Character(" "), count: self.slots * Self.columnWidth)
    for slot in 0..<self.slots { cells[slot * Self.columnWidth] = "│" }
    let (low, high) = (min(from, to) * Self.columnWidth, max(from, to) * Self.columnWidth)
    for place in (low + 1)..<max(low + 1, high) { cells[place] = "─" }
    cells[from * Self.columnWidth] = from < to ? "├" : "┤"
    cells[to * Self.columnWidth] = from < to ? "▶" : "◀"
    return Self.time("\(tick.nanoseconds / 1000)") + String(cells) + what
  }

  /// Something at one column.
  func note(at tick: Tick, slot: Int, _ what: String) -> String {
    var cells = Array(repeating: Character(" "), count: self.slots * Self.columnWidth)
    for other in 0..<self.slots { cells[other * Self.columnWidth] = other == slot ? "●" : "│" }
    return Self.time("\(tick.nanoseconds / 1000)") + String(cells) + what
  }
}
