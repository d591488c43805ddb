import FHIR
import HealthRecords
import Primitives
import Testing

/// What one request may cost. Goal: nobody is kept waiting by what another asks. Method: requests that are short and
/// ask for much, in searches, batches and transactions.
@Suite("Bounds")
struct BoundTests {
  private static func words(_ count: Int) -> String { (0..<count).map { "w\($0)" }.joined(separator: ",") }

  private static let brought = [
    "AllergyIntolerance", "CarePlan", "Condition", "DiagnosticReport", "Encounter", "Goal", "Immunization",
    "Observation",
    "Procedure", "MedicationRequest", "Device",
  ].flatMap { type in ["patient", "*"].map { "_revinclude=\(type):\($0)" } }

  @Test("A search has a bounded number of parameters and alternatives; more are refused, and it is said what to do")
  func alternatives() async throws {
    let bench = try FHIRBench()
    await bench.put(FHIRBench.observation("a", #""code":{"text":"w7"}"#))
    #expect(await bench.found("Observation?_id=a," + Self.words(900)) == ["a"])
    for query in [
      "Observation?code:text=" + Self.words(30_000), "Observation?_id=" + Self.words(30_000),
      "Observation?" + (0..<900).map { "code=w\($0)" }.joined(separator: "&"),
      "Observation?_sort=" + Array(repeating: "date", count: 2000).joined(separator: ","),
      "Observation?subject:Patient.name=" + Self.words(30_000),
      "Observation?_sort=date,code,status,subject,category,_id",
      "Patient?" + Self.brought.joined(separator: "&"),
    ] {
      let answer = await bench.send("GET", query)
      #expect(answer.status == 413, "\(query.prefix(50)): \(answer.status)")
      let issue = answer.body?["issue"]?.items?.first
      #expect(issue?["code"]?.text == "too-costly" && issue?["diagnostics"]?.text?.contains("at most") == true)
    }
  }

  @Test("What is asked for twice is done once: keys to sort by, and what is brought besides")
  func twice() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    await bench.put(FHIRBench.observation("a", #""code":{"text":"x"},"subject":{"reference":"Patient/p"}"#))
    let keys = Array(repeating: "date,-code", count: 400).joined(separator: ",")
    #expect(await bench.found("Observation?_sort=\(keys)") == ["a"])
    let brought = Array(repeating: "_revinclude=Observation:*", count: 50).joined(separator: "&")
    #expect(await bench.found("Patient?\(brought)") == ["p", "a"])
  }

  @Test("⚑ A narrative is gone through once, whatever it has: links, or none that is a picture's")
  func narrative() async throws {
    let bench = try FHIRBench()
    let links = String(repeating: ##"<a href=\"#a\">x</a>"##, count: 40_000)
    let picture = #"<img src=\"urn:uuid:1\" alt=\"src=\"/></div>"#
    let text =
      #""text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">\#(links)\#(picture)"}"#
    let answer = await bench.bundle(
      "transaction",
      #"{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient",\#(text)},"#
        + #""request":{"method":"POST","url":"Patient"}}"#)
    #expect(answer.status == 200)
    let id = await bench.found("Patient").first ?? ""
    let div = await bench.send("GET", "Patient/\(id)").body?["text"]?["div"]?.text ?? ""
    #expect(div.hasSuffix(##"<a href="#a">x</a><img src="Patient/\##(id)" alt="src="/></div>"##))
  }

  @Test("⚑ Reads of a bundle may look at a bounded number of resources together", arguments: ["batch", "transaction"])
  func reads(_ kind: String) async throws {
    let bench = try FHIRBench()
    let made = (0..<200).map { number in
      #"{"resource":{"resourceType":"Patient","id":"p\#(number)","birthDate":"1970-01-01"},"#
        + #""request":{"method":"PUT","url":"Patient/p\#(number)"}}"#
    }
    #expect(await bench.send("POST", "", Self.transaction(made)).status == 200)
    // A batch may look at four times as many.
    let (urls, count) =
      kind == "batch"
      ? (["Patient?birthdate=gt2100-01-01&_count=0"], 5200)
      : (
        ["Patient?birthdate=gt2100-01-01&_count=0", "Patient/p1/$everything", "Patient?_sort=birthdate&_count=1"], 1300
      )
    for url in urls {
      let get = #"{"request":{"method":"GET","url":"\#(url)"}}"#
      let entries = Array(repeating: get, count: count).joined(separator: ",")
      let answer = await bench.send("POST", "", #"{"resourceType":"Bundle","type":"\#(kind)","entry":[\#(entries)]}"#)
      let last = answer.body?["entry"]?.items?.last?["response"]?["status"]?.text
      #expect(kind == "batch" ? last == "413" : answer.status == 413, "\(url): \(answer.status) \(last ?? "")")
    }
    // Those that are looked up are few, however many they are asked for.
    let get = #"{"request":{"method":"GET","url":"Patient?_id=p1"}}"#
    let entries = Array(repeating: get, count: 1300).joined(separator: ",")
    let answer = await bench.send("POST", "", #"{"resourceType":"Bundle","type":"\#(kind)","entry":[\#(entries)]}"#)
    #expect(answer.body?["entry"]?.items?.last?["response"]?["status"]?.text == "200 OK")
  }

  @Test("⚑ What is no resource of the store takes its room of an answer too: statements, and what the ledger says")
  func unstored() async throws {
    let bench = try FHIRBench(LongLedger())
    await bench.link("p")
    for (url, kept) in [("metadata", 1), ("openapi.json", 1), ("Provenance?patient=p&_count=4", 1)] {
      let get = #"{"request":{"method":"GET","url":"\#(url)"}}"#
      let entries = Array(repeating: get, count: 4).joined(separator: ",")
      let body = #"{"resourceType":"Bundle","type":"batch","entry":[\#(entries)]}"#
      let answer = await Self.ask(bench, "POST", "", body)
      let statuses = (answer.body?["entry"]?.items ?? []).compactMap { $0["response"]?["status"]?.text }
      #expect(statuses.filter { $0 == "200 OK" }.count == kept, "\(url): \(statuses)")
      #expect(statuses.last == "413", "\(url): \(statuses)")
    }
    // A page that would be longer ends earlier, with a link to the rest.
    var (found, url) = (0, String?.some("Provenance?patient=p&_count=9"))
    while let asked = url, found < 20 {
      let page = await Self.ask(bench, "GET", asked)
      found += page.body?["entry"]?.items?.count ?? 20
      url = Self.next(page)
    }
    #expect(found == LongLedger.total)
  }

  /// A ledger that has much to say.
  private struct LongLedger: LedgerViews {
    static let total = 9
    func erasure(of record: Digest) async -> Erasure? { nil }
    func consents(of account: Digest, patient: String) async -> [CanonicalJSON] { [] }
    func accesses(
      of account: Digest, patient: String, skipping offset: Int, countMax: Int
    ) async -> (total: Int, page: [CanonicalJSON]) { (0, []) }
    func provenance(
      of account: Digest, names: [String: String], skipping offset: Int, countMax: Int
    ) async -> (total: Int, page: [CanonicalJSON]) {
      let line = CanonicalJSON.members([
        ("resourceType", .string("Provenance")), ("id", .string(String(repeating: "x", count: 1000))),
      ])
      return (Self.total, Array(repeating: line, count: max(0, min(countMax, Self.total - offset))))
    }
  }

  @Test("⚑ A bundle in a bundle is refused, whatever its kind", arguments: ["batch", "transaction"])
  func nested(_ kind: String) async throws {
    let bench = try FHIRBench()
    let inner = #"{"resourceType":"Bundle","type":"batch","entry":[]}"#
    for url in ["", "/"] {
      let entry = #"{"resource":\#(inner),"request":{"method":"POST","url":"\#(url)"}}"#
      let answer = await bench.bundle(kind, entry)
      let status = answer.body?["entry"]?.items?.first?["response"]?["status"]?.text
      #expect(kind == "batch" ? status == "400" : answer.status == 400, "\(url): \(answer.status) \(status ?? "")")
    }
  }

  private static func entry(_ number: Int, _ condition: String) -> String {
    #"{"resource":{"resourceType":"Patient","id":"p\#(number)","birthDate":"1970-01-01","#
      + #""identifier":[{"system":"mrn","value":"\#(number)"}]},"#
      + #""request":{"method":"PUT","url":"Patient?\#(condition)"}}"#
  }

  private static func transaction(_ entries: [String]) -> String {
    #"{"resourceType":"Bundle","type":"transaction","entry":[\#(entries.joined(separator: ","))]}"#
  }

  @Test("⚑ A transaction's conditions may look at a bounded number of resources: one by identifier looks at few")
  func conditions() async throws {
    let bench = try FHIRBench()
    let scanning = (0..<1000).map { Self.entry($0, "birthdate=gt2\(100 + $0 % 800)-01-01&gender:not=female") }
    let refused = await bench.send("POST", "", Self.transaction(scanning))
    #expect(refused.status == 413)
    let words = refused.body?["issue"]?.items?.first?["diagnostics"]?.text ?? ""
    #expect(words.hasPrefix("entry ") && words.contains("identifier"), "\(words)")
    #expect(await bench.found("Patient").isEmpty, "nothing of it was written")
    let looked = (0..<1000).map { Self.entry($0, "identifier=mrn|\($0)") }
    #expect(await bench.send("POST", "", Self.transaction(looked)).status == 200)
  }

  private static func ask(_ bench: FHIRBench, _ method: String, _ url: String, _ body: String = "") async
    -> FHIRResponse
  {
    let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
    var request = FHIRRequest(
      method: method, path: (halves.first ?? "").split(separator: "/").map(String.init),
      query: halves.count == 2 ? (try? FHIRURL.parameters(halves[1])) ?? [] : [], body: Array(body.utf8))
    request.meter = AnswerMeter(bytesMax: 3000)
    return await bench.service.handle(request)
  }

  /// The url of a link below the base; nil where there is none.
  private static func next(_ response: FHIRResponse) -> String? {
    let link = (response.body?["link"]?.items ?? []).first { $0["relation"]?.text == "next" }
    return link?["url"]?.text.map { String($0.dropFirst("http://h/fhir/".count)) }
  }

  @Test("⚑ An answer has a bounded number of bytes: pages end earlier, with a link to the rest")
  func pages() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    let text = String(repeating: "x", count: 1000)
    let subject = #""subject":{"reference":"Patient/p"},"code":{"text":"\#(text)"}"#
    for id in ["a", "b", "c", "d", "e"] { await bench.put(FHIRBench.observation(id, subject)) }
    for _ in 0..<4 { await bench.put(FHIRBench.observation("a", subject)) }
    for (first, expected) in [
      ("Observation?_count=1000", ["a", "b", "c", "d", "e"]),
      ("Patient/p/$everything", ["p", "a", "b", "c", "d", "e"]),
      ("Observation/a/_history", ["a", "a", "a", "a", "a"]),
    ] {
      var (found, url, pages) = ([String](), String?.some(first), 0)
      while let asked = url, pages < 10 {
        let page = await Self.ask(bench, "GET", asked)
        #expect(page.status == 200 && page.body?.canonicalBytes.count ?? 0 < 5000)
        found += (page.body?["entry"]?.items ?? []).compactMap { $0["resource"]?["id"]?.text }
        (url, pages) = (Self.next(page), pages + 1)
      }
      #expect(found == expected && pages > 2, "\(first): \(found), \(pages) pages")
    }
    // One that is longer by itself is given by itself.
    await bench.put(FHIRBench.observation("f", #""code":{"text":"\#(String(repeating: "y", count: 9000))"}"#))
    #expect(await Self.ask(bench, "GET", "Observation/f").status == 200)
    let included = await Self.ask(bench, "GET", "Patient?_revinclude=Observation:subject")
    #expect(included.body?["entry"]?.items?.last?["resource"]?["issue"]?.items?.first?["code"]?.text == "too-costly")
  }

  @Test("⚑ Entries for which an answer has no room are refused by themselves", arguments: ["batch", "transaction"])
  func bundles(_ kind: String) async throws {
    let bench = try FHIRBench()
    let text = String(repeating: "x", count: 1000)
    await bench.put(FHIRBench.observation("a", #""code":{"text":"\#(text)"}"#))
    let get = #"{"request":{"method":"GET","url":"Observation/a"}}"#
    let entries = Array(repeating: get, count: 9).joined(separator: ",")
    let body = #"{"resourceType":"Bundle","type":"\#(kind)","entry":[\#(entries)]}"#
    let answer = await Self.ask(bench, "POST", "", body)
    #expect(answer.status == 200)
    let statuses = (answer.body?["entry"]?.items ?? []).compactMap { $0["response"]?["status"]?.text }
    #expect(statuses == ["200 OK", "200 OK"] + Array(repeating: "413", count: 7), "\(statuses)")
  }

  @Test("Where the memory that all answers share is taken, a long one waits, and a short one does not")
  func shared() async throws {
    let bench = try FHIRBench()
    await bench.put(FHIRBench.observation("a", #""code":{"text":"x"}"#))
    let text = String(repeating: "y", count: 100_000)
    await bench.put(FHIRBench.observation("b", #""code":{"text":"\#(text)"}"#))
    for (id, status) in [("a", 200), ("b", 503)] {
      var request = FHIRRequest(method: "GET", path: ["Observation", id])
      request.meter = AnswerMeter { _ in false }
      #expect(await bench.service.handle(request).status == status)
    }
  }

  @Test("A resource has a bounded number of values: a bundle of many may have more")
  func values() async throws {
    let bench = try FHIRBench()
    let members = (0..<120_000).map { #""x\#($0)":0"# }.joined(separator: ",")
    let answer = await bench.send("POST", "Patient", #"{"resourceType":"Patient",\#(members)}"#)
    #expect(answer.status == 400)
  }

  @Test("⚑ Work for a client who has left is not done", arguments: ["batch", "transaction", "search"])
  func left(_ kind: String) async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p","active":true}"#)
    let change = #"{"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"PUT","url":"Patient/p"}}"#
    let answered = AsyncStream<Void>.makeStream()
    let work = Task {
      for await _ in answered.stream {}
      return kind == "search" ? await bench.send("GET", "Patient") : await bench.bundle(kind, change)
    }
    work.cancel()
    answered.continuation.finish()
    #expect(await work.value.status == 503)
    #expect(await bench.send("GET", "Patient/p").version == 1)
  }
}
