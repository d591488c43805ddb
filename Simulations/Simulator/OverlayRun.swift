internal import Gossip
internal import Messages
internal import Primitives
internal import Sessions
internal import Signing

/// One seed's run of the overlay alone: a gossip network with losses and hostile peers, and sessions under attack.
struct OverlayRun {
  private var random: SeededGenerator

  init(seed: UInt64) { self.random = SeededGenerator(seed: seed ^ 0x0e4a) }

  /// The first promise that was broken; nil where all held. `events` counts what happened.
  mutating func run(events: inout Int) -> String? {
    self.gossip(&events) ?? self.sessions(&events) ?? self.pings(&events)
  }

  private mutating func gossip(_ events: inout Int) -> String? {
    var settings = GossipNetwork.Settings()
    settings.count = 8 + Int(self.random.below(40))
    settings.connections = 3 + Int(self.random.below(16))
    settings.areDirect = self.random.oneIn(2)
    if self.random.oneIn(2) {
      // A mesh so thin that it falls apart: IHAVE and IWANT must carry what it does not.
      (settings.parameters.degreeMin, settings.parameters.degree, settings.parameters.degreeMax) = (1, 1, 2)
    }
    var network = GossipNetwork(settings, seed: self.random.next(), watching: true)
    network.run(for: .milliseconds(3000))
    for _ in 0..<12 {
      let count = UInt64(settings.count)
      network.publish(from: Int(self.random.below(count)))
      let hostile = Int(self.random.below(count))
      for victim in network.peers(hostile) {
        // Asks for one message over and over, and comes back into meshes that put it out.
        let wanted = Array(repeating: GossipNetwork.identifier(network.deliveries.count - 1), count: 20)
        network.inject([.iWant(wanted), .graft(.blocks)], from: hostile, to: victim)
      }
      network.run(for: Span(nanoseconds: self.random.below(2_000_000_000)))
      if network.eventCount > 400_000 { return "OVERLAY §2: \(network.eventCount) events for a dozen messages" }
      if let breach = network.breach { return breach }
    }
    network.run(for: .milliseconds(12_000))
    events += network.eventCount
    if let breach = network.breach { return breach }
    for (number, delivery) in network.deliveries.enumerated() {
      let missing = delivery.after.count { $0 == nil }
      if missing > 0 { return "OVERLAY §2: message \(number) never reached \(missing) of \(settings.count) nodes" }
    }
    return nil
  }

  private func key(_ name: UInt8) -> SigningKey {
    guard let key = SigningKey(seed: Hash.blake2b("consilium/overlay-run/v1", [name]).bytes) else {
      preconditionFailure("a digest has 32 bytes")
    }
    return key
  }

  /// A member dials another over a line that an attacker holds: it repeats frames, or answers in the other's place.
  private mutating func sessions(_ events: inout Int) -> String? {
    let network = Hash.blake2b("consilium/overlay-run/v1", [])
    let alice = self.key(1)
    let bob = self.key(2)
    let mallory = self.key(3)
    let isImpostor = self.random.oneIn(2)
    let isStranger = !isImpostor && self.random.oneIn(2)
    func pair(_ byte: UInt8) -> NoiseHandshake.KeyPair {
      NoiseHandshake.KeyPair(secret: Hash.blake2b("consilium/overlay-run/v1", [9, byte]).bytes)
    }
    let admitted: Set<PublicKey> = [alice.publicKey, bob.publicKey]
    var dialler = Session(
      network: network, role: .initiator, staticKey: pair(1), ephemeral: pair(2),
      identity: isStranger ? mallory.publicKey : alice.publicKey, expected: bob.publicKey, admitted: admitted, at: .zero
    )
    var listener = Session(
      network: network, role: .responder, staticKey: pair(3), ephemeral: pair(4), identity: bob.publicKey,
      expected: nil, admitted: admitted, at: .zero)
    var (heardByDialler, heardByListener): ([SessionEvent], [SessionEvent]) = ([], [])
    var last: [UInt8] = []
    for round in 0..<12 {
      events += 2
      let up = dialler.takeOutput(max: 1 << 20)
      listener.take(up, at: .zero, into: &heardByListener)
      let down = listener.takeOutput(max: 1 << 20)
      dialler.take(down, at: .zero, into: &heardByDialler)
      for case .proofNeeded(let message) in heardByDialler.suffix(2) {
        dialler.prove(isStranger ? mallory.sign(message) : alice.sign(message), at: .zero, into: &heardByDialler)
      }
      for case .proofNeeded(let message) in heardByListener.suffix(2) {
        listener.prove(isImpostor ? mallory.sign(message) : bob.sign(message), at: .zero, into: &heardByListener)
      }
      if round > 5, dialler.isOpen, listener.isOpen {
        _ = dialler.enqueue([UInt8(round)], on: .control)
        last = dialler.takeOutput(max: 1 << 20)
        listener.take(last, at: .zero, into: &heardByListener)
        listener.take(last, at: .zero, into: &heardByListener)  // Again, as an attacker would.
      }
    }
    func isEstablished(_ events: [SessionEvent]) -> Bool {
      events.contains { if case .established = $0 { true } else { false } }
    }
    if isImpostor, isEstablished(heardByDialler) {
      return "OVERLAY §1: a session opened with an identity that was not proved"
    }
    if isStranger, isEstablished(heardByListener) { return "OVERLAY §1: a stranger was admitted" }
    let messages = heardByListener.compactMap { event -> [UInt8]? in
      if case .message(_, let bytes) = event { bytes } else { nil }
    }
    return Set(messages).count == messages.count ? nil : "OVERLAY §1: a repeated frame was taken for a new one"
  }

  /// A member's clock runs, and it pings; the other's stands still, so that all of it comes at once.
  private func pings(_ events: inout Int) -> String? {
    let alice = self.key(1)
    let bob = self.key(2)
    func session(_ role: NoiseHandshake.Role, _ number: UInt8, _ identity: PublicKey) -> Session {
      func pair(_ byte: UInt8) -> NoiseHandshake.KeyPair {
        NoiseHandshake.KeyPair(secret: Hash.blake2b("consilium/overlay-run/v1", [8, byte]).bytes)
      }
      return Session(
        network: Hash.blake2b("consilium/overlay-run/v1", []), role: role, staticKey: pair(number),
        ephemeral: pair(number + 2), identity: identity, expected: nil, admitted: nil, at: .zero)
    }
    var dialler = session(.initiator, 1, alice.publicKey)
    var listener = session(.responder, 2, bob.publicKey)
    for _ in 0..<4 {
      events += 2
      var (above, below): ([SessionEvent], [SessionEvent]) = ([], [])
      listener.take(dialler.takeOutput(max: 1 << 20), at: .zero, into: &below)
      for case .proofNeeded(let message) in below { listener.prove(bob.sign(message), at: .zero, into: &below) }
      dialler.take(listener.takeOutput(max: 1 << 20), at: .zero, into: &above)
      for case .proofNeeded(let message) in above { dialler.prove(alice.sign(message), at: .zero, into: &above) }
    }
    var (ignored, heard): ([SessionEvent], [SessionEvent]) = ([], [])
    for count in 1...UInt64(64) where heard.isEmpty {
      let now = Tick.zero + .milliseconds(5_000 * count)
      dialler.fireTimer(at: now, into: &ignored)
      listener.take(dialler.takeOutput(max: 1 << 20), at: .zero, into: &heard)
      dialler.take(listener.takeOutput(max: 1 << 20), at: now, into: &ignored)
    }
    return heard == [.failed(.pings)] ? nil : "OVERLAY §1: a peer pings as often as it likes"
  }
}
