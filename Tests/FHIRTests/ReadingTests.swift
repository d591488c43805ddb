// Goal: whoever is shown anything of a linked patient by this hospital's own store has left a trace before the answer
// leaves, by whatever route (RECORDS §7, R5). Method: every route against a log in memory, and against one that fails.
import FHIR
import HealthRecords
import Primitives
import Synchronization
import Testing

@Suite("Readings of the hospital's own store")
struct ReadingTests {
  private final class MemoryLog: ReadingLog {
    struct Full: Error {}
    let kept = Mutex<[LocalReading]>([])
    let isFull = Atomic<Bool>(false)
    var intervalMilliseconds: UInt64 { 900_000 }
    func note(_ readings: [LocalReading]) async throws {
      guard !self.isFull.load(ordering: .relaxed) else { throw Full() }
      self.kept.withLock { $0 += readings }
    }
    func readings(of patient: Digest, _ question: ReadingQuestion) async -> ReadingPage {
      ReadingPage(lines: self.kept.withLock { $0.filter { $0.patient == patient } }, next: nil)
    }
    func counts(of patient: Digest) async -> [(interval: UInt64, count: Int)] { [] }
  }

  private struct Bench {
    let log = MemoryLog()
    let service: FHIRService
    static let doctor = Digest(words: (9, 9, 9, 9))

    init() throws {
      self.service = try FHIRService(
        store: MemoryResources(), anchoring: FakeLedger(), readings: self.log, base: "http://h/fhir",
        now: { Timestamp(milliseconds: 1_750_000_000_000) }, entropy: { Array(repeating: 7, count: $0) })
    }

    func send(
      _ method: String, _ url: String, _ body: String = "", ifNoneExist: String? = nil, ifMatch: String? = nil
    ) async -> FHIRResponse {
      let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
      var request = FHIRRequest(
        method: method, path: (halves.first ?? "").split(separator: "/").map(String.init),
        query: halves.count == 2 ? (try? FHIRURL.parameters(halves[1])) ?? [] : [], body: Array(body.utf8))
      (request.ifNoneExist, request.ifMatch) = (ifNoneExist, ifMatch)
      request.asker = FHIRAsker(account: Self.doctor, client: "app", scopes: .everything)
      return await self.service.handle(request)
    }
  }

  private static let observation =
    #"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"},"#
    + #""identifier":[{"value":"n"}]}"#

  private static func bench() async throws -> Bench {
    let bench = try Bench()
    let account = #""identifier":[{"system":"urn:consilium:account","value":"\#(FHIRBench.account)"}]"#
    _ = await bench.send("PUT", "Patient/p", #"{"resourceType":"Patient","id":"p",\#(account)}"#)
    _ = await bench.send("PUT", "Observation/o", Self.observation)
    _ = await bench.send("PUT", "Patient/unlinked", #"{"resourceType":"Patient","id":"unlinked"}"#)
    _ = await bench.send(
      "PUT", "Appointment/t",
      #"{"resourceType":"Appointment","id":"t","status":"booked","participant":[{"status":"accepted","#
        + #""actor":{"reference":"Patient/p"}}]}"#)
    _ = await bench.send(
      "PUT", "Slot/s",
      #"{"resourceType":"Slot","id":"s","status":"free","#
        + #""schedule":{"reference":"Schedule/1"},"start":"2025-01-01T00:00:00Z","end":"2025-01-01T01:00:00Z"}"#)
    #expect(bench.log.kept.withLock { $0.isEmpty }, "who writes is shown nothing")
    return bench
  }

  struct Route: Sendable {
    let method: String
    let url: String
    let interaction: LocalReading.Interaction
    let types: [String]
    var body = ""
    var ifNoneExist: String?
  }

  private static func bundle(_ type: String) -> String {
    #"{"resourceType":"Bundle","type":"\#(type)","entry":[{"request":{"method":"GET","url":"Observation/o"}}]}"#
  }

  private static let routes = [
    Route(method: "GET", url: "Observation/o", interaction: .read, types: ["Observation"]),
    Route(method: "GET", url: "Patient/p", interaction: .read, types: ["Patient"]),
    Route(method: "GET", url: "Appointment/t", interaction: .read, types: ["Appointment"]),
    Route(method: "GET", url: "Observation/o/_history/1", interaction: .read, types: ["Observation"]),
    Route(method: "GET", url: "Observation/o/_history", interaction: .history, types: ["Observation"]),
    Route(method: "GET", url: "Observation", interaction: .search, types: ["Observation"]),
    Route(method: "POST", url: "Observation/_search", interaction: .search, types: ["Observation"]),
    Route(
      method: "GET", url: "Observation?_include=Observation:patient", interaction: .search,
      types: ["Observation", "Patient"]),
    Route(
      method: "GET", url: "Patient?_id=p&_revinclude=Observation:patient", interaction: .search,
      types: ["Observation", "Patient"]),
    Route(
      method: "GET", url: "Patient/p/$everything", interaction: .everything,
      types: ["Appointment", "Observation", "Patient"]),
    Route(method: "POST", url: "", interaction: .read, types: ["Observation"], body: bundle("batch")),
    Route(method: "POST", url: "", interaction: .read, types: ["Observation"], body: bundle("transaction")),
    Route(
      method: "POST", url: "Observation", interaction: .search, types: ["Observation"], body: observation,
      ifNoneExist: "identifier=n"),
  ]

  @Test("Every route by which something of a linked patient is shown leaves a line", arguments: routes)
  func noted(_ route: Route) async throws {
    let bench = try await Self.bench()
    let response = await bench.send(route.method, route.url, route.body, ifNoneExist: route.ifNoneExist)
    #expect(response.status == 200)
    let line = try #require(bench.log.kept.withLock { $0 }.first)
    #expect(bench.log.kept.withLock { $0.count } == 1)
    #expect(line.reader == Bench.doctor && line.client == "app" && line.patient.description == FHIRBench.account)
    #expect(line.interaction == route.interaction && line.types == route.types)
    #expect(!line.request.isEmpty && line.time == Timestamp(milliseconds: 1_750_000_000_000))
  }

  @Test("What cannot be noted is not shown", arguments: routes)
  func refused(_ route: Route) async throws {
    let bench = try await Self.bench()
    bench.log.isFull.store(true, ordering: .relaxed)
    let response = await bench.send(route.method, route.url, route.body, ifNoneExist: route.ifNoneExist)
    let inner = (response.body?["entry"]?.items ?? []).first?["response"]?["status"]?.text
    #expect(response.status == 503 || inner == "503")
    let text = String(decoding: response.body?.canonicalBytes ?? [], as: UTF8.self)
    #expect(!text.contains("Patient/p"))
  }

  @Test(
    "Whoever is shown nothing of a linked patient leaves no line",
    arguments: [
      "Observation/other", "Observation?status=preliminary", "Observation?_summary=count", "Patient/unlinked", "Slot",
      "metadata", "Patient?_id=unlinked",
    ])
  func unnoted(_ url: String) async throws {
    let bench = try await Self.bench()
    _ = await bench.send("GET", url)
    #expect(bench.log.kept.withLock { $0.isEmpty })
  }

  @Test(
    "⚑ A count of what meets a condition tells the chart: it leaves a line, whatever its page shows",
    arguments: [
      "Observation?patient=p&status=final&_summary=count", "Observation?patient=p&_count=0",
      "Observation?_id=o&_offset=50", "Appointment?actor=Patient/p&_count=0", "Patient?_id=p&_summary=count",
      "Observation?patient._id=p&_summary=count", "Observation/_search?patient=p&_summary=count",
    ])
  func counted(_ url: String) async throws {
    let bench = try await Self.bench()
    let response = await bench.send(url.contains("_search") ? "POST" : "GET", url)
    #expect(response.body?["total"] == .number("1") && response.body?["entry"] == nil)
    let lines = bench.log.kept.withLock { $0 }
    let type = String(url.prefix { $0 != "/" && $0 != "?" })
    #expect(lines.map(\.patient.description) == [FHIRBench.account] && lines.first?.types == [type])
  }

  private static let real = #"{"system":"urn:consilium:account","value":"\#(FHIRBench.account)"}"#
  private static let masked =
    #"{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:consilium:account","value":"ab"},\#(real)]}"#

  @Test(
    "⚑ A link that is taken away, a patient who is deleted, a value that hides the link: the reading leaves its line",
    arguments: [
      ("PUT", #"{"resourceType":"Patient","id":"p"}"#), ("DELETE", ""), ("PUT", masked),
    ], ["Observation/o", "Appointment/t", "Observation?_id=o", "Observation/o/_history"])
  func unlinked(_ change: (method: String, body: String), _ url: String) async throws {
    let bench = try await Self.bench()
    #expect(await bench.send(change.method, "Patient/p", change.body).status < 300)
    #expect(await bench.send("GET", url).status == 200)
    #expect(bench.log.kept.withLock { $0.map(\.patient.description) } == [FHIRBench.account])
  }

  private static func written(_ id: String, _ status: String = "final", _ more: String = "") -> String {
    #"{"resourceType":"Observation","id":"\#(id)",\#(more)"status":"\#(status)","code":{"text":"x"},"#
      + #""subject":{"reference":"Patient/p"}}"#
  }

  struct Oracle: Sendable {
    let method: String
    let url: String
    var body = ""
    var ifNoneExist: String?
    var ifMatch: String?
    let status: Int
  }

  private static func transaction(_ entries: String...) -> String {
    #"{"resourceType":"Bundle","type":"transaction","entry":[\#(entries.joined(separator: ","))]}"#
  }
  private static let reference = #""focus":[{"reference":"Observation?patient=p&status=final"}],"#
  private static let twoMatch = #"{"request":{"method":"DELETE","url":"Observation?patient=p&status=final"}}"#
  private static let gone = #"{"request":{"method":"GET","url":"Observation/o/_history/9"}}"#

  /// There are o and o2, both final.
  private static let oracles = [
    Oracle(
      method: "POST", url: "Observation", body: written("x"), ifNoneExist: "patient=p&status=final", status: 412),
    Oracle(
      method: "POST", url: "Observation", body: written("x"), ifNoneExist: "patient=p&status=amended", status: 201),
    Oracle(method: "PUT", url: "Observation?patient=p&status=final", body: written("x"), status: 412),
    Oracle(method: "PUT", url: "Observation?patient=p&_id=o", body: written("x"), status: 400),
    Oracle(method: "PUT", url: "Observation?patient=p&_id=o", body: written("o"), status: 200),
    Oracle(method: "PUT", url: "Observation?status=amended", body: written("o"), status: 409),
    Oracle(method: "DELETE", url: "Observation?patient=p&status=final", status: 412),
    Oracle(method: "DELETE", url: "Observation?patient=p&status=amended", status: 204),
    Oracle(method: "DELETE", url: "Observation?_id=o&status=amended", status: 204),
    Oracle(method: "PUT", url: "Observation/o", body: written("o"), ifMatch: #"W/"9""#, status: 412),
    Oracle(method: "DELETE", url: "Observation/o", ifMatch: #"W/"9""#, status: 412),
    Oracle(method: "POST", url: "Observation", body: written("x", "final", reference), status: 412),
    Oracle(method: "GET", url: "Observation/o/_history/9", status: 404),
    Oracle(method: "GET", url: "Observation?patient=p&status=amended&_summary=count", status: 200),
    Oracle(method: "GET", url: "Observation?_id=o&status=amended", status: 200),
    Oracle(method: "GET", url: "Observation?identifier=n&status=amended", status: 200),
    Oracle(method: "GET", url: "Observation?subject:Patient._id=p&status=amended", status: 200),
    Oracle(method: "POST", url: "", body: transaction(twoMatch), status: 412),
    Oracle(method: "POST", url: "", body: transaction(gone), status: 404),
  ]

  @Test(
    "⚑ Conditions that hold or do not, and versions that are there or not, tell of a patient: each leaves a line",
    arguments: oracles)
  func told(_ oracle: Oracle) async throws {
    let bench = try await Self.bench()
    _ = await bench.send("PUT", "Observation/o2", Self.written("o2"))
    func ask() async -> Int {
      await bench.send(
        oracle.method, oracle.url, oracle.body, ifNoneExist: oracle.ifNoneExist, ifMatch: oracle.ifMatch
      ).status
    }
    // What cannot be noted is not told, and nothing is written.
    bench.log.isFull.store(true, ordering: .relaxed)
    #expect(await ask() == 503)
    bench.log.isFull.store(false, ordering: .relaxed)
    #expect(bench.log.kept.withLock { $0.isEmpty })
    #expect(await ask() == oracle.status)
    let lines = bench.log.kept.withLock { $0 }
    #expect(Set(lines.map(\.patient.description)) == [FHIRBench.account], "\(lines)")
    #expect(lines.allSatisfy { $0.types == ["Observation"] && $0.reader == Bench.doctor }, "\(lines)")
  }

  @Test(
    "⚑ The log has no values: what was asked says the type and the names of parameters that there are",
    arguments: [
      ("Observation?patient=p&code=86406008-HIV", "Observation?patient&code"),
      ("Observation?code:text=HIV&patient=p&HIV=1&_count=0", "Observation?code&patient&_count"),
      ("Observation/o", "Observation/o"),
    ])
  func unsaid(_ url: String, _ asked: String) async throws {
    let bench = try await Self.bench()
    let halves = (url + "?").split(separator: "?").map(String.init)
    var request = FHIRRequest(
      method: "GET", path: halves[0].split(separator: "/").map(String.init),
      query: halves.count == 2 ? (try? FHIRURL.parameters(halves[1])) ?? [] : [])
    // What is left out does not stand there, either.
    request.prefer = "handling=lenient"
    _ = await bench.service.handle(request)
    #expect(bench.log.kept.withLock { $0.map(\.request) } == [asked])
    _ = await bench.send("POST", "Observation", Self.observation, ifNoneExist: "patient=p&code=HIV")
    #expect(bench.log.kept.withLock { !$0.contains { $0.request.contains("HIV") } })
    let old = LocalReading(
      patient: .zero, reader: nil, client: nil, interaction: .search, types: [],
      request: "Condition?patient=q9&code=86406008-HIV", time: .zero)
    #expect(old.question == "Condition?patient&code")
  }

  @Test("⚑ Where a version's number is expected, nothing else is kept, and what is kept is cut by bytes")
  func long() async throws {
    let bench = try await Self.bench()
    let letter = "a" + String(repeating: "\u{301}", count: 40)
    let url = "Patient/p/_history/" + String(repeating: letter, count: 110)
    #expect(await bench.send("GET", url).status == 404)
    #expect(await bench.send("GET", "Patient/p/_history/07").status == 404)
    #expect(bench.log.kept.withLock { $0.map(\.request) } == ["Patient/p/_history/", "Patient/p/_history/7"])
    for (text, count) in [(letter, 511), ("🙂", 512), ("x", 512), ("é", 512)] {
      let line = LocalReading(
        patient: .zero, reader: nil, client: nil, interaction: .read, types: [],
        request: String(repeating: text, count: 600), time: .zero)
      #expect(line.request.utf8.count == count, "\(text): \(line.request.utf8.count)")
    }
  }

  @Test("⚑ A subject without a type is refused: it would be found as a patient's, and be nobody's")
  func typeless() async throws {
    let bench = try await Self.bench()
    let body = Self.written("g").replacing("Patient/p", with: "p")
    #expect(await bench.send("PUT", "Observation/g", body).status == 422)
    #expect(await bench.send("GET", "Observation/g").status == 404)
  }

  @Test("One transaction does not change and delete one resource, be it there or not", arguments: ["o", "fresh"])
  func twice(_ id: String) async throws {
    let bench = try await Self.bench()
    let put = #"{"resource":\#(Self.written(id)),"request":{"method":"PUT","url":"Observation/\#(id)"}}"#
    let delete = #"{"request":{"method":"DELETE","url":"Observation/\#(id)"}}"#
    #expect(await bench.send("POST", "", Self.transaction(put, delete)).status == 400)
  }
}
