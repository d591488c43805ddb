import HealthRecords

/// Binaries and persons. ⚑ A content is of one patient: nobody becomes its patient by naming what another has.
extension FHIRService {
  /// Refuses what bears a Binary of another patient, and a Binary that names another patient than what bears it.
  func requireOwnBinaries(
    _ planned: Planned, after writes: inout Writes, for request: FHIRRequest
  ) throws(FHIRFailure) {
    guard planned.resource != nil else { return }
    if planned.name.hasPrefix("Binary/") {
      let before = self.index.row(planned.name).flatMap { $0.isOwn ? $0.patient : nil }
      var whose = planned.patient
      if let context = planned.context { whose = try self.patient(ofContext: context, after: writes) }
      guard let patient = whose ?? before, whose != before,
        let other = self.other(bearing: planned.name, than: patient, after: &writes)
      else { return }
      throw self.failure(planned.name, of: other, at: "Binary.securityContext", for: request)
    }
    guard let patient = planned.patient else { return }
    // What was stored before this was refused is still corrected.
    for binary in planned.borne where !self.index.bearers.bears(planned.name, binary, of: patient) {
      let type = String(planned.name.prefix { $0 != "/" })
      if let owner = self.owner(of: binary, after: writes) {
        if owner != patient { throw self.failure(binary, of: binary, at: type, for: request) }
      } else if let other = self.other(bearing: binary, than: patient, after: &writes) {
        throw self.failure(binary, of: other, at: type, for: request)
      }
    }
  }

  /// The patient of what a Binary names as its security context, once all is written; nil where that is nobody's by its
  /// type. ⚑ What could be somebody's, and is nobody's or not here, does not say whose the content is.
  private func patient(ofContext name: String, after writes: Writes) throws(FHIRFailure) -> String? {
    let type = String(name.prefix { $0 != "/" })
    let isHere: Bool
    let patient: String?
    if let planned = writes.patients[name] {
      (isHere, patient) = (true, planned)
    } else {
      let row = writes.latest(name) == nil ? self.index.row(name) : nil
      (isHere, patient) = (row?.isDeleted == false, row?.patient)
    }
    let isAnybodys = SearchParameter.of(type)?["patient"] == nil && Compartment.parameters(of: type) == nil
    guard isHere, type != "Binary", patient != nil || isAnybodys else {
      throw FHIRFailure(
        422, "value", "\(name) does not say whose it is: Patient/ID is expected, or what is here of a patient",
        at: "Binary.securityContext")
    }
    return patient
  }

  /// The patient whom a Binary names itself, once all is written.
  private func owner(of binary: String, after writes: Writes) -> String? {
    if let named = writes.patients[binary] { return named }
    guard writes.latest(binary) == nil, let row = self.index.row(binary), row.isOwn else { return nil }
    return row.patient
  }

  /// What bears a Binary of another patient, once all is written.
  private func other(bearing binary: String, than patient: String, after writes: inout Writes) -> String? {
    let (places, bearers) = (writes.places, self.index.bearers)
    let isWritten = places[binary] != nil
    let before =
      writes.borneBefore[binary]
      ?? bearers.others(bearing: binary) { name in
        places[name] != nil || (isWritten && bearers.isContext(name, of: binary))
      }
    writes.borneBefore[binary] = before
    return before.merging(writes.borne[binary] ?? [:]) { first, _ in first }.filter { $0.key != patient }.values.min()
  }

  private func failure(
    _ binary: String, of bearer: String, at place: String, for request: FHIRRequest
  ) -> FHIRFailure {
    if let row = self.index.row(bearer) { self.tell(row, bearer, .read, to: request) }
    // ⚑ An app of one patient is told no name of another's.
    let isOpen = !request.asker.scopes.isOfPatient
    let reason = binary == bearer ? "its securityContext" : isOpen ? bearer : "what bears it"
    return FHIRFailure(
      409, "conflict",
      "\(binary) is another patient's, by \(reason), and a content is of one patient: send it as a Binary of its own "
        + "for this one, or correct what is wrong there, in one transaction with this", at: place)
  }
}
