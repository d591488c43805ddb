internal import Wire
internal import Ledger
internal import Messages
internal import NodeCore
internal import Primitives
internal import Signing

/// One seed's run of state transfer alone: a member far behind among members that serve snapshots, of which up to f lie
/// with one voice, over connections that lose messages and break (LEDGER §7).
struct TransferRun {
  /// What is on its way, or due.
  private enum Event {
    case input(Transfer.Input, incarnation: Int)
    case asked(ReplicaIndex, Transfer.Effect)
    case offer(ReplicaIndex)
    case fault
    case executed
  }

  /// How long the network is at fault, and how long after that a transfer may take.
  private static let trouble = Span.milliseconds(20_000)
  private static let patience = Span.milliseconds(120_000)
  private static let heldMax = Span.milliseconds(2500)

  private var random: SeededGenerator
  private let genesis: Genesis
  private let liars: Set<ReplicaIndex>
  /// What honest members made, the newest last, and what the liars agreed on.
  private let made: [(bundle: SnapshotBundle, chunks: [[UInt8]])]
  private let forged: (bundle: SnapshotBundle, chunks: [[UInt8]])
  private var transfer: Transfer
  private var queue = EventQueue<Event>()
  private var now = Tick.zero
  private var incarnation = 0
  private var connected: Set<ReplicaIndex>
  private var kept: [Digest: [Int: [UInt8]]] = [:]
  private var believed: SnapshotBundle?
  private var executed = SequenceNumber(5)
  /// Since when replaying waits, while nothing is executed, fetched or begun.
  private var heldSince: Tick?
  private var breach: String?

  init(seed: UInt64) {
    var random = SeededGenerator(seed: seed ^ 0x7a45)
    let count = [1, 4, 4, 4, 7][Int(random.below(5))]
    let members = (0..<count).map { Cluster.describe($0) }
    guard let genesis = Genesis(name: "transfer", engine: .pbft, limits: LedgerLimits(), members: members) else {
      preconditionFailure("\(count) members make no genesis")
    }
    var liars: Set<ReplicaIndex> = []
    while liars.count < (count - 1) / 3 { liars.insert(Int(random.below(UInt64(count)))) }
    (self.genesis, self.liars) = (genesis, random.oneIn(4) ? [] : liars)
    let snapshots = 1 + random.below(3)
    self.made = (0..<snapshots).map { number in
      Self.snapshot(of: genesis, at: 100 * (number + 1), chunks: Int(random.below(12)), content: UInt8(number))
    }
    self.forged = Self.snapshot(of: genesis, at: 100 * (1 + random.below(5)), chunks: 3, content: 0xff)
    self.connected = Set(0..<count)
    self.transfer = Self.transfer(genesis, executed: self.executed)
    self.random = random
  }

  private static func transfer(_ genesis: Genesis, executed: SequenceNumber) -> Transfer {
    var parameters = Transfer.Parameters()
    (parameters.distance, parameters.parallelMax, parameters.patience) = (10, 4, .milliseconds(1000))
    return Transfer(
      network: genesis.network, parameters: parameters, known: ConfigurationNumber(0), executed: executed)
  }

  private static func snapshot(
    of genesis: Genesis, at sequence: UInt64, chunks: Int, content: UInt8
  ) -> (bundle: SnapshotBundle, chunks: [[UInt8]]) {
    let cut = Cut(heads: Cut.genesis(lanes: genesis.members.count).heads, time: Timestamp(milliseconds: sequence))
    var position = LedgerPosition()
    (position.sequence, position.time) = (SequenceNumber(sequence), cut.time)
    let chunks = (0..<chunks).map { number in
      SnapshotPair(.state, key: [content, UInt8(number)], value: [content]).encoded
    }
    let point = SnapshotPoint(
      configuration: ConfigurationNumber(0), startCut: .genesis(lanes: genesis.members.count), position: position,
      cut: cut)
    let decision = Decision(
      configuration: ConfigurationNumber(0), view: View(0), sequence: position.sequence, cut: cut,
      evidence: .commits([]))
    let manifest = SnapshotManifest(point, chunks: chunks.map { SnapshotManifest.digest(of: $0) })
    return (SnapshotBundle(manifest, decision: decision, links: []), chunks)
  }

  /// The first promise that was broken; nil where all held. `events` counts what happened.
  mutating func run(events: inout Int) -> String? {
    for member in self.genesis.members.indices { self.queue.add(.offer(member), at: self.delay()) }
    self.queue.add(.fault, at: self.delay())
    self.queue.add(.executed, at: self.delay())
    while self.breach == nil, self.believed == nil, self.now < .zero + Self.trouble + Self.patience {
      let due = self.transfer.deadline.map { max($0, self.now) }
      if let due, self.queue.nextTick.map({ due <= $0 }) ?? true {
        self.now = due
        self.give(.timerFired)
      } else if let (tick, event) = self.queue.pop() {
        self.now = tick
        self.handle(event)
      }
      events += 1
      self.requireReplay()
      if events > 200_000 { return "LEDGER §7: 200,000 events for a snapshot" }
    }
    if let breach { return breach }
    guard let believed else {
      return "I7: no snapshot is gone on from, \(Self.patience.milliseconds / 1000) s after healing"
    }
    let whole = self.made.first { $0.bundle == believed }
    let chunks = self.kept[believed.manifest.digest] ?? [:]
    let isWhole = whole.map { made in made.chunks.indices.allSatisfy { chunks[$0] == made.chunks[$0] } } ?? false
    return isWhole ? nil : "LEDGER §7: what is gone on from is not what honest members executed"
  }

  /// Replaying waits for a manifest and for words on it, each for a member's patience, and once.
  private mutating func requireReplay() {
    guard self.transfer.holdsReplay, self.transfer.progress == nil, self.believed == nil else {
      return self.heldSince = nil
    }
    let since = self.heldSince ?? self.now
    self.heldSince = since
    guard self.now > since + Self.heldMax else { return }
    self.breach = "LEDGER §7: replaying waits for \(Self.heldMax.milliseconds) ms, and nothing is fetched"
  }

  private var isInTrouble: Bool { self.now < .zero + Self.trouble }
  private mutating func delay() -> Tick { self.now + Span(nanoseconds: 1_000_000 + self.random.below(400_000_000)) }

  private mutating func handle(_ event: Event) {
    switch event {
    case .input(let input, let incarnation): if incarnation == self.incarnation { self.give(input) }
    case .asked(let peer, let effect): self.answer(peer, effect)
    case .offer(let member):
      self.offer(member)
      self.queue.add(.offer(member), at: self.delay())
    case .fault:
      self.strike()
      self.queue.add(.fault, at: self.delay())
    case .executed:
      self.execute()
      if self.isInTrouble { self.queue.add(.executed, at: self.delay()) }
    }
  }

  /// A laggard hears decisions too, and may come past a snapshot that is on its way, never near the newest.
  private mutating func execute() {
    let end = UInt64(100 * self.made.count) - 20
    guard self.random.oneIn(8), self.executed.number < end else { return }
    self.executed = SequenceNumber(self.executed.number + 1 + self.random.below(end - self.executed.number))
    self.heldSince = nil
    self.give(.executed(self.executed))
  }

  private mutating func strike() {
    guard self.isInTrouble else {
      self.connected = Set(self.genesis.members.indices)
      return
    }
    let member = Int(self.random.below(UInt64(self.genesis.members.count)))
    switch self.random.below(6) {
    case 0:
      self.connected.remove(member)
      self.give(.disconnected(member))
    case 1, 2: self.connected.insert(member)
    case 3 where self.random.oneIn(3):
      // A restart: what was kept is still there, and all else forgotten.
      self.incarnation += 1
      self.heldSince = nil
      self.transfer = Self.transfer(self.genesis, executed: self.executed)
    default: break
    }
  }

  /// Brings something to the laggard after a while, or loses it.
  private mutating func send(_ input: Transfer.Input, from peer: ReplicaIndex) {
    guard self.connected.contains(peer), !(self.isInTrouble && self.random.oneIn(6)) else { return }
    self.queue.add(.input(input, incarnation: self.incarnation), at: self.delay())
  }

  /// Members make snapshots one after another; not all are as far.
  private mutating func offer(_ member: ReplicaIndex) {
    let isLiar = self.liars.contains(member)
    let last = self.isInTrouble ? Int(self.random.below(UInt64(self.made.count))) : self.made.count - 1
    let manifest = (isLiar && !self.random.oneIn(4) ? self.forged : self.made[last]).bundle.manifest
    // A liar also speaks in others' names, with the only key that it has.
    let signer = isLiar && self.random.oneIn(2) ? Int(self.random.below(UInt64(self.genesis.members.count))) : member
    // Or under a number that is not the manifest's.
    let ahead: UInt64 = isLiar && self.random.oneIn(3) ? 1000 : 0
    let offer = SnapshotOffer(
      SequenceNumber(manifest.sequence.number + ahead), manifest: manifest.digest, in: ConfigurationNumber(0),
      signer: signer,
      network: self.genesis.network, key: Cluster.keys(member).checkpoint)
    self.send(.offered(offer, from: member), from: member)
  }

  private mutating func answer(_ peer: ReplicaIndex, _ effect: Transfer.Effect) {
    let isLiar = self.liars.contains(peer)
    if isLiar, self.random.oneIn(4) { return }
    let all = self.made + (isLiar ? [self.forged] : [])
    switch effect {
    case .askManifest(_, let digest):
      guard var held = all.first(where: { $0.bundle.manifest.digest == digest })?.bundle else { return }
      if isLiar, self.random.oneIn(3) { held = self.forged.bundle }
      self.send(.manifest(held, ConfigurationChain(self.genesis), from: peer), from: peer)
    case .askChunk(_, let digest, let number):
      guard var bytes = all.first(where: { $0.bundle.manifest.digest == digest })?.chunks[safe: number] else { return }
      if isLiar, self.random.oneIn(2) { bytes[bytes.count - 1] ^= 1 }
      self.send(.chunk(digest, number, bytes, from: peer), from: peer)
    case .open, .keep, .adopt, .began, .refused: break
    }
  }

  private mutating func give(_ input: Transfer.Input) {
    var effects: [Transfer.Effect] = []
    _ = self.transfer.step(input, at: self.now, into: &effects)
    for effect in effects {
      switch effect {
      case .askManifest(let peer, _), .askChunk(let peer, _, _):
        if self.connected.contains(peer) { self.queue.add(.asked(peer, effect), at: self.delay()) }
      case .open(let manifest):
        if !self.made.contains(where: { $0.bundle.manifest == manifest }) {
          self.breach = "LEDGER §7: a snapshot is fetched that no honest member made"
        }
        let held = (self.kept[manifest.digest] ?? [:]).keys.sorted()
        self.queue.add(.input(.opened(manifest.digest, held: held), incarnation: self.incarnation), at: self.delay())
      case .keep(let digest, let number, let bytes): self.kept[digest, default: [:]][number] = bytes
      case .adopt(let bundle):
        self.believed = bundle
        if bundle.manifest.sequence <= self.executed {
          self.breach =
            "LEDGER §7: a snapshot at \(bundle.manifest.sequence) replaces what is executed through \(self.executed)"
        }
      case .refused(let peer):
        if !self.liars.contains(peer) { self.breach = "LEDGER §7: honest member \(peer) is blamed" }
      case .began: break
      }
    }
  }
}
