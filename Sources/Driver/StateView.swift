internal import Foundation
internal import NodeCore
internal import Primitives
public import Rules
public import Storage

/// The state as execution sees it: the store's snapshot under the writes that are not durable yet.
///
/// For the loop's thread only; it is `Sendable` because machines hold readers.
public final class StateView: StateReader, @unchecked Sendable {
  private struct Pending {
    let value: [UInt8]?
    let batch: UInt64
  }

  /// The snapshot.
  public let store: StoreReader
  private var pending: [[UInt8]: Pending] = [:]

  init(_ store: StoreReader) { self.store = store }

  /// Lays the writes of a batch over the snapshot.
  func apply(_ writes: [StateWrite], batch: UInt64) {
    for write in writes { self.pending[write.key] = Pending(value: write.value, batch: batch) }
  }

  /// A batch is durable: first the snapshot moves on, then the batch is dropped (the other way round a write would
  /// vanish for a turn).
  func settle(through batch: UInt64) throws(StorageFailure) {
    try self.store.renew()
    guard !self.pending.isEmpty else { return }
    self.pending = self.pending.filter { $0.value.batch > batch }
  }

  /// Forgets what is not durable, and moves the snapshot on.
  func restart() throws(StorageFailure) {
    self.pending = [:]
    try self.store.renew()
  }

  /// The value of a key.
  public func value(_ key: [UInt8]) -> [UInt8]? {
    if let change = self.pending[key] { return change.value }
    return self.store.value(key)
  }

  /// The first pair whose key begins with `prefix` and is after `key`.
  public func next(after key: [UInt8], prefix: [UInt8], inclusive: Bool) -> (key: [UInt8], value: [UInt8])? {
    let added = self.pending.filter { entry in
      entry.value.value != nil && entry.key.starts(with: prefix)
        && (key.lexicographicallyPrecedes(entry.key) || (inclusive && entry.key == key))
    }.min { $0.key.lexicographicallyPrecedes($1.key) }
    var start = inclusive ? key : key + [0]
    var stored: (key: [UInt8], value: [UInt8])?
    while let pair = self.store.pair(from: start), pair.key.starts(with: prefix) {
      if self.pending[pair.key] == nil {
        stored = pair
        break
      }
      start = pair.key + [0]
    }
    guard let added, let value = added.value.value else { return stored }
    guard let stored, stored.key.lexicographicallyPrecedes(added.key) else { return (added.key, value) }
    return stored
  }
}

extension StateView {
  /// The rows whose keys are `prefix` and a place in the log, the newest first: those below a place, at most `limit`.
  func rows(prefix: [UInt8], below place: UInt64?, limit: Int) -> [(leaf: UInt64, value: [UInt8])] {
    func leaf(_ key: [UInt8]) -> UInt64 { key.suffix(8).reduce(0) { $0 << 8 | UInt64($1) } }
    let length = prefix.count + 8
    var out: [(leaf: UInt64, value: [UInt8])] = []
    // What is not durable yet is newer than what is, but for rows that it changes or removes.
    let pending = self.pending.filter { $0.key.count == length && $0.key.starts(with: prefix) }
    var added = pending.filter { $0.value.value != nil && leaf($0.key) < place ?? .max }.keys.map(leaf).sorted()
    var below = place
    while out.count < limit {
      var stored: (leaf: UInt64, value: [UInt8])?
      while below != 0 {
        let bound = below.map { $0 - 1 } ?? .max
        guard let pair = self.store.pair(atOrBefore: prefix + bound.bigEndianBytes), pair.key.count == length,
          pair.key.starts(with: prefix)
        else { break }
        guard pending[pair.key] != nil else {
          stored = (leaf(pair.key), pair.value)
          break
        }
        below = leaf(pair.key)
      }
      if let newest = added.last, newest >= stored?.leaf ?? 0 {
        added.removeLast()
        if let value = self.value(prefix + newest.bigEndianBytes) { out.append((newest, value)) }
        continue
      }
      guard let stored else { break }
      out.append(stored)
      below = stored.leaf
    }
    return out
  }
}

/// The thread on which everything becomes durable: one work at a time.
final class StorageWriter: @unchecked Sendable {
  private let condition = NSCondition()
  private var work: (@Sendable () throws(StorageFailure) -> Void)?
  private var done: (@Sendable (Result<Void, StorageFailure>) -> Void)?

  init() {
    let thread = Thread { [self] in while true { self.runNext() } }
    thread.name = "storage"
    thread.start()
  }

  /// Does a work; the one before must be done.
  func run(
    _ work: @escaping @Sendable () throws(StorageFailure) -> Void,
    done: @escaping @Sendable (Result<Void, StorageFailure>) -> Void
  ) {
    self.condition.lock()
    precondition(self.work == nil, "one work at a time")
    (self.work, self.done) = (work, done)
    self.condition.signal()
    self.condition.unlock()
  }

  private func runNext() {
    self.condition.lock()
    while self.work == nil { self.condition.wait() }
    let (work, done) = (self.work, self.done)
    (self.work, self.done) = (nil, nil)
    self.condition.unlock()
    done?(Result { () throws(StorageFailure) in try work?() })
  }
}
