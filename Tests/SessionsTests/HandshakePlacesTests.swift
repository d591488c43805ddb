// Goal: connections that say nothing keep nobody out (LEDGER §11.7). Method: the table of places as a value, with
// floods from one address, one range and many; a session to which nobody speaks.
import Messages
import Primitives
import Sessions
import Signing
import Testing

@Suite("Places for handshakes")
struct HandshakePlacesTests {
  private func address(_ text: String) -> SourceAddress {
    guard let address = SourceAddress(text) else { preconditionFailure("\(text) is no address") }
    return address
  }

  @Test("Nobody is turned away: where all places are taken one gives way, of the range that holds most")
  func fullestGivesWay() {
    var places = HandshakePlaces(seed: 1)
    for number in UInt64(0)..<256 {
      #expect(places.take(number, from: self.address("10.0.\(number).1")) == nil)
    }
    // All ranges hold as much: any may give way, and the one that came has a place.
    let first = places.take(256, from: self.address("10.1.0.1"))
    #expect(first.map { $0 < 256 } == true)
    // A second one of a range makes that the fullest.
    let seven: UInt64 = first == 7 ? 8 : 7
    #expect(places.take(257, from: self.address("10.0.\(seven).2")) != nil)
    #expect([seven, 257].contains(places.take(258, from: self.address("10.2.0.1"))))
    #expect(places.count == 256)
  }

  @Test("A crowded address, or range, competes with its like", arguments: ["", "::ffff:"])
  func crowded(prefix: String) {
    var places = HandshakePlaces(seed: 1)
    let victim = self.address("192.0.2.7")
    #expect(places.take(1_000_000, from: victim) == nil)
    for number in UInt64(0)..<1000 {
      let loser = places.take(number, from: self.address("\(prefix)10.0.0.1"))
      #expect((loser == nil) == (number < 16))
      #expect(loser != 1_000_000)
    }
    for number in UInt64(1000)..<2000 {
      #expect(places.take(number, from: self.address("\(prefix)10.0.0.\(number % 200)")) != 1_000_000)
    }
    #expect(places.count <= 65)
    places.leave(1_000_000)
    #expect(places.take(1_000_001, from: victim) == nil)
  }

  /// How many of a hundred handshakes end well while `between` connections come from `flood` during each.
  private func survivors(
    _ places: inout HandshakePlaces, from address: SourceAddress, flood: SourceAddress, between: UInt64
  ) -> Int {
    var survived = 0
    for attempt in UInt64(0)..<100 {
      let own = 1_000_000 + attempt
      var isOver = false
      _ = places.take(own, from: address)
      for number in 0..<between {
        if places.take(attempt * between + number, from: flood) == own { isOver = true }
      }
      places.leave(own)
      if !isOver { survived += 1 }
    }
    return survived
  }

  @Test("A stranger at a member's address who is faster than a round trip ends a share of the handshakes, not all")
  func sharedAddress() {
    // 150 connections within the 150 ms of a handshake far away: (255/256)^150 of them end well, 56 of a hundred.
    let shared = self.address("192.0.2.1")
    var places = HandshakePlaces(seed: 1)
    places.know([shared])
    #expect(self.survivors(&places, from: shared, flood: shared, between: 150) > 40)
    // Where no member is known to be, sixteen places: (15/16)^20, 28 of a hundred.
    var unknown = HandshakePlaces(seed: 1)
    #expect(self.survivors(&unknown, from: shared, flood: shared, between: 20) > 15)
  }

  @Test("A flood from one member's address leaves the handshakes of the others alone")
  func otherMembers() {
    var places = HandshakePlaces(seed: 1)
    let (flooded, other) = (self.address("192.0.2.1"), self.address("192.0.2.2"))
    places.know([flooded, other])
    #expect(self.survivors(&places, from: other, flood: flooded, between: 100) == 100)
  }

  @Test("A /64 of IPv6 counts as one range, however many addresses it has")
  func rangeOfSix() {
    var places = HandshakePlaces(seed: 1)
    for number in UInt64(0)..<500 {
      _ = places.take(number, from: self.address("2001:db8:1:2::\(String(number, radix: 16))"))
    }
    #expect(places.count == 64)
    #expect(self.address("2001:db8:1:2::1").range == self.address("2001:db8:1:2:ffff::9").range)
    #expect(self.address("2001:db8:1:2::1").range != self.address("2001:db8:1:3::1").range)
    #expect(self.address("fe80::1%eth0") == self.address("fe80::1"))
  }

  @Test("Places are kept for the addresses of members: strangers take none of them, and drive nobody out of them")
  func members() {
    var places = HandshakePlaces(seed: 1)
    let member = self.address("192.0.2.1")
    places.know([member])
    #expect(places.take(1, from: member) == nil)
    for number in UInt64(100)..<50_000 {
      let range = number % 60_000
      #expect(places.take(number, from: self.address("10.\(range / 250).\(range % 250).1")) != 1)
    }
    #expect(places.take(2, from: member) == nil)
    #expect(places.count == 258)
  }

  @Test("Whoever proved a key has no place any more, and never gives way")
  func proved() {
    var places = HandshakePlaces(seed: 1)
    _ = places.take(1, from: self.address("10.0.0.1"))
    places.leave(1)
    for number in UInt64(2)..<1000 {
      #expect(places.take(number, from: self.address("10.\(number / 250).\(number % 250).1")) != 1)
    }
  }

  @Test(
    "What is no IP address is none",
    arguments: [
      "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "a.b.c.d", ":", ":::", "1::2::3", "12345::", "g::", "1:2:3:4:5:6:7",
    ]
  )
  func noAddress(text: String) {
    #expect(SourceAddress(text) == nil)
  }

  @Test("Who was dialled waits a second for the first bytes, who dials for the whole time of a handshake")
  func firstBytes() {
    func session(_ role: NoiseHandshake.Role) -> Session {
      let key = NoiseHandshake.KeyPair(secret: Hash.blake2b("key", [1]).bytes)
      guard let identity = SigningKey(seed: Hash.blake2b("key", [2]).bytes)?.publicKey else {
        preconditionFailure("a digest has 32 bytes")
      }
      return Session(
        network: .zero, role: role, staticKey: key, ephemeral: key, identity: identity, expected: nil, admitted: nil,
        at: .zero)
    }
    var silent = session(.responder)
    #expect(silent.deadline == .zero + .milliseconds(1000))
    var events: [SessionEvent] = []
    // A byte now and then is no preamble.
    silent.take([0x43], at: .zero + .milliseconds(900), into: &events)
    silent.fireTimer(at: .zero + .milliseconds(1000), into: &events)
    #expect(events == [.failed(.timeout)])
    #expect(session(.initiator).deadline == .zero + .milliseconds(10_000))
  }
}
