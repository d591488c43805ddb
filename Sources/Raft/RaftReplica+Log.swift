import Messages
import Ordering
import Primitives

/// Replication, commitment and transfer. Ongaro & Ousterhout 2014, §5.3, §5.4.2; thesis §3.10, §6.2.
extension RaftReplica {
  // MARK: Following

  /// The leader's entries: taken where they follow on this log, which gives way where it differs (Raft §5.3).
  mutating func takeEntries(
    _ entries: [RaftEntry], after previous: LogPosition, committed: SequenceNumber, from peer: ReplicaIndex,
    at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    if case .leader = self.role { return .rejected(.equivocation) }
    guard entries.allSatisfy({ self.isInShape($0) && $0.term <= self.view }) else {
      return .rejected(.malformed)
    }
    self.follow(self.view, peer, at: now, into: &effects)
    // What is below the base is decided, and so the same everywhere.
    let known = self.log.base.sequence.number
    let skipped = Int(min(known - min(previous.sequence.number, known), UInt64(entries.count)))
    var at = SequenceNumber(max(previous.sequence.number, known))
    var late: SequenceNumber?
    if previous.sequence.number >= known {
      let term = self.log.term(at: previous.sequence)
      guard term == previous.term || (planted(.raftTailKept) && term != nil) else {
        self.refuse(to: peer, isAgain: entries.isEmpty, into: &effects)
        return .ignored(.logGap)
      }
    }
    for entry in entries.dropFirst(skipped) {
      let sequence = at.next
      guard self.hasRoom(for: entry, at: sequence) else {
        self.wantsMore = true
        break
      }
      let isKnown = self.log.term(at: sequence) == entry.term
      guard isKnown || sequence <= committed || self.isTimely(entry, at: sequence, now) else {
        self.refuseTime(of: entry, at: sequence, to: peer, now, into: &effects)
        break
      }
      if let term = self.log.term(at: sequence), term != entry.term {
        guard sequence > self.decided else { return .rejected(.contradictsDecision) }
        self.log.truncate(from: sequence)
        self.held = min(self.held, at)
      }
      if self.log.end < sequence {
        if self.isLate(entry, at: sequence, now) { late = sequence }
        self.log.append(entry)
        if !planted(.raftEntryNotDurable) { effects.append(.persist(.entry(sequence, entry))) }
      }
      at = sequence
      self.refusedEnd = nil
    }
    if let late { effects.append(.sendRaft(to: peer, .untimely(term: self.view, at: late, wall: now.wall))) }
    self.verified = max(self.verified, at)
    self.commit(through: min(committed, self.verified), into: &effects)
    self.owesAnswer = true
    return .accepted
  }

  /// Whether an entry is taken: what it adds can be executed soon, or it adds nothing. Else a small window that is
  /// full of old terms' entries would shut out the new leader's first, under which alone they commit.
  private func hasRoom(for entry: RaftEntry, at sequence: SequenceNumber) -> Bool {
    if sequence <= self.windowEnd { return true }
    let before = sequence.previous == self.decided ? self.decidedCut : self.log[sequence.previous]?.cut
    return entry.cut == before && sequence.number <= self.windowEnd.number + Self.emptyEntriesMax
  }

  /// Asks the leader to go on from the end of what is known to be its log. Once, for what follows on what is lost is on
  /// its way too; and again at each heartbeat, for the answer may be lost.
  private mutating func refuse(to peer: ReplicaIndex, isAgain: Bool, into effects: inout [OrderingEffect]) {
    guard self.refusedEnd != self.verified || isAgain else {
      self.owesAnswer = true
      return
    }
    self.refusedEnd = self.verified
    effects.append(.sendRaft(to: peer, .refused(term: self.view, end: self.verified)))
  }

  /// Decisions that the leader read from its store, for a member that is far behind.
  mutating func take(
    _ decisions: [Decision], from peer: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    guard case .follower(peer) = self.role else { return .ignored(.notPrimary) }
    self.follow(self.view, peer, at: now, into: &effects)
    var outcome = Outcome.ignored(.settled)
    if let first = decisions.first?.sequence.previous, first <= self.verified {
      // What is below is the leader's log, and decided there.
      self.commit(through: first, into: &effects)
    }
    for decision in decisions where decision.sequence == self.decided.next {
      guard decision.cut.heads.count == self.configuration.laneCount, decision.evidence == .majority,
        decision.configuration == self.configuration.number
      else {
        return .rejected(.malformed)
      }
      // What stands above the configuration's end is void.
      if let closing, decision.sequence > closing { break }
      guard decision.sequence <= self.windowEnd else {
        self.wantsMore = true
        outcome = .ignored(.beyondWindow)
        break
      }
      if self.log.term(at: decision.sequence) != decision.view {
        self.log.truncate(from: decision.sequence)
        self.log.append(
          RaftEntry(configuration: decision.configuration, term: decision.view, cut: decision.cut))
      }
      self.deliver(decision, into: &effects)
      self.refusedEnd = nil
      outcome = .accepted
    }
    self.held = min(max(self.held, self.decided), self.log.end)
    self.verified = min(max(self.verified, self.decided), self.log.end)
    self.owesAnswer = true
    return outcome
  }

  /// Tells the leader that there is room again for what was refused.
  mutating func askForMore(into effects: inout [OrderingEffect]) {
    guard self.wantsMore, self.executed == self.decided, self.log.end < self.windowEnd,
      case .follower(let leader?) = self.role
    else { return }
    self.wantsMore = false
    effects.append(.sendRaft(to: leader, .refused(term: self.view, end: self.verified)))
  }

  /// Hands entries through a place to execution.
  private mutating func commit(through sequence: SequenceNumber, into effects: inout [OrderingEffect]) {
    let sequence = self.closing.map { min($0, sequence) } ?? sequence
    while self.decided < sequence, let entry = self.log[self.decided.next] {
      self.deliver(
        Decision(
          configuration: self.configuration.number, view: entry.term, sequence: self.decided.next, cut: entry.cut,
          evidence: .majority),
        into: &effects)
    }
  }

  private mutating func deliver(_ decision: Decision, into effects: inout [OrderingEffect]) {
    precondition(decision.sequence == self.decided.next, "I4: \(decision.sequence) after \(self.decided)")
    self.lastDecision = decision
    effects.append(.persist(.decision(decision)))
    effects.append(.deliver(decision))
    let kept = 2 * self.limits.pipelineMax
    if decision.sequence.number > kept { self.log.compact(through: SequenceNumber(decision.sequence.number - kept)) }
  }

  // MARK: Everything that has become possible

  mutating func advance(at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]) {
    self.holdBlocks(lanes: lanes, into: &effects)
    switch self.role {
    case .follower(let leader?):
      let match = min(self.verified, self.held)
      if self.owesAnswer || match > self.acknowledged {
        self.acknowledged = max(match, self.acknowledged)
        effects.append(.sendRaft(to: leader, .appended(term: self.view, match: match)))
      }
    case .leader:
      self.commitWhatAMajorityHolds(into: &effects)
      self.propose(at: now, lanes: lanes, into: &effects)
    case .follower(nil), .preCandidate, .candidate: break
    }
    self.owesAnswer = false
  }

  /// ⚑ An entry counts here only when all its blocks are durable here: what a majority acknowledged can be executed.
  mutating func holdBlocks(lanes: some LaneReader, into effects: inout [OrderingEffect]) {
    self.held = max(self.held, self.decided)
    while self.held < self.log.end, let entry = self.log[self.held.next] {
      let previous = self.held == self.decided ? self.decidedCut : self.log[self.held]?.cut ?? self.decidedCut
      for lane in 0..<self.configuration.laneCount {
        switch lanes.extent(lane: lane, from: previous.heads[lane], to: entry.cut.heads[lane]) {
        case .extends: continue
        case .contradicts: return
        case .missing:
          effects.append(.fetch(lane: lane, entry.cut.heads[lane]))
          if planted(.raftBlocksUnheld) { continue }
          return
        }
      }
      self.held = self.held.next
    }
  }

  // MARK: Leading

  /// ⚑ Counts replicas only for an entry of its own term; what is below commits with it (Raft §5.4.2).
  private mutating func commitWhatAMajorityHolds(into effects: inout [OrderingEffect]) {
    guard case .leader(let leadership) = self.role else { return }
    var matches = leadership.followers.values.map(\.match)
    matches.append(min(leadership.durable, self.held))
    matches.sort(by: >)
    let sequence = matches[self.configuration.quorum - 1]
    guard sequence > self.decided, self.log.term(at: sequence) == self.view || planted(.raftOldTermCommits) else {
      return
    }
    self.commit(through: sequence, into: &effects)
    for peer in self.configuration.voters where peer != self.index && self.isNear(peer) {
      self.replicate(to: peer, isHeartbeat: true, into: &effects)
    }
  }

  private mutating func propose(at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]) {
    let growth = CutGrowth(
      limits: self.limits, growthPerOpenCutMin: self.parameters.growthPerOpenCutMin,
      laneOpenBlocksMax: self.parameters.laneOpenBlocksMax)
    // Of what was executed long ago nothing is under way.
    let executed = self.log[self.executed]?.cut ?? self.decidedCut
    while case .leader(let leadership) = self.role, leadership.transfer == nil,
      self.log.end.number < self.executed.number + self.limits.pipelineMax,
      self.closing.map({ self.log.end < $0 }) ?? true
    {
      let open = UInt64(self.openCount)
      let cut = growth.grow(
        self.log[self.log.end]?.cut ?? self.decidedCut, at: self.log.end.next, open: open, executed: executed,
        isDue: self.stateDeadline <= now.wall && open == 0, frozen: self.frozen, wall: now.wall, lanes: lanes)
      guard let cut else { return }
      self.append(
        RaftEntry(configuration: self.configuration.number, term: self.view, cut: cut), into: &effects)
    }
  }

  /// Appends to the own log; followers write it while this member does (thesis §10.2.1).
  mutating func append(_ entry: RaftEntry, into effects: inout [OrderingEffect]) {
    self.log.append(entry)
    self.verified = self.log.end
    for peer in self.configuration.voters where peer != self.index && self.isNear(peer) {
      self.replicate(to: peer, isHeartbeat: false, into: &effects)
    }
    if !planted(.raftEntryNotDurable) { effects.append(.persist(.entry(self.log.end, entry))) }
    effects.append(.mark(RaftMark(configuration: self.configuration.number, term: self.view, end: self.log.end)))
  }

  /// Whether what a follower lacks is in memory.
  private func isNear(_ peer: ReplicaIndex) -> Bool {
    guard case .leader(let leadership) = self.role, let next = leadership.followers[peer]?.next else { return false }
    return self.log.term(at: next.previous) != nil
  }

  /// Sends a follower what it lacks, and as a heartbeat at least a word.
  mutating func replicate(to peer: ReplicaIndex, isHeartbeat: Bool, into effects: inout [OrderingEffect]) {
    guard case .leader(var leadership) = self.role, var follower = leadership.followers[peer] else { return }
    var previous = LogPosition(term: self.log.base.term, sequence: self.log.base.sequence)
    var entries: [RaftEntry] = []
    if let term = self.log.term(at: follower.next.previous) {
      previous = LogPosition(term: term, sequence: follower.next.previous)
      entries = self.log.entries(from: follower.next, max: RaftMessage.entriesMax)
      follower.next = SequenceNumber(follower.next.number + UInt64(entries.count))
    } else if follower.next <= self.decided {
      let end = min(self.decided.number, follower.next.number + self.parameters.decisionsPerAnswerMax - 1)
      effects.append(.sendDecisions(to: peer, from: follower.next, through: SequenceNumber(end)))
      follower.next = SequenceNumber(end + 1)
    }
    leadership.followers[peer] = follower
    self.role = .leader(leadership)
    guard isHeartbeat || !entries.isEmpty else { return }
    effects.append(
      .sendRaft(
        to: peer, .append(term: self.view, previous: previous, entries: entries, committed: self.decided)))
  }

  mutating func takeAppended(
    through match: SequenceNumber, from peer: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    guard case .leader(var leadership) = self.role, var follower = leadership.followers[peer] else {
      return .ignored(.notPrimary)
    }
    guard match <= self.log.end else { return .rejected(.malformed) }
    follower.heardAt = now.tick
    follower.match = max(follower.match, match)
    if let refused = follower.refusal, match >= refused.sequence { follower.refusal = nil }
    follower.next = max(follower.next, match.next)
    leadership.followers[peer] = follower
    self.role = .leader(leadership)
    // Entries go out at once; decisions of long ago in turns, each when the last was taken.
    if self.log.term(at: follower.next.previous) != nil || follower.next == match.next {
      self.replicate(to: peer, isHeartbeat: false, into: &effects)
    }
    self.sayTransfer(into: &effects)
    return .accepted
  }

  mutating func takeRefused(
    _ end: SequenceNumber, from peer: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    guard case .leader(var leadership) = self.role, var follower = leadership.followers[peer] else {
      return .ignored(.notPrimary)
    }
    follower.heardAt = now.tick
    // Even below what it acknowledged: since it started again it does not know that its log there is the leader's.
    follower.next = min(follower.next, end.next)
    leadership.followers[peer] = follower
    self.role = .leader(leadership)
    self.replicate(to: peer, isHeartbeat: false, into: &effects)
    return .accepted
  }

  mutating func fireLeaderTimers(at now: Moment, into effects: inout [OrderingEffect]) -> Outcome {
    guard case .leader(var leadership) = self.role else { return .ignored(.notPrimary) }
    if let transfer = leadership.transfer, transfer.until <= now.tick { leadership.transfer = nil }
    if leadership.nextQuorumCheck <= now.tick {
      leadership.nextQuorumCheck = now.tick + self.parameters.electionTimeoutMin
      let heard = leadership.followers.values.count {
        $0.heardAt.map { now.tick < $0 + self.parameters.electionTimeoutMin * 2 } ?? false
      }
      // ⚑ A leader that a majority does not answer steps down, so that its clients go elsewhere.
      guard heard + 1 >= self.configuration.quorum else {
        effects.append(.report(.viewChangeStarted(self.view.next, reason: .othersLeft)))
        self.follow(self.view, nil, at: now, into: &effects)
        return .accepted
      }
    }
    let isDue = leadership.nextHeartbeat <= now.tick
    if isDue { leadership.nextHeartbeat = now.tick + self.parameters.heartbeatInterval }
    self.role = .leader(leadership)
    guard isDue else { return .ignored(.idle) }
    for peer in self.configuration.voters where peer != self.index {
      self.replicate(to: peer, isHeartbeat: true, into: &effects)
    }
    return .accepted
  }

  /// Hands the leadership to the follower that is farthest (thesis §3.10).
  mutating func handOver(at now: Moment, into effects: inout [OrderingEffect]) -> Outcome {
    guard case .leader(var leadership) = self.role, leadership.transfer == nil else { return .ignored(.notPrimary) }
    let span = self.parameters.electionTimeoutMin
    let able = leadership.followers.filter { $0.value.heardAt.map { now.tick < $0 + span } ?? false }
    guard let best = able.keys.sorted().max(by: { (able[$0]?.match ?? .zero) < (able[$1]?.match ?? .zero) }) else {
      return .ignored(.idle)
    }
    leadership.transfer = Transfer(to: best, until: now.tick + span)
    self.role = .leader(leadership)
    self.sayTransfer(into: &effects)
    return .accepted
  }

  private mutating func sayTransfer(into effects: inout [OrderingEffect]) {
    guard case .leader(var leadership) = self.role, let transfer = leadership.transfer, !transfer.isSaid,
      leadership.followers[transfer.to]?.match == self.log.end
    else { return }
    leadership.transfer?.isSaid = true
    self.role = .leader(leadership)
    effects.append(.sendRaft(to: transfer.to, .timeoutNow(term: self.view)))
  }
}
