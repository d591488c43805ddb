internal import Primitives

/// Identifiers of messages in the order in which they were seen, each once: looked up for every copy that arrives and
/// for every identifier that a peer tells of, so it is a table of its own.
///
/// Open addressing over positions of the order, at most half full; the oldest leaves first. A secret of the node's goes
/// into every place, so that nobody chooses identifiers that fall on one another.
struct SeenMessages: Sendable, Equatable {
  private static let capacityMin = 64

  private let secret: (UInt64, UInt64)
  /// Those in `order` before this are forgotten.
  private var first = 0
  private var order: [(identifier: Digest, at: Tick)] = []
  /// Positions in `order` plus one; 0 for none.
  private var places = [UInt32](repeating: 0, count: Self.capacityMin)

  /// None yet; the secret follows from a seed that nobody else knows.
  init(seed: UInt64) {
    var random = SeededGenerator(seed: ~seed)
    self.secret = (random.next(), random.next())
  }

  /// How many there are.
  var count: Int { self.order.count - self.first }
  /// When the oldest was seen; nil where there is none.
  var oldest: Tick? { self.first < self.order.count ? self.order[self.first].at : nil }

  /// Where an identifier belongs, if nothing is in its way.
  @inline(__always)
  private func home(_ identifier: Digest) -> Int {
    let mixed = identifier.mixed(with: self.secret)
    return Int(truncatingIfNeeded: mixed) & (self.places.count - 1)
  }

  /// Whether it was seen.
  func contains(_ identifier: Digest) -> Bool { self.place(of: identifier) != nil }

  private func place(of identifier: Digest) -> Int? {
    var place = self.home(identifier)
    while true {
      let position = self.places[place]
      if position == 0 { return nil }
      if self.order[Int(position) - 1].identifier == identifier { return place }
      place = (place + 1) & (self.places.count - 1)
    }
  }

  /// Adds one that is not in it.
  mutating func insert(_ identifier: Digest, at now: Tick) {
    self.order.append((identifier, now))
    if self.count * 2 > self.places.count {
      self.rebuild(capacity: self.places.count * 2)
    } else {
      self.settle(self.order.count - 1)
    }
  }

  private mutating func settle(_ position: Int) {
    var place = self.home(self.order[position].identifier)
    while self.places[place] != 0 { place = (place + 1) & (self.places.count - 1) }
    self.places[place] = UInt32(position + 1)
  }

  /// Takes the oldest out.
  mutating func removeOldest() {
    guard self.first < self.order.count else { return }
    if let place = self.place(of: self.order[self.first].identifier) { self.vacate(place) }
    self.first += 1
    // Positions stay small: what is forgotten is cut off now and then.
    if self.first > 4096, self.first * 2 > self.order.count { self.rebuild(capacity: self.places.count) }
  }

  /// Closes the gap at a place, so that whatever was pushed on by it is found again.
  private mutating func vacate(_ start: Int) {
    let mask = self.places.count - 1
    var (gap, next) = (start, (start + 1) & mask)
    while self.places[next] != 0 {
      let home = self.home(self.order[Int(self.places[next]) - 1].identifier)
      // It may go back unless its home lies after the gap.
      if (next - home) & mask >= (next - gap) & mask {
        self.places[gap] = self.places[next]
        gap = next
      }
      next = (next + 1) & mask
    }
    self.places[gap] = 0
  }

  private mutating func rebuild(capacity: Int) {
    self.order.removeFirst(self.first)
    self.first = 0
    var fitting = capacity
    while fitting > Self.capacityMin, self.order.count * 8 < fitting { fitting /= 2 }
    self.places = [UInt32](repeating: 0, count: fitting)
    for position in self.order.indices { self.settle(position) }
  }

  /// Equal where the same were seen at the same times in the same order.
  static func == (left: SeenMessages, right: SeenMessages) -> Bool {
    left.order[left.first...].elementsEqual(right.order[right.first...]) { $0 == $1 }
  }
}
