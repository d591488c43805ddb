import HealthRecords

/// Whether a resource could be written (FHIR R4, resource-operation-validate): its form, and no profile.
extension FHIRService {
  /// Others are answered meanwhile.
  static func validate(_ request: FHIRRequest) async throws -> FHIRResponse {
    let type = try Self.known(request.path[0])
    return try Self.answer(ofValidation: try await Self.faultsAside(request, type), request.meter)
  }

  @concurrent private static func faultsAside(_ request: FHIRRequest, _ type: String) async throws -> [String] {
    Validation.faults(of: try Self.resource(toValidate: try Self.read(request.body), request), type: type)
  }

  /// What is to be judged: the body, or what the operation's own `Parameters` have.
  static func resource(
    toValidate body: CanonicalJSON, _ request: FHIRRequest
  ) throws(FHIRFailure) -> CanonicalJSON {
    let parameters = body["resourceType"]?.text == "Parameters" ? body["parameter"]?.items ?? [] : nil
    let names = request.query.map(\.name) + (parameters ?? []).map { $0["name"]?.text ?? "" }
    let known = ["mode", "resource"] + Presentation.names
    if let unknown = names.first(where: { !known.contains($0) }) {
      throw FHIRFailure(
        400, "not-supported",
        "$validate has no parameter \(unknown.prefix(100)): it judges the form of a resource, and knows no profile",
        at: unknown)
    }
    guard let parameters else { return body }
    guard let resource = parameters.first(where: { $0["name"]?.text == "resource" })?["resource"] else {
      throw FHIRFailure(400, "required", "the parameter resource is missing", at: "Parameters.parameter")
    }
    return resource
  }

  static func answer(ofValidation faults: [String], _ meter: AnswerMeter) throws(FHIRFailure) -> FHIRResponse {
    guard !faults.isEmpty else {
      return try meter.required(FHIRFailure.outcome([("information", "informational", "the form is right", nil)]))
    }
    return try meter.required(
      FHIRFailure.outcome(faults.map { ("error", "structure", $0, String($0.prefix { $0 != ":" })) }))
  }
}
