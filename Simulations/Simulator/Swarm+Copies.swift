internal import Lanes
internal import Messages
internal import NodeCore
internal import Primitives

extension SwarmRun {
  /// LEDGER §8, §11.14: a member is started on a copy of its whole machine, keys and seal included, or on an empty
  /// store under its key, and clients write to it at once; it stops before it seals anything, and the others go on. One
  /// seed in four tries it.
  func copyBreach(events: inout Int) -> String? {
    var random = SeededGenerator(seed: self.seed ^ 0xc0b7)
    guard random.oneIn(4) else { return nil }
    var world = World()
    world.engine = self.plan.engine
    let cluster = Cluster(count: 4, seed: random.next(), world: world)
    cluster.run(for: .milliseconds(self.plan.engine == .raft ? 4000 : 100))
    let victim = Int(random.below(4))
    var number: UInt64 = 0
    func load(_ slots: [Int], _ rounds: UInt64) {
      for _ in 0..<rounds {
        for slot in slots {
          number += 1
          cluster.submit([cluster.digestTransaction(number, for: slot)], to: slot)
        }
        cluster.run(for: .milliseconds(5 + random.below(60)))
      }
    }
    load([0, 1, 2, 3], 1 + random.below(6))
    // Until now it has signed so much, and from now on more.
    let copy = random.oneIn(2) ? cluster.disk(victim) : cluster.emptyDisk()
    load([0, 1, 2, 3], 2 + random.below(6))
    let others = (0..<4).filter { $0 != victim }
    cluster.run(for: .milliseconds(1000))
    cluster.restore(victim, from: copy)
    load([victim], 6)
    cluster.run(for: .milliseconds(5000))
    load(others, 3)
    let isOrdered = cluster.run(within: .milliseconds(60_000), asking: 64) {
      others.allSatisfy { cluster.node($0)?.lanes.pendingBytes == 0 }
    }
    events += cluster.eventCount
    let isAccused = cluster.reports.contains { report in
      if case .laneForked = report.event { others.contains(report.slot) } else { false }
    }
    if isAccused { return "LEDGER §8: a copy of member \(victim)'s machine forked its lane" }
    if cluster.node(victim) != nil { return "LEDGER §8: a copy of member \(victim)'s machine goes on" }
    return isOrdered ? cluster.checkAgreement() : "I7: nothing is ordered beside a copy of member \(victim)'s machine"
  }

  /// I8: what correct members keep against others proves it, and accuses nobody who is correct.
  var evidenceBreach: String? {
    for slot in self.cluster.correctSlots {
      for evidence in self.cluster.disk(slot).evidence {
        guard let configuration = self.cluster.configurations[evidence.configuration],
          evidence.isAuthentic(network: self.cluster.genesis.network, in: configuration)
        else { return "I8: what member \(slot) keeps against member \(evidence.culprit) proves nothing" }
        guard self.cluster.faulty.contains(evidence.culprit) else {
          return "I8: member \(slot) keeps proof against correct member \(evidence.culprit)"
        }
      }
    }
    return nil
  }
}
