internal import NodeCore
public import Gateway
public import Ledger
internal import Merkle
public import Messages
internal import HealthRecords
internal import Rules
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
    guard let stable = self.checkpoint() else { throw .notStableYet }
    var view = try self.proof(leaf, under: stable)
    let links = try self.links(below: stable.body.configuration)
    view.configurations = links.isEmpty ? nil : links
    return view
  }

  /// The changes of members, each proved, from the genesis on.
  public func configurations() throws(ServiceRefusal) -> [ProofView] {
    guard let driver = self.running else { throw .failed("the node is not started") }
    return try self.links(below: driver.node.configuration.number)
  }

  private func links(below number: ConfigurationNumber) throws(ServiceRefusal) -> [ProofView] {
    guard let store = self.running?.state.store else { return [] }
    do throws(StorageFailure) {
      return try store.changeProofs(through: number, from: self.genesis).map { ProofView($0) }
    } catch { throw self.refusal(error) }
  }

  /// The configuration of a number; nil where there is none.
  public func configuration(_ number: ConfigurationNumber) -> Configuration? {
    guard number.number > 0 else { return self.genesis.configuration }
    return self.running?.state.item(StateKey.configuration(number), as: ConfigurationRecord.self)?.configuration
  }

  /// What is damaged is not given away; the operator hears of it.
  private func refusal(_ failure: StorageFailure, of leaf: UInt64? = nil) -> ServiceRefusal {
    self.running?.found(failure)
    return leaf.map { ServiceRefusal.notKept($0) } ?? .failed("\(failure)")
  }

  private func proof(_ leaf: UInt64, under stable: StableCheckpoint) throws(ServiceRefusal) -> ProofView {
    guard let store = self.running?.state.store else { throw .failed("the node is not started") }
    guard leaf < stable.body.size, let configuration = self.configuration(stable.body.configuration) else {
      throw .notStableYet
    }
    let entry: LogEntry?
    do throws(StorageFailure) { entry = try store.entries(from: leaf, to: leaf + 1).first } catch {
      throw self.refusal(error, of: leaf)
    }
    guard let path = MerkleProver(nodes: store).inclusion(index: leaf, size: stable.body.size) else {
      throw .notStableYet
    }
    guard let entry else { throw .notKept(leaf) }
    return ProofView(
      LogProof(leaf: leaf, entry: entry.encoded, path: path, checkpoint: stable.note(in: configuration)))
  }

  /// Log entries in order.
  public func entries(from start: UInt64, count: Int) throws(ServiceRefusal) -> [LogEntry] {
    guard let store = self.running?.state.store else { throw .failed("the node is not started") }
    let entries: [LogEntry]
    do throws(StorageFailure) {
      let (end, isBeyond) = start.addingReportingOverflow(UInt64(clamping: count))
      entries = try store.entries(from: start, to: isBeyond ? .max : end)
    } catch { throw self.refusal(error, of: start) }
    // A whole answer or none: a gap must not look like the log's end.
    let size = self.running?.node.execution.position.log.size ?? 0
    guard !entries.isEmpty || start >= size || count <= 0 else { throw .notKept(start) }
    return entries
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
