// Goal: a scenario file means what it says, every mistake in one is told with its line and remedy, and a run is a
// function of file and seed. Method: files with mistakes; all scenarios of the project; runs compared by their traces.
import Foundation
import Laboratory
import Primitives
import Simulator
import Testing

private let scenarios = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent().appending(path: "Simulations/scenarios")

private func mistakes(_ text: String) -> [ScenarioMistake] {
  do throws(ScenarioMistakes) {
    _ = try ScenarioFile(text)
    return []
  } catch { return error.mistakes }
}

@Suite("Quantities")
struct QuantityTests {
  @Test(
    "Spans, sizes, rates, bandwidths and parts are read in their units",
    arguments: [("10 ms", 10_000_000), ("1.5 s", 1_500_000_000), ("250us", 250_000), ("2 d", 172_800_000_000_000)])
  func spans(text: String, nanoseconds: UInt64) {
    #expect(Quantity.span(text) == Span(nanoseconds: nanoseconds))
  }

  @Test("What is no quantity is refused", arguments: ["", "10", "ms", "-1 ms", "1e400 s", "10 parsecs", "nan s"])
  func refused(text: String) {
    #expect(Quantity.span(text) == nil)
  }

  @Test("The other kinds")
  func kinds() {
    #expect(Quantity.bytes("64 KiB") == 65_536)
    #expect(Quantity.rate("120/min") == 2)
    #expect(Quantity.bitsPerSecond("100 Mbit/s") == 100_000_000)
    #expect(Quantity.percent("2.5 %") == 0.025)
    #expect(Quantity.percent("101 %") == nil)
  }
}

@Suite("Scenario files")
struct ScenarioFileTests {
  @Test("Every mistake is told at once, with its line, its key and the nearest word")
  func allMistakes() {
    let found = mistakes(
      """
      title = "wrong"
      duration = "10 parsecs"
      enginee = "pbft"

      [network]
      latncy = "1 ms"

      [[fault]]
      kind = "crsh"
      at = "1 s"
      members = [9]
      """)
    let told = found.map(\.description)
    #expect(found.map(\.line) == [2, 3, 6, 9, 11])
    #expect(told[1].contains("did you mean engine?"))
    #expect(told[2].contains("did you mean network.latency?"))
    #expect(told[3].contains("did you mean \"crash\"?"))
    #expect(told[4].contains("members 1 to 4"))
  }

  @Test("A section that there is not has its line, and a section that is written as a key its keys")
  func sections() {
    let found = mistakes(
      """
      title = "Mine"
      duration = "1 s"
      members = 4

      [[adversary]]
      member = 2

      [[network]]
      loss = "1 %"
      """)
    #expect(found.map(\.line) == [3, 5, 8], "\(found)")
    #expect(found.map(\.key) == ["members", "adversary", "network"])
    #expect(found.first?.remedy.contains("members.count") == true)
    #expect(found.last?.remedy.contains("[network]") == true)
  }

  @Test("A part is rounded down: what is not whole is never 100 %")
  func share() {
    #expect(Quantity.share(1) == "100 %")
    #expect(Quantity.share(6205.0 / 6206) == "99.98 %")
    #expect(Quantity.share(999_999_999.0 / 1_000_000_000) == "99.99 %")
    #expect(Quantity.share(0.57) == "57 %" && Quantity.share(0.29) == "29 %" && Quantity.share(0) == "0 %")
  }

  @Test("What must be given and is not, is told")
  func missing() {
    let keys = mistakes("[[fault]]\nkind = \"crash\"\n").map(\.description)
    #expect(keys.contains { $0.contains("title") && $0.contains("missing") })
    #expect(keys.contains { $0.contains("duration") })
    #expect(keys.contains { $0.contains("fault[0]") && $0.contains("at is missing") })
  }

  @Test("A text that is no TOML names its line")
  func syntax() {
    let found = mistakes("title = \"a\"\nduration = = 3\n")
    #expect(found.count == 1)
    #expect(found.first?.line == 2)
  }

  @Test("A setting stands over the file, and a wrong one is refused")
  func settings() throws {
    let text = "title = \"a\"\nduration = \"1 s\"\n"
    let file = try ScenarioFile(text, settings: ["workload.rate=5/s", "members.count=7"])
    let effective = Dictionary(uniqueKeysWithValues: file.effective.map { ($0.path, $0.value) })
    #expect(effective["workload.rate"] == "5/s")
    #expect(effective["members.count"] == "7")
    #expect(throws: ScenarioMistakes.self) { try ScenarioFile(text, settings: ["members.count=many"]) }
    #expect(throws: ScenarioMistakes.self) { try ScenarioFile(text, settings: ["member.count=4"]) }
  }

  @Test("Every scenario of the project is free of mistakes and begins with what it shows")
  func project() throws {
    let files = try FileManager.default.contentsOfDirectory(at: scenarios, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "toml" }
    #expect(files.count >= 18)
    for file in files {
      let text = try String(contentsOf: file, encoding: .utf8)
      #expect(mistakes(text) == [], "\(file.lastPathComponent)")
      #expect(text.hasPrefix("# "), "\(file.lastPathComponent)")
    }
  }

  @Test("The published schema is the one that the keys give, and is JSON")
  func schema() throws {
    let published = try Data(contentsOf: scenarios.appending(path: "scenario.schema.json"))
    #expect(String(decoding: published, as: UTF8.self) == Schema.json)
    let parsed = try #require(try JSONSerialization.jsonObject(with: published) as? [String: Any])
    let properties = try #require(parsed["properties"] as? [String: Any])
    #expect(properties["network"] != nil && properties["fault"] != nil)
  }
}

@Suite("Runs")
struct ScenarioRunTests {
  private func run(_ settings: [String]) throws -> (run: ScenarioRun, result: ScenarioResult) {
    let text = """
      title = "short"
      duration = "2 s"
      [workload]
      rate = "50/s"
      until = "1 s"
      [[fault]]
      kind = "cut"
      at = "300 ms"
      for = "300 ms"
      groups = [[1], [2, 3]]
      """
    let run = ScenarioRun(Scenario(try ScenarioFile(text, settings: settings)))
    while run.advance() {}
    return (run, run.result())
  }

  @Test("I10: the same file and seed give the same trace, another seed another")
  func determinism() throws {
    let first = try self.run([]).result
    #expect(first.trace == (try self.run([]).result.trace))
    #expect(first.trace != (try self.run(["seed=2"]).result.trace))
    #expect(first.holds)
    #expect(first.metric("committed") == first.metric("submitted"))
  }

  @Test("What a liar breaks on the way is refused as by real nodes: with flipped bits, commits take longer")
  func judged() throws {
    let honest = try self.run([]).result
    let text = """
      title = "liar"
      duration = "2 s"
      [workload]
      rate = "50/s"
      until = "1 s"
      [[attacker]]
      member = 1
      kind = "corrupting"
      """
    let run = ScenarioRun(Scenario(try ScenarioFile(text)))
    while run.advance() {}
    let lied = run.result()
    #expect(lied.holds)
    #expect((lied.metric("commit latency p99") ?? 0) > 2 * (honest.metric("commit latency p99") ?? .infinity))
  }

  @Test("A transaction that no node takes is no scenario, and larger ones are ordered where the ledger allows them")
  func sizes() throws {
    #expect(throws: ScenarioMistakes.self) {
      try ScenarioFile("title = \"a\"\nduration = \"1 s\"\n", settings: ["workload.size=100 KiB"])
    }
    let result = try self.run(["workload.size=100 KiB", "workload.rate=5/s", "ledger.transactionBytesMax=128 KiB"])
      .result
    #expect(result.metric("committed") == result.metric("submitted"))
    #expect((result.metric("committed") ?? 0) > 0)
  }

  @Test("The tables have a row an observation, in both forms, and the page holds every figure")
  func tables() throws {
    let (run, result) = try self.run([])
    let folder = FileManager.default.temporaryDirectory.appending(path: "consilium-laboratory-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try Tables.write(run, result, to: folder)
    for name in ["transactions", "blocks", "samples", "events", "traffic", "summary"] {
      let csv = try String(contentsOf: folder.appending(path: "\(name).csv"), encoding: .utf8)
      let ndjson = try String(contentsOf: folder.appending(path: "\(name).ndjson"), encoding: .utf8)
      #expect(csv.split(separator: "\n").count == ndjson.split(separator: "\n").count + 1, "\(name)")
      for line in ndjson.split(separator: "\n") { _ = try JSONSerialization.jsonObject(with: Data(line.utf8)) }
    }
    let rows = try String(contentsOf: folder.appending(path: "transactions.csv"), encoding: .utf8)
    #expect(Double(rows.split(separator: "\n").count - 1) == result.metric("submitted"))
    let page = try String(contentsOf: folder.appending(path: "report.html"), encoding: .utf8)
    #expect(page.components(separatedBy: "<svg").count > 6)
    #expect(!page.contains("http://") && !page.contains("https://"), "the page opens without a network")
    #expect(try Tables.read(folder).trace == result.trace)
  }

  @Test("A sweep goes on where it stopped, and a point is found by what it is")
  func sweep() throws {
    let text = "title = \"a\"\nduration = \"200 ms\"\n[workload]\nrate = \"20/s\"\n"
    let sweep = try Sweep(scenario: text, grid: ["members.count=1,4", "workload.size=32 B,64 B"], seeds: 1)
    #expect(sweep.points.count == 4)
    let folder = FileManager.default.temporaryDirectory.appending(path: "consilium-sweep-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    for point in sweep.points.prefix(3) { try sweep.run(point, in: folder) }
    #expect(sweep.missing(in: folder) == [sweep.points[3]])
    #expect(try sweep.collect(in: folder).rows == 3)
    // The curve: a point for each of the two sizes at one member, by name, and one for the other.
    let page = try String(contentsOf: folder.appending(path: "sweep.html"), encoding: .utf8)
    #expect(page.contains("members.count=1, p50") && page.contains("members.count=4, p99"))
    #expect(!page.contains("http://") && !page.contains("https://"))
    #expect(throws: ScenarioMistakes.self) { try Sweep(scenario: text, grid: ["members.count=0"], seeds: 1) }
  }
}

@Suite("Published results")
struct PublishedResultTests {
  @Test("gossipsub at the published parameters costs what was published, to the per cent that is claimed")
  func gossipsub() {
    let old = PublishedResult.Gossipsub(.v10, nodes: 100, messages: 10, sources: 5).run(seed: 1)
    let new = PublishedResult.Gossipsub(.v11, nodes: 100, messages: 10, sources: 5).run(seed: 1)
    #expect(abs(old.copies / 6.28 - 1) < 0.05, "v1.0: \(old.copies)")
    #expect(abs(new.copies / 6.74 - 1) < 0.05, "v1.1: \(new.copies)")
    #expect(new.copies > old.copies + 0.2, "whoever floods what it publishes sends more")
    #expect(old.deliveries == 990 && new.deliveries == 990)
  }

  @Test("What is outside its tolerance is not called reproduced")
  func verdicts() {
    typealias Row = PublishedResult.Row
    #expect(Row("a", .equal(6.29, within: 0.05), here: 6.37).verdict == .reproduced)
    #expect(Row("a", .equal(6.29, within: 0.05), here: 4.22).verdict == .differs)
    #expect(Row("a", .near(15.8, within: 10), here: 30).verdict == .differs)
    #expect(Row("a", .atMost(400), here: 401).verdict == .differs)
    #expect(Row("a", .shown(152, "why"), here: 102).verdict == .notCompared)
    let result = PublishedResult(
      title: "t", parameters: "p", deviations: "d",
      rows: [Row("a", .equal(1, within: 0.1), here: 1), Row("b", .equal(1, within: 0.1), here: 2)])
    #expect(!result.isReproduced)
  }
}

@Suite("The example for researchers")
struct ExampleTests {
  private static let root = scenarios.deletingLastPathComponent().deletingLastPathComponent()

  private func text(_ path: String) throws -> String {
    try String(contentsOf: Self.root.appending(path: path), encoding: .utf8)
  }

  @Test("The README shows the program that Scripts/example builds and runs")
  func readme() throws {
    let program = try self.text("Simulations/Example/Sources/Attack/main.swift")
    #expect(try self.text("Simulations/README.md").contains("```swift\n\(program)```\n"))
  }

  @Test("Every product that the example names is one, and holds every module that it imports")
  func products() throws {
    let manifest = try self.text("Package.swift")
    let example = try self.text("Simulations/Example/Package.swift")
    for match in example.matches(of: /\.product\(name: "(\w+)", package: "consilium"\)/) {
      #expect(manifest.contains("name: \"\(match.1)\""), "no product \(match.1)")
    }
    let library = try #require(manifest.firstMatch(of: /name: "ConsiliumSimulator",\s*targets: \[([^\]]*)\]/))
    let program = try self.text("Simulations/Example/Sources/Attack/main.swift")
    for match in program.matches(of: /import (\w+)/) {
      #expect(library.1.contains("\"\(match.1)\""), "\(match.1) is in no product")
    }
  }
}
