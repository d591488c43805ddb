internal import Lanes
internal import Ledger
internal import Messages
internal import NodeCore
internal import PBFT
internal import Primitives

/// The liveness phase under load: nobody's lane may be left out (I7).
extension SwarmRun {
  /// While others go on submitting, what each member had at the beginning must be ordered: no lane is left out.
  func loadedPhase() -> String? {
    let correct = self.cluster.votingSlots
    let lanes = correct.map { self.cluster.member($0) }
    for slot in correct { self.cluster.submit([self.makeTransaction(slot)], to: slot) }
    self.cluster.run(for: .milliseconds(500))
    let tips = zip(correct, lanes).map { slot, lane in
      self.cluster.node(slot)?.lanes.announcements[lane].head.position ?? .zero
    }
    for _ in 0..<200 {
      let isOrdered = correct.allSatisfy { slot in
        zip(lanes, tips).allSatisfy { lane, tip in
          self.cluster.node(slot).map { $0.execution.cut.heads[lane].position >= tip } ?? false
        }
      }
      if isOrdered { return nil }
      // Not all at once: whoever leaves one lane out has others to go on with at any time, so that nothing else ends
      // its view.
      for _ in 0..<25 {
        for slot in correct where self.random.oneIn(2) { self.cluster.submit([self.makeTransaction(slot)], to: slot) }
        self.cluster.run(for: .milliseconds(20))
      }
    }
    let missing = correct.flatMap { slot in
      zip(lanes, tips).compactMap { lane, tip -> String? in
        guard let node = self.cluster.node(slot), node.execution.cut.heads[lane].position < tip else { return nil }
        return "lane \(lane) at member \(slot): \(node.execution.cut.heads[lane].position) of \(tip), holds "
          + "\(node.lanes.announcements[lane].head.position)"
      }
    }
    return self.checkNow()
      ?? "I7: under load, left out 100 s after healing: \(missing.prefix(6).joined(separator: "; "))"
  }

  /// The same with a primary that begins to leave out a lane; in every other seed in which nobody else lies.
  func censoredPhase() -> String? {
    var choice = SeededGenerator(seed: self.seed ^ 0xce50)
    let correct = self.cluster.votingSlots
    guard self.plan.engine == .pbft, self.plan.byzantine.isEmpty, correct.count >= 4, choice.oneIn(2),
      let node = correct.first.flatMap({ self.cluster.node($0) })
    else { return nil }
    let primary = node.configuration.primary(of: node.replica.view)
    guard let slot = correct.first(where: { self.cluster.member($0) == primary }) else { return nil }
    self.cluster.corrupt(slot, with: Misbehaviour.censoring.make())
    return self.loadedPhase()
  }
}
