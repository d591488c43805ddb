internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import Ledger
internal import Messages
internal import Primitives
internal import Signing
internal import Storage
internal import Wire

extension Audit {
  /// `consilium audit evidence`
  struct EvidenceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "evidence", abstract: "List who contradicted itself in votes, and verify each proof offline.",
      discussion: """
        Example:
          consilium audit evidence data --member 1 --genesis genesis.json
        A node keeps two proposals, votes or starts of a view that one member signed for one place and that contradict:
        no correct node signs both, unless its key is used twice. Of each member, configuration and kind one pair is
        kept. Each is verified with nothing but the genesis and the changes of members, which are verified too. The
        node may run or not. --output json shows both signed messages, in hexadecimal.
        Exit status: 0 where there is nothing, 1 where somebody contradicted itself or a proof does not hold.
        """)
    @Argument(help: "The node's data folder.") var data: String
    @Option(help: "Whose store it is.") var member: UInt32
    @Option(help: "The consortium's genesis.") var genesis: String
    @OptionGroup var output: OutputOptions

    /// A proof, for people and programs.
    struct Row: Codable {
      let member: UInt32
      let name: String
      let configuration: UInt32
      let what: String
      let view: UInt64
      let sequence: UInt64?
      let holds: Bool
      let proof: String
    }

    func run() async throws {
      try await reporting {
        let genesis = try GenesisFile.read(self.genesis)
        let rows = try Self.read(try Audit.ledger(in: self.data), genesis, MemberID(self.member))
        if self.output.output == .json {
          try Console.json(rows)
        } else if rows.isEmpty {
          Console.line("Nobody contradicted itself, as far as this node has seen.")
        } else {
          Console.table(
            ["member", "name", "two of one", "configuration", "view", "number", "proof"],
            rows.map {
              [
                "\($0.member)", $0.name, $0.what, "\($0.configuration)", "\($0.view)",
                $0.sequence.map { "\($0)" } ?? "–", $0.holds ? "holds" : "DOES NOT HOLD",
              ]
            })
        }
        guard rows.isEmpty else { throw ExitCode(ExitStatus.refused) }
      }
    }

    private static func read(_ path: String, _ genesis: Genesis, _ member: MemberID) throws -> [Row] {
      let kept: [VoteEvidence]
      let chain: ConfigurationChain
      do throws(StorageFailure) {
        let store = try Store(path: path, genesis: genesis, member: member, mapSizeMax: 1 << 40, fresh: nil)
        let reader = try StoreReader(store)
        kept = try reader.voteEvidence()
        var known = ConfigurationChain(genesis)
        let last = kept.map(\.configuration).max() ?? known.last.number
        let changes = try reader.changeProofs(through: last, from: genesis)
        do throws(ProofFault) { try known.extend(by: changes) } catch {
          throw .damaged(path: path, reason: "a change of members does not hold: \(error)")
        }
        chain = known
      } catch {
        throw Failure(
          "the store cannot be read", why: error.parts.what, remedy: "\(error.parts.remedy); then audit again",
          status: ExitStatus.failedIO)
      }
      return kept.map { evidence in
        let configuration = chain[evidence.configuration]
        let accused = configuration.flatMap { $0.isVoter(evidence.culprit) ? $0.members[evidence.culprit] : nil }
        return Row(
          member: accused?.id.number ?? 0, name: accused?.name ?? "unknown",
          configuration: evidence.configuration.number, what: evidence.kind.words, view: evidence.view.number,
          sequence: evidence.sequence?.number,
          holds: configuration.map { evidence.isAuthentic(network: genesis.network, in: $0) } ?? false,
          proof: Hex.encode(evidence.encoded))
      }
    }
  }

  /// The ledger's store in a node's data folder.
  static func ledger(in data: String) throws -> String {
    let path = data + "/ledger"
    guard FileManager.default.fileExists(atPath: path + "/data.mdb") else {
      throw Failure(
        "there is no ledger in \(data)", why: "ledger/data.mdb is missing", remedy: "check the path",
        status: ExitStatus.missingInput)
    }
    return path
  }
}
