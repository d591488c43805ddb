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
  /// What settings gave.
  private var overridden: Set<String> = []
  private var mistakes: [ScenarioMistake] = []

  /// Reads a file's text, with further `path=value` settings over it.
  ///
  /// - Throws: `ScenarioMistakes`, all that are in it.
  public init(_ text: String, settings: [String] = []) throws(ScenarioMistakes) {
    self.text = text
    self.lines = Self.locate(text)
    let (table, broken) = Self.parse(text)
    self.mistakes = broken
    for key in table?.keys.sorted() ?? [] { self.take(key, table?[key]) }
    for setting in settings { self.apply(setting) }
    if table != nil {
      self.requireGiven()
      self.requireFit()
      self.requireSense()
    }
    guard self.mistakes.isEmpty else {
      throw ScenarioMistakes(mistakes: self.mistakes.sorted { ($0.line, $0.key) < ($1.line, $1.key) })
    }
  }

  /// The table of a text. A line that is no TOML is told and left out, so that it hides no other mistake.
  private static func parse(_ text: String) -> (table: TOMLTable?, broken: [ScenarioMistake]) {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    var broken: [ScenarioMistake] = []
    while true {
      do { return (try TOMLTable(string: lines.joined(separator: "\n")), broken) } catch {
        let parse = error as? TOMLParseError
        let line = parse.map { Int($0.source.begin.line) } ?? 0
        broken.append(
          ScenarioMistake(
            line: line, key: "", what: parse?.description ?? "\(error)", remedy: "correct that line: the file is TOML"))
        // Not where leaving the line out would not help, and not for ever.
        guard lines.indices.contains(line - 1), !lines[line - 1].isEmpty, broken.count < Self.brokenMax else {
          return (nil, broken)
        }
        lines[line - 1] = ""
      }
    }
  }

  private static let noTable = "it is no table"
  /// So many lines that are no TOML are told.
  private static let brokenMax = 20

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

  /// Notes a mistake, at the key's line: none where a setting gave the value.
  mutating func fail(_ key: String, _ what: String, _ remedy: String) {
    let section = key.split(separator: ".").first.map(String.init) ?? key
    let line =
      self.lines[key] ?? self.lines[section] ?? self.lines[self.pattern(section)] ?? self.lines["\(section)[0]"] ?? 0
    self.mistakes.append(
      ScenarioMistake(line: self.overridden.contains(key) ? 0 : line, key: key, what: what, remedy: remedy))
  }

  /// Whether a key, or one of a section's, is a mistake already.
  func isMistaken(_ path: String) -> Bool { self.mistakes.contains { $0.key.hasPrefix(path) } }
  /// How many tables a repeated section has.
  func count(of section: String) -> Int { self.counts[section] ?? 0 }

  private mutating func take(_ key: String, _ value: (any TOMLValueConvertible)?) {
    guard let value else { return }
    if let inner = value.table {
      guard !ScenarioKey.repeated.contains(key) else {
        return self.fail(key, "there may be several", "write [[\(key)]], with two brackets, before each")
      }
      if !ScenarioKey.all.contains(where: { $0.path.hasPrefix(key + ".") }) { return self.unknownSection(key) }
      for name in inner.keys.sorted() { self.set("\(key).\(name)", pattern: "\(key).\(name)", inner[name]) }
    } else if let array = value.array, self.lines["\(key)[0]"] != nil, !ScenarioKey.repeated.contains(key) {
      // Tables of a section that is not repeated, or is none.
      guard !array.isEmpty, ScenarioKey.isSection(key) else { return self.unknownSection(key) }
      self.fail(key, "there is only one", "write [\(key)], with one bracket")
    } else if let array = value.array, ScenarioKey.repeated.contains(key) {
      self.counts[key] = array.count
      for (place, item) in array.enumerated() {
        guard let inner = item.table else {
          self.fail("\(key)[\(place)]", Self.noTable, "write [[\(key)]], and its keys below")
          continue
        }
        for name in inner.keys.sorted() { self.set("\(key)[\(place)].\(name)", pattern: "\(key).\(name)", inner[name]) }
      }
    } else {
      self.set(key, pattern: key, value)
    }
  }

  private mutating func set(_ path: String, pattern: String, _ value: (any TOMLValueConvertible)?) {
    guard let key = ScenarioKey.at(pattern) else { return self.unknown(path, pattern) }
    guard let value, let read = Self.read(value, as: key) else {
      return self.refuse(path, value.map { "\($0)" } ?? "nothing", key, value?.string)
    }
    self.values[path] = read
  }

  /// Says why a value is none of its key: too little or too much, or not what the key takes.
  private mutating func refuse(_ path: String, _ shown: String, _ key: ScenarioKey, _ text: String?) {
    if let text, let bounds = key.bounds, key.isQuantity(text) {
      self.fail(path, "\(shown) is too little or too much", "write something \(bounds.description)")
    } else {
      self.fail(path, "\(shown) is not \(key.expectation)", self.remedy(key, text))
    }
  }

  private func remedy(_ key: ScenarioKey, _ text: String?) -> String {
    if case .word(let words) = key.kind, let text,
      let near = ScenarioKey.nearest(to: text, among: words)
    {
      return "did you mean \"\(near)\"?"
    }
    return "write \(key.expectation)"
  }

  private mutating func unknown(_ path: String, _ pattern: String) {
    if ScenarioKey.isSection(pattern) {
      let keys = ScenarioKey.all.filter { $0.path.hasPrefix(pattern + ".") }.map(\.path)
      let isRepeated = ScenarioKey.repeated.contains(pattern)
      return self.fail(
        path, "it is a section, not a key",
        isRepeated
          ? "write [[\(pattern)]], and its keys below" : "its keys are \(keys.joined(separator: ", "))")
    }
    let near = ScenarioKey.nearest(to: pattern, among: ScenarioKey.all.map(\.path))
    self.fail(
      path, "there is no such key", near.map { "did you mean \($0)?" } ?? "consilium-sim explain lists all keys")
  }

  private mutating func unknownSection(_ section: String) {
    let sections = ScenarioKey.all.compactMap { $0.path.contains(".") ? $0.path.split(separator: ".").first : nil }
    self.fail(
      section, "there is no such section",
      ScenarioKey.nearest(to: section, among: Set(sections.map(String.init)).sorted()).map { "did you mean \($0)?" }
        ?? "consilium-sim explain lists all keys")
  }

  private static func read(_ value: any TOMLValueConvertible, as key: ScenarioKey) -> Value? {
    func isFine(_ text: String) -> Bool {
      switch key.kind {
      case .text: !text.isEmpty
      case .word(let words): words.contains(text)
      case .span, .bytes, .rate, .bandwidth, .percent: key.admits(text)
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
    switch key.kind {
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
    let parts = setting.split(separator: "=", maxSplits: 1).map { $0.trimmingPrefix { $0 == " " } }.map(String.init)
    guard parts.count == 2 else { return self.fail(setting, "a setting is path=value", "write it so") }
    let path = String(parts[0].reversed().drop { $0 == " " }.reversed())
    let pattern = self.pattern(path)
    guard self.overridden.insert(path).inserted else { return self.fail(path, "it is set twice", "set it once") }
    guard let key = ScenarioKey.at(pattern) else { return self.unknown(path, pattern) }
    guard self.isPlace(path, of: pattern) else { return }
    let isBare: Bool =
      switch key.kind {
      case .integer, .members, .groups: true
      case .text, .word, .span, .bytes, .rate, .bandwidth, .percent: false
      }
    let line = isBare ? "value = \(parts[1])" : "value = \"\(parts[1])\""
    guard let table = try? TOMLTable(string: line), table.keys == ["value"], let value = table["value"],
      let read = Self.read(value, as: key)
    else { return self.refuse(path, parts[1], key, parts[1]) }
    self.values[path] = read
  }

  /// Whether a path of a setting names something that there is: an entry of a list by its number, or a plain key.
  private mutating func isPlace(_ path: String, of pattern: String) -> Bool {
    let parts = pattern.split(separator: ".").map(String.init)
    guard parts.count == 2, ScenarioKey.repeated.contains(parts[0]) else {
      if path == pattern { return true }
      self.fail(path, "\(pattern) is no list", "write \(pattern)")
      return false
    }
    let (section, count) = (parts[0], self.counts[parts[0]] ?? 0)
    if (0..<count).contains(where: { "\(section)[\($0)].\(parts[1])" == path }) { return true }
    let there =
      count == 0
      ? "the scenario has no [[\(section)]]"
      : "the scenario has \(section)[0]\(count > 1 ? " to \(section)[\(count - 1)]" : "")"
    self.fail(path, "there is no such entry", "\(there); add it to the file")
    return false
  }

  private mutating func requireGiven() {
    for key in ScenarioKey.all where key.standard == nil {
      let parts = key.path.split(separator: ".").map(String.init)
      guard parts.count == 2, ScenarioKey.repeated.contains(parts[0]) else {
        // A line that is no TOML may have said it.
        let line = self.lines[key.path]
        let isWrong = self.mistakes.contains { $0.key == key.path || $0.key.isEmpty && $0.line == line }
        if self.values[key.path] == nil, !isWrong { self.fail(key.path, "it is missing", "write \(key.expectation)") }
        continue
      }
      for place in 0..<(self.counts[parts[0]] ?? 0) where self.values["\(parts[0])[\(place)].\(parts[1])"] == nil {
        let entry = "\(parts[0])[\(place)]"
        let isWrong = self.mistakes.contains {
          $0.key == "\(entry).\(parts[1])" || $0.what == Self.noTable && $0.key == entry
        }
        if !isWrong { self.fail("\(parts[0])[\(place)]", "\(parts[1]) is missing", "write \(key.expectation)") }
      }
    }
  }

  /// What single keys cannot tell: members and regions that do not exist.
  private mutating func requireFit() {
    self.requireRegions()
    guard !self.isMistaken("members.count"), !self.isMistaken("region") else { return }
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
  }

  private mutating func requireRegions() {
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
