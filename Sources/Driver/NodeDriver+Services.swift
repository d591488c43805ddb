internal import Vaults
internal import EventLoop
internal import Discovery
internal import Gateway
internal import Gossip
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Sessions
internal import Telemetry
internal import Wire

/// A question that waits for its answer.
struct Question {
  let deadline: Tick
  let member: ReplicaIndex
  /// Called once, with nil where no answer came in time.
  let answered: ([UInt8]?) -> Void
}

/// What members ask one another outside the ledger: sealed records, and what opens those that a granted request names.
extension NodeDriver {
  /// The most questions that wait for an answer.
  static let questionsMax = 4096
  /// The most questions of those who do not vote that are being answered.
  private static let guestQuestionsMax = 16
  /// The most questions of one peer that are being answered.
  private static let answeringMax = 256
  /// How long a member may take to answer a question.
  static let questionTimeout = Span.milliseconds(10_000)

  /// Asks a member; the answer's content, or why there is none.
  func ask(
    _ member: ReplicaIndex, _ question: MemberQuestion,
    then answered: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void
  ) {
    guard self.byMember[member] != nil, self.questions.count < Self.questionsMax else {
      return answered(.failure(.unreachable))
    }
    let number = self.nextQuestion
    self.nextQuestion += 1
    self.questions[number] = Question(
      deadline: self.loop.now + Self.questionTimeout, member: member,
      answered: { answer in
        guard let answer, let first = answer.first else { return answered(.failure(.unreachable)) }
        guard first == 0 else { return answered(.failure(ReleaseRefusal(rawValue: first) ?? .unreachable)) }
        answered(.success(Array(answer.dropFirst())))
      })
    self.give(.said(.question(number, question.encoded), to: member))
  }

  /// Gives up on questions that nobody answered in time, or whose member is gone.
  func sweepQuestions(at now: Tick) {
    for (number, question) in self.questions where question.deadline <= now || self.byMember[question.member] == nil {
      self.questions[number] = nil
      question.answered(nil)
    }
  }

  /// An answer came; only from the member that was asked.
  func answered(_ number: UInt64, _ bytes: [UInt8], by member: ReplicaIndex) {
    guard self.questions[number]?.member == member else { return }
    self.questions.removeValue(forKey: number)?.answered(bytes)
  }

  /// Answers a member's question; what is no question is not answered.
  func answer(_ bytes: [UInt8], _ number: UInt64, to peer: ReplicaIndex) {
    guard let question = try? MemberQuestion.decode(bytes) else { return }
    // ⚑ A question costs 48 bytes and a part four million: the answer is rationed as what is read from the store is.
    if case .object(let record, let start) = question, peer < ReplicaSet.countMax {
      return self.serve(.record(record, from: start, question: number), to: peer)
    }
    // I9: whoever asks without waiting for answers is not answered, and asks again.
    guard self.answering[peer, default: 0] < Self.answeringMax else { return self.refuseRequests(of: peer) }
    self.answering[peer, default: 0] += 1
    let reply: (Result<[UInt8], ReleaseRefusal>) -> Void = { [unowned self] result in
      let left = self.answering[peer, default: 1] - 1
      self.answering[peer] = left > 0 ? left : nil
      switch result {
      case .success(let content): self.give(.said(.answer(number, [0] + content), to: peer))
      case .failure(let refusal): self.give(.said(.answer(number, [refusal.rawValue]), to: peer))
      }
    }
    guard peer < ReplicaSet.countMax else { return self.answerGuest(question, reply) }
    switch question {
    case .object: break
    case .keep(let parts): self.keep(parts, question, from: peer, reply)
    case .proof(let record, let chunk): self.prove(record, chunk: chunk, reply)
    case .boxes(let record): self.serveBoxes(record, reply)
    case .hospitalKey(let question):
      self.hospitalKey(question) { [unowned self] result in
        reply(self.released(question, to: peer) { () throws(ReleaseRefusal) in try result.get().encoded })
      }
    case .share(let question, let capsule):
      reply(
        self.released(question, to: peer) { () throws(ReleaseRefusal) in
          try self.share(question, capsule: capsule).encoded
        })
    }
  }

  /// ⚑ Whoever only follows gets proofs, a few at a time: no ciphertext as a whole, and no share of a key.
  private func answerGuest(
    _ question: MemberQuestion, _ reply: @escaping (Result<[UInt8], ReleaseRefusal>) -> Void
  ) {
    guard case .proof(let record, let chunk) = question, self.guestQuestions < Self.guestQuestionsMax else {
      return reply(.failure(.unreachable))
    }
    self.guestQuestions += 1
    self.prove(record, chunk: chunk) { [unowned self] result in
      self.guestQuestions -= 1
      reply(result)
    }
  }

  private func released(
    _ question: ReleaseQuestion, to peer: ReplicaIndex, _ body: () throws(ReleaseRefusal) -> [UInt8]
  ) -> Result<[UInt8], ReleaseRefusal> {
    do throws(ReleaseRefusal) {
      let content = try body()
      self.log.emit(.keyReleased, ["request": .text(question.request.short), "hospital": .text(self.name(peer))])
      return .success(content)
    } catch {
      self.log.emit(.releaseRefused, ["reason": .text("\(error)"), "hospital": .text(self.name(peer))])
      return .failure(error)
    }
  }

  func peerStatus(_ index: ReplicaIndex, _ member: Member) -> PeerStatus {
    let connection = self.byMember[index]
    let mesh = Topic.allCases.filter { self.node.gossip.meshPeers($0).contains(index) }
    var status = PeerStatus(
      member: member.id.number, name: member.name, peer: member.key.peerIdentifier, addresses: member.addresses,
      connected: connection != nil,
      direction: connection.map { $0.dialled == nil ? "inbound" : "outbound" },
      roundTripMilliseconds: connection?.roundTrip.map { Double($0.nanoseconds) / 1e6 },
      mesh: mesh.map { "\($0)" }, dropped: connection?.dropped ?? 0,
      copiesProven: self.tending.challenges[index].proven, copiesFailed: self.tending.challenges[index].failed,
      keptBytes: self.intake.bytes(of: index).kept + self.intake.bytes(of: index).waiting)
    status.clockOffsetMilliseconds = connection?.clockOffset
    return status
  }
}
