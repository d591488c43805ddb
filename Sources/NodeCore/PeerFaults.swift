public import Primitives
public import Signing

/// Who sent what no honest peer sends, and when that is enough (LEDGER §11.6, I9).
///
/// Of a member a few are forgiven: without its votes the others have less to spare, and what is wrong is dropped. ⚑
/// Whoever does not vote is let go at once, and stays out for a while; else one key could have messages checked and
/// lines written without end.
public struct PeerFaults: Sendable, Equatable {
  /// The limits.
  public struct Limits: Sendable, Equatable {
    /// The most of a member in a span, before its connection is closed at each.
    public var memberFaultsMax = 32
    /// That span.
    public var memberSpan = Span.milliseconds(60_000)
    /// How long whoever does not vote stays out.
    public var guestSpan = Span.milliseconds(10_000)
    /// The most keys that are remembered; where there are more, the oldest is forgotten.
    public var keysMax = 512
    /// The defaults.
    public init() {}
  }

  /// What follows from a fault.
  public enum Verdict: Sendable, Equatable {
    /// The message is dropped.
    case drop
    /// The connection is closed.
    case close
  }

  private struct Count: Sendable, Equatable {
    let key: PublicKey
    let isMember: Bool
    let since: Tick
    var faults = 0
  }

  private let limits: Limits
  /// The oldest first.
  private var counts: [Count] = []

  /// Nobody did anything yet.
  public init(_ limits: Limits = Limits()) { self.limits = limits }

  /// How many keys are remembered.
  public var keyCount: Int { self.counts.count }

  /// A peer sent what is wrong.
  ///
  /// - Complexity: O(keys).
  public mutating func count(_ key: PublicKey, isMember: Bool, at now: Tick) -> Verdict {
    self.forget(at: now)
    let known = self.counts.firstIndex { $0.key == key && $0.isMember == isMember }
    let place: Int
    if let known {
      place = known
    } else {
      if self.counts.count >= self.limits.keysMax { self.counts.removeFirst() }
      self.counts.append(Count(key: key, isMember: isMember, since: now))
      place = self.counts.count - 1
    }
    self.counts[place].faults = min(self.counts[place].faults + 1, self.limits.memberFaultsMax + 1)
    return isMember && self.counts[place].faults <= self.limits.memberFaultsMax ? .drop : .close
  }

  /// Whether a key that does not vote is not let in.
  public func isShutOut(_ key: PublicKey, at now: Tick) -> Bool {
    self.counts.contains { $0.key == key && !$0.isMember && now < $0.since + self.limits.guestSpan }
  }

  private mutating func forget(at now: Tick) {
    let limits = self.limits
    self.counts.removeAll { now >= $0.since + ($0.isMember ? limits.memberSpan : limits.guestSpan) }
  }
}
