public import Primitives

/// Why a vault did not do what it was asked: what happened, where, and what to do.
public struct VaultFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// One line for the operator.
  public let description: String
  /// A failure that says why.
  public init(_ description: String) { self.description = description }
}

/// A hospital's cloud agent: sealed records, off the ledger. A record is here once its last part is.
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
  /// What there is of a record besides its ciphertext; nil where it is not kept here.
  func head(of record: Digest) async throws(VaultFailure) -> SealedHead?
  /// The part of a record that begins at a chunk; nil where the record is not kept here, or has no such chunk.
  func part(of record: Digest, from start: Int) async throws(VaultFailure) -> RecordPart?
  /// Puts other boxes in the place of a record's, if it is kept here: its key was enclosed anew.
  func replace(_ boxes: RecordPart.Boxes, of record: Digest) async throws(VaultFailure)
  /// The leaf hashes of all of a record's chunks, one after another, as they were kept when it was stored; nil where
  /// they were not: they are computed then.
  func leaves(of record: Digest) async throws(VaultFailure) -> [UInt8]?
  /// Deletes an erased record: ciphertext and all boxes; whatever of it is here. Interrupted, it is done again.
  func erase(_ identifier: Digest) async throws(VaultFailure)
}

extension Vault {
  /// Stores records as a whole.
  public func store(_ records: [SealedRecord]) async throws(VaultFailure) {
    try await self.store(records.map(\.whole))
  }

  /// Stores a record part by part.
  public func store(_ content: any SealedContent) async throws(VaultFailure) {
    try await content.forEachPart({ part throws(VaultFailure) in try await self.store([part]) }, failed: { $0 })
  }

  /// A record that is kept here, to be read part by part; nil where it is not.
  public func content(of record: Digest) async throws(VaultFailure) -> (any SealedContent)? {
    guard let first = try await self.part(of: record, from: 0) else { return nil }
    // Most records are one part: what is asked once is not asked again.
    if let boxes = first.boxes {
      return KeptRecord(head: SealedHead(record: record, count: first.count, boxes: boxes), whole: first, vault: self)
    }
    return try await self.head(of: record).map { KeptRecord(head: $0, whole: nil, vault: self) }
  }

  /// A record as a whole; nil where it is not kept here, or is larger than what is handled as a whole.
  public func record(_ identifier: Digest) async throws(VaultFailure) -> SealedRecord? {
    try await self.content(of: identifier)?.whole()
  }

  /// Whether nothing else is kept here as a whole under the names of records whose parts these are.
  public func agrees(with parts: [RecordPart]) async throws(VaultFailure) -> Bool {
    let identifiers = Set(parts.map(\.record)).sorted()
    let whole = Set(identifiers).subtracting(try await self.missing(of: identifiers))
    for part in parts where whole.contains(part.record) {
      guard try await self.keeps(part) else { return false }
    }
    return true
  }

  private func keeps(_ part: RecordPart) async throws(VaultFailure) -> Bool {
    guard let head = try await self.head(of: part.record), head.count == part.count,
      part.boxes == nil || part.boxes == head.boxes
    else { return false }
    var compared = 0
    while compared < part.chunks.count {
      guard let kept = try await self.part(of: part.record, from: part.start + compared), !kept.chunks.isEmpty,
        zip(kept.chunks, part.chunks.dropFirst(compared)).allSatisfy({ $0 == $1 })
      else { return false }
      compared += kept.chunks.count
    }
    return true
  }
}

/// A record in a vault.
private struct KeptRecord: SealedContent {
  let head: SealedHead
  /// All of it, where it is one part.
  let whole: RecordPart?
  let vault: any Vault

  func part(from start: Int) async throws(VaultFailure) -> RecordPart {
    if start == 0, let whole = self.whole { return whole }
    guard let part = try await self.vault.part(of: self.head.record, from: start) else {
      throw VaultFailure("record \(self.head.record.short) went away while it was read; ask again")
    }
    return part
  }
}

extension SealedRecord {
  /// The record as one part.
  var whole: RecordPart {
    RecordPart(record: self.record, count: self.chunks.count, start: 0, chunks: self.chunks, boxes: self.boxes)
  }
}
