import Messages
import Ordering
import Primitives

/// One lane beyond its executed head: the blocks that are held of it, and how they hang together.
///
/// ⚑ Whatever follows the lane does so by `follower(of:)` upwards and `walk(from:to:)` downwards, in which a block's
/// position is its parent's plus one (LEDGER §11.1); no two of them can judge one block differently.
struct Lane: Sendable, Equatable {
  struct Entry: Sendable, Equatable {
    let block: Block
    var isDurable = false
    /// Whether it hangs on the executed head, block by block.
    var isAttached = false
    /// Whether it lies on the branch from the executed head to `held`.
    var isMain = false
    /// What the main branch counts through here, where it lies on that.
    var tally = Tally()
    /// Whether it was handed over to be written.
    var isWritten: Bool
    /// What it counts in memory, in bytes.
    let cost: Int
  }

  /// What a branch counts from anywhere below to a block: of use only for what lies between two of them.
  struct Tally: Sendable, Equatable {
    var transactions: UInt64 = 0
    var bytes: UInt64 = 0

    static func + (left: Tally, block: Block) -> Tally {
      Tally(
        transactions: left.transactions + UInt64(block.header.transactionCount),
        bytes: left.bytes + UInt64(block.header.transactionBytes))
    }

    static func - (left: Tally, right: Tally) -> Tally {
      Tally(transactions: left.transactions - right.transactions, bytes: left.bytes - right.bytes)
    }
  }

  /// What was executed: blocks up to here are in storage only.
  private(set) var executed: LaneHead
  /// The executed head's header, where it is known: proof against whoever continues it wrongly.
  private(set) var executedBlock: SignedHeader?
  /// What the main branch counts up to there.
  private var executedTally = Tally()
  /// What was decided.
  private(set) var decided: LaneHead
  /// The farthest head that is held durably, without a gap.
  private(set) var tip: LaneHead
  /// The end of what is held without a gap, durable or not yet.
  private(set) var held: LaneHead
  /// Blocks beyond `executed`, by digest; an author that forks has several at one position.
  private(set) var entries: [Digest: Entry] = [:]
  /// The digests of entries by their parent, first come first.
  private(set) var children: [Digest: [Digest]] = [:]
  /// The digests of entries by their position, first come first.
  private(set) var places: [LanePosition: [Digest]] = [:]
  /// What all entries count in memory.
  private(set) var heldBytes = 0
  /// What those count that are not on the main branch: detached ones, rivals, what hangs on rivals.
  private(set) var asideBytes = 0
  /// How many these are.
  private(set) var asideCount = 0
  /// What members announced.
  private(set) var announced: Announced
  var forkedAt: LanePosition?
  /// What is to be pulled, by digest (⚑ LEDGER §11.3).
  var wishes: [Wish] = []
  /// Blocks that are here but not checked yet: from whom, and until when that is believed.
  var arriving: [LanePosition: Arrival] = [:]
  /// Whose turn it is to be asked. Each lane's own: one for all could ask of the same liar every time round.
  var turn = 0
  /// Since when a member announces more than is held here; reset at each request.
  var behindSince: Tick?

  init(executed: LaneHead, members: Int, quorum: Int) {
    (self.executed, self.decided, self.tip, self.held) = (executed, executed, executed, executed)
    self.announced = Announced(members: members, quorum: quorum)
  }

  // MARK: Following the lane

  /// Whether a block is the next after a head.
  static func follows(_ header: BlockHeader, _ head: LaneHead) -> Bool {
    header.follows(head) || (planted(.positionsUnchecked) && header.parent == head.digest)
  }

  /// A block that follows a head, the first that came; durable ones only where that `needsDurable`.
  private func follower(of head: LaneHead, needsDurable: Bool) -> Entry? {
    guard let children = self.children[head.digest] else { return nil }
    for digest in children {
      guard let entry = self.entries[digest], entry.isDurable || !needsDurable else { continue }
      if Self.follows(entry.block.header, head) { return entry }
    }
    return nil
  }

  enum Walk: Sendable, Equatable {
    /// Along parents and positions it came to the base.
    case reaches
    /// The block of this head is not here.
    case missing(LaneHead)
    /// The base is not on this branch, or a block stands where it may not.
    case contradicts
    /// The visitor wanted no more.
    case stopped
  }

  /// Goes from a head back to a base; shows each block on the way until `visit` says no.
  func walk(from head: LaneHead, to base: LaneHead, _ visit: (Entry) -> Bool) -> Walk {
    var at = head
    while at.position > base.position {
      guard let entry = self.entries[at.digest] else { return .missing(at) }
      guard entry.block.header.position == at.position || planted(.positionsUnchecked) else { return .contradicts }
      guard visit(entry) else { return .stopped }
      at = entry.block.header.before
    }
    return at.digest == base.digest ? .reaches : .contradicts
  }

  func extent(from base: LaneHead, to head: LaneHead) -> LaneExtension {
    guard head != base else { return .extends(transactions: 0, bytes: 0) }
    guard head.position > base.position else { return .contradicts }
    if let start = self.tally(at: base), head.position <= self.tip.position, let end = self.tally(at: head) {
      let between = end - start
      return .extends(transactions: between.transactions, bytes: between.bytes)
    }
    var (transactions, bytes): (UInt64, UInt64) = (0, 0)
    let walk = self.walk(from: head, to: base) { entry in
      transactions += UInt64(entry.block.header.transactionCount)
      bytes += UInt64(entry.block.header.transactionBytes)
      return entry.isDurable
    }
    return switch walk {
    case .reaches: .extends(transactions: transactions, bytes: bytes)
    case .missing, .stopped: .missing
    case .contradicts: .contradicts
    }
  }

  /// What the main branch of an unforked lane counts up to a head that lies on it; nil for any other.
  private func tally(at head: LaneHead) -> Tally? {
    guard self.forkedAt == nil, !planted(.positionsUnchecked) else { return nil }
    if head == self.executed { return self.executedTally }
    guard let entry = self.entries[head.digest], entry.isMain, entry.block.header.position == head.position else {
      return nil
    }
    return entry.tally
  }

  /// The block of the main branch at a position.
  private func main(at position: LanePosition) -> Entry? {
    self.places[position]?.lazy.compactMap { self.entries[$0] }.first { $0.isMain }
  }

  /// The farthest head of the main branch beyond `base`, at most `end`, within so much room; nil where the branch
  /// cannot tell.
  ///
  /// - Complexity: O(log(blocks)).
  func growth(
    from base: LaneHead, to end: LaneHead, within room: LaneRoom
  ) -> (head: LaneHead, transactions: UInt64, bytes: UInt64)? {
    guard let start = self.tally(at: base) else { return nil }
    var best = (head: base, transactions: UInt64(0), bytes: UInt64(0))
    guard end.position > base.position, room.blocks > 0 else { return best }
    var low = base.position.number + 1
    var high = base.position.number + min(end.position.number - base.position.number, room.blocks)
    while low <= high {
      let middle = low + (high - low) / 2
      guard let entry = self.main(at: LanePosition(middle)) else { return nil }
      let grown = entry.tally - start
      if grown.transactions <= room.transactions, grown.bytes <= room.bytes {
        best = (entry.block.head, grown.transactions, grown.bytes)
        low = middle + 1
      } else {
        high = middle - 1
      }
    }
    return best
  }

  /// The blocks above `base` through `head`, in order; nil where the chain is broken, or one is not durable.
  func chain(above base: LaneHead, through head: LaneHead, needsDurable: Bool = true) -> [Block]? {
    var out: [Block] = []
    let walk = self.walk(from: head, to: base) { entry in
      out.append(entry.block)
      return entry.isDurable || !needsDurable
    }
    return walk == .reaches ? out.reversed() : nil
  }

  enum Gap: Sendable, Equatable {
    /// All is here.
    case none
    /// The highest block that is not.
    case missing(LaneHead)
    /// Whatever comes, that head does not follow on what is executed.
    case never
  }

  /// Where the gap below `head` ends: the highest missing block, for which to ask.
  func gap(below head: LaneHead) -> Gap {
    switch self.walk(from: head, to: self.executed, { !$0.isAttached }) {
    case .reaches, .stopped: .none
    case .missing(let head): .missing(head)
    case .contradicts: .never
    }
  }

  /// A position up to which the lane is held for certain, below the gap, durable or not yet.
  func floor(below gap: LaneHead) -> LanePosition {
    guard self.forkedAt == nil, self.held.position < gap.position else { return self.executed.position }
    return self.held.position
  }

  /// The end of what is held, or is being checked, without a gap.
  var arrivingTop: LanePosition {
    var top = self.held.position
    while self.arriving[top.next] != nil { top = top.next }
    return top
  }

  // MARK: What comes

  /// Adds a block. Returns those that now hang on the executed head and are to be written, parents first.
  mutating func insert(_ block: Block, isWritten: Bool = false) -> [Block] {
    let (digest, header) = (block.digest, block.header)
    if self.entries[digest] != nil {
      if isWritten { self.entries[digest]?.isWritten = true }
      return []
    }
    let cost = Self.cost(of: block)
    self.entries[digest] = Entry(block: block, isWritten: isWritten, cost: cost)
    self.children[header.parent, default: []].append(digest)
    self.places[header.position, default: []].append(digest)
    (self.heldBytes, self.asideBytes, self.asideCount) =
      (self.heldBytes + cost, self.asideBytes + cost, self.asideCount + 1)
    let fresh = self.isOnAttached(header) ? self.attach(digest) : []
    self.extendHeld()
    self.fillWishes(with: block)
    let isRival = (self.places[header.position]?.count ?? 0) > 1
    if isRival, header.position <= self.decided.position { self.dropRivals() }
    return fresh
  }

  private func isOnAttached(_ header: BlockHeader) -> Bool {
    if Self.follows(header, self.executed) { return true }
    guard let parent = self.entries[header.parent] else { return false }
    return parent.isAttached && Self.follows(header, parent.block.head)
  }

  /// Notes that a block and what hangs on it hang on the executed head.
  private mutating func attach(_ digest: Digest) -> [Block] {
    var (queue, fresh): ([Digest], [Block]) = ([digest], [])
    var next = 0
    while next < queue.count {
      let at = queue[next]
      next += 1
      guard var entry = self.entries[at], !entry.isAttached else { continue }
      if !entry.isWritten { fresh.append(entry.block) }
      (entry.isAttached, entry.isWritten) = (true, true)
      self.entries[at] = entry
      queue += (self.children[at] ?? []).filter {
        self.entries[$0].map { Self.follows($0.block.header, entry.block.head) } ?? false
      }
    }
    return fresh
  }

  /// Moves the main branch's end along what is here.
  private mutating func extendHeld() {
    while let next = self.follower(of: self.held, needsDurable: false) {
      self.held = next.block.head
      self.markMain(next.block.digest)
    }
  }

  private mutating func markMain(_ digest: Digest) {
    guard let entry = self.entries[digest], !entry.isMain else { return }
    let parent = entry.block.header.parent
    let before = parent == self.executed.digest ? self.executedTally : self.entries[parent]?.tally ?? Tally()
    self.entries[digest]?.isMain = true
    self.entries[digest]?.tally = before + entry.block
    self.asideBytes -= entry.cost
    self.asideCount -= 1
  }

  mutating func markDurable(_ digest: Digest) {
    self.entries[digest]?.isDurable = true
    self.climb()
  }

  /// Moves the tip along durable blocks.
  private mutating func climb() {
    let before = self.tip
    while let next = self.follower(of: self.tip, needsDurable: true) { self.tip = next.block.head }
    guard self.tip != before else { return }
    // Of rivals another one was durable first.
    if self.entries[self.tip.digest]?.isMain == false { self.resetMain() }
    self.confirmAnnounced()
  }

  /// Notes the main branch anew, by the tip.
  private mutating func resetMain() {
    (self.asideBytes, self.asideCount) = (self.heldBytes, self.entries.count)
    for digest in self.entries.keys { self.entries[digest]?.isMain = false }
    var branch: [Digest] = []
    _ = self.walk(from: self.tip, to: self.executed) { entry in
      branch.append(entry.block.digest)
      return true
    }
    for digest in branch.reversed() { self.markMain(digest) }
    self.held = self.tip
    self.extendHeld()
  }

  private mutating func remove(_ digest: Digest) {
    guard let entry = self.entries.removeValue(forKey: digest) else { return }
    let header = entry.block.header
    self.heldBytes -= entry.cost
    if !entry.isMain { (self.asideBytes, self.asideCount) = (self.asideBytes - entry.cost, self.asideCount - 1) }
    self.children[header.parent]?.removeAll { $0 == digest }
    if self.children[header.parent]?.isEmpty == true { self.children[header.parent] = nil }
    self.places[header.position]?.removeAll { $0 == digest }
    if self.places[header.position]?.isEmpty == true { self.places[header.position] = nil }
  }

  /// Lets go of blocks that hang in the air and that nothing waits for, the farthest first, until so much is free.
  mutating func evictDetached(untilAside bytesMax: Int, countMax: Int) {
    // What is wanted does not count: it can be much, and came last.
    let bytesMax = bytesMax + self.wishes.reduce(0) { $0 + $1.pathBytes }
    let countMax = countMax + self.wishes.reduce(0) { $0 + $1.path.count }
    guard self.asideBytes > bytesMax || self.asideCount > countMax else { return }
    let wanted = self.wishes.reduce(into: Set<Digest>()) { $0.formUnion($1.path) }
    let loose = self.entries.values.filter { !$0.isAttached && !wanted.contains($0.block.digest) }
    for entry in loose.sorted(by: { $0.block.header.position > $1.block.header.position }) {
      guard self.asideBytes > bytesMax || self.asideCount > countMax else { return }
      self.remove(entry.block.digest)
    }
  }

  mutating func decide(_ head: LaneHead) {
    guard head.position > self.decided.position else { return }
    // What was decided is the lane, whether its blocks are here or not.
    self.decided = head
    if self.forkedAt != nil { self.dropRivals() }
    self.climb()
  }

  /// Forgets the blocks that stand beside the decided branch, and a tip among them.
  private mutating func dropRivals() {
    var branch: [LanePosition: Digest] = [:]
    _ = self.walk(from: self.decided, to: self.executed) { entry in
      branch[entry.block.header.position] = entry.block.digest
      return true
    }
    for (position, chosen) in branch {
      for digest in self.places[position] ?? [] where digest != chosen { self.remove(digest) }
    }
    self.settleTip()
  }

  /// Goes back to the executed head where the tip is not on its branch any more.
  private mutating func settleTip() {
    if self.walk(from: self.tip, to: self.executed, { _ in true }) != .reaches { self.tip = self.executed }
    self.climb()
    self.resetMain()
  }

  /// Lets go of the blocks up to an executed head, and of rivals at their positions. Returns what is to be written, as
  /// it hangs on that head.
  mutating func release(through head: LaneHead) -> [Block] {
    guard head.position > self.executed.position else { return [] }
    self.executedBlock = self.entries[head.digest].map { SignedHeader($0.block) }
    if let entry = self.entries[head.digest], entry.isMain { self.executedTally = entry.tally }
    let span = head.position.number - self.executed.position.number
    if span > UInt64(self.places.count) {
      for position in Array(self.places.keys) where position <= head.position { self.clear(position) }
    } else {
      var position = self.executed.position
      while position < head.position {
        position = position.next
        self.clear(position)
      }
    }
    self.executed = head
    if self.tip.position < head.position { self.tip = head }
    if self.held.position < head.position { self.held = head }
    self.wishes.removeAll { $0.head.position <= head.position }
    let next = (self.children[head.digest] ?? []).filter {
      self.entries[$0].map { Self.follows($0.block.header, head) } ?? false
    }
    let fresh = next.flatMap { self.attach($0) }
    if self.forkedAt != nil { self.settleTip() } else { self.extendHeld() }
    return fresh
  }

  private mutating func clear(_ position: LanePosition) {
    for digest in self.places[position] ?? [] { self.remove(digest) }
  }

  // MARK: What members announce

  /// Notes what a member holds; false where that is no more than before.
  mutating func hear(_ head: LaneHead, from peer: ReplicaIndex) -> Bool {
    guard self.announced.hear(head, from: peer) else { return false }
    self.confirmAnnounced(by: peer)
    return true
  }

  /// Whether a head lies on what is held durably here, or below it.
  func includes(_ head: LaneHead) -> Bool {
    if head.position <= self.executed.position || head == self.tip { return true }
    guard head.position <= self.tip.position else { return false }
    return self.places[head.position]?.contains(head.digest) ?? false
  }

  /// Whether somebody announced another block at a position that is held: the author forked its lane.
  func isRival(_ head: LaneHead) -> Bool {
    head.position > self.executed.position && head.position <= self.tip.position && head != self.tip
      && self.entries[head.digest] == nil
  }

  private mutating func confirmAnnounced(by peer: ReplicaIndex? = nil) {
    let peers = peer.map { $0..<($0 + 1) } ?? 0..<self.announced.count
    // Moved, not copied: it is long.
    var announced = Announced(members: 0, quorum: 0)
    swap(&announced, &self.announced)
    for peer in peers { announced.confirm(by: peer, reached: self.tip.position) { self.includes($0) } }
    swap(&announced, &self.announced)
  }
}

extension Lane {
  /// What a block counts in memory beside its body: header, signature, and its places in the tables.
  static let blockOverheadBytes = 512

  static func cost(of block: Block) -> Int { self.cost(ofBody: block.body.count) }
  static func cost(ofBody bytes: Int) -> Int { bytes + self.blockOverheadBytes }
}
