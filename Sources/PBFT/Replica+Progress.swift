import Messages
import Ordering
import Primitives

/// What a primary owes: slow is faulty (LEDGER §11.5; Aardvark: Clement et al. 2009, §6).
extension Replica {
  /// How far a lane must be ordered, since it could be.
  struct Due: Sendable, Hashable {
    let position: LanePosition
    let since: Tick
  }

  /// What is due of a lane, the oldest first. There are a few at most: they are an eighth of `laneOmissionMax` apart.
  struct LaneDues: Sendable, Hashable {
    var dues: [Due] = []
    /// When the next may be noted, while there are some.
    var lookAt = Tick.zero

    /// Until when the oldest may wait.
    func deadline(_ patience: Span) -> Tick? { self.dues.first.map { $0.since + patience } }
  }

  /// A part of a cut's room, and at most `blocksDueMax` blocks, are due of all lanes together, or of
  /// each: no more, so that a primary that works as fast as it can is not blamed for what nobody could order in time.
  private static let partDue: UInt64 = 4
  private static let blocksDueMax: UInt64 = 128

  /// Keeps the view's timers: something orderable, or a due deadline of the state, waits for its execution.
  mutating func watchProgress(at now: Moment, lanes: some LaneReader) {
    guard self.phase == .active else { return }
    guard self.isOpen(self.decided.next) else {
      self.progressSince = nil
      self.forgetDues()
      return
    }
    var waits = self.stateDeadline.adding(milliseconds: self.limits.clockDriftMilliseconds) <= now.wall
    for lane in 0..<self.configuration.laneCount where self.watch(lane, at: now.tick, lanes: lanes) { waits = true }
    let isOpen = self.slots.values.contains { slot in
      if case .accepted = slot.stage { true } else { false }
    }
    if waits || isOpen {
      self.progressSince = self.progressSince ?? now.tick
    } else {
      self.progressSince = nil
    }
  }

  /// ⚑ Notes how far a lane is to be ordered by when: each block by its own age, not the lane by its next block.
  /// Whether something of it waits.
  private mutating func watch(_ lane: Int, at now: Tick, lanes: some LaneReader) -> Bool {
    let ordered = self.decidedCut.heads[lane]
    let orderable = self.frozenFrom[lane] == nil ? lanes.orderable(lane: lane) : ordered.position
    guard orderable > ordered.position else {
      if !self.laneDues[lane].dues.isEmpty { self.laneDues[lane] = LaneDues() }
      return false
    }
    self.laneDues[lane].dues.removeAll { $0.position <= ordered.position }
    guard self.laneDues[lane].dues.isEmpty || now >= self.laneDues[lane].lookAt else { return true }
    self.laneDues[lane].lookAt = now + Span(nanoseconds: self.parameters.laneOmissionMax.nanoseconds / 8)
    let position = self.owed(lane, after: ordered, orderable, lanes: lanes)
    if position > self.laneDues[lane].dues.last?.position ?? ordered.position {
      self.laneDues[lane].dues.append(Due(position: position, since: now))
    }
    return true
  }

  /// How far a lane can be ordered within its patience by an honest primary: what waits, at most its even share of a
  /// part of a cut, and one block at least.
  private func owed(
    _ lane: Int, after ordered: LaneHead, _ orderable: LanePosition, lanes: some LaneReader
  ) -> LanePosition {
    guard orderable > ordered.position.next, !planted(.slowTolerated) else { return ordered.position.next }
    let parts = Self.partDue * UInt64(self.configuration.laneCount)
    let share = lanes.growth(
      lane: lane, from: ordered,
      within: LaneRoom(
        transactions: self.limits.cutTransactionsMax / parts, bytes: self.limits.cutBytesMax / parts,
        blocks: Self.blocksDueMax))
    return min(orderable, max(share.head.position, ordered.position.next))
  }

  /// Whether a lane waits for longer than a primary may let it.
  func isLaneLate(at now: Tick) -> Bool {
    guard !planted(.omissionTolerated) else { return false }
    return self.laneDues.contains { $0.deadline(self.parameters.laneOmissionMax).map { now >= $0 } ?? false }
  }

  /// A view is entered or left: what was due of its primary is not of the next.
  mutating func forgetDues() {
    self.laneDues = Array(repeating: LaneDues(), count: self.configuration.laneCount)
  }
}
