internal import Custody
internal import Gateway
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Signing
internal import Threshold
internal import Wire

/// The reader's side of a granted request: shares are gathered, judged and combined here, so that no node ever has the
/// record's key.
struct Opening {
  /// How often the custodians are asked: others may be a moment behind, or send what is wrong.
  private static let attemptsMax = 40

  let request: String
  let anchor: RecordAnchor
  let secret: [UInt8]
  let client: NodeClient
  let genesis: Genesis
  /// Brings proof against a custodian onto the ledger.
  let accuse: (ShareAccusation) async throws -> Void

  func open() async throws -> OpenedRecord {
    var combination: Combination?
    for _ in 0..<Self.attemptsMax {
      let answer: ReleaseAnswer
      do {
        answer = try await self.client.release(
          request: self.request, record: "\(self.anchor.record)", without: combination?.settled ?? ReplicaSet())
      } catch let failure as Failure {
        guard failure.what == "not-released", Self.passing.contains(failure.why) else { throw failure }
        try await Task.sleep(for: .milliseconds(25))
        continue
      }
      if let release = answer.hospitalKey {
        return try Self.unlock(
          answer.sealed, SealedRecord.key(in: release.key, of: self.anchor.record, secret: self.secret), self.anchor)
      }
      var gathered: Combination
      if let combination { gathered = combination } else { gathered = try await self.begin(answer.sealed) }
      for share in answer.shares { try await self.take(share, of: answer.sealed, into: &gathered) }
      if gathered.isComplete { return try Self.unlock(answer.sealed, gathered.key, self.anchor) }
      combination = gathered
    }
    throw Failure(
      "the record does not open", why: "too few custodians gave right shares", remedy: "try again in a moment",
      status: ExitStatus.unavailable)
  }

  /// Refusals that a moment can mend.
  private static let passing = [
    ReleaseRefusal.unknownRequest.explanation, ReleaseRefusal.tooFewCustodians.explanation,
  ]

  private func begin(_ sealed: SealedRecord) async throws -> Combination {
    guard let custody = try await self.client.custody(), let capsule = try? Capsule.decode(sealed.capsule),
      SealedRecord.digest(ofBox: sealed.capsule) == self.anchor.capsule
    else {
      throw Failure(
        "the record does not open", why: "its capsule is not the one that was anchored",
        remedy: "tell the hospital that wrote it", status: ExitStatus.refused)
    }
    let context = OpeningContext(
      network: self.genesis.network, request: try parseDigest(self.request, "request"), capsule: self.anchor.capsule,
      custody: custody)
    return Combination(
      capsule, of: custody, label: self.anchor.label(network: self.genesis.network, custody: custody),
      context: context, members: try await self.client.configuration().members.map(\.key))
  }

  /// A share that is wrong convicts its author; the others go on without it.
  private func take(
    _ box: SealedShare, of sealed: SealedRecord, into combination: inout Combination
  ) async throws {
    guard let bytes = SealedBox.open(box.box, secret: self.secret),
      let share = try? ReleasedShare.decode(bytes), share.member == box.member
    else { return }
    guard combination.take(share) == .wrong else { return }
    let member = try await self.client.configuration().members[share.member]
    Console.error("Hospital \(member.id.number), \(member.name), signed a wrong share; the proof goes onto the ledger.")
    let question = ReleaseQuestion(request: try parseDigest(self.request, "request"), record: self.anchor.record)
    try await self.accuse(ShareAccusation(question: question, capsule: sealed.capsule, share: share))
  }

  /// Opens a sealed record and holds it against its anchor.
  static func unlock(_ sealed: SealedRecord, _ key: [UInt8]?, _ anchor: RecordAnchor) throws -> OpenedRecord {
    guard let key else {
      throw Failure(
        "the released key does not open", why: "it was sealed to another request, or the record's capsule is damaged",
        remedy: "make a new request; if it stays, tell the hospital that wrote the record", status: ExitStatus.refused)
    }
    do throws(RecordFault) { return try sealed.open(key: key, anchored: anchor) } catch {
      throw Failure(
        "the record is not what was anchored", why: "\(error)", remedy: "tell the hospital that keeps it",
        status: ExitStatus.refused)
    }
  }
}
