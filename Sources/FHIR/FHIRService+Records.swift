import HealthRecords
import Primitives

/// What is asked of a record on the ledger by its own id. ⚑ A record is what it was when it was anchored, at every
/// hospital: nothing that is stored here comes in its place.
extension FHIRService {
  /// Whether the id that a write names is that of a record.
  func writesRecord(_ request: FHIRRequest) async throws -> Bool {
    let id: String?
    switch (request.method, request.path.count) {
    case ("PUT", 2), ("DELETE", 2), ("PATCH", 2): id = request.path[1]
    // Where nothing meets the condition, the resource's own id is taken.
    case ("PUT", 1): id = try (request.judged?.json ?? Self.read(request.body))["id"]?.text
    default: id = nil
    }
    guard let record = id.flatMap({ Hex.decode($0) }).flatMap({ Digest($0) }) else { return false }
    return await self.anchoring.standing(of: record) != nil
  }

  /// What is said to who would write or delete a record.
  static func failure(ofRecord id: String, _ status: Int) -> FHIRFailure {
    FHIRFailure(
      status, status == 409 ? "conflict" : "not-supported",
      "\(id) is a record on the ledger, which does not change: correct or delete the resource that it was made of, "
        + "under that resource's own id; send a corrected attachment as a new one; withdraw a wrong one by "
        + "DELETE Binary/ID at the hospital that sent it, in a request of its own")
  }

  /// Withdraws an attachment, where a request by itself is its deletion; nil of every other request. What supersedes it
  /// says that it was entered in error: every hospital sees that.
  func withdrawal(by request: FHIRRequest) async throws -> FHIRResponse? {
    guard request.method == "DELETE", request.path.count == 2, request.path[0] == "Binary", request.writesRecord,
      let record = Hex.decode(request.path[1]).flatMap({ Digest($0) }),
      self.index.row("Binary/\(request.path[1])")?.isDeleted ?? true
    else { return nil }
    guard let account = await self.anchoring.attachment(record)?.account, !self.isAnchored(record) else {
      throw Self.failure(ofRecord: request.path[1], 405)
    }
    if let patient = request.asker.patient(to: .delete, "Binary"), self.account(ofPatient: patient) != account {
      throw Self.missing("Binary", request.path[1], patient)
    }
    try Self.check(request, against: Self.recordVersion, "Binary/\(record)")
    guard await self.anchoring.standing(of: record) == .current else { return FHIRResponse(status: 204) }
    if let reason = await self.anchoring.refusal(of: account) {
      throw FHIRFailure(422, "business-rule", "it is not withdrawn: \(reason)")
    }
    let type = CanonicalJSON.members([("contentType", .string("application/octet-stream"))])
    let body = Withdrawal.of("Binary", "\(record)", type, at: self.now())
    switch try await self.anchoring.seal([SealableResource(body: body, supersedes: record)], of: account).first {
    case .sealed(let draft)?: try await self.submit(draft, withdrawing: record)
    case .refused(let reason)?: throw FHIRFailure(422, "business-rule", "it is not withdrawn: \(reason)")
    case nil: throw FHIRFailure(503, "transient", "it is not withdrawn: send it again")
    }
    return FHIRResponse(status: 204)
  }

  /// Refuses what is sensitive and bears a file that was sent as it is and is not: who may read documents would read
  /// that. Says whether the ledger was asked. What was stored so before is still corrected.
  func requireSensitiveFiles(_ planned: [Planned]) async throws(FHIRFailure) -> Bool {
    var isAsked = false
    for one in planned {
      guard let resource = one.resource?.json, !one.borne.isEmpty, Sensitivity.isSensitive(resource) else { continue }
      let isOld = self.index.row(one.name)?.isSensitive ?? false
      for binary in one.borne where !isOld || !self.index.bearers.names(borneBy: one.name).contains(binary) {
        guard let record = Hex.decode(binary.dropFirst("Binary/".count)).flatMap({ Digest($0) }),
          self.index.row(binary)?.isDeleted ?? true
        else { continue }
        isAsked = true
        guard let found = await self.anchoring.attachment(record), !found.isSensitive, !self.isAnchored(record) else {
          continue
        }
        throw FHIRFailure(
          422, "business-rule",
          "it is sensitive, and \(binary) was sent as a document like any other: send the file again with the header "
            + "X-Consilium-Category: sensitive, name that one, and withdraw the first by DELETE \(binary)",
          at: String(one.name.prefix { $0 != "/" }))
      }
    }
    return isAsked
  }

  /// The version of every record.
  private static let recordVersion: UInt64 = 1

  private func submit(_ draft: SealedDraft, withdrawing record: Digest) async throws {
    let outcome = await self.anchoring.submit([draft]).first
    // Two that withdraw it at once: one of them did.
    if await self.anchoring.standing(of: record) != .current { return }
    switch outcome {
    case .anchored?: return
    case .refused(let reason)?: throw FHIRFailure(422, "business-rule", "it is not withdrawn: \(reason)")
    case .unsent(let reason)?: throw FHIRFailure(503, "transient", "it is not withdrawn: \(reason); send it again")
    case .waiting(let reason)?:
      throw FHIRFailure(503, "transient", "it is not known yet whether it is withdrawn: \(reason); send it again")
    case .stale?, nil: throw FHIRFailure(503, "transient", "it is not withdrawn: send it again")
    }
  }

  /// Whether a record is of a resource that is stored here: that one is deleted by its own id.
  private func isAnchored(_ record: Digest) -> Bool {
    self.book.notes.values.contains {
      ($0.anchored?.record == record || $0.draft?.goal.record == record) && self.index.row($0.name) != nil
    }
  }
}
