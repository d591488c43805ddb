internal import Lanes
internal import Merkle
internal import Ordering
internal import EventLoop
internal import Foundation
public import Gateway
public import HealthRecords
public import Ledger
internal import Messages
internal import NodeCore
public import Primitives
internal import Rules
internal import Signing
internal import Storage
internal import Telemetry
internal import Wire

/// Reading in an emergency, also while nothing is ordered (RECORDS §4, "in a partition").
extension NodeHost {
  /// How long the order of a broken glass is waited for before this hospital opens what it wrote itself.
  private static let emergencyWaitMax = Span.milliseconds(5000)
  /// So many records that were opened so are remembered, the latest.
  private static let openedAloneMax = 4096
  /// How long the own disk may take.
  private static let durableMax = Duration.seconds(20)

  /// Submits what breaks the glass. Where nothing orders it in time, this hospital's own records are opened by its own
  /// copies of their keys, ⚑ once a durable block of its lane says so: the patient's history will have it.
  public func breakGlass(_ transaction: CheckedTransaction) async throws(ServiceRefusal) -> BrokenGlass {
    guard let driver = self.running else { throw .failed("the node is not started") }
    guard driver.node.index != nil else { throw .noMember }
    guard let request = try? Transaction.decode(transaction.bytes),
      request.kind == TransactionKind.breakGlass.rawValue, transaction.signer != nil,
      let asked = try? AccessRequest.decode(request.payload)
    else { throw .badRequest("a transaction that breaks the glass, signed by who does, is expected") }
    if let receipt = self.receipt(of: transaction.identifier, driver) { return .ordered(receipt) }
    try self.requireSigners(of: [transaction], driver)
    let receipt = await withCheckedContinuation {
      (continuation: CheckedContinuation<[Receipt?], Never>) in
      driver.receipts.add(
        [transaction.identifier],
        ReceiptWaiters.Batch(count: 1, since: self.loop.now, timeout: Self.emergencyWaitMax, continuation))
      driver.give(.urgent([transaction.bytes]))
    }.first
    if let receipt = (receipt ?? nil) ?? self.receipt(of: transaction.identifier, driver) { return .ordered(receipt) }
    // Not before what is executed here already, whatever this machine's clock says.
    let time = max(driver.moment.wall, driver.node.execution.position.time)
    let opening = PartitionOpening(request: transaction.bytes, time: time)
    let statement = Transaction(
      kind: TransactionKind.openInPartition.rawValue, hospital: self.member.id, validUntil: .never,
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes), payload: opening.encoded)
    try self.rehearse([request, statement], driver)
    guard await self.isDurable(statement, driver) else { throw .failed("the node's own disk does not answer") }
    self.log.emit(
      .openedInPartition,
      ["request": .text("\(transaction.identifier)"), "records": .number(UInt64(asked.records.count))])
    var opened: [(record: Digest, answer: ReleaseAnswer)] = []
    for record in asked.records {
      opened.append((record, try await self.open(record, for: transaction.identifier, asked, driver)))
    }
    if let reader = transaction.signer.flatMap({ Digest($0.bytes) }).flatMap({ self.account(ofKey: $0) }) {
      self.openedAlone += asked.records.map { (record: $0, reader: reader) }
      self.openedAlone.removeFirst(max(0, self.openedAlone.count - Self.openedAloneMax))
    }
    return .opened(opened)
  }

  /// Whether an account is given a record's ciphertext: by a request of its own that was granted and names the record;
  /// without one, because this hospital opened the record for it while nothing was ordered.
  public func mayFetch(_ record: Digest, by account: Digest, request: Digest?) async -> Bool {
    guard let request else { return self.openedAlone.contains { $0.record == record && $0.reader == account } }
    guard let (_, access) = self.running.flatMap({ AccessEntry.find(request: request, in: $0.state) }) else {
      return false
    }
    return access.reader == account && access.outcome == .applied && access.request.records.contains(record)
  }

  /// Whether the ledger would take a transaction when it is ordered, judged by its own rules on the state that is here.
  ///
  /// ⚑ Not what it has already, and not near the ends of its life: its order takes time, and cuts have a clock of their
  /// own.
  public func wouldApply(_ transaction: CheckedTransaction) async -> Bool {
    guard let driver = self.running, let request = try? Transaction.decode(transaction.bytes),
      driver.node.execution.leaf(of: transaction.identifier) == nil
    else { return false }
    let (life, now) = (self.genesis.limits.transactionLifeMilliseconds, driver.moment.wall)
    let (earliest, latest) = (now.adding(milliseconds: life / 8), now.adding(milliseconds: life - life / 8))
    guard (earliest...latest).contains(request.validUntil) else { return false }
    do throws(ServiceRefusal) { try self.rehearse([request], driver) } catch { return false }
    return true
  }

  /// Of the records that a request to read names, those that keep it from being granted, judged by the ledger's own
  /// rules on the state that is here.
  public func refusals(of transaction: CheckedTransaction) async -> [RecordRefusal] {
    guard let driver = self.running, let request = try? Transaction.decode(transaction.bytes) else { return [] }
    return HealthRules().refusals(of: request, in: self.nextContext(driver), state: driver.state)
  }

  /// What the ledger said of a request that is in a patient's history; nil where none of that identifier is.
  public func receipt(ofRequest identifier: Digest) async -> Receipt? {
    self.running.flatMap { self.receipt(of: identifier, $0) }
  }

  private func receipt(of request: Digest, _ driver: NodeDriver) -> Receipt? {
    // ⚑ An answer goes out when a cut is executed: the client may ask again before the disk has it.
    for part in driver.unwritten {
      if let found = part.receipts.first(where: { $0.identifier == request }) { return found }
    }
    guard let (leaf, entry) = AccessEntry.find(request: request, in: driver.state),
      let logged = driver.logged(leaf)
    else { return nil }
    return Receipt(
      identifier: request, leaf: leaf, sequence: logged.sequence, time: logged.time, outcome: entry.outcome)
  }

  /// ⚑ Whether the ledger would take them one after the other, judged by its own rules on the state that is here and
  /// what waits to be ordered.
  private func rehearse(_ transactions: [Transaction], _ driver: NodeDriver) throws(ServiceRefusal) {
    let outcome = HealthRules().rehearse(
      transactions, after: driver.node.lanes.unordered, in: self.nextContext(driver), state: driver.state)
    guard outcome == .applied else { throw .notOpened(outcome) }
  }

  /// Where a transaction would be executed that is ordered next.
  private func nextContext(_ driver: NodeDriver) -> ExecutionContext {
    let position = driver.node.execution.position
    return ExecutionContext(
      network: self.genesis.network, configuration: driver.node.configuration, limits: self.genesis.limits,
      sequence: position.sequence.next, time: max(position.time, driver.moment.wall), leaf: position.log.size)
  }

  /// Puts a transaction into this hospital's lane and waits until the block that has it is on the disk.
  private func isDurable(_ transaction: Transaction, _ driver: NodeDriver) async -> Bool {
    let identifier = transaction.identifier(network: self.genesis.network)
    let patience = Task {
      try await Task.sleep(for: Self.durableMax)
      self.running?.durable.removeValue(forKey: identifier)?.resume(returning: false)
    }
    defer { patience.cancel() }
    return await withCheckedContinuation { continuation in
      driver.durable[identifier] = continuation
      driver.give(.urgent([transaction.encoded]))
    }
  }

  private func open(
    _ record: Digest, for request: Digest, _ asked: AccessRequest, _ driver: NodeDriver
  ) async throws(ServiceRefusal) -> ReleaseAnswer {
    let (head, chunks) = try await self.carried(record)
    let hospital = AuthoringHospital(sealingSecret: driver.keys.sealingSecret)
    guard let key = hospital.resealInPartition(head, to: asked.ephemeralKey) else { throw .release(.notHere) }
    let signed = HospitalRelease.signedBytes(
      network: self.genesis.network, question: ReleaseQuestion(request: request, record: record), key: key)
    return ReleaseAnswer(
      head: head, chunks: chunks,
      hospitalKey: HospitalRelease(key: key, signature: driver.keys.member.sign(signed)))
  }
}

extension NodeDriver {
  /// Tells those who wait for it that a block of this hospital is on the disk.
  func resolveDurable(_ block: Block) {
    for bytes in block.transactionBytes {
      guard let transaction = try? Transaction.decode(bytes) else { continue }
      let identifier = transaction.identifier(network: self.settings.genesis.network)
      self.durable.removeValue(forKey: identifier)?.resume(returning: true)
    }
  }
}
