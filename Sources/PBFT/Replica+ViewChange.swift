import Messages
import Ordering
import Primitives
import Signing

/// View changes (LEDGER §3; Castro & Liskov 1999, §4.4 and §4.5.2).
extension Replica {
  /// Leaves for `target`: from the moment that the view is written, nothing of a lower one is sent (⚑).
  mutating func leave(
    to target: View, reason: ViewChangeReason, at now: Moment, into effects: inout [OrderingEffect]
  ) {
    precondition(target > self.view || self.phase != .active, "view \(target) after \(self.view)")
    self.view = target
    self.phase = .changing(timer: nil)
    self.pendingNewView = nil
    self.hasCastNewView = false
    self.ownProposals = [:]
    self.progressSince = nil
    (self.aloneSince, self.askedAt, self.wentOn) = ([:], now.tick, ReplicaSet())
    self.forgetDues()
    for sequence in self.slots.keys.sorted() where !planted(.voteAfterLeaving) { self.slots[sequence]?.leaveView() }
    if !planted(.viewNotDurable) {
      effects.append(.persist(.view(self.configuration.number, target, isChanging: true)))
    }
    effects.append(.cast(.viewChange(self.ownViewChange)))
    effects.append(.report(.viewChangeStarted(target, reason: reason)))
  }

  /// What this replica knows: its last decision and, above it, the prepared certificates of the highest views.
  private var ownViewChange: ViewChange {
    ViewChange(
      configuration: self.configuration.number, view: self.view, base: self.ownDecision,
      prepared: self.slots.keys.sorted().compactMap { planted(.viewChangeForgets) ? nil : self.slots[$0]?.prepared })
  }

  /// Asks again for the view it waits for; after a restart, or when nothing was heard.
  mutating func repeatViewChange(into effects: inout [OrderingEffect]) {
    effects.append(.cast(.viewChange(self.ownViewChange)))
  }

  mutating func takeViewChange(
    _ signed: Signed<ViewChange>, at now: Moment, into effects: inout [OrderingEffect]
  ) -> Outcome {
    let target = signed.content.view
    let isWaiting = self.phase != .active
    guard target > self.view || (isWaiting && target == self.view) else { return .ignored(.staleView) }
    if let held = self.viewChanges[signed.signer], held.content.view >= target {
      return .ignored(.duplicate)
    }
    self.viewChanges[signed.signer] = signed
    self.joinOthers(after: signed, at: now, into: &effects)
    self.startNewViewTimer(at: now)
    return .accepted
  }

  /// f + 1 others ask for higher views: one of them is correct. The primary may end its own view.
  private mutating func joinOthers(
    after signed: Signed<ViewChange>, at now: Moment, into effects: inout [OrderingEffect]
  ) {
    let higher = self.viewChanges.keys.sorted().compactMap { signer -> View? in
      guard let view = self.viewChanges[signer]?.content.view, view > self.view else { return nil }
      return view
    }
    let primaryLeft =
      signed.signer == self.leader && signed.content.view == self.view.next
    guard let smallest = higher.min(), higher.count > self.configuration.faultyMax || primaryLeft else {
      return
    }
    if primaryLeft { self.noteReturns(at: now.tick) }
    self.leave(to: primaryLeft ? self.view.next : smallest, reason: .othersLeft, at: now, into: &effects)
  }

  /// ⚑ The doubled timer starts only when Q view changes for this view or a higher one are held.
  private mutating func startNewViewTimer(at now: Moment) {
    guard case .changing(timer: nil) = self.phase else { return }
    let count = self.viewChanges.values.count { $0.content.view >= self.view }
    guard count >= self.configuration.quorum || planted(.runawayView) else { return }
    self.fruitlessViews += 1
    self.phase = .changing(timer: now.tick + self.viewTimeout)
  }

  private var quorumForView: [Signed<ViewChange>]? {
    let matching = self.viewChanges.keys.sorted().compactMap { signer -> Signed<ViewChange>? in
      guard let held = self.viewChanges[signer], held.content.view == self.view else { return nil }
      return held
    }
    let needed = planted(.newViewFromFew) ? self.configuration.faultyMax + 1 : self.configuration.quorum
    guard matching.count >= needed else { return nil }
    return Array(matching.prefix(needed))
  }

  enum Reproposal: Equatable {
    case ready(base: Decision?, cuts: [Cut])
    case missing(lane: Int, LaneHead)
  }

  /// ⚑ What the view changes oblige the new primary to propose: from the highest decision upward, for each number
  /// the prepared cut of the highest view where it extends the cut before it, otherwise a null cut.
  func reproposal(from viewChanges: [Signed<ViewChange>], lanes: some LaneReader) -> Reproposal {
    var base: Decision?
    var candidates: [SequenceNumber: PreparedCertificate] = [:]
    for signed in viewChanges {
      if let decision = signed.content.base, decision.sequence > base?.sequence ?? .zero { base = decision }
      for certificate in signed.content.prepared
      where certificate.view >= candidates[certificate.sequence]?.view ?? View(0) {
        candidates[certificate.sequence] = certificate
      }
    }
    let start = base?.sequence ?? self.configuration.start.previous
    var previous = base?.cut ?? self.startCut
    var cuts: [Cut] = []
    if planted(.forgottenReproposal) { candidates = [:] }
    guard let last = candidates.keys.max(), last > start else { return .ready(base: base, cuts: []) }
    for sequence in start.next...last {
      if let decided = self.recentCuts[sequence], sequence <= self.decided {
        // I1: what was decided here is what the rule yields; its blocks may have left memory.
        previous = decided
      } else if let candidate = candidates[sequence]?.cut {
        switch self.judge(candidate, after: previous, justified: true, lanes: lanes) {
        case .extends: previous = candidate
        case .missing(let lane, let head): return .missing(lane: lane, head)
        case .refused: break
        }
      }
      cuts.append(previous)
    }
    return .ready(base: base, cuts: cuts)
  }

  /// Goes on with what waited for blocks: a NewView to judge, or one to make.
  mutating func retryNewView(
    at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) {
    if let pending = self.pendingNewView {
      _ = self.judgeNewView(pending, at: now, lanes: lanes, into: &effects)
      return
    }
    guard case .changing = self.phase, self.isPrimary, self.newView?.content.view != self.view,
      !self.hasCastNewView, let quorum = self.quorumForView
    else { return }
    switch self.reproposal(from: quorum, lanes: lanes) {
    case .missing(let lane, let head): effects.append(.fetch(lane: lane, head))
    case .ready(let base, let cuts):
      let start = base?.sequence ?? self.configuration.start.previous
      let prePrepares = cuts.enumerated().map { offset, cut in
        PrePrepare(
          configuration: self.configuration.number, view: self.view,
          sequence: SequenceNumber(start.number + 1 + UInt64(offset)), cut: cut)
      }
      self.hasCastNewView = true
      effects.append(
        .cast(.newView(view: self.view, viewChanges: quorum, prePrepares: prePrepares)))
    }
  }

  mutating func takeNewView(
    _ signed: Signed<NewView>, at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) -> Outcome {
    let content = signed.content
    guard signed.signer == self.configuration.primary(of: content.view) else {
      return .rejected(.notPrimary)
    }
    if let held = self.newView, held.content.view == content.view {
      guard held.content.prePrepares != content.prePrepares else { return .ignored(.duplicate) }
      self.accuse(.newViews(held, signed), what: "new view", into: &effects)
      return .rejected(.equivocation)
    }
    let isOpen = self.phase == .active
    guard content.view > self.view || (content.view == self.view && !isOpen) else {
      return .ignored(.staleView)
    }
    return self.judgeNewView(signed, at: now, lanes: lanes, into: &effects)
  }

  /// Recomputes what the new primary had to propose and refuses anything else (⚑).
  private mutating func judgeNewView(
    _ signed: Signed<NewView>, at now: Moment, lanes: some LaneReader, into effects: inout [OrderingEffect]
  ) -> Outcome {
    self.pendingNewView = nil
    switch self.reproposal(from: signed.content.viewChanges, lanes: lanes) {
    case .missing(let lane, let head):
      self.pendingNewView = signed
      effects.append(.fetch(lane: lane, head))
      return .accepted
    case .ready(let base, let cuts):
      let start = base?.sequence ?? self.configuration.start.previous
      let stated = signed.content.prePrepares
      let follows =
        stated.count == cuts.count
        && zip(stated, cuts).enumerated().allSatisfy { offset, pair in
          pair.0.content.sequence.number == start.number + 1 + UInt64(offset) && pair.0.content.cut == pair.1
        }
      guard follows || planted(.newViewUnjudged) else { return .rejected(.badNewView) }
      let contradicted = stated.contains { prePrepare in
        prePrepare.content.sequence == self.decided && prePrepare.content.cut != self.decidedCut
      }
      guard !contradicted else { return .rejected(.contradictsDecision) }
      self.enter(signed, base: base, at: now, into: &effects)
      return .accepted
    }
  }

  private mutating func enter(
    _ signed: Signed<NewView>, base: Decision?, at now: Moment, into effects: inout [OrderingEffect]
  ) {
    let content = signed.content
    if content.view > self.view {
      for sequence in self.slots.keys.sorted() { self.slots[sequence]?.leaveView() }
      self.ownProposals = [:]
    }
    self.view = content.view
    self.phase = .active
    self.newView = signed
    self.hasCastNewView = false
    self.viewChanges = self.viewChanges.filter { $0.value.content.view > content.view }
    if !planted(.newViewNotDurable) {
      effects.append(.persist(.newView(signed)))
      effects.append(.persist(.view(self.configuration.number, content.view, isChanging: false)))
    }
    if let base, base.sequence > self.decided, base.sequence <= self.windowEnd {
      var slot = self.slots[base.sequence] ?? Slot()
      if slot.decision == nil { effects.append(.persist(.decision(base))) }
      slot.decision = base
      self.slots[base.sequence] = slot
    }
    self.proposed = max(self.decided, base?.sequence ?? .zero)
    for prePrepare in content.prePrepares {
      self.proposed = max(self.proposed, prePrepare.content.sequence)
      // I9: what is beyond the window comes again as a decision, or by status.
      guard prePrepare.content.sequence > self.decided,
        prePrepare.content.sequence <= self.windowEnd || planted(.newViewBeyondWindow),
        !planted(.oldTimeRefused) || self.timeliness(of: prePrepare.content, at: now) != nil
      else { continue }
      var slot = self.slots[prePrepare.content.sequence] ?? Slot()
      slot.stage = .waiting(prePrepare, .justified)
      self.slots[prePrepare.content.sequence] = slot
    }
    self.progressSince = nil
    (self.aloneSince, self.enteredAt, self.askedAt) = ([:], now.tick, nil)
    self.forgetDues()
    effects.append(.report(.viewEntered(content.view)))
    effects.append(.sendStatus(to: nil, self.status))
    if let base, base.sequence > self.decided.next { self.askForDecisions(at: now, into: &effects) }
  }
}
