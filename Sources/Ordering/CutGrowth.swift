public import Messages
public import Primitives

/// How a leader lets the next cut grow by what it holds (LEDGER §3).
///
/// ⚑ Of one lane no more is under way than an even share of a cut, nor more than a few blocks: what others write is
/// executed soon after, however much one writes, and however small its blocks are (LEDGER §11.5). That is the leader's
/// choice and no rule of validity.
public struct CutGrowth: Sendable, Hashable {
  /// A lane may have at least so much under way, however many lanes there are.
  private static let openTransactionsMin: UInt64 = 1000
  private static let openBytesMin: UInt64 = 256 << 10

  /// What validity depends on.
  public let limits: LedgerLimits
  /// While others are open, a cut grows by at least this many transactions for each of them, or waits.
  public let growthPerOpenCutMin: UInt64
  /// The most blocks of a lane in cuts that are not executed yet.
  public let laneOpenBlocksMax: UInt64

  /// Growth within limits.
  public init(limits: LedgerLimits, growthPerOpenCutMin: UInt64, laneOpenBlocksMax: UInt64) {
    (self.limits, self.growthPerOpenCutMin) = (limits, growthPerOpenCutMin)
    self.laneOpenBlocksMax = laneOpenBlocksMax
  }

  /// The cut for `sequence` after `previous`, with `open` others under way, of which the last `executed` one is none;
  /// nil where it would grow too little, unless a deadline `isDue`. Lanes in `frozen` do not grow.
  public func grow(
    _ previous: Cut, at sequence: SequenceNumber, open: UInt64, executed: Cut, isDue: Bool,
    frozen: some Collection<Int>, wall: Timestamp, lanes: some LaneReader
  ) -> Cut? {
    var heads = previous.heads
    var room = (transactions: self.limits.cutTransactionsMax, bytes: self.limits.cutBytesMax)
    let count = heads.count
    let begun = executed.among(lanes: count).heads
    // ⚑ Round-robin from a lane that moves on with the sequence number: none takes the room for ever.
    let first = Int(sequence.previous.number % UInt64(count))
    // First its share for each lane, then what is left for lanes that need more.
    for step in 0..<(2 * count) {
      let lane = (first + step) % count
      guard !frozen.contains(lane) || planted(.frozenLaneGrows) else { continue }
      let limit = planted(.cutUnbounded) ? UInt64(1 << 40) : room.transactions
      let share = LaneRoom(
        transactions: step < count ? limit / UInt64(count - step) : limit,
        bytes: planted(.cutUnbounded) ? 1 << 40 : room.bytes, blocks: .max)
      let grown = self.growth(of: lane, from: heads[lane], after: begun[lane], within: share, count, lanes)
      heads[lane] = grown.head
      room.transactions -= min(room.transactions, grown.transactions)
      room.bytes -= min(room.bytes, grown.bytes)
    }
    let added = self.limits.cutTransactionsMax - room.transactions
    guard isDue || (added > 0 && added >= open * self.growthPerOpenCutMin) else { return nil }
    return Cut(heads: heads, time: max(wall, previous.time.adding(milliseconds: 1)))
  }

  /// How far a lane grows within `room` and within what it may have under way after an executed head.
  private func growth(
    of lane: Int, from head: LaneHead, after executed: LaneHead, within room: LaneRoom, _ count: Int,
    _ lanes: some LaneReader
  ) -> (head: LaneHead, transactions: UInt64, bytes: UInt64) {
    let most = LaneRoom(
      transactions: max(self.limits.cutTransactionsMax / UInt64(count), Self.openTransactionsMin),
      bytes: max(self.limits.cutBytesMax / UInt64(count), Self.openBytesMin), blocks: self.laneOpenBlocksMax)
    let grown = lanes.growth(lane: lane, from: head, within: room)
    guard grown.head != head, !planted(.floodServedFirst), !planted(.cutUnbounded) else { return grown }
    // Of the own lane what is still being written counts by its blocks alone.
    var open = (transactions: UInt64(0), bytes: UInt64(0))
    if case .extends(let transactions, let bytes) = lanes.extent(lane: lane, from: executed, to: head) {
      open = (transactions, bytes)
    }
    let blocks = head.position.number - min(head.position, executed.position).number
    let left = LaneRoom(
      transactions: min(room.transactions, most.transactions - min(most.transactions, open.transactions)),
      bytes: min(room.bytes, most.bytes - min(most.bytes, open.bytes)), blocks: most.blocks - min(most.blocks, blocks))
    let isWithin =
      grown.transactions <= left.transactions && grown.bytes <= left.bytes
      && grown.head.position.number - head.position.number <= left.blocks
    guard !isWithin else { return grown }
    let fitting = lanes.growth(lane: lane, from: head, within: left)
    guard fitting.head == head, head == executed else { return fitting }
    // A block that is larger than that goes by itself.
    return lanes.growth(
      lane: lane, from: head, within: LaneRoom(transactions: room.transactions, bytes: room.bytes, blocks: 1))
  }
}
