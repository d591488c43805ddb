import Messages
import Ordering
import Primitives

/// A member that asks for another view alone, and how it comes to vote again (LEDGER §3, I7).
///
/// Somebody who was cut off for seconds asks for view v + 1 alone; when its links are whole again, the others decide on
/// in v. It may not go back: since its ViewChange(v + 1) is written it has promised to vote in no view below, and the
/// certificates that it told there are what a NewView of v + 1 would be made of (LEDGER §10, 4, *vote after leaving*).
/// So the others go to it: its primary ends view v in order, as before a stop, or, where it does not, the backups do.
/// That is a view change like any other, whatever made its first ViewChange leave: agreement does not hang on why or
/// when a replica leaves a view, only on what is told and judged in the next one. No rule of safety is touched here.
///
/// A Byzantine member can ask alone at any time. ⚑ So a view that is open is left for that at most once in
/// `orderlyChangeIntervalMin`, counted from when it was entered, for whatever reason: however many ask, and whoever is
/// asked, there are no more such changes than that, and one brings all who wait. Where the next primary is not heard
/// the change may be in vain for as long as a time-out takes, and the view rests for `viewTimeoutMax`.
extension Replica {
  /// A member that waits alone in the next view.
  struct Alone: Sendable, Hashable {
    /// When that was seen first.
    let since: Tick
    /// What this replica had decided then. Who has come that far is not behind but waits: what is decided between two
    /// words of a member can be more than any window.
    let decided: SequenceNumber
  }

  /// Takes note of where a member stands, and leaves the view where it waits alone for the next one: connected (it was
  /// heard), as far as this replica was, and for long enough that all others that want to leave would have.
  ///
  /// - Complexity: O(1).
  mutating func noteView(
    _ status: Status, of peer: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]
  ) {
    self.heardAt[peer] = now.tick
    guard self.phase == .active else { return self.noteOthersGoOn(status, peer, at: now, into: &effects) }
    guard status.isChanging, status.view == self.view.next else {
      self.aloneSince[peer] = nil
      return
    }
    let alone = self.aloneSince[peer] ?? Alone(since: now.tick, decided: self.decided)
    self.aloneSince[peer] = alone
    guard status.decided >= alone.decided else { return }
    // The primary first: where it leaves, the others follow at once.
    let first = alone.since + Span(nanoseconds: self.parameters.viewTimeoutMin.nanoseconds / 2)
    let due = self.isPrimary ? first : first + self.parameters.viewTimeoutMin
    guard now.tick >= due, self.hasRested(at: now), !planted(.aloneLeftAlone) else { return }
    self.leave(to: self.view.next, reason: .memberReturns, at: now, into: &effects)
  }

  /// Whether the view was open for long enough to be left for the sake of one member.
  private func hasRested(at now: Moment) -> Bool {
    guard let enteredAt else { return true }
    let next = self.configuration.primary(of: self.view.next)
    let recently = self.parameters.statusInterval * 4
    let isHeard = next == self.index || self.heardAt[next].map { now.tick < $0 + recently } ?? false
    let rest =
      isHeard
      ? min(self.parameters.orderlyChangeIntervalMin, self.parameters.viewTimeoutMax) : self.parameters.viewTimeoutMax
    return now.tick >= enteredAt + rest
  }

  /// f + 1 members go on in a view below the one that this replica asks for: it votes for nothing until they join it,
  /// and says so once.
  private mutating func noteOthersGoOn(
    _ status: Status, _ peer: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]
  ) {
    let asked = self.askedAt ?? now.tick
    self.askedAt = asked
    guard status.view < self.view, !status.isChanging,
      now.tick >= asked + Span(nanoseconds: self.parameters.viewTimeoutMin.nanoseconds / 2)
    else { return }
    let before = self.wentOn.count
    self.wentOn.insert(peer)
    guard self.wentOn.count > before, self.wentOn.count == self.configuration.faultyMax + 1 else { return }
    effects.append(.report(.notVoting(self.view, others: status.view)))
  }
}
