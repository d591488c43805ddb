public import Messages
import Ordering
import Primitives
import Signing

/// Status exchange, timers and restart: nothing is lost for good (LEDGER §3; Castro's thesis, §5.2).
extension Replica {
  /// Where this replica stands.
  public var status: Status {
    var held = ReplicaSet()
    let asked = self.phase == .active ? self.view.next : self.view
    for (signer, signed) in self.viewChanges where signed.content.view == asked { held.insert(signer) }
    let slots = self.slots.keys.sorted().prefix(Status.slotsMax).map { sequence in
      let slot = self.slots[sequence] ?? Slot()
      var (prepares, commits) = (ReplicaSet(), ReplicaSet())
      for signer in slot.prepares.keys { prepares.insert(signer) }
      for signer in slot.commits.keys { commits.insert(signer) }
      return SlotStatus(
        sequence: sequence, hasPrePrepare: slot.prePrepare != nil || planted(.proposalDropped), prepares: prepares,
        commits: commits)
    }
    return Status(
      configuration: self.configuration.number, view: self.view, isChanging: self.phase != .active,
      viewChanges: held, decided: self.decided, slots: slots)
  }

  /// Sends a member what it lacks, point to point (⚑): decisions, the view, then votes.
  mutating func answer(
    _ status: Status, from peer: ReplicaIndex, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    guard peer != self.index else { return .rejected(.malformed) }
    self.heardDecided[peer] = status.decided
    guard status.configuration == self.configuration.number else {
      // Whoever is further has what is left of this one.
      guard status.configuration > self.configuration.number else { return .ignored(.otherConfiguration) }
      self.askForDecisions(at: now, into: &effects)
      return .accepted
    }
    self.noteView(status, of: peer, at: now, into: &effects)
    if planted(.statusUnanswered) { return .accepted }
    if status.decided > self.decided { self.askForDecisions(at: now, into: &effects) }
    self.askToFollow(status, peer, into: &effects)
    guard self.answers(status.decided, of: peer) else { return .accepted }
    if status.decided < self.decided, !planted(.decisionsNotAsked) {
      let last = min(self.decided.number, status.decided.number + self.parameters.decisionsPerAnswerMax)
      effects.append(
        .sendDecisions(to: peer, from: status.decided.next, through: SequenceNumber(last)))
    }
    self.answerView(status, to: peer, into: &effects)
    guard status.view == self.view, !status.isChanging, self.phase == .active else { return .accepted }
    for sequence in self.slots.keys.sorted() where sequence > status.decided {
      let held = status.slots.first { $0.sequence == sequence }
      self.answerSlot(sequence, held, to: peer, into: &effects)
    }
    return .accepted
  }

  /// ⚑ A member that waits alone shows its own ViewChange to each member that has not got it: without it no word of its
  /// status is believed.
  private func askToFollow(_ status: Status, _ peer: ReplicaIndex, into effects: inout [OrderingEffect]) {
    guard self.phase != .active, status.view < self.view, !status.isChanging,
      let own = self.viewChanges[self.index], own.content.view == self.view
    else { return }
    let hasIt = status.view.next == self.view && status.viewChanges.contains(self.index)
    if !hasIt { effects.append(.send(to: peer, .viewChange(own))) }
  }

  private func answerView(_ status: Status, to peer: ReplicaIndex, into effects: inout [OrderingEffect]) {
    let lacksView = status.view < self.view || (status.view == self.view && status.isChanging)
    if let newView = self.newView, newView.content.view == self.view, self.phase == .active, lacksView {
      effects.append(.send(to: peer, .newView(newView)))
    }
    guard self.phase != .active, status.view <= self.view else { return }
    for signer in self.viewChanges.keys.sorted() {
      guard let signed = self.viewChanges[signer], signed.content.view >= self.view else { continue }
      let asked = status.isChanging ? status.view : status.view.next
      if asked == self.view, status.viewChanges.contains(signer) { continue }
      // Its own went before these.
      if signer == self.index, status.view < self.view, !status.isChanging { continue }
      effects.append(.send(to: peer, .viewChange(signed)))
    }
  }

  private func answerSlot(
    _ sequence: SequenceNumber, _ held: SlotStatus?, to peer: ReplicaIndex, into effects: inout [OrderingEffect]
  ) {
    guard let slot = self.slots[sequence] else { return }
    if let decision = slot.decision {
      effects.append(.send(to: peer, .decision(decision)))
      return
    }
    if let signed = slot.prePrepare, held?.hasPrePrepare != true {
      effects.append(.send(to: peer, .prePrepare(signed)))
    }
    for signer in slot.prepares.keys.sorted() where held?.prepares.contains(signer) != true {
      guard let vote = slot.prepares[signer] else { continue }
      let content = Prepare(self.ballot(sequence, vote.digest))
      effects.append(
        .send(to: peer, .prepare(Signed(content: content, signer: signer, signature: vote.signature))))
    }
    for signer in slot.commits.keys.sorted() where held?.commits.contains(signer) != true {
      guard let vote = slot.commits[signer] else { continue }
      let content = Commit(self.ballot(sequence, vote.digest))
      effects.append(
        .send(to: peer, .commit(Signed(content: content, signer: signer, signature: vote.signature))))
    }
  }

  private func ballot(_ sequence: SequenceNumber, _ digest: Digest) -> Ballot {
    Ballot(
      configuration: self.configuration.number, view: self.view, sequence: sequence, digest: digest)
  }

  /// Tells a member that is well ahead where this one stands, so that it sends decisions; each in turn, and again
  /// before there is progress only after a while.
  mutating func askForDecisions(at now: Moment, into effects: inout [OrderingEffect]) {
    if let asked = self.askedDecisionsAt, now.tick < asked + Span.milliseconds(50) { return }
    // Within the pipeline the votes themselves are on their way.
    let near = self.last.map { $0 > self.decided } ?? false ? 0 : self.limits.pipelineMax
    let ahead = self.heardDecided.filter { $0.value.number > self.decided.number + near }
    var peers = ahead.keys.sorted()
    let chosen = peers.filter { self.rank(of: $0, for: self.index, at: self.decided) < self.parameters.answerersMax }
    if !chosen.isEmpty { peers = chosen }
    guard !peers.isEmpty, !planted(.decisionsNotAsked) else { return }
    self.askedDecisionsAt = now.tick
    self.askTurn += 1
    effects.append(.sendStatus(to: peers[self.askTurn % peers.count], self.status))
  }

  mutating func fireTimers(at now: Moment, into effects: inout [OrderingEffect]) -> Outcome {
    var fired = false
    if now.tick >= self.nextStatus {
      self.nextStatus = now.tick + self.parameters.statusInterval
      effects.append(.sendStatus(to: nil, self.status))
      // ⚑ It re-sends its view change until Q members are heard.
      if case .changing(timer: nil) = self.phase { self.repeatViewChange(into: &effects) }
      fired = true
    }
    switch self.phase {
    case .changing(let timer?) where now.tick >= timer:
      self.leave(to: self.view.next, reason: .newViewLate, at: now, into: &effects)
      return .accepted
    case .active:
      if let since = self.progressSince, now.tick >= since + self.viewTimeout {
        self.leave(to: self.view.next, reason: .noProgress, at: now, into: &effects)
        return .accepted
      }
      if self.isLaneLate(at: now.tick) {
        self.leave(to: self.view.next, reason: .laneOmitted, at: now, into: &effects)
        return .accepted
      }
    case .changing: break
    }
    return fired ? .accepted : .ignored(.idle)
  }

  /// Takes up what was stored. Votes need not be: they follow from the proposals and certificates that are.
  mutating func restoreSlots(_ state: OrderingState) {
    for decision in state.recentDecisions { self.recentCuts[decision.sequence] = decision.cut }
    if let last = state.lastDecision { self.recentCuts[last.sequence] = last.cut }
    for decision in state.laterDecisions where decision.sequence > self.decided {
      self.slots[decision.sequence, default: Slot()].decision = decision
    }
    for certificate in state.prepared where certificate.sequence > self.decided {
      self.slots[certificate.sequence, default: Slot()].prepared = certificate
    }
    guard !state.isChanging else { return }
    for signed in state.newView?.content.prePrepares ?? []
    where signed.content.view == self.view && signed.content.sequence > self.decided {
      self.proposed = max(self.proposed, signed.content.sequence)
      guard signed.content.sequence <= self.windowEnd else { continue }
      self.slots[signed.content.sequence, default: Slot()].stage = .waiting(signed, .justified)
    }
    for signed in state.prePrepares
    where signed.content.view == self.view && signed.content.sequence > self.decided {
      // It was judged before it was stored, and must be voted for again, never for another (I3).
      self.slots[signed.content.sequence, default: Slot()].stage = .waiting(signed, .justified)
      self.proposed = max(self.proposed, signed.content.sequence)
    }
  }
}

extension Replica {
  /// What must hold between steps and does not (I3, I4, I9), in words; for the simulator and tests.
  public var invariantBreach: String? {
    for (sequence, slot) in self.slots {
      if sequence <= self.decided { return "I4: a slot for \(sequence), decided \(self.decided)" }
      if sequence > self.windowEnd { return "I9: slot \(sequence) beyond \(self.windowEnd)" }
      if let prepared = slot.prepared, prepared.view > self.view {
        return "a certificate of view \(prepared.view) in \(self.view)"
      }
    }
    return self.executed > self.decided ? "executed \(self.executed), decided \(self.decided)" : nil
  }
}
