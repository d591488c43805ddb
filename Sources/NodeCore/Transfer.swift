public import Ledger
public import Messages
public import Primitives

/// Fetches a snapshot of the ledger from several members at once (LEDGER §7): f + 1 members' words for one manifest,
/// then its chunks, each checked against it. What is fetched survives a restart.
public struct Transfer: Sendable {
  /// Limits and spans.
  public struct Parameters: Sendable, Hashable {
    /// How far a snapshot must lie ahead of what is executed to be fetched: what is nearer is replayed.
    public var distance: UInt64 = 4096
    /// The most chunks that are asked for at once.
    public var parallelMax = 8
    /// How long a member may take to answer.
    public var patience = Span.milliseconds(5000)
    /// The defaults.
    public init() {}
  }

  /// What happens.
  public enum Input: Sendable {
    /// A member has a snapshot.
    case offered(SnapshotOffer, from: ReplicaIndex)
    /// A manifest came, and everything in it that proves itself holds.
    case manifest(SnapshotBundle, ConfigurationChain, from: ReplicaIndex)
    /// The driver can take a manifest's chunks; it has some of them already.
    case opened(Digest, held: [Int])
    /// A chunk came.
    case chunk(Digest, Int, [UInt8], from: ReplicaIndex)
    /// A peer is gone.
    case disconnected(ReplicaIndex)
    /// So much is executed.
    case executed(SequenceNumber)
    /// A point in time that `deadline` named has come.
    case timerFired
  }

  /// What it wants done.
  public enum Effect: Sendable {
    /// Ask for a manifest.
    case askManifest(ReplicaIndex, Digest)
    /// Find out which chunks are here already, and answer `.opened`.
    case open(SnapshotManifest)
    /// Ask for a chunk.
    case askChunk(ReplicaIndex, Digest, Int)
    /// Keep a chunk that was checked.
    case keep(Digest, Int, [UInt8])
    /// All chunks are here: go on from them.
    case adopt(SnapshotBundle)
    /// A transfer began, with so many chunks to come.
    case began(SequenceNumber, chunks: Int)
    /// A peer's chunk is not what it should be.
    case refused(ReplicaIndex)
  }

  /// Why an input was of no use, or wrong.
  public enum Reason: String, Sendable, Hashable {
    /// Nobody asked for it, or it is here.
    case idle
    /// It does not hold.
    case wrong
  }

  private struct Fetch {
    let bundle: SnapshotBundle
    let digest: Digest
    /// Peers that offered it and were not found wanting.
    var peers: Set<ReplicaIndex>
    var missing: [Int] = []
    var underWay: [Int: (peer: ReplicaIndex, at: Tick)] = [:]
    var isOpen = false
    var left: Int { self.missing.count + self.underWay.count }
  }

  private enum Stage {
    case idle
    case asking(Digest, ReplicaIndex, since: Tick)
    case vouching(SnapshotBundle, Digest, ConfigurationChain, since: Tick)
    case fetching(Fetch)
    case adopting
  }

  /// The most manifests that are remembered because nobody vouched for them.
  private static let unvouchedMax = 64

  private let network: Digest
  private let parameters: Parameters
  private let known: ConfigurationNumber
  private var executed: SequenceNumber
  private var offers: [ReplicaIndex: SnapshotOffer] = [:]
  /// Manifests that nobody vouched for, and how many offered them then.
  private var unvouched: [Digest: Int] = [:]
  private var stage = Stage.idle
  /// Whether a snapshot that was offered came to nothing.
  private var hasFailed = false
  private var turn = 0

  /// A transfer that begins as soon as somebody is far ahead of `executed`; `known` is the newest configuration that
  /// this node knows itself.
  public init(
    network: Digest, parameters: Parameters, known: ConfigurationNumber, executed: SequenceNumber
  ) {
    (self.network, self.parameters, self.known, self.executed) = (network, parameters, known, executed)
  }

  /// The snapshot that is being fetched, with its chunks and how many are still to come; nil for none.
  public var progress: (sequence: SequenceNumber, chunks: Int, left: Int)? {
    guard case .fetching(let fetch) = self.stage else { return nil }
    return (fetch.bundle.manifest.sequence, fetch.bundle.manifest.chunks.count, fetch.left)
  }

  /// Whether replaying waits: what is executed meanwhile is executed in vain. Who offers what nobody else vouches for
  /// is waited for once, `patience` long.
  public var holdsReplay: Bool {
    switch self.stage {
    case .idle: false
    case .asking, .vouching: !self.hasFailed
    case .fetching, .adopting: true
    }
  }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick? {
    switch self.stage {
    case .idle, .adopting: nil
    case .asking(_, _, let since), .vouching(_, _, _, let since): since + self.parameters.patience
    case .fetching(let fetch): fetch.underWay.values.map(\.at).min().map { $0 + self.parameters.patience }
    }
  }

  /// Takes one input; appends effects in their order.
  public mutating func step(_ input: Input, at now: Tick, into effects: inout [Effect]) -> Disposition<Reason> {
    var outcome = Disposition<Reason>.accepted
    switch input {
    case .offered(let offer, let peer): self.take(offer, from: peer)
    case .manifest(let bundle, let chain, let peer):
      outcome = self.take(bundle, chain, from: peer, at: now)
    case .opened(let digest, let held): self.opened(digest, held, into: &effects)
    case .chunk(let digest, let number, let bytes, let peer):
      outcome = self.take(bytes, number, of: digest, from: peer, into: &effects)
    case .disconnected(let peer): self.lose(peer)
    case .executed(let sequence):
      self.executed = sequence
      switch self.stage {
      case .fetching(let fetch) where fetch.bundle.manifest.sequence <= sequence: self.stage = .idle
      case .vouching(let bundle, _, _, _) where bundle.manifest.sequence <= sequence: self.stage = .idle
      case .idle, .asking, .vouching, .fetching, .adopting: break
      }
    case .timerFired: self.giveUp(at: now)
    }
    self.advance(at: now, into: &effects)
    return outcome
  }

  private mutating func take(_ offer: SnapshotOffer, from peer: ReplicaIndex) {
    self.offers[peer] = offer
    guard case .fetching(var fetch) = self.stage, fetch.digest == offer.manifest else { return }
    fetch.peers.insert(peer)
    self.stage = .fetching(fetch)
  }

  private mutating func take(
    _ bundle: SnapshotBundle, _ chain: ConfigurationChain, from peer: ReplicaIndex, at now: Tick
  ) -> Disposition<Reason> {
    // What was asked for long ago may come late.
    guard case .asking(let digest, peer, _) = self.stage, bundle.manifest.digest == digest else {
      return .ignored(.idle)
    }
    // ⚑ A manifest has one number: who offers it under another would be asked for it for ever.
    let liars = self.offers.filter { $0.value.manifest == digest && $0.value.sequence != bundle.manifest.sequence }
    if !liars.isEmpty, !planted(.offerNumberTrusted) {
      for peer in liars.keys { self.offers[peer] = nil }
      self.hasFailed = true
    }
    // ⚑ Whoever went back behind what it executed would forget what it sealed since, and seal otherwise.
    guard bundle.manifest.sequence > self.executed || planted(.snapshotBehind) else {
      self.stage = .idle
      return .ignored(.idle)
    }
    // ⚑ A chain that ends before what this node knows is old: the keys of those members may be anybody's by now.
    guard chain.last.number >= self.known else {
      self.offers[peer] = nil
      self.hasFailed = true
      self.stage = .idle
      return .ignored(.idle)
    }
    self.stage = .vouching(bundle, digest, chain, since: now)
    return .accepted
  }

  private mutating func opened(_ digest: Digest, _ held: [Int], into effects: inout [Effect]) {
    guard case .fetching(var fetch) = self.stage, fetch.digest == digest, !fetch.isOpen else { return }
    let have = Set(held)
    fetch.missing = fetch.bundle.manifest.chunks.indices.filter { !have.contains($0) }
    fetch.isOpen = true
    self.stage = .fetching(fetch)
    effects.append(.began(fetch.bundle.manifest.sequence, chunks: fetch.missing.count))
  }

  private mutating func take(
    _ bytes: [UInt8], _ number: Int, of digest: Digest, from peer: ReplicaIndex, into effects: inout [Effect]
  ) -> Disposition<Reason> {
    guard case .fetching(var fetch) = self.stage, fetch.digest == digest, fetch.underWay[number]?.peer == peer else {
      return .ignored(.idle)
    }
    defer { self.stage = .fetching(fetch) }
    fetch.underWay[number] = nil
    guard SnapshotManifest.digest(of: bytes) == fetch.bundle.manifest.chunks[number] || planted(.chunksUnchecked) else {
      fetch.missing.append(number)
      self.exclude(peer, from: &fetch)
      effects.append(.refused(peer))
      return .rejected(.wrong)
    }
    effects.append(.keep(digest, number, bytes))
    return .accepted
  }

  private func exclude(_ peer: ReplicaIndex, from fetch: inout Fetch) {
    fetch.peers.remove(peer)
    // In order: what is asked for next must be the same in every run (I10).
    for number in fetch.underWay.keys.sorted() where fetch.underWay[number]?.peer == peer {
      fetch.underWay[number] = nil
      fetch.missing.append(number)
    }
  }

  private mutating func lose(_ peer: ReplicaIndex) {
    self.offers[peer] = nil
    switch self.stage {
    case .asking(_, peer, _):
      self.hasFailed = true
      self.stage = .idle
    case .fetching(var fetch):
      self.exclude(peer, from: &fetch)
      self.stage = .fetching(fetch)
    case .idle, .asking, .vouching, .adopting: break
    }
  }

  private mutating func giveUp(at now: Tick) {
    switch self.stage {
    case .asking(_, let peer, let since) where since + self.parameters.patience <= now:
      // Whoever is silent offers it again when it is there.
      self.hasFailed = true
      self.offers[peer] = nil
      self.stage = .idle
    case .vouching(_, let digest, _, let since) where since + self.parameters.patience <= now:
      self.hasFailed = true
      // I9: whoever invents one after another fills no memory.
      if self.unvouched.count >= Self.unvouchedMax { self.unvouched = [:] }
      self.unvouched[digest] = self.offers.values.count { $0.manifest == digest }
      self.stage = .idle
    case .fetching(var fetch):
      for number in fetch.underWay.keys.sorted() {
        guard let asked = fetch.underWay[number], asked.at + self.parameters.patience <= now else { continue }
        self.exclude(asked.peer, from: &fetch)
      }
      self.stage = .fetching(fetch)
    case .idle, .asking, .vouching, .adopting: break
    }
  }

  private mutating func advance(at now: Tick, into effects: inout [Effect]) {
    if case .vouching(let bundle, let digest, let chain, _) = self.stage,
      self.isVouched(digest, at: bundle.manifest.sequence, by: chain)
    {
      let peers = self.offers.filter { $0.value.manifest == digest }.keys
      self.stage = .fetching(Fetch(bundle: bundle, digest: digest, peers: Set(peers)))
      effects.append(.open(bundle.manifest))
    }
    if case .fetching(var fetch) = self.stage, fetch.isOpen {
      if fetch.left == 0 {
        self.stage = .adopting
        return effects.append(.adopt(fetch.bundle))
      }
      self.ask(&fetch, at: now, into: &effects)
      // With nobody left it begins anew: what is here is not asked for again.
      self.stage = fetch.peers.isEmpty ? .idle : .fetching(fetch)
      self.hasFailed = self.hasFailed || fetch.peers.isEmpty
    }
    if case .idle = self.stage { self.begin(at: now, into: &effects) }
  }

  /// ⚑ f + 1 members of the last configuration that the bundle proves: one of them is honest.
  private func isVouched(_ digest: Digest, at sequence: SequenceNumber, by chain: ConfigurationChain) -> Bool {
    let words = self.offers.values.filter {
      $0.manifest == digest && $0.sequence == sequence && $0.isAuthentic(network: self.network, in: chain.last)
    }
    let needed = planted(.snapshotUnvouched) ? 1 : chain.last.faultyMax + 1
    return Set(words.map(\.signer)).count >= needed
  }

  private mutating func ask(_ fetch: inout Fetch, at now: Tick, into effects: inout [Effect]) {
    let peers = fetch.peers.sorted()
    guard !peers.isEmpty else { return }
    while fetch.underWay.count < self.parameters.parallelMax, let number = fetch.missing.popLast() {
      self.turn += 1
      let peer = peers[self.turn % peers.count]
      fetch.underWay[number] = (peer, now)
      effects.append(.askChunk(peer, fetch.digest, number))
    }
  }

  /// Asks for the manifest that most offer, of these for the newest.
  private mutating func begin(at now: Tick, into effects: inout [Effect]) {
    var offered: [Digest: (count: Int, sequence: SequenceNumber, peers: [ReplicaIndex])] = [:]
    for peer in self.offers.keys.sorted() {
      guard let offer = self.offers[peer], offer.sequence.number > self.executed.number + self.parameters.distance
      else { continue }
      var held = offered[offer.manifest] ?? (0, offer.sequence, [])
      held.count += 1
      held.peers.append(peer)
      offered[offer.manifest] = held
    }
    let open = offered.filter { $0.value.count > self.unvouched[$0.key] ?? 0 }
    let best = open.max {
      ($0.value.count, $0.value.sequence, $0.key.prefix64) < ($1.value.count, $1.value.sequence, $1.key.prefix64)
    }
    guard let best else { return }
    self.turn += 1
    let peer = best.value.peers[self.turn % best.value.peers.count]
    self.stage = .asking(best.key, peer, since: now)
    effects.append(.askManifest(peer, best.key))
  }
}
