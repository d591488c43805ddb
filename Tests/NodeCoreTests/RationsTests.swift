// Goal: whoever asks gets what a node can spare, and fills neither its memory nor its line, however much it asks
// (LEDGER §11.6, I9). Method: the rations and the gate as values, with floods; counts, no times.
import Messages
import NodeCore
import Ordering
import Primitives
import Simulator
import Testing

@Suite("Rations")
struct RationsTests {
  private let guest = ReplicaSet.countMax
  private let now = Tick.zero + .milliseconds(1000)

  private func blocks(_ lane: Int, above: UInt64 = 0) -> ServedRequest {
    .blocks(
      BlockRequest(
        lane: lane, above: LanePosition(above), head: LaneHead(position: LanePosition(99), digest: .zero),
        order: .upwards))
  }

  @Test("Of a flood of one question one is answered, and one of the rest waits")
  func flood() {
    var rations = AnswerRations()
    var begun = 0
    for number in 0..<100_000 {
      _ = rations.ask(self.blocks(0, above: UInt64(number % 1000)), by: self.guest, at: self.now)
      while rations.next(for: self.guest, queuedBytes: 0, at: self.now) != nil { begun += 1 }
    }
    #expect(begun == 1)
    #expect(rations.waitingCount == 1)
  }

  @Test("Of a flood of questions for one part of a record one is answered, and the newest of the rest waits")
  func recordFlood() {
    var rations = AnswerRations()
    let record = Digest(words: (1, 2, 3, 4))
    var begun: [ServedRequest] = []
    for number in UInt64(0)..<1000 {
      _ = rations.ask(.record(record, from: 0, question: number), by: 1, at: self.now)
      while let request = rations.next(for: 1, queuedBytes: 0, at: self.now) { begun.append(request) }
    }
    #expect(begun == [.record(record, from: 0, question: 0)])
    #expect(rations.waitingCount == 1)
    rations.answered(begun[0], to: 1, bytes: 4 << 20)
    #expect(
      rations.next(for: 1, queuedBytes: 0, at: self.now) == .record(record, from: 0, question: 999),
      "who asks again has given up the questions before")
  }

  @Test("The same question is answered once while it waits or is answered")
  func duplicates() {
    var rations = AnswerRations()
    #expect(rations.ask(self.blocks(0), by: 1, at: self.now) == .accepted)
    #expect(rations.ask(self.blocks(0), by: 1, at: self.now) == .ignored(.duplicate))
    #expect(rations.next(for: 1, queuedBytes: 0, at: self.now) == self.blocks(0))
    #expect(rations.ask(self.blocks(0), by: 1, at: self.now) == .ignored(.duplicate))
    rations.answered(self.blocks(0), to: 1, bytes: 100)
    #expect(rations.ask(self.blocks(0), by: 1, at: self.now) == .accepted)
  }

  @Test("One answer of a kind is under way; other kinds, and other peers, go on beside it")
  func oneOfAKind() {
    var rations = AnswerRations()
    for lane in 0..<3 { _ = rations.ask(self.blocks(lane), by: 1, at: self.now) }
    _ = rations.ask(.history(SequenceNumber(9)), by: 1, at: self.now)
    _ = rations.ask(self.blocks(0), by: 2, at: self.now)
    #expect(rations.next(for: 1, queuedBytes: 0, at: self.now) == self.blocks(0))
    #expect(rations.next(for: 1, queuedBytes: 0, at: self.now) == .history(SequenceNumber(9)))
    #expect(rations.next(for: 1, queuedBytes: 0, at: self.now) == nil)
    #expect(rations.next(for: 2, queuedBytes: 0, at: self.now) == self.blocks(0))
    rations.answered(self.blocks(0), to: 1, bytes: 100)
    #expect(rations.next(for: 1, queuedBytes: 0, at: self.now) == self.blocks(1))
  }

  @Test("Nothing is read for a peer that does not take what it was sent")
  func queueFull() {
    var rations = AnswerRations()
    _ = rations.ask(self.blocks(0), by: 1, at: self.now)
    #expect(rations.next(for: 1, queuedBytes: AnswerRations.members.queuedBytesMax + 1, at: self.now) == nil)
    #expect(rations.next(for: 1, queuedBytes: AnswerRations.members.queuedBytesMax, at: self.now) != nil)
    #expect(AnswerRations.guests.queuedBytesMax < AnswerRations.members.queuedBytesMax)
  }

  /// How many bytes a peer that always asks gets within a span, with answers as large as they may be.
  private func bytes(for peers: [ReplicaIndex], seconds: UInt64) -> Int {
    var rations = AnswerRations()
    var sent = 0
    for step in 0..<(seconds * 100) {
      let now = self.now + .milliseconds(step * 10)
      for peer in peers {
        _ = rations.ask(self.blocks(0, above: step), by: peer, at: now)
        while let request = rations.next(for: peer, queuedBytes: 0, at: now) {
          sent += AnswerRations.share(of: peer).answerBytesMax
          rations.answered(request, to: peer, bytes: AnswerRations.share(of: peer).answerBytesMax)
        }
      }
    }
    return sent
  }

  @Test("A budget bounds what a peer gets in a time, all that do not vote together get little more than one")
  func budgets() {
    #expect(self.bytes(for: [self.guest], seconds: 10) <= (16 + 4 * 10 + 1) << 20)
    #expect(self.bytes(for: (0..<64).map { self.guest + $0 }, seconds: 10) <= (32 + 8 * 10 + 1) << 20)
    #expect(self.bytes(for: [1], seconds: 10) >= (64 * 10) << 20)
  }

  @Test("A guest that hangs up and comes back under other numbers gets no more than all together")
  func comesBack() {
    var rations = AnswerRations()
    var sent = 0
    for number in 0..<1000 {
      let peer = self.guest + number
      _ = rations.ask(self.blocks(0), by: peer, at: self.now)
      if let request = rations.next(for: peer, queuedBytes: 0, at: self.now) {
        rations.gone(peer)
        rations.answered(request, to: peer, bytes: 1 << 20)
        sent += 1
      }
      rations.gone(peer)
    }
    #expect(sent <= 33)
    #expect(rations.waitingCount == 0)
  }

  @Test("Peers take turns: nobody who asks for everything keeps the others waiting")
  func turns() {
    var rations = AnswerRations()
    for peer in 0..<8 {
      for lane in 0..<4 { _ = rations.ask(self.blocks(lane), by: peer, at: self.now) }
      _ = rations.ask(.history(SequenceNumber(1)), by: peer, at: self.now)
      _ = rations.ask(.manifest(.zero), by: peer, at: self.now)
    }
    var begun: [ReplicaIndex: Int] = [:]
    for peer in rations.waitingPeers {
      while rations.next(for: peer, queuedBytes: 0, at: self.now) != nil { begun[peer, default: 0] += 1 }
    }
    #expect(begun.values.allSatisfy { $0 <= 2 } && begun.values.reduce(0, +) == AnswerRations.readingMax)
    #expect(rations.waitingPeers.first.map { begun[$0] == nil } ?? false)
  }

  @Test("A budget that is used up has a point in time at which it goes on")
  func goesOn() {
    var rations = AnswerRations()
    _ = rations.ask(self.blocks(0), by: self.guest, at: self.now)
    guard let request = rations.next(for: self.guest, queuedBytes: 0, at: self.now) else {
      Issue.record("nothing is answered")
      return
    }
    rations.answered(request, to: self.guest, bytes: 17 << 20)
    #expect(rations.deadline == nil)
    _ = rations.ask(self.blocks(1), by: self.guest, at: self.now)
    #expect(rations.next(for: self.guest, queuedBytes: 0, at: self.now) == nil)
    guard let due = rations.deadline else {
      Issue.record("it never goes on")
      return
    }
    #expect(rations.next(for: self.guest, queuedBytes: 0, at: due) == self.blocks(1))
  }

  @Test("The list of what waits is bounded: one for each lane and no more than so many chunks")
  func waiting() {
    var rations = AnswerRations()
    var refused = 0
    for number in 0..<10_000 {
      if rations.ask(.chunk(.zero, number), by: 1, at: self.now) == .ignored(.tooMany) { refused += 1 }
    }
    #expect(rations.waitingCount == AnswerRations.members.waitingMax)
    #expect(refused == 10_000 - AnswerRations.members.waitingMax)
  }

  @Test("LEDGER §11.6: what waits for the disk is counted in items and bytes, and when it is too much says so")
  func gate() {
    var gate = DurabilityGate<Int>()
    gate.persist(.ordering(.view(ConfigurationNumber(0), View(1), isChanging: true)))
    for number in 0..<16 {
      #expect(!gate.isFull)
      _ = gate.pass(number, bytes: 4 << 20)
    }
    #expect(gate.isFull && gate.waitingCount == 16)
    guard let batch = gate.takeBatch() else {
      Issue.record("no batch")
      return
    }
    #expect(gate.settle(batch.number).count == 16)
    #expect(!gate.isFull && gate.waitingBytes == 0 && gate.waitingCount == 0)
    gate.persist(.ordering(.view(ConfigurationNumber(0), View(2), isChanging: true)))
    for number in 0..<DurabilityGate<Int>.waitingMax { _ = gate.pass(number) }
    #expect(gate.isFull)
  }

  @Test("A member that tells where it stands thousands of times at once is answered some hundred times")
  func statuses() {
    let cluster = Cluster(count: 4, seed: 3)
    cluster.submit([cluster.digestTransaction(1, for: 0)], to: 0)
    #expect(cluster.run(within: .milliseconds(2000)) { cluster.haveExecuted(1) })
    // What was executed is on the disk a little later, and is served from there.
    cluster.run(for: .milliseconds(100))
    var answers = 0
    cluster.onArrival = { from, to, packet in
      if from == 0, to == 1, case .decisions = packet.message { answers += 1 }
    }
    let status = Status(
      configuration: ConfigurationNumber(0), view: View(0), isChanging: false, viewChanges: ReplicaSet(),
      decided: .zero, slots: [])
    for _ in 0..<10_000 { cluster.input(.received(.plain(.status(status)), from: 1), to: 0) }
    cluster.run(for: .milliseconds(100))
    #expect(answers > 0 && answers < 400)
  }
}
