import Messages
import Primitives
import Rules
import Threshold
import Wire

/// Changes of members (LEDGER §8): approved by Q registrars, proved by a tree head, begun everywhere at one number.
extension RuleContext {
  /// The configuration that was opened last.
  private func newest(in state: StateEditor) -> ConfigurationNumber {
    let current = self.execution.configuration.number
    let next = ConfigurationNumber(current.number + 1)
    return state.value(StateKey.configuration(next)) == nil ? current : next
  }

  /// ⚑ One change at a time, of the configuration that it names, before it expires.
  func changeMembers(_ approved: ApprovedChange, in state: inout StateEditor) throws {
    try self.requireHospital()
    let (change, configuration) = (approved.change, self.execution.configuration)
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
    try self.requireCustodians(without: change.action, in: state)
    state.set(StateKey.pendingChange, PendingChange(change, leaf: self.execution.leaf))
  }

  /// ⚑ Nobody leaves without whom too few custodians would be left to hand the custody key on: no record could be
  /// opened any more. (Whoever goes on under new keys has lost its share already.)
  private func requireCustodians(without action: MembershipAction, in state: StateEditor) throws(Refusal) {
    guard case .remove(let id) = action, let index = self.execution.configuration.index(of: id) else { return }
    for key in CustodyKeys(in: state).all {
      let left = self.execution.configuration.voters.filter { $0 != index && key.custodians.contains($0) }
      guard left.count >= key.threshold else { throw .custodianNeeded }
    }
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
    state.set(StateKey.pendingChange, nil)
    state.set(
      StateKey.configuration(next.number), ConfigurationRecord(next, leaf: pending.leaf, checkpoint: checkpoint))
    state.set(StateKey.opening, number: start.number)
    // Whoever goes on under new keys starts a clean lane: the members readmit it.
    if case .replace(let member) = pending.change.action { state.set(StateKey.fork(member.id), nil) }
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
  }
}
