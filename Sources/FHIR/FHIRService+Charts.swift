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
    // ⚑ An app of one patient is told no name of another's.
    let name = request.asker.scopes.isOfPatient ? "another Patient here" : "Patient/\(other)"
    throw FHIRFailure(
      409, "conflict",
      "\(name) has that account already, and what is written of Patient/\(patient.id) would stand among that one's "
        + "records: if both are one person, take the identifier out of the other first, or mark it there with \"use\": "
        + "\"old\"", at: "Patient.identifier")
  }

  /// Refuses a Patient that is made of an outdated version here, or has its link again. ⚑ The ledger has a later record
  /// of that one, and by the link of before what is written would go to a stranger.
  func requireNotOutdated(
    _ id: String, _ before: ResourceIndex.Row?, _ account: Digest?, _ request: FHIRRequest
  ) throws(FHIRFailure) {
    guard let before, self.book.isHolding(id, in: self.index) else { return }
    let older = "Patient/\(id) here is older than its record on the ledger"
    guard request.method != "PATCH", request.ifMatch == nil else {
      throw FHIRFailure(
        409, "conflict",
        "\(older): nothing is made of what is here; write it whole, as the EHR has it, without If-Match")
    }
    guard let last = self.book.notes["Patient/\(id)"]?.anchored, last.isLinked, account == before.account else {
      return
    }
    throw FHIRFailure(
      409, "conflict",
      "\(older), which links that person to the account \(last.account), and not to this one any more: write the "
        + "Patient with that account; where that is wrong, change it afterwards", at: "Patient.identifier")
  }

  /// Refuses to make a Patient's id another person's while anything of the first is still here: what is written again
  /// after a deletion, and a live chart that gets an account.
  func requireSamePerson(
    _ id: String, _ before: ResourceIndex.Row?, _ json: CanonicalJSON, _ account: Digest?, after writes: Writes
  ) throws {
    guard let before, before.isDeleted || (account != nil && account != before.account) else { return }
    let versions = try self.store.versions(type: "Patient", id: id)
    guard before.isDeleted else {
      guard let account, !Self.goesOn(json, account, after: versions) else { return }
      let left = self.names(about: id).filter { writes.latest($0)?.isDeleted != true }
      guard !left.isEmpty else { return }
      throw FHIRFailure(
        409, "conflict",
        "\(left.count) resources were written of Patient/\(id), and nothing shows that the account \(account) is that "
          + "person's: an identifier, with its system, or name and birth date stay as they were. Write another person "
          + "under a new id; where the link was wrong, write an identifier beside it first, and then the right account",
        at: "Patient.identifier")
    }
    guard let last = versions.last(where: { !$0.isDeleted }), let person = last.json else { return }
    let was = ResourceIndex.account(in: person, at: last.updated)
    let isShared = !Self.identifiers(of: person).isDisjoint(with: Self.identifiers(of: json))
    guard was != account || (was == nil && !isShared) else { return }
    let left = self.names(about: id).filter { writes.latest($0)?.isDeleted != true }
    guard !left.isEmpty else { return }
    throw FHIRFailure(
      409, "conflict",
      "Patient/\(id) was deleted, with \(was.map { "the account \($0)" } ?? "no account"), and \(left.count) resources "
        + "of that one are still here, which would become another person's: write the other under a new id, or bring "
        + "this one back with \(was == nil ? "an identifier, of a system, and no account, as" : "the account that") it "
        + "had", at: "Patient.id")
  }

  /// Whether a Patient who gets an account is the one of the versions before, back to where there was an account or a
  /// deletion. ⚑ One that had another account must show it; one without any must not show the contrary.
  private static func goesOn(_ json: CanonicalJSON, _ account: Digest, after versions: [StoredResource]) -> Bool {
    var (known, person) = (self.identifiers(of: json), json)
    for version in versions.reversed() {
      if let erased = version.erased {
        guard erased.account == nil || erased.account == account else { return false }
        continue
      }
      guard let earlier = version.json else { return true }
      let linked = ResourceIndex.account(in: earlier, at: version.updated)
      if linked == account { return true }
      let own = self.identifiers(of: earlier)
      let isOne: Bool? =
        own.isEmpty || known.isEmpty ? self.isOne(earlier, person) : !own.isDisjoint(with: known)
      guard isOne ?? (linked == nil) else { return false }
      if linked != nil { return true }
      known.formUnion(own)
      if earlier["birthDate"] != nil { person = earlier }
    }
    return true
  }

  /// Whether two Patients are one by name and birth date; nil where these do not tell.
  private static func isOne(_ one: CanonicalJSON, _ other: CanonicalJSON) -> Bool? {
    guard let born = one["birthDate"]?.text, let day = other["birthDate"]?.text else { return nil }
    let isSameDay = born.hasPrefix(day) || day.hasPrefix(born)
    let isSameName = one["name"] != nil && one["name"] == other["name"]
    return isSameDay == isSameName ? isSameDay : nil
  }

  /// The business identifiers of a Patient that count: system and value.
  private static func identifiers(of patient: CanonicalJSON) -> Set<[String]> {
    Set(
      patient.children("identifier").compactMap { identifier in
        guard let system = identifier["system"]?.text, let value = identifier["value"]?.text,
          system != Self.accountSystem, identifier["use"]?.text != "old"
        else { return nil }
        return [system, value]
      })
  }

  /// What is here of a patient or names it in any element that is searched, the patient and deleted resources not among
  /// them.
  private func names(about id: String) -> Set<String> {
    let name = "Patient/\(id)"
    var names = Set(self.index.names(ofPatient: id))
    for type in SearchParameter.types {
      let rows = self.index.rows[type] ?? []
      for (code, parameter) in SearchParameter.of(type) ?? [:] where parameter.kind == .reference {
        for place in self.index.candidates(type, code, name)
        where rows[place].values[code]?.contains(.reference(name)) ?? false {
          names.insert("\(type)/\(rows[place].id)")
        }
      }
    }
    names.remove(name)
    return names
  }
}
