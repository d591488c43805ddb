public import Primitives

/// Events in the order of their time, and at one time in the order in which they were added: a binary heap.
public struct EventQueue<Event> {
  private var heap: [(tick: Tick, sequence: UInt64, event: Event)] = []
  private var sequence: UInt64 = 0

  /// An empty queue.
  public init() {}

  /// How many events wait.
  public var count: Int { self.heap.count }
  /// When the next one happens.
  public var nextTick: Tick? { self.heap.first?.tick }

  private func precedes(_ left: Int, _ right: Int) -> Bool {
    let (a, b) = (self.heap[left], self.heap[right])
    return a.tick == b.tick ? a.sequence < b.sequence : a.tick < b.tick
  }

  /// Adds an event.
  public mutating func add(_ event: Event, at tick: Tick) {
    self.heap.append((tick, self.sequence, event))
    self.sequence += 1
    var child = self.heap.count - 1
    while child > 0, self.precedes(child, (child - 1) / 2) {
      self.heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// Takes the next event out.
  public mutating func pop() -> (tick: Tick, event: Event)? {
    guard let first = self.heap.first else { return nil }
    let last = self.heap.removeLast()
    if !self.heap.isEmpty {
      self.heap[0] = last
      var parent = 0
      while true {
        var smallest = parent
        for child in [2 * parent + 1, 2 * parent + 2] where child < self.heap.count {
          if self.precedes(child, smallest) { smallest = child }
        }
        guard smallest != parent else { break }
        self.heap.swapAt(parent, smallest)
        parent = smallest
      }
    }
    return (first.tick, first.event)
  }
}
