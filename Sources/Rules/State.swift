import Primitives

/// Reads the ledger's state: keys and values are bytes, keys are ordered byte by byte. Synchronous and deterministic.
public protocol StateReader {
  /// The value of a key.
  func value(_ key: [UInt8]) -> [UInt8]?
  /// The first pair whose key begins with `prefix` and is after `key` (at or after it where `inclusive`).
  func next(after key: [UInt8], prefix: [UInt8], inclusive: Bool) -> (key: [UInt8], value: [UInt8])?
}

/// One change of the state; nil removes the key.
public struct StateWrite: Sendable, Hashable {
  /// The key.
  public let key: [UInt8]
  /// Its new value.
  public let value: [UInt8]?
  /// A change of `key`.
  public init(key: [UInt8], value: [UInt8]?) { (self.key, self.value) = (key, value) }
}

/// The state under the changes of one cut: rules read and write it; what a refused transaction wrote is taken back.
public struct StateEditor: Sendable {
  private let reader: any StateReader & Sendable
  private var changed: [[UInt8]: [UInt8]?] = [:]
  /// The changes in their order.
  public private(set) var writes: [StateWrite] = []
  private var undo: [(key: [UInt8], before: [UInt8]??)] = []

  /// An editor over what is executed so far.
  public init(reader: any StateReader & Sendable) { self.reader = reader }

  /// The value of a key, with the changes so far.
  public func value(_ key: [UInt8]) -> [UInt8]? {
    if let change = self.changed[key] { return change }
    return self.reader.value(key)
  }

  /// Changes a key.
  public mutating func set(_ key: [UInt8], _ value: [UInt8]?) {
    self.undo.append((key, self.changed[key]))
    self.changed[key] = .some(value)
    self.writes.append(StateWrite(key: key, value: value))
  }

  /// Makes the changes so far final.
  public mutating func commit() { self.undo.removeAll(keepingCapacity: true) }

  /// Takes back the changes since the last `commit`.
  public mutating func rollBack() {
    for entry in self.undo.reversed() { self.changed[entry.key] = entry.before }
    self.writes.removeLast(self.undo.count)
    self.undo.removeAll(keepingCapacity: true)
  }

  /// The pairs whose keys begin with `prefix`, in order, at most `limit`.
  public func scan(prefix: [UInt8], limit: Int) -> [(key: [UInt8], value: [UInt8])] {
    var out: [(key: [UInt8], value: [UInt8])] = []
    let added = self.changed.filter { $0.key.starts(with: prefix) && $0.value != nil }.keys
      .sorted { $0.lexicographicallyPrecedes($1) }
    var addedIndex = 0
    var stored = self.reader.next(after: prefix, prefix: prefix, inclusive: true)
    while out.count < limit {
      let candidate = addedIndex < added.count ? added[addedIndex] : nil
      if let pair = stored, candidate.map({ pair.key.lexicographicallyPrecedes($0) }) ?? true {
        if self.changed[pair.key] == nil { out.append(pair) }
        stored = self.reader.next(after: pair.key, prefix: prefix, inclusive: false)
        continue
      }
      guard let candidate else { break }
      if stored?.key == candidate {
        stored = self.reader.next(after: candidate, prefix: prefix, inclusive: false)
      }
      if let value = self.changed[candidate] ?? nil { out.append((candidate, value)) }
      addedIndex += 1
    }
    return out
  }
}

extension StateReader {
  /// The pairs whose keys begin with `prefix`, in order, at most `limit`, after `start` where given.
  public func scan(
    prefix: [UInt8], after start: [UInt8]? = nil, limit: Int
  ) -> [(key: [UInt8], value: [UInt8])] {
    var out: [(key: [UInt8], value: [UInt8])] = []
    var next = self.next(after: start ?? prefix, prefix: prefix, inclusive: start == nil)
    while let pair = next, out.count < limit {
      out.append(pair)
      next = self.next(after: pair.key, prefix: prefix, inclusive: false)
    }
    return out
  }
}
