public import Messages
public import Primitives
public import Rules
import Signing
public import Wire

/// `openInPartition`: a hospital opens records that it wrote itself to a practitioner of its own, because nothing is
/// ordered while somebody's life may depend on them (RECORDS §4).
///
/// ⚑ It is durable in the hospital's own lane before anything is opened, and is executed however late it is ordered:
/// the patient's history has it in the end. Covered by the block's signature.
public struct PartitionOpening: Sendable, Hashable {
  /// The most bytes of the request.
  public static let requestBytesMax = 8192
  /// The `breakGlass` transaction as the practitioner signed it.
  public let request: [UInt8]
  /// When, by the hospital's clock.
  public let time: Timestamp
  /// An opening for a request at a time.
  public init(request: [UInt8], time: Timestamp) { (self.request, self.time) = (request, time) }
}

extension PartitionOpening: WireCodable {
  /// Request, time.
  public func encode(into encoder: inout Encoder) {
    encoder.blob(self.request)
    encoder.item(self.time)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.request = try decoder.blob(max: Self.requestBytesMax, "request")
    self.time = try Timestamp(from: &decoder)
  }
}

extension HealthRules {
  /// What the ledger would say of transactions that follow on one another: the first refusal, or that all are applied.
  /// ⚑ What breaks glass and waits in this hospital's lane before the first of them counts as if it were executed: the
  /// limits hold while nothing is ordered too.
  public func rehearse(
    _ transactions: [Transaction], after waiting: [[UInt8]], in context: ExecutionContext,
    state reader: some StateReader & Sendable
  ) -> OutcomeCode {
    var state = StateEditor(reader: reader)
    var leaf = context.leaf
    func outcome(of transaction: Transaction) -> OutcomeCode {
      let place = ExecutionContext(
        network: context.network, configuration: context.configuration, limits: context.limits,
        sequence: context.sequence, time: context.time, leaf: leaf)
      let said = self.execute(
        transaction, identifier: transaction.identifier(network: context.network), in: place, state: &state)
      if said == .applied { state.commit() } else { state.rollBack() }
      leaf += 1
      return said
    }
    let first = transactions.first?.encoded
    let glasses = [TransactionKind.breakGlass, .openInPartition].map(\.rawValue)
    for bytes in waiting {
      if bytes == first { break }
      guard let earlier = try? Transaction.decode(bytes), glasses.contains(earlier.kind) else { continue }
      _ = outcome(of: earlier)
    }
    for transaction in transactions {
      let said = outcome(of: transaction)
      guard said == .applied else { return said }
    }
    return .applied
  }
}

extension RuleContext {
  func openInPartition(_ opening: PartitionOpening, in state: inout StateEditor) throws {
    try self.requireHospital()
    let network = self.execution.network
    let transaction = try Transaction.decode(opening.request)
    guard transaction.kind == TransactionKind.breakGlass.rawValue, transaction.hospital == self.hospital,
      transaction.isAuthentic(network: network), case .person(let key, _) = transaction.authorization
    else { throw Refusal.badEvidence }
    // The reader may have been suspended since, or have another key: that it was opened is true all the same. ⚑ What an
    // EHR holds, or who is only about to take an account over, breaks no glass: here as little as anywhere.
    guard let reader = state.item(StateKey.key(key.bytes), as: Digest.self),
      let account = state.item(StateKey.account(reader), as: Account.self), account.kind == .practitioner,
      account.hospital == self.hospital,
      !self.isOnlyLent(key, of: reader, in: state) || planted(.lentKeyOpens)
    else { throw Refusal.unknownSigner }
    let request = try AccessRequest.decode(transaction.payload)
    guard request.purpose == .emergency, request.reason != 0 else { throw Refusal.badEvidence }
    // ⚑ Whatever clock the hospital has: at that time the request would have been taken, and none is from the future.
    let life = self.execution.limits.transactionLifeMilliseconds
    let isTimely =
      account.since <= opening.time && opening.time <= transaction.validUntil
      && transaction.validUntil <= opening.time.adding(milliseconds: life)
    guard isTimely || planted(.openingUntimely) else { throw Refusal.badWindow }
    let time = min(opening.time, self.time)
    for record in request.records {
      guard let entry = state.item(StateKey.record(record), as: RecordEntry.self),
        entry.anchor.patient == request.patient
      else { throw Refusal.unknownRecord }
      // ⚑ Only what the hospital wrote itself: nobody else's records open without the others.
      guard entry.hospital == self.hospital || planted(.foreignOpened) else { throw Refusal.notAuthor }
    }
    let identifier = transaction.identifier(network: network)
    if let (key, held) = AccessEntry.find(identifier, in: state) {
      var entry = held
      guard entry.openedInPartition == nil else { throw Refusal.alreadyOpened }
      entry.openedInPartition = time
      return state.set(key, entry)
    }
    // It counts, and whatever the limit says now it happened.
    if self.isOfAnother(reader, request.patient, in: &state) {
      try self.countBreakGlass(reader.bytes, max: .max, in: &state)
      try self.countBreakGlass(self.hospital.encoded, max: .max, in: &state)
    }
    var entry = self.entry(request, reader, .applied, nil, .reviewDue)
    entry.openedInPartition = time
    self.remember(entry, of: identifier, in: &state)
  }

  /// Whether a key is a session's, or one that takes the account over later.
  private func isOnlyLent(_ key: PublicKey, of account: Digest, in state: StateEditor) -> Bool {
    state.value(StateKey.session(key.bytes)) != nil
      || state.item(StateKey.recovery(of: account), as: PendingRecovery.self)?.request.key == key
  }
}
