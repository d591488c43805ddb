// Goal: nothing of what was erased can be read from the files, whatever the database left in its free pages; also where
// the process ended in between (RECORDS R7). Method: files searched byte by byte, keys compared before and after, and
// the states in which a process can end made by hand.
import FHIR
import Foundation
import HealthRecords
import Primitives
import Signing
import Testing

@testable import Storage

@Suite("Erasing for good")
struct ErasureTests {
  final class Folder {
    let path = NSTemporaryDirectory() + "consilium-\(UUID().uuidString)"
    deinit { try? FileManager.default.removeItem(atPath: self.path) }
  }

  private static func file(_ name: String, _ folder: Folder) throws -> Data {
    try Data(contentsOf: URL(filePath: "\(folder.path)/\(name)"))
  }

  /// How many of a file's keys are overwritten.
  private static func overwritten(_ folder: Folder) throws -> Int {
    let keys = Array(try self.file("keys", folder).dropFirst(32))
    return stride(from: 0, to: keys.count, by: 32).count { keys[$0..<$0 + 32].allSatisfy { $0 == 0 } }
  }

  @Test("A copy of a vault's rows with later keys is a vault: what was erased in between is not in it, and is cleared")
  func laterKeys() async throws {
    let (folder, copy) = (Folder(), Folder())
    let records = (0..<20).map { SealedRecordSample.make(UInt8($0)) }
    do {
      let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
      try await vault.store(records)
    }
    // Rows first, and keys when some of what they name were destroyed: as where others erase during a backup.
    try HotCopy.make(of: folder.path, to: copy.path, mapSizeMax: 1 << 30, mayLackKeys: true)
    do {
      let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
      for record in records.prefix(7) { try await vault.erase(record.record) }
    }
    try HotCopy.copy("\(folder.path)/keys", to: "\(copy.path)/keys")
    try HotCopy.check(copy.path, mapSizeMax: 1 << 30)
    let vault = try EmbeddedVault(path: copy.path, mapSizeMax: 1 << 30)
    for record in records.prefix(7) { #expect(try await vault.record(record.record) == nil) }
    for record in records.suffix(13) { #expect(try await vault.record(record.record) == record) }
    // The ledger says that they are erased, and nothing of them is left.
    for record in records.prefix(7) { try await vault.erase(record.record) }
    #expect(try await Set(vault.records(after: nil, countMax: 100)) == Set(records.suffix(13).map(\.record)))
    #expect(try await vault.missing(of: records.map(\.record)) == records.prefix(7).map(\.record))
  }

  @Test(
    "A vault's file never holds a record's ciphertext or boxes as they travel, and each record has a key of its own")
  func vaultFile() async throws {
    let folder = Folder()
    let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
    let records = (0..<20).map { SealedRecordSample.make(UInt8($0)) }
    try await vault.store(records)
    for record in records.prefix(10) {
      try await vault.replace(
        RecordPart.Boxes(
          capsule: SecureRandom.bytes(300), hospitalCopy: record.boxes.hospitalCopy,
          patientCopy: record.boxes.patientCopy), of: record.record)
    }
    #expect(try Self.overwritten(folder) == 0)
    for record in records.prefix(7) { try await vault.erase(record.record) }
    #expect(try Self.overwritten(folder) == 7)
    let file = try Self.file("data.mdb", folder)
    for record in records {
      for bytes in record.chunks + [record.boxes.capsule] where bytes.count >= 16 {
        #expect(file.range(of: Data(bytes)) == nil)
      }
    }
    for record in records.suffix(10) { #expect(try await vault.record(record.record) == record) }
    let again = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
    for record in records.suffix(10) { #expect(try await again.record(record.record) == record) }
    for record in records.prefix(7) { #expect(try await again.record(record.record) == nil) }
    // Erased and stored anew, under another key.
    try await again.store([records[0]])
    #expect(try await again.record(records[0].record) == records[0])
    #expect(try Self.overwritten(folder) == 7)
  }

  @Test("A deletion that ended after the key was overwritten is found again, and is finished")
  func vaultCrash() async throws {
    let folder = Folder()
    let record = SealedRecordSample.make(1)
    do {
      let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
      try await vault.store([record])
      try vault.keys.destroy([0])
    }
    let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
    #expect(try await vault.record(record.record) == nil)
    #expect(try await vault.head(of: record.record) == nil)
    #expect(try await vault.missing(of: [record.record]).isEmpty)
    #expect(try await vault.records(after: nil, countMax: 9) == [record.record])
    try await vault.erase(record.record)
    #expect(try await vault.missing(of: [record.record]) == [record.record])
    #expect(try await vault.records(after: nil, countMax: 9).isEmpty)
  }

  @Test("Where the file of keys is gone or older, nothing stored since gets a key of what was stored before")
  func vaultKeysLost() async throws {
    let folder = Folder()
    let records = (0..<4).map { SealedRecordSample.make(UInt8($0)) }
    do {
      let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
      try await vault.store(Array(records.prefix(3)))
      #expect(vault.lostKeyCount == 0)
    }
    let path = URL(filePath: folder.path + "/keys")
    let good = try Data(contentsOf: path)
    // Gone, emptied, with one key only, cut within a key.
    for left in [0, 32, 64, 70] {
      try good.prefix(left).write(to: path)
      let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
      #expect(vault.lostKeyCount > 1)
      // What it cannot open is as good as gone, and listed, so that it is brought back.
      #expect(try await vault.record(records[2].record) == nil)
      #expect(try await vault.records(after: nil, countMax: 9).count == 3)
      try await vault.store([records[3]])
      for old in records.prefix(3) { try await vault.erase(old.record) }
      #expect(try await vault.record(records[3].record) == records[3])
      // Brought back.
      try await vault.store(Array(records.prefix(3)))
      for record in records { #expect(try await vault.record(record.record) == record) }
      try await vault.erase(records[3].record)
      let again = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
      #expect(again.lostKeyCount == 0)
      for record in records.prefix(3) { #expect(try await again.record(record.record) == record) }
    }
  }

  @Test("A copy whose key is gone is stored again under another")
  func keyLostThenStored() async throws {
    let folder = Folder()
    let record = SealedRecordSample.make(1)
    do { try await EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30).store([record]) }
    try FileManager.default.removeItem(atPath: folder.path + "/keys")
    let vault = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
    #expect(try await vault.head(of: record.record) == nil)
    try await vault.store([record])
    #expect(try await vault.record(record.record) == record)
  }

  @Test("Resources whose keys are gone are refused when the store is opened, and nothing is written over them")
  func resourcesKeysLost() throws {
    let folder = Folder()
    do {
      let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 30, key: Self.key)
      try store.write((0..<3).map { Self.resource("r\($0)", 1, nil) })
    }
    let path = URL(filePath: folder.path + "/keys")
    let good = try Data(contentsOf: path)
    for left in [0, 32, 64, 96] {
      try good.prefix(left).write(to: path)
      #expect(throws: StorageFailure.self) {
        _ = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 30, key: Self.key)
      }
      #expect(try Data(contentsOf: path) == good.prefix(left))
    }
    try good.write(to: path)
    let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 30, key: Self.key)
    #expect(try store.version(1, type: "Observation", id: "r2") == Self.resource("r2", 1, nil))
  }

  private static let key = Digest(words: (1, 2, 3, 4))

  private static func resource(_ id: String, _ version: UInt64, _ record: Digest?) -> StoredResource {
    StoredResource(
      type: "Observation", id: id, version: version, ordinal: 1, updated: Timestamp(milliseconds: 5),
      body: Array("{\"id\":\"\(id)\",\"version\":\(version)}".utf8), record: record)
  }

  private static func remains(_ version: StoredResource) -> StoredResource {
    var out = StoredResource(
      type: version.type, id: version.id, version: version.version, ordinal: version.ordinal, updated: version.updated,
      body: [], record: version.record)
    out.erased = StoredResource.Erased(
      right: .order, time: Timestamp(milliseconds: 9), account: nil, identifiers: [Digest(words: (7, 7, 7, 7))])
    return out
  }

  @Test("Erased versions of resources leave what remains of them, and their keys are overwritten")
  func resources() throws {
    let folder = Folder()
    let (one, two) = (Digest(words: (9, 0, 0, 1)), Digest(words: (9, 0, 0, 2)))
    do {
      let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 30, key: Self.key)
      try store.write([Self.resource("a", 1, nil), Self.resource("b", 1, nil)])
      try store.write([Self.resource("a", 1, one), Self.resource("b", 1, two)])
      #expect(try store.records().sorted() == [one, two].sorted())
      #expect(try store.erase(Digest(words: (0, 0, 0, 5)), remains: Self.remains).isEmpty)
      #expect(try Self.overwritten(folder) == 0)
      #expect(try store.erase(one, remains: Self.remains).map(\.name) == ["Observation/a"])
      #expect(try Self.overwritten(folder) == 1)
      #expect(try store.erase(one, remains: Self.remains).isEmpty)
    }
    let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 30, key: Self.key)
    #expect(try store.versions(type: "Observation", id: "a") == [Self.remains(Self.resource("a", 1, one))])
    #expect(try store.version(1, type: "Observation", id: "b") == Self.resource("b", 1, two))
    #expect(try store.records() == [two])
    var latest: [StoredResource] = []
    try store.latest { latest.append($0) }
    #expect(latest.count == 2)
  }

  @Test("Keys that were to be overwritten when the process ended are overwritten at the next start")
  func resourcesCrash() throws {
    let folder = Folder()
    do {
      let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 30, key: Self.key)
      try store.write([Self.resource("a", 1, nil)])
      let dying = store.dying
      try store.account.change { transaction throws(StorageFailure) in
        try transaction.put(dying, Key.number(900), [1])
      }
      #expect(try Self.overwritten(folder) == 0)
    }
    let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 30, key: Self.key)
    #expect(try Self.overwritten(folder) == 1)
    #expect(try store.version(1, type: "Observation", id: "a") != nil)
  }

  @Test("Keys that are older than what was stored with them, or another store's, are refused, never trapped on")
  func foreignKeys() throws {
    let folder = Folder()
    do {
      let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 30, key: Self.key)
      try store.write([Self.resource("a", 1, nil)])
    }
    let path = URL(filePath: folder.path + "/keys")
    let good = try Data(contentsOf: path)
    for bad in [Data(), good.prefix(31), good.prefix(20), good.prefix(40), Data(repeating: 65, count: 100_000)] {
      try bad.write(to: path)
      #expect(throws: StorageFailure.self) {
        let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 30, key: Self.key)
        _ = try store.version(1, type: "Observation", id: "a")
      }
    }
    try good.write(to: path)
    let store = try EncryptedResources(path: folder.path, mapSizeMax: 1 << 30, key: Self.key)
    #expect(try store.version(1, type: "Observation", id: "a") == Self.resource("a", 1, nil))
  }

  @Test("A record is erased elsewhere before it is here, and not here where that failed")
  func linked() async throws {
    let folder = Folder()
    let inner = try EmbeddedVault(path: folder.path, mapSizeMax: 1 << 30)
    let vault = LinkedVault(inner)
    let record = SealedRecordSample.make(3)
    try await vault.store([record])
    let early = Task { try await vault.erase(record.record) }
    let failure = StorageFailure.system(action: "erasing", reason: "no disk")
    vault.link { asked in
      guard asked == record.record, try await !inner.missing(of: [asked]).isEmpty else { throw failure }
    }
    await #expect(throws: VaultFailure.self) { try await early.value }
    #expect(try await vault.record(record.record) == record)
  }
}
