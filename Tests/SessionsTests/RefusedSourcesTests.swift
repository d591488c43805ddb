// Goal: who is refused again and again fills no log, and hides nobody else. Method: the table as a value, with times.
import Primitives
import Sessions
import Testing

@Suite("Refused connections")
struct RefusedSourcesTests {
  private static func at(_ seconds: UInt64) -> Tick { Tick(nanoseconds: seconds * 1_000_000_000) }

  @Test("The first of an address and a reason is told, then how many there were, once in ten minutes")
  func repeats() {
    var refused = RefusedSources()
    #expect(refused.take("192.0.2.1", reason: "no member's key", at: Self.at(0)) == 0)
    for second in 1...60 as ClosedRange<UInt64> {
      #expect(refused.take("192.0.2.1", reason: "no member's key", at: Self.at(second * 9)) == nil)
    }
    #expect(refused.take("192.0.2.1", reason: "another network", at: Self.at(541)) == 0, "another reason is told")
    #expect(refused.take("192.0.2.2", reason: "no member's key", at: Self.at(541)) == 0, "and another address")
    #expect(refused.take("192.0.2.1", reason: "no member's key", at: Self.at(600)) == 60)
    #expect(refused.take("192.0.2.1", reason: "no member's key", at: Self.at(601)) == nil)
    #expect(refused.take("192.0.2.1", reason: "no member's key", at: Self.at(1200)) == 1)
  }

  @Test("Many addresses take no more room than there is, and the one told longest ago is forgotten")
  func bounded() {
    var refused = RefusedSources()
    for number in 0...RefusedSources.placesMax {
      #expect(refused.take("\(number)", reason: "", at: Self.at(UInt64(number))) == 0)
    }
    let last = UInt64(RefusedSources.placesMax)
    #expect(refused.take("\(last)", reason: "", at: Self.at(last)) == nil)
    #expect(refused.take("0", reason: "", at: Self.at(last)) == 0, "forgotten")
  }
}
