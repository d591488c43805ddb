public import Messages
import Ordering
import Primitives
import Signing

/// What a vote or view message would be to a replica, told by its head, before a signature in it is looked at
/// (LEDGER §11.10).
public enum OrderingUse: Sendable, Hashable {
  /// It may change something.
  case wanted
  /// The same is here, or it is over.
  case superfluous
  /// It counts in another view, or further on: it can only be passed on to others.
  case elsewhere
  /// A wish or a start of a view that is not here yet: it may change much, and costs much to check.
  case costly
  /// Something else of the same member is here at the same place: if it is signed, it proves a lie.
  case contradicting
  /// Another member than the one who may sign it has its name on it: no correct member passes that on.
  case misplaced
}

extension Replica {
  /// What it would be here; `nil` where it is of another configuration.
  ///
  /// - Complexity: O(1).
  public func use(of head: OrderingHead) -> OrderingUse? {
    guard head.configuration == self.configuration.number else { return nil }
    guard self.configuration.isVoter(head.signer) else { return .misplaced }
    switch head.kind {
    case .prePrepare:
      guard head.signer == self.configuration.primary(of: head.view) else { return .misplaced }
      return self.use(of: head) { slot in
        slot.prePrepare.map { $0.signature == head.signature }
      }
    case .prepare: return self.use(of: head) { slot in slot.prepares[head.signer].map { $0.digest == head.digest } }
    case .commit: return self.use(of: head) { slot in slot.commits[head.signer].map { $0.digest == head.digest } }
    case .viewChange:
      if head.view < self.view || (head.view == self.view && self.phase == .active) { return .superfluous }
      guard let held = self.viewChanges[head.signer], held.content.view >= head.view else { return .costly }
      // A higher one is news; of one view each member signs one.
      guard held.content.view == head.view, held.signature != head.signature else { return .superfluous }
      return .contradicting
    case .newView:
      guard head.signer == self.configuration.primary(of: head.view) else { return .misplaced }
      if let held = self.newView, held.content.view == head.view {
        return held.signature == head.signature ? .superfluous : .contradicting
      }
      let isOver = head.view < self.view || (head.view == self.view && self.phase == .active)
      return isOver ? .superfluous : .costly
    }
  }

  /// The same for a proposal or a vote; `isHeld` says of a slot whether the same of that member is in it, nil where
  /// nothing is.
  private func use(of head: OrderingHead, isHeld: (Slot) -> Bool?) -> OrderingUse {
    if head.sequence <= self.decided { return .superfluous }
    // Votes of a view that was left still count where a planted bug takes them.
    guard head.view >= self.view || planted(.voteAfterLeaving) else { return .superfluous }
    let isHere = head.view == self.view && self.phase == .active && head.sequence <= self.windowEnd
    guard isHere else { return planted(.voteAfterLeaving) ? .wanted : .elsewhere }
    guard let slot = self.slots[head.sequence], let isSame = isHeld(slot) else { return .wanted }
    return isSame ? .superfluous : .contradicting
  }
}
