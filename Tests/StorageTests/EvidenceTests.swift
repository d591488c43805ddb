// Goal: proof that a member contradicted itself, in votes or in its lane, is kept on the disk, accuses nobody else, and
// is verified by anybody who has the genesis (LEDGER §2, §9, I8). Method: pairs made with a member's own keys, and
// altered ones; a member of a consortium in virtual time that lies; a store of real LMDB.
import HealthRecords
import Ledger
import Messages
import NodeCore
import Ordering
import Primitives
import Rules
import Signing
import Simulator
import Storage
import Testing
import Wire

@Suite("Evidence of lying in votes")
struct EvidenceTests {
  private static let genesis = Cluster(count: 4, seed: 1).genesis

  private static func signed<Content: OrderingContent>(_ content: Content, by member: Int) -> Signed<Content> {
    let bytes = Signed<Content>.signedBytes(content, network: self.genesis.network)
    return Signed(content: content, signer: member, signature: Cluster.keys(member).member.sign(bytes))
  }

  private static func ballot(_ digest: UInt8, view: UInt64 = 0, _ sequence: UInt64 = 5) -> Ballot {
    Ballot(
      configuration: ConfigurationNumber(0), view: View(view), sequence: SequenceNumber(sequence),
      digest: Hash.sha256([digest]))
  }

  private static func prePrepare(_ time: UInt64, view: UInt64 = 0, _ sequence: UInt64 = 5) -> PrePrepare {
    let heads = Array(repeating: LaneHead.empty, count: 4)
    return PrePrepare(
      configuration: ConfigurationNumber(0), view: View(view), sequence: SequenceNumber(sequence),
      cut: Cut(heads: heads, time: Timestamp(milliseconds: time)))
  }

  private static func newView(_ times: [UInt64]) -> NewView {
    NewView(
      configuration: ConfigurationNumber(0), view: View(2), viewChanges: [],
      prePrepares: times.map { self.signed(self.prePrepare($0, view: 2), by: 2) })
  }

  /// One of each kind, all of member 2.
  private static let all: [VoteEvidence] = [
    .prePrepares(signed(prePrepare(1, view: 2), by: 2), signed(prePrepare(2, view: 2), by: 2)),
    .prepares(signed(Prepare(ballot(1)), by: 2), signed(Prepare(ballot(2)), by: 2)),
    .commits(signed(Commit(ballot(1)), by: 2), signed(Commit(ballot(2)), by: 2)),
    .newViews(signed(newView([1]), by: 2), signed(newView([2]), by: 2)),
  ]

  private func holds(_ evidence: VoteEvidence) -> Bool {
    evidence.isAuthentic(network: Self.genesis.network, in: Self.genesis.configuration)
  }

  @Test(
    "I8: two that contradict prove it, and are read back as they were; an altered byte proves nothing", arguments: all)
  func proves(evidence: VoteEvidence) throws {
    #expect(self.holds(evidence) && evidence.culprit == 2)
    let bytes = evidence.encoded
    #expect(try VoteEvidence.decode(bytes) == evidence)
    for offset in stride(from: 0, to: bytes.count, by: 7) {
      var altered = bytes
      altered[offset] ^= 1
      guard let other = try? VoteEvidence.decode(altered) else { continue }
      #expect(!self.holds(other))
    }
  }

  @Test("I8: nobody is accused by what two members signed, by one thing twice, or by two of different places")
  func accusesNobody() {
    let innocent: [VoteEvidence] = [
      .commits(Self.signed(Commit(Self.ballot(1)), by: 2), Self.signed(Commit(Self.ballot(1)), by: 2)),
      .commits(Self.signed(Commit(Self.ballot(1)), by: 2), Self.signed(Commit(Self.ballot(2)), by: 3)),
      .commits(Self.signed(Commit(Self.ballot(1)), by: 2), Self.signed(Commit(Self.ballot(2, view: 1)), by: 2)),
      .commits(Self.signed(Commit(Self.ballot(1)), by: 2), Self.signed(Commit(Self.ballot(2, 6)), by: 2)),
      .prepares(Self.signed(Prepare(Self.ballot(1)), by: 7), Self.signed(Prepare(Self.ballot(2)), by: 7)),
      .newViews(Self.signed(Self.newView([1]), by: 2), Self.signed(Self.newView([1]), by: 2)),
    ]
    for evidence in innocent { #expect(!self.holds(evidence)) }
  }

  @Test("I8: a store keeps one of each kind of a member and configuration, over a restart too")
  func kept() throws {
    let folder = Folder()
    do {
      let store = try open(folder, Self.genesis)
      try store.write(Self.all.map { .ordering(.evidence($0)) })
      try store.write([.ordering(.evidence(Self.all[2]))])
    }
    let store = try Store(
      path: folder.path, genesis: Self.genesis, member: MemberID(1), mapSizeMax: 1 << 30, fresh: nil)
    let reader = try StoreReader(store)
    #expect(try reader.voteEvidence() == Self.all)
    _ = try reader.checkContent()
  }

  /// A cluster whose ledger holds proof that member 3 forked its lane.
  private static func forked() -> Cluster {
    let cluster = Cluster(count: 4, seed: 5)
    cluster.run(for: .milliseconds(50))
    let keys = Cluster.keys(3)
    cluster.tamper = { from, to, message in
      guard from == 3, to == 1, case .block(let block) = message, block.header.author == MemberID(4) else {
        return message
      }
      let other = cluster.digestTransaction(999, for: 3).encoded
      let header = BlockHeader(
        network: block.header.network, configuration: block.header.configuration, author: block.header.author,
        position: block.header.position, parent: block.header.parent, transactionCount: 1,
        transactionBytes: UInt32(other.count), body: BlockHeader.bodyDigest(other))
      return .block(Block(header: header, signature: keys.member.sign(header.signedBytes), body: other))
    }
    cluster.submit([cluster.digestTransaction(1, for: 3)], to: 3)
    let isKnown = cluster.run(within: .milliseconds(30_000)) {
      cluster.state(0).value(StateKey.fork(MemberID(4))) != nil
    }
    #expect(isKnown)
    // What was executed is on the disk a moment later.
    cluster.run(for: .milliseconds(1000))
    return cluster
  }

  @Test("I8: a fork that stands on the ledger is read back from any member's store, with the proof that holds offline")
  func forks() throws {
    let cluster = Self.forked()
    let (genesis, folder) = (cluster.genesis, Folder())
    let store = try open(folder, genesis)
    try store.write(writes(of: cluster))
    let fork = try #require(try StoreReader(store).forks().first)
    #expect(try StoreReader(store).forks().count == 1)
    #expect(fork.author == MemberID(4) && fork.isHere)
    #expect(fork.isProven(network: genesis.network, among: [genesis.configuration]))
    // In another consortium, or where the author is no member, it proves nothing.
    #expect(!fork.isProven(network: .zero, among: [genesis.configuration]))
    #expect(!fork.isProven(network: genesis.network, among: []))
    let others = Configuration(
      number: ConfigurationNumber(0), members: Array(genesis.members.dropLast()))
    #expect(!fork.isProven(network: genesis.network, among: [others]))
    // Who did not fork is not accused; nor is anybody by an empty store.
    let empty = Folder()
    #expect(try StoreReader(open(empty, genesis)).forks().isEmpty)
  }

  @Test("I8: a primary that proposes two cuts for one number is proved to have done so at members that saw both")
  func caught() throws {
    let cluster = Cluster(count: 4, seed: 51)
    cluster.run(for: .milliseconds(50))
    cluster.corrupt(0, with: TwoFaced())
    for number in 0..<12 as Range<UInt64> {
      for slot in 1..<4 { cluster.submit([cluster.digestTransaction(number * 10 + UInt64(slot), for: slot)], to: slot) }
      cluster.run(for: .milliseconds(300))
    }
    let kept = (1..<4).flatMap { cluster.disk($0).evidence }
    #expect(!kept.isEmpty && kept.allSatisfy { $0.culprit == 0 && $0.kind == .prePrepare })
    let genesis = cluster.genesis
    #expect(kept.allSatisfy { $0.isAuthentic(network: genesis.network, in: genesis.configuration) })
    #expect((1..<4).allSatisfy { cluster.disk($0).evidence.count <= 1 })
    #expect(cluster.breach == nil && cluster.checkAgreement() == nil)
  }
}

/// As primary, proposes each cut and another to everybody.
private struct TwoFaced: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .ordering(.prePrepare(let signed), true) = message, signed.signer == scene.from else {
      return [Utterance(message)]
    }
    let old = signed.content
    let other = PrePrepare(
      configuration: old.configuration, view: old.view, sequence: old.sequence,
      cut: Cut(heads: old.cut.heads, time: old.cut.time.adding(milliseconds: 1)))
    return [Utterance(message)] + [scene.signed(.prePrepare(other))].compactMap { $0.map { Utterance($0) } }
  }
}
