import HealthRecords

/// What an app may see and do that was launched in one patient's chart (SMART App Launch 2.1, scopes of a patient).
/// ⚑ What is another patient's is for it as if it were not there.
extension FHIRService {
  /// Types of which resources are nobody's: who treats, where, and with what. They may be read with a patient's.
  private static let directory: Set<String> = [
    "Location", "Medication", "Organization", "Practitioner", "PractitionerRole", "Substance",
  ]

  /// Whether the resources of a type are nobody's.
  static func isDirectory(_ type: String) -> Bool { self.directory.contains(type) }

  /// The parameters by which a resource of a type can say that it is a patient's.
  private static func ownParameters(_ type: String) -> Set<String> {
    Set(Compartment.parameters(of: type) ?? []).union(["beneficiary", "patient", "subject"])
  }

  /// Whether a resource is a patient's: it is about that one, or, where its type has no one element for whose it is,
  /// names that one by its compartment and no other patient. ⚑ Stricter than the compartment: what one patient reported
  /// of another is the other's, also where the other is nobody here, contained, or named without a reference.
  private static func isOwn(_ type: String, _ id: String, of whose: String?, _ patient: String, by values: Values)
    -> Bool
  {
    if type == "Patient" { return id == patient }
    if let whose { return whose == patient }
    guard self.typesOfMany.contains(type) else { return false }
    let own = SearchValue.reference("Patient/\(patient)")
    guard self.ownParameters(type).contains(where: { values[$0]?.contains(own) ?? false }) else { return false }
    return values.values.joined().allSatisfy { value in
      guard case .reference(let name) = value, name.hasPrefix("Patient/") else { return true }
      return value == own
    }
  }

  private typealias Values = [String: [SearchValue]]

  private static func isOwn(_ type: String, _ row: ResourceIndex.Row, _ patient: String) -> Bool {
    !row.isDeleted && self.isOwn(type, row.id, of: row.patient, patient, by: row.values)
  }

  /// Whether a content is a patient's, or nobody's.
  func isOwn(_ json: CanonicalJSON, _ type: String, _ id: String, _ patient: String, orNobodys: Bool) -> Bool {
    if orNobodys, Self.isDirectory(type) { return true }
    let whose =
      self.index.patient(of: json, type: type, id: id)
      ?? self.index.row("\(type)/\(id)").flatMap { row in
        // What bears a content says whose it is.
        type == "Binary" && !row.isOwn ? row.patient : nil
      }
    return Self.isOwn(
      type, id, of: whose, patient, by: SearchValue.all(of: type, in: json, at: self.site).values)
  }

  /// Whether a resource may be shown to an asker where another brings it.
  func shows(_ type: String, _ row: ResourceIndex.Row, to asker: FHIRAsker) -> Bool {
    guard asker.maySee(type) else { return false }
    guard let patient = asker.patientToSee(type) else { return true }
    return Self.isDirectory(type) || Self.isOwn(type, row, patient)
  }

  /// What there is of a patient's in an index, of a type.
  func names(ownBy patient: String, in type: String, of index: ResourceIndex) -> Set<String> {
    let rows = index.rows[type] ?? []
    let places: [Int]
    switch type {
    case "Patient": places = [index.place("Patient/\(patient)")].compactMap { $0 }
    // What bears them says whose they are.
    case "Binary": places = Array(rows.indices)
    default:
      places = Self.ownParameters(type).flatMap { index.candidates(type, $0, "Patient/\(patient)") }
    }
    return Set(places.filter { Self.isOwn(type, rows[$0], patient) }.map { "\(type)/\(rows[$0].id)" })
  }

  /// Refuses what is asked of a resource by its id that is not the patient's, in whose chart the app was launched.
  func requireOwn(_ request: FHIRRequest) throws(FHIRFailure) {
    let path = request.path
    guard request.asker.scopes.isOfPatient, path.count >= 2, SearchParameter.of(path[0]) != nil,
      !["_search", "_history", "$validate"].contains(path[1])
    else { return }
    for need in request.needs where need.type == path[0] {
      try self.requireOwn(path[0], path[1], need.action, for: request)
    }
  }

  /// The same of a resource that a write's condition found.
  func requireOwn(
    _ type: String, _ id: String, _ action: SMARTScopes.Action, for request: FHIRRequest
  ) throws(FHIRFailure) {
    guard let patient = request.asker.patient(to: action, type), request.asker.scopes.isOfPatient else { return }
    let isReading = action == .read || action == .search
    if isReading, Self.isDirectory(type) { return }
    guard let row = self.index.row("\(type)/\(id)") else {
      // What is made under an id of the client's is judged by its content.
      if request.method == "PUT" { return }
      throw Self.missing(type, id, patient)
    }
    if Self.isOwn(type, row, patient) { return }
    // Of what is deleted the version before says whose it was.
    guard row.isDeleted, row.version > 1, let before = try? self.stored(type, id, row.version - 1)?.json,
      self.isOwn(before, type, id, patient, orNobodys: false)
    else { throw Self.missing(type, id, patient) }
  }

  /// Whether a version may be shown, of a resource that may.
  func isOwn(_ version: StoredResource, for asker: FHIRAsker) -> Bool {
    guard let patient = asker.patient(to: .read, version.type), asker.scopes.isOfPatient else { return true }
    // That it was deleted says nothing more than the versions about it.
    guard let json = version.json else { return true }
    return self.isOwn(json, version.type, version.id, patient, orNobodys: true)
  }

  /// Refuses a version that is not the patient's.
  func requireOwn(_ version: StoredResource, for request: FHIRRequest) throws(FHIRFailure) {
    guard !self.isOwn(version, for: request.asker) else { return }
    throw Self.missing(version.type, version.id, request.asker.patient ?? "")
  }

  /// Refuses a content that is not the patient's in whose chart the app was launched.
  func requireOwn(
    written json: CanonicalJSON, _ type: String, _ id: String, for request: FHIRRequest
  ) throws {
    let action = request.method == "POST" ? SMARTScopes.Action.create : .update
    guard let patient = request.asker.patient(to: action, type), request.asker.scopes.isOfPatient else { return }
    if type == "Patient", id == patient { try self.requireSamePerson(json, id) }
    guard self.isOwn(json, type, id, patient, orNobodys: false) else {
      throw FHIRFailure(
        403, "forbidden",
        "the app was launched in the chart of Patient/\(patient), and writes what is that patient's: a \(type) that "
          + "names Patient/\(patient), and no other, as the one whom it is about")
    }
  }

  /// Members of a Patient that say which person it is, and whether it is one.
  private static let personal = ["identifier", "link", "active"]

  /// Refuses another person in a Patient that an app of one chart writes. ⚑ Whose a chart is, is the hospital's to say:
  /// what is written of that patient, on the ledger and by the hospital's other systems, would go to the other, and the
  /// other's would come here.
  private func requireSamePerson(_ json: CanonicalJSON, _ id: String) throws {
    let before = try self.current("Patient/\(id)")?.json
    for member in Self.personal {
      // One that does not say so is in use.
      let isSame =
        member == "active"
        ? (json[member] == .bool(false)) == (before?[member] == .bool(false)) : json[member] == before?[member]
      if !isSame { throw Self.otherPerson(id, member) }
    }
  }

  /// Refuses that an app of one chart deletes the Patient whose chart it is.
  func requireNoOwnPatient(deleted type: String, for request: FHIRRequest) throws(FHIRFailure) {
    guard type == "Patient", request.asker.scopes.isOfPatient, let id = request.asker.patient(to: .delete, type)
    else { return }
    throw Self.otherPerson(id, nil)
  }

  private static func otherPerson(_ id: String, _ member: String?) -> FHIRFailure {
    let remedy = member.map { "leave \($0) as it is" } ?? "it is deleted by the hospital's own system alone"
    return FHIRFailure(
      403, "forbidden",
      "the app was let in for what is Patient/\(id)'s, and which person that is, is for the hospital to say: \(remedy)",
      at: member.map { "Patient.\($0)" } ?? "Patient")
  }

  /// Whether a stored Provenance may be shown to an asker. ⚑ It is about all its targets: to an app of one chart only
  /// where each is that patient's or nobody's, and nothing in it names what is another's.
  func saysOnlyOwn(_ row: ResourceIndex.Row, for asker: FHIRAsker) throws -> Bool {
    guard asker.scopes.isOfPatient, let patient = asker.patientToSee("Provenance") else { return true }
    guard let json = try self.current("Provenance/\(row.id)")?.json else { return false }
    var isOwn = json.children("target").allSatisfy { target in
      guard let named = target["reference"]?.text.flatMap({ Site.literal(self.site.local($0)) }) else { return false }
      if Self.isDirectory(named.type) { return true }
      return self.index.row("\(named.type)/\(named.id)").map { Self.isOwn(named.type, $0, patient) } ?? false
    }
    json.forEachReference { text in
      guard let named = Site.literal(self.site.local(text)) else { return }
      let whose = named.type == "Patient" ? named.id : self.index.row("\(named.type)/\(named.id)")?.patient
      isOwn = isOwn && whose ?? patient == patient
    }
    return isOwn
  }

  /// ⚑ The same for what is not there and for what is another's.
  static func missing(_ type: String, _ id: String, _ patient: String) -> FHIRFailure {
    FHIRFailure(
      404, "not-found",
      "there is no \(type)/\(id) of Patient/\(patient), in whose chart the app was launched: it was let in for that "
        + "patient alone")
  }

  /// Whether there is a chart of that id, in which an app can be launched.
  public func isChart(_ id: String) -> Bool { self.index.row("Patient/\(id)").map { !$0.isDeleted } ?? false }

  /// Whether an encounter is a patient's.
  public func isEncounter(_ id: String, ofPatient patient: String) -> Bool {
    self.index.row("Encounter/\(id)").map { Self.isOwn("Encounter", $0, patient) } ?? false
  }
}
