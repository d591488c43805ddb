/// A date and time as HL7 writes it: `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][+ZZZZ]`.
///
/// Source: HL7 v2.5.1, §2.A.22 (DTM); FHIR R4, datatypes, `dateTime`.
public struct HL7Time: Sendable, Hashable {
  /// A clock on the wall.
  public struct Local: Sendable, Hashable {
    /// The year.
    public let year: Int
    /// 1 to 12; 1 where it is not said.
    public let month: Int
    /// 1 to 31; 1 where it is not said.
    public let day: Int
    /// 0 to 23.
    public let hour: Int
    /// 0 to 59.
    public let minute: Int
  }

  /// How far a place's clocks are before UTC, in minutes, at a time by them.
  public typealias Zone = @Sendable (Local) -> Int

  /// The digits before the zone.
  private let digits: [Int]
  private let fraction: String
  /// Minutes before UTC; nil where it is not said.
  let offset: Int?

  /// Reads a time; nil where it is none, or there is no such day.
  init?(_ text: String) {
    let body = text.prefix { $0 != "+" && $0 != "-" }
    let zone = text.dropFirst(body.count)
    let halves = body.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let digits = halves[0].utf8.map { Int($0) - 0x30 }
    guard [4, 6, 8, 10, 12, 14].contains(digits.count), digits.allSatisfy({ (0...9).contains($0) }) else { return nil }
    let fraction = halves.count == 2 ? String(halves[1]) : ""
    guard fraction.utf8.allSatisfy({ (0x30...0x39).contains($0) }), fraction.utf8.count <= 9,
      halves.count == 1 || (digits.count == 14 && !fraction.isEmpty)
    else { return nil }
    (self.digits, self.fraction) = (digits, fraction)
    if zone.isEmpty {
      self.offset = nil
    } else {
      let signs = zone.dropFirst().utf8.map { Int($0) - 0x30 }
      guard signs.count == 4, signs.allSatisfy({ (0...9).contains($0) }) else { return nil }
      let (hours, minutes) = (signs[0] * 10 + signs[1], signs[2] * 10 + signs[3])
      guard minutes < 60, hours * 60 + minutes <= 14 * 60 else { return nil }
      self.offset = (zone.first == "-" ? -1 : 1) * (hours * 60 + minutes)
    }
    guard self.isReal else { return nil }
  }

  private func part(_ start: Int, _ length: Int) -> Int? {
    guard self.digits.count >= start + length else { return nil }
    return self.digits[start..<(start + length)].reduce(0) { $0 * 10 + $1 }
  }

  private var isReal: Bool {
    let (year, month) = (self.part(0, 4) ?? 0, self.part(4, 2) ?? 1)
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let days = month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    return year > 0 && (1...12).contains(month) && (1...days).contains(self.part(6, 2) ?? 1)
      && (0...23).contains(self.part(8, 2) ?? 0) && (0...59).contains(self.part(10, 2) ?? 0)
      && (0...59).contains(self.part(12, 2) ?? 0)
  }

  /// The day, as exactly as it is said: FHIR's `date`.
  var date: String {
    var text = Self.padded(self.part(0, 4) ?? 0, 4)
    if let month = self.part(4, 2) { text += "-" + Self.padded(month, 2) }
    if let day = self.part(6, 2) { text += "-" + Self.padded(day, 2) }
    return text
  }

  /// FHIR's `dateTime`; a time of day without a zone is by the clocks of `zone`.
  func dateTime(_ zone: Zone) -> String {
    guard let hour = self.part(8, 2) else { return self.date }
    let minute = self.part(10, 2) ?? 0
    let local = Local(
      year: self.part(0, 4) ?? 0, month: self.part(4, 2) ?? 1, day: self.part(6, 2) ?? 1, hour: hour, minute: minute)
    // FHIR's zones end at 14 hours.
    let offset = max(-840, min(840, self.offset ?? zone(local)))
    let time = [hour, minute, self.part(12, 2) ?? 0].map { Self.padded($0, 2) }.joined(separator: ":")
    let fraction = self.fraction.isEmpty ? "" : ".\(self.fraction)"
    let sign = offset < 0 ? "-" : "+"
    let clock = "\(Self.padded(abs(offset) / 60, 2)):\(Self.padded(abs(offset) % 60, 2))"
    return "\(self.date)T\(time)\(fraction)\(sign)\(clock)"
  }

  /// FHIR's `instant`; nil where the time of day is not said.
  func instant(_ zone: Zone) -> String? { self.part(8, 2) == nil ? nil : self.dateTime(zone) }

  /// `HH:MM:SS`, of HL7's `HHMM[SS[.S]]`; nil where it is none.
  static func time(_ text: String) -> String? {
    HL7Time("20000101\(text.prefix { $0 != "+" && $0 != "-" })").flatMap { time in
      time.part(8, 2) == nil ? nil : String(time.dateTime { _ in 0 }.dropFirst(11).dropLast(6))
    }
  }

  private static func padded(_ number: Int, _ length: Int) -> String {
    let text = "\(number)"
    return String(repeating: "0", count: max(0, length - text.count)) + text
  }
}
