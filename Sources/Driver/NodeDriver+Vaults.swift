internal import EventLoop
internal import NodeCore
internal import Ordering
internal import HealthRecords
internal import Ledger
internal import Messages
internal import Primitives
internal import Rules
internal import Signing
internal import Storage
internal import Synchronization
internal import Telemetry
internal import Vaults
internal import Wire

/// This hospital's vault among the others: copies are offered, taken, served, and erased when the ledger says so.
extension NodeDriver {
  private static let tellingInterval = Span.milliseconds(600_000)

  /// Copies records into other vaults; their anchors are in the same order. Says whether there are enough copies.
  func replicate(
    _ records: [SealedRecord], anchors: [RecordAnchor], then done: @escaping (_ isComplete: Bool) -> Void
  ) {
    self.replicate(anchors, done) { items in
      let messages = SealedRecord.messages(of: items.map { records[$0] })
      return { messages.indices.contains($0) ? messages[$0] : nil }
    }
  }

  /// Copies one record part by part.
  func replicate(
    _ content: any SealedContent, anchor: RecordAnchor, then done: @escaping (_ isComplete: Bool) -> Void
  ) {
    let starts = Mutex([0])
    self.replicate([anchor], done) { _ in
      { place async throws(VaultFailure) in
        let start = starts.withLock { $0.indices.contains(place) ? $0[place] : content.head.count }
        guard start < content.head.count else { return nil }
        let part = try await content.part(from: start)
        starts.withLock { if $0.count == place + 1 { $0.append(start + max(1, part.chunks.count)) } }
        return [part]
      }
    }
  }

  private func replicate(
    _ anchors: [RecordAnchor], _ done: @escaping (Bool) -> Void, messages: @escaping ([Int]) -> MessageSource
  ) {
    guard let index = self.node.index else { return done(false) }
    let machine = Replication(
      of: anchors.map(\.record), from: index, placement: Placement(self.node.configuration),
      reachable: self.node.connected)
    var origins: [Digest: RecordOrigin] = [:]
    if self.showsOrigins { for anchor in anchors { origins[anchor.record] = RecordOrigin(of: anchor) } }
    self.step(ReplicationRun(machine: machine, origins: origins, messages: messages, done: done), .start)
  }

  /// Whether records are offered with what their identifiers are made of, and taken only so: from the second version of
  /// the rules on, which no program executes that does not read it.
  private var showsOrigins: Bool {
    AgreedRules.inForce(in: self.state, genesis: self.settings.genesis.limits).version >= 2
  }

  /// The messages of an offer, by their place; nil after the last.
  typealias MessageSource = @Sendable (Int) async throws(VaultFailure) -> [RecordPart]?

  /// One replication under way.
  final class ReplicationRun {
    var machine: Replication
    /// What its records' identifiers are made of; empty where vaults do not ask for it.
    let origins: [Digest: RecordOrigin]
    /// The messages that offer some of its records.
    let messages: ([Int]) -> MessageSource
    let done: (Bool) -> Void
    init(
      machine: Replication, origins: [Digest: RecordOrigin], messages: @escaping ([Int]) -> MessageSource,
      done: @escaping (Bool) -> Void
    ) {
      (self.machine, self.origins, self.messages, self.done) = (machine, origins, messages, done)
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
        self.offer(run.messages(items), of: run.origins, 0, to: member) { [unowned self] in self.step(run, $0) }
      }
    }
    self.replications.removeAll { $0.machine.deadline == nil }
    if run.machine.deadline != nil, !self.replications.contains(where: { $0 === run }) { self.replications.append(run) }
  }

  /// Offers messages one after another; the first that is not kept ends it.
  private func offer(
    _ messages: @escaping MessageSource, of origins: [Digest: RecordOrigin], _ place: Int, to member: ReplicaIndex,
    then say: @escaping (Replication.Input) -> Void
  ) {
    self.askVault({ _ throws(VaultFailure) in try await messages(place) }) { [unowned self] result in
      guard case .success(let parts) = result else { return say(.refused(member)) }
      guard let parts else { return say(.acknowledged(member)) }
      guard self.node.configuration.members.indices.contains(member) else { return say(.refused(member)) }
      if place > 0 { say(.progressed(member)) }
      let question = MemberQuestion.keep(parts, of: parts.compactMap { origins[$0.record] })
      let key = self.node.configuration.members[member].key
      let signed = KeepReceipt.signedBytes(network: self.settings.genesis.network, question: question)
      self.ask(member, question) { [unowned self] result in
        guard case .success(let answer) = result, let signature = try? Signature.decode(answer),
          key.verifies(signature, of: signed)
        else { return say(.refused(member)) }
        self.offer(messages, of: origins, place + 1, to: member, then: say)
      }
    }
  }

  /// When a replication wants to be woken.
  var replicationDeadline: Tick? { self.replications.compactMap(\.machine.deadline).min() }

  func fireReplicationTimers(at now: Tick) {
    for run in self.replications where run.machine.deadline.map({ $0 <= now }) ?? false { self.step(run, .timerFired) }
  }

  /// ⚑ Whether parts are of records that a member made itself: nobody squats on another's identifier.
  private func isOwn(_ parts: [RecordPart], of origins: [RecordOrigin], by peer: ReplicaIndex) -> Bool {
    guard !origins.isEmpty else { return !self.showsOrigins }
    guard self.node.configuration.members.indices.contains(peer) else { return false }
    let hospital = self.node.configuration.members[peer].id
    return RecordOrigin.areOwn(parts, of: origins, by: hospital, network: self.settings.genesis.network)
  }

  /// Keeps parts of another hospital's records, as far as there is room for that hospital's.
  func keep(
    _ parts: [RecordPart], of origins: [RecordOrigin], _ question: MemberQuestion, from peer: ReplicaIndex,
    _ reply: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void
  ) {
    guard parts.allSatisfy(\.isWellCut) else { return reply(.failure(.notHere)) }
    let offered = parts.map { ($0.record, UInt64($0.sizeBytes) + Intake.overheadBytes) }
    // ⚑ As for the hospital's own uploads: nobody fills the disk on which the ledger is written.
    guard SpoolRoom.isRoom(for: offered.reduce(0) { $0 + Int(clamping: $1.1) }, at: self.store.path) else {
      self.noteFull(peer)
      return reply(.failure(.vaultFull))
    }
    // ⚑ What came before a restart waits here too, though nobody knows from whom: it is not written over.
    let unknown = parts.filter { !self.intake.isWaiting($0.record) }
    let isOwn = self.isOwn(parts, of: origins, by: peer)
    switch self.intake.take(offered, from: peer, isOwn: isOwn, ledger: StateLedger(driver: self)) {
    case .taken: break
    case .foreign:
      self.noteForeign(peer)
      return reply(.failure(.notHere))
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
    guard self.toldFull[member].map({ $0 + Self.tellingInterval <= now }) ?? true else { return }
    self.toldFull[member] = now
    let held = self.intake.bytes(of: member)
    self.log.emit(
      .vaultShareFull,
      [
        "member": .text(self.name(member)), "kept_bytes": .number(held.kept), "waiting_bytes": .number(held.waiting),
      ])
  }

  /// Tells the operator as seldom that a member offers records that it did not make.
  private func noteForeign(_ member: ReplicaIndex) {
    let now = self.loop.now
    guard self.toldForeign[member].map({ $0 + Self.tellingInterval <= now }) ?? true else { return }
    self.toldForeign[member] = now
    self.log.emit(.vaultForeign, ["member": .text(self.name(member))])
  }

  /// Serves a part of a sealed record to a member; an erased one is answered as such.
  func serveRecord(
    _ record: Digest, from start: Int, _ reply: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void
  ) {
    guard StateLedger(driver: self).mayShow(record) else { return reply(.failure(.erased)) }
    self.askVault(
      { vault throws(VaultFailure) in try await vault.part(of: record, from: start) },
      then: { result in
        guard case .success(let part?) = result else { return reply(.failure(.notHere)) }
        reply(.success(part.encoded))
      })
  }

  /// Serves the boxes of a record's key.
  func serveBoxes(_ record: Digest, _ reply: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void) {
    guard StateLedger(driver: self).mayShow(record) else { return reply(.failure(.erased)) }
    self.askVault(
      { vault throws(VaultFailure) in try await vault.head(of: record) },
      then: { result in
        guard case .success(let head?) = result else { return reply(.failure(.notHere)) }
        reply(.success(head.boxes.encoded))
      })
  }

  /// A record was sealed anew: whoever keeps a copy takes the new boxes from the hospital that wrote it. Where that
  /// fails, the copy is brought back as a whole once it is read through.
  private func takeBoxes(_ entry: RecordEntry) {
    let anchor = entry.anchor
    guard entry.hospital != self.settings.member.id,
      let hospital = self.node.configuration.index(of: entry.hospital)
    else { return }
    self.askVault({ vault throws(VaultFailure) in try await vault.head(of: anchor.record) }) { [unowned self] result in
      guard case .success(let head?) = result, SealedRecord.digest(ofBox: head.boxes.capsule) != anchor.capsule else {
        return
      }
      self.ask(hospital, .boxes(anchor.record)) { [unowned self] result in
        guard case .success(let bytes) = result, let boxes = try? RecordPart.Boxes.decode(bytes),
          SealedRecord.digest(ofBox: boxes.capsule) == anchor.capsule,
          anchor.namesCopies(boxes),
          StateLedger(driver: self).mayShow(anchor.record)
        else { return }
        self.askVault({ vault throws(VaultFailure) in try await vault.replace(boxes, of: anchor.record) }) { _ in }
      }
    }
  }

  /// Proves that this vault keeps a chunk of a record.
  func prove(_ record: Digest, chunk: Int, _ reply: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void) {
    let ledger = StateLedger(driver: self)
    guard let entry = self.state.item(StateKey.record(record), as: RecordEntry.self) else {
      return reply(.failure(.notHere))
    }
    guard ledger.mayShow(record) else { return reply(.failure(.erased)) }
    self.askVault(
      { vault throws(VaultFailure) in try await vault.proof(of: entry.anchor, chunk: chunk) },
      then: { result in
        guard case .success(let proof?) = result else { return reply(.failure(.notHere)) }
        reply(.success(proof.encoded))
      })
  }

  /// Fetches a sealed record of another vault into a spool, part by part; it is what was anchored, or nothing.
  func fetchObject(
    _ entry: RecordEntry, from member: ReplicaIndex, into spool: any ChunkSpool, _ soFar: AddressCheck = AddressCheck(),
    then done: @escaping (Result<any SealedContent, ReleaseRefusal>) -> Void
  ) {
    let anchor = entry.anchor
    let start = spool.count
    self.ask(member, .object(anchor.record, from: start)) { [unowned self] result in
      switch result {
      case .failure(let refusal): return done(.failure(refusal))
      case .success(let bytes):
        var check = soFar
        guard let part = try? RecordPart.decode(bytes), part.record == anchor.record, part.start == start,
          part.count == anchor.chunkCount
        else { return done(.failure(.notHere)) }
        check.take(part.chunks)
        guard check.sizeBytes <= anchor.sizeBytes else { return done(.failure(.notHere)) }
        do throws(VaultFailure) { try spool.append(part.chunks) } catch {
          self.log.emit(.vaultFailed, ["reason": .text("\(error)")])
          return done(.failure(.unreachable))
        }
        guard let boxes = part.boxes else {
          return self.fetchObject(entry, from: member, into: spool, check, then: done)
        }
        let content = SpooledRecord(anchor.record, spool, boxes: boxes)
        done(anchor.names(content.head, check) ? .success(content) : .failure(.notHere))
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
      if entry.isErased {
        self.eraseHere(entry.anchor.record)
      } else if entry.time < write.position.time {
        self.takeBoxes(entry)
      }
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

  /// Erases a record from this vault: ciphertext and all boxes; where the ledger erased it, and it was here, this
  /// hospital states that it is gone.
  func eraseHere(_ record: Digest) {
    self.intake.forget(record)
    self.askVault(
      { vault throws(VaultFailure) in
        // Also where a deletion that was interrupted left it without its key.
        let wasKept = try await vault.missing(of: [record]).isEmpty
        try await vault.erase(record)
        return wasKept
      },
      then: { [unowned self] result in
        switch result {
        case .success(let wasKept): if wasKept { self.stateDeletion(of: record) }
        case .failure(let failure): self.log.emit(.vaultFailed, ["reason": .text("\(failure)")])
        }
      })
  }

  private func stateDeletion(of record: Digest) {
    guard self.node.index != nil, StateLedger(driver: self).anchored(record)?.isErased == true else { return }
    self.submit(.stateDeletion, record)
  }

  /// Since when members should keep what is placed with them now, by the ledger's time; whom it does not name has done
  /// so since the genesis.
  var entrusted: [ReplicaIndex: Timestamp] {
    let number = self.node.configuration.number
    if let known = self.knownEntrusted, known.number == number { return known.since }
    var (changes, isWhole): ([(next: Configuration, time: Timestamp)], Bool) = ([], true)
    for past in 0..<number.number {
      let key = StateKey.configuration(ConfigurationNumber(past + 1))
      guard let record = self.state.item(key, as: ConfigurationRecord.self) else { continue }
      // An entry that rots here, or is not durable yet, is there later: until then as if it were of now.
      let time = self.logged(record.leaf)?.time
      isWhole = isWhole && time != nil
      changes.append((record.configuration, time ?? self.node.execution.position.time))
    }
    let since = Placement.entrusted(since: self.settings.genesis.configuration, changes)
    if isWhole { self.knownEntrusted = (number, since) }
    return since
  }

  /// Another's vault did not prove what it should keep, several times in a row: it stands on the ledger.
  func report(_ member: ReplicaIndex, _ record: Digest) {
    self.log.emit(.vaultUnproven, ["member": .text(self.name(member)), "record": .text(record.short)])
    guard self.node.index != nil, self.node.configuration.members.indices.contains(member) else { return }
    self.submit(.reportVault, VaultReport(member: self.node.configuration.members[member].id, record: record))
  }

  /// Gives a statement of this hospital to its lane.
  func submit(_ kind: TransactionKind, _ payload: some WireEncodable) {
    let transaction = Transaction(
      kind: kind.rawValue, hospital: self.settings.member.id, validUntil: self.validUntil,
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes), payload: payload.encoded)
    self.give(.submitted([transaction.encoded]))
  }
}
