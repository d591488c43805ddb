public import Messages
public import Primitives

/// What other members' records take in this vault, and whether it takes more of them.
///
/// Two bounds for each member: what it may leave here before it is anchored, so that nobody fills a vault with what the
/// ledger will never name; and, where the administrator sets one, the share of all that is anchored.
public struct Intake: Sendable {
  /// The most bytes that one member may leave here before they are anchored: two of the longest records.
  public static let unanchoredBytesMax: UInt64 = 8 << 30
  /// The most records that one member may leave here before they are anchored.
  static let unanchoredRecordsMax = 1 << 18
  /// What a part of a record takes besides its bytes: rows, keys, and a place in tables.
  public static let overheadBytes: UInt64 = 2048

  /// The most bytes of one member's records; nil for no bound.
  public let shareBytesMax: UInt64?
  private var kept: [ReplicaIndex: UInt64] = [:]
  private var waiting: [ReplicaIndex: [Digest: UInt64]] = [:]
  /// The sums of `waiting`.
  private var waitingBytes: [ReplicaIndex: UInt64] = [:]

  /// Nothing is here yet, as far as is known.
  public init(shareBytesMax: UInt64?) { self.shareBytesMax = shareBytesMax }

  /// The bytes of a member's records here that are anchored, and of those that are not yet.
  public func bytes(of member: ReplicaIndex) -> (kept: UInt64, waiting: UInt64) {
    (self.kept[member] ?? 0, self.waitingBytes[member] ?? 0)
  }

  /// Whether so many bytes more of a member's anchored records are within its share.
  public func hasRoom(for bytes: UInt64, of member: ReplicaIndex) -> Bool {
    guard let max = self.shareBytesMax else { return true }
    let held = self.bytes(of: member)
    return held.kept + held.waiting + bytes <= max
  }

  /// What becomes of records that a member offers.
  public enum Verdict: Sendable, Hashable {
    /// They are to be stored.
    case taken
    /// There is no room for them, or what they are is here already.
    case full
    /// The ledger erased one.
    case erased
    /// One is not of that member's making.
    case foreign
  }

  /// Takes parts of records from a member, all of them or none, where they are the member's own as far as can be seen.
  /// ⚑ Nobody takes another's identifier before it, and of what another member left here none is taken: two cannot both
  /// have made a record. What the ledger names is never written over, and what it erased does not come back.
  public mutating func take(
    _ parts: [(record: Digest, bytes: UInt64)], from member: ReplicaIndex, isOwn: Bool, ledger: some VaultLedger
  ) -> Verdict {
    for part in parts {
      guard let entry = ledger.anchored(part.record), !planted(.anchoredOverwritten) else { continue }
      return entry.isErased ? .erased : .full
    }
    guard isOwn || planted(.identifierCaptured) else { return .foreign }
    return self.take(parts, from: member) ? .taken : .full
  }

  private mutating func take(_ parts: [(record: Digest, bytes: UInt64)], from member: ReplicaIndex) -> Bool {
    let bytes = parts.reduce(0) { $0 + $1.bytes }
    guard self.bytes(of: member).waiting + bytes <= Self.unanchoredBytesMax, self.hasRoom(for: bytes, of: member),
      self.waiting[member, default: [:]].count + parts.count <= Self.unanchoredRecordsMax,
      !parts.contains(where: { part in self.waiting.contains { $0.key != member && $0.value[part.record] != nil } })
    else { return false }
    for part in parts { self.waiting[member, default: [:]][part.record, default: 0] += part.bytes }
    self.waitingBytes[member, default: 0] += bytes
    return true
  }

  /// Whether a record was left here since the start and waits for its anchor.
  public func isWaiting(_ record: Digest) -> Bool { self.waiting.values.contains { $0[record] != nil } }

  /// What was taken could not be stored: it takes no room.
  public mutating func giveBack(_ parts: [(record: Digest, bytes: UInt64)], from member: ReplicaIndex) {
    for part in parts {
      guard let held = self.waiting[member]?[part.record] else { continue }
      self.waiting[member]?[part.record] = held > part.bytes ? held - part.bytes : nil
      self.waitingBytes[member, default: 0] -= min(held, part.bytes)
    }
  }

  /// The ledger names a record that was left here: it counts as its hospital's from now on.
  public mutating func anchored(_ record: Digest, bytes: UInt64, of hospital: ReplicaIndex) {
    guard self.forget(record) else { return }
    self.kept[hospital, default: 0] += bytes
  }

  /// A record that waited here is gone, or does not wait any more; says whether there was one.
  @discardableResult
  public mutating func forget(_ record: Digest) -> Bool {
    var found = false
    for member in self.waiting.keys {
      guard let bytes = self.waiting[member]?.removeValue(forKey: record) else { continue }
      self.waitingBytes[member, default: 0] -= bytes
      found = true
    }
    return found
  }

  /// What the ledger says that this vault keeps of each member, counted anew.
  public mutating func counted(_ kept: [ReplicaIndex: UInt64]) { self.kept = kept }
}
