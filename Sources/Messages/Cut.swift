public import Primitives
import Signing
public import Wire

/// The end of a lane: a position and the digest of the block there. Position 0 with digest zero is the empty lane.
public struct LaneHead: Sendable, Hashable {
  /// How many blocks.
  public let position: LanePosition
  /// The last one's digest.
  public let digest: Digest

  /// The head at a position.
  public init(position: LanePosition, digest: Digest) { (self.position, self.digest) = (position, digest) }
  /// The empty lane.
  public static let empty = LaneHead(position: .zero, digest: .zero)
}

extension LaneHead: WireCodable {
  /// Position and digest.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.position)
    encoder.digest(self.digest)
  }
  /// Reads a head; only the empty lane has digest zero.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    self.position = try LanePosition(from: &decoder)
    self.digest = try decoder.digest()
    guard (self.position == .zero) == (self.digest == .zero) else {
      throw .invalid(at: start, field: "lane head")
    }
  }
}

/// What is ordered: how far each lane is in, and the time. Cumulative, so small whatever the load (LEDGER §3).
public struct Cut: Sendable, Hashable {
  /// One head a lane, in member order.
  public let heads: [LaneHead]
  /// The ledger's time from here on.
  public let time: Timestamp
  /// What votes name, computed once.
  public let digest: Digest

  /// A cut of given heads.
  public init(heads: [LaneHead], time: Timestamp) {
    (self.heads, self.time) = (heads, time)
    var encoder = Encoder()
    Self.encode(heads, time, into: &encoder)
    self.digest = Hash.blake2b("consilium/cut/v1", encoder.bytes)
  }
  /// The cut before the first.
  public static func genesis(lanes: Int) -> Cut {
    Cut(heads: Array(repeating: .empty, count: lanes), time: .zero)
  }

  /// The same cut among more lanes: those that came after it are empty.
  public func among(lanes: Int) -> Cut {
    guard lanes > self.heads.count else { return self }
    return Cut(heads: self.heads + Array(repeating: .empty, count: lanes - self.heads.count), time: self.time)
  }

  /// Equal by digest.
  public static func == (left: Cut, right: Cut) -> Bool { left.digest == right.digest }
  /// Feeds the digest.
  public func hash(into hasher: inout Hasher) { hasher.combine(self.digest) }
}

extension Cut: WireCodable {
  /// Time and heads.
  public func encode(into encoder: inout Encoder) { Self.encode(self.heads, self.time, into: &encoder) }

  private static func encode(_ heads: [LaneHead], _ time: Timestamp, into encoder: inout Encoder) {
    encoder.item(time)
    encoder.list(heads)
  }

  /// Reads a cut of at most 256 lanes.
  public init(from decoder: inout Decoder) throws(WireError) {
    let time = try Timestamp(from: &decoder)
    self.init(heads: try decoder.list(max: ReplicaSet.countMax, "heads"), time: time)
  }
}
