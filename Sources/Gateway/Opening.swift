public import HealthRecords
internal import Messages
public import Primitives
public import Signing
public import Threshold
internal import Wire

/// The reader's side of a granted request: shares are gathered, judged and combined where the reader is.
public struct Opening: Sendable {
  /// Why a record does not open.
  public enum Fault: Error, Sendable, Hashable {
    /// Too few custodians gave right shares.
    case tooFewCustodians
    /// The capsule is not the one that was anchored.
    case badCapsule
    /// The key is another request's, or the capsule's maker did not know what is inside.
    case wrongKey
    /// It is not what was anchored.
    case notAnchored(RecordFault)
  }

  /// How often the custodians are asked: others may be a moment behind, or send what is wrong.
  private static let attemptsMax = 40
  private static let pause = Duration.milliseconds(25)

  private let network: Digest
  private let request: Digest
  private let anchor: RecordAnchor
  private let secret: [UInt8]

  /// An opening of the record of an anchor for a granted request, with the secret half of its ephemeral key.
  public init(network: Digest, request: Digest, anchor: RecordAnchor, secret: [UInt8]) {
    (self.network, self.request, self.anchor, self.secret) = (network, request, anchor, secret)
  }

  /// Asks until the record opens: `ask` gets an answer without the shares of members that are settled, or nil where a
  /// moment may mend it; `accuse` hears of wrong shares, with their proof.
  ///
  /// - Throws: `Fault`, and whatever `ask` and `accuse` throw.
  public func open(
    custody: CustodyKey?, members: [PublicKey], ask: (ReplicaSet) async throws -> ReleaseAnswer?,
    accuse: (ShareAccusation) async throws -> Void
  ) async throws -> OpenedRecord {
    var combination: Combination?
    for _ in 0..<Self.attemptsMax {
      guard let answer = try await ask(combination?.settled ?? ReplicaSet()) else {
        try await Task.sleep(for: Self.pause)
        continue
      }
      if let release = answer.hospitalKey {
        return try Self.unlock(
          answer.sealed, SealedRecord.key(in: release.key, of: self.anchor.record, secret: self.secret), self.anchor)
      }
      var gathered = try combination ?? self.begin(answer.sealed, custody, members)
      for share in answer.shares {
        guard let evidence = self.take(share, of: answer.sealed, into: &gathered) else { continue }
        try await accuse(evidence)
      }
      if gathered.isComplete { return try Self.unlock(answer.sealed, gathered.key, self.anchor) }
      combination = gathered
    }
    throw Fault.tooFewCustodians
  }

  private func begin(
    _ sealed: SealedRecord, _ custody: CustodyKey?, _ members: [PublicKey]
  ) throws(Fault) -> Combination {
    guard let custody, let capsule = try? Capsule.decode(sealed.capsule),
      SealedRecord.digest(ofBox: sealed.capsule) == self.anchor.capsule
    else { throw .badCapsule }
    let context = OpeningContext(
      network: self.network, request: self.request, capsule: self.anchor.capsule, custody: custody)
    return Combination(
      capsule, of: custody, label: self.anchor.label(network: self.network, custody: custody), context: context,
      members: members)
  }

  /// A share that is wrong convicts its author; the others go on without it.
  private func take(
    _ box: SealedShare, of sealed: SealedRecord, into combination: inout Combination
  ) -> ShareAccusation? {
    guard let bytes = SealedBox.open(box.box, secret: self.secret),
      let share = try? ReleasedShare.decode(bytes), share.member == box.member, combination.take(share) == .wrong
    else { return nil }
    let question = ReleaseQuestion(request: self.request, record: self.anchor.record)
    return ShareAccusation(question: question, capsule: sealed.capsule, share: share)
  }

  /// Opens a sealed record with its key and holds it against its anchor.
  ///
  /// - Throws: `Fault`.
  public static func unlock(
    _ sealed: SealedRecord, _ key: [UInt8]?, _ anchor: RecordAnchor
  ) throws(Fault) -> OpenedRecord {
    guard let key else { throw .wrongKey }
    do throws(RecordFault) { return try sealed.open(key: key, anchored: anchor) } catch { throw .notAnchored(error) }
  }
}
