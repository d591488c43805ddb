internal import Lanes
internal import Messages
internal import Ordering
internal import PBFT
internal import Primitives
internal import Signing

/// Members that only their machines know: no signature is made or checked.
private func consortium(_ count: Int) -> Configuration {
  let members = (0..<count).map { index -> Member in
    guard let key = SigningKey(seed: Hash.blake2b("consilium/bench/v1", [UInt8(index & 255)]).bytes)?.publicKey else {
      preconditionFailure("a digest has 32 bytes")
    }
    return Member(
      id: MemberID(UInt32(index + 1)), name: "", key: key, checkpointKey: key, registrarKey: key, sealingKey: .zero,
      addresses: [])
  }
  return Configuration(number: ConfigurationNumber(0), members: members)
}

/// A backup alone: what a cut costs its machine, without signatures, sockets and lanes.
public struct ReplicaBench {
  /// Lanes whose heads are named by lane and position, and of which all is held.
  private struct AllLanes: LaneReader {
    static func head(_ lane: Int, _ position: UInt64) -> LaneHead {
      guard position > 0 else { return .empty }
      return LaneHead(
        position: LanePosition(position),
        digest: Digest(words: (UInt64(lane) + 1, position, 0, 0)))
    }

    func proposable(lane: Int) -> LaneHead { Self.head(lane, 1 << 40) }
    func orderable(lane: Int) -> LanePosition { LanePosition(1 << 40) }
    func extent(lane: Int, from base: LaneHead, to head: LaneHead) -> LaneExtension {
      let count = head.position.number - base.position.number
      return .extends(transactions: count, bytes: count * 100)
    }
    func growth(
      lane: Int, from base: LaneHead, within room: LaneRoom
    ) -> (head: LaneHead, transactions: UInt64, bytes: UInt64) {
      let count = min(room.transactions, room.bytes / 100, room.blocks)
      return (Self.head(lane, base.position.number + count), count, count * 100)
    }
  }

  private let configuration: Configuration
  private var replica: Replica
  private var now = Moment(tick: .zero, wall: Timestamp(milliseconds: 1_750_000_000_000))
  private var sequence: UInt64 = 0
  /// What is to be taken in.
  private var inputs: [OrderingInput] = []

  /// A backup in a consortium of a given size.
  public init(members: Int) {
    self.configuration = consortium(members)
    self.replica = Replica(
      configuration: self.configuration, limits: LedgerLimits(), index: 1, parameters: Replica.Parameters(),
      restoring: OrderingState())
  }

  /// Makes all that is said of the next eight cuts, which are open at the same time.
  public mutating func prepare() {
    self.inputs = []
    self.now.wall = self.now.wall.adding(milliseconds: 100)
    let numbers = (self.sequence + 1)...(self.sequence + LedgerLimits().pipelineMax)
    var ballots: [Ballot] = []
    for number in numbers {
      let heads = (0..<self.configuration.laneCount).map { AllLanes.head($0, number) }
      let proposal = PrePrepare(
        configuration: self.configuration.number, view: View(0), sequence: SequenceNumber(number),
        cut: Cut(heads: heads, time: self.now.wall.adding(milliseconds: number - self.sequence)))
      ballots.append(proposal.ballot)
      self.add(.prePrepare(Signed(content: proposal, signer: 0, signature: .unsigned)))
    }
    for ballot in ballots {
      for signer in 1..<self.configuration.voterCount {
        self.add(.prepare(Signed(content: Prepare(ballot), signer: signer, signature: .unsigned)))
      }
    }
    for ballot in ballots {
      for signer in 0..<self.configuration.voterCount {
        self.add(.commit(Signed(content: Commit(ballot), signer: signer, signature: .unsigned)))
      }
    }
    for number in numbers { self.inputs.append(.executed(SequenceNumber(number), deadline: .never)) }
    self.sequence = numbers.upperBound
  }

  private mutating func add(_ message: OrderingMessage) { self.inputs.append(.message(Verified(checked: message))) }

  /// Takes that in; how many cuts were decided.
  public mutating func run() -> Int {
    let before = self.replica.decided.number
    var effects: [OrderingEffect] = []
    for input in self.inputs {
      effects.removeAll(keepingCapacity: true)
      _ = self.replica.step(input, at: self.now, lanes: AllLanes(), into: &effects)
    }
    return Int(self.replica.decided.number - before)
  }
}

/// A member's lanes alone: what a round of announcements costs, in which every member says that it holds a block more
/// of every lane.
public struct AnnouncementBench {
  private let configuration: Configuration
  private var lanes: Lanes
  private var heads: [LaneHead]

  /// The lanes of a consortium of a given size.
  public init(members: Int) {
    self.configuration = consortium(members)
    self.heads = Array(repeating: .empty, count: members)
    self.lanes = Lanes(
      network: .zero, configuration: self.configuration, limits: LedgerLimits(), index: 0,
      parameters: Lanes.Parameters(), executed: .genesis(lanes: members), stored: [], isStart: false)
    for peer in 1..<members { self.step(.connected(peer)) }
  }

  private mutating func step(_ input: Lanes.Input) {
    var effects: [Lanes.Effect] = []
    _ = self.lanes.step(input, at: .zero, into: &effects)
  }

  /// Another block of every lane, which this member holds.
  public mutating func prepare() {
    if self.heads[0].position > .zero { self.step(.executed(Cut(heads: self.heads, time: .zero))) }
    for lane in self.heads.indices {
      let body: [UInt8] = [0]
      let header = BlockHeader(
        network: .zero, configuration: self.configuration.number, author: self.configuration.members[lane].id,
        position: self.heads[lane].position.next, parent: self.heads[lane].digest, transactionCount: 1,
        transactionBytes: 1, body: BlockHeader.bodyDigest(body))
      let block = Block(header: header, signature: .unsigned, body: body)
      self.step(.block(Verified(checked: block)))
      self.step(.blockDurable(block))
      self.heads[lane] = block.head
    }
  }

  /// Everybody announces it.
  public mutating func run() {
    let told = self.heads.enumerated().map { LaneAnnouncement(lane: $0.offset, head: $0.element) }
    for peer in 1..<self.configuration.voterCount { self.step(.announced(told, from: peer)) }
  }

  /// Whether the last block of every lane is orderable: else the measure would be of something else.
  public var isOrderable: Bool {
    self.heads.indices.allSatisfy { self.lanes.orderable(lane: $0) == self.heads[$0].position }
  }
}
