// Goal: what the store took is there after any stop, and damaged, foreign or full stores are refused with a sentence.
// Method: real LMDB files in a temporary folder; a history from the deterministic cluster.
internal import Ordering
internal import HealthRecords
import Foundation
import Ledger
import Merkle
import Messages
import NodeCore
import Primitives
import Signing
import Simulator
import Storage
import Synchronization
import Testing
import Wire

/// A folder that goes when the test does.
final class Folder {
  let path = FileManager.default.temporaryDirectory.appending(path: "consilium-\(UUID().uuidString)").path()
  deinit { try? FileManager.default.removeItem(atPath: self.path) }
}

func open(
  _ folder: Folder, _ genesis: Genesis, member: UInt32 = 1, mapSizeMax: Int = 1 << 30
) throws(StorageFailure) -> Store {
  try Store(
    path: folder.path, genesis: genesis, member: MemberID(member), mapSizeMax: mapSizeMax, fresh: Hash.sha256([1]))
}

/// A cluster that executed some transactions, and the writes by which its member 0 stored them.
func history() -> Cluster {
  let cluster = Cluster(count: 4, seed: 1)
  for round in 0..<20 {
    for index in 0..<4 {
      let transactions = (0..<40).map { number -> Transaction in
        var nonce = Encoder()
        nonce.u64(UInt64(round * 1000 + number))
        nonce.u32(UInt32(index))
        return Transaction(
          kind: 12, hospital: MemberID(UInt32(index + 1)),
          validUntil: cluster.world.wallStart.adding(milliseconds: 300_000),
          nonce: nonce.bytes, payload: Hash.sha256(nonce.bytes).bytes)
      }
      cluster.submit(transactions, to: index)
    }
    cluster.run(for: .milliseconds(20))
  }
  cluster.run(for: .milliseconds(1000))
  return cluster
}

func writes(of cluster: Cluster, slot: Int = 0) -> [StoreWrite] {
  let disk = cluster.disk(slot)
  var out: [StoreWrite] = []
  for lane in disk.blocks { for position in lane.keys.sorted() { out += (lane[position] ?? []).map { .block($0) } } }
  for execution in disk.executions {
    if let decision = disk.decisions[execution.record.sequence] { out.append(.ordering(.decision(decision))) }
    out.append(.execution(execution))
  }
  return out
}

@Suite("Store")
struct StorageTests {
  @Test("What was written is restored: position, cut, tiles, identifiers, decisions; the log proves itself")
  func restores() throws {
    let (folder, cluster) = (Folder(), history())
    do {
      let store = try open(folder, cluster.genesis)
      #expect(store.isNew)
      for write in writes(of: cluster) { try store.write([write]) }
      #expect(try StoreReader(store).restore(limits: cluster.genesis.limits).heard == nil)
      try store.write([.heard(cluster.genesis.members[0].key)])
    }
    let store = try open(folder, cluster.genesis)
    #expect(!store.isNew)
    #expect(store.incarnation == Hash.sha256([1]))
    let reader = try StoreReader(store)
    let stored = try reader.restore(limits: cluster.genesis.limits)
    let position = cluster.disk(0).position
    #expect(position.log.size == 3200)
    #expect(stored.position == position)
    #expect(stored.heard == cluster.genesis.members[0].key)
    #expect(stored.identifiers.count == 3200)
    #expect(stored.ordering.lastDecision?.sequence == position.sequence)
    for leaf in [UInt64(0), 1, 255, 256, 1000, 3199] {
      let entry = try #require(try reader.entries(from: leaf, to: leaf + 1).first)
      let path = try #require(MerkleProver(nodes: reader).inclusion(index: leaf, size: position.log.size))
      #expect(
        MerkleProof.verifiesInclusion(
          leaf: entry.leaf, index: leaf, size: position.log.size, path: path, root: position.log.root))
    }
    #expect(try reader.entries(from: 0, to: .max).count == 3200)
  }

  @Test("A batch that does not fit the map changes nothing, and what was there stays")
  func full() throws {
    let (folder, cluster) = (Folder(), history())
    let all = writes(of: cluster)
    let store = try open(folder, cluster.genesis, mapSizeMax: 256 << 10)
    var taken = 0
    var failure: StorageFailure?
    for write in all {
      do throws(StorageFailure) {
        try store.write([write])
        taken += 1
      } catch {
        failure = error
        break
      }
    }
    guard case .full = failure else {
      Issue.record("the map was enough for \(taken) writes: \(String(describing: failure))")
      return
    }
    #expect(StoreRoom.full[store.path] != nil)
    let larger = try open(Folder(), cluster.genesis)
    for write in all.prefix(taken) { try larger.write([write]) }
    #expect(
      try StoreReader(store).restore(limits: cluster.genesis.limits).position
        == StoreReader(larger).restore(limits: cluster.genesis.limits).position)
  }

  /// A store with a cluster's history, and a snapshot of it as files.
  private static func snapshot(
    _ cluster: Cluster, in folder: Folder, chunkBytesMax: Int = 4096
  ) throws -> (store: Store, files: SnapshotFolder, manifest: SnapshotManifest) {
    let store = try open(folder, cluster.genesis)
    try store.write(writes(of: cluster))
    let files = try SnapshotFolder(path: folder.path + "/snapshots")
    let last = try #require(cluster.disk(0).executions.last)
    let point = SnapshotPoint(
      configuration: ConfigurationNumber(0), startCut: .genesis(lanes: 4), position: last.position, cut: last.cut)
    let life = cluster.genesis.limits.transactionLifeMilliseconds
    let manifest = try #require(
      try files.make(point, of: StoreReader(store), lifeMilliseconds: life, chunkBytesMax: chunkBytesMax))
    return (store, files, manifest)
  }

  @Test("An empty store goes on from a snapshot as the other one would, and is filled down to the genesis")
  func snapshot() throws {
    let (cluster, from, to) = (history(), Folder(), Folder())
    let (store, files, manifest) = try Self.snapshot(cluster, in: from)
    #expect(manifest.chunks.count > 10 && files.newest() == manifest)
    let reader = try StoreReader(store)
    let decision = try #require(try reader.decisions(from: manifest.sequence, countMax: 1).first)
    let links = try reader.changeProofs(through: ConfigurationNumber(0), from: cluster.genesis)
    let bundle = SnapshotBundle(manifest, decision: decision, links: links)
    let (joined, incoming) = (
      try open(to, cluster.genesis, member: 2), try SnapshotFolder(path: to.path + "/snapshots")
    )
    #expect(try incoming.open(manifest) == [])
    for number in manifest.chunks.indices {
      try incoming.keep(try #require(files.chunk(number, of: manifest.digest)), as: number, of: manifest.digest)
    }
    #expect(try incoming.open(manifest) == Array(manifest.chunks.indices))
    try joined.replaceLedger(by: bundle) { number throws(StorageFailure) in
      try incoming.fetched(number, of: manifest)
    }
    let limits = cluster.genesis.limits
    let (one, other) = (try reader.restore(limits: limits), try StoreReader(joined).restore(limits: limits))
    #expect(other.position == one.position && other.cut == one.cut && other.openTiles == one.openTiles)
    #expect(Set(other.identifiers.map(\.identifier)) == Set(one.identifiers.map(\.identifier)))
    #expect(other.ordering.lastDecision == decision)
    // ⚑ What it adopted is no word of a quorum: its own store says no more of its key than before.
    #expect(other.heard == nil)
    // Then what was below it, from the top.
    #expect(try StoreReader(joined).entries(from: 0, to: 1).isEmpty)
    var gaps = try StoreReader(joined).gaps()
    while let gap = gaps.last {
      let items = try reader.history(from: gap.next, bytesMax: 20_000)
      let checked = try StoreReader(joined).check(items, filling: gaps, of: cluster.genesis)
      #expect(!items.isEmpty && checked.kept.count == items.count)
      guard !checked.kept.isEmpty else { break }
      try joined.write([.history(checked.kept, checked.gaps)])
      gaps = checked.gaps
    }
    #expect(try StoreReader(joined).gaps().isEmpty)
    #expect(
      try StoreReader(joined).entries(from: 0, to: .max).map(\.leaf) == reader.entries(from: 0, to: .max).map(\.leaf))
  }

  @Test("The store and the simulated disk make one snapshot of one ledger")
  func sameSnapshot() throws {
    let cluster = history()
    let folder = Folder()
    let (_, _, manifest) = try Self.snapshot(cluster, in: folder)
    var disk = cluster.disk(0)
    disk.takeSnapshot(manifest.point)
    #expect(disk.snapshots.last?.manifest == manifest)
  }

  @Test("A damaged chunk is not served, and a snapshot with one changes nothing")
  func damagedChunk() throws {
    let (cluster, from, to) = (history(), Folder(), Folder())
    let (store, files, manifest) = try Self.snapshot(cluster, in: from)
    let decision = try #require(
      try StoreReader(store).decisions(from: manifest.sequence, countMax: 1).first)
    let (joined, incoming) = (
      try open(to, cluster.genesis, member: 2), try SnapshotFolder(path: to.path + "/snapshots")
    )
    _ = try incoming.open(manifest)
    for number in manifest.chunks.indices {
      var bytes = try #require(files.chunk(number, of: manifest.digest))
      if number == manifest.chunks.count - 1 { bytes[0] ^= 1 }
      try incoming.keep(bytes, as: number, of: manifest.digest)
    }
    #expect(try incoming.open(manifest).count == manifest.chunks.count - 1)
    let bundle = SnapshotBundle(manifest, decision: decision, links: [])
    #expect(throws: StorageFailure.self) {
      try joined.replaceLedger(by: bundle) { number throws(StorageFailure) in
        try incoming.fetched(number, of: manifest)
      }
    }
    #expect(try StoreReader(joined).restore(limits: cluster.genesis.limits).position == LedgerPosition())
    let served = from.path + "/snapshots"
    for name in try FileManager.default.contentsOfDirectory(atPath: served) where name.hasPrefix("at-") {
      try Data([1, 2, 3]).write(to: URL(filePath: "\(served)/\(name)/chunk-0"))
    }
    #expect(files.chunk(0, of: manifest.digest) == nil)
    #expect(files.chunk(1, of: manifest.digest) != nil)
  }

  @Test("Another member's or network's store is refused by name")
  func foreign() throws {
    let folder = Folder()
    let genesis = Cluster(count: 4, seed: 1).genesis
    _ = try open(folder, genesis)
    #expect(throws: StorageFailure.self) { try open(folder, genesis, member: 2) }
    let other = Cluster(count: 3, seed: 1).genesis
    do throws(StorageFailure) {
      _ = try open(folder, other)
      Issue.record("another network's store was opened")
    } catch {
      guard case .foreign(_, let found, _) = error else { throw error }
      #expect(found.contains(genesis.network.description))
    }
  }

  @Test("A file that was cut off or overwritten is refused, never trapped on", arguments: [0.2, 0.5, 0.9])
  func damaged(part: Double) throws {
    let (folder, cluster) = (Folder(), history())
    do {
      let store = try open(folder, cluster.genesis)
      try store.write(writes(of: cluster))
    }
    let file = folder.path + "/data.mdb"
    let size = try #require(try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int)
    let handle = try #require(FileHandle(forWritingAtPath: file))
    try handle.truncate(atOffset: UInt64(Double(size) * part) / 4096 * 4096)
    try handle.close()
    do throws(StorageFailure) {
      _ = try open(folder, cluster.genesis)
      Issue.record("a cut store was opened")
    } catch {
      guard case .damaged = error else { throw error }
    }
  }

  @Test("A file that is no store is refused")
  func garbage() throws {
    let folder = Folder()
    try FileManager.default.createDirectory(atPath: folder.path, withIntermediateDirectories: true)
    for count in [1, 100, 8191, 100_000] {
      try Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }).write(
        to: URL(filePath: folder.path + "/data.mdb"))
      #expect(throws: StorageFailure.self, "\(count) bytes") { try open(folder, Cluster(count: 4, seed: 1).genesis) }
    }
  }

  @Test("A vault gives back what it took, and erases it whole")
  func vault() async throws {
    let folder = Folder()
    let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
    let (record, other) = (SealedRecordSample.make(7), SealedRecordSample.make(8))
    try await vault.store([record, other])
    #expect(try await vault.record(record.record) == record)
    let all = [record.record, other.record].sorted { $0.description < $1.description }
    #expect(try await vault.records(after: nil, countMax: 9) == all)
    #expect(try await vault.records(after: all[0], countMax: 9) == [all[1]])
    try await vault.erase(record.record)
    #expect(try await vault.record(record.record) == nil)
    #expect(try await vault.missing(of: all) == [record.record])
    #expect(try await vault.record(other.record) != nil)
  }

  @Test("A long record is stored and read part by part, in a spool and in a vault, and is erased whole")
  func parts() async throws {
    let folder = Folder()
    let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
    let spool = try FileSpool(folder: folder.path + "/spool", room: SpoolRoom())
    let chunks = [[UInt8](repeating: 9, count: 24)] + (1..<150).map { [UInt8](repeating: UInt8($0), count: 65_553) }
    for chunk in chunks { try spool.append([chunk]) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/spool").isEmpty)
    let boxes = RecordPart.Boxes(capsule: [1], hospitalCopy: [2], patientCopy: [3])
    let record = Hash.sha256([1])
    let spooled = SpooledRecord(record, spool, boxes: boxes)
    try await vault.store(spooled)
    let kept = try #require(try await vault.content(of: record))
    #expect(kept.head == spooled.head && kept.head.count == 150)
    for content in [kept, spooled] as [any SealedContent] {
      var (read, sizes): ([[UInt8]], [Int]) = ([], [])
      try await content.forEachPart(
        { part throws(VaultFailure) in
          #expect(part.start == read.count && (part.boxes == boxes) == (part.start + part.chunks.count == 150))
          read += part.chunks
          sizes.append(part.sizeBytes)
        }, failed: { $0 })
      #expect(read == chunks && sizes.count == 3 && sizes.allSatisfy { $0 <= RecordPart.messageBytesMax })
    }
    #expect(try await vault.part(of: record, from: 150) == nil)
    #expect(try await vault.part(of: record, from: -1) == nil)
    let part = try await spooled.part(from: 64)
    #expect(try await vault.agrees(with: [part]))
    let other = RecordPart(spooled.head, start: 64, chunks: [chunks[65]] + part.chunks.dropFirst())
    #expect(try await vault.agrees(with: [other]) == false)
    try await vault.erase(record)
    #expect(try await vault.content(of: record) == nil)
    #expect(try await vault.records(after: nil, countMax: 9).isEmpty)
  }

  /// What a disk has left.
  private final class Free: Sendable {
    let bytes = Mutex(65_000)
  }

  @Test("⚑ Spools leave a reserve of the disk for the ledger, share a total, and give back what they took")
  func spoolRoom() throws {
    let gigabyte = 1 << 30
    #expect(SpoolRoom.reserveBytes(ofDisk: 100 * gigabyte) == 5 * gigabyte)
    #expect(SpoolRoom.reserveBytes(ofDisk: 10 * gigabyte) == gigabyte)
    #expect(SpoolRoom.reserveBytes(ofDisk: gigabyte) == gigabyte / 4)
    let folder = Folder()
    // A disk of 100 KB, of which a quarter is kept back; each byte needs room twice.
    let free = Free()
    let small = SpoolRoom(disk: { (freeBytes: free.bytes.withLock { $0 }, sizeBytes: 100_000) })
    let chunk = [UInt8](repeating: 1, count: 10_000)
    var first: FileSpool? = try FileSpool(folder: folder.path + "/spool", room: small)
    try first?.append([chunk])
    free.bytes.withLock { $0 -= chunk.count }
    try first?.append([chunk])
    free.bytes.withLock { $0 -= chunk.count }
    let second = try FileSpool(folder: folder.path + "/spool", room: small)
    #expect(throws: VaultFailure.self) { try second.append([chunk]) }
    #expect(second.count == 0)
    first = nil
    free.bytes.withLock { $0 = 65_000 }
    try second.append([chunk])

    let shared = SpoolRoom(bytesMax: 25_000, disk: { (freeBytes: 1 << 40, sizeBytes: 1 << 40) })
    var spools = try (0..<3).map { _ in try FileSpool(folder: folder.path + "/spool", room: shared) }
    try spools[0].append([chunk])
    try spools[1].append([chunk])
    #expect(throws: VaultFailure.self) { try spools[2].append([chunk]) }
    spools.removeFirst()
    try spools[1].append([chunk])
  }

  @Test("What came in part and never became whole is found, and erased")
  func partOfRecord() async throws {
    let folder = Folder()
    let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
    let record = Hash.sha256([1])
    try await vault.store([RecordPart(record: record, count: 9, start: 3, chunks: [[1], [2]], boxes: nil)])
    #expect(try await vault.record(record) == nil)
    #expect(try await vault.missing(of: [record]) == [record])
    #expect(try await vault.records(after: nil, countMax: 9) == [record])
    try await vault.erase(record)
    #expect(try await vault.records(after: nil, countMax: 9).isEmpty)
  }
}
