internal import Synchronization

/// How many resources one request looks at: nobody else is answered meanwhile.
final class Looks: Sendable {
  /// The most of a request by itself: others are answered while it searches.
  static let requestMax = 20_000_000
  /// The most of a transaction, whose conditions and reads are judged before anybody else is answered.
  static let transactionMax = 250_000
  /// The most of a batch: others are answered between its entries.
  static let batchMax = 1_000_000

  private let max: Int
  private let count = Atomic<Int>(0)

  /// Counts up to a bound.
  init(max: Int = Looks.requestMax) { self.max = max }

  /// Counts resources that are looked at.
  func look(_ more: Int) throws(FHIRFailure) {
    guard more <= self.max - self.count.load(ordering: .relaxed) else {
      throw FHIRFailure(
        413, "too-costly",
        "the conditions and reads up to here look at over \(self.max) resources, which is the most of one request: "
          + "ask by identifier, or send it in parts")
    }
    self.add(more)
  }

  /// Counts what was looked at already: the next that is counted may be refused.
  func add(_ more: Int) { self.count.add(more, ordering: .relaxed) }
}

/// What the conditions of one request are judged by, and what that may cost.
final class Judging {
  /// What a condition costs by itself.
  private static let conditionLooks = 25

  /// What is found as if it were written.
  var pending: ResourceIndex
  /// What conditions of references were found to name; what is pending does not change between them.
  var references: [String: [String]] = [:]
  private let looks: Looks

  init(at site: Site, _ looks: Looks = Looks()) { (self.pending, self.looks) = (ResourceIndex(site: site), looks) }

  /// Counts a condition.
  func begin() throws(FHIRFailure) { try self.look(Self.conditionLooks) }

  /// Counts resources that are looked at.
  func look(_ count: Int) throws(FHIRFailure) { try self.looks.look(count) }
}
