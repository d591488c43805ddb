public import Primitives
public import Signing
public import Wire

/// What a hospital signs of its block.
///
/// Layout: version 1 (u8), network (32), configuration (u32), author (u32), position (u64), parent (32),
/// transaction count (u32), transaction bytes (u32), digest of the transactions' bytes (32). Source: LEDGER §2.
public struct BlockHeader: Sendable, Hashable {
  /// Its length on the wire, in bytes.
  public static let lengthBytes = 121
  /// The network that the block belongs to.
  public let network: Digest
  /// The configuration whose key signed it.
  public let configuration: ConfigurationNumber
  /// The lane.
  public let author: MemberID
  /// The place in the lane.
  public let position: LanePosition
  /// The block before it; zero for the first.
  public let parent: Digest
  /// How many transactions it holds, at least 1.
  public let transactionCount: UInt32
  /// How many bytes they have together.
  public let transactionBytes: UInt32
  /// The digest of these bytes.
  public let body: Digest

  /// A header of given fields.
  public init(
    network: Digest, configuration: ConfigurationNumber, author: MemberID, position: LanePosition,
    parent: Digest, transactionCount: UInt32, transactionBytes: UInt32, body: Digest
  ) {
    (self.network, self.configuration, self.author) = (network, configuration, author)
    (self.position, self.parent, self.transactionCount) = (position, parent, transactionCount)
    (self.transactionBytes, self.body) = (transactionBytes, body)
  }

  /// The block's digest: of the header, which holds the body's.
  public var digest: Digest { Hash.blake2b("consilium/block/v1", self.encoded) }
  /// What the author signs.
  public var signedBytes: [UInt8] { Array("consilium/block-signature/v1\0".utf8) + self.encoded }
  /// The head that the block stands on: its parent, at the position before its own.
  public var before: LaneHead { LaneHead(position: LanePosition(self.position.number - 1), digest: self.parent) }
  /// ⚑ Whether it is the next block after a head: by parent and by position, which must agree (LEDGER §11.1). The one
  /// place where that is judged.
  public func follows(_ head: LaneHead) -> Bool { self.before == head }
  /// The digest of a body.
  public static func bodyDigest(_ body: [UInt8]) -> Digest { Hash.blake2b("consilium/block-body/v1", body) }
}

extension BlockHeader: WireCodable {
  /// The layout above.
  public func encode(into encoder: inout Encoder) {
    encoder.u8(1)
    encoder.digest(self.network)
    encoder.item(self.configuration)
    encoder.item(self.author)
    encoder.item(self.position)
    encoder.digest(self.parent)
    encoder.u32(self.transactionCount)
    encoder.u32(self.transactionBytes)
    encoder.digest(self.body)
  }

  /// Reads a header; positions start at 1 and the first has no parent.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    guard try decoder.u8() == 1 else { throw .invalid(at: start, field: "block version") }
    self.network = try decoder.digest()
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.author = try MemberID(from: &decoder)
    self.position = try LanePosition(from: &decoder)
    self.parent = try decoder.digest()
    self.transactionCount = try decoder.u32()
    self.transactionBytes = try decoder.u32()
    self.body = try decoder.digest()
    guard self.position > .zero, (self.position.number == 1) == (self.parent == .zero),
      self.transactionCount > 0
    else { throw .invalid(at: start, field: "block header") }
  }
}

/// A signed block with its transactions, as bytes: they are read where they are executed or checked.
public struct Block: Sendable, Hashable {
  /// What is signed.
  public let header: BlockHeader
  /// The author's signature.
  public let signature: Signature
  /// The transactions, one after another.
  public let body: [UInt8]
  /// The header's digest, computed once.
  public let digest: Digest

  /// A block of given parts.
  public init(header: BlockHeader, signature: Signature, body: [UInt8]) {
    (self.header, self.signature, self.body, self.digest) = (header, signature, body, header.digest)
  }

  /// Its place: lane, position, digest.
  public var head: LaneHead { LaneHead(position: self.header.position, digest: self.digest) }

  /// The bytes of each transaction, in order; those up to the first that is malformed.
  public var transactionBytes: [[UInt8]] {
    var decoder = Decoder(self.body)
    var out: [[UInt8]] = []
    while decoder.remaining > 0 {
      let start = decoder.offset
      guard (try? Transaction(from: &decoder)) != nil else { break }
      out.append(Array(self.body[start..<decoder.offset]))
    }
    return out
  }

  /// The transactions, in order. Throws where the body is not what the header says.
  public func transactions() throws(WireError) -> [Transaction] {
    var decoder = Decoder(self.body)
    var out: [Transaction] = []
    out.reserveCapacity(Int(min(self.header.transactionCount, 1 << 16)))
    while decoder.remaining > 0 { out.append(try Transaction(from: &decoder)) }
    return out
  }
}

extension Block: WireCodable {
  /// Header, signature, body.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.header)
    encoder.item(self.signature)
    encoder.raw(self.body)
  }

  /// Reads a block; the body's length is the header's.
  public init(from decoder: inout Decoder) throws(WireError) {
    let header = try BlockHeader(from: &decoder)
    let signature = try Signature(from: &decoder)
    self.init(
      header: header, signature: signature, body: try decoder.raw(Int(header.transactionBytes)))
  }
}

/// A block's header with its author's signature: what proves something of its lane.
public struct SignedHeader: Sendable, Hashable {
  /// What is signed.
  public let header: BlockHeader
  /// The author's signature.
  public let signature: Signature
  /// A block's.
  public init(_ block: Block) { (self.header, self.signature) = (block.header, block.signature) }
}

/// Why a block is no block, whoever looks (LEDGER §2: valid by its bytes alone).
public enum BlockFault: Error, Sendable, Hashable {
  /// Another network's.
  case otherNetwork
  /// Not this configuration's.
  case otherConfiguration
  /// Its author is no member.
  case unknownAuthor
  /// The header's signature is wrong.
  case signature
  /// Body and header do not agree, or the body is over a limit.
  case body
  /// A transaction inside is malformed, for another lane, or wrongly signed.
  case transaction(index: Int)
}

extension Block {
  /// Checks everything that makes a block valid, signatures included. Pure; for the worker pool.
  ///
  /// - Throws: what is wrong with it first.
  public static func verify(
    _ block: Block, network: Digest, in configuration: Configuration, limits: LedgerLimits
  ) throws(BlockFault) -> Verified<Block> {
    let header = block.header
    guard header.network == network else { throw .otherNetwork }
    guard header.configuration == configuration.number else { throw .otherConfiguration }
    guard let index = configuration.index(of: header.author), configuration.isVoter(index) else {
      throw .unknownAuthor
    }
    guard block.body.count == Int(header.transactionBytes), header.transactionBytes <= limits.blockBytesMax,
      BlockHeader.bodyDigest(block.body) == header.body
    else { throw .body }
    let isSigned = configuration.members[index].key.verifies(block.signature, of: header.signedBytes)
    guard isSigned || planted(.unsignedBlocks) else {
      throw .signature
    }
    var decoder = Decoder(block.body)
    var count = 0
    while decoder.remaining > 0 {
      guard let transaction = try? Transaction(from: &decoder), transaction.hospital == header.author,
        transaction.lengthBytes <= limits.transactionBytesMax, transaction.isAuthentic(network: network)
      else { throw .transaction(index: count) }
      count += 1
    }
    guard count == Int(header.transactionCount) else { throw .body }
    return Verified(checked: block)
  }
}
