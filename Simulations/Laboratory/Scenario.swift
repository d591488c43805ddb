internal import Raft
internal import PBFT
internal import Messages
internal import NodeCore
public import Primitives
public import Simulator

/// A scenario ready to run: the world, the members, what is submitted and what happens to them.
public struct Scenario: Sendable {
  /// Something done to the network.
  public struct Fault: Sendable {
    /// What.
    public let kind: String
    /// When first.
    public let at: Span
    /// For how long; nil for ever.
    public let lasts: Span?
    /// At what distance again; nil for once.
    public let every: Span?
    /// Until when again.
    public let until: Span
    /// The slots; nil for the primary of the moment.
    public let members: [Int]?
    /// Two sides.
    public let groups: [[Int]]
    /// How many times slower.
    public let factor: UInt64
    /// Messages that are lost, in parts per million.
    public let lossPerMillion: UInt64
    /// By how much clocks jump.
    public let shift: Span
  }

  /// A Byzantine member.
  public struct Attacker: Sendable {
    /// Which.
    public let member: Int
    /// How; nil for a twin.
    public let kind: Misbehaviour?
    /// From when on.
    public let from: Span
  }

  /// What clients do.
  public struct Workload: Sendable {
    /// "open", "closed" or "none".
    public let kind: String
    /// Transactions a second over all members.
    public let rate: Double
    /// Clients at each member.
    public let clients: Int
    /// Digests in each transaction.
    public let digests: Int
    /// When it starts.
    public let from: Span
    /// When it ends.
    public let until: Span
    /// "constant", "diurnal" or "bursts".
    public let shape: String
    /// The shape's period.
    public let period: Span
    /// Who submits.
    public let members: [Int]
  }

  /// The file that it was read from, with every default.
  public let file: ScenarioFile
  /// What it is called.
  public let title: String
  /// The seed.
  public let seed: UInt64
  /// How long it runs.
  public let duration: Span
  /// How many members.
  public let count: Int
  /// The regions' names; one where none are given.
  public let regions: [String]
  /// The world.
  public let world: World
  /// What all members agree on.
  let limits: LedgerLimits
  /// Each node's own.
  let parameters: Node.Parameters
  /// What clients do.
  public let workload: Workload
  /// What happens.
  public let faults: [Fault]
  /// Byzantine members.
  public let attackers: [Attacker]
  /// From when to when transactions count.
  public let window: (from: Span, until: Span)
  /// The distance of samples.
  public let sampling: Span

  /// The scenario of a checked file.
  public init(_ file: ScenarioFile) {
    func span(_ path: String) -> Span? { file.text(path).flatMap { Quantity.span($0) } }
    func percent(_ path: String) -> Double { file.text(path).flatMap { Quantity.percent($0) } ?? 0 }
    let duration = span("duration") ?? .milliseconds(1000)
    self.file = file
    self.title = file.text("title") ?? ""
    self.seed = UInt64(file.integer("seed") ?? 1)
    self.duration = duration
    self.count = file.memberCount
    self.regions = (0..<(file.counts["region"] ?? 0)).compactMap { file.text("region[\($0)].name") }
    self.world = Self.world(file)
    self.limits = Self.limits(file)
    self.parameters = Self.parameters(file)
    let size = file.text("workload.size").flatMap { Quantity.bytes($0) } ?? 256
    self.workload = Workload(
      kind: file.text("workload.kind") ?? "open",
      rate: file.text("workload.rate").flatMap { Quantity.rate($0) } ?? 100,
      clients: Int(file.integer("workload.clients") ?? 10), digests: max(1, Int((size + 31) / 32)),
      from: span("workload.from") ?? .zero, until: span("workload.until") ?? duration,
      shape: file.text("workload.shape") ?? "constant", period: span("workload.period") ?? duration,
      members: (file.members("workload.members") ?? Array(1...self.count)).map { $0 - 1 })
    self.faults = (0..<(file.counts["fault"] ?? 0)).map { Self.fault(file, "fault[\($0)].", duration) }
    self.attackers = (0..<(file.counts["attacker"] ?? 0)).map { place in
      let kind = file.text("attacker[\(place)].kind") ?? ""
      return Attacker(
        member: Int(file.integer("attacker[\(place)].member") ?? 1) - 1, kind: Misbehaviour(rawValue: kind),
        from: span("attacker[\(place)].from") ?? .zero)
    }
    self.window = (span("measure.from") ?? .zero, span("measure.until") ?? duration)
    self.sampling = span("measure.every") ?? Span(nanoseconds: max(1_000_000, duration.nanoseconds / 200))
  }

  private static func perMillion(_ part: Double) -> UInt64 { UInt64((part * 1_000_000).rounded()) }

  private static func fault(_ file: ScenarioFile, _ path: String, _ duration: Span) -> Fault {
    func span(_ key: String) -> Span? { file.text(path + key).flatMap { Quantity.span($0) } }
    let part = file.text(path + "loss").flatMap { Quantity.percent($0) } ?? 0
    return Fault(
      kind: file.text(path + "kind") ?? "", at: span("at") ?? .zero, lasts: span("for"), every: span("every"),
      until: span("until") ?? duration, members: file.members(path + "members")?.map { $0 - 1 },
      groups: file.groups(path + "groups")?.map { $0.map { $0 - 1 } } ?? [],
      factor: UInt64(file.integer(path + "factor") ?? 10), lossPerMillion: self.perMillion(part),
      shift: span("shift") ?? .milliseconds(1000))
  }

  private static func world(_ file: ScenarioFile) -> World {
    func span(_ path: String) -> Span { file.text(path).flatMap { Quantity.span($0) } ?? .zero }
    func part(_ path: String) -> UInt64 {
      self.perMillion(file.text(path).flatMap { Quantity.percent($0) } ?? 0)
    }
    var world = World()
    world.engine = file.text("engine") == "raft" ? .raft : .pbft
    world.network = self.network(file)
    world.network.jitterPerMille = UInt64((file.text("network.jitter").flatMap { Quantity.percent($0) } ?? 0) * 1000)
    world.network.spread = .zero
    world.network.uplinkBitsPerSecond = file.text("network.bandwidth").flatMap { Quantity.bitsPerSecond($0) } ?? 0
    world.network.lossPerMillion = part("network.loss")
    world.network.duplicationPerMillion = part("network.duplication")
    world.network.reorderingPerMillion = part("network.reordering")
    world.disk.syncMin = span("disk.sync")
    world.disk.syncSpread = span("disk.spread")
    world.disk.bytesPerSecond = file.text("disk.throughput").flatMap { Quantity.bytes($0) } ?? 0
    if file.text("processor.model") == "measured" { world.processor = .measured }
    world.processor.cores = UInt64(file.integer("processor.cores") ?? 2)
    var random = SeededGenerator(seed: UInt64(file.integer("seed") ?? 1) ^ 0xc10c)
    let skew = span("clock.skew").milliseconds
    let drift = UInt64(file.integer("clock.drift") ?? 0)
    world.clockSkewMilliseconds = (0..<file.memberCount).map { _ in Int64(random.below(2 * skew + 1)) - Int64(skew) }
    world.clockDriftPartsPerMillion = (0..<file.memberCount).map { _ in
      Int64(random.below(2 * drift + 1)) - Int64(drift)
    }
    return world
  }

  private static func network(_ file: ScenarioFile) -> NetworkModel {
    var network = NetworkModel()
    let inside = file.text("network.latency").flatMap { Quantity.span($0) } ?? .microseconds(500)
    let count = max(1, file.counts["region"] ?? 0)
    network.latency = Array(repeating: Array(repeating: inside, count: count), count: count)
    guard file.counts["region"] ?? 0 > 0 else { return network }
    let names = (0..<count).compactMap { file.text("region[\($0)].name") }
    for place in 0..<count {
      let members = Int(file.integer("region[\(place)].members") ?? 0)
      network.regions += Array(repeating: place, count: members)
    }
    if let table = PublishedLatencies.named(file.text("network.table") ?? "none") {
      for (row, from) in names.enumerated() {
        for (column, to) in names.enumerated() {
          guard let a = table.regions.firstIndex(of: from), let b = table.regions.firstIndex(of: to),
            table.milliseconds[a][b] > 0
          else { continue }
          network.latency[row][column] = .microseconds(UInt64(table.milliseconds[a][b] * 1000))
        }
      }
    }
    for place in 0..<(file.counts["link"] ?? 0) {
      guard let from = file.text("link[\(place)].from"), let to = file.text("link[\(place)].to"),
        let a = names.firstIndex(of: from), let b = names.firstIndex(of: to),
        let latency = file.text("link[\(place)].latency").flatMap({ Quantity.span($0) })
      else { continue }
      network.latency[a][b] = latency
      network.latency[b][a] = latency
    }
    return network
  }

  static func limits(_ file: ScenarioFile) -> LedgerLimits {
    var limits = LedgerLimits()
    func number(_ path: String) -> UInt64 { UInt64(file.integer(path) ?? 1) }
    limits.pipelineMax = number("ledger.pipelineMax")
    limits.checkpointInterval = number("ledger.checkpointInterval")
    limits.cutTransactionsMax = number("ledger.cutTransactionsMax")
    limits.blockBytesMax = UInt32(clamping: file.text("ledger.blockBytesMax").flatMap { Quantity.bytes($0) } ?? 1 << 20)
    limits.transactionBytesMax = UInt32(
      clamping: file.text("ledger.transactionBytesMax").flatMap { Quantity.bytes($0) } ?? 64 << 10)
    limits.clockDriftMilliseconds =
      file.text("ledger.clockDriftMax").flatMap { Quantity.span($0) }?.milliseconds ?? 5000
    return limits
  }

  private static func parameters(_ file: ScenarioFile) -> Node.Parameters {
    var parameters = Node.Parameters()
    func span(_ path: String, _ standard: Span) -> Span { file.text(path).flatMap { Quantity.span($0) } ?? standard }
    parameters.raft.electionTimeoutMin = span("node.electionTimeoutMin", parameters.raft.electionTimeoutMin)
    parameters.raft.heartbeatInterval = span("node.heartbeatInterval", parameters.raft.heartbeatInterval)
    parameters.replica.viewTimeoutMin = span("node.viewTimeoutMin", parameters.replica.viewTimeoutMin)
    parameters.replica.viewTimeoutMax = span("node.viewTimeoutMax", parameters.replica.viewTimeoutMax)
    parameters.replica.laneOmissionMax = span("node.laneOmissionMax", parameters.replica.laneOmissionMax)
    parameters.follow(snapshotInterval: UInt64(file.integer("node.snapshotInterval") ?? 65_536))
    parameters.replica.statusInterval = span("node.statusInterval", parameters.replica.statusInterval)
    return parameters
  }
}

extension Span {
  /// No time at all.
  static let zero = Span(nanoseconds: 0)
}
