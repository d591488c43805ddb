/// A seeded generator of numbers for machines: xoshiro256**, seeded through SplitMix64.
///
/// Its draws are its own, because the standard library's bounded algorithms may change between versions.
/// Not for keys. Source: Blackman & Vigna 2018.
public struct SeededGenerator: Sendable, Hashable {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  /// The generator that `seed` determines.
  public init(seed: UInt64) {
    var mix = seed
    func next() -> UInt64 {
      mix &+= 0x9E37_79B9_7F4A_7C15
      var z = mix
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
    self.state = (next(), next(), next(), next())
  }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    let product = self.state.1 &* 5
    let result = ((product << 7) | (product >> 57)) &* 9
    let shifted = self.state.1 << 17
    self.state.2 ^= self.state.0
    self.state.3 ^= self.state.1
    self.state.1 ^= self.state.2
    self.state.0 ^= self.state.3
    self.state.2 ^= shifted
    self.state.3 = (self.state.3 << 45) | (self.state.3 >> 19)
    return result
  }

  /// A number from 0 to `bound` − 1, without bias. `bound` is at least 1.
  public mutating func below(_ bound: UInt64) -> UInt64 {
    precondition(bound > 0, "a draw needs at least one value, bound=\(bound)")
    let limit = UInt64.max - (UInt64.max % bound + 1) % bound
    while true {
      let draw = self.next()
      if draw <= limit { return draw % bound }
    }
  }

  /// True once in `bound` draws on average.
  public mutating func oneIn(_ bound: UInt64) -> Bool { self.below(bound) == 0 }

  /// Shuffles in place (Fisher–Yates).
  public mutating func shuffle<T>(_ items: inout [T]) {
    guard items.count > 1 else { return }
    for index in stride(from: items.count - 1, to: 0, by: -1) {
      items.swapAt(index, Int(self.below(UInt64(index + 1))))
    }
  }

  /// Equal when the same draws follow.
  public static func == (left: Self, right: Self) -> Bool { left.state == right.state }
  /// Hashes the state.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(self.state.0)
    hasher.combine(self.state.1)
    hasher.combine(self.state.2)
    hasher.combine(self.state.3)
  }
}
