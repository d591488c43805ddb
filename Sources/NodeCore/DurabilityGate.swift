internal import Primitives

/// ⚑ Durable before visible: what is emitted after a write waits until that write, and all before it, are on the disk.
///
/// Every driver uses it. Writes are gathered into batches; one batch is under way at a time (group commit).
public struct DurabilityGate<Item> {
  private var batch: [StoreWrite] = []
  /// The number of the batch that writes join now.
  public private(set) var openBatch: UInt64 = 1
  /// The batch that is being written.
  public private(set) var batchInFlight: UInt64?
  private var waiting: [(item: Item, batch: UInt64, bytes: Int)] = []
  private var first = 0
  /// The bytes of the items that wait.
  public private(set) var waitingBytes = 0

  /// The most items that wait before a driver takes in no more from peers, and the most of their bytes.
  public static var waitingMax: Int { 16_384 }
  /// See `waitingMax`.
  public static var waitingBytesMax: Int { 64 << 20 }

  /// A gate with nothing under way.
  public init() {}

  /// Whether nothing is being written nor waits to be.
  public var isIdle: Bool { self.batch.isEmpty && self.batchInFlight == nil }

  /// How many items wait.
  public var waitingCount: Int { self.waiting.count - self.first }
  /// ⚑ Whether so much waits that nothing more may be taken in that could make it grow (I9).
  public var isFull: Bool { self.waitingCount >= Self.waitingMax || self.waitingBytes >= Self.waitingBytesMax }

  /// Adds a write to the open batch.
  public mutating func persist(_ write: StoreWrite) { self.batch.append(write) }

  /// Holds an item, of so many bytes, back until all writes so far are durable; gives it back at once where they are.
  public mutating func pass(_ item: Item, bytes: Int = 0) -> Item? {
    if planted(.sentBeforeDurable) { return item }
    guard let required = self.batch.isEmpty ? self.batchInFlight : self.openBatch else { return item }
    self.waiting.append((item, required, bytes))
    self.waitingBytes += bytes
    return nil
  }

  /// The next batch to write; nil while one is under way, or where there is nothing to write.
  public mutating func takeBatch() -> (number: UInt64, writes: [StoreWrite])? {
    guard self.batchInFlight == nil, !self.batch.isEmpty else { return nil }
    let number = self.openBatch
    self.batchInFlight = number
    self.openBatch += 1
    defer { self.batch = [] }
    return (number, self.batch)
  }

  /// All that waits to be written, whatever is under way: for a driver that ends the node after it.
  public mutating func takeRest() -> [StoreWrite] {
    defer { self.batch = [] }
    return self.batch
  }

  /// A batch is durable: the items that waited for it, in their order.
  public mutating func settle(_ number: UInt64) -> [Item] {
    precondition(self.batchInFlight == number, "batch \(number) settled, \(self.batchInFlight ?? 0) in flight")
    self.batchInFlight = nil
    var out: [Item] = []
    while self.first < self.waiting.count, self.waiting[self.first].batch <= number {
      out.append(self.waiting[self.first].item)
      self.waitingBytes -= self.waiting[self.first].bytes
      self.first += 1
    }
    if self.first == self.waiting.count || self.first > 4096 {
      self.waiting.removeFirst(self.first)
      self.first = 0
    }
    return out
  }
}
