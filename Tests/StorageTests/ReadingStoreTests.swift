// Goal: no reading that was noted is lost, and what is the same within a quarter of an hour is one line. Method: the
// store opened anew; many at once; keys that are wrong.
import FHIR
import Foundation
import Primitives
import Signing
import Storage
import Testing

@Suite("The log of readings")
struct ReadingStoreTests {
  private static let key = Digest(words: (1, 2, 3, 4))
  private static let patient = Digest(words: (5, 5, 5, 5))

  private static func reading(
    _ minute: UInt64, reader: UInt64 = 1, client: String? = nil, _ interaction: LocalReading.Interaction = .read,
    types: [String] = ["Observation"], patient: Digest = patient
  ) -> LocalReading {
    LocalReading(
      patient: patient, reader: reader == 0 ? nil : Digest(words: (reader, 0, 0, 1)), client: client,
      interaction: interaction, types: types, request: "Observation/\(minute)",
      time: Timestamp(milliseconds: 1_749_999_600_000 + minute * 60_000))
  }

  @Test("Lines are on the disk when they are noted; the same within a quarter of an hour is one, with all types")
  func kept() async throws {
    let folder = NSTemporaryDirectory() + "consilium-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    do {
      let store = try ReadingStore(path: folder, mapSizeMax: 1 << 28, key: Self.key)
      try await store.note([Self.reading(0), Self.reading(0, patient: Digest(words: (6, 5, 5, 5)))])
      try await store.note([Self.reading(3)])
      try await store.note([Self.reading(4, types: ["Condition"])])
      try await store.note([Self.reading(5, reader: 0), Self.reading(6, client: "app"), Self.reading(7, .everything)])
      try await store.note([Self.reading(200)])
    }
    for _ in 0..<2 {
      let store = try ReadingStore(path: folder, mapSizeMax: 1 << 28, key: Self.key)
      let lines = try await store.readings(of: Self.patient, countMax: 100)
      #expect(lines.map(\.request) == [200, 7, 6, 5, 0].map { "Observation/\($0)" })
      #expect(lines.last?.types == ["Condition", "Observation"])
      #expect(lines[3].reader == nil && lines[2].client == "app" && lines[1].interaction == .everything)
      #expect(try await store.readings(of: Self.patient, countMax: 1).map(\.request) == ["Observation/200"])
      #expect(try await store.readings(of: Digest(words: (7, 7, 7, 7)), countMax: 9).isEmpty)
      try await store.note([Self.reading(2)])
    }
    let file = try Data(contentsOf: URL(filePath: folder + "/data.mdb"))
    #expect(file.range(of: Data("Observation".utf8)) == nil)
    #expect(throws: StorageFailure.otherKey(path: folder)) {
      try ReadingStore(path: folder, mapSizeMax: 1 << 28, key: Digest(words: (8, 8, 8, 8)))
    }
  }

  @Test("Many at once are all kept")
  func many() async throws {
    let folder = NSTemporaryDirectory() + "consilium-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try ReadingStore(path: folder, mapSizeMax: 1 << 28, key: Self.key)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for reader in 1...300 {
        group.addTask { try await store.note([Self.reading(UInt64(reader % 40), reader: UInt64(reader))]) }
      }
      try await group.waitForAll()
    }
    #expect(try await store.readings(of: Self.patient, countMax: 1000).count == 300)
  }
}
