public import Primitives

import Wire

/// A channel's messages that wait to go, and the credit that they may use.
struct OutgoingChannel: Sendable {
  let channel: Channel
  var queue: [[UInt8]] = []
  var first = 0
  var sentOfFirst = 0
  var queuedBytes = 0
  var credit: Int

  init(channel: Channel) {
    self.channel = channel
    self.credit = channel.windowBytes
  }

  var isEmpty: Bool { self.first == self.queue.count }

  mutating func pop() {
    self.queuedBytes -= self.queue[self.first].count
    self.queue[self.first] = []
    self.first += 1
    self.sentOfFirst = 0
    if self.first > 64, self.first * 2 > self.queue.count {
      self.queue.removeFirst(self.first)
      self.first = 0
    }
  }
}

/// A channel's message that is being put together, and what the peer may still send.
struct IncomingChannel: Sendable {
  let channel: Channel
  var partial: [UInt8] = []
  var credit: Int
  var toGrant = 0

  init(channel: Channel) {
    self.channel = channel
    self.credit = channel.windowBytes
  }

  /// Whether so much was consumed that the peer is told.
  var isGrantDue: Bool { self.toGrant >= self.channel.windowBytes / 4 }
}

/// Frames: channel (u8), kind (u8), body; each sealed, with its length before it (u16).
extension Session {
  enum FrameKind: UInt8 {
    case part = 0
    case last = 1
    case credit = 2
    case ping = 3
    case pong = 4
  }

  /// Queues a message; false where the channel's queue is full or the session is not open. Nothing else is lost.
  public mutating func enqueue(_ message: [UInt8], on channel: Channel) -> Bool {
    let index = Int(channel.rawValue)
    guard self.isOpen, message.count <= channel.messageBytesMax,
      self.outgoing[index].queuedBytes + message.count <= 4 * channel.windowBytes
    else { return false }
    self.outgoing[index].queue.append(message)
    self.outgoing[index].queuedBytes += message.count
    return true
  }

  /// How many bytes of messages wait on a channel.
  public func queuedBytes(on channel: Channel) -> Int { self.outgoing[Int(channel.rawValue)].queuedBytes }

  /// The next bytes for the connection, at most about `max`; control before ordering before blocks before sync.
  public mutating func takeOutput(max: Int) -> [UInt8] {
    if self.isOpen {
      self.emitOwn()
      while self.output.count < max, let index = self.nextChannel() { self.emit(index) }
    }
    defer { self.output = [] }
    return self.output
  }

  /// Whether `takeOutput` would give bytes.
  public var hasOutput: Bool {
    !self.output.isEmpty || (self.isOpen && (self.nextChannel() != nil || self.hasOwn))
  }

  private var hasOwn: Bool { self.pong != nil || self.incoming.contains(where: \.isGrantDue) }

  /// ⚑ What the session says of its own accord is made when there is room for it, so that of each kind one waits at
  /// most: the answer to the newest ping, and for each channel all that was consumed.
  private mutating func emitOwn() {
    if let pong {
      self.pong = nil
      self.emit(.pong, channel: 0, pong)
    }
    for index in self.incoming.indices where self.incoming[index].isGrantDue {
      let amount = self.incoming[index].toGrant
      self.incoming[index].credit += amount
      self.incoming[index].toGrant = 0
      var encoder = Encoder()
      encoder.u32(UInt32(amount))
      self.emit(.credit, channel: UInt8(index), encoder.bytes)
    }
  }

  private func nextChannel() -> Int? {
    self.outgoing.indices.first { !self.outgoing[$0].isEmpty && self.outgoing[$0].credit > 0 }
  }

  private mutating func emit(_ index: Int) {
    let message = self.outgoing[index].queue[self.outgoing[index].first]
    let start = self.outgoing[index].sentOfFirst
    let count = min(message.count - start, Self.frameBytesMax)
    let isLast = start + count == message.count
    var frame: [UInt8] = []
    frame.reserveCapacity(count + 2)
    frame.append(UInt8(index))
    frame.append(isLast ? FrameKind.last.rawValue : FrameKind.part.rawValue)
    frame += message[start..<(start + count)]
    self.queueUnit(self.send.seal(frame))
    self.outgoing[index].credit -= count
    self.outgoing[index].sentOfFirst += count
    if isLast { self.outgoing[index].pop() }
  }

  private mutating func emit(_ kind: FrameKind, channel: UInt8, _ body: [UInt8]) {
    self.queueUnit(self.send.seal([channel, kind.rawValue] + body))
  }

  mutating func takeFrame(_ unit: [UInt8], at now: Tick, into events: inout [SessionEvent]) {
    guard let frame = self.receive.open(unit), frame.count >= 2, let channel = Channel(rawValue: frame[0]),
      let kind = FrameKind(rawValue: frame[1])
    else { return self.fail(.frame, into: &events) }
    switch kind {
    case .part, .last: self.takeData(frame, channel, isLast: kind == .last, into: &events)
    case .credit:
      var decoder = Decoder(Array(frame[2...]))
      guard let amount = try? decoder.u32(), decoder.remaining == 0 else {
        return self.fail(.frame, into: &events)
      }
      let index = Int(channel.rawValue)
      let credit = self.outgoing[index].credit + Int(amount)
      guard credit <= channel.windowBytes else { return self.fail(.frame, into: &events) }
      self.outgoing[index].credit = credit
    case .ping: self.takePing(at: now, into: &events)
    case .pong:
      guard let pinged = self.pingedAt else { return self.fail(.frame, into: &events) }
      self.pingedAt = nil
      events.append(.roundTrip(now - pinged))
      var decoder = Decoder(Array(frame[2...]))
      if let wall = try? Timestamp(from: &decoder) { events.append(.clock(wall)) }
    }
  }

  private mutating func takePing(at now: Tick, into events: inout [SessionEvent]) {
    if now >= self.pings.since + Self.pingInterval { self.pings = (now, 0) }
    self.pings.count += 1
    guard self.pings.count <= Self.pingsMax || planted(.pingsUncounted) else {
      return self.fail(.pings, into: &events)
    }
    var encoder = Encoder()
    if let wall { encoder.item(wall) }
    self.pong = encoder.bytes
  }

  private mutating func takeData(
    _ frame: [UInt8], _ channel: Channel, isLast: Bool, into events: inout [SessionEvent]
  ) {
    let index = Int(channel.rawValue)
    let count = frame.count - 2
    self.incoming[index].credit -= count
    // A frame may overdraw by one frame: the sender starts one while it has any credit.
    // Nobody sends a part of nothing: of those there could be any number.
    guard count > 0 || isLast, self.incoming[index].credit > -Self.frameBytesMax,
      self.incoming[index].partial.count + count <= channel.messageBytesMax
    else { return self.fail(.frame, into: &events) }
    if isLast, self.incoming[index].partial.isEmpty {
      events.append(.message(channel, Array(frame[2...])))
      return
    }
    self.incoming[index].partial += frame[2...]
    guard isLast else { return }
    events.append(.message(channel, self.incoming[index].partial))
    self.incoming[index].partial = []
  }

  /// The owner is done with a message of so many bytes: the peer may send as many again.
  public mutating func consumed(_ count: Int, on channel: Channel) {
    self.incoming[Int(channel.rawValue)].toGrant += count
  }

  /// The next point in time at which it wants `fireTimer`.
  public var deadline: Tick? {
    switch self.phase {
    case .closed: nil
    case .open:
      min(self.nextPing, self.lastHeard + Self.silenceMax, self.pingedAt.map { $0 + Self.answerMax } ?? self.nextPing)
    case .preamble where self.role == .responder: self.began + Self.firstBytesTimeout
    case .preamble, .handshake, .proving: self.began + Self.handshakeTimeout
    }
  }

  /// Keep-alive and time-outs.
  public mutating func fireTimer(at now: Tick, into events: inout [SessionEvent]) {
    switch self.phase {
    case .closed: return
    case .preamble where self.role == .responder:
      // Whoever dials speaks first: who says nothing has nothing to say.
      if now >= self.began + Self.firstBytesTimeout { self.fail(.timeout, into: &events) }
    case .preamble, .handshake, .proving:
      if now >= self.began + Self.handshakeTimeout { self.fail(.timeout, into: &events) }
    case .open:
      if now >= self.lastHeard + Self.silenceMax { return self.fail(.silent, into: &events) }
      if let pingedAt, now >= pingedAt + Self.answerMax { return self.fail(.unanswered, into: &events) }
      guard now >= self.nextPing else { return }
      self.nextPing = now + Self.pingInterval
      guard self.pingedAt == nil else { return }
      self.pingedAt = now
      self.emit(.ping, channel: 0, [])
    }
  }
}
