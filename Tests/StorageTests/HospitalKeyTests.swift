// Goal: what only this hospital has goes on under new keys of its node, is never taken for damaged where the key is
// another, and a full disk is told as one. Method: real files in a temporary folder, opened under either key.
import FHIR
import Foundation
import Primitives
import Signing
import Testing

@testable import Storage

@Suite("Keys of a hospital's own stores, and room on the disk")
struct HospitalKeyTests {
  private static let (old, new, third) = (Hash.sha256([1]), Hash.sha256([2]), Hash.sha256([3]))
  private static let patient = Hash.sha256([4])

  private static func resource(_ id: String) -> StoredResource {
    StoredResource(
      type: "Observation", id: id, version: 1, ordinal: 0, updated: Timestamp(milliseconds: 1), body: [1, 2, 3],
      record: nil)
  }

  private static func resources(_ path: String, _ key: Digest) throws(StorageFailure) -> EncryptedResources {
    try EncryptedResources(path: path, mapSizeMax: 1 << 26, key: key)
  }

  private static func readings(_ path: String, _ key: Digest) throws(StorageFailure) -> ReadingStore {
    try ReadingStore(path: path, mapSizeMax: 1 << 26, key: key)
  }

  private static func handOver(_ path: String, from old: Digest, to new: Digest) throws(StorageFailure) -> Bool {
    try HospitalKey.handOver(path, from: old, to: new) { (key: Digest) throws(StorageFailure) in
      _ = try self.resources(path, key)
    }
  }

  @Test(
    "An EHR's store goes on under new keys, again and again, with what the first ones wrote; the first still opens it")
  func resourcesGoOn() throws {
    let path = Folder().path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Self.resources(path, Self.old).write([Self.resource("a")], notes: [])
    #expect(throws: StorageFailure.otherKey(path: path)) { try Self.resources(path, Self.new) }
    #expect(try Self.handOver(path, from: Self.old, to: Self.new))
    #expect(try !Self.handOver(path, from: Self.old, to: Self.new))
    do {
      let store = try Self.resources(path, Self.new)
      #expect(try store.version(1, type: "Observation", id: "a") == Self.resource("a"))
      try store.write([Self.resource("b")], notes: [])
    }
    #expect(throws: StorageFailure.otherKey(path: path)) { try Self.resources(path, Self.third) }
    #expect(try Self.handOver(path, from: Self.new, to: Self.third))
    let store = try Self.resources(path, Self.third)
    #expect(try store.version(1, type: "Observation", id: "a") == Self.resource("a"))
    #expect(try store.version(1, type: "Observation", id: "b") == Self.resource("b"))
    #expect(throws: StorageFailure.otherKey(path: path)) { try Self.resources(path, Self.new) }
  }

  @Test("A key that never sealed it changes nothing; a file that an interruption left behind is no obstacle")
  func nothingLost() throws {
    let path = Folder().path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Self.resources(path, Self.old).write([Self.resource("a")], notes: [])
    #expect(throws: StorageFailure.otherKey(path: path)) { try Self.handOver(path, from: Self.third, to: Self.new) }
    #expect(try Self.resources(path, Self.old).version(1, type: "Observation", id: "a") == Self.resource("a"))
    // Interrupted before the file had its name.
    try Data([1, 2, 3]).write(to: URL(filePath: "\(path)/\(HospitalKey.fileName).new"))
    #expect(try Self.resources(path, Self.old).version(1, type: "Observation", id: "a") == Self.resource("a"))
    #expect(try Self.handOver(path, from: Self.old, to: Self.new))
    #expect(try Self.resources(path, Self.new).version(1, type: "Observation", id: "a") == Self.resource("a"))
    // A store of before its key was checked has no note of it: a row tells.
    let bad = Data(try Data(contentsOf: URL(filePath: "\(path)/\(HospitalKey.fileName)")).reversed())
    try bad.write(to: URL(filePath: "\(path)/\(HospitalKey.fileName)"))
    #expect(throws: StorageFailure.otherKey(path: path)) { try Self.resources(path, Self.new) }
  }

  @Test(
    "Readings of another key are refused when they are opened, and go on once handed over; empty ones are anybody's")
  func readingsGoOn() async throws {
    let path = Folder().path
    defer { try? FileManager.default.removeItem(atPath: path) }
    _ = try Self.readings(path, Self.third)
    let line = LocalReading(
      patient: Self.patient, reader: nil, client: nil, interaction: .everything, types: ["Condition"],
      request: "Condition", time: Timestamp(milliseconds: 1_750_000_000_000))
    try await Self.readings(path, Self.old).note([line])
    #expect(throws: StorageFailure.otherKey(path: path)) { try Self.readings(path, Self.new) }
    let isTaken = try HospitalKey.handOver(path, from: Self.old, to: Self.new) {
      (key: Digest) throws(StorageFailure) in _ = try Self.readings(path, key)
    }
    #expect(isTaken)
    let page = try await Self.readings(path, Self.new).readings(of: Self.patient, ReadingQuestion(countMax: 9))
    #expect(page.lines == [line])
  }

  @Test("A write that ended early is a full disk where nothing is left, and a broken one where there is room")
  func room() {
    for code in [ENOSPC, EDQUOT, EFBIG] { #expect(DiskRoom.isGone(code, freeBytes: 1 << 40)) }
    #expect(DiskRoom.isGone(EIO, freeBytes: 0))
    #expect(DiskRoom.isGone(EIO, freeBytes: DiskRoom.freeBytesMin - 1))
    #expect(!DiskRoom.isGone(EIO, freeBytes: DiskRoom.freeBytesMin))
    #expect(!DiskRoom.isGone(EIO, freeBytes: nil))
    #expect(!DiskRoom.isGone(EACCES, freeBytes: 0))
    let full = StorageFailure.full(path: "/data", reason: "the disk is full")
    #expect("\(full)".contains("map_size_max_gib") && "\(full)".contains("free disk space"))
    #expect(DiskRoom.freeBytes(for: NSTemporaryDirectory() + "nothing") != nil)
  }
  @Test("A store without room is told while that lasts: from the first refused write to the next that is taken")
  func withoutRoom() {
    let path = "/a/store/\(UUID().uuidString)"
    StoreRoom.wrote(to: path, .full(path: path, reason: "the map is full"))
    #expect(StoreRoom.full[path] == "the map is full")
    // Another failure tells nothing of the room.
    StoreRoom.wrote(to: path, .system(action: "writing", reason: "the disk fails"))
    #expect(StoreRoom.full[path] == "the map is full")
    StoreRoom.wrote(to: path, nil)
    #expect(StoreRoom.full[path] == nil)
    StoreRoom.wrote(to: path, .system(action: "writing", reason: "the disk fails"))
    #expect(StoreRoom.full[path] == nil)
  }
}
