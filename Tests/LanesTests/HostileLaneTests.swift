// Goal: lanes whose authors lie with their own keys (LEDGER §11.1 to 11.3, 11.14).
// Method: one member's lanes, one step, effects compared; blocks that no honest member writes.
import Lanes
import Messages
import Ordering
import Primitives
import Signing
import Testing
import Wire

@Suite("Lanes of liars, LEDGER §11")
struct HostileLaneTests {
  // MARK: 1. A lane grows by one

  @Test(
    "⚑ 1: a block whose position is not its parent's plus one is not followed, and proves the lie",
    arguments: [1003, 3])
  func misplaced(position: UInt64) {
    var bench = Bench()
    let chain = bench.chain(1, 3)
    for block in chain { bench.take(block) }
    let liar = bench.block(1, after: chain[2].head, 7, at: position)
    #expect(bench.give(.block(Verified(checked: liar))) == .rejected(.misplaced))
    #expect(bench.written.isEmpty && bench.evidence.count == 1)
    #expect(bench.evidence.first?.isAuthentic(network: bench.network, in: bench.configuration) == true)
    #expect(bench.lanes.announcements[1].head == chain[2].head)
    // Everything that looks at the lane says the same: nothing leads there.
    let (grown, _, _) = bench.lanes.growth(
      lane: 1, from: .empty, within: LaneRoom(transactions: 9000, bytes: 1 << 20, blocks: .max))
    #expect(grown == .empty, "a lane of a liar is proposed no further")
    #expect(bench.lanes.extent(lane: 1, from: .empty, to: chain[2].head) == .extends(transactions: 3, bytes: 120))
    #expect(bench.lanes.extent(lane: 1, from: .empty, to: liar.head) == .missing)
    #expect(bench.lanes.blocks(lane: 1, above: .empty, through: liar.head) == nil)
  }

  @Test("⚑ 1: the parent may come later, or be executed already")
  func misplacedAround() {
    var bench = Bench()
    let chain = bench.chain(1, 2)
    let liar = bench.block(1, after: chain[1].head, 7, at: 9)
    bench.give(.block(Verified(checked: liar)))
    #expect(bench.evidence.isEmpty && bench.written.isEmpty)
    bench.take(chain[0])
    bench.give(.block(Verified(checked: chain[1])))
    #expect(bench.evidence.count == 1 && bench.written == [chain[1].digest])
    bench.give(.blockDurable(chain[1]))
    #expect(bench.lanes.announcements[1].head == chain[1].head)

    bench = Bench()
    for block in chain { bench.take(block) }
    bench.give(.executed(bench.cut([1: chain[1].head])))
    #expect(bench.give(.block(Verified(checked: liar))) == .rejected(.misplaced))
    #expect(bench.evidence.first?.isAuthentic(network: bench.network, in: bench.configuration) == true)
  }

  @Test("⚑ 1: evidence proves a lie only: neighbours, strangers and blocks of different positions alone prove nothing")
  func evidence() {
    let bench = Bench()
    let chain = bench.chain(1, 3)
    func proves(_ one: Block, _ other: Block) -> Bool {
      ForkEvidence(SignedHeader(one), SignedHeader(other))
        .isAuthentic(network: bench.network, in: bench.configuration)
    }
    #expect(!proves(chain[0], chain[1]) && !proves(chain[1], chain[0]) && !proves(chain[0], chain[2]))
    #expect(!proves(bench.chain(2, 1)[0], chain[0]))
    let liar = bench.block(1, after: chain[0].head, at: 5)
    #expect(proves(chain[0], liar) && !proves(liar, chain[0]))
    let other = bench.block(2, after: chain[0].head, at: 5)
    #expect(!proves(chain[0], other), "another author's block accuses nobody")
  }

  @Test("⚑ 1: a store that holds such a block from before goes on, and shows it to the others")
  func misplacedInStore() {
    var bench = Bench()
    let chain = bench.chain(1, 3)
    let liar = bench.block(1, after: chain[1].head, 7, at: 1003)
    bench = Bench(stored: chain[..<2] + [liar])
    #expect(bench.lanes.announcements[1].head == chain[1].head)
    bench.give(.timerFired)
    #expect(bench.evidence.count == 1)
    bench.give(.timerFired)
    #expect(bench.evidence.isEmpty)
    bench.take(chain[2])
    #expect(bench.lanes.announcements[1].head == chain[2].head)
    // Whose proof is on the ledger is not accused again at each start.
    bench = Bench(stored: chain[..<2] + [liar])
    bench.give(.frozen(lane: 1))
    bench.give(.timerFired)
    #expect(bench.evidence.isEmpty)
    #expect(bench.lanes.proposable(lane: 1) == .empty)
  }

  // MARK: 2. Out of order only what is wanted

  @Test("⚑ 2: blocks in the air are kept up to a bound, are not written, and take no room from those that are wanted")
  func detached() throws {
    var bench = Bench()
    var kept = 0
    for number in 0..<64 {
      let parent = LaneHead(
        position: LanePosition(UInt64(2 + 2 * number)), digest: Hash.blake2b("air", [UInt8(number)]))
      let block = bench.block(1, after: parent, bytes: 1 << 20)
      if bench.give(.block(Verified(checked: block))) == .accepted { kept += 1 }
      #expect(bench.written.isEmpty)
    }
    #expect(kept > 0 && kept <= 8)
    let far = bench.block(1, after: LaneHead(position: LanePosition(1_000_000), digest: Hash.blake2b("far")))
    #expect(bench.give(.block(Verified(checked: far))) == .ignored(.beyondWindow))
    // The real lane, in order.
    let chain = bench.chain(1, 4)
    for block in chain[..<3] { bench.take(block) }
    #expect(bench.lanes.announcements[1].head == chain[2].head)
    // And what a decided cut names, whatever it hangs on and however full it is.
    let branch = bench.block(1, after: chain[2].head, 9, bytes: 1 << 20)
    let end = bench.block(1, after: branch.head, 9, bytes: 1 << 20)
    bench.give(.decided(bench.cut([1: end.head])))
    bench.give(.wanted(lane: 1, end.head, for: .decision))
    #expect(bench.give(.block(Verified(checked: end))) == .accepted)
    #expect(bench.give(.block(Verified(checked: branch))) == .accepted)
    #expect(bench.written == [branch.digest, end.digest], "parents first")
    for block in [branch, end] { bench.give(.blockDurable(block)) }
    let path = try #require(bench.lanes.blocks(lane: 1, above: chain[2].head, through: end.head))
    #expect(path.map(\.digest) == [branch.digest, end.digest])
  }

  @Test("⚑ 2: what counts is the memory that a block takes, not its body; and how many there are")
  func tiny() {
    var parameters = Lanes.Parameters()
    (parameters.laneBytesMax, parameters.asideBlocksMax) = (100_000, 0)
    var bench = Bench(parameters: parameters)
    var taken = 0
    for block in bench.chain(1, 400) where bench.give(.block(Verified(checked: block))) == .accepted { taken += 1 }
    #expect(taken < 100_000 / 400)
    parameters.laneBytesMax = 64 << 20
    parameters.laneBlocksMax = 50
    bench = Bench(parameters: parameters)
    taken = 0
    for block in bench.chain(1, 100) where bench.give(.block(Verified(checked: block))) == .accepted { taken += 1 }
    #expect(taken == 50)
  }

  @Test("⚑ 2: the same bound holds for what is read back from a store")
  func restoreBound() throws {
    var parameters = Lanes.Parameters()
    (parameters.asideBytesMax, parameters.asideBlocksMax) = (10_000, 5)
    var bench = Bench(parameters: parameters)
    let chain = bench.chain(1, 3)
    let air = (0..<100).map { number in
      bench.block(
        1, after: LaneHead(position: LanePosition(UInt64(10 + number)), digest: Hash.blake2b("a", [UInt8(number)])))
    }
    bench = Bench(stored: chain[..<2] + air, parameters: parameters)
    #expect(bench.lanes.held(lane: 1).count <= 2 + 5)
    bench.give(.wanted(lane: 1, chain[2].head, for: .decision))
    bench.take(chain[2])
    #expect(bench.lanes.announcements[1].head == chain[2].head)
  }

  @Test("⚑ 2: of a liar's many blocks at one position two are kept, which prove it; a third where a cut names it")
  func manyRivals() {
    var bench = Bench()
    let rivals = (0..<20).map { bench.block(1, after: .empty, $0) }
    for block in rivals { bench.take(block) }
    #expect(bench.lanes.held(lane: 1).count == 2)
    bench.give(.wanted(lane: 1, rivals[17].head, for: .proposal))
    bench.take(rivals[17])
    #expect(bench.lanes.extent(lane: 1, from: .empty, to: rivals[17].head) == .extends(transactions: 1, bytes: 40))
  }

  // MARK: 3. A wish is for a digest

  @Test("⚑ 3: what nobody has does not keep anything else from being pulled, and is forgotten with its proposal")
  func wishes() {
    var bench = Bench()
    let invented = LaneHead(position: LanePosition(100), digest: Hash.blake2b("invented"))
    bench.give(.wanted(lane: 1, invented, for: .proposal))
    let head = bench.chain(1, 1)[0].head
    #expect(bench.give(.wanted(lane: 1, head, for: .proposal)) == .accepted)
    bench.wait(25)
    #expect(Set(bench.requests.map(\.request.head)) == [invented, head])
    #expect(bench.requests.allSatisfy { $0.request.order == .downwards })
    bench.give(.wanted(lane: 1, head, for: .decision))
    for _ in 0..<10 { bench.wait(500) }
    #expect(bench.requests.map(\.request.head) == [head], "a proposal's wish ends with it, a decision's does not")
    #expect(
      bench.give(.wanted(lane: 1, LaneHead(position: LanePosition(1 << 40), digest: head.digest), for: .proposal))
        == .ignored(.beyondWindow))
  }

  @Test("⚑ 3: a proposal whose head lies further than a quorum announced is not pulled; when it announced it, it is")
  func horizon() {
    var bench = Bench()
    let far = LaneHead(position: LanePosition(5000), digest: Hash.blake2b("far"))
    bench.give(.announced([LaneAnnouncement(lane: 1, head: far)], from: 1))
    #expect(bench.give(.wanted(lane: 1, far, for: .proposal)) == .ignored(.beyondWindow))
    bench.give(.announced([LaneAnnouncement(lane: 1, head: far)], from: 2))
    #expect(bench.give(.wanted(lane: 1, far, for: .proposal)) == .accepted)
  }

  @Test("⚑ 3: wishes are bounded; decisions' stay")
  func wishesBounded() {
    var bench = Bench()
    let decided = LaneHead(position: LanePosition(3), digest: Hash.blake2b("decided"))
    bench.give(.wanted(lane: 1, decided, for: .decision))
    for number in 0..<UInt8(200) {
      let head = LaneHead(position: LanePosition(50), digest: Hash.blake2b("invented", [number]))
      bench.give(.wanted(lane: 1, head, for: .proposal))
    }
    bench.wait(25)
    #expect(bench.requests.count <= 64 && bench.requests.contains { $0.request.head == decided })
  }

  @Test("⚑ 3: a rival that somebody announces is asked for by its digest, and proves the fork")
  func rivalPulled() {
    var bench = Bench()
    let (one, other) = (bench.block(1, after: .empty, 1), bench.block(1, after: .empty, 2))
    bench.take(one)
    bench.give(.announced([LaneAnnouncement(lane: 1, head: other.head)], from: 2))
    bench.wait(25)
    #expect(bench.requests.map(\.request.head) == [other.head])
    bench.give(.block(Verified(checked: other)))
    #expect(bench.evidence == [ForkEvidence(SignedHeader(one), SignedHeader(other))])
  }

  @Test("⚑ 3: an announcement counts towards what is orderable with its digest only, however it comes")
  func orderable() {
    var bench = Bench()
    let (one, other) = (bench.block(1, after: .empty, 1), bench.block(1, after: .empty, 2))
    for peer in [2, 3] { bench.give(.announced([LaneAnnouncement(lane: 1, head: other.head)], from: peer)) }
    bench.take(one)
    #expect(bench.lanes.orderable(lane: 1) == .zero)
    // Whoever is always a little ahead counts with what it announced before.
    bench = Bench()
    let chain = bench.chain(1, 6)
    for (index, block) in chain.enumerated() {
      for peer in [1, 2] { bench.give(.announced([LaneAnnouncement(lane: 1, head: block.head)], from: peer)) }
      if index > 1 { bench.take(chain[index - 2]) }
    }
    #expect(bench.lanes.announcements[1].head == chain[3].head)
    #expect(bench.lanes.orderable(lane: 1) >= LanePosition(3))
  }

  // MARK: 14. A key without its past

  @Test("⚑ 14: an empty store seals nothing until a quorum says that it holds nothing of this lane")
  func emptyStore() {
    var bench = Bench(isStart: true)
    #expect(bench.lanes.isUnheard)
    bench.give(.submitted([[9]]))
    #expect(bench.sealed == nil)
    bench.give(.announced([LaneAnnouncement(lane: 0, head: .empty)], from: 1))
    #expect(bench.sealed == nil && bench.lanes.isUnheard)
    bench.give(.announced([LaneAnnouncement(lane: 0, head: .empty)], from: 2))
    #expect(bench.sealed?.position == LanePosition(1) && !bench.lanes.isUnheard)
  }

  @Test("⚑ 14: members of a later configuration are heard too, and answer whoever has nothing")
  func laterConfiguration() {
    var bench = Bench(isStart: true)
    for peer in [1, 2] { bench.give(.announcedLater([LaneAnnouncement(lane: 0, head: .empty)], from: peer)) }
    #expect(!bench.lanes.isUnheard)
    bench = Bench()
    let head = LaneAnnouncement(lane: 2, head: .empty)
    bench.give(.announcedEarlier([head], from: 2))
    #expect(bench.effects == [.announce(to: 2, [head])])
    let more = LaneAnnouncement(lane: 2, head: bench.chain(2, 1)[0].head)
    #expect(bench.give(.announcedEarlier([more], from: 2)) == .ignored(.otherConfiguration))
  }

  @Test("⚑ 14: where another member shows a block of this lane, an empty store is one whose key was used before")
  func usedKey() {
    var bench = Bench(isStart: true)
    let chain = bench.chain(0, 2)
    bench.give(.submitted([[9]]))
    bench.give(.announced([LaneAnnouncement(lane: 0, head: chain[1].head)], from: 2))
    #expect(bench.requests.map(\.peer) == [2])
    bench.give(.block(Verified(checked: chain[0])))
    #expect(bench.effects == [.copied(LanePosition(1))] && bench.sealed == nil)
    // The word of f + 1 is enough, shown or not.
    bench = Bench(isStart: true)
    bench.give(.announced([LaneAnnouncement(lane: 0, head: chain[1].head)], from: 2))
    bench.give(.announcedLater([LaneAnnouncement(lane: 0, head: chain[0].head)], from: 3))
    #expect(bench.effects.contains(.copied(LanePosition(1))))
  }

  @Test("⚑ 14: whose own lane was forked takes no more transactions")
  func frozen() {
    var bench = Bench()
    bench.give(.frozen(lane: 0))
    #expect(bench.give(.submitted([[1]])) == .ignored(.frozen))
    #expect(bench.sealed == nil && bench.lanes.isFrozen)
  }
}
