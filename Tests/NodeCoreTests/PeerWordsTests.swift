// Goal: whatever kind of message a member repeats, sends unasked or makes up costs nobody a signature's check without
// end (LEDGER §11.10, I9). Method: a node of a small consortium in virtual time judges messages by their first bytes;
// a member that does all of it, and what the others verified of it.
import HealthRecords
import Lanes
import Ledger
import Messages
import NodeCore
import Ordering
import Primitives
import Sessions
import Signing
import Simulator
import Testing
import Wire

@Suite("Peers' words")
struct PeerWordsTests {
  private struct NoMessage: Error {}

  /// A consortium after some load, and what member 1 heard of member 0 meanwhile.
  private func loaded(_ seed: UInt64) -> (Cluster, [PeerMessage]) {
    let cluster = Cluster(count: 4, seed: seed)
    var said: [PeerMessage] = []
    cluster.onArrival = { from, to, packet in
      if from == 0, to == 1, let message = packet.message { said.append(message) }
    }
    for number in 0..<6 as Range<UInt64> {
      for slot in 0..<3 { cluster.submit([cluster.digestTransaction(number * 10 + UInt64(slot), for: slot)], to: slot) }
      cluster.run(for: .milliseconds(60))
    }
    cluster.run(for: .milliseconds(500))
    cluster.onArrival = nil
    return (cluster, said)
  }

  /// A commit of member 0, as its key signs it or with another signature: whoever signs can make as many as it likes.
  private func vote(
    _ cluster: Cluster, view: UInt64 = 0, _ sequence: UInt64, _ digest: Digest = Hash.blake2b("words"),
    isGossip: Bool = true, variant: UInt64 = 0
  ) throws -> PeerMessage {
    let ballot = Ballot(
      configuration: ConfigurationNumber(0), view: View(view), sequence: SequenceNumber(sequence), digest: digest)
    let item = Cluster.keys(0).sign(
      .ballot(.commit(Commit(ballot))), network: cluster.genesis.network, as: 0, seconds: 0)
    guard case .ordering(.commit(let signed)) = item else { throw NoMessage() }
    guard variant > 0 else { return .ordering(.commit(signed), isGossip: isGossip) }
    let bytes = Hash.blake2b("variant", variant.encoded).bytes
    let signature = try #require(Signature(bytes + bytes))
    return .ordering(
      .commit(Signed(content: signed.content, signer: 0, signature: signature)), isGossip: isGossip)
  }

  private struct Judge {
    let node: Node
    var words = PeerWords()
    var now = Tick.zero + .milliseconds(100_000)

    mutating func judge(_ message: PeerMessage, from peer: Int = 0) -> PeerWords.Verdict {
      self.node.judge(message.encoded, from: peer, after: &self.words, at: self.now)
    }

    /// How many of so many messages are checked, and how many charged.
    mutating func counts(_ count: UInt64, _ make: (UInt64) throws -> PeerMessage) rethrows -> [Int] {
      var (checked, charged) = (0, 0)
      for number in 0..<count {
        switch self.judge(try make(number)) {
        case .check: checked += 1
        case .charge, .repeated: charged += 1
        case .drop: break
        }
      }
      return [checked, charged]
    }
  }

  private func judge(_ cluster: Cluster) throws -> Judge { Judge(node: try #require(cluster.node(1))) }

  @Test("An answer to a status comes once for each that was told, and a few times more; then it is charged")
  func answers() throws {
    let (cluster, _) = self.loaded(41)
    var judge = try self.judge(cluster)
    let next = judge.node.replica.decided.number + 1
    let same = try self.vote(cluster, next, isGossip: false)
    #expect(judge.counts(1000) { _ in same } == [4, 996])
    for _ in 0..<20 { judge.words.sent(PeerMessage.status(judge.node.replica.status).encoded, to: 0, at: judge.now) }
    #expect(judge.counts(1000) { _ in same } == [0, 1000])
    judge.now = judge.now + .milliseconds(10_000)
    for _ in 0..<20 { judge.words.sent(PeerMessage.status(judge.node.replica.status).encoded, to: 0, at: judge.now) }
    #expect(judge.counts(1000) { _ in same } == [24, 976])
  }

  @Test("A vote that is here is not checked again under another signature, nor one that contradicts it without end")
  func held() throws {
    let (cluster, _) = self.loaded(42)
    let next = try #require(cluster.node(1)).replica.decided.number + 1
    let vote = try self.vote(cluster, next)
    guard case .ordering(let content, _) = vote else { throw NoMessage() }
    let checked = try #require(
      OrderingMessage.verify(content, network: cluster.genesis.network, in: cluster.genesis.configuration))
    cluster.input(.received(.ordering(checked), from: 0), to: 1)
    var judge = try self.judge(cluster)
    for isGossip in [true, false] {
      #expect(
        try judge.counts(1000) { try self.vote(cluster, next, isGossip: isGossip, variant: $0 + 1) } == [0, 0])
    }
    let counts = try judge.counts(1000) { number in
      try self.vote(cluster, next, Hash.blake2b("other", number.encoded), variant: number + 1)
    }
    #expect(counts[0] <= 5 && counts[1] == 0)
  }

  @Test("What is only to be passed on is checked as often as it is passed on, whoever's name is on it")
  func elsewhere() throws {
    let (cluster, _) = self.loaded(43)
    var judge = try self.judge(cluster)
    let next = judge.node.replica.decided.number + 1
    let counts = try judge.counts(5000) { try self.vote(cluster, view: 1, next, variant: $0 + 1) }
    #expect(counts[0] > 400 && counts[0] <= 513 && counts[1] == 0)
    // As an answer it is of no use at all.
    #expect(
      try judge.counts(1000) { try self.vote(cluster, view: 1, next, isGossip: false, variant: $0 + 1) } == [0, 0])
    // Another peer's words about that author have room of their own.
    #expect(judge.judge(try self.vote(cluster, view: 1, next, variant: 9999), from: 2) == .check)
  }

  @Test("View changes and new views that nobody signed before are few; one under a name that may not is charged")
  func costly() throws {
    let (cluster, _) = self.loaded(44)
    var judge = try self.judge(cluster)
    func change(_ view: UInt64) throws -> PeerMessage {
      let content = ViewChange(configuration: ConfigurationNumber(0), view: View(view), base: nil, prepared: [])
      let item = Cluster.keys(0).sign(
        .ballot(.viewChange(content)), network: cluster.genesis.network, as: 0, seconds: 0)
      guard case .ordering(let message) = item else { throw NoMessage() }
      return .ordering(message, isGossip: true)
    }
    let changes = try judge.counts(1000) { try change($0 + 1) }
    #expect(changes[0] >= 8 && changes[0] <= 33 && changes[1] == 0)
    func newView(_ view: UInt64) throws -> PeerMessage {
      let ballot = Ballotable.newView(view: View(view), viewChanges: [], prePrepares: [])
      let item = Cluster.keys(0).sign(.ballot(ballot), network: cluster.genesis.network, as: 0, seconds: 0)
      guard case .ordering(let message) = item else { throw NoMessage() }
      return .ordering(message, isGossip: true)
    }
    // Member 0 leads every fourth view.
    #expect(judge.judge(try newView(5)) == .charge(nil))
    judge.now = judge.now + .milliseconds(60_000)
    let views = try judge.counts(1000) { try newView(4 * ($0 + 1)) }
    #expect(views[0] >= 8 && views[0] <= 9)
  }

  @Test("A packed new view is not read where the members cannot have so much to say")
  func packed() throws {
    let (cluster, _) = self.loaded(46)
    let checker = MessageChecker(cluster.genesis, in: cluster.genesis.configuration)
    for type in [2, 10] as [UInt8] {
      #expect(throws: PeerFault.malformed(.invalid(at: 1, field: "packed new view"))) {
        try checker.check([type, 7] + Array(repeating: 0, count: 1000), on: .ordering)
      }
    }
  }

  @Test("Decisions, blocks, manifests, chunks and history that nobody asked for are charged")
  func unasked() throws {
    let (cluster, said) = self.loaded(45)
    var judge = try self.judge(cluster)
    let decisions = PeerMessage.decisions([])
    for message in [
      decisions, .chunk(Hash.blake2b("chunk"), 0, [1]), .history([]),
    ] {
      #expect(judge.counts(100) { _ in message } == [5, 95])
    }
    judge.words.sent(PeerMessage.status(judge.node.replica.status).encoded, to: 0, at: judge.now)
    #expect(judge.counts(10) { _ in decisions } == [1, 9])
    // A block that is here, two thousand times in one message.
    let block = try #require(said.compactMap { if case .block(let block) = $0 { block } else { nil } }.first)
    let known = PeerMessage.blocks(Array(repeating: block, count: 2000))
    #expect(judge.node.useless(inBlocks: known.encoded).indices.count == 2000)
    #expect(judge.counts(20) { _ in known } == [5, 15])
    let request = BlockRequest(lane: 0, above: .zero, head: block.head, order: .upwards)
    judge.words.sent(PeerMessage.blockRequest(request).encoded, to: 0, at: judge.now)
    #expect(judge.counts(10) { _ in known } == [1, 9])
  }

  @Test("Of blocks that nobody asked for those are checked that are of use, each once")
  func useful() throws {
    let (cluster, said) = self.loaded(46)
    var judge = try self.judge(cluster)
    let blocks = said.compactMap { if case .block(let block) = $0 { block } else { nil } }
    let last = try #require(blocks.max { $0.header.position < $1.header.position })
    let next = try #require(self.block(cluster, after: last, at: last.header.position.number + 1))
    let message = PeerMessage.blocks([last, next, next, last])
    #expect(judge.node.useless(inBlocks: message.encoded).indices == [0, 2, 3])
    #expect(judge.counts(20) { _ in message } == [20, 0])
    guard
      case .blocks(let checked) = try MessageChecker(cluster.genesis, in: cluster.genesis.configuration)
        .check(message.encoded, on: .sync, useless: [0, 2, 3])
    else { throw NoMessage() }
    #expect(checked.map(\.value) == [next])
    // Far away it is only passed on.
    let far = try (0..<2000 as Range<UInt64>).map {
      PeerMessage.block(try #require(self.block(cluster, after: next, at: 1 << 20 + $0)))
    }
    let passed = judge.counts(2000) { far[Int($0)] }
    #expect(passed[0] > 400 && passed[0] <= 513 && passed[1] == 0)
  }

  /// A block of member 0's lane, with another's transactions.
  private func block(_ cluster: Cluster, after parent: Block, at position: UInt64) -> Block? {
    let old = parent.header
    // Far away its parent is nowhere.
    let digest =
      position == old.position.number + 1 ? parent.digest : Hash.blake2b("air", position.encoded, parent.digest.bytes)
    let header = BlockHeader(
      network: old.network, configuration: old.configuration, author: old.author, position: LanePosition(position),
      parent: digest, transactionCount: old.transactionCount, transactionBytes: old.transactionBytes, body: old.body)
    let item = Cluster.keys(0).sign(
      .block(header, body: parent.body), network: cluster.genesis.network, as: 0, seconds: 0)
    if case .block(let block) = item { return block }
    return nil
  }

  @Test("Of a lane that is known to be forked no further proof is checked")
  func forks() throws {
    let (cluster, said) = self.loaded(47)
    let blocks = said.compactMap { if case .block(let block) = $0 { block } else { nil } }
    let last = try #require(blocks.max { $0.header.position < $1.header.position })
    let one = try #require(self.block(cluster, after: last, at: last.header.position.number + 5))
    let other = try #require(self.block(cluster, after: one, at: last.header.position.number + 5))
    let evidence = PeerMessage.evidence(ForkEvidence(SignedHeader(one), SignedHeader(other)))
    var judge = try self.judge(cluster)
    #expect(judge.judge(evidence) == .check)
    cluster.input(
      .received(
        try MessageChecker(cluster.genesis, in: cluster.genesis.configuration).check(evidence.encoded, on: .ordering),
        from: 0), to: 1)
    judge = try self.judge(cluster)
    let third = try #require(self.block(cluster, after: other, at: last.header.position.number + 5))
    let another = PeerMessage.evidence(ForkEvidence(SignedHeader(one), SignedHeader(third)))
    #expect(judge.judge(another) == .drop(nil))
  }
}

extension UInt64 {
  fileprivate var encoded: [UInt8] {
    var encoder = Encoder()
    encoder.u64(self)
    return encoder.bytes
  }
}
