// Goal: a store that only this hospital has is never taken for what was written into it where anything of that is
// missing, and a power failure alone is no reason to refuse it. Method: real files in a temporary folder, damaged as
// disks, backups and other programs do.
import FHIR
import Foundation
import Primitives
import Signing
import Testing

@testable import Storage

@Suite("What is lost of a hospital's own stores")
struct StoreMarkTests {
  private static let key = Hash.sha256([1])

  private static func resource(_ id: String, _ version: UInt64 = 1) -> StoredResource {
    StoredResource(
      type: "AllergyIntolerance", id: id, version: version, ordinal: 1, updated: Timestamp(milliseconds: 1),
      body: [1, 2, 3], record: nil)
  }

  private static func reading(_ minute: UInt64) -> LocalReading {
    LocalReading(
      patient: Hash.sha256([5]), reader: Hash.sha256([6]), client: nil, interaction: .read,
      types: ["Observation"], request: "Observation/1", time: Timestamp(milliseconds: minute * 60_000))
  }

  /// A store's folder and the file of its mark.
  private final class Place {
    let root = NSTemporaryDirectory() + "consilium-\(UUID().uuidString)"
    var fhir: String { self.root + "/fhir" }
    var readings: String { self.root + "/readings" }
    var mark: String { self.root + "/node.key.fhir" }
    deinit { try? FileManager.default.removeItem(atPath: self.root) }

    init() throws { try FileManager.default.createDirectory(atPath: self.root, withIntermediateDirectories: true) }

    func open(isLossAccepted: Bool = false) throws -> EncryptedResources {
      try EncryptedResources(
        path: self.fhir, mapSizeMax: 1 << 26, key: StoreMarkTests.key, mark: try StoreMark(path: self.mark),
        isLossAccepted: isLossAccepted)
    }

    func openReadings() throws -> ReadingStore {
      try ReadingStore(
        path: self.readings, mapSizeMax: 1 << 26, key: StoreMarkTests.key, mark: try StoreMark(path: self.mark))
    }

    func copy(_ from: String, _ to: String) throws {
      if FileManager.default.fileExists(atPath: to) { try FileManager.default.removeItem(atPath: to) }
      try FileManager.default.copyItem(atPath: from, toPath: to)
    }

    func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: path) }

    /// Why it cannot be opened.
    func failure() -> StorageFailure? {
      do { _ = try self.open() } catch { return error as? StorageFailure }
      return nil
    }

    var isLost: Bool {
      guard case .lost? = self.failure() else { return false }
      return true
    }

    /// Does something to a table as another program would.
    func change(
      _ name: String, _ body: (borrowing WriteTransaction, Environment.Table, Snapshot) throws -> Void
    ) throws {
      let environment = try Environment(path: self.fhir, mapSizeMax: 1 << 26)
      let table = try environment.open([name])[0]
      let snapshot = try environment.snapshot()
      try environment.write { transaction throws(StorageFailure) in
        do { try body(transaction, table, snapshot) } catch {
          throw error as? StorageFailure ?? .system(action: "changing", reason: "\(error)")
        }
      }
    }
  }

  @Test("A folder that is gone, emptied, older or another's is told by the mark; the right one opens again")
  func lost() throws {
    let place = try Place()
    do {
      let store = try place.open()
      #expect(store.opening == .made)
      try store.write([Self.resource("a")], notes: [])
    }
    #expect(try place.open().opening == .known)
    let (before, good) = (place.root + "/before", place.root + "/good")
    try place.copy(place.fhir, before)
    try place.open().write([Self.resource("b")], notes: [])
    try place.copy(place.fhir, good)

    try place.remove(place.fhir)
    #expect(place.isLost)
    #expect(!FileManager.default.fileExists(atPath: place.fhir + "/data.mdb"))
    try place.copy(good, place.fhir)
    try place.remove(place.fhir + "/data.mdb")
    #expect(place.isLost)
    try Data().write(to: URL(filePath: place.fhir + "/data.mdb"))
    #expect(place.isLost)
    try place.copy(before, place.fhir)
    #expect(place.isLost)
    try place.remove(place.fhir)
    _ = try EncryptedResources(path: place.fhir, mapSizeMax: 1 << 26, key: Self.key)
    #expect(place.isLost)
    try place.copy(good, place.fhir)
    let store = try place.open()
    #expect(try store.version(1, type: "AllergyIntolerance", id: "b") == Self.resource("b"))
  }

  @Test("A store without its mark is refused like an older one, and goes on with a new one where that is accepted")
  func unmarked() throws {
    let place = try Place()
    try place.open().write([Self.resource("a")], notes: [])
    try place.remove(place.mark)
    #expect(place.isLost)
    #expect(!FileManager.default.fileExists(atPath: place.mark))
    #expect(try place.open(isLossAccepted: true).opening == .accepted(writtenCount: nil, rowCount: 1))
    #expect(try place.open().opening == .known)
  }

  @Test("⚑ A store and a mark of one older age are told by what the node kept")
  func pair() throws {
    for isUsed in [false, true] {
      let place = try Place()
      let (older, olderMark) = (place.root + "/older", place.root + "/older.mark")
      var left: StoreAge?
      func begin() throws {
        let age = try place.open().begin(after: left)
        left = StoreAge(age.text)
        #expect(left == age)
      }
      try begin()
      if isUsed { try place.open().write([Self.resource("a")], notes: []) }
      try place.copy(place.fhir, older)
      try place.copy(place.mark, olderMark)
      // A start that ends before what it returns is kept is none to the next.
      _ = try place.open().begin(after: left)
      try begin()
      try place.open().write([Self.resource("b")], notes: [])
      try begin()
      #expect(try place.open().opening == .known)
      try place.copy(older, place.fhir)
      try place.copy(olderMark, place.mark)
      // The mark tells nothing.
      #expect(try place.open().opening == .known)
      guard case .lost(_, let reason)? = Self.refusal({ try begin() }) else {
        Issue.record("an older pair is taken")
        return
      }
      #expect(reason.contains("an older copy") && reason.contains("its mark is as old"), "\(reason)")
      // What its keeper goes on with is another store than that.
      #expect(try place.open(isLossAccepted: true).opening != .known)
      guard case .lost? = Self.refusal({ try begin() }) else {
        Issue.record("another store is taken")
        return
      }
      left = nil
      try begin()
      try begin()
    }
  }

  private static func refusal(_ body: () throws -> Void) -> StorageFailure? {
    do { try body() } catch { return error as? StorageFailure }
    return nil
  }

  @Test("Into what a node only ever began with nothing was written: its folder is lost by nobody")
  func begun() throws {
    let place = try Place()
    let first = try place.open().begin(after: nil)
    try place.remove(place.fhir)
    #expect(try place.open().opening == .made)
    let second = try place.open().begin(after: first)
    #expect(second != first)
    try place.open().write([Self.resource("a")], notes: [])
    try place.remove(place.fhir)
    #expect(place.isLost)
  }

  @Test("Keys without the values that they sealed are no new store, also where nothing else is remembered")
  func keysAlone() throws {
    let place = try Place()
    try place.open().write([Self.resource("a")], notes: [])
    try place.remove(place.fhir + "/data.mdb")
    try place.remove(place.mark)
    #expect(place.isLost)
  }

  @Test("A mark that lags behind is followed, one that was torn has its other half, and one that is junk is refused")
  func mark() throws {
    let place = try Place()
    try place.open().write([Self.resource("a")], notes: [])
    let old = try Data(contentsOf: URL(filePath: place.mark))
    try place.open().write([Self.resource("b")], notes: [])
    let latest = try Data(contentsOf: URL(filePath: place.mark))
    #expect(old != latest && old.count == latest.count)
    // The power failed after the write and before the mark.
    try old.write(to: URL(filePath: place.mark))
    #expect(try place.open().opening == .known)
    let backup = place.root + "/good"
    try place.copy(place.fhir, backup)
    // It failed while the mark was written.
    for half in [0, 4096] {
      var torn = try Data(contentsOf: URL(filePath: place.mark))
      torn.replaceSubrange(half..<(half + 60), with: Data(repeating: 7, count: 60))
      try torn.write(to: URL(filePath: place.mark))
      #expect(try place.open().opening == .known)
      try place.open().write([Self.resource("c\(half)")], notes: [])
    }
    try place.copy(backup, place.fhir)
    #expect(place.isLost)
    try Data(repeating: 7, count: 8192).write(to: URL(filePath: place.mark))
    #expect(place.isLost)
    let accepted = try place.open(isLossAccepted: true)
    #expect(accepted.opening == .accepted(writtenCount: nil, rowCount: 2))
  }

  @Test("Rows that another program took out or put back are told by the sums, in each table")
  func rows() throws {
    let place = try Place()
    let note = AnchorNote(name: "AllergyIntolerance/a")
    do {
      let store = try place.open()
      var anchored = Self.resource("d")
      anchored.record = Hash.sha256([9])
      try store.write([Self.resource("a"), Self.resource("b"), anchored], notes: [note])
    }
    let good = place.root + "/good"
    try place.copy(place.fhir, good)
    for table in ["resources", "anchors", "anchored"] {
      try place.change(table) { transaction, table, snapshot in
        try transaction.remove(table, try #require(snapshot.key(table, atOrAfter: [])))
      }
      guard case .damaged(_, let reason)? = place.failure() else {
        Issue.record("a row of \(table) is missed by nobody")
        return
      }
      #expect(reason.contains("the table \(table) has") && reason.contains("were written"), "\(reason)")
      try place.copy(good, place.fhir)
    }
    // An earlier value of the same place opens, with the same key.
    var first: (key: [UInt8], value: [UInt8])?
    try place.change("resources") { _, table, snapshot in
      snapshot.scan(table, from: []) { key, value in
        first = (key, value)
        return false
      }
    }
    try place.open().write([Self.resource("a"), Self.resource("b"), Self.resource("d")], notes: [])
    let old = try #require(first)
    try place.change("resources") { transaction, table, _ in try transaction.put(table, old.key, old.value) }
    guard case .damaged(_, let reason)? = place.failure() else {
      Issue.record("an earlier value is taken for the last one")
      return
    }
    #expect(reason == "the table resources has other rows than were written")
  }

  @Test("The EHR's store and the readings in one another's places are told")
  func swapped() throws {
    let place = try Place()
    let readingsMark = place.root + "/node.key.readings"
    try place.open().write([Self.resource("a")], notes: [])
    _ = try ReadingStore(
      path: place.readings, mapSizeMax: 1 << 26, key: Self.key, mark: try StoreMark(path: readingsMark))
    let (one, two) = (place.fhir + "/data.mdb", place.readings + "/data.mdb")
    try place.copy(one, place.root + "/x")
    try place.copy(two, one)
    try place.copy(place.root + "/x", two)
    #expect(place.failure() != nil)
    #expect(throws: StorageFailure.self) {
      try ReadingStore(
        path: place.readings, mapSizeMax: 1 << 26, key: Self.key, mark: try StoreMark(path: readingsMark))
    }
  }

  @Test("Readings that are gone or fewer are told too")
  func readings() async throws {
    let place = try Place()
    do {
      let store = try place.openReadings()
      try await store.note([Self.reading(1), Self.reading(100)])
    }
    let before = place.root + "/before"
    try place.copy(place.readings, before)
    try await place.openReadings().note([Self.reading(200)])
    try place.copy(before, place.readings)
    #expect(throws: StorageFailure.self) { try place.openReadings() }
    try place.remove(place.readings)
    #expect(throws: StorageFailure.self) { try place.openReadings() }
  }

  @Test("A store of the format before gets sums and a mark, once, and keeps what it holds")
  func older() throws {
    let place = try Place()
    try place.open().write([Self.resource("a")], notes: [])
    try place.remove(place.mark)
    try place.change("meta") { transaction, table, _ in
      try transaction.put(table, Key.format, Key.number(1))
      try transaction.remove(table, Array("account".utf8))
    }
    do {
      let store = try place.open()
      #expect(store.opening == .marked(rowCount: 1))
      #expect(try store.version(1, type: "AllergyIntolerance", id: "a") == Self.resource("a"))
      try store.write([Self.resource("b")], notes: [])
    }
    #expect(try place.open().opening == .known)
    // One of this format without its sums is no such store.
    try place.change("meta") { transaction, table, _ in try transaction.remove(table, Array("account".utf8)) }
    #expect(place.failure() != nil)
  }

  @Test("A start that ended between mark and store begins once more")
  func interrupted() throws {
    let place = try Place()
    _ = try place.open()
    try place.remove(place.fhir)
    #expect(try place.open().opening == .made)
    try place.open().write([Self.resource("a")], notes: [])
    #expect(try place.open().opening == .known)
  }

  @Test("A value that does not open is named, and is taken out with its resource where its loss is accepted")
  func rotten() throws {
    let place = try Place()
    let note = AnchorNote(name: "AllergyIntolerance/a")
    try place.open().write([Self.resource("a"), Self.resource("a", 2), Self.resource("b")], notes: [note])
    // The second version's own key: the second of the file.
    let path = URL(filePath: place.fhir + "/keys")
    var keys = try Data(contentsOf: path)
    keys[32 + 32] ^= 1
    try keys.write(to: path)
    do {
      let store = try place.open()
      var reason = ""
      do { try store.latest { _ in } } catch { reason = "\(error)" }
      #expect(reason.contains("AllergyIntolerance/a: a resource was not sealed"), "\(reason)")
    }
    do {
      let store = try place.open(isLossAccepted: true)
      #expect(try store.takeOutDamaged() == ["AllergyIntolerance/a"])
    }
    let store = try place.open()
    var names: [String] = []
    try store.latest { names.append($0.name) }
    try store.notes { names.append($0.name) }
    #expect(names == ["AllergyIntolerance/b"])
    #expect(try store.takeOutDamaged().isEmpty)
  }
}
