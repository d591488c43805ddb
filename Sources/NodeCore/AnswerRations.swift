public import Messages
public import Primitives

/// What a peer asks this node to read from its store and send.
public enum ServedRequest: Sendable, Hashable {
  /// Blocks of a lane.
  case blocks(BlockRequest)
  /// Decisions.
  case decisions(from: SequenceNumber, through: SequenceNumber)
  /// A snapshot's manifest.
  case manifest(Digest)
  /// A chunk of a snapshot.
  case chunk(Digest, Int)
  /// What was executed at a sequence number and below.
  case history(SequenceNumber)
  /// A part of a record's ciphertext, from a chunk on, in answer to the peer's question of that number.
  case record(Digest, from: Int, question: UInt64)

  /// Kinds of answers.
  public enum Kind: Sendable, Hashable { case blocks, decisions, manifest, chunk, history, record }

  /// Its kind.
  public var kind: Kind {
    switch self {
    case .blocks: .blocks
    case .decisions: .decisions
    case .manifest: .manifest
    case .chunk: .chunk
    case .history: .history
    case .record: .record
    }
  }

  /// Whether it takes the place of another that still waits: of the same lane, or kind, the newest is wanted.
  func replaces(_ other: ServedRequest) -> Bool {
    switch (self, other) {
    case (.blocks(let own), .blocks(let other)): own.lane == other.lane
    case (.chunk, .chunk): self == other
    case (.decisions, .decisions), (.manifest, .manifest), (.history, .history): true
    // Who asks again has given up the question before.
    case (.record(let own, let start, _), .record(let other, let from, _)): own == other && start == from
    case (.blocks, _), (.decisions, _), (.manifest, _), (.chunk, _), (.history, _), (.record, _): false
    }
  }
}

/// What each peer is given of this node's disk, processor, memory and line (LEDGER §11.6, I9).
///
/// ⚑ For each peer and kind one answer is under way; what is asked besides waits in a short list, and the same once. An
/// answer is begun only where the peer takes what it was sent before, and where it has bytes left of its budget, which
/// grows with time. A question costs 51 bytes and an answer four million: without this a peer that only asks fills the
/// memory of whoever answers. Peers that do not vote have less than members.
public struct AnswerRations: Sendable {
  /// What one kind of peer is given.
  public struct Share: Sendable, Hashable {
    /// So many bytes come to the budget in a second.
    public var bytesPerSecond: UInt64
    /// The most bytes that the budget holds.
    public var bytesMax: Int64
    /// The most bytes that wait in the peer's session when another answer is begun.
    public var queuedBytesMax: Int
    /// About the most bytes of one answer.
    public var answerBytesMax: Int
    /// The most requests that wait.
    public var waitingMax: Int
  }

  /// What members are given.
  public static let members = Share(
    bytesPerSecond: 64 << 20, bytesMax: 128 << 20, queuedBytesMax: 8 << 20, answerBytesMax: 4 << 20, waitingMax: 512)
  /// What those are given who do not vote.
  public static let guests = Share(
    bytesPerSecond: 4 << 20, bytesMax: 16 << 20, queuedBytesMax: 1 << 20, answerBytesMax: 1 << 20, waitingMax: 256)
  /// The most answers that are being read at once, for all together, and for those who do not vote.
  public static let readingMax = 8
  /// The most that are being read for one peer.
  static let readingForOneMax = 2
  /// See `readingMax`. Checks of messages wait for the same workers.
  public static let readingForGuestsMax = 1
  /// What all together are given who do not vote: one that comes back under another number has no more for it.
  static let allGuests = Share(
    bytesPerSecond: 8 << 20, bytesMax: 32 << 20, queuedBytesMax: 0, answerBytesMax: 0, waitingMax: 0)
  /// What finding nothing costs at least.
  static let costMin: Int64 = 4096

  /// Why a request is not served.
  public enum Reason: String, Sendable, Hashable {
    /// It waits, or is being answered.
    case duplicate
    /// Too many wait.
    case tooMany = "too many requests"
  }

  private struct Budget: Sendable {
    var bytes: Int64
    var filledAt: Tick

    mutating func fill(_ share: Share, at now: Tick) {
      // Longer than this fills any budget.
      let milliseconds = min((now - self.filledAt).nanoseconds / 1_000_000, 600_000)
      guard milliseconds > 0 else { return }
      self.filledAt = now
      self.bytes = min(share.bytesMax, self.bytes + Int64(milliseconds * share.bytesPerSecond / 1000))
    }

    /// When there are bytes again; nil where there are.
    func deadline(_ share: Share) -> Tick? {
      guard self.bytes <= 0 else { return nil }
      let span = UInt64(1 - self.bytes) * 1_000_000_000 / share.bytesPerSecond + 1_000_000
      return self.filledAt + Span(nanoseconds: span)
    }
  }

  private struct Peer: Sendable {
    var waiting: [ServedRequest] = []
    /// The requests that are being answered, at most one of a kind.
    var reading: [ServedRequest] = []
    var budget: Budget
    var isGone = false
  }

  private var peers: [ReplicaIndex: Peer] = [:]
  private var lastServed: ReplicaIndex = 0
  private var guestBudget = Budget(bytes: AnswerRations.allGuests.bytesMax, filledAt: .zero)

  /// Rations of which nothing is taken.
  public init() {}

  /// What a peer is given.
  public static func share(of peer: ReplicaIndex) -> Share {
    peer < ReplicaSet.countMax ? Self.members : Self.guests
  }

  /// How many requests wait, for all peers.
  public var waitingCount: Int { self.peers.values.reduce(0) { $0 + $1.waiting.count } }
  /// The peers whose requests wait, each in turn: from after the one that was served last.
  public var waitingPeers: [ReplicaIndex] {
    let waiting = self.peers.keys.sorted().filter { self.peers[$0]?.waiting.isEmpty == false }
    return waiting.filter { $0 > self.lastServed } + waiting.filter { $0 <= self.lastServed }
  }

  /// A peer asks.
  public mutating func ask(_ request: ServedRequest, by peer: ReplicaIndex, at now: Tick) -> Disposition<Reason> {
    let share = Self.share(of: peer)
    var state = self.peers[peer] ?? Peer(budget: Budget(bytes: share.bytesMax, filledAt: now))
    state.isGone = false
    guard !state.reading.contains(request), !state.waiting.contains(request) else { return .ignored(.duplicate) }
    if let old = state.waiting.firstIndex(where: { request.replaces($0) }) {
      state.waiting[old] = request
    } else {
      guard state.waiting.count < share.waitingMax else { return .ignored(.tooMany) }
      state.waiting.append(request)
    }
    self.peers[peer] = state
    return .accepted
  }

  /// The next request of a peer that is answered now, the oldest first; nil where none may be. `queuedBytes` wait in
  /// its session.
  public mutating func next(for peer: ReplicaIndex, queuedBytes: Int, at now: Tick) -> ServedRequest? {
    guard var state = self.peers[peer], !state.waiting.isEmpty else { return nil }
    let share = Self.share(of: peer)
    state.budget.fill(share, at: now)
    self.guestBudget.fill(Self.allGuests, at: now)
    defer { self.peers[peer] = state }
    let hasBytes = state.budget.bytes > 0 && (peer < ReplicaSet.countMax || self.guestBudget.bytes > 0)
    guard queuedBytes <= share.queuedBytesMax, hasBytes, state.reading.count < Self.readingForOneMax,
      self.mayRead(for: peer)
    else { return nil }
    guard let index = state.waiting.firstIndex(where: { one in !state.reading.contains { $0.kind == one.kind } })
    else { return nil }
    let request = state.waiting.remove(at: index)
    state.reading.append(request)
    self.lastServed = peer
    return request
  }

  /// An answer was read, of so many bytes; 0 where there was nothing.
  public mutating func answered(_ request: ServedRequest, to peer: ReplicaIndex, bytes: Int) {
    let cost = max(Self.costMin, Int64(bytes))
    if peer >= ReplicaSet.countMax { self.guestBudget.bytes -= cost }
    guard var state = self.peers[peer] else { return }
    state.reading.removeAll { $0 == request }
    state.budget.bytes -= cost
    let isOver = state.isGone && state.reading.isEmpty && peer >= ReplicaSet.countMax
    self.peers[peer] = isOver ? nil : state
  }

  /// A peer is gone; what is being read for it is thrown away. A member that comes back has its budget as it was.
  public mutating func gone(_ peer: ReplicaIndex) {
    guard var state = self.peers[peer] else { return }
    (state.waiting, state.isGone) = ([], true)
    self.peers[peer] = state.reading.isEmpty && peer >= ReplicaSet.countMax ? nil : state
  }

  /// When a budget that somebody waits for has bytes again; nil where nobody waits for that.
  public var deadline: Tick? {
    self.peers.compactMap { peer, state -> Tick? in
      guard !state.waiting.isEmpty else { return nil }
      let own = state.budget.deadline(Self.share(of: peer))
      guard peer >= ReplicaSet.countMax, let all = self.guestBudget.deadline(Self.allGuests) else { return own }
      return own.map { max($0, all) } ?? all
    }.min()
  }

  private func mayRead(for peer: ReplicaIndex) -> Bool {
    let all = self.peers.values.reduce(0) { $0 + $1.reading.count }
    guard peer >= ReplicaSet.countMax else { return all < Self.readingMax }
    let guests = self.peers.reduce(0) { $0 + ($1.key >= ReplicaSet.countMax ? $1.value.reading.count : 0) }
    return all < Self.readingMax && guests < Self.readingForGuestsMax
  }
}

/// How often somebody may do something: so many at once, and one more each interval (a leaky bucket).
struct Rate: Sendable, Hashable {
  private var due = Tick.zero

  /// Whether it may be done now; if so it is counted.
  mutating func admits(at now: Tick, every interval: Span, burst: UInt64) -> Bool {
    let from = max(self.due, now)
    guard from <= now + interval * burst else { return false }
    self.due = from + interval
    return true
  }
}
