internal import Messages
internal import HealthRecords
internal import Hummingbird
internal import Ledger
internal import NIOCore
internal import Primitives
internal import Wire

/// The log as public transparency-log tools read it: C2SP tlog-tiles, a checkpoint and immutable tiles.
package struct TransparencyLog: Sendable {
  private let service: any NodeService

  /// The log of a node.
  package init(service: any NodeService) { self.service = service }

  /// What stands at a path below the log's prefix: `checkpoint`, `tile/L/N[.p/W]` or `tile/entries/N[.p/W]`.
  ///
  /// - Throws: `ServiceRefusal` where there is no such tile, or the log has not come so far.
  func answer(_ path: [String]) async throws -> Response {
    if path == ["checkpoint"] {
      guard let checkpoint = await self.service.checkpoint(),
        let configuration = await self.service.configuration(checkpoint.body.configuration)
      else { throw ServiceRefusal.notStableYet }
      return text(checkpoint.note(in: configuration))
    }
    guard path.count >= 3, path[0] == "tile", let (index, width) = Self.place(path.dropFirst(2)) else {
      throw ServiceRefusal.notFound("tile; paths are tile/L/x001/234, with .p/W for the first W of one")
    }
    if path[1] == "entries" { return try binary(try await self.entries(index, width)) }
    guard let level = Int(path[1]), (0..<8).contains(level),
      let hashes = await self.service.tile(level: level, index: index), hashes.count >= width
    else { throw ServiceRefusal.notFound("tile") }
    return try binary(hashes.prefix(width).flatMap(\.bytes))
  }

  /// Entries with their length, two bytes, before each.
  private func entries(_ index: UInt64, _ width: Int) async throws -> [UInt8] {
    guard let hashes = await self.service.tile(level: 0, index: index), hashes.count >= width else {
      throw ServiceRefusal.notFound("tile")
    }
    // There is such a tile, and so the log has as many leaves.
    let (start, isBeyond) = index.multipliedReportingOverflow(by: UInt64(LogTile.width))
    guard !isBeyond else { throw ServiceRefusal.notFound("tile") }
    var out: [UInt8] = []
    for entry in try await self.service.entries(from: start, count: width) {
      let bytes = entry.encoded
      guard bytes.count <= UInt16.max else {
        throw ServiceRefusal.failed("an entry has \(bytes.count) bytes, a tile's at most \(UInt16.max)")
      }
      out += [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes
    }
    return out
  }

  /// `x001`, `234`, or `234.p`, `17`: an index in groups of three digits, and how many of the tile are wanted.
  package static func place(_ parts: some Sequence<String>) -> (index: UInt64, width: Int)? {
    var parts = Array(parts)
    var width = LogTile.width
    if parts.count >= 2, parts[parts.count - 2].hasSuffix(".p") {
      let text = parts.removeLast()
      guard let number = Int(text), "\(number)" == text, number > 0, number < LogTile.width else { return nil }
      width = number
      parts[parts.count - 1].removeLast(2)
    }
    var index: UInt64 = 0
    for (place, part) in parts.enumerated() {
      let digits = part.hasPrefix("x") ? part.dropFirst() : part[...]
      guard part.hasPrefix("x") == (place < parts.count - 1), digits.utf8.count == 3,
        digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let group = UInt64(digits),
        place > 0 || parts.count == 1 || group > 0, parts.count <= 6
      else { return nil }
      index = index * 1000 + group
    }
    return parts.isEmpty ? nil : (index, width)
  }
}
