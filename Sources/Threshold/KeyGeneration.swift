public import Messages
public import Primitives
public import Wire

/// What the rules of generation need to know of a configuration.
public struct CustodyQuorums: Sendable, Hashable {
  /// n.
  public let count: Int
  /// f.
  public let faultyMax: Int
  /// Q.
  public let quorum: Int
  /// n, f and Q.
  public init(count: Int, faultyMax: Int, quorum: Int) {
    (self.count, self.faultyMax, self.quorum) = (count, faultyMax, quorum)
  }

  /// t of a key that `participants` members share: Q, or as many as are correct where that is fewer.
  public func threshold(participants: Int) -> Int { min(self.quorum, participants - self.faultyMax) }
  /// So many members can make a key: more than f of them, and f besides.
  public var participantsMin: Int { 2 * self.faultyMax + 1 }
}

/// Where the making of one custody key stands, as all members execute it (RECORDS §5, "distributed key generation").
///
/// Members register transport keys, then deal, then state which dealings gave them a good share. A step ends when all
/// have done it, or at its deadline with those that have.
public struct KeyGeneration: Sendable, Hashable {
  /// What is awaited.
  public enum Phase: UInt8, Sendable, Hashable {
    /// Transport keys.
    case registering = 0
    /// Dealings.
    case dealing = 1
    /// Complaints, and statements that shares are good.
    case confirming = 2
    /// Nothing: the key is in use.
    case active = 3
  }

  /// The number of the first key.
  public static let first: UInt64 = 1

  /// Which key it is.
  public let generation: UInt64
  /// How often it went over, or is going over, to other custodians; 0 while it is made.
  public private(set) var epoch: UInt64 = 0
  /// The configuration whose members are to have it.
  public private(set) var configuration: ConfigurationNumber
  /// The custodians whose shares are dealt, and how many of them must be; none while the key is made.
  public private(set) var sharers = ReplicaSet()
  private var sharersNeeded = 0
  /// What is awaited.
  public private(set) var phase = Phase.registering
  /// Counts the tries; dealings of another try do not count.
  public private(set) var attempt: UInt64 = 0
  /// When the phase ends, in cut time; once active, when the shares are dealt anew.
  public private(set) var deadline: Timestamp
  /// t of the key that is being made.
  public private(set) var threshold = 0
  /// Who registered.
  public private(set) var registered = ReplicaSet()
  /// Who takes part in this try.
  public private(set) var participants = ReplicaSet()
  /// Who dealt in this try and was not refuted.
  public private(set) var dealers = ReplicaSet()
  /// Who stated that its shares are good.
  public private(set) var custodians = ReplicaSet()
  /// Who was proven to have dealt badly, or to have complained without reason.
  public private(set) var culprits = ReplicaSet()
  private var confirmations: [Confirmation] = []

  private struct Confirmation: Sendable, Hashable, WireCodable {
    let member: UInt16
    let good: ReplicaSet
    init(member: ReplicaIndex, good: ReplicaSet) { (self.member, self.good) = (UInt16(member), good) }
    func encode(into encoder: inout Encoder) {
      encoder.u16(self.member)
      encoder.item(self.good)
    }
    init(from decoder: inout Decoder) throws(WireError) {
      self.member = try decoder.u16()
      self.good = try ReplicaSet(from: &decoder)
    }
  }

  /// The first generation, which begins with the first member's registration.
  public init(configuration: ConfigurationNumber, deadline: Timestamp) {
    (self.generation, self.configuration, self.deadline) = (Self.first, configuration, deadline)
  }

  /// Another key in the place of one that is in use; its tries are counted on.
  public init(after held: KeyGeneration, configuration: ConfigurationNumber, deadline: Timestamp) {
    (self.generation, self.configuration, self.deadline) = (held.generation + 1, configuration, deadline)
    self.attempt = held.attempt
  }

  /// Whether it is a new key that takes another's place, and is not made yet.
  public var isSuccessor: Bool { self.generation > Self.first && self.epoch == 0 && self.phase != .active }

  /// Who is to deal in this try: all that take part, or the custodians among them.
  private var expectedDealers: ReplicaSet {
    guard self.epoch > 0 else { return self.participants }
    var out = ReplicaSet()
    for member in self.participants.members where self.sharers.contains(member) { out.insert(member) }
    return out
  }

  /// The members changed, and whoever left takes no part; or it is time to deal shares anew, and nobody is registered.
  /// A key that is there goes over to those that are registered. The old custodians serve until it has.
  public mutating func begin(
    _ configuration: ConfigurationNumber, voters: [ReplicaIndex], registered: ReplicaSet, key: CustodyKey?,
    _ quorums: CustodyQuorums, nextDeadline: Timestamp
  ) {
    self.configuration = configuration
    self.registered = registered
    guard let key else { return }
    self.epoch = key.epoch + 1
    self.sharers = ReplicaSet()
    for member in voters where key.custodians.contains(member) { self.sharers.insert(member) }
    self.sharersNeeded = key.threshold
    self.culprits = ReplicaSet()
    self.custodians = ReplicaSet()
    (self.phase, self.deadline) = (.registering, nextDeadline)
    if registered.count == quorums.count { self.beginDealing(among: registered, quorums, nextDeadline) }
  }

  /// The key is in use until shares are dealt anew.
  public mutating func schedule(until time: Timestamp) {
    guard self.phase == .active else { return }
    self.deadline = time
  }

  /// Whether a member that was to register a transport key for the shares that are dealt anew has not done it. ⚑ Who
  /// was not there in time does it later: with its old key it would keep what reads its old share.
  public func awaitsKey(of member: ReplicaIndex) -> Bool {
    (self.epoch > 0 || self.generation > Self.first) && !self.registered.contains(member)
      && (self.phase != .active || !planted(.absentKeepTheirKey))
  }

  /// The participants in order: the places of a dealing's boxes.
  public var recipients: [ReplicaIndex] { self.participants.members }
  /// The dealers whose dealings count, in order: all of a new key's; of one that goes over, as many as combine to the
  /// old secret and no more, the same ones everywhere.
  public var agreedDealers: [ReplicaIndex] {
    self.epoch == 0 ? self.dealers.members : Array(self.dealers.members.prefix(self.sharersNeeded))
  }
  /// Whether a member has stated which of its shares are good.
  public func hasConfirmed(_ member: ReplicaIndex) -> Bool {
    self.custodians.contains(member) || self.confirmations.contains { Int($0.member) == member }
  }
}

extension KeyGeneration {
  /// A member registered its transport key.
  public mutating func register(_ member: ReplicaIndex, _ quorums: CustodyQuorums, nextDeadline: Timestamp) {
    self.registered.insert(member)
    guard self.phase == .registering, self.registered.count == quorums.count else { return }
    self.beginDealing(among: self.registered, quorums, nextDeadline)
  }

  /// Whether those who are registered can make a key, or hand it on: enough of them, and enough that have shares.
  private func suffice(_ members: ReplicaSet, _ quorums: CustodyQuorums) -> Bool {
    members.count >= quorums.participantsMin
      && (self.epoch == 0 || members.members.count { self.sharers.contains($0) } >= self.sharersNeeded)
  }

  /// Whether a member may deal now.
  public func mayDeal(_ member: ReplicaIndex, attempt: UInt64) -> Bool {
    self.phase == .dealing && attempt == self.attempt && self.owesDealing(member)
  }

  /// Whether a member's dealing is still awaited.
  public func owesDealing(_ member: ReplicaIndex) -> Bool {
    self.expectedDealers.contains(member) && !self.dealers.contains(member)
  }

  /// A participant dealt.
  public mutating func deal(_ member: ReplicaIndex, nextDeadline: Timestamp) {
    self.dealers.insert(member)
    guard self.dealers.count == self.expectedDealers.count else { return }
    (self.phase, self.deadline) = (.confirming, nextDeadline)
  }

  /// Whether a participant may complain of this try's dealings now.
  public func mayComplain(_ member: ReplicaIndex, attempt: UInt64) -> Bool {
    self.phase == .confirming && attempt == self.attempt && self.participants.contains(member)
      && !self.culprits.contains(member)
  }

  /// Whether a participant may state now that its shares are good; once the key is in use, that all are.
  public func mayConfirm(_ member: ReplicaIndex, attempt: UInt64, good: ReplicaSet) -> Bool {
    guard attempt == self.attempt, self.participants.contains(member), !self.culprits.contains(member),
      !self.hasConfirmed(member)
    else { return false }
    return self.phase == .confirming
      || self.phase == .active && self.agreedDealers.allSatisfy { good.contains($0) }
  }

  /// A member was proven to have dealt badly or to have complained without reason: neither its dealing nor its word
  /// counts any more.
  public mutating func exclude(_ member: ReplicaIndex, _ quorums: CustodyQuorums) {
    self.culprits.insert(member)
    self.dealers.remove(member)
    self.settle(quorums)
  }

  /// A participant stated whose dealings gave it a good share. Who states it late is a custodian from then on.
  public mutating func confirm(_ member: ReplicaIndex, good: ReplicaSet, _ quorums: CustodyQuorums) {
    guard self.phase == .confirming else {
      self.custodians.insert(member)
      return
    }
    self.confirmations.append(Confirmation(member: member, good: good))
    self.settle(quorums)
  }

  /// A phase's deadline has passed.
  public mutating func expire(_ quorums: CustodyQuorums, nextDeadline: Timestamp) {
    self.deadline = nextDeadline
    switch self.phase {
    case .registering:
      guard self.suffice(self.registered, quorums) else { return }
      self.beginDealing(among: self.registered, quorums, nextDeadline)
    case .dealing:
      if self.dealers.count >= self.dealersMin {
        self.phase = .confirming
      } else if self.epoch > 0, self.registered.count > self.participants.count {
        // Some registered too late for this try.
        self.beginDealing(among: self.blameless, quorums, nextDeadline)
      }
    case .confirming:
      // Repeated among those whose shares were good; where they are too few, among all that did no proven wrong. What
      // is handed on is tried among all every other time: they may only have been slow, and more custodians are better.
      let isForAll = self.epoch > 0 && self.attempt.isMultiple(of: 2)
      let next = isForAll || !self.suffice(self.content, quorums) ? self.blameless : self.content
      self.beginDealing(among: next, quorums, nextDeadline)
    case .active: self.deadline = .never
    }
  }

  /// Those who registered and did no proven wrong.
  private var blameless: ReplicaSet {
    var out = self.registered
    for member in self.culprits.members { out.remove(member) }
    return out
  }

  /// Those who have a good share of every agreed dealing.
  private var content: ReplicaSet {
    var out = ReplicaSet()
    for confirmation in self.confirmations where !self.culprits.contains(Int(confirmation.member)) {
      if self.agreedDealers.allSatisfy({ confirmation.good.contains($0) }) { out.insert(Int(confirmation.member)) }
    }
    return out
  }

  private mutating func beginDealing(
    among participants: ReplicaSet, _ quorums: CustodyQuorums, _ deadline: Timestamp
  ) {
    self.attempt += 1
    self.participants = participants
    (self.phase, self.deadline) = (.dealing, deadline)
    self.threshold = max(1, quorums.threshold(participants: participants.count))
    self.dealers = ReplicaSet()
    self.confirmations = []
  }

  /// Fewer dealings make no key.
  private var dealersMin: Int { self.epoch == 0 ? self.threshold : self.sharersNeeded }

  /// ⚑ In use once t + f have stated good shares: whichever f of them lie, t are left that do not.
  private mutating func settle(_ quorums: CustodyQuorums) {
    let good = self.content
    // A new key needs a dealer who is honest; of a key that is handed on, those who deal enough shares know no more
    // than they did, however few they are among the members that there are now.
    let dealersNeeded = self.epoch == 0 ? quorums.faultyMax + 1 : self.sharersNeeded
    guard self.phase == .confirming, self.dealers.count >= dealersNeeded, self.threshold > quorums.faultyMax,
      good.count >= self.threshold + (planted(.custodyFromFew) ? 0 : quorums.faultyMax)
    else { return }
    self.custodians = good
    (self.phase, self.deadline) = (.active, .never)
    self.confirmations = []
  }
}

extension KeyGeneration: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.generation)
    encoder.u64(self.epoch)
    encoder.item(self.configuration)
    encoder.item(self.sharers)
    encoder.u16(UInt16(self.sharersNeeded))
    encoder.u8(self.phase.rawValue)
    encoder.u64(self.attempt)
    encoder.item(self.deadline)
    encoder.u16(UInt16(self.threshold))
    for set in [self.registered, self.participants, self.dealers, self.custodians, self.culprits] { encoder.item(set) }
    encoder.list(self.confirmations)
  }
  /// Reads a generation.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.generation = try decoder.bounded("generation")
    self.epoch = try decoder.bounded("epoch")
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.sharers = try ReplicaSet(from: &decoder)
    self.sharersNeeded = Int(try decoder.u16())
    let start = decoder.offset
    guard let phase = Phase(rawValue: try decoder.u8()) else { throw .invalid(at: start, field: "phase") }
    self.phase = phase
    self.attempt = try decoder.bounded("attempt")
    self.deadline = try Timestamp(from: &decoder)
    self.threshold = Int(try decoder.u16())
    self.registered = try ReplicaSet(from: &decoder)
    self.participants = try ReplicaSet(from: &decoder)
    self.dealers = try ReplicaSet(from: &decoder)
    self.custodians = try ReplicaSet(from: &decoder)
    self.culprits = try ReplicaSet(from: &decoder)
    self.confirmations = try decoder.list(max: ReplicaSet.countMax, "confirmations")
  }
}

/// `dealShares`: a member's dealing of one try.
public struct DealingStatement: Sendable, Hashable, WireCodable {
  /// The try.
  public let attempt: UInt64
  /// The dealing.
  public let dealing: Dealing
  /// A statement of given parts.
  public init(attempt: UInt64, dealing: Dealing) { (self.attempt, self.dealing) = (attempt, dealing) }
  /// Attempt, dealing.
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.attempt)
    encoder.item(self.dealing)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.attempt = try decoder.bounded("attempt")
    self.dealing = try Dealing(from: &decoder)
  }
}

/// `confirmShares`: whose dealings gave a member a share that fits.
public struct ShareConfirmation: Sendable, Hashable, WireCodable {
  /// The try.
  public let attempt: UInt64
  /// The dealers.
  public let good: ReplicaSet
  /// A statement of given parts.
  public init(attempt: UInt64, good: ReplicaSet) { (self.attempt, self.good) = (attempt, good) }
  /// Attempt, dealers.
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.attempt)
    encoder.item(self.good)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.attempt = try decoder.bounded("attempt")
    self.good = try ReplicaSet(from: &decoder)
  }
}
