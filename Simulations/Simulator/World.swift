public import Messages
public import Primitives

/// How the simulated world behaves: network, disks, clocks and processors (SIMULATION §1).
public struct World: Sendable {
  /// What orders.
  public var engine = OrderingEngine.pbft
  /// Links between members.
  public var network = NetworkModel()
  /// Every member's disk.
  public var disk = DiskModel()
  /// Every member's processor.
  public var processor = ProcessorModel()
  /// How far each member's wall clock is from the true time, in milliseconds, by slot; 0 beyond the end.
  public var clockSkewMilliseconds: [Int64] = []
  /// How fast each wall clock runs ahead, in parts per million, by slot; 0 beyond the end.
  public var clockDriftPartsPerMillion: [Int64] = []
  /// The wall clock at the start.
  public var wallStart = Timestamp(milliseconds: 1_750_000_000_000)
  /// A calm local network with honest clocks.
  public init() {}

  /// The wall clock of a slot at a tick.
  func wall(of slot: Int, at tick: Tick) -> Timestamp {
    let elapsed = Int64(tick.nanoseconds / 1_000_000)
    let skew = slot < self.clockSkewMilliseconds.count ? self.clockSkewMilliseconds[slot] : 0
    let drift = slot < self.clockDriftPartsPerMillion.count ? self.clockDriftPartsPerMillion[slot] : 0
    let time = Int64(self.wallStart.milliseconds) + elapsed + skew + elapsed * drift / 1_000_000
    return Timestamp(milliseconds: UInt64(max(0, time)))
  }
}

/// Latency, bandwidth and losses. Connections keep their order, as TCP does; they break only by faults.
public struct NetworkModel: Sendable {
  /// Each slot's region, an index into `latency`; region 0 beyond the end.
  public var regions: [Int] = []
  /// The one-way latency from region to region; one region with the shortest latency at least.
  public var latency: [[Span]] = [[.microseconds(200)]]
  /// By how much more a message may take, evenly drawn, whatever the regions.
  public var spread = Span.microseconds(800)
  /// By how much more it may take, in parts per thousand of the latency, evenly drawn.
  public var jitterPerMille: UInt64 = 0
  /// What a member can send in a second, in bits; 0 for no limit. What exceeds it queues at the sender.
  public var uplinkBitsPerSecond: UInt64 = 0
  /// Messages that are lost though their connection lives, in parts per million.
  public var lossPerMillion: UInt64 = 0
  /// Messages that arrive twice, in parts per million.
  public var duplicationPerMillion: UInt64 = 0
  /// Messages that overtake those before them, in parts per million.
  public var reorderingPerMillion: UInt64 = 0
  /// A calm local network.
  public init() {}

  /// One message in so many, in parts per million; 0 for none.
  public static func oneIn(_ count: UInt64) -> UInt64 { count > 0 ? 1_000_000 / count : 0 }

  /// The region of a slot.
  public func region(of slot: Int) -> Int { slot < self.regions.count ? self.regions[slot] : 0 }

  /// How long a message takes from slot to slot, without queues.
  func draw(from: Int, to: Int, _ random: inout SeededGenerator) -> Span {
    let base = self.latency[self.region(of: from)][self.region(of: to)].nanoseconds
    let spread = self.spread.nanoseconds + base * self.jitterPerMille / 1000
    return Span(nanoseconds: base + random.below(spread + 1))
  }

  /// How long sending so many bytes occupies the sender's uplink.
  func occupation(bytes: Int) -> Span {
    guard self.uplinkBitsPerSecond > 0 else { return Span(nanoseconds: 0) }
    return Span(nanoseconds: UInt64(bytes) * 8 * 1_000_000_000 / self.uplinkBitsPerSecond)
  }
}

/// A disk that keeps whole batches: what is not synced when its member stops is kept or lost, by lot.
public struct DiskModel: Sendable {
  /// How long a sync takes at least.
  public var syncMin = Span.microseconds(200)
  /// By how much more it may take, evenly drawn.
  public var syncSpread = Span.microseconds(2000)
  /// What can be written in a second, in bytes; 0 for no limit.
  public var bytesPerSecond: UInt64 = 0
  /// A solid-state disk.
  public init() {}
}

/// What computing costs in virtual time; all zero for a processor that is never the limit.
///
/// `consilium-sim calibrate` measures the costs on a real machine.
public struct ProcessorModel: Sendable, Hashable {
  /// One signature verified.
  public var verification = Span(nanoseconds: 0)
  /// One signature made.
  public var signing = Span(nanoseconds: 0)
  /// One message handled.
  public var message = Span(nanoseconds: 0)
  /// A kibibyte of a message hashed and copied.
  public var kibibyte = Span(nanoseconds: 0)
  /// One transaction executed.
  public var transaction = Span(nanoseconds: 0)
  /// How many cores verify side by side.
  public var cores: UInt64 = 2
  /// A processor that is never the limit.
  public init() {}

  /// What was measured on a 2-core virtual machine of 2025 with libsodium 1.0.18.
  public static let measured: ProcessorModel = {
    var model = ProcessorModel()
    model.verification = .microseconds(48)
    model.signing = .microseconds(22)
    model.message = .microseconds(3)
    model.kibibyte = Span(nanoseconds: 1200)
    model.transaction = Span(nanoseconds: 2500)
    return model
  }()
}
