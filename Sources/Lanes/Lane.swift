import Messages
import Ordering
import Primitives

/// One lane beyond its executed head.
struct Lane: Sendable, Equatable {
  struct Entry: Sendable, Equatable {
    let block: Block
    var isDurable: Bool
  }

  struct Wanted: Sendable, Equatable {
    var head: LaneHead
    var retryAt: Tick
  }

  /// What was executed: blocks up to here are in storage only.
  var executed: LaneHead
  /// What was decided.
  var decided: LaneHead
  /// The farthest head that is held durably, without a gap from `decided`.
  var tip: LaneHead
  /// Blocks beyond `executed`, by digest; an author that forks has several at one position.
  var entries: [Digest: Entry] = [:]
  /// The digests of entries by their parent, first come first.
  var children: [Digest: [Digest]] = [:]
  var heldBytes = 0
  /// What each other member announced, by its number.
  private(set) var announced: [LaneHead]
  /// The farthest position that anybody announced.
  private(set) var announcedTop = LanePosition.zero
  /// The position that a quorum announced, this member not counted.
  private(set) var announcedByQuorum = LanePosition.zero
  var forkedAt: LanePosition?
  var wanted: Wanted?
  /// Blocks that are here but not checked yet, and until when that is believed.
  var arriving: [LanePosition: Tick] = [:]
  /// Whose turn it is to be asked. Each lane's own: one for all could ask of the same liar every time round.
  var turn = 0
  /// Since when a member announces more than is held here; reset at each request.
  var behindSince: Tick?

  init(executed: LaneHead, members: Int) {
    (self.executed, self.decided, self.tip) = (executed, executed, executed)
    self.announced = Array(repeating: .empty, count: members)
  }

  /// Notes what a member holds; false where that is no more than before.
  mutating func hear(_ head: LaneHead, from peer: ReplicaIndex, quorum: Int) -> Bool {
    guard head.position > self.announced[peer].position else { return false }
    self.announced[peer] = head
    self.announcedTop = max(self.announcedTop, head.position)
    guard quorum > 1, head.position > self.announcedByQuorum else { return true }
    self.announcedByQuorum = self.announced.map(\.position).sorted(by: >)[quorum - 2]
    return true
  }

  mutating func insert(_ block: Block) {
    guard self.entries[block.digest] == nil else { return }
    self.entries[block.digest] = Entry(block: block, isDurable: false)
    self.children[block.header.parent, default: []].append(block.digest)
    self.heldBytes += block.body.count
  }

  mutating func markDurable(_ digest: Digest) {
    self.entries[digest]?.isDurable = true
    self.climb()
  }

  /// Moves the tip along durable blocks.
  private mutating func climb() {
    while let next = self.children[self.tip.digest]?.first(where: { self.entries[$0]?.isDurable == true }),
      let entry = self.entries[next]
    {
      self.tip = entry.block.head
    }
    if let wanted, self.chain(above: self.executed, through: wanted.head) != nil { self.wanted = nil }
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
    var digest = self.decided.digest
    while let entry = self.entries[digest] {
      branch[entry.block.header.position] = digest
      digest = entry.block.header.parent
    }
    for entry in self.entries.values {
      let header = entry.block.header
      guard let chosen = branch[header.position], chosen != entry.block.digest else { continue }
      self.heldBytes -= entry.block.body.count
      self.entries[entry.block.digest] = nil
      self.children[header.parent]?.removeAll { $0 == entry.block.digest }
    }
    let isOnBranch = self.tip == self.executed || self.chain(above: self.executed, through: self.tip) != nil
    if !isOnBranch { self.tip = self.executed }
  }

  /// Lets go of the blocks up to an executed head, and of rivals at their positions.
  mutating func release(through head: LaneHead) {
    guard head.position > self.executed.position else { return }
    for entry in self.entries.values where entry.block.header.position <= head.position {
      self.heldBytes -= entry.block.body.count
      self.entries[entry.block.digest] = nil
      self.children[entry.block.header.parent] = nil
    }
    self.executed = head
    if self.tip.position < head.position { self.tip = head }
    if let wanted, wanted.head.position <= head.position { self.wanted = nil }
  }

  func extent(from base: LaneHead, to head: LaneHead) -> LaneExtension {
    if base == head { return .extends(transactions: 0, bytes: 0) }
    guard head.position > base.position else { return .contradicts }
    var (transactions, bytes): (UInt64, UInt64) = (0, 0)
    var digest = head.digest
    var position = head.position
    while position > base.position {
      guard let entry = self.entries[digest], entry.isDurable else { return .missing }
      guard entry.block.header.position == position else { return .contradicts }
      transactions += UInt64(entry.block.header.transactionCount)
      bytes += UInt64(entry.block.header.transactionBytes)
      digest = entry.block.header.parent
      position = LanePosition(position.number - 1)
    }
    return digest == base.digest ? .extends(transactions: transactions, bytes: bytes) : .contradicts
  }

  /// The blocks above `base` through `head`, in order; nil where the chain is broken, or one is not durable.
  func chain(above base: LaneHead, through head: LaneHead, needsDurable: Bool = true) -> [Block]? {
    guard head.position >= base.position else { return nil }
    var out: [Block] = []
    var digest = head.digest
    while digest != base.digest {
      guard let entry = self.entries[digest], entry.isDurable || !needsDurable,
        entry.block.header.position > base.position
      else { return nil }
      out.append(entry.block)
      digest = entry.block.header.parent
    }
    return out.reversed()
  }

  /// Where the gap below `head` ends: the highest missing block, for which to ask.
  func gap(below head: LaneHead) -> LaneHead? {
    var (digest, position) = (head.digest, head.position)
    while position > self.executed.position {
      guard let entry = self.entries[digest] else { return LaneHead(position: position, digest: digest) }
      digest = entry.block.header.parent
      position = LanePosition(position.number - 1)
    }
    return nil
  }

  /// A position up to which the lane is held for certain, below the gap, durable or not yet.
  func floor(below gap: LaneHead) -> LanePosition {
    self.tip.position < gap.position
      ? min(self.heldTop.position, LanePosition(gap.position.number - 1)) : self.executed.position
  }

  /// The end of what is held, or is being checked, without a gap.
  var arrivingTop: LanePosition {
    var top = self.heldTop.position
    while self.arriving[top.next] != nil { top = top.next }
    return top
  }

  /// The end of what is held without a gap, durable or not yet.
  var heldTop: LaneHead {
    var held = self.tip
    while let next = self.children[held.digest]?.first, let entry = self.entries[next] { held = entry.block.head }
    return held
  }
}
