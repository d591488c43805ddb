public import Messages
public import Ordering
public import Primitives

/// What others read of the lanes.
extension Lanes {
  /// What this member holds of each lane.
  public var announcements: [LaneAnnouncement] {
    self.lanes.enumerated().map { LaneAnnouncement(lane: $0.offset, head: $0.element.tip) }
  }

  /// The blocks of a lane above `base` up to `head`, in order; nil where one is not in memory.
  public func blocks(lane: Int, above base: LaneHead, through head: LaneHead) -> [Block]? {
    self.lanes[lane].chain(above: base, through: head)
  }

  /// Whether those blocks are all in memory, and durable.
  public func holds(lane: Int, above base: LaneHead, through head: LaneHead) -> Bool {
    if case .extends = self.extent(lane: lane, from: base, to: head) { true } else { false }
  }

  /// Whether there is room for so many more bytes of transactions.
  public func hasRoom(forBytes count: Int) -> Bool {
    self.pendingBytes + count <= self.parameters.pendingBytesMax
  }

  /// ⚑ Whether the store was empty at the start and a quorum has not said yet that it holds nothing of this member's
  /// lane: until then it may not vote either (LEDGER §11.14).
  public var isUnheard: Bool { self.wasEmpty && self.hearing != nil }

  /// Whether nothing but what is urgent is sealed until a quorum has said what it holds of this member's lane.
  public var isWaiting: Bool { self.hearing != nil }

  /// Whether this member's own lane was forked, as far as is known here: two nodes wrote it with one key.
  public var isFrozen: Bool { self.index.map { self.lanes[$0].forkedAt != nil } ?? false }

  /// Whether a lane is known to be forked.
  public func isForked(lane: Int) -> Bool { self.lanes[lane].forkedAt != nil }

  /// Whether a block of this configuration whose header this is could be of use here: there is room for it, something
  /// waits for it, or it may prove that its author broke its lane. Nothing is verified.
  public func hasUse(for header: BlockHeader) -> Bool {
    guard header.configuration == self.configuration.number, !self.holds(header),
      let lane = self.configuration.index(of: header.author)
    else { return false }
    let digest = header.digest
    return lane == self.index || self.lanes[lane].mayProve(header, digest)
      || self.lanes[lane].admission(of: header, digest, within: self.parameters) != .refused
  }

  /// The heads of the blocks of a lane that are in memory.
  public func held(lane: Int) -> [LaneHead] { self.lanes[lane].entries.values.map(\.block.head) }

  /// What of the lanes is more than may be; nil where nothing is (I9).
  public var boundBreach: String? {
    let limits = self.parameters
    for (number, lane) in self.lanes.enumerated() where number != self.index {
      let loose = lane.entries.values.filter { entry in
        !entry.isMain && !lane.wishes.contains { $0.path.contains(entry.block.digest) }
      }
      // One that was called may still be here when its wish is gone.
      let most = limits.asideBytesMax + Int(self.limits.blockBytesMax)
      if loose.reduce(0, { $0 + $1.cost }) > 2 * most || loose.count > 2 * limits.asideBlocksMax {
        return "\(loose.count) blocks of lane \(number) hang in the air"
      }
      // A branch that was dropped can leave some beyond the window, and none beyond what a lane may hold.
      let top = lane.held.position.number + limits.aheadBlocksMax + UInt64(limits.laneBlocksMax)
      if let far = loose.first(where: { !$0.isAttached && $0.block.header.position.number > top }) {
        return "block \(far.block.header.position) of lane \(number) is held, which ends at \(lane.held.position)"
      }
      if lane.wishes.count > limits.wishesMax { return "\(lane.wishes.count) wishes of lane \(number)" }
    }
    return nil
  }

  /// This member's transactions that are in no ordered block: of its blocks above the decided one, then those that
  /// wait for a block.
  public var unordered: [[UInt8]] {
    guard let index else { return [] }
    let own = self.lanes[index].entries.values.map(\.block).sorted { $0.header.position < $1.header.position }
    return own.flatMap(\.transactionBytes) + self.pending
  }
}

extension Lanes: LaneReader {
  /// The durable tip, or the decided head of a lane that forked.
  public func proposable(lane: Int) -> LaneHead {
    let lane = self.lanes[lane]
    return lane.forkedAt == nil ? lane.tip : lane.decided
  }

  /// ⚑ The highest position that Q members, this one included, hold of an unforked lane.
  public func orderable(lane: Int) -> LanePosition {
    guard self.lanes[lane].forkedAt == nil else { return self.lanes[lane].decided.position }
    let (tip, decided) = (self.lanes[lane].tip.position, self.lanes[lane].decided.position)
    // With this member's own tip among them, the Q-th farthest is the (Q − 1)-th of the others', or the tip.
    let others = self.configuration.quorum > 1 ? self.lanes[lane].announced.confirmedByQuorum : tip
    return max(min(others, tip), decided)
  }

  /// Walks back along parent digests.
  public func extent(lane: Int, from base: LaneHead, to head: LaneHead) -> LaneExtension {
    self.lanes[lane].extent(from: base, to: head)
  }

  /// From the base towards the tip as far as the room allows.
  public func growth(
    lane: Int, from base: LaneHead, within room: LaneRoom
  ) -> (head: LaneHead, transactions: UInt64, bytes: UInt64) {
    var best = (head: base, transactions: UInt64(0), bytes: UInt64(0))
    // Of the own lane also what is being written: the proposal leaves after that write, as everything does.
    let isOwn = lane == self.index && self.lanes[lane].forkedAt == nil
    let end = isOwn ? self.lanes[lane].held : self.proposable(lane: lane)
    guard end != base else { return best }
    if let grown = self.lanes[lane].growth(from: base, to: end, within: room) { return grown }
    guard let chain = self.lanes[lane].chain(above: base, through: end, needsDurable: !isOwn) else { return best }
    for block in chain.prefix(Int(clamping: room.blocks)) {
      let transactions = best.transactions + UInt64(block.header.transactionCount)
      let bytes = best.bytes + UInt64(block.header.transactionBytes)
      guard transactions <= room.transactions, bytes <= room.bytes else { break }
      best = (block.head, transactions, bytes)
    }
    return best
  }
}
