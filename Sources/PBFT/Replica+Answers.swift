import Messages
import Ordering
import Primitives

/// Who answers a member that lags (LEDGER §11.11).
///
/// ⚑ A member tells all others where it stands, and what it lacks is long. Were all to answer, one that lags would be
/// sent everything n times, and verify it. So few answer, chosen by the member and by how far it is; whenever it says
/// the same again, the next few do. In a consortium of four all answer.
extension Replica {
  /// How far a member said that it is, and how often it has said that since.
  struct Said: Sendable, Hashable {
    var decided: SequenceNumber
    var times = 0
  }

  /// Whether this replica is one of those that answer a member which decided so much; each time counts.
  mutating func answers(_ decided: SequenceNumber, of peer: ReplicaIndex) -> Bool {
    let (others, most) = (self.configuration.voterCount - 1, self.parameters.answerersMax)
    guard others > most, !planted(.everybodyAnswers) else { return true }
    var said = self.said[peer] ?? Said(decided: decided, times: -1)
    said = said.decided == decided ? said : Said(decided: decided, times: -1)
    said.times = (said.times + 1) % others
    self.said[peer] = said
    let rank = self.rank(of: self.index, for: peer, at: decided)
    return (rank + others - said.times * most % others) % others < most
  }

  /// A member's place among the others when `peer` has decided so much: each time another is the first.
  func rank(of member: ReplicaIndex, for peer: ReplicaIndex, at decided: SequenceNumber) -> Int {
    let others = UInt64(self.configuration.voterCount - 1)
    guard others > 0 else { return 0 }
    let place = self.configuration.voters.count { $0 < member && $0 != peer }
    let mixed = (decided.number &+ UInt64(peer) &+ 1) &* 0x9E37_79B9_7F4A_7C15
    return Int((UInt64(place) + (mixed >> 32)) % others)
  }
}
