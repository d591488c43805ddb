internal import HealthRecords
public import Ledger
public import Messages
public import NodeCore
internal import Ordering
public import Primitives
internal import Rules
internal import Signing
internal import Synchronization
internal import Wire

/// Keys that sort as numbers do.
enum Key {
  static func number(_ value: UInt64) -> [UInt8] { value.bigEndianBytes }
  static func number(from bytes: some RandomAccessCollection<UInt8>) -> UInt64 {
    UInt64(bigEndianBytes: bytes)
  }
  static func lane(_ lane: Int) -> [UInt8] { [UInt8(truncatingIfNeeded: lane >> 8), UInt8(truncatingIfNeeded: lane)] }
  static func block(_ lane: Int, _ head: LaneHead) -> [UInt8] {
    self.lane(lane) + self.number(head.position.number) + head.digest.bytes
  }
  static let position = Array("position".utf8)
  static let cut = Array("cut".utf8)
  static let format = Array("format".utf8)
  static let identity = Array("identity".utf8)
  static let incarnation = Array("incarnation".utf8)
  static let stable = Array("stable".utf8)
  static let signed = Array("signed".utf8)
  static let view = Array("view".utf8)
  static let newView = Array("new-view".utf8)
  static let term = Array("term".utf8)
  static let startCut = Array("start-cut".utf8)
  static let base = Array("base".utf8)
  static let gaps = Array("gaps".utf8)
  static let heard = Array("heard".utf8)
  static let sums = Array("sums".utf8)
  /// Before what proves that a member contradicted itself; no other key of the table sorts after it.
  static let evidence = Array("vote-evidence/".utf8)
  static func evidence(_ evidence: VoteEvidence) -> [UInt8] {
    self.evidence + self.number(UInt64(evidence.configuration.number)) + self.lane(evidence.culprit)
      + [evidence.kind.rawValue]
  }
}

/// A member's ledger on disk (ARCHITECTURE §4): one LMDB environment, one durable write a turn.
public final class Store: @unchecked Sendable {
  /// The format that this program writes.
  public static let format: UInt64 = 5

  struct Tables {
    let meta, blocks, prePrepares, prepared, decisions, executions, leaves, identifiers, state, tiles,
      entries, kept: RowTable
    /// All of them, by their number.
    let all: [RowTable]

    private static let names = [
      "meta", "blocks", "pre-prepares", "prepared", "decisions", "executions", "leaves", "identifiers", "state",
      "tiles", "entries", "kept",
    ]

    init(_ environment: Environment) throws(StorageFailure) {
      let handles = try environment.open(Self.names)
      // What others have too is fetched again where it is damaged: a sum would not fit any more.
      let uncounted: Set = ["blocks", "decisions", "executions", "leaves"]
      let all = zip(Self.names, handles).enumerated().map { number, table in
        RowTable(
          handle: table.1, number: UInt8(number), name: table.0, isCounted: !uncounted.contains(table.0),
          checkedBytesMax: table.0 == "blocks" ? BlockHeader.lengthBytes + Signature.lengthBytes : .max)
      }
      self.all = all
      (self.meta, self.blocks, self.prePrepares, self.prepared) = (all[0], all[1], all[2], all[3])
      (self.decisions, self.executions, self.leaves, self.identifiers) = (all[4], all[5], all[6], all[7])
      (self.state, self.tiles, self.entries, self.kept) = (all[8], all[9], all[10], all[11])
    }
  }

  /// Its folder.
  public let path: String
  let environment: Environment
  let tables: Tables
  /// The lane of each member that there ever was, by its number.
  private let lanes: Mutex<[MemberID: Int]>
  private let snapshotHandler = Mutex<(@Sendable (SnapshotPoint, StoreReader) -> Void)?>(nil)
  let genesis: Genesis
  let member: MemberID
  /// The random number that this store was given when it was last opened (LEDGER §8); an older copy carries another.
  public let incarnation: Digest
  /// Whether it was made just now.
  public let isNew: Bool

  /// Opens the store of a member, or makes it; `fresh` gives a new store its incarnation. Without it the store is for
  /// reading only: it must be there, and stays as it is.
  ///
  /// - Throws: `StorageFailure` where the folder, the files or their owner are wrong.
  public init(
    path: String, genesis: Genesis, member: MemberID, mapSizeMax: Int, fresh: Digest?
  ) throws(StorageFailure) {
    self.genesis = genesis
    self.lanes = Mutex(Self.lanes(of: genesis.configuration))
    self.path = path
    self.environment = try Environment(path: path, mapSizeMax: mapSizeMax, isReadOnly: fresh == nil)
    self.tables = try Tables(self.environment)
    self.member = member
    let snapshot = try self.environment.snapshot()
    let identity = Array("member \(member.number) of network \(genesis.network)".utf8)
    // As every format has it: without a check.
    if let format = snapshot.get(self.tables.meta.handle, Key.format) {
      let found = Key.number(from: format)
      guard found == Self.format else { throw .otherFormat(found: found, known: Self.format) }
      let owner = try snapshot.get(self.tables.meta, Key.identity) ?? []
      guard owner == identity else {
        throw .foreign(
          path: path, found: String(decoding: owner, as: UTF8.self),
          expected: String(decoding: identity, as: UTF8.self))
      }
      guard let incarnation = try snapshot.get(self.tables.meta, Key.incarnation).flatMap({ Digest($0) }) else {
        throw .damaged(path: path, reason: "it has no incarnation")
      }
      (self.isNew, self.incarnation) = (false, incarnation)
    } else {
      guard let fresh, snapshot.get(self.tables.meta.handle, Key.sums) == nil else {
        throw .damaged(path: path, reason: "it does not say its format")
      }
      (self.isNew, self.incarnation) = (true, fresh)
      let (meta, tables) = (self.tables.meta, self.tables)
      try Self.change(self.environment, tables, isNew: true) { transaction throws(StorageFailure) in
        try transaction.put(meta.handle, Key.format, Key.number(Self.format))
        try transaction.put(meta, Key.identity, identity)
        try transaction.put(meta, Key.incarnation, fresh.bytes)
      }
    }
  }

  /// One durable write, as a whole or not at all; the tables' sums follow it.
  func change(
    _ body: (borrowing WriteTransaction) throws(StorageFailure) -> Void
  ) throws(StorageFailure) { try Self.change(self.environment, self.tables, isNew: false, body) }

  private static func change(
    _ environment: Environment, _ tables: Tables, isNew: Bool,
    _ body: (borrowing WriteTransaction) throws(StorageFailure) -> Void
  ) throws(StorageFailure) {
    let sums = ContentSums(tables: tables.all.count)
    try environment.write(sums: sums) { transaction throws(StorageFailure) in
      if !isNew {
        let stored = transaction.get(tables.meta.handle, Key.sums)
        guard let stored, let before = ContentSums(stored, tables: tables.all.count) else {
          throw .damaged(path: transaction.path, reason: "the sums over its tables are missing or changed")
        }
        sums.sums = before.sums
      }
      try body(transaction)
      try transaction.put(tables.meta.handle, Key.sums, sums.encoded)
    }
  }

  private static func lanes(of configuration: Configuration) -> [MemberID: Int] {
    Dictionary(uniqueKeysWithValues: configuration.members.enumerated().map { ($0.element.id, $0.offset) })
  }

  /// Takes in the lanes of a later configuration: the blocks of its members can be stored from now on.
  public func adopt(_ configuration: Configuration) {
    let lanes = Self.lanes(of: configuration)
    self.lanes.withLock { $0 = lanes }
  }

  /// Gives the store another number, durably: whatever copy was made before is told from it.
  public func renew(_ incarnation: Digest) throws(StorageFailure) {
    let meta = self.tables.meta
    try self.change { transaction throws(StorageFailure) in
      try transaction.put(meta, Key.incarnation, incarnation.bytes)
    }
  }

  /// What it may grow to, in bytes.
  public var mapSizeMax: Int { self.environment.mapSizeMax }

  /// Bytes of the file that hold data, and bytes of the file.
  public var sizes: (used: Int, file: Int) { self.environment.sizes }

  /// From now on each snapshot that is due is handed over with a reader of that very moment, on the writer's thread.
  public func onSnapshot(_ handler: @escaping @Sendable (SnapshotPoint, StoreReader) -> Void) {
    self.snapshotHandler.withLock { $0 = handler }
  }

  /// Makes a batch durable, as a whole but for where a snapshot is due. For one thread; when it returns, all is on the
  /// disk.
  public func write(_ batch: [StoreWrite]) throws(StorageFailure) {
    var rest = batch[...]
    while !rest.isEmpty {
      var point: SnapshotPoint?
      let end = rest.firstIndex {
        if case .snapshot(let due) = $0 { point = due }
        return point != nil
      }
      let part = rest[..<(end ?? rest.endIndex)]
      try self.change { transaction throws(StorageFailure) in
        for write in part { try self.put(write, transaction) }
      }
      rest = end.map { rest[($0 + 1)...] } ?? []
      if let point, let handler = self.snapshotHandler.withLock({ $0 }) { handler(point, try StoreReader(self)) }
    }
  }

  private func put(_ write: StoreWrite, _ transaction: borrowing WriteTransaction) throws(StorageFailure) {
    switch write {
    case .block(let block):
      guard let lane = self.lanes.withLock({ $0[block.header.author] }) else { return }
      try transaction.put(self.tables.blocks, Key.block(lane, block.head), block.encoded)
    case .ordering(let write): try self.put(write, transaction)
    case .execution(let write): try self.put(write, transaction)
    case .signedCheckpoint(let body): try transaction.put(self.tables.meta, Key.signed, Array(body.text.utf8))
    case .stableCheckpoint(let checkpoint):
      try transaction.put(self.tables.meta, Key.stable, checkpoint.encoded)
      // What led to decisions below need not be kept: the decisions themselves are.
      try self.forget(through: checkpoint.body.sequence, transaction)
    case .snapshot: break
    case .heard(let key): try transaction.put(self.tables.meta, Key.heard, key.bytes)
    case .history(let items, let gaps):
      for item in items { try self.put(item, transaction) }
      try self.put(gaps, transaction)
    }
  }

  private func forget(
    through sequence: SequenceNumber, _ transaction: borrowing WriteTransaction
  ) throws(StorageFailure) {
    for table in [self.tables.prePrepares, self.tables.prepared, self.tables.entries] {
      try transaction.remove(table, through: Key.number(sequence.number))
    }
  }

  private func put(_ write: OrderingWrite, _ transaction: borrowing WriteTransaction) throws(StorageFailure) {
    switch write {
    case .view(let configuration, let view, let isChanging):
      try transaction.put(
        self.tables.meta, Key.view,
        Key.number(view.number) + [isChanging ? 1 : 0] + Key.number(UInt64(configuration.number)))
    case .prePrepare(let signed):
      try transaction.put(self.tables.prePrepares, Key.number(signed.content.sequence.number), signed.encoded)
    case .prepared(let certificate):
      try transaction.put(self.tables.prepared, Key.number(certificate.sequence.number), certificate.encoded)
    case .newView(let signed): try transaction.put(self.tables.meta, Key.newView, signed.encoded)
    case .evidence(let evidence):
      try transaction.put(self.tables.meta, Key.evidence(evidence), evidence.encoded)
    case .decision(let decision):
      try transaction.put(self.tables.decisions, Key.number(decision.sequence.number), decision.encoded)
    case .term(let configuration, let term, let vote):
      try transaction.put(
        self.tables.meta, Key.term,
        Key.number(term.number) + Key.number(UInt64(configuration.number))
          + (vote.map { Key.number(UInt64($0)) } ?? []))
    case .entry(let sequence, let entry):
      try transaction.put(self.tables.entries, Key.number(sequence.number), entry.encoded)
    }
  }

  func put(_ write: ExecutionWrite, _ transaction: borrowing WriteTransaction) throws(StorageFailure) {
    let sequence = Key.number(write.record.sequence.number)
    try self.put(write.record, transaction)
    if !write.identifiers.isEmpty {
      try self.put(write.identifiers, at: write.record.time, as: sequence, transaction)
    }
    for change in write.writes {
      if let value = change.value {
        try transaction.put(self.tables.state, change.key, value)
      } else {
        try transaction.remove(self.tables.state, change.key)
      }
    }
    for tile in write.tiles {
      let pair = SnapshotPair(tile)
      try transaction.put(self.tables.tiles, pair.key, pair.value)
    }
    try transaction.put(self.tables.meta, Key.position, write.position.encoded)
    try transaction.put(self.tables.meta, Key.cut, write.cut.encoded)
  }

  func put(
    _ identifiers: [ExecutedIdentifier], at time: Timestamp, as key: [UInt8], _ transaction: borrowing WriteTransaction
  ) throws(StorageFailure) {
    var encoder = Encoder(capacity: 8 + identifiers.count * 48)
    encoder.item(time)
    for entry in identifiers {
      encoder.digest(entry.identifier)
      encoder.item(entry.validUntil)
      encoder.u64(entry.leaf)
    }
    try transaction.put(self.tables.identifiers, key, encoder.bytes)
  }
}
