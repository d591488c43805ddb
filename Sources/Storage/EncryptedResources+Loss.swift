internal import FHIR
internal import Primitives
internal import Wire

/// What cannot be opened any more: it is named as far as anything still tells its name, and taken out where the
/// hospital goes on without it.
extension EncryptedResources {
  private static let nameBytes = 32

  /// Has a failure say which resource it met.
  func naming<Value>(_ place: [UInt8], _ snapshot: Snapshot, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let failure as StorageFailure {
      guard case .damaged(let path, let reason) = failure else { throw failure }
      throw StorageFailure.damaged(path: path, reason: "\(try self.title(of: place, snapshot)): \(reason)")
    }
  }

  /// Type and identifier of the resource of a row, as any of its versions or its note says them; else where it stands.
  private func title(of place: [UInt8], _ snapshot: Snapshot) throws -> String {
    let name = Array(place.prefix(Self.nameBytes))
    var found: String?
    var failure: (any Error)?
    snapshot.scan(self.table.handle, from: name) { key, value in
      guard key.starts(with: name) else { return false }
      do { found = try self.unlessDamaged { try self.open(value, at: key).name } } catch { failure = error }
      return found == nil && failure == nil
    }
    if let failure { throw failure }
    if found == nil, let value = snapshot.get(self.anchors.handle, name) {
      found = try self.unlessDamaged { try self.note(value, at: name).name }
    }
    return found ?? "a resource whose name is lost (\(Hex.encode(Array(name.prefix(8)))))"
  }

  /// What was read; nil where it is damaged.
  private func unlessDamaged<Value>(_ body: () throws -> Value) throws -> Value? {
    do { return try body() } catch let failure as StorageFailure {
      guard case .damaged = failure else { throw failure }
      return nil
    } catch is WireError { return nil }
  }

  /// Takes out every resource of which a version or the note cannot be opened, as a whole: an earlier version must not
  /// be taken for the current one. Says their names, as far as they are known.
  public func takeOutDamaged() throws -> [String] {
    if try self.unlessDamaged({ try self.bases() }) == nil { try self.keep(bases: []) }
    let snapshot = try self.environment.snapshot()
    var damaged: Set<[UInt8]> = []
    var failure: (any Error)?
    func look(_ table: CountedTable, _ open: ([UInt8], [UInt8]) throws -> Void) {
      snapshot.scan(table.handle, from: []) { place, value in
        do {
          if try self.unlessDamaged({ try open(value, place) }) == nil {
            damaged.insert(Array(place.prefix(Self.nameBytes)))
          }
        } catch { failure = error }
        return failure == nil
      }
    }
    look(self.table) { _ = try self.open($0, at: $1) }
    look(self.anchors) { _ = try self.note($0, at: $1) }
    if let failure { throw failure }
    let names = try damaged.map { try self.title(of: $0, snapshot) }.sorted()
    var (places, links, slots): ([[UInt8]], [[UInt8]], [[UInt8]]) = ([], [], [])
    for name in damaged {
      snapshot.scan(self.table.handle, from: name) { place, value in
        guard place.starts(with: name) else { return false }
        places.append(place)
        // ⚑ Only a value that opens says truly which key is its own.
        do {
          if try self.unlessDamaged({ try self.open(value, at: place) }) != nil { slots.append(Array(value.prefix(8))) }
        } catch { failure = error }
        return failure == nil
      }
    }
    if let failure { throw failure }
    snapshot.scan(self.anchored.handle, from: []) { key, _ in
      if damaged.contains(Array(key.dropFirst(Digest.lengthBytes).prefix(Self.nameBytes))) { links.append(key) }
      return true
    }
    let (gone, undone, keys) = (places, links, slots)
    try self.account.change { transaction throws(StorageFailure) in
      for place in gone { try transaction.remove(self.table, place) }
      for link in undone { try transaction.remove(self.anchored, link) }
      for name in damaged { try transaction.remove(self.anchors, name) }
      for slot in keys { try transaction.put(self.dying, slot, [1]) }
    }
    try self.overwriteDying()
    return names
  }
}
