// Goal: no seed breaks an invariant, and a seed is one history. Method: a few seeds of the swarm; `consilium-sim swarm`
// runs as many as one likes.
import Primitives
import Simulator
import Testing

@Suite("Swarm")
struct SwarmTests {
  @Test(
    "Seeds draw members and faults; every invariant holds, and everything is executed after healing", arguments: 1...24)
  func seeds(seed: UInt64) {
    let report = SwarmRun(seed: seed).run()
    #expect(report.failure == nil, "seed \(seed): \(report.failure ?? ""); consilium-sim replay \(seed)")
  }

  @Test(
    "Seeds that once found something",
    arguments: [
      // A manifest that came late took a member back behind what it had executed, and it sealed its lane anew.
      7727,
      // A leader's own entry, above the configuration's end, committed the last below it: the checker took that for an
      // entry of an earlier term that commits alone.
      9751,
      // Raft: a new leader kept an entry of which it had not the blocks, and the disk that had them was lost.
      15051,
    ])
  func found(seed: UInt64) {
    let report = SwarmRun(seed: seed).run()
    #expect(report.failure == nil, "seed \(seed): \(report.failure ?? "")")
  }

  // 25: chunks of a snapshot were asked for again in the order of a dictionary, another one in each process.
  @Test("I10: a seed run twice gives one trace", arguments: [25, 101, 102])
  func determinism(seed: UInt64) {
    #expect(SwarmRun(seed: seed).run().trace == SwarmRun(seed: seed).run().trace)
  }
}
