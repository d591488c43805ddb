import Messages
import Primitives

/// Pulling blocks that something waits for.
extension Lanes {
  mutating func want(
    _ lane: Int, _ head: LaneHead, at now: Tick, into effects: inout [Effect]
  ) -> Outcome {
    guard lane < self.lanes.count else { return .rejected(.unknownLane) }
    guard head.position > self.lanes[lane].executed.position else { return .ignored(.settled) }
    if let wanted = self.lanes[lane].wanted, wanted.head.position >= head.position {
      return .ignored(.duplicate)
    }
    guard self.lanes[lane].gap(below: head) != nil else { return .ignored(.duplicate) }
    // The author's own push is usually on its way: the first request waits for a fraction of the time-out.
    let patience = Span(nanoseconds: self.parameters.requestTimeout.nanoseconds / 20)
    self.lanes[lane].wanted = Lane.Wanted(head: head, retryAt: now + patience)
    return .accepted
  }

  mutating func retryRequests(at now: Tick, into effects: inout [Effect]) -> Outcome {
    var asked = false
    for lane in self.lanes.indices {
      guard let wanted = self.lanes[lane].wanted, wanted.retryAt <= now else { continue }
      guard let gap = self.lanes[lane].gap(below: wanted.head) else {
        self.lanes[lane].wanted = nil
        continue
      }
      self.lanes[lane].wanted?.retryAt = now + self.parameters.requestTimeout
      guard let peer = self.nextHolder(lane: lane, of: gap) else { continue }
      let request = BlockRequest(lane: lane, above: self.lanes[lane].floor(below: gap), head: gap)
      effects.append(.request(to: peer, request))
      asked = true
    }
    return asked ? .accepted : .ignored(.idle)
  }

  /// A connected member that announced the block, in turn; where none did, any connected one.
  private mutating func nextHolder(lane: Int, of head: LaneHead) -> ReplicaIndex? {
    let others = (0..<self.configuration.count).filter { $0 != self.index && self.connected.contains($0) }
    let holders = others.filter { peer in
      self.lanes[lane].announced[peer].map { $0.position >= head.position } ?? false
    }
    let candidates = holders.isEmpty ? others : holders
    guard !candidates.isEmpty else { return nil }
    self.turn += 1
    return candidates[self.turn % candidates.count]
  }
}
