public import Primitives

/// Quantities as texts with units, "10 ms" or "100 Mbit/s", as users of network simulators write them.
public enum Quantity {
  private static let spans: [(unit: String, nanoseconds: Double)] = [
    ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("min", 6e10), ("h", 3.6e12), ("d", 8.64e13),
  ]
  private static let bytes: [(unit: String, count: Double)] = [
    ("B", 1), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824),
  ]
  private static let rates: [(unit: String, perSecond: Double)] = [
    ("/s", 1), ("/min", 1 / 60.0), ("/h", 1 / 3600.0), ("/d", 1 / 86_400.0),
  ]
  private static let bits: [(unit: String, perSecond: Double)] = [
    ("bit/s", 1), ("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9),
  ]

  private static func split(_ text: String) -> (number: Double, unit: String)? {
    let trimmed = text.filter { $0 != " " && $0 != "_" }
    var digits = trimmed.prefix { $0.isASCII && ($0.isNumber || $0 == "." || $0 == "-") }
    // An exponent, as in 1e9: no unit begins so.
    let power = trimmed.dropFirst(digits.count)
    if power.first == "e" || power.first == "E" {
      let exponent = power.dropFirst().prefix { $0.isASCII && ($0.isNumber || $0 == "-" || $0 == "+") }
      if !exponent.isEmpty { digits = trimmed.prefix(digits.count + 1 + exponent.count) }
    }
    guard let number = Double(digits), number.isFinite else { return nil }
    return (number, String(trimmed.dropFirst(digits.count)))
  }

  private static func read(_ text: String, _ units: [(unit: String, Double)]) -> Double? {
    guard let (number, unit) = self.split(text) else { return nil }
    return units.first { $0.unit == unit }.map { number * $0.1 }
  }

  /// A span such as "10 ms"; nil for anything else, or where it is negative or over 584 years.
  public static func span(_ text: String) -> Span? {
    guard let nanoseconds = self.read(text, self.spans.map { ($0.unit, $0.nanoseconds) }), nanoseconds >= 0,
      nanoseconds < 1.8e19
    else { return nil }
    return Span(nanoseconds: UInt64(nanoseconds))
  }

  /// Bytes such as "64 KiB".
  public static func bytes(_ text: String) -> UInt64? {
    guard let count = self.read(text, self.bytes.map { ($0.unit, $0.count) }), count >= 0, count < 9e18 else {
      return nil
    }
    return UInt64(count)
  }

  /// A rate in events a second, such as "200/s" or "12/h".
  public static func rate(_ text: String) -> Double? {
    guard let rate = self.read(text, self.rates.map { ($0.unit, $0.perSecond) }), rate >= 0 else { return nil }
    return rate
  }

  /// A bandwidth in bits a second, such as "100 Mbit/s".
  public static func bitsPerSecond(_ text: String) -> UInt64? {
    guard let bits = self.read(text, self.bits.map { ($0.unit, $0.perSecond) }), bits >= 0, bits < 9e18 else {
      return nil
    }
    return UInt64(bits)
  }

  /// A part of one, from "0.5 %".
  public static func percent(_ text: String) -> Double? {
    guard let (number, unit) = self.split(text), unit == "%", number >= 0, number <= 100 else { return nil }
    return number / 100
  }

  /// A span in the unit that suits it, with three digits.
  public static func describe(_ span: Span) -> String {
    let nanoseconds = Double(span.nanoseconds)
    for (unit, size) in [("d", 8.64e13), ("h", 3.6e12), ("min", 6e10), ("s", 1e9), ("ms", 1e6), ("µs", 1e3)]
    where nanoseconds >= size {
      return "\(self.digits(nanoseconds / size)) \(unit)"
    }
    return "\(span.nanoseconds) ns"
  }

  /// A part of one in percent, rounded down: what is not whole is never 100 %.
  public static func share(_ part: Double) -> String {
    let percent = ((part * 1_000_000).rounded() / 100).rounded(.down) / 100
    let shown = part < 1 ? min(percent, 99.99) : percent
    return "\(shown == shown.rounded() ? "\(Int(shown))" : "\(shown)") %"
  }

  /// A number with about three digits.
  public static func digits(_ value: Double) -> String {
    guard value.isFinite else { return "–" }
    if value == value.rounded(), abs(value) < 1e15 { return "\(Int(value))" }
    let places = abs(value) >= 100 ? 0 : abs(value) >= 10 ? 1 : abs(value) >= 1 ? 2 : 3
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (value * scale).rounded() / scale
    return scaled == scaled.rounded() ? "\(Int(scaled))" : "\(scaled)"
  }
}
