internal import Foundation
import HealthRecords

/// A stretch of time that a FHIR date means: 2024-05 is the whole of May. Milliseconds since 1970, the end excluded.
public struct DateRange: Sendable, Hashable {
  let low: Int64
  let high: Int64

  /// What a FHIR date, dateTime or instant means; nil where it is none. Without an offset it is UTC.
  public init?(_ text: String) {
    let characters = Array(text.utf8)
    func number(_ at: Int, _ length: Int) -> Int? {
      guard at + length <= characters.count else { return nil }
      var value = 0
      for byte in characters[at..<(at + length)] {
        guard byte >= 48, byte <= 57 else { return nil }
        value = value * 10 + Int(byte - 48)
      }
      return value
    }
    func mark(_ at: Int, _ byte: Character) -> Bool { at < characters.count && characters[at] == byte.asciiValue }
    guard let year = number(0, 4), year > 0 else { return nil }
    guard characters.count > 4 else {
      self.init(days: Self.days(year, 1, 1), until: Self.days(year + 1, 1, 1))
      return
    }
    guard mark(4, "-"), let month = number(5, 2), (1...12).contains(month) else { return nil }
    let next = month == 12 ? Self.days(year + 1, 1, 1) : Self.days(year, month + 1, 1)
    guard characters.count > 7 else {
      self.init(days: Self.days(year, month, 1), until: next)
      return
    }
    let first = Self.days(year, month, 1)
    guard mark(7, "-"), let day = number(8, 2), day >= 1, day <= next - first else { return nil }
    guard characters.count > 10 else {
      self.init(days: first + day - 1, until: first + day)
      return
    }
    guard mark(10, "T"), let hour = number(11, 2), hour < 24, mark(13, ":"), let minute = number(14, 2), minute < 60
    else { return nil }
    var milliseconds = (Int64(first + day - 1) * 1440 + Int64(hour * 60 + minute)) * 60_000
    var (length, at): (Int64, Int) = (60_000, 16)
    if mark(16, ":") {
      guard let second = number(17, 2), second <= 60 else { return nil }
      milliseconds += Int64(second) * 1000
      (length, at) = (1000, 19)
      if mark(19, ".") {
        let digits = characters[20...].prefix { $0 >= 48 && $0 <= 57 }
        guard !digits.isEmpty else { return nil }
        let three = Array((digits + [48, 48]).prefix(3))
        milliseconds += three.reduce(0) { $0 * 10 + Int64($1 - 48) }
        (length, at) = (1, 20 + digits.count)
      }
    }
    if mark(at, "+") || mark(at, "-") {
      guard let hours = number(at + 1, 2), mark(at + 3, ":"), let minutes = number(at + 4, 2),
        at + 6 == characters.count
      else { return nil }
      let offset = Int64(hours * 60 + minutes) * 60_000
      milliseconds += mark(at, "+") ? -offset : offset
    } else if !(mark(at, "Z") && at + 1 == characters.count) && at != characters.count {
      return nil
    }
    self.init(low: milliseconds, high: milliseconds + length)
  }

  init(low: Int64, high: Int64) { (self.low, self.high) = (low, high) }

  private init(days: Int, until: Int) {
    (self.low, self.high) = (Int64(days) * 86_400_000, Int64(until) * 86_400_000)
  }

  /// Days since 1970 of a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
  private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let y = month <= 2 ? year - 1 : year
    let era = y / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}

/// One value of a search parameter in a resource.
enum SearchValue: Sendable, Hashable {
  case token(system: String?, code: String)
  /// `Type/id` of what is stored here; of anything else the text as it is.
  case reference(String)
  /// Folded: without case and accents; and as it is.
  case string(folded: String, exact: String)
  case date(DateRange)
  case quantity(Double, system: String?, code: String?, unit: String?)
  case uri(String)

  /// Text as it is compared: without case and accents.
  static func fold(_ text: String) -> String {
    text.folding(options: [.caseInsensitive, .diacriticInsensitive], locale: nil)
  }

  /// The values of a parameter in a resource.
  static func values(of parameter: SearchParameter, in resource: CanonicalJSON, at site: Site) -> [SearchValue] {
    let values = parameter.paths.flatMap { path in
      SearchParameter.nodes(resource, path).flatMap { Self.values(of: parameter.kind, at: $0, site) }
    }
    // Elements that may name others too: who is no patient here is none for this parameter.
    return parameter.code == "patient" ? values.filter { !$0.isLocalButNo("Patient") } : values
  }

  private func isLocalButNo(_ type: String) -> Bool {
    guard case .reference(let reference) = self, let found = Site.literal(reference) else { return false }
    return found.type != type
  }

  private static func values(of kind: SearchParameter.Kind, at node: CanonicalJSON, _ site: Site) -> [SearchValue] {
    switch kind {
    case .token: return self.tokens(node)
    case .reference: return [node["reference"]?.text ?? node.text].compactMap(\.self).map { .reference(site.local($0)) }
    case .string: return self.strings(node).map { .string(folded: self.fold($0), exact: $0) }
    case .date: return self.dates(node)
    case .quantity, .number:
      let measured = node["value"] ?? (kind == .number ? node : nil)
      guard case .number(let token)? = measured, let value = Double(token) else { return [] }
      return [
        .quantity(value, system: node["system"]?.text, code: node["code"]?.text, unit: node["unit"]?.text)
      ]
    case .uri: return node.text.map { [.uri($0)] } ?? []
    }
  }

  private static func tokens(_ node: CanonicalJSON) -> [SearchValue] {
    switch node {
    case .bool(let value): return [.token(system: nil, code: value ? "true" : "false")]
    case .string(let text): return [.token(system: nil, code: text)]
    case .object:
      if let codings = node["coding"]?.items { return codings.flatMap { self.tokens($0) } }
      guard let code = node["code"]?.text ?? node["value"]?.text else { return [] }
      return [.token(system: node["system"]?.text, code: code)]
    case .null, .number, .array: return []
    }
  }

  private static func strings(_ node: CanonicalJSON) -> [String] {
    switch node {
    case .string(let text): return [text]
    case .array(let items): return items.flatMap { self.strings($0) }
    case .object:
      let names = [
        "text", "family", "given", "prefix", "suffix", "line", "city", "district", "state", "postalCode", "country",
      ]
      return names.flatMap { node[$0].map { self.strings($0) } ?? [] }
    case .null, .bool, .number: return []
    }
  }

  private static func dates(_ node: CanonicalJSON) -> [SearchValue] {
    if let text = node.text { return DateRange(text).map { [.date($0)] } ?? [] }
    if let events = node["event"]?.items { return events.flatMap { self.dates($0) } }
    let (start, end) = (node["start"]?.text.flatMap { DateRange($0) }, node["end"]?.text.flatMap { DateRange($0) })
    guard start != nil || end != nil else { return [] }
    return [.date(DateRange(low: start?.low ?? .min, high: end?.high ?? .max))]
  }
}
