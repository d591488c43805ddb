internal import Ledger
internal import Primitives
internal import Rules
internal import Signing
internal import Synchronization

/// How much each key may sign through a hospital's doors that the ledger refuses: every refusal is a line for ever.
///
/// A submission takes one from its key's allowance before, and gives it back where the ledger applied it.
final class RefusedCounts: Sendable {
  /// How many refusals a key has in a window.
  static let refusedMax = 60
  private static let windowMilliseconds: UInt64 = 10 * 60 * 1000
  /// How many keys are remembered; beyond, those of the oldest windows are forgotten.
  private static let keysMax = 10_000

  private struct Window {
    let since: UInt64
    var count = 0
  }

  private let now: @Sendable () -> UInt64
  private let windows = Mutex<[PublicKey: Window]>([:])

  init(now: @escaping @Sendable () -> UInt64) { self.now = now }

  /// Submits what a key signed.
  ///
  /// - Throws: `ServiceRefusal.tooManyRefused` where its allowance is used up; and what `body` throws.
  func submitting(_ key: PublicKey, _ body: () async throws -> Receipt) async throws -> Receipt {
    try self.take(key)
    let receipt = try await body()
    if receipt.outcome == .applied { self.giveBack(key) }
    return receipt
  }

  private func take(_ key: PublicKey) throws(ServiceRefusal) {
    let now = self.now()
    let isTaken = self.windows.withLock { windows in
      var window = windows[key] ?? Window(since: now)
      if window.since &+ Self.windowMilliseconds <= now || window.since > now { window = Window(since: now) }
      guard window.count < Self.refusedMax else { return false }
      window.count += 1
      if windows[key] == nil, windows.count >= Self.keysMax {
        windows = windows.filter { $0.value.since &+ Self.windowMilliseconds > now }
        if windows.count >= Self.keysMax, let oldest = windows.min(by: { $0.value.since < $1.value.since })?.key {
          windows[oldest] = nil
        }
      }
      windows[key] = window
      return true
    }
    guard isTaken else { throw .tooManyRefused }
  }

  private func giveBack(_ key: PublicKey) {
    self.windows.withLock { windows in
      guard let count = windows[key]?.count, count > 0 else { return }
      windows[key]?.count = count - 1
    }
  }
}
