internal import CUV
internal import Foundation
public import Primitives
internal import Synchronization

/// A libuv loop and the thread that owns it: timers, TCP and a worker pool, all called back on that thread.
///
/// Only `submit`, `start` and the executor may be used from elsewhere; everything else is for the loop's own thread.
@safe
public final class EventLoop: @unchecked Sendable {
  typealias Job = @Sendable () -> Void

  let loop: UnsafeMutablePointer<uv_loop_t>
  private let wake: UnsafeMutablePointer<uv_async_t>
  private let turnEnd: UnsafeMutablePointer<uv_prepare_t>
  private let inbox = Mutex<[Job]>([])
  private let thread = Mutex<pthread_t?>(nil)
  private let epoch: UInt64
  /// Called at the end of each turn, before the loop waits for the next event.
  public var onTurnEnd: (() -> Void)?

  /// A loop whose worker pool has `workers` threads; the pool is the process's, so the first loop decides.
  public init(workers: Int) {
    unsafe setenv("UV_THREADPOOL_SIZE", String(max(1, min(workers, 128))), 0)
    unsafe self.loop = UnsafeMutablePointer<uv_loop_t>.allocate(capacity: 1)
    unsafe self.wake = UnsafeMutablePointer<uv_async_t>.allocate(capacity: 1)
    unsafe self.turnEnd = UnsafeMutablePointer<uv_prepare_t>.allocate(capacity: 1)
    unsafe uv_loop_init(self.loop)
    self.epoch = uv_hrtime()
    let me = unsafe Unmanaged.passUnretained(self).toOpaque()
    unsafe self.wake.pointee.data = unsafe me
    unsafe self.turnEnd.pointee.data = unsafe me
    unsafe uv_async_init(self.loop, self.wake) { handle in
      guard let handle = unsafe handle, let data = unsafe handle.pointee.data else { return }
      unsafe Unmanaged<EventLoop>.fromOpaque(data).takeUnretainedValue().drain()
    }
    unsafe uv_prepare_init(self.loop, self.turnEnd)
    unsafe uv_prepare_start(self.turnEnd) { handle in
      guard let handle = unsafe handle, let data = unsafe handle.pointee.data else { return }
      unsafe Unmanaged<EventLoop>.fromOpaque(data).takeUnretainedValue().onTurnEnd?()
    }
  }

  /// Starts the loop's thread, which runs until the process ends.
  public func start() {
    let thread = Thread { [self] in
      self.thread.withLock { $0 = pthread_self() }
      unsafe uv_run(self.loop, UV_RUN_DEFAULT)
    }
    thread.name = "event-loop"
    thread.stackSize = 8 << 20
    thread.start()
  }

  /// Runs a job on the loop's thread; in order, from any thread.
  public func submit(_ job: @escaping @Sendable () -> Void) {
    let isFirst = self.inbox.withLock { jobs in
      jobs.append(job)
      return jobs.count == 1
    }
    if isFirst { unsafe uv_async_send(self.wake) }
  }

  private func drain() {
    let jobs = self.inbox.withLock { jobs in
      defer { jobs = [] }
      return jobs
    }
    for job in jobs { job() }
  }

  /// Whether the caller is on the loop's thread.
  public var isCurrent: Bool {
    self.thread.withLock { thread in
      guard let thread = thread else { return false }
      return pthread_equal(thread, pthread_self()) != 0
    }
  }

  /// The loop's monotonic clock, read anew.
  public var now: Tick { Tick(nanoseconds: uv_hrtime() - self.epoch) }

  /// A timer of this loop.
  public func makeTimer(_ fire: @escaping () -> Void) -> LoopTimer { LoopTimer(self, fire) }

  /// Runs `body` on the worker pool and `then` on the loop's thread with its result.
  public func work<Result: Sendable>(
    _ body: @escaping @Sendable () -> Result, then: @escaping (Result) -> Void
  ) {
    let item = WorkItem<Result>(body: body, then: then)
    let request = UnsafeMutablePointer<uv_work_t>.allocate(capacity: 1)
    unsafe request.pointee.data = unsafe Unmanaged.passRetained(item as AnyWorkItem).toOpaque()
    unsafe uv_queue_work(
      self.loop, request,
      { request in
        guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
        unsafe Unmanaged<AnyWorkItem>.fromOpaque(data).takeUnretainedValue().run()
      },
      { request, _ in
        guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
        let item = unsafe Unmanaged<AnyWorkItem>.fromOpaque(data).takeRetainedValue()
        unsafe request.deallocate()
        item.finish()
      })
  }
}

/// One job of the worker pool, whatever its result.
class AnyWorkItem: @unchecked Sendable {
  func run() {}
  func finish() {}
}

private final class WorkItem<Result: Sendable>: AnyWorkItem, @unchecked Sendable {
  private let body: @Sendable () -> Result
  private let then: (Result) -> Void
  private var result: Result?

  init(body: @escaping @Sendable () -> Result, then: @escaping (Result) -> Void) {
    (self.body, self.then) = (body, then)
  }

  override func run() { self.result = self.body() }
  override func finish() {
    guard let result = self.result else { return }
    self.then(result)
  }
}

/// A one-shot timer of the loop, set anew as often as wanted.
@safe
public final class LoopTimer {
  private let handle: UnsafeMutablePointer<uv_timer_t>
  private let fire: () -> Void
  private let loop: EventLoop

  init(_ loop: EventLoop, _ fire: @escaping () -> Void) {
    (self.loop, self.fire) = (loop, fire)
    unsafe self.handle = UnsafeMutablePointer<uv_timer_t>.allocate(capacity: 1)
    unsafe uv_timer_init(loop.loop, self.handle)
    unsafe self.handle.pointee.data = unsafe Unmanaged.passUnretained(self).toOpaque()
  }

  /// Fires once at `tick`, or at once where that is past. Replaces what was set before. libuv counts whole
  /// milliseconds, so it may be up to one early: what is due is asked of the clock.
  public func set(to tick: Tick) {
    let wait = tick - self.loop.now
    unsafe uv_update_time(self.loop.loop)
    let milliseconds = wait.milliseconds + (wait.nanoseconds.isMultiple(of: 1_000_000) ? 0 : 1)
    unsafe uv_timer_start(
      self.handle,
      { handle in
        guard let handle = unsafe handle, let data = unsafe handle.pointee.data else { return }
        unsafe Unmanaged<LoopTimer>.fromOpaque(data).takeUnretainedValue().fire()
      }, milliseconds, 0)
  }

  /// Does not fire any more until it is set again.
  public func cancel() { unsafe uv_timer_stop(self.handle) }

  deinit {
    unsafe uv_close(UnsafeMutableRawPointer(self.handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let handle = unsafe handle else { return }
      unsafe UnsafeMutableRawPointer(handle).deallocate()
    }
  }
}

extension EventLoop: SerialExecutor {
  /// Runs an actor's job on the loop's thread.
  public func enqueue(_ job: consuming ExecutorJob) {
    let unowned = UnownedJob(job)
    self.submit { [self] in unsafe unowned.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }

  /// Whether the caller runs on the loop's thread, for `assumeIsolated`.
  public func checkIsolated() {
    precondition(self.isCurrent, "this must run on the event loop's thread")
  }
}
