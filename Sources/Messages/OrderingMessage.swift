public import Primitives
public import Signing
public import Wire

/// What replicas of the ordering protocol tell one another; each proves itself, whoever carries it.
public enum OrderingMessage: Sendable, Hashable {
  /// A proposal.
  case prePrepare(Signed<PrePrepare>)
  /// A backup's vote.
  case prepare(Signed<Prepare>)
  /// A vote with a prepared certificate behind it.
  case commit(Signed<Commit>)
  /// A wish for another view.
  case viewChange(Signed<ViewChange>)
  /// The start of a view.
  case newView(Signed<NewView>)
  /// A decided cut.
  case decision(Decision)

  /// Who signed it; a decision proves itself by many.
  public var signer: ReplicaIndex? {
    switch self {
    case .prePrepare(let signed): signed.signer
    case .prepare(let signed): signed.signer
    case .commit(let signed): signed.signer
    case .viewChange(let signed): signed.signer
    case .newView(let signed): signed.signer
    case .decision: nil
    }
  }

  /// The configuration in which it counts.
  public var configuration: ConfigurationNumber {
    switch self {
    case .prePrepare(let signed): signed.content.configuration
    case .prepare(let signed): signed.content.configuration
    case .commit(let signed): signed.content.configuration
    case .viewChange(let signed): signed.content.configuration
    case .newView(let signed): signed.content.configuration
    case .decision(let decision): decision.configuration
    }
  }

  /// Checks every signature inside; pure, for the worker pool. Nil where one is wrong.
  public static func verify(
    _ message: OrderingMessage, network: Digest, in configuration: Configuration
  ) -> Verified<OrderingMessage>? {
    let authentic =
      switch message {
      case .prePrepare(let signed): signed.isAuthentic(network: network, in: configuration)
      case .prepare(let signed): signed.isAuthentic(network: network, in: configuration)
      case .commit(let signed): signed.isAuthentic(network: network, in: configuration)
      case .viewChange(let signed):
        signed.content.fits(configuration) && signed.isAuthentic(network: network, in: configuration)
          && signed.content.isSound(network: network, in: configuration)
      case .newView(let signed):
        signed.content.fits(configuration) && signed.isAuthentic(network: network, in: configuration)
          && signed.content.isSound(network: network, in: configuration)
      case .decision(let decision): decision.isAuthentic(network: network, in: configuration)
      }
    return authentic || planted(.unsignedVotes) ? Verified(checked: message) : nil
  }
}

extension OrderingMessage: WireCodable {
  /// The type byte of a NewView that is too long for its plain form.
  static let packedType: UInt8 = 7

  /// Whether an encoded ordering message that begins at an index of some bytes is a packed NewView.
  public static func isPacked(_ bytes: [UInt8], at start: Int) -> Bool {
    bytes.indices.contains(start) && bytes[start] == Self.packedType
  }

  /// A type byte, 1 to 7, and the message.
  public func encode(into encoder: inout Encoder) {
    switch self {
    case .prePrepare(let signed): encoder.u8(1); encoder.item(signed)
    case .prepare(let signed): encoder.u8(2); encoder.item(signed)
    case .commit(let signed): encoder.u8(3); encoder.item(signed)
    case .viewChange(let signed): encoder.u8(4); encoder.item(signed)
    case .newView(let signed):
      guard PackedNewView.isNeeded(for: signed), let packed = PackedNewView.pack(signed) else {
        encoder.u8(5)
        return encoder.item(signed)
      }
      encoder.u8(Self.packedType)
      encoder.raw(packed)
    case .decision(let decision): encoder.u8(6); encoder.item(decision)
    }
  }

  /// Reads one message.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    switch try decoder.u8() {
    case 1: self = .prePrepare(try Signed(from: &decoder))
    case 2: self = .prepare(try Signed(from: &decoder))
    case 3: self = .commit(try Signed(from: &decoder))
    case 4: self = .viewChange(try Signed(from: &decoder))
    case 5: self = .newView(try Signed(from: &decoder))
    case 6: self = .decision(try Decision(from: &decoder))
    case Self.packedType: self = .newView(try PackedNewView.unpack(from: &decoder))
    default: throw .invalid(at: start, field: "ordering message type")
    }
  }
}

/// What a replica holds of one open sequence number in its view.
public struct SlotStatus: Sendable, Hashable {
  /// Which.
  public let sequence: SequenceNumber
  /// Whether it has the pre-prepare.
  public let hasPrePrepare: Bool
  /// Whose prepares it has.
  public let prepares: ReplicaSet
  /// Whose commits it has.
  public let commits: ReplicaSet

  /// A status of given parts.
  public init(sequence: SequenceNumber, hasPrePrepare: Bool, prepares: ReplicaSet, commits: ReplicaSet) {
    (self.sequence, self.hasPrePrepare) = (sequence, hasPrePrepare)
    (self.prepares, self.commits) = (prepares, commits)
  }
}

extension SlotStatus: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.sequence)
    encoder.flag(self.hasPrePrepare)
    encoder.item(self.prepares)
    encoder.item(self.commits)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.sequence = try SequenceNumber(from: &decoder)
    self.hasPrePrepare = try decoder.flag("has pre-prepare")
    self.prepares = try ReplicaSet(from: &decoder)
    self.commits = try ReplicaSet(from: &decoder)
  }
}

/// Where a replica stands, told point to point, so that the other sends what is missing (Castro's thesis, §5.2).
public struct Status: Sendable, Hashable {
  /// The most open sequence numbers that one names.
  public static let slotsMax = 128
  /// The configuration.
  public let configuration: ConfigurationNumber
  /// The view that it is in, or that it asks for.
  public let view: View
  /// Whether it waits for that view's NewView.
  public let isChanging: Bool
  /// Whose view changes for `view` it has.
  public let viewChanges: ReplicaSet
  /// The last sequence number decided without a gap.
  public let decided: SequenceNumber
  /// The open ones above.
  public let slots: [SlotStatus]

  /// A status of given parts.
  public init(
    configuration: ConfigurationNumber, view: View, isChanging: Bool, viewChanges: ReplicaSet,
    decided: SequenceNumber, slots: [SlotStatus]
  ) {
    (self.configuration, self.view, self.isChanging) = (configuration, view, isChanging)
    (self.viewChanges, self.decided, self.slots) = (viewChanges, decided, slots)
  }
}

extension Status: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.item(self.view)
    encoder.flag(self.isChanging)
    encoder.item(self.viewChanges)
    encoder.item(self.decided)
    encoder.list(self.slots)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.view = try View(from: &decoder)
    self.isChanging = try decoder.flag("is changing")
    self.viewChanges = try ReplicaSet(from: &decoder)
    self.decided = try SequenceNumber(from: &decoder)
    self.slots = try decoder.list(max: Self.slotsMax, "slots")
  }
}
