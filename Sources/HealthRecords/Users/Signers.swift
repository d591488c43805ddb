public import Messages
public import Primitives
public import Rules
public import Signing

/// Whose signatures may reach a hospital's lane: a pure function of the executed state.
///
/// ⚑ What is in a lane stands in the log for ever, refused or not: whoever is nobody here must be refused before.
public enum Signers {
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
