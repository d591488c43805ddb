import HealthRecords
public import Primitives

/// What a store knows again of records that went on while it lost what it had of them (OPERATIONS §3). ⚑ The ledger
/// tells neither type nor id: a record's own content does.
extension AnchorNote {
  /// The note by which the next write or deletion of a resource supersedes a current record of an account that holds
  /// it, and of which the store has nothing; nil where the content is nothing that was written here by FHIR, or where
  /// the resource has another record that `isCurrent`.
  ///
  /// - Throws: what reading the store throws.
  public static func recovered(
    _ record: Digest, of account: Digest, holding content: [UInt8], in store: any ResourceStore, base: String,
    isCurrent: (Digest) -> Bool
  ) throws -> AnchorNote? {
    guard let json = try? CanonicalJSON(content, limits: .outside), let type = json["resourceType"]?.text,
      SearchParameter.of(type) != nil, let id = json["id"]?.text, !id.isEmpty
    else { return nil }
    let isWithdrawal = Withdrawal.isOne(json)
    // What was given by command may have a type and an id too, but no version of this server's.
    guard isWithdrawal || json["meta"]?["versionId"] != nil else { return nil }
    var note = try store.note(of: "\(type)/\(id)") ?? AnchorNote(name: "\(type)/\(id)")
    if let known = note.anchored?.record, known != record, isCurrent(known) { return nil }
    let index = ResourceIndex(site: Site(base: base, others: try store.bases()))
    // A link whose time may be over by now is none.
    let isLinked = type == "Patient" && !isWithdrawal && ResourceIndex.account(in: json, at: .never) == account
    note.anchored = Anchored(
      record: record, account: account, patient: index.patient(of: json, type: type, id: id) ?? "",
      version: Self.lostVersion, isWithdrawal: isWithdrawal, isLinked: isLinked)
    note.draft = nil
    // ⚑ An older version that is still here is not put in the place of the newer one by itself.
    note.refused = try store.versions(type: type, id: id).last.map {
      Self.laterVersion(record, of: account, than: $0.version)
    }
    return note
  }

  /// Whether a record's content is a withdrawal: it tells of nothing that could be written again.
  public static func isWithdrawal(_ content: [UInt8]) -> Bool {
    (try? CanonicalJSON(content, limits: .outside)).map { Withdrawal.isOne($0) } ?? false
  }

  /// The note of a resource whose record the ledger superseded by `record`, which this store does not know of and which
  /// does not tell by itself what it holds.
  ///
  /// - Throws: what reading the store throws.
  public func outdated(by record: Digest, in store: any ResourceStore) throws -> AnchorNote? {
    let parts = self.name.split(separator: "/", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { return nil }
    return self.outdated(by: record, than: try store.versions(type: parts[0], id: parts[1]).last?.version)
  }

  /// The same where a version is the last that the store has; nil where the ledger has nothing of the resource.
  func outdated(by record: Digest, than version: UInt64?) -> AnchorNote? {
    guard let anchored else { return nil }
    var note = self
    note.anchored = Anchored(
      record: record, account: anchored.account, patient: anchored.patient, version: Self.lostVersion,
      isWithdrawal: false)
    note.draft = nil
    note.refused = version.map { Self.laterVersion(record, of: anchored.account, than: $0) }
    return note
  }

  /// Whether it says that the store has an older version than the ledger.
  public var isOutdated: Bool {
    self.anchored?.isLost == true && self.refused?.reason.hasPrefix(Self.laterReason) == true
  }

  private static let laterReason = "the ledger has a later version than this store, which lost it"

  /// That a version is older than a record on the ledger.
  static func laterVersion(_ record: Digest, of account: Digest, than version: UInt64) -> Refused {
    Refused(
      account: account, version: version,
      reason: "\(self.laterReason), as record \(record): write the resource again, or delete it")
  }

  /// Stands for the version of what was lost.
  fileprivate static let lostVersion: UInt64 = 0
}

extension AnchorNote.Anchored {
  /// Whether the store has lost which version the record holds.
  var isLost: Bool { self.version == AnchorNote.lostVersion }
}
