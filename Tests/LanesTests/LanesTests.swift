// Goal: lanes as LEDGER §2 says: sealed in order, announced when durable, pulled when missing, frozen when forked.
// Method: one member's lanes, one step, effects compared.
import Lanes
import Messages
import Ordering
import Primitives
import Signing
import Testing
import Wire

@Suite("Lanes")
struct LanesTests {
  @Test("A member seals the next block only when the last one is durable; blocks then grow by themselves")
  func sealing() throws {
    var bench = Bench()
    bench.give(.submitted([[1]]))
    guard case .seal(let header, let body)? = bench.effects.first else {
      Issue.record("no block was sealed")
      return
    }
    #expect(header.position == LanePosition(1) && body == [1])
    bench.give(.submitted([[2], [3]]))
    bench.give(.submitted([[4]]))
    #expect(bench.effects.isEmpty)
    let block = Block(header: header, signature: Bench.key(0).sign(header.signedBytes), body: body)
    bench.give(.blockDurable(block))
    #expect(bench.effects.contains(.publish(block)))
    guard case .seal(let next, let content)? = bench.effects.last else {
      Issue.record("the next block was not sealed")
      return
    }
    #expect(next.position == LanePosition(2) && next.parent == block.digest && content == [2, 3, 4])
  }

  @Test("What is urgent is sealed though nothing is ordered, before what waits, and waits for the last block only")
  func urgent() throws {
    var bench = Bench()
    func seal() -> (header: BlockHeader, body: [UInt8])? {
      guard case .seal(let header, let body)? = bench.effects.last else { return nil }
      return (header, body)
    }
    func settle(_ sealed: (header: BlockHeader, body: [UInt8])) {
      let signature = Bench.key(0).sign(sealed.header.signedBytes)
      bench.give(.blockDurable(Block(header: sealed.header, signature: signature, body: sealed.body)))
    }
    // Nothing is decided: own blocks pile up until no more are sealed.
    var number: UInt8 = 0
    bench.give(.submitted([[number]]))
    while let sealed = seal() {
      number += 1
      bench.give(.submitted([[number]]))
      settle(sealed)
    }
    #expect(number > 0)
    bench.give(.submitted([[200], [201]]))
    #expect(seal() == nil)
    bench.give(.urgent([[100]]))
    let first = try #require(seal())
    #expect(first.body == [100])
    bench.give(.urgent([[101]]))
    bench.give(.urgent([[102]]))
    #expect(seal() == nil)
    settle(first)
    let second = try #require(seal())
    #expect(second.body == [101, 102] && second.header.parent == first.header.digest)
    settle(second)
    #expect(seal() == nil)
  }

  @Test("More transactions than may wait are refused, and nothing is lost of what waits")
  func full() {
    var bench = Bench()
    let large = [UInt8](repeating: 0, count: 1 << 20)
    var taken = 0
    while bench.give(.submitted([large])) == .accepted { taken += 1 }
    #expect(taken <= (16 << 20) / (1 << 20) + 1)
    #expect(bench.lanes.pendingBytes <= 16 << 20)
  }

  @Test("A block is announced and may be proposed only when it is durable, and without a gap before it")
  func durableOnly() {
    var bench = Bench()
    let chain = bench.chain(1, 2)
    bench.give(.block(Verified(checked: chain[1])))
    bench.give(.blockDurable(chain[1]))
    #expect(bench.lanes.proposable(lane: 1) == .empty)
    bench.give(.block(Verified(checked: chain[0])))
    #expect(bench.lanes.proposable(lane: 1) == .empty)
    bench.give(.blockDurable(chain[0]))
    #expect(bench.lanes.proposable(lane: 1) == chain[1].head)
  }

  @Test("Orderable is what Q members announced, this one included")
  func orderable() {
    var bench = Bench()
    let block = bench.chain(1, 1)[0]
    for peer in [1, 2] { bench.give(.announced([LaneAnnouncement(lane: 1, head: block.head)], from: peer)) }
    #expect(bench.lanes.orderable(lane: 1) == .zero)
    bench.take(block)
    #expect(bench.lanes.orderable(lane: 1) == LanePosition(1))
  }

  @Test("What the engine waits for is asked of those that announced it, in turn, until it is here")
  func pull() {
    var bench = Bench()
    let chain = bench.chain(1, 3)
    for peer in [2, 3] { bench.give(.announced([LaneAnnouncement(lane: 1, head: chain[2].head)], from: peer)) }
    bench.give(.wanted(lane: 1, chain[2].head, for: .proposal))
    bench.wait(25)
    #expect(bench.requests.count == 1)
    let first = bench.requests.first?.peer
    bench.wait(400)
    #expect(bench.requests.contains { $0.peer != first && [2, 3].contains($0.peer) })
    #expect(bench.requests.allSatisfy { $0.request.head == chain[2].head && $0.request.above == .zero })
    for block in chain { bench.take(block) }
    bench.wait(1000)
    #expect(bench.requests.isEmpty)
  }

  @Test("What is decided but missing stays wanted, whatever other blocks come meanwhile")
  func stillWanted() {
    var bench = Bench()
    let chain = bench.chain(1, 5)
    bench.give(.decided(bench.cut([1: chain[1].head])))
    bench.give(.wanted(lane: 1, chain[1].head, for: .decision))
    // The author's newest blocks keep arriving beyond the gap.
    for block in chain[3...] {
      bench.give(.arriving(block.header, from: 1))
      bench.take(block)
    }
    bench.wait(500)
    #expect(bench.requests.contains { $0.request.head == chain[2].head || $0.request.head == chain[1].head })
    for block in chain[...2] { bench.take(block) }
    #expect(
      bench.lanes.blocks(lane: 1, above: .empty, through: chain[1].head)?.map(\.digest) == chain[...1].map(\.digest))
  }

  @Test("A decided head that is not held is not announced as held")
  func decidedIsNotHeld() {
    var bench = Bench()
    let chain = bench.chain(1, 2)
    bench.give(.decided(bench.cut([1: chain[1].head])))
    #expect(bench.lanes.announcements[1].head == .empty)
  }

  @Test("What others announce and nobody brought is pulled after a while; a block being checked is not")
  func announcedPull() {
    var bench = Bench()
    let block = bench.chain(1, 1)[0]
    bench.give(.announced([LaneAnnouncement(lane: 1, head: block.head)], from: 2))
    bench.give(.arriving(block.header, from: 1))
    bench.wait(400)
    #expect(bench.requests.isEmpty)
    bench.wait(3000)
    bench.wait(400)
    #expect(bench.requests.map(\.peer) == [2])
  }

  @Test(
    "A liar that announces more of every lane than there is does not keep anybody from asking those that tell the truth"
  )
  func liar() {
    var bench = Bench()
    let lie = LaneHead(position: LanePosition(9), digest: Hash.blake2b("lie"))
    for lane in 1...2 {
      let head = bench.chain(lane, 1)[0].head
      bench.give(.announced([LaneAnnouncement(lane: lane, head: head)], from: lane))
      bench.give(.announced([LaneAnnouncement(lane: lane, head: lie)], from: 3))
    }
    var asked: [Int: Set<Int>] = [:]
    for _ in 0..<6 {
      bench.wait(400)
      for (peer, request) in bench.requests { asked[request.lane, default: []].insert(peer) }
    }
    #expect(asked == [1: [1, 3], 2: [2, 3]])
  }

  @Test("Two blocks at one position are evidence; the lane is proposed no further")
  func fork() {
    var bench = Bench()
    let (one, other) = (bench.block(1, after: .empty, 1), bench.block(1, after: .empty, 2))
    bench.take(one)
    #expect(bench.lanes.proposable(lane: 1) == one.head)
    bench.give(.block(Verified(checked: other)))
    #expect(bench.effects.contains(.forked(ForkEvidence(SignedHeader(one), SignedHeader(other)))))
    #expect(bench.lanes.proposable(lane: 1) == .empty)
    #expect(
      ForkEvidence(SignedHeader(one), SignedHeader(other)).isAuthentic(network: bench.network, in: bench.configuration))
    #expect(
      !ForkEvidence(SignedHeader(one), SignedHeader(one)).isAuthentic(network: bench.network, in: bench.configuration))
  }

  @Test("Of rivals at one position the one that a cut names counts")
  func decidedRival() {
    var bench = Bench()
    let (one, other) = (bench.block(1, after: .empty, 1), bench.block(1, after: .empty, 2))
    bench.take(one)
    bench.take(other)
    bench.give(.decided(bench.cut([1: other.head])))
    #expect(bench.lanes.blocks(lane: 1, above: .empty, through: other.head)?.map(\.digest) == [other.digest])
    #expect(bench.lanes.announcements[1].head == other.head)
  }

  @Test("I9: a lane beyond what is executed is held up to a bound only")
  func bounded() {
    var bench = Bench()
    var parent = LaneHead.empty
    var refused = false
    for _ in 0..<80 where !refused {
      let body = [UInt8](repeating: 0, count: 1 << 20)
      let header = BlockHeader(
        network: bench.network, configuration: ConfigurationNumber(0), author: MemberID(2),
        position: parent.position.next, parent: parent.digest, transactionCount: 1,
        transactionBytes: UInt32(body.count),
        body: .zero)
      let block = Block(header: header, signature: Bench.key(1).sign([]), body: body)
      parent = block.head
      refused = bench.give(.block(Verified(checked: block))) == .ignored(.beyondWindow)
    }
    #expect(refused)
  }

  @Test("After a restart the lane goes on where the stored blocks end")
  func restart() {
    var fresh = Bench()
    let chain = fresh.chain(0, 2)
    fresh = Bench(stored: chain)
    fresh.give(.submitted([[9]]))
    guard case .seal(let header, _)? = fresh.effects.first else {
      Issue.record("no block was sealed")
      return
    }
    #expect(header.parent == chain[1].digest && header.position == LanePosition(3))
  }

  private func announce(_ head: LaneHead) -> [LaneAnnouncement] {
    (0..<4).map { LaneAnnouncement(lane: $0, head: $0 == 0 ? head : .empty) }
  }

  @Test("After a start nothing is sealed until a quorum is known to hold no more of the lane; what is urgent is")
  func heard() {
    var bench = Bench()
    let chain = bench.chain(0, 2)
    bench = Bench(stored: chain, isStart: true)
    bench.give(.submitted([[9]]))
    #expect(bench.effects.isEmpty)
    bench.give(.announced(self.announce(chain[1].head), from: 1))
    bench.give(.announced(self.announce(chain[1].head), from: 1))
    #expect(bench.sealed == nil)
    var urgent = bench
    urgent.give(.urgent([[7]]))
    #expect(urgent.sealed?.transactionCount == 1 && urgent.lanes.pendingBytes == 1)
    // With this member's own word, two others are a quorum of four; having nothing is a word too.
    bench.give(.announced(self.announce(.empty), from: 2))
    #expect(bench.sealed?.position == LanePosition(3))
  }

  @Test("LEDGER §8: a store that lacks a block which another member can show is a copy, and seals nothing")
  func copied() {
    var bench = Bench()
    let chain = bench.chain(0, 3)
    bench = Bench(stored: Array(chain.dropLast()), isStart: true)
    bench.give(.submitted([[9]]))
    bench.give(.announced(self.announce(chain[1].head), from: 1))
    bench.give(.announced(self.announce(chain[2].head), from: 2))
    #expect(bench.requests.map(\.peer) == [2])
    #expect(bench.requests.first?.request.above == LanePosition(2))
    bench.give(.announced(self.announce(chain[1].head), from: 3))
    #expect(bench.sealed == nil)
    bench.give(.block(Verified(checked: chain[2])))
    #expect(bench.effects == [.copied(LanePosition(3))])
    // Also where it learns first that its block was ordered.
    bench = Bench(stored: Array(chain.dropLast()), isStart: true)
    bench.give(.decided(bench.cut([0: chain[2].head])))
    #expect(bench.effects.first == .copied(LanePosition(3)))
    bench = Bench(stored: chain, isStart: true)
    bench.give(.decided(bench.cut([0: chain[2].head])))
    #expect(bench.effects.isEmpty)
  }

  @Test("LEDGER §8: a copy that writes beside a machine that stood still is noticed by it while it runs")
  func copiedWhileStill() {
    var bench = Bench()
    let chain = bench.chain(0, 2)
    bench.give(.submitted([[9]]))
    let sealed = bench.sealed?.position
    #expect(sealed == LanePosition(1))
    // Its own block is no sign of a copy; one that follows what it has sealed, under its key, is.
    bench.give(.block(Verified(checked: chain[1])))
    #expect(bench.effects == [.copied(LanePosition(2))])
    bench = Bench(stored: chain)
    bench.give(.decided(bench.cut([0: chain[1].head])))
    #expect(!bench.effects.contains(.copied(LanePosition(2))))
    let later = bench.block(0, after: chain[1].head)
    bench.give(.decided(bench.cut([0: later.head])))
    #expect(bench.effects.contains(.copied(LanePosition(3))))
  }

  @Test("Who claims to hold more and does not show it delays a start, and no more")
  func claimed() {
    var bench = Bench()
    let chain = bench.chain(0, 3)
    bench = Bench(stored: Array(chain.dropLast()), isStart: true)
    bench.give(.submitted([[9]]))
    bench.give(.announced(self.announce(chain[2].head), from: 2))
    for peer in [1, 3] { bench.give(.announced(self.announce(chain[1].head), from: peer)) }
    #expect(bench.sealed == nil && bench.lanes.deadline != nil)
    bench.wait(3001)
    #expect(bench.sealed?.position == LanePosition(3))
  }

  @Test("LEDGER §8: where no liar is reckoned with, words alone end no node: the block itself does")
  func claimedInThree() {
    let chain = Bench(count: 3).chain(0, 3)
    func announce(_ head: LaneHead) -> [LaneAnnouncement] {
      (0..<3).map { LaneAnnouncement(lane: $0, head: $0 == 0 ? head : .empty) }
    }
    var bench = Bench(stored: Array(chain.dropLast()), isStart: true, count: 3)
    for peer in 1...2 {
      bench.give(.announced(announce(LaneHead(position: LanePosition(1000), digest: Hash.blake2b("air"))), from: peer))
      #expect(!bench.effects.contains { if case .copied = $0 { true } else { false } })
      #expect(bench.effects.contains { if case .request = $0 { true } else { false } }, "it is to show the block")
    }
    bench.give(.block(Verified(checked: chain[2])))
    #expect(bench.effects == [.copied(LanePosition(3))])
    // With f = 1 two words are enough, and one is not.
    bench = Bench(stored: Array(chain.dropLast()), isStart: true)
    bench.give(.announced(self.announce(chain[2].head), from: 1))
    #expect(!bench.effects.contains(.copied(LanePosition(3))))
    bench.give(.announced(self.announce(chain[2].head), from: 2))
    #expect(bench.effects.contains(.copied(LanePosition(3))))
  }

  @Test("What lies between two heads is told without walking, as the blocks count it")
  func counted() {
    var bench = Bench()
    var blocks: [Block] = []
    for number in 0..<40 {
      blocks.append(bench.block(1, after: blocks.last?.head ?? .empty, bytes: 40 + 3 * (number % 7)))
    }
    func bytes(_ range: Range<Int>) -> UInt64 { blocks[range].reduce(0) { $0 + UInt64($1.body.count) } }
    // In another order than they were written; then a part is executed.
    for block in blocks.reversed() { bench.give(.block(Verified(checked: block))) }
    for block in blocks { bench.give(.blockDurable(block)) }
    for executed in [0, 7, 8, 39] {
      if executed > 0 { bench.give(.executed(bench.cut([1: blocks[executed - 1].head], at: UInt64(executed)))) }
      let base = executed == 0 ? LaneHead.empty : blocks[executed - 1].head
      for end in executed..<40 {
        let count = end + 1 - executed
        let extent = bench.lanes.extent(lane: 1, from: base, to: blocks[end].head)
        #expect(extent == .extends(transactions: UInt64(count), bytes: bytes(executed..<(end + 1))))
        for room in [
          LaneRoom(transactions: .max, bytes: .max, blocks: UInt64(count)),
          LaneRoom(transactions: UInt64(count), bytes: .max, blocks: .max),
          LaneRoom(transactions: .max, bytes: bytes(executed..<(end + 1)) + 39, blocks: .max),
        ] {
          let grown = bench.lanes.growth(lane: 1, from: base, within: room)
          #expect(grown.head == blocks[end].head)
          #expect(grown.transactions == UInt64(count) && grown.bytes == bytes(executed..<(end + 1)))
        }
      }
      let nothing = bench.lanes.growth(
        lane: 1, from: base, within: LaneRoom(transactions: 0, bytes: .max, blocks: .max))
      #expect(nothing.head == base)
    }
  }

  @Test(
    "LEDGER §11.10: what was to come from a peer whose message was junk is asked for at once", arguments: [true, false])
  func junkArriving(isRefused: Bool) {
    var bench = Bench()
    let blocks = bench.chain(1, 2)
    bench.give(.announced([LaneAnnouncement(lane: 1, head: blocks[1].head)], from: 2))
    bench.give(.arriving(blocks[0].header, from: 3))
    bench.give(.wanted(lane: 1, blocks[0].head, for: .proposal))
    bench.wait(100)
    #expect(bench.requests.isEmpty)
    bench.give(isRefused ? .refused(from: 3) : .disconnected(3))
    bench.wait(20)
    #expect(bench.requests.map(\.request.head) == [blocks[0].head])
  }

  @Test("What arrives from another peer is not taken back for that")
  func otherArriving() {
    var bench = Bench()
    let blocks = bench.chain(1, 1)
    bench.give(.arriving(blocks[0].header, from: 2))
    bench.give(.wanted(lane: 1, blocks[0].head, for: .proposal))
    bench.give(.refused(from: 3))
    bench.wait(100)
    #expect(bench.requests.isEmpty)
  }
}
