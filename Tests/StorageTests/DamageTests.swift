// Goal: what is stored is given to nobody where it is not what was written; what is missing is noticed.
// Method: rows of a real LMDB file are changed behind the store's back, through another environment on the same file.
import CLMDB
import Foundation
import Ledger
import Messages
import NodeCore
import Primitives
import Rules
import Signing
import Simulator
import Storage
import Testing

/// Another program that writes to a store's file.
@safe
private final class Intruder {
  private let environment: OpaquePointer

  init(_ folder: Folder) throws {
    var made: OpaquePointer?
    #expect(unsafe mdb_env_create(&made) == 0)
    guard let opened = unsafe made else { throw CocoaError(.fileReadUnknown) }
    unsafe self.environment = unsafe opened
    unsafe mdb_env_set_maxdbs(self.environment, 32)
    unsafe mdb_env_set_mapsize(self.environment, 1 << 30)
    #expect(unsafe mdb_env_open(self.environment, folder.path, UInt32(MDB_NOTLS), 0o600) == 0)
  }
  deinit { unsafe mdb_env_close(self.environment) }

  /// Visits the rows of a table; nil as a new value takes one out, the same leaves it.
  func change(_ table: String, _ body: (_ key: [UInt8], _ value: [UInt8]) -> [UInt8]?) {
    var (transaction, cursor): (OpaquePointer?, OpaquePointer?) = (nil, nil)
    var handle: MDB_dbi = 0
    #expect(unsafe mdb_txn_begin(self.environment, nil, 0, &transaction) == 0)
    #expect(unsafe mdb_dbi_open(transaction, table, 0, &handle) == 0)
    #expect(unsafe mdb_cursor_open(transaction, handle, &cursor) == 0)
    var (key, value) = unsafe (MDB_val(), MDB_val())
    while unsafe mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0 {
      let (name, row) = unsafe (
        Array(UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size)),
        Array(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
      )
      guard var changed = body(name, row) else {
        #expect(unsafe mdb_cursor_del(cursor, 0) == 0)
        continue
      }
      guard changed != row else { continue }
      let status = unsafe changed.withUnsafeMutableBytes { bytes in
        var new = unsafe MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
        return unsafe mdb_cursor_put(cursor, &key, &new, UInt32(MDB_CURRENT))
      }
      #expect(status == 0)
    }
    unsafe mdb_cursor_close(cursor)
    #expect(unsafe mdb_txn_commit(transaction) == 0)
  }
}

/// Rules that write rows, before any transaction.
private struct Rows: ExecutionRules {
  func execute(
    _ transaction: Transaction, identifier: Digest, in context: ExecutionContext, state: inout StateEditor
  ) -> OutcomeCode { .applied }
  func isTimeless(_ kind: UInt16) -> Bool { false }
  func changesRules(_ kind: UInt16) -> Bool { false }
  func unknownVersion(in state: StateEditor) -> UInt16? { nil }
  func expire(in context: ExecutionContext, state: inout StateEditor) {
    for number in 0..<40 as Range<UInt8> { state.set([1, number], [UInt8](repeating: number, count: 30)) }
  }
  func deadline(in state: StateEditor) -> Timestamp { .never }

  /// What executing one cut of no blocks writes.
  static func write(_ genesis: Genesis) throws -> ExecutionWrite {
    var execution = Execution(
      network: genesis.network, configuration: genesis.configuration, limits: genesis.limits, rules: Rows(),
      position: LedgerPosition(), cut: .genesis(lanes: 4), identifiers: [], openTiles: [])
    execution.begin(.genesis(lanes: 4), at: SequenceNumber(1), blocks: [], reader: MemoryState())
    return try #require(try execution.advance(max: 1)).write
  }
}

@Suite("Damage")
struct DamageTests {
  /// A store with a history, closed; `intrude` changes it, `look` opens it again.
  private func damaged(
    withRows: Bool = false, _ intrude: (Intruder, Cluster) -> Void,
    _ look: (Store, StoreReader, Cluster) throws -> Void
  ) throws {
    let (folder, cluster) = (Folder(), withRows ? Cluster(count: 4, seed: 1) : history())
    do {
      let written = withRows ? [.execution(try Rows.write(cluster.genesis))] : writes(of: cluster)
      try open(folder, cluster.genesis).write(written)
    }
    do { intrude(try Intruder(folder), cluster) }
    let store = try open(folder, cluster.genesis)
    try look(store, try StoreReader(store), cluster)
  }

  private func flipped(_ bytes: [UInt8], _ index: Int) -> [UInt8] {
    var out = bytes
    out[index] ^= 1
    return out
  }

  @Test("What was written is found so: all rows, all of the history")
  func sound() throws {
    try self.damaged({ _, _ in }) { _, reader, cluster in
      #expect(try reader.checkContent() > 10)
      let (heights, rotten) = try reader.checkHistory()
      #expect(heights == cluster.disk(0).position.sequence.number && rotten.isEmpty)
    }
  }

  @Test(
    "A bit of an executed block, a decision or an execution is wrong: served to nobody, and known by its height",
    arguments: ["blocks", "decisions", "executions"], [0.0, 0.3, 0.6, 0.99])
  func bits(table: String, place: Double) throws {
    var number = 0
    try self.damaged({ intruder, _ in
      intruder.change(table) { _, value in
        number += 1
        return number == 7 ? self.flipped(value, Int(Double(value.count - 1) * place)) : value
      }
    }) { _, reader, cluster in
      let rotten = try reader.checkHistory().rotten
      #expect(rotten.count == 1)
      guard case .rotten(_, let sequence, _) = rotten.first else { return }
      let record = try #require(cluster.disk(0).executions.first { $0.record.sequence == sequence }?.record)
      let other = try #require(cluster.disk(0).executions.first { $0.record.sequence != sequence }?.record)
      #expect(throws: StorageFailure.self) { try reader.history(from: sequence, bytesMax: 1) }
      if table != "decisions", !record.outcomes.isEmpty {
        #expect(throws: StorageFailure.self) { try reader.entries(from: record.firstLeaf, to: record.firstLeaf + 1) }
      }
      if !other.outcomes.isEmpty {
        #expect(try reader.entries(from: other.firstLeaf, to: other.firstLeaf + 1).count == 1)
      }
      if table == "blocks" {
        for lane in 0..<4 where record.blocks.contains(where: { $0.lane == lane }) {
          let all = try? reader.blocks(
            lane: lane, from: LanePosition(1), through: LanePosition(1 << 40), bytesMax: .max, passingOver: true)
          #expect((all?.count ?? 0) > 0)
        }
      }
    }
  }

  @Test("A block that the others' digests do not name, or that is gone, is rotten at its height")
  func gone() throws {
    var number = 0
    try self.damaged({ intruder, _ in
      intruder.change("blocks") { _, value in
        number += 1
        return number == 5 ? nil : value
      }
    }) { _, reader, _ in
      let rotten = try reader.checkHistory().rotten
      #expect(rotten.count == 1)
    }
  }

  @Test("A damaged cut becomes a gap, and what another member has fills it: then all is whole again")
  func healed() throws {
    let other = Folder()
    var number = 0
    try self.damaged({ intruder, _ in
      intruder.change("executions") { _, value in
        number += 1
        return number == 9 ? self.flipped(value, 20) : number == 10 ? nil : value
      }
    }) { store, reader, cluster in
      let peer = try open(other, cluster.genesis, member: 2)
      try peer.write(writes(of: cluster))
      var gaps: [HistoryGap] = []
      for failure in try reader.checkHistory().rotten {
        guard case .rotten(_, let sequence, _) = failure else { continue }
        if gaps.contains(where: { $0.low < sequence && sequence <= $0.next }) { continue }
        gaps.append(try #require(try reader.gap(around: sequence, among: gaps)))
      }
      #expect(!gaps.isEmpty)
      try store.write([.history([], gaps)])
      while let gap = gaps.last {
        let items = try StoreReader(peer).history(from: gap.next, bytesMax: 1)
        let checked = try StoreReader(store).check(items, filling: gaps, of: cluster.genesis)
        #expect(!checked.kept.isEmpty)
        guard !checked.kept.isEmpty else { break }
        try store.write([.history(checked.kept, checked.gaps)])
        gaps = checked.gaps
      }
      let whole = try StoreReader(store)
      #expect(try whole.checkHistory().rotten.isEmpty)
      #expect(try whole.gaps().isEmpty)
      #expect(try whole.entries(from: 0, to: .max).count == 3200)
      #expect(try whole.checkContent() > 0)
    }
  }

  @Test("Rows that another program deleted, changed or put in are noticed, in every table that is counted")
  func rows() throws {
    for table in ["meta", "identifiers", "state", "tiles"] {
      for kind in 0..<2 {
        var number = 0
        try self.damaged(withRows: table == "state") { intruder, _ in
          intruder.change(table) { key, value in
            // The sums have a check of their own, the format is known.
            guard key != Array("sums".utf8), key != Array("format".utf8), key != Array("identity".utf8),
              key != Array("incarnation".utf8)
            else { return value }
            number += 1
            return number == 1 ? (kind == 0 ? nil : self.flipped(value, value.count / 2)) : value
          }
        } _: { _, reader, _ in
          #expect(throws: StorageFailure.self, "\(table), \(kind)") { try reader.checkContent() }
        }
      }
    }
  }

  @Test("An auditor who re-executed names the rows of the state that differ")
  func differences() throws {
    var keys: [[UInt8]] = []
    try self.damaged(withRows: true) { intruder, _ in
      intruder.change("state") { key, value in
        keys.append(key)
        return keys.count == 1 ? nil : keys.count == 2 ? self.flipped(value, 0) : value
      }
    } _: { _, reader, cluster in
      var state = MemoryState()
      state.apply(try Rows.write(cluster.genesis).writes)
      let found = reader.differences(from: state, max: 9)
      #expect(found.map(\.key) == Array(keys.prefix(2)) && found.map(\.kind) == [.missing, .changed])
      state.apply([StateWrite(key: keys[2], value: nil)])
      #expect(reader.differences(from: state, max: 9).map(\.kind) == [.missing, .changed, .added])
    }
  }

  @Test("A block that waits to be executed is asked for again where it is another's; an own one stops the start")
  func waiting() throws {
    for member in [1, 2] as [UInt32] {
      let (folder, cluster) = (Folder(), history())
      let lanes = cluster.disk(0).blocks
      do {
        let store = try open(folder, cluster.genesis, member: member)
        for position in lanes[0].keys.sorted() { try store.write((lanes[0][position] ?? []).map { .block($0) }) }
      }
      var number = 0
      do {
        try Intruder(folder).change("blocks") { _, value in
          number += 1
          return number == 3 ? self.flipped(value, value.count - 20) : value
        }
      }
      let reader = try StoreReader(try open(folder, cluster.genesis, member: member))
      if member == 1 {
        #expect(throws: StorageFailure.self) { try reader.restore(limits: cluster.genesis.limits) }
      } else {
        #expect(try reader.restore(limits: cluster.genesis.limits).blocks.count == number - 1)
      }
    }
  }
}
