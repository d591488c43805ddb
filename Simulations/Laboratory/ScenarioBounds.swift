internal import Primitives

/// How small and how large a quantity may be: beyond, a run means nothing, or never ends.
extension ScenarioKey {
  /// The bounds of a key, in its own unit.
  struct Bounds: Sendable {
    /// The least.
    let least: String
    /// The most.
    let most: String
    /// Whether nothing at all is fine too.
    var isZeroFine = false

    /// In words.
    var description: String { "from \(self.least) to \(self.most)\(self.isZeroFine ? ", or none: 0" : "")" }
  }

  /// The longest span of all: ten years.
  static let spanMax = "3650 d"
  /// The largest block: what a genesis may say.
  static let blockBytesMax = "4 MiB"

  private static let exact: [String: Bounds] = [
    "duration": Bounds(least: "1 ms", most: spanMax),
    "link.latency": Bounds(least: "1 us", most: "1 h"),
    "network.latency": Bounds(least: "1 us", most: "1 h"),
    "network.bandwidth": Bounds(least: "10 kbit/s", most: "1000 Gbit/s", isZeroFine: true),
    "network.loss": Bounds(least: "0 %", most: "90 %"),
    "disk.sync": Bounds(least: "0 ms", most: "1 h"),
    "disk.spread": Bounds(least: "0 ms", most: "1 h"),
    "disk.throughput": Bounds(least: "1 kB", most: "1000 GB", isZeroFine: true),
    "clock.skew": Bounds(least: "0 ms", most: "365 d"),
    "ledger.blockBytesMax": Bounds(least: "1 KiB", most: blockBytesMax),
    "ledger.transactionBytesMax": Bounds(least: "64 B", most: blockBytesMax),
    "ledger.clockDriftMax": Bounds(least: "1 ms", most: "1 d"),
    "workload.rate": Bounds(least: "1/d", most: "10000000/s"),
    "workload.size": Bounds(least: "1 B", most: blockBytesMax),
    "workload.from": Bounds(least: "0 s", most: spanMax),
    "measure.from": Bounds(least: "0 s", most: spanMax),
    "fault.at": Bounds(least: "0 s", most: spanMax),
    "fault.loss": Bounds(least: "0.0001 %", most: "100 %"),
    "attacker.from": Bounds(least: "0 s", most: spanMax),
    "expect.pauseMax": Bounds(least: "1 us", most: spanMax),
    "expect.pauseMin": Bounds(least: "1 us", most: spanMax),
    "expect.latencyMax": Bounds(least: "1 us", most: spanMax),
  ]

  /// Its bounds; nil where every quantity of its kind is fine.
  var bounds: Bounds? {
    if let exact = Self.exact[self.path] { return exact }
    switch self.kind {
    case .span: return Bounds(least: "1 ms", most: self.path.hasPrefix("node.") ? "1 d" : Self.spanMax)
    case .integer, .text, .word, .bytes, .rate, .bandwidth, .percent, .members, .groups: return nil
    }
  }

  /// Whether a text is a quantity of its kind, and within its bounds.
  func admits(_ text: String) -> Bool {
    guard let value = self.measure(text) else { return false }
    guard let bounds = self.bounds, let least = self.measure(bounds.least), let most = self.measure(bounds.most) else {
      return true
    }
    return value >= least && value <= most || bounds.isZeroFine && value == 0
  }

  /// Whether a text is a quantity of its kind, within its bounds or not.
  func isQuantity(_ text: String) -> Bool { self.measure(text) != nil }

  /// The quantity in its smallest unit; nil where the text is none.
  private func measure(_ text: String) -> Double? {
    switch self.kind {
    case .span: Quantity.span(text).map { Double($0.nanoseconds) }
    case .bytes: Quantity.bytes(text).map { Double($0) }
    case .rate: Quantity.rate(text)
    case .bandwidth: Quantity.bitsPerSecond(text).map { Double($0) }
    case .percent: Quantity.percent(text)
    case .integer, .text, .word, .members, .groups: nil
    }
  }
}
