internal import Storage
internal import Lanes
internal import Discovery
internal import EventLoop
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Sessions
internal import Signing
internal import Telemetry

/// One connection with its session, and the messages of it that are being checked.
final class PeerConnection {
  struct Incoming {
    private var waiting: [[UInt8]] = []
    private var first = 0

    var count: Int { self.waiting.count - self.first }

    mutating func append(_ message: [UInt8]) { self.waiting.append(message) }

    /// The next messages, at most so many, and about so many bytes.
    mutating func take(max count: Int, bytesMax: Int) -> [[UInt8]] {
      var out: [[UInt8]] = []
      var bytes = 0
      while self.first < self.waiting.count, out.count < count, bytes < bytesMax {
        bytes += self.waiting[self.first].count
        out.append(self.waiting[self.first])
        self.waiting[self.first] = []
        self.first += 1
      }
      if self.first == self.waiting.count || self.first > 4096 {
        self.waiting.removeFirst(self.first)
        self.first = 0
      }
      return out
    }
  }

  /// Its place among the connections that proved no key yet.
  let number: HandshakePlaces.Number?
  /// By how many milliseconds the peer's clock was ahead of this one's when it was last compared.
  var clockOffset: Int64?
  /// Whether the operator was told that the clocks are apart.
  var isClockTold = false

  let connection: TCPConnection
  var session: Session
  let source: String
  let dialled: ReplicaIndex?
  /// The peer's place among the members; of one that does not vote a number above all of theirs.
  var member: ReplicaIndex?
  var key: PublicKey?
  /// When it became its member's connection.
  var since: Tick?
  var incoming = [Incoming](repeating: Incoming(), count: Channel.allCases.count)
  var isClosed = false
  var dropped: UInt64 = 0
  var roundTrip: Span?

  init(
    _ connection: TCPConnection, _ session: Session, source: String, dialled: ReplicaIndex?,
    number: HandshakePlaces.Number?
  ) {
    (self.connection, self.session) = (connection, session)
    (self.source, self.dialled, self.number) = (source, dialled, number)
  }
}

extension NodeDriver {
  /// The most bytes that wait on a channel for one that does not vote when it is told more.
  private static let guestQueueBytesMax = 2 << 20
  /// So many bytes are given to the system before the session is asked for more.
  static let writeAheadBytes = 512 << 10
  /// The most frames of a connection that are opened in a turn.
  private static let unitsMax = 256

  func listen() throws(NetworkFailure) {
    self.knowAddresses()
    self.listener = try self.loop.listen(host: self.settings.listen.host, port: self.settings.listen.port) {
      [unowned self] connection, source in self.accept(connection, from: source)
    }
  }

  private func accept(_ connection: TCPConnection, from source: String) {
    guard let address = SourceAddress(source) else { return connection.close() }
    let number = self.nextConnection
    self.nextConnection += 1
    if let loser = self.places.take(number, from: address), let peer = self.peers.first(where: { $0.number == loser }) {
      self.log.emit(.handshakesFull, ["address": .text(peer.source)])
      self.close(peer, reason: "others wait for their handshake")
    }
    self.open(connection, role: .responder, source: source, dialled: nil, number: number)
  }

  /// The addresses for which places are kept: those that the configuration states, and those from which members came.
  func knowAddresses() {
    let members = self.node.configuration.voters.map { self.node.configuration.members[$0] }
    let stated = members.flatMap(\.addresses).compactMap { PeerAddress($0) }.compactMap { SourceAddress($0.host) }
    self.places.know(stated + self.provenSources.values)
  }

  func open(
    _ connection: TCPConnection, role: NoiseHandshake.Role, source: String, dialled: ReplicaIndex?,
    number: HandshakePlaces.Number? = nil
  ) {
    let members = self.node.configuration.members
    // Whoever follows may know keys only that are old: it takes what proves itself, from whoever answers.
    let isFollower = self.node.index == nil && dialled != nil
    let session = Session(
      network: self.settings.genesis.network, role: role, staticKey: self.staticKey,
      ephemeral: NoiseHandshake.KeyPair(secret: SecureRandom.bytes(32)), identity: self.keys.publicKey,
      expected: isFollower ? nil : dialled.map { members[$0].key }, admitted: isFollower ? nil : self.admitted,
      rules: UInt8(clamping: AgreedRules.newest), at: self.loop.now)
    let peer = PeerConnection(connection, session, source: source, dialled: dialled, number: number)
    self.peers.append(peer)
    connection.onEvent = { [unowned self, unowned peer] event in
      switch event {
      case .received(let bytes): self.received(bytes, from: peer)
      case .drained:
        self.flush(peer)
        if let member = peer.member { self.serveNext(member) }
      case .closed(let failure): self.closed(peer, reason: failure.map { "\($0)" } ?? "closed by the other side")
      }
    }
    self.flush(peer)
  }

  func stepDialler(_ input: Dialler.Input) {
    var effects: [Dialler.Effect] = []
    _ = self.dialler.step(input, at: self.loop.now, into: &effects)
    for case .dial(let peer, let attempt) in effects { self.dial(peer, attempt: attempt) }
  }

  private func received(_ bytes: [UInt8], from peer: PeerConnection) {
    guard !peer.isClosed else { return }
    var events: [SessionEvent] = []
    peer.session.wall = self.moment.wall
    peer.session.take(bytes, at: self.loop.now, unitsMax: Self.unitsMax, into: &events)
    self.handle(events, of: peer)
    guard !peer.isClosed else { return }
    self.flush(peer)
    // It may have taken what it was sent.
    if let member = peer.member { self.serveNext(member) }
    guard peer.session.hasMore else { return peer.connection.resume() }
    // ⚑ A turn opens a bounded number of a connection's frames. The rest waits for the next turn, and what comes after
    // it waits in the system: between them the disk, the timers and other peers have theirs.
    peer.connection.pause()
    nonisolated(unsafe) let (me, rest) = (self, peer)
    self.loop.submit { unsafe me.received([], from: rest) }
  }

  /// Compares a member's clock with this one's, and tells the operator where they are well apart.
  private func compare(_ wall: Timestamp, of peer: PeerConnection) {
    let half = (peer.roundTrip?.nanoseconds ?? 0) / 2_000_000
    let offset = wall.adding(milliseconds: half).offset(from: self.moment.wall)
    peer.clockOffset = offset
    let drift = Int64(clamping: self.settings.genesis.limits.clockDriftMilliseconds)
    let isApart = Int64(clamping: offset.magnitude) > drift / 2 + Int64(clamping: half)
    if isApart, !peer.isClockTold, let member = peer.member, member < ReplicaSet.countMax {
      self.log.emit(.clockApart, ["member": .text(self.name(member)), "offset_ms": .text("\(offset)")])
    }
    peer.isClockTold = isApart
  }

  /// How many connected voters' clocks are apart from this one's by more than the drift.
  var clocksApart: Int {
    let drift = UInt64(self.settings.genesis.limits.clockDriftMilliseconds)
    return self.node.configuration.voters.count { voter in
      self.byMember[voter]?.clockOffset.map { $0.magnitude > drift } ?? false
    }
  }

  private func handle(_ events: [SessionEvent], of peer: PeerConnection) {
    for event in events where !peer.isClosed {
      switch event {
      case .proofNeeded(let bytes):
        let signature = self.keys.member.sign(bytes)
        var more: [SessionEvent] = []
        peer.session.prove(signature, at: self.loop.now, into: &more)
        self.handle(more, of: peer)
      case .established(let key): self.established(peer, key)
      case .message(let channel, let message): self.queue(message, on: channel, of: peer)
      case .roundTrip(let span): peer.roundTrip = span
      case .clock(let wall): self.compare(wall, of: peer)
      case .failed(let failure):
        if peer.member == nil {
          self.noteRefused(peer, "\(failure)")
        } else if failure.isFault {
          self.noteFault("\(failure)", of: peer)
        }
        self.flush(peer)
        self.close(peer, reason: "\(failure)")
      }
    }
  }

  private func noteRefused(_ peer: PeerConnection, _ reason: String) {
    guard let repeats = self.refusedSources.take(peer.source, reason: reason, at: self.loop.now) else { return }
    self.log.emit(
      .peerRefused, ["address": .text(peer.source), "reason": .text(reason), "repeats": .number(repeats)])
  }

  /// Of two connections with one member both sides keep the one that the smaller identifier dialled; of two of these,
  /// the newer.
  private func established(_ peer: PeerConnection, _ key: PublicKey) {
    guard key != self.settings.member.key else { return self.close(peer, reason: "own key") }
    if let number = peer.number { self.places.leave(number) }
    peer.key = key
    guard let member = self.node.configuration.index(of: key) else { return self.admitGuest(peer, key) }
    self.admit(peer, key, as: member)
  }

  private func admit(_ peer: PeerConnection, _ key: PublicKey, as member: ReplicaIndex) {
    peer.member = member
    if peer.number != nil, let address = SourceAddress(peer.source), self.provenSources[member] != address {
      self.provenSources[member] = address
      self.knowAddresses()
    }
    if let held = self.byMember[member] {
      let isOwnDialWanted = self.keys.publicKey < key
      let (isNewOwn, isHeldOwn) = (peer.dialled != nil, held.dialled != nil)
      // ⚑ One process dials again only after its session ended, and that is seen here first, but for broken ways.
      if !isNewOwn { self.noteShared(member, held, peer) }
      if isNewOwn != isHeldOwn, isNewOwn != isOwnDialWanted {
        return self.close(peer, reason: "a second connection")
      }
      self.byMember[member] = nil
      self.close(held, reason: "replaced by a newer connection")
      self.part(from: member)
    }
    self.byMember[member] = peer
    peer.since = self.loop.now
    self.stepDialler(.connected(member))
    self.log.emit(
      .peerConnected,
      [
        "member": .text(self.name(member)), "address": .text(peer.source),
        "direction": peer.dialled == nil ? "inbound" : "outbound",
      ])
    self.give(.connected(member))
  }

  /// Whoever may open a session: members, those who are about to be, and whom this hospital lets follow. Strangers are
  /// not: the ledger says who was seen where.
  private var admitted: Set<PublicKey> {
    let configurations = [self.node.configuration, self.node.next].compactMap(\.self)
    var keys = self.settings.observers
    for configuration in configurations { keys.formUnion(configuration.voters.map { configuration.members[$0].key }) }
    switch self.node.pendingChange?.change.action {
    case .add(let member), .replace(let member): keys.insert(member.key)
    case .remove, nil: break
    }
    return keys
  }

  private func admitGuest(_ peer: PeerConnection, _ key: PublicKey) {
    let guest = self.nextGuest
    guard !self.faults.isShutOut(key, at: self.loop.now) else {
      return self.close(peer, reason: "it sent what is wrong a moment ago")
    }
    switch self.guests.take(guest, key: key) {
    case .full: return self.close(peer, reason: "too many that do not vote")
    case .taken(let loser):
      if let oldest = loser.flatMap({ self.byMember[$0] }) {
        self.close(oldest, reason: "a newer connection under the same key")
      }
    }
    peer.member = guest
    self.byMember[guest] = peer
    self.nextGuest += 1
    if let dialled = peer.dialled { self.stepDialler(.connected(dialled)) }
    defer { if self.node.index == nil { self.give(.connected(guest)) } }
    self.log.emit(
      .peerConnected, ["member": "observer", "address": .text(peer.source), "direction": .text("key \(key.short)")])
  }

  /// The members changed: who left is disconnected, who came is dialled, and who followed may be a member now.
  func configured(_ configuration: Configuration) {
    self.store.adopt(configuration)
    self.checker = MessageChecker(self.settings.genesis, in: configuration)
    let others = configuration.voters.filter { configuration.members[$0].key != self.settings.member.key }
    self.stepDialler(.changed(others))
    self.provenSources = self.provenSources.filter { configuration.isVoter($0.key) }
    self.knowAddresses()
    for peer in self.peers {
      guard let key = peer.key, let held = peer.member else { continue }
      let place = configuration.index(of: key)
      guard place != held else { continue }
      if held >= ReplicaSet.countMax {
        guard let place else {
          // Whoever still follows asks it further; a member has no use for somebody it dialled as another.
          if self.node.index == nil {
            self.give(.connected(held))
          } else if peer.dialled != nil {
            self.close(peer, reason: "no member")
          }
          continue
        }
        self.byMember[held] = nil
        self.guests.leave(held)
        self.part(from: held)
        self.admit(peer, key, as: place)
      } else {
        self.close(peer, reason: "no member any more")
      }
    }
  }

  /// A peer's session is over: node and services hear of it.
  private func part(from peer: ReplicaIndex) {
    self.give(.disconnected(peer))
    self.give(services: .disconnected(peer))
  }

  func close(_ peer: PeerConnection, reason: String) {
    guard !peer.isClosed else { return }
    self.forget(peer, reason: reason)
    peer.connection.close()
  }

  private func closed(_ peer: PeerConnection, reason: String) {
    guard !peer.isClosed else { return }
    self.noteEnded(peer)
    self.forget(peer, reason: reason)
  }

  private func forget(_ peer: PeerConnection, reason: String) {
    peer.isClosed = true
    if let number = peer.number { self.places.leave(number) }
    if let member = peer.member, self.byMember[member] === peer {
      // ⚑ What is being answered counts until it is: who hangs up and comes back has no more for it.
      self.rations.gone(member)
    }
    self.peers.removeAll { $0 === peer }
    if let member = peer.member, member >= ReplicaSet.countMax {
      self.byMember[member] = nil
      self.guests.leave(member)
      self.part(from: member)
      if let dialled = peer.dialled { self.stepDialler(.disconnected(dialled)) }
      self.log.emit(.peerDisconnected, ["member": "observer", "reason": .text(reason)])
    } else if let member = peer.member, self.byMember[member] === peer {
      self.byMember[member] = nil
      self.log.emit(.peerDisconnected, ["member": .text(self.name(member)), "reason": .text(reason)])
      self.part(from: member)
      self.stepDialler(.disconnected(member))
    } else if let dialled = peer.dialled, self.byMember[dialled] == nil {
      self.stepDialler(.failed(dialled))
    }
  }

  /// Gives a message to a member's session; what finds no room is dropped, and status exchange repairs it.
  func send(_ bytes: [UInt8], on channel: Channel, to member: ReplicaIndex) {
    guard let peer = self.byMember[member] else { return }
    // Whoever does not vote and does not read is told less.
    let isRoom = member < ReplicaSet.countMax || peer.session.queuedBytes(on: channel) <= Self.guestQueueBytesMax
    guard isRoom else { return peer.dropped += 1 }
    guard peer.session.enqueue(bytes, on: channel) else { return peer.dropped += 1 }
    self.words.sent(bytes, to: member, at: self.loop.now)
  }

  /// Moves what the sessions have to their sockets.
  func flushPeers() {
    for peer in self.peers where peer.session.hasOutput { self.flush(peer) }
  }

  func flush(_ peer: PeerConnection) {
    while peer.connection.pendingBytes < Self.writeAheadBytes {
      let output = peer.session.takeOutput(max: 256 << 10)
      guard !output.isEmpty else { return }
      self.bytesSent += UInt64(output.count)
      peer.connection.write(output)
    }
  }

  var connectionDeadline: Tick {
    self.peers.compactMap(\.session.deadline).min() ?? self.loop.now + Span.milliseconds(60_000)
  }

  func fireConnectionTimers(at now: Tick) {
    for peer in self.peers {
      guard let due = peer.session.deadline, due <= now else { continue }
      var events: [SessionEvent] = []
      peer.session.fireTimer(at: now, into: &events)
      self.handle(events, of: peer)
      if !peer.isClosed { self.flush(peer) }
    }
  }
}
