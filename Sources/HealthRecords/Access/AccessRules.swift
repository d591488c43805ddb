public import Messages
public import Primitives
public import Rules
import Signing
public import Wire

/// Access management: consents, requests, emergencies, the history (RECORDS §4).
extension RuleContext {
  func grantConsent(_ grant: ConsentGrant, in state: inout StateEditor) throws {
    _ = try self.patient(grant.patient, in: state)
    let consents = self.consents(of: grant.patient, in: state)
    let origin = try self.origin(of: grant, among: consents, in: state)
    let grant = self.delayed(grant, by: origin, in: state)
    guard grant.from <= grant.until, grant.until >= self.time else { throw Refusal.badWindow }
    try self.makeRoom(for: grant, by: origin, among: consents, in: &state)
    if case .proxy(let power) = origin { self.countUse(of: power, by: grant.patient, in: &state) }
    let entry = ConsentEntry(
      grant: grant, origin: origin, leaf: self.execution.leaf, time: self.time, revoked: nil, uses: 0)
    state.set(StateKey.consent(grant.patient, self.identifier), entry)
  }

  func revokeConsent(_ revocation: ConsentRevocation, in state: inout StateEditor) throws {
    _ = try self.patient(revocation.patient, in: state)
    guard let (key, held) = self.place(of: revocation.consent, revocation.patient, in: state) else {
      throw Refusal.unknownConsent
    }
    var entry = held
    try self.requireRevoker(of: entry, in: state)
    guard entry.revoked == nil else { throw Refusal.alreadyRevoked }
    entry.revoked = self.time
    state.set(key, entry)
  }

  /// Judges a request; what it asked and what it was told stay in the patient's history either way.
  func requestAccess(_ request: AccessRequest, in state: inout StateEditor) throws {
    let (reader, account, isSession) = try self.reader(in: state)
    guard account.kind != .device else { throw Refusal.wrongRole }
    if account.kind != .thirdParty {
      guard account.hospital == self.hospital else { throw Refusal.otherHospital }
    }
    guard state.item(StateKey.account(request.patient), as: Account.self)?.kind == .patient else {
      throw Refusal.unknownAccount
    }
    let judged = self.judge(request, reader, account, isSession: isSession, in: state)
    var consent: Digest?
    var outcome = OutcomeCode.applied
    switch judged {
    case .success(let consents):
      consent = consents.first
      for identifier in Set(consents).sorted() { self.countUse(of: identifier, by: request.patient, in: &state) }
    case .failure(let refusal):
      outcome = refusal.code
      try self.countDenied(reader, of: request.patient, in: &state)
    }
    self.remember(self.entry(request, reader, outcome, consent, .none), of: self.identifier, in: &state)
    state.commit()
    if let refusal = Refusal(rawValue: outcome.number) { throw refusal }
  }

  private func judge(
    _ request: AccessRequest, _ reader: Digest, _ account: Account, isSession: Bool, in state: StateEditor
  ) -> Result<[Digest], Refusal> {
    let asker = self.asker(reader, account, isSession: isSession, of: request, in: state)
    var granted: [Digest] = []
    for record in request.records {
      switch self.judge(record, request, asker, in: state) {
      case .success(let consent): if let consent { granted.append(consent) }
      case .failure(let refusal): return .failure(refusal)
      }
    }
    return .success(granted)
  }

  /// Who asks, with what the patient's consents say.
  private struct Asker {
    let reader: Digest
    let account: Account
    let isSession: Bool
    let teams: Set<Digest>
    let consents: StandingConsents
  }

  private func asker(
    _ reader: Digest, _ account: Account, isSession: Bool, of request: AccessRequest, in state: StateEditor
  ) -> Asker {
    let all = self.consents(of: request.patient, in: state)
    return Asker(
      reader: reader, account: account, isSession: isSession, teams: self.teams(of: reader, among: all, in: state),
      consents: StandingConsents(
        all, for: request.purpose, at: self.time, guardiansAlike: self.isSecond(in: state)))
  }

  /// Judges a request for one of its records: the consent that grants it, or nil where none is needed.
  private func judge(
    _ record: Digest, _ request: AccessRequest, _ asker: Asker, in state: StateEditor
  ) -> Result<Digest?, Refusal> {
    guard let entry = state.item(StateKey.record(record), as: RecordEntry.self),
      entry.anchor.patient == request.patient
    else { return .failure(.unknownRecord) }
    guard !entry.isErased || planted(.erasedRecordRead) else { return .failure(.erased) }
    // ⚑ What an EHR's machine holds is not enough for what must stay most private.
    if asker.isSession, entry.anchor.category == .sensitive { return .failure(.ownKeyNeeded) }
    // Who lost the key to which records are sealed reads them by custody, as everybody does.
    if asker.reader == request.patient, request.purpose == .patient { return .success(nil) }
    let question = AccessPolicy.Question(
      reader: asker.reader, account: asker.account, teams: asker.teams, record: record,
      category: entry.anchor.category, purpose: request.purpose, time: self.time)
    switch AccessPolicy.judge(question, asker.consents) {
    case .success(let consent): return .success(consent)
    case .failure(let refusal):
      // The patient's own hospital treats with what it wrote itself, unless that is denied (RECORDS §4).
      // ⚑ Only a denial takes it away: a grant that has not begun, is over or used up leaves what held without it.
      let isOwn = entry.hospital == asker.account.hospital && asker.account.kind == .practitioner
      let isDenied = refusal == .denied || (planted(.grantTakesAway) && refusal != .noConsent)
      guard !isDenied, isOwn, request.purpose == .treatment else { return .failure(refusal) }
      return .success(nil)
    }
  }

  /// Of the records that a request names, those that keep it from being granted, each with its reason.
  func refusals(of request: AccessRequest, in state: StateEditor) throws(Refusal) -> [RecordRefusal] {
    let (reader, account, isSession) = try self.reader(in: state)
    let asker = self.asker(reader, account, isSession: isSession, of: request, in: state)
    return request.records.compactMap { record in
      guard case .failure(let refusal) = self.judge(record, request, asker, in: state) else { return nil }
      return RecordRefusal(record: record, refusal: refusal)
    }
  }

  /// ⚑ Whoever asks and is refused again and again does not bury what a patient must see: the history has the first so
  /// many a day, the log all.
  private func countDenied(_ reader: Digest, of patient: Digest, in state: inout StateEditor) throws(Refusal) {
    let (key, day) = (StateKey.deniedCount(reader, of: patient), self.time.milliseconds / 86_400_000)
    let before = state.item(key, as: DailyCount.self).flatMap { $0.day == day ? $0.count : nil } ?? 0
    guard before < self.limits.deniedPerReaderMax || planted(.deniedUnlimited) else { throw .tooManyRequests }
    state.set(key, DailyCount(day: day, count: before + 1))
  }

  private func countUse(of consent: Digest, by patient: Digest, in state: inout StateEditor) {
    let key = StateKey.consent(patient, consent)
    guard var entry = state.item(key, as: ConsentEntry.self), entry.grant.usesMax != nil else { return }
    if !planted(.usesUncounted) { entry.uses += 1 }
    state.set(key, entry)
  }

  func entry(
    _ request: AccessRequest, _ reader: Digest, _ outcome: OutcomeCode, _ consent: Digest?,
    _ emergency: AccessEntry.Emergency
  ) -> AccessEntry {
    AccessEntry(
      reader: reader, hospital: self.hospital, request: request, outcome: outcome, consent: consent, time: self.time,
      releaseUntil: self.time.adding(milliseconds: self.limits.releaseWindowMilliseconds), emergency: emergency,
      releases: [], openedInPartition: nil)
  }

  /// Writes a line of the patient's history at this transaction's place, and under its request.
  func remember(_ entry: AccessEntry, of request: Digest, in state: inout StateEditor) {
    let (patient, leaf) = (entry.request.patient, self.execution.leaf)
    state.set(StateKey.access(patient, leaf: leaf), entry)
    let counter = StateKey.accessCount(of: patient)
    state.set(counter, number: state.number(counter) + 1)
    var pointer = Encoder()
    pointer.digest(patient)
    pointer.u64(leaf)
    state.set(StateKey.request(request), pointer.bytes)
    guard entry.emergency == .reviewDue else { return }
    let due = self.time.adding(milliseconds: self.limits.reviewWindowMilliseconds)
    state.set(StateKey.deadline(due, leaf: leaf), patient)
    state.set(StateKey.emergency(at: entry.hospital, leaf: leaf), patient)
    guard self.isSecond(in: state), !planted(.authorUntold) else { return }
    // ⚑ Whose records were read sees it too: a hospital that judges its own people is watched.
    for record in entry.request.records {
      guard let held = state.item(StateKey.record(record), as: RecordEntry.self), held.hospital != entry.hospital else {
        continue
      }
      state.set(StateKey.emergency(at: held.hospital, leaf: leaf), patient)
    }
  }

  /// Granted at once; reviewed later, and the lack of a review is itself an event.
  func breakGlass(_ request: AccessRequest, in state: inout StateEditor) throws {
    let (reader, account) = try self.actor(in: state)
    guard account.kind == .practitioner else { throw Refusal.wrongRole }
    guard account.hospital == self.hospital else { throw Refusal.otherHospital }
    guard request.purpose == .emergency, request.reason != 0 else {
      throw WireError.invalid(at: 0, field: "break-glass purpose and reason")
    }
    guard AccessEntry.find(self.identifier, in: state) == nil else { throw Refusal.alreadyOpened }
    let age = max(self.limits.breakGlassAgeMilliseconds, self.rules(in: state).emergencyAgeMilliseconds)
    guard account.since.adding(milliseconds: age) <= self.time || planted(.youngBreakGlass) else {
      throw Refusal.accountTooYoung
    }
    if self.isOfAnother(reader, request.patient, in: &state) {
      try self.countBreakGlass(reader.bytes, max: self.limits.breakGlassPerAccountMax, in: &state)
      try self.countBreakGlass(
        self.hospital.encoded, max: self.limits.breakGlassPerHospitalMax, in: &state)
    }
    for record in request.records {
      guard let entry = state.item(StateKey.record(record), as: RecordEntry.self),
        entry.anchor.patient == request.patient
      else { throw Refusal.unknownRecord }
      guard !entry.isErased else { throw Refusal.erased }
    }
    self.remember(
      self.entry(request, reader, .applied, nil, .reviewDue), of: self.identifier, in: &state)
  }

  /// Whether a broken glass begins another emergency: what one reader asks for of one patient within an hour is one,
  /// and counts once, however many records there are. ⚑ Each request is in the history all the same.
  func isOfAnother(_ reader: Digest, _ patient: Digest, in state: inout StateEditor) -> Bool {
    guard self.isSecond(in: state) else { return true }
    let key = StateKey.lastEmergency(reader, of: patient)
    // The same form as a day's count: when it began, and how many requests it had.
    let last = state.item(key, as: DailyCount.self)
    if let last, self.time <= Timestamp(milliseconds: last.day).adding(milliseconds: self.limits.emergencyMilliseconds),
      last.count < self.limits.emergencyRequestsMax || planted(.emergencyUnlimited)
    {
      state.set(key, DailyCount(day: last.day, count: last.count + 1))
      return false
    }
    state.set(key, DailyCount(day: self.time.milliseconds, count: 1))
    return true
  }

  func countBreakGlass(_ who: [UInt8], max: UInt64, in state: inout StateEditor) throws(Refusal) {
    let key = StateKey.breakGlassCount(who, day: self.time.milliseconds / 86_400_000)
    let count = state.number(key)
    guard count < max || planted(.breakGlassUnlimited) else { throw .breakGlassLimit }
    state.set(key, number: count + 1)
  }

  func reviewBreakGlass(_ review: AccessReview, in state: inout StateEditor) throws {
    guard let (key, held) = AccessEntry.find(review.request, in: state) else {
      throw Refusal.unknownAccess
    }
    var entry = held
    guard entry.hospital == self.hospital else { throw Refusal.otherHospital }
    try self.requireReviewer(of: entry, in: state)
    guard entry.emergency == .reviewDue || entry.emergency == .overdue else { throw Refusal.unknownAccess }
    entry.emergency = review.isJustified ? .justified : .unjustified
    state.set(key, entry)
  }

  /// ⚑ The hospital's registrar, or a privacy officer of the hospital; nobody finds the own reading right.
  private func requireReviewer(of entry: AccessEntry, in state: StateEditor) throws(Refusal) {
    guard try self.signer() != self.member().registrarKey else { return }
    let (identifier, account) = try self.actor(in: state)
    guard account.isPrivacyOfficer else { throw .wrongRole }
    guard account.hospital == self.hospital else { throw .otherHospital }
    guard identifier != entry.reader else { throw .unknownSigner }
  }

  func recordRelease(_ request: Digest, in state: inout StateEditor) throws {
    try self.requireHospital()
    guard let (key, held) = AccessEntry.find(request, in: state), held.outcome == .applied else {
      throw Refusal.unknownAccess
    }
    var entry = held
    guard !entry.releases.contains(self.hospital) else { throw Refusal.alreadyApproved }
    entry.releases.append(self.hospital)
    state.set(key, entry)
  }
}

extension AccessEntry {
  static func find(_ request: Digest, in state: StateEditor) -> (key: [UInt8], entry: AccessEntry)? {
    guard let pointer = state.value(StateKey.request(request)) else { return nil }
    var decoder = Decoder(pointer)
    guard let patient = try? decoder.digest(), let leaf = try? decoder.u64() else { return nil }
    let key = StateKey.access(patient, leaf: leaf)
    return state.item(key, as: AccessEntry.self).map { (key, $0) }
  }

  /// The line of the history that a request made; nil where it was not executed.
  public static func find(request: Digest, in reader: some StateReader) -> (leaf: UInt64, entry: AccessEntry)? {
    guard let pointer = reader.value(StateKey.request(request)) else { return nil }
    var decoder = Decoder(pointer)
    guard let patient = try? decoder.digest(), let leaf = try? decoder.u64() else { return nil }
    return reader.item(StateKey.access(patient, leaf: leaf), as: AccessEntry.self).map { (leaf, $0) }
  }
}

/// A record for which a request was not granted.
public struct RecordRefusal: Sendable, Hashable {
  /// The record.
  public let record: Digest
  /// Why.
  public let refusal: Refusal
}

extension HealthRules {
  /// Of the records that a request to read names, those that keep it from being granted, each with its reason: without
  /// them it would be. Nothing is written. Empty for what is no such request, or may not ask at all.
  public func refusals(
    of transaction: Transaction, in context: ExecutionContext, state reader: some StateReader & Sendable
  ) -> [RecordRefusal] {
    guard transaction.kind == TransactionKind.requestAccess.rawValue,
      let request = try? AccessRequest.decode(transaction.payload)
    else { return [] }
    let run = RuleContext(
      transaction: transaction, identifier: transaction.identifier(network: context.network), execution: context,
      limits: self.limits)
    do { return try run.refusals(of: request, in: StateEditor(reader: reader)) } catch { return [] }
  }
}

/// `reviewBreakGlass`: signed by a privacy officer of the hospital, or with the registrar's key.
public struct AccessReview: Sendable, Hashable {
  /// The request that broke the glass.
  public let request: Digest
  /// Whether it was right.
  public let isJustified: Bool
  /// A review of given parts.
  public init(request: Digest, isJustified: Bool) { (self.request, self.isJustified) = (request, isJustified) }
}

extension AccessReview: WireCodable {
  /// Request, verdict.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.request)
    encoder.flag(self.isJustified)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.request = try decoder.digest()
    self.isJustified = try decoder.flag("is justified")
  }
}

/// How often something happened on a day.
struct DailyCount: WireCodable {
  let day: UInt64
  let count: UInt64

  func encode(into encoder: inout Encoder) {
    encoder.u64(self.day)
    encoder.u64(self.count)
  }

  init(day: UInt64, count: UInt64) { (self.day, self.count) = (day, count) }
  init(from decoder: inout Decoder) throws(WireError) {
    self.day = try decoder.u64()
    self.count = try decoder.u64()
  }
}
