// Goal: the ledger's time follows the clocks, a fresh cut says something, and null cuts are no progress (LEDGER §11.4).
// Method: one replica, signed messages, one step; disposition and effects are compared.
import Messages
import Ordering
import PBFT
import Primitives
import Signing
import Testing

@Suite("PBFT: time")
struct TimeTests {
  private let ahead = cut([1, 0, 0, 0], at: 60_000)

  @Test("LEDGER §11.4: where the ledger is ahead of the clock, only the last cut's time and a millisecond is taken")
  func exactlyOneMillisecond() {
    for time in [UInt64(60_002), 60_016, 61_000] {
      var bench = Bench(1)
      bench.give(.decision(bench.consortium.decision(1, self.ahead)))
      #expect(bench.give(bench.consortium.proposal(2, cut([2, 0, 0, 0], at: time))) == .ignored(.badTime))
      #expect(bench.castPrepares.isEmpty)
    }
    var bench = Bench(1)
    bench.give(.decision(bench.consortium.decision(1, self.ahead)))
    #expect(bench.give(bench.consortium.proposal(2, cut([2, 0, 0, 0], at: 60_001))) == .accepted)
    #expect(bench.castPrepares == [2])
  }

  @Test("LEDGER §11.4: ahead of the clock, one cut is taken for each decision, however many are open")
  func oneForEachDecision() {
    var bench = Bench(1)
    bench.give(.decision(bench.consortium.decision(1, self.ahead)))
    let (second, third) = (cut([2, 0, 0, 0], at: 60_001), cut([3, 0, 0, 0], at: 60_002))
    // The later one comes first: it is compared when the one before it is here.
    #expect(bench.give(bench.consortium.proposal(3, third)) == .accepted)
    #expect(bench.castPrepares.isEmpty)
    bench.give(bench.consortium.proposal(2, second))
    #expect(bench.castPrepares == [2])
    bench.give(.decision(bench.consortium.decision(2, second)))
    #expect(bench.castPrepares == [3])
  }

  @Test("LEDGER §11.4: a time ahead that came before its predecessor is refused when that is here")
  func comparedLater() {
    var bench = Bench(1)
    bench.give(.decision(bench.consortium.decision(1, self.ahead)))
    bench.give(bench.consortium.proposal(3, cut([3, 0, 0, 0], at: 60_010)))
    let second = cut([2, 0, 0, 0], at: 60_001)
    bench.give(bench.consortium.proposal(2, second))
    bench.give(.decision(bench.consortium.decision(2, second)))
    #expect(bench.castPrepares.isEmpty)
  }

  @Test("LEDGER §11.4: a primary does not hold the time back either")
  func heldBack() {
    var bench = Bench(1)
    bench.give(.decision(bench.consortium.decision(1, cut([1, 0, 0, 0], at: 10))))
    bench.wait(60_000)
    #expect(bench.give(bench.consortium.proposal(2, cut([2, 0, 0, 0], at: 11))) == .ignored(.badTime))
  }

  @Test("A time that is refused is told once in a view, with the member and the offset")
  func told() {
    var bench = Bench(1)
    bench.give(bench.consortium.proposal(1, self.ahead))
    #expect(bench.effects == [.report(.clockRefused(0, aheadMilliseconds: 60_000))])
    bench.give(bench.consortium.proposal(1, cut([1, 0, 0, 0], at: 70_000)))
    #expect(bench.effects.isEmpty)
  }

  @Test("LEDGER §11.4: a fresh cut in which no lane grows is refused where no deadline of the state is due")
  func idleCut() {
    var bench = Bench(1)
    bench.give(.executed(.zero, deadline: Timestamp(milliseconds: Wall.start + 100)))
    bench.give(bench.consortium.proposal(1, cut([0, 0, 0, 0], at: 50)))
    #expect(bench.castPrepares.isEmpty)
    var due = Bench(1)
    due.give(.executed(.zero, deadline: Timestamp(milliseconds: Wall.start + 100)))
    due.give(due.consortium.proposal(1, cut([0, 0, 0, 0], at: 100)))
    #expect(due.castPrepares == [1])
  }

  @Test("LEDGER §11.4: the deadline is that of the state right before: such a cut waits until that is executed")
  func idleCutWaits() {
    var bench = Bench(1)
    bench.give(.executed(.zero, deadline: Timestamp(milliseconds: Wall.start + 15)))
    let first = cut([1, 0, 0, 0], at: 20)
    bench.give(.decision(bench.consortium.decision(1, first)))
    bench.give(bench.consortium.proposal(2, cut([1, 0, 0, 0], at: 30)))
    #expect(bench.castPrepares.isEmpty)
    bench.give(.executed(SequenceNumber(1), deadline: Timestamp(milliseconds: Wall.start + 30)))
    #expect(bench.castPrepares == [2])
  }

  @Test("LEDGER §11.4: the primary proposes no second cut for a deadline before the first is executed")
  func deadlineOnce() {
    var bench = Bench(0)
    bench.lanes.held = [0, 0, 0, 0]
    bench.give(.executed(.zero, deadline: Timestamp(milliseconds: Wall.start)))
    let proposals = bench.castProposals
    #expect(proposals.count == 1)
    guard let first = proposals.first else { return }
    bench.give(.decision(bench.consortium.decision(1, first.cut)))
    #expect(bench.castProposals.isEmpty)
    bench.give(.executed(SequenceNumber(1), deadline: .zero))
    #expect(bench.castProposals.count == 1)
  }

  @Test("LEDGER §11.4: a primary may repeat no cut of its own accord, as a NewView does")
  func freshNull() {
    var bench = Bench(1)
    let first = cut([1, 0, 0, 0], at: 10)
    bench.give(.decision(bench.consortium.decision(1, first)))
    bench.give(bench.consortium.proposal(2, first))
    #expect(bench.castPrepares.isEmpty)
  }

  @Test("LEDGER §11.5: null cuts are no progress: the view's timer goes on")
  func nullsAreNoProgress() {
    var bench = Bench(1)
    let first = cut([1, 0, 0, 0], at: 10)
    bench.give(.decision(bench.consortium.decision(1, first)))
    bench.lanes.announced = [2, 0, 0, 0]
    bench.give(.lanesAdvanced)
    bench.wait(1500)
    bench.give(.decision(bench.consortium.decision(2, first)))
    #expect(bench.delivered == [2])
    bench.wait(600)
    bench.give(.timerFired)
    #expect(bench.castViewChanges == [1])
  }

  @Test("A cut that orders something is progress")
  func growthIsProgress() {
    var bench = Bench(1)
    bench.lanes.announced = [2, 0, 0, 0]
    bench.give(.lanesAdvanced)
    bench.wait(1500)
    bench.give(.decision(bench.consortium.decision(1, cut([1, 0, 0, 0], at: 10))))
    bench.wait(600)
    bench.give(.timerFired)
    #expect(bench.castViewChanges.isEmpty)
  }
}
