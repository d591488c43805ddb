// Goal: few answer a member that lags, others when it says the same again, and it asks those few (LEDGER §11.11).
// Method: sixteen replicas that decided something, one status; who answers is counted.
import Messages
import Ordering
import PBFT
import Primitives
import Signing
import Testing

@Suite("PBFT: answers")
struct AnswersTests {
  /// Lanes of which nothing is held.
  private struct NoLanes: LaneReader {
    func proposable(lane: Int) -> LaneHead { .empty }
    func orderable(lane: Int) -> LanePosition { .zero }
    func extent(lane: Int, from base: LaneHead, to head: LaneHead) -> LaneExtension { .missing }
    func growth(
      lane: Int, from base: LaneHead, within room: LaneRoom
    ) -> (head: LaneHead, transactions: UInt64, bytes: UInt64) { (base, 0, 0) }
  }

  private static let moment = Moment(tick: .zero, wall: Timestamp(milliseconds: Wall.start))

  private func replicas(_ count: Int, decided: UInt64) -> [Replica] {
    let consortium = Consortium(count: count)
    return (0..<count).map { index in
      var state = OrderingState()
      let heads = Array(repeating: LaneHead.empty, count: count)
      state.lastDecision = Decision(
        configuration: ConfigurationNumber(0), view: View(0), sequence: SequenceNumber(decided),
        cut: Cut(heads: heads, time: Timestamp(milliseconds: Wall.start)), evidence: .commits([]))
      return consortium.replica(index, restoring: state)
    }
  }

  private func status(decided: UInt64) -> Status {
    Status(
      configuration: ConfigurationNumber(0), view: View(0), isChanging: false, viewChanges: ReplicaSet(),
      decided: SequenceNumber(decided), slots: [])
  }

  /// Who sends decisions to a member that says that it has decided so much.
  private func answerers(_ replicas: inout [Replica], to peer: Int, decided: UInt64) -> Set<Int> {
    var out: Set<Int> = []
    for index in replicas.indices where index != peer {
      var effects: [OrderingEffect] = []
      _ = replicas[index].step(
        .status(self.status(decided: decided), from: peer), at: Self.moment, lanes: NoLanes(), into: &effects)
      if effects.contains(where: { if case .sendDecisions = $0 { true } else { false } }) { out.insert(index) }
    }
    return out
  }

  @Test("LEDGER §11.11: three answer a member that lags, and the next three when it says the same again")
  func rotating() {
    var replicas = self.replicas(16, decided: 500)
    var all: Set<Int> = []
    for _ in 0..<5 {
      let answerers = self.answerers(&replicas, to: 7, decided: 100)
      #expect(answerers.count == 3 && answerers.isDisjoint(with: all))
      all.formUnion(answerers)
    }
    #expect(all.count == 15)
  }

  @Test("LEDGER §11.11: as it comes on, others answer it")
  func others() {
    var replicas = self.replicas(16, decided: 500)
    let sets = (0..<12).map { self.answerers(&replicas, to: 7, decided: UInt64(100 + 16 * $0)) }
    #expect(sets.allSatisfy { $0.count == 3 })
    #expect(sets.reduce(into: Set<Int>()) { $0.formUnion($1) }.count > 10)
  }

  @Test("Of four members all others answer")
  func four() {
    var replicas = self.replicas(4, decided: 500)
    for _ in 0..<3 { #expect(self.answerers(&replicas, to: 2, decided: 100) == [0, 1, 3]) }
  }

  @Test("LEDGER §11.11: a member asks one of those that will answer")
  func asks() {
    var (replicas, laggard) = (self.replicas(16, decided: 500), self.replicas(16, decided: 100)[7])
    var asked: Set<Int> = []
    for turn in 0..<9 {
      var effects: [OrderingEffect] = []
      let now = Moment(tick: .zero + .milliseconds(UInt64(turn) * 60), wall: Timestamp(milliseconds: Wall.start))
      for peer in 0..<16 where peer != 7 {
        _ = laggard.step(.status(self.status(decided: 500), from: peer), at: now, lanes: NoLanes(), into: &effects)
      }
      for case .sendStatus(let peer?, _) in effects { asked.insert(peer) }
    }
    // In the first turn it has heard of one only.
    let answerers = self.answerers(&replicas, to: 7, decided: 100)
    #expect(asked.subtracting(answerers).count <= 1)
    #expect(!asked.isDisjoint(with: answerers))
  }
}
