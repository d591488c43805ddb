public import Messages
public import Primitives
public import Rules
import Signing
import Threshold
import Wire

/// The paper's three layers as rules of execution: user management, access management, records (RECORDS §2–§4).
public struct HealthRules: ExecutionRules {
  /// The rules' limits; all members use the same.
  public struct Limits: Sendable, Hashable {
    /// How long after a grant its keys are released, in milliseconds of cut time.
    public var releaseWindowMilliseconds: UInt64 = 10 * 60 * 1000
    /// How long after breaking the glass the review is due.
    public var reviewWindowMilliseconds: UInt64 = 72 * 3600 * 1000
    /// How often one practitioner may break the glass in a day.
    public var breakGlassPerAccountMax: UInt64 = 20
    /// How often one hospital may.
    public var breakGlassPerHospitalMax: UInt64 = 500
    /// How old an account must be to break the glass.
    public var breakGlassAgeMilliseconds: UInt64 = 0
    /// The most consents of one patient that stand: each of the patient's, the registrar's and all proxies', grants
    /// and denials apart. Under the second rules proxies share theirs.
    public var consentsPerGiverMax = 256
    /// The most consents of one patient that are looked at: more than can stand, two for each by patient and registrar,
    /// and for as many proxies as these can make, 512, twice the sum of their parts.
    public var consentsMax: Int { 20 * self.consentsPerGiverMax }
    /// How many refused requests of one reader for one patient's records are in the patient's history, a day.
    public var deniedPerReaderMax: UInt64 = 50
    /// How long each phase of making a custody key waits for members.
    public var custodyWindowMilliseconds: UInt64 = 10 * 60 * 1000
    /// How long an epoch of the custody key is: then its shares are dealt anew, and stolen ones are of no use.
    public var custodyEpochMilliseconds: UInt64 = 30 * 24 * 3600 * 1000
    /// How long the holder of an account's key can object to its recovery, and a patient to a guardian whom a registrar
    /// made, or take an erasure back that is not done at once.
    public var recoveryDelayMilliseconds: UInt64 = 72 * 3600 * 1000
    /// How many records of a patient are erased at once on a day; the next ones after the delay.
    public var erasuresAtOnceMax: UInt64 = 3
    /// How long what a reader breaks the glass for, with one patient, is one emergency.
    public var emergencyMilliseconds: UInt64 = 3600 * 1000
    /// How many requests one emergency has at most: further ones are another.
    public var emergencyRequestsMax: UInt64 = 64
    /// For how long a practitioner opens a session at most: a long shift.
    public var sessionMilliseconds: UInt64 = 16 * 3600 * 1000
    /// How long a hospital waits before it reports the same vault again.
    public var vaultReportMilliseconds: UInt64 = 3600 * 1000
    /// The most deadlines that one cut handles.
    public var deadlinesPerCutMax = 1000
    /// The defaults.
    public init() {}
  }

  let limits: Limits
  /// The newest version that is known.
  let newest: UInt16

  /// Rules with given limits, which know the versions up to `newest`; less than this program knows stands in for an
  /// older program.
  public init(limits: Limits = Limits(), newest: UInt16 = AgreedRules.newest) {
    (self.limits, self.newest) = (limits, newest)
  }

  /// Executes one transaction by its kind.
  public func execute(
    _ transaction: Transaction, identifier: Digest, in context: ExecutionContext, state: inout StateEditor
  ) -> OutcomeCode {
    guard let kind = TransactionKind(rawValue: transaction.kind) else { return .unknownKind }
    let run = RuleContext(
      transaction: transaction, identifier: identifier, execution: context, limits: self.limits)
    // ⚑ What the first rules did not know they do not know now, but for what a quorum ends them with.
    if kind == .keepRecords || kind == .adoptRules, !run.isSecond(in: state) {
      guard kind == .adoptRules, (try? self.apply(kind, run, &state)) != nil else { return .unknownKind }
      return .applied
    }
    do {
      try self.apply(kind, run, &state)
      return .applied
    } catch let refusal as Refusal {
      return kind == .adoptRules && Self.isUnreadable(run, in: state) ? .malformed : refusal.code
    } catch {
      return .malformed
    }
  }

  /// Whether the first programs that knew the rules in force read no adoption of these. ⚑ What they came to is kept:
  /// they refused a version beyond theirs as malformed, and by any other code one hospital alone would part them.
  private static func isUnreadable(_ run: RuleContext, in state: StateEditor) -> Bool {
    guard run.rules(in: state).version == 2, let approved = try? run.payload() as ApprovedRules else { return false }
    return approved.change.rules.version > 2
  }

  /// ⚑ What opened records while nothing was ordered is never too late for the history.
  public func isTimeless(_ kind: UInt16) -> Bool {
    kind == TransactionKind.openInPartition.rawValue && !planted(.openingExpires)
  }

  /// Whether it is the adoption of rules.
  public func changesRules(_ kind: UInt16) -> Bool { kind == TransactionKind.adoptRules.rawValue }

  /// ⚑ What holds there is said by the state alone, which others may have made: nothing of it is guessed.
  public func unknownVersion(in state: StateEditor) -> UInt16? {
    guard let bytes = state.value(StateKey.rules) else { return nil }
    guard let rules = try? AgreedRules.decode(bytes) else { return .max }
    return rules.version > self.newest ? rules.version : nil
  }

  private func apply(_ kind: TransactionKind, _ run: RuleContext, _ state: inout StateEditor) throws {
    switch kind {
    case .registerAccount: try run.registerAccount(run.proven(in: state), in: &state)
    case .approveThirdParty: try run.approveThirdParty(run.payload(), in: &state)
    case .rotateKey: try run.rotateKey(run.proven(in: state), in: &state)
    case .setStatus: try run.setStatus(run.payload(), in: &state)
    case .anchorRecord: try run.anchorRecord(run.payload(), in: &state)
    case .eraseRecord: try run.eraseRecord(run.payload(), in: &state)
    case .grantConsent: try run.grantConsent(run.payload(), in: &state)
    case .revokeConsent: try run.revokeConsent(run.payload(), in: &state)
    case .requestAccess: try run.requestAccess(run.payload(), in: &state)
    case .breakGlass: try run.breakGlass(run.payload(), in: &state)
    case .reviewBreakGlass: try run.reviewBreakGlass(run.payload(), in: &state)
    case .recordRelease: try run.recordRelease(run.payload(), in: &state)
    case .commitDigests: try run.commitDigests()
    case .forkEvidence: try run.recordFork(run.payload(), in: &state)
    case .registerTransportKey: try run.registerTransportKey(run.payload(), in: &state)
    case .dealShares: try run.dealShares(run.payload(), in: &state)
    case .complainOfDealing: try run.complain(run.payload(), in: &state)
    case .confirmShares: try run.confirmShares(run.payload(), in: &state)
    case .accuseCustodian: try run.accuseCustodian(run.payload(), in: &state)
    case .changeMembers: try run.changeMembers(run.payload(), in: &state)
    case .openConfiguration: try run.openConfiguration(run.payload(), in: &state)
    case .rateRecord: try run.rateRecord(run.payload(), in: &state)
    case .setCareTeam: try run.setCareTeam(run.payload(), in: &state)
    case .beginRecovery: try run.beginRecovery(run.proven(in: state), in: &state)
    case .endRecovery: try run.endRecovery(run.payload(), in: &state)
    case .orderErasure: try run.orderErasure(run.payload(), in: &state)
    case .setRetention: try run.setRetention(run.payload(), in: &state)
    case .openSession: try run.openSession(run.proven(in: state), in: &state)
    case .closeSession: try run.closeSession(run.payload(), in: &state)
    case .openInPartition: try run.openInPartition(run.payload(), in: &state)
    case .refreshCustody: try run.refreshCustody(run.payload(), in: &state)
    case .rotateCustody: try run.rotateCustody(run.payload(), in: &state)
    case .resealRecord: try run.resealRecord(run.payload(), in: &state)
    case .stateDestruction: try run.stateDestruction(run.payload(), in: &state)
    case .stateDeletion: try run.stateDeletion(run.payload(), in: &state)
    case .reportVault: try run.reportVault(run.payload(), in: &state)
    case .adoptRules: try run.adoptRules(run.payload(), in: &state)
    case .keepRecords: try run.keepRecords(run.payload(), in: &state)
    }
  }

  /// Marks the reviews that were not made in time, and ends phases of custody whose time is over.
  public func expire(in context: ExecutionContext, state: inout StateEditor) {
    MembershipRules.begin(context, in: &state)
    CustodyState(execution: context, limits: self.limits).expire(in: &state)
    RuleContext.endSessions(at: context.time, max: self.limits.deadlinesPerCutMax, in: &state)
    // ⚑ Before recoveries are completed: what is erased was asked for by the key that the account still has.
    Erasures.complete(at: context.time, max: self.limits.deadlinesPerCutMax, in: &state)
    Recoveries.complete(at: context.time, max: self.limits.deadlinesPerCutMax, in: &state)
    for pair in state.scan(prefix: StateKey.deadlines, limit: self.limits.deadlinesPerCutMax) {
      guard let due = Deadline(key: pair.key), due.time <= context.time,
        let patient = Digest(pair.value)
      else { return }
      state.set(pair.key, nil)
      let key = StateKey.access(patient, leaf: due.leaf)
      guard var entry = state.item(key, as: AccessEntry.self), entry.emergency == .reviewDue else { continue }
      entry.emergency = .overdue
      state.set(key, entry)
    }
  }

  /// When the earliest review is due, or the phase of custody ends; at once while a configuration is to begin,
  /// or a custody key may go out of use.
  public func deadline(in state: StateEditor) -> Timestamp {
    if state.value(StateKey.opening) != nil || CustodyState.mayRetire(in: state) { return .zero }
    let generation = CustodyKeys(in: state).generation
    let review = state.scan(prefix: StateKey.deadlines, limit: 1).first.flatMap { Deadline(key: $0.key)?.time }
    return min(
      generation?.deadline ?? .never, review ?? .never, Recoveries.deadline(in: state), Erasures.deadline(in: state))
  }
}

/// A deadline's key, read back.
struct Deadline {
  let time: Timestamp
  let leaf: UInt64

  init?(key: [UInt8]) {
    guard key.count == 17 else { return nil }
    let number = { (range: Range<Int>) in key[range].reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
    self.time = Timestamp(milliseconds: number(1..<9))
    self.leaf = number(9..<17)
  }
}

/// One transaction under execution: what its rule needs to know.
struct RuleContext {
  let transaction: Transaction
  let identifier: Digest
  let execution: ExecutionContext
  let limits: HealthRules.Limits

  var hospital: MemberID { self.transaction.hospital }
  var time: Timestamp { self.execution.time }

  func payload<T: WireDecodable>() throws -> T { try T.decode(self.transaction.payload) }

  /// The member in whose lane the transaction travels.
  func member() throws(Refusal) -> Member {
    guard let index = self.execution.configuration.index(of: self.hospital),
      self.execution.configuration.isVoter(index)
    else { throw .unknownSigner }
    return self.execution.configuration.members[index]
  }

  /// Requires that the hospital itself answers, by its block.
  func requireHospital() throws(Refusal) {
    guard self.transaction.authorization == .hospital else { throw .wrongAuthorization }
  }

  /// The key that signed; a hospital's transaction has none.
  func signer() throws(Refusal) -> PublicKey {
    guard case .person(let key, _) = self.transaction.authorization else { throw .wrongAuthorization }
    return key
  }

  /// ⚑ Requires the signature of the hospital's registrar, whose key is not on the node.
  func requireRegistrar() throws(Refusal) {
    guard try self.signer() == self.member().registrarKey else { throw .unknownSigner }
  }

  /// The account whose current key signed, if it may act now.
  func actor(in state: StateEditor) throws(Refusal) -> (identifier: Digest, account: Account) {
    let key = try self.signer()
    guard let identifier = state.item(StateKey.key(key.bytes), as: Digest.self),
      let account = state.item(StateKey.account(identifier), as: Account.self), account.key == key
    else { throw .unknownSigner }
    guard account.isActive(at: self.time) else { throw .accountInactive }
    return (identifier, account)
  }

  /// The patient's account, signed for by its own key, in its own hospital's lane.
  func requirePatient(_ patient: Digest, in state: StateEditor) throws(Refusal) {
    let actor = try self.actor(in: state)
    guard actor.identifier == patient, actor.account.kind == .patient else { throw .unknownSigner }
    guard actor.account.hospital == self.hospital else { throw .otherHospital }
  }
}
