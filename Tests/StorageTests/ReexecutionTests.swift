// Goal: a node whose program executed the ledger by other rules than the members adopted comes back under its key: its
// ledger is executed again, and nothing else of its store changes. Method: the deterministic cluster with one such
// member; what its disk holds goes into a real store.
import Foundation
import HealthRecords
import Ledger
import Merkle
import Messages
import NodeCore
import Ordering
import Primitives
import Rules
import Signing
import Simulator
import Storage
import Testing
import Wire

/// A program from before rules had versions: it knows no transaction that adopts them.
private struct Unversioned: ExecutionRules {
  let rules = HealthRules()

  func execute(
    _ transaction: Transaction, identifier: Digest, in context: ExecutionContext, state: inout StateEditor
  ) -> OutcomeCode {
    guard !self.rules.changesRules(transaction.kind) else { return .unknownKind }
    return self.rules.execute(transaction, identifier: identifier, in: context, state: &state)
  }
  func isTimeless(_ kind: UInt16) -> Bool { self.rules.isTimeless(kind) }
  func changesRules(_ kind: UInt16) -> Bool { false }
  func unknownVersion(in state: StateEditor) -> UInt16? { nil }
  func expire(in context: ExecutionContext, state: inout StateEditor) { self.rules.expire(in: context, state: &state) }
  func deadline(in state: StateEditor) -> Timestamp { self.rules.deadline(in: state) }
}

@Suite("Execution again")
struct ReexecutionTests {
  /// Four members adopt rules that member 3 executes otherwise, and go on; it learns that its history is not theirs.
  private func parted() throws -> Cluster {
    let cluster = Cluster(count: 4, seed: 41)
    cluster.rulesBySlot[3] = Unversioned()
    cluster.crash(3, losingWrite: false)
    cluster.restart(3)
    let change = RulesChange(
      rules: try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0)), adoptions: 0, validUntil: .never)
    let signed = change.signedBytes(network: cluster.genesis.network)
    let approvals = (0..<3).map { VoteSignature(signer: $0, signature: Cluster.registrar($0).sign(signed)) }
    for number in 0..<4 as Range<UInt64> {
      cluster.submit([cluster.digestTransaction(number, for: Int(number))], to: Int(number))
    }
    #expect(cluster.run(within: .milliseconds(20_000)) { cluster.haveExecuted(4) })
    let model = cluster.digestTransaction(10, for: 0)
    let adopting = Transaction(
      kind: TransactionKind.adoptRules.rawValue, hospital: MemberID(1), validUntil: model.validUntil,
      nonce: model.nonce, payload: ApprovedRules(change, approvals: approvals).encoded)
    cluster.submit([model, adopting, cluster.digestTransaction(11, for: 0)], to: 0)
    let isOutvoted = cluster.run(within: .milliseconds(30_000)) {
      cluster.reports.contains { if case .outvoted = $0.event { $0.slot == 3 } else { false } }
    }
    #expect(isOutvoted)
    return cluster
  }

  private func fill(_ folder: Folder, from cluster: Cluster, slot: Int) throws -> Store {
    let store = try open(folder, cluster.genesis, member: UInt32(slot + 1))
    for write in writes(of: cluster, slot: slot) { try store.write([write]) }
    try store.write([.heard(cluster.genesis.members[slot].key)])
    return store
  }

  @Test("What a program executed by other rules is executed again: log, state and digests are the others'; votes stay")
  func comesBack() throws {
    let (folder, snapshots, cluster) = (Folder(), Folder(), try parted())
    let store = try self.fill(folder, from: cluster, slot: 3)
    let before = try StoreReader(store).restore(limits: cluster.genesis.limits)
    let others = try #require(
      cluster.disk(0).executions.first { $0.record.sequence == before.position.sequence }?.position)
    #expect(before.position != others && before.position.log.size == others.log.size)

    let made = try SnapshotFolder(path: snapshots.path)
    let done = try store.reexecute(by: HealthRules(), forgetting: made)
    #expect(done.position == others && done.from <= others.sequence)
    let reader = try StoreReader(store)
    let after = try reader.restore(limits: cluster.genesis.limits)
    #expect(after.position == others && after.cut == before.cut && after.heard == before.heard)
    #expect(after.ordering == before.ordering && after.blocks == before.blocks)
    #expect(try AgreedRules.decode(try #require(reader.value(StateKey.rules))).version == 2)
    let replay = try reader.replay(cluster.genesis, by: HealthRules())
    #expect(replay.position == others && reader.differences(from: replay.state, max: 1).isEmpty)
    _ = try reader.checkContent()
    #expect(try reader.checkHistory().rotten.isEmpty)
    // A second time there is nothing to do.
    #expect(throws: ReexecutionFault.same) { try store.reexecute(by: HealthRules(), forgetting: made) }
    #expect(try StoreReader(store).restore(limits: cluster.genesis.limits).position == others)
  }

  @Test("What a quorum signed is not put away: an older program executes nothing again, and the store is as it was")
  func signedStays() throws {
    let (folder, snapshots, cluster) = (Folder(), Folder(), try parted())
    #expect(cluster.run(within: .milliseconds(20_000)) { cluster.disk(0).stable?.body.size == 7 })
    let stable = try #require(cluster.disk(0).stable)
    let store = try self.fill(folder, from: cluster, slot: 0)
    try store.write([.stableCheckpoint(stable)])
    let before = try StoreReader(store).restore(limits: cluster.genesis.limits).position
    let made = try SnapshotFolder(path: snapshots.path)
    #expect(throws: ReexecutionFault.signed(stable.body.sequence)) {
      try store.reexecute(by: Unversioned(), forgetting: made)
    }
    // Nor by a program that does not know the rules and says so.
    #expect(throws: ReplayFault.self) { try store.reexecute(by: HealthRules(newest: 1), forgetting: made) }
    #expect(try StoreReader(store).restore(limits: cluster.genesis.limits).position == before)
  }
}
