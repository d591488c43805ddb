internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Signing
internal import Wire

/// The story's chapter on who acts for whom: care teams, guardians, lost keys (RECORDS §2, §4).
extension Story {
  mutating func actForOthers() async throws {
    try await self.consentToTeam()
    try await self.makeGuardian()
    try await self.loseKey()
  }

  private mutating func consentToTeam() async throws {
    try await self.step("The patient consents to a care team over two hospitals; who leaves it reads no more") {
      story in
      let (patient, keeper, doctor) = (story.patients[0], 1, story.doctors[2])
      let team = CareTeam.identifier(network: story.genesis.network, hospital: story.hospital(keeper), number: 1)
      let members = [story.doctors[1].account, doctor.account]
      func set(_ members: [Digest]) async throws {
        let receipt = try await story.submit(
          .setCareTeam, CareTeamChange(number: 1, members: members), at: keeper, signedBy: story.registrars[keeper])
        try story.claim(receipt.applied, "the team was refused: \(receipt.outcome)")
      }
      try await set(members)
      let grant = ConsentGrant(
        patient: patient.account, isDenial: false, grantee: .careTeam(team), scope: .all, purposes: .treatment,
        from: .zero, until: Drafts.now.adding(milliseconds: 86_400_000), usesMax: nil)
      let consent = try await story.submit(
        .grantConsent, grant, at: patient.hospital, signedBy: patient.keys.signingSeed)
      try story.claim(consent.applied, "the consent was refused: \(consent.outcome)")
      let record = story.records[0][2].record
      let asked = try await story.ask(doctor, for: [record], of: patient)
      try story.claim(asked.receipt.applied, "a member of the team was denied: \(asked.receipt.outcome)")
      let read = try await story.read(asked, at: doctor.hospital)
      try await set(members.filter { $0 != doctor.account })
      let after = try await story.ask(doctor, for: [record], of: patient)
      try story.claim(!after.receipt.applied, "who left the team was granted")
      return
        "hospital 2 keeps the team; a clinician of hospital 3 read \(read.count) record as its member, and is denied "
        + "since"
    }
  }

  private mutating func makeGuardian() async throws {
    try await self.step("A guardian acts for the patient; what the guardian gave ends with that power") { story in
      let (patient, doctor) = (story.patients[0], story.doctors[3])
      let desk = patient.hospital
      let parent = try await story.register(
        RecoveryPhrase(entropy: SecureRandom.bytes(32)).keys(
          network: story.genesis.network, hospital: story.hospital(desk)), kind: .patient, role: 0, at: desk)
      let record = story.records[0][1].record
      let before = try await story.ask(parent, for: [record], of: patient, purpose: .patient)
      try story.claim(!before.receipt.applied, "somebody else's records were given to another patient")
      let until = Drafts.now.adding(milliseconds: 30 * 86_400_000)
      let guardianship = ConsentGrant(
        patient: patient.account, isDenial: false, actions: [.read, .share], grantee: .account(parent.account),
        scope: .all, purposes: [.treatment, .patient], from: .zero, until: until, usesMax: nil)
      let byDesk = try await story.submit(.grantConsent, guardianship, at: desk, signedBy: story.registrars[desk])
      try story.claim(byDesk.applied, "the registrar's guardian was refused: \(byDesk.outcome)")
      let early = try await story.ask(parent, for: [record], of: patient, purpose: .patient)
      try story.claim(!early.receipt.applied, "whom the registrar made a guardian read before the patient could object")
      let objection = ConsentRevocation(
        patient: patient.account, consent: try parseDigest(byDesk.transaction, "consent"))
      let objected = try await story.submit(.revokeConsent, objection, at: desk, signedBy: patient.keys.signingSeed)
      try story.claim(objected.applied, "the patient could not object: \(objected.outcome)")
      let made = try await story.submit(.grantConsent, guardianship, at: desk, signedBy: patient.keys.signingSeed)
      try story.claim(made.applied, "the guardianship was refused: \(made.outcome)")
      let asked = try await story.ask(parent, for: [record], of: patient, purpose: .patient)
      try story.claim(asked.receipt.applied, "the guardian was denied: \(asked.receipt.outcome)")
      let read = try await story.read(asked, at: desk)
      let grant = ConsentGrant(
        patient: patient.account, isDenial: false, grantee: .account(doctor.account),
        scope: .records([asked.records[0]]),
        purposes: .treatment, from: .zero, until: until, usesMax: nil)
      let given = try await story.submit(.grantConsent, grant, at: desk, signedBy: parent.keys.signingSeed)
      try story.claim(given.applied, "the guardian's consent was refused: \(given.outcome)")
      let granted = try await story.ask(doctor, for: [record], of: patient)
      try story.claim(granted.receipt.applied, "denied in spite of the guardian's consent: \(granted.receipt.outcome)")
      let end = ConsentRevocation(patient: patient.account, consent: try parseDigest(made.transaction, "consent"))
      let ended = try await story.submit(.revokeConsent, end, at: desk, signedBy: patient.keys.signingSeed)
      try story.claim(ended.applied, "the patient could not end it: \(ended.outcome)")
      let after = try await story.ask(doctor, for: [record], of: patient)
      try story.claim(!after.receipt.applied, "what the guardian gave outlived the guardian's power")
      return
        "whom hospital \(desk + 1)'s registrar made a guardian waits three days, and the patient objected; the one "
        + "whom the patient let act read \(read.count) record and let a clinician of hospital 4 read it; the patient "
        + "ended both"
    }
  }

  /// Nothing is ordered: a hospital opens what it wrote itself, nothing else, and the patient learns of it afterwards.
  mutating func openInPartition() async throws {
    let (patient, doctor) = (self.patients[0], self.doctors[self.patients[0].hospital])
    let away = (0..<4).filter { $0 != patient.hospital }.prefix(2)
    try await self.step("Two of four hospitals cannot be reached and nothing is ordered: an emergency at hospital 1") {
      story in
      let processes = away.compactMap { story.devnet.process($0) }
      for process in processes { kill(process, SIGSTOP) }
      defer { for process in processes { kill(process, SIGCONT) } }
      let secret = SecureRandom.bytes(32)
      guard let ephemeral = Digest(KeyAgreement.publicKey(of: secret)) else { return "libsodium gave no key" }
      func ask(_ record: String, by reader: Person) async throws -> BrokenGlassView {
        let request = AccessRequest(
          patient: patient.account, records: [try parseDigest(record, "record")], purpose: .emergency, reason: 1,
          ephemeralKey: ephemeral)
        let transaction = try Drafts.transaction(
          .breakGlass, request, genesis: story.genesis, hospital: story.hospital(reader.hospital),
          signedBy: reader.keys.signingSeed)
        return try await story.client(reader.hospital).post("/v1/emergencies", transaction.encoded)
      }
      let record = story.records[0][0].record
      let glass = try await ask(record, by: doctor)
      try story.claim(glass.receipt == nil, "it was ordered by two of four")
      let read = try await Reading.opened(glass, secret: secret, client: story.client(patient.hospital))
      try story.claim(read.count == 1, "the hospital did not open its own record")
      for record in read { _ = try await record.whole() }
      let other = (0..<4).first { !away.contains($0) && $0 != patient.hospital } ?? 3
      var refusal = ""
      do {
        _ = try await ask(record, by: story.doctors[other])
        try story.claim(false, "another hospital opened a record that it did not write")
      } catch let failure as Failure where failure.what == "not-opened" { refusal = failure.why }
      for process in processes { kill(process, SIGCONT) }
      let history: [AccessView] = try await story.readAll(
        "/v1/patients/\(patient.account)/history", at: away.first ?? 1
      ) { $0.contains { $0.openedInPartition != nil } }
      guard let line = history.last(where: { $0.openedInPartition != nil }) else {
        try story.claim(false, "the patient's history does not have it")
        return ""
      }
      try story.claim(line.granted && line.emergency == "reviewDue", "its review is not due")
      return """
        the hospital opened its own record, once a durable block of its lane said so
        hospital \(other + 1), which did not write it: \(refusal)
        connected again, the patient's history says: opened in a partition at \(line.openedInPartition ?? "")
        """
    }
  }

  private mutating func loseKey() async throws {
    try await self.step("Somebody asks hospital 1 for a new key for the patient: the old key's holder objects") {
      story in
      let patient = story.patients[0]
      let keys = PersonKeys(signingSeed: SecureRandom.bytes(32), sealingSecret: SecureRandom.bytes(32))
      let word = keys.possession(
        as: .patient, at: story.hospital(patient.hospital), network: story.genesis.network)
      let asks = try await story.client(patient.hospital).asksForPossession()
      let request = RecoveryRequest(account: patient.account, key: keys.publicKey, sealingKey: keys.sealingKey)
      let begun = try await story.submit(
        .beginRecovery, Proven(request, proof: asks ? word : nil), at: patient.hospital,
        signedBy: story.registrars[patient.hospital])
      try story.claim(begun.applied, "the recovery was refused: \(begun.outcome)")
      let view: AccountView = try await story.client(patient.hospital).get("/v1/accounts/\(patient.account)")
      try story.claim(view.recovery?.key == "\(keys.publicKey)", "the account does not show its recovery")
      let early = try await story.submit(
        .requestAccess,
        AccessRequest(
          patient: patient.account, records: [try parseDigest(story.records[0][0].record, "record")], purpose: .patient,
          reason: 0, ephemeralKey: keys.sealingKey), at: patient.hospital, signedBy: keys.signingSeed)
      try story.claim(!early.applied, "the new key counted before its time")
      let ended = try await story.submit(
        .endRecovery, patient.account, at: patient.hospital, signedBy: patient.keys.signingSeed)
      try story.claim(ended.applied, "the objection was refused: \(ended.outcome)")
      return
        "it would have counted from \(view.recovery?.due ?? "") on; until then it could do nothing, and now never will"
    }
  }
}
