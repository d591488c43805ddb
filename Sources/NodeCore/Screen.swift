internal import Gossip
internal import Ledger
internal import Messages
internal import Ordering
public import Primitives
internal import Signing

/// What a node knows of itself when a message comes: enough to drop most of what is of no use before a signature is
/// checked (LEDGER §11.10).
///
/// ⚑ Repeating a vote costs its sender nothing, and checking it costs its receiver sixty microseconds. What is settled,
/// of a view that was left, or far from where this node is, can change nothing here, whatever is signed. A node that is
/// truly far ahead says so by its status, and sends what proves it.
public struct Screen: Sendable, Equatable {
  /// How many views ahead votes are still looked at, and how many numbers, in pipelines.
  static let viewsAheadMax: UInt64 = 16
  static let pipelinesAheadMax: UInt64 = 16

  let configuration: ConfigurationNumber
  /// The view; nil where this node does not vote, and takes no votes.
  let view: View?
  let decided: SequenceNumber
  let farthest: SequenceNumber
  /// The last number of which a decision is taken; nil for any.
  let window: SequenceNumber?

  /// Whether a message is of no use here, be it signed or not.
  public func drops(_ message: PeerMessage) -> Bool {
    switch message {
    case .ordering(let content, _): content.configuration == self.configuration && self.drops(content)
    case .decisions(let decisions): !decisions.isEmpty && self.unsettled(decisions).isEmpty
    case .block, .cosignature, .evidence, .control, .links, .status, .raft, .announcements, .blockRequest, .blocks,
      .question, .answer, .snapshotOffer, .manifestRequest, .manifest, .chunkRequest, .chunk, .historyRequest,
      .history:
      false
    }
  }

  private func drops(_ message: OrderingMessage) -> Bool {
    switch message {
    case .prePrepare(let signed): self.drops(signed.content.view, signed.content.sequence)
    case .prepare(let signed): self.drops(signed.content.ballot.view, signed.content.ballot.sequence)
    case .commit(let signed): self.drops(signed.content.ballot.view, signed.content.ballot.sequence)
    case .viewChange(let signed): self.view.map { signed.content.view < $0 } ?? true
    case .newView(let signed): self.view.map { signed.content.view < $0 } ?? true
    case .decision(let decision): decision.sequence <= self.decided
    }
  }

  private func drops(_ view: View, _ sequence: SequenceNumber) -> Bool {
    guard let own = self.view else { return true }
    if sequence <= self.decided { return true }
    // Votes of a view that was left still count where a planted bug takes them.
    if view < own { return !planted(.voteAfterLeaving) }
    guard !planted(.farVotesTaken) else { return false }
    return view.number > own.number + Self.viewsAheadMax || sequence > self.farthest
  }

  /// Those of some decisions that are not decided here, and would be taken.
  func unsettled(_ decisions: [Decision]) -> [Decision] {
    decisions.filter { decision in
      decision.sequence > self.decided && self.window.map { decision.sequence <= $0 } ?? true
    }
  }
}

extension Node {
  /// What to drop now.
  public var screen: Screen {
    let decided = self.replica.decided
    let ahead = Screen.pipelinesAheadMax * self.genesis.limits.pipelineMax
    return Screen(
      configuration: self.configuration.number, view: self.index == nil ? nil : self.replica.view, decided: decided,
      farthest: SequenceNumber(decided.number + ahead), window: self.replica.windowEnd)
  }

  /// The identifier of a gossiped message that is here already, told by its bytes; nil for any other.
  public func repeated(_ bytes: [UInt8]) -> Digest? {
    guard !planted(.repeatsChecked), bytes.first == 1 || bytes.count <= MessageChecker.repeatedBytesMax,
      let identifier = MessageChecker.gossipIdentifier(of: bytes), self.gossip.hasSeen(identifier)
    else { return nil }
    return identifier
  }

  /// ⚑ Whether a gossiped message is passed on. What a machine refused is not; of what it only has no use for now, some
  /// of each author: others may be elsewhere, and an author of what nobody can use does not send it through all.
  mutating func passesOn(_ content: GossipContent, _ outcome: Outcome, at now: Tick) -> Bool {
    switch outcome {
    case .accepted: return true
    case .rejected: return false
    case .ignored:
      let author: ReplicaIndex? =
        switch content {
        case .block(let block): self.configuration.index(of: block.value.header.author)
        case .ordering(let message): message.value.signer
        case .cosignature(let cosignature): cosignature.signer
        case .evidence(let evidence): self.configuration.index(of: evidence.value.first.author)
        }
      guard let author else { return false }
      return self.passingRates[author, default: Rate()].admits(at: now, every: .passing)
    }
  }
}

extension MessageChecker {
  /// Longer messages are hashed where they are checked, and not before.
  static let repeatedBytesMax = 64 << 10

  /// The identifier under which gossip knows a message, by its bytes; nil where gossip does not carry it, or where its
  /// content alone tells whether it was heard.
  static func gossipIdentifier(of bytes: [UInt8]) -> Digest? {
    guard let kind = bytes.first else { return nil }
    return switch kind {
    case 1: PeerMessage.blockHeader(in: bytes)?.digest
    case 2, 5: self.identifier(bytes)
    default: nil
    }
  }
}
