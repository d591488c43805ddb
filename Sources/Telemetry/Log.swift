internal import Foundation
internal import Primitives
internal import Synchronization

/// A field's value.
public enum FieldValue: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
  /// A number.
  case number(UInt64)
  /// A word: an identifier, a digest, a reason. Never a name, a key or a record's content.
  case text(String)
  /// A text.
  public init(stringLiteral value: String) { self = .text(value) }
  /// A number.
  public init(integerLiteral value: UInt64) { self = .number(value) }
}

/// How lines are written.
public enum LogFormat: String, Sendable, CaseIterable {
  /// logfmt, for terminals.
  case text
  /// A JSON object a line.
  case json
}

/// Writes events as lines. Never blocks the node: what cannot be written is counted and reported.
public final class Log: Sendable {
  private struct State {
    var descriptor: Int32
    var path: String?
    var dropped: UInt64 = 0
    var counts: [String: UInt64] = [:]
    var repeats: [String: Repeats] = [:]
  }

  /// How often an event was written in the present span, and how often it was passed over since.
  private struct Repeats {
    var since: Int
    var written = 0
    var suppressed: UInt64 = 0
  }

  /// Of one event so many lines are written in a span of seconds; the next one says how many were passed over.
  private static let repeatsMax = 20
  private static let repeatSeconds = 10

  private let state: Mutex<State>
  private let level: EventLevel
  private let format: LogFormat
  private let node: String

  /// A log of the node `node` into a file, or to standard error.
  public init(node: String, level: EventLevel, format: LogFormat, path: String?) {
    (self.node, self.level, self.format) = (node, level, format)
    var descriptor: Int32 = 2
    if let path {
      let opened = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0o640)
      if opened >= 0 { descriptor = opened }
    }
    self.state = Mutex(State(descriptor: descriptor, path: path))
  }

  /// Opens the file anew, for logrotate.
  public func reopen() {
    self.state.withLock { state in
      guard let path = state.path else { return }
      let opened = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0o640)
      guard opened >= 0 else { return }
      close(state.descriptor)
      state.descriptor = opened
    }
  }

  /// How often each event happened, by name.
  public var counts: [String: UInt64] { self.state.withLock { $0.counts } }

  /// Writes an event.
  public func emit(_ kind: EventKind, _ fields: KeyValuePairs<String, FieldValue> = [:]) {
    self.state.withLock { state in
      state.counts[kind.name, default: 0] += 1
      guard kind.level >= self.level, let suppressed = Self.admit(kind, &state) else { return }
      if state.dropped > 0 {
        let line = self.line(.logDropped, ["count": .number(state.dropped)])
        if self.write(line, to: state.descriptor) { state.dropped = 0 }
      }
      if !self.write(self.line(kind, fields, suppressed: suppressed), to: state.descriptor) { state.dropped += 1 }
    }
  }

  /// How many lines of this event were passed over before this one; nil where this one is too.
  private static func admit(_ kind: EventKind, _ state: inout State) -> UInt64? {
    guard kind.level != .audit else { return 0 }
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    var repeats = state.repeats[kind.name] ?? Repeats(since: now.tv_sec)
    defer { state.repeats[kind.name] = repeats }
    var suppressed: UInt64 = 0
    if now.tv_sec - repeats.since >= Self.repeatSeconds {
      suppressed = repeats.suppressed
      repeats = Repeats(since: now.tv_sec)
    }
    guard repeats.written < Self.repeatsMax else {
      repeats.suppressed += 1
      return nil
    }
    repeats.written += 1
    return suppressed
  }

  private func write(_ line: String, to descriptor: Int32) -> Bool {
    let bytes = Array(line.utf8)
    let count = unsafe bytes.withUnsafeBytes { unsafe Foundation.write(descriptor, $0.baseAddress, $0.count) }
    return count == bytes.count
  }

  private func line(
    _ kind: EventKind, _ fields: KeyValuePairs<String, FieldValue>, suppressed: UInt64 = 0
  ) -> String {
    let isText = self.format == .text
    var parts =
      isText
      ? ["ts=\(Self.timestamp())", "level=\(kind.level.name)", "msg=\(Self.quoted(kind.message))"]
      : ["\"ts\":\"\(Self.timestamp())\"", "\"level\":\"\(kind.level.name)\"", "\"msg\":\(Self.quoted(kind.message))"]
    parts +=
      isText
      ? ["event=\(kind.name)", "node=\(self.node)"]
      : ["\"event\":\"\(kind.name)\"", "\"node\":\(Self.quoted(self.node))"]
    for (name, value) in fields {
      switch value {
      case .number(let number): parts.append(isText ? "\(name)=\(number)" : "\"\(name)\":\(number)")
      case .text(let text):
        let plain = isText && !text.utf8.contains { $0 <= 32 || $0 >= 127 || $0 == 34 || $0 == 61 }
        parts.append(plain ? "\(name)=\(text)" : (isText ? "\(name)=" : "\"\(name)\":") + Self.quoted(text))
      }
    }
    if suppressed > 0 { parts.append(isText ? "suppressed=\(suppressed)" : "\"suppressed\":\(suppressed)") }
    return isText ? parts.joined(separator: " ") + "\n" : "{" + parts.joined(separator: ",") + "}\n"
  }

  private static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      default:
        if scalar.value < 32 {
          out +=
            "\\u" + String(repeating: "0", count: 4 - String(scalar.value, radix: 16).count)
            + String(scalar.value, radix: 16)
        } else {
          out.unicodeScalars.append(scalar)
        }
      }
    }
    return out + "\""
  }

  /// RFC 3339 in UTC with microseconds.
  private static func timestamp() -> String {
    var now = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    return Self.timestamp(seconds: now.tv_sec, nanoseconds: now.tv_nsec)
  }

  /// The same of a clock's reading; one of before 1970 counts as its first second, as everywhere.
  static func timestamp(seconds: Int, nanoseconds: Int) -> String {
    let micro = String(nanoseconds / 1000)
    return Timestamp(milliseconds: UInt64(max(0, seconds)) * 1000).civilSeconds + "."
      + String(repeating: "0", count: 6 - micro.count) + micro + "Z"
  }
}
