internal import Merkle
internal import HealthRecords
internal import Signing
internal import Wire
internal import Wire
internal import Lanes
public import Ledger
public import Messages
public import NodeCore
internal import PBFT
public import Primitives
public import Rules

/// What tests, scenarios and the swarm do to a cluster.
extension Cluster {
  /// Submits transactions to a slot, as its API would after checking them.
  public func submit(_ transactions: [Transaction], to slot: Int) {
    self.recorder?.submitted(transactions, to: slot, network: self.genesis.network, self.now)
    self.give(.submitted(transactions.map(\.encoded)), to: slot)
  }

  /// Submits transactions that must be in a durable block of the slot's own, however little is ordered.
  public func submitUrgent(_ transactions: [Transaction], to slot: Int) {
    self.recorder?.submitted(transactions, to: slot, network: self.genesis.network, self.now)
    self.give(.urgent(transactions.map(\.encoded)), to: slot)
  }

  /// What a hospital states that opened `request` in a partition; its life is over from the beginning.
  public func opening(of request: [UInt8], by slot: Int) -> Transaction {
    let wall = self.world.wallStart.adding(milliseconds: self.now.nanoseconds / 1_000_000)
    return Transaction(
      kind: TransactionKind.openInPartition.rawValue, hospital: MemberID(UInt32(self.member(slot) + 1)),
      validUntil: .zero, nonce: Array(Hash.sha256(request).bytes.prefix(Transaction.nonceLengthBytes)),
      payload: PartitionOpening(request: request, time: wall).encoded)
  }

  /// A transaction that any hospital may submit: it commits to digests. Another `number` is another transaction.
  public func digestTransaction(
    _ number: UInt64, for slot: Int, digests: Int = 1, lifeMilliseconds: UInt64 = 300_000
  ) -> Transaction {
    var nonce = Encoder()
    nonce.u64(number)
    nonce.u32(UInt32(slot))
    let digest = Hash.sha256(nonce.bytes).bytes
    let wall = self.world.wallStart.adding(milliseconds: self.now.nanoseconds / 1_000_000)
    return Transaction(
      kind: TransactionKind.commitDigests.rawValue, hospital: MemberID(UInt32(self.member(slot) + 1)),
      validUntil: wall.adding(milliseconds: lifeMilliseconds), nonce: nonce.bytes,
      payload: (0..<digests).flatMap { _ in digest })
  }

  /// Stops a slot at once; `losingWrite` loses the batch that is being written, otherwise it reached the disk.
  public func crash(_ slot: Int, losingWrite: Bool) {
    let machine = self.machines[slot]
    guard machine.node != nil else { return }
    self.recorder?.crashed(slot)
    // First gone, then missed: whoever hears of it may not reach it any more.
    machine.node = nil
    machine.incarnation += 1
    if !losingWrite { machine.disk.write(machine.writing) }
    machine.writing = []
    machine.gate = DurabilityGate()
    machine.words = PeerWords()
    machine.timerAt = nil
    machine.receipts = [:]
    machine.isPaused = false
    machine.isWaking = false
    machine.held = []
    machine.busyUntil = self.now
    machine.effectsUntilCrash = nil
    self.stopServices(slot)
    for other in 0..<self.slotCount where other != slot { self.disconnect(slot, other) }
  }

  /// Stops a slot after so many further effects, wherever in a step that is; nil for not at all. What becomes of the
  /// write under way is drawn where `losingWrite` does not say.
  public func crash(_ slot: Int, afterEffects count: Int?, losingWrite: Bool? = nil) {
    guard self.machines[slot].node != nil else { return }
    self.machines[slot].effectsUntilCrash = count.map { max(1, $0) }
    self.machines[slot].losesWriteAtCrash = losingWrite
  }

  /// Starts a stopped slot on what its disk kept.
  public func restart(_ slot: Int) {
    guard self.machines[slot].node == nil, !self.machines[slot].isDiskFull else { return }
    self.start(slot)
  }

  /// Stops time for a slot, as SIGSTOP does.
  public func pause(_ slot: Int) { self.machines[slot].isPaused = true }
  /// Lets a paused slot go on with all that has come meanwhile.
  public func resume(_ slot: Int) {
    self.machines[slot].isPaused = false
    self.catchUp(slot)
  }

  /// Cuts every connection between the two groups.
  public func partition(_ one: [Int], from other: [Int]) {
    for a in one {
      for b in other where a != b { self.cut(a, b) }
    }
  }

  /// Cuts the connection of two slots, and keeps it cut.
  public func cut(_ one: Int, _ other: Int) {
    self.blocked.insert(min(one, other) * self.slotCount + max(one, other))
    self.disconnect(one, other)
  }

  /// Mends the connection of two slots.
  public func mend(_ one: Int, _ other: Int) {
    self.blocked.remove(min(one, other) * self.slotCount + max(one, other))
    self.connect(one, other)
  }

  /// Breaks the connection of two slots, which is made again at once: what was on its way is lost.
  public func reset(_ one: Int, _ other: Int) {
    self.disconnect(one, other)
    self.connect(one, other)
  }

  /// Mends all partitions.
  public func heal() {
    let pairs = self.blocked
    self.blocked = []
    for pair in pairs.sorted() { self.connect(pair / self.slotCount, pair % self.slotCount) }
  }

  /// Lets messages of one kind vanish between slots, until `clearFilters`.
  public func drop(_ kind: MessageKind, from: Set<Int>, to: Set<Int>) {
    self.filters.append(Filter(kind: kind, from: from, to: to))
  }

  /// No kind of message vanishes any more.
  public func clearFilters() { self.filters = [] }

  /// Makes messages from one slot to another take so many times longer; 1 for as long as others.
  public func slow(from: Int, to: Int, factor: UInt64) {
    self.slowness[from * self.slotCount + to] = factor > 1 ? factor : nil
  }

  /// Makes a slot's syncs take so many times longer; 1 for as long as others.
  public func slowDisk(_ slot: Int, factor: UInt64) { self.machines[slot].diskFactor = max(1, factor) }

  /// Fills a slot's disk, or makes room again. A slot that cannot store stops.
  public func fillDisk(_ slot: Int, isFull: Bool) { self.machines[slot].isDiskFull = isFull }

  /// Makes a slot Byzantine: whatever it says goes through the adversary; nil makes it honest again.
  public func corrupt(_ slot: Int, with adversary: (any Adversary)?) {
    self.machines[slot].adversary = adversary
    if adversary != nil { self.faulty.insert(self.machines[slot].member) }
  }

  /// Asks the node to do something, as its operator or a peer would.
  public func input(_ input: Node.Input, to slot: Int) { self.give(input, to: slot) }
}

/// What tests, scenarios and the swarm ask of a cluster.
extension Cluster {
  /// Whether a slot's member keeps to the protocol: it never was a twin's and never had an adversary.
  public func isCorrect(_ slot: Int) -> Bool { !self.faulty.contains(self.machines[slot].member) }
  /// The slots of correct members.
  public var correctSlots: [Int] { (0..<self.slotCount).filter { self.isCorrect($0) } }
  /// The member whose keys a slot holds.
  public func member(_ slot: Int) -> ReplicaIndex { self.machines[slot].member }
  /// A slot's node; nil while it is stopped.
  public func node(_ slot: Int) -> Node? { self.machines[slot].node }
  /// What a slot has durably.
  public func disk(_ slot: Int) -> SimulatedDisk { self.machines[slot].disk }
  /// The receipt of a transaction at a slot since it started.
  public func receipt(_ identifier: Digest, at slot: Int) -> Receipt? { self.machines[slot].receipts[identifier] }
  /// All receipts at a slot since it started.
  public func receipts(at slot: Int) -> [Digest: Receipt] { self.machines[slot].receipts }

  /// Whether all running members executed `count` transactions or more.
  public func haveExecuted(_ count: UInt64, except: Set<Int> = []) -> Bool {
    (0..<self.genesis.members.count).allSatisfy { index in
      except.contains(index) || (self.node(index)?.execution.position.log.size ?? 0) >= count
    }
  }
  /// The state of a slot, for reading.
  public func state(_ slot: Int) -> MemoryState { self.machines[slot].state }
  /// The highest view of a running slot, and who leads it.
  public var leader: (view: View, member: ReplicaIndex) {
    let view = self.machines.compactMap { $0.node?.replica.view }.max() ?? View(0)
    switch self.genesis.engine {
    case .pbft:
      let newest = self.machines.compactMap(\.node).max { $0.configuration.number < $1.configuration.number }
      let configuration = newest?.configuration ?? self.genesis.configuration
      let views = self.machines.compactMap(\.node).filter { $0.configuration.number == configuration.number }
      let current = views.map(\.replica.view).max() ?? view
      return (current, configuration.primary(of: current))
    case .raft:
      let leading = self.machines.compactMap(\.node).filter { $0.replica.leader == $0.index }
      return (view, leading.max { $0.replica.view < $1.replica.view }?.index ?? 0)
    }
  }

  /// I1, I4: what slots executed durably is the prefix of one history. A sentence where it is not.
  public func checkAgreement(among slots: [Int]? = nil) -> String? {
    let slots = slots ?? self.correctSlots
    guard let longest = slots.max(by: { self.executions($0).count < self.executions($1).count }) else { return nil }
    let reference = Dictionary(
      uniqueKeysWithValues: self.executions(longest).map { ($0.record.sequence, $0) })
    for slot in slots where slot != longest {
      if let base = self.machines[slot].disk.base?.manifest.point,
        let right = reference[base.position.sequence], right.position != base.position || right.cut != base.cut
      {
        return "I10: member \(slot) goes on from a snapshot of \(base.position.sequence) that is not the ledger"
      }
      for left in self.executions(slot) {
        let at = left.record.sequence
        guard let right = reference[at] else { continue }
        if left.cut != right.cut { return "I1: members \(slot) and \(longest) executed different cuts at \(at)" }
        guard left.position == right.position else {
          return "I10: members \(slot) and \(longest) executed one cut at \(at) to different states"
        }
      }
    }
    return nil
  }

  /// Re-executes a slot's history from the genesis.
  ///
  /// - Throws: `ReplayFault` at the first thing that does not hold.
  public func replay(_ slot: Int) throws(ReplayFault) -> LedgerPosition {
    try self.machines[slot].disk.replay(self.genesis)
  }

  /// I10: members that stand at one sequence number hold one state, however they came by it. A sentence where not.
  public func checkStates() -> String? {
    var held: [SequenceNumber: (slot: Int, state: MemoryState)] = [:]
    for slot in self.correctSlots {
      let disk = self.machines[slot].disk
      guard let other = held[disk.position.sequence] else {
        held[disk.position.sequence] = (slot, disk.state)
        continue
      }
      guard disk.state == other.state else {
        return "I10: members \(slot) and \(other.slot) hold different states at \(disk.position.sequence)"
      }
    }
    return nil
  }

  private func executions(_ slot: Int) -> [ExecutionWrite] { self.machines[slot].disk.executions }
}
