// Goal: whose lane is frozen hears so, with the remedy. Method: the status as the API and the command line read it.
import Gateway
import Testing

@Suite("Status of the own lane")
struct LaneStatusTests {
  @Test("A frozen lane is told with its reason and the way back; an open one is no trouble")
  func trouble() {
    var status = NodeStatus(name: "One", member: 1)
    status.lane = "open"
    #expect(status.laneTrouble == nil)
    status.lane = "frozen"
    #expect(status.laneTrouble?.contains("consilium member propose replace") == true)
    status.lane = "waiting"
    #expect(status.laneTrouble?.isEmpty == false)
  }
}
