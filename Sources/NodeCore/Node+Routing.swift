internal import Custody
internal import Rules
internal import Gossip
internal import HealthRecords
internal import Lanes
internal import Ledger
internal import Messages
internal import Ordering
internal import Primitives
internal import Sessions
internal import Signing
internal import Wire

/// Each machine's effects, translated: what one machine wants of another happens in the same step.
extension Node {
  mutating func step(lanes input: Lanes.Input, _ run: inout NodeRun) -> Outcome {
    var effects: [Lanes.Effect] = []
    let outcome = self.lanes.step(input, at: run.now.tick, into: &effects)
    for effect in effects { self.route(effect, &run) }
    self.takePartIfHeard(&run)
    return outcome.map(Reason.lanes)
  }

  /// ⚑ A quorum said that it holds nothing of this member's lane: from now on it votes (LEDGER §11.14).
  private mutating func takePartIfHeard(_ run: inout NodeRun) {
    guard self.isHeldBack, !self.lanes.isUnheard else { return }
    self.isHeldBack = false
    for peer in self.peers { _ = self.step(replica: .connected(peer), &run) }
    _ = self.step(replica: .timerFired, &run)
  }

  /// ⚑ Has it stored that this key takes part, with the first write after that became known: a vote or a block that
  /// leaves waits for a write. Until then a restart makes it ask again, whatever it fetched meanwhile.
  mutating func keepWord(_ run: inout NodeRun) {
    guard !self.hasKeptWord, self.index != nil, !self.isHeldBack else { return }
    let first = run.effects.firstIndex { if case .persist = $0 { true } else { false } }
    guard let first else { return }
    run.effects.insert(.persist(.heard(self.key)), at: first)
    self.hasKeptWord = true
  }

  private mutating func route(_ effect: Lanes.Effect, _ run: inout NodeRun) {
    switch effect {
    case .seal(let header, let body): run.effects.append(.sign(.block(header, body: body)))
    case .persist(let block):
      run.effects.append(.persist(.block(block)))
      run.effects.append(.handBack(.block(block)))
    case .publish(let block): self.gossip(.blocks, block.digest, .block(block), &run)
    case .announce(let peer?, let heads): self.send(.announcements(self.configuration.number, heads), to: peer, &run)
    case .announce(nil, _):
      if self.announceAt == nil { self.announceAt = run.now.tick + self.parameters.announceInterval }
    case .request(let peer, let request): self.send(.blockRequest(request), to: peer, &run)
    case .serve(let peer, let request): run.effects.append(.serveBlocks(to: peer, request))
    case .advanced:
      _ = self.step(replica: .lanesAdvanced, &run)
      self.pumpExecution(&run)
    case .forked(let evidence): self.accuse(evidence, &run)
    case .copied(let position): run.effects.append(.report(.copied(position)))
    }
  }

  /// Tells all members what became durable since the last time.
  mutating func announce(_ run: inout NodeRun) {
    self.announceAt = nil
    let changed = self.lanes.announcements.filter { $0.head != self.announced[$0.lane] }
    guard !changed.isEmpty else { return }
    for announcement in changed { self.announced[announcement.lane] = announcement.head }
    for peer in self.peers { self.send(.announcements(self.configuration.number, changed), to: peer, &run) }
  }

  /// Spreads the evidence of a fork and asks the ledger to keep it.
  private mutating func accuse(_ evidence: ForkEvidence, _ run: inout NodeRun) {
    run.effects.append(.report(.laneForked(evidence.first.author, evidence.first.position)))
    let message = PeerMessage.evidence(evidence)
    self.gossip(.evidence, MessageChecker.identifier(message.encoded), message, &run)
    self.submitOwn(.forkEvidence, evidence.encoded, &run)
  }

  mutating func step(replica input: OrderingInput, _ run: inout NodeRun) -> Outcome {
    guard !self.isHeldBack, self.unknownRules == nil else { return .ignored(.replica(.idle)) }
    var effects: [OrderingEffect] = []
    let outcome = self.replica.step(input, at: run.now, lanes: self.lanes, into: &effects)
    for effect in effects { self.route(effect, &run) }
    return outcome.map(Reason.replica)
  }

  private mutating func route(_ effect: OrderingEffect, _ run: inout NodeRun) {
    switch effect {
    case .persist(let write): run.effects.append(.persist(.ordering(write)))
    case .cast(let ballot): run.effects.append(.sign(.ballot(ballot)))
    case .send(let peer, let message): self.send(.ordering(message, isGossip: false), to: peer, &run)
    case .sendRaft(let peer, let message): self.send(.raft(self.configuration.number, message), to: peer, &run)
    case .mark(let mark): run.effects.append(.handBack(.mark(mark)))
    case .sendStatus(let peer?, let status): self.send(.status(status), to: peer, &run)
    case .sendStatus(nil, let status):
      for peer in self.peers + self.sources.sorted() { self.send(.status(status), to: peer, &run) }
    case .sendDecisions(let peer, let from, let through):
      run.effects.append(.serveDecisions(to: peer, from: from, through: through))
    case .fetch(let lane, let head): _ = self.step(lanes: .wanted(lane: lane, head, for: .proposal), &run)
    case .deliver(let decision):
      self.decisions.append(decision)
      _ = self.step(lanes: .decided(decision.cut), &run)
      self.pumpExecution(&run)
    case .report(let event): run.effects.append(.report(.ordering(event)))
    }
  }

  mutating func step(gossip input: Gossip.Input, _ run: inout NodeRun) -> Outcome {
    var effects: [Gossip.Effect] = []
    let outcome = self.gossip.step(input, at: run.now.tick, into: &effects)
    for effect in effects {
      switch effect {
      case .send(let peer, let topic, let bytes): run.effects.append(.send(to: peer, topic.channel, bytes))
      case .control(let peer, let items): self.send(.control(items), to: peer, &run)
      case .unheard: if self.configuration.voterCount > 1 { run.effects.append(.report(.unheard)) }
      }
    }
    return outcome.map(Reason.gossip)
  }

  mutating func gossip(_ topic: Topic, _ identifier: Digest, _ message: PeerMessage, _ run: inout NodeRun) {
    _ = self.step(gossip: .publish(topic, identifier: identifier, message.encoded), &run)
  }

  mutating func step(checkpoints input: Checkpoints.Input, _ run: inout NodeRun) -> Outcome {
    var effects: [Checkpoints.Effect] = []
    let outcome = self.checkpoints.step(input, at: run.now.tick, into: &effects)
    for effect in effects {
      switch effect {
      case .cosign(let body):
        run.effects.append(.persist(.signedCheckpoint(body)))
        run.effects.append(.sign(.checkpoint(body)))
      case .spread(let cosignature):
        let message = PeerMessage.cosignature(cosignature)
        let identifier = MessageChecker.identifier(message.encoded)
        let reached = self.reached(by: .cosignature(cosignature))
        let input = Gossip.Input.validated(
          .checkpoints, identifier: identifier, message.encoded, from: cosignature.signer, linked: reached)
        _ = self.step(gossip: input, &run)
      case .again(let own):
        for peer in self.peers { self.send(.cosignature(own), to: peer, &run) }
      case .answer(let checkpoint, let peer):
        for cosignature in checkpoint.cosignatures { self.send(.cosignature(cosignature), to: peer, &run) }
      case .stable(let checkpoint):
        run.effects.append(.persist(.stableCheckpoint(checkpoint)))
        let body = checkpoint.body
        run.effects.append(.report(.checkpointStable(body.sequence, size: body.size)))
        self.openIfDue(&run)
      case .diverged(let signer, let sequence):
        run.effects.append(.report(.diverged(self.configuration.members[signer].id, sequence)))
      case .outvoted(let sequence): run.effects.append(.report(.outvoted(sequence)))
      }
    }
    return outcome.map(Reason.checkpoints)
  }

  /// What the driver signed: stored where it must be, sent once that is durable, and then counted here too (⚑).
  mutating func publish(_ item: OwnItem, _ run: inout NodeRun) -> Outcome {
    guard self.isCurrent(item) else {
      // It was asked for just before the configuration ended: what it holds is sealed again.
      guard case .block(let block) = item, self.index != nil else { return .ignored(.replica(.otherConfiguration)) }
      return self.step(lanes: .returned(block.transactionBytes), &run)
    }
    switch item {
    case .block(let block):
      if !planted(.blockNotDurable) { run.effects.append(.persist(.block(block))) }
      run.effects.append(.handBack(item))
      return self.step(lanes: .sealed(block), &run)
    case .cosignature(let cosignature):
      let message = PeerMessage.cosignature(cosignature)
      self.gossip(.checkpoints, MessageChecker.identifier(message.encoded), message, &run)
    case .offer(let offer):
      self.offer = offer
      return .accepted
    case .ordering(let content):
      switch content {
      case .prePrepare(let signed) where !planted(.proposalNotDurable):
        run.effects.append(.persist(.ordering(.prePrepare(signed))))
      case .newView(let signed) where !planted(.newViewNotDurable):
        run.effects.append(.persist(.ordering(.newView(signed))))
      case .prePrepare, .newView, .prepare, .commit, .viewChange, .decision: break
      }
      let message = PeerMessage.ordering(content, isGossip: true)
      self.gossip(.ordering, MessageChecker.identifier(message.encoded), message, &run)
    case .mark: break
    }
    run.effects.append(.handBack(item))
    return .accepted
  }

  /// Whether what was signed or written is of the configuration that the node is in.
  private func isCurrent(_ item: OwnItem) -> Bool {
    switch item {
    case .block(let block): block.header.configuration == self.configuration.number
    case .ordering(let message): message.configuration == self.configuration.number
    case .cosignature(let cosignature): cosignature.sequence >= self.configuration.start
    case .offer(let offer): offer.configuration == self.configuration.number
    case .mark(let mark): mark.configuration == self.configuration.number
    }
  }

  mutating func settle(_ item: OwnItem, _ run: inout NodeRun) -> Outcome {
    guard self.isCurrent(item) else { return .ignored(.replica(.otherConfiguration)) }
    return switch item {
    case .block(let block): self.step(lanes: .blockDurable(block), &run)
    case .ordering(let message): self.step(replica: .message(Verified(checked: message)), &run)
    case .cosignature(let cosignature): self.step(checkpoints: .signed(cosignature), &run)
    case .mark(let mark): self.step(replica: .durable(mark), &run)
    case .offer: .accepted
    }
  }

  /// Executes the next slice of what is decided, as soon as its blocks are there.
  mutating func pumpExecution(_ run: inout NodeRun) {
    // ⚑ What was executed is the state only once this step's effects are done: the next cut must not miss it.
    guard !run.hasExecuted || planted(.staleReader) else {
      if !self.decisions.isEmpty { run.effects.append(.continueExecution) }
      return
    }
    guard self.unknownRules == nil else { return }
    if !self.execution.isRunning {
      guard !self.holdsReplay else { return }
      guard let decision = self.decisions.first, let blocks = self.blocks(of: decision, &run) else { return }
      self.decisions.removeFirst()
      self.lastDecision = decision
      self.execution.begin(decision.cut, at: decision.sequence, blocks: blocks, reader: run.reader)
    }
    let result: Execution.Result?
    do { result = try self.execution.advance(max: self.parameters.executionSliceMax) } catch {
      run.effects.append(.report(.executionFailed(self.execution.position.sequence.next)))
      return
    }
    guard let result else {
      guard let version = self.unknownRules else { return run.effects.append(.continueExecution) }
      return self.stopExecuting(at: version, &run)
    }
    run.hasExecuted = true
    run.effects.append(.persist(.execution(result.write)))
    if self.isSnapshotDue(at: self.execution.position.sequence) {
      let point = SnapshotPoint(
        configuration: self.configuration.number, startCut: self.startCut, position: self.execution.position,
        cut: self.execution.cut)
      run.effects.append(.persist(.snapshot(point)))
    }
    run.effects.append(.executed(result.write, result.receipts))
    for write in result.write.writes where write.key.starts(with: StateKey.forks) {
      self.noteFork(key: write.key, value: write.value ?? [], &run)
    }
    if result.write.writes.contains(where: { $0.key.starts(with: StateKey.custody) }) {
      self.custodian?.stateChanged(at: run.now.tick)
    }
    if result.write.writes.contains(where: { $0.key.starts(with: StateKey.membership) }) {
      self.noteMembership(&run, writes: result.write.writes)
    }
    _ = self.step(transfer: .executed(result.write.record.sequence), &run)
    _ = self.step(lanes: .executed(result.write.cut), &run)
    _ = self.step(checkpoints: .executed(result.write.position), &run)
    _ = self.step(replica: .executed(result.write.record.sequence, deadline: result.deadline), &run)
    if !self.decisions.isEmpty { run.effects.append(.continueExecution) }
  }

  /// The version of the rules that members adopted and this program does not know; nil where it knows those that hold.
  public var unknownRules: UInt16? { self.execution.unknownRules }

  /// ⚑ Executes nothing more and takes no part in ordering: what it gave would not be what the others have. Its votes,
  /// blocks and decisions stay in its store, and a program that knows the rules goes on from them (RECORDS §10).
  mutating func stopExecuting(at version: UInt16, _ run: inout NodeRun) {
    self.decisions = []
    run.effects.append(.report(.rulesUnknown(version, after: self.execution.position.sequence)))
  }

  /// The ledger keeps proof that a member forked its lane: from a known sequence number on the lane is frozen.
  mutating func noteFork(key: [UInt8], value: [UInt8], _ run: inout NodeRun) {
    var decoder = Decoder(value)
    guard let lane = self.configuration.index(of: StateKey.author(ofFork: key)),
      let sequence = try? decoder.bounded("fork")
    else { return }
    _ = self.step(lanes: .frozen(lane: lane), &run)
    if lane == self.index, self.ownForkAt == nil {
      self.ownForkAt = SequenceNumber(sequence)
      run.effects.append(.report(.ownLaneForked(SequenceNumber(sequence))))
    }
    _ = self.step(replica: .laneForked(lane: lane, at: SequenceNumber(sequence)), &run)
  }

  /// The blocks by which a cut grew, lanes in member order; nil, and they are fetched, where some are missing.
  private mutating func blocks(
    of decision: Decision, _ run: inout NodeRun
  ) -> [(lane: Int, block: Block)]? {
    let lanes = 0..<self.configuration.laneCount
    var isWhole = true
    for lane in lanes {
      let (base, head) = (self.execution.cut.heads[lane], decision.cut.heads[lane])
      guard !self.lanes.holds(lane: lane, above: base, through: head) else { continue }
      isWhole = false
      // What follows will be wanted too: it is asked for in one go.
      let farthest = self.decisions.last?.cut.heads[lane] ?? head
      _ = self.step(lanes: .wanted(lane: lane, farthest, for: .decision), &run)
    }
    // Gathered only then: while one is missing, this is tried again at each block that comes.
    guard isWhole else { return nil }
    var out: [(lane: Int, block: Block)] = []
    for lane in lanes {
      let (base, head) = (self.execution.cut.heads[lane], decision.cut.heads[lane])
      guard let chain = self.lanes.blocks(lane: lane, above: base, through: head) else { return nil }
      out += chain.map { (lane, $0) }
    }
    return out
  }
}

extension Topic {
  /// The channel on which a topic's messages travel.
  var channel: Channel {
    switch self {
    case .blocks: .blocks
    case .ordering, .checkpoints, .evidence, .transactions: .ordering
    }
  }
}

extension Disposition {
  /// The same with another reason.
  func map<Other>(_ transform: (Reason) -> Other) -> Disposition<Other> {
    switch self {
    case .accepted: .accepted
    case .ignored(let reason): .ignored(transform(reason))
    case .rejected(let reason): .rejected(transform(reason))
    }
  }
}
