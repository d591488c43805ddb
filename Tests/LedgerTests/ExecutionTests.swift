// Goal: the executions of LEDGER §10 that need several members, by name. Method: the deterministic cluster, with what
// the network or a liar does stated in each test.
internal import Merkle
import HealthRecords
import Ledger
import Messages
import NodeCore
import Ordering
import PBFT
import Primitives
import Rules
import Signing
import Simulator
import Testing
import Wire

@Suite("LEDGER §10")
struct ExecutionTests {
  @Test("5, sent before durable: what is emitted after a write waits for it, in whichever turn it was emitted")
  func sentBeforeDurable() {
    var gate = DurabilityGate<Int>()
    #expect(gate.pass(1) == 1)
    gate.persist(.ordering(.view(ConfigurationNumber(0), View(1), isChanging: true)))
    #expect(gate.pass(2) == nil)
    guard let first = gate.takeBatch() else { Issue.record("no batch"); return }
    // The next turn emits a send and no write while the sync runs.
    #expect(gate.pass(3) == nil)
    gate.persist(.ordering(.view(ConfigurationNumber(0), View(2), isChanging: true)))
    #expect(gate.pass(4) == nil)
    #expect(gate.takeBatch() == nil, "one batch at a time")
    #expect(gate.settle(first.number) == [2, 3])
    guard let second = gate.takeBatch() else { Issue.record("no batch"); return }
    #expect(gate.settle(second.number) == [4])
    #expect(gate.pass(5) == 5)
  }

  @Test("6, lost commit: commits die once with their connection; status brings them, though gossip refuses repeats")
  func lostCommit() {
    let cluster = Cluster(count: 4, seed: 3)
    cluster.run(for: .milliseconds(50))
    var dropped = 0
    cluster.tamper = { _, to, message in
      if to == 2, case .ordering(.commit, isGossip: true) = message {
        dropped += 1
        return nil
      }
      return message
    }
    cluster.submit([cluster.digestTransaction(1, for: 1)], to: 1)
    #expect(cluster.run(within: .milliseconds(1800)) { cluster.haveExecuted(1) })
    #expect(dropped > 0)
    #expect(cluster.node(2)?.replica.view == View(0))
  }

  @Test("9, deadlines on an idle network: a review that falls due is marked though nobody submits anything")
  func idleDeadline() throws {
    var limits = HealthRules.Limits()
    limits.reviewWindowMilliseconds = 5000
    let cluster = Cluster(count: 4, seed: 4, rules: HealthRules(limits: limits))
    let people = People(cluster)
    let record = try people.anchorRecord()
    let request = people.request([record], emergency: true)
    #expect(people.submit(request, at: 0) == .applied)
    let identifier = request.identifier(network: cluster.genesis.network)
    func emergency() -> AccessEntry.Emergency? {
      AccessEntry.find(request: identifier, in: cluster.state(2))?.entry.emergency
    }
    #expect(emergency() == .reviewDue)
    let height = cluster.node(0)?.execution.position.sequence ?? .zero
    #expect(cluster.run(within: .milliseconds(30_000)) { emergency() == .overdue })
    cluster.run(for: .milliseconds(50))  // The others are a moment behind.
    #expect((cluster.node(0)?.execution.position.sequence ?? .zero) > height)
  }

  @Test("14, fork seen by few: the evidence spreads, stands on the ledger, and the lane is frozen everywhere")
  func fork() throws {
    let cluster = Cluster(count: 4, seed: 5)
    cluster.run(for: .milliseconds(50))
    let keys = Cluster.keys(3)
    cluster.tamper = { from, to, message in
      // Member 3 shows member 1 another block at each position.
      guard from == 3, to == 1, case .block(let block) = message, block.header.author == MemberID(4) else {
        return message
      }
      let other = cluster.digestTransaction(999, for: 3).encoded
      let header = BlockHeader(
        network: block.header.network, configuration: block.header.configuration, author: block.header.author,
        position: block.header.position, parent: block.header.parent, transactionCount: 1,
        transactionBytes: UInt32(other.count), body: BlockHeader.bodyDigest(other))
      return .block(Block(header: header, signature: keys.member.sign(header.signedBytes), body: other))
    }
    cluster.submit([cluster.digestTransaction(1, for: 3)], to: 3)
    let isKnown = cluster.run(within: .milliseconds(30_000)) {
      (0..<3).allSatisfy { cluster.state($0).value(StateKey.fork(MemberID(4))) != nil }
    }
    #expect(isKnown)
    #expect(cluster.reports.contains { $0.event == .laneForked(MemberID(4), LanePosition(1)) })
    // The others go on; the forked lane does not.
    cluster.tamper = nil
    let size = cluster.node(0)?.execution.position.log.size ?? 0
    let lane = cluster.node(0)?.execution.cut.heads[3]
    for index in 0..<3 { cluster.submit([cluster.digestTransaction(50, for: index)], to: index) }
    cluster.submit([cluster.digestTransaction(51, for: 3)], to: 3)
    #expect(cluster.run(within: .milliseconds(10_000)) { cluster.haveExecuted(size + 3, except: [3]) })
    cluster.run(for: .milliseconds(3000))
    #expect(cluster.node(0)?.execution.cut.heads[3] == lane)
    #expect(cluster.checkAgreement() == nil)
  }

  @Test("15, avalanche: what piled up is ordered in cuts of bounded growth, and a small lane is not left behind")
  func avalanche() {
    var limits = LedgerLimits()
    (limits.blockBytesMax, limits.cutTransactionsMax, limits.transactionBytesMax) = (4096, 128, 4096)
    let cluster = Cluster(count: 4, seed: 6, limits: limits)
    cluster.run(for: .milliseconds(50))
    cluster.submit((0..<3000).map { cluster.digestTransaction($0, for: 0) }, to: 0)
    cluster.run(for: .milliseconds(20))
    let small = cluster.digestTransaction(1, for: 2)
    cluster.submit([small], to: 2)
    let identifier = small.identifier(network: cluster.genesis.network)
    #expect(cluster.run(within: .milliseconds(30_000)) { cluster.receipt(identifier, at: 0) != nil })
    #expect((cluster.node(0)?.execution.position.log.size ?? 0) < 3000, "the small lane had to wait for the large one")
    #expect(cluster.run(within: .milliseconds(120_000)) { cluster.haveExecuted(3001) })
    #expect(cluster.disk(1).executions.allSatisfy { $0.record.outcomes.count <= 128 })
  }

  @Test("Exactly once: the same transaction through two submissions is applied once and told its first place")
  func exactlyOnce() throws {
    let cluster = Cluster(count: 4, seed: 7)
    let transaction = cluster.digestTransaction(1, for: 0)
    cluster.submit([transaction], to: 0)
    #expect(cluster.run(within: .milliseconds(2000)) { cluster.haveExecuted(1) })
    cluster.submit([transaction], to: 0)
    #expect(cluster.run(within: .milliseconds(2000)) { cluster.haveExecuted(2) })
    cluster.run(for: .milliseconds(50))  // So that it is durable too.
    let outcomes = cluster.disk(3).executions.flatMap(\.record.outcomes)
    #expect(outcomes == [OutcomeCode.applied.number, OutcomeCode.duplicate.number])
  }

  @Test("Exactly once survives a restart: the window of executed identifiers is rebuilt")
  func exactlyOnceAfterRestart() {
    let cluster = Cluster(count: 4, seed: 8)
    let transaction = cluster.digestTransaction(1, for: 0)
    cluster.submit([transaction], to: 0)
    #expect(cluster.run(within: .milliseconds(2000)) { cluster.haveExecuted(1) })
    for index in 0..<4 { cluster.crash(index, losingWrite: false) }
    for index in 0..<4 { cluster.restart(index) }
    cluster.submit([transaction], to: 0)
    #expect(cluster.run(within: .milliseconds(20_000)) { cluster.haveExecuted(2) })
    cluster.run(for: .milliseconds(50))  // So that it is durable too.
    #expect(cluster.disk(2).executions.flatMap(\.record.outcomes).last == OutcomeCode.duplicate.number)
  }

  @Test("A transaction past its life, or too far ahead, changes nothing and says why")
  func life() {
    let cluster = Cluster(count: 4, seed: 9)
    cluster.run(for: .milliseconds(100))
    func late(_ offset: Int64) -> Transaction {
      let wall = Int64(cluster.world.wallStart.milliseconds) + offset
      return Transaction(
        kind: TransactionKind.commitDigests.rawValue, hospital: MemberID(1),
        validUntil: Timestamp(milliseconds: UInt64(wall)), nonce: [UInt8](repeating: UInt8(offset & 127), count: 12),
        payload: Hash.sha256([1]).bytes)
    }
    cluster.submit([late(-1000), late(3_600_000)], to: 0)
    #expect(cluster.run(within: .milliseconds(2000)) { cluster.haveExecuted(2) })
    cluster.run(for: .milliseconds(50))  // So that it is durable too.
    let outcomes = cluster.disk(1).executions.flatMap(\.record.outcomes)
    #expect(outcomes == [OutcomeCode.expired.number, OutcomeCode.tooFar.number])
  }

  @Test("⚑ Opened in a partition: durable in the own lane while nothing is ordered, in the history however late")
  func openedInPartition() throws {
    var limits = LedgerLimits()
    limits.transactionLifeMilliseconds = 20_000
    let cluster = Cluster(count: 4, seed: 11, limits: limits)
    let people = People(cluster, lifeMilliseconds: 10_000)
    let record = try people.anchorRecord()
    cluster.partition([0], from: [1, 2, 3])
    cluster.run(for: .milliseconds(1000))
    let request = people.request([record], emergency: true)
    // Much waits already, and more than may be open.
    for number in 0..<40 {
      cluster.submit([cluster.digestTransaction(UInt64(number), for: 0, lifeMilliseconds: 15_000)], to: 0)
      cluster.run(for: .milliseconds(20))
    }
    let statement = cluster.opening(of: request.encoded, by: 0)
    cluster.submitUrgent([statement], to: 0)
    cluster.run(for: .milliseconds(200))
    #expect(cluster.ownTransactions(at: 0).contains(statement.encoded))
    cluster.crash(0, losingWrite: true)
    cluster.restart(0)
    // Everything else is over by the time that the partition heals.
    cluster.run(for: .milliseconds(120_000))
    cluster.heal()
    let identifier = request.identifier(network: cluster.genesis.network)
    func entry(_ slot: Int) -> AccessEntry? {
      AccessEntry.find(request: identifier, in: cluster.state(slot))?.entry
    }
    #expect(cluster.run(within: .milliseconds(60_000)) { (0..<4).allSatisfy { entry($0) != nil } })
    #expect(entry(2)?.openedInPartition != nil && entry(2)?.emergency == .reviewDue && entry(2)?.outcome == .applied)
    cluster.submitUrgent([statement], to: 0)
    let size = cluster.node(0)?.execution.position.log.size ?? 0
    #expect(cluster.run(within: .milliseconds(5000)) { cluster.haveExecuted(size + 1) })
    cluster.run(for: .milliseconds(50))
    let outcome = cluster.disk(1).executions.last?.record.outcomes.last
    #expect(outcome == Refusal.alreadyOpened.rawValue)
    #expect(cluster.checkAgreement() == nil && cluster.watch.breach == nil)
  }

  @Test("What is over is over everywhere: a restarted member judges an executed, expired transaction as the others do")
  func expiredAfterRestart() {
    var limits = LedgerLimits()
    limits.transactionLifeMilliseconds = 100
    let cluster = Cluster(count: 4, seed: 14, limits: limits)
    cluster.run(for: .milliseconds(50))
    let transaction = cluster.digestTransaction(1, for: 0, lifeMilliseconds: 90)
    cluster.submit([transaction], to: 0)
    #expect(cluster.run(within: .milliseconds(80)) { cluster.haveExecuted(1) })
    cluster.run(until: cluster.now + .milliseconds(130))
    // A cut whose time lies past the life of everything before it: only then does the store not read it again.
    cluster.submit([cluster.digestTransaction(2, for: 1, lifeMilliseconds: 90)], to: 1)
    #expect(cluster.run(within: .milliseconds(80)) { cluster.haveExecuted(2) })
    cluster.run(for: .milliseconds(10))
    cluster.crash(3, losingWrite: false)
    cluster.restart(3)
    cluster.submit([transaction], to: 0)
    #expect(cluster.run(within: .milliseconds(1000)) { cluster.haveExecuted(3) })
    cluster.run(for: .milliseconds(50))
    #expect(cluster.checkAgreement() == nil)
  }

  @Test("A liar among four: votes and blocks with broken signatures change nothing and are refused")
  func brokenSignatures() {
    let cluster = Cluster(count: 4, seed: 10)
    cluster.run(for: .milliseconds(50))
    cluster.tamper = { from, _, message in
      guard from == 3, case .block(let block) = message else { return message }
      return .block(Block(header: block.header, signature: Cluster.keys(3).member.sign([0]), body: block.body))
    }
    for index in 0..<4 { cluster.submit([cluster.digestTransaction(UInt64(index), for: index)], to: index) }
    #expect(cluster.run(within: .milliseconds(5000)) { cluster.haveExecuted(3) })
    #expect(cluster.checkAgreement() == nil)
  }

  @Test("A paused member catches up when it goes on")
  func pause() {
    let cluster = Cluster(count: 4, seed: 11)
    cluster.run(for: .milliseconds(50))
    cluster.pause(2)
    var number: UInt64 = 0
    for _ in 0..<100 {
      cluster.submit((0..<10).map { cluster.digestTransaction(number + $0, for: 1) }, to: 1)
      number += 10
      cluster.run(for: .milliseconds(10))
    }
    #expect(cluster.run(within: .milliseconds(5000)) { cluster.haveExecuted(number, except: [2]) })
    cluster.resume(2)
    #expect(cluster.run(within: .milliseconds(10_000)) { cluster.haveExecuted(number) })
  }
}

/// A registered practitioner and patient at hospital 1 of a cluster, and what they do.
struct People {
  let cluster: Cluster
  let lifeMilliseconds: UInt64
  let doctor = PersonKeys(signingSeed: Hash.sha256([1]).bytes, sealingSecret: Hash.sha256([2]).bytes)
  let patient = PersonKeys(signingSeed: Hash.sha256([3]).bytes, sealingSecret: Hash.sha256([4]).bytes)

  init(_ cluster: Cluster, lifeMilliseconds: UInt64 = 300_000) {
    (self.cluster, self.lifeMilliseconds) = (cluster, lifeMilliseconds)
    for (keys, kind) in [(self.doctor, AccountKind.practitioner), (self.patient, .patient)] {
      let registration = AccountRegistration(
        kind: kind, key: keys.publicKey, sealingKey: keys.sealingKey, role: 1, validFrom: .zero, validUntil: .never)
      _ = self.submit(
        self.transaction(.registerAccount, registration.encoded, signedBy: Cluster.registrar(0)), at: 0)
    }
  }

  func account(_ keys: PersonKeys) -> Digest {
    Account.identifier(network: self.cluster.genesis.network, hospital: MemberID(1), key: keys.publicKey)
  }

  func transaction(_ kind: TransactionKind, _ payload: [UInt8], signedBy key: borrowing SigningKey) -> Transaction {
    let wall = self.cluster.world.wallStart.milliseconds + self.cluster.now.nanoseconds / 1_000_000
    return Transaction(
      kind: kind.rawValue, hospital: MemberID(1), validUntil: Timestamp(milliseconds: wall + self.lifeMilliseconds),
      nonce: Array(Hash.sha256(payload).bytes.prefix(12)), payload: payload, network: self.cluster.genesis.network,
      signedBy: key)
  }

  /// Submits and waits for the outcome.
  func submit(_ transaction: Transaction, at index: Int) -> OutcomeCode? {
    let identifier = transaction.identifier(network: self.cluster.genesis.network)
    self.cluster.submit([transaction], to: index)
    _ = self.cluster.run(within: .milliseconds(5000)) {
      (0..<4).allSatisfy { self.cluster.receipt(identifier, at: $0) != nil }
    }
    return self.cluster.receipt(identifier, at: index)?.outcome
  }

  func anchorRecord() throws -> Digest {
    let hashLock = Hash.sha256([9])
    let patient = self.account(self.patient)
    let record = RecordAnchor.identifier(
      network: self.cluster.genesis.network, hospital: MemberID(1), patient: patient, hashLock: hashLock)
    let anchor = RecordAnchor(
      record: record, patient: patient, author: nil, category: .observation, hashLock: hashLock, address: .zero,
      sizeBytes: 1, capsule: .zero, patientCopy: .zero, supersedes: nil, authorSignature: nil)
    let wall = self.cluster.world.wallStart.milliseconds + self.cluster.now.nanoseconds / 1_000_000
    let transaction = Transaction(
      kind: TransactionKind.anchorRecord.rawValue, hospital: MemberID(1),
      validUntil: Timestamp(milliseconds: wall + self.lifeMilliseconds), nonce: [UInt8](repeating: 9, count: 12),
      payload: anchor.encoded)
    #expect(self.submit(transaction, at: 0) == .applied)
    return record
  }

  func request(_ records: [Digest], emergency: Bool) -> Transaction {
    let request = AccessRequest(
      patient: self.account(self.patient), records: records, purpose: emergency ? .emergency : .treatment,
      reason: emergency ? 1 : 0, ephemeralKey: Hash.sha256([5]))
    return self.transaction(
      emergency ? .breakGlass : .requestAccess, request.encoded, signedBy: self.doctor.signingKey)
  }
}
