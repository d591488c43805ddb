/// A ledger's state in memory, its pairs in the order of their keys: for auditors that re-execute, and for simulations.
public struct MemoryState: StateReader, Sendable, Equatable {
  private var keys: [[UInt8]] = []
  private var values: [[UInt8]: [UInt8]] = [:]

  /// The empty state.
  public init() {}

  /// All pairs, in the order of their keys.
  public var pairs: [(key: [UInt8], value: [UInt8])] { self.keys.map { ($0, self.values[$0] ?? []) } }

  /// How many pairs.
  public var count: Int { self.keys.count }

  private func position(_ key: [UInt8]) -> Int {
    var (low, high) = (0, self.keys.count)
    while low < high {
      let middle = (low + high) / 2
      if self.keys[middle].lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Applies changes in their order.
  public mutating func apply(_ writes: [StateWrite]) {
    for write in writes {
      let index = self.position(write.key)
      let isThere = index < self.keys.count && self.keys[index] == write.key
      switch (write.value, isThere) {
      case (let value?, true): self.values[write.key] = value
      case (let value?, false):
        self.keys.insert(write.key, at: index)
        self.values[write.key] = value
      case (nil, true):
        self.keys.remove(at: index)
        self.values[write.key] = nil
      case (nil, false): break
      }
    }
  }

  /// The value of a key.
  public func value(_ key: [UInt8]) -> [UInt8]? { self.values[key] }

  /// The next pair whose key begins with `prefix`.
  public func next(after key: [UInt8], prefix: [UInt8], inclusive: Bool) -> (key: [UInt8], value: [UInt8])? {
    var index = self.position(key)
    if index < self.keys.count, self.keys[index] == key, !inclusive { index += 1 }
    guard index < self.keys.count, self.keys[index].starts(with: prefix), let value = self.values[self.keys[index]]
    else { return nil }
    return (self.keys[index], value)
  }
}
