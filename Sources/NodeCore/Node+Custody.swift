internal import Ordering
public import Custody
internal import HealthRecords
public import Messages
public import Primitives
public import Rules
public import Signing
public import Threshold
internal import Wire

/// What the ledger says of custody, read out of the state.
public enum CustodyReading {
  /// The dealings of which a key is made, and the place of a member's boxes in them.
  public static func dealings(
    of custody: CustodyKey, for member: ReplicaIndex, network: Digest, in state: some StateReader
  ) -> (place: Int, dealings: [CustodyJob.Dealt])? {
    self.dealings(
      custody.dealers.members, of: custody.attempt, to: custody.participants.members, for: member, network: network,
      in: state)
  }

  private static func dealings(
    _ dealers: [ReplicaIndex], of attempt: UInt64, to recipients: [ReplicaIndex], for member: ReplicaIndex,
    network: Digest, in state: some StateReader
  ) -> (place: Int, dealings: [CustodyJob.Dealt])? {
    guard let place = recipients.firstIndex(of: member) else { return nil }
    let dealings = dealers.compactMap { dealer -> CustodyJob.Dealt? in
      let key = StateKey.dealing(attempt: attempt, dealer: dealer)
      let context = DealingContext(network: network, attempt: attempt, dealer: dealer)
      return state.item(key, as: Dealing.self).map { CustodyJob.Dealt(context: context, dealing: $0) }
    }
    return (place, dealings)
  }
}

extension CustodyReading {
  /// Whether shares are read with members' registered transport keys alone, so that the secrets of others may be
  /// forgotten: not while shares go over.
  public static func isSettled(in state: some StateReader) -> Bool {
    let keys = CustodyKeys(in: state)
    return keys.generation?.phase == .active && keys.retiringGeneration == nil
  }

  /// The transport key that a member has registered.
  public static func registeredKey(of member: MemberID, in state: some StateReader) -> GroupElement? {
    state.item(StateKey.transportKey(member), as: GroupElement.self)
  }

  /// A member's task with everything that it needs to know of the state; nil where the state does not have it.
  public static func job(
    for task: CustodyTask, of member: ReplicaIndex, _ configuration: Configuration, _ network: Digest,
    in state: some StateReader
  ) -> CustodyJob? {
    let generation = CustodyKeys(in: state).generation
    let registered = state.item(StateKey.transportKey(configuration.members[member].id), as: GroupElement.self)
    switch (task, generation) {
    case (.register, _): return .register(configuration.members[member].id, registered: registered)
    case (.deal(let attempt), let generation?):
      let recipients = generation.recipients.compactMap { recipient -> CustodyJob.Recipient? in
        let key = StateKey.transportKey(configuration.members[recipient].id)
        return state.item(key, as: GroupElement.self).map { CustodyJob.Recipient(member: recipient, key: $0) }
      }
      let context = DealingContext(network: network, attempt: attempt, dealer: member)
      guard generation.epoch > 0 else {
        return .deal(context, threshold: generation.threshold, recipients: recipients)
      }
      guard let key = CustodyKeys(in: state).key(of: generation.generation),
        let held = self.dealings(of: key, for: member, network: network, in: state)
      else { return nil }
      return .share(
        context, threshold: generation.threshold, recipients: recipients, key: key, place: held.place,
        dealings: held.dealings)
    case (.examine(let attempt), let generation?):
      guard let registered else { return nil }
      return self.dealings(
        generation.dealers.members, of: attempt, to: generation.recipients, for: member, network: network, in: state
      ).map {
        .examine(attempt: attempt, registered: registered, place: $0.place, dealings: $0.dealings)
      }
    case (.deal, nil), (.examine, nil): return nil
    }
  }
}

/// This member's shares of the custody keys in use, each read once out of the dealings that the ledger agreed on.
public struct CustodyShares: Sendable {
  /// By the attempt that made the key; nil where this member's secrets do not open it, which costs as much to find.
  private var held: [UInt64: KeyShare?] = [:]

  /// None was read yet.
  public init() {}

  /// A member's share of a key; nil where it has none.
  public mutating func share(
    of custody: CustodyKey, as member: ReplicaIndex, with secrets: CustodianSecrets, network: Digest,
    in state: some StateReader
  ) -> KeyShare? {
    if let share = self.held[custody.attempt] { return share }
    guard custody.custodians.contains(member),
      let agreed = CustodyReading.dealings(of: custody, for: member, network: network, in: state)
    else { return nil }
    let share = secrets.keyShare(of: custody, as: member, from: agreed.dealings, at: agreed.place)
    // At most two keys are in use at once.
    if self.held.count > 1 { self.held = [:] }
    self.held[custody.attempt] = .some(share)
    return share
  }

  /// Forgets them: what they were read with is forgotten too.
  public mutating func forget() { self.held = [:] }
}

extension Node {
  /// Looks whether the making of a custody key awaits something of this member.
  mutating func lookAtCustody(_ run: inout NodeRun) {
    guard let index else { return }
    let own = self.configuration.members[index].id
    let generation = CustodyKeys(in: run.reader).generation
    let isRegistered = run.reader.value(StateKey.transportKey(own)) != nil
    guard
      let task = self.custodian?.look(isRegistered: isRegistered, generation: generation, at: run.now.tick),
      let job = CustodyReading.job(
        for: task, of: index, self.configuration, self.genesis.network, in: run.reader)
    else { return }
    run.effects.append(.custody(job))
  }
}

extension CustodyStatement {
  /// The transaction that states it in a hospital's lane.
  public func transaction(hospital: MemberID, validUntil: Timestamp, nonce: [UInt8]) -> Transaction {
    let (kind, payload): (TransactionKind, [UInt8]) =
      switch self {
      case .transportKey(let key): (.registerTransportKey, key.encoded)
      case .dealing(let statement): (.dealShares, statement.encoded)
      case .complaint(let complaint): (.complainOfDealing, complaint.encoded)
      case .confirmation(let confirmation): (.confirmShares, confirmation.encoded)
      }
    return Transaction(
      kind: kind.rawValue, hospital: hospital, validUntil: validUntil, nonce: nonce, payload: payload)
  }
}
