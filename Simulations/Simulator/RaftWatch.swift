internal import Ledger
internal import Messages
internal import Primitives
internal import Raft

/// Watches what Raft members say: the properties of figure 3 that show in messages, across crashes too.
///
/// Election Safety (one leader a term, one vote a term), Log Matching (one entry for a term and a place), and that an
/// acknowledgement is only given for what is on the disk (Ongaro & Ousterhout 2014, §5.2, §5.3).
struct RaftWatch {
  private struct Claim: Hashable {
    let term: View
    let number: UInt64
  }

  private let configuration: ConfigurationNumber
  private var votes: [Claim: ReplicaIndex] = [:]
  private var leaders: [View: ReplicaIndex] = [:]
  private var entries: [Claim: Digest] = [:]

  init(_ configuration: ConfigurationNumber) { self.configuration = configuration }

  /// A correct member says something to another; a sentence where it may not.
  mutating func observe(
    _ message: RaftMessage, from member: ReplicaIndex, to peer: ReplicaIndex, _ disk: SimulatedDisk
  ) -> String? {
    switch message {
    case .voteRequest(let term, _, _): return self.give(member, to: member, in: term, disk)
    case .vote(let term, isGranted: true): return self.give(member, to: peer, in: term, disk)
    case .append(let term, let previous, let entries, _):
      if let other = self.leaders.updateValue(member, forKey: term), other != member {
        return "Raft §5.2: members \(other) and \(member) both lead term \(term)"
      }
      for (offset, entry) in entries.enumerated() {
        let number = previous.sequence.number + UInt64(offset) + 1
        let digest = entry.cut.digest
        if let other = self.entries.updateValue(digest, forKey: Claim(term: entry.term, number: number)),
          other != digest
        {
          return "Raft §5.3: two entries of term \(entry.term) at \(number)"
        }
      }
      return nil
    case .appended(_, let match):
      // What is acknowledged is durable with all its blocks.
      for number in disk.position.sequence.number..<max(match.number, disk.position.sequence.number) {
        let sequence = SequenceNumber(number + 1)
        guard let cut = disk.decisions[sequence]?.cut ?? disk.entries[sequence]?.cut else {
          return "LEDGER §4: member \(member) acknowledges \(sequence), which is not on its disk"
        }
        // What is decided without its blocks is being fetched; only what the entry adds is acknowledged with it.
        let before = disk.decisions[sequence.previous]?.cut ?? disk.entries[sequence.previous]?.cut
        guard disk.decisions[sequence] == nil else { continue }
        for (lane, head) in cut.heads.enumerated() where head.position > .zero && before?.heads[lane] != head {
          guard disk.blocks[lane][head.position]?.contains(where: { $0.digest == head.digest }) == true else {
            return "LEDGER §4: member \(member) acknowledges \(sequence) without the blocks of lane \(lane)"
          }
        }
      }
      return nil
    case .preVoteRequest, .preVote, .vote, .refused, .timeoutNow, .untimely: return nil
    }
  }

  /// A member's step is over: what a leader commits ends with an entry of its own term (Raft §5.4.2).
  func observeStep(_ replica: RaftReplica, by member: ReplicaIndex, decidedBefore: SequenceNumber) -> String? {
    guard replica.leader == member, replica.decided > decidedBefore, let last = replica.lastDecision,
      last.view != replica.view,
      // Where the configuration ends, what commits it stands above, and is void.
      last.sequence != replica.closing
    else { return nil }
    return "Raft §5.4.2: member \(member) leads term \(replica.view) and commits \(last.sequence) of term \(last.view)"
  }

  private mutating func give(
    _ voter: ReplicaIndex, to candidate: ReplicaIndex, in term: View, _ disk: SimulatedDisk
  ) -> String? {
    let isCurrent = disk.viewOf == self.configuration
    guard
      disk.viewOf > self.configuration
        || (isCurrent && (disk.view > term || (disk.view == term && disk.vote == candidate)))
    else {
      return "Raft §5.2: member \(voter) votes in term \(term) before that is on its disk"
    }
    let claim = Claim(term: term, number: UInt64(voter))
    guard let other = self.votes.updateValue(candidate, forKey: claim), other != candidate else { return nil }
    return "Raft §5.2: member \(voter) votes for \(other) and for \(candidate) in term \(term)"
  }
}
