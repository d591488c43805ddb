import FHIR
import HealthRecords
import Testing

/// Conditions of writes. Goal: no write hits what its client did not mean, and an answer tells what its own request
/// did. Method: conditions that name none, one, two and others, in requests alone, in transactions and at once.
@Suite("Conditions")
struct ConditionTests {
  private static func patient(_ number: String, id: String? = nil, _ more: String = "") -> String {
    let id = id.map { #""id":"\#($0)","# } ?? ""
    return #"{"resourceType":"Patient",\#(id)\#(more)"identifier":[{"system":"mrn","value":"\#(number)"}]}"#
  }

  @Test("A conditional update never changes another than the one that meets it")
  func conditionalUpdate() async throws {
    let bench = try FHIRBench()
    await bench.put(Self.patient("1", id: "a"))
    await bench.put(Self.patient("2", id: "b", #""birthDate":"1950-01-01","#))
    func put(_ number: String, _ body: String) async -> Int {
      await bench.send("PUT", "Patient?identifier=mrn|\(number)", body).status
    }
    #expect(await put("1", Self.patient("1", id: "b")) == 400, "one matches, and the body has another id")
    #expect(await put("3", Self.patient("3", id: "b")) == 409, "none matches, and the id is another's")
    #expect(await bench.send("GET", "Patient/b").version == 1)
    #expect(await put("1", Self.patient("1")) == 200)
    #expect(await put("1", Self.patient("1", id: "a")) == 200)
    #expect(await bench.send("GET", "Patient/a").version == 3)
    #expect(await put("3", Self.patient("3", id: "c")) == 201)
    #expect(await put("4", Self.patient("4")) == 201)
    #expect(await bench.found("Patient").count == 4)
    let entry =
      #"{"resource":\#(Self.patient("5", id: "b")),"request":{"method":"PUT","url":"Patient?identifier=mrn|5"}}"#
    let whole = await bench.bundle("transaction", entry)
    #expect(whole.status == 409)
    #expect(whole.body?["issue"]?.items?.first?["expression"]?.items?.first?.text == "Bundle.entry[0]")
    #expect(await bench.send("GET", "Patient/b").version == 1)
  }

  /// Of the one patient who is here; each names no value somewhere.
  private static let withoutValue = [
    "identifier=&birthdate=1950-01-01", "birthdate=1950-01-01&identifier", "identifier=%20&birthdate=1950-01-01",
    "identifier=mrn|", "identifier=mrn|%20", "identifier=|", "identifier=mrn|9,mrn|", "identifier:of-type=v2|MR|%20",
    "family=Nobody,", "family:contains=,Nobody", "family=%CC%81", "frobnicate=&birthdate=1950-01-01",
    "_has:Observation:subject:code=&birthdate=1950-01-01", "_has:Observation:subject:code=l|",
    "_has:Observation:subject:code-value-quantity=l|$1", "_profile:below=%5C&birthdate=1950-01-01",
    "_source:below=%5C&birthdate=1950-01-01", "birthdate=1950-01-01&family=%5C",
  ]

  @Test(
    "⚑ A condition without a value is never left out: nobody whom the rest of it names is met", arguments: withoutValue)
  func noValue(_ condition: String) async throws {
    let bench = try FHIRBench()
    await bench.put(Self.patient("1", id: "a", #""birthDate":"1950-01-01","name":[{"family":"Anna"}],"#))
    let about = #""code":{"coding":[{"system":"l","code":"c"}]},"valueQuantity":{"value":1},"#
    await bench.put(FHIRBench.observation("o", about + #""subject":{"reference":"Patient/a"}"#))
    let other = Self.patient("2")
    let patch =
      #"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"delete"},"#
      + #"{"name":"path","valueString":"Patient.birthDate"}]}]}"#
    let reference = FHIRBench.observation("r", about + #""subject":{"reference":"Patient?\#(condition)"}"#)
    var answers = [
      await bench.send("PUT", "Patient?\(condition)", other), await bench.send("DELETE", "Patient?\(condition)"),
      await bench.send("PATCH", "Patient?\(condition)", patch),
      await bench.send("POST", "Patient", other, ifNoneExist: condition),
      await bench.send("POST", "Patient", other, ifNoneExist: "Patient?\(condition)"),
      await bench.send("PUT", "Observation/r", reference),
    ]
    for entry in [
      #"{"resource":\#(other),"request":{"method":"PUT","url":"Patient?\#(condition)"}}"#,
      #"{"request":{"method":"DELETE","url":"Patient?\#(condition)"}}"#,
      #"{"resource":\#(patch),"request":{"method":"PATCH","url":"Patient?\#(condition)"}}"#,
      #"{"resource":\#(other),"request":{"method":"POST","url":"Patient","ifNoneExist":"\#(condition)"}}"#,
      #"{"resource":\#(reference),"request":{"method":"PUT","url":"Observation/r"}}"#,
    ] {
      answers.append(await bench.bundle("transaction", entry))
      let batch = await bench.bundle("batch", entry).body?["entry"]?.items?.first?["response"]
      #expect(["400", "412 Precondition Failed"].contains(batch?["status"]?.text ?? ""), "\(entry)")
    }
    for answer in answers { #expect([400, 412].contains(answer.status), "\(answer.status) \(answer.body as Any)") }
    #expect(await bench.send("GET", "Patient/a").version == 1)
    #expect(await bench.found("Patient") == ["a"])
    #expect(await bench.found("Observation") == ["o"])
  }

  @Test(
    "If-Match names whole tags: any, one of a list, weak or not; digits of several are no version",
    arguments: [
      (#"W/"2""#, 200), (#""2""#, 200), ("*", 200), (#"W/"1", W/"2""#, 200), (#"W/"1",W/"3""#, 412), (#"W/"22""#, 412),
      (#"W/"1", W/"9""#, 412), ("2", 400), (#"W/2"#, 400), (#"W/"2"#, 400), ("", 400), (#"*, W/"2""#, 400),
    ])
  func ifMatch(_ tags: String, _ status: Int) async throws {
    let bench = try FHIRBench()
    await bench.put(Self.patient("1", id: "a"))
    await bench.put(Self.patient("1", id: "a"))
    #expect(await bench.send("PUT", "Patient/a", Self.patient("1", id: "a"), ifMatch: tags).status == status)
    #expect(await bench.send("GET", "Patient/a").version == (status == 200 ? 3 : 2))
    let missing = await bench.send("PUT", "Patient/b", Self.patient("2", id: "b"), ifMatch: tags).status
    #expect(missing == (status == 400 ? 400 : 412))
    #expect(await bench.send("DELETE", "Patient/c", ifMatch: tags).status == missing)
  }

  @Test("If-None-Match: * writes what is not there and nothing else; a client that knows a version gets no body")
  func ifNoneMatch() async throws {
    let bench = try FHIRBench()
    let body = Self.patient("1", id: "a")
    #expect(await bench.send("PUT", "Patient/a", body, ifNoneMatch: "*").status == 201)
    #expect(await bench.send("PUT", "Patient/a", body, ifNoneMatch: "*").status == 412)
    #expect(await bench.send("PUT", "Patient/a", body, ifNoneMatch: #"W/"1""#).status == 412)
    #expect(await bench.send("PUT", "Patient/a", body, ifNoneMatch: #"W/"7""#).status == 200)
    #expect(await bench.send("GET", "Patient/a", ifNoneMatch: #"W/"1", W/"2""#).status == 304)
    #expect(await bench.send("GET", "Patient/a", ifNoneMatch: #"W/"1""#).status == 200)
    #expect(await bench.send("DELETE", "Patient/a").status == 204)
    #expect(await bench.send("PUT", "Patient/a", body, ifNoneMatch: "*").status == 201)
    let entry = #"{"resource":\#(body),"request":{"method":"PUT","url":"Patient/a","ifNoneMatch":"*"}}"#
    #expect(await bench.bundle("transaction", entry).status == 412)
  }

  @Test("Two equal conditional creates in one transaction make one resource, to which both fullUrls lead")
  func twoCreates() async throws {
    let bench = try FHIRBench()
    func create(_ url: String) -> String {
      #"{"fullUrl":"\#(url)","resource":\#(Self.patient("1")),"request":{"method":"POST","url":"Patient","#
        + #""ifNoneExist":"identifier=mrn|1"}}"#
    }
    func about(_ url: String) -> String {
      #"{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"#
        + #""subject":{"reference":"\#(url)"}},"request":{"method":"POST","url":"Observation"}}"#
    }
    let answer = await bench.bundle(
      "transaction", create("urn:uuid:1"), create("urn:uuid:2"), about("urn:uuid:1"), about("urn:uuid:2"))
    let statuses = (answer.body?["entry"]?.items ?? []).map { $0["response"]?["status"]?.text?.prefix(3) ?? "" }
    #expect(statuses == ["201", "200", "201", "201"])
    let patients = await bench.found("Patient")
    #expect(patients.count == 1)
    #expect(await bench.found("Observation?patient=\(patients.first ?? "")").count == 2)
    // Two updates of what one condition names overlap.
    let update = #"{"resource":\#(Self.patient("2")),"request":{"method":"PUT","url":"Patient?identifier=mrn|2"}}"#
    #expect(await bench.bundle("transaction", update, update).status == 400)
    #expect(await bench.found("Patient").count == 1)
  }

  @Test(
    "A transaction with an entry that cannot be done is refused whole, and the entry is named",
    arguments: [
      (#"{"method":"PATCH","url":"Patient/x"}"#, 404), (#"{"method":"PATCH","url":"Patient/p"}"#, 400),
      (#"{"method":"GET","url":"Patient/nope"}"#, 404),
      (#"{"method":"GET","url":"Patient/gone"}"#, 410), (#"{"method":"GET","url":"Patient?birthdate=xx"}"#, 400),
      (#"{"method":"GET","url":"Nothing?x=y"}"#, 404), (#"{"method":"HEAD","url":"Patient/p"}"#, 405),
      (#"{"method":"POST","url":""}"#, 400), (#"{"method":"GET","url":"Patient/nope/$everything"}"#, 404),
      (#"{"method":"GET","url":"Patient/nope/_history"}"#, 404),
      (#"{"method":"GET","url":"AuditEvent?patient=p"}"#, 404),
      (#"{"method":"DELETE","url":"Patient"}"#, 412), (#"{"method":"GET","url":"Patient/p/_history/9"}"#, 404),
      (#"{"method":"GET","url":"Patient/p?x","ifNoneMatch":"W/\"1\""}"#, 200),
    ])
  func wholeOrNothing(_ request: String, _ status: Int) async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    await bench.put(#"{"resourceType":"Patient","id":"gone"}"#)
    #expect(await bench.send("DELETE", "Patient/gone").status == 204)
    let answer = await bench.bundle(
      "transaction", #"{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}"#,
      #"{"request":\#(request)}"#)
    #expect(answer.status == status)
    if status == 200 { return }
    #expect(answer.body?["resourceType"]?.text == "OperationOutcome")
    #expect(answer.body?["issue"]?.items?.first?["expression"]?.items?.first?.text == "Bundle.entry[1]")
    #expect(await bench.found("Patient") == ["p"], "nothing was written")
  }

  @Test("Reads of a transaction see what it writes")
  func readsAfterWrites() async throws {
    let bench = try FHIRBench()
    let put = #"{"resource":\#(Self.patient("1", id: "a")),"request":{"method":"PUT","url":"Patient/a"}}"#
    func get(_ url: String) -> String { #"{"request":{"method":"GET","url":"\#(url)"}}"# }
    let answer = await bench.bundle(
      "transaction", get("Patient/a"), get("Patient?identifier=mrn|1"), get("Patient/a/_history"),
      get("Patient/a/$everything"), get("Patient/a/_history/1"), put)
    let entries = answer.body?["entry"]?.items ?? []
    #expect(
      entries.map { $0["response"]?["status"]?.text?.prefix(3) ?? "" } == ["200", "200", "200", "200", "200", "201"])
    #expect(entries.first?["resource"]?["id"]?.text == "a")
    #expect(entries.dropFirst().first?["resource"]?["total"] == .number("1"))
    let gone = await bench.bundle(
      "transaction", get("Patient/a"), #"{"request":{"method":"DELETE","url":"Patient/a"}}"#)
    #expect(gone.status == 410)
    #expect(await bench.found("Patient") == ["a"])
  }

  @Test("Of two that write at once, each is told its own version and content, and If-Match then overwrites nothing")
  func answersOfTheirOwn() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    bench.ledger.hold()
    func put(_ value: Int, ifMatch: String? = nil) async -> FHIRResponse {
      await bench.send(
        "PUT", "Observation/x",
        FHIRBench.observation(
          "x", #""code":{"text":"e"},"valueInteger":\#(value),"subject":{"reference":"Patient/p"}"#), ifMatch: ifMatch)
    }
    async let first = put(1)
    await bench.until { await bench.send("GET", "Observation/x").version == 1 }
    async let second = put(2)
    await bench.until { await bench.send("GET", "Observation/x").version == 2 }
    bench.ledger.release()
    let answers = await [first, second]
    #expect(answers.map(\.version) == [1, 2])
    #expect(answers.map(\.status) == [201, 200])
    #expect(answers.map { $0.body?["valueInteger"] } == [.number("1"), .number("2")])
    #expect(answers.map(\.location) == ["Observation/x/_history/1", "Observation/x/_history/2"])
    #expect(await put(3, ifMatch: #"W/"\#(answers[0].version ?? 0)""#).status == 412)
  }
}
