public import Primitives
internal import Rules

/// The judgement of one request: a pure function of what the state holds.
public enum AccessPolicy {
  /// What is asked for one record.
  public struct Question: Sendable {
    /// The reader's account identifier.
    public let reader: Digest
    /// The reader's account.
    public let account: Account
    /// Of the care teams that consents speak to, those that the reader is in.
    public let teams: Set<Digest>
    /// The record.
    public let record: Digest
    /// Its category.
    public let category: RecordCategory
    /// What for.
    public let purpose: Purposes
    /// When.
    public let time: Timestamp

    /// A question of given parts.
    public init(
      reader: Digest, account: Account, teams: Set<Digest> = [], record: Digest, category: RecordCategory,
      purpose: Purposes, time: Timestamp
    ) {
      (self.reader, self.account, self.teams, self.record) = (reader, account, teams, record)
      (self.category, self.purpose, self.time) = (category, purpose, time)
    }
  }

  /// A patient's consents by their identifiers.
  public typealias Consents = [(identifier: Digest, entry: ConsentEntry)]

  /// The consent that grants, or why none does. A denial wins; of several grants the oldest counts.
  public static func judge(_ question: Question, consents: Consents) -> Result<Digest, Refusal> {
    self.judge(question, StandingConsents(consents, for: question.purpose, at: question.time))
  }

  /// The same for consents that were looked through for the question's purpose and time.
  static func judge(_ question: Question, _ consents: StandingConsents) -> Result<Digest, Refusal> {
    var refusal = Refusal.noConsent
    var granting: (identifier: Digest, leaf: UInt64)?
    for (identifier, entry) in consents.all {
      let grant = entry.grant
      guard grant.scope.covers(question.record, of: question.category) || planted(.scopeIgnored),
        grant.purposes.contains(question.purpose) || planted(.purposeIgnored),
        self.addresses(grant.grantee, question)
      else { continue }
      let isOpen = grant.from <= question.time && (question.time <= grant.until || planted(.consentNeverEnds))
      if grant.isDenial {
        if isOpen, !planted(.denialLoses), !consents.isGuardians(entry, question) { return .failure(.denied) }
        continue
      }
      guard grant.actions.contains(.read), !consents.isProxyDenied(entry, question.record, question.category) else {
        continue
      }
      guard isOpen else {
        if refusal == .noConsent { refusal = .outsideWindow }
        continue
      }
      guard entry.uses < grant.usesMax ?? .max else {
        refusal = .usesSpent
        continue
      }
      if granting.map({ entry.leaf < $0.leaf }) ?? true { granting = (identifier, entry.leaf) }
    }
    return granting.map { .success($0.identifier) } ?? .failure(refusal)
  }

  private static func addresses(_ grantee: Grantee, _ question: Question) -> Bool {
    let isPractitioner = question.account.kind == .practitioner
    return switch grantee {
    case .account(let account): account == question.reader
    case .hospital(let hospital): isPractitioner && question.account.hospital == hospital
    case .role(let role, let hospital):
      isPractitioner && question.account.hospital == hospital && question.account.role == role
    case .careTeam(let team): isPractitioner && question.teams.contains(team)
    }
  }
}

/// A patient's consents that stand, with what proxies are denied for one purpose at one time: looked through once for
/// all records of a request, so that many consents cost no more than their number.
struct StandingConsents {
  /// What is denied to one proxy.
  private struct Denied {
    var categories: UInt32 = 0
    var records: Set<Digest> = []
  }

  /// ⚑ Not revoked, and nor is what its giver acted by: what a proxy gave ends with the proxy's power.
  let all: AccessPolicy.Consents
  private var powers: [Digest: Grantee] = [:]
  private var denied: [Grantee: Denied] = [:]
  /// The consents by which somebody acts for the patient now, where none of them can shut out another.
  private var guardians: [ConsentGrant] = []

  /// Looks through consents; `guardiansAlike` where nobody who acts for a patient can shut out another who does.
  init(
    _ consents: AccessPolicy.Consents, for purpose: Purposes, at time: Timestamp, guardiansAlike isAlike: Bool = false
  ) {
    var powers: [Digest: Grantee] = [:]
    for (identifier, entry) in consents where entry.revoked == nil && entry.grant.actions.contains(.share) {
      powers[identifier] = entry.grant.grantee
    }
    self.all = consents.filter { _, entry in
      guard entry.revoked == nil || planted(.revokedConsentCounts) else { return false }
      guard case .proxy(let power) = entry.origin, !planted(.proxyOutlivesPower) else { return true }
      return powers[power] != nil
    }
    self.powers = powers
    if isAlike, !planted(.guardianShutOut) {
      self.guardians = self.all.map(\.entry.grant).filter {
        $0.actions.isSuperset(of: [.read, .share]) && !$0.isDenial && $0.from <= time && time <= $0.until
          && $0.purposes.contains(purpose)
      }
    }
    for (_, entry) in self.all {
      let grant = entry.grant
      if isAlike, case .proxy = entry.origin, !planted(.guardianShutOut) { continue }
      guard grant.isDenial, case .account = grant.grantee, grant.purposes.contains(purpose), grant.from <= time,
        time <= grant.until
      else { continue }
      switch grant.scope {
      case .all: self.denied[grant.grantee, default: Denied()].categories = .max
      case .categories(let bits): self.denied[grant.grantee, default: Denied()].categories |= bits
      case .records(let records): self.denied[grant.grantee, default: Denied()].records.formUnion(records)
      }
    }
  }

  /// ⚑ Whether somebody who acts for the patient denies, by whatever name, what another may read who acts for the
  /// patient too: of two parents neither shuts out the other by himself.
  func isGuardians(_ denial: ConsentEntry, _ question: AccessPolicy.Question) -> Bool {
    guard case .proxy = denial.origin else { return false }
    return self.guardians.contains {
      $0.grantee == .account(question.reader) && $0.scope.covers(question.record, of: question.category)
    }
  }

  /// ⚑ Whether a proxy gave it of what the proxy is denied by now.
  func isProxyDenied(_ entry: ConsentEntry, _ record: Digest, _ category: RecordCategory) -> Bool {
    guard case .proxy(let power) = entry.origin, let proxy = self.powers[power], let denied = self.denied[proxy] else {
      return false
    }
    return denied.categories & (1 << UInt32(category.rawValue)) != 0 || denied.records.contains(record)
  }
}
