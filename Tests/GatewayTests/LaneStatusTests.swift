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

  @Test("Fewer than a quorum within reach, or a long pause while transactions wait, is told; a short one is no trouble")
  func ordering() {
    var status = NodeStatus(name: "One", member: 1)
    status.running = true
    status.lane = "open"
    (status.members, status.quorum, status.reachable) = (4, 3, 3)
    #expect(status.orderingTrouble == nil)
    status.reachable = 2
    #expect(status.orderingTrouble?.contains("2 of 4 members are connected") == true)
    status.reachable = 3
    status.pausedMilliseconds = NodeStatus.pauseMillisecondsMax - 1
    #expect(status.orderingTrouble == nil)
    status.pausedMilliseconds = NodeStatus.pauseMillisecondsMax
    #expect(status.orderingTrouble?.contains("for 30 s while transactions wait") == true)
    // Who does not vote orders nothing, and cannot know.
    status.lane = ""
    status.reachable = 0
    #expect(status.orderingTrouble == nil)
  }
}
