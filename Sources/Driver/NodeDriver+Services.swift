internal import Ledger
internal import Foundation
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Signing
internal import Storage
internal import Telemetry
internal import Wire

/// What members ask one another outside the ledger: keys of records that a granted request names.
extension NodeDriver {
  /// The most questions that wait for an answer.
  static let questionsMax = 1024

  /// Asks a member and waits; nil where it is not connected or does not answer in time.
  func ask(_ member: ReplicaIndex, _ question: [UInt8], _ continuation: CheckedContinuation<[UInt8]?, Never>) {
    guard self.byMember[member] != nil, self.questions.count < Self.questionsMax else {
      return continuation.resume(returning: nil)
    }
    let number = self.nextQuestion
    self.nextQuestion += 1
    self.questions[number] = continuation
    self.give(.said(.question(number, question), to: member))
  }

  /// Gives up on a question.
  func giveUp(_ number: UInt64) { self.questions.removeValue(forKey: number)?.resume(returning: nil) }

  func answer(_ bytes: [UInt8], _ number: UInt64, to peer: ReplicaIndex) {
    guard let question = try? ReleaseQuestion.decode(bytes) else { return }
    let time = self.node.execution.position.time
    let answer: [UInt8]
    do throws(ReleaseRefusal) {
      answer = [0] + (try self.release(question, at: time).encoded)
      self.log.emit(
        .keyReleased, ["request": .text(question.request.short), "hospital": .text(self.name(peer))])
    } catch {
      answer = [error.rawValue]
      self.log.emit(.releaseRefused, ["reason": .text("\(error)"), "hospital": .text(self.name(peer))])
    }
    self.give(.said(.answer(number, answer), to: peer))
  }

  /// Releases a record's key after this node's own ledger granted the request, and to nobody else.
  func release(_ question: ReleaseQuestion, at time: Timestamp) throws(ReleaseRefusal) -> ReleaseAnswer {
    let (ephemeral, entry) = try ReleasePolicy.judge(question, at: time, in: self.state)
    guard entry.hospital == self.node.configuration.members[self.settings.index].id else { throw .notHere }
    let kept: SealedRecord?
    do { kept = try self.vault.record(question.record) } catch { throw .notHere }
    let custodian = AuthoringHospital(sealingSecret: self.keys.sealingSecret)
    guard let sealed = kept,
      let key = custodian.reseal(sealed.capsule, of: question.record, to: ephemeral)
    else { throw .notHere }
    let signed = ReleaseAnswer.signedBytes(network: self.settings.genesis.network, question: question, key: key)
    return ReleaseAnswer(sealed: sealed, key: key, signature: self.keys.member.sign(signed))
  }
}
