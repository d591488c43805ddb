import Messages
public import Primitives
import Rules
import Signing
import Threshold
public import Wire

/// `rotateCustody`: the key that is to go out of use.
public struct CustodyRotation: Sendable, Hashable, WireCodable {
  /// Its generation.
  public let generation: UInt64
  /// ⚑ Whether the registrar approves that records stay under it for good. Unknown before the third rules.
  public let leavesRecords: Bool
  /// The end of a key.
  public init(generation: UInt64, leavesRecords: Bool = false) {
    (self.generation, self.leavesRecords) = (generation, leavesRecords)
  }
  /// The generation, and a 1 where records may be left.
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.generation)
    if self.leavesRecords { encoder.u8(1) }
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.generation = try decoder.bounded("generation")
    let at = decoder.offset
    self.leavesRecords = decoder.remaining > 0
    if self.leavesRecords, try decoder.u8() != 1 { throw .invalid(at: at, field: "records that are left") }
  }
}

/// `resealRecord`: a hospital enclosed the key of a record of its own anew, for the custody key that is in use now.
public struct RecordResealing: Sendable, Hashable, WireCodable {
  /// The record.
  public let record: Digest
  /// The digest of its new capsule.
  public let capsule: Digest
  /// A capsule that takes another's place.
  public init(record: Digest, capsule: Digest) { (self.record, self.capsule) = (record, capsule) }
  /// Record, capsule.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.record)
    encoder.digest(self.capsule)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.record = try decoder.digest()
    self.capsule = try decoder.digest()
  }
}

/// Going over to another custody key (RECORDS §5): members make one, each hospital seals its live records to it, erased
/// ones are left behind, and the shares of the old one are destroyed.
extension RuleContext {
  private var custody: CustodyState { CustodyState(execution: self.execution, limits: self.limits) }

  /// A member's registrar wants another custody key. One rotation at a time. ⚑ Under the third rules one that leaves
  /// records behind begins once a quorum's registrars have said that it may.
  func rotateCustody(_ rotation: CustodyRotation, in state: inout StateEditor) throws {
    let isThird = self.isThird(in: state)
    // ⚑ What the rules before the third did not know they do not read now.
    guard !rotation.leavesRecords || isThird else { throw WireError.trailing(at: 8, extraBytes: 1) }
    try self.requireRegistrar()
    let member = try self.member()
    let (keys, configuration) = (CustodyKeys(in: state), self.execution.configuration)
    // Of a key that nobody opens any more no shares are dealt again: only another key ends that.
    let isLost = keys.current.map { $0.holders(in: configuration).count < $0.threshold } ?? false
    guard let held = keys.generation, held.phase == .active || isThird && isLost && held.epoch > 0,
      held.generation == rotation.generation, keys.retiringGeneration == nil
    else { throw Refusal.notAwaited }
    if isThird, isLost || LeftRecords.areSome(under: held.generation, in: configuration, state),
      !planted(.recordsLeftBehind)
    {
      guard rotation.leavesRecords else { throw Refusal.recordsLeft }
      guard try self.approveLeaving(of: held.generation, as: member, in: &state) else { return }
    }
    var next = KeyGeneration(
      after: held, configuration: self.execution.configuration.number, deadline: self.custody.nextDeadline)
    next.begin(
      self.execution.configuration.number, voters: self.execution.configuration.voters, registered: ReplicaSet(),
      key: nil, self.custody.quorums, nextDeadline: self.custody.nextDeadline)
    self.custody.store(next, in: &state)
  }

  /// Notes that a registrar approves what is left under a key; says whether a quorum's do, each by the key that it has
  /// now.
  private func approveLeaving(
    of generation: UInt64, as member: Member, in state: inout StateEditor
  ) throws -> Bool {
    let own = StateKey.leaving(of: generation, by: member.id)
    guard state.value(own) != member.registrarKey.bytes else { throw Refusal.alreadyApproved }
    state.set(own, member.registrarKey.bytes)
    let configuration = self.execution.configuration
    let approving = configuration.voters.count { index in
      let other = configuration.members[index]
      return state.value(StateKey.leaving(of: generation, by: other.id)) == other.registrarKey.bytes
    }
    guard approving >= configuration.quorum else { return false }
    for pair in state.scan(prefix: StateKey.leaving(of: generation), limit: ReplicaSet.countMax) {
      state.set(pair.key, nil)
    }
    return true
  }

  /// ⚑ Only the hospital that wrote a record seals its key anew; what is erased stays behind.
  func resealRecord(_ resealing: RecordResealing, in state: inout StateEditor) throws {
    try self.requireHospital()
    guard var entry = state.item(StateKey.record(resealing.record), as: RecordEntry.self) else {
      throw Refusal.unknownRecord
    }
    guard !entry.isErased else { throw Refusal.erased }
    guard entry.hospital == self.hospital || planted(.resealedByOthers) else { throw Refusal.notAuthor }
    let current = CustodyKeys(in: state).currentGeneration
    // ⚑ Only while it is sealed to an older key, or was just anchored as the key changed: a hospital that could do it
    // at any time would take from others what they can read today.
    let isFresh = self.time <= entry.time.adding(milliseconds: self.execution.limits.transactionLifeMilliseconds)
    guard entry.generation < current || isFresh && current > 0 || planted(.resealedAgain) else {
      throw Refusal.notAwaited
    }
    LiveRecords.count(entry, by: -1, in: &state)
    entry.reseal(capsule: resealing.capsule, generation: current)
    LiveRecords.count(entry, by: 1, in: &state)
    state.set(StateKey.record(resealing.record), entry)
  }

  /// A hospital states that it forgot its share of a key that is out of use, and all with which it could be read.
  func stateDestruction(_ rotation: CustodyRotation, in state: inout StateEditor) throws {
    guard !rotation.leavesRecords else { throw WireError.trailing(at: 8, extraBytes: 1) }
    let member = try self.member()
    try self.requireHospital()
    let keys = CustodyKeys(in: state)
    // ⚑ Whoever has not registered another transport key since still has what reads its old share.
    guard let newest = keys.generation, rotation.generation > 0, rotation.generation < newest.generation,
      keys.key(of: rotation.generation) == nil,
      let index = self.execution.configuration.index(of: member.id), !newest.awaitsKey(of: index)
    else { throw Refusal.notAwaited }
    let key = StateKey.destruction(of: rotation.generation, by: member.id)
    guard state.value(key) == nil else { throw Refusal.alreadyApproved }
    state.set(key, number: self.execution.leaf)
  }
}

/// How many live records of each hospital are sealed to each custody key: a key goes out of use once nobody has any.
enum LiveRecords {
  static func count(_ entry: RecordEntry, by change: Int, in state: inout StateEditor) {
    let key = StateKey.liveRecords(generation: entry.generation, of: entry.hospital)
    self.change(key, by: change, in: &state)
    if entry.leaf < state.number(StateKey.sealedBefore(by: entry.hospital)) {
      self.change(StateKey.leftRecords(generation: entry.generation, of: entry.hospital), by: change, in: &state)
    }
  }

  private static func change(_ key: [UInt8], by change: Int, in state: inout StateEditor) {
    let count = Int(state.number(key)) + change
    if count > 0 { state.set(key, number: UInt64(count)) } else { state.set(key, nil) }
  }

  static func areNone(generation: UInt64, in state: StateEditor) -> Bool {
    state.scan(prefix: StateKey.liveRecords(generation: generation), limit: 1).isEmpty || planted(.retiredTooEarly)
  }
}

/// The live records that no hospital can seal to another custody key: those of one that left, and those that one wrote
/// before it went on under another sealing key. ⚑ They are counted as they change, so that no rule looks at all of
/// them; what a hospital wrote before it got another sealing key under earlier rules is not among them.
enum LeftRecords {
  /// A hospital goes on under another sealing key: what is below a place in the log was sealed to it before.
  static func note(_ hospital: MemberID, before leaf: UInt64, in state: inout StateEditor) {
    state.set(StateKey.sealedBefore(by: hospital), number: leaf)
    for key in CustodyKeys(in: state).all {
      let live = state.value(StateKey.liveRecords(generation: key.generation, of: hospital))
      state.set(StateKey.leftRecords(generation: key.generation, of: hospital), live)
    }
  }

  /// Whether there are any under a key.
  static func areSome(under generation: UInt64, in configuration: Configuration, _ state: StateEditor) -> Bool {
    state.scan(prefix: StateKey.liveRecords(generation: generation), limit: ReplicaSet.countMax).contains { pair in
      let hospital = MemberID(pair.key.suffix(8).reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
      let isHere = configuration.index(of: hospital).map { configuration.isVoter($0) } ?? false
      return !isHere || state.value(StateKey.leftRecords(generation: generation, of: hospital)) != nil
    }
  }
}
