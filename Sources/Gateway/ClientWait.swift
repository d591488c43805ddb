package import NIOCore
internal import HummingbirdCore
internal import NIOHTTPTypes
internal import Synchronization

/// One connection, with what its server waits for: the one place that knows it, for the handler that watches the
/// connection and for the doors that choose which one must go.
final class DoorConnection: Sendable {
  let channel: any Channel
  /// The address of another machine; nil for this one's own and for a proxy's.
  let source: String?
  /// How often it is looked at.
  let interval: TimeAmount
  private let wait: Mutex<ClientWait>
  /// What is done where the client leaves, by number.
  private let leavers = Mutex((hasLeft: false, next: 0, all: [Int: @Sendable () -> Void]()))

  init(_ channel: any Channel, _ limits: DoorLimits) {
    let wait = ClientWait(limits, at: .now())
    (self.channel, self.interval) = (channel, wait.interval)
    self.wait = Mutex(wait)
    let address = channel.remoteAddress?.ipAddress
    let machine = address.map { $0.hasPrefix("::ffff:") ? String($0.dropFirst(7)) : $0 }
    self.source = machine.flatMap { ["127.0.0.1", "::1"].contains($0) || limits.proxies.contains($0) ? nil : $0 }
  }

  /// Since when the server waits for the client; nil while it has something to do itself.
  var waitsSince: NIODeadline? { self.wait.withLock { $0.waitsSince } }

  /// Whether it has waited for too long.
  func isOver(at now: NIODeadline) -> Bool { self.wait.withLock { $0.isOver(at: now) } }

  /// For how long in all the server has waited for a body; zero where none is awaited now.
  func bodyWaited(at now: NIODeadline) -> TimeAmount { self.wait.withLock { $0.bodyWaited(at: now) } }

  /// Has something done where the client leaves, or has left.
  func onLeave(_ body: @escaping @Sendable () -> Void) -> Int {
    let (number, isLate) = self.leavers.withLock { leavers in
      leavers.next += 1
      leavers.all[leavers.next] = body
      return (leavers.next, leavers.hasLeft)
    }
    if isLate { body() }
    return number
  }

  func forget(_ number: Int) { self.leavers.withLock { $0.all[number] = nil } }

  /// The client has left: nobody reads what it is given.
  func left() {
    let all = self.leavers.withLock { leavers in
      leavers.hasLeft = true
      return Array(leavers.all.values)
    }
    for body in all { body() }
  }

  func change(_ body: (inout ClientWait) -> Void) { self.wait.withLock { body(&$0) } }
}

/// Watches one connection: closes it where its client keeps the server waiting for too long.
final class DoorHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  private let doors: Doors
  private var connection: DoorConnection?
  private var task: Scheduled<Void>?

  init(_ doors: Doors) { self.doors = doors }

  func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { self.begin(context) } }

  func channelActive(context: ChannelHandlerContext) {
    self.begin(context)
    context.fireChannelActive()
  }

  private func begin(_ context: ChannelHandlerContext) {
    guard self.task == nil else { return }
    let connection = DoorConnection(context.channel, self.doors.limits)
    self.connection = connection
    self.doors.enter(connection)
    self.watch(connection, context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.end()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { self.end() }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .inputClosed? = event as? ChannelEvent, let connection {
      let patience = TimeAmount.milliseconds(Int64(clamping: self.doors.limits.leftMilliseconds))
      context.eventLoop.scheduleTask(in: patience) { connection.left() }
    }
    context.fireUserInboundEventTriggered(event)
  }

  private func end() {
    self.task?.cancel()
    if let connection {
      connection.left()
      self.doors.leave(connection)
    }
  }

  private func watch(_ connection: DoorConnection, _ context: ChannelHandlerContext) {
    self.task = context.eventLoop.assumeIsolated().scheduleTask(in: connection.interval) {
      if connection.isOver(at: .now()) {
        context.close(promise: nil)
      } else {
        self.watch(connection, context)
      }
    }
  }

  func read(context: ChannelHandlerContext) {
    self.connection?.change { $0.asked(at: .now()) }
    context.read()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let part = self.unwrapInboundIn(data)
    self.connection?.change { wait in
      switch part {
      case .head: wait.headCame(at: .now())
      case .body(let buffer): wait.bodyCame(buffer.readableBytes, at: .now())
      case .end: wait.bodyEnded(at: .now())
      }
    }
    context.fireChannelRead(data)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    var (bytes, isEnd) = (0, false)
    switch self.unwrapOutboundIn(data) {
    case .head: break
    case .body(let buffer): bytes = buffer.readableBytes
    case .end: isEnd = true
    }
    self.connection?.change { $0.writes(bytes, at: .now()) }
    let written = promise ?? context.eventLoop.makePromise()
    written.futureResult.assumeIsolated().whenComplete { [bytes, isEnd] _ in
      self.connection?.change { wait in
        wait.wrote(bytes, at: .now())
        if isEnd { wait.answered(at: .now()) }
      }
    }
    context.write(data, promise: written)
  }
}

/// What a server waits for on one connection, and since when.
package struct ClientWait {
  private let limits: DoorLimits
  /// Since when the next request's head is awaited; nil while a request is under way.
  private var headSince: NIODeadline?
  /// A body that is awaited: for how long the server has waited, since when again, and what has come.
  private var body: (waited: TimeAmount, since: NIODeadline?, bytes: Int)?
  /// Requests that are read and not answered.
  private var due = 0
  /// What is being written: since when, and how much.
  private var writing: (since: NIODeadline, bytes: Int)?

  package init(_ limits: DoorLimits, at now: NIODeadline) { (self.limits, self.headSince) = (limits, now) }

  /// How often it is looked at.
  var interval: TimeAmount {
    let shortest = min(self.limits.headMillisecondsMax, self.limits.patienceMilliseconds)
    return .milliseconds(Int64(clamping: max(10, min(5000, shortest / 4))))
  }

  /// Since when the server waits for the client; nil while it has something to do itself.
  package var waitsSince: NIODeadline? { self.headSince ?? self.body?.since ?? self.writing?.since }

  package mutating func connected(at now: NIODeadline) { self.headSince = now }

  /// The server is ready to read on.
  package mutating func asked(at now: NIODeadline) {
    if self.body != nil, self.body?.since == nil { self.body?.since = now }
  }

  package mutating func headCame(at now: NIODeadline) {
    self.headSince = nil
    self.due += 1
    self.body = (.zero, nil, 0)
  }

  package mutating func bodyCame(_ count: Int, at now: NIODeadline) {
    guard let body = self.body else { return }
    let waited = body.since.map { now - $0 } ?? .zero
    self.body = (body.waited + waited, nil, body.bytes + count)
  }

  package mutating func bodyEnded(at now: NIODeadline) {
    self.body = nil
    // The answer may have gone before: what is refused by its head is not waited for.
    if self.due == 0 { self.headSince = now }
  }

  package mutating func writes(_ count: Int, at now: NIODeadline) {
    self.writing = (self.writing?.since ?? now, (self.writing?.bytes ?? 0) + count)
  }

  package mutating func wrote(_ count: Int, at now: NIODeadline) {
    guard let writing = self.writing else { return }
    self.writing = writing.bytes > count ? (now, writing.bytes - count) : nil
  }

  package mutating func answered(at now: NIODeadline) {
    self.due -= 1
    guard self.due == 0 else { return }
    if self.body == nil { self.headSince = now }
    // All is answered: what is still owed of a body that nobody reads is the client's to send, or to leave.
    if self.body != nil, self.body?.since == nil { self.body?.since = now }
  }

  /// How long a client may take for some bytes.
  private func time(for bytes: Int) -> TimeAmount {
    .milliseconds(
      Int64(clamping: self.limits.patienceMilliseconds + UInt64(clamping: bytes) * 1000 / self.limits.bytesPerSecondMin)
    )
  }

  /// For how long in all the server has waited for a body; zero where none is awaited now.
  package func bodyWaited(at now: NIODeadline) -> TimeAmount {
    guard let body = self.body, let since = body.since else { return .zero }
    return body.waited + (now - since)
  }

  /// Whether it has waited for too long.
  package func isOver(at now: NIODeadline) -> Bool {
    if let since = self.headSince, now - since > .milliseconds(Int64(clamping: self.limits.headMillisecondsMax)) {
      return true
    }
    if let body = self.body {
      // ⚑ What has come already buys no silence: a body that is almost whole would hold its memory for hours.
      if let since = body.since, now - since > .milliseconds(Int64(clamping: self.limits.patienceMilliseconds)) {
        return true
      }
      if self.bodyWaited(at: now) > self.time(for: body.bytes) { return true }
    }
    if let writing = self.writing, now - writing.since > self.time(for: writing.bytes) { return true }
    return false
  }
}
