public import FHIR
internal import HealthRecords
public import Primitives
internal import Signing
internal import Synchronization
internal import Wire

/// The resources that this hospital's EHR wrote, every version, encrypted: names are keyed hashes, and each value is
/// sealed with the hospital's key and one of its own, which is overwritten when the value is erased.
public final class EncryptedResources: ResourceStore {
  /// The format that this program writes.
  private static let format: UInt64 = 2
  /// The one before: the same without sums.
  private static let formatBefore: UInt64 = 1

  let environment: Environment
  /// Bytes of the file that hold data, and bytes of the file.
  public var sizes: (used: Int, file: Int) { self.environment.sizes }
  let table: CountedTable
  /// By record, name and version: what a record anchors.
  let anchored: CountedTable
  /// By name: what the ledger has of a resource.
  let anchors: CountedTable
  /// Numbers of keys that are to be overwritten.
  let dying: CountedTable
  let meta: Environment.Table
  let account: StoreAccount
  let key: [UInt8]
  let keys: KeySlots
  /// How many keys began to die since the last were overwritten.
  private let dyingCount = Mutex(0)
  /// So many wait at most until they are overwritten.
  private static let dyingMax = 1024

  /// Opens or makes the store in a folder, for a node whose keys give `key`; `mark` is what it remembers of the store
  /// outside that folder. Where a loss is accepted, what is there counts from now on.
  ///
  /// - Throws: `StorageFailure.lost` or `damaged` where anything is missing of what was written.
  public init(
    path: String, mapSizeMax: Int, key: Digest, mark: StoreMark? = nil, isLossAccepted: Bool = false
  ) throws(StorageFailure) {
    if !isLossAccepted { try StoreAccount.requireData(in: path, mark: mark) }
    self.environment = try Environment(path: path, mapSizeMax: mapSizeMax)
    let names = ["resources", "anchored", "dying", "anchors"]
    let opened = try self.environment.open(names + ["meta"])
    let tables = names.indices.map { CountedTable(handle: opened[$0], number: UInt8($0), name: names[$0]) }
    let meta = opened[names.count]
    self.meta = meta
    (self.table, self.anchored, self.dying, self.anchors) = (tables[0], tables[1], tables[2], tables[3])
    // ⚑ Nothing is written into a store that is not the right one.
    let checked = try StoreAccount.check(
      self.environment, meta: meta, tables: tables, older: Self.formatBefore, mark: mark,
      isLossAccepted: isLossAccepted)
    try self.environment.requireFormat(Self.format, after: Self.formatBefore, in: meta, of: [opened[0]])
    let snapshot = try self.environment.snapshot()
    let below = isLossAccepted ? KeySlots.lostMax : Self.withoutKey
    let named = max(
      Self.namedKeyCount(in: opened[0], below: below, snapshot),
      Self.namedKeyCount(in: opened[3], below: below, snapshot))
    self.keys = try KeySlots(folder: path, named: named, onShortage: isLossAccepted ? .counted : .refused)
    self.key = try HospitalKey.read(path, own: key).bytes
    self.account = StoreAccount(checked)
    try self.environment.requireKey(self.key, in: meta) { snapshot throws(StorageFailure) in
      try self.opensFirst(in: snapshot)
    }
    try self.account.settle(checked, format: Self.format, isLossAccepted: isLossAccepted)
    try self.overwriteDying()
  }

  /// How it was found.
  public var opening: StoreOpening { self.account.opening }

  /// Counts that a node begins with it; `left` is what that kept the last time, and what is returned it keeps now.
  ///
  /// - Throws: `StorageFailure.lost` where it is another store than that, or an older copy.
  public func begin(after left: StoreAge?) throws(StorageFailure) -> StoreAge { try self.account.begin(after: left) }

  /// How far it is written, durably.
  ///
  /// - Throws: `StorageFailure` where it cannot be read.
  public func age() throws(StorageFailure) -> StoreAge { try self.account.age() }

  /// Whether the first row opens with the key; nil where there is none.
  private func opensFirst(in snapshot: Snapshot) throws(StorageFailure) -> Bool? {
    var first: (key: [UInt8], value: [UInt8])?
    for table in [self.table, self.anchors] where first == nil {
      snapshot.scan(table.handle, from: []) { key, value in
        first = (key, value)
        return false
      }
    }
    guard let first else { return nil }
    guard first.value.count > 8, let key = try self.noteKey(Key.number(from: first.value.prefix(8))) else {
      throw .damaged(path: self.environment.path, reason: Self.withoutItsKey)
    }
    return KeySlots.unseal(Array(first.value.dropFirst(8)), key: key, place: first.key) != nil
  }

  private static let withoutItsKey = "a resource's own key is gone: keys is another store's, or older than data.mdb"

  /// Above all keys below an end that a table's rows name.
  private static func namedKeyCount(
    in table: Environment.Table, below end: UInt64, _ snapshot: Snapshot
  ) -> UInt64 {
    var named: UInt64 = 0
    unsafe snapshot.visit(table, from: []) { _, value in
      let slot = unsafe Key.number(from: Array(value.prefix(8)))
      if slot < end { named = max(named, slot + 1) }
      return true
    }
    return named
  }

  /// ⚑ What was to be overwritten when the process ended is overwritten now.
  func overwriteDying() throws(StorageFailure) {
    var slots: [UInt64] = []
    try self.environment.snapshot().scan(self.dying.handle, from: []) { key, _ in
      slots.append(Key.number(from: key))
      return true
    }
    guard !slots.isEmpty else { return }
    try self.keys.destroy(slots)
    try self.account.change { transaction throws(StorageFailure) in
      for slot in slots { try transaction.remove(self.dying, Key.number(slot)) }
    }
  }

  private func name(_ type: String, _ id: String) -> [UInt8] { self.name("\(type)/\(id)") }

  func name(_ name: String) -> [UInt8] {
    Hash.blake2b("consilium/fhir-name/v1", self.key, Array(name.utf8)).bytes
  }

  /// The latest version of every resource, one after another.
  public func latest(_ each: (StoredResource) -> Void) throws {
    let snapshot = try self.environment.snapshot()
    var last: (key: [UInt8], value: [UInt8])?
    var rows: [(key: [UInt8], value: [UInt8])] = []
    snapshot.scan(self.table.handle, from: []) { key, value in
      if let last, last.key.prefix(32) != key.prefix(32) { rows.append(last) }
      last = (key, value)
      return true
    }
    if let last { rows.append(last) }
    for row in rows { each(try self.naming(row.key, snapshot) { try self.open(row.value, at: row.key) }) }
  }

  /// All versions of a resource, in order.
  public func versions(type: String, id: String) throws -> [StoredResource] {
    try self.versions(self.name(type, id), in: self.environment.snapshot())
  }

  private func versions(_ name: [UInt8], in snapshot: Snapshot) throws -> [StoredResource] {
    var rows: [(key: [UInt8], value: [UInt8])] = []
    snapshot.scan(self.table.handle, from: name) { key, value in
      guard key.starts(with: name) else { return false }
      rows.append((key, value))
      return true
    }
    return try rows.map { try self.open($0.value, at: $0.key) }
  }

  /// One version of a resource; nil where there is none.
  public func version(_ version: UInt64, type: String, id: String) throws -> StoredResource? {
    let snapshot = try self.environment.snapshot()
    let place = self.name(type, id) + Key.number(version)
    return try snapshot.get(self.table.handle, place).map { try self.open($0, at: place) }
  }

  /// Makes versions and notes durable, all or none.
  public func write(_ resources: [StoredResource], notes: [AnchorNote]) throws {
    let isOver = self.dyingCount.withLock { count in
      count += notes.count
      defer { if count > Self.dyingMax { count = 0 } }
      return count > Self.dyingMax
    }
    try self.account.change { transaction throws(StorageFailure) in
      for resource in resources {
        let place = self.name(resource.type, resource.id) + Key.number(resource.version)
        // A version that is written again, with its record, keeps its key.
        let known = transaction.get(self.table.handle, place).map { Key.number(from: $0.prefix(8)) }
        try self.put(resource, at: place, slot: known, transaction)
        if let record = resource.record { try transaction.put(self.anchored, record.bytes + place, [1]) }
      }
      for note in notes { try self.put(note, transaction) }
    }
    if isOver { try self.overwriteDying() }
  }

  private func put(
    _ resource: StoredResource, at place: [UInt8], slot known: UInt64?, _ transaction: borrowing WriteTransaction
  ) throws(StorageFailure) {
    let slot = if let known { known } else { try self.keys.take() }
    guard let key = try self.key(slot) else {
      throw .damaged(path: self.environment.path, reason: "key \(slot) of \(resource.type) is gone")
    }
    var encoder = Encoder(capacity: resource.body.count + 256)
    encoder.text(resource.type)
    encoder.text(resource.id)
    encoder.u64(resource.version)
    encoder.u64(resource.ordinal)
    encoder.item(resource.updated)
    encoder.digest(resource.record ?? .zero)
    encoder.blob(resource.body)
    if let erased = resource.erased {
      encoder.u8(erased.right.rawValue)
      encoder.item(erased.time)
      encoder.digest(erased.account ?? .zero)
      for identifier in erased.identifiers { encoder.digest(identifier) }
    }
    let sealed = KeySlots.seal(encoder.bytes, key: key, place: place)
    try transaction.put(self.table, place, Key.number(slot) + sealed)
  }

  /// The key of a value: the hospital's, and its own.
  func key(_ slot: UInt64) throws(StorageFailure) -> [UInt8]? {
    try self.keys.key(slot).map { Hash.blake2b("consilium/fhir-value/v1", self.key, $0).bytes }
  }

  /// The records that anchor anything here.
  public func records() throws -> [Digest] {
    var out: [Digest] = []
    try self.environment.snapshot().scan(self.anchored.handle, from: []) { key, _ in
      if let record = Digest(key.prefix(Digest.lengthBytes)), record != out.last { out.append(record) }
      return true
    }
    return out
  }

  /// The versions that go with a record.
  public func going(with record: Digest) throws -> [StoredResource] {
    let snapshot = try self.environment.snapshot()
    return try Self.names(of: self.places(of: record, in: snapshot)).flatMap { name in
      StoredResource.going(with: record, of: try self.versions(name, in: snapshot))
    }
  }

  /// The places of the versions that a record anchors.
  private func places(of record: Digest, in snapshot: Snapshot) -> [[UInt8]] {
    var places: [[UInt8]] = []
    snapshot.scan(self.anchored.handle, from: record.bytes) { key, _ in
      guard key.starts(with: record.bytes) else { return false }
      places.append(Array(key.dropFirst(Digest.lengthBytes)))
      return true
    }
    return places
  }

  /// The names of resources within places, each once.
  private static func names(of places: [[UInt8]]) -> [[UInt8]] {
    Set(places.map { Array($0.prefix(32)) }).sorted { $0.lexicographicallyPrecedes($1) }
  }

  /// Puts what `remains` of them in the place of the versions that go with a record. When it returns, nothing else of
  /// them can be read: not in pages that the database uses no more, by a holder of the hospital's secret, either.
  public func erase(_ record: Digest, remains: (StoredResource) -> StoredResource) throws -> [StoredResource] {
    let snapshot = try self.environment.snapshot()
    let places = self.places(of: record, in: snapshot)
    var out: [StoredResource] = []
    var notes: [AnchorNote] = []
    for name in Self.names(of: places) {
      let going = StoredResource.going(with: record, of: try self.versions(name, in: snapshot))
      out += going.map(remains)
      // A draft of what goes is never submitted, nor kept.
      guard let value = snapshot.get(self.anchors.handle, name) else { continue }
      var note = try self.note(value, at: name)
      guard let version = note.draft?.goal.version, going.contains(where: { $0.version == version }) else { continue }
      note.draft = nil
      notes.append(note)
    }
    let (remaining, links, undone) = (out, places, notes)
    guard !links.isEmpty else {
      // Perhaps the last attempt ended before this.
      try self.overwriteDying()
      return []
    }
    try self.account.change { transaction throws(StorageFailure) in
      for resource in remaining {
        let place = self.name(resource.type, resource.id) + Key.number(resource.version)
        if let value = transaction.get(self.table.handle, place) {
          try transaction.put(self.dying, Array(value.prefix(8)), [1])
        }
        try self.put(resource, at: place, slot: nil, transaction)
      }
      for link in links { try transaction.remove(self.anchored, record.bytes + link) }
      for note in undone { try self.put(note, transaction) }
    }
    try self.overwriteDying()
    return out
  }

  func open(_ value: [UInt8], at place: [UInt8]) throws -> StoredResource {
    func damaged(_ reason: String) -> StorageFailure { .damaged(path: self.environment.path, reason: reason) }
    guard value.count > 8, let key = try self.key(Key.number(from: value.prefix(8))) else {
      throw damaged(Self.withoutItsKey)
    }
    guard let bytes = KeySlots.unseal(Array(value.dropFirst(8)), key: key, place: place) else {
      throw damaged("a resource was not sealed with this hospital's key, or was changed")
    }
    var decoder = Decoder(bytes)
    let type = try decoder.text(max: 256, "type")
    let id = try decoder.text(max: 256, "id")
    let version = try decoder.u64()
    let ordinal = try decoder.u64()
    let updated = try Timestamp(from: &decoder)
    let record = try decoder.digest()
    let body = try decoder.blob(max: decoder.remaining, "resource")
    var resource = StoredResource(
      type: type, id: id, version: version, ordinal: ordinal, updated: updated, body: body,
      record: record == .zero ? nil : record)
    guard decoder.remaining > 0 else { return resource }
    guard let right = Erasure(rawValue: try decoder.u8()) else { throw damaged("an erasure of no known right") }
    let time = try Timestamp(from: &decoder)
    let account = try decoder.digest()
    var identifiers: [Digest] = []
    while decoder.remaining > 0 { identifiers.append(try decoder.digest()) }
    resource.erased = StoredResource.Erased(
      right: right, time: time, account: account == .zero ? nil : account, identifiers: identifiers)
    return resource
  }
}

extension StorageFailure: ResourceStoreFailure {
  /// Whether the disk, or what the store may use of it, is full.
  public var isWantOfRoom: Bool {
    if case .full = self { true } else { false }
  }
}
