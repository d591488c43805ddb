internal import Ordering
internal import PBFT
internal import HealthRecords
public import Ledger
public import Messages
public import NodeCore
public import Primitives
public import Rules
internal import Sessions
internal import Signing
internal import Wire

/// The second driver: what the production driver does with sockets and LMDB, done in virtual time.
extension Cluster {
  func start(_ index: Int) {
    let member = self.members[index]
    member.state = member.disk.state
    member.node = Node(
      genesis: self.genesis, index: index, parameters: self.parameters, rules: self.rules,
      restoring: member.disk.restore(limits: self.genesis.limits), seed: self.random.next(), at: self.now)
    self.give(.timerFired, to: index)
    for other in 0..<self.count where other != index { self.connect(index, other) }
  }

  func connect(_ one: Int, _ other: Int) {
    guard self.members[one].node != nil, self.members[other].node != nil, !self.isBlocked(one, other) else { return }
    for (from, to) in [(one, other), (other, one)] {
      self.links[from * self.count + to] += 1
      self.linkBusyUntil[from * self.count + to] = self.now
    }
    self.give(.connected(other), to: one)
    self.give(.connected(one), to: other)
  }

  func disconnect(_ one: Int, _ other: Int) {
    self.links[one * self.count + other] += 1
    self.links[other * self.count + one] += 1
    if self.members[one].node?.connected.contains(other) == true { self.give(.disconnected(other), to: one) }
    if self.members[other].node?.connected.contains(one) == true { self.give(.disconnected(one), to: other) }
  }

  func isBlocked(_ one: Int, _ other: Int) -> Bool {
    self.blocked.contains(min(one, other) * self.count + max(one, other))
  }

  func give(_ input: Node.Input, to index: Int) {
    let member = self.members[index]
    var inputs = [input]
    while !inputs.isEmpty, member.node != nil {
      let next = inputs.removeFirst()
      self.step(next, index, &inputs)
    }
    self.flush(index)
    self.setTimer(index)
  }

  private func step(_ input: Node.Input, _ index: Int, _ inputs: inout [Node.Input]) {
    let member = self.members[index]
    var effects: [NodeEffect] = []
    _ = member.node?.step(input, at: self.moment(index), reader: member.state, into: &effects)
    member.node?.replica.checkInvariants()
    for effect in effects { self.perform(effect, index, &inputs) }
  }

  private func perform(_ effect: NodeEffect, _ index: Int, _ inputs: inout [Node.Input]) {
    let member = self.members[index]
    switch effect {
    case .persist(let write): member.gate.persist(write)
    case .send(let to, let channel, let bytes):
      if member.gate.pass(.send(to, channel, bytes)) != nil { self.transmit(bytes, on: channel, from: index, to: to) }
    case .handBack(let item):
      if member.gate.pass(.handBack(item)) != nil { inputs.append(.durable(item)) }
    case .sign(let request):
      let seconds = self.moment(index).wall.milliseconds / 1000
      let item = member.keys.sign(request, network: self.genesis.network, as: index, seconds: seconds)
      self.step(.signed(item), index, &inputs)
    case .serveBlocks(let to, let request):
      let blocks = member.disk.blocks(
        lane: request.lane, from: request.above.next, through: request.head.position)
      if !blocks.isEmpty { inputs.append(.said(.blocks(blocks), to: to)) }
    case .serveDecisions(let to, let from, let through):
      let decisions = (from.number...through.number).prefix(64).compactMap {
        member.disk.decisions[SequenceNumber($0)]
      }
      if !decisions.isEmpty { inputs.append(.said(.decisions(decisions), to: to)) }
    case .executed(let write, let receipts):
      member.state.apply(write.writes)
      for receipt in receipts where member.receipts[receipt.identifier] == nil {
        member.receipts[receipt.identifier] = receipt
      }
    case .continueExecution:
      self.queue.add(.slice(index, incarnation: member.incarnation), at: self.now)
    case .question, .answer: break
    case .report(let event): self.reports.append((index, event))
    }
  }

  func settle(_ index: Int, _ batch: UInt64) {
    let member = self.members[index]
    member.disk.write(member.writing)
    member.writing = []
    for item in member.gate.settle(batch) {
      switch item {
      case .send(let to, let channel, let bytes): self.transmit(bytes, on: channel, from: index, to: to)
      case .handBack(let item): self.give(.durable(item), to: index)
      }
    }
    self.flush(index)
  }

  private func flush(_ index: Int) {
    let member = self.members[index]
    guard member.node != nil, let (number, writes) = member.gate.takeBatch() else { return }
    member.writing = writes
    let span = self.world.syncMin.nanoseconds + self.random.below(self.world.syncSpread.nanoseconds + 1)
    self.queue.add(
      .synced(index, number, incarnation: member.incarnation), at: self.now + Span(nanoseconds: span))
  }

  private func setTimer(_ index: Int) {
    let member = self.members[index]
    guard let due = member.node.map({ max($0.deadline, self.now) }) else { return }
    guard member.timerAt.map({ due < $0 || $0 < self.now }) ?? true else { return }
    member.timerAt = due
    self.queue.add(.timer(index, due, incarnation: member.incarnation), at: due)
  }

  private func transmit(_ bytes: [UInt8], on channel: Channel, from: Int, to: Int) {
    guard self.members[from].node?.connected.contains(to) == true else { return }
    var payload = bytes
    if let tamper, let message = try? PeerMessage.decode(bytes) {
      guard let changed = tamper(from, to, message) else { return }
      payload = changed.encoded
    }
    if self.world.lossOneIn > 0, self.random.oneIn(self.world.lossOneIn) { return }
    let link = from * self.count + to
    let span = self.world.latencyMin.nanoseconds + self.random.below(self.world.latencySpread.nanoseconds + 1)
    let arrival = max(self.now + Span(nanoseconds: span), self.linkBusyUntil[link])
    self.linkBusyUntil[link] = arrival
    self.queue.add(.deliver(from: from, to: to, channel, payload, link: self.links[link]), at: arrival)
  }
}

/// What tests and scenarios do to a cluster, and what they ask of it.
extension Cluster {
  /// Submits transactions to a member, as its API would after checking them.
  public func submit(_ transactions: [Transaction], to index: Int) {
    self.give(.submitted(transactions.map(\.encoded)), to: index)
  }

  /// Stops a member at once; `tearing` loses the batch that is being written, otherwise it reached the disk.
  public func crash(_ index: Int, losingWrite: Bool) {
    let member = self.members[index]
    guard member.node != nil else { return }
    for other in 0..<self.count where other != index { self.disconnect(index, other) }
    member.node = nil
    member.incarnation += 1
    if !losingWrite { member.disk.write(member.writing) }
    member.writing = []
    member.gate = DurabilityGate()
    member.timerAt = nil
    member.receipts = [:]
    member.isPaused = false
    member.paused = []
  }

  /// Starts a stopped member on what its disk kept.
  public func restart(_ index: Int) {
    guard self.members[index].node == nil else { return }
    self.start(index)
  }

  /// Stops time for a member, as SIGSTOP does, or lets it go on with all that has come meanwhile.
  public func pause(_ index: Int) { self.members[index].isPaused = true }
  /// Lets a paused member go on.
  public func resume(_ index: Int) {
    self.members[index].isPaused = false
    let events = self.members[index].paused
    self.members[index].paused = []
    for event in events { self.handle(event) }
  }

  /// Cuts every connection between the two groups.
  public func partition(_ one: [Int], from other: [Int]) {
    for a in one {
      for b in other {
        self.blocked.insert(min(a, b) * self.count + max(a, b))
        self.disconnect(a, b)
      }
    }
  }

  /// Mends all partitions.
  public func heal() {
    let pairs = self.blocked
    self.blocked = []
    for pair in pairs.sorted() { self.connect(pair / self.count, pair % self.count) }
  }

  /// Asks the node to do something, as its operator or a peer would.
  public func input(_ input: Node.Input, to index: Int) { self.give(input, to: index) }

  /// A member's node; nil while it is stopped.
  public func node(_ index: Int) -> Node? { self.members[index].node }
  /// What a member has durably.
  public func disk(_ index: Int) -> SimulatedDisk { self.members[index].disk }
  /// The receipt of a transaction at a member since it started.
  public func receipt(_ identifier: Digest, at index: Int) -> Receipt? { self.members[index].receipts[identifier] }
  /// All receipts at a member since it started.
  public func receipts(at index: Int) -> [Digest: Receipt] { self.members[index].receipts }
  /// The state of a member, for reading.
  public func state(_ index: Int) -> MemoryState { self.members[index].state }

  /// I1, I4: what members executed durably is the prefix of one history. A sentence where it is not.
  public func checkAgreement() -> String? {
    for one in 0..<self.count {
      for other in 0..<one {
        let pairs = zip(self.members[one].disk.executions, self.members[other].disk.executions)
        for (left, right) in pairs where left.position != right.position || left.cut != right.cut {
          return "I1: members \(other) and \(one) differ at \(left.record.sequence)"
        }
      }
    }
    return nil
  }
}
