/// A value for each of some topics.
struct PerTopic<Value> {
  private var values = [Value?](repeating: nil, count: Int(Topic.allCases.map(\.rawValue).max() ?? 0) + 1)

  subscript(topic: Topic) -> Value? {
    get { self.values[Int(topic.rawValue)] }
    _modify { yield &self.values[Int(topic.rawValue)] }
  }

  /// Every value, by topic.
  var all: [Value] { self.values.compactMap(\.self) }
}

extension PerTopic: Sendable where Value: Sendable {}
extension PerTopic: Equatable where Value: Equatable {}

/// Some topics.
struct TopicSet: Sendable, Equatable {
  private var bits: UInt8 = 0

  func contains(_ topic: Topic) -> Bool { self.bits & 1 << topic.rawValue != 0 }
  mutating func insert(_ topic: Topic) { self.bits |= 1 << topic.rawValue }
  mutating func remove(_ topic: Topic) { self.bits &= ~(1 << topic.rawValue) }
}

/// What is known of each of a few hundred peers at most, in the peers' order: most steps look up, few change them.
struct PeerTable<Value> {
  /// The peers in ascending order.
  private(set) var peers: [Gossip.Peer] = []
  private var values: [Value] = []

  /// How many there are.
  var count: Int { self.peers.count }

  /// The place of a peer, or where it belongs.
  private func place(of peer: Gossip.Peer) -> (at: Int, isThere: Bool) {
    var (low, high) = (0, self.peers.count)
    while low < high {
      let middle = (low + high) / 2
      if self.peers[middle] < peer { low = middle + 1 } else { high = middle }
    }
    return (low, low < self.peers.count && self.peers[low] == peer)
  }

  subscript(peer: Gossip.Peer) -> Value? {
    get {
      let (place, isThere) = self.place(of: peer)
      return isThere ? self.values[place] : nil
    }
    set {
      let (place, isThere) = self.place(of: peer)
      switch (newValue, isThere) {
      case (let value?, true): self.values[place] = value
      case (let value?, false):
        self.peers.insert(peer, at: place)
        self.values.insert(value, at: place)
      case (nil, true):
        self.peers.remove(at: place)
        self.values.remove(at: place)
      case (nil, false): break
      }
    }
  }

  /// The peers of whose values something holds, in ascending order.
  func peers(where holds: (Gossip.Peer, Value) -> Bool) -> [Gossip.Peer] {
    var out: [Gossip.Peer] = []
    for place in self.peers.indices where holds(self.peers[place], self.values[place]) { out.append(self.peers[place]) }
    return out
  }

  /// Changes the values of all.
  mutating func update(_ change: (inout Value) -> Void) {
    for place in self.values.indices { change(&self.values[place]) }
  }

  /// Whether something holds of all.
  func allSatisfy(_ holds: (Gossip.Peer, Value) -> Bool) -> Bool {
    self.peers.indices.allSatisfy { holds(self.peers[$0], self.values[$0]) }
  }
}

extension PeerTable: Sendable where Value: Sendable {}
extension PeerTable: Equatable where Value: Equatable {}

/// A few peers in ascending order: a mesh has a dozen.
struct PeerSet: Sendable, Equatable {
  private(set) var peers: [Gossip.Peer] = []

  var count: Int { self.peers.count }
  func contains(_ peer: Gossip.Peer) -> Bool { self.peers.contains(peer) }

  mutating func insert(_ peer: Gossip.Peer) {
    guard !self.contains(peer) else { return }
    self.peers.insert(peer, at: self.peers.firstIndex { $0 > peer } ?? self.peers.count)
  }

  mutating func remove(_ peer: Gossip.Peer) { self.peers.removeAll { $0 == peer } }
}
