// Goal: whoever is shown something of a patient leaves a line, what a `Location` names answers, and one record that is
// refused holds up no other. Method: a whole hospital, asked at its doors.
import Driver
import FHIR
import Foundation
import Gateway
import HealthRecords
import Ledger
import Messages
import Primitives
import Rules
import Signing
import Storage
import Testing
import Wire

@Suite("Reading at the doors", .serialized)
struct ReadingTests {
  private static let patient = [UInt8](repeating: 60, count: 32)

  private static func readings(of patient: Digest, at hospital: LoneHospital) async throws -> [ReadingView] {
    let path = "/v1/patients/\(patient)/readings"
    let answer = try #require(await Connection.ask(.socket(hospital.socket), "GET", path))
    return try JSONDecoder().decode(ReadingsView.self, from: Data(answer.body)).items
  }

  @Test("⚑ Who reads the list of another's records leaves a line; who reads the own leaves none")
  func lists() async throws {
    let hospital = try await LoneHospital(port: 5771)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let doctor = try await Practitioner(61, at: hospital)
    let path = "/api/readers/\(patient)/records?patient=\(patient)"
    let own = await Connection.ask(
      .port(hospital.port), "GET", path,
      ["Authorization": hospital.proof(patient, seed: Self.patient, path: path)])
    #expect(own?.status == 200)
    #expect(try await Self.readings(of: patient, at: hospital).isEmpty)

    // Also that there is nothing is shown.
    #expect(await doctor.get("/api/readers/\(doctor.account)/records?patient=\(patient)&count=5")?.status == 200)
    let lines = try await Self.readings(of: patient, at: hospital)
    #expect(lines.map(\.reader) == ["\(doctor.account)"] && lines.map(\.interaction) == ["search-type"])
    #expect(lines.map(\.types) == [["DocumentReference"]], "\(lines)")

    let record = try await hospital.anchor(patient, .observation)
    #expect(await doctor.get("/api/readers/\(doctor.account)/anchor?record=\(record)")?.status == 200)
    #expect(Set(try await Self.readings(of: patient, at: hospital).map(\.interaction)) == ["search-type", "read"])

    // By FHIR as well: nobody's list is asked for without a line, be it empty.
    let other = try await hospital.register(.patient, seed: [UInt8](repeating: 62, count: 32))
    let listed = await Connection.ask(
      .port(hospital.port + 1), "GET", "/fhir/$records?account=\(other)",
      ["Authorization": "Bearer \(try await doctor.token())"])
    #expect(listed?.status == 200, "\(listed?.text ?? "")")
    #expect(try await Self.readings(of: other, at: hospital).map(\.types) == [["DocumentReference"]])

    // Nobody fills the log with accounts that there are not.
    let nobody = Digest(words: (1, 2, 3, 4))
    #expect(await doctor.get("/api/readers/\(doctor.account)/records?patient=\(nobody)")?.status == 200)
    #expect(try await Self.readings(of: nobody, at: hospital).isEmpty)
  }

  /// Links a patient of the hospital's own store, and waits until there is a custody key.
  private static func link(_ patient: Digest, at hospital: LoneHospital) async throws {
    while await hospital.host.custody() == nil { _ = await hospital.logSize }
    let json =
      #"{"resourceType":"Patient","id":"p","identifier":"#
      + #"[{"system":"urn:consilium:account","value":"\#(patient)"}]}"#
    let made = await Connection.ask(
      .port(hospital.port + 1), "PUT", "/fhir/Patient/p", ["Content-Type": "application/fhir+json"],
      body: Array(json.utf8))
    #expect(made?.status == 201, "\(made?.text ?? "")")
  }

  @Test("What Location names of an attachment answers, and the only version of every record")
  func versions() async throws {
    let hospital = try await LoneHospital(port: 5781)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let token = try await Practitioner(63, at: hospital).token()
    try await Self.link(patient, at: hospital)
    let fhir = Connection.Place.port(hospital.port + 1)
    let kept = await Connection.ask(
      fhir, "POST", "/fhir/Binary", ["Content-Type": "text/plain", "X-Security-Context": "Patient/p"],
      body: Array("secret".utf8))
    #expect(kept?.status == 201, "\(kept?.text ?? "")")
    // ⚑ The header counts with a file that is sent as it is, and is passed over with nothing else.
    let said = ["Content-Type": "application/fhir+json", "X-Consilium-Category": "sensitive"]
    for binary in ["", #""id":"said","#] {
      let body = #"{"resourceType":"Binary",\#(binary)"contentType":"text/plain","data":"c2VjcmV0"}"#
      let (method, path) = binary.isEmpty ? ("POST", "/fhir/Binary") : ("PUT", "/fhir/Binary/said")
      #expect(await Connection.ask(fhir, method, path, said, body: Array(body.utf8))?.status == 400)
    }
    let line = try #require(kept?.head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("location:") })
    let location = try #require(line.split(separator: ":\(hospital.port + 1)").last.map(String.init))
    #expect(location.hasPrefix("/fhir/Binary/") && location.hasSuffix("/_history/1"), "\(location)")
    func ask(_ path: String, _ accept: String, _ method: String = "GET") async -> Connection.Answer? {
      await Connection.ask(fhir, method, path, ["Authorization": "Bearer \(token)", "Accept": accept])
    }
    let bytes = await ask(location, "*/*")
    #expect(bytes?.status == 200 && bytes?.text == "secret", "\(bytes?.text ?? "")")
    // The list names the content's size, and no media type: that is not known to who has not opened it.
    let listed = await ask("/fhir/$records?account=\(patient)", "application/fhir+json")
    #expect(listed?.text.contains(#""size":6,"#) == true, "\(listed?.text ?? "")")
    #expect(listed?.text.contains("contentType") == false, "\(listed?.text ?? "")")
    let resource = await ask(location, "application/fhir+json")
    #expect(resource?.status == 200 && resource?.text.contains("c2VjcmV0") == true, "\(resource?.text ?? "")")
    #expect(await ask(location, "application/fhir+json", "HEAD")?.status == 200)
    #expect(await Connection.ask(fhir, "GET", location)?.status == 401)
    for wrong in ["2", "0", "x", "01"] {
      let path = location.dropLast() + wrong
      for accept in ["*/*", "application/fhir+json"] {
        let answer = await ask(String(path), accept)
        #expect(answer?.status == 404 && answer?.text.contains("version") == true, "\(path): \(answer?.text ?? "")")
      }
    }

    let observation =
      #"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"a"},"#
      + #""subject":{"reference":"Patient/p"}}"#
    let made = await Connection.ask(
      fhir, "PUT", "/fhir/Observation/o", ["Content-Type": "application/fhir+json"], body: Array(observation.utf8))
    let named = try #require(
      made?.head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("x-consilium-record:") }?.suffix(64))
    let read = await ask("/fhir/Observation/\(named)/_history/1", "application/fhir+json")
    #expect(read?.status == 200 && read?.text.contains("Observation") == true, "\(read?.text ?? "")")
    #expect(await ask("/fhir/Observation/\(named)/_history/2", "application/fhir+json")?.status == 404)
  }

  @Test("⚑ Ciphertext is given to whose request was granted, and to nobody else: not by another's or a denied one")
  func parts() async throws {
    let hospital = try await LoneHospital(port: 6161)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let (doctor, other) = (try await Practitioner(67, at: hospital), try await Practitioner(68, at: hospital))
    try await Self.link(patient, at: hospital)
    let kept = await Connection.ask(
      .port(hospital.port + 1), "POST", "/fhir/Binary",
      ["Content-Type": "text/plain", "X-Security-Context": "Patient/p"], body: Array("secret".utf8))
    let named = kept?.head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("x-consilium-record:") }
    let record = try #require(named.flatMap { Hex.decode(String($0.suffix(64))) }.flatMap { Digest($0) })
    func part(_ practitioner: Practitioner, _ request: Digest?) async -> Int? {
      let asked = request.map { "request=\($0)&" } ?? ""
      let path = "/api/readers/\(practitioner.account)/part?\(asked)record=\(record)&from=0"
      return await practitioner.get(path)?.status
    }
    func ask(_ practitioner: Practitioner) async throws -> Digest {
      let request = hospital.transaction(
        .requestAccess, Practitioner.request(patient, record), by: practitioner.seed)
      _ = try await hospital.submit([request])
      return request.identifier(network: hospital.genesis.network)
    }
    #expect(await part(doctor, nil) == 403)
    #expect(await part(doctor, record) == 403)
    let granted = try await ask(doctor)
    #expect(await part(doctor, granted) == 200)
    #expect(await part(other, granted) == 403)
    #expect(await part(doctor, nil) == 403)
    let denial = ConsentGrant(
      patient: patient, isDenial: true, grantee: .account(other.account), scope: .all, purposes: .all, from: .zero,
      until: .never, usesMax: nil)
    #expect(
      try await hospital.submit([hospital.transaction(.grantConsent, denial, by: Self.patient)]).first?.outcome
        == .applied)
    #expect(await part(other, try await ask(other)) == 403)
    let another = try await hospital.anchor(patient, .observation)
    let path = "/api/readers/\(doctor.account)/part?request=\(granted)&record=\(another)&from=0"
    #expect(await doctor.get(path)?.status == 403, "the request names another record")
  }

  @Test("⚑ A record is what the ledger has, whatever is stored under its id; an attachment is withdrawn by its id")
  func recordIds() async throws {
    let hospital = try await LoneHospital(port: 6141)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let doctor = try await Practitioner(64, at: hospital)
    let token = try await doctor.token()
    try await Self.link(patient, at: hospital)
    let fhir = Connection.Place.port(hospital.port + 1)
    func ask(_ method: String, _ path: String, _ body: String? = nil, _ more: [String: String] = [:]) async
      -> Connection.Answer?
    {
      let headers = ["Content-Type": "application/fhir+json"].merging(more) { $1 }
      return await Connection.ask(fhir, method, "/fhir/\(path)", headers, body: body.map { Array($0.utf8) })
    }
    func allergy(_ id: Digest) -> String {
      #"{"resourceType":"AllergyIntolerance","id":"\#(id)","patient":{"display":"x"},"#
        + #""code":{"text":"No known allergy"}}"#
    }
    // Before there is such a record, the id is like any other.
    let record = RecordAnchor.identifier(
      network: hospital.genesis.network, hospital: LoneHospital.id, patient: patient,
      hashLock: Hash.sha256([RecordCategory.allergy.rawValue]))
    #expect(await ask("PUT", "AllergyIntolerance/\(record)", allergy(record))?.status == 201)
    #expect(try await hospital.anchor(patient, .allergy) == record)
    for more in [[:], ["Authorization": "Bearer \(token)"]] {
      let read = await ask("GET", "AllergyIntolerance/\(record)", nil, more)
      #expect([401, 403, 503].contains(read?.status), "\(read?.text ?? "")")
      #expect(read?.text.contains("No known allergy") == false)
    }
    #expect(await ask("PUT", "AllergyIntolerance/\(record)", allergy(record))?.status == 409)
    #expect(await ask("DELETE", "AllergyIntolerance/\(record)")?.status == 204, "what was stored can be taken away")
    #expect(await ask("DELETE", "AllergyIntolerance/\(record)")?.status == 405)

    let kept = await ask(
      "POST", "Binary", "secret", ["Content-Type": "text/plain", "X-Security-Context": "Patient/p"])
    #expect(kept?.status == 201, "\(kept?.text ?? "")")
    let named = try #require(
      kept?.head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("x-consilium-record:") }?.suffix(64))
    let attachment = try #require(Hex.decode(named).flatMap { Digest($0) })
    #expect(await ask("DELETE", "Binary/\(named)", nil, ["If-Match": #"W/"2""#])?.status == 412)
    #expect(await hospital.host.record(attachment)?.supersededBy == nil)
    let gone = await ask("DELETE", "Binary/\(named)", nil, ["If-Match": #"W/"1""#])
    #expect(gone?.status == 204, "\(gone?.text ?? "")")
    let withdrawal = try #require(await hospital.host.record(attachment)?.supersededBy)
    #expect(await hospital.host.record(withdrawal)?.anchor.category == .document)
    #expect(await ask("DELETE", "Binary/\(named)")?.status == 204)
  }

  @Test("⚑ Clinicians find by the link that everything written goes by")
  func found() async throws {
    let hospital = try await LoneHospital(port: 6121)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let doctor = try await Practitioner(65, at: hospital)
    let json =
      #"{"resourceType":"Patient","id":"q","name":[{"family":"Crane"}],"identifier":["#
      + #"{"system":"urn:consilium:account","value":"see below"},"#
      + #"{"system":"urn:consilium:account","value":"\#(doctor.account)","use":"old"},"#
      + #"{"system":"urn:consilium:account","value":"\#("\(patient)".uppercased())"}]}"#
    let made = await Connection.ask(
      .port(hospital.port + 1), "PUT", "/fhir/Patient/q", ["Content-Type": "application/fhir+json"],
      body: Array(json.utf8))
    #expect(made?.status == 201, "\(made?.text ?? "")")
    let answer = try #require(await doctor.get("/api/clinicians/\(doctor.account)/patients?search=Crane"))
    let people = try JSONDecoder().decode([PatientFound].self, from: Data(answer.body))
    #expect(people.map(\.account) == ["\(patient)"])
  }

  @Test("One draft that is not what its anchor names is refused, and the others of its batch are anchored")
  func batch() async throws {
    let hospital = try await LoneHospital(port: 5791)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    while await hospital.host.custody() == nil { _ = await hospital.logSize }
    let anchorer = RecordAnchorer(service: hospital.host)
    let bodies = (0..<3).map {
      SealableResource(
        body: Array(#"{"resourceType":"Observation","status":"final","code":{"text":"\#($0)"}}"#.utf8),
        supersedes: nil)
    }
    var drafts = try await anchorer.seal(bodies, of: patient).compactMap { sealing -> SealedDraft? in
      if case .sealed(let draft) = sealing { draft } else { nil }
    }
    #expect(drafts.count == 3)
    var (second, third) = (Decoder(drafts[1].bytes), Decoder(drafts[2].bytes))
    let anchor = try RecordAnchor(from: &second)
    _ = try RecordAnchor(from: &third)
    var wrong = Encoder()
    wrong.item(anchor)
    wrong.item(try SealedRecord(from: &third))
    drafts[1] = SealedDraft(record: drafts[1].record, bytes: wrong.bytes)
    let outcomes = await anchorer.submit(drafts)
    #expect(outcomes[0] == .anchored && outcomes[2] == .anchored, "\(outcomes)")
    guard case .refused = outcomes[1] else {
      Issue.record("\(outcomes[1])")
      return
    }
  }

  @Test("⚑ Pages of the log and AuditEvent come to their end: nothing vanishes behind ten thousand newer lines")
  func pages() async throws {
    let hospital = try await LoneHospital(port: 5941)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let path = FileManager.default.temporaryDirectory.appending(path: "log-\(UUID().uuidString.prefix(8))").path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let log = try ReadingStore(path: path, mapSizeMax: 1 << 28, key: .zero)
    func reading(_ reader: UInt64, _ time: UInt64) -> LocalReading {
      LocalReading(
        patient: patient, reader: Digest(words: (reader, 0, 0, 1)), client: nil, interaction: .read,
        types: ["Observation"], request: "Observation/o", time: Timestamp(milliseconds: time))
    }
    try await log.note([reading(99999, 1_000_000)] + (1...10_050).map { reading($0, 1_000_000_000 + $0) })
    let resources = LedgerResources(service: hospital.host, readings: log)
    let last = try await resources.accesses(of: patient, patient: "p", skipping: 10_050, countMax: 50)
    #expect(last.total == 10_051 && last.page.count == 1)
    #expect(last.page.first?["recorded"]?.text == Timestamp(milliseconds: 1_000_000).description)
    let first = try await resources.accesses(of: patient, patient: "p", skipping: 0, countMax: 2)
    let newest = [10_050, 10_049].map { Timestamp(milliseconds: 1_000_000_000 + $0).description }
    #expect(first.page.compactMap { $0["recorded"]?.text } == newest)
    #expect(try await resources.accesses(of: patient, patient: "p", skipping: 10_051, countMax: 5).page.isEmpty)
  }

  @Test("⚑ AuditEvent says that lines may be lost, of every patient, in its place among the others")
  func lost() async throws {
    let hospital = try await LoneHospital(port: 5946)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let path = FileManager.default.temporaryDirectory.appending(path: "log-\(UUID().uuidString.prefix(8))").path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let told = Timestamp(milliseconds: 1_000_000_000)
    let log = try ReadingStore(path: path, mapSizeMax: 1 << 28, key: .zero, isLossAccepted: true, lossToldAt: told)
    let resources = LedgerResources(service: hospital.host, readings: log)
    let answer = try await resources.accesses(of: patient, patient: "p", skipping: 0, countMax: 50)
    #expect(answer.total == 1 && answer.page.count == 1)
    let event = try #require(answer.page.first)
    #expect(event["recorded"]?.text == told.description)
    #expect(event["outcomeDesc"]?.text?.contains("may be lost") == true)
    #expect(event["agent"]?.items?.first?["who"]?["display"]?.text == "who it was is not known")
  }

  @Test("Who asks for a page of the log gets the next, one reader's, and words where the question is none")
  func questions() async throws {
    let hospital = try await LoneHospital(port: 5951)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let doctors = [try await Practitioner(64, at: hospital), try await Practitioner(65, at: hospital)]
    for doctor in doctors {
      let path = "/api/readers/\(doctor.account)/records?patient=\(patient)"
      #expect(await doctor.get(path)?.status == 200)
    }
    func ask(_ query: String) async throws -> Connection.Answer {
      let path = "/api/patients/\(patient)/readings?\(query)"
      let proof = hospital.proof(patient, seed: Self.patient, path: path)
      return try #require(
        await Connection.ask(.port(hospital.port), "GET", path, ["Authorization": proof]))
    }
    func page(_ query: String) async throws -> ReadingsView {
      try JSONDecoder().decode(ReadingsView.self, from: Data(try await ask(query).body))
    }
    let first = try await page("count=1")
    let next = try #require(first.next)
    let second = try await page("count=1&after=\(next)")
    let readers = (first.items + second.items).compactMap { $0.reader }
    #expect(Set(readers) == Set(doctors.map { "\($0.account)" }) && readers.count == 2)
    #expect(second.next == nil)
    #expect(try await page("reader=\(doctors[1].account)").items.map(\.reader) == ["\(doctors[1].account)"])
    #expect(try await page("reader=system").items.isEmpty)
    #expect(try await page("until=1").items.isEmpty)
    #expect(try await page("from=1").items.count == 2)
    for wrong in ["reader=x", "after=zz", "count=0", "from=-1"] {
      #expect(try await ask(wrong).status == 400, "\(wrong)")
    }
  }

  @Test("⚑ The latest of what this hospital's own system made of a record is found, and nothing erased")
  func successors() async throws {
    let hospital = try await LoneHospital(port: 6051)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let anchorer = RecordAnchorer(service: hospital.host)
    let first = try await hospital.anchor(patient, .observation)
    #expect(await anchorer.successor(of: first) == nil)
    let second = try await hospital.anchor(patient, .medication, supersedes: first)
    #expect(await anchorer.successor(of: first)?.record == second)
    let third = try await hospital.anchor(patient, .allergy, supersedes: second)
    #expect(await anchorer.successor(of: first)?.record == third)
    #expect(await anchorer.successor(of: third) == nil)
    let erasure = hospital.transaction(.eraseRecord, third, by: Self.patient)
    #expect(try await hospital.submit([erasure]).first?.outcome == .applied)
    #expect(await anchorer.successor(of: first) == nil)
  }

  private struct Listed: Equatable {
    let status: Int
    let records: Set<String>
  }

  @Test(
    "⚑ A guardian who is denied lists nothing for what is denied, and reads nothing; a narrower denial hides its own")
  func deniedGuardian() async throws {
    let hospital = try await LoneHospital(port: 5961)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let seed = [UInt8](repeating: 66, count: 32)
    let guardian = try await hospital.register(.patient, seed: seed)
    let records = [try await hospital.anchor(patient, .observation), try await hospital.anchor(patient, .medication)]
    func consent(
      denial: Bool, _ scope: ConsentScope = .all, _ purposes: Purposes = .all, by signer: [UInt8] = Self.patient
    ) async throws {
      let grant = ConsentGrant(
        patient: patient, isDenial: denial, actions: denial ? [.read] : [.read, .share], grantee: .account(guardian),
        scope: scope, purposes: purposes, from: .zero, until: .never, usesMax: nil)
      let receipt = try await hospital.submit([hospital.transaction(.grantConsent, grant, by: signer)])
      #expect(receipt.first?.outcome == .applied)
    }
    func list() async throws -> Listed {
      let path = "/api/readers/\(guardian)/records?patient=\(patient)"
      let answer = try #require(
        await Connection.ask(
          .port(hospital.port), "GET", path, ["Authorization": hospital.proof(guardian, seed: seed, path: path)]))
      let page = try? JSONDecoder().decode(Page<RecordView>.self, from: Data(answer.body))
      return Listed(status: answer.status, records: Set((page?.items ?? []).map(\.record)))
    }
    // A consent for one record tells of that one alone.
    #expect(try await list().status == 403)
    try await consent(denial: false, .records([records[0]]), .research)
    #expect(try await list() == Listed(status: 200, records: ["\(records[0])"]))
    let hidden = "/api/readers/\(guardian)/anchor?record=\(records[1])"
    let refused = await Connection.ask(
      .port(hospital.port), "GET", hidden, ["Authorization": hospital.proof(guardian, seed: seed, path: hidden)])
    #expect(refused?.status == 403)
    try await consent(denial: false, .all, [.treatment, .patient], by: LoneHospital.registrarSeed)
    let all = Set(records.map { "\($0)" })
    #expect(try await list() == Listed(status: 200, records: all))
    try await consent(denial: true, .all, .treatment)
    #expect(
      try await list() == Listed(status: 200, records: all), "the guardian acts for the patient's own purposes still")
    try await consent(denial: true, .records([records[0]]))
    #expect(try await list() == Listed(status: 200, records: ["\(records[1])"]))
    for record in records {
      let path = "/api/readers/\(guardian)/anchor?record=\(record)"
      let answer = await Connection.ask(
        .port(hospital.port), "GET", path, ["Authorization": hospital.proof(guardian, seed: seed, path: path)])
      #expect(answer?.status == (record == records[0] ? 403 : 200))
    }
    try await consent(denial: true)
    #expect(try await list().status == 403)
    let asked = hospital.transaction(
      .requestAccess, Practitioner.request(patient, records[1], purpose: .patient), by: seed)
    #expect(try await hospital.submit([asked]).first?.outcome == Refusal.denied.code)
    let further = ConsentGrant(
      patient: patient, isDenial: false, grantee: .hospital(LoneHospital.id), scope: .all, purposes: .patient,
      from: .zero, until: LoneHospital.now.adding(milliseconds: 100_000), usesMax: nil)
    #expect(
      try await hospital.submit([hospital.transaction(.grantConsent, further, by: seed)]).first?.outcome
        == Refusal.denied.code)
  }

  @Test("⚑ K2: where the ledger's time is hours ahead of this machine's clock, an EHR still reads in its session")
  func clockBehind() async throws {
    let hospital = try await LoneHospital(port: 6171)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let doctor = try await Practitioner(69, at: hospital)
    try await Self.link(patient, at: hospital)
    let kept = await Connection.ask(
      .port(hospital.port + 1), "POST", "/fhir/Binary",
      ["Content-Type": "text/plain", "X-Security-Context": "Patient/p"], body: Array("secret".utf8))
    let named = kept?.head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("x-consilium-record:") }
    let record = try #require(named.flatMap { Hex.decode(String($0.suffix(64))) }.flatMap { Digest($0) })
    let entry = try #require(await hospital.host.record(record))
    let sessions = ReadingSessions(service: hospital.host) { LoneHospital.now.milliseconds - 3 * 3_600_000 }
    let made = try #require(await sessions.prepare())
    let opening = SessionOpening(key: made.key, until: LoneHospital.now.adding(milliseconds: 3_600_000))
    let signed = hospital.transaction(.openSession, Proven(opening, proof: nil), by: doctor.seed)
    let token = try await sessions.activate(signed.encoded).token
    let session = try #require(await sessions.session(token))
    _ = try await sessions.key(of: entry, purpose: .treatment, by: session)
  }
}
