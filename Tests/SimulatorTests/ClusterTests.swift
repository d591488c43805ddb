// Goal: four production nodes agree, lose nothing and go on, whatever the network and the disks do. Method: the
// deterministic cluster, fixed seeds, assertions on the eventual state.
internal import Rules
internal import PBFT
internal import Merkle
internal import Lanes
import Foundation
import HealthRecords
import Ledger
import Messages
import NodeCore
import Primitives
import Signing
import Simulator
import Testing
import Wire

@Suite("Cluster")
struct ClusterTests {
  @Test("A lone transaction reaches the log of all four members, and the tree head becomes stable", arguments: 1...4)
  func loneTransaction(seed: UInt64) throws {
    let cluster = Cluster(count: 4, seed: seed)
    cluster.run(for: .milliseconds(100))
    let transaction = cluster.digestTransaction(1, for: 1)
    cluster.submit([transaction], to: 1)
    #expect(cluster.run(within: .milliseconds(1000)) { cluster.haveExecuted(1) })
    let identifier = transaction.identifier(network: cluster.genesis.network)
    let receipt = try #require(cluster.receipt(identifier, at: 3))
    #expect(receipt.outcome == .applied)
    let stable = cluster.run(within: .milliseconds(2000)) {
      (0..<4).allSatisfy { cluster.node($0)?.checkpoints.stable?.body.size == 1 }
    }
    #expect(stable)
    #expect(cluster.checkAgreement() == nil)
  }

  @Test("One member is a consortium of its own")
  func alone() {
    let cluster = Cluster(count: 1, seed: 1)
    cluster.submit([cluster.digestTransaction(1, for: 0)], to: 0)
    #expect(cluster.run(within: .milliseconds(1000)) { cluster.haveExecuted(1) })
  }

  @Test("I1, I6, I7: under load from all lanes everything submitted is executed once, in one order", arguments: 1...6)
  func load(seed: UInt64) {
    let cluster = Cluster(count: 4, seed: seed)
    var submitted: UInt64 = 0
    for _ in 0..<50 {
      for index in 0..<4 {
        cluster.submit((0..<20).map { cluster.digestTransaction(submitted + $0, for: index) }, to: index)
        submitted += 20
      }
      cluster.run(for: .milliseconds(5))
    }
    #expect(cluster.run(within: .milliseconds(10_000)) { cluster.haveExecuted(submitted) })
    #expect(cluster.node(0)?.execution.position.log.size == submitted)
    #expect(cluster.checkAgreement() == nil)
  }

  @Test("The primary crashes under load: the others change the view, and it comes back", arguments: 1...6)
  func primaryCrash(seed: UInt64) {
    let cluster = Cluster(count: 4, seed: seed)
    var submitted: UInt64 = 0
    func burst(_ indices: [Int]) {
      for index in indices {
        cluster.submit((0..<5).map { cluster.digestTransaction(submitted + $0, for: index) }, to: index)
        submitted += 5
      }
    }
    burst([0, 1, 2, 3])
    #expect(cluster.run(within: .milliseconds(3000)) { cluster.haveExecuted(submitted) })
    burst([1, 2, 3])
    cluster.run(for: .milliseconds(2))
    cluster.crash(0, losingWrite: seed.isMultiple(of: 2))
    burst([1, 2, 3])
    #expect(cluster.run(within: .milliseconds(20_000)) { cluster.haveExecuted(submitted, except: [0]) })
    #expect((cluster.node(1)?.replica.view ?? View(0)) > View(0))
    cluster.restart(0)
    burst([0])
    #expect(cluster.run(within: .milliseconds(20_000)) { cluster.haveExecuted(submitted) })
    #expect(cluster.checkAgreement() == nil)
  }

  @Test(
    "Any member crashes at any moment, loses its write or not, and returns: nothing executed is lost", arguments: 1...30
  )
  func crashes(seed: UInt64) {
    let cluster = Cluster(count: 4, seed: seed)
    var random = SeededGenerator(seed: seed &* 77)
    var submitted: UInt64 = 0
    var executed: UInt64 = 0
    for _ in 0..<12 {
      let running = (0..<4).filter { cluster.node($0) != nil }
      for index in running {
        cluster.submit((0..<3).map { cluster.digestTransaction(submitted + $0, for: index) }, to: index)
        submitted += 3
      }
      cluster.run(for: .microseconds(random.below(30_000)))
      let victim = Int(random.below(4))
      cluster.crash(victim, losingWrite: random.oneIn(2))
      cluster.run(for: .microseconds(random.below(400_000)))
      cluster.restart(victim)
      let most = (0..<4).map { cluster.disk($0).position.log.size }.max() ?? 0
      #expect(most >= executed)
      executed = most
    }
    // What a crash took before its block was durable is lost to its client, who was never told otherwise.
    let settled = cluster.run(within: .milliseconds(120_000)) {
      let cuts = (0..<4).compactMap { cluster.node($0)?.execution.cut }
      let tips = (0..<4).compactMap { index in cluster.node(index).map { $0.lanes.announcements[index].head } }
      return cuts.count == 4 && cuts.allSatisfy { $0.heads == tips }
    }
    #expect(settled)
    #expect(cluster.checkAgreement() == nil)
  }

  @Test("A partition without a quorum stops, loses nothing and goes on when it heals", arguments: 1...6)
  func partition(seed: UInt64) {
    let cluster = Cluster(count: 4, seed: seed)
    cluster.run(for: .milliseconds(50))
    cluster.partition([0, 1], from: [2, 3])
    for index in 0..<4 { cluster.submit([cluster.digestTransaction(UInt64(index), for: index)], to: index) }
    cluster.run(for: .milliseconds(30_000))
    #expect((0..<4).allSatisfy { cluster.node($0)?.execution.position.log.size == 0 })
    cluster.heal()
    #expect(cluster.run(within: .milliseconds(30_000)) { cluster.haveExecuted(4) })
    #expect(cluster.checkAgreement() == nil)
  }

  @Test("Two members that cannot reach each other agree through the others", arguments: 1...4)
  func bridge(seed: UInt64) {
    let cluster = Cluster(count: 4, seed: seed)
    cluster.run(for: .milliseconds(50))
    cluster.partition([0], from: [1])
    cluster.run(for: .milliseconds(50))
    for index in 0..<4 { cluster.submit([cluster.digestTransaction(UInt64(index), for: index)], to: index) }
    #expect(cluster.run(within: .milliseconds(2000)) { cluster.haveExecuted(4) })
    #expect(cluster.node(0)?.replica.view == View(0))
  }

  @Test("A network that loses one message in five still executes everything", arguments: 1...6)
  func loss(seed: UInt64) {
    var world = World()
    world.network.lossPerMillion = 200_000
    let cluster = Cluster(count: 4, seed: seed, world: world)
    for index in 0..<4 { cluster.submit([cluster.digestTransaction(UInt64(index), for: index)], to: index) }
    #expect(cluster.run(within: .milliseconds(60_000)) { cluster.haveExecuted(4) })
    #expect(cluster.checkAgreement() == nil)
  }

  @Test("I10: the same seed gives the same trace, another seed another")
  func determinism() {
    func trace(_ seed: UInt64) -> Digest {
      let cluster = Cluster(count: 4, seed: seed)
      for index in 0..<4 { cluster.submit([cluster.digestTransaction(UInt64(index), for: index)], to: index) }
      cluster.run(for: .milliseconds(2000))
      return cluster.trace
    }
    #expect(trace(7) == trace(7))
    #expect(trace(7) != trace(8))
  }
}

@Suite("Golden traces")
struct GoldenTraceTests {
  /// What goes over the wire, a line a message: when, from whom to whom, what.
  private static func describe(_ message: PeerMessage) -> String? {
    switch message {
    case .block(let block): "block \(block.header.author) \(block.header.position)"
    case .ordering(.prePrepare(let signed), _):
      "pre-prepare v\(signed.content.view) s\(signed.content.sequence) by r\(signed.signer)"
    case .ordering(.prepare(let signed), _):
      "prepare v\(signed.content.ballot.view) s\(signed.content.ballot.sequence) by r\(signed.signer)"
    case .ordering(.commit(let signed), _):
      "commit v\(signed.content.ballot.view) s\(signed.content.ballot.sequence) by r\(signed.signer)"
    case .ordering(.viewChange(let signed), _): "view-change v\(signed.content.view) by r\(signed.signer)"
    case .ordering(.newView(let signed), _): "new-view v\(signed.content.view) by r\(signed.signer)"
    case .ordering(.decision(let decision), _): "decision s\(decision.sequence)"
    case .cosignature(let cosignature): "cosignature s\(cosignature.sequence) by r\(cosignature.signer)"
    case .decisions(let decisions): "decisions \(decisions.map { "s\($0.sequence)" }.joined(separator: " "))"
    case .blocks(let blocks):
      "blocks \(blocks.map { "\($0.header.author) \($0.header.position)" }.joined(separator: ", "))"
    case .blockRequest(let request): "block-request lane \(request.lane) \(request.above) … \(request.head.position)"
    case .status, .announcements, .control, .links, .evidence, .question, .answer, .raft, .snapshotOffer,
      .manifestRequest, .manifest, .chunkRequest, .chunk, .historyRequest, .history:
      nil
    }
  }

  private static func record(_ cluster: Cluster, _ body: (Cluster) -> Void) -> String {
    let lines = Lines()
    cluster.tamper = { from, to, message in
      if let text = Self.describe(message) {
        lines.all.append("\(cluster.now.nanoseconds / 1000) µs  r\(from) → r\(to)  \(text)")
      }
      return message
    }
    body(cluster)
    return lines.all.joined(separator: "\n") + "\n"
  }

  private final class Lines { var all: [String] = [] }

  private static func compare(_ text: String, with name: String) throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let path = folder.appending(path: "Vectors/golden/\(name)")
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" { try Data(text.utf8).write(to: path) }
    #expect(String(decoding: try Data(contentsOf: path), as: UTF8.self) == text)
  }

  @Test("A lone transaction: block, pre-prepare, prepares, commits, cosignatures, and nothing else")
  func loneTransaction() throws {
    let cluster = Cluster(count: 4, seed: 1)
    cluster.run(for: .milliseconds(100))
    let text = Self.record(cluster) { cluster in
      cluster.submit([cluster.digestTransaction(1, for: 1)], to: 1)
      cluster.run(for: .milliseconds(400))
    }
    try Self.compare(text, with: "lone-transaction.txt")
  }

  @Test("A primary that stops: view changes, new view, and the transaction is ordered in it")
  func viewChange() throws {
    let cluster = Cluster(count: 4, seed: 2)
    cluster.run(for: .milliseconds(100))
    cluster.crash(0, losingWrite: true)
    let text = Self.record(cluster) { cluster in
      cluster.submit([cluster.digestTransaction(1, for: 1)], to: 1)
      cluster.run(for: .milliseconds(3000))
    }
    #expect(cluster.haveExecuted(1, except: [0]))
    try Self.compare(text, with: "view-change.txt")
  }
}

@Suite("Catching up")
struct CatchUpTests {
  @Test("A member that was away under load catches up while the load goes on", arguments: 1...2)
  func underLoad(seed: UInt64) {
    let cluster = Cluster(count: 4, seed: seed)
    var number: UInt64 = 0
    func load(_ rounds: Int) {
      for _ in 0..<rounds {
        for index in 1..<4 {
          cluster.submit((0..<5).map { cluster.digestTransaction(number + $0, for: index) }, to: index)
          number += 5
        }
        cluster.run(for: .milliseconds(10))
      }
    }
    load(20)
    cluster.crash(0, losingWrite: true)
    load(120)
    cluster.restart(0)
    load(150)
    let sizes = (0..<4).map { cluster.node($0)?.execution.position.log.size ?? 0 }
    #expect(sizes[0] + 500 >= sizes[1], "\(sizes)")
  }
}
