import Messages
import Ordering
import Primitives
import Signing

/// The normal case: proposals, prepares, commits, decisions (LEDGER §3; Castro & Liskov 1999, §4.2).
extension Replica {
  mutating func take(
    _ message: OrderingMessage, at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) -> Outcome {
    guard message.configuration == self.configuration.number else { return .ignored(.otherConfiguration) }
    return switch message {
    case .prePrepare(let signed): self.takePrePrepare(signed, at: now, into: &effects)
    case .prepare(let signed):
      self.takeVote(
        .prepare, signed.content.ballot, signed.signer, signed.signature, of: \.prepares, at: now, into: &effects)
    case .commit(let signed):
      self.takeVote(
        .commit, signed.content.ballot, signed.signer, signed.signature, of: \.commits, at: now, into: &effects)
    case .viewChange(let signed): self.takeViewChange(signed, at: now, into: &effects)
    case .newView(let signed): self.takeNewView(signed, at: now, lanes: lanes, into: &effects)
    case .decision(let decision): self.takeDecision(decision, at: now, into: &effects)
    }
  }

  /// Whether a message for (view, sequence) can count now.
  private func relevance(_ view: View, _ sequence: SequenceNumber) -> Reason? {
    if sequence <= self.decided { return .settled }
    if view < self.view, !(planted(.voteAfterLeaving) && view.next == self.view) { return .staleView }
    if planted(.voteAfterLeaving), self.phase != .active, view.next == self.view { return nil }
    if view > self.view || self.phase != .active { return .futureView }
    if sequence > self.windowEnd || !self.isOpen(sequence) { return .beyondWindow }
    return nil
  }

  private mutating func takePrePrepare(
    _ signed: Signed<PrePrepare>, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    let proposal = signed.content
    guard signed.signer == self.configuration.primary(of: proposal.view) else {
      return .rejected(.notPrimary)
    }
    guard proposal.cut.heads.count == self.configuration.laneCount else { return .rejected(.malformed) }
    if let reason = self.relevance(proposal.view, proposal.sequence) { return .ignored(reason) }
    var slot = self.slots[proposal.sequence] ?? Slot()
    if let earlier = slot.prePrepare {
      guard earlier.content != proposal else { return .ignored(.duplicate) }
      self.accuse(.prePrepares(earlier, signed), what: "pre-prepare", into: &effects)
      guard planted(.secondProposalTaken) else { return .rejected(.equivocation) }
    }
    guard let basis = self.timeliness(of: proposal, at: now) else {
      self.reportClock(of: signed.signer, proposal.cut.time, at: now, into: &effects)
      return .ignored(.badTime)
    }
    slot.stage = .waiting(signed, basis)
    self.slots[proposal.sequence] = slot
    return .accepted
  }

  /// ⚑ A fresh cut's time is judged by this clock once, when it first arrives: within the drift, or, where the ledger
  /// itself is ahead of this clock, a millisecond after the cut before it. Anything more would let a primary run the
  /// ledger's time away from all clocks, anything earlier would let it hold the time back. Nil for neither.
  func timeliness(of proposal: PrePrepare, at now: Moment) -> Slot.Basis? {
    let (time, drift) = (proposal.cut.time, self.limits.clockDriftMilliseconds)
    let (low, high) = (min(time, now.wall), max(time, now.wall))
    if high.milliseconds - low.milliseconds <= drift { return .timely }
    if planted(.timeRunsAhead), time <= self.decidedCut.time.adding(milliseconds: drift) {
      return .timely
    }
    guard time > now.wall else { return nil }
    let before = proposal.sequence == self.decided.next ? self.decidedCut : self.cut(at: proposal.sequence.previous)
    // Where the cut before it is not here yet, it is compared when it is.
    return before.map { time == $0.time.adding(milliseconds: 1) } ?? true ? .ahead : nil
  }

  /// The cut that is proposed or decided at an open sequence number, as far as it is here.
  private func cut(at sequence: SequenceNumber) -> Cut? {
    guard let slot = self.slots[sequence] else { return nil }
    return slot.decision?.cut ?? slot.prePrepare?.content.cut
  }

  /// Tells the operator, once in a view, that a cut is ahead of this clock. One that is behind tells nothing of clocks:
  /// it may have been long on its way.
  private mutating func reportClock(
    of primary: ReplicaIndex, _ time: Timestamp, at now: Moment, into effects: inout [OrderingEffect]
  ) {
    guard self.clockReportedIn != self.view, time > now.wall else { return }
    self.clockReportedIn = self.view
    effects.append(.report(.clockRefused(primary, aheadMilliseconds: time.offset(from: now.wall))))
  }

  private mutating func takeVote(
    _ kind: VoteEvidence.Kind, _ ballot: Ballot, _ signer: ReplicaIndex, _ signature: Signature,
    of votes: WritableKeyPath<Slot, [ReplicaIndex: Slot.Vote]>, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    if let reason = self.relevance(ballot.view, ballot.sequence) { return .ignored(reason) }
    let vote = Slot.Vote(digest: ballot.digest, signature: signature)
    if let earlier = self.slots[ballot.sequence]?[keyPath: votes][signer] {
      guard earlier.digest != ballot.digest else { return .ignored(.duplicate) }
      self.accuse(
        self.evidence(kind, ballot, vote, against: earlier, by: signer), what: "vote", into: &effects)
      return .rejected(.equivocation)
    }
    // In place: a copy of the slot would copy its votes.
    self.slots[ballot.sequence, default: Slot()][keyPath: votes][signer] = vote
    if !self.returned.isEmpty { self.noteVoted(signer, at: now.tick) }
    return .accepted
  }

  /// Whether a message changes nothing but a count of votes that is not reached yet, or was: most votes do.
  func isMereCount(_ message: OrderingMessage, at now: Moment) -> Bool {
    // A deadline of the state that is due is looked at whatever comes.
    guard self.phase == .active, now.wall < self.stateDeadline, !planted(.voteAfterLeaving) else { return false }
    switch message {
    case .prepare(let signed):
      guard let slot = self.slots[signed.content.ballot.sequence] else { return true }
      return slot.prepares.count + 1 < self.configuration.quorum || slot.prepared?.view == self.view
    case .commit(let signed):
      guard let slot = self.slots[signed.content.ballot.sequence] else { return true }
      return slot.commits.count < self.configuration.quorum
    case .prePrepare, .viewChange, .newView, .decision: return false
    }
  }

  private mutating func takeDecision(
    _ decision: Decision, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    guard decision.sequence > self.decided else { return .ignored(.settled) }
    guard decision.sequence <= self.windowEnd, self.isOpen(decision.sequence) else { return .ignored(.beyondWindow) }
    var slot = self.slots[decision.sequence] ?? Slot()
    guard slot.decision == nil else { return .ignored(.duplicate) }
    slot.decision = decision
    self.slots[decision.sequence] = slot
    effects.append(.persist(.decision(decision)))
    return .accepted
  }

  /// Does everything that has become possible, upwards from the last decision.
  mutating func advance(
    at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) {
    self.retryNewView(at: now, lanes: lanes, into: &effects)
    var progressed = true
    while progressed {
      progressed = false
      if self.phase == .active { self.accept(lanes: lanes, into: &effects) }
      self.certify(into: &effects)
      while let decision = self.slots[self.decided.next]?.decision {
        self.deliver(decision, at: now, into: &effects)
        progressed = true
      }
    }
    self.propose(at: now, lanes: lanes, into: &effects)
    self.watchProgress(at: now, lanes: lanes)
  }

  /// ⚑ In order, and what is not yet true waits in its slot.
  private mutating func accept(lanes: some LaneReader, into effects: inout [OrderingEffect]) {
    var previous = self.decidedCut
    var sequence = self.decided.next
    while sequence.number <= self.executed.number + self.limits.pipelineMax, self.isOpen(sequence),
      var slot = self.slots[sequence]
    {
      if let decision = slot.decision {
        previous = decision.cut
        sequence = sequence.next
        continue
      }
      switch slot.stage {
      case .empty:
        guard planted(.outOfOrder) else { return }
      case .accepted(let signed): previous = signed.content.cut
      case .waiting(let signed, let basis):
        // What a quorum prepared was judged by f + 1 correct replicas already; only a fresh cut is judged as such.
        guard basis == .justified || self.mayFollow(signed.content.cut, previous, at: sequence, basis) else { return }
        let justified = basis == .justified
        switch self.judge(signed.content.cut, after: previous, justified: justified, lanes: lanes) {
        case .missing(let lane, let head):
          effects.append(.fetch(lane: lane, head))
          if planted(.proposalDropped) {
            slot.stage = .empty
            self.slots[sequence] = slot
          }
          return
        case .refused: return
        case .extends:
          slot.stage = .accepted(signed)
          if signed.signer != self.index || justified, !planted(.proposalNotDurable) {
            effects.append(.persist(.prePrepare(signed)))
          }
          if signed.signer != self.index {
            slot.hasCastPrepare = true
            effects.append(.cast(.prepare(Prepare(signed.content.ballot))))
          }
          self.slots[sequence] = slot
          previous = signed.content.cut
        }
      }
      sequence = sequence.next
    }
  }

  enum Judgement {
    case extends
    case missing(lane: Int, LaneHead)
    case refused
  }

  /// ⚑ What is asked of a fresh cut besides: no frozen lane grows; it grows a lane, or a deadline of the state is due;
  /// and ahead of the clock it is the last decided cut's time and a millisecond, so that the ledger's time gains no
  /// more than that in a round of votes, however many are open. What cannot be told yet waits.
  private func mayFollow(_ cut: Cut, _ previous: Cut, at sequence: SequenceNumber, _ basis: Slot.Basis) -> Bool {
    if self.growsFrozenLane(cut, after: previous, at: sequence) { return false }
    if basis == .ahead {
      guard sequence == self.decided.next, cut.time == previous.time.adding(milliseconds: 1) else { return false }
    }
    guard cut.heads == previous.heads, !planted(.idleCutTaken) else { return true }
    // The deadline is that of the state right before this cut.
    return self.executed == sequence.previous && self.stateDeadline <= cut.time && cut.time > previous.time
  }

  /// ⚑ Whether a cut at `sequence` grows a lane whose fork is on the ledger: invalid from e + pipelineMax on.
  private func growsFrozenLane(_ cut: Cut, after previous: Cut, at sequence: SequenceNumber) -> Bool {
    !planted(.frozenLaneGrows)
      && self.frozenFrom.contains { lane, from in sequence >= from && cut.heads[lane] != previous.heads[lane] }
  }

  /// Whether `cut` may follow `previous`: lane by lane along parent digests, in time, and (fresh) in size.
  func judge(_ cut: Cut, after previous: Cut, justified: Bool, lanes: some LaneReader) -> Judgement {
    if cut == previous { return .extends }
    guard cut.time > previous.time else { return .refused }
    var (transactions, bytes): (UInt64, UInt64) = (0, 0)
    var missing: Judgement?
    for lane in 0..<self.configuration.laneCount {
      // ⚑ Each block holds a transaction: a fresh cut that goes further is absurd, whatever it names (LEDGER §11.3).
      let farthest = previous.heads[lane].position.number + self.limits.cutTransactionsMax
      let isNear = cut.heads[lane].position.number <= farthest || planted(.cutUnbounded)
      guard justified || isNear || planted(.wishesByPosition) else { return .refused }
      switch lanes.extent(lane: lane, from: previous.heads[lane], to: cut.heads[lane]) {
      case .contradicts: return .refused
      case .missing: missing = missing ?? .missing(lane: lane, cut.heads[lane])
      case .extends(let count, let size):
        transactions += count
        bytes += size
      }
    }
    if let missing { return missing }
    if planted(.outOfOrder) { return .extends }
    let fits = transactions <= self.limits.cutTransactionsMax && bytes <= self.limits.cutBytesMax
    return justified || fits || planted(.cutUnbounded) ? .extends : .refused
  }

  /// Prepared and committed certificates. ⚑ A commit leaves only when every open number below is prepared too.
  private mutating func certify(into effects: inout [OrderingEffect]) {
    var allPrepared = self.phase == .active || planted(.voteAfterLeaving)
    var sequence = self.decided.next
    while sequence <= self.windowEnd {
      defer { sequence = sequence.next }
      guard var slot = self.slots[sequence] else {
        allPrepared = false
        continue
      }
      if slot.decision != nil { continue }
      if case .accepted(let signed) = slot.stage {
        let view = planted(.voteAfterLeaving) ? signed.content.view : self.view
        if slot.prepared?.view != view, let certificate = self.prepared(signed, slot) {
          slot.prepared = certificate
          if !planted(.certificateNotDurable) { effects.append(.persist(.prepared(certificate))) }
        }
        allPrepared = allPrepared && slot.prepared?.view == view
        let isNext = allPrepared || (planted(.commitBeforePredecessor) && slot.prepared?.view == self.view)
        if isNext, !slot.hasCastCommit {
          slot.hasCastCommit = true
          effects.append(.cast(.commit(Commit(signed.content.ballot))))
        }
      } else {
        allPrepared = false
      }
      if let decision = self.committed(sequence, slot) {
        slot.decision = decision
        effects.append(.persist(.decision(decision)))
      }
      self.slots[sequence] = slot
    }
  }

  private func prepared(_ signed: Signed<PrePrepare>, _ slot: Slot) -> PreparedCertificate? {
    guard slot.prepares.count + 1 >= self.configuration.quorum else { return nil }
    let digest = signed.content.cut.digest
    let prepares = Self.votes(slot.prepares, for: digest, except: signed.signer)
    guard prepares.count >= self.configuration.quorum - 1 else { return nil }
    return PreparedCertificate(
      prePrepare: signed, prepares: Array(prepares.prefix(self.configuration.quorum - 1)))
  }

  private func committed(_ sequence: SequenceNumber, _ slot: Slot) -> Decision? {
    guard slot.commits.count >= self.configuration.quorum, let signed = slot.prePrepare else { return nil }
    let cut = signed.content.cut
    let commits = Self.votes(slot.commits, for: cut.digest, except: nil)
    guard commits.count >= self.configuration.quorum else { return nil }
    return Decision(
      configuration: self.configuration.number, view: self.view, sequence: sequence, cut: cut,
      evidence: .commits(Array(commits.prefix(self.configuration.quorum))))
  }

  private static func votes(
    _ votes: [ReplicaIndex: Slot.Vote], for digest: Digest, except: ReplicaIndex?
  ) -> [VoteSignature] {
    votes.keys.sorted().compactMap { signer in
      guard signer != except, let vote = votes[signer], vote.digest == digest || planted(.votesForAnyDigest)
      else { return nil }
      return VoteSignature(signer: signer, signature: vote.signature)
    }
  }

  private mutating func deliver(_ decision: Decision, at now: Moment, into effects: inout [OrderingEffect]) {
    precondition(decision.sequence == self.decided.next, "I4: \(decision.sequence) after \(self.decided)")
    let isNull = decision.cut == self.decidedCut
    self.slots[decision.sequence] = nil
    self.ownProposals[decision.sequence] = nil
    self.lastDecision = decision
    self.recentCuts[decision.sequence] = decision.cut
    if decision.sequence.number > 2 * self.limits.pipelineMax {
      self.recentCuts[SequenceNumber(decision.sequence.number - 2 * self.limits.pipelineMax)] = nil
    }
    self.proposed = max(self.proposed, decision.sequence)
    if !isNull {
      // ⚑ A null cut, as new views repeat, is no progress.
      self.progressSince = nil
      self.fruitlessViews = 0
    }
    self.askedDecisionsAt = nil
    effects.append(.deliver(decision))
  }

  /// The primary proposes what it holds beyond its last proposal (LEDGER §3).
  private mutating func propose(
    at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) {
    guard self.phase == .active, self.isPrimary else { return }
    while self.proposed.number < self.executed.number + self.limits.pipelineMax, self.isOpen(self.proposed.next) {
      guard let previous = self.lastProposedCut else { return }
      let open = self.proposed.number - self.decided.number
      // The deadline is that of the state after all that is decided, or the cut would come in vain.
      let isDue = self.stateDeadline <= now.wall && open == 0 && self.executed == self.decided
      let growth = CutGrowth(
        limits: self.limits, growthPerOpenCutMin: self.parameters.growthPerOpenCutMin,
        laneOpenBlocksMax: self.parameters.laneOpenBlocksMax)
      let next = growth.grow(
        previous, at: self.proposed.next, open: open, executed: self.executedCut, isDue: isDue,
        frozen: self.frozenFrom.keys, wall: now.wall, lanes: lanes)
      guard let cut = next else { return }
      self.proposed = self.proposed.next
      effects.append(
        .cast(
          .prePrepare(
            PrePrepare(
              configuration: self.configuration.number, view: self.view, sequence: self.proposed, cut: cut))))
      self.ownProposals[self.proposed] = cut
    }
  }

  /// The cut that was executed last, as far as it is remembered.
  private var executedCut: Cut {
    if self.executed == self.decided { return self.decidedCut }
    if self.executed < self.configuration.start { return self.startCut }
    return self.recentCuts[self.executed] ?? self.decidedCut
  }

  /// The cut after which the next proposal goes; nil where own proposals are not all known yet.
  private var lastProposedCut: Cut? {
    if self.proposed == self.decided { return self.decidedCut }
    if let own = self.ownProposals[self.proposed] { return own }
    guard let slot = self.slots[self.proposed] else { return nil }
    return slot.decision?.cut ?? slot.prePrepare?.content.cut
  }
}
