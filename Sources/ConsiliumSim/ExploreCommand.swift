internal import ArgumentParser
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
      Each case is a whole run with one order of messages: all points of a schedule, not all schedules.
      Example:
        consilium-sim explore crashes
      """)
  @Argument(help: "The world; all where none is given.") var world: String?

  func run() throws {
    var worlds = Exploration.World.allCases
    if let world {
      guard let known = Exploration.World(rawValue: world) else {
        throw ValidationError("the worlds are \(worlds.map(\.rawValue).joined(separator: ", "))")
      }
      worlds = [known]
    }
    var isFine = true
    for world in worlds {
      let report = Exploration(world).run()
      say(
        "\(world.rawValue): \(report.cases) cases, \(report.histories) different histories of up to \(report.depth) "
          + "events, \(report.events) events in all, \(report.failures.count) failed")
      for failure in report.failures.prefix(10) { say("  \(failure)") }
      isFine = isFine && report.failures.isEmpty
    }
    guard isFine else { throw ExitCode(1) }
  }
}
