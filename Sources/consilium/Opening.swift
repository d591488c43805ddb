internal import Gateway
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Threshold

extension Opening {
  /// Asks for a record's key through a node, and says on the error output who gave a wrong share.
  func key(
    _ question: ReleaseQuestion, through client: NodeClient, accuse: (ShareAccusation) async throws -> Void
  ) async throws -> ReleasedKey {
    let members = try await client.configuration().members
    return try await Self.explained {
      try await self.key(
        members: members.map(\.key),
        ask: { settled in
          do {
            return try await client.release(
              request: "\(question.request)", record: "\(question.record)", without: settled)
          } catch let failure as Failure {
            guard failure.what == "not-released", Self.passing.contains(failure.why) else { throw failure }
            return nil
          }
        },
        accuse: { accusation in
          let member = members[accusation.share.member]
          Console.error(
            "Hospital \(member.id.number), \(member.name), signed a wrong share: proof goes onto the ledger.")
          try await accuse(accusation)
        })
    }
  }

  /// Refusals that a moment can mend.
  private static let passing = [
    ReleaseRefusal.unknownRequest.explanation, ReleaseRefusal.tooFewCustodians.explanation,
  ]

  /// What went wrong, as a command says it.
  static func explained<Value>(_ work: () async throws -> Value) async throws -> Value {
    do { return try await work() } catch let fault as Fault {
      switch fault {
      case .tooFewCustodians:
        throw Failure(
          "the record does not open", why: "too few of the hospitals that have a share of its key gave a right one",
          remedy: "try again once more of them are connected: consilium custody show names them, consilium peers says "
            + "who is here",
          status: ExitStatus.unavailable)
      case .badCapsule:
        throw Failure(
          "the record does not open", why: "its capsule is not the one that was anchored",
          remedy: "tell the hospital that wrote it", status: ExitStatus.refused)
      case .wrongKey:
        throw Failure(
          "the released key does not open",
          why: "it was sealed to another request, or the record's capsule is damaged",
          remedy: "make a new request; if it stays, tell the hospital that wrote the record", status: ExitStatus.refused
        )
      case .notAnchored(let fault):
        throw Failure(
          "the record is not what was anchored", why: "\(fault)", remedy: "tell the hospital that keeps it",
          status: ExitStatus.refused)
      }
    }
  }
}
