import Primitives

/// A stretch of time that a FHIR date means: 2024-05 is the whole of May, the end excluded.
///
/// Counted in microseconds from 1970 on, as if every minute had 61 seconds: so a leap second has its own place, within
/// its minute and after second 59.
public struct DateRange: Sendable, Hashable {
  let low: Int64
  let high: Int64

  private static let second: Int64 = 1_000_000
  private static let minute: Int64 = 61 * Self.second
  private static let day: Int64 = 1440 * Self.minute
  /// Finer fractions of a second are cut off.
  private static let fractionDigitsMax = 6

  init(low: Int64, high: Int64) { (self.low, self.high) = (low, high) }

  private init(days: Int, until: Int) { self.init(low: Int64(days) * Self.day, high: Int64(until) * Self.day) }

  /// The moment of a time.
  init(_ time: Timestamp) {
    let milliseconds = Int64(clamping: time.milliseconds)
    self.low = milliseconds / 60_000 * Self.minute + milliseconds % 60_000 * 1000
    self.high = self.low + 1000
  }

  /// When it begins, in milliseconds since 1970 as clocks count them; 0 for what is before.
  var lowMilliseconds: UInt64 {
    let (minutes, rest) = max(0, self.low).quotientAndRemainder(dividingBy: Self.minute)
    return UInt64(minutes * 60_000 + min(rest / 1000, 59_999))
  }

  /// What a FHIR date, dateTime or instant means; nil where it is none. Without an offset it is UTC.
  public init?(_ text: String) {
    var scanner = DateScanner(text.utf8)
    guard let year = scanner.number(4, in: 1...9999) else { return nil }
    guard !scanner.isAtEnd else {
      self.init(days: Self.days(year, 1, 1), until: Self.days(year + 1, 1, 1))
      return
    }
    guard scanner.skip("-"), let month = scanner.number(2, in: 1...12) else { return nil }
    let first = Self.days(year, month, 1)
    let next = month == 12 ? Self.days(year + 1, 1, 1) : Self.days(year, month + 1, 1)
    guard !scanner.isAtEnd else {
      self.init(days: first, until: next)
      return
    }
    guard scanner.skip("-"), let day = scanner.number(2, in: 1...(next - first)) else { return nil }
    guard !scanner.isAtEnd else {
      self.init(days: first + day - 1, until: first + day)
      return
    }
    guard scanner.skip("T"), let time = Self.time(&scanner), let offset = Self.offset(&scanner), scanner.isAtEnd else {
      return nil
    }
    let start = Int64(first + day - 1) * Self.day + time.low - offset
    self.init(low: start, high: start + time.high - time.low)
  }

  /// The time of a day, from its beginning.
  private static func time(_ scanner: inout DateScanner) -> DateRange? {
    guard let hour = scanner.number(2, in: 0...23), scanner.skip(":"), let minute = scanner.number(2, in: 0...59) else {
      return nil
    }
    let start = Int64(hour * 60 + minute) * Self.minute
    guard scanner.skip(":") else { return DateRange(low: start, high: start + Self.minute) }
    guard let second = scanner.number(2, in: 0...60) else { return nil }
    var (low, length) = (start + Int64(second) * Self.second, Self.second)
    guard scanner.skip(".") else { return DateRange(low: low, high: low + length) }
    let digits = scanner.digits()
    guard !digits.isEmpty else { return nil }
    for digit in digits.prefix(Self.fractionDigitsMax) {
      length /= 10
      low += Int64(digit) * length
    }
    return DateRange(low: low, high: low + length)
  }

  /// What a time zone is ahead of UTC; nil where something else stands there.
  private static func offset(_ scanner: inout DateScanner) -> Int64? {
    if scanner.isAtEnd || scanner.skip("Z") { return 0 }
    let isAhead = scanner.skip("+")
    guard isAhead || scanner.skip("-"), let hours = scanner.number(2, in: 0...14), scanner.skip(":"),
      let minutes = scanner.number(2, in: 0...59)
    else { return nil }
    return Int64(hours * 60 + minutes) * Self.minute * (isAhead ? 1 : -1)
  }

  /// Days since 1970 of a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
  private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let y = month <= 2 ? year - 1 : year
    let era = y / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  /// Whether it stands to another as a prefix of a search says (FHIR R4, search.html#prefix).
  func meets(_ prefix: SearchPrefix, _ wanted: DateRange) -> Bool {
    switch prefix {
    case .equal: self.low >= wanted.low && self.high <= wanted.high
    case .notEqual: self.low < wanted.low || self.high > wanted.high
    case .greater: self.high > wanted.high
    case .less: self.low < wanted.low
    case .greaterOrEqual: self.high > wanted.low
    case .lessOrEqual: self.low < wanted.high
    case .startsAfter: self.low >= wanted.high
    case .endsBefore: self.high <= wanted.low
    case .approximate: self.low < wanted.high && self.high > wanted.low
    }
  }

  /// It, and a tenth of the time between it and now on both sides (FHIR R4, search.html#prefix, `ap`).
  func approximate(at now: Timestamp) -> DateRange {
    let now = DateRange(now)
    let gap = self.low > now.low ? self.low - now.low : max(0, now.low - self.high)
    return DateRange(low: self.low - gap / 10, high: self.high + gap / 10)
  }
}

/// Reads a date from left to right.
private struct DateScanner {
  private var rest: Substring.UTF8View

  init(_ text: String.UTF8View) { self.rest = text[...] }

  var isAtEnd: Bool { self.rest.isEmpty }

  mutating func skip(_ character: Character) -> Bool {
    guard let byte = self.rest.first, byte == character.asciiValue else { return false }
    self.rest = self.rest.dropFirst()
    return true
  }

  mutating func digits() -> [UInt8] {
    let found = self.rest.prefix { $0 >= 0x30 && $0 <= 0x39 }
    self.rest = self.rest[found.endIndex...]
    return found.map { $0 - 0x30 }
  }

  mutating func number(_ count: Int, in range: ClosedRange<Int>) -> Int? {
    let found = self.rest.prefix(count)
    guard found.count == count, found.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
    let number = found.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    guard range.contains(number) else { return nil }
    self.rest = self.rest.dropFirst(count)
    return number
  }
}

/// What stands before a date or a number in a search (FHIR R4, search.html#prefix).
enum SearchPrefix: String, Sendable, CaseIterable {
  case equal = "eq"
  case notEqual = "ne"
  case greater = "gt"
  case less = "lt"
  case greaterOrEqual = "ge"
  case lessOrEqual = "le"
  case startsAfter = "sa"
  case endsBefore = "eb"
  case approximate = "ap"

  /// The prefix of a value, and what follows it.
  static func split(_ text: String) -> (prefix: SearchPrefix, rest: String) {
    guard let prefix = SearchPrefix(rawValue: String(text.prefix(2))) else { return (.equal, text) }
    return (prefix, String(text.dropFirst(2)))
  }
}
