// Goal: the executions of LEDGER §11.1 to 11.3 and 11.14, by which one member of four stopped the ledger for ever.
// Method: the deterministic cluster, four production nodes, and for each execution an adversary with one member's keys.
import HealthRecords
import Lanes
import Ledger
import Messages
import NodeCore
import Ordering
import Primitives
import Rules
import Signing
import Simulator
import Testing
import Wire

/// Says to each member once what `lines` holds for it, when its lane has come so far; then nothing, or what it would.
private struct Scripted: Adversary {
  /// From which executed position of its own lane on.
  let from: UInt64
  let isSilentThen: Bool
  /// What is said to a member; asked once for each, with the last own block that passed.
  let lines: @Sendable (ReplicaIndex, Block, inout Scene) -> [PeerMessage]
  var last: Block?
  var told: Set<ReplicaIndex> = []

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    if case .block(let block) = message, scene.configuration.index(of: block.header.author) == scene.from {
      self.last = block
    }
    let head = scene.executed.heads[scene.from]
    guard let last, last.head == head, head.position.number >= self.from || !self.told.isEmpty else {
      return self.isSilentThen && self.told.count > 0 ? [] : [Utterance(message)]
    }
    guard self.told.insert(scene.to).inserted else { return self.isSilentThen ? [] : [Utterance(message)] }
    return self.lines(scene.to, last, &scene).map { Utterance($0) } + (self.isSilentThen ? [] : [Utterance(message)])
  }
}

@Suite("LEDGER §11")
struct LaneExecutionTests {
  /// Submits to each slot, and says whether each sees its own executed that soon.
  private func goesOn(_ cluster: Cluster, _ slots: [Int], from number: UInt64, within span: Span) -> Bool {
    var identifiers: [Int: Digest] = [:]
    for slot in slots {
      let transaction = cluster.digestTransaction(number + UInt64(slot), for: slot)
      identifiers[slot] = transaction.identifier(network: cluster.genesis.network)
      cluster.submit([transaction], to: slot)
    }
    return cluster.run(within: span) {
      identifiers.allSatisfy { cluster.receipt($0.value, at: $0.key) != nil }
    }
  }

  @Test("⚑ C1: one block whose position leaves a thousand out, then silence: the ledger goes on, and holds the proof")
  func misplaced() {
    let cluster = Cluster(count: 4, seed: 21)
    cluster.corrupt(
      3,
      with: Scripted(from: 1, isSilentThen: true) { _, last, scene in
        [scene.block(at: last.header.position.number + 1000, after: last.digest, like: last)].compactMap {
          $0.map { .block($0) }
        }
      })
    cluster.run(for: .milliseconds(50))
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 0, within: .milliseconds(5000)))
    cluster.run(for: .milliseconds(2000))
    for round in 1..<6 {
      #expect(goesOn(cluster, [0, 1, 2], from: UInt64(round * 10), within: .milliseconds(20_000)))
    }
    let isKnown = cluster.run(within: .milliseconds(10_000)) {
      (0..<3).allSatisfy { cluster.state($0).value(StateKey.fork(MemberID(4))) != nil }
    }
    #expect(isKnown)
    for slot in 0..<3 {
      cluster.crash(slot, losingWrite: false)
      cluster.restart(slot)
    }
    #expect(goesOn(cluster, [0, 1, 2], from: 100, within: .milliseconds(30_000)))
    #expect(cluster.checkAgreement() == nil && cluster.breach == nil && cluster.watch.breach == nil)
  }

  @Test("⚑ C2: 70 blocks of a megabyte that hang in the air, told to one member; then the real one to the others")
  func detached() {
    let cluster = Cluster(count: 4, seed: 22)
    cluster.corrupt(
      3,
      with: Scripted(from: 1, isSilentThen: false) { to, last, scene in
        guard to == 1 else { return [] }
        let count = (1 << 20) / last.body.count
        return (0..<70).compactMap { number in
          let parent = Hash.blake2b("air", [UInt8(number)])
          let isNear = number % 2 == 0
          let position = isNear ? last.header.position.number + 3 + 2 * UInt64(number) : 1_000_000 + 2 * UInt64(number)
          return scene.block(at: position, after: parent, like: last, count: count).map { .blocks([$0]) }
        }
      })
    cluster.run(for: .milliseconds(50))
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 0, within: .milliseconds(5000)))
    cluster.run(for: .milliseconds(2000))
    // Its next block, which member 1 hears of last; then silence.
    cluster.tamper = { from, to, message in
      if from == 3, to == 1, case .block = message { return nil }
      return message
    }
    #expect(goesOn(cluster, [3], from: 10, within: .milliseconds(5000)))
    cluster.corrupt(3, with: Misbehaviour.silent.make())
    #expect(goesOn(cluster, [0, 1, 2], from: 20, within: .milliseconds(20_000)))
    #expect(cluster.node(1)?.lanes.boundBreach == nil)
    cluster.crash(1, losingWrite: false)
    cluster.restart(1)
    #expect(goesOn(cluster, [0, 1, 2], from: 30, within: .milliseconds(20_000)))
    #expect(cluster.checkAgreement() == nil && cluster.breach == nil && cluster.watch.breach == nil)
  }

  @Test("⚑ C3: a proposal of what nobody has, then a fork told to each in another way", arguments: [1 << 40, 100])
  func poisoned(ahead: UInt64) {
    let cluster = Cluster(count: 4, seed: 23)
    cluster.corrupt(
      0,
      with: Scripted(from: 1, isSilentThen: true) { to, last, scene in
        var heads = scene.executed.heads
        heads[0] = LaneHead(
          position: LanePosition(heads[0].position.number + ahead), digest: Hash.blake2b("invented"))
        let proposal = PrePrepare(
          configuration: scene.configuration.number, view: View(0), sequence: SequenceNumber(2),
          cut: Cut(heads: heads, time: scene.executed.time.adding(milliseconds: 1)))
        let next = last.header.position.number + 1
        let rival = scene.block(at: next, after: last.digest, like: last, count: to == 1 ? 1 : 2)
        return [scene.signed(.prePrepare(proposal)), rival.map { .blocks([$0]) }].compactMap { $0 }
      })
    cluster.run(for: .milliseconds(50))
    cluster.submit([cluster.digestTransaction(1, for: 0)], to: 0)
    #expect(cluster.run(within: .milliseconds(5000)) { cluster.haveExecuted(1) })
    cluster.run(for: .milliseconds(1000))
    for round in 1..<4 {
      #expect(goesOn(cluster, [1, 2, 3], from: UInt64(round * 10), within: .milliseconds(40_000)))
    }
    let isKnown = cluster.run(within: .milliseconds(20_000)) {
      (1..<4).allSatisfy { cluster.state($0).value(StateKey.fork(MemberID(1))) != nil }
    }
    #expect(isKnown)
    #expect(cluster.checkAgreement() == nil && cluster.breach == nil && cluster.watch.breach == nil)
  }

  @Test("⚑ 14: a member's key on an empty store: it stops before it writes or votes, and nobody's lane is forked")
  func emptyStore() {
    let cluster = Cluster(count: 4, seed: 24)
    let empty = cluster.disk(3)
    cluster.run(for: .milliseconds(50))
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 0, within: .milliseconds(5000)))
    cluster.run(for: .milliseconds(1000))
    cluster.restore(3, from: empty)
    for number in 0..<5 {
      cluster.submit([cluster.digestTransaction(UInt64(100 + number), for: 3)], to: 3)
      cluster.run(for: .milliseconds(20))
    }
    cluster.run(for: .milliseconds(5000))
    #expect(cluster.reports.contains { if case .copied = $0.event { $0.slot == 3 } else { false } })
    #expect(cluster.node(3) == nil)
    #expect(!cluster.reports.contains { if case .laneForked = $0.event { true } else { false } })
    #expect(goesOn(cluster, [0, 1, 2], from: 50, within: .milliseconds(20_000)))
    #expect(cluster.checkAgreement() == nil && cluster.watch.breach == nil)
  }

  @Test("⚑ 14: so does one that joined later: it follows the ledger again to where it became a member, and stops there")
  func emptyJoiner() {
    let cluster = Cluster(count: 4, joiners: 1, seed: 26)
    let empty = cluster.disk(4)
    cluster.run(for: .milliseconds(100))
    cluster.change(.add(cluster.describe(slot: 4)), through: 1, nonce: 1)
    let isMember = cluster.run(within: .milliseconds(20_000), asking: 16) {
      (0..<5).allSatisfy { slot in cluster.node(slot)?.index == cluster.member(slot) }
    }
    #expect(isMember)
    #expect(goesOn(cluster, [0, 1, 2, 3, 4], from: 0, within: .milliseconds(5000)))
    cluster.run(for: .milliseconds(1000))
    cluster.restore(4, from: empty)
    for number in 0..<5 {
      cluster.submit([cluster.digestTransaction(UInt64(100 + number), for: 4)], to: 4)
      cluster.run(for: .milliseconds(20))
    }
    cluster.run(for: .milliseconds(20_000))
    #expect(cluster.reports.contains { if case .copied = $0.event { $0.slot == 4 } else { false } })
    #expect(cluster.node(4) == nil)
    #expect(!cluster.reports.contains { if case .laneForked = $0.event { true } else { false } })
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 50, within: .milliseconds(20_000)))
    #expect(cluster.checkAgreement() == nil && cluster.watch.breach == nil)
  }

  @Test("⚑ 14: stopped after any step while it catches up, it still writes and votes nothing: its store says so")
  func emptyStoreStopped() {
    let cluster = Cluster(count: 4, seed: 27)
    let empty = cluster.disk(0)
    cluster.run(for: .milliseconds(50))
    for round in 0..<3 {
      #expect(goesOn(cluster, [0, 1, 2, 3], from: UInt64(round * 10), within: .milliseconds(5000)))
    }
    cluster.run(for: .milliseconds(1000))
    // For a while nobody tells it of its own lane, so that it comes to hold the others' first.
    var signed = 0
    cluster.tamper = { from, to, message in
      switch message {
      case .announcements(let number, let heads) where to == 0:
        return .announcements(number, heads.filter { $0.lane != 0 })
      case .ordering(let content, _) where from == 0 && content.signer == 0:
        signed += 1
        return message
      case .block(let block) where from == 0 && block.header.author == MemberID(1):
        signed += 1
        return message
      default: return message
      }
    }
    cluster.restore(0, from: empty)
    cluster.run(for: .milliseconds(1500))
    for step in 1...40 {
      cluster.crash(0, afterEffects: step, losingWrite: step.isMultiple(of: 2))
      cluster.submit([cluster.digestTransaction(UInt64(100 + step), for: 1)], to: 1)
      _ = cluster.run(within: .milliseconds(100)) { cluster.node(0) == nil }
      cluster.crash(0, losingWrite: false)
      cluster.restart(0)
      #expect(cluster.node(0)?.isHeldBack == true)
    }
    cluster.run(for: .milliseconds(500))
    #expect(cluster.node(0)?.isHeldBack == true && signed == 0)
    #expect(!cluster.disk(0).blocks[1].isEmpty)
    cluster.tamper = nil
    cluster.run(for: .milliseconds(5000))
    #expect(cluster.reports.contains { if case .copied = $0.event { $0.slot == 0 } else { false } })
    #expect(cluster.node(0) == nil)
    #expect(goesOn(cluster, [1, 2, 3], from: 50, within: .milliseconds(30_000)))
    #expect(cluster.checkAgreement() == nil && cluster.watch.breach == nil)
  }

  @Test("⚑ 14: a new member that stops before a quorum was heard waits again, and once it was heard never again")
  func heardOnce() {
    let cluster = Cluster(count: 4, seed: 28)
    for peer in [1, 2] { cluster.cut(3, peer) }
    cluster.run(for: .milliseconds(50))
    #expect(goesOn(cluster, [0, 1, 2], from: 0, within: .milliseconds(5000)))
    cluster.run(for: .milliseconds(1000))
    #expect(!cluster.disk(3).blocks[0].isEmpty && cluster.node(3)?.isHeldBack == true)
    cluster.crash(3, losingWrite: false)
    cluster.restart(3)
    cluster.run(for: .milliseconds(1000))
    #expect(cluster.node(3)?.isHeldBack == true && cluster.disk(3).heard == nil)
    cluster.heal()
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 10, within: .milliseconds(20_000)))
    #expect(cluster.node(3)?.isHeldBack == false && cluster.disk(3).heard != nil)
    for peer in 0..<3 { cluster.cut(3, peer) }
    cluster.crash(3, losingWrite: false)
    cluster.restart(3)
    #expect(cluster.node(3)?.isHeldBack == false)
    cluster.heal()
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 20, within: .milliseconds(20_000)))
    #expect(cluster.checkAgreement() == nil && cluster.breach == nil && cluster.watch.breach == nil)
  }

  @Test("⚑ 14: two live nodes with one key: the lane is frozen, and its own node says so, also after a restart")
  func twoNodes() {
    let cluster = Cluster(count: 4, seed: 25)
    cluster.run(for: .milliseconds(50))
    #expect(goesOn(cluster, [0, 1, 2, 3], from: 0, within: .milliseconds(5000)))
    // What the other node with member 3's key wrote reaches member 1.
    cluster.tamper = { from, to, message in
      guard from == 3, to == 1, case .block(let block) = message, block.header.author == MemberID(4) else {
        return message
      }
      let other = cluster.digestTransaction(999, for: 3).encoded
      let header = BlockHeader(
        network: block.header.network, configuration: block.header.configuration, author: block.header.author,
        position: block.header.position, parent: block.header.parent, transactionCount: 1,
        transactionBytes: UInt32(other.count), body: BlockHeader.bodyDigest(other))
      return .block(Block(header: header, signature: Cluster.keys(3).member.sign(header.signedBytes), body: other))
    }
    cluster.submit([cluster.digestTransaction(20, for: 3)], to: 3)
    let isTold = cluster.run(within: .milliseconds(30_000)) {
      cluster.reports.contains { if case .ownLaneForked = $0.event { $0.slot == 3 } else { false } }
    }
    #expect(isTold)
    cluster.tamper = nil
    #expect(cluster.node(3)?.ownForkAt != nil && cluster.node(3)?.lanes.isFrozen == true)
    #expect(cluster.node(1)?.ownForkAt == nil && cluster.node(1)?.lanes.isFrozen == false)
    cluster.crash(3, losingWrite: false)
    cluster.restart(3)
    cluster.run(for: .milliseconds(2000))
    #expect(cluster.node(3)?.ownForkAt != nil && cluster.node(3)?.lanes.isFrozen == true)
    #expect(goesOn(cluster, [0, 1, 2], from: 50, within: .milliseconds(20_000)))
  }
}
