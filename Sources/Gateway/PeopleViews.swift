public import HealthRecords
internal import Ledger
public import Messages
public import Primitives
internal import Signing
internal import Wire

/// An account.
public struct AccountView: Codable, Sendable {
  /// Its identifier.
  public var account: String
  /// What it is.
  public var kind: String
  /// The hospital that registered it.
  public var hospital: UInt32
  /// Its signing key now.
  public var key: String
  /// Its X25519 key.
  public var sealingKey: String
  /// Its role's number.
  public var role: UInt32
  /// Whether it may act.
  public var status: String
  /// Until when it may act.
  public var validUntil: String
  /// Since when it is registered.
  public var since: String
  /// How often patients gave a practitioner each rating, 1 to 5.
  public var ratings: [UInt64]
  /// Another key that takes over unless the holder of this one objects; nil where none is to.
  public var recovery: RecoveryView?

  /// An account's view.
  public init(_ identifier: Digest, _ account: Account, ratings: RatingCounts, recovery: PendingRecovery? = nil) {
    self.recovery = recovery.map { RecoveryView($0) }
    (self.since, self.ratings) = (account.since.description, ratings.counts)
    self.account = identifier.description
    self.kind = "\(account.kind)"
    self.hospital = account.hospital.number
    self.key = account.key.description
    self.sealingKey = account.sealingKey.description
    self.role = account.role
    self.status = "\(account.status)"
    self.validUntil = account.validUntil.description
  }
}

/// Who an account is, for whoever sees it in a history, a consent or a case.
struct PersonView: Codable, Sendable {
  var account: String
  var kind: String
  var hospital: UInt32
  /// A practitioner's role's number; nil of others.
  var role: UInt32?
  /// A practitioner's name, where this hospital's EHR has it; nil of others: no patient is named by an account.
  var name: String?

  init(_ identifier: Digest, _ account: Account, name: String?) {
    let isPractitioner = account.kind == .practitioner
    (self.account, self.kind) = (identifier.description, "\(account.kind)")
    (self.hospital, self.role) = (account.hospital.number, isPractitioner ? account.role : nil)
    self.name = isPractitioner ? name : nil
  }
}

/// A recovery of a lost key that is under way.
public struct RecoveryView: Codable, Sendable {
  /// The signing key that takes over.
  public var key: String
  /// When.
  public var due: String

  init(_ pending: PendingRecovery) {
    (self.key, self.due) = (pending.request.key.description, pending.due.description)
  }
}

/// What became of a broken glass: judged by the ledger, or opened by the hospital because nothing is ordered.
public struct BrokenGlassView: Codable, Sendable {
  /// A record that the hospital opened.
  public struct Opened: Codable, Sendable {
    /// Its identifier.
    public var record: String
    /// The sealed record, and its key for the request's ephemeral key: a `ReleaseAnswer` in base64.
    public var answer: String
  }
  /// What the ledger said; nil where nothing was ordered.
  public var receipt: ReceiptView?
  /// What the hospital opened instead.
  public var opened: [Opened]?

  init(_ glass: BrokenGlass) {
    switch glass {
    case .ordered(let receipt): self.receipt = ReceiptView(receipt)
    case .opened(let all):
      self.opened = all.map { Opened(record: $0.record.description, answer: Base64.encode($0.answer.encoded)) }
    }
  }
}

/// A care team.
public struct CareTeamView: Codable, Sendable {
  /// Its identifier, to which consents speak.
  public var team: String
  /// The hospital that keeps it.
  public var hospital: UInt32
  /// The accounts in it.
  public var members: [String]

  init(_ identifier: Digest, _ team: CareTeam) {
    self.team = identifier.description
    self.hospital = team.hospital.number
    self.members = team.members.map(\.description)
  }
}

/// Which version of the rules holds.
public struct RulesView: Codable, Sendable, Hashable {
  /// The version.
  public var version: UInt16
  /// The newest that the node knows.
  public var newest: UInt16
  /// How many hours old an account must be to break the glass.
  public var emergencyAgeHours: UInt64

  /// How often rules were adopted.
  public var adoptions: UInt64
  /// The version that members adopted and this node's program does not know: it executes nothing since then. Nil
  /// where it knows those that hold.
  public var unknown: UInt16?
  /// The other members that vote; nil where a node says nothing of them.
  public var members: [RulesMember]?

  /// A view of rules.
  public init(_ rules: AgreedRules, adoptions: UInt64) {
    (self.version, self.newest, self.adoptions) = (rules.version, AgreedRules.newest, adoptions)
    self.emergencyAgeHours = rules.emergencyAgeMilliseconds / 3_600_000
  }
}

/// Which rules a member's program knows.
public struct RulesMember: Codable, Sendable, Hashable {
  /// Its member number.
  public var member: UInt32
  /// Its name.
  public var name: String
  /// Whether a session with it is open.
  public var connected: Bool
  /// The newest version that its program knows; nil where that is not known.
  public var newest: UInt16?

  /// What a peer's program knows.
  public init(_ peer: PeerStatus) {
    (self.member, self.name, self.connected) = (peer.member, peer.name, peer.connected)
    self.newest = peer.rulesNewest
  }
}

extension RulesView {
  /// Why the node executes nothing, and what helps; nil where it knows the rules that hold.
  public var trouble: String? {
    self.unknown.map { version in
      "the ledger goes on under version \(version) of the rules, and this node's program knows version "
        + "\(self.newest): install the newest program and start it, and it goes on by itself; until then it executes "
        + "nothing"
    }
  }

  /// The other members of which it is not known that their programs know a version, each with why, in words; nil where
  /// all do.
  public func ignorant(of version: UInt16) -> String? {
    guard let members = self.members else { return "this node's program does not tell what the others know" }
    let named = members.filter { $0.newest.map { $0 < version } ?? true }.map { one in
      let why =
        !one.connected
        ? "not connected" : one.newest.map { "its program knows version \($0)" } ?? "its program does not say"
      return "\(one.name) (\(why))"
    }
    return named.isEmpty ? nil : named.joined(separator: ", ")
  }

  /// Where the rules stand, in a line.
  public var summary: String {
    let which = max(self.version, self.newest)
    guard let ignorant = self.ignorant(of: which) else {
      return "version \(self.version) holds; every member's program knows version \(which)"
    }
    return "version \(self.version) holds; not known to know version \(which): \(ignorant)"
  }
}

/// How long records of a category are kept at least.
public struct RetentionView: Codable, Sendable {
  /// The category.
  public var category: String
  /// From the anchor on.
  public var days: UInt64

  /// The view of a rule.
  public init(_ rule: RetentionRule) {
    (self.category, self.days) = (rule.category.name, rule.milliseconds / 86_400_000)
  }
}

/// What a member last reported of another's vault.
public struct VaultReportView: Codable, Sendable {
  /// The member whose vault it is.
  public var member: UInt32
  /// Who reported it.
  public var by: UInt32
  /// What it did not prove.
  public var record: String
  /// When.
  public var time: String
  /// The report's place in the log.
  public var leaf: UInt64
  /// How often that member has reported it.
  public var count: UInt64

  /// A report.
  public init(member: UInt32, by author: UInt32, _ entry: VaultReportEntry) {
    (self.member, self.by, self.record) = (member, author, entry.record.description)
    (self.time, self.leaf, self.count) = (entry.time.description, entry.leaf, entry.count)
  }
}

extension NodeService {
  /// A page of a patient's records as the API tells them; how the patient rated each only where that `isOwn`.
  func recordViews(
    of patient: Digest, below leaf: UInt64?, countMax: Int, isOwn: Bool = false
  ) async -> Page<RecordView> {
    await self.records(of: patient, below: leaf, countMax: countMax).map { await self.view(of: $0, isOwn: isOwn) }
  }

  /// What became of a transaction. ⚑ Who was refused some of what was asked for is told which: what is permitted can
  /// then be asked for, and the refusal is in the patient's history all the same.
  func receiptView(_ receipt: Receipt, of transaction: CheckedTransaction) async -> ReceiptView {
    guard !receipt.isApplied, transaction.kind == TransactionKind.requestAccess.rawValue else {
      return ReceiptView(receipt)
    }
    return ReceiptView(receipt, refused: await self.refusals(of: transaction))
  }

  /// A page of a patient's access history as the API tells it.
  func accessViews(of patient: Digest, below leaf: UInt64?, countMax: Int) async -> Page<AccessView> {
    await self.history(of: patient, below: leaf, countMax: countMax).map { AccessView(leaf: $0.leaf, $0.entry) }
  }

  /// A record as the API tells it.
  func view(of entry: RecordEntry, isOwn: Bool = false) async -> RecordView {
    let record = entry.anchor.record
    return RecordView(
      entry, rating: isOwn ? await self.rating(of: record) : nil,
      deletedBy: entry.isErased ? await self.deletions(of: record) : [],
      erasureDue: entry.isErased ? nil : await self.erasureDue(of: entry))
  }
}
