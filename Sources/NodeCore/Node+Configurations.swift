internal import Gossip
internal import Custody
internal import HealthRecords
internal import Lanes
internal import Ledger
internal import Messages
internal import Ordering
internal import PBFT
internal import Primitives
internal import Raft
internal import Rules
internal import Wire

/// Changes of members: from the change on the ledger to the node's own part in the next configuration (LEDGER §8).
extension Node {
  /// Takes note of what the state says of configurations: at the start, and after each cut that writes there.
  mutating func noteMembership(_ run: inout NodeRun, writes: [StateWrite]? = nil) {
    func value(_ key: [UInt8]) -> [UInt8]? {
      if let change = writes?.last(where: { $0.key == key }) { return change.value }
      return run.reader.value(key)
    }
    self.pendingChange = value(StateKey.pendingChange).flatMap { try? PendingChange.decode($0) }
    let next = ConfigurationNumber(self.configuration.number.number + 1)
    guard self.next == nil,
      let record = value(StateKey.configuration(next)).flatMap({ try? ConfigurationRecord.decode($0) })
    else { return self.openIfDue(&run) }
    self.next = record.configuration
    _ = self.step(replica: .closes(after: record.configuration.start.previous), &run)
  }

  /// Opens the next configuration on the ledger, once a tree head that a quorum signed covers the change: that is what
  /// outsiders will ask for.
  mutating func openIfDue(_ run: inout NodeRun) {
    guard let pending = self.pendingChange, let stable = self.checkpoints.stable, self.index != nil,
      stable.body.size > pending.leaf, stable.body.configuration == self.configuration.number
    else { return }
    self.submitOwn(.openConfiguration, stable.encoded, &run)
  }

  /// Submits what this hospital itself states.
  mutating func submitOwn(_ kind: TransactionKind, _ payload: [UInt8], _ run: inout NodeRun) {
    guard let index else { return }
    var nonce: [UInt8] = []
    for _ in 0..<Transaction.nonceLengthBytes { nonce.append(UInt8(self.random.below(256))) }
    let life = self.genesis.limits.transactionLifeMilliseconds
    let transaction = Transaction(
      kind: kind.rawValue, hospital: self.configuration.members[index].id,
      // ⚑ By the ledger's time where that is ahead: what the node states itself would expire as well.
      validUntil: max(run.now.wall, self.execution.position.time).adding(milliseconds: life / 2), nonce: nonce,
      payload: payload)
    _ = self.step(lanes: .submitted([transaction.encoded]), &run)
  }

  /// ⚑ Goes over to the next configuration once all of this one is executed, everywhere at the same number. Views start
  /// anew, blocks that were not ordered are void, and what they held is sealed again.
  mutating func enterNext(_ run: inout NodeRun) {
    guard let next = self.next, self.execution.position.sequence.next == next.start else { return }
    let position = self.execution.position
    let transactions = self.lanes.unordered
    var state = OrderingState()
    state.lastDecision = self.lastDecision
    state.startCut = self.execution.cut.among(lanes: next.laneCount)
    self.next = nil
    self.decisions = []
    let wasMember = self.index != nil
    self.configuration = next
    self.index = next.index(of: self.key)
    self.execution.enter(next)
    self.lanes = Lanes(
      network: self.genesis.network, configuration: next, limits: self.genesis.limits, index: self.index,
      parameters: self.parameters.lanes, executed: self.execution.cut, stored: [], isStart: !wasMember,
      wasEmpty: !wasMember && !self.hasKeptWord)
    // ⚑ Who only followed until here may have been this member before its store was lost: the ledger that it read again
    // has its blocks, not its votes (LEDGER §11.14).
    self.isHeldBack = self.lanes.isUnheard
    self.checkpoints = Checkpoints(
      network: self.genesis.network, configuration: next, interval: self.genesis.limits.checkpointInterval,
      idle: self.parameters.checkpointIdle, position: position, stable: self.checkpoints.stable, at: run.now.tick)
    self.replica = Self.engine(
      next, self.genesis.limits, index: self.index, self.parameters,
      seed: next.engine == .raft ? self.random.next() : 0,
      restoring: state)
    self.custodian = self.parameters.isCustodian ? self.index.map { Custodian(member: $0, at: run.now.tick) } : nil
    self.announced = self.execution.cut.heads
    self.startCut = self.execution.cut
    self.offerSnapshot(&run)
    self.greeted = ReplicaSet()
    self.sources = []
    (self.hasReadState, self.ownForkAt) = (false, nil)
    run.effects.append(.configured(next))
    run.effects.append(.report(.configured(next.number, voters: next.voterCount, isMember: self.index != nil)))
    for peer in self.connected.members {
      guard next.isVoter(peer), peer != self.index else {
        _ = self.take(.disconnected(peer), &run)
        continue
      }
      if wasMember != (self.index != nil) {
        _ = self.step(gossip: wasMember ? .disconnected(peer) : .connected(peer, isDirect: true), &run)
      }
      self.greet(peer, &run)
    }
    _ = self.step(replica: .timerFired, &run)
    if !transactions.isEmpty, self.index != nil { _ = self.step(lanes: .returned(transactions), &run) }
  }

  /// Tells a member what this one holds and where it stands in the configuration.
  mutating func greet(_ peer: ReplicaIndex, _ run: inout NodeRun) {
    _ = self.step(lanes: .connected(peer), &run)
    if let own = self.checkpoints.own { self.send(.cosignature(own), to: peer, &run) }
    _ = self.step(replica: .connected(peer), &run)
    // With Raft nobody asks where a member stands: it says so itself, and is offered a snapshot where that is far back.
    if self.configuration.engine == .raft { self.send(.status(self.replica.status), to: peer, &run) }
  }

  /// What this node holds, to a member that is heard in this configuration for the first time: what was said to it
  /// before, it did not take in.
  mutating func answerGreeting(of peer: ReplicaIndex, _ run: inout NodeRun) {
    guard self.greeted.insert(peer) else { return }
    self.send(.announcements(self.configuration.number, self.lanes.announcements), to: peer, &run)
  }

  /// A peer that is no member, as far as this node knows: of use to whoever follows, where decisions prove themselves.
  mutating func connect(source peer: ReplicaIndex, _ run: inout NodeRun) -> Outcome {
    guard self.index == nil, self.configuration.engine == .pbft else {
      return .ignored(.replica(.otherConfiguration))
    }
    self.sources.insert(peer)
    _ = self.step(lanes: .connected(peer), &run)
    self.step(backfill: .connected, &run)
    return self.step(replica: .connected(peer), &run)
  }

  /// Whether a message is what a source may send.
  func isFromSource(_ message: CheckedMessage, _ peer: ReplicaIndex) -> Bool {
    guard self.sources.contains(peer) else { return false }
    return switch message {
    case .decisions, .blocks, .manifest, .plain(.status), .plain(.snapshotOffer), .plain(.chunk), .plain(.history): true
    case .gossip, .ordering, .plain: false
    }
  }

  /// The engine for a replica's part in a configuration: whoever does not vote follows.
  static func engine(
    _ configuration: Configuration, _ limits: LedgerLimits, index: ReplicaIndex?, _ parameters: Parameters,
    seed: UInt64, restoring state: OrderingState
  ) -> Engine {
    guard let index else {
      return .follower(Follower(configuration: configuration, limits: limits, restoring: state))
    }
    switch configuration.engine {
    case .pbft:
      return .pbft(
        Replica(
          configuration: configuration, limits: limits, index: index, parameters: parameters.replica,
          restoring: state))
    case .raft:
      return .raft(
        RaftReplica(
          configuration: configuration, limits: limits, index: index, parameters: parameters.raft, seed: seed,
          restoring: state))
    }
  }

  /// A status of a member, or of somebody who only follows. Whoever is in an earlier configuration, or does not vote,
  /// is sent decisions, and told how far this node is.
  mutating func take(_ status: Status, from peer: ReplicaIndex, _ run: inout NodeRun) -> Outcome {
    // ⚑ An answer is thousands of times as long as the question. Who lags asks after each one; nobody needs more.
    let isMember = self.configuration.isVoter(peer)
    let interval = Span.microseconds(isMember ? 2_000 : 8_000)
    guard self.statusRates[peer, default: Rate()].admits(at: run.now.tick, every: interval, burst: 128) else {
      return .ignored(.replica(.tooOften))
    }
    self.offerSnapshot(to: peer, decided: status.decided, &run)
    guard !self.sources.contains(peer) else { return self.step(replica: .status(status, from: peer), &run) }
    let isVoter = self.configuration.isVoter(peer)
    if isVoter, status.configuration > self.configuration.number { self.followIfRaft(&run) }
    guard !isVoter || status.configuration < self.configuration.number else {
      if isVoter, status.configuration == self.configuration.number { self.answerGreeting(of: peer, &run) }
      return self.step(replica: .status(status, from: peer), &run)
    }
    if !isVoter { self.tellTreeHead(to: peer, decided: status.decided, &run) }
    // Only whoever is behind is answered: two that each take the other for one that only follows would never end.
    let decided = self.execution.position.sequence
    guard status.decided < decided else { return .ignored(.replica(.idle)) }
    let last = min(decided.number, status.decided.number + Self.decisionsPerAnswerMax)
    run.effects.append(
      .serveDecisions(to: peer, from: status.decided.next, through: SequenceNumber(last)))
    self.send(.status(self.replica.status), to: peer, &run)
    return .accepted
  }

  /// The signatures of the last stable tree head, once, to one that follows and has come that far: it signs none, and
  /// is told of none by others.
  private mutating func tellTreeHead(to peer: ReplicaIndex, decided: SequenceNumber, _ run: inout NodeRun) {
    guard let stable = self.checkpoints.stable, decided >= stable.body.sequence,
      self.toldTreeHeads.updateValue(stable.body.sequence, forKey: peer) != stable.body.sequence
    else { return }
    for cosignature in stable.cosignatures { self.send(.cosignature(cosignature), to: peer, &run) }
  }

  /// A Raft member that hears of a later configuration has nobody left to lead it: what is left of its own is decided,
  /// and it takes that as whoever only follows does.
  mutating func followIfRaft(_ run: inout NodeRun) {
    guard case .raft(let replica) = self.replica else { return }
    var state = OrderingState()
    state.lastDecision = replica.lastDecision
    state.startCut = replica.decided < self.configuration.start ? replica.decidedCut : nil
    state.last = self.next?.start.previous
    var follower = Follower(configuration: self.configuration, limits: self.genesis.limits, restoring: state)
    var effects: [OrderingEffect] = []
    _ = follower.step(
      .executed(self.execution.position.sequence, deadline: .never), at: run.now, lanes: self.lanes, into: &effects)
    self.replica = .follower(follower)
    _ = self.step(replica: .timerFired, &run)
  }

  /// The most decisions that one status is answered with.
  static let decisionsPerAnswerMax: UInt64 = 16
}
