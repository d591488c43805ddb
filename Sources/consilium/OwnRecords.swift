internal import FHIR
internal import Foundation
internal import Gateway
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

extension OwnRecords {
  /// The most that are named one by one.
  private static let namedMax = 10_000

  /// Says which of them nothing in a store goes with any more: nothing that is written there corrects them.
  ///
  /// - Throws: `StorageFailure` where what the store holds cannot be read.
  static func sayOrphans(of resources: EncryptedResources, _ config: NodeConfig) throws {
    var held = Set(try resources.records())
    try resources.notes { note in
      held.formUnion([note.anchored?.record, note.draft?.goal.record].compactMap { $0 })
    }
    var (orphans, count): ([RecordEntry], Int) = ([], 0)
    let folder = config.data + "/ledger"
    do {
      guard FileManager.default.fileExists(atPath: folder + "/data.mdb") else {
        throw StorageFailure.folder(path: folder, reason: "there is no ledger yet")
      }
      let ledger = try StoreReader(
        Store(
          path: folder, genesis: try GenesisFile.read(config.genesis), member: MemberID(config.member),
          mapSizeMax: config.mapSizeMax, fresh: nil))
      self.each(in: ledger, of: MemberID(config.member)) { entry in
        guard !held.contains(entry.anchor.record) else { return true }
        count += 1
        if orphans.count < self.namedMax { orphans.append(entry) }
        return true
      }
    } catch {
      return Console.line(
        "Which records on the ledger nothing here corrects any more is not known: \(error). \(self.consequence)")
    }
    guard count > 0 else {
      return Console.line("Each current record of this hospital's own system on the ledger goes with something here.")
    }
    Console.line(
      "\(count) current records of this hospital's own system go with nothing here: what was lost, and what was given "
        + "by command or as a document, which the ledger does not tell apart. \(self.consequence)")
    for entry in orphans {
      let anchor = entry.anchor
      Console.line("  \(anchor.record)  patient \(anchor.patient)  \(anchor.category.name)  \(entry.time)")
    }
    if count > orphans.count { Console.line("  and \(count - orphans.count) more: consilium record list PATIENT") }
  }

  private static let consequence =
    "What the EHR writes again, under the same id too, becomes a further record beside the lost one's, and both are "
    + "current for every hospital. Withdraw each lost one: consilium record add FILE --patient ACCOUNT --supersedes "
    + "RECORD, where FILE is the resource marked as entered in error."
}
