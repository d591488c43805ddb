// Goal: who waits for the ledger keeps nobody from reading, nor from an emergency, and listeners take no more
// connections than the process can have. Method: the doors alone, without a network.
import NIOCore
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

  @Test("⚑ However many slow contents one source holds open, another's finds a place: the slowest gives way")
  func uploads() async throws {
    var limits = DoorLimits()
    (limits.uploadsMax, limits.uploadGraceMilliseconds) = (8, 1000)
    let doors = Doors(limits)
    let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    let slow = (0..<4).map { _ in Upload(source: "a", at: start) }
    for (number, upload) in slow.enumerated() {
      #expect(doors.take(upload, at: start))
      upload.came(1000 + number)
    }
    // One source has half of the places at most, and nobody gives way before its time.
    #expect(!doors.take(Upload(source: "a", at: start), at: start))
    let later = start + .seconds(2)
    let fifth = Upload(source: "a", at: later)
    #expect(doors.take(fifth, at: later))
    #expect(slow.map(\.hasYielded) == [true, false, false, false])
    for source in ["b", "b", "c", "c"] { #expect(doors.take(Upload(source: source, at: later), at: later)) }
    #expect(doors.take(Upload(source: "d", at: later), at: later))
    #expect(slow.map(\.hasYielded) == [true, true, false, false])
    // Those that are fast stay.
    for upload in slow + [fifth] { upload.came(1 << 30) }
    #expect(!doors.take(Upload(source: "e", at: later), at: later))
    doors.leave(fifth)
    #expect(doors.take(Upload(source: "e", at: later), at: later))
  }

  @Test("What gives way ends, and is told to come again; what goes on is counted")
  func yielding() async throws {
    var limits = DoorLimits()
    (limits.uploadsMax, limits.uploadGraceMilliseconds, limits.uploadBytesPerSecondMin) = (1, 0, .max)
    let doors = Doors(limits)
    let never = AsyncStream<Void>.makeStream()
    let started = AsyncStream<Void>.makeStream()
    let first = Task {
      try await Place.with(doors, .submission) {
        try await #require(Place.current).upload(by: "a") {
          started.continuation.finish()
          for await _ in never.stream {}
          try Task.checkCancellation()
        }
      }
    }
    for await _ in started.stream {}
    let second = try await Place.with(doors, .submission) {
      try await #require(Place.current).upload(by: "b") {
        Place.current?.uploaded(5)
        return "done"
      }
    }
    #expect(second == "done")
    await #expect(throws: ServiceRefusal.busy) { try await first.value }
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
