internal import Custody
public import Gossip
internal import HealthRecords
public import Lanes
public import Ledger
public import Messages
public import Ordering
public import PBFT
public import Raft
public import Signing
public import Primitives
public import Rules
internal import Sessions
internal import Wire

/// A hospital's node as one value: lanes, ordering, execution, checkpoints and gossip joined.
///
/// It takes inputs and returns effects; a driver signs, stores and sends. Real nodes and the simulator run this value.
public struct Node: Sendable {
  /// Limits and spans of this node's own; they change no validity.
  public struct Parameters: Sendable {
    /// Of the lanes.
    public var lanes = Lanes.Parameters()
    /// Of a replica of PBFT.
    public var replica = Replica.Parameters()
    /// Of a member of Raft.
    public var raft = RaftReplica.Parameters()
    /// Of the mesh.
    public var gossip = GossipParameters()
    /// The most transactions that are executed in one step.
    public var executionSliceMax = 1000
    /// After how long without a cut the last one is signed as a checkpoint.
    public var checkpointIdle = Span.milliseconds(250)
    /// Whether it takes part in making custody keys.
    public var isCustodian = false
    /// A snapshot of the ledger is taken at each sequence number that this divides; 0 for never. Members with the same
    /// interval make the same snapshots, and only what f + 1 made is of use.
    public var snapshotInterval: UInt64 = 65_536
    /// Of fetching a snapshot.
    public var transfer = Transfer.Parameters()
    /// How long announcements of blocks are gathered.
    public var announceInterval = Span.milliseconds(25)
    /// The defaults.
    public init() {}

    /// Takes snapshots so often, and fetches one from a sixteenth of that on: what is nearer is replayed.
    public mutating func follow(snapshotInterval: UInt64) {
      self.snapshotInterval = snapshotInterval
      self.transfer.distance = max(1, snapshotInterval / 16)
    }
  }

  /// What happens to a node.
  public enum Input: Sendable {
    /// A member's session opened.
    case connected(ReplicaIndex)
    /// A member's last session closed.
    case disconnected(ReplicaIndex)
    /// A member's message, checked.
    case received(CheckedMessage, from: ReplicaIndex)
    /// A block arrived and is being checked.
    case arriving(BlockHeader, from: ReplicaIndex)
    /// A gossiped message of a peer is here already: nothing in it was looked at.
    case repeated(Digest, from: ReplicaIndex)
    /// A member's message was refused.
    case refused(from: ReplicaIndex)
    /// The driver signed what it was asked to.
    case signed(OwnItem)
    /// What was handed over, and everything before it, is durable.
    case durable(OwnItem)
    /// A client submitted checked transactions for this hospital's lane, in canonical bytes.
    case submitted([[UInt8]])
    /// Transactions of this hospital that must be in a durable block of its own however little is ordered.
    case urgent([[UInt8]])
    /// A snapshot was made, or is here from before.
    case snapshotMade(SnapshotManifest)
    /// Chunks of a snapshot can be taken; some are here from an earlier try.
    case transferOpened(Digest, held: [Int])
    /// The highest sequence number of which the store lacks what was executed; nil where it has all.
    case historyMissing(SequenceNumber?)
    /// A service of this node answers a member, or asks it.
    case said(PeerMessage, to: ReplicaIndex)
    /// Execution goes on.
    case sliceDue
    /// A point in time that `deadline` named has come.
    case timerFired
    /// The operator wants another primary.
    case stepDownRequested
  }

  /// Which machine had no use for an input, and why.
  public enum Reason: Sendable, Hashable, CustomStringConvertible {
    /// The lanes.
    case lanes(Lanes.Reason)
    /// The ordering engine.
    case replica(OrderingReason)
    /// The mesh.
    case gossip(Gossip.Reason)
    /// The checkpoints.
    case checkpoints(Checkpoints.Reason)
    /// The fetching of a snapshot.
    case transfer(Transfer.Reason)
    /// A peer's message was refused before it reached a machine.
    case refused

    /// The machine and its reason, in words.
    public var description: String {
      switch self {
      case .lanes(let reason): "lanes: \(reason.rawValue)"
      case .replica(let reason): "replica: \(reason.rawValue)"
      case .gossip(let reason): "gossip: \(reason.rawValue)"
      case .checkpoints(let reason): "checkpoints: \(reason.rawValue)"
      case .transfer(let reason): "transfer: \(reason.rawValue)"
      case .refused: "message refused"
      }
    }
  }

  /// What a step came to.
  public typealias Outcome = Disposition<Reason>

  /// The genesis.
  public let genesis: Genesis
  /// The members, present and past.
  public internal(set) var configuration: Configuration
  /// This node's place among them; nil where it does not vote.
  public internal(set) var index: ReplicaIndex?
  /// The key under which it is, was or will be a member.
  let key: PublicKey
  /// The configuration that is opened and begins soon.
  public internal(set) var next: Configuration?
  /// A change of members that waits for a tree head.
  public internal(set) var pendingChange: PendingChange?
  /// The last decision handed to execution, and executed.
  var lastDecision: Decision?
  /// Peers that this node does not know as members and takes decisions and blocks from, while it does not vote: members
  /// whose keys are newer than what it has executed so far. What they send proves itself.
  var sources: Set<ReplicaIndex> = []
  /// The members that were told in this configuration what this node holds.
  var greeted = ReplicaSet()
  let parameters: Parameters
  /// The lanes.
  public internal(set) var lanes: Lanes
  /// The ordering engine.
  public internal(set) var replica: Engine
  /// Execution.
  public internal(set) var execution: Execution
  /// Tree heads.
  public internal(set) var checkpoints: Checkpoints
  /// The mesh.
  public internal(set) var gossip: Gossip
  /// The members with open sessions.
  public internal(set) var connected = ReplicaSet()
  var links: [ReplicaIndex: ReplicaSet] = [:]
  var decisions: [Decision] = []
  var random: SeededGenerator
  var announceAt: Tick?
  /// When members are told with whom this one has sessions.
  var linksAt: Tick?
  /// Whether what the state says of forks and members was read.
  var hasReadState = false
  /// The cut from which the configuration goes on.
  var startCut: Cut
  /// The newest snapshot that is here, and this member's word for it.
  public internal(set) var snapshot: SnapshotManifest?
  var offer: SnapshotOffer?
  /// The fetching of a snapshot, and of what was before it.
  public internal(set) var transfer: Transfer
  var backfill = Backfill()
  /// This member's part in making custody keys.
  var custodian: Custodian?
  var announced: [LaneHead]
  /// How often each peer told where it stands: each time is answered.
  var statusRates: [ReplicaIndex: Rate] = [:]
  /// How often something of each author was passed on for which this node itself had no use.
  var passingRates: [ReplicaIndex: Rate] = [:]
  /// ⚑ Whether it takes no part in ordering yet: its store was empty, and its key may have been used (LEDGER §11.14).
  public internal(set) var isHeldBack: Bool
  /// ⚑ Whether it is on the disk, or on its way there, that this key takes part. It goes with the first write after the
  /// quorum's word; all that is signed leaves after one.
  var hasKeptWord: Bool
  /// Since which sequence number the ledger holds proof that this member's lane was forked: nothing that it writes is
  /// ordered until it is readmitted under a new key. Nil while there is none.
  public internal(set) var ownForkAt: SequenceNumber?
  /// The last tree head of which each that follows was told.
  var toldTreeHeads: [ReplicaIndex: SequenceNumber] = [:]

  /// A node that goes on from what it had stored. Feed it `.timerFired` once to start.
  public init(
    genesis: Genesis, key: PublicKey, parameters: Parameters, rules: any ExecutionRules,
    restoring stored: StoredNode, seed: UInt64, at now: Tick
  ) {
    let configuration = stored.configuration
    let index = configuration.index(of: key)
    (self.genesis, self.configuration, self.key, self.parameters) = (genesis, configuration, key, parameters)
    self.index = index
    self.lastDecision = stored.ordering.lastDecision
    self.hasKeptWord = stored.heard == key
    let mayBeUsed = !self.hasKeptWord && !planted(.unheardForgotten)
    self.lanes = Lanes(
      network: genesis.network, configuration: configuration, limits: genesis.limits, index: index,
      parameters: parameters.lanes, executed: stored.cut, stored: stored.blocks, isStart: true, wasEmpty: mayBeUsed)
    self.isHeldBack = self.lanes.isUnheard
    self.execution = Execution(
      network: genesis.network, configuration: configuration, limits: genesis.limits, rules: rules,
      position: stored.position, cut: stored.cut, identifiers: stored.identifiers, openTiles: stored.openTiles)
    self.checkpoints = Checkpoints(
      network: genesis.network, configuration: configuration, interval: genesis.limits.checkpointInterval,
      idle: parameters.checkpointIdle, position: stored.position, stable: stored.stable, at: now)
    self.random = SeededGenerator(seed: seed)
    self.replica = Self.engine(
      configuration, genesis.limits, index: index, parameters,
      seed: genesis.engine == .raft ? self.random.next() : 0, restoring: stored.ordering)
    self.gossip = Gossip(
      topics: [.blocks, .ordering, .checkpoints, .evidence], parameters: parameters.gossip,
      seed: self.random.next(), at: now)
    self.announced = stored.cut.heads
    self.startCut = stored.ordering.startCut ?? .genesis(lanes: configuration.laneCount)
    self.transfer = Transfer(
      network: genesis.network, parameters: parameters.transfer, known: configuration.number,
      executed: stored.position.sequence)
    self.custodian = parameters.isCustodian ? index.map { Custodian(member: $0, at: now) } : nil
  }

  /// Takes one input; appends effects in the order in which they must happen.
  public mutating func step(
    _ input: Input, at now: Moment, reader: any StateReader & Sendable, into effects: inout [NodeEffect]
  ) -> Outcome {
    var run = NodeRun(now: now, reader: reader)
    if !self.hasReadState {
      self.hasReadState = true
      self.noteMembership(&run)
      for pair in reader.scan(prefix: StateKey.forks, limit: ReplicaSet.countMax) {
        self.noteFork(key: pair.key, value: pair.value, &run)
      }
      // ⚑ A deadline that was due before the start is due after it: nobody may call a cut that it asks for idle.
      self.execution.lookAtRules(in: reader)
      if let version = self.execution.unknownRules { self.stopExecuting(at: version, &run) }
      let deadline = self.execution.deadline(in: reader)
      _ = self.step(replica: .executed(self.execution.position.sequence, deadline: deadline), &run)
    }
    if let due = self.custodian?.deadline, due <= now.tick, self.unknownRules == nil { self.lookAtCustody(&run) }
    let outcome = self.take(input, &run)
    // Only now: what the engine wanted in this step was still of its configuration.
    self.enterNext(&run)
    self.keepWord(&run)
    effects += run.effects
    return outcome
  }

  mutating func take(_ input: Input, _ run: inout NodeRun) -> Outcome {
    switch input {
    case .connected(let peer): return self.connect(peer, &run)
    case .disconnected(let peer):
      _ = self.step(transfer: .disconnected(peer), &run)
      self.step(backfill: .disconnected(peer), &run)
      self.toldTreeHeads[peer] = nil
      self.statusRates[peer] = nil
      guard self.sources.remove(peer) == nil else { return self.step(lanes: .disconnected(peer), &run) }
      self.connected.remove(peer)
      self.greeted.remove(peer)
      self.links[peer] = nil
      _ = self.step(gossip: .disconnected(peer), &run)
      self.linksAt = self.linksAt ?? run.now.tick + self.parameters.announceInterval
      return self.step(lanes: .disconnected(peer), &run)
    case .received(let message, let peer): return self.receive(message, from: peer, &run)
    case .arriving(let header, let peer): return self.step(lanes: .arriving(header, from: peer), &run)
    case .repeated(let identifier, let peer):
      return self.step(gossip: .repeated(identifier: identifier, from: peer), &run)
    case .refused(let peer):
      _ = self.step(lanes: .refused(from: peer), &run)
      _ = self.step(gossip: .invalid(from: peer), &run)
      return .rejected(.refused)
    case .signed(let item): return self.publish(item, &run)
    case .durable(let item): return self.settle(item, &run)
    case .submitted where self.unknownRules != nil: return .ignored(.replica(.idle))
    case .submitted(let transactions): return self.step(lanes: .submitted(transactions), &run)
    case .urgent(let transactions): return self.step(lanes: .urgent(transactions), &run)
    case .snapshotMade(let manifest):
      // One that was long in the making may come after a newer one.
      guard manifest.sequence > self.snapshot?.sequence ?? .zero else { return .accepted }
      self.snapshot = manifest
      self.offerSnapshot(&run)
      return .accepted
    case .historyMissing(let sequence):
      self.step(backfill: .missing(sequence), &run)
      return .accepted
    case .transferOpened(let digest, let held): return self.step(transfer: .opened(digest, held: held), &run)
    case .said(let message, let peer):
      self.send(message, to: peer, &run)
      return .accepted
    case .sliceDue:
      self.pumpExecution(&run)
      return .accepted
    case .timerFired: return self.fireTimers(&run)
    case .stepDownRequested: return self.step(replica: .stepDownRequested, &run)
    }
  }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick {
    let ordering = self.isHeldBack || self.unknownRules != nil ? nil : self.replica.deadline
    let custody = self.unknownRules == nil ? self.custodian?.deadline : nil
    var next = min(self.gossip.deadline, ordering ?? self.gossip.deadline)
    for tick in [
      self.lanes.deadline, self.checkpoints.deadline, self.announceAt, self.linksAt, custody,
      self.transfer.deadline, self.backfill.deadline,
    ] {
      if let tick { next = min(next, tick) }
    }
    return next
  }

  private mutating func fireTimers(_ run: inout NodeRun) -> Outcome {
    let tick = run.now.tick
    if let due = self.announceAt, due <= tick { self.announce(&run) }
    if let due = self.linksAt, due <= tick { self.tellLinks(&run) }
    if let due = self.lanes.deadline, due <= tick { _ = self.step(lanes: .timerFired, &run) }
    if let due = self.checkpoints.deadline, due <= tick { _ = self.step(checkpoints: .timerFired, &run) }
    if let due = self.backfill.deadline, due <= tick { self.step(backfill: .timerFired, &run) }
    if let due = self.transfer.deadline, due <= tick { _ = self.step(transfer: .timerFired, &run) }
    if self.gossip.deadline <= tick { _ = self.step(gossip: .timerFired, &run) }
    return self.step(replica: .timerFired, &run)
  }

  private mutating func connect(_ peer: ReplicaIndex, _ run: inout NodeRun) -> Outcome {
    guard self.configuration.isVoter(peer) else { return self.connect(source: peer, &run) }
    self.connected.insert(peer)
    // Whoever only follows takes no part in gossip: it asks, and what it is told proves itself.
    if self.index != nil { _ = self.step(gossip: .connected(peer, isDirect: true), &run) }
    // Gathered: whoever starts connects to all at once.
    self.linksAt = self.linksAt ?? run.now.tick + self.parameters.announceInterval
    self.greet(peer, &run)
    self.step(backfill: .connected, &run)
    return .accepted
  }

  private mutating func tellLinks(_ run: inout NodeRun) {
    self.linksAt = nil
    for peer in self.peers { self.send(.links(self.connected), to: peer, &run) }
  }

  /// The members with open sessions, in order.
  var peers: [ReplicaIndex] {
    self.configuration.voters.filter { $0 != self.index && self.connected.contains($0) }
  }

  func send(_ message: PeerMessage, to peer: ReplicaIndex, _ run: inout NodeRun) {
    run.effects.append(.send(to: peer, message.channel, message.encoded))
  }

  private mutating func receive(
    _ message: CheckedMessage, from peer: ReplicaIndex, _ run: inout NodeRun
  ) -> Outcome {
    guard self.configuration.isVoter(peer) || self.isFromSource(message, peer) else {
      return self.serve(message, to: peer, &run)
    }
    switch message {
    case .gossip(let topic, let identifier, let bytes, let content):
      if case .cosignature(let cosignature) = content {
        // Only the tree head itself can tell whether it is signed: it is passed on when it is found to be.
        let outcome = self.step(checkpoints: .received(cosignature, from: peer), &run)
        if case .rejected = outcome { _ = self.step(gossip: .invalid(from: peer), &run) }
        return outcome
      }
      guard !self.gossip.hasSeen(identifier) else {
        return self.step(gossip: .repeated(identifier: identifier, from: peer), &run)
      }
      // ⚑ Judged first: what its machine has no use for is neither kept nor passed on without end (LEDGER §11.10).
      let before = run.effects.count
      let outcome = self.take(content, &run)
      guard self.passesOn(content, outcome, at: run.now.tick) else {
        _ = self.step(gossip: .noted(identifier: identifier, from: peer), &run)
        return outcome
      }
      let input = Gossip.Input.validated(
        topic, identifier: identifier, bytes, from: peer, linked: self.reached(by: content))
      var passing = NodeRun(now: run.now, reader: run.reader)
      _ = self.step(gossip: input, &passing)
      // It need not wait for what is written because of it.
      run.effects.insert(contentsOf: passing.effects, at: before)
      return outcome
    case .ordering(let message): return self.step(replica: .message(message), &run)
    case .blocks(let blocks):
      var isUseful = false
      for block in blocks where self.step(lanes: .block(block), &run) == .accepted { isUseful = true }
      return isUseful ? self.step(lanes: .answered, &run) : .ignored(.lanes(.duplicate))
    case .decisions(let decisions):
      if self.configuration.engine == .raft {
        return self.step(replica: .leaderDecisions(decisions.map(\.value), from: peer), &run)
      }
      var outcome = Outcome.ignored(.replica(.settled))
      for decision in decisions {
        outcome = self.step(replica: .message(Verified(checked: .decision(decision.value))), &run)
      }
      return outcome
    case .manifest(let bundle, let chain):
      return self.step(transfer: .manifest(bundle.value, chain, from: peer), &run)
    case .plain(let message): return self.take(message, from: peer, &run)
    }
  }

  /// What a node that does not vote may ask: decisions and blocks, which prove themselves, snapshots, and what services
  /// answer it.
  private mutating func serve(
    _ message: CheckedMessage, to peer: ReplicaIndex, _ run: inout NodeRun
  ) -> Outcome {
    switch message {
    case .plain(.status(let status)): return self.take(status, from: peer, &run)
    case .plain(.blockRequest(let request)): return self.step(lanes: .requested(request, from: peer), &run)
    case .plain(.manifestRequest), .plain(.chunkRequest), .plain(.historyRequest):
      guard case .plain(let request) = message else { return .ignored(.transfer(.idle)) }
      return self.take(request, from: peer, &run)
    case .plain(.question(let number, let bytes)):
      run.effects.append(.question(from: peer, number, bytes))
      return .accepted
    default: return .ignored(.replica(.otherConfiguration))
    }
  }

  private mutating func take(_ content: GossipContent, _ run: inout NodeRun) -> Outcome {
    switch content {
    case .block(let block): self.step(lanes: .block(block), &run)
    case .ordering(let message): self.step(replica: .message(message), &run)
    case .cosignature: preconditionFailure("tree heads are judged before they are passed on")
    case .evidence(let evidence): self.step(lanes: .evidence(evidence), &run)
    }
  }

  /// The author of a message and the members that have told of a session with it: they need no copy from here.
  func reached(by content: GossipContent) -> ReplicaSet {
    let author: ReplicaIndex? =
      switch content {
      case .block(let block): self.configuration.index(of: block.value.header.author)
      case .ordering(let message): message.value.signer
      case .cosignature(let cosignature): cosignature.signer
      case .evidence: nil
      }
    var reached = ReplicaSet()
    guard let author else { return reached }
    reached.insert(author)
    for (peer, members) in self.links where members.contains(author) { reached.insert(peer) }
    return reached
  }

  private mutating func take(
    _ message: PeerMessage, from peer: ReplicaIndex, _ run: inout NodeRun
  ) -> Outcome {
    switch message {
    case .control(let items): return self.step(gossip: .control(items, from: peer), &run)
    case .links(let members): self.links[peer] = members
    case .status(let status): return self.take(status, from: peer, &run)
    case .raft(let configuration, let message):
      guard configuration == self.configuration.number else {
        if configuration > self.configuration.number { self.followIfRaft(&run) }
        self.send(.status(self.replica.status), to: peer, &run)
        return .ignored(.replica(.otherConfiguration))
      }
      return self.step(replica: .raft(message, from: peer), &run)
    case .announcements(let configuration, let heads):
      // ⚑ A member that starts for the first time may be needed in a later configuration, and waits for words too.
      if configuration > self.configuration.number {
        return self.step(lanes: .announcedLater(heads, from: peer), &run)
      }
      if configuration < self.configuration.number {
        return self.step(lanes: .announcedEarlier(heads, from: peer), &run)
      }
      self.answerGreeting(of: peer, &run)
      return self.step(lanes: .announced(heads, from: peer), &run)
    case .blockRequest(let request): return self.step(lanes: .requested(request, from: peer), &run)
    case .snapshotOffer(let offer):
      // What it adopted would hide that its own store lacks what it signed.
      guard !self.isHeldBack else { return .ignored(.lanes(.unknownOwn)) }
      // It could not go on from there either.
      guard self.unknownRules == nil else { return .ignored(.replica(.idle)) }
      return self.step(transfer: .offered(offer, from: peer), &run)
    case .manifestRequest(let digest): run.effects.append(.serveManifest(to: peer, digest))
    case .chunkRequest(let digest, let number): run.effects.append(.serveChunk(to: peer, digest, number))
    case .chunk(let digest, let number, let bytes):
      return self.step(transfer: .chunk(digest, number, bytes, from: peer), &run)
    case .historyRequest(let sequence): run.effects.append(.serveHistory(to: peer, sequence))
    case .history(let items): self.step(backfill: .history(items, from: peer), &run)
    case .question(let number, let bytes): run.effects.append(.question(from: peer, number, bytes))
    case .answer(let number, let bytes): run.effects.append(.answer(from: peer, number, bytes))
    case .block, .ordering, .cosignature, .evidence, .blocks, .decisions, .manifest:
      preconditionFailure("checked messages of these kinds are not plain")
    }
    return .accepted
  }
}

/// What one step works with.
struct NodeRun {
  let now: Moment
  let reader: any StateReader & Sendable
  var effects: [NodeEffect] = []
  /// Whether a cut was executed in this step: its writes are not in `reader`.
  var hasExecuted = false
}
