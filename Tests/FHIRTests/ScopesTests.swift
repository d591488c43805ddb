// Goal: an app sees and does by FHIR what it was let in for and nothing else, by whatever route (SMART App Launch 2.1,
// scopes). Method: every route with exactly the scopes that it needs, with each of them missing, and with another
// type's; then what a search, a bundle or a chart brings besides.
import FHIR
import HealthRecords
import Primitives
import Testing

@Suite("SMART scopes")
struct ScopesTests {
  /// A patient's chart of four types, and who treats the patient.
  private static func bench() async throws -> FHIRBench {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Practitioner","id":"d","name":[{"family":"Blom"}]}"#)
    await bench.put(
      #"{"resourceType":"Patient","id":"p","birthDate":"1988-09-05","#
        + #""generalPractitioner":[{"reference":"Practitioner/d"}]}"#)
    await bench.put(
      #"{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"#
        + #""subject":{"reference":"Patient/p"}}"#)
    await bench.put(
      FHIRBench.observation(
        "o", #""code":{"text":"x"},"subject":{"reference":"Patient/p"},"encounter":{"reference":"Encounter/e"}"#))
    await bench.put(
      #"{"resourceType":"Condition","id":"c","code":{"text":"HIV"},"subject":{"reference":"Patient/p"}}"#)
    return bench
  }

  private static func send(
    _ bench: FHIRBench, _ method: String, _ url: String, scopes: String, body: String = "", ifNoneExist: String? = nil
  ) async throws -> FHIRResponse {
    let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
    var request = FHIRRequest(
      method: method, path: (halves.first ?? "").split(separator: "/").map(String.init),
      query: halves.count == 2 ? (try? FHIRURL.parameters(halves[1])) ?? [] : [], body: Array(body.utf8))
    request.ifNoneExist = ifNoneExist
    request.asker = FHIRAsker(account: nil, client: "app", scopes: try #require(SMARTScopes(scopes)))
    return await bench.service.handle(request)
  }

  /// The types of what an answer shows, those of what is said about it left out.
  private static func types(_ response: FHIRResponse) -> Set<String> {
    let all = (response.body?["entry"]?.items ?? []).compactMap { $0["resource"]?["resourceType"]?.text }
    return Set(all).subtracting(["OperationOutcome"])
  }

  struct Route: Sendable, CustomTestStringConvertible {
    let method: String
    let url: String
    let needs: [String]
    var body = ""
    var ifNoneExist: String?
    var testDescription: String { "\(self.method) \(self.url) \(self.ifNoneExist ?? "")" }
  }

  private static let made = #"{"resourceType":"Observation","status":"final","code":{"text":"y"}}"#
  private static let changed = #"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"y"}}"#

  private static let routes: [Route] = [
    Route(method: "GET", url: "Observation/o", needs: ["Observation.r"]),
    Route(method: "GET", url: "Observation/o/_history/1", needs: ["Observation.r"]),
    Route(method: "GET", url: "Observation/o/_history", needs: ["Observation.r"]),
    Route(method: "GET", url: "Observation", needs: ["Observation.s"]),
    Route(method: "POST", url: "Observation/_search", needs: ["Observation.s"]),
    Route(method: "GET", url: "Observation?encounter.status=finished", needs: ["Observation.s", "Encounter.s"]),
    Route(
      method: "GET", url: "Observation?patient.general-practitioner:Practitioner.name=blom",
      needs: ["Observation.s", "Patient.s", "Practitioner.s"]),
    Route(method: "GET", url: "Patient?_revinclude=Condition:patient", needs: ["Patient.s", "Condition.s"]),
    Route(method: "GET", url: "Patient/p/$everything", needs: ["Patient.r"]),
    Route(method: "POST", url: "Observation", needs: ["Observation.c"], body: made),
    Route(
      method: "POST", url: "Observation", needs: ["Observation.c", "Observation.s"], body: made, ifNoneExist: "status=x"
    ),
    Route(
      method: "POST", url: "Observation", needs: ["Observation.c", "Observation.s", "Encounter.s"], body: made,
      ifNoneExist: "encounter.status=x"),
    Route(method: "PUT", url: "Observation/o", needs: ["Observation.u"], body: changed),
    Route(
      method: "PUT", url: "Observation?status=final", needs: ["Observation.u", "Observation.s"], body: changed),
    Route(method: "DELETE", url: "Observation/o", needs: ["Observation.d"]),
    Route(method: "DELETE", url: "Observation?_id=o", needs: ["Observation.d", "Observation.s"]),
    Route(method: "GET", url: "AuditEvent?patient=p", needs: ["AuditEvent.s"]),
    Route(method: "GET", url: "Consent?patient=p", needs: ["Consent.s"]),
    Route(method: "GET", url: "Provenance?patient=p", needs: ["Provenance.s"]),
    Route(method: "GET", url: "Binary/b", needs: ["Binary.r"]),
  ]

  /// The scopes of needs as an app is granted them, letters of one type together and in order.
  private static func text(_ needs: [String]) -> String {
    var letters: [String: Set<Character>] = ["Slot": ["r"]]
    for need in needs {
      let parts = need.split(separator: ".")
      letters[String(parts[0]), default: []].formUnion(parts[1])
    }
    return letters.sorted { $0.key < $1.key }.map { type, set in
      "user/\(type).\(String("cruds".filter { set.contains($0) }))"
    }.joined(separator: " ")
  }

  @Test("A route is open with what it needs, and closed where any of that is missing", arguments: routes)
  func route(_ route: Route) async throws {
    func status(_ scopes: String) async throws -> Int {
      let bench = try await Self.bench()
      return try await Self.send(
        bench, route.method, route.url, scopes: scopes, body: route.body, ifNoneExist: route.ifNoneExist
      ).status
    }
    #expect(try await status(Self.text(route.needs)) != 403)
    for missing in route.needs {
      #expect(try await status(Self.text(route.needs.filter { $0 != missing })) == 403, "without \(missing)")
    }
    // All actions but the one on the same type are not enough either.
    for need in route.needs {
      let (type, action) = (need.prefix { $0 != "." }, need.last)
      let others = route.needs.filter { $0 != need } + "cruds".filter { $0 != action }.map { "\(type).\($0)" }
      guard !others.contains(need) else { continue }
      #expect(try await status(Self.text(others)) == 403, "with all but \(need)")
    }
  }

  @Test("Each route alone, and as an entry of a batch and of a transaction, is judged alike", arguments: routes)
  func bundled(_ route: Route) async throws {
    let resource = route.body.isEmpty ? "" : #","resource":\#(route.body)"#
    let condition = route.ifNoneExist.map { #","ifNoneExist":"\#($0)""# } ?? ""
    let entry = #"{"request":{"method":"\#(route.method)","url":"\#(route.url)"\#(condition)}\#(resource)}"#
    for missing in route.needs {
      let scopes = Self.text(route.needs.filter { $0 != missing })
      for type in ["batch", "transaction"] {
        let bench = try await Self.bench()
        let bundle = #"{"resourceType":"Bundle","type":"\#(type)","entry":[\#(entry)]}"#
        let response = try await Self.send(bench, "POST", "", scopes: scopes, body: bundle)
        let inner = (response.body?["entry"]?.items ?? []).first?["response"]?["status"]?.text ?? ""
        #expect(response.status == 403 || inner.hasPrefix("403"), "\(type) without \(missing)")
        #expect(Self.types(response).isEmpty)
        #expect(await bench.send("GET", "Observation/o").version == 1)
        #expect(await bench.found("Observation") == ["o"])
      }
    }
  }

  @Test("A transaction of which one entry is not allowed writes nothing, and names it")
  func transaction() async throws {
    let bench = try await Self.bench()
    let bundle = """
      {"resourceType":"Bundle","type":"transaction","entry":[
      {"request":{"method":"POST","url":"Observation"},"resource":\(Self.made)},
      {"request":{"method":"GET","url":"Condition/c"}}]}
      """
    let response = try await Self.send(bench, "POST", "", scopes: "user/Observation.c", body: bundle)
    #expect(response.status == 403)
    #expect((response.body?["issue"]?.items ?? []).first?["diagnostics"]?.text?.hasPrefix("entry 1:") == true)
    #expect(await bench.found("Observation") == ["o"])
  }

  @Test("A conditional reference looks into the type that it names")
  func conditionalReference() async throws {
    let bench = try await Self.bench()
    let resource =
      #"{"resourceType":"Observation","status":"final","code":{"text":"y"},"#
      + #""subject":{"reference":"Patient?birthdate=1988-09-05"}}"#
    let bundle =
      #"{"resourceType":"Bundle","type":"transaction","entry":"#
      + #"[{"request":{"method":"POST","url":"Observation"},"resource":\#(resource)}]}"#
    #expect(try await Self.send(bench, "POST", "", scopes: "user/Observation.c", body: bundle).status == 403)
    let both = "user/Observation.c user/Patient.s"
    #expect(try await Self.send(bench, "POST", "", scopes: both, body: bundle).status == 200)
  }

  @Test(
    "What a search or a chart brings besides is of types that were granted",
    arguments: [
      ("Observation?_include=Observation:patient&_include=Observation:encounter", "Observation.rs", ["Observation"]),
      ("Observation?_include=Observation:*", "Observation.rs Encounter.r", ["Observation", "Encounter"]),
      ("Observation?_include=Observation:patient", "Observation.s Patient.s", ["Observation", "Patient"]),
      (
        "Observation?_include=Observation:patient&_include:iterate=Patient:general-practitioner",
        "Observation.s Practitioner.r", ["Observation"]
      ), ("Patient/p/$everything", "Patient.r", ["Patient"]),
      ("Patient/p/$everything", "Patient.r Condition.rs Slot.rs", ["Patient", "Condition"]),
      ("Patient/p/$everything?_type=Condition,Encounter", "Patient.r Encounter.r", ["Encounter"]),
    ])
  func brought(_ url: String, _ scopes: String, _ types: [String]) async throws {
    let bench = try await Self.bench()
    let granted = scopes.split(separator: " ").map { "user/\($0)" }.joined(separator: " ")
    let response = try await Self.send(bench, "GET", url, scopes: granted)
    #expect(response.status == 200 && Self.types(response) == Set(types))
    let everything = try await Self.send(bench, "GET", url, scopes: "user/*.rs")
    #expect(Self.types(everything).isSuperset(of: types) && everything.status == 200)
  }

  @Test("Whether anything was left out of a search shows nothing of what it was")
  func suppressed() async throws {
    let bench = try await Self.bench()
    await bench.put(FHIRBench.observation("alone", #""code":{"text":"x"}"#))
    func said(_ id: String) async throws -> [CanonicalJSON] {
      let url = "Observation?_id=\(id)&_include=Observation:encounter"
      let response = try await Self.send(bench, "GET", url, scopes: "user/Observation.rs")
      return (response.body?["entry"]?.items ?? []).filter { $0["search"]?["mode"]?.text == "outcome" }
    }
    #expect(try await said("o") == said("alone"))
    #expect(try await said("o").count == 1)
  }

  @Test(
    "⚑ The pages after the first are for who was given the first: no other practitioner, app or scopes go on with them",
    arguments: ["Patient/p/$everything", "Condition", "Condition?_sort=_id&_revinclude=Provenance:target"])
  func pages(_ url: String) async throws {
    let bench = try await Self.bench()
    await bench.put(#"{"resourceType":"Condition","id":"d","code":{"text":"x"},"subject":{"reference":"Patient/p"}}"#)
    let wide = try #require(SMARTScopes("user/*.rs"))
    let (lee, kim) = (Digest(words: (1, 0, 0, 0)), Digest(words: (2, 0, 0, 0)))
    let asker = FHIRAsker(account: lee, client: "app", scopes: wide)
    func send(_ url: String, by asker: FHIRAsker) async throws -> FHIRResponse {
      let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
      var request = FHIRRequest(
        method: "GET", path: halves[0].split(separator: "/").map(String.init),
        query: halves.count == 2 ? try FHIRURL.parameters(halves[1]) : [])
      request.asker = asker
      return await bench.service.handle(request)
    }
    let first = try await send(url + (url.contains("?") ? "&" : "?") + "_count=1", by: asker)
    let links = first.body?["link"]?.items ?? []
    let next = try #require(links.first { $0["relation"]?.text == "next" }?["url"]?.text)
    let path = String(next.drop { $0 != "?" })
    let page = url.prefix { $0 != "?" } + path
    #expect(page.contains("_state="), "\(next)")
    let narrow = try #require(SMARTScopes("user/Patient.rs user/Condition.rs user/Provenance.rs"))
    for other in [
      FHIRAsker(account: kim, client: "app", scopes: wide), FHIRAsker(account: lee, client: "other", scopes: wide),
      FHIRAsker(account: lee, client: "app", scopes: narrow), .system,
    ] {
      let refused = try await send(String(page), by: other)
      #expect(refused.status == 403 && refused.body?["entry"] == nil, "\(refused)")
    }
    let second = try await send(String(page), by: asker)
    #expect(second.status == 200 && (second.body?["entry"]?.items ?? []).isEmpty == false)
  }

  @Test("Who learns who let the app in may read that practitioner and no other")
  func user() async throws {
    let bench = try await Self.bench()
    let account = try #require(Hex.decode(FHIRBench.account).flatMap { Digest($0) })
    func status(_ id: String, _ scopes: String) async throws -> Int {
      var request = FHIRRequest(method: "GET", path: ["Practitioner", id])
      request.asker = FHIRAsker(account: account, client: "app", scopes: try #require(SMARTScopes(scopes)))
      return await bench.service.handle(request).status
    }
    #expect(try await status("\(account)", "openid fhirUser user/Slot.r") == 404)
    #expect(try await status("\(account)", "openid user/Slot.r") == 403)
    #expect(try await status("\(account)", "fhirUser user/Slot.r") == 403)
    #expect(try await status("d", "openid fhirUser user/Slot.r") == 403)
  }

  @Test(
    "Scopes cover those that allow no more",
    arguments: [
      ("user/*.rs", "user/Observation.r", true), ("user/Observation.rs", "user/Observation.r", true),
      ("user/Observation.r", "user/Observation.rs", false), ("user/Observation.rs", "user/*.rs", false),
      ("user/Observation.rs user/Patient.r", "user/Patient.r", true), ("user/*.rs", "openid user/*.rs", false),
      ("openid fhirUser user/*.rs", "openid user/*.r", true), ("user/*.rs", "user/*.r offline_access", false),
    ])
  func cover(_ granted: String, _ asked: String, _ isCovered: Bool) throws {
    #expect(try #require(SMARTScopes(granted)).cover(try #require(SMARTScopes(asked))) == isCovered)
  }
}
