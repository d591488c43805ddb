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
    _ table: RowTable, _ key: [UInt8], _ name: String, as type: T.Type
  ) throws(StorageFailure) -> T? {
    guard let bytes = try self.snapshot.get(table, key) else { return nil }
    return try self.decode(bytes, name)
  }

  private func decode<T: WireDecodable>(_ bytes: [UInt8], _ name: String) throws(StorageFailure) -> T {
    do { return try T.decode(bytes) } catch {
      throw .damaged(path: self.path, reason: "\(name): \(error)")
    }
  }

  /// What was read; where it is damaged the process ends, for a caller that can be told nothing.
  func orHalt<T>(_ read: () throws(StorageFailure) -> T) -> T {
    do throws(StorageFailure) { return try read() } catch { StoreDamage.halt(error) }
  }

  /// What was read of a cut that was executed; the other members have it too where it is damaged here.
  func refetchable<T>(
    _ sequence: SequenceNumber, _ read: () throws(StorageFailure) -> T
  ) throws(StorageFailure) -> T {
    do throws(StorageFailure) { return try read() } catch {
      guard case .damaged(let path, let reason) = error else { throw error }
      throw .rotten(path: path, sequence: sequence, reason: reason)
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
    stored.stable = try self.stableCheckpoint
    stored.heard = try self.snapshot.get(self.tables.meta, Key.heard).flatMap { PublicKey($0) }
    stored.identifiers = try self.identifiers(
      lifeMilliseconds: limits.transactionLifeMilliseconds, now: stored.position.time)
    stored.openTiles = try self.openTiles(size: stored.position.log.size)
    stored.ordering = try self.orderingState(configuration, at: stored.position.sequence, limits: limits)
    stored.ordering.last = next?.start.previous
    for lane in 0..<configuration.laneCount {
      let from = stored.cut.heads[lane].position.next
      // Others' blocks are asked for again; an own one that is gone would be sealed a second time.
      let isOwn = configuration.members[lane].id == self.store.member
      stored.blocks += try self.blocks(
        lane: lane, from: from, through: LanePosition(.max >> 16), bytesMax: StoredNode.laneBytesMax,
        passingOver: !isOwn)
    }
    return stored
  }

  /// The last tree head that a quorum signed.
  var stableCheckpoint: StableCheckpoint? {
    get throws(StorageFailure) {
      try self.read(self.tables.meta, Key.stable, "the checkpoint", as: StableCheckpoint.self)
    }
  }

  /// What proves that members contradicted themselves, by configuration, member and kind.
  public func voteEvidence() throws(StorageFailure) -> [VoteEvidence] {
    var values: [[UInt8]] = []
    try self.snapshot.scan(self.tables.meta, from: Key.evidence) { key, value in
      guard key.starts(with: Key.evidence) else { return false }
      values.append(value)
      return true
    }
    var out: [VoteEvidence] = []
    for value in values { out.append(try self.decode(value, "evidence")) }
    return out
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
    try self.snapshot.scan(self.tables.state, from: StateKey.configurations) { key, value in
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
    if let view = try self.snapshot.get(self.tables.meta, Key.view), view.count == 17 {
      state.view = View(Key.number(from: view[..<8]))
      state.isChanging = view[8] == 1
      viewOf = ConfigurationNumber(UInt32(truncatingIfNeeded: Key.number(from: view[9...])))
    }
    if let term = try self.snapshot.get(self.tables.meta, Key.term), term.count >= 16 {
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
    try self.snapshot.scan(self.tables.entries, from: start) { key, value in
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
    if state.startCut == nil, let stored = try self.snapshot.get(self.tables.meta, Key.startCut),
      stored.starts(with: number)
    {
      state.startCut = try self.decode(Array(stored.dropFirst(number.count)), "the configuration's first cut")
    }
    return state
  }

  private func all<T: WireDecodable>(
    _ table: RowTable, from start: [UInt8], _ name: String
  ) throws(StorageFailure) -> [T] {
    var values: [[UInt8]] = []
    try self.snapshot.scan(table, from: start) { _, value in
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
    try self.snapshot.scanBackwards(self.tables.identifiers) { _, value in
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
    do throws(StorageFailure) {
      try self.snapshot.scan(self.tables.decisions, from: Key.number(start.number)) { _, value in
        values.append(value)
        return values.count < countMax
      }
    } catch {
      guard case .damaged(let path, let reason) = error else { throw error }
      throw .rotten(path: path, sequence: SequenceNumber(start.number + UInt64(values.count)), reason: reason)
    }
    var out: [Decision] = []
    for value in values { out.append(try self.decode(value, "a decision")) }
    return out
  }

  /// One decision; nil where it is not here.
  func decision(_ sequence: SequenceNumber) throws(StorageFailure) -> Decision? {
    let decision = try self.read(
      self.tables.decisions, Key.number(sequence.number), "a decision", as: Decision.self)
    guard decision.map({ $0.sequence == sequence }) ?? true else {
      throw .damaged(path: self.path, reason: "decision \(sequence) is another's")
    }
    return decision
  }

  /// The blocks of a lane from one position through another, in order, rivals at one position included; ends after
  /// the block that passes `bytesMax`. Each is what its header and its key say.
  ///
  /// - Throws: `StorageFailure.rotten` where one is not and was executed, `.damaged` where it waits to be; neither
  ///   where such are to be passed over.
  public func blocks(
    lane: Int, from start: LanePosition, through end: LanePosition, bytesMax: Int, passingOver: Bool = false
  ) throws(StorageFailure) -> [Block] {
    let prefix = Key.lane(lane)
    var out: [Block] = []
    var bytes = 0
    var failure: StorageFailure?
    var next: [UInt8]? = prefix + Key.number(start.number)
    while let from = next {
      next = nil
      do throws(StorageFailure) {
        try self.snapshot.scan(self.tables.blocks, from: from) { key, value in
          guard key.starts(with: prefix), Key.number(from: key[2..<10]) <= end.number else { return false }
          next = key + [0]
          do throws(StorageFailure) {
            out.append(try self.sound(value, key))
            bytes += value.count
          } catch { failure = error }
          return bytes < bytesMax && (failure == nil || passingOver)
        }
        next = nil
      } catch {
        failure = error
        // The row after the one that the scan stopped at.
        guard passingOver, let broken = self.snapshot.key(self.tables.blocks.handle, atOrAfter: next ?? from),
          broken.starts(with: prefix)
        else {
          next = nil
          continue
        }
        next = broken + [0]
      }
    }
    guard let failure, !passingOver else { return out }
    return try self.located(out.last?.header.position.next ?? start, of: lane) { () throws(StorageFailure) -> [Block] in
      throw failure
    }
  }

  /// What was read of a lane; where it is damaged and was executed, the others have it.
  private func located<T>(
    _ position: LanePosition, of lane: Int, _ read: () throws(StorageFailure) -> T
  ) throws(StorageFailure) -> T {
    do throws(StorageFailure) { return try read() } catch {
      guard case .damaged(let path, let reason) = error,
        let sequence = try self.sequence(executing: position, of: lane)
      else { throw error }
      throw .rotten(path: path, sequence: sequence, reason: reason)
    }
  }

  /// A stored block, if it is what header and key say. The row's check is over what its digest does not cover.
  private func sound(_ value: [UInt8], _ key: [UInt8]) throws(StorageFailure) -> Block {
    let block: Block = try self.decode(value, "a block")
    guard key.count > 2, key.dropFirst(2).elementsEqual(Key.block(0, block.head).dropFirst(2)),
      BlockHeader.bodyDigest(block.body) == block.header.body
    else {
      let (author, position) = (block.header.author, block.header.position)
      throw .damaged(path: self.path, reason: "block \(position) of \(author) is not what its header says")
    }
    return block
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
        let block = try self.located(
          at.position, of: request.lane,
          { () throws(StorageFailure) in
            try self.block(lane: request.lane, at)
          })
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
    let key = Key.block(lane, head)
    return try self.snapshot.get(self.tables.blocks, key).map { value throws(StorageFailure) in
      try self.sound(value, key)
    }
  }

  /// A block that was executed, and therefore must be here.
  func executedBlock(_ place: LaneAnnouncement) throws(StorageFailure) -> Block {
    guard let block = try self.block(lane: place.lane, place.head) else {
      throw .damaged(path: self.path, reason: "block \(place.head.position) of lane \(place.lane) is missing")
    }
    return block
  }

  /// What executing a cut left behind.
  public func execution(_ sequence: SequenceNumber) throws(StorageFailure) -> ExecutionRecord? {
    try self.read(self.tables.executions, Key.number(sequence.number), "an execution", as: ExecutionRecord.self)
  }

  /// The log's entries from leaf `start` to before `end`, rebuilt from their blocks; at most those that are here. Each
  /// hashes to what the log's tiles have at its place.
  ///
  /// - Throws: `StorageFailure.rotten` where the first is here, and is not what was executed.
  public func entries(from start: UInt64, to end: UInt64) throws(StorageFailure) -> [LogEntry] {
    var out: [LogEntry] = []
    while start + UInt64(out.count) < end {
      let leaf = start + UInt64(out.count)
      do throws(StorageFailure) {
        let added = try self.executedEntries(from: leaf, to: end)
        out += added
        guard added.isEmpty else { continue }
      } catch {
        guard !out.isEmpty, case .rotten = error else { throw error }
        break
      }
      // Below the snapshot from which this store began only a few are here.
      guard let kept = try self.read(self.tables.kept, Key.number(leaf), "a log entry", as: LogEntry.self) else {
        break
      }
      try self.check([kept], from: leaf)
      out.append(kept)
    }
    return out
  }

  private func executedEntries(from start: UInt64, to end: UInt64) throws(StorageFailure) -> [LogEntry] {
    guard let found = try self.snapshot.last(self.tables.leaves, atOrBefore: Key.number(start)) else { return [] }
    let sequence = SequenceNumber(Key.number(from: found.value))
    return try self.refetchable(sequence) { () throws(StorageFailure) in
      guard let record = try self.execution(sequence) else {
        throw .damaged(path: self.path, reason: "execution \(sequence) is missing")
      }
      let entries = try self.entries(of: record, from: start, to: end)
      try self.check(entries, from: start)
      return entries
    }
  }

  /// ⚑ Nothing is taken for an entry of the log that its tiles do not have (LEDGER §11.12).
  private func check(_ entries: [LogEntry], from start: UInt64) throws(StorageFailure) {
    let width = UInt64(LogTile.width)
    var tile: [Digest] = []
    for (offset, entry) in entries.enumerated() {
      let leaf = start + UInt64(offset)
      if offset == 0 || leaf % width == 0 { tile = self.tile(level: 0, index: leaf / width) ?? [] }
      guard tile.indices.contains(Int(leaf % width)), tile[Int(leaf % width)] == entry.leaf else {
        throw .damaged(path: self.path, reason: "log entry \(leaf) does not hash to what the log has there")
      }
    }
  }

  /// What was executed at a cut, held against the log.
  func checkEntries(of record: ExecutionRecord) throws(StorageFailure) {
    let end = record.firstLeaf + UInt64(record.outcomes.count)
    let entries = try self.entries(of: record, from: record.firstLeaf, to: end)
    guard entries.count == record.outcomes.count else {
      throw .damaged(path: self.path, reason: "the blocks of \(record.sequence) do not have its transactions")
    }
    try self.check(entries, from: record.firstLeaf)
  }

  private func entries(
    of record: ExecutionRecord, from start: UInt64, to end: UInt64
  ) throws(StorageFailure) -> [LogEntry] {
    var out: [LogEntry] = []
    var leaf = record.firstLeaf
    // An honest gap: what follows on this cut is not here.
    guard start - min(start, record.firstLeaf) < UInt64(record.outcomes.count) else { return [] }
    for place in record.blocks where leaf < end {
      let block = try self.executedBlock(place)
      let count = UInt64(block.header.transactionCount)
      defer { leaf += count }
      guard leaf + count > start else { continue }
      let transactions: [Transaction]
      do { transactions = try block.transactions() } catch {
        throw .damaged(path: self.path, reason: "a block's body: \(error)")
      }
      for (offset, transaction) in transactions.enumerated() {
        let place = leaf + UInt64(offset)
        guard place >= start, place < end else { continue }
        guard place - record.firstLeaf < UInt64(record.outcomes.count) else {
          throw .damaged(path: self.path, reason: "the outcome of log entry \(place) is missing")
        }
        let outcome = record.outcomes[Int(place - record.firstLeaf)]
        out.append(
          LogEntry(
            sequence: record.sequence, time: record.time, outcome: OutcomeCode(outcome), transaction: transaction))
      }
    }
    return out
  }

  /// A tile of the log, whole or open; nil where there is none. One that is not what was written ends the process.
  public func tile(level: Int, index: UInt64) -> [Digest]? {
    self.orHalt { () throws(StorageFailure) in
      try self.snapshot.get(self.tables.tiles, LogTile.key(level: level, index: index))
    }.flatMap { LogTile(level: level, index: index, encoded: $0)?.hashes }
  }

  /// The value of a state's key. One that is not what was written ends the process: no rule may see it.
  public func value(_ key: [UInt8]) -> [UInt8]? {
    self.orHalt { () throws(StorageFailure) in try self.snapshot.get(self.tables.state, key) }
  }

  /// The first pair of the state at `start` or after it.
  public func pair(from start: [UInt8]) -> (key: [UInt8], value: [UInt8])? {
    var found: (key: [UInt8], value: [UInt8])?
    self.orHalt { () throws(StorageFailure) in
      try self.snapshot.scan(self.tables.state, from: start) { key, value in
        found = (key, value)
        return false
      }
    }
    return found
  }

  /// The last pair of the state at `key` or before it.
  public func pair(atOrBefore key: [UInt8]) -> (key: [UInt8], value: [UInt8])? {
    self.orHalt { () throws(StorageFailure) in try self.snapshot.last(self.tables.state, atOrBefore: key) }
  }
}
