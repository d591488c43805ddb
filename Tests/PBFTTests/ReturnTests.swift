// Goal: whoever asked for a view alone votes again, because the others go to it in order; and nobody can make them do
// so more than now and then (LEDGER §3, I7). Method: one replica, the status of others, effects compared.
import Messages
import Ordering
import PBFT
import Primitives
import Signing
import Testing

@Suite("PBFT: a member returns")
struct ReturnTests {
  /// What a member says that waits alone for a view.
  private func alone(_ view: UInt64, decided: UInt64 = 0) -> Status {
    Status(
      configuration: ConfigurationNumber(0), view: View(view), isChanging: true, viewChanges: ReplicaSet(),
      decided: SequenceNumber(decided), slots: [])
  }

  /// What a member says whose view is open.
  private func active(_ view: UInt64) -> Status {
    Status(
      configuration: ConfigurationNumber(0), view: View(view), isChanging: false, viewChanges: ReplicaSet(),
      decided: .zero, slots: [])
  }

  /// Hears a status every half second; after how many of them it leaves, nil for never.
  private func left(_ bench: inout Bench, hearing status: Status, from peer: Int, within count: Int) -> Int? {
    for number in 0..<count {
      bench.give(.status(status, from: peer))
      if !bench.castViewChanges.isEmpty { return number }
      bench.wait(500)
    }
    return nil
  }

  @Test("The primary ends its view for a member that waits alone for the next one, within a view's time-out")
  func primary() {
    var bench = Bench(0)
    #expect(self.left(&bench, hearing: self.alone(1), from: 2, within: 10) == 2)
    #expect(bench.castViewChanges == [1])
    #expect(bench.effects.contains(.report(.viewChangeStarted(View(1), reason: .memberReturns))))
  }

  @Test("Where the primary does not, the backups do")
  func backup() {
    var bench = Bench(1)
    #expect(self.left(&bench, hearing: self.alone(1), from: 2, within: 10) == 6)
  }

  @Test("A member that is far behind, or waits for another view, or whose view opens, is not waited for")
  func others() {
    var bench = Bench(0)
    #expect(self.left(&bench, hearing: self.alone(2), from: 2, within: 20) == nil)
    #expect(self.left(&bench, hearing: self.active(0), from: 2, within: 20) == nil)
    var behind = Bench(0)
    for sequence in UInt64(1)...16 {
      let decision = behind.consortium.decision(sequence, cut([sequence, 0, 0, 0], at: sequence))
      behind.give(.decision(decision))
      behind.give(.executed(SequenceNumber(sequence), deadline: .never))
    }
    behind.give(.decision(behind.consortium.decision(17, cut([17, 0, 0, 0], at: 17))))
    #expect(self.left(&behind, hearing: self.alone(1, decided: 0), from: 2, within: 20) == nil)
    var interrupted = Bench(0)
    for _ in 0..<20 {
      #expect(self.left(&interrupted, hearing: self.alone(1), from: 2, within: 2) == nil)
      interrupted.give(.status(self.active(0), from: 2))
      #expect(interrupted.castViewChanges.isEmpty)
    }
  }

  @Test("A view that was opened lately rests, whoever asks: nobody turns the views for ever")
  func rests() {
    var bench = Bench(2)
    let changes = [0, 1, 3].map { bench.consortium.viewChange(1, base: nil, prepared: [], by: $0) }
    let content = NewView(configuration: ConfigurationNumber(0), view: View(1), viewChanges: changes, prePrepares: [])
    bench.give(.newView(bench.consortium.sign(content, by: 1)))
    #expect(bench.replica.view == View(1))
    // The next primary is this one itself.
    #expect(self.left(&bench, hearing: self.alone(2), from: 3, within: 60) == 40)
    var unheard = Bench(3)
    unheard.give(.newView(unheard.consortium.sign(content, by: 1)))
    // The next primary is silent: the change may be in vain, and it rests longer.
    #expect(self.left(&unheard, hearing: self.alone(2), from: 0, within: 200) == 120)
  }

  @Test("Whoever waits alone while f + 1 go on in another view says once that it does not vote")
  func notVoting() {
    var bench = Bench(3)
    bench.lanes.announced = [1, 0, 0, 0]
    bench.give(.timerFired)
    bench.wait(2100)
    bench.give(.timerFired)
    #expect(bench.castViewChanges == [1] && !bench.replica.isVoting)
    bench.wait(1000)
    bench.give(.status(self.active(0), from: 0))
    bench.give(.status(self.active(0), from: 0))
    #expect(!bench.effects.contains(.report(.notVoting(View(1), others: View(0)))))
    bench.give(.status(self.active(0), from: 1))
    #expect(bench.effects.contains(.report(.notVoting(View(1), others: View(0)))))
    bench.give(.status(self.active(0), from: 2))
    #expect(!bench.effects.contains(.report(.notVoting(View(1), others: View(0)))))
  }
}
