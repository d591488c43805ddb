import HealthRecords
import Primitives

/// Charts and persons. ⚑ What is written of one person never becomes another's on the ledger.
extension FHIRService {
  /// Refuses to link a second chart to an account: what is written into it would become the first one's.
  func requireOnlyChart(
    _ planned: Planned, after writes: Writes, for request: FHIRRequest
  ) throws(FHIRFailure) {
    guard let account = planned.account, let patient = planned.resource else { return }
    // Charts that had one account before this was refused are still corrected.
    if let row = self.index.row(patient.name), !row.isDeleted, row.account == account { return }
    let stored = self.index.patients(of: account).filter { writes.latest("Patient/\($0)") == nil }
    let others = stored + (writes.charts[account] ?? [])
    guard let other = others.first(where: { $0 != patient.id }) else { return }
    if let row = self.index.row("Patient/\(other)") { self.tell(row, "Patient/\(other)", .read, to: request) }
    throw FHIRFailure(
      409, "conflict",
      "Patient/\(other) has that account already, and what is written of Patient/\(patient.id) would stand among that "
        + "one's records: if both are one person, take the identifier out of Patient/\(other) first, or mark it there "
        + "with \"use\": \"old\"", at: "Patient.identifier")
  }

  /// Refuses to make a deleted Patient's id another person's while anything of the first is still here.
  func requireSamePerson(
    _ id: String, _ before: ResourceIndex.Row?, _ json: CanonicalJSON, _ account: Digest?, after writes: Writes
  ) throws {
    guard let before, before.isDeleted,
      let last = try self.store.versions(type: "Patient", id: id).last(where: { !$0.isDeleted }),
      let person = last.json
    else { return }
    let was = ResourceIndex.account(in: person, at: last.updated)
    guard was != account || (was == nil && !Self.shareIdentifier(person, json)) else { return }
    let left = self.names(about: id).filter { writes.latest($0)?.isDeleted != true }
    guard !left.isEmpty else { return }
    throw FHIRFailure(
      409, "conflict",
      "Patient/\(id) was deleted, with \(was.map { "the account \($0)" } ?? "no account"), and \(left.count) resources "
        + "of that one are still here, which would become another person's: write the other under a new id, or bring "
        + "this one back with \(was == nil ? "an identifier, of a system, and no account, as" : "the account that") it "
        + "had", at: "Patient.id")
  }

  /// Whether two Patients have a business identifier in common: its system and its value.
  private static func shareIdentifier(_ one: CanonicalJSON, _ other: CanonicalJSON) -> Bool {
    func identifiers(_ patient: CanonicalJSON) -> Set<[String]> {
      Set(
        patient.children("identifier").compactMap { identifier in
          guard let system = identifier["system"]?.text, let value = identifier["value"]?.text,
            system != Self.accountSystem, identifier["use"]?.text != "old"
          else { return nil }
          return [system, value]
        })
    }
    return !identifiers(one).isDisjoint(with: identifiers(other))
  }

  /// What is here of a patient or names it as the one whose it is, deleted resources not among them.
  private func names(about id: String) -> Set<String> {
    Compartment.types.reduce(into: Set(self.index.names(ofPatient: id))) { names, type in
      names.formUnion(self.names(ofPatient: id, in: type))
    }
  }
}
