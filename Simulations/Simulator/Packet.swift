internal import Wire
internal import Gossip
internal import Ledger
internal import Messages
public import NodeCore
internal import Ordering
internal import Primitives
internal import Sessions
internal import Signing

/// A message on its way. Its bytes are decoded and its signatures verified once, however many receive it: both are
/// pure functions of the bytes.
public final class Packet {
  /// The bytes.
  public let bytes: [UInt8]
  /// Its kind, for counts.
  public let kind: MessageKind
  /// How many signatures a receiver verifies.
  public let signatureCount: UInt64
  let channel: Channel
  let fingerprint: UInt64
  private let decoded: PeerMessage?
  private var checked: [ConfigurationNumber: Result<CheckedMessage, PeerFault>] = [:]

  init(_ bytes: [UInt8], on channel: Channel) {
    (self.bytes, self.channel) = (bytes, channel)
    self.decoded = try? PeerMessage.decode(bytes)
    self.kind = self.decoded.map(MessageKind.init) ?? .malformed
    self.signatureCount = self.decoded?.signatureCount ?? 0
    self.fingerprint = Hash.blake2b("consilium/packet/v1", bytes).prefix64
  }

  /// Whether it travels from member to member, so that it may arrive more than once.
  var isGossip: Bool {
    switch self.decoded {
    case .block, .ordering(_, isGossip: true), .cosignature, .evidence: true
    default: false
    }
  }

  /// What it says; nil where the bytes are no message.
  public var message: PeerMessage? { self.decoded }

  /// What the checker of a receiver's configuration says of it: the same rules as on a real node, every one of them.
  func check(
    _ checker: MessageChecker, in configuration: ConfigurationNumber
  ) throws(PeerFault) -> CheckedMessage {
    if let checked = self.checked[configuration] { return try checked.get() }
    let result = Result { () throws(PeerFault) in try checker.check(self.bytes, on: self.channel) }
    self.checked[configuration] = result
    return try result.get()
  }
}

extension Packet {
  /// What it says, in a few words.
  public var summary: String {
    switch self.decoded {
    case .block(let block): "block \(block.header.author) \(block.header.position)"
    case .ordering(let content, let isGossip): "\(Self.summary(content))\(isGossip ? "" : " (again)")"
    case .cosignature(let cosignature): "cosignature s\(cosignature.sequence)"
    case .raft(_, let message): Self.summary(message)
    case .status(let status): "status v\(status.view)\(status.isChanging ? "?" : "") decided \(status.decided)"
    case .blockRequest(let request): "want lane \(request.lane) \(request.above)…\(request.head.position)"
    case .blocks(let blocks): "\(blocks.count) blocks"
    case .decisions(let decisions): "decisions \(decisions.map { "s\($0.sequence)" }.joined(separator: " "))"
    case .snapshotOffer(let offer): "snapshot? s\(offer.sequence)"
    case .manifestRequest(let digest): "want manifest \(digest.short)"
    case .manifest(let bundle): "manifest s\(bundle.manifest.sequence), \(bundle.manifest.chunks.count) chunks"
    case .chunkRequest(let digest, let number): "want chunk \(number) of \(digest.short)"
    case .historyRequest(let sequence): "want history from s\(sequence) down"
    case .history(let items): "history \(items.map { "s\($0.record.sequence)" }.joined(separator: " "))"
    case .chunk(_, let number, let bytes): "chunk \(number), \(bytes.count) bytes"
    case .evidence, .control, .links, .announcements, .question, .answer, nil: self.kind.rawValue
    }
  }

  private static func summary(_ message: OrderingMessage) -> String {
    switch message {
    case .prePrepare(let signed): "pre-prepare v\(signed.content.view) s\(signed.content.sequence)"
    case .prepare(let signed): "prepare v\(signed.content.ballot.view) s\(signed.content.ballot.sequence)"
    case .commit(let signed): "commit v\(signed.content.ballot.view) s\(signed.content.ballot.sequence)"
    case .viewChange(let signed): "view-change v\(signed.content.view)"
    case .newView(let signed): "new-view v\(signed.content.view)"
    case .decision(let decision): "decision s\(decision.sequence)"
    }
  }
}

extension Packet {
  private static func summary(_ message: RaftMessage) -> String {
    switch message {
    case .preVoteRequest(let term, let last): "pre-vote? t\(term) log \(last.sequence) of t\(last.term)"
    case .preVote(let term, let isGranted): "pre-vote \(isGranted ? "yes" : "no") t\(term)"
    case .voteRequest(let term, let last, let isTransfer):
      "vote? t\(term) log \(last.sequence) of t\(last.term)\(isTransfer ? " by transfer" : "")"
    case .vote(let term, let isGranted): "vote \(isGranted ? "yes" : "no") t\(term)"
    case .append(let term, let previous, let entries, let committed):
      entries.isEmpty
        ? "heartbeat t\(term) after \(previous.sequence) committed \(committed)"
        : "append t\(term) \(previous.sequence.next)…\(previous.sequence.number + UInt64(entries.count)) "
          + "committed \(committed)"
    case .appended(let term, let match): "appended t\(term) through \(match)"
    case .refused(let term, let end): "refused t\(term) from \(end.next)"
    case .timeoutNow(let term): "stand now t\(term)"
    case .untimely(let term, let sequence, let wall): "untimely t\(term) \(sequence) at \(wall)"
    }
  }
}

/// The kinds of messages, for counts and for faults that single one out.
public enum MessageKind: String, Sendable, CaseIterable, Comparable {
  /// A gossiped block.
  case block
  /// A proposal.
  case prePrepare = "pre-prepare"
  /// A vote.
  case prepare
  /// A vote.
  case commit
  /// A wish for another view.
  case viewChange = "view-change"
  /// The start of a view.
  case newView = "new-view"
  /// Decided cuts.
  case decision
  /// Raft: a question or an answer about a vote.
  case vote
  /// Raft: a leader's entries, or its heartbeat.
  case append
  /// Raft: a follower's answer.
  case appended
  /// A signed tree head.
  case cosignature
  /// Proof of a fork.
  case evidence
  /// Control of the mesh.
  case control
  /// A member's sessions.
  case links
  /// Where a replica stands.
  case status
  /// What a member holds of the lanes.
  case announcement
  /// A request for blocks.
  case request
  /// Blocks that were asked for.
  case blocks
  /// A snapshot: offered, asked for, or a part of one.
  case snapshot
  /// A question or an answer of services.
  case service
  /// Bytes that are no message.
  case malformed

  init(_ message: PeerMessage) {
    self =
      switch message {
      case .block: .block
      case .ordering(.prePrepare, _): .prePrepare
      case .ordering(.prepare, _): .prepare
      case .ordering(.commit, _): .commit
      case .ordering(.viewChange, _): .viewChange
      case .ordering(.newView, _): .newView
      case .ordering(.decision, _), .decisions: .decision
      case .cosignature: .cosignature
      case .evidence: .evidence
      case .control: .control
      case .links: .links
      case .status: .status
      case .announcements: .announcement
      case .raft(_, .append): .append
      case .raft(_, .appended), .raft(_, .refused): .appended
      case .raft: .vote
      case .blockRequest: .request
      case .blocks: .blocks
      case .question, .answer: .service
      case .snapshotOffer, .manifestRequest, .manifest, .chunkRequest, .chunk, .historyRequest, .history: .snapshot
      }
  }

  /// By name.
  public static func < (left: MessageKind, right: MessageKind) -> Bool { left.rawValue < right.rawValue }
}

extension PeerMessage {
  /// How many signatures a receiver verifies.
  var signatureCount: UInt64 {
    switch self {
    case .block(let block): block.signatureCount
    case .ordering(let message, _): message.signatureCount
    case .cosignature, .evidence: 2
    case .blocks(let blocks): blocks.reduce(0) { $0 + $1.signatureCount }
    case .decisions(let decisions): decisions.reduce(0) { $0 + UInt64($1.commits.count) }
    case .snapshotOffer: 1
    case .history(let items):
      items.reduce(0) { $0 + UInt64($1.decision.commits.count) + $1.blocks.reduce(0) { $0 + $1.signatureCount } }
    case .manifest(let bundle): UInt64(bundle.decision.commits.count) + 8 * UInt64(bundle.links.count)
    case .control, .links, .status, .announcements, .blockRequest, .question, .answer, .raft, .manifestRequest,
      .chunkRequest, .chunk, .historyRequest:
      0
    }
  }
}

extension Block {
  /// The author's, and one a transaction that a person signed.
  var signatureCount: UInt64 {
    let transactions = (try? self.transactions()) ?? []
    return 1 + UInt64(transactions.count { if case .person = $0.authorization { true } else { false } })
  }
}

extension OrderingMessage {
  fileprivate var signatureCount: UInt64 {
    switch self {
    case .prePrepare, .prepare, .commit: 1
    case .viewChange(let signed): 1 + signed.content.signatureCount
    case .newView(let signed):
      signed.content.viewChanges.reduce(1 + UInt64(signed.content.prePrepares.count)) {
        $0 + 1 + $1.content.signatureCount
      }
    case .decision(let decision): UInt64(decision.commits.count)
    }
  }
}

extension ViewChange {
  fileprivate var signatureCount: UInt64 {
    let base = UInt64(self.base?.commits.count ?? 0)
    return self.prepared.reduce(base) { $0 + 1 + UInt64($1.prepares.count) }
  }
}

extension Signature {
  /// What stands for a signature where nobody verifies it, or nobody should take it.
  static let unsigned: Signature = {
    guard let signature = Signature(Array(repeating: 0, count: Self.lengthBytes)) else {
      preconditionFailure("a signature has \(Self.lengthBytes) bytes")
    }
    return signature
  }()
}
