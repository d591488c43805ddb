public import Primitives
public import Signing
public import Wire

/// A lane and the head of it that the sender holds durably and without a gap. The session authenticates it.
public struct LaneAnnouncement: Sendable, Hashable {
  /// The lane's index in the configuration.
  public let lane: Int
  /// The head.
  public let head: LaneHead
  /// Its length on the wire, in bytes.
  public static let lengthBytes = 42
  /// An announcement of `head`.
  public init(lane: Int, head: LaneHead) { (self.lane, self.head) = (lane, head) }
}

extension LaneAnnouncement: WireCodable {
  /// Lane (u16), head.
  public func encode(into encoder: inout Encoder) {
    encoder.u16(UInt16(self.lane))
    encoder.item(self.head)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.lane = Int(try decoder.u16())
    self.head = try LaneHead(from: &decoder)
  }
}

/// Asks for the blocks of a lane above a position, up to and including a head.
public struct BlockRequest: Sendable, Hashable {
  /// From where an answer goes on, for it may not hold all.
  public enum Order: UInt8, Sendable, Hashable {
    /// From the position, whatever blocks are held at each: for whoever knows nothing of the head but somebody's word.
    case upwards
    /// From exactly that head along parent digests, nothing else.
    case downwards
  }

  /// The lane's index.
  public let lane: Int
  /// The sender has everything up to here.
  public let above: LanePosition
  /// The last block wanted.
  public let head: LaneHead
  /// Which of them first.
  public let order: Order
  /// A request of given parts.
  public init(lane: Int, above: LanePosition, head: LaneHead, order: Order) {
    (self.lane, self.above, self.head, self.order) = (lane, above, head, order)
  }
}

extension BlockRequest: WireCodable {
  /// Lane (u16), position, head, order (u8).
  public func encode(into encoder: inout Encoder) {
    encoder.u16(UInt16(self.lane))
    encoder.item(self.above)
    encoder.item(self.head)
    encoder.u8(self.order.rawValue)
  }
  /// Reads the fields; the head lies above the position.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    self.lane = Int(try decoder.u16())
    self.above = try LanePosition(from: &decoder)
    self.head = try LaneHead(from: &decoder)
    guard let order = Order(rawValue: try decoder.u8()), self.head.position > self.above else {
      throw .invalid(at: start, field: "block request")
    }
    self.order = order
  }
}

/// Proof that an author broke its lane (LEDGER §2, §11.1): two blocks of its at one position, or a block and one that
/// it put on it at another position than the next.
public struct ForkEvidence: Sendable, Hashable {
  /// One.
  public let first: BlockHeader
  /// Its signature.
  public let firstSignature: Signature
  /// The other, of the same author and position.
  public let second: BlockHeader
  /// Its signature.
  public let secondSignature: Signature

  /// Evidence of two blocks; a parent comes before its child.
  public init(_ first: SignedHeader, _ second: SignedHeader) {
    (self.first, self.firstSignature) = (first.header, first.signature)
    (self.second, self.secondSignature) = (second.header, second.signature)
  }

  /// Whether the two cannot both be in one lane.
  private var contradict: Bool {
    if self.first.position == self.second.position { return self.first.digest != self.second.digest }
    let parent = LaneHead(position: self.first.position, digest: self.first.digest)
    return self.second.parent == parent.digest && !self.second.follows(parent)
  }

  /// Whether it proves that a member of `configuration` broke its lane.
  public func isAuthentic(network: Digest, in configuration: Configuration) -> Bool {
    guard self.first.network == network, self.second.network == network,
      self.first.author == self.second.author, self.first.configuration == self.second.configuration,
      self.contradict,
      let index = configuration.index(of: self.first.author), configuration.isVoter(index)
    else { return false }
    let key = configuration.members[index].key
    return key.verifies(self.firstSignature, of: self.first.signedBytes)
      && key.verifies(self.secondSignature, of: self.second.signedBytes)
  }
}

extension ForkEvidence: WireCodable {
  /// Two headers, each with its signature.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.first)
    encoder.item(self.firstSignature)
    encoder.item(self.second)
    encoder.item(self.secondSignature)
  }
  /// Reads them.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.first = try BlockHeader(from: &decoder)
    self.firstSignature = try Signature(from: &decoder)
    self.second = try BlockHeader(from: &decoder)
    self.secondSignature = try Signature(from: &decoder)
  }
}
