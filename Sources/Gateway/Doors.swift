internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdTLS
internal import Logging
internal import NIOCore
internal import NIOHTTPTypes
internal import Synchronization

/// How much a listener takes from outside at once, and how long it waits for a client.
public struct DoorLimits: Sendable, Hashable {
  /// The most connections.
  public var connectionsMax = 2048
  /// The most connections of one address of another machine. This machine's own are not bounded so: a proxy for many
  /// people may stand here.
  public var connectionsPerSourceMax = 128
  /// The addresses of the proxies that bring people here: bounded together, as this machine's own.
  public var proxies: Set<String> = []
  /// Whether only they may come from other machines: what comes is not encrypted here.
  public var takesOnlyProxies = false
  /// The most requests that are handled at once; an executor's queue cannot refuse, so this does.
  public var requestsMax = 512
  /// The most of them that may wait for the ledger, which can take long: what only reads, and an emergency, finds a
  /// place also where nothing is ordered.
  var submissionsMax: Int { self.requestsMax - self.requestsMax / 4 }
  /// The most contents that are sealed while they come: each may take hours, and so none takes a request's place.
  public var uploadsMax = 64
  /// The most of them of one session, or of all who send none.
  var uploadsPerSourceMax: Int { max(1, self.uploadsMax / 2) }
  /// Where there is no place, one that is slower than this gives way, once it had its time.
  public var uploadBytesPerSecondMin: UInt64 = 64 << 10
  /// How long each may be slow.
  public var uploadGraceMilliseconds: UInt64 = 10_000
  /// How long what a client asked for goes on once it sends no more: it may have closed the connection, or still
  /// listen.
  public var leftMilliseconds: UInt64 = 5000
  /// The most memory for bodies, and for what is made of them, in bytes.
  public var memoryBytesMax = 512 << 20
  /// The most memory for answers that are put together or wait to be sent, in bytes; small ones do not count.
  public var answersBytesMax = 512 << 20
  /// How long a client may take from the connection, or from the last answer, to the end of the next request's head.
  public var headMillisecondsMax: UInt64 = 60_000
  /// How long it may keep the server waiting for a body, or with an answer, beyond the time of the slowest line.
  public var patienceMilliseconds: UInt64 = 30_000
  /// The slowest line that is waited for.
  public var bytesPerSecondMin: UInt64 = 8 << 10

  /// The defaults.
  public init() {}

  /// The descriptors that the ledger, its peers, vaults, logs and contents on their way need, before any listener.
  public static let descriptorsReservedMax = 384
  /// The listeners: the socket, the portal and the FHIR interface.
  private static let listenersMax = 3

  /// Limits for each listener of a process that may have `descriptors` open.
  public init(descriptors: Int) {
    let each = max(0, descriptors - Self.descriptorsReservedMax) / Self.listenersMax
    self.connectionsMax = min(self.connectionsMax, max(16, each))
    self.connectionsPerSourceMax = min(self.connectionsPerSourceMax, max(1, self.connectionsMax / 2))
    self.uploadsMax = min(self.uploadsMax, max(1, self.connectionsMax / 8))
  }
}

/// One listener's connections, requests and memory.
final class Doors: Sendable {
  private struct State {
    var connections: [ObjectIdentifier: DoorConnection] = [:]
    var bySource: [String: Int] = [:]
    var requests = 0
    var submissions = 0
    var uploads: [Upload] = []
    var memoryBytes = 0
    var answerBytes = 0
  }

  let limits: DoorLimits
  private let state = Mutex(State())

  init(_ limits: DoorLimits) { self.limits = limits }

  /// What listens: HTTP/1.1, behind these doors, within TLS where there is a certificate. ⚑ While that cannot be used
  /// this waits, and nothing listens.
  ///
  /// - Throws: where TLS takes no certificate that was checked before, or the task is cancelled.
  func server(_ certificate: ServerCertificate? = nil) async throws -> HTTPServerBuilder {
    let plain = HTTPServerBuilder.http1(
      configuration: HTTP1Channel.Configuration(additionalChannelHandlers: [DoorHandler(self)]))
    guard let certificate else { return plain }
    return try .tls(plain, tlsConfiguration: try await certificate.opened())
  }

  /// Takes a connection in. Where there is no room, the one goes that has kept the server waiting for longest: whoever
  /// holds connections and sends nothing keeps nobody out.
  func enter(_ connection: DoorConnection) {
    let source = connection.source
    connection.change { $0.connected(at: .now()) }
    let gone: DoorConnection? = self.state.withLock { state in
      if source != nil, self.limits.takesOnlyProxies { return connection }
      if let source, state.bySource[source, default: 0] >= self.limits.connectionsPerSourceMax { return connection }
      var gone: DoorConnection?
      if state.connections.count >= self.limits.connectionsMax {
        let waiting = state.connections.values.compactMap { held in held.waitsSince.map { (held, since: $0) } }
        guard let oldest = waiting.min(by: { $0.since < $1.since })?.0 else { return connection }
        gone = oldest
        Self.forget(oldest, in: &state)
      }
      state.connections[ObjectIdentifier(connection.channel)] = connection
      if let source { state.bySource[source, default: 0] += 1 }
      return gone
    }
    gone?.channel.close(promise: nil)
  }

  /// The connection of a channel; nil where it was closed.
  func connection(of channel: any Channel) -> DoorConnection? {
    self.state.withLock { $0.connections[ObjectIdentifier(channel)] }
  }

  func leave(_ connection: DoorConnection) {
    self.state.withLock { Self.forget(connection, in: &$0) }
  }

  private static func forget(_ connection: DoorConnection, in state: inout State) {
    guard state.connections.removeValue(forKey: ObjectIdentifier(connection.channel)) != nil,
      let source = connection.source
    else { return }
    let left = state.bySource[source, default: 1] - 1
    state.bySource[source] = left > 0 ? left : nil
  }

  func takePlace(for errand: Errand) -> Bool {
    self.state.withLock { state in
      guard state.requests < self.limits.requestsMax else { return false }
      switch errand {
      case .prompt: break
      case .submission:
        guard state.submissions < self.limits.submissionsMax else { return false }
        state.submissions += 1
      }
      state.requests += 1
      return true
    }
  }

  func leavePlace(of errand: Errand) {
    self.state.withLock { state in
      state.requests -= 1
      switch errand {
      case .prompt: break
      case .submission: state.submissions -= 1
      }
    }
  }

  /// Takes content in. Where there is no place, the slowest content of the source that has most gives way.
  func take(_ upload: Upload, at now: NIODeadline = .now()) -> Bool {
    let (isIn, gone): (Bool, Upload?) = self.state.withLock { state in
      let own = state.uploads.filter { $0.source == upload.source }
      let isOwnFull = own.count >= self.limits.uploadsPerSourceMax
      guard isOwnFull || state.uploads.count >= self.limits.uploadsMax else {
        state.uploads.append(upload)
        return (true, nil)
      }
      let sources = Dictionary(grouping: state.uploads, by: \.source)
      let most = isOwnFull ? own : sources.values.max { $0.count < $1.count } ?? []
      let slow = most.filter { $0.isSlow(self.limits, at: now) }
      guard let slowest = slow.min(by: { $0.rate(at: now) < $1.rate(at: now) }) else { return (false, nil) }
      state.uploads.removeAll { $0 === slowest }
      state.uploads.append(upload)
      return (true, slowest)
    }
    gone?.yield()
    return isIn
  }

  func leave(_ upload: Upload) { self.state.withLock { $0.uploads.removeAll { $0 === upload } } }

  /// Takes memory for a body. Where there is none, the body that has kept the server waiting for longest goes, once
  /// that is longer than any client is waited for without cause: those who send slowly keep nobody out for long.
  func takeMemory(_ bytes: Int) -> Bool {
    let (isTaken, gone) = self.state.withLock { state -> (Bool, DoorConnection?) in
      if bytes <= self.limits.memoryBytesMax - state.memoryBytes {
        state.memoryBytes += bytes
        return (true, nil)
      }
      let now = NIODeadline.now()
      let slowest = state.connections.values.map { ($0, waited: $0.bodyWaited(at: now)) }.max { $0.waited < $1.waited }
      let patience = TimeAmount.milliseconds(Int64(clamping: self.limits.patienceMilliseconds))
      guard let slowest, slowest.waited > patience else { return (false, nil) }
      Self.forget(slowest.0, in: &state)
      return (false, slowest.0)
    }
    gone?.channel.close(promise: nil)
    return isTaken
  }

  func giveBack(_ bytes: Int) { self.state.withLock { $0.memoryBytes -= bytes } }

  func takeAnswer(_ bytes: Int) -> Bool {
    self.state.withLock { state in
      guard bytes <= self.limits.answersBytesMax - state.answerBytes else { return false }
      state.answerBytes += bytes
      return true
    }
  }

  func giveBackAnswer(_ bytes: Int) { self.state.withLock { $0.answerBytes -= bytes } }
}
