public import Messages
public import Primitives

/// What a hospital knows of the others' vaults by asking them for chunks, drawn by lot, of records that they should
/// keep: whoever proves one has it (RECORDS §3.5).
public struct Challenges: Sendable {
  /// What came of a challenge.
  public enum Outcome: Sendable, Hashable {
    /// A chunk came, with its path to what was anchored.
    case proven
    /// It did not come, or was another.
    case failed
    /// The vault could not be asked, did not answer, or the record was erased meanwhile: once that proves nothing.
    case unanswered
  }

  /// How a member's vault did.
  public struct Tally: Sendable, Hashable {
    /// Challenges that it met since the start.
    public internal(set) var proven: UInt64 = 0
    /// Those that it did not.
    public internal(set) var failed: UInt64 = 0
    /// Those that it did not meet one after another.
    public internal(set) var failedInARow: UInt64 = 0
    /// Those that came to nothing since it met one, though it was connected when it was asked.
    public internal(set) var unansweredInARow: UInt64 = 0
  }

  /// So many failures in a row are told: one alone may be a vault that is being mended.
  public static let alarmAt: UInt64 = 2
  /// So many that came to nothing in a row are told. ⚑ A vault that keeps nothing would else say so by silence alone.
  public static let silenceAt: UInt64 = 16

  /// How long a vault may take to fetch what it was entrusted with before anybody asks for it: a day of the ledger's
  /// time, in milliseconds.
  public static let fetchingMilliseconds: UInt64 = 24 * 3600 * 1000

  /// Whether a vault that was entrusted with its records at a time may still be fetching them at another.
  public static func isFetching(
    since entrusted: Timestamp?, at time: Timestamp, for milliseconds: UInt64 = Self.fetchingMilliseconds
  ) -> Bool {
    entrusted.map { time < $0.adding(milliseconds: milliseconds) } ?? false
  }

  private var tallies: [ReplicaIndex: Tally] = [:]

  /// Nobody was challenged yet.
  public init() {}

  /// How a member's vault did so far.
  public subscript(member: ReplicaIndex) -> Tally { self.tallies[member] ?? Tally() }

  /// Whom to ask for a record: one of those that should keep it, drawn evenly; nil where only the asker should.
  public func holder(
    of record: Digest, from hospital: ReplicaIndex?, besides own: ReplicaIndex, placement: Placement,
    draw: inout SeededGenerator
  ) -> ReplicaIndex? {
    let holders = placement.members.filter {
      $0 != own && placement.isHolder($0, of: record, from: hospital)
    }
    return holders.isEmpty ? nil : holders[Int(draw.below(UInt64(holders.count)))]
  }

  /// Takes note of an outcome; says whether somebody should be told.
  public mutating func note(_ outcome: Outcome, of member: ReplicaIndex) -> Bool {
    var tally = self[member]
    defer { self.tallies[member] = tally }
    switch outcome {
    case .unanswered:
      tally.unansweredInARow += 1
      return tally.unansweredInARow == Self.silenceAt
    case .proven:
      tally.proven += 1
      (tally.failedInARow, tally.unansweredInARow) = (0, 0)
      return false
    case .failed:
      tally.failed += 1
      tally.failedInARow += 1
      return tally.failedInARow == Self.alarmAt
    }
  }
}
