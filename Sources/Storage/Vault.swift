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
    try self.store(
      records.map { record in
        RecordPart(
          record: record.record, count: record.chunks.count, start: 0, chunks: record.chunks, boxes: record.boxes)
      })
  }

  /// Stores parts of records; when it returns, all are on the disk. A record is here once its last part is.
  public func store(_ parts: [RecordPart]) throws(StorageFailure) {
    try self.environment.write { transaction throws(StorageFailure) in
      for part in parts {
        for (index, chunk) in part.chunks.enumerated() {
          try transaction.put(self.chunks, self.key(part.record, part.start + index), chunk)
        }
        guard let boxes = part.boxes else { continue }
        var encoder = Encoder()
        encoder.u32(UInt32(part.count))
        for box in [boxes.capsule, boxes.hospitalCopy, boxes.patientCopy] { encoder.blob(box) }
        try transaction.put(self.boxes, part.record.bytes, encoder.bytes)
      }
    }
  }

  /// Those of some records that are not kept here.
  public func missing(of identifiers: [Digest]) throws(StorageFailure) -> [Digest] {
    let snapshot = try self.environment.snapshot()
    return identifiers.filter { snapshot.get(self.boxes, $0.bytes) == nil }
  }

  /// The records that are kept here, from after one on, in the order of their identifiers.
  public func records(after last: Digest?, countMax: Int) throws(StorageFailure) -> [Digest] {
    var out: [Digest] = []
    try self.environment.snapshot().scan(self.boxes, from: last.map { $0.bytes + [0] } ?? []) { key, _ in
      if let record = Digest(key) { out.append(record) }
      return out.count < countMax
    }
    return out
  }

  /// A record; nil where it is not kept here.
  public func record(_ identifier: Digest) throws(StorageFailure) -> SealedRecord? {
    let snapshot = try self.environment.snapshot()
    guard let bytes = snapshot.get(self.boxes, identifier.bytes) else { return nil }
    do {
      var decoder = Decoder(bytes)
      let count = Int(try decoder.u32())
      let capsule = try decoder.blob(max: 1024, "capsule")
      let hospitalCopy = try decoder.blob(max: 1024, "hospital's copy")
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
      return SealedRecord(
        record: identifier, chunks: chunks, capsule: capsule, hospitalCopy: hospitalCopy, patientCopy: patientCopy)
    } catch let failure as StorageFailure {
      throw failure
    } catch {
      throw .damaged(path: self.environment.path, reason: "record \(identifier.short): \(error)")
    }
  }

  /// Deletes an erased record: ciphertext and all boxes; whatever of it is here.
  public func erase(_ identifier: Digest) throws(StorageFailure) {
    try self.environment.write { transaction throws(StorageFailure) in
      try transaction.remove(self.boxes, identifier.bytes)
      for index in 0..<RecordPart.chunksMax {
        guard try transaction.remove(self.chunks, self.key(identifier, index)) else { break }
      }
    }
  }
}
