import HealthRecords
public import Primitives

/// What becomes of resources on the ledger.
extension FHIRService {
  /// The most resources that are anchored in one go.
  private static let anchorsMax = 500
  /// The most steps of one resource in one go: a draft is finished, a record withdrawn, a version anchored.
  private static let stepsMax = 3

  /// Anchors what could not be anchored when it was written; how many records that made. What a request is anchoring at
  /// the time is left to it.
  public func anchorPending() async -> Int {
    self.keepWaiting()
    let names = self.book.unsettled.subtracting(self.book.busy)
      .map { (account: self.book.next($0, in: self.index)?.account ?? .zero, name: $0) }
      .sorted { ($0.account.description, $0.name) < ($1.account.description, $1.name) }.map(\.name)
    var madeCount = 0
    // Part by part: a request that changes one of them meanwhile does not wait for all.
    for start in stride(from: 0, to: names.count, by: Self.anchorsMax) {
      let part = names[start..<min(start + Self.anchorsMax, names.count)].filter { !self.book.busy.contains($0) }
      self.book.busy.formUnion(part)
      madeCount += await self.work(part)
      self.release(part)
    }
    return madeCount
  }

  /// Makes durable what became of drafts. Where the disk does not take it, it waits on, and is found out again after a
  /// stop.
  public func keepWaiting() { try? self.store.flush() }

  /// The account that a patient stored here is linked to; nil where there is none.
  public func account(ofPatient id: String) -> Digest? { self.index.account(ofPatient: id) }

  /// Brings resources to the ledger, once each as it is now, waiting for whoever is at it.
  func settle(_ names: [String]) async {
    var left = names.filter { self.book.unsettled.contains($0) }
    while !left.isEmpty {
      let free = left.filter { !self.book.busy.contains($0) }
      if free.isEmpty {
        await withCheckedContinuation { self.waiters.append($0) }
      } else {
        self.book.busy.formUnion(free)
        _ = await self.work(free)
        self.release(free)
      }
      left = left.filter { self.book.untried.contains($0) || self.book.busy.contains($0) }
    }
  }

  private func release(_ names: [String]) {
    self.book.busy.subtract(names)
    let waiting = self.waiters
    self.waiters = []
    for one in waiting { one.resume() }
  }

  /// Does what is next for resources that no other task is at; how many records that made.
  private func work(_ names: [String]) async -> Int {
    var left = names
    var madeCount = 0
    for _ in 0..<Self.stepsMax {
      self.book.untried.subtract(left)
      self.dropOutdated(left)
      var steps: [Digest: [(name: String, step: AnchorBook.Step)]] = [:]
      for name in left {
        if let step = self.book.next(name, in: self.index) { steps[step.account, default: []].append((name, step)) }
      }
      left = []
      for account in steps.keys.sorted(by: { $0.description < $1.description }) {
        let own = steps[account] ?? []
        for start in stride(from: 0, to: own.count, by: Self.anchorsMax) {
          let part = Array(own[start..<min(start + Self.anchorsMax, own.count)])
          let done = await self.attempt(part, account)
          madeCount += done.madeCount
          left += done.goesOn
        }
      }
      if left.isEmpty { break }
    }
    for name in names { self.book.settle(name, in: self.index) }
    return madeCount
  }

  /// Drafts that never left and say what is no longer so are forgotten, durably.
  private func dropOutdated(_ names: [String]) {
    var notes: [AnchorNote] = []
    for name in names where self.book.isOutdated(name, in: self.index) {
      guard var note = self.book.notes[name] else { continue }
      note.draft = nil
      notes.append(note)
    }
    do { if !notes.isEmpty { try self.keep(notes) } } catch {
      for note in notes { self.book.reasons[note.name] = "\(error)" }
    }
  }

  /// One step for each of some resources of one account; the records made, and those for which more can be done.
  private func attempt(
    _ steps: [(name: String, step: AnchorBook.Step)], _ account: Digest
  ) async -> (madeCount: Int, goesOn: [String]) {
    do {
      var drafts: [AnchorNote] = []
      var goesOn: [String] = []
      var fresh: [(name: String, step: AnchorBook.Step)] = []
      var changed: [AnchorNote] = []
      for (name, step) in steps {
        guard case .resume(let draft) = step else {
          fresh.append((name, step))
          continue
        }
        // ⚑ It may be there already: nobody makes a second one before that is known.
        let standing = await self.anchoring.standing(of: draft.goal.record)
        do {
          if let standing {
            try self.note([name: .anchored])
            // ⚑ It may have been erased while this was not running, and not have been known here to be anchored.
            if standing == .erased { try await self.forget(draft.goal.record) }
            goesOn.append(name)
          } else if let note = try self.store.note(of: name), note.draft != nil {
            drafts.append(note)
          }
        } catch { self.book.reasons[name] = "\(error)" }
      }
      if let reason = await self.anchoring.refusal(of: account) {
        self.book.closed[account] = reason
      } else {
        self.book.closed[account] = nil
        let prepared = try await self.prepare(fresh, account)
        drafts += prepared.filter { $0.draft != nil }
        changed += prepared
        goesOn += prepared.filter { $0.draft == nil && $0.refused == nil }.map(\.name)
      }
      // ⚑ Durable before anything leaves: after a stop the same draft is submitted again, and no other.
      if !changed.isEmpty { try self.keep(changed) }
      for note in changed where note.draft != nil { self.book.unsent.insert(note.name) }
      guard !drafts.isEmpty else { return (0, goesOn) }
      let outcomes = await self.anchoring.submit(
        drafts.compactMap { note in note.draft.map { SealedDraft(record: $0.goal.record, bytes: $0.bytes) } })
      let results = Dictionary(zip(drafts.map(\.name), outcomes)) { first, _ in first }
      let made = try self.note(results)
      return (made.count, goesOn + made)
    } catch {
      // It is stored; the ledger takes it when it can.
      for (name, _) in steps { self.book.reasons[name] = "\(error)" }
      return (0, [])
    }
  }

  /// Seals what is to be anchored for the first time, and judges what can be judged here: a note each, with its draft,
  /// its refusal, or the end of what there is to do.
  private func prepare(
    _ steps: [(name: String, step: AnchorBook.Step)], _ account: Digest
  ) async throws -> [AnchorNote] {
    var notes: [AnchorNote] = []
    var ready: [(note: AnchorNote, goal: (Digest) -> AnchorNote.Anchored, resource: SealableResource)] = []
    for (name, step) in steps {
      var note = self.book.notes[name] ?? AnchorNote(name: name)
      (note.draft, note.refused) = (nil, nil)
      guard let version = step.version else { continue }
      let (amended, standing, since) = await self.amended(by: step, of: note)
      if let since, let amended, self.isBefore(since, name, version, step) {
        if let outdated = note.outdated(by: amended, than: version) { notes.append(outdated) }
        continue
      }
      if case .anchor = step, let amended, standing == .current, let reason = await self.erasure(of: amended) {
        self.book.reasons[name] = reason
        continue
      }
      switch (step, amended, standing) {
      case (.resume, _, _): continue
      case (.withdraw(let anchored, _), _, .superseded?), (.withdraw(let anchored, _), _, .erased?):
        // Nobody takes it for current.
        note.anchored = Self.withdrawn(anchored, version)(anchored.record)
        notes.append(note)
      case (.anchor, .some, .superseded?), (.anchor, .some, .erased?):
        let reason = standing == .erased ? "is erased" : "was superseded by somebody else's, or what did is erased"
        note.refused = AnchorNote.Refused(
          account: account, version: version, reason: "the record that it corrects \(reason)")
        notes.append(note)
      case (_, .some, nil):
        self.book.reasons[name] = "this node does not know the record that it corrects yet"
      case (.withdraw(let anchored, _), .some, .current?):
        guard let body = self.kept(name, { try self.withdrawal(name, anchored) }) else { continue }
        ready.append(
          (
            note, Self.withdrawn(anchored, version),
            SealableResource(
              body: body, supersedes: amended,
              isSensitive: anchored.isSensitive == true || self.index.isBorneSensitively(name))
          ))
      case (.withdraw, nil, _): continue
      case (.anchor(_, let patient, _, _, let isSensitive), nil, _),
        (.anchor(_, let patient, _, _, let isSensitive), .some, .current?):
        guard let place = name.firstIndex(of: "/"),
          let found = self.kept(
            name, { try self.stored(String(name[..<place]), String(name[place...].dropFirst()), version) }) ?? nil,
          !found.isDeleted
        else { continue }
        ready.append(
          (
            note, Self.anchored(account, patient, version, isSensitive),
            SealableResource(body: found.body, supersedes: amended, isSensitive: isSensitive)
          ))
      }
    }
    guard !ready.isEmpty else { return notes }
    let sealings = try await self.anchoring.seal(ready.map(\.resource), of: account)
    for (one, sealing) in zip(ready, sealings) {
      var note = one.note
      switch sealing {
      case .sealed(let draft): note.draft = AnchorNote.Draft(goal: one.goal(draft.record), bytes: draft.bytes)
      case .refused(let reason):
        note.refused = AnchorNote.Refused(
          account: account, version: one.goal(.zero).version, reason: reason)
      }
      notes.append(note)
    }
    return notes
  }

  /// Why nothing is anchored over a record yet that its patient has asked to erase. ⚑ What a system sends again would
  /// stay when that is gone; once it is, nothing is anchored over it.
  private func erasure(of record: Digest) async -> String? {
    await self.anchoring.erasureDue(of: record).map {
      "the record that it corrects is to be erased at \($0), unless its patient takes that back"
    }
  }

  /// What a step amends, and how that stands; since when, where it is another record than this store knows of.
  private func amended(
    by step: AnchorBook.Step, of note: AnchorNote
  ) async -> (record: Digest?, standing: RecordStanding?, since: Timestamp?) {
    guard let record = step.amended else { return (nil, nil, nil) }
    let standing = await self.anchoring.standing(of: record)
    guard standing == .superseded else { return (record, standing, nil) }
    // ⚑ This hospital's own system went on with it, and a store that was put back does not know.
    if let later = await self.anchoring.successor(of: record) { return (later.record, .current, later.time) }
    // What was lost went on as somebody else's meanwhile: what is written again is a record of its own.
    if case .anchor = step, note.anchored?.isLost == true { return (nil, nil, nil) }
    return (record, standing, nil)
  }

  /// Whether what would be anchored, or was deleted, is older than a record that this store does not know of. ⚑ An
  /// older version is not put in the place of a newer one by itself.
  private func isBefore(
    _ time: Timestamp, _ name: String, _ version: UInt64, _ step: AnchorBook.Step
  ) -> Bool {
    let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
    guard parts.count == 2, let found = self.kept(name, { try self.stored(parts[0], parts[1], version) }) ?? nil
    else { return false }
    switch step {
    case .resume: return false
    case .anchor: return found.updated < time
    // One that is another patient's now is withdrawn whatever it said.
    case .withdraw: return found.isDeleted && found.updated < time
    }
  }

  /// What the store has of a resource; nil, and the reason noted, where it cannot be read. ⚑ It holds up no other.
  private func kept<Value>(_ name: String, _ read: () throws -> Value) -> Value? {
    do { return try read() } catch {
      self.book.reasons[name] = "\(error)"
      return nil
    }
  }

  private static func anchored(
    _ account: Digest, _ patient: String, _ version: UInt64, _ isSensitive: Bool
  ) -> (Digest) -> AnchorNote.Anchored {
    {
      AnchorNote.Anchored(
        record: $0, account: account, patient: patient, version: version, isWithdrawal: false, isSensitive: isSensitive)
    }
  }

  private static func withdrawn(_ before: AnchorNote.Anchored, _ version: UInt64) -> (Digest) -> AnchorNote.Anchored {
    {
      AnchorNote.Anchored(
        record: $0, account: before.account, patient: before.patient, version: version, isWithdrawal: true,
        isSensitive: before.isSensitive)
    }
  }

  private func withdrawal(_ name: String, _ anchored: AnchorNote.Anchored) throws -> [UInt8] {
    let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
    let last = try self.stored(parts[0], parts[1], anchored.version)?.json
    return Withdrawal.of(parts[0], parts[1], last, at: self.now())
  }

  /// What a client is told of the record of a version.
  func anchorText(_ found: StoredResource) -> String? {
    let text = self.book.text(found.name, version: found.version, in: self.index)
    let isLatest = self.index.row(found.name)?.version == found.version
    guard isLatest else { return found.record?.description ?? text }
    return text ?? (found.type == "Patient" ? found.json.flatMap { Self.linkFault(in: $0) } : nil)
  }

  /// What is said of a Patient without a link who has an identifier that was meant for one; nil of every other.
  private static func linkFault(in patient: CanonicalJSON) -> String? {
    let isMeant = patient.children("identifier").contains { identifier in
      guard identifier["system"]?.text == Self.accountSystem, identifier["use"]?.text != "old" else { return false }
      return identifier["value"]?.text.flatMap { Hex.decode($0) }.flatMap { Digest($0) } == nil
    }
    return isMeant
      ? "refused: the identifier of \(Self.accountSystem) is no account, which has 64 digits and letters" : nil
  }

  private func keep(_ notes: [AnchorNote]) throws {
    try self.store.write([], notes: notes)
    for note in notes { self.book.keep(note) }
  }

  /// Notes what became of drafts; those for which more can be done.
  @discardableResult
  private func note(_ outcomes: [String: AnchorOutcome]) throws -> [String] {
    var (notes, resources, goesOn): ([AnchorNote], [StoredResource], [String]) = ([], [], [])
    // What the ledger has it tells again after a stop; of the rest nothing does.
    let isToldAgain = outcomes.values.allSatisfy { if case .anchored = $0 { true } else { false } }
    for (name, outcome) in outcomes.sorted(by: { $0.key < $1.key }) {
      guard var note = self.book.notes[name], let draft = note.draft else { continue }
      switch outcome {
      case .anchored, .refused, .waiting: self.book.left(name, at: self.now())
      case .unsent, .stale: break
      }
      switch outcome {
      case .anchored:
        (note.anchored, note.draft, note.refused) = (draft.goal, nil, nil)
        notes.append(note)
        goesOn.append(name)
        if let changed = try self.recorded(name, draft.goal) { resources.append(changed) }
      case .refused(let reason):
        note.draft = nil
        note.refused = AnchorNote.Refused(account: draft.goal.account, version: draft.goal.version, reason: reason)
        notes.append(note)
      case .unsent(let reason):
        self.book.reasons[name] = reason
      case .waiting(let reason):
        self.book.reasons[name] = reason
      case .stale:
        let sent = self.book.sentAt[name] ?? self.started
        guard self.book.unsent.contains(name) || self.now() > sent.adding(milliseconds: self.anchoring.lifeMilliseconds)
        else {
          self.book.reasons[name] = "it was sealed to a custody key that went out of use meanwhile"
          continue
        }
        note.draft = nil
        notes.append(note)
        goesOn.append(name)
      }
    }
    if isToldAgain {
      try self.store.keepForNow(resources, notes: notes)
    } else {
      try self.store.write(resources, notes: notes)
    }
    for note in notes { self.book.keep(note) }
    for resource in resources {
      if let record = resource.record { self.index.setRecord(record, of: resource.name, version: resource.version) }
    }
    try self.forgetEarly(resources)
    return goesOn
  }

  /// The version that a record holds, with the record.
  private func recorded(_ name: String, _ goal: AnchorNote.Anchored) throws -> StoredResource? {
    let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
    guard !goal.isWithdrawal, var found = try self.stored(parts[0], parts[1], goal.version), found.erased == nil
    else { return nil }
    found.record = goal.record
    return found
  }
}
