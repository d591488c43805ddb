internal import Custody
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Rules
internal import Signing
internal import Threshold
internal import Wire

/// How a hospital lies when it is asked for its share of a key.
enum ServiceLie: CaseIterable {
  /// Opens another capsule than the one that it was asked about.
  case otherCapsule
  /// Answers with a share in another's name.
  case othersName
  /// Answers what others were asked, with their questions' numbers, which it is taken to know.
  case othersQuestions
  /// Answers twice.
  case twice
  /// Refuses without a reason.
  case refusal
  /// Says nothing.
  case silence
  /// Releases whatever it is asked for.
  case leak
}

/// What a slot's services know and are asked: what the production driver keeps beside its node.
struct ServiceHost {
  /// The services; nil while the slot is stopped.
  var services: Services?
  /// What it read of its shares.
  var shares = CustodyShares()
  /// The heads of the records in its vault, which survive a stop.
  var heads: [Digest: SealedHead] = [:]
  /// When it is to be woken.
  var timerAt: Tick?
  /// How long it takes at most to open a capsule.
  var openingMax = Span.microseconds(200)
  /// How it lies; nil where it does not.
  var lie: ServiceLie?
  /// Those who wait for releases, and for answers.
  var releases: [Releases.Ticket: (Result<Releases.Release, Releases.Failure>) -> Void] = [:]
  var answers: [UInt64: (Result<[UInt8], ReleaseRefusal>) -> Void] = [:]
}

/// Questions and answers between hospitals: the second driver of `Services`.
extension Cluster {
  /// Gathers what opens a record for a reader at a slot; nothing comes of it where the slot stops.
  func release(
    _ question: ReleaseQuestion, capsule: [UInt8], without settled: ReplicaSet, at slot: Int,
    then done: @escaping (Result<Releases.Release, Releases.Failure>) -> Void
  ) {
    self.serviceTickets += 1
    self.machines[slot].host.releases[self.serviceTickets] = done
    self.give(
      services: .releaseWanted(self.serviceTickets, question, capsule: capsule, without: settled), to: slot)
  }

  /// Has a slot ask a member something.
  func ask(
    _ member: ReplicaIndex, _ question: MemberQuestion, at slot: Int,
    then done: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void
  ) {
    self.serviceTickets += 1
    self.machines[slot].host.answers[self.serviceTickets] = done
    self.give(services: .wanted(member, question, ticket: self.serviceTickets), to: slot)
  }

  /// Starts a slot's services again.
  func startServices(_ slot: Int) {
    self.machines[slot].host.services = Services(seed: self.serviceRandom.next())
    self.serviceWatch.started(slot)
  }

  /// A slot stopped: what its services knew is gone.
  func stopServices(_ slot: Int) {
    let machine = self.machines[slot]
    machine.host.services = nil
    machine.host.shares.forget()
    machine.host.timerAt = nil
    (machine.host.releases, machine.host.answers) = ([:], [:])
  }

  /// Gives a slot's services an input, and its node what follows from it.
  func give(services input: Services.Input, to slot: Int) {
    let incarnation = self.machines[slot].incarnation
    var inputs: [Node.Input] = []
    self.serve(input, slot, &inputs)
    for input in inputs where self.machines[slot].incarnation == incarnation { self.give(input, to: slot) }
  }

  func serve(_ input: Services.Input, _ slot: Int, _ inputs: inout [Node.Input]) {
    let machine = self.machines[slot]
    let incarnation = machine.incarnation
    var pending = [input]
    while !pending.isEmpty, let node = machine.node, machine.incarnation == incarnation {
      let next = pending.removeFirst()
      var effects: [Services.Effect] = []
      let ledger = node.serviceLedger(Self.hospital(machine.member), state: machine.state)
      guard let outcome = machine.host.services?.step(next, at: self.now, in: ledger, into: &effects) else { return }
      if self.isCorrect(slot) {
        self.serviceWatch.stepped(next, outcome, effects, at: slot, self.now)
        if self.breach == nil, let breach = machine.host.services?.invariantBreach {
          self.breach = "member \(machine.member): \(breach)"
        }
      }
      self.leak(next, slot)
      for effect in effects {
        guard machine.incarnation == incarnation else { return }
        self.perform(effect, slot, ledger, &pending, &inputs)
        self.countDownToCrash(slot)
      }
    }
    self.setServiceTimer(slot)
  }

  static func hospital(_ member: ReplicaIndex) -> MemberID { MemberID(UInt32(member + 1)) }

  private func perform(
    _ effect: Services.Effect, _ slot: Int, _ ledger: Releases.Ledger, _ pending: inout [Services.Input],
    _ inputs: inout [Node.Input]
  ) {
    let machine = self.machines[slot]
    switch effect {
    case .send(let message, let peer):
      guard self.isReachable(peer, from: slot) else { return pending.append(.disconnected(peer)) }
      if self.isCorrect(slot) { self.serviceWatch.sends(message, to: peer, at: slot, ledger) }
      for said in self.misled(message, slot) { inputs.append(.said(said, to: peer)) }
      if case .question(let number, _) = message { self.answerForOthers(number, of: peer, asker: slot) }
    case .read(let request, let peer):
      guard case .record(_, _, let question) = request else { return }
      inputs.append(.said(.answer(question, [ReleaseRefusal.notHere.rawValue]), to: peer))
    case .serve(_, let asked): pending.append(.served(asked, .failure(.notHere)))
    case .answered(let ticket, let result): machine.host.answers.removeValue(forKey: ticket)?(result)
    case .open(let job, let opening):
      let share = self.open(opening, slot, ledger)
      self.finish(.opened(job, share), slot)
    case .reseal(let job, let question, let key):
      let release = machine.host.heads[question.record].flatMap {
        AuthoringHospital(sealingSecret: machine.keys.sealingSecret).release(
          $0, for: question, to: key, network: self.genesis.network, signedBy: machine.keys.member)
      }
      self.finish(.resealed(job, release), slot)
    case .stateRelease(let request):
      let transaction = Transaction(
        kind: TransactionKind.recordRelease.rawValue, hospital: ledger.hospital,
        validUntil: self.moment(slot).wall.adding(milliseconds: 300_000),
        nonce: self.serviceBytes(Transaction.nonceLengthBytes), payload: request.encoded)
      inputs.append(.submitted([transaction.encoded]))
    case .released(let ticket, let result):
      if self.isCorrect(slot) { self.serviceWatch.released(result) }
      machine.host.releases.removeValue(forKey: ticket)?(result)
    case .report: break
    }
  }

  func isReachable(_ peer: ReplicaIndex, from slot: Int) -> Bool {
    (0..<self.slotCount).contains {
      self.isOpen[slot * self.slotCount + $0] && self.place(of: $0, at: slot) == peer
    }
  }

  func serviceBytes(_ count: Int) -> [UInt8] {
    var out: [UInt8] = []
    for _ in 0..<count { out.append(UInt8(self.serviceRandom.below(256))) }
    return out
  }

  /// What was opened is there after a while, unless the slot stops before.
  private func finish(_ input: Services.Input, _ slot: Int) {
    let machine = self.machines[slot]
    let delay = Span(nanoseconds: self.serviceRandom.below(machine.host.openingMax.nanoseconds + 1))
    self.plan(at: self.now + delay) { [unowned self, incarnation = machine.incarnation] in
      guard self.machines[slot].incarnation == incarnation else { return }
      self.give(services: input, to: slot)
    }
  }

  private func setServiceTimer(_ slot: Int) {
    let machine = self.machines[slot]
    guard let due = machine.host.services?.deadline.map({ max($0, self.now) }),
      machine.host.timerAt.map({ due < $0 || $0 < self.now }) ?? true
    else { return }
    machine.host.timerAt = due
    self.plan(at: due) { [unowned self, incarnation = machine.incarnation] in
      guard self.machines[slot].incarnation == incarnation, self.machines[slot].host.timerAt == due else { return }
      self.machines[slot].host.timerAt = nil
      self.give(services: .timerFired, to: slot)
    }
  }
}

/// What liars make of questions and answers.
extension Cluster {
  private func keyShare(of custody: CustodyKey, _ slot: Int, _ ledger: Releases.Ledger) -> KeyShare? {
    let machine = self.machines[slot]
    guard let own = ledger.own else { return nil }
    return machine.host.shares.share(
      of: custody, as: own, with: machine.custodySecrets, network: self.genesis.network, in: machine.state)
  }

  private func open(_ opening: ShareOpening, _ slot: Int, _ ledger: Releases.Ledger) -> SealedShare? {
    let machine = self.machines[slot]
    guard let share = self.keyShare(of: opening.custody, slot, ledger) else { return nil }
    var opening = opening
    if machine.host.lie == .otherCapsule {
      let other = Capsule(
        self.serviceBytes(Capsule.keyLengthBytes), for: opening.custody, label: .zero,
        random: self.serviceBytes(Capsule.randomLengthBytes))
      opening = ShareOpening(
        capsule: other, custody: opening.custody, ephemeralKey: opening.ephemeralKey, context: opening.context)
    }
    let nonce = Scalar(reducing: self.serviceBytes(64))
    guard let sealed = opening.sealed(with: share, nonce: nonce, signedBy: machine.keys.member) else { return nil }
    guard machine.host.lie == .othersName else { return sealed }
    return SealedShare(member: (sealed.member + 1) % self.count, box: sealed.box)
  }

  private func misled(_ message: PeerMessage, _ slot: Int) -> [PeerMessage] {
    guard case .answer(let number, let bytes) = message else { return [message] }
    switch self.machines[slot].host.lie {
    case .twice: return [message, message]
    case .refusal:
      let refusals = ReleaseRefusal.allCases
      let refusal = refusals[Int(self.serviceRandom.below(UInt64(refusals.count)))]
      return [bytes.first == 0 ? .answer(number, [refusal.rawValue]) : message]
    case .silence: return []
    case .otherCapsule, .othersName, .othersQuestions, .leak, nil: return [message]
    }
  }

  /// Liars answer a question that another was asked, before that one can.
  private func answerForOthers(_ number: UInt64, of member: ReplicaIndex, asker: Int) {
    for liar in 0..<self.slotCount
    where self.machines[liar].host.lie == .othersQuestions && self.machines[liar].node != nil && liar != asker
      && self.machines[liar].member != member
    {
      let place = self.place(of: asker, at: liar)
      let answers: [[UInt8]] = [[ReleaseRefusal.notGranted.rawValue], [0] + self.serviceBytes(40), []]
      let answer = PeerMessage.answer(number, answers[Int(self.serviceRandom.below(3))])
      self.transmit(answer.encoded, on: answer.channel, from: liar, to: place)
    }
  }

  /// A liar releases what its machine refuses.
  private func leak(_ input: Services.Input, _ slot: Int) {
    let machine = self.machines[slot]
    guard machine.host.lie == .leak, case .question(let peer, let number, let bytes) = input, let node = machine.node,
      case .share(let question, let capsuleBytes)? = try? MemberQuestion.decode(bytes),
      let capsule = try? Capsule.decode(capsuleBytes),
      let (_, access) = AccessEntry.find(request: question.request, in: machine.state),
      let custody = CustodyKeys(in: machine.state).key(of: capsule.generation)
    else { return }
    let ledger = node.serviceLedger(Self.hospital(machine.member), state: machine.state)
    let opening = ShareOpening(
      capsule: capsule, custody: custody, ephemeralKey: access.request.ephemeralKey,
      context: OpeningContext(
        network: self.genesis.network, request: question.request, capsule: SealedRecord.digest(ofBox: capsuleBytes),
        custody: custody))
    guard let share = self.open(opening, slot, ledger) else { return }
    let answer = PeerMessage.answer(number, [0] + share.encoded)
    self.transmit(answer.encoded, on: answer.channel, from: slot, to: peer)
  }
}
