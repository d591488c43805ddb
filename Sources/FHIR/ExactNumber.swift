/// A decimal number to its last digit: what is measured is never rounded to be compared.
struct ExactNumber: Sendable, Hashable, Comparable {
  private let isNegative: Bool
  /// The number is 0.DIGITS × 10 to this power.
  private let power: Int
  /// Without zeros before and after; none for zero.
  private let digits: String

  /// A number as JSON or a search writes it; nil where it is none.
  init?(_ text: some StringProtocol) {
    guard let written = WrittenNumber(text) else { return nil }
    self = written.value
  }

  /// A number of digits, the last of which counts 10 to the power `last`.
  init(isNegative: Bool, _ digits: some Collection<UInt8>, last: Int) {
    var significant = Array(digits.drop { $0 == 0 })
    var last = last
    while significant.last == 0 {
      significant.removeLast()
      last += 1
    }
    self.digits = String(decoding: significant.map { $0 + 0x30 }, as: UTF8.self)
    self.power = significant.isEmpty ? 0 : last + significant.count
    self.isNegative = isNegative && !significant.isEmpty
  }

  /// Text that sorts as the number does.
  var sortKey: String {
    guard !self.digits.isEmpty else { return "1" }
    let power = String(2 * WrittenNumber.powerMax + (self.isNegative ? -self.power : self.power))
    let padded = String(repeating: "0", count: max(0, 12 - power.count)) + power
    guard self.isNegative else { return "2\(padded)\(self.digits)" }
    return "0\(padded)" + String(decoding: self.digits.utf8.map { 0x69 - $0 }, as: UTF8.self) + "~"
  }

  private var sign: Int { self.digits.isEmpty ? 0 : self.isNegative ? -1 : 1 }

  static func < (left: ExactNumber, right: ExactNumber) -> Bool {
    guard left.sign == right.sign else { return left.sign < right.sign }
    let (small, large) = left.isNegative ? (right, left) : (left, right)
    guard small.power == large.power else { return small.power < large.power }
    return small.digits.utf8.lexicographicallyPrecedes(large.digits.utf8)
  }
}

/// A number as it was written, which says how exact it is.
struct WrittenNumber {
  private let isNegative: Bool
  /// At least one.
  private var digits: [UInt8] = []
  /// What the last digit counts, as a power of ten.
  private var last = 0

  /// The largest power of ten that is told from others.
  static let powerMax = 1_000_000_000

  /// Reads `-1.50`, `1e2`; nil where it is no number.
  init?(_ text: some StringProtocol) {
    var rest = Substring(text).utf8[...]
    self.isNegative = rest.first == UInt8(ascii: "-")
    if self.isNegative { rest = rest.dropFirst() }
    func digits() -> [UInt8] {
      let found = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }
      rest = rest[found.endIndex...]
      return found.map { $0 - 0x30 }
    }
    self.digits = digits()
    guard !self.digits.isEmpty else { return nil }
    if rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst()
      let decimals = digits()
      guard !decimals.isEmpty else { return nil }
      self.digits += decimals
      self.last = -decimals.count
    }
    if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
      rest = rest.dropFirst()
      let isSmall = rest.first == UInt8(ascii: "-")
      if isSmall || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
      let exponent = digits()
      guard !exponent.isEmpty else { return nil }
      let power = exponent.reduce(0) { min($0 * 10 + Int($1), Self.powerMax) }
      self.last += isSmall ? -power : power
      // The standard's own example: 1e2 is 95 to 105, as if it were 1.0e2.
      if self.digits.drop(while: { $0 == 0 }).count == 1 {
        self.digits.append(0)
        self.last -= 1
      }
    }
    guard rest.isEmpty else { return nil }
  }

  /// The number.
  var value: ExactNumber { ExactNumber(isNegative: self.isNegative, self.digits, last: self.last) }

  /// Between which numbers lies all that is rounded to it: 5.4 is from 5.35 up to, and without, 5.45 (FHIR R4,
  /// search.html#number).
  var rounded: (low: ExactNumber, high: ExactNumber) {
    let outer = self.digits + [5]
    guard self.digits.contains(where: { $0 != 0 }) else {
      return (
        ExactNumber(isNegative: true, outer, last: self.last - 1),
        ExactNumber(isNegative: false, outer, last: self.last - 1)
      )
    }
    var inner = self.digits
    var place = inner.count - 1
    while inner[place] == 0 {
      inner[place] = 9
      place -= 1
    }
    inner[place] -= 1
    let near = ExactNumber(isNegative: self.isNegative, inner + [5], last: self.last - 1)
    let far = ExactNumber(isNegative: self.isNegative, outer, last: self.last - 1)
    return self.isNegative ? (far, near) : (near, far)
  }

  /// A tenth around it on both sides.
  var approximate: (low: ExactNumber, high: ExactNumber) {
    func times(_ factor: Int) -> ExactNumber {
      var (out, carry): ([UInt8], Int) = ([], 0)
      for digit in self.digits.reversed() {
        let product = Int(digit) * factor + carry
        out.append(UInt8(product % 10))
        carry = product / 10
      }
      while carry > 0 {
        out.append(UInt8(carry % 10))
        carry /= 10
      }
      return ExactNumber(isNegative: self.isNegative, out.reversed(), last: self.last - 1)
    }
    return self.isNegative ? (times(11), times(9)) : (times(9), times(11))
  }
}

/// The numbers that a measured value may be: one, a range, or all on one side of a comparator.
struct NumberRange: Sendable, Hashable {
  /// nil where it is open.
  let low: ExactNumber?
  let high: ExactNumber?
  /// Whether the ends themselves belong to it.
  var isClosed = true
  /// Whether it is one number of which only a side is known (`<5`): then nothing is claimed that may not be so.
  var isUnsure = false

  /// One number.
  init(_ value: ExactNumber) { (self.low, self.high) = (value, value) }

  /// All from one number to another.
  init(low: ExactNumber?, high: ExactNumber?) { (self.low, self.high) = (low, high) }

  /// One number with FHIR's comparator; nil stands for none.
  init(_ value: ExactNumber, comparator: String?) {
    switch comparator {
    case "<", "<=": (self.low, self.high) = (nil, value)
    case ">", ">=": (self.low, self.high) = (value, nil)
    default: (self.low, self.high) = (value, value)
    }
    self.isUnsure = self.low == nil || self.high == nil
    self.isClosed = !self.isUnsure || comparator?.count == 2
  }

  /// Whether all of it is over a number, or only some where it is a range.
  func exceeds(_ number: ExactNumber, orEqual: Bool) -> Bool {
    guard let end = self.isUnsure ? self.low : self.high else { return !self.isUnsure }
    // `>5` is over 5 itself.
    return end > number || (end == number && (self.isUnsure ? orEqual || !self.isClosed : orEqual))
  }

  /// Whether all of it is below a number, or only some where it is a range.
  func undercuts(_ number: ExactNumber, orEqual: Bool) -> Bool {
    guard let end = self.isUnsure ? self.high : self.low else { return !self.isUnsure }
    return end < number || (end == number && (self.isUnsure ? orEqual || !self.isClosed : orEqual))
  }

  /// Whether all of it is from one number up to, and without, another.
  func isWithin(_ low: ExactNumber, _ high: ExactNumber) -> Bool {
    guard let first = self.low, let last = self.high else { return false }
    return first >= low && last < high
  }

  /// Whether any of it may be from one number up to, and without, another.
  func mayBeWithin(_ low: ExactNumber, _ high: ExactNumber) -> Bool {
    let isBelow = self.high.map { self.isClosed ? $0 < low : $0 <= low } ?? false
    return !isBelow && !(self.low.map { $0 >= high } ?? false)
  }
}
