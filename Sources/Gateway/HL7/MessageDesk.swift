public import FHIR
internal import Foundation
public import HL7
internal import HealthRecords
public import Primitives
internal import Signing

/// A system of the hospital that sends messages.
public struct MessageSender: Sendable {
  /// What it calls itself, and what its names mean.
  public let source: MessageSource
  /// The address from which alone it comes; nil for any that may connect.
  public let address: String?

  /// A sender of given parts.
  public init(_ source: MessageSource, from address: String? = nil) { (self.source, self.address) = (source, address) }
}

/// Takes HL7 v2 messages: makes their resources durable in the EHR's store, remembers them, and keeps those that are
/// not understood for a person.
///
/// ⚑ A message is accepted only once its resources are on the disk, in one transaction with the mark that it was taken:
/// a repeat is told the same, and changes nothing. One message is worked on at a time, in the order of each connection.
public actor MessageDesk {
  /// The number of messages whose marks are kept.
  public static let rememberedMax = 32_768
  /// So many messages wait for a person, at most: more are rejected.
  public static let waitingMax = 1000
  /// How often a resource may change under a message before that is given back.
  private static let attemptsMax = 5

  let service: FHIRService?
  private let trouble: String
  private let senders: [MessageSender]
  private let processing: Set<String>
  private let now: @Sendable () -> Timestamp
  private var last: Task<Void, Never>?
  /// The place of the next mark; nil until the store was asked.
  private var nextMark: UInt64?
  private var anchoring: Task<Void, Never>?
  private var isAnchoringWanted = false

  /// A desk over a service; `trouble` says why there is none. Messages of other processing ids (MSH-11) are rejected.
  public init(
    service: FHIRService?, trouble: String? = nil, senders: [MessageSender], processing: Set<String> = ["P"],
    now: @escaping @Sendable () -> Timestamp
  ) {
    (self.service, self.senders, self.processing, self.now) = (service, senders, processing, now)
    self.trouble = trouble ?? "this hospital's FHIR store is not served"
  }

  /// The answers to a message that came from an address; nil for this machine's own.
  public func answers(to bytes: [UInt8], from address: String? = nil) async -> [[UInt8]] {
    let (header, outcome) = await self.inTurn { await self.judge(bytes, from: address) }
    let id = Hash.sha256(bytes + Array("\(outcome)".utf8)).description.prefix(20)
    let time = self.now().description.filter { $0.isNumber }.prefix(14)
    return Acknowledgement.answers(to: bytes, header, outcome, id: String(id), time: "\(time)+0000")
  }

  /// Does something when everything before it is done.
  func inTurn<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async -> Value {
    let before = self.last
    let task = Task {
      await before?.value
      return await body()
    }
    self.last = Task { _ = await task.value }
    return await task.value
  }

  private func judge(_ bytes: [UInt8], from address: String?) async -> (Header?, Acknowledgement.Outcome) {
    do throws(HL7Fault) {
      let message = try Message(bytes)
      let header = try Header(message)
      return (header, await self.outcome(of: message, header, bytes, from: address))
    } catch { return (nil, error.code.isRejection ? .rejected(error) : .error(error)) }
  }

  private func outcome(
    of message: Message, _ header: Header, _ bytes: [UInt8], from address: String?
  ) async -> Acknowledgement.Outcome {
    let work: Work
    do throws(HL7Fault) {
      work = try self.work(message, header) { $0.address == nil || $0.address == address }
    } catch { return .rejected(error) }
    guard let service = self.service else { return .rejected(HL7Fault(.application, self.trouble)) }
    do {
      if let known = try await service.held("Communication", system: Self.system, value: work.digest) {
        guard known.id.hasPrefix(Self.waitingPrefix) else { return .accepted }
        return .error(WaitingMessage(known.json).fault)
      }
    } catch { return .rejected(Self.fault(error)) }
    let outcome = await self.write(work, releasing: nil, in: service)
    guard case .error(let fault) = outcome else { return outcome }
    return await self.keep(work, bytes, fault, in: service)
  }

  /// A message that is to be taken.
  struct Work: Sendable {
    let message: Message
    let header: Header
    let source: MessageSource
    /// What tells it from every other: its sender, MSH-10, and what it says. ⚑ a sender that counts from one again says
    /// something else under a number that was there.
    let digest: String
  }

  /// Whose a message is; refuses those of nobody, or of nobody who `comes` from where it does.
  func work(
    _ message: Message, _ header: Header, comes: (MessageSender) -> Bool = { _ in true }
  ) throws(HL7Fault) -> Work {
    let named = self.senders.filter { $0.source.sends(header) }
    guard let sender = named.first(where: comes) else {
      let why = named.isEmpty ? "is none of hl7_sources" : "comes from another address than hl7_sources says"
      throw HL7Fault(
        .unknownKey, "MSH", field: 3,
        "\"\(header.application.prefix(60))\" of \"\(header.facility.prefix(60))\" (MSH-4) \(why): name it there")
    }
    guard self.processing.contains(header.processingID) else {
      throw HL7Fault(
        .processingID, "MSH", field: 11,
        "\"\(header.processingID.prefix(20))\" is not taken here: "
          + "\(self.processing.sorted().joined(separator: ", ")) is (hl7_processing)")
    }
    let said = message.segments.dropFirst().map(\.text).joined(separator: "\r")
    let whole = [sender.source.id, header.controlID, "\(header.type)^\(header.event)", said].joined(separator: "\n")
    return Work(
      message: message, header: header, source: sender.source,
      digest: Hash.sha256(Array(whole.utf8)).description)
  }

  /// Makes a message's resources durable, with its mark; `releasing` waits no longer then.
  func write(
    _ work: Work, releasing waiting: (id: String, digest: String)?, in service: FHIRService
  ) async -> Acknowledgement.Outcome {
    let mapping: Mapping
    do throws(HL7Fault) { mapping = try Mapping(work.message, work.header, work.source) } catch {
      return error.code.isRejection ? .rejected(error) : .error(error)
    }
    for _ in 0..<Self.attemptsMax {
      do {
        let (held, versions) = try await Self.held(for: mapping, in: service)
        var entries = try mapping.resources(over: held).map { Self.entry($0, version: versions[$0.key]) }
        entries.append(await self.mark(work, also: waiting?.digest, in: service))
        if let waiting { entries.append(Self.deletion(waiting.id)) }
        let answer = await service.handle(Self.transaction(entries))
        let said = Self.text(of: answer)
        switch answer.status {
        case 200:
          self.nextMark = (self.nextMark ?? 0) + 1
          self.anchor(in: service)
          return .accepted
        // Somebody else wrote one of them meanwhile.
        case 412 where answer.body?["issue"]?.items?.first?["code"]?.text == "conflict": continue
        case 400..<500: return .error(HL7Fault(.conflict, said))
        default: return .rejected(HL7Fault(.application, said))
        }
      } catch let fault as HL7Fault {
        return .error(fault)
      } catch {
        // Several that have one number are for a person to see; what the store cannot do may be otherwise later.
        let isPersons = (error as? FHIRFailure).map { (400..<500).contains($0.status) } ?? false
        return isPersons ? .error(Self.fault(error)) : .rejected(Self.fault(error))
      }
    }
    return .rejected(HL7Fault(.conflict, "others change the same resources all the time: send it again"))
  }

  /// What of the store a message is understood by, and in which versions that is.
  private static func held(
    for mapping: Mapping, in service: FHIRService
  ) async throws -> (HeldResources, versions: [ResourceKey: UInt64]) {
    var held = HeldResources()
    var versions: [ResourceKey: UInt64] = [:]
    func look(for keys: [ResourceKey]) async throws {
      for key in keys {
        guard let found = try await service.held(key.type, system: key.system, value: key.value) else { continue }
        held.resources[key] = HeldResource(id: found.id, json: found.json)
        versions[key] = found.version
      }
    }
    try await look(for: mapping.keys)
    try await look(for: mapping.more(after: held))
    for number in mapping.numbers {
      held.holders[number] = try await service.holders(number.type, system: number.system, value: number.value)
    }
    var lost: Set<String> = []
    while let name = held.missing(but: lost) {
      if let found = try await service.held("Patient", id: String(name.dropFirst("Patient/".count))) {
        held.people[name] = HeldResource(id: found.id, json: found.json)
      } else {
        lost.insert(name)
      }
    }
    return (held, versions)
  }

  private static func text(of answer: FHIRResponse) -> String {
    answer.body?["issue"]?.items?.first?["diagnostics"]?.text ?? "the store answered \(answer.status)"
  }

  static func fault(_ error: any Error) -> HL7Fault {
    guard let failure = error as? FHIRFailure else { return HL7Fault(.application, "\(error)") }
    return HL7Fault(failure.status == 412 ? .unknownKey : .application, failure.message)
  }

  /// Has the ledger anchor what was written, one round at a time.
  private func anchor(in service: FHIRService) {
    self.isAnchoringWanted = true
    guard self.anchoring == nil else { return }
    self.anchoring = Task {
      while self.isAnchoringWanted {
        self.isAnchoringWanted = false
        _ = await service.anchorPending()
      }
      self.anchoring = nil
    }
  }

  /// Has anchored what could not be before, as the FHIR interface does.
  func anchorAgain() { if let service { self.anchor(in: service) } }

  // MARK: What is written

  /// The identifiers by which messages are told apart.
  static let system = "urn:consilium:hl7v2:message"
  private static let markPrefix = "hl7-taken-"
  static let waitingPrefix = "hl7-waiting-"

  /// The mark that a message was taken; the oldest gives its place to it.
  private func mark(_ work: Work, also other: String?, in service: FHIRService) async -> CanonicalJSON {
    if self.nextMark == nil {
      // Each place has one version more for each time that the marks went round.
      let rows = await service.rows(of: "Communication", prefix: Self.markPrefix, areDeletedToo: true)
      let written = rows.compactMap { row in
        UInt64(row.id.dropFirst(Self.markPrefix.count)).flatMap { place -> UInt64? in
          let (rounds, isOver) = (row.version - 1).multipliedReportingOverflow(by: UInt64(Self.rememberedMax))
          return isOver || place >= Self.rememberedMax ? nil : rounds + place
        }
      }
      self.nextMark = written.max().map { $0 + 1 } ?? 0
    }
    let id = "\(Self.markPrefix)\((self.nextMark ?? 0) % UInt64(Self.rememberedMax))"
    let digests = [work.digest] + [other].compactMap { $0 }.filter { $0 != work.digest }
    let resource = CanonicalJSON.members(
      Self.about(work, digests) + [("id", .string(id)), ("status", .string("completed"))])
    return Self.entry(resource, "PUT", "Communication/\(id)")
  }

  private static func about(_ work: Work, _ digests: [String]) -> [(String, CanonicalJSON?)] {
    let (header, source) = (work.header, work.source)
    return [
      ("resourceType", .string("Communication")),
      (
        "identifier",
        .array(digests.map { .members([("system", .string(Self.system)), ("value", .string($0))]) })
      ),
      ("medium", .array([.members([("text", .string("HL7 v2 \(header.type)^\(header.event)"))])])),
      ("sender", .members([("type", .string("Device")), ("display", .string("\(source.id) \(header.controlID)"))])),
    ]
  }

  static func deletion(_ id: String) -> CanonicalJSON {
    .members([("request", .members([("method", .string("DELETE")), ("url", .string("Communication/\(id)"))]))])
  }

  private static func entry(_ resource: MappedResource, version: UInt64?) -> CanonicalJSON {
    let (type, key) = (resource.key.type, resource.key)
    if let id = resource.json["id"]?.text, let version {
      return Self.entry(resource.json, "PUT", "\(type)/\(id)", match: ("ifMatch", "W/\"\(version)\""))
    }
    let condition = FHIRService.condition(system: key.system, value: key.value)
    // ⚑ The id follows from what the message calls it: where a store was lost, what comes again of it, or corrects it,
    // meets the record that the ledger has (OPERATIONS §3).
    let id = Hash.sha256(Array("\(type)|\(key.system)|\(key.value)".utf8)).description.prefix(40)
    return Self.entry(
      resource.json.setting("id", .string(String(id))), "PUT", "\(type)?\(condition)", match: ("ifNoneMatch", "*"),
      fullUrl: resource.fullUrl)
  }

  static func entry(
    _ resource: CanonicalJSON, _ method: String, _ url: String, match: (String, String)? = nil, fullUrl: String? = nil
  ) -> CanonicalJSON {
    let request = [("method", method), ("url", url)] + [match].compactMap { $0 }
    return .members([
      ("fullUrl", fullUrl.map { .string($0) }), ("resource", resource),
      ("request", .members(request.map { ($0.0, .string($0.1)) })),
    ])
  }

  static func transaction(_ entries: [CanonicalJSON]) -> FHIRRequest {
    let bundle = CanonicalJSON.members([
      ("resourceType", .string("Bundle")), ("type", .string("transaction")), ("entry", .array(entries)),
    ])
    var request = FHIRRequest(method: "POST", path: [], body: bundle.canonicalBytes)
    request.waitsForLedger = false
    return request
  }

  /// Keeps a message that is not understood, with the reason.
  private func keep(
    _ work: Work, _ bytes: [UInt8], _ fault: HL7Fault, in service: FHIRService
  ) async -> Acknowledgement.Outcome {
    let waiting = await service.rows(of: "Communication", prefix: Self.waitingPrefix)
    guard waiting.count < Self.waitingMax else {
      return .rejected(
        HL7Fault(
          .application, "\(waiting.count) messages wait for a person already (consilium hl7 queue); this one: \(fault)")
      )
    }
    let id = Self.waitingPrefix + work.digest.prefix(40)
    let resource = CanonicalJSON.members(
      Self.about(work, [work.digest]) + WaitingMessage.parts(id: id, bytes, fault, at: self.now()))
    let answer = await service.handle(Self.transaction([Self.entry(resource, "PUT", "Communication/\(id)")]))
    guard answer.status == 200 else {
      return .rejected(HL7Fault(.application, "it cannot be kept: \(Self.text(of: answer)); what is wrong: \(fault)"))
    }
    return .error(fault)
  }
}
