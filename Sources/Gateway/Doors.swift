internal import Hummingbird
internal import HummingbirdCore
internal import Logging
package import NIOCore
internal import NIOHTTPTypes
internal import Synchronization

/// How much a listener takes from outside at once, and how long it waits for a client.
public struct DoorLimits: Sendable, Hashable {
  /// The most connections.
  public var connectionsMax = 2048
  /// The most connections of one address of another machine. This machine's own are not bounded so: a proxy for many
  /// people may stand here.
  public var connectionsPerSourceMax = 128
  /// The most requests that are handled at once; an executor's queue cannot refuse, so this does.
  public var requestsMax = 512
  /// The most contents that are sealed while they come: each may take hours, and so none takes a request's place.
  public var uploadsMax = 64
  /// The most memory for bodies, and for what is made of them, in bytes.
  public var memoryBytesMax = 512 << 20
  /// How long a client may take from the connection, or from the last answer, to the end of the next request's head.
  public var headMillisecondsMax: UInt64 = 60_000
  /// How long it may keep the server waiting for a body, or with an answer, beyond the time of the slowest line.
  public var patienceMilliseconds: UInt64 = 30_000
  /// The slowest line that is waited for.
  public var bytesPerSecondMin: UInt64 = 8 << 10

  /// The defaults.
  public init() {}
}

/// One listener's connections, requests and memory.
final class Doors: Sendable {
  private struct Held {
    let channel: any Channel
    let source: String?
    /// Since when the server waits for the client; nil while it has something to answer.
    var waitsSince: NIODeadline?
  }

  private struct State {
    var connections: [ObjectIdentifier: Held] = [:]
    var bySource: [String: Int] = [:]
    var requests = 0
    var uploads = 0
    var memoryBytes = 0
  }

  let limits: DoorLimits
  private let state = Mutex(State())

  init(_ limits: DoorLimits) { self.limits = limits }

  /// What listens: HTTP/1.1, behind these doors.
  var server: HTTPServerBuilder {
    .http1(configuration: HTTP1Channel.Configuration(additionalChannelHandlers: [DoorHandler(self)]))
  }

  /// The address of another machine; nil for this one's own.
  private static func source(_ channel: any Channel) -> String? {
    guard let address = channel.remoteAddress?.ipAddress else { return nil }
    return ["127.0.0.1", "::1", "::ffff:127.0.0.1"].contains(address) ? nil : address
  }

  /// Takes a connection in. Where there is no room, the one goes that has kept the server waiting for longest: whoever
  /// holds connections and sends nothing keeps nobody out.
  func enter(_ channel: any Channel, at now: NIODeadline) {
    let gone: (any Channel)? = self.state.withLock { state in
      let source = Self.source(channel)
      if let source, state.bySource[source, default: 0] >= self.limits.connectionsPerSourceMax { return channel }
      var gone: (any Channel)?
      if state.connections.count >= self.limits.connectionsMax {
        let waiting = state.connections.filter { $0.value.waitsSince != nil }
        guard let oldest = waiting.min(by: { $0.value.waitsSince ?? now < $1.value.waitsSince ?? now }) else {
          return channel
        }
        gone = oldest.value.channel
        Self.forget(oldest.key, in: &state)
      }
      state.connections[ObjectIdentifier(channel)] = Held(channel: channel, source: source, waitsSince: now)
      if let source { state.bySource[source, default: 0] += 1 }
      return gone
    }
    gone?.close(promise: nil)
  }

  /// A connection waits for its client since then, or not any more.
  func waits(_ channel: any Channel, since time: NIODeadline?) {
    self.state.withLock { $0.connections[ObjectIdentifier(channel)]?.waitsSince = time }
  }

  func leave(_ channel: any Channel) {
    self.state.withLock { Self.forget(ObjectIdentifier(channel), in: &$0) }
  }

  private static func forget(_ key: ObjectIdentifier, in state: inout State) {
    guard let held = state.connections.removeValue(forKey: key), let source = held.source else { return }
    let left = state.bySource[source, default: 1] - 1
    state.bySource[source] = left > 0 ? left : nil
  }

  fileprivate func takePlace() -> Bool {
    self.state.withLock { state in
      guard state.requests < self.limits.requestsMax else { return false }
      state.requests += 1
      return true
    }
  }

  fileprivate func leavePlace() { self.state.withLock { $0.requests -= 1 } }

  fileprivate func takeUpload() -> Bool {
    self.state.withLock { state in
      guard state.uploads < self.limits.uploadsMax else { return false }
      state.uploads += 1
      return true
    }
  }

  fileprivate func leaveUpload() { self.state.withLock { $0.uploads -= 1 } }

  fileprivate func takeMemory(_ bytes: Int) -> Bool {
    self.state.withLock { state in
      guard bytes <= self.limits.memoryBytesMax - state.memoryBytes else { return false }
      state.memoryBytes += bytes
      return true
    }
  }

  fileprivate func giveBack(_ bytes: Int) { self.state.withLock { $0.memoryBytes -= bytes } }
}

/// A request's place among those that are handled, and the memory that its body takes.
///
/// ⚑ While the body is awaited the place is another's: half-sent requests hold none.
final class Place: Sendable {
  /// Of the request that this task answers.
  @TaskLocal static var current: Place?

  private let doors: Doors
  private let state = Mutex((isHeld: false, isUpload: false, bytes: 0))

  private init(_ doors: Doors) { self.doors = doors }
  deinit {
    let (isHeld, isUpload, bytes) = self.state.withLock { $0 }
    if isHeld { self.doors.leavePlace() }
    if isUpload { self.doors.leaveUpload() }
    self.doors.giveBack(bytes)
  }

  /// Answers a request in a place of its own.
  ///
  /// - Throws: `ServiceRefusal.busy` where there is none; and what `body` throws.
  static func with<Value>(_ doors: Doors, _ body: () async throws -> Value) async throws -> Value {
    let place = Place(doors)
    try place.enter()
    return try await self.$current.withValue(place, operation: body)
  }

  func enter() throws(ServiceRefusal) {
    let isIn = self.state.withLock { state in
      if !state.isHeld { state.isHeld = self.doors.takePlace() }
      return state.isHeld
    }
    guard isIn else { throw .busy }
  }

  func leave() {
    self.state.withLock { state in
      if state.isHeld { self.doors.leavePlace() }
      state.isHeld = false
    }
  }

  /// Goes over from a request's place to an upload's, for content that is sealed while it comes.
  ///
  /// - Throws: `ServiceRefusal.busy` where as many are under way.
  func upload() throws(ServiceRefusal) {
    guard self.doors.takeUpload() else { throw .busy }
    self.state.withLock { $0.isUpload = true }
    self.leave()
  }

  /// Counts memory that is taken until the request is answered.
  func take(bytes: Int) throws(ServiceRefusal) {
    guard self.doors.takeMemory(bytes) else { throw .busy }
    self.state.withLock { $0.bytes += bytes }
  }
}

/// How a body is packed.
enum Packing {
  case none, gzip
}

/// The whole body, unpacked where it came packed.
///
/// - Throws: `ServiceRefusal` where it is too long, too dense, broken off, or there is no memory for it now.
func body(_ request: Request, max: Int, packing: Packing = .none) async throws(ServiceRefusal) -> [UInt8] {
  if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > max { throw .tooLarge(max: max) }
  let place = Place.current
  place?.leave()
  let gunzip = packing == .gzip ? Gunzip(max: max) : nil
  var out: [UInt8] = []
  var sent = 0
  do {
    for try await part in request.body {
      sent += part.readableBytes
      guard sent <= max else { throw ServiceRefusal.tooLarge(max: max) }
      let bytes = Array(part.readableBytesView)
      let plain = try gunzip?.take(bytes) ?? bytes
      try place?.take(bytes: plain.count)
      out += plain
    }
    try gunzip?.finish()
  } catch let refusal as ServiceRefusal {
    throw refusal
  } catch { throw .badRequest("the body broke off after \(sent) bytes") }
  try place?.enter()
  return out
}

/// Watches one connection: closes it where its client keeps the server waiting for too long.
private final class DoorHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  private let doors: Doors
  private var wait: ClientWait
  private var task: Scheduled<Void>?

  init(_ doors: Doors) {
    self.doors = doors
    self.wait = ClientWait(doors.limits, at: .now())
  }

  func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { self.begin(context) } }

  func channelActive(context: ChannelHandlerContext) {
    self.begin(context)
    context.fireChannelActive()
  }

  private func begin(_ context: ChannelHandlerContext) {
    guard self.task == nil else { return }
    self.doors.enter(context.channel, at: .now())
    self.wait.connected(at: .now())
    self.watch(context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.task?.cancel()
    self.doors.leave(context.channel)
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.task?.cancel()
    self.doors.leave(context.channel)
  }

  private func watch(_ context: ChannelHandlerContext) {
    self.task = context.eventLoop.assumeIsolated().scheduleTask(in: self.wait.interval) {
      if self.wait.isOver(at: .now()) {
        context.close(promise: nil)
      } else {
        self.watch(context)
      }
    }
  }

  private func tell(_ context: ChannelHandlerContext) {
    self.doors.waits(context.channel, since: self.wait.waitsSince)
  }

  func read(context: ChannelHandlerContext) {
    self.wait.asked(at: .now())
    context.read()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch self.unwrapInboundIn(data) {
    case .head: self.wait.headCame(at: .now())
    case .body(let buffer): self.wait.bodyCame(buffer.readableBytes, at: .now())
    case .end: self.wait.bodyEnded(at: .now())
    }
    self.tell(context)
    context.fireChannelRead(data)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    var (bytes, isEnd) = (0, false)
    switch self.unwrapOutboundIn(data) {
    case .head: break
    case .body(let buffer): bytes = buffer.readableBytes
    case .end: isEnd = true
    }
    self.wait.writes(bytes, at: .now())
    let written = promise ?? context.eventLoop.makePromise()
    written.futureResult.assumeIsolated().whenComplete { _ in
      self.wait.wrote(bytes, at: .now())
      if isEnd { self.wait.answered(at: .now()) }
      self.tell(context)
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
    if self.due == 0, self.body == nil { self.headSince = now }
  }

  /// How long a client may take for some bytes.
  private func time(for bytes: Int) -> TimeAmount {
    .milliseconds(
      Int64(clamping: self.limits.patienceMilliseconds + UInt64(clamping: bytes) * 1000 / self.limits.bytesPerSecondMin)
    )
  }

  /// Whether it has waited for too long.
  package func isOver(at now: NIODeadline) -> Bool {
    if let since = self.headSince, now - since > .milliseconds(Int64(clamping: self.limits.headMillisecondsMax)) {
      return true
    }
    if let body = self.body {
      let waited = body.waited + (body.since.map { now - $0 } ?? .zero)
      if waited > self.time(for: body.bytes) { return true }
    }
    if let writing = self.writing, now - writing.since > self.time(for: writing.bytes) { return true }
    return false
  }
}
