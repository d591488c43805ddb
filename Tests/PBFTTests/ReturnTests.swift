// Goal: whoever asked for a view alone votes again, because the others go to it in order; and nobody can make them do
// so more than now and then, or by its mere word (LEDGER §3, I7). Method: one replica, the status and the signed view
// changes of others, effects compared.
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

  /// What a member says whose view is open, and which has the view changes of some.
  private func active(_ view: UInt64, having members: [Int] = []) -> Status {
    var held = ReplicaSet()
    for member in members { held.insert(member) }
    return Status(
      configuration: ConfigurationNumber(0), view: View(view), isChanging: false, viewChanges: held,
      decided: .zero, slots: [])
  }

  /// Hears a status every half second, and before it that the member signed its wish, unless that is not `signed`;
  /// after how many of them it leaves, nil for never. Others are `heard` too.
  private func left(
    _ bench: inout Bench, hearing status: Status, from peer: Int, within count: Int, signed: Bool = true,
    heard: [Int] = []
  ) -> Int? {
    if signed, status.isChanging {
      bench.give(
        .viewChange(bench.consortium.viewChange(status.view.number, base: nil, prepared: [], by: peer)))
    }
    for number in 0..<count {
      for other in heard { bench.give(.status(self.active(bench.replica.view.number), from: other)) }
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

  @Test("LEDGER §3: what a status says moves nobody without the signed view change of that member for that view")
  func unsigned() {
    for index in [0, 1] {
      var bench = Bench(index)
      #expect(self.left(&bench, hearing: self.alone(1, decided: 1 << 40), from: 2, within: 40, signed: false) == nil)
    }
    // One for another view is not for this, and another's is not its own.
    var bench = Bench(0)
    bench.give(.viewChange(bench.consortium.viewChange(2, base: nil, prepared: [], by: 2)))
    #expect(self.left(&bench, hearing: self.alone(1, decided: 1 << 40), from: 2, within: 40, signed: false) == nil)
    var other = Bench(0)
    other.give(.viewChange(other.consortium.viewChange(1, base: nil, prepared: [], by: 3)))
    #expect(self.left(&other, hearing: self.alone(1), from: 2, within: 40, signed: false) == nil)
  }

  /// Opens a view that the others asked for.
  private func open(_ view: UInt64, _ bench: inout Bench) {
    let changes = [1, 2, 3].map { bench.consortium.viewChange(view, base: nil, prepared: [], by: $0) }
    let content = NewView(
      configuration: ConfigurationNumber(0), view: View(view), viewChanges: changes, prePrepares: [])
    bench.give(.newView(bench.consortium.sign(content, by: Int(view % 4))))
    #expect(bench.replica.view == View(view) && bench.replica.isVoting)
  }

  @Test("One and the same member waits twice as long each time that it asks, until it has voted for long")
  func backOff() {
    var bench = Bench(0)
    #expect(self.left(&bench, hearing: self.alone(1), from: 3, within: 10) == 2)
    self.open(1, &bench)
    // Forty seconds since the view was left for it, then eighty.
    #expect(self.left(&bench, hearing: self.alone(2), from: 3, within: 200, heard: [2]) == 80)
    self.open(2, &bench)
    #expect(self.left(&bench, hearing: self.alone(3), from: 3, within: 400) == 160)

    var voting = Bench(0)
    #expect(self.left(&voting, hearing: self.alone(1), from: 3, within: 10) == 2)
    self.open(1, &voting)
    voting.wait(80_000)
    voting.give(voting.consortium.commit(1, cut([1, 0, 0, 0], at: 1), view: 1, by: 3))
    #expect(self.left(&voting, hearing: self.alone(2), from: 3, within: 20, heard: [2]) == 6)
    self.open(2, &voting)
    #expect(self.left(&voting, hearing: self.alone(3), from: 3, within: 400) == 80)
    // Another member has done nothing yet.
    var others = Bench(0)
    #expect(self.left(&others, hearing: self.alone(1), from: 3, within: 10) == 2)
    self.open(1, &others)
    #expect(self.left(&others, hearing: self.alone(2), from: 2, within: 200) == 40)
  }

  @Test("Whoever waits alone shows its view change to all who have not got it, however many they are")
  func shows() {
    let consortium = Consortium(count: 10)
    var replica = consortium.replica(9)
    var lanes = FakeLanes()
    lanes.held = Array(repeating: 100, count: 10)
    lanes.announced = [1] + Array(repeating: 0, count: 9)
    var effects: [OrderingEffect] = []
    var now = Moment(tick: .zero, wall: Timestamp(milliseconds: Wall.start))
    _ = replica.step(.timerFired, at: now, lanes: lanes, into: &effects)
    now.tick = now.tick + .milliseconds(2100)
    _ = replica.step(.timerFired, at: now, lanes: lanes, into: &effects)
    let own = consortium.viewChange(1, base: nil, prepared: [], by: 9)
    _ = replica.step(
      .message(Verified(checked: .viewChange(own))), at: now, lanes: lanes, into: &effects)
    #expect(!replica.isVoting)
    func told(_ status: Status) -> [Int] {
      (0..<9).filter { peer in
        effects = []
        _ = replica.step(.status(status, from: peer), at: now, lanes: lanes, into: &effects)
        return effects.contains(.send(to: peer, .viewChange(own)))
      }
    }
    #expect(told(self.active(0)) == Array(0..<9))
    #expect(told(self.active(0, having: [9])).isEmpty)
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
    let report = OrderingEffect.report(.notVoting(View(1), others: View(0)))
    bench.give(.status(self.active(0, having: [3]), from: 0))
    bench.give(.status(self.active(0, having: [3]), from: 0))
    #expect(!bench.effects.contains(report))
    bench.give(.status(self.active(0, having: [3]), from: 1))
    #expect(bench.effects.contains(report))
    bench.give(.status(self.active(0, having: [3]), from: 2))
    #expect(!bench.effects.contains(report))
  }

  @Test("What the others said before they had its view change is old: nobody says that they go on")
  func oldWords() {
    var bench = Bench(3)
    bench.lanes.announced = [1, 0, 0, 0]
    bench.give(.timerFired)
    bench.wait(2100)
    bench.give(.timerFired)
    #expect(bench.castViewChanges == [1])
    // On a slow line they are heard for seconds, though all have left meanwhile.
    for peer in [0, 1, 2, 0, 1, 2] {
      bench.wait(1000)
      bench.give(.status(self.active(0), from: peer))
      #expect(!bench.effects.contains(.report(.notVoting(View(1), others: View(0)))))
    }
  }
}
