internal import HL7
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOTLS
internal import Synchronization

/// How much the port for HL7 v2 takes at once, and how long it waits.
public struct MLLPLimits: Sendable, Hashable {
  /// The most connections.
  public var connectionsMax = 64
  /// The most connections of one address of another machine.
  public var connectionsPerSourceMax = 16
  /// The most bytes of a message.
  public var messageBytesMax = HL7Limits.bytesMax
  /// How long a message that began may take, beyond the time of the slowest line.
  public var patienceMilliseconds: UInt64 = 30_000
  /// The slowest line that is waited for.
  public var bytesPerSecondMin: UInt64 = 8 << 10
  /// How long a connection may be silent between messages.
  public var idleMillisecondsMax: UInt64 = 24 * 3_600_000

  /// The defaults.
  public init() {}
}

/// Takes HL7 v2 messages over MLLP, within TLS where there is a certificate.
public struct MLLPServer: Sendable {
  private let desk: MessageDesk
  private let entrance: Entrance
  private let clients: String?
  private let limits: MLLPLimits
  private let doors: MLLPDoors

  /// A server for a desk. `clients` is a file of the certificates, in PEM, one of which must have signed each client's.
  public init(
    desk: MessageDesk, at entrance: Entrance, clients: String? = nil, limits: MLLPLimits = MLLPLimits()
  ) {
    (self.desk, self.entrance, self.clients, self.limits) = (desk, entrance, clients, limits)
    self.doors = MLLPDoors(limits, hasHandshake: entrance.certificate != nil)
  }

  private typealias Connection = NIOAsyncChannel<[UInt8], [UInt8]>
  /// How often what could not be anchored is tried again.
  private static let pendingInterval = Duration.seconds(15)

  /// Serves until the task is cancelled.
  ///
  /// - Throws: `ListenFailure` where its place cannot be had.
  public func run() async throws {
    let context = try await self.context()
    let (doors, limits) = (self.doors, self.limits)
    let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.backlog, value: 64).serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
    let listener: NIOAsyncChannel<Connection, Never>
    do {
      listener = try await bootstrap.bind(host: self.entrance.host, port: self.entrance.port) { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          if let context { try pipeline.addHandler(NIOSSLServerHandler(context: context)) }
          try pipeline.addHandler(MLLPHandler(doors, limits))
          // One message is worked on, and one more is read meanwhile: a sender waits for its answer.
          return try Connection(
            wrappingChannelSynchronously: channel,
            configuration: .init(backPressureStrategy: .init(lowWatermark: 1, highWatermark: 1)))
        }
      }
    } catch let error as IOError {
      throw ListenFailure(error, at: self.entrance.place) ?? error
    } catch is SocketAddressError.UnknownHost { throw ListenFailure(unknownNameAt: self.entrance.place) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await self.accept(listener) }
      group.addTask {
        while !Task.isCancelled {
          try await Task.sleep(for: Self.pendingInterval)
          await self.desk.anchorAgain()
        }
      }
      try await group.next()
      group.cancelAll()
    }
  }

  /// How handshakes are made, once the certificate's files can be used; nil where there are none.
  private func context() async throws -> NIOSSLContext? {
    guard let certificate = self.entrance.certificate else {
      // ⚑ Where senders are to show who they are, nobody is heard in the open.
      while self.clients != nil { try await Task.sleep(for: Self.lookInterval) }
      return nil
    }
    var configuration = try await certificate.opened()
    configuration.applicationProtocols = []
    if let clients {
      // ⚑ A file that cannot be used closes this port until it can, and nothing else.
      while Self.trouble(ofClients: clients) != nil { try await Task.sleep(for: Self.lookInterval) }
      configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(clients))
      configuration.certificateVerification = .noHostnameVerification
    }
    return try NIOSSLContext(configuration: configuration)
  }

  private static let lookInterval = Duration.seconds(1)

  /// Why nobody can be let in by the certificates in a file; nil where somebody can.
  public static func trouble(ofClients path: String) -> String? {
    let found = try? NIOSSLCertificate.fromPEMFile(path)
    return found?.isEmpty ?? true ? "\(path) (hl7_clients) holds no certificate" : nil
  }

  private func accept(_ listener: NIOAsyncChannel<Connection, Never>) async throws {
    try await withThrowingDiscardingTaskGroup { group in
      try await listener.executeThenClose { connections in
        for try await connection in connections { group.addTask { await self.serve(connection) } }
      }
    }
  }

  /// Answers the messages of one connection in their order.
  private func serve(_ connection: Connection) async {
    let address = MLLPDoors.source(of: connection.channel)
    do {
      try await connection.executeThenClose { messages, answers in
        for try await message in messages {
          self.doors.change(connection.channel) { $0.isWorking = true }
          for answer in await self.desk.answers(to: message, from: address) { try await answers.write(answer) }
          self.doors.change(connection.channel) { ($0.isWorking, $0.lastAt) = (false, .now()) }
        }
      }
    } catch {
      // The client left, or sent what is no message: its connection is closed, and nothing of others depends on it.
      return
    }
  }
}

/// The connections of the port.
final class MLLPDoors: Sendable {
  /// One connection.
  struct Visitor {
    let channel: any Channel
    let source: String?
    var lastAt: NIODeadline
    var isWorking = false
    /// Whether its handshake is over, where there is one.
    var isKnown: Bool

    init(_ channel: any Channel, isKnown: Bool) {
      (self.channel, self.source, self.lastAt) = (channel, MLLPDoors.source(of: channel), .now())
      self.isKnown = isKnown
    }
  }

  private let limits: MLLPLimits
  private let hasHandshake: Bool
  private let visitors = Mutex([ObjectIdentifier: Visitor]())

  init(_ limits: MLLPLimits, hasHandshake: Bool) { (self.limits, self.hasHandshake) = (limits, hasHandshake) }

  /// The address of another machine; nil for this one's own.
  static func source(of channel: any Channel) -> String? {
    let address = channel.remoteAddress?.ipAddress
    let machine = address.map { $0.hasPrefix("::ffff:") ? String($0.dropFirst(7)) : $0 }
    return machine.flatMap { ["127.0.0.1", "::1"].contains($0) ? nil : $0 }
  }

  /// Takes a connection in. Where there is no room, the one goes that has been silent for longest, and is not waiting
  /// for an answer. ⚑ Those that have not shown a certificate go first: strangers drive out no sender.
  func enter(_ channel: any Channel) {
    let visitor = Visitor(channel, isKnown: !self.hasHandshake)
    let gone: (any Channel)? = self.visitors.withLock { visitors in
      if let source = visitor.source,
        visitors.values.count(where: { $0.source == source }) >= self.limits.connectionsPerSourceMax
      {
        return channel
      }
      var gone: (any Channel)?
      if visitors.count >= self.limits.connectionsMax {
        let silent = visitors.values.filter { !$0.isWorking }
        let strangers = silent.filter { !$0.isKnown }
        let idle = (strangers.isEmpty ? silent : strangers).min { $0.lastAt < $1.lastAt }
        guard let idle else { return channel }
        visitors[ObjectIdentifier(idle.channel)] = nil
        gone = idle.channel
      }
      visitors[ObjectIdentifier(channel)] = visitor
      return gone
    }
    gone?.close(promise: nil)
  }

  func leave(_ channel: any Channel) { self.visitors.withLock { $0[ObjectIdentifier(channel)] = nil } }

  func change(_ channel: any Channel, _ body: (inout Visitor) -> Void) {
    self.visitors.withLock { visitors in
      guard var visitor = visitors[ObjectIdentifier(channel)] else { return }
      body(&visitor)
      visitors[ObjectIdentifier(channel)] = visitor
    }
  }

  /// Whether a connection has been silent for too long.
  func isIdle(_ channel: any Channel, at now: NIODeadline) -> Bool {
    self.visitors.withLock { visitors in
      guard let visitor = visitors[ObjectIdentifier(channel)], !visitor.isWorking else { return false }
      let longest = visitor.isKnown ? self.limits.idleMillisecondsMax : self.limits.patienceMilliseconds
      return now - visitor.lastAt > .milliseconds(Int64(clamping: longest))
    }
  }
}

/// Takes messages out of their frames, and closes a connection that is none, or too slow.
final class MLLPHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = [UInt8]
  typealias OutboundIn = [UInt8]
  typealias OutboundOut = ByteBuffer

  private let doors: MLLPDoors
  private let limits: MLLPLimits
  private var framing: Framing
  private var since: NIODeadline?
  private var isBroken = false
  private var task: Scheduled<Void>?

  init(_ doors: MLLPDoors, _ limits: MLLPLimits) {
    (self.doors, self.limits, self.framing) = (doors, limits, Framing(bytesMax: limits.messageBytesMax))
  }

  func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { self.begin(context) } }

  func channelActive(context: ChannelHandlerContext) {
    self.begin(context)
    context.fireChannelActive()
  }

  private func begin(_ context: ChannelHandlerContext) {
    guard self.task == nil else { return }
    self.doors.enter(context.channel)
    self.watch(context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.end(context)
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { self.end(context) }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent {
      self.doors.change(context.channel) { ($0.isKnown, $0.lastAt) = (true, .now()) }
    }
    context.fireUserInboundEventTriggered(event)
  }

  private func end(_ context: ChannelHandlerContext) {
    self.task?.cancel()
    self.doors.leave(context.channel)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = self.unwrapInboundIn(data)
    guard !self.isBroken else { return }
    self.doors.change(context.channel) { $0.lastAt = .now() }
    do throws(Framing.Fault) {
      for message in try self.framing.take(buffer.readableBytesView) {
        context.fireChannelRead(self.wrapInboundOut(message))
      }
      let isPending = self.framing.pendingBytes != nil
      self.since = isPending ? self.since ?? .now() : nil
    } catch {
      self.isBroken = true
      context.close(promise: nil)
    }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let framed = Framing.framed(self.unwrapOutboundIn(data))
    context.write(self.wrapOutboundOut(context.channel.allocator.buffer(bytes: framed)), promise: promise)
  }

  private func watch(_ context: ChannelHandlerContext) {
    let shortest = min(self.limits.idleMillisecondsMax, self.limits.patienceMilliseconds)
    let interval = TimeAmount.milliseconds(Int64(clamping: max(10, min(5000, shortest / 4))))
    self.task = context.eventLoop.assumeIsolated().scheduleTask(in: interval) {
      let now = NIODeadline.now()
      if self.isSlow(at: now) || self.doors.isIdle(context.channel, at: now) {
        context.close(promise: nil)
      } else {
        self.watch(context)
      }
    }
  }

  private func isSlow(at now: NIODeadline) -> Bool {
    guard let since, let bytes = self.framing.pendingBytes else { return false }
    let time = self.limits.patienceMilliseconds + UInt64(bytes) * 1000 / self.limits.bytesPerSecondMin
    return now - since > .milliseconds(Int64(clamping: time))
  }
}
