// Goal: whoever loses the others' signatures of a tree head, as a member does that goes on from a snapshot while they
// go round, comes to a stable one of its own without anything new to order. Method: the machines alone, on a network
// that drops what the test says, on virtual time.
import Ledger
import Merkle
import Messages
import NodeCore
import Primitives
import Simulator
import Testing

@Suite("Tree heads (LEDGER §6)")
struct CheckpointTests {
  private static let idle = Span.milliseconds(250)

  /// Four members' machines and what lies between them.
  private struct Members {
    let genesis = Cluster(count: 4, seed: 1).genesis
    var machines: [Checkpoints] = []
    var now = Tick.zero
    var messages = 0

    init() { self.machines = (0..<4).map { _ in self.machine(at: LedgerPosition()) } }

    func machine(at position: LedgerPosition) -> Checkpoints {
      Checkpoints(
        network: self.genesis.network, configuration: self.genesis.configuration, interval: 64,
        idle: CheckpointTests.idle, position: position, stable: nil, at: self.now)
    }

    mutating func give(_ input: Checkpoints.Input, to member: ReplicaIndex, absent: Set<ReplicaIndex> = []) {
      var effects: [Checkpoints.Effect] = []
      _ = self.machines[member].step(input, at: self.now, into: &effects)
      for effect in effects {
        switch effect {
        case .cosign(let body):
          let own = Cosignature(body, signer: member, seconds: 1, key: Cluster.keys(member).checkpoint)
          self.give(.signed(own), to: member)
          self.send(own, from: member, absent: absent)
        case .again(let own): self.send(own, from: member, absent: absent)
        case .answer(let stable, let peer):
          for cosignature in stable.cosignatures {
            self.messages += 1
            self.give(.received(cosignature, from: member), to: peer, absent: absent)
          }
        case .spread, .stable, .diverged, .outvoted: break
        }
      }
    }

    mutating func send(_ own: Cosignature, from member: ReplicaIndex, absent: Set<ReplicaIndex>) {
      for peer in self.machines.indices where peer != member && !absent.contains(peer) && !absent.contains(member) {
        self.messages += 1
        self.give(.received(own, from: member), to: peer, absent: absent)
      }
    }

    /// Lets time pass as far as the machines want any of it, and no further than `span`.
    mutating func run(for span: Span, absent: Set<ReplicaIndex> = []) {
      let end = self.now + span
      while let due = self.machines.compactMap(\.deadline).min(), due <= end {
        self.now = max(self.now, due)
        for member in self.machines.indices { self.give(.timerFired, to: member, absent: absent) }
      }
      self.now = end
    }
  }

  private static var position: LedgerPosition {
    var position = LedgerPosition()
    (position.sequence, position.time) = (SequenceNumber(7), Timestamp(milliseconds: 7))
    return position
  }

  @Test("A member that lost the others' signatures gets them, and then all are silent")
  func lostSignatures() {
    var members = Members()
    for member in 0..<3 { members.give(.executed(Self.position), to: member, absent: [3]) }
    members.run(for: .milliseconds(2000), absent: [3])
    let sequence: SequenceNumber? = Self.position.sequence
    #expect(members.machines.map { $0.stable?.body.sequence } == [sequence, sequence, sequence, nil])
    // It goes on from what the others executed; of their signatures it has none.
    members.machines[3] = members.machine(at: Self.position)
    members.run(for: .milliseconds(10_000))
    #expect(members.machines[3].stable?.body == members.machines[0].stable?.body)
    #expect(members.machines.allSatisfy { $0.deadline == nil })
  }

  @Test("A signature that comes late once is not answered")
  func lateOnce() {
    var members = Members()
    for member in 0..<4 { members.give(.executed(Self.position), to: member) }
    members.run(for: .milliseconds(60_000))
    #expect(members.machines.allSatisfy { $0.stable != nil && $0.deadline == nil })
    // Each said its own to three, once.
    #expect(members.messages == 12)
  }

  @Test("Two that both have all, and greet one another again and again, fall silent")
  func greetings() {
    var members = Members()
    for member in 0..<4 { members.give(.executed(Self.position), to: member) }
    members.run(for: .milliseconds(1000))
    for _ in 0..<16 {
      for member in 0..<4 { if let own = members.machines[member].own { members.send(own, from: member, absent: []) } }
    }
    // Each of the twelve pairs hears 17 signatures and what the answers bring besides: at most five answers of three.
    #expect(members.messages <= 12 * 17 + 12 * 5 * 4)
  }

  @Test("Without a quorum a member says its own more and more rarely")
  func noQuorum() {
    var members = Members()
    members.give(.executed(Self.position), to: 0)
    members.run(for: .milliseconds(3_600_000))
    #expect(members.machines[0].stable == nil)
    // At 1, 3, 7, 15 s, and then every 16 s, to three each.
    #expect(members.messages == 3 * (1 + 4 + (3600 - 15) / 16))
  }

  @Test("A member whose history f + 1 others signed otherwise is told to stop; one liar, or two, stop nobody (§11.12)")
  func outvoted() {
    let members = Members()
    let genesis = members.genesis
    func body(_ state: UInt8) -> CheckpointBody {
      CheckpointBody(
        network: genesis.network, size: 0, root: LedgerPosition().log.root, sequence: Self.position.sequence,
        stateDigest: Digest([UInt8](repeating: state, count: 32)) ?? .zero, configuration: ConfigurationNumber(0))
    }
    func words(_ states: [(signer: ReplicaIndex, state: UInt8)], isDirect: Bool = true) -> [Checkpoints.Effect] {
      var machine = members.machine(at: LedgerPosition())
      var effects: [Checkpoints.Effect] = []
      _ = machine.step(.executed(Self.position), at: .zero, into: &effects)
      _ = machine.step(.timerFired, at: .zero + Self.idle, into: &effects)
      effects = []
      for (signer, state) in states {
        let word = Cosignature(body(state), signer: signer, seconds: 1, key: Cluster.keys(signer).checkpoint)
        let sender = isDirect ? signer : (signer + 1) % 4
        _ = machine.step(.received(word, from: sender), at: .zero + Self.idle, into: &effects)
      }
      return effects
    }
    let stop = Checkpoints.Effect.outvoted(Self.position.sequence)
    #expect(words([(1, 7), (2, 7)]).contains(stop))
    #expect(!words([(1, 7)]).contains(stop))
    #expect(!words([(1, 7), (1, 7)]).contains(stop), "one member has one word")
    #expect(!words([(1, 7), (2, 8)]).contains(stop), "two that differ from one another may be two liars")
    #expect(!words([(1, 7), (2, 7)], isDirect: false).contains(stop), "what others say in their name proves nothing")
  }
}
