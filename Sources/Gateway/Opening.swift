public import HealthRecords
internal import Messages
public import Primitives
public import Signing
internal import Threshold
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

  /// Asks until there is the record's key: `ask` gets an answer without the shares of members that are settled, or nil
  /// where a moment may mend it; `accuse` hears of wrong shares, with their proof.
  ///
  /// - Throws: `Fault`, and whatever `ask` and `accuse` throw.
  public func key(
    members: [PublicKey], ask: (ReplicaSet) async throws -> ReleaseAnswer?,
    accuse: (ShareAccusation) async throws -> Void
  ) async throws -> ReleasedKey {
    var combination = ReaderCombination(
      network: self.network, request: self.request, anchor: self.anchor, secret: self.secret, members: members)
    for _ in 0..<Self.attemptsMax {
      guard let answer = try await ask(combination.settled) else {
        try await Task.sleep(for: Self.pause)
        continue
      }
      if answer.hospitalKey != nil { return try ReleasedKey(answer, self.anchor, secret: self.secret) }
      let accusations: [ShareAccusation]
      do throws(ReaderCombination.BadCapsule) { accusations = try combination.take(answer) } catch {
        throw Fault.badCapsule
      }
      for accusation in accusations { try await accuse(accusation) }
      if combination.isComplete { return try ReleasedKey(answer, self.anchor, key: combination.key) }
    }
    throw Fault.tooFewCustodians
  }
}

/// A record's key, as it was released, with what the answer carried of the record.
public struct ReleasedKey: Sendable {
  /// The record's anchor.
  public let anchor: RecordAnchor
  private let answer: ReleaseAnswer
  private let key: [UInt8]

  /// What a hospital itself released, with the secret half of the request's ephemeral key.
  ///
  /// - Throws: `Opening.Fault.wrongKey` where it is another request's.
  public init(_ answer: ReleaseAnswer, _ anchor: RecordAnchor, secret: [UInt8]) throws(Opening.Fault) {
    let key = answer.hospitalKey.flatMap { SealedRecord.key(in: $0.key, of: anchor.record, secret: secret) }
    try self.init(answer, anchor, key: key)
  }

  /// What the patient has: a record's boxes, one of which the patient's own secret opens; nil where it does not.
  public init?(_ head: SealedHead, _ anchor: RecordAnchor, ownerSecret: [UInt8]) {
    guard let key = SealedRecord.key(in: head.boxes.patientCopy, of: anchor.record, secret: ownerSecret) else {
      return nil
    }
    self.answer = ReleaseAnswer(head: head, chunks: [])
    (self.anchor, self.key) = (anchor, key)
  }

  init(_ answer: ReleaseAnswer, _ anchor: RecordAnchor, key: [UInt8]?) throws(Opening.Fault) {
    guard let key else { throw .wrongKey }
    (self.answer, self.anchor, self.key) = (answer, anchor, key)
  }

  /// Whether the record is longer than what is handled as a whole.
  public var isLong: Bool { self.answer.head.count > SealedRecord.chunksMax }

  /// Opens the record part by part: those that did not come with the answer are asked of `part`, and content goes to
  /// `write`. ⚑ What was written is what was anchored only once this returned, with the salt.
  ///
  /// - Throws: `Opening.Fault`, and whatever `part` and `write` throw.
  public func open(
    part: (_ start: Int) async throws -> RecordPart, write: ([UInt8]) async throws -> Void
  ) async throws -> [UInt8] {
    var opening = ContentOpening(key: self.key, anchored: self.anchor)
    var place = 0
    while place < self.answer.head.count {
      let chunks = self.answer.chunks.isEmpty ? try await part(place).chunks : self.answer.chunks
      guard !chunks.isEmpty else { throw Opening.Fault.notAnchored(.address) }
      var content: [UInt8] = []
      do throws(RecordFault) { for chunk in chunks { content += try opening.open(chunk) } } catch {
        throw Opening.Fault.notAnchored(error)
      }
      place += chunks.count
      if !content.isEmpty { try await write(content) }
    }
    do throws(RecordFault) { return try opening.finish() } catch { throw Opening.Fault.notAnchored(error) }
  }

  /// The record as a whole, which is not long.
  ///
  /// - Throws: `Opening.Fault`, and whatever `part` throws.
  public func open(part: (_ start: Int) async throws -> RecordPart) async throws -> OpenedRecord {
    var content: [UInt8] = []
    let salt = try await self.open(part: part) { content += $0 }
    return OpenedRecord(salt: salt, canonical: content)
  }
}
