public import FHIR
public import Primitives
internal import Signing
internal import Wire

/// The resources that this hospital's EHR wrote, every version, encrypted: names are keyed hashes, values are sealed.
public final class EncryptedResources: ResourceStore {
  private let environment: Environment
  private let table: Environment.Table
  private let key: [UInt8]

  /// Opens or makes the store in a folder; `key` has 32 bytes.
  public init(path: String, mapSizeMax: Int, key: Digest) throws(StorageFailure) {
    self.environment = try Environment(path: path, mapSizeMax: mapSizeMax)
    self.table = try self.environment.open(["resources"])[0]
    self.key = key.bytes
  }

  private func name(_ type: String, _ id: String) -> [UInt8] {
    Hash.blake2b("consilium/fhir-name/v1", self.key, Array("\(type)/\(id)".utf8)).bytes
  }

  /// The latest version of every resource, one after another.
  public func latest(_ each: (StoredResource) -> Void) throws {
    let snapshot = try self.environment.snapshot()
    var last: (name: [UInt8], value: [UInt8])?
    var values: [[UInt8]] = []
    snapshot.scan(self.table, from: []) { key, value in
      let name = Array(key.prefix(32))
      if let last, last.name != name { values.append(last.value) }
      last = (name, value)
      return true
    }
    if let last { values.append(last.value) }
    for value in values { each(try self.open(value)) }
  }

  /// All versions of a resource, in order.
  public func versions(type: String, id: String) throws -> [StoredResource] {
    let snapshot = try self.environment.snapshot()
    let name = self.name(type, id)
    var values: [[UInt8]] = []
    snapshot.scan(self.table, from: name) { key, value in
      guard key.starts(with: name) else { return false }
      values.append(value)
      return true
    }
    return try values.map { try self.open($0) }
  }

  /// One version of a resource; nil where there is none.
  public func version(_ version: UInt64, type: String, id: String) throws -> StoredResource? {
    let snapshot = try self.environment.snapshot()
    return try snapshot.get(self.table, self.name(type, id) + Key.number(version)).map { try self.open($0) }
  }

  /// Makes versions durable, all or none.
  public func write(_ resources: [StoredResource]) throws {
    try self.environment.write { transaction throws(StorageFailure) in
      for resource in resources {
        var encoder = Encoder(capacity: resource.body.count + 256)
        encoder.text(resource.type)
        encoder.text(resource.id)
        encoder.u64(resource.version)
        encoder.u64(resource.ordinal)
        encoder.item(resource.updated)
        encoder.digest(resource.record ?? .zero)
        encoder.blob(resource.body)
        var sealed = Encoder(capacity: resource.body.count + 512)
        for chunk in SecretStream.seal(encoder.bytes, key: self.key) { sealed.blob(chunk) }
        let key = self.name(resource.type, resource.id) + Key.number(resource.version)
        try transaction.put(self.table, key, sealed.bytes)
      }
    }
  }

  private func open(_ value: [UInt8]) throws -> StoredResource {
    func damaged(_ reason: String) -> StorageFailure { .damaged(path: self.environment.path, reason: reason) }
    var chunks: [[UInt8]] = []
    var outer = Decoder(value)
    while outer.remaining > 0 { chunks.append(try outer.blob(max: outer.remaining, "chunk")) }
    guard let bytes = SecretStream.open(chunks, key: self.key) else {
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
    return StoredResource(
      type: type, id: id, version: version, ordinal: ordinal, updated: updated, body: body,
      record: record == .zero ? nil : record)
  }
}
