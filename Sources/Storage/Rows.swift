internal import CLMDB
internal import Primitives
internal import Signing
internal import Wire

/// A table of the ledger's store. Each of its rows carries a check over table, key and value, so that what a disk or
/// somebody changed is never taken for what was written (LEDGER §11.13).
struct RowTable: Sendable {
  let handle: Environment.Table
  /// Its place among the tables, which the check binds rows to.
  let number: UInt8
  let name: String
  /// Whether a row that is missing, or too many, shows in a sum over the table. Where not, rows name one another, and
  /// others have them too: blocks, decisions, executions.
  let isCounted: Bool
  /// So many bytes of the value are under the check; of a block those whose digest does not stand in the others.
  let checkedBytesMax: Int

  static let checkBytes = 8

  /// What the check is the beginning of, and what the sum adds up.
  func digest(_ key: [UInt8], _ value: [UInt8]) -> Digest {
    var head = [self.number, UInt8(truncatingIfNeeded: key.count >> 8), UInt8(truncatingIfNeeded: key.count)]
    head += key
    return Hash.sha256(head, value, 0..<min(value.count, self.checkedBytesMax))
  }

  /// The value of a stored row; nil where it is not what was written under this key.
  func open(_ key: [UInt8], _ row: UnsafeRawBufferPointer) -> (value: [UInt8], digest: Digest)? {
    guard row.count >= Self.checkBytes else { return nil }
    let end = row.count - Self.checkBytes
    let value = unsafe Array(UnsafeRawBufferPointer(rebasing: row[..<end]))
    let digest = self.digest(key, value)
    let check = unsafe row.loadUnaligned(fromByteOffset: end, as: UInt64.self)
    return UInt64(littleEndian: check) == digest.prefix64 ? (value, digest) : nil
  }

  func damage(_ key: [UInt8], _ path: String) -> StorageFailure {
    .damaged(path: path, reason: "row \(Hex.encode(Array(key.prefix(48)))) of \(self.name) is not what was written")
  }
}

/// The sum of the digests of a table's rows, whatever their order: it follows each write at once, and is compared with
/// what is there at a start and from time to time.
///
/// It shows what a disk lost and what another program took out or put in. Whoever knows how it is made can make it fit
/// what he changed: `consilium audit replay` compares the state with what the rules give.
struct ContentSum: Equatable, Sendable {
  private(set) var count: UInt64 = 0
  private var word0: UInt64 = 0
  private var word1: UInt64 = 0
  private var word2: UInt64 = 0
  private var word3: UInt64 = 0

  /// Adds modulo 2²⁵⁶.
  mutating func add(_ digest: Digest) {
    let (w0, w1, w2, w3) = digest.words
    self.count &+= 1
    var carry: UInt64 = 0
    Self.add(w0, to: &self.word0, &carry)
    Self.add(w1, to: &self.word1, &carry)
    Self.add(w2, to: &self.word2, &carry)
    Self.add(w3, to: &self.word3, &carry)
  }

  /// Takes away what was added.
  mutating func subtract(_ digest: Digest) {
    let (w0, w1, w2, w3) = digest.words
    self.count &-= 2
    // − d is the complement of d, plus one.
    self.add(Digest(words: (~w0, ~w1, ~w2, ~w3)))
    var carry: UInt64 = 1
    Self.add(0, to: &self.word0, &carry)
    Self.add(0, to: &self.word1, &carry)
    Self.add(0, to: &self.word2, &carry)
    Self.add(0, to: &self.word3, &carry)
  }

  private static func add(_ value: UInt64, to word: inout UInt64, _ carry: inout UInt64) {
    let (partial, first) = word.addingReportingOverflow(value)
    let (sum, second) = partial.addingReportingOverflow(carry)
    word = sum
    carry = first || second ? 1 : 0
  }
}

extension ContentSum: WireCodable {
  func encode(into encoder: inout Encoder) {
    for word in [self.count, self.word0, self.word1, self.word2, self.word3] { encoder.u64(word) }
  }
  init(from decoder: inout Decoder) throws(WireError) {
    self.count = try decoder.u64()
    self.word0 = try decoder.u64()
    self.word1 = try decoder.u64()
    self.word2 = try decoder.u64()
    self.word3 = try decoder.u64()
  }
}

/// The sums of all counted tables while a write is under way.
final class ContentSums {
  var sums: [ContentSum]

  init(tables: Int) { self.sums = Array(repeating: ContentSum(), count: tables) }

  /// Reads what the last write left; nil where it is nothing of the kind.
  init?(_ bytes: [UInt8], tables: Int) {
    var decoder = Decoder(bytes)
    let read: [ContentSum]? = try? decoder.list(max: tables, "sums")
    guard let sums = read, sums.count == tables, let check = try? decoder.digest(), decoder.remaining == 0,
      check == Hash.blake2b("consilium/store-sums/v1", Array(bytes.dropLast(Digest.lengthBytes)))
    else { return nil }
    self.sums = sums
  }

  var encoded: [UInt8] {
    var encoder = Encoder()
    encoder.list(self.sums)
    encoder.digest(Hash.blake2b("consilium/store-sums/v1", encoder.bytes))
    return encoder.bytes
  }
}

extension WriteTransaction {
  /// Puts a row under a key.
  func put(_ table: RowTable, _ key: [UInt8], _ value: [UInt8]) throws(StorageFailure) {
    let digest = table.digest(key, value)
    let row = value + digest.bytes.prefix(RowTable.checkBytes)
    guard let sums = self.sums, table.isCounted else { return try self.put(table.handle, key, row) }
    if let before = try self.putNew(table, key, row) {
      sums.sums[Int(table.number)].subtract(before)
      try self.put(table.handle, key, row)
    }
    sums.sums[Int(table.number)].add(digest)
  }

  /// Puts a row where there is none; else the digest of the one that is there.
  private func putNew(_ table: RowTable, _ key: [UInt8], _ row: [UInt8]) throws(StorageFailure) -> Digest? {
    var found = unsafe MDB_val()
    let status = unsafe withValue(key) { key in
      unsafe withValue(row) { value in
        let status = unsafe mdb_put(self.handle, table.handle, key, value, UInt32(MDB_NOOVERWRITE))
        unsafe found = unsafe value.pointee
        return status
      }
    }
    guard status == MDB_KEYEXIST else {
      try self.check(status, "writing")
      return nil
    }
    return try unsafe self.open(table, key, found).digest
  }

  private func open(
    _ table: RowTable, _ key: [UInt8], _ found: MDB_val
  ) throws(StorageFailure) -> (value: [UInt8], digest: Digest) {
    let row = unsafe UnsafeRawBufferPointer(start: found.mv_data, count: found.mv_size)
    guard let opened = unsafe table.open(key, row) else { throw table.damage(key, self.path) }
    return opened
  }

  /// Takes a row out, if it is there.
  func remove(_ table: RowTable, _ key: [UInt8]) throws(StorageFailure) {
    if let sums = self.sums, table.isCounted {
      var found = unsafe MDB_val()
      let status = unsafe withValue(key) { unsafe mdb_get(self.handle, table.handle, $0, &found) }
      guard status != MDB_NOTFOUND else { return }
      try self.check(status, "reading")
      sums.sums[Int(table.number)].subtract(try unsafe self.open(table, key, found).digest)
    }
    try self.remove(table.handle, key)
  }

  /// Takes all rows out.
  func clear(_ table: RowTable) throws(StorageFailure) {
    self.sums?.sums[Int(table.number)] = ContentSum()
    try self.clear(table.handle)
  }

  /// Takes the rows from the table's start through a key out.
  func remove(_ table: RowTable, through key: [UInt8]) throws(StorageFailure) {
    try unsafe self.removeEach(table.handle, through: key) { (found, value) throws(StorageFailure) in
      guard let sums = self.sums, table.isCounted else { return }
      sums.sums[Int(table.number)].subtract(try unsafe self.open(table, found, value).digest)
    }
  }

  /// The value of a key as this write sees it.
  func get(_ table: RowTable, _ key: [UInt8]) throws(StorageFailure) -> [UInt8]? {
    var found = unsafe MDB_val()
    let status = unsafe withValue(key) { unsafe mdb_get(self.handle, table.handle, $0, &found) }
    guard status != MDB_NOTFOUND else { return nil }
    try self.check(status, "reading")
    return try unsafe self.open(table, key, found).value
  }
}

extension Snapshot {
  /// The value of a key; nil where there is none.
  ///
  /// - Throws: `StorageFailure.damaged` where the row is not what was written.
  func get(_ table: RowTable, _ key: [UInt8]) throws(StorageFailure) -> [UInt8]? {
    var opened: [UInt8]?
    let isThere = unsafe self.read(table.handle, key) { row in opened = unsafe table.open(key, row)?.value }
    guard isThere else { return nil }
    guard let opened else { throw table.damage(key, self.path) }
    return opened
  }

  /// The rows from `start` on in order, while `body` returns true.
  ///
  /// - Throws: `StorageFailure.damaged` at the first that is not what was written.
  func scan(
    _ table: RowTable, from start: [UInt8], _ body: ([UInt8], [UInt8]) -> Bool
  ) throws(StorageFailure) {
    try self.walk(table, from: start, body)
  }

  /// The rows before the end in falling order, while `body` returns true.
  func scanBackwards(_ table: RowTable, _ body: ([UInt8], [UInt8]) -> Bool) throws(StorageFailure) {
    try self.walk(table, from: nil, body)
  }

  private func walk(
    _ table: RowTable, from start: [UInt8]?, _ body: ([UInt8], [UInt8]) -> Bool
  ) throws(StorageFailure) {
    var broken: [UInt8]?
    func visit(_ key: [UInt8], _ row: UnsafeRawBufferPointer) -> Bool {
      guard let opened = unsafe table.open(key, row) else {
        broken = key
        return false
      }
      return body(key, opened.value)
    }
    if let start {
      unsafe self.visit(table.handle, from: start, visit)
    } else {
      unsafe self.visitBackwards(table.handle, visit)
    }
    if let broken { throw table.damage(broken, self.path) }
  }

  /// The last row whose key is at or before `key`.
  func last(
    _ table: RowTable, atOrBefore key: [UInt8]
  ) throws(StorageFailure) -> (key: [UInt8], value: [UInt8])? {
    guard let found = self.last(table.handle, atOrBefore: key) else { return nil }
    guard let opened = unsafe found.value.withUnsafeBytes({ unsafe table.open(found.key, $0) }) else {
      throw table.damage(found.key, self.path)
    }
    return (found.key, opened.value)
  }

  /// Adds up the rows that are there, and looks each of them up as a reader would.
  ///
  /// - Throws: `StorageFailure.damaged` where a row is not what was written, stands out of order or cannot be found.
  func sum(_ table: RowTable, but excluded: Set<[UInt8]>) throws(StorageFailure) -> ContentSum {
    var sum = ContentSum()
    var (broken, before): ([UInt8]?, [UInt8]) = (nil, [])
    unsafe self.visit(table.handle, from: []) { key, row in
      guard !excluded.contains(key) else { return true }
      var isFound = false
      _ = unsafe self.read(table.handle, key) { isFound = unsafe $0.baseAddress == row.baseAddress }
      guard isFound, before.lexicographicallyPrecedes(key), let opened = unsafe table.open(key, row) else {
        broken = key
        return false
      }
      sum.add(opened.digest)
      before = key
      return true
    }
    if let broken { throw table.damage(broken, self.path) }
    return sum
  }
}
