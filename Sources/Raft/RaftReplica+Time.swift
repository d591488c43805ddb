import Messages
import Ordering
import Primitives

/// The ledger's time follows the members' clocks: no leader's clock alone runs it ahead (LEDGER §11.4).
///
/// The ledger's time never goes back, so a leader whose clock was a day ahead for a moment would leave behind a ledger
/// on which every transaction has expired, for a day. A follower therefore takes no entry that is further ahead of its
/// own clock than the drift, and says so; where so many do that no majority can hold it, the leader steps down. So it
/// does where its clock is behind those of a quorum.
extension RaftReplica {
  /// ⚑ Whether an entry's time is no further ahead of this clock than the drift. An entry that repeats the cut before
  /// it states no time of its own, and one that is a millisecond after it is what a right clock proposes where the
  /// ledger is ahead of all clocks already. What a majority holds is taken in any case.
  func isTimely(_ entry: RaftEntry, at sequence: SequenceNumber, _ now: Moment) -> Bool {
    if planted(.raftTimeRunsAhead) { return true }
    let before = sequence.previous == self.decided ? self.decidedCut : self.log[sequence.previous]?.cut
    if let before, entry.cut == before || entry.cut.time == before.time.adding(milliseconds: 1) { return true }
    return entry.cut.time <= now.wall.adding(milliseconds: self.limits.clockDriftMilliseconds)
  }

  /// Whether the leader's clock may be behind this one: an entry of its own term states a time that is further back
  /// than the drift. It is taken all the same, for it may have been long on its way; the leader is told this clock, and
  /// judges by its own.
  func isLate(_ entry: RaftEntry, at sequence: SequenceNumber, _ now: Moment) -> Bool {
    let before = sequence.previous == self.decided ? self.decidedCut : self.log[sequence.previous]?.cut
    return entry.term == self.view && entry.cut != before
      && entry.cut.time.adding(milliseconds: self.limits.clockDriftMilliseconds) < now.wall
  }

  /// Tells the leader and, once in a term, the operator. The leader sends the entry again with its next word, when the
  /// clocks may have come nearer.
  mutating func refuseTime(
    of entry: RaftEntry, at sequence: SequenceNumber, to leader: ReplicaIndex, _ now: Moment,
    into effects: inout [OrderingEffect]
  ) {
    effects.append(.sendRaft(to: leader, .untimely(term: self.view, at: sequence, wall: now.wall)))
    guard self.clockReportedIn != self.view else { return }
    self.clockReportedIn = self.view
    effects.append(.report(.clockRefused(leader, aheadMilliseconds: entry.cut.time.offset(from: now.wall))))
  }

  /// A follower does not take the time of an entry. ⚑ Where without it no majority is there that could, the leader
  /// steps down, and its log ends before the entry. Who is not heard counts as little as who refuses: with one of three
  /// down, one that refuses stops the ledger.
  ///
  /// Letting go of the entry is safe. It is of this leader's own term, and this leader has not counted a majority for
  /// it (it is above what is decided), so nobody has committed it: a later leader commits by acknowledgements of its
  /// own term only (Raft §5.4.2), asks this member again, and may have the entry or not. Kept, it would make this log
  /// the longest, and a member with a right clock could not be elected.
  mutating func takeUntimely(
    _ sequence: SequenceNumber, wall: Timestamp, from peer: ReplicaIndex, at now: Moment,
    into effects: inout [OrderingEffect]
  ) -> Outcome {
    guard case .leader(var leadership) = self.role, var follower = leadership.followers[peer] else {
      return .ignored(.notPrimary)
    }
    let drift = self.limits.clockDriftMilliseconds
    guard let refused = self.log[sequence], refused.cut.time > wall.adding(milliseconds: drift) else {
      return self.takeLag(wall.offset(from: now.wall), from: peer, at: now, into: &effects)
    }
    guard sequence > follower.match, let entry = self.log[sequence], sequence > self.decided else {
      return .ignored(.settled)
    }
    follower.heardAt = now.tick
    follower.refusal = Refusal(sequence: sequence, aheadMilliseconds: entry.cut.time.offset(from: wall))
    leadership.followers[peer] = follower
    self.role = .leader(leadership)
    let refusals = leadership.followers.values.compactMap(\.refusal)
    let span = self.parameters.electionTimeoutMin * 2
    let able =
      1
      + leadership.followers.values.count { other in
        other.refusal == nil && (other.heardAt.map { now.tick < $0 + span } ?? false)
      }
    guard able < self.configuration.quorum, let first = refusals.map(\.sequence).max() else { return .accepted }
    let offset = refusals.map(\.aheadMilliseconds).sorted()[refusals.count / 2]
    effects.append(.report(.clockDisowned(aheadMilliseconds: offset)))
    self.log.truncate(from: first)
    (self.held, self.verified) = (min(self.held, self.log.end), min(self.verified, self.log.end))
    self.follow(self.view, nil, at: now, into: &effects)
    self.electionAt =
      now.tick + Span(nanoseconds: self.parameters.electionTimeoutMin.nanoseconds * Self.disownedTimeouts)
    return .accepted
  }

  /// A follower's clock is so far ahead of this leader's. ⚑ Where the clocks of a whole quorum are ahead by more than
  /// the drift, this one is behind, and the leader steps down: else the ledger's time stands still, and then every
  /// transaction lies too far in its future. Fewer could not order by their time, which this member would not take.
  /// What it ordered stays: nothing is wrong with it but that it is early.
  private mutating func takeLag(
    _ offset: Int64, from peer: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    guard case .leader(var leadership) = self.role, var follower = leadership.followers[peer] else {
      return .ignored(.notPrimary)
    }
    let isAhead = offset > Int64(clamping: self.limits.clockDriftMilliseconds)
    follower.heardAt = now.tick
    follower.lag = isAhead ? Lag(at: now.tick, milliseconds: offset) : nil
    leadership.followers[peer] = follower
    self.role = .leader(leadership)
    guard isAhead else { return .ignored(.settled) }
    let span = self.parameters.electionTimeoutMin * 2
    let lags = leadership.followers.values.compactMap(\.lag).filter { now.tick < $0.at + span }.map(\.milliseconds)
    guard lags.count >= self.configuration.quorum else { return .accepted }
    effects.append(.report(.clockDisowned(aheadMilliseconds: -lags.sorted()[lags.count / 2])))
    self.follow(self.view, nil, at: now, into: &effects)
    self.electionAt =
      now.tick + Span(nanoseconds: self.parameters.electionTimeoutMin.nanoseconds * Self.disownedTimeouts)
    return .accepted
  }
}
