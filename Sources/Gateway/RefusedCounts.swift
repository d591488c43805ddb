internal import HealthRecords
internal import Ledger
internal import Primitives
internal import Rules
internal import Signing
internal import Synchronization

/// How much each key may sign through a hospital's doors that the ledger refuses: every refusal is a line for ever.
///
/// What is under way counts once it is refused, or nobody can tell; until then it is bounded by itself.
public final class RefusedCounts: Sendable {
  /// How many refusals a key has in a window.
  static let refusedMax = 60
  /// How much of a key may be under way at once.
  static let underWayMax = 64
  private static let windowMilliseconds: UInt64 = 10 * 60 * 1000
  /// How many keys are remembered; beyond, those of the oldest windows are forgotten.
  private static let keysMax = 10_000

  private struct Window {
    let since: UInt64
    var count = 0

    func isOver(at now: UInt64) -> Bool { self.since &+ RefusedCounts.windowMilliseconds <= now || self.since > now }
  }

  private struct State {
    var windows: [PublicKey: Window] = [:]
    /// How much of each key is under way.
    var underWay: [PublicKey: Int] = [:]
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
    guard !(try self.take(key)) else { return try await self.counted(key, body) }
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
    guard try self.take(key) else { throw ServiceRefusal.tooManyRefused }
    return try await self.counted(key, body)
  }

  private func counted<Answer: LedgerAnswer>(
    _ key: PublicKey, _ body: () async throws -> Answer
  ) async throws -> Answer {
    var isRefused = true
    defer { self.settle(key, isRefused: isRefused) }
    do {
      let answer = try await body()
      isRefused = !answer.isApplied
      return answer
    } catch {
      isRefused = (error as? ServiceRefusal)?.isUnsent != true
      throw error
    }
  }

  /// Begins a submission; false where the key's allowance is used up.
  ///
  /// - Throws: `ServiceRefusal.busy` where too much of the key is under way.
  private func take(_ key: PublicKey) throws(ServiceRefusal) -> Bool {
    let now = self.now()
    return try self.state.withLock { state throws(ServiceRefusal) in
      guard (state.windows[key].map { $0.isOver(at: now) ? 0 : $0.count } ?? 0) < Self.refusedMax else { return false }
      guard state.underWay[key, default: 0] < Self.underWayMax else { throw .busy }
      state.underWay[key, default: 0] += 1
      return true
    }
  }

  /// Ends a submission. ⚑ Keys of which nothing was refused take no place: nobody pushes out others' counts by them.
  private func settle(_ key: PublicKey, isRefused: Bool) {
    let now = self.now()
    self.state.withLock { state in
      let left = state.underWay[key, default: 1] - 1
      state.underWay[key] = left > 0 ? left : nil
      guard isRefused else { return }
      var window = state.windows[key] ?? Window(since: now)
      if window.isOver(at: now) { window = Window(since: now) }
      window.count += 1
      if state.windows[key] == nil, state.windows.count >= Self.keysMax {
        state.windows = state.windows.filter { !$0.value.isOver(at: now) }
        let oldest = state.windows.min { $0.value.since < $1.value.since }?.key
        if state.windows.count >= Self.keysMax, let oldest { state.windows[oldest] = nil }
      }
      state.windows[key] = window
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
