internal import EventLoop
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Rules
internal import Signing
internal import Storage
internal import Telemetry
internal import Threshold
internal import Wire

/// Sealing this hospital's records anew, while the consortium goes over to another custody key, or has got its first
/// one (RECORDS §5, "rotation").
extension NodeHost {
  private static let resealingInterval = Duration.seconds(2)
  private static let resealingStride = 64

  /// Looks every few seconds whether there is something to seal anew, until the task is cancelled.
  public func keepSealed() async {
    var left = 0
    while !Task.isCancelled {
      do { try await Task.sleep(for: Self.resealingInterval) } catch { return }
      guard let driver = self.running, driver.node.index != nil, let current = self.custody(),
        self.hasStale(current, driver)
      else { continue }
      let unfit = await self.resealAll(to: current, driver)
      if unfit > 0, unfit != left {
        self.log.emit(
          .custodyLeft,
          ["count": .number(UInt64(unfit)), "reason": .text("their keys do not open with this hospital's secret")])
      }
      left = unfit
    }
  }

  private func hasStale(_ current: CustodyKey, _ driver: NodeDriver) -> Bool {
    (0..<current.generation).contains { generation in
      driver.state.value(StateKey.liveRecords(generation: generation, of: self.member.id)) != nil
    }
  }

  /// Seals what is stale; says of how many records the keys do not open.
  private func resealAll(to current: CustodyKey, _ driver: NodeDriver) async -> Int {
    var (last, unfit): (Digest?, Int) = (nil, 0)
    while self.custody() == current, !Task.isCancelled {
      let (stale, next) = self.stale(after: last, current, driver)
      var transactions: [CheckedTransaction] = []
      for entry in stale {
        guard let transaction = await self.reseal(entry, to: current, driver) else {
          unfit += 1
          continue
        }
        transactions.append(transaction)
      }
      // What is not ordered now is done again.
      if !transactions.isEmpty { _ = try? await self.submit(transactions) }
      guard let next else { break }
      last = next
    }
    return unfit
  }

  /// This hospital's live records that are sealed to an older key, from after one on; where to go on, nil at the end.
  private func stale(
    after last: Digest?, _ current: CustodyKey, _ driver: NodeDriver
  ) -> ([RecordEntry], next: Digest?) {
    var key = last.map { StateKey.record($0) } ?? StateKey.records
    var out: [RecordEntry] = []
    for _ in 0..<Self.resealingStride {
      guard let pair = driver.state.next(after: key, prefix: StateKey.records, inclusive: false) else {
        return (out, nil)
      }
      key = pair.key
      guard let entry = try? RecordEntry.decode(pair.value), entry.hospital == self.member.id, !entry.isErased,
        entry.generation < current.generation
      else { continue }
      out.append(entry)
    }
    return (out, Digest(key.suffix(Digest.lengthBytes)))
  }

  /// Encloses a record's key anew in this hospital's vault; the transaction that says so, nil where its key does not
  /// open.
  private func reseal(
    _ entry: RecordEntry, to current: CustodyKey, _ driver: NodeDriver
  ) async -> CheckedTransaction? {
    let anchor = entry.anchor
    let kept = try? await self.vault.head(of: anchor.record)
    let found: SealedHead? =
      if let kept { kept } else { try? await self.content(anchor.record).head }
    guard let head = found, let boxes = self.boxes(of: head, anchor, for: current, driver),
      // First here, then on the ledger: whoever executes it finds the new boxes here.
      (try? await self.vault.replace(boxes, of: anchor.record)) != nil
    else { return nil }
    let resealing = RecordResealing(record: anchor.record, capsule: SealedRecord.digest(ofBox: boxes.capsule))
    let transaction = Transaction(
      kind: TransactionKind.resealRecord.rawValue, hospital: self.member.id, validUntil: driver.validUntil,
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes), payload: resealing.encoded)
    return try? CheckedTransaction(transaction.encoded, index: 0, genesis: self.genesis, hospital: self.member.id)
  }

  /// A record's boxes with its key enclosed for a custody key; nil where it does not open with this hospital's secret.
  ///
  /// ⚑ Whenever they are made they are the same, so that they can be made again where they were lost before the ledger
  /// named them: what is drawn for a capsule follows from the hospital's secret, the record and the custody key.
  private func boxes(
    of head: SealedHead, _ anchor: RecordAnchor, for custody: CustodyKey, _ driver: NodeDriver
  ) -> RecordPart.Boxes? {
    let secret = driver.keys.sealingSecret
    guard let key = SealedRecord.key(in: head.boxes.hospitalCopy, of: anchor.record, secret: secret) else { return nil }
    let random = KeyDerivation.hkdf(
      secret: secret, salt: anchor.record.bytes,
      info: Array("consilium/reseal/v1\0".utf8) + custody.identifier.bytes, count: Capsule.randomLengthBytes)
    let capsule = Capsule(
      key, for: custody, label: anchor.label(network: self.genesis.network, custody: custody), random: random)
    return RecordPart.Boxes(
      capsule: capsule.encoded, hospitalCopy: head.boxes.hospitalCopy, patientCopy: head.boxes.patientCopy)
  }

  /// What was anchored just as the custody key changed was sealed to the old one: it is sealed anew at once.
  func resealRaced(_ anchors: [RecordAnchor], sealedTo generation: UInt64?) async {
    guard let driver = self.running, let current = self.custody(), current.generation != generation else { return }
    var transactions: [CheckedTransaction] = []
    for anchor in anchors {
      guard let entry = self.record(anchor.record), !entry.isErased,
        let transaction = await self.reseal(entry, to: current, driver)
      else { continue }
      transactions.append(transaction)
    }
    if !transactions.isEmpty { _ = try? await self.submit(transactions) }
  }

  /// A record of this vault, if it is what was anchored.
  ///
  /// Of a record of this hospital's own the boxes can be those that the ledger is going to name, which is right; or
  /// those from before, where the others were lost on the way: these are made again.
  func soundContent(_ entry: RecordEntry) async throws(VaultFailure) -> (any SealedContent)? {
    let anchor = entry.anchor
    guard let kept = try await self.vault.content(of: anchor.record) else { return nil }
    if try await kept.isAnchored(by: anchor) { return kept }
    let head = kept.head
    guard entry.hospital == self.member.id, let driver = self.running, let current = self.custody(),
      let boxes = self.boxes(of: head, anchor, for: current, driver),
      try await kept.isAnchored(by: anchor.with(capsule: SealedRecord.digest(ofBox: head.boxes.capsule)))
    else { return nil }
    if boxes == head.boxes { return kept }
    guard SealedRecord.digest(ofBox: boxes.capsule) == anchor.capsule else { return nil }
    try await self.vault.replace(boxes, of: anchor.record)
    return try await self.vault.content(of: anchor.record)
  }
}
