// Goal: no key that does not vote keeps others out, hospitals that join among them. Method: the table of places as a
// value, with floods under one key and under many, against a naive list.
import Primitives
import Sessions
import Signing
import Testing

@Suite("Places for those who do not vote")
struct GuestPlacesTests {
  private func key(_ number: UInt8) -> PublicKey {
    guard let key = SigningKey(seed: [UInt8](repeating: number, count: 32)) else {
      preconditionFailure("a seed has 32 bytes")
    }
    return key.publicKey
  }

  @Test("⚑ One key has two places, however often it comes: its oldest gives way, and nobody else's")
  func oneKey() {
    var places = GuestPlaces()
    let (greedy, other) = (self.key(1), self.key(2))
    #expect(places.take(1, key: other) == .taken(givesWay: nil))
    for number in 2..<1000 {
      #expect(places.take(number, key: greedy) == .taken(givesWay: number < 4 ? nil : number - 2))
    }
    #expect(places.count == 3)
    #expect(places.take(1000, key: other) == .taken(givesWay: nil))
    #expect(places.take(1001, key: other) == .taken(givesWay: 1))
    #expect(places.count == 4)
  }

  @Test("Where all places are taken a newcomer has none, and who has two may still come again")
  func full() {
    var limits = GuestPlaces.Limits()
    limits.guestsMax = 4
    var places = GuestPlaces(limits)
    for number in 0..<4 { #expect(places.take(number, key: self.key(UInt8(number / 2))) == .taken(givesWay: nil)) }
    let newcomer = self.key(9)
    #expect(places.take(4, key: newcomer) == .full)
    #expect(places.take(5, key: self.key(0)) == .taken(givesWay: 0))
    #expect(places.take(6, key: newcomer) == .full)
    places.leave(5)
    #expect(places.take(7, key: newcomer) == .taken(givesWay: nil))
    #expect(places.take(8, key: self.key(0)) == .full)
  }

  @Test("Whatever comes and goes, there are never more than the limits, and only the own oldest gives way")
  func random() {
    var generator = SeededGenerator(seed: 7)
    let limits = GuestPlaces.Limits()
    var (places, naive) = (GuestPlaces(), [(number: Int, key: PublicKey)]())
    let keys = (UInt8(0)..<48).map(self.key)
    for number in 0..<5000 {
      if generator.next() % 4 == 0, !naive.isEmpty {
        let gone = naive.remove(at: Int(generator.next() % UInt64(naive.count)))
        places.leave(gone.number)
      }
      let key = keys[Int(generator.next() % UInt64(keys.count))]
      let own = naive.filter { $0.key == key }
      let loser = own.count == limits.perKeyMax ? own.first?.number : nil
      let isFull = loser == nil && naive.count == limits.guestsMax
      #expect(places.take(number, key: key) == (isFull ? .full : .taken(givesWay: loser)))
      naive.removeAll { $0.number == loser }
      if !isFull { naive.append((number, key)) }
      #expect(places.count == naive.count && naive.count <= limits.guestsMax)
    }
  }
}
