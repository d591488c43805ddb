internal import HealthRecords
internal import Primitives

/// Long records that readers are fetching part by part: each was held against its anchor once. A few, and for a while.
struct OpenedContents {
  private static let countMax = 64
  /// So many of them on this machine's disk, because its vault does not keep them.
  private static let spooledMax = 4
  private static let idleMax = Span.milliseconds(300_000)

  private var kept: [(content: any SealedContent, until: Tick)] = []

  /// Keeps a record that was held against its anchor, where that takes long; gives it back.
  mutating func keep(_ content: any SealedContent, at now: Tick) -> any SealedContent {
    guard content.head.count > SealedRecord.chunksMax else { return content }
    self.forget(at: now) { $0 == content.head.record }
    if self.kept.count >= Self.countMax { self.kept.removeFirst() }
    let spooled = self.kept.indices.filter { self.kept[$0].content is SpooledRecord }
    if content is SpooledRecord, spooled.count >= Self.spooledMax { self.kept.remove(at: spooled[0]) }
    self.kept.append((content, now + Self.idleMax))
    return content
  }

  /// A record that was kept.
  mutating func find(_ record: Digest, at now: Tick) -> (any SealedContent)? {
    self.forget(at: now) { _ in false }
    guard let place = self.kept.firstIndex(where: { $0.content.head.record == record }) else { return nil }
    self.kept[place].until = now + Self.idleMax
    return self.kept[place].content
  }

  /// Forgets what nobody asked for in a while, and what is to go.
  mutating func forget(at now: Tick, _ isGone: (Digest) -> Bool) {
    self.kept.removeAll { $0.until <= now || isGone($0.content.head.record) }
  }
}
