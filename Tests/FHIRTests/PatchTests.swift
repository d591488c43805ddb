// Goal: a patch does all that it says, or nothing and says why. Method: each operation of RFC 6902 and of FHIRPath
// Patch, each way to fail, and patches within transactions.
import HealthRecords
import Primitives
import Testing

@testable import FHIR

@Suite("Patches")
struct PatchTests {
  private static let patient =
    #"{"resourceType":"Patient","id":"p","gender":"male","name":[{"family":"Ek","given":["A","B"]},"#
    + #"{"use":"old","family":"Alm"}]}"#

  private static func bench() async throws -> FHIRBench {
    let bench = try FHIRBench()
    await bench.put(Self.patient)
    return bench
  }

  private static func patch(
    _ bench: FHIRBench, _ url: String, _ body: String, _ type: String? = JSONPatch.media, ifMatch: String? = nil
  ) async -> FHIRResponse {
    let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
    var request = FHIRRequest(
      method: "PATCH", path: halves[0].split(separator: "/").map(String.init),
      query: halves.count == 2 ? (try? FHIRURL.parameters(halves[1])) ?? [] : [], body: Array(body.utf8))
    (request.contentType, request.ifMatch) = (type, ifMatch)
    return await bench.service.handle(request)
  }

  @Test(
    "Each operation",
    arguments: [
      (#"[{"op":"replace","path":"/gender","value":"other"}]"#, #"{"gender":"other"}"#),
      (#"[{"op":"add","path":"/active","value":true}]"#, #"{"active":true,"gender":"male"}"#),
      (#"[{"op":"remove","path":"/gender"}]"#, "{}"),
      (#"[{"op":"test","path":"/name/0/given/1","value":"B"},{"op":"remove","path":"/gender"}]"#, "{}"),
      (
        #"[{"op":"add","path":"/name/0/given/-","value":"C"},"#
          + #"{"op":"test","path":"/name/0/given","value":["A","B","C"]}]"#,
        #"{"gender":"male"}"#
      ),
      (
        #"[{"op":"add","path":"/name/0/given/0","value":"C"},"#
          + #"{"op":"test","path":"/name/0/given","value":["C","A","B"]}]"#,
        #"{"gender":"male"}"#
      ),
      (
        #"[{"op":"copy","from":"/name/0/family","path":"/name/0/text"},"#
          + #"{"op":"test","path":"/name/0/text","value":"Ek"}]"#,
        #"{"gender":"male"}"#
      ),
      (
        #"[{"op":"move","from":"/name/0/given/0","path":"/name/0/given/1"},"#
          + #"{"op":"test","path":"/name/0/given","value":["B","A"]}]"#,
        #"{"gender":"male"}"#
      ),
    ])
  func operations(_ body: String, _ expected: String) async throws {
    let bench = try await Self.bench()
    let answer = await Self.patch(bench, "Patient/p", body)
    #expect(answer.status == 200 && answer.version == 2, "\(answer.body as Any)")
    let read = await bench.send("GET", "Patient/p").body ?? .null
    let wanted = try CanonicalJSON(Array(expected.utf8))
    for name in ["gender", "active"] { #expect(read[name] == wanted[name]) }
  }

  @Test(
    "What cannot be done changes nothing",
    arguments: [
      (#"[{"op":"test","path":"/gender","value":"female"},{"op":"replace","path":"/gender","value":"other"}]"#, 422),
      (#"[{"op":"replace","path":"/gender","value":"other"},{"op":"test","path":"/gender","value":"male"}]"#, 422),
      (#"[{"op":"replace","path":"/birthDate","value":"2000"}]"#, 422), (#"[{"op":"remove","path":"/name/7"}]"#, 422),
      (#"[{"op":"remove","path":"/name/01"}]"#, 422), (#"[{"op":"add","path":"/name/9","value":{}}]"#, 422),
      (#"[{"op":"replace","path":"/gender","value":"m"}]"#, 422),
      (#"[{"op":"replace","path":"/id","value":"q"}]"#, 422),
      (#"[{"op":"replace","path":"/resourceType","value":"Group"}]"#, 422), (#"[{"op":"remove","path":""}]"#, 422),
      (#"[{"op":"move","from":"/name","path":"/name/0"}]"#, 422), (#"[{"op":"add","path":"gender","value":"x"}]"#, 400),
      (#"[{"op":"frob","path":"/gender"}]"#, 400), (#"[{"op":"add","path":"/active"}]"#, 400), (#"{"op":"add"}"#, 400),
      ("[[", 400), ("", 400),
    ])
  func refused(_ body: String, _ status: Int) async throws {
    let bench = try await Self.bench()
    let answer = await Self.patch(bench, "Patient/p", body)
    #expect(answer.status == status, "\(answer.body as Any)")
    #expect(answer.body?["resourceType"]?.text == "OperationOutcome")
    #expect(await bench.send("GET", "Patient/p").version == 1)
  }

  @Test("What is copied into itself doubles with each operation: it is refused before it is large")
  func doubling() async throws {
    let bench = try await Self.bench()
    let double = #"{"op":"copy","from":"/name/0","path":"/name/0/given/-"}"#
    let few = await Self.patch(bench, "Patient/p", "[\(Array(repeating: double, count: 3).joined(separator: ","))]")
    #expect(few.status == 422 && few.body.map { "\($0)".contains("copies more") } == false, "no name is a given name")
    let many = await Self.patch(bench, "Patient/p", "[\(Array(repeating: double, count: 60).joined(separator: ","))]")
    #expect(many.status == 422 && many.body.map { "\($0)".contains("copies more") } == true)
    #expect(await bench.send("GET", "Patient/p").version == 1)
  }

  @Test("What operations nest one in another can be read again, or is refused")
  func nesting() async throws {
    let bench = try await Self.bench()
    func add(_ count: Int) -> String {
      let value = String(repeating: #"{"extension":["#, count: 10) + "{}" + String(repeating: "]}", count: 10)
      let operations = (0..<count).map { number in
        let path = "/extension" + (number == 0 ? "" : String(repeating: "/0/extension", count: 10 * number)) + "/0"
        return #"{"op":"add","path":"\#(path)","value":\#(value)}"#
      }
      let first = #"{"op":"add","path":"/extension","value":[]}"#
      return "[" + ([first] + operations).joined(separator: ",") + "]"
    }
    let deep = await Self.patch(bench, "Patient/p", add(6))
    #expect(deep.status == 422 && deep.body.map { "\($0)".contains("nests deeper") } == true, "\(deep.body as Any)")
    #expect(await bench.send("GET", "Patient/p").version == 1)
  }

  @Test("Many operations on a large resource are refused: each goes through all of it")
  func work() throws {
    let items = CanonicalJSON.array(Array(repeating: .string("x"), count: 30_000))
    #expect(throws: Never.self) { try JSONPatch.requireWork(600, on: items) }
    #expect { try JSONPatch.requireWork(1000, on: items) } throws: { ($0 as? FHIRFailure)?.status == 413 }
    var grown = JSONPatch.Work(on: .string("x"))
    try grown.take()
    grown.add(15_000_000)
    try grown.take()
    #expect { try grown.take() } throws: { ($0 as? FHIRFailure)?.status == 413 }
  }

  private static let change = #"[{"op":"replace","path":"/gender","value":"other"}]"#

  @Test("Conditions, versions, and what is not there")
  func targets() async throws {
    let bench = try await Self.bench()
    #expect(await Self.patch(bench, "Patient/q", Self.change).status == 404)
    #expect(await Self.patch(bench, "Patient?gender=female", Self.change).status == 404)
    #expect(await Self.patch(bench, "Patient", Self.change).status == 412)
    #expect(await Self.patch(bench, "Patient/p", Self.change, ifMatch: #"W/"2""#).status == 412)
    #expect(await Self.patch(bench, "Patient?gender=male", Self.change, ifMatch: #"W/"1""#).status == 200)
    #expect(await bench.send("GET", "Patient/p").version == 2)
    await bench.put(Self.patient.replacing(#""id":"p""#, with: #""id":"r""#))
    #expect(await Self.patch(bench, "Patient?family=ek", Self.change).status == 412)
    _ = await bench.send("DELETE", "Patient/r")
    #expect(await Self.patch(bench, "Patient/r", Self.change).status == 410)
    #expect(await Self.patch(bench, "Patient/p", "<diff/>", "application/xml-patch+xml").status == 415)
    #expect(await Self.patch(bench, "Patient/p", "{}", "application/merge-patch+json").status == 415)
    #expect(await Self.patch(bench, "Patient/p", Self.patient, nil).status == 415)
  }

  private static func operation(_ parts: String...) -> String {
    let part = parts.map { part in
      let halves = part.split(separator: "=", maxSplits: 1)
      return #"{"name":"\#(halves[0])",\#(halves[1])}"#
    }.joined(separator: ",")
    return #"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[\#(part)]}]}"#
  }

  @Test(
    "FHIRPath Patch: each operation",
    arguments: [
      (
        operation(
          #"type="valueCode":"replace""#, #"path="valueString":"Patient.gender""#, #"value="valueCode":"other""#),
        "/gender", #""other""#
      ),
      (
        operation(
          #"type="valueCode":"add""#, #"path="valueString":"Patient""#, #"name="valueString":"birthDate""#,
          #"value="valueDate":"2000""#), "/birthDate", #""2000""#
      ),
      (
        operation(
          #"type="valueCode":"add""#, #"path="valueString":"Patient""#, #"name="valueString":"deceased""#,
          #"value="valueBoolean":true"#), "/deceasedBoolean", "true"
      ),
      (
        operation(
          #"type="valueCode":"add""#, #"path="valueString":"Patient""#, #"name="valueString":"name""#,
          #"value="valueHumanName":{"text":"N"}"#), "/name/2", #"{"text":"N"}"#
      ),
      (
        operation(
          #"type="valueCode":"add""#, #"path="valueString":"Patient""#, #"name="valueString":"contact""#,
          #"value="part":[{"name":"gender","valueCode":"male"}]"#), "/contact", #"[{"gender":"male"}]"#
      ),
      (
        operation(
          #"type="valueCode":"insert""#, #"path="valueString":"Patient.name[0].given""#, #"index="valueInteger":1"#,
          #"value="valueString":"X""#), "/name/0/given", #"["A","X","B"]"#
      ),
      (
        operation(
          #"type="valueCode":"move""#, #"path="valueString":"Patient.name.first().given""#, #"source="valueInteger":0"#,
          #"destination="valueInteger":1"#), "/name/0/given", #"["B","A"]"#
      ),
      (
        operation(#"type="valueCode":"delete""#, #"path="valueString":"Patient.name.where(use = 'old')""#), "/name",
        #"[{"family":"Ek","given":["A","B"]}]"#
      ),
      (
        operation(
          #"type="valueCode":"replace""#, #"path="valueString":"Patient.name.last().family""#,
          #"value="valueString":"Z""#), "/name/1/family", #""Z""#
      ),
      (operation(#"type="valueCode":"delete""#, #"path="valueString":"Patient.photo""#), "/gender", #""male""#),
    ])
  func fhirPath(_ body: String, _ path: String, _ expected: String) async throws {
    let bench = try await Self.bench()
    let answer = await Self.patch(bench, "Patient/p", body, "application/fhir+json")
    #expect(answer.status == 200, "\(answer.body as Any)")
    let test = #"[{"op":"test","path":"\#(path)","value":\#(expected)}]"#
    #expect(await Self.patch(bench, "Patient/p", test).status == 200)
  }

  @Test(
    "FHIRPath Patch: what cannot be done",
    arguments: [
      operation(#"type="valueCode":"replace""#, #"path="valueString":"Patient.name""#, #"value="valueString":"x""#),
      operation(#"type="valueCode":"replace""#, #"path="valueString":"Group.name""#, #"value="valueString":"x""#),
      operation(#"type="valueCode":"delete""#, #"path="valueString":"Patient.name.given.upper()""#),
      operation(#"type="valueCode":"delete""#, #"path="valueString":"Patient.name[""#),
      operation(
        #"type="valueCode":"insert""#, #"path="valueString":"Patient.name[0].given""#, #"index="valueInteger":7"#,
        #"value="valueString":"X""#),
      operation(
        #"type="valueCode":"insert""#, #"path="valueString":"Patient.gender""#, #"index="valueInteger":0"#,
        #"value="valueString":"X""#),
      operation(#"type="valueCode":"frob""#, #"path="valueString":"Patient.gender""#),
      operation(#"path="valueString":"Patient.gender""#),
      #"{"resourceType":"Parameters"}"#,
    ])
  func fhirPathRefused(_ body: String) async throws {
    let bench = try await Self.bench()
    let answer = await Self.patch(bench, "Patient/p", body, "application/fhir+json")
    #expect([400, 422].contains(answer.status), "\(answer.body as Any)")
    #expect(await bench.send("GET", "Patient/p").version == 1)
  }

  @Test("In a transaction a patch is a Binary, and fails the whole where it fails")
  func transactions() async throws {
    let bench = try await Self.bench()
    // [{"op":"replace","path":"/gender","value":"other"}] and the same with a test that fails.
    func entry(_ data: String) -> String {
      #"{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"\#(data)"},"#
        + #""request":{"method":"PATCH","url":"Patient/p"}}"#
    }
    let made = #"{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}"#
    let failing = "W3sib3AiOiJ0ZXN0IiwicGF0aCI6Ii9nZW5kZXIiLCJ2YWx1ZSI6ImZlbWFsZSJ9XQ=="
    let refused = await bench.bundle("transaction", made, entry(failing))
    #expect(refused.status == 422)
    #expect(refused.body?["issue"]?.items?.first?["expression"]?.items?.first?.text == "Bundle.entry[1]")
    #expect(await bench.found("Patient") == ["p"])
    let good = "W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6Ii9nZW5kZXIiLCJ2YWx1ZSI6Im90aGVyIn1d"
    let answer = await bench.bundle("transaction", made, entry(good))
    #expect(answer.status == 200, "\(answer.body as Any)")
    #expect(await bench.send("GET", "Patient/p").body?["gender"]?.text == "other")
    let both = #"{"resource":\#(Self.patient),"request":{"method":"PUT","url":"Patient/p"}}"#
    #expect(await bench.bundle("transaction", entry(good), both).status == 400)
  }
}
