import FHIR
import HealthRecords
import Primitives
import Testing

/// Whom references mean. Goal: nothing about a stranger is ever taken for somebody here. Method: references of every
/// kind go in, alone and in bundles, and all ways of asking for a patient's resources are tried.
@Suite("References")
struct ReferenceTests {
  private static let body = #""code":{"text":"x"},"subject":{"reference":"#

  @Test(
    "Another server's patient is nobody here: not found, not included, not of the chart, not anchored",
    arguments: [
      "https://other.example/fhir/Patient/p", "http://h/other/Patient/p", "http://h/fhir2/Patient/p",
      "https://other.example/fhir/Patient/p/_history/1", "urn:uuid:p", "Group/p", "HealthcareService/p",
      "https://h/fhir/Patient/p", "http://h:81/fhir/Patient/p", "http://h/fhir2/../x/Patient/p",
      "https://other.example/?x=http://h/fhir/Patient/p",
    ])
  func stranger(_ reference: String) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    let before = bench.ledger.lines.count
    await bench.put(FHIRBench.observation("a", #"\#(Self.body)"\#(reference)"}"#))
    for query in [
      "subject=Patient/p", "patient=p", "patient=Patient/p", "patient.identifier:missing=false",
      "subject:Patient=p", "subject=http://h/fhir/Patient/p", "subject=http://third.example/fhir/Patient/p",
    ] {
      #expect(await bench.found("Observation?\(query)").isEmpty, "\(query)")
    }
    #expect(await bench.found("Patient?_id=p&_revinclude=Observation:subject") == ["p"])
    #expect(await bench.found("Observation?_include=Observation:subject") == ["a"])
    #expect(await bench.found("Patient/p/$everything") == ["p"])
    #expect(bench.ledger.lines.count == before)
    #expect(await bench.send("GET", "Observation/a").body?["subject"]?["reference"]?.text == reference)
    #expect(await bench.found("Observation?subject=\(reference)") == ["a"])
  }

  @Test(
    "This server's own patient is meant by a relative reference, by the base, and with a version",
    arguments: ["Patient/p", "http://h/fhir/Patient/p", "Patient/p/_history/3", "http://h/fhir/Patient/p/_history/3"])
  func own(_ reference: String) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    let before = bench.ledger.lines.count
    await bench.put(FHIRBench.observation("a", #"\#(Self.body)"\#(reference)"}"#))
    for query in ["subject=Patient/p", "patient=p", "subject=http://h/fhir/Patient/p", "subject=\(reference)"] {
      #expect(await bench.found("Observation?\(query)") == ["a"], "\(query)")
    }
    #expect(await bench.found("Patient/p/$everything") == ["p", "a"])
    #expect(bench.ledger.lines.count == before + 1)
  }

  @Test(
    "⚑ A reference that is meant for this server in a form that is not read is refused, and the right form is named",
    arguments: [
      "/fhir/Patient/p", "./Patient/p", "../fhir/Patient/p", "http://h/fhir/Patient/p/", "HTTP://h/fhir/Patient/p",
      "http://H/fhir/Patient/p", "http://h:80/fhir/Patient/p", "http://x@h/fhir/Patient/p", "http://h/fhir//Patient/p",
      "http://h//fhir/Patient/p", "http://h/x/../fhir/Patient/p", "http://h/%66hir/Patient/p",
      "http://h/fhir/Patient/p?x", "Patient/p/", "Patient/p ", " Patient/p", "Patient/p#x", "Patient/p?", "patient/p",
      "PATIENT/p", "/Patient/p", "other/Patient/p", "//h/fhir/Patient/p", "http:Patient/p", "http:/fhir/Patient/p",
      "Patient/p/_history/", "Patient/p/_history/1/", "Patient%2Fp/", "Patient//p", "fhir/Patient/p",
    ])
  func otherForm(_ reference: String) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    let body = FHIRBench.observation("a", #"\#(Self.body)"\#(reference)"}"#)
    let answer = await bench.send("PUT", "Observation/a", body)
    #expect(answer.status == 422, "\(reference)")
    #expect(answer.body?["issue"]?.items?.first?["diagnostics"]?.text?.contains("Patient/p is") == true, "\(answer)")
    let nested = FHIRBench.observation(
      "a",
      #""code":{"text":"x"},"extension":[{"url":"urn:x","valueReference":{"reference":"\#(reference)"}}]"#)
    #expect(await bench.send("PUT", "Observation/a", nested).status == 422)
    let entry = #"{"resource":\#(body),"request":{"method":"PUT","url":"Observation/a"}}"#
    let whole = await bench.bundle("transaction", entry)
    #expect(whole.status == 422)
    #expect(whole.body?["issue"]?.items?.first?["expression"]?.items?.first?.text == "Bundle.entry[0]")
    #expect(await bench.found("Observation").isEmpty)
    var search = FHIRRequest(method: "GET", path: ["Observation"], query: [("subject", reference)])
    #expect(await bench.service.handle(search).status == 400)
    search.query = [("subject:Patient", reference)]
    #expect(await bench.service.handle(search).status == 400)
  }

  @Test(
    "⚑ This machine's own port is this server by every name and address that the machine has for itself",
    arguments: [
      ("http://localhost:8101", 201), ("https://127.0.0.1:8101", 422), ("https://localhost:8101", 422),
      ("http://a.localhost:8101", 422), ("http://[::1]:8101", 422), ("http://[::]:8101", 422),
      ("http://[0:0:0:0:0:0:0:1]:8101", 422), ("http://[::ffff:127.0.0.1]:8101", 422), ("http://127.1:8101", 422),
      ("http://127.9.9.9:8101", 422), ("http://0.0.0.0:8101", 422), ("http://127.0.0.1:8102", 201),
      ("http://[::2]:8101", 201), ("http://10.0.0.1:8101", 201), ("http://127.example:8101", 201),
      ("http://localhost.example:8101", 201), ("http://localhost", 201),
    ])
  func machine(_ origin: String, _ status: Int) async throws {
    let service = try FHIRService(
      store: MemoryResources(), anchoring: FakeLedger(), base: "http://127.0.0.1:8101/fhir",
      now: { Timestamp(milliseconds: 1_750_000_000_000) }, entropy: { Array(repeating: 7, count: $0) })
    let body = FHIRBench.observation("a", #"\#(Self.body)"\#(origin)/fhir/Patient/p"}"#)
    let request = FHIRRequest(method: "PUT", path: ["Observation", "a"], body: Array(body.utf8))
    #expect(await service.handle(request).status == status)
  }

  private static func service(
    _ store: MemoryResources, _ ledger: FakeLedger, at base: String, or others: [String] = []
  ) throws -> FHIRService {
    try FHIRService(
      store: store, anchoring: ledger, base: base, otherBases: others,
      now: { Timestamp(milliseconds: 1_750_000_000_000) }, entropy: { Array(repeating: 7, count: $0) })
  }

  private static func put(_ json: String, _ name: String, to service: FHIRService) async -> FHIRResponse {
    let path = name.split(separator: "/").map(String.init)
    return await service.handle(FHIRRequest(method: "PUT", path: path, body: Array(json.utf8)))
  }

  private static func chart(_ service: FHIRService) async -> [String] {
    let asked = FHIRRequest(method: "GET", path: ["Observation"], query: [("patient", "p")])
    let entries = await service.handle(asked).body?["entry"]?.items ?? []
    return entries.compactMap { $0["resource"]?["id"]?.text }
  }

  @Test(
    "⚑ A base that was this server's stays its own: what names a patient by it stays in the chart and on the ledger")
  func baseBefore() async throws {
    let (store, ledger) = (MemoryResources(), FakeLedger())
    let patient =
      #"{"resourceType":"Patient","id":"p","identifier":[{\#(Self.accounts)"\#(FHIRBench.account)"}]}"#
    let bases = ["http://127.0.0.1:8101/fhir", "https://old.example/fhir", "https://10.0.0.7:8443/fhir"]
    let names = ["a", "b", "c"]
    for (place, base) in bases.enumerated() {
      let others = place == 2 ? ["https://new.example/fhir"] : []
      let service = try Self.service(store, ledger, at: others.first ?? base, or: [base])
      if place == 0 { #expect(await Self.put(patient, "Patient/p", to: service).status == 201) }
      #expect(await service.anchorPending() == 0)
      let body = FHIRBench.observation(names[place], #"\#(Self.body)"\#(base)/Patient/p"}"#)
      #expect(await Self.put(body, "Observation/\(names[place])", to: service).anchor?.count == 64)
      #expect(await Self.chart(service) == Array(names.prefix(place + 1)))
    }
    let current = ledger.current().map(\.record)
    #expect(current.count == 4)
    // The interface is closed for a while, and opened under another name.
    for base in ["", "https://newest.example/fhir"] {
      let service = try Self.service(store, ledger, at: base)
      #expect(await service.anchorPending() == 0)
      #expect(await Array(Self.chart(service).prefix(3)) == names)
      let more = FHIRBench.observation("d", #"\#(Self.body)"http://localhost:8101/fhir/Patient/p"}"#)
      #expect(await Self.put(more, "Observation/d", to: service).anchor?.count == 64)
      let odd = FHIRBench.observation("e", #"\#(Self.body)"https://OLD.example/fhir/Patient/p"}"#)
      #expect(await Self.put(odd, "Observation/e", to: service).status == 422)
    }
    #expect(ledger.current().map(\.record).prefix(4) == current[...])
  }

  @Test("Of the bases by which something was written the last are remembered")
  func basesMax() async throws {
    let (store, ledger) = (MemoryResources(), FakeLedger())
    for number in 0..<40 {
      let service = try Self.service(store, ledger, at: "https://h\(number).example/fhir", or: ["http://own/fhir"])
      if number == 0 { _ = await Self.put(#"{"resourceType":"Patient","id":"p"}"#, "Patient/p", to: service) }
      let body = FHIRBench.observation("a", #"\#(Self.body)"https://h\#(number).example/fhir/Patient/p"}"#)
      #expect([200, 201].contains(await Self.put(body, "Observation/a", to: service).status))
    }
    #expect(store.bases() == (8..<40).reversed().map { "https://h\($0).example/fhir" })
  }

  @Test(
    "⚑ A base that was set by mistake, and by which nothing was written, makes nobody else's patients this server's")
  func baseByMistake() async throws {
    let (store, ledger) = (MemoryResources(), FakeLedger())
    for base in ["https://own.example/fhir", "https://two.example/fhir", "https://own.example/fhir"] {
      let service = try Self.service(store, ledger, at: base)
      _ = await Self.put(#"{"resourceType":"Patient","id":"p"}"#, "Patient/p", to: service)
      if base.contains("two") { continue }
      let body = FHIRBench.observation("a", #"\#(Self.body)"https://two.example/fhir/Patient/p"}"#)
      #expect([200, 201].contains(await Self.put(body, "Observation/a", to: service).status))
      #expect(await Self.chart(service).isEmpty)
    }
  }

  @Test(
    "⚑ What a resource says that it contains is in it, or it is refused",
    arguments: ["#p", "#Patient/p", "#", "#x", "#c "])
  func fragment(_ reference: String) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    let body = FHIRBench.observation("a", #"\#(Self.body)"\#(reference)"}"#)
    #expect(await bench.send("PUT", "Observation/a", body).status == 422)
    let contained = #""contained":[{"resourceType":"Patient","id":"c"}],"#
    let other = FHIRBench.observation("a", #"\#(contained)\#(Self.body)"\#(reference)"}"#)
    #expect(await bench.send("PUT", "Observation/a", other).status == 422)
    let right = FHIRBench.observation("b", contained + Self.body + ##""#c"}"##)
    #expect(await bench.send("PUT", "Observation/b", right).status == 201)
  }

  private static let accounts = #""system":"urn:consilium:account","value":"#

  @Test(
    "⚑ Who is named by an identifier alone, and has it here, is meant: alone and in a transaction",
    arguments: [
      #""subject":{"identifier":{"system":"mrn","value":"1,7|$\\""#,
      #""subject":{"type":"Patient","identifier":{"system":"mrn","value":"1,7|$\\""#,
      #""subject":{"identifier":{\#(accounts)"\#(FHIRBench.account)""#,
      #""subject":{"identifier":{\#(accounts)"\#(FHIRBench.account.uppercased())""#,
    ])
  func identifier(_ subject: String) async throws {
    let patient =
      #"{"resourceType":"Patient","id":"p","identifier":[{\#(Self.accounts)"\#(FHIRBench.account)"},"#
      + #"{"system":"mrn","value":"1,7|$\\"}]}"#
    let observation = FHIRBench.observation("a", #""code":{"text":"x"},\#(subject)}}"#)
    for isWhole in [false, true] {
      let bench = try FHIRBench()
      if isWhole {
        let answer = await bench.bundle(
          "transaction", #"{"resource":\#(observation),"request":{"method":"PUT","url":"Observation/a"}}"#,
          #"{"resource":\#(patient),"request":{"method":"PUT","url":"Patient/p"}}"#)
        #expect(answer.status == 200, "\(answer.body as Any)")
      } else {
        await bench.put(patient)
        await bench.put(observation)
      }
      #expect(await bench.found("Observation?patient=p") == ["a"])
      #expect(await bench.found("Patient/p/$everything") == ["p", "a"])
      #expect(bench.ledger.current().count == 2)
      let stored = await bench.send("GET", "Observation/a").body?["subject"]
      #expect(stored?["reference"]?.text == "Patient/p" && stored?["identifier"] != nil)
    }
  }

  @Test(
    "An identifier of nobody here is stored as it is; one that does not say who is meant is refused",
    arguments: [
      (#""subject":{"identifier":{"system":"mrn","value":"8"}}"#, 201),
      (#""subject":{"identifier":{"system":"other","value":"7"}}"#, 201),
      (#""subject":{"type":"Group","identifier":{"system":"mrn","value":"7"}}"#, 201),
      (#""performer":[{"identifier":{"system":"mrn","value":"7"}}]"#, 201),
      (#""subject":{"reference":"https://other.example/Patient/1","identifier":{"system":"mrn","value":"7"}}"#, 201),
      (#""subject":{"identifier":{"value":"7"}}"#, 422),
      (#""subject":{"identifier":{"system":"mrn","value":"9"}}"#, 422),
      (#""performer":[{"type":"Patient","identifier":{"system":"mrn","value":"9"}}]"#, 422),
    ])
  func nobody(_ members: String, _ status: Int) async throws {
    let bench = try FHIRBench()
    await bench.link("p", number: "7")
    for id in ["q", "r"] {
      await bench.put(#"{"resourceType":"Patient","id":"\#(id)","identifier":[{"system":"mrn","value":"9"}]}"#)
    }
    let body = FHIRBench.observation("a", #""code":{"text":"x"},\#(members)"#)
    let answer = await bench.send("PUT", "Observation/a", body)
    #expect(answer.status == status, "\(answer.body as Any)")
    if status == 201 {
      #expect(bench.ledger.current().count == 1)
      #expect(await bench.found("Patient/p/$everything") == ["p"])
    } else {
      #expect(answer.body?["issue"]?.items?.first?["diagnostics"]?.text?.contains("Patient/ID") == true)
    }
  }

  @Test("⚑ Everything of a patient has the appointments that name this one and no other")
  func appointments() async throws {
    let bench = try FHIRBench()
    for id in ["p", "q"] { await bench.put(#"{"resourceType":"Patient","id":"\#(id)"}"#) }
    for (id, actors) in [("one", ["Patient/p", "Practitioner/d"]), ("two", ["Patient/p", "Patient/q"])] {
      let participants = actors.map { #"{"status":"accepted","actor":{"reference":"\#($0)"}}"# }
      await bench.put(
        #"{"resourceType":"Appointment","id":"\#(id)","status":"booked","#
          + #""participant":[\#(participants.joined(separator: ","))]}"#)
    }
    await bench.put(
      #"{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"#
        + #""subject":{"reference":"Patient/p"},"appointment":[{"reference":"Appointment/one"}]}"#)
    #expect(await bench.found("Patient/p/$everything") == ["p", "one", "e"])
    #expect(await bench.found("Patient/q/$everything") == ["q"])
  }

  @Test("The views of the ledger and attachments know this server's patients only")
  func named() async throws {
    let bench = try FHIRBench()
    #expect(bench.service.patient(named: "p") == "p")
    #expect(bench.service.patient(named: "Patient/p") == "p")
    #expect(bench.service.patient(named: "http://h/fhir/Patient/p") == "p")
    for other in ["https://other.example/fhir/Patient/p", "Group/p", "x/Patient/p", "http://h/fhir/Patient/p/x/y/z"] {
      #expect(bench.service.patient(named: other) == nil, "\(other)")
    }
  }

  private static func entry(
    _ fullUrl: String, _ subject: String, url: String = "Observation", more: String = ""
  ) -> String {
    #"{"fullUrl":"\#(fullUrl)","resource":{"resourceType":"Observation","status":"final",\#(more)"#
      + #""code":{"text":"x"},"subject":{"reference":"\#(subject)"}},"request":{"method":"POST","url":"\#(url)"}}"#
  }

  @Test(
    "A relative reference is below the base of its entry's fullUrl: the entry of that name, or that server's",
    arguments: [
      ("http://source.example/fhir/Observation/o", "Patient/p1", "made"),
      ("http://source.example/fhir/Observation/o", "http://source.example/fhir/Patient/p1", "made"),
      ("http://source.example/fhir/Observation/o", "Patient/p1/_history/2", "made"),
      ("http://source.example/fhir/Observation/o", "Patient/p2", "http://source.example/fhir/Patient/p2"),
      ("http://other.example/fhir/Observation/o", "Patient/p1", "http://other.example/fhir/Patient/p1"),
      ("urn:uuid:5", "Patient/p2", "Patient/p2"), ("http://h/fhir/Observation/o", "Patient/p2", "Patient/p2"),
      ("http://source.example/fhir/Observation/o", "#c", "#c"),
    ])
  func relative(_ fullUrl: String, _ reference: String, _ expected: String) async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p1"}"#)
    await bench.put(#"{"resourceType":"Patient","id":"p2"}"#)
    let answer = await bench.bundle(
      "transaction",
      Self.entry(
        fullUrl, reference, more: reference == "#c" ? #""contained":[{"resourceType":"Patient","id":"c"}],"# : ""),
      #"{"fullUrl":"http://source.example/fhir/Patient/p1","resource":{"resourceType":"Patient","id":"p1"},"#
        + #""request":{"method":"POST","url":"Patient"}}"#)
    #expect(answer.status == 200, "\(answer.body as Any)")
    let made = await bench.found("Patient").first { $0 != "p1" && $0 != "p2" } ?? ""
    let stored = await bench.send("GET", "Observation").body?["entry"]?.items?.first?["resource"]
    #expect(stored?["subject"]?["reference"]?.text == (expected == "made" ? "Patient/\(made)" : expected))
  }

  @Test("Entries of a batch do not know of one another, and another server's stay another server's")
  func batch() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p1"}"#)
    let answer = await bench.bundle("batch", Self.entry("http://source.example/fhir/Observation/o", "Patient/p1"))
    #expect(answer.status == 200)
    #expect(await bench.found("Observation?patient=p1").isEmpty)
  }

  @Test("Links of narratives and URLs follow the entries; what only looks like one stays")
  func links() async throws {
    let bench = try FHIRBench()
    let more =
      #""text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"urn:uuid:2\">p</a>"#
      + #"<a href=\"urn:uuid:9\">q</a></div>"},"extension":[{"url":"urn:uuid:7","valueUri":"urn:uuid:2"}],"#
      + #""identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:2"}],"#
    let answer = await bench.bundle(
      "transaction", Self.entry("urn:uuid:1", "urn:uuid:2", more: more),
      #"{"fullUrl":"urn:uuid:2","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}"#)
    #expect(answer.status == 200, "\(answer.body as Any)")
    let patient = await bench.found("Patient").first ?? ""
    let stored = await bench.send("GET", "Observation").body?["entry"]?.items?.first?["resource"]
    #expect(stored?["text"]?["div"]?.text?.contains(#"href="Patient/\#(patient)""#) == true)
    #expect(stored?["text"]?["div"]?.text?.contains(#"href="urn:uuid:9""#) == true)
    #expect(stored?["extension"]?.items?.first?["url"]?.text == "urn:uuid:7")
    #expect(stored?["extension"]?.items?.first?["valueUri"]?.text == "Patient/\(patient)")
    #expect(stored?["identifier"]?.items?.first?["value"]?.text == "urn:uuid:2")
  }

  private static let npi = "http://hl7.org/fhir/sid/us-npi"
  private static func practitioner(_ id: String, _ number: String) -> String {
    #"{"resourceType":"Practitioner","id":"\#(id)","identifier":[{"system":"\#(Self.npi)","value":"\#(number)"}]}"#
  }

  @Test(
    "A condition of any system names one resource, or the whole transaction fails and its entry is named",
    arguments: ["http://hl7.org/fhir/sid/us-npi|7", "http%3A%2F%2Fhl7.org%2Ffhir%2Fsid%2Fus-npi%7C7"])
  func condition(_ identifier: String) async throws {
    let bench = try FHIRBench()
    let reference = "Practitioner?identifier=\(identifier)"
    let performer = #""performer":[{"reference":"\#(reference)"}],"#
    func send() async -> FHIRResponse {
      await bench.bundle(
        "transaction",
        #"{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}"#,
        Self.entry("urn:uuid:1", "Patient/p", more: performer))
    }
    for number in 0...2 {
      if number > 0 { await bench.put(Self.practitioner("d\(number)", "7")) }
      let answer = await send()
      if number == 1 {
        #expect(answer.status == 200)
        let stored = await bench.send("GET", "Observation").body?["entry"]?.items?.first?["resource"]
        #expect(stored?["performer"]?.items?.first?["reference"]?.text == "Practitioner/d1")
      } else {
        #expect(answer.status == 412)
        #expect(answer.body?["issue"]?.items?.first?["expression"]?.items?.first?.text == "Bundle.entry[1]")
      }
    }
    #expect(await bench.found("Patient").count == 1)
    #expect(await bench.found("Observation").count == 1)
  }

  @Test("A condition is never stored as text: not alone, not in a batch, not of a type that is not stored")
  func conditionAlone() async throws {
    let bench = try FHIRBench()
    await bench.put(Self.practitioner("d", "7"))
    func observation(_ reference: String) -> String {
      FHIRBench.observation("o", #""code":{"text":"x"},"performer":[{"reference":"\#(reference)"}]"#)
    }
    let known = observation("Practitioner?identifier=\(Self.npi)|7")
    #expect(await bench.send("PUT", "Observation/o", known).status == 201)
    let stored = await bench.send("GET", "Observation/o").body
    #expect(stored?["performer"]?.items?.first?["reference"]?.text == "Practitioner/d")
    for other in ["Practitioner?identifier=\(Self.npi)|8", "HealthcareService?identifier=a|7", "Practitioner?"] {
      #expect(await bench.send("PUT", "Observation/o", observation(other)).status == 412, "\(other)")
    }
    #expect(await bench.send("GET", "Observation/o").version == 1)
  }

  @Test("A condition names what the same transaction makes, and not what it deletes")
  func conditionOfOwn() async throws {
    let bench = try FHIRBench()
    let made =
      #"{"resource":\#(Self.practitioner("any", "7")),"request":{"method":"POST","url":"Practitioner","#
      + #""ifNoneExist":"identifier=\#(Self.npi)|7"}}"#
    let performer = #""performer":[{"reference":"Practitioner?identifier=\#(Self.npi)|7"}],"#
    let answer = await bench.bundle("transaction", Self.entry("urn:uuid:1", "Patient/p", more: performer), made)
    #expect(answer.status == 200, "\(answer.body as Any)")
    let doctor = await bench.found("Practitioner")
    let stored = await bench.send("GET", "Observation").body?["entry"]?.items?.first?["resource"]
    #expect(doctor.count == 1)
    #expect(stored?["performer"]?.items?.first?["reference"]?.text == "Practitioner/\(doctor.first ?? "")")
    let deletion = #"{"request":{"method":"DELETE","url":"Practitioner/\#(doctor.first ?? "")"}}"#
    let second = await bench.bundle("transaction", Self.entry("urn:uuid:1", "Patient/p", more: performer), deletion)
    #expect(second.status == 412)
    #expect(await bench.found("Practitioner").count == 1)
  }
}
