internal import Merkle
public import Messages
public import Primitives
internal import Signing
internal import Wire

/// Why a proof proves nothing.
public enum ProofFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// The tree head is not one of this network, or is malformed.
  case checkpoint
  /// Too few members signed the tree head.
  case quorum(have: Int, need: Int)
  /// The entry does not stand at that place under that tree head.
  case inclusion
  /// The entry's bytes are no log entry.
  case entry

  /// What is wrong.
  public var description: String {
    switch self {
    case .checkpoint: "the signed tree head is malformed or another network's"
    case .quorum(let have, let need): "\(have) members' signatures hold, \(need) are needed"
    case .inclusion: "the entry does not stand in the log under that tree head"
    case .entry: "the entry's bytes are no log entry"
    }
  }
}

/// A log entry that anyone can check with the genesis alone (RECORDS §6).
public struct LogProof: Sendable, Hashable {
  /// The entry's place.
  public let leaf: UInt64
  /// The entry's bytes.
  public let entry: [UInt8]
  /// The audit path, from the leaf up.
  public let path: [Digest]
  /// The signed note of the tree head.
  public let checkpoint: String

  /// A proof of given parts.
  public init(leaf: UInt64, entry: [UInt8], path: [Digest], checkpoint: String) {
    (self.leaf, self.entry, self.path, self.checkpoint) = (leaf, entry, path, checkpoint)
  }

  /// The entry, and the tree head that Q members signed over it.
  ///
  /// - Throws: `ProofFault` where a step does not hold.
  public func verify(
    network: Digest, in configuration: Configuration
  ) throws(ProofFault) -> (entry: LogEntry, checkpoint: StableCheckpoint) {
    let stable = try StableCheckpoint(note: self.checkpoint, network: network, in: configuration)
    let verifies = MerkleProof.verifiesInclusion(
      leaf: MerkleHash.leaf(self.entry), index: self.leaf, size: stable.body.size, path: self.path,
      root: stable.body.root)
    guard verifies else { throw .inclusion }
    guard let entry = try? LogEntry.decode(self.entry) else { throw .entry }
    return (entry, stable)
  }
}

extension StableCheckpoint {
  /// Reads a signed note and checks that Q members of `configuration` cosigned it.
  ///
  /// - Throws: `ProofFault` where it is malformed or signed by too few; lines of other signers are passed over.
  public init(note: String, network: Digest, in configuration: Configuration) throws(ProofFault) {
    guard note.utf8.count < 1 << 20 else { throw .checkpoint }
    let all = note.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard let end = all.firstIndex(of: ""),
      let body = CheckpointBody(text: all[..<end].joined(separator: "\n") + "\n", network: network),
      body.configuration == configuration.number
    else { throw .checkpoint }
    let lines = Array(all[(end + 1)...])
    var cosignatures: [Cosignature] = []
    for (index, member) in configuration.members.enumerated() {
      guard let cosignature = Self.cosignature(of: member, index, body, lines),
        cosignature.isAuthentic(for: body, in: configuration)
      else { continue }
      cosignatures.append(cosignature)
    }
    guard cosignatures.count >= configuration.quorum else {
      throw .quorum(have: cosignatures.count, need: configuration.quorum)
    }
    self.init(body: body, cosignatures: cosignatures)
  }

  private static func cosignature(
    of member: Member, _ index: ReplicaIndex, _ body: CheckpointBody, _ lines: [String]
  ) -> Cosignature? {
    let origin = CheckpointBody.origin(network: body.network)
    guard let note = self.payload(name: origin, type: 1, member, lines), let plain = Signature(note),
      let stamped = self.payload(name: self.cosignerName(member), type: 4, member, lines), stamped.count == 72,
      let signature = Signature(Array(stamped[8...]))
    else { return nil }
    let seconds = stamped[..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return Cosignature(
      signer: index, sequence: body.sequence, body: Cosignature.digest(of: body), seconds: seconds, note: plain,
      cosignature: signature)
  }

  /// What follows the key's hash in the line of this name and key.
  private static func payload(name: String, type: UInt8, _ member: Member, _ lines: [String]) -> [UInt8]? {
    let hash = Hash.sha256(Array("\(name)\n".utf8) + [type] + member.checkpointKey.bytes).bytes.prefix(4)
    let start = "\u{2014} \(name) "
    for line in lines where line.hasPrefix(start) {
      guard let bytes = Base64.decode(String(line.dropFirst(start.count))), bytes.starts(with: hash) else { continue }
      return Array(bytes.dropFirst(4))
    }
    return nil
  }
}
