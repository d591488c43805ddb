// OpenMetrics 1.0.0 as a strict reader takes it: everything that its text asks for is asked for here.
import Foundation

/// A text that was read, by family.
struct OpenMetrics {
  struct Sample {
    let name: String
    let labels: [String: String]
    let value: Double
  }

  struct Family {
    let name: String
    var type = "unknown"
    var unit = ""
    var help = ""
    var samples: [Sample] = []
  }

  struct Wrong: Error, CustomStringConvertible {
    let description: String
  }

  private(set) var families: [Family] = []

  subscript(name: String) -> Family? { self.families.first { $0.name == name } }

  /// The value of the only sample, or of the one with these labels.
  func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
    self.families.flatMap(\.samples).first { $0.name == name && $0.labels == labels }?.value
  }

  private static let suffixes = [
    "counter": ["_total", "_created"], "gauge": [""], "stateset": [""], "info": ["_info"],
    "histogram": ["_bucket", "_sum", "_count", "_created"],
  ]

  init(_ text: String) throws {
    guard text.hasSuffix("\n# EOF\n"), !text.contains("\r") else { throw Wrong(description: "no end mark") }
    var seen: Set<String> = []
    for line in text.dropLast(7).split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
      guard !line.isEmpty else { throw Wrong(description: "an empty line") }
      if line.hasPrefix("# ") { try self.describe(line) } else { try self.take(line, &seen) }
    }
    for family in self.families { try Self.check(family) }
  }

  private mutating func describe(_ line: String) throws {
    let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
    guard words.count == 4, ["TYPE", "UNIT", "HELP"].contains(words[1]) else { throw Wrong(description: line) }
    if self.families.last?.name != words[2] {
      guard self[words[2]] == nil else { throw Wrong(description: "\(words[2]) is interleaved") }
      guard words[2].wholeMatch(of: /[a-zA-Z_:][a-zA-Z0-9_:]*/) != nil else { throw Wrong(description: words[2]) }
      self.families.append(Family(name: words[2]))
    }
    let last = self.families.count - 1
    guard self.families[last].samples.isEmpty else { throw Wrong(description: "\(line) after samples") }
    switch words[1] {
    case "TYPE" where self.families[last].type == "unknown" && Self.suffixes[words[3]] != nil:
      self.families[last].type = words[3]
    case "UNIT" where self.families[last].unit.isEmpty && words[2].hasSuffix("_" + words[3]):
      self.families[last].unit = words[3]
    case "HELP" where self.families[last].help.isEmpty: self.families[last].help = words[3]
    default: throw Wrong(description: line)
    }
  }

  private mutating func take(_ line: String, _ seen: inout Set<String>) throws {
    guard let match = line.wholeMatch(of: /([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/),
      let value = Self.number(String(match.3)), let family = self.families.last
    else { throw Wrong(description: line) }
    let name = String(match.1)
    guard Self.suffixes[family.type]?.contains(where: { family.name + $0 == name }) == true else {
      throw Wrong(description: "\(name) is none of \(family.name), a \(family.type)")
    }
    guard seen.insert("\(name){\(match.2 ?? "")}").inserted else { throw Wrong(description: "twice: \(line)") }
    let labels = try Self.labels(match.2.map(String.init) ?? "")
    self.families[self.families.count - 1].samples.append(Sample(name: name, labels: labels, value: value))
  }

  private static func number(_ text: String) -> Double? {
    switch text {
    case "+Inf": .infinity
    case "-Inf": -.infinity
    case "NaN": .nan
    default: text.wholeMatch(of: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?/) == nil ? nil : Double(text)
    }
  }

  private static func labels(_ text: String) throws -> [String: String] {
    var (rest, out): (Substring, [String: String]) = (text[...], [:])
    while !rest.isEmpty {
      guard let match = rest.prefixMatch(of: /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[n"\\])*)"(,(?=.)|$)/),
        out.updateValue(String(match.2), forKey: String(match.1)) == nil
      else { throw Wrong(description: "labels \(text)") }
      rest = rest[match.range.upperBound...]
    }
    return out
  }

  private static func check(_ family: Family) throws {
    func fail(_ why: String) -> Wrong { Wrong(description: "\(family.name): \(why)") }
    guard family.type != "unknown", !family.help.isEmpty else { throw fail("no type or no help") }
    let names = Set(family.samples.map { $0.labels.keys.filter { $0 != "le" }.sorted() })
    guard names.count <= 1 else { throw fail("its samples have other labels") }
    switch family.type {
    case "counter" where family.samples.contains { !($0.value >= 0 && $0.value.isFinite) }: throw fail("below zero")
    case "info" where family.samples.contains { $0.value != 1 }: throw fail("an info is 1")
    case "stateset":
      guard family.samples.allSatisfy({ $0.labels[family.name] != nil && [0, 1].contains($0.value) }) else {
        throw fail("a state has its name, and is 0 or 1")
      }
    case "histogram": try Self.checkBuckets(family, fail)
    default: break
    }
  }

  private static func checkBuckets(_ family: Family, _ fail: (String) -> Wrong) throws {
    let buckets = family.samples.filter { $0.name.hasSuffix("_bucket") }
    let bounds = buckets.compactMap { $0.labels["le"].flatMap(Self.number) }
    guard bounds.count == buckets.count, bounds.last == .infinity,
      zip(bounds, bounds.dropFirst()).allSatisfy({ $0 < $1 })
    else { throw fail("its bounds do not rise to +Inf") }
    guard zip(buckets, buckets.dropFirst()).allSatisfy({ $0.value <= $1.value }) else { throw fail("a bucket falls") }
    let count = family.samples.first { $0.name.hasSuffix("_count") }?.value
    guard buckets.last?.value == count, family.samples.contains(where: { $0.name.hasSuffix("_sum") }) else {
      throw fail("its count is not that of the last bucket")
    }
  }
}
