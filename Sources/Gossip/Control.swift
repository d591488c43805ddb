public import Primitives
public import Wire

/// A subject that messages are about; each has a mesh of its own (OVERLAY §2).
public enum Topic: UInt8, Sendable, Hashable, CaseIterable, Comparable {
  /// Signed blocks of the lanes.
  case blocks = 1
  /// Votes and views.
  case ordering = 2
  /// Signatures of checkpoints.
  case checkpoints = 3
  /// Transactions on their way to a hospital.
  case transactions = 4
  /// Proof of misbehaviour.
  case evidence = 5

  /// By number.
  public static func < (left: Topic, right: Topic) -> Bool { left.rawValue < right.rawValue }
}

/// One wish about one topic, or about messages by their identifiers.
public enum ControlItem: Sendable, Hashable {
  /// The most identifiers of one item.
  public static let identifiersMax = 5000
  /// The sender is in the topic, or is no longer.
  case subscribe(Topic, isIn: Bool)
  /// The sender took the receiver into its mesh.
  case graft(Topic)
  /// The sender put the receiver out of its mesh, and wants no graft for so many milliseconds.
  case prune(Topic, backoffMilliseconds: UInt32)
  /// The sender has these messages.
  case iHave(Topic, [Digest])
  /// The sender wants these messages.
  case iWant([Digest])
  /// The sender has these messages already or will in a moment: do not send them.
  case iDontWant([Digest])
}

extension ControlItem: WireCodable {
  /// A kind byte, 1 to 6, and its parts.
  public func encode(into encoder: inout Encoder) {
    switch self {
    case .subscribe(let topic, let isIn): encoder.u8(1); encoder.u8(topic.rawValue); encoder.flag(isIn)
    case .graft(let topic): encoder.u8(2); encoder.u8(topic.rawValue)
    case .prune(let topic, let backoff): encoder.u8(3); encoder.u8(topic.rawValue); encoder.u32(backoff)
    case .iHave(let topic, let identifiers): encoder.u8(4); encoder.u8(topic.rawValue); encoder.list(identifiers)
    case .iWant(let identifiers): encoder.u8(5); encoder.list(identifiers)
    case .iDontWant(let identifiers): encoder.u8(6); encoder.list(identifiers)
    }
  }

  /// Reads one item.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    switch try decoder.u8() {
    case 1: self = .subscribe(try Self.topic(&decoder), isIn: try decoder.flag("subscription"))
    case 2: self = .graft(try Self.topic(&decoder))
    case 3: self = .prune(try Self.topic(&decoder), backoffMilliseconds: try decoder.u32())
    case 4: self = .iHave(try Self.topic(&decoder), try decoder.list(max: Self.identifiersMax, "IHAVE"))
    case 5: self = .iWant(try decoder.list(max: Self.identifiersMax, "IWANT"))
    case 6: self = .iDontWant(try decoder.list(max: Self.identifiersMax, "IDONTWANT"))
    default: throw .invalid(at: start, field: "control item")
    }
  }

  private static func topic(_ decoder: inout Decoder) throws(WireError) -> Topic {
    let start = decoder.offset
    guard let topic = Topic(rawValue: try decoder.u8()) else { throw .invalid(at: start, field: "topic") }
    return topic
  }
}

/// The constants of the mesh, with Ethereum's values as defaults (OVERLAY §2).
public struct GossipParameters: Sendable, Hashable {
  /// D: how many mesh peers are wanted: a mesh is filled up to here on joining, and again from below Dlo.
  public var degree = 8
  /// Dlo: below this, peers are grafted, up to D.
  public var degreeMin = 6
  /// Dhi: above this, peers are pruned, down to D.
  public var degreeMax = 12
  /// Dlazy: to how many peers outside the mesh IHAVE goes at least.
  public var degreeLazy = 6
  /// Whether own messages go to every subscriber (gossipsub v1.1); if not, along the mesh as others' do (v1.0).
  public var isFloodPublishing = true
  /// The time between heartbeats.
  public var heartbeat = Span.milliseconds(700)
  /// For how many heartbeats messages are kept.
  public var historyLength = 6
  /// Of how many of these IHAVE tells.
  public var historyGossip = 3
  /// The part of the peers outside the mesh that IHAVE goes to: one in so many.
  public var gossipFactorOneIn = 4
  /// How long a pruned peer may not be grafted.
  public var pruneBackoff = Span.milliseconds(60_000)
  /// The same on leaving a topic.
  public var unsubscribeBackoff = Span.milliseconds(10_000)
  /// How long identifiers are remembered.
  public var seenFor = Span.milliseconds(120_000)
  /// The most identifiers that are remembered.
  public var seenMax = 200_000
  /// The most IHAVE items taken from one peer in a heartbeat.
  public var iHaveItemsMax = 10
  /// The most identifiers asked of one peer in a heartbeat.
  public var iHaveIdentifiersMax = 5000
  /// How long an answer to IWANT may take.
  public var iWantFollowUp = Span.milliseconds(3000)
  /// How often one message is sent to one peer on IWANT.
  public var retransmissionsMax = 3
  /// From this size on, IDONTWANT goes to the mesh before a message is validated.
  public var iDontWantBytesMin = 1024
  /// The most bytes that the cache holds.
  public var cacheBytesMax = 64 << 20
  /// The most peers.
  public var peersMax = 512

  /// The defaults.
  public init() {}
}
