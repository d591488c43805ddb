public import Messages
public import Rules
import Wire

extension AgreedRules {
  /// The rules that hold for what is executed next: those that a quorum's registrars adopted, else the genesis's.
  public static func inForce(in reader: some StateReader, genesis limits: LedgerLimits) -> AgreedRules {
    reader.item(StateKey.rules, as: AgreedRules.self) ?? limits.rules
  }

  /// How often rules were adopted on this ledger.
  public static func adoptions(in reader: some StateReader) -> UInt64 {
    guard let bytes = reader.value(StateKey.rulesAdopted) else { return 0 }
    var decoder = Decoder(bytes)
    return (try? decoder.u64()) ?? 0
  }
}

extension ExecutionContext {
  /// The rules that hold.
  func rules(in state: StateEditor) -> AgreedRules {
    state.item(StateKey.rules, as: AgreedRules.self) ?? self.limits.rules
  }
}

extension RuleContext {
  /// The rules that hold.
  func rules(in state: StateEditor) -> AgreedRules { self.execution.rules(in: state) }

  /// Whether what the second version of the rules changed holds (RECORDS §10).
  func isSecond(in state: StateEditor) -> Bool { self.rules(in: state).version >= 2 }

  /// Whether what the third version of the rules changed holds.
  func isThird(in state: StateEditor) -> Bool { self.rules(in: state).version >= 3 }

  /// `adoptRules`: the rules that a quorum's registrars approved hold from the next transaction on.
  func adoptRules(_ approved: ApprovedRules, in state: inout StateEditor) throws {
    try self.requireHospital()
    let (change, now) = (approved.change, self.rules(in: state))
    // ⚑ Nothing goes back: what was promised to people under newer rules stays so.
    guard change.rules.version >= now.version, change.rules != now, change.rules != .first else {
      throw Refusal.unsoundRules
    }
    let adoptions = state.number(StateKey.rulesAdopted)
    guard change.adoptions == adoptions else { throw Refusal.unsoundRules }
    guard change.validUntil >= self.time else { throw Refusal.changeExpired }
    guard approved.isApproved(network: self.execution.network, in: self.execution.configuration) else {
      throw Refusal.tooFewApprovals
    }
    state.set(StateKey.rules, change.rules)
    state.set(StateKey.rulesAdopted, number: adoptions + 1)
  }
}
