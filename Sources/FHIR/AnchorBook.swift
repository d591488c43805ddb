import Primitives

/// Which resources of linked patients the ledger does not have as they are, and what is to be done next for each.
///
/// ⚑ One resource has one current record. A record supersedes the one before it, whatever happened in between; only
/// one task at a time is `busy` with a resource; what may have left this hospital is finished before anything else is
/// begun.
struct AnchorBook {
  /// What is done next for a resource.
  enum Step {
    /// Its draft is submitted, again.
    case resume(AnchorNote.Draft)
    /// Its latest version is anchored over the record that it corrects, as sensitive where what bears it is.
    case anchor(account: Digest, patient: String, version: UInt64, supersedes: Digest?, isSensitive: Bool)
    /// Its record is superseded by one that says that it is no longer so.
    case withdraw(AnchorNote.Anchored, version: UInt64)

    var account: Digest {
      switch self {
      case .resume(let draft): draft.goal.account
      case .anchor(let account, _, _, _, _): account
      case .withdraw(let anchored, _): anchored.account
      }
    }

    /// The version that it is about; nil of what is sealed already.
    var version: UInt64? {
      switch self {
      case .resume: nil
      case .anchor(_, _, let version, _, _), .withdraw(_, let version): version
      }
    }

    /// The record that it supersedes, as far as the store knows; nil of what is sealed already, or new.
    var amended: Digest? {
      switch self {
      case .resume: nil
      case .anchor(_, _, _, let supersedes, _): supersedes
      case .withdraw(let anchored, _): anchored.record
      }
    }
  }

  private(set) var notes: [String: AnchorNote] = [:]
  /// Those for which something may be left to do.
  private(set) var unsettled: Set<String> = []
  /// Those that changed since they were last tried.
  var untried: Set<String> = []
  /// Those that a task is anchoring now.
  var busy: Set<String> = []
  /// Drafts that this process sealed and that never left it.
  var unsent: Set<String> = []
  /// When drafts were last submitted, as far as this process did.
  var sentAt: [String: Timestamp] = [:]
  /// Why a resource is not on the ledger yet.
  var reasons: [String: String] = [:]
  /// Accounts of which the ledger takes nothing from here, and why.
  var closed: [Digest: String] = [:]

  /// What the notes say of the resources of an index. What was anchored before there were notes is taken over.
  init(_ notes: [AnchorNote], in index: ResourceIndex, _ store: any ResourceStore) throws {
    for note in notes { self.keep(note) }
    for type in index.rows.keys.sorted() {
      for row in index.rows[type] ?? [] {
        let name = "\(type)/\(row.id)"
        if self.notes[name] == nil, row.erased == nil, let anchored = try Self.anchored(row, type, in: index, store) {
          var note = AnchorNote(name: name)
          note.anchored = anchored
          self.keep(note)
        }
        self.touch(name, in: index)
      }
    }
  }

  /// The record of a resource without a note: the latest of a version.
  private static func anchored(
    _ row: ResourceIndex.Row, _ type: String, in index: ResourceIndex, _ store: any ResourceStore
  ) throws -> AnchorNote.Anchored? {
    let isLinked = row.patient.map { index.account(ofPatient: $0) != nil } ?? false
    guard row.record != nil || (row.version > 1 && isLinked) else { return nil }
    let versions = row.isDeleted || row.record == nil ? try store.versions(type: type, id: row.id) : []
    let last = versions.last { !$0.isDeleted && $0.record != nil }
    guard let record = row.record ?? last?.record,
      let patient = row.patient ?? last?.json.flatMap({ index.patient(of: $0, type: type, id: row.id) }),
      let account = index.account(ofPatient: patient)
    else { return nil }
    return AnchorNote.Anchored(
      record: record, account: account, patient: patient, version: last?.version ?? row.version, isWithdrawal: false)
  }

  /// A resource changed, or its patient's link.
  mutating func touch(_ name: String, in index: ResourceIndex) {
    guard self.next(name, in: index) != nil || self.isOutdated(name, in: index) else { return }
    self.unsettled.insert(name)
    self.untried.insert(name)
  }

  /// Keeps a note; a draft's bytes stay in the store.
  mutating func keep(_ note: AnchorNote) {
    var kept = note
    kept.draft?.bytes = []
    self.notes[note.name] = kept
    if note.draft == nil {
      self.unsent.remove(note.name)
      self.sentAt[note.name] = nil
    }
  }

  /// A draft left this hospital, or may have.
  mutating func left(_ name: String, at now: Timestamp) {
    self.unsent.remove(name)
    self.sentAt[name] = now
  }

  /// A version was erased on the ledger and here: a draft of it is not submitted.
  mutating func erase(_ version: StoredResource) {
    guard var note = self.notes[version.name], note.draft?.goal.version == version.version else { return }
    note.draft = nil
    self.keep(note)
  }

  mutating func settle(_ name: String, in index: ResourceIndex) {
    guard self.next(name, in: index) == nil else { return }
    self.unsettled.remove(name)
    self.untried.remove(name)
    self.reasons[name] = nil
  }

  /// What is done next for a resource; nil where the ledger has it as it is, does not take it, or where its patient is
  /// to be written first.
  func next(_ name: String, in index: ResourceIndex) -> Step? {
    self.patient(holding: name, in: index) == nil ? self.due(name, in: index) : nil
  }

  /// Whether nothing of a patient is anchored or withdrawn: the ledger has a later record of it than the store, which
  /// may stand under another account, or be without a link. ⚑ By the link that is here, what is written would go to a
  /// stranger for good, and what stands where it belongs would be withdrawn.
  func isHolding(_ patient: String, in index: ResourceIndex) -> Bool {
    let name = "Patient/\(patient)"
    guard let note = self.notes[name], note.isOutdated, let row = index.row(name), note.refused?.version == row.version
    else { return false }
    return note.anchored?.isLinked != true || note.anchored?.account != row.account
  }

  /// The patient who is to be written before anything becomes of a resource; nil where nobody is.
  private func patient(holding name: String, in index: ResourceIndex) -> String? {
    guard let patient = index.row(name)?.patient, self.isHolding(patient, in: index) else { return nil }
    return patient
  }

  /// What is next for a resource, whether or not its patient is to be written first.
  private func due(_ name: String, in index: ResourceIndex) -> Step? {
    let wanted = self.wanted(name, in: index)
    guard let draft = self.notes[name]?.draft else { return wanted }
    guard self.unsent.contains(name), !Self.fits(draft, wanted) else { return .resume(draft) }
    return wanted
  }

  /// Whether a draft that never left says what is no longer so.
  func isOutdated(_ name: String, in index: ResourceIndex) -> Bool {
    guard let draft = self.notes[name]?.draft, self.unsent.contains(name) else { return false }
    return !Self.fits(draft, self.wanted(name, in: index))
  }

  private static func fits(_ draft: AnchorNote.Draft, _ step: Step?) -> Bool {
    switch step {
    case nil, .resume: false
    case .anchor(let account, _, let version, _, let isSensitive):
      !draft.goal.isWithdrawal && draft.goal.account == account && draft.goal.version == version
        && (draft.goal.isSensitive == true || !isSensitive)
    case .withdraw(let anchored, let version):
      draft.goal.isWithdrawal && draft.goal.account == anchored.account && draft.goal.version == version
    }
  }

  private func wanted(_ name: String, in index: ResourceIndex) -> Step? {
    guard let row = index.row(name), row.erased == nil else { return nil }
    let note = self.notes[name]
    // ⚑ It says what it said when it was anchored, and only whom that means is read in another way, as under another
    // base. A Binary does not say itself whose it is.
    if let anchored = note?.anchored, !anchored.isWithdrawal, anchored.version == row.version, row.patient == nil,
      !row.isDeleted, !name.hasPrefix("Binary/")
    {
      return nil
    }
    let goal = self.goal(row, note?.anchored, in: index)
    let step: Step
    if let anchored = note?.anchored, !anchored.isWithdrawal, anchored.account != goal?.account {
      step = .withdraw(anchored, version: row.version)
    } else if let goal {
      let before = note?.anchored.flatMap { $0.account == goal.account ? $0 : nil }
      // ⚑ A file is as sensitive as what bears it, also where that came later, or says so later.
      let isSensitive = name.hasPrefix("Binary/") && index.isBorneSensitively(name)
      if let before, !before.isWithdrawal, before.version == row.version, before.isSensitive == true || !isSensitive {
        return nil
      }
      step = .anchor(
        account: goal.account, patient: goal.patient, version: row.version, supersedes: before?.record,
        isSensitive: isSensitive)
    } else {
      return nil
    }
    guard let note, let refused = note.refused, refused.version == row.version else { return step }
    // ⚑ An older version than the ledger's goes nowhere by itself, whatever account it would go to.
    return note.isOutdated || refused.account == step.account ? nil : step
  }

  /// Under which account a resource belongs; nil where under none. A patient who is no longer linked, or deleted, does
  /// not take along what is on the ledger already: its corrections still go where it stands.
  private func goal(
    _ row: ResourceIndex.Row, _ anchored: AnchorNote.Anchored?, in index: ResourceIndex
  ) -> (account: Digest, patient: String)? {
    guard !row.isDeleted, let patient = row.patient else { return nil }
    if let account = index.account(ofPatient: patient) { return (account, patient) }
    guard let anchored, !anchored.isWithdrawal, anchored.patient == patient else { return nil }
    return (anchored.account, patient)
  }

  /// What a client is told of a version's record; nil where the resource is no linked patient's.
  func text(_ name: String, version: UInt64, in index: ResourceIndex) -> String? {
    let note = self.notes[name]
    guard let row = index.row(name), row.version == version else { return note?.anchored.map { _ in "superseded" } }
    if let step = self.due(name, in: index) {
      if let patient = self.patient(holding: name, in: index) {
        return "pending: Patient/\(patient) here is older than its record on the ledger: write the Patient first"
      }
      if let reason = self.closed[step.account] { return "refused: \(reason)" }
      return self.reasons[name].map { "pending: \($0)" } ?? "pending"
    }
    if let refused = note?.refused, refused.version == version { return "refused: \(refused.reason)" }
    return note?.anchored.flatMap { $0.version == version ? "\($0.record)" : nil }
  }
}
