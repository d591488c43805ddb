internal import Ordering
internal import Ledger
internal import Messages
internal import Primitives

/// Snapshots of the ledger: made and offered to whoever is far behind, and fetched by whoever is (LEDGER §7).
extension Node {
  /// Whether a snapshot is taken at a sequence number.
  func isSnapshotDue(at sequence: SequenceNumber) -> Bool {
    let interval = self.parameters.snapshotInterval
    return interval > 0 && self.index != nil && sequence.number.isMultiple(of: interval)
  }

  /// Has this member's word for its newest snapshot signed, in the configuration that it is in.
  mutating func offerSnapshot(_ run: inout NodeRun) {
    self.offer = nil
    guard let snapshot = self.snapshot, self.index != nil else { return }
    run.effects.append(.sign(.snapshot(snapshot.sequence, snapshot.digest, self.configuration.number)))
  }

  /// Tells a peer of the snapshot where it is far behind.
  mutating func offerSnapshot(to peer: ReplicaIndex, decided: SequenceNumber, _ run: inout NodeRun) {
    guard let offer, offer.sequence.number > decided.number + self.parameters.transfer.distance else { return }
    self.send(.snapshotOffer(offer), to: peer, &run)
  }

  /// Whether what is decided is not executed for now: a snapshot that lies far ahead is on its way. A member goes on,
  /// its votes may be needed.
  var holdsReplay: Bool { self.index == nil && self.transfer.holdsReplay }

  mutating func step(transfer input: Transfer.Input, _ run: inout NodeRun) -> Outcome {
    var effects: [Transfer.Effect] = []
    let isHeld = self.holdsReplay
    let outcome = self.transfer.step(input, at: run.now.tick, into: &effects)
    for effect in effects {
      switch effect {
      case .askManifest(let peer, let digest): self.send(.manifestRequest(digest), to: peer, &run)
      case .askChunk(let peer, let digest, let number): self.send(.chunkRequest(digest, number), to: peer, &run)
      case .open(let manifest): run.effects.append(.openTransfer(manifest))
      case .keep(let digest, let number, let bytes): run.effects.append(.keepChunk(digest, number, bytes))
      case .adopt(let bundle): run.effects.append(.adopt(bundle))
      case .began(let sequence, let chunks): run.effects.append(.report(.transferBegan(sequence, chunks: chunks)))
      case .refused(let peer): run.effects.append(.report(.transferRefused(peer)))
      }
    }
    if isHeld && !self.holdsReplay { self.pumpExecution(&run) }
    return outcome.map(Reason.transfer)
  }

  mutating func step(backfill input: Backfill.Input, _ run: inout NodeRun) {
    var effects: [Backfill.Effect] = []
    self.backfill.step(input, at: run.now.tick, peers: self.peers + self.sources.sorted(), into: &effects)
    for effect in effects {
      switch effect {
      case .ask(let peer, let sequence): self.send(.historyRequest(sequence), to: peer, &run)
      case .keep(let items): run.effects.append(.keepHistory(items))
      }
    }
  }
}
