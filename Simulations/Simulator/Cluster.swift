public import HealthRecords
internal import Custody
internal import Lanes
internal import Ledger
public import Messages
public import NodeCore
internal import Ordering
public import Primitives
public import Rules
internal import Sessions
public import Signing

/// Members in one process on a deterministic network: virtual time, one seed, the production node unchanged.
///
/// A *slot* is one simulated machine. Slot i is member i; the next may join later; further ones are twins, which hold a
/// member's keys too.
public final class Cluster {
  /// Something that happens at a point in time.
  enum Event {
    case deliver(from: Int, to: Int, Packet, link: UInt64)
    case synced(Int, UInt64, incarnation: Int)
    case timer(Int, Tick, incarnation: Int)
    case slice(Int, incarnation: Int)
    case wake(Int, incarnation: Int)
    case depart(from: Int, to: Int, Packet, link: UInt64)
    case planned(Int)
  }

  /// What waits for a write.
  enum Held {
    case send(Int, Channel, [UInt8])
    case handBack(OwnItem)
  }

  /// One simulated machine.
  final class Machine {
    var keys: NodeKeys
    /// Its place among the members, now or once it has joined.
    let member: ReplicaIndex
    var node: Node?
    var disk: SimulatedDisk
    var state: MemoryState
    var gate = DurabilityGate<Held>()
    var writing: [StoreWrite] = []
    var incarnation = 0
    var timerAt: Tick?
    var receipts: [Digest: Receipt] = [:]
    var isPaused = false
    /// Until when its processor is busy; what comes meanwhile waits in `held`.
    var busyUntil = Tick.zero
    var held: [Event] = []
    var isWaking = false
    var uplinkBusyUntil = Tick.zero
    /// After how many further effects it stops; nil for never.
    var effectsUntilCrash: Int?
    var losesWriteAtCrash: Bool?
    var adversary: (any Adversary)?
    /// By how much longer than others its disk syncs, and whether it is full.
    var diskFactor: UInt64 = 1
    var isDiskFull = false
    /// What members say again, unasked, or of no use, and how often each was charged for it.
    var words = PeerWords()
    var charges: [ReplicaIndex: Int] = [:]
    /// How many signatures it verified of what each member sent.
    var verified: [ReplicaIndex: UInt64] = [:]
    /// What its history lacks, as far as that is known to be under way to the disk.
    var gaps: [HistoryGap] = []

    /// Whether its disk is a copy from before, of a machine whose keys went on signing.
    var isCopy = false
    /// The last cut that it executed since it started.
    var lastCut: Cut?
    /// With which it reads its shares; kept with its keys.
    var custodySecrets = CustodianSecrets()
    /// Its services, and what the driver keeps for them.
    var host = ServiceHost()
    /// What it goes on as once it has lost its keys, and how often that happened.
    var renewals = 0

    init(keys: consuming NodeKeys, member: ReplicaIndex, disk: SimulatedDisk) {
      self.keys = keys
      self.member = member
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
  /// Hears of every packet that a slot takes, and of every report: for diagrams.
  public var onArrival: ((_ from: Int, _ to: Int, Packet) -> Void)?
  /// Hears of every report.
  public var onReport: ((_ slot: Int, NodeEvent) -> Void)?
  /// What is measured, where somebody wants to know.
  public var recorder: Recorder?
  /// What correct members promised by what they said.
  public let watch: Watch
  /// The first invariant that a machine did not keep, in words.
  public internal(set) var breach: String?
  /// The members that are not correct: twins, and those given an adversary.
  public internal(set) var faulty: Set<ReplicaIndex>
  /// How many events happened.
  public private(set) var eventCount = 0
  /// How often a slot went on from a snapshot of others.
  public internal(set) var transferCount = 0
  /// What nodes reported, in order.
  public internal(set) var reports: [(at: Tick, slot: Int, event: NodeEvent)] = []
  let machines: [Machine]
  /// What correct hospitals promised by what they asked and answered.
  let serviceWatch = ServiceWatch()
  /// Drawn apart: where nobody asks anything, everything is as without it.
  var serviceRandom: SeededGenerator
  var serviceTickets: UInt64 = 0
  let parameters: Node.Parameters
  let rules: any ExecutionRules
  /// The rules of slots that run another program, from their next start on.
  public var rulesBySlot: [Int: any ExecutionRules] = [:]
  /// Every configuration that a node went over to, and what checks its messages.
  var configurations: [ConfigurationNumber: Configuration]
  var checkers: [ConfigurationNumber: MessageChecker]
  var random: SeededGenerator
  var queue = EventQueue<Event>()
  /// A number for each ordered pair of slots that grows when their connection breaks.
  var links: [UInt64]
  var linkBusyUntil: [Tick]
  var isOpen: [Bool]
  /// Ordered pairs of slots between which nothing can connect.
  var blocked: Set<Int> = []
  /// How many times longer than others a pair's messages take.
  var slowness: [Int: UInt64] = [:]
  /// Messages of a kind that vanish between two slots.
  var filters: [Filter] = []
  var plans: [Int: () -> Void] = [:]
  private var planCount = 0
  /// So many events at one point in time are more than any work: something spins.
  private static let eventsAtTickMax = 200_000
  private var eventsAtTick = 0
  /// The last packet made: a broadcast shares one.
  var lastPacket: Packet?
  private var traceWords: (UInt64, UInt64) = (0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344)
  /// How many slots there are: members and twins.
  public let slotCount: Int
  let count: Int

  /// Messages of one kind that vanish on some links.
  struct Filter {
    let kind: MessageKind
    let from: Set<Int>
    let to: Set<Int>
  }

  /// A cluster of `count` members, and of as many as may join them, whose everything follows from `seed`; each of
  /// `twins` runs a second time.
  public init(
    count: Int, joiners: Int = 0, seed: UInt64, limits: LedgerLimits = LedgerLimits(),
    parameters: Node.Parameters = Node.Parameters(),
    world: World = World(), rules: any ExecutionRules = HealthRules(), twins: [ReplicaIndex] = []
  ) {
    self.count = count
    self.slotCount = count + joiners + twins.count
    self.random = SeededGenerator(seed: seed)
    self.serviceRandom = SeededGenerator(seed: seed ^ 0x5e71)
    (self.world, self.parameters, self.rules) = (world, parameters, rules)
    let described = (0..<count).map { Self.describe($0) }
    guard let genesis = Genesis(name: "simulated", engine: world.engine, limits: limits, members: described) else {
      preconditionFailure("\(count) members make no genesis")
    }
    self.genesis = genesis
    self.watch = Watch()
    self.faulty = Set(twins)
    self.configurations = [:]
    self.checkers = [:]
    let slots = self.slotCount
    self.links = Array(repeating: 0, count: slots * slots)
    self.linkBusyUntil = Array(repeating: .zero, count: slots * slots)
    self.isOpen = Array(repeating: false, count: slots * slots)
    self.machines = (Array(0..<(count + joiners)) + twins).map {
      Machine(keys: Self.keys($0), member: $0, disk: Self.emptyDisk(genesis))
    }
    self.know(genesis.configuration)
    for slot in 0..<slots { self.start(slot) }
  }

  private static func emptyDisk(_ genesis: Genesis) -> SimulatedDisk {
    SimulatedDisk(genesis.configuration, lifeMilliseconds: genesis.limits.transactionLifeMilliseconds)
  }
  func emptyDisk() -> SimulatedDisk { Self.emptyDisk(self.genesis) }

  static func secret(_ use: StaticString, _ index: Int, renewal: Int = 0) -> [UInt8] {
    Hash.blake2b(
      use, [UInt8(truncatingIfNeeded: index)] + (renewal == 0 ? [] : [UInt8(truncatingIfNeeded: renewal)])
    ).bytes
  }

  /// The keys of a member: for tests that lie in its name. Each `renewal` has others.
  public static func keys(_ index: Int, renewal: Int = 0) -> NodeKeys {
    let keys = NodeKeys(
      memberSeed: self.secret("member", index, renewal: renewal),
      checkpointSeed: self.secret("checkpoint", index, renewal: renewal),
      sealingSecret: self.secret("sealing", index, renewal: renewal))
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

  static func describe(_ index: Int, renewal: Int = 0) -> Member {
    let keys = self.keys(index, renewal: renewal)
    guard let sealing = Digest(KeyAgreement.publicKey(of: keys.sealingSecret)) else {
      preconditionFailure("an X25519 key has 32 bytes")
    }
    return Member(
      id: MemberID(UInt32(index + 1)), name: "Hospital \(index + 1)", key: keys.publicKey,
      checkpointKey: keys.checkpoint.publicKey, registrarKey: self.registrar(index).publicKey, sealingKey: sealing,
      addresses: [])
  }

  /// Both clocks of a slot.
  func moment(_ slot: Int) -> Moment { Moment(tick: self.now, wall: self.world.wall(of: slot, at: self.now)) }

  /// The digest of everything that happened, in order: equal for equal seeds.
  public var trace: Digest {
    Digest(words: (self.traceWords.0, self.traceWords.1, UInt64(self.eventCount), self.now.nanoseconds))
  }

  /// Executes the next event; false where there is none.
  public func step() -> Bool {
    guard let (tick, event) = self.queue.pop() else { return false }
    precondition(tick >= self.now, "time goes on")
    self.eventsAtTick = tick == self.now ? self.eventsAtTick + 1 : 0
    if self.eventsAtTick > Self.eventsAtTickMax {
      // A timer that is due and fires for ever: time would stand still.
      self.breach = self.breach ?? "I9: a timer fires for ever at \(tick.nanoseconds / 1000) µs"
      self.queue = EventQueue()
      return false
    }
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

  /// Runs until a condition holds, which is asked after each event, or after every so many; false where it did not
  /// within a span.
  public func run(within span: Span, asking every: Int = 1, until condition: () -> Bool) -> Bool {
    let end = self.now + span
    while !condition() {
      for _ in 0..<every {
        guard let next = self.queue.nextTick, next <= end, self.step() else { return condition() }
      }
    }
    return true
  }

  /// Does something at a point in virtual time.
  public func plan(at tick: Tick, _ action: @escaping () -> Void) {
    self.plans[self.planCount] = action
    self.queue.add(.planned(self.planCount), at: max(tick, self.now))
    self.planCount += 1
  }

  /// Mixes an event into the trace: what happened, where, when, and to which bytes.
  private func note(_ kind: UInt64, _ slot: Int, _ fingerprint: UInt64) {
    var word = self.traceWords.0 ^ (kind << 56) ^ (UInt64(slot) << 40) ^ self.now.nanoseconds
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ fingerprint ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    self.traceWords.1 = (self.traceWords.1 &+ word) &* 0x9E37_79B9_7F4A_7C15
    self.traceWords.0 = word ^ (word >> 31)
  }

  func handle(_ event: Event) {
    switch event {
    case .depart(let from, let to, let packet, let link):
      guard self.links[from * self.slotCount + to] == link else { return }
      self.travel(packet, from: from, to: to)
    case .planned(let number):
      self.note(5, 0, UInt64(number))
      self.plans.removeValue(forKey: number)?()
    case .wake(let slot, let incarnation):
      guard self.machines[slot].incarnation == incarnation else { return }
      self.machines[slot].isWaking = false
      self.catchUp(slot)
    case .deliver(_, let slot, _, _), .synced(let slot, _, _), .timer(let slot, _, _), .slice(let slot, _):
      guard self.isCurrent(event) else { return }
      guard !self.machines[slot].isPaused, self.now >= self.machines[slot].busyUntil, self.machines[slot].held.isEmpty
      else {
        self.machines[slot].held.append(event)
        self.wakeWhenFree(slot)
        return
      }
      self.happen(event, slot)
    }
  }

  /// Whether an event still concerns anybody: its connection, its member or its timer may be gone.
  private func isCurrent(_ event: Event) -> Bool {
    switch event {
    case .deliver(let from, let to, _, let link): self.links[from * self.slotCount + to] == link
    case .synced(let slot, _, let incarnation), .slice(let slot, let incarnation), .wake(let slot, let incarnation):
      self.machines[slot].incarnation == incarnation
    case .timer(let slot, let tick, let incarnation):
      self.machines[slot].incarnation == incarnation && self.machines[slot].timerAt == tick
    case .depart, .planned: true
    }
  }

  private func happen(_ event: Event, _ slot: Int) {
    switch event {
    case .deliver(let from, _, let packet, _):
      self.note(1, slot, packet.fingerprint)
      self.onArrival?(from, slot, packet)
      self.receive(packet, from: self.place(of: from, at: slot), at: slot)
    case .synced(_, let batch, _):
      self.note(2, slot, 0)
      self.settle(slot, batch)
    case .timer:
      self.machines[slot].timerAt = nil
      self.note(3, slot, 0)
      self.give(.timerFired, to: slot)
    case .slice:
      self.note(4, slot, 0)
      self.give(.sliceDue, to: slot)
    case .wake, .depart, .planned: preconditionFailure("handled before")
    }
  }

  /// Lets a machine go on with what waited, one event at a time, as its processor allows.
  func catchUp(_ slot: Int) {
    let machine = self.machines[slot]
    while !machine.isPaused, self.now >= machine.busyUntil, !machine.held.isEmpty {
      let event = machine.held.removeFirst()
      if self.isCurrent(event) { self.happen(event, slot) }
    }
    self.wakeWhenFree(slot)
  }

  private func wakeWhenFree(_ slot: Int) {
    let machine = self.machines[slot]
    guard !machine.isPaused, !machine.isWaking, !machine.held.isEmpty else { return }
    machine.isWaking = true
    self.queue.add(.wake(slot, incarnation: machine.incarnation), at: max(self.now, machine.busyUntil))
  }

  /// Occupies a machine's processor.
  func charge(_ slot: Int, _ span: Span) {
    guard span.nanoseconds > 0 else { return }
    self.machines[slot].busyUntil = max(self.machines[slot].busyUntil, self.now) + span
  }

  private func receive(_ packet: Packet, from member: ReplicaIndex, at slot: Int) {
    guard let configuration = self.machines[slot].node?.configuration.number, let checker = self.checkers[configuration]
    else { return }
    let cost = self.world.processor
    let copying = cost.kibibyte.nanoseconds * UInt64(packet.bytes.count) / 1024
    self.charge(slot, Span(nanoseconds: cost.message.nanoseconds + copying))
    self.recorder?.received(packet, at: slot, self.now)
    guard self.isNews(packet, from: member, at: slot) else { return }
    let signatures = self.signatures(in: packet, at: slot)
    self.charge(slot, Span(nanoseconds: cost.verification.nanoseconds * signatures / max(1, cost.cores)))
    self.machines[slot].verified[member, default: 0] += signatures
    do throws(PeerFault) {
      let message = try packet.check(checker, in: configuration)
      self.give(.received(message, from: member), to: slot)
    } catch {
      if error != .otherConfiguration { self.give(.refused(from: member), to: slot) }
    }
  }

  /// How many signatures of a message are verified here: of many blocks only those that are of use.
  private func signatures(in packet: Packet, at slot: Int) -> UInt64 {
    guard case .blocks(let blocks)? = packet.message,
      let useless = self.machines[slot].node?.useless(inBlocks: packet.bytes).indices
    else { return packet.signatureCount }
    return blocks.indices.filter { !useless.contains($0) }.reduce(0) { $0 + blocks[$1].signatureCount }
  }

  /// As the production driver: what is here already, unasked or of no use is dropped before a signature is looked at.
  private func isNews(_ packet: Packet, from member: ReplicaIndex, at slot: Int) -> Bool {
    let machine = self.machines[slot]
    if member < ReplicaSet.countMax {
      let verdict = machine.node?.judge(packet.bytes, from: member, after: &machine.words, at: self.now)
      switch verdict {
      case .check: break
      case .drop(let seen), .charge(let seen), .repeated(let seen):
        if verdict != .drop(seen) { machine.charges[member, default: 0] += 1 }
        if let seen { self.give(.repeated(seen, from: member), to: slot) }
        return false
      case nil: return false
      }
    }
    if packet.channel == .blocks, let header = PeerMessage.blockHeader(in: packet.bytes) {
      guard machine.node?.lanes.holds(header) == false else { return false }
      self.give(.arriving(header, from: member), to: slot)
    }
    guard let message = packet.message, let screen = machine.node?.screen else { return machine.node != nil }
    return !screen.drops(message)
  }
}
