// Goal: a primary that serves too little is left, one that cannot do more is not, and no lane's flood goes before what
// others write (LEDGER §11.5).
// Method: one replica, decisions as from a primary, time; view changes and proposals are compared.
import Messages
import Ordering
import PBFT
import Primitives
import Signing
import Testing

@Suite("PBFT: progress")
struct ProgressTests {
  /// Decides lane 3 up to a position.
  private func decide(_ bench: inout Bench, _ sequence: UInt64, lane0: UInt64 = 0, lane3 position: UInt64) {
    bench.give(.decision(bench.consortium.decision(sequence, cut([lane0, 0, 0, position], at: sequence))))
    bench.give(.executed(SequenceNumber(sequence), deadline: .never))
  }

  @Test("LEDGER §11.5: a primary that orders one block of a lane now and then is left when the others are too old")
  func oneBlockAtATime() {
    var bench = Bench(1)
    bench.lanes.announced = [0, 0, 0, 50]
    bench.give(.lanesAdvanced)
    for sequence in 1...5 as ClosedRange<UInt64> {
      bench.wait(1500)
      self.decide(&bench, sequence, lane3: sequence)
      bench.give(.timerFired)
      #expect(bench.castViewChanges.isEmpty)
    }
    bench.wait(1700)
    bench.give(.timerFired)
    #expect(bench.castViewChanges == [1])
    #expect(bench.effects.contains(.report(.viewChangeStarted(View(1), reason: .laneOmitted))))
  }

  @Test("LEDGER §11.5: each block has its own time, however many wait behind it")
  func ownTime() {
    var bench = Bench(1)
    for second in 1...40 as ClosedRange<UInt64> {
      bench.wait(1000)
      bench.lanes.announced[3] = second
      bench.give(.lanesAdvanced)
      self.decide(&bench, second, lane0: second, lane3: second > 6 ? second - 6 : 0)
      bench.give(.timerFired)
      #expect(bench.castViewChanges.isEmpty)
    }
    #expect(bench.replica.view == View(0))
  }

  @Test("LEDGER §11.5: of a backlog no more is due than cuts have room for")
  func backlog() {
    var bench = Bench(1)
    (bench.lanes.held[3], bench.lanes.announced[3]) = (100_000, 100_000)
    bench.give(.lanesAdvanced)
    for second in 1...60 as ClosedRange<UInt64> {
      bench.wait(1000)
      self.decide(&bench, second, lane3: second * 20)
      bench.give(.timerFired)
    }
    #expect(bench.replica.view == View(0))
  }

  @Test("LEDGER §11.5: of one lane's flood of blocks little is under way, and what others write comes next")
  func flood() {
    var bench = Bench(0)
    bench.lanes.held = [0, 0, 0, 40_000]
    bench.give(.lanesAdvanced)
    #expect(bench.castProposals.map(\.cut.heads[3].position.number) == [512])
    bench.lanes.held[1] = 1
    let first = bench.castProposals[0].cut
    bench.give(.decision(bench.consortium.decision(1, first)))
    // It is decided, and counts until it is executed.
    #expect(bench.castProposals.map(\.cut.heads[1].position.number) == [1])
    #expect(bench.castProposals.map(\.cut.heads[3].position.number) == [512])
    bench.give(.decision(bench.consortium.decision(2, bench.castProposals[0].cut)))
    bench.give(.executed(SequenceNumber(1), deadline: .never))
    #expect(bench.castProposals.map(\.cut.heads[3].position.number) == [1024])
  }
}
