public import HealthRecords
internal import Ledger
public import Messages
public import NodeCore
internal import Ordering
public import Primitives
public import Rules
internal import Sessions
public import Signing

/// Members in one process on a deterministic network: virtual time, one seed, the production node unchanged.
public final class Cluster {
  /// How the world behaves.
  public struct World: Sendable {
    /// The shortest time that a message takes.
    public var latencyMin = Span.microseconds(200)
    /// By how much more it may take.
    public var latencySpread = Span.microseconds(800)
    /// How long a sync takes at least.
    public var syncMin = Span.microseconds(200)
    /// By how much more it may take.
    public var syncSpread = Span.microseconds(2000)
    /// One message in so many is lost, though its connection lives; 0 for none.
    public var lossOneIn: UInt64 = 0
    /// The wall clock at the start.
    public var wallStart = Timestamp(milliseconds: 1_750_000_000_000)
    /// A calm local network.
    public init() {}
  }

  /// Something that happens at a point in time.
  enum Event {
    case deliver(from: Int, to: Int, Channel, [UInt8], link: UInt64)
    case synced(Int, UInt64, incarnation: Int)
    case timer(Int, Tick, incarnation: Int)
    case slice(Int, incarnation: Int)
  }

  /// What waits for a write.
  enum Held {
    case send(Int, Channel, [UInt8])
    case handBack(SignedItem)
  }

  /// One simulated member.
  final class SimulatedMember {
    let keys: NodeKeys
    var node: Node?
    var disk: SimulatedDisk
    var state: MemoryState
    var gate = DurabilityGate<Held>()
    var writing: [StoreWrite] = []
    var incarnation = 0
    var timerAt: Tick?
    var receipts: [Digest: Receipt] = [:]
    var isPaused = false
    var paused: [Event] = []

    init(keys: consuming NodeKeys, disk: SimulatedDisk) {
      self.keys = keys
      self.disk = disk
      self.state = disk.state
    }
  }

  /// The consortium.
  public let genesis: Genesis
  /// How the world behaves from now on.
  public var world: World
  /// Virtual time.
  public private(set) var now = Tick.zero
  /// Changes a message on its way, or drops it (nil): for lies and losses.
  public var tamper: ((_ from: Int, _ to: Int, PeerMessage) -> PeerMessage?)?
  /// The digest of everything that happened, in order: equal for equal seeds.
  public private(set) var trace = Digest.zero
  /// How many events happened.
  public private(set) var eventCount = 0
  /// What nodes reported, in order.
  public internal(set) var reports: [(member: Int, event: NodeEvent)] = []
  let members: [SimulatedMember]
  let parameters: Node.Parameters
  let rules: any ExecutionRules
  private let checker: MessageChecker
  var random: SeededGenerator
  var queue = EventQueue<Event>()
  var links: [UInt64]
  var linkBusyUntil: [Tick]
  var blocked: Set<Int> = []
  let count: Int

  /// A cluster of `count` members whose everything follows from `seed`.
  public init(
    count: Int, seed: UInt64, limits: LedgerLimits = LedgerLimits(), parameters: Node.Parameters = Node.Parameters(),
    world: World = World(), rules: any ExecutionRules = HealthRules()
  ) {
    self.count = count
    self.random = SeededGenerator(seed: seed)
    (self.world, self.parameters, self.rules) = (world, parameters, rules)
    let described = (0..<count).map { Self.describe($0) }
    guard let genesis = Genesis(name: "simulated", engine: .pbft, limits: limits, members: described) else {
      preconditionFailure("\(count) members make no genesis")
    }
    self.genesis = genesis
    self.checker = MessageChecker(
      network: genesis.network, configuration: genesis.configuration, limits: genesis.limits)
    self.links = Array(repeating: 0, count: count * count)
    self.linkBusyUntil = Array(repeating: .zero, count: count * count)
    self.members = (0..<count).map {
      SimulatedMember(keys: Self.keys($0), disk: SimulatedDisk(genesis.configuration))
    }
    for index in 0..<count { self.start(index) }
  }

  static func secret(_ use: StaticString, _ index: Int) -> [UInt8] { Hash.blake2b(use, [UInt8(index)]).bytes }

  /// The keys of a member: for tests that lie in its name.
  public static func keys(_ index: Int) -> NodeKeys {
    let keys = NodeKeys(
      memberSeed: self.secret("member", index), checkpointSeed: self.secret("checkpoint", index),
      sealingSecret: self.secret("sealing", index))
    guard let keys else { preconditionFailure("seeds have 32 bytes") }
    return keys
  }

  /// The registrar's key of a member.
  public static func registrar(_ index: Int) -> SigningKey {
    guard let key = SigningKey(seed: self.secret("registrar", index)) else {
      preconditionFailure("seeds have 32 bytes")
    }
    return key
  }

  static func describe(_ index: Int) -> Member {
    let keys = self.keys(index)
    guard let sealing = Digest(KeyAgreement.publicKey(of: keys.sealingSecret)) else {
      preconditionFailure("an X25519 key has 32 bytes")
    }
    return Member(
      id: MemberID(UInt32(index + 1)), name: "Hospital \(index + 1)", key: keys.publicKey,
      checkpointKey: keys.checkpoint.publicKey, registrarKey: self.registrar(index).publicKey, sealingKey: sealing,
      addresses: [])
  }

  /// Both clocks of a member.
  func moment(_ index: Int) -> Moment {
    Moment(tick: self.now, wall: self.world.wallStart.adding(milliseconds: self.now.nanoseconds / 1_000_000))
  }

  /// Executes the next event; false where there is none.
  public func step() -> Bool {
    guard let (tick, event) = self.queue.pop() else { return false }
    precondition(tick >= self.now, "time goes on")
    self.now = tick
    self.eventCount += 1
    self.handle(event)
    return true
  }

  /// Runs until virtual time is `tick`.
  public func run(until tick: Tick) {
    while let next = self.queue.nextTick, next <= tick { _ = self.step() }
    self.now = max(self.now, tick)
  }

  /// Runs for a span of virtual time.
  public func run(for span: Span) { self.run(until: self.now + span) }

  /// Runs until a condition holds; false where it did not within a span.
  public func run(within span: Span, until condition: () -> Bool) -> Bool {
    let end = self.now + span
    while !condition() {
      guard let next = self.queue.nextTick, next <= end, self.step() else { return condition() }
    }
    return true
  }

  private func note(_ kind: UInt8, _ member: Int, _ bytes: [UInt8]) {
    var time = self.now.nanoseconds
    var head: [UInt8] = [kind, UInt8(truncatingIfNeeded: member)]
    for _ in 0..<8 {
      head.append(UInt8(truncatingIfNeeded: time))
      time >>= 8
    }
    self.trace = Hash.blake2b("trace", self.trace.bytes, head, bytes)
  }

  func handle(_ event: Event) {
    switch event {
    case .deliver(let from, let to, let channel, let bytes, let link):
      guard self.links[from * self.count + to] == link else { return }
      if self.holdBack(event, of: to) { return }
      self.note(1, to, bytes)
      self.receive(bytes, on: channel, from: from, to: to)
    case .synced(let index, let batch, let incarnation):
      guard self.members[index].incarnation == incarnation else { return }
      if self.holdBack(event, of: index) { return }
      self.note(2, index, [])
      self.settle(index, batch)
    case .timer(let index, let tick, let incarnation):
      guard self.members[index].incarnation == incarnation, self.members[index].timerAt == tick else { return }
      if self.holdBack(event, of: index) { return }
      self.members[index].timerAt = nil
      self.note(3, index, [])
      self.give(.timerFired, to: index)
    case .slice(let index, let incarnation):
      guard self.members[index].incarnation == incarnation else { return }
      if self.holdBack(event, of: index) { return }
      self.give(.sliceDue, to: index)
    }
  }

  private func holdBack(_ event: Event, of index: Int) -> Bool {
    guard self.members[index].isPaused else { return false }
    self.members[index].paused.append(event)
    return true
  }

  private func receive(_ bytes: [UInt8], on channel: Channel, from: Int, to: Int) {
    guard self.members[to].node != nil else { return }
    do {
      self.give(.received(try self.checker.check(bytes, on: channel), from: from), to: to)
    } catch { self.give(.refused(from: from), to: to) }
  }
}
