// Goal: the capability statement is the truth. Method: it is walked. Each interaction, parameter, modifier, prefix,
// include and operation that it claims is asked for and answered; what it does not claim is refused, with its reason.
import HealthRecords
import Primitives
import Testing

@testable import FHIR

@Suite("Capability statement")
struct CapabilityTests {
  private static func rest(_ bench: FHIRBench) async throws -> CanonicalJSON {
    try #require(await bench.send("GET", "metadata").body?["rest"]?.items?.first)
  }

  /// A value that a parameter of a kind takes.
  private static func value(_ kind: String) -> String {
    switch kind {
    case "date": "2024"
    case "quantity", "number": "1"
    case "composite": "a$1"
    default: "x"
    }
  }

  /// The smallest resource of a type that is right.
  private static func resource(_ type: String) -> String {
    let more: [String: String] = [
      "Patient": "", "Organization": #","name":"x""#, "Practitioner": "",
      "Observation": #","status":"final","code":{"text":"x"}"#,
      "Provenance":
        #","target":[{"reference":"Patient/p"}],"recorded":"2024-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]"#,
      "Binary": #","contentType":"text/plain""#, "Device": "", "Medication": "", "Location": "",
    ]
    return #"{"resourceType":"\#(type)","id":"p"\#(more[type] ?? "")}"#
  }

  private static let writable = [
    "Patient", "Organization", "Practitioner", "Observation", "Provenance", "Binary", "Device", "Medication",
    "Location",
  ]

  @Test("No type and no parameter is named twice, and each type that is stored is there")
  func once() async throws {
    let bench = try FHIRBench()
    let resources = try await Self.rest(bench)["resource"]?.items ?? []
    let types = resources.compactMap { $0["type"]?.text }
    #expect(Set(types).count == types.count)
    #expect(Set(types) == Set(SearchParameter.types + CapabilityStatement.views))
    for resource in resources {
      let names = (resource["searchParam"]?.items ?? []).compactMap { $0["name"]?.text }
      #expect(Set(names).count == names.count, "\(resource["type"]?.text ?? "")")
    }
  }

  @Test("Each interaction that is claimed is done, and each that is not is refused as such")
  func interactions() async throws {
    let bench = try FHIRBench()
    for resource in try await Self.rest(bench)["resource"]?.items ?? [] {
      let type = resource["type"]?.text ?? ""
      let claimed = (resource["interaction"]?.items ?? []).compactMap { $0["code"]?.text }
      for interaction in CapabilityStatement.ofTypes {
        let path = interaction.path.map { ["Type": type, "ID": "p"][$0] ?? $0 }
        let answer = await bench.send(interaction.method, path.joined(separator: "/"), "{}")
        let code = answer.body?["issue"]?.items?.first?["code"]?.text
        let isRefused = [404, 405].contains(answer.status) && code == "not-supported"
        #expect(
          isRefused == !claimed.contains(interaction.code) || (answer.status == 404 && code == "not-found"),
          "\(type) \(interaction.code): \(answer.status) \(code ?? "")")
        #expect(answer.status < 500)
      }
    }
    for interaction in CapabilityStatement.ofSystem {
      #expect(FHIRService.methods(of: interaction.path).contains(interaction.method))
    }
  }

  @Test("What is written is read, in every way that is claimed", arguments: writable)
  func written(_ type: String) async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    for (method, url, body, status) in [
      ("PUT", "\(type)/p", Self.resource(type), type == "Patient" ? 200 : 201), ("GET", "\(type)/p", "", 200),
      ("GET", "\(type)/p/_history/1", "", 200), ("GET", "\(type)/p/_history", "", 200),
      ("GET", "\(type)/_history", "", 200),
      ("GET", "\(type)?_id=p", "", 200), ("POST", "\(type)/_search", "", 200),
      ("POST", "\(type)/$validate", Self.resource(type), 200),
      ("POST", type, Self.resource(type), 201), ("PUT", "\(type)?_id=p", Self.resource(type), 200),
      ("DELETE", "\(type)/p", "", 204),
    ] {
      #expect(await bench.send(method, url, body).status == status, "\(method) \(url)")
    }
    #expect(await bench.send("POST", type, Self.resource(type), ifNoneExist: "_id=none").status == 201)
  }

  @Test("Each parameter is taken as it is named, with each modifier and prefix, and with no other")
  func parameters() async throws {
    let bench = try FHIRBench()
    let rest = try await Self.rest(bench)
    let common = rest["searchParam"]?.items ?? []
    for resource in rest["resource"]?.items ?? [] {
      let type = resource["type"]?.text ?? ""
      guard !CapabilityStatement.views.contains(type) else { continue }
      for parameter in (resource["searchParam"]?.items ?? []) + (type == "Patient" ? common : []) {
        let (name, kind) = (parameter["name"]?.text ?? "", parameter["type"]?.text ?? "")
        let words = (parameter["documentation"]?.text ?? "").split(whereSeparator: { " ;".contains($0) }).map(
          String.init)
        let value = kind == "composite" ? Self.composite(type, name) : Self.value(kind)
        func status(_ modifier: String, _ prefix: String = "") async -> Int {
          let special = ["missing": "true", "of-type": "a|b|c"][modifier] ?? prefix + value
          let mark = modifier.isEmpty ? "" : ":\(modifier)"
          return await bench.send("GET", "\(type)?\(name)\(mark)=\(special)").status
        }
        #expect(await status("") == 200, "\(type)?\(name)=\(value)")
        let claimed = words.filter { $0.first == ":" }.map { String($0.dropFirst()) }
        for modifier in claimed { #expect(await status(modifier) == 200, "\(type)?\(name):\(modifier)") }
        let all = [
          "missing", "exact", "contains", "text", "not", "of-type", "identifier", "above", "below", "in", "not-in",
          "frob",
        ]
        for modifier in all where !claimed.contains(modifier) {
          #expect(await status(modifier) == 400, "\(type)?\(name):\(modifier)")
        }
        for prefix in SearchPrefix.allCases.map(\.rawValue) where words.contains(prefix) {
          #expect(await status("", prefix) == 200, "\(type)?\(name)=\(prefix)")
        }
      }
    }
  }

  private static func composite(_ type: String, _ name: String) -> String {
    (SearchParameter.of(type)?[name]?.parts ?? []).map { Self.value($0.kind.name) }.joined(separator: "$")
  }

  @Test("Each include and each operation that is claimed is taken; the parameters of results, too")
  func includes() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    let rest = try await Self.rest(bench)
    for resource in rest["resource"]?.items ?? [] {
      let type = resource["type"]?.text ?? ""
      for include in (resource["searchInclude"]?.items ?? []).compactMap(\.text) {
        #expect(await bench.send("GET", "\(type)?_include=\(include)").status == 200, "\(include)")
        #expect(await bench.send("GET", "\(type)?_include:iterate=\(include)").status == 200, "\(include)")
      }
      for include in (resource["searchRevInclude"]?.items ?? []).compactMap(\.text) {
        #expect(await bench.send("GET", "\(type)?_revinclude=\(include)").status == 200, "\(include)")
        let parts = include.split(separator: ":")
        #expect(await bench.send("GET", "\(type)?_has:\(parts[0]):\(parts[1]):_id=x").status == 200, "\(include)")
      }
      let operations = (resource["operation"]?.items ?? []).compactMap { $0["name"]?.text }
      for operation in operations where operation == "everything" {
        #expect(await bench.send("GET", "Patient/p/$everything").status == 200)
        #expect(await bench.send("POST", "Patient/p/$everything").status == 200)
      }
      #expect(operations.contains("validate") == !CapabilityStatement.views.contains(type))
    }
    for query in [
      "_count=1", "_sort=-birthdate", "_total=none", "_summary=true", "_elements=name", "_format=json", "_pretty=true",
      "_contained=false", "_list=x",
    ] {
      let name = query.prefix { $0 != "=" }
      #expect(rest["documentation"]?.text?.contains(name) == true, "\(name)")
      #expect(await bench.send("GET", "Patient?\(query)").status == 200, "\(query)")
    }
  }

  @Test("What belongs to a patient is asked for by the parameters of the standard's compartment, which there are")
  func compartments() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    for type in Compartment.types {
      for code in Compartment.parameters(of: type) ?? [] {
        #expect(SearchParameter.of(type)?[code]?.targets(in: type).contains("Patient") == true, "\(type).\(code)")
      }
      #expect(await bench.send("GET", "Patient/p/\(type)").status == 200)
    }
    #expect(await bench.send("GET", "Patient/q/Observation").status == 404)
    #expect(await bench.send("GET", "Patient/p/Location").status == 404)
  }

  @Test("$validate takes a resource, or the operation's own parameters, and says that it knows no profile")
  func validate() async throws {
    let bench = try FHIRBench()
    let wrong = #"{"resourceType":"Patient","gender":"m"}"#
    let inside =
      #"{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"create"},"#
      + #"{"name":"resource","resource":\#(wrong)}]}"#
    for body in [wrong, inside] {
      let answer = await bench.send("POST", "Patient/$validate", body)
      #expect(answer.status == 200)
      #expect(answer.body?["issue"]?.items?.first?["expression"]?.items?.first?.text == "Patient.gender")
    }
    #expect(await bench.send("POST", "Patient/$validate?profile=http://p", wrong).status == 400)
    #expect(await bench.send("POST", "Patient/$validate", #"{"resourceType":"Parameters"}"#).status == 400)
  }

  @Test(
    "Provenance is stored as every other type, and found again; a linked patient's begins with what the ledger proves")
  func provenance() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    #expect(await bench.send("POST", "Provenance", Self.resource("Provenance")).status == 201)
    await bench.put(Self.resource("Provenance"))
    for query in ["_id=p", "target=Patient/p&_id=p", "patient=p&_id=p"] {
      #expect(await bench.found("Provenance?\(query)") == ["p"], "\(query)")
    }
    #expect(await bench.found("Provenance?patient=p").count == 2)
  }

  /// A ledger that proves three things of everybody.
  private struct ProvingLedger: LedgerViews {
    static let lines = (0..<3).map { number in
      CanonicalJSON.members([("resourceType", .string("Provenance")), ("id", .string("l\(number)"))])
    }
    func erasure(of record: Digest) async -> Erasure? { nil }
    func consents(of account: Digest, patient: String) async -> [CanonicalJSON] { Self.lines }
    func accesses(
      of account: Digest, patient: String, skipping offset: Int, countMax: Int
    ) async -> (total: Int, page: [CanonicalJSON]) { (3, Array(Self.lines.dropFirst(offset).prefix(countMax))) }
    func provenance(
      of account: Digest, names: [String: String], skipping offset: Int, countMax: Int
    ) async -> (total: Int, page: [CanonicalJSON]) { (3, Array(Self.lines.dropFirst(offset).prefix(countMax))) }
  }

  @Test(
    "⚑ A linked patient's Provenance begins with what the ledger proves, however it is asked for, or is refused",
    arguments: [
      ("GET", "Provenance?patient=p", 3), ("GET", "Provenance?patient=Patient/p&_elements=target", 3),
      ("GET", "Provenance?patient=p&_summary=true", 3), ("GET", "Provenance?patient=p&_summary=count", 0),
      ("GET", "Provenance?patient=p&_total=accurate&_pretty=true", 3), ("GET", "Provenance?patient:Patient=p", 3),
      ("POST", "Provenance/_search?patient=p", 3), ("GET", "Patient/p/Provenance", 3),
      ("GET", "Patient/p/Provenance?_count=2", 2), ("GET", "AuditEvent?patient:Patient=p&_summary=count", 0),
      ("POST", "AuditEvent/_search?patient=p", 3), ("POST", "Consent/_search?patient=p&_count=2", 2),
      ("GET", "Provenance?patient=p&_sort=-recorded", nil), ("GET", "Provenance?patient=p&target=Patient/p", nil),
      ("GET", "Provenance?patient.identifier=x", nil), ("GET", "Provenance?patient._id=p", nil),
      ("GET", "Provenance?patient:identifier=x", nil), ("GET", "Provenance?patient:Patient._id=p", nil),
      ("GET", "Provenance?patient=q,p", nil), ("GET", "AuditEvent?patient=q&subject=p", nil),
      ("GET", "Consent?patient=q&patient=p", nil), ("GET", "Provenance?patient=q&patient=p", nil),
      ("GET", "Patient/p/Provenance?_sort=recorded", nil), ("GET", "Patient/p/Provenance?patient=p", nil),
      ("POST", "Provenance/_search?patient=p&recorded=2024", nil), ("GET", "AuditEvent?patient=p&_sort=date", nil),
      ("GET", "Provenance?target=Patient/p", nil), ("GET", "Provenance?target:Patient=p", nil),
      ("GET", "Provenance?target=p", nil), ("POST", "Provenance/_search?target=http://h/fhir/Observation/o", nil),
      ("GET", "Provenance?_count=2&target=Patient/q,Observation/o", nil),
    ] as [(String, String, Int?)])
  func proved(_ method: String, _ url: String, _ count: Int?) async throws {
    let bench = try FHIRBench(ProvingLedger())
    await bench.link("p")
    await bench.put(#"{"resourceType":"Patient","id":"q"}"#)
    await bench.put(FHIRBench.observation("o", #""code":{"text":"x"},"subject":{"reference":"Patient/p"}"#))
    let entry = #"{"request":{"method":"\#(method)","url":"\#(url)"}}"#
    let batch = await bench.bundle("batch", entry).body?["entry"]?.items?.first
    let whole = await bench.bundle("transaction", entry)
    guard let count else {
      #expect(await bench.send(method, url).status == 400)
      #expect(batch?["response"]?["status"]?.text == "400" && whole.status == 400)
      return
    }
    let direct = await bench.send(method, url)
    #expect(direct.status == 200, "\(direct.body as Any)")
    for answer in [direct.body, batch?["resource"], whole.body?["entry"]?.items?.first?["resource"]] {
      #expect(answer?["total"] == .number("3"))
      #expect((answer?["entry"]?.items ?? []).count == count)
    }
    // Of one who is not linked the store has all there is.
    #expect(await bench.send("GET", "Provenance?patient=q&_sort=recorded").body?["total"] == .number("0"))
    #expect(await bench.send("GET", "Provenance?target=Patient/q").body?["total"] == .number("0"))
    for (id, isTold) in [("p", true), ("q", false)] {
      let page = await bench.send("GET", "Patient?_id=\(id)&_revinclude=Provenance:target").body?["entry"]?.items ?? []
      #expect(page.contains { $0["search"]?["mode"]?.text == "outcome" } == isTold)
    }
  }
}
