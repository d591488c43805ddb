internal import FHIR
internal import HTTPTypes
internal import HealthRecords
internal import Hummingbird
internal import Messages
internal import Primitives

/// What the EHR is told of a launch that it announced.
private struct LaunchView: Encodable {
  let launch: String
  /// What the app is started with besides.
  let iss: String
  let expiresIn: UInt64
}

/// Launches of apps by the hospital's EHR (SMART App Launch 2.1, "EHR launch").
extension FHIRServer {
  /// What the EHR sends.
  private static let launchFields: Set<String> = ["client_id", "encounter", "patient", "practitioner"]

  /// The route by which the EHR announces a launch: as itself, or by the token of the practitioner's own session.
  func addLaunchRoute<Context: RequestContext>(to router: Router<Context>, _ smart: SMARTAuthorization) {
    router.post("/auth/launch") { request, _ in
      do {
        return try await Place.with(self.doors, .prompt) { try await self.announced(request, smart) }
      } catch let failure as FHIRFailure {
        return Self.response(failure)
      } catch let refusal as ServiceRefusal {
        switch refusal {
        case .tooLarge(let max): return Self.response(FHIRFailure(413, "too-long", "a launch has at most \(max) bytes"))
        case .badRequest(let reason): return Self.response(FHIRFailure(400, "invalid", reason))
        default: return Self.response(FHIRFailure(503, "throttled", "too much is under way: try again in a moment"))
        }
      }
    }
  }

  private func announced(_ request: Request, _ smart: SMARTAuthorization) async throws -> Response {
    if let stranger = self.visitors.stranger(request) { throw Self.forbidden(to: stranger) }
    let asker = try await self.asker(of: FHIRRequest(method: "POST", path: []), request)
    // ⚑ An app launches no other, nor itself in another chart.
    guard asker.client == nil || asker.account == nil else {
      throw FHIRFailure(403, "forbidden", "an app does not launch apps: the EHR does, by its own token")
    }
    let bytes = try await body(request, max: SMARTAuthorization.formBytesMax)
    guard let fields = try? SMARTAuthorization.dictionary(String(decoding: bytes, as: UTF8.self)) else {
      throw FHIRFailure(400, "structure", "client_id, patient and practitioner are expected, as a form")
    }
    if let unknown = fields.keys.sorted().first(where: { !Self.launchFields.contains($0) }) {
      throw FHIRFailure(400, "not-supported", "a launch has no \(unknown.prefix(100))", at: "\(unknown.prefix(100))")
    }
    let word = try await smart.announce(try await self.launch(fields, by: asker))
    var answer = try json(
      LaunchView(launch: word, iss: self.base, expiresIn: SMARTLaunches.milliseconds / 1000), status: .created,
      inSnakeCase: true)
    answer.headers[.cacheControl] = "no-store"
    return answer
  }

  /// The launch that a form announces, where all that it names is here.
  private func launch(_ fields: [String: String], by asker: FHIRAsker) async throws(FHIRFailure) -> SMARTLaunch {
    guard let client = fields["client_id"], let patient = fields["patient"] else {
      throw FHIRFailure(400, "required", "client_id and patient are expected, as a form")
    }
    try asker.require(.read, "Patient")
    let practitioner = fields["practitioner"].flatMap { Hex.decode($0) }.flatMap { Digest($0) } ?? asker.account
    guard let practitioner, asker.account == nil || asker.account == practitioner else {
      throw FHIRFailure(
        400, "value", "the account of the practitioner who has the chart open is expected, 64 hexadecimal digits",
        at: "practitioner")
    }
    let account = await self.node.account(practitioner)
    guard let account, account.kind == .practitioner, account.hospital == self.node.member.id else {
      throw FHIRFailure(422, "value", "\(practitioner) is no practitioner of this hospital", at: "practitioner")
    }
    guard let id = self.service.patient(named: patient), await self.service.isChart(id) else {
      throw FHIRFailure(422, "not-found", "there is no Patient/\(patient.prefix(100)) here", at: "patient")
    }
    let encounter = fields["encounter"].map { $0.hasPrefix("Encounter/") ? String($0.dropFirst(10)) : $0 }
    if let encounter {
      try asker.require(.read, "Encounter")
      guard await self.service.isEncounter(encounter, ofPatient: id) else {
        throw FHIRFailure(422, "not-found", "Patient/\(id) has no Encounter/\(encounter.prefix(100))", at: "encounter")
      }
    }
    return SMARTLaunch(client: client, practitioner: practitioner, patient: id, encounter: encounter)
  }
}
