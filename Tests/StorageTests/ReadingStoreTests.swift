// Goal: no reading that was noted is lost, and what is the same within a quarter of an hour is one line. Method: the
// store opened anew; many at once; keys that are wrong.
import FHIR
import Foundation
import Primitives
import Signing
@testable import Storage
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
      let lines = try await store.readings(of: Self.patient, ReadingQuestion(countMax: 100)).lines
      #expect(lines.map(\.request) == [200, 7, 6, 5, 0].map { "Observation/\($0)" })
      #expect(lines.last?.types == ["Condition", "Observation"])
      #expect(lines[3].reader == nil && lines[2].client == "app" && lines[1].interaction == .everything)
      #expect(try await Self.first(of: store).map(\.request) == ["Observation/200"])
      #expect(try await store.readings(of: Digest(words: (7, 7, 7, 7)), ReadingQuestion(countMax: 9)).lines.isEmpty)
      try await store.note([Self.reading(2)])
    }
    let file = try Data(contentsOf: URL(filePath: folder + "/data.mdb"))
    #expect(file.range(of: Data("Observation".utf8)) == nil)
    #expect(throws: StorageFailure.otherKey(path: folder)) {
      try ReadingStore(path: folder, mapSizeMax: 1 << 28, key: Digest(words: (8, 8, 8, 8)))
    }
  }

  private static func first(of store: ReadingStore) async throws -> [LocalReading] {
    try await store.readings(of: self.patient, ReadingQuestion(countMax: 1)).lines
  }

  /// All pages that answer a question.
  private static func all(_ question: ReadingQuestion, of store: ReadingStore) async throws -> [LocalReading] {
    var (question, lines): (ReadingQuestion, [LocalReading]) = (question, [])
    repeat {
      let page = try await store.readings(of: self.patient, question)
      #expect(page.lines.count <= question.countMax)
      lines += page.lines
      question.after = page.next
    } while question.after != nil
    return lines
  }

  @Test("⚑ A line behind ten thousand newer ones is found: page by page, by its reader, by its time")
  func pages() async throws {
    let folder = NSTemporaryDirectory() + "consilium-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try ReadingStore(path: folder, mapSizeMax: 1 << 28, key: Self.key)
    try await store.note([Self.reading(0, reader: 77777), Self.reading(16, reader: 0)])
    try await store.note((1...10_050).map { Self.reading(100 + UInt64($0 % 2) * 15, reader: UInt64($0)) })
    try await store.note([Self.reading(0, patient: Digest(words: (5, 5, 5, 6)))])
    let all = try await Self.all(ReadingQuestion(countMax: 1000), of: store)
    #expect(all.count == 10_052 && Set(all).count == 10_052)
    #expect(all.last?.reader == Digest(words: (77777, 0, 0, 1)) && all.dropLast().last?.reader == nil)
    var question = ReadingQuestion(countMax: 1000)
    question.reader = .account(Digest(words: (77777, 0, 0, 1)))
    #expect(try await Self.all(question, of: store).map(\.request) == ["Observation/0"])
    question.reader = .system
    #expect(try await Self.all(question, of: store).map(\.request) == ["Observation/16"])
    question.reader = .anybody
    question.until = Timestamp(milliseconds: 1_749_999_600_000 + 20 * 60_000)
    #expect(try await Self.all(question, of: store).count == 2)
    question.from = Timestamp(milliseconds: 1_749_999_600_000 + 15 * 60_000)
    #expect(try await Self.all(question, of: store).map(\.request) == ["Observation/16"])
    let counts = try await store.counts(of: Self.patient)
    #expect(counts.map { $0.count } == [5025, 5025, 1, 1])
  }

  @Test("⚑ Where lines may be lost every patient is told when the hospital went on without them, page by page")
  func lost() async throws {
    let folder = NSTemporaryDirectory() + "consilium-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func open(lossToldAt: Timestamp? = nil) throws -> ReadingStore {
      try ReadingStore(
        path: folder, mapSizeMax: 1 << 28, key: Self.key, isLossAccepted: lossToldAt != nil, lossToldAt: lossToldAt)
    }
    let (told, stranger) = (Self.reading(20).time, Digest(words: (7, 7, 7, 7)))
    do { try await open().note([Self.reading(0), Self.reading(40)]) }
    do { _ = try open(lossToldAt: told) }
    // Nothing more comes of an opening in which nothing is lost.
    for _ in 0..<2 {
      let store = try open()
      let lines = try await store.readings(of: Self.patient, ReadingQuestion(countMax: 9)).lines
      #expect(lines.map(\.interaction) == [.read, .lost, .read] && lines[1].time == told)
      #expect(try await Self.all(ReadingQuestion(countMax: 1), of: store) == lines)
      let counts = try await store.counts(of: Self.patient)
      #expect(counts.map { $0.count } == [1, 1, 1])
      #expect(counts.map { $0.interval } == lines.map { $0.time.milliseconds / store.intervalMilliseconds })
      // Whose lines they were nobody knows: who asks for one reader's is told too, and who never had any.
      var question = ReadingQuestion(countMax: 9)
      question.reader = .system
      #expect(try await store.readings(of: Self.patient, question).lines.map(\.interaction) == [.lost])
      question.until = Self.reading(4).time
      #expect(try await store.readings(of: Self.patient, question).lines.isEmpty)
      let others = try await store.readings(of: stranger, ReadingQuestion(countMax: 9)).lines
      #expect(others.map(\.interaction) == [.lost] && others.first?.patient == stranger)
      #expect(try await store.counts(of: stranger).map { $0.count } == [1])
    }
    // Within the same quarter of an hour as a line.
    try await open().note([Self.reading(21)])
    let store = try open()
    #expect(try await store.counts(of: Self.patient).map { $0.count } == [1, 2, 1])
    let lines = try await Self.all(ReadingQuestion(countMax: 1), of: store)
    #expect(lines.count == 4 && Set(lines).count == 4)
  }

  @Test("⚑ A line that cannot be read is shown as such, and hides no other, of any reader")
  func unreadable() async throws {
    let folder = NSTemporaryDirectory() + "consilium-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    do {
      let store = try ReadingStore(path: folder, mapSizeMax: 1 << 28, key: Self.key)
      try await store.note([Self.reading(0), Self.reading(20, reader: 2), Self.reading(40, reader: 3)])
    }
    do {
      let environment = try Environment(path: folder, mapSizeMax: 1 << 28)
      let table = try environment.open(["readings", "meta"])[0]
      var lines: [(place: [UInt8], value: [UInt8])] = []
      try environment.snapshot().scan(table, from: []) { place, value in
        lines.append((place, value))
        return true
      }
      // The sums follow how a line begins; what comes after is damaged.
      let (place, value) = lines[1]
      try environment.write { transaction throws(StorageFailure) in
        try transaction.put(table, place, Array(value.prefix(32)) + [1, 2, 3])
      }
    }
    let store = try ReadingStore(path: folder, mapSizeMax: 1 << 28, key: Self.key)
    let lines = try await store.readings(of: Self.patient, ReadingQuestion(countMax: 9)).lines
    #expect(lines.map(\.interaction) == [.read, .unreadable, .read])
    #expect(lines.map(\.request) == ["Observation/40", "", "Observation/0"])
    #expect(lines.dropFirst().first?.time == Timestamp(milliseconds: 1_750_000_500_000))
    var question = ReadingQuestion(countMax: 9)
    question.reader = .account(Digest(words: (1, 0, 0, 1)))
    #expect(try await store.readings(of: Self.patient, question).lines.map(\.interaction) == [.unreadable, .read])
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
    #expect(try await store.readings(of: Self.patient, ReadingQuestion(countMax: 1000)).lines.count == 300)
  }
}
