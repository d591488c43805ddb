public import Primitives

/// What the ledger has of a resource, and what is on its way there: kept beside the resource, so that neither a restart
/// nor a second writer makes a second record of it.
public struct AnchorNote: Sendable, Hashable {
  /// The record that is the resource's current one.
  public struct Anchored: Sendable, Hashable {
    /// The record.
    public let record: Digest
    /// The account under which it stands.
    public let account: Digest
    /// The patient here to whom that account belonged.
    public let patient: String
    /// The version that it holds; 0 where the store has lost which that was.
    public let version: UInt64
    /// Whether it says that the resource is no longer so: it was deleted here, or is another patient's.
    public let isWithdrawal: Bool
    /// Whether it holds a Patient whom it links to the account under which it stands; false also where the store did
    /// not lose it, and so knows.
    public let isLinked: Bool
    /// Whether it was sealed as sensitive because of what bears it, whatever it says itself; nil where that is not
    /// known.
    public let isSensitive: Bool?

    /// A record of given parts.
    public init(
      record: Digest, account: Digest, patient: String, version: UInt64, isWithdrawal: Bool, isLinked: Bool = false,
      isSensitive: Bool? = nil
    ) {
      (self.record, self.account, self.patient) = (record, account, patient)
      (self.version, self.isWithdrawal, self.isLinked) = (version, isWithdrawal, isLinked)
      self.isSensitive = isSensitive
    }
  }

  /// A sealed record that was or will be submitted.
  public struct Draft: Sendable, Hashable {
    /// What it will be once it is anchored.
    public let goal: Anchored
    /// All that is submitted, as the anchorer made it.
    public var bytes: [UInt8]

    /// A draft of given parts.
    public init(goal: Anchored, bytes: [UInt8]) { (self.goal, self.bytes) = (goal, bytes) }
  }

  /// What the ledger does not take.
  public struct Refused: Sendable, Hashable {
    /// Under which account.
    public let account: Digest
    /// Which version.
    public let version: UInt64
    /// Why.
    public let reason: String

    /// A refusal of given parts.
    public init(account: Digest, version: UInt64, reason: String) {
      (self.account, self.version, self.reason) = (account, version, reason)
    }
  }

  /// `Type/id`.
  public let name: String
  /// What the ledger has.
  public var anchored: Anchored?
  /// What is on its way.
  public var draft: Draft?
  /// What was refused; it is not tried again until the resource or the link changes.
  public var refused: Refused?

  /// Nothing of a resource.
  public init(name: String) { self.name = name }
}

/// How a record stands on the ledger.
public enum RecordStanding: Sendable, Hashable {
  /// It is its resource's latest.
  case current
  /// Another supersedes it.
  case superseded
  /// It is erased.
  case erased
}

/// The record with which a hospital's own system went on.
public struct RecordSuccessor: Sendable, Hashable {
  /// The record.
  public let record: Digest
  /// When it was anchored.
  public let time: Timestamp

  /// A record with its time.
  public init(record: Digest, time: Timestamp) { (self.record, self.time) = (record, time) }
}

/// A resource that is to be sealed.
public struct SealableResource: Sendable, Hashable {
  /// Its canonical bytes.
  public let body: [UInt8]
  /// The record that it amends; nil where it is new.
  public let supersedes: Digest?
  /// Whether it is of the sensitive category, whatever it says itself.
  public let isSensitive: Bool

  /// A resource with what it amends.
  public init(body: [UInt8], supersedes: Digest?, isSensitive: Bool = false) {
    (self.body, self.supersedes, self.isSensitive) = (body, supersedes, isSensitive)
  }
}

/// A resource sealed for its patient's account, ready to be submitted.
public struct SealedDraft: Sendable, Hashable {
  /// The record that it will be.
  public let record: Digest
  /// All that is submitted.
  public let bytes: [UInt8]

  /// A draft of given parts.
  public init(record: Digest, bytes: [UInt8]) { (self.record, self.bytes) = (record, bytes) }
}

/// What sealing a resource came to.
public enum Sealing: Sendable, Hashable {
  /// A draft.
  case sealed(SealedDraft)
  /// It can never be sealed, and why.
  case refused(String)
}

/// What became of a draft.
public enum AnchorOutcome: Sendable, Hashable {
  /// It is on the ledger, now or since before.
  case anchored
  /// The ledger refused it, and why.
  case refused(String)
  /// It did not leave this hospital, and why.
  case unsent(String)
  /// It may be anchored yet, or not, and why that is not known.
  case waiting(String)
  /// It is sealed to a custody key that went out of use: it is submitted no more.
  case stale
}

/// What the ledger says of content that was sent as it is.
public struct Attachment: Sendable {
  /// Whose it is.
  public let account: Digest
  /// Whether it is of the category `sensitive`.
  public let isSensitive: Bool

  /// One of given parts.
  public init(account: Digest, isSensitive: Bool) { (self.account, self.isSensitive) = (account, isSensitive) }
}

/// Puts resources on the ledger.
public protocol RecordAnchoring: Sendable {
  /// How long a transaction can be executed after it was made.
  var lifeMilliseconds: UInt64 { get }
  /// Why the ledger takes no record of an account from this hospital; nil where it does. Nothing is submitted.
  func refusal(of account: Digest) async -> String?
  /// How a record stands; nil where there is none. Nothing is submitted.
  func standing(of record: Digest) async -> RecordStanding?
  /// When a record is erased, as its patient asked and can still take back; nil where nothing is to happen.
  func erasureDue(of record: Digest) async -> Timestamp?
  /// The latest of the records that supersede one, one after another; nil where that is not current, or another than
  /// this hospital's own system made any of them. Nothing is submitted.
  func successor(of record: Digest) async -> RecordSuccessor?
  /// Of a record that this hospital's own system anchored as a document, or as something sensitive; nil of every other.
  func attachment(_ record: Digest) async -> Attachment?
  /// Seals resources for an account, each over the record that it amends. Nothing leaves this hospital.
  func seal(_ resources: [SealableResource], of account: Digest) async throws -> [Sealing]
  /// Stores, copies and anchors drafts. The same draft, submitted again, makes nothing twice.
  func submit(_ drafts: [SealedDraft]) async -> [AnchorOutcome]
}
