// Goal: an app that was launched in one patient's chart sees and does nothing of another's, by whatever route, and
// everything of its own that it was let in for (SMART App Launch 2.1, scopes of a patient). Method: two patients whose
// resources name one another in every way; all that is the other's bears a word, and no answer may show it, alone, in a
// batch or in a transaction; then what is the app's own; then writes, after which the other's is unchanged.
import FHIR
import HealthRecords
import Primitives
import Testing

@Suite("Apps in one chart")
struct OwnChartTests {
  private static let secret = "zzother"

  private static func bench() async throws -> FHIRBench {
    let bench = try FHIRBench()
    let word = self.secret
    await bench.put(#"{"resourceType":"Practitioner","id":"d","name":[{"family":"Blom"}]}"#)
    await bench.put(
      #"{"resourceType":"Patient","id":"p","name":[{"family":"Own"}],"#
        + #""generalPractitioner":[{"reference":"Practitioner/d"}],"#
        + #""link":[{"other":{"reference":"Patient/q"},"type":"seealso"}]}"#)
    await bench.put(
      #"{"resourceType":"Patient","id":"q","name":[{"family":"\#(word)"}],"#
        + #""identifier":[{"system":"mrn","value":"7"}],"link":[{"other":{"reference":"Patient/p"},"type":"seealso"}]}"#
    )
    func observation(_ id: String, _ text: String, _ more: String) async {
      await bench.put(FHIRBench.observation(id, #""code":{"text":"\#(text)"},"# + more))
    }
    await observation("op", "own", #""subject":{"reference":"Patient/p"},"performer":[{"reference":"Patient/q"}]"#)
    await observation("oq", word, #""subject":{"reference":"Patient/q"},"performer":[{"reference":"Patient/p"}]"#)
    // ⚑ Said by the patient, of somebody who is nobody here, contained, or named without a reference.
    await observation("by", word, #""performer":[{"reference":"Patient/p"}]"#)
    for (id, subject) in [
      ("far", #"{"reference":"https://other.example/fhir/Patient/p2"}"#), ("words", #"{"display":"Boris"}"#),
      ("unborn", #"{"type":"Patient","identifier":{"system":"mrn","value":"none"}}"#),
      ("kid", ##"{"reference":"#kid"}"##),
    ] {
      let kid = id == "kid" ? #""contained":[{"resourceType":"Patient","id":"kid"}],"# : ""
      await observation(id, word, kid + #""subject":\#(subject),"performer":[{"reference":"Patient/p"}]"#)
    }
    await observation("both", word, #""performer":[{"reference":"Patient/p"},{"reference":"Patient/q"}]"#)
    await observation("nobody", word, #""performer":[{"reference":"Practitioner/d"}]"#)
    // Written into the wrong chart first, and corrected.
    await observation("moved", word, #""subject":{"reference":"Patient/q"}"#)
    await observation("moved", "own", #""subject":{"reference":"Patient/p"}"#)
    await observation("goneq", word, #""subject":{"reference":"Patient/q"}"#)
    #expect(await bench.send("DELETE", "Observation/goneq").status == 204)
    await observation("gonep", "own", #""subject":{"reference":"Patient/p"}"#)
    #expect(await bench.send("DELETE", "Observation/gonep").status == 204)
    await bench.put(
      #"{"resourceType":"Encounter","id":"ep","status":"finished","class":{"code":"AMB"},"#
        + #""subject":{"reference":"Patient/p"}}"#)
    await bench.put(
      #"{"resourceType":"List","id":"lq","status":"current","mode":"working","title":"\#(word)","#
        + #""subject":{"reference":"Patient/q"},"entry":[{"item":{"reference":"Observation/op"}}]}"#)
    for (id, others) in [("ap", ""), ("apq", #",{"actor":{"reference":"Patient/q"},"status":"accepted"}"#)] {
      await bench.put(
        #"{"resourceType":"Appointment","id":"\#(id)","status":"booked","description":"\#(id == "ap" ? "own" : word)","#
          + #""participant":[{"actor":{"reference":"Patient/p"},"status":"accepted"}\#(others)]}"#)
    }
    await bench.put(
      #"{"resourceType":"Task","id":"tq","status":"requested","intent":"order","description":"\#(word)","#
        + #""for":{"reference":"Patient/q"}}"#)
    await bench.put(
      #"{"resourceType":"Binary","id":"bq","contentType":"text/plain","data":"enp6b3RoZXI=","#
        + #""securityContext":{"reference":"Patient/q"}}"#)
    return bench
  }

  private static func asker(_ scopes: String = "launch/patient patient/*.cruds", of patient: String? = "p") throws
    -> FHIRAsker
  {
    FHIRAsker(
      account: Digest(words: (1, 0, 0, 0)), client: "app", scopes: try #require(SMARTScopes(scopes, inChart: true)),
      patient: patient)
  }

  private static func send(
    _ bench: FHIRBench, _ method: String, _ url: String, _ body: String = "", by asker: FHIRAsker,
    ifNoneExist: String? = nil
  ) async throws -> FHIRResponse {
    let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
    var request = FHIRRequest(
      method: method, path: (halves.first ?? "").split(separator: "/").map(String.init),
      query: halves.count == 2 ? try FHIRURL.parameters(halves[1]) : [], body: Array(body.utf8))
    (request.asker, request.ifNoneExist) = (asker, ifNoneExist)
    if url.contains("$export") { request.prefer = "respond-async" }
    return await bench.service.handle(request)
  }

  private static func text(_ response: FHIRResponse) -> String {
    // Links repeat what was asked.
    String(decoding: response.body?.canonicalBytes ?? [], as: UTF8.self).replacing("=\(self.secret)", with: "")
  }

  private static func ids(_ response: FHIRResponse) -> Set<String> {
    let shown = (response.body?["entry"]?.items ?? []).compactMap { $0["resource"] }
    return Set(shown.filter { $0["resourceType"]?.text != "OperationOutcome" }.compactMap { $0["id"]?.text })
  }

  private static let searches: [(String, Set<String>)] = [
    ("Patient", ["p"]), ("Patient?family=\(secret)", []), ("Patient?_id=q", []), ("Patient?identifier=mrn|7", []),
    ("Observation", ["op", "moved"]), ("Observation?subject=Patient/q", []), ("Observation?_id=oq,goneq", []),
    ("Observation?performer=Patient/p", []), ("Observation?performer=Patient/q", ["op"]),
    ("Observation?code:text=\(secret)", []), ("Observation?subject:missing=true", []),
    ("Observation?performer:Patient.family=\(secret)", []), ("Observation?subject:Patient.family=\(secret)", []),
    ("Observation?performer:Practitioner.name=blom", []), ("Observation?subject:Patient.link.family=\(secret)", []),
    ("Patient?_has:Observation:performer:code:text=\(secret)", []),
    ("Patient?_has:Observation:subject:_id=op", ["p"]), ("Patient?_has:List:subject:_id=lq", []),
    ("Observation?_list=lq", []), ("Observation?_include=Observation:performer", ["op", "moved"]),
    ("Observation?_id=op&_include=Observation:*", ["op", "p"]),
    ("Patient?_include=Patient:general-practitioner&_include=Patient:link", ["p", "d"]),
    ("Patient?_revinclude=Observation:performer", ["p"]),
    ("Patient?_revinclude=Observation:subject&_include:iterate=Observation:performer", ["p", "op", "moved"]),
    ("Patient?_revinclude:iterate=Patient:link&_revinclude:iterate=Observation:subject", ["p", "op", "moved"]),
    ("Patient/p/$everything", ["p", "d", "op", "moved", "ep", "ap"]), ("Patient/p/Observation", ["op", "moved"]),
    ("Appointment", ["ap"]), ("Appointment?actor=Patient/q", []), ("List", []), ("Task", []), ("Binary", []),
    ("Practitioner", ["d"]), ("Encounter?patient=Patient/p", ["ep"]),
    ("Observation/moved/_history", ["moved"]), ("Patient/p/_history", ["p"]),
  ]

  @Test("A search, a chart or a history has what is the patient's, and nobody's, and nothing else", arguments: searches)
  func found(_ url: String, _ ids: Set<String>) async throws {
    let bench = try await Self.bench()
    let asker = try Self.asker()
    let response = try await Self.send(bench, "GET", url, by: asker)
    #expect(response.status == 200, "\(Self.text(response))")
    #expect(Self.ids(response) == ids && !Self.text(response).contains(Self.secret), "\(Self.text(response))")
    let halves = url.split(separator: "?", maxSplits: 1)
    if halves.count == 2, !url.contains("nclude") {
      let counted = try await Self.send(bench, "GET", url + "&_summary=count", by: asker)
      #expect(counted.body?["total"] == .number("\(ids.count)"), "\(Self.text(counted))")
    }
    for type in ["batch", "transaction"] {
      let bundle =
        #"{"resourceType":"Bundle","type":"\#(type)","entry":[{"request":{"method":"GET","url":"\#(url)"}}]}"#
      let bundled = try await Self.send(bench, "POST", "", bundle, by: asker)
      #expect(bundled.status == 200 && !Self.text(bundled).contains(Self.secret), "\(Self.text(bundled))")
      #expect(Self.ids(FHIRResponse(body: bundled.body?["entry"]?.items?.first?["resource"])) == ids)
    }
    // Nobody's chart: nothing, whatever the scopes say.
    let lost = try await Self.send(bench, "GET", url, by: try Self.asker(of: nil))
    #expect(!Self.text(lost).contains("own") && Self.ids(lost).isSubset(of: ["d"]), "\(Self.text(lost))")
  }

  @Test(
    "What is another's is as if it were not there, and what is everybody's is refused",
    arguments: [
      ("Patient/q", 404), ("Observation/oq", 404), ("Observation/both", 404), ("Observation/nobody", 404),
      ("Observation/oq/_history", 404), ("Observation/oq/_history/1", 404), ("Observation/moved/_history/1", 404),
      ("Observation/moved/_history/2", 200), ("Observation/goneq", 404), ("Observation/goneq/_history/1", 404),
      ("Observation/gonep", 410), ("Observation/none", 404), ("Patient/q/$everything", 404),
      ("Patient/q/Observation", 404), ("Patient/q/_history", 404), ("List/lq", 404), ("Appointment/apq", 404),
      ("Task/tq", 404), ("Binary/bq", 404), ("_history", 403), ("Observation/_history", 403), ("$export", 403),
      ("Patient/$export", 403), ("$records?account=00", 403), ("AuditEvent?patient=q", 404),
      ("Consent?patient=Patient/q", 404), ("Patient/q/Consent", 404), ("Patient/q/Provenance", 404),
      ("Practitioner/d", 200), ("Observation/op", 200), ("Appointment/ap", 200),
      ("Observation/by", 404), ("Observation/far", 404), ("Observation/words", 404), ("Observation/unborn", 404),
      ("Observation/kid", 404),
    ])
  func read(_ url: String, _ status: Int) async throws {
    let bench = try await Self.bench()
    let asker = try Self.asker()
    let response = try await Self.send(bench, "GET", url, by: asker)
    #expect(response.status == status && !Self.text(response).contains(Self.secret), "\(Self.text(response))")
    guard status == 404 else { return }
    // Whether it is there is told to nobody.
    let id = url.contains("=") ? "q" : String(url.split(separator: "/")[1])
    let other = url.replacing("/\(id)", with: "/none").replacing("=\(id)", with: "=none")
    let absent = try await Self.send(bench, "GET", other, by: asker)
    #expect(absent.status == 404, "\(other)")
    let (said, expected) = (Self.text(response).replacing("/\(id)", with: "/none"), Self.text(absent))
    #expect(said == expected)
  }

  private static let writes: [(String, String, String, Int)] = [
    ("PUT", "Observation/oq", #"{"id":"oq","subject":{"reference":"Patient/p"}}"#, 404),
    ("PUT", "Observation/goneq", #"{"id":"goneq","subject":{"reference":"Patient/p"}}"#, 404),
    ("PUT", "Observation/op", #"{"id":"op","subject":{"reference":"Patient/q"}}"#, 403),
    ("PUT", "Observation/op", #"{"id":"op","subject":{"reference":"Patient/p"}}"#, 200),
    ("PUT", "Observation/new", #"{"id":"new","subject":{"reference":"Patient/q"}}"#, 403),
    ("PUT", "Observation/new", #"{"id":"new","subject":{"reference":"Patient/p"}}"#, 201),
    ("PUT", "Observation?_id=oq", #"{"id":"oq","subject":{"reference":"Patient/p"}}"#, 404),
    ("POST", "Observation", #"{"subject":{"reference":"Patient/q"}}"#, 403),
    ("POST", "Observation", "{}", 403), ("POST", "Observation", #"{"performer":[{"reference":"Patient/p"}]}"#, 403),
    ("POST", "Observation", #"{"performer":[{"reference":"Patient/p"},{"reference":"Patient/q"}]}"#, 403),
    ("POST", "Observation", #"{"subject":{"reference":"Patient/p"}}"#, 201),
    ("POST", "Observation", #"{"subject":{"reference":"Patient?identifier=mrn|7"}}"#, 412),
    ("DELETE", "Observation/oq", "", 404), ("DELETE", "Observation/goneq", "", 404),
    ("DELETE", "Observation/none", "", 404), ("DELETE", "Observation/op", "", 204),
    ("DELETE", "Observation?_id=oq", "", 204), ("DELETE", "Patient/q", "", 404),
    ("POST", "Practitioner", #"{"resourceType":"Practitioner"}"#, 403),
    ("PUT", "Practitioner/d", #"{"resourceType":"Practitioner","id":"d"}"#, 404),
    ("DELETE", "Practitioner/d", "", 404), ("POST", "Patient", #"{"resourceType":"Patient"}"#, 403),
    ("PATCH", "Observation/oq", #"[{"op":"test","path":"/code/text","value":"zzother"}]"#, 404),
    ("PATCH", "Observation/op", #"[{"op":"replace","path":"/subject/reference","value":"Patient/q"}]"#, 403),
    ("PATCH", "Observation/op", #"[{"op":"replace","path":"/code/text","value":"mine"}]"#, 200),
  ]

  @Test("What an app writes is its patient's, and was before; the other's is as it was", arguments: writes)
  func write(_ method: String, _ url: String, _ body: String, _ status: Int) async throws {
    let bench = try await Self.bench()
    let asker = try Self.asker()
    let plain = body.isEmpty || body.hasPrefix("[") || body.contains("resourceType")
    let resource =
      plain
      ? body
      : #"{"resourceType":"Observation","status":"final","code":{"text":"w"}"# + (body == "{}" ? "}" : ",")
        + String(body.dropFirst(body == "{}" ? 2 : 1))
    let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
    var request = FHIRRequest(
      method: method, path: halves[0].split(separator: "/").map(String.init),
      query: halves.count == 2 ? try FHIRURL.parameters(halves[1]) : [], body: Array(resource.utf8))
    request.asker = asker
    if method == "PATCH" { request.contentType = "application/json-patch+json" }
    let response = await bench.service.handle(request)
    #expect(response.status == status && !Self.text(response).contains(Self.secret), "\(Self.text(response))")
    if method != "PATCH" {
      let whole = resource.isEmpty ? "" : #","resource":\#(resource)"#
      let entry = #"{"request":{"method":"\#(method)","url":"\#(url)"}\#(whole)}"#
      for type in ["batch", "transaction"] {
        let other = try await Self.bench()
        let bundle = #"{"resourceType":"Bundle","type":"\#(type)","entry":[\#(entry)]}"#
        let bundled = try await Self.send(other, "POST", "", bundle, by: asker)
        let inner = bundled.body?["entry"]?.items?.first?["response"]?["status"]?.text ?? "\(bundled.status)"
        #expect(inner.hasPrefix("\(status)"), "\(type): \(Self.text(bundled))")
        try await Self.requireUnchanged(other)
      }
    }
    try await Self.requireUnchanged(bench)
  }

  private static func requireUnchanged(_ bench: FHIRBench) async throws {
    for (name, version) in [("Observation/oq", 1), ("Patient/q", 1), ("Practitioner/d", 1)] as [(String, UInt64)] {
      #expect(await bench.send("GET", name).version == version, "\(name)")
    }
    #expect(await bench.send("GET", "Observation/goneq").status == 410)
    #expect(await bench.send("GET", "Observation?subject=Patient/q&_summary=count").body?["total"] == .number("1"))
  }

  @Test("A condition of a create finds what is the patient's, and nothing else")
  func condition() async throws {
    let bench = try await Self.bench()
    let asker = try Self.asker()
    let resource =
      #"{"resourceType":"Observation","status":"final","code":{"text":"w"},"subject":{"reference":"Patient/p"}}"#
    let other = try await Self.send(
      bench, "POST", "Observation", resource, by: asker, ifNoneExist: "code:text=\(Self.secret)")
    #expect(other.status == 201)
    let own = try await Self.send(bench, "POST", "Observation", resource, by: asker, ifNoneExist: "_id=op")
    #expect(own.status == 200 && own.location?.hasPrefix("Observation/op/") == true)
  }

  @Test("An export that an app began for all is none for it in one chart")
  func exported() async throws {
    let bench = try await Self.bench()
    let wide = FHIRAsker(
      account: Digest(words: (1, 0, 0, 0)), client: "app", scopes: try #require(SMARTScopes("user/*.rs")))
    let begun = try await Self.send(bench, "GET", "$export", by: wide)
    let place = try #require(begun.contentLocation)
    #expect(begun.status == 202 && !place.isEmpty)
    let narrow = try Self.asker()
    for (asker, status) in [(wide, 200), (narrow, 403)] {
      #expect(try await Self.send(bench, "GET", place, by: asker).status == status)
      var request = FHIRRequest(method: "GET", path: (place + "/0").split(separator: "/").map(String.init))
      request.asker = asker
      let lines = try? await bench.service.exported(request, from: 0).lines
      #expect((lines == nil) == (status == 403))
    }
  }

  @Test("Who is named by another's account alone is told to no app of one patient")
  func account() async throws {
    let bench = try await Self.bench()
    await bench.link("linked")
    let named = #"{"system":"urn:consilium:account","value":"\#(FHIRBench.account)"}"#
    let resource =
      #"{"resourceType":"Observation","status":"final","code":{"text":"w"},"subject":{"reference":"Patient/p"},"#
      + #""performer":[{"type":"Patient","identifier":\#(named)}]}"#
    let open = await bench.send("POST", "Observation", resource)
    #expect(open.status == 201 && Self.text(open).contains("Patient/linked"))
    let made = try await Self.send(bench, "POST", "Observation", resource, by: try Self.asker())
    #expect(made.status == 201 && !Self.text(made).contains("Patient/linked"), "\(Self.text(made))")
  }

  /// A ledger that proves nothing.
  private struct SilentLedger: LedgerViews {
    func erasure(of record: Digest) async -> Erasure? { nil }
    func consents(of account: Digest, patient: String) async -> [CanonicalJSON] { [] }
    func accesses(
      of account: Digest, patient: String, skipping offset: Int, countMax: Int
    ) async -> (total: Int, page: [CanonicalJSON]) { (0, []) }
    func provenance(
      of account: Digest, names: [String: String], skipping offset: Int, countMax: Int
    ) async -> (total: Int, page: [CanonicalJSON]) { (0, []) }
  }

  @Test("A Provenance is about all its targets: one that is also of another's is shown to no app of one patient")
  func provenance() async throws {
    let bench = try FHIRBench(SilentLedger())
    await bench.link("p")
    await bench.put(#"{"resourceType":"Patient","id":"q"}"#)
    await bench.put(#"{"resourceType":"Practitioner","id":"d"}"#)
    for (id, patient) in [("op", "p"), ("oq", "q")] {
      await bench.put(
        FHIRBench.observation(id, #""code":{"text":"x"},"subject":{"reference":"Patient/\#(patient)"}"#))
    }
    let all: [(String, [String], String)] = [
      ("own", ["Patient/p"], "Practitioner/d"), ("made", ["Patient/p", "Observation/op/_history/1"], "Practitioner/d"),
      ("team", ["Patient/p", "Practitioner/d"], "Practitioner/d"),
      ("both", ["Patient/p", "Patient/q"], "Practitioner/d"),
      ("mixed", ["Observation/oq", "Patient/p"], "Practitioner/d"),
      ("none", ["Patient/p", "List/n"], "Practitioner/d"),
      ("far", ["Patient/p", "https://other.example/fhir/Observation/1"], "Practitioner/d"),
      ("by", ["Patient/p"], "Patient/q"),
    ]
    for (id, targets, who) in all {
      let references = targets.map { #"{"reference":"\#($0)"}"# }.joined(separator: ",")
      await bench.put(
        #"{"resourceType":"Provenance","id":"\#(id)","recorded":"2026-01-01T00:00:00Z","target":[\#(references)],"#
          + #""agent":[{"who":{"reference":"\#(who)"}}]}"#)
    }
    let url = "Provenance?patient=p"
    #expect(await Set(bench.found(url)) == Set(all.map(\.0)))
    let shown = try await Self.send(bench, "GET", url, by: try Self.asker())
    #expect(Self.ids(shown) == ["own", "made", "team"] && shown.body?["total"] == .number("3"), "\(Self.text(shown))")
  }

  @Test(
    "To which account its Patient is linked an app of one patient does not change; another who has one it is not told")
  func relinked() async throws {
    let bench = try await Self.bench()
    await bench.link("boris")
    func patient(_ id: String, _ account: String?, _ more: String = "") -> String {
      let identifier = account.map { #""identifier":[{"system":"urn:consilium:account","value":"\#($0)"\#(more)}],"# }
      return #"{"resourceType":"Patient","id":"\#(id)",\#(identifier ?? "")"active":true}"#
    }
    let (free, taken) = (String(repeating: "cd", count: 32), FHIRBench.account)
    let asker = try Self.asker()
    for account in [free, taken] {
      #expect(try await Self.send(bench, "PUT", "Patient/p", patient("p", account), by: asker).status == 403)
      var request = FHIRRequest(
        method: "PATCH", path: ["Patient", "p"],
        body: Array(
          #"[{"op":"add","path":"/identifier","value":[{"system":"urn:consilium:account","value":"\#(account)"}]}]"#
            .utf8))
      (request.asker, request.contentType) = (asker, "application/json-patch+json")
      #expect(await bench.service.handle(request).status == 403)
    }
    // One that is linked stays so, with nothing beside it.
    let linked = try Self.asker(of: "boris")
    for (account, more) in [(nil, ""), (free, ""), (taken, #","use":"old""#)] as [(String?, String)] {
      #expect(
        try await Self.send(bench, "PUT", "Patient/boris", patient("boris", account, more), by: linked).status == 403)
    }
    #expect(try await Self.send(bench, "PUT", "Patient/boris", patient("boris", taken), by: linked).status == 200)
    // ⚑ Nor which person it is by anything else: the hospital's other systems go by its numbers, links, and whether it
    // is in use.
    let number = #"{"system":"urn:h","value":"1001"}"#
    let account = #"{"system":"urn:consilium:account","value":"\#(taken)"}"#
    for more in [
      #""active":true,"identifier":[\#(account),\#(number)]"#, #""active":false,"identifier":[\#(account)]"#,
      #""active":true,"identifier":[\#(account)],"link":[{"other":{"reference":"Patient/p"},"type":"replaces"}]"#,
    ] {
      let body = #"{"resourceType":"Patient","id":"boris",\#(more)}"#
      #expect(try await Self.send(bench, "PUT", "Patient/boris", body, by: linked).status == 403, "\(more)")
    }
    #expect(try await Self.send(bench, "DELETE", "Patient/boris", by: linked).status == 403)
    #expect(try await Self.send(bench, "DELETE", "Patient/p", by: linked).status == 404)
    // Whose user may change it is told no name.
    let mixed = try Self.asker("user/Patient.u patient/Observation.rs")
    let refused = try await Self.send(bench, "PUT", "Patient/p", patient("p", taken), by: mixed)
    #expect(refused.status == 409 && !Self.text(refused).contains("boris"), "\(Self.text(refused))")
    #expect(await Self.text(bench.send("PUT", "Patient/p", patient("p", taken))).contains("Patient/boris"))
  }

  @Test("Scopes of a patient and of a user allow together what each allows")
  func mixed() async throws {
    let bench = try await Self.bench()
    let asker = try Self.asker("user/Patient.rs patient/Observation.rs patient/Patient.u")
    func ids(_ url: String) async throws -> Set<String> {
      Self.ids(try await Self.send(bench, "GET", url, by: asker))
    }
    #expect(try await ids("Patient") == ["p", "q"])
    #expect(try await ids("Observation") == ["op", "moved"])
    #expect(try await ids("Observation?_id=op&_include=Observation:performer") == ["op", "q"])
    #expect(try await ids("Patient?_revinclude=Observation:subject") == ["p", "q", "op", "moved"])
    #expect(try await Self.send(bench, "GET", "Patient/q", by: asker).status == 200)
    #expect(try await Self.send(bench, "GET", "Observation/oq", by: asker).status == 404)
    #expect(try await Self.send(bench, "GET", "Encounter/ep", by: asker).status == 403)
    let changed = #"{"resourceType":"Patient","id":"q","active":true}"#
    #expect(try await Self.send(bench, "PUT", "Patient/q", changed, by: asker).status == 404)
    let own =
      #"{"resourceType":"Patient","id":"p","name":[{"family":"Own"}],"active":true,"#
      + #""link":[{"other":{"reference":"Patient/q"},"type":"seealso"}]}"#
    #expect(try await Self.send(bench, "PUT", "Patient/p", own, by: asker).status == 200)
  }

  @Test(
    "Scopes of a patient mean something in a chart alone, and a part of a type is never granted as the whole",
    arguments: [
      ("patient/*.rs", false, nil), ("patient/*.rs", true, "patient/*.rs"),
      (
        "launch launch/patient openid patient/Observation.read", true,
        "launch launch/patient openid patient/Observation.read"
      ),
      ("launch user/*.rs", false, "user/*.rs"), ("patient/*.rs user/Patient.r", false, "user/Patient.r"),
      ("patient/Observation.rs?category=laboratory", true, nil),
      ("user/Observation.rs?category=laboratory user/Patient.r", false, "user/Patient.r"),
      ("system/*.rs", true, nil), ("launch/patient", true, nil), ("patient/Observation.sr", true, nil),
    ] as [(String, Bool, String?)])
  func scopes(_ text: String, _ inChart: Bool, _ granted: String?) {
    #expect(SMARTScopes(text, inChart: inChart)?.text == granted)
  }

  @Test(
    "Scopes of a patient never cover those of a user",
    arguments: [
      ("user/*.rs", "patient/*.rs", true), ("patient/*.rs", "user/Observation.r", false),
      ("patient/*.rs", "patient/Observation.r", true), ("patient/Observation.r", "patient/Observation.rs", false),
      ("launch patient/*.rs user/Patient.r", "patient/Patient.s user/Patient.r", true),
    ])
  func cover(_ granted: String, _ asked: String, _ isCovered: Bool) throws {
    let (one, other) = (SMARTScopes(granted, inChart: true), SMARTScopes(asked, inChart: true))
    #expect(try #require(one).cover(try #require(other)) == isCovered)
  }
}
