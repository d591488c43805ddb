import FHIR
import HealthRecords
import Primitives
import Synchronization
import Testing

/// A service with what is around it.
struct FHIRBench {
  let store: MemoryResources
  let ledger: FakeLedger
  let service: FHIRService
  static let account = String(repeating: "ab", count: 32)

  init(_ views: (any LedgerViews)? = nil, looksBetweenTurns: Int = 4096) throws {
    try self.init(MemoryResources(), FakeLedger(), views, firstIdentifier: 0, looksBetweenTurns)
  }

  /// The same hospital after its process ended, whatever it was doing.
  func killed() throws -> FHIRBench { try FHIRBench(self.store, self.ledger, nil, firstIdentifier: 128) }

  /// The same hospital after its process was stopped in order.
  func restarted() async throws -> FHIRBench {
    await self.service.keepWaiting()
    return try self.killed()
  }

  /// The same hospital with another store.
  func over(_ store: MemoryResources) throws -> FHIRBench {
    try FHIRBench(store, self.ledger, nil, firstIdentifier: 64)
  }

  private init(
    _ store: MemoryResources, _ ledger: FakeLedger, _ views: (any LedgerViews)?, firstIdentifier: UInt8,
    _ looksBetweenTurns: Int = 4096
  ) throws {
    (self.store, self.ledger) = (store, ledger)
    let count = Atomic<UInt8>(firstIdentifier)
    let box = Box(count)
    self.service = try FHIRService(
      store: self.store, anchoring: self.ledger, ledger: views, base: "http://h/fhir",
      looksBetweenTurns: looksBetweenTurns,
      now: { [ledger] in Timestamp(milliseconds: ledger.clock.load(ordering: .relaxed)) },
      entropy: { length in Array(repeating: 0, count: length - 1) + [box.next()] })
  }

  final class Box: Sendable {
    private let count: Atomic<UInt8>
    init(_ count: consuming Atomic<UInt8>) { self.count = count }
    func next() -> UInt8 { self.count.wrappingAdd(1, ordering: .relaxed).newValue }
  }

  func send(
    _ method: String, _ url: String, _ body: String = "", ifMatch: String? = nil, ifNoneExist: String? = nil,
    ifNoneMatch: String? = nil
  ) async -> FHIRResponse {
    let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
    var request = FHIRRequest(
      method: method, path: (halves.first ?? "").split(separator: "/").map(String.init),
      query: halves.count == 2 ? (try? FHIRURL.parameters(halves[1])) ?? [] : [], body: Array(body.utf8))
    (request.ifMatch, request.ifNoneExist, request.ifNoneMatch) = (ifMatch, ifNoneExist, ifNoneMatch)
    return await self.service.handle(request)
  }

  /// The identifiers that a search finds, in its order.
  func found(_ url: String) async -> [String] {
    let bundle = await self.send("GET", url).body
    return (bundle?["entry"]?.items ?? []).compactMap { $0["resource"]?["id"]?.text }
  }

  func put(_ json: String) async {
    guard let value = try? CanonicalJSON(Array(json.utf8)), let type = value["resourceType"]?.text,
      let id = value["id"]?.text
    else {
      Issue.record("no resource: \(json)")
      return
    }
    let response = await self.send("PUT", "\(type)/\(id)", json)
    #expect(response.status == 201 || response.status == 200, "\(response.body?["issue"] as Any)")
  }

  /// A patient here, linked to an account, with the hospital's own number where there is one.
  func link(_ id: String, to account: String = FHIRBench.account, number: String? = nil) async {
    let own = number.map { #",{"system":"mrn","value":"\#($0)"}"# } ?? ""
    await self.put(
      #"{"resourceType":"Patient","id":"\#(id)","identifier":[{"system":"\#(FHIRService.accountSystem)","#
        + #""value":"\#(account)"}\#(own)]}"#)
  }

  /// Waits until something is so.
  func until(_ isSo: () async -> Bool) async {
    while !(await isSo()) { await Task.yield() }
  }

  /// A transaction, or another bundle, of entries.
  func bundle(_ type: String = "transaction", _ entries: String...) async -> FHIRResponse {
    await self.send(
      "POST", "", #"{"resourceType":"Bundle","type":"\#(type)","entry":[\#(entries.joined(separator: ","))]}"#)
  }

  static func observation(_ id: String, _ more: String) -> String {
    #"{"resourceType":"Observation","id":"\#(id)","status":"final",\#(more)}"#
  }
}

@Suite("FHIR")
struct FHIRTests {
  @Test("A number keeps its zeros, versions count, an old one can be read, a deleted one is gone")
  func versions() async throws {
    let bench = try FHIRBench()
    await bench.put(FHIRBench.observation("a", #""code":{"text":"x"},"valueQuantity":{"value":1.50}"#))
    await bench.put(FHIRBench.observation("a", #""code":{"text":"x"},"valueQuantity":{"value":1.5}"#))
    let first = await bench.send("GET", "Observation/a/_history/1")
    #expect(first.body?["valueQuantity"]?["value"] == .number("1.50"))
    #expect(await bench.send("GET", "Observation/a").version == 2)
    #expect(await bench.send("DELETE", "Observation/a").status == 204)
    #expect(await bench.send("GET", "Observation/a").status == 410)
    #expect(await bench.send("GET", "Observation/b").status == 404)
    #expect(await bench.found("Observation").isEmpty)
    #expect(await bench.send("GET", "Observation/a/_history").body?["total"] == .number("3"))
  }

  @Test("Of two that change one version, the second is told so, also inside a transaction, and nothing is lost")
  func conflicts() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p","active":true}"#)
    let change = #"{"resourceType":"Patient","id":"p","active":false}"#
    #expect(await bench.send("PUT", "Patient/p", change, ifMatch: #"W/"1""#).status == 200)
    #expect(await bench.send("PUT", "Patient/p", change, ifMatch: #"W/"1""#).status == 412)
    let bundle = """
      {"resourceType":"Bundle","type":"transaction","entry":[
       {"resource":{"resourceType":"Patient","active":true},"request":{"method":"POST","url":"Patient"}},
       {"resource":\(change),"request":{"method":"PUT","url":"Patient/p","ifMatch":"W/\\"1\\""}}]}
      """
    let answer = await bench.send("POST", "", bundle)
    #expect(answer.status == 412)
    #expect(answer.body?["issue"]?.items?.first?["expression"]?.items?.first?.text == "Bundle.entry[1]")
    #expect(await bench.found("Patient") == ["p"], "the first entry was not written either")
  }

  @Test("Entries of a transaction refer to one another and to what conditions name; a condition must name one")
  func references() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Practitioner","id":"dr","identifier":[{"system":"npi","value":"7"}]}"#)
    func bundle(_ condition: String) -> String {
      """
      {"resourceType":"Bundle","type":"transaction","entry":[
       {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},
        "subject":{"reference":"urn:uuid:2"},"performer":[{"reference":"\(condition)"}]},
        "request":{"method":"POST","url":"Observation"}},
       {"fullUrl":"urn:uuid:2","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}]}
      """
    }
    #expect(await bench.send("POST", "", bundle("Practitioner?identifier=npi|7")).status == 200)
    let patient = await bench.found("Patient")[0]
    let observation = await bench.send("GET", "Observation").body?["entry"]?.items?.first?["resource"]
    #expect(observation?["subject"]?["reference"]?.text == "Patient/\(patient)")
    #expect(observation?["performer"]?.items?.first?["reference"]?.text == "Practitioner/dr")
    #expect(await bench.send("POST", "", bundle("Practitioner?identifier=npi|8")).status == 412)
    #expect(await bench.send("POST", "", bundle("urn:uuid:9")).status == 400)
    #expect(await bench.found("Patient").count == 1)
  }

  @Test("One resource is written once in a transaction")
  func twice() async throws {
    let bench = try FHIRBench()
    let one = #"{"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"PUT","url":"Patient/p"}}"#
    let bundle = #"{"resourceType":"Bundle","type":"transaction","entry":[\#(one),\#(one)]}"#
    #expect(await bench.send("POST", "", bundle).status == 400)
    #expect(await bench.found("Patient").isEmpty)
  }

  @Test("What exists is not made again; two that match are not guessed between")
  func conditionalCreate() async throws {
    let bench = try FHIRBench()
    let one = #"{"resourceType":"Patient","identifier":[{"system":"a","value":"b"}]}"#
    #expect(await bench.send("POST", "Patient", one, ifNoneExist: "identifier=a|b").status == 201)
    #expect(await bench.send("POST", "Patient", one, ifNoneExist: "identifier=a|b").status == 200)
    #expect(await bench.send("POST", "Patient", one).status == 201)
    #expect(await bench.send("POST", "Patient", one, ifNoneExist: "identifier=a|b").status == 412)
  }

  @Test(
    "Searches by every kind of value, with modifiers, alternatives and prefixes",
    arguments: [
      ("code=8302-2", "a b"), ("code=http://loinc.org|8302-2", "a"), ("code=|8302-2", "b"), ("code=other|", "c"),
      ("code:not=8302-2", "c"), ("subject=Patient/p", "a b"), ("patient=p", "a b"), ("subject:Patient=q", "c"),
      ("subject=http://h/fhir/Patient/q", "c"), ("date=2024", "a b"), ("date=2024-05-01", "a"),
      ("date=gt2024-05-01", "b c"),
      ("date=ge2024-05-01&date=lt2024-12", "a"), ("date=sa2024", "c"), ("date=2024-05-01T12:00:00%2B02:00", "a"),
      ("value-quantity=1.8", "a"), ("value-quantity=gt1.8", "b"), ("value-quantity=1.8|u|m", "a"),
      ("value-quantity=1.8|u|cm", ""), ("code=8302-2,zzz", "a b c"), ("value-quantity:missing=true", "c"),
      ("patient.name=åsa", "a b"), ("patient.gender=male", "c"), ("subject:Patient.family:exact=Ek", "a b"),
      ("_id=b,c", "b c"), ("_sort=-date", "c b a"), ("_sort=_id&_count=1&_offset=1", "b"), ("value-string=arg", "c"),
      ("value-string:contains=RGER", "c"), ("value-string:exact=ärger", ""),
    ])
  func search(_ query: String, _ expected: String) async throws {
    let bench = try FHIRBench()
    await bench.put(
      #"{"resourceType":"Patient","id":"p","gender":"female","name":[{"family":"Ek","given":["Asa"]}]}"#)
    await bench.put(#"{"resourceType":"Patient","id":"q","gender":"male"}"#)
    await bench.put(
      FHIRBench.observation(
        "a",
        #""code":{"coding":[{"system":"http://loinc.org","code":"8302-2"}]},"subject":{"reference":"Patient/p"},"#
          + #""effectiveDateTime":"2024-05-01T12:00:00+02:00","valueQuantity":{"value":1.80,"system":"u","code":"m"}"#))
    await bench.put(
      FHIRBench.observation(
        "b",
        #""code":{"coding":[{"code":"8302-2"}]},"subject":{"reference":"http://h/fhir/Patient/p"},"#
          + #""effectivePeriod":{"start":"2024-12-01","end":"2024-12-03"},"valueQuantity":{"value":1.9}"#))
    await bench.put(
      FHIRBench.observation(
        "c",
        #""code":{"coding":[{"system":"other","code":"zzz"}]},"subject":{"reference":"Patient/q"},"#
          + #""effectiveDateTime":"2025","valueString":"Ärger""#))
    #expect(await bench.found("Observation?\(query)").joined(separator: " ") == expected, "\(query)")
  }

  @Test("Pages together are everything, once, and say how many there are")
  func paging() async throws {
    let bench = try FHIRBench()
    for number in 0..<25 { await bench.put(#"{"resourceType":"Patient","id":"p\#(number)"}"#) }
    var url = "Patient?_count=10"
    var seen: [String] = []
    while true {
      let body = await bench.send("GET", url).body
      #expect(body?["total"] == .number("25"))
      seen += (body?["entry"]?.items ?? []).compactMap { $0["resource"]?["id"]?.text }
      let next = body?["link"]?.items?.first { $0["relation"]?.text == "next" }
      guard let link = next?["url"]?.text else { break }
      url = String(link.dropFirst("http://h/fhir/".count))
    }
    #expect(seen.count == 25)
    #expect(Set(seen).count == 25)
  }

  @Test(
    "Parameters of any shape never trap: what is unknown or out of bounds is refused",
    arguments: [
      ("=x", 400), (".=x", 400), (":=x", 400), (".name=x", 400), (":missing=true", 400), ("%00=%00", 400),
      ("code:=x", 400), ("code=|", 400), ("code=||||", 200), ("code=,", 400), ("value-quantity=1||", 200),
      ("value-quantity=1|", 400),
      ("value-quantity=|", 400), ("value-quantity=", 400), ("date=ge", 400), ("date=2024-05-01T12:00:00.", 400),
      ("date=9999-12-31", 200), ("date=0000", 400), ("_count=9223372036854775807", 200), ("_count=-1", 400),
      ("_offset=9223372036854775807&_count=9223372036854775807", 200), ("_sort=", 200), ("_sort=-", 400),
      ("_sort=,", 200), ("_include=:", 400), ("_include=Observation", 400), ("_revinclude=:::::", 400),
      ("has-member:Observation." + String(repeating: "has-member:Observation.", count: 500) + "code=x", 400),
      ("subject:Nothing.code=x", 404), ("patient.=x", 400), ("patient..=x", 400),
    ])
  func anyShape(_ query: String, _ status: Int) async throws {
    let bench = try FHIRBench()
    await bench.put(FHIRBench.observation("a", #""code":{"text":"x"},"valueQuantity":{"value":1e400}"#))
    #expect(await bench.send("GET", "Observation?\(query)").status == status, "\(query.prefix(60))")
  }

  @Test("The interface describes itself; a wrong method is told apart from a path that leads nowhere")
  func description() async throws {
    let bench = try FHIRBench()
    let description = await bench.send("GET", "openapi.json").body
    #expect(description?["openapi"]?.text == "3.1.0")
    guard case .object(let paths)? = description?["paths"] else {
      Issue.record("no paths")
      return
    }
    for (path, item) in paths {
      let parts = path.split(separator: "/").map {
        ["{type}": "Patient", "{id}": "p", "{version}": "1"][String($0)] ?? String($0)
      }
      guard case .object(let methods) = item else { continue }
      let named = methods.map { $0.name.uppercased() }.filter { $0 != "PARAMETERS" }
      #expect(Set(named).isSubset(of: FHIRService.methods(of: parts)), "\(path)")
    }
    #expect(await bench.send("POST", "metadata", "{}").status == 405)
    #expect(await bench.send("PATCH", "metadata", "[]").status == 405)
    #expect(await bench.send("GET", "Patient/p/q/r/s").status == 404)
  }

  @Test(
    "What is malformed is refused with what is wrong and where, and changes nothing",
    arguments: [
      ("POST", "Observation", "[[", 400), ("POST", "Observation", #"{"a":1,"a":2}"#, 400),
      ("POST", "Observation", #"{"resourceType":"Patient"}"#, 400), ("POST", "Nothing", "{}", 404),
      ("POST", "Observation", #"{"resourceType":"Observation","status":"final"}"#, 422),
      ("POST", "Patient", #"{"resourceType":"Patient","gender":"m"}"#, 422),
      ("POST", "Patient", #"{"resourceType":"Patient","name":{"family":"x"}}"#, 422),
      ("POST", "Patient", #"{"resourceType":"Patient","nmae":[]}"#, 422),
      ("POST", "Patient", #"{"resourceType":"Patient","active":null}"#, 422),
      ("PUT", "Patient/a_b", #"{"resourceType":"Patient","id":"a_b"}"#, 400),
      ("PUT", "Patient/a", #"{"resourceType":"Patient","id":"b"}"#, 400),
      ("PATCH", "Patient/a", "", 404), ("GET", "Observation?date=yesterday", "", 400),
      ("GET", "Observation?_count=x", "", 400), ("GET", "Observation?code.x=1", "", 400),
      ("DELETE", "Patient", "", 412), ("POST", "", #"{"resourceType":"Bundle","type":"message"}"#, 400),
      ("POST", "", #"{"resourceType":"Bundle","type":"transaction","entry":[{}]}"#, 400),
    ])
  func malformed(_ method: String, _ url: String, _ body: String, _ status: Int) async throws {
    let bench = try FHIRBench()
    let answer = await bench.send(method, url, body)
    #expect(answer.status == status)
    #expect(answer.body?["resourceType"]?.text == "OperationOutcome")
    #expect(answer.body?["issue"]?.items?.first?["diagnostics"]?.text?.isEmpty == false)
    #expect(await bench.found("Patient").isEmpty)
  }
}
