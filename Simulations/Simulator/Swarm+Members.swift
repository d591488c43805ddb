internal import Ledger
internal import Merkle
internal import Messages
internal import NodeCore
internal import Primitives

/// What becomes of a consortium's members in a run.
public enum MemberChange: String, Sendable, CaseIterable {
  /// A hospital joins that has followed so far.
  case join
  /// A member leaves.
  case leave
  /// A member's machine burns down, and it comes back under new keys.
  case renew
}

/// Members come, go, and lose their disks, while everything else is done to the network (LEDGER §8).
extension SwarmRun {
  static func changes(seed: UInt64, isCalm: Bool) -> [MemberChange] {
    var choice = SeededGenerator(seed: seed ^ 0x3e3b)
    guard !isCalm, choice.oneIn(3) else { return [] }
    return (0..<(1 + choice.below(3))).map { _ in
      MemberChange.allCases[Int(choice.below(UInt64(MemberChange.allCases.count)))]
    }
  }

  /// Whether the members make a custody key: then nobody leaves without whom it could not be handed on.
  private var isCustodian: Bool { self.cluster.parameters.isCustodian }

  /// Goes on with the change under way, or begins the next.
  func changeMembers() {
    guard self.changing != nil || !self.changes.isEmpty, self.random.oneIn(3) else { return }
    if let changing {
      guard self.cluster.isThrough(changing) else { return self.submit(changing) }
      guard !self.cluster.isChangingMembers else { return }
      self.changing = nil
      return
    }
    guard let action = self.begin(self.changes.removeFirst()) else { return }
    self.changing = action
    self.submit(action)
  }

  private func submit(_ action: MembershipAction) {
    let able = self.cluster.votingSlots.filter { self.cluster.node($0)?.index != nil }
    guard !able.isEmpty else { return }
    let slot = able[Int(self.random.below(UInt64(able.count)))]
    self.number += 1
    // Now and then too few approve, or somebody shows what was approved of the members before: that must not count.
    self.cluster.change(
      action, through: slot, nonce: self.number, short: self.random.oneIn(4) ? 1 : 0, isStale: self.random.oneIn(4))
  }

  private func begin(_ change: MemberChange) -> MembershipAction? {
    let newest = self.cluster.newest
    let liars = self.cluster.faulty.count
    let slots = self.cluster.votingSlots
    switch change {
    case .join:
      let slot = self.count + self.joined
      self.joined += 1
      return .add(self.cluster.describe(slot: slot))
    case .leave:
      // No more liars than the smaller consortium bears.
      guard !self.isCustodian || newest.faultyMax > 0 else { return nil }
      guard newest.voterCount > 1, slots.count > 1, liars == 0 || (newest.voterCount - 2) / 3 >= liars else {
        return nil
      }
      let slot = slots[Int(self.random.below(UInt64(slots.count)))]
      return .remove(MemberID(UInt32(self.cluster.member(slot) + 1)))
    case .renew:
      // Until it is readmitted it is down: with liars besides, a quorum would be missing.
      guard liars == 0, newest.voterCount > newest.quorum else { return nil }
      let slot = slots[Int(self.random.below(UInt64(slots.count)))]
      self.cluster.loseDisk(slot)
      self.cluster.restart(slot)
      return .replace(self.cluster.describe(slot: slot))
    }
  }

  /// After healing: the change under way comes through, and everybody is in the configuration that it opens.
  func completeChanges() -> String? {
    guard let changing else { return nil }
    for _ in 0..<120 {
      if self.cluster.isThrough(changing), !self.cluster.isChangingMembers { return nil }
      let isKnown = self.cluster.votingSlots.contains { slot in
        self.cluster.node(slot).map { $0.pendingChange != nil || $0.next != nil } ?? false
      }
      if !self.cluster.isThrough(changing), !isKnown {
        let slot = self.cluster.votingSlots.first { self.cluster.node($0)?.index != nil }
        self.number += 1
        if let slot { self.cluster.change(changing, through: slot, nonce: self.number) }
      }
      self.cluster.run(for: .milliseconds(2000))
      if let failure = self.checkNow() { return failure }
    }
    let states = (0..<self.cluster.slotCount).map { slot in
      let node = self.cluster.node(slot)
      return "\(slot): c\(node?.configuration.number.number ?? 0) s\(node?.execution.position.sequence.number ?? 0)"
        + " pending \(node?.pendingChange.map { "leaf \($0.leaf)" } ?? "-") next \(node?.next?.start.number ?? 0)"
        + " stable \(node?.checkpoints.stable?.body.size ?? 0) of \(node?.execution.position.log.size ?? 0)"
    }
    return "I7: 240 s after healing the members are not changed (\(changing)): \(states.joined(separator: ", "))"
  }
}
