public import Messages
public import Primitives
public import Rules
public import Signing
public import Threshold
public import Wire

/// Why a record's key is not released. Codes travel between hospitals.
public enum ReleaseRefusal: UInt8, Error, Sendable, Hashable, CaseIterable {
  /// No such request was executed here yet.
  case unknownRequest = 1
  /// It was denied.
  case notGranted = 2
  /// It does not name this record.
  case otherRecord = 3
  /// The release window is over.
  case windowOver = 4
  /// The record is erased.
  case erased = 5
  /// This hospital does not keep the record.
  case notHere = 6
  /// The hospital could not be reached, or did not answer.
  case unreachable = 7
  /// The capsule is not the one that was anchored, or its maker did not know what is inside.
  case badCapsule = 8
  /// Too few custodians could be reached.
  case tooFewCustodians = 9
  /// The other vault takes no more, or not this.
  case vaultFull = 10
  /// The account that made the request is suspended, revoked or over.
  case readerInactive = 11
  /// Too few members have a share of the record's custody key, and nobody else will get one.
  case custodiansGone = 12

  /// What happened and what to do.
  public var explanation: String {
    switch self {
    case .unknownRequest: "that hospital has executed no such request yet; ask again in a moment"
    case .notGranted: "the ledger denied the request"
    case .otherRecord: "the request does not name this record"
    case .windowOver: "the request's release window is over; make a new request"
    case .erased: "the record is erased"
    case .notHere: "that hospital does not keep this record's key"
    case .unreachable: "no hospital that keeps the record answered; try again when one is connected"
    case .badCapsule: "the record's capsule is not the one that was anchored, or it is damaged: tell its hospital"
    case .readerInactive: "the account that made the request is suspended, revoked or over"
    case .vaultFull: "the other hospital's vault did not take a copy; its administrator can make room"
    case .tooFewCustodians: "too few custodians answered; try again when more hospitals are connected"
    case .custodiansGone:
      "too few hospitals have a share of this record's custody key, and no more get one: it opens for its patient and "
        + "for the hospital that wrote it, and for others once that one seals it to the key in use, which it cannot do "
        + "where it got other keys since"
    }
  }
}

/// A question for a record's key, from the reader's hospital to a custodian.
public struct ReleaseQuestion: Sendable, Hashable, WireCodable {
  /// The executed request.
  public let request: Digest
  /// One of the records that it names.
  public let record: Digest

  /// A question.
  public init(request: Digest, record: Digest) { (self.request, self.record) = (request, record) }
  /// Both digests.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.request)
    encoder.digest(self.record)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.request = try decoder.digest()
    self.record = try decoder.digest()
  }
}

/// What a reader gets for a granted request: the sealed record, where it fits into a message, and what gives its key to
/// the holder of the request's ephemeral key and to nobody else.
public struct ReleaseAnswer: Sendable, Hashable, WireCodable {
  /// The record as vaults keep it, but for its ciphertext.
  public let head: SealedHead
  /// All chunks of the ciphertext; none where it is fetched part by part.
  public let chunks: [[UInt8]]
  /// Custodians' shares, each sealed to the ephemeral key, with their authors' places.
  public let shares: [SealedShare]
  /// The key itself, sealed to the ephemeral key by the record's hospital: for records older than the custody key.
  public let hospitalKey: HospitalRelease?
  /// The custody key to which the record is sealed; nil where it is to none.
  public let custody: CustodyKey?

  /// An answer of given parts.
  public init(
    head: SealedHead, chunks: [[UInt8]], shares: [SealedShare] = [], hospitalKey: HospitalRelease? = nil,
    custody: CustodyKey? = nil
  ) {
    (self.head, self.chunks, self.shares, self.hospitalKey) = (head, chunks, shares, hospitalKey)
    self.custody = custody
  }

  /// Head, chunks as counted blobs, shares, the hospital's release, the custody key.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.head)
    encoder.u32(UInt32(self.chunks.count))
    for chunk in self.chunks { encoder.blob(chunk) }
    encoder.list(self.shares)
    encoder.optional(self.hospitalKey)
    encoder.optional(self.custody)
  }
  /// Reads an answer.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.head = try SealedHead(from: &decoder)
    let start = decoder.offset
    let count = Int(try decoder.u32())
    guard count == 0 || count == self.head.count, count <= SealedRecord.chunksMax else {
      throw .invalid(at: start, field: "chunks")
    }
    var chunks: [[UInt8]] = []
    for _ in 0..<count {
      chunks.append(try decoder.blob(max: SecretStream.chunkBytesMax + SecretStream.overheadBytes, "chunk"))
    }
    self.chunks = chunks
    self.shares = try decoder.list(max: ReplicaSet.countMax, "shares")
    self.hospitalKey = try decoder.optional("hospital's release")
    self.custody = try decoder.optional("custody key")
  }
}

/// A custodian's `ReleasedShare`, sealed to the request's ephemeral key.
public struct SealedShare: Sendable, Hashable, WireCodable {
  /// The custodian.
  public let member: ReplicaIndex
  /// The box.
  public let box: [UInt8]

  /// A share of given parts.
  public init(member: ReplicaIndex, box: [UInt8]) { (self.member, self.box) = (member, box) }
  /// Member, box.
  public func encode(into encoder: inout Encoder) {
    encoder.u16(UInt16(self.member))
    encoder.blob(self.box)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    self.member = Int(try decoder.u16())
    guard self.member < ReplicaSet.countMax else { throw .invalid(at: start, field: "custodian") }
    self.box = try decoder.blob(max: 1024, "share")
  }
}

/// A record's key from its hospital alone, sealed to the request's ephemeral key and signed.
public struct HospitalRelease: Sendable, Hashable, WireCodable {
  /// The key, sealed to the request's ephemeral key.
  public let key: [UInt8]
  /// The hospital's member signature.
  public let signature: Signature

  /// A release of given parts.
  public init(key: [UInt8], signature: Signature) { (self.key, self.signature) = (key, signature) }

  /// What the hospital signs.
  public static func signedBytes(network: Digest, question: ReleaseQuestion, key: [UInt8]) -> [UInt8] {
    Array("consilium/release/v1\0".utf8) + network.bytes + question.encoded + key
  }

  /// Key, signature.
  public func encode(into encoder: inout Encoder) {
    encoder.blob(self.key)
    encoder.item(self.signature)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.key = try decoder.blob(max: 1024, "released key")
    self.signature = try Signature(from: &decoder)
  }
}

/// What a record's identifier is made of besides the network and the hospital.
///
/// ⚑ A hospital shows this when it offers a record. Before the record is anchored only the hospital that made it knows
/// these parts, so nobody else can leave anything in a vault under that identifier (RECORDS §3.5).
public struct RecordOrigin: Sendable, Hashable, WireCodable {
  /// The patient's account.
  public let patient: Digest
  /// The hash-lock.
  public let hashLock: Digest

  /// An origin of given parts.
  public init(patient: Digest, hashLock: Digest) { (self.patient, self.hashLock) = (patient, hashLock) }
  /// The origin of what is to be anchored.
  public init(of anchor: RecordAnchor) { self.init(patient: anchor.patient, hashLock: anchor.hashLock) }

  /// The identifier of the record that a hospital makes of it.
  public func record(of hospital: MemberID, network: Digest) -> Digest {
    RecordAnchor.identifier(network: network, hospital: hospital, patient: self.patient, hashLock: self.hashLock)
  }

  /// ⚑ Whether a hospital made the records of some parts itself, each by the origin at its part's place.
  public static func areOwn(
    _ parts: [RecordPart], of origins: [RecordOrigin], by hospital: MemberID, network: Digest
  ) -> Bool {
    origins.count == parts.count
      && zip(parts, origins).allSatisfy { $0.record == $1.record(of: hospital, network: network) }
  }

  /// Patient, hash-lock.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.patient)
    encoder.digest(self.hashLock)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.patient = try decoder.digest()
    self.hashLock = try decoder.digest()
  }
}

/// What a vault signs once parts of records are on its disk.
public enum KeepReceipt {
  /// The signed bytes.
  public static func signedBytes(network: Digest, question: MemberQuestion) -> [UInt8] {
    Array("consilium/kept/v1\0".utf8) + network.bytes + Hash.sha256(question.encoded).bytes
  }
}

/// What one member's services ask another's.
public enum MemberQuestion: Sendable, Hashable, WireCodable {
  /// A sealed record that the other keeps, from a chunk on.
  case object(Digest, from: Int)
  /// Keep these parts of sealed records, each with what its identifier is made of; without any where the first rules
  /// hold, whose programs do not read them.
  case keep([RecordPart], of: [RecordOrigin])
  /// The key of a record that the other wrote before there was a custody key.
  case hospitalKey(ReleaseQuestion)
  /// The other's share for opening a capsule.
  case share(ReleaseQuestion, capsule: [UInt8])
  /// The boxes of a record's key, as the hospital that wrote it has them.
  case boxes(Digest)
  /// The proof that the other keeps a chunk of a record. Who only follows the ledger may ask this, and nothing else.
  case proof(Digest, chunk: Int)

  /// A type byte and the content.
  public func encode(into encoder: inout Encoder) {
    switch self {
    case .object(let record, let start): encoder.u8(1); encoder.digest(record); encoder.u16(UInt16(start))
    case .keep(let parts, let origins) where origins.isEmpty: encoder.u8(4); encoder.list(parts)
    case .keep(let parts, let origins): encoder.u8(7); encoder.list(parts); encoder.list(origins)
    case .hospitalKey(let question): encoder.u8(2); encoder.item(question)
    case .share(let question, let capsule): encoder.u8(3); encoder.item(question); encoder.blob(capsule)
    case .boxes(let record): encoder.u8(6); encoder.digest(record)
    case .proof(let record, let chunk): encoder.u8(5); encoder.digest(record); encoder.u16(UInt16(chunk))
    }
  }
  /// Reads a question.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    switch try decoder.u8() {
    case 1: self = .object(try decoder.digest(), from: Int(try decoder.u16()))
    case 4: self = .keep(try decoder.list(max: RecordPart.partsMax, "parts"), of: [])
    case 2: self = .hospitalKey(try ReleaseQuestion(from: &decoder))
    case 3: self = .share(try ReleaseQuestion(from: &decoder), capsule: try decoder.blob(max: 1024, "capsule"))
    case 6: self = .boxes(try decoder.digest())
    case 5: self = .proof(try decoder.digest(), chunk: Int(try decoder.u16()))
    case 7:
      let parts: [RecordPart] = try decoder.list(max: RecordPart.partsMax, "parts")
      let at = decoder.offset
      let origins: [RecordOrigin] = try decoder.list(max: RecordPart.partsMax, "origins")
      guard !origins.isEmpty, origins.count == parts.count else { throw .invalid(at: at, field: "origins") }
      self = .keep(parts, of: origins)
    default: throw .invalid(at: start, field: "question")
    }
  }
}

/// Whether a custodian may answer: a pure function of its own executed state (RECORDS §5, "release").
public enum ReleasePolicy {
  /// The ephemeral key to which the record's key is released, and the record.
  ///
  /// - Throws: `ReleaseRefusal` where no granted request of an account that stands names the record, inside its window.
  public static func judge(
    _ question: ReleaseQuestion, at time: Timestamp, in state: some StateReader
  ) throws(ReleaseRefusal) -> (ephemeralKey: Digest, record: RecordEntry) {
    guard let (_, access) = AccessEntry.find(request: question.request, in: state) else { throw .unknownRequest }
    guard access.outcome == .applied || planted(.releaseWithoutGrant) else { throw .notGranted }
    // ⚑ A request that was granted before its account was suspended opens nothing afterwards.
    let reader = state.item(StateKey.account(access.reader), as: Account.self)
    guard reader?.isActive(at: time) == true || planted(.releaseToSuspended) else { throw .readerInactive }
    guard access.request.records.contains(question.record) else { throw .otherRecord }
    guard time <= access.releaseUntil || planted(.releaseNeverEnds) else { throw .windowOver }
    guard let record = state.item(StateKey.record(question.record), as: RecordEntry.self) else {
      throw .otherRecord
    }
    guard !record.isErased else { throw .erased }
    return (access.request.ephemeralKey, record)
  }
}

extension ReleasePolicy {
  /// The capsule of a record whose release was judged, if it is the anchored one and its maker knew what is inside.
  ///
  /// - Throws: `ReleaseRefusal.badCapsule` otherwise.
  public static func capsule(
    _ bytes: [UInt8], of record: RecordEntry, network: Digest, in state: some StateReader
  ) throws(ReleaseRefusal) -> (capsule: Capsule, custody: CustodyKey) {
    guard SealedRecord.digest(ofBox: bytes) == record.anchor.capsule || planted(.capsuleUnjudged),
      let capsule = try? Capsule.decode(bytes),
      let custody = state.item(StateKey.custodyKey(capsule.generation), as: CustodyKey.self),
      capsule.isValid(for: custody, label: record.anchor.label(network: network, custody: custody))
        || planted(.capsuleUnjudged)
    else { throw .badCapsule }
    return (capsule, custody)
  }
}

/// The author's hospital as the only custodian of records that it wrote before there was a custody key.
public struct AuthoringHospital {
  private let sealingSecret: [UInt8]

  /// The custodian with the hospital's X25519 secret.
  public init(sealingSecret: [UInt8]) { self.sealingSecret = sealingSecret }

  /// The record's key, sealed to `ephemeralKey`; nil where the record is not this hospital's, or in custody: ⚑ then no
  /// hospital alone releases it, not even the one that wrote it.
  public func reseal(_ sealed: SealedHead, to ephemeralKey: Digest) -> [UInt8]? {
    sealed.boxes.capsule.isEmpty ? self.resealInPartition(sealed, to: ephemeralKey) : nil
  }

  /// The same for a question, signed.
  public func release(
    _ sealed: SealedHead, for question: ReleaseQuestion, to ephemeralKey: Digest, network: Digest,
    signedBy signer: borrowing SigningKey
  ) -> HospitalRelease? {
    guard sealed.record == question.record, let key = self.reseal(sealed, to: ephemeralKey) else { return nil }
    let signed = HospitalRelease.signedBytes(network: network, question: question, key: key)
    return HospitalRelease(key: key, signature: signer.sign(signed))
  }

  /// The record's key out of the hospital's own copy, sealed to `ephemeralKey`: for a `PartitionOpening` that is
  /// durable in the hospital's lane, and for nothing else.
  public func resealInPartition(_ sealed: SealedHead, to ephemeralKey: Digest) -> [UInt8]? {
    SealedRecord.key(in: sealed.boxes.hospitalCopy, of: sealed.record, secret: self.sealingSecret).flatMap {
      SealedBox.seal(sealed.record.bytes + $0, to: ephemeralKey.bytes)
    }
  }
}
