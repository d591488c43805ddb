public import Primitives
internal import Signing

/// RFC 6962 §2 hashing over SHA-256: leaves and nodes never collide.
public enum MerkleHash {
  /// The root of the empty log: SHA-256 of nothing.
  public static let empty = Hash.sha256([])

  /// SHA-256(0x00 ‖ entry).
  public static func leaf(_ entry: [UInt8]) -> Digest { Hash.sha256([0], entry) }

  /// SHA-256(0x01 ‖ left ‖ right).
  public static func node(_ left: Digest, _ right: Digest) -> Digest {
    var bytes: [UInt8] = [1]
    bytes.reserveCapacity(65)
    left.append(to: &bytes)
    right.append(to: &bytes)
    return Hash.sha256(bytes)
  }
}

/// Reads the complete subtrees of a log: the root over leaves `index · 2^level ..< (index + 1) · 2^level`.
public protocol MerkleNodes {
  /// The node; nil where the log does not have it complete.
  func node(level: Int, index: UInt64) -> Digest?
}

/// The growing edge of a log: one complete subtree for each bit of its size, so that appending costs O(1) on average.
public struct MerkleFrontier: Sendable, Hashable {
  /// How many leaves the log has.
  public private(set) var size: UInt64
  /// The complete subtrees from the largest to the smallest.
  public private(set) var peaks: [Digest]

  /// The empty log.
  public init() {
    self.size = 0
    self.peaks = []
  }

  /// A log of `size` leaves with these peaks; nil where their count does not fit.
  public init?(size: UInt64, peaks: [Digest]) {
    guard peaks.count == size.nonzeroBitCount else { return nil }
    (self.size, self.peaks) = (size, peaks)
  }

  /// Appends a leaf; `completed` hears of each node that became complete, the leaf included.
  public mutating func append(_ leaf: Digest, completed: (Int, UInt64, Digest) -> Void) {
    var node = leaf
    var level = 0
    var index = self.size
    completed(level, index, node)
    while index & 1 == 1, let left = self.peaks.popLast() {
      node = MerkleHash.node(left, node)
      level += 1
      index >>= 1
      completed(level, index, node)
    }
    self.peaks.append(node)
    self.size += 1
  }

  /// The log's root.
  public var root: Digest {
    guard var root = self.peaks.last else { return MerkleHash.empty }
    for peak in self.peaks.dropLast().reversed() { root = MerkleHash.node(peak, root) }
    return root
  }
}

/// Makes proofs from a log's nodes.
public struct MerkleProver<Nodes: MerkleNodes> {
  private let nodes: Nodes

  /// Proves over `nodes`.
  public init(nodes: Nodes) { self.nodes = nodes }

  /// The root of leaves `start ..< end`, `start` a multiple of the range's enclosing power of two.
  private func root(_ start: UInt64, _ end: UInt64) -> Digest? {
    let count = end - start
    if count.nonzeroBitCount == 1 {
      let level = count.trailingZeroBitCount
      return self.nodes.node(level: level, index: start >> UInt64(level))
    }
    let split = MerkleShape.split(count)
    guard let left = self.root(start, start + split), let right = self.root(start + split, end) else {
      return nil
    }
    return MerkleHash.node(left, right)
  }

  /// The root of the log's first `size` leaves; nil where it has fewer.
  public func root(size: UInt64) -> Digest? { size == 0 ? MerkleHash.empty : self.root(0, size) }

  /// The audit path of leaf `index` in the log of `size` leaves (RFC 6962 §2.1.1); nil where there is none.
  public func inclusion(index: UInt64, size: UInt64) -> [Digest]? {
    guard index < size else { return nil }
    var path: [Digest] = []
    var (start, end) = (UInt64(0), size)
    while end - start > 1 {
      let middle = start + MerkleShape.split(end - start)
      if index < middle {
        guard let sibling = self.root(middle, end) else { return nil }
        path.append(sibling)
        end = middle
      } else {
        guard let sibling = self.root(start, middle) else { return nil }
        path.append(sibling)
        start = middle
      }
    }
    return path.reversed()
  }

  /// The proof that the log of `old` leaves is a prefix of that of `size` (RFC 6962 §2.1.2); nil where there is none.
  public func consistency(old: UInt64, size: UInt64) -> [Digest]? {
    guard old <= size else { return nil }
    guard old > 0, old < size else { return [] }
    var path: [Digest] = []
    var (start, end) = (UInt64(0), size)
    while old != end {
      let middle = start + MerkleShape.split(end - start)
      if old <= middle {
        guard let sibling = self.root(middle, end) else { return nil }
        path.append(sibling)
        end = middle
      } else {
        guard let sibling = self.root(start, middle) else { return nil }
        path.append(sibling)
        start = middle
      }
    }
    if start != 0 {
      guard let own = self.root(start, end) else { return nil }
      path.append(own)
    }
    return path.reversed()
  }
}

enum MerkleShape {
  /// The largest power of two below `count`, which is at least 2.
  static func split(_ count: UInt64) -> UInt64 {
    1 << UInt64(63 - (count - 1).leadingZeroBitCount)
  }
}
