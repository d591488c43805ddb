internal import Rules
internal import Merkle
public import Messages
public import Primitives
internal import Signing
public import Wire

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
  /// The decision is not that of the snapshot, or no quorum made it.
  case decision
  /// A change of members that leads to the tree head's configuration is missing, or does not hold.
  case configuration(ConfigurationNumber)

  /// What is wrong.
  public var description: String {
    switch self {
    case .checkpoint: "the signed tree head is malformed or another network's"
    case .quorum(let have, let need): "\(have) members' signatures hold, \(need) are needed"
    case .inclusion: "the entry does not stand in the log under that tree head"
    case .entry: "the entry's bytes are no log entry"
    case .decision: "the decision is not the snapshot's, or no quorum of its members made it"
    case .configuration(let number):
      "the change of members that opened configuration \(number.number) is missing or does not hold"
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

  /// The changes of members, each proved from a log's tiles and entries; nil where one of these is missing.
  public static func changes(
    _ records: [ConfigurationRecord], from genesis: Genesis, tiles: some LogTiles, entry: (UInt64) -> [UInt8]?
  ) -> [LogProof]? {
    var out: [LogProof] = []
    var configuration = genesis.configuration
    for record in records {
      let (leaf, checkpoint) = (record.leaf, record.checkpoint)
      guard let entry = entry(leaf),
        let path = MerkleProver(nodes: tiles).inclusion(index: leaf, size: checkpoint.body.size)
      else { return nil }
      out.append(LogProof(leaf: leaf, entry: entry, path: path, checkpoint: checkpoint.note(in: configuration)))
      configuration = record.configuration
    }
    return out
  }

  /// The entry, and the tree head that Q members of its configuration signed over it.
  ///
  /// - Throws: `ProofFault` where a step does not hold.
  public func verify(
    by chain: ConfigurationChain
  ) throws(ProofFault) -> (entry: LogEntry, checkpoint: StableCheckpoint) {
    let stable = try StableCheckpoint(note: self.checkpoint, by: chain)
    let verifies = MerkleProof.verifiesInclusion(
      leaf: MerkleHash.leaf(self.entry), index: self.leaf, size: stable.body.size, path: self.path,
      root: stable.body.root)
    guard verifies else { throw .inclusion }
    guard let entry = try? LogEntry.decode(self.entry) else { throw .entry }
    return (entry, stable)
  }
}

extension LogProof: WireCodable {
  /// Leaf, entry (blob), path, tree head (text).
  public func encode(into encoder: inout Encoder) {
    encoder.u64(self.leaf)
    encoder.blob(self.entry)
    encoder.list(self.path)
    encoder.text(self.checkpoint)
  }
  /// Reads a proof.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.leaf = try decoder.u64()
    self.entry = try decoder.blob(max: decoder.remaining, "log entry")
    self.path = try decoder.list(max: 64, "audit path")
    self.checkpoint = try decoder.text(max: 1 << 20, "tree head")
  }
}

/// The configurations as somebody outside knows them: from the genesis on, each by a change that the one before proves
/// (LEDGER §8).
public struct ConfigurationChain: Sendable {
  /// The network.
  public let network: Digest
  /// The configurations, by number. Where one begins is not proved here: at the latest after its change's tree head.
  public private(set) var configurations: [Configuration]
  /// The changes that were proved here, in order, with the ledger's time at which each was executed.
  public private(set) var changes: [(next: Configuration, time: Timestamp)] = []

  /// The chain that begins with a genesis.
  public init(_ genesis: Genesis) { (self.network, self.configurations) = (genesis.network, [genesis.configuration]) }

  /// A chain that is known already, of a node.
  public init(network: Digest, trusted configurations: [Configuration]) {
    (self.network, self.configurations) = (network, configurations)
  }

  /// The last one.
  public var last: Configuration { self.configurations[self.configurations.count - 1] }

  /// The configuration of a number; nil where the chain does not reach it.
  public subscript(number: ConfigurationNumber) -> Configuration? {
    Int(number.number) < self.configurations.count ? self.configurations[Int(number.number)] : nil
  }

  /// Goes on by proofs of changes, each under a tree head that a quorum of the configuration before signed. ⚑ What is
  /// known already is passed over, so that a chain is only ever continued.
  ///
  /// - Throws: `ProofFault` at the first that does not hold.
  public mutating func extend(by proofs: [LogProof]) throws(ProofFault) {
    for proof in proofs.dropFirst(self.configurations.count - 1) {
      let (entry, checkpoint) = try proof.verify(by: self)
      let current = self.last
      let fault = ProofFault.configuration(ConfigurationNumber(current.number.number + 1))
      guard checkpoint.body.configuration == current.number, entry.outcome == .applied,
        entry.transaction.kind == ApprovedChange.transactionKind,
        let approved = try? ApprovedChange.decode(entry.transaction.payload),
        approved.change.configuration == current.number,
        let next = try? current.changed(by: approved.change.action, start: checkpoint.body.sequence.next)
      else { throw fault }
      self.configurations.append(next)
      self.changes.append((next, entry.time))
    }
  }
}

extension StableCheckpoint {
  /// Reads a signed note and checks that Q members of the configuration that it names cosigned it.
  ///
  /// - Throws: `ProofFault` where it is malformed or signed by too few; lines of other signers are passed over.
  public init(note: String, by chain: ConfigurationChain) throws(ProofFault) {
    guard note.utf8.count < 1 << 20 else { throw .checkpoint }
    let all = note.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard let end = all.firstIndex(of: ""),
      let body = CheckpointBody(text: all[..<end].joined(separator: "\n") + "\n", network: chain.network)
    else { throw .checkpoint }
    guard let configuration = chain[body.configuration] else { throw .configuration(body.configuration) }
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
