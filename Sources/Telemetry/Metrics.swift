/// The program's version, as people and metrics read it.
public enum ProgramVersion {
  /// This program's.
  public static let current = "0.1.0"
}

/// What a metric is to OpenMetrics.
public enum MetricType: String, Sendable, Hashable {
  /// Only grows, from the node's start on.
  case counter
  /// Goes up and down.
  case gauge
  /// How many values were at most so large.
  case histogram
  /// Words that do not change while the node runs.
  case info
  /// One of several states, which is 1.
  case stateset
}

/// A metric's declaration: its name for ever, what it is, and what it tells. Everything at `/metrics` is one of these.
public struct MetricKind: Sendable, Hashable {
  /// The stable name, with the unit where there is one; a counter's lines end in `_total` besides.
  public let name: String
  /// What it is.
  public let type: MetricType
  /// The unit, with which the name ends.
  public let unit: String?
  /// What it tells, in a sentence.
  public let help: String
  /// The names of its labels. ⚑ What stands in one comes from a closed list, or is a member's number: nobody outside
  /// can make series.
  public let labels: [String]

  init(_ name: String, _ type: MetricType, unit: String? = nil, labels: [String] = [], _ help: String) {
    (self.name, self.type, self.unit, self.help) = (name, type, unit, help)
    self.labels = type == .stateset ? [name] : labels
  }

  /// The name as queries write it.
  public var queryName: String {
    switch self.type {
    case .counter: self.name + "_total"
    case .info: self.name + "_info"
    case .histogram: self.name + "_bucket"
    case .gauge, .stateset: self.name
    }
  }

  /// The metric of that name, as it is declared or as queries write it.
  public static func named(_ name: String) -> MetricKind? {
    self.catalogue.first { [$0.name, $0.queryName, $0.name + "_count", $0.name + "_sum"].contains(name) }
  }

  /// A row of the handbook's table.
  public var row: String {
    let labels = self.labels.isEmpty ? "" : " {\(self.labels.joined(separator: ", "))}"
    return "| `\(self.queryName)`\(labels) | \(self.type.rawValue) | \(self.help) |"
  }
}

extension MetricKind {
  /// All metrics, as they are written.
  public static let catalogue: [MetricKind] =
    [
      .build, .node, .ready, .notices, .votes, .role, .lane, .view, .configuration, .members, .quorum, .reachable,
      .clocksApart, .height, .logSize, .stableLogSize, .ledgerTime, .paused, .pending, .transactions, .commits,
      .commitsExpired, .dispositions, .events,
    ] + [
      .peerConnected, .peerRoundTrip, .peerClock, .peerDropped, .peerCopies, .peerKept, .meshPeers, .sent,
    ] + [
      .storeUsed, .storeFile, .storeMap, .storeFull, .diskFree, .storeWrites, .historyMissing, .snapshotHeight,
      .transferMissing,
    ] + [
      .custodyPhase, .custodyEpoch, .custodyCustodians, .custodyThreshold, .custodyShareLost,
      .custodyKeyCustodians, .custodyKeyThreshold, .custodyKeyThresholdOfAll, .custodyKeyRecords,
    ] + [.processorTime, .residentMemory, .openDescriptors, .descriptorsMax, .processStart]

  // The node.

  /// The program.
  public static let build = MetricKind(
    "consilium_build", .info, labels: ["version"], "The program's version.")
  /// Which node this is.
  public static let node = MetricKind(
    "consilium_node", .info, labels: ["member", "network", "engine"],
    "Which member this node is, of which network, and how that orders.")
  /// As `/readyz`.
  public static let ready = MetricKind(
    "consilium_ready", .gauge, "Whether the node does all that it should (1): as `/readyz`, which says what is amiss.")
  /// Notices of `/readyz`.
  public static let notices = MetricKind(
    "consilium_notices", .gauge, "How many notices `/readyz` and `consilium status` have for a person.")
  /// Whether it votes.
  public static let votes = MetricKind(
    "consilium_votes", .gauge, "Whether the node votes in the view that it is in (1).")
  /// Its role.
  public static let role = MetricKind("consilium_role", .stateset, "What the node is in its view.")
  /// The own lane.
  public static let lane = MetricKind(
    "consilium_lane", .stateset, "Whether what this hospital writes is ordered; `frozen` needs new keys.")
  /// The view.
  public static let view = MetricKind(
    "consilium_view", .gauge, "The view, or Raft's term: it grows with each change of the primary.")
  /// The configuration.
  public static let configuration = MetricKind(
    "consilium_configuration", .gauge, "How often the members changed.")
  /// The voters.
  public static let members = MetricKind("consilium_members", .gauge, "How many members vote.")
  /// The quorum.
  public static let quorum = MetricKind("consilium_quorum", .gauge, "How many members must agree.")
  /// Voters within reach.
  public static let reachable = MetricKind(
    "consilium_reachable_members", .gauge,
    "How many voters are connected, this one among them; below `consilium_quorum` nothing is ordered.")
  /// Clocks that are apart.
  public static let clocksApart = MetricKind(
    "consilium_clocks_apart", .gauge, "How many connected voters' clocks are further from this one than the drift.")
  /// The height.
  public static let height = MetricKind("consilium_height", .gauge, "The last executed sequence number.")
  /// The log's size.
  public static let logSize = MetricKind("consilium_log_entries", .gauge, "Entries of the Merkle log.")
  /// The size under a signed tree head.
  public static let stableLogSize = MetricKind(
    "consilium_log_stable_entries", .gauge, "Entries under the last tree head that enough members signed.")
  /// The ledger's time.
  public static let ledgerTime = MetricKind(
    "consilium_ledger_time_seconds", .gauge, unit: "seconds", "The ledger's time, since 1970.")
  /// How long nothing was ordered.
  public static let paused = MetricKind(
    "consilium_ordering_paused_seconds", .gauge, unit: "seconds",
    "For how long transactions of this node have waited while nothing was ordered; 0 where none wait.")
  /// Bytes that wait.
  public static let pending = MetricKind(
    "consilium_pending_bytes", .gauge, unit: "bytes", "Transactions that wait for a block.")
  /// Executed transactions.
  public static let transactions = MetricKind(
    "consilium_transactions", .counter, labels: ["outcome"],
    "Transactions of all members that were executed here, `applied` or `refused`.")
  /// Commit latency.
  public static let commits = MetricKind(
    "consilium_commit_seconds", .histogram, unit: "seconds",
    "From a transaction's arrival at this node to its execution; one count a transaction.")
  /// Commits that took too long.
  public static let commitsExpired = MetricKind(
    "consilium_commit_timeouts", .counter,
    "Transactions whose callers were told `not-ordered-yet`; they may be executed later.")
  /// Useless and wrong input.
  public static let dispositions = MetricKind(
    "consilium_dispositions", .counter, labels: ["disposition", "reason"],
    "Inputs that were of no use (`ignored`) or that no honest sender sends (`rejected`), by machine and reason.")
  /// Logged events.
  public static let events = MetricKind(
    "consilium_events", .counter, labels: ["event", "level"],
    "Events, written to the log or not; `consilium explain EVENT` says what each means.")
}

extension MetricKind {
  // Peers.

  /// Connections.
  public static let peerConnected = MetricKind(
    "consilium_peer_connected", .gauge, labels: ["member"], "Whether the member is connected (1).")
  /// Round trips.
  public static let peerRoundTrip = MetricKind(
    "consilium_peer_round_trip_seconds", .gauge, unit: "seconds", labels: ["member"], "The last measured round trip.")
  /// Clocks.
  public static let peerClock = MetricKind(
    "consilium_peer_clock_offset_seconds", .gauge, unit: "seconds", labels: ["member"],
    "By how much the member's clock is ahead of this one; behind where it is negative.")
  /// Messages without room.
  public static let peerDropped = MetricKind(
    "consilium_peer_dropped_messages", .counter, labels: ["member"],
    "Messages that found no room on the present connection.")
  /// Proofs of vaults.
  public static let peerCopies = MetricKind(
    "consilium_peer_copies", .counter, labels: ["member", "result"],
    "How often the member's vault proved what it should keep (`proven`), and did not (`failed`).")
  /// Bytes kept for peers.
  public static let peerKept = MetricKind(
    "consilium_peer_kept_bytes", .gauge, unit: "bytes", labels: ["member"],
    "What the member's records take in this node's vault.")
  /// The mesh.
  public static let meshPeers = MetricKind(
    "consilium_gossip_mesh_peers", .gauge, labels: ["topic"], "Members in the mesh of a topic.")
  /// Bytes sent.
  public static let sent = MetricKind("consilium_sent_bytes", .counter, unit: "bytes", "Bytes sent to members.")

  // Storage.

  /// Used bytes.
  public static let storeUsed = MetricKind(
    "consilium_store_used_bytes", .gauge, unit: "bytes", labels: ["store"],
    "A store up to its last page, free pages within it among them.")
  /// File bytes.
  public static let storeFile = MetricKind(
    "consilium_store_file_bytes", .gauge, unit: "bytes", labels: ["store"], "A store's file on the disk.")
  /// Map bytes.
  public static let storeMap = MetricKind(
    "consilium_store_map_bytes", .gauge, unit: "bytes", labels: ["store"],
    "What a store may grow to: `map_size_max_gib`.")
  /// Full stores.
  public static let storeFull = MetricKind(
    "consilium_store_full", .gauge, labels: ["store"], "Whether the last write to a store found no room (1).")
  /// Room on the disk.
  public static let diskFree = MetricKind(
    "consilium_disk_free_bytes", .gauge, unit: "bytes", "What the ledger's file can still grow by on its disk.")
  /// Durable writes.
  public static let storeWrites = MetricKind(
    "consilium_store_write_seconds", .histogram, unit: "seconds",
    "How long a durable write of the ledger took; a slow disk shows here first.")
  /// Missing history.
  public static let historyMissing = MetricKind(
    "consilium_history_missing_heights", .gauge, "Heights below a snapshot that are still to come from others.")
  /// The newest snapshot.
  public static let snapshotHeight = MetricKind(
    "consilium_snapshot_height", .gauge, "The height of the newest snapshot that the node serves; 0 for none.")
  /// A transfer under way.
  public static let transferMissing = MetricKind(
    "consilium_transfer_missing_chunks", .gauge, "Chunks of a snapshot that are still to be fetched; 0 where none is.")

  // Custody.

  /// The phase.
  public static let custodyPhase = MetricKind(
    "consilium_custody", .stateset, "Where the consortium's custody key stands; only with `active` records are opened.")
  /// The epoch.
  public static let custodyEpoch = MetricKind(
    "consilium_custody_epoch", .gauge, "How often the custody key's shares were dealt.")
  /// Custodians.
  public static let custodyCustodians = MetricKind(
    "consilium_custody_custodians", .gauge, "How many members hold shares.")
  /// The threshold.
  public static let custodyThreshold = MetricKind(
    "consilium_custody_threshold", .gauge, "How many shares open a record's key.")
  /// A lost share.
  public static let custodyShareLost = MetricKind(
    "consilium_custody_share_lost", .gauge, "Whether this hospital should hold a share and cannot read it (1).")
  /// Custodians of each key in use.
  public static let custodyKeyCustodians = MetricKind(
    "consilium_custody_key_custodians", .gauge, labels: ["key"],
    "How many voters have a share of a key in use, `current` or `retiring`; below the threshold it opens nothing more.")
  /// The threshold of each.
  public static let custodyKeyThreshold = MetricKind(
    "consilium_custody_key_threshold", .gauge, labels: ["key"], "How many shares open a record under that key.")
  /// What it should be.
  public static let custodyKeyThresholdOfAll = MetricKind(
    "consilium_custody_key_threshold_of_all", .gauge, labels: ["key"],
    "What its threshold would be, had all that vote taken part when its shares were dealt.")
  /// Its records.
  public static let custodyKeyRecords = MetricKind(
    "consilium_custody_key_records", .gauge, labels: ["key", "member"], "Live records under that key, by hospital.")

  // The process, under the names that all of Prometheus' clients use.

  /// Processor time.
  public static let processorTime = MetricKind(
    "process_cpu_seconds", .counter, unit: "seconds", "Processor time since the start.")
  /// Memory.
  public static let residentMemory = MetricKind(
    "process_resident_memory_bytes", .gauge, unit: "bytes", "Memory, what it shares with the system's cache included.")
  /// Open descriptors.
  public static let openDescriptors = MetricKind("process_open_fds", .gauge, "Open files and connections.")
  /// Their limit.
  public static let descriptorsMax = MetricKind("process_max_fds", .gauge, "How many of those there may be.")
  /// The start.
  public static let processStart = MetricKind(
    "process_start_time_seconds", .gauge, unit: "seconds", "When the node started, since 1970.")
}
