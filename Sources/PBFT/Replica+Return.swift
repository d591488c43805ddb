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
/// A Byzantine member can ask alone at any time. ⚑ What its status says counts for nothing: it asks by its signed
/// ViewChange, after which no vote of its in the old view is honest. ⚑ A view that is open is left for that at most
/// once in `orderlyChangeIntervalMin`, counted from when it was entered, for whatever reason: one change brings all who
/// wait. ⚑ And each time that one and the same member asks, it waits twice as long for the next, until it has voted in
/// a view that was open for twice that span. Where the next primary is not heard the change may be in vain for as long
/// as a time-out takes, and the view rests for `viewTimeoutMax`.
extension Replica {
  /// A member that waits alone in the next view.
  struct Alone: Sendable, Hashable {
    /// When that was seen first.
    let since: Tick
    /// What this replica had decided then. Who has come that far is not behind but waits: what is decided between two
    /// words of a member can be more than any window.
    let decided: SequenceNumber
  }

  /// How often the view was left for the sake of a member since it last voted for long, and when last.
  struct Return: Sendable, Hashable {
    var times: UInt64
    var at: Tick

    /// How long it waits until the view is left for it again.
    func rest(_ interval: Span) -> Span { interval * (1 << min(self.times, 5)) }
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
    guard now.tick >= due, self.hasRested(at: now), !planted(.aloneLeftAlone), self.isAsking(peer),
      self.mayReturn(peer, at: now.tick)
    else { return }
    self.noteReturns(at: now.tick)
    self.leave(to: self.view.next, reason: .memberReturns, at: now, into: &effects)
  }

  /// Whether a member signed that it leaves for the view after this one.
  private func isAsking(_ peer: ReplicaIndex) -> Bool {
    self.viewChanges[peer]?.content.view == self.view.next || planted(.aloneUnsigned)
  }

  private func mayReturn(_ peer: ReplicaIndex, at now: Tick) -> Bool {
    guard let last = self.returned[peer], !planted(.aloneUnsigned) else { return true }
    return now >= last.at + last.rest(self.parameters.orderlyChangeIntervalMin)
  }

  /// The view is left, here or by its primary, while these wait alone: for their sake, as far as can be told.
  mutating func noteReturns(at now: Tick) {
    for peer in self.aloneSince.keys where self.isAsking(peer) {
      self.returned[peer] = Return(times: (self.returned[peer]?.times ?? 0) + 1, at: now)
    }
  }

  /// A member voted in the open view: what it asked for long ago is forgotten.
  mutating func noteVoted(_ peer: ReplicaIndex, at now: Tick) {
    guard let last = self.returned[peer] else { return }
    if now >= last.at + last.rest(self.parameters.orderlyChangeIntervalMin) * 2 { self.returned[peer] = nil }
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
  /// and says so once. ⚑ They go on if they say that they have its ViewChange: what they said before that is old.
  private mutating func noteOthersGoOn(
    _ status: Status, _ peer: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]
  ) {
    let asked = self.askedAt ?? now.tick
    self.askedAt = asked
    guard status.view < self.view, !status.isChanging, status.viewChanges.contains(self.index),
      now.tick >= asked + Span(nanoseconds: self.parameters.viewTimeoutMin.nanoseconds / 2)
    else { return }
    let before = self.wentOn.count
    self.wentOn.insert(peer)
    guard self.wentOn.count > before, self.wentOn.count == self.configuration.faultyMax + 1 else { return }
    effects.append(.report(.notVoting(self.view, others: status.view)))
  }
}
