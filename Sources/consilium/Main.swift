internal import ArgumentParser
internal import Foundation
internal import Telemetry

/// The program's commands.
@main
struct Consilium: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "consilium",
    abstract: "A health-record ledger that hospitals run together.",
    discussion: """
      Each hospital runs a permanent node. Records are kept encrypted in the hospitals' vaults; the ledger holds their
      hash-locks, the patients' consents and every access.

        Try it:    consilium devnet up && consilium devnet status
        Run it:    consilium init, consilium genesis new, consilium node --config FILE
        Watch it:  consilium status, consilium log node.log --follow, consilium doctor --config FILE

      Exit codes: 0 done; 1 refused by the ledger, or a check failed; 64 wrong usage; 65 bad input; 66 input
      missing; 69 a node or a port is not available; 74 reading or writing failed; 77 wrong permissions;
      78 wrong configuration.
      """,
    version: ProgramVersion.current,
    subcommands: [
      Init.self, Keys.self, GenesisCommand.self, NodeCommand.self, Devnet.self, Status.self, Peers.self,
      DoctorCommand.self,
      BackupCommand.self, RestoreCommand.self, VaultCommand.self, FHIRCommand.self, HL7Command.self,
      CustodyCommand.self, MemberCommand.self, RulesCommand.self, Account.self,
      Team.self, Record.self, Consent.self, Access.self, SessionCommand.self, Audit.self, Verify.self, LogCommand.self,
      Explain.self, Bench.self,
    ])

  static func main() async {
    do {
      try HelpScreen.requireCommand(ProcessInfo.processInfo.arguments.dropFirst(), of: Self.self)
      var command = try await Self.asyncParseAsRoot()
      if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
    } catch { HelpScreen.end(Self.self, error) }
  }
}
