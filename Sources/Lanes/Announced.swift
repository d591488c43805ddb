import Messages
import Primitives

/// What members announced of one lane.
///
/// ⚑ An announcement counts only once its digest is known to lie on the branch that is held here (LEDGER §11.3). While
/// it lies ahead of that, the oldest and the newest that a member said are kept, so that a lag never hides all.
struct Announced: Sendable, Equatable {
  private struct Word: Sendable, Equatable {
    var latest = LaneHead.empty
    var oldest: LaneHead?
    var confirmed = LanePosition.zero
  }

  private var words: [Word]
  private let quorum: Int
  /// How many confirmed more than a quorum did.
  private var beyond = 0
  /// The farthest position that anybody announced.
  private(set) var top = LanePosition.zero
  /// The position that a quorum announced of the branch that is held here, this member not counted.
  private(set) var confirmedByQuorum = LanePosition.zero

  init(members: Int, quorum: Int) {
    self.words = Array(repeating: Word(), count: members)
    self.quorum = quorum
  }

  var count: Int { self.words.count }
  /// The last that a member announced.
  func latest(by peer: ReplicaIndex) -> LaneHead { self.words[peer].latest }

  /// The position that a quorum announced, this member not counted, whatever branch they mean.
  var byQuorum: LanePosition {
    guard self.quorum > 1 else { return self.top }
    return self.words.map(\.latest.position).sorted(by: >)[self.quorum - 2]
  }

  mutating func hear(_ head: LaneHead, from peer: ReplicaIndex) -> Bool {
    guard head.position > self.words[peer].latest.position else { return false }
    self.words[peer].latest = head
    self.words[peer].oldest = self.words[peer].oldest ?? head
    self.top = max(self.top, head.position)
    return true
  }

  /// Counts what a member said of the branch that is held here, up to a tip; `includes` tells whether a head lies
  /// there. What was said of positions that are held now is confirmed or false: the newest word takes its place.
  mutating func confirm(by peer: ReplicaIndex, reached tip: LanePosition, _ includes: (LaneHead) -> Bool) {
    guard let oldest = self.words[peer].oldest, oldest.position <= tip else { return }
    let latest = self.words[peer].latest
    if includes(oldest) { self.confirm(oldest.position, by: peer) }
    if latest.position > oldest.position, latest.position <= tip, includes(latest) {
      self.confirm(latest.position, by: peer)
    }
    self.words[peer].oldest = latest.position > tip ? latest : nil
  }

  private mutating func confirm(_ position: LanePosition, by peer: ReplicaIndex) {
    let before = self.words[peer].confirmed
    guard position > before else { return }
    self.words[peer].confirmed = position
    guard self.quorum > 1, position > self.confirmedByQuorum, before <= self.confirmedByQuorum else { return }
    self.beyond += 1
    guard self.beyond >= self.quorum - 1 else { return }
    // So many are beyond it that the nearest of them is where a quorum is now.
    let level = self.confirmedByQuorum
    let next = self.words.reduce(position) { $1.confirmed > level ? min($0, $1.confirmed) : $0 }
    self.confirmedByQuorum = next
    self.beyond = self.words.reduce(0) { $0 + ($1.confirmed > next ? 1 : 0) }
  }
}
