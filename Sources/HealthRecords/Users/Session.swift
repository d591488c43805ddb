import Messages
public import Primitives
import Rules
public import Signing
public import Wire

/// `openSession`: a practitioner lets a key that an EHR holds ask in the practitioner's name, for a shift at most;
/// signed by the practitioner's own key (RECORDS §2, multilevel authentication).
///
/// The key asks to read and does nothing else: it breaks no glass, and reads nothing of the sensitive category.
public struct SessionOpening: Sendable, Hashable {
  /// The key.
  public let key: PublicKey
  /// Until when it may ask.
  public let until: Timestamp
  /// An opening of given parts.
  public init(key: PublicKey, until: Timestamp) { (self.key, self.until) = (key, until) }
}

extension SessionOpening: WireCodable {
  /// Key, time.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.key)
    encoder.item(self.until)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.key = try PublicKey(from: &decoder)
    self.until = try Timestamp(from: &decoder)
  }
}

/// A session as the state keeps it, until it is over.
public struct SessionEntry: Sendable, Hashable {
  /// The practitioner's account.
  public let account: Digest
  /// Until when.
  public let until: Timestamp
  /// The place of its opening in the log.
  public let leaf: UInt64
}

extension SessionEntry: WireCodable {
  /// Account, time, place.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.account)
    encoder.item(self.until)
    encoder.u64(self.leaf)
  }
  /// Reads all three.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.account = try decoder.digest()
    self.until = try Timestamp(from: &decoder)
    self.leaf = try decoder.u64()
  }
}

extension RuleContext {
  func openSession(_ proven: Proven<SessionOpening>, in state: inout StateEditor) throws {
    let opening = proven.claim
    let (identifier, account) = try self.actor(in: state)
    guard account.kind == .practitioner else { throw Refusal.wrongRole }
    guard account.hospital == self.hospital else { throw Refusal.otherHospital }
    guard opening.until > self.time,
      opening.until <= self.time.adding(milliseconds: self.limits.sessionMilliseconds)
    else { throw Refusal.badWindow }
    try self.requireHolder(of: opening.key, as: nil, sealingKey: .zero, proof: proven.proof, in: state)
    guard state.value(StateKey.key(opening.key.bytes)) == nil else { throw Refusal.keyInUse }
    let entry = SessionEntry(account: identifier, until: opening.until, leaf: self.execution.leaf)
    state.set(StateKey.session(opening.key.bytes), entry)
    state.set(StateKey.sessionOver(opening.until, leaf: entry.leaf), opening.key)
    // Nobody registers the key meanwhile; it is no account's, and so signs nothing but requests.
    state.set(StateKey.key(opening.key.bytes), identifier)
  }

  /// The practitioner ends it, or the key itself, or the registrar.
  func closeSession(_ key: PublicKey, in state: inout StateEditor) throws {
    guard let entry = state.item(StateKey.session(key.bytes), as: SessionEntry.self) else {
      throw Refusal.unknownSession
    }
    let signer = try self.signer()
    if signer == (try self.member().registrarKey) {
      guard state.item(StateKey.account(entry.account), as: Account.self)?.hospital == self.hospital else {
        throw Refusal.otherHospital
      }
    } else if signer != key {
      guard try self.actor(in: state).identifier == entry.account else { throw Refusal.unknownSigner }
    }
    Self.forget(key, entry, in: &state)
  }

  private static func forget(_ key: PublicKey, _ entry: SessionEntry, in state: inout StateEditor) {
    state.set(StateKey.session(key.bytes), nil)
    state.set(StateKey.sessionOver(entry.until, leaf: entry.leaf), nil)
    state.set(StateKey.key(key.bytes), nil)
  }

  /// Forgets the sessions that are over.
  static func endSessions(at time: Timestamp, max: Int, in state: inout StateEditor) {
    for pair in state.scan(prefix: StateKey.sessionsOver, limit: max) {
      guard let due = Deadline(key: pair.key), due.time < time, !planted(.sessionNeverEnds),
        let key = try? PublicKey.decode(pair.value),
        let entry = state.item(StateKey.session(key.bytes), as: SessionEntry.self)
      else { return }
      self.forget(key, entry, in: &state)
    }
  }

  /// Who asks to read: an account by its own key, or a practitioner by a session's.
  func reader(in state: StateEditor) throws(Refusal) -> (identifier: Digest, account: Account, isSession: Bool) {
    let key = try self.signer()
    guard let session = state.item(StateKey.session(key.bytes), as: SessionEntry.self) else {
      let (identifier, account) = try self.actor(in: state)
      return (identifier, account, false)
    }
    // ⚑ Over is over, and whoever is suspended does not go on by a session.
    guard self.time <= session.until || planted(.sessionNeverEnds),
      let account = state.item(StateKey.account(session.account), as: Account.self)
    else { throw .unknownSigner }
    guard account.isActive(at: self.time) else { throw .accountInactive }
    return (session.account, account, true)
  }
}
