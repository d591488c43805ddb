internal import FHIR
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import ObjectStore
internal import Primitives
internal import Storage
internal import Wire

/// The current records on a node's ledger that its hospital's own system anchored, one after another: what the EHR
/// wrote, and what was given by command or as a document. ⚑ The ledger does not tell these apart: it holds commitments,
/// neither types nor ids, and a record's identifier follows from salted content.
struct OwnRecords: Sequence, IteratorProtocol {
  private let ledger: StoreReader
  private let hospital: MemberID
  private var start = StateKey.records

  init(in ledger: StoreReader, of hospital: MemberID) { (self.ledger, self.hospital) = (ledger, hospital) }

  mutating func next() -> RecordEntry? {
    while let pair = self.ledger.pair(from: self.start), pair.key.starts(with: StateKey.records) {
      self.start = pair.key + [0]
      guard let entry = try? RecordEntry.decode(pair.value), entry.hospital == self.hospital,
        entry.anchor.author == nil, entry.isCurrent
      else { continue }
      return entry
    }
    return nil
  }

  /// Whether there is any.
  var isEmpty: Bool {
    var records = self
    return records.next() == nil
  }
}

extension RecordEntry {
  var isCurrent: Bool { self.supersededBy == nil && !self.isErased }
}

/// Why the ledger cannot be asked.
private struct Unknown: Error, CustomStringConvertible { let description: String }

/// The records that went on while the EHR's store lost what it had of them. Each is opened by the hospital's own copy
/// of its key, on this machine alone, to learn which resource it holds: what the EHR writes of that resource then
/// supersedes it. Nothing of the content is shown or kept, and that it was opened is in the log of readings.
struct Orphans {
  private let resources: EncryptedResources
  private let config: NodeConfig
  private let ledger: StoreReader
  /// How far that goes.
  private let end: LedgerPosition
  private let secrets: [[UInt8]]
  private let readings: (any ReadingLog)?
  private let vault: (any Vault)?
  /// Why none is opened; nil where they are.
  private var trouble: String?
  private var found = Found()

  /// What was found.
  private struct Found {
    /// The last write that the store has; nil where it has none.
    var until: Timestamp?
    /// What nothing here goes with: of after the store's last write, and of before it.
    var (late, others): ([RecordEntry], [RecordEntry]) = ([], [])
    var (knownCount, lateCount, othersCount) = (0, 0, 0)
    /// How many are not in the vault: what those hold is not known.
    var absentCount = 0
    /// How many are in the vault, and none of the secrets opens them.
    var closedCount = 0
    /// The record that was found for each resource, and all that ever were.
    var (chosen, ever): ([String: (entry: RecordEntry, isWithdrawal: Bool)], Set<Digest>) = ([:], [])
    /// The resources of which an older version is here.
    var older: Set<String> = []
    var notes: [AnchorNote] = []
    var readings: [LocalReading] = []
  }

  /// The most that are named one by one, of each sort.
  private static let namedMax = 10_000
  /// So many are noted together.
  private static let batchMax = 500

  /// Looks for what a store lost and the ledger has, opens it by this hospital's secrets, of today and of before, and
  /// says what follows; `key` seals the hospital's own stores, `wasDue` is what `Comparison.begin` gave, and the
  /// configuration stands at `path`.
  ///
  /// - Throws: `Failure` where the store or the log of readings cannot be read or written.
  static func settle(
    _ resources: EncryptedResources, _ config: NodeConfig, secrets: [[UInt8]], key: Digest, wasDue: Bool, goesOn: Bool,
    configured path: String
  ) async throws {
    var unknown: String?
    do {
      var orphans = try Self(resources, config, secrets, key)
      do { try await orphans.settle() } catch {
        throw Failure("what was lost cannot be noted", error, status: ExitStatus.failedIO)
      }
      orphans.say()
      unknown = orphans.unknown(wasDue: wasDue)
      // ⚑ What the EHR wrote before this hospital came back under new keys would pass for given by command.
      if orphans.found.closedCount > 0 {
        try Comparison.keep(config, Comparison.rekey(path, old: ["OLD/node.key"]))
      }
    } catch let failure as Failure { throw failure } catch { unknown = "\(error)" }
    // What is not known is said where it is served all the same, too.
    if let unknown, goesOn { Console.line("It is served though not all is known: \(unknown).") }
    if let unknown, !goesOn {
      return Console.line(
        "Which records on the ledger nothing here corrects any more is not known whole: \(unknown). Until it is, the "
          + "FHIR interface is refused: start the node; once consilium status gives notice that it has its ledger and "
          + "vault, stop it and give: \(Comparison.command(config)). To go on without knowing: \(Self.flag)")
    }
    for mark in [HospitalStore.uncompared(beside: config.keys), HospitalStore.comparable(beside: config.keys)] {
      try? FileManager.default.removeItem(atPath: mark)
    }
  }

  /// The flag by which a store is served though what the ledger has of it is not known.
  static let flag = "--accept-uncompared"

  /// Why not all is known of what the ledger has; nil where it is. `wasDue` tells whether it was not known before.
  private func unknown(wasDue: Bool) -> String? {
    if let trouble { return trouble }
    if self.end.sequence == .zero { return "this node's ledger has nothing yet" }
    if self.found.absentCount > 0 {
      return "\(self.found.absentCount) current records of this hospital's own system are not in its vault"
    }
    if self.found.closedCount > 0 {
      return "\(self.found.closedCount) of them are sealed for a node.key that this hospital had before, and say what "
        + "they hold to that one alone: give --old-key for each that it had"
    }
    guard !Comparison.isPossible(self.config) else { return nil }
    if wasDue { return "this node did not say since that it has its ledger and vault" }
    if let until = self.found.until, self.end.time < until {
      return "this node's ledger ends at \(self.end.time), and the store's last write is of \(until)"
    }
    return nil
  }

  private init(
    _ resources: EncryptedResources, _ config: NodeConfig, _ secrets: [[UInt8]], _ key: Digest
  ) throws {
    (self.resources, self.config, self.secrets) = (resources, config, secrets)
    let folder = config.data + "/ledger"
    guard FileManager.default.fileExists(atPath: folder + "/data.mdb") else {
      throw Unknown(description: "there is no ledger in \(folder) yet")
    }
    let genesis = try GenesisFile.read(config.genesis)
    self.ledger = try StoreReader(
      Store(
        path: folder, genesis: genesis, member: MemberID(config.member), mapSizeMax: config.mapSizeMax, fresh: nil))
    self.end = try self.ledger.restore(limits: genesis.limits).position
    do {
      // ⚑ What cannot be noted is not opened.
      let mark = try HospitalStore.readings.keptMark(config)
      self.readings = try HospitalStore.readings(config, key: key, mark: mark)
    } catch {
      self.readings = nil
      self.trouble =
        "the log of who read what is not as this node left it, and nothing is opened that cannot be noted there: first "
        + "bring it back, or give consilium fhir accept-loss --store readings (\(error))"
    }
    let path = config.data + "/vault"
    if let settings = config.objectStore {
      self.vault = S3Vault(settings)
    } else if FileManager.default.fileExists(atPath: path + "/data.mdb") {
      self.vault = try EmbeddedVault(path: path, mapSizeMax: config.mapSizeMax)
    } else {
      self.vault = nil
      self.trouble = self.trouble ?? "there is no vault in \(path)"
    }
  }

  private mutating func settle() async throws {
    let (ledger, hospital) = (self.ledger, MemberID(self.config.member))
    var held = Set(try self.resources.records())
    var outdated: [Digest: AnchorNote] = [:]
    try self.resources.notes { note in
      held.formUnion([note.anchored?.record, note.draft?.goal.record].compactMap { $0 })
      guard let record = note.anchored?.record, let later = Self.successor(of: record, in: ledger, of: hospital)
      else { return }
      outdated[later] = note
    }
    self.found.until = try Self.extent(of: self.resources).until
    for entry in OwnRecords(in: ledger, of: hospital) where !held.contains(entry.anchor.record) {
      let absent = self.found.absentCount
      switch try await self.held(by: entry) {
      case .resource(let note): self.choose(entry, note)
      // What moved to another patient left it behind, and it asks nothing of anybody.
      case .withdrawal: break
      case .other:
        // What does not tell what it holds may stand in the place of a record that this store has.
        let note = try outdated[entry.anchor.record]?.outdated(by: entry.anchor.record, in: self.resources)
        if let note { self.choose(entry, note) } else if self.found.absentCount == absent { self.addOther(entry) }
      }
      if self.found.readings.count + self.found.notes.count >= Self.batchMax { try await self.keep() }
    }
    try await self.keep()
  }

  /// The latest of the records that supersede one, where this hospital's own system made each of them.
  private static func successor(of record: Digest, in ledger: StoreReader, of hospital: MemberID) -> Digest? {
    func entry(_ record: Digest) -> RecordEntry? {
      ledger.value(StateKey.record(record)).flatMap { try? RecordEntry.decode($0) }
    }
    var (last, next) = (Digest?.none, entry(record)?.supersededBy)
    while let identifier = next {
      guard let found = entry(identifier), found.hospital == hospital, found.anchor.author == nil, !found.isErased
      else { return nil }
      (last, next) = (identifier, found.supersededBy)
    }
    return last
  }

  /// How many resources a store has, and when the last of anything in it was written.
  static func extent(of resources: EncryptedResources) throws -> (count: Int, until: Timestamp?) {
    var (count, until) = (0, Timestamp?.none)
    try resources.latest { resource in
      if !resource.isDeleted { count += 1 }
      until = max(until ?? .zero, resource.updated)
    }
    return (count, until)
  }

  /// Of several records of a resource the last counts: the others stay until somebody withdraws them. ⚑ A withdrawal
  /// beside another record is what stayed with the patient whose the resource was before: the other counts, whichever
  /// was first, and the withdrawal asks nothing of anybody.
  private mutating func choose(_ entry: RecordEntry, _ note: AnchorNote) {
    let isWithdrawal = note.anchored?.isWithdrawal ?? false
    if let before = self.found.chosen[note.name] {
      let isLess = before.isWithdrawal == isWithdrawal ? before.entry.leaf > entry.leaf : isWithdrawal
      guard !isLess else { return isWithdrawal ? () : self.addOther(entry) }
      if !before.isWithdrawal { self.addOther(before.entry) }
    } else {
      self.found.knownCount += 1
    }
    self.found.chosen[note.name] = (entry, isWithdrawal)
    if note.isOutdated { self.found.older.insert(note.name) }
    self.found.ever.insert(entry.anchor.record)
    self.found.notes.append(note)
  }

  private mutating func addOther(_ entry: RecordEntry) {
    self.found.othersCount += 1
    if self.isLate(entry) {
      self.found.lateCount += 1
      if self.found.late.count < Self.namedMax { self.found.late.append(entry) }
    } else if self.found.others.count < Self.namedMax {
      self.found.others.append(entry)
    }
  }

  /// Whether it was anchored after all that the store has.
  private func isLate(_ entry: RecordEntry) -> Bool { self.found.until.map { entry.time > $0 } ?? false }

  /// ⚑ That records were opened is durable before anything follows from it.
  private mutating func keep() async throws {
    if !self.found.readings.isEmpty { try await self.readings?.note(self.found.readings) }
    guard !self.found.notes.isEmpty || !self.found.readings.isEmpty else { return }
    try self.resources.write([], notes: self.found.notes)
    (self.found.readings, self.found.notes) = ([], [])
  }

  /// What a record holds.
  private enum Held {
    /// What the EHR wrote, with the note by which what it writes next supersedes the record.
    case resource(AnchorNote)
    /// The withdrawal of a resource that has another current record.
    case withdrawal
    /// Nothing that the EHR wrote; or it cannot be opened here.
    case other
  }

  private mutating func held(by entry: RecordEntry) async throws -> Held {
    let anchor = entry.anchor
    guard let vault, self.trouble == nil, anchor.chunkCount <= SealedRecord.chunksMax else { return .other }
    let sealed: SealedRecord?
    do throws(VaultFailure) { sealed = try await vault.record(anchor.record) } catch {
      self.trouble = "\(error)"
      return .other
    }
    guard let sealed else {
      self.found.absentCount += 1
      return .other
    }
    let keys = self.secrets.lazy.compactMap {
      SealedRecord.key(in: sealed.boxes.hospitalCopy, of: anchor.record, secret: $0)
    }
    guard let key = keys.first else {
      self.found.closedCount += 1
      return .other
    }
    let content: [UInt8]
    // What is not what was anchored tells nothing of it.
    do throws(RecordFault) { content = try sealed.open(key: key, anchored: anchor).canonical } catch { return .other }
    let (ledger, ever) = (self.ledger, self.found.ever)
    let note = try AnchorNote.recovered(
      anchor.record, of: anchor.patient, holding: content, in: self.resources,
      base: self.config.fhirEntrance(nil).map { FHIRServer.base(at: $0) } ?? ""
    ) { record in
      guard !ever.contains(record) else { return false }
      return ledger.value(StateKey.record(record)).flatMap { try? RecordEntry.decode($0) }?.isCurrent ?? false
    }
    self.found.readings.append(
      LocalReading(
        patient: anchor.patient, reader: nil, client: nil, interaction: .read,
        types: [note.map { String($0.name.prefix { $0 != "/" }) } ?? "DocumentReference"],
        request: "consilium fhir accept-loss", time: Drafts.now))
    if let note { return .resource(note) }
    return AnchorNote.isWithdrawal(content) ? .withdrawal : .other
  }

  private func say() {
    let (known, others, older) = (self.found.knownCount, self.found.othersCount, self.found.older.count)
    // ⚑ Of what this node's ledger does not have yet, nothing is known.
    Console.line("This node's own ledger was looked at: it goes up to number \(self.end.sequence) of \(self.end.time).")
    guard known + others > 0 else {
      return Console.line(
        "Up to there each current record of this hospital's own system goes with something here.")
    }
    if known > 0 {
      let ofOlder = older > 0 ? " Of \(older) of them an older version is here, and is not what the ledger has." : ""
      Console.line(
        "\(known) current records of this hospital's own system hold resources that were lost here, and stay current "
          + "until the EHR writes or deletes each again, under its type and id: that supersedes the record. They were "
          + "opened to learn which they are, and each patient sees that it was done.\(ofOlder)")
      let rows = self.found.chosen.sorted { $0.value.entry.leaf > $1.value.entry.leaf }
      let late = rows.filter { self.isLate($0.value.entry) }.count
      self.list(rows.map { ($0.value.entry, self.words(of: $0.key)) }, late: late, of: known)
    }
    guard others > 0 else { return }
    let closed = self.found.closedCount
    let why =
      self.trouble.map { "not all could be opened (\($0))" }
      ?? (closed == others
        ? "they are sealed for a node.key of before"
        : closed > 0
          ? "\(closed) are sealed for a node.key of before, the others were given by command or as a document"
          : "what was given by command or as a document")
    Console.line(
      "\(others) current records of this hospital's own system go with nothing here: \(why). \(Self.consequence)")
    let rows = [self.found.late, self.found.others].flatMap { part in part.sorted { $0.leaf > $1.leaf } }
    self.list(rows.map { ($0, "") }, late: self.found.lateCount, of: others)
  }

  private func words(of name: String) -> String {
    self.found.older.contains(name) ? "\(name) here is older than its record on the ledger" : name
  }

  /// Names records, the latest first.
  private func list(_ rows: [(entry: RecordEntry, name: String)], late: Int, of count: Int) {
    if let until = self.found.until {
      Console.line(
        "\(late) of these were anchored after \(until), up to which the store goes"
          + (late > 0 ? ": they come first." : "."))
    }
    for (entry, name) in rows.prefix(Self.namedMax) {
      let anchor = entry.anchor
      Console.line(
        "  \(anchor.record)  patient \(anchor.patient)  \(anchor.category.name)  \(entry.time)  \(name)"
          .trimmingTrailingSpaces)
    }
    if count > Self.namedMax { Console.line("  and \(count - Self.namedMax) more: consilium record list PATIENT") }
  }

  private static let consequence =
    "Most of them need nothing. Where the EHR wrote one that was lost, what it writes again becomes a further record "
    + "beside that one, and both are current for every hospital: withdraw the lost one by consilium record add FILE "
    + "--patient ACCOUNT --supersedes RECORD, where FILE is the resource marked as entered in error."
}
