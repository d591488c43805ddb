import Messages
import Primitives
import Rules
import Threshold
import Wire

/// Changes of members (LEDGER §8): approved by Q registrars, proved by a tree head, begun everywhere at one number.
extension RuleContext {
  /// The configuration that was opened last.
  func newest(in state: StateEditor) -> ConfigurationNumber {
    let current = self.execution.configuration.number
    let next = ConfigurationNumber(current.number + 1)
    return state.value(StateKey.configuration(next)) == nil ? current : next
  }

  /// ⚑ One change at a time, of the configuration that it names, before it expires.
  func changeMembers(_ approved: ApprovedChange, in state: inout StateEditor) throws {
    let (change, configuration) = (approved.change, self.execution.configuration)
    // ⚑ What the rules before the third did not know they do not read now.
    guard !change.losesRecords || self.isThird(in: state) else {
      throw WireError.invalid(at: 0, field: "membership action")
    }
    try self.requireHospital()
    guard change.configuration == configuration.number || planted(.membershipReplayed),
      self.newest(in: state) == configuration.number,
      state.value(StateKey.pendingChange) == nil
    else { throw Refusal.otherConfiguration }
    guard change.validUntil >= self.time else { throw Refusal.changeExpired }
    guard approved.isApproved(network: self.execution.network, in: configuration) else {
      throw Refusal.tooFewApprovals
    }
    do { _ = try configuration.changed(by: change.action, start: configuration.start) } catch {
      throw Refusal.unsoundChange
    }
    try self.requireCustodians(after: change, in: state)
    state.set(StateKey.pendingChange, PendingChange(change, leaf: self.execution.leaf))
  }

  /// ⚑ Nobody leaves without whom too few custodians would be left to hand the custody key on: no record could be
  /// opened any more. (Before the third rules, one under new keys counts as having lost its share.)
  private func requireCustodians(after change: MembershipChange, in state: StateEditor) throws(Refusal) {
    guard !self.isThird(in: state) else { return try self.requireShares(after: change, in: state) }
    guard case .remove(let id) = change.action, let index = self.execution.configuration.index(of: id) else { return }
    for key in CustodyKeys(in: state).all {
      let left = self.execution.configuration.voters.filter { $0 != index && key.custodians.contains($0) }
      guard left.count >= key.threshold else { throw .custodianNeeded }
    }
  }

  /// ⚑ Nobody leaves, nor goes on under new keys, with a share without which a key in use opens nothing more, unless
  /// those who approve that say so: of a hospital whose share is lost already another one must be able to take its
  /// place (RECORDS §5). Where too few shares are left as it is, nothing more is lost.
  private func requireShares(after change: MembershipChange, in state: StateEditor) throws(Refusal) {
    let configuration = self.execution.configuration
    guard let index = configuration.index(of: change.action.member), !change.losesRecords else { return }
    switch change.action {
    case .add: return
    case .remove: break
    case .replace(let member):
      guard member.key != configuration.members[index].key, !planted(.lastShareTaken) else { return }
    }
    let isNeeded = CustodyKeys(in: state).all.contains { key in
      let holders = key.holders(in: configuration)
      return holders.contains(index) && holders.count == key.threshold
    }
    guard !isNeeded else { throw .shareNeeded }
  }

  /// The change counts once a tree head that Q members signed covers it: with that head outsiders follow from one
  /// configuration to the next. It begins when all that could be open is through.
  func openConfiguration(_ checkpoint: StableCheckpoint, in state: inout StateEditor) throws {
    try self.requireHospital()
    let configuration = self.execution.configuration
    guard let pending = state.item(StateKey.pendingChange, as: PendingChange.self) else {
      throw Refusal.nothingPending
    }
    guard checkpoint.body.network == self.execution.network, checkpoint.body.size > pending.leaf,
      checkpoint.isAuthentic(in: configuration)
    else { throw Refusal.badEvidence }
    let start = SequenceNumber(self.execution.sequence.number + self.execution.limits.pipelineMax)
    let next: Configuration
    do { next = try configuration.changed(by: pending.change.action, start: start) } catch {
      throw Refusal.unsoundChange
    }
    if self.isThird(in: state) { try self.requireSharesStill(pending.change, in: &state) }
    state.set(StateKey.pendingChange, nil)
    state.set(
      StateKey.configuration(next.number), ConfigurationRecord(next, leaf: pending.leaf, checkpoint: checkpoint))
    state.set(StateKey.opening, number: start.number)
    // Whoever goes on under new keys starts a clean lane: the members readmit it.
    if case .replace(let member) = pending.change.action { state.set(StateKey.fork(member.id), nil) }
  }
}

extension RuleContext {
  /// ⚑ Shares may have been dealt again since the change was taken, to fewer: then it is dropped, and can be proposed
  /// again once more members have shares.
  private func requireSharesStill(_ change: MembershipChange, in state: inout StateEditor) throws {
    do throws(Refusal) { try self.requireShares(after: change, in: state) } catch {
      state.set(StateKey.pendingChange, nil)
      state.commit()
      throw error
    }
  }
}

/// What the passing of sequence numbers does to configurations.
enum MembershipRules {
  /// With the last cut before a configuration begins, nothing is to be hurried any more.
  static func begin(_ execution: ExecutionContext, in state: inout StateEditor) {
    guard state.value(StateKey.opening) != nil, state.number(StateKey.opening) <= execution.sequence.number + 1 else {
      return
    }
    state.set(StateKey.opening, nil)
    let current = execution.configuration
    let next = StateKey.configuration(ConfigurationNumber(current.number.number + 1))
    guard let record = state.item(next, as: ConfigurationRecord.self) else { return }
    // Who goes on under new keys has lost its share of the custody key, and receives another under a new transport key.
    let pairs = zip(current.members, record.configuration.members).enumerated()
    for (index, (before, after)) in pairs where before.key != after.key {
      state.set(StateKey.transportKey(after.id), nil)
      for key in CustodyKeys(in: state).all {
        var custodians = key.custodians
        custodians.remove(index)
        state.set(StateKey.custodyKey(key.generation), key.with(custodians: custodians))
      }
    }
    guard execution.rules(in: state).version >= 3 else { return }
    for (before, after) in zip(current.members, record.configuration.members)
    where before.sealingKey != after.sealingKey {
      LeftRecords.note(after.id, before: execution.leaf, in: &state)
    }
  }
}
