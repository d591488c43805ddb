import Messages
public import Primitives
public import Signing

import Wire

/// The kinds of traffic of a session; smaller numbers go first.
public enum Channel: UInt8, Sendable, Hashable, CaseIterable {
  /// Gossip's control, links.
  case control = 0
  /// Votes and views.
  case ordering = 1
  /// Blocks as they are made.
  case blocks = 2
  /// What laggards ask for.
  case sync = 3

  /// The most bytes of one message.
  public var messageBytesMax: Int {
    switch self {
    case .control: 256 << 10
    case .ordering: 4 << 20
    case .blocks, .sync: 8 << 20
    }
  }

  /// The most bytes under way that the receiver has not taken in.
  public var windowBytes: Int {
    switch self {
    case .control: 1 << 20
    case .ordering: 8 << 20
    case .blocks: 32 << 20
    case .sync: 16 << 20
    }
  }
}

/// Why a session ended or never began.
public enum SessionFailure: Error, Sendable, Hashable {
  /// The other side does not speak this protocol.
  case notConsilium
  /// It belongs to another network.
  case otherNetwork(Digest)
  /// No protocol version is common to both.
  case noCommonVersion(low: UInt16, high: UInt16)
  /// The handshake's cryptography does not hold.
  case handshake
  /// Its identity is not proved.
  case identity
  /// It is not admitted here: no member.
  case notAdmitted(PublicKey)
  /// It is not who was dialled.
  case otherPeer(PublicKey)
  /// It took too long.
  case timeout
  /// A frame is malformed, too large, or beyond its credit.
  case frame
  /// Nothing was heard for too long.
  case silent
  /// It pings more often than anybody needs to.
  case pings
  /// It talks, and does not take what it is sent: a ping was not answered for too long.
  case unanswered

  /// Whether a peer did what no honest one does, whatever the line is like.
  public var isFault: Bool {
    switch self {
    case .frame, .pings, .unanswered: true
    case .notConsilium, .otherNetwork, .noCommonVersion, .handshake, .identity, .notAdmitted, .otherPeer, .timeout,
      .silent:
      false
    }
  }
}

extension SessionFailure: CustomStringConvertible {
  /// What happened, in words.
  public var description: String {
    switch self {
    case .notConsilium: "the other side does not speak this protocol"
    case .otherNetwork(let network): "the other side belongs to network \(network.short)"
    case .noCommonVersion(let low, let high): "the other side speaks versions \(low) to \(high) only"
    case .handshake: "the handshake's cryptography does not hold"
    case .identity: "the other side did not prove its identity"
    case .notAdmitted(let key): "key \(key.short) is no member's"
    case .otherPeer(let key): "another peer answered, key \(key.short)"
    case .timeout: "the handshake took too long"
    case .frame: "a frame was malformed, too large or beyond its credit"
    case .silent: "nothing was heard for too long"
    case .pings:
      "it pinged more than \(Session.pingsMax) times in \(Session.pingInterval.milliseconds / 1000) seconds"
    case .unanswered:
      "it did not take what it was sent: a ping was not answered for \(Session.answerMax.milliseconds / 1000) seconds"
    }
  }
}

/// What a session tells its owner.
public enum SessionEvent: Sendable, Hashable {
  /// Sign these bytes with the member key and call `prove`.
  case proofNeeded([UInt8])
  /// The peer is who it says.
  case established(PublicKey)
  /// A whole message arrived.
  case message(Channel, [UInt8])
  /// A round trip was measured.
  case roundTrip(Span)
  /// The peer's wall clock half a round trip ago.
  case clock(Timestamp)
  /// It is over: close the connection.
  case failed(SessionFailure)
}

/// One connection between two nodes: preamble, Noise handshake, identity, then frames with credit (OVERLAY §1).
///
/// Bytes in, bytes out; it never touches a socket. Everything is bounded: handshake, queue, credit, message size.
public struct Session: Sendable {
  /// The protocol version that this code speaks.
  public static let version: UInt16 = 1
  static let preambleLength = 44
  /// The version of the rules that a program says it knows stands above the highest version of the protocol, in the
  /// same number: programs that say none read it as a high version, and go on with theirs.
  private static let rulesShift: UInt16 = 8
  static let frameBytesMax = 32 << 10
  /// How long whoever dialled may take for its first bytes.
  static let firstBytesTimeout = Span.milliseconds(1_000)
  static let handshakeTimeout = Span.milliseconds(10_000)
  static let pingInterval = Span.milliseconds(5_000)
  static let silenceMax = Span.milliseconds(20_000)
  /// The most pings in one interval. An honest peer sends one, and no other before that is answered.
  static let pingsMax = 10
  /// How long a peer that talks may take for the answer to a ping. Before it goes what was to be sent before the ping,
  /// which is bounded; so whoever does not read, or answers nothing, is told from a slow line.
  static let answerMax = Span.milliseconds(120_000)

  enum Phase: Sendable {
    case preamble
    case handshake(NoiseHandshake)
    case proving(NoiseHandshake, keys: [UInt8])
    case open
    case closed
  }

  let network: Digest
  let role: NoiseHandshake.Role
  let staticKey: NoiseHandshake.KeyPair
  let ephemeral: NoiseHandshake.KeyPair
  let identity: PublicKey
  let expected: PublicKey?
  let admitted: Set<PublicKey>?
  /// The newest version of the ledger's rules that this program says it knows; 0 says nothing.
  let rules: UInt8
  /// The newest that the peer's program knows, where it said so; of use once its identity is proved.
  public private(set) var peerRules: UInt16?
  let began: Tick
  var phase = Phase.preamble
  var input: [UInt8] = []
  var output: [UInt8] = []
  var peerKey: PublicKey?
  var send = CipherState(key: nil)
  var receive = CipherState(key: nil)
  var outgoing: [OutgoingChannel] = Channel.allCases.map { OutgoingChannel(channel: $0) }
  var incoming: [IncomingChannel] = Channel.allCases.map { IncomingChannel(channel: $0) }
  var lastHeard: Tick
  var pingedAt: Tick?
  /// The pings of the peer: when the present interval began, and how many came in it.
  var pings: (since: Tick, count: Int)
  /// ⚑ The answer to the peer's newest ping, which waits for room: one, however many pings came.
  var pong: [UInt8]?
  /// Whether units wait that `take` has not opened: it was told to open so many only.
  public private(set) var hasMore = false
  /// This node's wall clock, which answers to pings tell; its owner keeps it right. Nil for none.
  public var wall: Timestamp?
  var nextPing: Tick

  /// A session at its start. `expected` is who was dialled; `admitted` whoever may get further than the identity
  /// proof; nil for everybody. `rules` is the newest version of the ledger's rules that the peer is told of.
  public init(
    network: Digest, role: NoiseHandshake.Role, staticKey: NoiseHandshake.KeyPair,
    ephemeral: NoiseHandshake.KeyPair, identity: PublicKey, expected: PublicKey?,
    admitted: Set<PublicKey>?, rules: UInt8 = 0, at now: Tick
  ) {
    (self.network, self.role, self.staticKey) = (network, role, staticKey)
    (self.ephemeral, self.identity, self.expected) = (ephemeral, identity, expected)
    (self.admitted, self.rules, self.began, self.lastHeard) = (admitted, rules, now, now)
    self.nextPing = now + Self.pingInterval
    self.pings = (now, 0)
    self.output = Self.preamble(network, rules: rules)
  }

  static func preamble(_ network: Digest, rules: UInt8) -> [UInt8] {
    var encoder = Encoder()
    encoder.raw(Array("CONSILIU".utf8))
    encoder.u16(Self.version)
    encoder.u16(Self.version | UInt16(rules) << Self.rulesShift)
    encoder.digest(network)
    return encoder.bytes
  }

  /// The peer, once its identity is proved.
  public var peer: PublicKey? { self.peerKey }

  /// Whether messages can go.
  public var isOpen: Bool { if case .open = self.phase { true } else { false } }

  /// Takes bytes from the connection, however they were split, and opens at most so many units; where `hasMore` is
  /// true after that, it goes on with the next call, which may bring none.
  public mutating func take(
    _ bytes: [UInt8], at now: Tick, unitsMax: Int = .max, into events: inout [SessionEvent]
  ) {
    self.lastHeard = now
    self.input += bytes
    var (offset, units) = (0, 0)
    while units < unitsMax, let count = self.takeOne(from: offset, at: now, into: &events) {
      offset += count
      units += 1
    }
    self.hasMore = units == unitsMax
    self.input.removeFirst(min(offset, self.input.count))
  }

  /// Handles one unit at `offset`; how many bytes it had, or nil where it is not whole yet.
  private mutating func takeOne(
    from offset: Int, at now: Tick, into events: inout [SessionEvent]
  ) -> Int? {
    let have = self.input.count - offset
    switch self.phase {
    case .closed, .proving: return nil
    case .preamble:
      guard have >= Self.preambleLength else { return nil }
      self.takePreamble(Array(self.input[offset..<(offset + Self.preambleLength)]), into: &events)
      return Self.preambleLength
    case .handshake, .open:
      guard have >= 2 else { return nil }
      let count = Int(self.input[offset]) | Int(self.input[offset + 1]) << 8
      guard have >= 2 + count else { return nil }
      let unit = Array(self.input[(offset + 2)..<(offset + 2 + count)])
      if case .handshake(let noise) = self.phase {
        self.takeHandshake(unit, noise, into: &events)
      } else {
        self.takeFrame(unit, at: now, into: &events)
      }
      return 2 + count
    }
  }

  mutating func fail(_ failure: SessionFailure, into events: inout [SessionEvent]) {
    self.phase = .closed
    events.append(.failed(failure))
  }

  private mutating func takePreamble(_ bytes: [UInt8], into events: inout [SessionEvent]) {
    var decoder = Decoder(bytes)
    guard (try? decoder.raw(8)) == Array("CONSILIU".utf8), let low = try? decoder.u16(),
      let said = try? decoder.u16(), let network = try? decoder.digest()
    else { return self.fail(.notConsilium, into: &events) }
    guard network == self.network else { return self.fail(.otherNetwork(network), into: &events) }
    let (high, rules) = (said % (1 << Self.rulesShift), said >> Self.rulesShift)
    guard low <= Self.version, high >= Self.version else {
      return self.fail(.noCommonVersion(low: low, high: high), into: &events)
    }
    self.peerRules = rules > 0 ? rules : nil
    // ⚑ Both preambles, initiator's first, are the prologue: whoever changes a version breaks the handshake.
    let own = Self.preamble(self.network, rules: self.rules)
    let prologue = self.role == .initiator ? own + bytes : bytes + own
    var noise = NoiseHandshake(
      role: self.role, prologue: prologue, staticKey: self.staticKey, ephemeral: self.ephemeral)
    if noise.isWriter, let keys = noise.writeKeys() {
      self.queueUnit(keys + noise.writePayload([]))
    }
    self.phase = .handshake(noise)
  }

  private mutating func takeHandshake(
    _ unit: [UInt8], _ current: NoiseHandshake, into events: inout [SessionEvent]
  ) {
    var noise = current
    guard let read = noise.read(unit) else { return self.fail(.handshake, into: &events) }
    if noise.peerStatic != nil {
      guard let key = self.checkIdentity(read.payload, noise, read.hashBefore) else {
        return self.fail(.identity, into: &events)
      }
      if let expected, key != expected { return self.fail(.otherPeer(key), into: &events) }
      guard self.admitted?.contains(key) ?? true || planted(.strangerAdmitted) else {
        return self.fail(.notAdmitted(key), into: &events)
      }
      self.peerKey = key
    }
    if noise.isComplete { return self.open(noise, into: &events) }
    guard let keys = noise.writeKeys() else { return self.fail(.handshake, into: &events) }
    self.phase = .proving(noise, keys: keys)
    events.append(
      .proofNeeded(self.proof(role: self.role, staticKey: self.staticKey.publicKey, hash: noise.hash)))
  }

  private func proof(role: NoiseHandshake.Role, staticKey: [UInt8], hash: [UInt8]) -> [UInt8] {
    Array("consilium/identity/v1\0".utf8) + self.network.bytes + [role.rawValue] + staticKey + hash
  }

  private func checkIdentity(_ payload: [UInt8], _ noise: NoiseHandshake, _ hash: [UInt8]) -> PublicKey? {
    guard payload.count == 96, let key = PublicKey(Array(payload[..<32])),
      let signature = Signature(Array(payload[32...])), let peerStatic = noise.peerStatic
    else { return nil }
    let other: NoiseHandshake.Role = self.role == .initiator ? .responder : .initiator
    let message = self.proof(role: other, staticKey: peerStatic, hash: hash)
    return key.verifies(signature, of: message) || planted(.identityUnproven) ? key : nil
  }

  /// Goes on with the signature that `proofNeeded` asked for.
  public mutating func prove(_ signature: Signature, at now: Tick, into events: inout [SessionEvent]) {
    guard case .proving(var noise, let keys) = self.phase else { return }
    self.queueUnit(keys + noise.writePayload(self.identity.bytes + signature.bytes))
    self.phase = .handshake(noise)
    if noise.isComplete { self.open(noise, into: &events) }
    self.take([], at: now, into: &events)
  }

  private mutating func open(_ noise: NoiseHandshake, into events: inout [SessionEvent]) {
    (self.send, self.receive) = noise.split()
    self.phase = .open
    if let peerKey { events.append(.established(peerKey)) }
  }

  mutating func queueUnit(_ unit: [UInt8]) {
    self.output.append(UInt8(truncatingIfNeeded: unit.count))
    self.output.append(UInt8(truncatingIfNeeded: unit.count >> 8))
    self.output += unit
  }
}
