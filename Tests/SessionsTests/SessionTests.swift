// Goal: sessions are Noise's, prove who is there, carry messages by priority and credit, and refuse everything else
// with a reason. Method: the published vectors; two sessions joined by their bytes; random bytes.
import Foundation
import Messages
import Primitives
import Sessions
import Signing
import Testing
import Wire

private struct NoiseVectors: Decodable {
  struct Message: Decodable { let payload, ciphertext: String }
  struct Vector: Decodable {
    let initPrologue, initStatic, initEphemeral, respStatic, respEphemeral, handshakeHash: String
    let messages: [Message]
  }
  let vectors: [Vector]
}

private func hex(_ text: String) throws -> [UInt8] { try #require(Hex.decode(text)) }

@Suite("Noise")
struct NoiseTests {
  @Test("Every message of the published vector comes out to the byte, in both directions")
  func vectors() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let data = try Data(contentsOf: folder.appending(path: "Vectors/noise/Noise_XX_25519_ChaChaPoly_SHA256.json"))
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    for vector in try decoder.decode(NoiseVectors.self, from: data).vectors {
      func side(_ role: NoiseHandshake.Role, _ fixed: String, _ ephemeral: String) throws -> NoiseHandshake {
        let prologue = try hex(vector.initPrologue)
        let (staticSecret, ephemeralSecret) = (try hex(fixed), try hex(ephemeral))
        return NoiseHandshake(
          role: role, prologue: prologue, staticKey: .init(secret: staticSecret),
          ephemeral: .init(secret: ephemeralSecret))
      }
      var sides = [
        try side(.initiator, vector.initStatic, vector.initEphemeral),
        try side(.responder, vector.respStatic, vector.respEphemeral),
      ]
      for (index, message) in vector.messages.prefix(3).enumerated() {
        let writer = index % 2
        guard let keys = sides[writer].writeKeys() else {
          Issue.record("no keys for message \(index)")
          return
        }
        let written = keys + sides[writer].writePayload(try hex(message.payload))
        #expect(Hex.encode(written) == message.ciphertext)
        let read = sides[1 - writer].read(written)
        #expect(read.map { Hex.encode($0.payload) } == message.payload)
      }
      #expect(sides.allSatisfy { Hex.encode($0.hash) == vector.handshakeHash })
      var (initiator, responder) = (sides[0].split(), sides[1].split())
      for (index, message) in vector.messages.dropFirst(3).enumerated() {
        let isResponder = index % 2 == 0
        let payload = try hex(message.payload)
        let sealed = isResponder ? responder.send.seal(payload) : initiator.send.seal(payload)
        #expect(Hex.encode(sealed) == message.ciphertext)
        let opened = isResponder ? initiator.receive.open(sealed) : responder.receive.open(sealed)
        #expect(opened == payload)
      }
    }
  }
}

/// Two sessions whose bytes are carried by hand.
private struct Pair {
  static let network = Hash.blake2b("network")
  var sides: [Session]
  let keys: [[UInt8]]
  var events: [[SessionEvent]] = [[], []]
  var now = Tick.zero

  static func key(_ number: UInt8) -> [UInt8] { Hash.blake2b("key", [number]).bytes }
  static func signingKey(_ seed: [UInt8]) -> SigningKey {
    guard let key = SigningKey(seed: seed) else { preconditionFailure("a seed has 32 bytes") }
    return key
  }
  static func publicKey(_ number: UInt8) -> PublicKey { self.signingKey(self.key(number)).publicKey }

  init(
    networks: [Digest] = [Pair.network, Pair.network], expected: UInt8? = 2, admitted: [UInt8] = [1, 2],
    rules: [UInt8] = [0, 0]
  ) {
    let known = Set(admitted.map { Pair.publicKey($0) })
    self.keys = [Pair.key(1), Pair.key(2)]
    self.sides = [NoiseHandshake.Role.initiator, .responder].enumerated().map { index, role in
      Session(
        network: networks[index], role: role, staticKey: .init(secret: Pair.key(UInt8(10 + index))),
        ephemeral: .init(secret: Pair.key(UInt8(20 + index))), identity: Pair.publicKey(UInt8(1 + index)),
        expected: index == 0 ? expected.map { Pair.publicKey($0) } : nil, admitted: known, rules: rules[index],
        at: .zero)
    }
  }

  /// Carries bytes until nothing moves; `cut` splits them into small pieces.
  mutating func run(cut: Int = .max, change: (Int, [UInt8]) -> [UInt8] = { $1 }) {
    var moved = true
    while moved {
      moved = false
      for index in 0..<2 {
        let bytes = change(index, self.sides[index].takeOutput(max: 1 << 16))
        moved = moved || !bytes.isEmpty
        for start in stride(from: 0, to: bytes.count, by: min(cut, max(1, bytes.count))) {
          let piece = Array(bytes[start..<min(bytes.count, start + min(cut, bytes.count))])
          var events: [SessionEvent] = []
          self.sides[1 - index].take(piece, at: self.now, into: &events)
          self.handle(events, of: 1 - index)
        }
      }
    }
  }

  private mutating func handle(_ events: [SessionEvent], of index: Int) {
    for event in events {
      self.events[index].append(event)
      guard case .proofNeeded(let bytes) = event else { continue }
      let signature = Pair.signingKey(self.keys[index]).sign(bytes)
      var more: [SessionEvent] = []
      self.sides[index].prove(signature, at: self.now, into: &more)
      self.handle(more, of: index)
    }
  }

  func failure(of index: Int) -> SessionFailure? {
    for case .failed(let failure) in self.events[index] { return failure }
    return nil
  }
  func messages(of index: Int) -> [[UInt8]] {
    self.events[index].compactMap { if case .message(_, let bytes) = $0 { bytes } else { nil } }
  }
}

@Suite("Sessions")
struct SessionTests {
  @Test("Two members learn who the other is, however the bytes are cut", arguments: [1, 7, 64, Int.max])
  func established(cut: Int) {
    var pair = Pair()
    pair.run(cut: cut)
    #expect(pair.events[0].contains(.established(Pair.publicKey(2))))
    #expect(pair.events[1].contains(.established(Pair.publicKey(1))))
  }

  @Test(
    "Each says which rules its program knows; one that says nothing is not known; what is changed on the way ends it")
  func rules() {
    var pair = Pair(rules: [2, 7])
    pair.run()
    #expect(pair.sides[0].isOpen && pair.sides[0].peerRules == 7 && pair.sides[1].peerRules == 2)
    // A program from before that was said has the highest version of the protocol alone in its preamble.
    var older = Pair(rules: [2, 0])
    older.run()
    #expect(older.sides[0].isOpen && older.sides[0].peerRules == nil && older.sides[1].peerRules == 2)
    var said = Pair(rules: [0, 2])
    #expect(Array(said.sides[0].takeOutput(max: 1 << 16)[8..<12]) == [1, 0, 1, 0])
    #expect(Array(said.sides[1].takeOutput(max: 1 << 16)[8..<12]) == [1, 0, 1, 2])
    var changed = Pair(rules: [2, 2])
    var isFirst = true
    changed.run { index, bytes in
      guard index == 0, isFirst, bytes.count >= 12 else { return bytes }
      isFirst = false
      return bytes[..<11] + [1] + bytes[12...]
    }
    #expect(!changed.sides[0].isOpen && !changed.sides[1].isOpen)
  }

  @Test("Another network is refused from the preamble, by name")
  func otherNetwork() {
    let other = Hash.blake2b("other")
    var pair = Pair(networks: [Pair.network, other])
    pair.run()
    #expect(pair.failure(of: 0) == .otherNetwork(other))
    #expect(pair.failure(of: 1) == .otherNetwork(Pair.network))
  }

  @Test("A key that is no member's gets no further than the identity proof")
  func notAdmitted() {
    var pair = Pair(admitted: [2])
    pair.run()
    #expect(pair.failure(of: 1) == .notAdmitted(Pair.publicKey(1)))
    #expect(!pair.events[1].contains(.established(Pair.publicKey(1))))
  }

  @Test("Whoever answers in another's place is refused")
  func otherPeer() {
    var pair = Pair(expected: 1)
    pair.run()
    #expect(pair.failure(of: 0) == .otherPeer(Pair.publicKey(2)))
  }

  @Test("A changed version in the preamble breaks the handshake: no downgrade", arguments: [8, 10])
  func downgrade(place: Int) {
    var pair = Pair()
    var isFirst = true
    pair.run { index, bytes in
      guard index == 0, isFirst, bytes.count > place else { return bytes }
      isFirst = false
      var changed = bytes
      changed[place] = place == 8 ? 0 : 2  // The lowest version down, or the highest up: still compatible.
      return changed
    }
    #expect(!pair.events[1].contains(.established(Pair.publicKey(1))))
    #expect(pair.failure(of: 0) != nil || pair.failure(of: 1) != nil)
  }

  @Test("Any changed byte of the handshake ends it", arguments: 0..<60)
  func tampered(place: Int) {
    var pair = Pair()
    var seen = 0
    pair.run { index, bytes in
      var changed = bytes
      for offset in bytes.indices where index == 1 {
        if seen == place * 5 { changed[offset] ^= 1 }
        seen += 1
      }
      return changed
    }
    #expect(!pair.events[0].contains(.established(Pair.publicKey(2))) || place * 5 >= 44)
    let both = pair.events.allSatisfy { $0.contains { if case .established = $0 { true } else { false } } }
    #expect(!both || pair.failure(of: 0) != nil || seen <= place * 5)
  }

  @Test("Messages arrive whole and in order on each channel; votes overtake blocks")
  func priorities() {
    var pair = Pair()
    pair.run()
    let block = [UInt8](repeating: 7, count: 300_000)
    for (message, channel) in [(block, Channel.blocks), ([1, 2, 3], .ordering), ([4], .ordering)] {
      let isTaken = pair.sides[0].enqueue(message, on: channel)
      #expect(isTaken)
    }
    pair.run()
    #expect(pair.messages(of: 1) == [[1, 2, 3], [4], block])
  }

  @Test("What is not consumed stops the sender: a slow reader never grows its memory")
  func credit() {
    var pair = Pair()
    pair.run()
    let message = [UInt8](repeating: 1, count: 200_000)
    var accepted = 0
    while pair.sides[0].enqueue(message, on: .control) { accepted += 1 }
    #expect(accepted * message.count <= 4 * Channel.control.windowBytes)
    pair.run()
    let arrived = pair.messages(of: 1).count
    #expect(arrived * message.count <= Channel.control.windowBytes + message.count)
    let isOtherTaken = pair.sides[0].enqueue([1], on: .ordering)
    #expect(isOtherTaken, "another channel is not held up")
    for _ in 0..<arrived { pair.sides[1].consumed(message.count, on: .control) }
    pair.run()
    #expect(pair.messages(of: 1).count > arrived)
  }

  @Test("A message over its channel's limit is not taken")
  func tooLarge() {
    var pair = Pair()
    pair.run()
    let isTaken = pair.sides[0].enqueue(
      [UInt8](repeating: 0, count: Channel.control.messageBytesMax + 1), on: .control)
    #expect(!isTaken)
  }

  @Test("A handshake that takes too long, and a peer that is silent, are given up")
  func deadlines() {
    var pair = Pair()
    var events: [SessionEvent] = []
    pair.sides[0].fireTimer(at: Tick.zero + .milliseconds(10_000), into: &events)
    #expect(events == [.failed(.timeout)])
    var open = Pair()
    open.run()
    events = []
    open.sides[0].fireTimer(at: Tick.zero + .milliseconds(20_000), into: &events)
    #expect(events == [.failed(.silent)])
  }

  @Test("Keep-alive measures the round trip")
  func roundTrip() {
    var pair = Pair()
    pair.run()
    pair.now = Tick.zero + .milliseconds(5000)
    var events: [SessionEvent] = []
    pair.sides[0].fireTimer(at: pair.now, into: &events)
    let ping = pair.sides[0].takeOutput(max: 1000)
    pair.sides[1].take(ping, at: pair.now, into: &events)
    let pong = pair.sides[1].takeOutput(max: 1000)
    pair.sides[0].take(pong, at: pair.now + .milliseconds(3), into: &events)
    #expect(events == [.roundTrip(.milliseconds(3))])
  }

  @Test("Random bytes never trap a session, in any phase", arguments: 0..<200)
  func fuzz(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var pair = Pair()
    if random.oneIn(2) { pair.run() }
    var events: [SessionEvent] = []
    for _ in 0..<20 {
      let bytes = (0..<random.below(400)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      pair.sides[0].take(bytes, at: .zero, into: &events)
    }
    #expect(events.count { if case .failed = $0 { true } else { false } } <= 1)
    #expect(pair.messages(of: 0).isEmpty)
  }
}
