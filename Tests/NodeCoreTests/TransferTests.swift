// Goal: nobody holds a member that is behind with a snapshot that comes to nothing (LEDGER §7). Method: the machine
// alone, and a peer that offers, answers and leaves as it likes.
import Ledger
import Messages
import NodeCore
import Ordering
import Primitives
import Signing
import Simulator
import Testing

@Suite("Transfer (LEDGER §7)")
struct TransferTests {
  private let genesis: Genesis
  private var transfer: Transfer
  private var effects: [Transfer.Effect] = []
  private var now = Tick.zero

  init() throws {
    let cluster = Cluster(count: 4, seed: 1)
    self.genesis = cluster.genesis
    self.transfer = Transfer(
      network: self.genesis.network, parameters: Transfer.Parameters(), known: ConfigurationNumber(0),
      executed: SequenceNumber(5000))
  }

  private mutating func give(_ input: Transfer.Input) {
    self.effects = []
    _ = self.transfer.step(input, at: self.now, into: &self.effects)
  }

  /// Whether a manifest is asked for now.
  private var isAsking: Bool {
    self.effects.contains { if case .askManifest = $0 { true } else { false } }
  }

  private func bundle(at sequence: UInt64) -> SnapshotBundle {
    let cut = Cut(heads: Cut.genesis(lanes: 4).heads, time: Timestamp(milliseconds: sequence))
    var position = LedgerPosition()
    (position.sequence, position.time) = (SequenceNumber(sequence), cut.time)
    let point = SnapshotPoint(
      configuration: ConfigurationNumber(0), startCut: .genesis(lanes: 4), position: position, cut: cut)
    let decision = Decision(
      configuration: ConfigurationNumber(0), view: View(0), sequence: position.sequence, cut: cut,
      evidence: .commits([]))
    return SnapshotBundle(SnapshotManifest(point, chunks: []), decision: decision, links: [])
  }

  private func offer(_ bundle: SnapshotBundle, at sequence: UInt64, by member: ReplicaIndex) -> SnapshotOffer {
    SnapshotOffer(
      SequenceNumber(sequence), manifest: bundle.manifest.digest, in: ConfigurationNumber(0), signer: member,
      network: self.genesis.network, key: Cluster.keys(member).checkpoint)
  }

  @Test("A true manifest that is offered under a number far ahead holds nobody, and is not asked for again")
  mutating func otherNumber() {
    let old = self.bundle(at: 10)
    self.give(.offered(self.offer(old, at: 1 << 40, by: 3), from: 3))
    #expect(self.isAsking && self.transfer.holdsReplay)
    self.give(.manifest(old, ConfigurationChain(self.genesis), from: 3))
    #expect(!self.isAsking && !self.transfer.holdsReplay)
    // It is asked for as often as it is offered, and replaying goes on meanwhile.
    self.give(.offered(self.offer(old, at: 1 << 40, by: 3), from: 3))
    #expect(self.isAsking && !self.transfer.holdsReplay)
  }

  @Test("Who offers a snapshot and leaves before the manifest came holds nobody a second time")
  mutating func leaving() {
    let far = self.bundle(at: 20_000)
    self.give(.offered(self.offer(far, at: 20_000, by: 3), from: 3))
    #expect(self.isAsking && self.transfer.holdsReplay)
    self.give(.disconnected(3))
    #expect(!self.transfer.holdsReplay)
    self.give(.offered(self.offer(far, at: 20_000, by: 3), from: 3))
    #expect(self.isAsking && !self.transfer.holdsReplay)
  }

  @Test("What f + 1 members offer is fetched, also after a lie, and beside one that names it under another number")
  mutating func vouched() {
    let far = self.bundle(at: 20_000)
    self.give(.offered(self.offer(far, at: 1 << 40, by: 3), from: 3))
    for member in 0..<2 { self.give(.offered(self.offer(far, at: 20_000, by: member), from: member)) }
    self.give(.manifest(far, ConfigurationChain(self.genesis), from: 3))
    #expect(self.effects.contains { if case .open = $0 { true } else { false } })
  }
}
