// Goal: a peer with a key fills nobody's memory and no turn, whatever frames it sends and however little it reads
// (LEDGER §11.6). Method: a peer that speaks Noise by hand, so that it can say what no honest session does; what the
// session under test wants to write is counted.
import Messages
import Primitives
import Sessions
import Signing
import Testing
import Wire

/// A session, and a peer that does as it likes.
private struct HostilePeer {
  static let network = Hash.blake2b("network")
  private static func secret(_ number: UInt8) -> [UInt8] { Hash.blake2b("hostile", [number]).bytes }
  var session: Session
  var events: [SessionEvent] = []
  private var send: CipherState
  private var receive: CipherState

  init() throws {
    guard let own = SigningKey(seed: Self.secret(1)), let other = SigningKey(seed: Self.secret(2)) else {
      throw Unexpected()
    }
    var session = Session(
      network: Self.network, role: .responder, staticKey: .init(secret: Self.secret(3)),
      ephemeral: .init(secret: Self.secret(4)), identity: own.publicKey, expected: nil,
      admitted: [other.publicKey], at: .zero)
    var events: [SessionEvent] = []
    let preamble = session.takeOutput(max: 1000)
    let staticKey = NoiseHandshake.KeyPair(secret: Self.secret(5))
    var noise = NoiseHandshake(
      role: .initiator, prologue: preamble + preamble, staticKey: staticKey, ephemeral: .init(secret: Self.secret(6)))
    guard let firstKeys = noise.writeKeys() else { throw Unexpected() }
    let first = firstKeys + noise.writePayload([])
    session.take(preamble + Self.unit(first), at: .zero, into: &events)
    guard case .proofNeeded(let bytes)? = events.first else { throw Unexpected() }
    session.prove(own.sign(bytes), at: .zero, into: &events)
    let answer = Array(session.takeOutput(max: 1000).dropFirst(2))
    guard noise.read(answer) != nil, let keys = noise.writeKeys() else { throw Unexpected() }
    let proof: [UInt8] =
      Array("consilium/identity/v1\0".utf8) + Self.network.bytes + [NoiseHandshake.Role.initiator.rawValue]
      + staticKey.publicKey + noise.hash
    let last = keys + noise.writePayload(other.publicKey.bytes + other.sign(proof).bytes)
    session.take(Self.unit(last), at: .zero, into: &events)
    #expect(session.isOpen)
    (self.send, self.receive) = noise.split()
    self.session = session
  }

  private struct Unexpected: Error {}

  private static func unit(_ bytes: [UInt8]) -> [UInt8] {
    [UInt8(truncatingIfNeeded: bytes.count), UInt8(truncatingIfNeeded: bytes.count >> 8)] + bytes
  }

  /// The bytes of a frame.
  mutating func frame(_ channel: Channel, _ kind: UInt8, _ body: [UInt8] = []) -> [UInt8] {
    Self.unit(self.send.seal([channel.rawValue, kind] + body))
  }

  /// Sends a frame, and reads nothing.
  mutating func say(_ channel: Channel, _ kind: UInt8, _ body: [UInt8] = [], at now: Tick = .zero) {
    let bytes = self.frame(channel, kind, body)
    self.session.take(bytes, at: now, into: &self.events)
  }

  mutating func ping(at now: Tick = .zero) { self.say(.control, 3, at: now) }

  /// Reads all that the session wants to write: the frames' contents.
  mutating func read() throws -> [[UInt8]] {
    var rest = self.session.takeOutput(max: .max)[...]
    var out: [[UInt8]] = []
    while rest.count >= 2 {
      let count = Int(rest[rest.startIndex]) | Int(rest[rest.startIndex + 1]) << 8
      guard let frame = self.receive.open(Array(rest.dropFirst(2).prefix(count))) else { throw Unexpected() }
      out.append(frame)
      rest = rest.dropFirst(2 + count)
    }
    return out
  }

  var failures: [SessionFailure] {
    self.events.compactMap { if case .failed(let failure) = $0 { failure } else { nil } }
  }
  var messageCount: Int { self.events.count { if case .message = $0 { true } else { false } } }
}

@Suite("Hostile peers")
struct HostilePeerTests {
  @Test("However many pings come, one answer waits, and it is to the newest")
  func onePong() throws {
    var peer = try HostilePeer()
    for number in UInt64(1)...8 {
      peer.session.wall = Timestamp(milliseconds: number)
      peer.ping()
    }
    let written = try peer.read()
    var encoder = Encoder()
    encoder.item(Timestamp(milliseconds: 8))
    #expect(written == [[0, 4] + encoder.bytes])
    #expect(!peer.session.hasOutput)
    #expect(peer.failures.isEmpty)
  }

  @Test("A peer that pings without end is closed, and the reason says so")
  func pings() throws {
    var peer = try HostilePeer()
    for _ in 0..<100 where peer.failures.isEmpty { peer.ping() }
    #expect(peer.failures == [.pings])
    #expect("\(SessionFailure.pings)" == "it pinged more than 10 times in 5 seconds")
    #expect(SessionFailure.pings.isFault && !SessionFailure.silent.isFault)
  }

  @Test("A ping every 5 seconds goes on for ever")
  func honestPings() throws {
    var peer = try HostilePeer()
    for number in UInt64(1)...1_000 { peer.ping(at: .zero + .milliseconds(5_000 * number)) }
    #expect(peer.failures.isEmpty)
  }

  @Test("A peer that does not read, and goes on talking, is closed")
  func unread() throws {
    var peer = try HostilePeer()
    var seconds = UInt64(0)
    var written = 0
    while peer.failures.isEmpty, seconds < 600 {
      seconds += 5
      peer.ping(at: .zero + .milliseconds(seconds * 1000))
      peer.session.fireTimer(at: .zero + .milliseconds(seconds * 1000), into: &peer.events)
      written += try peer.read().count { $0[1] == 3 }
    }
    #expect(peer.failures == [.unanswered])
    #expect(seconds == 125 && written == 1)
  }

  @Test("The deadline is there when an answer is due, whatever else is later")
  func deadline() throws {
    var peer = try HostilePeer()
    peer.session.fireTimer(at: .zero + .milliseconds(5_000), into: &peer.events)
    for seconds in stride(from: UInt64(10), through: 120, by: 5) {
      peer.ping(at: .zero + .milliseconds(seconds * 1000))
      peer.session.fireTimer(at: .zero + .milliseconds(seconds * 1000), into: &peer.events)
    }
    #expect(peer.session.deadline == .zero + .milliseconds(125_000))
  }

  @Test("What is consumed is granted in one frame a channel, however often the peer makes it due")
  func oneGrant() throws {
    var peer = try HostilePeer()
    let quarter = Channel.control.windowBytes / 4
    let piece = [UInt8](repeating: 1, count: 32 << 10)
    for _ in 0..<(3 * quarter / piece.count) { peer.say(.control, 1, piece) }
    #expect(peer.messageCount == 3 * quarter / piece.count)
    for _ in 0..<3 { peer.session.consumed(quarter, on: .control) }
    let written = try peer.read()
    var encoder = Encoder()
    encoder.u32(UInt32(3 * quarter))
    #expect(written == [[0, 2] + encoder.bytes])
    #expect(!peer.session.hasOutput)
  }

  @Test("So many units are opened at once as are asked for, and the rest in the next calls")
  func unitsMax() throws {
    var peer = try HostilePeer()
    var bytes: [UInt8] = []
    for number in UInt8(0)..<100 { bytes += peer.frame(.ordering, 1, [number]) }
    peer.session.take(bytes, at: .zero, unitsMax: 40, into: &peer.events)
    #expect(peer.messageCount == 40 && peer.session.hasMore)
    peer.session.take([], at: .zero, unitsMax: 40, into: &peer.events)
    #expect(peer.messageCount == 80 && peer.session.hasMore)
    peer.session.take([], at: .zero, unitsMax: 40, into: &peer.events)
    #expect(peer.messageCount == 100 && !peer.session.hasMore)
    #expect(peer.failures.isEmpty)
  }

  @Test("A part of nothing, of which there could be any number, ends the session")
  func emptyParts() throws {
    var peer = try HostilePeer()
    peer.say(.ordering, 0)
    #expect(peer.failures == [.frame])
  }
}
