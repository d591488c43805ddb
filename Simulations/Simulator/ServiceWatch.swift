internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Rules
internal import Threshold
internal import Wire

/// What correct hospitals' services promise by what they ask, answer and take, kept without their code.
final class ServiceWatch {
  private struct Received: Hashable {
    let peer: ReplicaIndex
    let number: UInt64
  }

  /// What a share is made for.
  private struct Opened: Hashable {
    let context: OpeningContext
    let custody: CustodyKey
  }

  private struct Pair: Hashable {
    let slot: Int
    let peer: ReplicaIndex
  }

  /// So many questions of one member for keys may be taken within a second.
  private static let keyQuestionsMax = 1024 + 250 + 1
  /// What repeats is told an operator once within this time.
  private static let reportInterval = Span.milliseconds(600_000)

  /// The first promise that was not kept, in words.
  private(set) var breach: String?
  /// The numbers that a slot ever gave to its questions, and the last.
  private var used: [Int: Set<UInt64>] = [:]
  private var last: [Int: UInt64] = [:]
  /// Whom a slot asked since it started, by the number, as long as no answer was taken.
  private var asked: [Int: [UInt64: ReplicaIndex]] = [:]
  /// What a slot was asked since it started.
  private var received: [Int: [Received: MemberQuestion]] = [:]

  /// The shares that a slot is making, and those that it made, since it started.
  private var opening: [Int: [Releases.Job: Opened]] = [:]
  private var made: [Int: Set<Opened>] = [:]
  /// When a slot took questions for keys, by who asked.
  private var taken: [Pair: [Tick]] = [:]
  /// What a slot's operator was told since it started, and when.
  private var told: [Int: [Services.Event: Tick]] = [:]

  /// A slot starts: it knows nothing of what was asked before.
  func started(_ slot: Int) {
    (self.asked[slot], self.received[slot]) = ([:], [:])
    (self.opening[slot], self.made[slot], self.told[slot]) = ([:], [], [:])
    for pair in self.taken.keys where pair.slot == slot { self.taken[pair] = nil }
  }

  /// A slot's services took an input, or did not.
  func stepped(
    _ input: Services.Input, _ outcome: Services.Outcome, _ effects: [Services.Effect], at slot: Int, _ now: Tick
  ) {
    self.checkWork(input, effects, slot)
    for case .report(let event) in effects { self.reported(event, slot, now) }
    switch input {
    case .question(let peer, let number, let bytes):
      guard let question = try? MemberQuestion.decode(bytes) else { return }
      self.received[slot]?[Received(peer: peer, number: number)] = question
      if outcome != .ignored(.questions("too many questions")) { self.took(question, of: peer, slot, now) }
    case .answer(let peer, let number, _):
      guard outcome == .accepted else { return }
      guard let member = self.asked[slot]?.removeValue(forKey: number) else {
        return self.tell("R9: member \(slot) takes an answer that it did not ask for, or had already")
      }
      if member != peer { self.tell("R9: member \(slot) takes an answer of \(peer) to what it asked of \(member)") }
    case .releaseWanted(_, _, _, let settled):
      for case .send(.question, let member) in effects where settled.contains(member) {
        self.tell("R9: member \(slot) asks \(member) again, whose share it has or knows to be wrong")
      }
    case .wanted, .served, .opened, .resealed, .disconnected, .timerFired: break
    }
  }

  /// I9: a share is made once for a request and a capsule, however often it is asked for.
  private func checkWork(_ input: Services.Input, _ effects: [Services.Effect], _ slot: Int) {
    if case .opened(let job, let share) = input, let opened = self.opening[slot]?.removeValue(forKey: job),
      share != nil
    {
      self.made[slot]?.insert(opened)
    }
    for case .open(let job, let opening) in effects {
      let opened = Opened(context: opening.context, custody: opening.custody)
      if self.made[slot]?.contains(opened) == true || self.opening[slot]?.values.contains(opened) == true {
        self.tell("I9: member \(slot) makes a share that it has made, or is making")
      }
      self.opening[slot]?[job] = opened
    }
  }

  /// I9: a member's questions for keys are answered up to a bound, and no more.
  private func took(_ question: MemberQuestion, of peer: ReplicaIndex, _ slot: Int, _ now: Tick) {
    switch question {
    case .share, .hospitalKey:
      let pair = Pair(slot: slot, peer: peer)
      self.taken[pair, default: []].append(now)
      guard let count = self.taken[pair]?.count, count > Self.keyQuestionsMax else { return }
      self.taken[pair]?.removeAll { $0 + .milliseconds(1000) < now }
      if self.taken[pair]?.count ?? 0 > Self.keyQuestionsMax {
        self.tell("I9: member \(slot) takes \(count) questions for keys from \(peer) within a second")
      }
    case .object, .keep, .boxes, .proof: return
    }
  }

  /// I9: what a peer can make happen as often as it likes is told once.
  private func reported(_ event: Services.Event, _ slot: Int, _ now: Tick) {
    let last = self.told[slot]?.updateValue(now, forKey: event)
    switch event {
    case .released:
      if last != nil { self.tell("I9: member \(slot) logs a release to one hospital twice") }
    case .tooMany, .refused:
      if let last, now < last + Self.reportInterval { self.tell("I9: member \(slot) logs \(event) again and again") }
    }
  }

  /// A slot's services send a question or an answer.
  func sends(_ message: PeerMessage, to peer: ReplicaIndex, at slot: Int, _ ledger: Releases.Ledger) {
    switch message {
    case .question(let number, _):
      if let last = self.last[slot], number &- last < 1 << 32 || last &- number < 1 << 32 {
        self.tell("R9: the numbers of member \(slot)'s questions can be guessed")
      }
      if self.used[slot, default: []].insert(number).inserted == false {
        self.tell("R9: member \(slot) gives a number to a second question")
      }
      self.last[slot] = number
      self.asked[slot]?[number] = peer
    case .answer(let number, let bytes):
      guard bytes.first == 0, let question = self.received[slot]?[Received(peer: peer, number: number)] else { return }
      self.check(question, slot, ledger)
    default: self.tell("member \(slot)'s services send what is no question and no answer")
    }
  }

  /// R2, R7: what leaves is what this hospital's ledger grants at that moment.
  private func check(_ question: MemberQuestion, _ slot: Int, _ ledger: Releases.Ledger) {
    let asked: ReleaseQuestion
    switch question {
    case .share(let question, let capsule):
      asked = question
      let entry = ledger.state.item(StateKey.record(asked.record), as: RecordEntry.self)
      if entry.map({ SealedRecord.digest(ofBox: capsule) != $0.anchor.capsule }) ?? true {
        self.tell("R9: member \(slot) opens a capsule that is not the record's")
      }
    case .hospitalKey(let question): asked = question
    case .object, .keep, .boxes, .proof: return
    }
    guard let (_, access) = AccessEntry.find(request: asked.request, in: ledger.state), access.outcome == .applied,
      access.request.records.contains(asked.record)
    else { return self.tell("R2: member \(slot) releases a key for a request that its ledger did not grant") }
    let reader = ledger.state.item(StateKey.account(access.reader), as: Account.self)
    if reader?.status != .active { self.tell("R2: member \(slot) releases a key to an account that is not active") }
    if ledger.time > access.releaseUntil { self.tell("R2: member \(slot) releases a key when its time is over") }
    if ledger.state.item(StateKey.record(asked.record), as: RecordEntry.self)?.isErased ?? true {
      self.tell("R7: member \(slot) releases a key of a record that is erased")
    }
  }

  /// A reader's hospital has what opens a record.
  func released(_ result: Result<Releases.Release, Releases.Failure>) {
    guard case .success(.shares(let shares, _)) = result else { return }
    if Set(shares.map(\.member)).count < shares.count { self.tell("R3: shares of one member are counted twice") }
  }

  private func tell(_ sentence: String) { self.breach = self.breach ?? sentence }
}
