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
      commandName: "evidence",
      abstract: "List who contradicted itself, in votes or in its lane, and verify each proof offline.",
      discussion: """
        Example:
          consilium audit evidence data --member 1 --genesis genesis.json
        Votes: a node keeps two proposals, votes or starts of a view that one member signed for one place and that
        contradict: no correct node signs both, unless its key is used twice. Of each member, configuration and kind
        one pair is kept, of what this node saw.
        Lanes: the ledger keeps the proof that a member forked its lane ("block"), at every node, until the members
        readmit it under new keys. A fork that a node saw and that is not on the ledger yet is in its log
        (lane.forked).
        Each is verified with nothing but the genesis and the changes of members, which are verified too. The node may
        run or not. --output json shows both signed messages, or both signed headers of blocks, in hexadecimal.
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
      /// The configuration in which both were signed; nil of blocks that are not here.
      let configuration: UInt32?
      let what: String
      /// The view; nil of blocks.
      let view: UInt64?
      /// The cut that the votes are for; of blocks the one that executed the proof.
      let sequence: UInt64?
      /// The first block's position in its lane; nil of votes.
      let position: UInt64?
      /// Whether the proof holds; nil where it is not here.
      let holds: Bool?
      let proof: String
    }

    /// What a store has.
    private struct Found {
      let rows: [Row]
      /// How far its ledger goes.
      let height: SequenceNumber
    }

    func run() async throws {
      try await reporting {
        let genesis = try GenesisFile.read(self.genesis)
        let found = try Self.read(try Audit.ledger(in: self.data), genesis, MemberID(self.member))
        let rows = found.rows
        if self.output.output == .json {
          try Console.json(rows)
        } else if rows.isEmpty {
          Console.line("Nothing. Votes: this node saw no two of one member for one place that contradict.")
          Console.line(
            "Lanes: up to height \(found.height) the ledger holds no proof of a fork, but for lanes readmitted since.")
        } else {
          Console.table(
            ["member", "name", "two of one", "configuration", "view", "number", "position", "proof"],
            rows.map { row in
              func shown(_ number: UInt64?) -> String { number.map { "\($0)" } ?? "–" }
              return [
                "\(row.member)", row.name, row.what, shown(row.configuration.map { UInt64($0) }), shown(row.view),
                shown(row.sequence), shown(row.position),
                row.holds.map { $0 ? "holds" : "DOES NOT HOLD" } ?? "not here yet",
              ]
            })
        }
        guard rows.isEmpty else { throw ExitCode(ExitStatus.refused) }
      }
    }

    private static func read(_ path: String, _ genesis: Genesis, _ member: MemberID) throws -> Found {
      do throws(StorageFailure) {
        let store = try Store(path: path, genesis: genesis, member: member, mapSizeMax: 1 << 40, fresh: nil)
        let reader = try StoreReader(store)
        let (votes, forks) = (try reader.voteEvidence(), try reader.forks())
        var chain = ConfigurationChain(genesis)
        // Of a fork's proof any configuration may be the one in which its author's key is.
        let last = forks.isEmpty ? votes.map(\.configuration).max() : ConfigurationNumber(.max)
        let changes = try reader.changeProofs(through: last ?? chain.last.number, from: genesis)
        do throws(ProofFault) { try chain.extend(by: changes) } catch {
          throw .damaged(path: path, reason: "a change of members does not hold: \(error)")
        }
        return Found(
          rows: votes.map { Self.row($0, chain) } + forks.map { Self.row($0, chain) },
          height: try reader.position.sequence)
      } catch {
        throw Failure(
          "the store cannot be read", why: error.parts.what, remedy: "\(error.parts.remedy); then audit again",
          status: ExitStatus.failedIO)
      }
    }

    private static func row(_ evidence: VoteEvidence, _ chain: ConfigurationChain) -> Row {
      let configuration = chain[evidence.configuration]
      let accused = configuration.flatMap { $0.isVoter(evidence.culprit) ? $0.members[evidence.culprit] : nil }
      return Row(
        member: accused?.id.number ?? 0, name: accused?.name ?? "unknown",
        configuration: evidence.configuration.number, what: evidence.kind.words, view: evidence.view.number,
        sequence: evidence.sequence?.number, position: nil,
        holds: configuration.map { evidence.isAuthentic(network: chain.network, in: $0) } ?? false,
        proof: Hex.encode(evidence.encoded))
    }

    private static func row(_ fork: RecordedFork, _ chain: ConfigurationChain) -> Row {
      let name = chain.configurations.last { $0.index(of: fork.author) != nil }
        .flatMap { configuration in configuration.index(of: fork.author).map { configuration.members[$0].name } }
      return Row(
        member: fork.author.number, name: name ?? "unknown",
        configuration: fork.evidence?.first.configuration.number, what: "block", view: nil,
        sequence: fork.sequence.number, position: fork.evidence?.first.position.number,
        holds: fork.isHere ? fork.isProven(network: chain.network, among: chain.configurations) : nil,
        proof: fork.evidence.map { Hex.encode($0.encoded) } ?? "")
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
