import Messages
import Primitives

/// The end of a member's log that is in memory: a base that is decided, and the entries above it without a gap.
struct RaftLog: Sendable, Hashable {
  /// The entry before the first that is held.
  private(set) var base: LogPosition
  private var entries: [RaftEntry] = []

  init(base: LogPosition) { self.base = base }

  /// The place and the term of the last entry.
  var last: LogPosition {
    LogPosition(term: self.entries.last?.term ?? self.base.term, sequence: self.end)
  }
  /// The place of the last entry.
  var end: SequenceNumber { SequenceNumber(self.base.sequence.number + UInt64(self.entries.count)) }

  /// The entry at a place; nil where none is held.
  subscript(sequence: SequenceNumber) -> RaftEntry? {
    guard sequence > self.base.sequence, sequence <= self.end else { return nil }
    return self.entries[Int(sequence.number - self.base.sequence.number) - 1]
  }

  /// The term of the entry at a place, the base's too; nil where it is not known.
  func term(at sequence: SequenceNumber) -> View? {
    sequence == self.base.sequence ? self.base.term : self[sequence]?.term
  }

  /// Entries from a place on, at most so many.
  func entries(from sequence: SequenceNumber, max count: Int) -> [RaftEntry] {
    guard sequence > self.base.sequence, sequence <= self.end else { return [] }
    return Array(self.entries[(Int(sequence.number - self.base.sequence.number) - 1)...].prefix(count))
  }

  mutating func append(_ entry: RaftEntry) { self.entries.append(entry) }

  /// Takes away the entry at a place and all above.
  mutating func truncate(from sequence: SequenceNumber) {
    guard sequence <= self.end else { return }
    self.entries.removeLast(Int(self.end.number - sequence.number) + 1)
  }

  /// Lets go of what is below a place, which becomes the base.
  mutating func compact(through sequence: SequenceNumber) {
    guard sequence > self.base.sequence, let term = self.term(at: sequence) else { return }
    self.entries.removeFirst(Int(sequence.number - self.base.sequence.number))
    self.base = LogPosition(term: term, sequence: sequence)
  }
}
