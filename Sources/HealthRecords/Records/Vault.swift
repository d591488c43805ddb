public import Primitives

/// Why a vault did not do what it was asked: what happened, where, and what to do.
public struct VaultFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// One line for the operator.
  public let description: String
  /// A failure that says why.
  public init(_ description: String) { self.description = description }
}

/// A hospital's cloud agent: sealed records, off the chain. A record is here once its last part is.
///
/// Every vault has threads of its own: one that is slow keeps nobody from ordering. From any task, several at once.
public protocol Vault: Sendable {
  /// Bytes that hold data on this machine, and bytes of the files; none where the data is elsewhere.
  var sizes: (used: Int, file: Int) { get }
  /// Stores parts of records; when it returns, they survive whatever happens to this machine's power.
  func store(_ parts: [RecordPart]) async throws(VaultFailure)
  /// Those of some records, in the order of their identifiers, that are not kept here.
  func missing(of identifiers: [Digest]) async throws(VaultFailure) -> [Digest]
  /// The records of which anything is here, also a part alone, from after one on, in the order of their identifiers.
  func records(after last: Digest?, countMax: Int) async throws(VaultFailure) -> [Digest]
  /// A record; nil where it is not kept here.
  func record(_ identifier: Digest) async throws(VaultFailure) -> SealedRecord?
  /// Deletes an erased record: ciphertext and all boxes; whatever of it is here. Interrupted, it is done again.
  func erase(_ identifier: Digest) async throws(VaultFailure)
}

extension Vault {
  /// Stores records as a whole.
  public func store(_ records: [SealedRecord]) async throws(VaultFailure) {
    try await self.store(records.map(\.whole))
  }

  /// Whether nothing else is kept here as a whole under the names of records whose parts these are.
  public func agrees(with parts: [RecordPart]) async throws(VaultFailure) -> Bool {
    let identifiers = Set(parts.map(\.record)).sorted()
    let whole = Set(identifiers).subtracting(try await self.missing(of: identifiers))
    for part in parts where whole.contains(part.record) {
      guard let kept = try await self.record(part.record), kept.chunks.count == part.count,
        kept.chunks[part.start..<part.start + part.chunks.count].elementsEqual(part.chunks),
        part.boxes == nil || part.boxes == kept.boxes
      else { return false }
    }
    return true
  }
}

extension SealedRecord {
  /// The record as one part.
  var whole: RecordPart {
    RecordPart(record: self.record, count: self.chunks.count, start: 0, chunks: self.chunks, boxes: self.boxes)
  }
}
