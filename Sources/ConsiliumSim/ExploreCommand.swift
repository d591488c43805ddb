internal import ArgumentParser
internal import Primitives
internal import Simulator

/// `consilium-sim explore`
struct ExploreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explore",
    abstract:
      "Go through small worlds case by case: every crash point of a commit, every lost message, a twin's splits.",
    discussion: """
      Worlds, of four members each:
        crashes  each member stops after each effect of one commit, its write lost or kept
        losses   two lanes and one commit; each message, and each two in a row, are lost
        twin     a view change and a twin of the primary; who reaches which twin, before and after
        pairs    two members, more than f, stop after each pair of effects: late, and nothing lost
      Each of these cases is a whole run of whole nodes with one order of messages: all points of a schedule.

      Worlds of the ordering engine alone, in every schedule, with states remembered:
        views    PBFT, one number, a twin of the primary that proposes another cut, view changes
        durable  PBFT, one commit, a crash at any durable point, view changes
        blocks   PBFT, two lanes whose blocks may be anywhere or lost, view changes
        raft     Raft of three, elections and commits, a crash at any durable point
      A move lets two groups of instances hear what was said in their own (anything ever said, again or never), lets
      one instance time out, or crashes one. What is told is whether the space was exhausted, its states and depth.
      Examples:
        consilium-sim explore crashes
        consilium-sim explore views --states 2000000
      """)
  @Argument(help: "The world; all where none is given.") var world: String?
  @Option(help: "The most moves from the beginning in a world of schedules.") var depth: Int?
  @Option(help: "The most states that are remembered in a world of schedules.") var states = 2_000_000
  @Option(help: .hidden) var plant: String?

  func run() throws {
    let names = Exploration.World.allCases.map(\.rawValue) + Interleavings.World.allCases.map(\.rawValue)
    if let world, !names.contains(world) { throw ValidationError("the worlds are \(names.joined(separator: ", "))") }
    if let plant { try Self.plant(plant) }
    var isFine = true
    for name in names where self.world == nil || self.world == name {
      let failures =
        if let world = Exploration.World(rawValue: name) {
          Self.goThrough(world)
        } else {
          Interleavings.World(rawValue: name).map { self.goThrough($0) } ?? []
        }
      for failure in failures.prefix(10) { say("  \(failure)") }
      isFine = isFine && failures.isEmpty
    }
    guard isFine else { throw ExitCode(1) }
  }

  /// In a build with canaries, a bug by name: what `Simulations/README.md` says of the worlds that see it.
  private static func plant(_ name: String) throws {
    #if CANARIES
      Canary.current = Canary(rawValue: name)
    #else
      throw ValidationError("this build contains no canaries: run Scripts/canaries, which makes one that does")
    #endif
  }

  private static func goThrough(_ world: Exploration.World) -> [String] {
    let report = Exploration(world).run()
    say(
      "\(world.rawValue): \(report.cases) cases, \(report.histories) different histories of up to \(report.depth) "
        + "events, \(report.events) events in all, \(report.failures.count) failed")
    return report.failures
  }

  private func goThrough(_ world: Interleavings.World) -> [String] {
    var exploration = Interleavings(world)
    let report = exploration.run(depthMax: self.depth ?? exploration.depthDefault, statesMax: self.states) { report in
      tell("\(world.rawValue): depth \(report.depth), \(report.states) states …")
    }
    let extent =
      report.isExhausted ? "all there are" : report.isWholeToDepth ? "all within them" : "not all within them"
    say(
      "\(world.rawValue): \(report.states) states (\(report.decided) with a decision), \(report.moves) moves; "
        + "depth \(report.depth), \(extent); \(report.locals) states of an "
        + "instance, \(report.messages) messages; \(report.failure == nil ? "0" : "1") failed")
    return [report.failure].compactMap(\.self)
  }
}
