public import Messages
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

/// Who says the same again and again (LEDGER §11.10).
///
/// A copy comes along the mesh, one that was asked for, and one that somebody sent who did not know of the others. ⚑
/// What a peer says oftener than that is a fault, however cheaply it is dropped.
public struct PeerRepeats: Sendable, Equatable {
  /// What a copy more comes to.
  public enum Verdict: Sendable, Equatable {
    /// It is dropped.
    case drop
    /// It is a fault besides.
    case charge
  }

  private struct Said: Sendable, Equatable {
    var since: Tick
    var copies: [Digest: UInt16] = [:]
    /// How many questions it was asked that each of its messages may answer.
    var questions: UInt16 = 0
  }

  /// So many copies of one message are nobody's fault.
  static let copiesMax: UInt16 = 4
  /// How long they are counted together.
  static let span = Span.milliseconds(10_000)
  /// The most messages of a peer that are remembered; then all are forgotten.
  static let messagesMax = 4096

  private var said: [ReplicaIndex: Said] = [:]

  /// Nobody did anything yet.
  public init() {}

  /// A member is asked what it may answer with any of its messages.
  public mutating func ask(_ member: ReplicaIndex, at now: Tick) {
    self.forget(member, at: now)
    let questions = self.said[member]?.questions ?? 0
    self.said[member]?.questions = min(questions + 1, 1024)
  }

  /// A member sent a copy of what is here; of what `isAnswer` it may send one more for each question.
  ///
  /// - Complexity: O(1) on average.
  public mutating func count(
    _ identifier: Digest, by member: ReplicaIndex, at now: Tick, isAnswer: Bool = false
  ) -> Verdict {
    self.forget(member, at: now)
    let copies = self.said[member]?.copies[identifier] ?? 0
    self.said[member]?.copies[identifier] = min(copies + 1, 2048)
    let most = Self.copiesMax + (isAnswer ? self.said[member]?.questions ?? 0 : 0)
    return copies < most ? .drop : .charge
  }

  private mutating func forget(_ member: ReplicaIndex, at now: Tick) {
    let isOld = self.said[member].map { now >= $0.since + Self.span || $0.copies.count >= Self.messagesMax } ?? true
    if isOld { self.said[member] = Said(since: now) }
  }
}

/// Whose key two processes seem to use (LEDGER §8): each ends the other's sessions, again and again.
///
/// One such end is nothing: two members may dial one another at once, and a way may break. ⚑ What a copy does with the
/// key before both have written a block can still be undone; after it the lane is frozen.
public struct SharedKeys: Sendable, Equatable {
  private struct Seen: Sendable, Equatable {
    /// When it was seen last, the earliest first.
    var ticks: [Tick] = []
    var isTold = false
  }

  /// So often within the span it is no accident.
  static let countMin = 5
  /// That span.
  static let span = Span.milliseconds(60_000)
  /// After so long without another it is over: both processes dial again within half a minute.
  static let quiet = Span.milliseconds(300_000)

  private var seen: [ReplicaIndex: Seen] = [:]

  /// Nobody did anything yet.
  public init() {}

  /// A member's session ended as it does where two processes use one key; whether the operator is to be told now.
  public mutating func note(_ member: ReplicaIndex, at now: Tick) -> Bool {
    var seen = self.seen[member] ?? Seen()
    if let last = seen.ticks.last, now >= last + Self.quiet { seen = Seen() }
    seen.ticks = seen.ticks.suffix(Self.countMin - 1) + [now]
    let isNews = !seen.isTold && seen.ticks.count == Self.countMin && now < seen.ticks[0] + Self.span
    seen.isTold = seen.isTold || isNews
    self.seen[member] = seen
    return isNews
  }

  /// The members of whom that was told and is not over.
  public func members(at now: Tick) -> [ReplicaIndex] {
    self.seen.filter { $0.value.isTold && $0.value.ticks.last.map { now < $0 + Self.quiet } ?? false }.keys.sorted()
  }
}
