internal import EventLoop
internal import HealthRecords
internal import Ledger
internal import Merkle
internal import Messages
internal import NodeCore
internal import Primitives
internal import Sessions
internal import Storage
internal import Telemetry
internal import Wire

/// Answers that are read from the disk for peers: rationed, and read and encoded on the worker pool (LEDGER §11.6).
extension NodeDriver {
  /// The most decisions of one answer.
  private static let decisionsMax = 64
  /// The most blocks of one answer.
  private static let blocksMax = 4096

  /// A peer asks for something that is on the disk.
  func serve(_ request: ServedRequest, to peer: ReplicaIndex) {
    switch self.rations.ask(request, by: peer, at: self.loop.now) {
    case .accepted: self.serveNext(peer)
    case .ignored(.duplicate): break
    case .ignored(.tooMany), .rejected: self.refuseRequests(of: peer)
    }
  }

  /// Tells the operator that a peer asks for more than it is given.
  func refuseRequests(of peer: ReplicaIndex) {
    self.log.emit(.requestsRefused, ["member": .text(self.name(peer))])
  }

  /// Begins the answers that a peer may have now.
  func serveNext(_ peer: ReplicaIndex) {
    guard let connection = self.byMember[peer] else { return self.rations.gone(peer) }
    while let request = self.rations.next(
      for: peer, queuedBytes: connection.session.queuedBytes(on: .sync), at: self.loop.now)
    {
      self.read(request, for: peer, over: connection)
    }
  }

  /// Goes on where budgets have grown, or others made room, with each in turn.
  func serveWaiting() { for peer in self.rations.waitingPeers { self.serveNext(peer) } }

  private func read(_ request: ServedRequest, for peer: ReplicaIndex, over connection: PeerConnection) {
    if case .record(let record, let start, let question) = request {
      return self.serveRecord(record, from: start) { [unowned self] result in
        let answer: [UInt8] =
          switch result {
          case .success(let content): [0] + content
          case .failure(let refusal): [refusal.rawValue]
          }
        self.rations.answered(request, to: peer, bytes: answer.count)
        if self.byMember[peer] === connection { self.give(.said(.answer(question, answer), to: peer)) }
        self.serveWaiting()
      }
    }
    let (store, folder, genesis) = (self.store, self.snapshots, self.settings.genesis)
    let (number, bytesMax) = (self.node.configuration.number, AnswerRations.share(of: peer).answerBytesMax)
    self.loop.work({
      Result { () throws(StorageFailure) in
        try Self.answer(request, from: store, folder, genesis, through: number, bytesMax: bytesMax)?.encoded
      }
    }) { [unowned self] result in
      var bytes: [UInt8]?
      do throws(StorageFailure) { bytes = try result.get() } catch { self.found(error) }
      self.rations.answered(request, to: peer, bytes: bytes?.count ?? 0)
      if let bytes, self.byMember[peer] === connection { self.pass(to: peer, .sync, bytes) }
      self.serveWaiting()
    }
  }

  /// The answer to a request; nil where there is none. For the worker pool.
  private static func answer(
    _ request: ServedRequest, from store: Store, _ folder: SnapshotFolder, _ genesis: Genesis,
    through number: ConfigurationNumber, bytesMax: Int
  ) throws(StorageFailure) -> PeerMessage? {
    switch request {
    case .blocks(let request):
      let blocks = try StoreReader(store).blocks(for: request, countMax: Self.blocksMax, bytesMax: bytesMax)
      return blocks.isEmpty ? nil : .blocks(blocks)
    case .decisions(let from, let through):
      guard through >= from else { return nil }
      let count = Int(clamping: through.number - from.number) &+ 1
      let decisions = try StoreReader(store).decisions(from: from, countMax: max(1, min(count, Self.decisionsMax)))
      return decisions.isEmpty ? nil : .decisions(decisions)
    case .manifest(let digest):
      guard let manifest = folder.manifest(digest) else { return nil }
      let reader = try StoreReader(store)
      guard let decision = try reader.decisions(from: manifest.sequence, countMax: 1).first,
        decision.sequence == manifest.sequence
      else { return nil }
      let links = try reader.changeProofs(through: number, from: genesis)
      return .manifest(SnapshotBundle(manifest, decision: decision, links: links))
    case .chunk(let digest, let number): return folder.chunk(number, of: digest).map { .chunk(digest, number, $0) }
    case .history(let sequence): return .history(try StoreReader(store).history(from: sequence, bytesMax: bytesMax / 4))
    // It comes out of the vault.
    case .record: return nil
    }
  }
}
