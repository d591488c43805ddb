// Goal: what `check` calls fine has an effect and means what it says; nonsense is told with its line, its key and a way
// out. Method: one mistake at a time in a file that is otherwise fine; settings that lead nowhere.
import Foundation
import Laboratory
import Testing

/// A way to write nonsense: what is added to a fine file, the key that is told, and a word of what is told.
struct Nonsense: Sendable, CustomTestStringConvertible {
  let added: String
  let key: String
  let word: String
  /// The file's top, where another one is needed.
  var top = "duration = \"10 s\""

  init(_ added: String, _ key: String, _ word: String, top: String = "duration = \"10 s\"") {
    (self.added, self.key, self.word, self.top) = (added, key, word, top)
  }

  var testDescription: String { "\(self.key): \(self.word): \(self.added.replacing("\n", with: "; "))" }
  var text: String { "title = \"a\"\n\(self.top)\n\(self.added)\n" }

  static func fault(_ keys: String, _ key: String, _ word: String) -> Nonsense {
    Nonsense("[[fault]]\n\(keys)", "fault[0]\(key.isEmpty ? "" : ".")\(key)", word)
  }
}

private let times: [Nonsense] = [
  Nonsense("", "duration", "from 1 ms", top: "duration = \"0 s\""),
  Nonsense("", "duration", "from 1 ms to 3650 d", top: "duration = \"4000 d\""),
  Nonsense("[measure]\nfrom = \"11 s\"", "measure.from", "after the end"),
  Nonsense("[measure]\nfrom = \"10 s\"", "measure.from", "no time at all"),
  Nonsense("[measure]\nfrom = \"5 s\"\nuntil = \"4 s\"", "measure.until", "no time at all"),
  Nonsense("[measure]\nuntil = \"11 s\"", "measure.until", "after the end"),
  Nonsense("[measure]\nuntil = \"0 s\"", "measure.until", "from 1 ms"),
  Nonsense("[measure]\nevery = \"0 s\"", "measure.every", "from 1 ms"),
  Nonsense("[measure]\nevery = \"11 s\"", "measure.every", "before the second sample"),
  Nonsense("[measure]\nevery = \"1 ms\"", "measure.every", "samples", top: "duration = \"1000 s\""),
  Nonsense("[workload]\nfrom = \"5 s\"\nuntil = \"4 s\"", "workload.until", "no time at all"),
  Nonsense("[workload]\nfrom = \"11 s\"", "workload.from", "after the end"),
  Nonsense("[workload]\nuntil = \"11 s\"", "workload.until", "after the end"),
  Nonsense("[node]\nstatusInterval = \"0 s\"", "node.statusInterval", "from 1 ms"),
  Nonsense("[network]\nlatency = \"0 ms\"", "network.latency", "from 1 us"),
  Nonsense("[network]\nlatency = \"2 h\"", "network.latency", "to 1 h"),
  Nonsense("[network]\nbandwidth = \"1 bit/s\"", "network.bandwidth", "from 10 kbit/s"),
  Nonsense("[network]\nloss = \"100 %\"", "network.loss", "to 90 %"),
]

private let values: [Nonsense] = [
  Nonsense("[node]\nviewTimeoutMin = \"90 s\"", "node.viewTimeoutMin", "is more than"),
  Nonsense("[node]\nviewTimeoutMax = \"1 s\"", "node.viewTimeoutMax", "is more than"),
  Nonsense("[node]\nelectionTimeoutMin = \"1 ms\"", "node.electionTimeoutMin", "between a leader's words"),
  Nonsense("[node]\nheartbeatInterval = \"2 s\"", "node.heartbeatInterval", "between a leader's words"),
  Nonsense("[workload]\nsize = \"2 MiB\"", "workload.size", "no node takes it"),
  Nonsense("[workload]\nsize = \"64 KiB\"", "workload.size", "no node takes it"),
  Nonsense("[workload]\nsize = \"0 B\"", "workload.size", "from 1 B"),
  Nonsense("[ledger]\ntransactionBytesMax = \"128 B\"", "ledger.transactionBytesMax", "no node takes it"),
  Nonsense("[ledger]\nblockBytesMax = \"1 B\"", "ledger.blockBytesMax", "from 1 KiB"),
  Nonsense("[ledger]\nblockBytesMax = \"32 KiB\"", "ledger.blockBytesMax", "cannot hold a transaction"),
  Nonsense("[ledger]\nblockBytesMax = \"5 MiB\"", "ledger.blockBytesMax", "to 4 MiB"),
  Nonsense("[ledger]\nblockBytesMax = \"4 MiB\"", "ledger.cutTransactionsMax", "would not fit a cut"),
  Nonsense("[ledger]\ncutTransactionsMax = 1", "ledger.cutTransactionsMax", "would not fit a cut"),
  Nonsense("[workload]\nrate = \"0/s\"", "workload.rate", "from 1/d"),
  Nonsense("[workload]\nrate = \"9000000/s\"", "workload.rate", "more than a run keeps"),
  Nonsense("[workload]\nkind = \"closed\"\nrate = \"5/s\"", "workload.rate", "means nothing"),
  Nonsense("[workload]\nclients = 5", "workload.clients", "means nothing"),
  Nonsense("[workload]\nkind = \"none\"\nsize = \"32 B\"", "workload.size", "means nothing"),
  Nonsense("[workload]\nperiod = \"5 s\"", "workload.period", "no period"),
  Nonsense("[workload]\nmembers = []", "workload.members", "names nobody"),
  Nonsense("[workload]\nmembers = [1, 1]", "workload.members", "twice"),
  Nonsense("[expect]\nviewsMax = 1\nviewsMin = 3", "expect.viewsMin", "nothing is over it"),
  Nonsense("[expect]\npauseMax = \"1 s\"\npauseMin = \"3 s\"", "expect.pauseMin", "nothing is over it"),
  Nonsense("[expect]\npauseMin = \"11 s\"", "expect.pauseMin", "the run is shorter"),
  Nonsense("[expect]\nlatencyMax = \"0 s\"", "expect.latencyMax", "from 1 us"),
  Nonsense(
    "[workload]\nkind = \"none\"\n[expect]\ncommittedMin = \"9 %\"", "expect.committedMin", "is submitted"),
  Nonsense("", "title", "a text", top: "duration = \"1 s\"\n[members]\ncount = 4").withoutTitle,
]

private let places: [Nonsense] = [
  Nonsense(
    "[members]\ncount = 4\n[[region]]\nname = \"a\"\nmembers = 7", "members.count", "regions say how many"),
  Nonsense(
    "[[region]]\nname = \"a\"\nmembers = 2\n[[region]]\nname = \"a\"\nmembers = 2", "region[1].name", "two regions"),
  Nonsense(
    "[[region]]\nname = \"a\"\nmembers = 2\n[[region]]\nname = \"b\"\nmembers = 2\n"
      + "[[link]]\nfrom = \"a\"\nto = \"b\"\nlatency = \"3 ms\"\n"
      + "[[link]]\nfrom = \"b\"\nto = \"a\"\nlatency = \"30 ms\"",
    "link[1]", "already"),
  Nonsense(
    "[[region]]\nname = \"a\"\nmembers = 4\n[[link]]\nfrom = \"a\"\nto = \"a\"\nlatency = \"3 ms\"", "link[0].to",
    "comes from"),
  Nonsense("[network]\ntable = \"aws\"", "network.table", "there are none"),
  Nonsense("[fault]\nkind = \"crash\"\nat = \"1 s\"", "fault", "two brackets"),
  Nonsense("[netwrok]", "netwrok", "did you mean network?"),
  Nonsense("", "fault[0]", "no table", top: "duration = \"1 s\"\nfault = [1]"),
]

private let faults: [Nonsense] = [
  .fault("kind = \"crash\"\nat = \"500 s\"", "at", "after the end"),
  .fault("kind = \"crash\"\nat = \"1 s\"\nfor = \"1 s\"\nevery = \"0 s\"", "every", "from 1 ms"),
  .fault("kind = \"crash\"\nat = \"1 s\"\nfor = \"2 s\"\nevery = \"1 s\"", "every", "before it is over"),
  .fault(
    "kind = \"crash\"\nat = \"5 s\"\nfor = \"1 s\"\nevery = \"2 s\"\nuntil = \"3 s\"", "until", "before it begins"),
  .fault("kind = \"crash\"\nat = \"5 s\"\nfor = \"1 s\"\nevery = \"2 s\"\nuntil = \"30 s\"", "until", "after the end"),
  .fault("kind = \"crash\"\nat = \"5 s\"\nuntil = \"6 s\"", "until", "nothing is repeated"),
  .fault("kind = \"crash\"\nat = \"1 s\"\nfor = \"0 s\"", "for", "from 1 ms"),
  .fault("kind = \"crash\"\nat = \"1 s\"\nfactor = 3", "factor", "means nothing to \"crash\""),
  .fault("kind = \"crash\"\nat = \"1 s\"\nloss = \"3 %\"", "loss", "means nothing to \"crash\""),
  .fault("kind = \"crash\"\nat = \"1 s\"\ngroups = [[1], [2]]", "groups", "means nothing to \"crash\""),
  .fault("kind = \"loss\"\nat = \"1 s\"\nmembers = [1]", "members", "means nothing to \"loss\""),
  .fault("kind = \"join\"\nat = \"1 s\"\nevery = \"2 s\"", "every", "means nothing to \"join\""),
  .fault("kind = \"step-down\"\nat = \"1 s\"\nfor = \"2 s\"", "for", "means nothing to \"step-down\""),
  .fault("kind = \"partition\"\nat = \"1 s\"", "", "two sides"),
  .fault("kind = \"partition\"\nat = \"1 s\"\ngroups = [[1, 2], [2, 3]]", "groups", "member 2 twice"),
  .fault("kind = \"partition\"\nat = \"1 s\"\ngroups = [[1, 2], []]", "groups", "names nobody"),
  .fault("kind = \"cut\"\nat = \"1 s\"\ngroups = [[1], [2]]\nmembers = [3]", "members", "in groups already"),
  .fault(
    "kind = \"crash\"\nat = \"1 s\"\nmembers = [5]\n[[fault]]\nkind = \"join\"\nat = \"3 s\"", "at", "not there yet"),
]

private let attackers: [Nonsense] = [
  Nonsense(
    "[[attacker]]\nmember = 1\nkind = \"silent\"", "attacker[0]", "Raft promises nothing",
    top: "duration = \"10 s\"\nengine = \"raft\""),
  Nonsense(
    "[[attacker]]\nmember = 1\nkind = \"silent\"\n[[attacker]]\nmember = 2\nkind = \"silent\"", "attacker[1]",
    "more than f = 1"),
  Nonsense("[[attacker]]\nmember = 1\nkind = \"silent\"\nfrom = \"11 s\"", "attacker[0].from", "after the end"),
  Nonsense("[[attacker]]\nmember = 1\nkind = \"twin\"\nfrom = \"1 s\"", "attacker[0].from", "from the beginning"),
  Nonsense(
    "[[attacker]]\nmember = 1\nkind = \"silent\"\n[[attacker]]\nmember = 1\nkind = \"lying\"", "attacker[1]",
    "in another way"),
  Nonsense("[[attacker]]\nmember = 77\nkind = \"silent\"", "attacker[0].member", "members 1 to 4"),
]

extension Nonsense {
  /// With an empty title.
  fileprivate var withoutTitle: Nonsense { Nonsense("title = \"\"", self.key, self.word, top: "") }
}

@Suite("Nonsense")
struct SenseTests {
  private func mistakes(_ text: String, settings: [String] = []) -> [ScenarioMistake] {
    do throws(ScenarioMistakes) {
      _ = try ScenarioFile(text, settings: settings)
      return []
    } catch { return error.mistakes }
  }

  @Test("It is refused with its key, its line and a way out", arguments: times + values + places + faults + attackers)
  func refused(nonsense: Nonsense) throws {
    let text = nonsense.key == "title" ? "duration = \"1 s\"\n\(nonsense.added)\n" : nonsense.text
    let found = self.mistakes(text)
    let told = try #require(found.first { $0.key == nonsense.key }, "\(found)")
    #expect(told.description.contains(nonsense.word))
    #expect(told.line > 0 && !told.remedy.isEmpty)
    #expect(found.count == 1, "only that: \(found)")
  }

  @Test("What looks like it and is not stays fine")
  func fine() {
    let ways = [
      "[[attacker]]\nmember = 1\nkind = \"silent\"\n[[attacker]]\nmember = 2\nkind = \"silent\"\n"
        + "[expect]\npauseMin = \"5 s\"",
      "[[attacker]]\nmember = 1\nkind = \"silent\"\n[[attacker]]\nmember = 1\nkind = \"lying\"\nfrom = \"5 s\"",
      "[ledger]\ntransactionBytesMax = \"1 MiB\"\n[workload]\nsize = \"900 KiB\"",
      "[[fault]]\nkind = \"cut\"\nat = \"1 s\"",
      "[[fault]]\nkind = \"join\"\nat = \"3 s\"\n[[fault]]\nkind = \"crash\"\nat = \"4 s\"\nmembers = [5]",
      "[workload]\nrate = \"1e3/s\"",
      "[network]\nbandwidth = \"0 bit/s\"",
    ]
    for way in ways { #expect(self.mistakes("title = \"a\"\nduration = \"10 s\"\n\(way)\n") == [], "\(way)") }
  }

  @Test("A line that is no TOML hides no other mistake")
  func broken() {
    let found = self.mistakes("title = \"a\"\nduration = \"0 s\"\n[network\n[workload]\nrate = = 3\nclients = 4\n")
    #expect(found.map(\.line) == [2, 3, 5, 6])
  }

  private let one = "title = \"a\"\nduration = \"10 s\"\n[[fault]]\nkind = \"crash\"\nat = \"1 s\"\nfor = \"1 s\"\n"

  @Test(
    "A setting that leads nowhere is refused",
    arguments: [
      "fault[1].at=1 s", "fault[7].kind=power", "fault.at=1 s", "fault[00].at=1 s", "members[0].count=4",
      "link[0].latency=1 ms", "title[0]=b",
    ])
  func nowhere(setting: String) throws {
    let found = self.mistakes(self.one, settings: [setting])
    #expect(found.count == 1)
    #expect(found.first?.line == 0)
    #expect(found.first?.key == String(setting.prefix { $0 != "=" }))
  }

  @Test("A setting of an entry that is there counts; one that is given twice is refused")
  func settings() throws {
    let file = try ScenarioFile(self.one, settings: ["fault[0].at=2 s"])
    #expect(file.effective.contains { $0.path == "fault[0].at" && $0.value == "2 s" })
    #expect(self.mistakes(self.one, settings: ["seed=1", "seed=2"]).first?.what == "it is set twice")
  }

  @Test("A sweep over what is not there, over one value twice or over the seed is refused; lists are swept whole")
  func sweeps() throws {
    for grid in [["fault[1].at=1 s,2 s"], ["seed=1,2"], ["members.count=4,4"], ["members.count=4", "members.count=7"]] {
      #expect(throws: ScenarioMistakes.self, "\(grid)") { try Sweep(scenario: self.one, grid: grid, seeds: 1) }
    }
    let sweep = try Sweep(scenario: self.one, grid: ["workload.members=[1,2],[3]"], seeds: 1)
    #expect(sweep.points.map(\.settings) == [["workload.members=[1,2]"], ["workload.members=[3]"]])
  }
}
