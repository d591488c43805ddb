import Messages
import Ordering
import Primitives

/// Terms, votes and leaders. Ongaro & Ousterhout 2014, §5.2, §5.4.1.
extension RaftReplica {
  mutating func take(
    _ message: RaftMessage, from peer: ReplicaIndex, at now: Moment, lanes: some LaneReader,
    into effects: inout [OrderingEffect]
  ) -> Outcome {
    if let outcome = self.judgeTerm(of: message, from: peer, at: now, into: &effects) { return outcome }
    switch message {
    case .preVoteRequest, .voteRequest: self.holdBlocks(lanes: lanes, into: &effects)
    default: break
    }
    switch message {
    case .preVoteRequest(let term, let last):
      let isGranted =
        term > self.view && !self.hasLease(at: now) && self.mayLead(last)
      effects.append(.sendRaft(to: peer, .preVote(term: self.view, isGranted: isGranted)))
      return isGranted ? .accepted : .ignored(self.hasLease(at: now) ? .leaderAlive : .staleView)
    case .preVote(_, let isGranted):
      guard case .preCandidate(var granted) = self.role, isGranted else { return .ignored(.idle) }
      granted.insert(peer)
      self.role = .preCandidate(granted)
      if granted.count >= self.configuration.quorum { self.stand(isTransfer: false, at: now, into: &effects) }
      return .accepted
    case .voteRequest(_, let last, _): return self.answerVoteRequest(last, from: peer, at: now, into: &effects)
    case .vote(_, let isGranted):
      guard case .candidate = self.role, isGranted else { return .ignored(.idle) }
      self.count(peer, at: now, into: &effects)
      return .accepted
    case .append(_, let previous, let entries, let committed):
      return self.takeEntries(entries, after: previous, committed: committed, from: peer, at: now, into: &effects)
    case .untimely(_, let sequence, let wall):
      return self.takeUntimely(sequence, wall: wall, from: peer, at: now, into: &effects)
    case .appended(_, let match): return self.takeAppended(through: match, from: peer, at: now, into: &effects)
    case .refused(_, let end): return self.takeRefused(end, from: peer, at: now, into: &effects)
    case .timeoutNow:
      guard case .follower(peer) = self.role else { return .ignored(.notPrimary) }
      self.stand(isTransfer: true, at: now, into: &effects)
      return .accepted
    }
  }

  /// What a message's term does to this member's; an outcome where nothing more is to be done with the message.
  private mutating func judgeTerm(
    of message: RaftMessage, from peer: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome? {
    let term = message.term
    switch message {
    case .preVoteRequest: return nil
    case .voteRequest(_, _, isTransfer: false) where self.hasLease(at: now):
      // Whoever hears a leader does not let another disturb it (thesis §4.2.3).
      return .ignored(.leaderAlive)
    default: break
    }
    if term > self.view {
      // A pre-vote that is granted carries no higher term: whoever answers has not moved.
      self.follow(term, nil, at: now, into: &effects)
      return nil
    }
    guard term < self.view else { return nil }
    switch message {
    case .append: effects.append(.sendRaft(to: peer, .refused(term: self.view, end: self.log.end)))
    case .voteRequest: effects.append(.sendRaft(to: peer, .vote(term: self.view, isGranted: false)))
    // A pre-vote of a member that is behind in terms counts: it says what it would do.
    case .preVote: return nil
    case .preVoteRequest, .vote, .appended, .refused, .timeoutNow, .untimely: break
    }
    return .ignored(.staleView)
  }

  private mutating func answerVoteRequest(
    _ last: LogPosition, from peer: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    // ⚑ One vote a term, durable before it is said; only for a log that holds all that this one may have helped commit.
    let isFree = self.vote == nil || self.vote == peer || planted(.raftVotesTwice)
    guard isFree, self.mayLead(last) else {
      effects.append(.sendRaft(to: peer, .vote(term: self.view, isGranted: false)))
      return .ignored(.duplicate)
    }
    if self.vote != peer {
      self.vote = peer
      if !planted(.raftVoteNotDurable) {
        effects.append(.persist(.term(self.configuration.number, self.view, vote: peer)))
      }
    }
    self.role = .follower(nil)
    self.electionAt = self.nextElection(after: now)
    effects.append(.sendRaft(to: peer, .vote(term: self.view, isGranted: true)))
    return .accepted
  }

  /// Whether a log that ends so is at least as up to date as this one (Raft §5.4.1).
  private func mayLead(_ last: LogPosition) -> Bool { last >= self.lastHeld || planted(.raftStaleLogLeads) }

  /// Where the log ends that counts in elections. ⚑ What follows is a leader's word only: this member acknowledged
  /// none of it, for it lacks its blocks; where they were lost with that leader's disk, nobody could ever acknowledge
  /// it, and a leader that kept it would order nothing.
  private var lastHeld: LogPosition {
    guard !planted(.raftLeadsUnheld) else { return self.log.last }
    let end = min(max(self.held, self.decided), self.log.end)
    return LogPosition(term: self.log.term(at: end) ?? self.log.base.term, sequence: end)
  }

  /// Whether a leader was heard within the shortest election timeout, or leads here.
  private func hasLease(at now: Moment) -> Bool {
    switch self.role {
    case .leader: true
    case .follower(.some):
      self.heardLeaderAt.map { now.tick < $0 + self.parameters.electionTimeoutMin } ?? false
    case .follower(nil), .preCandidate, .candidate: false
    }
  }

  /// Goes over to a term, or learns who leads the one that it is in.
  mutating func follow(
    _ term: View, _ leader: ReplicaIndex?, at now: Moment, into effects: inout [OrderingEffect]
  ) {
    if term > self.view {
      self.view = term
      self.vote = nil
      self.role = .follower(nil)
      effects.append(.persist(.term(self.configuration.number, term, vote: nil)))
    }
    if let leader, self.leader != leader {
      self.verified = self.decided
      self.acknowledged = .zero
      self.refusedEnd = nil
      effects.append(.report(.viewEntered(self.view)))
    }
    self.role = .follower(leader)
    self.wantsMore = false
    if leader != nil { self.heardLeaderAt = now.tick }
    self.electionAt = self.nextElection(after: now)
  }

  private mutating func nextElection(after now: Moment) -> Tick {
    let least = self.parameters.electionTimeoutMin
    return now.tick + least + Span(nanoseconds: self.random.below(max(1, least.nanoseconds)))
  }

  mutating func fireTimers(at now: Moment, into effects: inout [OrderingEffect]) -> Outcome {
    if case .leader = self.role { return self.fireLeaderTimers(at: now, into: &effects) }
    guard let due = self.electionAt else {
      // Just started.
      self.electionAt = self.nextElection(after: now)
      return .accepted
    }
    guard due <= now.tick else { return .ignored(.idle) }
    self.askWhetherToStand(at: now, into: &effects)
    return .accepted
  }

  /// ⚑ Asks before it opens a term, so that whoever was cut off does not depose a leader by coming back.
  private mutating func askWhetherToStand(at now: Moment, into effects: inout [OrderingEffect]) {
    self.electionAt = self.nextElection(after: now)
    effects.append(.report(.viewChangeStarted(self.view.next, reason: .leaderSilent)))
    var granted = ReplicaSet()
    granted.insert(self.index)
    self.role = .preCandidate(granted)
    if self.configuration.quorum == 1 { return self.stand(isTransfer: false, at: now, into: &effects) }
    self.sendToAll(.preVoteRequest(term: self.view.next, last: self.lastHeld), into: &effects)
  }

  /// Opens a term and asks for votes; its own counts when it is durable.
  private mutating func stand(isTransfer: Bool, at now: Moment, into effects: inout [OrderingEffect]) {
    self.view = self.view.next
    self.vote = self.index
    self.role = .candidate(ReplicaSet())
    self.electionAt = self.nextElection(after: now)
    if isTransfer { effects.append(.report(.viewChangeStarted(self.view, reason: .requested))) }
    if !planted(.raftVoteNotDurable) {
      effects.append(.persist(.term(self.configuration.number, self.view, vote: self.index)))
    }
    effects.append(.mark(RaftMark(configuration: self.configuration.number, term: self.view, end: nil)))
    self.sendToAll(.voteRequest(term: self.view, last: self.lastHeld, isTransfer: isTransfer), into: &effects)
  }

  /// Counts a vote for this candidate.
  private mutating func count(_ voter: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]) {
    guard case .candidate(var votes) = self.role else { return }
    votes.insert(voter)
    self.role = .candidate(votes)
    guard votes.count >= self.configuration.quorum else { return }
    self.log.truncate(from: self.lastHeld.sequence.next)
    var leadership = Leadership(
      durable: self.log.end, nextHeartbeat: now.tick + self.parameters.heartbeatInterval,
      nextQuorumCheck: now.tick + self.parameters.electionTimeoutMin)
    for peer in self.configuration.voters where peer != self.index {
      leadership.followers[peer] = Follower(next: self.log.end.next, heardAt: votes.contains(peer) ? now.tick : nil)
    }
    self.role = .leader(leadership)
    self.verified = self.log.end
    effects.append(.report(.viewEntered(self.view)))
    // ⚑ Entries of earlier terms commit only under one of its own (Raft §5.4.2), so it appends one at once.
    let cut = self.log[self.log.end]?.cut ?? self.decidedCut
    self.append(RaftEntry(configuration: self.configuration.number, term: self.view, cut: cut), into: &effects)
  }

  /// Own writes are durable: the vote for itself, or the log up to a place.
  mutating func take(_ mark: RaftMark, at now: Moment, into effects: inout [OrderingEffect]) -> Outcome {
    guard mark.term == self.view else { return .ignored(.staleView) }
    guard let end = mark.end else {
      self.count(self.index, at: now, into: &effects)
      return .accepted
    }
    guard case .leader(var leadership) = self.role else { return .ignored(.notPrimary) }
    leadership.durable = max(leadership.durable, end)
    self.role = .leader(leadership)
    return .accepted
  }

  func sendToAll(_ message: RaftMessage, into effects: inout [OrderingEffect]) {
    for peer in self.configuration.voters where peer != self.index {
      effects.append(.sendRaft(to: peer, message))
    }
  }
}
