internal import HealthRecords

/// What comes late does not undo what came after it: neither by its time, nor by its state.
extension Mapping {
  /// How far a thing has come, by its status; nil where it says nothing.
  private static let stages: [String: Int] = [
    "registered": 0, "preliminary": 0, "partial": 0, "unknown": 0, "planned": 0, "proposed": 0, "pending": 0,
    "waitlist": 0, "booked": 1, "arrived": 1, "current": 1, "in-progress": 1, "final": 2, "finished": 2, "completed": 2,
    "not-done": 2, "fulfilled": 2, "amended": 3, "corrected": 3, "cancelled": 3, "noshow": 3, "entered-in-error": 3,
  ]

  /// Refuses what is older than what is there, or takes its state back. ⚑ What was final is never preliminary again.
  static func requireLate(_ draft: Draft, _ there: HeldResource) throws(HL7Fault) {
    let before = Self.said(there.json, draft.saidURL)
    let order = draft.said.flatMap { now in before.flatMap { HL7Time.order(now, $0) } }
    func refusal(_ why: String) -> HL7Fault {
      HL7Fault(
        .conflict,
        "\(draft.key.type) \(draft.key.value.prefix(80)) \(why): give the message up, or replay it with what is so now")
    }
    if order == .before {
      throw refusal("has here what its sender said later (\(before ?? "")), and this is of \(draft.said ?? "")")
    }
    guard let new = draft.elements.last(where: { $0.name == "status" })?.value?.text,
      let old = there.json["status"]?.text, let to = Self.stages[new], let from = Self.stages[old], to < from,
      !draft.isReopened
    else { return }
    let isResult = draft.key.type == "Observation" || draft.key.type == "DiagnosticReport"
    guard order == .after, !(isResult && to == 0 && from > 1) else {
      throw refusal("is \(old) here, and would be \(new) again")
    }
  }

  /// The extension with the time at which a source said last what is in a resource.
  private static func said(_ json: CanonicalJSON, _ url: String) -> String? {
    (json["extension"]?.items ?? []).first { $0["url"]?.text == url }?["valueDateTime"]?.text
  }

  /// The same resource with the time of what it says.
  static func timed(_ json: CanonicalJSON, _ draft: Draft) -> CanonicalJSON {
    guard let time = draft.said else { return json }
    // First, so that the same message finds the same order.
    let others = (json["extension"]?.items ?? []).filter { $0["url"]?.text != draft.saidURL }
    let one = CanonicalJSON.object([
      (name: "url", value: .string(draft.saidURL)), (name: "valueDateTime", value: .string(time)),
    ])
    return json.with([("extension", .array([one] + others))])
  }
}

extension HL7Time {
  /// How two times stand to each other.
  enum Order { case before, same, after }

  /// How FHIR's `dateTime` stands to another; nil where nobody can tell. A day without a time of day is the same as any
  /// time of it.
  static func order(_ one: String, _ other: String) -> Order? {
    guard let first = Self.parts(one), let second = Self.parts(other) else { return nil }
    guard let left = first.minute, let right = second.minute else {
      let (a, b) = (one.prefix(10), other.prefix(10))
      if a.hasPrefix(b) || b.hasPrefix(a) { return .same }
      return a < b ? .before : .after
    }
    if left != right { return left < right ? .before : .after }
    return first.second == second.second ? .same : first.second < second.second ? .before : .after
  }

  /// The minutes of UTC since some day, and the seconds within.
  private static func parts(_ text: String) -> (minute: Int?, second: String)? {
    let bytes = Array(text.utf8)
    func number(_ start: Int, _ length: Int) -> Int? {
      Int(String(decoding: bytes[start..<(start + length)], as: UTF8.self))
    }
    guard bytes.count >= 4 else { return nil }
    guard bytes.count >= 25 else { return (nil, "") }
    guard let year = number(0, 4), let month = number(5, 2), let day = number(8, 2), let hour = number(11, 2),
      let minute = number(14, 2), let hours = number(bytes.count - 5, 2), let minutes = number(bytes.count - 2, 2)
    else { return nil }
    // Days of the Gregorian calendar, years counted from March.
    let (years, months) = month > 2 ? (year, month - 3) : (year - 1, month + 9)
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day
    let offset = (bytes[bytes.count - 6] == UInt8(ascii: "-") ? -1 : 1) * (hours * 60 + minutes)
    return ((days * 24 + hour) * 60 + minute - offset, String(decoding: bytes[17..<(bytes.count - 6)], as: UTF8.self))
  }
}
