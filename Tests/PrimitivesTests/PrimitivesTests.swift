// Goal: the values that all others are made of hold at their edges: no wrap, no trap, one form.
// Method: edges and drawn values, against Foundation or a plain set.
import Foundation
import Primitives
import Testing

@Suite("Primitives")
struct PrimitivesTests {
  @Test("Points in time and spans end at the largest, and never come round to the past")
  func ends() {
    let late = Tick(nanoseconds: .max - 1)
    #expect(late + Span(nanoseconds: 5) >= late)
    #expect(late + Span(nanoseconds: .max) == Tick(nanoseconds: .max))
    #expect(Tick.zero - late == Span(nanoseconds: 0))
    #expect(Span.milliseconds(.max) == Span(nanoseconds: .max))
    #expect(Span.microseconds(.max) == Span(nanoseconds: .max))
    #expect(Span.milliseconds(7) * .max == Span(nanoseconds: .max))
    #expect(Span.milliseconds(1500).nanoseconds == 1_500_000_000)
    #expect(Timestamp(milliseconds: .max - 1).adding(milliseconds: 2) == .never)
    #expect(Timestamp.zero.offset(from: .never) == -Int64.max)
    #expect(Timestamp.never.offset(from: .zero) == Int64.max)
  }

  @Test("A time is written as Foundation writes it, in leap years and at the ends of months and centuries too")
  func dates() {
    var random = SeededGenerator(seed: 1)
    let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
    // To the end of the year 9999.
    let edges: [UInt64] = [0, 951_782_399_999, 951_782_400_000, 951_868_800_000, 4_107_542_399_999, 4_107_542_400_000]
    for milliseconds in edges + (0..<500).map({ _ in random.below(253_402_300_800_000) }) {
      let date = Date(timeIntervalSince1970: Double(milliseconds / 1000))
      let seconds = style.format(date).prefix(19)
      let time = Timestamp(milliseconds: milliseconds)
      #expect(time.civilSeconds == seconds)
      #expect(time.description.hasSuffix("Z") && time.description.hasPrefix(seconds))
      #expect(Int(time.description.dropFirst(20).prefix(3)) == Int(milliseconds % 1000))
    }
    #expect(Timestamp.never.description == "never")
  }

  @Test("Base64 is Foundation's, and has one form: another is refused")
  func base64() {
    var random = SeededGenerator(seed: 2)
    for count in 0..<70 {
      let bytes = (0..<count).map { _ in UInt8(random.below(256)) }
      let text = Data(bytes).base64EncodedString()
      #expect(Base64.encode(bytes) == text)
      #expect(Base64.decode(text) == bytes)
    }
    for text in [
      "A", "AA", "AAA", "A===", "AB==", "AAB=", "=AAA", "A=AA", "AA==AAAA", "AAA ", "AA-_", "AAAA\n", "ÄÄ==",
    ] {
      #expect(Base64.decode(text) == nil, "\(text)")
    }
  }

  @Test("Hexadecimal text is two digits a byte, nothing else")
  func hex() {
    let all = (0...255).map { UInt8($0) }
    #expect(Hex.decode(Hex.encode(all)) == all)
    #expect(Hex.decode(Hex.encode(all).uppercased()) == all)
    for text in ["0", "0g", "0x", " 0", "00 ", "+1", "-1", "٠٠", "é"] { #expect(Hex.decode(text) == nil, "\(text)") }
  }

  @Test("A set of replicas is a set of the numbers 0 to 255, whatever it is asked")
  func replicas() {
    var random = SeededGenerator(seed: 3)
    var (set, plain) = (ReplicaSet(), Set<Int>())
    for _ in 0..<4000 {
      let index = Int(random.below(300)) - 20
      if random.oneIn(3) {
        set.remove(index)
        plain.remove(index)
      } else {
        let isFit = 0..<ReplicaSet.countMax ~= index
        #expect(set.insert(index) == (isFit && !plain.contains(index)))
        if isFit { plain.insert(index) }
      }
      #expect(set.contains(index) == plain.contains(index))
    }
    #expect(set.members == plain.sorted() && set.count == plain.count)
    #expect(ReplicaSet(words: set.words) == set && ReplicaSet(words: [0]) == nil)
    for index in [Int.min, -1, 256, Int.max] { #expect(!set.contains(index) && !set.insert(index)) }
  }

  @Test("Draws stay below their bound, meet each value, and are the same for a seed")
  func draws() {
    var (first, second) = (SeededGenerator(seed: 9), SeededGenerator(seed: 9))
    for bound in [1, 2, 3, 7, 1 << 33, UInt64.max] {
      for _ in 0..<200 {
        let draw = first.below(bound)
        #expect(draw < bound && draw == second.below(bound))
      }
    }
    #expect(Set((0..<200).map { _ in first.below(7) }).count == 7)
    var items = Array(0..<50)
    first.shuffle(&items)
    #expect(items.sorted() == Array(0..<50) && items != Array(0..<50))
  }

  @Test("Numbers sort as bytes as they do as numbers; digests by their bytes")
  func order() {
    var random = SeededGenerator(seed: 4)
    let numbers = [0, 1, 255, 256, .max] + (0..<100).map { _ in random.next() }
    for a in numbers {
      #expect(UInt64(bigEndianBytes: a.bigEndianBytes) == a)
      let b = random.next()
      #expect(a.bigEndianBytes.lexicographicallyPrecedes(b.bigEndianBytes) == (a < b))
    }
    let digests = (0..<50).map { _ in Digest(words: (random.below(2), random.next(), random.next(), random.next())) }
    for digest in digests {
      #expect(Digest(digest.bytes) == digest && Digest(Array(digest.bytes.dropLast())) == nil)
      #expect((digest < digests[0]) == digest.bytes.lexicographicallyPrecedes(digests[0].bytes))
    }
  }
}
