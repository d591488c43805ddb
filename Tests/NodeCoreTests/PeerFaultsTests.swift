// Goal: wrong messages have an end, for whoever sends them (LEDGER §11.6, I9). Method: the counts as a value.
import NodeCore
import Primitives
import Signing
import Testing

@Suite("Peers' faults")
struct PeerFaultsTests {
  private func key(_ number: UInt16) throws -> PublicKey {
    let seed = Hash.blake2b("faults", [UInt8(truncatingIfNeeded: number), UInt8(number >> 8)]).bytes
    let key = SigningKey(seed: seed)?.publicKey
    return try #require(key)
  }

  @Test("Whoever does not vote is let go at once, and comes back after a while")
  func guest() throws {
    var faults = PeerFaults()
    let (key, other) = (try self.key(1), try self.key(2))
    #expect(faults.count(key, isMember: false, at: .zero) == .close)
    #expect(faults.isShutOut(key, at: .zero + .milliseconds(9_999)))
    #expect(!faults.isShutOut(other, at: .zero))
    #expect(!faults.isShutOut(key, at: .zero + .milliseconds(10_000)))
  }

  @Test("A member's are dropped, and closed above 32 in a minute; it is never shut out")
  func member() throws {
    var faults = PeerFaults()
    let key = try self.key(1)
    for _ in 0..<32 { #expect(faults.count(key, isMember: true, at: .zero) == .drop) }
    // A new connection does not begin anew.
    for _ in 0..<100 { #expect(faults.count(key, isMember: true, at: .zero + .milliseconds(59_999)) == .close) }
    #expect(!faults.isShutOut(key, at: .zero))
    #expect(faults.count(key, isMember: true, at: .zero + .milliseconds(60_000)) == .drop)
  }

  @Test("What is remembered is bounded")
  func bounded() throws {
    var limits = PeerFaults.Limits()
    limits.keysMax = 4
    var faults = PeerFaults(limits)
    for number in UInt16(0)..<20 { _ = faults.count(try self.key(number), isMember: false, at: .zero) }
    #expect(faults.keyCount == 4)
    let (first, last) = (try self.key(0), try self.key(19))
    #expect(faults.isShutOut(last, at: .zero) && !faults.isShutOut(first, at: .zero))
  }

  @Test("A few copies of a message are nobody's fault; whoever goes on saying it is charged, for each message alone")
  func repeats() {
    var repeats = PeerRepeats()
    let (one, other) = (Hash.blake2b("repeats", [1]), Hash.blake2b("repeats", [2]))
    for _ in 0..<4 { #expect(repeats.count(one, by: 1, at: .zero) == .drop) }
    for _ in 0..<3 { #expect(repeats.count(one, by: 1, at: .zero) == .charge) }
    #expect(repeats.count(other, by: 1, at: .zero) == .drop)
    #expect(repeats.count(one, by: 2, at: .zero) == .drop)
    #expect(repeats.count(one, by: 1, at: .zero + .milliseconds(10_000)) == .drop)
  }

  @Test("I9: what is remembered of repeats is bounded")
  func repeatsBounded() {
    var repeats = PeerRepeats()
    let first = Hash.blake2b("repeats", [0])
    for _ in 0..<5 { _ = repeats.count(first, by: 1, at: .zero) }
    for number in 0..<5000 as Range<UInt16> {
      _ = repeats.count(Hash.blake2b("repeats", [UInt8(number >> 8), UInt8(number & 255)]), by: 1, at: .zero)
    }
    #expect(repeats.count(first, by: 1, at: .zero) == .drop)
  }

  @Test("A key that two processes use is told once while it lasts; sessions that end now and then are nobody's copy")
  func shared() {
    var keys = SharedKeys()
    for minute in 0..<20 { #expect(keys.note(2, at: .zero + .milliseconds(UInt64(minute) * 20_000)) == false) }
    #expect(keys.members(at: .zero + .milliseconds(380_000)).isEmpty)
    var now = Tick.zero + .milliseconds(400_000)
    let told = (0..<40).map { _ in
      now = now + .milliseconds(1000)
      return keys.note(1, at: now)
    }
    #expect(told == (0..<40).map { $0 == 4 })
    // As both wait longer and longer before they dial, it goes on.
    now = now + .milliseconds(90_000)
    #expect(keys.note(1, at: now) == false)
    #expect(keys.members(at: now) == [1])
    now = now + .milliseconds(300_000)
    #expect(keys.members(at: now).isEmpty)
    // Another time it is told again.
    let again = (0..<5).map { keys.note(1, at: now + .milliseconds(UInt64($0))) }
    #expect(again == [false, false, false, false, true])
  }
}
