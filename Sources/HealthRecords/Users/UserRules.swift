import Messages
import Primitives
import Rules
import Signing
import Wire

/// User management (RECORDS §2).
extension RuleContext {
  func registerAccount(_ proven: Proven<AccountRegistration>, in state: inout StateEditor) throws {
    let registration = proven.claim
    try self.requireRegistrar()
    guard registration.kind != .thirdParty else { throw Refusal.wrongRole }
    guard registration.validFrom < registration.validUntil else { throw Refusal.badWindow }
    try self.requireHolder(
      of: registration.key, as: registration.kind, sealingKey: registration.sealingKey, proof: proven.proof, in: state)
    try self.open(
      Account(
        kind: registration.kind, hospital: self.hospital, key: registration.key,
        sealingKey: registration.sealingKey, role: registration.role, validFrom: registration.validFrom,
        validUntil: registration.validUntil, status: .active, since: self.time),
      in: &state)
  }

  /// Q hospitals approve one registration; the last approval opens the account.
  func approveThirdParty(_ registration: AccountRegistration, in state: inout StateEditor) throws {
    try self.requireHospital()
    guard registration.kind == .thirdParty else { throw Refusal.wrongRole }
    guard registration.validFrom < registration.validUntil else { throw Refusal.badWindow }
    let proposal = Hash.blake2b("consilium/third-party/v1", registration.encoded)
    let own = StateKey.approval(proposal, by: self.hospital)
    guard state.value(own) == nil else { throw Refusal.alreadyApproved }
    let configuration = self.execution.configuration
    let members = configuration.voters.map { configuration.members[$0] }
    let approvals = members.count { state.value(StateKey.approval(proposal, by: $0.id)) != nil }
    state.set(own, [1])
    guard approvals + 1 == self.execution.configuration.quorum else { return }
    try self.open(
      Account(
        kind: .thirdParty, hospital: self.hospital, key: registration.key,
        sealingKey: registration.sealingKey, role: registration.role, validFrom: registration.validFrom,
        validUntil: registration.validUntil, status: .active, since: self.time),
      in: &state)
  }

  private func open(_ account: Account, in state: inout StateEditor) throws(Refusal) {
    let identifier = Account.identifier(
      network: self.execution.network, hospital: self.hospital, key: account.key)
    guard state.value(StateKey.account(identifier)) == nil else { throw .accountExists }
    guard state.value(StateKey.key(account.key.bytes)) == nil else { throw .keyInUse }
    state.set(StateKey.account(identifier), account)
    state.set(StateKey.key(account.key.bytes), identifier)
    let counter = StateKey.accountCount(account.kind)
    state.set(counter, number: state.number(counter) + 1)
  }

  func rotateKey(_ proven: Proven<KeyRotation>, in state: inout StateEditor) throws {
    let rotation = proven.claim
    var (identifier, account) = try self.actor(in: state)
    guard identifier == rotation.account else { throw Refusal.unknownSigner }
    try self.requireHolder(
      of: rotation.key, as: account.kind, sealingKey: account.sealingKey, proof: proven.proof, in: state)
    guard state.value(StateKey.key(rotation.key.bytes)) == nil else { throw Refusal.keyInUse }
    // The old key keeps its entry: it names the account, whose current key it no longer is.
    account.key = rotation.key
    state.set(StateKey.account(identifier), account)
    state.set(StateKey.key(rotation.key.bytes), identifier)
  }

  func setStatus(_ change: StatusChange, in state: inout StateEditor) throws {
    try self.requireRegistrar()
    let key = StateKey.account(change.account)
    guard var account = state.item(key, as: Account.self) else { throw Refusal.unknownAccount }
    guard account.hospital == self.hospital else { throw Refusal.otherHospital }
    guard account.status != .revoked else { throw Refusal.accountInactive }
    account.status = change.status
    state.set(key, account)
  }

  /// Evidence of a forked lane: kept for ever, one for each author.
  func recordFork(_ evidence: ForkEvidence, in state: inout StateEditor) throws {
    try self.requireHospital()
    let key = StateKey.fork(evidence.first.author)
    guard state.value(key) == nil else { throw Refusal.alreadyApproved }
    guard evidence.isAuthentic(network: self.execution.network, in: self.execution.configuration) else {
      throw Refusal.badEvidence
    }
    state.set(key, number: self.execution.sequence.number)
  }
}
