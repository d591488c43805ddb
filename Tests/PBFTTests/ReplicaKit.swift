// What tests of a replica need: a configuration with keys, lanes of which one says how much is held, signed messages.
import Messages
import Ordering
import PBFT
import Primitives
import Signing
import Testing
import Wire

/// Four members with keys; r0 … r3 are indices 0 … 3.
struct Consortium {
  let network = Hash.blake2b("network")
  let configuration: Configuration

  init(count: Int = 4) {
    let members = (0..<count).map { index -> Member in
      let key = Self.key(index).publicKey
      return Member(
        id: MemberID(UInt32(index + 1)), name: "H\(index)", key: key, checkpointKey: key, registrarKey: key,
        sealingKey: .zero, addresses: [])
    }
    self.configuration = Configuration(number: ConfigurationNumber(0), members: members)
  }

  static func key(_ index: Int) -> SigningKey {
    guard let key = SigningKey(seed: Hash.blake2b("member", [UInt8(index)]).bytes) else {
      preconditionFailure("a digest has 32 bytes")
    }
    return key
  }

  func sign<Content: OrderingContent>(_ content: Content, by index: Int) -> Signed<Content> {
    let bytes = Signed<Content>.signedBytes(content, network: self.network)
    return Signed(content: content, signer: index, signature: Self.key(index).sign(bytes))
  }

  func replica(
    _ index: Int, restoring state: OrderingState = OrderingState(),
    _ change: (inout Replica.Parameters) -> Void = { _ in }
  ) -> Replica {
    var parameters = Replica.Parameters()
    change(&parameters)
    return Replica(
      configuration: self.configuration, limits: LedgerLimits(), index: index, parameters: parameters,
      restoring: state)
  }

  func prePrepare(_ sequence: UInt64, _ cut: Cut, view: UInt64 = 0) -> PrePrepare {
    PrePrepare(
      configuration: ConfigurationNumber(0), view: View(view), sequence: SequenceNumber(sequence), cut: cut)
  }

  /// A proposal, signed by its view's primary.
  func proposal(_ sequence: UInt64, _ cut: Cut, view: UInt64 = 0) -> OrderingMessage {
    .prePrepare(self.sign(self.prePrepare(sequence, cut, view: view), by: self.configuration.primary(of: View(view))))
  }

  func prepare(_ sequence: UInt64, _ cut: Cut, view: UInt64 = 0, by index: Int) -> OrderingMessage {
    .prepare(self.sign(Prepare(self.prePrepare(sequence, cut, view: view).ballot), by: index))
  }

  func commit(_ sequence: UInt64, _ cut: Cut, view: UInt64 = 0, by index: Int) -> OrderingMessage {
    .commit(self.sign(Commit(self.prePrepare(sequence, cut, view: view).ballot), by: index))
  }

  /// A certificate that the primary and two backups prepared a cut.
  func prepared(_ sequence: UInt64, _ cut: Cut, view: UInt64 = 0) -> PreparedCertificate {
    let proposal = self.prePrepare(sequence, cut, view: view)
    let primary = self.configuration.primary(of: View(view))
    let backups = (0..<4).filter { $0 != primary }.prefix(2)
    return PreparedCertificate(
      prePrepare: self.sign(proposal, by: primary),
      prepares: backups.map {
        VoteSignature(signer: $0, signature: self.sign(Prepare(proposal.ballot), by: $0).signature)
      })
  }

  func decision(_ sequence: UInt64, _ cut: Cut, view: UInt64 = 0) -> Decision {
    let ballot = self.prePrepare(sequence, cut, view: view).ballot
    return Decision(
      configuration: ConfigurationNumber(0), view: View(view), sequence: SequenceNumber(sequence), cut: cut,
      evidence: .commits(
        (0..<3).map { VoteSignature(signer: $0, signature: self.sign(Commit(ballot), by: $0).signature) }))
  }

  func viewChange(
    _ view: UInt64, base: Decision?, prepared: [PreparedCertificate], by index: Int
  ) -> Signed<ViewChange> {
    self.sign(
      ViewChange(configuration: ConfigurationNumber(0), view: View(view), base: base, prepared: prepared), by: index)
  }
}

/// Lanes whose blocks are named by lane and position; `held` says how far each is held.
struct FakeLanes: LaneReader {
  var held: [UInt64] = [100, 100, 100, 100]
  var announced: [UInt64] = [0, 0, 0, 0]

  static func head(_ lane: Int, _ position: UInt64) -> LaneHead {
    guard position > 0 else { return .empty }
    var encoder = Encoder()
    encoder.u64(position)
    return LaneHead(position: LanePosition(position), digest: Hash.blake2b("block", [UInt8(lane)], encoder.bytes))
  }

  func proposable(lane: Int) -> LaneHead { Self.head(lane, self.held[lane]) }
  func orderable(lane: Int) -> LanePosition { LanePosition(self.announced[lane]) }

  func extent(lane: Int, from base: LaneHead, to head: LaneHead) -> LaneExtension {
    guard head.position >= base.position else { return .contradicts }
    guard Self.head(lane, head.position.number) == head, Self.head(lane, base.position.number) == base else {
      return .contradicts
    }
    guard head.position.number <= self.held[lane] || head == base else { return .missing }
    let count = head.position.number - base.position.number
    return .extends(transactions: count, bytes: count * 100)
  }

  func growth(
    lane: Int, from base: LaneHead, within room: LaneRoom
  ) -> (head: LaneHead, transactions: UInt64, bytes: UInt64) {
    let most = min(room.transactions, room.bytes / 100, room.blocks)
    let added = min(self.held[lane] - min(base.position.number, self.held[lane]), most)
    return (Self.head(lane, base.position.number + added), added, added * 100)
  }
}

/// A cut of lane positions and a time.
func cut(_ positions: [UInt64], at time: UInt64) -> Cut {
  Cut(
    heads: positions.enumerated().map { FakeLanes.head($0.offset, $0.element) },
    time: Timestamp(milliseconds: Wall.start + time))
}

enum Wall {
  static let start: UInt64 = 1_750_000_000_000
}

/// A replica under test: it takes inputs and remembers the last step's effects.
struct Bench {
  let consortium: Consortium
  var replica: Replica
  var lanes = FakeLanes()
  var effects: [OrderingEffect] = []
  var now = Moment(tick: .zero, wall: Timestamp(milliseconds: Wall.start))

  init(_ index: Int, restoring state: OrderingState = OrderingState()) {
    self.consortium = Consortium()
    self.replica = self.consortium.replica(index, restoring: state)
  }

  @discardableResult
  mutating func give(_ input: Replica.Input) -> Replica.Outcome {
    self.effects = []
    defer { #expect(self.replica.invariantBreach == nil) }
    return self.replica.step(input, at: self.now, lanes: self.lanes, into: &self.effects)
  }

  @discardableResult
  mutating func give(_ message: OrderingMessage) -> Replica.Outcome {
    #expect(
      OrderingMessage.verify(message, network: self.consortium.network, in: self.consortium.configuration) != nil)
    return self.give(.message(Verified(checked: message)))
  }

  mutating func wait(_ milliseconds: UInt64) {
    self.now.tick = self.now.tick + .milliseconds(milliseconds)
    self.now.wall = self.now.wall.adding(milliseconds: milliseconds)
  }

  var casts: [Ballotable] {
    self.effects.compactMap { if case .cast(let ballot) = $0 { ballot } else { nil } }
  }
  var castPrepares: [UInt64] {
    self.casts.compactMap { if case .prepare(let prepare) = $0 { prepare.ballot.sequence.number } else { nil } }
  }
  var castCommits: [UInt64] {
    self.casts.compactMap { if case .commit(let commit) = $0 { commit.ballot.sequence.number } else { nil } }
  }
  var castProposals: [PrePrepare] {
    self.casts.compactMap { if case .prePrepare(let proposal) = $0 { proposal } else { nil } }
  }
  var castViewChanges: [UInt64] {
    self.casts.compactMap { if case .viewChange(let change) = $0 { change.view.number } else { nil } }
  }
  var delivered: [UInt64] {
    self.effects.compactMap { if case .deliver(let decision) = $0 { decision.sequence.number } else { nil } }
  }
}
