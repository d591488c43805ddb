internal import HealthRecords

/// The patients whom a message is about as they are here: who was merged into whom, and whose account each has.
struct Persons {
  /// By `Patient/ID`.
  private let people: [String: HeldResource]

  /// The most charts that one person's may be merged of; more are refused.
  static let mergedMax = 64

  init(_ held: HeldResources) {
    var people = held.people
    for (key, one) in held.resources where key.type == "Patient" { people[Self.name(one)] = one }
    self.people = people
  }

  static func name(_ patient: HeldResource) -> String { "Patient/\(patient.id)" }

  /// The patients whom a patient's links of a kind name.
  static func links(_ type: String, of patient: HeldResource) -> [String] {
    (patient.json["link"]?.items ?? []).filter { $0["type"]?.text == type }
      .compactMap { $0["other"]?["reference"]?.text }
  }

  /// The accounts of the ledger that a patient is linked to.
  static func accounts(of patient: HeldResource) -> Set<String> {
    let items = patient.json["identifier"]?.items ?? []
    return Set(items.filter { $0["system"]?.text == "urn:consilium:account" }.compactMap { $0["value"]?.text })
  }

  static func isClosed(_ patient: HeldResource) -> Bool { patient.json["active"] == .bool(false) }

  /// Who is in a closed chart's place now: the one that it was merged into, and so on; the same where it was not.
  ///
  /// - Throws: `HL7Fault` where nobody can tell who that is.
  func successor(of patient: HeldResource) throws(HL7Fault) -> HeldResource {
    var (at, seen) = (patient, Set([Self.name(patient)]))
    while Self.isClosed(at) {
      let next = Self.links("replaced-by", of: at)
      guard let name = next.first else { return at }
      guard Set(next).count == 1, seen.insert(name).inserted, seen.count <= Self.mergedMax,
        let there = self.people[name]
      else {
        throw HL7Fault(
          .conflict, "PID", field: 3,
          "\(Self.name(patient)) was merged into \(next.joined(separator: " and ").prefix(200)), which leads to no "
            + "single chart: say by FHIR which is the patient's")
      }
      at = there
    }
    return at
  }

  /// The charts that were merged into one's, also by way of others. ⚑ Both sides must say so, the other must be
  /// closed, and no other account's: one who is linked becomes nobody else by a number.
  func merged(into patient: HeldResource?) -> Set<String> {
    guard let patient else { return [] }
    let accounts = Self.accounts(of: patient)
    var (found, waiting) = (Set<String>(), [patient])
    while let at = waiting.popLast(), found.count < Self.mergedMax {
      for name in Self.links("replaces", of: at) {
        guard let other = self.people[name], Self.isClosed(other),
          Self.links("replaced-by", of: other).contains(Self.name(at)),
          Self.accounts(of: other).isSubset(of: accounts), found.insert(name).inserted
        else { continue }
        waiting.append(other)
      }
    }
    return found
  }
}

extension Mapping {
  /// Whom each patient's number means here: where its chart was merged into another, the one that stays.
  ///
  /// - Throws: `HL7Fault` where that cannot be said, or is no longer who the message says.
  func persons(_ held: HeldResources, _ persons: Persons) throws(HL7Fault) -> [ResourceKey: HeldResource] {
    var meant = held.resources
    for draft in self.drafts where draft.key.type == "Patient" {
      if let there = held.resources[draft.key] {
        try Self.requireSame(draft, there)
        if draft.isOnlyMade {
          meant[draft.key] = try persons.successor(of: there)
        } else {
          try Self.requireOpen(draft, there, held)
        }
      }
      try self.requireOwnNumbers(draft, meant[draft.key], held, persons)
    }
    return meant
  }

  /// ⚑ Results, documents and appointments do not say who somebody is: where number and person do not fit together,
  /// one of them is wrong.
  private static func requireSame(_ draft: Draft, _ there: HeldResource) throws(HL7Fault) {
    guard draft.isOnlyMade else { return }
    func said(_ name: String) -> CanonicalJSON? { draft.elements.last { $0.name == name }?.value }
    func isOther(_ name: String) -> Bool {
      guard let one = said(name)?.text, let other = there.json[name]?.text, other != "unknown", one != "unknown" else {
        return false
      }
      // A day and its year say the same.
      return !one.hasPrefix(other) && !other.hasPrefix(one)
    }
    func families(_ names: CanonicalJSON?) -> Set<String> {
      Set((names?.items ?? []).compactMap { $0["family"]?.text?.lowercased() })
    }
    let (named, known) = (families(said("name")), families(there.json["name"]))
    let isOtherName = !named.isEmpty && !known.isEmpty && named.isDisjoint(with: known)
    guard isOther("birthDate"), isOther("gender") || isOtherName else { return }
    throw HL7Fault(
      .conflict, "PID", field: 3,
      "Patient \(draft.key.value.prefix(80)) has another birth date here (PID-7), and another "
        + "\(isOtherName ? "family name (PID-5)" : "sex (PID-8)"): the number is another person's, or the person's "
        + "data are to be corrected first")
  }

  /// Who was merged into another is not written by the old number, but for a merge in the other direction.
  private static func requireOpen(_ draft: Draft, _ there: HeldResource, _ held: HeldResources) throws(HL7Fault) {
    let after = Set(Persons.links("replaced-by", of: there))
    let counterparts = Set(draft.links.compactMap { held.resources[$0.to].map { Persons.name($0) } })
    if Persons.isClosed(there), let other = after.subtracting(counterparts).min() {
      throw HL7Fault(
        .conflict, draft.isMergedAway ? "MRG" : "PID", field: draft.isMergedAway ? 1 : 3,
        "Patient \(draft.key.value.prefix(80)) was merged into \(other): name it by the number that stays")
    }
    guard draft.isMergedAway else { return }
    for link in draft.links {
      let stays = held.resources[link.to].map { Persons.accounts(of: $0) } ?? []
      guard Persons.accounts(of: there).isSubset(of: stays) else {
        throw HL7Fault(
          .conflict, "MRG", field: 1,
          "Patient \(draft.key.value.prefix(80)) is linked to an account of the ledger that the one that stays is not "
            + "linked to: they are two persons there; link the one that stays by FHIR first, where they are one")
      }
    }
  }

  /// ⚑ A number beside the one that is gone by may be another chart's: who that is is then a guess.
  private func requireOwnNumbers(
    _ draft: Draft, _ meant: HeldResource?, _ held: HeldResources, _ persons: Persons
  ) throws(HL7Fault) {
    var own = persons.merged(into: meant)
    for one in [meant, held.resources[draft.key]] { if let one { own.insert(Persons.name(one)) } }
    for link in draft.links { if let one = held.resources[link.to] { own.insert(Persons.name(one)) } }
    for number in draft.numbers {
      guard let other = (held.holders[number] ?? []).map({ "Patient/\($0)" }).first(where: { !own.contains($0) })
      else { continue }
      throw HL7Fault(
        .conflict, "PID", field: 3,
        "the number \(number.value.prefix(80)) is \(other)'s here, and \(draft.key.value.prefix(80)) is not: "
          + "correct the one that is wrong, or merge them first (ADT^A40)")
    }
  }

  /// Refuses what is another patient's here. ⚑ What is written of one person becomes another's only where that one's
  /// number was merged into this one's.
  func requireSamePatient(
    _ draft: Draft, _ there: HeldResource, _ meant: [ResourceKey: HeldResource], _ persons: Persons
  ) throws(HL7Fault) {
    guard let patient = draft.patient else { return }
    let person = meant[patient]
    let own = persons.merged(into: person).union(person.map { [Persons.name($0)] } ?? [])
    let actors = (there.json["participant"]?.items ?? []).compactMap { $0["actor"] }.filter { actor in
      actor["type"]?.text == "Patient" || (actor["reference"]?.text ?? "").contains("Patient/")
    }
    for before in [there.json["subject"], there.json["patient"]].compactMap({ $0 }) + actors {
      let isOwn: Bool
      if let name = before["reference"]?.text {
        isOwn = own.contains(name)
      } else if let number = before["identifier"], let value = number["value"]?.text {
        isOwn =
          (number["system"]?.text == patient.system && value == patient.value)
          || (person?.json["identifier"]?.items ?? []).contains {
            $0["system"] == number["system"] && $0["value"]?.text == value
          }
      } else {
        continue
      }
      guard !isOwn else { continue }
      let whose = before["reference"]?.text ?? before["identifier"]?["value"]?.text ?? "another"
      throw HL7Fault(
        .conflict,
        "\(draft.key.type) \(draft.key.value.prefix(80)) is of \(whose.prefix(80)) here, and the message is of "
          + "\(patient.value.prefix(80)): correct the one that is wrong")
    }
  }
}
