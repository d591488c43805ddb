import HealthRecords
import Primitives

/// References that name a patient by an identifier alone. ⚑ Who has it here is meant: as nobody's, what is written
/// would be missing from the chart whose it is.
///
/// Source: FHIR R4, references.html#logical.
extension FHIRService {
  /// What a reference names a patient by.
  private struct Known {
    let system: String?
    let value: String
  }

  /// The elements of a resource that say whose it is. Others may name anybody, and a patient where they say so.
  private static let elements = ["beneficiary", "for", "patient", "securityContext", "subject"]

  /// What a value names a patient by, where it is a reference of that kind; `isElement` of the resource itself.
  private static func known(_ value: CanonicalJSON, in name: String, isElement: Bool) -> Known? {
    guard let identifier = value["identifier"], value["reference"] == nil,
      let number = identifier["value"]?.text, !SearchText.isBlank(number)
    else { return nil }
    let type = value["type"]?.text
    let isPatient = type.map { $0 == "Patient" || $0.hasSuffix("/Patient") }
    guard isPatient ?? (isElement && self.elements.contains(name)) else { return nil }
    let system = identifier["system"]?.text ?? ""
    return Known(system: SearchText.isBlank(system) ? nil : system, value: number)
  }

  /// Whether a resource names a patient by an identifier alone.
  static func namesByIdentifier(_ resource: CanonicalJSON) -> Bool {
    self.namesByIdentifier(resource, in: "", isElement: false)
  }

  private static func namesByIdentifier(_ value: CanonicalJSON, in name: String, isElement: Bool) -> Bool {
    switch value {
    case .null, .bool, .number, .string: return false
    case .array(let items): return items.contains { self.namesByIdentifier($0, in: name, isElement: isElement) }
    case .object(let members):
      if self.known(value, in: name, isElement: isElement) != nil { return true }
      return members.contains { self.namesByIdentifier($0.value, in: $0.name, isElement: name.isEmpty) }
    }
  }

  /// A resource in which each reference that names a patient by an identifier alone, which one Patient here has, refers
  /// to that Patient.
  func identified(
    _ resource: CanonicalJSON, by judging: Judging, for request: FHIRRequest
  ) throws -> CanonicalJSON {
    guard Self.namesByIdentifier(resource) else { return resource }
    return try self.identified(resource, in: "", isElement: false, by: judging, for: request)
  }

  private func identified(
    _ value: CanonicalJSON, in name: String, isElement: Bool, by judging: Judging, for request: FHIRRequest
  ) throws -> CanonicalJSON {
    switch value {
    case .null, .bool, .number, .string: return value
    case .array(let items):
      return .array(
        try items.map {
          try self.identified($0, in: name, isElement: isElement, by: judging, for: request)
        })
    case .object(let members):
      if let known = Self.known(value, in: name, isElement: isElement) {
        let patient = try self.patient(known, by: judging, for: request)
        return patient.map { value.setting("reference", .string("Patient/\($0)")) } ?? value
      }
      return .object(
        try members.map { member in
          (
            member.name,
            try self.identified(member.value, in: member.name, isElement: name.isEmpty, by: judging, for: request)
          )
        })
    }
  }

  /// The patient here who has an identifier; nil where there is none.
  private func patient(_ known: Known, by judging: Judging, for request: FHIRRequest) throws -> String? {
    // No condition has a space before its question mark.
    let key = "Patient by \(known.system ?? "")|\(known.value)"
    let found: [String]
    if let before = judging.references[key] {
      found = before
    } else {
      let text = (known.system.map { SearchText.escaped($0) + "|" } ?? "") + SearchText.escaped(known.value)
      let named = try self.find("Patient", [(name: "identifier", value: text)], by: judging, for: request)
      // Who had an account is not who has it.
      let only = request.asker.patient(to: .search, "Patient")
      found =
        known.system == Self.accountSystem
        ? self.patients(ofAccount: known.value, judging).filter { $0 == only ?? $0 } : named
      judging.references[key] = found
    }
    guard let one = found.first else { return nil }
    guard found.count == 1, known.system != nil else {
      let text = "\((known.system ?? "").prefix(100))|\(known.value.prefix(100))"
      throw FHIRFailure(
        422, "value",
        "the identifier \(text) alone does not say which Patient it is: \(found.count) here could be meant; "
          + "Patient/ID is expected, or an identifier with its system that one of them has")
    }
    return one
  }

  private func patients(ofAccount text: String, _ judging: Judging) -> [String] {
    guard let account = Hex.decode(text).flatMap({ Digest($0) }) else { return [] }
    let stored = self.index.patients(of: account).filter { judging.pending.place("Patient/\($0)") == nil }
    return stored + judging.pending.patients(of: account)
  }
}
