internal import Foundation
internal import Synchronization
public import HealthRecords
public import Primitives
internal import Wire

/// Where an S3-compatible object store is, and who asks.
public struct S3Settings: Sendable {
  /// `https://HOST` or `http://HOST:PORT`, without a path.
  public let endpoint: String
  /// The bucket; named in the path, as every compatible store understands.
  public let bucket: String
  /// The region in signatures.
  public let region: String
  /// What all keys begin with: empty, or ending in "/".
  public let prefix: String
  /// Who asks.
  public let credentials: S3Credentials
  let host: String

  /// The settings; nil where the endpoint is no URL of a host alone.
  public init?(endpoint: String, bucket: String, region: String, prefix: String, credentials: S3Credentials) {
    guard let url = URLComponents(string: endpoint), let scheme = url.scheme, ["http", "https"].contains(scheme),
      let host = url.host, !host.isEmpty, ["", "/"].contains(url.path), url.query == nil, url.user == nil
    else { return nil }
    self.host = url.port.map { "\(host):\($0)" } ?? host
    self.endpoint = "\(scheme)://\(self.host)"
    (self.bucket, self.region, self.credentials) = (bucket, region, credentials)
    self.prefix = prefix.isEmpty || prefix.hasSuffix("/") ? prefix : prefix + "/"
  }
}

/// A vault on any S3-compatible object store.
///
/// One object a record, `records/RECORD`, where it came whole; of one that came in parts, the last part is there, and
/// the parts before it are `chunks/RECORD/START`, each part's leaf hashes beside it, `leaves/RECORD/START`. Written
/// last, `records/RECORD` says that the rest is there.
public struct S3Vault: Vault {
  /// Why a store cannot be a vault.
  public enum Unfit: Error, Sendable {
    /// It cannot be asked.
    case failure(VaultFailure)
    /// The bucket keeps old versions, or did, or locks objects: what is erased would stay.
    case versioned
    /// It gave back something else than it was given.
    case wrong
  }

  /// How many requests of one call are under way at once.
  private static let requestsMax = 16
  private let client: S3Client

  /// A vault in a store; nothing is asked yet.
  public init(_ settings: S3Settings) { self.client = S3Client(settings) }

  /// Where it is.
  public var description: String { "\(self.client.settings.endpoint)/\(self.client.settings.bucket)" }

  /// Nothing of it is on this machine.
  public var sizes: (used: Int, file: Int) { (0, 0) }

  /// Asks whether the bucket is there and deletes for good. ⚑ One that keeps versions, or ever did, or locks objects,
  /// gives erased records back.
  public func check() async throws(Unfit) {
    let versioning: S3Client.Answer
    do throws(VaultFailure) { versioning = try await self.client.ask("GET", query: [("versioning", "")]) } catch {
      throw .failure(error)
    }
    // A store that knows no locks refuses the question, each in its way: that is an answer, too.
    let lock = try? await self.client.ask("GET", query: [("object-lock", "")])
    guard Self.deletesForGood(versioning: versioning, lock: lock) else { throw .versioned }
  }

  /// By what a bucket says of its versions and locks. Where versioning was never on, it has no status at all: one that
  /// is suspended still has the versions from before.
  static func deletesForGood(versioning: S3Client.Answer, lock: S3Client.Answer?) -> Bool {
    versioning.texts(of: "Status").isEmpty && lock?.texts(of: "ObjectLockEnabled").isEmpty ?? true
  }

  /// Writes, reads, lists and deletes an object of given content, under a name that its first eight bytes give.
  public func probe(_ content: [UInt8]) async throws(Unfit) {
    let key = self.prefix("probe/") + Hex.encode(content.prefix(8))
    let isRight: Bool
    do throws(VaultFailure) {
      try await self.client.put(key, content)
      let read = try await self.client.get(key)
      let listed = try await self.client.list(self.prefix("probe/"), after: nil, countMax: 1000)
      try await self.client.delete(key)
      isRight = try await self.client.get(key) == nil && read == content && listed.contains(key)
    } catch { throw .failure(error) }
    guard isRight else { throw .wrong }
  }

  private func prefix(_ name: String) -> String { self.client.settings.prefix + name }
  private func recordKey(_ record: Digest) -> String { self.prefix("records/") + record.description }
  private func chunksKey(_ record: Digest) -> String { self.prefix("chunks/") + record.description + "/" }
  private func chunksKey(_ record: Digest, _ start: Int) -> String {
    let number = String(start)
    return self.chunksKey(record) + String(repeating: "0", count: max(0, 8 - number.count)) + number
  }

  private func leavesKey(_ record: Digest, _ start: Int = 0) -> String {
    self.prefix("leaves") + self.chunksKey(record, start).dropFirst(self.prefix("chunks").count)
  }

  private func damaged(_ reason: String) -> VaultFailure {
    VaultFailure("the vault at \(self.description) is damaged: \(reason); other vaults have the record")
  }

  private func record(in key: String) -> Digest? {
    key.split(separator: "/").last.flatMap { Hex.decode($0) }.flatMap { Digest($0) }
  }

  /// Stores parts of records; each is in the store once this returns.
  public func store(_ parts: [RecordPart]) async throws(VaultFailure) {
    // A record's last part says that the others are there.
    try await self.each(parts.filter { $0.chunks.count < $0.count }) { part throws(VaultFailure) in
      try await self.client.put(self.leavesKey(part.record, part.start), part.leaves)
    }
    try await self.each(parts.filter { $0.boxes == nil }) { part throws(VaultFailure) in
      try await self.client.put(self.chunksKey(part.record, part.start), part.encoded)
    }
    try await self.each(parts.filter { $0.boxes != nil }) { part throws(VaultFailure) in
      try await self.client.put(self.recordKey(part.record), part.encoded)
    }
  }

  /// Those of some records, in the order of their identifiers, that are not kept here: by lists, not one by one.
  public func missing(of identifiers: [Digest]) async throws(VaultFailure) -> [Digest] {
    guard let last = identifiers.max(by: { $0.description < $1.description }),
      let first = identifiers.min(by: { $0.description < $1.description })
    else { return [] }
    var held = Set<Digest>()
    // Of a text that is the first's without its last digit, the first comes after.
    var after = String(self.recordKey(first).dropLast())
    while true {
      let keys = try await self.client.list(self.prefix("records/"), after: after, countMax: 1000)
      held.formUnion(keys.compactMap { self.record(in: $0) })
      guard let end = keys.last, end < self.recordKey(last) else { break }
      after = end
    }
    return identifiers.filter { !held.contains($0) }
  }

  /// The records of which anything is here, from after one on, in the order of their identifiers.
  public func records(after last: Digest?, countMax: Int) async throws(VaultFailure) -> [Digest] {
    let whole = try await self.client.list(
      self.prefix("records/"), after: last.map { self.recordKey($0) }, countMax: countMax)
    let parts = try await self.client.list(
      // After all keys of that record: its parts' numbers are digits, and "~" comes after those.
      self.prefix("chunks/"), after: last.map { self.chunksKey($0) + "~" }, delimiter: "/", countMax: countMax)
    let all = Set((whole + parts).compactMap { self.record(in: $0) })
    return Array(all.sorted { $0.description < $1.description }.prefix(countMax))
  }

  private func part(_ key: String, of record: Digest) async throws(VaultFailure) -> RecordPart? {
    guard let bytes = try await self.client.get(key) else { return nil }
    guard let part = try? RecordPart.decode(bytes), part.record == record else {
      throw self.damaged("\(key) is no part of record \(record.short)")
    }
    return part
  }

  /// The last part of a record, or the only one, which says that the others are there; nil where it is not kept here.
  private func last(of record: Digest) async throws(VaultFailure) -> (part: RecordPart, head: SealedHead)? {
    guard let part = try await self.part(self.recordKey(record), of: record) else { return nil }
    guard let boxes = part.boxes else { throw self.damaged("record \(record.short) ends before its last chunk") }
    return (part, SealedHead(record: record, count: part.count, boxes: boxes))
  }

  /// What there is of a record besides its ciphertext; nil where it is not kept here.
  public func head(of record: Digest) async throws(VaultFailure) -> SealedHead? {
    try await self.last(of: record)?.head
  }

  /// The chunks from one on, as they were stored together; nil where the record is not kept here, or has no such chunk.
  public func part(of record: Digest, from start: Int) async throws(VaultFailure) -> RecordPart? {
    // Most records are one object; of the others, the last part is read once more than needed.
    if start > 0, let part = try await self.part(self.chunksKey(record, start), of: record) { return part }
    guard let (last, head) = try await self.last(of: record), (0..<head.count).contains(start) else { return nil }
    guard start < last.start else { return RecordPart(head, start: start, from: last.chunks[(start - last.start)...]) }
    guard let part = try await self.part(self.chunksKey(record, start), of: record), part.start == start,
      part.count == head.count
    else { throw self.damaged("record \(record.short) lacks its chunks from \(start) on") }
    return part
  }

  /// Puts other boxes in the place of a record's, if it is kept here.
  public func replace(_ boxes: RecordPart.Boxes, of record: Digest) async throws(VaultFailure) {
    guard let (last, _) = try await self.last(of: record) else { return }
    let part = RecordPart(record: record, count: last.count, start: last.start, chunks: last.chunks, boxes: boxes)
    try await self.client.put(self.recordKey(record), part.encoded)
  }

  /// The leaf hashes of a record that came in parts; of one object they are computed as fast.
  public func leaves(of record: Digest) async throws(VaultFailure) -> [UInt8]? {
    let folder = String(self.leavesKey(record).dropLast(8))
    var keys: [String] = []
    repeat {
      let more = try await self.client.list(folder, after: keys.last, countMax: 1000)
      guard !more.isEmpty else { break }
      keys += more
    } while keys.count < RecordPart.chunksMax
    let found = Mutex<[String: [UInt8]]>([:])
    try await self.each(keys) { key throws(VaultFailure) in
      let bytes = try await self.client.get(key)
      found.withLock { $0[key] = bytes }
    }
    let leaves = found.withLock { found in keys.flatMap { found[$0] ?? [] } }
    return leaves.isEmpty ? nil : leaves
  }

  /// Deletes an erased record. The chunks go first: as long as anything is here, `records` says so.
  ///
  /// ⚑ Buckets change: whether this one deletes for good is asked each time, before anything is said to be gone.
  public func erase(_ identifier: Digest) async throws(VaultFailure) {
    do throws(Unfit) { try await self.check() } catch {
      if case .failure(let failure) = error { throw failure }
      throw VaultFailure("record \(identifier.short) is not erased: \(S3Client.versioned)")
    }
    for folder in [String(self.leavesKey(identifier).dropLast(8)), self.chunksKey(identifier)] {
      while true {
        let keys = try await self.client.list(folder, after: nil, countMax: 1000)
        guard !keys.isEmpty else { break }
        try await self.each(keys) { key throws(VaultFailure) in try await self.client.delete(key) }
      }
    }
    try await self.client.delete(self.recordKey(identifier))
  }

  /// Runs `body` for each item, several at once; the first failure ends it.
  private func each<Item: Sendable>(
    _ items: [Item], _ body: @escaping @Sendable (Item) async throws(VaultFailure) -> Void
  ) async throws(VaultFailure) {
    let failure = await withTaskGroup(of: VaultFailure?.self) { group in
      var (next, failure): (Int, VaultFailure?) = (0, nil)
      var underWay = 0
      while next < items.count && failure == nil || underWay > 0 {
        if next < items.count, failure == nil, underWay < Self.requestsMax {
          let item = items[next]
          group.addTask {
            do throws(VaultFailure) { try await body(item) } catch { return error }
            return nil
          }
          (next, underWay) = (next + 1, underWay + 1)
        } else if let result = await group.next() {
          underWay -= 1
          failure = failure ?? result
        }
      }
      return failure
    }
    if let failure { throw failure }
  }
}
