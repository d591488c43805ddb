/// A point on a node's own monotonic clock, in nanoseconds since the node started (or, simulated, since the run did).
public struct Tick: Sendable, Hashable, Comparable {
  /// Nanoseconds.
  public var nanoseconds: UInt64

  /// A point `nanoseconds` after the start.
  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// The start.
  public static let zero = Tick(nanoseconds: 0)

  /// Earlier before later.
  public static func < (left: Tick, right: Tick) -> Bool { left.nanoseconds < right.nanoseconds }
  /// The point a span later.
  public static func + (left: Tick, right: Span) -> Tick {
    Tick(nanoseconds: left.nanoseconds &+ right.nanoseconds)
  }
  /// The span from `right` to `left`; zero where `right` is later.
  public static func - (left: Tick, right: Tick) -> Span {
    Span(nanoseconds: left.nanoseconds > right.nanoseconds ? left.nanoseconds - right.nanoseconds : 0)
  }
}

/// A length of time in nanoseconds.
public struct Span: Sendable, Hashable, Comparable {
  /// Nanoseconds.
  public var nanoseconds: UInt64

  /// A span of `nanoseconds`.
  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
  /// A span of whole milliseconds.
  public static func milliseconds(_ count: UInt64) -> Span { Span(nanoseconds: count * 1_000_000) }
  /// A span of whole microseconds.
  public static func microseconds(_ count: UInt64) -> Span { Span(nanoseconds: count * 1000) }

  /// Whole milliseconds, rounded down.
  public var milliseconds: UInt64 { self.nanoseconds / 1_000_000 }

  /// Shorter before longer.
  public static func < (left: Span, right: Span) -> Bool { left.nanoseconds < right.nanoseconds }
  /// `right` times as long, never beyond the largest span.
  public static func * (left: Span, right: UInt64) -> Span {
    let (product, overflow) = left.nanoseconds.multipliedReportingOverflow(by: right)
    return Span(nanoseconds: overflow ? .max : product)
  }
}

/// Ledger time: milliseconds since 1970-01-01T00:00:00Z, as a cut states it.
public struct Timestamp: Sendable, Hashable, Comparable {
  /// Milliseconds since the epoch.
  public var milliseconds: UInt64

  /// The time `milliseconds` after the epoch.
  public init(milliseconds: UInt64) { self.milliseconds = milliseconds }
  /// The epoch itself, which no cut but the first's predecessor states.
  public static let zero = Timestamp(milliseconds: 0)
  /// Later than every window's end.
  public static let never = Timestamp(milliseconds: .max)

  /// Earlier before later.
  public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }
  /// The time `milliseconds` later, never beyond `never`.
  public func adding(milliseconds: UInt64) -> Timestamp {
    let (sum, overflow) = self.milliseconds.addingReportingOverflow(milliseconds)
    return Timestamp(milliseconds: overflow ? .max : sum)
  }
}
