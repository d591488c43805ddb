internal import Messages
internal import Primitives
internal import Signing
internal import Vaults

/// One seed's run of the vaults alone: hospitals write records, copy them, anchor and erase them, while nodes stop,
/// disks lose or rot, stores are away, and up to f members lie (RECORDS §3.5, §4; R7, R8).
struct VaultRun {
  private enum Event {
    case author
    case erase
    case cut
    case executed(Int)
    case wake(Int, incarnation: Int)
    case answered(Int, Tending.Input, incarnation: Int)
    case offered(Digest, run: Int, to: Int, isSound: Bool)
    case lastRecord(Int)
    case replied(run: Int, Replication.Input)
    case runTimer(Int)
    case fault
    case restarted(Int)
  }

  /// One hospital's node and vault.
  private struct Hospital {
    var tending: Tending
    var intake = Intake(shareBytesMax: nil)
    /// What is in the vault, and whether it is what was anchored.
    var vault: [Digest: Bool] = [:]
    /// How much of the ledger it executed, and what that says.
    var executed = 0
    var known: [Digest: AnchoredRecord] = [:]
    var time = Timestamp.zero
    var incarnation = 0
    var isUp = true
    /// Whether its store answers.
    var isStoreAway = false
    /// What another vault just gave.
    var fetched: Digest?
  }

  private struct View: VaultLedger {
    let own: ReplicaIndex?
    let placement: Placement
    let connected: ReplicaSet
    let time: Timestamp
    let wall: Timestamp
    let known: [Digest: AnchoredRecord]
    func entrusted(_ member: ReplicaIndex) -> Timestamp? { nil }
    func anchored(_ record: Digest) -> AnchoredRecord? { self.known[record] }
    func anchored(after last: Digest?, countMax: Int) -> [AnchoredRecord] {
      let all = self.known.keys.sorted().filter { key in last.map { $0 < key } ?? true }
      return all.prefix(countMax).compactMap { self.known[$0] }
    }
  }

  private struct Run {
    let record: Digest
    let hospital: Int
    let incarnation: Int
    var machine: Replication
    var isOver = false
    var isAnchored = false
    /// Whether it began when all trouble was over.
    var isLast = false
  }

  private static let trouble = Span.milliseconds(300_000)
  private static let healing = Span.milliseconds(900_000)
  private static let askTimeout = Span.milliseconds(5_000)
  private static let lifeMilliseconds: UInt64 = 60_000

  private var random: SeededGenerator
  private let placement: Placement
  private let liars: Set<Int>
  private let recordsMax: Int
  private var hospitals: [Hospital]
  private var runs: [Run] = []
  /// The order of all: what each cut says, with its time; nil says nothing.
  private var order: [(time: Timestamp, change: AnchoredRecord?)] = []
  private var written: [Digest: Int] = [:]
  /// The one vault that lost something that is not everywhere again where it should be.
  private var damaged: Int?
  private var queue = EventQueue<Event>()
  private var now = Tick.zero
  private var breach: String?

  init(seed: UInt64) {
    var random = SeededGenerator(seed: seed ^ 0x7a17)
    let count = [1, 3, 4, 4, 4, 7][Int(random.below(6))]
    let members = (0..<count).map { Cluster.describe($0) }
    let configuration = Configuration(number: ConfigurationNumber(0), members: members)
    self.placement = Placement(configuration)
    var liars: Set<Int> = []
    while liars.count < (count - 1) / 3 { liars.insert(Int(random.below(UInt64(count)))) }
    self.liars = random.oneIn(4) ? [] : liars
    self.recordsMax = 1 + Int(random.below(16))
    self.hospitals = (0..<count).map { _ in Hospital(tending: Self.tending(&random)) }
    self.random = random
  }

  private static func tending(_ random: inout SeededGenerator) -> Tending {
    var parameters = Tending.Parameters(transactionLifeMilliseconds: Self.lifeMilliseconds, shareBytesMax: nil)
    (parameters.stride, parameters.readMax, parameters.readBytesMax) = (4, 3, 100)
    (parameters.interval, parameters.challenges) = (.milliseconds(20_000), 2)
    return Tending(parameters, seed: random.next())
  }

  /// The first promise that was broken; nil where all held. `events` counts what happened.
  mutating func run(events: inout Int) -> String? {
    for member in self.hospitals.indices { self.queue.add(.wake(member, incarnation: 0), at: self.now) }
    for event in [Event.author, .erase, .cut, .fault] { self.queue.add(event, at: self.delay(5_000)) }
    while self.breach == nil, let (tick, event) = self.queue.pop(), tick <= .zero + Self.trouble + Self.healing {
      if tick > .zero + Self.trouble, self.isInTrouble { self.heal(at: tick) }
      self.now = tick
      self.handle(event)
      events += 1
      if events > 2_000_000 { return "RECORDS §3.5: vaults do not come to rest" }
    }
    return self.breach ?? self.checkEnd()
  }

  private var isInTrouble: Bool { self.now < .zero + Self.trouble }
  private var time: Timestamp { Timestamp(milliseconds: (self.now - .zero).milliseconds) }
  private mutating func delay(_ milliseconds: UInt64) -> Tick {
    self.now + Span(nanoseconds: 1_000_000 + self.random.below(milliseconds * 1_000_000))
  }
  private func isHonest(_ member: Int) -> Bool { !self.liars.contains(member) }

  private func view(_ member: Int) -> View {
    let hospital = self.hospitals[member]
    var connected = ReplicaSet()
    for other in self.hospitals.indices where self.hospitals[other].isUp { connected.insert(other) }
    return View(
      own: member, placement: self.placement, connected: connected, time: hospital.time, wall: self.time,
      known: hospital.known)
  }

  private mutating func handle(_ event: Event) {
    switch event {
    case .author:
      self.author()
      if self.isInTrouble { self.queue.add(.author, at: self.delay(20_000)) }
    case .erase:
      let kept = self.order.compactMap(\.change).filter { !$0.isErased }
      if !kept.isEmpty, self.isInTrouble {
        let entry = kept[Int(self.random.below(UInt64(kept.count)))]
        self.order(
          AnchoredRecord(record: entry.record, hospital: entry.hospital, sizeBytes: entry.sizeBytes, isErased: true))
      }
      if self.isInTrouble { self.queue.add(.erase, at: self.delay(60_000)) }
    case .cut:
      self.order(nil)
      self.askForErased()
      self.queue.add(.cut, at: self.delay(10_000))
    case .executed(let member): self.execute(member)
    case .wake(let member, let incarnation):
      if self.isCurrent(member, incarnation) { self.tend(member, .timerFired) }
    case .answered(let member, let input, let incarnation):
      if self.isCurrent(member, incarnation) { self.tend(member, input) }
    case .offered(let record, let run, let member, let isSound): self.keep(record, run: run, at: member, isSound)
    case .lastRecord(let member): self.author(at: member, isLast: true)
    case .replied(let run, let input): self.step(run, input)
    case .runTimer(let run):
      if self.runs[run].machine.deadline.map({ $0 <= self.now }) ?? false { self.step(run, .timerFired) }
    case .fault:
      if self.isInTrouble {
        self.strike()
        self.queue.add(.fault, at: self.delay(10_000))
      }
    case .restarted(let member): self.restart(member)
    }
  }

  private func isCurrent(_ member: Int, _ incarnation: Int) -> Bool {
    self.hospitals[member].isUp && self.hospitals[member].incarnation == incarnation
  }
}

extension VaultRun {
  // MARK: The ledger

  private mutating func order(_ change: AnchoredRecord?) {
    self.order.append((self.time, change))
    for member in self.hospitals.indices { self.queue.add(.executed(member), at: self.delay(2_000)) }
  }

  /// Executes what is next, and does what the driver does after it.
  private mutating func execute(_ member: Int) {
    guard self.hospitals[member].isUp else { return }
    while self.hospitals[member].executed < self.order.count {
      let (time, change) = self.order[self.hospitals[member].executed]
      self.hospitals[member].executed += 1
      self.hospitals[member].time = time
      guard let change else { continue }
      self.hospitals[member].known[change.record] = change
      if let hospital = change.hospital {
        self.hospitals[member].intake.anchored(change.record, bytes: change.sizeBytes, of: hospital)
      }
      if change.isErased { self.erase(change.record, at: member) }
      self.checkCopies(of: change)
    }
  }

  private mutating func erase(_ record: Digest, at member: Int) {
    self.hospitals[member].intake.forget(record)
    // A lying vault keeps what it should erase; one that is away does it in a later round.
    if self.isHonest(member), !self.hospitals[member].isStoreAway { self.hospitals[member].vault[record] = nil }
  }

  // MARK: Writing

  private mutating func author() {
    let member = Int(self.random.below(UInt64(self.hospitals.count)))
    guard self.written.count < self.recordsMax, self.hospitals[member].isUp, !self.hospitals[member].isStoreAway,
      self.isInTrouble
    else { return }
    self.author(at: member, isLast: false)
  }

  private mutating func author(at member: Int, isLast: Bool) {
    let record = Hash.sha256(self.random.next().bigEndianBytes)
    self.written[record] = member
    self.hospitals[member].vault[record] = true
    self.runs.append(
      Run(
        record: record, hospital: member, incarnation: self.hospitals[member].incarnation,
        machine: Replication(
          of: [record], from: member, placement: self.placement, reachable: self.view(member).connected),
        isLast: isLast))
    self.step(self.runs.count - 1, .start)
  }

  private func size(_ record: Digest) -> UInt64 { 10 + UInt64(record.bytes[0]) % 50 }

  private mutating func step(_ run: Int, _ input: Replication.Input) {
    // A hospital that stopped meanwhile anchors nothing of what it was copying.
    guard !self.runs[run].isOver, self.isCurrent(self.runs[run].hospital, self.runs[run].incarnation) else { return }
    var effects: [Replication.Effect] = []
    _ = self.runs[run].machine.step(input, at: self.now, into: &effects)
    for effect in effects {
      switch effect {
      case .complete:
        self.runs[run].isOver = true
        self.runs[run].isAnchored = true
        let record = self.runs[run].record
        let anchor = AnchoredRecord(
          record: record, hospital: self.runs[run].hospital, sizeBytes: self.size(record), isErased: false)
        self.order(anchor)
        self.checkCopies(of: anchor)
      case .failed: self.runs[run].isOver = true
      case .offer(_, let member):
        let isLost = self.isInTrouble && self.random.oneIn(6)
        if self.hospitals[member].isUp, !isLost {
          self.queue.add(
            .offered(self.runs[run].record, run: run, to: member, isSound: true), at: self.delay(1_000))
        }
        self.queue.add(.replied(run: run, .refused(member)), at: self.now + Self.askTimeout)
      }
    }
    if let deadline = self.runs[run].machine.deadline { self.queue.add(.runTimer(run), at: max(deadline, self.now)) }
  }

  /// A member is offered a record: of its author's run, or by a liar that has no run.
  private mutating func keep(_ record: Digest, run: Int, at member: Int, _ isSound: Bool) {
    guard self.hospitals[member].isUp, let author = self.written[record] else { return }
    var isTaken = true
    if self.isHonest(member) {
      let from = run < 0 ? self.liars.min() ?? author : author
      let parts = [(record: record, bytes: self.size(record))]
      let isKnown = self.hospitals[member].intake.isWaiting(record)
      let ledger = self.view(member)
      isTaken = self.hospitals[member].intake.take(parts, from: from, isOwn: from == author, ledger: ledger) == .taken
      let isKept = !self.hospitals[member].isStoreAway && (isKnown || self.agrees(record, isSound, at: member))
      if isTaken, !isKept { self.hospitals[member].intake.giveBack(parts, from: from) }
      isTaken = isTaken && isKept
      if isTaken { self.hospitals[member].vault[record] = isSound }
    } else if run >= 0, self.runs[run].isLast {
      isTaken = !self.capture(record)
    }
    guard run >= 0, !(self.isInTrouble && self.random.oneIn(8)) else { return }
    self.queue.add(.replied(run: run, isTaken ? .acknowledged(member) : .refused(member)), at: self.delay(1_000))
  }

  /// A liar that is offered a record leaves something else under its identifier in all other vaults, and refuses it;
  /// says whether it does.
  private mutating func capture(_ record: Digest) -> Bool {
    guard self.random.oneIn(2) else { return false }
    for member in self.hospitals.indices where self.isHonest(member) && self.written[record] != member {
      self.queue.add(.offered(record, run: -1, to: member, isSound: false), at: self.now)
    }
    return true
  }

  /// Whether a vault has nothing else under a record's name.
  private func agrees(_ record: Digest, _ isSound: Bool, at member: Int) -> Bool {
    self.hospitals[member].vault[record].map { $0 == isSound } ?? true
  }

  // MARK: Tending

  private mutating func tend(_ member: Int, _ input: Tending.Input) {
    var effects: [Tending.Effect] = []
    _ = self.hospitals[member].tending.step(input, ledger: self.view(member), at: self.now, into: &effects)
    for effect in effects { self.perform(effect, member) }
    guard let deadline = self.hospitals[member].tending.deadline, !(effects.last?.isQuestion ?? false) else { return }
    let incarnation = self.hospitals[member].incarnation
    self.queue.add(.wake(member, incarnation: incarnation), at: max(deadline, self.now))
  }

  private mutating func perform(_ effect: Tending.Effect, _ member: Int) {
    let isAway = self.hospitals[member].isStoreAway
    let vault = self.hospitals[member].vault
    let answer: Tending.Input
    switch effect {
    case .list(let last, let countMax):
      let held = vault.keys.sorted().filter { key in last.map { $0 < key } ?? true }
      answer = .listed(isAway ? nil : Array(held.prefix(countMax)))
    case .findMissing(let records): answer = .missing(isAway ? nil : records.filter { vault[$0] == nil })
    case .read(let record): answer = .read(isSound: !isAway && vault[record] == true, bytes: self.size(record))
    case .fetch(let record, let other), .challenge(let record, let other):
      return self.fetch(record, from: other, by: member)
    case .store(let record):
      let isKept = !isAway && self.hospitals[member].fetched == record
      if isKept { self.hospitals[member].vault[record] = true }
      answer = .stored(isKept)
    case .erase(let record): return self.erase(record, at: member)
    case .counted(let kept): return self.hospitals[member].intake.counted(kept)
    case .full, .unproven, .ended: return
    }
    let incarnation = self.hospitals[member].incarnation
    self.queue.add(.answered(member, answer, incarnation: incarnation), at: self.delay(20))
  }

  private mutating func fetch(_ record: Digest, from other: Int, by member: Int) {
    let incarnation = self.hospitals[member].incarnation
    guard self.hospitals[other].isUp, !(self.isInTrouble && self.random.oneIn(8)) else {
      self.queue.add(
        .answered(member, .fetched(.unanswered), incarnation: incarnation), at: self.now + Self.askTimeout)
      return
    }
    var outcome = Tending.Fetched.wrong
    if self.isHonest(other) {
      let ledger = self.view(other)
      if !ledger.mayShow(record) {
        outcome = .unanswered
      } else if !self.hospitals[other].isStoreAway, self.hospitals[other].vault[record] == true {
        outcome = .sound
      }
    } else {
      // Liars have kept everything, erased or not.
      outcome = [.sound, .wrong, .unanswered][Int(self.random.below(3))]
    }
    self.hospitals[member].fetched = outcome == .sound ? record : nil
    self.queue.add(.answered(member, .fetched(outcome), incarnation: incarnation), at: self.delay(200))
  }

  /// R7: somebody asks every honest vault for what it still has and knows to be erased; it shows none of it.
  private mutating func askForErased() {
    for member in self.hospitals.indices where self.isHonest(member) {
      let ledger = self.view(member)
      for record in self.hospitals[member].vault.keys where ledger.known[record]?.isErased == true {
        if ledger.mayShow(record) { self.breach = "R7: member \(member) shows what it knows to be erased" }
      }
    }
  }

  // MARK: Faults

  private mutating func strike() {
    let member = Int(self.random.below(UInt64(self.hospitals.count)))
    switch self.random.below(7) {
    case 0:
      self.hospitals[member].isUp = false
      self.hospitals[member].incarnation += 1
      self.queue.add(.restarted(member), at: self.delay(60_000))
    case 1: self.hospitals[member].isStoreAway = true
    case 2, 3: self.hospitals[member].isStoreAway = false
    case 4, 5: self.damage(member)
    default:
      // A liar offers what is anchored or erased, with another content: of its own where it has any, for others' are
      // refused to it anyway.
      guard let liar = self.liars.min(), self.hospitals[liar].isUp, !self.written.isEmpty else { return }
      let own = self.written.filter { $0.value == liar }.keys.sorted()
      let records = own.isEmpty ? self.written.keys.sorted() : own
      let record = records[Int(self.random.below(UInt64(records.count)))]
      if self.written[record] != member, self.order.contains(where: { $0.change?.record == record }) {
        self.queue.add(.offered(record, run: -1, to: member, isSound: false), at: self.delay(200))
      }
    }
  }

  /// What a restarted node knows: its ledger, and what is in its vault.
  private mutating func restart(_ member: Int) {
    guard !self.hospitals[member].isUp else { return }
    self.hospitals[member].isUp = true
    self.hospitals[member].tending = Self.tending(&self.random)
    self.hospitals[member].intake = Intake(shareBytesMax: nil)
    self.queue.add(.wake(member, incarnation: self.hospitals[member].incarnation), at: self.now)
    self.execute(member)
  }

  /// One honest vault at a time loses something; the next one only when all is again where it should be: what was lost
  /// may have stood in for a member that was not there.
  private mutating func damage(_ member: Int) {
    if self.hospitals.indices.allSatisfy({ !self.isHonest($0) || self.lacking($0).isEmpty }) { self.damaged = nil }
    // A hospital alone has no copy elsewhere.
    guard self.hospitals.count > 1, self.isHonest(member), self.damaged == nil || self.damaged == member,
      self.hospitals[member].isUp
    else { return }
    // Nobody else's records are on their way to this vault, or back in time: all that it must hold is known to it.
    guard self.hospitals[member].executed == self.order.count, self.runs.allSatisfy({ $0.isOver }) else { return }
    self.damaged = member
    let isRot = self.random.oneIn(2)
    for record in self.hospitals[member].vault.keys.sorted() where !isRot || self.random.oneIn(2) {
      self.hospitals[member].vault[record] = isRot ? false : nil
      if !isRot { self.hospitals[member].intake.forget(record) }
    }
  }

  private mutating func heal(at tick: Tick) {
    self.now = tick
    for member in self.hospitals.indices {
      self.hospitals[member].isStoreAway = false
      self.restart(member)
      if self.isHonest(member) { self.queue.add(.lastRecord(member), at: self.delay(60_000)) }
    }
  }

  // MARK: What must hold

  /// What of honest hospitals' records a vault should hold and does not.
  private func lacking(_ member: Int) -> [Digest] {
    self.current.filter { entry in
      let author = entry.hospital ?? member
      return self.isHonest(author) && self.placement.isHolder(member, of: entry.record, from: author)
        && self.hospitals[member].vault[entry.record] != true
    }.map(\.record)
  }

  /// The records that are anchored and not erased, in the order of all.
  private var current: [AnchoredRecord] {
    var known: [Digest: AnchoredRecord] = [:]
    for entry in self.order.compactMap(\.change) { known[entry.record] = entry }
    return known.values.filter { !$0.isErased }.sorted { $0.record < $1.record }
  }

  /// R8: what was anchored is in one honest vault at least, whoever lies and whatever one vault lost.
  private mutating func checkCopies(of entry: AnchoredRecord) {
    guard self.current.contains(where: { $0.record == entry.record }), let author = entry.hospital,
      self.isHonest(author)
    else { return }
    let copies = self.hospitals.indices.count { self.isHonest($0) && self.hospitals[$0].vault[entry.record] == true }
    let needed = min(self.damaged == nil ? 2 : 1, self.hospitals.count - self.liars.count)
    if copies < needed { self.breach = "R8: a record of member \(author) has \(copies) copies, \(needed) are needed" }
  }

  private func checkEnd() -> String? {
    let current = Set(self.current.map(\.record))
    if let run = self.runs.first(where: { $0.isLast && !$0.isAnchored }) {
      return "RECORDS §3.5: a record of member \(run.hospital) finds no vaults, though only f members lie"
    }
    for member in self.hospitals.indices where self.isHonest(member) {
      if let record = self.lacking(member).first {
        return "R8: member \(member) lacks record \(record.short) long after healing"
      }
      for record in self.hospitals[member].vault.keys.sorted() where !current.contains(record) {
        let isErased = self.hospitals[member].known[record] != nil
        return isErased
          ? "R7: member \(member) still has the erased record \(record.short)"
          : "I9: member \(member) still has record \(record.short), which was never anchored"
      }
      let waiting = self.hospitals.indices.reduce(0) { $0 + self.hospitals[member].intake.bytes(of: $1).waiting }
      if waiting > 0 { return "I9: member \(member) counts \(waiting) bytes as waiting that are gone" }
    }
    return nil
  }
}
