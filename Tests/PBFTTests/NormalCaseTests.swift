// Goal: the normal case of Castro & Liskov 1999 §4.2 and the rules of LEDGER §3, one test a rule.
// Method: one replica, signed messages, one step; disposition and effects are compared.
import Messages
import Ordering
import PBFT
import Primitives
import Signing
import Testing

@Suite("PBFT: normal case")
struct NormalCaseTests {
  private let first = cut([1, 0, 0, 0], at: 10)
  private let second = cut([2, 0, 0, 0], at: 20)

  /// The step before kept proof that a member contradicted itself, and it holds.
  private func expectProof(of culprit: Int, _ kind: VoteEvidence.Kind, _ bench: Bench) {
    let kept = bench.effects.compactMap { effect -> VoteEvidence? in
      if case .persist(.evidence(let evidence)) = effect { evidence } else { nil }
    }
    #expect(kept.count == 1 && kept.first?.culprit == culprit && kept.first?.kind == kind)
    #expect(
      kept.allSatisfy { $0.isAuthentic(network: bench.consortium.network, in: bench.consortium.configuration) })
  }

  @Test("§4.2: the primary proposes as soon as it holds lane growth itself")
  func primaryProposes() {
    var bench = Bench(0)
    bench.lanes.held = [0, 3, 0, 0]
    bench.give(.lanesAdvanced)
    #expect(bench.castProposals.map(\.cut.heads[1].position.number) == [3])
    #expect(bench.castProposals.map(\.sequence.number) == [1])
  }

  @Test("§4.2: a backup proposes nothing")
  func backupDoesNotPropose() {
    var bench = Bench(1)
    bench.lanes.held = [0, 3, 0, 0]
    bench.give(.lanesAdvanced)
    #expect(bench.castProposals.isEmpty)
  }

  @Test("§4.2: a backup stores an acceptable pre-prepare before it prepares it")
  func backupPrepares() {
    var bench = Bench(1)
    #expect(bench.give(bench.consortium.proposal(1, self.first)) == .accepted)
    #expect(bench.castPrepares == [1])
    let persisted = bench.effects.firstIndex { if case .persist(.prePrepare) = $0 { true } else { false } }
    let cast = bench.effects.firstIndex { if case .cast(.prepare) = $0 { true } else { false } }
    #expect(persisted != nil && cast != nil && (persisted ?? 9) < (cast ?? 0))
  }

  @Test("§4.2: only the view's primary proposes")
  func onlyPrimaryProposes() {
    var bench = Bench(1)
    let forged = bench.consortium.sign(bench.consortium.prePrepare(1, self.first), by: 2)
    #expect(bench.give(.prePrepare(forged)) == .rejected(.notPrimary))
    #expect(bench.effects.allSatisfy { if case .cast = $0 { false } else { true } })
  }

  @Test("§4.2: a second, different pre-prepare at one number is evidence, and the first stays")
  func equivocatingPrimary() {
    var bench = Bench(1)
    bench.give(bench.consortium.proposal(1, self.first))
    let other = cut([0, 1, 0, 0], at: 10)
    #expect(bench.give(bench.consortium.proposal(1, other)) == .rejected(.equivocation))
    #expect(bench.effects.contains(.report(.equivocation(0, what: "pre-prepare"))))
    self.expectProof(of: 0, .prePrepare, bench)
    #expect(bench.castPrepares.isEmpty)
  }

  @Test("§4.2: a repeated message changes nothing")
  func duplicates() {
    var bench = Bench(1)
    bench.give(bench.consortium.proposal(1, self.first))
    bench.give(bench.consortium.prepare(1, self.first, by: 2))
    let before = bench.replica
    #expect(bench.give(bench.consortium.proposal(1, self.first)) == .ignored(.duplicate))
    #expect(bench.give(bench.consortium.prepare(1, self.first, by: 2)) == .ignored(.duplicate))
    #expect(bench.replica == before)
  }

  @Test("§4.2: two votes of one replica for two digests are evidence")
  func equivocatingBackup() {
    var bench = Bench(1)
    bench.give(bench.consortium.prepare(1, self.first, by: 2))
    #expect(bench.give(bench.consortium.prepare(1, self.second, by: 2)) == .rejected(.equivocation))
    self.expectProof(of: 2, .prepare, bench)
    // One proof of each kind is enough: whoever goes on lying fills no disk.
    let third = cut([3, 0, 0, 0], at: 30)
    #expect(bench.give(bench.consortium.prepare(1, third, by: 2)) == .rejected(.equivocation))
    #expect(!bench.effects.contains { if case .persist(.evidence) = $0 { true } else { false } })
  }

  @Test("§4.2: prepared needs the pre-prepare and Q matching prepares, the primary's counting as one")
  func preparedQuorum() {
    var bench = Bench(1)
    bench.give(bench.consortium.proposal(1, self.first))
    bench.give(bench.consortium.prepare(1, self.first, by: 1))
    #expect(bench.castCommits.isEmpty)
    bench.give(bench.consortium.prepare(1, self.first, by: 2))
    #expect(bench.castCommits == [1])
  }

  @Test("§4.2: prepares for another digest do not count")
  func otherDigest() {
    var bench = Bench(1)
    bench.give(bench.consortium.proposal(1, self.first))
    bench.give(bench.consortium.prepare(1, self.second, by: 2))
    bench.give(bench.consortium.prepare(1, self.first, by: 1))
    #expect(bench.castCommits.isEmpty)
  }

  @Test("§4.2: committed needs Q commits; execution follows in sequence order")
  func committedQuorum() {
    var bench = Bench(1)
    for (sequence, cut) in [(UInt64(1), self.first), (2, self.second)] {
      bench.give(bench.consortium.proposal(sequence, cut))
      for index in [1, 2] { bench.give(bench.consortium.prepare(sequence, cut, by: index)) }
    }
    for index in [0, 1, 2] { bench.give(bench.consortium.commit(2, self.second, by: index)) }
    #expect(bench.delivered.isEmpty)
    for index in [0, 2] { bench.give(bench.consortium.commit(1, self.first, by: index)) }
    #expect(bench.delivered.isEmpty)
    bench.give(bench.consortium.commit(1, self.first, by: 1))
    #expect(bench.delivered == [1, 2])
  }

  @Test("LEDGER §3, in order: the pre-prepare of s + 1 waits for that of s")
  func inOrder() {
    var bench = Bench(1)
    bench.give(bench.consortium.proposal(2, self.second))
    #expect(bench.castPrepares.isEmpty)
    bench.give(bench.consortium.proposal(1, self.first))
    #expect(bench.castPrepares == [1, 2])
  }

  @Test("LEDGER §3: a cut that goes back, or stands still in time, is never prepared")
  func badCuts() {
    var bench = Bench(1)
    bench.give(bench.consortium.proposal(1, self.second))
    bench.give(bench.consortium.proposal(2, cut([1, 0, 0, 0], at: 30)))
    #expect(bench.castPrepares.isEmpty)
    var other = Bench(1)
    other.give(other.consortium.proposal(1, self.first))
    other.give(other.consortium.proposal(2, cut([2, 0, 0, 0], at: 10)))
    #expect(other.castPrepares.isEmpty)
  }

  @Test("LEDGER §3: a fresh cut whose time is far from the backup's clock is not accepted")
  func clockDrift() {
    var bench = Bench(1)
    #expect(bench.give(bench.consortium.proposal(1, cut([1, 0, 0, 0], at: 60_000))) == .ignored(.badTime))
    #expect(bench.castPrepares.isEmpty)
  }

  @Test("LEDGER §3: at most pipelineMax numbers are open at the primary")
  func pipeline() {
    var bench = Bench(0)
    // Here each block holds one transaction only.
    bench.replica = bench.consortium.replica(0) { $0.laneOpenBlocksMax = 1 << 20 }
    var proposed: [UInt64] = []
    for step in 1...200 {
      bench.lanes.held = Array(repeating: UInt64(step * 500), count: 4)
      bench.give(.lanesAdvanced)
      for proposal in bench.castProposals {
        proposed.append(proposal.sequence.number)
        bench.give(.prePrepare(bench.consortium.sign(proposal, by: 0)))
      }
    }
    #expect(proposed.max() == LedgerLimits().pipelineMax)
  }

  @Test("LEDGER §2: from e + pipelineMax on a cut that grows a forked lane is invalid for backups")
  func frozenLane() {
    var bench = Bench(1)
    bench.give(.laneForked(lane: 0, at: .zero))
    for sequence in UInt64(1)...7 {
      bench.give(bench.consortium.proposal(sequence, cut([sequence, 0, 0, 0], at: sequence)))
      #expect(bench.castPrepares == [sequence])
    }
    bench.give(bench.consortium.proposal(8, cut([8, 0, 0, 0], at: 8)))
    #expect(bench.castPrepares.isEmpty)
  }

  @Test("LEDGER §2: a primary proposes nothing of a lane whose fork is on the ledger")
  func frozenLaneProposal() {
    var bench = Bench(0)
    bench.lanes.held = [0, 5, 5, 0]
    bench.give(.laneForked(lane: 1, at: .zero))
    #expect(bench.castProposals.map { $0.cut.heads.map(\.position.number) } == [[0, 0, 5, 0]])
  }

  @Test("LEDGER §3, deadlines: a due deadline of the state makes the primary propose a cut in which no lane grew")
  func deadline() {
    var bench = Bench(0)
    bench.lanes.held = [0, 0, 0, 0]
    bench.give(.executed(.zero, deadline: Timestamp(milliseconds: Wall.start + 100)))
    #expect(bench.castProposals.isEmpty)
    bench.wait(100)
    bench.give(.timerFired)
    #expect(bench.castProposals.map { $0.cut.heads.map(\.position.number) } == [[0, 0, 0, 0]])
  }

  @Test("I3: a restarted replica prepares again what it had accepted, and nothing else at that number")
  func restart() {
    var state = OrderingState()
    let consortium = Consortium()
    state.prePrepares = [consortium.sign(consortium.prePrepare(1, self.first), by: 0)]
    var bench = Bench(1, restoring: state)
    bench.give(.timerFired)
    #expect(bench.castPrepares == [1])
    #expect(bench.give(bench.consortium.proposal(1, cut([0, 1, 0, 0], at: 10))) == .rejected(.equivocation))
    #expect(bench.castPrepares.isEmpty)
  }

  @Test("LEDGER §3: a decision proves itself: a replica that saw no vote takes it from anyone")
  func decisionAlone() {
    var bench = Bench(3)
    #expect(bench.give(.decision(bench.consortium.decision(1, self.first))) == .accepted)
    #expect(bench.delivered == [1])
  }

  @Test("LEDGER §3: a decision with too few commits is none")
  func weakDecision() {
    let consortium = Consortium()
    let whole = consortium.decision(1, self.first)
    let weak = Decision(
      configuration: whole.configuration, view: whole.view, sequence: whole.sequence, cut: whole.cut,
      evidence: .commits(Array(whole.commits.prefix(2))))
    let verified = OrderingMessage.verify(
      .decision(weak), network: consortium.network, in: consortium.configuration)
    #expect(verified == nil)
  }
}
