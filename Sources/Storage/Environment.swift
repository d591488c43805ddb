internal import CLMDB
internal import Foundation
public import Primitives

/// Why the store cannot do what was asked; each case says what to do.
public enum StorageFailure: Error, Sendable, Hashable {
  /// The folder cannot be used.
  case folder(path: String, reason: String)
  /// The files are no store, or were cut off or changed.
  case damaged(path: String, reason: String)
  /// What was executed at a sequence number is not what was written; the other members have it too.
  case rotten(path: String, sequence: SequenceNumber, reason: String)
  /// The members signed another history than what is kept here.
  case diverged(sequence: SequenceNumber)
  /// Another version of the program wrote the store.
  case otherFormat(found: UInt64, known: UInt64)
  /// It is older than what this member has signed.
  case copied(path: String, position: UInt64)
  /// It belongs to another network or member.
  case foreign(path: String, found: String, expected: String)
  /// Other keys of a node sealed it.
  case otherKey(path: String)
  /// It is not what this node left there: emptied, another, or an older copy.
  case lost(path: String, reason: String)
  /// A loss was accepted, and not compared with the ledger: `command` does it.
  case uncompared(path: String, command: String)
  /// The disk, or the address space, is full.
  case full(path: String, reason: String)
  /// The system failed to read or write.
  case system(action: String, reason: String)
}

extension StorageFailure: CustomStringConvertible {
  /// What happened, why, and what to do.
  public var description: String { "\(self.parts.what); \(self.parts.remedy)" }

  /// What happened and why, and what to do.
  public var parts: (what: String, remedy: String) {
    switch self {
    case .folder(let path, let reason):
      ("cannot use the folder \(path): \(reason)", "create it, or give its owner's rights to this user")
    case .damaged(let path, let reason): ("the store in \(path) is damaged: \(reason)", Self.remedy(path))
    case .rotten(let path, let sequence, let reason):
      ("what was executed at \(sequence) is damaged in \(path): \(reason)", Self.remedy(path))
    case .diverged(let sequence):
      (
        "this member's history is not the others': \(sequence) was executed here to another end than f + 1 members "
          + "signed",
        "if this node ran a program older than the rules that the members adopted, install the newest, have it execute "
          + "the ledger again (consilium rules reexecute --config node.toml), and start it; else \(Self.rejoining)"
      )
    case .otherFormat(let found, let known):
      ("the store has format \(found), this program knows \(known)", "install the program that wrote it")
    case .copied(let path, let position):
      (
        "the store in \(path) is a copy, or empty under a key that was used: another member holds block \(position) "
          + "of this hospital's lane, signed with its key, and the store ends before",
        "bring the original back, or join again under new keys (consilium init, consilium member propose replace)"
      )
    case .foreign(let path, let found, let expected):
      ("the store in \(path) belongs to \(found), not to \(expected)", "give the right folder")
    case .otherKey(let path):
      (
        "the store in \(path) was sealed under another node.key",
        "take it over with that one (consilium fhir rekey --old-key FILE), or move the folder away: no other opens it"
      )
    case .lost(let path, let reason):
      ("the store in \(path) is not as this node left it: \(reason)", Self.remedy(path))
    case .uncompared(let path, let command):
      (
        "a loss in \(path) was accepted, and what the ledger has of it is not known yet",
        "once consilium status gives notice that this node has its ledger and vault, stop it and give: \(command)"
      )
    case .full(let path, let reason):
      (
        "no room in \(path): \(reason)",
        "free disk space, or raise map_size_max_gib in node.toml where the map is full; then start again: nothing "
          + "committed is lost"
      )
    case .system(let action, let reason):
      ("\(action): \(reason)", "look at the disk and the system's log (dmesg), then start again")
    }
  }

  private static let rejoining =
    "keep the folder as evidence and go on under new keys: consilium init, then consilium member propose replace"

  /// What helps against damage depends on what else has the data: the folder's name says which store it is.
  private static func remedy(_ path: String) -> String {
    switch path.split(separator: "/").last {
    case "vault": "move the folder away and start again: the other members' vaults fill it"
    case "fhir":
      "bring the folder back, data.mdb and keys from one backup: nobody else has what it holds; to go on without what "
        + "is lost: consilium fhir accept-loss --config node.toml --store fhir"
    case "readings":
      "bring the folder back: nobody else has what it holds; to go on without what is lost: consilium fhir "
        + "accept-loss --config node.toml --store readings"
    default: Self.rejoining
    }
  }
}

/// An LMDB environment with named tables. One write transaction at a time, begun and ended on one thread.
@safe
final class Environment: @unchecked Sendable {
  typealias Table = MDB_dbi

  let path: String
  /// What it may grow to, in bytes.
  let mapSizeMax: Int
  let handle: OpaquePointer
  private let isReadOnly: Bool
  /// Writes that were begun; one at a time counts.
  private var writeCount = 0

  /// Opens the environment in a folder, or creates it where it is not for reading only; `mapSizeMax` is address space,
  /// not disk. Each page that is there is checked before it is believed. Where nobody else has it open, `isAlone`, no
  /// file beside it is written, whatever is there.
  init(
    path: String, mapSizeMax: Int, isReadOnly: Bool = false, isAlone: Bool = false
  ) throws(StorageFailure) {
    (self.path, self.mapSizeMax, self.isReadOnly) = (path, mapSizeMax, isReadOnly)
    if !isReadOnly {
      do {
        try FileManager.default.createDirectory(
          atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      } catch { throw .making(path, error) }
    }
    try Self.checkLength(path)
    try PageWalk.checkMeta(path)
    var created: OpaquePointer?
    unsafe mdb_env_create(&created)
    guard let handle = unsafe created else { throw .system(action: "opening \(path)", reason: "no memory") }
    unsafe self.handle = unsafe handle
    unsafe mdb_env_set_maxdbs(handle, 32)
    unsafe mdb_env_set_maxreaders(handle, 256)
    unsafe mdb_env_set_mapsize(handle, mapSizeMax)
    unsafe StoreDamage.watch(handle)
    let flags =
      UInt32(MDB_NOTLS) | (isReadOnly ? UInt32(MDB_RDONLY) : 0) | (isAlone ? UInt32(MDB_NOLOCK) : 0)
    let status = unsafe mdb_env_open(handle, path, flags, 0o600)
    // From here on a throw runs deinit, which closes the environment.
    guard status == 0 else { throw Self.failure(status, path, "opening \(path)") }
    self.freeReaders()
    try self.checkPages()
  }

  /// So many writes pass between two looks for readers that are gone.
  private static let writesBetweenChecks = 64

  /// Frees what readers of processes that were killed hold. ⚑ Until then no page of after they began is used again, and
  /// the file grows with each write: a backup that is broken off would fill the disk.
  private func freeReaders() {
    guard !self.isReadOnly else { return }
    unsafe mdb_reader_check(self.handle, nil)
  }

  /// So often a writer may commit while the first pages are read.
  private static let checksMax = 16

  /// Walks all pages of what is committed, which a read holds meanwhile.
  private func checkPages() throws(StorageFailure) {
    for _ in 0..<Self.checksMax {
      let held = try self.snapshot()
      if try PageWalk.check(self.path, transaction: held.number) != nil { return }
    }
    throw .system(action: "checking \(self.path)", reason: "another program writes to it all the time")
  }

  private func begin(_ flags: UInt32, _ action: String) throws(StorageFailure) -> OpaquePointer {
    var begun: OpaquePointer?
    var status = unsafe mdb_txn_begin(self.handle, nil, flags, &begun)
    if status == MDB_READERS_FULL {
      self.freeReaders()
      status = unsafe mdb_txn_begin(self.handle, nil, flags, &begun)
    }
    guard status == 0, let begun = unsafe begun else { throw Self.failure(status, self.path, action) }
    return unsafe begun
  }

  deinit { unsafe mdb_env_close(self.handle) }

  private static func length(_ path: String) -> Int? {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path + "/data.mdb")
    return attributes?[.size] as? Int
  }

  /// Two meta pages are the least that a store has; LMDB would take a shorter file for a new one or trap on it.
  private static func checkLength(_ path: String) throws(StorageFailure) {
    guard let length = self.length(path), length > 0, length < 8192 else { return }
    throw .damaged(path: path, reason: "data.mdb has \(length) bytes, its first two pages alone have 8192")
  }

  static func failure(_ status: Int32, _ path: String, _ action: String) -> StorageFailure {
    let reason = unsafe String(cString: mdb_strerror(status))
    switch status {
    case MDB_MAP_FULL, ENOSPC, EDQUOT, EFBIG: return .full(path: path, reason: reason)
    case EIO where DiskRoom.isGone(for: path + "/data.mdb"): return .full(path: path, reason: "the disk is full")
    case MDB_INVALID, MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_VERSION_MISMATCH, MDB_PANIC, MDB_BAD_TXN, MDB_CURSOR_FULL,
      MDB_PAGE_FULL, MDB_INCOMPATIBLE:
      return .damaged(path: path, reason: reason)
    case ENOENT, EACCES, ENOTDIR: return .folder(path: path, reason: reason)
    default: return .system(action: action, reason: reason)
    }
  }

  /// Opens all tables; makes those that are missing, where it is not for reading only.
  func open(_ names: [String]) throws(StorageFailure) -> [Table] {
    let transaction = try unsafe self.begin(self.isReadOnly ? UInt32(MDB_RDONLY) : 0, "opening \(self.path)")
    var tables: [Table] = []
    for name in names {
      var table: Table = 0
      let flags = self.isReadOnly ? 0 : UInt32(MDB_CREATE)
      let status = unsafe mdb_dbi_open(transaction, name, flags, &table)
      guard status == 0 else {
        unsafe mdb_txn_abort(transaction)
        guard status != MDB_NOTFOUND else { throw .damaged(path: self.path, reason: "the table \(name) is missing") }
        throw Self.failure(status, self.path, "opening \(name)")
      }
      tables.append(table)
    }
    // The tables stay open beyond the transaction only where it is committed.
    let committed = unsafe mdb_txn_commit(transaction)
    guard committed == 0 else { throw Self.failure(committed, self.path, "opening \(self.path)") }
    return tables
  }

  /// Writes a format's number into a store that is empty, and refuses one whose tables have something of another than
  /// this and the one that it follows.
  func requireFormat(
    _ format: UInt64, after older: UInt64? = nil, in meta: Table, of tables: [Table]
  ) throws(StorageFailure) {
    let snapshot = try self.snapshot()
    let found = snapshot.get(meta, Key.format).map { Key.number(from: $0) }
    if found == format || found != nil && found == older { return }
    guard found == nil, tables.allSatisfy({ snapshot.key($0, atOrAfter: []) == nil }) else {
      throw .otherFormat(found: found ?? 0, known: format)
    }
    try self.write { transaction throws(StorageFailure) in
      try transaction.put(meta, Key.format, Key.number(format))
    }
  }

  /// One durable write: when it returns, all is on the disk; when it throws, nothing changed. `sums` follow the rows.
  func write(
    sums: ContentSums? = nil, _ body: (borrowing WriteTransaction) throws(StorageFailure) -> Void
  ) throws(StorageFailure) {
    do throws(StorageFailure) { try self.commit(sums, body) } catch {
      StoreRoom.wrote(to: self.path, error)
      throw error
    }
    StoreRoom.wrote(to: self.path, nil)
  }

  private func commit(
    _ sums: ContentSums?, _ body: (borrowing WriteTransaction) throws(StorageFailure) -> Void
  ) throws(StorageFailure) {
    let handle = try unsafe self.begin(0, "beginning a write")
    self.writeCount &+= 1
    if self.writeCount.isMultiple(of: Self.writesBetweenChecks) { self.freeReaders() }
    let transaction = unsafe WriteTransaction(handle: handle, path: self.path, sums: sums)
    do { try body(transaction) } catch {
      unsafe mdb_txn_abort(handle)
      throw error
    }
    let committed = unsafe mdb_txn_commit(handle)
    guard committed == 0 else { throw Self.failure(committed, self.path, "committing to \(self.path)") }
  }

  /// A snapshot for one thread; `renew` moves it on.
  func snapshot() throws(StorageFailure) -> Snapshot {
    try unsafe Snapshot(self.begin(UInt32(MDB_RDONLY), "beginning a read"), self)
  }

  /// Bytes of the file that hold data, and bytes of the file.
  var sizes: (used: Int, file: Int) {
    var info = unsafe MDB_envinfo()
    var statistics = MDB_stat()
    unsafe mdb_env_info(self.handle, &info)
    unsafe mdb_env_stat(self.handle, &statistics)
    return unsafe ((info.me_last_pgno + 1) * Int(statistics.ms_psize), Self.length(self.path) ?? 0)
  }
}

/// A write under way.
@safe
struct WriteTransaction: ~Copyable {
  let handle: OpaquePointer
  let path: String
  let sums: ContentSums?

  func check(_ status: Int32, _ action: String) throws(StorageFailure) {
    guard status == 0 else { throw Environment.failure(status, self.path, action) }
  }

  /// Puts a value under a key.
  func put(_ table: Environment.Table, _ key: [UInt8], _ value: [UInt8]) throws(StorageFailure) {
    let status = unsafe withValue(key) { key in
      unsafe withValue(value) { value in unsafe mdb_put(self.handle, table, key, value, 0) }
    }
    try self.check(status, "writing")
  }

  /// Takes a key out, if it is there; says whether it was.
  @discardableResult
  func remove(_ table: Environment.Table, _ key: [UInt8]) throws(StorageFailure) -> Bool {
    let status = unsafe withValue(key) { key in unsafe mdb_del(self.handle, table, key, nil) }
    guard status != MDB_NOTFOUND else { return false }
    try self.check(status, "removing")
    return true
  }

  /// Takes everything out of a table.
  func clear(_ table: Environment.Table) throws(StorageFailure) {
    try self.check(unsafe mdb_drop(self.handle, table, 0), "clearing")
  }

  /// The value of a key as this write sees it.
  func get(_ table: Environment.Table, _ key: [UInt8]) -> [UInt8]? {
    var copied: [UInt8]?
    unsafe lookUp(self.handle, table, key, self.path) { copied = unsafe Array($0) }
    return copied
  }
}

func withValue(_ bytes: [UInt8], _ body: (UnsafeMutablePointer<MDB_val>) -> Int32) -> Int32 {
  unsafe bytes.withUnsafeBytes { buffer in
    var value = unsafe MDB_val(
      mv_size: buffer.count, mv_data: UnsafeMutableRawPointer(mutating: buffer.baseAddress))
    return unsafe body(&value)
  }
}

/// Hands a key's value to `body`, and says whether there is one. ⚑ An error is not an absence: it ends the process.
@discardableResult
private func lookUp(
  _ transaction: OpaquePointer, _ table: Environment.Table, _ key: [UInt8], _ path: String,
  _ body: (UnsafeRawBufferPointer) -> Void
) -> Bool {
  var found = unsafe MDB_val()
  let status = unsafe withValue(key) { unsafe mdb_get(transaction, table, $0, &found) }
  guard isThere(status, path) else { return false }
  unsafe body(UnsafeRawBufferPointer(start: found.mv_data, count: found.mv_size))
  return true
}

/// Whether something was found.
private func isThere(_ status: Int32, _ path: String) -> Bool {
  guard status != 0 else { return true }
  // A key that no row can have is a question of its own kind, and no damage.
  guard status == MDB_NOTFOUND || status == MDB_BAD_VALSIZE else {
    StoreDamage.halt(Environment.failure(status, path, "reading \(path)"))
  }
  return false
}

private func copy(_ value: MDB_val) -> [UInt8] {
  unsafe Array(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
}

/// What the store held at one moment. For one thread.
@safe
final class Snapshot {
  private let handle: OpaquePointer
  private let environment: Environment

  init(_ handle: OpaquePointer, _ environment: Environment) {
    unsafe self.handle = unsafe handle
    self.environment = environment
  }

  deinit { unsafe mdb_txn_abort(self.handle) }

  /// Moves on to what is committed now.
  func renew() throws(StorageFailure) {
    unsafe mdb_txn_reset(self.handle)
    let status = unsafe mdb_txn_renew(self.handle)
    guard status == 0 else { throw Environment.failure(status, self.environment.path, "renewing a read") }
  }

  var path: String { self.environment.path }
  /// The last transaction that it shows.
  var number: UInt64 { UInt64(unsafe mdb_txn_id(self.handle)) }

  /// Hands a key's value to `body`, and says whether there is one.
  func read(_ table: Environment.Table, _ key: [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) -> Bool {
    unsafe lookUp(self.handle, table, key, self.path, body)
  }

  func get(_ table: Environment.Table, _ key: [UInt8]) -> [UInt8]? {
    var copied: [UInt8]?
    _ = unsafe self.read(table, key) { copied = unsafe Array($0) }
    return copied
  }

  /// The pairs from `start` on in order, while `body` returns true.
  func scan(_ table: Environment.Table, from start: [UInt8], _ body: ([UInt8], [UInt8]) -> Bool) {
    unsafe self.walk(table, from: start, step: MDB_NEXT) { key, value in unsafe body(key, Array(value)) }
  }

  /// The same without a copy of the values.
  func visit(_ table: Environment.Table, from start: [UInt8], _ body: ([UInt8], UnsafeRawBufferPointer) -> Bool) {
    unsafe self.walk(table, from: start, step: MDB_NEXT, body)
  }

  /// The pairs before the end in falling order, while `body` returns true.
  func visitBackwards(_ table: Environment.Table, _ body: ([UInt8], UnsafeRawBufferPointer) -> Bool) {
    unsafe self.walk(table, from: nil, step: MDB_PREV, body)
  }

  private func withCursor(_ table: Environment.Table, _ body: (OpaquePointer) -> Void) {
    var opened: OpaquePointer?
    let status = unsafe mdb_cursor_open(self.handle, table, &opened)
    guard isThere(status, self.path), let cursor = unsafe opened else { return }
    defer { unsafe mdb_cursor_close(cursor) }
    unsafe body(cursor)
  }

  /// The first key at or after `start`, without its value.
  func key(_ table: Environment.Table, atOrAfter start: [UInt8]) -> [UInt8]? {
    var key: [UInt8]?
    unsafe self.walk(table, from: start, step: MDB_NEXT) { found, _ in
      key = found
      return false
    }
    return key
  }

  /// The last pair whose key is at or before `key`.
  func last(_ table: Environment.Table, atOrBefore key: [UInt8]) -> (key: [UInt8], value: [UInt8])? {
    var out: (key: [UInt8], value: [UInt8])?
    unsafe self.withCursor(table) { cursor in
      var (found, value) = unsafe (MDB_val(), MDB_val())
      let status = unsafe withValue(key) { wanted in
        unsafe found = unsafe wanted.pointee
        return unsafe mdb_cursor_get(cursor, &found, &value, MDB_SET_RANGE)
      }
      let isFound = isThere(status, self.path)
      if isFound, unsafe copy(found) == key { return out = unsafe (key, copy(value)) }
      let previous = unsafe mdb_cursor_get(cursor, &found, &value, isFound ? MDB_PREV : MDB_LAST)
      if isThere(previous, self.path) { out = unsafe (copy(found), copy(value)) }
    }
    return out
  }

  private func walk(
    _ table: Environment.Table, from start: [UInt8]?, step: MDB_cursor_op,
    _ body: ([UInt8], UnsafeRawBufferPointer) -> Bool
  ) {
    unsafe self.withCursor(table) { cursor in
      var (key, value) = unsafe (MDB_val(), MDB_val())
      var status: Int32
      if let start {
        status = unsafe withValue(start) { wanted in
          unsafe key = unsafe wanted.pointee
          return unsafe mdb_cursor_get(cursor, &key, &value, start.isEmpty ? MDB_FIRST : MDB_SET_RANGE)
        }
      } else {
        status = unsafe mdb_cursor_get(cursor, &key, &value, MDB_LAST)
      }
      while isThere(status, self.path),
        unsafe body(copy(key), UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
      {
        status = unsafe mdb_cursor_get(cursor, &key, &value, step)
      }
    }
  }
}

extension WriteTransaction {
  /// Takes out the pairs from a key, or from the table's start, through another.
  func remove(
    _ table: Environment.Table, from start: [UInt8] = [], through key: [UInt8]
  ) throws(StorageFailure) {
    try unsafe self.removeEach(table, from: start, through: key) { (_, _) throws(StorageFailure) in }
  }

  /// The same; `removing` sees each pair before it goes.
  func removeEach(
    _ table: Environment.Table, from start: [UInt8] = [], through key: [UInt8],
    _ removing: ([UInt8], MDB_val) throws(StorageFailure) -> Void
  ) throws(StorageFailure) {
    var opened: OpaquePointer?
    try self.check(unsafe mdb_cursor_open(self.handle, table, &opened), "opening a cursor")
    guard let cursor = unsafe opened else { return }
    defer { unsafe mdb_cursor_close(cursor) }
    var (found, value) = unsafe (MDB_val(), MDB_val())
    var status = unsafe withValue(start) { wanted in
      unsafe found = unsafe wanted.pointee
      return unsafe mdb_cursor_get(cursor, &found, &value, start.isEmpty ? MDB_FIRST : MDB_SET_RANGE)
    }
    while status == 0, unsafe !key.lexicographicallyPrecedes(copy(found)) {
      try unsafe removing(copy(found), value)
      try self.check(unsafe mdb_cursor_del(cursor, 0), "removing")
      status = unsafe mdb_cursor_get(cursor, &found, &value, MDB_NEXT)
    }
    guard status != MDB_NOTFOUND else { return }
    try self.check(status, "removing")
  }
}
