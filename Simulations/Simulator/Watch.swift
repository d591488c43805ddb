internal import Raft
internal import PBFT
internal import Signing
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
/// Agreement breaks late and seldom; these promises break at once. I3 (one vote a view and number), LEDGER §2 (an
/// honest hospital never forks its lane), LEDGER §3 (nothing of a view that was left; a view change tells what was
/// committed), LEDGER §6 (one tree head a size), and what a new view must propose.
public final class Watch {
  private struct Spoken: Hashable {
    let member: ReplicaIndex
    let kind: MessageKind
    let configuration: ConfigurationNumber
    let view: UInt64
    let number: UInt64
  }

  /// The first promise that was broken, in words.
  public private(set) var breach: String?
  private var spoken: [Spoken: Digest] = [:]
  /// A member in one configuration: what it promised there binds it there.
  private struct Seat: Hashable {
    let member: ReplicaIndex
    let configuration: ConfigurationNumber
  }

  private var left: [Seat: View] = [:]
  private var asked: [Seat: View] = [:]
  private var commits: [Seat: [SequenceNumber: View]] = [:]
  private var raft: [ConfigurationNumber: RaftWatch] = [:]
  private var configurations: [ConfigurationNumber: Configuration] = [:]

  /// A configuration is in force somewhere.
  func know(_ configuration: Configuration) { self.configurations[configuration.number] = configuration }

  private func lane(of member: MemberID) -> ReplicaIndex? {
    self.configurations.values.lazy.compactMap { $0.index(of: member) }.first
  }

  /// A correct member sends a packet.
  func observe(
    _ packet: Packet, from member: ReplicaIndex, to peer: ReplicaIndex, _ replica: Engine?, _ disk: SimulatedDisk
  ) {
    guard self.breach == nil, let message = packet.message else { return }
    switch message {
    case .block(let block) where self.lane(of: block.header.author) == member:
      self.claim(
        Spoken(
          member: member, kind: .block, configuration: block.header.configuration, view: 0,
          number: block.header.position.number), block.digest)
    case .ordering(let content, _) where content.signer == member:
      self.observe(content, from: member, replica?.pbft)
    case .raft(let number, let content):
      self.breach = self.raft[number, default: RaftWatch(number)].observe(content, from: member, to: peer, disk)
    case .cosignature(let cosignature) where cosignature.signer == member:
      self.claim(
        Spoken(
          member: member, kind: .cosignature, configuration: ConfigurationNumber(0), view: 0,
          number: cosignature.sequence.number), cosignature.body)
    default: break
    }
  }

  private func observe(_ message: OrderingMessage, from member: ReplicaIndex, _ replica: Replica?) {
    let seat = Seat(member: member, configuration: message.configuration)
    switch message {
    case .prePrepare(let signed):
      let content = signed.content
      self.vote(.prePrepare, content.view, content.sequence, content.cut.digest, by: seat)
    case .prepare(let signed):
      let ballot = signed.content.ballot
      self.vote(.prepare, ballot.view, ballot.sequence, ballot.digest, by: seat)
      self.requireOrder(.prepare, ballot, replica, by: member)
    case .commit(let signed):
      let ballot = signed.content.ballot
      self.vote(.commit, ballot.view, ballot.sequence, ballot.digest, by: seat)
      self.requireOrder(.commit, ballot, replica, by: member)
      let earlier = self.commits[seat]?[ballot.sequence] ?? View(0)
      self.commits[seat, default: [:]][ballot.sequence] = max(earlier, ballot.view)
    case .viewChange(let signed): self.leave(signed.content, by: seat)
    case .newView(let signed):
      let digest = Hash.blake2b("consilium/watch/v1", signed.content.encoded)
      self.vote(.newView, signed.content.view, .zero, digest, by: seat)
    case .decision: break
    }
  }

  /// ⚑ In order: a vote of one kind follows those for every number below that is still open.
  private func requireOrder(
    _ kind: MessageKind, _ ballot: Ballot, _ replica: Replica?, by member: ReplicaIndex
  ) {
    guard let replica, replica.status.configuration == ballot.configuration,
      let configuration = self.configurations[ballot.configuration], ballot.sequence > replica.decided.next
    else { return }
    for number in replica.decided.next.number..<ballot.sequence.number
    where !replica.isDecided(SequenceNumber(number)) {
      func has(_ kind: MessageKind) -> Bool {
        self.spoken[
          Spoken(
            member: member, kind: kind, configuration: ballot.configuration, view: ballot.view.number, number: number)
        ] != nil
      }
      guard !has(kind), !(kind == .prepare && configuration.primary(of: ballot.view) == member) else { continue }
      // A vote that was cast while nobody was connected was never sent: the replica itself says how far it is.
      let (isAccepted, isPrepared) = replica.progress(of: SequenceNumber(number))
      guard kind == .prepare ? !isAccepted : !isPrepared else { continue }
      self.breach =
        "LEDGER §3: member \(member) votes (\(kind.rawValue)) for \(ballot.sequence) in view \(ballot.view) "
        + "before \(number)"
    }
  }

  /// A correct member entered a view: its new view must propose again what its view changes oblige it to.
  func observeEntered(_ newView: NewView, by member: ReplicaIndex, faulty: Set<ReplicaIndex>) {
    guard self.breach == nil, let configuration = self.configurations[newView.configuration] else { return }
    let count = configuration.laneCount
    let quorum = NaiveLedger.quorum(of: configuration.voters.count, .pbft)
    let before = configuration.start.previous
    func fail(_ what: String) { self.breach = "LEDGER §3: member \(member) entered view \(newView.view) \(what)" }
    guard Set(newView.viewChanges.map(\.signer)).count >= quorum else { return fail("on too few view changes") }
    let base = newView.viewChanges.compactMap(\.content.base).max { $0.sequence < $1.sequence }
    var highest: [SequenceNumber: PreparedCertificate] = [:]
    for certificate in newView.viewChanges.flatMap(\.content.prepared)
    where certificate.sequence > base?.sequence ?? before {
      if certificate.view >= highest[certificate.sequence]?.view ?? View(0) {
        highest[certificate.sequence] = certificate
      }
    }
    let start = base?.sequence.number ?? before.number
    let needed = (highest.keys.max()?.number ?? start) - start
    guard newView.prePrepares.count == Int(needed) else { return fail("that forgets what was prepared") }
    // What the configuration goes on from is not in the message where nothing of it was decided: the first is believed.
    var previous =
      base?.cut ?? highest[before.next]?.cut ?? newView.prePrepares.first?.content.cut
      ?? .genesis(lanes: count)
    for proposal in newView.prePrepares.map(\.content) {
      let candidate = highest[proposal.sequence]?.cut
      guard proposal.cut == candidate || proposal.cut == previous else {
        return fail("that proposes at \(proposal.sequence) what nobody prepared last")
      }
      // Only a fork, and only a faulty member's, keeps a later candidate from extending the cut before it.
      if let candidate, proposal.cut != candidate, candidate.time > previous.time, candidate != previous {
        let grown = (0..<count).filter { candidate.heads[$0] != previous.heads[$0] }
        let mustExtend = grown.allSatisfy {
          !faulty.contains($0) && candidate.heads[$0].position > previous.heads[$0].position
        }
        if mustExtend { return fail("that leaves out what was prepared at \(proposal.sequence)") }
      }
      previous = proposal.cut
    }
  }

  /// A correct member accuses another of a fork: no honest one may be.
  func observeAccused(_ accused: MemberID, by member: ReplicaIndex, faulty: Set<ReplicaIndex>) {
    guard self.breach == nil, let lane = self.lane(of: accused), !faulty.contains(lane) else { return }
    self.breach = "LEDGER §2: member \(member) holds two blocks of one position signed by honest member \(lane)"
  }

  private func vote(
    _ kind: MessageKind, _ view: View, _ sequence: SequenceNumber, _ digest: Digest, by seat: Seat
  ) {
    self.claim(
      Spoken(
        member: seat.member, kind: kind, configuration: seat.configuration, view: view.number,
        number: sequence.number), digest)
  }

  private func claim(_ spoken: Spoken, _ digest: Digest) {
    if let earlier = self.spoken.updateValue(digest, forKey: spoken), earlier != digest {
      self.breach =
        "I3: member \(spoken.member) signed two of one \(spoken.kind.rawValue), view \(spoken.view), "
        + "number \(spoken.number)"
    }
  }

  /// ⚑ Nobody climbs alone: a quorum asks for the view before, or f + 1 others for this one.
  private func climb(to view: View, by seat: Seat, _ replica: Replica) {
    let before = self.asked[seat] ?? View(0)
    guard before < view, let configuration = self.configurations[seat.configuration] else { return }
    self.asked[seat] = view
    guard before > View(0), replica.newView?.content.view ?? View(0) < before else { return }
    let isLonely =
      replica.viewChangeCount(from: before) < configuration.quorum
      && replica.viewChangeCount(from: view) <= configuration.faultyMax
    if isLonely { self.breach = "LEDGER §3: member \(seat.member) goes on from view \(before) to \(view) alone" }
  }

  private func leave(_ change: ViewChange, by seat: Seat) {
    self.left[seat] = max(self.left[seat] ?? View(0), change.view)
    let base = change.base?.sequence ?? .zero
    for (sequence, view) in self.commits[seat] ?? [:] where sequence > base && view < change.view {
      let tells = change.prepared.contains { $0.sequence == sequence && $0.view >= view }
      if !tells {
        self.breach = "LEDGER §3: member \(seat.member) left for \(change.view) and hides its commit at \(sequence)"
      }
    }
    self.commits[seat] = self.commits[seat]?.filter { $0.key > base }
  }

  /// A correct member's step is over.
  func observeStep(_ replica: Engine, by member: ReplicaIndex, decidedBefore: SequenceNumber) {
    guard self.breach == nil, let raft = replica.raft else { return }
    self.breach = self.raft[raft.status.configuration]?.observeStep(raft, by: member, decidedBefore: decidedBefore)
  }

  /// A correct member makes a vote: none of a view that it left may be made.
  func observeMade(_ message: OrderingMessage, by member: ReplicaIndex, _ replica: Engine) {
    if case .viewChange(let signed) = message, let replica = replica.pbft {
      self.climb(to: signed.content.view, by: Seat(member: member, configuration: message.configuration), replica)
    }
    let view: View? =
      switch message {
      case .prePrepare(let signed): signed.content.view
      case .prepare(let signed): signed.content.ballot.view
      case .commit(let signed): signed.content.ballot.view
      case .viewChange, .newView, .decision: nil
      }
    let seat = Seat(member: member, configuration: message.configuration)
    guard self.breach == nil, let view, let left = self.left[seat], view < left else { return }
    self.breach = "LEDGER §3: member \(member) votes in view \(view) after it asked for \(left)"
  }
}

/// The reference: a ledger of one node, written as plainly as possible, that reads what was decided and says what must
/// have become of every transaction (I5, I10, LEDGER §5).
struct NaiveLedger {
  private var seen: Set<Digest> = []
  private(set) var leaves: [Digest] = []
  private var frozen: [Int: UInt64] = [:]
  private let genesis: Genesis
  /// The configuration in force, the one that is opened, and the change that a quorum approved.
  private var configuration: Configuration
  private var next: Configuration?
  private var approved: ApprovedChange?

  init(_ genesis: Genesis) { (self.genesis, self.configuration) = (genesis, genesis.configuration) }

  /// ⌈(n + f + 1)/2⌉, or Raft's majority, worked out here, so that a wrong one in the node does not pass (LEDGER §1).
  static func quorum(of count: Int, _ engine: OrderingEngine) -> Int {
    switch engine {
    case .pbft: (count + (count - 1) / 3 + 2) / 2
    case .raft: count / 2 + 1
    }
  }

  /// Checks the next executed cut against its blocks; a sentence where they do not agree.
  mutating func check(_ write: ExecutionWrite, after previous: Cut, blocks: [Block]) -> String? {
    let at = write.record.sequence
    guard write.cut == previous || write.cut.time > previous.time else { return "LEDGER §3: time goes back at \(at)" }
    if let next, at >= next.start { (self.configuration, self.next) = (next, nil) }
    let members = self.configuration.members
    for (lane, since) in self.frozen
    where at.number >= since + self.genesis.limits.pipelineMax && write.cut.heads[lane] != previous.heads[lane] {
      return "LEDGER §2: lane \(lane) grows at \(at), though its fork is known since \(since)"
    }
    let most = self.genesis.limits.cutTransactionsMax * self.genesis.limits.pipelineMax
    guard UInt64(write.record.outcomes.count) <= most else {
      return "LEDGER §3: cut \(at) grew by \(write.record.outcomes.count) transactions"
    }
    var outcomes: [UInt16] = []
    var heads = previous.heads
    for block in blocks {
      let author = members.first { $0.id == block.header.author }
      guard let lane = members.firstIndex(where: { $0.id == block.header.author }),
        block.header.position.number == heads[lane].position.number + 1, block.header.parent == heads[lane].digest
      else {
        return "LEDGER §11.1: block \(block.header.position) of \(block.header.author) does not follow on its lane"
      }
      heads[lane] = block.head
      guard block.header.configuration == self.configuration.number else {
        return "LEDGER §8: block \(block.header.position) of \(block.header.author) is of another configuration"
      }
      guard author?.key.verifies(block.signature, of: block.header.signedBytes) == true else {
        return "I5: block \(block.header.position) of \(block.header.author) is not signed by it"
      }
      for transaction in (try? block.transactions()) ?? [] {
        let number = outcomes.count
        guard number < write.record.outcomes.count else { return "LEDGER §5: outcomes are missing at \(at)" }
        let stated = write.record.outcomes[number]
        let expected = self.judge(transaction, at: write.cut.time)
        guard expected.allows(stated) else {
          return "LEDGER §5: transaction \(number) of \(at) has outcome \(stated), not \(expected)"
        }
        outcomes.append(stated)
        if stated == OutcomeCode.applied.number, let failure = self.read(transaction, at: at) { return failure }
        self.leaves.append(
          MerkleHash.leaf(
            LogEntry(
              sequence: at, time: write.cut.time, outcome: OutcomeCode(stated), transaction: transaction
            ).encoded))
      }
    }
    guard heads == write.cut.heads else { return "LEDGER §11.1: cut \(at) names heads to which no blocks lead" }
    guard outcomes.count == write.record.outcomes.count else { return "LEDGER §5: outcomes too many at \(at)" }
    for change in write.writes where change.key.starts(with: StateKey.forks) {
      let author = StateKey.author(ofFork: change.key)
      guard let lane = members.firstIndex(where: { $0.id == author }) else { continue }
      self.frozen[lane] = change.value == nil ? nil : at.number
    }
    return self.checkOpened(write)
  }

  /// A change of members that was applied: Q different registrars must have signed for it.
  private mutating func read(_ transaction: Transaction, at sequence: SequenceNumber) -> String? {
    guard transaction.kind == TransactionKind.changeMembers.rawValue else { return nil }
    guard let approved = try? ApprovedChange.decode(transaction.payload) else {
      return "LEDGER §8: a change of members at \(sequence) is none"
    }
    let bytes = approved.change.signedBytes(network: self.genesis.network)
    let signers = approved.approvals.filter { approval in
      self.configuration.voters.contains(approval.signer)
        && self.configuration.members[approval.signer].registrarKey.verifies(approval.signature, of: bytes)
    }
    let needed = Self.quorum(of: self.configuration.voters.count, self.configuration.engine)
    guard Set(signers.map(\.signer)).count >= needed, approved.change.configuration == self.configuration.number,
      self.next == nil, self.approved == nil
    else { return "LEDGER §8: a change of members at \(sequence) was applied that must not be" }
    self.approved = approved
    return nil
  }

  /// A configuration that was opened: the approved one, and it begins when all that could be open is through.
  private mutating func checkOpened(_ write: ExecutionWrite) -> String? {
    for change in write.writes where change.key.starts(with: StateKey.configurations) {
      guard let record = change.value.flatMap({ try? ConfigurationRecord.decode($0) }), let approved else {
        return "LEDGER §8: a configuration was opened at \(write.record.sequence) that nobody approved"
      }
      let number = self.configuration.number.number + 1
      let start = write.record.sequence.number + self.genesis.limits.pipelineMax
      guard record.configuration.number.number == number, record.configuration.start.number == start,
        record.configuration
          == (try? self.configuration.changed(
            by: approved.change.action, start: SequenceNumber(start)))
      else { return "LEDGER §8: configuration \(number) is not the approved one, or begins elsewhere than at \(start)" }
      (self.next, self.approved) = (record.configuration, nil)
    }
    return nil
  }

  /// What the envelope alone says of an outcome.
  private enum Expected: CustomStringConvertible {
    case exactly(OutcomeCode)
    /// The rules' word, but none of the envelope's.
    case judged

    func allows(_ outcome: UInt16) -> Bool {
      switch self {
      case .exactly(let code): outcome == code.number
      case .judged: ![OutcomeCode.expired, .duplicate, .tooFar].map(\.number).contains(outcome)
      }
    }

    var description: String {
      switch self {
      case .exactly(let code): "\(code.number)"
      case .judged: "what the rules say"
      }
    }
  }

  private mutating func judge(_ transaction: Transaction, at time: Timestamp) -> Expected {
    let identifier = transaction.identifier(network: self.genesis.network)
    let isKnown = self.seen.contains(identifier)
    if transaction.kind == TransactionKind.openInPartition.rawValue { return .judged }
    if transaction.validUntil < time { return .exactly(.expired) }
    if isKnown { return .exactly(.duplicate) }
    if transaction.validUntil > time.adding(milliseconds: self.genesis.limits.transactionLifeMilliseconds) {
      return .exactly(.tooFar)
    }
    self.seen.insert(identifier)
    return transaction.kind == TransactionKind.commitDigests.rawValue ? .exactly(.applied) : .judged
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
