public import HealthRecords
public import Ledger
public import Messages
public import Primitives
public import Threshold
internal import Rules
public import Signing
internal import Wire

/// A transaction that the gateway has read and checked.
public struct CheckedTransaction: Sendable {
  /// Its identifier.
  public let identifier: Digest
  /// Its canonical bytes.
  public let bytes: [UInt8]
  /// What is wished.
  public let kind: UInt16
  /// The key that signed it; nil where the hospital answers for it.
  public let signer: PublicKey?

  /// Reads and checks a transaction for a hospital's lane: form, size, hospital and a person's signature.
  ///
  /// - Throws: `ServiceRefusal.badTransaction` with its place among those submitted.
  public init(
    _ bytes: [UInt8], index: Int, genesis: Genesis, hospital: MemberID
  ) throws(ServiceRefusal) {
    guard bytes.count <= genesis.limits.transactionBytesMax else {
      throw .badTransaction(index: index, reason: "\(bytes.count) bytes, at most \(genesis.limits.transactionBytesMax)")
    }
    let transaction: Transaction
    do { transaction = try Transaction.decode(bytes) } catch {
      throw .badTransaction(index: index, reason: "\(error)")
    }
    guard transaction.hospital == hospital else {
      throw .badTransaction(
        index: index, reason: "it is for hospital \(transaction.hospital.number), this is \(hospital.number)")
    }
    guard transaction.isAuthentic(network: genesis.network) else {
      throw .badTransaction(index: index, reason: "its signature is wrong for this network")
    }
    self.identifier = transaction.identifier(network: genesis.network)
    self.bytes = bytes
    self.kind = transaction.kind
    if case .person(let key, _) = transaction.authorization { self.signer = key } else { self.signer = nil }
  }
}

/// A sealed record and its anchor, on the way into the vault and onto the ledger.
public struct AnchoredRecord: Sendable {
  /// The anchor.
  public let anchor: RecordAnchor
  /// What the vault keeps.
  public let sealed: SealedRecord
  /// Both.
  public init(anchor: RecordAnchor, sealed: SealedRecord) { (self.anchor, self.sealed) = (anchor, sealed) }
}

/// What became of a broken glass.
public enum BrokenGlass: Sendable {
  /// The ledger judged it.
  case ordered(Receipt)
  /// Nothing was ordered in time: the hospital opened what it wrote itself.
  case opened([(record: Digest, answer: ReleaseAnswer)])
}

/// What the gateway asks of a running node.
public protocol NodeService: Sendable {
  /// The consortium.
  nonisolated var genesis: Genesis { get }
  /// The hospital that runs the node.
  nonisolated var member: Member { get }
  /// The time of the last executed cut, which the rules go by.
  func ledgerTime() async -> Timestamp
  /// Where it stands.
  func status() async -> NodeStatus
  /// The same and more in figures, as OpenMetrics; with what the interface for EHRs adds to trouble and notices.
  func metrics(fhirTrouble: String?, notices: [String]) async -> String
  /// The members, and what is about to change.
  func membership() async -> MembershipView
  /// The changes of members, each proved, from the genesis on.
  func configurations() async throws(ServiceRefusal) -> [ProofView]
  /// The configuration of a number; nil where there is none.
  func configuration(_ number: ConfigurationNumber) async -> Configuration?
  /// Its members' connections.
  func peers() async -> [PeerStatus]
  /// Gives transactions to the lane and waits for their execution.
  func submit(_ transactions: [CheckedTransaction]) async throws(ServiceRefusal) -> [Receipt]
  /// An account.
  func account(_ identifier: Digest) async -> Account?
  /// The account whose signing key this is now; nil where it is nobody's.
  func account(ofKey key: Digest) async -> Digest?
  /// The session that a practitioner opened for a key; nil where there is none, or it is over.
  func session(_ key: PublicKey) async -> SessionEntry?
  /// A recovery of an account's key that is under way.
  func recovery(of account: Digest) async -> PendingRecovery?
  /// A care team.
  func careTeam(_ identifier: Digest) async -> CareTeam?
  /// How long records are kept, where a quorum said so.
  func retention() async -> [RetentionRule]
  /// The rules that hold for what is executed next.
  func rules() async -> AgreedRules
  /// What is told of them.
  func rulesView() async -> RulesView
  /// When a record is erased, as its patient wanted and can still take back; nil where nothing is to happen.
  func erasureDue(of entry: RecordEntry) async -> Timestamp?
  /// How patients rated what a practitioner wrote.
  func ratings(of practitioner: Digest) async -> RatingCounts
  /// How its patient rated a record; nil where that was not done.
  func rating(of record: Digest) async -> UInt8?
  /// The hospitals that stated that their vaults deleted an erased record.
  func deletions(of record: Digest) async -> [UInt32]
  /// What members reported of others' vaults.
  func vaultReports() async -> [VaultReportView]
  /// A record's entry.
  func record(_ identifier: Digest) async -> RecordEntry?
  /// A page of a patient's records, the last anchored first; those that were anchored below a place of the log.
  func records(of patient: Digest, below leaf: UInt64?, countMax: Int) async -> Page<RecordEntry>
  /// A patient's consents.
  func consents(of patient: Digest) async -> [(identifier: Digest, entry: ConsentEntry)]
  /// A page of a patient's access history, the newest line first; those below a place of the log.
  func history(of patient: Digest, below leaf: UInt64?, countMax: Int) async -> Page<AccessLine>
  /// A page of what broke the glass at this hospital, the newest first; below a place of the log.
  func emergencies(below leaf: UInt64?, countMax: Int) async -> Page<EmergencyView>
  /// The account that made a request which is in a patient's history; nil where none of that identifier is.
  func reader(ofRequest identifier: Digest) async -> Digest?
  /// Whether an account is given a record's ciphertext: by a request of its own that was granted and names the record;
  /// without one, because this hospital opened the record for it while nothing was ordered.
  func mayFetch(_ record: Digest, by account: Digest, request: Digest?) async -> Bool
  /// What the ledger said of a request that is in a patient's history; nil where none of that identifier is.
  func receipt(ofRequest identifier: Digest) async -> Receipt?
  /// Whether the ledger would take a transaction when it is ordered, judged by its own rules on the state that is here.
  func wouldApply(_ transaction: CheckedTransaction) async -> Bool
  /// Of the records that a request to read names, those that keep it from being granted, judged by the ledger's own
  /// rules on the state that is here.
  func refusals(of transaction: CheckedTransaction) async -> [RecordRefusal]
  /// Submits what breaks the glass; opens this hospital's own records where nothing is ordered.
  func breakGlass(_ transaction: CheckedTransaction) async throws(ServiceRefusal) -> BrokenGlass
  /// Stores sealed records in the vault and copies them to others, and then anchors them.
  func anchor(_ records: [AnchoredRecord]) async throws(ServiceRefusal) -> [Receipt]
  /// The consortium's custody key; nil before there is one.
  func custody() async -> CustodyKey?
  /// The live records under that key which no hospital can seal to another: a rotation would leave them behind.
  func recordsLeftByRotation() async -> [HospitalRecordsView]
  /// Stores a sealed record that its anchor names, part by part, copies it to others, and then anchors it.
  func anchor(_ content: any SealedContent, as anchor: RecordAnchor) async throws(ServiceRefusal) -> Receipt
  /// A place for ciphertext on its way.
  nonisolated func spool() throws(ServiceRefusal) -> any ChunkSpool
  /// A sealed record, from this hospital's vault or from another's; it is what was anchored.
  func content(_ record: Digest) async throws(ServiceRefusal) -> any SealedContent
  /// A part of a record's ciphertext.
  func part(_ record: Digest, from start: Int) async throws(ServiceRefusal) -> RecordPart
  /// Whether a member's vault keeps a record: a chunk of it with its proof.
  func kept(_ record: Digest, chunk: Int, by member: MemberID) async throws(ServiceRefusal) -> KeptView
  /// What opens a record for a granted request, without the shares of members that are settled already.
  func release(
    _ question: ReleaseQuestion, without settled: ReplicaSet
  ) async throws(ServiceRefusal) -> ReleaseAnswer
  /// The last stable checkpoint.
  func checkpoint() async -> StableCheckpoint?
  /// A log entry with its proof.
  func proof(_ leaf: UInt64) async throws(ServiceRefusal) -> ProofView
  /// Log entries in order.
  func entries(from start: UInt64, count: Int) async throws(ServiceRefusal) -> [LogEntry]
  /// Hashes of a tile of the log.
  func tile(level: Int, index: UInt64) async -> [Digest]?
  /// The consistency proof between two sizes of the log.
  func consistency(from old: UInt64, to size: UInt64) async throws(ServiceRefusal) -> [Digest]
}
