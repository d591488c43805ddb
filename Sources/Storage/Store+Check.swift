public import Ledger
internal import Merkle
internal import Messages
public import Primitives
public import Rules

/// Reading a store through: what a disk lost, or another program changed, is found before anybody acts on it
/// (LEDGER §11.13).
extension StoreReader {
  /// Compares every table that is counted with the sum of what was written into it, and the log's tiles with its head;
  /// says how many rows there are.
  ///
  /// - Throws: `StorageFailure.damaged` at the first thing that is not as it was written.
  public func checkContent() throws(StorageFailure) -> UInt64 {
    let meta = self.tables.meta
    let stored = self.snapshot.get(meta.handle, Key.sums)
    guard let stored, let sums = ContentSums(stored, tables: self.tables.all.count) else {
      throw .damaged(path: self.path, reason: "the sums over its tables are missing or changed")
    }
    var rows: UInt64 = 0
    for table in self.tables.all where table.isCounted {
      let wanted = sums.sums[Int(table.number)]
      let there = try self.snapshot.sum(table, but: table.number == meta.number ? [Key.sums, Key.format] : [])
      guard there == wanted else {
        let what =
          there.count == wanted.count
          ? "other rows than were written" : "\(there.count) rows, and \(wanted.count) were written"
        throw .damaged(path: self.path, reason: "the table \(table.name) has \(what)")
      }
      rows += there.count
    }
    let log = try self.position.log
    guard MerkleProver(nodes: self).root(size: log.size) == log.root else {
      throw .damaged(path: self.path, reason: "the log's tiles do not hash to its head")
    }
    return rows
  }

  /// The most damaged cuts that one reading finds.
  private static let rottenMax = 64
  /// After so many the reader moves on to what is committed now, so that it holds no old pages.
  private static let heightsPerSnapshot = 256

  /// Reads what was executed, from the first cut to the last: each must be here as it was decided, and hash to the log.
  ///
  /// - Throws: `StorageFailure` where something else is damaged.
  public func checkHistory() throws(StorageFailure) -> (heights: UInt64, rotten: [StorageFailure]) {
    var (heights, rotten): (UInt64, [StorageFailure]) = (0, [])
    let end = try self.position.sequence
    var gaps = try self.gaps()
    var next = SequenceNumber.zero.next
    while next <= end, rotten.count < Self.rottenMax {
      if let gap = gaps.first(where: { $0.low < next && next <= $0.next }) {
        next = gap.next.next
        continue
      }
      do throws(StorageFailure) { try self.checkExecuted(next) } catch {
        guard case .rotten = error else { throw error }
        rotten.append(error)
      }
      heights += 1
      next = next.next
      guard heights.isMultiple(of: UInt64(Self.heightsPerSnapshot)) else { continue }
      try self.renew()
      gaps = try self.gaps()
    }
    return (heights, rotten)
  }

  private func checkExecuted(_ sequence: SequenceNumber) throws(StorageFailure) {
    try self.refetchable(sequence) { () throws(StorageFailure) in
      guard let item = try self.historyItem(sequence) else {
        throw .damaged(path: self.path, reason: "what was executed at \(sequence) is missing")
      }
      let (first, count) = (item.record.firstLeaf, UInt64(item.record.outcomes.count))
      guard count > 0 else { return }
      guard try self.snapshot.get(self.tables.leaves, Key.number(first)) == Key.number(sequence.number) else {
        throw .damaged(path: self.path, reason: "log entry \(first) is not led to its cut")
      }
      try self.checkEntries(of: item.record)
    }
  }

  /// The gap that a damaged cut becomes, to be filled by what other members have: up to the next cut that is whole.
  /// Nil where it cannot be.
  public func gap(around sequence: SequenceNumber, among gaps: [HistoryGap]) throws(StorageFailure) -> HistoryGap? {
    let end = try self.position.sequence
    var upper = sequence
    for _ in 0..<Self.rottenMax {
      guard upper <= end, !gaps.contains(where: { $0.low < upper && upper <= $0.next }) else { return nil }
      if let (heads, size) = try self.edge(after: upper, end: end) {
        return HistoryGap(above: sequence.previous, next: upper, heads: heads, size: size)
      }
      upper = upper.next
    }
    return nil
  }

  /// How lanes and log stood after a cut; nil where its decision or its record is damaged.
  private func edge(
    after sequence: SequenceNumber, end: SequenceNumber
  ) throws(StorageFailure) -> (heads: [LaneHead], size: UInt64)? {
    if sequence == end, let cut = try self.read(self.tables.meta, Key.cut, "the executed cut", as: Cut.self) {
      return (cut.heads, try self.position.log.size)
    }
    do throws(StorageFailure) {
      guard let decision = try self.decision(sequence), let record = try self.execution(sequence) else { return nil }
      return (decision.cut.heads, record.firstLeaf + UInt64(record.outcomes.count))
    } catch {
      guard case .damaged = error else { throw error }
      return nil
    }
  }

  /// The cut that executed a lane's block of a position; nil where none has.
  func sequence(executing position: LanePosition, of lane: Int) throws(StorageFailure) -> SequenceNumber? {
    func tip(after sequence: SequenceNumber) -> LanePosition {
      // What is damaged or missing leads upwards: at the upper end it is known to be passed.
      let decision: Decision?
      do throws(StorageFailure) { decision = try self.decision(sequence) } catch { return .zero }
      guard let heads = decision?.cut.heads, heads.indices.contains(lane) else { return .zero }
      return heads[lane].position
    }
    let cut = try self.read(self.tables.meta, Key.cut, "the executed cut", as: Cut.self)
    guard let heads = cut?.heads, heads.indices.contains(lane), heads[lane].position >= position else { return nil }
    var (low, high) = (UInt64(1), try self.position.sequence.number)
    while low < high {
      let middle = (low + high) / 2
      if tip(after: SequenceNumber(middle)) >= position { high = middle } else { low = middle + 1 }
    }
    return SequenceNumber(low)
  }

  /// How a stored row of the state differs from what it should be.
  public struct StateDifference: Sendable, Hashable, CustomStringConvertible {
    /// What is wrong with it.
    public enum Kind: String, Sendable, Hashable {
      /// The rules give it, and the store does not have it.
      case missing = "is missing"
      /// The store has it, and the rules do not give it.
      case added = "was put in"
      /// Its value is another.
      case changed = "was changed"
    }
    /// What is wrong with it.
    public let kind: Kind
    /// The row's key.
    public let key: [UInt8]
    /// The key and what is wrong.
    public var description: String { "\(Hex.encode(self.key)) \(self.kind.rawValue)" }
  }

  /// The rows in which the stored state differs from another, at most so many.
  public func differences(from state: MemoryState, max: Int) -> [StateDifference] {
    let table = self.tables.state
    var expected = state.pairs[...]
    var out: [StateDifference] = []
    unsafe self.snapshot.visit(table.handle, from: []) { key, row in
      while let first = expected.first, first.key.lexicographicallyPrecedes(key), out.count < max {
        out.append(StateDifference(kind: .missing, key: first.key))
        expected.removeFirst()
      }
      guard out.count < max else { return false }
      if let first = expected.first, first.key == key {
        expected.removeFirst()
        if unsafe table.open(key, row)?.value != first.value { out.append(StateDifference(kind: .changed, key: key)) }
      } else {
        out.append(StateDifference(kind: .added, key: key))
      }
      return out.count < max
    }
    out += expected.prefix(Swift.max(0, max - out.count)).map { StateDifference(kind: .missing, key: $0.key) }
    return out
  }
}
