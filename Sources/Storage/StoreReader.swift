internal import HealthRecords
public import Ledger
internal import Merkle
public import Messages
public import NodeCore
internal import Ordering
public import Primitives
internal import Rules
internal import Signing
internal import Wire

/// Reads a store as of one moment. For one thread; `renew` moves on to what is committed now.
public final class StoreReader: LogTiles {
  private let store: Store
  let snapshot: Snapshot
  var tables: Store.Tables { self.store.tables }
  var path: String { self.store.environment.path }

  /// A reader of what is committed now.
  public init(_ store: Store) throws(StorageFailure) {
    self.store = store
    self.snapshot = try store.environment.snapshot()
  }

  /// Moves on to what is committed now.
  public func renew() throws(StorageFailure) { try self.snapshot.renew() }

  func read<T: WireDecodable>(
    _ table: Environment.Table, _ key: [UInt8], _ name: String, as type: T.Type
  ) throws(StorageFailure) -> T? {
    guard let bytes = self.snapshot.get(table, key) else { return nil }
    return try self.decode(bytes, name)
  }

  private func decode<T: WireDecodable>(_ bytes: [UInt8], _ name: String) throws(StorageFailure) -> T {
    do { return try T.decode(bytes) } catch {
      throw .damaged(path: self.path, reason: "\(name): \(error)")
    }
  }

  /// Everything that a node needs to go on.
  public func restore(limits: LedgerLimits) throws(StorageFailure) -> StoredNode {
    let position = try self.position
    let (configuration, next) = try self.configurations(at: position.sequence)
    self.store.adopt(next ?? configuration)
    var stored = StoredNode(configuration)
    if let cut = try self.read(self.tables.meta, Key.cut, "the executed cut", as: Cut.self) {
      stored.cut = cut.among(lanes: configuration.laneCount)
    }
    stored.position = position
    stored.stable = try self.read(self.tables.meta, Key.stable, "the checkpoint", as: StableCheckpoint.self)
    stored.identifiers = try self.identifiers(
      lifeMilliseconds: limits.transactionLifeMilliseconds, now: stored.position.time)
    stored.openTiles = try self.openTiles(size: stored.position.log.size)
    stored.ordering = try self.orderingState(configuration, at: stored.position.sequence, limits: limits)
    stored.ordering.last = next?.start.previous
    for lane in 0..<configuration.laneCount {
      let from = stored.cut.heads[lane].position.next
      stored.blocks += try self.blocks(
        lane: lane, from: from, through: LanePosition(.max >> 16), bytesMax: StoredNode.laneBytesMax)
    }
    return stored
  }

  /// The configuration that orders what follows on a sequence number, and the one after it where that is opened.
  private func configurations(
    at position: SequenceNumber
  ) throws(StorageFailure) -> (current: Configuration, next: Configuration?) {
    var current = self.store.genesis.configuration
    for record in try self.configurationRecords() {
      guard record.configuration.start <= position.next else { return (current, record.configuration) }
      current = record.configuration
    }
    return (current, nil)
  }

  /// The configurations that were opened, in order.
  func configurationRecords() throws(StorageFailure) -> [ConfigurationRecord] {
    var values: [[UInt8]] = []
    self.snapshot.scan(self.tables.state, from: StateKey.configurations) { key, value in
      guard key.starts(with: StateKey.configurations) else { return false }
      values.append(value)
      return true
    }
    var out: [ConfigurationRecord] = []
    for value in values { out.append(try self.decode(value, "a configuration")) }
    return out
  }

  private func orderingState(
    _ configuration: Configuration, at position: SequenceNumber, limits: LedgerLimits
  ) throws(StorageFailure) -> OrderingState {
    var state = OrderingState()
    var viewOf = ConfigurationNumber(0)
    if let view = self.snapshot.get(self.tables.meta, Key.view), view.count == 17 {
      state.view = View(Key.number(from: view[..<8]))
      state.isChanging = view[8] == 1
      viewOf = ConfigurationNumber(UInt32(truncatingIfNeeded: Key.number(from: view[9...])))
    }
    if let term = self.snapshot.get(self.tables.meta, Key.term), term.count >= 16 {
      state.view = View(Key.number(from: term[..<8]))
      viewOf = ConfigurationNumber(UInt32(truncatingIfNeeded: Key.number(from: term[8..<16])))
      state.vote = term.count == 24 ? Int(clamping: Key.number(from: term[16...])) : nil
    }
    state.newView = try self.read(self.tables.meta, Key.newView, "the new view", as: Signed<NewView>.self)
    let first = position.number - min(position.number, 2 * limits.pipelineMax)
    for decision in try self.decisions(from: SequenceNumber(first), countMax: .max) {
      if decision.sequence < position { state.recentDecisions.append(decision) }
      if decision.sequence == position { state.lastDecision = decision }
      if decision.sequence > position { state.laterDecisions.append(decision) }
    }
    let start = Key.number(position.number + 1)
    state.prePrepares = try self.all(self.tables.prePrepares, from: start, "a pre-prepare")
    state.prepared = try self.all(self.tables.prepared, from: start, "a prepared certificate")
    var entries: [(SequenceNumber, [UInt8])] = []
    self.snapshot.scan(self.tables.entries, from: start) { key, value in
      entries.append((SequenceNumber(Key.number(from: key)), value))
      return true
    }
    for (sequence, bytes) in entries {
      state.entries.append(StoredEntry(sequence, try self.decode(bytes, "an entry of the Raft log")))
    }
    let before = try self.decisions(from: configuration.start.previous, countMax: 1)
    state.keep(
      only: configuration, viewOf: viewOf, start: before.first { $0.sequence == configuration.start.previous })
    let number = Key.number(UInt64(configuration.number.number))
    if state.startCut == nil, let stored = self.snapshot.get(self.tables.meta, Key.startCut),
      stored.starts(with: number)
    {
      state.startCut = try self.decode(Array(stored.dropFirst(number.count)), "the configuration's first cut")
    }
    return state
  }

  private func all<T: WireDecodable>(
    _ table: Environment.Table, from start: [UInt8], _ name: String
  ) throws(StorageFailure) -> [T] {
    var values: [[UInt8]] = []
    self.snapshot.scan(table, from: start) { _, value in
      values.append(value)
      return true
    }
    var out: [T] = []
    for value in values { out.append(try self.decode(value, name)) }
    return out
  }

  private func openTiles(size: UInt64) throws(StorageFailure) -> [[Digest]] {
    var tiles: [[Digest]] = []
    var level = 0
    while size >> UInt64(8 * level) > 0 {
      let count = size >> UInt64(8 * level)
      let open = Int(count % UInt64(LogTile.width))
      let hashes = open == 0 ? [] : self.tile(level: level, index: count / UInt64(LogTile.width)) ?? []
      guard hashes.count == open else {
        throw .damaged(
          path: self.path,
          reason: "the log's tile at level \(level) has \(hashes.count) hashes of \(open)")
      }
      tiles.append(hashes)
      level += 1
    }
    return tiles
  }

  func identifiers(
    lifeMilliseconds: UInt64, now: Timestamp
  ) throws(StorageFailure) -> [ExecutedIdentifier] {
    var out: [ExecutedIdentifier] = []
    var failure: StorageFailure?
    self.snapshot.scanBackwards(self.tables.identifiers) { _, value in
      var decoder = Decoder(value)
      do {
        let time = try Timestamp(from: &decoder)
        guard time.adding(milliseconds: lifeMilliseconds) >= now else { return false }
        while decoder.remaining > 0 {
          out.append(
            ExecutedIdentifier(
              identifier: try decoder.digest(), validUntil: try Timestamp(from: &decoder), leaf: try decoder.u64()))
        }
        return true
      } catch {
        failure = .damaged(path: self.path, reason: "executed identifiers: \(error)")
        return false
      }
    }
    if let failure { throw failure }
    return out
  }

  /// The decisions from a sequence number on, in order, at most so many.
  public func decisions(from start: SequenceNumber, countMax: Int) throws(StorageFailure) -> [Decision] {
    var values: [[UInt8]] = []
    self.snapshot.scan(self.tables.decisions, from: Key.number(start.number)) { _, value in
      values.append(value)
      return values.count < countMax
    }
    var out: [Decision] = []
    for value in values { out.append(try self.decode(value, "a decision")) }
    return out
  }

  /// The blocks of a lane from one position through another, in order, rivals at one position included; ends after
  /// the block that passes `bytesMax`.
  public func blocks(
    lane: Int, from start: LanePosition, through end: LanePosition, bytesMax: Int
  ) throws(StorageFailure) -> [Block] {
    let prefix = Key.lane(lane)
    var values: [[UInt8]] = []
    var bytes = 0
    self.snapshot.scan(self.tables.blocks, from: prefix + Key.number(start.number)) { key, value in
      guard key.starts(with: prefix), Key.number(from: key[2..<10]) <= end.number else { return false }
      values.append(value)
      bytes += value.count
      return bytes < bytesMax
    }
    var out: [Block] = []
    for value in values { out.append(try self.decode(value, "a block")) }
    return out
  }

  /// The blocks that answer a request, in its order, at most so many; ends after the one that passes `bytesMax`.
  public func blocks(for request: BlockRequest, countMax: Int, bytesMax: Int) throws(StorageFailure) -> [Block] {
    switch request.order {
    case .upwards:
      let blocks = try self.blocks(
        lane: request.lane, from: request.above.next, through: request.head.position, bytesMax: bytesMax)
      return Array(blocks.prefix(countMax))
    case .downwards:
      var (out, bytes, at): ([Block], Int, LaneHead) = ([], 0, request.head)
      while at.position > request.above, out.count < countMax, bytes < bytesMax,
        let block = try self.block(lane: request.lane, at)
      {
        out.append(block)
        bytes += block.body.count + BlockHeader.lengthBytes
        at = block.header.before
      }
      return out
    }
  }

  /// One block; nil where it is not here.
  public func block(lane: Int, _ head: LaneHead) throws(StorageFailure) -> Block? {
    try self.read(self.tables.blocks, Key.block(lane, head), "a block", as: Block.self)
  }

  /// What executing a cut left behind.
  public func execution(_ sequence: SequenceNumber) throws(StorageFailure) -> ExecutionRecord? {
    try self.read(self.tables.executions, Key.number(sequence.number), "an execution", as: ExecutionRecord.self)
  }

  /// The log's entries from leaf `start` to before `end`, rebuilt from their blocks; at most those that are here.
  public func entries(from start: UInt64, to end: UInt64) throws(StorageFailure) -> [LogEntry] {
    var out: [LogEntry] = []
    while start + UInt64(out.count) < end {
      let leaf = start + UInt64(out.count)
      if let found = self.snapshot.last(self.tables.leaves, atOrBefore: Key.number(leaf)),
        let record = try self.execution(SequenceNumber(Key.number(from: found.value)))
      {
        let added = try self.entries(of: record, from: leaf, to: end)
        out += added
        guard added.isEmpty else { continue }
      }
      // Below the snapshot from which this store began only a few are here.
      guard let kept = try self.read(self.tables.kept, Key.number(leaf), "a log entry", as: LogEntry.self) else {
        break
      }
      out.append(kept)
    }
    return out
  }

  private func entries(
    of record: ExecutionRecord, from start: UInt64, to end: UInt64
  ) throws(StorageFailure) -> [LogEntry] {
    var out: [LogEntry] = []
    var leaf = record.firstLeaf
    for place in record.blocks {
      guard let block = try self.block(lane: place.lane, place.head) else { return out }
      let count = UInt64(block.header.transactionCount)
      defer { leaf += count }
      guard leaf + count > start, leaf < end else { continue }
      let transactions: [Transaction]
      do { transactions = try block.transactions() } catch {
        throw .damaged(path: self.path, reason: "a block's body: \(error)")
      }
      for (offset, transaction) in transactions.enumerated() {
        let place = leaf + UInt64(offset)
        guard place >= start, place < end else { continue }
        let outcome = record.outcomes[Int(place - record.firstLeaf)]
        out.append(
          LogEntry(
            sequence: record.sequence, time: record.time, outcome: OutcomeCode(outcome), transaction: transaction))
      }
    }
    return out
  }

  /// A tile of the log, whole or open; nil where there is none.
  public func tile(level: Int, index: UInt64) -> [Digest]? {
    self.snapshot.get(self.tables.tiles, LogTile.key(level: level, index: index)).flatMap {
      LogTile(level: level, index: index, encoded: $0)?.hashes
    }
  }

  /// The value of a state's key.
  public func value(_ key: [UInt8]) -> [UInt8]? { self.snapshot.get(self.tables.state, key) }

  /// The first pair of the state at `start` or after it.
  public func pair(from start: [UInt8]) -> (key: [UInt8], value: [UInt8])? {
    var found: (key: [UInt8], value: [UInt8])?
    self.snapshot.scan(self.tables.state, from: start) { key, value in
      found = (key, value)
      return false
    }
    return found
  }

  /// The last pair of the state at `key` or before it.
  public func pair(atOrBefore key: [UInt8]) -> (key: [UInt8], value: [UInt8])? {
    self.snapshot.last(self.tables.state, atOrBefore: key)
  }
}
