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
internal import Signing
internal import Storage

/// `consilium audit`
struct Audit: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Verify a ledger without trusting those who keep it.",
    subcommands: [ReplayCommand.self, EvidenceCommand.self, Follow.self])

  struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "replay", abstract: "Re-execute a node's whole ledger from the genesis and compare.",
      discussion: """
        Example:
          consilium audit replay data --member 1 --genesis genesis.json
        Every certificate, block and signature is checked; log root, state digest and every row of the stored state must
        come out the same. Rows that were deleted, changed or put in by another program are named.
        """)
    @Argument(help: "The node's data folder.") var data: String
    @Option(help: "Whose store it is.") var member: UInt32
    @Option(help: "The consortium's genesis.") var genesis: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let genesis = try GenesisFile.read(self.genesis)
        let (position, stored) = try Self.replay(try Audit.ledger(in: self.data), genesis, MemberID(self.member))
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
        Console.line("Everything holds: certificates, blocks, signatures, rules, and each row of the stored state.")
        Console.table(["what", "value"], result.keys.sorted().map { [$0, result[$0] ?? ""] })
      }
    }

    /// The most rows that are named.
    private static let namedMax = 20

    private static func failure(_ differences: [StoreReader.StateDifference]) -> Failure {
      let rows = differences.prefix(Self.namedMax - 1).map { "row \($0)" }
      let more = differences.count < Self.namedMax ? "" : "; and more"
      return Failure(
        "the stored state is not what the rules give", why: rows.joined(separator: "; ") + more,
        remedy:
          "another program wrote to it, or its disk lost something: go on under new keys (consilium member propose)",
        status: ExitStatus.refused)
    }

    static func replay(_ path: String, _ genesis: Genesis, _ member: MemberID) throws -> (
      LedgerPosition, LedgerPosition
    ) {
      do {
        let store = try Store(path: path, genesis: genesis, member: member, mapSizeMax: 1 << 40, fresh: nil)
        let reader = try StoreReader(store)
        let stored = try reader.restore(limits: genesis.limits)
        if let gap = try reader.gaps().last {
          throw Failure(
            "the ledger in \(path) is not whole",
            why: "it began with a snapshot, and \(gap.next) and below are not here yet",
            remedy: "let the node run until consilium status says that its history is whole",
            status: ExitStatus.unavailable)
        }
        let replay = try reader.replay(genesis, by: HealthRules())
        let differences = reader.differences(from: replay.state, max: Self.namedMax)
        // Another end has another state: the caller compares the ends.
        guard differences.isEmpty || replay.position != stored.position else { throw Self.failure(differences) }
        // What the rules do not give: votes, identifiers, tiles.
        _ = try reader.checkContent()
        return (replay.position, stored.position)
      } catch let fault as ReplayFault {
        throw Failure(
          "the ledger does not hold what it says", why: "\(fault)",
          remedy: "let the node run, which fetches what is damaged; or go on under new keys (consilium member propose)",
          status: ExitStatus.refused)
      } catch let failure as StorageFailure {
        throw Failure(
          "the store cannot be read", why: failure.parts.what, remedy: "\(failure.parts.remedy); then audit again",
          status: ExitStatus.failedIO)
      }
    }
  }

  struct Follow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Follow a ledger: each signed tree head, every entry below it, and what vaults should keep.",
      discussion: """
        Example:
          consilium audit follow --api api.sock --genesis genesis.json --state seen.txt
        Each tree head must be a quorum's and extend the last, and the entries must hash to it. Vaults are asked for
        chunks that the tree heads choose. One that fails is asked again at once; after two failures in a row an alarm
        names it. For a day of the ledger's time a vault is not asked after its hospital joined or came back under new
        keys, and none is after members joined or left, which places records otherwise: it fetches them meanwhile.
        Whatever does not add up ends it with a status that is not 0 and the evidence in STATE.evidence. --once checks
        once. What was read is kept in STATE and STATE.log.
        """)
    @Option(help: "The file with the last tree head that was seen.") var state: String
    @Flag(help: "Check once and end.") var once = false
    @Option(help: "Challenges to vaults: how many with --once, else one in ten seconds; 0 for none.") var challenges =
      4
    @OptionGroup var node: NodeOptions

    func run() async throws {
      try await reporting {
        let (client, genesis) = (try self.node.client(), try self.node.readGenesis())
        var chain = ConfigurationChain(genesis)
        try await self.extend(&chain, client)
        var last = try self.lastSeen(chain)
        var ledger = try self.lastRead()
        var (round, failed) = (UInt64(0), [UInt32: VaultChallenge]())
        while true {
          let note = String(decoding: try await client.send(.GET, "/checkpoint"), as: UTF8.self)
          try await self.extend(&chain, client)
          let current = try self.check(note, chain)
          if let last, last.body != current.body { try await self.compare(last, current, note, client) }
          if last?.body != current.body {
            try await ledger.read(through: current.body, client) { try self.keep(note) }
            try Files.write(self.state, Array(note.utf8))
            try Files.writeJSON(self.state + ".log", ledger, mode: 0o644)
            let (body, count) = (current.body, current.cosignatures.count)
            Console.line("\(Drafts.now)  size \(body.size)  root \(body.root.short)  signed by \(count)")
          }
          last = current
          let count = self.once ? self.challenges : self.challenges > 0 && round.isMultiple(of: 10) ? 1 : 0
          for _ in 0..<max(0, count) {
            try await self.challenge(ledger, chain, current.body, &failed, client)
          }
          if self.once { return }
          round += 1
          try await Task.sleep(for: .seconds(1))
        }
      }
    }

    /// Keeps a tree head as evidence.
    private func keep(_ note: String) throws { try Files.write(self.state + ".evidence", Array(note.utf8)) }

    private func lastRead() throws -> AuditedLedger {
      guard FileManager.default.fileExists(atPath: self.state + ".log") else { return AuditedLedger() }
      return try Files.readJSON(self.state + ".log", as: AuditedLedger.self, "auditor's file")
    }

    /// The most questions to a vault that failed once.
    private static let questionsMax = 16

    /// Asks a vault for a chunk, and once more at once where it fails; one that does not give what it should twice in a
    /// row is named with the evidence.
    private func challenge(
      _ ledger: AuditedLedger, _ chain: ConfigurationChain, _ head: CheckpointBody,
      _ failed: inout [UInt32: VaultChallenge], _ client: NodeClient
    ) async throws {
      var suspect: UInt32?
      for _ in 0..<Self.questionsMax {
        let lot = SecureRandom.bytes(32)
        guard
          let done = try await VaultChallenge.put(ledger, chain, head: head, lot: lot, of: suspect, client)
        else { return }
        let what = "chunk \(done.chunk) of record \(done.record.prefix(8))…"
        Console.line("\(done.time)  member \(done.member)'s vault  \(done.outcome)  \(what)")
        switch KeptView.Outcome(rawValue: done.outcome) {
        case .proven: failed[done.member] = nil
        case .failed:
          suspect = done.member
          guard let before = failed.updateValue(done, forKey: done.member) else { continue }
          try Files.writeJSON(self.state + ".evidence", [before, done], mode: 0o644)
          throw Failure(
            "ALARM: member \(done.member)'s vault does not keep what it should",
            why: "twice in a row it did not give a chunk that hashes to the record's address",
            remedy: "keep \(self.state).evidence, ask the same through another member's node, and tell that hospital",
            status: ExitStatus.refused)
        // An erased record says nothing of the suspect: another one is asked for.
        case .erased where suspect != nil: continue
        case .erased, .unreachable, nil: break
        }
        return
      }
    }

    /// Follows the members from one configuration to the next; each change is proved by the one before.
    private func extend(_ chain: inout ConfigurationChain, _ client: NodeClient) async throws {
      let views: [ProofView] = try await client.get("/v1/configurations")
      guard views.count >= chain.configurations.count else { return }
      do throws(ProofFault) { try chain.extend(by: views.compactMap(\.proof)) } catch {
        try Files.writeJSON(self.state + ".evidence", views, mode: 0o644)
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
        try self.keep(note)
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
      try self.keep(note)
      throw Failure(
        "ALARM: the log was rewritten",
        why: "the tree head of size \(new.size) does not extend that of size \(old.size)",
        remedy: "keep \(self.state) and \(self.state).evidence and ask every member", status: ExitStatus.refused)
    }
  }
}
