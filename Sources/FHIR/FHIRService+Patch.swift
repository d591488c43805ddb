internal import Foundation
import HealthRecords

/// Patches (FHIR R4, http.html#patch): by JSON Patch, or by FHIRPath Patch.
extension FHIRService {
  /// What a write makes of a resource: what is sent, or what a patch makes of the current version.
  func content(of request: FHIRRequest, _ type: String, _ target: Target) throws -> CanonicalJSON {
    switch request.method {
    case "DELETE": return .null
    case "PATCH": return try self.patched(type, target.id ?? "", request)
    default: return try Self.read(request.body)
    }
  }

  private func patched(_ type: String, _ id: String, _ request: FHIRRequest) throws -> CanonicalJSON {
    let name = "\(type)/\(id)"
    if request.writesRecord { throw Self.failure(ofRecord: id, 409) }
    // ⚑ What its tests and its answer show is of the patient.
    try self.requireOwn(type, id, .update, for: request)
    try self.requireOwn(type, id, .read, for: request)
    guard let row = self.index.row(name), let found = try self.stored(type, id, row.version) else {
      throw FHIRFailure(404, "not-found", "there is no \(name)")
    }
    if let erased = found.erased { throw erased.failure(of: found) }
    guard let resource = found.json else { throw FHIRFailure(410, "deleted", "\(name) was deleted") }
    let patched = try Self.patch(request, of: resource)
    guard patched["resourceType"]?.text == type, patched["id"]?.text == id else {
      throw FHIRFailure(422, "business-rule", "a patch changes neither the type nor the id of \(name)")
    }
    return request.isLabelled ? Sensitivity.labelled(patched) : patched
  }

  private static func patch(_ request: FHIRRequest, of resource: CanonicalJSON) throws(FHIRFailure) -> CanonicalJSON {
    let media = request.contentType.map { MediaTypes.Item($0).name } ?? MediaTypes.fhir
    guard media == JSONPatch.media || MediaTypes.isJSON(media) else { throw self.otherPatch(media) }
    let document = try Self.read(request.body)
    if media == JSONPatch.media { return try JSONPatch(document).applied(to: resource) }
    switch document["resourceType"]?.text {
    case "Parameters": return try FHIRPathPatch(document).applied(to: resource)
    // In a bundle a patch is the content of a Binary.
    case "Binary":
      let media = MediaTypes.Item(document["contentType"]?.text ?? "").name
      guard media == JSONPatch.media else { throw self.otherPatch(media) }
      guard let data = document["data"]?.text.flatMap({ Data(base64Encoded: $0) }) else {
        throw FHIRFailure(400, "value", "the Binary's data is no base64", at: "Binary.data")
      }
      return try JSONPatch(try Self.read(Array(data))).applied(to: resource)
    default: throw self.otherPatch(media)
    }
  }

  private static func otherPatch(_ media: String) -> FHIRFailure {
    FHIRFailure(
      415, "not-supported",
      "a patch is taken as \(JSONPatch.media), or as Parameters (FHIRPath Patch) in \(MediaTypes.fhir), not as "
        + "\(media)")
  }
}
