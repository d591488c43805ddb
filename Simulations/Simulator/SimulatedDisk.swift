internal import HealthRecords
internal import Merkle
public import Ledger
public import Messages
internal import NodeCore
internal import Ordering
public import Primitives
public import Rules
internal import Wire

/// What a simulated member has durably: a model of the store, which keeps whole batches or nothing of them.
public struct SimulatedDisk: Sendable {
  /// Blocks by lane, in the order of their positions.
  public private(set) var blocks: [[LanePosition: [Block]]]
  /// Decisions by sequence number.
  public private(set) var decisions: [SequenceNumber: Decision] = [:]
  /// The state.
  public private(set) var state = MemoryState()
  /// Executed cuts, from the first.
  public private(set) var executions: [ExecutionWrite] = []
  /// The last stable checkpoint.
  public private(set) var stable: StableCheckpoint?
  /// What was stored out of order, in words.
  public private(set) var breach: String?
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

  init(_ configuration: Configuration) {
    self.configurations = [configuration]
    self.blocks = Array(repeating: [:], count: configuration.laneCount)
  }

  /// Where execution stands.
  public var position: LedgerPosition { self.executions.last?.position ?? LedgerPosition() }

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
        self.noteConfiguration(in: write)
      case .signedCheckpoint: break
      case .stableCheckpoint(let checkpoint): self.stable = checkpoint
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
    case .decision(let decision): self.decisions[decision.sequence] = decision
    case .term(let number, let term, let vote): (self.viewOf, self.view, self.vote) = (number, term, vote)
    case .entry(let sequence, let entry): self.entries[sequence] = entry
    }
  }

  /// What a node that starts on this disk goes on from.
  func restore(limits: LedgerLimits) -> StoredNode {
    let last = self.executions.last
    let next = self.configurations.first { $0.start > self.position.sequence.next }
    guard let configuration = self.configurations.last(where: { $0.start <= self.position.sequence.next }) else {
      preconditionFailure("the genesis' configuration begins at 1")
    }
    var stored = StoredNode(configuration)
    stored.cut = (last?.cut ?? stored.cut).among(lanes: configuration.laneCount)
    stored.position = self.position
    // As the production store: what was executed so long ago that nothing of it can be alive is not read again.
    stored.identifiers = self.executions.filter {
      $0.record.time.adding(milliseconds: limits.transactionLifeMilliseconds) >= stored.position.time
    }.flatMap(\.identifiers)
    stored.stable = self.stable
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
      let index = count / UInt64(LogTile.width)
      let held = self.executions.reversed().lazy.flatMap(\.tiles).first { $0.level == level && $0.index == index }
      tiles.append(count % UInt64(LogTile.width) == 0 ? [] : held?.hashes ?? [])
      level += 1
    }
    return tiles
  }

  /// The stored blocks of a lane from one position through another.
  func blocks(lane: Int, from start: LanePosition, through end: LanePosition) -> [Block] {
    self.blocks[lane].keys.sorted().filter { $0 >= start && $0 <= end }.prefix(64)
      .flatMap { self.blocks[lane][$0] ?? [] }
  }
}
