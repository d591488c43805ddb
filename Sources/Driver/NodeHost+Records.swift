internal import Ledger
internal import EventLoop
public import Gateway
public import HealthRecords
internal import Messages
internal import NodeCore
public import Primitives
internal import Rules
internal import Signing
internal import Storage
internal import Telemetry
internal import Threshold
internal import Vaults
internal import Wire

/// Records of all hospitals, as this one's people and systems ask for them.
extension NodeHost {
  /// Copies records, which anchors name, into other vaults; whether there are enough copies.
  func replicate(_ records: [SealedRecord], anchors: [RecordAnchor]) async -> Bool {
    guard let driver = self.running else { return false }
    return await withCheckedContinuation { continuation in
      driver.replicate(records, anchors: anchors) { continuation.resume(returning: $0) }
    }
  }

  /// Copies one record part by part; whether there are enough copies.
  func replicate(_ content: any SealedContent, anchor: RecordAnchor) async -> Bool {
    guard let driver = self.running else { return false }
    return await withCheckedContinuation { continuation in
      driver.replicate(content, anchor: anchor) { continuation.resume(returning: $0) }
    }
  }

  /// A sealed record, from this hospital's vault or from another's; it is the anchored one.
  public func content(_ record: Digest) async throws(ServiceRefusal) -> any SealedContent {
    guard let entry = self.record(record) else { throw .notFound("record") }
    guard !entry.isErased else { throw .release(.erased) }
    do throws(VaultFailure) {
      if let kept = try await self.soundContent(entry) {
        return self.opened.keep(kept, at: self.loop.now)
      }
    } catch { self.log.emit(.vaultFailed, ["reason": .text("\(error)")]) }
    // Also where this vault is out of reach: others have it.
    guard let fetched = try await self.fetchOnce(entry) else { throw .release(.unreachable) }
    return self.opened.keep(fetched, at: self.loop.now)
  }

  /// A part of a record's ciphertext; the whole was held against its anchor when its first part was asked for.
  public func part(_ record: Digest, from start: Int) async throws(ServiceRefusal) -> RecordPart {
    guard let entry = self.record(record) else { throw .notFound("record") }
    guard !entry.isErased else { throw .release(.erased) }
    let content: any SealedContent
    if start > 0, let kept = self.opened.find(record, at: self.loop.now) {
      content = kept
    } else if start > 0, let kept = try? await self.vault.content(of: record) {
      // Whoever asked for the first part has waited for the check, and checks all of it too.
      content = kept
    } else {
      content = try await self.content(record)
    }
    guard (0..<content.head.count).contains(start) else { throw .badRequest("the record has no chunk \(start)") }
    do throws(VaultFailure) { return try await content.part(from: start) } catch { throw .failed("\(error)") }
  }

  /// A place for ciphertext on its way.
  public nonisolated func spool() throws(ServiceRefusal) -> any ChunkSpool {
    do throws(StorageFailure) {
      return try FileSpool(folder: self.spoolFolder, room: self.spoolRoom)
    } catch { throw .failed("\(error)") }
  }

  /// The most records that are brought from other vaults at once for those who read.
  private static let fetchesMax = 8

  /// A sealed record from another vault, once for all who ask for it meanwhile.
  ///
  /// - Throws: `ServiceRefusal.busy` where as many are brought as may be.
  private func fetchOnce(_ entry: RecordEntry) async throws(ServiceRefusal) -> (any SealedContent)? {
    let record = entry.anchor.record
    if let task = self.fetching[record] { return await task.value }
    guard self.fetching.count < Self.fetchesMax else { throw .busy }
    let task = Task { await self.fetch(entry) }
    self.fetching[record] = task
    let content = await task.value
    self.fetching[record] = nil
    return content
  }

  /// A sealed record from another vault: its hospital's first, then those that should have a copy, then any.
  func fetch(_ entry: RecordEntry) async -> (any SealedContent)? {
    guard let driver = self.running else { return nil }
    let configuration = driver.node.configuration
    let sources = Placement(configuration).sources(
      of: entry.anchor.record, from: configuration.index(of: entry.hospital))
    for member in sources where member != driver.node.index && driver.node.connected.contains(member) {
      if case .success(let sealed) = await self.fetch(entry, from: member) { return sealed }
    }
    return nil
  }

  /// A sealed record from a member's vault; it is what was anchored, or a refusal.
  func fetch(_ entry: RecordEntry, from member: ReplicaIndex) async -> Result<any SealedContent, ReleaseRefusal> {
    guard let driver = self.running else { return .failure(.unreachable) }
    let spool: any ChunkSpool
    if entry.anchor.chunkCount <= SealedRecord.chunksMax {
      spool = MemorySpool()
    } else {
      do throws(ServiceRefusal) { spool = try self.spool() } catch { return .failure(.unreachable) }
    }
    return await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<any SealedContent, ReleaseRefusal>, Never>) in
      driver.fetchObject(entry, from: member, into: spool) { continuation.resume(returning: $0) }
    }
  }

  /// Whether a member's vault keeps a record: a chunk of it with its proof.
  public func kept(_ record: Digest, chunk: Int, by member: MemberID) async throws(ServiceRefusal) -> KeptView {
    guard let entry = self.record(record) else { throw .notFound("record") }
    guard let driver = self.running, let index = driver.node.configuration.index(of: member) else {
      throw .notFound("member")
    }
    guard !entry.isErased else { return KeptView(.erased) }
    guard chunk >= 0, chunk < entry.anchor.chunkCount else { throw .badRequest("the record has no such chunk") }
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<[UInt8], ReleaseRefusal>, Never>) in
      guard index != driver.node.index else {
        return driver.prove(record, chunk: chunk) { continuation.resume(returning: $0) }
      }
      driver.ask(index, .proof(record, chunk: chunk)) { continuation.resume(returning: $0) }
    }
    switch result {
    case .success(let bytes):
      // Whether it is right, whoever asked sees for itself.
      guard let proof = try? ChunkProof.decode(bytes), proof.index == chunk else { return KeptView(.failed) }
      return KeptView(.proven, proof)
    case .failure(let refusal):
      if await self.judge(refusal, of: record) == .wrong { return KeptView(.failed) }
      return KeptView(refusal == .unreachable ? .unreachable : .erased)
    }
  }

  /// What a refused proof says of a vault. ⚑ Nothing that it says of itself counts: who was asked for a record that is
  /// not erased has a proof or none.
  func judge(_ refusal: ReleaseRefusal, of record: Digest) async -> Tending.Fetched {
    switch refusal {
    case .unreachable: return .unanswered
    case .erased:
      // It may have executed the erasure a moment before this node does.
      for _ in 0..<Self.erasureLooksMax {
        if self.record(record)?.isErased ?? true { return .unanswered }
        do { try await Task.sleep(for: .milliseconds(500)) } catch { return .unanswered }
      }
      // ⚑ Who is behind knows of no erasure for longer than that, and accuses nobody.
      let isBehind = self.status().orderingTrouble != nil
      return isBehind || self.record(record)?.isErased ?? true ? .unanswered : .wrong
    case .unknownRequest, .notGranted, .otherRecord, .windowOver, .notHere, .badCapsule, .tooFewCustodians, .vaultFull,
      .readerInactive, .custodiansGone:
      return .wrong
    }
  }

  /// So often it is looked whether a record was erased after all, half a second apart.
  private static let erasureLooksMax = 20

  /// What opens a record for a granted request: custodians' shares, without those of `settled` members; or the key from
  /// its hospital, for a record that is older than the custody key.
  public func release(
    _ question: ReleaseQuestion, without settled: ReplicaSet
  ) async throws(ServiceRefusal) -> ReleaseAnswer {
    guard let driver = self.running else { throw .failed("the node is not started") }
    guard self.record(question.record) != nil else { throw .notFound("record") }
    do throws(ReleaseRefusal) {
      _ = try ReleasePolicy.judge(question, at: driver.node.execution.position.time, in: driver.state)
    } catch { throw .release(error) }
    let (head, chunks) = try await self.carried(question.record)
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Releases.Release, Releases.Failure>, Never>) in
      driver.release(question, capsule: head.boxes.capsule, without: settled) { continuation.resume(returning: $0) }
    }
    switch result {
    case .success(.shares(let shares, let custody)):
      return ReleaseAnswer(head: head, chunks: chunks, shares: shares, custody: custody)
    case .success(.hospitalKey(let key)): return ReleaseAnswer(head: head, chunks: chunks, hospitalKey: key)
    case .failure(.refused(let refusal)): throw .release(refusal)
    case .failure(.malformed(let hospital)):
      throw .failed("hospital \(hospital.number) answered with bytes that are no release")
    case .failure(.unsigned(let hospital)): throw .failed("hospital \(hospital.number) did not sign its release")
    }
  }

  /// What an answer carries of a record: all chunks where they are one part, else none.
  func carried(_ record: Digest) async throws(ServiceRefusal) -> (SealedHead, chunks: [[UInt8]]) {
    // Whoever asks again, for other shares, has the long record checked once.
    let content: any SealedContent
    if let kept = self.opened.find(record, at: self.loop.now), let entry = self.record(record), !entry.isErased,
      SealedRecord.digest(ofBox: kept.head.boxes.capsule) == entry.anchor.capsule
    {
      content = kept
    } else {
      content = try await self.content(record)
    }
    let part: RecordPart
    do throws(VaultFailure) { part = try await content.part(from: 0) } catch { throw .failed("\(error)") }
    return (content.head, part.boxes == nil ? [] : part.chunks)
  }
}
