public import Primitives
public import Signing
public import Wire

/// A lane and the head of it that the sender holds durably and without a gap. The session authenticates it.
public struct LaneAnnouncement: Sendable, Hashable {
  /// The lane's index in the configuration.
  public let lane: Int
  /// The head.
  public let head: LaneHead
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
  /// The lane's index.
  public let lane: Int
  /// The sender has everything up to here.
  public let above: LanePosition
  /// The last block wanted.
  public let head: LaneHead
  /// A request of given parts.
  public init(lane: Int, above: LanePosition, head: LaneHead) {
    (self.lane, self.above, self.head) = (lane, above, head)
  }
}

extension BlockRequest: WireCodable {
  /// Lane (u16), position, head.
  public func encode(into encoder: inout Encoder) {
    encoder.u16(UInt16(self.lane))
    encoder.item(self.above)
    encoder.item(self.head)
  }
  /// Reads the fields; the head lies above the position.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    self.lane = Int(try decoder.u16())
    self.above = try LanePosition(from: &decoder)
    self.head = try LaneHead(from: &decoder)
    guard self.head.position > self.above else { throw .invalid(at: start, field: "block request") }
  }
}

/// Two blocks of one author at one position: proof that it forked its lane (LEDGER §2).
public struct ForkEvidence: Sendable, Hashable {
  /// One.
  public let first: BlockHeader
  /// Its signature.
  public let firstSignature: Signature
  /// The other, of the same author and position.
  public let second: BlockHeader
  /// Its signature.
  public let secondSignature: Signature

  /// Evidence of two blocks.
  public init(_ first: Block, _ second: Block) {
    (self.first, self.firstSignature) = (first.header, first.signature)
    (self.second, self.secondSignature) = (second.header, second.signature)
  }

  /// Whether it proves a fork by a member of `configuration`.
  public func isAuthentic(network: Digest, in configuration: Configuration) -> Bool {
    guard self.first.network == network, self.second.network == network,
      self.first.author == self.second.author, self.first.position == self.second.position,
      self.first.configuration == self.second.configuration, self.first.digest != self.second.digest,
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
