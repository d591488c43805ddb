internal import Dispatch
public import HealthRecords
public import Primitives
internal import Wire

/// The default vault: sealed records in an LMDB environment of their own, each sealed once more with a key of its own,
/// which is overwritten when it is erased.
public final class EmbeddedVault: Vault {
  /// The format that this program writes.
  private static let format: UInt64 = 1
  private let environment: Environment
  private let chunks: Environment.Table
  private let boxes: Environment.Table
  /// By record and first chunk: the leaf hashes of a part's chunks.
  private let leaves: Environment.Table
  /// By record: the number of its key.
  private let slots: Environment.Table
  let keys: KeySlots
  private let queue = DispatchQueue(label: "vault", attributes: .concurrent)

  /// Opens or makes the vault in a folder.
  public init(path: String, mapSizeMax: Int) throws(StorageFailure) {
    self.environment = try Environment(path: path, mapSizeMax: mapSizeMax)
    let tables = try self.environment.open(["chunks", "boxes", "leaves", "slots", "meta"])
    (self.chunks, self.boxes, self.leaves, self.slots) = (tables[0], tables[1], tables[2], tables[3])
    try self.environment.requireFormat(Self.format, in: tables[4], of: [tables[0], tables[1]])
    var named: UInt64 = 0
    try self.environment.snapshot().scan(self.slots, from: []) { _, value in
      named = max(named, Key.number(from: value) &+ 1)
      return true
    }
    self.keys = try KeySlots(folder: path, named: named, onShortage: .counted)
  }

  /// How many keys were not there when the vault was opened: records under them are brought back from other vaults.
  public var lostKeyCount: UInt64 { self.keys.lost }

  /// Bytes of the file that hold data, and bytes of the file.
  public var sizes: (used: Int, file: Int) { self.environment.sizes }

  private func key(_ record: Digest, _ chunk: Int) -> [UInt8] { record.bytes + Key.number(UInt64(chunk)) }

  /// Runs `body` on the vault's own threads.
  private func perform<Value: Sendable>(
    _ body: @escaping @Sendable () throws(StorageFailure) -> Value
  ) async throws(VaultFailure) -> Value {
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Value, StorageFailure>, Never>) in
      self.queue.async { continuation.resume(returning: Result { () throws(StorageFailure) in try body() }) }
    }
    do throws(StorageFailure) { return try result.get() } catch { throw VaultFailure("\(error)") }
  }

  /// Stores parts of records; when it returns, all are on the disk.
  public func store(_ parts: [RecordPart]) async throws(VaultFailure) {
    try await self.perform { () throws(StorageFailure) in try self.write(parts) }
  }

  private func write(_ parts: [RecordPart]) throws(StorageFailure) {
    try self.environment.write { transaction throws(StorageFailure) in
      for part in parts {
        let key = try self.key(of: part.record, transaction)
        for (index, chunk) in part.chunks.enumerated() {
          let place = self.key(part.record, part.start + index)
          try transaction.put(self.chunks, place, KeySlots.seal(chunk, key: key, place: place))
        }
        try transaction.put(self.leaves, self.key(part.record, part.start), part.leaves)
        guard let boxes = part.boxes else { continue }
        try self.put(boxes, of: part.record, count: part.count, key: key, transaction)
      }
    }
  }

  private func put(
    _ boxes: RecordPart.Boxes, of record: Digest, count: Int, key: [UInt8], _ transaction: borrowing WriteTransaction
  ) throws(StorageFailure) {
    var encoder = Encoder()
    encoder.u32(UInt32(count))
    encoder.item(boxes)
    try transaction.put(
      self.boxes, record.bytes, KeySlots.seal(encoder.bytes, key: key, place: Self.boxesPlace(record)))
  }

  /// No chunk's.
  private static func boxesPlace(_ record: Digest) -> [UInt8] { record.bytes + Array("boxes".utf8) }

  /// A record's key, which is made where it has none.
  private func key(of record: Digest, _ transaction: borrowing WriteTransaction) throws(StorageFailure) -> [UInt8] {
    if let slot = transaction.get(self.slots, record.bytes), let key = try self.keys.key(Key.number(from: slot)) {
      return key
    }
    let slot = try self.keys.take()
    guard let key = try self.keys.key(slot) else {
      throw .damaged(path: self.environment.path, reason: "key \(slot) is gone before it was used")
    }
    try transaction.put(self.slots, record.bytes, Key.number(slot))
    return key
  }

  /// A record's key; nil where it is not kept here, or is being erased.
  private func key(of record: Digest, in snapshot: Snapshot) throws(StorageFailure) -> [UInt8]? {
    guard let slot = snapshot.get(self.slots, record.bytes) else { return nil }
    return try self.keys.key(Key.number(from: slot))
  }

  private func opened(
    _ sealed: [UInt8], of record: Digest, key: [UInt8], place: [UInt8]
  ) throws(StorageFailure) -> [UInt8] {
    guard let bytes = KeySlots.unseal(sealed, key: key, place: place) else {
      throw .damaged(path: self.environment.path, reason: "record \(record.short) was changed")
    }
    return bytes
  }

  /// Puts other boxes in the place of a record's, if it is kept here.
  public func replace(_ boxes: RecordPart.Boxes, of record: Digest) async throws(VaultFailure) {
    try await self.perform { () throws(StorageFailure) in
      guard let head = try self.head(of: record, in: self.environment.snapshot()) else { return }
      try self.environment.write { transaction throws(StorageFailure) in
        // It may have been erased meanwhile.
        guard transaction.get(self.boxes, record.bytes) != nil else { return }
        try self.put(boxes, of: record, count: head.count, key: self.key(of: record, transaction), transaction)
      }
    }
  }

  /// Those of some records that are not kept here.
  public func missing(of identifiers: [Digest]) async throws(VaultFailure) -> [Digest] {
    try await self.perform { () throws(StorageFailure) in
      let snapshot = try self.environment.snapshot()
      return identifiers.filter { snapshot.get(self.boxes, $0.bytes) == nil }
    }
  }

  /// The records of which anything is here, from after one on, in the order of their identifiers.
  public func records(after last: Digest?, countMax: Int) async throws(VaultFailure) -> [Digest] {
    try await self.perform { () throws(StorageFailure) in
      let snapshot = try self.environment.snapshot()
      var out: [Digest] = []
      var from = last.map { self.key($0, .max) } ?? []
      // From one record's first chunk to the next one's: every record has chunks.
      while out.count < countMax {
        guard let key = snapshot.key(self.chunks, atOrAfter: from),
          let record = Digest(key.prefix(Digest.lengthBytes))
        else { break }
        out.append(record)
        from = self.key(record, .max)
      }
      return out
    }
  }

  /// What there is of a record besides its ciphertext; nil where it is not kept here.
  public func head(of record: Digest) async throws(VaultFailure) -> SealedHead? {
    try await self.perform { () throws(StorageFailure) in try self.head(of: record, in: self.environment.snapshot()) }
  }

  private func head(of record: Digest, in snapshot: Snapshot) throws(StorageFailure) -> SealedHead? {
    guard let sealed = snapshot.get(self.boxes, record.bytes), let key = try self.key(of: record, in: snapshot) else {
      return nil
    }
    let bytes = try self.opened(sealed, of: record, key: key, place: Self.boxesPlace(record))
    do {
      var decoder = Decoder(bytes)
      let count = Int(try decoder.u32())
      return SealedHead(record: record, count: count, boxes: try RecordPart.Boxes(from: &decoder))
    } catch { throw .damaged(path: self.environment.path, reason: "record \(record.short): \(error)") }
  }

  /// As many chunks as a message takes, from one on; nil where the record is not kept here, or has no such chunk.
  public func part(of record: Digest, from start: Int) async throws(VaultFailure) -> RecordPart? {
    try await self.perform { () throws(StorageFailure) in try self.read(record, from: start) }
  }

  private func read(_ record: Digest, from start: Int) throws(StorageFailure) -> RecordPart? {
    let snapshot = try self.environment.snapshot()
    guard let head = try self.head(of: record, in: snapshot), (0..<head.count).contains(start),
      let key = try self.key(of: record, in: snapshot)
    else { return nil }
    var (chunks, bytes): ([[UInt8]], Int) = ([], 0)
    while start + chunks.count < head.count {
      let place = self.key(record, start + chunks.count)
      guard let sealed = snapshot.get(self.chunks, place) else {
        throw .damaged(
          path: self.environment.path,
          reason: "record \(record.short) lacks chunk \(start + chunks.count) of \(head.count)")
      }
      let chunk = try self.opened(sealed, of: record, key: key, place: place)
      bytes += chunk.count
      guard chunks.isEmpty || bytes <= RecordPart.messageBytesMax else { break }
      chunks.append(chunk)
    }
    return RecordPart(head, start: start, chunks: chunks)
  }

  /// The leaf hashes that were kept when the record was stored.
  public func leaves(of record: Digest) async throws(VaultFailure) -> [UInt8]? {
    try await self.perform { () throws(StorageFailure) in
      var out: [UInt8] = []
      try self.environment.snapshot().scan(self.leaves, from: record.bytes) { key, value in
        guard key.starts(with: record.bytes) else { return false }
        out += value
        return true
      }
      return out.isEmpty ? nil : out
    }
  }

  /// Deletes an erased record: ciphertext and all boxes; whatever of it is here. Its key is overwritten first: nothing
  /// of it that the database leaves in its file can be read when this returns.
  public func erase(_ identifier: Digest) async throws(VaultFailure) {
    try await self.perform { () throws(StorageFailure) in
      try self.environment.write { transaction throws(StorageFailure) in
        if let slot = transaction.get(self.slots, identifier.bytes) {
          try self.keys.destroy([Key.number(from: slot)])
          try transaction.remove(self.slots, identifier.bytes)
        }
        try transaction.remove(self.boxes, identifier.bytes)
        for table in [self.chunks, self.leaves] {
          try transaction.remove(table, from: identifier.bytes, through: self.key(identifier, .max))
        }
      }
    }
  }
}
