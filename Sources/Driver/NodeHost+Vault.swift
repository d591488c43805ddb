internal import EventLoop
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Rules
internal import Signing
internal import Telemetry
internal import Vaults
internal import Wire

/// The ledger as vaults go by it: the state that this node executed, and its connections.
struct StateLedger: VaultLedger {
  let driver: NodeDriver

  var own: ReplicaIndex? { self.driver.node.index }
  var placement: Placement { Placement(self.driver.node.configuration) }
  var connected: ReplicaSet { self.driver.node.connected }
  var time: Timestamp { self.driver.node.execution.position.time }
  var wall: Timestamp { self.driver.moment.wall }

  func entrusted(_ member: ReplicaIndex) -> Timestamp? { self.driver.entrusted[member] }

  func anchored(_ record: Digest) -> AnchoredRecord? {
    self.driver.state.item(StateKey.record(record), as: RecordEntry.self).map { self.view($0) }
  }

  func anchored(after last: Digest?, countMax: Int) -> [AnchoredRecord] {
    var key = last.map { StateKey.record($0) } ?? StateKey.records
    var out: [AnchoredRecord] = []
    while out.count < countMax,
      let pair = self.driver.state.next(after: key, prefix: StateKey.records, inclusive: false)
    {
      key = pair.key
      if let entry = try? RecordEntry.decode(pair.value) { out.append(self.view(entry)) }
    }
    return out
  }

  private func view(_ entry: RecordEntry) -> AnchoredRecord {
    AnchoredRecord(
      record: entry.anchor.record, hospital: self.driver.node.configuration.index(of: entry.hospital),
      sizeBytes: entry.anchor.sizeBytes, isErased: entry.isErased)
  }
}

/// Does what the machine that tends the vault asks for.
extension NodeHost {
  /// Tends the vault until the task is cancelled: a round soon after the start, then one a minute.
  public func tendVault() async {
    guard let driver = self.running else { return }
    var fetched: (any SealedContent)?
    while !Task.isCancelled {
      if let deadline = driver.tending.deadline, deadline > self.loop.now {
        do { try await Task.sleep(for: .nanoseconds((deadline - self.loop.now).nanoseconds)) } catch { return }
      }
      // ⚑ What was fetched for readers goes too once it is erased.
      self.opened.forget(at: self.loop.now) { self.record($0)?.isErased ?? true }
      var input: Tending.Input? = .timerFired
      while let given = input, !Task.isCancelled {
        input = nil
        var effects: [Tending.Effect] = []
        _ = driver.tending.step(given, ledger: StateLedger(driver: driver), at: self.loop.now, into: &effects)
        for effect in effects { input = await self.answer(effect, &fetched, driver) ?? input }
      }
    }
  }

  /// Asks a member's vault for a chunk that nobody could foresee.
  private func challenge(
    _ record: Digest, of member: ReplicaIndex, _ driver: NodeDriver
  ) async -> Tending.Fetched {
    guard let anchor = self.record(record)?.anchor, driver.node.configuration.members.indices.contains(member) else {
      return .unanswered
    }
    var draw = SeededGenerator(seed: SecureRandom.seed())
    let chunk = Int(draw.below(UInt64(anchor.chunkCount)))
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<[UInt8], ReleaseRefusal>, Never>) in
      driver.ask(member, .proof(record, chunk: chunk)) { continuation.resume(returning: $0) }
    }
    switch result {
    case .success(let bytes):
      let proof = try? ChunkProof.decode(bytes)
      return proof?.index == chunk && proof?.isAuthentic(for: anchor) == true ? .sound : .wrong
    case .failure(let refusal): return await self.judge(refusal, of: record)
    }
  }

  private static func outcome(of refusal: ReleaseRefusal) -> Tending.Fetched {
    [.notHere, .vaultFull].contains(refusal) ? .wrong : .unanswered
  }

  /// What comes of an effect; nil where the machine waits for nothing.
  private func answer(
    _ effect: Tending.Effect, _ fetched: inout (any SealedContent)?, _ driver: NodeDriver
  ) async -> Tending.Input? {
    switch effect {
    case .list(let last, let countMax): return .listed(try? await self.vault.records(after: last, countMax: countMax))
    case .findMissing(let records): return .missing(try? await self.vault.missing(of: records))
    case .read(let record):
      guard let entry = self.record(record) else { return .read(isSound: false, bytes: 0) }
      // One that cannot be read is as good as a rotten one.
      let isSound = (try? await self.soundContent(entry)) != nil
      return .read(isSound: isSound, bytes: entry.anchor.sizeBytes)
    case .fetch(let record, let member):
      fetched = nil
      guard let entry = self.record(record) else { return .fetched(.unanswered) }
      switch await self.fetch(entry, from: member) {
      case .success(let sealed):
        fetched = sealed
        return .fetched(.sound)
      case .failure(let refusal): return .fetched(Self.outcome(of: refusal))
      }
    case .challenge(let record, let member): return .fetched(await self.challenge(record, of: member, driver))
    case .store(let record):
      guard let sealed = fetched, sealed.head.record == record else { return .stored(false) }
      fetched = nil
      return .stored((try? await self.vault.store(sealed)) != nil)
    case .erase(let record): driver.eraseHere(record)
    case .full(let member): driver.noteFull(member)
    case .counted(let kept): driver.intake.counted(kept)
    case .unproven(let member, let record): driver.report(member, record)
    case .ended(let round):
      guard !round.isIdle else { return nil }
      self.log.emit(
        .vaultRepaired,
        [
          "fetched": .number(round.fetched), "erased": .number(round.erased), "missing": .number(round.missing),
          "mended": .number(round.mended),
        ])
    }
    return nil
  }
}
