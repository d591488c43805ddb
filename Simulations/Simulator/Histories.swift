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

  /// LEDGER §7: whoever began with a snapshot takes this disk's history below a height drawn by lot, and nothing of it
  /// once one thing is altered. A sentence where that is not so.
  func historyBreach(_ genesis: Genesis, _ random: inout SeededGenerator) -> String? {
    guard let write = self.executions[safe: Int(random.below(UInt64(max(1, self.executions.count))))] else {
      return nil
    }
    let (sequence, record) = (write.record.sequence, write.record)
    let gap = HistoryGap(
      above: .zero, next: sequence, heads: write.cut.heads, size: record.firstLeaf + UInt64(record.outcomes.count))
    func kept(of items: [HistoryItem]) -> [HistoryItem] {
      [gap].filled(by: items, tiles: self) { $0.isAuthentic(genesis, among: self.configurations) }.kept
    }
    let items = self.history(from: sequence)
    guard kept(of: items) == items else { return "history below \(sequence) is not taken as it is" }
    let altered = items.altered(&random)
    return altered == items || kept(of: altered).isEmpty ? nil : "altered history below \(sequence) is taken"
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
      next = block.header.before
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

extension [HistoryItem] {
  /// What a liar makes of it: a cut left out, one bit of an outcome changed, or signatures gone, always of the first.
  func altered(_ random: inout SeededGenerator) -> [HistoryItem] {
    guard let first = self.first else { return self }
    let record = first.record
    switch random.below(3) {
    case 0: return Array(self.dropFirst())
    case 1:
      let altered = ExecutionRecord(
        sequence: record.sequence, time: record.time, firstLeaf: record.firstLeaf, blocks: record.blocks,
        outcomes: record.outcomes.map { $0 ^ 1 })
      return [HistoryItem(altered, decision: first.decision, blocks: first.blocks)] + self.dropFirst()
    default:
      let blocks = first.blocks.map { Block(header: $0.header, signature: .unsigned, body: $0.body) }
      return [HistoryItem(record, decision: first.decision, blocks: blocks)] + self.dropFirst()
    }
  }
}
