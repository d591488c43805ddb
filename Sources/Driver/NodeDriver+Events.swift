internal import Merkle
internal import EventLoop
internal import Foundation
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Rules
internal import Storage
internal import Telemetry
internal import Wire

/// What was executed since the last line about it.
struct Progress {
  var transactions: UInt64 = 0
  var total: UInt64 = 0
  /// Those of all that the ledger refused.
  var refused: UInt64 = 0
  var since: Tick = .zero
  /// Since when something waits and nothing was executed; nil where nothing waits.
  private var pausedSince: Tick?

  /// Something that was submitted waits.
  mutating func waits(at now: Tick) { self.pausedSince = self.pausedSince ?? now }

  /// Something was executed; others may wait still.
  mutating func wentOn(at now: Tick, stillWaiting: Bool) { self.pausedSince = stillWaiting ? now : nil }

  /// For how long something has waited while nothing was executed.
  func pausedMilliseconds(at now: Tick) -> UInt64 {
    self.pausedSince.map { now > $0 ? (now - $0).milliseconds : 0 } ?? 0
  }
}

extension Span {
  var seconds: Double { Double(self.nanoseconds) / 1e9 }
}

/// Those who wait for the outcome of transactions.
struct ReceiptWaiters {
  final class Batch {
    var receipts: [Receipt?]
    var left: Int
    let since: Tick
    let deadline: Tick
    let continuation: CheckedContinuation<[Receipt?], Never>

    init(count: Int, since: Tick, timeout: Span, _ continuation: CheckedContinuation<[Receipt?], Never>) {
      self.receipts = Array(repeating: nil, count: count)
      self.left = count
      (self.since, self.deadline) = (since, since + timeout)
      self.continuation = continuation
    }
  }

  private var waiting: [Digest: [(batch: Batch, index: Int)]] = [:]
  /// When it is looked next for those who waited too long.
  private(set) var nextSweep = Tick.zero
  /// How long those waited whose transactions were executed in time.
  private(set) var latencies = Histogram()
  /// How many transactions were waited for too long.
  private(set) var expired: UInt64 = 0

  /// How many transactions are waited for.
  var count: Int { self.waiting.count }

  mutating func add(_ identifiers: [Digest], _ batch: Batch) {
    for (index, identifier) in identifiers.enumerated() {
      self.waiting[identifier, default: []].append((batch, index))
    }
  }

  mutating func resolve(_ receipt: Receipt, at now: Tick) {
    guard let waiters = self.waiting.removeValue(forKey: receipt.identifier) else { return }
    for (batch, index) in waiters where batch.receipts[index] == nil && batch.left > 0 {
      batch.receipts[index] = receipt
      self.latencies.observe(seconds: (now - batch.since).seconds)
      batch.left -= 1
      if batch.left == 0 { batch.continuation.resume(returning: batch.receipts) }
    }
  }
}

extension ReceiptWaiters {
  /// Tells all what there is: nothing more is executed.
  mutating func end() {
    let batches = self.waiting.values.joined().map { $0.batch }
    self.waiting = [:]
    for batch in batches where batch.left > 0 {
      batch.left = 0
      batch.continuation.resume(returning: batch.receipts)
    }
  }

  /// Tells those who waited too long what there is.
  mutating func sweep(at now: Tick) {
    guard now >= self.nextSweep else { return }
    self.nextSweep = now + Span.milliseconds(1000)
    for (identifier, waiters) in self.waiting {
      guard waiters.contains(where: { $0.batch.deadline <= now }) else { continue }
      self.waiting[identifier] = waiters.filter { $0.batch.deadline > now }
      if self.waiting[identifier]?.isEmpty == true { self.waiting[identifier] = nil }
      for (batch, _) in waiters where batch.deadline <= now && batch.left > 0 {
        self.expired += UInt64(batch.left)
        batch.left = 0
        batch.continuation.resume(returning: batch.receipts)
      }
    }
  }
}

extension NodeDriver {
  func executed(_ write: ExecutionWrite, _ receipts: [Receipt]) {
    self.tendVault(after: write)
    self.noteCustody(write)
    let now = self.loop.now
    if self.receipts.count > 0 { for receipt in receipts { self.receipts.resolve(receipt, at: now) } }
    self.progress.transactions += UInt64(receipts.count)
    self.progress.total += UInt64(receipts.count)
    self.progress.refused += UInt64(receipts.count { $0.outcome != .applied })
    self.progress.wentOn(at: now, stillWaiting: self.receipts.count > 0)
    guard now >= self.progress.since + Span.milliseconds(10_000) || self.progress.since == .zero else { return }
    self.log.emit(
      .progress,
      [
        "height": .number(write.record.sequence.number), "transactions": .number(self.progress.transactions),
        "log_size": .number(write.position.log.size), "state_digest": .text(write.position.stateDigest.short),
      ])
    self.progress.since = now
    self.progress.transactions = 0
  }

  func report(_ event: NodeEvent) {
    switch event {
    case .ordering(.viewChangeStarted(let view, let reason)):
      self.log.emit(.viewChangeStarted, ["view": .number(view.number), "reason": .text(reason.rawValue)])
    case .ordering(.viewEntered(let view)):
      let leader = self.node.replica.leader.map { self.name($0) } ?? "unknown"
      self.log.emit(.viewEntered, ["view": .number(view.number), "primary": .text(leader)])
    case .ordering(.equivocation(let signer, let what)):
      self.log.emit(.equivocation, ["member": .text(self.name(signer)), "what": .text(what)])
    case .ordering(.clockRefused(let signer, let offset)):
      self.log.emit(.clockRefused, ["member": .text(self.name(signer)), "offset_ms": .text("\(offset)")])
    case .ordering(.clockDisowned(let offset)):
      self.log.emit(.clockDisowned, ["offset_ms": .text("\(offset)")])
    case .ordering(.notVoting(let view, let others)):
      self.log.emit(.notVoting, ["view": .number(view.number), "others_view": .number(others.number)])
    case .laneForked(let member, let position):
      self.log.emit(.laneForked, ["member": .text("\(member)"), "position": .number(position.number)])
    case .ownLaneForked(let sequence): self.log.emit(.ownLaneForked, ["height": .number(sequence.number)])
    case .diverged(let member, let sequence):
      self.log.emit(.diverged, ["member": .text("\(member)"), "height": .number(sequence.number)])
    case .outvoted(let sequence): self.fail(storing: .diverged(sequence: sequence))
    case .checkpointStable(let sequence, let size):
      self.log.emit(.checkpointStable, ["height": .number(sequence.number), "log_size": .number(size)])
    case .configured(let number, let voters, let isMember):
      self.log.emit(
        .configured,
        [
          "configuration": .number(UInt64(number.number)), "members": .number(UInt64(voters)),
          "votes": isMember ? "yes" : "no",
        ])
    case .transferBegan(let sequence, let chunks):
      self.log.emit(.transferBegan, ["height": .number(sequence.number), "chunks": .number(UInt64(chunks))])
    case .transferRefused(let peer): self.log.emit(.transferRefused, ["member": .text(self.name(peer))])
    case .unheard: self.log.emit(.unheard)
    case .copied(let position):
      self.fail(storing: .copied(path: self.store.path, position: position.number))
    case .rulesUnknown(let version, let sequence):
      self.log.emit(
        .rulesUnknown,
        [
          "version": .number(UInt64(version)), "newest": .number(UInt64(AgreedRules.newest)),
          "height": .number(sequence.number),
        ])
      self.receipts.end()
    case .executionFailed(let sequence):
      self.log.emit(.executionFailed, ["height": .number(sequence.number)])
      self.fail(storing: .damaged(path: self.store.path, reason: "a block decided at \(sequence) cannot be executed"))
    }
  }

  /// A member as log lines name it: by its number.
  func name(_ index: ReplicaIndex) -> String {
    index < self.node.configuration.laneCount ? "\(self.node.configuration.members[index].id)" : "observer"
  }
}
