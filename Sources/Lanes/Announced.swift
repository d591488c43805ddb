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

  func unconfirmed(by peer: ReplicaIndex) -> [LaneHead] {
    let word = self.words[peer]
    guard let oldest = word.oldest else { return [] }
    return oldest == word.latest ? [oldest] : [oldest, word.latest]
  }

  mutating func confirm(_ head: LaneHead, by peer: ReplicaIndex) {
    guard head.position > self.words[peer].confirmed else { return }
    self.words[peer].confirmed = head.position
    guard self.quorum > 1, head.position > self.confirmedByQuorum else { return }
    self.confirmedByQuorum = self.words.map(\.confirmed).sorted(by: >)[self.quorum - 2]
  }

  /// What was said of positions that are held now is confirmed or false: the newest word takes its place.
  mutating func refill(_ peer: ReplicaIndex, reached tip: LanePosition) {
    guard let oldest = self.words[peer].oldest, oldest.position <= tip else { return }
    let latest = self.words[peer].latest
    self.words[peer].oldest = latest.position > tip ? latest : nil
  }
}
