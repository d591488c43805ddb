internal import Merkle
internal import Lanes
internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import PBFT
public import Primitives
internal import Wire

/// What a run measures: every transaction's and block's way, messages and bytes by kind, heights and views over time.
///
/// It watches and changes nothing: a run with a recorder has the trace of one without.
public final class Recorder {
  /// One submitted transaction.
  public struct TransactionRow: Sendable {
    /// The slot whose lane it is in.
    public let slot: Int
    /// When it was submitted.
    public let submitted: Tick
    /// When that slot had executed it; nil while it has not.
    public var committed: Tick?
    /// When the last of all slots that did had executed it.
    public var everywhere: Tick?
    /// Whether its hospital stopped before it was in a durable block, as far as anybody knows.
    public var isLost = false
    /// How many slots executed it.
    public var slots = 0
  }

  /// One block's arrival at one slot.
  public struct Arrival: Sendable {
    /// Its author's slot.
    public let author: Int
    /// Where it arrived.
    public let slot: Int
    /// How long after it first left.
    public let after: Span
  }

  /// Messages of one kind.
  public struct Traffic: Sendable {
    /// How many left their senders.
    public var messages: UInt64 = 0
    /// Their bytes.
    public var bytes: UInt64 = 0
  }

  /// Where a slot stood at a moment.
  public struct Sample: Sendable {
    /// When.
    public let at: Tick
    /// Which slot.
    public let slot: Int
    /// Whether it ran.
    public let isRunning: Bool
    /// Executed sequence numbers.
    public let height: UInt64
    /// Executed transactions.
    public let executed: UInt64
    /// Its view.
    public let view: UInt64
  }

  /// Something that somebody did to the network, or that a node reported.
  public struct Occurrence: Sendable {
    /// When.
    public let at: Tick
    /// Which slot; nil for the network.
    public let slot: Int?
    /// What, in words.
    public let what: String
    /// Whether it was a fault of the scenario, not a node's report.
    public let isFault: Bool
  }

  /// Transactions in the order of their submission.
  public private(set) var transactions: [TransactionRow] = []
  /// Arrivals of blocks.
  public private(set) var arrivals: [Arrival] = []
  /// What left its sender, by kind.
  public private(set) var traffic: [MessageKind: Traffic] = [:]
  /// Bytes that were to be sent: those that left, and those that an uplink held back.
  public private(set) var queuedBytes: UInt64 = 0
  /// How many messages of a slot its adversary withheld, changed, delayed or added to.
  public private(set) var misbehaviours: [UInt64]
  /// Bytes sent by slot.
  public private(set) var bytesBySlot: [UInt64]
  /// Gossiped blocks and votes that a slot received and already had.
  public private(set) var duplicates: UInt64 = 0
  /// Gossiped blocks and votes received.
  public private(set) var gossiped: UInt64 = 0
  /// Syncs by slot.
  public private(set) var syncs: [UInt64]
  /// Samples in the order of time.
  public private(set) var samples: [Sample] = []
  /// Faults and reports in the order of time.
  public private(set) var occurrences: [Occurrence] = []
  private var rows: [Digest: Int] = [:]
  private var departures: [Digest: Tick] = [:]
  private var seen: [Set<UInt64>]
  private var waitingBySlot: [Int]
  private var openFrom = 0

  /// A recorder for so many slots.
  public init(slots: Int) {
    self.bytesBySlot = Array(repeating: 0, count: slots)
    self.syncs = Array(repeating: 0, count: slots)
    self.misbehaviours = Array(repeating: 0, count: slots)
    self.seen = Array(repeating: [], count: slots)
    self.waitingBySlot = Array(repeating: 0, count: slots)
  }

  /// How many transactions of a slot are not committed there yet.
  public func waiting(at slot: Int) -> Int { self.waitingBySlot[slot] }

  func submitted(_ transactions: [Transaction], to slot: Int, network: Digest, _ now: Tick) {
    for transaction in transactions {
      self.rows[transaction.identifier(network: network)] = self.transactions.count
      self.transactions.append(TransactionRow(slot: slot, submitted: now))
      self.waitingBySlot[slot] += 1
    }
  }

  /// A message waits for its sender's uplink.
  func queued(_ packet: Packet, _ now: Tick) {
    self.queuedBytes += UInt64(packet.bytes.count)
    guard case .block(let block) = packet.message, self.departures[block.digest] == nil else { return }
    self.departures[block.digest] = now
  }

  /// A message has left.
  func sent(_ packet: Packet, from: Int) {
    self.traffic[packet.kind, default: Traffic()].messages += 1
    self.traffic[packet.kind, default: Traffic()].bytes += UInt64(packet.bytes.count)
    self.bytesBySlot[from] += UInt64(packet.bytes.count)
  }

  func misbehaved(_ slot: Int) { self.misbehaviours[slot] += 1 }

  func received(_ packet: Packet, at slot: Int, _ now: Tick) {
    guard packet.isGossip else { return }
    self.gossiped += 1
    guard self.seen[slot].insert(packet.fingerprint).inserted else {
      self.duplicates += 1
      return
    }
    guard case .block(let block) = packet.message, let left = self.departures[block.digest] else { return }
    let author = Int(block.header.author.number) - 1
    self.arrivals.append(Arrival(author: author, slot: slot, after: now - left))
  }

  func executed(_ write: ExecutionWrite, _ receipts: [Receipt], at slot: Int, _ now: Tick) {
    for receipt in receipts {
      guard let row = self.rows[receipt.identifier] else { continue }
      self.transactions[row].slots += 1
      self.transactions[row].everywhere = now
      if self.transactions[row].slot == slot, self.transactions[row].committed == nil {
        self.transactions[row].committed = now
        if !self.transactions[row].isLost { self.waitingBySlot[slot] -= 1 }
      }
    }
  }

  /// A slot stopped: what it had not committed is lost with it, unless it turns up after all.
  func crashed(_ slot: Int) {
    for row in self.firstOpen..<self.transactions.count
    where self.transactions[row].slot == slot && self.transactions[row].committed == nil {
      self.transactions[row].isLost = true
    }
    self.waitingBySlot[slot] = 0
  }

  /// Before this row everything is committed or lost.
  private var firstOpen: Int {
    self.openFrom =
      self.transactions[self.openFrom...].firstIndex { $0.committed == nil && !$0.isLost } ?? self.transactions.count
    return self.openFrom
  }

  func synced(at slot: Int) { self.syncs[slot] += 1 }

  func reported(_ event: NodeEvent, at slot: Int, _ now: Tick) {
    let what: String? =
      switch event {
      case .ordering(.viewChangeStarted(let view, let reason)): "asks for view \(view): \(reason.rawValue)"
      case .ordering(.viewEntered(let view)): "enters view \(view)"
      case .ordering(.equivocation(let member, let what)): "has two of one \(what) by member \(member + 1)"
      case .ordering(.clockRefused(let member, let offset)):
        "refuses a cut of member \(member + 1), \(offset) ms ahead of its clock"
      case .ordering(.clockDisowned(let offset)): "leads no more: its clock is \(offset) ms ahead"
      case .ordering(.notVoting(let view, let others)): "waits alone for view \(view), others go on in \(others)"
      case .laneForked(let member, let position): "has proof that member \(member) forked its lane at \(position)"
      case .diverged(let member, let sequence): "member \(member) signed another history at \(sequence)"
      case .executionFailed(let sequence): "cannot execute \(sequence)"
      case .configured(let number, let voters, let isMember):
        "goes over to configuration \(number.number), \(voters) members\(isMember ? "" : ", and does not vote")"
      case .transferBegan(let sequence, let chunks): "fetches a snapshot of \(sequence), \(chunks) chunks"
      case .transferRefused(let peer): "is sent a wrong part of a snapshot by member \(peer + 1)"
      case .ownLaneForked(let sequence): "finds its own lane called forked since \(sequence)"
      case .outvoted(let sequence): "learns that its own history at \(sequence) is wrong"
      case .copied(let position): "learns of block \(position) of its own, which its disk lacks"
      case .rulesUnknown(let version, let sequence):
        "does not know version \(version) of the rules, and executes nothing above \(sequence)"
      case .checkpointStable, .unheard: nil
      }
    if let what { self.occurrences.append(Occurrence(at: now, slot: slot, what: what, isFault: false)) }
  }

  /// Notes a fault that the scenario made.
  public func fault(_ what: String, slot: Int?, at now: Tick) {
    self.occurrences.append(Occurrence(at: now, slot: slot, what: what, isFault: true))
  }

  /// Takes a sample of every slot.
  public func sample(_ cluster: Cluster) {
    for slot in 0..<cluster.slotCount {
      let node = cluster.node(slot)
      let position = node?.execution.position ?? cluster.disk(slot).position
      self.samples.append(
        Sample(
          at: cluster.now, slot: slot, isRunning: node != nil, height: position.sequence.number,
          executed: position.log.size, view: node?.replica.view.number ?? 0))
    }
  }
}
