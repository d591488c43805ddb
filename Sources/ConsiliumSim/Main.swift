internal import ArgumentParser
internal import Laboratory

/// The simulator's commands.
@main
struct ConsiliumSim: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "consilium-sim",
    abstract: "The same node as in production, in a hostile world of virtual time.",
    discussion: """
      Exit codes: 0 all invariants held; 1 one did not; 64 wrong usage; 65 a scenario with mistakes; 73 no place for a
      result.
      """,
    version: "consilium-sim \(BuildIdentity.current)",
    subcommands: [
      RunCommand.self, CheckCommand.self, ListCommand.self, ExplainCommand.self, SweepCommand.self, CompareCommand.self,
      ReportCommand.self, SwarmCommand.self, ReplayCommand.self, ExploreCommand.self,
      CanariesCommand.self, PublishedCommand.self, BenchCommand.self, CalibrateCommand.self,
    ])
}
