internal import Foundation
internal import Signing
internal import Synchronization

/// Keys of their own for what a database keeps, each 32 bytes of a file that is overwritten in place.
///
/// ⚑ A database leaves what it deleted in pages that it uses no more, and in gaps of those that it does. Nothing is
/// stored there but sealed with a key from here: once that is overwritten, what is left is unreadable, also to whoever
/// holds every other key.
final class KeySlots: Sendable {
  private static let keyBytes = 32
  private static let header = Array("consilium key slots, version 1\n\n".utf8)
  /// So many keys are made at a time, with one write to the disk for all of them.
  private static let batchCount: UInt64 = 1024

  private let path: String
  private let descriptor: Int32
  /// How many keys rows name that the file did not have when it was opened.
  let lost: UInt64
  /// Keys that are on the disk and nobody's yet.
  private let ready: Mutex<Range<UInt64>>

  /// What follows where rows name keys that the file does not have: it is gone, or older than they are.
  enum Shortage: Sendable {
    /// They count as destroyed: what was sealed with them is brought back from elsewhere.
    case counted
    /// Nobody else has what was sealed with them.
    case refused
  }

  /// So many keys that are not there are counted as destroyed; a row that names more is damaged.
  static let lostMax: UInt64 = 1 << 26

  /// Opens or makes the file in a folder. Keys that nobody had when the process ended are left unused.
  ///
  /// ⚑ Rows name keys below `named`: whatever the file has, a new key lies above. Else one value would get the key of
  /// another, and erasing that one would destroy it.
  init(folder: String, named: UInt64, onShortage shortage: Shortage) throws(StorageFailure) {
    self.path = folder + "/keys"
    self.descriptor = unsafe open(self.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard self.descriptor >= 0 else { throw .opening(self.path, errno) }
    self.ready = Mutex(0..<0)
    let size = Int(lseek(self.descriptor, 0, SEEK_END))
    let whole = UInt64(max(0, size - Self.header.count) / Self.keyBytes)
    self.lost = named > whole ? named - whole : 0
    if self.lost > 0 {
      guard shortage == .counted else {
        throw .damaged(
          path: folder,
          reason: "data.mdb names \(named) keys, and the file keys beside it has \(whole): it is gone or older than "
            + "data.mdb, and both are of use together only")
      }
      guard self.lost <= Self.lostMax else { throw .damaged(path: folder, reason: "a row names key \(named - 1)") }
    }
    if size == 0 {
      try self.write(Self.header, at: 0)
      try self.sync()
      try Self.sync(folder: folder)
    } else {
      guard size >= Self.header.count, try self.read(Self.header.count, at: 0) == Self.header else {
        throw .damaged(path: self.path, reason: "it does not begin as a file of keys does")
      }
      let count = UInt64((size - Self.header.count + Self.keyBytes - 1) / Self.keyBytes)
      self.ready.withLock { $0 = count..<count }
    }
    guard self.lost > 0 else { return }
    guard ftruncate(self.descriptor, Self.offset(named)) == 0 else {
      throw .system(action: "writing \(self.path)", reason: Self.reason)
    }
    try self.sync()
    self.ready.withLock { $0 = max(named, $0.upperBound)..<max(named, $0.upperBound) }
  }

  deinit { close(self.descriptor) }

  private static var reason: String { unsafe String(cString: strerror(errno)) }
  private static func offset(_ slot: UInt64) -> Int { self.header.count + Int(slot) * self.keyBytes }

  /// The number of a key that nobody had; it is on the disk.
  func take() throws(StorageFailure) -> UInt64 {
    try self.ready.withLock { ready throws(StorageFailure) in
      if ready.isEmpty {
        let fresh = SecureRandom.bytes(Int(Self.batchCount) * Self.keyBytes)
        try self.write(fresh, at: Self.offset(ready.upperBound))
        try self.sync()
        ready = ready.upperBound..<(ready.upperBound + Self.batchCount)
      }
      let slot = ready.lowerBound
      ready = (slot + 1)..<ready.upperBound
      return slot
    }
  }

  /// A key; nil where it was destroyed.
  func key(_ slot: UInt64) throws(StorageFailure) -> [UInt8]? {
    guard slot < UInt64(Int.max / Self.keyBytes / 2) else {
      throw .damaged(path: self.path, reason: "key \(slot) is asked for")
    }
    let bytes = try self.read(Self.keyBytes, at: Self.offset(slot))
    guard bytes.count == Self.keyBytes else {
      throw .damaged(path: self.path, reason: "it ends before key \(slot): it is older than what was stored with it")
    }
    return bytes.allSatisfy { $0 == 0 } ? nil : bytes
  }

  /// Overwrites keys; when it returns, they are not on the disk any more.
  func destroy(_ slots: [UInt64]) throws(StorageFailure) {
    guard !slots.isEmpty else { return }
    for slot in slots {
      guard try self.key(slot) != nil else { continue }
      try self.write([UInt8](repeating: 0, count: Self.keyBytes), at: Self.offset(slot))
    }
    try self.sync()
  }

  /// Seals a value, bound to the place where it is kept.
  static func seal(_ value: [UInt8], key: [UInt8], place: [UInt8]) -> [UInt8] {
    let nonce = SecureRandom.bytes(AEAD.extendedNonceLengthBytes)
    return nonce + AEAD.sealExtended(value, key: key, nonce: nonce, associated: place)
  }

  /// Opens what `seal` made; nil where a byte, the key or the place is another.
  static func unseal(_ sealed: [UInt8], key: [UInt8], place: [UInt8]) -> [UInt8]? {
    guard sealed.count >= AEAD.extendedNonceLengthBytes else { return nil }
    return AEAD.openExtended(
      Array(sealed.dropFirst(AEAD.extendedNonceLengthBytes)), key: key,
      nonce: Array(sealed.prefix(AEAD.extendedNonceLengthBytes)), associated: place)
  }

  private func read(_ count: Int, at offset: Int) throws(StorageFailure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let moved = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe pread(self.descriptor, buffer.baseAddress.map { unsafe $0 + done }, count - done, offset + done)
      }
      if moved < 0, errno == EINTR { continue }
      guard moved >= 0 else { throw .system(action: "reading \(self.path)", reason: Self.reason) }
      guard moved > 0 else { return Array(bytes.prefix(done)) }
      done += moved
    }
    return bytes
  }

  private func write(_ bytes: [UInt8], at offset: Int) throws(StorageFailure) {
    var done = 0
    while done < bytes.count {
      let moved = unsafe bytes.withUnsafeBytes { buffer in
        unsafe pwrite(self.descriptor, buffer.baseAddress.map { unsafe $0 + done }, bytes.count - done, offset + done)
      }
      if moved < 0, errno == EINTR { continue }
      guard moved > 0 else { throw .writing(self.path, moved < 0 ? errno : EIO) }
      done += moved
    }
  }

  private func sync() throws(StorageFailure) {
    guard fsync(self.descriptor) == 0 else { throw .writing(self.path, errno) }
  }

  /// The file's name is on the disk too.
  static func sync(folder: String) throws(StorageFailure) {
    let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .folder(path: folder, reason: self.reason) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .writing(folder, errno) }
  }
}
