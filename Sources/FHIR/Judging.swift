/// What the conditions of one request are judged by, and what that may cost.
final class Judging {
  /// The most resources that a transaction's conditions may look at: nobody else is answered meanwhile.
  static let looksMax = 250_000
  /// What a condition costs by itself.
  private static let conditionLooks = 25

  /// What is found as if it were written.
  var pending: ResourceIndex
  /// What conditions of references were found to name; what is pending does not change between them.
  var references: [String: [String]] = [:]
  private let looksMax: Int
  private var looks = 0

  init(at site: Site, looksMax: Int = .max) { (self.pending, self.looksMax) = (ResourceIndex(site: site), looksMax) }

  /// Counts a condition.
  func begin() throws(FHIRFailure) { try self.look(Self.conditionLooks) }

  /// Counts resources that are looked at.
  func look(_ count: Int) throws(FHIRFailure) {
    guard count <= self.looksMax - self.looks else {
      throw FHIRFailure(
        413, "too-costly",
        "the conditions up to here look at over \(self.looksMax) resources, which is the most: "
          + "use conditions by identifier, or send the transaction in parts")
    }
    self.looks += count
  }
}
