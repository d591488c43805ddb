internal import Primitives

/// Order statistics of a sample.
public struct Statistics: Sendable, Codable {
  /// How many values.
  public let count: Int
  /// The 50th, 90th, 99th and 100th percentile.
  public let median, p90, p99, max: Double
  /// The mean.
  public let mean: Double
  /// Up to 200 points of the distribution: a value, and the part of values up to it.
  public let curve: [[Double]]

  /// Of values in any order and unit; nil where there are none.
  public init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    let sorted = values.sorted()
    func at(_ part: Double) -> Double { sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))] }
    self.count = sorted.count
    (self.median, self.p90, self.p99, self.max) = (at(0.5), at(0.9), at(0.99), sorted[sorted.count - 1])
    self.mean = sorted.reduce(0, +) / Double(sorted.count)
    let points = min(200, sorted.count)
    self.curve = (1...points).map { point in
      let place = point * sorted.count / points - 1
      return [sorted[place], Double(place + 1) / Double(sorted.count)]
    }
  }
}

extension Span {
  /// In milliseconds, with fractions.
  var inMilliseconds: Double { Double(self.nanoseconds) / 1e6 }
}
