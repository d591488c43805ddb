// What tests of Raft need: members joined by a queue of messages that a test may hold back, and disks that keep what
// was made durable.
import Messages
import Ordering
import Primitives
import Raft
import Signing
import Testing

/// Lanes of which each member holds so many blocks; heads are named by lane and position.
struct NumberedLanes: LaneReader {
  var held: [UInt64]

  static func head(_ lane: Int, _ position: UInt64) -> LaneHead {
    position == 0
      ? .empty
      : LaneHead(position: LanePosition(position), digest: Hash.blake2b("block", [UInt8(lane), UInt8(position)]))
  }
  func proposable(lane: Int) -> LaneHead { Self.head(lane, self.held[lane]) }
  func orderable(lane: Int) -> LanePosition { LanePosition(self.held[lane]) }
  func extent(lane: Int, from base: LaneHead, to head: LaneHead) -> LaneExtension {
    if head.position < base.position { return .contradicts }
    let count = head.position.number - base.position.number
    return count == 0 || head.position.number <= self.held[lane]
      ? .extends(transactions: count, bytes: count * 100) : .missing
  }
  func growth(
    lane: Int, from base: LaneHead, within room: LaneRoom
  ) -> (head: LaneHead, transactions: UInt64, bytes: UInt64) {
    let end = max(
      base.position.number, min(self.held[lane], base.position.number + min(room.transactions, room.blocks)))
    let count = end - base.position.number
    return (Self.head(lane, end), count, count * 100)
  }
}

/// One member, what it has durably, and what it said last.
struct RaftMember {
  var replica: RaftReplica
  var stored = OrderingState()
  var lanes: NumberedLanes
  var delivered: [Decision] = []
  var isUp = true
}

/// Members that exchange messages one at a time, in order for each pair.
struct RaftBench {
  struct Letter {
    let from: Int
    let to: Int
    let message: RaftMessage
  }

  let configuration: Configuration
  var members: [RaftMember]
  var letters: [Letter] = []
  var now = Moment(tick: .zero, wall: Timestamp(milliseconds: 1_750_000_000_000))
  /// Pairs between which nothing gets through.
  var isCut: (Int, Int) -> Bool = { _, _ in false }
  /// What is not delivered.
  var isLost: (Letter) -> Bool = { _ in false }
  var said: [Letter] = []
  /// How far each member's wall clock is ahead, in milliseconds.
  var clocks: [Int: UInt64] = [:]
  /// What members reported.
  var reports: [(member: Int, event: OrderingEvent)] = []

  /// Both clocks of a member.
  func moment(_ index: Int) -> Moment {
    Moment(tick: self.now.tick, wall: self.now.wall.adding(milliseconds: self.clocks[index] ?? 0))
  }

  init(_ count: Int = 3, blocks: UInt64 = 0, log: [[(UInt64, UInt64)]] = [], terms: [UInt64] = []) {
    let members = (0..<count).map { index -> Member in
      guard let key = SigningKey(seed: Hash.blake2b("raft", [UInt8(index)]).bytes)?.publicKey else {
        preconditionFailure("a digest has 32 bytes")
      }
      return Member(
        id: MemberID(UInt32(index + 1)), name: "H\(index)", key: key, checkpointKey: key, registrarKey: key,
        sealingKey: .zero, addresses: [])
    }
    let configuration = Configuration(number: ConfigurationNumber(0), engine: .raft, members: members)
    self.configuration = configuration
    self.members = (0..<count).map { index in
      var stored = OrderingState()
      stored.view = View(index < terms.count ? terms[index] : 0)
      for (sequence, pair) in (index < log.count ? log[index] : []).enumerated() {
        stored.entries.append(
          StoredEntry(SequenceNumber(UInt64(sequence + 1)), Self.entry(pair.0, pair.1, lanes: count)))
      }
      return RaftMember(
        replica: Self.start(index, stored, configuration), stored: stored,
        lanes: NumberedLanes(held: [blocks] + Array(repeating: 0, count: count - 1)))
    }
    for index in 0..<count { self.give(.timerFired, to: index) }
  }

  /// An entry of a term whose cut has lane 0 at a position.
  static func entry(_ term: UInt64, _ position: UInt64, lanes: Int) -> RaftEntry {
    let heads = [NumberedLanes.head(0, position)] + Array(repeating: LaneHead.empty, count: lanes - 1)
    return RaftEntry(
      configuration: ConfigurationNumber(0), term: View(term),
      cut: Cut(heads: heads, time: Timestamp(milliseconds: 1000 + position)))
  }

  static func start(_ index: Int, _ stored: OrderingState, _ configuration: Configuration) -> RaftReplica {
    RaftReplica(
      configuration: configuration, limits: LedgerLimits(), index: index, parameters: RaftReplica.Parameters(),
      seed: UInt64(index + 1), restoring: stored)
  }

  /// Gives an input; what is to be durable is at once, unless the member is cut off in between.
  @discardableResult
  mutating func give(_ input: OrderingInput, to index: Int) -> RaftReplica.Outcome {
    var inputs = [input]
    var outcome: RaftReplica.Outcome?
    while !inputs.isEmpty {
      var effects: [OrderingEffect] = []
      let result = self.members[index].replica.step(
        inputs.removeFirst(), at: self.moment(index), lanes: self.members[index].lanes, into: &effects)
      outcome = outcome ?? result
      #expect(self.members[index].replica.invariantBreach == nil)
      for effect in effects {
        switch effect {
        case .persist(let write): self.store(write, at: index)
        case .sendRaft(let to, let message):
          self.letters.append(Letter(from: index, to: to, message: message))
          self.said.append(Letter(from: index, to: to, message: message))
        case .mark(let mark): inputs.append(.durable(mark))
        case .deliver(let decision):
          self.members[index].delivered.append(decision)
          inputs.append(.executed(decision.sequence, deadline: .never))
        case .sendDecisions(let to, let from, let through):
          let sent = self.members[index].delivered.filter { $0.sequence >= from && $0.sequence <= through }
          if !self.isCut(index, to), self.members[to].isUp { self.give(.leaderDecisions(sent, from: index), to: to) }
        case .report(let event): self.reports.append((index, event))
        case .cast, .send, .sendStatus, .fetch: break
        }
      }
    }
    return outcome ?? .accepted
  }

  private mutating func store(_ write: OrderingWrite, at index: Int) {
    switch write {
    case .term(_, let term, let vote):
      (self.members[index].stored.view, self.members[index].stored.vote) = (term, vote)
    case .entry(let sequence, let entry):
      self.members[index].stored.entries.removeAll { $0.sequence == sequence }
      self.members[index].stored.entries.append(StoredEntry(sequence, entry))
      self.members[index].stored.entries.sort { $0.sequence < $1.sequence }
    case .decision(let decision): self.members[index].stored.lastDecision = decision
    case .view, .prePrepare, .prepared, .newView, .evidence: Issue.record("Raft does not write this")
    }
  }

  /// Delivers what is on its way, and what that causes.
  mutating func settle() {
    while !self.letters.isEmpty {
      let letter = self.letters.removeFirst()
      guard !self.isCut(letter.from, letter.to), !self.isLost(letter), self.members[letter.to].isUp else { continue }
      self.give(.raft(letter.message, from: letter.from), to: letter.to)
    }
  }

  /// Lets time go on in steps of 10 ms, firing timers and delivering messages.
  mutating func run(_ milliseconds: UInt64) {
    for _ in 0..<(milliseconds / 10) {
      self.now.tick = self.now.tick + .milliseconds(10)
      self.now.wall = self.now.wall.adding(milliseconds: 10)
      for index in self.members.indices where self.members[index].isUp {
        if let due = self.members[index].replica.deadline, due <= self.now.tick { self.give(.timerFired, to: index) }
      }
      self.settle()
    }
  }

  /// Makes a member stand for election now.
  mutating func stand(_ index: Int) {
    let leader = self.members[index].replica.leader ?? (index + 1) % self.members.count
    let word = RaftMessage.append(
      term: self.members[index].replica.view, previous: .zero, entries: [], committed: .zero)
    self.give(.raft(word, from: leader), to: index)
    self.letters = []
    self.give(.raft(.timeoutNow(term: self.members[index].replica.view), from: leader), to: index)
    self.settle()
  }

  /// Stops a member and starts it on what it has durably.
  mutating func restart(_ index: Int) {
    self.members[index].replica = Self.start(index, self.members[index].stored, self.configuration)
    self.members[index].isUp = true
    self.give(.timerFired, to: index)
    for peer in self.members.indices where peer != index && self.members[peer].isUp {
      self.give(.connected(index), to: peer)
    }
  }

  /// Lets every member hold so many blocks of lane 0.
  mutating func seal(_ position: UInt64, at indices: [Int]? = nil) {
    for index in indices ?? Array(self.members.indices) {
      self.members[index].lanes.held[0] = position
      self.give(.lanesAdvanced, to: index)
    }
  }

  var leaders: [Int] { self.members.indices.filter { self.members[$0].isUp && self.members[$0].replica.leader == $0 } }
  /// The decided positions of lane 0 at a member.
  func positions(_ index: Int) -> [UInt64] { self.members[index].delivered.map { $0.cut.heads[0].position.number } }
}
