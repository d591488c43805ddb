// Goal: the mesh behaves as gossipsub v1.1 and OVERLAY §2 say. Method: one router, one step, effects compared.
import Gossip
import Primitives
import Signing
import Testing

private let topic = Topic.blocks
private func id(_ number: UInt8) -> Digest { Hash.sha256([number]) }

/// A router in one topic with so many connected subscribers.
private struct Bench {
  var gossip: Gossip
  var effects: [Gossip.Effect] = []
  var now = Tick.zero

  init(peers: Int, isDirect: Bool = false, parameters: GossipParameters = GossipParameters()) {
    self.gossip = Gossip(topics: [topic], parameters: parameters, seed: 1, at: .zero)
    for peer in 0..<peers {
      self.give(.connected(peer, isDirect: isDirect))
      self.give(.control([.subscribe(topic, isIn: true)], from: peer))
    }
  }

  @discardableResult
  mutating func give(_ input: Gossip.Input) -> Gossip.Outcome {
    self.effects = []
    return self.gossip.step(input, at: self.now, into: &self.effects)
  }

  mutating func beat() {
    self.now = self.gossip.deadline
    self.give(.timerFired)
  }

  var receivers: [Int] { self.effects.compactMap { if case .send(let to, _, _) = $0 { to } else { nil } } }
  func control(to peer: Int) -> [ControlItem] {
    self.effects.flatMap { effect -> [ControlItem] in
      if case .control(let to, let items) = effect, to == peer { items } else { [] }
    }
  }
}

@Suite("Gossip")
struct GossipTests {
  @Test("A thin mesh takes new subscribers at once and tells them so")
  func graftsAtOnce() {
    var bench = Bench(peers: 0)
    bench.give(.connected(4, isDirect: false))
    bench.give(.control([.subscribe(topic, isIn: true)], from: 4))
    #expect(bench.gossip.meshPeers(topic) == [4])
    #expect(bench.control(to: 4) == [.graft(topic)])
  }

  @Test("On joining, a mesh is filled up to D, whatever Dlo is", arguments: [4, 6, 8, 10, 12])
  func joining(degree: Int) {
    var parameters = GossipParameters()
    (parameters.degree, parameters.degreeMin) = (degree, 4)
    var bench = Bench(peers: 30, parameters: parameters)
    #expect(bench.gossip.meshPeers(topic).count == degree)
    for _ in 0..<3 { bench.beat() }
    #expect(bench.gossip.meshPeers(topic).count == degree)
  }

  @Test("Where too few were there on joining, the mesh is filled up to D as others come")
  func joiningSlowly() {
    var bench = Bench(peers: 7)
    #expect(bench.gossip.meshPeers(topic).count == 7)
    bench.beat()
    for peer in 10..<20 { bench.give(.control([.subscribe(topic, isIn: true)], from: peer)) }
    #expect(bench.gossip.meshPeers(topic).count == 7, "who is not connected is not grafted")
    for peer in 10..<20 {
      bench.give(.connected(peer, isDirect: false))
      bench.give(.control([.subscribe(topic, isIn: true)], from: peer))
    }
    #expect(bench.gossip.meshPeers(topic).count == 8)
  }

  @Test("A mesh that was full is left alone down to Dlo; below, it is filled up to D again")
  func refilled() {
    var bench = Bench(peers: 30)
    func mesh() -> [Int] { bench.gossip.meshPeers(topic) }
    for peer in mesh().prefix(2) { bench.give(.disconnected(peer)) }
    bench.beat()
    bench.give(.connected(40, isDirect: false))
    bench.give(.control([.subscribe(topic, isIn: true)], from: 40))
    #expect(mesh().count == 6)
    bench.give(.disconnected(mesh()[0]))
    bench.beat()
    #expect(mesh().count == 8)
  }

  @Test("Without flood publishing, own messages go along the mesh and to direct peers only (v1.0)")
  func publishAlongTheMesh() {
    var parameters = GossipParameters()
    parameters.isFloodPublishing = false
    var bench = Bench(peers: 20, parameters: parameters)
    bench.give(.connected(50, isDirect: true))
    bench.give(.publish(topic, identifier: id(1), [1]))
    #expect(bench.receivers == bench.gossip.meshPeers(topic) + [50])
  }

  @Test("The heartbeat keeps the mesh between Dlo and Dhi")
  func meshDegree() {
    var bench = Bench(peers: 30)
    bench.beat()
    #expect(bench.gossip.meshPeers(topic).count >= 6)
    for peer in 0..<30 { bench.give(.control([.graft(topic)], from: peer)) }
    #expect(bench.gossip.meshPeers(topic).count == 12)
  }

  @Test("Above Dhi a graft is answered with a prune and its back-off")
  func graftWhenFull() {
    var bench = Bench(peers: 30)
    for peer in 0..<30 { bench.give(.control([.graft(topic)], from: peer)) }
    let outside = (0..<30).first { !bench.gossip.meshPeers(topic).contains($0) } ?? 0
    #expect(bench.give(.control([.graft(topic)], from: outside)) == .rejected(.backoff))
    #expect(bench.control(to: outside) == [.prune(topic, backoffMilliseconds: 60_000)])
  }

  @Test("A pruned peer is not grafted before its back-off is over, and its grafts are refused")
  func backoff() {
    var bench = Bench(peers: 1)
    bench.give(.control([.prune(topic, backoffMilliseconds: 5000)], from: 0))
    #expect(bench.gossip.meshPeers(topic).isEmpty)
    #expect(bench.give(.control([.graft(topic)], from: 0)) == .rejected(.backoff))
    for _ in 0..<7 { bench.beat() }
    #expect(bench.gossip.meshPeers(topic).isEmpty)
    for _ in 0..<3 { bench.beat() }
    #expect(bench.gossip.meshPeers(topic) == [0])
  }

  @Test("Own messages go to every subscriber and every direct peer")
  func floodPublish() {
    var bench = Bench(peers: 20)
    bench.give(.connected(50, isDirect: true))
    bench.give(.publish(topic, identifier: id(1), [1]))
    #expect(bench.receivers == Array(0..<20) + [50])
  }

  @Test("Publishing that reaches nobody is an alarm")
  func unheard() {
    var bench = Bench(peers: 0)
    bench.give(.publish(topic, identifier: id(1), [1]))
    #expect(bench.effects == [.unheard(topic)])
  }

  @Test("Others' messages go along the mesh once, not back, and not to whom the author reaches")
  func forward() {
    var bench = Bench(peers: 5)
    var linked = ReplicaSet()
    linked.insert(3)
    #expect(bench.give(.validated(topic, identifier: id(1), [1], from: 0, linked: linked)) == .accepted)
    #expect(bench.receivers == [1, 2, 4])
    #expect(
      bench.give(.validated(topic, identifier: id(1), [1], from: 1, linked: linked)) == .ignored(.duplicate))
    #expect(bench.effects.isEmpty)
  }

  @Test("IDONTWANT keeps a message from whoever said it, and is said before large messages are checked")
  func dontWant() {
    var bench = Bench(peers: 4)
    bench.give(.control([.iDontWant([id(1)])], from: 2))
    bench.give(.validated(topic, identifier: id(1), [1], from: 0, linked: ReplicaSet()))
    #expect(bench.receivers == [1, 3])
    bench.give(.announced(topic, identifier: id(2), bytes: 4096, from: 1))
    #expect((0..<4).filter { bench.control(to: $0) == [.iDontWant([id(2)])] } == [0, 2, 3])
    #expect(bench.give(.announced(topic, identifier: id(3), bytes: 100, from: 1)) == .ignored(.idle))
  }

  @Test("IHAVE is answered with IWANT for what is new, once; IWANT with the message, three times at most")
  func lazyPull() {
    var bench = Bench(peers: 3)
    bench.give(.validated(topic, identifier: id(1), [1], from: 0, linked: ReplicaSet()))
    bench.give(.control([.iHave(topic, [id(1), id(2)])], from: 1))
    #expect(bench.control(to: 1) == [.iWant([id(2)])])
    #expect(bench.give(.control([.iHave(topic, [id(2)])], from: 2)) == .ignored(.duplicate))
    for _ in 0..<3 {
      bench.give(.control([.iWant([id(1)])], from: 2))
      #expect(bench.effects == [.send(to: 2, topic, [1])])
    }
    bench.give(.control([.iWant([id(1)])], from: 2))
    #expect(bench.effects.isEmpty)
  }

  @Test("IHAVE floods are cut off within a heartbeat, and broken promises are forgotten after a while")
  func floods() {
    var bench = Bench(peers: 2)
    for number in 0..<10 { bench.give(.control([.iHave(topic, [id(UInt8(number + 10))])], from: 0)) }
    #expect(bench.give(.control([.iHave(topic, [id(99)])], from: 0)) == .ignored(.flood))
    bench.give(.control([.iHave(topic, [id(10)])], from: 1))
    #expect(bench.effects.isEmpty, "it is promised already")
    for _ in 0..<6 { bench.beat() }
    bench.give(.control([.iHave(topic, [id(10)])], from: 1))
    #expect(bench.control(to: 1) == [.iWant([id(10)])])
  }

  @Test("What a peer promised is asked of another as soon as that peer is gone")
  func promiseOfOneThatLeft() {
    var bench = Bench(peers: 2)
    bench.give(.control([.iHave(topic, [id(10)])], from: 0))
    bench.give(.disconnected(0))
    bench.give(.control([.iHave(topic, [id(10)])], from: 1))
    #expect(bench.control(to: 1) == [.iWant([id(10)])])
  }

  @Test(
    "A message whose author reached every direct peer itself is announced to nobody; one that it did not reach is told")
  func announcedWhereNeeded() {
    for reached in [[0, 1, 2], [0, 1]] {
      var parameters = GossipParameters()
      (parameters.degreeMin, parameters.degree, parameters.degreeMax) = (0, 0, 0)
      var gossip = Gossip(topics: [topic], parameters: parameters, seed: 1, at: .zero)
      var effects: [Gossip.Effect] = []
      for peer in 0..<3 {
        _ = gossip.step(.connected(peer, isDirect: true), at: .zero, into: &effects)
        _ = gossip.step(.control([.subscribe(topic, isIn: true)], from: peer), at: .zero, into: &effects)
      }
      var linked = ReplicaSet()
      for peer in reached { linked.insert(peer) }
      _ = gossip.step(.validated(topic, identifier: id(1), [1], from: 0, linked: linked), at: .zero, into: &effects)
      effects = []
      _ = gossip.step(.timerFired, at: gossip.deadline, into: &effects)
      let told = effects.contains {
        if case .control(_, let items) = $0 { items.contains(.iHave(topic, [id(1)])) } else { false }
      }
      #expect(told == (reached.count < 3))
    }
  }

  @Test("The heartbeat tells some peers outside the mesh what was heard lately, and forgets it later")
  func heartbeatGossip() {
    var bench = Bench(peers: 30)
    bench.beat()
    bench.give(.publish(topic, identifier: id(1), [1]))
    bench.beat()
    let mesh = bench.gossip.meshPeers(topic)
    let told = (0..<30).filter { bench.control(to: $0).contains(.iHave(topic, [id(1)])) }
    #expect(told.count >= 6)
    #expect(Set(told).isDisjoint(with: mesh))
    for _ in 0..<7 { bench.beat() }
    bench.give(.control([.iWant([id(1)])], from: 0))
    #expect(bench.effects.isEmpty)
  }

  @Test("I9: what was seen is bounded, whatever is sent")
  func bounded() {
    var parameters = GossipParameters()
    (parameters.seenMax, parameters.cacheBytesMax) = (100, 1000)
    var gossip = Gossip(topics: [topic], parameters: parameters, seed: 1, at: .zero)
    var effects: [Gossip.Effect] = []
    for number in 0..<10_000 {
      let identifier = Hash.sha256([UInt8(number & 255), UInt8(number >> 8)])
      _ = gossip.step(
        .validated(topic, identifier: identifier, [1, 2, 3], from: 0, linked: ReplicaSet()), at: .zero, into: &effects)
    }
    #expect(!gossip.hasSeen(Hash.sha256([0, 0])))
    #expect(gossip.hasSeen(Hash.sha256([UInt8(9999 & 255), UInt8(9999 >> 8)])))
  }

  @Test("What was seen is what a plain list says: the newest so many, for so long", arguments: 1...20)
  func seen(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var parameters = GossipParameters()
    (parameters.seenMax, parameters.seenFor) = (Int(40 + random.below(400)), .milliseconds(5000))
    var gossip = Gossip(topics: [topic], parameters: parameters, seed: seed, at: .zero)
    var naive: [(identifier: Digest, at: Tick)] = []
    var effects: [Gossip.Effect] = []
    var now = Tick.zero
    for _ in 0..<4000 {
      if random.oneIn(20) {
        now = max(now, gossip.deadline)
        _ = gossip.step(.timerFired, at: now, into: &effects)
        naive.removeAll { $0.at + parameters.seenFor <= now }
      }
      // Close to one another, as whoever chooses identifiers would choose them, and some again.
      let word = random.below(700)
      let identifier = Digest(words: (word % 3, word, 0, random.below(2)))
      let isNew = !naive.contains { $0.identifier == identifier }
      #expect(gossip.hasSeen(identifier) == !isNew)
      let input = Gossip.Input.validated(topic, identifier: identifier, [1], from: 0, linked: ReplicaSet())
      #expect((gossip.step(input, at: now, into: &effects) == .accepted) == isNew)
      guard isNew else { continue }
      naive.append((identifier, now))
      if naive.count > parameters.seenMax { naive.removeFirst() }
    }
    #expect(naive.allSatisfy { gossip.hasSeen($0.identifier) })
  }
}
