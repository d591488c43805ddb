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
  /// The point a span later, never beyond the largest.
  public static func + (left: Tick, right: Span) -> Tick {
    let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
    return Tick(nanoseconds: overflow ? .max : sum)
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
  /// A span of whole milliseconds, never beyond the largest.
  public static func milliseconds(_ count: UInt64) -> Span { Span(nanoseconds: 1_000_000) * count }
  /// A span of whole microseconds, never beyond the largest.
  public static func microseconds(_ count: UInt64) -> Span { Span(nanoseconds: 1000) * count }

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
  /// By how many milliseconds it is later than another time; negative where it is earlier.
  public func offset(from other: Timestamp) -> Int64 {
    let isLater = self > other
    let span = isLater ? self.milliseconds - other.milliseconds : other.milliseconds - self.milliseconds
    let bounded = Int64(min(span, UInt64(Int64.max)))
    return isLater ? bounded : -bounded
  }
}

extension Timestamp: CustomStringConvertible {
  /// RFC 3339 in UTC with milliseconds; `never` for the last.
  public var description: String {
    guard self != .never else { return "never" }
    let rest = String(self.milliseconds % 1000)
    return self.civilSeconds + "." + String(repeating: "0", count: 3 - rest.count) + rest + "Z"
  }

  /// Date and time in UTC to the second, without a zone: `2026-01-31T23:59:59`.
  public var civilSeconds: String {
    let seconds = self.milliseconds / 1000
    let (year, month, day) = Self.civilDay(seconds / 86_400)
    func two(_ value: UInt64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    return "\(year)-\(two(month))-\(two(day))T\(two(seconds % 86_400 / 3600)):"
      + "\(two(seconds % 3600 / 60)):\(two(seconds % 60))"
  }

  /// The Gregorian date of a day counted from 1970-01-01. Source: Hinnant, "chrono-compatible date algorithms".
  private static func civilDay(_ count: UInt64) -> (year: UInt64, month: UInt64, day: UInt64) {
    let days = count + 719_468
    let era = days / 146_097
    let dayOfEra = days % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
  }
}
