import FHIR
import HealthRecords
import Primitives
import Testing

/// Charts and persons. Goal: what is written of one person becomes no other's on the ledger. Method: one account in two
/// charts, identifiers that count no more, and ids that are used again.
@Suite("Charts and persons")
struct ChartTests {
  private static let other = String(repeating: "cd", count: 32)

  private static func identifier(_ account: String, _ more: String = "") -> String {
    #"{"system":"\#(FHIRService.accountSystem)","value":"\#(account)"\#(more)}"#
  }

  private static func patient(_ id: String, _ identifiers: [String]) -> String {
    let list = identifiers.isEmpty ? "" : #","identifier":[\#(identifiers.joined(separator: ","))]"#
    return #"{"resourceType":"Patient","id":"\#(id)"\#(list)}"#
  }

  private func put(_ bench: FHIRBench, _ id: String, _ identifiers: String...) async -> FHIRResponse {
    await bench.send("PUT", "Patient/\(id)", Self.patient(id, identifiers))
  }

  private static func condition(_ patient: String) -> String {
    FHIRBench.observation("c", #""code":{"text":"x"},"subject":{"reference":"Patient/\#(patient)"}"#)
  }

  @Test("⚑ A second live chart with an account is refused; one whose chart was deleted, or no longer has it, is not")
  func oneChart() async throws {
    let bench = try FHIRBench()
    let (account, upper) = (FHIRBench.account, FHIRBench.account.uppercased())
    #expect(await self.put(bench, "a", Self.identifier(account)).status == 201)
    #expect(await self.put(bench, "a", Self.identifier(account)).status == 200, "the chart itself is written again")
    for again in [account, upper] {
      let second = await self.put(bench, "b", Self.identifier("see below"), Self.identifier(again))
      #expect(second.status == 409)
      #expect(second.body?["issue"]?.items?.first?["diagnostics"]?.text?.contains("Patient/a") == true)
    }
    #expect(bench.ledger.current().count == 1)
    func entry(_ id: String, _ identifiers: String...) -> String {
      #"{"resource":\#(Self.patient(id, identifiers)),"request":{"method":"PUT","url":"Patient/\#(id)"}}"#
    }
    let refused = await bench.bundle("transaction", entry("x"), entry("b", Self.identifier(account)))
    #expect(refused.status == 409)
    #expect(refused.body?["issue"]?.items?.first?["expression"]?.items?.first?.text == "Bundle.entry[1]")
    let two = await bench.bundle(
      "transaction", entry("x", Self.identifier(Self.other)), entry("y", Self.identifier(Self.other)))
    #expect(two.status == 409)
    // A merge in one transaction, in any order.
    let moved = await bench.bundle(
      "transaction", entry("b", Self.identifier(account)), entry("a", Self.identifier(account, #","use":"old""#)))
    #expect(moved.status == 200, "\(moved.body as Any)")
    #expect(await bench.send("DELETE", "Patient/b").status == 204)
    #expect(await self.put(bench, "d", Self.identifier(account)).status == 201)
    let next = try await bench.restarted()
    #expect(await self.put(next, "e", Self.identifier(account)).status == 409)
  }

  @Test(
    "⚑ An identifier that is old, or was over when the Patient was written, links nobody",
    arguments: [
      (#","use":"old""#, false), (#","use":"official""#, true), (#","period":{"end":"2020-01-01"}"#, false),
      (#","period":{"start":"2020-01-01"}"#, true), (#","period":{"end":"2999"}"#, true),
      (#","period":{"end":"2025-06-15T15:06:40Z"}"#, true), (#","period":{"end":"2025-06-15T15:06:39Z"}"#, false),
    ])
  func ended(_ more: String, _ isLinked: Bool) async throws {
    let bench = try FHIRBench()
    #expect(await self.put(bench, "a", Self.identifier(FHIRBench.account, more)).status == 201)
    #expect(bench.ledger.current().count == (isLinked ? 1 : 0))
    // It does not hide the one that follows.
    #expect(
      await self.put(bench, "b", Self.identifier(FHIRBench.account, more), Self.identifier(Self.other)).status
        == (isLinked ? 409 : 201))
    #expect(bench.ledger.current(Self.other).count == (isLinked ? 0 : 1))
  }

  @Test(
    "A Patient with what is no account in the place of one is told so", arguments: ["8af2", " " + FHIRBench.account])
  func noAccount(_ value: String) async throws {
    let bench = try FHIRBench()
    for _ in 0..<2 {
      let answer = await self.put(bench, "a", Self.identifier(value))
      #expect(answer.anchor?.hasPrefix("refused: ") == true && answer.anchor?.contains("64") == true, "\(answer)")
    }
    #expect(await bench.send("GET", "Patient/a").anchor?.hasPrefix("refused: ") == true)
    #expect(await self.put(bench, "a", Self.identifier(value, #","use":"old""#)).anchor == nil)
    #expect(await self.put(bench, "a", Self.identifier(value), Self.identifier(FHIRBench.account)).anchor?.count == 64)
  }

  @Test("⚑ What belonged to a Patient who was deleted moves to nobody who is written under the id again")
  func again() async throws {
    let bench = try FHIRBench()
    #expect(await self.put(bench, "a", Self.identifier(FHIRBench.account)).status == 201)
    #expect(await bench.send("PUT", "Observation/c", Self.condition("a")).status == 201)
    #expect(await bench.send("DELETE", "Patient/a").status == 204)
    #expect(await self.put(bench, "a", Self.identifier(Self.other)).status == 409)
    #expect(await self.put(bench, "a").status == 409, "nor by and by")
    #expect(bench.ledger.current(Self.other).isEmpty)
    #expect(await self.put(bench, "a", Self.identifier(FHIRBench.account)).status == 201, "the same person again")
    #expect(await bench.send("DELETE", "Patient/a").status == 204)
    #expect(await bench.send("DELETE", "Observation/c").status == 204)
    #expect(await self.put(bench, "a", Self.identifier(Self.other)).status == 201, "nothing of the first is left")
  }

  @Test(
    "⚑ Nor does what belonged to one without an account, who comes back only by an identifier of its own",
    arguments: [
      condition("a"),
      #"{"resourceType":"Appointment","id":"c","status":"booked","participant":[{"status":"accepted","#
        + #""actor":{"reference":"Patient/a"}}]}"#,
      #"{"resourceType":"Task","id":"c","status":"requested","intent":"order","for":{"reference":"Patient/a"}}"#,
      #"{"resourceType":"List","id":"c","status":"current","mode":"working","#
        + #""entry":[{"item":{"reference":"Patient/a"}}]}"#,
    ])
  func againWithoutAccount(_ left: String) async throws {
    let bench = try FHIRBench()
    let (own, strange) = (#"{"system":"mrn","value":"1"}"#, #"{"system":"mrn","value":"2"}"#)
    #expect(await self.put(bench, "a", own).status == 201)
    await bench.put(left)
    #expect(await bench.send("DELETE", "Patient/a").status == 204)
    for other in [[], [strange], [#"{"system":"other","value":"1"}"#], [Self.identifier(Self.other)]] {
      #expect(await bench.send("PUT", "Patient/a", Self.patient("a", other)).status == 409, "\(other)")
    }
    let entry = #"{"resource":\#(Self.patient("a", [strange])),"request":{"method":"PUT","url":"Patient/a"}}"#
    #expect(await bench.bundle("transaction", entry).status == 409)
    #expect(await self.put(bench, "a", strange, own).status == 201, "the same person again")
    #expect(await bench.send("DELETE", "Patient/a").status == 204)
    let type = try #require(try CanonicalJSON(Array(left.utf8))["resourceType"]?.text)
    let removal = #"{"request":{"method":"DELETE","url":"\#(type)/c"}}"#
    let third = #"{"resource":\#(Self.patient("a", [#"{"system":"mrn","value":"3"}"#])),"#
    let written = third + #""request":{"method":"PUT","url":"Patient/a"}}"#
    #expect(await bench.bundle("transaction", written).status == 409)
    #expect(await bench.bundle("transaction", removal, written).status == 200, "nothing of the first is left")
  }

  private static let carla = #""name":[{"family":"Carla"}],"birthDate":"1950-01-01""#
  private static let dave = #""name":[{"family":"Dave"}],"birthDate":"1999-09-09""#
  private static func mrn(_ number: String) -> String { #"{"system":"mrn","value":"\#(number)"}"# }

  /// What a chart had, what it is given, and whether that is taken.
  private static let cases: [([String], String, [String], String, Bool)] = [
    ([identifier(FHIRBench.account), mrn("1")], carla, [mrn("2")], dave, false),
    ([identifier(FHIRBench.account), mrn("1")], carla, [mrn("2")], carla, false),
    ([identifier(FHIRBench.account), mrn("1")], "", [], "", false),
    ([identifier(FHIRBench.account)], "", [], "", false), ([identifier(FHIRBench.account)], carla, [], dave, false),
    ([identifier(FHIRBench.account)], carla, [mrn("2")], dave, false),
    ([identifier(FHIRBench.account), mrn("1")], carla, [mrn("1")], carla, true),
    ([identifier(FHIRBench.account)], carla, [mrn("1")], carla, true),
    ([mrn("1")], "", [mrn("2")], "", false), ([], carla, [], dave, false), ([mrn("1")], carla, [], dave, false),
    ([mrn("1")], carla, [], carla, true), ([mrn("1")], "", [mrn("1")], "", true), ([], "", [], "", true),
    ([], "", [mrn("1")], dave, true),
  ]

  @Test(
    "⚑ A live chart becomes nobody else's by an account: who has it goes on by a number, or by name and birth date",
    arguments: cases)
  func live(_ had: [String], _ was: String, _ has: [String], _ new: String, _ isTaken: Bool) async throws {
    func patient(_ identifiers: [String], _ more: String) -> String {
      let list = identifiers.isEmpty ? "" : #","identifier":[\#(identifiers.joined(separator: ","))]"#
      return #"{"resourceType":"Patient","id":"a"\#(list)\#(more.isEmpty ? "" : "," + more)}"#
    }
    let next = patient([Self.identifier(Self.other)] + has, new)
    for isByAndBy in [false, true] {
      let bench = try FHIRBench()
      await bench.put(patient(had, was))
      await bench.put(Self.condition("a"))
      // An account that is taken out first, with all the rest.
      if isByAndBy { await bench.put(patient([], "")) }
      let answer = await bench.send("PUT", "Patient/a", next)
      #expect(answer.status == (isTaken ? 200 : 409), "\(answer.body?["issue"] as Any)")
      #expect(bench.ledger.current(Self.other).count == (isTaken ? 2 : 0))
      let entry = #"{"resource":\#(next),"request":{"method":"PUT","url":"Patient/a"}}"#
      #expect(await bench.bundle("transaction", entry).status == (isTaken ? 200 : 409))
      #expect(await bench.send("DELETE", "Observation/c").status == 204)
      #expect(await bench.send("PUT", "Patient/a", next).status == 200, "nothing of the first is left")
    }
  }
}
