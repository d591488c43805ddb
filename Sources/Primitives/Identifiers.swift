/// A member hospital's permanent number, given in the genesis and never used again for another.
public struct MemberID: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The number, 1 or more.
  public let number: UInt32

  /// The member with this number.
  public init(_ number: UInt32) { self.number = number }
  /// Smaller numbers first: lanes execute in this order.
  public static func < (left: MemberID, right: MemberID) -> Bool { left.number < right.number }
  /// `m` and the number.
  public var description: String { "m\(self.number)" }
}

/// A configuration of members, counted from 0 at the genesis (LEDGER §8).
public struct ConfigurationNumber: Sendable, Hashable, Comparable {
  /// The count of changes since the genesis.
  public let number: UInt32

  /// Configuration `number`.
  public init(_ number: UInt32) { self.number = number }
  /// Earlier before later.
  public static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

/// A view of PBFT: replica `view mod n` is its primary.
public struct View: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The view's number, from 0.
  public let number: UInt64

  /// View `number`.
  public init(_ number: UInt64) { self.number = number }
  /// Earlier before later.
  public static func < (left: View, right: View) -> Bool { left.number < right.number }
  /// The view after this one.
  public var next: View { View(self.number + 1) }
  /// Its number.
  public var description: String { String(self.number) }
}

/// A place in the total order of cuts; the first cut has 1, 0 is the genesis.
public struct SequenceNumber: Sendable, Hashable, Comparable, Strideable, CustomStringConvertible {
  /// The number.
  public let number: UInt64

  /// Sequence number `number`.
  public init(_ number: UInt64) { self.number = number }
  /// The genesis.
  public static let zero = SequenceNumber(0)
  /// Earlier before later.
  public static func < (left: Self, right: Self) -> Bool { left.number < right.number }
  /// The one after this.
  public var next: SequenceNumber { SequenceNumber(self.number + 1) }
  /// The one before this; the genesis has none before it and stays.
  public var previous: SequenceNumber { SequenceNumber(self.number == 0 ? 0 : self.number - 1) }
  /// How many steps lead from here to `other`.
  public func distance(to other: Self) -> Int { Int(other.number) - Int(self.number) }
  /// The number `n` steps on.
  public func advanced(by n: Int) -> Self { SequenceNumber(UInt64(Int(self.number) + n)) }
  /// Its number.
  public var description: String { String(self.number) }
}

/// A block's place in its author's lane: the first has 1, 0 is before it.
public struct LanePosition: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The number.
  public let number: UInt64

  /// Position `number`.
  public init(_ number: UInt64) { self.number = number }
  /// Before the first block.
  public static let zero = LanePosition(0)
  /// Earlier before later.
  public static func < (left: Self, right: Self) -> Bool { left.number < right.number }
  /// The position after this one.
  public var next: LanePosition { LanePosition(self.number + 1) }
  /// Its number.
  public var description: String { String(self.number) }
}
