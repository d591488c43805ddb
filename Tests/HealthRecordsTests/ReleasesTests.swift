// Goal: a hospital's share leaves for what its own ledger grants at that moment, and a reader's hospital takes from
// each custodian one share of its own (RECORDS §5, "release"). Method: the machine as a value, one step after
// another.
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Threshold
import Wire

/// Four hospitals with a custody key of three shares, one record and one granted request.
private struct Custodians {
  var world: World
  let record: Digest
  let capsule: [UInt8]
  let request: Digest
  var releases = Releases()
  var question: ReleaseQuestion { ReleaseQuestion(request: self.request, record: self.record) }

  init() throws {
    var (world, _) = World.furnished()
    var random = SeededGenerator(seed: 5)
    func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(random.below(256)) } }
    var members = ReplicaSet()
    for member in 0..<4 { members.insert(member) }
    let dealing = Dealing(
      coefficients: (0..<3).map { _ in Scalar(reducing: bytes(64)) }, secret: Scalar(reducing: bytes(64)),
      to: (0..<4).map { ($0, Scalar(reducing: bytes(64)).times) },
      context: DealingContext(network: world.network, attempt: 1, dealer: 0))
    let custody = CustodyKey(
      generation: 1, commitments: dealing.commitments, custodians: members, attempt: 1, dealers: members,
      participants: members)
    world.state.apply([StateWrite(key: StateKey.custodyKey(1), value: custody.encoded)])
    let hashLock = Hash.sha256([99])
    let patient = world.account("patient")
    let record = RecordAnchor.identifier(
      network: world.network, hospital: MemberID(1), patient: patient, hashLock: hashLock)
    func anchor(_ capsule: Digest) -> RecordAnchor {
      RecordAnchor(
        record: record, patient: patient, author: nil, category: .observation, hashLock: hashLock, address: .zero,
        sizeBytes: 1, capsule: capsule, patientCopy: .zero, supersedes: nil, authorSignature: nil)
    }
    let label = anchor(.zero).label(network: world.network, custody: custody)
    let capsule = Capsule(bytes(32), for: custody, label: label, random: bytes(Capsule.randomLengthBytes)).encoded
    try #require(world.run(.anchorRecord, anchor(SealedRecord.digest(ofBox: capsule))) == .applied)
    try #require(world.run(.requestAccess, world.request([record]), by: "own doctor") == .applied)
    (self.request, self.record, self.capsule, self.world) = (world.last, record, capsule, world)
  }

  mutating func step(_ input: Releases.Input, as own: ReplicaIndex = 0) -> (
    outcome: Disposition<Releases.Reason>, effects: [Releases.Effect]
  ) {
    var effects: [Releases.Effect] = []
    let ledger = Releases.Ledger(
      own: own, hospital: MemberID(UInt32(own + 1)), configuration: self.world.configuration,
      network: self.world.network, time: self.world.time, state: self.world.state)
    let outcome = self.releases.step(input, in: ledger, into: &effects)
    #expect(self.releases.invariantBreach == nil)
    return (outcome, effects)
  }
}

private func sealedShare(_ member: ReplicaIndex) -> SealedShare { SealedShare(member: member, box: [UInt8(member)]) }

@Suite("Releases")
struct ReleasesTests {
  private let asker = Releases.Asker.member(2, question: 77)

  private func reply(_ effects: [Releases.Effect]) -> Result<[UInt8], ReleaseRefusal>? {
    effects.compactMap { if case .reply(2, question: 77, let result) = $0 { result } else { nil } }.first
  }

  private func job(_ effects: [Releases.Effect]) -> Releases.Job? {
    effects.compactMap { if case .open(let job, _) = $0 { job } else { nil } }.first
  }

  private func statements(_ effects: [Releases.Effect]) -> Int {
    effects.count { if case .stateRelease = $0 { true } else { false } }
  }

  private func told(_ effects: [Releases.Effect]) -> [ReplicaIndex] {
    effects.compactMap { if case .released(_, let member) = $0 { member } else { nil } }
  }

  private func settled(_ effects: [Releases.Effect]) -> Result<Releases.Release, Releases.Failure>? {
    effects.compactMap { if case .settled(_, let result) = $0 { result } else { nil } }.first
  }

  @Test("R2, I9: a share is made once, and given as often as it is asked for; ledger and operator hear of it once")
  func share() throws {
    var custodians = try Custodians()
    let question = Releases.Input.shareAsked(custodians.question, capsule: custodians.capsule, by: self.asker)
    let asked = custodians.step(question)
    #expect(asked.outcome == .accepted && self.reply(asked.effects) == nil)
    let job = try #require(self.job(asked.effects))
    // Whoever asks meanwhile waits for the same one.
    let meanwhile = custodians.step(
      .shareAsked(custodians.question, capsule: custodians.capsule, by: .member(3, question: 5)))
    #expect(meanwhile.outcome == .accepted && meanwhile.effects.isEmpty)
    let opened = custodians.step(.opened(job, sealedShare(0)))
    #expect(self.reply(opened.effects) == .success(sealedShare(0).encoded))
    let members = opened.effects.compactMap { if case .reply(let member, _, .success) = $0 { member } else { nil } }
    #expect(members == [2, 3])
    #expect(self.statements(opened.effects) == 1 && self.told(opened.effects) == [2, 3])
    #expect(custodians.step(.opened(job, sealedShare(0))).outcome == .ignored(.settled))
    for _ in 0..<1000 {
      let again = custodians.step(question)
      #expect(self.reply(again.effects) == .success(sealedShare(0).encoded) && again.effects.count == 1)
    }
    let other = custodians.step(
      .shareAsked(custodians.question, capsule: custodians.capsule, by: .member(1, question: 5)))
    #expect(self.job(other.effects) == nil && self.statements(other.effects) == 0 && self.told(other.effects) == [1])
  }

  @Test("R2, R7: a share that was made is judged again each time it is asked for")
  func keptIsJudged() throws {
    for isErased in [false, true] {
      var custodians = try Custodians()
      let question = Releases.Input.shareAsked(custodians.question, capsule: custodians.capsule, by: self.asker)
      _ = custodians.step(.opened(try #require(self.job(custodians.step(question).effects)), sealedShare(0)))
      #expect(self.reply(custodians.step(question).effects) == .success(sealedShare(0).encoded))
      let elsewhere = Releases.Input.shareAsked(custodians.question, capsule: [1], by: self.asker)
      #expect(self.reply(custodians.step(elsewhere).effects) == .failure(.badCapsule))
      if isErased {
        #expect(custodians.world.run(.eraseRecord, custodians.record, by: "patient") == .applied)
      } else {
        custodians.world.time = custodians.world.time.adding(milliseconds: 600_001)
      }
      #expect(self.reply(custodians.step(question).effects) == .failure(isErased ? .erased : .windowOver))
    }
  }

  @Test("A share of another custody key is made in place of the one that was kept")
  func otherKey() throws {
    var custodians = try Custodians()
    let question = Releases.Input.shareAsked(custodians.question, capsule: custodians.capsule, by: self.asker)
    _ = custodians.step(.opened(try #require(self.job(custodians.step(question).effects)), sealedShare(0)))
    let key = StateKey.custodyKey(1)
    let custody = try #require(custodians.world.state.item(key, as: CustodyKey.self))
    var fewer = custody.custodians
    fewer.remove(3)
    custodians.world.state.apply([StateWrite(key: key, value: custody.with(custodians: fewer).encoded)])
    let again = custodians.step(question)
    #expect(self.reply(again.effects) == nil)
    _ = custodians.step(.opened(try #require(self.job(again.effects)), sealedShare(0)))
    #expect(self.job(custodians.step(question).effects) == nil)
  }

  @Test("What a member cannot open is not kept, and one that is being opened for many fails for all of them")
  func unopened() throws {
    var custodians = try Custodians()
    let question = Releases.Input.shareAsked(custodians.question, capsule: custodians.capsule, by: self.asker)
    let job = try #require(self.job(custodians.step(question).effects))
    _ = custodians.step(question)
    let opened = custodians.step(.opened(job, nil))
    let refusals = opened.effects.count { if case .reply(2, _, .failure(.notHere)) = $0 { true } else { false } }
    #expect(refusals == 2 && self.statements(opened.effects) == 0 && self.told(opened.effects) == [])
    #expect(self.job(custodians.step(question).effects) != nil)
  }

  @Test("R2, R9: what the ledger does not grant is refused, and so is another capsule, and nothing is opened")
  func refused() throws {
    var custodians = try Custodians()
    var other = custodians.capsule
    other[other.count - 1] ^= 1
    let unknown = ReleaseQuestion(request: .zero, record: custodians.record)
    let elsewhere = ReleaseQuestion(request: custodians.request, record: .zero)
    for (question, capsule, refusal) in [
      (unknown, custodians.capsule, ReleaseRefusal.unknownRequest), (elsewhere, custodians.capsule, .otherRecord),
      (custodians.question, other, .badCapsule), (custodians.question, [], .badCapsule),
    ] {
      let asked = custodians.step(.shareAsked(question, capsule: capsule, by: self.asker))
      #expect(asked.outcome == .ignored(.refused(refusal)))
      #expect(self.reply(asked.effects) == .failure(refusal) && self.job(asked.effects) == nil)
    }
    custodians.world.time = custodians.world.time.adding(milliseconds: 600_001)
    let late = custodians.step(.shareAsked(custodians.question, capsule: custodians.capsule, by: self.asker))
    #expect(self.reply(late.effects) == .failure(.windowOver))
  }

  @Test("R7: what is erased while its capsule is being opened does not leave")
  func erasedMeanwhile() throws {
    var custodians = try Custodians()
    let asked = custodians.step(.shareAsked(custodians.question, capsule: custodians.capsule, by: self.asker))
    let job = try #require(self.job(asked.effects))
    #expect(custodians.world.run(.eraseRecord, custodians.record, by: "patient") == .applied)
    let opened = custodians.step(.opened(job, sealedShare(0)))
    #expect(self.reply(opened.effects) == .failure(.erased))
    #expect(!opened.effects.contains { if case .stateRelease = $0 { true } else { false } })
  }

  @Test("Of each custodian one share of its own counts, and three are enough")
  func gathering() throws {
    var custodians = try Custodians()
    let wanted = custodians.step(
      .wanted(1, custodians.question, capsule: custodians.capsule, without: ReplicaSet()))
    let asked = wanted.effects.compactMap { if case .ask(let member, _, for: 1) = $0 { member } else { nil } }
    #expect(asked == [1, 2, 3])
    let job = try #require(self.job(wanted.effects))
    // Member 1 answers in member 2's name, which says nothing.
    let false1 = custodians.step(.answered(1, by: 1, .success(sealedShare(2).encoded)))
    #expect(false1.outcome == .accepted && self.settled(false1.effects) == nil)
    let again = custodians.step(.answered(1, by: 1, .success(sealedShare(1).encoded)))
    #expect(again.outcome == .ignored(.notAsked))
    #expect(self.settled(custodians.step(.opened(job, sealedShare(0))).effects) == nil)
    _ = custodians.step(.answered(1, by: 2, .success(sealedShare(2).encoded)))
    let last = custodians.step(.answered(1, by: 3, .success(sealedShare(3).encoded)))
    guard case .success(.shares(let shares, _))? = self.settled(last.effects) else {
      Issue.record("three shares do not settle it")
      return
    }
    #expect(shares.map(\.member) == [0, 2, 3])
    #expect(custodians.step(.answered(1, by: 2, .failure(.unreachable))).outcome == .ignored(.settled))
  }

  @Test("Who is settled is not asked, and where nobody gives a share the most telling reason is told")
  func reasons() throws {
    var custodians = try Custodians()
    var settled = ReplicaSet()
    for member in [0, 1] { settled.insert(member) }
    let wanted = custodians.step(
      .wanted(1, custodians.question, capsule: custodians.capsule, without: settled))
    let asked = wanted.effects.compactMap { if case .ask(let member, _, for: 1) = $0 { member } else { nil } }
    #expect(asked == [2, 3])
    _ = custodians.step(.answered(1, by: 2, .failure(.notHere)))
    let last = custodians.step(.answered(1, by: 3, .failure(.unknownRequest)))
    #expect(self.settled(last.effects) == .failure(.refused(.unknownRequest)))
    for member in [2, 3] { settled.insert(member) }
    let none = custodians.step(.wanted(2, custodians.question, capsule: custodians.capsule, without: settled))
    #expect(self.settled(none.effects) == .failure(.refused(.tooFewCustodians)))
  }

  @Test("Where fewer members have a share than it takes, that is told at once, and nobody is asked")
  func gone() throws {
    var custodians = try Custodians()
    let key = StateKey.custodyKey(1)
    let held = try #require(custodians.world.state.item(key, as: CustodyKey.self))
    var left = held.custodians
    for (ticket, member) in [(UInt64(1), 1), (2, 3)] {
      left.remove(member)
      custodians.world.state.apply([StateWrite(key: key, value: held.with(custodians: left).encoded)])
      let wanted = custodians.step(
        .wanted(ticket, custodians.question, capsule: custodians.capsule, without: ReplicaSet()))
      // Three shares are enough; two are not, and no third one is ever dealt.
      let isGone = left.count < held.threshold
      #expect(wanted.outcome == (isGone ? .ignored(.refused(.custodiansGone)) : .accepted))
      #expect(self.settled(wanted.effects) == (isGone ? .failure(.refused(.custodiansGone)) : nil))
    }
  }

  @Test("A key from the hospital that wrote the record counts only with its signature, and only for this question")
  func hospitalKey() throws {
    var custodians = try Custodians()
    let network = custodians.world.network
    func release(_ question: ReleaseQuestion, by member: Int) -> [UInt8] {
      let signed = HospitalRelease.signedBytes(network: network, question: question, key: [7])
      return HospitalRelease(key: [7], signature: World.key("member \(member)").sign(signed)).encoded
    }
    let other = ReleaseQuestion(request: .zero, record: custodians.record)
    let cases: [([UInt8], Releases.Failure?)] = [
      (release(custodians.question, by: 1), nil), (release(custodians.question, by: 2), .unsigned(MemberID(1))),
      (release(other, by: 1), .unsigned(MemberID(1))), ([1], .malformed(MemberID(1))),
    ]
    for (ticket, (bytes, failure)) in cases.enumerated() {
      let ticket = UInt64(ticket)
      let wanted = custodians.step(
        .wanted(ticket, custodians.question, capsule: [], without: ReplicaSet()), as: 1)
      let asked = wanted.effects.compactMap { if case .ask(let member, _, for: ticket) = $0 { member } else { nil } }
      #expect(asked == [0])
      let answered = custodians.step(.answered(ticket, by: 0, .success(bytes)), as: 1)
      switch self.settled(answered.effects) {
      case .success(.hospitalKey(let release))?: #expect(failure == nil && release.key == [7])
      case .failure(let told)?: #expect(told == failure)
      default: Issue.record("case \(ticket) is not settled")
      }
    }
  }
}
