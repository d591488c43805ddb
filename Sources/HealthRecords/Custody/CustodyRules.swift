public import Messages
internal import Primitives
import Rules
internal import Signing
public import Threshold
public import Wire

/// Custody: the making of the consortium's key by transactions that everybody checks (RECORDS §5).
extension RuleContext {
  private var custody: CustodyState { CustodyState(execution: self.execution, limits: self.limits) }

  /// The member in whose lane the transaction travels, by its place.
  private func memberIndex() throws(Refusal) -> ReplicaIndex {
    try self.requireHospital()
    guard let index = self.execution.configuration.index(of: self.hospital) else { throw .unknownSigner }
    return index
  }

  func registerTransportKey(_ key: TransportKey, in state: inout StateEditor) throws {
    let member = try self.memberIndex()
    let held = state.item(StateKey.transportKey(self.hospital), as: GroupElement.self)
    let isRenewed = self.custody.generation(in: state)?.awaitsKey(of: member) == true
    // ⚑ Shares that are dealt anew go to keys that are new.
    guard held == nil || isRenewed && (held != key.element || planted(.transportKeyKept)) else {
      throw Refusal.alreadyApproved
    }
    guard key.isProved(network: self.execution.network, member: self.hospital) else { throw Refusal.badEvidence }
    state.set(StateKey.transportKey(self.hospital), key.element)
    var generation =
      self.custody.generation(in: state)
      ?? KeyGeneration(
        configuration: self.execution.configuration.number,
        deadline: self.custody.nextDeadline)
    generation.register(member, self.custody.quorums, nextDeadline: self.custody.nextDeadline)
    self.custody.store(generation, in: &state)
  }

  func dealShares(_ statement: DealingStatement, in state: inout StateEditor) throws {
    let member = try self.memberIndex()
    guard var generation = self.custody.generation(in: state),
      generation.mayDeal(member, attempt: statement.attempt)
    else { throw Refusal.notAwaited }
    let dealing = statement.dealing
    guard dealing.commitments.count == generation.threshold, dealing.boxes.count == generation.participants.count
    else { throw Refusal.badEvidence }
    // ⚑ Who deals a share of a key deals that share and no other: what is dealt combines to the old secret.
    if generation.epoch > 0 {
      let key = CustodyKeys(in: state).key(of: generation.generation)
      guard dealing.commitments.first == key?.verificationKey(of: member) || planted(.otherShareDealt) else {
        throw Refusal.badEvidence
      }
    }
    state.set(StateKey.dealing(attempt: generation.attempt, dealer: member), dealing)
    generation.deal(member, nextDeadline: self.custody.nextDeadline)
    self.custody.store(generation, in: &state)
  }

  /// A bad share is shown by opening its box for everybody; an accusation that shows none counts against its author.
  func complain(_ complaint: DealingComplaint, in state: inout StateEditor) throws {
    let member = try self.memberIndex()
    guard var generation = self.custody.generation(in: state),
      generation.mayComplain(member, attempt: complaint.attempt), generation.dealers.contains(complaint.dealer),
      let place = generation.recipients.firstIndex(of: member),
      let key = state.item(StateKey.transportKey(self.hospital), as: GroupElement.self),
      let dealing = state.item(
        StateKey.dealing(attempt: complaint.attempt, dealer: complaint.dealer), as: Dealing.self),
      !self.isOver(in: state)
    else { throw Refusal.notAwaited }
    let context = DealingContext(
      network: self.execution.network, attempt: complaint.attempt, dealer: complaint.dealer)
    let isJustified =
      planted(.complaintUnjudged)
      || complaint.isJustified(about: dealing, by: member, at: place, key: key, context: context)
    generation.exclude(isJustified ? complaint.dealer : member, self.custody.quorums)
    self.custody.store(generation, in: &state)
    guard isJustified else {
      state.commit()
      throw Refusal.badEvidence
    }
  }

  /// ⚑ Once another configuration is on its way, its members are to be dealt shares again. Until then nobody becomes a
  /// custodian: the change was judged by those that there were, and a share that is stated now may leave with it.
  private func isOver(in state: StateEditor) -> Bool {
    self.isThird(in: state) && self.newest(in: state) != self.execution.configuration.number
  }

  func confirmShares(_ confirmation: ShareConfirmation, in state: inout StateEditor) throws {
    let member = try self.memberIndex()
    guard var generation = self.custody.generation(in: state),
      generation.mayConfirm(member, attempt: confirmation.attempt, good: confirmation.good), !self.isOver(in: state)
    else { throw Refusal.notAwaited }
    generation.confirm(member, good: confirmation.good, self.custody.quorums)
    self.custody.store(generation, in: &state)
  }
}

/// `refreshCustody`: the epoch that is to end before its time.
public struct CustodyRefresh: Sendable, Hashable, WireCodable {
  /// The epoch of the key that is in use.
  public let epoch: UInt64
  /// An epoch's end.
  public init(epoch: UInt64) { self.epoch = epoch }
  /// The epoch.
  public func encode(into encoder: inout Encoder) { encoder.u64(self.epoch) }
  /// Reads it.
  public init(from decoder: inout Decoder) throws(WireError) { self.epoch = try decoder.bounded("epoch") }
}

extension RuleContext {
  /// A member's registrar wants shares dealt anew before their time, for instance after a break-in.
  func refreshCustody(_ refresh: CustodyRefresh, in state: inout StateEditor) throws {
    try self.requireRegistrar()
    let configuration = self.execution.configuration
    guard let generation = self.custody.generation(in: state), generation.phase == .active,
      generation.epoch == refresh.epoch,
      configuration.index(of: self.hospital).map({ configuration.isVoter($0) }) == true
    else { throw Refusal.notAwaited }
    self.custody.refresh(generation, in: &state)
  }
}

/// `accuseCustodian`: a wrong share and what it was made for; one share says nothing about the record's key.
public struct ShareAccusation: Sendable, Hashable, WireCodable {
  /// The granted request and the record.
  public let question: ReleaseQuestion
  /// The record's capsule.
  public let capsule: [UInt8]
  /// The share, signed by its author.
  public let share: ReleasedShare

  /// An accusation of given parts.
  public init(question: ReleaseQuestion, capsule: [UInt8], share: ReleasedShare) {
    (self.question, self.capsule, self.share) = (question, capsule, share)
  }
  /// Question, capsule, share.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.question)
    encoder.blob(self.capsule)
    encoder.item(self.share)
  }
  /// Reads all three.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.question = try ReleaseQuestion(from: &decoder)
    self.capsule = try decoder.blob(max: 1024, "capsule")
    self.share = try ReleasedShare(from: &decoder)
  }
}

extension RuleContext {
  /// Keeps for ever which custodian signed a wrong share. Anybody with an account may show it: the proof is in it.
  func accuseCustodian(_ accusation: ShareAccusation, in state: inout StateEditor) throws {
    _ = try self.reader(in: state)
    let members = self.execution.configuration.members
    guard members.indices.contains(accusation.share.member) else { throw Refusal.badEvidence }
    let member = members[accusation.share.member]
    guard state.value(StateKey.wrongShare(member.id)) == nil else { throw Refusal.alreadyApproved }
    guard let (_, access) = AccessEntry.find(accusation.question.request, in: state), access.outcome == .applied,
      access.request.records.contains(accusation.question.record),
      let record = state.item(StateKey.record(accusation.question.record), as: RecordEntry.self)
    else { throw Refusal.unknownAccess }
    let capsule = try Capsule.decode(accusation.capsule)
    guard SealedRecord.digest(ofBox: accusation.capsule) == record.anchor.capsule,
      let custody = state.item(StateKey.custodyKey(capsule.generation), as: CustodyKey.self),
      capsule.isValid(for: custody, label: record.anchor.label(network: self.execution.network, custody: custody))
    else { throw Refusal.badEvidence }
    let context = OpeningContext(
      network: self.execution.network, request: accusation.question.request, capsule: record.anchor.capsule,
      custody: custody)
    let verdict = accusation.share.judge(for: capsule, of: custody, context: context, author: member.key)
    guard verdict == .wrong else { throw Refusal.badEvidence }
    state.set(StateKey.wrongShare(member.id), number: self.execution.leaf)
  }
}

/// The part of the state that is about custody.
struct CustodyState {
  let execution: ExecutionContext
  let limits: HealthRules.Limits

  var quorums: CustodyQuorums { CustodyQuorums(self.execution.configuration) }
  var nextDeadline: Timestamp {
    self.execution.time.adding(milliseconds: self.limits.custodyWindowMilliseconds)
  }

  func generation(in state: StateEditor) -> KeyGeneration? {
    CustodyKeys(in: state).generation
  }

  /// Stores a generation, and the key where it is in use.
  func store(_ made: KeyGeneration, in state: inout StateEditor) {
    let key = StateKey.custodyKey(made.generation)
    let held = state.item(key, as: CustodyKey.self)
    var generation = made
    if generation.phase == .active, held?.epoch != generation.epoch {
      // Where some were not there, and fewer shares are enough than should be, it is tried again soon.
      let epoch = self.limits.custodyEpochMilliseconds
      let isWhole = generation.threshold >= self.quorums.threshold(participants: self.quorums.count)
      generation.schedule(until: self.execution.time.adding(milliseconds: isWhole ? epoch : epoch / 30))
    }
    state.set(StateKey.generation, generation)
    guard generation.phase == .active else { return }
    if let held, held.epoch == generation.epoch {
      state.set(key, held.with(custodians: generation.custodians))
      return
    }
    let dealings = generation.agreedDealers.compactMap { dealer -> (dealer: ReplicaIndex, dealing: Dealing)? in
      let place = StateKey.dealing(attempt: generation.attempt, dealer: dealer)
      return state.item(place, as: Dealing.self).map { (dealer, $0) }
    }
    guard let agreed = CustodyKey(generation, dealings: dealings) else { return }
    state.set(key, agreed)
    // What the old custodians were dealt is of no use any more.
    if let held { self.forget(attempt: held.attempt, in: &state) }
  }

  /// Takes a try's dealings away. ⚑ Shares of a key in use are read out of its own.
  private func forget(attempt: UInt64, in state: inout StateEditor) {
    guard
      !CustodyKeys(in: state).all.contains(where: { $0.attempt == attempt }) || planted(.oldDealingsForgotten)
    else { return }
    for dealer in 0..<self.execution.configuration.laneCount {
      state.set(StateKey.dealing(attempt: attempt, dealer: dealer), nil)
    }
  }

  /// With the first cut of a configuration the key goes over to its members.
  private func follow(_ generation: KeyGeneration, in state: inout StateEditor) {
    var generation = generation
    let configuration = self.execution.configuration
    var registered = ReplicaSet()
    for member in configuration.voters {
      let isKnown = state.value(StateKey.transportKey(configuration.members[member].id)) != nil
      // ⚑ Shares of another key go to keys that were registered for it: with the others the old shares are read.
      if isKnown, !generation.isSuccessor || generation.registered.contains(member) { registered.insert(member) }
    }
    self.begin(&generation, registered: registered, in: &state)
  }

  private func begin(_ generation: inout KeyGeneration, registered: ReplicaSet, in state: inout StateEditor) {
    let configuration = self.execution.configuration
    let key = CustodyKeys(in: state).key(of: generation.generation)
    if key != nil { self.forget(attempt: generation.attempt, in: &state) }
    generation.begin(
      configuration.number, voters: configuration.voters, registered: registered, key: key, self.quorums,
      nextDeadline: self.nextDeadline)
    self.store(generation, in: &state)
  }

  /// Shares are dealt anew, to transport keys that are new: what an earlier epoch's custodians lost is of no use then.
  func refresh(_ held: KeyGeneration, in state: inout StateEditor) {
    var generation = held
    self.begin(&generation, registered: ReplicaSet(), in: &state)
  }

  /// Ends a phase whose time is over.
  func expire(in state: inout StateEditor) {
    self.retire(in: &state)
    guard var generation = self.generation(in: state) else { return }
    guard generation.configuration >= self.execution.configuration.number else {
      return self.follow(generation, in: &state)
    }
    guard generation.deadline <= self.execution.time else { return }
    if generation.phase == .active { return self.refresh(generation, in: &state) }
    let attempt = generation.attempt
    generation.expire(self.quorums, nextDeadline: self.nextDeadline)
    if generation.attempt != attempt { self.forget(attempt: attempt, in: &state) }
    self.store(generation, in: &state)
  }

  /// Whether the old key has nothing to open any more.
  static func mayRetire(in state: StateEditor) -> Bool {
    CustodyKeys(in: state).retiringGeneration.map { LiveRecords.areNone(generation: $0, in: state) } ?? false
  }

  /// Takes the old key out of use once no live record is sealed to it: whatever is left under it was erased.
  private func retire(in state: inout StateEditor) {
    guard Self.mayRetire(in: state), let old = CustodyKeys(in: state).retiring else { return }
    state.set(StateKey.custodyKey(old.generation), nil)
    self.forget(attempt: old.attempt, in: &state)
  }
}

extension CustodyQuorums {
  /// The quorums of a configuration.
  public init(_ configuration: Configuration) {
    self.init(count: configuration.voterCount, faultyMax: configuration.faultyMax, quorum: configuration.quorum)
  }
}
