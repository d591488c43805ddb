internal import NIOHTTP1
internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Merkle
internal import Messages
internal import NodeCore
internal import Primitives
internal import Storage

/// `consilium audit`
struct Audit: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Verify a ledger without trusting whoever keeps it.", subcommands: [ReplayCommand.self, Follow.self])

  struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "replay", abstract: "Re-execute a node's whole ledger from the genesis and compare.",
      discussion: """
        Example:
          consilium audit replay data --member 1 --genesis genesis.json
        Every certificate, block and signature is checked; log root and state digest must come out the same.
        """)
    @Argument(help: "The node's data folder.") var data: String
    @Option(help: "Whose store it is.") var member: UInt32
    @Option(help: "The consortium's genesis.") var genesis: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let genesis = try GenesisFile.read(self.genesis)
        let path = self.data + "/ledger"
        guard FileManager.default.fileExists(atPath: path + "/data.mdb") else {
          throw Failure(
            "there is no ledger in \(self.data)", why: "ledger/data.mdb is missing", remedy: "check the path",
            status: ExitStatus.missingInput)
        }
        let (position, stored) = try Self.replay(path, genesis, MemberID(self.member))
        guard position == stored else {
          throw Failure(
            "the ledger does not hold what it says",
            why: "re-executed it gives log root \(position.log.root.short)…, the store says \(stored.log.root.short)…",
            remedy: "compare with the other members", status: ExitStatus.refused)
        }
        let result = [
          "height": "\(position.sequence)", "logSize": "\(position.log.size)", "logRoot": "\(position.log.root)",
          "stateDigest": "\(position.stateDigest)",
        ]
        if self.output.output == .json { return try Console.json(result) }
        Console.line("Everything holds: certificates, blocks, signatures, rules.")
        Console.table(["what", "value"], result.keys.sorted().map { [$0, result[$0] ?? ""] })
      }
    }

    static func replay(_ path: String, _ genesis: Genesis, _ member: MemberID) throws -> (
      LedgerPosition, LedgerPosition
    ) {
      do {
        let store = try Store(path: path, genesis: genesis, member: member, mapSizeMax: 1 << 40, fresh: .zero)
        let reader = try StoreReader(store)
        let stored = try reader.restore(limits: genesis.limits)
        if let gap = try reader.gaps().last {
          throw Failure(
            "the ledger in \(path) is not whole",
            why: "it began with a snapshot, and \(gap.next) and below are not here yet",
            remedy: "let the node run until consilium status says that its history is whole",
            status: ExitStatus.unavailable)
        }
        var replay = Replay(genesis: genesis, rules: HealthRules())
        while replay.position.sequence < stored.position.sequence {
          for decision in try reader.decisions(from: replay.position.sequence.next, countMax: 256) {
            guard decision.sequence <= stored.position.sequence else { break }
            try replay.apply(decision, blocks: try Self.blocks(of: decision, after: replay.cut, reader))
          }
          guard
            try !reader.decisions(from: replay.position.sequence.next, countMax: 1).isEmpty
              || replay.position.sequence >= stored.position.sequence
          else { throw ReplayFault.decision(replay.position.sequence.next) }
        }
        return (replay.position, stored.position)
      } catch let fault as ReplayFault {
        throw Failure(
          "the ledger does not hold what it says", why: "\(fault)", remedy: "restore this member from another",
          status: ExitStatus.refused)
      } catch let failure as StorageFailure {
        throw Failure("the store cannot be read", why: "\(failure)", remedy: "as it says", status: ExitStatus.failedIO)
      }
    }

    /// The decided blocks of each lane: walked back from the decided head, so that rivals at a position do not count.
    private static func blocks(of decision: Decision, after cut: Cut, _ reader: StoreReader) throws -> [[Block]] {
      try decision.cut.heads.enumerated().map { lane, head in
        var chain: [Block] = []
        var next = head
        while next.position > cut.heads[lane].position, let block = try reader.block(lane: lane, next) {
          chain.append(block)
          next = LaneHead(position: LanePosition(next.position.number - 1), digest: block.header.parent)
        }
        return chain.reversed()
      }
    }
  }

  struct Follow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Follow a node's signed tree heads: each must extend the last.",
      discussion: """
        Example:
          consilium audit follow --api api.sock --genesis genesis.json --state seen.txt
        A fork or a rewrite ends it with exit code 1 and both tree heads in a file. --once checks once.
        """)
    @Option(help: "The file with the last tree head that was seen.") var state: String
    @Flag(help: "Check once and end.") var once = false
    @OptionGroup var node: NodeOptions

    func run() async throws {
      try await reporting {
        let (client, genesis) = (try self.node.client(), try self.node.readGenesis())
        var chain = ConfigurationChain(genesis)
        try await self.extend(&chain, client)
        var last = try self.lastSeen(chain)
        while true {
          let note = String(decoding: try await client.send(.GET, "/checkpoint"), as: UTF8.self)
          try await self.extend(&chain, client)
          let current = try self.check(note, chain)
          if let last, last.body != current.body { try await self.compare(last, current, note, client) }
          if last?.body != current.body {
            try Files.write(self.state, Array(note.utf8))
            let (body, count) = (current.body, current.cosignatures.count)
            Console.line("\(Drafts.now)  size \(body.size)  root \(body.root.short)  signed by \(count)")
          }
          last = current
          if self.once { return }
          try await Task.sleep(for: .seconds(1))
        }
      }
    }

    /// Follows the members from one configuration to the next; each change is proved by the one before.
    private func extend(_ chain: inout ConfigurationChain, _ client: NodeClient) async throws {
      let views: [ProofView] = try await client.get("/v1/configurations")
      guard views.count >= chain.configurations.count else { return }
      do throws(ProofFault) { try chain.extend(by: views.compactMap(\.proof)) } catch {
        throw Failure(
          "ALARM: a change of members does not hold", why: "\(error)", remedy: "keep it and ask the members",
          status: ExitStatus.refused)
      }
      let last = chain.last
      Console.line("\(Drafts.now)  configuration \(last.number.number): \(last.voterCount) members vote")
    }

    private func lastSeen(_ chain: ConfigurationChain) throws -> StableCheckpoint? {
      guard FileManager.default.fileExists(atPath: self.state) else { return nil }
      return try self.check(String(decoding: try Files.read(self.state), as: UTF8.self), chain)
    }

    private func check(_ note: String, _ chain: ConfigurationChain) throws -> StableCheckpoint {
      do throws(ProofFault) {
        return try StableCheckpoint(note: note, by: chain)
      } catch {
        throw Failure(
          "ALARM: a tree head does not hold", why: "\(error)", remedy: "keep it and ask the members",
          status: ExitStatus.refused)
      }
    }

    private func compare(
      _ last: StableCheckpoint, _ current: StableCheckpoint, _ note: String, _ client: NodeClient
    ) async throws {
      let (old, new) = last.body.size <= current.body.size ? (last.body, current.body) : (current.body, last.body)
      let path: [String] =
        old.size == 0 ? [] : try await client.get("/v1/log/consistency?from=\(old.size)&to=\(new.size)")
      let proof = path.compactMap { Hex.decode($0).flatMap { Digest($0) } }
      let holds =
        old.size == 0
        || MerkleProof.verifiesConsistency(
          old: old.size, size: new.size, path: proof, oldRoot: old.root, root: new.root)
      guard !holds else { return }
      try Files.write(self.state + ".evidence", Array(note.utf8))
      throw Failure(
        "ALARM: the log was rewritten",
        why: "the tree head of size \(new.size) does not extend that of size \(old.size)",
        remedy: "keep \(self.state) and \(self.state).evidence and ask every member", status: ExitStatus.refused)
    }
  }
}
