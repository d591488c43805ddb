public import Messages
public import Primitives
internal import Signing

/// Which members' vaults keep a record: the same everywhere, and different for each record, so that every vault gets
/// its part (rendezvous hashing, Thaler & Ravishankar 1998).
public struct Placement: Sendable, Hashable {
  /// The members that have vaults.
  public let members: [ReplicaIndex]
  /// How many vaults keep a record, its hospital's among them: f + 2, so that it survives f members and a vault besides
  /// (RECORDS R8); all of them where there are fewer.
  public let copies: Int

  /// A placement among given members.
  public init(members: [ReplicaIndex], copies: Int) { (self.members, self.copies) = (members, copies) }

  /// The placement among the members of a configuration.
  public init(_ configuration: Configuration) {
    self.members = configuration.voters
    let wanted = configuration.faultyMax + (planted(.copiesTooFew) ? 1 : 2)
    self.copies = min(configuration.voterCount, wanted)
  }

  /// All members but the record's hospital, those that should keep a copy first.
  public func order(of record: Digest, from hospital: ReplicaIndex?) -> [ReplicaIndex] {
    let ranked = self.members.filter { $0 != hospital }.map { member in
      (member: member, weight: Hash.blake2b("consilium/placement/v1", record.bytes, [UInt8(member)]).prefix64)
    }
    return ranked.sorted { ($0.weight, $0.member) < ($1.weight, $1.member) }.map(\.member)
  }

  /// Whether a member should keep a record. Of a hospital that left, others keep as many copies as before.
  public func isHolder(_ member: ReplicaIndex, of record: Digest, from hospital: ReplicaIndex?) -> Bool {
    let others = hospital == nil ? self.copies : self.copies - 1
    return member == hospital || self.order(of: record, from: hospital).prefix(others).contains(member)
  }

  /// Whom to ask for a record: its hospital first, then those that should have a copy, then any.
  public func sources(of record: Digest, from hospital: ReplicaIndex?) -> [ReplicaIndex] {
    (hospital.map { [$0] } ?? []) + self.order(of: record, from: hospital)
  }

  /// Since when each member should keep what is placed with it after the last of some configurations, by the ledger's
  /// time at which each change was executed; whom it does not name has done so since the genesis.
  ///
  /// ⚑ A vault under other keys is empty at first; and where others vote than before, records are placed otherwise.
  public static func entrusted(
    since genesis: Configuration, _ changes: [(next: Configuration, time: Timestamp)]
  ) -> [ReplicaIndex: Timestamp] {
    var (since, before): ([ReplicaIndex: Timestamp], Configuration) = ([:], genesis)
    for (next, time) in changes {
      let isMoved = Placement(next) != Placement(before)
      for member in next.voters where isMoved || before.members[member].key != next.members[member].key {
        since[member] = time
      }
      before = next
    }
    return since
  }
}
