// Goal: view changes of Castro & Liskov 1999 §4.4 and §4.5.2 with the rules of LEDGER §3, and the executions of
// LEDGER §10 that one replica can show, by name. Method: one replica, signed messages, effects compared.
import Messages
import Ordering
import PBFT
import Primitives
import Signing
import Testing

@Suite("PBFT: view changes")
struct ViewChangeTests {
  private let first = cut([1, 0, 0, 0], at: 10)

  /// The NewView that a primary casts when it holds these view changes.
  private func newView(_ view: UInt64, from changes: [Signed<ViewChange>], at index: Int) -> [PrePrepare]? {
    var bench = Bench(index)
    for change in changes { bench.give(.viewChange(change)) }
    for case .newView(_, _, let prePrepares) in bench.casts { return prePrepares }
    // Its own view change completes the quorum only once it is handed back.
    return nil
  }

  @Test("§4.4: something orderable that is not executed in time ends the view; the view is durable first")
  func timeout() {
    var bench = Bench(1)
    bench.lanes.announced = [1, 0, 0, 0]
    bench.give(.timerFired)
    bench.wait(2100)
    bench.give(.timerFired)
    #expect(bench.castViewChanges == [1])
    let persisted = bench.effects.firstIndex(of: .persist(.view(ConfigurationNumber(0), View(1), isChanging: true)))
    let cast = bench.effects.firstIndex { if case .cast(.viewChange) = $0 { true } else { false } }
    #expect((persisted ?? 9) < (cast ?? 0))
  }

  @Test("§4.4: an idle replica never leaves its view")
  func idle() {
    var bench = Bench(1)
    for _ in 0..<100 {
      bench.wait(2000)
      bench.give(.timerFired)
      #expect(bench.castViewChanges.isEmpty)
    }
  }

  @Test("§4.5.2: f + 1 view changes for higher views make a replica join the smallest; f do not")
  func joins() {
    var bench = Bench(3)
    bench.give(.viewChange(bench.consortium.viewChange(5, base: nil, prepared: [], by: 1)))
    #expect(bench.castViewChanges.isEmpty)
    bench.give(.viewChange(bench.consortium.viewChange(2, base: nil, prepared: [], by: 2)))
    #expect(bench.castViewChanges == [2])
  }

  @Test("LEDGER §3: the primary of a view may end it; others join")
  func gracefulStop() {
    var bench = Bench(3)
    bench.give(.viewChange(bench.consortium.viewChange(1, base: nil, prepared: [], by: 0)))
    #expect(bench.castViewChanges == [1])
  }

  @Test("LEDGER §10.13, runaway view: without Q view changes a replica re-sends its own and goes no further")
  func runawayView() {
    var bench = Bench(3)
    bench.lanes.announced = [1, 0, 0, 0]
    bench.give(.timerFired)
    bench.wait(2100)
    bench.give(.timerFired)
    #expect(bench.castViewChanges == [1])
    for _ in 0..<50 {
      bench.wait(60_000)
      bench.give(.timerFired)
      #expect(bench.castViewChanges.allSatisfy { $0 == 1 })
    }
    #expect(bench.replica.view == View(1))
    for index in 0..<3 { bench.give(.viewChange(bench.consortium.viewChange(1, base: nil, prepared: [], by: index))) }
    bench.wait(60_000)
    bench.give(.timerFired)
    #expect(bench.castViewChanges == [2])
  }

  @Test("LEDGER §10.4, vote after leaving: late prepares move nothing of a view that was left")
  func voteAfterLeaving() {
    var bench = Bench(1)
    bench.give(bench.consortium.proposal(1, self.first))
    bench.give(bench.consortium.prepare(1, self.first, by: 1))
    bench.give(.viewChange(bench.consortium.viewChange(1, base: nil, prepared: [], by: 0)))
    #expect(bench.castViewChanges == [1])
    #expect(bench.give(bench.consortium.prepare(1, self.first, by: 2)) == .ignored(.staleView))
    #expect(bench.castCommits.isEmpty)
    var state = OrderingState()
    (state.view, state.isChanging) = (View(1), true)
    state.prePrepares = [bench.consortium.sign(bench.consortium.prePrepare(1, self.first), by: 0)]
    var restarted = Bench(1, restoring: state)
    restarted.give(.timerFired)
    for index in [1, 2] { restarted.give(restarted.consortium.prepare(1, self.first, by: index)) }
    #expect(restarted.castCommits.isEmpty && restarted.castPrepares.isEmpty)
  }

  @Test("LEDGER §10.4: a decision of a view that was left is still taken")
  func decisionAfterLeaving() {
    var bench = Bench(1)
    bench.give(.viewChange(bench.consortium.viewChange(1, base: nil, prepared: [], by: 0)))
    bench.give(.decision(bench.consortium.decision(1, self.first)))
    #expect(bench.delivered == [1])
  }

  @Test("LEDGER §10.1, stale above newer: a prepared cut that does not extend the one chosen below it becomes null")
  func staleAboveNewer() {
    let consortium = Consortium()
    let base = consortium.decision(9, cut([4, 0, 0, 0], at: 9))
    let a = consortium.prepared(10, cut([5, 0, 0, 0], at: 10))
    let b = consortium.prepared(11, cut([6, 0, 0, 0], at: 11))
    let newer = consortium.prepared(10, cut([100, 0, 0, 0], at: 50), view: 2)
    let changes = [
      consortium.viewChange(3, base: base, prepared: [a, b], by: 1),
      consortium.viewChange(3, base: base, prepared: [newer], by: 2),
      consortium.viewChange(3, base: base, prepared: [newer], by: 3),
    ]
    let proposed = self.newView(3, from: changes, at: 3)
    #expect(proposed?.map(\.sequence.number) == [10, 11])
    #expect(proposed?.map(\.cut) == [newer.cut, newer.cut])
  }

  @Test("LEDGER §10.2, commit before predecessor: a commit leaves only when every open number below is prepared")
  func commitBeforePredecessor() {
    var bench = Bench(1)
    let second = cut([2, 0, 0, 0], at: 20)
    bench.give(bench.consortium.proposal(1, self.first))
    bench.give(bench.consortium.proposal(2, second))
    for index in [1, 2] { bench.give(bench.consortium.prepare(2, second, by: index)) }
    #expect(bench.castCommits.isEmpty)
    bench.give(bench.consortium.prepare(1, self.first, by: 1))
    bench.give(bench.consortium.prepare(1, self.first, by: 2))
    #expect(bench.castCommits == [1, 2])
  }

  @Test("LEDGER §10.3, certificate not durable: the whole prepared certificate is written before the commit is cast")
  func certificateDurable() {
    var bench = Bench(1)
    bench.give(bench.consortium.proposal(1, self.first))
    bench.give(bench.consortium.prepare(1, self.first, by: 1))
    bench.give(bench.consortium.prepare(1, self.first, by: 2))
    let kinds = bench.effects.compactMap { effect -> String? in
      switch effect {
      case .persist(.prepared(let certificate)):
        #expect(
          certificate.isAuthentic(network: bench.consortium.network, in: bench.consortium.configuration))
        return "certificate"
      case .cast(.commit): return "commit"
      default: return nil
      }
    }
    #expect(kinds == ["certificate", "commit"])
  }

  @Test("LEDGER §10.7, old time: what a NewView justifies is accepted whatever this clock says")
  func oldTime() {
    let consortium = Consortium()
    let held = consortium.prepared(1, self.first)
    var bench = Bench(2)
    bench.wait(3_600_000)
    let changes = [0, 1, 3].map { consortium.viewChange(1, base: nil, prepared: [held], by: $0) }
    let proposal = consortium.sign(consortium.prePrepare(1, self.first, view: 1), by: 1)
    let newView = consortium.sign(
      NewView(configuration: ConfigurationNumber(0), view: View(1), viewChanges: changes, prePrepares: [proposal]),
      by: 1)
    #expect(bench.give(.newView(newView)) == .accepted)
    #expect(bench.castPrepares == [1])
  }

  @Test("LEDGER §10.8, dropped pre-prepare: one whose blocks are missing waits for them and is then prepared")
  func droppedPrePrepare() {
    var bench = Bench(1)
    bench.lanes.held = [0, 0, 0, 0]
    #expect(bench.give(bench.consortium.proposal(1, self.first)) == .accepted)
    #expect(bench.castPrepares.isEmpty)
    #expect(bench.effects.contains(.fetch(lane: 0, self.first.heads[0])))
    bench.lanes.held = [1, 0, 0, 0]
    bench.give(.lanesAdvanced)
    #expect(bench.castPrepares == [1])
  }

  @Test("§4.4: a NewView that proposes anything but what its view changes oblige it to is refused")
  func badNewView() {
    let consortium = Consortium()
    let held = consortium.prepared(1, self.first)
    let changes = [0, 1, 3].map { consortium.viewChange(1, base: nil, prepared: [held], by: $0) }
    for wrong in [[], [cut([0, 1, 0, 0], at: 10)], [self.first, cut([2, 0, 0, 0], at: 20)]] {
      let proposals = wrong.enumerated().map { offset, cut in
        consortium.sign(consortium.prePrepare(UInt64(offset + 1), cut, view: 1), by: 1)
      }
      let newView = consortium.sign(
        NewView(configuration: ConfigurationNumber(0), view: View(1), viewChanges: changes, prePrepares: proposals),
        by: 1)
      var bench = Bench(2)
      #expect(bench.give(.newView(newView)) == .rejected(.badNewView))
      #expect(bench.replica.view == View(0))
    }
  }

  @Test("§4.4: a NewView with fewer than Q view changes, or from another than the primary, is none")
  func unsoundNewView() {
    let consortium = Consortium()
    let changes = [0, 1].map { consortium.viewChange(1, base: nil, prepared: [], by: $0) }
    let weak = NewView(configuration: ConfigurationNumber(0), view: View(1), viewChanges: changes, prePrepares: [])
    let verified = OrderingMessage.verify(
      .newView(consortium.sign(weak, by: 1)), network: consortium.network, in: consortium.configuration)
    #expect(verified == nil)
    let all = [0, 1, 3].map { consortium.viewChange(1, base: nil, prepared: [], by: $0) }
    let foreign = NewView(configuration: ConfigurationNumber(0), view: View(1), viewChanges: all, prePrepares: [])
    var bench = Bench(2)
    #expect(bench.give(.newView(consortium.sign(foreign, by: 3))) == .rejected(.notPrimary))
  }

  @Test("§4.4: view changes with a forged certificate inside are none")
  func forgedCertificate() {
    let consortium = Consortium()
    let real = consortium.prepared(1, self.first)
    let forged = PreparedCertificate(prePrepare: real.prePrepare, prepares: Array(real.prepares.prefix(1)))
    let change = consortium.viewChange(1, base: nil, prepared: [forged], by: 2)
    let verified = OrderingMessage.verify(
      .viewChange(change), network: consortium.network, in: consortium.configuration)
    #expect(verified == nil)
  }

  @Test("LEDGER §3: two NewViews of one view are evidence, and the first accepted stands")
  func twoNewViews() {
    let consortium = Consortium()
    let held = consortium.prepared(1, self.first)
    func newView(_ signers: [Int], _ prepared: [PreparedCertificate]) -> OrderingMessage {
      let changes = signers.map { consortium.viewChange(1, base: nil, prepared: prepared, by: $0) }
      let proposals = prepared.map { consortium.sign(consortium.prePrepare(1, $0.cut, view: 1), by: 1) }
      return .newView(
        consortium.sign(
          NewView(configuration: ConfigurationNumber(0), view: View(1), viewChanges: changes, prePrepares: proposals),
          by: 1))
    }
    var bench = Bench(2)
    #expect(bench.give(newView([0, 1, 3], [held])) == .accepted)
    #expect(bench.give(newView([0, 1, 3], [])) == .rejected(.equivocation))
    #expect(bench.effects.contains(.report(.equivocation(1, what: "new view"))))
    let kept = bench.effects.compactMap { effect -> VoteEvidence? in
      if case .persist(.evidence(let evidence)) = effect { evidence } else { nil }
    }
    #expect(kept.map(\.kind) == [.newView] && kept.map(\.culprit) == [1])
    #expect(
      kept.allSatisfy { $0.isAuthentic(network: bench.consortium.network, in: bench.consortium.configuration) })
  }

  @Test("§4.4: what several view changes tell alike is verified once, and what differs in one of them is found")
  func differingCertificate() {
    let consortium = Consortium()
    let real = consortium.prepared(1, self.first)
    func isAuthentic(_ third: PreparedCertificate) -> Bool {
      let changes = [(0, real), (1, real), (3, third)].map {
        consortium.viewChange(1, base: nil, prepared: [$1], by: $0)
      }
      let proposal = consortium.sign(consortium.prePrepare(1, self.first, view: 1), by: 1)
      let newView = NewView(
        configuration: ConfigurationNumber(0), view: View(1), viewChanges: changes, prePrepares: [proposal])
      return OrderingMessage.verify(
        .newView(consortium.sign(newView, by: 1)), network: consortium.network, in: consortium.configuration) != nil
    }
    #expect(isAuthentic(real))
    var prepares = real.prepares
    prepares[1] = VoteSignature(signer: prepares[1].signer, signature: prepares[0].signature)
    #expect(!isAuthentic(PreparedCertificate(prePrepare: real.prePrepare, prepares: prepares)))
    let other = consortium.sign(real.prePrepare.content, by: 2)
    let forged = Signed(content: real.prePrepare.content, signer: 0, signature: other.signature)
    #expect(!isAuthentic(PreparedCertificate(prePrepare: forged, prepares: real.prepares)))
  }
}
