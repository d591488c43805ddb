internal import Custody
internal import HealthRecords
internal import Ledger
internal import Lanes
internal import Messages
internal import NodeCore
internal import Ordering
internal import PBFT
internal import Primitives
internal import Rules
internal import Sessions
internal import Signing
internal import Wire

/// The second driver: what the production driver does with sockets and LMDB, done in virtual time.
extension Cluster {
  func start(_ slot: Int) {
    let machine = self.machines[slot]
    machine.state = machine.disk.state
    machine.lastCut = nil
    machine.node = Node(
      genesis: self.genesis, key: machine.keys.publicKey, parameters: self.parameters,
      rules: self.rulesBySlot[slot] ?? self.rules,
      restoring: machine.disk.restore(limits: self.genesis.limits), seed: self.random.next(), at: self.now)
    self.startServices(slot)
    self.give(.timerFired, to: slot)
    if let newest = machine.disk.snapshots.last { self.give(.snapshotMade(newest.manifest), to: slot) }
    machine.gaps = machine.disk.gaps
    self.give(.historyMissing(machine.gaps.last?.next), to: slot)
    for other in 0..<self.slotCount where other != slot { self.connect(slot, other) }
  }

  func connect(_ one: Int, _ other: Int) {
    guard self.machines[one].member != self.machines[other].member, !self.isOpen[one * self.slotCount + other],
      self.machines[one].node != nil, self.machines[other].node != nil, !self.isBlocked(one, other)
    else { return }
    for (from, to) in [(one, other), (other, one)] {
      self.links[from * self.slotCount + to] += 1
      self.linkBusyUntil[from * self.slotCount + to] = self.now
      self.isOpen[from * self.slotCount + to] = true
    }
    self.meet(one, other)
    self.meet(other, one)
  }

  private func meet(_ slot: Int, _ other: Int) {
    let member = self.place(of: other, at: slot)
    guard member < ReplicaSet.countMax else {
      if self.machines[slot].node?.index == nil { self.give(.connected(member), to: slot) }
      return
    }
    if self.machines[slot].node?.connected.contains(member) == false { self.give(.connected(member), to: slot) }
  }

  /// A slot as another's node knows it: by its place among the members, or as one that does not vote.
  func place(of other: Int, at slot: Int) -> ReplicaIndex {
    self.machines[slot].node?.configuration.index(of: self.machines[other].keys.publicKey)
      ?? ReplicaSet.countMax + other
  }

  func know(_ configuration: Configuration) {
    self.configurations[configuration.number] = configuration
    self.checkers[configuration.number] = MessageChecker(self.genesis, in: configuration)
    self.watch.know(configuration)
  }

  func disconnect(_ one: Int, _ other: Int) {
    guard self.isOpen[one * self.slotCount + other] else { return }
    for (from, to) in [(one, other), (other, one)] {
      self.links[from * self.slotCount + to] += 1
      self.isOpen[from * self.slotCount + to] = false
    }
    self.part(one, other)
    self.part(other, one)
  }

  private func part(_ slot: Int, _ other: Int) {
    let member = self.place(of: other, at: slot)
    guard member < ReplicaSet.countMax else { return self.give(.disconnected(member), to: slot) }
    guard self.machines[slot].node?.connected.contains(member) == true else { return }
    guard !self.isReachable(member, from: slot) else { return }
    self.give(.disconnected(member), to: slot)
    self.give(services: .disconnected(member), to: slot)
  }

  func isBlocked(_ one: Int, _ other: Int) -> Bool {
    self.blocked.contains(min(one, other) * self.slotCount + max(one, other))
  }

  func give(_ input: Node.Input, to slot: Int) {
    let machine = self.machines[slot]
    let incarnation = machine.incarnation
    var inputs = [input]
    while !inputs.isEmpty, machine.node != nil, machine.incarnation == incarnation {
      let next = inputs.removeFirst()
      self.step(next, slot, &inputs)
    }
    guard machine.incarnation == incarnation else { return }
    self.flush(slot)
    self.setTimer(slot)
  }

  private func step(_ input: Node.Input, _ slot: Int, _ inputs: inout [Node.Input]) {
    let machine = self.machines[slot]
    let incarnation = machine.incarnation
    var effects: [NodeEffect] = []
    let decided = self.genesis.engine == .raft ? machine.node?.replica.decided : nil
    _ = machine.node?.step(input, at: self.moment(slot), reader: machine.state, into: &effects)
    if self.breach == nil, let breach = machine.node?.replica.invariantBreach {
      self.breach = "member \(machine.member): \(breach)"
    }
    if let decided, let replica = machine.node?.replica {
      self.watch.observeStep(replica, by: machine.member, decidedBefore: decided)
    }
    for effect in effects {
      guard machine.incarnation == incarnation else { return }
      self.perform(effect, slot, &inputs)
      self.countDownToCrash(slot)
    }
  }

  func countDownToCrash(_ slot: Int) {
    guard let left = self.machines[slot].effectsUntilCrash else { return }
    self.machines[slot].effectsUntilCrash = left - 1
    guard left <= 1 else { return }
    self.crash(slot, losingWrite: self.machines[slot].losesWriteAtCrash ?? self.random.oneIn(2))
  }

  private func perform(_ effect: NodeEffect, _ slot: Int, _ inputs: inout [Node.Input]) {
    let machine = self.machines[slot]
    switch effect {
    case .persist(let write): machine.gate.persist(write)
    case .send(let to, let channel, let bytes):
      if machine.gate.pass(.send(to, channel, bytes)) != nil { self.transmit(bytes, on: channel, from: slot, to: to) }
    case .handBack(let item):
      if machine.gate.pass(.handBack(item)) != nil { inputs.append(.durable(item)) }
    case .sign(let request):
      self.charge(slot, self.world.processor.signing)
      let item = self.sign(request, slot)
      if case .ordering(let message) = item, self.isCorrect(slot), let replica = machine.node?.replica {
        self.watch.observeMade(message, by: machine.member, replica)
      }
      inputs.append(.signed(item))
    case .serveBlocks(let to, let request):
      let blocks = machine.disk.blocks(for: request)
      if !blocks.isEmpty { inputs.append(.said(.blocks(blocks), to: to)) }
    case .serveDecisions(let to, let from, let through):
      let decisions = (from.number...through.number).prefix(64).compactMap {
        machine.disk.decisions[SequenceNumber($0)]
      }
      if !decisions.isEmpty { inputs.append(.said(.decisions(decisions), to: to)) }
    case .serveManifest(let to, let digest):
      guard let number = machine.node?.configuration.number,
        let bundle = machine.disk.bundle(digest, through: number, from: self.genesis)
      else { break }
      inputs.append(.said(.manifest(bundle), to: to))
    case .serveChunk(let to, let digest, let number):
      if let bytes = machine.disk.chunk(number, of: digest) {
        inputs.append(.said(.chunk(digest, number, bytes), to: to))
      }
    case .serveHistory(let to, let sequence):
      inputs.append(.said(.history(machine.disk.history(from: sequence)), to: to))
    case .keepHistory(let items): self.keepHistory(items, slot, &inputs)
    case .openTransfer(let manifest):
      inputs.append(.transferOpened(manifest.digest, held: machine.disk.open(manifest)))
    case .keepChunk(let digest, let number, let bytes): machine.disk.keep(bytes, as: number, of: digest)
    case .adopt(let bundle):
      // As the production driver: what is under way is written, and the node starts anew.
      self.plan(at: self.now) { [unowned self, incarnation = machine.incarnation] in
        self.replaceLedger(slot, by: bundle, incarnation: incarnation)
      }
    case .executed(let write, let receipts):
      self.checkTime(of: write, at: slot)
      self.charge(slot, self.world.processor.transaction * UInt64(receipts.count))
      machine.state.apply(write.writes)
      machine.receipts.merge(receipts.map { ($0.identifier, $0) }) { first, _ in first }
      self.recorder?.executed(write, receipts, at: slot, self.now)
    case .continueExecution:
      self.queue.add(.slice(slot, incarnation: machine.incarnation), at: self.now)
    case .question(let peer, let number, let bytes): self.serve(.question(from: peer, number, bytes), slot, &inputs)
    case .answer(let peer, let number, let bytes): self.serve(.answer(from: peer, number, bytes), slot, &inputs)
    case .custody(let job): inputs.append(.submitted(self.state(job, slot)))
    case .configured(let configuration):
      if self.configurations[configuration.number] == nil { self.know(configuration) }
      // Whoever followed, or is known under another key now, is met anew once this step is over.
      for other in 0..<self.slotCount where self.isOpen[slot * self.slotCount + other] {
        let member = self.place(of: other, at: slot)
        let isNew = member < ReplicaSet.countMax && machine.node?.connected.contains(member) == false
        let isSource = member >= ReplicaSet.countMax && machine.node?.index == nil
        if isNew || isSource { inputs.append(.connected(member)) }
      }
    case .report(let event):
      self.reports.append((self.now, slot, event))
      if self.isCorrect(slot) { self.examine(event, machine, slot) }
      self.recorder?.reported(event, at: slot, self.now)
      self.onReport?(slot, event)
    }
  }

  private func keepHistory(_ items: [HistoryItem], _ slot: Int, _ inputs: inout [Node.Input]) {
    let machine = self.machines[slot]
    let known = machine.disk.configurations
    let (kept, left) = machine.gaps.filled(by: items, tiles: machine.disk) {
      $0.isAuthentic(self.genesis, among: known)
    }
    if !kept.isEmpty {
      machine.gate.persist(.history(kept, left))
      machine.gaps = left
    }
    inputs.append(.historyMissing(machine.gaps.last?.next))
  }

  private func replaceLedger(_ slot: Int, by bundle: SnapshotBundle, incarnation: Int) {
    let machine = self.machines[slot]
    guard machine.incarnation == incarnation, machine.node != nil else { return }
    machine.disk.write(machine.writing)
    machine.writing = []
    machine.disk.write(machine.gate.takeRest())
    self.crash(slot, losingWrite: true)
    machine.disk.replaceLedger(by: bundle)
    self.transferCount += 1
    self.start(slot)
  }

  /// What a member states on the ledger about custody, with bytes that the seed draws.
  private func state(_ job: CustodyJob, _ slot: Int) -> [[UInt8]] {
    let machine = self.machines[slot]
    var source = SeededGenerator(seed: self.random.next())
    func bytes(_ count: Int) -> [UInt8] {
      var out: [UInt8] = []
      for _ in 0..<count { out.append(UInt8(source.below(256))) }
      return out
    }
    let validUntil = self.moment(slot).wall.adding(milliseconds: self.genesis.limits.transactionLifeMilliseconds / 2)
    _ = machine.custodySecrets.prepare(for: job, random: bytes)
    let statements = machine.custodySecrets.perform(
      job, as: machine.member, network: self.genesis.network, random: bytes)
    return statements.map { statement in
      statement.transaction(
        hospital: MemberID(UInt32(machine.member + 1)), validUntil: validUntil,
        nonce: bytes(Transaction.nonceLengthBytes)
      ).encoded
    }
  }

  private func examine(_ event: NodeEvent, _ machine: Machine, _ slot: Int) {
    switch event {
    case .ordering(.viewEntered(let view)):
      if let entered = machine.node?.replica.pbft?.newView, entered.content.view == view {
        self.watch.observeEntered(entered.content, by: machine.member, faulty: self.faulty)
      }
    case .laneForked(let accused, _): self.watch.observeAccused(accused, by: machine.member, faulty: self.faulty)
    case .copied(let position):
      if machine.isCopy || self.faulty.contains(machine.member) {
        self.plan(at: self.now) { [unowned self] in self.crash(slot, losingWrite: true) }
      } else {
        self.breach = "LEDGER §8: member \(machine.member) takes its store for a copy at \(position)"
      }
    case .ownLaneForked:
      self.watch.observeAccused(
        MemberID(UInt32(machine.member + 1)), by: machine.member, faulty: self.faulty)
    case .ordering(.equivocation(let signer, let what)):
      let isUsedTwice = self.faulty.contains(signer) || self.machines.contains { $0.member == signer && $0.isCopy }
      guard !isUsedTwice, self.genesis.engine == .pbft else { break }
      self.breach = "I8: member \(machine.member) accuses correct member \(signer) of two of one \(what)"
    case .outvoted(let sequence):
      self.breach = "LEDGER §5: member \(machine.member) executed \(sequence) to another end than f + 1 members signed"
    case .ordering, .diverged, .checkpointStable, .unheard, .executionFailed, .configured, .transferBegan,
      .transferRefused, .rulesUnknown:
      break
    }
  }

  /// What a slot signs.
  func sign(_ request: Signable, _ slot: Int) -> OwnItem {
    let machine = self.machines[slot]
    let seconds = self.moment(slot).wall.milliseconds / 1000
    return machine.keys.sign(request, network: self.genesis.network, as: machine.member, seconds: seconds)
  }

  func settle(_ slot: Int, _ batch: UInt64) {
    let machine = self.machines[slot]
    let incarnation = machine.incarnation
    let newest = machine.disk.snapshots.last?.manifest.sequence
    machine.disk.write(machine.writing)
    machine.writing = []
    if let made = machine.disk.snapshots.last?.manifest, made.sequence != newest {
      self.give(.snapshotMade(made), to: slot)
      // It may have stopped over that.
      guard machine.incarnation == incarnation else { return }
    }
    for item in machine.gate.settle(batch) {
      guard machine.incarnation == incarnation else { return }
      switch item {
      case .send(let to, let channel, let bytes): self.transmit(bytes, on: channel, from: slot, to: to)
      case .handBack(let item): self.give(.durable(item), to: slot)
      }
    }
    if machine.incarnation == incarnation { self.flush(slot) }
  }

  private func flush(_ slot: Int) {
    let machine = self.machines[slot]
    guard machine.node != nil, machine.gate.batchInFlight == nil else { return }
    guard !machine.isDiskFull else {
      // As the production driver: what cannot be stored stops the node, and nothing that waits for it leaves.
      if !machine.gate.isIdle { self.crash(slot, losingWrite: true) }
      return
    }
    guard let (number, writes) = machine.gate.takeBatch() else { return }
    machine.writing = writes
    let disk = self.world.disk
    var span = disk.syncMin.nanoseconds + self.random.below(disk.syncSpread.nanoseconds + 1)
    if disk.bytesPerSecond > 0 {
      span += writes.reduce(0) { $0 + $1.approximateBytes } * 1_000_000_000 / disk.bytesPerSecond
    }
    self.recorder?.synced(at: slot)
    self.queue.add(
      .synced(slot, number, incarnation: machine.incarnation),
      at: self.now + Span(nanoseconds: span * machine.diskFactor))
  }

  private func setTimer(_ slot: Int) {
    let machine = self.machines[slot]
    guard let due = machine.node.map({ max($0.deadline, self.now) }) else { return }
    guard machine.timerAt.map({ due < $0 || $0 < self.now }) ?? true else { return }
    machine.timerAt = due
    self.queue.add(.timer(slot, due, incarnation: machine.incarnation), at: due)
  }

  func transmit(_ bytes: [UInt8], on channel: Channel, from slot: Int, to member: ReplicaIndex) {
    self.machines[slot].words.sent(bytes, to: member, at: self.now)
    for to in 0..<self.slotCount where self.isOpen[slot * self.slotCount + to] && self.place(of: to, at: slot) == member
    {
      let packet = self.packet(bytes, on: channel)
      guard self.machines[slot].adversary != nil, let message = packet.message else {
        self.depart(packet, from: slot, to: to)
        continue
      }
      let utterances = self.mislead(message, from: slot, to: member)
      if !utterances.isOnly(packet.bytes) { self.recorder?.misbehaved(slot) }
      for utterance in utterances {
        let made: Packet =
          switch utterance.content {
          case .message(let said): Packet(said.encoded, on: said.channel)
          case .bytes(let bytes): Packet(bytes, on: channel)
          }
        guard utterance.delay.nanoseconds > 0 else {
          self.depart(made, from: slot, to: to)
          continue
        }
        let link = self.links[slot * self.slotCount + to]
        self.queue.add(.depart(from: slot, to: to, made, link: link), at: self.now + utterance.delay)
      }
    }
  }

  private func mislead(_ message: PeerMessage, from slot: Int, to member: ReplicaIndex) -> [Utterance] {
    guard let node = self.machines[slot].node else { return [] }
    var scene = Scene(
      from: self.machines[slot].member, to: member, now: self.now, wall: self.moment(slot).wall,
      network: self.genesis.network, configuration: node.configuration,
      executed: node.execution.cut,
      random: SeededGenerator(seed: self.random.next()), sign: { self.sign($0, slot) })
    return self.machines[slot].adversary?.intercept(message, &scene) ?? []
  }

  /// One packet for all receivers of the same bytes.
  private func packet(_ bytes: [UInt8], on channel: Channel) -> Packet {
    if let last = self.lastPacket, last.channel == channel, last.bytes == bytes { return last }
    let packet = Packet(bytes, on: channel)
    self.lastPacket = packet
    return packet
  }

  private func depart(_ packet: Packet, from: Int, to: Int) {
    let machine = self.machines[from]
    if self.isCorrect(from) {
      self.watch.observe(
        packet, from: machine.member, to: self.machines[to].member, machine.node?.replica, machine.disk)
    }
    let ready = max(self.now, machine.busyUntil, machine.uplinkBusyUntil)
    machine.uplinkBusyUntil = ready + self.world.network.occupation(bytes: packet.bytes.count)
    self.recorder?.queued(packet, self.now)
    if machine.uplinkBusyUntil > self.now {
      let link = self.links[from * self.slotCount + to]
      self.queue.add(.depart(from: from, to: to, packet, link: link), at: machine.uplinkBusyUntil)
    } else {
      self.travel(packet, from: from, to: to)
    }
  }

  /// Whether something happens that does in so many of a million cases.
  private func draws(_ perMillion: UInt64) -> Bool { perMillion > 0 && self.random.below(1_000_000) < perMillion }

  /// A message has left its sender's uplink.
  func travel(_ original: Packet, from: Int, to: Int) {
    self.recorder?.sent(original, from: from)
    var packet = original
    if let tamper, let message = packet.message {
      guard let changed = tamper(from, to, message) else { return }
      if changed.encoded != packet.bytes { packet = Packet(changed.encoded, on: packet.channel) }
    }
    let isFiltered = self.filters.contains {
      $0.kind == packet.kind && $0.from.contains(from) && $0.to.contains(to)
    }
    guard !isFiltered else { return }
    let network = self.world.network
    if self.draws(network.lossPerMillion) { return }
    let copies = self.draws(network.duplicationPerMillion) ? 2 : 1
    for _ in 0..<copies {
      let pair = from * self.slotCount + to
      let span = network.draw(from: from, to: to, &self.random)
      var arrival = self.now + span * (self.slowness[pair] ?? 1)
      let overtakes = self.draws(network.reorderingPerMillion)
      if !overtakes { arrival = max(arrival, self.linkBusyUntil[pair]) }
      self.linkBusyUntil[pair] = max(arrival, self.linkBusyUntil[pair])
      self.queue.add(.deliver(from: from, to: to, packet, link: self.links[pair]), at: arrival)
    }
  }
}

extension StoreWrite {
  /// About how many bytes it puts on the disk.
  var approximateBytes: UInt64 {
    switch self {
    case .block(let block): UInt64(block.body.count) + 200
    case .ordering: 400
    case .execution(let write):
      UInt64(write.identifiers.count) * 48 + write.writes.reduce(200) { $0 + UInt64($1.value?.count ?? 0) + 40 }
    case .signedCheckpoint, .stableCheckpoint: 600
    case .snapshot, .heard: 0
    case .history(let items, _): UInt64(items.reduce(0) { $0 + $1.blocks.reduce(600) { $0 + $1.body.count + 200 } })
    }
  }
}

extension [Utterance] {
  /// Whether an adversary let a message pass as it was.
  fileprivate func isOnly(_ bytes: [UInt8]) -> Bool {
    guard self.count == 1, let only = self.first, only.delay.nanoseconds == 0 else { return false }
    return switch only.content {
    case .message(let said): said.encoded == bytes
    case .bytes(let said): said == bytes
    }
  }
}
