internal import CLMDB
internal import Foundation
internal import Primitives
internal import Signing
internal import Synchronization
internal import Wire

/// How a hospital's own store was found.
public enum StoreOpening: Sendable, Hashable {
  /// There was none, and there never had been.
  case made
  /// As this node left it.
  case known
  /// Nothing outside its folder told how it was left; from now on something does.
  case marked(rowCount: UInt64)
  /// Its keeper went on with what is there; `writtenCount` rows had been written, where that was remembered.
  case accepted(writtenCount: UInt64?, rowCount: UInt64)
}

/// A table whose rows a sum follows. Its values are sealed: how one begins, with its key's number and its nonce, tells
/// it from every other, and what follows has its own check.
struct CountedTable: Sendable {
  let handle: Environment.Table
  /// Its place among the tables, which the sum binds rows to.
  let number: UInt8
  let name: String

  static let headBytes = 32

  func digest(_ key: [UInt8], _ value: [UInt8]) -> Digest {
    let head = [self.number, UInt8(truncatingIfNeeded: key.count >> 8), UInt8(truncatingIfNeeded: key.count)] + key
    return Hash.sha256(head, value, 0..<min(value.count, Self.headBytes))
  }
}

extension WriteTransaction {
  /// Puts a value under a key, and has the sum follow.
  func put(_ table: CountedTable, _ key: [UInt8], _ value: [UInt8]) throws(StorageFailure) {
    try self.discount(table, key)
    try self.put(table.handle, key, value)
    self.counted.sums[Int(table.number)].add(table.digest(key, value))
  }

  /// Takes a key out, if it is there, and has the sum follow.
  func remove(_ table: CountedTable, _ key: [UInt8]) throws(StorageFailure) {
    try self.discount(table, key)
    try self.remove(table.handle, key)
  }

  private var counted: ContentSums {
    guard let sums = self.sums else { preconditionFailure("a write into a counted table without its sums") }
    return sums
  }

  private func discount(_ table: CountedTable, _ key: [UInt8]) throws(StorageFailure) {
    var found = unsafe MDB_val()
    let status = unsafe withValue(key) { unsafe mdb_get(self.handle, table.handle, $0, &found) }
    guard status != MDB_NOTFOUND else { return }
    try self.check(status, "reading")
    let value = unsafe UnsafeRawBufferPointer(
      start: found.mv_data, count: min(found.mv_size, CountedTable.headBytes))
    self.counted.sums[Int(table.number)].subtract(table.digest(key, unsafe Array(value)))
  }
}

extension Snapshot {
  /// Adds up the rows that are there.
  func sum(_ table: CountedTable) -> ContentSum {
    var sum = ContentSum()
    unsafe self.visit(table.handle, from: []) { key, value in
      sum.add(unsafe table.digest(key, Array(value.prefix(CountedTable.headBytes))))
      return true
    }
    return sum
  }
}

/// What a hospital's own store says of itself, in the same write as its rows: which store it is, how many writes
/// changed it, and the sums over its tables. With the mark outside its folder it tells a store that lost anything.
final class StoreAccount: Sendable {
  fileprivate struct Line {
    var identity: Digest
    var generation: UInt64
    var sums: ContentSums

    var content: StoreMark.Content {
      StoreMark.Content(
        identity: self.identity, generation: self.generation, rows: self.sums.sums.reduce(0) { $0 &+ $1.count })
    }

    init(identity: Digest, generation: UInt64, sums: ContentSums) {
      (self.identity, self.generation, self.sums) = (identity, generation, sums)
    }

    /// Reads what the last write left; nil where it is nothing of the kind.
    init?(_ bytes: [UInt8], tables: Int) {
      var decoder = Decoder(bytes)
      // ⚑ As it is written: read the other way round, the number fell back with some writes, and a store that lost
      // nothing was refused as an older copy.
      guard let identity = try? decoder.digest(), let generation = (try? decoder.raw(8)).map({ Key.number(from: $0) }),
        let sums = ContentSums(Array(bytes.dropFirst(Digest.lengthBytes + 8)), tables: tables)
      else { return nil }
      self.init(identity: identity, generation: generation, sums: sums)
    }

    var encoded: [UInt8] { self.identity.bytes + Key.number(self.generation) + self.sums.encoded }
  }

  private static let key = Array("account".utf8)
  private static let sumsMissing = "the sums over its tables are missing or changed"

  private let environment: Environment
  private let meta: Environment.Table
  private let tableCount: Int
  private let mark: StoreMark?
  /// One write at a time, until the mark has followed it.
  private let turn = Mutex(())
  private let found = Mutex(StoreOpening.known)
  /// How it was found.
  var opening: StoreOpening { self.found.withLock { $0 } }

  /// The account of a store that was checked.
  init(_ checked: Checked) {
    (self.environment, self.meta, self.mark) = (checked.environment, checked.meta, checked.mark)
    self.tableCount = checked.there.sums.count
  }

  /// Writes what is missing of account and mark. Where a loss is accepted, what is there counts from now on, and every
  /// copy of before is told from it; `loss`, a row that tells of it, comes in the same write.
  func settle(
    _ checked: Checked, format: UInt64, isLossAccepted: Bool,
    telling loss: (table: CountedTable, key: [UInt8], value: [UInt8])? = nil
  ) throws(StorageFailure) {
    let there = checked.there
    let rows = there.sums.reduce(0) { $0 &+ $1.count }
    if isLossAccepted {
      let written = self.mark?.rowCount
      let sums = ContentSums(tables: self.tableCount)
      sums.sums = there.sums
      let line = Line(identity: Hash.sha256(SecureRandom.bytes(32)), generation: 1, sums: sums)
      try self.environment.write(sums: sums) { transaction throws(StorageFailure) in
        if let loss { try transaction.put(loss.table, loss.key, loss.value) }
        try transaction.put(self.meta, Key.format, Key.number(format))
        // As the sums are now.
        try transaction.put(self.meta, Self.key, line.encoded)
      }
      try self.mark?.begin(line.content)
      return self.found.withLock { $0 = .accepted(writtenCount: written, rowCount: rows) }
    }
    if let line = checked.line {
      guard self.mark?.memory == StoreMark.Memory.none else {
        try self.mark?.follow(line.content)
        return
      }
      try self.mark?.begin(line.content)
      return self.found.withLock { $0 = .marked(rowCount: rows) }
    }
    var line = Line(identity: Hash.sha256(SecureRandom.bytes(32)), generation: 0, sums: there)
    if case .known(let content)? = self.mark?.memory {
      // The last start ended between the two writes.
      (line.identity, line.generation) = (content.identity, content.generation)
    } else {
      try self.mark?.begin(line.content)
    }
    try self.write(line, format: format)
    self.found.withLock { $0 = rows == 0 ? .made : .marked(rowCount: rows) }
  }

  private func write(_ line: Line, format: UInt64) throws(StorageFailure) {
    try self.environment.write { transaction throws(StorageFailure) in
      try transaction.put(self.meta, Key.format, Key.number(format))
      try transaction.put(self.meta, Self.key, line.encoded)
    }
  }

  /// A store that holds what was written into it, as far as it and its mark can tell.
  struct Checked {
    fileprivate let environment: Environment
    fileprivate let meta: Environment.Table
    fileprivate let mark: StoreMark?
    fileprivate let line: Line?
    fileprivate let there: ContentSums
  }

  /// Compares a store with its sums and its mark, and writes nothing. One without an account must have an `older`
  /// format, or be empty.
  ///
  /// - Throws: `StorageFailure.damaged` where its rows are not those that were written, `lost` where its mark tells of
  ///   another or a later store.
  static func check(
    _ environment: Environment, meta: Environment.Table, tables: [CountedTable], older: UInt64, mark: StoreMark?,
    isLossAccepted: Bool
  ) throws(StorageFailure) -> Checked {
    let snapshot = try environment.snapshot()
    let there = ContentSums(tables: tables.count)
    there.sums = tables.map { snapshot.sum($0) }
    let stored = snapshot.get(meta, Self.key)
    let line = stored.flatMap { Line($0, tables: tables.count) }
    let checked = Checked(environment: environment, meta: meta, mark: mark, line: line, there: there)
    guard !isLossAccepted else { return checked }
    let rows = there.sums.reduce(0) { $0 &+ $1.count }
    let format = snapshot.get(meta, Key.format).map { Key.number(from: $0) }
    guard line != nil || stored == nil && (rows == 0 || format == older) else {
      throw .damaged(path: environment.path, reason: Self.sumsMissing)
    }
    try self.compare(line?.content, rows: rows, with: mark, environment.path)
    for (table, (wanted, found)) in zip(tables, zip(line?.sums.sums ?? there.sums, there.sums)) where wanted != found {
      let what =
        found.count == wanted.count
        ? "other rows than were written" : "\(found.count) rows, and \(wanted.count) were written"
      throw .damaged(path: environment.path, reason: "the table \(table.name) has \(what)")
    }
    return checked
  }

  private static func compare(
    _ content: StoreMark.Content?, rows: UInt64, with mark: StoreMark?, _ path: String
  ) throws(StorageFailure) {
    guard let mark else { return }
    if let second = mark.other { try self.compare(content, rows: rows, with: second, path) }
    switch mark.memory {
    case .none:
      // ⚑ A store that has an account had a mark: without it nobody can tell whether it is an older copy.
      guard let content, !content.isUnused else { return }
      throw .lost(path: path, reason: "\(mark.path), which told how it was left, is gone")
    case .unreadable: throw .lost(path: path, reason: "\(mark.path), which tells how it was left, cannot be read")
    case .known(let known):
      guard let content else {
        // A start may have ended between mark and account, before anything was written.
        guard known.writeCount == 0, known.rows == rows else { throw Self.emptied(path, known) }
        return
      }
      guard content.identity == known.identity else {
        throw .lost(path: path, reason: "it is another store than the one that \(mark.path) tells of")
      }
      guard content.generation >= known.generation else {
        let how =
          content.writeCount == known.writeCount
          ? "this node began again after it was copied"
          : "it ends with write \(content.writeCount), and write \(known.writeCount) was acknowledged"
        throw .lost(path: path, reason: "\(how): it is an older copy")
      }
    }
  }

  /// Counts that a node begins with it, so that each copy from before is told by what the node keeps of this; `left` is
  /// what it kept the last time.
  ///
  /// - Throws: `StorageFailure.lost` where it is another store than that, or an older copy.
  func begin(after left: StoreAge?) throws(StorageFailure) -> StoreAge {
    try self.turn.withLock { _ throws(StorageFailure) -> StoreAge in
      let stored = try self.environment.snapshot().get(self.meta, Self.key)
      guard var line = stored.flatMap({ Line($0, tables: self.tableCount) }) else {
        throw .damaged(path: self.environment.path, reason: Self.sumsMissing)
      }
      if let left { try Self.compare(StoreAge(line.content), with: left, self.environment.path) }
      line.generation &+= StoreMark.Content.beginning
      let (encoded, content) = (line.encoded, line.content)
      try self.environment.write { transaction throws(StorageFailure) in
        try transaction.put(self.meta, Self.key, encoded)
      }
      // ⚑ The node keeps what this returns only now: what it keeps is never ahead of the store.
      try self.mark?.follow(content)
      return StoreAge(content)
    }
  }

  /// How far it is written.
  ///
  /// - Throws: `StorageFailure` where it cannot be read.
  func age() throws(StorageFailure) -> StoreAge {
    let stored = try self.environment.snapshot().get(self.meta, Self.key)
    guard let line = stored.flatMap({ Line($0, tables: self.tableCount) }) else {
      throw .damaged(path: self.environment.path, reason: Self.sumsMissing)
    }
    return StoreAge(line.content)
  }

  private static func compare(_ age: StoreAge, with left: StoreAge, _ path: String) throws(StorageFailure) {
    let last = "the one that this node had, and its mark is as old"
    guard age.identity == left.identity else {
      throw .lost(path: path, reason: "it is another store than \(last)")
    }
    guard age.generation >= left.generation else {
      throw .lost(path: path, reason: "it is an older copy than \(last)")
    }
  }

  private static func emptied(_ path: String, _ known: StoreMark.Content) -> StorageFailure {
    .lost(path: path, reason: "what was written into it is gone: \(known.rows) rows")
  }

  /// Refuses a folder without data.mdb where there was one: before another is made there.
  static func requireData(in folder: String, mark: StoreMark?) throws(StorageFailure) {
    func length(_ name: String) -> Int {
      let attributes = try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
      return attributes?[.size] as? Int ?? 0
    }
    guard length("data.mdb") == 0 else { return }
    if let second = mark?.other { try self.requireData(in: folder, mark: second) }
    switch mark?.memory {
    case .known(let known)? where !known.isUnused: throw Self.emptied(folder, known)
    case .unreadable?: try Self.compare(nil, rows: 0, with: mark, folder)
    case .known?, .none?, nil: break
    }
    guard length("keys") == 0 else {
      throw .lost(path: folder, reason: "data.mdb is gone, and keys, which sealed what it held, is still there")
    }
  }

  /// One durable write, as a whole or not at all; the sums follow it, and the mark: when it returns, all is on the
  /// disk.
  func change(
    _ body: (borrowing WriteTransaction) throws(StorageFailure) -> Void
  ) throws(StorageFailure) {
    try self.turn.withLock { _ throws(StorageFailure) in
      let sums = ContentSums(tables: self.tableCount)
      var content: StoreMark.Content?
      try self.environment.write(sums: sums) { transaction throws(StorageFailure) in
        guard let stored = transaction.get(self.meta, Self.key), var line = Line(stored, tables: self.tableCount) else {
          throw .damaged(path: transaction.path, reason: Self.sumsMissing)
        }
        let before = line.sums.sums
        sums.sums = before
        try body(transaction)
        guard sums.sums != before else { return }
        line.generation += 1
        line.sums = sums
        try transaction.put(self.meta, Self.key, line.encoded)
        content = line.content
      }
      if let content { try self.mark?.follow(content) }
    }
  }
}
