internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NIOHTTP1
internal import Primitives
internal import Signing
internal import Wire

/// Consent, reading, revoking, emergencies and offline proof.
extension Story {
  struct Asked {
    let receipt: ReceiptView
    let secret: [UInt8]
    let records: [Digest]
  }

  func ask(
    _ doctor: Person, for records: [String], of patient: Person, kind: TransactionKind = .requestAccess,
    purpose: Purposes = .treatment
  ) async throws -> Asked {
    let secret = SecureRandom.bytes(32)
    guard let ephemeral = Digest(KeyAgreement.publicKey(of: secret)) else {
      throw Failure("no key", why: "libsodium gave none", remedy: "report this")
    }
    let identifiers = try records.map { try parseDigest($0, "record") }
    let request = AccessRequest(
      patient: patient.account, records: identifiers, purpose: kind == .breakGlass ? .emergency : purpose,
      reason: kind == .breakGlass ? 1 : 0, ephemeralKey: ephemeral)
    let receipt = try await self.submit(kind, request, at: doctor.hospital, signedBy: doctor.keys.signingSeed)
    return Asked(receipt: receipt, secret: secret, records: identifiers)
  }

  func read(_ asked: Asked, at index: Int) async throws -> [OpenedRecord] {
    var out: [OpenedRecord] = []
    let fetched = try await Reading.fetch(
      request: asked.receipt.transaction, records: asked.records, secret: asked.secret, client: self.client(index),
      genesis: self.genesis)
    for record in fetched { out.append(try await record.whole()) }
    return out
  }

  mutating func shareAndRevoke() async throws {
    let (patient, doctor) = (self.patients[0], self.doctors[1])
    let wanted = self.records[0].prefix { _ in true }.filter {
      $0.category == "observation" || $0.category == "allergy"
    }
    .prefix(3).map(\.record)
    try await self.step("A clinician of hospital 2 asks for three records of hospital 1: denied") { story in
      let asked = try await story.ask(doctor, for: wanted, of: patient)
      try story.claim(!asked.receipt.applied, "a request without consent was granted")
      do {
        _ = try await story.client(1).release(
          request: asked.receipt.transaction, record: wanted[0], without: ReplicaSet())
        throw Failure(
          "a claim does not hold", why: "a key was released for a denied request", remedy: "report this",
          status: ExitStatus.refused)
      } catch let failure as Failure where failure.what == "not-released" {
        return "\(asked.receipt.outcome); asking hospital 1 for the key all the same: \(failure.why)"
      }
    }
    var consent = ""
    try await self.step("The patient consents: this clinician, observations and allergies, treatment, 30 days") {
      story in
      let bits = [RecordCategory.observation, .allergy].reduce(UInt32(0)) { $0 | 1 << UInt32($1.rawValue) }
      let grant = ConsentGrant(
        patient: patient.account, isDenial: false, grantee: .account(doctor.account), scope: .categories(bits),
        purposes: .treatment, from: .zero, until: Drafts.now.adding(milliseconds: 30 * 86_400_000), usesMax: nil)
      let receipt = try await story.submit(
        .grantConsent, grant, at: patient.hospital, signedBy: patient.keys.signingSeed)
      try story.claim(receipt.applied, "the consent was refused: \(receipt.outcome)")
      consent = receipt.transaction
      return "consent \(consent.short)… at height \(receipt.height)"
    }
    try await self.step("The clinician asks again: granted; a quorum of hospitals gives shares of the keys") { story in
      let asked = try await story.ask(doctor, for: wanted, of: patient)
      try story.claim(asked.receipt.applied, "denied in spite of the consent: \(asked.receipt.outcome)")
      let read = try await story.read(asked, at: doctor.hospital)
      try story.claim(read.count == wanted.count, "\(read.count) of \(wanted.count) records came")
      let bytes = read.reduce(0) { $0 + $1.canonical.count }
      return
        "\(read.count) records, \(bytes) bytes of FHIR, opened on the clinician's side only, each is what its "
        + "hash-lock on the ledger says"
    }
    try await self.step("The patient revokes; the next request is denied") { story in
      let revocation = ConsentRevocation(patient: patient.account, consent: try parseDigest(consent, "consent"))
      let receipt = try await story.submit(
        .revokeConsent, revocation, at: patient.hospital, signedBy: patient.keys.signingSeed)
      try story.claim(receipt.applied, "the revocation was refused")
      let asked = try await story.ask(doctor, for: wanted, of: patient)
      try story.claim(!asked.receipt.applied, "a revoked consent still grants")
      return "\(asked.receipt.outcome)"
    }
    try await self.showHistory(patient, doctor)
  }

  private func history(
    of patient: Person, until isExpected: ([AccessView]) -> Bool
  ) async throws -> [AccessView] {
    try await self.readAll("/v1/patients/\(patient.account)/history", at: patient.hospital, until: isExpected)
  }

  private mutating func showHistory(_ patient: Person, _ doctor: Person) async throws {
    try await self.step("The patient reads the whole access history, and an own record without asking anybody") {
      story in
      let quorum = story.genesis.configuration.quorum
      let history = try await story.history(of: patient) {
        $0.count == 3 && $0[1].releasedBy.count >= quorum
      }
      try story.claim(history.map(\.granted) == [false, true, false], "the history is not denied, granted, denied")
      try story.claim(history.allSatisfy { $0.reader == "\(doctor.account)" }, "the history names the reader")
      try story.claim(
        history[1].releasedBy.count >= quorum, "each custodian that gave a share is in the history")
      let reader = Patient(
        keys: patient.keys, client: story.client(patient.hospital), genesis: story.genesis,
        hospital: story.hospital(patient.hospital), account: patient.account)
      let own = try await Authoring.readOwn(try parseDigest(story.records[0][0].record, "record"), reader).whole()
      return history.map { "\($0.time)  hospital \($0.hospital)  \($0.purpose)  \($0.outcome)" }.joined(separator: "\n")
        + "\nand reads \(own.canonical.count) bytes of \(story.records[0][0].resourceType) "
        + "with the key that the 24 words give"
    }
  }

  mutating func emergency() async throws {
    let (patient, doctor) = (self.patients[0], self.doctors[2])
    try await self.step("Emergency at hospital 3: a clinician breaks the glass, the privacy officer reviews it") {
      story in
      let asked = try await story.ask(doctor, for: [story.records[0][0].record], of: patient, kind: .breakGlass)
      try story.claim(asked.receipt.applied, "breaking the glass was refused: \(asked.receipt.outcome)")
      let read = try await story.read(asked, at: doctor.hospital)
      try story.claim(read.count == 1, "the record did not come")
      let open: [EmergencyView] = try await story.client(2).all("/v1/emergencies")
      try story.claim(
        open.map(\.request) == [asked.receipt.transaction] && open[0].access.emergency == "reviewDue",
        "the privacy officer's list shows the case")
      let review = AccessReview(request: try parseDigest(asked.receipt.transaction, "request"), isJustified: true)
      let receipt = try await story.submit(.reviewBreakGlass, review, at: 2, signedBy: story.registrars[2])
      try story.claim(receipt.applied, "the review was refused: \(receipt.outcome)")
      let history = try await story.history(of: patient) { $0.last?.emergency == "justified" }
      try story.claim(
        history.last?.emergency == "justified", "the patient's history shows the emergency and its review")
      return
        "read at once, reviewed within 72 h or it shows as overdue; the patient's history says: glass broken, justified"
    }
  }

  /// A hospital is down: what it wrote can still be read, from copies and with the others' shares.
  mutating func readWithout(_ dead: Int) async throws {
    guard let owner = self.patients.indices.first(where: { self.patients[$0].hospital == dead }),
      let record = self.records[owner].first?.record
    else { return }
    let (patient, doctor) = (self.patients[owner], self.doctors[(dead + 1) % 4])
    try await self.step(
      "An emergency elsewhere: a record of hospital \(dead + 1) is read although that hospital is down"
    ) {
      story in
      let asked = try await story.ask(doctor, for: [record], of: patient, kind: .breakGlass)
      try story.claim(asked.receipt.applied, "breaking the glass was refused: \(asked.receipt.outcome)")
      let read = try await story.read(asked, at: doctor.hospital)
      try story.claim(read.count == 1, "the record did not come")
      return "its encrypted copy came from another vault, its key from the custodians that are left"
    }
  }

  mutating func verifyOffline() async throws {
    try await self.step(
      "A document is verified offline, with nothing but the genesis; a changed byte and a forged proof are caught"
    ) { story in
      let patient = story.patients[0]
      let reader = Patient(
        keys: patient.keys, client: story.client(patient.hospital), genesis: story.genesis,
        hospital: story.hospital(patient.hospital), account: patient.account)
      let own = try await Authoring.readOwn(try parseDigest(story.records[0][0].record, "record"), reader)
      let opened = try await own.whole()
      let proof = try await Reading.proof(of: own, salt: opened.salt)
      let good = try DocumentCheck.verify(opened.canonical, proof, story.genesis)
      var changed = opened.canonical
      let place = changed.lastIndex { $0 >= 0x61 && $0 <= 0x79 } ?? 0
      changed[place] += 1
      let document = Self.refusal { try DocumentCheck.verify(changed, proof, story.genesis) }
      try story.claim(document != nil, "a changed document was accepted")
      var forged = proof
      let digit = forged.path.first?.first == "0" ? "1" : "0"
      if !forged.path.isEmpty { forged.path[0] = digit + forged.path[0].dropFirst() }
      let inclusion = Self.refusal { try DocumentCheck.verify(opened.canonical, forged, story.genesis) }
      try story.claim(inclusion != nil, "a forged path was accepted")
      var headless = proof
      headless.checkpoint = headless.checkpoint.replacingOccurrences(
        of: "\n\(good["leaf"]?.split(separator: " ").last ?? "")\n", with: "\n999999\n")
      let head = Self.refusal { try DocumentCheck.verify(opened.canonical, headless, story.genesis) }
      try story.claim(head != nil, "a forged tree head was accepted")
      return """
        authentic: leaf \(good["leaf"] ?? ""), signed by \(good["signed by"] ?? "")
        one byte changed: \(document ?? "")
        path forged: \(inclusion ?? "")
        tree head forged: \(head ?? "")
        """
    }
  }

  mutating func erase() async throws {
    let (patient, doctor) = (self.patients[0], self.doctors[self.patients[0].hospital])
    try await self.step("The patient erases a record: nobody gets it any more, the vault deletes it") { story in
      guard let last = story.records[0].last?.record else { return "no record" }
      let receipt = try await story.submit(
        .eraseRecord, try parseDigest(last, "record"), at: patient.hospital, signedBy: patient.keys.signingSeed)
      try story.claim(receipt.applied, "the erasure was refused: \(receipt.outcome)")
      let asked = try await story.ask(doctor, for: [last], of: patient)
      try story.claim(!asked.receipt.applied, "an erased record was granted")
      do {
        _ = try await story.client(patient.hospital).send(.GET, "/v1/records/\(last)/head")
        try story.claim(false, "the vault still serves an erased record")
      } catch let failure as Failure where failure.what == "not-released" {}
      let copies = min(story.genesis.configuration.faultyMax + 2, story.genesis.members.count)
      let entry: RecordView = try await story.read("/v1/records/\(last)", at: patient.hospital) {
        $0.deletedBy?.count ?? 0 >= copies
      }
      try story.claim(entry.deletedBy?.count ?? 0 >= copies, "not all who kept a copy signed that it is deleted")
      return "\(asked.receipt.outcome); hospitals \(entry.deletedBy ?? []) signed that their copies are deleted; its "
        + "hash-lock stays on the ledger, a commitment to nothing readable"
    }
  }

  private static func refusal(_ body: () throws -> [String: String]) -> String? {
    do { _ = try body() } catch let failure as Failure { return failure.why } catch { return nil }
    return nil
  }
}
