import Messages
public import Primitives
import Rules
public import Wire

/// `reportVault`: a member's vault did not prove what it should keep, several times in a row.
public struct VaultReport: Sendable, Hashable {
  /// The member whose vault it is.
  public let member: MemberID
  /// What it was asked for last.
  public let record: Digest
  /// A report.
  public init(member: MemberID, record: Digest) { (self.member, self.record) = (member, record) }
}

extension VaultReport: WireCodable {
  /// Member, record.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.member)
    encoder.digest(self.record)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.member = try MemberID(from: &decoder)
    self.record = try decoder.digest()
  }
}

/// What one member last reported of another's vault, as the state keeps it.
public struct VaultReportEntry: Sendable, Hashable {
  /// The record.
  public let record: Digest
  /// When it was executed.
  public let time: Timestamp
  /// Its place in the log.
  public let leaf: UInt64
  /// How often this member has reported that one.
  public let count: UInt64
}

extension VaultReportEntry: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.record)
    encoder.item(self.time)
    encoder.u64(self.leaf)
    encoder.u64(self.count)
  }
  /// Reads an entry.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.record = try decoder.digest()
    self.time = try Timestamp(from: &decoder)
    self.leaf = try decoder.u64()
    self.count = try decoder.u64()
  }
}

/// What hospitals say on the ledger of vaults: that an erased record is deleted, and that another's does not prove what
/// it should keep (RECORDS §4, §6). Words, not proofs: whoever says them signs them.
extension RuleContext {
  /// A hospital states that its vault deleted what it kept of an erased record; once.
  func stateDeletion(_ record: Digest, in state: inout StateEditor) throws {
    try self.requireHospital()
    let member = try self.member()
    guard let entry = state.item(StateKey.record(record), as: RecordEntry.self) else { throw Refusal.unknownRecord }
    let key = StateKey.deletion(of: record, by: member.id)
    guard entry.isErased else { throw Refusal.notErased }
    guard state.value(key) == nil else { throw Refusal.alreadyApproved }
    state.set(key, number: self.execution.leaf)
  }

  /// A hospital reports another member's vault; not again within an hour of cut time.
  func reportVault(_ report: VaultReport, in state: inout StateEditor) throws {
    try self.requireHospital()
    let member = try self.member()
    guard report.member != member.id, self.execution.configuration.index(of: report.member) != nil else {
      throw Refusal.unknownSigner
    }
    guard let entry = state.item(StateKey.record(report.record), as: RecordEntry.self) else {
      throw Refusal.unknownRecord
    }
    guard !entry.isErased else { throw Refusal.erased }
    let key = StateKey.vaultReport(of: report.member, by: member.id)
    let last = state.item(key, as: VaultReportEntry.self)
    if let last, self.time < last.time.adding(milliseconds: self.limits.vaultReportMilliseconds) {
      throw Refusal.alreadyApproved
    }
    state.set(
      key,
      VaultReportEntry(
        record: report.record, time: self.time, leaf: self.execution.leaf, count: (last?.count ?? 0) + 1))
  }
}
