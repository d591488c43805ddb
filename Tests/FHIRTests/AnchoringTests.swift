import FHIR
import HealthRecords
import Primitives
import Synchronization
import Testing

/// What becomes of resources on the ledger. Goal: one resource has one current record, whatever happens, and the ledger
/// says what the hospital's store says. Method: a ledger that is slow, silent, out of reach or refusing, stops at every
/// place, and writers at once.
@Suite("Anchoring")
struct AnchoringTests {
  private static let other = String(repeating: "cd", count: 32)

  private static func observation(_ value: Int, of patient: String = "p", id: String = "x") -> String {
    FHIRBench.observation(
      id, #""code":{"text":"dose"},"valueInteger":\#(value),"subject":{"reference":"Patient/\#(patient)"}"#)
  }

  private func put(_ bench: FHIRBench, _ value: Int, of patient: String = "p", id: String = "x") async -> FHIRResponse {
    await bench.send("PUT", "Observation/\(id)", Self.observation(value, of: patient, id: id))
  }

  private func values(_ bench: FHIRBench, _ account: String = FHIRBench.account) -> [String] {
    bench.ledger.current(account).compactMap { line in
      line.json["resourceType"]?.text == "Observation"
        ? line.json["valueInteger"].map { String(decoding: $0.canonicalBytes, as: UTF8.self) }
          ?? line.json["status"]?.text : nil
    }.sorted()
  }

  @Test("What was written before is anchored when the patient is linked; an amendment names what it supersedes")
  func linking() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    #expect(await self.put(bench, 1).anchor == nil)
    await bench.put(FHIRBench.observation("z", #""code":{"text":"of nobody"}"#))
    #expect(bench.ledger.lines.isEmpty)
    await bench.link("p")
    #expect(bench.ledger.lines.count == 2, "the patient and the observation")
    let first = await bench.send("GET", "Observation/x").anchor
    #expect(await self.put(bench, 2).anchor == bench.ledger.lines.last?.record.description)
    #expect(bench.ledger.lines.last?.supersedes?.description == first)
    #expect(await bench.send("GET", "Observation/x/_history/1").anchor == first)
    #expect(await bench.service.anchorPending() == 0)
  }

  @Test("Two that write one resource at once: each version has its record, and the second supersedes the first")
  func twoAtOnce() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    bench.ledger.hold()
    async let first = self.put(bench, 1)
    await bench.until { bench.ledger.waitingCount == 1 }
    async let second = self.put(bench, 2)
    await bench.until { await bench.send("GET", "Observation/x").version == 2 }
    #expect(await bench.service.anchorPending() == 0, "the round leaves alone what requests are at")
    bench.ledger.release()
    let answers = await [first.anchor, second.anchor]
    let lines = bench.ledger.lines.dropFirst()
    #expect(answers == lines.map(\.record.description))
    #expect(lines.map(\.supersedes) == [nil, lines.first?.record])
    #expect(self.values(bench) == ["2"])
  }

  @Test("The round takes nothing that a request is anchoring, and a request nothing that the round is at")
  func round() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    bench.ledger.be(.unreachable)
    #expect(await self.put(bench, 1).anchor == "pending: too few vaults")
    bench.ledger.be(.sound)
    bench.ledger.hold()
    async let round = bench.service.anchorPending()
    await bench.until { bench.ledger.waitingCount == 1 }
    async let second = self.put(bench, 2)
    await bench.until { await bench.send("GET", "Observation/x").version == 2 }
    bench.ledger.release()
    #expect(await second.status == 200)
    #expect(await round > 0)
    #expect(self.values(bench) == ["2"])
    #expect(bench.ledger.current().count == 2)
  }

  @Test("After a stop in the middle the same draft is finished: before it was executed, and after")
  func stops() async throws {
    for isExecuted in [false, true] {
      let bench = try FHIRBench()
      await bench.link("p")
      if isExecuted { bench.ledger.be(.silent) } else { bench.ledger.hold() }
      let request = Task { await self.put(bench, 1) }
      await bench.until {
        isExecuted ? bench.ledger.lines.count == 2 : bench.ledger.waitingCount == 1
      }
      let lateRelease = bench.ledger.waitingCount
      // The process is gone; another one opens the same store.
      let next = try bench.killed()
      if !isExecuted {
        #expect(lateRelease == 1)
        async let pending = next.service.anchorPending()
        await bench.until { bench.ledger.waitingCount == 2 }
        bench.ledger.release()
        _ = await pending
      }
      bench.ledger.be(.sound)
      _ = await next.service.anchorPending()
      _ = await request.value
      #expect(bench.ledger.lines.count == 2, "the patient, and one record of the observation")
      #expect(await next.send("GET", "Observation/x").anchor == bench.ledger.lines.last?.record.description)
      #expect(await self.put(next, 2).anchor == bench.ledger.lines.last?.record.description)
      #expect(self.values(bench) == ["2"])
      #expect(await next.service.anchorPending() == 0)
    }
  }

  @Test("A correction that was written while the ledger was away supersedes what it corrects")
  func corrections() async throws {
    for mode in [FakeLedger.Mode.unreachable, .silent, .losing] {
      let bench = try FHIRBench()
      await bench.link("p")
      _ = await self.put(bench, 500)
      bench.ledger.be(mode)
      #expect(await self.put(bench, 50).anchor?.hasPrefix("pending") == true)
      #expect(await self.put(bench, 5).anchor?.hasPrefix("pending") == true)
      // What was never on the ledger is corrected too.
      _ = await self.put(bench, 700, id: "y")
      _ = await self.put(bench, 70, id: "y")
      bench.ledger.be(.sound)
      let next = mode == .losing ? try bench.killed() : bench
      _ = await next.service.anchorPending()
      #expect(self.values(bench) == ["5", "70"], "\(mode)")
      #expect(bench.ledger.current().count == 3)
      if mode == .unreachable {
        let all = bench.ledger.lines.map { String(decoding: $0.body, as: UTF8.self) }
        #expect(!all.contains { $0.contains("700") }, "what never left and was corrected here stays here")
      }
    }
  }

  @Test("What is deleted is superseded by a record that says so, without what it said; made again, it supersedes that")
  func deletion() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    let first = await self.put(bench, 500).anchor
    let deletion = await bench.send("DELETE", "Observation/x")
    #expect(deletion.status == 204)
    let line = try #require(bench.ledger.lines.last)
    #expect(deletion.anchor == line.record.description)
    #expect(line.supersedes?.description == first)
    #expect(line.json["status"]?.text == "entered-in-error")
    #expect(line.json["resourceType"]?.text == "Observation")
    #expect(line.json["code"]?["text"]?.text == "withdrawn")
    #expect(line.json["valueInteger"] == nil)
    #expect(line.json["meta"]?["tag"]?.items?.first?["code"]?.text == "withdrawn")
    #expect(await bench.service.anchorPending() == 0)
    _ = await self.put(bench, 6)
    #expect(bench.ledger.lines.last?.supersedes == line.record)
    #expect(self.values(bench) == ["6"])
  }

  @Test(
    "Every kind says in its own way that it is no longer so, and stays valid",
    arguments: [
      (
        #"{"resourceType":"AllergyIntolerance","id":"x","clinicalStatus":{"text":"active"},"code":{"text":"secret"},"#
          + #""patient":{"reference":"Patient/p"}}"#, "verificationStatus"
      ),
      (
        #"{"resourceType":"Condition","id":"x","clinicalStatus":{"text":"active"},"note":[{"text":"secret"}],"#
          + #""code":{"text":"secret"},"subject":{"reference":"Patient/p"}}"#, "verificationStatus"
      ),
      (
        #"{"resourceType":"MedicationRequest","id":"x","status":"active","intent":"order","note":[{"text":"secret"}],"#
          + #""medicationCodeableConcept":{"text":"m"},"subject":{"reference":"Patient/p"}}"#, "status"
      ),
      (
        #"{"resourceType":"Goal","id":"x","lifecycleStatus":"active","description":{"text":"g"},"#
          + #""subject":{"reference":"Patient/p"}}"#, "lifecycleStatus"
      ),
      (
        #"{"resourceType":"RelatedPerson","id":"x","name":[{"text":"secret"}],"patient":{"reference":"Patient/p"}}"#,
        "active"
      ),
    ])
  func kinds(_ resource: String, _ member: String) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    await bench.put(resource)
    let type = try #require(try CanonicalJSON(Array(resource.utf8))["resourceType"]?.text)
    #expect(await bench.send("DELETE", "\(type)/x").status == 204)
    let line = try #require(bench.ledger.lines.last)
    #expect(line.json["resourceType"]?.text == type)
    #expect(line.json[member] != nil)
    let text = String(decoding: line.body, as: UTF8.self)
    #expect(!text.contains("secret") && !text.contains("clinicalStatus"))
    #expect(text.contains("entered-in-error") || text.contains(#""active":false"#))
    let faults = await bench.send("POST", "\(type)/$validate", text)
    #expect(faults.body?["issue"]?.items?.first?["severity"]?.text == "information", "\(faults.body as Any)")
  }

  @Test(
    "⚑ A withdrawal repeats no code, text, title, name or file of what it withdraws, whatever its type demands",
    arguments: [
      (
        #""resourceType":"DocumentReference","status":"current","content":[{"format":{"code":"secret"},"attachment":{"#
          + #""contentType":"text/plain","data":"c2VjcmV0","title":"secret"}},{"attachment":{"url":"urn:secret"}}]"#,
        "subject"
      ),
      (
        #""resourceType":"Media","status":"completed","content":{"contentType":"image/png","data":"c2VjcmV0","#
          + #""title":"secret","extension":[{"url":"urn:x","valueString":"secret"}]}"#, "subject"
      ),
      (#""resourceType":"Media","status":"completed","content":{"data":"c2VjcmV0"}"#, "subject"),
      (#""resourceType":"Observation","status":"final","code":{"coding":[{"code":"secret"}]}"#, "subject"),
      (#""resourceType":"DiagnosticReport","status":"final","code":{"text":"secret"}"#, "subject"),
      (
        #""resourceType":"MedicationRequest","status":"active","intent":"order","#
          + #""medicationCodeableConcept":{"text":"secret"}"#, "subject"
      ),
      (
        #""resourceType":"MedicationRequest","status":"active","intent":"order","#
          + #""medicationReference":{"reference":"Medication/secret","display":"secret"}"#, "subject"
      ),
      (
        #""resourceType":"MedicationAdministration","status":"completed","effectivePeriod":{"start":"2026-01-01"},"#
          + #""contained":[{"resourceType":"Medication","id":"m","code":{"text":"secret"}}],"#
          + ##""medicationReference":{"reference":"#m"}"##, "subject"
      ),
      (#""resourceType":"Goal","lifecycleStatus":"active","description":{"text":"secret"}"#, "subject"),
      (
        #""resourceType":"Immunization","status":"completed","vaccineCode":{"text":"secret"},"#
          + #""occurrenceString":"secret""#, "patient"
      ),
      (
        #""resourceType":"FamilyMemberHistory","status":"completed","relationship":{"text":"secret"}"#, "patient"
      ),
      (
        #""resourceType":"Composition","status":"final","type":{"text":"secret"},"date":"2026-01-01","#
          + #""title":"secret","author":[{"display":"secret"}],"section":[{"title":"secret"}]"#, "subject"
      ),
      (#""resourceType":"Encounter","status":"finished","class":{"code":"secret"}"#, "subject"),
      (
        #""resourceType":"Claim","status":"active","type":{"text":"secret"},"use":"claim","created":"2026-01-01","#
          + #""provider":{"display":"secret"},"priority":{"text":"secret"},"insurance":[{"sequence":1,"focal":true,"#
          + #""businessArrangement":"secret","coverage":{"display":"secret"}}]"#, "patient"
      ),
    ])
  func bare(_ members: String, _ whose: String) async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    await bench.link("q", to: Self.other)
    func resource(of patient: String) -> String {
      #"{"id":"x",\#(members),"\#(whose)":{"reference":"Patient/\#(patient)","display":"secret"}}"#
    }
    await bench.put(resource(of: "p"))
    await bench.put(resource(of: "q"))
    let type = try #require(try CanonicalJSON(Array(resource(of: "p").utf8))["resourceType"]?.text)
    #expect(await bench.send("DELETE", "\(type)/x").status == 204)
    for account in [FHIRBench.account, Self.other] {
      let line = try #require(bench.ledger.current(account).first { $0.json["meta"]?["tag"] != nil })
      let text = String(decoding: line.body, as: UTF8.self)
      #expect(!text.contains("secret") && !text.contains("c2VjcmV0"), "\(text)")
      #expect(line.json["resourceType"]?.text == type)
      // Whose it was is said where the standard demands it.
      if let about = line.json[whose] { #expect(about["reference"] != nil) }
      let faults = await bench.send("POST", "\(type)/$validate", text)
      #expect(faults.body?["issue"]?.items?.first?["severity"]?.text == "information", "\(faults.body as Any)")
    }
  }

  @Test("What is moved to another patient is withdrawn from the one and anchored for the other")
  func moved() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    await bench.link("q", to: Self.other)
    await bench.put(#"{"resourceType":"Patient","id":"unlinked"}"#)
    _ = await self.put(bench, 500)
    let answer = await self.put(bench, 500, of: "q")
    #expect(self.values(bench) == ["entered-in-error"])
    #expect(self.values(bench, Self.other) == ["500"])
    #expect(answer.anchor == bench.ledger.current(Self.other).last?.record.description)
    _ = await self.put(bench, 500, of: "unlinked")
    #expect(self.values(bench, Self.other) == ["entered-in-error"])
    _ = await self.put(bench, 7)
    #expect(self.values(bench) == ["7", "entered-in-error"])
    #expect(await bench.service.anchorPending() == 0)
  }

  @Test("A wrong link that is corrected takes everything along; one that is gone leaves corrections where they belong")
  func relinked() async throws {
    let bench = try FHIRBench()
    await bench.link("p", number: "1")
    _ = await self.put(bench, 1)
    _ = await self.put(bench, 2, id: "y")
    await bench.link("p", to: Self.other, number: "1")
    #expect(self.values(bench) == ["entered-in-error", "entered-in-error"])
    #expect(self.values(bench, Self.other) == ["1", "2"])
    #expect(bench.ledger.current(Self.other).count == 3)
    await bench.put(#"{"resourceType":"Patient","id":"p","active":true}"#)
    _ = await self.put(bench, 3)
    #expect(self.values(bench, Self.other) == ["2", "3"])
    #expect(await bench.send("DELETE", "Patient/p").status == 204)
    #expect(bench.ledger.current(Self.other).contains { $0.json["active"] == .bool(false) })
    _ = await self.put(bench, 4)
    #expect(await bench.send("DELETE", "Observation/y").status == 204)
    #expect(self.values(bench, Self.other) == ["4", "entered-in-error"])
  }

  @Test(
    "An account that is not this hospital's floods nothing: it is judged here, and told why, until the link changes")
  func wrongLink() async throws {
    let bench = try FHIRBench()
    bench.ledger.close(Self.other)
    await bench.link("p", to: Self.other, number: "1")
    for number in 0..<20 {
      #expect(await self.put(bench, number, id: "o\(number)").anchor == "refused: the account belongs to hospital 2")
    }
    for _ in 0..<3 { #expect(await bench.service.anchorPending() == 0) }
    #expect(bench.ledger.submittedCount == 0)
    #expect(await bench.send("GET", "Observation/o1").anchor == "refused: the account belongs to hospital 2")
    await bench.link("p", number: "1")
    #expect(bench.ledger.current().count == 21)
  }

  @Test("What the ledger refused is not tried again until the resource changes, also after a restart")
  func refused() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    bench.ledger.be(.refusing)
    #expect(await self.put(bench, 1).anchor == "refused: it is not taken")
    let count = bench.ledger.submittedCount
    bench.ledger.be(.sound)
    let next = try await bench.restarted()
    for one in [bench, next] { #expect(await one.service.anchorPending() == 0) }
    #expect(bench.ledger.submittedCount == count)
    #expect(await next.send("GET", "Observation/x").anchor == "refused: it is not taken")
    _ = await self.put(next, 2)
    #expect(self.values(bench) == ["2"])
  }

  @Test("What its patient erased is not brought back by the EHR's next update or deletion")
  func erased() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    _ = await self.put(bench, 1)
    let record = try #require(bench.ledger.lines.last?.record)
    bench.ledger.erase(record)
    let count = bench.ledger.submittedCount
    #expect(await self.put(bench, 2).anchor == "refused: the record that it corrects is erased")
    #expect(await bench.send("DELETE", "Observation/x").status == 204)
    #expect(await bench.service.anchorPending() == 0)
    #expect(bench.ledger.submittedCount == count)
    #expect(self.values(bench).isEmpty)
  }

  @Test("One resource that cannot be sealed holds up no other")
  func tooLong() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    let text = String(repeating: "a", count: 200_000)
    await bench.put(
      FHIRBench.observation("long", #""code":{"text":"\#(text)"},"subject":{"reference":"Patient/p"}"#))
    _ = await self.put(bench, 1)
    await bench.link("p")
    #expect(self.values(bench) == ["1"])
    #expect(await bench.send("GET", "Observation/long").anchor == "refused: it is too long")
  }

  @Test("One resource that the store cannot read any more holds up no other")
  func damaged() async throws {
    let bench = try FHIRBench()
    await bench.put(#"{"resourceType":"Patient","id":"p"}"#)
    await bench.put(FHIRBench.observation("bad", #""code":{"text":"a"},"subject":{"reference":"Patient/p"}"#))
    _ = await self.put(bench, 1)
    bench.store.damage("Observation/bad")
    await bench.link("p")
    #expect(self.values(bench) == ["1"])
  }

  @Test("⚑ What is sent again does not outlive an erasure that is under way: it waits until that is done or taken back")
  func erasing() async throws {
    for isTakenBack in [false, true] {
      let bench = try FHIRBench()
      await bench.link("p")
      _ = await self.put(bench, 1)
      let record = try #require(bench.ledger.current().last?.record)
      bench.ledger.ask(toErase: record, true)
      let again = await self.put(bench, 1)
      #expect(again.status == 200)
      #expect(again.anchor?.hasPrefix("pending: the record that it corrects is to be erased") == true, "\(again)")
      #expect(await bench.service.anchorPending() == 0)
      #expect(bench.ledger.current().last?.record == record && bench.ledger.lines.count == 2)
      bench.ledger.ask(toErase: record, false)
      if !isTakenBack { bench.ledger.erase(record) }
      #expect(await bench.service.anchorPending() == (isTakenBack ? 1 : 0))
      #expect(self.values(bench) == (isTakenBack ? ["1"] : []))
      let text = await bench.send("GET", "Observation/x").anchor
      #expect(isTakenBack || text == "refused: the record that it corrects is erased", "\(text ?? "")")
    }
  }

  @Test("A draft that was sealed to an older key is sealed again once it can no longer be executed, and not before")
  func stale() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    bench.ledger.be(.losing)
    _ = await self.put(bench, 1)
    bench.ledger.be(.stale)
    _ = await bench.service.anchorPending()
    let text = await bench.send("GET", "Observation/x").anchor
    #expect(text?.hasPrefix("pending: it was sealed to a custody key") == true)
    bench.ledger.clock.add(bench.ledger.lifeMilliseconds + 1, ordering: .relaxed)
    _ = await bench.service.anchorPending()
    bench.ledger.be(.sound)
    _ = await bench.service.anchorPending()
    #expect(self.values(bench) == ["1"])
  }

  @Test("A store that fails at any write leaves one current record, and the ledger as the store is")
  func failingStore() async throws {
    for count in 0..<8 {
      let bench = try FHIRBench()
      await bench.link("p")
      bench.store.fail(after: count)
      for value in 1...3 where await self.put(bench, value).status >= 400 { _ = await self.put(bench, value) }
      _ = await bench.service.anchorPending()
      #expect(self.values(bench) == ["3"], "a write failed after \(count)")
      bench.store.fail(after: nil)
      let next = try bench.killed()
      _ = await next.service.anchorPending()
      _ = await self.put(next, 4)
      #expect(self.values(bench) == ["4"], "a write failed after \(count)")
      #expect(bench.ledger.current().count == 2)
    }
  }

  @Test("What was anchored before there were notes is corrected and withdrawn as the rest")
  func earlierStores() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    _ = await self.put(bench, 1)
    _ = await self.put(bench, 2, id: "y")
    bench.store.forgetNotes()
    let next = try await bench.restarted()
    #expect(await next.service.anchorPending() == 0)
    _ = await self.put(next, 3)
    #expect(await next.send("DELETE", "Observation/y").status == 204)
    #expect(self.values(bench) == ["3", "entered-in-error"])
  }

  /// Tells a store what it lost of records, by what they hold.
  private static func recover(
    _ lines: [FakeLedger.Line], in store: MemoryResources, isCurrent: (Digest) -> Bool = { _ in false }
  ) throws -> Int {
    let notes = try lines.compactMap {
      try AnchorNote.recovered(
        $0.record, of: $0.account, holding: $0.body, in: store, base: "http://h/fhir", isCurrent: isCurrent)
    }
    try store.write([], notes: notes)
    return notes.count
  }

  @Test("⚑ What a store lost is superseded on the ledger by what is written again or deleted, under the same id")
  func lost() async throws {
    let before = try FHIRBench()
    await before.link("p")
    for id in ["x", "y", "z", "w"] {
      await before.put(FHIRBench.observation(id, #""code":{"text":"one"},"subject":{"reference":"Patient/p"}"#))
    }
    #expect(await before.send("DELETE", "Observation/z").status == 204)
    let lines = before.ledger.current()
    let store = MemoryResources()
    #expect(lines.count == 5)
    #expect(try Self.recover(lines, in: store) == 5)
    let bench = try before.over(store)
    #expect(await bench.service.anchorPending() == 0, "nothing is written again by itself")
    await bench.link("p")
    for id in ["x", "z"] {
      await bench.put(FHIRBench.observation(id, #""code":{"text":"two"},"subject":{"reference":"Patient/p"}"#))
    }
    #expect(await bench.send("DELETE", "Observation/y").status == 204)
    #expect(await bench.send("GET", "Observation/y").status == 410)
    func current(_ id: String) -> [FakeLedger.Line] { bench.ledger.current().filter { $0.json["id"]?.text == id } }
    for (id, said) in [("p", nil), ("x", "two"), ("y", nil), ("z", "two"), ("w", "one")] {
      #expect(current(id).map { $0.json["code"]?["text"]?.text } == [said], "\(id)")
    }
    #expect(current("y").first?.json["meta"]?["tag"] != nil, "what is deleted says so")

    // What was withdrawn by hand meanwhile goes on when it is written again.
    let lost = try #require(current("w").first)
    let account = try #require(Hex.decode(FHIRBench.account).flatMap { Digest($0) })
    let byHand = Array(#"{"resourceType":"Observation","status":"entered-in-error"}"#.utf8)
    let sealing = try await bench.ledger.seal([SealableResource(body: byHand, supersedes: lost.record)], of: account)
    guard case .sealed(let draft)? = sealing.first else {
      Issue.record("\(sealing)")
      return
    }
    #expect(await bench.ledger.submit([draft]) == [.anchored])
    await bench.put(FHIRBench.observation("w", #""code":{"text":"two"},"subject":{"reference":"Patient/p"}"#))
    #expect(current("w").map(\.supersedes) == [draft.record])
  }

  /// A store that was put back, told what the ledger has of what it lost.
  private static func putBack(_ store: MemoryResources, of before: FHIRBench) throws -> FHIRBench {
    var known: Set<Digest> = []
    store.notes { if let record = $0.anchored?.record { known.insert(record) } }
    let lines = before.ledger.current() + before.ledger.current(Self.other)
    _ = try Self.recover(lines.filter { !known.contains($0.record) }, in: store)
    return try before.over(store)
  }

  /// What current records of an account say, but for what is withdrawn.
  private func names(_ bench: FHIRBench, _ account: String) -> [String] {
    bench.ledger.current(account).filter { $0.json["meta"]?["tag"] == nil }
      .compactMap { line in line.json["id"]?.text }.sorted()
  }

  @Test(
    "⚑ By a link that the ledger has not any more nothing is anchored or withdrawn, until the Patient is written again",
    arguments: [other, nil])
  func olderLink(_ account: String?) async throws {
    let before = try FHIRBench()
    await before.link("p", number: "1")
    #expect(await self.put(before, 1).anchor?.count == 64)
    let store = try Self.copy(of: before)
    let unlinked =
      #"{"resourceType":"Patient","id":"p","identifier":[{"system":"mrn","value":"1"}]}"#
    if let account { await before.link("p", to: account, number: "1") } else { await before.put(unlinked) }
    let home = account ?? FHIRBench.account
    #expect(self.names(before, home) == ["p", "x"])
    var bench = try Self.putBack(store, of: before)
    let count = bench.ledger.lines.count
    for _ in 0..<2 {
      #expect(await bench.service.anchorPending() == 0)
      for id in ["x", "n"] {
        let answer = await self.put(bench, 2, id: id).anchor
        #expect(answer?.hasPrefix("pending: Patient/p here is older than its record on the ledger") == true)
      }
      #expect(await bench.service.anchorPending() == 0)
      #expect(bench.ledger.lines.count == count)
      bench = try await bench.restarted()
    }
    // ⚑ What is made of the version that came back brings nothing of its link back.
    var patch = FHIRRequest(
      method: "PATCH", path: ["Patient", "p"], body: Array(#"[{"op":"add","path":"/active","value":true}]"#.utf8))
    patch.contentType = "application/json-patch+json"
    #expect(await bench.service.handle(patch).status == 409)
    if account != nil {
      let old =
        #"{"resourceType":"Patient","id":"p","active":true,"identifier":[{"system":"mrn","value":"1"},"#
        + #"{"system":"\#(FHIRService.accountSystem)","value":"\#(FHIRBench.account)"}]}"#
      #expect(await bench.send("PUT", "Patient/p", old).status == 409)
      #expect(await bench.send("PUT", "Patient/p", old, ifMatch: "W/\"1\"").status == 409)
    }
    #expect(bench.ledger.lines.count == count)
    if let account { await bench.link("p", to: account, number: "1") } else { await bench.put(unlinked) }
    #expect(self.names(bench, home) == (account == nil ? ["p", "x"] : ["n", "p", "x"]))
    #expect(self.values(bench, home) == (account == nil ? ["2"] : ["2", "2"]))
    if account != nil { #expect(self.names(bench, FHIRBench.account).isEmpty) }
    #expect(await self.put(bench, 3).anchor?.count == 64)
  }

  @Test("⚑ A Patient who is older than the ledger's under the same link holds up nothing")
  func sameLink() async throws {
    let before = try FHIRBench()
    await before.link("p", number: "1")
    let store = try Self.copy(of: before)
    await before.link("p", number: "2")
    let bench = try Self.putBack(store, of: before)
    #expect(await self.put(bench, 2).anchor?.count == 64)
  }

  @Test("⚑ A Patient who waited in a store that was put back, and is older than the ledger's, holds up the rest")
  func linkWaited() async throws {
    let before = try FHIRBench()
    await before.link("p", number: "1")
    before.ledger.close(FHIRBench.account)
    await before.link("p", number: "1")
    let store = try Self.copy(of: before)
    before.ledger.open(FHIRBench.account)
    before.ledger.clock.add(60_000, ordering: .relaxed)
    await before.link("p", to: Self.other, number: "1")
    let bench = try before.over(store)
    #expect(await bench.service.anchorPending() == 0)
    #expect(await self.put(bench, 1).anchor?.hasPrefix("pending: Patient/p here is older") == true)
    await bench.link("p", to: Self.other, number: "1")
    #expect(self.names(bench, FHIRBench.account).isEmpty)
    #expect(self.names(bench, Self.other).contains("x"))
  }

  @Test("⚑ What the ledger has as another patient's, and as deleted, is not anchored again by an older store")
  func movedAndDeleted() async throws {
    let before = try FHIRBench()
    await before.link("p")
    await before.link("q", to: Self.other)
    #expect(await self.put(before, 1).anchor?.count == 64)
    let store = try Self.copy(of: before)
    await before.put(FHIRBench.observation("x", #""code":{"text":"x"},"subject":{"reference":"Patient/q"}"#))
    #expect(await before.send("DELETE", "Observation/x").status == 204)
    let count = before.ledger.lines.count
    let bench = try Self.putBack(store, of: before)
    #expect(await bench.service.anchorPending() == 0)
    #expect(bench.ledger.lines.count == count)
    #expect(self.names(bench, FHIRBench.account) == ["p"])
  }

  @Test("What there is no room for is answered with 507, alone and in a bundle, and nothing of it is there")
  func noRoom() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    bench.store.fill()
    let answer = await self.put(bench, 1)
    #expect(answer.status == 507 && answer.body?["resourceType"]?.text == "OperationOutcome")
    let resource = Self.observation(1)
    let entry = #"{"resource":\#(resource),"request":{"method":"PUT","url":"Observation/x"}}"#
    let bundle = #"{"resourceType":"Bundle","type":"transaction","entry":[\#(entry)]}"#
    #expect(await bench.send("POST", "", bundle).status == 507)
    #expect(await bench.send("GET", "Observation/x").status == 404)
  }

  /// What a store has now, by itself.
  private static func copy(of bench: FHIRBench) throws -> MemoryResources {
    let store = MemoryResources()
    var (resources, notes): ([StoredResource], [AnchorNote]) = ([], [])
    bench.store.latest { resources.append($0) }
    bench.store.notes { notes.append($0) }
    try store.write(resources, notes: notes)
    return store
  }

  @Test(
    "⚑ A store that was put back goes on with what this hospital's own system made of its records since",
    arguments: [false, true])
  func putBack(deletes: Bool) async throws {
    let before = try FHIRBench()
    await before.link("p")
    #expect(await self.put(before, 1).anchor?.count == 64)
    let store = try Self.copy(of: before)
    for value in 2...3 { #expect(await self.put(before, value).anchor?.count == 64) }
    let newest = try #require(before.ledger.current().first { $0.json["id"]?.text == "x" })
    let bench = try before.over(store)
    #expect(await bench.service.anchorPending() == 0, "nothing is written again by itself")
    if deletes {
      #expect(await bench.send("DELETE", "Observation/x").status == 204)
    } else {
      #expect(await self.put(bench, 4).anchor?.count == 64)
    }
    let current = bench.ledger.current().filter { $0.json["id"]?.text == "x" }
    #expect(current.map(\.supersedes) == [newest.record])
    #expect(current.map { $0.json["meta"]?["tag"] != nil } == [deletes])
    #expect(await self.put(bench, 5).anchor?.count == 64)
    #expect(self.values(bench) == ["5"])
  }

  @Test("⚑ What waited in a store that was put back is not put in the place of what was made since; the next write is")
  func waitedBefore() async throws {
    let before = try FHIRBench()
    await before.link("p")
    for id in ["x", "y"] { #expect(await self.put(before, 1, id: id).anchor?.count == 64) }
    before.ledger.close(FHIRBench.account)
    _ = await self.put(before, 2)
    #expect(await before.send("DELETE", "Observation/y").status == 204)
    let store = try Self.copy(of: before)
    before.ledger.open(FHIRBench.account)
    before.ledger.clock.add(60_000, ordering: .relaxed)
    for id in ["x", "y"] { #expect(await self.put(before, 3, id: id).anchor?.count == 64) }
    let bench = try before.over(store)
    #expect(await bench.service.anchorPending() == 0)
    #expect(self.values(bench) == ["3", "3"])
    let answer = await bench.send("GET", "Observation/x").anchor
    #expect(answer?.hasPrefix("refused: the ledger has a later version") == true, "\(answer ?? "")")
    for id in ["x", "y"] { #expect(await self.put(bench, 4, id: id).anchor?.count == 64) }
    #expect(self.values(bench) == ["4", "4"])
  }

  @Test("⚑ What a store that was put back has as deleted, and the ledger as made again, is deleted again")
  func deletedBefore() async throws {
    let before = try FHIRBench()
    await before.link("p")
    #expect(await self.put(before, 1).anchor?.count == 64)
    #expect(await before.send("DELETE", "Observation/x").status == 204)
    let store = try Self.copy(of: before)
    #expect(await self.put(before, 2).anchor?.count == 64)
    let newest = try #require(before.ledger.current().first { $0.json["id"]?.text == "x" })
    let live = Set(before.ledger.current().map(\.record))
    #expect(try Self.recover([newest], in: store) { live.contains($0) } == 1)
    let bench = try before.over(store)
    #expect(await bench.service.anchorPending() == 0)
    #expect(await bench.send("DELETE", "Observation/x").status == 204)
    let current = bench.ledger.current().filter { $0.json["id"]?.text == "x" }
    #expect(current.map(\.supersedes) == [newest.record])
    #expect(current.first?.json["meta"]?["tag"] != nil, "what is deleted says so")
  }

  @Test("Of what the ledger has a later record that does not open, the note says that the version here is older")
  func outdated() throws {
    let store = MemoryResources()
    let (first, second) = (Digest(words: (1, 0, 0, 0)), Digest(words: (2, 0, 0, 0)))
    var note = AnchorNote(name: "Observation/x")
    note.anchored = AnchorNote.Anchored(
      record: first, account: .zero, patient: "p", version: 1, isWithdrawal: false)
    let kept = StoredResource(
      type: "Observation", id: "x", version: 1, ordinal: 0, updated: .zero, body: Array("{}".utf8), record: first)
    try store.write([kept], notes: [note])
    let found = try #require(try note.outdated(by: second, in: store))
    #expect(found.isOutdated && !note.isOutdated)
    #expect(found.anchored?.record == second && found.anchored?.patient == "p" && found.refused?.version == 1)
    #expect(try AnchorNote(name: "Observation/y").outdated(by: second, in: store) == nil)
  }

  @Test("⚑ What somebody else went on with, or is erased, is not superseded")
  func othersWentOn() async throws {
    let before = try FHIRBench()
    await before.link("p")
    for id in ["x", "y"] { #expect(await self.put(before, 1, id: id).anchor?.count == 64) }
    let store = try Self.copy(of: before)
    for id in ["x", "y"] { #expect(await self.put(before, 2, id: id).anchor?.count == 64) }
    for line in before.ledger.current() {
      if line.json["id"]?.text == "x" { before.ledger.amend(line.record) }
      if line.json["id"]?.text == "y" { before.ledger.erase(line.record) }
    }
    let bench = try before.over(store)
    for id in ["x", "y"] {
      let answer = await self.put(bench, 3, id: id).anchor
      #expect(answer?.hasPrefix("refused: the record that it corrects was superseded") == true, "\(answer ?? "")")
    }
  }

  @Test("⚑ An older copy of a store does not put what it has in the place of what it lost; the next write does")
  func older() async throws {
    let before = try FHIRBench()
    await before.link("p")
    #expect(await self.put(before, 1).anchor?.count == 64)
    let store = MemoryResources()
    var kept: [StoredResource] = []
    before.store.latest { kept.append($0) }
    var notes: [AnchorNote] = []
    before.store.notes { notes.append($0) }
    try store.write(kept, notes: notes)
    #expect(await self.put(before, 2).anchor?.count == 64)
    let newest = try #require(before.ledger.current().first { $0.json["id"]?.text == "x" })
    let live = Set(before.ledger.current().map(\.record))
    #expect(try Self.recover([newest], in: store) { live.contains($0) } == 1)
    for _ in 0..<2 {
      let bench = try before.over(store)
      #expect(await bench.service.anchorPending() == 0)
      let answer = await bench.send("GET", "Observation/x").anchor
      #expect(answer?.hasPrefix("refused: the ledger has a later version") == true, "\(answer ?? "")")
    }
    let bench = try before.over(store)
    #expect(await self.put(bench, 3).anchor?.count == 64)
    let current = bench.ledger.current().filter { $0.json["id"]?.text == "x" }
    #expect(current.map(\.supersedes) == [newest.record])
    await bench.service.keepWaiting()
    #expect(try Self.recover([newest], in: store) { current.map(\.record).contains($0) } == 0, "it has a current one")
  }

  @Test("The withdrawal that stays where a resource was before it moved is known as one, and is nothing that was lost")
  func movedAway() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    let other = String(repeating: "cd", count: 32)
    let identifier = #"{"system":"urn:consilium:account","value":"\#(other)"}"#
    await bench.put(#"{"resourceType":"Patient","id":"q","identifier":[\#(identifier)]}"#)
    for patient in ["p", "q"] {
      await bench.put(FHIRBench.observation("x", #""code":{"text":"x"},"subject":{"reference":"Patient/\#(patient)"}"#))
    }
    _ = await bench.service.anchorPending()
    let left = try #require(bench.ledger.current().first { $0.json["resourceType"]?.text == "Observation" })
    let now = try #require(bench.ledger.current(other).first { $0.json["resourceType"]?.text == "Observation" })
    #expect(AnchorNote.isWithdrawal(left.body) && !AnchorNote.isWithdrawal(now.body))
    let note = try AnchorNote.recovered(
      left.record, of: left.account, holding: left.body, in: bench.store, base: "http://h/fhir",
      isCurrent: { $0 == now.record })
    #expect(note == nil)
  }

  @Test(
    "What was given by command, and what is no resource, is nothing that a store lost",
    arguments: [
      #"{"resourceType":"Observation","id":"x","status":"final"}"#, "a letter", #"{"id":"x"}"#, "",
      #"{"resourceType":"StructureDefinition","id":"x","meta":{"versionId":"1"}}"#,
      #"{"resourceType":"Observation","meta":{"versionId":"1"}}"#,
    ])
  func others(_ content: String) throws {
    let note = try AnchorNote.recovered(
      Digest(words: (1, 0, 0, 0)), of: .zero, holding: Array(content.utf8), in: MemoryResources(),
      base: "http://h/fhir", isCurrent: { _ in false })
    #expect(note == nil)
  }

  @Test("Writers and rounds at once, on a ledger in any order: one line of records a resource, the last one current")
  func manyAtOnce() async throws {
    let bench = try FHIRBench()
    await bench.link("p")
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<60 {
        group.addTask {
          switch number % 10 {
          case 7: _ = await bench.service.anchorPending()
          case 8, 9:
            bench.ledger.hold()
            for _ in 0..<number { await Task.yield() }
            bench.ledger.release()
          default: _ = await self.put(bench, number, id: "o\(number % 3)")
          }
        }
      }
    }
    _ = await bench.service.anchorPending()
    #expect(bench.ledger.current().count == 4)
    for id in ["o0", "o1", "o2"] {
      let stored = await bench.send("GET", "Observation/\(id)")
      #expect(stored.anchor.map { text in bench.ledger.current().contains { "\($0.record)" == text } } == true)
    }
  }
}
