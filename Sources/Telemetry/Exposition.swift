/// How long things took: counts below fixed bounds, in seconds.
public struct Histogram: Sendable {
  /// The bounds, rising.
  let bounds: [Double]
  /// How many were above the bound before and at most at each bound; the last is above all.
  private(set) var counts: [UInt64]
  /// All together.
  private(set) var sum = 0.0

  /// Nothing counted yet; `bounds` rise.
  public init(bounds: [Double] = Self.latencies) {
    precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds rise: \(bounds)")
    (self.bounds, self.counts) = (bounds, Array(repeating: 0, count: bounds.count + 1))
  }

  /// What a disk and a network take: 1 ms to 30 s.
  public static let latencies = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

  /// Counts something that took so many seconds.
  public mutating func observe(seconds: Double) {
    self.counts[self.bounds.firstIndex { seconds <= $0 } ?? self.bounds.count] += 1
    self.sum += seconds
  }
}

/// The text of `/metrics`: OpenMetrics 1.0.0, each metric of the catalogue once, in its order.
public struct Exposition {
  /// Its media type.
  public static let media = "application/openmetrics-text; version=1.0.0; charset=utf-8"
  /// The most series of a metric; what is beyond is left out.
  static let seriesMax = 512

  private var lines: [MetricKind: [String]] = [:]
  private var counts: [MetricKind: Int] = [:]

  /// Nothing measured yet.
  public init() {}

  /// A counter's or a gauge's value, under the values of its labels.
  public mutating func add(_ kind: MetricKind, _ value: Double, _ labels: [String] = []) {
    precondition(kind.type == .counter || kind.type == .gauge, "\(kind.name) is a \(kind.type)")
    self.append(kind, kind.queryName, labels, Self.text(value))
  }

  /// The same of a whole number.
  public mutating func add(_ kind: MetricKind, _ value: some BinaryInteger, _ labels: [String] = []) {
    self.add(kind, Double(value), labels)
  }

  /// Whether something is so.
  public mutating func add(_ kind: MetricKind, _ isSo: Bool, _ labels: [String] = []) {
    self.add(kind, isSo ? 1.0 : 0.0, labels)
  }

  /// An info's words.
  public mutating func add(_ kind: MetricKind, words: [String]) {
    precondition(kind.type == .info, "\(kind.name) is a \(kind.type)")
    self.append(kind, kind.queryName, words, "1")
  }

  /// Which of its states something is in.
  public mutating func add(_ kind: MetricKind, states: [String], current: String) {
    precondition(kind.type == .stateset, "\(kind.name) is a \(kind.type)")
    for state in states { self.append(kind, kind.name, [state], state == current ? "1" : "0") }
  }

  /// A histogram's buckets, sum and count.
  public mutating func add(_ kind: MetricKind, _ histogram: Histogram) {
    precondition(kind.type == .histogram && kind.labels.isEmpty, "\(kind.name) is a \(kind.type)")
    var below: UInt64 = 0
    for (index, count) in histogram.counts.enumerated() {
      below += count
      let bound = index < histogram.bounds.count ? "\(histogram.bounds[index])" : "+Inf"
      self.lines[kind, default: []].append("\(kind.queryName){le=\"\(bound)\"} \(below)")
    }
    self.lines[kind, default: []] += ["\(kind.name)_sum \(Self.text(histogram.sum))", "\(kind.name)_count \(below)"]
  }

  private mutating func append(_ kind: MetricKind, _ name: String, _ labels: [String], _ value: String) {
    precondition(labels.count == kind.labels.count, "\(kind.name) has the labels \(kind.labels)")
    guard self.counts[kind, default: 0] < Self.seriesMax else { return }
    self.counts[kind, default: 0] += 1
    let pairs = zip(kind.labels, labels).map { "\($0)=\"\(Self.escaped($1))\"" }
    let shown = pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}"
    self.lines[kind, default: []].append("\(name)\(shown) \(value)")
  }

  /// The whole text, to its end mark.
  public var text: String {
    var out = ""
    for kind in MetricKind.catalogue {
      out += "# TYPE \(kind.name) \(kind.type.rawValue)\n"
      if let unit = kind.unit { out += "# UNIT \(kind.name) \(unit)\n" }
      out += "# HELP \(kind.name) \(Self.escaped(kind.help))\n"
      for line in self.lines[kind] ?? [] { out += line + "\n" }
    }
    return out + "# EOF\n"
  }

  /// A whole number without a point: what counts, looks so.
  private static func text(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf" }
    return value.rounded() == value && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n").replacing("\"", with: "\\\"")
  }
}
