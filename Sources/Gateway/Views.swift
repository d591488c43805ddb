public import Foundation
public import HealthRecords
public import Ledger
public import Messages
public import Primitives
internal import Rules
internal import Signing
internal import Wire

/// What came of asking a member's vault for a chunk of a record.
public struct KeptView: Codable, Sendable {
  /// What came of it.
  public enum Outcome: String, Codable, Sendable {
    /// The chunk came; whether it is right, the path shows.
    case proven
    /// The vault answered, and does not have it.
    case failed
    /// The vault could not be asked: that proves nothing.
    case unreachable
    /// The record is erased, as the ledger says.
    case erased
  }
  /// What came of it.
  public var outcome: Outcome
  /// The chunk.
  public var chunk: Data?
  /// The path from the chunk to the record's address, in hexadecimal digits.
  public var path: [String]?

  /// An outcome, with a proof where there is one.
  public init(_ outcome: Outcome, _ proof: ChunkProof? = nil) {
    self.outcome = outcome
    self.chunk = proof.map { Data($0.chunk) }
    self.path = proof?.path.map(\.description)
  }

  /// The proof for the chunk that was asked for; nil where there is none.
  public func proof(of index: Int) -> ChunkProof? {
    guard let chunk = self.chunk, let path = self.path else { return nil }
    let digests = path.compactMap { Hex.decode($0).flatMap { Digest($0) } }
    return digests.count == path.count ? ChunkProof(index: index, chunk: Array(chunk), path: digests) : nil
  }
}

/// What became of a transaction.
public struct ReceiptView: Codable, Sendable {
  /// The transaction's identifier.
  public var transaction: String
  /// Whether the rule held.
  public var applied: Bool
  /// The outcome's code.
  public var code: UInt16
  /// The outcome in words.
  public var outcome: String
  /// Its place in the log.
  public var leaf: UInt64
  /// The cut.
  public var height: UInt64
  /// The cut's time.
  public var time: String
  /// Of a request to read that was denied: the records that keep it from being granted. Without them it would be.
  public var refused: [RefusedRecordView]?

  /// A receipt's view.
  public init(_ receipt: Receipt, refused: [RecordRefusal] = []) {
    self.refused = refused.isEmpty ? nil : refused.map(RefusedRecordView.init)
    self.transaction = receipt.identifier.description
    self.applied = receipt.outcome == .applied
    self.code = receipt.outcome.number
    self.outcome = receipt.outcome.explanation
    self.leaf = receipt.leaf
    self.height = receipt.sequence.number
    self.time = receipt.time.description
  }
}

/// A record that was refused to the one who asked for it.
public struct RefusedRecordView: Codable, Sendable {
  /// The record.
  public var record: String
  /// The outcome's code.
  public var code: UInt16
  /// The reason in words.
  public var outcome: String

  /// A view of a refusal.
  public init(_ refused: RecordRefusal) {
    self.record = refused.record.description
    (self.code, self.outcome) = (refused.refusal.rawValue, refused.refusal.explanation)
  }
}

/// A record as everyone may see it: commitments, never content.
public struct RecordView: Codable, Sendable {
  /// Its identifier.
  public var record: String
  /// The pseudonym whose it is.
  public var patient: String
  /// The hospital that anchored it.
  public var hospital: UInt32
  /// The practitioner who wrote it, or nil where the hospital's system did.
  public var author: String?
  /// What it is about.
  public var category: String
  /// The hash-lock.
  public var hashLock: String
  /// The ciphertext's address.
  public var address: String
  /// The ciphertext's bytes.
  public var sizeBytes: UInt64
  /// The digest of the capsule that counts now: another than the anchor's once its key was enclosed anew.
  public var capsule: String
  /// When it was anchored.
  public var time: String
  /// The anchor's place in the log.
  public var leaf: UInt64
  /// The record that amends it.
  public var supersededBy: String?
  /// Whether it is erased.
  public var erased: Bool
  /// By what right: `patient`, `retention`, `order`; nil where it is not.
  public var erasure: String?
  /// The hospitals that signed that their vaults deleted it; nil where it is not erased.
  public var deletedBy: [UInt32]?
  /// How the patient rated it; only the patient is told.
  public var rating: UInt8?
  /// When it is erased, as the patient wanted and can still take back; nil where nothing is to happen.
  public var erasureDue: String?

  /// A record's view.
  public init(
    _ entry: RecordEntry, rating: UInt8? = nil, deletedBy: [UInt32] = [], erasureDue: Timestamp? = nil
  ) {
    (self.rating, self.erasureDue) = (rating, erasureDue?.description)
    self.deletedBy = entry.isErased ? deletedBy : nil
    self.record = entry.anchor.record.description
    self.patient = entry.anchor.patient.description
    self.hospital = entry.hospital.number
    self.author = entry.anchor.author?.description
    self.category = entry.anchor.category.name
    self.hashLock = entry.anchor.hashLock.description
    self.address = entry.anchor.address.description
    self.sizeBytes = entry.anchor.sizeBytes
    self.capsule = entry.anchor.capsule.description
    self.time = entry.time.description
    self.leaf = entry.leaf
    self.supersededBy = entry.supersededBy?.description
    self.erased = entry.isErased
    self.erasure = entry.erasure.map { "\($0)" }
  }
}

/// A consent.
public struct ConsentView: Codable, Sendable {
  /// Its identifier.
  public var consent: String
  /// `grant` or `denial`.
  public var kind: String
  /// To whom.
  public var grantee: String
  /// What the grantee may do: `read`, `share`.
  public var actions: [String]
  /// `patient`, `registrar`, or `proxy by` the consent that let somebody else give it.
  public var givenBy: String
  /// For which records.
  public var scope: String
  /// For which purposes, as HL7 codes.
  public var purposes: [String]
  /// From when.
  public var from: String
  /// Until when.
  public var until: String
  /// When it was revoked.
  public var revoked: String?
  /// How many requests it granted.
  public var uses: UInt32

  /// A consent's view.
  public init(_ identifier: Digest, _ entry: ConsentEntry) {
    let grant = entry.grant
    self.consent = identifier.description
    self.kind = grant.isDenial ? "denial" : "grant"
    switch grant.grantee {
    case .account(let account): self.grantee = "account \(account)"
    case .hospital(let hospital): self.grantee = "hospital \(hospital.number)"
    case .role(let role, let hospital): self.grantee = "role \(role) at hospital \(hospital.number)"
    case .careTeam(let team): self.grantee = "team \(team)"
    }
    self.actions = grant.actions.words
    switch entry.origin {
    case .patient: self.givenBy = "patient"
    case .registrar: self.givenBy = "registrar"
    case .proxy(let power): self.givenBy = "proxy by \(power)"
    }
    switch grant.scope {
    case .all: self.scope = "all records"
    case .categories(let bits):
      self.scope = RecordCategory.allCases.filter { bits & 1 << UInt32($0.rawValue) != 0 }.map(\.name)
        .joined(separator: ", ")
    case .records(let records): self.scope = "\(records.count) named records"
    }
    self.purposes = grant.purposes.codes
    self.from = grant.from.description
    self.until = grant.until.description
    self.revoked = entry.revoked?.description
    self.uses = entry.uses
  }
}

/// One line of a patient's access history.
public struct AccessView: Codable, Sendable {
  /// The place in the log; the proof is found there.
  public var leaf: UInt64
  /// When.
  public var time: String
  /// The reader's account.
  public var reader: String
  /// The reader's hospital.
  public var hospital: UInt32
  /// What for, as an HL7 code.
  public var purpose: String
  /// The records asked for.
  public var records: [String]
  /// Whether it was granted.
  public var granted: Bool
  /// In words.
  public var outcome: String
  /// The outcome's code; nil where an older node answered.
  public var code: UInt16?
  /// The consent that granted it.
  public var consent: String?
  /// `none`, `reviewDue`, `justified`, `unjustified`, `overdue`.
  public var emergency: String
  /// The hospitals that released keys.
  public var releasedBy: [UInt32]
  /// When its hospital opened it because nothing was ordered; nil where it did not.
  public var openedInPartition: String?

  /// A line's view.
  public init(leaf: UInt64, _ entry: AccessEntry) {
    self.leaf = leaf
    self.time = entry.time.description
    self.reader = entry.reader.description
    self.hospital = entry.hospital.number
    self.purpose = entry.request.purpose.codes.joined(separator: ",")
    self.records = entry.request.records.map(\.description)
    self.granted = entry.outcome == .applied
    // What the one who asked could do is nothing to tell those who look.
    let why = entry.outcome.explanation.prefix { $0 != ";" }
    self.outcome = entry.outcome == .applied ? "granted" : "denied: \(why)"
    self.code = entry.outcome.number
    self.consent = entry.consent?.description
    self.emergency = "\(entry.emergency)"
    self.releasedBy = entry.releases.map(\.number)
    self.openedInPartition = entry.openedInPartition?.description
  }
}

/// A log entry with its proof, verifiable with the genesis alone.
public struct ProofView: Codable, Sendable {
  /// The entry's place.
  public var leaf: UInt64
  /// The entry's bytes in base64.
  public var entry: String
  /// The audit path, from the leaf up.
  public var path: [String]
  /// The signed tree head (C2SP `tlog-checkpoint`), with a quorum's cosignatures.
  public var checkpoint: String
  /// The salt of a record's hash-lock, where the proof is a document's.
  public var salt: String?
  /// The changes of members from the genesis to the tree head's configuration, each proved; none where there was none.
  public var configurations: [ProofView]?

  /// A proof of given parts.
  public init(
    leaf: UInt64, entry: String, path: [String], checkpoint: String, salt: String? = nil,
    configurations: [ProofView]? = nil
  ) {
    (self.leaf, self.entry, self.path, self.checkpoint, self.salt) = (leaf, entry, path, checkpoint, salt)
    self.configurations = configurations
  }

  /// The same of a proof.
  public init(_ proof: LogProof) {
    self.init(
      leaf: proof.leaf, entry: Base64.encode(proof.entry), path: proof.path.map(\.description),
      checkpoint: proof.checkpoint)
  }

  /// The proof itself; nil where it is malformed.
  public var proof: LogProof? {
    let hashes = self.path.compactMap { Hex.decode($0).flatMap { Digest($0) } }
    guard let entry = Base64.decode(self.entry), hashes.count == self.path.count else { return nil }
    return LogProof(leaf: self.leaf, entry: entry, path: hashes, checkpoint: self.checkpoint)
  }
}

/// A member as the API tells it: what its member.json says, and whether it votes.
public struct MemberView: Codable, Sendable {
  /// Its number.
  public var number: UInt32
  /// Its name.
  public var name: String
  /// Its member key in hexadecimal.
  public var key: String
  /// Its checkpoint key.
  public var checkpointKey: String
  /// Its registrar's key.
  public var registrarKey: String
  /// Its sealing key.
  public var sealingKey: String
  /// Where it can be dialled.
  public var addresses: [String]
  /// Whether it votes; otherwise it has left.
  public var votes: Bool

  /// The view of a member.
  public init(_ member: Member, votes: Bool) {
    (self.number, self.name, self.votes) = (member.id.number, member.name, votes)
    (self.key, self.checkpointKey) = (member.key.description, member.checkpointKey.description)
    (self.registrarKey, self.sealingKey) = (member.registrarKey.description, member.sealingKey.description)
    self.addresses = member.addresses
  }
}

/// The members, and what is about to change.
public struct MembershipView: Codable, Sendable {
  /// How often they changed.
  public var configuration: UInt32
  /// The first height that it ordered.
  public var start: UInt64
  /// What orders.
  public var engine: String
  /// n, those that left not counted.
  public var voters: Int
  /// How many must approve a change.
  public var quorum: Int
  /// All there ever were.
  public var members: [MemberView]
  /// A change that waits for a signed tree head, in words; nil where there is none.
  public var pending: String?
  /// From which height on the next configuration is in force; nil where none is opened.
  public var nextStart: UInt64?

  /// The view of a configuration.
  public init(_ configuration: Configuration, pending: MembershipChange?, next: Configuration?) {
    self.configuration = configuration.number.number
    (self.start, self.engine) = (configuration.start.number, "\(configuration.engine)")
    (self.voters, self.quorum) = (configuration.voterCount, configuration.quorum)
    self.members = configuration.members.enumerated().map {
      MemberView($0.element, votes: configuration.isVoter($0.offset))
    }
    self.pending = pending.map { "\($0)" }
    self.nextStart = next?.start.number
  }
}

/// A broken glass, as the privacy officer looks at it.
public struct EmergencyView: Codable, Sendable {
  /// The request, by which it is reviewed.
  public var request: String
  /// The line of the patient's history.
  public var access: AccessView
  /// The patient's account.
  public var patient: String
  /// The reason's code.
  public var reason: UInt16
  /// Until when it is to be reviewed.
  public var due: String

  /// The view of an access.
  public init(request: Digest, leaf: UInt64, _ entry: AccessEntry, due: Timestamp) {
    (self.request, self.access) = (request.description, AccessView(leaf: leaf, entry))
    (self.patient, self.reason) = (entry.request.patient.description, entry.request.reason)
    self.due = due.description
  }
}
