public import Primitives

/// Connections that were refused: of those of one address, for one reason, the first is told, and then how many there
/// were, once in ten minutes. A hospital that was removed and still runs dials every few seconds.
public struct RefusedSources: Sendable, Hashable {
  /// How long those that are like one are counted before one is told again.
  public static let interval = Span.milliseconds(600_000)
  /// The most addresses and reasons that are remembered; then the one that was told longest ago is forgotten.
  public static let placesMax = 256

  private struct Told: Sendable, Hashable {
    let time: Tick
    var repeats: UInt64 = 0
  }

  private var told: [String: Told] = [:]

  /// Nobody was refused yet.
  public init() {}

  /// One was refused: how many like it were not told since the last that was; nil where this one is only counted.
  ///
  /// - Complexity: O(1), and O(`placesMax`) where an address or a reason is new.
  public mutating func take(_ source: String, reason: String, at now: Tick) -> UInt64? {
    let name = "\(source) \(reason)"
    let before = self.told[name]
    if var before, now < before.time + Self.interval {
      before.repeats += 1
      self.told[name] = before
      return nil
    }
    if before == nil, self.told.count >= Self.placesMax,
      let oldest = self.told.min(by: { ($0.value.time, $0.key) < ($1.value.time, $1.key) })
    {
      self.told[oldest.key] = nil
    }
    self.told[name] = Told(time: now)
    return before?.repeats ?? 0
  }
}
