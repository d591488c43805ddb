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
    var refusal = Refusal.noConsent
    var granting: (identifier: Digest, leaf: UInt64)?
    for (identifier, entry) in consents {
      let grant = entry.grant
      guard self.isStanding(entry, among: consents), self.isAbout(grant, question),
        self.addresses(grant.grantee, question)
      else { continue }
      let isOpen = grant.from <= question.time && (question.time <= grant.until || planted(.consentNeverEnds))
      if grant.isDenial {
        if isOpen, !planted(.denialLoses) { return .failure(.denied) }
        continue
      }
      guard grant.actions.contains(.read), !self.isProxyDenied(entry, question, among: consents) else { continue }
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

  /// ⚑ Not revoked, and nor is what its giver acted by: what a proxy gave ends with the proxy's power.
  static func isStanding(_ entry: ConsentEntry, among consents: Consents) -> Bool {
    guard entry.revoked == nil || planted(.revokedConsentCounts) else { return false }
    guard case .proxy(let power) = entry.origin, !planted(.proxyOutlivesPower) else { return true }
    return consents.first { $0.identifier == power }?.entry.revoked == nil
  }

  private static func isAbout(_ grant: ConsentGrant, _ question: Question) -> Bool {
    (grant.scope.covers(question.record, of: question.category) || planted(.scopeIgnored))
      && (grant.purposes.contains(question.purpose) || planted(.purposeIgnored))
  }

  /// ⚑ Whether a proxy gave it of what the proxy is denied by now.
  private static func isProxyDenied(
    _ entry: ConsentEntry, _ question: Question, among consents: Consents
  ) -> Bool {
    guard case .proxy(let power) = entry.origin,
      let proxy = consents.first(where: { $0.identifier == power })?.entry.grant.grantee
    else { return false }
    return consents.contains { _, other in
      let grant = other.grant
      return grant.isDenial && grant.grantee == proxy && self.isStanding(other, among: consents)
        && self.isAbout(grant, question) && grant.from <= question.time && question.time <= grant.until
    }
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
