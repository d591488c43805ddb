public import Messages
public import Primitives
public import Rules
public import Wire

/// Where the state keeps what: a table byte, then fixed-width parts, numbers big-endian so that they sort.
public enum StateKey {
  /// An account by its identifier.
  public static func account(_ identifier: Digest) -> [UInt8] { [0x61] + identifier.bytes }
  /// An account's identifier by its key.
  public static func key(_ key: [UInt8]) -> [UInt8] { [0x6b] + key }
  /// A hospital's approval of a third party.
  public static func approval(_ identifier: Digest, by member: MemberID) -> [UInt8] {
    [0x74] + identifier.bytes + self.bigEndian(UInt64(member.number))
  }
  /// A record by its identifier.
  public static func record(_ identifier: Digest) -> [UInt8] { self.records + identifier.bytes }
  /// The prefix of all records.
  public static let records: [UInt8] = [0x72]
  /// A patient's records, in the order of their anchors.
  public static func patientRecord(_ patient: Digest, leaf: UInt64) -> [UInt8] {
    self.patientRecords(patient) + self.bigEndian(leaf)
  }
  /// The prefix of a patient's records.
  public static func patientRecords(_ patient: Digest) -> [UInt8] { [0x70] + patient.bytes }
  /// A patient's rating of a record.
  public static func rating(of record: Digest) -> [UInt8] { [0x76, 1] + record.bytes }
  /// How a practitioner was rated.
  public static func ratings(of author: Digest) -> [UInt8] { [0x76, 2] + author.bytes }
  /// A consent.
  public static func consent(_ patient: Digest, _ identifier: Digest) -> [UInt8] {
    self.consents(patient) + identifier.bytes
  }
  /// The prefix of a patient's consents.
  public static func consents(_ patient: Digest) -> [UInt8] { [0x63] + patient.bytes }
  /// A consent that was over when room was needed.
  public static func pastConsent(_ patient: Digest, _ identifier: Digest) -> [UInt8] {
    self.pastConsents(patient) + identifier.bytes
  }
  /// The prefix of a patient's consents that were.
  public static func pastConsents(_ patient: Digest) -> [UInt8] { [0x6f] + patient.bytes }
  /// A care team.
  public static func careTeam(_ identifier: Digest) -> [UInt8] { [0x67] + identifier.bytes }
  /// How long records of a category are kept, in milliseconds.
  public static func retention(of category: RecordCategory) -> [UInt8] { [0x65, category.rawValue] }
  /// The rules that a quorum's registrars adopted.
  public static let rules: [UInt8] = [0x75]
  /// How often rules were adopted.
  static let rulesAdopted: [UInt8] = [0x75, 1]
  /// An erasure that can still be taken back.
  public static func erasure(of patient: Digest, _ record: Digest) -> [UInt8] {
    self.erasures(of: patient) + record.bytes
  }
  /// The prefix of a patient's erasures that can still be taken back.
  public static func erasures(of patient: Digest) -> [UInt8] { [0x6c, 1] + patient.bytes }
  /// When an erasure is done; the value is patient and record.
  static func erasureDue(_ time: Timestamp, leaf: UInt64) -> [UInt8] {
    self.erasuresDue + self.bigEndian(time.milliseconds) + self.bigEndian(leaf)
  }
  /// The prefix of all erasures by when they are done, the earliest first.
  static let erasuresDue: [UInt8] = [0x77]
  /// How many records a patient erased at once on the last day on which that happened.
  static func erasedCount(of patient: Digest) -> [UInt8] { [0x6c, 2] + patient.bytes }
  /// The last emergency of a reader with a patient: when it began, and how many requests it had.
  static func lastEmergency(_ reader: Digest, of patient: Digest) -> [UInt8] {
    [0x6a] + reader.bytes + patient.bytes
  }
  /// An account's recovery that is under way.
  public static func recovery(of account: Digest) -> [UInt8] { [0x79, 1] + account.bytes }
  /// When a recovery counts.
  public static func recoveryDue(_ time: Timestamp, leaf: UInt64) -> [UInt8] {
    self.recoveriesDue + self.bigEndian(time.milliseconds) + self.bigEndian(leaf)
  }
  /// The prefix of all recoveries, the earliest first.
  public static let recoveriesDue: [UInt8] = [0x7a]
  /// A practitioner's session, by its key.
  public static func session(_ key: [UInt8]) -> [UInt8] { [0x73, 1] + key }
  /// When a session is over.
  static func sessionOver(_ time: Timestamp, leaf: UInt64) -> [UInt8] {
    self.sessionsOver + self.bigEndian(time.milliseconds) + self.bigEndian(leaf)
  }
  /// The prefix of all sessions by their ends, the earliest first.
  static let sessionsOver: [UInt8] = [0x7b]
  /// How often a reader was refused for a patient's records on the last day on which that happened.
  static func deniedCount(_ reader: Digest, of patient: Digest) -> [UInt8] { [0x69] + reader.bytes + patient.bytes }
  /// How many lines a patient's access history has.
  public static func accessCount(of patient: Digest) -> [UInt8] { [0x6e, 0x10] + patient.bytes }
  /// How many records a patient has, erased ones too.
  public static func recordCount(of patient: Digest) -> [UInt8] { [0x6e, 0x11] + patient.bytes }
  /// A line of a patient's access history.
  public static func access(_ patient: Digest, leaf: UInt64) -> [UInt8] {
    self.accesses(patient) + self.bigEndian(leaf)
  }
  /// The prefix of a patient's access history.
  public static func accesses(_ patient: Digest) -> [UInt8] { [0x68] + patient.bytes }
  /// The place of an access by its request's identifier: patient and leaf.
  public static func request(_ identifier: Digest) -> [UInt8] { [0x71] + identifier.bytes }
  /// A review that is due.
  public static func deadline(_ time: Timestamp, leaf: UInt64) -> [UInt8] {
    self.deadlines + self.bigEndian(time.milliseconds) + self.bigEndian(leaf)
  }
  /// The prefix of all deadlines, the earliest first.
  public static let deadlines: [UInt8] = [0x64]
  /// A broken glass of a hospital's, by its place in the log; the value is the patient.
  public static func emergency(at hospital: MemberID, leaf: UInt64) -> [UInt8] {
    self.emergencies(at: hospital) + self.bigEndian(leaf)
  }
  /// The prefix of a hospital's broken glasses, the earliest first.
  public static func emergencies(at hospital: MemberID) -> [UInt8] {
    [0x7c] + self.bigEndian(UInt64(hospital.number))
  }
  /// How often an account, or a hospital, broke the glass in a day.
  public static func breakGlassCount(_ who: [UInt8], day: UInt64) -> [UInt8] {
    [0x62] + self.bigEndian(day) + who
  }
  /// A lane's fork, by its author.
  public static func fork(_ author: MemberID) -> [UInt8] { self.forks + self.bigEndian(UInt64(author.number)) }
  /// Whose lane's fork a key of `forks` is about.
  public static func author(ofFork key: [UInt8]) -> MemberID {
    MemberID(key.dropFirst().reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
  }
  /// The prefix of all forks; each value is the sequence number, little-endian, at which the proof was executed.
  public static let forks: [UInt8] = [0x66]
  /// The prefix of everything about members.
  public static let membership: [UInt8] = [0x6d]
  /// A configuration, with what proves it.
  public static func configuration(_ number: ConfigurationNumber) -> [UInt8] {
    self.configurations + self.bigEndian(UInt64(number.number))
  }
  /// The prefix of all configurations after that of the genesis, the earliest first.
  public static let configurations: [UInt8] = [0x6d, 1]
  /// A change that waits for a tree head above it.
  public static let pendingChange: [UInt8] = [0x6d, 2]
  /// The first sequence number of a configuration that is opened and has not begun.
  public static let opening: [UInt8] = [0x6d, 3]
  /// The key to which a member's shares are sent.
  public static func transportKey(_ member: MemberID) -> [UInt8] {
    self.custody + [1] + self.bigEndian(UInt64(member.number))
  }
  /// Where the making of the newest custody key stands.
  public static let generation: [UInt8] = [0x78, 2]
  /// A custody key in use.
  public static func custodyKey(_ generation: UInt64) -> [UInt8] { self.custodyKeys + self.bigEndian(generation) }
  /// The prefix of all custody keys in use: one, or two while the consortium goes over to another.
  public static let custodyKeys: [UInt8] = [0x78, 3]
  /// A member's dealing in one try.
  public static func dealing(attempt: UInt64, dealer: ReplicaIndex) -> [UInt8] {
    self.custody + [4] + self.bigEndian(attempt) + self.bigEndian(UInt64(dealer))
  }
  /// A custodian that was shown to have signed a wrong share; the value is the proof's place in the log.
  public static func wrongShare(_ member: MemberID) -> [UInt8] {
    self.custody + [5] + self.bigEndian(UInt64(member.number))
  }
  /// How many live records of a hospital are sealed to a custody key.
  public static func liveRecords(generation: UInt64, of hospital: MemberID) -> [UInt8] {
    self.liveRecords(generation: generation) + self.bigEndian(UInt64(hospital.number))
  }
  /// The prefix of those of all hospitals.
  public static func liveRecords(generation: UInt64) -> [UInt8] { [0x7d, 1] + self.bigEndian(generation) }
  /// Below which place in the log a hospital's records are sealed to it under keys that it had before.
  static func sealedBefore(by hospital: MemberID) -> [UInt8] { [0x7d, 5] + self.bigEndian(UInt64(hospital.number)) }
  /// How many of a hospital's live records under a custody key are sealed to it under keys that it had before.
  static func leftRecords(generation: UInt64, of hospital: MemberID) -> [UInt8] {
    [0x7d, 6] + self.bigEndian(generation) + self.bigEndian(UInt64(hospital.number))
  }
  /// A registrar that approved that records be left under a custody key; the value is the registrar's key.
  static func leaving(of generation: UInt64, by member: MemberID) -> [UInt8] {
    self.leaving(of: generation) + self.bigEndian(UInt64(member.number))
  }
  /// The prefix of those of all hospitals.
  static func leaving(of generation: UInt64) -> [UInt8] { [0x7d, 7] + self.bigEndian(generation) }
  /// A hospital that stated that it destroyed its share of a key that is out of use; the value is the place in the log.
  public static func destruction(of generation: UInt64, by member: MemberID) -> [UInt8] {
    self.destructions(of: generation) + self.bigEndian(UInt64(member.number))
  }
  /// The prefix of those of all hospitals.
  public static func destructions(of generation: UInt64) -> [UInt8] { [0x7d, 2] + self.bigEndian(generation) }
  /// A hospital that stated that its vault deleted an erased record; the value is the place in the log.
  public static func deletion(of record: Digest, by member: MemberID) -> [UInt8] {
    self.deletions(of: record) + self.bigEndian(UInt64(member.number))
  }
  /// The prefix of those of all hospitals.
  public static func deletions(of record: Digest) -> [UInt8] { [0x7d, 3] + record.bytes }
  /// What a member last reported of another's vault.
  public static func vaultReport(of member: MemberID, by author: MemberID) -> [UInt8] {
    self.vaultReports + self.bigEndian(UInt64(member.number)) + self.bigEndian(UInt64(author.number))
  }
  /// The prefix of all such reports.
  public static let vaultReports: [UInt8] = [0x7d, 4]
  /// The prefix of everything about custody.
  public static let custody: [UInt8] = [0x78]
  /// How many accounts of a kind there are.
  public static func accountCount(_ kind: AccountKind) -> [UInt8] { [0x6e, kind.rawValue] }

  static func bigEndian(_ number: UInt64) -> [UInt8] {
    number.bigEndianBytes
  }
}

extension StateEditor {
  /// Reads a value of the state, which was written in canonical form; nil where there is none.
  func item<T: WireDecodable>(_ key: [UInt8], as type: T.Type) -> T? {
    self.value(key).flatMap { try? T.decode($0) }
  }

  mutating func set(_ key: [UInt8], _ item: some WireEncodable) { self.set(key, item.encoded) }

  func number(_ key: [UInt8]) -> UInt64 {
    guard let bytes = self.value(key) else { return 0 }
    var decoder = Decoder(bytes)
    return (try? decoder.u64()) ?? 0
  }

  mutating func set(_ key: [UInt8], number: UInt64) {
    var encoder = Encoder()
    encoder.u64(number)
    self.set(key, encoder.bytes)
  }
}

extension StateReader {
  /// Reads a value of the state; nil where there is none.
  public func item<T: WireDecodable>(_ key: [UInt8], as type: T.Type) -> T? {
    self.value(key).flatMap { try? T.decode($0) }
  }
}
