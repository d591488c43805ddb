public import Primitives

/// When each member is dialled: at once, then with a back-off that doubles and a jitter that spreads (OVERLAY §3).
public struct Dialler: Sendable, Equatable {
  /// A member's number, which the owner gives.
  public typealias Peer = Int

  /// What happens.
  public enum Input: Sendable {
    /// A session with a member opened.
    case connected(Peer)
    /// The last session with a member closed.
    case disconnected(Peer)
    /// From now on these are dialled, and no others.
    case changed([Peer])
    /// A dial did not lead to a session.
    case failed(Peer)
    /// A point in time that `deadline` named has come.
    case timerFired
  }

  /// What is wanted.
  public enum Effect: Sendable, Hashable {
    /// Dial one of a member's addresses: the `attempt`-th, counted from 0, in turn.
    case dial(Peer, attempt: Int)
  }

  /// Why an input was of no use.
  public enum Reason: String, Sendable, Hashable {
    /// No such member is dialled.
    case unknownPeer = "unknown peer"
    /// Nothing to do.
    case idle
  }

  /// What a step came to.
  public typealias Outcome = Disposition<Reason>

  /// The shortest back-off.
  public static let backoffMin = Span.milliseconds(200)
  /// The longest back-off.
  public static let backoffMax = Span.milliseconds(30_000)
  /// A session that lasts so long was no failure. ⚑ Where the other end hangs up after the handshake there is a session
  /// for a moment each time, and it would be dialled several times a second without end.
  public static let lasting = Span.milliseconds(10_000)

  enum Phase: Sendable, Equatable {
    case waiting(until: Tick)
    case dialling
    case connected(since: Tick)
  }

  struct PeerState: Sendable, Equatable {
    var phase: Phase
    var attempts = 0
    var failures: UInt64 = 0
  }

  private var peers: [Peer: PeerState] = [:]
  private var random: SeededGenerator

  /// A dialler of `peers`; those in `later` have the smaller identifier and will dial themselves, so they come second.
  public init(peers: [Peer], later: Set<Peer>, seed: UInt64, at now: Tick) {
    self.random = SeededGenerator(seed: seed)
    for peer in peers {
      let start = later.contains(peer) ? now + Span.milliseconds(1500) : now
      self.peers[peer] = PeerState(phase: .waiting(until: start))
    }
  }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick? {
    self.peers.values.compactMap { state in
      if case .waiting(let until) = state.phase { until } else { nil }
    }.min()
  }

  /// Takes one input; appends effects.
  public mutating func step(_ input: Input, at now: Tick, into effects: inout [Effect]) -> Outcome {
    switch input {
    case .connected(let peer):
      guard let state = self.peers[peer] else { return .ignored(.unknownPeer) }
      // A connection that takes another's place goes on with its session.
      if case .connected = state.phase { return .ignored(.idle) }
      self.peers[peer]?.phase = .connected(since: now)
      return .accepted
    case .changed(let peers):
      self.peers = self.peers.filter { peers.contains($0.key) }
      for peer in peers where self.peers[peer] == nil { self.peers[peer] = PeerState(phase: .waiting(until: now)) }
      return .accepted
    case .disconnected(let peer): return self.wait(peer, at: now)
    case .failed(let peer):
      guard self.peers[peer]?.phase == .dialling else { return .ignored(.idle) }
      return self.wait(peer, at: now)
    case .timerFired:
      var dialled = false
      for peer in self.peers.keys.sorted() {
        guard case .waiting(let until)? = self.peers[peer]?.phase, until <= now else { continue }
        effects.append(.dial(peer, attempt: self.peers[peer]?.attempts ?? 0))
        self.peers[peer]?.phase = .dialling
        self.peers[peer]?.attempts += 1
        dialled = true
      }
      return dialled ? .accepted : .ignored(.idle)
    }
  }

  private mutating func wait(_ peer: Peer, at now: Tick) -> Outcome {
    guard var state = self.peers[peer] else { return .ignored(.unknownPeer) }
    if case .connected(let since) = state.phase, now >= since + Self.lasting { state.failures = 0 }
    let backoff = min(Self.backoffMin * (1 << min(state.failures, 20)), Self.backoffMax)
    state.failures += 1
    // Half fixed, half drawn: members that lost one another at once do not all dial at once.
    let wait = backoff.nanoseconds / 2 + self.random.below(backoff.nanoseconds / 2 + 1)
    state.phase = .waiting(until: now + Span(nanoseconds: wait))
    self.peers[peer] = state
    return .accepted
  }
}
