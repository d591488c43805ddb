internal import Merkle
internal import Messages
public import Primitives
internal import Signing
public import Wire

/// A chunk of a record's ciphertext, and the path from it to the address that the ledger names: whoever gives one for a
/// chunk that somebody else chose has it (RECORDS §6).
public struct ChunkProof: Sendable, Hashable {
  /// The chunk's place.
  public let index: Int
  /// Its bytes.
  public let chunk: [UInt8]
  /// The audit path (RFC 6962 §2.1.1).
  public let path: [Digest]

  /// A proof of given parts; `isAuthentic` judges it.
  public init(index: Int, chunk: [UInt8], path: [Digest]) {
    (self.index, self.chunk, self.path) = (index, chunk, path)
  }

  /// Whether it is the chunk at its place of what was anchored.
  public func isAuthentic(for anchor: RecordAnchor) -> Bool {
    guard self.index >= 0, self.index < anchor.chunkCount else { return false }
    return MerkleProof.verifiesInclusion(
      leaf: MerkleHash.leaf(self.chunk), index: UInt64(self.index), size: UInt64(anchor.chunkCount), path: self.path,
      root: anchor.address)
  }
}

extension ChunkProof: WireCodable {
  /// Place, chunk, path.
  public func encode(into encoder: inout Encoder) {
    encoder.u16(UInt16(self.index))
    encoder.blob(self.chunk)
    encoder.list(self.path)
  }
  /// Reads a proof of a chunk of at most 64 KiB.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.index = Int(try decoder.u16())
    self.chunk = try decoder.blob(max: SecretStream.chunkBytesMax + SecretStream.overheadBytes, "chunk")
    self.path = try decoder.list(max: 64, "path")
  }
}

extension RecordAnchor {
  /// How many chunks a ciphertext of its size has: the stream's header, then full chunks and the rest.
  public var chunkCount: Int {
    let sealed = UInt64(SecretStream.chunkBytesMax + SecretStream.overheadBytes)
    let body = self.sizeBytes - min(self.sizeBytes, UInt64(SecretStream.headerLengthBytes))
    return 1 + Int((body + sealed - 1) / sealed)
  }
}

extension SealedRecord {
  private struct Nodes: MerkleNodes {
    var nodes: [Int: [Digest]] = [:]
    func node(level: Int, index: UInt64) -> Digest? {
      guard let level = self.nodes[level], index < level.count else { return nil }
      return level[Int(index)]
    }
  }

  /// The proof that this vault has a chunk; nil where the record has none at that place.
  public func proof(ofChunk index: Int) -> ChunkProof? {
    guard self.chunks.indices.contains(index) else { return nil }
    var (log, nodes) = (MerkleFrontier(), Nodes())
    for chunk in self.chunks {
      log.append(MerkleHash.leaf(chunk)) { level, _, node in nodes.nodes[level, default: []].append(node) }
    }
    let path = MerkleProver(nodes: nodes).inclusion(index: UInt64(index), size: UInt64(self.chunks.count))
    return path.map { ChunkProof(index: index, chunk: self.chunks[index], path: $0) }
  }
}
