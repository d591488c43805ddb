// Goal: what a result says is so: bounds bound, rates are of the time in which there is load, what was not sent is not
// counted, liars that never lied are named, and the program is recorded. Method: short runs whose truth is known.
import Foundation
import Laboratory
import Primitives
import Simulator
import Testing

private let far = """
  duration = "8 s"
  [workload]
  rate = "50/s"
  until = "7 s"
  members = [2, 3, 4]
  [[region]]
  name = "far"
  members = 1
  [[region]]
  name = "near"
  members = 3
  [[link]]
  from = "far"
  to = "near"
  latency = "100 ms"
  [[fault]]
  kind = "crash"
  at = "1 s"
  members = [1]
  [measure]
  from = "5 s"
  """
private let raft = """
  duration = "4 s"
  engine = "raft"
  [network]
  latency = "50 ms"
  jitter = "0 %"
  [workload]
  rate = "50/s"
  until = "3 s"
  [measure]
  from = "2 s"
  """
private let closed = """
  duration = "2 s"
  [network]
  latency = "20 ms"
  jitter = "0 %"
  [workload]
  kind = "closed"
  clients = 1
  members = [1]
  """
private let detour = """
  duration = "3 s"
  [network]
  jitter = "0 %"
  [workload]
  rate = "50/s"
  until = "2 s"
  [[region]]
  name = "a"
  members = 2
  [[region]]
  name = "b"
  members = 2
  [[region]]
  name = "c"
  members = 3
  [[link]]
  from = "a"
  to = "b"
  latency = "300 ms"
  [[link]]
  from = "a"
  to = "c"
  latency = "10 ms"
  [[link]]
  from = "b"
  to = "c"
  latency = "10 ms"
  """

@Suite("Truth")
struct TruthTests {
  private func run(_ text: String, _ settings: [String] = []) throws -> (run: ScenarioRun, result: ScenarioResult) {
    let run = ScenarioRun(Scenario(try ScenarioFile("title = \"t\"\n" + text, settings: settings)))
    while run.advance() {}
    return (run, run.result())
  }

  @Test(
    "The lower bound of commit latency is one, whoever leads, submits or orders",
    arguments: [far, raft, closed, detour])
  func bound(text: String) throws {
    let result = try self.run(text).result
    let (latency, bound) = (try #require(result.latency), try #require(result.lowerBound))
    #expect(latency.count == bound.count && latency.count > 10)
    for (value, least) in zip(latency.curve, bound.curve) { #expect(value[0] >= least[0], "at \(least[1])") }
    #expect(bound.median > 0)
  }

  @Test("Where members come and go there is no bound, and none is shown")
  func noBound() throws {
    let text = "duration = \"2 s\"\n[workload]\nrate = \"50/s\"\n[[fault]]\nkind = \"join\"\nat = \"500 ms\"\n"
    let result = try self.run(text).result
    #expect(result.lowerBound == nil && result.metric("commit latency lower bound p50") == nil)
  }

  @Test("Throughput is of the time in which there is load, and costs are of what was committed in it")
  func throughput() throws {
    let text = """
      duration = "5 s"
      [workload]
      rate = "200/s"
      until = "3 s"
      [measure]
      from = "1 s"
      """
    let result = try self.run(text).result
    let throughput = try #require(result.metric("throughput"))
    #expect(throughput > 170 && throughput < 230, "\(throughput)")
    let whole = try self.run(text, ["measure.from=0 s"]).result
    let (part, all) = (try #require(result.metric("messages")), try #require(whole.metric("messages")))
    #expect(part == all, "the run is the same")
    let each = try #require(result.metric("messages per transaction"))
    #expect(each * (result.metric("submitted") ?? 0) < part, "what was sent before the window is not in it")
  }

  @Test("What an uplink holds back is not called sent")
  func queued() throws {
    let text = """
      duration = "2 s"
      [network]
      bandwidth = "1 Mbit/s"
      [workload]
      rate = "400/s"
      size = "4 KiB"
      """
    let (run, result) = try self.run(text)
    let sent = result.traffic.reduce(0) { $0 + $1.bytes }
    #expect(sent <= 4 * 2 * 1_000_000 / 8, "four uplinks carry 1 MB in 2 s")
    #expect((result.metric("bytes that an uplink held back") ?? 0) > 0)
    #expect(run.recorder.bytesBySlot.reduce(0, +) == sent)
    #expect((result.metric("waiting at the end") ?? 0) > 0)
  }

  @Test("A liar that never lied is named; one that did is counted")
  func liars() throws {
    func text(_ kind: String) -> String {
      "duration = \"2 s\"\n[workload]\nrate = \"20/s\"\nuntil = \"1 s\"\n[[attacker]]\nmember = 2\nkind = \"\(kind)\"\n"
    }
    let idle = try self.run(text("usurping")).result
    #expect(idle.notes?.count == 1 && idle.notes?.first?.contains("Member 2 is usurping") == true)
    #expect(idle.metric("messages that liars altered") == 0)
    let busy = try self.run(text("silent")).result
    #expect(busy.notes == [] && (busy.metric("messages that liars altered") ?? 0) > 10)
  }

  @Test("Loss is the part that was asked for, also where it is no one-in-so-many", arguments: [5, 40, 70])
  func loss(percent: Int) throws {
    let text = "duration = \"12 s\"\n[network]\nloss = \"\(percent) %\"\n[workload]\nrate = \"50/s\"\n"
    let run = ScenarioRun(Scenario(try ScenarioFile("title = \"t\"\n" + text)))
    var arrived = 0.0
    run.cluster.onArrival = { _, _, _ in arrived += 1 }
    while run.advance() {}
    let sent = Double(run.result().traffic.reduce(0) { $0 + $1.messages })
    #expect(abs(1 - arrived / sent - Double(percent) / 100) < 0.05, "\(arrived) of \(sent)")
  }

  @Test("A result names the program that made it, and is the same in every byte when it is made again")
  func reproducible() throws {
    let folders = (0..<2).map { _ in
      FileManager.default.temporaryDirectory.appending(path: "consilium-truth-\(UUID().uuidString)")
    }
    defer { for folder in folders { try? FileManager.default.removeItem(at: folder) } }
    for folder in folders {
      let (run, result) = try self.run("duration = \"500 ms\"\n")
      #expect(Tables.obstacle(at: folder, isReplacing: false) == nil)
      try Tables.write(run, result, to: folder)
      #expect(result.build == BuildIdentity.current && BuildIdentity.current.program.count == 16)
    }
    for name in ["result.json", "report.html", "summary.csv", "transactions.csv", "traffic.ndjson"] {
      let files = try folders.map { try Data(contentsOf: $0.appending(path: name)) }
      #expect(files[0] == files[1], "\(name)")
    }
    #expect(Tables.obstacle(at: folders[0], isReplacing: false)?.contains("--replace") == true)
    #expect(Tables.obstacle(at: folders[0], isReplacing: true) == nil)
    #expect(Tables.obstacle(at: URL(filePath: "/proc/none/here"), isReplacing: true) != nil)
  }

  @Test("A sweep's points are of one program: another's are run again")
  func programs() throws {
    let sweep = try Sweep(scenario: "title = \"a\"\nduration = \"1 s\"\n", grid: ["members.count=1"], seeds: 1)
    let other = BuildIdentity(version: "0.0.1", kind: "release", program: "00")
    #expect(sweep.points[0].name(of: sweep.scenario) != sweep.points[0].name(of: sweep.scenario, by: other))
  }
}
