public import Messages
public import Primitives
internal import Rules
internal import Signing
public import Threshold
internal import Wire

/// The releasing of records' keys by one hospital, on both sides (RECORDS §5, "release"): it gives its shares for
/// requests that its own ledger granted, and it gathers the others' shares for its own readers.
///
/// It holds no key and no share of one: a driver opens capsules and says what came of it. ⚑ What is asked of this
/// hospital is judged when the question comes, and again when the answer is ready to leave. ⚑ An answer is made once:
/// it is sealed to the reader, so it is kept, and a repeated question gets the same one without new work.
public struct Releases: Sendable {
  /// The most gatherings at once.
  public static let gatheringsMax = 4096
  /// The most capsules that are being opened at once.
  static let jobsMax = 4096
  /// The most askers that wait for what is being opened.
  static let askersMax = 16_384
  /// The most answers that are kept; the older half gives way.
  static let keptMax = 4096
  /// The most requests for which it remembers that it stated a release, and questions whose answer it reported.
  static let statedMax = 4096

  /// Names what one reader here waits for.
  public typealias Ticket = UInt64
  /// Names what the driver opens.
  public typealias Job = UInt64

  /// Who asks this hospital for something.
  public enum Asker: Sendable, Hashable {
    /// A member, by the number of its question.
    case member(ReplicaIndex, question: UInt64)
    /// A reader of this hospital's own; the hospital's place when it was asked.
    case own(Ticket, ReplicaIndex)
  }

  /// What happens.
  public enum Input: Sendable {
    /// A reader here wants a record's key for a request: the capsule of the record (empty where it has none), and the
    /// members whose shares it need not have.
    case wanted(Ticket, ReleaseQuestion, capsule: [UInt8], without: ReplicaSet)
    /// A member answered a question of this node's, or why there is no answer.
    case answered(Ticket, by: ReplicaIndex, Result<[UInt8], ReleaseRefusal>)
    /// This hospital is asked for its share of a capsule.
    case shareAsked(ReleaseQuestion, capsule: [UInt8], by: Asker)
    /// This hospital is asked for the key of a record that it wrote before there was a custody key.
    case keyAsked(ReleaseQuestion, by: Asker)
    /// A capsule was opened with this member's share; nil where it has none.
    case opened(Job, SealedShare?)
    /// A key of this hospital's own was sealed for a reader; nil where that cannot be done.
    case resealed(Job, HospitalRelease?)
  }

  /// What is to be done.
  public enum Effect: Sendable {
    /// Ask a member, and say with `answered` what came of it.
    case ask(ReplicaIndex, MemberQuestion, for: Ticket)
    /// Open a capsule with this member's share, and say so with `opened`.
    case open(Job, ShareOpening)
    /// Seal the key of a record out of this hospital's own copy, and say so with `resealed`.
    case reseal(Job, ReleaseQuestion, ephemeralKey: Digest)
    /// Answer a member's question.
    case reply(ReplicaIndex, question: UInt64, Result<[UInt8], ReleaseRefusal>)
    /// A member gets this hospital's answer to a question for the first time.
    case released(ReleaseQuestion, to: ReplicaIndex)
    /// State on the ledger that this hospital released something for a request.
    case stateRelease(Digest)
    /// Tell a reader here what came of it.
    case settled(Ticket, Result<Release, Failure>)
  }

  /// What opens a record for its reader.
  public enum Release: Sendable, Hashable {
    /// Shares of different members, each sealed to the reader, and the custody key of which they are.
    case shares([SealedShare], of: CustodyKey)
    /// The key itself, from the hospital that wrote the record.
    case hospitalKey(HospitalRelease)
  }

  /// Why a reader gets nothing.
  public enum Failure: Error, Sendable, Hashable {
    /// This hospital, or those that were asked, refuse.
    case refused(ReleaseRefusal)
    /// The hospital that wrote the record answered with what is no release.
    case malformed(MemberID)
    /// The hospital that wrote the record did not sign its release.
    case unsigned(MemberID)
  }

  /// Why an input was of no use.
  public enum Reason: Sendable, Hashable {
    /// Nobody waits for it any more.
    case settled
    /// That member was not asked, or has answered.
    case notAsked
    /// It is refused.
    case refused(ReleaseRefusal)
  }

  fileprivate struct Gathering: Sendable {
    let question: ReleaseQuestion
    /// Of whose shares; nil where one hospital has the key.
    let custody: CustodyKey?
    var awaited: ReplicaSet
    var shares: [SealedShare] = []
    var refusals: [ReleaseRefusal] = []
  }

  /// Of what an answer is made: another capsule of the record, or another custody key, needs another answer.
  private struct Source: Sendable {
    let capsule: Digest
    /// The generation of the custody key, and the digest of the key as the ledger had it; nil where one hospital has
    /// the record's key.
    let custody: (generation: UInt64, value: Digest?)?
  }

  private struct Work: Sendable {
    let question: ReleaseQuestion
    let source: Source
    var askers: [Asker]
  }

  private struct Kept: Sendable {
    let source: Source
    let result: Result<[UInt8], ReleaseRefusal>
  }

  private var gatherings: [Ticket: Gathering] = [:]
  private var jobs: [Job: Work] = [:]
  private var nextJob: Job = 0
  private var askerCount = 0
  /// The newest job for each question.
  private var underway: [ReleaseQuestion: Job] = [:]
  /// The answers that were made.
  private var kept: [ReleaseQuestion: Kept] = [:]
  /// Their questions, the oldest first.
  private var keptOrder: [ReleaseQuestion] = []
  /// The members that got an answer to a question.
  private var told: [ReleaseQuestion: ReplicaSet] = [:]
  /// Requests for which a release was stated since the start.
  private var stated: Set<Digest> = []

  /// Nothing is asked yet.
  public init() {}

  /// Takes one input; appends effects in the order in which they are to happen.
  public mutating func step(
    _ input: Input, in ledger: Ledger, into effects: inout [Effect]
  ) -> Disposition<Reason> {
    switch input {
    case .wanted(let ticket, let question, let capsule, let settled):
      return self.gather(ticket, question, capsule, without: settled, ledger, &effects)
    case .answered(let ticket, let member, let result):
      return self.take(result, by: member, for: ticket, ledger, &effects)
    case .shareAsked(let question, let capsule, let asker):
      return self.answer(question, to: asker, ledger, &effects) { releases, effects throws(ReleaseRefusal) in
        try releases.share(question, capsule, for: asker, ledger, &effects)
      }
    case .keyAsked(let question, let asker):
      return self.answer(question, to: asker, ledger, &effects) { releases, effects throws(ReleaseRefusal) in
        try releases.hospitalKey(question, for: asker, ledger, &effects)
      }
    case .opened(let job, let share): return self.finish(job, share?.encoded, ledger, &effects)
    case .resealed(let job, let release): return self.finish(job, release?.encoded, ledger, &effects)
    }
  }

  /// The first invariant that does not hold, in words; nil where all do.
  public var invariantBreach: String? {
    if self.gatherings.count > Self.gatheringsMax { return "I9: \(self.gatherings.count) gatherings of shares" }
    if self.jobs.count > Self.jobsMax { return "I9: \(self.jobs.count) capsules are being opened" }
    if self.jobs.values.contains(where: { $0.askers.isEmpty }) { return "I9: a capsule is being opened for nobody" }
    if self.askerCount > Self.askersMax || self.askerCount != self.jobs.values.reduce(0, { $0 + $1.askers.count }) {
      return "I9: \(self.askerCount) wait for capsules"
    }
    if self.kept.count > Self.keptMax || self.kept.count != self.keptOrder.count {
      return "I9: \(self.kept.count) answers are kept"
    }
    if self.told.count > Self.statedMax { return "I9: answers to \(self.told.count) questions are remembered" }
    if self.stated.count > Self.statedMax { return "I9: \(self.stated.count) stated releases are remembered" }
    if self.gatherings.values.contains(where: { $0.awaited.isEmpty }) {
      return "R2: a reader waits for shares and nobody is asked"
    }
    return nil
  }
}

/// The custodian's side.
extension Releases {
  /// This hospital's share of a capsule: the one that was made, or nil once it is being made.
  ///
  /// - Throws: `ReleaseRefusal` where this node's own ledger did not grant it, or the capsule is another's.
  private mutating func share(
    _ question: ReleaseQuestion, _ bytes: [UInt8], for asker: Asker, _ ledger: Ledger, _ effects: inout [Effect]
  ) throws(ReleaseRefusal) -> [UInt8]? {
    let (ephemeralKey, record) = try Self.judge(question, ledger)
    let digest = SealedRecord.digest(ofBox: bytes)
    if digest == record.anchor.capsule, let kept = self.kept[question], Self.fits(kept.source, digest, ledger) {
      return try kept.result.get()
    }
    if try self.joins(question, digest, asker, ledger) { return nil }
    let (capsule, custody) = try self.checked(bytes, question, record, ledger)
    guard let own = ledger.own, custody.custodians.contains(own) else { throw .notHere }
    let opening = ShareOpening(
      capsule: capsule, custody: custody, ephemeralKey: ephemeralKey,
      context: OpeningContext(
        network: ledger.network, request: question.request, capsule: record.anchor.capsule, custody: custody))
    effects.append(.open(try self.begin(question, Self.source(digest, custody.generation, ledger), asker), opening))
    return nil
  }

  /// The key of a record that this hospital wrote: what was made, or nil once it is being made.
  ///
  /// - Throws: `ReleaseRefusal` where this node's own ledger did not grant it, or another hospital wrote the record.
  private mutating func hospitalKey(
    _ question: ReleaseQuestion, for asker: Asker, _ ledger: Ledger, _ effects: inout [Effect]
  ) throws(ReleaseRefusal) -> [UInt8]? {
    let (key, record) = try Self.judge(question, ledger)
    guard record.hospital == ledger.hospital else { throw .notHere }
    let source = Source(capsule: record.anchor.capsule, custody: nil)
    if let kept = self.kept[question], kept.source.custody == nil, kept.source.capsule == source.capsule {
      return try kept.result.get()
    }
    if try self.joins(question, source.capsule, asker, ledger) { return nil }
    effects.append(.reseal(try self.begin(question, source, asker), question, ephemeralKey: key))
    return nil
  }

  /// The capsule of a question that was judged. ⚑ To find that one is bad costs as much as a share: that is kept too.
  private mutating func checked(
    _ bytes: [UInt8], _ question: ReleaseQuestion, _ record: RecordEntry, _ ledger: Ledger
  ) throws(ReleaseRefusal) -> (capsule: Capsule, custody: CustodyKey) {
    do throws(ReleaseRefusal) {
      return try ReleasePolicy.capsule(bytes, of: record, network: ledger.network, in: ledger.state)
    } catch {
      let digest = SealedRecord.digest(ofBox: bytes)
      if digest == record.anchor.capsule, let capsule = try? Capsule.decode(bytes) {
        self.keep(.failure(error), question, Self.source(digest, capsule.generation, ledger))
      }
      throw error
    }
  }

  private static func source(_ capsule: Digest, _ generation: UInt64, _ ledger: Ledger) -> Source {
    let value = ledger.state.value(StateKey.custodyKey(generation)).map { Hash.sha256($0) }
    return Source(capsule: capsule, custody: (generation, value))
  }

  /// Whether what was made of a source is of this capsule, and of the custody key as the ledger has it now.
  private static func fits(_ source: Source, _ capsule: Digest, _ ledger: Ledger) -> Bool {
    guard source.capsule == capsule, let custody = source.custody else { return false }
    return Self.source(capsule, custody.generation, ledger).custody?.value == custody.value
  }

  /// Whether the answer to a question is being made already: then the asker waits for it with the others.
  private mutating func joins(
    _ question: ReleaseQuestion, _ capsule: Digest, _ asker: Asker, _ ledger: Ledger
  ) throws(ReleaseRefusal) -> Bool {
    guard let job = self.underway[question], let source = self.jobs[job]?.source, !planted(.sharesRemade),
      source.custody == nil ? source.capsule == capsule : Self.fits(source, capsule, ledger)
    else { return false }
    guard self.askerCount < Self.askersMax else { throw .unreachable }
    self.askerCount += 1
    self.jobs[job]?.askers.append(asker)
    return true
  }

  private mutating func keep(
    _ result: Result<[UInt8], ReleaseRefusal>, _ question: ReleaseQuestion, _ source: Source
  ) {
    guard !planted(.sharesRemade) else { return }
    if self.kept[question] == nil {
      if self.keptOrder.count >= Self.keptMax {
        for old in self.keptOrder.prefix(Self.keptMax / 2) { self.kept[old] = nil }
        self.keptOrder.removeFirst(Self.keptMax / 2)
      }
      self.keptOrder.append(question)
    }
    self.kept[question] = Kept(source: source, result: result)
  }

  /// To whom it goes, and the record, by this node's own ledger as it stands now.
  private static func judge(
    _ question: ReleaseQuestion, _ ledger: Ledger
  ) throws(ReleaseRefusal) -> (ephemeralKey: Digest, record: RecordEntry) {
    do throws(ReleaseRefusal) {
      return try ReleasePolicy.judge(question, at: ledger.time, in: ledger.state)
    } catch {
      guard planted(.releaseUnjudged), let (_, access) = AccessEntry.find(request: question.request, in: ledger.state),
        let record = ledger.state.item(StateKey.record(question.record), as: RecordEntry.self)
      else { throw error }
      return (access.request.ephemeralKey, record)
    }
  }

  private mutating func begin(
    _ question: ReleaseQuestion, _ source: Source, _ asker: Asker
  ) throws(ReleaseRefusal) -> Job {
    guard self.jobs.count < Self.jobsMax, self.askerCount < Self.askersMax else { throw .unreachable }
    let job = self.nextJob
    self.nextJob += 1
    self.jobs[job] = Work(question: question, source: source, askers: [asker])
    self.underway[question] = job
    self.askerCount += 1
    return job
  }

  private mutating func answer(
    _ question: ReleaseQuestion, to asker: Asker, _ ledger: Ledger, _ effects: inout [Effect],
    _ body: (inout Releases, inout [Effect]) throws(ReleaseRefusal) -> [UInt8]?
  ) -> Disposition<Reason> {
    do throws(ReleaseRefusal) {
      if let made = try body(&self, &effects) { self.release(made, question, to: asker, ledger, &effects) }
      return .accepted
    } catch {
      self.reply(.failure(error), to: asker, ledger, &effects)
      return .ignored(.refused(error))
    }
  }

  /// What was asked for is ready. ⚑ What was erased meanwhile, or came too late, does not leave.
  private mutating func finish(
    _ job: Job, _ content: [UInt8]?, _ ledger: Ledger, _ effects: inout [Effect]
  ) -> Disposition<Reason> {
    guard let work = self.jobs.removeValue(forKey: job) else { return .ignored(.settled) }
    self.askerCount -= work.askers.count
    if self.underway[work.question] == job { self.underway[work.question] = nil }
    if let content { self.keep(.success(content), work.question, work.source) }
    var disposition = Disposition<Reason>.accepted
    for asker in work.askers {
      disposition = self.answer(work.question, to: asker, ledger, &effects) { _, _ throws(ReleaseRefusal) in
        if !planted(.staleRelease) { _ = try Self.judge(work.question, ledger) }
        guard let content else { throw .notHere }
        return content
      }
    }
    return disposition
  }

  private mutating func release(
    _ content: [UInt8], _ question: ReleaseQuestion, to asker: Asker, _ ledger: Ledger, _ effects: inout [Effect]
  ) {
    self.stateRelease(of: question.request, ledger, &effects)
    if case .member(let member, _) = asker, self.told[question]?.contains(member) != true {
      if self.told.count >= Self.statedMax { self.told = [:] }
      self.told[question, default: ReplicaSet()].insert(member)
      effects.append(.released(question, to: member))
    }
    self.reply(.success(content), to: asker, ledger, &effects)
  }

  private mutating func reply(
    _ result: Result<[UInt8], ReleaseRefusal>, to asker: Asker, _ ledger: Ledger, _ effects: inout [Effect]
  ) {
    switch asker {
    case .member(let member, let question): effects.append(.reply(member, question: question, result))
    case .own(let ticket, let own): _ = self.take(result, by: own, for: ticket, ledger, &effects)
    }
  }

  /// States on the ledger, once for each request, that this hospital released something for it.
  private mutating func stateRelease(of request: Digest, _ ledger: Ledger, _ effects: inout [Effect]) {
    guard !self.stated.contains(request), let (_, entry) = AccessEntry.find(request: request, in: ledger.state),
      !entry.releases.contains(ledger.hospital)
    else { return }
    if self.stated.count >= Self.statedMax { self.stated = [] }
    self.stated.insert(request)
    effects.append(.stateRelease(request))
  }
}

/// The reader's hospital's side.
extension Releases {
  private mutating func gather(
    _ ticket: Ticket, _ question: ReleaseQuestion, _ capsule: [UInt8], without settled: ReplicaSet, _ ledger: Ledger,
    _ effects: inout [Effect]
  ) -> Disposition<Reason> {
    precondition(self.gatherings[ticket] == nil, "ticket \(ticket) is given out twice")
    do throws(ReleaseRefusal) {
      guard self.gatherings.count < Self.gatheringsMax else { throw .tooFewCustodians }
      let (_, record) = try Self.judge(question, ledger)
      guard !capsule.isEmpty else {
        guard let author = ledger.configuration.index(of: record.hospital) else { throw .unreachable }
        self.gatherings[ticket] = Gathering(question: question, custody: nil, awaited: Self.set([author]))
        self.ask(author, .hospitalKey(question), for: ticket, ledger, &effects)
        return .accepted
      }
      guard let generation = try? Capsule.decode(capsule).generation,
        let custody = CustodyKeys(in: ledger.state).key(of: generation)
      else { throw .badCapsule }
      let holders = custody.holders(in: ledger.configuration)
      // To ask again would be to wait for shares that nobody has.
      guard holders.count >= custody.threshold else { throw .custodiansGone }
      let asked = holders.filter { !settled.contains($0) || planted(.settledAsked) }
      guard !asked.isEmpty else { throw .tooFewCustodians }
      self.gatherings[ticket] = Gathering(question: question, custody: custody, awaited: Self.set(asked))
      // This hospital's own share may be there at once, and be enough.
      for member in asked where self.gatherings[ticket] != nil {
        self.ask(member, .share(question, capsule: capsule), for: ticket, ledger, &effects)
      }
      return .accepted
    } catch {
      effects.append(.settled(ticket, .failure(.refused(error))))
      return .ignored(.refused(error))
    }
  }

  private static func set(_ members: [ReplicaIndex]) -> ReplicaSet {
    var out = ReplicaSet()
    for member in members { out.insert(member) }
    return out
  }

  private mutating func ask(
    _ member: ReplicaIndex, _ question: MemberQuestion, for ticket: Ticket, _ ledger: Ledger,
    _ effects: inout [Effect]
  ) {
    guard member == ledger.own else { return effects.append(.ask(member, question, for: ticket)) }
    switch question {
    case .share(let question, let capsule):
      _ = self.step(.shareAsked(question, capsule: capsule, by: .own(ticket, member)), in: ledger, into: &effects)
    case .hospitalKey(let question):
      _ = self.step(.keyAsked(question, by: .own(ticket, member)), in: ledger, into: &effects)
    case .object, .keep, .boxes, .proof: preconditionFailure("releases ask for keys and shares")
    }
  }

  private mutating func take(
    _ result: Result<[UInt8], ReleaseRefusal>, by member: ReplicaIndex, for ticket: Ticket, _ ledger: Ledger,
    _ effects: inout [Effect]
  ) -> Disposition<Reason> {
    guard var gathering = self.gatherings[ticket] else { return .ignored(.settled) }
    guard gathering.awaited.contains(member) else { return .ignored(.notAsked) }
    gathering.awaited.remove(member)
    guard let custody = gathering.custody else {
      self.gatherings[ticket] = nil
      effects.append(.settled(ticket, Self.hospitalKey(result, gathering.question, by: member, ledger)))
      return .accepted
    }
    switch result.flatMap({ Self.share($0, of: member) }) {
    case .success(let share): gathering.shares.append(share)
    case .failure(let refusal): gathering.refusals.append(refusal)
    }
    let isEnough = gathering.shares.count >= custody.threshold || gathering.awaited.isEmpty
    self.gatherings[ticket] = isEnough ? nil : gathering
    if isEnough { effects.append(.settled(ticket, gathering.result(of: custody))) }
    return .accepted
  }

  /// ⚑ A custodian answers with its own share: one that could answer with another's would spend that one's place.
  private static func share(_ bytes: [UInt8], of member: ReplicaIndex) -> Result<SealedShare, ReleaseRefusal> {
    guard let share = try? SealedShare.decode(bytes), share.member == member || planted(.othersShareTaken) else {
      return .failure(.unreachable)
    }
    return .success(share)
  }

  private static func hospitalKey(
    _ result: Result<[UInt8], ReleaseRefusal>, _ question: ReleaseQuestion, by member: ReplicaIndex, _ ledger: Ledger
  ) -> Result<Release, Failure> {
    result.mapError { Failure.refused($0) }.flatMap { bytes -> Result<Release, Failure> in
      let author = ledger.configuration.members[member]
      guard let release = try? HospitalRelease.decode(bytes) else { return .failure(.malformed(author.id)) }
      let signed = HospitalRelease.signedBytes(network: ledger.network, question: question, key: release.key)
      guard author.key.verifies(release.signature, of: signed) else { return .failure(.unsigned(author.id)) }
      return .success(.hospitalKey(release))
    }
  }
}

extension Releases.Gathering {
  /// The shares that came; where there are none, the most telling reason: a custodian that is behind will know the
  /// request in a moment.
  fileprivate func result(of custody: CustodyKey) -> Result<Releases.Release, Releases.Failure> {
    guard self.shares.isEmpty else { return .success(.shares(self.shares, of: custody)) }
    let isBehind = self.refusals.contains(.unknownRequest)
    let reason = isBehind ? .unknownRequest : self.refusals.first { $0 != .unreachable }
    return .failure(.refused(reason ?? .tooFewCustodians))
  }
}
