// Goal: keys go to those whom the ledger grants them and to nobody else, while custodians lie and a hospital asks for
// the same share a thousand times (RECORDS R2, R3, R5, R7, R9; I9). Method: a few seeds of the swarm's releases alone.
import Messages
import Testing

@testable import Simulator

@Suite("Simulated releases")
struct ReleaseRunTests {
  @Test(
    "No seed releases a key that was not granted, or makes one share twice", arguments: 1...4, OrderingEngine.allCases)
  func seeds(seed: UInt64, engine: OrderingEngine) {
    var events = 0
    let failure = ReleaseRun(seed: seed, engine: engine).run(events: &events)
    #expect(failure == nil, "seed \(seed): \(failure ?? "")")
    #expect(events > 0)
  }
}
