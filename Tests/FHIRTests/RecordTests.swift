import FHIR
import HealthRecords
import Primitives
import Testing

/// Records of the ledger, asked for by their own ids. Goal: nothing that is written here comes in a record's place, and
/// an EHR is told of a deletion only what the ledger has. Method: every write of an id that is a record's.
@Suite("Records by their own ids")
struct RecordTests {
  private static func allergy(_ id: String, _ text: String = "No known allergy") -> String {
    #"{"resourceType":"AllergyIntolerance","id":"\#(id)","patient":{"display":"x"},"code":{"text":"\#(text)"}}"#
  }

  private static func words(_ answer: FHIRResponse) -> String {
    answer.body?["issue"]?.items?.first?["diagnostics"]?.text ?? ""
  }

  @Test("⚑ Nobody writes under a record's id: not by PUT, not under a condition, not in a bundle")
  func written() async throws {
    let bench = try FHIRBench()
    let record = bench.ledger.add(isAttachment: false)
    for id in ["\(record)", "\(record)".uppercased()] {
      let put = await bench.send("PUT", "AllergyIntolerance/\(id)", Self.allergy(id))
      #expect(put.status == 409 && Self.words(put).contains("record on the ledger"), "\(Self.words(put))")
      let conditional = await bench.send("PUT", "AllergyIntolerance?code=x", Self.allergy(id))
      #expect(conditional.status == 409)
      let entry =
        #"{"resource":\#(Self.allergy(id)),"request":{"method":"PUT","url":"AllergyIntolerance/\#(id)"}}"#
      let whole = await bench.bundle("transaction", entry)
      #expect(whole.status == 409)
      #expect(whole.body?["issue"]?.items?.first?["expression"]?.items?.first?.text == "Bundle.entry[0]")
      let batch = await bench.bundle("batch", entry)
      #expect(batch.body?["entry"]?.items?.first?["response"]?["status"]?.text == "409")
      #expect(await bench.send("GET", "AllergyIntolerance/\(id)").status == 404)
    }
    // What is no record's is the EHR's own, also where it looks like one.
    let own = String(repeating: "e", count: 64)
    #expect(await bench.send("PUT", "AllergyIntolerance/\(own)", Self.allergy(own)).status == 201)
  }

  @Test("⚑ An EHR that deletes an attachment withdraws it, and is told so only once that is so")
  func withdrawn() async throws {
    let bench = try FHIRBench()
    let record = bench.ledger.add(isAttachment: true)
    let url = "Binary/\(record)"
    #expect(await bench.send("DELETE", url, ifMatch: #"W/"2""#).status == 412)
    bench.ledger.be(.unreachable)
    #expect(await bench.send("DELETE", url, ifMatch: #"W/"1""#).status == 503)
    bench.ledger.be(.refusing)
    #expect(await bench.send("DELETE", url).status == 422)
    #expect(bench.ledger.current().map(\.record) == [record])
    bench.ledger.be(.sound)
    #expect(await bench.send("DELETE", url, ifMatch: #"W/"1""#).status == 204)
    let current = bench.ledger.current()
    #expect(current.map(\.supersedes) == [record])
    #expect(current.first?.json["resourceType"]?.text == "Binary")
    #expect(current.first?.json["meta"]?["tag"]?.items?.first?["code"]?.text == "withdrawn")
    #expect(await bench.send("DELETE", url).status == 204, "once more is the same")
    #expect(bench.ledger.lines.count == 2)
  }

  @Test("⚑ A record that is no attachment, or is one in a transaction, is not said to be deleted")
  func kept() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    await bench.put(FHIRBench.observation("o", #""code":{"text":"x"},"subject":{"reference":"Patient/p"}"#))
    let own = try #require(bench.ledger.lines.last?.record)
    let other = bench.ledger.add(isAttachment: false)
    let attachment = bench.ledger.add(isAttachment: true)
    for url in ["Binary/\(other)", "Observation/\(other)", "Binary/\(own)", "Observation/\(own)"] {
      let answer = await bench.send("DELETE", url)
      #expect(answer.status == 405 && Self.words(answer).contains("DELETE Binary/ID"), "\(url): \(answer.status)")
    }
    let entry = #"{"request":{"method":"DELETE","url":"Binary/\#(attachment)"}}"#
    #expect(await bench.bundle("transaction", entry).status == 405)
    #expect(
      await bench.send(
        "PUT", "Binary/\(attachment)",
        #"{"resourceType":"Binary","id":"\#(attachment)","contentType":"application/pdf"}"#
      ).status == 409)
    #expect(bench.ledger.current().map(\.record).suffix(2) == [other, attachment])
    let batch = await bench.bundle("batch", entry)
    #expect(batch.body?["entry"]?.items?.first?["response"]?["status"]?.text == "204 No Content")
    #expect(bench.ledger.current().last?.supersedes == attachment)
    #expect(await bench.send("DELETE", "Observation/nobody").status == 204)
  }
}
