// Goal: what is sensitive by its labels or codes is of that category, its withdrawal too. Method: a service over a
// store in memory and a ledger that keeps what it is given.
import FHIR
import HealthRecords
import Testing

@Suite("What is sensitive")
struct SensitivityTests {
  private static func label(_ system: String, _ code: String) -> String {
    #""meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/\#(system)","code":"\#(code)"}]}"#
  }
  /// So many codings that what stands behind them is not looked at.
  private static let many = Array(repeating: #"{"coding":[{}]}"#, count: 257).joined(separator: ",")
  private static func code(_ system: String, _ code: String) -> String {
    #""code":{"coding":[{"system":"\#(system)","code":"\#(code)"}]}"#
  }

  @Test(
    "⚑ Labels and codes make a record sensitive; so is what withdraws it, and it does not say why",
    arguments: [
      (label("v3-Confidentiality", "V"), true), (label("v3-Confidentiality", "R"), true),
      (label("v3-ActCode", "HIV"), true), (code("http://hl7.org/fhir/sid/icd-10-cm", "F32.1"), true),
      (code("http://snomed.info/sct", "86406008"), true),
      (
        #""category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0074","code":"GE"}]}]"#, true
      ),
      (label("v3-ActCode", "ETH"), true), (code("http://hl7.org/fhir/sid/icd-10", "b20"), true),
      (#""meta":{"security":[{"system":"http://hl7.org/fhir/v3/Confidentiality","code":"V"}]}"#, true),
      (
        #""contained":[{"resourceType":"Observation","id":"k","status":"final",\#(label("v3-ActCode", "PSY")),"#
          + #""code":{"text":"x"}}]"#, true
      ),
      (#""category":[\#(many)]"#, true),
      (label("v3-Confidentiality", "N"), false), (#""meta":{"security":[{"system":"urn:own","code":"V"}]}"#, false),
      (code("http://hl7.org/fhir/sid/icd-10-cm", "J45"), false), (code("http://loinc.org", "F32.1"), false),
    ])
  func sensitive(_ members: String, _ isSensitive: Bool) async throws {
    let text = #"{"resourceType":"Condition","id":"c",\#(members),"subject":{"reference":"Patient/p"}}"#
    let category = isSensitive ? RecordCategory.sensitive : .condition
    #expect(try FHIRResource.read(Array(text.utf8)).map(\.category) == [category])
    guard !text.contains("{}") else { return }
    let bench = try FHIRBench()
    await bench.link("p")
    await bench.put(text)
    #expect(await bench.send("DELETE", "Condition/c").status == 204)
    let line = try #require(bench.ledger.lines.last)
    #expect(line.json["meta"]?["tag"] != nil)
    #expect(try FHIRResource.read(line.body).map(\.category) == [category])
    #expect(!String(decoding: line.body, as: UTF8.self).contains("HIV"))
  }

  @Test("⚑ A document's label and a bundle's count for what they hold: the file that a document names, each entry")
  func held() async throws {
    let concept = #"{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}"#
    let composition =
      #"{"resourceType":"Composition","status":"final","confidentiality":"R","date":"2026-01-01","title":"x","#
      + #""type":{"text":"x"},"author":[{"display":"x"}]}"#
    #expect(try FHIRResource.read(Array(composition.utf8)).map(\.category) == [.sensitive])
    let entries = #"[{"resource":{"resourceType":"Condition"}},{"resource":{"resourceType":"Observation"}}]"#
    let bundle = #"{"resourceType":"Bundle",\#(Self.label("v3-Confidentiality", "R")),"entry":\#(entries)}"#
    #expect(try FHIRResource.read(Array(bundle.utf8)).map(\.category) == [.sensitive, .sensitive])
    for isLabelled in [true, false] {
      let bench = try FHIRBench()
      await bench.link("p")
      await bench.put(
        #"{"resourceType":"DocumentReference","id":"d","status":"current","subject":{"reference":"Patient/p"},"#
          + (isLabelled ? #""securityLabel":[\#(concept)],"# : "") + #""content":[{"attachment":{"url":"Binary/b"}}]}"#)
      await bench.put(#"{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"U0VDUkVU"}"#)
      let file = try #require(bench.ledger.lines.last)
      #expect(file.json["resourceType"]?.text == "Binary")
      #expect(bench.ledger.sensitive == (isLabelled ? [file.record] : []))
      let document = try #require(bench.ledger.lines.first { $0.json["resourceType"]?.text == "DocumentReference" })
      #expect(try FHIRResource.read(document.body).map(\.category) == [isLabelled ? .sensitive : .document])
    }
  }
}
