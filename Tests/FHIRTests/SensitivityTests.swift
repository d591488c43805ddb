// Goal: what is sensitive by its labels or codes is of that category, its withdrawal too. Method: a service over a
// store in memory and a ledger that keeps what it is given.
import FHIR
import Foundation
import HealthRecords
import Primitives
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

  @Test(
    "⚑ A bundle's label counts for each entry that comes in it, and each shows it", arguments: ["transaction", "batch"])
  func bundled(_ kind: String) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    let condition = #"{"resourceType":"Condition","id":"c","code":{"text":"x"},"subject":{"reference":"Patient/p"}}"#
    let entry = #"{"resource":\#(condition),"request":{"method":"PUT","url":"Condition/c"}}"#
    let bundle =
      #"{"resourceType":"Bundle","type":"\#(kind)",\#(Self.label("v3-Confidentiality", "R")),"entry":[\#(entry)]}"#
    #expect(await bench.send("POST", "", bundle).status == 200)
    let line = try #require(bench.ledger.lines.last)
    #expect(try FHIRResource.read(line.body).map(\.category) == [.sensitive])
    let shown = await bench.send("GET", "Condition/c").body?["meta"]?["security"]?.items
    #expect(shown == [Sensitivity.label])
  }

  @Test(
    "⚑ A bundle whose label is not well formed is refused whole, and not taken without it",
    arguments: ["transaction", "batch"])
  func badlyLabelled(_ kind: String) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    let coding = #"{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}"#
    let condition = #"{"resourceType":"Condition","id":"c","code":{"text":"x"},"subject":{"reference":"Patient/p"}}"#
    let entry = #"{"resource":\#(condition),"request":{"method":"PUT","url":"Condition/c"}}"#
    for meta in [
      #""meta":[{"security":[\#(coding)]}]"#, #""meta":{"security":[[\#(coding)]]}"#,
      #""meta":{"security":[{"coding":[\#(coding)]}]}"#, #""meta":{"Security":[\#(coding)]}"#,
      #""meta":{"security":\#(coding)}"#, #""Meta":{"security":[\#(coding)]}"#,
      #""_meta":{"security":[\#(coding)]}"#, #""__meta":{"security":[\#(coding)]}"#,
    ] {
      let bundle = #"{"resourceType":"Bundle","type":"\#(kind)",\#(meta),"entry":[\#(entry)]}"#
      #expect(await bench.send("POST", "", bundle).status == 422, "\(meta)")
      #expect(await bench.send("GET", "Condition/c").status == 404, "\(meta)")
    }
    let plain =
      #"{"resourceType":"Bundle","id":"b","type":"\#(kind)","timestamp":"2026-01-02T03:04:05Z","entry":[\#(entry)]}"#
    #expect(await bench.send("POST", "", plain).status == 200)
  }

  @Test("⚑ What a patch in a labelled bundle makes is labelled, too", arguments: ["transaction", "batch"])
  func patched(_ kind: String) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    await bench.put(#"{"resourceType":"Condition","id":"c","code":{"text":"x"},"subject":{"reference":"Patient/p"}}"#)
    let patch = Data(#"[{"op":"replace","path":"/code/text","value":"HIV"}]"#.utf8).base64EncodedString()
    let binary = #"{"resourceType":"Binary","contentType":"application/json-patch+json","data":"\#(patch)"}"#
    let entry = #"{"resource":\#(binary),"request":{"method":"PATCH","url":"Condition/c"}}"#
    let bundle =
      #"{"resourceType":"Bundle","type":"\#(kind)",\#(Self.label("v3-Confidentiality", "R")),"entry":[\#(entry)]}"#
    let answer = await bench.send("POST", "", bundle)
    #expect(answer.status == 200)
    let line = try #require(bench.ledger.lines.last)
    #expect(line.json["code"]?["text"]?.text == "HIV" && line.json["meta"]?["security"]?.items == [Sensitivity.label])
    #expect(try FHIRResource.read(line.body).map(\.category) == [.sensitive])
  }

  @Test("⚑ A sensitive document bears no file that was sent as one like any other", arguments: ["", "transaction"])
  func sentAsItIs(_ kind: String) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    let record = bench.ledger.add(isAttachment: true)
    func write(_ isLabelled: Bool) async -> FHIRResponse {
      let document = Self.document(isLabelled).replacing("Binary/b", with: "Binary/\(record)")
      guard !kind.isEmpty else { return await bench.send("PUT", "DocumentReference/d", document) }
      let entry = #"{"resource":\#(document),"request":{"method":"PUT","url":"DocumentReference/d"}}"#
      return await bench.send("POST", "", #"{"resourceType":"Bundle","type":"transaction","entry":[\#(entry)]}"#)
    }
    #expect(await write(true).status == 422)
    #expect(await bench.send("GET", "DocumentReference/d").status == 404)
    #expect([200, 201].contains(await write(false).status))
    // Labelled later it is refused as well.
    #expect(await write(true).status == 422)
    #expect(await bench.send("GET", "DocumentReference/d").version == 1)
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

  private static func document(_ isLabelled: Bool) -> String {
    let concept = #"{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}]}"#
    return #"{"resourceType":"DocumentReference","id":"d","status":"current","subject":{"reference":"Patient/p"},"#
      + (isLabelled ? #""securityLabel":[\#(concept)],"# : "") + #""content":[{"attachment":{"url":"Binary/b"}}]}"#
  }
  private static func file(_ hasContext: Bool) -> String {
    #"{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"U0VDUkVU""#
      + (hasContext ? #","securityContext":{"reference":"Patient/p"}}"# : "}")
  }
  private static func files(_ bench: FHIRBench) -> [FakeLedger.Line] {
    bench.ledger.current().filter { $0.json["resourceType"]?.text == "Binary" }
  }

  @Test(
    "⚑ A file becomes as sensitive as its document: one that came before it, and one whose document is labelled later",
    arguments: [
      [file(true), document(true)], [file(true), document(false), document(true)],
      [document(false), file(false), document(true)],
    ])
  func later(_ writes: [String]) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    for write in writes.dropLast() { await bench.put(write) }
    let before = try #require(Self.files(bench).first)
    #expect(bench.ledger.sensitive.isEmpty)
    bench.ledger.be(.unreachable)
    await bench.put(writes[writes.count - 1])
    bench.ledger.be(.sound)
    // It follows after a stop as well, and once.
    let next = try await bench.restarted()
    #expect(await next.service.anchorPending() == 2)
    let file = try #require(Self.files(next).first)
    #expect(Self.files(next).count == 1 && file.supersedes == before.record && file.body == before.body)
    #expect(next.ledger.sensitive.contains(file.record))
    #expect(await next.send("GET", "Binary/b").anchor == file.record.description)
    await next.put(Self.document(true))
    #expect(await next.service.anchorPending() == 0)
    let again = try await next.restarted()
    #expect(await again.service.anchorPending() == 0)
    #expect(Self.files(next).map(\.record) == [file.record])
    // What withdraws it is as sensitive, though nothing bears it any more.
    #expect(await next.send("DELETE", "DocumentReference/d").status == 204)
    #expect(await next.send("DELETE", "Binary/b").status == 204)
    let withdrawal = try #require(Self.files(next).first)
    #expect(withdrawal.supersedes == file.record && next.ledger.sensitive.contains(withdrawal.record))
  }

  @Test(
    "⚑ A file that is on its way while its document is labelled follows at once; one that is labelled less does not")
  func underWay() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    bench.ledger.hold()
    async let sent = bench.send("PUT", "Binary/b", Self.file(true))
    await bench.until { bench.ledger.waitingCount == 1 }
    async let labelled = bench.send("PUT", "DocumentReference/d", Self.document(true))
    await bench.until { await bench.send("GET", "DocumentReference/d").status == 200 }
    bench.ledger.release()
    #expect(await [sent.status, labelled.status] == [201, 201])
    let file = try #require(Self.files(bench).first)
    #expect(bench.ledger.sensitive.contains(file.record) && file.supersedes != nil)
    await bench.put(Self.document(false))
    #expect(await bench.service.anchorPending() == 0)
    #expect(Self.files(bench).map(\.record) == [file.record])
  }
}
