// Goal: what the third version of the rules changed: nobody takes the last share of a custody key away, and no key is
// left with records under it, unless a quorum's registrars say so. Method: the same transactions under the second rules
// and the third, by their outcomes.
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Threshold
import Wire

private func code(_ refusal: Refusal) -> OutcomeCode { refusal.code }

extension World {
  /// Keys in use, the newest last, under a version of the rules.
  fileprivate static func keyed(
    _ version: UInt16, _ holders: [[ReplicaIndex]]
  ) throws -> World {
    var world = World()
    world.limits.rules = try #require(AgreedRules(version: version, emergencyAgeMilliseconds: 0))
    for hospital: UInt32 in 1...4 { world.register("patient \(hospital)", .patient, at: hospital) }
    world.hold(holders)
    return world
  }

  fileprivate mutating func hold(_ holders: [[ReplicaIndex]]) {
    CustodyStandingTests.use(
      holders.enumerated().map { number, members in
        CustodyStandingTests.key(UInt64(number + 1), threshold: 3, custodians: members)
      }, in: &self)
  }

  /// The making of the newest key is as after all but the members of `awaited` have stated good shares.
  fileprivate mutating func make(_ number: UInt64, awaiting awaited: Set<ReplicaIndex> = []) {
    var generation = KeyGeneration(configuration: self.configuration.number, deadline: .never)
    for _ in 1..<number {
      generation = KeyGeneration(after: generation, configuration: self.configuration.number, deadline: .never)
    }
    let quorums = CustodyQuorums(self.configuration)
    let voters = self.configuration.voters
    for member in voters { generation.register(member, quorums, nextDeadline: .never) }
    for member in voters { generation.deal(member, nextDeadline: .never) }
    for member in voters where !awaited.contains(member) {
      generation.confirm(member, good: generation.dealers, quorums)
    }
    self.state.apply([StateWrite(key: StateKey.generation, value: generation.encoded)])
  }

  fileprivate func approved(
    _ action: MembershipAction, losesRecords: Bool = false, signing signed: Bool? = nil
  ) -> ApprovedChange {
    func change(_ losesRecords: Bool) -> MembershipChange {
      MembershipChange(
        configuration: self.configuration.number, action: action, validUntil: .never, losesRecords: losesRecords)
    }
    let bytes = change(signed ?? losesRecords).signedBytes(network: self.network)
    return ApprovedChange(
      change(losesRecords),
      approvals: (0..<3).map {
        VoteSignature(signer: $0, signature: World.key("registrar \($0 + 1)").sign(bytes))
      })
  }

  fileprivate mutating func open() -> OutcomeCode {
    let body = CheckpointBody(
      network: self.network, size: self.leaf, root: Hash.sha256([1]), sequence: SequenceNumber(self.leaf),
      stateDigest: .zero, configuration: self.configuration.number)
    let head = StableCheckpoint(
      body: body,
      cosignatures: (0..<3).map { Cosignature(body, signer: $0, seconds: 1, key: World.key("member \($0 + 1)")) })
    return self.run(.openConfiguration, head)
  }

  /// The configuration that was opened begins.
  fileprivate mutating func begin() throws {
    let next = StateKey.configuration(ConfigurationNumber(self.configuration.number.number + 1))
    let record = try #require(self.state.item(next, as: ConfigurationRecord.self))
    let context = ExecutionContext(
      network: self.network, configuration: self.configuration, limits: self.limits,
      sequence: SequenceNumber(record.configuration.start.number - 1), time: self.time, leaf: self.leaf)
    var editor = StateEditor(reader: self.state)
    self.rules.expire(in: context, state: &editor)
    editor.commit()
    self.state.apply(editor.writes)
    self.configuration = record.configuration
  }

  fileprivate func renewal(_ index: ReplicaIndex, sealingKey: Digest = .zero) -> MembershipAction {
    .replace(CustodyStandingTests.renewed(self, index, sealingKey: sealingKey))
  }

  fileprivate mutating func rotate(
    _ generation: UInt64, leaving: Bool = false, by hospital: UInt32 = 1
  ) -> OutcomeCode {
    self.run(
      .rotateCustody, CustodyRotation(generation: generation, leavesRecords: leaving), at: hospital,
      by: "registrar \(hospital)")
  }

  fileprivate var generation: UInt64? { CustodyKeys(in: self.state).generation?.generation }
}

@Suite("Rules of the third version")
struct ThirdRulesTests {
  @Test(
    "⚑ Nobody leaves or gets other keys with a share that a key in use needs, the older one too",
    arguments: [2, 3] as [UInt16])
  func needed(version: UInt16) throws {
    for holders in [[[0, 1, 2], [0, 1, 2, 3]], [[0, 1, 2]]] as [[[ReplicaIndex]]] {
      var world = try World.keyed(version, holders)
      let refused = code(version == 2 ? .custodianNeeded : .shareNeeded)
      #expect(world.run(.changeMembers, world.approved(.remove(MemberID(1)))) == refused)
      // Whose share is not needed, and who keeps the key of its node, takes nothing.
      var other = world
      #expect(other.run(.changeMembers, other.approved(world.renewal(3))) == .applied)
      var moved = world
      let before = world.configuration.members[0]
      let member = Member(
        id: before.id, name: "Moved", key: before.key, checkpointKey: World.key("moved").publicKey,
        registrarKey: before.registrarKey, sealingKey: .zero, addresses: [])
      #expect(moved.run(.changeMembers, moved.approved(.replace(member))) == .applied)
      let renewed = world.run(.changeMembers, world.approved(world.renewal(0)))
      #expect(renewed == (version == 2 ? .applied : code(.shareNeeded)))
    }
    // With a share more than are needed one may go, and where too few are left nothing more is lost.
    for holders in [[0, 1, 2, 3], [0, 1]] as [[ReplicaIndex]] where version == 3 {
      var world = try World.keyed(version, [holders])
      #expect(world.run(.changeMembers, world.approved(.remove(MemberID(1)))) == .applied)
      world = try World.keyed(version, [holders])
      #expect(world.run(.changeMembers, world.approved(world.renewal(0))) == .applied)
    }
  }

  @Test("⚑ Where a quorum's registrars say that records may be lost by it, a dead member's place is taken")
  func stated() throws {
    var world = try World.keyed(3, [[0, 1, 2], [0, 1, 2]])
    // What was approved is what is said.
    let unsigned = world.approved(world.renewal(0), losesRecords: true, signing: false)
    #expect(world.run(.changeMembers, unsigned) == code(.tooFewApprovals))
    #expect(world.run(.changeMembers, world.approved(world.renewal(0), losesRecords: true)) == .applied)
    let pending = try #require(world.state.item(StateKey.pendingChange, as: PendingChange.self))
    #expect(pending.change.losesRecords)
    #expect("\(pending.change)".hasSuffix("even if records open for no other hospital after it"))
    #expect(world.open() == .applied)
    try world.begin()
    #expect(CustodyKeys(in: world.state).current?.holders(in: world.configuration) == [1, 2])
    // The rules before read no such change.
    for version in 1...2 as ClosedRange<UInt16> {
      var earlier = World()
      if version == 2 { earlier = try World.keyed(2, [[0, 1, 2]]) }
      let outcome = earlier.run(.changeMembers, earlier.approved(earlier.renewal(0), losesRecords: true))
      #expect(outcome == .malformed)
      #expect(earlier.rotate(1, leaving: true) == .malformed)
    }
    // Who joins takes no share, and nothing is said of it.
    let join = MembershipChange(
      configuration: ConfigurationNumber(0), action: .add(world.configuration.members[0]), validUntil: .never,
      losesRecords: true)
    #expect(!join.losesRecords)
    for change in [join, pending.change] { #expect(try MembershipChange.decode(change.encoded) == change) }
  }

  @Test("⚑ A change is dropped where shares were dealt to fewer since; none are stated while a configuration begins")
  func meanwhile() throws {
    var world = try World.keyed(3, [[0, 1, 2, 3]])
    #expect(world.run(.changeMembers, world.approved(world.renewal(0))) == .applied)
    world.hold([[0, 1, 2]])
    #expect(world.open() == code(.shareNeeded))
    #expect(world.state.value(StateKey.pendingChange) == nil)
    world.hold([[0, 1, 2, 3]])
    #expect(world.run(.changeMembers, world.approved(world.renewal(0))) == .applied)

    for version in 2...3 as ClosedRange<UInt16> {
      var late = try World.keyed(version, [[1, 2, 3]])
      late.make(1, awaiting: [0])
      #expect(late.run(.changeMembers, late.approved(late.renewal(0))) == .applied)
      #expect(late.open() == .applied)
      var good = ReplicaSet()
      for member in 0..<4 { good.insert(member) }
      let attempt = try #require(CustodyKeys(in: late.state).generation).attempt
      let said = late.run(.confirmShares, ShareConfirmation(attempt: attempt, good: good), at: 1)
      #expect(said == (version == 2 ? .applied : code(.notAwaited)))
    }
  }

  @Test("⚑ A rotation leaves no records of a hospital that left, or got another sealing key, but by a quorum's word")
  func left() throws {
    for isRemoved in [true, false] {
      var world = try World.keyed(3, [[0, 1, 2, 3]])
      let anchor = world.anchor(1, of: "patient 4", at: 4)
      #expect(world.run(.anchorRecord, anchor, at: 4) == .applied)
      let action = isRemoved ? MembershipAction.remove(MemberID(4)) : world.renewal(3, sealingKey: Hash.sha256([2]))
      #expect(world.run(.changeMembers, world.approved(action)) == .applied)
      #expect(world.open() == .applied)
      try world.begin()
      world.hold([[0, 1, 2]])
      world.make(1)
      #expect(world.rotate(1) == code(.recordsLeft))
      if !isRemoved {
        // What it wrote since is its own; and what is erased keeps no key in use.
        var erased = world
        #expect(erased.run(.anchorRecord, erased.anchor(2, of: "patient 4", at: 4), at: 4) == .applied)
        #expect(erased.run(.eraseRecord, anchor.record, at: 4, by: "patient 4") == .applied)
        #expect(erased.rotate(1) == .applied)
        #expect(erased.generation == 2)
      }
      for hospital in 1...UInt32(world.configuration.quorum) {
        #expect(world.generation == 1, "fewer than a quorum leave nothing behind")
        #expect(world.rotate(1, leaving: true, by: hospital) == .applied)
        if hospital == 1 { #expect(world.rotate(1, leaving: true) == code(.alreadyApproved)) }
      }
      #expect(world.generation == 2)
    }
    // Where nothing is left one registrar is enough, as before.
    var world = try World.keyed(3, [[0, 1, 2, 3]])
    world.make(1)
    #expect(world.run(.anchorRecord, world.anchor(1, of: "patient 4", at: 4), at: 4) == .applied)
    #expect(world.rotate(1) == .applied)
    #expect(world.generation == 2)
  }

  @Test(
    "⚑ In the place of a key that opens nothing more a quorum's registrars have another made, and hospitals seal to it")
  func lost() throws {
    for version in 2...3 as ClosedRange<UInt16> {
      var world = try World.keyed(version, [[0, 1, 2]])
      let anchor = world.anchor(1, of: "patient 2", at: 2)
      #expect(world.run(.anchorRecord, anchor, at: 2) == .applied)
      let change = world.approved(world.renewal(0), losesRecords: version == 3)
      #expect(world.run(.changeMembers, change) == .applied)
      #expect(world.open() == .applied)
      try world.begin()
      // With the first cut of the new configuration the key is to go over, and cannot.
      var editor = StateEditor(reader: world.state)
      world.rules.expire(
        in: ExecutionContext(
          network: world.network, configuration: world.configuration, limits: world.limits,
          sequence: world.configuration.start, time: world.time, leaf: world.leaf), state: &editor)
      editor.commit()
      world.state.apply(editor.writes)
      #expect(world.rotate(1) == code(version == 2 ? .notAwaited : .recordsLeft))
      guard version == 3 else { continue }
      for hospital: UInt32 in 1...3 { #expect(world.rotate(1, leaving: true, by: hospital) == .applied) }
      #expect(world.generation == 2)
      #expect(CustodyKeys(in: world.state).currentGeneration == 1)
      CustodyStandingTests.use(
        [
          CustodyStandingTests.key(1, threshold: 3, custodians: [1, 2]),
          CustodyStandingTests.key(2, threshold: 3, custodians: [0, 1, 2, 3]),
        ], in: &world)
      let resealing = RecordResealing(record: anchor.record, capsule: Hash.sha256([3]))
      #expect(world.run(.resealRecord, resealing, at: 2) == .applied)
    }
  }
}
