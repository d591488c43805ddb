internal import Ordering
internal import EventLoop
internal import Ledger
internal import Discovery
internal import Foundation
internal import Gateway
internal import Gossip
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Signing
internal import Storage
internal import Telemetry
internal import Wire

/// A question that waits for its answer.
struct Question {
  let deadline: Tick
  let continuation: CheckedContinuation<[UInt8]?, Never>
}

/// What members ask one another outside the ledger: keys of records that a granted request names.
extension NodeDriver {
  /// The most questions that wait for an answer.
  static let questionsMax = 1024

  /// Asks a member and waits; nil where it is not connected or does not answer in time.
  func ask(
    _ member: ReplicaIndex, _ question: [UInt8], timeout: Span, _ continuation: CheckedContinuation<[UInt8]?, Never>
  ) {
    guard self.byMember[member] != nil, self.questions.count < Self.questionsMax else {
      return continuation.resume(returning: nil)
    }
    let number = self.nextQuestion
    self.nextQuestion += 1
    self.questions[number] = Question(deadline: self.loop.now + timeout, continuation: continuation)
    self.give(.said(.question(number, question), to: member))
  }

  /// Gives up on questions that nobody answered in time.
  func sweepQuestions(at now: Tick) {
    for (number, question) in self.questions where question.deadline <= now {
      self.questions[number] = nil
      question.continuation.resume(returning: nil)
    }
  }

  func answer(_ bytes: [UInt8], _ number: UInt64, to peer: ReplicaIndex) {
    guard let question = try? ReleaseQuestion.decode(bytes) else { return }
    let answer: [UInt8]
    do throws(ReleaseRefusal) {
      answer = [0] + (try self.releaseHere(question).encoded)
      self.log.emit(
        .keyReleased, ["request": .text(question.request.short), "hospital": .text(self.name(peer))])
    } catch {
      answer = [error.rawValue]
      self.log.emit(.releaseRefused, ["reason": .text("\(error)"), "hospital": .text(self.name(peer))])
    }
    self.give(.said(.answer(number, answer), to: peer))
  }

  /// Releases a record's key after this node's own ledger granted the request, and to nobody else.
  func releaseHere(_ question: ReleaseQuestion) throws(ReleaseRefusal) -> ReleaseAnswer {
    let time = self.node.execution.position.time
    let (ephemeral, entry) = try ReleasePolicy.judge(question, at: time, in: self.state)
    guard entry.hospital == self.node.configuration.members[self.settings.index].id else { throw .notHere }
    let kept: SealedRecord?
    do { kept = try self.vault.record(question.record) } catch { throw .notHere }
    let custodian = AuthoringHospital(sealingSecret: self.keys.sealingSecret)
    guard let sealed = kept,
      let key = custodian.reseal(sealed.capsule, of: question.record, to: ephemeral)
    else { throw .notHere }
    let signed = ReleaseAnswer.signedBytes(network: self.settings.genesis.network, question: question, key: key)
    self.stateRelease(of: question.request)
    return ReleaseAnswer(sealed: sealed, key: key, signature: self.keys.member.sign(signed))
  }

  /// States on the ledger, once for each request, that this hospital released keys for it.
  private func stateRelease(of request: Digest) {
    let hospital = self.node.configuration.members[self.settings.index].id
    guard let (_, entry) = AccessEntry.find(request: request, in: self.state), !entry.releases.contains(hospital),
      self.stated.insert(request).inserted
    else { return }
    if self.stated.count > Self.questionsMax { self.stated = [request] }
    let life = self.settings.genesis.limits.transactionLifeMilliseconds
    let transaction = Transaction(
      kind: TransactionKind.recordRelease.rawValue, hospital: hospital,
      validUntil: self.moment.wall.adding(milliseconds: life / 2),
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes), payload: request.encoded)
    self.give(.submitted([transaction.encoded]))
  }

  func peerStatus(_ index: ReplicaIndex, _ member: Member) -> PeerStatus {
    let connection = self.byMember[index]
    let mesh = Topic.allCases.filter { self.node.gossip.meshPeers($0).contains(index) }
    return PeerStatus(
      member: member.id.number, name: member.name, peer: member.key.peerIdentifier, addresses: member.addresses,
      connected: connection != nil,
      direction: connection.map { $0.dialled == nil ? "inbound" : "outbound" },
      roundTripMilliseconds: connection?.roundTrip.map { Double($0.nanoseconds) / 1e6 },
      mesh: mesh.map { "\($0)" }, dropped: connection?.dropped ?? 0)
  }
}
