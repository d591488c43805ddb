internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import Primitives
internal import Signing
internal import Storage

extension RulesCommand {
  struct Reexecute: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Execute a stopped node's ledger again, where an older program executed it by other rules.",
      discussion: """
        For a node that ended because its history is not the others': it ran a program that did not know the rules which
        the members adopted. Stop the node, install the newest program, give this command, and start the node.

        Everything is executed again from the genesis, and checked on the way as by consilium audit replay; what comes
        out takes the place of what is stored. The node keeps its key, its votes, its blocks and the order of all.
        Where this program comes to what is stored already, nothing is changed, and the reason is another one.

        Example:
          consilium rules reexecute --config /etc/consilium/node.toml
        """)
    @Option(help: "The node's configuration file.") var config: String
    @Option(name: .customLong("set"), help: "Overrides one key: key=value.") var overrides: [String] = []

    func run() async throws {
      try await reporting {
        let config = try NodeConfig(path: self.config, overrides: self.overrides)
        let genesis = try GenesisFile.read(config.genesis)
        _ = try Audit.ledger(in: config.data)
        let lock = try FolderLock(config.data)
        let done = try Self.reexecute(config, genesis)
        Console.line(
          "Executed again up to height \(done.position.sequence): from \(done.from) on it came to something else, "
            + "which is stored now.")
        Console.line("State digest \(done.position.stateDigest). Next: start the node (consilium node).")
        withExtendedLifetime(lock) {}
      }
    }

    private static func reexecute(_ config: NodeConfig, _ genesis: Genesis) throws -> Reexecution {
      let what = "the ledger in \(config.data) is as it was"
      let rejoining = "keep the folder, and go on under new keys (consilium init, consilium member propose replace)"
      do {
        let store = try Store(
          path: config.data + "/ledger", genesis: genesis, member: MemberID(config.member),
          mapSizeMax: config.mapSizeMax, fresh: Hash.sha256(SecureRandom.bytes(32)))
        return try store.reexecute(
          by: HealthRules(), forgetting: try SnapshotFolder(path: config.data + "/snapshots"))
      } catch let fault as ReexecutionFault {
        switch fault {
        case .notWhole(let sequence):
          throw Failure(
            what, why: "it began with a snapshot, and \(sequence) and below are not here", remedy: rejoining,
            status: ExitStatus.refused)
        case .same:
          throw Failure(
            what, why: "this program comes to what is stored already",
            remedy: "if the node ends as before, \(rejoining)",
            status: ExitStatus.refused)
        case .signed(let sequence):
          throw Failure(
            what,
            why: "this program comes to something else at \(sequence) than a quorum signed, and what is stored is "
              + "what they signed", remedy: "run the program that the other members run", status: ExitStatus.refused)
        }
      } catch let fault as ReplayFault {
        throw Failure(
          what, why: "\(fault)", remedy: "install the newest program; else \(rejoining)",
          status: ExitStatus.refused)
      } catch let failure as StorageFailure {
        throw Failure(opening: failure, what)
      }
    }
  }
}
