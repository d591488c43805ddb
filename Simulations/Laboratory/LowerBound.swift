internal import Messages
internal import Primitives
internal import Simulator

/// The least time in which messages alone can bring a transaction to its commit at its own hospital, without disks,
/// processors, queues and jitter, for any leader.
///
/// It is a bound and not an estimate: every way is the shortest, over any members, and the leader is the one that suits
/// the author best. It holds while nobody joins or leaves; where somebody does there is none.
struct LowerBound {
  /// One-way times between members in milliseconds, over the shortest way.
  private let ways: [[Double]]
  private let quorum: Int
  private let engine: OrderingEngine

  /// The bounds of a network of a given number of members.
  init(_ network: NetworkModel, count: Int, quorum: Int, engine: OrderingEngine) {
    let used = Set((0..<count).map { network.region(of: $0) }).sorted()
    var between = used.map { a in used.map { b in network.latency[a][b].inMilliseconds } }
    // A message may go over others: gossip carries it on, and so does a member that answers.
    for via in used.indices {
      for a in used.indices {
        for b in used.indices { between[a][b] = min(between[a][b], between[a][via] + between[via][b]) }
      }
    }
    let places = (0..<count).map { used.firstIndex(of: network.region(of: $0)) ?? 0 }
    self.ways = (0..<count).map { a in (0..<count).map { b in a == b ? 0 : between[places[a]][places[b]] } }
    (self.quorum, self.engine) = (quorum, engine)
  }

  /// The bound for an author's transactions in milliseconds, for any leader.
  func bound(author: Int) -> Double {
    self.ways.indices.map { leader in
      switch self.engine {
      case .pbft: self.pbft(author, leader)
      case .raft: self.raft(author, leader)
      }
    }.min() ?? 0
  }

  /// Block, pre-prepare, prepares, commits, each over the quorum-th fastest way.
  private func pbft(_ author: Int, _ primary: Int) -> Double {
    let all = self.ways.indices
    let proposal = all.map { max(self.ways[author][primary] + self.ways[primary][$0], self.ways[author][$0]) }
    let prepared = all.map { j in all.map { proposal[$0] + self.ways[$0][j] }.sorted()[self.quorum - 1] }
    return all.map { prepared[$0] + self.ways[$0][author] }.sorted()[self.quorum - 1]
  }

  /// Block, entry, a majority's answers, and the word that it is committed.
  private func raft(_ author: Int, _ leader: Int) -> Double {
    let ready = self.ways[author][leader]
    let answers = self.ways.indices.map { member in
      member == leader
        ? ready : max(ready + self.ways[leader][member], self.ways[author][member]) + self.ways[member][leader]
    }
    return answers.sorted()[self.quorum - 1] + self.ways[leader][author]
  }
}
