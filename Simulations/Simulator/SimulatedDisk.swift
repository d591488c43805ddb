internal import HealthRecords
internal import Merkle
public import Ledger
public import Messages
internal import NodeCore
internal import Ordering
public import Primitives
public import Rules
public import Signing
internal import Wire

/// What a simulated member has durably: a model of the store, which keeps whole batches or nothing of them.
public struct SimulatedDisk: Sendable {
  /// Blocks by lane, in the order of their positions.
  public private(set) var blocks: [[LanePosition: [Block]]]
  /// Decisions by sequence number.
  public private(set) var decisions: [SequenceNumber: Decision] = [:]
  /// The state.
  public private(set) var state = MemoryState()
  /// Executed cuts, from the first, or from the one after the snapshot that the ledger began with.
  public private(set) var executions: [ExecutionWrite] = []
  /// The snapshot that the ledger began with; nil where it began with the genesis.
  public private(set) var base: SimulatedSnapshot?
  /// What was executed below the snapshot, as far as it came.
  private var below: [SequenceNumber: HistoryItem] = [:]
  /// What the history lacks, the highest last.
  public private(set) var gaps: [HistoryGap] = []
  /// The last snapshots that were made, the newest last.
  public private(set) var snapshots: [SimulatedSnapshot] = []
  /// Chunks of the snapshot that is being fetched.
  private var fetched: (manifest: Digest, chunks: [Int: [UInt8]]) = (.zero, [:])
  private var lifeMilliseconds: UInt64 = 0
  /// The log's tiles as they are, by key.
  private var tiles: [[UInt8]: LogTile] = [:]
  /// What the snapshot that the ledger began with says of executed identifiers, and of entries by their place.
  private var baseIdentifiers: [ExecutedIdentifier] = []
  private var baseEntries: [UInt64: [UInt8]] = [:]
  /// The last stable checkpoint.
  public private(set) var stable: StableCheckpoint?
  /// The key of which a quorum said that nothing it signed is missing here.
  public private(set) var heard: PublicKey?
  /// What was stored out of order, in words.
  public private(set) var breach: String?
  /// What proves that members contradicted themselves.
  public private(set) var evidence: [VoteEvidence] = []
  /// The view, or the term.
  public private(set) var view = View(0)
  /// The configuration in which the view was stored.
  public private(set) var viewOf = ConfigurationNumber(0)
  private var isChanging = false
  private var prePrepares: [SequenceNumber: Signed<PrePrepare>] = [:]
  private var prepared: [SequenceNumber: PreparedCertificate] = [:]
  private var newView: Signed<NewView>?
  /// To whom a Raft member gave its vote in the term.
  public private(set) var vote: ReplicaIndex?
  /// A Raft member's log.
  public private(set) var entries: [SequenceNumber: RaftEntry] = [:]
  /// The configurations that were opened, from the genesis on.
  public private(set) var configurations: [Configuration]

  init(_ configuration: Configuration, lifeMilliseconds: UInt64) {
    self.configurations = [configuration]
    self.lifeMilliseconds = lifeMilliseconds
    self.blocks = Array(repeating: [:], count: configuration.laneCount)
  }

  /// Where execution stands.
  public var position: LedgerPosition {
    self.executions.last?.position ?? self.base?.manifest.point.position ?? LedgerPosition()
  }

  /// The executed cut; nil before the first.
  private var cut: Cut? { self.executions.last?.cut ?? self.base?.manifest.point.cut }

  private func lane(of member: MemberID) -> Int? { self.configurations.last?.index(of: member) }

  private mutating func noteConfiguration(in write: ExecutionWrite) {
    for change in write.writes where change.key.starts(with: StateKey.configurations) {
      guard let record = change.value.flatMap({ try? ConfigurationRecord.decode($0) }) else { continue }
      self.configurations.append(record.configuration)
      while self.blocks.count < record.configuration.laneCount { self.blocks.append([:]) }
    }
  }

  mutating func write(_ batch: [StoreWrite]) {
    for write in batch {
      switch write {
      case .block(let block):
        guard let lane = self.lane(of: block.header.author) else { continue }
        var held = self.blocks[lane][block.header.position] ?? []
        if !held.contains(where: { $0.digest == block.digest }) { held.append(block) }
        self.blocks[lane][block.header.position] = held
      case .ordering(let write): self.write(write)
      case .execution(let write):
        if write.record.sequence != self.position.sequence.next {
          self.breach = "I4: execution of \(write.record.sequence) stored after that of \(self.position.sequence)"
        }
        self.executions.append(write)
        self.state.apply(write.writes)
        for tile in write.tiles { self.tiles[LogTile.key(level: tile.level, index: tile.index)] = tile }
        self.noteConfiguration(in: write)
      case .signedCheckpoint: break
      case .stableCheckpoint(let checkpoint): self.stable = checkpoint
      case .snapshot(let point): self.takeSnapshot(point)
      case .history(let items, let gaps): self.keep(items, gaps)
      case .heard(let key): self.heard = key
      }
    }
  }

  private mutating func write(_ write: OrderingWrite) {
    switch write {
    case .view(let number, let view, let isChanging):
      (self.viewOf, self.view, self.isChanging) = (number, view, isChanging)
    case .prePrepare(let signed): self.prePrepares[signed.content.sequence] = signed
    case .prepared(let certificate): self.prepared[certificate.sequence] = certificate
    case .newView(let signed): self.newView = signed
    case .evidence(let evidence): self.evidence.append(evidence)
    case .decision(let decision): self.decisions[decision.sequence] = decision
    case .term(let number, let term, let vote): (self.viewOf, self.view, self.vote) = (number, term, vote)
    case .entry(let sequence, let entry): self.entries[sequence] = entry
    }
  }

  /// What a node that starts on this disk goes on from.
  func restore(limits: LedgerLimits) -> StoredNode {
    let next = self.configurations.first { $0.start > self.position.sequence.next }
    guard let configuration = self.configurations.last(where: { $0.start <= self.position.sequence.next }) else {
      preconditionFailure("the genesis' configuration begins at 1")
    }
    var stored = StoredNode(configuration)
    stored.cut = (self.cut ?? stored.cut).among(lanes: configuration.laneCount)
    stored.position = self.position
    stored.identifiers = self.identifiers
    (stored.stable, stored.heard) = (self.stable, self.heard)
    stored.openTiles = self.openTiles
    stored.ordering.view = self.view
    stored.ordering.isChanging = self.isChanging
    stored.ordering.newView = self.newView
    stored.ordering.vote = self.vote
    let at = stored.position.sequence
    for sequence in self.decisions.keys.sorted() {
      guard let decision = self.decisions[sequence] else { continue }
      if sequence < at, sequence.number + 2 * limits.pipelineMax >= at.number {
        stored.ordering.recentDecisions.append(decision)
      }
      if sequence == at { stored.ordering.lastDecision = decision }
      if sequence > at { stored.ordering.laterDecisions.append(decision) }
    }
    stored.ordering.prePrepares = self.prePrepares.keys.sorted().filter { $0 > at }.compactMap { self.prePrepares[$0] }
    stored.ordering.prepared = self.prepared.keys.sorted().filter { $0 > at }.compactMap { self.prepared[$0] }
    for sequence in self.entries.keys.sorted() where sequence > at {
      if let entry = self.entries[sequence] { stored.ordering.entries.append(StoredEntry(sequence, entry)) }
    }
    stored.ordering.keep(
      only: configuration, viewOf: self.viewOf, start: self.decisions[configuration.start.previous])
    if let point = self.base?.manifest.point, point.configuration == configuration.number {
      stored.ordering.startCut = stored.ordering.startCut ?? point.startCut
    }
    stored.ordering.last = next?.start.previous
    for (lane, held) in self.blocks.prefix(configuration.laneCount).enumerated() {
      for position in held.keys.sorted() where position > stored.cut.heads[lane].position {
        stored.blocks += held[position] ?? []
      }
    }
    return stored
  }

  private var openTiles: [[Digest]] {
    var tiles: [[Digest]] = []
    var level = 0
    let size = self.position.log.size
    while size >> UInt64(8 * level) > 0 {
      let count = size >> UInt64(8 * level)
      let isWhole = count % UInt64(LogTile.width) == 0
      tiles.append(isWhole ? [] : self.tile(level: level, index: count / UInt64(LogTile.width)) ?? [])
      level += 1
    }
    return tiles
  }

  /// As the production store: what was executed so long ago that nothing of it can be alive is not read again.
  private var identifiers: [ExecutedIdentifier] {
    let now = self.position.time
    let recent = self.executions.filter { $0.record.time.adding(milliseconds: self.lifeMilliseconds) >= now }
    return self.baseIdentifiers + recent.flatMap(\.identifiers)
  }

  /// The stored blocks that answer a request, in its order.
  func blocks(for request: BlockRequest) -> [Block] {
    let held = self.blocks[request.lane]
    switch request.order {
    case .upwards:
      return held.keys.sorted().filter { $0 > request.above && $0 <= request.head.position }.prefix(64)
        .flatMap { held[$0] ?? [] }
    case .downwards:
      var (out, at): ([Block], LaneHead) = ([], request.head)
      while at.position > request.above, out.count < 64,
        let block = held[at.position]?.first(where: { $0.digest == at.digest })
      {
        out.append(block)
        at = block.header.before
      }
      return out
    }
  }
}

/// A snapshot of a simulated member's ledger: made of the same pairs and chunks as a real one.
public struct SimulatedSnapshot: Sendable {
  /// The manifest.
  public let manifest: SnapshotManifest
  /// The decision at its sequence number.
  let decision: Decision
  /// The chunks.
  let chunks: [[UInt8]]

  fileprivate var pairs: [SnapshotPair] { self.chunks.flatMap { (try? SnapshotWriter.pairs(of: $0)) ?? [] } }
}

/// Snapshots on a simulated disk: the second implementation of what `Storage` does, so that each checks the other.
extension SimulatedDisk {
  /// So small that a snapshot of a simulated ledger has several.
  private static let chunkBytesMax = 4096
  private static let snapshotsMax = 2
  private static let historyMax = 8

  /// Takes a snapshot of the ledger as it is, which stands at `point`.
  public mutating func takeSnapshot(_ point: SnapshotPoint) {
    guard let decision = self.decisions[point.position.sequence] else { return }
    var chunks: [[UInt8]] = []
    let time = point.position.time
    var pairs = self.state.pairs.map { SnapshotPair(.state, key: $0.key, value: $0.value) }
    let alive = Set(self.identifiers.filter { $0.validUntil >= time }.map(SnapshotPair.init))
    pairs += alive.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    pairs += self.tiles.values.map(SnapshotPair.init).sorted { $0.key.lexicographicallyPrecedes($1.key) }
    for record in self.records {
      if let entry = self.entry(record.leaf) { pairs.append(SnapshotPair(entry: entry, at: record.leaf)) }
    }
    do {
      var writer = SnapshotWriter(point, chunkBytesMax: Self.chunkBytesMax) { _, bytes in chunks.append(bytes) }
      for pair in pairs { try writer.add(pair) }
      guard let manifest = try writer.finish() else { return }
      self.snapshots.append(SimulatedSnapshot(manifest: manifest, decision: decision, chunks: chunks))
      self.snapshots = self.snapshots.suffix(Self.snapshotsMax)
    } catch { self.breach = "a snapshot of \(point.position.sequence) cannot be made: \(error)" }
  }

  /// The configurations that were opened, as the state has them.
  private var records: [ConfigurationRecord] {
    self.state.scan(prefix: StateKey.configurations, limit: .max).compactMap {
      try? ConfigurationRecord.decode($0.value)
    }
  }

  /// A log entry: executed here, or one that the snapshot brought.
  private func entry(_ leaf: UInt64) -> [UInt8]? {
    if let write = self.executions.last(where: { $0.record.firstLeaf <= leaf }) {
      return self.entries(of: write)[safe: Int(leaf - write.record.firstLeaf)]
    }
    return self.baseEntries[leaf]
  }

  /// The log's entries of one executed cut.
  func entries(of write: ExecutionWrite) -> [[UInt8]] {
    let blocks = write.record.blocks.compactMap { place in
      self.blocks[place.lane][place.head.position]?.first { $0.digest == place.head.digest }
    }
    let transactions = blocks.flatMap { (try? $0.transactions()) ?? [] }
    return zip(transactions, write.record.outcomes).map { transaction, outcome in
      LogEntry(
        sequence: write.record.sequence, time: write.record.time, outcome: OutcomeCode(outcome),
        transaction: transaction
      ).encoded
    }
  }

  /// The record of an executed cut with its decision and blocks; nil where one of these is not here.
  private func item(_ record: ExecutionRecord) -> HistoryItem? {
    let blocks = record.blocks.compactMap { place in
      self.blocks[place.lane][place.head.position]?.first { $0.digest == place.head.digest }
    }
    guard blocks.count == record.blocks.count, let decision = self.decisions[record.sequence] else { return nil }
    return HistoryItem(record, decision: decision, blocks: blocks)
  }

  /// What was executed at a sequence number and below, the highest first.
  func history(from sequence: SequenceNumber) -> [HistoryItem] {
    var out: [HistoryItem] = []
    var next = sequence
    let first = self.executions.first?.record.sequence ?? self.position.sequence.next
    while next > .zero, out.count < Self.historyMax {
      let index = first.distance(to: next)
      guard let item = index >= 0 ? self.executions[safe: index].flatMap({ self.item($0.record) }) : self.below[next]
      else { break }
      out.append(item)
      next = next.previous
    }
    return out
  }

  fileprivate mutating func keep(_ items: [HistoryItem], _ gaps: [HistoryGap]) {
    self.gaps = gaps
    for item in items {
      self.below[item.record.sequence] = item
      self.decisions[item.decision.sequence] = item.decision
      for (place, block) in zip(item.record.blocks, item.blocks) {
        var held = self.blocks[place.lane][place.head.position] ?? []
        if !held.contains(where: { $0.digest == block.digest }) { held.append(block) }
        self.blocks[place.lane][place.head.position] = held
      }
    }
  }

  /// A snapshot with what proves it.
  func bundle(_ digest: Digest, through number: ConfigurationNumber, from genesis: Genesis) -> SnapshotBundle? {
    guard let snapshot = self.snapshots.last(where: { $0.manifest.digest == digest }),
      let links = LogProof.changes(
        self.records.filter { $0.configuration.number <= number }, from: genesis, tiles: self,
        entry: { self.entry($0) })
    else { return nil }
    return SnapshotBundle(snapshot.manifest, decision: snapshot.decision, links: links)
  }

  func chunk(_ number: Int, of digest: Digest) -> [UInt8]? {
    self.snapshots.last { $0.manifest.digest == digest }?.chunks[safe: number]
  }

  mutating func open(_ manifest: SnapshotManifest) -> [Int] {
    let digest = manifest.digest
    if self.fetched.manifest != digest { self.fetched = (digest, [:]) }
    return self.fetched.chunks.keys.sorted()
  }

  mutating func keep(_ bytes: [UInt8], as number: Int, of digest: Digest) {
    guard self.fetched.manifest == digest else { return }
    self.fetched.chunks[number] = bytes
  }

  /// Makes the fetched snapshot the ledger, and keeps what this member voted and sealed beyond it.
  mutating func replaceLedger(by bundle: SnapshotBundle) {
    guard bundle.manifest.sequence > self.position.sequence else { return }
    let chunks = bundle.manifest.chunks.indices.map { self.fetched.chunks[$0] ?? [] }
    let snapshot = SimulatedSnapshot(manifest: bundle.manifest, decision: bundle.decision, chunks: chunks)
    self.fetched = (.zero, [:])
    let gap = HistoryGap(above: self.position.sequence, below: bundle.manifest.point)
    if gap.count > 0 { self.gaps.append(gap) }
    for write in self.executions { self.below[write.record.sequence] = self.item(write.record) }
    self.base = snapshot
    self.executions = []
    self.state = MemoryState()
    (self.tiles, self.baseIdentifiers, self.baseEntries) = ([:], [], [:])
    var writes: [StateWrite] = []
    for pair in snapshot.pairs {
      switch pair.part {
      case .state: writes.append(StateWrite(key: pair.key, value: pair.value))
      case .tiles: self.tiles[pair.key] = pair.tile
      case .identifiers: if let identifier = pair.identifier { self.baseIdentifiers.append(identifier) }
      case .entries: if let leaf = pair.leaf { self.baseEntries[leaf] = pair.value }
      }
    }
    self.state.apply(writes)
    self.configurations = [self.configurations[0]] + self.records.map(\.configuration)
    while self.blocks.count < self.configurations.last?.laneCount ?? 0 { self.blocks.append([:]) }
    let sequence = bundle.manifest.sequence
    self.decisions[sequence] = bundle.decision
    let own = self.entries[sequence]
    if own?.term != bundle.decision.view || own?.configuration != bundle.decision.configuration { self.entries = [:] }
  }
}

extension SimulatedDisk: LogTiles {
  /// A tile of the log, whole or open; nil where there is none.
  public func tile(level: Int, index: UInt64) -> [Digest]? {
    self.tiles[LogTile.key(level: level, index: index)]?.hashes
  }
}

extension Collection {
  /// The element at an index; nil where there is none.
  subscript(safe index: Index) -> Element? { self.indices.contains(index) ? self[index] : nil }
}
