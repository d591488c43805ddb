import FHIR
import Foundation
import Primitives
import Signing
import Storage
import Testing

/// What the FHIR interface keeps. Goal: notes on the ledger are there after a stop, whole, and tell nobody anything.
/// Method: real LMDB files in a temporary folder.
@Suite("Resources")
struct ResourcesTests {
  @Test("Versions and notes are written together, read back as they were, and cannot be read without the key")
  func notes() throws {
    let folder = Folder()
    let key = Hash.sha256([7])
    let goal = AnchorNote.Anchored(
      record: Hash.sha256([1]), account: Hash.sha256([2]), patient: "p", version: 3, isWithdrawal: true)
    var note = AnchorNote(name: "Observation/x")
    note.anchored = goal
    note.draft = AnchorNote.Draft(goal: goal, bytes: Array(repeating: 9, count: 100_000))
    note.refused = AnchorNote.Refused(account: Hash.sha256([3]), version: 2, reason: "it is not taken")
    let resource = StoredResource(
      type: "Observation", id: "x", version: 3, ordinal: 0, updated: Timestamp(milliseconds: 1), body: [1, 2],
      record: nil)
    do {
      let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 26, key: key)
      try store.write([resource], notes: [note, AnchorNote(name: "Observation/y")])
      var later = note
      later.draft = nil
      try store.write([], notes: [later])
      #expect(try store.note(of: "Observation/x") == later)
      try store.write([], notes: [note])
    }
    let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 26, key: key)
    var found: [String: AnchorNote] = [:]
    try store.notes { found[$0.name] = $0 }
    #expect(found == ["Observation/x": note, "Observation/y": AnchorNote(name: "Observation/y")])
    #expect(try store.version(3, type: "Observation", id: "x") == resource)
    #expect(try store.note(of: "Observation/z") == nil)
    let data = try Data(contentsOf: URL(filePath: folder.path + "/data.mdb"))
    #expect(data.range(of: Data("it is not taken".utf8)) == nil)
  }

  @Test("The addresses of before are kept sealed beside the resources, and change no mark")
  func bases() throws {
    let folder = Folder()
    for bases in [[], ["https://new.example/fhir", "http://127.0.0.1:8101/fhir"], ["https://newest.example/fhir"]] {
      let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 26, key: Hash.sha256([7]))
      if !bases.isEmpty { try store.keep(bases: bases) }
      #expect(try store.bases() == bases)
      let again = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 26, key: Hash.sha256([7]))
      #expect(try again.bases() == bases)
    }
    let data = try Data(contentsOf: URL(filePath: folder.path + "/data.mdb"))
    #expect(data.range(of: Data("newest.example".utf8)) == nil)
  }

  @Test(
    "What a note says of its record is kept: that it is withdrawn, links its account, is sealed as sensitive",
    arguments: [false, true], [nil, false, true])
  func marks(isSet: Bool, isSensitive: Bool?) throws {
    let folder = Folder()
    let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 26, key: Hash.sha256([7]))
    var note = AnchorNote(name: "Binary/x")
    for isWithdrawal in [false, true] {
      note.anchored = AnchorNote.Anchored(
        record: Hash.sha256([1]), account: Hash.sha256([2]), patient: "p", version: 3, isWithdrawal: isWithdrawal,
        isLinked: isSet, isSensitive: isSensitive)
      try store.write([], notes: [note])
      #expect(try store.note(of: "Binary/x") == note)
    }
  }

  @Test("A draft of what is erased is not kept")
  func erasedDraft() throws {
    let folder = Folder()
    let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 26, key: Hash.sha256([7]))
    let record = Hash.sha256([1])
    func version(_ number: UInt64, _ record: Digest?) -> StoredResource {
      StoredResource(
        type: "Observation", id: "x", version: number, ordinal: 0, updated: Timestamp(milliseconds: 1), body: [1],
        record: record)
    }
    func goal(_ record: Digest, _ version: UInt64) -> AnchorNote.Anchored {
      AnchorNote.Anchored(
        record: record, account: Hash.sha256([2]), patient: "p", version: version, isWithdrawal: false)
    }
    var note = AnchorNote(name: "Observation/x")
    note.anchored = goal(record, 1)
    note.draft = AnchorNote.Draft(goal: goal(Hash.sha256([4]), 2), bytes: [5, 6, 7])
    try store.write([version(1, record), version(2, nil)], notes: [note])
    let gone = try store.erase(record) { old in
      StoredResource(
        type: old.type, id: old.id, version: old.version, ordinal: old.ordinal, updated: old.updated, body: [],
        record: record)
    }
    #expect(gone.map(\.version) == [1, 2])
    note.draft = nil
    #expect(try store.note(of: "Observation/x") == note)
  }
}
