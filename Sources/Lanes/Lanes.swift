public import Messages
public import Primitives
public import Signing
internal import Wire

/// All lanes as one member sees them: its own, which it writes, and the others', which it checks, stores and announces.
///
/// Source: LEDGER §2, §11. Bounded: a lane is held up to `laneBytesMax` beyond what is executed, without a gap, and
/// little of what hangs in the air.
public struct Lanes: Sendable, Equatable {
  /// This member's own limits.
  public struct Parameters: Sendable, Hashable {
    /// The most that a lane's blocks beyond the executed head may count in memory, one after another without a gap.
    public var laneBytesMax = 64 << 20
    /// The most of these blocks.
    public var laneBlocksMax = 65_536
    /// The most that blocks of a lane may count that hang in the air or beside the others.
    public var asideBytesMax = 8 << 20
    /// The most of those.
    public var asideBlocksMax = 512
    /// How many positions ahead of what is held one of those may stand.
    public var aheadBlocksMax: UInt64 = 256
    /// The most blocks that are kept of one position while nothing waits for them: two prove a fork.
    public var rivalsMax = 2
    /// The most heads of a lane whose blocks are pulled at a time.
    public var wishesMax = 64
    /// How long blocks are pulled for a proposal that nobody speaks of any more.
    public var wishLife = Span.milliseconds(3000)
    /// The most bytes of transactions that wait for a block.
    public var pendingBytesMax = 16 << 20
    /// While this many own blocks are not committed, a further one waits until it is worth while.
    public var openBlocksMax = 3
    /// So many bytes make a further block worth while.
    public var worthwhileBytes = 48 << 10
    /// How long an answer to a request for blocks may take before another member is asked.
    public var requestTimeout = Span.milliseconds(400)
    /// How long what a member announces may be on its way before it is asked for.
    public var announcedPatience = Span.milliseconds(300)
    /// The most blocks of a lane that are noted as being checked.
    public var arrivingMax = 256
    /// How long a member that claims to hold more of the own lane than is here may take to show it.
    public var claimPatience = Span.milliseconds(3000)
    /// After how long members that said nothing of the own lane are asked again.
    public var wordInterval = Span.milliseconds(1000)
    /// How long checking a block that arrived may take before it counts as lost.
    public var checkTimeMax = Span.milliseconds(3000)
    /// The defaults.
    public init() {}
  }

  /// What happens to the lanes.
  public enum Input: Sendable {
    /// A client submitted checked transactions; each is its canonical bytes.
    case submitted([[UInt8]])
    /// Transactions of this hospital that must be in a durable block of its own however little is ordered.
    case urgent([[UInt8]])
    /// A block that was checked.
    case block(Verified<Block>)
    /// Transactions of own blocks that became void: they are sealed again, before all others.
    case returned([[UInt8]])
    /// This member signed its next block, which is being written.
    case sealed(Block)
    /// A block, own or another's, is durable.
    case blockDurable(Block)
    /// A member announced what it holds.
    case announced([LaneAnnouncement], from: ReplicaIndex)
    /// The same, of a member that is in a later configuration: of use only to whoever waits for its word.
    case announcedLater([LaneAnnouncement], from: ReplicaIndex)
    /// The same, of a member that is in an earlier configuration: it may wait for this member's word.
    case announcedEarlier([LaneAnnouncement], from: ReplicaIndex)
    /// A member asks for blocks.
    case requested(BlockRequest, from: ReplicaIndex)
    /// A block arrived from a peer and is being checked: it need not be asked for.
    case arriving(BlockHeader, from: ReplicaIndex)
    /// Something that a peer sent is not what it should be.
    case refused(from: ReplicaIndex)
    /// A member answered a request for blocks.
    case answered
    /// Proof that an author forked its lane was checked.
    case evidence(Verified<ForkEvidence>)
    /// The ordering engine or execution waits for the blocks up to a head.
    case wanted(lane: Int, LaneHead, for: WishReason)
    /// The ledger holds proof that an author broke its lane.
    case frozen(lane: Int)
    /// A cut was decided.
    case decided(Cut)
    /// All up to a cut was executed: its blocks need not stay in memory.
    case executed(Cut)
    /// A member's session opened.
    case connected(ReplicaIndex)
    /// A member's session closed.
    case disconnected(ReplicaIndex)
    /// A point in time that `deadline` named has come.
    case timerFired
  }

  /// What the lanes want done.
  public enum Effect: Sendable, Hashable {
    /// Sign the header as this member; store; when durable hand back as `blockDurable`.
    case seal(BlockHeader, body: [UInt8])
    /// Store; when durable hand back as `blockDurable`.
    case persist(Block)
    /// Give an own block to all members.
    case publish(Block)
    /// Tell one member, or all, what is held.
    case announce(to: ReplicaIndex?, [LaneAnnouncement])
    /// Ask a member for blocks.
    case request(to: ReplicaIndex, BlockRequest)
    /// Read blocks from memory or storage and send them to a member.
    case serve(to: ReplicaIndex, BlockRequest)
    /// More can be proposed or accepted.
    case advanced
    /// An author forked its lane.
    case forked(ForkEvidence)
    /// Others have a block of this position that this member signed and does not have: its store is a copy from before.
    case copied(LanePosition)
  }

  /// Why an input was of no use, or wrong.
  public enum Reason: String, Sendable, Hashable {
    /// It was here before.
    case duplicate
    /// At or below what is executed.
    case settled
    /// Too far beyond what is executed; it will be pulled when its turn comes.
    case beyondWindow = "beyond window"
    /// Of another configuration.
    case otherConfiguration = "other configuration"
    /// Nobody this member knows wrote it.
    case unknownLane = "unknown lane"
    /// Too many transactions wait.
    case full
    /// Its position is not the one after its parent's: evidence.
    case misplaced
    /// An own block that is not in this store.
    case unknownOwn = "unknown own"
    /// This member's lane was forked: nothing that it writes is ordered any more.
    case frozen
    /// Nothing to do.
    case idle
  }

  /// What a step came to.
  public typealias Outcome = Disposition<Reason>

  let network: Digest
  let configuration: Configuration
  let limits: LedgerLimits
  /// This member's own lane; nil where it does not vote.
  let index: ReplicaIndex?
  let parameters: Parameters
  var lanes: [Lane]
  var pending: [[UInt8]] = []
  /// How many of those that wait are urgent: they come first.
  var urgentCount = 0
  /// The bytes of transactions that wait for a block.
  public internal(set) var pendingBytes = 0
  var isSealing = false
  var lastSealed: LaneHead
  /// What others said of the own lane since the start; nil once enough have.
  var hearing: Hearing?
  /// The peers that can be asked for blocks: members, and for whom only follows anybody who has them.
  var connected: Set<ReplicaIndex> = []

  /// Whether the store was empty at the start, as a new member's is, or one's whose disk was lost.
  let wasEmpty: Bool
  /// Evidence in the store, of which nobody was told since the start.
  var untold: [ForkEvidence] = []

  /// What members hold of this one's lane, as they say after its start.
  struct Hearing: Sendable, Equatable {
    /// Those that hold no more than is here.
    var words: Set<ReplicaIndex> = []
    /// Those that say that they hold more, and until when they may show it.
    var claims: [ReplicaIndex: LaneHead] = [:]
    var until: Tick?
    /// When those that said nothing are asked again: an announcement can be lost.
    var askAt: Tick?
  }

  /// Lanes that go on from executed heads and the blocks that storage holds above them. ⚑ After a start nothing is
  /// sealed, but what is urgent, until enough others said that they hold no more of this lane: the store could be a
  /// copy from before, or empty under a key that was used (LEDGER §8, §11.14). It `wasEmpty` too where this member only
  /// followed until now: what it executed meanwhile does not tell what its key voted for.
  public init(
    network: Digest, configuration: Configuration, limits: LedgerLimits, index: ReplicaIndex?,
    parameters: Parameters, executed: Cut, stored: [Block], isStart: Bool, wasEmpty: Bool = false
  ) {
    (self.network, self.configuration, self.limits) = (network, configuration, limits)
    (self.index, self.parameters) = (index, parameters)
    self.lanes = executed.heads.map {
      Lane(executed: $0, members: configuration.laneCount, quorum: configuration.quorum)
    }
    self.lastSealed = .empty
    self.wasEmpty = wasEmpty || (executed.time == .zero && stored.isEmpty)
    for block in stored where block.header.configuration == configuration.number { self.restore(block) }
    guard let index else { return }
    self.lastSealed = planted(.laneRestartsBehind) ? executed.heads[index] : self.lanes[index].tip
    let waits = isStart && configuration.quorum > 1 && !planted(.copyUnnoticed)
    if waits, !self.wasEmpty || !planted(.emptyStoreUnheard) { self.hearing = Hearing() }
    // Blocks that were not ordered in the configuration before are void: what they hold is sealed again.
    let own = configuration.members[index].id
    let void = stored.filter { $0.header.configuration < configuration.number && $0.header.author == own }
    self.pending = void.flatMap(\.transactionBytes)
    self.pendingBytes = self.pending.reduce(0) { $0 + $1.count }
  }

  /// Takes a block back from the store, by the rules by which it would be taken from others: an older store can hold
  /// what none of them lets in.
  private mutating func restore(_ block: Block) {
    guard let lane = self.configuration.index(of: block.header.author),
      block.header.position > self.lanes[lane].executed.position
    else { return }
    if let evidence = self.lanes[lane].evidence(with: block), self.lanes[lane].forkedAt == nil {
      self.lanes[lane].forkedAt = block.header.position
      self.untold.append(evidence)
    }
    // Of the own lane nothing is left out: the next block would contradict it.
    guard !self.lanes[lane].isMisplaced(block.header) || planted(.positionsUnchecked),
      lane == self.index || self.lanes[lane].admission(of: block, within: self.parameters) != .refused
    else { return }
    _ = self.lanes[lane].insert(block, isWritten: true)
    self.lanes[lane].markDurable(block.digest)
  }

  /// Takes one input; appends effects in the order in which they must happen.
  public mutating func step(
    _ input: Input, at now: Tick, into effects: inout [Effect]
  ) -> Outcome {
    let outcome = self.take(input, at: now, into: &effects)
    self.watchAnnounced(at: now)
    return outcome
  }

  private mutating func take(_ input: Input, at now: Tick, into effects: inout [Effect]) -> Outcome {
    switch input {
    case .submitted(let transactions): return self.submit(transactions, into: &effects)
    case .urgent(let transactions):
      guard self.index != nil else { return .rejected(.unknownLane) }
      self.pending.insert(contentsOf: transactions, at: self.urgentCount)
      self.urgentCount += transactions.count
      self.pendingBytes += transactions.reduce(0) { $0 + $1.count }
      self.sealIfDue(into: &effects)
      return .accepted
    case .returned(let transactions):
      self.pending.insert(contentsOf: transactions, at: self.urgentCount)
      self.pendingBytes += transactions.reduce(0) { $0 + $1.count }
      self.sealIfDue(into: &effects)
      return .accepted
    case .block(let block): return self.take(block.value, into: &effects)
    case .sealed(let block):
      guard let index else { return .rejected(.unknownLane) }
      _ = self.lanes[index].insert(block, isWritten: true)
      effects.append(.advanced)
      return .accepted
    case .blockDurable(let block): return self.settle(block, into: &effects)
    case .announced(let announcements, let from):
      self.hearOfOwn(announcements, from: from, at: now, into: &effects)
      self.answerGreeting(announcements, from: from, into: &effects)
      return self.hear(announcements, from: from, at: now, into: &effects)
    case .announcedLater(let announcements, let from):
      self.hearOfOwn(announcements, from: from, at: now, into: &effects)
      return .ignored(.otherConfiguration)
    case .announcedEarlier(let announcements, let from):
      return self.answerEarlier(announcements, from: from, into: &effects)
    case .requested(let request, let from):
      guard request.lane < self.lanes.count else { return .rejected(.unknownLane) }
      effects.append(.serve(to: from, request))
      return .accepted
    case .arriving(let header, let from): return self.expect(header, from: from, at: now)
    case .refused(let from): return self.expectNothing(of: from, at: now)
    case .answered: return self.askOn(at: now, into: &effects)
    case .evidence(let evidence): return self.take(evidence.value, into: &effects)
    case .wanted(let lane, let head, let reason): return self.want(lane, head, for: reason, at: now)
    case .frozen(let lane):
      guard lane < self.lanes.count else { return .rejected(.unknownLane) }
      self.lanes[lane].forkedAt = self.lanes[lane].forkedAt ?? self.lanes[lane].executed.position
      let author = self.configuration.members[lane].id
      self.untold.removeAll { $0.first.author == author }
      return .accepted
    case .decided(let cut): return self.decide(cut, into: &effects)
    case .executed(let cut):
      for lane in self.lanes.indices {
        for block in self.lanes[lane].release(through: cut.heads[lane]) { effects.append(.persist(block)) }
      }
      return .accepted
    case .connected(let peer):
      self.connected.insert(peer)
      effects.append(.announce(to: peer, self.announcements))
      return .accepted
    case .disconnected(let peer):
      self.connected.remove(peer)
      _ = self.expectNothing(of: peer, at: now)
      return .accepted
    case .timerFired:
      for evidence in self.untold { effects.append(.forked(evidence)) }
      self.untold = []
      self.endHearing(at: now)
      self.sealIfDue(into: &effects)
      self.askForWords(at: now, into: &effects)
      return self.retryRequests(at: now, into: &effects)
    }
  }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick? {
    let patience = self.parameters.announcedPatience
    let wanted = self.lanes.compactMap { $0.wishes.map(\.retryAt).min() }.min()
    let behind = self.lanes.compactMap { $0.behindSince.map { $0 + patience } }.min()
    // What became void before a restart is sealed at once.
    let isVoid = !self.pending.isEmpty && self.lastSealed == self.lanes[self.index ?? 0].executed
    let void: Tick? = isVoid && !self.isSealing && !self.isFrozen ? .zero : nil
    let untold: Tick? = self.untold.isEmpty ? nil : .zero
    guard let hearing else { return [wanted, behind, void, untold].compactMap { $0 }.min() }
    let word = self.hasHeardEnough(hearing) ? hearing.until : hearing.askAt ?? .zero
    return [wanted, behind, word, untold].compactMap { $0 }.min()
  }

  private mutating func submit(_ transactions: [[UInt8]], into effects: inout [Effect]) -> Outcome {
    guard self.index != nil else { return .rejected(.unknownLane) }
    guard !self.isFrozen || planted(.frozenLaneGrows) else { return .ignored(.frozen) }
    let bytes = transactions.reduce(0) { $0 + $1.count }
    guard self.hasRoom(forBytes: bytes) else { return .ignored(.full) }
    self.pending += transactions
    self.pendingBytes += bytes
    self.sealIfDue(into: &effects)
    return .accepted
  }

  /// Seals as soon as the last block is durable; under load blocks grow by themselves (LEDGER §2).
  mutating func sealIfDue(into effects: inout [Effect]) {
    guard let index, !self.isSealing, !self.pending.isEmpty else { return }
    let isWorthwhile = self.pendingBytes >= self.parameters.worthwhileBytes
    // How many own blocks are durable or under way but not committed.
    let sealed = self.lastSealed.position.number
    let open = sealed - min(self.lanes[index].decided.position.number, sealed)
    let isUsual =
      self.hearing == nil && !self.isFrozen && (open < self.parameters.openBlocksMax || isWorthwhile)
      && self.lanes[index].heldBytes < self.parameters.laneBytesMax / 2
    // ⚑ In a partition all of that is used up soon: what is urgent is sealed for itself then.
    guard isUsual || self.urgentCount > 0 else { return }
    var body: [UInt8] = []
    body.reserveCapacity(min(self.pendingBytes, Int(self.limits.blockBytesMax)))
    var count = 0
    for transaction in isUsual ? self.pending[...] : self.pending.prefix(self.urgentCount) {
      guard body.count + transaction.count <= Int(self.limits.blockBytesMax) else { break }
      body += transaction
      count += 1
    }
    self.pending.removeFirst(count)
    self.urgentCount -= min(count, self.urgentCount)
    self.pendingBytes -= body.count
    let header = BlockHeader(
      network: self.network, configuration: self.configuration.number,
      author: self.configuration.members[index].id, position: self.lastSealed.position.next,
      parent: self.lastSealed.digest, transactionCount: UInt32(count), transactionBytes: UInt32(body.count),
      body: BlockHeader.bodyDigest(body))
    self.isSealing = true
    self.lastSealed = LaneHead(position: header.position, digest: header.digest)
    effects.append(.seal(header, body: body))
  }

  private mutating func take(_ block: Block, into effects: inout [Effect]) -> Outcome {
    guard let lane = self.configuration.index(of: block.header.author) else {
      return .rejected(.unknownLane)
    }
    guard block.header.configuration == self.configuration.number else { return .ignored(.otherConfiguration) }
    self.lanes[lane].arriving[block.header.position] = nil
    guard block.header.position > self.lanes[lane].executed.position else { return .ignored(.settled) }
    guard self.lanes[lane].entries[block.digest] == nil else { return .ignored(.duplicate) }
    // ⚑ Not only after a start: a machine that was copied while it stood still goes on beside its copy.
    if lane == self.index, block.header.position > self.lastSealed.position {
      effects.append(.copied(block.header.position))
      return .rejected(.unknownOwn)
    }
    if self.lanes[lane].forkedAt == nil, !planted(.forkUnnoticed),
      let evidence = self.lanes[lane].evidence(with: block)
    {
      self.lanes[lane].forkedAt = block.header.position
      effects.append(.forked(evidence))
    }
    let isMisplaced = self.lanes[lane].isMisplaced(block.header) && !planted(.positionsUnchecked)
    guard !isMisplaced else { return .rejected(.misplaced) }
    let admission = self.lanes[lane].admission(of: block, within: self.parameters)
    guard admission != .refused else { return .ignored(.beyondWindow) }
    for fresh in self.lanes[lane].insert(block) { effects.append(.persist(fresh)) }
    if admission == .called {
      self.lanes[lane].evictDetached(
        untilAside: self.parameters.asideBytesMax, countMax: self.parameters.asideBlocksMax)
    }
    return .accepted
  }

  private mutating func take(_ evidence: ForkEvidence, into effects: inout [Effect]) -> Outcome {
    guard let lane = self.configuration.index(of: evidence.first.author) else { return .rejected(.unknownLane) }
    guard self.lanes[lane].forkedAt == nil else { return .ignored(.duplicate) }
    self.lanes[lane].forkedAt = evidence.first.position
    effects.append(.forked(evidence))
    return .accepted
  }

  private mutating func settle(_ block: Block, into effects: inout [Effect]) -> Outcome {
    guard let lane = self.configuration.index(of: block.header.author) else {
      return .rejected(.unknownLane)
    }
    // Another's block that was being written when the configuration ended is void.
    guard block.header.configuration == self.configuration.number else { return .ignored(.otherConfiguration) }
    if lane == self.index {
      if block.digest == self.lastSealed.digest { self.isSealing = false }
      _ = self.lanes[lane].insert(block, isWritten: true)
      effects.append(.publish(block))
    }
    let before = self.lanes[lane].tip
    self.lanes[lane].markDurable(block.digest)
    if self.lanes[lane].tip != before {
      effects.append(.announce(to: nil, [LaneAnnouncement(lane: lane, head: self.lanes[lane].tip)]))
    }
    effects.append(.advanced)
    self.sealIfDue(into: &effects)
    return .accepted
  }

  private mutating func expect(_ header: BlockHeader, from peer: ReplicaIndex, at now: Tick) -> Outcome {
    guard let lane = self.configuration.index(of: header.author) else { return .rejected(.unknownLane) }
    guard header.configuration == self.configuration.number else { return .ignored(.otherConfiguration) }
    self.lanes[lane].arriving = self.lanes[lane].arriving.filter { $0.value.until > now }
    guard self.lanes[lane].arriving.count < self.parameters.arrivingMax else { return .ignored(.full) }
    self.lanes[lane].arriving[header.position] = Arrival(from: peer, until: now + self.parameters.checkTimeMax)
    return .accepted
  }

  /// Whether a block is held already, durable or not.
  public func holds(_ header: BlockHeader) -> Bool {
    guard let lane = self.configuration.index(of: header.author) else { return false }
    return header.position <= self.lanes[lane].executed.position || self.lanes[lane].entries[header.digest] != nil
  }

  private mutating func hear(
    _ announcements: [LaneAnnouncement], from peer: ReplicaIndex, at now: Tick, into effects: inout [Effect]
  ) -> Outcome {
    guard peer < self.lanes.count else { return .rejected(.unknownLane) }
    // The engine looks at what a quorum holds: a word that changes nothing of that is none of its business.
    var (isNews, advances) = (false, false)
    defer { if advances { effects.append(.advanced) } }
    for announcement in announcements {
      let (lane, head) = (announcement.lane, announcement.head)
      guard lane < self.lanes.count else { return .rejected(.unknownLane) }
      let before = self.lanes[lane].announced.confirmedByQuorum
      guard self.lanes[lane].hear(head, from: peer) else { continue }
      isNews = true
      advances = advances || self.lanes[lane].announced.confirmedByQuorum > before
      // ⚑ Another block at a position that is held here: it is asked for by its digest, and proves the fork.
      guard self.lanes[lane].forkedAt == nil, self.lanes[lane].isRival(head) else { continue }
      let isSought = self.lanes[lane].wishes.contains { $0.reason == .rival }
      if !isSought { _ = self.want(lane, head, for: .rival, at: now) }
    }
    return isNews ? .accepted : .ignored(.duplicate)
  }

  private mutating func decide(_ cut: Cut, into effects: inout [Effect]) -> Outcome {
    if let index, cut.heads[index].position > self.lastSealed.position {
      effects.append(.copied(cut.heads[index].position))
    }
    for lane in self.lanes.indices { self.lanes[lane].decide(cut.heads[lane]) }
    if let index, self.lanes[index].decided.position > self.lastSealed.position {
      self.lastSealed = self.lanes[index].decided
    }
    self.sealIfDue(into: &effects)
    return .accepted
  }
}
