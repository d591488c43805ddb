public import HealthRecords
public import Primitives
internal import Synchronization

/// A vault beside which the same hospital keeps what its records hold: its EHR's resources. ⚑ What is erased is erased
/// there first. A hospital says that it deleted a record when its vault did, and then it shows it to nobody.
public final class LinkedVault: Vault {
  /// Erases what is kept of a record elsewhere.
  public typealias Erase = @Sendable (Digest) async throws -> Void

  private enum Link: Sendable {
    case awaited([CheckedContinuation<Void, Never>])
    case made(Erase)
  }

  private let vault: any Vault
  private let state = Mutex(Link.awaited([]))

  /// A vault that erases nothing until it is linked.
  public init(_ vault: any Vault) { self.vault = vault }

  /// Says how what is kept elsewhere is erased. Once.
  public func link(_ erase: @escaping Erase) {
    let waiting = self.state.withLock { link -> [CheckedContinuation<Void, Never>] in
      guard case .awaited(let waiting) = link else { return [] }
      link = .made(erase)
      return waiting
    }
    for one in waiting { one.resume() }
  }

  private func linked() async -> Erase {
    while true {
      if case .made(let erase) = self.state.withLock({ $0 }) { return erase }
      await withCheckedContinuation { continuation in
        let isMade = self.state.withLock { link -> Bool in
          guard case .awaited(let waiting) = link else { return true }
          link = .awaited(waiting + [continuation])
          return false
        }
        if isMade { continuation.resume() }
      }
    }
  }

  /// Deletes an erased record, elsewhere and then here.
  public func erase(_ identifier: Digest) async throws(VaultFailure) {
    let erase = await self.linked()
    do { try await erase(identifier) } catch { throw VaultFailure("the resources of \(identifier.short): \(error)") }
    try await self.vault.erase(identifier)
  }

  /// What the vault itself has.
  public var sizes: (used: Int, file: Int) { self.vault.sizes }
  /// Stores parts of records.
  public func store(_ parts: [RecordPart]) async throws(VaultFailure) { try await self.vault.store(parts) }
  /// Those of some records that are not kept here.
  public func missing(of identifiers: [Digest]) async throws(VaultFailure) -> [Digest] {
    try await self.vault.missing(of: identifiers)
  }
  /// The records of which anything is here.
  public func records(after last: Digest?, countMax: Int) async throws(VaultFailure) -> [Digest] {
    try await self.vault.records(after: last, countMax: countMax)
  }
  /// What there is of a record besides its ciphertext.
  public func head(of record: Digest) async throws(VaultFailure) -> SealedHead? {
    try await self.vault.head(of: record)
  }
  /// The part of a record that begins at a chunk.
  public func part(of record: Digest, from start: Int) async throws(VaultFailure) -> RecordPart? {
    try await self.vault.part(of: record, from: start)
  }
  /// Puts other boxes in the place of a record's.
  public func replace(_ boxes: RecordPart.Boxes, of record: Digest) async throws(VaultFailure) {
    try await self.vault.replace(boxes, of: record)
  }
  /// The leaf hashes of all of a record's chunks.
  public func leaves(of record: Digest) async throws(VaultFailure) -> [UInt8]? {
    try await self.vault.leaves(of: record)
  }
}
