public import Primitives

/// Events in the order of their time, and at one time in the order in which they were added.
///
/// A heap with four children a node over keys that are plain numbers; the events themselves stay where they were put,
/// so that sorting moves and counts nothing else.
public struct EventQueue<Event> {
  private struct Key {
    let tick: Tick
    let sequence: UInt64
    let slot: Int

    @inline(__always)
    static func < (left: Key, right: Key) -> Bool {
      left.tick == right.tick ? left.sequence < right.sequence : left.tick < right.tick
    }
  }

  private static var children: Int { 4 }
  private var heap: [Key] = []
  private var events: [Event?] = []
  private var free: [Int] = []
  private var sequence: UInt64 = 0

  /// An empty queue.
  public init() {}

  /// How many events wait.
  public var count: Int { self.heap.count }
  /// When the next one happens.
  public var nextTick: Tick? { self.heap.first?.tick }

  /// Adds an event.
  public mutating func add(_ event: Event, at tick: Tick) {
    let slot: Int
    if let last = self.free.popLast() {
      slot = last
      self.events[slot] = event
    } else {
      slot = self.events.count
      self.events.append(event)
    }
    let key = Key(tick: tick, sequence: self.sequence, slot: slot)
    self.sequence += 1
    var child = self.heap.count
    self.heap.append(key)
    while child > 0 {
      let parent = (child - 1) / Self.children
      guard key < self.heap[parent] else { break }
      self.heap[child] = self.heap[parent]
      child = parent
    }
    self.heap[child] = key
  }

  /// Takes the next event out.
  public mutating func pop() -> (tick: Tick, event: Event)? {
    guard let first = self.heap.first, let last = self.heap.popLast() else { return nil }
    if !self.heap.isEmpty { self.sift(last) }
    guard let event = self.events[first.slot].take() else { return nil }
    self.free.append(first.slot)
    return (first.tick, event)
  }

  /// Puts a key in at the top, and down to its place.
  private mutating func sift(_ key: Key) {
    let count = self.heap.count
    var parent = 0
    while true {
      let from = Self.children * parent + 1
      guard from < count else { break }
      var smallest = from
      for child in (from + 1)..<max(from + 1, min(from + Self.children, count))
      where self.heap[child] < self.heap[smallest] {
        smallest = child
      }
      guard self.heap[smallest] < key else { break }
      self.heap[parent] = self.heap[smallest]
      parent = smallest
    }
    self.heap[parent] = key
  }
}
