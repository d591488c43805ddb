internal import Merkle
public import Ledger
public import Messages
internal import NodeCore
internal import Ordering
public import Primitives
public import Rules

/// Pairs in the order of their keys.
public struct SortedState: Sendable, Equatable {
  private var keys: [[UInt8]] = []
  private var values: [[UInt8]: [UInt8]] = [:]

  init() {}

  /// How many pairs.
  public var count: Int { self.keys.count }

  private func position(_ key: [UInt8]) -> Int {
    var (low, high) = (0, self.keys.count)
    while low < high {
      let middle = (low + high) / 2
      if self.keys[middle].lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  mutating func apply(_ writes: [StateWrite]) {
    for write in writes {
      let index = self.position(write.key)
      let isThere = index < self.keys.count && self.keys[index] == write.key
      switch (write.value, isThere) {
      case (let value?, true): self.values[write.key] = value
      case (let value?, false):
        self.keys.insert(write.key, at: index)
        self.values[write.key] = value
      case (nil, true):
        self.keys.remove(at: index)
        self.values[write.key] = nil
      case (nil, false): break
      }
    }
  }

  func value(_ key: [UInt8]) -> [UInt8]? { self.values[key] }

  func next(after key: [UInt8], prefix: [UInt8], inclusive: Bool) -> (key: [UInt8], value: [UInt8])? {
    var index = self.position(key)
    if index < self.keys.count, self.keys[index] == key, !inclusive { index += 1 }
    guard index < self.keys.count, self.keys[index].starts(with: prefix), let value = self.values[self.keys[index]]
    else { return nil }
    return (self.keys[index], value)
  }
}

/// The state that a simulated node's rules read. One thread.
public final class SimulatedState: StateReader, @unchecked Sendable {
  var state: SortedState

  init(_ state: SortedState) { self.state = state }
  /// The value of a key.
  public func value(_ key: [UInt8]) -> [UInt8]? { self.state.value(key) }
  /// The next pair.
  public func next(after key: [UInt8], prefix: [UInt8], inclusive: Bool) -> (key: [UInt8], value: [UInt8])? {
    self.state.next(after: key, prefix: prefix, inclusive: inclusive)
  }
}

/// What a simulated member has durably: a model of the store, which keeps whole batches or nothing of them.
public struct SimulatedDisk: Sendable {
  /// Blocks by lane, in the order of their positions.
  public private(set) var blocks: [[LanePosition: [Block]]]
  /// Decisions by sequence number.
  public private(set) var decisions: [SequenceNumber: Decision] = [:]
  /// The state.
  public private(set) var state = SortedState()
  /// Executed cuts, from the first.
  public private(set) var executions: [ExecutionWrite] = []
  /// The last stable checkpoint.
  public private(set) var stable: StableCheckpoint?
  private var view = View(0)
  private var isChanging = false
  private var prePrepares: [SequenceNumber: Signed<PrePrepare>] = [:]
  private var prepared: [SequenceNumber: PreparedCertificate] = [:]
  private var newView: Signed<NewView>?
  private let configuration: Configuration

  init(_ configuration: Configuration) {
    self.configuration = configuration
    self.blocks = Array(repeating: [:], count: configuration.count)
  }

  /// Where execution stands.
  public var position: LedgerPosition { self.executions.last?.position ?? LedgerPosition() }

  mutating func write(_ batch: [StoreWrite]) {
    for write in batch {
      switch write {
      case .block(let block):
        guard let lane = self.configuration.index(of: block.header.author) else { continue }
        var held = self.blocks[lane][block.header.position] ?? []
        if !held.contains(where: { $0.digest == block.digest }) { held.append(block) }
        self.blocks[lane][block.header.position] = held
      case .ordering(let write): self.write(write)
      case .execution(let write):
        self.executions.append(write)
        self.state.apply(write.writes)
      case .signedCheckpoint: break
      case .stableCheckpoint(let checkpoint): self.stable = checkpoint
      }
    }
  }

  private mutating func write(_ write: OrderingWrite) {
    switch write {
    case .view(let view, let isChanging): (self.view, self.isChanging) = (view, isChanging)
    case .prePrepare(let signed): self.prePrepares[signed.content.sequence] = signed
    case .prepared(let certificate): self.prepared[certificate.sequence] = certificate
    case .newView(let signed): self.newView = signed
    case .decision(let decision): self.decisions[decision.sequence] = decision
    }
  }

  /// What a node that starts on this disk goes on from.
  func restore(limits: LedgerLimits) -> StoredNode {
    var stored = StoredNode(lanes: self.configuration.count)
    let last = self.executions.last
    stored.cut = last?.cut ?? stored.cut
    stored.position = self.position
    stored.identifiers = self.executions.flatMap(\.identifiers)
    stored.stable = self.stable
    stored.openTiles = self.openTiles
    stored.ordering.view = self.view
    stored.ordering.isChanging = self.isChanging
    stored.ordering.newView = self.newView
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
    for (lane, held) in self.blocks.enumerated() {
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
