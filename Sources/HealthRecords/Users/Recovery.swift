import Messages
public import Primitives
import Rules
public import Signing
public import Wire

/// `beginRecovery`: another key for an account whose key is lost; signed by the registrar of its hospital, which knows
/// the person. It counts after a delay, in which the key so far can object (RECORDS §2).
public struct RecoveryRequest: Sendable, Hashable {
  /// The account.
  public let account: Digest
  /// Its signing key after the delay.
  public let key: PublicKey
  /// Its X25519 key after the delay.
  public let sealingKey: Digest
  /// A request of given parts.
  public init(account: Digest, key: PublicKey, sealingKey: Digest) {
    (self.account, self.key, self.sealingKey) = (account, key, sealingKey)
  }
}

extension RecoveryRequest: WireCodable {
  /// Account, key, sealing key.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.account)
    encoder.item(self.key)
    encoder.digest(self.sealingKey)
  }
  /// Reads a request.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.account = try decoder.digest()
    self.key = try PublicKey(from: &decoder)
    self.sealingKey = try decoder.digest()
  }
}

/// A recovery that is under way.
public struct PendingRecovery: Sendable, Hashable {
  /// What was asked.
  public let request: RecoveryRequest
  /// When it counts.
  public let due: Timestamp
  /// The place of the request in the log.
  public let leaf: UInt64
}

extension PendingRecovery: WireCodable {
  /// Request, time, place.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.request)
    encoder.item(self.due)
    encoder.u64(self.leaf)
  }
  /// Reads all three.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.request = try RecoveryRequest(from: &decoder)
    self.due = try Timestamp(from: &decoder)
    self.leaf = try decoder.u64()
  }
}

extension RuleContext {
  func beginRecovery(_ proven: Proven<RecoveryRequest>, in state: inout StateEditor) throws {
    let request = proven.claim
    try self.requireRegistrar()
    guard let account = state.item(StateKey.account(request.account), as: Account.self) else {
      throw Refusal.unknownAccount
    }
    guard account.kind != .thirdParty else { throw Refusal.wrongRole }
    guard account.hospital == self.hospital else { throw Refusal.otherHospital }
    guard account.status != .revoked else { throw Refusal.accountInactive }
    guard state.value(StateKey.recovery(of: request.account)) == nil else { throw Refusal.recoveryUnderWay }
    try self.requireHolder(
      of: request.key, as: account.kind, sealingKey: request.sealingKey, proof: proven.proof, in: state)
    guard state.value(StateKey.key(request.key.bytes)) == nil else { throw Refusal.keyInUse }
    let due = self.time.adding(milliseconds: self.limits.recoveryDelayMilliseconds)
    let pending = PendingRecovery(request: request, due: due, leaf: self.execution.leaf)
    state.set(StateKey.recovery(of: request.account), pending)
    state.set(StateKey.recoveryDue(due, leaf: pending.leaf), request.account)
    // Nobody else takes the key meanwhile; it may do nothing yet, for it is not the account's.
    state.set(StateKey.key(request.key.bytes), request.account)
  }

  /// ⚑ Whoever holds the key so far ends it, and so does the registrar.
  func endRecovery(_ account: Digest, in state: inout StateEditor) throws {
    guard let pending = state.item(StateKey.recovery(of: account), as: PendingRecovery.self) else {
      throw Refusal.noRecovery
    }
    if try self.signer() == self.member().registrarKey {
      guard state.item(StateKey.account(account), as: Account.self)?.hospital == self.hospital else {
        throw Refusal.otherHospital
      }
    } else {
      guard try self.actor(in: state).identifier == account else { throw Refusal.unknownSigner }
    }
    Recoveries.remove(pending, from: &state)
    state.set(StateKey.key(pending.request.key.bytes), nil)
  }
}

/// The recoveries whose delay is over.
enum Recoveries {
  /// Gives the accounts their new keys.
  static func complete(at time: Timestamp, max: Int, in state: inout StateEditor) {
    for pair in state.scan(prefix: StateKey.recoveriesDue, limit: max) {
      guard let due = Deadline(key: pair.key), due.time <= time || planted(.recoveryAtOnce),
        let identifier = Digest(pair.value)
      else { return }
      guard let pending = state.item(StateKey.recovery(of: identifier), as: PendingRecovery.self),
        var account = state.item(StateKey.account(identifier), as: Account.self)
      else {
        state.set(pair.key, nil)
        continue
      }
      self.remove(pending, from: &state)
      (account.key, account.sealingKey) = (pending.request.key, pending.request.sealingKey)
      state.set(StateKey.account(identifier), account)
    }
  }

  static func remove(_ pending: PendingRecovery, from state: inout StateEditor) {
    state.set(StateKey.recovery(of: pending.request.account), nil)
    state.set(StateKey.recoveryDue(pending.due, leaf: pending.leaf), nil)
  }

  /// When the next is due.
  static func deadline(in state: StateEditor) -> Timestamp {
    state.scan(prefix: StateKey.recoveriesDue, limit: 1).first.flatMap { Deadline(key: $0.key)?.time } ?? .never
  }
}
