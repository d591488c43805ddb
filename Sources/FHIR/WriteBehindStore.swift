import Primitives
internal import Synchronization

/// A store before another, where what became of drafts waits in memory for the next write and is durable with it: no
/// request waits for the disk once more after the ledger has its record.
///
/// ⚑ What waits is lost with the process, and found out again: the draft is durable, and what the ledger says of its
/// record is noted again. All that is read here is as if it were written.
final class WriteBehindStore: ResourceStore {
  private struct Place: Hashable {
    let name: String
    let version: UInt64
  }

  private struct Waiting {
    var resources: [Place: StoredResource] = [:]
    var notes: [String: AnchorNote] = [:]
    var byteCount = 0

    var isEmpty: Bool { self.resources.isEmpty && self.notes.isEmpty }
  }

  /// The most resources and notes that wait, each.
  private static let countMax = 1000
  /// The most bytes of resources that wait.
  private static let byteCountMax = 8 << 20

  private let store: any ResourceStore
  private let waiting = Mutex(Waiting())

  init(_ store: any ResourceStore) { self.store = store }

  /// Keeps versions and notes, which are durable with the next write.
  func keepForNow(_ resources: [StoredResource], notes: [AnchorNote]) throws {
    let isOver = self.waiting.withLock { waiting in
      for resource in resources {
        waiting.byteCount += resource.body.count
        waiting.resources[Place(name: resource.name, version: resource.version)] = resource
      }
      for note in notes { waiting.notes[note.name] = note }
      return waiting.byteCount > Self.byteCountMax || waiting.resources.count > Self.countMax
        || waiting.notes.count > Self.countMax
    }
    if isOver { try self.flush() }
  }

  /// Makes durable what waits.
  func flush() throws { try self.write([], notes: []) }

  func write(_ resources: [StoredResource], notes: [AnchorNote]) throws {
    try self.waiting.withLock { waiting in
      guard !waiting.isEmpty else {
        if !resources.isEmpty || !notes.isEmpty { try self.store.write(resources, notes: notes) }
        return
      }
      // What is written now is later than what waits. Where the disk takes neither, the latter waits on.
      let places = Set(resources.map { Place(name: $0.name, version: $0.version) })
      let names = Set(notes.map(\.name))
      let earlier = waiting.resources.filter { !places.contains($0.key) }.values.sorted { $0.ordinal < $1.ordinal }
      let noted = waiting.notes.filter { !names.contains($0.key) }.values.sorted { $0.name < $1.name }
      try self.store.write(earlier + resources, notes: noted + notes)
      waiting = Waiting()
    }
  }

  func version(_ version: UInt64, type: String, id: String) throws -> StoredResource? {
    let waits = self.waiting.withLock { waiting in
      waiting.isEmpty ? nil : waiting.resources[Place(name: "\(type)/\(id)", version: version)]
    }
    return try waits ?? self.store.version(version, type: type, id: id)
  }

  func versions(type: String, id: String) throws -> [StoredResource] {
    let stored = try self.store.versions(type: type, id: id)
    return self.waiting.withLock { waiting in
      waiting.isEmpty
        ? stored : stored.map { waiting.resources[Place(name: $0.name, version: $0.version)] ?? $0 }
    }
  }

  func note(of name: String) throws -> AnchorNote? {
    try self.waiting.withLock { $0.notes[name] } ?? self.store.note(of: name)
  }

  func latest(_ each: (StoredResource) -> Void) throws {
    try self.flush()
    try self.store.latest(each)
  }

  func notes(_ each: (AnchorNote) -> Void) throws {
    try self.flush()
    try self.store.notes(each)
  }

  func records() throws -> [Digest] {
    try self.flush()
    return try self.store.records()
  }

  func going(with record: Digest) throws -> [StoredResource] {
    try self.flush()
    return try self.store.going(with: record)
  }

  func erase(_ record: Digest, remains: (StoredResource) -> StoredResource) throws -> [StoredResource] {
    try self.flush()
    return try self.store.erase(record, remains: remains)
  }

  func bases() throws -> [String] { try self.store.bases() }
  func keep(bases: [String]) throws { try self.store.keep(bases: bases) }
}
