import Messages
import Primitives
public import Rules
import Signing
import Wire

/// The kinds of transaction that the rules know. Numbers are for ever.
public enum TransactionKind: UInt16, Sendable, CaseIterable {
  /// A registrar registers a practitioner, a patient or a device.
  case registerAccount = 1
  /// A hospital approves a third party; Q approvals register it.
  case approveThirdParty = 2
  /// An account's holder replaces its key.
  case rotateKey = 3
  /// A registrar suspends or reinstates an account.
  case setStatus = 4
  /// A hospital anchors a sealed record.
  case anchorRecord = 5
  /// A patient grants or denies.
  case grantConsent = 6
  /// A patient takes a grant or denial back.
  case revokeConsent = 7
  /// A practitioner or third party asks to read.
  case requestAccess = 8
  /// A practitioner reads in an emergency, without consent.
  case breakGlass = 9
  /// A privacy officer reviews a broken glass.
  case reviewBreakGlass = 10
  /// A hospital states that it released a record's key.
  case recordRelease = 11
  /// A hospital commits to salted digests of its systems' documents.
  case commitDigests = 12
  /// A member proves that another forked its lane.
  case forkEvidence = 13
  /// A patient erases a record.
  case eraseRecord = 14
  /// A member registers the key to which shares of custody keys are sent to it.
  case registerTransportKey = 15
  /// A member deals shares of a custody key.
  case dealShares = 16
  /// A member shows that a dealer gave it a bad share.
  case complainOfDealing = 17
  /// A member states whose shares are good.
  case confirmShares = 18
  /// A reader shows that a custodian signed a wrong share.
  case accuseCustodian = 19
  /// Members change the members: the change, with its approvals.
  case changeMembers = 20
  /// A member shows a tree head that covers the change: the next configuration is opened.
  case openConfiguration = 21
  /// A patient gives feedback on a visit: a rating of the record that a practitioner wrote.
  case rateRecord = 22
  /// A registrar says who is in a care team.
  case setCareTeam = 23
  /// A registrar gives an account whose key is lost another, which counts after a delay.
  case beginRecovery = 24
  /// The holder of an account's key objects to its recovery, or the registrar takes it back.
  case endRecovery = 25
  /// A registrar approves that a record be erased by order of a court; Q approvals erase it.
  case orderErasure = 26
  /// A registrar approves how long records of a category are kept; Q approvals set it.
  case setRetention = 27
  /// A hospital states that it opens records of its own to a practitioner while nothing is ordered.
  case openInPartition = 28
  /// A practitioner lets a key that an EHR holds ask to read in the practitioner's name.
  case openSession = 29
  /// A session ends before its time.
  case closeSession = 30
  /// A registrar wants the shares of the custody key of an epoch dealt anew.
  case refreshCustody = 31
  /// A registrar wants another custody key in the place of the one in use.
  case rotateCustody = 32
  /// A hospital sealed the key of a record of its own anew, to the custody key in use.
  case resealRecord = 33
  /// A hospital destroyed its share of a custody key that is out of use.
  case stateDestruction = 34
  /// A hospital's vault deleted an erased record.
  case stateDeletion = 35
  /// A hospital reports that another's vault does not prove what it should keep.
  case reportVault = 36
  /// The version of the rules that holds from there on, with the approvals of Q registrars.
  case adoptRules = 37
  /// A patient, or the registrar, takes erasures back that are not done yet.
  case keepRecords = 38
}

/// Why a rule refused; the log holds the code, people read the words.
public enum Refusal: UInt16, Sendable, CaseIterable, Error {
  /// The signer's key belongs to no account that may do this.
  case unknownSigner = 16
  /// The transaction needs a person's or registrar's signature, or must not have one.
  case wrongAuthorization = 17
  /// The account exists already.
  case accountExists = 18
  /// No such account.
  case unknownAccount = 19
  /// The account is suspended, revoked, or outside its validity.
  case accountInactive = 20
  /// The account is of a kind that may not do this.
  case wrongRole = 21
  /// The account or the access belongs to another hospital than the lane's.
  case otherHospital = 22
  /// The record is anchored already.
  case recordExists = 23
  /// No such record.
  case unknownRecord = 24
  /// The record identifier is not the digest of its parts.
  case wrongRecordIdentifier = 25
  /// The author's signature is wrong.
  case wrongAuthorSignature = 26
  /// The superseded record is another patient's, or superseded already.
  case wrongAmendment = 27
  /// The record is erased.
  case erased = 28
  /// No consent covers the request.
  case noConsent = 29
  /// A denial covers the request.
  case denied = 30
  /// A consent covers the request but its window is not open.
  case outsideWindow = 31
  /// A consent covers the request but its uses are spent.
  case usesSpent = 32
  /// No such consent, or it is another's.
  case unknownConsent = 33
  /// The consent was revoked before.
  case alreadyRevoked = 34
  /// The time window is empty or inverted.
  case badWindow = 35
  /// The limit for breaking the glass is reached.
  case breakGlassLimit = 36
  /// The account is too young to break the glass.
  case accountTooYoung = 37
  /// No such access, or nothing to review.
  case unknownAccess = 38
  /// The evidence proves nothing.
  case badEvidence = 39
  /// The hospital approved before.
  case alreadyApproved = 40
  /// The key is in use.
  case keyInUse = 41
  /// The hospital is not the author's.
  case notAuthor = 42
  /// The making of the custody key awaits something else, or this member had its turn.
  case notAwaited = 43
  /// The change is of another configuration, or one is under way.
  case otherConfiguration = 44
  /// Too few members approve the change, or an approval is not signed by a member's registrar.
  case tooFewApprovals = 45
  /// The change makes no sense for these members.
  case unsoundChange = 46
  /// No change waits for a tree head.
  case nothingPending = 47
  /// The change was to be executed earlier.
  case changeExpired = 48
  /// The hospital's own system wrote the record, no practitioner.
  case noAuthor = 49
  /// Without the member too few custodians would be left to hand the custody key on.
  case custodianNeeded = 50
  /// Who is to act for a patient is no single other person's account, or a registrar made more than a guardian.
  case unsoundProxy = 51
  /// A proxy's consent goes beyond what the proxy may do.
  case beyondPower = 52
  /// A recovery of the account is under way.
  case recoveryUnderWay = 53
  /// No recovery of the account is under way.
  case noRecovery = 54
  /// The record is to be kept longer.
  case toBeKept = 55
  /// The opening in a partition is in the history already.
  case alreadyOpened = 56
  /// No such session, or it is over.
  case unknownSession = 57
  /// A sensitive record is asked for by a session's key.
  case ownKeyNeeded = 58
  /// The record is not erased.
  case notErased = 59
  /// The record is larger than any can be.
  case tooLarge = 60
  /// As many consents stand as are looked at.
  case tooManyConsents = 64
  /// The reader was refused too often for this patient's records today.
  case tooManyRequests = 65
  /// A guardian denies what another guardian may read.
  case otherGuardian = 66
  /// The record's erasure is under way.
  case erasureUnderWay = 67
  /// No erasure is under way that could be taken back.
  case noErasure = 68
  /// The rules hold already, or are older than those that do.
  case unsoundRules = 69
  /// A share that is needed would leave with the member.
  case shareNeeded = 70
  /// Records would stay under the custody key for good.
  case recordsLeft = 71

  /// The code.
  public var code: OutcomeCode { OutcomeCode(self.rawValue) }

  /// What happened, and what to do.
  public var explanation: String {
    switch self {
    case .unknownSigner:
      "the key that signed may not do this: it is no account's, or not that of the account which may; use the current "
        + "key of that one"
    case .wrongAuthorization: "this kind of transaction needs another signer"
    case .accountExists: "the account is registered already"
    case .unknownAccount: "there is no such account, or it is of another kind than is needed; check its identifier"
    case .accountInactive: "the account is suspended, revoked or outside its validity; ask its registrar"
    case .wrongRole: "an account of this kind may not do that"
    case .otherHospital: "it belongs to another hospital than this node's: do it at a node of that hospital"
    case .recordExists: "the record is anchored already"
    case .unknownRecord: "there is no such record, or it is another patient's"
    case .wrongRecordIdentifier: "the record identifier does not follow from network, hospital, account and hash-lock"
    case .wrongAuthorSignature: "the author's signature is wrong"
    case .wrongAmendment: "the superseded record is another patient's or was superseded before"
    case .erased: "the record is erased"
    case .noConsent: "no consent covers this; ask the patient for one"
    case .denied: "the patient denied this"
    case .outsideWindow:
      "the consent's window is not open: it begins later, a guardian's three days after the desk's word, or is over; "
        + "see consilium consent list"
    case .usesSpent: "the consent's uses are spent; ask the patient for another"
    case .unknownConsent: "there is no such consent of this patient"
    case .alreadyRevoked: "the consent was revoked before"
    case .badWindow: "the time is over already, ends before it begins, or is longer than it may be"
    case .breakGlassLimit: "the limit for breaking the glass is reached; ask the privacy officer"
    case .accountTooYoung:
      "the account is too young to break the glass: it may once it is as old as the consortium's rules ask (consilium "
        + "rules show); until then ask a colleague whose account is older, or the patient for a consent"
    case .unknownAccess: "there is no such access to review"
    case .badEvidence: "the evidence proves nothing"
    case .alreadyApproved: "the hospital approved this before"
    case .keyInUse: "the key is in use by another account"
    case .notAuthor: "only the hospital that anchored the record may do that"
    case .otherConfiguration:
      "the change is of another configuration, or another one is under way; see consilium member list"
    case .tooFewApprovals: "too few members' registrars approve the change; gather more with consilium member approve"
    case .unsoundChange: "the change makes no sense for these members: see consilium member list"
    case .custodianNeeded:
      "without that member too few would be left to hand the custody key on: let others join first, and wait until the "
        + "key went over to them (consilium status)"
    case .unsoundProxy:
      "who acts for a patient is one other person's account; a registrar can make such a guardian and give nothing else"
    case .beyondPower:
      "that goes beyond what the proxy may do: narrow records, purposes or time; a proxy makes no proxy"
    case .recoveryUnderWay: "a recovery of the account is under way; its holder can object, its registrar take it back"
    case .noRecovery: "no recovery of the account is under way"
    case .alreadyOpened: "the opening is in the patient's history already"
    case .unknownSession: "there is no such session, or it is over"
    case .ownKeyNeeded: "a sensitive record is read with the practitioner's own key, not by an EHR's session"
    case .toBeKept: "the record is to be kept longer: see consilium record retention"
    case .noAuthor: "the hospital's system wrote that record: feedback is about what a practitioner wrote"
    case .changeExpired: "the change was valid until earlier; propose it again and have it approved again"
    case .nothingPending: "no change of members waits for a tree head"
    case .notAwaited: "the making of the custody key does not await that of this member now"
    case .notErased: "the record is not erased"
    case .tooManyConsents: "as many consents stand as may; take some back first"
    case .tooManyRequests: "this reader was refused too often for this patient's records today; try again tomorrow"
    case .otherGuardian:
      "who acts for a patient cannot shut out another who does: both go on seeing; the patient, or the registrar of "
        + "the patient's hospital, can end what either may do"
    case .erasureUnderWay: "the record is to be erased already; until then that can be taken back"
    case .noErasure: "nothing of that is to be erased that could be taken back: see consilium record list"
    case .unsoundRules: "these rules hold already, or others were adopted meanwhile: see consilium rules show"
    case .shareNeeded:
      "with that member leaves a share of a custody key that is needed: records under it would open for no other "
        + "hospital any more; wait until shares are dealt again, and records sealed to the newest key (consilium "
        + "custody show); or, where the share is lost already, propose the change with --lose-records and have that "
        + "approved"
    case .recordsLeft:
      "records would stay under that custody key for good: their hospital left, or got other keys since, or the key "
        + "opens nothing more; keep the key (consilium custody refresh), or have a quorum's registrars each give "
        + "consilium custody rotate --leave-records"
    case .tooLarge: "the record is larger than \(RecordPart.sizeBytesMax) bytes of ciphertext"
    }
  }
}

extension OutcomeCode {
  /// What an outcome means, in words.
  public var explanation: String {
    switch self {
    case .applied: "applied"
    case .duplicate: "it was executed before"
    case .expired: "its validUntil is past; sign it again"
    case .tooFar: "its validUntil is too far ahead; choose an earlier one"
    case .unknownKind: "no rule knows its kind"
    case .malformed: "its payload is not what its kind needs"
    default: Refusal(rawValue: self.number)?.explanation ?? "code \(self.number)"
    }
  }
}

/// Purposes of use (HL7 v3 PurposeOfUse), as bits.
public struct Purposes: OptionSet, Sendable, Hashable {
  /// The bits.
  public let rawValue: UInt16
  /// The purposes of `rawValue`.
  public init(rawValue: UInt16) { self.rawValue = rawValue }
  /// Treatment.
  public static let treatment = Purposes(rawValue: 1)
  /// Emergency treatment.
  public static let emergency = Purposes(rawValue: 2)
  /// Payment.
  public static let payment = Purposes(rawValue: 4)
  /// Research.
  public static let research = Purposes(rawValue: 8)
  /// Public health.
  public static let publicHealth = Purposes(rawValue: 16)
  /// Patient's own request.
  public static let patient = Purposes(rawValue: 32)
  /// Healthcare operations, audits among them.
  public static let operations = Purposes(rawValue: 64)
  /// Every purpose.
  public static let all = Purposes(rawValue: 127)

  /// The HL7 code of each purpose.
  public static let codes: [(code: String, purpose: Purposes)] = [
    ("TREAT", .treatment), ("ETREAT", .emergency), ("HPAYMT", .payment), ("HRESCH", .research),
    ("PUBHLTH", .publicHealth), ("PATRQT", .patient), ("HOPERAT", .operations),
  ]
  /// The purpose of an HL7 code.
  public init?(code: String) {
    guard let found = Self.codes.first(where: { $0.code == code }) else { return nil }
    self = found.purpose
  }
  /// The codes of these purposes.
  public var codes: [String] { Self.codes.filter { self.contains($0.purpose) }.map(\.code) }
}

/// What a record is about: coarse enough to tell outsiders little, fine enough to consent by.
public enum RecordCategory: UInt8, Sendable, Hashable, CaseIterable {
  /// Everything else.
  case other = 0
  /// Demographics.
  case demographics = 1
  /// Visits and plans.
  case encounter = 2
  /// Problems and diagnoses.
  case condition = 3
  /// Allergies and intolerances.
  case allergy = 4
  /// Medicines.
  case medication = 5
  /// Observations and reports.
  case observation = 6
  /// Immunisations.
  case immunization = 7
  /// Procedures.
  case procedure = 8
  /// Images and documents.
  case document = 9
  /// Claims and payments.
  case financial = 10
  /// A whole bundle of one patient.
  case bundle = 11
  /// Psychiatry, genetics, HIV and the like: fresh authentication is asked.
  case sensitive = 12

  /// The category's name in commands and pages.
  public var name: String { "\(self)" }
  /// The category of a name.
  public init?(name: String) {
    guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = found
  }
}
