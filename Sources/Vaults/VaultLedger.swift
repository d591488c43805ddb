public import Messages
public import Primitives

/// What the ledger says of a record that vaults keep.
public struct AnchoredRecord: Sendable, Hashable {
  /// The record.
  public let record: Digest
  /// The hospital that wrote it; nil where that is no member any more.
  public let hospital: ReplicaIndex?
  /// The ciphertext's bytes.
  public let sizeBytes: UInt64
  /// Whether it was erased.
  public let isErased: Bool

  /// What an entry of the ledger says.
  public init(record: Digest, hospital: ReplicaIndex?, sizeBytes: UInt64, isErased: Bool) {
    (self.record, self.hospital, self.sizeBytes, self.isErased) = (record, hospital, sizeBytes, isErased)
  }
}

/// What a vault goes by: the ledger as its hospital executed it, and who can be asked now.
public protocol VaultLedger {
  /// The hospital whose vault it is; nil where it is no member.
  var own: ReplicaIndex? { get }
  /// Which vaults keep a record.
  var placement: Placement { get }
  /// Whom it has a connection to.
  var connected: ReplicaSet { get }
  /// The time of the last executed cut.
  var time: Timestamp { get }
  /// The time of the machine's own clock.
  var wall: Timestamp { get }
  /// Since when a member should keep what is placed with it now, by the ledger's time; nil where since the beginning.
  func entrusted(_ member: ReplicaIndex) -> Timestamp?
  /// What it says of a record; nil where it does not name it.
  func anchored(_ record: Digest) -> AnchoredRecord?
  /// The records after one, in the order of their identifiers, erased ones too.
  func anchored(after last: Digest?, countMax: Int) -> [AnchoredRecord]
}

extension VaultLedger {
  /// Whether a vault shows anything of a record. ⚑ Of an erased one nothing, whatever is still here (RECORDS R7).
  public func mayShow(_ record: Digest) -> Bool {
    planted(.erasedServed) || self.anchored(record)?.isErased != true
  }
}
