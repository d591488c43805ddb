internal import Foundation
public import Ledger
internal import Messages
public import Primitives
internal import Synchronization
internal import Wire

/// Snapshots of the ledger as files: those that this member made and serves, and the one that it is fetching
/// (LEDGER §7). A manifest, and a file for each chunk.
///
/// Nothing here is believed: a chunk is checked against its manifest whenever it is read.
public final class SnapshotFolder: Sendable {
  /// So many of its own are kept: whoever fetches the older one may end.
  private static let keptMax = 2
  private static let manifestName = "manifest"
  private let path: String
  private let isMaking = Mutex(false)
  /// What was served last: a manifest may be large, and is read once for all its chunks.
  private let served = Mutex<(digest: Digest, folder: String, manifest: SnapshotManifest)?>(nil)

  /// Opens or makes the folder; what an interrupted start left unfinished is taken away.
  public init(path: String) throws(StorageFailure) {
    self.path = path
    try self.makeFolder(path)
    for name in self.names where name.hasPrefix("making-") { self.remove(name) }
  }

  private var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: self.path)) ?? []).sorted() }
  private var own: [String] { self.names.filter { $0.hasPrefix("at-") } }

  private func makeFolder(_ path: String) throws(StorageFailure) {
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch { throw .making(path, error) }
  }

  private func remove(_ name: String) { try? FileManager.default.removeItem(atPath: "\(self.path)/\(name)") }

  private static func name(of manifest: SnapshotManifest) -> String {
    let sequence = String(manifest.sequence.number)
    return "at-\(String(repeating: "0", count: 15 - min(15, sequence.count)))\(sequence)-\(manifest.digest)"
  }

  private static func chunk(_ number: Int) -> String { "chunk-\(number)" }

  private func write(_ bytes: [UInt8], to name: String) throws(StorageFailure) {
    let file = "\(self.path)/\(name)"
    do { try Data(bytes).write(to: URL(filePath: file), options: .atomic) } catch { throw Self.failure(error, file) }
  }

  private static func failure(_ error: any Error, _ file: String) -> StorageFailure {
    StorageFailure.code(of: error).map { .writing(file, $0) }
      ?? .system(action: "writing \(file)", reason: error.localizedDescription)
  }

  private func read(_ name: String) -> [UInt8]? {
    FileManager.default.contents(atPath: "\(self.path)/\(name)").map { [UInt8]($0) }
  }

  /// Writes a snapshot of what a reader sees, which stands at `point`; nil where one is being made already. For any
  /// thread, the reader for that one.
  ///
  /// - Throws: `StorageFailure` where the disk is full or the store is damaged.
  public func make(
    _ point: SnapshotPoint, of reader: StoreReader, lifeMilliseconds: UInt64,
    chunkBytesMax: Int = SnapshotWriter.chunkBytesMax
  ) throws(StorageFailure) -> SnapshotManifest? {
    let isFree = self.isMaking.withLock { isMaking in
      defer { isMaking = true }
      return !isMaking
    }
    guard isFree else { return nil }
    defer { self.isMaking.withLock { $0 = false } }
    let making = "making-\(point.position.sequence)"
    try self.makeFolder("\(self.path)/\(making)")
    do {
      var writer = SnapshotWriter(point, chunkBytesMax: chunkBytesMax) { number, bytes in
        try self.write(bytes, to: "\(making)/\(Self.chunk(number))")
      }
      try reader.pairs(at: point, lifeMilliseconds: lifeMilliseconds) { try writer.add($0) }
      guard let manifest = try writer.finish() else {
        throw StorageFailure.full(path: self.path, reason: "the ledger is larger than a snapshot may be")
      }
      try self.write(manifest.encoded, to: "\(making)/\(Self.manifestName)")
      let name = Self.name(of: manifest)
      self.remove(name)
      try FileManager.default.moveItem(atPath: "\(self.path)/\(making)", toPath: "\(self.path)/\(name)")
      for old in self.own.dropLast(Self.keptMax) { self.remove(old) }
      return manifest
    } catch {
      self.remove(making)
      throw error as? StorageFailure ?? Self.failure(error, "\(self.path)/\(making)")
    }
  }

  /// The newest snapshot that is here whole; nil where there is none.
  public func newest() -> SnapshotManifest? {
    self.own.reversed().lazy.compactMap { self.manifest(in: $0) }.first
  }

  private func manifest(in folder: String) -> SnapshotManifest? {
    self.read("\(folder)/\(Self.manifestName)").flatMap { try? SnapshotManifest.decode($0) }
  }

  /// The snapshot whose manifest has a digest; nil where it is not here any more.
  public func manifest(_ digest: Digest) -> SnapshotManifest? {
    self.own.first { $0.hasSuffix("-\(digest)") }.flatMap { self.manifest(in: $0) }
  }

  /// A chunk of a snapshot that is here; nil where it is not, or is not what its manifest says.
  public func chunk(_ number: Int, of digest: Digest) -> [UInt8]? {
    if let known = self.served.withLock({ $0 }), known.digest == digest {
      return self.chunk(number, of: known.manifest, in: known.folder)
    }
    guard let folder = self.own.first(where: { $0.hasSuffix("-\(digest)") }), let manifest = self.manifest(in: folder)
    else { return nil }
    self.served.withLock { $0 = (digest, folder, manifest) }
    return self.chunk(number, of: manifest, in: folder)
  }

  private func chunk(_ number: Int, of manifest: SnapshotManifest, in folder: String) -> [UInt8]? {
    guard manifest.chunks.indices.contains(number), let bytes = self.read("\(folder)/\(Self.chunk(number))"),
      SnapshotManifest.digest(of: bytes) == manifest.chunks[number]
    else { return nil }
    return bytes
  }

  /// Takes away what was made at a sequence number or above, what cannot be read, and what is being fetched.
  public func forget(from sequence: SequenceNumber) {
    for name in self.own where self.manifest(in: name).map({ $0.sequence >= sequence }) ?? true { self.remove(name) }
    self.served.withLock { $0 = nil }
    self.close()
  }

  // What is being fetched.

  private static func incoming(_ digest: Digest) -> String { "incoming-\(digest)" }

  /// Makes room for a snapshot that is to be fetched, and says which of its chunks are here from an earlier try. What
  /// was begun of another is given up.
  public func open(_ manifest: SnapshotManifest) throws(StorageFailure) -> [Int] {
    let name = Self.incoming(manifest.digest)
    for other in self.names where other.hasPrefix("incoming-") && other != name { self.remove(other) }
    try self.makeFolder("\(self.path)/\(name)")
    return manifest.chunks.indices.filter { self.chunk($0, of: manifest, in: name) != nil }
  }

  /// Keeps a chunk of it.
  public func keep(_ bytes: [UInt8], as number: Int, of digest: Digest) throws(StorageFailure) {
    try self.write(bytes, to: "\(Self.incoming(digest))/\(Self.chunk(number))")
  }

  /// A chunk that was fetched.
  ///
  /// - Throws: `StorageFailure.damaged` where it is not what its manifest says.
  public func fetched(_ number: Int, of manifest: SnapshotManifest) throws(StorageFailure) -> [UInt8] {
    let name = Self.incoming(manifest.digest)
    guard let bytes = self.chunk(number, of: manifest, in: name) else {
      throw .damaged(path: "\(self.path)/\(name)", reason: "chunk \(number) is not what its manifest says")
    }
    return bytes
  }

  /// Takes away what was fetched.
  public func close() { for name in self.names where name.hasPrefix("incoming-") { self.remove(name) } }
}
