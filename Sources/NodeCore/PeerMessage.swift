public import Gossip
public import Ledger
public import Messages
public import Primitives
public import Sessions
public import Signing
public import Wire

/// What members say to one another inside a session.
public enum PeerMessage: Sendable {
  /// A gossiped block.
  case block(Block)
  /// A vote or view message; gossiped, or an answer to a status.
  case ordering(OrderingMessage, isGossip: Bool)
  /// A gossiped signature of a checkpoint.
  case cosignature(Cosignature)
  /// Gossiped proof that a lane was forked.
  case evidence(ForkEvidence)
  /// Control of the gossip mesh.
  case control([ControlItem])
  /// The members that the sender has open sessions with.
  case links(ReplicaSet)
  /// Where the sender's replica stands.
  case status(Status)
  /// What a Raft member says in a configuration; the session proves whose word it is.
  case raft(ConfigurationNumber, RaftMessage)
  /// What the sender holds of the lanes beyond what a configuration goes on from.
  case announcements(ConfigurationNumber, [LaneAnnouncement])
  /// The sender wants blocks.
  case blockRequest(BlockRequest)
  /// Blocks that were asked for.
  case blocks([Block])
  /// Decisions that the receiver lacks.
  case decisions([Decision])
  /// A question to the other hospital's services: a number for the answer, and the question's bytes.
  case question(UInt64, [UInt8])
  /// The answer.
  case answer(UInt64, [UInt8])
  /// The sender has a snapshot of the ledger that is far ahead of the receiver.
  case snapshotOffer(SnapshotOffer)
  /// The sender wants a snapshot's manifest.
  case manifestRequest(Digest)
  /// The manifest, with what proves it.
  case manifest(SnapshotBundle)
  /// The sender wants a chunk of the snapshot whose manifest has a digest.
  case chunkRequest(Digest, Int)
  /// The chunk.
  case chunk(Digest, Int, [UInt8])
  /// The sender began with a snapshot, and lacks what was executed at a sequence number and below.
  case historyRequest(SequenceNumber)
  /// That, from the highest down; empty where the sender does not have it either.
  case history([HistoryItem])

  /// The type byte of blocks that were asked for.
  public static let blocksType: UInt8 = 16
  /// The most control items of one message.
  static let controlItemsMax = 64
  /// The most blocks or decisions of one message.
  static let listMax = 4096

  /// The channel that it travels on.
  public var channel: Channel {
    switch self {
    case .control, .links: .control
    case .ordering, .cosignature, .evidence, .status, .announcements, .raft, .snapshotOffer: .ordering
    case .block: .blocks
    case .blockRequest, .blocks, .decisions, .question, .answer, .manifestRequest, .manifest, .chunkRequest, .chunk,
      .historyRequest, .history:
      .sync
    }
  }
}

extension PeerMessage: WireCodable {
  /// A type byte and the content. Types 1 to 5 are gossip's topics.
  public func encode(into encoder: inout Encoder) {
    switch self {
    case .block(let block): encoder.u8(1); encoder.item(block)
    case .ordering(let message, let isGossip): encoder.u8(isGossip ? 2 : 10); encoder.item(message)
    case .cosignature(let cosignature): encoder.u8(3); encoder.item(cosignature)
    case .evidence(let evidence): encoder.u8(5); encoder.item(evidence)
    case .control(let items): encoder.u8(11); encoder.list(items)
    case .links(let members): encoder.u8(12); encoder.item(members)
    case .status(let status): encoder.u8(13); encoder.item(status)
    case .announcements(let configuration, let announcements):
      encoder.u8(14)
      encoder.item(configuration)
      encoder.list(announcements)
    case .blockRequest(let request): encoder.u8(15); encoder.item(request)
    case .blocks(let blocks): encoder.u8(Self.blocksType); encoder.list(blocks)
    case .decisions(let decisions): encoder.u8(17); encoder.list(decisions)
    case .question(let number, let bytes): encoder.u8(18); encoder.u64(number); encoder.blob(bytes)
    case .answer(let number, let bytes): encoder.u8(19); encoder.u64(number); encoder.blob(bytes)
    case .raft(let configuration, let message):
      encoder.u8(20)
      encoder.item(configuration)
      encoder.item(message)
    case .snapshotOffer(let offer): encoder.u8(21); encoder.item(offer)
    case .manifestRequest(let digest): encoder.u8(22); encoder.digest(digest)
    case .manifest(let bundle): encoder.u8(23); encoder.item(bundle)
    case .chunkRequest(let digest, let number):
      encoder.u8(24)
      encoder.digest(digest)
      encoder.u32(UInt32(number))
    case .chunk(let digest, let number, let bytes):
      encoder.u8(25)
      encoder.digest(digest)
      encoder.u32(UInt32(number))
      encoder.blob(bytes)
    case .historyRequest(let sequence): encoder.u8(26); encoder.item(sequence)
    case .history(let items): encoder.u8(27); encoder.list(items)
    }
  }

  /// Reads one message.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    switch try decoder.u8() {
    case 1: self = .block(try Block(from: &decoder))
    case 2: self = .ordering(try OrderingMessage(from: &decoder), isGossip: true)
    case 3: self = .cosignature(try Cosignature(from: &decoder))
    case 5: self = .evidence(try ForkEvidence(from: &decoder))
    case 10: self = .ordering(try OrderingMessage(from: &decoder), isGossip: false)
    case 11: self = .control(try decoder.list(max: Self.controlItemsMax, "control items"))
    case 12: self = .links(try ReplicaSet(from: &decoder))
    case 13: self = .status(try Status(from: &decoder))
    case 14:
      let configuration = try ConfigurationNumber(from: &decoder)
      self = .announcements(configuration, try decoder.list(max: ReplicaSet.countMax, "announcements"))
    case 15: self = .blockRequest(try BlockRequest(from: &decoder))
    case Self.blocksType: self = .blocks(try decoder.list(max: Self.listMax, "blocks"))
    case 17: self = .decisions(try decoder.list(max: Self.listMax, "decisions"))
    case 18: self = .question(try decoder.u64(), try decoder.blob(max: decoder.remaining, "question"))
    case 19: self = .answer(try decoder.u64(), try decoder.blob(max: decoder.remaining, "answer"))
    case 20: self = .raft(try ConfigurationNumber(from: &decoder), try RaftMessage(from: &decoder))
    case 21: self = .snapshotOffer(try SnapshotOffer(from: &decoder))
    case 22: self = .manifestRequest(try decoder.digest())
    case 23: self = .manifest(try SnapshotBundle(from: &decoder))
    case 24: self = .chunkRequest(try decoder.digest(), Int(try decoder.u32()))
    case 25:
      let (digest, number) = (try decoder.digest(), Int(try decoder.u32()))
      self = .chunk(digest, number, try decoder.blob(max: decoder.remaining, "chunk"))
    case 26: self = .historyRequest(try SequenceNumber(from: &decoder))
    case 27: self = .history(try decoder.list(max: Self.listMax, "executed cuts"))
    default: throw .invalid(at: start, field: "message type")
    }
  }
}

extension PeerMessage {
  /// Whether bytes are of a kind that a peer may send that does not vote: a status, a question to services, or a
  /// request for blocks, a manifest, a chunk or history; and, without effect, what it tells those who vote as if it
  /// were one of them: gossip's control, sessions, announcements.
  public static func isForGuests(_ bytes: [UInt8]) -> Bool {
    bytes.first.map { [11, 12, 13, 14, 15, 18, 22, 24, 26].contains($0) } ?? false
  }

  /// The header of a gossiped block, read without the rest; nil for other messages.
  public static func blockHeader(in bytes: [UInt8]) -> BlockHeader? {
    guard bytes.count > BlockHeader.lengthBytes, bytes[0] == 1 else { return nil }
    var decoder = Decoder(Array(bytes[1...BlockHeader.lengthBytes]))
    return try? BlockHeader(from: &decoder)
  }

  /// Shows the headers of the blocks that a peer sent in one message, in order, up to the first that is none.
  static func eachBlockHeader(in bytes: [UInt8], _ show: (BlockHeader) -> Void) {
    guard bytes.count > 3, bytes[0] == Self.blocksType else { return }
    var start = 3
    while bytes.count - start >= BlockHeader.lengthBytes {
      var decoder = Decoder(Array(bytes[start..<(start + BlockHeader.lengthBytes)]))
      guard let header = try? BlockHeader(from: &decoder) else { return }
      show(header)
      start += BlockHeader.lengthBytes + Signature.lengthBytes + Int(header.transactionBytes)
    }
  }
}

/// Why a peer's message is refused: no honest member sends it.
public enum PeerFault: Error, Sendable, Hashable {
  /// The bytes are no message.
  case malformed(WireError)
  /// It came on a channel where it does not belong.
  case channel
  /// A block inside is no block.
  case block(BlockFault)
  /// A signature inside is wrong.
  case signature
  /// It is a message of another ordering engine than the genesis names.
  case engine
  /// A snapshot's manifest comes with changes of members or a decision that do not hold.
  case manifest(ProofFault)
  /// It is of another configuration: no fault of whoever sent it, who may be a moment ahead or behind.
  case otherConfiguration
  /// It is of no use here, no matter who signed it: no fault either (`Screen`).
  case useless
}

/// A message whose signatures hold, ready for its machine.
public enum CheckedMessage: Sendable {
  /// Gossip: the topic, the identifier, the bytes as they came, the content.
  case gossip(Topic, Digest, [UInt8], GossipContent)
  /// An answer to a status.
  case ordering(Verified<OrderingMessage>)
  /// Blocks that were asked for.
  case blocks([Verified<Block>])
  /// Decisions.
  case decisions([Verified<Decision>])
  /// A snapshot's manifest, and the configurations that come with it.
  case manifest(Verified<SnapshotBundle>, ConfigurationChain)
  /// What proves itself by the session alone.
  case plain(PeerMessage)
}

/// The content of a gossiped message.
public enum GossipContent: Sendable {
  /// A block.
  case block(Verified<Block>)
  /// A vote or view message.
  case ordering(Verified<OrderingMessage>)
  /// A signature of a checkpoint: checked against this member's own body.
  case cosignature(Cosignature)
  /// Proof of a fork.
  case evidence(Verified<ForkEvidence>)
}

/// Reads and checks peers' messages: pure, for the worker pool.
public struct MessageChecker: Sendable {
  private let genesis: Genesis
  private let configuration: Configuration
  private var network: Digest { self.genesis.network }
  private var limits: LedgerLimits { self.genesis.limits }

  /// A checker for what is said in a configuration of a network.
  public init(_ genesis: Genesis, in configuration: Configuration) {
    (self.genesis, self.configuration) = (genesis, configuration)
  }

  /// The message, if it is one and everything in it is signed as it says. With a `screen`, what that drops is not
  /// verified; nor are those of many blocks that are `useless`.
  public func check(
    _ bytes: [UInt8], on channel: Channel, behind screen: Screen? = nil, useless: Set<Int> = []
  ) throws(PeerFault) -> CheckedMessage {
    // ⚑ A few bytes of it name much: where the members cannot have so much to say, it is not read at all.
    if bytes.first == 2 || bytes.first == 10, OrderingMessage.isPacked(bytes, at: 1),
      !NewView.mayBePacked(in: self.configuration)
    {
      throw .malformed(.invalid(at: 1, field: "packed new view"))
    }
    let message: PeerMessage
    do { message = try PeerMessage.decode(bytes) } catch { throw .malformed(error) }
    guard message.channel == channel else { throw .channel }
    if screen?.drops(message) == true { throw .useless }
    switch message {
    case .block(let block): return .gossip(.blocks, block.digest, bytes, .block(try self.verify(block)))
    case .ordering(let content, let isGossip):
      guard self.configuration.engine == .pbft else { throw .engine }
      guard content.configuration == self.configuration.number else { throw .otherConfiguration }
      let verified = try self.verify(content)
      guard isGossip else { return .ordering(verified) }
      return .gossip(.ordering, Self.identifier(bytes), bytes, .ordering(verified))
    case .cosignature(let cosignature):
      return .gossip(.checkpoints, Self.identifier(bytes), bytes, .cosignature(cosignature))
    case .evidence(let evidence):
      guard evidence.first.configuration == self.configuration.number else { throw .otherConfiguration }
      guard evidence.isAuthentic(network: self.network, in: self.configuration) else { throw .signature }
      return .gossip(.evidence, Self.identifier(bytes), bytes, .evidence(Verified(checked: evidence)))
    case .blocks(let blocks):
      var checked: [Verified<Block>] = []
      // Whoever answers has blocks of other configurations at the same positions too.
      for (index, block) in blocks.enumerated()
      where block.header.configuration == self.configuration.number && !useless.contains(index) {
        checked.append(try self.verify(block))
      }
      return .blocks(checked)
    case .decisions(let decisions):
      let current = (screen?.unsettled(decisions) ?? decisions)
        .filter { $0.configuration == self.configuration.number }
      guard
        current.allSatisfy({ decision in
          decision.isAuthentic(network: self.network, in: self.configuration)
            || (planted(.unsignedVotes) && self.configuration.engine == .pbft)
        })
      else { throw .signature }
      return .decisions(current.map { Verified(checked: $0) })
    case .raft:
      guard self.configuration.engine == .raft else { throw .engine }
      return .plain(message)
    case .manifest(let bundle):
      do {
        let network = self.network
        let chain = try bundle.verify(from: self.genesis) { $0.isAuthentic(network: network, in: $1) }
        return .manifest(Verified(checked: bundle), chain)
      } catch { throw .manifest(error) }
    case .control, .links, .status, .announcements, .blockRequest, .question, .answer, .snapshotOffer,
      .manifestRequest, .chunkRequest, .chunk, .historyRequest, .history:
      return .plain(message)
    }
  }

  /// A gossiped message's identifier: the digest of its bytes.
  public static func identifier(_ bytes: [UInt8]) -> Digest { Hash.blake2b("consilium/gossip/v1", bytes) }

  private func verify(_ block: Block) throws(PeerFault) -> Verified<Block> {
    guard block.header.configuration == self.configuration.number else { throw .otherConfiguration }
    do {
      return try Block.verify(block, network: self.network, in: self.configuration, limits: self.limits)
    } catch { throw .block(error) }
  }

  private func verify(_ message: OrderingMessage) throws(PeerFault) -> Verified<OrderingMessage> {
    guard let verified = OrderingMessage.verify(message, network: self.network, in: self.configuration) else {
      throw .signature
    }
    return verified
  }
}
