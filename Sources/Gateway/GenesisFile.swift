public import Messages
internal import Primitives
internal import Signing

/// A member's public description, which it gives to whoever makes the genesis.
public struct MemberFile: Codable {
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

  /// The description of a member.
  public init(_ member: Member) {
    (self.number, self.name) = (member.id.number, member.name)
    (self.key, self.checkpointKey) = (member.key.description, member.checkpointKey.description)
    (self.registrarKey, self.sealingKey) = (member.registrarKey.description, member.sealingKey.description)
    self.addresses = member.addresses
  }

  /// The description of a member of whom the API told.
  public init(_ view: MemberView) {
    (self.number, self.name, self.key, self.checkpointKey) = (view.number, view.name, view.key, view.checkpointKey)
    (self.registrarKey, self.sealingKey) = (view.registrarKey, view.sealingKey)
    self.addresses = view.addresses
  }
}

/// The genesis as a file for people; its canonical binary form is what the network identifier digests.
public struct GenesisFile: Codable {
  /// Its name.
  public var name: String
  /// How it orders.
  public var engine: String
  /// The network's identifier: the digest of the rest.
  public var network: String
  /// The first members.
  public var members: [MemberFile]
  /// The ledger's limits, by name.
  public var limits: [String: UInt64]

  /// The file of a genesis.
  public init(_ genesis: Genesis) {
    let limits = genesis.limits
    (self.name, self.engine, self.network) = (genesis.name, "\(genesis.engine)", genesis.network.description)
    self.members = genesis.members.map(MemberFile.init)
    self.limits = [
      "pipelineMax": limits.pipelineMax, "cutTransactionsMax": limits.cutTransactionsMax,
      "cutBytesMax": limits.cutBytesMax, "checkpointInterval": limits.checkpointInterval,
      "transactionLifeMilliseconds": limits.transactionLifeMilliseconds,
      "clockDriftMilliseconds": limits.clockDriftMilliseconds, "blockBytesMax": UInt64(limits.blockBytesMax),
      "transactionBytesMax": UInt64(limits.transactionBytesMax),
    ]
    if limits.rules != .first {
      self.limits["rulesVersion"] = UInt64(limits.rules.version)
      self.limits["emergencyAgeMilliseconds"] = limits.rules.emergencyAgeMilliseconds
    }
  }
}
