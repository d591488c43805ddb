// Goal: no leader's clock alone runs the ledger's time ahead (LEDGER §11.4). Method: members joined by a queue of
// messages, some of whose clocks are wrong.
import Messages
import Ordering
import Primitives
import Raft
import Testing

@Suite("Raft: time")
struct RaftTimeTests {
  private static let day: UInt64 = 86_400_000

  /// The largest time that anybody decided, in milliseconds ahead of the true time.
  private func ahead(_ bench: RaftBench) -> Int64 {
    bench.members.flatMap(\.delivered).map { $0.cut.time.offset(from: bench.now.wall) }.max() ?? 0
  }

  @Test("A leader whose clock is a day ahead orders nothing and steps down; another leads with the right time")
  func aheadByADay() {
    var bench = RaftBench(3)
    bench.stand(0)
    #expect(bench.leaders == [0])
    bench.clocks[0] = Self.day
    bench.seal(1)
    bench.settle()
    #expect(bench.leaders.isEmpty)
    #expect(bench.members.allSatisfy { $0.delivered.allSatisfy { $0.cut.heads[0].position.number == 0 } })
    #expect(bench.reports.contains { $0.member == 0 && $0.event == .clockDisowned(aheadMilliseconds: Int64(Self.day)) })
    for index in [1, 2] {
      let told = OrderingEvent.clockRefused(0, aheadMilliseconds: Int64(Self.day))
      #expect(bench.reports.count { $0.member == index && $0.event == told } == 1)
    }
    bench.run(5000)
    #expect(bench.leaders.count == 1 && bench.leaders != [0])
    #expect((0..<3).allSatisfy { bench.positions($0).last == 1 })
    #expect(self.ahead(bench) <= Int64(LedgerLimits().clockDriftMilliseconds))
  }

  @Test("So it is with one of three down: who is not heard could not take it either")
  func oneDown() {
    var bench = RaftBench(3)
    bench.stand(0)
    bench.isCut = { $0 == 2 || $1 == 2 }
    bench.run(5000)
    #expect(bench.leaders == [0])
    bench.clocks[0] = Self.day
    bench.seal(1)
    bench.run(1000)
    bench.clocks[0] = 0
    bench.run(30_000)
    #expect(
      bench.reports.contains { report in
        if case .clockDisowned = report.event { report.member == 0 } else { false }
      })
    #expect([0, 1].allSatisfy { bench.positions($0).last == 1 })
    #expect(self.ahead(bench) <= Int64(LedgerLimits().clockDriftMilliseconds))
  }

  @Test("So it is where two of four clocks are ahead, and the second leads next", arguments: [UInt64(1), 2, 3, 4])
  func twoOfFour(_ first: UInt64) {
    var bench = RaftBench(4)
    let leader = Int(first - 1)
    bench.stand(leader)
    (bench.clocks[leader], bench.clocks[(leader + 1) % 4]) = (Self.day, Self.day)
    bench.seal(1)
    bench.run(30_000)
    #expect((0..<4).allSatisfy { bench.positions($0).last == 1 })
    #expect(self.ahead(bench) <= Int64(LedgerLimits().clockDriftMilliseconds))
  }

  @Test("A follower whose clock is behind takes what a majority holds, and says how far it is off")
  func slowFollower() {
    var bench = RaftBench(3)
    bench.stand(0)
    for index in [0, 1] { bench.clocks[index] = 60_000 }
    bench.seal(1)
    bench.run(1000)
    #expect(bench.leaders == [0])
    #expect((0..<3).allSatisfy { bench.positions($0).last == 1 })
    let told = bench.reports.contains { report in
      guard report.member == 2, case .clockRefused(0, let offset) = report.event else { return false }
      return offset > 59_000 && offset <= 60_000
    }
    #expect(told)
  }

  @Test("Where the ledger is ahead of all clocks already, it goes on by a millisecond a cut")
  func aheadAlready() {
    var bench = RaftBench(3)
    bench.stand(0)
    for index in 0..<3 { bench.clocks[index] = Self.day }
    bench.seal(1)
    bench.run(500)
    #expect((0..<3).allSatisfy { bench.positions($0).last == 1 })
    let before = bench.members[0].delivered.last?.cut.time ?? .zero
    bench.clocks = [:]
    for position in UInt64(2)...5 {
      bench.seal(position)
      bench.run(500)
    }
    #expect(bench.leaders == [0])
    #expect((0..<3).allSatisfy { bench.positions($0).last == 5 })
    #expect(bench.members[1].delivered.last?.cut.time == before.adding(milliseconds: 4))
  }

  @Test("A new term's first entry repeats the last cut, its time too, and is taken whatever the clocks say")
  func newTerm() {
    var bench = RaftBench(3)
    bench.stand(0)
    for index in 0..<3 { bench.clocks[index] = Self.day }
    bench.seal(1)
    bench.run(500)
    bench.clocks = [:]
    bench.stand(1)
    bench.run(500)
    #expect(bench.leaders == [1])
    #expect((0..<3).allSatisfy { bench.members[$0].delivered.last?.view == bench.members[1].replica.view })
  }

  @Test("A leader whose clock falls back by a day leads no more, and the ledger's time goes on", arguments: [3, 4])
  func behindByADay(_ count: Int) throws {
    var bench = RaftBench(count)
    bench.stand(0)
    bench.seal(1)
    bench.run(500)
    #expect(bench.leaders == [0])
    // All others go on, and the leader's falls back.
    for index in 1..<count { bench.clocks[index] = Self.day }
    bench.seal(2)
    bench.run(6_000)
    #expect(bench.leaders.count == 1 && bench.leaders != [0])
    let told = bench.reports.filter { if case .clockDisowned = $0.event { true } else { false } }
    #expect(told.count == 1)
    guard case .clockDisowned(let offset)? = told.first?.event else { return }
    #expect(told.first?.member == 0 && offset <= -Int64(Self.day) + 1_000)
    bench.seal(3)
    bench.run(2_000)
    #expect((0..<count).allSatisfy { bench.positions($0).last == 3 })
    let last = try #require(bench.members[1].delivered.last)
    #expect(last.cut.time > bench.now.wall.adding(milliseconds: Self.day - 10_000))
  }

  @Test(
    "Where fewer than a quorum are ahead, they could not go on by their time: nobody is deposed, and all is ordered")
  func twoOfFour() {
    var bench = RaftBench(4)
    bench.members[3].isUp = false
    bench.stand(0)
    for index in 1...2 { bench.clocks[index] = Self.day }
    for position in UInt64(1)...3 {
      bench.seal(position)
      bench.run(2_000)
    }
    #expect(bench.leaders == [0])
    #expect((0..<3).allSatisfy { bench.positions($0).last == 3 })
  }

  @Test("One follower's clock that is a day ahead deposes nobody")
  func oneAhead() {
    var bench = RaftBench(3)
    bench.stand(0)
    bench.clocks[2] = Self.day
    for position in UInt64(1)...5 {
      bench.seal(position)
      bench.run(1_000)
    }
    #expect(bench.leaders == [0])
    #expect((0..<3).allSatisfy { bench.positions($0).last == 5 })
    #expect(!bench.reports.contains { if case .clockDisowned = $0.event { true } else { false } })
  }
}
