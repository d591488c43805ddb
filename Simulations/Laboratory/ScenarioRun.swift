internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Signing
public import Simulator
internal import Wire

/// Runs a scenario: plans its faults, submits its load, takes its samples.
public final class ScenarioRun {
  /// The scenario.
  public let scenario: Scenario
  /// The world.
  public let cluster: Cluster
  /// What is measured.
  public let recorder: Recorder
  private var random: SeededGenerator
  private var number: UInt64 = 0
  private var lossBefore: UInt64
  /// How many hospitals have joined.
  private var joined = 0
  /// What had been sent when transactions began to count, and when they no longer did.
  private(set) var trafficAtEdges: (from: TrafficTotal?, until: TrafficTotal?) = (nil, nil)

  /// A run that stands at its beginning.
  public init(_ scenario: Scenario) {
    self.scenario = scenario
    self.random = SeededGenerator(seed: scenario.seed ^ 0x10ad)
    let twins = scenario.attackers.filter { $0.kind == nil }.map(\.member)
    var world = scenario.world
    let joiners = scenario.faults.count { $0.kind == "join" }
    if !world.network.regions.isEmpty {
      for _ in 0..<joiners { world.network.regions.append(world.network.region(of: scenario.count - 1)) }
    }
    for twin in twins { world.network.regions.append(world.network.region(of: twin)) }
    self.cluster = Cluster(
      count: scenario.count, joiners: joiners, seed: scenario.seed, limits: scenario.limits,
      parameters: scenario.parameters,
      world: world, twins: twins)
    self.recorder = Recorder(slots: self.cluster.slotCount)
    self.cluster.recorder = self.recorder
    self.lossBefore = world.network.lossPerMillion
    // Whoever joins later is not there yet.
    for slot in 0..<joiners { self.cluster.crash(scenario.count + slot, losingWrite: true) }
    self.planAttackers()
    for fault in scenario.faults { self.plan(fault) }
    self.planSamples()
    self.cluster.plan(at: self.at(scenario.loadWindow.from)) { [unowned self] in
      self.trafficAtEdges.from = self.recorder.total
    }
    self.cluster.plan(at: self.at(scenario.loadWindow.until)) { [unowned self] in
      self.trafficAtEdges.until = self.recorder.total
    }
    self.planLoad()
  }

  /// Runs until the next point of its time, a hundredth further on; false when it is over.
  public func advance() -> Bool {
    let step = Span(nanoseconds: max(1, self.scenario.duration.nanoseconds / 100))
    let end = Tick.zero + self.scenario.duration
    self.cluster.run(until: min(end, self.cluster.now + step))
    return self.cluster.now < end
  }

  /// How much of its time is over, from 0 to 1.
  public var progress: Double {
    Double(self.cluster.now.nanoseconds) / Double(max(1, self.scenario.duration.nanoseconds))
  }

  private func at(_ span: Span) -> Tick { Tick.zero + span }

  private func planAttackers() {
    for attacker in self.scenario.attackers {
      guard let kind = attacker.kind else { continue }
      self.cluster.plan(at: self.at(attacker.from)) { [unowned self] in
        self.cluster.corrupt(attacker.member, with: kind.make())
        self.recorder.fault("becomes \(kind.rawValue)", slot: attacker.member, at: self.cluster.now)
      }
    }
  }

  private func plan(_ fault: Scenario.Fault) {
    var at = fault.at
    while at <= self.scenario.duration {
      self.cluster.plan(at: self.at(at)) { [unowned self] in self.begin(fault) }
      guard let every = fault.every, every.nanoseconds > 0 else { return }
      at = Span(nanoseconds: at.nanoseconds + every.nanoseconds)
      if at > fault.until { return }
    }
  }

  private func note(_ what: String, _ slots: [Int]) {
    if slots.isEmpty { self.recorder.fault(what, slot: nil, at: self.cluster.now) }
    for slot in slots { self.recorder.fault(what, slot: slot, at: self.cluster.now) }
  }

  private func later(_ fault: Scenario.Fault, _ action: @escaping () -> Void) {
    guard let lasts = fault.lasts else { return }
    self.cluster.plan(at: self.cluster.now + lasts, action)
  }

  private func begin(_ fault: Scenario.Fault) {
    let slots = fault.members ?? [self.cluster.leader.member]
    switch fault.kind {
    case "crash", "power":
      let all = fault.kind == "power" && fault.members == nil ? Array(0..<self.cluster.slotCount) : slots
      self.note(fault.kind == "power" ? "loses power" : "crashes", all)
      for slot in all { self.cluster.crash(slot, losingWrite: true) }
      self.later(fault) {
        self.note("comes back", all)
        for slot in all { self.cluster.restart(slot) }
      }
    case "pause":
      self.note("stands still", slots)
      for slot in slots { self.cluster.pause(slot) }
      self.later(fault) {
        self.note("goes on", slots)
        for slot in slots { self.cluster.resume(slot) }
      }
    case "partition", "cut": self.split(fault)
    case "slow-link": self.slowLinks(fault)
    case "slow-disk":
      self.note("syncs \(fault.factor) times slower", slots)
      for slot in slots { self.cluster.slowDisk(slot, factor: fault.factor) }
      self.later(fault) {
        self.note("syncs as before", slots)
        for slot in slots { self.cluster.slowDisk(slot, factor: 1) }
      }
    case "full-disk":
      self.note("has a full disk", slots)
      for slot in slots { self.cluster.fillDisk(slot, isFull: true) }
      self.later(fault) {
        self.note("has room again and starts", slots)
        for slot in slots {
          self.cluster.fillDisk(slot, isFull: false)
          self.cluster.restart(slot)
        }
      }
    case "loss":
      self.note("loses \(Quantity.digits(Double(fault.lossPerMillion) / 10_000)) % of all messages", [])
      self.cluster.world.network.lossPerMillion = fault.lossPerMillion
      self.later(fault) {
        self.note("loses no more than before", [])
        self.cluster.world.network.lossPerMillion = self.lossBefore
      }
    case "clock":
      self.note("its clock jumps by \(Quantity.describe(fault.shift))", slots)
      for slot in slots { self.shiftClock(slot, by: Int64(fault.shift.milliseconds)) }
      self.later(fault) {
        self.note("its clock jumps back", slots)
        for slot in slots { self.shiftClock(slot, by: -Int64(fault.shift.milliseconds)) }
      }
    case "join", "leave", "lose-disk": self.changeMembers(fault, slots)
    case "step-down":
      self.note("is asked to step down", slots)
      for slot in slots { self.cluster.input(.stepDownRequested, to: slot) }
    default: preconditionFailure("the file was checked: no fault \(fault.kind)")
    }
  }

  private func changeMembers(_ fault: Scenario.Fault, _ slots: [Int]) {
    switch fault.kind {
    case "join":
      let slot = self.scenario.count + self.joined
      guard slot < self.cluster.slotCount else { return }
      self.joined += 1
      self.note("is approved, and follows", [slot])
      self.cluster.restart(slot)
      self.change(.add(self.cluster.describe(slot: slot)))
    case "leave":
      self.note("is to leave", slots)
      for slot in slots { self.change(.remove(MemberID(UInt32(self.cluster.member(slot) + 1)))) }
    default:
      self.note("loses its disk and its keys", slots)
      for slot in slots { self.cluster.loseDisk(slot) }
      self.cluster.plan(at: self.cluster.now + (fault.lasts ?? Self.replacement)) {
        self.note("comes back empty, under new keys", slots)
        for slot in slots {
          self.cluster.restart(slot)
          self.change(.replace(self.cluster.describe(slot: slot)))
        }
      }
    }
  }

  /// How long a new machine takes to be there.
  private static let replacement = Span.milliseconds(5000)
  /// How long somebody waits before a change is submitted again.
  private static let resubmission = Span.milliseconds(2000)

  /// Submits a change of members with a quorum's approvals, until it is through.
  private func change(_ action: MembershipAction) {
    guard !self.cluster.isThrough(action) else { return }
    if let slot = self.cluster.votingSlots.first(where: { self.cluster.node($0)?.index != nil }) {
      self.number += 1
      self.cluster.change(action, through: slot, nonce: self.number)
    }
    self.cluster.plan(at: self.cluster.now + Self.resubmission) { [unowned self] in self.change(action) }
  }

  private func shiftClock(_ slot: Int, by milliseconds: Int64) {
    if slot < self.cluster.world.clockSkewMilliseconds.count {
      self.cluster.world.clockSkewMilliseconds[slot] += milliseconds
    }
  }

  /// The two sides of a fault; where none are given, its members and the rest.
  private func sides(_ fault: Scenario.Fault) -> (one: [Int], other: [Int]) {
    if fault.groups.count == 2 { return (fault.groups[0], fault.groups[1]) }
    let one = fault.members ?? [self.cluster.leader.member]
    return (one, (0..<self.cluster.slotCount).filter { !one.contains($0) })
  }

  private func split(_ fault: Scenario.Fault) {
    let (one, other) = self.sides(fault)
    func names(_ slots: [Int]) -> String { slots.map { "\($0 + 1)" }.joined(separator: ", ") }
    self.note("no connection between \(names(one)) and \(names(other))", [])
    self.cluster.partition(one, from: other)
    self.later(fault) {
      self.note("connected again: \(names(one)) and \(names(other))", [])
      for a in one { for b in other where a != b { self.cluster.mend(a, b) } }
    }
  }

  private func slowLinks(_ fault: Scenario.Fault) {
    let (one, other) = self.sides(fault)
    func set(_ factor: UInt64) {
      for a in one {
        for b in other where a != b {
          self.cluster.slow(from: a, to: b, factor: factor)
          self.cluster.slow(from: b, to: a, factor: factor)
        }
      }
    }
    self.note("links \(fault.factor) times slower", one)
    set(fault.factor)
    self.later(fault) {
      self.note("links as before", one)
      set(1)
    }
  }

  private func planSamples() {
    self.cluster.plan(at: self.cluster.now) { [unowned self] in self.sample() }
  }

  private func sample() {
    self.recorder.sample(self.cluster)
    let next = self.cluster.now + self.scenario.sampling
    if next <= self.at(self.scenario.duration) { self.cluster.plan(at: next) { [unowned self] in self.sample() } }
  }

  private func planLoad() {
    let load = self.scenario.workload
    switch load.kind {
    case "open" where load.rate > 0: self.planArrival(after: self.at(load.from))
    case "closed":
      for slot in load.members {
        self.cluster.plan(at: self.at(load.from)) { [unowned self] in self.pump(slot) }
      }
    default: break
    }
  }

  /// The rate at a moment, as a part of the greatest.
  private func intensity(at tick: Tick) -> (now: Double, max: Double) {
    let load = self.scenario.workload
    let phase = Double(tick.nanoseconds % max(1, load.period.nanoseconds)) / Double(max(1, load.period.nanoseconds))
    switch load.shape {
    // A hospital's day: quiet from midnight to six, most at eleven and at four in the afternoon.
    case "diurnal":
      let hours: [Double] = [
        0.25, 0.2, 0.18, 0.18, 0.2, 0.3, 0.6, 1.1, 1.6, 1.9, 2.0, 2.0, 1.6, 1.5, 1.7, 1.9, 1.8, 1.4, 1.0, 0.8, 0.6,
        0.5, 0.4, 0.3,
      ]
      return (hours[min(23, Int(phase * 24))], 2)
    case "bursts": return (phase < 0.1 ? 7.3 : 0.3, 7.3)
    default: return (1, 1)
    }
  }

  /// A Poisson process, thinned where the rate is not at its greatest.
  private func planArrival(after tick: Tick) {
    let load = self.scenario.workload
    let peak = self.intensity(at: tick).max * load.rate
    var next = tick
    repeat {
      let draw = (Double(self.random.below(1 << 53)) + 1) / Double(UInt64(1) << 53)
      next = next + Span(nanoseconds: UInt64(min(1e18, DeterministicMath.exponential(draw) / peak * 1e9)))
    } while next <= self.at(load.until)
      && Double(self.random.below(1 << 53)) / Double(UInt64(1) << 53) * self.intensity(at: next).max
        > self.intensity(at: next).now
    guard next <= self.at(load.until), next <= self.at(self.scenario.duration) else { return }
    let slot = load.members[Int(self.random.below(UInt64(load.members.count)))]
    self.cluster.plan(at: next) { [unowned self] in
      if self.cluster.node(slot) != nil { self.cluster.submit([self.makeTransaction(slot)], to: slot) }
      self.planArrival(after: self.cluster.now)
    }
  }

  /// Closed loop: every client whose transaction is through, or lost with its hospital, sends the next.
  private func pump(_ slot: Int) {
    let load = self.scenario.workload
    guard self.cluster.now <= self.at(load.until) else { return }
    if self.cluster.node(slot) != nil {
      let free = load.clients - self.recorder.waiting(at: slot)
      if free > 0 { self.cluster.submit((0..<free).map { _ in self.makeTransaction(slot) }, to: slot) }
    }
    self.cluster.plan(at: self.cluster.now + .milliseconds(1)) { [unowned self] in self.pump(slot) }
  }

  private func makeTransaction(_ slot: Int) -> Transaction {
    self.number += 1
    return self.cluster.digestTransaction(
      self.number, for: slot, digests: self.scenario.workload.digests, lifeMilliseconds: 500_000)
  }
}

/// All that had been sent at a moment.
struct TrafficTotal {
  var messages: UInt64 = 0
  var bytes: UInt64 = 0
}

extension Recorder {
  var total: TrafficTotal {
    self.traffic.values.reduce(into: TrafficTotal()) {
      $0.messages += $1.messages
      $0.bytes += $1.bytes
    }
  }
}

extension Scenario {
  /// The part of the window in which there is load: what counts a second counts in it.
  var loadWindow: (from: Span, until: Span) {
    let from = max(self.window.from, self.workload.from)
    return (from, max(from, min(self.window.until, self.workload.until, self.duration)))
  }
}

/// What must give the same on every machine: the C library's logarithm need not.
enum DeterministicMath {
  /// −ln(u) for u in (0, 1], by its series; exact to about 12 digits, and the same everywhere (additions,
  /// multiplications and divisions of doubles are).
  static func exponential(_ u: Double) -> Double {
    var mantissa = u
    var exponent = 0.0
    while mantissa < 0.75 {
      mantissa *= 2
      exponent += 1
    }
    let z = (mantissa - 1) / (mantissa + 1)
    var (term, sum) = (z, 0.0)
    for k in 0..<20 {
      sum += term / Double(2 * k + 1)
      term *= z * z
    }
    return exponent * 0.693_147_180_559_945_3 - 2 * sum
  }
}
