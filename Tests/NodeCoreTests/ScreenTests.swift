// Goal: what is of no use is dropped before a signature is checked, and what nobody can use is not passed on (LEDGER
// §11.10). Method: a small consortium in virtual time, and votes made with a member's own keys.
import HealthRecords
import Lanes
import Ledger
import Messages
import NodeCore
import Ordering
import Primitives
import Signing
import Simulator
import Testing
import Wire

@Suite("Screen")
struct ScreenTests {
  private func vote(_ cluster: Cluster, view: UInt64, _ sequence: UInt64) throws -> PeerMessage {
    let ballot = Ballot(
      configuration: ConfigurationNumber(0), view: View(view), sequence: SequenceNumber(sequence),
      digest: Hash.blake2b("screen"))
    let item = Cluster.keys(0).sign(
      .ballot(.commit(Commit(ballot))), network: cluster.genesis.network, as: 0, seconds: 0)
    guard case .ordering(let message) = item else {
      Issue.record("a ballot becomes an ordering message")
      throw NoVote()
    }
    return .ordering(message, isGossip: true)
  }

  private struct NoVote: Error {}

  private func load(_ cluster: Cluster, rounds: UInt64) {
    for number in 0..<rounds {
      for slot in 0..<3 { cluster.submit([cluster.digestTransaction(number * 10 + UInt64(slot), for: slot)], to: slot) }
      cluster.run(for: .milliseconds(60))
    }
    cluster.run(for: .milliseconds(500))
  }

  @Test("LEDGER §11.10: what is settled, of a view that was left, or far away is dropped unread; what is near is not")
  func drops() throws {
    let cluster = Cluster(count: 4, seed: 31)
    self.load(cluster, rounds: 6)
    let node = try #require(cluster.node(1))
    let decided = node.replica.decided.number
    try #require(decided > 2)
    #expect(node.screen.drops(try self.vote(cluster, view: 0, decided)))
    #expect(!node.screen.drops(try self.vote(cluster, view: 0, decided + 1)))
    #expect(!node.screen.drops(try self.vote(cluster, view: 1, decided + 16)))
    #expect(node.screen.drops(try self.vote(cluster, view: 1000, decided + 1)))
    #expect(node.screen.drops(try self.vote(cluster, view: 0, decided + 10_000)))
    cluster.input(.stepDownRequested, to: 0)
    cluster.run(for: .milliseconds(500))
    let next = try #require(cluster.node(1))
    try #require(next.replica.view == View(1))
    #expect(next.screen.drops(try self.vote(cluster, view: 0, next.replica.decided.number + 1)))
    #expect(!next.screen.drops(try self.vote(cluster, view: 1, next.replica.decided.number + 1)))
  }

  @Test("LEDGER §11.10: a message that is here already is known by its bytes")
  func repeated() throws {
    let cluster = Cluster(count: 4, seed: 32)
    var said: [[UInt8]] = []
    cluster.onArrival = { _, to, packet in
      if to == 1, case .ordering(_, true)? = packet.message { said.append(packet.bytes) }
    }
    self.load(cluster, rounds: 2)
    let node = try #require(cluster.node(1))
    let proposal = try #require(said.first)
    #expect(node.repeated(proposal) == MessageChecker.identifier(proposal))
    #expect(node.repeated(try self.vote(cluster, view: 0, 9999).encoded) == nil)
  }

  @Test("LEDGER §11.10: votes that contradict one another are not passed on")
  func notPassedOn() {
    let cluster = Cluster(count: 4, seed: 33)
    cluster.run(for: .milliseconds(50))
    cluster.corrupt(0, with: ManyMinded())
    // Member 3 hears of member 0 through the others only.
    cluster.cut(0, 3)
    cluster.run(for: .milliseconds(200))
    var heard = 0
    cluster.onArrival = { _, to, packet in
      if to == 3, case .ordering(.commit(let vote), _)? = packet.message, vote.signer == 0 { heard += 1 }
    }
    self.load(cluster, rounds: 5)
    #expect(heard > 0 && heard <= 4 * Int(cluster.disk(1).position.sequence.number))
    #expect(cluster.checkAgreement() == nil && cluster.breach == nil)
  }
}

/// Commits to thirty digests beside the one that was proposed.
private struct ManyMinded: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .ordering(.commit(let signed), true) = message, signed.signer == scene.from else {
      return [Utterance(message)]
    }
    let ballot = signed.content.ballot
    let others = (0..<UInt8(30)).compactMap { number -> PeerMessage? in
      scene.signed(
        .commit(
          Commit(
            Ballot(
              configuration: ballot.configuration, view: ballot.view, sequence: ballot.sequence,
              digest: Hash.blake2b("other", [number])))))
    }
    return [Utterance(message)] + others.map { Utterance($0) }
  }
}
