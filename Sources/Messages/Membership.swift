public import Primitives
public import Signing
public import Wire

/// The members of one configuration and what follows from their number (LEDGER §1, §8).
///
/// A replica's number is its place for ever: who joins comes last, who leaves keeps its lane and votes no more.
public struct Configuration: Sendable, Hashable {
  /// Its number.
  public let number: ConfigurationNumber
  /// The engine that orders, and with it what a quorum is.
  public let engine: OrderingEngine
  /// The first sequence number that it orders.
  public let start: SequenceNumber
  /// All who ever were members, in the order of their numbers: replica i, and lane i, are `members[i]`'s.
  public let members: [Member]
  /// Those of them that have left.
  public let retired: ReplicaSet
  /// Those that vote, ascending.
  public let voters: [ReplicaIndex]

  /// Configuration `number` of `members`, which are sorted here; at least one of them votes.
  public init(
    number: ConfigurationNumber, engine: OrderingEngine = .pbft, start: SequenceNumber = SequenceNumber(1),
    members: [Member], retired: ReplicaSet = ReplicaSet()
  ) {
    let voters = members.indices.filter { !retired.contains($0) }
    precondition(!voters.isEmpty && members.count <= ReplicaSet.countMax, "\(members.count) members")
    (self.number, self.engine, self.start) = (number, engine, start)
    self.members = members.sorted { $0.id < $1.id }
    (self.retired, self.voters) = (retired, voters)
  }

  /// How many lanes there are: one for each member that there ever was.
  public var laneCount: Int { self.members.count }
  /// n.
  public var voterCount: Int { self.voters.count }
  /// f = ⌊(n − 1)/3⌋: how many may be Byzantine; with Raft none.
  public var faultyMax: Int { self.engine == .pbft ? (self.voterCount - 1) / 3 : 0 }
  /// Q = ⌈(n + f + 1)/2⌉: any two quorums share a correct member (I2). With Raft that is the majority.
  public var quorum: Int { (self.voterCount + self.faultyMax + 2) / 2 - (planted(.quorumOffByOne) ? 1 : 0) }
  /// The replica that leads `view`.
  public func primary(of view: View) -> ReplicaIndex { self.voters[Int(view.number % UInt64(self.voterCount))] }
  /// Whether a replica votes.
  public func isVoter(_ index: ReplicaIndex) -> Bool {
    index >= 0 && index < self.laneCount && !self.retired.contains(index)
  }
  /// The replica with this member number, be it retired or not.
  public func index(of id: MemberID) -> ReplicaIndex? { self.members.firstIndex { $0.id == id } }
  /// The replica that votes with this key.
  public func index(of key: PublicKey) -> ReplicaIndex? { self.voters.first { self.members[$0].key == key } }
}

extension Configuration: WireCodable {
  /// Number, engine, start, members, retired.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.number)
    encoder.u8(self.engine.rawValue)
    encoder.item(self.start)
    encoder.list(self.members)
    encoder.item(self.retired)
  }
  /// Reads a configuration; its members are in order, and one of them votes.
  public init(from decoder: inout Decoder) throws(WireError) {
    let number = try ConfigurationNumber(from: &decoder)
    let at = decoder.offset
    guard let engine = OrderingEngine(rawValue: try decoder.u8()) else { throw .invalid(at: at, field: "engine") }
    let start = try SequenceNumber(from: &decoder)
    let membersAt = decoder.offset
    let members: [Member] = try decoder.list(max: ReplicaSet.countMax, "members")
    let retired = try ReplicaSet(from: &decoder)
    guard zip(members, members.dropFirst()).allSatisfy({ $0.id < $1.id }), start > .zero,
      members.indices.contains(where: { !retired.contains($0) })
    else { throw .invalid(at: membersAt, field: "members") }
    self.init(number: number, engine: engine, start: start, members: members, retired: retired)
  }
}

/// Why a configuration cannot be changed in some way.
public enum MembershipFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// It is a change of another configuration.
  case otherConfiguration(ConfigurationNumber, current: ConfigurationNumber)
  /// The new member's number is not above all others.
  case number(MemberID, above: MemberID)
  /// One of the keys is, or was, a member's.
  case keyInUse
  /// No such member votes.
  case noMember(MemberID)
  /// Nobody would be left, or there were too many.
  case count
  /// The name is empty, or an address is.
  case text

  /// What is wrong, and what to do.
  public var description: String {
    switch self {
    case .otherConfiguration(let stated, let current):
      "it changes configuration \(stated.number), but the members are at \(current.number); propose it anew"
    case .number(let id, let last): "\(id) cannot join: a new member's number is above \(last)'s"
    case .keyInUse: "one of the keys is or was a member's; make new ones"
    case .noMember(let id): "\(id) is no member"
    case .count: "a consortium has 1 to \(ReplicaSet.countMax) members, those that left counted too"
    case .text: "a member needs a name, and no empty address"
    }
  }
}

/// A change of one member (LEDGER §8).
public enum MembershipAction: Sendable, Hashable, CustomStringConvertible {
  /// A hospital joins, under a number above all others.
  case add(Member)
  /// A member leaves: its lane stays, and grows no more.
  case remove(MemberID)
  /// A member goes on under new keys or addresses; a forked lane is readmitted.
  case replace(Member)

  /// What it does, in words.
  public var description: String {
    switch self {
    case .add(let member): "add member \(member.id.number), \(member.name), key \(member.key.short)"
    case .remove(let id): "remove member \(id.number)"
    case .replace(let member): "member \(member.id.number) goes on as \(member.name), key \(member.key.short)"
    }
  }
  /// Whom it concerns.
  public var member: MemberID {
    switch self {
    case .add(let member), .replace(let member): member.id
    case .remove(let id): id
    }
  }
}

extension Configuration {
  /// Whether `needed` distinct members approve what was signed, each by its registrar's key (⚑); by ascending signer.
  func isApproved(_ bytes: [UInt8], by approvals: [VoteSignature], needed: Int) -> Bool {
    approvals.count >= needed
      && zip(approvals, approvals.dropFirst()).allSatisfy { $0.signer < $1.signer }
      && approvals.allSatisfy { approval in
        self.isVoter(approval.signer)
          && self.members[approval.signer].registrarKey.verifies(approval.signature, of: bytes)
      }
  }

  /// The configuration that an action leads to, from `start` on.
  ///
  /// - Throws: `MembershipFault` where the action makes no sense here.
  public func changed(by action: MembershipAction, start: SequenceNumber) throws(MembershipFault) -> Configuration {
    var (members, retired) = (self.members, self.retired)
    switch action {
    case .add(let member):
      if let last = members.last, member.id <= last.id { throw .number(member.id, above: last.id) }
      try self.requireNew(member, keysOf: nil)
      guard members.count < ReplicaSet.countMax else { throw .count }
      members.append(member)
    case .remove(let id):
      guard let index = self.index(of: id), self.isVoter(index) else { throw .noMember(id) }
      guard self.voterCount > 1 else { throw .count }
      retired.insert(index)
    case .replace(let member):
      guard let index = self.index(of: member.id), self.isVoter(index) else { throw .noMember(member.id) }
      try self.requireNew(member, keysOf: members[index])
      members[index] = member
    }
    return Configuration(
      number: ConfigurationNumber(self.number.number + 1), engine: self.engine, start: start, members: members,
      retired: retired)
  }

  /// Requires that no member, present or past, had one of the keys; who goes on may keep its own.
  private func requireNew(_ member: Member, keysOf before: Member?) throws(MembershipFault) {
    guard !member.name.isEmpty, member.addresses.allSatisfy({ !$0.isEmpty }) else { throw .text }
    let used = self.members.filter { $0.id != before?.id }
      .flatMap { [$0.key, $0.checkpointKey, $0.registrarKey] }
    let keys = [member.key, member.checkpointKey, member.registrarKey]
    guard Set(keys).count == keys.count, !keys.contains(where: used.contains) else { throw .keyInUse }
  }
}

/// A change that members are asked to approve: of which configuration, what, and until when.
public struct MembershipChange: Sendable, Hashable, CustomStringConvertible {
  private static let domain = Array("consilium/membership/v1\0".utf8)
  /// The configuration that it changes.
  public let configuration: ConfigurationNumber
  /// What it does.
  public let action: MembershipAction
  /// The cut time after which it is refused.
  public let validUntil: Timestamp
  /// ⚑ Whether those who approve it say that records may open for no other hospital after it, because a share of their
  /// custody key that is needed leaves with the member; who joins takes none. Unknown before the third rules.
  public let losesRecords: Bool

  /// A change of given parts.
  public init(
    configuration: ConfigurationNumber, action: MembershipAction, validUntil: Timestamp, losesRecords: Bool = false
  ) {
    (self.configuration, self.action, self.validUntil) = (configuration, action, validUntil)
    if case .add = action { self.losesRecords = false } else { self.losesRecords = losesRecords }
  }

  /// What it does, and what it takes, in words.
  public var description: String {
    "\(self.action)" + (self.losesRecords ? ", even if records open for no other hospital after it" : "")
  }

  /// What a member's registrar signs to approve it.
  public func signedBytes(network: Digest) -> [UInt8] { Self.domain + network.bytes + self.encoded }
}

extension MembershipChange: WireCodable {
  /// Configuration, valid until, a byte (1 add, 2 remove, 3 replace; 5 remove, 6 replace, though records are lost by
  /// it) and the member or its number.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.item(self.validUntil)
    switch self.action {
    case .add(let member): encoder.u8(1); encoder.item(member)
    case .remove(let id): encoder.u8(self.losesRecords ? 5 : 2); encoder.item(id)
    case .replace(let member): encoder.u8(self.losesRecords ? 6 : 3); encoder.item(member)
    }
  }
  /// Reads a change.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.validUntil = try Timestamp(from: &decoder)
    let at = decoder.offset
    let code = try decoder.u8()
    self.losesRecords = code > 3
    switch code {
    case 1: self.action = .add(try Member(from: &decoder))
    case 2, 5: self.action = .remove(try MemberID(from: &decoder))
    case 3, 6: self.action = .replace(try Member(from: &decoder))
    default: throw .invalid(at: at, field: "membership action")
    }
  }
}

/// A change with the approvals of members' registrars, whose keys are not on the nodes.
public struct ApprovedChange: Sendable, Hashable {
  /// The kind of transaction that carries one.
  public static let transactionKind: UInt16 = 20
  /// The change.
  public let change: MembershipChange
  /// Who approves, by ascending signer.
  public let approvals: [VoteSignature]

  /// A change with approvals, which are sorted here.
  public init(_ change: MembershipChange, approvals: [VoteSignature]) {
    (self.change, self.approvals) = (change, approvals.sorted { $0.signer < $1.signer })
  }

  /// Whether Q distinct members of `configuration` approve, each by its registrar's key (⚑).
  public func isApproved(network: Digest, in configuration: Configuration) -> Bool {
    configuration.isApproved(
      self.change.signedBytes(network: network), by: self.approvals,
      needed: planted(.membershipUnapproved) ? 1 : configuration.quorum)
  }
}

extension ApprovedChange: WireCodable {
  /// Change, approvals.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.change)
    encoder.list(self.approvals)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.change = try MembershipChange(from: &decoder)
    self.approvals = try decoder.list(max: ReplicaSet.countMax, "approvals")
  }
}

/// A change that is on the ledger and waits for a tree head above it.
public struct PendingChange: Sendable, Hashable {
  /// The change.
  public let change: MembershipChange
  /// Its transaction's place in the log.
  public let leaf: UInt64
  /// A change at a place.
  public init(_ change: MembershipChange, leaf: UInt64) { (self.change, self.leaf) = (change, leaf) }
}

extension PendingChange: WireCodable {
  /// Leaf, change.
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.leaf)
    encoder.item(self.change)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.leaf = try decoder.u64()
    self.change = try MembershipChange(from: &decoder)
  }
}

/// A configuration as the state keeps it, with what proves it to outsiders: the change's place in the log, and a tree
/// head above it that Q members of the configuration before signed (LEDGER §8).
public struct ConfigurationRecord: Sendable, Hashable {
  /// The configuration.
  public let configuration: Configuration
  /// The change's place in the log.
  public let leaf: UInt64
  /// The tree head.
  public let checkpoint: StableCheckpoint

  /// A record of given parts.
  public init(_ configuration: Configuration, leaf: UInt64, checkpoint: StableCheckpoint) {
    (self.configuration, self.leaf, self.checkpoint) = (configuration, leaf, checkpoint)
  }
}

extension ConfigurationRecord: WireCodable {
  /// Configuration, leaf, tree head.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.u64(self.leaf)
    encoder.item(self.checkpoint)
  }
  /// Reads a record.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try Configuration(from: &decoder)
    self.leaf = try decoder.u64()
    self.checkpoint = try StableCheckpoint(from: &decoder)
  }
}
