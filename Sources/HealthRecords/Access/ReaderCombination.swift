internal import Messages
public import Primitives
public import Signing
internal import Threshold
internal import Wire

/// The reader's side of a granted request: shares come as its hospital gathers them, those that are wrong convict
/// their authors, and enough right ones give the key.
public struct ReaderCombination: Sendable {
  /// The capsule that came is not the one that was anchored.
  public struct BadCapsule: Error, Sendable, Hashable {}

  private let network: Digest
  private let request: Digest
  private let anchor: RecordAnchor
  private let secret: [UInt8]
  private let members: [PublicKey]
  private var context: OpeningContext?
  private var combination: Combination?

  /// The opening of the record of an anchor for a granted request, with the secret half of its ephemeral key;
  /// `members` are the members' keys in order.
  public init(network: Digest, request: Digest, anchor: RecordAnchor, secret: [UInt8], members: [PublicKey]) {
    (self.network, self.request, self.anchor) = (network, request, anchor)
    (self.secret, self.members) = (secret, members)
  }

  /// Those whose shares need not be asked for again: right, or proven wrong.
  public var settled: ReplicaSet { self.combination?.settled ?? ReplicaSet() }
  /// Whether enough right shares are there.
  public var isComplete: Bool { self.combination?.isComplete ?? false }
  /// The record's key; nil before enough right shares are there, and where the capsule's maker lied.
  public var key: [UInt8]? { self.combination?.key }

  /// Takes the shares of an answer; the proofs against the authors of wrong ones.
  ///
  /// Once the shares of the custody key were dealt again, those from before do not fit, and it begins again.
  ///
  /// - Throws: `BadCapsule` where the capsule is not the anchored one, so that no share can be judged.
  public mutating func take(_ answer: ReleaseAnswer) throws(BadCapsule) -> [ShareAccusation] {
    let bytes = answer.head.boxes.capsule
    guard let custody = answer.custody, let capsule = try? Capsule.decode(bytes),
      SealedRecord.digest(ofBox: bytes) == self.anchor.capsule
    else { throw BadCapsule() }
    let context = OpeningContext(
      network: self.network, request: self.request, capsule: self.anchor.capsule, custody: custody)
    if self.context != context { self.combination = nil }
    self.context = context
    var combination =
      self.combination
      ?? Combination(
        capsule, of: custody, label: self.anchor.label(network: self.network, custody: custody), context: context,
        members: self.members)
    let question = ReleaseQuestion(request: self.request, record: self.anchor.record)
    var accusations: [ShareAccusation] = []
    for box in answer.shares {
      guard let opened = SealedBox.open(box.box, secret: self.secret),
        let share = try? ReleasedShare.decode(opened), share.member == box.member,
        combination.take(share) == .wrong
      else { continue }
      accusations.append(ShareAccusation(question: question, capsule: bytes, share: share))
    }
    self.combination = combination
    return accusations
  }
}
