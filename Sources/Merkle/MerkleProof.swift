public import Primitives

/// Checks proofs against roots; needs nothing but the hashes. Source: RFC 9162 §2.1.3.2 and §2.1.4.2.
public enum MerkleProof {
  /// Whether leaf hash `leaf` stands at `index` in the log of `size` leaves with `root`.
  public static func verifiesInclusion(
    leaf: Digest, index: UInt64, size: UInt64, path: [Digest], root: Digest
  ) -> Bool {
    guard index < size, path.count <= 64 else { return false }
    var (position, last, hash) = (index, size - 1, leaf)
    for sibling in path {
      guard last != 0 else { return false }
      if position & 1 == 1 || position == last {
        hash = MerkleHash.node(sibling, hash)
        if position & 1 == 0 {
          while position & 1 == 0 && position != 0 {
            position >>= 1
            last >>= 1
          }
        }
      } else {
        hash = MerkleHash.node(hash, sibling)
      }
      position >>= 1
      last >>= 1
    }
    return last == 0 && hash == root
  }

  /// Whether the log of `old` leaves with `oldRoot` is a prefix of the log of `size` leaves with `root`.
  ///
  /// Never for `old` = 0: that every log extends the empty one proves nothing about a root that somebody states.
  public static func verifiesConsistency(
    old: UInt64, size: UInt64, path: [Digest], oldRoot: Digest, root: Digest
  ) -> Bool {
    guard old > 0, old <= size, path.count <= 65 else { return false }
    if old == size { return path.isEmpty && oldRoot == root }
    var rest = path[...]
    if old.nonzeroBitCount == 1 { rest = [oldRoot] + rest }
    guard let first = rest.popFirst() else { return false }
    var (position, last) = (old - 1, size - 1)
    while position & 1 == 1 {
      position >>= 1
      last >>= 1
    }
    var (oldHash, newHash) = (first, first)
    for sibling in rest {
      guard last != 0 else { return false }
      if position & 1 == 1 || position == last {
        oldHash = MerkleHash.node(sibling, oldHash)
        newHash = MerkleHash.node(sibling, newHash)
        while position & 1 == 0 && position != 0 {
          position >>= 1
          last >>= 1
        }
      } else {
        newHash = MerkleHash.node(newHash, sibling)
      }
      position >>= 1
      last >>= 1
    }
    return last == 0 && oldHash == oldRoot && newHash == root
  }
}
