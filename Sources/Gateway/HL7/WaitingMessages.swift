internal import FHIR
internal import Foundation
internal import HL7
internal import HealthRecords
internal import Primitives

/// A message that waits for a person, as the API shows it.
public struct WaitingMessageView: Codable, Sendable {
  /// Its name in the queue.
  public var id: String
  /// When it came.
  public var received: String
  /// The source and MSH-10.
  public var sender: String
  /// Type and event.
  public var kind: String
  /// Where what is wrong with it lies; empty for the whole.
  public var place: String
  /// What is wrong with it.
  public var reason: String
  /// The message, where it was asked for by itself: base64.
  public var message: String?
}

/// What came of a replay.
public struct ReplayView: Codable, Sendable {
  /// AA, AE or AR.
  public var code: String
  /// Why it is not taken; nil where it is.
  public var reason: String?
}

/// A message that waits, as it is kept: a `Communication` on hold, of no patient.
struct WaitingMessage {
  private let json: CanonicalJSON

  init(_ json: CanonicalJSON) { self.json = json }

  private static let extensionURL = "urn:consilium:hl7v2:place"

  /// The parts that tell of it.
  static func parts(
    id: String, _ bytes: [UInt8], _ fault: HL7Fault, at time: Timestamp
  ) -> [(String, CanonicalJSON?)] {
    let place = [fault.segment ?? "", "\(fault.occurrence)", fault.field.map { "\($0)" } ?? ""].joined(separator: "^")
    return [
      ("id", .string(id)), ("status", .string("on-hold")), ("received", .string(time.description)),
      (
        "statusReason",
        .members([
          (
            "coding",
            .array([
              .members([
                ("system", .string("http://terminology.hl7.org/CodeSystem/v2-0357")),
                ("code", .string("\(fault.code.rawValue)")), ("display", .string(fault.code.text)),
              ])
            ])
          ), ("text", .string(fault.message)),
        ])
      ),
      (
        "extension",
        .array([.members([("url", .string(Self.extensionURL)), ("valueString", .string(place))])])
      ),
      (
        "payload",
        .array([
          .members([
            (
              "contentAttachment",
              .members([
                ("contentType", .string("x-application/hl7-v2+er7")),
                ("data", .string(Data(bytes).base64EncodedString())),
              ])
            )
          ])
        ])
      ),
    ]
  }

  /// Why it waits.
  var fault: HL7Fault {
    let reason = self.json["statusReason"]
    let code = reason?["coding"]?.items?.first?["code"]?.text.flatMap { Int($0) }.flatMap {
      HL7Fault.Code(rawValue: $0)
    }
    let said = self.json["extension"]?.items?.first { $0["url"]?.text == Self.extensionURL }?["valueString"]?.text ?? ""
    let parts = said.split(separator: "^", omittingEmptySubsequences: false).map { String($0) }
    return HL7Fault(
      code ?? .application, parts.first.flatMap { $0.isEmpty ? nil : $0 },
      occurrence: parts.count > 1 ? Int(parts[1]) ?? 1 : 1, field: parts.count > 2 ? Int(parts[2]) : nil,
      reason?["text"]?.text ?? "it waits for a person")
  }

  var digest: String? {
    self.json["identifier"]?.items?.first { $0["system"]?.text == MessageDesk.system }?["value"]?.text
  }

  var data: String? { self.json["payload"]?.items?.first?["contentAttachment"]?["data"]?.text }

  func view(_ id: String, isWhole: Bool) -> WaitingMessageView {
    WaitingMessageView(
      id: id, received: self.json["received"]?.text ?? "", sender: self.json["sender"]?["display"]?.text ?? "",
      kind: self.json["medium"]?.items?.first?["text"]?.text ?? "", place: self.fault.place,
      reason: self.fault.message, message: isWhole ? self.data : nil)
  }
}

/// What a person does with the messages that wait.
extension MessageDesk {
  private func opened() throws -> FHIRService {
    guard let service = self.service else { throw ServiceRefusal.failed("the FHIR store is not served") }
    return service
  }

  private func waiting(_ id: String) async throws -> (service: FHIRService, message: WaitingMessage) {
    let service = try self.opened()
    guard id.hasPrefix(Self.waitingPrefix), let held = try await service.held("Communication", id: id) else {
      throw ServiceRefusal.notFound("waiting message")
    }
    return (service, WaitingMessage(held.json))
  }

  /// The messages that wait, the first that came first.
  func queue() async throws -> [WaitingMessageView] {
    let service = try self.opened()
    var views: [WaitingMessageView] = []
    for row in await service.rows(of: "Communication", prefix: Self.waitingPrefix) {
      guard let held = try await service.held("Communication", id: row.id) else { continue }
      views.append(WaitingMessage(held.json).view(row.id, isWhole: false))
    }
    return views
  }

  /// One of them, with what came.
  func show(_ id: String) async throws -> WaitingMessageView {
    try await self.waiting(id).message.view(id, isWhole: true)
  }

  /// Takes one of them as it is, or as a person corrected it; where it is taken, it waits no longer, and a repeat of
  /// what came first is accepted.
  func replay(_ id: String, as corrected: [UInt8]?) async throws -> ReplayView {
    let replayed = await self.inTurn { await self.replayed(id, as: corrected) }
    switch try replayed.get() {
    case .accepted: return ReplayView(code: "AA")
    case .error(let fault): return ReplayView(code: "AE", reason: "\(fault)")
    case .rejected(let fault): return ReplayView(code: "AR", reason: "\(fault)")
    }
  }

  private func replayed(
    _ id: String, as corrected: [UInt8]?
  ) async -> Result<Acknowledgement.Outcome, any Error> {
    do {
      let (service, message) = try await self.waiting(id)
      guard let digest = message.digest, let data = message.data.flatMap({ Data(base64Encoded: $0) }) else {
        throw ServiceRefusal.failed("Communication/\(id) is no message any more: somebody changed it")
      }
      do throws(HL7Fault) {
        let read = try Message(corrected ?? Array(data))
        // ⚑ Where it came from was judged when it came.
        let work = try self.work(read, try Header(read))
        return .success(await self.write(work, releasing: (id, digest), in: service))
      } catch { return .success(.error(error)) }
    } catch { return .failure(error) }
  }

  /// Gives one of them up, and says which it was.
  func drop(_ id: String) async throws -> WaitingMessageView {
    try await self.inTurn { await self.dropped(id) }.get()
  }

  private func dropped(_ id: String) async -> Result<WaitingMessageView, any Error> {
    do {
      let (service, message) = try await self.waiting(id)
      let answer = await service.handle(Self.transaction([Self.deletion(id)]))
      guard answer.status == 200 else { throw ServiceRefusal.failed("the store answered \(answer.status)") }
      return .success(message.view(id, isWhole: false))
    } catch { return .failure(error) }
  }
}
