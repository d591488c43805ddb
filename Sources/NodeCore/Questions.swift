internal import HealthRecords
internal import Messages
internal import Primitives

/// The questions that members ask one another outside the ledger: which of this node's wait for an answer, and how
/// many of each peer's are being answered.
///
/// ⚑ The number of a question is drawn, and never counted: a peer answers over whatever session there is when the
/// answer is ready, so that what was asked before a restart may be answered after it.
struct Questions: Sendable {
  /// The most questions that wait for an answer.
  static let openMax = 4096
  /// How long a member may take to answer a question.
  static let timeout = Span.milliseconds(10_000)
  /// The most questions of one peer that are being answered.
  static let answeringMax = 256
  /// How many questions for keys and shares a member may ask at once, and one more each interval.
  static let keyQuestionsMax: UInt64 = 1024
  /// That interval.
  static let keyQuestionInterval = Span.milliseconds(4)
  /// The most questions of all those who do not vote that are being answered.
  static let guestAnsweringMax = 16

  /// What is done with an answer.
  enum Purpose: Sendable, Hashable {
    /// It is part of what a reader waits for.
    case release(Releases.Ticket)
    /// The driver knows.
    case other(UInt64)
  }

  /// What happens.
  enum Input {
    /// A member is to be asked.
    case wanted(ReplicaIndex, MemberQuestion, for: Purpose)
    /// An answer came.
    case answered(UInt64, [UInt8], by: ReplicaIndex)
    /// A peer asks something that is going to be answered.
    case asked(MemberQuestion, by: ReplicaIndex)
    /// A peer's question is answered.
    case replied(to: ReplicaIndex)
    /// A peer is gone, or was not there when it was asked.
    case disconnected(ReplicaIndex)
    /// A point in time that `deadline` named has come.
    case timerFired
  }

  /// What is to be done.
  enum Effect {
    /// Send a question.
    case send(ReplicaIndex, UInt64, MemberQuestion)
    /// A question has its answer, or why there is none.
    case settled(Purpose, by: ReplicaIndex, Result<[UInt8], ReleaseRefusal>)
  }

  /// Why an input was of no use.
  enum Reason: String, Sendable, Hashable {
    /// No question of that number waits.
    case unknownNumber = "answer to no question"
    /// Another member was asked.
    case otherMember = "answer of another than was asked"
    /// So many questions are open already.
    case tooMany = "too many questions"
    /// Nobody waits for it.
    case idle = "nothing waits"
  }

  private struct Open: Sendable {
    let member: ReplicaIndex
    let purpose: Purpose
    let deadline: Tick
  }

  private var random: SeededGenerator
  private var open: [UInt64: Open] = [:]
  /// The numbers of open questions in the order of their deadlines, with some that are not open any more.
  private var order: [UInt64] = []
  private var answering: [ReplicaIndex: Int] = [:]
  private var guestAnswering = 0
  private var keyRates: [ReplicaIndex: Rate] = [:]
  /// The last number, for a planted bug.
  private var last: UInt64 = 0

  /// Nothing is asked yet.
  init(seed: UInt64) { self.random = SeededGenerator(seed: seed) }

  /// The next point in time at which it wants `.timerFired`.
  var deadline: Tick? { self.order.first.flatMap { self.open[$0]?.deadline } }

  /// The first invariant that does not hold, in words; nil where all do.
  var invariantBreach: String? {
    if self.open.count > Self.openMax { return "I9: \(self.open.count) questions are open" }
    if self.order.count(where: { self.open[$0] != nil }) != self.open.count {
      return "I9: an open question has no deadline"
    }
    if self.guestAnswering < 0 || self.guestAnswering > Self.guestAnsweringMax {
      return "I9: \(self.guestAnswering) questions of those who do not vote are being answered"
    }
    return nil
  }

  mutating func step(_ input: Input, at now: Tick, into effects: inout [Effect]) -> Disposition<Reason> {
    defer { self.prune() }
    switch input {
    case .wanted(let member, let question, let purpose):
      guard self.open.count < Self.openMax else {
        effects.append(.settled(purpose, by: member, .failure(.unreachable)))
        return .ignored(.tooMany)
      }
      let number = self.draw()
      self.open[number] = Open(member: member, purpose: purpose, deadline: now + Self.timeout)
      self.order.append(number)
      effects.append(.send(member, number, question))
      return .accepted
    case .answered(let number, let bytes, let member):
      guard let question = self.open[number] else { return .ignored(.unknownNumber) }
      guard question.member == member || planted(.answerOfOthers) else { return .rejected(.otherMember) }
      if !planted(.answerTwice) { self.open[number] = nil }
      effects.append(.settled(question.purpose, by: question.member, Self.content(of: bytes)))
      return .accepted
    case .asked(let question, let peer):
      let isGuest = peer >= ReplicaSet.countMax
      guard self.answering[peer, default: 0] < Self.answeringMax,
        !isGuest || self.guestAnswering < Self.guestAnsweringMax
      else { return .ignored(.tooMany) }
      guard isGuest || self.mayAsk(question, peer, at: now) else { return .ignored(.tooMany) }
      self.answering[peer, default: 0] += 1
      if isGuest { self.guestAnswering += 1 }
      return .accepted
    case .replied(let peer):
      guard let count = self.answering[peer] else { return .ignored(.idle) }
      self.answering[peer] = count > 1 ? count - 1 : nil
      if peer >= ReplicaSet.countMax { self.guestAnswering -= 1 }
      return .accepted
    case .disconnected(let peer):
      // ⚑ What is being answered counts until it is: who hangs up and comes back has no more for it.
      return self.giveUp(&effects) { $0.member == peer }
    case .timerFired: return self.giveUp(&effects) { $0.deadline <= now }
    }
  }

  /// ⚑ Whether a member may ask this now: what it asks for keys is judged by the ledger, and costs that each time.
  private mutating func mayAsk(_ question: MemberQuestion, _ member: ReplicaIndex, at now: Tick) -> Bool {
    switch question {
    case .share, .hospitalKey:
      planted(.keyQuestionsUnbounded)
        || self.keyRates[member, default: Rate()]
          .admits(at: now, every: Self.keyQuestionInterval, burst: Self.keyQuestionsMax)
    case .object, .keep, .boxes, .proof: true
    }
  }

  private mutating func draw() -> UInt64 {
    guard !planted(.questionsCounted) else {
      self.last += 1
      return self.last
    }
    while true {
      let number = self.random.next()
      if self.open[number] == nil { return number }
    }
  }

  /// A byte that is 0 and the content, or a refusal's.
  private static func content(of bytes: [UInt8]) -> Result<[UInt8], ReleaseRefusal> {
    guard let first = bytes.first else { return .failure(.unreachable) }
    guard first == 0 else { return .failure(ReleaseRefusal(rawValue: first) ?? .unreachable) }
    return .success(Array(bytes.dropFirst()))
  }

  private mutating func giveUp(_ effects: inout [Effect], where isOver: (Open) -> Bool) -> Disposition<Reason> {
    var isIdle = true
    for number in self.order {
      guard let question = self.open[number], isOver(question) else { continue }
      isIdle = false
      self.open[number] = nil
      effects.append(.settled(question.purpose, by: question.member, .failure(.unreachable)))
    }
    return isIdle ? .ignored(.idle) : .accepted
  }

  /// Whatever is settled leaves the order, at once where it is the first.
  private mutating func prune() {
    let settled = self.order.prefix { self.open[$0] == nil }.count
    if settled > 0 { self.order.removeFirst(settled) }
    if self.order.count > 2 * Self.openMax { self.order.removeAll { self.open[$0] == nil } }
  }
}
