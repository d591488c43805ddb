// Goal: a file of LMDB's is believed only where each page holds together; what LMDB itself writes always does.
// Method: a drawn history of writes beside a dictionary, opened again and again; then each page of a file is damaged in
// several ways, and the file is opened, read through and written to. Where LMDB is led astray the test run ends.
import Foundation
import Primitives
import Testing

@testable import Storage

@Suite("Pages")
struct PageTests {
  /// Draws that are the same in each run.
  private struct Draws {
    var state: UInt64
    mutating func below(_ limit: Int) -> Int {
      self.state = self.state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((self.state >> 33) % UInt64(limit))
    }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(self.below(256)) } }
  }

  private static let names = ["a", "b", "c"]
  private typealias Model = [[[UInt8]: [UInt8]]]

  private func opened(_ folder: Folder, isReadOnly: Bool = false) throws -> (Environment, [Environment.Table]) {
    let environment = try Environment(path: folder.path, mapSizeMax: 1 << 28, isReadOnly: isReadOnly)
    return (environment, try environment.open(Self.names))
  }

  @Test("⚑ Pages that a reader held are used again once its process is gone: a killed backup fills no disk")
  func deadReader() throws {
    let folder = Folder()
    let (environment, tables) = try self.opened(folder)
    func write(_ count: Int) throws {
      for number in 0..<count {
        try environment.write { transaction throws(StorageFailure) in
          try transaction.put(tables[0], [1], [UInt8](repeating: UInt8(number % 256), count: 65_536))
        }
      }
    }
    try write(4)
    // A reader's place in the lock file: what it shows, its process, its thread. Another is made like it, of a process
    // whose number no system gives.
    try withExtendedLifetime(try environment.snapshot()) {
      let file = try FileHandle(forUpdating: URL(filePath: folder.path + "/lock.mdb"))
      let bytes = try #require(try file.readToEnd())
      func number(_ place: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << (8 * UInt32($1)) } }
      let place = try #require(
        stride(from: 128, to: bytes.count - 64, by: 64).first { number($0 + 8) == UInt32(getpid()) })
      #expect(number(56) >= (place - 128) / 64 + 1, "LMDB counts its readers elsewhere")
      var slot = bytes[place..<(place + 64)]
      slot.replaceSubrange((slot.startIndex + 8)..<(slot.startIndex + 12), with: [0xfe, 0xff, 0xff, 0x3f])
      try file.seek(toOffset: UInt64(place + 64))
      try file.write(contentsOf: slot)
      try file.seek(toOffset: 56)
      try file.write(contentsOf: [UInt8((place - 128) / 64 + 2)])
    }
    let before = environment.sizes.used
    try write(400)
    // Each write takes at least seventeen pages.
    #expect(environment.sizes.used < before + 100 * 17 * 4096, "\(before) \(environment.sizes.used)")
  }

  /// One transaction of some writes and removals.
  private func write(
    _ draws: inout Draws, _ environment: Environment, _ tables: [Environment.Table], _ model: inout Model,
    lengths: [Int] = [0, 20, 200, 1500, 9000, 70_000]
  ) throws {
    var (copy, next) = (draws, model)
    try environment.write { transaction throws(StorageFailure) in
      for _ in 0..<(1 + copy.below(40)) {
        let number = copy.below(tables.count)
        let key = Array("key \(copy.below(400))".utf8) + [UInt8](repeating: 7, count: copy.below(3) * 120)
        switch copy.below(10) {
        case 0..<4:
          try transaction.remove(tables[number], key)
          next[number][key] = nil
        case 4:
          let end = key + [9]
          try transaction.remove(tables[number], from: key, through: end)
          next[number] = next[number].filter { row in
            row.key.lexicographicallyPrecedes(key) || end.lexicographicallyPrecedes(row.key)
          }
        default:
          let value = [UInt8](repeating: UInt8(copy.below(256)), count: lengths[copy.below(lengths.count)])
          try transaction.put(tables[number], key, value)
          next[number][key] = value
        }
      }
      if copy.below(40) == 0 {
        try transaction.clear(tables[1])
        next[1] = [:]
      }
    }
    (draws, model) = (copy, next)
  }

  private func rows(_ environment: Environment, _ tables: [Environment.Table]) throws -> Model {
    let snapshot = try environment.snapshot()
    return tables.map { table in
      var out: [[UInt8]: [UInt8]] = [:]
      snapshot.scan(table, from: []) { key, value in
        out[key] = value
        return true
      }
      return out
    }
  }

  @Test("What LMDB writes is sound at each opening: long and short values, removals, emptied tables")
  func sound() throws {
    let folder = Folder()
    var (draws, model) = (Draws(state: 1), Model(repeating: [:], count: 3))
    for _ in 0..<40 {
      let (environment, tables) = try self.opened(folder)
      #expect(try self.rows(environment, tables) == model)
      for _ in 0..<5 { try self.write(&draws, environment, tables, &model) }
    }
    let (environment, tables) = try self.opened(folder, isReadOnly: true)
    #expect(try self.rows(environment, tables) == model)
  }

  @Test("Pages that were taken and given back before they were written may be missing at the end")
  func unwritten() throws {
    let folder = Folder()
    do {
      let (environment, tables) = try self.opened(folder)
      try environment.write { transaction throws(StorageFailure) in
        try transaction.put(tables[0], [1], [1])
        try transaction.put(tables[0], [2], [UInt8](repeating: 2, count: 1 << 20))
        try transaction.remove(tables[0], [2])
      }
    }
    let (environment, tables) = try self.opened(folder)
    #expect(try self.rows(environment, tables)[0] == [[1]: [1]])
  }

  @Test("A reader opens what a writer is at work on, and each sees whole transactions")
  func beside() throws {
    let folder = Folder()
    var (draws, model) = (Draws(state: 3), Model(repeating: [:], count: 3))
    let (environment, tables) = try self.opened(folder)
    for _ in 0..<20 {
      try self.write(&draws, environment, tables, &model)
      let held = try environment.snapshot()
      try self.write(&draws, environment, tables, &model)
      #expect(try PageWalk.check(folder.path, transaction: held.number) == true)
      for _ in 0..<2 { try self.write(&draws, environment, tables, &model) }
      #expect(try PageWalk.check(folder.path, transaction: held.number) == nil)
    }
  }

  @Test("A damaged page is named, or has no part in what is stored: no wrong step, whatever is read or written then")
  func damaged() throws {
    let folder = Folder()
    var (draws, model) = (Draws(state: 2), Model(repeating: [:], count: 3))
    do {
      let (environment, tables) = try self.opened(folder)
      let lengths = [0, 20, 200, 200, 900, 900, 900, 5000]
      for _ in 0..<24 { try self.write(&draws, environment, tables, &model, lengths: lengths) }
      try environment.write { transaction throws(StorageFailure) in try transaction.clear(tables[2]) }
      model[2] = [:]
    }
    let file = folder.path + "/data.mdb"
    let good = try Data(contentsOf: URL(filePath: file))
    let pages = good.count / 4096
    var (named, harmless) = (0, 0)
    for page in 0..<min(pages, 96) {
      for kind in 0..<6 {
        var bytes = good
        let place = page * 4096
        switch kind {
        case 0: bytes.replaceSubrange(place..<(place + 4096), with: Data(count: 4096))
        case 1: bytes.replaceSubrange(place..<(place + 4096), with: draws.bytes(4096))
        case 2:
          let other = draws.below(pages) * 4096
          bytes.replaceSubrange(place..<(place + 4096), with: good[other..<(other + 4096)])
        case 3: bytes[place + draws.below(4096)] ^= UInt8(1 << draws.below(8))
        // The head keeps its kind and number: only what LMDB never checks is wrong.
        case 4: bytes.replaceSubrange((place + 12)..<(place + 60), with: draws.bytes(48))
        default: bytes[place + 10 + draws.below(120)] ^= UInt8(1 << draws.below(8))
        }
        try bytes.write(to: URL(filePath: file))
        try? FileManager.default.removeItem(atPath: folder.path + "/lock.mdb")
        do {
          let (environment, tables) = try self.opened(folder)
          let found = try self.rows(environment, tables)
          #expect(found.map { Set($0.keys) } == model.map { Set($0.keys) } || kind > 2, "page \(page), kind \(kind)")
          var (other, scratch) = (Draws(state: 5), found)
          for _ in 0..<2 { try self.write(&other, environment, tables, &scratch) }
          #expect(try self.rows(environment, tables) == scratch, "page \(page), kind \(kind)")
          harmless += 1
        } catch is StorageFailure { named += 1 }
      }
    }
    #expect(named > 100 && harmless > 50, "\(named) named, \(harmless) harmless")
  }
}
