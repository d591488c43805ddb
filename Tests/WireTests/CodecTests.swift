// Goal: each message has exactly one encoding, which no version changes by accident, and no bytes trap a decoder.
// Method: golden vectors in Tests/Vectors/golden; random, mutated and truncated bytes, bounded in number and seeded.
internal import Sessions
import Foundation
import Gossip
import HealthRecords
import Ledger
import Messages
import NodeCore
import Primitives
import Signing
import Testing
import Wire

/// One value of each type that travels or is stored.
enum Samples {
  static let network = Hash.blake2b("network")
  static var key: SigningKey {
    guard let key = SigningKey(seed: Hash.blake2b("key").bytes) else { preconditionFailure("32 bytes") }
    return key
  }
  static var transaction: Transaction {
    Transaction(
      kind: 12, hospital: MemberID(2), validUntil: Timestamp(milliseconds: 1_750_000_000_000),
      nonce: Array(0..<12), payload: Hash.blake2b("payload").bytes)
  }
  static var signedTransaction: Transaction { self.signedTransaction(for: self.network) }
  static func signedTransaction(for network: Digest) -> Transaction {
    Transaction(
      kind: 6, hospital: MemberID(2), validUntil: Timestamp(milliseconds: 1_750_000_000_000), nonce: Array(0..<12),
      payload: [1, 2, 3], network: network, signedBy: self.key)
  }
  static var block: Block { self.block(of: self.network) }
  static func block(of network: Digest) -> Block {
    let body = self.transaction.encoded + self.signedTransaction(for: network).encoded
    let header = BlockHeader(
      network: network, configuration: ConfigurationNumber(0), author: MemberID(2), position: LanePosition(1),
      parent: .zero, transactionCount: 2, transactionBytes: UInt32(body.count), body: BlockHeader.bodyDigest(body))
    return Block(header: header, signature: self.key.sign(header.signedBytes), body: body)
  }
  static var cut: Cut {
    Cut(heads: [.empty, self.block.head, .empty, .empty], time: Timestamp(milliseconds: 1_750_000_000_001))
  }
  static var prePrepare: Signed<PrePrepare> {
    let content = PrePrepare(
      configuration: ConfigurationNumber(0), view: View(0), sequence: SequenceNumber(1), cut: self.cut)
    let bytes = Signed<PrePrepare>.signedBytes(content, network: self.network)
    return Signed(content: content, signer: 0, signature: self.key.sign(bytes))
  }
  static var vote: VoteSignature { VoteSignature(signer: 1, signature: self.key.sign([1])) }
  static var decision: Decision {
    Decision(
      configuration: ConfigurationNumber(0), view: View(0), sequence: SequenceNumber(1), cut: self.cut,
      evidence: .commits([self.vote]))
  }
  static var viewChange: Signed<ViewChange> {
    let content = ViewChange(
      configuration: ConfigurationNumber(0), view: View(1), base: self.decision,
      prepared: [PreparedCertificate(prePrepare: self.prePrepare, prepares: [self.vote])])
    return Signed(content: content, signer: 2, signature: self.key.sign([2]))
  }
  static var status: Status {
    Status(
      configuration: ConfigurationNumber(0), view: View(3), isChanging: true, viewChanges: ReplicaSet(),
      decided: SequenceNumber(9),
      slots: [
        SlotStatus(
          sequence: SequenceNumber(10), hasPrePrepare: true, prepares: ReplicaSet(), commits: ReplicaSet())
      ])
  }
  static let position = LogPosition(term: View(3), sequence: SequenceNumber(9))
  static var cosignature: Cosignature {
    let body = CheckpointBody(
      network: self.network, size: 5, root: Hash.sha256([5]), sequence: SequenceNumber(4),
      stateDigest: Hash.sha256([6]),
      configuration: ConfigurationNumber(0))
    return Cosignature(body, signer: 1, seconds: 1_750_000_000, key: self.key)
  }
  static var member: Member {
    Member(
      id: MemberID(5), name: "St. Mary", key: self.key.publicKey, checkpointKey: self.key.publicKey,
      registrarKey: self.key.publicKey, sealingKey: Hash.sha256([7]), addresses: ["/ip4/10.0.0.5/tcp/4001"])
  }
  static var approvedChange: ApprovedChange {
    let change = MembershipChange(
      configuration: ConfigurationNumber(2), action: .add(self.member), validUntil: Timestamp(milliseconds: 9000))
    let signature = self.key.sign(change.signedBytes(network: self.network))
    return ApprovedChange(change, approvals: [VoteSignature(signer: 1, signature: signature)])
  }
  static var configurationRecord: ConfigurationRecord {
    var retired = ReplicaSet()
    retired.insert(7)
    let configuration = Configuration(
      number: ConfigurationNumber(3), engine: .raft, start: SequenceNumber(12), members: [self.member], retired: retired
    )
    let body = CheckpointBody(
      network: self.network, size: 5, root: Hash.sha256([5]), sequence: SequenceNumber(4),
      stateDigest: Hash.sha256([6]), configuration: ConfigurationNumber(2))
    return ConfigurationRecord(
      configuration, leaf: 4, checkpoint: StableCheckpoint(body: body, cosignatures: [self.cosignature]))
  }
  static var offer: SnapshotOffer {
    SnapshotOffer(
      SequenceNumber(9), manifest: self.manifest.digest, in: ConfigurationNumber(2), signer: 1, network: self.network,
      key: self.key)
  }
  static var manifest: SnapshotManifest {
    let point = SnapshotPoint(
      configuration: ConfigurationNumber(2), startCut: .genesis(lanes: 4), position: LedgerPosition(), cut: self.cut)
    return SnapshotManifest(point, chunks: [Hash.sha256([1]), Hash.sha256([2])])
  }
  static var link: LogProof { LogProof(leaf: 4, entry: [1, 2], path: [Hash.sha256([3])], checkpoint: "a note\n") }
  static var record: ExecutionRecord {
    ExecutionRecord(
      sequence: SequenceNumber(1), time: Timestamp(milliseconds: 1_750_000_000_001), firstLeaf: 0,
      blocks: [LaneAnnouncement(lane: 1, head: self.block.head)], outcomes: [0, 7])
  }
  static var consent: ConsentGrant {
    ConsentGrant(
      patient: Hash.sha256([1]), isDenial: false, grantee: .role(7, at: MemberID(3)), scope: .categories(5),
      purposes: [.treatment, .research], from: .zero, until: .never, usesMax: 3)
  }
  /// A proxy's power.
  static var power: ConsentGrant {
    ConsentGrant(
      patient: Hash.sha256([1]), isDenial: false, actions: [.read, .share], grantee: .account(Hash.sha256([2])),
      scope: .records([Hash.sha256([3])]), purposes: .patient, from: .zero, until: .never, usesMax: nil)
  }
  static var denial: ConsentGrant {
    ConsentGrant(
      patient: Hash.sha256([1]), isDenial: true, grantee: .careTeam(Hash.sha256([2])), scope: .all, purposes: .all,
      from: .zero, until: .never, usesMax: nil)
  }
  static let careTeam = CareTeamChange(number: 7, members: [Hash.sha256([1]), Hash.sha256([2])])
  static var recovery: RecoveryRequest {
    RecoveryRequest(account: Hash.sha256([1]), key: self.key.publicKey, sealingKey: Hash.sha256([2]))
  }
  static let retention = RetentionRule(category: .observation, milliseconds: 86_400_000)
  static var sealed: SealedRecord {
    SealedRecord(
      record: Hash.sha256([1]), chunks: [[1, 2], [3]], capsule: [4], hospitalCopy: [7], patientCopy: [5, 6])
  }
  static let messages: [(String, PeerMessage)] = [
    ("block", .block(block)), ("pre-prepare", .ordering(.prePrepare(prePrepare), isGossip: true)),
    ("decision", .ordering(.decision(decision), isGossip: false)),
    ("view-change", .ordering(.viewChange(viewChange), isGossip: true)), ("cosignature", .cosignature(cosignature)),
    ("evidence", .evidence(ForkEvidence(SignedHeader(block), SignedHeader(block)))), ("status", .status(status)),
    (
      "control",
      .control([
        .subscribe(.blocks, isIn: true), .graft(.ordering), .prune(.blocks, backoffMilliseconds: 60_000),
        .iHave(.evidence, [Hash.sha256([1])]), .iWant([Hash.sha256([2])]), .iDontWant([]),
      ])
    ),
    ("links", .links(ReplicaSet())),
    (
      "announcements", .announcements(ConfigurationNumber(2), [LaneAnnouncement(lane: 1, head: block.head)])
    ),
    ("block-request", .blockRequest(BlockRequest(lane: 1, above: .zero, head: block.head, order: .downwards))),
    ("blocks", .blocks([block])), ("decisions", .decisions([decision])), ("question", .question(7, [1, 2])),
    ("answer", .answer(7, [])),
    ("pre-vote-request", .raft(ConfigurationNumber(2), .preVoteRequest(term: View(4), last: position))),
    ("pre-vote", .raft(ConfigurationNumber(2), .preVote(term: View(3), isGranted: true))),
    ("vote-request", .raft(ConfigurationNumber(2), .voteRequest(term: View(4), last: position, isTransfer: true))),
    ("vote", .raft(ConfigurationNumber(2), .vote(term: View(4), isGranted: false))),
    (
      "append",
      .raft(
        ConfigurationNumber(2),
        .append(
          term: View(4), previous: position,
          entries: [RaftEntry(configuration: ConfigurationNumber(2), term: View(4), cut: cut)],
          committed: SequenceNumber(8)))
    ),
    ("appended", .raft(ConfigurationNumber(2), .appended(term: View(4), match: SequenceNumber(9)))),
    ("refused", .raft(ConfigurationNumber(2), .refused(term: View(5), end: SequenceNumber(7)))),
    ("snapshot-offer", .snapshotOffer(offer)), ("manifest-request", .manifestRequest(manifest.digest)),
    ("manifest", .manifest(SnapshotBundle(manifest, decision: decision, links: [link]))),
    ("chunk-request", .chunkRequest(manifest.digest, 1)), ("chunk", .chunk(manifest.digest, 1, [1, 2, 3])),
    ("history-request", .historyRequest(SequenceNumber(9))),
    ("history", .history([HistoryItem(record, decision: decision, blocks: [block])])),
    ("timeout-now", .raft(ConfigurationNumber(2), .timeoutNow(term: View(4)))),
    (
      "raft-decisions",
      .decisions([
        Decision(
          configuration: ConfigurationNumber(0), view: View(4), sequence: SequenceNumber(9), cut: cut,
          evidence: .majority)
      ])
    ),
  ]
}

@Suite("Codec")
struct CodecTests {
  @Test("Golden vectors: every message still has the bytes that it had")
  func golden() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let path = folder.appending(path: "Vectors/golden/messages.txt")
    var values = Samples.messages.map { ($0.0, $0.1.encoded) }
    values += [
      ("approved-change", Samples.approvedChange.encoded),
      ("configuration-record", Samples.configurationRecord.encoded),
      ("transaction", Samples.transaction.encoded), ("signed-transaction", Samples.signedTransaction.encoded),
      ("consent", Samples.consent.encoded), ("sealed-record", Samples.sealed.encoded),
      ("proxy", Samples.power.encoded), ("denial", Samples.denial.encoded), ("care-team", Samples.careTeam.encoded),
      ("recovery", Samples.recovery.encoded), ("retention", Samples.retention.encoded),
      ("limits", LedgerLimits().encoded),
    ]
    let text = values.map { "\($0.0) \(Hex.encode($0.1))\n" }.joined()
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
      try Data(text.utf8).write(to: path)
    }
    #expect(String(decoding: try Data(contentsOf: path), as: UTF8.self) == text)
  }

  @Test("What is decoded encodes to the same bytes")
  func identity() throws {
    for (name, message) in Samples.messages {
      #expect(try PeerMessage.decode(message.encoded).encoded == message.encoded, "\(name)")
    }
    #expect(try Transaction.decode(Samples.signedTransaction.encoded) == Samples.signedTransaction)
    #expect(try Block.decode(Samples.block.encoded) == Samples.block)
    for consent in [Samples.consent, Samples.power, Samples.denial] {
      #expect(try ConsentGrant.decode(consent.encoded) == consent)
    }
    #expect(try CareTeamChange.decode(Samples.careTeam.encoded) == Samples.careTeam)
    #expect(try RecoveryRequest.decode(Samples.recovery.encoded) == Samples.recovery)
    for proof in [nil, Samples.vote.signature] {
      let proven = Proven(Samples.recovery, proof: proof)
      #expect(try Proven<RecoveryRequest>.decode(proven.encoded) == proven)
    }
    #expect(Proven(Samples.recovery, proof: nil).encoded == Samples.recovery.encoded)
    #expect(try RetentionRule.decode(Samples.retention.encoded) == Samples.retention)
    #expect(try SealedRecord.decode(Samples.sealed.encoded) == Samples.sealed)
  }

  @Test("What a key's holder says has one form: domain, network, hospital, kind, sealing key; a session has no kind")
  func possession() throws {
    let (network, sealing) = (String(repeating: "11", count: 32), String(repeating: "22", count: 32))
    let identifier = try #require(Hex.decode(network).flatMap { Digest($0) })
    let sealingKey = try #require(Hex.decode(sealing).flatMap { Digest($0) })
    let domain = "636f6e73696c69756d2f6b65792f763100"
    let patient = KeyPossession(network: identifier, hospital: MemberID(2), kind: .patient, sealingKey: sealingKey)
    #expect(Hex.encode(patient.signedBytes) == domain + network + "0200000002" + sealing)
    let session = KeyPossession(sessionAt: MemberID(2), network: identifier)
    #expect(Hex.encode(session.signedBytes) == domain + network + "0200000000" + String(repeating: "00", count: 32))
  }

  @Test("Records are offered with what their identifiers are made of, each with its own, or all without")
  func offers() throws {
    let parts = [Samples.sealed.part(from: 0), Samples.sealed.part(from: 0)]
    let origin = RecordOrigin(patient: Hash.sha256([8]), hashLock: Hash.sha256([9]))
    let own = origin.record(of: MemberID(1), network: Hash.sha256([7]))
    #expect(own != origin.record(of: MemberID(2), network: Hash.sha256([7])))
    #expect(
      own
        == RecordAnchor.identifier(
          network: Hash.sha256([7]), hospital: MemberID(1), patient: origin.patient, hashLock: origin.hashLock))
    for origins in [[], [origin, origin]] {
      let question = MemberQuestion.keep(parts, of: origins)
      #expect(try MemberQuestion.decode(question.encoded) == question)
    }
    // Programs of the first rules read what has none.
    #expect(MemberQuestion.keep(parts, of: []).encoded.first == 4)
    let uneven = MemberQuestion.keep(parts, of: [origin]).encoded
    #expect(throws: WireError.self) { try MemberQuestion.decode(uneven) }
  }

  @Test("A consent's kind has one spelling: a grant to read is 0, a denial 1, other actions twice their bits")
  func consentKinds() {
    var bytes = Samples.power.encoded
    let known: Set<UInt8> = [0, 1, 4, 6]
    for kind in UInt8.min...UInt8.max {
      bytes[32] = kind
      let read = try? ConsentGrant.decode(bytes)
      #expect((read != nil) == known.contains(kind))
      if let read { #expect(read.encoded == bytes) }
    }
  }

  @Test("A care team's members stand in ascending order, each once")
  func teamOrder() {
    var bytes = Samples.careTeam.encoded
    let first = Array(bytes[bytes.count - 64..<bytes.count - 32])
    bytes.replaceSubrange(bytes.count - 32..<bytes.count, with: first)
    #expect(throws: WireError.self) { try CareTeamChange.decode(bytes) }
  }

  @Test("Every truncation is refused, and so is a byte too many")
  func truncation() {
    for (name, message) in Samples.messages {
      let bytes = message.encoded
      // Question and answer end in a counted blob: all prefixes are short.
      for count in 0..<bytes.count {
        #expect(throws: WireError.self, "\(name) of \(count)") { try PeerMessage.decode(Array(bytes[..<count])) }
      }
      #expect(throws: WireError.self, "\(name)") { try PeerMessage.decode(bytes + [0]) }
    }
  }

  @Test("Random and mutated bytes never trap; what is accepted has that one encoding", arguments: 0..<40)
  func fuzz(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      var bytes = Samples.messages[Int(random.below(UInt64(Samples.messages.count)))].1.encoded
      if random.oneIn(4) {
        bytes = (0..<random.below(300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      } else {
        for _ in 0...random.below(4) where !bytes.isEmpty {
          bytes[Int(random.below(UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: random.next())
        }
      }
      if let message = try? PeerMessage.decode(bytes) { #expect(message.encoded == bytes) }
      if let transaction = try? Transaction.decode(bytes) { #expect(transaction.encoded == bytes) }
      if let grant = try? ConsentGrant.decode(bytes) { #expect(grant.encoded == bytes) }
      if let anchor = try? RecordAnchor.decode(bytes) { #expect(anchor.encoded == bytes) }
      if let request = try? AccessRequest.decode(bytes) { #expect(request.encoded == bytes) }
      if let genesis = try? Genesis.decode(bytes) { #expect(genesis.encoded == bytes) }
    }
  }

  @Test("⚑ H2: what executing a cut of any number of blocks leaves behind has an encoding, to keep and to hand on")
  func hugeCut() throws {
    let blocks = 70_000
    let record = ExecutionRecord(
      sequence: SequenceNumber(1), time: Samples.record.time, firstLeaf: 0,
      blocks: Array(repeating: Samples.record.blocks[0], count: blocks), outcomes: Array(repeating: 3, count: blocks))
    #expect(try ExecutionRecord.decode(record.encoded) == record)
    let item = HistoryItem(
      record, decision: Samples.decision, blocks: Array(repeating: Samples.block, count: blocks))
    #expect(try HistoryItem.decode(item.encoded).blocks.count == blocks)
    // A count that cannot be there is refused before anything is allocated for it.
    var encoder = Encoder()
    encoder.item(record.sequence)
    encoder.item(record.time)
    encoder.u64(0)
    encoder.u32(.max)
    #expect(throws: WireError.self) { try ExecutionRecord.decode(encoder.bytes) }
  }

  @Test("A huge count is refused before anything is allocated for it")
  func hugeCounts() {
    var encoder = Encoder()
    encoder.u8(18)
    encoder.u64(1)
    encoder.u32(.max)
    #expect(throws: WireError.self) { try PeerMessage.decode(encoder.bytes) }
  }

  @Test("Peers' messages on a wrong channel, or with a wrong signature, are refused with the reason")
  func checker() throws {
    let member = Member(
      id: MemberID(2), name: "", key: Samples.key.publicKey, checkpointKey: Samples.key.publicKey,
      registrarKey: Samples.key.publicKey, sealingKey: .zero, addresses: [])
    let genesis = try #require(Genesis(name: "one", engine: .pbft, limits: LedgerLimits(), members: [member]))
    let checker = MessageChecker(genesis, in: genesis.configuration)
    let sample = Samples.block(of: genesis.network)
    let block = PeerMessage.block(sample).encoded
    #expect(throws: PeerFault.channel) { try checker.check(block, on: .ordering) }
    guard case .gossip(.blocks, let identifier, _, _) = try checker.check(block, on: .blocks) else {
      Issue.record("a good block was not taken")
      return
    }
    #expect(identifier == sample.digest)
    var broken = block
    broken[broken.count - 1] ^= 1
    #expect(throws: PeerFault.block(.body)) { try checker.check(broken, on: .blocks) }
    let foreign = PeerMessage.block(Samples.block).encoded
    #expect(throws: PeerFault.block(.otherNetwork)) { try checker.check(foreign, on: .blocks) }
    let vote = PeerMessage.ordering(.prePrepare(Samples.prePrepare), isGossip: true).encoded
    var forged = vote
    forged[20] ^= 1
    #expect(throws: PeerFault.signature) { try checker.check(forged, on: .ordering) }
    #expect(throws: PeerFault.self) { try checker.check([], on: .ordering) }
  }
}
