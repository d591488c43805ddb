/// Where a node stands, as its API tells it.
public struct NodeStatus: Codable, Sendable {
  /// The hospital's name.
  public var name: String
  /// Its member number.
  public var member: UInt32
  /// The network identifier.
  public var network: String
  /// Whether it answered.
  public var running: Bool
  /// The program's version; nil where a node does not say.
  public var version: String?
  /// The ordering engine.
  public var engine: String
  /// `primary`, `backup`, or `changing` while no view is open; `observer` where the node does not vote.
  public var role: String
  /// Whether what this hospital writes is ordered: `open`, `waiting` until a quorum has said what it holds of it,
  /// `frozen` where the ledger holds proof that two nodes signed with this hospital's key.
  public var lane: String
  /// Why the FHIR interface is refused, or it and the pages are closed, and what helps; none where they are not.
  public var fhirTrouble: String?
  /// Whether the ledger that is here names this node's key as that of a member that left; nil where a node says nothing
  /// of it.
  public var hasLeft: Bool?
  /// Where this node is to vote and does not yet, the height from which on it will; nil elsewhere.
  public var votesFrom: UInt64?
  /// How far the members are, where this node only follows them and has heard enough of them.
  public var knownHeight: UInt64?
  /// What a person should see to though the node goes on, and what helps.
  public var notices: [String]?
  /// Which rules hold, and whose program knows which; nil where a node says nothing of it.
  public var rules: RulesView?
  /// The view.
  public var view: UInt64
  /// The configuration of members: how often they changed.
  public var configuration: UInt32
  /// How many members vote.
  public var members: Int
  /// The last executed sequence number.
  public var height: UInt64
  /// The chained state digest there.
  public var stateDigest: String
  /// The log's size.
  public var logSize: UInt64
  /// Its root.
  public var logRoot: String
  /// The cut's time there.
  public var ledgerTime: String
  /// By how many milliseconds the ledger's time is ahead of this node's clock; 0 where it is not.
  public var ledgerAheadMilliseconds: UInt64 = 0
  /// Whether it votes: it is a member, and the view that it is in is open. Others may go on in another one meanwhile.
  public var votes = false
  /// How many members it is connected to.
  public var peers: Int
  /// How many members must agree.
  public var quorum = 0
  /// How many voters can be reached from here, this one among them.
  public var reachable = 0
  /// How many of the voters that are connected have a clock that is apart from this node's by more than the drift.
  public var clocksApart = 0
  /// For how many milliseconds transactions of this node have waited while nothing was ordered.
  public var pausedMilliseconds: UInt64 = 0
  /// The size under the last stable checkpoint.
  public var stableSize: UInt64
  /// Bytes of transactions that wait for a block.
  public var pendingBytes: Int
  /// Bytes of the ledger's and the vault's files that hold data.
  public var diskBytes: Int
  /// Bytes sent to members since the start.
  public var sentBytes: UInt64
  /// Transactions executed since the start.
  public var executed: UInt64
  /// Processor time since the start, in microseconds.
  public var cpuMicroseconds: UInt64
  /// Resident memory in bytes.
  public var residentBytes: UInt64
  /// How long the start took, in milliseconds.
  public var startMilliseconds: UInt64
  /// Where the consortium's custody key stands.
  public var custody: CustodyView
  /// The height of the snapshot from which its ledger began; 0 where it has all from the genesis on.
  public var baseHeight: UInt64
  /// How many heights below it are still to come from other members.
  public var historyLeft: UInt64
  /// The height of the newest snapshot that it made and serves; 0 for none.
  public var snapshotHeight: UInt64
  /// The snapshot that it is fetching; none where it is not.
  public var transfer: TransferView?
  /// What is in its vault, and whether all is that should be; nil where a node says nothing of it.
  public var vault: VaultStanding?
  /// Inputs that were of no use or wrong, by reason.
  public var dispositions: [String: UInt64]
}

/// How a node's vault stands to the ledger that the node has executed.
public struct VaultStanding: Codable, Sendable {
  /// Bytes of anchored records in it, as counted when all were looked for last.
  public var keptBytes: UInt64
  /// How many records were brought back so far, while those that are missing are looked for; nil while they are not.
  public var fetched: UInt64?
  /// How many were nowhere to be had, or had no room, when all were looked for last; nil before the first time, where
  /// the vault cannot be read, and where the hospital is no member.
  public var missing: UInt64?

  /// A vault of given parts.
  public init(keptBytes: UInt64, fetched: UInt64?, missing: UInt64?) {
    (self.keptBytes, self.fetched, self.missing) = (keptBytes, fetched, missing)
  }

  /// It in a line, for people.
  public var summary: String {
    let held =
      switch self.missing {
      case nil: "not known yet whether it has what it should"
      case 0?: "whole: all that it should have, as far as this node's ledger goes; \(self.keptBytes >> 10) KiB"
      case let missing?:
        "\(missing) records are missing: no connected hospital gave them, or they find no room; "
          + "\(self.keptBytes >> 10) KiB are here"
      }
    return self.fetched.map { "\(held); looking for what is missing, \($0) records fetched so far" } ?? held
  }
}

/// A snapshot of the ledger that a node is fetching because it is far behind.
public struct TransferView: Codable, Sendable {
  /// Its height.
  public var height: UInt64
  /// Its chunks.
  public var chunks: Int
  /// How many of them are still to come.
  public var left: Int

  /// A transfer of given parts.
  public init(height: UInt64, chunks: Int, left: Int) {
    (self.height, self.chunks, self.left) = (height, chunks, left)
  }
}

/// The custody key as a node's ledger has it.
public struct CustodyView: Codable, Sendable {
  /// `none`, `registering`, `dealing`, `confirming` or `active`.
  public var phase: String
  /// How often the key went over, or is going over, to other members.
  public var epoch: UInt64
  /// How many shares open a record's key; 0 before the key is being made.
  public var threshold: Int
  /// The members that hold shares.
  public var custodians: [UInt32]
  /// The members that were proven to have dealt badly, complained without reason, or signed a wrong share.
  public var culprits: [UInt32]
  /// When shares are dealt anew; none while that is under way.
  public var until: String?
  /// Which key it is, counted from 1; 0 before there is one.
  public var generation: UInt64 = 0
  /// The key that goes out of use, while it still opens records.
  public var retiring: UInt64?
  /// The hospitals that have live records under it.
  public var stillSealed: [UInt32] = []
  /// The hospitals that signed that they destroyed their shares of the key before this one.
  public var destroyedBy: [UInt32] = []
  /// Whether this hospital is a custodian whose share cannot be read here.
  public var isShareLost = false
  /// Each key in use, the older one first; nil where a node says nothing of it.
  public var keys: [CustodyKeyView]?

  /// No key.
  public static let none = CustodyView(phase: "none", epoch: 0, threshold: 0, custodians: [], culprits: [])

  /// A key of given parts.
  public init(
    phase: String, epoch: UInt64, threshold: Int, custodians: [UInt32], culprits: [UInt32], until: String? = nil
  ) {
    self.until = until
    (self.phase, self.epoch, self.threshold) = (phase, epoch, threshold)
    (self.custodians, self.culprits) = (custodians, culprits)
  }
}

extension NodeStatus {
  /// Why the node is not ready, but for what its interface for EHRs adds.
  public var troubles: [String] {
    self.running ? [self.laneTrouble, self.orderingTrouble].compactMap { $0 } : ["the node is not started"]
  }

  /// Why nothing that is given to this node can be ordered, and what helps; nil where it can.
  public var laneTrouble: String? {
    switch self.lane {
    case "frozen":
      "this hospital's lane is frozen: two nodes signed with its key; stop the other one, then get new keys: "
        + "consilium init, consilium member propose replace"
    case "waiting": "it waits until enough members have said what they hold of this hospital's lane"
    default: nil
    }
  }

  /// While transactions wait, nothing ordered for this long is trouble.
  public static let pauseMillisecondsMax: UInt64 = 30_000

  /// Why the members order nothing, or this node hears nothing of it, and what helps; nil where they do, or where it
  /// does not vote and cannot know.
  public var orderingTrouble: String? {
    guard self.running else { return nil }
    if let trouble = self.rules?.trouble { return "\(trouble), above height \(self.height)" }
    guard !self.lane.isEmpty else { return self.followingTrouble }
    if self.reachable < self.quorum {
      return "nothing can be ordered: \(self.tooFewConnected); see consilium peers, and call the hospitals that are "
        + "missing"
    }
    if let trouble = self.lateTrouble { return trouble }
    guard self.pausedMilliseconds >= Self.pauseMillisecondsMax else { return nil }
    let clocks = self.isClockTrouble ? ", and \(self.clocks)" : ""
    return
      "nothing was ordered for \(self.pausedMilliseconds / 1000) s while transactions wait\(clocks); see consilium "
      + "peers and the log's warnings"
  }

  /// Why a node that does not vote does not follow the ledger either; nil where it does.
  private var followingTrouble: String? {
    guard self.peers == 0 else { return self.lateTrouble }
    let cutOff =
      "this node does not vote and is connected to no member: it ends with height \(self.height) "
      + "(\(self.ledgerTime)), and does not know what was ordered since"
    return self.hasLeft == true
      ? "\(cutOff); as far as its ledger goes, this hospital is no member any more, and members let its key in no "
        + "more: consilium member list at another hospital tells; member propose add brings it back"
      : "\(cutOff); as far as its ledger goes, its key is no member's: members let it in where they name it as an "
        + "observer or a change of members names it; see consilium peers"
  }

  /// Who follows by no more than this is not late: what members say of themselves is half a second old.
  public static let lateHeightsMax: UInt64 = 16

  /// What a node that is to vote, or follows the members, still waits for before it shows what they have; nil where
  /// nothing.
  private var lateTrouble: String? {
    if let from = self.votesFrom {
      return
        "this node is to vote from height \(from) on, and is at \(self.height): it waits until what is before that is "
        + "executed"
    }
    guard let known = self.knownHeight, known > self.height, known - self.height > Self.lateHeightsMax else {
      return nil
    }
    return
      "this node does not vote, is at height \(self.height), and the members are at \(known): it waits for what is "
      + "between, and what it shows until then is old"
  }

  /// Why something that was given to this node is not ordered in time, as far as the node can tell.
  public var delay: String {
    if let trouble = self.rules?.trouble { return trouble }
    if self.reachable < self.quorum { return self.tooFewConnected }
    return self.isClockTrouble ? self.clocks : Self.busy
  }

  /// Why something is not ordered in time where nothing else is known.
  static let busy = "too few members agree, or the load is high"

  private var tooFewConnected: String {
    "\(self.reachable) of \(self.members) members are connected, this one among them, and \(self.quorum) are needed"
  }

  /// Whether too few members are left to agree without those whose clocks are apart.
  private var isClockTrouble: Bool { self.clocksApart > 0 && self.reachable - self.clocksApart < self.quorum }

  private var clocks: String {
    let which = self.clocksApart == 1 ? "the clock of one" : "the clocks of \(self.clocksApart)"
    return "\(which) of the connected members and this one's are too far apart to agree on a time: set the wrong one "
      + "right; consilium peers shows by how much"
  }

  /// A node of which nothing is known yet but its name.
  public init(name: String, member: UInt32) {
    (self.name, self.member, self.network, self.running, self.engine) = (name, member, "", false, "")
    (self.role, self.lane, self.view, self.height, self.stateDigest) = ("stopped", "", 0, 0, "")
    (self.configuration, self.members) = (0, 0)
    (self.logSize, self.logRoot, self.ledgerTime, self.peers) = (0, "", "", 0)
    (self.stableSize, self.pendingBytes, self.diskBytes, self.sentBytes) = (0, 0, 0, 0)
    (self.executed, self.cpuMicroseconds, self.residentBytes) = (0, 0, 0)
    (self.startMilliseconds, self.custody, self.dispositions) = (0, .none, [:])
    (self.baseHeight, self.historyLeft, self.snapshotHeight, self.transfer) = (0, 0, 0, nil)
  }
}

/// A member as a node sees it.
public struct PeerStatus: Codable, Sendable {
  /// Its member number.
  public var member: UInt32
  /// Its name.
  public var name: String
  /// Its peer identifier in libp2p's notation.
  public var peer: String
  /// Its addresses.
  public var addresses: [String]
  /// Whether a session is open.
  public var connected: Bool
  /// `inbound` or `outbound`.
  public var direction: String?
  /// The last measured round trip.
  public var roundTripMilliseconds: Double?
  /// By how much its clock was ahead of this node's when it was last compared; behind where it is negative.
  public var clockOffsetMilliseconds: Int64?
  /// The newest version of the ledger's rules that its program knows; nil where that is not known: it is not connected,
  /// or its program is older than the word for it.
  public var rulesNewest: UInt16?
  /// The topics in whose mesh it is.
  public var mesh: [String]
  /// Messages that found no room.
  public var dropped: UInt64
  /// How often its vault gave a record that it should keep, when it was asked for one, and how often it did not.
  public var copiesProven: UInt64
  /// See `copiesProven`.
  public var copiesFailed: UInt64
  /// Bytes that its records take in this node's vault.
  public var keptBytes: UInt64

  /// A peer of given parts.
  public init(
    member: UInt32, name: String, peer: String, addresses: [String], connected: Bool, direction: String?,
    roundTripMilliseconds: Double?, mesh: [String], dropped: UInt64, copiesProven: UInt64, copiesFailed: UInt64,
    keptBytes: UInt64
  ) {
    (self.member, self.name, self.peer, self.addresses) = (member, name, peer, addresses)
    (self.connected, self.direction, self.roundTripMilliseconds) = (connected, direction, roundTripMilliseconds)
    (self.mesh, self.dropped) = (mesh, dropped)
    (self.copiesProven, self.copiesFailed, self.keptBytes) = (copiesProven, copiesFailed, keptBytes)
  }
}
