// Goal: what was erased on the ledger is shown to nobody, by no route, and is not written again by an EHR that
// synchronises (RECORDS §4, R7). Method: a service over a store in memory, a ledger that says what is erased, every
// route; the same once more by a service that was started anew.
import FHIR
import HealthRecords
import Primitives
import Synchronization
import Testing

extension MemoryResources {
  func records() -> [Digest] {
    var names: [StoredResource] = []
    self.latest { names.append($0) }
    return names.flatMap { self.versions(type: $0.type, id: $0.id) }.filter { $0.erased == nil }.compactMap(\.record)
  }

  func going(with record: Digest) -> [StoredResource] {
    var names: [StoredResource] = []
    self.latest { names.append($0) }
    return names.flatMap { StoredResource.going(with: record, of: self.versions(type: $0.type, id: $0.id)) }
  }

  func erase(_ record: Digest, remains: (StoredResource) -> StoredResource) throws -> [StoredResource] {
    var names: [StoredResource] = []
    self.latest { names.append($0) }
    let out = names.flatMap { StoredResource.going(with: record, of: self.versions(type: $0.type, id: $0.id)) }
      .map(remains)
    try self.write(out, notes: [])
    return out
  }
}

/// A ledger that says of which records it erased.
final class ErasingLedger: LedgerViews {
  let erased = Mutex<[Digest: Erasure]>([:])
  func erasure(of record: Digest) async -> Erasure? { self.erased.withLock { $0[record] } }
  func consents(of account: Digest, patient: String) async -> [CanonicalJSON] { [] }
  func accesses(
    of account: Digest, patient: String, skipping offset: Int, countMax: Int
  ) async -> (total: Int, page: [CanonicalJSON]) { (0, []) }
  func provenance(
    of account: Digest, names: [String: String], skipping offset: Int, countMax: Int
  ) async -> (total: Int, page: [CanonicalJSON]) { (0, []) }
}

@Suite("Erased resources")
struct ErasureTests {
  private struct Bench {
    let store = MemoryResources()
    let anchoring = FakeLedger()
    let ledger = ErasingLedger()
    var service: FHIRService

    init() throws { self.service = try Self.start(self.store, self.anchoring, self.ledger) }

    static func start(
      _ store: MemoryResources, _ anchoring: FakeLedger, _ ledger: ErasingLedger
    ) throws -> FHIRService {
      let count = Mutex(UInt8(0))
      return try FHIRService(
        store: store, anchoring: anchoring, ledger: ledger, base: "http://h/fhir",
        now: { Timestamp(milliseconds: anchoring.clock.load(ordering: .relaxed)) },
        entropy: { length in
          count.withLock { $0 &+= 1 }
          return Array(repeating: 0, count: length - 1) + [count.withLock { $0 }]
        })
    }

    func send(
      _ method: String, _ url: String, _ body: String = "", ifNoneExist: String? = nil
    ) async -> FHIRResponse {
      let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
      var request = FHIRRequest(
        method: method, path: (halves.first ?? "").split(separator: "/").map(String.init),
        query: halves.count == 2 ? (try? FHIRURL.parameters(halves[1])) ?? [] : [], body: Array(body.utf8))
      request.ifNoneExist = ifNoneExist
      return await self.service.handle(request)
    }

    func names(_ url: String) async -> [String] {
      let entries = await self.send("GET", url).body?["entry"]?.items ?? []
      return entries.compactMap { $0["resource"] }.compactMap { resource in
        resource["id"]?.text.map { "\(resource["resourceType"]?.text ?? "")/\($0)" }
      }.sorted()
    }

    func erase(_ name: String, version: UInt64, by right: Erasure = .patient) async throws {
      let parts = name.split(separator: "/").map(String.init)
      await self.service.keepWaiting()
      let record = try #require(self.store.version(version, type: parts[0], id: parts[1])?.record)
      self.ledger.erased.withLock { $0[record] = right }
      try await self.service.forget(record)
    }
  }

  private static let patient =
    #"{"resourceType":"Patient","id":"p","identifier":"#
    + #"[{"system":"urn:consilium:account","value":"\#(FHIRBench.account)"}]}"#

  private static func observation(_ id: String, _ value: Int) -> String {
    #"{"resourceType":"Observation","id":"\#(id)","status":"final","code":{"text":"secret"},"valueInteger":\#(value),"#
      + #""identifier":[{"system":"urn:lab","value":"n-\#(id)"}],"subject":{"reference":"Patient/p"}}"#
  }

  private static func bench() async throws -> Bench {
    let bench = try Bench()
    _ = await bench.send("PUT", "Patient/p", Self.patient)
    for id in ["a", "b"] { _ = await bench.send("PUT", "Observation/\(id)", Self.observation(id, 1)) }
    return bench
  }

  private static let routes = [
    "Observation", "Observation?_id=a", "Observation?patient=p", "Observation?identifier=n-a",
    "Observation?status=final&_sort=_lastUpdated", "Patient/p/$everything", "Patient?_revinclude=Observation:patient",
    "Observation?patient._id=p",
  ]

  @Test("What was erased is found by no route, also after a restart; the rest is", arguments: routes)
  func shown(_ route: String) async throws {
    var bench = try await Self.bench()
    #expect(await bench.names(route).contains("Observation/a"))
    try await bench.erase("Observation/a", version: 1)
    for _ in 0..<2 {
      let found = await bench.names(route)
      #expect(!found.contains("Observation/a"))
      #expect(found.contains("Observation/b") == !route.hasSuffix("a"))
      bench.service = try Bench.start(bench.store, bench.anchoring, bench.ledger)
    }
  }

  @Test(
    "It answers that it was erased, by whom and when; it is not kept", arguments: [Erasure.patient, .retention, .order])
  func gone(_ right: Erasure) async throws {
    var bench = try await Self.bench()
    try await bench.erase("Observation/a", version: 1, by: right)
    let by = [Erasure.patient: "by the patient", .retention: "by the hospital", .order: "by order of a court"]
    let said = try #require(by[right])
    for _ in 0..<2 {
      for url in ["Observation/a", "Observation/a/_history/1", "Observation/a/_history"] {
        let response = await bench.send("GET", url)
        let text = (response.body?["issue"]?.items ?? []).first?["diagnostics"]?.text ?? ""
        #expect(
          response.status == 410 && text.contains("erased \(said)") && text.contains("2025-06-15"))
      }
      bench.service = try Bench.start(bench.store, bench.anchoring, bench.ledger)
    }
    #expect(bench.store.versions(type: "Observation", id: "a").allSatisfy { $0.body.isEmpty })
  }

  @Test("An EHR that sends it again is told so, under its id or by its identifier; a new resource is a new record")
  func again() async throws {
    var bench = try await Self.bench()
    try await bench.erase("Observation/a", version: 1)
    let anchored = bench.anchoring.lines.count
    let nameless = Self.observation("a", 1).replacing(#""id":"a","#, with: "")
    for _ in 0..<2 {
      #expect(await bench.send("PUT", "Observation/a", Self.observation("a", 1)).status == 410)
      #expect(await bench.send("PUT", "Observation?identifier=n-a", Self.observation("a", 1)).status == 410)
      #expect(await bench.send("PUT", "Observation?identifier=n-a", nameless).status == 410)
      #expect(await bench.send("POST", "Observation", nameless, ifNoneExist: "identifier=n-a").status == 410)
      let entry = #"{"resource":\#(Self.observation("a", 1)),"request":{"method":"PUT","url":"Observation/a"}}"#
      let bundle = #"{"resourceType":"Bundle","type":"transaction","entry":[\#(entry)]}"#
      #expect(await bench.send("POST", "", bundle).status == 410)
      #expect(await bench.send("DELETE", "Observation/a").status == 204)
      #expect(await bench.service.anchorPending() == 0)
      #expect(bench.anchoring.lines.count == anchored)
      bench.service = try Bench.start(bench.store, bench.anchoring, bench.ledger)
    }
    #expect(await bench.send("POST", "Observation", nameless).status == 201)
    #expect(await bench.send("PUT", "Observation/c", Self.observation("c", 1)).status == 201)
    #expect(bench.anchoring.lines.count == anchored + 2)
  }

  @Test(
    "⚑ A condition by an identifier that is another member, or is only in the query, brings nothing erased back",
    arguments: ["identifier=urn:d|m-1", "identifier=m-1", "identifier=other,m-1"])
  func otherIdentifiers(_ condition: String) async throws {
    func document(_ identifier: String, id: String = "") -> String {
      #"{"resourceType":"DocumentReference",\#(id)"status":"current",\#(identifier)"#
        + #""content":[{"attachment":{"title":"x"}}],"subject":{"reference":"Patient/p"}}"#
    }
    let own = #""masterIdentifier":{"system":"urn:d","value":"m-1"},"#
    var bench = try await Self.bench()
    #expect(await bench.send("PUT", "DocumentReference/d", document(own, id: #""id":"d","#)).status == 201)
    _ = await bench.send("PUT", "DocumentReference/gone", document("", id: #""id":"gone","#))
    _ = await bench.send("DELETE", "DocumentReference/gone")
    try await bench.erase("DocumentReference/d", version: 1)
    for _ in 0..<2 {
      for body in [document(own), document(""), document("", id: #""id":"gone","#)] {
        #expect(await bench.send("PUT", "DocumentReference?\(condition)", body).status == 410)
      }
      #expect(await bench.send("POST", "DocumentReference", document(""), ifNoneExist: condition).status == 410)
      bench.service = try Bench.start(bench.store, bench.anchoring, bench.ledger)
    }
    // Another's of the same value is another.
    let other = document(#""identifier":[{"system":"urn:e","value":"m-1"}],"#)
    #expect(await bench.send("PUT", "DocumentReference?identifier=urn:e|m-1", other).status == 201)
  }

  @Test(
    "⚑ What has no identifier is not brought back by a condition on other things; others of its kind are not held up",
    arguments: ["code:text=secret", "_id=a", "patient=p&value-string=x", "patient=Patient/p&status=final"])
  func withoutIdentifiers(_ condition: String) async throws {
    func observation(_ more: String = "", patient: String = "p") -> String {
      #"{"resourceType":"Observation",\#(more)"status":"final","code":{"text":"secret"},"#
        + #""subject":{"reference":"Patient/\#(patient)"}}"#
    }
    var bench = try Bench()
    _ = await bench.send("PUT", "Patient/p", Self.patient)
    _ = await bench.send("PUT", "Patient/q", #"{"resourceType":"Patient","id":"q"}"#)
    _ = await bench.send("PUT", "Observation/a", observation(#""id":"a","#))
    try await bench.erase("Observation/a", version: 1)
    for _ in 0..<2 {
      #expect(await bench.send("PUT", "Observation?\(condition)", observation()).status == 410)
      #expect(await bench.send("POST", "Observation", observation(), ifNoneExist: condition).status == 410)
      bench.service = try Bench.start(bench.store, bench.anchoring, bench.ledger)
    }
    // By an identifier it is told apart, another patient's and another type's are others, and new ones are new.
    #expect(await bench.send("PUT", "Observation?identifier=urn:lab|7", observation()).status == 201)
    #expect(await bench.send("PUT", "Observation?value-string=x", observation(patient: "q")).status == 201)
    let condition = #"{"resourceType":"Condition","code":{"text":"x"},"subject":{"reference":"Patient/p"}}"#
    #expect(await bench.send("PUT", "Condition?code:text=x", condition).status == 201)
    #expect(await bench.send("POST", "Observation", observation()).status == 201)
  }

  @Test("An older version is erased alone, and what no record anchors goes with the record that it belongs to")
  func versions() async throws {
    let bench = try await Self.bench()
    _ = await bench.send("PUT", "Observation/a", Self.observation("a", 2))
    try await bench.erase("Observation/a", version: 1)
    #expect(await bench.send("GET", "Observation/a").status == 200)
    #expect(await bench.send("GET", "Observation/a/_history/1").status == 410)
    #expect(await bench.send("GET", "Observation/a/_history").body?["total"] == .number("1"))
    #expect(await bench.send("PUT", "Observation/a", Self.observation("a", 3)).status == 200)
    bench.anchoring.be(.unreachable)
    #expect(await bench.send("PUT", "Observation/a", Self.observation("a", 4)).status == 200)
    bench.anchoring.be(.sound)
    try await bench.erase("Observation/a", version: 3)
    // The fourth was a correction of what is erased; the second is another record.
    #expect(await bench.send("GET", "Observation/a").status == 410)
    #expect(await bench.send("GET", "Observation/a/_history/2").status == 200)
    #expect(await bench.send("GET", "Observation/a/_history").body?["total"] == .number("2"))
    #expect(await bench.service.anchorPending() == 0)
  }

  @Test("Which versions go with a record")
  func going() {
    let (one, two) = (Digest(words: (1, 0, 0, 0)), Digest(words: (2, 0, 0, 0)))
    func versions(_ records: [Digest?]) -> [StoredResource] {
      records.enumerated().map { place, record in
        StoredResource(
          type: "T", id: "i", version: UInt64(place + 1), ordinal: 0, updated: .zero, body: [1], record: record)
      }
    }
    func going(_ records: [Digest?], with record: Digest) -> [UInt64] {
      StoredResource.going(with: record, of: versions(records)).map(\.version)
    }
    #expect(going([nil, one, nil, two, nil], with: one) == [1, 2])
    #expect(going([nil, one, nil, two, nil], with: two) == [3, 4, 5])
    #expect(going([nil, nil], with: one).isEmpty && going([one], with: two).isEmpty)
    #expect(going([one, one], with: one) == [1, 2])
  }

  @Test("A patient whose own record is erased stays linked: later records and the history go on")
  func patient() async throws {
    var bench = try await Self.bench()
    try await bench.erase("Patient/p", version: 1)
    for id in ["x", "y"] {
      #expect(await bench.send("GET", "Patient/p").status == 410)
      #expect(await bench.send("GET", "AuditEvent?patient=p").status == 200)
      let count = bench.anchoring.lines.count
      #expect(await bench.send("PUT", "Observation/\(id)", Self.observation(id, 1)).status == 201)
      #expect(bench.anchoring.lines.count == count + 1)
      bench.service = try Bench.start(bench.store, bench.anchoring, bench.ledger)
    }
  }

  @Test("What could not be anchored of a patient whose own record is erased is anchored later")
  func patientLater() async throws {
    let bench = try await Self.bench()
    try await bench.erase("Patient/p", version: 1)
    bench.anchoring.be(.unreachable)
    #expect(await bench.send("PUT", "Observation/x", Self.observation("x", 1)).status == 201)
    bench.anchoring.be(.sound)
    #expect(await bench.service.anchorPending() == 1)
  }

  /// What a history says, as `METHOD Type/id/version at seconds`; nil where an entry has content.
  private static func told(_ body: CanonicalJSON?) -> [String?] {
    (body?["entry"]?.items ?? []).map { entry in
      let version = (entry["response"]?["etag"]?.text ?? "").filter(\.isNumber)
      let time = entry["response"]?["lastModified"]?.text ?? ""
      return entry["resource"] == nil
        ? "\(entry["request"]?["method"]?.text ?? "") \(entry["request"]?["url"]?.text ?? "")/\(version) \(time)" : nil
    }
  }

  @Test("⚑ Whoever follows a history learns that something was erased, when it was, and nothing else of it")
  func followed() async throws {
    var bench = try await Self.bench()
    func at(_ seconds: UInt64) -> String {
      let time = 1_750_000_000_000 + 1000 * seconds
      bench.anchoring.clock.store(time, ordering: .relaxed)
      return Timestamp(milliseconds: time).description
    }
    _ = at(10)
    #expect(await bench.send("PUT", "Observation/b", Self.observation("b", 2)).status == 200)
    #expect(await bench.send("PUT", "Observation/c", Self.observation("c", 1)).status == 201)
    let since = at(20)
    #expect(Self.told(await bench.send("GET", "_history?_since=\(since)").body).isEmpty)
    let erased = at(30)
    try await bench.erase("Observation/a", version: 1)
    try await bench.erase("Observation/b", version: 2)
    _ = at(40)
    let gone = ["DELETE Observation/a/1 \(erased)", "DELETE Observation/b/2 \(erased)"]
    for _ in 0..<2 {
      for path in ["_history", "Observation/_history"] {
        let body = await bench.send("GET", "\(path)?_since=\(since)").body
        #expect(Set(Self.told(body)) == Set(gone), "\(path): \(body as Any)")
        let text = String(decoding: body?.canonicalBytes ?? [], as: UTF8.self)
        #expect(!text.contains("secret"))
        // They stand where their time has them, before what was written earlier.
        let whole = await bench.send("GET", path).body
        #expect(Set(Self.told(whole).prefix(2)) == Set(gone))
        #expect(Self.told(whole).dropFirst(2).allSatisfy { $0 == nil })
        let later = Timestamp(milliseconds: 1_750_000_031_000).description
        #expect(Self.told(await bench.send("GET", "\(path)?_since=\(later)").body).isEmpty)
      }
      var (url, seen) = (String?.some("Observation/_history?_count=1"), [String?]())
      while let asked = url, seen.count < 20 {
        let body = await bench.send("GET", asked).body
        seen += Self.told(body)
        let next = body?["link"]?.items?.first { $0["relation"]?.text == "next" }?["url"]?.text
        url = next.map { String($0.dropFirst("http://h/fhir/".count)) }
      }
      #expect(seen.count == 4 && Set(seen.prefix(2)) == Set(gone), "\(seen)")
      let instance = await bench.send("GET", "Observation/b/_history").body
      #expect(Self.told(instance) == [gone[1], nil] && instance?["total"] == .number("2"))
      #expect(await bench.send("GET", "Observation/a/_history?_since=\(since)").status == 410)
      bench.service = try Bench.start(bench.store, bench.anchoring, bench.ledger)
    }
  }

  @Test("What the ledger has not erased stays, and what it erased while nothing ran goes at the start")
  func swept() async throws {
    var bench = try await Self.bench()
    await bench.service.keepWaiting()
    let record = try #require(bench.store.version(1, type: "Observation", id: "a")?.record)
    try await bench.service.forget(record)
    #expect(await bench.send("GET", "Observation/a").status == 200)
    bench.ledger.erased.withLock { $0[record] = .patient }
    bench.service = try Bench.start(bench.store, bench.anchoring, bench.ledger)
    try await bench.service.forgetErased()
    #expect(await bench.send("GET", "Observation/a").status == 410)
    #expect(await bench.send("GET", "Observation/b").status == 200)
  }

  @Test("⚑ What was anchored just before the process was killed, and erased before it ran again, goes too")
  func killed() async throws {
    var bench = try await Self.bench()
    // The draft was durable before it left, and nothing else is.
    let first = try bench.store.version(1, type: "Observation", id: "b")
    #expect(first?.record == nil)
    let line = bench.anchoring.current().first { $0.json["id"]?.text == "b" }
    let record = try #require(line?.record)
    bench.anchoring.erase(record)
    bench.ledger.erased.withLock { $0[record] = .patient }
    bench.service = try Bench.start(bench.store, bench.anchoring, bench.ledger)
    try await bench.service.forgetErased()
    _ = await bench.service.anchorPending()
    #expect(await bench.send("GET", "Observation/b").status == 410)
    await bench.service.keepWaiting()
    let kept = bench.store.versions(type: "Observation", id: "b")
    #expect(kept.allSatisfy { $0.body.isEmpty })
    #expect(await bench.send("GET", "Observation/a").status == 200)
  }
}
