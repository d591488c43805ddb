internal import Custody
internal import Ordering
internal import HealthRecords
internal import Ledger
public import Messages
internal import NodeCore
internal import Primitives
internal import Rules
internal import Signing
internal import Wire

/// Changes of members in a simulated consortium (LEDGER §8).
extension Cluster {
  /// The newest configuration that a slot's node went over to.
  public var newest: Configuration {
    self.configurations.values.max { $0.number < $1.number } ?? self.genesis.configuration
  }

  /// The slots of correct members that vote in the newest configuration.
  public var votingSlots: [Int] {
    let newest = self.newest
    return self.correctSlots.filter { newest.index(of: self.machines[$0].keys.publicKey) != nil }
  }

  /// Whether a change is on its way: approved, or opened and not begun, or begun and not everywhere.
  public var isChangingMembers: Bool {
    self.votingSlots.contains { slot in
      guard let node = self.machines[slot].node else { return true }
      return node.pendingChange != nil || node.next != nil || node.configuration.number != self.newest.number
    }
  }

  /// Whether a change of members is in force somewhere.
  public func isThrough(_ action: MembershipAction) -> Bool {
    let newest = self.newest
    return switch action {
    case .add(let member), .replace(let member): newest.index(of: member.key) != nil
    case .remove(let id): newest.index(of: id).map { !newest.isVoter($0) } ?? true
    }
  }

  /// The description of a slot's hospital under its current keys.
  public func describe(slot: Int) -> Member {
    Self.describe(self.machines[slot].member, renewal: self.machines[slot].renewals)
  }

  /// Submits a change with the approvals of a quorum's registrars, through a slot; with fewer where `short` says by how
  /// many, and with those that they gave for the configuration before where it `isStale`.
  public func change(
    _ action: MembershipAction, through slot: Int, nonce: UInt64, short: Int = 0, isStale: Bool = false
  ) {
    guard let configuration = self.machines[slot].node?.configuration else { return }
    let wall = self.moment(slot).wall
    let number = configuration.number.number
    let change = MembershipChange(
      configuration: ConfigurationNumber(isStale && number > 0 ? number - 1 : number), action: action,
      validUntil: wall.adding(milliseconds: 86_400_000))
    let bytes = change.signedBytes(network: self.genesis.network)
    let approvals = configuration.voters.prefix(max(0, configuration.quorum - short)).map {
      VoteSignature(signer: $0, signature: Self.registrar($0).sign(bytes))
    }
    var encoder = Encoder()
    encoder.u64(nonce)
    encoder.u32(0xc0f)
    let transaction = Transaction(
      kind: TransactionKind.changeMembers.rawValue, hospital: MemberID(UInt32(self.member(slot) + 1)),
      validUntil: wall.adding(milliseconds: 300_000), nonce: encoder.bytes,
      payload: ApprovedChange(change, approvals: approvals).encoded)
    self.submit([transaction], to: slot)
  }

  /// A slot's machine burns down: it starts anew with nothing but new keys, under which it may be readmitted.
  public func loseDisk(_ slot: Int) {
    self.crash(slot, losingWrite: true)
    let machine = self.machines[slot]
    machine.renewals += 1
    machine.keys = Self.keys(machine.member, renewal: machine.renewals)
    machine.custodySecrets = CustodianSecrets()
    machine.disk = self.emptyDisk()
  }

  /// Starts a slot on a copy of its whole machine from before, keys and seal included.
  public func restore(_ slot: Int, from copy: SimulatedDisk) {
    self.crash(slot, losingWrite: true)
    self.machines[slot].disk = copy
    self.machines[slot].isCopy = true
    self.restart(slot)
  }

  /// The log's entries as a slot executed them, in order, as bytes.
  public func logEntries(at slot: Int) -> [[UInt8]] {
    let disk = self.machines[slot].disk
    return disk.executions.flatMap { disk.entries(of: $0) }
  }

  /// The transactions of all blocks of a slot's own lane that are on its disk, in their order.
  public func ownTransactions(at slot: Int) -> [[UInt8]] {
    let held = self.machines[slot].disk.blocks[self.member(slot)]
    return held.keys.sorted().flatMap { held[$0] ?? [] }.flatMap(\.transactionBytes)
  }
}
