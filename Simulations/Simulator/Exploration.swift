internal import HealthRecords
internal import Ledger
internal import Lanes
internal import Messages
internal import NodeCore
internal import PBFT
internal import Primitives
internal import Signing
internal import Wire

/// Small worlds of four members, gone through case by case: not by lot, but every case of a kind there is.
///
/// Each case is one run of a whole network, checked as the swarm checks; distinct ends are counted by the digest of
/// everything that happened.
public struct Exploration: Sendable {
  /// What is gone through.
  public enum World: String, Sendable, CaseIterable {
    /// One commit; each member stops after each single effect of it, its write lost or kept, and comes back.
    case crashes
    /// Two lanes, one commit; each single message is lost, one after another, and each pair of neighbours.
    case losses
    /// One number, a view change and one twin of member 1: who reaches which twin, in each of two views, is any split.
    case twin
    /// One commit; two members stop after each pair of effects: more than f at once, so nothing may be lost, only late.
    case pairs
  }

  /// What was found.
  public struct Report: Sendable {
    /// How many cases.
    public var cases = 0
    /// How many different histories.
    public var histories = 0
    /// The most events of one.
    public var depth = 0
    /// All events.
    public var events = 0
    /// The cases that broke an invariant, in words.
    public var failures: [String] = []
  }

  private let world: World

  /// An exploration of a world.
  public init(_ world: World) { self.world = world }

  /// A case: what is done before the run, in words and in deed.
  private struct Case {
    let name: String
    let twins: [ReplicaIndex]
    let act: (Cluster) -> Void
  }

  /// Goes through all cases; `told` hears of each.
  public func run(told: (Report) -> Void = { _ in }) -> Report {
    var report = Report()
    var histories: Set<Digest> = []
    for one in self.cases() {
      let cluster = Cluster(count: 4, seed: 1, parameters: Self.hasty, twins: one.twins)
      cluster.run(for: .milliseconds(60))
      let transactions = (0..<cluster.slotCount).map { cluster.digestTransaction(1, for: $0) }
      one.act(cluster)
      let submitters = self.world == .losses || self.world == .twin ? Array(0..<cluster.slotCount) : [1]
      for slot in submitters where cluster.node(slot) != nil { cluster.submit([transactions[slot]], to: slot) }
      let failure = self.finish(cluster)
      report.cases += 1
      report.depth = max(report.depth, cluster.eventCount)
      report.events += cluster.eventCount
      if histories.insert(cluster.trace).inserted { report.histories += 1 }
      if let failure { report.failures.append("\(one.name): \(failure)") }
      told(report)
    }
    return report
  }

  /// Views are left soon, so that each case is short.
  private static var hasty: Node.Parameters {
    var parameters = Node.Parameters()
    parameters.replica.viewTimeoutMin = .milliseconds(300)
    return parameters
  }

  private func cases() -> [Case] {
    switch self.world {
    case .crashes:
      return (0..<4).flatMap { slot in
        (1...Self.effectsMax).flatMap { count in
          [true, false].map { isLost in
            Case(name: "member \(slot) stops after \(count) effects, its write \(isLost ? "lost" : "kept")", twins: [])
            {
              $0.crash(slot, afterEffects: count, losingWrite: isLost)
            }
          }
        }
      }
    case .pairs:
      return stride(from: 1, through: Self.effectsMax, by: 3).flatMap { first in
        stride(from: 1, through: Self.effectsMax, by: 3).map { second in
          Case(name: "members 0 and 1 stop after \(first) and \(second) effects", twins: []) {
            $0.crash(0, afterEffects: first, losingWrite: true)
            $0.crash(1, afterEffects: second, losingWrite: true)
          }
        }
      }
    case .losses:
      return (0..<Self.messagesMax).flatMap { first in
        (1...2).map { length in
          Case(name: "messages \(first)…\(first + length - 1) are lost", twins: []) { cluster in
            var number = 0
            cluster.tamper = { _, _, message in
              defer { number += 1 }
              return number >= first && number < first + length ? nil : message
            }
          }
        }
      }
    case .twin:
      // Slot 4 is the twin of member 0. Members 1 to 3 each reach one of the two, both, or none: at first, and later.
      return (0..<64).flatMap { early in
        (0..<64).compactMap { late in
          guard (early * 64 + late).isMultiple(of: 5) else { return nil }
          return Case(name: "splits \(early) and \(late)", twins: [0]) { cluster in
            Self.split(cluster, early)
            cluster.plan(at: cluster.now + .milliseconds(250)) { Self.split(cluster, late) }
          }
        }
      }
    }
  }

  private static let effectsMax = 60
  private static let messagesMax = 150

  /// Two bits a member: whether it reaches either twin.
  private static func split(_ cluster: Cluster, _ bits: Int) {
    for member in 1...3 {
      let mine = bits >> (2 * (member - 1))
      if mine & 1 == 0 { cluster.cut(0, member) } else { cluster.mend(0, member) }
      if mine & 2 == 0 { cluster.cut(4, member) } else { cluster.mend(4, member) }
    }
  }

  /// Lets everything heal, waits until all is executed, and checks.
  private func finish(_ cluster: Cluster) -> String? {
    cluster.run(for: .milliseconds(900))
    cluster.tamper = nil
    cluster.heal()
    for slot in 0..<cluster.slotCount {
      cluster.crash(slot, afterEffects: nil)
      cluster.restart(slot)
    }
    let correct = cluster.correctSlots
    for slot in correct { cluster.submit([cluster.digestTransaction(2, for: slot)], to: slot) }
    let isDone = cluster.run(within: .milliseconds(60_000), asking: 32) {
      correct.allSatisfy { one in
        correct.allSatisfy { other in
          guard let head = cluster.node(other)?.lanes.announcements[other].head else { return false }
          return head.position > .zero && cluster.node(one)?.execution.cut.heads[other] == head
        }
      }
    }
    if let breach = cluster.breach ?? cluster.watch.breach ?? cluster.checkAgreement() { return breach }
    guard isDone else { return "I7: not everything is executed a minute after healing" }
    for slot in correct {
      if let failure = cluster.disk(slot).compareWithNaive(cluster.genesis) { return failure }
    }
    return nil
  }
}
