internal import Foundation
internal import Telemetry

/// Reads whole lines of a log as they are added, and goes on with the file that takes its place.
struct LogReader {
  private static let pieceBytes = 1 << 20
  /// What is longer is no line of a log.
  private static let lineBytesMax = 1 << 20

  /// Which file it is, whatever its name.
  private struct Identity: Equatable {
    let device, number: UInt64

    /// Of the file that is at a path now; nil for none.
    init?(path: String) {
      let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path()
      guard let attributes = try? FileManager.default.attributesOfItem(atPath: resolved),
        let device = (attributes[.systemNumber] as? NSNumber)?.uint64Value,
        let number = (attributes[.systemFileNumber] as? NSNumber)?.uint64Value
      else { return nil }
      (self.device, self.number) = (device, number)
    }
  }

  private let path: String
  private var file: FileHandle
  private var identity: Identity?
  private var offset: UInt64 = 0
  private var rest: [UInt8] = []
  private var (linesCount, othersCount) = (0, 0)

  /// A reader of the file at a path.
  ///
  /// - Throws: `Failure` where there is none, or it may not be read.
  init(path: String) throws {
    guard let file = FileHandle(forReadingAtPath: path) else {
      throw Failure(
        "cannot read \(path)", why: "there is no such log, or it may not be read", remedy: "check the path",
        status: ExitStatus.missingInput)
    }
    (self.path, self.file, self.identity) = (path, file, Identity(path: path))
  }

  /// What is said of lines that are no log's; nil where there are none.
  var others: String? {
    self.othersCount == 0 ? nil : "\(self.path): lines that are no log lines in JSON are left out: \(self.othersCount)"
  }

  /// The lines that were added; where they are the last, one without its end counts too.
  ///
  /// - Throws: `Failure` where it cannot be read, or has lines and none of them is a log's.
  mutating func next(isLast: Bool) throws -> [LogLine] {
    var lines = try self.added()
    // What was written until the other file came is read: the writer has opened that one before.
    if let successor = self.successor() {
      lines += try self.added()
      lines += self.lines(in: self.rest)
      (self.file, self.offset, self.rest) = (successor.file, 0, [])
      self.identity = successor.identity
      lines += try self.added()
    }
    if isLast { lines += self.lines(in: self.rest) }
    try self.requireLog()
    return lines
  }

  private mutating func added() throws -> [LogLine] {
    // A pipe has no end to seek; it is read as it comes.
    if self.offset > 0, let size = try? self.file.seekToEnd() {
      // Where it was cut off, it is written from its beginning.
      if size < self.offset { (self.offset, self.rest) = (0, []) }
      try self.file.seek(toOffset: self.offset)
    }
    var lines: [LogLine] = []
    while true {
      let piece: Data
      do { piece = try self.file.read(upToCount: Self.pieceBytes) ?? Data() } catch {
        throw Failure(
          "cannot read \(self.path)", why: "it is no file, or the disk does not give it",
          remedy: "give the file that log_file names in node.toml")
      }
      guard !piece.isEmpty else { return lines }
      self.offset += UInt64(piece.count)
      self.rest += piece
      if let end = self.rest.lastIndex(of: 0x0a) {
        lines += self.lines(in: self.rest[...end])
        self.rest = Array(self.rest[(end + 1)...])
      }
      if self.rest.count > Self.lineBytesMax {
        self.othersCount += 1
        self.rest = []
      }
      try self.requireLog()
    }
  }

  private mutating func lines(in bytes: some Collection<UInt8>) -> [LogLine] {
    let all = bytes.split(separator: 0x0a)
    let lines = all.compactMap { LogLine(String(decoding: $0, as: UTF8.self)) }
    self.linesCount += lines.count
    self.othersCount += all.count - lines.count
    return lines
  }

  private func requireLog() throws {
    guard self.linesCount == 0, self.othersCount > 0 else { return }
    throw Failure(
      "\(self.path) is no log", why: "it has lines, and none is a node's log line in JSON",
      remedy: "give the file that log_file names in node.toml, written with log_format = \"json\"")
  }

  /// The other file that is under the name now, opened; nil where it is the same one, or none.
  private func successor() -> (file: FileHandle, identity: Identity)? {
    guard let named = Identity(path: self.path), named != self.identity,
      let file = FileHandle(forReadingAtPath: self.path)
    else { return nil }
    return (file, named)
  }
}

/// One line of a log.
struct LogLine {
  let raw: String
  let time: String
  let node: String
  let level: EventLevel
  let event: String
  let message: String
  let fields: String

  init?(_ raw: String) {
    guard let object = try? JSONSerialization.jsonObject(with: Data(raw.utf8)) as? [String: Any],
      let time = object["ts"] as? String, let level = (object["level"] as? String).flatMap({ EventLevel(name: $0) }),
      let event = object["event"] as? String
    else { return nil }
    (self.raw, self.time, self.level, self.event) = (raw, time, level, event)
    self.node = object["node"] as? String ?? ""
    self.message = object["msg"] as? String ?? ""
    let known: Set = ["ts", "level", "event", "node", "msg"]
    self.fields = object.keys.filter { !known.contains($0) }.sorted().map { "\($0)=\(object[$0] ?? "")" }
      .joined(separator: " ")
  }
}
