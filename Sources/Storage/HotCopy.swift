internal import CLMDB
internal import Foundation

/// A copy of a store that its node may be writing: what one moment held, in files of its own.
public enum HotCopy {
  /// The files of a store's folder that belong into a copy of it.
  public static let files = ["data.mdb", "keys", HospitalKey.fileName]
  /// So often the copy begins again where keys were destroyed meanwhile.
  private static let attemptsMax = 8
  private static let pieceBytes = 1 << 20

  /// How many bytes a copy of the store in a folder takes at most; 0 where there is none.
  public static func sizeMax(of folder: String) -> UInt64 {
    self.files.reduce(0) { sum, name in
      let attributes = try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
      return sum + (attributes?[.size] as? UInt64 ?? 0)
    }
  }

  /// Copies the store in a folder into another one, which is made; when it returns, the copy is on the disk. Free
  /// pages, with what was deleted in them, are left out.
  ///
  /// ⚑ Each key is on the disk before a row that names it: keys that are copied after the rows are all there. Those of
  /// what was erased in between are destroyed. Where the store `mayLackKeys`, as one that was killed while it erased,
  /// those rows stay, and say nothing; else the copy begins again, so that no row comes without its key.
  ///
  /// - Throws: `StorageFailure` where the store is damaged or either disk fails.
  public static func make(
    of folder: String, to target: String, mapSizeMax: Int, mayLackKeys: Bool
  ) throws(StorageFailure) {
    do {
      try FileManager.default.createDirectory(
        atPath: target, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch { throw .making(target, error) }
    let environment = try Environment(path: folder, mapSizeMax: mapSizeMax, isReadOnly: true)
    let (keys, before, after) = ("\(folder)/keys", "\(target)/keys.before", "\(target)/keys")
    let hasKeys = FileManager.default.fileExists(atPath: keys)
    var isWhole = false
    for _ in 0..<self.attemptsMax where !isWhole {
      let isCompared = hasKeys && !mayLackKeys
      if isCompared { try self.copy(keys, to: before) }
      try environment.copy(to: "\(target)/data.mdb")
      if hasKeys { try self.copy(keys, to: after) }
      isWhole = isCompared ? try !self.isAnyDestroyed(before, after) : true
    }
    unsafe unlink(before)
    guard isWhole else {
      throw .system(
        action: "copying \(folder)",
        reason: "something in it was erased during each of \(self.attemptsMax) copies: try again when less is erased")
    }
    let own = "\(folder)/\(HospitalKey.fileName)"
    if FileManager.default.fileExists(atPath: own) { try self.copy(own, to: "\(target)/\(HospitalKey.fileName)") }
    try KeySlots.sync(folder: target)
  }

  /// Walks all pages of the store in a folder, and writes nothing.
  ///
  /// - Throws: `StorageFailure` where one is not as the format asks.
  public static func check(_ folder: String, mapSizeMax: Int) throws(StorageFailure) {
    _ = try Environment(path: folder, mapSizeMax: mapSizeMax, isReadOnly: true, isAlone: true)
  }

  /// Copies a file into another, as it stands; when it returns, that is on the disk.
  public static func copy(_ file: String, to target: String) throws(StorageFailure) {
    let source = unsafe open(file, O_RDONLY | O_CLOEXEC)
    guard source >= 0 else { throw .opening(file, errno) }
    defer { close(source) }
    let descriptor = try self.create(target)
    defer { close(descriptor) }
    while let piece = try self.read(source, file) {
      var rest = piece[...]
      while !rest.isEmpty {
        let written = unsafe rest.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        guard written > 0 else { throw .writing(target, written < 0 ? errno : EIO) }
        rest = rest.dropFirst(written)
      }
    }
    guard fsync(descriptor) == 0 else { throw .writing(target, errno) }
  }

  /// An empty file, for its owner alone.
  fileprivate static func create(_ file: String) throws(StorageFailure) -> Int32 {
    let descriptor = unsafe open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .opening(file, errno) }
    return descriptor
  }

  /// The next bytes; nil at the end.
  private static func read(_ descriptor: Int32, _ file: String) throws(StorageFailure) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: self.pieceBytes)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe Foundation.read(descriptor, $0.baseAddress, $0.count) }
    guard count >= 0 else {
      throw .system(action: "reading \(file)", reason: unsafe String(cString: strerror(errno)))
    }
    return count == 0 ? nil : Array(bytes.prefix(count))
  }

  /// Whether a key of the first file is overwritten in the second.
  private static func isAnyDestroyed(_ before: String, _ after: String) throws(StorageFailure) -> Bool {
    let descriptors = (unsafe open(before, O_RDONLY | O_CLOEXEC), unsafe open(after, O_RDONLY | O_CLOEXEC))
    defer {
      close(descriptors.0)
      close(descriptors.1)
    }
    guard descriptors.0 >= 0, descriptors.1 >= 0 else { throw .opening(after, errno) }
    while let old = try self.read(descriptors.0, before) {
      guard let new = try self.read(descriptors.1, after), new.count >= old.count else { return true }
      // A key is never made again: whatever changed became nothing.
      if !new.starts(with: old) { return true }
    }
    return false
  }
}

extension Environment {
  /// Writes what a reader sees now into a file, without free pages; when it returns, that is on the disk.
  func copy(to file: String) throws(StorageFailure) {
    let descriptor = try HotCopy.create(file)
    defer { close(descriptor) }
    let status = unsafe mdb_env_copyfd2(self.handle, descriptor, UInt32(MDB_CP_COMPACT))
    guard status <= 0 else { throw .writing(file, status) }
    guard status == 0 else { throw Self.failure(status, self.path, "copying \(self.path)") }
    guard fsync(descriptor) == 0 else { throw .writing(file, errno) }
  }
}
