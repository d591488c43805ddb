// Goal: who waits for the ledger keeps nobody from reading, nor from an emergency, and listeners take no more
// connections than the process can have. Method: the doors alone, without a network.
import Testing

@testable import Gateway

@Suite("Places")
struct PlaceTests {
  @Test("⚑ However much waits for the ledger, what reads, and an emergency, finds a place")
  func emergencies() {
    var limits = DoorLimits()
    limits.requestsMax = 8
    let doors = Doors(limits)
    let waiting = (0..<8).count(where: { _ in doors.takePlace(for: .submission) })
    #expect(waiting == 6)
    #expect(doors.takePlace(for: .prompt) && doors.takePlace(for: .prompt) && !doors.takePlace(for: .prompt))
    doors.leavePlace(of: .submission)
    #expect(doors.takePlace(for: .submission))
    doors.leavePlace(of: .prompt)
    #expect(!doors.takePlace(for: .submission) && doors.takePlace(for: .prompt))
  }

  @Test("The usual limit of 1,024 descriptors leaves some for the ledger; more are used up to the default")
  func descriptors() {
    for descriptors in [1024, 4096, 8192, 1 << 20] {
      let limits = DoorLimits(descriptors: descriptors)
      #expect(3 * limits.connectionsMax + DoorLimits.descriptorsReservedMax <= descriptors)
      #expect(limits.connectionsMax >= 200 && limits.connectionsPerSourceMax < limits.connectionsMax)
      #expect(limits.uploadsMax < limits.connectionsMax)
    }
    #expect(DoorLimits(descriptors: 1 << 20) == DoorLimits())
    #expect(DoorLimits(descriptors: 0).connectionsMax > 0)
  }

  @Test("⚑ Answers share a bounded memory, which one that is sent keeps for its own bytes alone")
  func answers() async throws {
    var limits = DoorLimits()
    limits.answersBytesMax = 1000
    let doors = Doors(limits)
    try await Place.with(doors, .prompt) {
      let place = try #require(Place.current)
      #expect(place.takeAnswer(600) && place.takeAnswer(300) && !place.takeAnswer(200))
      place.settle(answer: 200)
      #expect(doors.takeAnswer(800) && !doors.takeAnswer(1))
      doors.giveBackAnswer(800)
    }
    #expect(doors.takeAnswer(1000))
  }

  @Test("⚑ An answer that is no small one takes of that memory before it is made, and is refused where there is none")
  func reserved() async throws {
    var limits = DoorLimits()
    limits.answersBytesMax = 1 << 20
    let doors = Doors(limits)
    let small = [UInt8](repeating: 1, count: 1000)
    let large = [UInt8](repeating: 1, count: 600 << 10)
    try await Place.with(doors, .prompt) {
      let held = try binary(large)
      withExtendedLifetime(held) { #expect(!doors.takeAnswer(600 << 10)) }
      await #expect(throws: ServiceRefusal.self) { try await Place.with(doors, .prompt) { _ = try binary(large) } }
      try await Place.with(doors, .prompt) { _ = try binary(small) }
    }
    #expect(doors.takeAnswer(1 << 20), "what is over gives all back")
  }
}
