internal import Dispatch
public import HealthRecords
public import Primitives
internal import Wire

/// The default vault: sealed records in an LMDB environment of their own.
public final class EmbeddedVault: Vault {
  private let environment: Environment
  private let chunks: Environment.Table
  private let boxes: Environment.Table
  private let queue = DispatchQueue(label: "vault", attributes: .concurrent)

  /// Opens or makes the vault in a folder.
  public init(path: String, mapSizeMax: Int) throws(StorageFailure) {
    self.environment = try Environment(path: path, mapSizeMax: mapSizeMax)
    let tables = try self.environment.open(["chunks", "boxes"])
    (self.chunks, self.boxes) = (tables[0], tables[1])
  }

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
        for (index, chunk) in part.chunks.enumerated() {
          try transaction.put(self.chunks, self.key(part.record, part.start + index), chunk)
        }
        guard let boxes = part.boxes else { continue }
        var encoder = Encoder()
        encoder.u32(UInt32(part.count))
        encoder.item(boxes)
        try transaction.put(self.boxes, part.record.bytes, encoder.bytes)
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

  /// A record; nil where it is not kept here.
  public func record(_ identifier: Digest) async throws(VaultFailure) -> SealedRecord? {
    try await self.perform { () throws(StorageFailure) in try self.read(identifier) }
  }

  private func read(_ identifier: Digest) throws(StorageFailure) -> SealedRecord? {
    let snapshot = try self.environment.snapshot()
    guard let bytes = snapshot.get(self.boxes, identifier.bytes) else { return nil }
    let (count, boxes): (Int, RecordPart.Boxes)
    do {
      var decoder = Decoder(bytes)
      (count, boxes) = (Int(try decoder.u32()), try RecordPart.Boxes(from: &decoder))
    } catch { throw .damaged(path: self.environment.path, reason: "record \(identifier.short): \(error)") }
    var chunks: [[UInt8]] = []
    for index in 0..<count {
      guard let chunk = snapshot.get(self.chunks, self.key(identifier, index)) else { break }
      chunks.append(chunk)
    }
    guard chunks.count == count else {
      throw .damaged(
        path: self.environment.path, reason: "record \(identifier.short) has \(chunks.count) chunks of \(count)")
    }
    return SealedRecord(record: identifier, chunks: chunks, boxes: boxes)
  }

  /// Deletes an erased record: ciphertext and all boxes; whatever of it is here.
  public func erase(_ identifier: Digest) async throws(VaultFailure) {
    try await self.perform { () throws(StorageFailure) in
      try self.environment.write { transaction throws(StorageFailure) in
        try transaction.remove(self.boxes, identifier.bytes)
        // Of what never became whole, any may be missing.
        for index in 0..<RecordPart.chunksMax { try transaction.remove(self.chunks, self.key(identifier, index)) }
      }
    }
  }
}
