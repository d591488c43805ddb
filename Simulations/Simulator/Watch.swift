internal import Wire
internal import HealthRecords
internal import Merkle
internal import Rules
internal import Ledger
internal import Messages
internal import Ordering
internal import NodeCore
internal import Primitives

/// Watches what correct members say, and catches the first that contradicts itself, across its crashes too.
///
/// Agreement breaks late and seldom; these promises break at once. I3 (one vote a view and number), LEDGER §2 (an honest
/// hospital never forks its lane), LEDGER §3 (nothing of a view that was left; a view change tells what was committed),
/// LEDGER §6 (one tree head a size).
public final class Watch {
  private struct Spoken: Hashable {
    let member: ReplicaIndex
    let kind: MessageKind
    let view: UInt64
    let number: UInt64
  }

  /// The first promise that was broken, in words.
  public private(set) var breach: String?
  private var spoken: [Spoken: Digest] = [:]
  private var left: [ReplicaIndex: View] = [:]
  private var commits: [ReplicaIndex: [SequenceNumber: View]] = [:]
  private let lanes: [MemberID: ReplicaIndex]

  init(_ configuration: Configuration) {
    self.lanes = Dictionary(uniqueKeysWithValues: configuration.members.enumerated().map { ($0.element.id, $0.offset) })
  }

  /// A correct member sends a packet.
  func observe(_ packet: Packet, from member: ReplicaIndex) {
    guard self.breach == nil, let message = packet.message else { return }
    switch message {
    case .block(let block) where self.lanes[block.header.author] == member:
      self.claim(Spoken(member: member, kind: .block, view: 0, number: block.header.position.number), block.digest)
    case .ordering(let content, _) where content.signer == member: self.observe(content, from: member)
    case .cosignature(let cosignature) where cosignature.signer == member:
      self.claim(
        Spoken(member: member, kind: .cosignature, view: 0, number: cosignature.sequence.number), cosignature.body)
    default: break
    }
  }

  private func observe(_ message: OrderingMessage, from member: ReplicaIndex) {
    switch message {
    case .prePrepare(let signed):
      let content = signed.content
      self.vote(.prePrepare, content.view, content.sequence, content.cut.digest, by: member)
    case .prepare(let signed):
      let ballot = signed.content.ballot
      self.vote(.prepare, ballot.view, ballot.sequence, ballot.digest, by: member)
    case .commit(let signed):
      let ballot = signed.content.ballot
      self.vote(.commit, ballot.view, ballot.sequence, ballot.digest, by: member)
      let earlier = self.commits[member]?[ballot.sequence] ?? View(0)
      self.commits[member, default: [:]][ballot.sequence] = max(earlier, ballot.view)
    case .viewChange(let signed): self.leave(signed.content, by: member)
    case .newView, .decision: break
    }
  }

  private func vote(
    _ kind: MessageKind, _ view: View, _ sequence: SequenceNumber, _ digest: Digest, by member: ReplicaIndex
  ) {
    self.claim(Spoken(member: member, kind: kind, view: view.number, number: sequence.number), digest)
  }

  private func claim(_ spoken: Spoken, _ digest: Digest) {
    if let earlier = self.spoken.updateValue(digest, forKey: spoken), earlier != digest {
      self.breach =
        "I3: member \(spoken.member) signed two of one \(spoken.kind.rawValue), view \(spoken.view), "
        + "number \(spoken.number)"
    }
  }

  private func leave(_ change: ViewChange, by member: ReplicaIndex) {
    self.left[member] = max(self.left[member] ?? View(0), change.view)
    let base = change.base?.sequence ?? .zero
    for (sequence, view) in self.commits[member] ?? [:] where sequence > base && view < change.view {
      let tells = change.prepared.contains { $0.sequence == sequence && $0.view >= view }
      if !tells { self.breach = "LEDGER §3: member \(member) left for \(change.view) and hides its commit at \(sequence)" }
    }
    self.commits[member] = self.commits[member]?.filter { $0.key > base }
  }

  /// A correct member makes a vote: none of a view that it left may be made.
  func observeMade(_ message: OrderingMessage, by member: ReplicaIndex) {
    let view: View? =
      switch message {
      case .prePrepare(let signed): signed.content.view
      case .prepare(let signed): signed.content.ballot.view
      case .commit(let signed): signed.content.ballot.view
      case .viewChange, .newView, .decision: nil
      }
    guard self.breach == nil, let view, let left = self.left[member], view < left else { return }
    self.breach = "LEDGER §3: member \(member) votes in view \(view) after it asked for \(left)"
  }
}

/// The reference: a ledger of one node, written as plainly as possible, that reads what was decided and says what must
/// have become of every transaction (I5, I10, LEDGER §5).
struct NaiveLedger {
  private var seen: Set<Digest> = []
  private var leaves: [Digest] = []
  private let genesis: Genesis

  init(_ genesis: Genesis) { self.genesis = genesis }

  /// Checks the next executed cut against its blocks; a sentence where they do not agree.
  mutating func check(_ write: ExecutionWrite, after previous: Cut, blocks: [Block]) -> String? {
    let at = write.record.sequence
    guard write.cut == previous || write.cut.time > previous.time else { return "LEDGER §3: time goes back at \(at)" }
    var outcomes: [UInt16] = []
    for block in blocks {
      for transaction in (try? block.transactions()) ?? [] {
        let number = outcomes.count
        guard number < write.record.outcomes.count else { return "LEDGER §5: outcomes are missing at \(at)" }
        let stated = write.record.outcomes[number]
        let allowed = self.judge(transaction, at: write.cut.time)
        guard allowed.contains(stated) else {
          return "LEDGER §5: transaction \(number) of \(at) has outcome \(stated), not one of \(allowed.sorted())"
        }
        outcomes.append(stated)
        self.leaves.append(
          MerkleHash.leaf(
            LogEntry(
              sequence: at, time: write.cut.time, outcome: OutcomeCode(stated), transaction: transaction
            ).encoded))
      }
    }
    guard outcomes.count == write.record.outcomes.count else { return "LEDGER §5: outcomes too many at \(at)" }
    return nil
  }

  private mutating func judge(_ transaction: Transaction, at time: Timestamp) -> Set<UInt16> {
    let identifier = transaction.identifier(network: self.genesis.network)
    let isKnown = self.seen.contains(identifier)
    // The identifier of what is over may be kept a little longer than it must.
    if transaction.validUntil < time {
      return isKnown
        ? [OutcomeCode.duplicate.number, OutcomeCode.expired.number] : [OutcomeCode.expired.number]
    }
    if isKnown { return [OutcomeCode.duplicate.number] }
    if transaction.validUntil > time.adding(milliseconds: self.genesis.limits.transactionLifeMilliseconds) {
      return [OutcomeCode.tooFar.number]
    }
    self.seen.insert(identifier)
    return transaction.kind == TransactionKind.commitDigests.rawValue
      ? [OutcomeCode.applied.number] : Set(UInt16.min...UInt16.max)
  }

  /// The root of everything that was executed, by RFC 6962's own recursion.
  func root() -> Digest { Self.root(self.leaves[...]) }

  private static func root(_ leaves: ArraySlice<Digest>) -> Digest {
    if leaves.isEmpty { return MerkleHash.empty }
    if leaves.count == 1 { return leaves[leaves.startIndex] }
    var split = 1
    while split * 2 < leaves.count { split *= 2 }
    let middle = leaves.startIndex + split
    return MerkleHash.node(self.root(leaves[..<middle]), self.root(leaves[middle...]))
  }
}
