import Messages
public import Primitives
public import Rules
public import Signing
public import Wire

/// An erasure that a patient asked for and can still take back: of everything nobody erases in a moment, be it with a
/// stolen key or under somebody's eyes (RECORDS §4).
public struct PendingErasure: Sendable, Hashable {
  /// The record.
  public let record: Digest
  /// The key that asked.
  public let key: PublicKey
  /// When it is erased.
  public let due: Timestamp
  /// The place of the request in the log; the place of its own anchor where nobody asked for this record, for it took
  /// the place of one whose erasure was under way.
  public let leaf: UInt64

  /// The erasure of a patient's record that is under way; nil where none is.
  public static func find(_ record: Digest, of patient: Digest, in reader: some StateReader) -> PendingErasure? {
    reader.item(StateKey.erasure(of: patient, record), as: PendingErasure.self)
  }
}

extension PendingErasure: WireCodable {
  /// Record, key, time, place.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.record)
    encoder.item(self.key)
    encoder.item(self.due)
    encoder.u64(self.leaf)
  }
  /// Reads all four.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.record = try decoder.digest()
    self.key = try PublicKey(from: &decoder)
    self.due = try Timestamp(from: &decoder)
    self.leaf = try decoder.u64()
  }
}

/// `keepRecords`: erasures that are under way are taken back; signed by the patient, or by the registrar of the
/// patient's hospital, at whose desk somebody says that the phone was stolen.
public struct ErasureWithdrawal: Sendable, Hashable {
  /// The most records that one names.
  public static let recordsMax = 256
  /// The patient's account.
  public let patient: Digest
  /// The records; none for all of the patient's, a thousand at a time.
  public let records: [Digest]
  /// A withdrawal of given parts.
  public init(patient: Digest, records: [Digest]) { (self.patient, self.records) = (patient, records) }
}

extension ErasureWithdrawal: WireCodable {
  /// Patient, records.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.patient)
    encoder.list(self.records)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.patient = try decoder.digest()
    self.records = try decoder.list(max: Self.recordsMax, "records")
  }
}

extension RuleContext {
  /// Whether a record is erased at once; where it is not, its erasure is put off.
  func isAtOnce(_ entry: RecordEntry, in state: inout StateEditor) throws(Refusal) -> Bool {
    guard self.isSecond(in: state), !planted(.erasureUndelayed) else { return true }
    let (patient, record) = (entry.anchor.patient, entry.anchor.record)
    guard state.value(StateKey.erasure(of: patient, record)) == nil else { throw .erasureUnderWay }
    let (key, day) = (StateKey.erasedCount(of: patient), self.time.milliseconds / 86_400_000)
    let before = state.item(key, as: DailyCount.self).flatMap { $0.day == day ? $0.count : nil } ?? 0
    guard before >= self.limits.erasuresAtOnceMax else {
      state.set(key, DailyCount(day: day, count: before + 1))
      return true
    }
    let due = self.time.adding(milliseconds: self.limits.recoveryDelayMilliseconds)
    let pending = PendingErasure(record: record, key: try self.signer(), due: due, leaf: self.execution.leaf)
    state.set(StateKey.erasure(of: patient, record), pending)
    state.set(StateKey.erasureDue(due, leaf: pending.leaf), patient.bytes + record.bytes)
    return false
  }

  func keepRecords(_ withdrawal: ErasureWithdrawal, in state: inout StateEditor) throws {
    if try self.signer() == self.member().registrarKey {
      _ = try self.patient(withdrawal.patient, in: state)
    } else {
      try self.requirePatient(withdrawal.patient, in: state)
    }
    let found: [PendingErasure] =
      withdrawal.records.isEmpty
      ? state.scan(prefix: StateKey.erasures(of: withdrawal.patient), limit: self.limits.deadlinesPerCutMax)
        .compactMap { try? PendingErasure.decode($0.value) }
      : withdrawal.records.compactMap {
        state.item(StateKey.erasure(of: withdrawal.patient, $0), as: PendingErasure.self)
      }
    guard !found.isEmpty, found.count >= withdrawal.records.count else { throw Refusal.noErasure }
    Erasures.takeBack(found, of: withdrawal.patient, max: self.limits.deadlinesPerCutMax, from: &state)
  }

  /// ⚑ What takes the place of a record whose erasure is under way is erased with it: a system that sends again what it
  /// has does not undo what the patient asked for.
  func inheritErasure(of superseded: Digest, by anchor: RecordAnchor, in state: inout StateEditor) {
    let key = StateKey.erasure(of: anchor.patient, superseded)
    guard let held = state.item(key, as: PendingErasure.self) else { return }
    let pending = PendingErasure(
      record: anchor.record, key: held.key, due: held.due, leaf: self.execution.leaf)
    state.set(StateKey.erasure(of: anchor.patient, anchor.record), pending)
    state.set(StateKey.erasureDue(pending.due, leaf: pending.leaf), anchor.patient.bytes + anchor.record.bytes)
  }
}

/// The erasures whose delay is over.
enum Erasures {
  /// Erases what nobody took back. ⚑ Not where the account was suspended, its key was changed, or another is about to
  /// take it over: then somebody else may have asked.
  static func complete(at time: Timestamp, max: Int, in state: inout StateEditor) {
    for pair in state.scan(prefix: StateKey.erasuresDue, limit: max) {
      guard let due = Deadline(key: pair.key), due.time <= time else { return }
      state.set(pair.key, nil)
      guard let patient = Digest(pair.value.prefix(32)), let record = Digest(pair.value.suffix(32)),
        let pending = state.item(StateKey.erasure(of: patient, record), as: PendingErasure.self)
      else { continue }
      self.remove(pending, of: patient, from: &state)
      guard let account = state.item(StateKey.account(patient), as: Account.self),
        let entry = state.item(StateKey.record(record), as: RecordEntry.self), !entry.isErased
      else { continue }
      let isHis =
        account.isActive(at: time) && account.key == pending.key && state.value(StateKey.recovery(of: patient)) == nil
      guard isHis || planted(.strangerErases) else { continue }
      RuleContext.erase(entry, by: .patient, in: &state)
    }
  }

  /// Takes erasures back, and with each, `max` in all, those of what took that record's place meanwhile: nobody asked
  /// for them by themselves.
  static func takeBack(
    _ found: [PendingErasure], of patient: Digest, max: Int, from state: inout StateEditor
  ) {
    var left = max
    for pending in found {
      self.remove(pending, of: patient, from: &state)
      var next = state.item(StateKey.record(pending.record), as: RecordEntry.self)?.supersededBy
      while left > 0, let record = next, let entry = state.item(StateKey.record(record), as: RecordEntry.self),
        let inherited = state.item(StateKey.erasure(of: patient, record), as: PendingErasure.self),
        inherited.leaf == entry.leaf
      {
        self.remove(inherited, of: patient, from: &state)
        (left, next) = (left - 1, entry.supersededBy)
      }
    }
  }

  static func remove(_ pending: PendingErasure, of patient: Digest, from state: inout StateEditor) {
    state.set(StateKey.erasure(of: patient, pending.record), nil)
    state.set(StateKey.erasureDue(pending.due, leaf: pending.leaf), nil)
  }

  /// When the next is due.
  static func deadline(in state: StateEditor) -> Timestamp {
    state.scan(prefix: StateKey.erasuresDue, limit: 1).first.flatMap { Deadline(key: $0.key)?.time } ?? .never
  }
}
