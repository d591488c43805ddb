internal import Foundation
public import HealthRecords
internal import Synchronization

/// How much of a disk ciphertext on its way may take.
///
/// There always stays a reserve for the ledger: a node that cannot write its ledger ends.
public final class SpoolRoom: Sendable {
  /// The most bytes of all unfinished spools: four of the longest contents.
  public static let spooledBytesMax = 16 << 30
  /// The least that stays free, of a disk that has it: beyond, a twentieth of the disk does.
  static let reserveBytesMin = 1 << 30
  /// The most of a small disk that is kept back, as a part of it.
  static let reservePartMax = 4

  private let bytesMax: Int
  private let disk: (@Sendable () -> (freeBytes: Int, sizeBytes: Int))?
  private let spooledBytes = Mutex(0)

  /// Room for spools of so many bytes together, on the disk where they are; `disk` tells of another.
  public init(
    bytesMax: Int = SpoolRoom.spooledBytesMax, disk: (@Sendable () -> (freeBytes: Int, sizeBytes: Int))? = nil
  ) {
    (self.bytesMax, self.disk) = (bytesMax, disk)
  }

  /// What stays free of a disk for the ledger.
  public static func reserveBytes(ofDisk sizeBytes: Int) -> Int {
    min(max(Self.reserveBytesMin, sizeBytes / 20), sizeBytes / Self.reservePartMax)
  }

  /// Takes room for bytes that are written next.
  ///
  /// ⚑ Each byte is written twice: what is whole goes into the vault, and leaves the spool after.
  func take(_ bytes: Int, on descriptor: Int32) throws(VaultFailure) {
    let free, size: Int
    if let disk { (free, size) = disk() } else { (free, size) = try Self.disk(of: descriptor) }
    try self.spooledBytes.withLock { spooled throws(VaultFailure) in
      guard bytes <= self.bytesMax - spooled else {
        throw VaultFailure(
          "contents that are still coming take \(spooled) bytes, of \(self.bytesMax) at most: send it again later")
      }
      let reserve = Self.reserveBytes(ofDisk: size)
      guard free - reserve - 2 * bytes >= spooled else {
        throw VaultFailure(
          "the disk has \(free) bytes left, and \(reserve) are kept back for the ledger: free disk space, "
            + "then send it again")
      }
      spooled += bytes
    }
  }

  /// Whether a disk has room for bytes besides what is kept back for the ledger; also where that cannot be told.
  public static func isRoom(for bytes: Int, at path: String) -> Bool {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    guard let (free, size) = try? self.disk(of: descriptor) else { return true }
    return free - self.reserveBytes(ofDisk: size) >= bytes
  }

  func giveBack(_ bytes: Int) { self.spooledBytes.withLock { $0 -= bytes } }

  private static func disk(of descriptor: Int32) throws(VaultFailure) -> (freeBytes: Int, sizeBytes: Int) {
    var facts = statvfs()
    guard unsafe fstatvfs(descriptor, &facts) == 0 else {
      throw VaultFailure("how full the disk is cannot be told: \(unsafe String(cString: strerror(errno)))")
    }
    func bytes(_ blocks: some BinaryInteger) -> Int {
      let (bytes, isOver) = Int(clamping: blocks).multipliedReportingOverflow(by: Int(clamping: facts.f_frsize))
      return isOver ? Int.max : bytes
    }
    return (bytes(facts.f_bavail), bytes(facts.f_blocks))
  }
}

/// Ciphertext on its way, in a file that has no name: it is gone with whoever holds it, also where the process is
/// killed.
public final class FileSpool: ChunkSpool {
  private let descriptor: Int32
  private let folder: String
  private let room: SpoolRoom?
  /// Where each chunk begins in the file, and after the last one, where the file ends.
  private let offsets = Mutex<[Int]>([0])

  /// A new spool in a folder, which is made where it is missing; without a `room` where no ledger needs the disk.
  public init(folder: String, room: SpoolRoom?) throws(StorageFailure) {
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch { throw .making(folder, error) }
    var name = Array("\(folder)/spool-XXXXXX".utf8CString)
    self.descriptor = unsafe mkstemp(&name)
    guard self.descriptor >= 0 else { throw .opening("\(folder)/spool", errno) }
    (self.folder, self.room) = (folder, room)
    unsafe unlink(name)
  }

  deinit {
    close(self.descriptor)
    self.room?.giveBack(self.offsets.withLock { $0[$0.count - 1] })
  }

  /// How many chunks are in it.
  public var count: Int { self.offsets.withLock { $0.count - 1 } }

  /// Appends chunks.
  public func append(_ chunks: [[UInt8]]) throws(VaultFailure) {
    try self.offsets.withLock { offsets throws(VaultFailure) in
      for chunk in chunks {
        let start = offsets[offsets.count - 1]
        try self.room?.take(chunk.count, on: self.descriptor)
        // What was not written whole is no chunk: its room is given back with it.
        var isWritten = false
        defer { if !isWritten { self.room?.giveBack(chunk.count) } }
        try self.transfer(chunk.count, orElse: { "\(StorageFailure.writing("\(self.folder)/spool", $0))" }) { done in
          unsafe chunk.withUnsafeBytes { bytes in
            unsafe pwrite(self.descriptor, bytes.baseAddress.map { unsafe $0 + done }, chunk.count - done, start + done)
          }
        }
        offsets.append(start + chunk.count)
        isWritten = true
      }
    }
  }

  /// Chunks from one on, of about so many bytes, at least one where there is one.
  public func chunks(from start: Int, bytesMax: Int) throws(VaultFailure) -> [[UInt8]] {
    let offsets = self.offsets.withLock { $0 }
    var out: [[UInt8]] = []
    var index = start
    while index >= 0, index < offsets.count - 1 {
      guard out.isEmpty || offsets[index + 1] - offsets[start] <= bytesMax else { break }
      let (offset, count) = (offsets[index], offsets[index + 1] - offsets[index])
      var chunk = [UInt8](repeating: 0, count: count)
      try self.transfer(count, orElse: { "reading in \(self.folder): \(unsafe String(cString: strerror($0)))" }) {
        done in
        unsafe chunk.withUnsafeMutableBytes { bytes in
          unsafe pread(self.descriptor, bytes.baseAddress.map { unsafe $0 + done }, count - done, offset + done)
        }
      }
      out.append(chunk)
      index += 1
    }
    return out
  }

  /// Moves bytes until all are moved: the system may do less than it was asked.
  private func transfer(
    _ count: Int, orElse fail: (_ code: Int32) -> String, _ step: (_ done: Int) -> Int
  ) throws(VaultFailure) {
    var done = 0
    while done < count {
      let moved = step(done)
      if moved < 0, errno == EINTR { continue }
      guard moved > 0 else { throw VaultFailure(fail(moved < 0 ? errno : EIO)) }
      done += moved
    }
  }
}
