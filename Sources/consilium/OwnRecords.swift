internal import HealthRecords
internal import Primitives
internal import Storage
internal import Wire

/// The current records on a node's ledger that its hospital's own system anchored: what the EHR wrote, and what was
/// given by command or as a document. ⚑ The ledger does not tell these apart: it holds commitments, neither types nor
/// ids, and a record's identifier follows from salted content.
enum OwnRecords {
  /// Hands over one after another while `body` returns true.
  static func each(in ledger: StoreReader, of hospital: MemberID, _ body: (RecordEntry) -> Bool) {
    var start = StateKey.records
    while let pair = ledger.pair(from: start), pair.key.starts(with: StateKey.records) {
      start = pair.key + [0]
      guard let entry = try? RecordEntry.decode(pair.value) else { continue }
      let isOwn = entry.hospital == hospital && entry.anchor.author == nil
      guard isOwn, entry.supersededBy == nil, !entry.isErased else { continue }
      guard body(entry) else { return }
    }
  }

  /// Whether there is any.
  static func isAny(in ledger: StoreReader, of hospital: MemberID) -> Bool {
    var isAny = false
    self.each(in: ledger, of: hospital) { _ in
      isAny = true
      return false
    }
    return isAny
  }
}
