public import Primitives

/// The gossip router of one node: who is in each topic's mesh, what was seen, what goes to whom.
///
/// Source: gossipsub v1.1, IDONTWANT of v1.2; OVERLAY §2 names the deviations: own messages go to every direct peer,
/// others' along the mesh, and not to a peer that is known to have them or to be linked to their author.
public struct Gossip: Sendable, Equatable {
  /// A peer's number, which the owner gives; for members the replica's index.
  public typealias Peer = Int

  /// What happens to the router.
  public enum Input: Sendable {
    /// A session opened. Direct peers, the other members, get every own message.
    case connected(Peer, isDirect: Bool)
    /// A session closed.
    case disconnected(Peer)
    /// The owner has something to say.
    case publish(Topic, identifier: Digest, [UInt8])
    /// A large message is about to be validated: the mesh need not send it.
    case announced(Topic, identifier: Digest, bytes: Int, from: Peer)
    /// A message was validated. `linked` are the peers that its author reaches without us.
    case validated(Topic, identifier: Digest, [UInt8], from: Peer, linked: ReplicaSet)
    /// A message came that is here already.
    case repeated(identifier: Digest, from: Peer)
    /// A message was judged that is of no use to anybody: it is known from now on, neither kept nor passed on.
    case noted(identifier: Digest, from: Peer)
    /// A message was invalid: it is not forwarded.
    case invalid(from: Peer)
    /// Control items arrived.
    case control([ControlItem], from: Peer)
    /// The heartbeat is due.
    case timerFired
  }

  /// What the router wants done.
  public enum Effect: Sendable, Hashable {
    /// Send a message.
    case send(to: Peer, Topic, [UInt8])
    /// Send control items.
    case control(to: Peer, [ControlItem])
    /// An own message reached nobody: an alarm.
    case unheard(Topic)
  }

  /// Why an input was of no use, or wrong.
  public enum Reason: String, Sendable, Hashable {
    /// It was seen before.
    case duplicate
    /// No such peer is connected.
    case unknownPeer = "unknown peer"
    /// A graft during back-off.
    case backoff
    /// More than is accepted in a heartbeat.
    case flood
    /// Content that no honest peer sends.
    case invalid
    /// There are too many peers.
    case full
    /// Nothing to do.
    case idle
  }

  /// What a step came to.
  public typealias Outcome = Disposition<Reason>

  struct PeerState: Sendable, Equatable {
    let isDirect: Bool
    var topics = TopicSet()
    /// IHAVE items and identifiers taken since the last heartbeat.
    var heard = Heard()
    var brokenPromises = 0
    var invalidMessages = 0
  }

  struct Promise: Sendable, Equatable {
    let peer: Peer
    let until: Tick
  }

  struct Heard: Sendable, Equatable {
    var items = 0
    var identifiers = 0
  }

  struct Kept: Sendable, Equatable {
    let identifier: Digest
    let topic: Topic
  }

  struct Cached: Sendable, Equatable {
    let topic: Topic
    let payload: [UInt8]
    var sentOnRequest: [Peer: Int] = [:]
  }

  let parameters: GossipParameters
  let topics: Set<Topic>
  var peers = PeerTable<PeerState>()
  /// What was asked for: of whom, and until when it is promised.
  var promises: [Digest: Promise] = [:]
  /// What peers said not to send, and when.
  var dontWant: [Peer: [Digest: Tick]] = [:]
  var mesh = PerTopic<PeerSet>()
  /// The topics whose mesh is being filled: from joining on until it has D peers, and again once it is below Dlo.
  var filling = TopicSet()
  var backoff = PerTopic<[Peer: Tick]>()
  var seen: SeenMessages
  var cache: [Digest: Cached] = [:]
  /// What is in the cache, by the heartbeat in which it came, the newest first.
  var history: [[Kept]] = [[]]
  var cacheBytes = 0
  var random: SeededGenerator
  var nextHeartbeat: Tick

  /// A router that is in `topics`.
  public init(topics: Set<Topic>, parameters: GossipParameters, seed: UInt64, at now: Tick) {
    (self.topics, self.parameters) = (topics, parameters)
    self.random = SeededGenerator(seed: seed)
    self.seen = SeenMessages(seed: seed)
    self.nextHeartbeat = now + parameters.heartbeat
    for topic in topics {
      self.mesh[topic] = PeerSet()
      self.filling.insert(topic)
    }
  }

  /// Takes one input; appends effects in their order.
  public mutating func step(_ input: Input, at now: Tick, into effects: inout [Effect]) -> Outcome {
    switch input {
    case .connected(let peer, let isDirect):
      guard self.peers.count < self.parameters.peersMax else { return .ignored(.full) }
      self.peers[peer] = PeerState(isDirect: isDirect)
      effects.append(.control(to: peer, self.topics.sorted().map { .subscribe($0, isIn: true) }))
      return .accepted
    case .disconnected(let peer):
      guard self.peers[peer] != nil else { return .ignored(.unknownPeer) }
      self.peers[peer] = nil
      self.dontWant[peer] = nil
      // What it promised may be asked of others at once.
      self.promises = self.promises.filter { $0.value.peer != peer }
      for topic in self.topics { self.drop(peer, from: topic) }
      return .accepted
    case .publish(let topic, let identifier, let payload):
      return self.publish(topic, identifier, payload, at: now, into: &effects)
    case .announced(_, let identifier, let bytes, let from):
      return self.announce(identifier, bytes, from: from, into: &effects)
    case .validated(let topic, let identifier, let payload, let from, let linked):
      return self.forward(topic, identifier, payload, from: from, linked: linked, at: now, into: &effects)
    case .repeated(let identifier, let from):
      self.keptPromise(identifier, from)
      return .ignored(.duplicate)
    case .noted(let identifier, let from):
      self.keptPromise(identifier, from)
      guard !self.seen.contains(identifier) else { return .ignored(.duplicate) }
      self.remember(identifier, at: now)
      return .accepted
    case .invalid(let from):
      self.peers[from]?.invalidMessages += 1
      return .rejected(.invalid)
    case .control(let items, let from): return self.take(items, from: from, at: now, into: &effects)
    case .timerFired:
      guard now >= self.nextHeartbeat else { return .ignored(.idle) }
      self.beat(at: now, into: &effects)
      return .accepted
    }
  }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick { self.nextHeartbeat }
  /// The mesh of a topic, for the operator and for tests.
  public func meshPeers(_ topic: Topic) -> [Peer] { self.mesh[topic]?.peers ?? [] }
  /// Whether a message was seen within the last two minutes.
  public func hasSeen(_ identifier: Digest) -> Bool { self.seen.contains(identifier) }

  private mutating func remember(_ identifier: Digest, at now: Tick) {
    if planted(.seenForgotten) { return }
    self.seen.insert(identifier, at: now)
    if self.seen.count > self.parameters.seenMax { self.seen.removeOldest() }
  }

  private mutating func keep(_ topic: Topic, _ identifier: Digest, _ payload: [UInt8]) {
    guard self.cacheBytes + payload.count <= self.parameters.cacheBytesMax else { return }
    self.cache[identifier] = Cached(topic: topic, payload: payload)
    self.cacheBytes += payload.count
    self.history[0].append(Kept(identifier: identifier, topic: topic))
  }

  /// Whether every peer is a direct one that the author reached itself: nobody needs to be told of the message. Among
  /// members that are all connected, IHAVE would cost more than everything else (measured at 22 members: more than
  /// half of all bytes).
  private func allAreDirect(besides from: Peer?, linked: ReplicaSet?) -> Bool {
    self.peers.allSatisfy { peer, state in peer == from || state.isDirect && linked?.contains(peer) ?? true }
  }

  /// Own messages go to all direct peers, and to all subscribers (v1.1's flood publishing) or along the mesh (v1.0).
  private mutating func publish(
    _ topic: Topic, _ identifier: Digest, _ payload: [UInt8], at now: Tick, into effects: inout [Effect]
  ) -> Outcome {
    guard !self.seen.contains(identifier) else { return .ignored(.duplicate) }
    self.remember(identifier, at: now)
    if !self.allAreDirect(besides: nil, linked: nil) { self.keep(topic, identifier, payload) }
    var reached = false
    let mesh = self.mesh[topic] ?? PeerSet()
    let floods = self.parameters.isFloodPublishing
    for peer in self.peers.peers(where: {
      $1.isDirect || (floods ? $1.topics.contains(topic) : mesh.contains($0))
    }) {
      guard self.dontWant[peer]?[identifier] == nil else { continue }
      effects.append(.send(to: peer, topic, payload))
      reached = true
    }
    if !reached { effects.append(.unheard(topic)) }
    return .accepted
  }

  private func announce(
    _ identifier: Digest, _ bytes: Int, from: Peer, into effects: inout [Effect]
  ) -> Outcome {
    guard bytes >= self.parameters.iDontWantBytesMin, !self.seen.contains(identifier) else {
      return .ignored(.idle)
    }
    let receivers = Set(self.mesh.all.flatMap(\.peers)).sorted().filter { $0 != from }
    for peer in receivers { effects.append(.control(to: peer, [.iDontWant([identifier])])) }
    return receivers.isEmpty ? .ignored(.idle) : .accepted
  }

  private mutating func keptPromise(_ identifier: Digest, _ peer: Peer) {
    if !self.promises.isEmpty, self.promises[identifier]?.peer == peer { self.promises[identifier] = nil }
  }

  private mutating func forward(
    _ topic: Topic, _ identifier: Digest, _ payload: [UInt8], from: Peer, linked: ReplicaSet, at now: Tick,
    into effects: inout [Effect]
  ) -> Outcome {
    self.keptPromise(identifier, from)
    guard !self.seen.contains(identifier) else { return .ignored(.duplicate) }
    self.remember(identifier, at: now)
    if !self.allAreDirect(besides: from, linked: linked) { self.keep(topic, identifier, payload) }
    for peer in self.mesh[topic]?.peers ?? [] where peer != from && !linked.contains(peer) {
      guard self.dontWant.isEmpty || self.dontWant[peer]?[identifier] == nil else { continue }
      effects.append(.send(to: peer, topic, payload))
    }
    return .accepted
  }

  /// Two routers are equal when the same inputs lead to the same effects.
  public static func == (left: Gossip, right: Gossip) -> Bool {
    left.peers == right.peers && left.mesh == right.mesh && left.filling == right.filling && left.seen == right.seen
      && left.promises == right.promises && left.dontWant == right.dontWant
      && left.backoff == right.backoff && left.cache == right.cache && left.history == right.history
      && left.random == right.random && left.nextHeartbeat == right.nextHeartbeat
  }
}
