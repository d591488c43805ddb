import HealthRecords
public import Primitives

/// What becomes of resources on the ledger.
extension FHIRService {
  /// Anchors what was written of linked patients, each over the record `before` it; what became of each.
  func anchor(_ writes: Writes, before: [Digest?]) async throws -> [String: String] {
    var pending: [(resource: StoredResource, account: Digest, supersedes: Digest?)] = []
    for (resource, record) in zip(writes.resources, before) where !resource.isDeleted {
      guard let patient = self.index.row(resource.name)?.patient, let account = self.account(ofPatient: patient) else {
        continue
      }
      pending.append((resource, account, record))
      if resource.type == "Patient" { pending += try self.unanchored(ofPatient: patient, account, besides: writes) }
    }
    return await self.anchor(pending)
  }

  /// Anchors what could not be anchored when it was written; how many resources could be now.
  public func anchorPending() async -> Int {
    var pending: [(resource: StoredResource, account: Digest, supersedes: Digest?)] = []
    for row in self.index.rows["Patient"] ?? [] where !row.isDeleted || row.erased?.account != nil {
      guard let account = self.account(ofPatient: row.id) else { continue }
      pending += (try? self.unanchored(ofPatient: row.id, account, besides: Writes())) ?? []
    }
    guard !pending.isEmpty else { return 0 }
    return await self.anchor(pending).values.count { Hex.decode($0) != nil }
  }

  /// The account that a patient stored here is linked to; nil where there is none.
  public func account(ofPatient id: String) -> Digest? {
    for value in self.index.row("Patient/\(id)")?.values["identifier"] ?? [] {
      if case .token(Self.accountSystem, let code) = value, let bytes = Hex.decode(code) { return Digest(bytes) }
    }
    return nil
  }

  /// What was written of a patient before it was linked.
  private func unanchored(
    ofPatient id: String, _ account: Digest, besides writes: Writes
  ) throws -> [(resource: StoredResource, account: Digest, supersedes: Digest?)] {
    var out: [(StoredResource, Digest, Digest?)] = []
    for (type, rows) in self.index.rows.sorted(by: { $0.key < $1.key }) {
      for row in rows where row.patient == id && row.record == nil && !row.isDeleted {
        guard writes.latest("\(type)/\(row.id)") == nil, let found = try self.stored(type, row.id, row.version) else {
          continue
        }
        out.append((found, account, nil))
      }
    }
    return out
  }

  /// The most resources that are anchored in one go.
  private static let anchorsMax = 200

  private func anchor(
    _ pending: [(resource: StoredResource, account: Digest, supersedes: Digest?)]
  ) async -> [String: String] {
    var anchors: [String: String] = [:]
    for account in Set(pending.map(\.account)).sorted(by: { $0.description < $1.description }) {
      let own = pending.filter { $0.account == account }
      for start in stride(from: 0, to: own.count, by: Self.anchorsMax) {
        let part = own[start..<min(start + Self.anchorsMax, own.count)]
        let records: [Digest?]
        do {
          records = try await self.anchoring.anchor(
            part.map(\.resource.body), of: account, supersedes: part.map(\.supersedes))
        } catch {
          // It is stored; the ledger takes it when it can.
          for one in part { anchors[one.resource.name] = "pending: \(error)" }
          continue
        }
        var changed: [StoredResource] = []
        for (one, record) in zip(part, records) {
          anchors[one.resource.name] = record?.description ?? "refused"
          guard let record else { continue }
          var resource = one.resource
          resource.record = record
          changed.append(resource)
          self.index.setRecord(record, of: resource.name)
        }
        try? self.store.write(changed)
        try? self.forgetEarly(changed)
      }
    }
    return anchors
  }

  func anchorText(_ record: Digest?, patient: String?) -> String? {
    record?.description ?? (patient.flatMap { self.account(ofPatient: $0) } == nil ? nil : "pending")
  }
}
