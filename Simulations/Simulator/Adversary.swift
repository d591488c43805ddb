internal import Gossip
internal import Ledger
public import Messages
public import NodeCore
public import Ordering
public import Primitives
internal import Sessions
internal import Signing
internal import Wire

/// A Byzantine member by composition: an honest node whose messages pass through this on their way out.
///
/// It has the member's keys, so whatever it makes up is properly signed. Researchers write their own: one type with one
/// method, given to `Cluster.corrupt`. Two honest nodes with one key (`Cluster.twins`) need no adversary at all.
public protocol Adversary {
  /// What leaves instead of `message`: nothing, the message itself, or others, each after a delay.
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance]
}

/// What an adversary knows when a message is about to leave.
public struct Scene {
  /// The slot that sends.
  public let from: Int
  /// The member that is to receive.
  public let to: ReplicaIndex
  /// Virtual time.
  public let now: Tick
  /// The slot's wall clock.
  public let wall: Timestamp
  /// The ledger's network.
  public let network: Digest
  /// The members.
  public let configuration: Configuration
  /// How far the sender itself has executed.
  public let executed: Cut
  /// Chance.
  public var random: SeededGenerator
  /// Signs with the member's keys.
  public let sign: (Signable) -> OwnItem

  /// A vote or view message signed with the member's key.
  public func signed(_ ballot: Ballotable) -> PeerMessage? {
    guard case .ordering(let message) = self.sign(.ballot(ballot)) else { return nil }
    return .ordering(message, isGossip: true)
  }
}

/// Something that leaves a Byzantine member.
public struct Utterance {
  /// What is said.
  public enum Content {
    /// A well-formed message.
    case message(PeerMessage)
    /// Any bytes.
    case bytes([UInt8])
  }
  /// What is said.
  public let content: Content
  /// How much later than it would have been.
  public let delay: Span

  /// Something said after a delay.
  public init(_ content: Content, delay: Span = Span(nanoseconds: 0)) { (self.content, self.delay) = (content, delay) }
  /// A message at its time.
  public init(_ message: PeerMessage) { self.init(.message(message)) }
}

/// The behaviours that scenarios and the swarm know by name.
public enum Misbehaviour: String, Sendable, CaseIterable {
  /// Says nothing at all.
  case silent
  /// Says everything late.
  case delaying
  /// As primary, proposes one cut to half of the members and another to the rest, and votes for both.
  case equivocating
  /// As primary, leaves out the lane of the next member.
  case censoring
  /// Votes for digests that nobody proposed.
  case misvoting
  /// Opens views with cuts that do not follow from the view changes.
  case usurping
  /// Hides what it prepared when it leaves a view.
  case forgetful
  /// Lies about where it stands, and sends altered blocks and decisions to who asks.
  case lying
  /// Flips bits.
  case corrupting
  /// Says old things again.
  case replaying
  /// Writes two blocks at one position of its lane.
  case forking
  /// Floods the mesh with announcements and requests of what does not exist.
  case flooding
  /// As primary, states times that run ahead of all clocks.
  case hurrying
  /// As primary, proposes cuts in which no lane grows.
  case idling
  /// Writes its lane wrongly with its own keys: positions left out, blocks in the air, rivals told to one only; and as
  /// primary proposes heads that nobody has.
  case miswriting

  /// Those that came later, drawn apart: the seeds of the others stay what they are.
  static let later: [Misbehaviour] = [.hurrying, .idling, .miswriting]

  /// A fresh adversary that behaves so.
  public func make() -> any Adversary {
    switch self {
    case .silent: Silent()
    case .delaying: Delaying()
    case .equivocating: Equivocating()
    case .censoring: Censoring()
    case .misvoting: Misvoting()
    case .usurping: Usurping()
    case .forgetful: Forgetful()
    case .lying: Lying()
    case .corrupting: Corrupting()
    case .replaying: Replaying()
    case .forking: Forking()
    case .flooding: Flooding()
    case .hurrying: Hurrying()
    case .idling: Idling()
    case .miswriting: Miswriting()
    }
  }
}

private struct Silent: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] { [] }
}

private struct Delaying: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    [Utterance(.message(message), delay: .milliseconds(500 + scene.random.below(1000)))]
  }
}

private struct Equivocating: Adversary {
  /// What each sequence number's first proposal became for the other half.
  private var twisted: [Digest: PrePrepare] = [:]

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard scene.to % 2 == 1, case .ordering(let content, _) = message else { return [Utterance(message)] }
    switch content {
    case .prePrepare(let signed) where signed.signer == scene.from:
      let cut = Cut(heads: signed.content.cut.heads, time: signed.content.cut.time.adding(milliseconds: 1))
      let other = PrePrepare(
        configuration: signed.content.configuration, view: signed.content.view, sequence: signed.content.sequence,
        cut: cut)
      if self.twisted.count > 1024 { self.twisted = [:] }
      self.twisted[signed.content.cut.digest] = other
      let lie = scene.signed(.prePrepare(other)).map { [Utterance($0)] } ?? []
      return scene.random.oneIn(3) ? [Utterance(message)] + lie : lie
    case .commit(let signed) where signed.signer == scene.from:
      guard let other = self.twisted[signed.content.ballot.digest] else { return [Utterance(message)] }
      return [scene.signed(.commit(Commit(other.ballot)))].compactMap { $0.map { Utterance($0) } }
    default: return [Utterance(message)]
    }
  }
}

private struct Censoring: Adversary {
  /// Where the lane is held in a view; one place in each, or the same proposal would say different things.
  private var kept: (view: View, head: LaneHead)?

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .ordering(.prePrepare(let signed), _) = message, signed.signer == scene.from else {
      return [Utterance(message)]
    }
    let lane = (scene.from + 1) % scene.configuration.laneCount
    var heads = signed.content.cut.heads
    guard lane < heads.count, lane < scene.executed.heads.count else { return [Utterance(message)] }
    if self.kept?.view != signed.content.view { self.kept = (signed.content.view, scene.executed.heads[lane]) }
    if let kept = self.kept { heads[lane] = kept.head }
    let proposal = PrePrepare(
      configuration: signed.content.configuration, view: signed.content.view, sequence: signed.content.sequence,
      cut: Cut(heads: heads, time: signed.content.cut.time))
    return scene.signed(.prePrepare(proposal)).map { [Utterance($0)] } ?? []
  }
}

private struct Misvoting: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .ordering(let content, _) = message, content.signer == scene.from else { return [Utterance(message)] }
    func wrong(_ ballot: Ballot) -> Ballot {
      Ballot(
        configuration: ballot.configuration, view: ballot.view, sequence: ballot.sequence,
        digest: Hash.blake2b("consilium/misvote/v1", ballot.digest.bytes, [UInt8(scene.to & 1)]))
    }
    let made: PeerMessage? =
      switch content {
      case .prepare(let signed): scene.signed(.prepare(Prepare(wrong(signed.content.ballot))))
      case .commit(let signed): scene.signed(.commit(Commit(wrong(signed.content.ballot))))
      case .prePrepare, .viewChange, .newView, .decision: message
      }
    return made.map { [Utterance($0)] } ?? []
  }
}

private struct Usurping: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .ordering(.newView(let signed), _) = message, signed.signer == scene.from else {
      return [Utterance(message)]
    }
    // Everything that was prepared is proposed again a little later than it was: properly signed, and wrong.
    let proposals = signed.content.prePrepares.map { proposal in
      PrePrepare(
        configuration: proposal.content.configuration, view: proposal.content.view,
        sequence: proposal.content.sequence,
        cut: Cut(heads: proposal.content.cut.heads, time: proposal.content.cut.time.adding(milliseconds: 3)))
    }
    let view = Ballotable.newView(
      view: signed.content.view, viewChanges: signed.content.viewChanges, prePrepares: proposals)
    return scene.signed(view).map { [Utterance($0)] } ?? []
  }
}

private struct Forgetful: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .ordering(.viewChange(let signed), _) = message, signed.signer == scene.from else {
      return [Utterance(message)]
    }
    let change = ViewChange(
      configuration: signed.content.configuration, view: signed.content.view, base: signed.content.base, prepared: [])
    return scene.signed(.viewChange(change)).map { [Utterance($0)] } ?? []
  }
}

private struct Lying: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    switch message {
    case .status(let status):
      let claimed = Status(
        configuration: ConfigurationNumber(status.configuration.number + (scene.random.oneIn(4) ? 1 : 0)),
        view: View(status.view.number + scene.random.below(3)),
        isChanging: scene.random.oneIn(2), viewChanges: status.viewChanges,
        decided: SequenceNumber(status.decided.number + scene.random.below(1000)), slots: [])
      return [Utterance(.status(claimed))]
    case .announcements(let configuration, let heads):
      let claimed = heads.map { announcement in
        let position = LanePosition(announcement.head.position.number + 1 + scene.random.below(50))
        let digest = Hash.blake2b("consilium/lie/v1", announcement.head.digest.bytes)
        return LaneAnnouncement(lane: announcement.lane, head: LaneHead(position: position, digest: digest))
      }
      return [Utterance(.announcements(configuration, claimed))]
    case .blocks(let blocks): return [Utterance(.blocks(blocks.reversed().dropLast()))]
    case .decisions(let decisions):
      let altered = decisions.map { decision in
        Decision(
          configuration: decision.configuration, view: decision.view, sequence: decision.sequence.next,
          cut: decision.cut, evidence: decision.evidence)
      }
      return [Utterance(.decisions(altered))] + self.forge(decisions.last, &scene)
    case .chunk(let digest, let number, var bytes):
      if scene.random.oneIn(2), !bytes.isEmpty { bytes[bytes.count - 1] ^= 1 }
      return [Utterance(.chunk(digest, number, bytes))]
    case .history(let items):
      // One bit of a transaction, an outcome, or a cut left out.
      return [Utterance(.history(items.altered(&scene.random)))]
    case .block, .ordering, .cosignature, .evidence, .control, .links, .blockRequest, .question, .answer, .raft,
      .historyRequest, .snapshotOffer, .manifestRequest, .manifest, .chunkRequest:
      return [Utterance(message)]
    }
  }

  /// A ledger of its own invention, for somebody that lags: offered, its manifest and its only chunk sent unasked.
  private func forge(_ decision: Decision?, _ scene: inout Scene) -> [Utterance] {
    guard let decision, decision.configuration == scene.configuration.number, scene.random.oneIn(2) else { return [] }
    var position = LedgerPosition()
    (position.sequence, position.time) = (decision.sequence, decision.cut.time)
    let point = SnapshotPoint(
      configuration: decision.configuration, startCut: .genesis(lanes: decision.cut.heads.count), position: position,
      cut: decision.cut)
    let chunk = SnapshotPair(.state, key: [0x21], value: [1]).encoded
    let manifest = SnapshotManifest(point, chunks: [SnapshotManifest.digest(of: chunk)])
    guard case .offer(let offer) = scene.sign(.snapshot(manifest.sequence, manifest.digest, decision.configuration))
    else { return [] }
    return [
      Utterance(.message(.snapshotOffer(offer)), delay: .milliseconds(1)),
      Utterance(.message(.manifest(SnapshotBundle(manifest, decision: decision, links: []))), delay: .milliseconds(5)),
      Utterance(.message(.chunk(manifest.digest, 0, chunk)), delay: .milliseconds(20)),
    ]
  }
}

private struct Corrupting: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard scene.random.oneIn(4) else { return [Utterance(message)] }
    var bytes = message.encoded
    let at = Int(scene.random.below(UInt64(bytes.count)))
    bytes[at] ^= UInt8(1 << scene.random.below(8))
    return [Utterance(.bytes(bytes))]
  }
}

private struct Replaying: Adversary {
  private var heard: [PeerMessage] = []

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    if self.heard.count < 256 {
      self.heard.append(message)
    } else {
      self.heard[Int(scene.random.below(256))] = message
    }
    let old = self.heard[Int(scene.random.below(UInt64(self.heard.count)))]
    return [Utterance(message), Utterance(.message(old), delay: .milliseconds(scene.random.below(100)))]
  }
}

private struct Forking: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard scene.to % 2 == 1, case .block(let block) = message,
      scene.configuration.index(of: block.header.author) == scene.from
    else { return [Utterance(message)] }
    // The same position, without its last transaction.
    guard let transactions = try? block.transactions(), transactions.count > 1 else { return [Utterance(message)] }
    let body = transactions.dropLast().flatMap(\.encoded)
    let header = BlockHeader(
      network: block.header.network, configuration: block.header.configuration, author: block.header.author,
      position: block.header.position, parent: block.header.parent, transactionCount: UInt32(transactions.count - 1),
      transactionBytes: UInt32(body.count), body: BlockHeader.bodyDigest(body))
    guard case .block(let other) = scene.sign(.block(header, body: body)) else { return [] }
    return [Utterance(.block(other))]
  }
}

private struct Flooding: Adversary {
  /// So often a millisecond, as a line allows: two that flood one another would else never end.
  private static let floodsMax = 8
  private var since = Tick.zero
  private var floods = 0

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .control = message else { return [Utterance(message)] }
    if scene.now >= self.since + .milliseconds(1) { (self.since, self.floods) = (scene.now, 0) }
    self.floods += 1
    guard self.floods <= Self.floodsMax else { return [Utterance(message)] }
    let invented = (0..<UInt8(50)).map { Hash.blake2b("consilium/flood/v1", [$0, UInt8(scene.random.below(256))]) }
    return [
      Utterance(message), Utterance(.control([.iHave(.blocks, invented), .iWant(invented)])),
      Utterance(.control([.graft(.blocks), .prune(.blocks, backoffMilliseconds: 1000), .graft(.blocks)])),
    ]
  }
}
