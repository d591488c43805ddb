// Goal: lines that tools read, and no flood of them. Method: a log into a file, read back.
import Foundation
import Testing

@testable import Telemetry

@Suite("Log")
struct LogTests {
  private func lines(_ format: LogFormat, level: EventLevel = .info, _ body: (Log) -> Void) throws -> [String] {
    let path = FileManager.default.temporaryDirectory.appending(path: "log-\(UUID().uuidString)").path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    body(Log(node: "m1", level: level, format: format, path: path))
    return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
  }

  @Test("JSON lines parse, whatever stands in their fields, and keep the stable names")
  func json() throws {
    let hostile = "\"quoted\" \\ and a line\nbreak \u{1}"
    let lines = try self.lines(.json) { $0.emit(.peerRefused, ["address": .text(hostile), "port": .number(7)]) }
    #expect(lines.count == 1)
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(lines[0].utf8)) as? [String: Any])
    #expect(object["event"] as? String == "peer.refused")
    #expect(object["level"] as? String == "warn")
    #expect(object["address"] as? String == hostile)
    #expect(object["port"] as? Int == 7)
  }

  @Test("A clock of before 1970 gives a line as every other does")
  func earlyClock() {
    #expect(Log.timestamp(seconds: -1, nanoseconds: 5_000) == "1970-01-01T00:00:00.000005Z")
    #expect(Log.timestamp(seconds: .min, nanoseconds: 0) == "1970-01-01T00:00:00.000000Z")
    #expect(Log.timestamp(seconds: 86_400, nanoseconds: 123_456_789) == "1970-01-02T00:00:00.123456Z")
  }

  @Test("Text lines are logfmt with ts, level and msg first")
  func text() throws {
    let lines = try self.lines(.text) { $0.emit(.viewEntered, ["view": .number(3), "primary": "m2"]) }
    #expect(lines[0].hasPrefix("ts="))
    #expect(
      lines[0].contains(" level=info msg=\"a view is open\" event=consensus.view.entered node=m1 view=3 primary=m2"))
  }

  @Test("Events below the level are counted, not written")
  func level() throws {
    var counts: [String: UInt64] = [:]
    let lines = try self.lines(.json, level: .warn) { log in
      log.emit(.viewEntered)
      counts = log.counts
    }
    #expect(lines.isEmpty)
    #expect(counts == ["consensus.view.entered": 1])
  }

  @Test("A flood of one event is cut off, other events are still written, and a use of a key always is")
  func flood() throws {
    let lines = try self.lines(.json) { log in
      for _ in 0..<10_000 { log.emit(.peerFaulted) }
      for _ in 0..<30 { log.emit(.keyReleased) }
      log.emit(.viewEntered)
    }
    #expect(lines.count { $0.contains("peer.faulted") } <= 40)
    #expect(lines.count { $0.contains("custody.released") } == 30)
    #expect(lines.count { $0.contains("consensus.view.entered") } == 1)
  }

  @Test("An event is found by its name or by words of its line, in any case; a whole line before parts of others")
  func matching() {
    #expect(EventKind.matching("peer.connected").map(\.name) == ["peer.connected"])
    #expect(EventKind.matching("The ledger went on") == [.progress])
    #expect(EventKind.matching("a member is connected") == [.peerConnected])
    #expect(EventKind.matching("vault.").count > 1)
    #expect(EventKind.matching("no such words").isEmpty)
    #expect(EventKind.matching("") == EventKind.catalogue)
    // An operator reads at info, and must see who left.
    #expect(EventKind.peerDisconnected.level == .info && EventKind.peerConnected.level == .info)
  }

  @Test("Every event of the catalogue has a name of its own, a meaning and a remedy")
  func catalogue() {
    let names = EventKind.catalogue.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(EventKind.catalogue.allSatisfy { !$0.meaning.isEmpty && !$0.remedy.isEmpty })
    for event in EventKind.catalogue {
      let text = "\(event.message) \(event.meaning) \(event.remedy)".lowercased()
      for word in ["mended", "whoever", "anew", "so many", "by lot"] {
        #expect(!text.contains(word), "\(event.name): \(text)")
      }
    }
  }
}
