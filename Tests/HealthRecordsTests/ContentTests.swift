// Content of any length: sealed while it comes, in pieces of any size, and opened chunk by chunk.
import HealthRecords
import Messages
import Primitives
import Signing
import Testing
import Wire

@Suite("Content that is sealed while it comes (RECORDS §3)")
struct ContentTests {
  private let patient = PersonKeys(signingSeed: Hash.sha256([1]).bytes, sealingSecret: Hash.sha256([2]).bytes)
  private static let chunk = SecretStream.chunkBytesMax

  private func content(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 131 >> 3) } }

  private func sealed(
    _ content: [UInt8], pieces: Int, bindsBoth: Bool = false
  ) throws -> (anchor: RecordAnchor, sealed: SealedRecord) {
    var sealing = ContentSealing(SealedRecord.Secrets { [UInt8](repeating: 5, count: $0) })
    var chunks: [[UInt8]] = []
    var start = 0
    while start < content.count {
      let end = min(content.count, start + pieces)
      chunks += sealing.take(Array(content[start..<end]))
      start = end
    }
    chunks += sealing.finish()
    let draft = RecordDraft(
      sealing, patient: .zero, hospital: MemberID(1), network: .zero, category: .document, supersedes: nil)
    let readers = SealedRecord.Readers(
      patient: self.patient.sealingKey, hospital: self.patient.sealingKey, custody: nil, bindsBoth: bindsBoth)
    let (anchor, boxes) = try #require(draft.enclose(sealing.ciphertext, to: readers))
    return (anchor, SealedRecord(record: anchor.record, chunks: chunks, boxes: boxes))
  }

  private func key(of sealed: SealedRecord) throws -> [UInt8] {
    try #require(
      SealedRecord.key(in: sealed.patientCopy, of: sealed.record, secret: self.patient.sealingSecret))
  }

  @Test(
    "Whatever the pieces, it is the record that the whole would be, and opens to the same",
    arguments: [1, 100, 65_503, 65_504, 65_505, 131_040, 131_041, 300_000])
  func pieces(count: Int) throws {
    let content = self.content(count)
    for size in [7_919, 65_536, 1_000_000] {
      let (anchor, sealed) = try self.sealed(content, pieces: size)
      #expect(anchor.names(sealed) && sealed.chunks.count == anchor.chunkCount)
      #expect(anchor.contentBytes == UInt64(count))
      #expect(anchor.hashLock == HashLock.of(content, salt: [UInt8](repeating: 5, count: 32)))
      #expect(sealed.chunks.dropFirst().dropLast().allSatisfy { $0.count == Self.chunk + SecretStream.overheadBytes })
      #expect(try sealed.open(key: self.key(of: sealed), anchored: anchor).canonical == content)
    }
  }

  @Test("R9: what comes out is right only once all of it was: a chunk less, more, swapped or of another is told")
  func faults() throws {
    let (anchor, sealed) = try self.sealed(self.content(200_000), pieces: 65_536)
    let key = try self.key(of: sealed)
    func fault(_ chunks: [[UInt8]], _ anchor: RecordAnchor) -> RecordFault? {
      var opening = ContentOpening(key: key, anchored: anchor)
      do throws(RecordFault) {
        for chunk in chunks { _ = try opening.open(chunk) }
        _ = try opening.finish()
      } catch { return error }
      return nil
    }
    let chunks = sealed.chunks
    #expect(fault(chunks, anchor) == nil)
    #expect(fault([], anchor) == .address)
    #expect(fault(Array(chunks.dropLast()), anchor) == .address)
    #expect(fault(chunks + [chunks[1]], anchor) == .address)
    #expect(fault([chunks[0], chunks[2], chunks[1]] + chunks[3...], anchor) == .encryption)
    #expect(fault(Array(chunks.dropFirst()), anchor) == .encryption)
    // The same ciphertext under an anchor of other content: all but the hash-lock fits.
    let other = RecordAnchor(
      record: anchor.record, patient: anchor.patient, author: nil, category: anchor.category, hashLock: .zero,
      address: anchor.address, sizeBytes: anchor.sizeBytes, capsule: anchor.capsule, patientCopy: anchor.patientCopy,
      supersedes: nil, authorSignature: nil)
    #expect(fault(chunks, other) == .hashLock)
  }

  @Test(
    "⚑ An anchor names both copies of the key, so that no vault gives another; an older one names the patient's",
    arguments: [false, true])
  func copies(_ bindsBoth: Bool) throws {
    let (anchor, sealed) = try self.sealed(self.content(100), pieces: 100, bindsBoth: bindsBoth)
    #expect(anchor.names(sealed))
    func changed(patient: Bool) -> SealedRecord {
      func flip(_ box: [UInt8]) -> [UInt8] { box.dropLast() + [(box.last ?? 0) ^ 1] }
      return SealedRecord(
        record: sealed.record, chunks: sealed.chunks, capsule: sealed.capsule,
        hospitalCopy: patient ? sealed.hospitalCopy : flip(sealed.hospitalCopy),
        patientCopy: patient ? flip(sealed.patientCopy) : sealed.patientCopy)
    }
    #expect(!anchor.names(changed(patient: true)))
    #expect(anchor.names(changed(patient: false)) == !bindsBoth)
  }

  @Test("A chunk of a record of several parts is proved by the leaf hashes that were kept, by none, and by rotten ones")
  func longProofs() async throws {
    let (anchor, sealed) = try self.sealed(self.content(9 << 20), pieces: 1 << 20)
    let parts = [0, 64, 127].map { sealed.part(from: $0) }
    let leaves = parts.flatMap(\.leaves)
    var rotten = leaves
    rotten[100] ^= 1
    for kept in [leaves, nil, rotten] {
      let vault = OneRecordVault(sealed: sealed, kept: kept)
      for index in [0, 1, 63, 64, 126, 127, sealed.chunks.count - 1] {
        let proof = try #require(try await vault.proof(of: anchor, chunk: index))
        #expect(proof.index == index && proof.chunk == sealed.chunks[index] && proof.isAuthentic(for: anchor))
      }
    }
  }

  @Test("⚑ Whatever size an anchor states, nobody stumbles over it")
  func sizes() {
    func chunks(_ sizeBytes: UInt64) -> Int {
      RecordAnchor(
        record: .zero, patient: .zero, author: nil, category: .document, hashLock: .zero, address: .zero,
        sizeBytes: sizeBytes, capsule: .zero, patientCopy: .zero, supersedes: nil, authorSignature: nil
      ).chunkCount
    }
    #expect(chunks(0) == 1 && chunks(24) == 1 && chunks(25) == 2)
    #expect(chunks(RecordPart.sizeBytesMax) == RecordPart.chunksMax)
    #expect(chunks(RecordPart.sizeBytesMax + 1) == RecordPart.chunksMax + 1)
    #expect(chunks(.max) == RecordPart.chunksMax + 1)
  }

  @Test("Only parts that are cut as everybody cuts them are taken by a vault")
  func cut() throws {
    for count in [1, 40_000, 200_000, 9 << 20] {
      let (_, sealed) = try self.sealed(self.content(count), pieces: 1 << 20)
      #expect(SealedRecord.messages(of: [sealed]).joined().allSatisfy { $0.isWellCut })
    }
    let (_, sealed) = try self.sealed(self.content(200_000), pieces: 65_536)
    func part(_ start: Int, _ chunks: [[UInt8]]) -> RecordPart {
      RecordPart(sealed.head, start: start, chunks: chunks)
    }
    var chunks = sealed.chunks
    #expect(part(0, chunks).isWellCut)
    #expect(!part(1, Array(chunks[1...])).isWellCut)
    #expect(!part(0, [chunks[1]]).isWellCut)
    chunks[1].removeLast()
    #expect(!part(0, chunks).isWellCut)
    chunks = sealed.chunks
    chunks[chunks.count - 1] = [1]
    #expect(!part(0, chunks).isWellCut)
  }

  @Test(
    "A ciphertext that comes in pieces of any size is cut where it was sealed", arguments: [1, 23, 25, 65_553, 300_001])
  func cutting(size: Int) throws {
    let (_, sealed) = try self.sealed(self.content(200_000), pieces: 65_536)
    let bytes = sealed.chunks.flatMap { $0 }
    var cutter = ChunkCutter()
    var chunks: [[UInt8]] = []
    for start in stride(from: 0, to: size < 20 ? 70_000 : bytes.count, by: size) {
      chunks += cutter.take(Array(bytes[start..<min(start + size, bytes.count)]))
    }
    if size >= 20 {
      #expect(chunks + cutter.last == sealed.chunks)
    } else {
      #expect(chunks == Array(sealed.chunks.prefix(chunks.count)) && chunks.count == 2)
    }
  }

  @Test("A reader's answer carries all chunks or none, and nothing else is read as one")
  func answers() throws {
    let (_, sealed) = try self.sealed(self.content(200_000), pieces: 65_536)
    func decoded(_ chunks: [[UInt8]]) throws -> ReleaseAnswer {
      try ReleaseAnswer.decode(ReleaseAnswer(head: sealed.head, chunks: chunks).encoded)
    }
    for chunks in [sealed.chunks, []] {
      let answer = try decoded(chunks)
      #expect(answer.head == sealed.head && answer.chunks == chunks)
    }
    #expect(throws: WireError.self) { try decoded(Array(sealed.chunks.dropLast())) }
  }
}
