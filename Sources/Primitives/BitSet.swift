/// A set of replica indices, 0 to 255, without allocation.
public struct ReplicaSet: Sendable, Hashable {
  /// The most replicas that a configuration may have.
  public static let countMax = 256
  private var word0: UInt64 = 0
  private var word1: UInt64 = 0
  private var word2: UInt64 = 0
  private var word3: UInt64 = 0

  /// The empty set.
  public init() {}

  /// How many replicas are in it.
  public var count: Int {
    self.word0.nonzeroBitCount + self.word1.nonzeroBitCount + self.word2.nonzeroBitCount
      + self.word3.nonzeroBitCount
  }

  /// Whether it holds none.
  public var isEmpty: Bool { self.count == 0 }

  /// Whether `index` is in it.
  public func contains(_ index: Int) -> Bool {
    guard index >= 0, index < Self.countMax else { return false }
    return self[word: index >> 6] & (1 << UInt64(index & 63)) != 0
  }

  /// Adds `index`; false where it was there already or is out of range.
  @discardableResult
  public mutating func insert(_ index: Int) -> Bool {
    guard index >= 0, index < Self.countMax, !self.contains(index) else { return false }
    self[word: index >> 6] |= 1 << UInt64(index & 63)
    return true
  }

  /// Takes `index` out.
  public mutating func remove(_ index: Int) {
    guard self.contains(index) else { return }
    self[word: index >> 6] &= ~(1 << UInt64(index & 63))
  }

  private subscript(word index: Int) -> UInt64 {
    get {
      switch index {
      case 0: self.word0
      case 1: self.word1
      case 2: self.word2
      default: self.word3
      }
    }
    set {
      switch index {
      case 0: self.word0 = newValue
      case 1: self.word1 = newValue
      case 2: self.word2 = newValue
      default: self.word3 = newValue
      }
    }
  }

  /// The indices in it, ascending.
  public var members: [Int] { (0..<Self.countMax).filter { self.contains($0) } }

  /// Its four words, lowest indices first: the wire's form.
  public var words: [UInt64] { [self.word0, self.word1, self.word2, self.word3] }

  /// The set of four words; nil for another count.
  public init?(words: [UInt64]) {
    guard words.count == 4 else { return nil }
    (self.word0, self.word1, self.word2, self.word3) = (words[0], words[1], words[2], words[3])
  }
}
