public import Messages
public import Primitives
public import Threshold

/// What the making of a custody key awaits of this member.
public enum CustodyTask: Sendable, Hashable {
  /// Its transport key.
  case register
  /// Its dealing in one try.
  case deal(attempt: UInt64)
  /// Its judgement of the others' dealings.
  case examine(attempt: UInt64)
}

/// A member's part in the making of custody keys: it looks at what was executed and says what is due.
///
/// It holds no secret and stores nothing: what it owes follows from the executed state, also after a restart.
public struct Custodian: Sendable {
  /// After how long what is still due is done again: a crash can have lost it before it was in a block.
  public static let retryInterval = Span.milliseconds(15_000)

  private let member: ReplicaIndex
  private var last: (task: CustodyTask, at: Tick)?
  /// When it wants to look again; nil where nothing is under way.
  public private(set) var deadline: Tick?

  /// A member's part; it looks as soon as it can.
  public init(member: ReplicaIndex, at now: Tick) { (self.member, self.deadline) = (member, now) }

  /// Something about custody was executed: it is looked at as soon as the state shows it.
  public mutating func stateChanged(at now: Tick) { self.deadline = now }

  /// Looks at the executed state; says what is due and not under way already.
  public mutating func look(
    isRegistered: Bool, generation: KeyGeneration?, at now: Tick
  ) -> CustodyTask? {
    self.deadline = nil
    guard let task = self.due(isRegistered: isRegistered, generation) else { return nil }
    // A statement that comes late is made once: if a share is bad, the key does without this member.
    if generation?.phase == .active, case .examine = task, self.last?.task == task { return nil }
    if let last = self.last, last.task == task, now < last.at + Self.retryInterval {
      self.deadline = last.at + Self.retryInterval
      return nil
    }
    self.last = (task, now)
    self.deadline = now + Self.retryInterval
    return task
  }

  private func due(isRegistered: Bool, _ generation: KeyGeneration?) -> CustodyTask? {
    guard isRegistered else { return .register }
    guard let generation else { return nil }
    // Shares are dealt anew, to keys that are new.
    if generation.awaitsKey(of: self.member) { return .register }
    guard generation.participants.contains(self.member) else { return nil }
    switch generation.phase {
    case .dealing:
      return generation.owesDealing(self.member) ? .deal(attempt: generation.attempt) : nil
    case .confirming, .active:
      let isSilenced = generation.culprits.contains(self.member)
      return generation.hasConfirmed(self.member) || isSilenced ? nil : .examine(attempt: generation.attempt)
    case .registering: return nil
    }
  }
}
