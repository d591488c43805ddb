public import Primitives
public import Wire

/// A place in a Raft log and the term of the entry there: what decides whose log is more up to date (Raft §5.4.1).
public struct LogPosition: Sendable, Hashable, Comparable {
  /// The term in which a leader appended the entry; the genesis has term 0.
  public let term: View
  /// The place.
  public let sequence: SequenceNumber
  /// The entry of `term` at `sequence`.
  public init(term: View, sequence: SequenceNumber) { (self.term, self.sequence) = (term, sequence) }
  /// Before the first entry.
  public static let zero = LogPosition(term: View(0), sequence: .zero)
  /// Less up to date before more: the later term counts, then the longer log.
  public static func < (left: LogPosition, right: LogPosition) -> Bool {
    (left.term, left.sequence) < (right.term, right.sequence)
  }
}

extension LogPosition: WireCodable {
  /// Term, sequence.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.term)
    encoder.item(self.sequence)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.term = try View(from: &decoder)
    self.sequence = try SequenceNumber(from: &decoder)
  }
}

/// An entry of a Raft log: a cut, and the configuration and the term in which a leader appended it.
public struct RaftEntry: Sendable, Hashable {
  /// The configuration.
  public let configuration: ConfigurationNumber
  /// The term.
  public let term: View
  /// The cut.
  public let cut: Cut
  /// An entry of given parts.
  public init(configuration: ConfigurationNumber, term: View, cut: Cut) {
    (self.configuration, self.term, self.cut) = (configuration, term, cut)
  }
}

extension RaftEntry: WireCodable {
  /// Configuration, term, cut.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.item(self.term)
    encoder.item(self.cut)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.term = try View(from: &decoder)
    self.cut = try Cut(from: &decoder)
  }
}

/// What the members of a Raft consortium tell one another, point to point: the session proves who speaks, and nothing
/// is signed. Ongaro & Ousterhout 2014, figure 2; Ongaro's thesis §3.10 (transfer), §9.6 (pre-vote).
public enum RaftMessage: Sendable, Hashable {
  /// The most entries of one message.
  public static let entriesMax = 16

  /// Would you vote for me in `term`, my log ending at `last`? It changes nothing at whoever is asked.
  case preVoteRequest(term: View, last: LogPosition)
  /// The answer; `term` is the answerer's own.
  case preVote(term: View, isGranted: Bool)
  /// Vote for me in `term`; a transfer was asked for by the leader, so that its lease does not count.
  case voteRequest(term: View, last: LogPosition, isTransfer: Bool)
  /// The answer.
  case vote(term: View, isGranted: Bool)
  /// The leader's entries after `previous`, and how far it knows the log to be committed.
  case append(term: View, previous: LogPosition, entries: [RaftEntry], committed: SequenceNumber)
  /// The sender's log is the leader's through `match`, durably and with all its blocks.
  case appended(term: View, match: SequenceNumber)
  /// The entries did not fit; the leader's log may be the sender's through `end`.
  case refused(term: View, end: SequenceNumber)
  /// Stand for election now.
  case timeoutNow(term: View)
  /// The entry at `at` is not taken: its time is too far ahead of the sender's clock, which says `wall`.
  case untimely(term: View, at: SequenceNumber, wall: Timestamp)

  /// The sender's term, or the one that it would open.
  public var term: View {
    switch self {
    case .preVoteRequest(let term, _), .preVote(let term, _), .voteRequest(let term, _, _), .vote(let term, _),
      .append(let term, _, _, _), .appended(let term, _), .refused(let term, _), .timeoutNow(let term),
      .untimely(let term, _, _):
      term
    }
  }
}

extension RaftMessage: WireCodable {
  /// A type byte, 1 to 9, and the fields in order.
  public func encode(into encoder: inout Encoder) {
    switch self {
    case .preVoteRequest(let term, let last): encoder.u8(1); encoder.item(term); encoder.item(last)
    case .preVote(let term, let isGranted): encoder.u8(2); encoder.item(term); encoder.flag(isGranted)
    case .voteRequest(let term, let last, let isTransfer):
      encoder.u8(3)
      encoder.item(term)
      encoder.item(last)
      encoder.flag(isTransfer)
    case .vote(let term, let isGranted): encoder.u8(4); encoder.item(term); encoder.flag(isGranted)
    case .append(let term, let previous, let entries, let committed):
      encoder.u8(5)
      encoder.item(term)
      encoder.item(previous)
      encoder.item(committed)
      encoder.list(entries)
    case .appended(let term, let match): encoder.u8(6); encoder.item(term); encoder.item(match)
    case .refused(let term, let end): encoder.u8(7); encoder.item(term); encoder.item(end)
    case .timeoutNow(let term): encoder.u8(8); encoder.item(term)
    case .untimely(let term, let sequence, let wall):
      encoder.u8(9)
      encoder.item(term)
      encoder.item(sequence)
      encoder.item(wall)
    }
  }

  /// Reads one message.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    let type = try decoder.u8()
    let term = try View(from: &decoder)
    switch type {
    case 1: self = .preVoteRequest(term: term, last: try LogPosition(from: &decoder))
    case 2: self = .preVote(term: term, isGranted: try decoder.flag("granted"))
    case 3:
      let last = try LogPosition(from: &decoder)
      self = .voteRequest(term: term, last: last, isTransfer: try decoder.flag("transfer"))
    case 4: self = .vote(term: term, isGranted: try decoder.flag("granted"))
    case 5:
      let previous = try LogPosition(from: &decoder)
      let committed = try SequenceNumber(from: &decoder)
      let entries: [RaftEntry] = try decoder.list(max: Self.entriesMax, "entries")
      self = .append(term: term, previous: previous, entries: entries, committed: committed)
    case 6: self = .appended(term: term, match: try SequenceNumber(from: &decoder))
    case 7: self = .refused(term: term, end: try SequenceNumber(from: &decoder))
    case 8: self = .timeoutNow(term: term)
    case 9:
      let sequence = try SequenceNumber(from: &decoder)
      self = .untimely(term: term, at: sequence, wall: try Timestamp(from: &decoder))
    default: throw .invalid(at: start, field: "raft message type")
    }
  }
}
