public import Messages
public import Primitives

/// Getting copies of sealed records into other members' vaults before they are anchored (RECORDS §3.5).
///
/// One value for one batch. It offers each record to the members that should keep it; one that refuses or is silent is
/// replaced by the next in the record's order, until enough have acknowledged or nobody is left.
public struct Replication: Sendable {
  /// What happens.
  public enum Input: Sendable, Hashable {
    /// Begin.
    case start
    /// A member has stored what it was offered, and signed that.
    case acknowledged(ReplicaIndex)
    /// A member has stored a part of what it was offered: it is at work, and has as long again for the next.
    case progressed(ReplicaIndex)
    /// A member refused, or its answer was not its own.
    case refused(ReplicaIndex)
    /// A point in time that `deadline` named has come.
    case timerFired
  }

  /// What is to be done.
  public enum Effect: Sendable, Hashable {
    /// Offer records, by their places in the batch, to a member.
    case offer([Int], to: ReplicaIndex)
    /// All records have enough copies.
    case complete
    /// Too few vaults can be reached for some records.
    case failed
  }

  /// How long a member may take to store a message of what it was offered before another is asked besides.
  public static let patience = Span.milliseconds(3_000)

  private struct Item: Sendable {
    /// Members that were not asked yet, best last.
    var candidates: [ReplicaIndex]
    var holders: Int
  }

  private struct Offer: Sendable {
    let member: ReplicaIndex
    let items: [Int]
    var until: Tick
    /// Whether others were asked in its place; its acknowledgement still counts.
    var isLate: Bool
  }

  private let copies: Int
  private let reachable: ReplicaSet
  private var items: [Item]
  private var offers: [Offer] = []
  private var isOver = false

  /// The replication of records that this hospital holds; `reachable` members are asked, the others are not there.
  public init(of records: [Digest], from hospital: ReplicaIndex, placement: Placement, reachable: ReplicaSet) {
    (self.copies, self.reachable) = (placement.copies, reachable)
    self.items = records.map { record in
      Item(
        candidates: placement.order(of: record, from: hospital).filter { reachable.contains($0) }.reversed(),
        holders: 1)
    }
  }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick? { self.offers.filter { !$0.isLate }.map(\.until).min() }

  /// Takes one input; appends effects.
  public mutating func step(_ input: Input, at now: Tick, into effects: inout [Effect]) -> Disposition<Reason> {
    guard !self.isOver else { return .ignored(.over) }
    switch input {
    case .start: break
    case .acknowledged(let member):
      guard let place = self.offers.firstIndex(where: { $0.member == member }) else { return .ignored(.notOffered) }
      for item in self.offers.remove(at: place).items { self.items[item].holders += 1 }
    case .progressed(let member):
      guard let place = self.offers.firstIndex(where: { $0.member == member }) else { return .ignored(.notOffered) }
      self.offers[place].until = max(self.offers[place].until, now + Self.patience)
    case .refused(let member):
      guard self.offers.contains(where: { $0.member == member }) else { return .ignored(.notOffered) }
      if planted(.refusalCounts) {
        for item in self.offers.first(where: { $0.member == member })?.items ?? [] { self.items[item].holders += 1 }
      }
      self.offers.removeAll { $0.member == member }
    case .timerFired:
      for place in self.offers.indices where self.offers[place].until <= now { self.offers[place].isLate = true }
    }
    self.proceed(at: now, into: &effects)
    return .accepted
  }

  /// Why an input was of no use.
  public enum Reason: Sendable, Hashable {
    /// The batch is settled.
    case over
    /// That member has no offer that is open.
    case notOffered
  }

  private mutating func proceed(at now: Tick, into effects: inout [Effect]) {
    var wanted: [ReplicaIndex: [Int]] = [:]
    var isComplete = true
    var canComplete = true
    for index in self.items.indices {
      let open = self.offers.count { !$0.isLate && $0.items.contains(index) }
      let late = self.offers.count { $0.isLate && $0.items.contains(index) }
      var missing = self.copies - self.items[index].holders
      if missing > 0 { isComplete = false }
      missing -= open
      while missing > 0, let next = self.items[index].candidates.popLast() {
        wanted[next, default: []].append(index)
        missing -= 1
      }
      if missing > late { canComplete = false }
    }
    if isComplete {
      self.isOver = true
      effects.append(.complete)
    } else if !canComplete {
      self.isOver = true
      effects.append(.failed)
    } else {
      for (member, items) in wanted.sorted(by: { $0.key < $1.key }) {
        self.offers.append(Offer(member: member, items: items, until: now + Self.patience, isLate: false))
        effects.append(.offer(items, to: member))
      }
    }
  }
}
