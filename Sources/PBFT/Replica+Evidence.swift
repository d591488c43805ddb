import Messages
import Ordering
import Primitives
import Signing

/// What proves that a member contradicted itself is kept (LEDGER §9, I8).
extension Replica {
  /// Of what proofs were kept: one of each member and kind, in this configuration.
  struct Accusation: Sendable, Hashable {
    let culprit: ReplicaIndex
    let kind: VoteEvidence.Kind
  }

  /// ⚑ Tells the operator, and keeps the proof: it shows anybody, for ever, that this member signed two things for
  /// one place. `what` it was, for the log.
  mutating func accuse(_ evidence: VoteEvidence, what: String, into effects: inout [OrderingEffect]) {
    effects.append(.report(.equivocation(evidence.culprit, what: what)))
    let accusation = Accusation(culprit: evidence.culprit, kind: evidence.kind)
    guard !self.accused.contains(accusation), evidence.isShort else { return }
    self.accused.insert(accusation)
    effects.append(.persist(.evidence(evidence)))
  }

  /// Two votes of one member at one place.
  func evidence(
    _ kind: VoteEvidence.Kind, _ ballot: Ballot, _ vote: Slot.Vote, against earlier: Slot.Vote, by signer: ReplicaIndex
  ) -> VoteEvidence {
    func signed<Content: OrderingContent>(_ vote: Slot.Vote, _ make: (Ballot) -> Content) -> Signed<Content> {
      let own = Ballot(
        configuration: ballot.configuration, view: ballot.view, sequence: ballot.sequence, digest: vote.digest)
      return Signed(content: make(own), signer: signer, signature: vote.signature)
    }
    if kind == .prepare { return .prepares(signed(earlier) { Prepare($0) }, signed(vote) { Prepare($0) }) }
    return .commits(signed(earlier) { Commit($0) }, signed(vote) { Commit($0) })
  }
}
