// Goal: the overlay at a thousand nodes behaves as published, planted lies are caught, small worlds hold. Method: the
// gossip network, adversaries on a cluster, exploration.
internal import Ledger
internal import Lanes
import Gossip
import Messages
import NodeCore
import PBFT
import Primitives
import Simulator
import Testing
import Wire

@Suite("Overlay")
struct OverlayTests {
  @Test("Every message reaches every node of a connected network, a few copies each")
  func delivery() {
    var settings = GossipNetwork.Settings()
    settings.count = 200
    var network = GossipNetwork(settings, seed: 3, watching: true)
    network.run(for: .milliseconds(2000))
    for node in [0, 50, 150] { network.publish(from: node) }
    network.run(for: .milliseconds(5000))
    #expect(network.breach == nil)
    for delivery in network.deliveries {
      #expect(delivery.after.allSatisfy { $0 != nil })
      // Each node hears a message from its mesh, degreeMax at most, and on request.
      #expect(delivery.copies >= 199 && delivery.copies <= 199 * settings.parameters.degreeMax)
    }
  }
}

extension OverlayTests {
  /// The mean mesh of 300 nodes with 20 connections each, and the copies a delivery costs.
  private func mesh(degree: Int) -> (mean: Double, copies: Double) {
    var settings = GossipNetwork.Settings()
    (settings.count, settings.areDirect, settings.joining) = (300, false, .milliseconds(5000))
    (settings.parameters.degree, settings.parameters.degreeMin, settings.parameters.degreeMax) = (degree, 4, 12)
    settings.parameters.isFloodPublishing = false
    var network = GossipNetwork(settings, seed: 2, watching: true)
    network.run(for: .milliseconds(10_000))
    for node in 0..<5 {
      network.publish(from: node)
      network.run(for: .milliseconds(1000))
    }
    #expect(network.breach == nil)
    let sizes = (0..<settings.count).map { network.meshPeers($0).count }
    #expect((sizes.min() ?? 0) >= 4 && (sizes.max() ?? 0) <= 12)
    let copies = network.deliveries.reduce(0) { $0 + $1.copies }
    return (Double(sizes.reduce(0, +)) / 300, Double(copies) / Double(5 * 299))
  }

  @Test("A sweep over D shows D: the mean mesh is D and a little more, and copies follow it")
  func degree() {
    var last = 0.0
    for degree in [4, 6, 8, 10] {
      let (mean, copies) = self.mesh(degree: degree)
      #expect(mean >= Double(degree) && mean < Double(degree) + 2, "D \(degree): \(mean)")
      #expect(copies > last + 1, "D \(degree): \(copies) copies")
      last = copies
    }
  }
}

@Suite("Adversaries")
struct AdversaryTests {
  @Test("With f members misbehaving in any way, the others agree and go on", arguments: Misbehaviour.allCases)
  func misbehaviour(kind: Misbehaviour) {
    let cluster = Cluster(count: 4, seed: 5)
    cluster.corrupt(0, with: kind.make())
    var submitted: UInt64 = 0
    for _ in 0..<10 {
      for slot in 1..<4 {
        cluster.submit([cluster.digestTransaction(submitted, for: slot)], to: slot)
        submitted += 1
      }
      cluster.run(for: .milliseconds(40))
    }
    let done = cluster.run(within: .milliseconds(120_000), asking: 64) {
      (1..<4).allSatisfy { slot in
        guard let node = cluster.node(slot) else { return false }
        return (1..<4).allSatisfy { node.execution.cut.heads[$0] == cluster.node($0)?.lanes.announcements[$0].head }
      }
    }
    #expect(done)
    #expect(cluster.checkAgreement() == nil)
    #expect(cluster.watch.breach == nil)
  }

  @Test("A twin's fork is proved and recorded, and honest histories stay one")
  func twins() {
    let cluster = Cluster(count: 4, seed: 9, twins: [0])
    // Both have heard that nobody holds anything of their lane.
    cluster.run(for: .milliseconds(100))
    cluster.partition([0], from: [2, 3])
    cluster.partition([4], from: [1])
    for number in 0..<6 as Range<UInt64> {
      for slot in 0..<5 {
        cluster.submit([cluster.digestTransaction(number * 8 + UInt64(slot), for: cluster.member(slot))], to: slot)
      }
      cluster.run(for: .milliseconds(50))
    }
    cluster.heal()
    cluster.run(for: .milliseconds(20_000))
    #expect(cluster.checkAgreement() == nil)
    #expect(cluster.reports.contains { if case .laneForked(MemberID(1), _) = $0.event { true } else { false } })
  }
}

@Suite("What the swarm found")
struct FoundTests {
  /// Changes a byte of every tree head's signature that it passes on.
  private struct Forger: Adversary {
    mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
      guard case .cosignature = message else { return [Utterance(message)] }
      var bytes = message.encoded
      bytes[bytes.count - 1 - Int(scene.random.below(100))] ^= UInt8(1 + scene.random.below(255))
      return [Utterance(.bytes(bytes))]
    }
  }

  @Test("Tree heads that are not signed are not passed on: one liar's inventions do not go round")
  func forgedTreeHeads() {
    let cluster = Cluster(count: 4, seed: 4)
    let recorder = Recorder(slots: 4)
    cluster.recorder = recorder
    cluster.cut(1, 2)  // So that members have something to pass on.
    cluster.corrupt(0, with: Forger())
    for number in 0..<20 as Range<UInt64> {
      cluster.submit([cluster.digestTransaction(number, for: 1)], to: 1)
      cluster.run(for: .milliseconds(400))
    }
    let heads = cluster.node(1)?.execution.position.sequence.number ?? 0
    let sent = recorder.traffic[.cosignature]?.messages ?? 0
    #expect(heads >= 20)
    // Each of four members' signatures goes to three others, is passed on by two, and told again at a connection.
    #expect(sent <= (heads + 2) * 4 * 3 * 3, "\(sent) messages for \(heads) tree heads")
    #expect(cluster.watch.breach == nil)
  }
}

@Suite("Schedules")
struct ScheduleTests {
  @Test("Every schedule of one commit with a crash, and of two lanes with lost blocks, keeps agreement")
  func whole() {
    for world in [Interleavings.World.durable, .blocks] {
      var exploration = Interleavings(world)
      let report = exploration.run(depthMax: 6, statesMax: 100_000)
      #expect(report.failure == nil)
      #expect(report.isWholeToDepth)
      #expect(report.decided > 0, "\(world) decides something")
    }
  }

  @Test("Every schedule with a twin of the primary, and of Raft's elections, keeps agreement to some depth")
  func bounded() {
    for (world, depth) in [(Interleavings.World.views, 3), (.raft, 7)] {
      var exploration = Interleavings(world)
      let report = exploration.run(depthMax: depth, statesMax: 100_000)
      #expect(report.failure == nil)
      #expect(report.isWholeToDepth && report.depth == depth)
    }
  }
}

@Suite("Exploration")
struct ExplorationTests {
  @Test("No single lost message of a commit breaks anything, whichever it is")
  func losses() {
    let report = Exploration(.losses).run()
    #expect(report.failures.isEmpty, "\(report.failures)")
    #expect(report.histories > 100)
  }
}

@Suite("Canaries")
struct CanaryTests {
  @Test("A build that did not ask for planted bugs has none")
  func absent() {
    #expect(!Canary.isCompiledIn)
    #expect(!planted(.quorumOffByOne))
  }
}
