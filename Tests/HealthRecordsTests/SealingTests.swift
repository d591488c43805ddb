// Goal: canonical bytes keep clinical meaning, hash-locks bind, sealed records open for their readers only, phrases
// give keys again. Method: cases by hand, every changed byte, random bytes.
import HealthRecords
import Messages
import Primitives
import Signing
import Testing
import Threshold
import Wire

private func canonical(_ text: String) throws -> String {
  String(decoding: try CanonicalJSON(Array(text.utf8)).canonicalBytes, as: UTF8.self)
}

@Suite("Canonical JSON")
struct CanonicalJSONTests {
  @Test("Numbers keep the token that they were written with: precision is clinical meaning")
  func numbers() throws {
    #expect(try canonical(#"{"value": 1.00, "low":1e2, "high":-0.0}"#) == #"{"high":-0.0,"low":1e2,"value":1.00}"#)
  }

  @Test("RFC 8785 §3.2.3: members are sorted by UTF-16 code units")
  func order() throws {
    let sorted = "{\"\\r\":1,\"1\":2,\"\u{80}\":3,\"ö\":4,\"€\":5,\"😀\":6,\"\u{fb33}\":7}"
    let shuffled = "{\"€\":5,\"\\r\":1,\"\u{fb33}\":7,\"1\":2,\"😀\":6,\"\u{80}\":3,\"ö\":4}"
    #expect(try canonical(shuffled) == sorted)
  }

  @Test("RFC 8785 §3.2.2.2: strings have one form")
  func strings() throws {
    #expect(try canonical(#"["\u0041\u00e9\/\u000b\n\u20ac\ud83d\ude00"]"#) == "[\"Aé/\\u000b\\n€😀\"]")
  }

  @Test("Canonical bytes are a fixed point")
  func fixedPoint() throws {
    let once = try canonical(#" { "b" : [ true , null , { } , [ ] ] , "a" : "x" } "#)
    #expect(once == #"{"a":"x","b":[true,null,{},[]]}"#)
    #expect(try canonical(once) == once)
  }

  @Test(
    "What is no JSON is refused with its place",
    arguments: [
      "", "{", "[1,]", "{\"a\":1,}", "01", "1.", ".5", "+1", "1e", "nul", "\"\\x\"", "\"\\ud800\"", "\"\\udc00\"",
      "\"a\u{1}\"", "[1] 2", "{\"a\" 1}", "{a:1}", "NaN", "'a'", "\"abc", "[\"\\u12\"]", "--1",
    ])
  func refused(text: String) {
    #expect(throws: JSONFault.self) { try CanonicalJSON(Array(text.utf8)) }
  }

  @Test("A member that occurs twice is refused by name, also when it is written in two ways")
  func duplicates() {
    #expect(throws: JSONFault.duplicateMember(at: 0, name: "a")) {
      try CanonicalJSON(Array(#"{"a":1,"\u0061":2}"#.utf8))
    }
  }

  @Test("Invalid UTF-8 and too deep nesting are refused, not trapped on")
  func hostile() {
    #expect(throws: JSONFault.self) { try CanonicalJSON([0x22, 0xff, 0x22]) }
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
    #expect(throws: JSONFault.tooDeep(at: CanonicalJSON.depthMax + 1)) { try CanonicalJSON(deep) }
  }

  @Test("Random bytes never trap the parser", arguments: 0..<20)
  func fuzz(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let alphabet = Array(#"{}[]",:\u0d8123etrfalsn.- "#.utf8)
    for _ in 0..<500 {
      let bytes = (0..<random.below(60)).map { _ in alphabet[Int(random.below(UInt64(alphabet.count)))] }
      if let value = try? CanonicalJSON(bytes) {
        let again = try? CanonicalJSON(value.canonicalBytes)
        #expect(again?.canonicalBytes == value.canonicalBytes)
      }
    }
  }
}

@Suite("FHIR files")
struct FHIRTests {
  @Test("A bundle gives its resources, each with its category")
  func bundle() throws {
    let text =
      #"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"1"}},"#
      + #"{"resource":{"resourceType":"AllergyIntolerance"}}]}"#
    let resources = try FHIRResource.read(Array(text.utf8))
    #expect(resources.map(\.type) == ["Patient", "AllergyIntolerance"])
    #expect(resources.map(\.category) == [.demographics, .allergy])
  }

  @Test("What is no FHIR says so, with the entry")
  func refused() {
    func fault(_ text: String) -> FHIRFault? {
      do throws(FHIRFault) { _ = try FHIRResource.read(Array(text.utf8)) } catch { return error }
      return nil
    }
    #expect(fault("{}") == .resourceType(nil, entry: nil))
    #expect(fault(#"{"resourceType":"Elephant"}"#) == .resourceType("Elephant", entry: nil))
    #expect(fault(#"{"resourceType":"Bundle","entry":[]}"#) == .emptyBundle)
    #expect(
      fault(#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"X"}}]}"#) == .resourceType("X", entry: 0))
    #expect(fault("no json") != nil)
  }

  @Test("50 MB are refused before they are read")
  func tooLarge() {
    let bytes = [UInt8](repeating: 0x20, count: 50_000_000)
    #expect(throws: FHIRFault.json(.tooLarge(bytes: 50_000_000, max: FHIRResource.fileBytesMax))) {
      try FHIRResource.read(bytes)
    }
  }
}

@Suite("Sealing")
struct SealingTests {
  private let patient = PersonKeys(signingSeed: Hash.sha256([1]).bytes, sealingSecret: Hash.sha256([2]).bytes)
  private let hospital = PersonKeys(signingSeed: Hash.sha256([3]).bytes, sealingSecret: Hash.sha256([4]).bytes)

  private func sealed(
    _ count: Int, custody: CustodyKey? = nil
  ) throws -> (anchor: RecordAnchor, sealed: SealedRecord) {
    let text = #"{"resourceType":"Observation","note":""# + String(repeating: "x", count: count) + #""}"#
    let resource = try #require(try FHIRResource.read(Array(text.utf8)).first)
    let draft = RecordDraft(
      resource, patient: .zero, hospital: MemberID(1), network: .zero,
      secrets: SealedRecord.Secrets { [UInt8](repeating: 5, count: $0) }, supersedes: nil)
    let readers = SealedRecord.Readers(
      patient: self.patient.sealingKey, hospital: self.hospital.sealingKey, custody: custody)
    return try #require(draft.seal(to: readers))
  }

  @Test(
    "Patient and hospital open a record, of any number of chunks, and nobody else", arguments: [0, 1, 65_000, 200_000])
  func readers(count: Int) throws {
    let (anchor, sealed) = try self.sealed(count)
    for (box, keys) in [(sealed.patientCopy, self.patient), (sealed.hospitalCopy, self.hospital)] {
      let key = try #require(SealedRecord.key(in: box, of: anchor.record, secret: keys.sealingSecret))
      #expect(try sealed.open(key: key, anchored: anchor).canonical.count > count)
    }
    #expect(SealedRecord.key(in: sealed.hospitalCopy, of: anchor.record, secret: self.patient.sealingSecret) == nil)
    #expect(SealedRecord.key(in: sealed.hospitalCopy, of: .zero, secret: self.hospital.sealingSecret) == nil)
  }

  @Test("⚑ What is offered to a vault is the offering hospital's own: nobody else shows what its identifier is made of")
  func origins() throws {
    let (anchor, sealed) = try self.sealed(0)
    let (origin, part) = (RecordOrigin(of: anchor), sealed.part(from: 0))
    let junk = RecordPart(
      record: part.record, count: part.count, start: part.start, chunks: part.chunks.map { $0.reversed() },
      boxes: part.boxes)
    func areOwn(_ parts: [RecordPart], _ origins: [RecordOrigin], by hospital: UInt32) -> Bool {
      RecordOrigin.areOwn(parts, of: origins, by: MemberID(hospital), network: .zero)
    }
    #expect(areOwn([part], [origin], by: 1) && areOwn([part, part], [origin, origin], by: 1))
    // Who was offered a copy knows all of it, and leaves nothing under its identifier elsewhere.
    #expect(!areOwn([junk], [origin], by: 4) && !areOwn([part], [origin], by: 4))
    let other = RecordOrigin(patient: Hash.sha256([4]), hashLock: origin.hashLock)
    #expect(!areOwn([junk], [other], by: 4) && !areOwn([part, junk], [origin, other], by: 1))
    #expect(!areOwn([part], [], by: 1) && !areOwn([part], [origin, origin], by: 1))
  }

  @Test("A vault proves each chunk of what was anchored, at its place alone; sizes about a chunk's end count right")
  func chunkProofs() async throws {
    let empty = Int(try self.sealed(0).anchor.sizeBytes)
    let chunk = SecretStream.chunkBytesMax
    let full = chunk - (empty - SecretStream.headerLengthBytes - SecretStream.overheadBytes)
    for count in [0, full - 1, full, full + 1, full + chunk, full + chunk + 1, 5 * chunk] {
      let (anchor, sealed) = try self.sealed(count)
      #expect(anchor.chunkCount == sealed.chunks.count, "\(count)")
      let vault = OneRecordVault(sealed: sealed)
      for index in sealed.chunks.indices {
        let proof = try #require(try await vault.proof(of: anchor, chunk: index))
        #expect(proof.isAuthentic(for: anchor))
        let other = ChunkProof(index: (index + 1) % sealed.chunks.count, chunk: proof.chunk, path: proof.path)
        #expect(!other.isAuthentic(for: anchor))
        let changed = ChunkProof(index: index, chunk: proof.chunk + [0], path: proof.path)
        #expect(!changed.isAuthentic(for: anchor))
      }
      let none = (
        try await vault.proof(of: anchor, chunk: sealed.chunks.count), try await vault.proof(of: anchor, chunk: -1)
      )
      #expect(none.0 == nil && none.1 == nil)
    }
    let (anchor, _) = try self.sealed(0)
    #expect(!ChunkProof(index: -1, chunk: [], path: []).isAuthentic(for: anchor))
  }

  @Test("R9: a changed, swapped, missing or added chunk is noticed")
  func tampered() throws {
    let (anchor, sealed) = try self.sealed(200_000)
    let key = try #require(
      SealedRecord.key(in: sealed.hospitalCopy, of: anchor.record, secret: self.hospital.sealingSecret))
    func fault(_ chunks: [[UInt8]]) -> RecordFault? {
      let changed = SealedRecord(record: sealed.record, chunks: chunks, capsule: [], hospitalCopy: [], patientCopy: [])
      // An anchor for the changed ciphertext, so that encryption alone must notice.
      let other = RecordAnchor(
        record: anchor.record, patient: anchor.patient, author: nil, category: anchor.category,
        hashLock: anchor.hashLock, address: changed.address, sizeBytes: changed.sizeBytes, capsule: .zero,
        patientCopy: .zero, supersedes: nil, authorSignature: nil)
      do throws(RecordFault) { _ = try changed.open(key: key, anchored: other) } catch { return error }
      return nil
    }
    #expect(fault(sealed.chunks) == nil)
    var flipped = sealed.chunks
    flipped[2][100] ^= 1
    #expect(fault(flipped) == .encryption)
    #expect(fault(Array(sealed.chunks.dropLast())) == .encryption)
    #expect(fault([sealed.chunks[0], sealed.chunks[2], sealed.chunks[1]] + sealed.chunks[3...]) == .encryption)
    #expect(fault(sealed.chunks + [sealed.chunks[1]]) == .encryption)
    #expect(throws: RecordFault.address) {
      try SealedRecord(record: sealed.record, chunks: flipped, capsule: [], hospitalCopy: [], patientCopy: []).open(
        key: key, anchored: anchor)
    }
  }

  @Test("A hash-lock binds to every byte and to its salt")
  func hashLock() {
    let bytes = Array(#"{"a":1}"#.utf8)
    let salt = [UInt8](repeating: 1, count: 32)
    let lock = HashLock.of(bytes, salt: salt)
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= 1
      #expect(HashLock.of(changed, salt: salt) != lock)
    }
    #expect(HashLock.of(bytes, salt: [UInt8](repeating: 2, count: 32)) != lock)
  }
}

@Suite("Recovery phrases")
struct PhraseTests {
  @Test("BIP-39's published 24-word vectors")
  func published() throws {
    let vectors = [
      (
        "0000000000000000000000000000000000000000000000000000000000000000",
        String(repeating: "abandon ", count: 23) + "art"
      ),
      (
        "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
        "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal "
          + "winner thank year wave sausage worth title"
      ),
      (
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        String(repeating: "zoo ", count: 23) + "vote"
      ),
    ]
    for (entropy, words) in vectors {
      let bytes = try #require(Hex.decode(entropy))
      #expect(RecoveryPhrase(entropy: bytes).words == words)
      #expect(try RecoveryPhrase(words: words.uppercased()).entropy == bytes)
    }
  }

  @Test("A wrong count, word or order is told apart")
  func faults() {
    func fault(_ words: String) -> PhraseFault? {
      do throws(PhraseFault) { _ = try RecoveryPhrase(words: words) } catch { return error }
      return nil
    }
    #expect(fault("abandon art") == .count(2))
    #expect(fault(String(repeating: "abandon ", count: 22) + "abandun art") == .word(23))
    #expect(fault(String(repeating: "abandon ", count: 24)) == .checksum)
  }

  @Test("Pseudonyms differ from hospital to hospital and from network to network")
  func pairwise() {
    let phrase = RecoveryPhrase(entropy: Hash.sha256([1]).bytes)
    let keys = [
      phrase.keys(network: Hash.sha256([1]), hospital: MemberID(1)),
      phrase.keys(network: Hash.sha256([1]), hospital: MemberID(2)),
      phrase.keys(network: Hash.sha256([2]), hospital: MemberID(1)),
    ]
    #expect(Set(keys.map(\.publicKey)).count == 3)
    #expect(Set(keys.map(\.sealingKey)).count == 3)
  }
}

/// A vault that keeps one record, with or without its leaf hashes.
struct OneRecordVault: Vault {
  let sealed: SealedRecord
  var kept: [UInt8]?
  var sizes: (used: Int, file: Int) { (0, 0) }
  func store(_ parts: [RecordPart]) {}
  func missing(of identifiers: [Digest]) -> [Digest] { identifiers.filter { $0 != self.sealed.record } }
  func records(after last: Digest?, countMax: Int) -> [Digest] { [self.sealed.record] }
  func head(of record: Digest) -> SealedHead? { record == self.sealed.record ? self.sealed.head : nil }
  func part(of record: Digest, from start: Int) -> RecordPart? {
    self.sealed.chunks.indices.contains(start) ? self.sealed.part(from: start) : nil
  }
  func leaves(of record: Digest) -> [UInt8]? { self.kept }
  func replace(_ boxes: RecordPart.Boxes, of record: Digest) {}
  func erase(_ identifier: Digest) {}
}
