public import Primitives
public import Signing
public import Wire

/// Which engine orders the cuts.
public enum OrderingEngine: UInt8, Sendable, Hashable, CaseIterable, CustomStringConvertible {
  /// Byzantine faults, ⌊(n − 1)/3⌋ of them.
  case pbft = 1
  /// Crashes only, ⌊(n − 1)/2⌋ of them: for a consortium under one administration.
  case raft = 2

  /// The engine of that name.
  public init?(name: String) {
    guard let engine = Self.allCases.first(where: { $0.description == name }) else { return nil }
    self = engine
  }
  /// `pbft` or `raft`.
  public var description: String {
    switch self {
    case .pbft: "pbft"
    case .raft: "raft"
    }
  }
}

/// A hospital that is a member of the consortium.
public struct Member: Sendable, Hashable {
  /// The most bytes of a name or an address.
  public static let textBytesMax = 256
  /// The most addresses of a member.
  public static let addressesMax = 8
  /// Its permanent number.
  public let id: MemberID
  /// Its name, for people.
  public let name: String
  /// Signs blocks and votes; the peer identity too.
  public let key: PublicKey
  /// Signs checkpoints (LEDGER §6).
  public let checkpointKey: PublicKey
  /// Signs registrations of practitioners and patients; not kept on the node (RECORDS §2).
  public let registrarKey: PublicKey
  /// The hospital's X25519 key: record keys are sealed to it.
  public let sealingKey: Digest
  /// Where it can be dialled, in libp2p's notation.
  public let addresses: [String]

  /// A member; the texts are checked when the genesis is read.
  public init(
    id: MemberID, name: String, key: PublicKey, checkpointKey: PublicKey, registrarKey: PublicKey,
    sealingKey: Digest, addresses: [String]
  ) {
    (self.id, self.name, self.key, self.checkpointKey) = (id, name, key, checkpointKey)
    (self.registrarKey, self.sealingKey, self.addresses) = (registrarKey, sealingKey, addresses)
  }
}

extension Member: WireCodable {
  /// Number, name, four keys, addresses.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.id)
    encoder.text(self.name)
    encoder.item(self.key)
    encoder.item(self.checkpointKey)
    encoder.item(self.registrarKey)
    encoder.digest(self.sealingKey)
    encoder.u16(UInt16(self.addresses.count))
    for address in self.addresses { encoder.text(address) }
  }

  /// Reads what `encode` wrote.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.id = try MemberID(from: &decoder)
    self.name = try decoder.text(max: Self.textBytesMax, "name")
    self.key = try PublicKey(from: &decoder)
    self.checkpointKey = try PublicKey(from: &decoder)
    self.registrarKey = try PublicKey(from: &decoder)
    self.sealingKey = try decoder.digest()
    let start = decoder.offset
    let count = Int(try decoder.u16())
    guard count <= Self.addressesMax else {
      throw .overMax(at: start, field: "addresses", value: UInt64(count), max: UInt64(Self.addressesMax))
    }
    var addresses: [String] = []
    for _ in 0..<count { addresses.append(try decoder.text(max: Self.textBytesMax, "address")) }
    self.addresses = addresses
  }
}

/// The limits that all members must agree on, because validity depends on them.
public struct LedgerLimits: Sendable, Hashable {
  /// The most sequence numbers that are open at once.
  public var pipelineMax: UInt64 = 8
  /// The most transactions by which a fresh cut grows.
  public var cutTransactionsMax: UInt64 = 40_000
  /// The most bytes of transactions by which a fresh cut grows.
  public var cutBytesMax: UInt64 = 8 << 20
  /// A checkpoint is signed at each sequence number that this divides.
  public var checkpointInterval: UInt64 = 64
  /// How far ahead of the cut's time a transaction's `validUntil` may lie, in milliseconds.
  public var transactionLifeMilliseconds: UInt64 = 10 * 60 * 1000
  /// How far a cut's time may be from a backup's clock, in milliseconds.
  public var clockDriftMilliseconds: UInt64 = 5000
  /// The most bytes of transactions in a block.
  public var blockBytesMax: UInt32 = 1 << 20
  /// The most bytes of one transaction.
  public var transactionBytesMax: UInt32 = 64 << 10
  /// The rules that hold from the first cut on; a genesis has them behind its members.
  public var rules = AgreedRules.first

  /// The defaults.
  public init() {}
}

extension LedgerLimits: WireCodable {
  /// The fields in their order.
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.pipelineMax)
    encoder.u64(self.cutTransactionsMax)
    encoder.u64(self.cutBytesMax)
    encoder.u64(self.checkpointInterval)
    encoder.u64(self.transactionLifeMilliseconds)
    encoder.u64(self.clockDriftMilliseconds)
    encoder.u32(self.blockBytesMax)
    encoder.u32(self.transactionBytesMax)
  }

  /// Reads the fields; every one is at least 1, and one block fits a cut.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    self.pipelineMax = try decoder.bounded("pipelineMax")
    self.cutTransactionsMax = try decoder.bounded("cutTransactionsMax")
    self.cutBytesMax = try decoder.bounded("cutBytesMax")
    self.checkpointInterval = try decoder.bounded("checkpointInterval")
    self.transactionLifeMilliseconds = try decoder.bounded("transactionLifeMilliseconds")
    self.clockDriftMilliseconds = try decoder.bounded("clockDriftMilliseconds")
    self.blockBytesMax = try decoder.u32()
    self.transactionBytesMax = try decoder.u32()
    guard self.pipelineMax > 0, self.pipelineMax <= 64, self.checkpointInterval > 0,
      self.cutTransactionsMax >= UInt64(self.blockBytesMax) / 32, self.blockBytesMax <= 4 << 20,
      self.cutBytesMax >= UInt64(self.blockBytesMax),
      self.transactionBytesMax > 0, self.transactionBytesMax <= self.blockBytesMax
    else { throw .invalid(at: start, field: "limits") }
  }
}

/// What the members agreed on before the first block. Its digest is the network identifier.
public struct Genesis: Sendable, Hashable {
  /// Of a genesis that says nothing of rules, for the first ones hold; one that does has the next version.
  private static let version: UInt8 = 1
  /// The consortium's name, for people.
  public let name: String
  /// The engine that orders.
  public let engine: OrderingEngine
  /// The shared limits.
  public let limits: LedgerLimits
  /// The first configuration's members.
  public let members: [Member]
  /// The digest of the canonical bytes: every signature and handshake is bound to it.
  public let network: Digest

  /// A genesis of members with distinct numbers and keys; nil otherwise, or where there are none or over 256.
  public init?(name: String, engine: OrderingEngine, limits: LedgerLimits, members: [Member]) {
    let sorted = members.sorted { $0.id < $1.id }
    guard !sorted.isEmpty, sorted.count <= ReplicaSet.countMax,
      Set(sorted.map(\.id)).count == sorted.count, Set(sorted.map(\.key)).count == sorted.count
    else { return nil }
    (self.name, self.engine, self.limits, self.members) = (name, engine, limits, sorted)
    var encoder = Encoder()
    Self.encode(name: name, engine: engine, limits: limits, members: sorted, into: &encoder)
    self.network = Hash.blake2b("consilium/genesis/v1", encoder.bytes)
  }

  /// Configuration 0.
  public var configuration: Configuration {
    Configuration(number: ConfigurationNumber(0), engine: self.engine, members: self.members)
  }

  private static func encode(
    name: String, engine: OrderingEngine, limits: LedgerLimits, members: [Member], into encoder: inout Encoder
  ) {
    let isFirst = limits.rules == .first
    encoder.u8(isFirst ? self.version : self.version + 1)
    encoder.text(name)
    encoder.u8(engine.rawValue)
    encoder.item(limits)
    encoder.list(members)
    if !isFirst { encoder.item(limits.rules) }
  }
}

extension Genesis: WireCodable {
  /// Version, name, engine, limits, members; rules where they are not the first.
  public func encode(into encoder: inout Encoder) {
    Self.encode(
      name: self.name, engine: self.engine, limits: self.limits, members: self.members, into: &encoder)
  }

  /// Reads a genesis; refuses another version, unsorted members and doubles.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    let version = try decoder.u8()
    guard Self.version...Self.version + 1 ~= version else { throw .invalid(at: start, field: "genesis version") }
    let name = try decoder.text(max: Member.textBytesMax, "name")
    let engineAt = decoder.offset
    guard let engine = OrderingEngine(rawValue: try decoder.u8()) else {
      throw .invalid(at: engineAt, field: "engine")
    }
    var limits = try LedgerLimits(from: &decoder)
    let membersAt = decoder.offset
    let members: [Member] = try decoder.list(max: ReplicaSet.countMax, "members")
    if version > Self.version {
      let rulesAt = decoder.offset
      limits.rules = try AgreedRules(from: &decoder)
      guard limits.rules != .first, limits.rules.isKnown else { throw .invalid(at: rulesAt, field: "rules") }
    }
    guard zip(members, members.dropFirst()).allSatisfy({ $0.id < $1.id }),
      let genesis = Genesis(name: name, engine: engine, limits: limits, members: members)
    else { throw .invalid(at: membersAt, field: "members") }
    self = genesis
  }
}
