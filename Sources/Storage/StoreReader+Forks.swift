internal import HealthRecords
internal import Ledger
public import Messages
public import Primitives
internal import Rules
internal import Wire

/// A lane that its author forked, as the ledger has it (LEDGER §2): frozen until the members readmit the author.
public struct RecordedFork: Sendable, Hashable {
  /// The author.
  public let author: MemberID
  /// The cut with which the proof was executed.
  public let sequence: SequenceNumber
  /// The proof; nil where none was executed with that cut, or the cut is not here.
  public let evidence: ForkEvidence?
  /// Whether the cut is here: a store that began with a snapshot has older ones later, or never.
  public let isHere: Bool

  /// Whether it proves that its author broke its lane, as a member of one of these configurations.
  public func isProven(network: Digest, among configurations: [Configuration]) -> Bool {
    guard let evidence, evidence.first.author == self.author else { return false }
    return configurations.contains { evidence.isAuthentic(network: network, in: $0) }
  }
}

extension StoreReader {
  /// The forks of lanes that the ledger holds, by author: of each that was not readmitted since.
  ///
  /// - Throws: `StorageFailure` where the store is damaged.
  public func forks() throws(StorageFailure) -> [RecordedFork] {
    var pairs: [(key: [UInt8], value: [UInt8])] = []
    try self.snapshot.scan(self.tables.state, from: StateKey.forks) { key, value in
      guard key.starts(with: StateKey.forks) else { return false }
      pairs.append((key, value))
      return true
    }
    var out: [RecordedFork] = []
    for pair in pairs {
      var decoder = Decoder(pair.value)
      let number: UInt64
      do throws(WireError) { number = try decoder.bounded("fork") } catch {
        throw .damaged(path: self.path, reason: "the place of a fork's proof: \(error)")
      }
      let (author, sequence) = (StateKey.author(ofFork: pair.key), SequenceNumber(number))
      let record = try self.execution(sequence)
      let evidence = try record.flatMap { record throws(StorageFailure) in
        try self.forkEvidence(of: author, executedWith: record)
      }
      out.append(RecordedFork(author: author, sequence: sequence, evidence: evidence, isHere: record != nil))
    }
    return out
  }

  /// The proof that a cut executed of a member's fork; nil where it did not.
  private func forkEvidence(
    of author: MemberID, executedWith record: ExecutionRecord
  ) throws(StorageFailure) -> ForkEvidence? {
    let end = record.firstLeaf + UInt64(record.outcomes.count)
    for entry in try self.entries(from: record.firstLeaf, to: end)
    where entry.outcome == .applied && entry.transaction.kind == TransactionKind.forkEvidence.rawValue {
      guard let evidence = try? ForkEvidence.decode(entry.transaction.payload), evidence.first.author == author else {
        continue
      }
      return evidence
    }
    return nil
  }
}
