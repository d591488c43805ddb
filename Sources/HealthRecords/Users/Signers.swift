public import Messages
public import Primitives
public import Rules
public import Signing

/// Whose signatures may reach a hospital's lane: a pure function of the executed state.
///
/// ⚑ What is in a lane stands in the log for ever, refused or not: whoever is nobody here must be refused before.
public enum Signers {
  /// Why a key that is known may write nothing: its account is suspended, revoked or over at a time, or asks for what
  /// is asked for at another hospital; nil where it may, and where it is no account's.
  ///
  /// ⚑ An account that begins later is the ledger's to judge: the cut in which it acts has a later time.
  public static func standing(
    _ key: PublicKey, kind: UInt16, at hospital: MemberID, in configuration: Configuration, time: Timestamp,
    state: some StateReader
  ) -> Refusal? {
    if kind == TransactionKind.commitDigests.rawValue { return nil }
    if configuration.members.contains(where: { $0.id == hospital && $0.registrarKey == key }) { return nil }
    guard let identifier = state.item(StateKey.key(key.bytes), as: Digest.self),
      let account = state.item(StateKey.account(identifier), as: Account.self)
    else { return nil }
    guard account.isActive(at: max(time, account.validFrom)) else { return .accountInactive }
    // Who acts for a patient of another hospital consents there; what is asked for or judged is so at the own one.
    let own: [TransactionKind] = [
      .breakGlass, .eraseRecord, .keepRecords, .openSession, .rateRecord, .requestAccess, .reviewBreakGlass,
    ]
    guard account.hospital == hospital || account.kind == .thirdParty || !own.map(\.rawValue).contains(kind) else {
      return .otherHospital
    }
    return nil
  }

  /// Whether a key signs for somebody in a hospital's lane: its registrar, an account by its key of today, a session,
  /// or who is about to take an account over.
  public static func isKnown(
    _ key: PublicKey, kind: UInt16, at hospital: MemberID, in configuration: Configuration, state: some StateReader
  ) -> Bool {
    // Digests of a hospital's own systems: their rule asks for no account.
    if kind == TransactionKind.commitDigests.rawValue { return true }
    if configuration.members.contains(where: { $0.id == hospital && $0.registrarKey == key }) { return true }
    if state.value(StateKey.session(key.bytes)) != nil { return true }
    guard let account = state.item(StateKey.key(key.bytes), as: Digest.self) else { return false }
    if state.item(StateKey.account(account), as: Account.self)?.key == key { return true }
    return state.item(StateKey.recovery(of: account), as: PendingRecovery.self)?.request.key == key
  }
}
