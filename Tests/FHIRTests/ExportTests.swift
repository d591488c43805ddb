// Goal: an export is everything that was there when it was asked for and that its asker may see, for nobody else; each
// patient who is in it has a trace (HL7 Bulk Data Access 2.0.0). Method: a service over a store in memory; the files'
// lines against what was written.
import FHIR
import HealthRecords
import Primitives
import Synchronization
import Testing

@Suite("Bulk export")
struct ExportTests {
  private struct Asker {
    let asker: FHIRAsker
    init(_ scopes: String = "system/*.rs", client: String = "ehr") throws {
      self.asker = FHIRAsker(account: nil, client: client, scopes: try #require(SMARTScopes(scopes, of: .system)))
    }
  }

  private static func send(
    _ service: FHIRService, _ method: String, _ url: String, _ asker: Asker, prefer: String? = "respond-async",
    _ body: String = ""
  ) async -> FHIRResponse {
    let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
    var request = FHIRRequest(
      method: method, path: halves[0].split(separator: "/").map(String.init),
      query: halves.count == 2 ? (try? FHIRURL.parameters(halves[1])) ?? [] : [], body: Array(body.utf8))
    (request.prefer, request.asker) = (prefer, asker.asker)
    return await service.handle(request)
  }

  /// All lines of all files of an export, by what the manifest names.
  private static func export(
    _ service: FHIRService, _ url: String = "$export", _ asker: Asker
  ) async throws -> [String: [CanonicalJSON]] {
    let begun = await self.send(service, "GET", url, asker)
    #expect(begun.status == 202, "\(begun.body?["issue"] as Any)")
    let manifest = await self.send(service, "GET", try #require(begun.contentLocation), asker)
    #expect(manifest.status == 200)
    return try await self.lines(service, try #require(manifest.body), asker)
  }

  private static func lines(
    _ service: FHIRService, _ manifest: CanonicalJSON, _ asker: Asker
  ) async throws -> [String: [CanonicalJSON]] {
    var found: [String: [CanonicalJSON]] = [:]
    for file in (manifest["output"]?.items ?? []) + (manifest["deleted"]?.items ?? []) {
      let url = try #require(file["url"]?.text)
      var request = FHIRRequest(
        method: "GET", path: url.dropFirst("http://h/fhir/".count).split(separator: "/").map(String.init))
      request.asker = asker.asker
      var (lines, place) = ([CanonicalJSON](), 0 as Int?)
      while let from = place {
        // Room for a few at a time.
        request.meter = AnswerMeter(bytesMax: 2000)
        let page = try await service.exported(request, from: from)
        lines += page.lines
        place = page.next
      }
      #expect(file["count"] == .number("\(lines.count)"), "\(url)")
      found[file["type"]?.text ?? ""] = lines
    }
    return found
  }

  private static func ids(_ lines: [CanonicalJSON]?) -> [String] { (lines ?? []).compactMap { $0["id"]?.text } }

  private static func observation(_ id: String, of patient: String) -> String {
    FHIRBench.observation(id, #""code":{"text":"x"},"subject":{"reference":"Patient/\#(patient)"}"#)
  }

  @Test("It is what was there when it was asked for, whatever is written meanwhile, in lines that are the resources")
  func state() async throws {
    let (bench, asker) = (try FHIRBench(), try Asker())
    for patient in ["p", "q"] { await bench.put(#"{"resourceType":"Patient","id":"\#(patient)"}"#) }
    for number in 0..<450 { await bench.put(Self.observation("o\(number)", of: number % 2 == 0 ? "p" : "q")) }
    let begun = await Self.send(bench.service, "GET", "$export", asker)
    await bench.put(Self.observation("late", of: "p"))
    await bench.put(Self.observation("o1", of: "p"))
    let manifest = await Self.send(bench.service, "GET", try #require(begun.contentLocation), asker)
    let files = try await Self.lines(bench.service, try #require(manifest.body), asker)
    #expect(files.keys.sorted() == ["Observation", "Patient"])
    #expect(Set(Self.ids(files["Observation"])) == Set((0..<450).map { "o\($0)" }))
    let first = files["Observation"]?.first { $0["id"]?.text == "o1" }
    #expect(first?["subject"]?["reference"]?.text == "Patient/q" && first?["meta"]?["versionId"]?.text == "1")
    #expect(manifest.body?["request"]?.text == "http://h/fhir/$export")
    #expect(manifest.body?["requiresAccessToken"] == .bool(true))
  }

  @Test("What changed since a time, and what was deleted since")
  func since() async throws {
    let (bench, asker) = (try FHIRBench(), try Asker())
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    await bench.put(#"{"resourceType":"Patient","id":"q"}"#)
    for name in ["a", "b", "c"] { await bench.put(Self.observation(name, of: "p")) }
    for (id, patient) in [("gp", "p"), ("gq", "q")] {
      await bench.put(
        #"{"resourceType":"Group","id":"\#(id)","type":"person","actual":true,"#
          + #""member":[{"entity":{"reference":"Patient/\#(patient)"}}]}"#)
    }
    bench.ledger.clock.wrappingAdd(1000, ordering: .relaxed)
    let begun = await Self.send(bench.service, "GET", "$export", asker)
    // Within the millisecond of that export, and after it.
    await bench.put(Self.observation("at-once", of: "p"))
    let time = await Self.send(bench.service, "GET", try #require(begun.contentLocation), asker)
      .body?["transactionTime"]?.text
    bench.ledger.clock.wrappingAdd(1000, ordering: .relaxed)
    await bench.put(Self.observation("b", of: "p"))
    #expect(await bench.send("DELETE", "Observation/c").status == 204)
    let files = try await Self.export(bench.service, "$export?_since=\(try #require(time))", asker)
    #expect(Set(Self.ids(files["Observation"])) == ["at-once", "b"])
    #expect(files["Patient"] == nil)
    let gone = files["Bundle"]?.first?["entry"]?.items?.first?["request"]
    #expect(gone?["method"]?.text == "DELETE" && gone?["url"]?.text == "Observation/c")
    #expect(try await Self.export(bench.service, "$export", asker)["Bundle"] == nil)
    // A deletion belongs to whom the resource belonged to.
    for (path, count) in [("Patient/$export", 1), ("Group/gp/$export", 1), ("Group/gq/$export", 0)] {
      let since = try await Self.export(bench.service, "\(path)?_since=\(try #require(time))", asker)
      #expect(since["Bundle"]?.count ?? 0 == count, "\(path)")
    }
  }

  @Test("All patients' is what belongs to some patient; a group's is its members'; named patients' is theirs")
  func patients() async throws {
    let (bench, asker) = (try FHIRBench(), try Asker())
    for patient in ["p", "q", "r"] {
      await bench.put(#"{"resourceType":"Patient","id":"\#(patient)"}"#)
      await bench.put(Self.observation("of-\(patient)", of: patient))
    }
    await bench.put(#"{"resourceType":"Organization","id":"here","name":"Here"}"#)
    await bench.put(
      #"{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/q"}},"#
        + #"{"entity":{"reference":"Patient/r"},"inactive":true}]}"#)
    let all = try await Self.export(bench.service, "Patient/$export", asker)
    #expect(Self.ids(all["Observation"]).sorted() == ["of-p", "of-q", "of-r"] && all["Organization"] == nil)
    let group = try await Self.export(bench.service, "Group/g/$export", asker)
    #expect(Self.ids(group["Patient"]) == ["q"] && Self.ids(group["Observation"]) == ["of-q"])
    let named = try await Self.export(bench.service, "Patient/$export?patient=Patient/p&_type=Observation", asker)
    #expect(Self.ids(named["Observation"]) == ["of-p"] && named["Patient"] == nil)
    #expect(await Self.send(bench.service, "GET", "Group/none/$export", asker).status == 404)
    let body =
      #"{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/p"}},"#
      + #"{"name":"_type","valueString":"Observation"}]}"#
    #expect(await Self.send(bench.service, "POST", "Patient/$export", asker, body).status == 202)
  }

  @Test("Since a time: what was erased is gone, and what is another patient's now, for who follows the one that it was")
  func left() async throws {
    let (anchoring, ledger, asker) = (FakeLedger(), ErasingLedger(), try Asker("system/*.cruds"))
    let count = Mutex(UInt8(0))
    let service = try FHIRService(
      store: MemoryResources(), anchoring: anchoring, ledger: ledger, base: "http://h/fhir",
      now: { Timestamp(milliseconds: anchoring.clock.load(ordering: .relaxed)) },
      entropy: { length in
        count.withLock { $0 &+= 1 }
        return Array(repeating: 0, count: length - 1) + [count.withLock { $0 }]
      })
    func put(_ name: String, _ json: String) async {
      #expect(await [200, 201].contains(Self.send(service, "PUT", name, asker, prefer: nil, json).status), "\(name)")
    }
    await put(
      "Patient/p",
      #"{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:consilium:account","#
        + #""value":"\#(FHIRBench.account)"}]}"#)
    await put("Patient/q", #"{"resourceType":"Patient","id":"q"}"#)
    for name in ["stays", "moves", "goes"] { await put("Observation/\(name)", Self.observation(name, of: "p")) }
    await put(
      "Group/gp",
      #"{"resourceType":"Group","id":"gp","type":"person","actual":true,"#
        + #""member":[{"entity":{"reference":"Patient/p"}}]}"#)
    anchoring.clock.wrappingAdd(1000, ordering: .relaxed)
    let begun = await Self.send(service, "GET", "$export", asker)
    let manifest = await Self.send(service, "GET", try #require(begun.contentLocation), asker).body
    let time = try #require(manifest?["transactionTime"]?.text)
    anchoring.clock.wrappingAdd(1000, ordering: .relaxed)
    let record = try #require(anchoring.lines.first { $0.json["id"]?.text == "goes" }?.record)
    ledger.erased.withLock { $0[record] = .patient }
    try await service.forget(record)
    await put("Observation/moves", Self.observation("moves", of: "q"))
    for (path, gone) in [
      ("$export", ["Observation/goes"]), ("Patient/$export", ["Observation/goes"]),
      ("Patient/$export?patient=Patient/p", ["Observation/goes", "Observation/moves"]),
      ("Group/gp/$export", ["Observation/goes", "Observation/moves"]),
    ] {
      let files = try await Self.export(
        service, path + (path.contains("?") ? "&" : "?") + "_since=\(time)", asker)
      let told = files["Bundle"]?.compactMap { $0["entry"]?.items?.first?["request"]?["url"]?.text }.sorted()
      #expect(told == gone, "\(path)")
    }
  }

  private static func document(_ id: String, of patient: String, _ binary: String) -> String {
    #"{"resourceType":"DocumentReference","id":"\#(id)","status":"current","#
      + #""subject":{"reference":"Patient/\#(patient)"},"#
      + #""content":[{"attachment":{"contentType":"text/plain","url":"Binary/\#(binary)"}}]}"#
  }

  /// Two patients, each with a group, and files that say not whose they are.
  private static func files() async throws -> FHIRBench {
    let bench = try FHIRBench()
    for patient in ["p", "q"] {
      await bench.put(#"{"resourceType":"Patient","id":"\#(patient)"}"#)
      await bench.put(
        #"{"resourceType":"Group","id":"g\#(patient)","type":"person","actual":true,"#
          + #""member":[{"entity":{"reference":"Patient/\#(patient)"}}]}"#)
    }
    for id in ["moves", "goes", "stays", "left", "late", "loose"] {
      await bench.put(#"{"resourceType":"Binary","id":"\#(id)","contentType":"text/plain","data":"eA=="}"#)
      if !["late", "loose"].contains(id) { await bench.put(Self.document("d-\(id)", of: "p", id)) }
    }
    return bench
  }

  @Test("Since a time: a file goes with its document, from who had it to who has it, and away")
  func borne() async throws {
    let (bench, asker) = (try await Self.files(), try Asker("system/*.cruds"))
    bench.ledger.clock.wrappingAdd(1000, ordering: .relaxed)
    let begun = await Self.send(bench.service, "GET", "$export", asker)
    let manifest = await Self.send(bench.service, "GET", try #require(begun.contentLocation), asker).body
    let time = try #require(manifest?["transactionTime"]?.text)
    bench.ledger.clock.wrappingAdd(1000, ordering: .relaxed)
    await bench.put(Self.document("d-moves", of: "q", "moves"))
    await bench.put(Self.document("d-late", of: "q", "late"))
    // What bears a file for longer, and is written again, makes it nothing new.
    await bench.put(Self.document("d-stays", of: "p", "stays"))
    for name in ["DocumentReference/d-goes", "Binary/goes", "DocumentReference/d-left"] {
      #expect(await bench.send("DELETE", name).status == 204)
    }
    let expected: [(String, given: [String], gone: [String])] = [
      ("Group/gp/$export", [], ["goes", "left", "moves"]), ("Group/gq/$export", ["late", "moves"], []),
      ("Patient/$export", ["late", "moves"], ["goes", "left"]), ("$export", [], ["goes"]),
    ]
    for (path, given, gone) in expected {
      let files = try await Self.export(bench.service, "\(path)?_since=\(time)", asker)
      #expect(Self.ids(files["Binary"]).sorted() == given, "\(path)")
      let urls = files["Bundle"]?.compactMap { $0["entry"]?.items?.first?["request"]?["url"]?.text } ?? []
      let told = urls.filter { $0.hasPrefix("Binary/") }.map { String($0.dropFirst("Binary/".count)) }
      #expect(told.sorted() == gone, "\(path)")
      // By their types alone, too.
      let alone = try await Self.export(bench.service, "\(path)?_since=\(time)&_type=Binary", asker)
      #expect(Self.ids(alone["Binary"]).sorted() == given && alone["Bundle"]?.count ?? 0 == gone.count, "\(path)")
    }
  }

  @Test("Members who are not here are named as the export's errors, a bounded number of them")
  func missing() async throws {
    let (bench, asker) = (try FHIRBench(), try Asker())
    for id in ["p", "gone"] { await bench.put(#"{"resourceType":"Patient","id":"\#(id)"}"#) }
    #expect(await bench.send("DELETE", "Patient/gone").status == 204)
    let few = [
      #"{"reference":"Patient/p"}"#, #"{"identifier":{"system":"urn:mrn","value":"nobody"}}"#,
      #"{"reference":"Patient/none"}"#, #"{"reference":"Patient/gone"}"#, #"{"reference":"Practitioner/d"}"#,
    ]
    let many = (0..<250).map { #"{"reference":"Patient/n\#($0)"}"# }
    for (id, members) in [("few", few), ("many", many)] {
      let entities = members.map { #"{"entity":\#($0)}"# }.joined(separator: ",")
      await bench.put(#"{"resourceType":"Group","id":"\#(id)","type":"person","actual":true,"member":[\#(entities)]}"#)
    }
    func errors(_ url: String) async throws -> [String] {
      let begun = await Self.send(bench.service, "GET", url, asker)
      let manifest = await Self.send(bench.service, "GET", try #require(begun.contentLocation), asker).body
      guard let file = manifest?["error"]?.items?.first else { return [] }
      #expect(file["type"]?.text == "OperationOutcome")
      let whole = CanonicalJSON.members([("output", .array([file]))])
      let lines = try await Self.lines(bench.service, whole, asker)["OperationOutcome"] ?? []
      return lines.compactMap { $0["issue"]?.items?.first?["diagnostics"]?.text }
    }
    #expect(
      try await errors("Group/few/$export") == [
        "no Patient here has the identifier urn:mrn|nobody of a member",
        "the member Patient/none is not here, or was deleted", "the member Patient/gone is not here, or was deleted",
        "the member Practitioner/d is no patient of this server",
      ])
    let named = try await errors("Group/many/$export")
    #expect(named.count == 101 && named.last == "and 150 more are not here")
    #expect(try await errors("Group/many/$export?patient=Patient/p") == ["Patient/p is no member of Group/many"])
    #expect(try await errors("$export") == [])
  }

  @Test("A group's member may be named by an identifier alone; a patient who is not here is refused")
  func named() async throws {
    let (bench, asker) = (try FHIRBench(), try Asker())
    await bench.put(#"{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"7"}]}"#)
    await bench.put(Self.observation("o", of: "p"))
    await bench.put(
      #"{"resourceType":"Group","id":"g","type":"person","actual":true,"#
        + #""member":[{"entity":{"identifier":{"system":"urn:mrn","value":"7"}}}]}"#)
    #expect(Self.ids(try await Self.export(bench.service, "Group/g/$export", asker)["Observation"]) == ["o"])
    #expect(await Self.send(bench.service, "GET", "Patient/$export?patient=Patient/nobody", asker).status == 404)
  }

  @Test("It shows what its asker may see, to its asker alone, until it is ended")
  func askers() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    await bench.put(Self.observation("o", of: "p"))
    let narrow = try Asker("system/Observation.rs")
    #expect(try await Self.export(bench.service, "$export", narrow).keys.sorted() == ["Observation"])
    #expect(await Self.send(bench.service, "GET", "$export?_type=Patient", narrow).status == 403)
    #expect(await Self.send(bench.service, "GET", "Group/g/$export", narrow).status == 403)
    let place = try #require(await Self.send(bench.service, "GET", "$export", narrow).contentLocation)
    let other = try Asker(client: "lab")
    #expect(await Self.send(bench.service, "GET", place, other).status == 404)
    #expect(await Self.send(bench.service, "DELETE", place, other).status == 404)
    var file = FHIRRequest(method: "GET", path: place.split(separator: "/").map(String.init) + ["0"])
    file.asker = other.asker
    await #expect(throws: FHIRFailure.self) { try await bench.service.exported(file, from: 0) }
    #expect(await Self.send(bench.service, "DELETE", place, narrow).status == 202)
    #expect(await Self.send(bench.service, "GET", place, narrow).status == 404)
    file.asker = narrow.asker
    await #expect(throws: FHIRFailure.self) { try await bench.service.exported(file, from: 0) }
  }

  @Test("Of one asker a few are kept, and another's take none of them")
  func bounds() async throws {
    let (bench, asker) = (try FHIRBench(), try Asker())
    var places: [String] = []
    for _ in 0..<4 {
      places.append(try #require(await Self.send(bench.service, "GET", "$export", asker).contentLocation))
    }
    for number in 0..<5 {
      _ = await Self.send(bench.service, "GET", "$export", try Asker(client: "other\(number % 2)"))
    }
    for place in places { #expect(await Self.send(bench.service, "GET", place, asker).status == 200) }
    _ = await Self.send(bench.service, "GET", "$export", asker)
    #expect(await Self.send(bench.service, "GET", places[0], asker).status == 404)
    #expect(await Self.send(bench.service, "GET", places[1], asker).status == 200)
  }

  @Test("⚑ Of all who send no token a few are kept, and nobody ends what another fetches")
  func nobodys() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    func begin() async -> FHIRResponse {
      var request = FHIRRequest(method: "GET", path: ["$export"])
      request.prefer = "respond-async"
      return await bench.service.handle(request)
    }
    func status(_ place: String) async -> Int { await bench.send("GET", place).status }
    var places: [String] = []
    for _ in 0..<4 { places.append(try #require(await begin().contentLocation)) }
    bench.ledger.clock.wrappingAdd(600_000, ordering: .relaxed)
    let refused = await begin()
    #expect(refused.status == 429 && refused.retrySeconds == 300)
    // Who has a token is not among them.
    #expect(await Self.send(bench.service, "GET", "$export", try Asker()).status == 202)
    for place in places { #expect(await status(place) == 200) }
    bench.ledger.clock.wrappingAdd(600_000, ordering: .relaxed)
    #expect(await begin().status == 429)
    var file = FHIRRequest(method: "GET", path: places[0].split(separator: "/").map(String.init) + ["0"])
    file.asker = .system
    bench.ledger.clock.wrappingAdd(200_000, ordering: .relaxed)
    #expect(try await bench.service.exported(file, from: 0).lines.count == 1)
    bench.ledger.clock.wrappingAdd(200_000, ordering: .relaxed)
    #expect(await begin().status == 202)
    #expect(await status(places[0]) == 200, "it is being fetched")
    #expect(await status(places[1]) == 404, "it was left alone")
    #expect(await bench.send("DELETE", places[2]).status == 202)
    #expect(await begin().status == 202)
    #expect(await status(places[3]) == 200)
  }

  @Test(
    "What is not understood is refused, with what there is",
    arguments: [
      ("$export?_typeFilter=x", 400), ("$export?_outputFormat=text/csv", 400), ("$export?_since=yesterday", 400),
      ("$export?_type=Nothing", 404), ("$export?_type=", 400), ("$export?patient=Patient/p", 400),
      ("Patient/$export?patient=Practitioner/p", 400), ("Patient/p/$export", 404), ("Observation/$export", 404),
      ("$export-status/none", 404), ("$export-status", 404), ("$export?_elements=id", 400),
    ])
  func refused(_ url: String, _ status: Int) async throws {
    let (bench, asker) = (try FHIRBench(), try Asker())
    #expect(await Self.send(bench.service, "GET", url, asker).status == status)
  }

  @Test("Without Prefer: respond-async nothing begins; other methods are refused")
  func kickOff() async throws {
    let (bench, asker) = (try FHIRBench(), try Asker())
    #expect(await Self.send(bench.service, "GET", "$export", asker, prefer: nil).status == 400)
    #expect(await Self.send(bench.service, "PUT", "$export", asker).status == 405)
    #expect(
      await Self.send(bench.service, "GET", "$export?_typeFilter=x", asker, prefer: "respond-async, handling=lenient")
        .status == 202)
  }
}
