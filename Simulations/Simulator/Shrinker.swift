internal import Messages
internal import NodeCore
internal import Primitives

/// Makes a failing run small: it takes faults, Byzantine members, changes of members, snapshots and
/// rounds away as long as the run still fails.
public struct Shrinker {
  private let seed: UInt64

  /// A shrinker of a seed's run.
  public init(seed: UInt64) { self.seed = seed }

  private func fails(_ plan: SwarmRun.Plan) -> Bool { SwarmRun(seed: self.seed, plan: plan).run().failure != nil }

  /// The smallest plan found; the given one where that does not fail.
  public func smallest(of whole: SwarmRun.Plan) -> SwarmRun.Plan {
    var plan = whole
    guard self.fails(plan) else { return plan }
    var isSmaller = true
    while isSmaller {
      isSmaller = false
      for candidate in self.candidates(plan) where self.fails(candidate) {
        plan = candidate
        isSmaller = true
        break
      }
    }
    return plan
  }

  private func candidates(_ plan: SwarmRun.Plan) -> [SwarmRun.Plan] {
    var out: [SwarmRun.Plan] = []
    for fault in plan.faults.sorted(by: { $0.rawValue < $1.rawValue }) {
      var less = plan
      less.faults.remove(fault)
      if fault == .byzantine { less.byzantine = [:] }
      out.append(less)
    }
    if !plan.changes.isEmpty {
      var less = plan
      less.changes.removeLast()
      out.append(less)
    }
    if plan.snapshotInterval != nil {
      var less = plan
      less.snapshotInterval = nil
      out.append(less)
    }
    for rounds in [plan.rounds / 2, plan.rounds - 1] where rounds > 0 && rounds < plan.rounds {
      var less = plan
      less.rounds = rounds
      out.append(less)
    }
    if plan.count > 4 {
      var less = plan
      less.count = 4
      less.byzantine = less.byzantine.filter { $0.key < 4 }
      out.append(less)
    }
    return out
  }
}
