internal import NodeCore
internal import EventLoop
internal import HealthRecords
internal import Ledger
internal import Messages
internal import Primitives
internal import Rules
internal import Signing
internal import Storage
internal import Telemetry
internal import Vaults
internal import Wire

/// This hospital's vault among the others: copies are offered, taken, served, and erased when the ledger says so.
extension NodeDriver {
  private static let tellingFullInterval = Span.milliseconds(600_000)

  /// Copies records into other vaults; says whether there are enough copies.
  func replicate(_ records: [SealedRecord], then done: @escaping (_ isComplete: Bool) -> Void) {
    guard let index = self.node.index else { return done(false) }
    let placement = Placement(self.node.configuration)
    let run = ReplicationRun(
      records: records,
      machine: Replication(
        of: records.map(\.record), from: index, placement: placement, reachable: self.node.connected),
      done: done)
    self.step(run, .start)
  }

  /// One replication under way.
  final class ReplicationRun {
    let records: [SealedRecord]
    var machine: Replication
    let done: (Bool) -> Void
    init(records: [SealedRecord], machine: Replication, done: @escaping (Bool) -> Void) {
      (self.records, self.machine, self.done) = (records, machine, done)
    }
  }

  private func step(_ run: ReplicationRun, _ input: Replication.Input) {
    var effects: [Replication.Effect] = []
    _ = run.machine.step(input, at: self.loop.now, into: &effects)
    for effect in effects {
      switch effect {
      case .complete: run.done(true)
      case .failed: run.done(false)
      case .offer(let items, let member):
        self.offer(SealedRecord.messages(of: items.map { run.records[$0] })[...], to: member) { [unowned self] isKept in
          self.step(run, isKept ? .acknowledged(member) : .refused(member))
        }
      }
    }
    self.replications.removeAll { $0.machine.deadline == nil }
    if run.machine.deadline != nil, !self.replications.contains(where: { $0 === run }) { self.replications.append(run) }
  }

  /// Offers messages one after another; the first that is not kept ends it.
  private func offer(_ messages: ArraySlice<[RecordPart]>, to member: ReplicaIndex, then done: @escaping (Bool) -> Void)
  {
    guard let first = messages.first else { return done(true) }
    let question = MemberQuestion.keep(first)
    let key = self.node.configuration.members[member].key
    let signed = KeepReceipt.signedBytes(network: self.settings.genesis.network, question: question)
    self.ask(member, question) { [unowned self] result in
      guard case .success(let answer) = result, let signature = try? Signature.decode(answer),
        key.verifies(signature, of: signed)
      else { return done(false) }
      self.offer(messages.dropFirst(), to: member, then: done)
    }
  }

  /// When a replication wants to be woken.
  var replicationDeadline: Tick? { self.replications.compactMap(\.machine.deadline).min() }

  func fireReplicationTimers(at now: Tick) {
    for run in self.replications where run.machine.deadline.map({ $0 <= now }) ?? false { self.step(run, .timerFired) }
  }

  /// Keeps parts of another hospital's records, as far as there is room for that hospital's.
  func keep(
    _ parts: [RecordPart], _ question: MemberQuestion, from peer: ReplicaIndex,
    _ reply: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void
  ) {
    let offered = parts.map { ($0.record, UInt64($0.sizeBytes)) }
    // ⚑ What came before a restart waits here too, though nobody knows from whom: it is not written over.
    let unknown = parts.filter { !self.intake.isWaiting($0.record) }
    switch self.intake.take(offered, from: peer, ledger: StateLedger(driver: self)) {
    case .taken: break
    case .erased: return reply(.failure(.erased))
    case .full:
      // What the ledger names already is offered again by whoever lost the answer: that is no lack of room.
      if parts.allSatisfy({ self.state.value(StateKey.record($0.record)) == nil }) { self.noteFull(peer) }
      return reply(.failure(.vaultFull))
    }
    let log = self.log
    let signature = self.keys.member.sign(
      KeepReceipt.signedBytes(network: self.settings.genesis.network, question: question))
    self.askVault(
      { vault throws(VaultFailure) in
        guard try await vault.agrees(with: unknown) else { return false }
        try await vault.store(parts)
        return true
      },
      then: { [unowned self] result in
        if case .success(true) = result { return reply(.success(signature.encoded)) }
        self.intake.giveBack(offered, from: peer)
        if case .failure(let failure) = result { log.emit(.vaultFailed, ["reason": .text("\(failure)")]) }
        reply(.failure(.vaultFull))
      })
  }

  /// Tells the operator, not more often than once in a while, that a member's records find no room here.
  func noteFull(_ member: ReplicaIndex) {
    let now = self.loop.now
    guard self.toldFull[member].map({ $0 + Self.tellingFullInterval <= now }) ?? true else { return }
    self.toldFull[member] = now
    let held = self.intake.bytes(of: member)
    self.log.emit(
      .vaultShareFull,
      [
        "member": .text(self.name(member)), "kept_bytes": .number(held.kept), "waiting_bytes": .number(held.waiting),
      ])
  }

  /// Serves a part of a sealed record to a member; an erased one is answered as such.
  func serveObject(
    _ record: Digest, from start: Int, _ reply: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void
  ) {
    guard StateLedger(driver: self).mayShow(record) else { return reply(.failure(.erased)) }
    self.askVault(
      { vault throws(VaultFailure) in try await vault.record(record) },
      then: { result in
        guard case .success(let sealed?) = result, start < sealed.chunks.count else {
          return reply(.failure(.notHere))
        }
        reply(.success(sealed.part(from: start).encoded))
      })
  }

  /// Proves that this vault keeps a chunk of a record.
  func prove(_ record: Digest, chunk: Int, _ reply: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void) {
    let ledger = StateLedger(driver: self)
    guard ledger.anchored(record) != nil else { return reply(.failure(.notHere)) }
    guard ledger.mayShow(record) else { return reply(.failure(.erased)) }
    self.askVault(
      { vault throws(VaultFailure) in try await vault.record(record)?.proof(ofChunk: chunk) },
      then: { result in
        guard case .success(let proof?) = result else { return reply(.failure(.notHere)) }
        reply(.success(proof.encoded))
      })
  }

  /// Fetches a sealed record of another vault, part by part; it is what was anchored, or nothing.
  func fetchObject(
    _ entry: RecordEntry, from member: ReplicaIndex, parts: [RecordPart] = [],
    then done: @escaping (Result<SealedRecord, ReleaseRefusal>) -> Void
  ) {
    let start = parts.reduce(0) { $0 + $1.chunks.count }
    self.ask(member, .object(entry.anchor.record, from: start)) { [unowned self] result in
      switch result {
      case .failure(let refusal): return done(.failure(refusal))
      case .success(let bytes):
        guard let part = try? RecordPart.decode(bytes), part.record == entry.anchor.record, part.start == start,
          part.count == parts.first?.count ?? part.count
        else { return done(.failure(.notHere)) }
        guard part.boxes != nil else {
          return self.fetchObject(entry, from: member, parts: parts + [part], then: done)
        }
        guard let sealed = SealedRecord(parts: parts + [part]), entry.anchor.names(sealed) else {
          return done(.failure(.notHere))
        }
        done(.success(sealed))
      }
    }
  }

  /// What was executed concerns the vault: copies of anchored records stay, erased records go.
  func tendVault(after write: ExecutionWrite) {
    for change in write.writes where change.key.starts(with: StateKey.records) {
      guard let value = change.value, let entry = try? RecordEntry.decode(value) else { continue }
      if let hospital = self.node.configuration.index(of: entry.hospital) {
        self.intake.anchored(entry.anchor.record, bytes: entry.anchor.sizeBytes, of: hospital)
      }
      if entry.isErased { self.eraseHere(entry.anchor.record) }
    }
  }

  /// Asks the vault for something, which takes as long as it takes, and goes on with the result on the loop's thread.
  func askVault<Value: Sendable>(
    _ body: @escaping @Sendable (any Vault) async throws(VaultFailure) -> Value,
    then: @escaping (Result<Value, VaultFailure>) -> Void
  ) {
    let (vault, loop) = (self.vault, self.loop)
    nonisolated(unsafe) let finish = then
    Task {
      let result: Result<Value, VaultFailure>
      do throws(VaultFailure) { result = .success(try await body(vault)) } catch { result = .failure(error) }
      loop.submit { unsafe finish(result) }
    }
  }

  /// Erases a record from this vault: ciphertext and all boxes.
  func eraseHere(_ record: Digest) {
    self.intake.forget(record)
    let log = self.log
    self.askVault(
      { vault throws(VaultFailure) in try await vault.erase(record) },
      then: { result in
        if case .failure(let failure) = result { log.emit(.vaultFailed, ["reason": .text("\(failure)")]) }
      })
  }
}
