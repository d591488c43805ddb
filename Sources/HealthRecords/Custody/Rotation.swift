import Messages
public import Primitives
import Rules
import Threshold
public import Wire

/// `rotateCustody`: the key that is to go out of use.
public struct CustodyRotation: Sendable, Hashable, WireCodable {
  /// Its generation.
  public let generation: UInt64
  /// The end of a key.
  public init(generation: UInt64) { self.generation = generation }
  /// The generation.
  public func encode(into encoder: inout Encoder) { encoder.u64(self.generation) }
  /// Reads it.
  public init(from decoder: inout Decoder) throws(WireError) { self.generation = try decoder.bounded("generation") }
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

  /// A member's registrar wants another custody key. One rotation at a time.
  func rotateCustody(_ rotation: CustodyRotation, in state: inout StateEditor) throws {
    try self.requireRegistrar()
    _ = try self.member()
    let keys = CustodyKeys(in: state)
    guard let held = keys.generation, held.phase == .active, held.generation == rotation.generation,
      keys.retiringGeneration == nil
    else { throw Refusal.notAwaited }
    var next = KeyGeneration(
      after: held, configuration: self.execution.configuration.number, deadline: self.custody.nextDeadline)
    next.begin(
      self.execution.configuration.number, voters: self.execution.configuration.voters, registered: ReplicaSet(),
      key: nil, self.custody.quorums, nextDeadline: self.custody.nextDeadline)
    self.custody.store(next, in: &state)
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
    let count = Int(state.number(key)) + change
    if count > 0 { state.set(key, number: UInt64(count)) } else { state.set(key, nil) }
  }

  static func areNone(generation: UInt64, in state: StateEditor) -> Bool {
    state.scan(prefix: StateKey.liveRecords(generation: generation), limit: 1).isEmpty || planted(.retiredTooEarly)
  }
}
