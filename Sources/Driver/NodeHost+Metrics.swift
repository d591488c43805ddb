internal import Foundation
internal import Gateway
internal import Gossip
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import Primitives
internal import Storage
internal import Telemetry

/// What is at `/metrics`.
extension NodeHost {
  private static let lanes = ["frozen", "none", "open", "waiting"]
  private static let phases = ["active", "confirming", "dealing", "none", "registering"]

  /// The catalogue's metrics, as they stand now.
  public func metrics(fhirTrouble: String?, notices: [String]) -> String {
    var out = Exposition()
    let status = self.status()
    out.add(.build, words: [ProgramVersion.current])
    out.add(
      .node, words: ["\(self.member.id.number)", self.genesis.network.description, "\(self.genesis.engine)"])
    out.add(.ready, status.troubles.isEmpty && fhirTrouble == nil)
    out.add(.notices, (status.notices ?? []).count + notices.count)
    self.addLedger(status, to: &out)
    for (name, count) in self.log.counts.sorted(by: { $0.key < $1.key }) {
      guard let kind = EventKind.catalogue.first(where: { $0.name == name }) else { continue }
      out.add(.events, count, [name, kind.level.name])
    }
    self.addPeers(to: &out)
    self.addStores(status, to: &out)
    self.addCustody(status.custody, to: &out)
    out.add(.processorTime, Double(status.cpuMicroseconds) / 1e6)
    out.add(.residentMemory, ProcessUsage.memoryBytes)
    if let open = ProcessUsage.openDescriptors { out.add(.openDescriptors, open) }
    out.add(.descriptorsMax, ProcessUsage.descriptorsMax)
    out.add(.processStart, self.startedAt)
    return out.text
  }

  private func addLedger(_ status: NodeStatus, to out: inout Exposition) {
    guard let driver = self.running else { return }
    out.add(.votes, status.votes)
    out.add(.role, states: Self.roles, current: status.role)
    out.add(.lane, states: Self.lanes, current: status.lane.isEmpty ? "none" : status.lane)
    out.add(.view, status.view)
    out.add(.configuration, status.configuration)
    out.add(.members, status.members)
    out.add(.quorum, status.quorum)
    out.add(.reachable, status.reachable)
    out.add(.clocksApart, status.clocksApart)
    out.add(.height, status.height)
    out.add(.logSize, status.logSize)
    out.add(.stableLogSize, status.stableSize)
    out.add(.ledgerTime, Double(driver.node.execution.position.time.milliseconds) / 1000)
    out.add(.paused, Double(status.pausedMilliseconds) / 1000)
    out.add(.pending, status.pendingBytes)
    out.add(.transactions, driver.progress.total - driver.progress.refused, ["applied"])
    out.add(.transactions, driver.progress.refused, ["refused"])
    out.add(.commits, driver.receipts.latencies)
    out.add(.commitsExpired, driver.receipts.expired)
    for (outcome, count) in status.dispositions.sorted(by: { $0.key < $1.key }) {
      let parts = outcome.split(separator: ", ", maxSplits: 1).map(String.init)
      out.add(.dispositions, count, [parts[0], parts.count > 1 ? parts[1] : ""])
    }
  }

  private func addPeers(to out: inout Exposition) {
    guard let driver = self.running else { return }
    for peer in self.peers() {
      let member = "\(peer.member)"
      out.add(.peerConnected, peer.connected, [member])
      if let trip = peer.roundTripMilliseconds { out.add(.peerRoundTrip, trip / 1000, [member]) }
      if let offset = peer.clockOffsetMilliseconds { out.add(.peerClock, Double(offset) / 1000, [member]) }
      out.add(.peerDropped, peer.dropped, [member])
      out.add(.peerCopies, peer.copiesProven, [member, "proven"])
      out.add(.peerCopies, peer.copiesFailed, [member, "failed"])
      out.add(.peerKept, peer.keptBytes, [member])
    }
    for topic in Topic.allCases { out.add(.meshPeers, driver.node.gossip.meshPeers(topic).count, ["\(topic)"]) }
    out.add(.sent, driver.bytesSent)
  }

  private func addStores(_ status: NodeStatus, to out: inout Exposition) {
    var stores = self.otherSizes.mapValues { $0() }
    stores["ledger"] = self.store.sizes
    let vault = self.vault.sizes
    // One in an object store takes nothing here.
    if vault.file > 0 { stores["vault"] = vault }
    let full = StoreRoom.full.keys.map { ($0 as NSString).lastPathComponent }
    for (name, sizes) in stores.sorted(by: { $0.key < $1.key }) {
      out.add(.storeUsed, sizes.used, [name])
      out.add(.storeFile, sizes.file, [name])
      out.add(.storeMap, self.store.mapSizeMax, [name])
      out.add(.storeFull, full.contains(name), [name])
    }
    if let free = DiskRoom.freeBytes(for: self.store.path + "/data.mdb") { out.add(.diskFree, free) }
    if let driver = self.running { out.add(.storeWrites, driver.storeWrites) }
    out.add(.historyMissing, status.historyLeft)
    out.add(.snapshotHeight, status.snapshotHeight)
    out.add(.transferMissing, status.transfer?.left ?? 0)
  }

  private func addCustody(_ custody: CustodyView, to out: inout Exposition) {
    out.add(.custodyPhase, states: Self.phases, current: custody.phase)
    out.add(.custodyEpoch, custody.epoch)
    out.add(.custodyCustodians, custody.custodians.count)
    out.add(.custodyThreshold, custody.threshold)
    out.add(.custodyShareLost, custody.isShareLost)
    for key in custody.keys ?? [] {
      let word = key.isRetiring ? "retiring" : "current"
      out.add(.custodyKeyCustodians, key.custodians.count, [word])
      out.add(.custodyKeyThreshold, key.needed, [word])
      out.add(.custodyKeyThresholdOfAll, key.neededOfAll, [word])
      for records in key.records { out.add(.custodyKeyRecords, records.records, [word, "\(records.hospital)"]) }
    }
  }
}

/// What the operating system says of this process.
enum ProcessUsage {
  static var cpuMicroseconds: UInt64 {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let parts = [usage.ru_utime, usage.ru_stime]
    return parts.reduce(0) { $0 + UInt64($1.tv_sec) * 1_000_000 + UInt64($1.tv_usec) }
  }

  private static var memoryPages: [UInt64] {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return [] }
    return text.split(separator: " ").compactMap { UInt64($0) }
  }

  /// All memory that is there, the pages of the stores' files that the system shares with it included.
  static var memoryBytes: UInt64 {
    let pages = self.memoryPages
    return pages.count > 1 ? pages[1] * UInt64(getpagesize()) : 0
  }

  /// How many files and connections are open; nil where the system does not say.
  static var openDescriptors: Int? {
    // The folder itself is open while it is read.
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")).map { max(0, $0.count - 1) }
  }

  /// How many of those there may be.
  static var descriptorsMax: UInt64 {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
    return UInt64(limit.rlim_cur)
  }

  /// Memory of its own; what the system has of the stores' files in memory goes when somebody needs the room.
  static var residentBytes: UInt64 {
    let pages = self.memoryPages
    return pages.count > 2 ? (pages[1] - min(pages[1], pages[2])) * UInt64(getpagesize()) : 0
  }
}
