// Goal: the log is RFC 6962's, and no wrong proof passes. Method: transparency-dev's vectors, and every proof of every
// small log against a naive tree.
import Foundation
import Merkle
import Primitives
import Signing
import Testing

private struct Inclusion: Decodable {
  let leafIdx, treeSize: UInt64
  let root, leafHash: String?
  let proof: [String]?
  let wantErr: Bool
  let file: String
}

private struct Consistency: Decodable {
  let size1, size2: UInt64
  let root1, root2: String?
  let proof: [String]?
  let wantErr: Bool
  let file: String
}

private func load<T: Decodable>(_ name: String, as type: T.Type) throws -> T {
  let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  let data = try Data(contentsOf: folder.appending(path: "Vectors/merkle/\(name)"))
  return try JSONDecoder().decode(type, from: data)
}

private func digest(_ base64: String?) -> Digest? {
  Data(base64Encoded: base64 ?? "").flatMap { Digest(Array($0)) }
}

/// Some vectors have words for roots ("don't care"): equal words become equal digests.
private func root(_ base64: String?) -> Digest? {
  digest(base64) ?? Data(base64Encoded: base64 ?? "").map { Hash.sha256(Array($0)) }
}

/// A log as an array of leaf hashes, computed as RFC 6962 §2.1 defines it.
private struct NaiveLog: MerkleNodes {
  var leaves: [Digest] = []

  func root(_ range: Range<Int>) -> Digest {
    guard range.count > 0 else { return MerkleHash.empty }
    guard range.count > 1 else { return self.leaves[range.lowerBound] }
    var split = 1
    while split * 2 < range.count { split *= 2 }
    let middle = range.lowerBound + split
    return MerkleHash.node(self.root(range.lowerBound..<middle), self.root(middle..<range.upperBound))
  }

  func node(level: Int, index: UInt64) -> Digest? {
    let width = 1 << level
    let start = Int(index) * width
    return start + width <= self.leaves.count ? self.root(start..<(start + width)) : nil
  }
}

@Suite("Merkle log")
struct MerkleTests {
  @Test("Every published inclusion proof, right or wrong, is judged as it says")
  func inclusionVectors() throws {
    for test in try load("inclusion.json", as: [Inclusion].self) {
      let path = (test.proof ?? []).map(digest)
      var accepted = false
      if let leaf = digest(test.leafHash), let root = digest(test.root), !path.contains(nil) {
        accepted = MerkleProof.verifiesInclusion(
          leaf: leaf, index: test.leafIdx, size: test.treeSize, path: path.compactMap { $0 }, root: root)
      }
      #expect(accepted == !test.wantErr, "\(test.file)")
    }
  }

  @Test("Every published consistency proof, right or wrong, is judged as it says")
  func consistencyVectors() throws {
    for test in try load("consistency.json", as: [Consistency].self) {
      let path = (test.proof ?? []).map(digest)
      var accepted = false
      if let old = root(test.root1), let new = root(test.root2), !path.contains(nil) {
        accepted = MerkleProof.verifiesConsistency(
          old: test.size1, size: test.size2, path: path.compactMap { $0 }, oldRoot: old, root: new)
      }
      #expect(accepted == !test.wantErr, "\(test.file)")
    }
  }

  @Test("All proofs of all logs of up to 40 leaves verify, and none for a neighbour's place")
  func smallLogs() throws {
    var log = NaiveLog()
    var frontier = MerkleFrontier()
    var roots = [MerkleHash.empty]
    for index in 0..<40 {
      let leaf = MerkleHash.leaf([UInt8(index)])
      log.leaves.append(leaf)
      frontier.append(leaf) { _, _, _ in }
      roots.append(log.root(0..<log.leaves.count))
      #expect(frontier.root == roots[index + 1])
    }
    let prover = MerkleProver(nodes: log)
    for size in 1...40 {
      for index in 0..<size {
        let path = try #require(prover.inclusion(index: UInt64(index), size: UInt64(size)))
        func verifies(at place: Int) -> Bool {
          MerkleProof.verifiesInclusion(
            leaf: log.leaves[index], index: UInt64(place), size: UInt64(size), path: path, root: roots[size])
        }
        #expect(verifies(at: index))
        #expect(size == 1 || !verifies(at: (index + 1) % size))
      }
      for old in 1...size {
        let path = try #require(prover.consistency(old: UInt64(old), size: UInt64(size)))
        #expect(
          MerkleProof.verifiesConsistency(
            old: UInt64(old), size: UInt64(size), path: path, oldRoot: roots[old], root: roots[size]))
      }
    }
  }

  @Test("The frontier tells of every complete node once")
  func frontierNodes() {
    var frontier = MerkleFrontier()
    var seen: [String] = []
    for index in 0..<8 {
      frontier.append(MerkleHash.leaf([UInt8(index)])) { level, index, _ in seen.append("\(level)/\(index)") }
    }
    #expect(Set(seen).count == seen.count)
    #expect(seen.count == 15)
  }
}
