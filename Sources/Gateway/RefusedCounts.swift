internal import HealthRecords
internal import Ledger
internal import Primitives
internal import Rules
internal import Signing
internal import Synchronization

/// How much each key may sign through a hospital's doors that the ledger refuses: every refusal is a line for ever.
///
/// A submission takes one from its key's allowance before, and gives it back where the ledger applied it, or never had
/// it.
public final class RefusedCounts: Sendable {
  /// How many refusals a key has in a window.
  static let refusedMax = 60
  private static let windowMilliseconds: UInt64 = 10 * 60 * 1000
  /// How many keys are remembered; beyond, those of the oldest windows are forgotten.
  private static let keysMax = 10_000

  private struct Window {
    let since: UInt64
    var count = 0
  }

  private struct State {
    var windows: [PublicKey: Window] = [:]
    /// What is submitted beyond an allowance just now.
    var beyond: Set<Digest> = []
  }

  private let now: @Sendable () -> UInt64
  private let state = Mutex(State())

  /// The counts of a node, shared by all its doors; `now` gives milliseconds since 1970.
  public init(now: @escaping @Sendable () -> UInt64) { self.now = now }

  /// Submits a transaction through a service; a refusal counts for a key, which need not be the one that signed it.
  ///
  /// ⚑ A reading that the ledger would grant is not limited, and an emergency least: where the allowance is used up,
  /// the ledger's own rules are asked first, and each such transaction is under way once.
  ///
  /// - Throws: `ServiceRefusal.tooManyRefused` where its allowance is used up; and what `body` throws.
  func submitting<Answer: LedgerAnswer>(
    _ transaction: CheckedTransaction, of key: PublicKey, to service: any NodeService,
    _ body: () async throws -> Answer
  ) async throws -> Answer {
    guard !self.take(key) else { return try await self.counted(key, body) }
    let reads = [TransactionKind.breakGlass, .requestAccess].map(\.rawValue).contains(transaction.kind)
    guard reads, self.state.withLock({ $0.beyond.insert(transaction.identifier).inserted }) else {
      throw ServiceRefusal.tooManyRefused
    }
    defer { self.state.withLock { _ = $0.beyond.remove(transaction.identifier) } }
    guard await service.wouldApply(transaction) else { throw ServiceRefusal.tooManyRefused }
    return try await body()
  }

  /// Submits what the hospital signs, as somebody wished whose key this is.
  ///
  /// - Throws: as `submitting`.
  func submitting<Answer: LedgerAnswer>(
    for key: PublicKey, _ body: () async throws -> Answer
  ) async throws -> Answer {
    guard self.take(key) else { throw ServiceRefusal.tooManyRefused }
    return try await self.counted(key, body)
  }

  private func counted<Answer: LedgerAnswer>(
    _ key: PublicKey, _ body: () async throws -> Answer
  ) async throws -> Answer {
    do {
      let answer = try await body()
      if answer.isApplied { self.giveBack(key) }
      return answer
    } catch {
      if (error as? ServiceRefusal)?.isUnsent == true { self.giveBack(key) }
      throw error
    }
  }

  private func take(_ key: PublicKey) -> Bool {
    let now = self.now()
    return self.state.withLock { state in
      var window = state.windows[key] ?? Window(since: now)
      if window.since &+ Self.windowMilliseconds <= now || window.since > now { window = Window(since: now) }
      guard window.count < Self.refusedMax else { return false }
      window.count += 1
      if state.windows[key] == nil, state.windows.count >= Self.keysMax {
        state.windows = state.windows.filter { $0.value.since &+ Self.windowMilliseconds > now }
        let oldest = state.windows.min { $0.value.since < $1.value.since }?.key
        if state.windows.count >= Self.keysMax, let oldest { state.windows[oldest] = nil }
      }
      state.windows[key] = window
      return true
    }
  }

  private func giveBack(_ key: PublicKey) {
    self.state.withLock { state in
      guard let count = state.windows[key]?.count, count > 0 else { return }
      // ⚑ Keys of which nothing was refused take no place: nobody pushes out others' counts by them.
      if count == 1 { state.windows[key] = nil } else { state.windows[key]?.count = count - 1 }
    }
  }
}

/// What is answered to what was submitted.
protocol LedgerAnswer: Sendable {
  /// Whether no refusal stands in the log.
  var isApplied: Bool { get }
}

extension Receipt: LedgerAnswer {
  var isApplied: Bool { self.outcome == .applied }
}

extension BrokenGlass: LedgerAnswer {
  var isApplied: Bool {
    switch self {
    case .ordered(let receipt): receipt.isApplied
    case .opened: true
    }
  }
}
