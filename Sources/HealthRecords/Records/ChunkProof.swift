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
    // ⚑ Whoever makes an anchor writes what it likes into it.
    let size = min(self.sizeBytes, RecordPart.sizeBytesMax + 1)
    let body = size - min(size, UInt64(SecretStream.headerLengthBytes))
    return 1 + Int((body + sealed - 1) / sealed)
  }

  /// How many bytes the content has that was sealed to a ciphertext of its size; 0 where it could hold none.
  public var contentBytes: UInt64 {
    let size = min(self.sizeBytes, RecordPart.sizeBytesMax + 1)
    let around =
      SecretStream.headerLengthBytes + (self.chunkCount - 1) * SecretStream.overheadBytes + HashLock.saltLengthBytes
    return size - min(size, UInt64(around))
  }
}

extension RecordPart {
  /// The leaf hashes of its chunks, one after another: a vault that keeps them proves a chunk without reading the rest.
  public var leaves: [UInt8] { self.chunks.flatMap { MerkleHash.leaf($0).bytes } }

  /// Where the part begins that has a chunk, as everybody cuts records.
  static func start(ofPartWith chunk: Int) -> Int {
    let sealed = SecretStream.chunkBytesMax + SecretStream.overheadBytes
    let rest = Self.messageBytesMax / sealed
    let first = 1 + (Self.messageBytesMax - SecretStream.headerLengthBytes) / sealed
    return chunk < first ? 0 : first + (chunk - first) / rest * rest
  }
}

extension SealedContent {
  /// The leaf hashes of all chunks. Reads all of it.
  public func leaves() async throws(VaultFailure) -> [UInt8] {
    var out: [UInt8] = []
    try await self.forEachPart({ part throws(VaultFailure) in out += part.leaves }, failed: { $0 })
    return out
  }
}

extension Vault {
  /// The proof that this vault has a chunk of what was anchored; nil where the record is not kept here, or is not what
  /// was anchored.
  public func proof(of anchor: RecordAnchor, chunk index: Int) async throws(VaultFailure) -> ChunkProof? {
    if let kept = try await self.leaves(of: anchor.record),
      let proof = try await self.proof(of: anchor, chunk: index, leaves: kept)
    {
      return proof
    }
    guard let leaves = try await self.content(of: anchor.record)?.leaves() else { return nil }
    return try await self.proof(of: anchor, chunk: index, leaves: leaves)
  }

  private func proof(
    of anchor: RecordAnchor, chunk index: Int, leaves: [UInt8]
  ) async throws(VaultFailure) -> ChunkProof? {
    let count = leaves.count / Digest.lengthBytes
    guard index >= 0, index < count, count == anchor.chunkCount else { return nil }
    var (log, nodes) = (MerkleFrontier(), ChunkNodes())
    for place in 0..<count {
      let leaf = Digest(leaves, at: place * Digest.lengthBytes)
      log.append(leaf) { level, _, node in nodes.nodes[level, default: []].append(node) }
    }
    let start = RecordPart.start(ofPartWith: index)
    guard let path = MerkleProver(nodes: nodes).inclusion(index: UInt64(index), size: log.size),
      let part = try await self.part(of: anchor.record, from: start),
      part.chunks.indices.contains(index - start)
    else { return nil }
    let proof = ChunkProof(index: index, chunk: part.chunks[index - start], path: path)
    return proof.isAuthentic(for: anchor) ? proof : nil
  }
}

/// The nodes over a ciphertext's chunks.
private struct ChunkNodes: MerkleNodes {
  var nodes: [Int: [Digest]] = [:]
  func node(level: Int, index: UInt64) -> Digest? {
    guard let level = self.nodes[level], index < level.count else { return nil }
    return level[Int(index)]
  }
}
