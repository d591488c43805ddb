// Goal: a history has each version once, the latest first, at all three levels. Method: versions at known times, pages
// that are followed while others write.
import HealthRecords
import Primitives
import Synchronization
import Testing

@testable import FHIR

@Suite("Histories")
struct HistoryTests {
  private static let start: UInt64 = 1_750_000_000_000

  private static func patient(_ id: String, _ gender: String) -> String {
    #"{"resourceType":"Patient","id":"\#(id)","gender":"\#(gender)"}"#
  }

  /// p at 0 s, 20 s and deleted at 40 s; q at 10 s; an organization at 30 s.
  private static func bench() async throws -> FHIRBench {
    let bench = try FHIRBench()
    func at(_ seconds: UInt64) { bench.ledger.clock.store(Self.start + 1000 * seconds, ordering: .relaxed) }
    at(0)
    await bench.put(Self.patient("p", "male"))
    at(10)
    await bench.put(Self.patient("q", "male"))
    at(20)
    await bench.put(Self.patient("p", "female"))
    at(30)
    await bench.put(#"{"resourceType":"Organization","id":"o"}"#)
    at(40)
    _ = await bench.send("DELETE", "Patient/p")
    return bench
  }

  private static func time(_ seconds: UInt64) -> String {
    Timestamp(milliseconds: Self.start + 1000 * seconds).description
  }

  /// The versions that a history has, as `id/version`.
  private static func versions(_ body: CanonicalJSON?) -> [String] {
    (body?["entry"]?.items ?? []).map { entry in
      let url = (entry["fullUrl"]?.text ?? "").split(separator: "/").last ?? ""
      return "\(url)/\((entry["response"]?["etag"]?.text ?? "").filter(\.isNumber))"
    }
  }

  @Test(
    "Each level has its versions, since a time and at a time",
    arguments: [
      ("Patient/p/_history", "p/3 p/2 p/1"), ("Patient/_history", "p/3 p/2 q/1 p/1"),
      ("_history", "p/3 o/1 p/2 q/1 p/1"),
      ("Organization/_history", "o/1"), ("Observation/_history", ""), ("_history?_count=2", "p/3 o/1"),
      ("_history?_since=@15", "p/3 o/1 p/2"), ("Patient/p/_history?_since=@15", "p/3 p/2"),
      ("Patient/p/_history?_since=@20", "p/3 p/2"), ("Patient/p/_history?_since=@41", ""),
      ("Patient/p/_history?_at=@5", "p/1"), ("Patient/p/_history?_at=@25", "p/2"),
      ("Patient/_history?_at=@15", "q/1 p/1"),
      ("_history?_at=@35", "o/1 p/2 q/1"), ("Patient/p/_history?_count=0", ""),
    ])
  func levels(_ query: String, _ expected: String) async throws {
    let bench = try await Self.bench()
    var url = query
    for seconds in [5, 15, 20, 25, 35, 41] as [UInt64] { url = url.replacing("@\(seconds)", with: Self.time(seconds)) }
    let answer = await bench.send("GET", url)
    #expect(answer.status == 200, "\(answer.body as Any)")
    #expect(answer.body?["type"]?.text == "history")
    #expect(Self.versions(answer.body).joined(separator: " ") == expected)
  }

  @Test(
    "Pages together are everything, once, whatever is written meanwhile",
    arguments: ["Patient/p/_history", "Patient/_history", "_history"])
  func pages(_ first: String) async throws {
    let bench = try await Self.bench()
    let whole = Self.versions(await bench.send("GET", first).body)
    var (url, seen) = (String?.some("\(first)?_count=1"), [String]())
    while let asked = url, seen.count < 20 {
      let body = await bench.send("GET", asked).body
      seen += Self.versions(body)
      bench.ledger.clock.wrappingAdd(1000, ordering: .relaxed)
      await bench.put(Self.patient("p", "other"))
      let next = body?["link"]?.items?.first { $0["relation"]?.text == "next" }?["url"]?.text
      url = next.map { String($0.dropFirst("http://h/fhir/".count)) }
    }
    #expect(seen == whole)
  }

  @Test("A clock that went back loses no version and repeats none")
  func backwards() async throws {
    let bench = try FHIRBench()
    for (seconds, gender) in [(50, "male"), (10, "female"), (30, "other"), (20, "male")] {
      bench.ledger.clock.store(Self.start + 1000 * UInt64(seconds), ordering: .relaxed)
      await bench.put(Self.patient("p", gender))
      await bench.put(Self.patient("q\(seconds)", gender))
    }
    var (url, seen) = (String?.some("Patient/_history?_count=1"), [String]())
    while let asked = url, seen.count < 20 {
      let body = await bench.send("GET", asked).body
      seen += Self.versions(body)
      let next = body?["link"]?.items?.first { $0["relation"]?.text == "next" }?["url"]?.text
      url = next.map { String($0.dropFirst("http://h/fhir/".count)) }
    }
    #expect(seen.count == 8 && Set(seen).count == 8)
    #expect(seen.filter { $0.hasPrefix("p/") } == ["p/4", "p/3", "p/2", "p/1"])
  }

  @Test(
    "What a history does not know is refused",
    arguments: [
      "Patient/p/_history?_since=yesterday", "Patient/_history?_at=x", "_history?_count=-1", "_history?_sort=x",
      "Patient/p/_history?_before=x", "_history?name=x", "Patient/_history?_elements=frob",
    ])
  func refused(_ query: String) async throws {
    let bench = try await Self.bench()
    #expect(await bench.send("GET", query).status == 400)
    #expect(await bench.send("GET", "Nothing/_history").status == 404)
  }

  @Test("What a client has already is not sent again, by its time or its tag")
  func unchanged() async throws {
    let bench = try FHIRBench()
    await bench.put(Self.patient("p", "male"))
    for (seconds, tag, status) in [
      (0, nil, 304), (60, nil, 304), (-60, nil, 200), (60, #"W/"7""#, 200), (-60, #"W/"1""#, 304),
    ]
      as [(Int, String?, Int)]
    {
      var request = FHIRRequest(method: "GET", path: ["Patient", "p"])
      let now = bench.ledger.clock.load(ordering: .relaxed)
      request.ifModifiedSince = Timestamp(milliseconds: UInt64(Int(now) + 1000 * seconds))
      request.ifNoneMatch = tag
      #expect(await bench.service.handle(request).status == status)
    }
  }
}
