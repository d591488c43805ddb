import Merkle
public import Messages
public import Primitives
public import Rules
public import Wire

import Signing

/// Executes decided cuts: deterministic, in order, each transaction once (LEDGER §5).
public struct Execution: Sendable {
  private let network: Digest
  private var configuration: Configuration
  private let limits: LedgerLimits
  private let rules: any ExecutionRules
  /// Where it stands.
  public private(set) var position: LedgerPosition
  /// The cut up to which all is executed.
  public private(set) var cut: Cut
  private var window: IdentifierWindow
  private var openTiles: [[Digest]]
  private var run: Run?
  /// The version of the rules that members adopted and that is not known here. ⚑ Nothing is executed from there on:
  /// what it gave would not be what the others have.
  public private(set) var unknownRules: UInt16?

  /// Execution that goes on from a position, the identifiers inside their life, and the log's open tiles by level.
  public init(
    network: Digest, configuration: Configuration, limits: LedgerLimits, rules: any ExecutionRules,
    position: LedgerPosition, cut: Cut, identifiers: [ExecutedIdentifier], openTiles: [[Digest]]
  ) {
    (self.network, self.configuration, self.limits) = (network, configuration, limits)
    (self.rules, self.position, self.cut) = (rules, position, cut)
    self.window = IdentifierWindow(planted(.identifiersForgotten) ? [] : identifiers)
    self.openTiles = planted(.tilesForgotten) ? openTiles.map { _ in [] } : openTiles
  }

  /// The place in the log of a transaction that was executed within its life.
  public func leaf(of identifier: Digest) -> UInt64? { self.window.leaf(of: identifier) }

  /// How many identifiers are inside their life.
  public var windowCount: Int { self.window.count }

  /// What executing a decision gives.
  public struct Result: Sendable {
    /// What to write.
    public let write: ExecutionWrite
    /// A receipt for each transaction.
    public let receipts: [Receipt]
    /// The state's earliest deadline.
    public let deadline: Timestamp
  }

  /// Goes over to the next configuration, between two cuts: lanes that came are empty.
  public mutating func enter(_ next: Configuration) {
    precondition(self.run == nil && next.start == self.position.sequence.next, "configuration \(next.number.number)")
    self.configuration = next
    self.cut = self.cut.among(lanes: next.laneCount)
  }

  /// Whether a cut is under way.
  public var isRunning: Bool { self.run != nil }

  /// Looks at which rules hold in a state from which it goes on.
  public mutating func lookAtRules(in reader: any StateReader & Sendable) {
    self.unknownRules = self.rules.unknownVersion(in: StateEditor(reader: reader))
  }

  /// Begins the cut of `sequence`; `blocks` are all blocks by which it grew, lanes in member order.
  public mutating func begin(
    _ decided: Cut, at sequence: SequenceNumber, blocks: [(lane: Int, block: Block)],
    reader: any StateReader & Sendable
  ) {
    precondition(sequence == self.position.sequence.next, "I4: \(sequence) after \(self.position.sequence)")
    precondition(self.run == nil, "\(sequence) begins while another cut is executed")
    precondition(self.unknownRules == nil, "\(sequence) is executed by rules that are not known")
    var run = Run(
      context: ExecutionContext(
        network: self.network, configuration: self.configuration, limits: self.limits, sequence: sequence,
        time: decided.time, leaf: self.position.log.size),
      state: StateEditor(reader: reader), cut: decided, blocks: blocks, before: self.position)
    self.window.expire(before: decided.time)
    self.rules.expire(in: run.context, state: &run.state)
    run.state.commit()
    self.run = run
  }

  /// Executes up to `max` more transactions of the cut that was begun; nil where some are left, or where the cut adopts
  /// rules that are not known: then it is as before that cut.
  ///
  /// - Throws: `WireError` where a block's body is malformed, which a checked block's never is.
  public mutating func advance(max: Int) throws(WireError) -> Result? {
    guard var run = self.run else { return nil }
    self.run = nil  // So that the run is not copied when it changes.
    var left = max
    while left > 0, run.nextBlock < run.blocks.count {
      var decoder = run.decoder ?? Decoder(run.blocks[run.nextBlock].block.body)
      while left > 0, decoder.remaining > 0 {
        let start = decoder.offset
        let transaction = try Transaction(from: &decoder)
        self.execute(transaction, start..<decoder.offset, of: run.blocks[run.nextBlock].block.body, in: &run)
        guard self.unknownRules == nil else {
          self.takeBack(run)
          return nil
        }
        left -= 1
      }
      run.decoder = decoder
      guard decoder.remaining == 0 else { break }
      run.decoder = nil
      run.nextBlock += 1
    }
    guard run.nextBlock == run.blocks.count else {
      self.run = run
      return nil
    }
    return self.finish(&run)
  }

  /// The earliest deadline that a state keeps: what is read at a start, before anything is executed.
  public func deadline(in reader: any StateReader & Sendable) -> Timestamp {
    self.rules.deadline(in: StateEditor(reader: reader))
  }

  /// Takes back what a cut did here. The log's open tiles are of no use any more: nothing is executed on them.
  private mutating func takeBack(_ run: Run) {
    self.position = run.before
    for entry in run.identifiers { self.window.remove(entry.identifier) }
  }

  private mutating func finish(_ run: inout Run) -> Result {
    self.position.sequence = run.context.sequence
    self.position.time = run.cut.time
    self.cut = run.cut
    self.position.stateDigest = self.chained(run, cut: run.cut)
    let record = ExecutionRecord(
      sequence: run.context.sequence, time: run.cut.time, firstLeaf: run.before.log.size,
      blocks: run.blocks.map { LaneAnnouncement(lane: $0.lane, head: $0.block.head) }, outcomes: run.outcomes)
    let write = ExecutionWrite(
      record: record, cut: run.cut, writes: run.state.writes, identifiers: run.identifiers,
      tiles: self.takeTiles(&run), position: self.position)
    return Result(write: write, receipts: run.receipts, deadline: self.rules.deadline(in: run.state))
  }

  private struct Run {
    var context: ExecutionContext
    var state: StateEditor
    let cut: Cut
    let blocks: [(lane: Int, block: Block)]
    /// Where execution stood before the cut.
    let before: LedgerPosition
    var nextBlock = 0
    var decoder: Decoder?
    var outcomes: [UInt16] = []
    var receipts: [Receipt] = []
    var identifiers: [ExecutedIdentifier] = []
    var tiles: [LogTile] = []
    var touchedLevels = 0
  }

  private mutating func execute(
    _ transaction: Transaction, _ range: Range<Int>, of body: [UInt8], in run: inout Run
  ) {
    let identifier = transaction.identifier(network: self.network, in: body, range)
    run.context.leaf = self.position.log.size
    let known = self.window.leaf(of: identifier)
    let outcome = self.judge(transaction, identifier, known: known, in: &run)
    if outcome == .applied {
      run.state.commit()
      if self.rules.changesRules(transaction.kind) { self.unknownRules = self.rules.unknownVersion(in: run.state) }
    } else {
      run.state.rollBack()
    }
    if known == nil, outcome != .expired, outcome != .tooFar, !self.rules.isTimeless(transaction.kind) {
      let entry = ExecutedIdentifier(
        identifier: identifier, validUntil: transaction.validUntil, leaf: run.context.leaf)
      self.window.insert(entry)
      run.identifiers.append(entry)
    }
    run.outcomes.append(outcome.number)
    run.receipts.append(
      Receipt(
        identifier: identifier, leaf: known ?? run.context.leaf, sequence: run.context.sequence,
        time: run.context.time, outcome: outcome))
    let leaf = LogEntry.leaf(
      sequence: run.context.sequence, time: run.context.time, outcome: outcome, in: body, range)
    self.append(leaf, in: &run)
  }

  private func judge(
    _ transaction: Transaction, _ identifier: Digest, known: UInt64?, in run: inout Run
  ) -> OutcomeCode {
    let time = run.context.time
    guard !self.rules.isTimeless(transaction.kind) else {
      return self.rules.execute(transaction, identifier: identifier, in: run.context, state: &run.state)
    }
    // ⚑ First: how long an identifier is remembered past its life differs between members, and must not be seen.
    if transaction.validUntil < time, !planted(.expiredExecuted) { return .expired }
    if known != nil, !planted(.executedTwice) { return .duplicate }
    if transaction.validUntil > time.adding(milliseconds: self.limits.transactionLifeMilliseconds),
      !planted(.tooFarExecuted)
    {
      return .tooFar
    }
    return self.rules.execute(transaction, identifier: identifier, in: run.context, state: &run.state)
  }

  private mutating func append(_ leaf: Digest, in run: inout Run) {
    var completed: [(Int, Digest)] = []
    self.position.log.append(leaf) { level, _, node in
      if level % 8 == 0 { completed.append((level / 8, node)) }
    }
    for (level, node) in completed {
      while self.openTiles.count <= level { self.openTiles.append([]) }
      self.openTiles[level].append(node)
      run.touchedLevels = max(run.touchedLevels, level + 1)
      guard self.openTiles[level].count == LogTile.width else { continue }
      let index = (self.position.log.size >> UInt64(8 * level)) / UInt64(LogTile.width) - 1
      run.tiles.append(LogTile(level: level, index: index, hashes: self.openTiles[level]))
      self.openTiles[level] = []
    }
  }

  /// The full tiles of this cut, and the open ones that it touched.
  private mutating func takeTiles(_ run: inout Run) -> [LogTile] {
    for level in 0..<run.touchedLevels where !self.openTiles[level].isEmpty {
      let index = (self.position.log.size >> UInt64(8 * level)) / UInt64(LogTile.width)
      run.tiles.append(LogTile(level: level, index: index, hashes: self.openTiles[level]))
    }
    return run.tiles
  }

  /// The chained digest: over what was ordered, what was written, and the log after it.
  private func chained(_ run: Run, cut: Cut) -> Digest {
    var encoder = Encoder()
    encoder.digest(self.position.stateDigest)
    encoder.item(run.context.sequence)
    encoder.digest(cut.digest)
    encoder.u64(self.position.log.size)
    encoder.digest(self.position.log.root)
    encoder.u32(UInt32(run.state.writes.count))
    for write in run.state.writes {
      encoder.blob(write.key)
      encoder.flag(write.value != nil)
      if let value = write.value { encoder.blob(value) }
    }
    return Hash.blake2b("consilium/state/v1", encoder.bytes)
  }
}

/// The identifiers of executed transactions inside their life: none of them is executed twice.
///
/// In many small tables: one large one would stop every member at once while it doubles.
struct IdentifierWindow: Sendable {
  /// Short, so that few are forgotten at once.
  private static let bucketMilliseconds: UInt64 = 250
  private static let shardCount = 1024
  private var shards: [[Digest: UInt64]] = Array(repeating: [:], count: Self.shardCount)
  private var buckets: [UInt64: [Digest]] = [:]
  /// How many there are.
  private(set) var count = 0

  init(_ identifiers: [ExecutedIdentifier]) {
    for entry in identifiers { self.insert(entry) }
  }

  private static func shard(_ identifier: Digest) -> Int { Int(identifier.prefix64 % UInt64(self.shardCount)) }

  func leaf(of identifier: Digest) -> UInt64? { self.shards[Self.shard(identifier)][identifier] }

  mutating func insert(_ entry: ExecutedIdentifier) {
    let known = self.shards[Self.shard(entry.identifier)].updateValue(entry.leaf, forKey: entry.identifier)
    if known == nil { self.count += 1 }
    self.buckets[entry.validUntil.milliseconds / Self.bucketMilliseconds, default: []].append(entry.identifier)
  }

  /// Forgets one that was not executed after all; where it stands in a bucket, that forgets nothing.
  mutating func remove(_ identifier: Digest) {
    if self.shards[Self.shard(identifier)].removeValue(forKey: identifier) != nil { self.count -= 1 }
  }

  /// Forgets whole buckets that ended before `time`: these transactions would be refused as expired.
  mutating func expire(before time: Timestamp) {
    let current = time.milliseconds / Self.bucketMilliseconds
    for bucket in self.buckets.keys where bucket < current {
      for identifier in self.buckets[bucket] ?? [] {
        if self.shards[Self.shard(identifier)].removeValue(forKey: identifier) != nil { self.count -= 1 }
      }
      self.buckets[bucket] = nil
    }
  }
}
