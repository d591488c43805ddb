import Messages
import Primitives
import Rules
import Signing
public import Wire

/// By what right a record was erased (RECORDS §4).
public enum Erasure: UInt8, Sendable, Hashable {
  /// The patient wanted it.
  case patient = 1
  /// Its hospital did, once it had been kept as long as it must be.
  case retention = 2
  /// A court ordered it, and Q members followed.
  case order = 3
}

/// `setRetention`: how long a hospital keeps records of a category before it may erase them.
public struct RetentionRule: Sendable, Hashable {
  /// The category.
  public let category: RecordCategory
  /// From the anchor on, in milliseconds of cut time.
  public let milliseconds: UInt64
  /// A rule of given parts.
  public init(category: RecordCategory, milliseconds: UInt64) {
    (self.category, self.milliseconds) = (category, milliseconds)
  }
}

extension RetentionRule: WireCodable {
  /// Category, time.
  public func encode(into encoder: inout Encoder) {
    encoder.u8(self.category.rawValue)
    encoder.u64(self.milliseconds)
  }
  /// Reads a rule.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    guard let category = RecordCategory(rawValue: try decoder.u8()) else {
      throw .invalid(at: start, field: "category")
    }
    self.category = category
    self.milliseconds = try decoder.bounded("retention")
  }
}

extension RuleContext {
  func eraseRecord(_ record: Digest, in state: inout StateEditor) throws {
    let entry = try self.erasable(record, in: state)
    guard self.transaction.authorization == .hospital else {
      try self.requirePatient(entry.anchor.patient, in: state)
      guard try self.isAtOnce(entry, in: &state) else { return }
      return Self.erase(entry, by: .patient, in: &state)
    }
    guard entry.hospital == self.hospital else { throw Refusal.notAuthor }
    let rule = StateKey.retention(of: entry.anchor.category)
    let isOver =
      state.value(rule) != nil && entry.time.adding(milliseconds: state.number(rule)) <= self.time
    guard isOver || planted(.retentionIgnored) else { throw Refusal.toBeKept }
    Self.erase(entry, by: .retention, in: &state)
  }

  func orderErasure(_ record: Digest, in state: inout StateEditor) throws {
    let entry = try self.erasable(record, in: state)
    guard try self.isApproved("consilium/erasure-order/v1", record.bytes, in: &state) else { return }
    Self.erase(entry, by: .order, in: &state)
  }

  func setRetention(_ rule: RetentionRule, in state: inout StateEditor) throws {
    let key = StateKey.retention(of: rule.category)
    // ⚑ Approvals are for a change of what holds now: none that was left over counts for a later one.
    let before = state.value(key) ?? []
    guard try self.isApproved("consilium/retention/v1", rule.encoded + before, in: &state) else { return }
    state.set(key, number: rule.milliseconds)
  }

  private func erasable(_ record: Digest, in state: StateEditor) throws(Refusal) -> RecordEntry {
    guard let entry = state.item(StateKey.record(record), as: RecordEntry.self) else { throw .unknownRecord }
    guard !entry.isErased else { throw .erased }
    return entry
  }

  static func erase(_ held: RecordEntry, by right: Erasure, in state: inout StateEditor) {
    var entry = held
    entry.erasure = right
    LiveRecords.count(entry, by: -1, in: &state)
    state.set(StateKey.record(entry.anchor.record), entry)
  }

  /// Takes a registrar's approval of a proposal; says whether Q members' registrars have given theirs, and forgets
  /// them then.
  private func isApproved(
    _ domain: StaticString, _ bytes: [UInt8], in state: inout StateEditor
  ) throws(Refusal) -> Bool {
    try self.requireRegistrar()
    let proposal = Hash.blake2b(domain, bytes)
    let own = StateKey.approval(proposal, by: self.hospital)
    guard state.value(own) == nil else { throw .alreadyApproved }
    let configuration = self.execution.configuration
    let keys = configuration.voters.map { StateKey.approval(proposal, by: configuration.members[$0].id) }
    let approvals = keys.filter { state.value($0) != nil }
    guard approvals.count + 1 >= configuration.quorum else {
      state.set(own, [1])
      return false
    }
    for key in approvals { state.set(key, nil) }
    return true
  }
}
