internal import HealthRecords
public import Ledger
public import Messages
internal import NodeCore
internal import Ordering
public import Primitives
internal import Signing
internal import Wire

/// The store's ledger as a snapshot, and from one (LEDGER §7).
extension StoreReader {
  /// What a snapshot consists of, in its order.
  ///
  /// - Throws: `StorageFailure` where the store is damaged; whatever `body` throws.
  func pairs(
    at point: SnapshotPoint, lifeMilliseconds: UInt64, _ body: (SnapshotPair) throws -> Void
  ) throws {
    try self.pairs(of: self.tables.state, as: .state, body)
    // Only what may come again: how long a member remembers more than that is its own affair.
    let time = point.position.time
    let alive = try self.identifiers(lifeMilliseconds: lifeMilliseconds, now: time).filter { $0.validUntil >= time }
    for pair in alive.map(SnapshotPair.init).sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) { try body(pair) }
    try self.pairs(of: self.tables.tiles, as: .tiles, body)
    for record in try self.configurationRecords() {
      guard let entry = try self.entries(from: record.leaf, to: record.leaf + 1).first else {
        throw StorageFailure.damaged(path: self.path, reason: "log entry \(record.leaf) is missing")
      }
      try body(SnapshotPair(entry: entry.encoded, at: record.leaf))
    }
  }

  /// Where execution stands.
  ///
  /// - Throws: `StorageFailure` where the store is damaged.
  public var position: LedgerPosition {
    get throws(StorageFailure) {
      try self.read(self.tables.meta, Key.position, "the position", as: LedgerPosition.self) ?? LedgerPosition()
    }
  }

  /// What the history lacks, the highest last.
  public func gaps() throws(StorageFailure) -> [HistoryGap] {
    guard let bytes = try self.snapshot.get(self.tables.meta, Key.gaps) else { return [] }
    var decoder = Decoder(bytes)
    do { return try decoder.list(max: Int(UInt16.max), "gaps") } catch {
      throw .damaged(path: self.path, reason: "the gaps of the history: \(error)")
    }
  }

  /// What was executed at a sequence number and below, the highest first, in about so many bytes.
  ///
  /// - Throws: `StorageFailure.rotten` where the first of it is not what was written.
  public func history(from sequence: SequenceNumber, bytesMax: Int) throws(StorageFailure) -> [HistoryItem] {
    var out: [HistoryItem] = []
    var (next, bytes) = (sequence, 0)
    while next > .zero, bytes < bytesMax, out.count < Self.historyMax {
      let item: HistoryItem?
      do throws(StorageFailure) { item = try self.historyItem(next) } catch {
        guard out.isEmpty else { break }
        throw error
      }
      guard let item else { break }
      bytes += item.blocks.reduce(512) { $0 + $1.body.count + 256 }
      out.append(item)
      next = next.previous
    }
    return out
  }

  /// What was executed at a sequence number; nil where nothing was, or below where this store began.
  ///
  /// - Throws: `StorageFailure.rotten` where a part of it is not what was written, or missing.
  func historyItem(_ sequence: SequenceNumber) throws(StorageFailure) -> HistoryItem? {
    try self.refetchable(sequence) { () throws(StorageFailure) in
      guard let record = try self.execution(sequence), let decision = try self.decision(sequence) else { return nil }
      var blocks: [Block] = []
      for place in record.blocks { blocks.append(try self.executedBlock(place)) }
      return HistoryItem(record, decision: decision, blocks: blocks)
    }
  }

  /// Checks what fills the highest gap; what holds of it, and the gaps that are left.
  public func check(
    _ items: [HistoryItem], filling gaps: [HistoryGap], of genesis: Genesis
  ) throws(StorageFailure) -> (kept: [HistoryItem], gaps: [HistoryGap]) {
    let configurations = [genesis.configuration] + (try self.configurationRecords().map(\.configuration))
    return gaps.filled(by: items, tiles: self) { $0.isAuthentic(genesis, among: configurations) }
  }

  /// The most cuts of one answer.
  private static let historyMax = 64

  /// The snapshot from which the ledger goes on; zero where it began with the genesis.
  public var base: SequenceNumber {
    SequenceNumber(
      self.orHalt { () throws(StorageFailure) in try self.snapshot.get(self.tables.meta, Key.base) }
        .map { Key.number(from: $0) } ?? 0)
  }

  private func pairs(
    of table: RowTable, as part: SnapshotPair.Part, _ body: (SnapshotPair) throws -> Void
  ) throws {
    var failure: (any Error)?
    try self.snapshot.scan(table, from: []) { key, value in
      do { try body(SnapshotPair(part, key: key, value: value)) } catch {
        failure = error
        return false
      }
      return true
    }
    if let failure { throw failure }
  }

  /// The changes of members through a configuration, each proved by this store alone.
  ///
  /// - Throws: `StorageFailure` where the store is damaged.
  public func changeProofs(
    through number: ConfigurationNumber, from genesis: Genesis
  ) throws(StorageFailure) -> [LogProof] {
    let records = try self.configurationRecords().filter { $0.configuration.number <= number }
    var entries: [UInt64: [UInt8]] = [:]
    for record in records {
      entries[record.leaf] = try self.entries(from: record.leaf, to: record.leaf + 1).first?.encoded
    }
    guard let proofs = LogProof.changes(records, from: genesis, tiles: self, entry: { entries[$0] }) else {
      throw .damaged(path: self.path, reason: "a change of members cannot be proved")
    }
    return proofs
  }
}

extension Store {
  /// Makes a snapshot the ledger, as a whole or not at all. What this member voted and sealed beyond it is kept; what
  /// it had executed below is kept too, with a gap before the snapshot.
  ///
  /// - Throws: `StorageFailure`, whereupon the store is as it was.
  public func replaceLedger(
    by bundle: SnapshotBundle, chunk: (Int) throws(StorageFailure) -> [UInt8]
  ) throws(StorageFailure) {
    let (point, tables) = (bundle.manifest.point, self.tables)
    let reader = try StoreReader(self)
    // What was executed since the last chunk came is never undone.
    guard point.position.sequence > (try reader.position).sequence else { return }
    let gap = HistoryGap(above: try reader.position.sequence, below: point)
    let gaps = (try reader.gaps()) + (gap.count > 0 ? [gap] : [])
    let sequence = Key.number(point.position.sequence.number)
    try self.change { transaction throws(StorageFailure) in
      for table in [tables.state, tables.identifiers, tables.tiles] { try transaction.clear(table) }
      for number in bundle.manifest.chunks.indices {
        let pairs: [SnapshotPair]
        do { pairs = try SnapshotWriter.pairs(of: try chunk(number)) } catch let error as StorageFailure {
          throw error
        } catch { throw .damaged(path: self.environment.path, reason: "chunk \(number) of the snapshot: \(error)") }
        try self.put(pairs, number, of: point, transaction)
      }
      try transaction.put(tables.meta, Key.position, point.position.encoded)
      try transaction.put(tables.meta, Key.cut, point.cut.encoded)
      try transaction.put(
        tables.meta, Key.startCut, Key.number(UInt64(point.configuration.number)) + point.startCut.encoded)
      try transaction.put(tables.meta, Key.base, sequence)
      try self.put(gaps, transaction)
      try transaction.put(tables.decisions, sequence, bundle.decision.encoded)
      // Raft: what follows on another entry than the decided one is void (Ongaro & Ousterhout §7).
      let own = try transaction.get(tables.entries, sequence).flatMap { try? RaftEntry.decode($0) }
      if own?.term != bundle.decision.view || own?.configuration != bundle.decision.configuration {
        try transaction.clear(tables.entries)
      }
    }
  }

  private func put(
    _ pairs: [SnapshotPair], _ number: Int, of point: SnapshotPoint, _ transaction: borrowing WriteTransaction
  ) throws(StorageFailure) {
    var identifiers: [ExecutedIdentifier] = []
    for pair in pairs {
      switch pair.part {
      case .state: try transaction.put(self.tables.state, pair.key, pair.value)
      case .tiles: try transaction.put(self.tables.tiles, pair.key, pair.value)
      case .entries: try transaction.put(self.tables.kept, pair.key, pair.value)
      case .identifiers: if let identifier = pair.identifier { identifiers.append(identifier) }
      }
    }
    guard !identifiers.isEmpty else { return }
    let key = Key.number(point.position.sequence.number) + Key.number(UInt64(number))
    try self.put(identifiers, at: point.position.time, as: key, transaction)
  }

  /// Keeps what was executed below a snapshot.
  func put(_ item: HistoryItem, _ transaction: borrowing WriteTransaction) throws(StorageFailure) {
    try self.put(item.record, transaction)
    try transaction.put(
      self.tables.decisions, Key.number(item.decision.sequence.number), item.decision.encoded)
    for (place, block) in zip(item.record.blocks, item.blocks) {
      try transaction.put(self.tables.blocks, Key.block(place.lane, place.head), block.encoded)
    }
  }

  func put(_ record: ExecutionRecord, _ transaction: borrowing WriteTransaction) throws(StorageFailure) {
    let sequence = Key.number(record.sequence.number)
    try transaction.put(self.tables.executions, sequence, record.encoded)
    guard !record.outcomes.isEmpty else { return }
    try transaction.put(self.tables.leaves, Key.number(record.firstLeaf), sequence)
  }

  func put(_ gaps: [HistoryGap], _ transaction: borrowing WriteTransaction) throws(StorageFailure) {
    var encoder = Encoder()
    encoder.list(gaps)
    try transaction.put(self.tables.meta, Key.gaps, encoder.bytes)
  }
}
