// Goal: a Binary that is stored as JSON belongs to the patient whose document, picture or report it is the content of:
// on the ledger, in the chart, in the log of who read it, and when that is erased. Method: each way to say whose it is,
// in any order, alone and in transactions, and the same after a restart.
import FHIR
import HealthRecords
import Primitives
import Synchronization
import Testing

@Suite("Binaries that are stored")
struct AttachedTests {
  private final class Log: ReadingLog {
    let kept = Mutex<[LocalReading]>([])
    var intervalMilliseconds: UInt64 { 900_000 }
    func note(_ readings: [LocalReading]) async throws { self.kept.withLock { $0 += readings } }
    func readings(of patient: Digest, _ question: ReadingQuestion) async -> ReadingPage {
      ReadingPage(lines: [], next: nil)
    }
    func counts(of patient: Digest) async -> [(interval: UInt64, count: Int)] { [] }
    /// How many readings of a Binary were noted.
    var count: Int { self.kept.withLock { $0.filter { $0.types.contains("Binary") }.count } }
  }

  private struct Bench {
    let store = MemoryResources()
    let anchoring = FakeLedger()
    let ledger = ErasingLedger()
    let log = Log()
    var service: FHIRService

    init() async throws {
      self.service = try Self.start(self.store, self.anchoring, self.ledger, self.log)
      for (id, account) in [("p", FHIRBench.account), ("q", AttachedTests.other)] {
        let identifier = #"{"system":"urn:consilium:account","value":"\#(account)"}"#
        await self.put(#"{"resourceType":"Patient","id":"\#(id)","identifier":[\#(identifier)]}"#)
      }
    }

    private static func start(
      _ store: MemoryResources, _ anchoring: FakeLedger, _ ledger: ErasingLedger, _ log: Log
    ) throws -> FHIRService {
      try FHIRService(
        store: store, anchoring: anchoring, ledger: ledger, readings: log, base: "http://h/fhir",
        now: { Timestamp(milliseconds: 1_750_000_000_000) }, entropy: { Array(repeating: 7, count: $0) })
    }

    mutating func restart() async throws {
      await self.service.keepWaiting()
      self.service = try Self.start(self.store, self.anchoring, self.ledger, self.log)
    }

    func send(_ method: String, _ url: String, _ body: String = "") async -> FHIRResponse {
      let path = url.split(separator: "/").map(String.init)
      return await self.service.handle(FHIRRequest(method: method, path: path, body: Array(body.utf8)))
    }

    func put(_ json: String) async {
      let value = (try? CanonicalJSON(Array(json.utf8))) ?? .null
      let name = "\(value["resourceType"]?.text ?? "")/\(value["id"]?.text ?? "")"
      let status = await self.send("PUT", name, json).status
      #expect(status == 201 || status == 200, "\(name): \(status)")
    }

    func transaction(_ resources: [String]) async {
      let entries = resources.map { json in
        let value = (try? CanonicalJSON(Array(json.utf8))) ?? .null
        let name = "\(value["resourceType"]?.text ?? "")/\(value["id"]?.text ?? "")"
        return #"{"resource":\#(json),"request":{"method":"PUT","url":"\#(name)"}}"#
      }
      let body = #"{"resourceType":"Bundle","type":"transaction","entry":[\#(entries.joined(separator: ","))]}"#
      #expect(await self.send("POST", "", body).status == 200)
    }

    /// Puts into the store what was taken by an earlier release, and starts over it.
    mutating func keep(_ json: String) async throws {
      let value = try CanonicalJSON(Array(json.utf8))
      try self.store.write([
        StoredResource(
          type: value["resourceType"]?.text ?? "", id: value["id"]?.text ?? "", version: 1, ordinal: 99,
          updated: Timestamp(milliseconds: 1_750_000_000_000), body: value.canonicalBytes, record: nil)
      ])
      try await self.restart()
      _ = await self.service.anchorPending()
    }

    /// How many current records of Binaries an account has.
    func records(_ account: String = FHIRBench.account) -> Int {
      self.anchoring.current(account).filter { $0.json["data"] != nil }.count
    }

    func chart(_ id: String = "p") async -> [String] {
      let entries = await self.send("GET", "Patient/\(id)/$everything").body?["entry"]?.items ?? []
      return entries.compactMap { $0["resource"]?["id"]?.text }
    }

    func erase(_ name: String, version: UInt64 = 1) async throws {
      let parts = name.split(separator: "/").map(String.init)
      await self.service.keepWaiting()
      let record = try #require(self.store.version(version, type: parts[0], id: parts[1])?.record)
      self.ledger.erased.withLock { $0[record] = .patient }
      try await self.service.forget(record)
    }
  }

  private static let other = String(repeating: "cd", count: 32)
  private static let plain = binary("b", "")

  private static func binary(_ id: String, _ more: String, data: String = "U0VDUkVU") -> String {
    #"{"resourceType":"Binary","id":"\#(id)","contentType":"text/plain",\#(more)"data":"\#(data)"}"#
  }

  private static func document(_ url: String, of patient: String = "p", id: String = "d") -> String {
    #"{"resourceType":"DocumentReference","id":"\#(id)","status":"current","#
      + #""subject":{"reference":"Patient/\#(patient)"},"content":[{"attachment":{"url":"\#(url)"}}]}"#
  }

  private static let bearers = [
    document("Binary/b"), document("http://h/fhir/Binary/b"), document("Binary/b/_history/1"),
    #"{"resourceType":"Media","id":"d","status":"completed","subject":{"reference":"Patient/p"},"#
      + #""content":{"url":"Binary/b"}}"#,
    #"{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{"text":"x"},"#
      + #""subject":{"reference":"Patient/p"},"presentedForm":[{"url":"Binary/b"}]}"#,
    #"{"resourceType":"Communication","id":"d","status":"completed","subject":{"reference":"Patient/p"},"#
      + #""payload":[{"contentAttachment":{"url":"Binary/b"}}]}"#,
    #"{"resourceType":"Communication","id":"d","status":"completed","subject":{"reference":"Patient/p"},"#
      + #""payload":[{"contentReference":{"reference":"Binary/b"}}]}"#,
    #"{"resourceType":"DocumentReference","id":"d","status":"current","subject":{"reference":"Patient/p"},"#
      + #""content":[{"attachment":{"title":"x"}}],"context":{"related":[{"reference":"Binary/b"}]}}"#,
    #"{"resourceType":"List","id":"d","status":"current","mode":"working","subject":{"reference":"Patient/p"},"#
      + #""entry":[{"item":{"reference":"http://h/fhir/Binary/b"}}]}"#,
    answers(#""answer":[{"valueAttachment":{"url":"Binary/b"}}]"#),
    answers(#""item":[{"linkId":"2","answer":[{"valueAttachment":{"url":"Binary/b"}}]}]"#),
    answers(
      #""answer":[{"valueString":"x","item":[{"linkId":"3","answer":[{"valueAttachment":{"url":"Binary/b"}}]}]}]"#),
    #"{"resourceType":"Condition","id":"d","code":{"text":"x"},"subject":{"reference":"Patient/p"},"#
      + #""extension":[{"url":"urn:scan","valueAttachment":{"url":"Binary/b"}}]}"#,
    #"{"resourceType":"Condition","id":"d","code":{"text":"x"},"subject":{"reference":"Patient/p"},"#
      + #""extension":[{"url":"urn:scan","valueUrl":"Binary/b"}]}"#,
    #"{"resourceType":"Condition","id":"d","code":{"text":"x"},"subject":{"reference":"Patient/p"},"#
      + #""extension":[{"url":"urn:scans","extension":[{"url":"one","valueUri":"http://h/fhir/Binary/b"}]}]}"#,
    #"{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{"text":"x"},"media":[{"link":"#
      + ##"{"reference":"#m"}}],"contained":[{"resourceType":"Media","id":"m","status":"completed","##
      + #""content":{"url":"Binary/b"}}],"subject":{"reference":"Patient/p"}}"#,
  ]

  private static func answers(_ item: String) -> String {
    #"{"resourceType":"QuestionnaireResponse","id":"d","status":"completed","#
      + #""subject":{"reference":"Patient/p"},"item":[{"linkId":"1",\#(item)}]}"#
  }

  @Test("⚑ It is of the patient whom securityContext names, whatever bears it")
  func context() async throws {
    var bench = try await Bench()
    let context = #""securityContext":{"reference":"Patient/p"},"#
    let answer = await bench.send("PUT", "Binary/b", Self.binary("b", context))
    #expect(answer.status == 201 && answer.anchor?.count == 64, "\(answer.anchor ?? "no record")")
    let strange = Self.document("Binary/b", of: "q")
    #expect(await bench.send("PUT", "DocumentReference/d", strange).status == 409)
    try await bench.keep(strange)
    for _ in 0..<2 {
      #expect(await bench.chart() == ["p", "b"])
      let count = bench.log.count
      #expect(await bench.send("GET", "Binary/b").anchor?.count == 64)
      #expect(bench.log.count == count + 1)
      try await bench.restart()
    }
    #expect(bench.records() == 1 && bench.records(Self.other) == 0)
    try await bench.erase("DocumentReference/d")
    #expect(await bench.send("GET", "Binary/b").status == 200, "what another's document bears is not another's")
    try await bench.erase("Binary/b")
    #expect(await bench.send("GET", "Binary/b").status == 410)
  }

  @Test("⚑ It is of the patient whom what bears it is about, in whatever order they come", arguments: bearers)
  func borne(_ bearer: String) async throws {
    for order in [[Self.plain, bearer], [bearer, Self.plain]] {
      for isWhole in [false, true] {
        var bench = try await Bench()
        if isWhole { await bench.transaction(order) } else { for one in order { await bench.put(one) } }
        for _ in 0..<2 {
          #expect(bench.records() == 1)
          #expect(await bench.chart().contains("b"))
          let count = bench.log.count
          #expect(await bench.send("GET", "Binary/b").anchor?.count == 64)
          #expect(bench.log.count == count + 1)
          await bench.put(Self.plain)
          #expect(bench.records() == 1, "it is written again as it was")
          try await bench.restart()
        }
        // It goes with what bears it.
        let type = try CanonicalJSON(Array(bearer.utf8))["resourceType"]?.text ?? ""
        #expect(await bench.send("DELETE", "\(type)/d").status == 204)
        #expect(bench.records() == 0)
        #expect(await bench.chart() == ["p"])
      }
    }
  }

  @Test("⚑ Where what bears it becomes another patient's, so does it")
  func moved() async throws {
    let bench = try await Bench()
    await bench.put(Self.plain)
    #expect(bench.records() == 0)
    await bench.put(Self.document("Binary/b"))
    await bench.put(Self.document("Binary/b", of: "q"))
    #expect(bench.records() == 0 && bench.records(Self.other) == 1)
    #expect(await bench.chart("q") == ["q", "b", "d"])
    await bench.put(Self.document("Binary/c", of: "q"))
    #expect(bench.records(Self.other) == 0)
  }

  @Test("⚑ What one patient's document bears becomes nobody else's: another's that names it is refused, by any id")
  func stranger() async throws {
    let bench = try await Bench()
    await bench.put(Self.plain)
    await bench.put(Self.document("Binary/b"))
    for url in ["Binary/b", "http://h/fhir/Binary/b", "Binary/b/_history/1"] {
      let answer = await bench.send("PUT", "DocumentReference/0", Self.document(url, of: "q", id: "0"))
      #expect(answer.status == 409, "\(url)")
      let said = answer.body?["issue"]?.items?.first?["diagnostics"]?.text ?? ""
      #expect(said.contains("Binary/b is another patient's, by DocumentReference/d"), "\(said)")
    }
    let context = Self.binary("b", #""securityContext":{"reference":"Patient/q"},"#)
    #expect(await bench.send("PUT", "Binary/b", context).status == 409)
    let entries = [("m", "p"), ("n", "q")].map { id, patient in
      #"{"resource":\#(Self.document("Binary/n", of: patient, id: id)),"#
        + #""request":{"method":"PUT","url":"DocumentReference/\#(id)"}}"#
    }
    let body = #"{"resourceType":"Bundle","type":"transaction","entry":[\#(entries.joined(separator: ","))]}"#
    #expect(await bench.send("POST", "", body).status == 409)
    #expect(bench.records() == 1 && bench.records(Self.other) == 0)
    // What bears it moves together, and not one alone.
    await bench.put(Self.document("Binary/b", id: "e"))
    #expect(await bench.send("PUT", "DocumentReference/d", Self.document("Binary/b", of: "q")).status == 409)
    await bench.transaction([Self.document("Binary/b", of: "q"), Self.document("Binary/b", of: "q", id: "e")])
    #expect(bench.records() == 0 && bench.records(Self.other) == 1)
  }

  @Test(
    "⚑ An attachment's URL that is meant for this server in a form that is not read is refused, and no other",
    arguments: [
      ("/fhir/Binary/b", 422), ("./Binary/b", 422), ("Binary/b/", 422), ("Binary/b?x=1", 422), ("Binary/b#p", 422),
      ("HTTP://h/fhir/Binary/b", 422), ("http://h/fhir/Binary/b/", 422), ("http://h:80/fhir/Binary/b", 422),
      ("http://h/fhir/Binary/b?_format=json", 422), ("binary/b", 422), ("http://h//fhir/Binary/b", 422),
      ("https://other.example/Binary/b/", 201), ("scan.pdf", 201), ("urn:oid:1.2.3", 201), ("http://h/x", 201),
    ])
  func otherForm(_ url: String, _ status: Int) async throws {
    let bench = try await Bench()
    let within =
      #"{"resourceType":"Condition","id":"c","code":{"text":"x"},"subject":{"reference":"Patient/p"},"#
      + #""extension":[{"url":"urn:scan","valueAttachment":{"url":"\#(url)"}}]}"#
    let alone = within.replacing(#""valueAttachment":{"url":"\#(url)"}"#, with: #""valueUrl":"\#(url)""#)
    for (name, json) in [("DocumentReference/d", Self.document(url)), ("Condition/c", within), ("Condition/c", alone)] {
      let answer = await bench.send("PUT", name, json)
      #expect(answer.status == status || status == 201 && answer.status == 200, "\(url)")
      let said = answer.body?["issue"]?.items?.first?["diagnostics"]?.text ?? ""
      #expect(status == 201 || said.contains("Binary/b is expected"), "\(said)")
    }
  }

  @Test("⚑ Where its security context is no patient, it is of the patient of that, and moves and goes with it")
  func guarded() async throws {
    let binary = Self.binary("b", #""securityContext":{"reference":"DocumentReference/d"},"#)
    for isWhole in [false, true] {
      var bench = try await Bench()
      if isWhole {
        await bench.transaction([binary, Self.document("Binary/x")])
      } else {
        await bench.put(Self.document("Binary/x"))
        await bench.put(binary)
      }
      for _ in 0..<2 {
        #expect(bench.records() == 1)
        #expect(await bench.chart() == ["p", "b", "d"])
        await bench.put(binary)
        let strange = Self.document("Binary/b", of: "q", id: "e")
        #expect(await bench.send("PUT", "DocumentReference/e", strange).status == 409)
        try await bench.restart()
      }
      await bench.put(Self.document("Binary/x", of: "q"))
      #expect(bench.records() == 0 && bench.records(Self.other) == 1)
      try await bench.erase("DocumentReference/d", version: 2)
      #expect(await bench.send("GET", "Binary/b").status == 410)
    }
  }

  @Test(
    "⚑ A security context that could be somebody's, and does not say whose, is refused; what is nobody's is none",
    arguments: [
      ("DocumentReference/none", 422), ("Flag/1", 422), ("Binary/x", 422), ("Encounter/e", 422), ("Task/t", 422),
      ("Practitioner/x", 201), ("https://other.example/Patient/p", 201),
    ])
  func unclear(_ reference: String, _ status: Int) async throws {
    let bench = try await Bench()
    await bench.put(Self.binary("x", #""securityContext":{"reference":"Patient/p"},"#))
    await bench.put(#"{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"}}"#)
    await bench.put(
      #"{"resourceType":"Task","id":"t","status":"requested","intent":"order","for":{"reference":"Patient/p"}}"#)
    await bench.put(#"{"resourceType":"Practitioner","id":"x"}"#)
    let context = #""securityContext":{"reference":"\#(reference)"},"#
    let answer = await bench.send("PUT", "Binary/b", Self.binary("b", context))
    #expect(answer.status == status && answer.anchor == nil)
    #expect(bench.records() == 1)
  }

  @Test("⚑ The header says whose it is where the resource does not; two that differ are refused")
  func header() async throws {
    let bench = try await Bench()
    func put(_ binary: String, _ context: String) async -> FHIRResponse {
      var request = FHIRRequest(method: "PUT", path: ["Binary", "b"], body: Array(binary.utf8))
      request.securityContext = context
      return await bench.service.handle(request)
    }
    let other = Self.binary("b", #""securityContext":{"reference":"Patient/q"},"#)
    #expect(await put(other, "Patient/p").status == 400)
    #expect(await put(Self.plain, "p").status == 422)
    let answer = await put(Self.plain, "Patient/p")
    #expect(answer.status == 201 && answer.anchor?.count == 64)
    #expect(bench.records() == 1)
  }

  @Test("In a bundle of another server's an attachment's URL is below its base: the entry's, or that server's")
  func bundle() async throws {
    let source = "http://source.example/fhir"
    func entry(_ json: String, _ name: String) -> String {
      let type = name.prefix { $0 != "/" }
      return #"{"fullUrl":"\#(source)/\#(name)","resource":\#(json),"request":{"method":"POST","url":"\#(type)"}}"#
    }
    let own = Self.document("Binary/b").replacing("Patient/p", with: "http://h/fhir/Patient/p")
    let document = entry(own, "DocumentReference/d")
    for entries in [[document], [document, entry(Self.plain, "Binary/b")]] {
      let bench = try await Bench()
      await bench.put(Self.plain)
      let body = #"{"resourceType":"Bundle","type":"transaction","entry":[\#(entries.joined(separator: ","))]}"#
      #expect(await bench.send("POST", "", body).status == 200)
      #expect(bench.records() == entries.count - 1)
      let chart = await bench.chart()
      #expect(!chart.contains("b"), "that is another one")
    }
  }

  @Test("⚑ Where two patients' documents bear it in a store of an earlier release, it is whose it was first")
  func first() async throws {
    var bench = try await Bench()
    await bench.put(Self.plain)
    await bench.put(Self.document("Binary/b"))
    try await bench.keep(Self.document("Binary/b", of: "q", id: "0"))
    #expect(bench.records() == 1 && bench.records(Self.other) == 0)
    #expect(await bench.chart("q") == ["q", "0"])
    await bench.put(Self.document("Binary/b"))
    try await bench.erase("DocumentReference/0")
    #expect(await bench.send("GET", "Binary/b").status == 200)
    #expect(await bench.chart() == ["p", "b", "d"])
  }

  @Test(
    "⚑ What an erased document bears is erased with it, in all versions, on the ledger or not", arguments: [1, 90_000])
  func erased(_ length: Int) async throws {
    var bench = try await Bench()
    let data = String(repeating: "U0VDUkVU", count: length)
    await bench.put(Self.document("Binary/b"))
    await bench.put(Self.binary("b", "", data: "U0VDUkVU" + data))
    await bench.put(Self.binary("b", "", data: data))
    #expect(bench.records() == (length == 1 ? 1 : 0))
    try await bench.erase("DocumentReference/d")
    for _ in 0..<2 {
      for url in ["Binary/b", "Binary/b/_history/1", "Binary/b/_history/2"] {
        #expect(await bench.send("GET", url).status == 410, "\(url)")
      }
      #expect(bench.store.versions(type: "Binary", id: "b").allSatisfy { $0.body.isEmpty && $0.erased != nil })
      #expect(await bench.send("PUT", "Binary/b", Self.plain).status == 410)
      #expect(await bench.chart() == ["p"])
      try await bench.restart()
    }
  }

  @Test("⚑ What only lists or points at it does not keep it when what has it as its content is erased")
  func listed() async throws {
    let bench = try await Bench()
    await bench.put(Self.plain)
    await bench.put(Self.document("Binary/b"))
    await bench.put(
      #"{"resourceType":"List","id":"l","status":"current","mode":"working","subject":{"reference":"Patient/p"},"#
        + #""entry":[{"item":{"reference":"Binary/b"}}]}"#)
    await bench.put(
      #"{"resourceType":"Provenance","id":"v","recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}],"#
        + #""target":[{"reference":"Binary/b"}]}"#)
    try await bench.erase("List/l")
    #expect(await bench.send("GET", "Binary/b").status == 200)
    try await bench.erase("DocumentReference/d")
    #expect(await bench.send("GET", "Binary/b").status == 410)
  }

  @Test("What another document bears as well stays until that is erased; what an erased version bore goes with it")
  func shared() async throws {
    let bench = try await Bench()
    await bench.put(Self.plain)
    await bench.put(Self.document("Binary/b"))
    await bench.put(Self.document("Binary/b", id: "e"))
    try await bench.erase("DocumentReference/d")
    #expect(await bench.send("GET", "Binary/b").status == 200)
    await bench.put(Self.document("Binary/c", id: "e"))
    try await bench.erase("DocumentReference/e")
    #expect(await bench.send("GET", "Binary/b").status == 410)
    #expect(await bench.send("GET", "DocumentReference/e").status == 200)
  }
}
