import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Wire

/// LEDGER §8 as rules of execution.
@Suite("Changes of members")
struct MembershipTests {
  private static func member(_ number: UInt32, _ name: String = "new") -> Member {
    Member(
      id: MemberID(number), name: "Hospital \(number)", key: World.key("\(name) member").publicKey,
      checkpointKey: World.key("\(name) checkpoint").publicKey, registrarKey: World.key("\(name) registrar").publicKey,
      sealingKey: .zero, addresses: [])
  }

  private static func approved(
    _ world: World, _ action: MembershipAction, by registrars: [Int], of number: UInt32 = 0,
    until: Timestamp = .never, signing altered: MembershipAction? = nil
  ) -> ApprovedChange {
    func change(_ action: MembershipAction) -> MembershipChange {
      MembershipChange(configuration: ConfigurationNumber(number), action: action, validUntil: until)
    }
    let bytes = change(altered ?? action).signedBytes(network: world.network)
    return ApprovedChange(
      change(action),
      approvals: registrars.map {
        VoteSignature(signer: $0, signature: World.key("registrar \($0 + 1)").sign(bytes))
      })
  }

  /// A tree head of a size that some members signed.
  private static func head(
    _ world: World, size: UInt64, by signers: [Int], of number: UInt32 = 0, network: Digest? = nil
  ) -> StableCheckpoint {
    let body = CheckpointBody(
      network: network ?? world.network, size: size, root: Hash.sha256([1]), sequence: SequenceNumber(size),
      stateDigest: .zero, configuration: ConfigurationNumber(number))
    return StableCheckpoint(
      body: body,
      cosignatures: signers.map { Cosignature(body, signer: $0, seconds: 1, key: World.key("member \($0 + 1)")) })
  }

  @Test("A quorum's registrars, each once, change the members; fewer, strangers and nodes' own keys do not")
  func approvals() {
    var world = World()
    let join = MembershipAction.add(Self.member(5))
    #expect(world.run(.changeMembers, Self.approved(world, join, by: [0, 1])) == Refusal.tooFewApprovals.code)
    let twice = Self.approved(world, join, by: [0, 1])
    let repeated = ApprovedChange(twice.change, approvals: twice.approvals + [twice.approvals[0]])
    #expect(world.run(.changeMembers, repeated) == Refusal.tooFewApprovals.code)
    // Approvals of another change, and the signatures of the nodes' keys.
    let other = Self.approved(world, join, by: [0, 1, 2], signing: .remove(MemberID(4)))
    #expect(world.run(.changeMembers, other) == Refusal.tooFewApprovals.code)
    let bytes = twice.change.signedBytes(network: world.network)
    let byNodes = (0..<4).map { VoteSignature(signer: $0, signature: World.key("member \($0 + 1)").sign(bytes)) }
    #expect(world.run(.changeMembers, ApprovedChange(twice.change, approvals: byNodes)) == Refusal.tooFewApprovals.code)
    let outside = ApprovedChange(
      twice.change,
      approvals: twice.approvals + [VoteSignature(signer: 9, signature: World.key("registrar 3").sign(bytes))])
    #expect(world.run(.changeMembers, outside) == Refusal.tooFewApprovals.code)
    #expect(world.state.value(StateKey.pendingChange) == nil)
    #expect(world.run(.changeMembers, Self.approved(world, join, by: [3, 0, 2])) == .applied)
  }

  @Test("A change is of the configuration that it names, in time, one at once, and makes sense")
  func soundness() {
    var world = World()
    let join = MembershipAction.add(Self.member(5))
    let all = [0, 1, 2, 3]
    #expect(world.run(.changeMembers, Self.approved(world, join, by: all, of: 1)) == Refusal.otherConfiguration.code)
    let late = Self.approved(world, join, by: all, until: Timestamp(milliseconds: world.time.milliseconds - 1))
    #expect(world.run(.changeMembers, late) == Refusal.changeExpired.code)
    let known = Member(
      id: MemberID(6), name: "x", key: World.key("member 2").publicKey,
      checkpointKey: World.key("c").publicKey, registrarKey: World.key("r").publicKey, sealingKey: .zero,
      addresses: [])
    let unsound: [MembershipAction] = [
      .add(Self.member(4)), .add(Self.member(1)), .add(known), .remove(MemberID(7)), .replace(Self.member(9)),
    ]
    for action in unsound {
      #expect(world.run(.changeMembers, Self.approved(world, action, by: all)) == Refusal.unsoundChange.code)
    }
    #expect(world.run(.changeMembers, Self.approved(world, join, by: all)) == .applied)
    let second = Self.approved(world, .remove(MemberID(1)), by: all)
    #expect(world.run(.changeMembers, second) == Refusal.otherConfiguration.code)
  }

  @Test(
    "A configuration is opened by a tree head that covers the change and a quorum signed, and begins a pipeline later")
  func opening() throws {
    var world = World()
    let idle = Timestamp.never
    #expect(world.run(.openConfiguration, Self.head(world, size: 9, by: [0, 1, 2])) == Refusal.nothingPending.code)
    let place = world.leaf
    #expect(
      world.run(.changeMembers, Self.approved(world, .add(Self.member(5)), by: [0, 1, 2])) == .applied)
    let bad = [
      Self.head(world, size: place, by: [0, 1, 2]), Self.head(world, size: place + 1, by: [0, 1]),
      Self.head(world, size: place + 1, by: [0, 1, 1]), Self.head(world, size: place + 1, by: [0, 1, 2], of: 1),
      Self.head(world, size: place + 1, by: [0, 1, 2], network: Hash.sha256([9])),
    ]
    for head in bad { #expect(world.run(.openConfiguration, head) == Refusal.badEvidence.code) }
    #expect(world.rules.deadline(in: StateEditor(reader: world.state)) == idle)
    let at = world.leaf + 1
    #expect(world.run(.openConfiguration, Self.head(world, size: place + 1, by: [0, 1, 2])) == .applied)
    let key = StateKey.configuration(ConfigurationNumber(1))
    let record = try #require(world.state.item(key, as: ConfigurationRecord.self))
    #expect(record.configuration.start.number == at + LedgerLimits().pipelineMax)
    #expect(record.configuration.voters == [0, 1, 2, 3, 4])
    #expect(record.leaf == place)
    // Until it begins the network is not idle, and no other change counts.
    #expect(world.rules.deadline(in: StateEditor(reader: world.state)) == .zero)
    let next = Self.approved(world, .remove(MemberID(1)), by: [0, 1, 2])
    #expect(world.run(.changeMembers, next) == Refusal.otherConfiguration.code)
    for (sequence, isDue) in [
      (record.configuration.start.number - 2, true), (record.configuration.start.number - 1, false),
    ] {
      var editor = StateEditor(reader: world.state)
      let context = ExecutionContext(
        network: world.network, configuration: world.configuration, limits: LedgerLimits(),
        sequence: SequenceNumber(sequence), time: world.time, leaf: world.leaf)
      world.rules.expire(in: context, state: &editor)
      editor.commit()
      #expect((world.rules.deadline(in: editor) == .zero) == isDue, "at \(sequence)")
    }
  }

  @Test(
    "Who leaves keeps its lane and votes no more; who goes on under new keys keeps its place, and its fork is forgotten"
  )
  func places() throws {
    var world = World()
    let first = try world.configuration.changed(by: .remove(MemberID(2)), start: SequenceNumber(10))
    #expect((first.laneCount, first.voterCount, first.voters) == (4, 3, [0, 2, 3]))
    #expect(first.index(of: World.key("member 2").publicKey) == nil)
    #expect(first.primary(of: View(1)) == 2)
    #expect(throws: MembershipFault.noMember(MemberID(2))) {
      try first.changed(by: .replace(Self.member(2)), start: SequenceNumber(11))
    }
    world.state.apply([StateWrite(key: StateKey.fork(MemberID(2)), value: [1, 0, 0, 0, 0, 0, 0, 0])])
    let renewed = Self.member(2, "renewed")
    let place = world.leaf
    #expect(world.run(.changeMembers, Self.approved(world, .replace(renewed), by: [0, 1, 2])) == .applied)
    #expect(world.run(.openConfiguration, Self.head(world, size: place + 1, by: [0, 1, 2])) == .applied)
    let key = StateKey.configuration(ConfigurationNumber(1))
    let record = try #require(world.state.item(key, as: ConfigurationRecord.self))
    #expect(record.configuration.index(of: renewed.key) == 1)
    #expect(world.state.value(StateKey.fork(MemberID(2))) == nil)
  }

  @Test("Quorums are the voters': n of each size, with members that left beside them")
  func quorums() throws {
    var configuration = World().configuration
    for number in 5...10 {
      configuration = try configuration.changed(
        by: .add(Self.member(UInt32(number), "n\(number)")), start: SequenceNumber(UInt64(number)))
    }
    // n, f, Q as LEDGER §1 has them, while one after another leaves.
    let expected = [(10, 3, 7), (9, 2, 6), (8, 2, 6), (7, 2, 5), (6, 1, 4), (5, 1, 4), (4, 1, 3), (3, 0, 2)]
    for (index, (n, f, q)) in expected.enumerated() {
      #expect((configuration.voterCount, configuration.faultyMax, configuration.quorum) == (n, f, q))
      #expect(configuration.laneCount == 10)
      configuration = try configuration.changed(
        by: .remove(MemberID(UInt32(index + 1))), start: SequenceNumber(UInt64(100 + index)))
    }
  }
}
