public import FHIR
internal import Primitives
internal import Signing
internal import Wire

/// Notes on what the ledger has of resources. One with a draft holds a sealed record: it is sealed with a key of its
/// own, which is overwritten once the draft is done with, so that nothing of what is erased later is left in it.
extension EncryptedResources {
  static let withoutKey = UInt64.max

  /// What the ledger has of each resource that it has anything of.
  public func notes(_ each: (AnchorNote) -> Void) throws {
    let snapshot = try self.environment.snapshot()
    var rows: [(key: [UInt8], value: [UInt8])] = []
    snapshot.scan(self.anchors.handle, from: []) { key, value in
      rows.append((key, value))
      return true
    }
    for row in rows { each(try self.naming(row.key, snapshot) { try self.note(row.value, at: row.key) }) }
  }

  /// What the ledger has of a resource; nil where nothing.
  public func note(of name: String) throws -> AnchorNote? {
    let place = self.name(name)
    guard let value = try self.environment.snapshot().get(self.anchors.handle, place) else { return nil }
    return try self.note(value, at: place)
  }

  private static let basesPlace = Array("bases".utf8)

  /// The bases under which this server was reached, as they were last kept; none in a store of before they were.
  public func bases() throws -> [String] {
    guard let value = try self.environment.snapshot().get(self.meta, Self.basesPlace) else { return [] }
    guard let key = try self.noteKey(Self.withoutKey),
      let bytes = KeySlots.unseal(value, key: key, place: Self.basesPlace)
    else {
      throw StorageFailure.damaged(
        path: self.environment.path,
        reason: "the addresses of before were not sealed with this hospital's key, or were changed")
    }
    var decoder = Decoder(bytes)
    var bases: [String] = []
    while decoder.remaining > 0 { bases.append(try decoder.text(max: 1024, "base")) }
    return bases
  }

  /// Makes them durable, in the place of those before.
  public func keep(bases: [String]) throws {
    guard let key = try self.noteKey(Self.withoutKey) else { return }
    var encoder = Encoder(capacity: 256)
    for base in bases { encoder.text(base) }
    let sealed = KeySlots.seal(encoder.bytes, key: key, place: Self.basesPlace)
    try self.account.change { transaction throws(StorageFailure) in
      try transaction.put(self.meta, Self.basesPlace, sealed)
    }
  }

  func put(_ note: AnchorNote, _ transaction: borrowing WriteTransaction) throws(StorageFailure) {
    let place = self.name(note.name)
    if let before = transaction.get(self.anchors.handle, place), Key.number(from: before.prefix(8)) != Self.withoutKey {
      try transaction.put(self.dying, Array(before.prefix(8)), [1])
    }
    let slot = if note.draft == nil { Self.withoutKey } else { try self.keys.take() }
    guard let key = try self.noteKey(slot) else {
      throw .damaged(path: self.environment.path, reason: "key \(slot) of a note is gone")
    }
    let sealed = KeySlots.seal(note.encoded, key: key, place: place)
    try transaction.put(self.anchors, place, Key.number(slot) + sealed)
  }

  func note(_ value: [UInt8], at place: [UInt8]) throws -> AnchorNote {
    guard value.count > 8, let key = try self.noteKey(Key.number(from: value.prefix(8))),
      let bytes = KeySlots.unseal(Array(value.dropFirst(8)), key: key, place: place)
    else {
      throw StorageFailure.damaged(
        path: self.environment.path, reason: "a note was not sealed with this hospital's key, or was changed")
    }
    var decoder = Decoder(bytes)
    return try AnchorNote(from: &decoder)
  }

  /// The key of a value or, where it has none of its own, of a note.
  func noteKey(_ slot: UInt64) throws(StorageFailure) -> [UInt8]? {
    guard slot == Self.withoutKey else { return try self.key(slot) }
    return Hash.blake2b("consilium/fhir-note/v1", self.key).bytes
  }
}

extension AnchorNote {
  fileprivate var encoded: [UInt8] {
    var encoder = Encoder(capacity: 256 + (self.draft?.bytes.count ?? 0))
    encoder.text(self.name)
    func put(_ anchored: Anchored) {
      encoder.digest(anchored.record)
      encoder.digest(anchored.account)
      encoder.text(anchored.patient)
      encoder.u64(anchored.version)
      let sensitive: UInt8 = anchored.isSensitive.map { $0 ? 12 : 4 } ?? 0
      encoder.u8((anchored.isWithdrawal ? 1 : 0) | (anchored.isLinked ? 2 : 0) | sensitive)
    }
    encoder.u8((self.anchored == nil ? 0 : 1) | (self.draft == nil ? 0 : 2) | (self.refused == nil ? 0 : 4))
    if let anchored { put(anchored) }
    if let draft {
      put(draft.goal)
      encoder.blob(draft.bytes)
    }
    if let refused {
      encoder.digest(refused.account)
      encoder.u64(refused.version)
      encoder.text(refused.reason)
    }
    return encoder.bytes
  }

  fileprivate init(from decoder: inout Decoder) throws {
    self.init(name: try decoder.text(max: 512, "name"))
    func anchored() throws -> Anchored {
      let record = try decoder.digest()
      let account = try decoder.digest()
      let (patient, version) = (try decoder.text(max: 256, "patient"), try decoder.u64())
      // Notes of before there were more marks have 0 or 1.
      let marks = try decoder.u8()
      return Anchored(
        record: record, account: account, patient: patient, version: version, isWithdrawal: marks & 1 != 0,
        isLinked: marks & 2 != 0, isSensitive: marks & 4 == 0 ? nil : marks & 8 != 0)
    }
    let parts = try decoder.u8()
    if parts & 1 != 0 { self.anchored = try anchored() }
    if parts & 2 != 0 {
      self.draft = Draft(goal: try anchored(), bytes: try decoder.blob(max: decoder.remaining, "draft"))
    }
    if parts & 4 != 0 {
      self.refused = Refused(
        account: try decoder.digest(), version: try decoder.u64(), reason: try decoder.text(max: 4096, "reason"))
    }
  }
}
