internal import Ledger
internal import Messages
internal import Primitives

/// Fetches what was executed below the snapshot that a ledger began with, from one member after another, until all of
/// it is here (LEDGER §7). Nothing waits for it.
struct Backfill: Sendable {
  /// What happens.
  enum Input {
    /// What is missing now; nil for nothing.
    case missing(SequenceNumber?)
    /// An answer came.
    case history([HistoryItem], from: ReplicaIndex)
    /// Somebody came who may be asked.
    case connected
    /// A peer is gone.
    case disconnected(ReplicaIndex)
    /// A point in time that `deadline` named has come.
    case timerFired
  }

  /// What it wants done.
  enum Effect {
    /// Ask a peer.
    case ask(ReplicaIndex, SequenceNumber)
    /// Check and keep this, and say what is missing then.
    case keep([HistoryItem])
  }

  private enum Stage {
    case idle
    case asking(ReplicaIndex, since: Tick)
    /// The driver checks what a peer sent.
    case keeping(ReplicaIndex)
  }

  /// How long a member may take to answer.
  private static let patience = Span.milliseconds(10_000)
  /// After how long those are asked again who had nothing.
  private static let pause = Span.milliseconds(30_000)

  private var missing: SequenceNumber?
  private var stage = Stage.idle
  /// Those who do not have what is missing, sent something else, or said nothing.
  private var exhausted: Set<ReplicaIndex> = []
  private var again: Tick?
  private var turn = 0

  /// The next point in time at which it wants `.timerFired`.
  var deadline: Tick? {
    guard self.missing != nil else { return nil }
    if case .asking(_, let since) = self.stage { return since + Self.patience }
    return self.again
  }

  mutating func step(_ input: Input, at now: Tick, peers: [ReplicaIndex], into effects: inout [Effect]) {
    switch input {
    case .missing(let sequence):
      // What took nothing off was not what it should have been.
      if case .keeping(let peer) = self.stage, sequence == self.missing { self.exhausted.insert(peer) }
      self.missing = sequence
      self.stage = .idle
    case .history(let items, let peer):
      guard case .asking(peer, _) = self.stage else { return }
      if items.isEmpty {
        self.exhausted.insert(peer)
        self.stage = .idle
      } else {
        self.stage = .keeping(peer)
        effects.append(.keep(items))
      }
    case .connected: break
    case .disconnected(let peer):
      self.exhausted.remove(peer)
      if case .asking(peer, _) = self.stage { self.stage = .idle }
    case .timerFired:
      if case .asking(let peer, let since) = self.stage, since + Self.patience <= now {
        self.exhausted.insert(peer)
        self.stage = .idle
      }
      if let again, again <= now { (self.again, self.exhausted) = (nil, []) }
    }
    self.ask(at: now, peers: peers, into: &effects)
  }

  private mutating func ask(at now: Tick, peers: [ReplicaIndex], into effects: inout [Effect]) {
    guard case .idle = self.stage, let missing else { return }
    let open = peers.filter { !self.exhausted.contains($0) }
    guard !open.isEmpty else {
      if !peers.isEmpty { self.again = self.again ?? now + Self.pause }
      return
    }
    self.turn += 1
    let peer = open[self.turn % open.count]
    self.stage = .asking(peer, since: now)
    effects.append(.ask(peer, missing))
  }
}
