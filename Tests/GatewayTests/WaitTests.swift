// Goal: a client is waited for as long as its line may take and no longer, and never for what the server itself takes.
// Method: the machine alone, with times of the test's own.
import Gateway
import NIOCore
import Testing

@Suite("How long a client is waited for")
struct WaitTests {
  private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(seconds) }
  private static let limits = DoorLimits()
  private static let head = Int64(limits.headMillisecondsMax / 1000)
  private static let patience = Int64(limits.patienceMilliseconds / 1000)

  @Test("Silence ends a connection: before the first head, and after each answer")
  func silence() {
    var wait = ClientWait(Self.limits, at: Self.at(0))
    #expect(!wait.isOver(at: Self.at(Self.head)) && wait.isOver(at: Self.at(Self.head + 1)))
    wait.headCame(at: Self.at(10))
    wait.bodyEnded(at: Self.at(10))
    #expect(wait.waitsSince == nil && !wait.isOver(at: Self.at(1000)), "the server may take its time")
    wait.answered(at: Self.at(1000))
    #expect(!wait.isOver(at: Self.at(1000 + Self.head)) && wait.isOver(at: Self.at(1001 + Self.head)))
  }

  @Test("A byte a second is too slow for a body; the slowest line that is waited for is not")
  func trickle() {
    func ends(bytes: Int) -> Int64? {
      var wait = ClientWait(Self.limits, at: Self.at(0))
      wait.headCame(at: Self.at(0))
      for second in Int64(0)..<600 {
        wait.asked(at: Self.at(second))
        if wait.isOver(at: Self.at(second)) { return second }
        wait.bodyCame(bytes, at: Self.at(second + 1))
      }
      return nil
    }
    let slowest = Int(Self.limits.bytesPerSecondMin)
    #expect(ends(bytes: 1) == Self.patience + 1)
    #expect(ends(bytes: slowest / 2) ?? 0 > Self.patience)
    #expect(ends(bytes: slowest) == nil)
  }

  @Test("A body that is almost whole buys no silence: it is waited for as long as one that has hardly begun")
  func almostWhole() {
    for bytes in [1, 64 << 20] {
      var wait = ClientWait(Self.limits, at: Self.at(0))
      wait.headCame(at: Self.at(0))
      wait.asked(at: Self.at(0))
      wait.bodyCame(bytes, at: Self.at(1))
      wait.asked(at: Self.at(1))
      #expect(!wait.isOver(at: Self.at(Self.patience)) && wait.isOver(at: Self.at(2 + Self.patience)))
      #expect(wait.bodyWaited(at: Self.at(11)) == .seconds(11))
      wait.bodyEnded(at: Self.at(12))
      #expect(wait.bodyWaited(at: Self.at(20)) == .zero)
    }
  }

  @Test("While the server does not read, nobody is blamed for what does not come")
  func backPressure() {
    var wait = ClientWait(Self.limits, at: Self.at(0))
    wait.headCame(at: Self.at(0))
    wait.asked(at: Self.at(0))
    wait.bodyCame(100, at: Self.at(1))
    #expect(wait.waitsSince == nil && !wait.isOver(at: Self.at(10_000)))
    wait.asked(at: Self.at(10_000))
    #expect(!wait.isOver(at: Self.at(10_000 + Self.patience - 1)) && wait.isOver(at: Self.at(10_001 + Self.patience)))
  }

  @Test("An answer that nobody takes ends the connection; one that is taken slowly does not")
  func answers() {
    var wait = ClientWait(Self.limits, at: Self.at(0))
    wait.headCame(at: Self.at(0))
    wait.bodyEnded(at: Self.at(0))
    let seconds: Int64 = 100
    let bytes = Int(Self.limits.bytesPerSecondMin) * Int(seconds)
    wait.writes(bytes, at: Self.at(0))
    wait.writes(bytes, at: Self.at(0))
    #expect(!wait.isOver(at: Self.at(2 * seconds)) && wait.isOver(at: Self.at(2 * seconds + Self.patience + 1)))
    wait.wrote(bytes, at: Self.at(2 * seconds))
    #expect(!wait.isOver(at: Self.at(3 * seconds + Self.patience)))
    wait.wrote(bytes, at: Self.at(3 * seconds))
    wait.answered(at: Self.at(3 * seconds))
    #expect(!wait.isOver(at: Self.at(3 * seconds + Self.head)))
  }

  @Test("What is answered by its head alone is not waited for beyond its body")
  func early() {
    var wait = ClientWait(Self.limits, at: Self.at(0))
    wait.headCame(at: Self.at(0))
    wait.asked(at: Self.at(0))
    wait.answered(at: Self.at(1))
    #expect(wait.isOver(at: Self.at(Self.patience + 1)), "the body that was not wanted")
    wait.bodyEnded(at: Self.at(2))
    #expect(!wait.isOver(at: Self.at(2 + Self.head)) && wait.isOver(at: Self.at(3 + Self.head)))
  }
}
