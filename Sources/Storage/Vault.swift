public import HealthRecords
public import Primitives
internal import Wire

/// A hospital's cloud agent: sealed records in an LMDB environment of their own, off the chain.
public final class Vault: Sendable {
  private let environment: Environment
  private let chunks: Environment.Table
  private let boxes: Environment.Table

  /// Opens or makes the vault in a folder.
  public init(path: String, mapSizeMax: Int) throws(StorageFailure) {
    self.environment = try Environment(path: path, mapSizeMax: mapSizeMax)
    let tables = try self.environment.open(["chunks", "boxes"])
    (self.chunks, self.boxes) = (tables[0], tables[1])
  }

  /// Bytes of the file that hold data, and bytes of the file.
  public var sizes: (used: Int, file: Int) { self.environment.sizes }

  private func key(_ record: Digest, _ chunk: Int) -> [UInt8] { record.bytes + Key.number(UInt64(chunk)) }

  /// Stores records as a whole; when it returns, all are on the disk. From any thread, one at a time.
  public func store(_ records: [SealedRecord]) throws(StorageFailure) {
    try self.environment.write { transaction throws(StorageFailure) in
      for record in records {
        for (index, chunk) in record.chunks.enumerated() {
          try transaction.put(self.chunks, self.key(record.record, index), chunk)
        }
        var encoder = Encoder()
        encoder.u32(UInt32(record.chunks.count))
        encoder.blob(record.capsule)
        encoder.blob(record.patientCopy)
        try transaction.put(self.boxes, record.record.bytes, encoder.bytes)
      }
    }
  }

  /// A record; nil where it is not kept here.
  public func record(_ identifier: Digest) throws(StorageFailure) -> SealedRecord? {
    let snapshot = try self.environment.snapshot()
    guard let bytes = snapshot.get(self.boxes, identifier.bytes) else { return nil }
    do {
      var decoder = Decoder(bytes)
      let count = Int(try decoder.u32())
      let capsule = try decoder.blob(max: 1024, "capsule")
      let patientCopy = try decoder.blob(max: 1024, "patient's copy")
      var chunks: [[UInt8]] = []
      for index in 0..<count {
        guard let chunk = snapshot.get(self.chunks, self.key(identifier, index)) else { break }
        chunks.append(chunk)
      }
      guard chunks.count == count else {
        throw StorageFailure.damaged(
          path: self.environment.path, reason: "record \(identifier.short) has \(chunks.count) chunks of \(count)")
      }
      return SealedRecord(record: identifier, chunks: chunks, capsule: capsule, patientCopy: patientCopy)
    } catch let failure as StorageFailure {
      throw failure
    } catch {
      throw .damaged(path: self.environment.path, reason: "record \(identifier.short): \(error)")
    }
  }

  /// Deletes an erased record: ciphertext and both boxes.
  public func erase(_ identifier: Digest) throws(StorageFailure) {
    guard let record = try self.record(identifier) else { return }
    try self.environment.write { transaction throws(StorageFailure) in
      for index in record.chunks.indices { try transaction.remove(self.chunks, self.key(identifier, index)) }
      try transaction.remove(self.boxes, identifier.bytes)
    }
  }
}
