import FHIR
import HealthRecords
import Primitives
import Synchronization

/// A store that keeps everything in memory, and fails where it is told to.
final class MemoryResources: ResourceStore {
  struct Full: Error {}
  /// What a disk without room says.
  struct NoRoom: ResourceStoreFailure { let isWantOfRoom = true }
  private struct Kept {
    var resources: [StoredResource] = []
    var notes: [String: AnchorNote] = [:]
    var writesUntilFailure: Int?
    var hasRoom = true
    var damaged: Set<String> = []
    var bases: [String] = []
  }
  private let kept = Mutex(Kept())

  /// What is kept of a resource cannot be read any more.
  func damage(_ name: String) { self.kept.withLock { _ = $0.damaged.insert(name) } }

  /// Takes nothing any more.
  func fill() { self.kept.withLock { $0.hasRoom = false } }

  /// After so many writes one fails.
  func fail(after count: Int?) { self.kept.withLock { $0.writesUntilFailure = count } }

  func latest(_ each: (StoredResource) -> Void) {
    var last: [String: StoredResource] = [:]
    for resource in self.kept.withLock({ $0.resources }) { last[resource.name] = resource }
    for name in last.keys.sorted() { if let resource = last[name] { each(resource) } }
  }
  func versions(type: String, id: String) -> [StoredResource] {
    self.kept.withLock { $0.resources.filter { $0.type == type && $0.id == id } }
  }
  func version(_ version: UInt64, type: String, id: String) throws -> StoredResource? {
    if self.kept.withLock({ $0.damaged.contains("\(type)/\(id)") }) { throw Full() }
    return self.versions(type: type, id: id).first { $0.version == version }
  }
  func notes(_ each: (AnchorNote) -> Void) {
    let notes = self.kept.withLock { $0.notes }
    for name in notes.keys.sorted() { if let note = notes[name] { each(note) } }
  }
  func note(of name: String) -> AnchorNote? { self.kept.withLock { $0.notes[name] } }
  /// As before there were notes.
  func forgetNotes() { self.kept.withLock { $0.notes = [:] } }

  func bases() -> [String] { self.kept.withLock { $0.bases } }
  func keep(bases: [String]) { self.kept.withLock { $0.bases = bases } }

  func write(_ resources: [StoredResource], notes: [AnchorNote]) throws {
    try self.kept.withLock { kept in
      guard kept.hasRoom else { throw NoRoom() }
      if let left = kept.writesUntilFailure {
        kept.writesUntilFailure = left == 0 ? nil : left - 1
        if left == 0 { throw Full() }
      }
      for resource in resources {
        if let place = kept.resources.firstIndex(where: { $0.name == resource.name && $0.version == resource.version })
        {
          kept.resources[place] = resource
        } else {
          kept.resources.append(resource)
        }
      }
      for note in notes { kept.notes[note.name] = note }
    }
  }
}

/// A ledger with the rules of the real one, that can be slow, out of reach, silent, refusing, and out of order.
final class FakeLedger: RecordAnchoring {
  /// How it behaves.
  enum Mode: Sendable {
    case sound
    /// Nothing leaves the hospital.
    case unreachable
    /// What is submitted is executed, and nobody is told.
    case silent
    /// What is submitted may be executed later or never, and nobody is told.
    case losing
    /// It refuses.
    case refusing
    /// The custody key went over.
    case stale
  }

  /// A record.
  struct Line: Sendable {
    let record: Digest
    let account: Digest
    let body: [UInt8]
    let supersedes: Digest?
    var supersededBy: Digest?
    var isErased = false
    var isAttachment = false
    /// Whether another than this hospital's own system made it.
    var isForeign = false
    var time = Timestamp.zero
    var json: CanonicalJSON { (try? CanonicalJSON(self.body)) ?? .null }
  }

  private struct State {
    var mode = Mode.sound
    var lines: [Line] = []
    var closed: Set<Digest> = []
    var due: Set<Digest> = []
    var sealedCount: UInt64 = 0
    var sensitive: Set<Digest> = []
    var submittedCount = 0
    var isHolding = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())
  let lifeMilliseconds: UInt64 = 600_000
  let clock = Atomic<UInt64>(1_750_000_000_000)

  var lines: [Line] { self.state.withLock { $0.lines } }
  /// The records of an account that nothing supersedes.
  func current(_ account: String = FHIRBench.account) -> [Line] {
    self.lines.filter { $0.account == Digest(Hex.decode(account) ?? []) && $0.supersededBy == nil && !$0.isErased }
  }
  /// The records that were sealed as sensitive, whatever they say themselves.
  var sensitive: Set<Digest> { self.state.withLock { $0.sensitive } }
  /// How many drafts were ever submitted.
  var submittedCount: Int { self.state.withLock { $0.submittedCount } }
  /// How many submissions wait.
  var waitingCount: Int { self.state.withLock { $0.waiting.count } }

  func be(_ mode: Mode) { self.state.withLock { $0.mode = mode } }
  /// Takes nothing of an account from here.
  func close(_ account: String) {
    self.state.withLock { _ = $0.closed.insert(Digest(Hex.decode(account) ?? []) ?? .zero) }
  }
  /// Its patient asks to erase a record, or takes that back.
  func ask(toErase record: Digest, _ isAsked: Bool) {
    self.state.withLock { state in
      state.due.remove(record)
      guard isAsked else { return }
      state.due.insert(record)
    }
  }
  /// Takes what it took nothing of.
  func open(_ account: String) {
    self.state.withLock { _ = $0.closed.remove(Digest(Hex.decode(account) ?? []) ?? .zero) }
  }
  func erase(_ record: Digest) {
    self.state.withLock { state in
      for place in state.lines.indices where state.lines[place].record == record { state.lines[place].isErased = true }
    }
  }
  /// Another than this hospital's own system goes on with a record.
  func amend(_ record: Digest) {
    self.state.withLock { state in
      guard let place = state.lines.firstIndex(where: { $0.record == record }) else { return }
      state.sealedCount += 1
      let amended = Digest(words: (0xdef_abc, state.sealedCount, 0, 1))
      state.lines[place].supersededBy = amended
      state.lines.append(
        Line(record: amended, account: state.lines[place].account, body: [], supersedes: record, isForeign: true))
    }
  }
  /// From now on submissions wait before they are executed.
  func hold() { self.state.withLock { $0.isHolding = true } }
  /// Executes what waits, the last first, and everything from now on.
  func release() {
    let waiting = self.state.withLock { state in
      defer { (state.isHolding, state.waiting) = (false, []) }
      return state.waiting
    }
    for one in waiting.reversed() { one.resume() }
  }

  func refusal(of account: Digest) async -> String? {
    await Task.yield()
    return self.state.withLock { $0.closed.contains(account) } ? "the account belongs to hospital 2" : nil
  }

  func standing(of record: Digest) async -> RecordStanding? {
    await Task.yield()
    return self.lines.first { $0.record == record }.map {
      $0.isErased ? .erased : $0.supersededBy == nil ? .current : .superseded
    }
  }

  func erasureDue(of record: Digest) async -> Timestamp? {
    await Task.yield()
    return self.state.withLock { $0.due.contains(record) } ? Timestamp(milliseconds: 1_750_000_000_000) : nil
  }

  func successor(of record: Digest) async -> RecordSuccessor? {
    await Task.yield()
    let lines = self.lines
    var next = lines.first { $0.record == record }?.supersededBy
    while let line = lines.first(where: { $0.record == next }), !line.isForeign, !line.isErased {
      if line.supersededBy == nil { return RecordSuccessor(record: line.record, time: line.time) }
      next = line.supersededBy
    }
    return nil
  }

  func attachment(_ record: Digest) async -> Attachment? {
    await Task.yield()
    return self.lines.first { $0.record == record && $0.isAttachment }.map {
      Attachment(account: $0.account, isSensitive: self.sensitive.contains(record))
    }
  }

  /// Anchors something that is no resource of the hospital's store: an attachment, or a record of another hospital.
  func add(isAttachment: Bool, to account: String = FHIRBench.account) -> Digest {
    self.state.withLock { state in
      state.sealedCount += 1
      let record = Digest(words: (0xabc_def, state.sealedCount, 0, 1))
      let account = Digest(Hex.decode(account) ?? []) ?? .zero
      state.lines.append(
        Line(record: record, account: account, body: [], supersedes: nil, isAttachment: isAttachment))
      return record
    }
  }

  func seal(_ resources: [SealableResource], of account: Digest) async throws -> [Sealing] {
    await Task.yield()
    return resources.map { resource in
      let (body, supersedes) = (resource.body, resource.supersedes)
      if body.count > 100_000 { return .refused("it is too long") }
      let record = self.state.withLock { state in
        state.sealedCount += 1
        let record = Digest(words: (state.sealedCount, 0, 0, 1))
        if resource.isSensitive { state.sensitive.insert(record) }
        return record
      }
      let amended = supersedes ?? .zero
      return .sealed(SealedDraft(record: record, bytes: record.bytes + account.bytes + amended.bytes + body))
    }
  }

  func submit(_ drafts: [SealedDraft]) async -> [AnchorOutcome] {
    let mode = self.state.withLock { state in
      state.submittedCount += drafts.count
      return state.mode
    }
    switch mode {
    case .unreachable: return drafts.map { _ in .unsent("too few vaults") }
    case .stale: return drafts.map { _ in .stale }
    case .losing: return drafts.map { _ in .waiting("not ordered yet") }
    case .refusing: return drafts.map { _ in .refused("it is not taken") }
    case .sound, .silent: break
    }
    await withCheckedContinuation { continuation in
      let isHeld = self.state.withLock { state in
        if state.isHolding { state.waiting.append(continuation) }
        return state.isHolding
      }
      if !isHeld { continuation.resume() }
    }
    let time = Timestamp(milliseconds: self.clock.load(ordering: .relaxed))
    let outcomes = self.state.withLock { state in drafts.map { Self.execute($0, at: time, in: &state) } }
    await Task.yield()
    return mode == .silent ? drafts.map { _ in .waiting("not ordered yet") } : outcomes
  }

  private static func execute(_ draft: SealedDraft, at time: Timestamp, in state: inout State) -> AnchorOutcome {
    guard draft.bytes.count > 96, let record = Digest(draft.bytes[..<32]), record == draft.record,
      let account = Digest(draft.bytes[32..<64]), let amended = Digest(draft.bytes[64..<96])
    else { return .refused("those bytes are no draft") }
    if state.lines.contains(where: { $0.record == record }) { return .anchored }
    let supersedes = amended == .zero ? nil : amended
    if let supersedes {
      guard let place = state.lines.firstIndex(where: { $0.record == supersedes }),
        state.lines[place].account == account,
        state.lines[place].supersededBy == nil, !state.lines[place].isErased
      else { return .refused("the superseded record is another patient's or was superseded before") }
      state.lines[place].supersededBy = record
    }
    state.lines.append(
      Line(record: record, account: account, body: Array(draft.bytes[96...]), supersedes: supersedes, time: time))
    return .anchored
  }
}
