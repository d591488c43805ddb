// Goal: a question's time never ends a node, whichever side of the node's clock it is on. Method: a table, with the
// ends of the numbers.
import Testing

@testable import Gateway

@Suite("A question's time")
struct FreshnessTests {
  @Test(
    "Within a minute of the node's clock, on either side",
    arguments: [
      (1_000_000, 1_000_000, true), (1_000_000, 1_000_001, true), (1_000_001, 1_000_000, true),
      (1_000_000, 1_060_000, true), (1_000_000, 1_060_001, false), (1_060_001, 1_000_000, false), (0, .max, false),
      (.max, 0, false), (.max, .max, true),
    ] as [(UInt64, UInt64, Bool)])
  func fresh(_ time: UInt64, _ now: UInt64, _ isFresh: Bool) {
    #expect(PortalServer.isFresh(time, at: now) == isFresh)
  }
}
