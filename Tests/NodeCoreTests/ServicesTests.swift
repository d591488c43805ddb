// Goal: an answer is taken once, from the member that was asked, and by no later start; whoever asks much is answered
// some (RECORDS §5, "release"; I9). Method: the services as a value, one step after another.
import HealthRecords
import Messages
import NodeCore
import Primitives
import Rules
import Simulator
import Testing
import Wire

@Suite("Services")
struct ServicesTests {
  private let record = Digest.zero
  private let configuration = Configuration(
    number: ConfigurationNumber(0),
    members: (0..<4).map { index in
      let key = Cluster.keys(index).publicKey
      return Member(
        id: MemberID(UInt32(index + 1)), name: "", key: key, checkpointKey: key, registrarKey: key, sealingKey: .zero,
        addresses: [])
    })

  private func step(
    _ services: inout Services, _ input: Services.Input, at now: Tick = .zero
  ) -> (outcome: Services.Outcome, effects: [Services.Effect]) {
    var effects: [Services.Effect] = []
    let ledger = Releases.Ledger(
      own: 0, hospital: MemberID(1), configuration: self.configuration,
      network: .zero, time: .zero, state: MemoryState())
    let outcome = services.step(input, at: now, in: ledger, into: &effects)
    #expect(services.invariantBreach == nil)
    return (outcome, effects)
  }

  private func number(_ effects: [Services.Effect]) -> UInt64? {
    effects.compactMap { if case .send(.question(let number, _), _) = $0 { number } else { nil } }.first
  }

  private func answer(_ effects: [Services.Effect]) -> Result<[UInt8], ReleaseRefusal>? {
    effects.compactMap { if case .answered(ticket: 5, let result) = $0 { result } else { nil } }.first
  }

  @Test("An answer is taken once, and from whom it was asked")
  func once() throws {
    var services = Services(seed: 1)
    let number = try #require(self.number(self.step(&services, .wanted(2, .boxes(self.record), ticket: 5)).effects))
    let stranger = self.step(&services, .answer(from: 3, number, [0, 9]))
    #expect(stranger.outcome != .accepted && self.answer(stranger.effects) == nil)
    #expect(self.step(&services, .answer(from: 2, number &+ 1, [0, 9])).outcome != .accepted)
    let taken = self.step(&services, .answer(from: 2, number, [0, 9]))
    #expect(taken.outcome == .accepted && self.answer(taken.effects) == .success([9]))
    #expect(self.step(&services, .answer(from: 2, number, [0, 9])).outcome != .accepted)
  }

  @Test(
    "An answer that is a refusal, or nothing, says so",
    arguments: [([6], .notHere), ([], .unreachable)] as [([UInt8], ReleaseRefusal)])
  func refusals(bytes: [UInt8], refusal: ReleaseRefusal) throws {
    var services = Services(seed: 1)
    let number = try #require(self.number(self.step(&services, .wanted(2, .boxes(self.record), ticket: 5)).effects))
    #expect(self.answer(self.step(&services, .answer(from: 2, number, bytes)).effects) == .failure(refusal))
  }

  @Test("The numbers of two starts have nothing in common, and none follows from the one before")
  func numbers() {
    var used: Set<UInt64> = []
    for seed in 0..<8 as Range<UInt64> {
      var services = Services(seed: seed)
      var last: UInt64?
      for _ in 0..<100 {
        guard let number = self.number(self.step(&services, .wanted(2, .boxes(self.record), ticket: 5)).effects) else {
          Issue.record("nothing is asked")
          return
        }
        #expect(used.insert(number).inserted)
        if let last { #expect(number &- last > 1 << 20 && last &- number > 1 << 20) }
        last = number
      }
    }
  }

  @Test("A member that is gone, or silent for ten seconds, does not answer")
  func gone() {
    for input in [Services.Input.disconnected(2), .timerFired] {
      var services = Services(seed: 1)
      _ = self.step(&services, .wanted(2, .boxes(self.record), ticket: 5))
      let deadline = Tick.zero + .milliseconds(10_000)
      #expect(services.deadline == deadline)
      #expect(self.answer(self.step(&services, .disconnected(3)).effects) == nil)
      let early = self.step(&services, .timerFired, at: .zero + .milliseconds(9_999))
      #expect(self.answer(early.effects) == nil)
      #expect(self.answer(self.step(&services, input, at: deadline).effects) == .failure(.unreachable))
      #expect(services.deadline == nil)
    }
  }

  @Test("I9: so many questions of one peer are answered at once, and so many of all those who do not vote")
  func flood() {
    var services = Services(seed: 1)
    let proof = MemberQuestion.proof(self.record, chunk: 0).encoded
    func served(_ peers: [ReplicaIndex], _ count: UInt64) -> Int {
      var out = 0
      for number in 0..<count {
        for peer in peers {
          for effect in self.step(&services, .question(from: peer, number, proof)).effects {
            if case .serve = effect { out += 1 }
          }
        }
      }
      return out
    }
    #expect(served([1], 1000) == 256)
    #expect(served([2], 1000) == 256)
    let guests = (0..<4).map { ReplicaSet.countMax + $0 }
    #expect(served(guests, 100) == 16)
    // Whoever hangs up and comes back has no more room for it; what is answered makes some.
    for guest in guests { _ = self.step(&services, .disconnected(guest)) }
    #expect(served(guests, 100) == 0)
    let first = Services.Asked(peer: ReplicaSet.countMax, number: 0)
    #expect(self.step(&services, .served(first, .failure(.notHere))).effects.count == 1)
    #expect(served(guests, 1) == 1)
  }

  @Test("I9: so many questions of a member for keys are answered, then some each second; the operator hears of it once")
  func keyQuestions() {
    var services = Services(seed: 1)
    let share = MemberQuestion.share(ReleaseQuestion(request: .zero, record: self.record), capsule: []).encoded
    var reports: [Services.Event] = []
    func answered(_ peer: ReplicaIndex, _ count: UInt64, at now: Tick) -> Int {
      var out = 0
      for number in 0..<count {
        for effect in self.step(&services, .question(from: peer, number, share), at: now).effects {
          if case .send(.answer(number, _), to: peer) = effect { out += 1 }
          if case .report(let event) = effect { reports.append(event) }
        }
      }
      return out
    }
    #expect(answered(1, 3000, at: .zero) == 1025)
    #expect(answered(1, 3000, at: .zero + .milliseconds(1000)) == 250)
    #expect(reports == [.refused(.unknownRequest, to: 1), .tooMany(1)])
    // Another member has its own, and what is asked for besides keys is as before.
    #expect(answered(2, 1000, at: .zero + .milliseconds(1000)) == 1000)
    let proof = MemberQuestion.proof(self.record, chunk: 0).encoded
    let effects = self.step(&services, .question(from: 1, 1, proof), at: .zero + .milliseconds(1000)).effects
    #expect(effects.contains { if case .serve = $0 { true } else { false } })
    #expect(answered(1, 1, at: .zero + .milliseconds(700_000)) == 1)
    #expect(
      reports == [
        .refused(.unknownRequest, to: 1), .tooMany(1), .refused(.unknownRequest, to: 2),
        .refused(.unknownRequest, to: 1),
      ])
  }

  @Test("A part of a record is read for a member as the rations allow, however many it asks for")
  func records() {
    var services = Services(seed: 1)
    for number in 0..<1000 as Range<UInt64> {
      let asked = MemberQuestion.object(self.record, from: 3).encoded
      let effects = self.step(&services, .question(from: 2, number, asked)).effects
      guard case .read(let request, for: 2)? = effects.first, effects.count == 1 else {
        Issue.record("question \(number) is not read")
        return
      }
      #expect(request == .record(self.record, from: 3, question: number))
    }
  }

  @Test("Whoever does not vote gets proofs, and nothing else")
  func guests() {
    let question = ReleaseQuestion(request: .zero, record: self.record)
    for asked in [
      MemberQuestion.object(self.record, from: 0), .boxes(self.record), .share(question, capsule: []),
      .hospitalKey(question), .keep([], of: []),
    ] {
      var services = Services(seed: 1)
      let guest = ReplicaSet.countMax
      let effects = self.step(&services, .question(from: guest, 7, asked.encoded)).effects
      let answers = effects.compactMap { effect -> [UInt8]? in
        if case .send(.answer(7, let bytes), to: guest) = effect { bytes } else { nil }
      }
      #expect(answers == [[ReleaseRefusal.unreachable.rawValue]] && effects.count == 1)
    }
  }
}
