import Messages
import Primitives
import Rules
import Signing
import Wire

/// Records: anchoring, amendment, erasure (RECORDS §3, §4).
extension RuleContext {
  func anchorRecord(_ anchor: RecordAnchor, in state: inout StateEditor) throws {
    try self.requireHospital()
    let network = self.execution.network
    guard let patient = state.item(StateKey.account(anchor.patient), as: Account.self),
      patient.kind == .patient
    else { throw Refusal.unknownAccount }
    // ⚑ Only in the lane of the hospital whose pseudonym it is: nobody else can anchor it as their own.
    guard patient.hospital == self.hospital else { throw Refusal.otherHospital }
    let identifier = RecordAnchor.identifier(
      network: network, hospital: self.hospital, patient: anchor.patient, hashLock: anchor.hashLock)
    guard anchor.record == identifier else { throw Refusal.wrongRecordIdentifier }
    // ⚑ Everybody reckons with it.
    guard anchor.sizeBytes <= RecordPart.sizeBytesMax else { throw Refusal.tooLarge }
    guard state.value(StateKey.record(identifier)) == nil else { throw Refusal.recordExists }
    try self.checkAuthor(of: anchor, in: state)
    if let superseded = anchor.supersedes { try self.amend(superseded, by: anchor, in: &state) }
    let entry = RecordEntry(
      anchor: anchor, hospital: self.hospital, leaf: self.execution.leaf, time: self.time,
      generation: CustodyKeys(in: state).currentGeneration)
    LiveRecords.count(entry, by: 1, in: &state)
    state.set(StateKey.record(identifier), entry)
    state.set(StateKey.patientRecord(anchor.patient, leaf: self.execution.leaf), identifier)
    let counter = StateKey.recordCount(of: anchor.patient)
    state.set(counter, number: state.number(counter) + 1)
  }

  private func checkAuthor(of anchor: RecordAnchor, in state: StateEditor) throws(Refusal) {
    guard let author = anchor.author else {
      guard anchor.authorSignature == nil else { throw .wrongAuthorSignature }
      return
    }
    guard let account = state.item(StateKey.account(author), as: Account.self) else { throw .unknownAccount }
    guard account.kind == .practitioner || account.kind == .device else { throw .wrongRole }
    guard account.hospital == self.hospital else { throw .otherHospital }
    guard account.isActive(at: self.time) else { throw .accountInactive }
    let message = RecordAnchor.authored(
      network: self.execution.network, record: anchor.record, patient: anchor.patient,
      category: anchor.category, hashLock: anchor.hashLock, supersedes: anchor.supersedes)
    guard let signature = anchor.authorSignature, account.key.verifies(signature, of: message) else {
      throw .wrongAuthorSignature
    }
  }

  private func amend(
    _ superseded: Digest, by anchor: RecordAnchor, in state: inout StateEditor
  ) throws(Refusal) {
    guard var entry = state.item(StateKey.record(superseded), as: RecordEntry.self),
      entry.anchor.patient == anchor.patient, entry.supersededBy == nil, !entry.isErased
    else { throw .wrongAmendment }
    entry.supersededBy = anchor.record
    state.set(StateKey.record(superseded), entry)
    self.inheritErasure(of: superseded, by: anchor, in: &state)
  }

  /// Digests of a hospital's own systems: the log itself is what keeps them.
  func commitDigests() throws {
    let count = self.transaction.payload.count
    guard count > 0, count.isMultiple(of: Digest.lengthBytes) else {
      throw WireError.invalid(at: 0, field: "digests")
    }
  }
}
