public import Messages
public import Primitives
public import Rules
public import Threshold
internal import Wire

/// How many live records of a hospital's there are under something.
public struct HospitalRecords: Sendable, Hashable {
  /// The hospital that wrote them.
  public let hospital: MemberID
  /// How many.
  public let count: UInt64
  /// So many records of a hospital.
  public init(hospital: MemberID, count: UInt64) { (self.hospital, self.count) = (hospital, count) }
}

/// How far records under a custody key are from opening for nobody else: who has a share, and how many it takes.
///
/// ⚑ Only the newest key's shares are dealt again. Of one that goes out of use each member that leaves, or goes on
/// under new keys, takes a share away for good (RECORDS §5, "rotation").
public struct CustodyStanding: Sendable, Hashable {
  /// Which key.
  public let generation: UInt64
  /// Whether it goes out of use.
  public let isRetiring: Bool
  /// t: how many shares open a record's key.
  public let needed: Int
  /// What t is of a key that is dealt among all that vote now.
  public let neededOfAll: Int
  /// How many members vote.
  public let voterCount: Int
  /// The members that vote and have a share, in the order of their numbers.
  public let custodians: [MemberID]
  /// The live records under it, in the order of their hospitals' numbers; no hospital without any.
  public let records: [HospitalRecords]

  /// The standing of a key that is in use.
  public init(_ key: CustodyKey, in configuration: Configuration, _ state: some StateReader) {
    self.generation = key.generation
    self.isRetiring = CustodyKeys(in: state).retiringGeneration == key.generation
    self.needed = key.threshold
    self.neededOfAll = CustodyQuorums(configuration).threshold(participants: configuration.voterCount)
    self.voterCount = configuration.voterCount
    self.custodians = key.holders(in: configuration).map { configuration.members[$0].id }
    self.records = HospitalRecords.live(under: key.generation, in: state)
  }

  /// The keys in use, the older one first.
  public static func all(in configuration: Configuration, _ state: some StateReader) -> [CustodyStanding] {
    CustodyKeys(in: state).all.map { CustodyStanding($0, in: configuration, state) }
  }
}

extension CustodyKey {
  /// The members of a configuration that vote and have a share.
  public func holders(in configuration: Configuration) -> [ReplicaIndex] {
    configuration.voters.filter { self.custodians.contains($0) }
  }
}

extension HospitalRecords {
  /// The live records that are sealed to a custody key, by hospital.
  static func live(under generation: UInt64, in state: some StateReader) -> [HospitalRecords] {
    state.scan(prefix: StateKey.liveRecords(generation: generation), limit: ReplicaSet.countMax).map { pair in
      var decoder = Decoder(pair.value)
      let number = pair.key.suffix(8).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      return HospitalRecords(hospital: MemberID(number), count: (try? decoder.u64()) ?? 0)
    }
  }
}

/// A search for the live records under the present custody key that no hospital can seal to another: those of a
/// hospital that left, and those that one wrote before it went on under another sealing key.
///
/// It is made in steps, so that nobody waits for a long one, and looks at records only where a hospital got other keys.
/// ⚑ What the old node of such a hospital still wrote after the change of its keys was signed is not among them.
public struct LeftRecordsSearch: Sendable {
  private let generation: UInt64
  /// By hospital the place in the log below which its records are of an older sealing key.
  private var bounds: [MemberID: UInt64] = [:]
  private var counts: [MemberID: UInt64] = [:]
  /// How many records of those hospitals are still to be seen.
  private var left: UInt64 = 0
  private var last = StateKey.records

  /// A search in the state that a configuration executes; `genesis` is the consortium's first.
  public init(in configuration: Configuration, genesis: Configuration, _ state: some StateReader) {
    self.generation = CustodyKeys(in: state).currentGeneration
    let live = HospitalRecords.live(under: self.generation, in: state)
    let renewed = Self.renewed(upTo: configuration, genesis: genesis, state)
    for records in live {
      let index = configuration.index(of: records.hospital)
      if !(index.map { configuration.isVoter($0) } ?? false) {
        self.counts[records.hospital] = records.count
      } else if let bound = renewed[records.hospital] {
        self.bounds[records.hospital] = bound
        self.left += records.count
      }
    }
  }

  /// The hospitals that went on under another sealing key, each with the size of the log under the tree head by which
  /// it last did.
  private static func renewed(
    upTo configuration: Configuration, genesis: Configuration, _ state: some StateReader
  ) -> [MemberID: UInt64] {
    var (before, out) = (genesis, [MemberID: UInt64]())
    while before.number < configuration.number {
      let next = ConfigurationNumber(before.number.number + 1)
      guard let record = state.item(StateKey.configuration(next), as: ConfigurationRecord.self) else { break }
      for (old, new) in zip(before.members, record.configuration.members) where old.sealingKey != new.sealingKey {
        out[new.id] = record.checkpoint.body.size
      }
      before = record.configuration
    }
    return out
  }

  /// What was found so far, in the order of the hospitals' numbers.
  public var found: [HospitalRecords] {
    self.counts.sorted { $0.key < $1.key }.map { HospitalRecords(hospital: $0.key, count: $0.value) }
  }

  /// Looks at that many more records; says whether any are left to look at.
  public mutating func step(countMax: Int, in state: some StateReader) -> Bool {
    for _ in 0..<countMax {
      guard self.left > 0, let pair = state.next(after: self.last, prefix: StateKey.records, inclusive: false) else {
        return false
      }
      self.last = pair.key
      guard let entry = try? RecordEntry.decode(pair.value), !entry.isErased, entry.generation == self.generation,
        let bound = self.bounds[entry.hospital]
      else { continue }
      self.left -= 1
      if entry.leaf < bound { self.counts[entry.hospital, default: 0] += 1 }
    }
    return self.left > 0
  }
}
