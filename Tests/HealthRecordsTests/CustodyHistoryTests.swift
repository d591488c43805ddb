// Goal: of custody and of the members a ledger of the rules before the third is executed by this program as by those
// before it. Method: one long history of changes of members, of rotations and of records that go over to another key,
// with what only the third rules understand among it; its outcomes and state have the digest that a program without
// the third rules made of them.
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Threshold
import Wire

/// Bytes that are a payload already.
private struct Raw: WireEncodable {
  let bytes: [UInt8]
  func encode(into encoder: inout Encoder) { encoder.raw(self.bytes) }
}

/// A history of custody by itself: draws what happens next, and keeps what became of it.
private struct CustodyHistory {
  var world = World()
  var told = Encoder()
  private var random = SeededGenerator(seed: 2)
  private var records: [(record: Digest, hospital: UInt32)] = []
  private var count: UInt8 = 0

  private mutating func one(of count: Int) -> Int { Int(self.random.below(UInt64(count))) }

  private mutating func run(
    _ kind: TransactionKind, _ payload: some WireEncodable, at hospital: UInt32 = 1, by signer: String? = nil
  ) {
    self.told.u16(self.world.run(kind, payload, at: hospital, by: signer).number)
  }

  private mutating func pass() {
    self.world.time = self.world.time.adding(milliseconds: UInt64(self.one(of: 4_000_000)))
    let context = ExecutionContext(
      network: self.world.network, configuration: self.world.configuration, limits: self.world.limits,
      sequence: SequenceNumber(self.world.leaf + 1), time: self.world.time, leaf: self.world.leaf)
    var editor = StateEditor(reader: self.world.state)
    self.world.rules.expire(in: context, state: &editor)
    editor.commit()
    self.world.state.apply(editor.writes)
    self.told.u64(self.world.rules.deadline(in: StateEditor(reader: self.world.state)).milliseconds)
    let next = ConfigurationNumber(self.world.configuration.number.number + 1)
    let record = self.world.state.item(StateKey.configuration(next), as: ConfigurationRecord.self)
    guard let record, self.world.state.value(StateKey.opening) == nil else { return }
    self.world.configuration = record.configuration
  }

  /// Keys are in use, each with some custodians.
  private mutating func use() {
    let all = self.world.configuration.members.indices.reduce(into: ReplicaSet()) { $0.insert($1) }
    var generation = KeyGeneration(configuration: self.world.configuration.number, deadline: .never)
    for number in 1...2 as ClosedRange<UInt64> {
      if number > 1 {
        generation = KeyGeneration(after: generation, configuration: self.world.configuration.number, deadline: .never)
      }
      var custodians = ReplicaSet()
      for index in self.world.configuration.members.indices where self.one(of: 5) > 0 { custodians.insert(index) }
      let key = CustodyKey(
        generation: number,
        commitments: (1...3).map { Scalar(reducing: [UInt8](repeating: UInt8($0), count: 64)).times },
        custodians: custodians, attempt: number, dealers: all, participants: all)
      self.world.state.apply([StateWrite(key: StateKey.custodyKey(number), value: key.encoded)])
      if self.one(of: 2) == 0 { break }
    }
    self.world.state.apply([StateWrite(key: StateKey.generation, value: generation.encoded)])
  }

  private mutating func anchor() {
    let hospital = UInt32(1 + self.one(of: 4))
    self.count &+= 1
    let anchor = self.world.anchor(self.count, of: "patient \(hospital)", at: hospital)
    self.run(.anchorRecord, anchor, at: hospital)
    self.records.append((anchor.record, hospital))
  }

  private mutating func changeMembers() {
    let configuration = self.world.configuration
    let index = self.one(of: configuration.members.count)
    let before = configuration.members[index]
    let name = "member \(before.id.number) of \(configuration.number.number + 1)"
    let key = self.one(of: 4) == 0 ? before.key : World.key(name).publicKey
    let renewed = Member(
      id: before.id, name: "Renewed", key: key, checkpointKey: before.checkpointKey, registrarKey: before.registrarKey,
      sealingKey: self.one(of: 2) == 0 ? before.sealingKey : Hash.sha256([self.count]), addresses: [])
    let action: MembershipAction = self.one(of: 3) == 0 ? .remove(before.id) : .replace(renewed)
    let change = MembershipChange(configuration: configuration.number, action: action, validUntil: .never)
    let approvals = configuration.voters.prefix(configuration.quorum).map { signer in
      VoteSignature(
        signer: signer,
        signature: World.key("registrar \(signer + 1)").sign(change.signedBytes(network: self.world.network)))
    }
    var bytes = ApprovedChange(change, approvals: approvals).encoded
    // Now and then as only the third rules know it.
    let place = configuration.number.encoded.count + Timestamp.never.encoded.count
    if self.one(of: 8) == 0 { bytes[place] += 3 }
    self.run(.changeMembers, Raw(bytes: bytes), at: UInt32(1 + self.one(of: 4)))
  }

  private mutating func open() {
    let body = CheckpointBody(
      network: self.world.network, size: self.world.leaf, root: Hash.sha256([1]),
      sequence: SequenceNumber(self.world.leaf), stateDigest: .zero, configuration: self.world.configuration.number)
    let head = StableCheckpoint(
      body: body,
      cosignatures: self.world.configuration.voters.prefix(self.world.configuration.quorum).map {
        Cosignature(body, signer: $0, seconds: 1, key: World.key("member \($0 + 1)"))
      })
    self.run(.openConfiguration, head)
  }

  private mutating func rotate() {
    var rotation = CustodyRotation(generation: UInt64(1 + self.one(of: 2))).encoded
    if self.one(of: 6) == 0 { rotation.append(1) }
    self.run(.rotateCustody, Raw(bytes: rotation), by: "registrar 1")
    self.run(.stateDestruction, Raw(bytes: rotation))
  }

  mutating func happen(times count: Int) {
    for hospital: UInt32 in 1...4 { self.world.register("patient \(hospital)", .patient, at: hospital) }
    self.use()
    for _ in 0..<count {
      self.pass()
      switch self.one(of: 10) {
      case 0: self.use()
      case 1, 2: self.anchor()
      case 3, 4: self.changeMembers()
      case 5: self.open()
      case 6: self.rotate()
      case 7:
        self.run(.refreshCustody, CustodyRefresh(epoch: UInt64(self.one(of: 2))), by: "registrar 2")
      default:
        guard !self.records.isEmpty else { continue }
        let (record, hospital) = self.records[self.one(of: self.records.count)]
        if self.one(of: 2) == 0 {
          self.run(.eraseRecord, record, at: hospital, by: "patient \(hospital)")
        } else {
          self.run(.resealRecord, RecordResealing(record: record, capsule: Hash.sha256([7])), at: hospital)
        }
      }
    }
    for pair in self.world.state.scan(prefix: [], limit: .max) {
      self.told.blob(pair.key)
      self.told.blob(pair.value)
    }
  }
}

@Suite("Custody and members under the rules before the third")
struct CustodyHistoryTests {
  @Test(
    "⚑ A history has the outcomes and the state that programs before the third rules gave it",
    arguments: [
      (1, "445857bd1ae6f91c1f1f240cf4cd1f46eb4dbc2d8ebbb80f36afe632ade687a3"),
      (2, "12aefb880a6229703d6dcc34f771d2680c5516ec4d1efd4f8fcbadf1f8333679"),
    ] as [(UInt16, String)])
  func golden(version: UInt16, digest: String) throws {
    var history = CustodyHistory()
    var rules = Encoder()
    rules.u16(version)
    rules.u64(0)
    history.world.limits.rules = try AgreedRules.decode(rules.bytes)
    history.happen(times: 1200)
    #expect(Hash.sha256(history.told.bytes).description == digest)
    // What it was made for did happen.
    #expect(history.world.configuration.number.number > 3 && history.world.configuration.voterCount < 4)
  }
}
