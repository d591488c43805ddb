public import Messages
internal import Primitives
public import Signing
public import Rules
public import HealthRecords

/// What the API says when it refuses: what happened, why, what to do.
public struct RefusalView: Codable, Sendable {
  /// A stable word.
  public var error: String
  /// What happened and why.
  public var message: String
  /// What to do.
  public var remedy: String

  /// A refusal of given parts.
  public init(error: String, message: String, remedy: String) {
    (self.error, self.message, self.remedy) = (error, message, remedy)
  }
}

/// Why a service of the node refuses.
public enum ServiceRefusal: Error, Sendable, Hashable {
  /// The bytes are no transaction, or one for another hospital, or wrongly signed.
  case badTransaction(index: Int, reason: String)
  /// Too many requests are under way, or their bodies take too much memory.
  case busy
  /// Too many transactions wait.
  case full
  /// It is not ordered in time, and why as far as the node can tell; it may still be.
  case notOrderedYet(why: String)
  /// There is no such thing here.
  case notFound(String)
  /// It is there, but not under a stable checkpoint yet.
  case notStableYet
  /// The log entry is older than the snapshot from which this node's ledger began.
  case notKept(UInt64)
  /// What was sent is wrong.
  case badRequest(String)
  /// It is too large.
  case tooLarge(max: Int)
  /// The disk has no room for it beside what the ledger needs.
  case noRoom(String)
  /// The asker did not prove who it is.
  case unauthorized(String)
  /// The request has no token that is good, where one is needed.
  case noToken(String)
  /// The key that signed is no account's current one, and not the registrar's of this hospital.
  case unknownSigner(index: Int)
  /// Too much that the same key signed was refused by the ledger lately.
  case tooManyRefused
  /// A page of another site asks in somebody's browser.
  case stranger(String)
  /// The asker's account is suspended, revoked or over.
  case inactive
  /// The asker does not act for that patient.
  case noProxy
  /// Too few vaults took a copy.
  case tooFewVaults
  /// The node does not vote, and writes no lane.
  case noMember
  /// This hospital's lane is frozen: two nodes wrote it with one key.
  case laneFrozen
  /// Members adopted this version of the rules, and the node's program does not know it.
  case rulesUnknown(UInt16)
  /// The record's key is not released.
  case release(ReleaseRefusal)
  /// Nothing is ordered, and this hospital may not open what was asked for by itself.
  case notOpened(OutcomeCode)
  /// It cannot be noted who is shown something, and so nothing is.
  case notNoted(String)
  /// The account belongs to another hospital than this node's: who and where, in words, and the hospital in words.
  case otherHospital(String, remedy: String)
  /// The node itself failed.
  case failed(String)

  /// Why a key that signs for nobody at a hospital's node writes nothing: it may be another hospital's registrar's.
  public static func unknownSigner(
    _ key: PublicKey, index: Int, at member: Member, in configuration: Configuration
  ) -> Self {
    guard let other = configuration.members.first(where: { $0.registrarKey == key }), other.id != member.id else {
      return .unknownSigner(index: index)
    }
    return .otherHospital(
      "transaction \(index): it is signed by the registrar of \(other.name) (member \(other.id.number)), and this node "
        + "is that of \(member.name), so nothing was written",
      remedy: "sign with this hospital's registrar key, or send it to that hospital's node")
  }

  /// Whether nothing of what was asked is on its way into the ledger.
  var isUnsent: Bool {
    switch self {
    case .badTransaction, .badRequest, .busy, .full, .inactive, .laneFrozen, .noMember, .noRoom, .notFound,
      .noToken,
      .notNoted, .otherHospital, .rulesUnknown, .stranger, .tooFewVaults, .tooLarge, .tooManyRefused, .unknownSigner:
      true
    case .failed, .noProxy, .notKept, .notOpened, .notOrderedYet, .notStableYet, .release, .unauthorized: false
    }
  }
}

extension ServiceRefusal: CustomStringConvertible {
  /// What happened, in words.
  public var description: String {
    switch self {
    case .badTransaction(let index, let reason): "transaction \(index): \(reason)"
    case .busy: "too many requests are under way"
    case .full: "too many transactions wait"
    case .notOrderedYet(let why): "it is not ordered yet: \(why)"
    case .notFound(let what): "there is no such \(what) here"
    case .notStableYet: "no signed tree head covers it yet"
    case .notKept(let leaf): "log entry \(leaf) is older than this node's ledger"
    case .badRequest(let reason), .noRoom(let reason), .unauthorized(let reason), .noToken(let reason),
      .failed(let reason):
      reason
    case .rulesUnknown(let version):
      "the ledger goes on under version \(version) of the rules, which this node's program does not know"
    case .tooLarge(let max): "it is over \(max) bytes"
    case .unknownSigner(let index): "transaction \(index): the key that signed it is no account's current one here"
    case .tooManyRefused: "the ledger refused too much that this key signed in the last minutes"
    case .stranger(let name): "pages of \(name) may not use this server"
    case .inactive: "the account is suspended, revoked or over"
    case .noProxy: "nobody has said that the account may act for that one, or it is over"
    case .tooFewVaults: "too few hospitals took an encrypted copy"
    case .noMember: "this node does not vote, and so writes nothing on the ledger"
    case .laneFrozen: "this hospital's lane is frozen: two nodes signed with its key"
    case .release(let reason): "\(reason.explanation)"
    case .notOpened(let outcome): "nothing is ordered now, and it is not opened: \(outcome.explanation)"
    case .notNoted(let reason): "it cannot be noted who was shown it (\(reason))"
    case .otherHospital(let reason, _): reason
    }
  }
}
