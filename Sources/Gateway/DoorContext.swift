internal import Hummingbird
internal import HummingbirdCore
internal import NIOCore
internal import Synchronization

/// A request with the connection on which it came.
struct DoorContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    self.coreContext = .init(source: source)
    self.channel = source.channel
  }
}

extension Doors {
  /// Does some work for a client, and cancels it once the client has closed the connection: it would be for nobody.
  func whileConnected<Value: Sendable>(
    _ channel: any Channel, _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    guard let connection = self.connection(of: channel) else { return try await body() }
    let task = Task { try await body() }
    let number = connection.onLeave { task.cancel() }
    defer { connection.forget(number) }
    return try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
  }
}

/// Content that comes: how fast, and what ends it where it must give way.
final class Upload: Sendable {
  /// Whose it is: a session's, or the one of all requests without a session.
  let source: String
  private let began: NIODeadline
  private let state = Mutex((bytes: 0, hasYielded: false, cancel: (@Sendable () -> Void)?.none))

  init(source: String, at now: NIODeadline = .now()) { (self.source, self.began) = (source, now) }

  /// Counts what came.
  func came(_ bytes: Int) { self.state.withLock { $0.bytes += bytes } }

  var hasYielded: Bool { self.state.withLock { $0.hasYielded } }

  /// What ends it.
  func onYield(_ cancel: @escaping @Sendable () -> Void) {
    let isLate = self.state.withLock { state in
      state.cancel = cancel
      return state.hasYielded
    }
    if isLate { cancel() }
  }

  /// Ends it: another takes its place.
  func yield() {
    let cancel = self.state.withLock { state in
      state.hasYielded = true
      return state.cancel
    }
    cancel?()
  }

  /// Bytes a second.
  func rate(at now: NIODeadline) -> Double {
    let seconds = max(0.001, Double((now - self.began).nanoseconds) / 1e9)
    return Double(self.state.withLock { $0.bytes }) / seconds
  }

  /// Whether it had its time, and was slow.
  func isSlow(_ limits: DoorLimits, at now: NIODeadline) -> Bool {
    now - self.began >= .milliseconds(Int64(clamping: limits.uploadGraceMilliseconds))
      && self.rate(at: now) < Double(limits.uploadBytesPerSecondMin)
  }
}

extension Place {
  /// Goes over from a request's place to an upload's, for content that is sealed while it comes.
  ///
  /// - Throws: `ServiceRefusal.busy` where as many are under way, and none of them is slow, or where it is slow and
  ///   another needs its place; and what `body` throws.
  func upload<Value: Sendable>(
    by source: String, _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let upload = Upload(source: source)
    guard self.doors.take(upload) else { throw ServiceRefusal.busy }
    self.keep(upload)
    self.leave()
    let task = Task { try await body() }
    upload.onYield { task.cancel() }
    do {
      return try await withTaskCancellationHandler {
        try await task.value
      } onCancel: {
        task.cancel()
      }
    } catch { throw upload.hasYielded ? ServiceRefusal.busy : error }
  }
}
