internal import HealthRecords
internal import Ledger
internal import Merkle
internal import Messages
internal import NodeCore
internal import Primitives
internal import Rules

/// What is checked of a disk when a run is over.
extension SimulatedDisk {
  /// Re-executes this disk's history from the genesis.
  func replay(_ genesis: Genesis) throws(ReplayFault) -> LedgerPosition {
    var replay = Replay(genesis: genesis, rules: HealthRules())
    while replay.position.sequence < self.position.sequence {
      let next = replay.position.sequence.next
      guard let decision = self.decisions[next] else { throw .decision(next) }
      let cut = replay.cut
      let blocks = decision.cut.heads.indices.map { lane in
        self.chain(lane: lane, above: cut.heads[lane], through: decision.cut.heads[lane])
      }
      try replay.apply(decision, blocks: blocks)
    }
    return replay.position
  }

  /// Reads this disk's history with the naive ledger; a sentence where they do not agree.
  func compareWithNaive(_ genesis: Genesis) -> String? {
    var naive = NaiveLedger(genesis)
    var cut = Cut.genesis(lanes: genesis.members.count)
    for write in self.executions {
      cut = cut.among(lanes: write.cut.heads.count)
      let blocks = cut.heads.indices.flatMap {
        self.chain(lane: $0, above: cut.heads[$0], through: write.cut.heads[$0])
      }
      if let failure = naive.check(write, after: cut, blocks: blocks) { return failure }
      cut = write.cut
    }
    guard naive.root() == self.position.log.root else { return "I10: the log's root is not that of its leaves" }
    var tiles: [UInt64: [Digest]] = [:]
    for tile in self.executions.flatMap(\.tiles) where tile.level == 0 { tiles[tile.index] = tile.hashes }
    let kept = tiles.keys.sorted().flatMap { tiles[$0] ?? [] }
    return kept == naive.leaves ? nil : "LEDGER §6: the log's tiles do not hold its leaves"
  }

  /// A fork that is on this disk and not on the ledger.
  var forkBreach: String? {
    for (lane, held) in self.blocks.enumerated() {
      // Blocks of two configurations at one position are none: what was not ordered is sealed again.
      let isForked = held.values.contains { blocks in
        Set(blocks.map(\.header.configuration)).contains { number in
          blocks.count { $0.header.configuration == number } > 1
        }
      }
      guard isForked,
        let member = held.values.first?.first?.header.author
      else { continue }
      let isKnown = self.state.value(StateKey.fork(member)) != nil
      // A change of members readmits a lane, and forgets its fork.
      if !isKnown, self.configurations.count == 1 { return "lane \(lane) was forked, and the ledger does not say so" }
    }
    return nil
  }

  /// A stable tree head that fewer than a quorum signed.
  var cosignatureBreach: String? {
    guard let stable else { return nil }
    let configuration = self.configurations[Int(stable.body.configuration.number)]
    let valid = stable.cosignatures.count { $0.isAuthentic(for: stable.body, in: configuration) }
    return valid >= NaiveLedger.quorum(of: configuration.voters.count, configuration.engine)
      ? nil : "the tree head of \(stable.body.sequence) has \(valid) valid signatures"
  }

  private func chain(lane: Int, above base: LaneHead, through head: LaneHead) -> [Block] {
    var out: [Block] = []
    var next = head
    while next.position > base.position,
      let block = self.blocks[lane][next.position]?.first(where: { $0.digest == next.digest })
    {
      out.append(block)
      next = LaneHead(position: LanePosition(next.position.number - 1), digest: block.header.parent)
    }
    return out.reversed()
  }

  /// The place of an executed transaction.
  func leaf(of identifier: Digest) -> UInt64? {
    for execution in self.executions.reversed() {
      if let found = execution.identifiers.first(where: { $0.identifier == identifier }) { return found.leaf }
    }
    return nil
  }
}
