// Goal: nobody writes into the ledger through a hospital's doors who is nobody there, nor does a page of another site
// in a patient's browser; what is refused is bounded; suspended keys learn nothing. Method: a whole hospital, sockets.
import Driver
import Foundation
import HealthRecords
import Ledger
import Messages
import Primitives
import Rules
import Signing
import Testing
import Wire

@testable import Gateway

@Suite("Who submits", .serialized)
struct SubmissionTests {
  private static let patient = [UInt8](repeating: 50, count: 32)

  private static func consent(_ patient: Digest) -> ConsentGrant {
    ConsentGrant(
      patient: patient, isDenial: false, grantee: .hospital(LoneHospital.id), scope: .all, purposes: .treatment,
      from: .zero, until: .never, usesMax: nil)
  }

  @Test(
    "⚑ What a key signed that nobody registered leaves nothing in the log, at any door")
  func strangers() async throws {
    let hospital = try await LoneHospital(port: 5811)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let size = await hospital.logSize
    let portal = Connection.Place.port(hospital.port)
    for _ in 0..<5 {
      let stranger = hospital.transaction(.grantConsent, Self.consent(patient), by: [UInt8](repeating: 99, count: 32))
      let answer = await Connection.ask(portal, "POST", "/api/transactions", body: stranger.encoded)
      #expect(answer?.status == 403 && answer?.text.contains("unknown-signer") == true, "\(answer?.text ?? "")")
      let other = await Connection.ask(
        .socket(hospital.socket), "POST", "/v1/transactions", body: stranger.encoded)
      #expect(other?.status == 403)
      var batch = Encoder()
      batch.blob(stranger.encoded)
      let many = await Connection.ask(
        .socket(hospital.socket), "POST", "/v1/transactions/batch", body: batch.bytes)
      #expect(many?.status == 403)
    }
    // Whoever reaches the portal is not the hospital.
    for kind in [TransactionKind.eraseRecord, .accuseCustodian, .requestAccess] {
      let unsigned = Transaction(
        kind: kind.rawValue, hospital: LoneHospital.id, validUntil: LoneHospital.now.adding(milliseconds: 100_000),
        nonce: SecureRandom.bytes(12), payload: Digest.zero.encoded)
      let answer = await Connection.ask(portal, "POST", "/api/transactions", body: unsigned.encoded)
      #expect(answer?.status == 403, "\(kind)")
    }
    #expect(await hospital.logSize <= size + LoneHospital.ownTransactionsMax)
    let own = hospital.transaction(.grantConsent, Self.consent(patient), by: Self.patient)
    let answer = await Connection.ask(portal, "POST", "/api/transactions", body: own.encoded)
    #expect(answer?.status == 200 && answer?.text.contains("\"applied\":true") == true, "\(answer?.text ?? "")")
  }

  @Test("Pages of other sites, and names that others own, get nothing from the patients' pages and the log")
  func sites() async throws {
    let hospital = try await LoneHospital(port: 5821)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let size = await hospital.logSize
    let (portal, fhir) = (Connection.Place.port(hospital.port), Connection.Place.port(hospital.port + 1))
    let own = "127.0.0.1:\(hospital.port)"
    let foreign: [[String: String]] = [
      ["Host": "evil.example"],
      ["Host": "evil.example:\(hospital.port)", "Origin": "http://evil.example:\(hospital.port)"],
      ["Host": own, "Origin": "https://evil.example"], ["Host": own, "Origin": "null"],
      ["Host": own, "Origin": "http://127.0.0.1:1"], ["Host": own, "Sec-Fetch-Site": "cross-site"],
      ["Host": "127.0.0.1.evil.example"], ["Host": "localhost.evil.example"], ["Host": ""],
    ]
    for headers in foreign {
      let made = hospital.transaction(.grantConsent, Self.consent(patient), by: Self.patient)
      let answer = await Connection.ask(portal, "POST", "/api/transactions", headers, body: made.encoded)
      #expect([400, 403].contains(answer?.status), "\(headers): \(answer?.text ?? "")")
      #expect(
        [400, 403].contains(await Connection.ask(portal, "GET", "/api/consortium", headers)?.status), "\(headers)")
    }
    #expect(await Connection.ask(fhir, "GET", "/log/checkpoint", ["Host": "evil.example"])?.status == 403)
    // A page's pictures and frames state no origin; the browser says that another site asks.
    for path in ["/log/checkpoint", "/fhir/Patient", "/fhir/Patient/p", "/fhir/metadata", "/fhir/Binary/x"] {
      let answer = await Connection.ask(fhir, "GET", path, ["Sec-Fetch-Site": "cross-site"])
      #expect(answer?.status == 403, "\(path): \(answer?.text ?? "")")
    }
    #expect(await Connection.ask(fhir, "GET", "/fhir/metadata", ["Sec-Fetch-Site": "same-site"])?.status == 200)
    #expect(await hospital.logSize <= size + LoneHospital.ownTransactionsMax)
    for headers in [["Host": own, "Origin": "http://\(own)", "Sec-Fetch-Site": "same-origin"], ["Host": "localhost"]] {
      #expect(await Connection.ask(portal, "GET", "/api/consortium", headers)?.status == 200, "\(headers)")
    }
    #expect(await Connection.ask(portal, "GET", "/", ["Host": own, "Sec-Fetch-Site": "cross-site"])?.status == 200)
  }

  @Test("What one key signs and the ledger refuses is bounded; what it applies is not")
  func refusals() async throws {
    let hospital = try await LoneHospital(port: 5831)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let portal = Connection.Place.port(hospital.port)
    func send(_ payload: some WireEncodable, _ kind: TransactionKind) async throws -> Int? {
      let made = hospital.transaction(kind, payload, by: Self.patient)
      return await Connection.ask(portal, "POST", "/api/transactions", body: made.encoded)?.status
    }
    var statuses: [Int?] = []
    for number in 0..<70 {
      if number < 20 { #expect(try await send(Self.consent(patient), .grantConsent) == 200) }
      statuses.append(try await send(ConsentRevocation(patient: patient, consent: .zero), .revokeConsent))
    }
    #expect(statuses.prefix(60).allSatisfy { $0 == 200 } && statuses.dropFirst(60).allSatisfy { $0 == 429 })
  }

  private struct Judged: LedgerAnswer { let isApplied: Bool }

  @Test("⚑ Glasses, sessions, notes and readings share what may be refused of one key; no granted glass is limited")
  func sharedRefusals() async throws {
    let hospital = try await LoneHospital(port: 5991)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let (doctor, other) = (try await Practitioner(54, at: hospital), try await Practitioner(55, at: hospital))
    let record = try await hospital.anchor(patient, .observation)
    let sensitive = try await hospital.anchor(patient, .sensitive)
    let (token, others) = (try await doctor.token(), try await other.token())
    let portal = Connection.Place.port(hospital.port)
    // Each door takes from the same allowance.
    #expect(await doctor.read(sensitive, token) == 403)
    let salt = String(repeating: "00", count: HashLock.saltLengthBytes)
    let signature = String(repeating: "00", count: 64)
    let wrong =
      #"{"patient":"\#(patient)","resource":"{\"resourceType\":\"Observation\",\"status\":\"final\","#
      + #"\"code\":{\"text\":\"a\"}}","salt":"\#(salt)","signature":"\#(signature)"}"#
    let note = await doctor.post("notes", Array(wrong.utf8))
    #expect(note?.status == 400 && note?.text.contains("signature is wrong") == true, "\(note?.text ?? "")")
    for _ in 2..<60 { #expect(await doctor.post("emergency", doctor.glass(patient, .zero))?.status == 200) }

    let size = await hospital.logSize
    #expect(await doctor.read(sensitive, token) == 429)
    #expect(await doctor.post("emergency", doctor.glass(patient, .zero))?.status == 429)
    #expect(await doctor.post("notes", Array(wrong.utf8))?.status == 429)
    #expect(try await doctor.open()?.status == 429)
    // What the ledger would grant, were it not too late or too early when it is ordered.
    for valid: UInt64 in [0, 5, 100, 1000, 599_999, 10_000_000] {
      let answer = await doctor.post("emergency", doctor.glass(patient, record, valid: valid))
      #expect(answer?.status == 429, "\(valid): \(answer?.text ?? "")")
    }
    for _ in 0..<10 {
      let glass = await Connection.ask(portal, "POST", "/api/transactions", body: doctor.glass(patient, .zero))
      #expect(glass?.status == 429)
    }
    #expect(await hospital.logSize <= size + LoneHospital.ownTransactionsMax)

    // Nobody else is refused for it.
    #expect(await other.read(sensitive, others) == 403)
    #expect(await other.post("emergency", other.glass(patient, .zero))?.status == 200)
    #expect(try await other.open()?.status == 200)

    for _ in 0..<2 {
      let glass = doctor.glass(patient, record)
      for _ in 0..<2 {
        let granted = await doctor.post("emergency", glass)
        #expect(granted?.status == 200 && granted?.text.contains("\"applied\":true") == true, "\(granted?.text ?? "")")
      }
      // At a door that would write it again, it is not.
      #expect(await Connection.ask(portal, "POST", "/api/transactions", body: glass)?.status == 429)
    }
    let glass = await Connection.ask(portal, "POST", "/api/transactions", body: doctor.glass(patient, record))
    #expect(glass?.text.contains("\"applied\":true") == true, "\(glass?.text ?? "")")
    let lines = await hospital.host.history(of: patient, below: nil, countMax: 100).items
    #expect(lines.filter { $0.entry.outcome == .applied }.count == 3)
    #expect(lines.count == 5, "\(lines.count)")
  }

  @Test("⚑ What is under way counts once it is refused, not before: none of many at once is refused for the others")
  func underWay() async throws {
    let counts = RefusedCounts(now: { 1000 })
    let own = try #require(PublicKey(Hash.sha256(Array("own".utf8)).bytes))
    for _ in 0..<50 { _ = try await counts.submitting(for: own) { Judged(isApplied: false) } }
    let (all, started) = (32, AsyncStream<Void>.makeStream())
    let gates = (0..<all).map { _ in AsyncStream<Void>.makeStream() }
    let results = await withTaskGroup(of: Bool.self) { group in
      for gate in gates {
        group.addTask {
          do {
            _ = try await counts.submitting(for: own) { () async throws -> Judged in
              started.continuation.yield()
              for await _ in gate.stream {}
              return Judged(isApplied: true)
            }
            return true
          } catch {
            started.continuation.yield()
            return false
          }
        }
      }
      var begun = 0
      for await _ in started.stream {
        begun += 1
        if begun == all { break }
      }
      for gate in gates { gate.continuation.finish() }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(results == all)
    for _ in 0..<10 { _ = try await counts.submitting(for: own) { Judged(isApplied: false) } }
    await #expect(throws: ServiceRefusal.tooManyRefused) {
      try await counts.submitting(for: own) { Judged(isApplied: true) }
    }
  }

  @Test("Keys that belong to nobody push no count out")
  func countsStay() async throws {
    let counts = RefusedCounts(now: { 1000 })
    func key(_ number: Int) throws -> PublicKey {
      try #require(PublicKey(Hash.sha256(Array("\(number)".utf8)).bytes))
    }
    let own = try key(0)
    for _ in 0..<60 { _ = try await counts.submitting(for: own) { Judged(isApplied: false) } }
    for number in 1...10_001 {
      await #expect(throws: ServiceRefusal.unknownSigner(index: 0)) {
        try await counts.submitting(for: try key(number)) { () async throws -> Judged in
          throw ServiceRefusal.unknownSigner(index: 0)
        }
      }
    }
    await #expect(throws: ServiceRefusal.tooManyRefused) {
      try await counts.submitting(for: own) { Judged(isApplied: true) }
    }
  }

  @Test("⚑ Content for an account that takes none from here is refused before it is sealed, with the reason")
  func attachments() async throws {
    let hospital = try await LoneHospital(port: 5981)
    let fhir = Connection.Place.port(hospital.port + 1)
    let accounts = [
      try await hospital.register(.practitioner, seed: [UInt8](repeating: 53, count: 32)),
      Digest(words: (7, 7, 7, 7)),
    ]
    for (number, account) in accounts.enumerated() {
      let patient =
        #"{"resourceType":"Patient","id":"p\#(number)","identifier":"#
        + #"[{"system":"urn:consilium:account","value":"\#(account)"}]}"#
      let json = ["Content-Type": "application/fhir+json"]
      let made = await Connection.ask(fhir, "PUT", "/fhir/Patient/p\(number)", json, body: Array(patient.utf8))
      #expect(made?.status == 201, "\(made?.text ?? "")")
      let headers = ["Content-Type": "text/plain", "X-Security-Context": "Patient/p\(number)"]
      for _ in 0..<3 {
        let answer = await Connection.ask(fhir, "POST", "/fhir/Binary", headers, body: Array("secret".utf8))
        #expect(answer?.status == 422 && answer?.text.contains("nothing is kept for") == true, "\(answer?.text ?? "")")
      }
    }
  }

  @Test("What a resource's record waits for is said in words")
  func words() {
    #expect("\(ServiceRefusal.notOrderedYet(why: "two are away"))" == "it is not ordered yet: two are away")
    #expect("\(ServiceRefusal.noRoom("the disk is full"))" == "the disk is full")
  }

  @Test("⚑ The key of a suspended account fetches nothing: no records, no consents, no history, no ciphertext")
  func suspended() async throws {
    let hospital = try await LoneHospital(port: 5841)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let portal = Connection.Place.port(hospital.port)
    let paths =
      ["records", "consents", "history", "sealed", "head?record=\(patient)", "part?record=\(patient)"].map {
        "/api/patients/\(patient)/\($0)"
      } + ["/api/accounts/\(patient)", "/api/readers/\(patient)/records?patient=\(patient)"]
    func ask(_ path: String) async throws -> Connection.Answer? {
      await Connection.ask(
        portal, "GET", path, ["Authorization": hospital.proof(patient, seed: Self.patient, path: path)])
    }
    for path in paths.prefix(4) { #expect(try await ask(path)?.status == 200, "\(path)") }
    let record = try await hospital.anchor(patient, .observation)
    let change = StatusChange(account: patient, status: .suspended)
    let receipt = try await hospital.submit([
      hospital.transaction(.setStatus, change, by: LoneHospital.registrarSeed)
    ])
    #expect(receipt.first?.outcome == .applied)
    for path in paths {
      let answer = try await ask(path)
      #expect(answer?.status == 403 && answer?.text.contains("account-inactive") == true, "\(path)")
    }
    let head = await Connection.ask(.socket(hospital.socket), "GET", "/v1/records/\(record)/head")
    #expect(head?.status == 403 && head?.text.contains("account-inactive") == true, "\(head?.text ?? "")")
  }

  @Test(
    "⚑ What a suspended or revoked account signs leaves nothing in the log, at any door, and words say why",
    arguments: [(AccountStatus.suspended, 5931), (.revoked, 5936)])
  func inactive(_ status: AccountStatus, _ port: Int) async throws {
    let hospital = try await LoneHospital(port: port)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let (doctor, other) = (try await Practitioner(54, at: hospital), try await Practitioner(55, at: hospital))
    let record = try await hospital.anchor(patient, .observation)
    let session = try await doctor.open()
    #expect(session?.status == 200)
    for account in [patient, doctor.account] {
      let receipt = try await hospital.submit([
        hospital.transaction(
          .setStatus, StatusChange(account: account, status: status), by: LoneHospital.registrarSeed)
      ])
      #expect(receipt.first?.outcome == .applied)
    }
    let size = await hospital.logSize
    let (portal, api) = (Connection.Place.port(hospital.port), Connection.Place.socket(hospital.socket))
    for _ in 0..<4 {
      let consent = hospital.transaction(.grantConsent, Self.consent(patient), by: Self.patient).encoded
      let request = hospital.transaction(
        .requestAccess, Practitioner.request(patient, record), by: doctor.seed
      ).encoded
      for (place, path, body) in [
        (portal, "/api/transactions", consent), (portal, "/api/transactions", request),
        (portal, "/api/transactions", doctor.glass(patient, record)), (api, "/v1/transactions", consent),
        (api, "/v1/emergencies", doctor.glass(patient, record)),
      ] {
        let answer = await Connection.ask(place, "POST", path, body: body)
        #expect(
          answer?.status == 403 && answer?.text.contains("account-inactive") == true, "\(path) \(answer?.text ?? "")")
      }
      #expect(try await doctor.open()?.status == 403)
    }
    #expect(await hospital.logSize <= size + LoneHospital.ownTransactionsMax)
    // Who is in good standing breaks the glass.
    let glass = await Connection.ask(api, "POST", "/v1/emergencies", body: other.glass(patient, record))
    #expect(glass?.status == 200 && glass?.text.contains("\"applied\":true") == true, "\(glass?.text ?? "")")
  }

  @Test(
    "⚑ An Authorization that is no token is not the hospital's own system; a key that one asked for is not another's")
  func tokens() async throws {
    let second = try #require(AgreedRules(emergencyAgeMilliseconds: 0))
    let hospital = try await LoneHospital(port: 5971, rules: second)
    let fhir = Connection.Place.port(hospital.port + 1)
    #expect(await Connection.ask(fhir, "GET", "/fhir/Patient")?.status == 200)
    for header in ["Bearer", "Bearer ", "Bearer a b", "Token x", "Basic eDp5", ""] {
      let answer = await Connection.ask(fhir, "GET", "/fhir/Patient", ["Authorization": header])
      #expect(answer?.status == 401, "\(header): \(answer?.text ?? "")")
    }
    let (own, other) = (try await Practitioner(56, at: hospital), try await Practitioner(57, at: hospital))
    let sessions = ReadingSessions(service: hospital.host) { LoneHospital.now.milliseconds }
    func open(_ made: ReadingSessions.SessionKey, by practitioner: Practitioner) -> [UInt8] {
      let opening = SessionOpening(key: made.key, until: LoneHospital.now.adding(milliseconds: 3_600_000))
      let proven = Proven(opening, proof: made.possession)
      return hospital.transaction(.openSession, proven, by: practitioner.seed).encoded
    }
    let key = try #require(await sessions.prepare(for: own.account))
    let (foreign, rightful) = (open(key, by: other), open(key, by: own))
    await #expect(throws: ServiceRefusal.self) { try await sessions.activate(foreign) }
    _ = try await sessions.activate(rightful)
    let signing = LoneHospital.key(own.seed).publicKey
    let whose = await Connection.ask(.port(hospital.port), "GET", "/api/keys/\(signing)")
    #expect(whose?.text.contains("\"hospital\":1") == true, "\(whose?.text ?? "")")
    #expect(try await own.open()?.status == 200, "a session's key comes with the node's word for it")
  }

  @Test("⚑ A broken glass is the first line of the history behind ten thousand others, and the newest record the first")
  func history() async throws {
    let hospital = try await LoneHospital(port: 5851)
    let patient = try await hospital.register(.patient, seed: Self.patient)
    let (doctor, stranger) = ([UInt8](repeating: 51, count: 32), [UInt8](repeating: 52, count: 32))
    _ = try await hospital.register(.practitioner, seed: doctor)
    _ = try await hospital.register(.patient, seed: stranger)
    let rows = 10_050
    var last = Digest.zero
    for start in stride(from: 0, to: rows, by: 1005) {
      let anchors = (start..<start + 1005).map { number in
        let lock = Hash.sha256(Array("\(number)".utf8))
        last = RecordAnchor.identifier(
          network: hospital.genesis.network, hospital: LoneHospital.id, patient: patient, hashLock: lock)
        let anchor = RecordAnchor(
          record: last, patient: patient, author: nil, category: .observation, hashLock: lock, address: .zero,
          sizeBytes: 1, capsule: .zero, patientCopy: .zero, supersedes: nil, authorSignature: nil)
        return Transaction(
          kind: TransactionKind.anchorRecord.rawValue, hospital: LoneHospital.id,
          validUntil: LoneHospital.now.adding(milliseconds: 200_000), nonce: SecureRandom.bytes(12),
          payload: anchor.encoded)
      }
      #expect(try await hospital.submit(anchors).allSatisfy { $0.outcome == .applied })
      let asked = (0..<1005).map { _ in
        hospital.transaction(.requestAccess, Practitioner.request(patient, last), by: doctor)
      }
      #expect(try await hospital.submit(asked).allSatisfy { $0.outcome == .applied })
    }
    // A stranger's refusals are in it, the first of them.
    let denied = (0..<200).map { _ in
      hospital.transaction(.requestAccess, Practitioner.request(patient, last), by: stranger)
    }
    let outcomes = try await hospital.submit(denied).map(\.outcome)
    #expect(outcomes.filter { $0 == Refusal.noConsent.code }.count == 50)
    #expect(outcomes.filter { $0 == Refusal.tooManyRequests.code }.count == 150)
    let glass = hospital.transaction(
      .breakGlass, Practitioner.request(patient, last, purpose: .emergency, reason: 1), by: doctor)
    #expect(try await hospital.submit([glass]).first?.outcome == .applied)

    let page = await hospital.host.history(of: patient, below: nil, countMax: 10)
    #expect(page.items.first?.entry.emergency == .reviewDue && page.items.count == 10)
    #expect(page.total == UInt64(rows + 51) && page.next == page.items.last?.leaf)
    let all = await hospital.host.history(of: patient)
    #expect(all.count == rows + 51 && all.last?.entry.emergency == .reviewDue)
    #expect(zip(all, all.dropFirst()).allSatisfy { $0.leaf < $1.leaf })
    let records = await hospital.host.records(of: patient, below: nil, countMax: 3)
    #expect(records.items.first?.anchor.record == last && records.total == UInt64(rows))
    #expect(await hospital.host.records(of: patient).count == rows)

    let path = "/api/patients/\(patient)/history?count=5"
    let answer = await Connection.ask(
      .port(hospital.port), "GET", path,
      ["Authorization": hospital.proof(patient, seed: Self.patient, path: path)])
    let shown = try JSONDecoder().decode(Page<AccessView>.self, from: Data(answer?.body ?? []))
    #expect(shown.items.count == 5 && shown.items.first?.emergency == "reviewDue" && shown.total == UInt64(rows + 51))
  }
}
