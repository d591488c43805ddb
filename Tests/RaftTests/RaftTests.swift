import Messages
import Ordering
import Primitives
import Raft
import Testing

@Suite("Raft")
struct RaftTests {
  @Test("Somebody is elected, and one leader it stays while everybody hears it (§5.2)")
  func electsOne() {
    var bench = RaftBench(5)
    bench.run(6000)
    #expect(bench.leaders.count == 1)
    let term = bench.members[0].replica.view
    bench.run(20_000)
    #expect(bench.leaders.count == 1)
    #expect(bench.members.allSatisfy { $0.replica.view == term })
  }

  @Test("A member of one elects itself and commits alone")
  func alone() {
    var bench = RaftBench(1)
    bench.run(4000)
    bench.seal(3)
    bench.settle()
    #expect(bench.positions(0).last == 3)
  }

  @Test("What the leader holds is committed everywhere, in one order (§5.3)")
  func commits() {
    var bench = RaftBench(3)
    bench.run(4000)
    for position in 1...20 {
      bench.seal(UInt64(position))
      bench.run(50)
    }
    bench.run(500)
    #expect(bench.positions(0).last == 20)
    #expect(bench.positions(0) == bench.positions(1))
    #expect(bench.positions(1) == bench.positions(2))
  }

  @Test("A vote is given once a term, also across a restart (§5.2)")
  func votesOnce() {
    var bench = RaftBench(3)
    bench.give(.raft(.voteRequest(term: View(5), last: .zero, isTransfer: true), from: 1), to: 0)
    #expect(bench.said.last?.message == .vote(term: View(5), isGranted: true))
    bench.restart(0)
    bench.give(.raft(.voteRequest(term: View(5), last: .zero, isTransfer: true), from: 2), to: 0)
    #expect(bench.said.last?.message == .vote(term: View(5), isGranted: false))
    bench.give(.raft(.voteRequest(term: View(5), last: .zero, isTransfer: true), from: 1), to: 0)
    #expect(bench.said.last?.message == .vote(term: View(5), isGranted: true), "the same candidate is told again")
  }

  @Test("A vote goes only to a log that is at least as up to date: later term first, then length (§5.4.1)")
  func upToDate() {
    // The voter's log ends with (term 2, place 3).
    let own: [(UInt64, UInt64)] = [(1, 1), (1, 2), (2, 3)]
    for (term, sequence, isGranted) in [(1, 9, false), (2, 2, false), (2, 3, true), (2, 4, true), (3, 1, true)] {
      var bench = RaftBench(3, blocks: 3, log: [own], terms: [4])
      let last = LogPosition(term: View(UInt64(term)), sequence: SequenceNumber(UInt64(sequence)))
      bench.give(.raft(.voteRequest(term: View(5), last: last, isTransfer: true), from: 1), to: 0)
      #expect(bench.said.last?.message == .vote(term: View(5), isGranted: isGranted), "log \(last)")
    }
  }

  @Test("What a member holds no blocks of, it acknowledged to nobody: it does not count in an election (LEDGER §4)")
  func unheldTail() {
    // The voter's log ends with (term 2, place 3), of which it has the blocks of the first place.
    let own: [(UInt64, UInt64)] = [(1, 1), (1, 2), (2, 3)]
    for (last, isGranted) in [
      (LogPosition.zero, false), (LogPosition(term: View(1), sequence: SequenceNumber(1)), true),
    ] {
      var bench = RaftBench(3, blocks: 1, log: [own], terms: [4])
      bench.give(.raft(.voteRequest(term: View(5), last: last, isTransfer: true), from: 1), to: 0)
      #expect(bench.said.last?.message == .vote(term: View(5), isGranted: isGranted), "log \(last)")
    }
  }

  @Test("A follower's log gives way where the leader's differs; what it lacked, it gets (§5.3, figure 7)")
  func repairsLogs() {
    // Figure 7 of the paper, with its followers (a), (e) and (f) beside the leader of term 8.
    let leader: [(UInt64, UInt64)] = [
      (1, 1), (1, 2), (1, 3), (4, 4), (4, 5), (5, 6), (5, 7), (6, 8), (6, 9), (6, 10),
    ]
    let shorter = Array(leader.prefix(9))
    let older: [(UInt64, UInt64)] = [(1, 1), (1, 2), (1, 3), (4, 4), (4, 5), (4, 26), (4, 27)]
    let stale: [(UInt64, UInt64)] = [
      (1, 1), (1, 2), (1, 3), (2, 24), (2, 25), (2, 26), (3, 27), (3, 28), (3, 29), (3, 30), (3, 31),
    ]
    var bench = RaftBench(4, blocks: 40, log: [leader, shorter, older, stale], terms: [7, 7, 7, 7])
    bench.stand(0)
    bench.run(2000)
    #expect(bench.leaders == [0])
    for index in 0..<4 { #expect(Array(bench.positions(index).prefix(10)) == Array(1...10), "member \(index)") }
  }

  @Test("A majority that holds an entry of an old term does not commit it (§5.4.2, figure 8)")
  func oldTermsDoNotCommit() {
    // Figure 8 (c): member 0 leads term 4, and its entry of term 2 is on a majority; member 4 has one of term 3.
    let two: [(UInt64, UInt64)] = [(1, 1), (2, 2)]
    var bench = RaftBench(
      5, blocks: 40, log: [two, two, [(1, 1)], [(1, 1)], [(1, 1), (3, 13)]], terms: [3, 3, 3, 3, 3])
    bench.isCut = { from, to in from == 4 || to == 4 }
    // What is appended in the leader's own term reaches nobody.
    bench.isLost = { letter in
      if case .append(_, _, let entries, _) = letter.message { return entries.contains { $0.term == View(4) } }
      return false
    }
    bench.stand(0)
    #expect(bench.leaders == [0])
    let entries = two.map { RaftBench.entry($0.0, $0.1, lanes: 5) }
    bench.give(.raft(.append(term: View(4), previous: .zero, entries: entries, committed: .zero), from: 0), to: 2)
    bench.settle()
    #expect(bench.members.allSatisfy { $0.delivered.isEmpty }, "term 2 is on three of five, and may still be replaced")
    // Figure 8 (d): it is, for member 4 can be elected by those without term 4.
    bench.members[0].isUp = false
    bench.isCut = { _, _ in false }
    bench.isLost = { _ in false }
    bench.stand(4)
    bench.stand(4)
    bench.run(1000)
    #expect(bench.positions(1).prefix(2) == [1, 13])
  }

  @Test("A new leader appends an entry of its own term at once, and with it commits what is below")
  func nullEntryCommits() {
    let log: [(UInt64, UInt64)] = [(1, 1), (2, 2)]
    var bench = RaftBench(3, blocks: 2, log: [log, log, log], terms: [2, 2, 2])
    bench.stand(1)
    bench.run(500)
    #expect(bench.positions(0) == [1, 2, 2])
  }

  @Test("A window full of old terms' entries does not shut out the new leader's first (seed 693)")
  func fullWindow() {
    let most = 2 * LedgerLimits().pipelineMax
    let log = (1...most).map { (UInt64(1), $0) }
    var bench = RaftBench(3, blocks: most, log: [log, log, log], terms: [1, 1, 1])
    bench.stand(2)
    bench.run(500)
    #expect(bench.positions(0).last == most)
  }

  @Test("An entry is acknowledged only when its blocks are held (LEDGER §4)")
  func blocksFirst() {
    var bench = RaftBench(3)
    bench.run(4000)
    let leader = bench.leaders[0]
    bench.seal(1, at: [leader])
    bench.run(300)
    #expect(bench.positions(leader).last == 0, "only the leader has the block")
    bench.seal(1, at: [(leader + 1) % 3])
    bench.run(300)
    #expect(bench.positions(leader).last == 1)
  }

  @Test("Whoever was cut off does not depose a leader by coming back (pre-vote, thesis §9.6)")
  func preVote() {
    var bench = RaftBench(3)
    bench.run(4000)
    let leader = bench.leaders[0]
    let other = (leader + 1) % 3
    let term = bench.members[leader].replica.view
    bench.isCut = { from, to in from == other || to == other }
    bench.run(20_000)
    #expect(bench.members[other].replica.view == term, "it asked, and opened no term")
    bench.isCut = { _, _ in false }
    bench.run(3000)
    #expect(bench.leaders == [leader])
    #expect(bench.members[leader].replica.view == term)
  }

  @Test("A leader that a majority does not answer steps down; the majority elects another (thesis §6.2)")
  func checkQuorum() {
    var bench = RaftBench(5)
    bench.run(6000)
    let old = bench.leaders[0]
    bench.isCut = { from, to in (from == old) != (to == old) }
    bench.run(8000)
    #expect(bench.members[old].replica.leader == nil)
    #expect(bench.leaders.count == 1)
    #expect(bench.leaders[0] != old)
  }

  @Test("Who hears a leader ignores a candidate of a higher term, unless the leader asked for it (thesis §4.2.3)")
  func lease() {
    var bench = RaftBench(3)
    bench.run(4000)
    let leader = bench.leaders[0]
    let (voter, candidate) = ((leader + 1) % 3, (leader + 2) % 3)
    let request = { (isTransfer: Bool) in
      RaftMessage.voteRequest(
        term: View(99), last: LogPosition(term: View(98), sequence: SequenceNumber(50)), isTransfer: isTransfer)
    }
    #expect(bench.give(.raft(request(false), from: candidate), to: voter) == .ignored(.leaderAlive))
    #expect(bench.members[voter].replica.view < View(99))
    #expect(bench.give(.raft(request(true), from: candidate), to: voter) == .accepted)
  }

  @Test("The leadership goes over on demand, without waiting for a timeout (thesis §3.10)")
  func transfer() {
    var bench = RaftBench(3)
    bench.run(4000)
    let old = bench.leaders[0]
    bench.run(200)
    #expect(bench.give(.stepDownRequested, to: old) == .accepted)
    bench.settle()
    #expect(bench.leaders.count == 1)
    #expect(bench.leaders[0] != old)
  }

  @Test("A follower that was away for long gets decisions from the leader's store, and believes nobody else's")
  func laggard() {
    var bench = RaftBench(3)
    bench.run(4000)
    let leader = bench.leaders[0]
    let (away, other) = ((leader + 1) % 3, (leader + 2) % 3)
    bench.members[away].isUp = false
    for position in 1...100 {
      bench.seal(UInt64(position), at: [leader, other])
      bench.run(20)
    }
    #expect(bench.positions(leader).last == 100)
    bench.restart(away)
    bench.members[away].lanes.held[0] = 100
    let decisions = bench.members[leader].delivered
    #expect(
      bench.give(.leaderDecisions(Array(decisions.prefix(3)), from: other), to: away) == .ignored(.notPrimary))
    bench.run(5000)
    #expect(bench.positions(away).last == 100)
    #expect(bench.members[away].delivered.map(\.cut) == bench.members[leader].delivered.map(\.cut))
  }

  @Test("Every member stops and comes back: what was decided stays, and the log goes on (§5.4.3)")
  func restartAll() {
    var bench = RaftBench(3)
    bench.run(4000)
    bench.seal(5)
    bench.run(500)
    let before = bench.members.map { $0.delivered.map(\.cut) }
    for index in 0..<3 { bench.restart(index) }
    bench.run(6000)
    bench.seal(9)
    bench.run(2000)
    for index in 0..<3 {
      #expect(bench.positions(index).last == 9)
      #expect(Array(bench.members[index].delivered.map(\.cut).prefix(before[index].count)) == before[index])
    }
  }

  @Test("A stale tail on the disk, whose terms are lower than those that replaced it, is not read again")
  func staleTail() {
    // Places 2 and 3 were written in term 2; then term 5 replaced place 2, and the member stopped.
    let bench = RaftBench(3, log: [[(1, 1), (5, 12), (2, 3)]], terms: [5])
    #expect(bench.members[0].replica.last == LogPosition(term: View(5), sequence: SequenceNumber(2)))
  }

  @Test("Nonsense is refused and changes nothing")
  func nonsense() {
    var bench = RaftBench(3)
    bench.run(4000)
    let leader = bench.leaders[0]
    let follower = (leader + 1) % 3
    let term = bench.members[leader].replica.view
    let narrow = RaftEntry(
      configuration: ConfigurationNumber(0), term: term, cut: Cut(heads: [.empty], time: Timestamp(milliseconds: 1)))
    let before = bench.members[follower].replica.last
    let misfit = RaftMessage.append(term: term, previous: before, entries: [narrow], committed: .zero)
    #expect(bench.give(.raft(misfit, from: leader), to: follower) == .rejected(.malformed))
    let second = RaftMessage.append(term: term, previous: .zero, entries: [], committed: .zero)
    #expect(bench.give(.raft(second, from: follower), to: leader) == .rejected(.equivocation))
    let beyond = RaftMessage.appended(term: term, match: SequenceNumber(1 << 40))
    #expect(bench.give(.raft(beyond, from: follower), to: leader) == .rejected(.malformed))
    #expect(bench.give(.status(Self.status, from: leader), to: follower) == .ignored(.idle))
    #expect(bench.members[follower].replica.last == before)
  }

  private static let status = Status(
    configuration: ConfigurationNumber(0), view: View(0), isChanging: false, viewChanges: ReplicaSet(),
    decided: .zero, slots: [])
}
