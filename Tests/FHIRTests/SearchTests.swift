// Goal: a search finds what the standard says, or is refused with what there is instead; never an answer that only
// looks like one. Method: each kind of parameter with each modifier and prefix, and what must be refused.
import HealthRecords
import Primitives
import Synchronization
import Testing

@testable import FHIR

@Suite("Searches to the letter")
struct SearchTests {
  private static func observation(_ id: String, _ more: String) -> String { FHIRBench.observation(id, more) }

  private static func reason(_ response: FHIRResponse) -> String {
    response.body?["issue"]?.items?.first?["diagnostics"]?.text ?? ""
  }

  /// Three patients and what is about them.
  private static func bench() async throws -> FHIRBench {
    let bench = try FHIRBench()
    await bench.put(
      #"{"resourceType":"Patient","id":"a","gender":"male","active":true,"birthDate":"1980-05-05","#
        + #""identifier":[{"type":{"coding":[{"system":"v2","code":"MR"}],"text":"Record number"},"system":"mrn","#
        + #""value":"1"}],"name":[{"family":"Müller"}],"meta":{"tag":[{"system":"t","code":"x"}],"#
        + #""security":[{"system":"s","code":"R"}],"source":"urn:ward","profile":["http://p/one"]}}"#)
    await bench.put(
      #"{"resourceType":"Patient","id":"b","gender":"female","deceasedDateTime":"2020-01-01","#
        + #""identifier":[{"system":"mrn","value":"2"}],"generalPractitioner":[{"reference":"Organization/g"}]}"#)
    await bench.put(
      #"{"resourceType":"Patient","id":"c","_gender":{"extension":[{"url":"http://e","valueCode":"unknown"}]},"#
        + #""identifier":[{"type":{"coding":[{"system":"v2","code":"RG"}]},"value":"1"}]}"#)
    await bench.put(#"{"resourceType":"Organization","id":"g","name":"Clinic"}"#)
    await bench.put(
      Self.observation(
        "o",
        #""code":{"text":"Kopfschmerz nach Sturz"},"subject":{"identifier":{"system":"mrn","value":"9"}}"#))
    await bench.put(
      Self.observation(
        "h",
        #""code":{"coding":[{"system":"l","code":"bp","display":"Blood pressure"}]},"#
          + #""subject":{"reference":"Patient/a"},"#
          + #""component":[{"code":{"coding":[{"code":"sys"}]},"valueQuantity":{"value":140}},"#
          + #"{"code":{"coding":[{"code":"dia"}]},"valueQuantity":{"value":90}}]"#))
    await bench.put(
      #"{"resourceType":"List","id":"l","status":"current","mode":"working","#
        + #""entry":[{"item":{"reference":"Patient/b"}}]}"#
    )
    return bench
  }

  @Test(
    "Each modifier that is taken finds what it means",
    arguments: [
      ("Patient?gender:not=male", "b c"), ("Patient?gender:not=male,female", "c"), ("Patient?gender:missing=true", "c"),
      ("Patient?gender:missing=false", "a b"), ("Patient?identifier:of-type=v2|MR|1", "a"),
      ("Patient?identifier:of-type=v2|RG|1", "c"), ("Patient?identifier:of-type=v2|MR|2", ""),
      ("Patient?identifier:text=record", "a"), ("Patient?identifier:not=mrn|1", "b c"),
      ("Observation?code:text=kopfschmerz", "o"), ("Observation?code:text=STURZ", "o"),
      ("Observation?code:text=pressure", "h"), ("Observation?code:text=ressure", ""),
      ("Observation?code:missing=true", ""), ("Observation?subject:identifier=mrn|9", "o"),
      ("Observation?subject:identifier=9", "o"), ("Observation?subject:missing=true", ""),
      ("Observation?subject:Patient=a", "h"), ("Observation?subject:Group=a", ""),
      ("Patient?gender=http://hl7.org/fhir/administrative-gender|male", "a"), ("Patient?gender=other|male", ""),
      ("Patient?deceased=true", "b"), ("Patient?deceased=false", "a c"), ("Patient?_tag=t|x", "a"),
      ("Patient?_tag:not=t|x", "b c"), ("Patient?_security=s|R", "a"), ("Patient?_source=urn:ward", "a"),
      ("Patient?_profile:below=http://p", "a"), ("Patient?_profile:above=http://p/one/two", "a"),
      ("Patient?_id:not=a", "b c"), ("Patient?family:missing=true", "b c"), ("Patient?_lastUpdated=gt2000", "a b c"),
      ("Patient?_list=l", "b"), ("Patient?_list=none", ""), ("Patient/a/Observation", "h"),
      ("Patient/a/Observation?code=l|bp", "h"), ("Patient/b/Observation", ""),
    ])
  func modifiers(_ query: String, _ expected: String) async throws {
    let bench = try await Self.bench()
    #expect(await bench.send("GET", query).status == 200)
    #expect(await bench.found(query).joined(separator: " ") == expected)
  }

  @Test(
    "Reverse chains and chains over every target",
    arguments: [
      ("Patient?_has:Observation:patient:code=bp", "a"), ("Patient?_has:Observation:subject:code=l|bp", "a"),
      ("Patient?_has:Observation:subject:code=none", ""), ("Patient?_has:Observation:subject:_id=h", "a"),
      ("Organization?_has:Patient:general-practitioner:gender=female", "g"),
      ("Organization?_has:Patient:general-practitioner:_has:Observation:subject:code=bp", ""),
      ("Patient?general-practitioner.name=clinic", "b"), ("Patient?general-practitioner:Organization.name=clinic", "b"),
      ("Patient?general-practitioner:Practitioner.name=clinic", ""), ("Observation?subject.name=müller", "h"),
      ("Observation?subject:Patient.gender:not=female", "h"),
      ("Observation?patient._has:Observation:patient:code=bp", "h"),
    ])
  func chains(_ query: String, _ expected: String) async throws {
    let bench = try await Self.bench()
    #expect(await bench.send("GET", query).status == 200)
    #expect(await bench.found(query).joined(separator: " ") == expected)
  }

  @Test(
    "What is not understood is refused, and it is said what there is",
    arguments: [
      ("Patient?gender:in=male", ":missing"), ("Patient?gender:not-in=male", ":not"),
      ("Patient?gender:frobnicate=male", ":not"),
      ("Patient?gender:missing=perhaps", "true or false"), ("Patient?birthdate:exact=1980", ":missing"),
      ("Patient?gender:of-type=a|b|c", ":not"), ("Patient?gender:text=male", ":not"),
      ("Patient?identifier:of-type=a|b", "SYSTEM|CODE|VALUE"), ("Patient?name:text=a", ":contains"),
      ("Observation?subject:above=a", ":identifier"), ("Observation?subject:Medication=a", "Patient"),
      ("Observation?subject:Medication.code=a", "leads to"), ("Patient?_id:text=a", ":not"),
      ("Patient?frobnicate=1", "birthdate"), ("Patient?_filter=a", "birthdate"), ("Patient?_text=a", "_has"),
      ("Patient?_content=a", "_has"), ("Patient?_query=a", "_has"),
      ("Patient?_has:Observation:code:status=a", "leads to"),
      ("Patient?_has:Observation:subject:frob=a", "no search parameter"), ("Patient?_has:Observation=a", "_has:Type"),
      ("Patient?_total=some", "accurate"), ("Patient?_summary=half", "text"), ("Patient?_elements=frob", "frob"),
      ("Patient?_contained=true", "_contained=false"), ("Patient?_sort=frob", "frob"),
      ("Patient?_sort=_score", "_score"),
      ("Patient?_include:frob=Patient:organization", ":iterate"), ("Patient?_include=Patient:gender", "reference"),
      ("Patient?_include=Patient:organization:Device", "Device"), ("Patient?_pretty=maybe", "true or false"),
      ("Patient?_list=$current-problems", "List"), ("Location?near=1|2", "no search parameter"),
      ("Observation?code-value-quantity=1", "$"), ("Observation?code-value-quantity:missing=true", "no modifier"),
      ("Observation?value-quantity=1e", "NUMBER"), ("Observation?subject.frob=1", "frob"),
      ("Patient/a/_history?frob=1", "_since"), ("Patient/a/$everything?frob=1", "_type"),
      ("AuditEvent?patient=a&date=2024", "patient"),
      ("Patient?gender=", "no value"), ("Patient?gender", "no value"), ("Patient?gender=%20", "no value"),
      ("Patient?frobnicate=", "no value"), ("Observation?subject.name=", "no value"),
      ("Patient?_has:Observation:subject:code=", "no value"), ("Patient?family=a,", "no value"),
      ("Patient?gender=,male", "no value"), ("Patient?identifier=|", "no value"),
      ("Patient/a/Observation?code=", "no value"),
    ])
  func refused(_ query: String, _ word: String) async throws {
    let bench = try await Self.bench()
    let answer = await bench.send("GET", query)
    #expect(answer.status == 400, "\(query)")
    #expect(Self.reason(answer).contains(word), "\(query): \(Self.reason(answer))")
  }

  @Test("Where a client asks for it, unknown parameters are left out, named, and not within the link self")
  func lenient() async throws {
    let bench = try await Self.bench()
    var request = FHIRRequest(
      method: "GET", path: ["Patient"], query: [(name: "frobnicate", value: "1"), (name: "gender", value: "male")])
    request.prefer = "return=minimal; handling=lenient"
    let answer = await bench.service.handle(request)
    #expect(answer.status == 200 && answer.body?["total"] == .number("1"))
    #expect(answer.body?["entry"]?.items?.last?["search"]?["mode"]?.text == "outcome")
    #expect(answer.body?["link"]?.items?.first?["url"]?.text?.contains("frobnicate") == false)
  }

  @Test("Where a client asks for it, a parameter without a value is left out, and named; one of the result always is")
  func lenientWithoutValue() async throws {
    let bench = try await Self.bench()
    var request = FHIRRequest(method: "GET", path: ["Patient"], query: [("family", ""), ("gender", "male")])
    request.prefer = "handling=lenient"
    let answer = await bench.service.handle(request)
    #expect(answer.status == 200 && answer.body?["total"] == .number("1"))
    let outcome = answer.body?["entry"]?.items?.last?["resource"]?["issue"]?.items?.first
    #expect(outcome?["diagnostics"]?.text?.contains("family") == true)
    #expect(await bench.found("Patient?gender=male&_sort=&_count=&_include=&_summary=") == ["a"])
  }

  @Test(
    "Values that belong together are found together",
    arguments: [
      ("component-code-value-quantity=sys$140", "h"), ("component-code-value-quantity=dia$140", ""),
      ("component-code-value-quantity=sys$gt130,dia$gt130", "h"), ("combo-code-value-quantity=dia$lt100", "h"),
      ("component-code-value-quantity=sys$lt130", ""), ("code-value-quantity=l|bp$140", ""),
    ])
  func composites(_ query: String, _ expected: String) async throws {
    let bench = try await Self.bench()
    #expect(await bench.found("Observation?" + query).joined(separator: " ") == expected)
  }

  @Test(
    "Numbers are compared as decimals, to the last digit, and stand for what rounds to them",
    arguments: [
      ("0.1", "0.1", true), ("100", "99.5", true), ("100", "100.5", false), ("100", "99.49", false),
      ("100.00", "100.004", true), ("100.00", "100.005", false), ("1e2", "95", true), ("1e2", "105", false),
      ("120", "1.2E+2", true), ("5.4e-3", "0.00535", true), ("5.4e-3", "0.00545", false), ("-5.4", "-5.45", true),
      ("-5.4", "-5.35", false), ("0", "-0.5", true), ("0", "0.5", false),
      ("gt123456789012345678901234567890.1", "123456789012345678901234567890.123456789", true),
      ("lt123456789012345678901234567890.2", "123456789012345678901234567890.123456789", true),
      ("eq123456789012345678901234567890.2", "123456789012345678901234567890.123456789", false),
      ("gt0.000000000000000000000000000001", "0.000000000000000000000000000001", false),
      ("ge0.000000000000000000000000000001", "0.000000000000000000000000000001", true),
      ("gt1", "1e400", true), ("gt1e399", "1e400", true), ("lt1e-999999999999", "0", true), ("ne5", "5.4", false),
      ("ne5", "5.5", true), ("ap100", "109.9", true), ("ap100", "111", false), ("ap-100", "-91", true),
      ("sa5", "5", false), ("sa5", "5.1", true), ("eb5", "4.9", true), ("le-1", "-1.0", true), ("lt-1", "-2", true),
    ])
  func decimals(_ asked: String, _ value: String, _ isFound: Bool) async throws {
    let bench = try FHIRBench()
    await bench.put(Self.observation("a", #""code":{"text":"x"},"valueQuantity":{"value":\#(value)}"#))
    #expect(await bench.found("Observation?value-quantity=\(asked)") == (isFound ? ["a"] : []))
  }

  @Test(
    "Of a value that is only known to be on one side, nothing is claimed that may not be so",
    arguments: [
      ("<", "lt5.3", true), ("<", "gt4.9", false), ("<", "5", false), ("<", "lt5", true), ("<=", "lt5", false),
      ("<=", "le5", true), ("<", "lt4", false), (">", "gt5", true), (">=", "gt5", false), (">=", "ge5", true),
      (">", "lt6", false), (">", "gt6", false), ("<", "ne6", true), ("<", "ne4", false), ("<", "ap5", false),
    ])
  func comparators(_ comparator: String, _ asked: String, _ isFound: Bool) async throws {
    let bench = try FHIRBench()
    let value = #"{"value":5,"comparator":"\#(comparator)"}"#
    await bench.put(Self.observation("a", #""code":{"text":"x"},"valueQuantity":\#(value)"#))
    #expect(await bench.found("Observation?value-quantity=\(asked)") == (isFound ? ["a"] : []))
  }

  @Test(
    "Dates: a leap second is within its minute, fractions are as fine as written",
    arguments: [
      ("2016-12-31T23:59:60Z", "2016-12-31", true), ("2016-12-31T23:59:60Z", "ge2017", false),
      ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z", true), ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z", false),
      ("2016-12-31T23:59:60Z", "sa2016-12-31T23:59:59Z", true), ("2017-01-01T00:59:60+01:00", "2016-12-31", true),
      ("2024-02-29T12:00:00.123456789Z", "2024-02-29T12:00:00.123Z", true),
      ("2024-02-29T12:00:00.123456789Z", "2024-02-29T12:00:00.124Z", false),
      ("2024-02-29T12:00:00.5Z", "2024-02-29T12:00:00.5Z", true), ("2024", "ap2024", true), ("2024", "2024-05", false),
      ("2024-05", "2024", true), ("2024-02-29T00:30:00+14:00", "2024-02-28", true),
    ])
  func dates(_ value: String, _ asked: String, _ isFound: Bool) async throws {
    let bench = try FHIRBench()
    await bench.put(Self.observation("a", #""code":{"text":"x"},"effectiveDateTime":"\#(value)""#))
    let date = asked.replacing("+", with: "%2B")
    #expect(await bench.found("Observation?date=\(date)") == (isFound ? ["a"] : []))
  }

  @Test("Separators that are escaped are part of a value")
  func escapes() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"a","identifier":[{"system":"s","value":"1,2|3"}]}"#)
    await bench.put(#"{"resourceType":"Patient","id":"b","identifier":[{"system":"s","value":"1"}]}"#)
    #expect(await bench.found(#"Patient?identifier=s|1\,2\|3"#) == ["a"])
    #expect(await bench.found(#"Patient?identifier=s|1,2\|3"#) == ["b"])
  }

  @Test("Includes: each resource once, to one type where asked, and again where they iterate")
  func includes() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Organization","id":"top"}"#)
    await bench.put(#"{"resourceType":"Organization","id":"mid","partOf":{"reference":"Organization/top"}}"#)
    await bench.put(
      #"{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/mid"},"#
        + #""generalPractitioner":[{"reference":"Organization/mid"}]}"#)
    for id in ["a", "b"] {
      await bench.put(Self.observation(id, #""code":{"text":"x"},"subject":{"reference":"Patient/p"}"#))
    }
    for (query, expected) in [
      ("_include=Observation:subject", "a b p"), ("_include=Observation:subject:Patient", "a b p"),
      ("_include=Observation:subject:Group", "a b"), ("_include=*", "a b p"), ("_include=Observation:*", "a b p"),
      ("_include=Observation:subject&_include:iterate=Patient:organization", "a b p mid"),
      (
        "_include=Observation:subject&_include:iterate=Patient:organization&_include:iterate=Organization:partof",
        "a b p mid top"
      ),
      ("_include=Observation:subject&_include=Patient:organization", "a b p"),
      ("_count=1&_include=Observation:subject", "a p"),
    ] {
      #expect(await bench.found("Observation?\(query)").joined(separator: " ") == expected, "\(query)")
    }
    #expect(
      await bench.found(
        "Organization?_id=top&_revinclude:iterate=Organization:partof&_revinclude:iterate=Patient:organization"
          + "&_revinclude:iterate=Observation:subject"
      ) == ["top", "mid", "p", "a", "b"])
  }

  @Test("⚑ Pages of one search are one state, whatever is written meanwhile: nothing is missed, nothing comes twice")
  func pages() async throws {
    let bench = try FHIRBench()
    for number in 0..<12 { await bench.put(#"{"resourceType":"Patient","id":"p\#(number)","gender":"male"}"#) }
    var (url, seen, genders) = (String?.some("Patient?gender=male&_sort=_id&_count=5"), [String](), Set<String>())
    while let asked = url {
      let body = await bench.send("GET", asked).body
      #expect(body?["total"] == .number("12"))
      for entry in body?["entry"]?.items ?? [] {
        seen.append(entry["resource"]?["id"]?.text ?? "")
        genders.insert(entry["resource"]?["gender"]?.text ?? "")
      }
      // One of those that were seen goes, one of the others changes, and one is new.
      _ = await bench.send("DELETE", "Patient/p0")
      await bench.put(#"{"resourceType":"Patient","id":"p9","gender":"female"}"#)
      await bench.put(#"{"resourceType":"Patient","id":"a\#(seen.count)","gender":"male"}"#)
      let next = body?["link"]?.items?.first { $0["relation"]?.text == "next" }?["url"]?.text
      url = next.map { String($0.dropFirst("http://h/fhir/".count)) }
    }
    #expect(seen.count == 12 && Set(seen).count == 12 && genders == ["male"])
    let next = await bench.send("GET", "Patient?_count=1").body?["link"]?.items?.last?["url"]?.text ?? ""
    let state = next.split(separator: "_state=").last.map(String.init) ?? ""
    #expect(await bench.send("GET", "Patient?_offset=1&_state=\(state)").status == 200)
    #expect(await bench.send("GET", "Patient?gender=male&_offset=1&_state=\(state)").status == 400)
    #expect(await bench.send("GET", "Patient?_offset=1&_state=none").status == 410)
  }

  @Test("⚑ Asked again by its link self, a first page is of what is there by then")
  func again() async throws {
    let bench = try FHIRBench()
    for id in ["a", "b"] { await bench.put(#"{"resourceType":"Patient","id":"\#(id)"}"#) }
    let first = await bench.send("GET", "Patient?_count=1").body
    let link = first?["link"]?.items?.first { $0["relation"]?.text == "self" }?["url"]?.text ?? ""
    await bench.put(#"{"resourceType":"Patient","id":"c"}"#)
    let again = await bench.send("GET", String(link.dropFirst("http://h/fhir/".count))).body
    #expect(first?["total"] == .number("2") && again?["total"] == .number("3"), "\(link)")
  }

  @Test("⚑ What a page brings besides its matches is what they name as they are shown, not as they are by now")
  func includesOfPages() async throws {
    let bench = try FHIRBench()
    for id in ["anna", "boris"] { await bench.put(#"{"resourceType":"Patient","id":"\#(id)"}"#) }
    func put(_ id: String, _ patient: String) async {
      await bench.put(Self.observation(id, #""code":{"text":"x"},"subject":{"reference":"Patient/\#(patient)"}"#))
    }
    for id in ["a", "b", "c"] { await put(id, "anna") }
    let asked = "Observation?subject=Patient/anna&_include=Observation:subject&_count=1"
    let next = await bench.send("GET", asked).body?["link"]?.items?.last?["url"]?.text ?? ""
    await put("b", "boris")
    let second = String(next.dropFirst("http://h/fhir/".count))
    #expect(await bench.found(second) == ["b", "anna"])
    _ = await bench.send("DELETE", "Observation/b")
    #expect(await bench.found(second) == ["b", "anna"], "nor where it is deleted by now")
  }

  @Test("⚑ While a long search goes on others are answered, and what they write is found as it is in the end")
  func turns() async throws {
    let bench = try FHIRBench(looksBetweenTurns: 1)
    let ids = (0..<60).map { "p\(100 + $0)" }
    for id in ids { await bench.put(#"{"resourceType":"Patient","id":"\#(id)","gender":"male"}"#) }
    for query in ["gender:not=female&_count=100", "gender:not=female&_count=100&_sort=-_id"] {
      async let search = bench.found("Patient?\(query)")
      for id in ids { await bench.put(#"{"resourceType":"Patient","id":"\#(id)","gender":"female"}"#) }
      // Whenever it was answered, the first so many were female by then, and no other.
      let found = await search
      #expect(found.sorted() == ids.suffix(found.count))
      #expect(await bench.found("Patient?\(query)").isEmpty)
      for id in ids { await bench.put(#"{"resourceType":"Patient","id":"\#(id)","gender":"male"}"#) }
      #expect(await bench.found("Patient?\(query)").count == ids.count)
    }
  }

  @Test(
    "A search's pages say of when they are, and are kept for an hour",
    arguments: ["Patient?", "Patient/p0/$everything?"])
  func age(_ url: String) async throws {
    let bench = try FHIRBench()
    for number in 0..<3 { await bench.put(#"{"resourceType":"Patient","id":"p\#(number)"}"#) }
    await bench.put(Self.observation("o", #""code":{"text":"x"},"subject":{"reference":"Patient/p0"}"#))
    let begun = bench.ledger.clock.load(ordering: .relaxed)
    func age(to milliseconds: UInt64) { bench.ledger.clock.store(begun + milliseconds, ordering: .relaxed) }
    let first = await bench.send("GET", url + "_count=1").body
    let time = first?["meta"]?["lastUpdated"]
    #expect(time == .string(Timestamp(milliseconds: begun).description))
    let next = first?["link"]?.items?.first { $0["relation"]?.text == "next" }?["url"]?.text ?? ""
    let page = String(next.dropFirst("http://h/fhir/".count))
    age(to: SearchStates.milliseconds - 1)
    let second = await bench.send("GET", page)
    #expect(second.status == 200 && second.body?["meta"]?["lastUpdated"] == time)
    age(to: SearchStates.milliseconds)
    let late = await bench.send("GET", page)
    #expect(late.status == 410)
    #expect(late.body?["issue"]?.items?.first?["diagnostics"]?.text?.contains("first page") == true)
    #expect(await bench.send("GET", url + "_count=1").body?["meta"]?["lastUpdated"] != time)
  }

  private static let app = FHIRAsker(account: nil, client: "app", scopes: .everything)
  private static let hit = SearchStates.Hit(type: 0, place: 0, version: 1)

  private static func found(_ count: Int, at milliseconds: UInt64 = 0) -> SearchStates.Found {
    SearchStates.Found(hits: Array(repeating: self.hit, count: count), time: Timestamp(milliseconds: milliseconds))
  }

  @Test("Of an asker's many searches the one that was not asked for longest goes, and none of another's")
  func states() throws {
    var states = SearchStates()
    func keep(_ found: SearchStates.Found, of asker: FHIRAsker = .system, as name: String) -> Bool {
      states.keep(found, of: "q", for: asker, as: name)
    }
    func knows(_ name: String, of asker: FHIRAsker = .system, at milliseconds: UInt64 = 0) -> Bool {
      (try? states.found(of: "q", for: asker, in: name, at: Timestamp(milliseconds: milliseconds))) != nil
    }
    #expect(keep(Self.found(1), of: Self.app, as: "app"))
    for number in 0..<SearchStates.statesPerAskerMax {
      #expect(keep(Self.found(1), as: "\(number)"))
    }
    #expect(knows("0"))
    #expect(keep(Self.found(1), as: "new"))
    #expect(knows("0") && !knows("1") && knows("new"))
    #expect(!keep(Self.found(SearchStates.hitsPerAskerMax + 1), as: "larger"))
    #expect(knows("0"))
    #expect(keep(Self.found(SearchStates.hitsPerAskerMax), as: "large"))
    #expect(!knows("0") && knows("large"))
    #expect(knows("app", of: Self.app), "another's go on")
    // Of all askers together it is bounded, too.
    let other = FHIRAsker(account: nil, client: "other", scopes: .everything)
    #expect(keep(Self.found(SearchStates.hitsPerAskerMax), of: other, as: "other"))
    #expect(!knows("large") && knows("other", of: other))
  }

  @Test("What is over goes, and makes room, whatever was asked since")
  func over() throws {
    var states = SearchStates()
    func keep(_ found: SearchStates.Found, of asker: FHIRAsker = .system, as name: String) -> Bool {
      states.keep(found, of: "q", for: asker, as: name)
    }
    func knows(_ name: String, of asker: FHIRAsker = .system, at milliseconds: UInt64 = 0) -> Bool {
      (try? states.found(of: "q", for: asker, in: name, at: Timestamp(milliseconds: milliseconds))) != nil
    }
    let end = SearchStates.milliseconds
    // A hundred of them are good at once.
    for number in 0..<5000 as Range<UInt64> {
      _ = keep(Self.found(1, at: number * end / 100), as: "\(number)")
    }
    let last = 4999 * end / 100
    #expect(knows("4999", at: last + end - 1) && knows("4900", at: last))
    #expect(!knows("4899", at: last) && !knows("4999", at: last + end))
    #expect(!knows("4999", at: last), "once it was over it is gone")
    #expect(keep(Self.found(1, at: last + 2 * end), as: "late"))
    #expect(!knows("4998", at: last) && knows("late", at: last + 2 * end))
  }
}
