internal import Gossip
internal import Lanes
public import Messages
internal import Ordering
internal import PBFT
public import Primitives
internal import Signing
internal import Wire

/// What members say, judged by its first bytes before a signature in it is verified (LEDGER §11.10, I9).
///
/// ⚑ Of whatever kind a message is: it is known as a repeat, or bounded by a rate, or answers a question. What is
/// beyond that is dropped, and where no correct member would have sent it, its sender is charged. The handbook has the
/// table.
public struct PeerWords: Sendable {
  /// What becomes of a message.
  public enum Verdict: Sendable, Equatable {
    /// It is checked.
    case check
    /// It is dropped; with the identifier of what gossip has seen.
    case drop(Digest?)
    /// It is dropped, and its sender charged.
    case charge(Digest?)
    /// It is dropped as a copy too many, and its sender charged. ⚑ Under load an honest one sends such copies, too.
    case repeated(Digest?)
  }

  /// What is asked of peers, and answered by one message each.
  private enum Question: Int, Sendable, Hashable {
    case decisions, blocks, manifest, chunk, history

    /// What a message of a type answers; nil for none.
    init?(answeredBy type: UInt8) {
      switch type {
      case 16: self = .blocks
      case 17: self = .decisions
      case 23: self = .manifest
      case 25: self = .chunk
      case 27: self = .history
      default: return nil
      }
    }

    /// What a message of a type asks; nil for none.
    init?(askedBy type: UInt8) {
      switch type {
      case 13: self = .decisions
      case 15: self = .blocks
      case 22: self = .manifest
      case 24: self = .chunk
      case 26: self = .history
      default: return nil
      }
    }
  }

  private struct Pair: Sendable, Hashable {
    let peer: ReplicaIndex
    /// An author, or a question.
    let other: Int
  }

  private struct Asked: Sendable {
    var count = 0
    /// What may come besides: an answer can be to a question of the session before.
    var spare = Rate()
  }

  /// The most questions of a kind that a peer may be late with.
  private static let askedMax = 256

  private var repeats = PeerRepeats()
  private var asked: [Pair: Asked] = [:]
  /// By peer and author: a peer's junk under another's name takes nothing of what others say of that author.
  private var elsewhere: [Pair: Rate] = [:]
  private var costly: [Pair: Rate] = [:]
  /// By peer alone: a NewView can be long, and anybody's name can stand on it.
  private var newViews: [ReplicaIndex: Rate] = [:]
  private var contradicting: [Pair: Rate] = [:]

  /// Nobody said anything yet.
  public init() {}

  /// A message was sent to a member: it may be a question.
  ///
  /// - Complexity: O(1).
  public mutating func sent(_ bytes: [UInt8], to peer: ReplicaIndex, at now: Tick) {
    guard peer < ReplicaSet.countMax, let question = bytes.first.flatMap({ Question(askedBy: $0) }) else { return }
    let pair = Pair(peer: peer, other: question.rawValue)
    let count = self.asked[pair]?.count ?? 0
    self.asked[pair, default: Asked()].count = min(count + 1, Self.askedMax)
    // Each of its messages may be part of the answer to each status.
    if question == .decisions { self.repeats.ask(peer, at: now) }
  }

  /// Judges what a member sent to a node.
  ///
  /// - Complexity: O(bytes) of a gossiped message, O(blocks) of blocks that nobody asked for, O(1) of others.
  fileprivate mutating func judge(
    _ bytes: [UInt8], from peer: ReplicaIndex, by node: Node, at now: Tick
  ) -> Verdict {
    guard let type = bytes.first, !planted(.repeatsChecked) else { return .check }
    if let seen = node.repeated(bytes) {
      return self.repeats.count(seen, by: peer, at: now) == .charge ? .repeated(seen) : .drop(seen)
    }
    switch type {
    case 1: return self.judge(block: bytes, from: peer, by: node, at: now)
    case 2: return self.judge(ordering: bytes, isGossip: true, from: peer, by: node, at: now)
    case 5: return node.isForkKnown(bytes) ? .drop(nil) : .check
    case 10: return self.judge(ordering: bytes, isGossip: false, from: peer, by: node, at: now)
    case 16:
      if self.takesAnswer(.blocks, from: peer, at: now) { return .check }
      // ⚑ What nobody asked for is welcome where it is of use: that takes room in the author's lane, which is bounded.
      return node.useless(inBlocks: bytes).isUseful ? .check : .charge(nil)
    // With Raft a leader sends decisions of its own accord.
    case 17 where node.genesis.engine == .raft: return .check
    case 17, 23, 25, 27:
      guard let question = Question(answeredBy: type), !planted(.answersUnasked) else { return .check }
      return self.takesAnswer(question, from: peer, at: now) ? .check : .charge(nil)
    default: return .check
    }
  }

  private mutating func takesAnswer(_ question: Question, from peer: ReplicaIndex, at now: Tick) -> Bool {
    let pair = Pair(peer: peer, other: question.rawValue)
    guard let count = self.asked[pair]?.count, count > 0 else {
      return self.asked[pair, default: Asked()].spare.admits(at: now, every: .milliseconds(2500), burst: 4)
    }
    self.asked[pair]?.count = count - 1
    return true
  }

  private mutating func judge(
    block bytes: [UInt8], from peer: ReplicaIndex, by node: Node, at now: Tick
  ) -> Verdict {
    guard let header = PeerMessage.blockHeader(in: bytes), header.configuration == node.configuration.number,
      let author = node.configuration.index(of: header.author)
    else { return .check }
    if node.lanes.holds(header) {
      return self.repeats.count(header.digest, by: peer, at: now) == .charge ? .repeated(nil) : .drop(nil)
    }
    guard !node.lanes.hasUse(for: header) else { return .check }
    return self.mayPass(author, from: peer, by: node, at: now) ? .check : .drop(nil)
  }

  private mutating func judge(
    ordering bytes: [UInt8], isGossip: Bool, from peer: ReplicaIndex, by node: Node, at now: Tick
  ) -> Verdict {
    let head = OrderingHead(in: bytes, at: 1)
    if !isGossip, !planted(.answersUnasked) {
      // ⚑ Once for each status that it was told, and not oftener: what comes again may be of use now, or never.
      let identifier = head.map(Self.identifier) ?? MessageChecker.identifier(bytes)
      if self.repeats.count(identifier, by: peer, at: now, isAnswer: true) == .charge { return .repeated(nil) }
    }
    // ⚑ Of another configuration it is of no use, and may be long: it is not read. Who is a moment ahead has no fault.
    if let head, head.configuration != node.configuration.number { return .drop(nil) }
    guard let head, let use = node.replica.use(of: head) else { return .check }
    let pair = Pair(peer: peer, other: head.signer)
    switch use {
    case .wanted: return .check
    case .superfluous: return .drop(nil)
    case .misplaced: return .charge(nil)
    case .elsewhere:
      guard isGossip else { return .drop(nil) }
      return self.mayPass(head.signer, from: peer, by: node, at: now) ? .check : .drop(nil)
    case .costly:
      if head.kind == .newView,
        !self.newViews[peer, default: Rate()].admits(at: now, every: .milliseconds(1000), burst: 8)
      {
        return .drop(nil)
      }
      let isFew = self.costly[pair, default: Rate()].admits(at: now, every: .milliseconds(250), burst: 32)
      return isFew ? .check : .drop(nil)
    case .contradicting:
      let isFew = self.contradicting[pair, default: Rate()].admits(at: now, every: .milliseconds(1000), burst: 4)
      return isFew ? .check : .drop(nil)
    }
  }

  /// Whether something is checked only to be passed on: no more than is passed on of its author (`Node.passesOn`).
  private mutating func mayPass(_ author: ReplicaIndex, from peer: ReplicaIndex, by node: Node, at now: Tick) -> Bool {
    guard !planted(.farVotesTaken) else { return true }
    return node.passes(author, at: now)
      && self.elsewhere[Pair(peer: peer, other: author), default: Rate()].admits(at: now, every: .passing)
  }

  /// What stands for all of a signed message: the same content with another signature is another message.
  private static func identifier(_ head: OrderingHead) -> Digest {
    Hash.blake2b("consilium/said/v1", [head.kind.rawValue, UInt8(head.signer & 255)], head.signature.bytes)
  }
}

/// How often something may happen.
struct Pace: Sendable, Hashable {
  let interval: Span
  let burst: UInt64
  /// What is passed on of an author for which this node itself has no use.
  static let passing = Pace(interval: .milliseconds(5), burst: 512)
}

extension Rate {
  mutating func admits(at now: Tick, every pace: Pace) -> Bool {
    self.admits(at: now, every: pace.interval, burst: pace.burst)
  }
}

extension Node {
  /// What becomes of a member's message, by what is known here and what the member said before.
  public func judge(
    _ bytes: [UInt8], from peer: ReplicaIndex, after words: inout PeerWords, at now: Tick
  ) -> PeerWords.Verdict {
    words.judge(bytes, from: peer, by: self, at: now)
  }

  /// Whether something more of an author would be passed on for which this node has no use; nothing is counted.
  func passes(_ author: ReplicaIndex, at now: Tick) -> Bool {
    var rate = self.passingRates[author] ?? Rate()
    return rate.admits(at: now, every: .passing)
  }

  /// Whether bytes accuse a member whose fork is known here.
  func isForkKnown(_ bytes: [UInt8]) -> Bool {
    guard bytes.count > BlockHeader.lengthBytes else { return false }
    var decoder = Decoder(Array(bytes[1...BlockHeader.lengthBytes]))
    guard let header = try? BlockHeader(from: &decoder), let lane = self.configuration.index(of: header.author) else {
      return false
    }
    return self.lanes.isForked(lane: lane)
  }

  /// Which blocks of a message with many are of no use here: held, executed, said before in it, or beyond what is kept;
  /// and whether any other is in it. Their headers are read, nothing is verified.
  ///
  /// - Complexity: O(blocks).
  public func useless(inBlocks bytes: [UInt8]) -> (indices: Set<Int>, isUseful: Bool) {
    var (indices, seen, index): (Set<Int>, Set<Digest>, Int) = ([], [], 0)
    PeerMessage.eachBlockHeader(in: bytes) { header in
      if !self.lanes.hasUse(for: header) || !seen.insert(header.digest).inserted { indices.insert(index) }
      index += 1
    }
    return (indices, index > indices.count)
  }
}
