// Goal: whoever is about to change the custody key or the members is told which records that closes for the other
// hospitals (RECORDS §5, "rotation"). Method: the state as the rules leave it, and what is read out of it.
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Threshold
import Wire

@Suite("Custody: who has shares, and what hangs on them")
struct CustodyStandingTests {
  static func set(_ members: [ReplicaIndex]) -> ReplicaSet {
    var out = ReplicaSet()
    for member in members { out.insert(member) }
    return out
  }

  static func key(_ generation: UInt64, threshold: Int, custodians: [ReplicaIndex]) -> CustodyKey {
    let commitments = (1...threshold).map { Scalar(reducing: [UInt8](repeating: UInt8($0), count: 64)).times }
    let all = self.set([0, 1, 2, 3])
    return CustodyKey(
      generation: generation, commitments: commitments, custodians: self.set(custodians), attempt: generation,
      dealers: all, participants: all)
  }

  /// Puts keys into use, the newest last.
  static func use(_ keys: [CustodyKey], in world: inout World) {
    var generation = KeyGeneration(configuration: world.configuration.number, deadline: .never)
    for _ in keys.dropFirst() {
      generation = KeyGeneration(after: generation, configuration: world.configuration.number, deadline: .never)
    }
    world.state.apply([StateWrite(key: StateKey.generation, value: generation.encoded)])
    for key in keys {
      world.state.apply([StateWrite(key: StateKey.custodyKey(key.generation), value: key.encoded)])
    }
  }

  static func write(_ count: UInt64, under generation: UInt64, of hospital: UInt32, in world: inout World) {
    var number = Encoder()
    number.u64(count)
    world.state.apply([
      StateWrite(key: StateKey.liveRecords(generation: generation, of: MemberID(hospital)), value: number.bytes)
    ])
  }

  static func renewed(_ world: World, _ index: ReplicaIndex, sealingKey: Digest) -> Member {
    let name = "renewed \(world.configuration.number.number)"
    return Member(
      id: world.configuration.members[index].id, name: "Renewed", key: World.key("\(name) member").publicKey,
      checkpointKey: World.key("\(name) checkpoint").publicKey,
      registrarKey: world.configuration.members[index].registrarKey, sealingKey: sealingKey, addresses: [])
  }

  /// The members change: a tree head over all that is there proves it.
  private static func change(_ action: MembershipAction, in world: inout World) throws {
    let start = SequenceNumber(world.leaf + 1)
    let next = try world.configuration.changed(by: action, start: start)
    let body = CheckpointBody(
      network: world.network, size: world.leaf, root: Hash.sha256([1]), sequence: start, stateDigest: .zero,
      configuration: world.configuration.number)
    let head = StableCheckpoint(
      body: body,
      cosignatures: (0..<3).map { Cosignature(body, signer: $0, seconds: 1, key: World.key("member \($0 + 1)")) })
    let record = ConfigurationRecord(next, leaf: world.leaf, checkpoint: head)
    world.state.apply([StateWrite(key: StateKey.configuration(next.number), value: record.encoded)])
    world.configuration = next
  }

  @Test("Of each key in use: who votes and has a share, how many it takes, and should, and whose records are under it")
  func standings() throws {
    var world = World()
    #expect(CustodyStanding.all(in: world.configuration, world.state).isEmpty)
    Self.use([Self.key(1, threshold: 3, custodians: [0, 1, 2, 3])], in: &world)
    let alone = try #require(CustodyStanding.all(in: world.configuration, world.state).first)
    #expect(!alone.isRetiring && alone.records.isEmpty && alone.voterCount == 4)
    #expect((alone.needed, alone.neededOfAll) == (3, 3))
    #expect(alone.custodians == (1...4).map { MemberID($0) })
    // Key 1 lost two members' shares; key 2 was dealt while one was away.
    Self.use(
      [Self.key(1, threshold: 3, custodians: [0, 1]), Self.key(2, threshold: 2, custodians: [0, 1, 2])], in: &world)
    Self.write(9, under: 1, of: 3, in: &world)
    Self.write(2, under: 2, of: 1, in: &world)
    Self.write(5, under: 2, of: 4, in: &world)
    let both = CustodyStanding.all(in: world.configuration, world.state)
    #expect(both.map(\.generation) == [1, 2] && both.map(\.isRetiring) == [true, false])
    #expect(both.map(\.needed) == [3, 2] && both.map(\.neededOfAll) == [3, 3])
    #expect(both[0].custodians == [MemberID(1), MemberID(2)])
    #expect(both[0].records == [HospitalRecords(hospital: MemberID(3), count: 9)])
    #expect(
      both[1].records == [
        HospitalRecords(hospital: MemberID(1), count: 2), HospitalRecords(hospital: MemberID(4), count: 5),
      ])
    // Who left gives no share, though the key names it.
    try Self.change(.remove(MemberID(2)), in: &world)
    let left = CustodyStanding.all(in: world.configuration, world.state)
    #expect(left[0].custodians == [MemberID(1)] && left[0].voterCount == 3 && left[0].neededOfAll == 2)
  }

  @Test("A rotation leaves what a hospital wrote before it got another sealing key, and all of one that left; no more")
  func left() throws {
    var world = World()
    let genesis = world.configuration
    for hospital: UInt32 in 1...3 { world.register("patient \(hospital)", .patient, at: hospital) }
    Self.use([Self.key(1, threshold: 3, custodians: [0, 1, 2, 3])], in: &world)
    func found() -> [HospitalRecords] {
      var search = LeftRecordsSearch(in: world.configuration, genesis: genesis, world.state)
      var steps = 0
      while search.step(countMax: 1, in: world.state) { steps += 1 }
      #expect(steps <= world.state.count)
      return search.found
    }
    let before = (1...3).map { world.anchor(UInt8($0), of: "patient \($0)", at: UInt32($0)) }
    for (hospital, anchor) in zip(1..., before) {
      #expect(world.run(.anchorRecord, anchor, at: UInt32(hospital)) == .applied)
    }
    #expect(found().isEmpty)
    // Another node key alone: what is sealed to the hospital opens for it as before.
    try Self.change(.replace(Self.renewed(world, 0, sealingKey: .zero)), in: &world)
    #expect(found().isEmpty)
    try Self.change(.replace(Self.renewed(world, 1, sealingKey: Hash.sha256([2]))), in: &world)
    #expect(found() == [HospitalRecords(hospital: MemberID(2), count: 1)])
    #expect(world.run(.anchorRecord, world.anchor(9, of: "patient 2", at: 2), at: 2) == .applied)
    #expect(found() == [HospitalRecords(hospital: MemberID(2), count: 1)], "what it wrote since is its own")
    try Self.change(.remove(MemberID(3)), in: &world)
    #expect(found() == [2, 3].map { HospitalRecords(hospital: MemberID($0), count: 1) })
    // What is erased keeps no key in use.
    #expect(world.run(.eraseRecord, before[1].record, at: 2, by: "patient 2") == .applied)
    #expect(found() == [HospitalRecords(hospital: MemberID(3), count: 1)])
    try Self.change(.replace(Self.renewed(world, 1, sealingKey: Hash.sha256([3]))), in: &world)
    #expect(found() == [2, 3].map { HospitalRecords(hospital: MemberID($0), count: 1) })
  }
}
