internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Merkle
internal import Messages
internal import NIOHTTP1
internal import Primitives
internal import Rules
internal import Signing
internal import Vaults
internal import Wire

/// What an auditor has read of a ledger: every entry's hash, and where records are that vaults should keep.
struct AuditedLedger: Codable {
  /// A record that was anchored.
  struct Kept: Codable {
    var anchor: Data
    var hospital: UInt32
  }

  /// The most records of which some are asked for; of more, some are drawn.
  static let keptMax = 10_000
  private static let entriesPerRequest = 1024

  private var size: UInt64 = 0
  private var peaks: [Data] = []
  private var anchored: UInt64 = 0
  /// The time of the last entry that was read, by the ledger; nil in a file of before that was kept.
  private var time: UInt64?
  private(set) var kept: [Kept] = []

  /// Reads every entry up to a signed tree head; its root must come out of them. `keep` is called before an alarm.
  mutating func read(through head: CheckpointBody, _ client: NodeClient, keep: () throws -> Void) async throws {
    guard var log = MerkleFrontier(size: self.size, peaks: self.peaks.compactMap { Digest(Array($0)) }) else {
      throw Failure("the auditor's own file is damaged", why: "its hashes do not fit its size", remedy: "delete it")
    }
    while log.size < head.size {
      let count = min(head.size - log.size, UInt64(Self.entriesPerRequest))
      let bytes = try await client.send(.GET, "/v1/log/entries?from=\(log.size)&count=\(count)")
      var decoder = Decoder(bytes)
      let start = log.size
      while decoder.remaining > 0, log.size < head.size {
        let encoded: [UInt8]
        do throws(WireError) { encoded = try decoder.blob(max: 1 << 24, "entry") } catch { break }
        log.append(MerkleHash.leaf(encoded)) { _, _, _ in }
        if let entry = try? LogEntry.decode(encoded) { self.note(entry) }
      }
      guard log.size > start else {
        try keep()
        throw Failure(
          "ALARM: entries are withheld", why: "the node signed a log of \(head.size) entries and gives \(start)",
          remedy: "ask the other members for entry \(start)", status: ExitStatus.refused)
      }
    }
    guard log.size != head.size || log.root == head.root else {
      try keep()
      throw Failure(
        "ALARM: the entries are not what was signed",
        why: "\(head.size) entries hash to \(log.root.short)…, a quorum signed \(head.root.short)…",
        remedy: "compare the entries from \(self.size) on with the other members'", status: ExitStatus.refused)
    }
    (self.size, self.peaks) = (log.size, log.peaks.map { Data($0.bytes) })
  }

  /// Whether a member's vault may still be fetching what it should keep, as far as the ledger was read.
  func isFetching(_ member: ReplicaIndex, in chain: ConfigurationChain) -> Bool {
    let since = Placement.entrusted(since: chain.configurations[0], chain.changes)
    return Challenges.isFetching(since: since[member], at: Timestamp(milliseconds: self.time ?? .max))
  }

  private mutating func note(_ entry: LogEntry) {
    self.time = entry.time.milliseconds
    guard entry.outcome == .applied, entry.transaction.kind == TransactionKind.anchorRecord.rawValue else { return }
    let kept = Kept(anchor: Data(entry.transaction.payload), hospital: entry.transaction.hospital.number)
    self.anchored += 1
    if self.kept.count < Self.keptMax { return self.kept.append(kept) }
    // Every record stands in the sample with the same chance.
    let place = Int(Hash.sha256(Array("\(self.anchored)".utf8), entry.transaction.payload).prefix64 % self.anchored)
    if place < Self.keptMax { self.kept[place] = kept }
  }
}

/// A question that an auditor put to a member's vault, and its answer.
struct VaultChallenge: Codable {
  var time: String
  var member: UInt32
  var record: String
  var chunk: Int
  var outcome: String

  /// The most draws for a vault that is asked again.
  private static let drawsMax = 10_000

  /// Asks for a chunk that neither node nor vault chose: tree head and lot name record, member and chunk; the first
  /// that names a given member, where there is one. nil where there is nothing to ask for, or the vault that is drawn
  /// may still be fetching it.
  static func put(
    _ ledger: AuditedLedger, _ chain: ConfigurationChain, head: CheckpointBody, lot: [UInt8], of given: UInt32?,
    _ client: NodeClient
  ) async throws -> VaultChallenge? {
    let draw = Hash.sha256(head.root.bytes, lot)
    var random = SeededGenerator(seed: draw.prefix64)
    guard !ledger.kept.isEmpty else { return nil }
    let (configuration, placement) = (chain.last, Placement(chain.last))
    for _ in 0..<(given == nil ? 1 : Self.drawsMax) {
      let kept = ledger.kept[Int(random.below(UInt64(ledger.kept.count)))]
      guard let anchor = try? RecordAnchor.decode(Array(kept.anchor)),
        let hospital = configuration.index(of: MemberID(kept.hospital))
      else { continue }
      let holders = configuration.voters.filter { placement.isHolder($0, of: anchor.record, from: hospital) }
      let index = holders[Int(random.below(UInt64(holders.count)))]
      let member = configuration.members[index].id.number
      // ⚑ A member that came back under new keys a moment ago has nothing yet, and fetches it: that accuses nobody.
      guard given == nil || given == member, !ledger.isFetching(index, in: chain) else { continue }
      let chunk = Int(random.below(UInt64(anchor.chunkCount)))
      let view: KeptView = try await client.get("/v1/vaults/\(member)/\(anchor.record)/\(chunk)")
      var outcome = view.outcome
      if outcome == .proven, view.proof(of: chunk)?.isAuthentic(for: anchor) != true { outcome = .failed }
      return VaultChallenge(
        time: "\(Drafts.now)", member: member, record: "\(anchor.record)", chunk: chunk, outcome: outcome.rawValue)
    }
    return nil
  }
}
