internal import Vaults
internal import EventLoop
internal import Discovery
internal import Gateway
internal import Gossip
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Sessions
internal import Telemetry
internal import Wire

/// Those who wait for something that the services were asked.
struct ServiceWaiters {
  private var next: UInt64 = 0
  private var answers: [UInt64: (Result<[UInt8], ReleaseRefusal>) -> Void] = [:]
  private var releases: [Releases.Ticket: (Result<Releases.Release, Releases.Failure>) -> Void] = [:]

  /// Somebody waits for a member's answer.
  mutating func add(_ done: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void) -> UInt64 {
    self.next += 1
    self.answers[self.next] = done
    return self.next
  }

  /// A reader waits for what opens a record.
  mutating func add(_ done: @escaping (Result<Releases.Release, Releases.Failure>) -> Void) -> Releases.Ticket {
    self.next += 1
    self.releases[self.next] = done
    return self.next
  }

  /// Takes out who waits for an answer.
  mutating func answer(_ ticket: UInt64) -> ((Result<[UInt8], ReleaseRefusal>) -> Void)? {
    self.answers.removeValue(forKey: ticket)
  }

  /// Takes out who waits for a release.
  mutating func release(_ ticket: Releases.Ticket) -> ((Result<Releases.Release, Releases.Failure>) -> Void)? {
    self.releases.removeValue(forKey: ticket)
  }
}

/// What members ask one another outside the ledger, as `Services` decides: this carries it.
extension NodeDriver {
  /// Asks a member; the answer's content, or why there is none.
  func ask(
    _ member: ReplicaIndex, _ question: MemberQuestion,
    then answered: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void
  ) {
    self.give(services: .wanted(member, question, ticket: self.waiters.add(answered)))
  }

  /// Gathers what opens a record for a reader of this hospital's own.
  func release(
    _ question: ReleaseQuestion, capsule: [UInt8], without settled: ReplicaSet,
    then done: @escaping (Result<Releases.Release, Releases.Failure>) -> Void
  ) {
    self.give(services: .releaseWanted(self.waiters.add(done), question, capsule: capsule, without: settled))
  }

  /// Gives the services an input, and does what follows from it.
  func give(services input: Services.Input) {
    self.serviceInputs.append(input)
    guard !self.isServing else { return }
    self.isServing = true
    var next = 0
    while next < self.serviceInputs.count {
      var effects: [Services.Effect] = []
      let ledger = self.node.serviceLedger(self.settings.member.id, state: self.state)
      let outcome = self.services.step(self.serviceInputs[next], at: self.loop.now, in: ledger, into: &effects)
      if outcome != .accepted { self.serviceOutcomes[outcome, default: 0] += 1 }
      for effect in effects { self.perform(effect) }
      next += 1
    }
    self.serviceInputs.removeAll(keepingCapacity: true)
    self.isServing = false
  }

  private func perform(_ effect: Services.Effect) {
    switch effect {
    case .send(let message, let peer):
      guard self.byMember[peer] != nil else { return self.give(services: .disconnected(peer)) }
      self.give(.said(message, to: peer))
    case .read(let request, let peer): self.serve(request, to: peer)
    case .serve(let question, let asked):
      self.serve(question, from: asked.peer) { [unowned self] in self.give(services: .served(asked, $0)) }
    case .answered(let ticket, let result): self.waiters.answer(ticket)?(result)
    case .open(let job, let opening): self.give(services: .opened(job, self.open(opening)))
    case .reseal(let job, let question, let key):
      self.reseal(question, to: key) { [unowned self] in self.give(services: .resealed(job, $0)) }
    case .stateRelease(let request): self.submit(.recordRelease, request)
    case .released(let ticket, let result): self.waiters.release(ticket)?(result)
    case .report(.tooMany(let peer)): self.refuseRequests(of: peer)
    case .report(.released(let question, let peer)):
      self.log.emit(.keyReleased, ["request": .text(question.request.short), "hospital": .text(self.name(peer))])
    case .report(.refused(let refusal, let peer)):
      self.log.emit(.releaseRefused, ["reason": .text("\(refusal)"), "hospital": .text(self.name(peer))])
    }
  }

  /// Answers a question about this hospital's vault.
  private func serve(
    _ question: MemberQuestion, from peer: ReplicaIndex, _ reply: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void
  ) {
    switch question {
    case .keep(let parts, let origins): self.keep(parts, of: origins, question, from: peer, reply)
    case .proof(let record, let chunk): self.prove(record, chunk: chunk, reply)
    case .boxes(let record): self.serveBoxes(record, reply)
    case .object, .hospitalKey, .share: preconditionFailure("the services do not serve \(question)")
    }
  }

  /// How the vault stands to the ledger that was executed here.
  var vaultStanding: VaultStanding {
    VaultStanding(
      keptBytes: self.node.configuration.members.indices.reduce(0) { $0 + self.intake.bytes(of: $1).kept },
      fetched: self.tending.fetching, missing: self.tending.missing)
  }

  func peerStatus(_ index: ReplicaIndex, _ member: Member) -> PeerStatus {
    let connection = self.byMember[index]
    let mesh = Topic.allCases.filter { self.node.gossip.meshPeers($0).contains(index) }
    var status = PeerStatus(
      member: member.id.number, name: member.name, peer: member.key.peerIdentifier, addresses: member.addresses,
      connected: connection != nil,
      direction: connection.map { $0.dialled == nil ? "inbound" : "outbound" },
      roundTripMilliseconds: connection?.roundTrip.map { Double($0.nanoseconds) / 1e6 },
      mesh: mesh.map { "\($0)" }, dropped: connection?.dropped ?? 0,
      copiesProven: self.tending.challenges[index].proven, copiesFailed: self.tending.challenges[index].failed,
      keptBytes: self.intake.bytes(of: index).kept + self.intake.bytes(of: index).waiting)
    status.clockOffsetMilliseconds = connection?.clockOffset
    status.rulesNewest = connection?.session.peerRules
    return status
  }
}
