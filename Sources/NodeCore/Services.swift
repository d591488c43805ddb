public import HealthRecords
internal import Ledger
public import Messages
public import Primitives
public import Rules
internal import Wire

/// What a hospital does for others besides ordering, as one value: it asks, it answers, and it releases shares of
/// keys.
///
/// A driver carries questions and answers, opens capsules and reads vaults; it decides nothing.
public struct Services: Sendable {
  /// A peer's question that the driver answers.
  public struct Asked: Sendable, Hashable {
    /// Who asks.
    public let peer: ReplicaIndex
    /// The question's number.
    public let number: UInt64

    package init(peer: ReplicaIndex, number: UInt64) { (self.peer, self.number) = (peer, number) }
  }

  /// What happens.
  public enum Input: Sendable {
    /// The driver wants to know something of a member.
    case wanted(ReplicaIndex, MemberQuestion, ticket: UInt64)
    /// A reader here wants what opens a record: the capsule of the record (empty where it has none), and the members
    /// whose shares it need not have.
    case releaseWanted(Releases.Ticket, ReleaseQuestion, capsule: [UInt8], without: ReplicaSet)
    /// A peer asks.
    case question(from: ReplicaIndex, UInt64, [UInt8])
    /// A peer answers.
    case answer(from: ReplicaIndex, UInt64, [UInt8])
    /// The driver has the answer to a question that it was given.
    case served(Asked, Result<[UInt8], ReleaseRefusal>)
    /// A capsule was opened with this member's share; nil where it has none.
    case opened(Releases.Job, SealedShare?)
    /// A key of this hospital's own was sealed for a reader; nil where that cannot be done.
    case resealed(Releases.Job, HospitalRelease?)
    /// A peer is gone, or was not there when something was to be sent to it.
    case disconnected(ReplicaIndex)
    /// A point in time that `deadline` named has come.
    case timerFired
  }

  /// What is to be done.
  public enum Effect: Sendable {
    /// Send a question or an answer; where the peer is not connected, give `disconnected`.
    case send(PeerMessage, to: ReplicaIndex)
    /// Read a part of a record for a member, as the rations allow, and answer its question.
    case read(ServedRequest, for: ReplicaIndex)
    /// Find the answer to a question about the vault, and give it as `served`.
    case serve(MemberQuestion, Asked)
    /// What the driver wanted to know is here, or why it is not.
    case answered(ticket: UInt64, Result<[UInt8], ReleaseRefusal>)
    /// Open a capsule with this member's share of the custody key, and give it as `opened`.
    case open(Releases.Job, ShareOpening)
    /// Seal a record's key out of this hospital's own copy, and give it as `resealed`.
    case reseal(Releases.Job, ReleaseQuestion, ephemeralKey: Digest)
    /// Put it on the ledger that this hospital released something for a request.
    case stateRelease(Digest)
    /// What a reader here wanted is here, or why it is not.
    case released(Releases.Ticket, Result<Releases.Release, Releases.Failure>)
    /// Tell the operator.
    case report(Event)
  }

  /// What an operator wants to know.
  public enum Event: Sendable, Hashable {
    /// A peer asks for more than it is answered; said once in a while.
    case tooMany(ReplicaIndex)
    /// A member got this hospital's share of a record's key, or the key, for the first time.
    case released(ReleaseQuestion, to: ReplicaIndex)
    /// A member was refused one; said once in a while for each member and reason.
    case refused(ReleaseRefusal, to: ReplicaIndex)
  }

  /// Why an input was of no use.
  public enum Reason: Sendable, Hashable, CustomStringConvertible {
    /// The questions' reason.
    case questions(String)
    /// The releases' reason.
    case releases(Releases.Reason)
    /// The bytes are no question.
    case malformed
    /// A peer that does not vote may not ask this.
    case notForGuests

    /// The machine and its reason, in words.
    public var description: String {
      switch self {
      case .questions(let reason): "questions: \(reason)"
      case .releases(.settled): "releases: nobody waits"
      case .releases(.notAsked): "releases: not asked"
      case .releases(.refused(let refusal)): "releases: \(refusal)"
      case .malformed: "questions: no question"
      case .notForGuests: "questions: for members only"
      }
    }
  }

  /// What a step came to.
  public typealias Outcome = Disposition<Reason>

  private var questions: Questions
  private var releases = Releases()
  /// When something that may repeat was reported last.
  private var reported: [Event: Tick] = [:]

  /// Nothing is asked yet; the seed determines the numbers of questions, and must be fresh at each start.
  public init(seed: UInt64) { self.questions = Questions(seed: seed) }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick? { self.questions.deadline }

  /// Takes one input; appends effects in the order in which they are to happen.
  public mutating func step(
    _ input: Input, at now: Tick, in ledger: Releases.Ledger, into effects: inout [Effect]
  ) -> Outcome {
    var run = Run(now: now, ledger: ledger)
    defer { effects += run.effects }
    switch input {
    case .wanted(let member, let question, let ticket):
      return self.step(questions: .wanted(member, question, for: .other(ticket)), &run)
    case .releaseWanted(let ticket, let question, let capsule, let settled):
      return self.step(releases: .wanted(ticket, question, capsule: capsule, without: settled), &run)
    case .question(let peer, let number, let bytes): return self.take(bytes, Asked(peer: peer, number: number), &run)
    case .answer(let peer, let number, let bytes):
      return self.step(questions: .answered(number, bytes, by: peer), &run)
    case .served(let asked, let result):
      self.reply(result, to: asked, &run)
      return .accepted
    case .opened(let job, let share): return self.step(releases: .opened(job, share), &run)
    case .resealed(let job, let release): return self.step(releases: .resealed(job, release), &run)
    case .disconnected(let peer):
      return self.step(questions: .disconnected(peer), &run)
    case .timerFired: return self.step(questions: .timerFired, &run)
    }
  }

  /// How long what repeats is reported once.
  static let reportInterval = Span.milliseconds(600_000)
  /// The most of what may repeat that is remembered.
  static let reportedMax = 4096

  /// The first invariant that does not hold, in words; nil where all do.
  public var invariantBreach: String? {
    if self.reported.count > Self.reportedMax { return "I9: \(self.reported.count) reports are remembered" }
    return self.questions.invariantBreach ?? self.releases.invariantBreach
  }
}

/// What one step works with.
private struct Run {
  let now: Tick
  let ledger: Releases.Ledger
  var effects: [Services.Effect] = []
}

extension Services {
  private mutating func step(questions input: Questions.Input, _ run: inout Run) -> Outcome {
    var effects: [Questions.Effect] = []
    let outcome = self.questions.step(input, at: run.now, into: &effects)
    for effect in effects {
      switch effect {
      case .send(let member, let number, let question):
        run.effects.append(.send(.question(number, question.encoded), to: member))
      case .settled(.other(let ticket), _, let result): run.effects.append(.answered(ticket: ticket, result))
      case .settled(.release(let ticket), let member, let result):
        _ = self.step(releases: .answered(ticket, by: member, result), &run)
      }
    }
    return outcome.map { .questions($0.rawValue) }
  }

  private mutating func step(releases input: Releases.Input, _ run: inout Run) -> Outcome {
    var effects: [Releases.Effect] = []
    let outcome = self.releases.step(input, in: run.ledger, into: &effects)
    for effect in effects {
      switch effect {
      case .ask(let member, let question, let ticket):
        _ = self.step(questions: .wanted(member, question, for: .release(ticket)), &run)
      case .open(let job, let opening): run.effects.append(.open(job, opening))
      case .reseal(let job, let question, let key):
        run.effects.append(.reseal(job, question, ephemeralKey: key))
      case .reply(let member, let number, let result):
        if case .failure(let refusal) = result { self.report(.refused(refusal, to: member), &run) }
        self.reply(result, to: Asked(peer: member, number: number), &run)
      case .released(let question, let member): run.effects.append(.report(.released(question, to: member)))
      case .stateRelease(let request): run.effects.append(.stateRelease(request))
      case .settled(let ticket, let result): run.effects.append(.released(ticket, result))
      }
    }
    return outcome.map { .releases($0) }
  }

  /// A peer's question. I9: a peer that asks without waiting for answers is not answered, and asks again.
  private mutating func take(_ bytes: [UInt8], _ asked: Asked, _ run: inout Run) -> Outcome {
    guard let question = try? MemberQuestion.decode(bytes) else { return .rejected(.malformed) }
    // ⚑ A question costs 48 bytes and a part four million: the answer is rationed as what is read from the store is.
    if case .object(let record, let start) = question, asked.peer < ReplicaSet.countMax {
      run.effects.append(.read(.record(record, from: start, question: asked.number), for: asked.peer))
      return .accepted
    }
    let outcome = self.step(questions: .asked(question, by: asked.peer), &run)
    guard case .accepted = outcome else {
      self.report(.tooMany(asked.peer), &run)
      return outcome
    }
    // ⚑ A peer that does not vote gets proofs: no ciphertext as a whole, and no share of a key.
    if asked.peer >= ReplicaSet.countMax {
      guard case .proof = question else {
        self.reply(.failure(.unreachable), to: asked, &run)
        return .ignored(.notForGuests)
      }
    }
    let asker = Releases.Asker.member(asked.peer, question: asked.number)
    switch question {
    case .share(let question, let capsule):
      return self.step(releases: .shareAsked(question, capsule: capsule, by: asker), &run)
    case .hospitalKey(let question):
      return self.step(releases: .keyAsked(question, by: asker), &run)
    case .object, .keep, .boxes, .proof:
      run.effects.append(.serve(question, asked))
      return .accepted
    }
  }

  /// Tells the operator of what may repeat: once in a while, as a peer may make it happen as often as it likes.
  private mutating func report(_ event: Event, _ run: inout Run) {
    if let last = self.reported[event], run.now < last + Self.reportInterval { return }
    if self.reported.count >= Self.reportedMax { self.reported = [:] }
    self.reported[event] = run.now
    run.effects.append(.report(event))
  }

  private mutating func reply(_ result: Result<[UInt8], ReleaseRefusal>, to asked: Asked, _ run: inout Run) {
    _ = self.step(questions: .replied(to: asked.peer), &run)
    let bytes =
      switch result {
      case .success(let content): [0] + content
      case .failure(let refusal): [refusal.rawValue]
      }
    run.effects.append(.send(.answer(asked.number, bytes), to: asked.peer))
  }
}

extension Node {
  /// The ledger as services go by it.
  public func serviceLedger(_ hospital: MemberID, state: any StateReader) -> Releases.Ledger {
    Releases.Ledger(
      own: self.index, hospital: hospital, configuration: self.configuration, network: self.genesis.network,
      time: self.execution.position.time, state: state)
  }
}
