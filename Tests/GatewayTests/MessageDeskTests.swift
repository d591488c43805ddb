// Goal: what a sender of HL7 v2 messages was told is so, whatever happens after: taken once, in order, on the disk, or
// waiting for a person. Method: a real store on a real disk, whose ledger is a lone hospital's, and real sockets.
import FHIR
import Foundation
import Gateway
import HL7
import HealthRecords
import Primitives
import Signing
import Storage
import Testing

/// A store with a desk before it, and a port before that.
final class MessageBench: Sendable {
  let hospital: LoneHospital
  let path: String
  let service: FHIRService
  let desk: MessageDesk

  init(_ hospital: LoneHospital, path: String? = nil) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "hl7-\(UUID().uuidString.prefix(8))").path()
    (self.hospital, self.path) = (hospital, path ?? folder)
    self.service = try FHIRService(
      store: EncryptedResources(path: self.path, mapSizeMax: 1 << 30, key: .zero),
      anchoring: RecordAnchorer(service: hospital.host), base: "http://127.0.0.1/fhir", now: { LoneHospital.now },
      entropy: { SecureRandom.bytes($0) })
    self.desk = MessageDesk(service: self.service, senders: Self.senders, now: { LoneHospital.now })
  }

  static let senders = ["ADT", "LAB"].map { name in
    MessageSender(MessageSource(id: name.lowercased(), application: name, facility: "NORTH", systems: ["MRN": "mrn:n"]))
  }

  /// Serves at a port, as long as the process lasts.
  func serve(at port: Int, _ limits: MLLPLimits = MLLPLimits()) async {
    let server = MLLPServer(desk: self.desk, at: Entrance(port: port), limits: limits)
    Task { try? await server.run() }
    while Connection(.port(port)) == nil { await Task.yield() }
  }

  /// MSA-1 of each answer, with MSA-2.
  func answers(_ message: [UInt8]) async -> [String] { await self.desk.answers(to: message).map { Self.code(of: $0) } }

  static func code(of answer: [UInt8]) -> String {
    let segment = (try? Message(answer))?.first("MSA")
    return "\(segment?.value(1) ?? "?") \(segment?.value(2) ?? "?")"
  }

  func ask(_ method: String, _ path: [String], _ body: String = "") async -> FHIRResponse {
    await self.service.handle(FHIRRequest(method: method, path: path, body: Array(body.utf8)))
  }

  func held(_ type: String, _ value: String, _ system: String = "mrn:n") async throws -> (
    id: String, version: UInt64, json: CanonicalJSON
  )? { try await self.service.held(type, system: system, value: value) }

  static func person(_ id: String, number: String = "1", name: String = "Doe", more: String = "") -> [UInt8] {
    Array(
      ("MSH|^~\\&|ADT|NORTH|EHR|NORTH|20240101||ADT^A28|\(id)|P|2.5\(more)\r"
        + "PID|1||\(number)^^^MRN^MR||\(name)^Jo||19700101|F\r").utf8)
  }

  static func result(_ id: String, _ value: String) -> [UInt8] {
    Array(
      ("MSH|^~\\&|LAB|NORTH|EHR|NORTH|20240101||ORU^R01|\(id)|P|2.5\rPID|1||1^^^MRN^MR\r"
        + "OBR|1||F-1|4548-4^HbA1c^LN|||20240101\rOBX|1|NM|4548-4^HbA1c^LN||\(value)|%^^UCUM|||||F\r").utf8)
  }
}

@Suite("HL7 v2 at the node", .serialized)
struct MessageDeskTests {
  private static let end: [UInt8] = [0x1C, 0x0D]

  @Test("What is accepted is in the store, a repeat is told the same and changes nothing, also after a restart")
  func once() async throws {
    let bench = try MessageBench(try await LoneHospital(port: 6201))
    #expect(await bench.answers(MessageBench.person("1")) == ["AA 1"])
    let first = try #require(try await bench.held("Patient", "1"))
    #expect(first.json["name"]?.items?.first?["family"] == .string("Doe"))
    #expect(await bench.answers(MessageBench.person("2", name: "Roe")) == ["AA 2"])
    // ⚑ The first comes again, late: what came after it stays.
    #expect(await bench.answers(MessageBench.person("1")) == ["AA 1"])
    #expect(try await bench.held("Patient", "1")?.json["name"]?.items?.first?["family"] == .string("Roe"))
    // What is on the disk is what a process that ended now would leave.
    let copy = bench.path + "-left"
    try FileManager.default.copyItem(atPath: bench.path, toPath: copy)
    let again = try MessageBench(bench.hospital, path: copy)
    #expect(await again.answers(MessageBench.person("1")) == ["AA 1"])
    #expect(try await again.held("Patient", "1")?.version == 2)
    // Another message under a number that was there is another message.
    #expect(await again.answers(MessageBench.person("1", name: "Poe")) == ["AA 1"])
    #expect(try await again.held("Patient", "1")?.version == 3)
  }

  @Test(
    "A message leaves the account and the elements that the EHR wrote, and its results are one's whom the EHR knows")
  func beside() async throws {
    let bench = try MessageBench(try await LoneHospital(port: 6211))
    let account = String(repeating: "ab", count: 32)
    let written = await bench.ask(
      "PUT", ["Patient", "p"],
      #"{"resourceType":"Patient","id":"p","photo":[{"title":"x"}],"identifier":[{"system":"mrn:n","value":"1"},"#
        + #"{"system":"urn:consilium:account","value":"\#(account)"}]}"#)
    #expect(written.status == 201)
    #expect(await bench.answers(MessageBench.person("1")) == ["AA 1"])
    let patient = try #require(try await bench.held("Patient", "1"))
    #expect(patient.id == "p" && patient.json["photo"] != nil)
    #expect(patient.json["identifier"]?.items?.contains { $0["value"] == .string(account) } == true)
    #expect(await bench.answers(MessageBench.result("r", "6.10")) == ["AA r"])
    let report = try #require(try await bench.held("DiagnosticReport", "F-1", "urn:consilium:hl7v2:lab:filler"))
    #expect(report.json["subject"]?["reference"] == .string("Patient/p"))
    let name = report.json["result"]?.items?.first?["reference"]?.text ?? ""
    let observation = await bench.ask("GET", name.split(separator: "/").map { String($0) })
    #expect(observation.body?["valueQuantity"]?["value"] == .number("6.10"))
  }

  @Test("What is not understood is answered AE, waits once with its reason, and is taken when it is corrected")
  func waiting() async throws {
    let bench = try MessageBench(try await LoneHospital(port: 6221))
    let wrong = MessageBench.result("r", "high")
    #expect(await bench.answers(wrong) == ["AE r"])
    #expect(await bench.answers(wrong) == ["AE r"])
    let socket = FileManager.default.temporaryDirectory.appending(path: "hl7-\(UUID().uuidString.prefix(8)).sock")
      .path()
    let api = Gateway(
      service: bench.hospital.host,
      sessions: ReadingSessions(service: bench.hospital.host, refused: RefusedCounts(now: { 0 }), now: { 0 }),
      messages: bench.desk, socket: socket)
    Task { try? await api.run() }
    let place = Connection.Place.socket(socket)
    while await Connection.ask(place, "GET", "/livez") == nil { await Task.yield() }
    func queue() async throws -> [WaitingMessageView] {
      let answer = try #require(await Connection.ask(place, "GET", "/v1/hl7/queue"))
      return try JSONDecoder().decode([WaitingMessageView].self, from: Data(answer.body))
    }
    let waiting = try await queue()
    #expect(waiting.count == 1)
    let one = try #require(waiting.first)
    #expect(one.place == "OBX-5" && one.kind == "HL7 v2 ORU^R01" && one.sender == "lab r")
    let shown = try #require(await Connection.ask(place, "GET", "/v1/hl7/queue/\(one.id)"))
    let view = try JSONDecoder().decode(WaitingMessageView.self, from: Data(shown.body))
    #expect(view.message.flatMap { Data(base64Encoded: $0) } == Data(wrong))
    let replay = "/v1/hl7/queue/\(one.id)/replay"
    let refused = try #require(await Connection.ask(place, "POST", replay, body: []))
    #expect(refused.text.contains("AE") && refused.text.contains("high"))
    #expect(try await queue().count == 1)
    let taken = try #require(await Connection.ask(place, "POST", replay, body: MessageBench.result("r", "7.1")))
    #expect(taken.text.contains("AA"), "\(taken.text)")
    #expect(try await queue().isEmpty)
    #expect(try await bench.held("DiagnosticReport", "F-1", "urn:consilium:hl7v2:lab:filler") != nil)
    // The sender, who does not know of the correction, sends it again.
    #expect(await bench.answers(wrong) == ["AA r"])
    #expect(await Connection.ask(place, "POST", replay, body: [])?.status == 404)
    #expect(await bench.answers(MessageBench.result("s", "low")) == ["AE s"])
    let last = try #require(try await queue().first)
    #expect(await Connection.ask(place, "DELETE", "/v1/hl7/queue/\(last.id)")?.status == 200)
    #expect(try await queue().isEmpty)
  }

  @Test("Strangers, tests and what is of no known type are rejected and not kept; without a store everything is")
  func rejected() async throws {
    let bench = try MessageBench(try await LoneHospital(port: 6231))
    func changed(_ old: String, _ new: String) -> [UInt8] {
      Array(String(decoding: MessageBench.person("1"), as: UTF8.self).replacing(old, with: new).utf8)
    }
    for message in [
      changed("|ADT|", "|XXX|"), changed("|NORTH|EHR", "|SOUTH|EHR"), changed("|P|", "|T|"),
      changed("ADT^A28", "ADT^A99"), changed("ADT^A28", "ORM^O01"),
    ] {
      #expect(await bench.answers(message) == ["AR 1"], "\(String(decoding: message, as: UTF8.self))")
    }
    #expect(await bench.answers(Array("junk".utf8)) == ["AE ?"])
    #expect(await bench.service.rows(of: "Communication", prefix: "hl7-").isEmpty)
    let shut = MessageDesk(
      service: nil, trouble: "the store is lost", senders: MessageBench.senders, now: { LoneHospital.now })
    let answer = try #require(await shut.answers(to: MessageBench.person("1")).first)
    #expect(MessageBench.code(of: answer) == "AR 1")
    #expect(String(decoding: answer, as: UTF8.self).contains("the store is lost"))
    // Of an address that a source does not come from.
    let bound = MessageDesk(
      service: bench.service, senders: MessageBench.senders.map { MessageSender($0.source, from: "10.0.0.7") },
      now: { LoneHospital.now })
    #expect(await bound.answers(to: MessageBench.person("1")).map { MessageBench.code(of: $0) } == ["AR 1"])
    let there = await bound.answers(to: MessageBench.person("1"), from: "10.0.0.7")
    #expect(there.map { MessageBench.code(of: $0) } == ["AA 1"])
  }

  @Test("Over a socket messages are answered in their order, also when they come all at once")
  func socket() async throws {
    let bench = try MessageBench(try await LoneHospital(port: 6241))
    await bench.serve(at: 6244)
    let connection = try #require(Connection(.port(6244)))
    let names = (0..<20).map { "m\($0)" }
    let bytes = names.flatMap { Framing.framed(MessageBench.person($0, name: $0)) }
    #expect(await connection.send(bytes))
    var framing = Framing()
    let answers = try framing.take(try #require(await connection.receive(until: Self.end, times: 20)))
    #expect(answers.map { MessageBench.code(of: $0) } == names.map { "AA \($0)" })
    #expect(try await bench.held("Patient", "1")?.json["name"]?.items?.first?["family"] == .string("m19"))
    // Enhanced mode: what is kept for good, and what came of it.
    #expect(await connection.send(Framing.framed(MessageBench.person("e", more: "|||AL|AL"))))
    let both = try framing.take(try #require(await connection.receive(until: Self.end, times: 2)))
    #expect(both.map { MessageBench.code(of: $0) } == ["CA e", "AA e"])
    #expect(await connection.send(Framing.framed(MessageBench.result("x", "?"))))
    let wrong = try framing.take(try #require(await connection.receive(until: Self.end, times: 1)))
    #expect(wrong.map { MessageBench.code(of: $0) } == ["AE x"])
  }

  @Test("What is no frame, too long or too slow is closed, who is silent gives way, and others are answered")
  func strangers() async throws {
    let bench = try MessageBench(try await LoneHospital(port: 6251))
    var limits = MLLPLimits()
    (limits.connectionsMax, limits.messageBytesMax, limits.patienceMilliseconds) = (2, 4096, 3000)
    await bench.serve(at: 6254, limits)
    func closed(_ bytes: [UInt8]) async throws -> Bool {
      let connection = try #require(Connection(.port(6254)))
      await connection.send(bytes)
      return await connection.receive() == []
    }
    #expect(try await closed(Array("GET / HTTP/1.1\r\n\r\n".utf8)))
    #expect(try await closed([0x0B] + [UInt8](repeating: 0x41, count: 5000)))
    #expect(try await closed([0x0B] + Array("MSH|".utf8)), "a message that does not go on")
    let silent = try [0, 1, 2].map { _ in try #require(Connection(.port(6254))) }
    // Of connections that come at once a later one may be taken in first: who is sent away dials again.
    var isAnswered = false
    for _ in 0..<20 where !isAnswered {
      let connection = try #require(Connection(.port(6254)))
      await connection.send(Framing.framed(MessageBench.person("1")))
      isAnswered = await connection.receive(until: Self.end, times: 1) != nil
    }
    #expect(isAnswered)
    withExtendedLifetime(silent) {}
  }
}
