internal import Messages
internal import NodeCore
internal import PBFT
internal import Primitives

/// Wrong clocks, and who votes after healing.
extension SwarmRun {
  /// In some runs one member's clock is a day ahead for as long as faults last.
  func setClocks() {
    var choice = SeededGenerator(seed: self.seed ^ 0xc10c)
    let least = self.plan.engine == .raft ? 3 : 4
    guard !self.plan.isCalm, self.plan.byzantine.isEmpty, self.count >= least, choice.oneIn(4) else { return }
    self.cluster.setClock(Int(choice.below(UInt64(self.count))), aheadMilliseconds: 86_400_000)
  }

  /// LEDGER §3: whoever was cut off and asked for another view alone votes again, in the view of the others.
  func everybodyVotes() -> String? {
    guard self.plan.engine == .pbft else { return nil }
    let correct = self.cluster.votingSlots
    func apart() -> [Int] {
      let replicas = correct.map { self.cluster.node($0)?.replica }
      let view = replicas.compactMap { $0?.view }.max()
      return correct.indices.filter { replicas[$0]?.pbft?.isVoting != true || replicas[$0]?.view != view }
    }
    guard self.cluster.run(within: Self.healBound, asking: 64, until: { apart().isEmpty }) else {
      let left = apart().map { self.cluster.member(correct[$0]) }
      return "LEDGER §3: members \(left) do not vote \(Self.healBound.milliseconds / 1000) s after healing"
    }
    return self.checkNow()
  }
}
