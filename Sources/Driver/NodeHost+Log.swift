internal import NodeCore
public import Gateway
public import Ledger
internal import Merkle
internal import Messages
public import Primitives
internal import Signing
internal import Storage
internal import Wire

/// The log for third parties: tree heads, proofs, entries.
extension NodeHost {
  /// The last stable checkpoint.
  public func checkpoint() -> StableCheckpoint? { self.running?.node.checkpoints.stable }

  /// A log entry with its proof under the last stable checkpoint.
  public func proof(_ leaf: UInt64) throws(ServiceRefusal) -> ProofView {
    guard let store = self.running?.state.store else { throw .failed("the node is not started") }
    guard let stable = self.checkpoint(), leaf < stable.body.size else { throw .notStableYet }
    let entry: LogEntry?
    do { entry = try store.entries(from: leaf, to: leaf + 1).first } catch { throw .failed("\(error)") }
    guard let entry, let path = MerkleProver(nodes: store).inclusion(index: leaf, size: stable.body.size) else {
      throw .notStableYet
    }
    return ProofView(
      leaf: leaf, entry: Base64.encode(entry.encoded), path: path.map(\.description),
      checkpoint: stable.note(in: self.genesis.configuration))
  }

  /// Log entries in order.
  public func entries(from start: UInt64, count: Int) throws(ServiceRefusal) -> [LogEntry] {
    guard let store = self.running?.state.store else { throw .failed("the node is not started") }
    do { return try store.entries(from: start, to: start.addingReportingOverflow(UInt64(count)).partialValue) } catch {
      throw .failed("\(error)")
    }
  }

  /// Hashes of a tile of the log.
  public func tile(level: Int, index: UInt64) -> [Digest]? {
    self.running?.state.store.tile(level: level, index: index)
  }

  /// The consistency proof between two sizes of the log.
  public func consistency(from old: UInt64, to size: UInt64) throws(ServiceRefusal) -> [Digest] {
    guard let store = self.running?.state.store else { throw .failed("the node is not started") }
    guard old > 0, old <= size else { throw .badRequest("from must be at least 1 and at most to") }
    guard let path = MerkleProver(nodes: store).consistency(old: old, size: size) else {
      throw .notFound("log of that size")
    }
    return path
  }
}
