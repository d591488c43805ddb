internal import FHIR
internal import HTTPTypes
internal import HealthRecords
internal import Hummingbird
internal import Ledger
internal import Messages
internal import NIOCore
internal import Primitives
internal import Rules

/// Content that is sent as it is.
extension FHIRServer {
  /// Seals what comes for the patient whom `X-Security-Context` names (FHIR R4, Binary).
  func attach(_ request: Request, by asker: FHIRAsker) async throws(FHIRFailure) -> Response {
    if let encoding = request.headers[.contentEncoding]?.lowercased(), encoding != "identity" {
      throw FHIRFailure(415, "not-supported", "attachments are taken as they are, not as \(encoding)")
    }
    let said = HTTPField.Name("X-Security-Context").flatMap { request.headers[$0] } ?? ""
    guard said.contains("/"), let patient = self.service.patient(named: said) else {
      throw FHIRFailure(400, "required", "say whose it is, of this server: X-Security-Context: Patient/ID")
    }
    let category =
      HTTPField.Name("X-Consilium-Category").flatMap { request.headers[$0] } ?? RecordCategory.document.name
    guard let category = RecordCategory(name: category), [.document, .sensitive].contains(category) else {
      throw FHIRFailure(400, "value", "X-Consilium-Category is document or sensitive")
    }
    if let own = asker.patient(to: .create, "Binary"), own != patient {
      throw FHIRFailure(
        403, "forbidden", "the app was launched in the chart of Patient/\(own), and writes into that one")
    }
    guard let account = await self.service.account(ofPatient: patient) else {
      throw FHIRFailure(
        422, "business-rule",
        "Patient/\(patient) is not stored here, or has no identifier of \(FHIRService.accountSystem): register the "
          + "patient at the desk (consilium account register), put the account into Patient.identifier, and try again")
    }
    // ⚑ Before anything is sealed or copied: what the ledger would refuse leaves no line for each try.
    if let reason = await RecordAnchorer(service: self.node).refusal(of: account) {
      throw FHIRFailure(422, "business-rule", "nothing is kept for Patient/\(patient): \(reason)")
    }
    let done: (anchor: RecordAnchor, receipt: Receipt)
    do {
      guard let place = Place.current else { throw ServiceRefusal.busy }
      done = try await place.upload(by: asker.account.map { "\($0)" } ?? asker.client ?? "") { [node = self.node] in
        try await node.attach(request.body, of: account, category: category, supersedes: nil)
      }
    } catch let refusal as ServiceRefusal {
      if case .busy = refusal { throw Self.busy }
      if case .tooLarge(let max) = refusal {
        throw FHIRFailure(413, "too-costly", "it is over \(max) bytes; send it in parts")
      }
      if case .noRoom(let reason) = refusal { throw FHIRFailure(507, "no-store", "it could not be kept: \(reason)") }
      throw FHIRFailure(503, "transient", "it could not be kept: \(refusal); send it again")
    } catch { throw FHIRFailure(400, "incomplete", "the content broke off: \(error)") }
    guard done.receipt.outcome == .applied else {
      throw FHIRFailure(422, "business-rule", "the ledger refused it: \(done.receipt.outcome.explanation)")
    }
    var response = FHIRResponse(status: 201)
    response.location = "Binary/\(done.anchor.record)/_history/\(ForeignRecords.version)"
    (response.anchor, response.version) = ("\(done.anchor.record)", 1)
    return Self.response(response, base: self.base)
  }
}
