internal import Ledger
internal import ArgumentParser
internal import Dispatch
internal import Foundation
internal import Messages
internal import NodeCore
internal import Primitives
internal import Simulator
internal import Synchronization

/// The simulator's commands.
@main
struct ConsiliumSim: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "consilium-sim",
    abstract: "The same node as in production, in a hostile world of virtual time.",
    discussion: "Exit codes: 0 all invariants held; 1 one did not; 64 wrong usage.",
    subcommands: [Swarm.self, ReplaySeed.self])
}

/// `consilium-sim swarm`
struct Swarm: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run many seeds: each draws members, faults and load; a failure prints one line and how to replay it.",
    discussion: """
      Example:
        consilium-sim swarm --seeds 1000 --jobs 2
      Each seed has a safety phase with faults and a liveness phase in which everything must be executed. Checked are
      agreement (I1, I4), that what clients saw stays (I6), liveness (I7), and that every member's disk re-executes
      from the genesis to the same state (I5, I10). --twice runs each seed twice and compares trace digests.
      """)
  @Option(help: "How many seeds.") var seeds: UInt64 = 100
  @Option(help: "The first seed.") var from: UInt64 = 1
  @Option(help: "Seeds at once.") var jobs = 2
  @Flag(help: "Run each seed twice and compare.") var twice = false

  func validate() throws {
    guard self.seeds > 0, self.jobs > 0 else { throw ValidationError("--seeds and --jobs are at least 1") }
  }

  private struct Totals {
    var events = 0
    var executed: UInt64 = 0
    var virtual: UInt64 = 0
    var failures: [SwarmRun.Report] = []
    var next: UInt64
  }

  func run() throws {
    let totals = Mutex(Totals(next: self.from))
    let end = self.from + self.seeds
    let begun = ContinuousClock.now
    let twice = self.twice
    DispatchQueue.concurrentPerform(iterations: self.jobs) { _ in
      while true {
        let seed = totals.withLock { totals in
          defer { totals.next += 1 }
          return totals.next
        }
        guard seed < end else { return }
        let report = SwarmRun(seed: seed).run()
        let isSame = !twice || SwarmRun(seed: seed).run().trace == report.trace
        totals.withLock { totals in
          totals.events += report.events
          totals.executed += report.executed
          totals.virtual += report.virtual.milliseconds
          if report.failure != nil || !isSame {
            totals.failures.append(report)
            Self.tell(report, isSame: isSame)
          }
        }
      }
    }
    let spent = ContinuousClock.now - begun
    let seconds = Double(spent.components.seconds) + Double(spent.components.attoseconds) / 1e18
    let failed = totals.withLock { totals in
      print(
        "\(self.seeds) seeds, \(totals.failures.count) failed; \(totals.events) events, "
          + "\(totals.executed) transactions, \(totals.virtual / 1000) s of virtual time in \(Int(seconds)) s")
      return !totals.failures.isEmpty
    }
    guard !failed else { throw ExitCode(1) }
  }

  private static func tell(_ report: SwarmRun.Report, isSame: Bool) {
    let what = report.failure ?? "I10: two runs of one seed differ"
    print(
      "seed=\(report.seed) tick=\(report.virtual.milliseconds)ms members=\(report.members) "
        + "faults=\(report.faults.joined(separator: ",")) \(isSame ? what : "I10: two runs of one seed differ")")
    print("  consilium-sim replay \(report.seed)")
  }
}

/// `consilium-sim replay`
struct ReplaySeed: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay", abstract: "Run one seed again and print what members report, in virtual time.",
    discussion: "Example:\n  consilium-sim replay 42\n  consilium-sim replay 42 --messages")
  @Argument(help: "The seed.") var seed: UInt64
  @Flag(help: "Print every message too: a time–space diagram as text.") var messages = false

  func run() throws {
    let run = SwarmRun(seed: self.seed)
    let cluster = run.cluster
    if self.messages {
      cluster.tamper = { [unowned cluster] from, to, message in
        print("\(cluster.now.nanoseconds / 1000) µs  r\(from) → r\(to)  \(Self.name(message))")
        return message
      }
    }
    let report = run.run()
    for report in cluster.reports { print("\(report.at.nanoseconds / 1000) µs  r\(report.slot)  \(report.event)") }
    print(
      "seed=\(report.seed) members=\(report.members) faults=\(report.faults.joined(separator: ",")) "
        + "events=\(report.events) executed=\(report.executed) trace=\(report.trace.short)")
    print(report.failure ?? "all invariants held")
    guard report.failure == nil else { throw ExitCode(1) }
  }

  private static func name(_ message: PeerMessage) -> String {
    switch message {
    case .block(let block): "block \(block.header.author) \(block.header.position)"
    case .ordering(let content, let isGossip): "\(Self.name(content))\(isGossip ? "" : " (status)")"
    case .cosignature(let cosignature): "cosignature s\(cosignature.sequence)"
    case .evidence: "evidence"
    case .control: "control"
    case .links: "links"
    case .status(let status): "status v\(status.view) decided \(status.decided)"
    case .announcements: "have"
    case .blockRequest(let request): "want lane \(request.lane) \(request.above)…\(request.head.position)"
    case .blocks(let blocks): "\(blocks.count) blocks"
    case .decisions(let decisions): "\(decisions.count) decisions"
    case .question, .answer: "service"
    }
  }

  private static func name(_ message: OrderingMessage) -> String {
    switch message {
    case .prePrepare(let signed): "pre-prepare v\(signed.content.view) s\(signed.content.sequence)"
    case .prepare(let signed): "prepare v\(signed.content.ballot.view) s\(signed.content.ballot.sequence)"
    case .commit(let signed): "commit v\(signed.content.ballot.view) s\(signed.content.ballot.sequence)"
    case .viewChange(let signed): "view-change v\(signed.content.view)"
    case .newView(let signed): "new-view v\(signed.content.view)"
    case .decision(let decision): "decision s\(decision.sequence)"
    }
  }
}
