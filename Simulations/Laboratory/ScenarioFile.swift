internal import Simulator
internal import TOMLKit

/// A mistake in a scenario file: where, what, and what would be right.
public struct ScenarioMistake: Error, Sendable, Hashable, CustomStringConvertible {
  /// The line; 0 where it is the file as a whole.
  public let line: Int
  /// The key.
  public let key: String
  /// What is wrong.
  public let what: String
  /// What would be right.
  public let remedy: String

  /// Line, key, what and remedy.
  public var description: String {
    let place = self.line > 0 ? "line \(self.line): " : ""
    return "\(place)\(self.key.isEmpty ? "" : "\(self.key): ")\(self.what); \(self.remedy)"
  }
}

/// All mistakes of a scenario file at once.
public struct ScenarioMistakes: Error, Sendable, CustomStringConvertible {
  /// In the order of their lines.
  public let mistakes: [ScenarioMistake]
  /// One a line.
  public var description: String { self.mistakes.map(\.description).joined(separator: "\n") }
}

/// The values of a scenario file by path, checked against the keys: `fault[1].at` is the second fault's.
public struct ScenarioFile: Sendable {
  /// A value as it is written.
  public enum Value: Sendable, Hashable {
    /// A number.
    case integer(Int64)
    /// A text.
    case text(String)
    /// Member numbers.
    case members([Int])
    /// Two lists of member numbers.
    case groups([[Int]])
  }

  /// The file's text.
  public let text: String
  /// What it says, by path.
  public private(set) var values: [String: Value] = [:]
  /// How many tables each repeated section has.
  public private(set) var counts: [String: Int] = [:]
  private let lines: [String: Int]
  private var mistakes: [ScenarioMistake] = []

  /// Reads a file's text, with further `path=value` settings over it.
  ///
  /// - Throws: `ScenarioMistakes`, all that are in it.
  public init(_ text: String, settings: [String] = []) throws(ScenarioMistakes) {
    self.text = text
    self.lines = Self.locate(text)
    let table: TOMLTable
    do { table = try TOMLTable(string: text) } catch {
      let parse = error as? TOMLParseError
      throw ScenarioMistakes(mistakes: [
        ScenarioMistake(
          line: parse.map { Int($0.source.begin.line) } ?? 0, key: "", what: parse?.description ?? "\(error)",
          remedy: "mend that line: the file is TOML")
      ])
    }
    for key in table.keys.sorted() { self.take(key, table[key]) }
    for setting in settings { self.apply(setting) }
    self.requireGiven()
    self.requireFit()
    guard self.mistakes.isEmpty else {
      throw ScenarioMistakes(mistakes: self.mistakes.sorted { ($0.line, $0.key) < ($1.line, $1.key) })
    }
  }

  /// The line of every key and section, found by reading the text as it stands.
  private static func locate(_ text: String) -> [String: Int] {
    var lines: [String: Int] = [:]
    var section = ""
    var counts: [String: Int] = [:]
    for (number, raw) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let line = raw.trimmingPrefix { $0 == " " || $0 == "\t" }
      if line.hasPrefix("[[") {
        let name = String(line.dropFirst(2).prefix { $0 != "]" })
        section = "\(name)[\(counts[name, default: 0])]."
        counts[name, default: 0] += 1
        lines[String(section.dropLast())] = number + 1
      } else if line.hasPrefix("[") {
        let name = String(line.dropFirst().prefix { $0 != "]" })
        section = name + "."
        lines[name] = number + 1
      } else if let equals = line.firstIndex(of: "="), !line.hasPrefix("#") {
        let key = line[..<equals].filter { $0 != " " && $0 != "\"" }
        lines[section + key] = lines[section + key] ?? number + 1
      }
    }
    return lines
  }

  private mutating func fail(_ key: String, _ what: String, _ remedy: String) {
    let section = key.split(separator: ".").first.map(String.init) ?? key
    self.mistakes.append(
      ScenarioMistake(line: self.lines[key] ?? self.lines[section] ?? 0, key: key, what: what, remedy: remedy))
  }

  private mutating func take(_ key: String, _ value: (any TOMLValueConvertible)?) {
    guard let value else { return }
    if let inner = value.table {
      for name in inner.keys.sorted() { self.set("\(key).\(name)", pattern: "\(key).\(name)", inner[name]) }
    } else if let array = value.array, ScenarioKey.repeated.contains(key) {
      self.counts[key] = array.count
      for (place, item) in array.enumerated() {
        guard let inner = item.table else { continue }
        for name in inner.keys.sorted() { self.set("\(key)[\(place)].\(name)", pattern: "\(key).\(name)", inner[name]) }
      }
    } else {
      self.set(key, pattern: key, value)
    }
  }

  private mutating func set(_ path: String, pattern: String, _ value: (any TOMLValueConvertible)?) {
    guard let key = ScenarioKey.at(pattern) else { return self.unknown(path, pattern) }
    guard let value, let read = Self.read(value, as: key.kind) else {
      return self.fail(path, "\(value.map { "\($0)" } ?? "nothing") is not \(key.expectation)", self.remedy(key, value))
    }
    self.values[path] = read
  }

  private func remedy(_ key: ScenarioKey, _ value: (any TOMLValueConvertible)?) -> String {
    if case .word(let words) = key.kind, let text = value?.string,
      let near = ScenarioKey.nearest(to: text, among: words)
    {
      return "did you mean \"\(near)\"?"
    }
    return "write \(key.expectation)"
  }

  private mutating func unknown(_ path: String, _ pattern: String) {
    let near = ScenarioKey.nearest(to: pattern, among: ScenarioKey.all.map(\.path))
    self.fail(
      path, "there is no such key", near.map { "did you mean \($0)?" } ?? "consilium-sim explain lists all keys")
  }

  private static func read(_ value: any TOMLValueConvertible, as kind: ScenarioKey.Kind) -> Value? {
    func isFine(_ text: String) -> Bool {
      switch kind {
      case .text: true
      case .word(let words): words.contains(text)
      case .span: Quantity.span(text) != nil
      case .bytes: Quantity.bytes(text) != nil
      case .rate: Quantity.rate(text) != nil
      case .bandwidth: Quantity.bitsPerSecond(text) != nil
      case .percent: Quantity.percent(text) != nil
      case .integer, .members, .groups: false
      }
    }
    func numbers(_ array: TOMLArray) -> [Int]? {
      var out: [Int] = []
      for item in array {
        guard let number = item.int, number > 0 else { return nil }
        out.append(number)
      }
      return out
    }
    switch kind {
    case .integer(let range): return value.int.map(Int64.init).flatMap { range.contains($0) ? .integer($0) : nil }
    case .members: return value.array.flatMap { numbers($0) }.map { .members($0) }
    case .groups:
      guard let array = value.array, array.count == 2 else { return nil }
      let groups = array.compactMap { $0.array.flatMap { numbers($0) } }
      return groups.count == 2 ? .groups(groups) : nil
    case .text, .word, .span, .bytes, .rate, .bandwidth, .percent:
      return value.string.flatMap { isFine($0) ? .text($0) : nil }
    }
  }

  /// Takes a `path=value` from a command line, as if it stood in the file.
  private mutating func apply(_ setting: String) {
    let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { return self.fail(setting, "a setting is path=value", "write it so") }
    let pattern = self.pattern(parts[0])
    guard let key = ScenarioKey.at(pattern) else { return self.unknown(parts[0], pattern) }
    let isBare: Bool =
      switch key.kind {
      case .integer, .members, .groups: true
      case .text, .word, .span, .bytes, .rate, .bandwidth, .percent: false
      }
    let line = isBare ? "value = \(parts[1])" : "value = \"\(parts[1])\""
    guard let table = try? TOMLTable(string: line), let value = table["value"],
      let read = Self.read(value, as: key.kind)
    else { return self.fail(parts[0], "\(parts[1]) is not \(key.expectation)", "write \(key.expectation)") }
    self.values[parts[0]] = read
  }

  private mutating func requireGiven() {
    for key in ScenarioKey.all where key.standard == nil {
      let parts = key.path.split(separator: ".").map(String.init)
      guard parts.count == 2, ScenarioKey.repeated.contains(parts[0]) else {
        let isWrong = self.mistakes.contains { $0.key == key.path }
        if self.values[key.path] == nil, !isWrong { self.fail(key.path, "it is missing", "write \(key.expectation)") }
        continue
      }
      for place in 0..<(self.counts[parts[0]] ?? 0) where self.values["\(parts[0])[\(place)].\(parts[1])"] == nil {
        let isWrong = self.mistakes.contains { $0.key == "\(parts[0])[\(place)].\(parts[1])" }
        if !isWrong { self.fail("\(parts[0])[\(place)]", "\(parts[1]) is missing", "write \(key.expectation)") }
      }
    }
  }

  /// What single keys cannot tell: members and regions that do not exist.
  private mutating func requireFit() {
    // Whoever joins later, and then each twin, has a number of its own, after the members'.
    let twins = (0..<(self.counts["attacker"] ?? 0)).count { self.text("attacker[\($0)].kind") == "twin" }
    let joiners = (0..<(self.counts["fault"] ?? 0)).count { self.text("fault[\($0)].kind") == "join" }
    let count = self.memberCount + joiners + twins
    for (path, value) in self.values {
      let named: [Int]
      switch value {
      case .members(let members): named = members
      case .groups(let groups): named = groups.flatMap { $0 }
      case .integer(let number): named = path.hasSuffix("].member") ? [Int(number)] : []
      case .text: named = []
      }
      if let wrong = named.first(where: { $0 > count }) {
        self.fail(path, "there is no member \(wrong)", "the scenario has members 1 to \(count)")
      }
    }
    if count > 256 { self.fail("region", "\(count) members", "at most 256 can be members of one consortium") }
    let regions = (0..<(self.counts["region"] ?? 0)).compactMap { self.text("region[\($0)].name") }
    for place in 0..<(self.counts["link"] ?? 0) {
      for end in ["from", "to"] {
        guard let name = self.text("link[\(place)].\(end)"), !regions.contains(name) else { continue }
        self.fail("link[\(place)].\(end)", "there is no region \"\(name)\"", self.among(regions, name))
      }
    }
    guard let known = PublishedLatencies.named(self.text("network.table") ?? "none")?.regions else { return }
    for (place, name) in regions.enumerated() where !known.contains(name) {
      self.fail("region[\(place)].name", "the table has no region \"\(name)\"", self.among(known, name))
    }
  }

  private func among(_ words: [String], _ word: String) -> String {
    ScenarioKey.nearest(to: word, among: words).map { "did you mean \"\($0)\"?" }
      ?? "they are \(words.joined(separator: ", "))"
  }

  /// How many members the scenario has.
  var memberCount: Int {
    guard let regions = self.counts["region"], regions > 0 else { return Int(self.integer("members.count") ?? 4) }
    return (0..<regions).reduce(0) { $0 + Int(self.integer("region[\($1)].members") ?? 0) }
  }

  private func pattern(_ path: String) -> String { String(path.replacing(/\[\d+\]/, with: "")) }

  /// A text, the file's or the standard one; nil where there is none.
  func text(_ path: String) -> String? {
    if case .text(let text)? = self.values[path] { return text }
    return ScenarioKey.at(self.pattern(path))?.standard.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// A number, the file's or the standard one.
  func integer(_ path: String) -> Int64? {
    if case .integer(let number)? = self.values[path] { return number }
    return ScenarioKey.at(self.pattern(path))?.standard.flatMap { Int64($0) }
  }

  /// Member numbers, from 1; nil where none are given.
  func members(_ path: String) -> [Int]? {
    if case .members(let members)? = self.values[path] { return members }
    return nil
  }

  /// Two groups of member numbers; nil where none are given.
  func groups(_ path: String) -> [[Int]]? {
    if case .groups(let groups)? = self.values[path] { return groups }
    return nil
  }

  /// Every key that counts in this run with its value, standard ones included: what makes a run citable.
  public var effective: [(path: String, value: String, isStandard: Bool)] {
    var out: [(String, String, Bool)] = []
    func add(_ path: String, _ key: ScenarioKey) {
      switch self.values[path] {
      case .integer(let number)?: out.append((path, "\(number)", false))
      case .text(let text)?: out.append((path, text, false))
      case .members(let members)?: out.append((path, "\(members)", false))
      case .groups(let groups)?: out.append((path, "\(groups)", false))
      case nil: if let standard = key.standard, !standard.isEmpty { out.append((path, standard, true)) }
      }
    }
    for key in ScenarioKey.all {
      let parts = key.path.split(separator: ".").map(String.init)
      guard parts.count == 2, ScenarioKey.repeated.contains(parts[0]) else {
        add(key.path, key)
        continue
      }
      for place in 0..<(self.counts[parts[0]] ?? 0) { add("\(parts[0])[\(place)].\(parts[1])", key) }
    }
    return out
  }
}
