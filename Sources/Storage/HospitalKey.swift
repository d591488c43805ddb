internal import Foundation
public import Primitives
internal import Signing

/// The key that seals a store which only this hospital has.
///
/// It follows from the node's keys, or stands, sealed with what follows from them, in a file of the store's folder. So
/// a hospital that goes on under new keys goes on with what the old ones wrote.
public enum HospitalKey {
  /// The file's name.
  public static let fileName = "store.key"
  private static let domain: StaticString = "consilium/store-key/v1"
  private static let place = Array("consilium/store-key/v1".utf8)

  private static func sealing(_ own: Digest) -> [UInt8] { Hash.blake2b(self.domain, own.bytes).bytes }

  /// The key of the store in a folder, for a node whose keys give `own`.
  ///
  /// - Throws: `StorageFailure.otherKey` where it is sealed with other keys.
  static func read(_ folder: String, own: Digest) throws(StorageFailure) -> Digest {
    let path = "\(folder)/\(self.fileName)"
    guard FileManager.default.fileExists(atPath: path) else { return own }
    guard let sealed = FileManager.default.contents(atPath: path) else {
      throw .folder(path: folder, reason: "\(self.fileName) cannot be read")
    }
    let bytes = KeySlots.unseal(Array(sealed), key: self.sealing(own), place: self.place)
    guard let key = bytes.flatMap({ Digest($0) }) else { throw .otherKey(path: folder) }
    return key
  }

  /// Whether the store in a folder was made to go on under keys that give `own`.
  ///
  /// - Throws: `StorageFailure.folder` where the system does not give its key.
  public static func isHanded(_ folder: String, to own: Digest) throws(StorageFailure) -> Bool {
    do throws(StorageFailure) { return try self.read(folder, own: own) != own } catch {
      guard case .otherKey = error else { throw error }
      return false
    }
  }

  /// Makes the store in a folder go on under new keys; false where it does already. `opening` opens it for a node whose
  /// keys give what it is handed, or throws. Interrupted, it stands under the old keys or under the new ones.
  ///
  /// - Throws: `StorageFailure.otherKey` where it opens with neither.
  public static func handOver(
    _ folder: String, from old: Digest, to new: Digest, opening: (Digest) throws(StorageFailure) -> Void
  ) throws(StorageFailure) -> Bool {
    do {
      try opening(new)
      return false
    } catch {
      guard case .otherKey = error else { throw error }
    }
    try opening(old)
    let sealed = KeySlots.seal(
      try self.read(folder, own: old).bytes, key: self.sealing(new), place: self.place)
    try self.replace("\(folder)/\(self.fileName)", sealed)
    try opening(new)
    return true
  }

  /// Puts a file in place of another, durably and as a whole.
  static func replace(_ path: String, _ bytes: [UInt8]) throws(StorageFailure) {
    let fresh = path + ".new"
    let descriptor = unsafe open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .writing(fresh, errno) }
    defer { close(descriptor) }
    let written = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    guard written == bytes.count else { throw .writing(fresh, written < 0 ? errno : EIO) }
    guard fsync(descriptor) == 0 else { throw .writing(fresh, errno) }
    guard unsafe rename(fresh, path) == 0 else { throw .writing(path, errno) }
    try KeySlots.sync(folder: (path as NSString).deletingLastPathComponent)
  }
}

extension Environment {
  private static let keyCheck = Array("key".utf8)

  /// Refuses a key that is not the store's. `opens` says whether a row of it opens with this key; nil where there is
  /// none, and any key is then right.
  func requireKey(
    _ key: [UInt8], in meta: Table, opens: (Snapshot) throws(StorageFailure) -> Bool?
  ) throws(StorageFailure) {
    let check = Hash.blake2b("consilium/store-key-check/v1", key).bytes
    let snapshot = try self.snapshot()
    let known = snapshot.get(meta, Self.keyCheck)
    if known == check { return }
    // A store of before this check has none; one without a row belongs to nobody yet.
    switch try opens(snapshot) {
    case nil: break
    case true? where known == nil: break
    case true?, false?: throw .otherKey(path: self.path)
    }
    try self.write { transaction throws(StorageFailure) in try transaction.put(meta, Self.keyCheck, check) }
  }
}
