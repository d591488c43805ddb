public import Ledger
internal import Merkle
public import Messages
public import NodeCore
public import Primitives
public import Rules
internal import Wire

/// Why a ledger was not executed again.
public enum ReexecutionFault: Error, Sendable, Hashable {
  /// It began with a snapshot, and what was executed at a sequence number and below is not here.
  case notWhole(SequenceNumber)
  /// It gives what is stored.
  case same
  /// A quorum signed what is stored at a sequence number, and this gives something else.
  case signed(SequenceNumber)
}

/// What executing a ledger again changed.
public struct Reexecution: Sendable, Hashable {
  /// The first cut that came to something else; where only the state differs, the last.
  public let from: SequenceNumber
  /// Where execution stands now.
  public let position: LedgerPosition
}

extension StoreReader {
  /// Executes again, from the genesis on, everything that was executed here, and checks what it reads on the way:
  /// certificates, blocks, signatures. `each` is given what each cut comes to.
  ///
  /// - Throws: `ReplayFault` at the first thing that does not hold, `StorageFailure` where it cannot be read, whatever
  ///   `each` throws.
  public func replay(
    _ genesis: Genesis, by rules: any ExecutionRules, _ each: (ExecutionWrite) throws -> Void = { _ in }
  ) throws -> Replay {
    let end = try self.position.sequence
    var replay = Replay(genesis: genesis, rules: rules)
    while replay.position.sequence < end {
      let next = replay.position.sequence.next
      let decisions = try self.decisions(from: next, countMax: Self.decisionsAtOnce).filter { $0.sequence <= end }
      guard !decisions.isEmpty else { throw ReplayFault.decision(next) }
      for decision in decisions {
        try each(try replay.apply(decision, blocks: try self.blocks(of: decision, after: replay.cut)))
      }
    }
    return replay
  }

  private static let decisionsAtOnce = 256

  /// The decided blocks of each lane: walked back from the decided head, so that rivals at a position do not count.
  private func blocks(of decision: Decision, after cut: Cut) throws(StorageFailure) -> [[Block]] {
    var lanes: [[Block]] = []
    for (lane, head) in decision.cut.heads.enumerated() {
      var chain: [Block] = []
      var next = head
      let known = cut.heads.indices.contains(lane) ? cut.heads[lane].position : .zero
      while next.position > known, let block = try self.block(lane: lane, next) {
        chain.append(block)
        next = block.header.before
      }
      lanes.append(chain.reversed())
    }
    return lanes
  }
}

extension Store {
  /// Puts what executing the whole ledger again gives in the place of what a program that did not know its rules made
  /// of it. ⚑ Votes, blocks, decisions and what proves others' lies stay: the member contradicts nothing that it said
  /// of the order. Snapshots that were made of the other state are taken away before.
  ///
  /// - Throws: `ReexecutionFault`, `ReplayFault` or `StorageFailure`, whereupon the store is as it was.
  public func reexecute(by rules: any ExecutionRules, forgetting snapshots: SnapshotFolder) throws -> Reexecution {
    let reader = try StoreReader(self)
    _ = try reader.checkContent()
    if let gap = try reader.gaps().last { throw ReexecutionFault.notWhole(gap.next) }
    let stored = try reader.position
    let stable = try reader.stableCheckpoint?.body
    var writes: [ExecutionWrite] = []
    let replay = try reader.replay(self.genesis, by: rules) { write in
      let position = write.position
      if let stable, stable.sequence == position.sequence,
        (stable.root, stable.stateDigest) != (position.log.root, position.stateDigest)
      {
        throw ReexecutionFault.signed(stable.sequence)
      }
      // Below the first that differs log and identifiers are the same too: they follow from the outcomes.
      let isSame = try writes.isEmpty && reader.execution(position.sequence) == write.record
      if !isSame { writes.append(write) }
    }
    guard replay.position != stored else { throw ReexecutionFault.same }
    let from = writes.first?.record.sequence ?? stored.sequence
    snapshots.forget(from: from)
    try self.change { transaction throws(StorageFailure) in
      for write in writes {
        try transaction.remove(self.tables.identifiers, Key.number(write.record.sequence.number))
        try self.put(write, transaction)
      }
      try transaction.clear(self.tables.state)
      for pair in replay.state.pairs { try transaction.put(self.tables.state, pair.key, pair.value) }
      try transaction.put(self.tables.meta, Key.position, replay.position.encoded)
    }
    return Reexecution(from: from, position: replay.position)
  }
}
