public import HealthRecords
public import Primitives
internal import Signing

/// What the ledger erased is forgotten here, too (RECORDS §4): nobody is shown it, and nobody writes it again by the
/// way.
extension FHIRService {
  /// Forgets what a record anchored where the ledger erased it; durable when this returns.
  public func forget(_ record: Digest) async throws {
    guard let right = await self.ledger?.erasure(of: record) else { return }
    try self.forget(record, right)
  }

  /// Forgets what was erased while this was not running.
  public func forgetErased() async throws {
    for record in try self.store.records() { try await self.forget(record) }
  }

  private func forget(_ record: Digest, _ right: Erasure) throws {
    // ⚑ What it bears goes first: were this to end in between, the record is still here to go on with.
    for name in try self.borne(by: record) { try self.forget(borne: name, by: record, right) }
    let gone = try self.erase(record, right)
    for name in self.index.takeMoved() { self.book.touch(name, in: self.index) }
    guard gone.isEmpty else { return }
    // It may be on its way back from the ledger.
    if self.erasedEarly.count >= Self.erasedEarlyMax { self.erasedEarly.removeFirst() }
    self.erasedEarly.append((record, right))
  }

  /// The Binaries whose content goes with a record: what it anchors bears them, and nothing else does.
  private func borne(by record: Digest) throws -> [String] {
    let going = try self.store.going(with: record)
    var (borne, patients): (Set<String>, Set<String>) = ([], [])
    for version in going {
      guard let json = version.json else { continue }
      let named = Attached.names(in: json, type: version.type, at: self.site)
      borne.formUnion(named.held.union(named.linked).union(self.index.bearers.names(under: version.name)))
      if let patient = self.index.patient(of: json, type: version.type, id: version.id) { patients.insert(patient) }
    }
    let names = Set(going.map(\.name))
    return borne.sorted().filter { name in
      guard let row = self.index.row(name), !self.index.bearers.isHeld(name, besides: names) else { return false }
      // One that names another patient itself is that one's.
      return !row.isOwn || row.patient.map { patients.contains($0) } ?? false
    }
  }

  /// Forgets a Binary, with all that is anchored of it and what is not.
  private func forget(borne name: String, by record: Digest, _ right: Erasure) throws {
    let id = String(name.dropFirst("Binary/".count))
    let kept = try self.store.versions(type: "Binary", id: id).filter { $0.erased == nil && !$0.isDeleted }
    for own in Set(kept.compactMap(\.record)).sorted(by: { $0.description < $1.description }) {
      _ = try self.erase(own, right)
    }
    // What no record of its own anchors goes with the one that bears it.
    let rest = try self.store.versions(type: "Binary", id: id).filter { $0.erased == nil && $0.record == nil }
    try self.store.write(
      rest.map { version in
        var version = version
        version.record = record
        return version
      })
  }

  /// Puts what is known of them in the place of the versions that a record anchors; those.
  private func erase(_ record: Digest, _ right: Erasure) throws -> [StoredResource] {
    let time = self.now()
    let gone = try self.store.erase(record) { version in
      var remains = StoredResource(
        type: version.type, id: version.id, version: version.version, ordinal: version.ordinal,
        updated: version.updated, body: [], record: record)
      let account = version.type == "Patient" ? self.account(ofPatient: version.id) : nil
      let identifiers = version.json.map { self.identifiers(of: $0, type: version.type, isErased: true) } ?? []
      remains.erased = StoredResource.Erased(right: right, time: time, account: account, identifiers: identifiers)
      return remains
    }
    for version in gone where version.version == self.index.row(version.name)?.version { self.index.put(version) }
    self.tellWatches(gone)
    for version in gone { self.book.erase(version) }
    return gone
  }

  private static let erasedEarlyMax = 1000

  /// Forgets versions that were erased before their record was known here.
  func forgetEarly(_ anchored: [StoredResource]) throws {
    guard !self.erasedEarly.isEmpty else { return }
    for record in anchored.compactMap(\.record) {
      guard let place = self.erasedEarly.firstIndex(where: { $0.record == record }) else { continue }
      try self.forget(record, self.erasedEarly.remove(at: place).right)
    }
  }

  /// ⚑ An EHR that synchronises sends again what it still has. It is told that it was erased, under the id, and where
  /// it asks by a condition also under a business identifier; what is sent as new is new.
  func requireNotErased(
    _ name: String, _ before: ResourceIndex.Row?, _ json: CanonicalJSON, _ request: FHIRRequest
  ) throws(FHIRFailure) {
    let remedy = "it is not written again; take it out of the system that sends it, or send something new by POST"
    if let before, let erased = before.erased {
      throw FHIRFailure(410, "deleted", "\(name) was erased \(erased.right.words): \(remedy)")
    }
    let isConditional = request.ifNoneExist != nil || (request.method == "PUT" && request.path.count == 1)
    guard isConditional, before?.isDeleted ?? true, !self.index.erasedNames.isEmpty else { return }
    let type = String(name.prefix { $0 != "/" })
    var said = try self.identifiers(asked: request, type: type)
    // ⚑ Without an identifier nothing tells what is sent from what was erased, and nothing else of that is kept.
    guard !said.isEmpty || !self.hasErased(type, ofPatientOf: json) else {
      throw FHIRFailure(
        410, "deleted",
        "a \(type) of that patient was erased, and a condition without an identifier cannot tell it from this one: ask "
          + "by identifier; \(remedy)", at: type)
    }
    said += self.identifiers(of: json, type: type, isErased: false)
    guard !self.index.erasedIdentifiers.isDisjoint(with: said) else { return }
    throw FHIRFailure(410, "deleted", "a \(type) with that identifier was erased: \(remedy)", at: "\(type).identifier")
  }

  /// Whether something of a type and of the patient whom a resource is about was erased.
  private func hasErased(_ type: String, ofPatientOf json: CanonicalJSON) -> Bool {
    guard let patient = self.index.patient(of: json, type: type, id: "") else { return false }
    let account = self.index.account(ofPatient: patient)
    return self.index.erasedNames.contains { name in
      guard name.hasPrefix("\(type)/"), let anchored = self.book.notes[name]?.anchored else { return false }
      return anchored.patient == patient || anchored.account == account
    }
  }

  /// Its business identifiers: in whatever member they stand by which a search finds them. Where one `isErased`, so are
  /// the values by themselves, for a condition may name no system.
  private func identifiers(of json: CanonicalJSON, type: String, isErased: Bool) -> [Digest] {
    guard let parameter = SearchParameter.of(type)?["identifier"] else { return [] }
    let found = SearchValue.values(of: parameter, in: json, at: self.site).prefix(Self.identifiersMax)
    return found.flatMap { identifier -> [Digest] in
      guard case .token(let system, let value) = identifier else { return [] }
      let own = Self.digest(of: value, in: system ?? "", type)
      return isErased ? [own, Self.digest(of: value, in: Self.anySystem, type)] : [own]
    }
  }

  /// The business identifiers that a condition asks for.
  private func identifiers(asked request: FHIRRequest, type: String) throws(FHIRFailure) -> [Digest] {
    var asked = request.query
    if let condition = request.ifNoneExist {
      let isWhole = condition.hasPrefix("\(type)?")
      asked = try FHIRURL.parameters(isWhole ? String(condition.dropFirst(type.count + 1)) : condition)
    }
    let query = try SearchQuery(type: type, asked, at: self.site, self.now())
    return query.filters.filter { $0.code == "identifier" && $0.link == nil }.flatMap(\.alternatives).compactMap {
      guard case .token(let system, let code?) = $0 else { return nil }
      return Self.digest(of: code, in: system ?? Self.anySystem, type)
    }
  }

  /// Stands for every system; no URI begins so.
  private static let anySystem = "*"

  private static func digest(of value: String, in system: String, _ type: String) -> Digest {
    Hash.blake2b(
      "consilium/fhir-identifier/v1", Hash.sha256(Array(type.utf8)).bytes, Hash.sha256(Array(system.utf8)).bytes,
      Array(value.utf8))
  }

  /// The most business identifiers of a resource that are remembered.
  private static let identifiersMax = 16
}

extension StoredResource {
  /// What is known of a version that the ledger erased.
  public struct Erased: Sendable, Hashable {
    /// By what right.
    public let right: Erasure
    /// When it was deleted here.
    public let time: Timestamp
    /// The account, where it was a patient.
    public let account: Digest?
    /// Digests of its business identifiers.
    public let identifiers: [Digest]

    /// What is known, part by part.
    public init(right: Erasure, time: Timestamp, account: Digest?, identifiers: [Digest]) {
      (self.right, self.time, self.account, self.identifiers) = (right, time, account, identifiers)
    }

    func failure(of version: StoredResource) -> FHIRFailure {
      let record = version.record.map { " (record \($0))" } ?? ""
      return FHIRFailure(
        410, "deleted",
        "\(version.name), version \(version.version), was erased \(self.right.words)\(record), and deleted here on "
          + "\(self.time)")
    }
  }

  /// Those of a resource's versions, which come in order, that go with a record: what it anchors, and what no record
  /// anchors, before it back to another record, and after it where none follows.
  public static func going(with record: Digest, of versions: [StoredResource]) -> [StoredResource] {
    let anchored = versions.indices.filter { versions[$0].record != nil }
    return versions.indices.filter { place in
      guard versions[place].erased == nil else { return false }
      let owner = anchored.first { $0 >= place } ?? anchored.last
      return owner.map { versions[$0].record == record } ?? false
    }.map { versions[$0] }
  }
}

extension Erasure {
  /// By whom, in words.
  var words: String {
    switch self {
    case .patient: "by the patient"
    case .retention: "by the hospital, after it was kept for as long as it must be"
    case .order: "by order of a court"
    }
  }
}
