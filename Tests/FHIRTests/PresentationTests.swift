// Goal: an answer has the form and the parts that were asked for, or says what there is. Method: each value of
// _summary, _elements, _total, _format and Accept, and what must not happen to a resource of which a part was read.
import HealthRecords
import Primitives
import Testing

@testable import FHIR

@Suite("Presentation")
struct PresentationTests {
  private static let patient =
    #"{"resourceType":"Patient","id":"p","gender":"male","name":[{"family":"Ek"}],"photo":[{"title":"x"}],"#
    + #""contact":[{"gender":"male"}],"text":{"status":"generated","#
    + #""div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}"#

  private static func members(_ json: CanonicalJSON?) -> Set<String> {
    guard case .object(let members)? = json else { return [] }
    return Set(members.map(\.name))
  }

  @Test("A query is bounded in bytes, in parameters, and in the elements that it asks for")
  func bounds() async throws {
    func status(_ query: String) -> Int? {
      do { return try FHIRURL.parameters(query).isEmpty ? 0 : 200 } catch { return error.status }
    }
    #expect(status(Array(repeating: "a=b", count: 1000).joined(separator: "&")) == 200)
    #expect(status(Array(repeating: "a=b", count: 1001).joined(separator: "&")) == 413)
    #expect(status(String(repeating: "a", count: FHIRURL.queryBytesMax)) == 200)
    #expect(status(String(repeating: "a", count: FHIRURL.queryBytesMax + 1)) == 413)
    let bench = try FHIRBench()
    await bench.put(Self.patient)
    func asked(_ count: Int) -> String { Array(repeating: "id", count: count).joined(separator: ",") }
    #expect(await bench.send("GET", "Patient?_elements=\(asked(100))").status == 200)
    #expect(await bench.send("GET", "Patient?_elements=\(asked(101))").status == 413)
  }

  @Test(
    "Parts of resources are what was asked for, with a tag that says so, in searches, reads and histories",
    arguments: [
      ("_elements=name", "name"), ("_elements=name,gender", "gender name"), ("_elements=Patient.name", "name"),
      ("_summary=true", "gender name"), ("_summary=text", "text"), ("_summary=data", "contact gender name photo"),
      ("_elements=name&_summary=true", "name"), ("_summary=false", "contact gender name photo text"),
    ])
  func parts(_ query: String, _ expected: String) async throws {
    let bench = try FHIRBench()
    await bench.put(Self.patient)
    for url in ["Patient?", "Patient/p?", "Patient/p/_history?", "Patient/p/_history/1?", "Patient/_history?"] {
      let body = await bench.send("GET", url + query).body
      let resource = body?["entry"]?.items?.first?["resource"] ?? body
      let shown = Self.members(resource).subtracting(["resourceType", "id", "meta"])
      #expect(shown.sorted().joined(separator: " ") == expected, "\(url)\(query)")
      #expect(resource.map { Presentation.isPart($0) } == (query != "_summary=false"))
    }
    let batch = await bench.bundle(
      "transaction", #"{"request":{"method":"GET","url":"Patient/p?\#(query)"}}"#)
    let shown = Self.members(batch.body?["entry"]?.items?.first?["resource"]).subtracting([
      "resourceType", "id", "meta",
    ])
    #expect(shown.sorted().joined(separator: " ") == expected)
  }

  @Test("What must be there stays, and what is included is whole")
  func mandatory() async throws {
    let bench = try FHIRBench()
    await bench.put(Self.patient)
    await bench.put(
      FHIRBench.observation("o", #""code":{"text":"x"},"subject":{"reference":"Patient/p"},"valueString":"v""#))
    let answer = await bench.send("GET", "Observation?_elements=value&_include=Observation:subject").body
    let resources = (answer?["entry"]?.items ?? []).map { $0["resource"] }
    #expect(Self.members(resources.first ?? nil) == ["resourceType", "id", "meta", "status", "code", "valueString"])
    #expect(Self.members(resources.last ?? nil).contains("photo"))
  }

  @Test("⚑ A part of a resource is not written in its place")
  func writtenBack() async throws {
    let bench = try FHIRBench()
    await bench.put(Self.patient)
    let part = await bench.send("GET", "Patient/p?_elements=name").body?.canonicalBytes ?? []
    let answer = await bench.send("PUT", "Patient/p", String(decoding: part, as: UTF8.self))
    #expect(answer.status == 422)
    #expect(await bench.send("GET", "Patient/p").body?["gender"]?.text == "male")
  }

  @Test("A total is left out where none is wanted; a count has no entries")
  func totals() async throws {
    let bench = try FHIRBench()
    await bench.put(Self.patient)
    #expect(await bench.send("GET", "Patient?_total=none").body?["total"] == nil)
    #expect(await bench.send("GET", "Patient?_total=accurate").body?["total"] == .number("1"))
    #expect(await bench.send("GET", "Patient?_count=0&_totalMethod=count").body?["total"] == .number("1"))
    #expect(await bench.send("GET", "Patient?_totalMethod=accurate").status == 400)
    for query in ["_summary=count", "_count=0", "_summary=count&_total=none"] {
      let body = await bench.send("GET", "Patient?\(query)").body
      #expect(body?["total"] == .number("1") && body?["entry"] == nil && body?["type"]?.text == "searchset")
    }
  }

  @Test(
    "The form of an answer is what _format names, otherwise what Accept takes best",
    arguments: [
      (nil, nil, "application/fhir+json"), ("json", "application/fhir+xml", "application/fhir+json"),
      ("application/json", nil, "application/fhir+json"),
      ("application/fhir+json", "text/html", "application/fhir+json"),
      ("application/fhir json", nil, "application/fhir+json"), ("text/json", nil, "application/fhir+json"),
      ("application/fhir+json; fhirVersion=4.0", nil, "application/fhir+json"),
      ("application/fhir+json; fhirVersion=3.0", nil, nil), ("xml", nil, nil), ("ttl", nil, nil), ("html", nil, nil),
      ("application/fhir+xml", nil, nil), ("frob", "application/fhir+json", nil),
      (nil, "*/*", "application/fhir+json"), (nil, "application/*", "application/fhir+json"),
      (nil, "application/json", "application/json"), (nil, "application/fhir+xml", nil),
      (nil, "application/fhir+xml, application/fhir+json;q=0.1", "application/fhir+json"),
      (nil, "application/fhir+json; fhirVersion=4.0", "application/fhir+json"),
      (nil, "application/fhir+json; fhirVersion=3.0", nil), (nil, "application/fhir+json;q=0, */*;q=0", nil),
      (nil, "application/fhir+json;q=0, application/json", "application/json"),
      (nil, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/fhir+json"),
      (nil, "text/html, *; q=.2, */*; q=.2", "application/fhir+json"),
      (nil, "APPLICATION/FHIR+JSON", "application/fhir+json"),
      (nil, "application/fhir+json;charset=utf-8", "application/fhir+json"),
      (nil, "application/fhir+json;charset=iso-8859-1", nil), (nil, "text/plain", nil),
      (nil, "", "application/fhir+json"),
    ] as [(String?, String?, String?)])
  func forms(_ format: String?, _ accept: String?, _ expected: String?) {
    let query = format.map { [(name: "_format", value: $0)] } ?? []
    let found = try? MediaTypes.answered(query, accept: accept)
    #expect(found == expected)
  }

  @Test("Preferences are read one by one")
  func preferences() {
    let both = Preferences("return=minimal; handling=strict")
    #expect(both.shows == .minimal && both.handling == .strict)
    let others = Preferences("respond-async, RETURN=\"OperationOutcome\", handling=odd")
    #expect(others.shows == .outcome && others.handling == nil)
    #expect(Preferences(nil).shows == nil)
  }

  @Test("Lines and indents change nothing of the values")
  func pretty() throws {
    let json = try CanonicalJSON(Array(#"{"a":[1.50,{"b":"x\n"},[],{}],"c":null}"#.utf8))
    #expect(try CanonicalJSON(json.prettyBytes) == json)
    #expect(json.prettyBytes.split(separator: 0x0a).count == 11)
  }
}
