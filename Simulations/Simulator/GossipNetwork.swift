public import Gossip
public import Primitives
internal import Signing

/// Many gossip routers on a random graph, and nothing else: for the overlay's own behaviour at scale.
///
/// The routers are production's; what they carry is an identifier and padding that is only counted.
public struct GossipNetwork {
  /// What the network looks like.
  public struct Settings: Sendable {
    /// How many nodes.
    public var count = 1000
    /// How many connections each node opens to different others, at random.
    public var connections = 20
    /// The shortest one-way latency of a link; each link's own is drawn evenly from here to `latencyMax`.
    public var latencyMin = Span.milliseconds(10)
    /// The longest.
    public var latencyMax = Span.milliseconds(150)
    /// By how much a message may take longer than its link's latency, in parts per thousand of it.
    public var jitterPerMille: UInt64 = 100
    /// One message in so many is lost; 0 for none.
    public var lossOneIn: UInt64 = 0
    /// How many bytes a published message has.
    public var payloadBytes = 1024
    /// Over how long the connections open, each at a moment of its own. Where it is nothing, all open at once, who is
    /// near answers first, and meshes are of near peers.
    public var joining = Span(nanoseconds: 0)
    /// Whether peers are members that always get each other's own messages; all others get them as subscribers.
    public var areDirect = true
    /// The routers' own.
    public var parameters = GossipParameters()
    /// A thousand nodes of the published simulations.
    public init() {}
  }

  enum Event {
    case data(from: Int, to: Int, [UInt8])
    case control(from: Int, to: Int, [ControlItem])
    case heartbeat(Int)
    case met(Int, Int)
  }

  /// What became of one published message.
  public struct Delivery: Sendable {
    /// Who published it.
    public let publisher: Int
    /// When.
    public let at: Tick
    /// How long each node waited for it; nil where it never came.
    public var after: [Span?]
    /// How many copies arrived anywhere.
    public var copies = 0
  }

  /// What was drawn from.
  public let settings: Settings
  /// Virtual time.
  public private(set) var now = Tick.zero
  /// How many events happened.
  public private(set) var eventCount = 0
  /// Published messages.
  public private(set) var deliveries: [Delivery] = []
  /// The first promise that a router broke, in words.
  public private(set) var breach: String?
  /// Bytes of messages and control that were sent.
  public private(set) var bytes: (data: UInt64, control: UInt64) = (0, 0)
  private var routers: [Gossip]
  private var neighbours: [[(peer: Int, latency: Span)]]
  private var random: SeededGenerator
  private var queue = EventQueue<Event>()
  private var effects: [Gossip.Effect] = []
  private let topic = Topic.blocks
  private let watches: Bool
  private var sent: [SIMD4<UInt32>: Int] = [:]
  private var pruned: [SIMD2<Int>: Tick] = [:]

  /// A network whose everything follows from `seed`; `watching` checks every router's promises, which costs time.
  public init(_ settings: Settings, seed: UInt64, watching: Bool = false) {
    self.settings = settings
    self.watches = watching
    var random = SeededGenerator(seed: seed)
    var links: [Set<Int>] = Array(repeating: [], count: settings.count)
    for node in 0..<settings.count {
      // A ring first, so that nobody is alone.
      var wanted: Set = [(node + 1) % settings.count]
      while wanted.count < min(settings.connections, settings.count - 1) {
        let other = Int(random.below(UInt64(settings.count)))
        if other != node { wanted.insert(other) }
      }
      for other in wanted where other != node {
        links[node].insert(other)
        links[other].insert(node)
      }
    }
    let spread = settings.latencyMax.nanoseconds - settings.latencyMin.nanoseconds + 1
    let salt = random.next()
    self.neighbours = links.enumerated().map { node, peers in
      peers.sorted().map { peer in
        // The same in both directions.
        var draw = SeededGenerator(seed: salt ^ UInt64(min(node, peer)) << 32 ^ UInt64(max(node, peer)))
        return (peer, Span(nanoseconds: settings.latencyMin.nanoseconds + draw.below(spread)))
      }
    }
    self.routers = (0..<settings.count).map { node in
      // Heartbeats are not in step.
      let begun = Tick(nanoseconds: random.below(settings.parameters.heartbeat.nanoseconds))
      return Gossip(topics: [.blocks], parameters: settings.parameters, seed: random.next(), at: begun)
    }
    self.random = random
    for node in 0..<settings.count {
      for (peer, _) in self.neighbours[node] {
        if settings.joining.nanoseconds == 0 {
          self.meet(node, peer)
        } else if node < peer {
          self.queue.add(
            .met(node, peer), at: .zero + Span(nanoseconds: self.random.below(settings.joining.nanoseconds)))
        }
      }
      self.queue.add(.heartbeat(node), at: self.routers[node].deadline)
    }
  }

  /// Publishes a message; its place in `deliveries`.
  @discardableResult
  public mutating func publish(from node: Int) -> Int {
    let number = self.deliveries.count
    var delivery = Delivery(publisher: node, at: self.now, after: Array(repeating: nil, count: self.settings.count))
    delivery.after[node] = Span(nanoseconds: 0)
    self.deliveries.append(delivery)
    self.step(node, .publish(self.topic, identifier: Self.identifier(number), Self.payload(number)))
    return number
  }

  /// Lets a hostile node say something to a peer.
  public mutating func inject(_ items: [ControlItem], from node: Int, to peer: Int) {
    self.send(items, from: node, to: peer)
  }

  /// The identifier of the n-th published message.
  public static func identifier(_ number: Int) -> Digest {
    let word = UInt64(number &+ 1)
    return Digest(words: (word &* 0x9E37_79B9_7F4A_7C15, word, 0, 1))
  }

  private static func payload(_ number: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  }

  private static func number(_ payload: [UInt8]) -> Int {
    Int(payload[0]) | Int(payload[1]) << 8 | Int(payload[2]) << 16 | Int(payload[3]) << 24
  }

  /// Runs for a span of virtual time.
  public mutating func run(for span: Span) {
    let end = self.now + span
    while let next = self.queue.nextTick, next <= end, let (tick, event) = self.queue.pop() {
      self.now = tick
      self.eventCount += 1
      self.handle(event)
    }
    self.now = end
  }

  /// The peers in a node's mesh.
  public func meshPeers(_ node: Int) -> [Int] { self.routers[node].meshPeers(self.topic) }
  /// The nodes that a node is connected with.
  public func peers(_ node: Int) -> [Int] { self.neighbours[node].map(\.peer) }

  private mutating func meet(_ node: Int, _ peer: Int) {
    self.step(node, .connected(peer, isDirect: self.settings.areDirect))
  }

  private mutating func handle(_ event: Event) {
    switch event {
    case .met(let node, let peer):
      self.meet(node, peer)
      self.meet(peer, node)
    case .heartbeat(let node):
      self.step(node, .timerFired)
      if self.watches { self.checkMesh(node) }
      self.queue.add(.heartbeat(node), at: max(self.routers[node].deadline, self.now + .microseconds(1)))
    case .control(let from, let to, let items): self.step(to, .control(items, from: from))
    case .data(let from, let to, let payload):
      let number = Self.number(payload)
      self.deliveries[number].copies += 1
      if self.deliveries[number].after[to] == nil {
        self.deliveries[number].after[to] = self.now - self.deliveries[number].at
      }
      let identifier = Self.identifier(number)
      self.step(to, .validated(self.topic, identifier: identifier, payload, from: from, linked: ReplicaSet()))
    }
  }

  private mutating func step(_ node: Int, _ input: Gossip.Input) {
    self.effects.removeAll(keepingCapacity: true)
    _ = self.routers[node].step(input, at: self.now, into: &self.effects)
    for effect in self.effects {
      switch effect {
      case .send(let to, _, let payload): self.send(payload, from: node, to: to)
      case .control(let to, let items): self.send(items, from: node, to: to)
      case .unheard: break
      }
    }
  }

  private mutating func latency(_ node: Int, _ peer: Int) -> Span? {
    let row = self.neighbours[node]
    var (low, high) = (0, row.count)
    while low < high {
      let middle = (low + high) / 2
      if row[middle].peer < peer { low = middle + 1 } else { high = middle }
    }
    guard low < row.count, row[low].peer == peer else { return nil }
    let base = row[low].latency.nanoseconds
    return Span(nanoseconds: base + self.random.below(base * self.settings.jitterPerMille / 1000 + 1))
  }

  private mutating func send(_ payload: [UInt8], from node: Int, to peer: Int) {
    guard let span = self.latency(node, peer) else { return }
    self.bytes.data += UInt64(self.settings.payloadBytes)
    if self.watches { self.count(payload, from: node, to: peer) }
    guard self.settings.lossOneIn == 0 || !self.random.oneIn(self.settings.lossOneIn) else { return }
    self.queue.add(.data(from: node, to: peer, payload), at: self.now + span)
  }

  private mutating func send(_ items: [ControlItem], from node: Int, to peer: Int) {
    guard let span = self.latency(node, peer) else { return }
    for item in items {
      switch item {
      case .iHave(_, let identifiers), .iWant(let identifiers), .iDontWant(let identifiers):
        self.bytes.control += UInt64(32 * identifiers.count)
      case .prune: if self.watches { self.pruned[SIMD2(node, peer)] = self.now }
      case .subscribe, .graft: self.bytes.control += 8
      }
    }
    self.queue.add(.control(from: node, to: peer, items), at: self.now + span)
  }

  /// A router sends one message to one peer once, and a few times more on request.
  private mutating func count(_ payload: [UInt8], from node: Int, to peer: Int) {
    let key = SIMD4(UInt32(Self.number(payload)), UInt32(node), UInt32(peer), 0)
    let count = self.sent[key, default: 0] + 1
    self.sent[key] = count
    if count > 1 + self.settings.parameters.retransmissionsMax {
      self.breach = "OVERLAY §2: node \(node) sent one message \(count) times to \(peer)"
    }
  }

  private mutating func checkMesh(_ node: Int) {
    let mesh = self.meshPeers(node)
    if mesh.count > self.settings.parameters.degreeMax {
      self.breach = "OVERLAY §2: the mesh of node \(node) has \(mesh.count) peers"
    }
    self.checkFilled(node, mesh)
    for peer in mesh {
      guard let at = self.pruned[SIMD2(node, peer)] else { continue }
      if self.now < at + self.settings.parameters.pruneBackoff {
        self.breach = "OVERLAY §2: node \(node) takes \(peer) back into its mesh before the back-off is over"
      }
    }
  }

  /// Whom nobody refused or put out has D peers soon after its connections opened, or all that there are.
  private mutating func checkFilled(_ node: Int, _ mesh: [Int]) {
    let settled =
      Tick.zero + self.settings.joining + self.settings.latencyMax * 4 + self.settings.parameters.heartbeat * 2
    let peers = self.peers(node)
    let wanted = min(self.settings.parameters.degree, peers.count)
    guard self.now > settled, mesh.count < wanted, !peers.contains(where: { self.pruned[SIMD2($0, node)] != nil })
    else { return }
    self.breach = "OVERLAY §2: the mesh of node \(node) has \(mesh.count) peers of \(wanted) that it wants"
  }
}
