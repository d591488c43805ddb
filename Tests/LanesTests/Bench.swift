import Lanes
import Messages
import Ordering
import Primitives
import Signing
import Wire

/// One member's lanes, of which there are four.
struct Bench {
  let network = Hash.blake2b("network")
  let configuration: Configuration
  var lanes: Lanes
  var effects: [Lanes.Effect] = []
  var now = Tick.zero

  static func key(_ index: Int) -> SigningKey {
    guard let key = SigningKey(seed: Hash.blake2b("member", [UInt8(index)]).bytes) else {
      preconditionFailure("32 bytes")
    }
    return key
  }

  init(
    stored: [Block] = [], isStart: Bool = false, parameters: Lanes.Parameters = Lanes.Parameters(), count: Int = 4
  ) {
    let members = (0..<count).map { index -> Member in
      let key = Bench.key(index).publicKey
      return Member(
        id: MemberID(UInt32(index + 1)), name: "", key: key, checkpointKey: key, registrarKey: key, sealingKey: .zero,
        addresses: [])
    }
    self.configuration = Configuration(number: ConfigurationNumber(0), members: members)
    self.lanes = Lanes(
      network: self.network, configuration: self.configuration, limits: LedgerLimits(), index: 0,
      parameters: parameters, executed: .genesis(lanes: count), stored: stored,
      isStart: isStart)
    for peer in 1..<count { self.give(.connected(peer)) }
  }

  @discardableResult
  mutating func give(_ input: Lanes.Input) -> Lanes.Outcome {
    self.effects = []
    return self.lanes.step(input, at: self.now, into: &self.effects)
  }

  /// A block of a lane on a parent; where its author lies, at another position than the next.
  func block(
    _ lane: Int, after parent: LaneHead, _ content: UInt8 = 0, at position: UInt64? = nil, bytes: Int = 40
  ) -> Block {
    let body = [UInt8](repeating: content, count: bytes)
    let header = BlockHeader(
      network: self.network, configuration: ConfigurationNumber(0), author: MemberID(UInt32(lane + 1)),
      position: position.map { LanePosition($0) } ?? parent.position.next, parent: parent.digest,
      transactionCount: 1, transactionBytes: UInt32(bytes),
      body: BlockHeader.bodyDigest(body))
    return Block(header: header, signature: Bench.key(lane).sign(header.signedBytes), body: body)
  }

  /// A chain of blocks of a lane.
  func chain(_ lane: Int, _ count: Int) -> [Block] {
    var out: [Block] = []
    for _ in 0..<count { out.append(self.block(lane, after: out.last?.head ?? .empty)) }
    return out
  }

  mutating func take(_ block: Block) {
    self.give(.block(Verified(checked: block)))
    self.give(.blockDurable(block))
  }

  /// What was asked to be written.
  var written: [Digest] {
    self.effects.compactMap { if case .persist(let block) = $0 { block.digest } else { nil } }
  }

  var evidence: [ForkEvidence] {
    self.effects.compactMap { if case .forked(let evidence) = $0 { evidence } else { nil } }
  }

  mutating func wait(_ milliseconds: UInt64) {
    self.now = self.now + .milliseconds(milliseconds)
    self.give(.timerFired)
  }

  var requests: [(peer: Int, request: BlockRequest)] {
    self.effects.compactMap { if case .request(let peer, let request) = $0 { (peer, request) } else { nil } }
  }

  var sealed: BlockHeader? {
    self.effects.compactMap { if case .seal(let header, _) = $0 { header } else { nil } }.first
  }

  func cut(_ heads: [Int: LaneHead], at time: UInt64 = 1) -> Cut {
    Cut(heads: (0..<4).map { heads[$0] ?? .empty }, time: Timestamp(milliseconds: time))
  }
}
