public import Primitives
public import Signing
public import Wire

/// A signed tree head in C2SP `tlog-checkpoint` form (LEDGER §6).
///
/// Body: origin `consilium/<network>`, size, root (base64), then the extension lines `sequence`, `state` and
/// `configuration`, each ended by a line feed.
public struct CheckpointBody: Sendable, Hashable {
  /// The network.
  public let network: Digest
  /// The log's size.
  public let size: UInt64
  /// Its root.
  public let root: Digest
  /// The last executed sequence number.
  public let sequence: SequenceNumber
  /// The chained state digest there.
  public let stateDigest: Digest
  /// The configuration that signs.
  public let configuration: ConfigurationNumber

  /// A body of given parts.
  public init(
    network: Digest, size: UInt64, root: Digest, sequence: SequenceNumber, stateDigest: Digest,
    configuration: ConfigurationNumber
  ) {
    (self.network, self.size, self.root) = (network, size, root)
    (self.sequence, self.stateDigest, self.configuration) = (sequence, stateDigest, configuration)
  }

  /// The log's origin: the name of every plain note signature's key.
  public static func origin(network: Digest) -> String { "consilium/\(network)" }

  /// The text that is signed.
  public var text: String {
    """
    \(Self.origin(network: self.network))
    \(self.size)
    \(Base64.encode(self.root.bytes))
    sequence \(self.sequence)
    state \(self.stateDigest)
    configuration \(self.configuration.number)

    """
  }

  /// Reads a text; nil where it is not exactly a body of this form.
  public init?(text: String, network: Digest) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard lines.count == 7, lines[0] == Self.origin(network: network), let size = UInt64(lines[1]),
      let root = Base64.decode(lines[2]).flatMap({ Digest($0) }),
      let sequence = Self.field("sequence ", lines[3]).flatMap({ UInt64($0) }), sequence < 1 << 48,
      let state = Self.field("state ", lines[4]).flatMap({ Hex.decode($0) }).flatMap({ Digest($0) }),
      let configuration = Self.field("configuration ", lines[5]).flatMap({ UInt32($0) })
    else { return nil }
    self.init(
      network: network, size: size, root: root, sequence: SequenceNumber(sequence), stateDigest: state,
      configuration: ConfigurationNumber(configuration))
    guard self.text == text else { return nil }
  }

  private static func field(_ name: String, _ line: String) -> String? {
    line.hasPrefix(name) ? String(line.dropFirst(name.count)) : nil
  }
}

/// One member's two signatures of a checkpoint: as the log (plain note) and as a cosigner (`cosignature/v1`).
public struct Cosignature: Sendable, Hashable {
  /// The member.
  public let signer: ReplicaIndex
  /// The last executed sequence number of the body.
  public let sequence: SequenceNumber
  /// The body's digest, to tell members apart that diverge.
  public let body: Digest
  /// Seconds since 1970 at which the cosignature was made.
  public let seconds: UInt64
  /// Over the body, by the member's checkpoint key under the origin's name.
  public let note: Signature
  /// Over `cosignature/v1`, the time and the body, by the same key under the member's own name.
  public let cosignature: Signature

  /// Signs a body with the checkpoint key of replica `signer`.
  public init(
    _ body: CheckpointBody, signer: ReplicaIndex, seconds: UInt64, key: borrowing SigningKey
  ) {
    (self.signer, self.sequence, self.seconds) = (signer, body.sequence, seconds)
    self.body = Self.digest(of: body)
    self.note = key.sign(Array(body.text.utf8))
    self.cosignature = key.sign(Self.cosigned(body, seconds))
  }

  /// Signatures that were read from a note; `isAuthentic` judges them.
  public init(
    signer: ReplicaIndex, sequence: SequenceNumber, body: Digest, seconds: UInt64, note: Signature,
    cosignature: Signature
  ) {
    (self.signer, self.sequence, self.body) = (signer, sequence, body)
    (self.seconds, self.note, self.cosignature) = (seconds, note, cosignature)
  }

  /// The digest of a body.
  public static func digest(of body: CheckpointBody) -> Digest {
    Hash.sha256(Array(body.text.utf8))
  }

  private static func cosigned(_ body: CheckpointBody, _ seconds: UInt64) -> [UInt8] {
    Array("cosignature/v1\ntime \(seconds)\n\(body.text)".utf8)
  }

  /// Whether both signatures are the signer's over `body`.
  public func isAuthentic(for body: CheckpointBody, in configuration: Configuration) -> Bool {
    guard configuration.isVoter(self.signer), self.body == Self.digest(of: body) else { return false }
    let key = configuration.members[self.signer].checkpointKey
    return key.verifies(self.cosignature, of: Self.cosigned(body, self.seconds))
      && key.verifies(self.note, of: Array(body.text.utf8))
  }
}

extension Cosignature: WireCodable {
  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.u16(UInt16(self.signer))
    encoder.item(self.sequence)
    encoder.digest(self.body)
    encoder.u64(self.seconds)
    encoder.item(self.note)
    encoder.item(self.cosignature)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.signer = Int(try decoder.u16())
    self.sequence = try SequenceNumber(from: &decoder)
    self.body = try decoder.digest()
    self.seconds = try decoder.u64()
    self.note = try Signature(from: &decoder)
    self.cosignature = try Signature(from: &decoder)
  }
}

/// A checkpoint that Q members signed: what third parties verify.
public struct StableCheckpoint: Sendable, Hashable {
  /// What is signed.
  public let body: CheckpointBody
  /// Q cosignatures or more, by ascending signer.
  public let cosignatures: [Cosignature]

  /// A checkpoint of given parts.
  public init(body: CheckpointBody, cosignatures: [Cosignature]) {
    (self.body, self.cosignatures) = (body, cosignatures)
  }

  /// Whether Q distinct members of `configuration` signed it.
  public func isAuthentic(in configuration: Configuration) -> Bool {
    self.body.configuration == configuration.number
      && zip(self.cosignatures, self.cosignatures.dropFirst()).allSatisfy { $0.signer < $1.signer }
      && self.cosignatures.count >= configuration.quorum
      && self.cosignatures.allSatisfy { $0.isAuthentic(for: self.body, in: configuration) }
  }

  /// The signed note (C2SP `signed-note`): the body, an empty line, then each member's two signature lines.
  public func note(in configuration: Configuration) -> String {
    let origin = CheckpointBody.origin(network: self.body.network)
    var lines = ""
    for cosignature in self.cosignatures {
      let member = configuration.members[cosignature.signer]
      lines += Self.line(name: origin, type: 1, key: member.checkpointKey, cosignature.note.bytes)
      var encoder = Encoder()
      encoder.u64(cosignature.seconds.byteSwapped)
      lines += Self.line(
        name: Self.cosignerName(member), type: 4, key: member.checkpointKey,
        encoder.bytes + cosignature.cosignature.bytes)
    }
    return "\(self.body.text)\n\(lines)"
  }

  /// The name under which a member cosigns.
  public static func cosignerName(_ member: Member) -> String { "consilium.member.\(member.id.number)" }

  private static func line(name: String, type: UInt8, key: PublicKey, _ signature: [UInt8]) -> String {
    let keyDigest = Hash.sha256(Array("\(name)\n".utf8) + [type] + key.bytes)
    return "\u{2014} \(name) \(Base64.encode(Array(keyDigest.bytes.prefix(4)) + signature))\n"
  }
}

extension StableCheckpoint: WireCodable {
  /// The body's text (blob), cosignatures.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.body.network)
    encoder.text(self.body.text)
    encoder.list(self.cosignatures)
  }
  /// Reads a checkpoint.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    let network = try decoder.digest()
    guard let body = CheckpointBody(text: try decoder.text(max: 1024, "checkpoint"), network: network) else {
      throw .invalid(at: start, field: "checkpoint body")
    }
    self.body = body
    self.cosignatures = try decoder.list(max: ReplicaSet.countMax, "cosignatures")
  }
}
